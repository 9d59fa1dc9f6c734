//! Building versions: a change shares every chunk it does not touch, and keeps the counters
//! without counting again.

use std::sync::Arc;

use mail::{
    flag::SystemFlags,
    id::{MailboxId, ModSeq, Uid, UidValidity},
    set::UidSet,
};

use super::{CHUNK_MESSAGES, Chunk, Keywords, MailboxState, Row, Summary};

/// After an expunge, a chunk joins the one before it if both together are at most this long.
const JOIN_MESSAGES: usize = CHUNK_MESSAGES / 2;

impl MailboxState {
    /// A mailbox without messages.
    #[must_use]
    pub fn empty(id: MailboxId, uid_validity: UidValidity) -> Self {
        Self {
            id,
            summary: Summary::empty(uid_validity),
            keywords: Arc::new(Keywords::new()),
            recent_floor: Uid::MIN,
            history_floor: ModSeq::MIN,
            chunks: Arc::from([]),
        }
    }

    /// This version with messages after its last; `added` ascends and begins at or after
    /// `uid_next`, which moves past the last of them.
    ///
    /// # Panics
    /// If a UID was used before: that would break what a UID means.
    #[must_use]
    pub fn appended(&self, added: &[(Uid, Row)]) -> Self {
        let mut next = self.clone();
        let mut chunks = self.chunks.to_vec();
        let mut rest = added;
        if let Some(last) = chunks.last_mut() {
            let room = CHUNK_MESSAGES.saturating_sub(last.uids.len());
            let (here, after) = rest.split_at(room.min(rest.len()));
            if !here.is_empty() {
                *last = Chunk::from_rows(last.iter().chain(here.iter().copied()));
            }
            rest = after;
        }
        for part in rest.chunks(CHUNK_MESSAGES) {
            chunks.push(Chunk::from_rows(part.iter().copied()));
        }
        for (uid, row) in added {
            assert!(*uid >= next.summary.uid_next, "a UID is used once");
            next.summary.uid_next = uid.next().unwrap_or(Uid::MAX);
            next.summary.add(row, *uid >= self.recent_floor);
        }
        next.chunks = chunks.into();
        next
    }

    /// This version with rows replaced; `changed` ascends and names messages that exist.
    #[must_use]
    pub fn with_rows(&self, changed: &[(Uid, Row)]) -> Self {
        let mut next = self.clone();
        let mut chunks = self.chunks.to_vec();
        let mut rest = changed;
        for chunk in &mut chunks {
            let Some(last) = chunk.uids.last() else {
                continue;
            };
            let (here, after) = rest.split_at(rest.partition_point(|(uid, _)| uid <= last));
            if !here.is_empty() {
                *chunk = chunk.with_rows(here, &mut next.summary);
            }
            rest = after;
        }
        next.chunks = chunks.into();
        next
    }

    /// This version without messages; UIDs that do not exist are ignored. The mod-sequence of the
    /// expunge is the caller's.
    #[must_use]
    pub fn without(&self, gone: &UidSet) -> Self {
        let mut next = self.clone();
        let mut chunks: Vec<Chunk> = Vec::with_capacity(self.chunks.len());
        for chunk in self.chunks.iter() {
            if !chunk.overlaps(gone) {
                chunks.push(chunk.clone());
                continue;
            }
            let mut kept = Vec::with_capacity(chunk.uids.len());
            for (uid, row) in chunk.iter() {
                if gone.contains(uid) {
                    next.summary.remove(&row, uid >= self.recent_floor);
                } else {
                    kept.push((uid, row));
                }
            }
            push_joined(&mut chunks, &kept);
        }
        next.chunks = chunks.into();
        next
    }

    /// This version with UIDs below `floor` recent to nobody.
    #[must_use]
    pub fn with_recent_floor(&self, floor: Uid) -> Self {
        let mut next = self.clone();
        next.recent_floor = self.recent_floor.max(floor);
        next.summary.recent = next.recent();
        next
    }

    /// The counters as the rows say, for [`Summary`]s that are kept incrementally.
    #[must_use]
    pub fn recount(&self) -> Summary {
        let mut summary = Summary {
            uid_next: self.summary.uid_next,
            highest_mod_seq: self.summary.highest_mod_seq,
            ..Summary::empty(self.summary.uid_validity)
        };
        for (uid, row) in self.rows() {
            summary.add(row, uid >= self.recent_floor);
        }
        summary
    }

    fn recent(&self) -> u32 {
        self.rows_between(self.recent_floor, Uid::MAX)
            .fold(0u32, |n, _| n.saturating_add(1))
    }

    /// About how much memory this version takes, bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const ROW: usize = size_of::<Row>() + size_of::<Uid>();
        let messages = usize::try_from(self.summary.messages).unwrap_or(usize::MAX);
        messages
            .saturating_mul(ROW)
            .saturating_add(self.chunks.len().saturating_mul(size_of::<Chunk>() + 64))
            .saturating_add(1_024)
    }
}

/// Adds a chunk, or lengthens the last one if both are short; nothing for no rows.
fn push_joined(chunks: &mut Vec<Chunk>, rows: &[(Uid, Row)]) {
    match chunks.last_mut() {
        _ if rows.is_empty() => {}
        Some(last) if last.uids.len().saturating_add(rows.len()) <= JOIN_MESSAGES => {
            *last = Chunk::from_rows(last.iter().chain(rows.iter().copied()));
        }
        _ => chunks.push(Chunk::from_rows(rows.iter().copied())),
    }
}

impl Chunk {
    fn from_rows(rows: impl Iterator<Item = (Uid, Row)>) -> Self {
        let (uids, rows): (Vec<Uid>, Vec<Row>) = rows.unzip();
        Self::new(uids.into(), rows.into())
    }

    fn new(uids: Arc<[Uid]>, rows: Arc<[Row]>) -> Self {
        let highest_mod_seq = rows.iter().map(|r| r.mod_seq).max().unwrap_or(ModSeq::MIN);
        Self {
            uids,
            rows,
            highest_mod_seq,
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Uid, Row)> {
        self.uids.iter().copied().zip(self.rows.iter().copied())
    }

    fn overlaps(&self, set: &UidSet) -> bool {
        let (Some(first), Some(last)) = (self.uids.first(), self.uids.last()) else {
            return false;
        };
        !set.intersection(&UidSet::range(*first, *last)).is_empty()
    }

    fn with_rows(&self, changed: &[(Uid, Row)], summary: &mut Summary) -> Self {
        let mut rows = self.rows.to_vec();
        for (uid, row) in changed {
            let Ok(at) = self.uids.binary_search(uid) else {
                continue;
            };
            if let Some(old) = rows.get_mut(at) {
                summary.replace(old, row);
                *old = *row;
            }
        }
        Self::new(Arc::clone(&self.uids), rows.into())
    }
}

impl Summary {
    /// The counters of a mailbox without messages.
    #[must_use]
    pub const fn empty(uid_validity: UidValidity) -> Self {
        Self {
            messages: 0,
            unseen: 0,
            deleted: 0,
            recent: 0,
            bytes: 0,
            deleted_bytes: 0,
            uid_next: Uid::MIN,
            highest_mod_seq: ModSeq::MIN,
            uid_validity,
        }
    }

    fn add(&mut self, row: &Row, is_recent: bool) {
        self.messages += 1;
        self.bytes += u64::from(row.size);
        self.recent += u32::from(is_recent);
        self.add_flags(row);
        self.highest_mod_seq = self.highest_mod_seq.max(row.mod_seq);
    }

    fn add_flags(&mut self, row: &Row) {
        self.unseen += u32::from(!row.system.contains(SystemFlags::SEEN));
        if row.system.contains(SystemFlags::DELETED) {
            self.deleted += 1;
            self.deleted_bytes += u64::from(row.size);
        }
    }

    fn remove(&mut self, row: &Row, is_recent: bool) {
        self.messages -= 1;
        self.bytes -= u64::from(row.size);
        self.recent -= u32::from(is_recent);
        self.remove_flags(row);
    }

    fn remove_flags(&mut self, row: &Row) {
        self.unseen -= u32::from(!row.system.contains(SystemFlags::SEEN));
        if row.system.contains(SystemFlags::DELETED) {
            self.deleted -= 1;
            self.deleted_bytes -= u64::from(row.size);
        }
    }

    fn replace(&mut self, old: &Row, new: &Row) {
        self.remove_flags(old);
        self.add_flags(new);
        self.highest_mod_seq = self.highest_mod_seq.max(new.mod_seq);
    }
}

#[cfg(test)]
mod tests {
    use mail::{
        date::DateTime,
        id::{BodyId, ThreadId},
    };
    use proptest::prelude::*;

    use super::*;
    use crate::state::KeywordSetId;

    fn row(n: u32, bits: u8) -> Row {
        Row {
            mod_seq: ModSeq::new(u64::from(n) + 1).unwrap(),
            body: BodyId::MIN,
            thread: ThreadId::MIN,
            internal_date: DateTime {
                secs: 0,
                offset_minutes: 0,
            },
            saved_secs: 0,
            size: n,
            keywords: KeywordSetId(0),
            system: SystemFlags::from_bits(bits),
        }
    }

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn mailbox(messages: u32) -> MailboxState {
        let rows: Vec<_> = (1..=messages).map(|n| (uid(n), row(n, 0))).collect();
        MailboxState::empty(MailboxId::MIN, UidValidity::MIN).appended(&rows)
    }

    fn check(state: &MailboxState) {
        assert_eq!(state.recount(), state.summary);
        assert!(state.chunks.iter().all(|chunk| !chunk.uids.is_empty()
            && chunk.uids.len() <= CHUNK_MESSAGES
            && chunk.rows.iter().map(|r| r.mod_seq).max() == Some(chunk.highest_mod_seq)));
        let uids: Vec<_> = state.rows().map(|(uid, _)| uid).collect();
        assert!(uids.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn an_untouched_chunk_is_shared() {
        let old = mailbox(3_000);
        assert_eq!(old.chunks.len(), 3);
        let seen = Row {
            size: 2_000,
            ..row(9_000, 8)
        };
        let new = old.with_rows(&[(uid(2_000), seen)]);
        check(&new);
        assert!(Arc::ptr_eq(&old.chunks[0].rows, &new.chunks[0].rows));
        assert!(!Arc::ptr_eq(&old.chunks[1].rows, &new.chunks[1].rows));
        assert!(Arc::ptr_eq(&old.chunks[1].uids, &new.chunks[1].uids));
        let changed: Vec<_> = new
            .changed_since(old.summary.highest_mod_seq)
            .map(|(uid, _)| uid)
            .collect();
        assert_eq!(changed, [uid(2_000)]);
    }

    #[test]
    fn an_empty_chunk_is_dropped() {
        let new = mailbox(3_000).without(&UidSet::range(uid(1_025), uid(2_048)));
        check(&new);
        assert_eq!(new.chunks.len(), 2);
        assert_eq!(new.summary.uid_next, uid(3_001));
    }

    proptest! {
        #[test]
        fn counters_follow(steps in prop::collection::vec((0u8..4, 1u32..200, 1u32..900), 1..30)) {
            let mut state = mailbox(0);
            for (what, a, b) in steps {
                let next = state.summary.uid_next.get();
                state = match what {
                    0 => {
                        let rows: Vec<_> = (next..next + b)
                            .map(|n| (uid(n), row(n, u8::try_from(a % 32).unwrap())))
                            .collect();
                        state.appended(&rows)
                    }
                    1 => {
                        let set = UidSet::range(uid(a), uid(a + b));
                        let rows: Vec<_> = state
                            .rows_of(&set)
                            .map(|(uid, _)| (uid, row(b, u8::try_from(b % 32).unwrap())))
                            .map(|(uid, new)| (uid, Row { size: state.row(uid).unwrap().size, ..new }))
                            .collect();
                        state.with_rows(&rows)
                    }
                    2 => state.without(&UidSet::range(uid(a), uid(a + b))),
                    _ => state.with_recent_floor(uid(a)),
                };
                check(&state);
            }
        }
    }
}
