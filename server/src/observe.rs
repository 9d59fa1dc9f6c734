//! What can be known of a running server: counts and times ([`metrics`]), who is connected and what
//! each does ([`live`]), and how both leave the process.
//!
//! Counting is cheap: a command costs a few additions to atomic numbers that no two threads share,
//! and no lock. Everything else is done by whoever looks.

pub mod cells;
pub mod collector;
pub mod costs;
pub mod docs;
pub mod entry;
pub mod label;
pub mod live;
mod look;
pub mod meter;
pub mod metrics;
mod otlp;
pub mod prometheus;
pub mod refusals;
pub mod span;
pub mod trace;
pub mod watch;

use std::sync::{Arc, OnceLock};

use crate::listen::Stream;

use self::{
    label::Handshake,
    live::{Live, Opening, Place},
    metrics::Metrics,
    refusals::Refusals,
    span::Spans,
};

/// What can be known of a running server.
pub struct Observe {
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// Who is connected.
    pub live: Live,
    /// Since when the server serves, seconds since 1970.
    pub started_secs: OnceLock<u64>,
    /// Where spans go, once there is a collector.
    pub spans: OnceLock<Spans>,
    /// Who was refused last.
    pub refusals: Refusals,
}

impl Default for Observe {
    fn default() -> Self {
        Self::new()
    }
}

impl Observe {
    /// Nothing counted and nobody connected.
    #[must_use]
    pub fn new() -> Self {
        Self {
            metrics: Arc::new(Metrics::new()),
            live: Live::default(),
            started_secs: OnceLock::new(),
            spans: OnceLock::new(),
            refusals: Refusals::default(),
        }
    }

    /// A TLS handshake was made.
    pub fn shaken(&self, stream: &Stream) {
        let version = stream.secured().map(|secured| secured.version);
        self.metrics.handshakes.count(match version {
            Some("TLSv1.3") => Handshake::Tls13,
            _ => Handshake::Tls12,
        });
    }

    /// Takes a connection into the list of those that are open.
    #[must_use]
    pub fn enter(&self, opening: Opening<'_>) -> Place {
        self.live.enter(opening, Arc::clone(&self.metrics))
    }
}

#[cfg(test)]
pub(crate) mod tests;
