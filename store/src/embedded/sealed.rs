//! The thread that writes summaries of sealed segments: beside the commits, never before them.

use std::{collections::HashSet, time::Duration};

use parking_lot::{Condvar, Mutex};

use super::{
    core::Shared,
    recover,
    segment::number_of,
    summary::{self, Extent},
};
use crate::Result;

/// After a failure it is tried again this much later.
const RETRY: Duration = Duration::from_secs(30);

/// What the thread is told.
#[derive(Debug, Default)]
pub(crate) struct Keeper {
    inner: Mutex<Told>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Told {
    is_sealed: bool,
    is_closed: bool,
}

impl Keeper {
    /// A segment was sealed.
    pub(crate) fn sealed(&self) {
        self.inner.lock().is_sealed = true;
        self.wake.notify_all();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.inner.lock().is_closed = true;
        self.wake.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.inner.lock().is_closed
    }

    /// Writes what is missing, then waits for segments to be sealed, until it is closed.
    pub(crate) fn run(&self, shared: &Shared) {
        let mut known = HashSet::new();
        while !self.is_closed() {
            let outcome = self.write_missing(shared, &mut known);
            if let Err(error) = &outcome {
                tracing::warn!(%error, "a segment has no summary yet");
            }
            let mut told = self.inner.lock();
            while !told.is_sealed && !told.is_closed {
                if outcome.is_ok() {
                    self.wake.wait(&mut told);
                } else if self.wake.wait_for(&mut told, RETRY).timed_out() {
                    break;
                }
            }
            told.is_sealed = false;
        }
    }

    fn write_missing(&self, shared: &Shared, known: &mut HashSet<u32>) -> Result<()> {
        let mut links = recover::valid(&shared.segments, shared.backlog.valid())?;
        // The last is still being written.
        links.pop();
        links.retain(|(segment, _)| !known.contains(segment));
        for (segment, bytes) in links {
            if self.is_closed() {
                break;
            }
            let extent = Extent {
                salt: shared.salt,
                segment,
                bytes,
            };
            let ensured = summary::ensure(&shared.segments, &extent);
            // It may have been rewritten meanwhile, which makes the new one's summary.
            if shared.segments.standing(number_of(segment)) == segment {
                ensured?;
            }
            known.insert(segment);
        }
        Ok(())
    }
}
