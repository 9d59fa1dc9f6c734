//! Histograms that many threads may count in: how often a value fell between two bounds, and the
//! sum of all. What they mean to a monitoring system is the server's business.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Upper bounds, each belonging to its bucket; above the last there is one bucket more.
#[derive(Debug)]
pub struct Scale {
    /// In the unit in which values are counted.
    pub bounds: &'static [u64],
    /// How many of those make one of the unit in which it is told.
    pub per_unit: u32,
}

/// Times: counted in nanoseconds, told in seconds; from 10 µs to 30 s.
pub static SECONDS: Scale = Scale {
    bounds: &[
        10_000,
        25_000,
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        500_000_000,
        1_000_000_000,
        2_500_000_000,
        5_000_000_000,
        10_000_000_000,
        30_000_000_000,
    ],
    per_unit: 1_000_000_000,
};

/// Numbers of things, from 1 to 1,024.
pub static COUNTS: Scale = Scale {
    bounds: &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024],
    per_unit: 1,
};

/// A histogram.
#[derive(Debug)]
pub struct Histogram {
    scale: &'static Scale,
    buckets: Box<[AtomicU64]>,
    sum: AtomicU64,
}

/// What a histogram held at one moment.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its bounds.
    pub scale: &'static Scale,
    /// How many values fell into each bucket; one more than there are bounds.
    pub buckets: Vec<u64>,
    /// The sum of all values.
    pub sum: u64,
}

impl Histogram {
    /// An empty one.
    #[must_use]
    pub fn new(scale: &'static Scale) -> Self {
        let buckets = scale.bounds.iter().map(|_| AtomicU64::new(0));
        Self {
            scale,
            buckets: buckets.chain([AtomicU64::new(0)]).collect(),
            sum: AtomicU64::new(0),
        }
    }

    /// Counts a value.
    pub fn record(&self, value: u64) {
        let at = self.scale.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Relaxed);
            self.sum.fetch_add(value, Relaxed);
        }
    }

    /// Counts a time.
    pub fn record_time(&self, time: std::time::Duration) {
        self.record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What it holds now.
    #[must_use]
    pub fn read(&self) -> Reading {
        Reading {
            scale: self.scale,
            buckets: self.buckets.iter().map(|it| it.load(Relaxed)).collect(),
            sum: self.sum.load(Relaxed),
        }
    }
}

impl Reading {
    /// Nothing counted.
    #[must_use]
    pub fn empty(scale: &'static Scale) -> Self {
        Self {
            scale,
            buckets: vec![0; scale.bounds.len().saturating_add(1)],
            sum: 0,
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The sum in the unit in which it is told.
    #[must_use]
    pub fn sum_in_units(&self) -> f64 {
        self.sum as f64 / f64::from(self.scale.per_unit)
    }

    /// The bounds in that unit.
    pub fn bounds_in_units(&self) -> impl Iterator<Item = f64> {
        let per_unit = f64::from(self.scale.per_unit);
        self.scale
            .bounds
            .iter()
            .map(move |bound| *bound as f64 / per_unit)
    }

    /// Adds what another one of the same scale counted.
    pub fn add(&mut self, other: &Self) {
        for (mine, its) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine = mine.saturating_add(*its);
        }
        self.sum = self.sum.wrapping_add(other.sum);
    }

    /// What was counted since an earlier reading of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let buckets = self.buckets.iter().zip(&earlier.buckets);
        Self {
            scale: self.scale,
            buckets: buckets
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum: self.sum.wrapping_sub(earlier.sum),
        }
    }

    /// The bound below which this share of the values lies, in the unit in which it is told;
    /// `None` without values. Values above the last bound are told as that.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (self.count() as f64 * share).ceil().max(1.0) as u64;
        let mut seen = 0u64;
        let at = self.buckets.iter().position(|count| {
            seen = seen.saturating_add(*count);
            seen >= wanted
        })?;
        self.bounds_in_units().take(at.saturating_add(1)).last()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_fall_below_their_bounds() {
        let histogram = Histogram::new(&COUNTS);
        for value in [0, 1, 2, 3, 1_024, 1_025] {
            histogram.record(value);
        }
        let reading = histogram.read();
        assert_eq!(
            reading.buckets,
            [2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1],
            "a bound belongs to its bucket"
        );
        assert_eq!((reading.count(), reading.sum), (6, 2_055));
    }

    #[test]
    fn shares_and_differences() {
        let histogram = Histogram::new(&SECONDS);
        let empty = histogram.read();
        assert_eq!(empty.quantile(0.5), None);
        for _ in 0..99 {
            histogram.record_time(std::time::Duration::from_micros(20));
        }
        let most = histogram.read();
        histogram.record_time(std::time::Duration::from_secs(90));
        let all = histogram.read();
        assert_eq!(all.quantile(0.5), Some(0.000_025));
        assert_eq!(all.quantile(0.99), Some(0.000_025));
        assert_eq!(all.quantile(1.0), Some(30.0));
        assert_eq!(all.since(&most).count(), 1);
        let mut twice = most.clone();
        twice.add(&most);
        assert_eq!(twice.count(), 198);
    }
}
