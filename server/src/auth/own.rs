//! The server's own accounts: a main password and app passwords, kept in the store.
//!
//! An app password is found by its first letters, or named as `account+NAME`; so one login costs
//! one comparison, however many app passwords there are, and an unknown name costs one as well.

use std::sync::Arc;

use async_trait::async_trait;
use store::{
    AccountInfo, Store,
    clock::Clock,
    credential::{AppPassword, CredentialId, MainPassword, Scope, Verifiers},
};

use super::{
    Attempt, AuthFailure, Authenticator, Credential, Proof, Proven, ScramClaim, ScramEntry,
    check_name, checks::Checks,
};

/// Own accounts.
pub(super) struct OwnAccounts {
    store: Arc<dyn Store>,
    checks: Arc<Checks>,
    clock: Arc<dyn Clock>,
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
            Self::Main(_) => Credential::Main,
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
    ) -> Self {
        Self {
            store,
            checks,
            clock,
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
        apps.find(|app| app.name == *name && self.may_be_used(app, scope))
            .map(Usable::App)
    }

    /// The credential with which a password is to be compared.
    fn candidate<'a>(&self, named: &'a Named, password: &[u8], scope: Scope) -> Option<Usable<'a>> {
        let begins = |app: &&AppPassword| {
            password.starts_with(app.selector.as_bytes()) && self.may_be_used(app, scope)
        };
        match &named.app {
            Some(_) => self.usable(named, scope),
            None => {
                let mut apps = named.account.app_passwords.iter();
                apps.find(begins)
                    .map(Usable::App)
                    .or_else(|| self.usable(named, scope))
            }
        }
    }

    async fn password(
        &self,
        user: &str,
        password: &[u8],
        scope: Scope,
    ) -> Result<Proven, AuthFailure> {
        let named = self.named(user);
        let candidate = named
            .as_ref()
            .and_then(|named| Some((named, self.candidate(named, password, scope)?)));
        let Some((named, usable)) = candidate else {
            self.checks.pretend(password).await?;
            return Err(AuthFailure::Wrong);
        };
        if self.is_right(&named.account, usable, password).await? {
            return Ok(proven(named, usable));
        }
        // A main password may begin as an app password does.
        if let (None, Usable::App(_)) = (&named.app, usable)
            && let Some(main) = self.usable(named, scope)
            && self.is_right(&named.account, main, password).await?
        {
            return Ok(proven(named, main));
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
        let right = self
            .checks
            .matches(&usable.verifiers().hash, password)
            .await?;
        if right {
            self.checks.remember(key);
        }
        Ok(right)
    }

    /// A proof made elsewhere for an account of ours.
    fn vouched(&self, user: &str, credential: Credential) -> Result<Proven, AuthFailure> {
        let named = self.named(user).filter(|named| named.app.is_none());
        let named = named.ok_or(AuthFailure::Wrong)?;
        Ok(Proven {
            user: named.account.name.clone(),
            credential,
        })
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
            Proof::Certificate => self.vouched(user, Credential::Certificate),
            Proof::Token => self.vouched(user, Credential::Token),
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

    fn has_scram_for_all(&self) -> bool {
        let accounts = self.store.accounts();
        let mut passwords = accounts
            .iter()
            .filter(|account| account.enabled)
            .filter_map(|account| account.password.as_ref());
        passwords.all(|password| password.verifiers.scram.is_some())
    }
}
