//! The SEARCH tree as a value (RFC 9051 §6.4.4), generic over how it names messages.
//!
//! `wire` parses it with the client's numbers, the session's view resolves those to UIDs, and the
//! store answers it. Depth and count of keys are bounded by the parser's limits, so recursion over
//! the tree is bounded too.

use crate::{
    date::Date,
    flag::{Keyword, SystemFlags},
    id::{BodyId, ModSeq, ThreadId},
};

/// What a message must satisfy; `M` names messages (a client's set, or [`crate::set::UidSet`]).
#[derive(Clone, PartialEq, Debug)]
pub enum Predicate<M> {
    /// Every message.
    All,
    /// Each of these; every message if empty.
    And(Vec<Self>),
    /// Either.
    Or(Box<(Self, Self)>),
    /// Not this.
    Not(Box<Self>),
    /// Messages named by number.
    Messages(M),
    /// All these system flags are set.
    Flags(SystemFlags),
    /// The keyword is set.
    Keyword(Keyword),
    /// `\Recent` in this session (RFC 3501 §2.3.2); never true under IMAP4rev2.
    Recent,
    /// RFC822.SIZE is above this many bytes.
    Larger(u64),
    /// RFC822.SIZE is below this many bytes.
    Smaller(u64),
    /// A date compared by day, without time and zone.
    Date(DateField, DateRelation, Date),
    /// The message changed at or after this mod-sequence (RFC 7162 §3.1.5).
    ModSeq(ModSeq),
    /// It has this EMAILID (RFC 8474 §6).
    Email(BodyId),
    /// It is of this conversation (RFC 8474 §6).
    Thread(ThreadId),
    /// How long ago INTERNALDATE is, seconds (RFC 5032 §2).
    Age(Age, u32),
    /// Some text of the message holds this text as a substring in any case.
    Text(TextField, String),
}

/// Which text is searched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TextField {
    /// The decoded value of header fields of this name; an empty text asks whether there is one.
    Header(Box<str>),
    /// The decoded body, headers of nested parts included.
    Body,
    /// Header, MIME headers of the parts, or body (RFC 9051 §6.4.4).
    Text,
}

/// How an age compares with the one asked for; the same age is both.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Age {
    /// As old or older.
    Older,
    /// As old or younger.
    Younger,
}

/// Which date is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateField {
    /// INTERNALDATE.
    Internal,
    /// The `Date:` header field.
    Sent,
    /// When the message came into the mailbox (RFC 8514).
    Saved,
}

/// How a date compares with the one asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DateRelation {
    /// Earlier than the day.
    Before,
    /// On the day.
    On,
    /// On the day or later.
    Since,
}

impl DateRelation {
    /// Whether `day` stands in this relation to `asked`.
    #[must_use]
    pub fn holds(self, day: Date, asked: Date) -> bool {
        match self {
            Self::Before => day < asked,
            Self::On => day == asked,
            Self::Since => day >= asked,
        }
    }
}

impl<M> Predicate<M> {
    /// The predicate that no message satisfies.
    #[must_use]
    pub fn nothing() -> Self {
        Self::Not(Box::new(Self::All))
    }

    /// The same tree with its message sets replaced by `resolve`.
    pub fn resolve<T>(self, resolve: &mut impl FnMut(M) -> T) -> Predicate<T> {
        match self {
            Self::All => Predicate::All,
            Self::And(all) => Predicate::And(all.into_iter().map(|p| p.resolve(resolve)).collect()),
            Self::Or(two) => {
                let (a, b) = *two;
                Predicate::Or(Box::new((a.resolve(resolve), b.resolve(resolve))))
            }
            Self::Not(p) => Predicate::Not(Box::new(p.resolve(resolve))),
            Self::Messages(set) => Predicate::Messages(resolve(set)),
            Self::Flags(flags) => Predicate::Flags(flags),
            Self::Keyword(keyword) => Predicate::Keyword(keyword),
            Self::Recent => Predicate::Recent,
            Self::Larger(bytes) => Predicate::Larger(bytes),
            Self::Smaller(bytes) => Predicate::Smaller(bytes),
            Self::Date(field, relation, day) => Predicate::Date(field, relation, day),
            Self::ModSeq(mod_seq) => Predicate::ModSeq(mod_seq),
            Self::Email(id) => Predicate::Email(id),
            Self::Thread(id) => Predicate::Thread(id),
            Self::Age(age, secs) => Predicate::Age(age, secs),
            Self::Text(field, text) => Predicate::Text(field, text),
        }
    }

    /// Whether some part of the tree satisfies `test`.
    pub fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self)
            || match self {
                Self::And(all) => all.iter().any(|p| p.any(test)),
                Self::Or(two) => two.0.any(test) || two.1.any(test),
                Self::Not(p) => p.any(test),
                _ => false,
            }
    }
}
