//! What can be known of a running server: counts and times ([`metrics`]), who is connected and what
//! each does ([`live`]), and how both leave the process.
//!
//! Counting is cheap: a command costs a few additions to atomic numbers that no two threads share,
//! and no lock. Everything else is done by whoever looks.

pub mod cells;
pub mod entry;
pub mod label;
pub mod live;
pub mod meter;
pub mod metrics;
pub mod trace;

use std::sync::Arc;

use self::{
    live::{Live, Opening, Place},
    metrics::Metrics,
};

/// What can be known of a running server.
pub struct Observe {
    /// Counts and times.
    pub metrics: Arc<Metrics>,
    /// Who is connected.
    pub live: Live,
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
        }
    }

    /// Takes a connection into the list of those that are open.
    #[must_use]
    pub fn enter(&self, opening: Opening<'_>) -> Place {
        self.live.enter(opening, Arc::clone(&self.metrics))
    }
}
