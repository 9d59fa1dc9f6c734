//! The one gate: whether an actor may do something. Every operation asks here.
//!
//! An account's owner may do everything, or only read; for everybody else there is nothing. Rights that are
//! granted to others (RFC 4314) will be decided here and nowhere else.

use mail::id::{AccountId, MailboxId};

use crate::{
    contract::{Access, Actor},
    error::{Error, Result, What},
};

/// What is asked for: an account, or a mailbox of it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Subject {
    Account(AccountId),
    Mailbox(AccountId, MailboxId),
}

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Right {
    /// See that it is there, and its counters.
    Lookup,
    /// Read messages.
    Read,
    /// Change flags.
    Flags,
    /// Add messages.
    Insert,
    /// Remove messages.
    Expunge,
    /// Create, delete and rename mailboxes; subscribe.
    Names,
}

/// Whether `actor` may do what needs `right`. What one may not see does not exist.
pub(crate) fn authorise(actor: &Actor, subject: Subject, right: Right) -> Result<()> {
    let (owner, mailbox, what) = match subject {
        Subject::Account(owner) => (owner, None, What::Account),
        Subject::Mailbox(owner, mailbox) => (owner, Some(mailbox), What::Mailbox),
    };
    if actor.account == owner {
        return match (actor.access, right) {
            (Access::ReadWrite, _) | (Access::ReadOnly, Right::Lookup | Right::Read) => Ok(()),
            (Access::ReadOnly, _) => Err(Error::Denied),
        };
    }
    tracing::debug!(%owner, ?mailbox, ?right, origin = %actor.origin, "not permitted");
    Err(Error::NotFound(what))
}
