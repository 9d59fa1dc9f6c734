//! Messages: adding, flags, expunging, copying and moving.
//!
//! RFC 9051 §6.3.12 (APPEND), §6.4.3 (EXPUNGE), §6.4.6 to §6.4.8 (STORE, COPY, MOVE);
//! RFC 7162 §3.1 (what a mod-sequence counts).

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mail::{
    date::DateTime,
    flag::{FlagChange, Flags, Keyword, SystemFlags, UnchangedSince},
    id::{BodyId, ThreadId, Uid},
    set::UidSet,
};

use super::{Change, Context, Limits, STEP_MESSAGES, next_mod_seq};
use crate::{
    contract::{Expunge, FlagsOutcome},
    embedded::record::{FlagsRecord, MessageRecord, Record},
    error::{Error, Result},
    state::{KeywordSetId, Keywords, MailboxState, Row},
};

/// A message to add, its body stored under an id.
#[derive(Clone, Debug)]
pub(crate) struct Added {
    pub(crate) body: BodyId,
    pub(crate) thread: ThreadId,
    pub(crate) size: u32,
    pub(crate) internal_date: DateTime,
    pub(crate) flags: Flags,
}

/// How STORE changes flags.
#[derive(Clone, Debug)]
pub(crate) struct FlagsRequest<'a> {
    pub(crate) uids: &'a UidSet,
    pub(crate) change: FlagChange,
    pub(crate) flags: &'a Flags,
    pub(crate) unchanged_since: Option<UnchangedSince>,
}

/// Whether the messages stay where they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Transfer {
    /// They stay; all of them are copied.
    Copy,
    /// They go, a step at a time.
    Move,
    /// They go, all of them in one step: RENAME of INBOX.
    MoveWhole,
}

/// Which messages COPY or MOVE takes, from which UID on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) uids: &'a UidSet,
    pub(crate) from: Uid,
    pub(crate) transfer: Transfer,
}

/// Which messages of the source became which of the target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moved {
    pub(crate) from: UidSet,
    pub(crate) to: UidSet,
}

/// A step of a longer command: what it changes (nothing if there is nothing to change), what it
/// did, and the UID at which the next step begins, if there is more.
#[derive(Debug)]
pub(crate) struct Step<T> {
    pub(crate) change: Option<Change>,
    pub(crate) did: T,
    pub(crate) resume: Option<Uid>,
}

/// Adds messages after the last, all with one new mod-sequence; returns their UIDs.
pub(crate) fn append(
    context: &Context,
    state: &MailboxState,
    added: &[Added],
) -> Result<(Change, UidSet)> {
    let mut interner = Interner::new(state, context);
    let mod_seq = next_mod_seq(state)?;
    let mut next_uid = state.summary.uid_next;
    let mut rows = Vec::with_capacity(added.len());
    for message in added {
        let keywords = interner.intern(message.flags.keywords())?;
        let row = Row {
            mod_seq,
            body: message.body,
            thread: message.thread,
            internal_date: message.internal_date,
            saved_secs: context.now_secs,
            size: message.size,
            keywords,
            system: message.flags.system,
        };
        rows.push((take_uid(&mut next_uid)?, row));
    }
    let uids = rows.iter().map(|(uid, _)| *uid).collect();
    let mut change = Change::default();
    push_rows(context, state, &interner.done(), &rows, &mut change);
    Ok((change, uids))
}

/// The next step of a STORE from the UID `from`. A message that has the result already keeps its
/// mod-sequence (RFC 7162 §3.1: a STORE that changes nothing need not raise it).
pub(crate) fn store_flags(
    context: &Context,
    state: &MailboxState,
    request: &FlagsRequest<'_>,
    from: Uid,
) -> Result<Step<FlagsOutcome>> {
    let mod_seq = next_mod_seq(state)?;
    let (rows, resume) = step_rows(state, request.uids, from, STEP_MESSAGES);
    let mut results = Results::new(state, context, request);
    let mut did = FlagsOutcome::default();
    let mut changed = Vec::new();
    let mut groups: BTreeMap<(SystemFlags, KeywordSetId), UidSet> = BTreeMap::new();
    for (uid, row) in rows {
        let FlagsRequest { change, flags, .. } = *request;
        let allows = |condition: UnchangedSince| {
            condition.allows(row.mod_seq, || state.flags(&row), change, flags)
        };
        if !request.unchanged_since.is_none_or(allows) {
            did.modified.insert(uid);
            continue;
        }
        did.done.insert(uid);
        let (system, keywords) = results.of(&row)?;
        if (system, keywords) != (row.system, row.keywords) {
            groups.entry((system, keywords)).or_default().insert(uid);
            let row = Row {
                mod_seq,
                keywords,
                system,
                ..row
            };
            changed.push((uid, row));
        }
    }
    let keywords = results.interner.done();
    let change = (!changed.is_empty()).then(|| {
        did.mod_seq = Some(mod_seq);
        let records = flags_records(&keywords, groups);
        let mut next = state.with_rows(&changed);
        next.keywords = keywords;
        Change {
            states: vec![next],
            records: vec![Record::Flags(context.account, state.id, mod_seq, records)],
        }
    });
    Ok(Step {
        change,
        did,
        resume,
    })
}

/// The next step of an EXPUNGE from the UID `from`. The mod-sequence of the mailbox rises
/// (RFC 7162 §3.2).
pub(crate) fn expunge(
    context: &Context,
    state: &MailboxState,
    which: &Expunge,
    from: Uid,
) -> Result<Step<UidSet>> {
    let all = UidSet::range(Uid::MIN, Uid::MAX);
    let within = match which {
        Expunge::Deleted => all,
        Expunge::DeletedOf(uids) => uids.clone(),
        Expunge::DeletedUnchanged(parts) => {
            parts.iter().fold(UidSet::new(), |all, p| all.union(&p.0))
        }
    };
    let mut gone = UidSet::new();
    let mut visited = 0;
    let mut resume = None;
    let within = within.intersection(&UidSet::range(from, Uid::MAX));
    // Messages that stay cost nothing to log, so that a step counts those that go.
    for (uid, row) in state.rows_of(&within) {
        if visited == STEP_MESSAGES {
            resume = Some(uid);
            break;
        }
        if row.system.contains(SystemFlags::DELETED) && is_unchanged(which, uid, row) {
            gone.insert(uid);
            visited += 1;
        }
    }
    let change = if gone.is_empty() {
        None
    } else {
        Some(expunged(context, state, &gone)?)
    };
    Ok(Step {
        change,
        did: gone,
        resume,
    })
}

/// Copies the messages that exist of `uids`; moves are done in steps from the UID `from`. Body,
/// flags, INTERNALDATE and conversation are those of the source (RFC 9051 §6.4.7).
pub(crate) fn transfer(
    context: &Context,
    source: &MailboxState,
    target: &MailboxState,
    wanted: &Wanted<'_>,
) -> Result<Step<Moved>> {
    let messages_max = match wanted.transfer {
        Transfer::Move => STEP_MESSAGES,
        Transfer::Copy | Transfer::MoveWhole => usize::MAX - 1,
    };
    let (rows, resume) = step_rows(source, wanted.uids, wanted.from, messages_max);
    let mut did = Moved::default();
    let mut interner = Interner::new(target, context);
    let mod_seq = next_mod_seq(target)?;
    let mut next_uid = target.summary.uid_next;
    let mut copies = Vec::with_capacity(rows.len());
    for (uid, row) in rows {
        let keywords = interner.translate(source, row.keywords)?;
        let copy = Row {
            mod_seq,
            saved_secs: context.now_secs,
            keywords,
            ..row
        };
        let new_uid = take_uid(&mut next_uid)?;
        copies.push((new_uid, copy));
        did.from.insert(uid);
        did.to.insert(new_uid);
    }
    let mut change = Change::default();
    if !copies.is_empty() {
        push_rows(context, target, &interner.done(), &copies, &mut change);
        if wanted.transfer != Transfer::Copy {
            push_gone(context, source, &did.from, &mut change)?;
        }
    }
    Ok(Step {
        change: (!copies.is_empty()).then_some(change),
        did,
        resume,
    })
}

/// Adds what goes from `source` to a change that brings something: what brings is shown first, so
/// that a message that is moved or replaced is at every moment in one mailbox.
pub(crate) fn push_gone(
    context: &Context,
    source: &MailboxState,
    gone: &UidSet,
    change: &mut Change,
) -> Result<()> {
    let is_same = change.states.last().is_some_and(|s| s.id == source.id);
    let base = if is_same { change.states.pop() } else { None };
    let gone = expunged(context, base.as_ref().unwrap_or(source), gone)?;
    change.states.extend(gone.states);
    change.records.extend(gone.records);
    Ok(())
}

fn expunged(context: &Context, state: &MailboxState, gone: &UidSet) -> Result<Change> {
    let mod_seq = next_mod_seq(state)?;
    let mut next = state.without(gone);
    next.summary.highest_mod_seq = mod_seq;
    Ok(Change {
        states: vec![next],
        records: vec![Record::Expunged(
            context.account,
            state.id,
            mod_seq,
            gone.clone(),
        )],
    })
}

fn is_unchanged(which: &Expunge, uid: Uid, row: &Row) -> bool {
    match which {
        Expunge::DeletedUnchanged(parts) => parts
            .iter()
            .any(|(uids, since)| row.mod_seq <= *since && uids.contains(uid)),
        Expunge::Deleted | Expunge::DeletedOf(_) => true,
    }
}

/// Up to `messages_max` rows at or after `from`, and the UID after them, if there is more.
fn step_rows(
    state: &MailboxState,
    uids: &UidSet,
    from: Uid,
    messages_max: usize,
) -> (Vec<(Uid, Row)>, Option<Uid>) {
    let uids = uids.intersection(&UidSet::range(from, Uid::MAX));
    let mut rows: Vec<(Uid, Row)> = state
        .rows_of(&uids)
        .take(messages_max + 1)
        .map(|(uid, row)| (uid, *row))
        .collect();
    let resume = (rows.len() > messages_max).then(|| rows.pop()).flatten();
    (rows, resume.map(|(uid, _)| uid))
}

/// UIDs ascend and are used once; the last number of all stays unused, so that uid_next exists.
fn take_uid(next: &mut Uid) -> Result<Uid> {
    let uid = *next;
    *next = uid.next().ok_or(Error::Limit("UIDs of a mailbox"))?;
    Ok(uid)
}

fn push_rows(
    context: &Context,
    state: &MailboxState,
    keywords: &Arc<Keywords>,
    rows: &[(Uid, Row)],
    change: &mut Change,
) {
    let records = rows
        .iter()
        .map(|(uid, row)| message_record(*uid, row, keywords))
        .collect();
    let mut next = state.appended(rows);
    next.keywords = Arc::clone(keywords);
    change.states.push(next);
    change
        .records
        .push(Record::Messages(context.account, state.id, records));
}

fn message_record(uid: Uid, row: &Row, keywords: &Keywords) -> MessageRecord {
    MessageRecord {
        uid,
        mod_seq: row.mod_seq,
        body: row.body,
        thread: row.thread,
        internal_date: row.internal_date,
        saved_secs: row.saved_secs,
        size: row.size,
        system: row.system,
        keywords: keywords.set(row.keywords).to_vec(),
    }
}

fn flags_records(
    keywords: &Keywords,
    groups: BTreeMap<(SystemFlags, KeywordSetId), UidSet>,
) -> Vec<FlagsRecord> {
    groups
        .into_iter()
        .map(|((system, set), uids)| FlagsRecord {
            uids,
            system,
            keywords: keywords.set(set).to_vec(),
        })
        .collect()
}

/// Flags after a STORE, computed once per combination that occurs.
struct Results<'a> {
    state: &'a MailboxState,
    request: &'a FlagsRequest<'a>,
    interner: Interner<'a>,
    known: HashMap<(SystemFlags, KeywordSetId), (SystemFlags, KeywordSetId)>,
}

impl<'a> Results<'a> {
    fn new(state: &'a MailboxState, context: &Context, request: &'a FlagsRequest<'a>) -> Self {
        Self {
            state,
            request,
            interner: Interner::new(state, context),
            known: HashMap::new(),
        }
    }

    fn of(&mut self, row: &Row) -> Result<(SystemFlags, KeywordSetId)> {
        if let Some(known) = self.known.get(&(row.system, row.keywords)) {
            return Ok(*known);
        }
        let flags = self.state.flags(row);
        let flags = flags.changed(self.request.change, self.request.flags);
        let result = (flags.system, self.interner.intern(flags.keywords())?);
        self.known.insert((row.system, row.keywords), result);
        Ok(result)
    }
}

/// The keywords of a mailbox while a change is planned: copied only if it brings a new set.
struct Interner<'a> {
    shared: &'a Arc<Keywords>,
    own: Option<Keywords>,
    limits: Limits,
    translated: HashMap<KeywordSetId, KeywordSetId>,
}

impl<'a> Interner<'a> {
    fn new(state: &'a MailboxState, context: &Context) -> Self {
        Self {
            shared: &state.keywords,
            own: None,
            limits: context.limits,
            translated: HashMap::new(),
        }
    }

    /// The set that a client names: what is new in it must be within the limits.
    fn intern(&mut self, keywords: &[Keyword]) -> Result<KeywordSetId> {
        let known = self.own.as_ref().unwrap_or(self.shared);
        let bytes_max = self.limits.keyword_bytes_max;
        let mut long = keywords
            .iter()
            .filter(|keyword| keyword.as_str().len() > bytes_max);
        if long.any(|keyword| !known.names().contains(keyword)) {
            return Err(Error::Limit("length of a keyword"));
        }
        self.intern_stored(keywords)
    }

    /// A set that is stored already, here or in another mailbox.
    fn intern_stored(&mut self, keywords: &[Keyword]) -> Result<KeywordSetId> {
        let known = self.own.as_ref().unwrap_or(self.shared);
        if let Some(id) = known.find(keywords) {
            return Ok(id);
        }
        let own = self.own.get_or_insert_with(|| Keywords::clone(self.shared));
        let id = own.intern(keywords);
        if own.names().len() > self.limits.keywords_per_mailbox_max {
            return Err(Error::Limit("keywords of a mailbox"));
        }
        Ok(id)
    }

    /// The set of this mailbox that equals a set of `other`.
    fn translate(&mut self, other: &MailboxState, set: KeywordSetId) -> Result<KeywordSetId> {
        if let Some(known) = self.translated.get(&set) {
            return Ok(*known);
        }
        let here = self.intern_stored(other.keywords.set(set))?;
        self.translated.insert(set, here);
        Ok(here)
    }

    fn done(self) -> Arc<Keywords> {
        self.own.map_or_else(|| Arc::clone(self.shared), Arc::new)
    }
}
