//! What clients do: commands as values, and as bytes.

use std::fmt::Write as _;

use crate::{
    notify::Notify,
    replace::Replace,
    resync::{Known, Resync},
    words::{Date, Flags, quoted, text},
};

/// One thing that happens.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Step {
    /// Which client, by its number; of no meaning for what concerns the server.
    pub(crate) who: usize,
    pub(crate) act: Act,
}

/// What happens.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Act {
    /// The client connects and logs in.
    Connect,
    /// It goes away without a word.
    Leave,
    /// It says a command and reads the answer.
    Say(Command),
    /// The server stops and starts again: in order, or (a seed) by a power cut.
    Restart(Option<u64>),
    /// The clock shows another time, by its number.
    Clock(usize),
}

/// A command.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Command {
    Noop,
    Check,
    Logout,
    Enable(Vec<&'static str>),
    Select(&'static str, Access, Opening),
    Close,
    Unselect,
    Create(&'static str, Option<&'static str>),
    Delete(&'static str),
    Rename(&'static str, &'static str),
    Subscribe(&'static str),
    Unsubscribe(&'static str),
    List(List),
    Lsub(&'static str),
    /// With what is asked beyond [`STATUS_ITEMS`].
    Status(&'static str, &'static [&'static str]),
    Append(&'static str, Vec<NewMessage>),
    Replace(Replace),
    /// UNAUTHENTICATE, after which the client logs in again.
    Unauthenticate,
    Notify(Notify),
    /// GETQUOTAROOT.
    Quota(&'static str),
    /// UIDBATCHES, of batches of so many.
    UidBatches(u32),
    Idle,
    /// What ends IDLE: DONE, or something else.
    Done(&'static str),
    Expunge,
    UidExpunge(Ranges),
    Search(Search),
    Fetch(Set, Fetch),
    Store(Set, Store),
    Copy(Set, &'static str),
    Move(Set, &'static str),
    /// A line that is not understood.
    Wrong(&'static str),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

/// The parameters of SELECT.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Opening {
    Plain,
    CondStore,
    /// QRESYNC with what the client knows, …
    Resync(Resync),
    /// … once that is worked out.
    Knowing(Known),
}

/// Which messages: by which numbers, and whether they are those of the last search.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Set {
    pub(crate) numbers: Numbers,
    /// `$` if there are none.
    pub(crate) ranges: Option<Ranges>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Numbers {
    Seq,
    Uid,
}

/// Ranges as they are written; `None` is `*`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Ranges(pub(crate) Vec<(Option<u32>, Option<u32>)>);

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct NewMessage {
    pub(crate) flags: Flags,
    pub(crate) date: Option<Date>,
    /// `None` is an empty message, which is refused.
    pub(crate) serial: Option<u32>,
    pub(crate) literal: Literal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Literal {
    /// The client waits for `+`.
    Waits,
    /// It does not (RFC 7888).
    Goes,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct List {
    pub(crate) pattern: &'static str,
    /// `(SUBSCRIBED)`
    pub(crate) subscribed: bool,
    /// `RETURN (…)`
    pub(crate) returns: Option<&'static str>,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Search {
    pub(crate) numbers: Numbers,
    /// Words within `RETURN (…)`.
    pub(crate) returns: Option<Vec<&'static str>>,
    pub(crate) key: Key,
}

/// A search key.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Key {
    All,
    Flag(Flags, Has),
    New,
    Old,
    Recent,
    Messages(Set),
    Larger(u32),
    Smaller(u32),
    Subject(u32),
    ModSeq(u64),
    Before(Date),
    Since(Date),
    On(Date),
    SavedBefore(Date),
    SavedSince(Date),
    SavedOn(Date),
    Not(Box<Self>),
    Or(Box<(Self, Self)>),
    And(Box<(Self, Self)>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Has {
    Yes,
    No,
}

/// What FETCH asks for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Fetch {
    pub(crate) items: Vec<Item>,
    /// `CHANGEDSINCE`
    pub(crate) since: Option<u64>,
    /// `VANISHED`
    pub(crate) vanished: bool,
    /// `PARTIAL …`
    pub(crate) page: Option<&'static str>,
}

/// An item of FETCH.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Item {
    Uid,
    Flags,
    ModSeq,
    InternalDate,
    SaveDate,
    EmailId,
    ThreadId,
    Size,
    Envelope,
    Body,
    BodyPeek,
    HeaderPeek,
    TextPartial,
}

#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Store {
    pub(crate) change: Change,
    pub(crate) flags: Flags,
    pub(crate) answer: Answer,
    /// `UNCHANGEDSINCE`
    pub(crate) unchanged_since: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Change {
    Replace,
    Add,
    Remove,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Tell,
    Silent,
}

impl Change {
    pub(crate) const fn of(self, flags: Flags, given: Flags) -> Flags {
        match self {
            Self::Replace => given,
            Self::Add => flags.with(given),
            Self::Remove => flags.without(given),
        }
    }
}

impl Item {
    /// Its name in the command, and the one in the answer.
    pub(crate) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Uid => ("UID", "UID"),
            Self::Flags => ("FLAGS", "FLAGS"),
            Self::ModSeq => ("MODSEQ", "MODSEQ"),
            Self::InternalDate => ("INTERNALDATE", "INTERNALDATE"),
            Self::SaveDate => ("SAVEDATE", "SAVEDATE"),
            Self::EmailId => ("EMAILID", "EMAILID"),
            Self::ThreadId => ("THREADID", "THREADID"),
            Self::Size => ("RFC822.SIZE", "RFC822.SIZE"),
            Self::Envelope => ("ENVELOPE", "ENVELOPE"),
            Self::Body => ("BODY[]", "BODY[]"),
            Self::BodyPeek => ("BODY.PEEK[]", "BODY[]"),
            Self::HeaderPeek => ("BODY.PEEK[HEADER]", "BODY[HEADER]"),
            Self::TextPartial => ("BODY.PEEK[TEXT]<3.9>", "BODY[TEXT]<3>"),
        }
    }
}

impl Ranges {
    pub(crate) fn written(&self) -> String {
        let end = |end: Option<u32>| end.map_or("*".to_owned(), |n| n.to_string());
        let range = |(a, b): &(Option<u32>, Option<u32>)| match a == b {
            true => end(*a),
            false => format!("{}:{}", end(*a), end(*b)),
        };
        self.0.iter().map(range).collect::<Vec<_>>().join(",")
    }
}

impl Set {
    pub(crate) fn written(&self) -> String {
        self.ranges.as_ref().map_or("$".to_owned(), Ranges::written)
    }
}

impl Numbers {
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Seq => "",
            Self::Uid => "UID ",
        }
    }
}

impl Key {
    fn written(&self) -> String {
        match self {
            Self::All => "ALL".to_owned(),
            Self::Flag(flag, has) => flag_key(*flag, *has),
            Self::New => "NEW".to_owned(),
            Self::Old => "OLD".to_owned(),
            Self::Recent => "RECENT".to_owned(),
            Self::Messages(set) => format!("{}{}", set.numbers.prefix(), set.written()),
            Self::Larger(n) => format!("LARGER {n}"),
            Self::Smaller(n) => format!("SMALLER {n}"),
            Self::Subject(serial) => format!("SUBJECT \"M{serial}.\""),
            Self::ModSeq(since) => format!("MODSEQ {since}"),
            Self::Before(date) => format!("BEFORE {}", &date.written[..11]),
            Self::Since(date) => format!("SINCE {}", &date.written[..11]),
            Self::On(date) => format!("ON {}", &date.written[..11]),
            Self::SavedBefore(date) => format!("SAVEDBEFORE {}", &date.written[..11]),
            Self::SavedSince(date) => format!("SAVEDSINCE {}", &date.written[..11]),
            Self::SavedOn(date) => format!("SAVEDON {}", &date.written[..11]),
            Self::Not(key) => format!("NOT {}", key.written()),
            Self::Or(two) => format!("OR {} {}", two.0.written(), two.1.written()),
            Self::And(two) => format!("({} {})", two.0.written(), two.1.written()),
        }
    }

    /// Whether sequence numbers stand in it.
    pub(crate) fn names_seqs(&self) -> bool {
        self.has(&|key| {
            matches!(key, Self::Messages(set) if set.numbers == Numbers::Seq && set.ranges.is_some())
        })
    }

    /// Whether mod-sequences do.
    pub(crate) fn names_mod_seqs(&self) -> bool {
        self.has(&|key| matches!(key, Self::ModSeq(_)))
    }

    fn has(&self, is_it: &dyn Fn(&Self) -> bool) -> bool {
        match self {
            Self::Not(key) => key.has(is_it),
            Self::Or(two) | Self::And(two) => two.0.has(is_it) || two.1.has(is_it),
            key => is_it(key),
        }
    }
}

fn flag_key(flag: Flags, has: Has) -> String {
    let name = flag.written();
    match (name.strip_prefix('\\'), has) {
        (Some(system), Has::Yes) => system.to_ascii_uppercase(),
        (Some(system), Has::No) => format!("UN{}", system.to_ascii_uppercase()),
        (None, Has::Yes) => format!("KEYWORD {name}"),
        (None, Has::No) => format!("UNKEYWORD {name}"),
    }
}

/// A piece of a command: bytes, and whether the client waits for `+` after them.
pub(crate) type Piece = (Vec<u8>, Literal);

impl Command {
    /// Its bytes, tag and line end included.
    pub(crate) fn pieces(&self, tag: &str, is_utf8: bool) -> Vec<Piece> {
        match self {
            Self::Append(name, messages) => {
                let head = format!("{tag} APPEND {}", quoted(name, is_utf8));
                append(head, messages)
            }
            Self::Replace(replace) => {
                let head = replace.head(&quoted(replace.to, is_utf8));
                append(
                    format!("{tag} {head}"),
                    std::slice::from_ref(&replace.message),
                )
            }
            Self::Done(line) => vec![(format!("{line}\r\n").into_bytes(), Literal::Goes)],
            other => {
                let line = format!("{tag} {}\r\n", other.line(is_utf8));
                vec![(line.into_bytes(), Literal::Goes)]
            }
        }
    }

    fn line(&self, is_utf8: bool) -> String {
        let name = |name: &str| quoted(name, is_utf8);
        match self {
            Self::Noop => "NOOP".to_owned(),
            Self::Check => "CHECK".to_owned(),
            Self::Logout => "LOGOUT".to_owned(),
            Self::Enable(what) => format!("ENABLE {}", what.join(" ")),
            Self::Select(mailbox, access, opening) => opening.line(&name(mailbox), *access),
            Self::Close => "CLOSE".to_owned(),
            Self::Unselect => "UNSELECT".to_owned(),
            Self::Create(mailbox, None) => format!("CREATE {}", name(mailbox)),
            Self::Create(mailbox, Some(used)) => format!("CREATE {} (USE ({used}))", name(mailbox)),
            Self::Delete(mailbox) => format!("DELETE {}", name(mailbox)),
            Self::Rename(from, to) => format!("RENAME {} {}", name(from), name(to)),
            Self::Subscribe(mailbox) => format!("SUBSCRIBE {}", name(mailbox)),
            Self::Unsubscribe(mailbox) => format!("UNSUBSCRIBE {}", name(mailbox)),
            Self::List(list) => list.line(is_utf8),
            Self::Lsub(pattern) => format!("LSUB \"\" {}", name(pattern)),
            Self::Status(mailbox, more) => {
                let items: Vec<_> = STATUS_ITEMS.iter().chain(*more).copied().collect();
                format!("STATUS {} ({})", name(mailbox), items.join(" "))
            }
            Self::Idle => "IDLE".to_owned(),
            Self::Expunge => "EXPUNGE".to_owned(),
            Self::UidExpunge(ranges) => format!("UID EXPUNGE {}", ranges.written()),
            Self::Search(search) => search.line(),
            Self::Fetch(set, fetch) => fetch.line(set),
            Self::Store(set, store) => store.line(set),
            Self::Copy(set, to) => format!(
                "{}COPY {} {}",
                set.numbers.prefix(),
                set.written(),
                name(to)
            ),
            Self::Move(set, to) => format!(
                "{}MOVE {} {}",
                set.numbers.prefix(),
                set.written(),
                name(to)
            ),
            Self::Wrong(line) => (*line).to_owned(),
            Self::Notify(notify) => notify.line(is_utf8),
            Self::Quota(mailbox) => format!("GETQUOTAROOT {}", name(mailbox)),
            Self::Unauthenticate => "UNAUTHENTICATE".to_owned(),
            Self::UidBatches(size) => format!("UIDBATCHES {size}"),
            Self::Append(..) | Self::Replace(_) | Self::Done(_) => {
                unreachable!("they are no line")
            }
        }
    }
}

/// What STATUS is always asked for.
pub(crate) const STATUS_ITEMS: [&str; 7] = [
    "MESSAGES",
    "UIDNEXT",
    "UIDVALIDITY",
    "UNSEEN",
    "DELETED",
    "SIZE",
    "RECENT",
];

impl Opening {
    fn line(&self, mailbox: &str, access: Access) -> String {
        let verb = match access {
            Access::ReadWrite => "SELECT",
            Access::ReadOnly => "EXAMINE",
        };
        match self {
            Self::Plain => format!("{verb} {mailbox}"),
            Self::CondStore => format!("{verb} {mailbox} (CONDSTORE)"),
            Self::Knowing(known) => format!("{verb} {mailbox} {}", known.written()),
            Self::Resync(_) => unreachable!("it is worked out before it is sent"),
        }
    }
}

impl Fetch {
    fn line(&self, set: &Set) -> String {
        let items: Vec<_> = self.items.iter().map(|item| item.names().0).collect();
        let (prefix, items) = (set.numbers.prefix(), items.join(" "));
        let since = self.since.map(|n| format!("CHANGEDSINCE {n}"));
        let vanished = self.vanished.then(|| "VANISHED".to_owned());
        let page = self.page.map(str::to_owned);
        let modifiers: Vec<String> = [since, vanished, page].into_iter().flatten().collect();
        let modifiers = match modifiers.is_empty() {
            true => String::new(),
            false => format!(" ({})", modifiers.join(" ")),
        };
        format!("{prefix}FETCH {} ({items}){modifiers}", set.written())
    }
}

impl List {
    fn line(&self, is_utf8: bool) -> String {
        let select = if self.subscribed { "(SUBSCRIBED) " } else { "" };
        let mut line = format!("LIST {select}\"\" {}", quoted(self.pattern, is_utf8));
        if let Some(returns) = self.returns {
            let _ = write!(line, " RETURN ({returns})");
        }
        line
    }
}

impl Search {
    fn line(&self) -> String {
        let returns = self.returns.as_ref();
        let returns = returns.map_or(String::new(), |r| format!("RETURN ({}) ", r.join(" ")));
        format!(
            "{}SEARCH {returns}{}",
            self.numbers.prefix(),
            self.key.written()
        )
    }
}

impl Store {
    fn line(&self, set: &Set) -> String {
        let sign = match self.change {
            Change::Replace => "",
            Change::Add => "+",
            Change::Remove => "-",
        };
        let silent = match self.answer {
            Answer::Tell => "",
            Answer::Silent => ".SILENT",
        };
        let (prefix, set) = (set.numbers.prefix(), set.written());
        let unchanged = self.unchanged_since;
        let unchanged = unchanged.map_or(String::new(), |n| format!(" (UNCHANGEDSINCE {n})"));
        format!(
            "{prefix}STORE {set}{unchanged} {sign}FLAGS{silent} ({})",
            self.flags.written()
        )
    }
}

fn append(mut head: String, messages: &[NewMessage]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for message in messages {
        if message.flags != Flags::default() {
            let _ = write!(head, " ({})", message.flags.written());
        }
        if let Some(date) = message.date {
            let _ = write!(head, " \"{}\"", date.written);
        }
        let text = message.serial.map_or(String::new(), text);
        let plus = match message.literal {
            Literal::Waits => "",
            Literal::Goes => "+",
        };
        let _ = write!(head, " {{{}{plus}}}", text.len());
        head.push_str("\r\n");
        pieces.push((std::mem::take(&mut head).into_bytes(), message.literal));
        head = text;
    }
    pieces.push((format!("{head}\r\n").into_bytes(), Literal::Goes));
    pieces
}
