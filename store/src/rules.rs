//! The rules of mailboxes, as pure functions: given a state, what a command changes.
//!
//! Each returns the records that make the change durable and the state after it. Every engine uses
//! these, so that UIDs, mod-sequences, flags, names and quotas mean the same in all of them. No
//! I/O, no clock, no lock. RFC 9051 §2.3, §6.3 and §6.4; RFC 7162 §3.1.

pub(crate) mod accounts;
pub(crate) mod messages;
pub(crate) mod names;
pub(crate) mod quota;
pub(crate) mod threads;

use mail::{
    id::{AccountId, ModSeq},
    limits::Names,
};

use crate::{
    embedded::record::Record,
    error::{Error, Result},
    state::MailboxState,
};

/// Messages that one step of STORE, EXPUNGE or MOVE visits; each step is a transaction.
pub(crate) const STEP_MESSAGES: usize = 10_000;

/// What the rules need to know of the configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Different keywords in one mailbox.
    pub(crate) keywords_per_mailbox_max: usize,
    /// A keyword that is new in a mailbox, bytes.
    pub(crate) keyword_bytes_max: usize,
    /// Mailboxes of one account.
    pub(crate) mailboxes_max: usize,
    /// What a new mailbox may be called.
    pub(crate) names: Names,
}

/// Whose mail is changed, when, and within which limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    /// The account.
    pub(crate) account: AccountId,
    /// Seconds since 1970.
    pub(crate) now_secs: i64,
    /// The limits.
    pub(crate) limits: Limits,
}

/// Mailboxes after a change, in the order in which they are to be shown, and its records.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// The new versions.
    pub(crate) states: Vec<MailboxState>,
    /// What makes them durable.
    pub(crate) records: Vec<Record>,
}

/// The mod-sequence of the next change of a mailbox: never the clock (RFC 7162 §3.1).
pub(crate) fn next_mod_seq(state: &MailboxState) -> Result<ModSeq> {
    state
        .summary
        .highest_mod_seq
        .next()
        .ok_or(Error::Limit("mod-sequences of a mailbox"))
}
