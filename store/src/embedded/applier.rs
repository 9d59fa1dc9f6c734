//! The applier thread: brings the index after the log, and makes it durable now and then.
//!
//! What is acknowledged waits here, bounded: when the index is too far behind, commits wait. If
//! the index cannot be written, it is opened again or made again ([`super::rebuild`]), and until
//! then nothing is lost: the log has it.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};

use super::{
    core::Shared,
    frame::Lsn,
    index::{Event, Index},
    rebuild::{Rebuild, Step, lag_bytes},
    recover::{self, Site},
    segment::Position,
};
use crate::{Error, Result};

/// Reads wait this long for the index, and commits for its lag.
const WAIT: Duration = Duration::from_secs(10);
/// How often free space is looked at, and a broken index is tried again.
const TICK: Duration = Duration::from_secs(1);
/// Events applied at once: a batch's memory and its time are bounded.
const BATCH_EVENTS: usize = 4_096;

/// What is durable and not yet in the index.
pub(crate) struct Backlog {
    inner: Mutex<Waiting>,
    /// Something came, or it is closed.
    wake: Condvar,
    /// Something was applied.
    applied: Condvar,
    lag_bytes_max: u64,
}

struct Waiting {
    events: VecDeque<Event>,
    lag_bytes: u64,
    published: Lsn,
    applied: Lsn,
    /// To here the log is durable.
    valid: Position,
    fault: Option<Error>,
    is_closed: bool,
}

impl Backlog {
    pub(crate) fn new(applied: Lsn, valid: Position, lag_bytes_max: u64) -> Self {
        Self {
            inner: Mutex::new(Waiting {
                events: VecDeque::new(),
                lag_bytes: 0,
                published: applied,
                applied,
                valid,
                fault: None,
                is_closed: false,
            }),
            wake: Condvar::new(),
            applied: Condvar::new(),
            lag_bytes_max,
        }
    }

    /// Adds durable events; the log is durable to `valid`.
    pub(crate) fn push(&self, events: Vec<Event>, valid: Position) {
        let mut waiting = self.inner.lock();
        for event in &events {
            if let Event::Applied(applied) = event {
                waiting.published = applied.lsn;
                waiting.lag_bytes += applied.lag_bytes;
            }
        }
        waiting.events.extend(events);
        waiting.valid = valid;
        self.wake.notify_one();
    }

    /// Waits while the index is too far behind.
    pub(crate) fn wait_for_lag(&self) -> Result<()> {
        let deadline = Instant::now() + WAIT;
        let mut waiting = self.inner.lock();
        while waiting.lag_bytes > self.lag_bytes_max {
            if let Some(fault) = &waiting.fault {
                return Err(fault.clone());
            }
            if self.applied.wait_until(&mut waiting, deadline).timed_out() {
                return Err(Error::Unavailable("the index is too far behind".into()));
            }
        }
        Ok(())
    }

    /// Waits until everything acknowledged so far is in the index.
    pub(crate) fn wait_published(&self) -> Result<()> {
        self.wait_applied(self.published())
    }

    /// As [`Self::wait_published`], but only while the index can be written.
    pub(crate) fn wait_while_writable(&self) -> Result<()> {
        self.wait(self.published(), |waiting| waiting.fault.is_some())
    }

    /// Waits until the index has been brought there.
    pub(crate) fn wait_applied(&self, lsn: Lsn) -> Result<()> {
        self.wait(lsn, |_| false)
    }

    fn wait(&self, lsn: Lsn, is_enough: impl Fn(&Waiting) -> bool) -> Result<()> {
        let deadline = Instant::now() + WAIT;
        let mut waiting = self.inner.lock();
        while waiting.applied < lsn {
            if waiting.is_closed
                || is_enough(&waiting)
                || self.applied.wait_until(&mut waiting, deadline).timed_out()
            {
                let behind = || Error::Unavailable("the index is behind".into());
                return Err(waiting.fault.clone().unwrap_or_else(behind));
            }
        }
        Ok(())
    }

    /// To here transactions are acknowledged.
    pub(crate) fn published(&self) -> Lsn {
        self.inner.lock().published
    }

    /// To here transactions are in the index.
    pub(crate) fn applied(&self) -> Lsn {
        self.inner.lock().applied
    }

    pub(crate) fn health(&self) -> Result<()> {
        self.inner.lock().fault.clone().map_or(Ok(()), Err)
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
        self.wake.notify_all();
    }

    fn set_fault(&self, fault: Option<Error>) {
        self.inner.lock().fault = fault;
        self.applied.notify_all();
    }

    /// What is durable and not in the index yet: frames, and their bytes without bodies.
    pub(crate) fn lag(&self) -> (u64, u64) {
        let waiting = self.inner.lock();
        let frames = waiting.published.saturating_sub(waiting.applied);
        (frames, waiting.lag_bytes)
    }

    /// To here the log is durable.
    pub(crate) fn valid(&self) -> Position {
        self.inner.lock().valid
    }

    /// The next events, after at most this long; `None` when closed and empty.
    fn take(&self, wait: Duration) -> Option<Vec<Event>> {
        let mut waiting = self.inner.lock();
        if waiting.events.is_empty() && !waiting.is_closed && !wait.is_zero() {
            self.wake.wait_for(&mut waiting, wait);
        }
        if waiting.events.is_empty() && waiting.is_closed {
            return None;
        }
        let count = waiting.events.len().min(BATCH_EVENTS);
        Some(waiting.events.drain(..count).collect())
    }

    /// Everything to `lsn` was applied, or is kept with what an account still lacks; this much
    /// less counts against the lag.
    fn done(&self, lsn: Option<Lsn>, lag_bytes: u64) {
        let mut waiting = self.inner.lock();
        waiting.applied = lsn.unwrap_or(waiting.applied);
        waiting.lag_bytes = waiting.lag_bytes.saturating_sub(lag_bytes);
        self.applied.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.inner.lock().is_closed
    }

    /// Waits a tick, or until it is closed.
    fn wait_tick(&self) {
        let deadline = Instant::now() + TICK;
        let mut waiting = self.inner.lock();
        while !waiting.is_closed && !self.wake.wait_until(&mut waiting, deadline).timed_out() {}
    }
}

/// What is known of the index that is to be mended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IndexState {
    /// A call failed; what is on the disk may be sound.
    Unknown,
    /// What is on the disk is not what was written.
    Damaged,
}

/// The applier thread's own state.
pub(crate) struct Applier {
    shared: Arc<Shared>,
    /// What the index lacks, while it is made again.
    rebuild: Option<Rebuild>,
    log_bytes: u64,
    checkpoint_at: Instant,
    space_at: Instant,
}

impl Applier {
    pub(crate) fn new(shared: Arc<Shared>, rebuild: Option<Rebuild>) -> Self {
        let now = Instant::now();
        Self {
            shared,
            rebuild,
            log_bytes: 0,
            checkpoint_at: now,
            space_at: now,
        }
    }

    /// Applies until the backlog is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some(events) = self.shared.backlog.take(self.patience()) {
            if !events.is_empty() && !self.apply(events) {
                return;
            }
            self.make_again();
            self.look_at_space();
            self.mend_if_broken();
            if self.is_checkpoint_due() {
                self.checkpoint();
            }
        }
        self.checkpoint();
    }

    /// How long to wait for events: not at all while there is something else to do.
    fn patience(&self) -> Duration {
        match self.rebuild {
            Some(_) => Duration::ZERO,
            None => TICK,
        }
    }

    /// Applies events, making the index again as often as need be; `false` if the store was
    /// closed meanwhile.
    fn apply(&mut self, events: Vec<Event>) -> bool {
        let applied = || events.iter().filter_map(Event::applied);
        let lsn = applied().map(|applied| applied.lsn).next_back();
        let lag_bytes = lag_bytes(events.iter());
        self.log_bytes += applied().map(|applied| applied.log_bytes).sum::<u64>();
        let (now, kept_bytes) = match &mut self.rebuild {
            Some(rebuild) => {
                let sorted = rebuild.sort(events);
                (sorted.now, sorted.kept_bytes)
            }
            None => (events, 0),
        };
        let mut outcome = self.shared.with_index(|index| index.apply(&now));
        while let Err(error) = outcome {
            tracing::warn!(%error, "the index could not be written; it is opened or made again");
            if self.shared.backlog.is_closed() {
                return false;
            }
            outcome = self
                .mend(self.index_state())
                .and_then(|()| self.shared.with_index(|index| index.apply(&now)));
            if let Err(error) = &outcome {
                self.shared.backlog.set_fault(Some(error.clone()));
                self.shared.backlog.wait_tick();
            }
        }
        self.shared.backlog.set_fault(None);
        self.shared
            .backlog
            .done(lsn, lag_bytes.saturating_sub(kept_bytes));
        self.shared.recent.forget(&now);
        true
    }

    /// Goes on making the index again.
    fn make_again(&mut self) {
        let Some(rebuild) = &mut self.rebuild else {
            return;
        };
        let step = self
            .shared
            .with_index(|index| rebuild.step(index, &self.shared.gate));
        match step {
            Ok(Step::Done) => self.rebuild = None,
            Ok(Step::More(later)) => {
                self.shared.backlog.done(None, lag_bytes(later.iter()));
                self.shared.recent.forget(&later);
            }
            Err(error) => {
                tracing::warn!(%error, "making the index again begins again");
                let fault = self.mend(self.index_state()).err();
                if fault.is_some() {
                    self.shared.backlog.wait_tick();
                }
                self.shared.backlog.set_fault(fault);
            }
        }
    }

    /// Opens the index again, or, if it is damaged, throws it away and begins to make it again.
    fn mend(&mut self, state: IndexState) -> Result<()> {
        let mut slot = self.shared.index.write();
        *slot = None;
        // What was kept is in the log, from which all is read again.
        if let Some(rebuild) = self.rebuild.take() {
            self.shared.backlog.done(None, rebuild.kept_bytes());
        }
        let (shared, valid) = (&self.shared, self.shared.backlog.valid());
        let site = Site {
            segments: &shared.segments,
            dir: &shared.index_dir,
            salt: shared.salt,
            options: &shared.options,
            gate: &shared.gate,
            now_secs: shared.clock.now_secs(),
        };
        if state == IndexState::Damaged {
            recover::forget_index(&shared.segments.disk, site.dir)?;
        }
        let (index, rebuild) = recover::index(&site, valid)?;
        if rebuild.is_none() {
            shared.gate.end();
        }
        *slot = Some(index);
        self.rebuild = rebuild;
        Ok(())
    }

    fn index_state(&self) -> IndexState {
        match self.shared.take_suspicion() {
            true => IndexState::Damaged,
            false => IndexState::Unknown,
        }
    }

    /// A checkpoint that failed may have left no index, and a read may have found it damaged.
    fn mend_if_broken(&mut self) {
        let state = self.index_state();
        let is_failed = self.shared.take_failure();
        let is_there = self.shared.index.read().is_some();
        if state == IndexState::Damaged || is_failed || !is_there {
            tracing::warn!("the index is opened or made again");
            let fault = self.mend(state).err();
            self.shared.backlog.set_fault(fault);
        }
    }

    fn is_checkpoint_due(&self) -> bool {
        let options = &self.shared.options;
        let age = self.checkpoint_at.elapsed().as_secs();
        self.log_bytes >= options.checkpoint_bytes
            || (self.log_bytes > 0 && age >= options.checkpoint_secs)
    }

    fn checkpoint(&mut self) {
        if self.log_bytes > 0
            && let Err(error) = self.shared.with_index(Index::checkpoint)
        {
            tracing::warn!(%error, "the index could not be made durable");
            if let Err(error) = self.mend(IndexState::Unknown) {
                self.shared.backlog.set_fault(Some(error));
            }
        }
        self.log_bytes = 0;
        self.checkpoint_at = Instant::now();
    }

    fn look_at_space(&mut self) {
        if self.space_at.elapsed() >= TICK {
            self.space_at = Instant::now();
            self.shared.look_at_space();
        }
    }
}
