//! What the commit thread and the index count of their work, for whoever watches the server.

use std::{
    sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use super::{commit::Item, core::Shared};
use crate::{
    Measures,
    histogram::{COUNTS, Histogram, SECONDS},
};

/// What the commit thread counts.
pub(crate) struct Commits {
    times: Histogram,
    batches: Histogram,
    transactions: AtomicU64,
    failures: AtomicU64,
    /// Seconds since 1970; 0 before the first.
    last_secs: AtomicI64,
}

impl Default for Commits {
    fn default() -> Self {
        Self {
            times: Histogram::new(&SECONDS),
            batches: Histogram::new(&COUNTS),
            transactions: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            last_secs: AtomicI64::new(0),
        }
    }
}

impl Commits {
    /// A batch became durable.
    pub(crate) fn committed(&self, batch: &[Item], took: Duration, now_secs: i64) {
        let is_transaction = |item: &&Item| matches!(item, Item::Transaction(_));
        let transactions = batch.iter().filter(is_transaction).count() as u64;
        self.times.record_time(took);
        self.last_secs.store(now_secs, Relaxed);
        if transactions > 0 {
            self.batches.record(transactions);
            self.transactions.fetch_add(transactions, Relaxed);
        }
    }

    /// A batch did not become durable.
    pub(crate) fn failed(&self) {
        self.failures.fetch_add(1, Relaxed);
    }
}

impl Shared {
    /// What was counted, and what waits.
    pub(crate) fn measures(&self) -> Measures {
        let commits = &self.commits;
        let last_secs = Some(commits.last_secs.load(Relaxed));
        let (queue_items, queue_bytes) = self.queue.waiting();
        let (index_lag_frames, index_lag_bytes) = self.backlog.lag();
        Measures {
            commit_times: commits.times.read(),
            commit_batches: commits.batches.read(),
            commits: commits.transactions.load(Relaxed),
            commit_failures: commits.failures.load(Relaxed),
            last_commit_secs: last_secs.filter(|secs| *secs > 0),
            queue_items,
            queue_bytes,
            index_lag_frames,
            index_lag_bytes,
        }
    }
}
