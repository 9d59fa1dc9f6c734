//! The commit thread: takes all waiting transactions, writes them with one vectored write and one
//! sync, publishes them in order.
//!
//! When a write or sync fails, every plan not yet durable fails with it: the epoch is raised, and
//! what was planned in an earlier one is refused, because it may build on what was lost. Writing
//! goes on in a new segment ([`super::log`]).

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use mail::id::BodyId;
use parking_lot::{Condvar, Mutex};

use super::{
    body::{Chunk, ChunkPlace, Place},
    compact::Pin,
    core::{Permit, Shared},
    encode::{Encoded, encode},
    frame::{Lsn, Unnumbered},
    index::{Applied, Event, Highest, lift},
    log::{Log, Written},
    record::{BodyData, BodyRecord, Counters, Record, Transaction},
    segment::{Position, unavailable},
};
use crate::{Error, Result};

/// What is written at once, bytes; more than one large body frame.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Who submits waits for room when this much is queued, bytes.
const QUEUE_BYTES_MAX: usize = 16 << 20;
/// After a second failure a new segment is tried this much later, and less often from then on, …
const RETRY_MIN: Duration = Duration::from_millis(5);
/// … but at least this often.
const RETRY_MAX: Duration = Duration::from_millis(500);
/// With less free space than this no new segment is tried, bytes.
pub(crate) const SEGMENT_FREE_BYTES_MIN: u64 = 1 << 20;

/// Called once, on the commit thread, when a transaction is durable or has failed.
pub(crate) type Done = Box<dyn FnOnce(Result<Lsn>) + Send>;

/// What waits to be written.
pub(crate) enum Item {
    /// A transaction.
    Transaction(Box<Submitted>),
    /// A piece of a body.
    Body(Box<BodyPiece>),
    /// Of this body no transaction will come.
    Dropped(BodyId),
    /// The segment that is being written is to be sealed.
    Seal,
}

/// A transaction that waits.
pub(crate) struct Submitted {
    pub(crate) permit: Permit,
    pub(crate) epoch: u64,
    pub(crate) encoded: Result<Encoded>,
    pub(crate) done: Done,
    /// Bodies that it names and does not store: they stay until it is in the log.
    pub(crate) pins: Vec<Pin>,
}

/// A body frame that waits.
pub(crate) struct BodyPiece {
    pub(crate) epoch: u64,
    pub(crate) id: BodyId,
    pub(crate) frame: Unnumbered,
    pub(crate) chunks: Vec<Chunk>,
    /// The first byte of it in the body.
    pub(crate) at: u64,
    /// Where in the payload its stored bytes begin.
    pub(crate) data: usize,
}

/// The queue in front of the commit thread.
#[derive(Default)]
pub(crate) struct Queue {
    inner: Mutex<Waiting>,
    /// Something was queued.
    wake: Condvar,
    /// Something was taken: for threads, and for tasks.
    room: Condvar,
    room_for_tasks: tokio::sync::Notify,
}

#[derive(Default)]
struct Waiting {
    items: VecDeque<Item>,
    bytes: usize,
    is_closing: bool,
    /// Since when the batch that was taken last is being written; stays if its thread dies.
    busy_since: Option<Instant>,
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Transaction(submitted) => match &submitted.encoded {
                Ok(encoded) => encoded.frames.iter().map(|f| f.payload.len()).sum(),
                Err(_) => 0,
            },
            Self::Body(piece) => piece.frame.payload.len(),
            Self::Dropped(_) | Self::Seal => 0,
        }
    }

    fn frames(&self) -> &[Unnumbered] {
        match self {
            Self::Transaction(submitted) => match &submitted.encoded {
                Ok(encoded) => &encoded.frames,
                Err(_) => &[],
            },
            Self::Body(piece) => std::slice::from_ref(&piece.frame),
            Self::Dropped(_) | Self::Seal => &[],
        }
    }

    /// Whether it was planned before an epoch; such an item is refused.
    fn is_before(&self, epoch: u64) -> bool {
        match self {
            Self::Transaction(submitted) => submitted.epoch < epoch,
            Self::Body(piece) => piece.epoch < epoch,
            Self::Dropped(_) | Self::Seal => false,
        }
    }
}

impl Waiting {
    fn is_full(&self) -> bool {
        self.bytes > QUEUE_BYTES_MAX && !self.is_closing
    }
}

impl Queue {
    fn wake_for_room(&self) {
        self.room.notify_all();
        self.room_for_tasks.notify_waiters();
    }

    /// Adds an item; gives it back if the queue is closed.
    pub(crate) fn push(&self, item: Item) -> std::result::Result<(), Item> {
        let mut waiting = self.inner.lock();
        if waiting.is_closing {
            return Err(item);
        }
        waiting.bytes += item.bytes();
        waiting.items.push_back(item);
        self.wake.notify_one();
        Ok(())
    }

    /// How much waits: items, and their bytes.
    pub(crate) fn waiting(&self) -> (u64, u64) {
        let waiting = self.inner.lock();
        (waiting.items.len() as u64, waiting.bytes as u64)
    }

    /// Waits until there is room for a transaction.
    pub(crate) async fn room(&self) {
        loop {
            let taken = self.room_for_tasks.notified();
            tokio::pin!(taken);
            // From here on no notification is missed.
            taken.as_mut().enable();
            if !self.inner.lock().is_full() {
                return;
            }
            taken.await;
        }
    }

    /// Waits until there is room for a body frame.
    pub(crate) fn wait_for_room(&self) {
        let mut waiting = self.inner.lock();
        while waiting.is_full() {
            self.room.wait(&mut waiting);
        }
    }

    /// Takes no more; what waits is still written.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closing = true;
        self.wake.notify_all();
        self.wake_for_room();
    }

    /// What waits, up to the size of a batch; `None` when closed and empty.
    fn take(&self) -> Option<Vec<Item>> {
        let mut waiting = self.inner.lock();
        waiting.busy_since = None;
        while waiting.items.is_empty() {
            if waiting.is_closing {
                return None;
            }
            self.wake.wait(&mut waiting);
        }
        let (mut batch, mut bytes) = (Vec::new(), 0usize);
        while bytes < BATCH_BYTES_MAX
            && let Some(item) = waiting.items.pop_front()
        {
            bytes += item.bytes();
            batch.push(item);
        }
        waiting.bytes = waiting.bytes.saturating_sub(bytes);
        waiting.busy_since = Some(Instant::now());
        self.wake_for_room();
        Some(batch)
    }

    /// How long the batch that is being written has been so; zero if none is.
    pub(crate) fn busy_for(&self) -> Duration {
        let since = self.inner.lock().busy_since;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Everything that waits.
    fn drain(&self) -> Vec<Item> {
        let mut waiting = self.inner.lock();
        waiting.bytes = 0;
        self.wake_for_room();
        waiting.items.drain(..).collect()
    }
}

/// A body of which frames are written and whose transaction is still to come.
#[derive(Default)]
pub(crate) struct Pending {
    pub(crate) chunks: Vec<ChunkPlace>,
}

impl Pending {
    /// Bytes as delivered.
    pub(crate) fn bytes(&self) -> u64 {
        let last = self.chunks.last();
        last.map_or(0, |last| last.at + u64::from(last.chunk.raw))
    }

    /// The finished body's place.
    pub(crate) fn place(self, body: &BodyRecord) -> Arc<Place> {
        Arc::new(Place {
            size: body.size,
            digest: body.digest,
            chunks: self.chunks,
            rest: body.rest,
        })
    }
}

/// The commit thread's own state.
pub(crate) struct Committer {
    shared: Arc<Shared>,
    log: Log,
    pending: HashMap<BodyId, Pending>,
    highest: Highest,
    retry_at: Option<Instant>,
    retry_after: Duration,
}

impl Committer {
    pub(crate) fn new(shared: Arc<Shared>, log: Log, highest: Highest) -> Self {
        Self {
            shared,
            log,
            pending: HashMap::new(),
            highest,
            retry_at: None,
            retry_after: Duration::ZERO,
        }
    }

    /// Commits until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(batch) = self.shared.queue.take() {
            let outcome = self.shared.backlog.wait_for_lag();
            let epoch = self.shared.epoch();
            let (stale, batch) = batch.into_iter().partition(|item| item.is_before(epoch));
            self.refuse(stale, &stale_epoch());
            let begun = Instant::now();
            match outcome.and_then(|()| self.commit(&batch)) {
                Ok(written) => {
                    let now_secs = self.shared.clock.now_secs();
                    self.shared
                        .commits
                        .committed(&batch, begun.elapsed(), now_secs);
                    self.publish(batch, written);
                }
                Err(error) => self.fail(batch, &error),
            }
        }
    }

    /// Makes a batch durable.
    fn commit(&mut self, batch: &[Item]) -> Result<Vec<Vec<Written>>> {
        self.accept(batch)?;
        let is_sealed = batch.iter().any(|item| matches!(item, Item::Seal));
        if is_sealed || !self.log.is_ready() {
            self.begin_segment()?;
        }
        let frames: Vec<&[Unnumbered]> = batch.iter().map(Item::frames).collect();
        let failed = |error| unavailable("writing the log", &error);
        let written = self.log.append(&frames).map_err(failed)?;
        self.log.sync().map_err(failed)?;
        Ok(written)
    }

    /// Whether the transactions could be encoded and the bodies they name are whole: written
    /// before, or standing earlier in the batch.
    fn accept(&self, batch: &[Item]) -> Result<()> {
        let mut queued: HashMap<BodyId, u64> = HashMap::new();
        for item in batch {
            let submitted = match item {
                Item::Transaction(submitted) => submitted,
                Item::Body(piece) => {
                    let raw: u64 = piece.chunks.iter().map(|c| u64::from(c.raw)).sum();
                    *queued.entry(piece.id).or_default() += raw;
                    continue;
                }
                Item::Dropped(_) | Item::Seal => continue,
            };
            let encoded = submitted.encoded.as_ref().map_err(Error::clone)?;
            for body in encoded.before() {
                let written = self.pending.get(&body.id).map_or(0, Pending::bytes);
                let bytes = written + queued.get(&body.id).copied().unwrap_or(0);
                if bytes != body.size {
                    let text = format!("body {} has {bytes} of {} bytes", body.id, body.size);
                    return Err(Error::Unavailable(text));
                }
            }
        }
        Ok(())
    }

    /// Begins a segment, and writes into it the highest numbers handed out so far.
    fn begin_segment(&mut self) -> Result<()> {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(Error::Unavailable("the log cannot be written".into()));
        }
        if self.retry_at.is_some() && self.shared.free_bytes() < SEGMENT_FREE_BYTES_MIN {
            return Err(Error::DiskFull);
        }
        let failed = |error| unavailable("beginning a segment", &error);
        self.log.begin_segment().map_err(failed)?;
        let counters = Transaction {
            time_secs: self.shared.clock.now_secs(),
            origin: "log".into(),
            records: vec![Record::Counters(Counters::Store {
                account: self.highest.account,
                mailbox: self.highest.mailbox,
                body: self.highest.body,
                uid_validity: self.highest.uid_validity,
            })],
        };
        let encoded = encode(counters, &self.shared.options, self.shared.salt())?;
        let written = self.log.append(&[&encoded.frames]).map_err(failed)?;
        self.log.sync().map_err(failed)?;
        if let Some(written) = written.first() {
            let event = Event::Applied(Box::new(self.applied(encoded, written)));
            self.shared.backlog.push(vec![event], self.log.valid());
        }
        self.shared.keeper.sealed();
        self.shared.compactor.wake();
        Ok(())
    }

    /// Hands durable items to the index, then acknowledges them, in order.
    fn publish(&mut self, batch: Vec<Item>, written: Vec<Vec<Written>>) {
        let (mut events, mut dones) = (Vec::new(), Vec::new());
        for (item, written) in batch.into_iter().zip(written) {
            match item {
                Item::Transaction(submitted) => {
                    let Ok(encoded) = submitted.encoded else {
                        continue;
                    };
                    for record in &encoded.records {
                        lift(&mut self.highest, record);
                    }
                    let applied = self.applied(encoded, &written);
                    let held = (submitted.permit, submitted.pins);
                    dones.push((submitted.done, applied.lsn, held));
                    events.push(Event::Applied(Box::new(applied)));
                }
                Item::Body(piece) => events.extend(self.piece(&piece, &written)),
                Item::Dropped(id) => {
                    self.pending.remove(&id);
                    events.push(Event::BodiesDropped(vec![id]));
                }
                Item::Seal => {}
            }
        }
        self.shared.recent.add(&events);
        self.shared.backlog.push(events, self.log.valid());
        (self.retry_at, self.retry_after) = (None, Duration::ZERO);
        self.shared.set_log_fault(None);
        for (done, lsn, held) in dones {
            done(Ok(lsn));
            drop(held);
        }
    }

    /// A written transaction as the index takes it.
    fn applied(&mut self, encoded: Encoded, written: &[Written]) -> Applied {
        let mut bodies = Vec::new();
        for body in &encoded.bodies {
            let Some(frame) = written.get(body.frame) else {
                continue;
            };
            let offset = frame.payload.offset + body.data as u64;
            let chunks = body.packed_places(frame.payload.segment, offset);
            bodies.push((body.id, Arc::new(body.place(chunks))));
        }
        for body in encoded.before() {
            if let Some(pending) = self.pending.remove(&body.id) {
                bodies.push((body.id, pending.place(body)));
            }
        }
        let len = |frame: &Unnumbered| frame.payload.len() as u64;
        let end = written.last().zip(encoded.frames.last());
        let end = end.map(|(last, frame)| Position {
            segment: last.payload.segment,
            offset: last.payload.offset + len(frame),
        });
        let log_bytes = encoded.frames.iter().map(len).sum();
        let stored: u64 = encoded.bodies.iter().map(|body| body.stored_bytes()).sum();
        Applied {
            lsn: written.last().map_or(0, |last| last.lsn),
            end: end.unwrap_or_default(),
            time_secs: encoded.time_secs,
            records: encoded.records,
            bodies,
            lag_bytes: log_bytes - stored,
            log_bytes,
        }
    }

    fn piece(&mut self, piece: &BodyPiece, written: &[Written]) -> Option<Event> {
        let written = written.first()?;
        let pending = self.pending.entry(piece.id).or_default();
        let is_first = pending.chunks.is_empty();
        let (segment, offset) = (written.payload.segment, written.payload.offset);
        let offset = offset + piece.data as u64;
        let places = super::body::places(&piece.chunks, segment, offset, piece.at);
        pending.chunks.extend(places);
        is_first.then_some(Event::BodyBegun(piece.id, written.at, written.lsn))
    }

    /// Raises the epoch, and fails the batch and everything that waits.
    fn fail(&mut self, batch: Vec<Item>, error: &Error) {
        tracing::error!(%error, "a commit failed; plans not yet durable are refused");
        self.shared.commits.failed();
        let now = Instant::now();
        // The first retry comes at once; while retries fail too they are spaced.
        if self.retry_at.is_none_or(|at| at <= now) {
            self.retry_at = Some(now + self.retry_after);
            self.retry_after = (self.retry_after * 2).clamp(RETRY_MIN, RETRY_MAX);
        }
        self.shared.raise_epoch();
        self.shared.set_log_fault(Some(error.clone()));
        let dropped: Vec<BodyId> = self.pending.drain().map(|(id, _)| id).collect();
        if !dropped.is_empty() {
            let event = Event::BodiesDropped(dropped);
            self.shared.backlog.push(vec![event], self.log.valid());
        }
        let epoch = self.shared.epoch();
        let (stale, kept) = self
            .shared
            .queue
            .drain()
            .into_iter()
            .partition(|item| item.is_before(epoch));
        self.refuse(batch, error);
        self.refuse(stale, error);
        // What was planned in the new epoch meanwhile waits for the next batch.
        for item in kept {
            if let Err(item) = self.shared.queue.push(item) {
                self.refuse(vec![item], error);
            }
        }
    }

    #[expect(clippy::unused_self, reason = "only the commit thread may refuse")]
    fn refuse(&self, items: Vec<Item>, error: &Error) {
        for item in items {
            if let Item::Transaction(submitted) = item {
                (submitted.done)(Err(error.clone()));
            }
        }
    }
}

fn stale_epoch() -> Error {
    Error::Unavailable("planned before a failed commit".into())
}

/// Whether a record is a body whose frames stand before its transaction.
pub(crate) fn is_before(record: &Record) -> Option<&BodyRecord> {
    match record {
        Record::Body(body) if body.data == BodyData::Before => Some(body),
        _ => None,
    }
}
