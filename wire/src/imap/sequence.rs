//! Message numbers as clients write them: sequence numbers, UIDs, `*` and `$`
//! (RFC 9051 §9 `sequence-set`, §6.4.4.1 for `$`).

use std::num::NonZeroU32;

use mail::{
    id::{Number, Uid},
    set::Set,
};

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
    pub fn resolve(&self, last: Option<N>) -> Set<N> {
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

/// A set without `*`: its ranges as they were written.
pub(super) fn numbers<N: Number>(c: &mut Cursor<'_>) -> Parsed<Vec<(N, N)>> {
    let mut ranges = Vec::new();
    loop {
        if ranges.len() >= c.limits().set_ranges_max {
            return c.fail("fewer ranges in the set");
        }
        let first = plain_number(c)?;
        let last = if c.eat(b':') { plain_number(c)? } else { first };
        ranges.push((first, last));
        if !c.eat(b',') {
            return Ok(ranges);
        }
    }
}

/// A set without `*` whose numbers ascend as they were written.
pub(super) fn ascending<N: Number>(c: &mut Cursor<'_>) -> Parsed<Set<N>> {
    let start = c.at();
    let ranges = numbers::<N>(c)?;
    let mut ends = ranges.iter();
    let mut before: Option<N> = None;
    if !ends.all(|&(first, last)| {
        let follows = before < Some(first) && first <= last;
        before = Some(last);
        follows
    }) {
        return c.fail_at(start, "ascending numbers");
    }
    Ok(ranges.into_iter().collect())
}

fn plain_number<N: Number>(c: &mut Cursor<'_>) -> Parsed<N> {
    let start = c.at();
    match end(c)? {
        End::Number(number) => Ok(number),
        End::Last => c.fail_at(start, "a number"),
    }
}

/// One message: a set of one number.
pub(super) fn only<N: Number>(c: &mut Cursor<'_>) -> Parsed<SetOrSaved<N>> {
    let end = end(c)?;
    Ok(SetOrSaved::Set(SequenceSet(vec![(end, end)])))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        imap::{
            command::{Command, Selected},
            fixture::{accept, reject},
        },
        limits::Limits,
    };

    fn set_of(written: &str) -> SequenceSet<Seq> {
        match accept(&format!("FETCH {written} UID")) {
            Command::Selected(Selected::Fetch(fetch)) => match fetch.messages {
                Messages::Seq(SetOrSaved::Set(set)) => set,
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sets() {
        let (one, last) = (End::Number(Seq::new(1).unwrap()), End::Last);
        assert_eq!(set_of("1"), SequenceSet(vec![(one, one)]));
        assert_eq!(
            set_of("*:1,*"),
            SequenceSet(vec![(last, one), (last, last)])
        );
        let resolved = set_of("2,4:7,9,12:*").resolve(Seq::new(15));
        assert_eq!(resolved.to_string(), "2,4:7,9,12:15");
        assert!(set_of("*:1").resolve(None).is_empty());
        for bad in [
            "^,1", "1,^", "1,^,2", "1:^", "1:^:2", "1:2^:3", "^:1", "1^*", "*^1", "^-1", "1^-2",
            "1,^ 2", "^0", "1:^0", "^01", "$^,1", "1,^$", "^+1", "1^.5",
        ] {
            // A space ends the set, and what follows it is no item.
            reject(&format!("FETCH {bad} UID"));
        }
    }

    #[test]
    fn threat_15_number_boundaries() {
        for number in [
            1,
            2_147_483_647,
            2_147_483_648,
            2_147_483_649,
            u64::from(u32::MAX),
        ] {
            set_of(&number.to_string());
        }
        for number in [
            "0",
            "4294967296",
            "9223372036854775807",
            "18446744073709551615",
        ] {
            reject(&format!("FETCH ^{number} UID"));
            reject(&format!("UID EXPUNGE 1:^{number}"));
        }
    }

    #[test]
    fn threat_16_ranges_are_bounded() {
        let max = Limits::AFTER_LOGIN.set_ranges_max;
        let set = set_of(&vec!["9:1"; max].join(","));
        assert_eq!(set.resolve(Seq::new(5)).to_string(), "1:9");
        reject(&format!("FETCH {},^1 UID", vec!["1"; max].join(",")));
        assert_eq!(
            set_of("1:4294967295").resolve(None).count(),
            u64::from(u32::MAX)
        );
    }
}
