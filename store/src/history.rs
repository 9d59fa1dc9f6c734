//! What happened in the past, as the log remembers it: who did what to which messages.
//!
//! The log keeps every record of what was done, even when the space of deleted bodies is given back
//! (decision 0009), so the past begins with the store itself; only bytes of the log that cannot be
//! read are missing, and are named.

use std::sync::Arc;

use mail::{
    flag::Flags,
    id::{AccountId, Uid},
    mailbox::MailboxKey,
    set::UidSet,
};

/// Of what the past is wanted.
#[derive(Clone, Debug, Default)]
pub struct HistoryQuery {
    /// Of this account only.
    pub account: Option<AccountId>,
    /// Of the mailbox that has this name, or had it then.
    pub mailbox: Option<MailboxKey>,
    /// Of the message with this UID.
    pub uid: Option<Uid>,
    /// Of the messages with this Message-ID, which is written without its angle brackets.
    pub message_id: Option<Box<str>>,
    /// From this moment on, seconds since 1970.
    pub since_secs: Option<i64>,
}

/// One thing that was done.
#[derive(Clone, PartialEq, Debug)]
pub struct Past {
    /// When, seconds since 1970.
    pub time_secs: i64,
    /// By which session or program: [`crate::Actor::stamp`].
    pub origin: Arc<str>,
    /// In whose account: its name, or its number if the log no longer tells.
    pub account: Arc<str>,
    /// What.
    pub deed: Deed,
}

/// What was done. Mailboxes have the name that they had then.
#[derive(Clone, PartialEq, Debug)]
pub enum Deed {
    /// The account was created or changed.
    AccountSet,
    /// The account was removed with its mail.
    AccountRemoved,
    /// A mailbox was created.
    MailboxCreated {
        /// Its name.
        mailbox: Arc<str>,
    },
    /// A mailbox got another name.
    MailboxRenamed {
        /// Its name before.
        mailbox: Arc<str>,
        /// Its name since.
        to: Arc<str>,
    },
    /// A mailbox was deleted with its messages.
    MailboxDeleted {
        /// Its name.
        mailbox: Arc<str>,
    },
    /// A name was subscribed.
    Subscribed {
        /// The name.
        mailbox: Arc<str>,
    },
    /// A name was unsubscribed.
    Unsubscribed {
        /// The name.
        mailbox: Arc<str>,
    },
    /// New messages came: a delivery, or an APPEND.
    Added {
        /// Where to.
        mailbox: Arc<str>,
        /// Their UIDs there.
        uids: UidSet,
        /// The Message-ID, if it is one message that has one.
        message_id: Option<Box<str>>,
    },
    /// Messages were copied.
    Copied {
        /// Where to; from where is not recorded.
        mailbox: Arc<str>,
        /// Their UIDs there.
        uids: UidSet,
    },
    /// Messages were moved.
    Moved {
        /// Where from.
        mailbox: Arc<str>,
        /// The UIDs they had there.
        uids: UidSet,
        /// Where to.
        to: Arc<str>,
        /// The UIDs they have there.
        to_uids: UidSet,
    },
    /// Messages got these flags.
    Flagged {
        /// Where they are.
        mailbox: Arc<str>,
        /// Which.
        uids: UidSet,
        /// All the flags they have since.
        flags: Flags,
    },
    /// Messages were removed for good (EXPUNGE).
    Expunged {
        /// Where they were.
        mailbox: Arc<str>,
        /// Which.
        uids: UidSet,
    },
}

/// How far the past could be told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct HistoryEnd {
    /// When what was read of the log begins, seconds since 1970; `None` if nothing was done yet.
    pub begins_secs: Option<i64>,
    /// What of the log could not be read, in words; what it recorded is not told.
    pub missing: Vec<String>,
}
