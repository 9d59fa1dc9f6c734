//! Message numbers as clients write them: sequence numbers, UIDs, `*` and `$`
//! (RFC 9051 §9 `sequence-set`, §6.4.4.1 for `$`).

use std::num::NonZeroU32;

use mail::id::{Number, Uid};

use crate::cursor::{Cursor, Parsed};

/// A message sequence number: a position in a client's view, only ever what a client wrote or
/// reads (RFC 9051 §2.3.1.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Seq(NonZeroU32);

impl Seq {
    /// The first message.
    pub const MIN: Self = Self(NonZeroU32::MIN);

    /// The sequence number with this number; `None` for 0.
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        match NonZeroU32::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Its number, at least 1.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl Number for Seq {
    fn number(self) -> u32 {
        self.get()
    }
    fn from_number(number: u32) -> Option<Self> {
        Self::new(number)
    }
}

/// One end of a range: a number, or `*`, the greatest number in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum End<N> {
    /// A number.
    Number(N),
    /// `*`
    Last,
}

/// A set as a client wrote it, ranges in its order; `*` is resolved when the mailbox is known.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SequenceSet<N>(pub Vec<(End<N>, End<N>)>);

impl<N: Number> SequenceSet<N> {
    /// The numbers meant when `last` is the greatest in use; with `None` (an empty mailbox) `*`
    /// means nothing (RFC 9051 §9, protocol rule 38).
    #[must_use]
    pub fn resolve(&self, last: Option<N>) -> mail::set::Set<N> {
        let end = |end: End<N>| match end {
            End::Number(n) => Some(n),
            End::Last => last,
        };
        self.0
            .iter()
            .filter_map(|&(a, b)| Some((end(a)?, end(b)?)))
            .collect()
    }
}

/// A set of messages, or the saved search result.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum SetOrSaved<N> {
    /// Numbers.
    Set(SequenceSet<N>),
    /// `$` (RFC 9051 §6.4.4.1).
    Saved,
}

/// The messages a command names, in the numbers of its form (`FETCH` or `UID FETCH`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Messages {
    /// By sequence number.
    Seq(SetOrSaved<Seq>),
    /// By UID.
    Uid(SetOrSaved<Uid>),
}

/// Which numbers a command's form uses for what it answers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Numbers {
    /// Sequence numbers.
    Seq,
    /// UIDs: the `UID` form of a command.
    Uid,
}

impl Messages {
    /// The numbers of the command's form.
    #[must_use]
    pub const fn numbers(&self) -> Numbers {
        match self {
            Self::Seq(_) => Numbers::Seq,
            Self::Uid(_) => Numbers::Uid,
        }
    }
}

/// ```abnf
/// SP sequence-set
/// ```
pub(super) fn messages(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Messages> {
    c.sp()?;
    match numbers {
        Numbers::Seq => set_or_saved(c).map(Messages::Seq),
        Numbers::Uid => set_or_saved(c).map(Messages::Uid),
    }
}

/// ```abnf
/// sequence-set =/ seq-last-command
/// seq-last-command = "$"
/// ```
pub(super) fn set_or_saved<N: Number>(c: &mut Cursor<'_>) -> Parsed<SetOrSaved<N>> {
    if c.eat(b'$') {
        return Ok(SetOrSaved::Saved);
    }
    set(c).map(SetOrSaved::Set)
}

/// ```abnf
/// sequence-set = (seq-number / seq-range) ["," sequence-set]
/// seq-range    = seq-number ":" seq-number
/// ```
fn set<N: Number>(c: &mut Cursor<'_>) -> Parsed<SequenceSet<N>> {
    let mut ranges = Vec::new();
    loop {
        if ranges.len() >= c.limits().set_ranges_max {
            return c.fail("fewer ranges in the set");
        }
        let first = end(c)?;
        let last = if c.eat(b':') { end(c)? } else { first };
        ranges.push((first, last));
        if !c.eat(b',') {
            return Ok(SequenceSet(ranges));
        }
    }
}

/// ```abnf
/// seq-number = nz-number / "*"
/// ```
fn end<N: Number>(c: &mut Cursor<'_>) -> Parsed<End<N>> {
    if c.eat(b'*') {
        return Ok(End::Last);
    }
    let start = c.at();
    match N::from_number(c.nz_number()?) {
        Some(number) => Ok(End::Number(number)),
        None => c.fail_at(start, "a message number"),
    }
}
