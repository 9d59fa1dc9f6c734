//! Mailboxes in memory: the version each shows, and how much memory all of them take.
//!
//! A mailbox is loaded when somebody needs it and may go when nobody holds its [`Cell`].

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use mail::id::{MailboxId, Uid};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::state::{MailboxState, Summary};

/// A mailbox in memory: its durable version, and who waits for the next.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) id: MailboxId,
    shown: watch::Receiver<Arc<MailboxState>>,
    sender: Mutex<Option<watch::Sender<Arc<MailboxState>>>>,
    recent_floor: AtomicU32,
    versions: Arc<Versions>,
}

/// Versions of mailboxes that somebody still holds though there are later ones: a FETCH that has
/// begun may read what was deleted since.
#[derive(Debug, Default)]
pub(crate) struct Versions(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    versions: Vec<(Instant, Weak<MailboxState>)>,
    /// With more than this it is looked which are let go.
    enough: usize,
}

impl Versions {
    /// A version was replaced by a later one.
    fn replaced(&self, version: &Arc<MailboxState>) {
        if Arc::strong_count(version) == 1 {
            return;
        }
        let held = &mut *self.0.lock();
        held.versions
            .push((Instant::now(), Arc::downgrade(version)));
        if held.versions.len() > held.enough {
            held.versions.retain(|(_, held)| held.strong_count() > 0);
            held.enough = held.versions.len() * 2 + 64;
        }
    }

    /// Whether somebody holds a version that was replaced before `since`, and less than `longest`
    /// ago.
    pub(crate) fn are_held(&self, since: Instant, longest: Duration) -> bool {
        let mut held = self.0.lock();
        held.versions.retain(|(_, held)| held.strong_count() > 0);
        let is_held = |(at, _): &(Instant, _)| *at < since && at.elapsed() < longest;
        held.versions.iter().any(is_held)
    }
}

impl Cell {
    /// A cell that shows `state`.
    pub(crate) fn new(state: Arc<MailboxState>, versions: Arc<Versions>) -> Self {
        let (id, floor) = (state.id, state.recent_floor);
        let (sender, shown) = watch::channel(state);
        Self {
            id,
            shown,
            sender: Mutex::new(Some(sender)),
            recent_floor: AtomicU32::new(floor.get()),
            versions,
        }
    }

    /// The version shown now.
    pub(crate) fn state(&self) -> Arc<MailboxState> {
        Arc::clone(&self.shown.borrow())
    }

    /// Wakes at each version after the one shown now.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<MailboxState>> {
        let mut receiver = self.shown.clone();
        receiver.mark_unchanged();
        receiver
    }

    /// Shows a version that is durable; returns its counters.
    pub(crate) fn show(&self, state: MailboxState) -> Summary {
        let sender = self.sender.lock();
        let state = self.with_recent(state);
        let summary = state.summary;
        if let Some(sender) = &*sender {
            let before = sender.send_replace(Arc::new(state));
            self.versions.replaced(&before);
        }
        summary
    }

    /// Ends the waiting: the mailbox is deleted.
    pub(crate) fn close(&self) {
        self.sender.lock().take();
    }

    /// UIDs below this are recent to nobody any more, whether that is written yet or not.
    pub(crate) fn recent_floor(&self) -> Uid {
        Uid::new(self.recent_floor.load(Ordering::SeqCst)).unwrap_or(Uid::MIN)
    }

    /// Takes what is recent of `state`, and shows that to the others.
    pub(crate) fn take_recent(&self, state: &MailboxState) -> Option<(Uid, Summary)> {
        let next = state.summary.uid_next;
        let first = self.recent_floor.fetch_max(next.get(), Ordering::SeqCst);
        let first = Uid::new(first).filter(|first| *first < next)?;
        let sender = self.sender.lock();
        let shown = self.with_recent(MailboxState::clone(&self.shown.borrow()));
        let summary = shown.summary;
        if let Some(sender) = &*sender {
            let mut before = Arc::new(shown);
            // Nobody is told of it, so that nobody is woken: of a thousand sessions that wait, each
            // would be a second time for every delivery.
            sender.send_if_modified(|state| {
                std::mem::swap(state, &mut before);
                false
            });
            self.versions.replaced(&before);
        }
        let has_any = state.last_uid().is_some_and(|last| last >= first);
        has_any.then_some((first, summary))
    }

    fn with_recent(&self, state: MailboxState) -> MailboxState {
        let floor = self.recent_floor();
        if floor > state.recent_floor {
            state.with_recent_floor(floor)
        } else {
            state
        }
    }
}

/// How much memory mailboxes take, and how much they may.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) versions: Arc<Versions>,
    bytes_max: u64,
    bytes: AtomicU64,
    uses: AtomicU64,
}

impl Cache {
    /// An empty cache that may grow to `bytes_max`.
    pub(crate) const fn new(bytes_max: u64, versions: Arc<Versions>) -> Self {
        Self {
            versions,
            bytes_max,
            bytes: AtomicU64::new(0),
            uses: AtomicU64::new(0),
        }
    }

    /// A number greater than all before: the later used, the greater.
    pub(crate) fn next_use(&self) -> u64 {
        self.uses.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a mailbox that took `before` bytes and takes `after`.
    pub(crate) fn resize(&self, before: u64, after: u64) {
        self.bytes.fetch_add(after, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    /// How many bytes are to go, if there are too many: more than needed, so that room lasts.
    pub(crate) fn excess(&self) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed);
        if bytes <= self.bytes_max {
            return 0;
        }
        bytes - self.bytes_max + self.bytes_max / 8
    }
}

#[cfg(test)]
mod tests {
    use mail::id::UidValidity;

    use super::*;

    #[test]
    fn taking_what_is_recent_wakes_nobody() {
        let state = MailboxState::empty(MailboxId::MIN, UidValidity::MIN);
        let cell = Cell::new(Arc::new(state.clone()), Arc::default());
        let watching = cell.watch();
        let mut next = state;
        next.summary.uid_next = next.summary.uid_next.next().unwrap();
        cell.show(next);
        assert!(watching.has_changed().unwrap());
        let watching = cell.watch();
        let floor = cell.state().recent_floor;
        // No message has the number any more, but nobody else may take it.
        assert_eq!(cell.take_recent(&cell.state()), None);
        assert!(cell.state().recent_floor > floor);
        assert!(!watching.has_changed().unwrap());
    }
}
