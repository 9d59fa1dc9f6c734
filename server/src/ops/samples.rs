//! The last hour in steps of a quarter of a minute: what the plots of the status page show. Counts
//! that only grow are looked at now and then; a sample is what lies between two looks.

use std::{collections::VecDeque, time::Duration};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

/// How often is looked.
pub(super) const EVERY: Duration = Duration::from_secs(15);
/// How many samples are kept: an hour.
const KEPT: usize = 240;
const MINUTE_SECS: f64 = 60.0;

/// What was counted until one moment.
#[derive(Clone, Debug)]
pub(super) struct Look {
    /// The moment, …
    pub(super) at: Instant,
    /// … and in seconds since 1970.
    pub(super) secs: i64,
    pub(super) commands: u64,
    pub(super) deliveries: u64,
    pub(super) refusals: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Connections that are open.
    pub(super) sessions: u64,
    /// Commands by how long they took: one bucket more than there are bounds.
    pub(super) took: Vec<u64>,
    /// The buckets' upper bounds, nanoseconds.
    pub(super) bounds: &'static [u64],
}

/// What lies between two looks.
#[derive(Clone, Serialize, PartialEq, Debug)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sample {
    /// When it ended, seconds since 1970.
    secs: i64,
    /// A minute.
    commands: f64,
    /// A minute.
    deliveries: f64,
    /// A minute.
    refusals: f64,
    /// A second.
    bytes_in: f64,
    /// A second.
    bytes_out: f64,
    sessions: u64,
    /// Half of the commands took no longer, milliseconds; none if there was none.
    p50_ms: Option<f64>,
    p95_ms: Option<f64>,
    p99_ms: Option<f64>,
}

/// The samples.
#[derive(Default)]
pub(super) struct Samples(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: Option<Look>,
    samples: VecDeque<Sample>,
}

impl Samples {
    /// Takes what was counted until now.
    pub(super) fn take(&self, look: Look) {
        let mut kept = self.0.lock();
        if let Some(last) = &kept.last {
            let sample = Sample::between(last, &look);
            kept.samples.extend(sample);
            while kept.samples.len() > KEPT {
                kept.samples.pop_front();
            }
        }
        kept.last = Some(look);
    }

    /// All of them, the oldest first.
    pub(super) fn all(&self) -> Vec<Sample> {
        self.0.lock().samples.iter().cloned().collect()
    }
}

impl Sample {
    fn between(last: &Look, look: &Look) -> Option<Self> {
        let secs = look.at.saturating_duration_since(last.at).as_secs_f64();
        let rate = |before: u64, after: u64| {
            // Counts of an hour are far below what a float holds exactly.
            let grown = after.saturating_sub(before) as f64;
            rounded(grown / secs)
        };
        let took = last.took.iter().zip(&look.took);
        let took: Vec<u64> = took
            .map(|(before, after)| after.saturating_sub(*before))
            .collect();
        let took = |share: f64| percentile(&took, look.bounds, share);
        (secs > 0.0).then(|| Self {
            secs: look.secs,
            commands: rounded(rate(last.commands, look.commands) * MINUTE_SECS),
            deliveries: rounded(rate(last.deliveries, look.deliveries) * MINUTE_SECS),
            refusals: rounded(rate(last.refusals, look.refusals) * MINUTE_SECS),
            bytes_in: rate(last.bytes_in, look.bytes_in),
            bytes_out: rate(last.bytes_out, look.bytes_out),
            sessions: look.sessions,
            p50_ms: took(0.50),
            p95_ms: took(0.95),
            p99_ms: took(0.99),
        })
    }
}

/// Three digits after the point are enough for a plot.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The time that this share of all did not exceed, milliseconds: within its bucket, where it would
/// be if all in it lay evenly. Beyond the last bound it is that bound.
fn percentile(buckets: &[u64], bounds: &[u64], share: f64) -> Option<f64> {
    let all: u64 = buckets.iter().sum();
    let wanted = all as f64 * share;
    let (mut below, mut lower) = (0.0, 0);
    for (index, count) in buckets.iter().enumerate() {
        let count = *count as f64;
        let upper = bounds.get(index).copied().unwrap_or(lower);
        if count > 0.0 && below + count >= wanted {
            let part = (wanted - below) / count;
            let nanos = lower as f64 + part * (upper - lower) as f64;
            return Some(rounded(nanos / 1e6));
        }
        (below, lower) = (below + count, upper);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[u64] = &[1_000_000, 10_000_000, 100_000_000];

    #[test]
    fn percentiles_lie_within_their_bucket() {
        for (buckets, share, expected) in [
            ([0, 0, 0, 0], 0.5, None),
            ([100, 0, 0, 0], 0.5, Some(0.5)),
            ([0, 100, 0, 0], 0.5, Some(5.5)),
            ([50, 50, 0, 0], 0.5, Some(1.0)),
            ([90, 0, 10, 0], 0.95, Some(55.0)),
            ([0, 0, 0, 3], 0.99, Some(100.0)),
        ] {
            assert_eq!(percentile(&buckets, BOUNDS, share), expected, "{buckets:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_is_what_lies_between_two_looks() {
        let samples = Samples::default();
        let look = |secs: u64| Look {
            at: Instant::now() + Duration::from_secs(secs),
            secs: 1_000 + i64::try_from(secs).unwrap(),
            commands: 7 + secs * 2,
            deliveries: secs / 15,
            refusals: 0,
            bytes_in: secs * 100,
            bytes_out: secs * 1_000,
            sessions: secs,
            took: vec![secs * 2, 0, 0, 0],
            bounds: BOUNDS,
        };
        samples.take(look(0));
        assert!(samples.all().is_empty());
        samples.take(look(15));
        let expected = Sample {
            secs: 1_015,
            commands: 120.0,
            deliveries: 4.02,
            refusals: 0.0,
            bytes_in: 100.0,
            bytes_out: 1_000.0,
            sessions: 15,
            p50_ms: Some(0.5),
            p95_ms: Some(0.95),
            p99_ms: Some(0.99),
        };
        assert_eq!(samples.all(), [expected]);
        for step in 2..300 {
            samples.take(look(15 * step));
        }
        let all = samples.all();
        assert_eq!((all.len(), all[0].secs), (240, 1_000 + 15 * 60));
    }
}
