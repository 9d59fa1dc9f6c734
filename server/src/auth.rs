//! Logins: who is this, and by what did it prove it? Passwords are known by a backend behind one
//! seam ([`authenticator`]); around it stand throttling, the memory of verified logins, and turns
//! at hashing, which are the same whoever knows the passwords.
//!
//! It does not say who may log in without TLS: that is the session's business.

use std::{io, path::Path, sync::Arc};

use mail::id::AccountId;
use store::{
    AccountInfo, Error, NewAccount, Quota, Store,
    clock::Clock,
    credential::{CredentialId, LastUse, Scope},
};
use tokio::time::Instant;
use wire::sasl::Mechanism;

pub use self::{
    authenticator::{
        Attempt, AuthFailure, Authenticator, Credential, Identity, Proof, Proven, ScramClaim,
        ScramEntry, ScramFor,
    },
    known::{Known, noting_known},
    password::{
        PASSWORD_BYTES_MAX, USER_BYTES_MAX, Unfit, check_app_name, check_name,
        generate_app_password, generate_password, keep_password,
    },
    scheme::{BadHash, imported},
    uses::WRITTEN_EVERY,
};
use self::{
    decoy::Decoys,
    oauth::{OAuth, Refusal, jwt},
    scram::{Hash, ScramVerifier},
    throttle::Throttle,
    uses::Uses,
};
use crate::{config::Config, delivery::DETAIL_SEPARATOR, listen::Peer};

pub mod authenticator;
pub(crate) mod backend;
mod cache;
mod checks;
mod command;
mod decoy;
mod hashes;
mod known;
mod ldap;
pub mod oauth;
mod own;
mod passwd_file;
mod password;
mod scheme;
pub mod scram;
mod stamp;
pub mod throttle;
mod uses;

pub(crate) use password::random;

/// Logins.
pub struct Auth {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    backend: Box<dyn Authenticator>,
    creates_accounts: bool,
    /// Whether SCRAM is offered, if that does not depend on who has a verifier.
    offer_scram: Option<bool>,
    decoys: Decoys,
    /// As whom those log in who say who nobody is.
    anonymous: Option<String>,
    /// Whose tokens are taken, if anybody's.
    oauth: Option<OAuth>,
    uses: Uses,
    /// Who was wrong how often.
    pub throttle: Throttle,
}

impl Auth {
    /// Logins to the accounts of a store, by the backend of the configuration.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: &Config) -> Self {
        Self {
            backend: backend::open(&config.auth, &store, &clock),
            creates_accounts: config.auth.create_accounts,
            offer_scram: config.imap.offer_scram,
            decoys: Decoys::new(),
            anonymous: config.auth.anonymous_account.clone(),
            // What cannot work was told of by the check of the configuration.
            oauth: OAuth::new(&config.oauth, Arc::clone(&clock)).unwrap_or_default(),
            store,
            uses: Uses::default(),
            throttle: Throttle::new(Arc::clone(&clock), &config.limits),
            clock,
        }
    }

    /// Logs somebody in: the one door. The more often an address was wrong with a name, the later
    /// it is told so, counted from the call (RFC 9051 §11.7).
    ///
    /// # Errors
    /// Why not.
    pub async fn log_in(&self, attempt: &Attempt<'_>) -> Result<Identity, AuthFailure> {
        let arrived = Instant::now();
        let verdict = match self.identify(attempt).await {
            // Other guesses of this address used up what it may do while this one was looked at.
            Ok(_) | Err(AuthFailure::Wrong) if self.is_banned(attempt.peer) => {
                Err(AuthFailure::Unavailable)
            }
            verdict => verdict,
        };
        match verdict {
            Ok(_) | Err(AuthFailure::MayNotActAs) => self.succeeded(attempt.peer, attempt.user),
            Err(AuthFailure::Wrong) => self.delay(attempt.peer, attempt.user, arrived).await,
            Err(AuthFailure::Unavailable) => {}
        }
        verdict
    }

    /// What SCRAM compares the proof of this user with, and what a right proof means. Unknown users
    /// and those without a verifier get a decoy: their exchange goes on as any other and ends in
    /// [`Auth::failed`].
    #[must_use]
    pub fn scram(
        &self,
        user: &str,
        hash: Hash,
        scope: Scope,
    ) -> (ScramVerifier, Option<ScramClaim>) {
        // Made in any case, so that it costs the same.
        let decoy = self.decoys.verifier(user, hash);
        let entry = self.backend.scram(user, scope);
        let found = entry.and_then(|it| Some((scram::find(&it.verifier, hash)?, it.claim)));
        match found {
            Some((verifier, claim)) => (verifier, Some(claim)),
            None => (decoy, None),
        }
    }

    /// Whether tokens are taken.
    #[must_use]
    pub const fn takes_tokens(&self) -> bool {
        self.oauth.is_some()
    }

    /// Whose token this is. One that proves nothing is answered as late as a wrong password;
    /// `claimed` is who the client says it is.
    ///
    /// # Errors
    /// It is nobody's.
    pub async fn token(&self, token: &[u8], claimed: &str, peer: &Peer) -> Result<String, Refusal> {
        let arrived = Instant::now();
        let Some(oauth) = &self.oauth else {
            return Err(Refusal::Unavailable);
        };
        let account = oauth.account(token).await;
        if let Err(Refusal::Unfit(why)) = account {
            tracing::info!(user = claimed, ?why, "a token is refused");
            self.delay(peer, claimed, arrived).await;
        }
        account
    }

    /// The text that tells a client why its token is refused (RFC 7628 §3.2.2).
    #[must_use]
    pub fn token_error(&self, mechanism: Mechanism, why: jwt::Unfit) -> Vec<u8> {
        let oauth = self.oauth.as_ref();
        oauth.map_or_else(Vec::new, |oauth| oauth.error(mechanism, why))
    }

    /// Keeps what decoys are made of, so that they stay the same when the server is started again.
    ///
    /// # Errors
    /// It can be neither read nor written.
    pub fn keep_decoys_in(&mut self, directory: &Path) -> io::Result<()> {
        self.decoys = Decoys::kept_in(directory)?;
        Ok(())
    }

    /// Whether SCRAM is offered: everybody who may log in has what it needs, or the operator wants
    /// it all the same.
    #[must_use]
    pub fn offers_scram(&self) -> bool {
        match self.backend.scram_for() {
            ScramFor::Nobody => false,
            ScramFor::Some => self.offer_scram == Some(true),
            ScramFor::All => self.offer_scram != Some(false),
        }
    }

    /// As whom somebody without a name logs in, if anybody may.
    #[must_use]
    pub fn anonymous(&self) -> Option<&str> {
        self.anonymous.as_deref()
    }

    /// Notes a proof that turned out wrong before it came to [`Auth::log_in`], and waits as long
    /// as the answer is to wait.
    pub async fn failed(&self, peer: &Peer, user: &str) {
        self.delay(peer, user, Instant::now()).await;
    }

    /// Whether the address has been wrong too often lately.
    #[must_use]
    pub fn is_banned(&self, peer: &Peer) -> bool {
        let address = peer.address;
        address.is_some_and(|address| self.throttle.refuses(address.ip()))
    }

    fn succeeded(&self, peer: &Peer, user: &str) {
        if let Some(address) = peer.address {
            self.throttle.succeeded(address.ip(), user);
        }
    }

    async fn delay(&self, peer: &Peer, user: &str, arrived: Instant) {
        // Without an address it is a program on this machine: nobody to slow down.
        if let Some(address) = peer.address {
            let delay = self.throttle.failed(address.ip(), peer.trust, user);
            tokio::time::sleep_until(arrived + delay).await;
        }
    }

    async fn identify(&self, attempt: &Attempt<'_>) -> Result<Identity, AuthFailure> {
        let Proven { user, credential } = match attempt.proof {
            Proof::Anonymous => self.nobody(attempt.user)?,
            Proof::Certificate | Proof::Token if passes_for_another(attempt.user) => {
                return Err(AuthFailure::Wrong);
            }
            _ => self.backend.authenticate(attempt).await?,
        };
        let authenticated = match self.account(&user) {
            Some(account) => account,
            None => self.first_login(&user, &credential).await?,
        };
        let is_other = |other: &&str| other.to_lowercase() != attempt.user.to_lowercase();
        let account = match attempt.act_as.filter(is_other) {
            Some(other) => self.acted_as(&authenticated, other)?,
            None => Arc::clone(&authenticated),
        };
        if let Credential::App(id, _) = &credential {
            self.note_use(authenticated.id, *id, attempt);
        }
        Ok(Identity {
            account,
            authenticated,
            credential,
        })
    }

    /// Somebody without a name is nobody but the account for such people.
    fn nobody(&self, user: &str) -> Result<Proven, AuthFailure> {
        let named = self.anonymous.as_deref().filter(|named| *named == user);
        Ok(Proven {
            user: named.ok_or(AuthFailure::Wrong)?.to_owned(),
            credential: Credential::Anonymous,
        })
    }

    /// Makes the account of somebody whom the backend knows and the store does not, if that is
    /// what the operator wants.
    async fn first_login(
        &self,
        user: &str,
        credential: &Credential,
    ) -> Result<Arc<AccountInfo>, AuthFailure> {
        let is_backend = matches!(credential, Credential::Backend(_) | Credential::Token);
        let exists = self.store.find_account(user).is_some();
        if !is_backend || exists || !self.creates_accounts || check_name(user).is_err() {
            tracing::info!(user, by = %credential, exists, "the password is right, but nobody may log in to this account");
            return Err(AuthFailure::Wrong);
        }
        if let Some(owner) = self.owner_of_detail(user) {
            tracing::warn!(user, by = %credential, owner, "the password is right, but an account of this name would take mail of another");
            return Err(AuthFailure::Wrong);
        }
        let new = NewAccount {
            name: user.to_owned(),
            aliases: Vec::new(),
            password: None,
            display_name: String::new(),
            quota: Quota::default(),
        };
        match self.store.create_account(new).await {
            Ok(account) => {
                tracing::info!(user, by = %credential, "account created at its first login");
                Ok(account)
            }
            // Two first logins at a time.
            Err(Error::AlreadyExists(_)) => self.account(user).ok_or(AuthFailure::Wrong),
            Err(error) => {
                tracing::error!(user, %error, "the account cannot be created");
                Err(AuthFailure::Unavailable)
            }
        }
    }

    /// Whose address or app password this name is, if it has a detail in it: `tim+x@example.org` is
    /// where tim's mail for `x` goes, and `tim@example.org+x` is tim with the app password `x`.
    fn owner_of_detail(&self, user: &str) -> Option<String> {
        let (local, domain) = user.rsplit_once('@').unwrap_or((user, ""));
        let (base, _) = local.split_once(DETAIL_SEPARATOR).unwrap_or((local, ""));
        let (before, _) = user.rsplit_once(DETAIL_SEPARATOR)?;
        let names = [
            format!("{base}@{domain}"),
            base.to_owned(),
            before.to_owned(),
        ];
        let found = names.iter().find_map(|name| self.store.find_account(name));
        found.map(|owner| owner.name.clone())
    }

    fn note_use(&self, account: AccountId, id: CredentialId, attempt: &Attempt<'_>) {
        let place = match attempt.peer.address {
            Some(address) => address.ip().to_canonical().to_string(),
            None => "this machine".to_owned(),
        };
        let last_use = LastUse {
            secs: self.clock.now_secs(),
            place,
            scope: attempt.scope,
        };
        self.uses.note(account, id, last_use);
    }

    /// Writes down which app passwords were used since the last time.
    pub async fn write_uses(&self) {
        self.uses.write(&*self.store).await;
    }

    /// The account as which another one wants to act (RFC 4422 §3.4.1): itself, or one for which
    /// it was granted the right. An account that does not exist and one without the right answer
    /// alike (threat 8).
    fn acted_as(
        &self,
        authenticated: &Arc<AccountInfo>,
        other: &str,
    ) -> Result<Arc<AccountInfo>, AuthFailure> {
        self.account(other)
            .filter(|other| {
                other.id == authenticated.id || authenticated.may_act_as.allows(other.id)
            })
            .ok_or(AuthFailure::MayNotActAs)
    }

    /// The account of this name, if it may log in.
    fn account(&self, user: &str) -> Option<Arc<AccountInfo>> {
        check_name(user).ok()?;
        self.store
            .find_account(user)
            .filter(|account| account.enabled)
    }
}

/// Whether folding its case makes ASCII of other letters, as of the Kelvin sign a `k`: a name like
/// that, which somebody was given elsewhere, would be somebody else's here.
fn passes_for_another(name: &str) -> bool {
    let becomes_ascii = |letter: char| letter.to_lowercase().any(|small| small.is_ascii());
    let mut others = name.chars().filter(|letter| !letter.is_ascii());
    others.any(becomes_ascii)
}

#[cfg(test)]
pub(crate) mod tests;
