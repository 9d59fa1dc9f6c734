//! Every response as a value (RFC 9051 §7); [`crate::encode`] writes them.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    date::DateTime,
    flag::{Flags, Keyword, SystemFlags},
    id::{BodyId, ModSeq, ThreadId, Uid},
    mailbox::{MailboxName, SpecialUse},
    set::{Set, UidSet},
};

use super::{
    code::Code,
    command::Tag,
    fetch::{BodySection, Partial},
    list::SelectOptions,
    page::Page,
    quota::QuotaResource,
    select::Enableable,
    sequence::{Numbers, Seq},
    status::StatusItem,
};

/// What is said of a whole command or connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Status {
    /// It was done.
    Ok,
    /// It could not be done.
    No,
    /// It was not understood.
    Bad,
}

/// The one tagged answer of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Completion {
    /// OK, NO or BAD.
    pub status: Status,
    /// In brackets.
    pub code: Option<Code>,
    /// For people: one short sentence without internals, never empty.
    pub text: std::borrow::Cow<'static, str>,
}

/// An untagged response.
#[derive(Clone, PartialEq, Debug)]
pub enum Untagged {
    /// `* OK`, `* NO` or `* BAD`
    Status(Completion),
    /// `* PREAUTH`
    PreAuth(Option<Code>, std::borrow::Cow<'static, str>),
    /// `* BYE`
    Bye(Option<Code>, std::borrow::Cow<'static, str>),
    /// CAPABILITY: joined by single spaces
    Capability(String),
    /// ENABLED
    Enabled(Vec<Enableable>),
    /// ID: fields; none is NIL
    Id(Vec<(&'static str, String)>),
    /// LIST
    List(ListEntry),
    /// LSUB
    Lsub(ListEntry),
    /// NAMESPACE: one personal namespace with the empty prefix and `/`
    Namespace,
    /// STATUS
    MailboxStatus(MailboxStatus),
    /// XLIST: as LIST, with the names of its own for special uses
    Xlist(ListEntry),
    /// QUOTAROOT (RFC 9208 §4.2.2): a mailbox and its quota roots
    QuotaRoots(MailboxName, Vec<&'static str>),
    /// QUOTA (RFC 9208 §4.2.1): a quota root and what is limited in it
    Quota(&'static str, Vec<QuotaResource>),
    /// FLAGS: system flags and keywords of the mailbox
    Flags(SystemFlags, Vec<Keyword>),
    /// EXISTS
    Exists(u32),
    /// RECENT (RFC 3501 §7.3.2)
    Recent(u32),
    /// EXPUNGE
    Expunge(Seq),
    /// VANISHED (RFC 7162 §3.2.10): UIDs; none is no response
    Vanished(Vanished, UidSet),
    /// SEARCH (RFC 3501 §7.2.5), with the highest mod-sequence if MODSEQ was among its keys
    /// (RFC 7162 §3.1.6)
    Search(Vec<u32>, Option<ModSeq>),
    /// ESEARCH
    ESearch(ESearch),
    /// UIDBATCHES (RFC 10022 §3.1.2): ranges from the highest UID to the lowest, each likewise
    UidBatches(Tag, Vec<(Uid, Uid)>),
    /// FETCH or UIDFETCH
    Fetch(Subject, Vec<FetchData>),
}

/// The message that a FETCH response is of, and with that which response it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// FETCH: its sequence number.
    Seq(Seq),
    /// UIDFETCH: its UID, which needs not be among the items then (RFC 9586 §3.3).
    Uid(Uid),
}

/// When messages vanished.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Vanished {
    /// `(EARLIER)`: before the session knew of them; no number changes (RFC 7162 §3.2.10.1).
    Earlier,
    /// Now: the numbers behind them move up, as with EXPUNGE (§3.2.10.2).
    Now,
}

/// A line of LIST or LSUB.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListEntry {
    /// Attributes, in the order they are sent.
    pub attributes: Vec<ListAttribute>,
    /// The name, not yet encoded; the root (`LIST "" ""`) has none.
    pub name: Option<MailboxName>,
    /// `OLDNAME`: the spelling that an IMAP4rev2 client used (RFC 9051 §6.3.9.7), or the name
    /// before a RENAME, to whoever asked for that (RFC 5465 §5.4).
    pub old_name: Option<MailboxName>,
    /// `CHILDINFO` (RFC 9051 §6.3.9.6): the selection options that a descendant satisfies.
    pub child_info: Option<SelectOptions>,
}

/// A mailbox attribute (RFC 9051 §7.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ListAttribute {
    /// `\NonExistent`
    NonExistent,
    /// `\Noinferiors`
    NoInferiors,
    /// `\Noselect`
    NoSelect,
    /// `\HasChildren`
    HasChildren,
    /// `\HasNoChildren`
    HasNoChildren,
    /// `\Subscribed`
    Subscribed,
    /// A special use
    SpecialUse(SpecialUse),
    /// `\Inbox`: INBOX, in XLIST only
    Inbox,
    /// A special use, as XLIST names it
    XlistUse(SpecialUse),
}

impl ListAttribute {
    /// Its name on the wire, backslash included.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NonExistent => "\\NonExistent",
            Self::NoInferiors => "\\Noinferiors",
            Self::NoSelect => "\\Noselect",
            Self::HasChildren => "\\HasChildren",
            Self::HasNoChildren => "\\HasNoChildren",
            Self::Subscribed => "\\Subscribed",
            Self::SpecialUse(special_use) => special_use.attribute(),
            Self::Inbox => "\\Inbox",
            Self::XlistUse(special_use) => match special_use {
                SpecialUse::All => "\\AllMail",
                SpecialUse::Flagged => "\\Starred",
                SpecialUse::Junk => "\\Spam",
                other => other.attribute(),
            },
        }
    }
}

/// A STATUS response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MailboxStatus {
    /// Which mailbox.
    pub name: MailboxName,
    /// Items with their numbers.
    pub items: Vec<(StatusItem, u64)>,
}

/// An ESEARCH response (RFC 9051 §7.3.4).
#[derive(Clone, PartialEq, Debug)]
pub struct ESearch {
    /// The tag of the command it answers.
    pub tag: Tag,
    /// Which numbers it uses.
    pub numbers: Numbers,
    /// MIN
    pub min: Option<u32>,
    /// MAX
    pub max: Option<u32>,
    /// ALL; an empty set is not written.
    pub all: Option<NumberSet>,
    /// COUNT
    pub count: Option<u32>,
    /// MODSEQ (RFC 4731 §3.2): the highest of the messages found
    pub mod_seq: Option<ModSeq>,
    /// PARTIAL (RFC 9394 §3.1): the page that was asked for and what is on it
    pub partial: Option<(Page, NumberSet)>,
}

/// A set in the numbers of the command it answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NumberSet {
    /// Sequence numbers.
    Seq(Set<Seq>),
    /// UIDs.
    Uid(Set<Uid>),
}

impl NumberSet {
    /// Whether it names no message.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Seq(numbers) => numbers.is_empty(),
            Self::Uid(numbers) => numbers.is_empty(),
        }
    }
}

/// One item of a FETCH response.
#[derive(Clone, PartialEq, Debug)]
pub enum FetchData {
    /// FLAGS, and whether `\Recent` is among them (IMAP4rev1 only)
    Flags(Arc<Flags>, Recent),
    /// UID
    Uid(Uid),
    /// INTERNALDATE
    InternalDate(DateTime),
    /// RFC822.SIZE
    Size(u64),
    /// ENVELOPE: its value, as `encode` wrote it at delivery
    Envelope(Bytes),
    /// BODY: likewise
    Body(Bytes),
    /// BODYSTRUCTURE: likewise
    BodyStructure(Bytes),
    /// `BODY[…]<origin>` or an RFC822 item, with its content; `None` is NIL
    BodySection(BodySection, Option<Content>),
    /// `BINARY[…]<origin>` with its content; `None` is NIL
    Binary(Vec<u32>, Option<Partial>, Option<Content>),
    /// `BINARY.SIZE[…]`
    BinarySize(Vec<u32>, u64),
    /// MODSEQ (RFC 7162 §3.1.4.2)
    ModSeq(ModSeq),
    /// EMAILID (RFC 8474 §5.3)
    EmailId(BodyId),
    /// THREADID (RFC 8474 §5.3)
    ThreadId(ThreadId),
    /// SAVEDATE (RFC 8514 §4.2)
    SaveDate(DateTime),
    /// PREVIEW (RFC 8970 §3.2); empty if there is none
    Preview(Box<str>),
}

/// Whether a message is recent in this session (RFC 3501 §2.3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recent {
    /// It is, and the session is told so.
    Recent,
    /// It is not, or the session does not know of such a flag.
    No,
}

/// Content of a section: bytes at hand, or so many bytes that the connection streams in this place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// The bytes; written as a literal, or in `BINARY[…]` as a literal8 if a NUL is among them.
    Bytes(Bytes),
    /// A literal of this many bytes, whose content the connection pumps from the store.
    Stream(u64),
}
