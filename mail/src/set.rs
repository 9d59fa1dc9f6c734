//! Number sets: sorted, disjoint, non-adjacent closed ranges of message numbers.
//!
//! The cost of every operation follows the count of ranges, never their span
//! (`1:4294967295` is one range). What a client wrote, with `*` in it, is a `wire` value;
//! it becomes one of these once the mailbox is known (RFC 9051 §9 `sequence-set`).

use std::{fmt, ops::RangeInclusive};

use crate::id::{Number, Uid};

/// A set of UIDs.
pub type UidSet = Set<Uid>;

/// A set of numbers of one kind, as sorted, disjoint, non-adjacent closed ranges.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Set<N> {
    ranges: Vec<(N, N)>,
}

impl<N> Default for Set<N> {
    fn default() -> Self {
        Self { ranges: Vec::new() }
    }
}

impl<N: Number> Set<N> {
    /// The empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The set of the numbers from `first` to `last`, in either order (`4:2` is `2:4`).
    #[must_use]
    pub fn range(first: N, last: N) -> Self {
        Self {
            ranges: vec![(first.min(last), first.max(last))],
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many numbers are in it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| {
                u64::from(last.number().abs_diff(first.number())).saturating_add(1)
            })
            .fold(0, u64::saturating_add)
    }

    /// Its ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<N>> + ExactSizeIterator {
        self.ranges.iter().map(|&(first, last)| first..=last)
    }

    /// Its numbers, ascending. Only for sets known to be bounded by messages that exist.
    pub fn iter(&self) -> impl Iterator<Item = N> {
        self.ranges
            .iter()
            .flat_map(|(first, last)| first.number()..=last.number())
            .filter_map(N::from_number)
    }

    /// The smallest number.
    #[must_use]
    pub fn first(&self) -> Option<N> {
        self.ranges.first().map(|range| range.0)
    }

    /// The greatest number.
    #[must_use]
    pub fn last(&self) -> Option<N> {
        self.ranges.last().map(|range| range.1)
    }

    /// Whether `n` is in it, in logarithmic time.
    #[must_use]
    pub fn contains(&self, n: N) -> bool {
        let after = self.ranges.partition_point(|range| range.0 <= n);
        after
            .checked_sub(1)
            .and_then(|at| self.ranges.get(at))
            .is_some_and(|range| n <= range.1)
    }

    /// Adds one number; cheapest in ascending order.
    pub fn insert(&mut self, n: N) {
        self.insert_range(n, n);
    }

    /// Adds the numbers from `first` to `last`, in either order; cheapest in ascending order.
    pub fn insert_range(&mut self, first: N, last: N) {
        let (mut first, mut last) = (first.min(last), first.max(last));
        // The ranges that touch or overlap the new one stand together: from..to.
        let from = self
            .ranges
            .partition_point(|range| range.1.number().saturating_add(1) < first.number());
        let to = self
            .ranges
            .partition_point(|range| range.0.number() <= last.number().saturating_add(1));
        for range in self.ranges.get(from..to).unwrap_or_default() {
            first = first.min(range.0);
            last = last.max(range.1);
        }
        self.ranges.splice(from..to.max(from), [(first, last)]);
    }

    /// What is in both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let (mut left, mut right) = (
            self.ranges.iter().peekable(),
            other.ranges.iter().peekable(),
        );
        let mut ranges = Vec::new();
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                ranges.push((first, last));
            }
            if a.1 < b.1 {
                left.next();
            } else {
                right.next();
            }
        }
        Self { ranges }
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut ranges = Vec::new();
        let mut holes = other.ranges.iter().peekable();
        for &(first, last) in &self.ranges {
            let mut next = Some(first);
            while let Some(hole) = holes.peek() {
                if hole.1 < first {
                    holes.next();
                    continue;
                }
                if hole.0 > last {
                    break;
                }
                if let Some(start) = next
                    && let Some(before) = N::from_number(hole.0.number().saturating_sub(1))
                    && start <= before
                {
                    ranges.push((start, before));
                }
                next = hole.1.number().checked_add(1).and_then(N::from_number);
                if hole.1 > last {
                    next = None;
                    break;
                }
                holes.next();
            }
            if let Some(start) = next
                && start <= last
            {
                ranges.push((start, last));
            }
        }
        Self { ranges }
    }

    /// What is in either.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut all: Vec<_> = self.ranges.iter().chain(&other.ranges).copied().collect();
        all.sort_unstable();
        all.into_iter().collect()
    }
}

impl<N: Number> FromIterator<(N, N)> for Set<N> {
    /// From ranges in any order.
    fn from_iter<I: IntoIterator<Item = (N, N)>>(ranges: I) -> Self {
        let mut ranges: Vec<(N, N)> = ranges
            .into_iter()
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        ranges.sort_unstable();
        let mut merged: Vec<(N, N)> = Vec::with_capacity(ranges.len());
        for (first, last) in ranges {
            match merged.last_mut() {
                Some(top) if first.number() <= top.1.number().saturating_add(1) => {
                    top.1 = top.1.max(last);
                }
                _ => merged.push((first, last)),
            }
        }
        Self { ranges: merged }
    }
}

impl<N: Number> FromIterator<N> for Set<N> {
    /// From numbers in any order.
    fn from_iter<I: IntoIterator<Item = N>>(numbers: I) -> Self {
        numbers.into_iter().map(|n| (n, n)).collect()
    }
}

impl<N: Number> fmt::Display for Set<N> {
    /// As RFC 9051 writes sets: `1:4,7`; nothing for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (first, last)) in self.ranges.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{}", first.number())?;
            if first != last {
                write!(f, ":{}", last.number())?;
            }
        }
        Ok(())
    }
}

impl<N: Number> fmt::Debug for Set<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{self}}}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    use super::*;

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn set(numbers: &BTreeSet<u32>) -> UidSet {
        numbers.iter().map(|&n| uid(n)).collect()
    }

    #[test]
    fn writes_ranges() {
        let all: UidSet = [(uid(7), uid(7)), (uid(4), uid(2)), (uid(1), uid(1))]
            .into_iter()
            .collect();
        assert_eq!(all.to_string(), "1:4,7");
        assert_eq!(Set::range(uid(1), Uid::MAX).count(), u64::from(u32::MAX));
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_set(
            a in prop::collection::btree_set(1u32..60, 0..30),
            b in prop::collection::btree_set(1u32..60, 0..30),
        ) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.intersection(&y), set(&(&a & &b)));
            prop_assert_eq!(x.difference(&y), set(&(&a - &b)));
            prop_assert_eq!(x.union(&y), set(&(&a | &b)));
            prop_assert_eq!(x.count(), a.len() as u64);
            let mut grown = UidSet::new();
            for &n in &b { grown.insert(uid(n)); }
            for &n in a.iter().rev() { grown.insert(uid(n)); }
            prop_assert_eq!(&grown, &x.union(&y));
            for n in 1..61 { prop_assert_eq!(x.contains(uid(n)), a.contains(&n)); }
            prop_assert_eq!(x.iter().map(Uid::get).collect::<BTreeSet<_>>(), a);
        }
    }
}
