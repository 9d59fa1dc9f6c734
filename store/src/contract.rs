//! The contract every engine fulfils: object-safe, one call per operation of a user.
//!
//! Authorisation is behind it: an [`Account`] is opened for an [`Actor`], and each operation on a
//! mailbox asks the one gate whether that actor may do it. "No such mailbox" and "not yours" are
//! the same error.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, OnceLock, atomic::AtomicU32},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use mail::{
    date::DateTime,
    flag::{FlagChange, Flags, UnchangedSince},
    id::{AccountId, BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity},
    mailbox::{MailboxKey, MailboxName, SpecialUse},
    predicate::Predicate,
    set::UidSet,
};
use tokio::sync::{mpsc, watch};

use crate::{
    credential::{ActAs, AppPassword, CredentialChange, CredentialId, MainPassword, Verifiers},
    error::Result,
    histogram::Reading,
    history::{HistoryEnd, HistoryQuery, Past},
    state::{MailboxState, Summary},
};

/// A store of accounts.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Creates an account with INBOX, Drafts, Sent, Junk, Trash and Archive, all subscribed.
    ///
    /// # Errors
    /// [`crate::Error::AlreadyExists`] if the name or an alias is taken.
    async fn create_account(&self, new: NewAccount) -> Result<Arc<AccountInfo>>;
    /// Every account, by name.
    fn accounts(&self) -> Vec<Arc<AccountInfo>>;
    /// How many accounts there are; known without looking at each.
    fn account_count(&self) -> usize;
    /// How many accounts can be logged in to with a password, but not by SCRAM; known without
    /// looking at each.
    fn accounts_without_scram(&self) -> usize;
    /// The account with this name or alias, in any case.
    fn find_account(&self, name: &str) -> Option<Arc<AccountInfo>>;
    /// Changes an account.
    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
    ) -> Result<Arc<AccountInfo>>;
    /// Removes an account and its mail; its id never returns.
    async fn remove_account(&self, id: AccountId) -> Result<()>;
    /// Removes an account and its mail, whose space is given back at once instead of after the
    /// undelete window; but what other accounts have too stays.
    async fn purge_account(&self, id: AccountId) -> Result<()>;
    /// Gives the space of deleted mail back now, as far as the undelete window allows, and says
    /// how much that was. It is done by itself too, when enough of a segment of the log may go.
    async fn compact(&self) -> Result<Compacted>;
    /// How much room bodies of messages took when it was looked last, at most minutes ago.
    fn room(&self) -> Room;
    /// Opens an account for an actor.
    async fn open_account(&self, id: AccountId, actor: Actor) -> Result<Arc<dyn Account>>;
    /// Begins what messages to several accounts have in common, `announced_bytes` of it. It counts
    /// in no quota until it is part of a message.
    async fn upload(&self, announced_bytes: u64) -> Result<Box<dyn Upload>>;
    /// Makes the end of messages from what was uploaded with [`Store::upload`], of which the first
    /// `header_bytes` belong to the header.
    async fn share(&self, upload: Box<dyn Upload>, header_bytes: u64) -> Result<Arc<dyn Shared>>;
    /// Compares everything that is stored with itself: counts, UIDs, mod-sequences, bodies, index.
    /// Returns one line per inconsistency; none is health.
    async fn check(&self) -> Result<Vec<String>>;
    /// Tells what was done in the past, oldest first, as long as somebody listens.
    async fn history(&self, query: HistoryQuery, to: mpsc::Sender<Past>) -> Result<HistoryEnd>;
    /// `Ok` if writes are taken; else why not.
    fn health(&self) -> Result<()>;
    /// What was counted since the store was opened, and what waits in it.
    fn measures(&self) -> Measures;
    /// How long the transactions that are being written have been so: zero while nothing waits.
    fn busy_for(&self) -> Duration;
    /// How far a lost index has been made again; `None` if there is nothing to wait for. Accounts
    /// that are not there yet answer after some seconds with [`crate::Error::Unavailable`].
    fn rebuilding(&self) -> Option<Rebuilding>;
    /// Makes everything durable and stops. Later calls answer [`crate::Error::Unavailable`].
    async fn close(&self);
}

/// What was given back of the space of deleted mail.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compacted {
    /// Segments of the log that were rewritten.
    pub segments: u64,
    /// Bytes they had.
    pub bytes_before: u64,
    /// Bytes they have.
    pub bytes_after: u64,
}

/// How much room bodies of messages take, as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    /// Of messages that are there, bytes.
    pub live_bytes: u64,
    /// Of deleted messages within the undelete window, bytes.
    pub waiting_bytes: u64,
    /// Of deleted messages, to be given back, bytes.
    pub dead_bytes: u64,
}

/// What a store counted since it was opened, and what waits in it.
#[derive(Clone, Debug)]
pub struct Measures {
    /// How long a write and sync of the log took.
    pub commit_times: Reading,
    /// How many transactions one of them made durable.
    pub commit_batches: Reading,
    /// Transactions that became durable.
    pub commits: u64,
    /// Writes and syncs that failed.
    pub commit_failures: u64,
    /// When something became durable last, seconds since 1970.
    pub last_commit_secs: Option<i64>,
    /// Transactions and pieces of messages that wait to be written, …
    pub queue_items: u64,
    /// … and their bytes.
    pub queue_bytes: u64,
    /// Frames of the log that are durable and not in the index yet, …
    pub index_lag_frames: u64,
    /// … and their bytes without bodies.
    pub index_lag_bytes: u64,
}

/// How far a lost index has been made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rebuilding {
    /// Accounts in all.
    pub accounts: u64,
    /// Accounts that are there.
    pub accounts_done: u64,
    /// Messages in all; one that was copied or moved counts each time.
    pub messages: u64,
    /// Messages that are there.
    pub messages_done: u64,
    /// Seconds left, if it goes on as it went so far.
    pub secs_left: Option<u64>,
}

impl std::fmt::Display for Rebuilding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            accounts,
            accounts_done,
            messages,
            messages_done,
            secs_left,
        } = self;
        write!(
            f,
            "{accounts_done} of {accounts} accounts, {messages_done} of {messages} messages"
        )?;
        match secs_left {
            Some(secs) => write!(f, ", {secs} s left"),
            None => Ok(()),
        }
    }
}

/// Who does something: for authorisation, and for the record of who did what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// Whose rights are used.
    pub account: AccountId,
    /// Which session or program, such as `imap 127.0.0.1:51234 #17` or `lmtp`.
    pub origin: Arc<str>,
    /// What the client calls itself (RFC 2971), once it has.
    pub client: Arc<OnceLock<Arc<str>>>,
    /// What of those rights may be used.
    pub access: Access,
}

impl Actor {
    /// Who it is, for the record of who did what: the origin, and behind it the client's own name.
    #[must_use]
    pub fn stamp(&self) -> Arc<str> {
        match self.client.get() {
            Some(client) => format!("{} {client}", self.origin).into(),
            None => Arc::clone(&self.origin),
        }
    }
}

/// An account to create.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// Its name, such as `you@localhost`; unique in any case.
    pub name: String,
    /// Other names under which mail and logins find it.
    pub aliases: Vec<String>,
    /// What its password is compared with; without one nobody can log in with a password.
    pub password: Option<Verifiers>,
    /// Shown to people.
    pub display_name: String,
    /// How much it may hold.
    pub quota: Quota,
}

/// How much an account may hold; `None` is without limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quota {
    /// Sum of message sizes, bytes.
    pub bytes: Option<u64>,
    /// Messages.
    pub messages: Option<u64>,
}

/// How much an account holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Sum of message sizes, bytes.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its aliases.
    pub aliases: Vec<String>,
    /// Its main password.
    pub password: Option<MainPassword>,
    /// Its app passwords, in the order in which they were made.
    pub app_passwords: Vec<AppPassword>,
    /// The highest id of a credential ever given in this account.
    pub credentials_issued: CredentialId,
    /// As whom it may act.
    pub may_act_as: ActAs,
    /// Shown to people.
    pub display_name: String,
    /// Whether it may log in and receive mail.
    pub enabled: bool,
    /// How much it may hold.
    pub quota: Quota,
    /// When it was created, seconds since 1970.
    pub created_secs: i64,
}

impl std::fmt::Debug for AccountInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccountInfo")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A change of an account; `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct AccountChange {
    /// All aliases.
    pub aliases: Option<Vec<String>>,
    /// What becomes of its credentials, in order.
    pub credentials: Vec<CredentialChange>,
    /// As whom it may act.
    pub may_act_as: Option<ActAs>,
    /// Shown to people.
    pub display_name: Option<String>,
    /// Whether it may log in and receive mail.
    pub enabled: Option<bool>,
    /// How much it may hold.
    pub quota: Option<Quota>,
}

/// An account opened for an actor.
#[async_trait]
pub trait Account: Send + Sync {
    /// The account as it is now.
    fn info(&self) -> Arc<AccountInfo>;
    /// The mailboxes and subscriptions as they are now.
    fn tree(&self) -> Arc<Tree>;
    /// Counters of a mailbox, without loading it.
    fn summary(&self, id: MailboxId) -> Result<Summary>;
    /// What became of the account since a version of it, at one moment; what costs is what changed.
    fn news(&self, since: u64) -> Result<News>;
    /// How much the account holds.
    fn usage(&self) -> Usage;
    /// Wakes when any mailbox, name or subscription of the account changed; closes when the
    /// account is removed.
    fn changes(&self) -> watch::Receiver<u64>;
    /// Creates a mailbox and its missing parents (RFC 9051 §6.3.4).
    async fn create_mailbox(
        &self,
        name: &MailboxName,
        special_use: &[SpecialUse],
    ) -> Result<Arc<MailboxInfo>>;
    /// Deletes a mailbox; its children stay (RFC 9051 §6.3.5).
    async fn delete_mailbox(&self, id: MailboxId) -> Result<()>;
    /// Renames a mailbox and everything below it; of INBOX it moves the mail and leaves INBOX and
    /// its children (RFC 9051 §6.3.6).
    async fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<()>;
    /// Subscribes to a name, or ends that. The name need not exist.
    async fn subscribe(&self, name: &MailboxName, subscription: Subscription) -> Result<()>;
    /// Opens a mailbox.
    async fn open_mailbox(&self, id: MailboxId, access: Access) -> Result<Arc<dyn Mailbox>>;
    /// Begins a message of `announced_bytes`; quota is reserved until the upload is appended or
    /// dropped.
    async fn upload(&self, announced_bytes: u64) -> Result<Box<dyn Upload>>;
    /// Adds messages to a mailbox, all or none, in order (RFC 3502).
    async fn append(&self, to: MailboxId, messages: Vec<NewMessage>) -> Result<Appended>;
    /// Adds a message whose end other accounts may have too: it is stored once, whatever becomes of
    /// those others. Quota counts the whole message.
    async fn deliver(&self, to: MailboxId, message: Delivery) -> Result<Appended>;
}

/// The names of an account.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    /// Mailboxes by key.
    pub mailboxes: BTreeMap<MailboxKey, Arc<MailboxInfo>>,
    /// Subscribed names by key; a name may have no mailbox.
    pub subscriptions: BTreeMap<MailboxKey, MailboxName>,
}

/// What became of an account since a version of it.
#[derive(Clone, Debug)]
pub struct News {
    /// The version that is shown now. It counts from 0, when nothing was changed since the account
    /// was loaded.
    pub version: u64,
    /// The names as they are now.
    pub tree: Arc<Tree>,
    /// Mailboxes that are there and whose counters have changed, or that are new.
    pub mailboxes: Vec<MailboxNews>,
}

/// A mailbox whose counters have changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MailboxNews {
    /// Which.
    pub id: MailboxId,
    /// Its counters as they are now.
    pub summary: Summary,
    /// When they changed.
    pub changes: Changes,
}

/// When the counters of a mailbox changed last: versions of the account, each 0 if it has not
/// changed since the account was loaded. So that whoever was told of a version needs to remember
/// nothing else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// How many messages there are, or the next UID.
    pub messages: u64,
    /// How many are not seen.
    pub unseen: u64,
    /// The highest mod-sequence.
    pub mod_seq: u64,
    /// UIDVALIDITY
    pub uid_validity: u64,
    /// Anything, before the last change, …
    pub before: u64,
    /// … and the highest mod-sequence then; nothing if the mailbox was new.
    pub mod_seq_before: Option<ModSeq>,
}

/// A mailbox in the tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxInfo {
    /// Its id.
    pub id: MailboxId,
    /// Its name in the spelling it was created with.
    pub name: MailboxName,
    /// Special uses, sorted.
    pub special_use: Vec<SpecialUse>,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
}

/// Whether a name is subscribed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subscription {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// How a mailbox is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Changes are refused and nothing is taken as seen.
    ReadOnly,
    /// Changes are allowed.
    ReadWrite,
}

/// A message on its way in: its bytes, as they come. Dropping it leaves nothing behind.
#[async_trait]
pub trait Upload: Send {
    /// Adds bytes.
    async fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// How many bytes it holds.
    fn len(&self) -> u64;
    /// Whether it holds none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// For the engine: the upload as what it is.
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send>;
}

/// A message to append.
pub struct NewMessage {
    /// Its bytes.
    pub upload: Box<dyn Upload>,
    /// What never changes of it.
    pub fixed: Static,
    /// Its flags.
    pub flags: Flags,
    /// Its INTERNALDATE; now if absent.
    pub internal_date: Option<DateTime>,
}

/// The end that messages to several accounts have in common. Dropping it leaves nothing behind but
/// the messages that have it.
pub trait Shared: Send + Sync {
    /// How many bytes it has.
    fn len(&self) -> u64;
    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// For the engine: what it is.
    fn into_any(self: Arc<Self>) -> Arc<dyn std::any::Any + Send + Sync>;
}

/// A message to one of several accounts.
pub struct Delivery {
    /// Its own bytes, with which it begins.
    pub head: Bytes,
    /// What comes after them.
    pub rest: Arc<dyn Shared>,
    /// What never changes of the whole message.
    pub fixed: Static,
    /// Its flags.
    pub flags: Flags,
    /// Its INTERNALDATE; now if absent.
    pub internal_date: Option<DateTime>,
}

/// What a client may treat as static of a message: made once, at delivery, kept with it and sent
/// as it is. Opaque to the store but for the search texts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Static {
    /// Version of the parser that made it.
    pub version: u16,
    /// ENVELOPE's value as it is sent.
    pub envelope: Bytes,
    /// BODY's value as it is sent.
    pub body: Bytes,
    /// BODYSTRUCTURE's value as it is sent.
    pub body_structure: Bytes,
    /// The part tree (`mail::structure`'s encoding).
    pub parts: Bytes,
    /// Bytes of the header block, blank line included.
    pub header_bytes: u64,
    /// The moment of the `Date:` field, if it has one.
    pub sent: Option<DateTime>,
    /// Decoded values of header fields that are often searched: lower-case name and value.
    pub fields: Vec<(Box<str>, Box<str>)>,
    /// The first words of the text (RFC 8970), at most 200 characters.
    pub preview: Box<str>,
    /// Message-ID, then the ids of In-Reply-To and References, for threads.
    pub thread_keys: Vec<Box<str>>,
}

/// What APPEND did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// Epoch of the UIDs.
    pub uid_validity: UidValidity,
    /// UIDs in the order of the messages, ascending.
    pub uids: UidSet,
}

/// A mailbox opened for an actor.
#[async_trait]
pub trait Mailbox: Send + Sync {
    /// Its id.
    fn id(&self) -> MailboxId;
    /// The version published now.
    fn state(&self) -> Arc<MailboxState>;
    /// Wakes at each new version; closes when the mailbox is deleted.
    fn watch(&self) -> watch::Receiver<Arc<MailboxState>>;
    /// Changes flags of the messages that exist of `uids`, in steps of at most 10,000. With
    /// `unchanged_since`, messages changed later are left and named (RFC 7162 §3.1.3). A message
    /// that already has the result keeps its mod-sequence.
    async fn store_flags(
        &self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<UnchangedSince>,
    ) -> Result<FlagsOutcome>;
    /// Removes messages for ever; returns which.
    async fn expunge(&self, which: Expunge) -> Result<UidSet>;
    /// Copies the messages that exist of `uids`, all or none; flags, INTERNALDATE and body are
    /// those of the source.
    async fn copy(&self, uids: &UidSet, to: MailboxId) -> Result<Transferred>;
    /// Moves the messages that exist of `uids`, in steps of at most 10,000, each message at every
    /// moment in at least one mailbox.
    async fn move_to(&self, uids: &UidSet, to: MailboxId) -> Result<Transferred>;
    /// Begins the message that is to take the place of another (RFC 8508): of `announced_bytes`, only
    /// what it has more than that one is reserved.
    async fn upload_replacing(&self, uid: Uid, announced_bytes: u64) -> Result<Box<dyn Upload>>;
    /// Adds a message to a mailbox of the account and removes another one from this, for ever, both
    /// at once or neither (RFC 8508 §3.4). Quota counts the difference.
    ///
    /// # Errors
    /// [`crate::Error::Expunged`] if that other one is gone.
    async fn replace(&self, uid: Uid, to: MailboxId, message: NewMessage) -> Result<Appended>;
    /// What never changes of these messages, in their order: of as many, from the first on, as are
    /// some hundred kilobytes together, and of one at least. One message may have thousands of
    /// parts, and all of it is in memory at once. An expunged one is still there within the undelete
    /// window.
    async fn fixed(&self, bodies: &[BodyId]) -> Result<Vec<Arc<Static>>>;
    /// UIDs that were expunged after a mod-sequence, and perhaps some more that do not exist;
    /// `None` if that is further back than is remembered (RFC 7162 §3.2.5.2).
    async fn expunged_since(&self, mod_seq: ModSeq) -> Result<Option<UidSet>>;
    /// Up to `len` bytes of a body from `offset`: fewer only at its end.
    async fn read(&self, body: BodyId, offset: u64, len: usize) -> Result<Bytes>;
    /// Ranges of bodies, each as [`Mailbox::read`] gives it, in their order. The caller bounds the
    /// sum of their lengths; all of them are in memory at once.
    async fn read_many(&self, wanted: &[(BodyId, Range<u64>)]) -> Result<Vec<Bytes>>;
    /// The messages of `state` that satisfy the predicate. [`Predicate::Recent`] is false here.
    async fn search(
        &self,
        state: &Arc<MailboxState>,
        predicate: &Predicate<UidSet>,
    ) -> Result<UidSet> {
        self.search_watched(state, predicate, &Arc::default()).await
    }
    /// The same; `looked_at` is how many messages of `state` were looked at so far.
    async fn search_watched(
        &self,
        state: &Arc<MailboxState>,
        predicate: &Predicate<UidSet>,
        looked_at: &Arc<AtomicU32>,
    ) -> Result<UidSet>;
    /// Takes the messages that no session was told of as recent (RFC 3501 §2.3.2): the first UID
    /// of them; those up to the version's uid_next are the caller's. `None` if there are none.
    fn take_recent(&self, state: &MailboxState) -> Option<Uid>;
}

/// Which messages EXPUNGE removes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expunge {
    /// All that are `\Deleted`.
    Deleted,
    /// Those of the set that are `\Deleted`.
    DeletedOf(UidSet),
    /// Those of the set that are `\Deleted` and have not changed after this mod-sequence.
    DeletedUnchanged(Vec<(UidSet, ModSeq)>),
}

/// What STORE did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FlagsOutcome {
    /// Messages that now have the flags asked for, changed or not.
    pub done: UidSet,
    /// Messages left alone because they changed after `unchanged_since`.
    pub modified: UidSet,
    /// UIDs that do not exist.
    pub missing: UidSet,
    /// The version in which all of it is visible.
    pub mod_seq: Option<ModSeq>,
}

/// What COPY or MOVE did: the n-th source became the n-th target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transferred {
    /// Epoch of the target's UIDs.
    pub uid_validity: UidValidity,
    /// UIDs in the source, ascending.
    pub from: UidSet,
    /// UIDs in the target, ascending.
    pub to: UidSet,
}

/// Thread and body of a message share their first id (RFC 8474 §5).
#[must_use]
pub const fn first_thread(body: BodyId) -> Option<ThreadId> {
    ThreadId::new(body.get())
}
