//! Giving back the space of what was deleted.
//!
//! Bodies that no message refers to stay through the undelete window; then they may go, and a
//! segment of which enough may go is written again without them ([`rewrite`]). The new file stands
//! for the segment once the index says so durably; only then the old one is removed. Whatever
//! happens in between, one of the two is whole, and the next opening knows which stands
//! ([`super::recover`]).
//!
//! A thread of its own does it, in bounded steps, and rests between them as long as they took.

mod pins;
mod rewrite;

use std::{
    collections::{BTreeMap, HashSet},
    sync::mpsc::{SyncSender, sync_channel},
    time::{Duration, Instant},
};

use mail::id::BodyId;
use parking_lot::{Condvar, Mutex, MutexGuard};

pub(crate) use self::pins::{Pin, Pins};
use self::rewrite::{Judge, rewrite};
use super::{
    commit::{Item, SEGMENT_FREE_BYTES_MIN},
    core::Shared,
    index::{Expired, Index, Replaced, Taken},
    recover,
    segment::{label, next_file, number_of, unavailable},
    summary::{self, Extent},
};
use crate::{
    Error, Result,
    contract::{Compacted, Room},
};

/// How often it is looked whether there is something to do.
const TICK: Duration = Duration::from_secs(60);
/// Bodies whose window ends with one transaction of the index.
const EXPIRE_BODIES: usize = 1_000;
/// A body is deleted at least this long before it goes: by then everybody has been shown that it is.
const MARGIN_SECS: i64 = 2;
/// Who began to read before something was deleted may go on reading it this long.
const READERS_LONGEST: Duration = Duration::from_secs(600);
/// It is waited this long for such readers, before it is tried again later.
const READERS_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether they are done.
const READERS_LOOK: Duration = Duration::from_millis(50);
/// A segment is rewritten when more than one part in so many of it may go …
const QUIET_SHARE: u64 = 2;
/// … or, if somebody asks for it or space is short, in so many.
const URGENT_SHARE: u64 = 16;
/// A rewrite leaves one part in so many of the reserve free.
const RESERVE_SHARE: u64 = 12;
/// The longest rest between two steps.
const REST_MAX: Duration = Duration::from_millis(250);

/// The thread's mailbox.
#[derive(Debug, Default)]
pub(crate) struct Compactor {
    inner: Mutex<Told>,
    wake: Condvar,
    /// What was found when it was looked last.
    room: Mutex<Room>,
}

#[derive(Debug, Default)]
struct Told {
    due: Due,
    is_purged: bool,
    is_closed: bool,
    asked: Vec<SyncSender<Result<Compacted>>>,
}

/// When there may be something to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Due {
    /// Now; what is there is looked at once before anything happens.
    #[default]
    Now,
    /// With the next tick.
    Later,
}

/// How much is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Urgency {
    /// What is worth it.
    Quiet,
    /// What can be done.
    Asked,
    /// What can be done, at once: space is short.
    Pressed,
}

impl Compactor {
    /// There may be something to do.
    pub(crate) fn wake(&self) {
        self.inner.lock().due = Due::Now;
        self.wake.notify_all();
    }

    /// An account was removed whose space is wanted at once.
    pub(crate) fn purge(&self) {
        self.inner.lock().is_purged = true;
        self.wake.notify_all();
    }

    /// Does what can be done now, and says what that was.
    pub(crate) fn ask(&self) -> Result<Compacted> {
        let (tell, told) = sync_channel(1);
        let mut inner = self.inner.lock();
        if inner.is_closed {
            return Err(closed());
        }
        inner.asked.push(tell);
        drop(inner);
        self.wake.notify_all();
        told.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// How much room bodies took when it was looked last.
    pub(crate) fn room(&self) -> Room {
        *self.room.lock()
    }

    /// Nothing more is wanted.
    pub(crate) fn close(&self) {
        let mut inner = self.inner.lock();
        inner.is_closed = true;
        inner.asked.clear();
        self.wake.notify_all();
    }

    /// Works until it is closed.
    pub(crate) fn run(&self, shared: &Shared) {
        let (mut given_up, mut ended) = (HashSet::new(), None);
        while let Some((asked, is_urgent)) = self.next() {
            let free = shared.free_bytes();
            let urgency = match (shared.is_pressed(free), is_urgent) {
                (true, _) => Urgency::Pressed,
                (false, true) => Urgency::Asked,
                (false, false) => Urgency::Quiet,
            };
            let mut run = Run {
                shared,
                urgency,
                given_up: &mut given_up,
                skipped: HashSet::new(),
                ended: &mut ended,
                done: Compacted::default(),
            };
            let outcome = run.all().and_then(|()| run.look_at_room());
            let outcome = outcome.map(|()| run.done);
            // While the index is made again there is nothing to say.
            if let Err(error) = &outcome
                && *error != closed()
                && shared.gate.check_all().is_ok()
            {
                tracing::warn!(%error, "space of deleted mail is not given back yet");
            }
            for one in asked {
                // Who asked may have gone.
                let _ = one.try_send(outcome.clone());
            }
        }
    }

    /// Waits until there is something to do; says who waits for it, and whether it is urgent.
    fn next(&self) -> Option<(Vec<SyncSender<Result<Compacted>>>, bool)> {
        let deadline = Instant::now() + TICK;
        let mut told = self.inner.lock();
        while told.due == Due::Later && !told.is_purged && told.asked.is_empty() && !told.is_closed
        {
            if self.wake.wait_until(&mut told, deadline).timed_out() {
                break;
            }
        }
        if told.is_closed {
            return None;
        }
        told.due = Due::Later;
        let asked = std::mem::take(&mut told.asked);
        let is_urgent = std::mem::take(&mut told.is_purged) || !asked.is_empty();
        Some((asked, is_urgent))
    }

    /// Rests.
    ///
    /// # Errors
    /// [`Error::Unavailable`] once it is closed.
    fn rest(&self, time: Duration) -> Result<()> {
        let deadline = Instant::now() + time;
        let mut told = self.inner.lock();
        while !told.is_closed && !self.wake.wait_until(&mut told, deadline).timed_out() {}
        match told.is_closed {
            true => Err(closed()),
            false => Ok(()),
        }
    }
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

/// One time through.
struct Run<'a> {
    shared: &'a Shared,
    urgency: Urgency,
    /// Files that could not be rewritten.
    given_up: &'a mut HashSet<u32>,
    /// Files that are not tried again in this run.
    skipped: HashSet<u32>,
    /// When windows were ended, of bodies that were not waited for yet.
    ended: &'a mut Option<Instant>,
    done: Compacted,
}

impl<'a> Run<'a> {
    fn all(&mut self) -> Result<()> {
        self.shared.gate.check_all()?;
        self.shared.backlog.wait_while_writable()?;
        while self.index(Index::has_graves)? {
            self.index(Index::sweep)?;
            self.shared.compactor.rest(Duration::ZERO)?;
        }
        // Those whose readers are waited for come first, or there would always be somebody.
        self.wait_for_readers()?;
        self.end_windows()?;
        self.wait_for_readers()?;
        if self.urgency != Urgency::Quiet {
            self.seal_newest()?;
        }
        let mut failed = None;
        while let Some(source) = self.choose()? {
            match self.one(&source) {
                Ok(()) => {}
                Err(error) if error == closed() => return Err(error),
                Err(error) => {
                    // Others may do better.
                    self.skipped.insert(source.segment);
                    failed.get_or_insert(error);
                }
            }
        }
        failed.map_or(Ok(()), Err)
    }

    fn look_at_room(&self) -> Result<()> {
        let mut room = Room::default();
        for taken in self.index(Index::taken)?.values() {
            room.live_bytes += taken.live;
            room.waiting_bytes += taken.waiting;
            room.dead_bytes += taken.expired;
        }
        *self.shared.compactor.room.lock() = room;
        Ok(())
    }

    /// Asks the index for something; if it cannot, it is opened again.
    fn index<T>(&self, work: impl FnOnce(&Index) -> Result<T>) -> Result<T> {
        // While it is made again it does not know what is needed; see `Shared::with_account`.
        let outcome = self
            .shared
            .with_index(|index| match self.shared.gate.check_all() {
                Ok(()) => Ok(work(index)),
                Err(error) => Err(error),
            })?;
        match &outcome {
            Err(Error::Unavailable(_) | Error::DiskFull) => self.shared.index_failed(),
            Err(Error::Damaged(_)) => self.shared.index_is_suspect(),
            _ => {}
        }
        outcome
    }

    /// Ends the window of what is old enough, and, while space is short, of what is oldest.
    fn end_windows(&mut self) -> Result<()> {
        let options = &self.shared.options;
        let window = i64::try_from(options.undelete_secs).unwrap_or(i64::MAX);
        let now = self.shared.clock.now_secs();
        let until = now.saturating_sub(window.max(MARGIN_SECS));
        while self.expire(until)?.bodies > 0 {}
        if self.urgency != Urgency::Pressed {
            return Ok(());
        }
        let mut given = Expired::default();
        while self.is_short()? {
            let expired = self.expire(now.saturating_sub(MARGIN_SECS))?;
            if expired.bodies == 0 {
                break;
            }
            given.bodies += expired.bodies;
            given.bytes += expired.bytes;
            given.last_secs = expired.last_secs;
        }
        if given.bodies > 0 {
            tracing::warn!(
                bodies = given.bodies,
                bytes = given.bytes,
                deleted_until_secs = given.last_secs,
                "space is short: deleted mail goes before the end of its undelete window"
            );
        }
        Ok(())
    }

    fn expire(&mut self, until_secs: i64) -> Result<Expired> {
        self.shared.compactor.rest(Duration::ZERO)?;
        if !self.index(|index| index.has_dead(until_secs))? {
            return Ok(Expired::default());
        }
        let pinned = self.pinned()?;
        let expired = self.index(|index| index.expire(until_secs, EXPIRE_BODIES, &pinned))?;
        if expired.bodies > 0 {
            *self.ended = Some(Instant::now());
        }
        Ok(expired)
    }

    /// What a transaction may still name that is not in the index yet. What is not pinned by now,
    /// and not in the index behind it, nothing will name any more.
    fn pinned(&self) -> Result<HashSet<BodyId>> {
        let pinned = self.shared.pins.all();
        self.shared.backlog.wait_while_writable()?;
        Ok(pinned)
    }

    /// Whether what may go is not enough.
    fn is_short(&self) -> Result<bool> {
        let expired: u64 = self.index(Index::taken)?.values().map(|t| t.expired).sum();
        let free = self.shared.free_bytes();
        Ok(self.shared.is_pressed(free.saturating_add(expired)))
    }

    /// Waits for those who began to read before something was deleted that may go now.
    fn wait_for_readers(&mut self) -> Result<()> {
        let began = Instant::now();
        while let Some(ended) = *self.ended {
            if !self.shared.versions.are_held(ended, READERS_LONGEST) {
                *self.ended = None;
            } else if began.elapsed() < READERS_WAIT {
                self.shared.compactor.rest(READERS_LOOK)?;
            } else {
                let text = "what was deleted is still being read";
                return Err(Error::Unavailable(text.into()));
            }
        }
        Ok(())
    }

    /// Has the newest segment sealed, if enough of it may go.
    fn seal_newest(&self) -> Result<()> {
        let valid = self.shared.backlog.valid();
        let taken = self.index(Index::taken)?;
        let expired = taken.get(&valid.segment).map_or(0, |taken| taken.expired);
        let is_worth = expired > 0 && expired.saturating_mul(URGENT_SHARE) >= valid.offset;
        let is_large =
            valid.offset.saturating_mul(URGENT_SHARE) >= self.shared.options.segment_bytes;
        let has_room = self.shared.free_bytes() > 2 * SEGMENT_FREE_BYTES_MIN;
        if !is_worth || !is_large || !has_room {
            return Ok(());
        }
        if self.shared.queue.push(Item::Seal).is_err() {
            return Err(closed());
        }
        let deadline = Instant::now() + READERS_WAIT;
        while self.shared.backlog.valid().segment == valid.segment && Instant::now() < deadline {
            self.shared.compactor.rest(READERS_LOOK)?;
        }
        self.shared.backlog.wait_while_writable()
    }

    /// The segment of which most may go, if it is worth it.
    fn choose(&self) -> Result<Option<Extent>> {
        let taken = self.index(Index::taken)?;
        // Only files that stand are asked for their length.
        let mut worthy = BTreeMap::new();
        for (file, taken) in taken {
            let is_out = self.given_up.contains(&file) || self.skipped.contains(&file);
            if taken.expired > 0 && !is_out && self.is_worth(file, &taken)? {
                worthy.insert(file, taken.expired);
            }
        }
        if worthy.is_empty() {
            return Ok(None);
        }
        // What the index would read again from the log stays as it is.
        let replay = self.index(|index| Ok(index.meta().replay))?;
        let links = recover::valid(&self.shared.segments, self.shared.backlog.valid())?;
        let rewritable = links
            .into_iter()
            .filter(|(file, _)| number_of(*file) < replay.segment && worthy.contains_key(file));
        let best = rewritable.max_by_key(|(file, _)| worthy.get(file).copied());
        Ok(best.map(|(segment, bytes)| Extent {
            salt: self.shared.salt,
            segment,
            bytes,
        }))
    }

    fn is_worth(&self, file: u32, taken: &Taken) -> Result<bool> {
        let reading = |error: std::io::Error| unavailable("reading the log", &error);
        let opened = self.shared.segments.file(file).map_err(reading)?;
        let bytes = opened.len().map_err(reading)?;
        let share = match self.urgency {
            Urgency::Quiet => QUIET_SHARE,
            Urgency::Asked | Urgency::Pressed => URGENT_SHARE,
        };
        // What it takes for a while must not be the last there is.
        let margin = self.shared.options.reserve_bytes / RESERVE_SHARE;
        let needs = bytes.saturating_sub(taken.expired).saturating_add(margin);
        let fits = needs <= self.shared.free_bytes();
        Ok(fits && taken.expired.saturating_mul(share) > bytes)
    }

    /// Rewrites a segment.
    fn one(&mut self, source: &Extent) -> Result<()> {
        let (shared, began) = (self.shared, Instant::now());
        let Some(to) = next_file(source.segment) else {
            self.given_up.insert(source.segment);
            return Ok(());
        };
        let mut bodies = Bodies {
            shared,
            pinned: self.pinned()?,
            urgency: self.urgency,
            stepped: Instant::now(),
        };
        // Nobody makes a summary of it any more when it is gone.
        summary::ensure(&shared.segments, source)?;
        let made = rewrite(&shared.segments, source, to, &mut bodies);
        if let Err(Error::Damaged(_)) = &made {
            // It is told by `check`, and stays as it is.
            self.given_up.insert(source.segment);
        }
        let made = made?;
        let _alone = self.alone()?;
        let replaced = self.index(|index| {
            let replaced = index.replace(&made.replacement)?;
            if replaced == Replaced::Stands {
                shared.segments.stand(to);
            }
            Ok(replaced)
        });
        match replaced {
            Ok(Replaced::Stands) => {}
            Ok(Replaced::Refused) => {
                self.remove(to);
                let segment = label(source.segment);
                return Err(Error::Unavailable(format!("segment {segment} is needed")));
            }
            Err(error) => {
                // What the index knows now is known for certain after the next opening.
                self.given_up.insert(source.segment);
                return Err(error);
            }
        }
        shared.bodies.forget_places();
        self.remove(source.segment);
        // Once in a run is enough, whatever could not go.
        self.skipped.insert(to);
        let (before, after) = (source.bytes, made.extent.bytes);
        tracing::info!(
            segment = label(source.segment),
            before,
            after,
            took = ?began.elapsed(),
            "a segment was rewritten without what was deleted"
        );
        self.done.segments += 1;
        self.done.bytes_before += before;
        self.done.bytes_after += after;
        Ok(())
    }

    /// Waits until nobody looks at all files of the log.
    fn alone(&self) -> Result<MutexGuard<'a, ()>> {
        let shared = self.shared;
        loop {
            if let Some(alone) = shared.segments.exchanging.try_lock() {
                return Ok(alone);
            }
            shared.compactor.rest(READERS_LOOK)?;
        }
    }

    /// Removes a file that stands for nothing any more. If it stays, the next opening removes it.
    fn remove(&self, file: u32) {
        let segments = &self.shared.segments;
        let removed = summary::remove(segments, file)
            .and_then(|()| segments.remove(file))
            .and_then(|()| segments.disk.sync_dir(&segments.dir));
        if let Err(error) = removed {
            tracing::warn!(%error, segment = label(file), "its old file stays for now");
        }
    }
}

/// What may go of a segment, asked while it is rewritten.
struct Bodies<'a> {
    shared: &'a Shared,
    pinned: HashSet<BodyId>,
    urgency: Urgency,
    stepped: Instant,
}

impl Judge for Bodies<'_> {
    fn may_go(&mut self, bodies: &[BodyId]) -> Result<Vec<bool>> {
        let mut expired = self.shared.with_index(|index| {
            self.shared.gate.check_all()?;
            index.are_expired(bodies)
        })?;
        for (id, may_go) in bodies.iter().zip(&mut expired) {
            *may_go &= !self.pinned.contains(id);
        }
        Ok(expired)
    }

    /// Rests as long as the step took, so that at most half of the disk's time is taken.
    fn step(&mut self) -> Result<()> {
        let rest = match self.urgency {
            Urgency::Pressed => Duration::ZERO,
            Urgency::Quiet | Urgency::Asked => self.stepped.elapsed().min(REST_MAX),
        };
        self.shared.compactor.rest(rest)?;
        self.stepped = Instant::now();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
