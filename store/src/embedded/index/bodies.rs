//! Bodies: where they are, what refers to them, what may go and what segments hold of it, and where
//! they are after a segment was rewritten ([`super::super::compact`]).

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
};

use mail::id::{AccountId, BodyId};
use redb::{Database, Durability, ReadTransaction, ReadableDatabase, ReadableTable};

use super::{
    BODIES, DEAD, GRAVES, Index, Orphans, REWRITTEN, TAKEN,
    apply::{Batch, fetch, put},
    entry::{BodyEntry, Fate, Taken},
    failed, guarded,
};
use crate::{
    Error, Result,
    embedded::{
        body::Place,
        codec::{Malformed, Reader, Writer, records},
        record::BodyRecord,
        segment::number_of,
    },
};

/// Bodies that have come to the end of their window.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Expired {
    /// How many.
    pub(crate) bodies: u64,
    /// What they take, bytes as stored.
    pub(crate) bytes: u64,
    /// When the last of them died, seconds since 1970.
    pub(crate) last_secs: i64,
}

/// What bodies take, by segment's file.
pub(crate) type Takes = BTreeMap<u32, Taken>;

/// A segment that was rewritten.
#[derive(Debug, Default)]
pub(crate) struct Replacement {
    /// The file that stood for it.
    pub(crate) from: u32,
    /// The file that is to stand for it.
    pub(crate) to: u32,
    /// Where bodies, or pieces of them, are in it.
    pub(crate) moved: BTreeMap<BodyId, Vec<Moved>>,
    /// Bodies that are not in it any more.
    pub(crate) dropped: BTreeSet<BodyId>,
}

/// What became of a replacement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Replaced {
    /// The new file stands for the segment.
    Stands,
    /// Something in the old one is still needed that the new one does not have: it stays.
    Refused,
}

/// Stored bytes of a body that stand elsewhere now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Moved {
    /// The first of them, as it was.
    pub(crate) from: u64,
    /// How many they are.
    pub(crate) bytes: u64,
    /// The first of them, as it is.
    pub(crate) to: u64,
}

impl Index {
    /// The files that stand for segments that were rewritten, by segment.
    pub(crate) fn rewritten(&self) -> BTreeMap<u32, u32> {
        self.writing.lock().rewritten.clone()
    }

    /// Writes down, durably, what an index that is made again begins with.
    pub(super) fn begin(&self, rewritten: BTreeMap<u32, u32>) -> Result<()> {
        let write = |mut batch: Batch<'_, '_>| {
            for (number, file) in &rewritten {
                batch.rewritten.insert(number, file).map_err(failed)?;
            }
            batch.finish()
        };
        guarded(|| self.transact(Durability::Immediate, |batch, _| write(batch)))?;
        self.writing.lock().rewritten = rewritten;
        Ok(())
    }

    /// What bodies take in each segment's file.
    pub(crate) fn taken(&self) -> Result<Takes> {
        noted(&self.read()?)
    }

    /// The same, and counted body by body.
    pub(crate) fn both_taken(&self) -> Result<(Takes, Takes)> {
        let read = self.read()?;
        let table = read.open_table(BODIES).map_err(failed)?;
        let mut counted = Takes::new();
        for item in table.iter().map_err(failed)? {
            let entry = BodyEntry::decode(item.map_err(failed)?.1.value())?;
            for (file, bytes) in entry.takes()? {
                *counted.entry(file).or_default().of(entry.fate) += bytes;
            }
        }
        counted.retain(|_, taken| *taken != Taken::default());
        Ok((noted(&read)?, counted))
    }

    /// Which of these bodies may go.
    pub(crate) fn are_expired(&self, bodies: &[BodyId]) -> Result<Vec<bool>> {
        let table = self.read()?.open_table(BODIES).map_err(failed)?;
        let one = |body: &BodyId| -> Result<bool> {
            let value = table.get(body.get()).map_err(failed)?;
            let entry = value.map(|value| BodyEntry::decode(value.value()));
            Ok(entry.transpose()?.is_some_and(|entry| entry.may_go()))
        };
        bodies.iter().map(one).collect()
    }

    /// Whether removed mailboxes left something that is not cleared yet.
    pub(crate) fn has_graves(&self) -> Result<bool> {
        let table = self.read()?.open_table(GRAVES).map_err(failed)?;
        Ok(table.first().map_err(failed)?.is_some())
    }

    /// Whether a body that died until then waits for the end of its window.
    pub(crate) fn has_dead(&self, until_secs: i64) -> Result<bool> {
        let table = self.read()?.open_table(DEAD).map_err(failed)?;
        let mut due = table.range(..=(until_secs, u64::MAX)).map_err(failed)?;
        Ok(due.next().transpose().map_err(failed)?.is_some())
    }

    /// Clears a little of what removed mailboxes left.
    pub(crate) fn sweep(&self) -> Result<()> {
        let sweep = |mut batch: Batch<'_, '_>| {
            batch.sweep()?;
            batch.finish()
        };
        guarded(|| self.transact(Durability::None, |batch, _| sweep(batch)))
    }

    /// Ends the window of bodies that died until then, at most so many, the oldest first,
    /// but of none that is pinned.
    pub(crate) fn expire(
        &self,
        until_secs: i64,
        bodies_max: usize,
        pinned: &HashSet<BodyId>,
    ) -> Result<Expired> {
        let mut expired = Expired::default();
        guarded(|| {
            self.transact(Durability::None, |mut batch, _| {
                expired = batch.expire(until_secs, bodies_max, pinned)?;
                batch.finish()
            })
        })?;
        Ok(expired)
    }

    /// Has another file stand for a segment, durably: bodies are where it has them.
    ///
    /// # Errors
    /// The index cannot be written; what it then knows is known after the next opening.
    pub(crate) fn replace(&self, replacement: &Replacement) -> Result<Replaced> {
        let number = number_of(replacement.from);
        let mut replaced = Replaced::Refused;
        let outcome = guarded(|| {
            self.transact(Durability::Immediate, |mut batch, _| {
                batch.replace(replacement)?;
                batch
                    .rewritten
                    .insert(number, replacement.to)
                    .map_err(failed)?;
                replaced = Replaced::Stands;
                batch.finish()
            })
        });
        match (outcome, replaced) {
            (Ok(()), _) => {
                self.writing.lock().rewritten.insert(number, replacement.to);
                Ok(Replaced::Stands)
            }
            // Nothing was written.
            (Err(Error::Cannot(_)), Replaced::Refused) => Ok(Replaced::Refused),
            (Err(error), _) => Err(error),
        }
    }
}

impl BodyEntry {
    /// Whether nothing needs it any more.
    fn may_go(&self) -> bool {
        self.references == 0 && matches!(self.fate, Fate::Expired | Fate::Parted)
    }
}

impl Batch<'_, '_> {
    pub(super) fn body(
        &mut self,
        home: Option<AccountId>,
        body: &BodyRecord,
        places: &[(BodyId, Arc<Place>)],
    ) -> Result<()> {
        let place = places.iter().find(|(id, _)| *id == body.id);
        let Some((_, place)) = place else {
            // Replay refuses such a transaction; making the index again would not help.
            tracing::error!(body = %body.id, "a body without a place");
            return Ok(());
        };
        // What refers to it may be known before it, while the index is made again.
        let mut entry = self.body_entry(body.id)?.unwrap_or_default();
        if !entry.place.is_empty() {
            return Ok(());
        }
        let mut w = Writer::default();
        place.encode(&mut w);
        entry.place = w.0;
        if entry.references == 0
            && let Some(Orphans::Wait(now_secs)) = self.filled
        {
            // All that referred to it may have come, and gone, before it.
            let since_secs = self.time_secs.max(now_secs);
            entry.fate = Fate::Waiting(since_secs);
            let key = (since_secs, body.id.get());
            self.dead.insert(key, ()).map_err(failed)?;
        }
        self.count_taken(&entry, None, Some(entry.fate))?;
        put(&mut self.bodies, body.id.get(), &entry.encode())?;
        let mut w = Writer::default();
        w.u64(home.map_or(0, AccountId::get));
        records::fixed(&mut w, &body.fixed);
        put(&mut self.fixed, body.id.get(), &w.0)?;
        match place.rest.filter(|_| entry.references > 0) {
            Some(rest) => self.count_references(rest, 1).map(|_| ()),
            None => Ok(()),
        }
    }

    fn body_entry(&self, id: BodyId) -> Result<Option<BodyEntry>> {
        let value = fetch(&self.bodies, id.get())?;
        Ok(value.map(|value| BodyEntry::decode(&value)).transpose()?)
    }

    /// Changes how many messages refer to a body; with none it is dead, and may go later. The rest
    /// of a body is referred to while the body itself is.
    pub(super) fn refer(&mut self, body: BodyId, by: i32) -> Result<()> {
        match self.count_references(body, by)? {
            // A rest has no rest.
            Some(rest) => self.count_references(rest, by.signum()).map(|_| ()),
            None => Ok(()),
        }
    }

    /// Changes the count of a body; returns its rest if it came to life or died.
    fn count_references(&mut self, body: BodyId, by: i32) -> Result<Option<BodyId>> {
        let mut entry = self.body_entry(body)?.unwrap_or_default();
        let before = entry.references;
        entry.references = before.saturating_add_signed(by);
        let is_turned = (before == 0) != (entry.references == 0);
        if entry.place.is_empty() && entry.references == 0 {
            self.bodies.remove(body.get()).map_err(failed)?;
            return Ok(None);
        }
        if is_turned && !entry.place.is_empty() {
            let was = entry.fate;
            if let Fate::Waiting(since_secs) = was {
                self.dead.remove((since_secs, body.get())).map_err(failed)?;
            }
            let stays = entry.references > 0 || self.filled == Some(Orphans::Stay);
            entry.fate = match stays {
                true => Fate::Kept,
                false => Fate::Waiting(self.time_secs),
            };
            if !stays {
                let key = (self.time_secs, body.get());
                self.dead.insert(key, ()).map_err(failed)?;
            }
            self.count_taken(&entry, Some(was), Some(entry.fate))?;
        }
        put(&mut self.bodies, body.get(), &entry.encode())?;
        match is_turned {
            true => Ok(entry.rest()?),
            false => Ok(None),
        }
    }

    /// Counts what a body takes out of what it was, and into what it is.
    fn count_taken(
        &mut self,
        entry: &BodyEntry,
        was: Option<Fate>,
        is: Option<Fate>,
    ) -> Result<()> {
        for (file, bytes) in entry.takes()? {
            let taken = self.taken(file)?;
            if let Some(was) = was {
                let count = taken.of(was);
                *count = count.checked_sub(bytes).ok_or(Malformed)?;
            }
            if let Some(is) = is {
                *taken.of(is) += bytes;
            }
        }
        Ok(())
    }

    /// What bodies take in a segment's file.
    fn taken(&mut self, file: u32) -> Result<&mut Taken> {
        use std::collections::btree_map::Entry;
        match self.takes.entry(file) {
            Entry::Occupied(there) => Ok(there.into_mut()),
            Entry::Vacant(empty) => {
                let known = fetch(&self.taken, file)?;
                let known = known.map(|value| Taken::decode(&value)).transpose()?;
                Ok(empty.insert(known.unwrap_or_default()))
            }
        }
    }

    fn expire(
        &mut self,
        until_secs: i64,
        bodies_max: usize,
        pinned: &HashSet<BodyId>,
    ) -> Result<Expired> {
        let mut keys = Vec::new();
        let due = self.dead.range(..=(until_secs, u64::MAX));
        for item in due.map_err(failed)?.take(bodies_max) {
            keys.push(item.map_err(failed)?.0.value());
        }
        let mut expired = Expired::default();
        for (since_secs, body) in keys {
            let id = BodyId::new(body).ok_or(Malformed)?;
            if pinned.contains(&id) {
                continue;
            }
            self.dead.remove((since_secs, body)).map_err(failed)?;
            let Some(mut entry) = self.body_entry(id)? else {
                continue;
            };
            if entry.references > 0 || entry.fate != Fate::Waiting(since_secs) {
                continue;
            }
            self.count_taken(&entry, Some(entry.fate), Some(Fate::Expired))?;
            entry.fate = Fate::Expired;
            put(&mut self.bodies, body, &entry.encode())?;
            let bytes = entry.takes()?.iter().map(|(_, bytes)| bytes).sum::<u64>();
            expired.bodies += 1;
            expired.bytes += bytes;
            expired.last_secs = since_secs;
        }
        Ok(expired)
    }

    fn replace(&mut self, replacement: &Replacement) -> Result<()> {
        for body in &replacement.dropped {
            self.drop_from(*body, replacement.from)?;
        }
        for (body, moved) in &replacement.moved {
            self.move_body(*body, moved, replacement)?;
        }
        // Whatever the index knows in the file must be known in the other one.
        match *self.taken(replacement.from)? == Taken::default() {
            true => Ok(()),
            false => Err(refused()),
        }
    }

    /// Forgets what a body that may go has in a file; all of it, if it has nothing elsewhere.
    fn drop_from(&mut self, id: BodyId, file: u32) -> Result<()> {
        let entry = self.body_entry(id)?.filter(BodyEntry::may_go);
        let mut entry = entry.ok_or_else(refused)?;
        self.count_taken(&entry, Some(entry.fate), None)?;
        let mut place = Place::decode(&mut Reader::new(&entry.place))?;
        place.chunks.retain(|chunk| chunk.segment != file);
        if place.chunks.is_empty() {
            self.bodies.remove(id.get()).map_err(failed)?;
            return self.forget_fixed(id);
        }
        entry.fate = Fate::Parted;
        self.put_place(id, entry, &place)
    }

    fn move_body(&mut self, id: BodyId, moved: &[Moved], replacement: &Replacement) -> Result<()> {
        // One that the index does not know belongs to a transaction that never came.
        let Some(entry) = self.body_entry(id)?.filter(|entry| !entry.place.is_empty()) else {
            return Ok(());
        };
        self.count_taken(&entry, Some(entry.fate), None)?;
        let mut place = Place::decode(&mut Reader::new(&entry.place))?;
        for chunk in &mut place.chunks {
            let is_in = |moved: &&Moved| {
                let end = moved.from.saturating_add(moved.bytes);
                (moved.from..end).contains(&chunk.offset)
            };
            if chunk.segment == replacement.from
                && let Some(moved) = moved.iter().find(is_in)
            {
                chunk.offset = moved.to + (chunk.offset - moved.from);
                chunk.segment = replacement.to;
            }
        }
        self.put_place(id, entry, &place)
    }

    fn put_place(&mut self, id: BodyId, mut entry: BodyEntry, place: &Place) -> Result<()> {
        let mut w = Writer::default();
        place.encode(&mut w);
        entry.place = w.0;
        self.count_taken(&entry, None, Some(entry.fate))?;
        put(&mut self.bodies, id.get(), &entry.encode())
    }
}

fn noted(read: &ReadTransaction) -> Result<Takes> {
    let table = read.open_table(TAKEN).map_err(failed)?;
    let mut all = Takes::new();
    for item in table.iter().map_err(failed)? {
        let (file, value) = item.map_err(failed)?;
        all.insert(file.value(), Taken::decode(value.value())?);
    }
    Ok(all)
}

const fn refused() -> Error {
    Error::Cannot("drop from a segment what is still needed")
}

/// The files that stand for segments that were rewritten, as the index has them.
pub(super) fn read_rewritten(db: &Database) -> Result<BTreeMap<u32, u32>> {
    let read = db.begin_read().map_err(failed)?;
    let table = read.open_table(REWRITTEN).map_err(failed)?;
    let mut all = BTreeMap::new();
    for item in table.iter().map_err(failed)? {
        let (number, file) = item.map_err(failed)?;
        all.insert(number.value(), file.value());
    }
    Ok(all)
}
