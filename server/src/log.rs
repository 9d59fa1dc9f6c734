//! The log: lines on standard error, for people or as JSON, and the count of faults. Values are
//! fields, so that nothing a peer sends can begin a line of its own.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{LogFormat, LoggingSettings};

/// Connections that ended by a panic.
static PANICS: AtomicU64 = AtomicU64::new(0);

/// Counts a connection that ended by a panic.
pub fn count_panic() {
    PANICS.fetch_add(1, Ordering::Relaxed);
}

/// How many connections ended by a panic: a test fails if there are any.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Begins to log as configured; only the first call does anything.
pub fn begin(settings: &LoggingSettings) {
    let filter = EnvFilter::new(settings.log_level.directives());
    let lines = fmt()
        .with_env_filter(filter)
        // Colours are for eyes; programs that read the log would stumble over them.
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second call finds a log in place, which is as good.
    let _ = match settings.format {
        LogFormat::Human => lines.with_target(false).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
