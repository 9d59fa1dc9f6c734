//! The UIDs a client was told of, in the order of their sequence numbers (design.md §3).
//!
//! A column shares the chunks of the mailbox's version that it was told. Where the mailbox has
//! moved on it holds a chunk for itself; [`Column::compact`] turns such chunks into runs of
//! neighbouring UIDs, which take less memory as long as not every other message is gone.

use std::{ops::Range, sync::Arc};

use mail::id::Uid;
use store::state::MailboxState;
use wire::imap::sequence::Seq;

/// The told UIDs, with the count of UIDs before each chunk.
#[derive(Clone, Default)]
pub(super) struct Column {
    chunks: Vec<(u32, Uids)>,
    len: u32,
}

/// Some of the told UIDs, ascending.
#[derive(Clone)]
enum Uids {
    /// As in the mailbox.
    Shared(Arc<[Uid]>),
    /// Neighbours together.
    Runs(Arc<Runs>),
}

/// UIDs as runs without a gap.
struct Runs {
    runs: Box<[Run]>,
    len: u32,
}

struct Run {
    /// How many UIDs stand before it.
    before: u32,
    first: Uid,
}

impl Column {
    pub(super) fn of(state: &MailboxState) -> Self {
        let mut column = Self::default();
        for chunk in state.chunks.iter() {
            column.push(Arc::clone(&chunk.uids));
        }
        column
    }

    /// Adds UIDs above all that are there.
    pub(super) fn push(&mut self, uids: Arc<[Uid]>) {
        if uids.is_empty() {
            return;
        }
        let before = self.len;
        self.len = before.saturating_add(count(uids.len()));
        self.chunks.push((before, Uids::Shared(uids)));
    }

    pub(super) fn len(&self) -> u32 {
        self.len
    }

    pub(super) fn last(&self) -> Option<Uid> {
        self.chunks.last().and_then(|(_, uids)| uids.last())
    }

    pub(super) fn uid(&self, seq: Seq) -> Option<Uid> {
        self.uid_at(seq.get().checked_sub(1)?)
    }

    pub(super) fn uid_at(&self, index: u32) -> Option<Uid> {
        let at = self
            .chunks
            .partition_point(|(before, _)| *before <= index)
            .checked_sub(1)?;
        let (before, uids) = self.chunks.get(at)?;
        uids.at(index.checked_sub(*before)?)
    }

    /// How many told UIDs are below `uid`, and whether `uid` itself was told.
    pub(super) fn position(&self, uid: Uid) -> (u32, bool) {
        let Some((before, uids)) = self.chunks.get(self.chunk_with(uid)) else {
            return (self.len, false);
        };
        let (within, found) = uids.position(uid);
        (before.saturating_add(within), found)
    }

    /// The first chunk that has a UID not below this one.
    fn chunk_with(&self, uid: Uid) -> usize {
        let below = |uids: &Uids| uids.last().is_some_and(|last| last < uid);
        self.chunks.partition_point(|(_, uids)| below(uids))
    }

    pub(super) fn seq(&self, uid: Uid) -> Option<Seq> {
        match self.position(uid) {
            (below, true) => Seq::new(below.saturating_add(1)),
            (_, false) => None,
        }
    }

    pub(super) fn between(&self, first: Uid, last: Uid) -> impl Iterator<Item = Uid> {
        let chunks = self.chunks.get(self.chunk_with(first)..);
        let chunks = chunks.unwrap_or_default().iter();
        chunks.flat_map(move |(_, uids)| {
            let from = uids.position(first).0;
            let (below, found) = uids.position(last);
            uids.walk(from..below.saturating_add(u32::from(found)))
        })
    }

    /// The chunks that are not also of `state`, by their place.
    fn apart_from<'a>(
        &'a self,
        state: &'a MailboxState,
    ) -> impl Iterator<Item = (usize, &'a Uids)> {
        let mut shared = state.chunks.iter().peekable();
        let uids = self.chunks.iter().map(|(_, uids)| uids).enumerate();
        uids.filter(move |(_, uids)| {
            while shared
                .peek()
                .is_some_and(|c| c.uids.last().copied() < uids.first())
            {
                shared.next();
            }
            !shared.peek().is_some_and(|c| uids.is(&c.uids))
        })
    }

    /// Told UIDs that are not in `state`, ascending.
    pub(super) fn missing_in<'a>(
        &'a self,
        state: &'a MailboxState,
    ) -> impl Iterator<Item = Uid> + 'a {
        let uids = self
            .apart_from(state)
            .flat_map(|(_, uids)| uids.walk(0..uids.len()));
        uids.filter(|uid| state.row(*uid).is_none())
    }

    /// What the column holds for itself, bytes.
    pub(super) fn held_bytes(&self, state: &MailboxState) -> usize {
        self.apart_from(state).map(|(_, uids)| uids.bytes()).sum()
    }

    /// What it holds at most, bytes: a bound that costs nothing to know.
    pub(super) fn bytes_max(&self) -> usize {
        size_of::<Uid>().saturating_mul(usize::try_from(self.len).unwrap_or(usize::MAX))
    }

    /// Turns chunks that the column holds for itself into runs where those are smaller.
    pub(super) fn compact(&mut self, state: &MailboxState) {
        let smaller = |(at, uids): (usize, &Uids)| {
            let runs = Uids::Runs(Arc::new(Runs::of(uids.walk(0..uids.len()))));
            (runs.bytes() < uids.bytes()).then_some((at, runs))
        };
        let smaller: Vec<_> = self.apart_from(state).filter_map(smaller).collect();
        for (at, runs) in smaller {
            if let Some((_, uids)) = self.chunks.get_mut(at) {
                *uids = runs;
            }
        }
    }
}

impl Uids {
    fn len(&self) -> u32 {
        match self {
            Self::Shared(uids) => count(uids.len()),
            Self::Runs(runs) => runs.len,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Shared(uids) => size_of_val::<[Uid]>(uids),
            Self::Runs(runs) => size_of_val::<[Run]>(&runs.runs),
        }
    }

    fn first(&self) -> Option<Uid> {
        self.at(0)
    }

    fn last(&self) -> Option<Uid> {
        self.at(self.len().checked_sub(1)?)
    }

    fn at(&self, index: u32) -> Option<Uid> {
        match self {
            Self::Shared(uids) => uids.get(usize::try_from(index).ok()?).copied(),
            Self::Runs(runs) => runs.at(index),
        }
    }

    fn position(&self, uid: Uid) -> (u32, bool) {
        match self {
            Self::Shared(uids) => match uids.binary_search(&uid) {
                Ok(within) => (count(within), true),
                Err(within) => (count(within), false),
            },
            Self::Runs(runs) => runs.position(uid),
        }
    }

    /// Whether it shares its UIDs with this chunk of a mailbox.
    fn is(&self, chunk: &Arc<[Uid]>) -> bool {
        matches!(self, Self::Shared(uids) if Arc::ptr_eq(uids, chunk))
    }

    /// The UIDs at these places.
    fn walk(&self, places: Range<u32>) -> Walk<'_> {
        match self {
            Self::Shared(uids) => {
                let place = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
                let range = place(places.start)..place(places.end);
                Walk::Shared(uids.get(range).unwrap_or_default().iter())
            }
            Self::Runs(runs) => Walk::Runs(runs, places),
        }
    }
}

impl Runs {
    fn of(uids: impl Iterator<Item = Uid>) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        let mut len = 0u32;
        let mut last = None;
        for uid in uids {
            if last.and_then(Uid::next) != Some(uid) {
                runs.push(Run {
                    before: len,
                    first: uid,
                });
            }
            last = Some(uid);
            len = len.saturating_add(1);
        }
        Self {
            runs: runs.into(),
            len,
        }
    }

    fn at(&self, index: u32) -> Option<Uid> {
        if index >= self.len {
            return None;
        }
        let at = self.runs.partition_point(|run| run.before <= index);
        let run = self.runs.get(at.checked_sub(1)?)?;
        Uid::new(
            run.first
                .get()
                .checked_add(index.checked_sub(run.before)?)?,
        )
    }

    fn position(&self, uid: Uid) -> (u32, bool) {
        let at = self.runs.partition_point(|run| run.first <= uid);
        let Some(run) = at.checked_sub(1).and_then(|at| self.runs.get(at)) else {
            return (0, false);
        };
        let end = self.runs.get(at).map_or(self.len, |next| next.before);
        let into = uid.get().saturating_sub(run.first.get());
        let place = run.before.saturating_add(into);
        (place.min(end), place < end)
    }
}

/// UIDs one after another.
enum Walk<'a> {
    Shared(std::slice::Iter<'a, Uid>),
    Runs(&'a Runs, Range<u32>),
}

impl Iterator for Walk<'_> {
    type Item = Uid;

    fn next(&mut self) -> Option<Uid> {
        match self {
            Self::Shared(uids) => uids.next().copied(),
            Self::Runs(runs, places) => places.next().and_then(|place| runs.at(place)),
        }
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use mail::id::{MailboxId, UidValidity};
    use proptest::prelude::*;

    use super::*;

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    /// A mailbox that has nothing in common with a column.
    fn elsewhere() -> MailboxState {
        MailboxState::empty(MailboxId::MIN, UidValidity::MIN)
    }

    proptest! {
        #[test]
        fn a_compact_column_says_the_same(
            gaps in prop::collection::vec(prop_oneof![4 => Just(1u32), 1 => 1u32..40], 1..400),
            chunk in 1usize..60,
            asked in prop::collection::vec(1u32..3_000, 2..20),
        ) {
            let mut next = 0;
            let uids: Vec<Uid> = gaps.iter().map(|gap| { next += gap; uid(next) }).collect();
            let mut plain = Column::default();
            uids.chunks(chunk).for_each(|some| plain.push(some.into()));
            let mut compact = plain.clone();
            compact.compact(&elsewhere());
            prop_assert_eq!(compact.len(), plain.len());
            prop_assert_eq!(compact.last(), plain.last());
            for n in 0..=plain.len() {
                prop_assert_eq!(compact.uid_at(n), plain.uid_at(n));
            }
            for n in 1..=next + 1 {
                prop_assert_eq!(compact.position(uid(n)), plain.position(uid(n)), "{}", n);
            }
            for two in asked.windows(2) {
                let (a, b) = (uid(two[0].min(two[1])), uid(two[0].max(two[1])));
                prop_assert!(compact.between(a, b).eq(plain.between(a, b)), "{}:{}", a, b);
            }
            prop_assert!(compact.missing_in(&elsewhere()).eq(uids));
            prop_assert!(compact.held_bytes(&elsewhere()) <= plain.held_bytes(&elsewhere()));
        }
    }

    #[test]
    fn neighbours_take_less_memory() {
        let mut column = Column::default();
        column.push((1..=1_000).map(uid).collect());
        column.push((2_000..3_000).map(|n| uid(n * 2)).collect());
        assert_eq!(column.held_bytes(&elsewhere()), 2_000 * size_of::<Uid>());
        column.compact(&elsewhere());
        // The scattered ones would take more as runs, and stay as they are.
        let run = size_of::<Run>();
        assert_eq!(
            column.held_bytes(&elsewhere()),
            1_000 * size_of::<Uid>() + run
        );
    }
}
