//! The only place of the store that reads a clock.
//!
//! Time is passed in everywhere else, so that a test can hold it still.

use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that knows the date.
pub trait Clock: Send + Sync + 'static {
    /// Seconds since 1970-01-01T00:00:00Z.
    fn now_secs(&self) -> i64;

    /// Nanoseconds since then, as exactly as the clock shows them.
    fn now_nanos(&self) -> u64 {
        let secs = u64::try_from(self.now_secs()).unwrap_or(0);
        secs.saturating_mul(1_000_000_000)
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_secs(&self) -> i64 {
        i64::try_from(since_1970().as_secs()).unwrap_or(i64::MAX)
    }

    fn now_nanos(&self) -> u64 {
        u64::try_from(since_1970().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn since_1970() -> std::time::Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `secs`.
    #[must_use]
    pub const fn new(secs: i64) -> Self {
        Self(AtomicI64::new(secs))
    }

    /// Sets it.
    pub fn set(&self, secs: i64) {
        self.0.store(secs, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_secs(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
