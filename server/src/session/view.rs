//! What one client has been told of its selected mailbox, and the only place where sequence
//! numbers become UIDs and back (design.md §3).
//!
//! A view keeps the UID column it told (chunks shared with the mailbox), not the attributes. To
//! bring a client up to date it compares that column with the version published now: no event
//! queue exists, so none overflows. When EXPUNGE must wait (RFC 9051 §7.5.1), expunged messages
//! keep their numbers until a command that may tell of them.

mod column;

use std::sync::Arc;

use mail::{
    flag::SystemFlags,
    id::{ModSeq, Uid, UidValidity},
    predicate::Predicate,
    set::{Set, UidSet},
};
use store::state::{MailboxState, Row};
use wire::encode::{Mode, Revision, Sync};
use wire::imap::{
    code::{Code, NewKeywords},
    response::{Completion, FetchData, Recent, Status, Subject, Untagged, Vanished},
    search::SearchSet,
    select::Access,
    sequence::{End, Messages, Numbers, Seq, SetOrSaved},
    table::Expunge,
};

use self::column::Column;
use super::{
    limits::{KNOWN_RANGES_MAX, KNOWN_VERSIONS_MAX},
    resync::{Gone, vanished},
};

/// A client's view of its selected mailbox.
pub struct View {
    told: Column,
    /// The version whose flags the client knows.
    told_mod_seq: ModSeq,
    /// The last version of which it was told every expunge.
    expunges_told: ModSeq,
    /// What it knows beyond that.
    known: Known,
    keywords_told: usize,
    access: Access,
    recent: UidSet,
    recent_told: u32,
    saved: UidSet,
    uid_next: Uid,
    uid_validity: UidValidity,
}

/// Messages whose flags the client knows as of a later version than the view's: it was just sent
/// them, or they are new to it, so that they are no news.
#[derive(Default)]
struct Known(Vec<(UidSet, ModSeq)>);

impl Known {
    /// Past the limits it forgets the oldest, whose flags are then told twice.
    fn add(&mut self, uids: &UidSet, as_of: ModSeq) {
        if uids.is_empty() {
            return;
        }
        match self.0.last_mut() {
            Some((known, at)) if *at == as_of => *known = known.union(uids),
            _ => self.0.push((uids.clone(), as_of)),
        }
        let too_many = |known: &Self| {
            let ranges: usize = known.0.iter().map(|(uids, _)| uids.ranges().len()).sum();
            known.0.len() > KNOWN_VERSIONS_MAX || ranges > KNOWN_RANGES_MAX
        };
        while too_many(self) {
            self.0.remove(0);
        }
    }

    /// Whether the client knows the flags that a message has since `mod_seq`.
    fn has(&self, uid: Uid, mod_seq: ModSeq) -> bool {
        let covers = |(uids, at): &(UidSet, ModSeq)| mod_seq <= *at && uids.contains(uid);
        self.0.iter().any(covers)
    }
}

/// Which changes a client is told of now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Messages that are gone.
    pub expunge: Expunge,
    /// New messages.
    pub new: bool,
    /// Other flags.
    pub flags: bool,
}

impl Wanted {
    /// Nothing.
    pub const NOTHING: Self = Self {
        expunge: Expunge::MustWait,
        new: false,
        flags: false,
    };

    /// All that a command with this rule allows.
    #[must_use]
    pub const fn all(expunge: Expunge) -> Self {
        Self {
            expunge,
            new: true,
            flags: true,
        }
    }
}

/// What a client is told of at once, as numbers; [`View::responses`] makes the responses one by
/// one, so that a change of a million messages is never held as a million responses.
#[derive(Default)]
pub struct News {
    /// Messages that are gone, …
    vanished: UidSet,
    /// … and the numbers they have when the ones before are told of, for those who are told numbers.
    gone: Vec<Seq>,
    keywords: Vec<Untagged>,
    /// Messages whose flags changed.
    changed: Vec<Uid>,
    counts: Vec<Untagged>,
}

impl News {
    /// Whether it tells that messages are gone.
    pub(super) fn gone(&self) -> Gone {
        match self.vanished.is_empty() {
            false => Gone::Told,
            true => Gone::Untold,
        }
    }
}

impl View {
    /// The view of a client that is being told of this version by SELECT.
    #[must_use]
    pub fn new(state: &MailboxState, recent: UidSet, access: Access) -> Self {
        Self {
            told: Column::of(state),
            told_mod_seq: state.summary.highest_mod_seq,
            expunges_told: state.summary.highest_mod_seq,
            known: Known::default(),
            access,
            keywords_told: state.keywords.names().len(),
            recent_told: u32::try_from(recent.count()).unwrap_or(u32::MAX),
            recent,
            saved: UidSet::new(),
            uid_next: state.summary.uid_next,
            uid_validity: state.summary.uid_validity,
        }
    }

    /// The UIDVALIDITY the client was told.
    #[must_use]
    pub fn uid_validity(&self) -> UidValidity {
        self.uid_validity
    }

    /// The UID that the next message would have had when the client was last told of new ones.
    #[must_use]
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// The greatest UID that the client knows of.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.told.last()
    }

    /// Whether what is remembered of what the client was told, beyond what the mailbox has, takes at
    /// most so many bytes. It is remembered in ranges if it would take more (design.md §3).
    pub fn fits(&mut self, state: &MailboxState, bytes_max: usize) -> bool {
        let fits = |told: &Column| {
            told.len() == state.summary.messages
                || told.bytes_max() <= bytes_max
                || told.held_bytes(state) <= bytes_max
        };
        if !fits(&self.told) {
            self.told.compact(state);
        }
        fits(&self.told)
    }

    /// The mod-sequence up to which the client was told everything: what HIGHESTMODSEQ may say.
    #[must_use]
    pub fn settled(&self) -> ModSeq {
        self.told_mod_seq.min(self.expunges_told)
    }

    /// Whether it was told of changes that are later than an expunge that is still to be told.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.expunges_told < self.told_mod_seq
    }

    /// How many messages the client knows of.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.told.len()
    }

    /// Every message the client knows of.
    #[must_use]
    pub fn all(&self) -> UidSet {
        self.told_of(&UidSet::range(Uid::MIN, Uid::MAX))
    }

    /// The UID of the message at this position from 0.
    #[must_use]
    pub fn uid_at(&self, position: u32) -> Option<Uid> {
        self.told.uid_at(position)
    }

    /// The number of a message in this view.
    #[must_use]
    pub fn seq(&self, uid: Uid) -> Option<Seq> {
        self.told.seq(uid)
    }

    /// A message that the client knows of, as it is called in this mode. With UIDONLY nothing is
    /// counted for that.
    #[must_use]
    pub fn subject(&self, uid: Uid, mode: Mode) -> Option<Subject> {
        match mode.numbers {
            Numbers::Seq => self.seq(uid).map(Subject::Seq),
            Numbers::Uid => self.told.position(uid).1.then_some(Subject::Uid(uid)),
        }
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

    /// The search tree with the client's numbers replaced by UIDs; `None` if it names a sequence
    /// number above the last (RFC 9051 §9 `seq-number`). A range with `*` is never an error, so
    /// that `1:*` also searches an empty mailbox.
    #[must_use]
    pub fn resolve_predicate(&self, predicate: Predicate<SearchSet>) -> Option<Predicate<UidSet>> {
        let mut exist = true;
        let resolved = predicate.resolve(&mut |set| match set {
            SearchSet::Seq(SetOrSaved::Set(set)) => {
                exist &= !set.0.iter().any(|range| self.is_above(*range));
                self.uids_of(&set.resolve(Seq::new(self.count())))
            }
            SearchSet::Uid(SetOrSaved::Set(set)) => set.resolve(self.told.last()),
            SearchSet::Seq(SetOrSaved::Saved) | SearchSet::Uid(SetOrSaved::Saved) => {
                self.saved.clone()
            }
        });
        exist.then_some(resolved)
    }

    /// Whether one of the ends is a number that no message has.
    fn is_above(&self, range: (End<Seq>, End<Seq>)) -> bool {
        matches!(range, (End::Number(a), End::Number(b)) if a.max(b).get() > self.count())
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

    /// The UIDs that a UID command names, whether or not there are such messages; `*` is the
    /// greatest that was ever given.
    #[must_use]
    pub fn asked(&self, messages: &Messages, last: Uid) -> UidSet {
        match messages {
            Messages::Uid(SetOrSaved::Set(set)) => set.resolve(Some(last)),
            Messages::Uid(SetOrSaved::Saved) | Messages::Seq(_) => self.saved.clone(),
        }
    }

    /// Those of `uids` that the client was not told of, as ranges.
    pub fn gaps<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (Uid, Uid)> + 'a {
        uids.ranges().flat_map(|range| {
            let (first, last) = range.into_inner();
            let mut next = Some(first);
            let told = self.told.between(first, last).map(Some);
            told.chain([None]).filter_map(move |told| {
                let from = next?;
                let to = match told {
                    Some(uid) => uid.get().checked_sub(1).and_then(Uid::new),
                    None => Some(last),
                };
                next = told.and_then(Uid::next);
                to.filter(|to| from <= *to).map(|to| (from, to))
            })
        })
    }

    /// The last of these UIDs, of those that stand where the client says (RFC 7162 §3.2.5.2): it
    /// knows of every expunge before that.
    #[must_use]
    pub fn matching(&self, seqs: &Set<Seq>, uids: &UidSet) -> Option<Uid> {
        let pairs = seqs.iter().zip(uids.iter());
        let same = pairs.take_while(|(seq, uid)| self.told.uid(*seq) == Some(*uid));
        same.last().map(|(_, uid)| uid)
    }

    /// The sequence numbers of told messages.
    #[must_use]
    pub fn seqs_of(&self, uids: &UidSet) -> Set<Seq> {
        uids.iter().filter_map(|uid| self.seq(uid)).collect()
    }

    /// Notes that the client was just told the flags of these messages as `state` has them.
    pub fn note_known(&mut self, uids: &UidSet, state: &MailboxState) {
        self.known.add(uids, state.summary.highest_mod_seq);
    }

    /// Whether the client knows the flags of a row.
    #[must_use]
    pub fn knows(&self, uid: Uid, row: &Row) -> bool {
        row.mod_seq <= self.told_mod_seq || self.known.has(uid, row.mod_seq)
    }

    /// Tells of messages that came since: EXISTS, RECENT. Allowed at any time (RFC 9051 §7.4.1).
    pub fn tell_new(&mut self, state: &MailboxState, taken: &UidSet) -> Vec<Untagged> {
        let mut out = Vec::new();
        let last = self.told.last();
        let before = self.told.len();
        for chunk in state.chunks.iter() {
            let from = last.map_or(0, |last| chunk.uids.partition_point(|uid| *uid <= last));
            match chunk.uids.get(from..) {
                Some(_) if from == 0 => self.told.push(Arc::clone(&chunk.uids)),
                Some(new) => self.told.push(Arc::from(new)),
                None => {}
            }
        }
        if let Some(first) = self.told.uid_at(before) {
            out.push(Untagged::Exists(self.told.len()));
            // They are new to the client, so that their flags are no news.
            let new = UidSet::range(first, self.told.last().unwrap_or(first));
            self.note_known(&new, state);
            self.share(state);
        }
        self.uid_next = state.summary.uid_next;
        self.recent = self.recent.union(taken);
        self.tell_recent(before, &mut out);
        out
    }

    /// Shares the chunks of a version again if the client knows of the same messages. Every
    /// message of the version was told of, so that equal counts mean equal sets.
    fn share(&mut self, state: &MailboxState) {
        if self.told.len() == state.summary.messages {
            self.told = Column::of(state);
        }
    }

    fn tell_recent(&mut self, exists_before: u32, out: &mut Vec<Untagged>) {
        let recent = u32::try_from(self.recent.count()).unwrap_or(u32::MAX);
        if recent != self.recent_told {
            // Only growth is news: a client counts down by itself as it is told of EXPUNGE.
            if recent > self.recent_told || self.told.len() > exists_before {
                out.push(Untagged::Recent(recent));
            }
            self.recent_told = recent;
        }
    }

    /// Tells of messages that are gone, from the last to the first so that numbers stay simple.
    fn tell_gone(&mut self, state: &MailboxState, mode: Mode) -> (Vec<Seq>, UidSet) {
        self.expunges_told = self.expunges_told.max(state.summary.highest_mod_seq);
        let gone: Vec<Uid> = self.told.missing_in(state).collect();
        if gone.is_empty() {
            return (Vec::new(), UidSet::new());
        }
        let numbers = match mode.tells_vanished() {
            true => Vec::new(),
            false => {
                let numbers = gone.iter().rev().filter_map(|uid| self.told.seq(*uid));
                numbers.collect()
            }
        };
        let gone: UidSet = gone.into_iter().collect();
        let last = self.told.last();
        let mut kept = Column::default();
        for chunk in state.chunks.iter() {
            let to = last.map_or(0, |last| chunk.uids.partition_point(|uid| *uid <= last));
            match chunk.uids.get(..to) {
                Some(_) if to == chunk.uids.len() => kept.push(Arc::clone(&chunk.uids)),
                Some(some) => kept.push(Arc::from(some)),
                None => {}
            }
        }
        self.told = kept;
        self.recent = self.recent.difference(&gone);
        self.recent_told = u32::try_from(self.recent.count()).unwrap_or(u32::MAX);
        self.saved = self.saved.difference(&gone);
        (numbers, gone)
    }

    /// Holds back what is gone, if anything is.
    fn hold_back(&mut self, state: &MailboxState) {
        let now = state.summary.highest_mod_seq;
        if self.expunges_told < now && self.told.missing_in(state).next().is_none() {
            self.expunges_told = now;
        }
    }

    /// Messages whose flags changed since; from now on the client knows them.
    fn tell_flags(&mut self, state: &MailboxState) -> Vec<Uid> {
        let changed = state
            .changed_since(self.told_mod_seq)
            // A message that was not told of yet is new, not changed.
            .filter(|(uid, row)| !self.knows(*uid, row) && self.told.position(*uid).1)
            .map(|(uid, _)| uid)
            .collect();
        self.told_mod_seq = self.told_mod_seq.max(state.summary.highest_mod_seq);
        changed
    }

    /// Tells of new keywords before a FETCH shows them (RFC 9051 §7.3.5, protocol rule 43).
    pub fn tell_keywords(&mut self, state: &MailboxState) -> Vec<Untagged> {
        let names = state.keywords.names();
        if names.len() == self.keywords_told {
            return Vec::new();
        }
        self.keywords_told = names.len();
        let flags = Untagged::Flags(all_system_flags(), names.to_vec());
        vec![flags, permanent_flags(self.access, names.to_vec())]
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

    /// FETCH with the flags of a message that the client knows, as it is told of changes
    /// (RFC 9051 §7.5.2; RFC 7162 §3.2.4, protocol rule 13).
    #[must_use]
    pub fn flags_response(
        &self,
        state: &MailboxState,
        (uid, row): (Uid, &Row),
        mode: Mode,
    ) -> Option<Untagged> {
        let mut items = vec![self.flags(state, uid, row, mode.revision)];
        if mode.sync >= Sync::CondStore {
            items.push(FetchData::ModSeq(row.mod_seq));
        }
        self.unasked(uid, items, mode)
    }

    /// FETCH of a message that the client knows, without being asked or as an answer of STORE. UID
    /// stands before the items, unless the response itself says which it is.
    #[must_use]
    pub fn unasked(&self, uid: Uid, mut items: Vec<FetchData>, mode: Mode) -> Option<Untagged> {
        let subject = self.subject(uid, mode)?;
        if matches!(subject, Subject::Seq(_)) {
            items.insert(0, FetchData::Uid(uid));
        }
        Some(Untagged::Fetch(subject, items))
    }

    /// Brings the client up to date with `state`, as far as is wanted and the running command allows.
    #[must_use]
    pub fn tell(
        &mut self,
        state: &MailboxState,
        wanted: Wanted,
        taken: &UidSet,
        mode: Mode,
    ) -> News {
        let (gone, vanished) = match wanted.expunge {
            Expunge::May => self.tell_gone(state, mode),
            Expunge::MustWait => {
                self.hold_back(state);
                Default::default()
            }
        };
        let (mut keywords, mut changed) = (Vec::new(), Vec::new());
        if wanted.flags {
            keywords = self.tell_keywords(state);
            changed = self.tell_flags(state);
        }
        let counts = match wanted.new {
            true => self.tell_new(state, taken),
            false => Vec::new(),
        };
        if wanted.flags {
            // The client knows the flags of all now.
            self.known = Known::default();
        }
        News {
            vanished,
            gone,
            keywords,
            changed,
            counts,
        }
    }

    /// The responses that tell of news, in order.
    pub fn responses<'a>(
        &'a self,
        news: &'a News,
        state: &'a MailboxState,
        mode: Mode,
    ) -> impl Iterator<Item = Untagged> + 'a {
        let gone = news.gone.iter().copied();
        let uids = mode.tells_vanished().then(|| news.vanished.ranges());
        let uids = uids.into_iter().flatten();
        let uids = uids.map(std::ops::RangeInclusive::into_inner);
        let changed = news
            .changed
            .iter()
            .filter_map(move |uid| self.flags_response(state, (*uid, state.row(*uid)?), mode));
        gone.map(Untagged::Expunge)
            .chain(vanished(Vanished::Now, uids))
            .chain(news.keywords.iter().cloned())
            .chain(changed)
            .chain(news.counts.iter().cloned())
    }
}

/// Every system flag.
#[must_use]
pub fn all_system_flags() -> SystemFlags {
    SystemFlags::from_bits(u8::MAX)
}

/// The PERMANENTFLAGS line of a mailbox (RFC 9051 §7.1).
#[must_use]
pub fn permanent_flags(access: Access, keywords: Vec<mail::flag::Keyword>) -> Untagged {
    let (code, text) = match access {
        Access::ReadWrite => (
            Code::PermanentFlags(all_system_flags(), keywords, NewKeywords::Allowed),
            "These flags are kept.",
        ),
        Access::ReadOnly => (
            Code::PermanentFlags(SystemFlags::NONE, Vec::new(), NewKeywords::Refused),
            "No flag can be changed.",
        ),
    };
    Untagged::Status(Completion {
        status: Status::Ok,
        code: Some(code),
        text: text.into(),
    })
}

#[cfg(test)]
mod tests;
