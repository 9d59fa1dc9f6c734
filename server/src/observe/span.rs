//! Traces: a span for each command and, within it, one for each login. They are made only while
//! there is a collector; what it does not take in time is dropped and counted.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc::{self, Permit},
    time::Instant,
};

use super::metrics::Metrics;
use crate::auth::random;

/// Spans that wait to be sent.
const WAITING_MAX: usize = 8_192;
const HUNDRED: u16 = 100;

/// Something that took time.
#[derive(Debug)]
pub struct Span {
    /// What it was.
    pub name: String,
    /// Which trace and which of its spans.
    pub ids: Ids,
    /// Within which span of the trace.
    pub parent: Option<[u8; 8]>,
    /// When it began, nanoseconds since 1970, …
    pub start_nanos: u64,
    /// … and ended.
    pub end_nanos: u64,
    /// What is known of it.
    pub attributes: Vec<(&'static str, Attribute)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The numbers of a span, by chance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids {
    /// Of the trace.
    pub trace: [u8; 16],
    /// Of the span.
    pub span: [u8; 8],
}

impl Ids {
    /// Those of a span within this one.
    #[must_use]
    pub fn child(self) -> Option<Self> {
        Some(Self {
            span: chance()?,
            ..self
        })
    }
}

/// Something known of a span.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// In words.
    Text(String),
    /// Yes or no.
    Flag(bool),
}

/// Where spans go.
pub struct Spans {
    sender: mpsc::Sender<Span>,
    metrics: Arc<Metrics>,
    percent: u16,
}

fn chance<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    // Without randomness there are no traces.
    random(&mut bytes).ok().map(|()| bytes)
}

impl Spans {
    /// Where they go, and whence they are taken. Of a hundred traces `percent` are made.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, percent: u16) -> (Self, mpsc::Receiver<Span>) {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let spans = Self {
            sender,
            metrics,
            percent,
        };
        (spans, receiver)
    }

    /// The numbers of a new trace and its first span; `None` for one that is not to be made.
    #[must_use]
    pub fn begin(&self) -> Option<Ids> {
        if self.percent == 0 {
            return None;
        }
        let trace: [u8; 16] = chance()?;
        let drawn = u16::from_be_bytes([trace[14], trace[15]]) % HUNDRED;
        let span = (drawn < self.percent).then(chance)??;
        Some(Ids { trace, span })
    }

    /// Room for a span, asked for before it is made; without it the span is dropped. Nobody waits
    /// for a collector.
    #[must_use]
    pub fn room(&self) -> Option<Permit<'_, Span>> {
        let room = self.sender.try_reserve();
        room.inspect_err(|_| self.metrics.spans_dropped.count(()))
            .ok()
    }
}

/// When something began that took so long and ends now.
#[must_use]
pub fn began(now_nanos: u64, begun: Instant) -> u64 {
    let took: Duration = begun.elapsed();
    now_nanos.saturating_sub(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_of_a_hundred_are_traced_and_what_waits_is_bounded() {
        let metrics = Arc::new(Metrics::new());
        let (none, _receiver) = Spans::new(Arc::clone(&metrics), 0);
        assert_eq!(none.begin(), None);
        let (all, mut receiver) = Spans::new(Arc::clone(&metrics), 100);
        let ids = all.begin().unwrap();
        let child = ids.child().unwrap();
        assert!(child.trace == ids.trace && child.span != ids.span);
        let span = || Span {
            name: "x".into(),
            ids,
            parent: None,
            start_nanos: 1,
            end_nanos: 2,
            attributes: Vec::new(),
            error: None,
        };
        let mut made = 0;
        for _ in 0..WAITING_MAX + 3 {
            if let Some(room) = all.room() {
                room.send(span());
                made += 1;
            }
        }
        assert_eq!(made, WAITING_MAX);
        assert_eq!(metrics.spans_dropped.total(), 3);
        assert!(receiver.try_recv().is_ok());
    }
}
