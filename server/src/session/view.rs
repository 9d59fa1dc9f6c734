//! What one client has been told of its selected mailbox, and the only place where sequence
//! numbers become UIDs and back (design.md §3).
//!
//! A view keeps the UID column it told (chunks shared with the mailbox), not the attributes. To
//! bring a client up to date it compares that column with the version published now: no event
//! queue exists, so none overflows. When EXPUNGE must wait (RFC 9051 §7.5.1), expunged messages
//! keep their numbers until a command that may tell of them.

use std::{collections::BTreeMap, sync::Arc};

use mail::{
    id::{ModSeq, Uid},
    predicate::Predicate,
    set::{Set, UidSet},
};
use store::state::{MailboxState, Row};
use wire::encode::Revision;
use wire::imap::{
    code::{Code, NewKeywords},
    response::{Completion, FetchData, Recent, Status, Untagged},
    search::SearchSet,
    sequence::{Messages, Seq, SetOrSaved},
    table::Expunge,
};

use super::limits::SENT_MAX;

/// A client's view of its selected mailbox.
pub struct View {
    told: Column,
    told_mod_seq: ModSeq,
    /// Messages whose flags the client knows as of a later mod-sequence than `told_mod_seq`.
    sent: BTreeMap<Uid, ModSeq>,
    /// Messages told of ahead of their flags: from this UID on, as of this mod-sequence. They are
    /// new to the client, so their flags are no news.
    announced: Option<(Uid, ModSeq)>,
    keywords_told: usize,
    recent: UidSet,
    recent_told: u32,
    saved: UidSet,
}

/// The UIDs a client was told of, in shared chunks, with the count of UIDs before each chunk.
#[derive(Clone, Default)]
struct Column {
    chunks: Vec<(u32, Arc<[Uid]>)>,
    len: u32,
}

impl Column {
    fn of(state: &MailboxState) -> Self {
        let mut column = Self::default();
        for chunk in state.chunks.iter() {
            column.push(Arc::clone(&chunk.uids));
        }
        column
    }

    fn push(&mut self, uids: Arc<[Uid]>) {
        if uids.is_empty() {
            return;
        }
        let before = self.len;
        self.len = before.saturating_add(u32::try_from(uids.len()).unwrap_or(u32::MAX));
        self.chunks.push((before, uids));
    }

    fn last(&self) -> Option<Uid> {
        self.chunks
            .last()
            .and_then(|(_, uids)| uids.last().copied())
    }

    fn uid(&self, seq: Seq) -> Option<Uid> {
        self.uid_at(seq.get().checked_sub(1)?)
    }

    fn uid_at(&self, index: u32) -> Option<Uid> {
        let at = self
            .chunks
            .partition_point(|(before, _)| *before <= index)
            .checked_sub(1)?;
        let (before, uids) = self.chunks.get(at)?;
        uids.get(usize::try_from(index.checked_sub(*before)?).ok()?)
            .copied()
    }

    /// How many told UIDs are below `uid`, and whether `uid` itself was told.
    fn position(&self, uid: Uid) -> (u32, bool) {
        let at = self
            .chunks
            .partition_point(|(_, uids)| uids.last().is_some_and(|l| *l < uid));
        let Some((before, uids)) = self.chunks.get(at) else {
            return (self.len, false);
        };
        let (within, found) = match uids.binary_search(&uid) {
            Ok(within) => (within, true),
            Err(within) => (within, false),
        };
        (
            before.saturating_add(u32::try_from(within).unwrap_or(u32::MAX)),
            found,
        )
    }

    fn seq(&self, uid: Uid) -> Option<Seq> {
        match self.position(uid) {
            (below, true) => Seq::new(below.saturating_add(1)),
            (_, false) => None,
        }
    }

    fn between(&self, first: Uid, last: Uid) -> impl Iterator<Item = Uid> {
        let from = self
            .chunks
            .partition_point(|(_, uids)| uids.last().is_some_and(|u| *u < first));
        self.chunks
            .get(from..)
            .unwrap_or_default()
            .iter()
            .flat_map(move |(_, uids)| {
                let from = uids.partition_point(|u| *u < first);
                let to = uids.partition_point(|u| *u <= last);
                uids.get(from..to.max(from))
                    .unwrap_or_default()
                    .iter()
                    .copied()
            })
    }

    /// Told UIDs that are not in `state`, ascending; chunks the two share are skipped.
    fn missing_in(&self, state: &MailboxState) -> Vec<Uid> {
        let mut missing = Vec::new();
        let mut shared = state.chunks.iter().peekable();
        for (_, uids) in &self.chunks {
            while shared.peek().is_some_and(|c| c.uids.last() < uids.first()) {
                shared.next();
            }
            if shared.peek().is_some_and(|c| Arc::ptr_eq(&c.uids, uids)) {
                continue;
            }
            missing.extend(uids.iter().copied().filter(|uid| state.row(*uid).is_none()));
        }
        missing
    }
}

impl View {
    /// The view of a client that is being told of this version by SELECT.
    #[must_use]
    pub fn new(state: &MailboxState, recent: UidSet) -> Self {
        Self {
            told: Column::of(state),
            told_mod_seq: state.summary.highest_mod_seq,
            sent: BTreeMap::new(),
            announced: None,
            keywords_told: state.keywords.names().len(),
            recent_told: u32::try_from(recent.count()).unwrap_or(u32::MAX),
            recent,
            saved: UidSet::new(),
        }
    }

    /// How many messages the client knows of.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.told.len
    }

    /// The number of a message in this view.
    #[must_use]
    pub fn seq(&self, uid: Uid) -> Option<Seq> {
        self.told.seq(uid)
    }

    /// Whether a message is recent in this session.
    #[must_use]
    pub fn recent(&self, uid: Uid) -> Recent {
        if self.recent.contains(uid) {
            Recent::Recent
        } else {
            Recent::No
        }
    }

    /// The recent messages of this session.
    #[must_use]
    pub fn recent_uids(&self) -> &UidSet {
        &self.recent
    }

    /// Replaces the saved search result (RFC 9051 §6.4.4.1).
    pub fn save(&mut self, found: UidSet) {
        self.saved = found;
    }

    /// The told messages that a command names. Numbers above the last are an error only for
    /// sequence numbers (RFC 9051 §6.4.9): `None`.
    #[must_use]
    pub fn resolve(&self, messages: &Messages) -> Option<UidSet> {
        match messages {
            Messages::Seq(SetOrSaved::Set(set)) => {
                let seqs = set.resolve(Seq::new(self.count()));
                if set.0.is_empty() || seqs.last().is_some_and(|last| last.get() > self.count()) {
                    return None;
                }
                // `*` alone in an empty mailbox names a message that is not there.
                (!seqs.is_empty()).then(|| self.uids_of(&seqs))
            }
            Messages::Uid(SetOrSaved::Set(set)) => {
                Some(self.told_of(&set.resolve(self.told.last())))
            }
            Messages::Seq(SetOrSaved::Saved) | Messages::Uid(SetOrSaved::Saved) => {
                Some(self.told_of(&self.saved))
            }
        }
    }

    /// The search tree with the client's numbers replaced by UIDs; sequence numbers that do not
    /// exist match nothing (RFC 9051 §6.4.4).
    #[must_use]
    pub fn resolve_predicate(&self, predicate: Predicate<SearchSet>) -> Predicate<UidSet> {
        predicate.resolve(&mut |set| match set {
            SearchSet::Seq(SetOrSaved::Set(set)) => {
                self.uids_of(&set.resolve(Seq::new(self.count())))
            }
            SearchSet::Uid(SetOrSaved::Set(set)) => set.resolve(self.told.last()),
            SearchSet::Seq(SetOrSaved::Saved) | SearchSet::Uid(SetOrSaved::Saved) => {
                self.saved.clone()
            }
        })
    }

    fn uids_of(&self, seqs: &Set<Seq>) -> UidSet {
        let exist = Seq::new(self.count()).map(|last| Set::range(Seq::MIN, last));
        let exist = exist.map(|all| all.intersection(seqs)).unwrap_or_default();
        exist.iter().filter_map(|seq| self.told.uid(seq)).collect()
    }

    /// Those of `uids` that the client was told of.
    #[must_use]
    pub fn told_of(&self, uids: &UidSet) -> UidSet {
        uids.ranges()
            .flat_map(|range| self.told.between(*range.start(), *range.end()))
            .collect()
    }

    /// The sequence numbers of told messages.
    #[must_use]
    pub fn seqs_of(&self, uids: &UidSet) -> Set<Seq> {
        uids.iter().filter_map(|uid| self.seq(uid)).collect()
    }

    /// Notes that the client was just told the flags of a message as of `mod_seq`.
    pub fn note_sent(&mut self, uid: Uid, mod_seq: ModSeq) {
        if mod_seq > self.told_mod_seq && self.sent.len() < SENT_MAX {
            self.sent.insert(uid, mod_seq);
        }
    }

    /// Tells of messages that came since: EXISTS, RECENT. Allowed at any time (RFC 9051 §7.4.1).
    pub fn tell_new(&mut self, state: &MailboxState, taken: &UidSet, out: &mut Vec<Untagged>) {
        let last = self.told.last();
        let before = self.told.len;
        for chunk in state.chunks.iter() {
            let from = last.map_or(0, |last| chunk.uids.partition_point(|uid| *uid <= last));
            match chunk.uids.get(from..) {
                Some(all) if from == 0 && !all.is_empty() => {
                    self.told.push(Arc::clone(&chunk.uids))
                }
                Some(new) => self.told.push(Arc::from(new)),
                None => {}
            }
        }
        if self.told.len != before {
            out.push(Untagged::Exists(self.told.len));
            let first = self
                .announced
                .map(|(first, _)| first)
                .or(self.told.uid_at(before));
            self.announced = first.map(|first| (first, state.summary.highest_mod_seq));
        }
        self.recent = self.recent.union(taken);
        self.tell_recent(before, out);
    }

    fn tell_recent(&mut self, exists_before: u32, out: &mut Vec<Untagged>) {
        let recent = u32::try_from(self.recent.count()).unwrap_or(u32::MAX);
        if recent != self.recent_told {
            // Only growth is news: a client counts down by itself as it is told of EXPUNGE.
            if recent > self.recent_told || self.told.len > exists_before {
                out.push(Untagged::Recent(recent));
            }
            self.recent_told = recent;
        }
    }

    /// Tells of messages that are gone, from the last to the first so that numbers stay simple.
    pub fn tell_gone(&mut self, state: &MailboxState, out: &mut Vec<Untagged>) {
        let gone = self.told.missing_in(state);
        if gone.is_empty() {
            return;
        }
        out.extend(
            gone.iter()
                .rev()
                .filter_map(|uid| self.told.seq(*uid))
                .map(Untagged::Expunge),
        );
        let gone: UidSet = gone.into_iter().collect();
        let last = self.told.last();
        let mut kept = Column::default();
        for chunk in state.chunks.iter() {
            let to = last.map_or(0, |last| chunk.uids.partition_point(|uid| *uid <= last));
            match chunk.uids.get(..to) {
                Some(all) if to == chunk.uids.len() && !all.is_empty() => {
                    kept.push(Arc::clone(&chunk.uids));
                }
                Some(some) => kept.push(Arc::from(some)),
                None => {}
            }
        }
        self.told = kept;
        self.recent = self.recent.difference(&gone);
        self.recent_told = u32::try_from(self.recent.count()).unwrap_or(u32::MAX);
        self.saved = self.saved.difference(&gone);
        self.sent.retain(|uid, _| !gone.contains(*uid));
    }

    /// Tells of keywords and flags that changed since.
    pub fn tell_flags(
        &mut self,
        state: &MailboxState,
        revision: Revision,
        out: &mut Vec<Untagged>,
    ) {
        self.tell_keywords(state, out);
        let changed: Vec<(Uid, Row)> = state
            .changed_since(self.told_mod_seq)
            .map(|(uid, row)| (uid, *row))
            .collect();
        for (uid, row) in changed {
            if self.is_announced(uid, row.mod_seq) {
                continue;
            }
            if self
                .sent
                .get(&uid)
                .is_some_and(|known| *known >= row.mod_seq)
            {
                continue;
            }
            // A message that was not told of yet is new, not changed.
            if let Some(seq) = self.seq(uid) {
                out.push(Untagged::Fetch(
                    seq,
                    vec![FetchData::Uid(uid), self.flags(state, uid, &row, revision)],
                ));
            }
        }
        self.sent.clear();
        self.told_mod_seq = self.told_mod_seq.max(state.summary.highest_mod_seq);
    }

    fn is_announced(&self, uid: Uid, mod_seq: ModSeq) -> bool {
        self.announced
            .is_some_and(|(first, at)| uid >= first && mod_seq <= at)
    }

    /// Tells of new keywords before a FETCH shows them (RFC 9051 §7.3.5, protocol rule 43).
    pub fn tell_keywords(&mut self, state: &MailboxState, out: &mut Vec<Untagged>) {
        let names = state.keywords.names();
        if names.len() == self.keywords_told {
            return;
        }
        self.keywords_told = names.len();
        out.push(Untagged::Flags(all_system_flags(), names.to_vec()));
        out.push(permanent_flags(names.to_vec()));
    }

    /// FLAGS of a message as this session sees them.
    #[must_use]
    pub fn flags(
        &self,
        state: &MailboxState,
        uid: Uid,
        row: &Row,
        revision: Revision,
    ) -> FetchData {
        let recent = match revision {
            Revision::Rev1 => self.recent(uid),
            Revision::Rev2 => Recent::No,
        };
        FetchData::Flags(Arc::new(state.flags(row)), recent)
    }

    /// Brings the client up to date with `state`, as far as the running command allows.
    pub fn tell(
        &mut self,
        state: &MailboxState,
        expunge: Expunge,
        taken: &UidSet,
        revision: Revision,
    ) -> Vec<Untagged> {
        let mut out = Vec::new();
        if expunge == Expunge::May {
            self.tell_gone(state, &mut out);
        }
        self.tell_flags(state, revision, &mut out);
        self.tell_new(state, taken, &mut out);
        self.announced = None;
        out
    }
}

/// Every system flag.
#[must_use]
pub fn all_system_flags() -> mail::flag::SystemFlags {
    mail::flag::SystemFlags::from_bits(u8::MAX)
}

/// The PERMANENTFLAGS line of a mailbox that may be changed.
#[must_use]
pub fn permanent_flags(keywords: Vec<mail::flag::Keyword>) -> Untagged {
    let code = Code::PermanentFlags(all_system_flags(), keywords, NewKeywords::Allowed);
    Untagged::Status(Completion {
        status: Status::Ok,
        code: Some(code),
        text: "These flags are kept.".into(),
    })
}
