//! A whole command as a value, grouped by the states in which it is allowed (RFC 9051 §6).

use super::{
    append, auth, basic, list, mailbox, notify, quota, replace, search, select, sequence, status,
    store,
    table::{self, Expunge, Property},
    transfer, uid_batches,
};
use crate::{
    cursor::{Cursor, Extent, Parsed, Stop},
    limits::Limits,
};

/// A tag: what the client put before its command, given back in the one tagged response.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tag(pub Box<str>);

/// A command with its tag.
#[derive(Clone, PartialEq, Debug)]
pub struct Tagged {
    /// The client's tag.
    pub tag: Tag,
    /// The command.
    pub command: Command,
}

/// A command, by the group of states in which it is allowed.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// In any state (RFC 9051 §6.1).
    Any(AnyState),
    /// Only before authentication (§6.2).
    NotAuthenticated(NotAuthenticated),
    /// Authenticated and selected (§6.3).
    Authenticated(Authenticated),
    /// Only with a mailbox selected (§6.4).
    Selected(Selected),
}

/// Commands of any state.
#[derive(Clone, PartialEq, Debug)]
pub enum AnyState {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971)
    Id(basic::Id),
}

/// Commands before authentication.
#[derive(Clone, PartialEq, Debug)]
pub enum NotAuthenticated {
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate(auth::Authenticate),
    /// LOGIN
    Login(auth::Login),
}

/// Commands of the authenticated and selected states.
#[derive(Clone, PartialEq, Debug)]
pub enum Authenticated {
    /// ENABLE
    Enable(select::Enable),
    /// SELECT or EXAMINE
    Select(select::Select),
    /// CREATE
    Create(mailbox::Create),
    /// DELETE
    Delete(mailbox::Name),
    /// RENAME
    Rename(mailbox::Rename),
    /// SUBSCRIBE
    Subscribe(mailbox::Name),
    /// UNSUBSCRIBE
    Unsubscribe(mailbox::Name),
    /// LIST
    List(list::List),
    /// LSUB (RFC 3501 §6.3.9)
    Lsub(list::Lsub),
    /// NAMESPACE
    Namespace,
    /// STATUS
    Status(status::Status),
    /// APPEND, as far as its first message; see [`crate::frame`] for how messages arrive.
    Append(append::Append),
    /// IDLE
    Idle,
    /// NOTIFY (RFC 5465)
    Notify(notify::Notify),
    /// COMPRESS DEFLATE (RFC 4978)
    Compress,
    /// UNAUTHENTICATE (RFC 8437)
    Unauthenticate,
    /// GETQUOTA (RFC 9208)
    GetQuota(quota::GetQuota),
    /// GETQUOTAROOT (RFC 9208)
    GetQuotaRoot(quota::GetQuotaRoot),
    /// SETQUOTA (RFC 9208)
    SetQuota,
    /// XLIST
    Xlist(list::Lsub),
}

/// Commands of the selected state.
#[derive(Clone, PartialEq, Debug)]
pub enum Selected {
    /// CHECK (RFC 3501 §6.4.1)
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its UIDs
    Expunge(Option<sequence::SetOrSaved<mail::id::Uid>>),
    /// SEARCH or UID SEARCH
    Search(search::Search),
    /// FETCH or UID FETCH
    Fetch(super::fetch::Fetch),
    /// STORE or UID STORE
    Store(store::Store),
    /// COPY or UID COPY
    Copy(transfer::Transfer),
    /// MOVE or UID MOVE
    Move(transfer::Transfer),
    /// REPLACE or UID REPLACE (RFC 8508), as far as its message, as with APPEND.
    Replace(replace::Replace),
    /// UIDBATCHES (RFC 10022)
    UidBatches(uid_batches::UidBatches),
}

impl Command {
    /// Its row in the table of commands.
    #[must_use]
    pub const fn property(&self) -> &'static Property {
        match self {
            Self::Any(command) => command.property(),
            Self::NotAuthenticated(command) => command.property(),
            Self::Authenticated(command) => command.property(),
            Self::Selected(command) => command.property(),
        }
    }

    /// Whether untagged EXPUNGE may be sent while it runs: as its row says, but for a UID SEARCH
    /// whose keys name sequence numbers.
    #[must_use]
    pub fn expunge(&self) -> Expunge {
        match self {
            Self::Selected(Selected::Search(search)) if search.names_sequence_numbers() => {
                Expunge::MustWait
            }
            _ => self.property().expunge,
        }
    }

    /// Whether messages have sequence numbers in it, or in its answers, which UIDONLY forbids
    /// (RFC 9586 §3): as its row says, in the keys of UID SEARCH (§3.5), or in what a client that
    /// opens a mailbox says it knows (§3.7).
    #[must_use]
    pub fn uses_sequence_numbers(&self) -> bool {
        match self {
            Self::Selected(Selected::Search(search)) if search.names_sequence_numbers() => true,
            Self::Authenticated(Authenticated::Select(select)) => {
                let known = select.parameters.qresync.as_ref();
                known.is_some_and(|known| known.matches.is_some())
            }
            _ => self.property().uses_sequence_numbers(),
        }
    }
}

impl AnyState {
    const fn property(&self) -> &'static Property {
        match self {
            Self::Capability => &table::CAPABILITY,
            Self::Noop => &table::NOOP,
            Self::Logout => &table::LOGOUT,
            Self::Id(_) => &table::ID,
        }
    }
}

impl NotAuthenticated {
    const fn property(&self) -> &'static Property {
        match self {
            Self::StartTls => &table::STARTTLS,
            Self::Authenticate(_) => &table::AUTHENTICATE,
            Self::Login(_) => &table::LOGIN,
        }
    }
}

impl Authenticated {
    const fn property(&self) -> &'static Property {
        match self {
            Self::Enable(_) => &table::ENABLE,
            Self::Select(select) => match select.access {
                select::Access::ReadWrite => &table::SELECT,
                select::Access::ReadOnly => &table::EXAMINE,
            },
            Self::Create(_) => &table::CREATE,
            Self::Delete(_) => &table::DELETE,
            Self::Rename(_) => &table::RENAME,
            Self::Subscribe(_) => &table::SUBSCRIBE,
            Self::Unsubscribe(_) => &table::UNSUBSCRIBE,
            Self::List(_) => &table::LIST,
            Self::Lsub(_) => &table::LSUB,
            Self::Namespace => &table::NAMESPACE,
            Self::Status(_) => &table::STATUS,
            Self::Append(_) => &table::APPEND,
            Self::Idle => &table::IDLE,
            Self::Notify(_) => &table::NOTIFY,
            Self::Compress => &table::COMPRESS,
            Self::Unauthenticate => &table::UNAUTHENTICATE,
            Self::GetQuota(_) => &table::GETQUOTA,
            Self::GetQuotaRoot(_) => &table::GETQUOTAROOT,
            Self::SetQuota => &table::SETQUOTA,
            Self::Xlist(_) => &table::XLIST,
        }
    }
}

impl Selected {
    const fn property(&self) -> &'static Property {
        use sequence::Numbers::{Seq, Uid};
        match self {
            Self::Check => &table::CHECK,
            Self::Close => &table::CLOSE,
            Self::Unselect => &table::UNSELECT,
            Self::Expunge(None) => &table::EXPUNGE,
            Self::Expunge(Some(_)) => &table::UID_EXPUNGE,
            Self::Search(search) => match search.numbers {
                Seq => &table::SEARCH,
                Uid => &table::UID_SEARCH,
            },
            Self::Fetch(fetch) => match fetch.messages.numbers() {
                Seq => &table::FETCH,
                Uid => &table::UID_FETCH,
            },
            Self::Store(store) => match store.messages.numbers() {
                Seq => &table::STORE,
                Uid => &table::UID_STORE,
            },
            Self::Copy(transfer) => match transfer.messages.numbers() {
                Seq => &table::COPY,
                Uid => &table::UID_COPY,
            },
            Self::Move(transfer) => match transfer.messages.numbers() {
                Seq => &table::MOVE,
                Uid => &table::UID_MOVE,
            },
            Self::Replace(replace) => replace.property(),
            Self::UidBatches(_) => &table::UIDBATCHES,
        }
    }
}

/// What stands before a command's arguments, as far as it could be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    /// The tag, if there is one.
    pub(crate) tag: Option<Tag>,
    /// The command, if there is one of that name.
    pub(crate) property: Option<&'static Property>,
}

impl Head {
    /// Reads the head of `bytes`.
    pub(crate) fn of(bytes: &[u8], limits: &Limits) -> Self {
        let mut head = Self::default();
        // What is wrong with it is found again, and told, when the command is parsed.
        let _ = head.read(&mut Cursor::new(bytes, Extent::Whole, limits));
        head
    }

    /// ```abnf
    /// command = tag SP (command-any / command-auth / command-nonauth / command-select) CRLF
    /// uid     = "UID" SP (copy / move / fetch / search / store / uid-expunge)
    /// ```
    fn read(&mut self, c: &mut Cursor<'_>) -> Parsed<&'static Property> {
        let tag = c.tag()?;
        c.sp()?;
        self.tag = Some(Tag(tag.into()));
        let mut name = c.name("a command")?;
        if name == "UID" {
            c.sp()?;
            name = format!("UID {}", c.name("a command that has a UID form")?);
        }
        self.property = table::named(&name);
        self.property.ok_or(Stop::UnknownCommand)
    }
}

/// Reads one command: `bytes` without its line end, or as far as the announcement of a literal.
pub(crate) fn parse(bytes: &[u8], extent: Extent, limits: &Limits) -> (Head, Parsed<Command>) {
    let mut c = Cursor::new(bytes, extent, limits);
    let mut head = Head::default();
    let command = head.read(&mut c).and_then(|property| {
        let command = (property.grammar)(&mut c)?;
        c.end()?;
        Ok(command)
    });
    (head, command)
}
