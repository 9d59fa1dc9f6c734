//! The records of the mail log, as values.
//!
//! A transaction is a list of records that count together. Each names the *resulting* state, never
//! an increment, so that applying a record twice, or after a later one, changes nothing: for a
//! message the highest (mailbox, uid, mod_seq) wins.

use std::sync::Arc;

use mail::{date::DateTime, flag::SystemFlags};
use mail::{
    flag::Keyword,
    id::{AccountId, BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity},
    mailbox::{MailboxName, SpecialUse},
    set::UidSet,
};

use super::body::Packed;
use crate::contract::{AccountInfo, Static};

/// What stands behind one acknowledgement.
#[derive(Clone, Debug)]
pub(crate) struct Transaction {
    /// When, seconds since 1970.
    pub(crate) time_secs: i64,
    /// Who, as in [`crate::Actor::origin`].
    pub(crate) origin: Arc<str>,
    /// What is true afterwards.
    pub(crate) records: Vec<Record>,
}

/// One thing that is true after a transaction.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Record {
    /// The account exists and is as told.
    Account(AccountInfo),
    /// The account is gone, with everything in it.
    AccountRemoved(AccountId, Purge),
    /// The mailbox exists and is as told; its counters stay if it existed.
    Mailbox(MailboxRecord),
    /// Mailboxes have these names now (RENAME of a tree is one record).
    Renamed(AccountId, Vec<(MailboxId, MailboxName)>),
    /// The mailbox is gone, with everything in it.
    MailboxDeleted(AccountId, MailboxId),
    /// The name is subscribed.
    Subscribed(AccountId, MailboxName),
    /// The name is not subscribed.
    Unsubscribed(AccountId, MailboxName),
    /// A body's bytes and its static data are stored under this id.
    Body(BodyRecord),
    /// Messages are in the mailbox with these rows.
    Messages(AccountId, MailboxId, Vec<MessageRecord>),
    /// Messages have these flags since this mod-sequence.
    Flags(AccountId, MailboxId, ModSeq, Vec<FlagsRecord>),
    /// Messages are gone since this mod-sequence.
    Expunged(AccountId, MailboxId, ModSeq, UidSet),
    /// UIDs below this are recent to nobody any more.
    RecentFloor(AccountId, MailboxId, Uid),
    /// Counters that never go back: written when a segment is sealed and by compaction.
    Counters(Counters),
}

/// When bodies of a removed account may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Purge {
    /// With the end of the undelete window.
    AfterWindow,
    /// At once.
    Now,
}

/// A mailbox as it is created.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MailboxRecord {
    /// Whose it is.
    pub(crate) account: AccountId,
    /// Its id.
    pub(crate) id: MailboxId,
    /// Its name.
    pub(crate) name: MailboxName,
    /// Its UIDVALIDITY.
    pub(crate) uid_validity: UidValidity,
    /// Its special uses.
    pub(crate) special_use: Vec<SpecialUse>,
}

/// A stored body.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct BodyRecord {
    /// Its id.
    pub(crate) id: BodyId,
    /// Size as delivered, bytes; with those of `rest`.
    pub(crate) size: u64,
    /// BLAKE3 of its own bytes as delivered.
    pub(crate) digest: [u8; 32],
    /// Its own bytes.
    pub(crate) data: BodyData,
    /// The body it goes on with, all of it, which it may share with others.
    pub(crate) rest: Option<BodyId>,
    /// What never changes of it.
    pub(crate) fixed: Arc<Static>,
}

/// Where a body's bytes are, in a record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum BodyData {
    /// In the record, packed before it is planned.
    Packed(Packed),
    /// In body frames that stand before the transaction in the log.
    Before,
}

/// A message's row in a record.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct MessageRecord {
    /// Its UID.
    pub(crate) uid: Uid,
    /// Its mod-sequence.
    pub(crate) mod_seq: ModSeq,
    /// Its body.
    pub(crate) body: BodyId,
    /// Its conversation.
    pub(crate) thread: ThreadId,
    /// INTERNALDATE.
    pub(crate) internal_date: DateTime,
    /// When it came into the mailbox, seconds since 1970.
    pub(crate) saved_secs: i64,
    /// RFC822.SIZE, bytes.
    pub(crate) size: u32,
    /// System flags.
    pub(crate) system: SystemFlags,
    /// Keywords, sorted.
    pub(crate) keywords: Vec<Keyword>,
}

/// Messages that have the same flags now.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct FlagsRecord {
    /// Which messages.
    pub(crate) uids: UidSet,
    /// Their system flags.
    pub(crate) system: SystemFlags,
    /// Their keywords, sorted.
    pub(crate) keywords: Vec<Keyword>,
}

/// The highest numbers ever handed out, of the store or of a mailbox.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Counters {
    /// Of the store: ids and UIDVALIDITY that are not to be handed out again.
    Store {
        /// Highest account id.
        account: u64,
        /// Highest mailbox id.
        mailbox: u64,
        /// Highest body id.
        body: u64,
        /// Highest UIDVALIDITY.
        uid_validity: u32,
    },
    /// Of a mailbox.
    Mailbox {
        /// Whose it is.
        account: AccountId,
        /// Which.
        mailbox: MailboxId,
        /// Its next UID.
        uid_next: Uid,
        /// Its highest mod-sequence.
        highest_mod_seq: ModSeq,
        /// Its history floor.
        history_floor: ModSeq,
    },
}
