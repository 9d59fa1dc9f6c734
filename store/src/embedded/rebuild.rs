//! Making a lost index again from the segments' summaries, while the store is open.
//!
//! Which accounts there are is known at once, so that logins work. Everything else comes account
//! by account, in small steps that the applier thread takes between what is committed meanwhile;
//! an account that somebody waits for comes first. What is committed meanwhile to an account that
//! is not there yet waits in memory, bounded as the index's lag is ([`super::applier`]), and is
//! applied when the account is.

mod gate;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use mail::id::{AccountId, BodyId};

pub(crate) use self::gate::Gate;
use super::{
    body::{ChunkPlace, Place},
    frame::Lsn,
    index::{Applied, Begin, Event, Highest, Index, Orphans},
    quarantine::Spoilt,
    record::Record,
    replay::{After, End},
    segment::{Position, Segments},
    summary::{self, BlockAt, Extent, Owner, Summary},
};
use crate::{Error, Result};

/// Read and applied with one step, bytes of transactions.
const STEP_BYTES: u32 = 1 << 20;
/// Applied between checkpoints of the index, bytes of transactions.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// An index being made again.
#[derive(Debug)]
pub(crate) struct Rebuild {
    segments: Arc<Segments>,
    summaries: Vec<Summary>,
    /// What is still to be read, by owner, oldest first.
    rest: BTreeMap<Owner, VecDeque<Block>>,
    /// Whose blocks are being read.
    current: Option<Owner>,
    /// Bodies whose pieces stand in earlier segments than their transactions.
    loose: HashMap<BodyId, Vec<ChunkPlace>>,
    /// The summaries tell of the log to here.
    lsn: Lsn,
    /// What was committed since, of accounts that are not there yet.
    later: BTreeMap<AccountId, Vec<Event>>,
    /// Applied since the last checkpoint, bytes.
    unsaved: u64,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    summary: usize,
    at: BlockAt,
}

/// A rebuild that can begin.
pub(crate) struct Planned {
    pub(crate) rebuild: Rebuild,
    /// What the index is told in front of it.
    pub(crate) begin: Begin,
    /// Where the valid log ends.
    pub(crate) end: End,
    /// What of the log could not be read.
    pub(crate) spoilt: Vec<Spoilt>,
}

/// What became of events.
#[derive(Default)]
pub(crate) struct Sorted {
    /// To be applied.
    pub(crate) now: Vec<Event>,
    /// What is kept for later counts this much against the lag, bytes.
    pub(crate) kept_bytes: u64,
}

/// What a step did.
pub(crate) enum Step {
    /// There is more to do; these events, which were kept, are applied.
    More(Vec<Event>),
    /// The index is whole.
    Done,
}

/// Opens the summaries of a log, and makes those that are missing.
///
/// # Errors
/// The log cannot be read.
pub(crate) fn plan(
    segments: &Arc<Segments>,
    extents: &[Extent],
    (after_last, orphans): (After, Orphans),
) -> Result<Planned> {
    let mut plan = Plan::default();
    let last = extents.len().saturating_sub(1);
    for (at, extent) in extents.iter().enumerate() {
        if at < last {
            plan.sealed(segments, extent)?;
        } else {
            plan.read(segments, extent, after_last)?;
        }
    }
    Ok(plan.finish(Arc::clone(segments), orphans))
}

#[derive(Default)]
struct Plan {
    summaries: Vec<Summary>,
    end: End,
}

impl Plan {
    fn sealed(&mut self, segments: &Segments, extent: &Extent) -> Result<()> {
        // One that is there and cannot be read now is not given up: it may know what its segment
        // has lost.
        let made = match summary::open(segments, extent)? {
            Some(there) => Ok(there),
            None => {
                let segment = extent.segment;
                tracing::info!(segment, "a segment without a summary is read whole");
                summary::ensure(segments, extent)
            }
        };
        match made {
            Ok(summary) => {
                self.end.lsn = self.end.lsn.max(summary.directory.lsn);
                self.summaries.push(summary);
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, segment = extent.segment, "its summary is kept in memory");
                self.read(segments, extent, After::Log)
            }
        }
    }

    fn read(&mut self, segments: &Segments, extent: &Extent, after: After) -> Result<()> {
        let read = summary::in_memory(segments, extent, self.end.lsn, after)?;
        self.end = read.end;
        self.summaries.push(read.summary);
        Ok(())
    }

    fn finish(self, segments: Arc<Segments>, orphans: Orphans) -> Planned {
        let mut rest: BTreeMap<Owner, VecDeque<Block>> = BTreeMap::new();
        let (mut loose, mut begun) = (HashMap::new(), BTreeMap::new());
        let (mut highest, mut spoilt) = (Highest::default(), Vec::new());
        for (summary, directory) in self.summaries.iter().map(|s| &s.directory).enumerate() {
            for at in &directory.blocks {
                let blocks = rest.entry(at.owner).or_default();
                blocks.push_back(Block { summary, at: *at });
            }
            for pieces in &directory.loose {
                join(&mut loose, pieces);
                begun.extend(pieces.begun.map(|begun| (pieces.body, begun)));
            }
            highest.raise(&directory.highest);
            spoilt.extend(&directory.spoilt);
        }
        // A body whose transaction came in a later segment is begun no longer; only what is loose
        // in the newest may still be waited for.
        let newest = self.summaries.last().map(|s| s.directory.loose.as_slice());
        let waiting: Vec<BodyId> = newest.unwrap_or_default().iter().map(|l| l.body).collect();
        begun.retain(|id, _| waiting.contains(id));
        let lsn = self.end.lsn;
        Planned {
            begin: Begin {
                applied: lsn,
                replay: self.end.at,
                highest,
                begun,
                rewritten: segments.rewritten(),
                orphans: match spoilt.is_empty() {
                    true => orphans,
                    false => Orphans::Stay,
                },
            },
            rebuild: Rebuild {
                segments,
                summaries: self.summaries,
                rest,
                current: None,
                loose,
                lsn,
                later: BTreeMap::new(),
                unsaved: 0,
            },
            end: self.end,
            spoilt,
        }
    }
}

/// Adds a segment's pieces of a body to those of earlier segments. Those that begin with the body
/// are another attempt.
fn join(loose: &mut HashMap<BodyId, Vec<ChunkPlace>>, pieces: &summary::Loose) {
    let known = loose.entry(pieces.body).or_default();
    if pieces.chunks.first().is_some_and(|first| first.at == 0) {
        known.clear();
    }
    known.extend(&pieces.chunks);
}

impl Rebuild {
    /// Tells the index which accounts there are, and everybody who waits what is to come.
    pub(crate) fn begin(&mut self, index: &Index, gate: &Gate) -> Result<()> {
        while self.rest.contains_key(&Owner::Store) {
            self.blocks_of(Owner::Store, index)?;
        }
        let mut accounts = BTreeMap::new();
        let mut messages = 0u64;
        for (owner, blocks) in &self.rest {
            let rows: u64 = blocks
                .iter()
                .map(|block| u64::from(block.at.messages))
                .sum();
            messages += rows;
            if let Owner::Account(id) = owner {
                accounts.insert(*id, rows);
            }
        }
        tracing::warn!(
            accounts = accounts.len(),
            messages,
            "the index is made again, while the store serves"
        );
        gate.begin(accounts, messages);
        Ok(())
    }

    /// Does a little more.
    ///
    /// # Errors
    /// A summary or the index cannot be used; then all begins again.
    pub(crate) fn step(&mut self, index: &Index, gate: &Gate) -> Result<Step> {
        let Some(owner) = self.next_owner(gate) else {
            index.complete()?;
            gate.end();
            return Ok(Step::Done);
        };
        let messages = self.blocks_of(owner, index)?;
        gate.count(messages);
        if self.unsaved >= CHECKPOINT_BYTES {
            self.unsaved = 0;
            index.checkpoint()?;
        }
        if self.rest.contains_key(&owner) {
            return Ok(Step::More(Vec::new()));
        }
        self.current = None;
        let Owner::Account(id) = owner else {
            return Ok(Step::More(Vec::new()));
        };
        let later = self.later.remove(&id).unwrap_or_default();
        index.fill(later.iter().filter_map(Event::applied))?;
        gate.is_there(id);
        Ok(Step::More(later))
    }

    /// Whom somebody waits for, else who is under way, else the next.
    fn next_owner(&mut self, gate: &Gate) -> Option<Owner> {
        let wanted = gate.wanted().map(Owner::Account);
        let next = wanted
            .or(self.current)
            .or_else(|| self.rest.keys().next().copied());
        self.current = next;
        next
    }

    /// Applies the next blocks of an owner; says how many rows of messages they held.
    fn blocks_of(&mut self, owner: Owner, index: &Index) -> Result<u64> {
        let Some(blocks) = self.rest.get_mut(&owner) else {
            return Ok(0);
        };
        let (mut parts, mut bytes, mut messages, mut count) = (Vec::new(), 0u32, 0u64, 0);
        for block in blocks.iter() {
            if bytes >= STEP_BYTES {
                break;
            }
            let Some(summary) = self.summaries.get(block.summary) else {
                break;
            };
            let read = summary.block(&block.at);
            if let Err(Error::Damaged(_)) = &read {
                // It is made again with the next attempt.
                let segment = summary.directory.extent.segment;
                let _ = summary::remove(&self.segments, segment);
            }
            parts.extend(read?);
            bytes = bytes.saturating_add(block.at.raw);
            messages += u64::from(block.at.messages);
            count += 1;
        }
        for part in &mut parts {
            complete(&self.loose, part);
        }
        index.fill(parts.iter())?;
        self.unsaved += u64::from(bytes);
        blocks.drain(..count);
        if blocks.is_empty() {
            self.rest.remove(&owner);
        }
        Ok(messages)
    }

    /// Sorts what was committed meanwhile: what concerns accounts that are not there yet is kept.
    pub(crate) fn sort(&mut self, events: Vec<Event>) -> Sorted {
        let mut sorted = Sorted::default();
        for event in events {
            match event {
                Event::Applied(applied) if applied.lsn > self.lsn => {
                    self.sort_one(*applied, &mut sorted);
                }
                other => sorted.now.push(other),
            }
        }
        sorted
    }

    fn sort_one(&mut self, applied: Applied, sorted: &mut Sorted) {
        let home = applied.records.iter().find_map(summary::account);
        let whose = |record: &Record| match record {
            Record::Body(_) => home,
            other => summary::account(other),
        };
        let is_missing = |id: &AccountId| self.rest.contains_key(&Owner::Account(*id));
        let missing = |record: &Record| whose(record).filter(&is_missing);
        if !applied
            .records
            .iter()
            .any(|record| missing(record).is_some())
        {
            sorted.now.push(Event::Applied(Box::new(applied)));
            return;
        }
        let mut parts: BTreeMap<Option<AccountId>, Vec<Record>> = BTreeMap::new();
        // The index is told of every transaction, if only of its number.
        parts.entry(None).or_default();
        for record in &applied.records {
            parts
                .entry(missing(record))
                .or_default()
                .push(record.clone());
        }
        for (id, records) in parts {
            let part = Applied {
                records,
                bodies: applied.bodies.clone(),
                lag_bytes: if id.is_some() { applied.lag_bytes } else { 0 },
                ..applied
            };
            let lag_bytes = part.lag_bytes;
            let event = Event::Applied(Box::new(part));
            match id {
                None => sorted.now.push(event),
                Some(id) => {
                    sorted.kept_bytes += lag_bytes;
                    self.later.entry(id).or_default().push(event);
                }
            }
        }
    }

    /// What is kept for later counts this much against the lag, bytes.
    pub(crate) fn kept_bytes(&self) -> u64 {
        lag_bytes(self.later.values().flatten())
    }
}

/// What events count against the lag, bytes.
pub(crate) fn lag_bytes<'a>(events: impl Iterator<Item = &'a Event>) -> u64 {
    let applied = events.filter_map(Event::applied);
    applied.map(|applied| applied.lag_bytes).sum()
}

/// Puts the pieces from earlier segments in front of those that stand with a transaction.
fn complete(loose: &HashMap<BodyId, Vec<ChunkPlace>>, part: &mut Applied) {
    for (id, place) in &mut part.bodies {
        let from = place.chunks.first().map_or(place.size, |first| first.at);
        let Some(earlier) = loose.get(id).filter(|_| from > 0) else {
            continue;
        };
        let earlier = earlier.iter().filter(|chunk| chunk.at < from);
        let chunks = earlier.chain(&place.chunks).copied().collect();
        *place = Arc::new(Place { chunks, ..**place });
    }
}

/// Where a log ends that holds nothing.
impl Begin {
    /// Of a store without a log.
    pub(crate) fn empty() -> Self {
        Self {
            applied: 0,
            replay: Position::default(),
            highest: Highest::default(),
            begun: BTreeMap::new(),
            rewritten: BTreeMap::new(),
            orphans: Orphans::Stay,
        }
    }
}

#[cfg(test)]
mod tests;
