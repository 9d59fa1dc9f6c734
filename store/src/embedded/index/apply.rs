//! Applying transactions to the index.
//!
//! Records name resulting states, so each is applied by comparing: a row is replaced by one with a
//! higher mod-sequence only, counters only grow, what is gone is not missed.

use std::collections::{BTreeMap, HashMap};

use mail::{
    flag::Keyword,
    id::{AccountId, MailboxId, ModSeq, Uid},
    mailbox::MailboxName,
    set::UidSet,
};
use redb::{Durability, ReadableTable, Table, WriteTransaction};

use super::{
    ACCOUNTS, BODIES, Begun, Bytes, DEAD, FIXED, GRAVES, HISTORY, Index, KEYWORDS, MAILBOXES, META,
    Meta, OWNED, Orphans, RETIRED, REWRITTEN, ROWS, ROWS_SHIFT, SUBSCRIPTIONS, TAKEN, THREADS,
    entry::{MailboxEntry, Taken, pack_rows, unpack_rows},
    event::{Applied, Event, lift},
    failed, guarded,
};
use crate::{
    Result,
    embedded::{
        codec::{Malformed, Reader, Writer, records},
        record::{Counters, FlagsRecord, MailboxRecord, MessageRecord, Purge, Record},
        summary,
    },
    state::{KeywordSetId, Keywords, Row},
};

/// Keyword sets of mailboxes applied to lately.
#[derive(Debug, Default)]
pub(super) struct KeywordCache(HashMap<MailboxId, Keywords>);

const KEYWORD_CACHE_MAILBOXES: usize = 4_096;
/// When what is to go at once died.
const LONG_AGO: i64 = i64::MIN;
/// Values of a removed mailbox that are cleared with one batch.
const SWEEP_VALUES: usize = 64;

impl Index {
    /// Applies events, in order, atomically; not durable by itself.
    pub(crate) fn apply(&self, events: &[Event]) -> Result<()> {
        guarded(|| self.write(events, Durability::None))
    }

    /// Makes everything applied durable.
    pub(crate) fn checkpoint(&self) -> Result<()> {
        guarded(|| self.write(&[], Durability::Immediate))
    }

    /// Fills in what an index that is made again lacks: of each account in the log's order.
    pub(crate) fn fill<'a>(&self, parts: impl Iterator<Item = &'a Applied>) -> Result<()> {
        let orphans = self.writing.lock().orphans;
        guarded(|| self.transact(Durability::None, |batch, _| batch.fill(parts, orphans)))
    }

    /// Says that nothing is left to be filled in, durably.
    pub(crate) fn complete(&self) -> Result<()> {
        self.writing.lock().meta.is_whole = true;
        self.checkpoint()
    }

    fn write(&self, events: &[Event], durability: Durability) -> Result<()> {
        self.transact(durability, |batch, begun| batch.run(events, begun))
    }

    pub(super) fn transact(
        &self,
        durability: Durability,
        work: impl FnOnce(Batch<'_, '_>, &mut Begun) -> Result<Meta>,
    ) -> Result<()> {
        let writing = &mut *self.writing.lock();
        let mut transaction = self.db.begin_write().map_err(failed)?;
        transaction.set_durability(durability).map_err(failed)?;
        // The allocator's state is written with each checkpoint: opening after a kill is then
        // independent of the size.
        transaction.set_quick_repair(matches!(durability, Durability::Immediate));
        let mut begun = writing.begun.clone();
        let outcome = Batch::new(
            &transaction,
            &mut writing.keywords,
            writing.meta,
            self.history_ranges_max,
        )
        .and_then(|batch| work(batch, &mut begun));
        match outcome {
            Ok(meta) => {
                transaction.commit().map_err(failed)?;
                (writing.meta, writing.begun) = (meta, begun);
                Ok(())
            }
            Err(error) => {
                writing.keywords.0.clear();
                Err(error)
            }
        }
    }
}

type Values<'t, K> = Table<'t, K, Bytes>;

pub(super) struct Batch<'t, 'k> {
    meta: Meta,
    history_ranges_max: u32,
    pub(super) time_secs: i64,
    /// While an index is made again, when what refers to a body may come before it or after it: what
    /// becomes of bodies that nothing refers to.
    pub(super) filled: Option<Orphans>,
    keywords: &'k mut KeywordCache,
    metas: Values<'t, &'static str>,
    accounts: Values<'t, u64>,
    mailboxes: Values<'t, u64>,
    owned: Table<'t, (u64, u64), ()>,
    subscriptions: Table<'t, (u64, &'static str), &'static str>,
    retired: Table<'t, (u64, &'static str), u32>,
    rows: Values<'t, (u64, u32)>,
    sets: Values<'t, (u64, u32)>,
    pub(super) bodies: Values<'t, u64>,
    pub(super) fixed: Values<'t, u64>,
    pub(super) threads: Table<'t, (u64, u64, u64), u64>,
    history: Table<'t, (u64, u64, u32), u32>,
    graves: Table<'t, u64, i64>,
    pub(super) dead: Table<'t, (i64, u64), ()>,
    pub(super) taken: Values<'t, u32>,
    pub(super) rewritten: Table<'t, u32, u32>,
    /// What bodies take in segments, where this batch changed it.
    pub(super) takes: BTreeMap<u32, Taken>,
    /// Mailboxes read in this batch; `None` is gone.
    open: BTreeMap<MailboxId, Option<MailboxEntry>>,
    /// Packed values read in this batch, unpacked.
    chunks: BTreeMap<(u64, u32), Chunk>,
}

#[derive(Default)]
struct Chunk {
    rows: Vec<(Uid, Row)>,
    is_changed: bool,
}

/// Removes everything an account has under its names.
fn forget_names<V: redb::Value>(
    table: &mut Table<'_, (u64, &'static str), V>,
    id: AccountId,
) -> Result<()> {
    let mut names = Vec::new();
    for item in table.range((id.get(), "")..).map_err(failed)? {
        let (key, _) = item.map_err(failed)?;
        if key.value().0 != id.get() {
            break;
        }
        names.push(key.value().1.to_owned());
    }
    for name in names {
        table.remove((id.get(), name.as_str())).map_err(failed)?;
    }
    Ok(())
}

impl<'t, 'k> Batch<'t, 'k> {
    fn new(
        tx: &'t WriteTransaction,
        keywords: &'k mut KeywordCache,
        meta: Meta,
        history_ranges_max: u32,
    ) -> Result<Self> {
        if keywords.0.len() > KEYWORD_CACHE_MAILBOXES {
            keywords.0.clear();
        }
        Ok(Self {
            meta,
            history_ranges_max,
            time_secs: 0,
            filled: None,
            keywords,
            metas: tx.open_table(META).map_err(failed)?,
            accounts: tx.open_table(ACCOUNTS).map_err(failed)?,
            mailboxes: tx.open_table(MAILBOXES).map_err(failed)?,
            owned: tx.open_table(OWNED).map_err(failed)?,
            subscriptions: tx.open_table(SUBSCRIPTIONS).map_err(failed)?,
            retired: tx.open_table(RETIRED).map_err(failed)?,
            rows: tx.open_table(ROWS).map_err(failed)?,
            sets: tx.open_table(KEYWORDS).map_err(failed)?,
            bodies: tx.open_table(BODIES).map_err(failed)?,
            fixed: tx.open_table(FIXED).map_err(failed)?,
            threads: tx.open_table(THREADS).map_err(failed)?,
            history: tx.open_table(HISTORY).map_err(failed)?,
            graves: tx.open_table(GRAVES).map_err(failed)?,
            dead: tx.open_table(DEAD).map_err(failed)?,
            taken: tx.open_table(TAKEN).map_err(failed)?,
            rewritten: tx.open_table(REWRITTEN).map_err(failed)?,
            takes: BTreeMap::new(),
            open: BTreeMap::new(),
            chunks: BTreeMap::new(),
        })
    }

    fn run(mut self, events: &[Event], begun: &mut Begun) -> Result<Meta> {
        let mut end = self.meta.replay;
        for event in events {
            match event {
                Event::Applied(applied) => {
                    // Replay begins where a body does, and meets what was applied already.
                    if applied.lsn > self.meta.applied {
                        self.transaction(applied)?;
                        end = end.max(applied.end);
                    }
                    for (id, _) in &applied.bodies {
                        begun.remove(id);
                    }
                }
                Event::BodyBegun(id, at, lsn) => {
                    begun.entry(*id).or_insert((*at, *lsn));
                }
                Event::BodiesDropped(ids) => begun.retain(|id, _| !ids.contains(id)),
            }
        }
        (self.meta.replay, self.meta.replay_lsn) = begun
            .values()
            .copied()
            .min()
            .unwrap_or((end, self.meta.applied + 1))
            .min((end, self.meta.applied + 1));
        self.sweep()?;
        self.finish()
    }

    fn fill<'a>(
        mut self,
        parts: impl Iterator<Item = &'a Applied>,
        orphans: Orphans,
    ) -> Result<Meta> {
        self.filled = Some(orphans);
        for part in parts {
            self.records(part)?;
        }
        self.sweep()?;
        self.finish()
    }

    fn transaction(&mut self, applied: &Applied) -> Result<()> {
        self.records(applied)?;
        self.meta.applied = applied.lsn;
        Ok(())
    }

    fn records(&mut self, applied: &Applied) -> Result<()> {
        self.time_secs = applied.time_secs;
        let home = applied.records.iter().find_map(summary::account);
        for record in &applied.records {
            match record {
                Record::Body(body) => self.body(home, body, &applied.bodies)?,
                Record::Messages(account, _, messages) => {
                    self.converse(*account, messages, &applied.records)?;
                    self.record(record)?;
                }
                other => self.record(other)?,
            }
            lift(&mut self.meta.highest, record);
        }
        Ok(())
    }

    fn record(&mut self, record: &Record) -> Result<()> {
        match record {
            Record::Account(info) => {
                let mut w = Writer::default();
                records::accounts::account(&mut w, info);
                put(&mut self.accounts, info.id.get(), &w.0)
            }
            Record::AccountRemoved(id, purge) => self.account_removed(*id, *purge),
            Record::Mailbox(mailbox) => self.mailbox(mailbox),
            Record::Renamed(_, names) => self.renamed(names),
            Record::MailboxDeleted(account, id) => self.mailbox_deleted(*account, *id),
            Record::Subscribed(account, name) => {
                let key = name.key();
                let key = (account.get(), key.as_str());
                self.subscriptions
                    .insert(key, name.as_str())
                    .map_err(failed)?;
                Ok(())
            }
            Record::Unsubscribed(account, name) => {
                let key = name.key();
                let key = (account.get(), key.as_str());
                self.subscriptions.remove(key).map_err(failed)?;
                Ok(())
            }
            // [`Batch::records`] has it: it is of the transaction's account.
            Record::Body(_) => Ok(()),
            Record::Messages(_, id, messages) => self.messages(*id, messages),
            Record::Flags(_, id, mod_seq, list) => self.flags(*id, *mod_seq, list),
            Record::Expunged(_, id, mod_seq, uids) => self.expunged(*id, *mod_seq, uids),
            Record::RecentFloor(_, id, uid) => self.recent_floor(*id, *uid),
            Record::Counters(counters) => self.counters(counters),
        }
    }

    fn account_removed(&mut self, id: AccountId, purge: Purge) -> Result<()> {
        if purge == Purge::Now {
            self.time_secs = LONG_AGO;
        }
        self.accounts.remove(id.get()).map_err(failed)?;
        let all = (id.get(), 0)..=(id.get(), u64::MAX);
        let mut mailboxes = Vec::new();
        for item in self.owned.range(all).map_err(failed)? {
            mailboxes.push(item.map_err(failed)?.0.value().1);
        }
        for mailbox in mailboxes {
            self.mailbox_deleted(id, MailboxId::new(mailbox).ok_or(Malformed)?)?;
        }
        // The id of a removed account never returns, so its names need not be remembered.
        forget_names(&mut self.subscriptions, id)?;
        forget_names(&mut self.retired, id)
    }

    fn mailbox(&mut self, record: &MailboxRecord) -> Result<()> {
        let entry = match self.entry(record.id)? {
            Some(mut entry) => {
                if entry.record.name.key() != record.name.key() {
                    self.retire(&entry.record)?;
                }
                entry.summary.uid_validity = record.uid_validity;
                entry.record = record.clone();
                entry
            }
            None => MailboxEntry::new(record.clone()),
        };
        self.open.insert(record.id, Some(entry));
        let key = (record.account.get(), record.id.get());
        self.owned.insert(key, ()).map_err(failed)?;
        Ok(())
    }

    fn renamed(&mut self, names: &[(MailboxId, MailboxName)]) -> Result<()> {
        for (id, name) in names {
            if let Some(entry) = self.entry(*id)?
                && entry.record.name.key() != name.key()
            {
                self.retire(&entry.record)?;
            }
            self.with_entry(*id, |_, entry| {
                entry.record.name = name.clone();
                Ok(())
            })?;
        }
        Ok(())
    }

    fn mailbox_deleted(&mut self, account: AccountId, id: MailboxId) -> Result<()> {
        let key = (account.get(), id.get());
        self.owned.remove(key).map_err(failed)?;
        if let Some(entry) = self.entry(id)? {
            self.retire(&entry.record)?;
            self.open.insert(id, None);
            self.graves
                .insert(id.get(), self.time_secs)
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Remembers the UIDVALIDITY under which a name was known: a later mailbox of this name must
    /// have a greater one (RFC 9051 §2.3.1.1).
    fn retire(&mut self, record: &MailboxRecord) -> Result<()> {
        let key = record.name.key();
        let key = (record.account.get(), key.as_str());
        let known = self.retired.get(key).map_err(failed)?.map(|v| v.value());
        let validity = record.uid_validity.get();
        if known.is_none_or(|known| known < validity) {
            self.retired.insert(key, validity).map_err(failed)?;
        }
        Ok(())
    }

    fn messages(&mut self, id: MailboxId, messages: &[MessageRecord]) -> Result<()> {
        self.with_entry(id, |batch, entry| {
            for message in messages {
                let keywords = batch.keyword_set(id, &message.keywords)?;
                batch.message(entry, message, keywords)?;
            }
            Ok(())
        })
    }

    fn message(
        &mut self,
        entry: &mut MailboxEntry,
        message: &MessageRecord,
        keywords: KeywordSetId,
    ) -> Result<()> {
        let row = Row {
            mod_seq: message.mod_seq,
            body: message.body,
            thread: message.thread,
            internal_date: message.internal_date,
            saved_secs: message.saved_secs,
            size: message.size,
            keywords,
            system: message.system,
        };
        let summary = &mut entry.summary;
        summary.uid_next = summary.uid_next.max(message.uid.next().unwrap_or(Uid::MAX));
        summary.highest_mod_seq = summary.highest_mod_seq.max(row.mod_seq);
        let chunk = self.chunk(entry.record.id, message.uid.get() >> ROWS_SHIFT)?;
        match chunk
            .rows
            .binary_search_by_key(&message.uid, |(uid, _)| *uid)
        {
            Ok(at) if chunk.rows[at].1.mod_seq >= row.mod_seq => {}
            Ok(at) => {
                let old = std::mem::replace(&mut chunk.rows[at].1, row);
                chunk.is_changed = true;
                entry.uncount(message.uid, &old);
                entry.count(message.uid, &row);
            }
            Err(at) => {
                chunk.rows.insert(at, (message.uid, row));
                chunk.is_changed = true;
                entry.count(message.uid, &row);
                self.refer(row.body, 1)?;
            }
        }
        Ok(())
    }

    fn flags(&mut self, id: MailboxId, mod_seq: ModSeq, list: &[FlagsRecord]) -> Result<()> {
        self.with_entry(id, |batch, entry| {
            entry.summary.highest_mod_seq = entry.summary.highest_mod_seq.max(mod_seq);
            for record in list {
                let keywords = batch.keyword_set(id, &record.keywords)?;
                batch.rows_of(id, &record.uids, |chunk, from, to| {
                    for (uid, row) in &mut chunk.rows[from..to] {
                        if row.mod_seq >= mod_seq {
                            continue;
                        }
                        entry.uncount(*uid, row);
                        row.mod_seq = mod_seq;
                        row.system = record.system;
                        row.keywords = keywords;
                        entry.count(*uid, row);
                        chunk.is_changed = true;
                    }
                    Vec::new()
                })?;
            }
            Ok(())
        })
    }

    fn expunged(&mut self, id: MailboxId, mod_seq: ModSeq, uids: &UidSet) -> Result<()> {
        self.with_entry(id, |batch, entry| {
            entry.summary.highest_mod_seq = entry.summary.highest_mod_seq.max(mod_seq);
            let gone = batch.rows_of(id, uids, |chunk, from, to| {
                chunk.is_changed |= from < to;
                chunk.rows.drain(from..to).collect()
            })?;
            for (uid, row) in &gone {
                entry.uncount(*uid, row);
                batch.refer(row.body, -1)?;
            }
            batch.remember(entry, mod_seq, uids)
        })
    }

    /// Adds to the history of expunges; past its bound the oldest is forgotten.
    fn remember(&mut self, entry: &mut MailboxEntry, mod_seq: ModSeq, uids: &UidSet) -> Result<()> {
        let id = entry.record.id.get();
        for range in uids.ranges() {
            let key = (id, mod_seq.get(), range.start().get());
            let old = self
                .history
                .insert(key, range.end().get())
                .map_err(failed)?;
            entry.history_ranges += u32::from(old.is_none());
        }
        while entry.history_ranges > self.history_ranges_max {
            let oldest = self.history.range((id, 0, 0)..=(id, u64::MAX, u32::MAX));
            let key = match oldest.map_err(failed)?.next() {
                Some(item) => item.map_err(failed)?.0.value(),
                None => break,
            };
            self.history.remove(key).map_err(failed)?;
            entry.history_ranges -= 1;
            let dropped = ModSeq::new(key.1).ok_or(Malformed)?;
            entry.history_floor = entry.history_floor.max(dropped);
        }
        Ok(())
    }

    fn recent_floor(&mut self, id: MailboxId, floor: Uid) -> Result<()> {
        self.with_entry(id, |batch, entry| {
            if floor <= entry.recent_floor {
                return Ok(());
            }
            entry.recent_floor = floor;
            let mut recent = 0u32;
            batch.rows_of(id, &UidSet::range(floor, Uid::MAX), |_, from, to| {
                recent += u32::try_from(to - from).unwrap_or(u32::MAX);
                Vec::new()
            })?;
            entry.summary.recent = recent;
            Ok(())
        })
    }

    fn counters(&mut self, counters: &Counters) -> Result<()> {
        match counters {
            Counters::Store { .. } => Ok(()),
            Counters::Mailbox {
                mailbox,
                uid_next,
                highest_mod_seq,
                history_floor,
                ..
            } => self.with_entry(*mailbox, |_, entry| {
                let summary = &mut entry.summary;
                summary.uid_next = summary.uid_next.max(*uid_next);
                summary.highest_mod_seq = summary.highest_mod_seq.max(*highest_mod_seq);
                entry.history_floor = entry.history_floor.max(*history_floor);
                Ok(())
            }),
        }
    }

    /// The mailbox, if it exists.
    fn entry(&mut self, id: MailboxId) -> Result<Option<MailboxEntry>> {
        if let Some(entry) = self.open.get(&id) {
            return Ok(entry.clone());
        }
        let value = fetch(&self.mailboxes, id.get())?;
        Ok(value
            .map(|value| MailboxEntry::decode(&value))
            .transpose()?)
    }

    /// Changes a mailbox if it exists: records about one that is gone say nothing.
    fn with_entry(
        &mut self,
        id: MailboxId,
        change: impl FnOnce(&mut Self, &mut MailboxEntry) -> Result<()>,
    ) -> Result<()> {
        if let Some(mut entry) = self.entry(id)? {
            change(self, &mut entry)?;
            self.open.insert(id, Some(entry));
        }
        Ok(())
    }

    fn chunk(&mut self, id: MailboxId, number: u32) -> Result<&mut Chunk> {
        use std::collections::btree_map::Entry;
        match self.chunks.entry((id.get(), number)) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(empty) => {
                let mut chunk = Chunk::default();
                if let Some(value) = self.rows.get((id.get(), number)).map_err(failed)? {
                    unpack_rows(value.value(), |uid, row| {
                        chunk.rows.push((uid, row));
                    })?;
                }
                Ok(empty.insert(chunk))
            }
        }
    }

    /// Calls `each` with every chunk that holds rows of the set, and where in it they are; returns
    /// what it took out. The cost follows ranges and chunks that exist, not the set's span.
    fn rows_of(
        &mut self,
        id: MailboxId,
        uids: &UidSet,
        mut each: impl FnMut(&mut Chunk, usize, usize) -> Vec<(Uid, Row)>,
    ) -> Result<Vec<(Uid, Row)>> {
        let mut taken = Vec::new();
        for range in uids.ranges() {
            let (first, last) = (*range.start(), *range.end());
            for number in self.numbers(id, first.get() >> ROWS_SHIFT, last.get() >> ROWS_SHIFT)? {
                let chunk = self.chunk(id, number)?;
                let from = chunk.rows.partition_point(|(uid, _)| *uid < first);
                let to = chunk.rows.partition_point(|(uid, _)| *uid <= last);
                taken.extend(each(chunk, from, to));
            }
        }
        Ok(taken)
    }

    /// The chunks that exist between two numbers, in the table or in this batch.
    fn numbers(&self, id: MailboxId, first: u32, last: u32) -> Result<Vec<u32>> {
        let keys = (id.get(), first)..=(id.get(), last);
        let mut numbers: Vec<u32> = self
            .chunks
            .range(keys.clone())
            .map(|(key, _)| key.1)
            .collect();
        if first == last {
            return Ok(vec![first]);
        }
        for item in self.rows.range(keys).map_err(failed)? {
            numbers.push(item.map_err(failed)?.0.value().1);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }

    /// The mailbox's number for a set of keywords, which may be new.
    fn keyword_set(&mut self, id: MailboxId, set: &[Keyword]) -> Result<KeywordSetId> {
        if set.is_empty() {
            return Ok(KeywordSetId(0));
        }
        if !self.keywords.0.contains_key(&id) {
            let known = read_keywords(&self.sets, id)?;
            self.keywords.0.insert(id, known);
        }
        let Some(known) = self.keywords.0.get_mut(&id) else {
            return Ok(KeywordSetId(0));
        };
        let number = known.intern(set);
        let key = (id.get(), number.0);
        if self.sets.get(key).map_err(failed)?.is_none() {
            let mut w = Writer::default();
            w.var(set.len() as u64);
            for keyword in known.set(number).iter() {
                w.str(keyword.as_str());
            }
            put(&mut self.sets, key, &w.0)?;
        }
        Ok(number)
    }

    /// Clears a little of what removed mailboxes left.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let Some((id, since_secs)) = self
            .graves
            .first()
            .map_err(failed)?
            .map(|(key, since)| (key.value(), since.value()))
        else {
            return Ok(());
        };
        // They died with their mailbox.
        self.time_secs = since_secs;
        let mailbox = MailboxId::new(id).ok_or(Malformed)?;
        self.keywords.0.remove(&mailbox);
        let mut numbers = self.numbers(mailbox, 0, u32::MAX)?;
        numbers.truncate(SWEEP_VALUES);
        for number in &numbers {
            let chunk = self.chunk(mailbox, *number)?;
            chunk.is_changed = true;
            for (_, row) in std::mem::take(&mut chunk.rows) {
                self.refer(row.body, -1)?;
            }
        }
        if numbers.len() == SWEEP_VALUES {
            return Ok(());
        }
        self.graves.remove(id).map_err(failed)?;
        let sets = (id, 0)..=(id, u32::MAX);
        self.sets.retain_in(sets, |_, _| false).map_err(failed)?;
        let ranges = (id, 0, 0)..=(id, u64::MAX, u32::MAX);
        self.history.retain_in(ranges, |_, _| false).map_err(failed)
    }

    /// Writes what was changed in memory.
    pub(super) fn finish(mut self) -> Result<Meta> {
        for (file, taken) in std::mem::take(&mut self.takes) {
            if taken == Taken::default() {
                self.taken.remove(file).map_err(failed)?;
            } else {
                put(&mut self.taken, file, &taken.encode())?;
            }
        }
        for ((id, number), chunk) in std::mem::take(&mut self.chunks) {
            match (chunk.is_changed, chunk.rows.is_empty()) {
                (false, _) => {}
                (true, true) => {
                    self.rows.remove((id, number)).map_err(failed)?;
                }
                (true, false) => put(&mut self.rows, (id, number), &pack_rows(&chunk.rows))?,
            }
        }
        for (id, entry) in std::mem::take(&mut self.open) {
            match entry {
                Some(entry) => put(&mut self.mailboxes, id.get(), &entry.encode())?,
                None => {
                    self.mailboxes.remove(id.get()).map_err(failed)?;
                }
            }
        }
        put(&mut self.metas, "meta", &self.meta.encode())?;
        Ok(self.meta)
    }
}

/// The keyword sets of a mailbox, in the order they were first used.
pub(super) fn read_keywords(
    sets: &impl ReadableTable<(u64, u32), Bytes>,
    id: MailboxId,
) -> Result<Keywords> {
    let mut keywords = Keywords::new();
    for item in sets
        .range((id.get(), 0)..=(id.get(), u32::MAX))
        .map_err(failed)?
    {
        let (key, value) = item.map_err(failed)?;
        let mut r = Reader::new(value.value());
        let set = r.list(|r| Keyword::new(r.str()?).ok_or(Malformed))?;
        if keywords.intern(&set).0 != key.value().1 {
            return Err(Malformed.into());
        }
    }
    Ok(keywords)
}

pub(super) fn put<'k, K: redb::Key + 'static>(
    table: &mut Values<'_, K>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    value: &[u8],
) -> Result<()> {
    table.insert(key, value).map_err(failed)?;
    Ok(())
}

pub(super) fn fetch<'k, K: redb::Key + 'static>(
    table: &Values<'_, K>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
) -> Result<Option<Vec<u8>>> {
    let value = table.get(key).map_err(failed)?;
    Ok(value.map(|value| value.value().to_vec()))
}
