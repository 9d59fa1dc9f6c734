//! The engine's core: what the planner submits to and reads from.
//!
//! Transactions go to the commit thread ([`super::commit`]), which makes them durable and
//! acknowledges them in the order of submission; the applier thread ([`super::applier`]) brings
//! the index after. Reads answer from the index and, for bodies younger than it, from memory.

use std::{
    collections::HashMap,
    io,
    ops::Range,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use mail::{
    id::{AccountId, BodyId, MailboxId, ModSeq, ThreadId},
    set::UidSet,
};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    applier::{Applier, Backlog},
    bodies::Bodies,
    body::{Packed, Place},
    cache::Versions,
    codec::Writer,
    commit::{BodyPiece, Committer, Done, Item, Queue, Submitted},
    compact::{Compactor, Pin, Pins},
    encode::encode,
    frame::{Kind, Salt, Unnumbered},
    index::{Event, Index, guarded},
    measures::Commits,
    rebuild::Gate,
    record::{Record, Transaction},
    recover::{self, Recovered},
    sealed::Keeper,
    segment::Segments,
};
pub(crate) use super::{
    frame::Lsn,
    index::{AccountImage, Highest as StoreCounters},
};
use crate::{
    Error, Options, Result,
    clock::Clock,
    contract::{AccountInfo, Compacted, Rebuilding, Room, Static},
    disk::{Disk, Lock},
    rules::threads::ThreadKey,
    state::MailboxState,
};

/// Static data that is read from the index at once, as it is stored, bytes; one message more.
const FIXED_BYTES: usize = 256 << 10;
/// Transactions that may wait for the commit thread.
const PERMITS: usize = 4_096;
/// What a body frame holds, bytes as delivered.
const BODY_FRAME_BYTES: usize = 1 << 20;

/// The right to submit one transaction.
#[derive(Debug)]
pub(crate) struct Permit {
    _held: OwnedSemaphorePermit,
}

/// How much room is left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    /// Enough.
    Normal,
    /// Only the reserve: adding is refused, deleting goes on.
    Reserve,
    /// None.
    Full,
}

/// An opened store.
pub(crate) struct Opened {
    /// Its core.
    pub(crate) core: Arc<Core>,
    /// Its accounts.
    pub(crate) accounts: Vec<AccountInfo>,
    /// The highest numbers ever handed out.
    pub(crate) counters: StoreCounters,
    /// What was found damaged, in words; it is kept where it is.
    pub(crate) damage: Vec<String>,
}

/// The engine's core.
pub(crate) struct Core {
    pub(crate) shared: Arc<Shared>,
    permits: Arc<Semaphore>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    lock: Mutex<Option<Lock>>,
    #[cfg(test)]
    is_index_new: bool,
}

/// What the threads and the callers share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) index_dir: std::path::PathBuf,
    pub(crate) salt: [u8; 16],
    pub(crate) queue: Queue,
    pub(crate) commits: Commits,
    pub(crate) backlog: Backlog,
    pub(crate) recent: Recent,
    /// `None` while it is being made again.
    pub(crate) index: RwLock<Option<Index>>,
    /// Who needs an account waits here while the index is made again.
    pub(crate) gate: Gate,
    /// Writes summaries of sealed segments.
    pub(crate) keeper: Keeper,
    /// Gives back the space of what was deleted.
    pub(crate) compactor: Compactor,
    /// Bodies that are about to be named by a transaction.
    pub(crate) pins: Arc<Pins>,
    /// Versions of mailboxes that somebody still holds though there are later ones.
    pub(crate) versions: Arc<Versions>,
    epoch: AtomicU64,
    space: AtomicU8,
    /// A read found the index damaged.
    suspect: AtomicBool,
    /// A call of the index failed.
    broken: AtomicBool,
    log_fault: Mutex<Option<Error>>,
    pub(crate) bodies: Bodies,
}

/// Bodies that are durable and not yet in the index.
#[derive(Default)]
pub(crate) struct Recent(RwLock<RecentBodies>);

type RecentBodies = HashMap<BodyId, RecentBody>;
type RecentBody = (Arc<Place>, Arc<Static>);

impl Recent {
    /// Adds what transactions stored.
    pub(crate) fn add(&self, events: &[Event]) {
        self.each(events, |recent, id, body| {
            recent.insert(id, body);
        });
    }

    /// Forgets what is in the index now.
    pub(crate) fn forget(&self, events: &[Event]) {
        self.each(events, |recent, id, _| {
            recent.remove(&id);
        });
    }

    fn each(
        &self,
        events: &[Event],
        mut change: impl FnMut(&mut RecentBodies, BodyId, RecentBody),
    ) {
        let mut recent = self.0.write();
        for event in events {
            let Event::Applied(applied) = event else {
                continue;
            };
            for record in &applied.records {
                if let Record::Body(body) = record
                    && let Some((id, place)) = applied.bodies.iter().find(|(id, _)| *id == body.id)
                {
                    change(&mut recent, *id, (place.clone(), body.fixed.clone()));
                }
            }
        }
    }

    fn place(&self, id: BodyId) -> Option<Arc<Place>> {
        self.0.read().get(&id).map(|(place, _)| place.clone())
    }

    fn fixed(&self, id: BodyId) -> Option<Arc<Static>> {
        self.0.read().get(&id).map(|(_, fixed)| fixed.clone())
    }
}

impl Shared {
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    pub(crate) fn raise_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn set_log_fault(&self, fault: Option<Error>) {
        if fault == Some(Error::DiskFull) {
            self.space.store(2, Ordering::Relaxed);
        }
        *self.log_fault.lock() = fault;
    }

    /// The salt as checksums begin with it.
    pub(crate) fn salt(&self) -> Salt {
        Salt::of(&self.salt)
    }

    /// Free space below the store, bytes; plenty if it cannot be found out.
    pub(crate) fn free_bytes(&self) -> u64 {
        let free = self.segments.disk.free_bytes(&self.segments.dir);
        free.unwrap_or(u64::MAX)
    }

    /// Looks how much space is left.
    pub(crate) fn look_at_space(&self) {
        let free = self.free_bytes();
        let space = match free {
            0..0x0010_0000 => 2,
            free if free < self.options.reserve_bytes => 1,
            _ => 0,
        };
        self.space.store(space, Ordering::Relaxed);
        if self.is_pressed(free) {
            self.compactor.wake();
        }
    }

    /// Whether so little is free that the undelete window gives way: before mail is refused.
    pub(crate) fn is_pressed(&self, free: u64) -> bool {
        free < self.room_wanted()
    }

    /// So much is to be free, bytes: the reserve, and what the log takes until it is looked again.
    pub(crate) const fn room_wanted(&self) -> u64 {
        self.options
            .reserve_bytes
            .saturating_add(self.options.segment_bytes)
    }

    /// Reads the index, if there is one at the moment.
    pub(crate) fn with_index<T>(&self, read: impl FnOnce(&Index) -> Result<T>) -> Result<T> {
        let outcome = match &*self.index.read() {
            Some(index) => guarded(|| read(index)),
            None => Err(Error::Unavailable("the index is being made again".into())),
        };
        if matches!(outcome, Err(Error::Damaged(_))) {
            self.index_is_suspect();
        }
        outcome
    }

    /// Reads what the index holds of an account, if it is there.
    fn with_account<T>(&self, id: AccountId, read: impl FnOnce(&Index) -> Result<T>) -> Result<T> {
        self.with_index(|index| {
            // The index is not exchanged while it is read, so this stays true.
            self.gate.check(id)?;
            read(index)
        })
    }

    /// A call of the index failed: it is to be opened again.
    pub(crate) fn index_failed(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    /// Something read of the index is not what was written.
    pub(crate) fn index_is_suspect(&self) {
        self.suspect.store(true, Ordering::Relaxed);
    }

    /// Whether a call of the index failed since this was asked last.
    pub(crate) fn take_failure(&self) -> bool {
        self.broken.swap(false, Ordering::Relaxed)
    }

    /// Whether a read found the index damaged since this was asked last.
    pub(crate) fn take_suspicion(&self) -> bool {
        self.suspect.swap(false, Ordering::Relaxed)
    }
}

impl Core {
    /// Opens or creates the store in `dir`: takes its lock, recovers the log, brings the index
    /// after it, and starts the threads.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        options: &Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Opened> {
        let gate = Gate::default();
        let recovered = recover::open(disk, dir, options, (&gate, clock.now_secs()))?;
        let Recovered {
            lock,
            segments,
            salt,
            log,
            index,
            rebuild,
            damage,
        } = recovered;
        #[cfg(test)]
        let is_index_new = rebuild.is_some();
        let accounts = index.accounts()?;
        let counters = index.meta().highest;
        let applied = index.meta().applied;
        let shared = Arc::new(Shared {
            options: options.clone(),
            clock,
            segments,
            index_dir: recover::index_dir(dir),
            salt,
            queue: Queue::default(),
            commits: Commits::default(),
            backlog: Backlog::new(applied, log.valid(), options.index_lag_bytes_max),
            recent: Recent::default(),
            index: RwLock::new(Some(index)),
            gate,
            keeper: Keeper::default(),
            compactor: Compactor::default(),
            pins: Arc::default(),
            versions: Arc::default(),
            epoch: AtomicU64::new(1),
            space: AtomicU8::new(0),
            suspect: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            log_fault: Mutex::default(),
            bodies: Bodies::default(),
        });
        shared.look_at_space();
        let committer = Committer::new(shared.clone(), log, counters);
        let applier = Applier::new(shared.clone(), rebuild);
        let mut threads = vec![start("commit", move || committer.run())?];
        threads.push(start("index", move || applier.run())?);
        let sealed = shared.clone();
        threads.push(start("sealed", move || sealed.keeper.run(&sealed))?);
        let compacted = shared.clone();
        let compact = move || compacted.compactor.run(&compacted);
        threads.push(start("compact", compact)?);
        let core = Arc::new(Self {
            shared,
            permits: Arc::new(Semaphore::new(PERMITS)),
            threads: Mutex::new(threads),
            lock: Mutex::new(Some(lock)),
            #[cfg(test)]
            is_index_new,
        });
        Ok(Opened {
            core,
            accounts,
            counters,
            damage,
        })
    }

    /// The epoch that plans made now belong to; a failed commit raises it.
    pub(crate) fn epoch(&self) -> u64 {
        self.shared.epoch()
    }

    /// Waits for room for a transaction.
    ///
    /// # Errors
    /// [`Error::Unavailable`] once the store is closed.
    pub(crate) async fn permit(&self) -> Result<Permit> {
        let held = self.permits.clone().acquire_owned().await;
        let held = held.map_err(|_| closed())?;
        self.shared.queue.room().await;
        Ok(Permit { _held: held })
    }

    /// Queues a transaction. `done` is called exactly once, on the commit thread, in the order of
    /// submission: with its number when it is durable, or with why it failed. If the store is
    /// closed it is called at once, by the caller's thread.
    pub(crate) fn submit(&self, permit: Permit, epoch: u64, transaction: Transaction, done: Done) {
        let named = transaction
            .records
            .iter()
            .filter_map(|record| match record {
                Record::Body(body) => body.rest,
                _ => None,
            });
        let pins = named.map(|id| self.pin(id)).collect();
        let encoded = encode(transaction, &self.shared.options, self.shared.salt());
        let submitted = Submitted {
            permit,
            epoch,
            encoded,
            done,
            pins,
        };
        let item = Item::Transaction(Box::new(submitted));
        if let Err(Item::Transaction(submitted)) = self.shared.queue.push(item) {
            (submitted.done)(Err(closed()));
        }
    }

    /// Keeps a body that a transaction is going to name, whatever becomes of those that do now.
    pub(crate) fn pin(&self, id: BodyId) -> Pin {
        Pins::pin(&self.shared.pins, id)
    }

    /// Packs a body given in pieces, so that submitting it does not have to.
    pub(crate) fn pack(&self, pieces: &[Bytes], header_bytes: u64) -> Packed {
        Packed::new(pieces, header_bytes, self.shared.options.compression_level)
    }

    /// Writes a large body as frames of its own, before its transaction; the first piece should
    /// be the header block. Blocking. What is written becomes durable at the latest with the
    /// transaction that names the body, which must belong to the same epoch.
    ///
    /// # Errors
    /// What `chunks` fails with; [`Error::Unavailable`] if the epoch is over.
    pub(crate) fn body_frames(
        &self,
        epoch: u64,
        id: BodyId,
        chunks: &mut dyn Iterator<Item = io::Result<Bytes>>,
    ) -> Result<()> {
        let (mut pieces, mut bytes, mut at) = (Vec::new(), 0usize, 0u64);
        for piece in chunks {
            let piece = piece.map_err(|e| super::segment::unavailable("reading a spool", &e))?;
            bytes += piece.len();
            pieces.push(piece);
            if bytes >= BODY_FRAME_BYTES {
                at = self.body_frame(epoch, id, at, &std::mem::take(&mut pieces))?;
                bytes = 0;
            }
        }
        if bytes > 0 {
            self.body_frame(epoch, id, at, &pieces)?;
        }
        Ok(())
    }

    /// Forgets the frames of a body whose transaction will not come.
    pub(crate) fn drop_body(&self, id: BodyId) {
        // If the queue is closed, nobody remembers it any more.
        let _ = self.shared.queue.push(Item::Dropped(id));
    }

    /// Queues a frame of the body's bytes from `at`; returns where the next begins.
    fn body_frame(&self, epoch: u64, id: BodyId, at: u64, pieces: &[Bytes]) -> Result<u64> {
        let header_bytes = match (at, pieces.first()) {
            (0, Some(first)) => first.len() as u64,
            _ => 0,
        };
        let packed = self.pack(pieces, header_bytes);
        let mut w = Writer::default();
        w.u64(id.get());
        w.u64(at);
        packed.encode(&mut w);
        let next = at + packed.raw_bytes();
        let data = w.0.len() - packed.data.len();
        let frame = Unnumbered {
            kind: Kind::Body,
            crc: self.shared.salt().crc(&w.0),
            payload: w.0,
        };
        self.shared.queue.wait_for_room();
        if epoch != self.epoch() {
            return Err(Error::Unavailable("a commit failed meanwhile".into()));
        }
        let piece = BodyPiece {
            epoch,
            id,
            frame,
            chunks: packed.chunks,
            at,
            data,
        };
        let queued = self.shared.queue.push(Item::Body(Box::new(piece)));
        queued.map(|()| next).map_err(|_| closed())
    }

    /// Waits until an account is in the index, which may be being made again.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it takes too long.
    pub(crate) async fn ready(&self, id: AccountId) -> Result<()> {
        self.shared.gate.pass(id).await
    }

    #[cfg(test)]
    pub(crate) fn is_index_new(&self) -> bool {
        self.is_index_new
    }

    /// How far the index has been made again.
    pub(crate) fn rebuilding(&self) -> Option<Rebuilding> {
        self.shared.gate.progress()
    }

    /// An account, its mailboxes with counters, and its subscriptions. Blocking.
    pub(crate) fn load_account(&self, id: AccountId) -> Result<AccountImage> {
        self.shared.backlog.wait_published()?;
        self.shared.with_account(id, |index| index.account(id))
    }

    /// A mailbox with its rows. Blocking.
    pub(crate) fn load_mailbox(&self, account: AccountId, id: MailboxId) -> Result<MailboxState> {
        self.shared.backlog.wait_published()?;
        self.shared.with_account(account, |index| index.mailbox(id))
    }

    /// Up to this transaction the index is brought.
    pub(crate) fn applied(&self) -> Lsn {
        self.shared.backlog.applied()
    }

    /// From which conversations keys are known to the index. Blocking.
    pub(crate) fn threads(
        &self,
        account: AccountId,
        keys: &[ThreadKey],
    ) -> Result<HashMap<ThreadKey, ThreadId>> {
        self.shared
            .with_account(account, |index| index.threads(account, keys))
    }

    /// Static data of the first of these bodies, as [`crate::Mailbox::fixed`] has it. Blocking.
    pub(crate) fn fixed(&self, bodies: &[BodyId]) -> Result<Vec<Arc<Static>>> {
        // Memory first: what leaves it meanwhile is in the index by then.
        let recent: Vec<_> = bodies
            .iter()
            .map(|id| self.shared.recent.fixed(*id))
            .collect();
        let missing = bodies
            .iter()
            .zip(&recent)
            .filter(|(_, found)| found.is_none());
        let missing: Vec<BodyId> = missing.map(|(id, _)| *id).collect();
        let mut stored = match missing.is_empty() {
            true => Vec::new(),
            false => {
                let read = |index: &Index| index.fixed(&missing, FIXED_BYTES);
                self.shared.with_index(read)?
            }
        }
        .into_iter();
        let mut all = Vec::with_capacity(bodies.len());
        for (id, recent) in bodies.iter().zip(recent) {
            let found = match recent {
                Some(found) => Some(found),
                None => match stored.next() {
                    Some(found) => found,
                    // It was enough before it came to this one.
                    None => break,
                },
            };
            all.push(found.ok_or_else(|| self.missing_body(*id))?);
        }
        Ok(all)
    }

    /// Up to `len` bytes of a body from `offset`; fewer only at its end. Blocking.
    pub(crate) fn read_body(&self, id: BodyId, offset: u64, len: usize) -> Result<Bytes> {
        let range = offset..offset.saturating_add(len as u64);
        let read = self.read_bodies(&[(id, range)])?.pop();
        read.ok_or_else(|| self.missing_body(id))
    }

    /// Ranges of bodies, in their order. Blocking.
    pub(crate) fn read_bodies(&self, wanted: &[(BodyId, Range<u64>)]) -> Result<Vec<Bytes>> {
        let read = self.read_bodies_once(wanted);
        match read {
            Err(Error::Damaged(_)) => {
                // Their segment may have been rewritten since it was looked up where they are.
                self.shared.bodies.forget_places();
                self.read_bodies_once(wanted)
            }
            read => read,
        }
    }

    fn read_bodies_once(&self, wanted: &[(BodyId, Range<u64>)]) -> Result<Vec<Bytes>> {
        let places = self.places(wanted.iter().map(|(id, _)| *id))?;
        let beyond = |((_, range), place): (&(BodyId, Range<u64>), &Arc<Place>)| {
            place.rest.filter(|_| range.end > place.own_bytes())
        };
        let rests: Vec<Option<BodyId>> = wanted.iter().zip(&places).map(beyond).collect();
        let mut rest_places = self.places(rests.iter().flatten().copied())?.into_iter();
        let (bodies, segments) = (&self.shared.bodies, &self.shared.segments);
        let mut read = Vec::with_capacity(wanted.len());
        for (((id, range), place), rest) in wanted.iter().zip(places).zip(rests) {
            let own = bodies.read(segments, *id, &place, range.clone())?;
            let after = match rest {
                None => Bytes::new(),
                Some(rest) => {
                    let shift = |at: u64| at.saturating_sub(place.own_bytes());
                    let range = shift(range.start)..shift(range.end);
                    let place = rest_places.next().ok_or_else(|| self.missing_body(rest))?;
                    bodies.read(segments, rest, &place, range)?
                }
            };
            read.push(joined(own, after));
        }
        Ok(read)
    }

    /// Where bodies are, in their order; the index is asked once for all it must tell.
    fn places(&self, ids: impl Iterator<Item = BodyId>) -> Result<Vec<Arc<Place>>> {
        let shared = &self.shared;
        let known = |id| shared.recent.place(id).or_else(|| shared.bodies.place(id));
        let found: Vec<(BodyId, Option<Arc<Place>>)> = ids.map(|id| (id, known(id))).collect();
        let missing: Vec<BodyId> = found
            .iter()
            .filter(|(_, place)| place.is_none())
            .map(|(id, _)| *id)
            .collect();
        let mut stored = match missing.is_empty() {
            true => Vec::new(),
            false => shared.with_index(|index| index.places(&missing))?,
        }
        .into_iter();
        let one = |(id, place): (BodyId, Option<Arc<Place>>)| {
            let place = place.or_else(|| {
                let place = Arc::new(stored.next().flatten()?);
                shared.bodies.keep_place(id, &place);
                Some(place)
            });
            place.map_or_else(|| self.awaited_place(id), Ok)
        };
        found.into_iter().map(one).collect()
    }

    /// Where a body is that the index does not know of. While that is made again, what several
    /// accounts share may come with another one.
    fn awaited_place(&self, id: BodyId) -> Result<Arc<Place>> {
        self.shared.gate.pass_all_soon()?;
        let place = self.shared.with_index(|index| index.places(&[id]))?.pop();
        let place = place.flatten().ok_or_else(|| self.missing_body(id))?;
        Ok(Arc::new(place))
    }

    /// Where a body is.
    pub(crate) fn place(&self, id: BodyId) -> Result<Arc<Place>> {
        let found = self.places(std::iter::once(id))?.pop();
        found.ok_or_else(|| self.missing_body(id))
    }

    fn missing_body(&self, id: BodyId) -> Error {
        match self.rebuilding() {
            // It may come with another account.
            Some(_) => self.shared.gate.not_yet(),
            None => Error::Damaged(format!("body {id} is not in the index")),
        }
    }

    /// UIDs expunged after a mod-sequence; `None` if that is older than what is remembered.
    pub(crate) fn history(
        &self,
        account: AccountId,
        mailbox: MailboxId,
        since: ModSeq,
    ) -> Result<Option<UidSet>> {
        self.shared.backlog.wait_published()?;
        self.shared
            .with_account(account, |index| index.history(mailbox, since))
    }

    /// Waits until the index has been brought there. Blocking, bounded.
    pub(crate) fn wait_applied(&self, lsn: Lsn) -> Result<()> {
        self.shared.backlog.wait_applied(lsn)
    }

    /// How much room is left.
    pub(crate) fn space(&self) -> Space {
        match self.shared.space.load(Ordering::Relaxed) {
            0 => Space::Normal,
            1 => Space::Reserve,
            _ => Space::Full,
        }
    }

    /// `Ok` if writes are taken.
    pub(crate) fn health(&self) -> Result<()> {
        if self.permits.is_closed() {
            return Err(closed());
        }
        self.shared.backlog.health()?;
        self.shared.log_fault.lock().clone().map_or(Ok(()), Err)
    }

    /// How long the commit thread has been at its batch.
    pub(crate) fn busy_for(&self) -> Duration {
        self.shared.queue.busy_for()
    }

    /// Compares log and index with themselves and with each other; a line per inconsistency.
    pub(crate) fn check(&self, report: &mut Vec<String>) -> Result<()> {
        self.shared.gate.pass_all()?;
        self.shared.backlog.wait_published()?;
        super::check::check(self, &self.shared, report)
    }

    /// Gives back the space of what was deleted, and says what that was. Blocking, as long as it
    /// takes.
    pub(crate) fn compact(&self) -> Result<Compacted> {
        self.shared.gate.pass_all()?;
        self.shared.compactor.ask()
    }

    /// Has the space of a removed account given back soon.
    pub(crate) fn purge(&self) {
        self.shared.compactor.purge();
    }

    /// How much room bodies took when it was looked last.
    pub(crate) fn room(&self) -> Room {
        self.shared.compactor.room()
    }

    /// Writes what waits, makes the index durable, ends the threads, releases the lock.
    pub(crate) fn close(&self) {
        self.permits.close();
        self.shared.queue.close();
        self.shared.gate.close();
        self.shared.keeper.close();
        self.shared.compactor.close();
        let mut threads = self.threads.lock();
        for (at, thread) in threads.drain(..).enumerate() {
            // The commit thread first: the applier ends when nothing more can come.
            if at == 1 {
                self.shared.backlog.close();
            }
            // The last owner may be a callback on one of them.
            if thread.thread().id() == std::thread::current().id() {
                continue;
            }
            if thread.join().is_err() {
                tracing::error!("a thread of the store panicked");
            }
        }
        self.shared.index.write().take();
        self.lock.lock().take();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.close();
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(format!("store-{name}"));
    let started = builder.spawn(run);
    started.map_err(|error| Error::Unavailable(format!("starting a thread: {error}")))
}

fn closed() -> Error {
    Error::Unavailable("the store is closed".into())
}

fn joined(first: Bytes, second: Bytes) -> Bytes {
    match (first.is_empty(), second.is_empty()) {
        (true, _) => second,
        (_, true) => first,
        _ => [first, second].concat().into(),
    }
}

#[cfg(test)]
mod faults;
#[cfg(test)]
mod measure;
#[cfg(test)]
pub(crate) mod tests;
