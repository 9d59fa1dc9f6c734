//! The server's own accounts: a main password and app passwords, kept in the store.
//!
//! An app password is found by its first letters, or named as `account+NAME`; so one login costs
//! one comparison, however many app passwords there are, and an unknown name costs one as well.

use std::sync::Arc;

use async_trait::async_trait;
use store::{
    AccountChange, AccountInfo, Store,
    clock::Clock,
    credential::{AppPassword, CredentialChange, CredentialId, MainPassword, Scope, Verifiers},
};
use zeroize::Zeroizing;

use super::{
    Attempt, AuthFailure, Authenticator, Credential, Proof, Proven, ScramClaim, ScramEntry,
    ScramFor, check_name,
    checks::Checks,
    password::{is_up_to_date, renewed},
    scram::Hash,
};

/// Own accounts.
pub(super) struct OwnAccounts {
    store: Arc<dyn Store>,
    checks: Arc<Checks>,
    clock: Arc<dyn Clock>,
    /// For which hash functions of SCRAM a password is kept.
    hashes: &'static [Hash],
}

/// One credential of an account that may be used now.
#[derive(Clone, Copy)]
enum Usable<'a> {
    Main(&'a MainPassword),
    App(&'a AppPassword),
}

impl Usable<'_> {
    const fn id(&self) -> CredentialId {
        match self {
            Self::Main(main) => main.id,
            Self::App(app) => app.id,
        }
    }

    const fn verifiers(&self) -> &Verifiers {
        match self {
            Self::Main(main) => &main.verifiers,
            Self::App(app) => &app.verifiers,
        }
    }

    fn credential(&self) -> Credential {
        match self {
            Self::Main(main) => Credential::Main(main.id),
            Self::App(app) => Credential::App(app.id, app.name.clone()),
        }
    }
}

/// A user name taken apart: the account, and the name of the app password if there is one in it.
struct Named {
    account: Arc<AccountInfo>,
    app: Option<String>,
}

impl OwnAccounts {
    pub(super) const fn new(
        store: Arc<dyn Store>,
        checks: Arc<Checks>,
        clock: Arc<dyn Clock>,
        hashes: &'static [Hash],
    ) -> Self {
        Self {
            store,
            checks,
            clock,
            hashes,
        }
    }

    /// `account`, or `account+NAME`; an account whose own name has a plus is found first.
    fn named(&self, user: &str) -> Option<Named> {
        check_name(user).ok()?;
        let enabled = |name: &str| self.store.find_account(name).filter(|it| it.enabled);
        if let Some(account) = enabled(user) {
            return Some(Named { account, app: None });
        }
        let (name, app) = user.rsplit_once('+')?;
        Some(Named {
            account: enabled(name)?,
            app: Some(app.to_owned()),
        })
    }

    fn may_be_used(&self, app: &AppPassword, scope: Scope) -> bool {
        let expired = |at| at <= self.clock.now_secs();
        app.scopes.contains(scope) && !app.expires_secs.is_some_and(expired)
    }

    /// The credential that a user name alone stands for.
    fn usable<'a>(&self, named: &'a Named, scope: Scope) -> Option<Usable<'a>> {
        let Some(name) = &named.app else {
            return named.account.password.as_ref().map(Usable::Main);
        };
        let mut apps = named.account.app_passwords.iter();
        apps.find(|app| app.is_named(name) && self.may_be_used(app, scope))
            .map(Usable::App)
    }

    /// The credentials with which a password is to be compared, in order: app passwords that begin
    /// as it does, and the main one. Mostly there is one.
    fn candidates<'a>(&self, named: &'a Named, password: &[u8], scope: Scope) -> Vec<Usable<'a>> {
        let begins = |app: &&AppPassword| {
            let selector = app.selector.as_bytes();
            password.starts_with(selector) && self.may_be_used(app, scope)
        };
        let mut candidates = Vec::new();
        if named.app.is_none() {
            let apps = named.account.app_passwords.iter();
            candidates.extend(apps.filter(begins).map(Usable::App));
        }
        candidates.extend(self.usable(named, scope));
        candidates
    }

    async fn password(
        &self,
        user: &str,
        password: &[u8],
        scope: Scope,
    ) -> Result<Proven, AuthFailure> {
        let named = self.named(user);
        let candidates = named
            .as_ref()
            .map_or_else(Vec::new, |named| self.candidates(named, password, scope));
        let (Some(named), false) = (&named, candidates.is_empty()) else {
            self.checks.pretend(password).await?;
            return Err(AuthFailure::Wrong);
        };
        for usable in candidates {
            if self.is_right(&named.account, usable, password).await? {
                return Ok(proven(named, usable));
            }
        }
        Err(AuthFailure::Wrong)
    }

    async fn is_right(
        &self,
        account: &AccountInfo,
        usable: Usable<'_>,
        password: &[u8],
    ) -> Result<bool, AuthFailure> {
        // A changed password has another id, so that nothing remembered fits it.
        let (account_id, id) = (account.id.get().to_le_bytes(), usable.id().0.to_le_bytes());
        let key = self.checks.key(&[b"own", &account_id, &id, password]);
        if self.checks.remembers(&key) {
            return Ok(true);
        }
        let verifiers = usable.verifiers();
        let right = self.checks.matches(&verifiers.hash, password).await?;
        if right {
            self.checks.remember(key);
            if !is_up_to_date(verifiers, self.hashes) {
                self.keep_anew(account, usable, password).await;
            }
        }
        Ok(right)
    }

    /// Keeps a password, now that it has been seen, as new ones are kept: by Argon2id, with what
    /// SCRAM needs. If that fails the login goes on: the next one tries again.
    async fn keep_anew(&self, account: &AccountInfo, usable: Usable<'_>, password: &[u8]) {
        let (from, seen) = (
            usable.verifiers().clone(),
            Zeroizing::new(password.to_vec()),
        );
        let (old, hashes) = (from.clone(), self.hashes);
        let kept = self
            .checks
            .in_turn(move || renewed(&old, &seen, hashes))
            .await;
        let Ok(Ok(to)) = kept else {
            return;
        };
        let id = usable.id();
        let change = AccountChange {
            credentials: vec![CredentialChange::Kept { id, from, to }],
            ..AccountChange::default()
        };
        match self.store.change_account(account.id, change).await {
            Ok(_) => tracing::info!(user = account.name, "password kept by today's rules"),
            Err(error) => tracing::warn!(user = account.name, %error, "password kept as it was"),
        }
    }
}

fn proven(named: &Named, usable: Usable<'_>) -> Proven {
    Proven {
        user: named.account.name.clone(),
        credential: usable.credential(),
    }
}

#[async_trait]
impl Authenticator for OwnAccounts {
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Proven, AuthFailure> {
        let Attempt { user, scope, .. } = *attempt;
        match attempt.proof {
            Proof::Password(password) => self.password(user, password, scope).await,
            Proof::Certificate | Proof::Token | Proof::Anonymous => attempt.proof.vouched(user),
            Proof::Scram(claim) => {
                let named = self.named(user).ok_or(AuthFailure::Wrong)?;
                self.usable(&named, scope)
                    .filter(|usable| ScramClaim(usable.id()) == claim)
                    .map(|usable| proven(&named, usable))
                    .ok_or(AuthFailure::Wrong)
            }
        }
    }

    fn scram(&self, user: &str, scope: Scope) -> Option<ScramEntry> {
        let named = self.named(user)?;
        let usable = self.usable(&named, scope)?;
        Some(ScramEntry {
            verifier: usable.verifiers().scram.clone()?,
            claim: ScramClaim(usable.id()),
        })
    }

    fn scram_for(&self) -> ScramFor {
        match self.store.accounts_without_scram() {
            0 => ScramFor::All,
            _ => ScramFor::Some,
        }
    }
}
