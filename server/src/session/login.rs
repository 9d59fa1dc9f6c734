//! What a session logged in with, and whether that still stands: when the password is changed or
//! withdrawn, or the account disabled, the session is over.

use std::sync::Arc;

use store::{Access, Account, credential::CredentialId};
use tokio::sync::watch;
use wire::imap::select;

use super::Ended;
use crate::auth::{Credential, Identity};

/// What a session logged in with.
#[derive(Clone)]
pub(super) struct LoggedIn {
    /// Whose credential it was; mostly the account that is open.
    by: Arc<dyn Account>,
    /// The main password at that time.
    main: Option<CredentialId>,
    credential: Credential,
}

impl LoggedIn {
    /// By the account of whoever proved to be it.
    pub(super) fn new(identity: &Identity, by: Arc<dyn Account>) -> Self {
        Self {
            by,
            main: match identity.credential {
                // It may have been changed since it was compared.
                Credential::Main(id) => Some(id),
                _ => identity.authenticated.password.as_ref().map(|it| it.id),
            },
            credential: identity.credential.clone(),
        }
    }

    /// Whether there was a login at all (RFC 9051 §7.1.4).
    pub(super) fn was_asked_for(&self) -> bool {
        self.credential != Credential::Unasked
    }

    /// The app password, if it was one.
    const fn app(&self) -> Option<CredentialId> {
        match &self.credential {
            Credential::App(id, _) => Some(*id),
            _ => None,
        }
    }

    /// Whether nobody knows who it is.
    pub(super) const fn is_anonymous(&self) -> bool {
        matches!(self.credential, Credential::Anonymous)
    }

    /// How a mailbox is opened that is asked for in this way.
    pub(super) const fn grants(&self, asked: select::Access) -> select::Access {
        match self.credential.access() {
            Access::ReadOnly => select::Access::ReadOnly,
            Access::ReadWrite => asked,
        }
    }

    /// Wakes when something of it may have changed; closes when its account is removed.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.by.changes()
    }

    /// Whether it was an app password that is older by now than it may be.
    pub(super) fn has_expired(&self, now_secs: i64) -> bool {
        let Some(id) = self.app() else {
            return false;
        };
        let info = self.by.info();
        let app = info.app_passwords.iter().find(|app| app.id == id);
        let expires = app.and_then(|app| app.expires_secs);
        expires.is_some_and(|expires| expires <= now_secs)
    }

    /// Why it does not stand any more for a session of this account, if so.
    pub(super) fn ended(&self, account: &dyn Account) -> Option<Ended> {
        let info = self.by.info();
        let has = |id| info.app_passwords.iter().any(|app| app.id == id);
        let account = account.info();
        if !account.enabled || !info.enabled {
            return Some(Ended::Disabled);
        } else if self.credential == Credential::Unasked {
            return None;
        } else if info.password.as_ref().map(|it| it.id) != self.main {
            return Some(Ended::PasswordChanged);
        } else if self.app().is_some_and(|id| !has(id)) {
            return Some(Ended::Revoked);
        }
        let may_act = info.id == account.id || info.may_act_as.allows(account.id);
        (!may_act).then_some(Ended::Revoked)
    }
}
