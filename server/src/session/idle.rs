//! What a session waits for: a new version of its mailbox in IDLE (RFC 9051 §6.3.13), and at any
//! time whatever ends it.

use std::sync::Arc;

use mail::id::{MailboxId, UidValidity};
use store::{Account, state::MailboxState};
use tokio::sync::watch;
use wire::imap::code::Code;

use super::{Authenticated, Context, Session, login::LoggedIn};

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// There may be something to tell: the selected mailbox has a new version, or something that the
    /// client asked to be told of has.
    Version,
    /// The session cannot go on.
    Ended(Ended),
}

/// Why a session cannot go on, without the client's doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The account is removed.
    Removed,
    /// The account is disabled.
    Disabled,
    /// The password with which somebody could log in is another now.
    PasswordChanged,
    /// The app password, or the right to act as this account, was withdrawn.
    Revoked,
    /// The app password is older than it may be.
    Expired,
    /// The selected mailbox was deleted by somebody else, or its UIDs are no longer what they were.
    Deleted,
    /// The client did not let itself be told of changes for too long.
    Behind,
}

impl Ended {
    /// What the client is told.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Removed => "The account has been removed.",
            Self::Disabled => "The account has been disabled.",
            Self::PasswordChanged => "The password of the account has been changed.",
            Self::Revoked => "What this session logged in with has been withdrawn.",
            Self::Expired => "The app password of this session has expired.",
            Self::Deleted => "The selected mailbox has been deleted or renamed.",
            Self::Behind => "More has changed than can be remembered for this session.",
        }
    }

    /// The response code beside it.
    #[must_use]
    pub const fn code(self) -> Option<Code> {
        match self {
            Self::Behind => Some(Code::Unavailable),
            Self::Removed
            | Self::Disabled
            | Self::PasswordChanged
            | Self::Revoked
            | Self::Expired
            | Self::Deleted => None,
        }
    }
}

/// Wakes when something happens that concerns a session. Before login nothing does.
pub struct Changes(Option<Watched>);

struct Watched {
    account: Arc<dyn Account>,
    account_changes: watch::Receiver<u64>,
    login: LoggedIn,
    login_changes: watch::Receiver<u64>,
    mailbox: Option<Versions>,
    /// Whose changes are told.
    tells: Tells,
}

/// Which changes are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Tells {
    /// Of the selected mailbox.
    Selected,
    /// Of the whole account, the selected mailbox included (RFC 5465).
    Account,
}

/// The versions of the selected mailbox, and the UIDVALIDITY the client was told.
struct Versions(watch::Receiver<Arc<MailboxState>>, UidValidity);

impl Session {
    /// What the session waits for, from now on.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let mailbox = match self {
            Self::Selected(selected) => Some(Versions(
                selected.mailbox.watch(),
                selected.view.uid_validity(),
            )),
            Self::Authenticated(_) | Self::NotAuthenticated => None,
        };
        Changes(self.authenticated().map(|auth| Watched {
            account: Arc::clone(&auth.account),
            account_changes: auth.account.changes(),
            login: auth.login.clone(),
            login_changes: auth.login.changes(),
            mailbox,
            tells: match self.is_notified() {
                true => Tells::Account,
                false => Tells::Selected,
            },
        }))
    }

    /// Why the session cannot go on, if so.
    #[must_use]
    pub fn ended(&mut self, context: &Context) -> Option<Ended> {
        if let Self::Selected(selected) = self {
            let state = selected.mailbox.state();
            if !selected.view.fits(&state, context.session_bytes_max()) {
                return Some(Ended::Behind);
            }
        }
        let expired = |auth: &Authenticated| auth.login.has_expired(context.service.now_secs());
        if self.authenticated().is_some_and(expired) {
            return Some(Ended::Expired);
        }
        self.changes().0.as_ref().and_then(Watched::ended)
    }
}

impl Changes {
    /// Waits for the next change.
    pub async fn next(&mut self) -> Change {
        match &mut self.0 {
            Some(watched) => watched.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Watched {
    async fn next(&mut self) -> Change {
        loop {
            let version = tokio::select! {
                version = next_version(self.mailbox.as_mut()), if self.tells == Tells::Selected => {
                    version
                }
                // Wakes for every mailbox of the account.
                _ = self.account_changes.changed() => self.tells == Tells::Account,
                _ = self.login_changes.changed() => false,
            };
            if let Some(why) = self.ended() {
                return Change::Ended(why);
            }
            if version {
                return Change::Version;
            }
        }
    }

    fn ended(&self) -> Option<Ended> {
        let removed = |changes: &watch::Receiver<u64>| changes.has_changed().is_err();
        if removed(&self.account_changes) || removed(&self.login_changes) {
            return Some(Ended::Removed);
        }
        if let Some(ended) = self.login.ended(&*self.account) {
            return Some(ended);
        }
        let Versions(versions, uid_validity) = self.mailbox.as_ref()?;
        let (id, now) = {
            let state = versions.borrow();
            (state.id, state.summary.uid_validity)
        };
        match versions.has_changed().is_err() {
            // The mailboxes of an account that is removed are closed before it is.
            true if self.has_mailbox(id) => Some(Ended::Removed),
            true => Some(Ended::Deleted),
            false => (now != *uid_validity).then_some(Ended::Deleted),
        }
    }

    fn has_mailbox(&self, id: MailboxId) -> bool {
        let tree = self.account.tree();
        tree.mailboxes.values().any(|info| info.id == id)
    }
}

/// Whether there is a new version; without a mailbox, waits for ever.
async fn next_version(versions: Option<&mut Versions>) -> bool {
    match versions {
        Some(Versions(versions, _)) => versions.changed().await.is_ok(),
        None => std::future::pending().await,
    }
}
