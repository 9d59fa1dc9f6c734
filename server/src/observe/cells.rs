//! Numbers that all threads count in. Each thread has its own copy (a shard) of those that are
//! counted often, so that no two processors fight over a cache line; reading adds them up.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use parking_lot::Mutex;
use store::histogram::{Histogram, Reading, Scale};

use super::label::Label;

/// Copies at most.
const SHARDS_MAX: usize = 16;
/// Cells in two cache lines: processors fetch them in pairs.
const CELLS_PER_LINE: usize = 16;

/// The copy of this thread.
fn shard() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static MINE: usize = NEXT.fetch_add(1, Relaxed));
    MINE.try_with(|mine| *mine).unwrap_or_default()
}

/// How many copies there are: a power of two.
fn shards() -> usize {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    threads.next_power_of_two().min(SHARDS_MAX)
}

/// Something that only grows, counted apart for each value of its label.
pub struct Counter<L: Label = ()> {
    cells: Box<[AtomicU64]>,
    stride: usize,
    mask: usize,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Default for Counter<L> {
    fn default() -> Self {
        let (shards, stride) = (shards(), L::COUNT.next_multiple_of(CELLS_PER_LINE));
        let cells = shards.saturating_mul(stride);
        Self {
            cells: (0..cells).map(|_| AtomicU64::new(0)).collect(),
            stride,
            mask: shards.saturating_sub(1),
            label: PhantomData,
        }
    }
}

impl<L: Label> Counter<L> {
    /// Counts one.
    pub fn count(&self, label: L) {
        self.add(label, 1);
    }

    /// Counts so many.
    pub fn add(&self, label: L, count: u64) {
        let at = (shard() & self.mask) * self.stride + label.index();
        if let Some(cell) = self.cells.get(at) {
            cell.fetch_add(count, Relaxed);
        }
    }

    /// How many were counted with the label of this index.
    #[must_use]
    pub fn at(&self, index: usize) -> u64 {
        let shards = self.cells.chunks(self.stride);
        let cells = shards.filter_map(|shard| shard.get(index));
        cells.map(|cell| cell.load(Relaxed)).sum()
    }

    /// How many were counted in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        (0..L::COUNT).map(|index| self.at(index)).sum()
    }
}

/// Something that grows and shrinks.
#[derive(Default)]
pub struct UpDown(AtomicI64);

impl UpDown {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn read(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// Something that is looked up when somebody asks; unknown until then.
pub struct Gauge(AtomicU64);

impl Default for Gauge {
    fn default() -> Self {
        Self(AtomicU64::new(f64::NAN.to_bits()))
    }
}

impl Gauge {
    /// What it is now.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Relaxed);
    }

    /// That nobody knows.
    pub fn unset(&self) {
        self.set(f64::NAN);
    }

    /// What it was last, if known.
    #[must_use]
    pub fn read(&self) -> Option<f64> {
        Some(f64::from_bits(self.0.load(Relaxed))).filter(|value| !value.is_nan())
    }
}

/// Something that only grows and is counted elsewhere: looked up when somebody asks.
#[derive(Default)]
pub struct Mirror(AtomicU64);

impl Mirror {
    /// What it is now.
    pub fn set(&self, count: u64) {
        self.0.store(count, Relaxed);
    }

    /// What it was last.
    #[must_use]
    pub fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The same for what is not counted in whole numbers.
#[derive(Default)]
pub struct MirrorReal(pub(super) Gauge);

impl MirrorReal {
    /// What it is now.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }
}

/// A histogram that is kept elsewhere.
#[derive(Default)]
pub struct MirrorHistogram(Mutex<Option<Reading>>);

impl MirrorHistogram {
    /// What it holds now.
    pub fn set(&self, reading: Reading) {
        *self.0.lock() = Some(reading);
    }

    /// What it held last, if anybody looked.
    #[must_use]
    pub fn read(&self) -> Option<Reading> {
        self.0.lock().clone()
    }
}

/// How long something took, or how much it was, apart for each value of its label.
pub struct Histograms<L: Label = ()> {
    shards: Box<[Box<[Histogram]>]>,
    scale: &'static Scale,
    mask: usize,
    label: PhantomData<fn(L)>,
}

impl<L: Label> Histograms<L> {
    /// Nothing counted.
    #[must_use]
    pub fn new(scale: &'static Scale) -> Self {
        let of_shard = |_| (0..L::COUNT).map(|_| Histogram::new(scale)).collect();
        let shards = shards();
        Self {
            shards: (0..shards).map(of_shard).collect(),
            scale,
            mask: shards.saturating_sub(1),
            label: PhantomData,
        }
    }

    /// Counts a time.
    pub fn record_time(&self, label: L, time: Duration) {
        let shard = self.shards.get(shard() & self.mask);
        if let Some(histogram) = shard.and_then(|shard| shard.get(label.index())) {
            histogram.record_time(time);
        }
    }

    /// What was counted with the label of this index.
    #[must_use]
    pub fn at(&self, index: usize) -> Reading {
        let mut all = Reading::empty(self.scale);
        for histogram in self.shards.iter().filter_map(|shard| shard.get(index)) {
            all.add(&histogram.read());
        }
        all
    }

    /// What was counted in all.
    #[must_use]
    pub fn total(&self) -> Reading {
        let mut all = Reading::empty(self.scale);
        for index in 0..L::COUNT {
            all.add(&self.at(index));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::label::{CommandLabel, Shipped},
        *,
    };

    #[test]
    fn threads_count_apart_and_are_added_up() {
        let counter = Counter::<Shipped>::default();
        let times = Histograms::<CommandLabel>::new(&store::histogram::SECONDS);
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        counter.add(Shipped::Failed, 2);
                    }
                    counter.count(Shipped::Ok);
                    times.record_time(CommandLabel::UNKNOWN, Duration::from_millis(1));
                });
            }
        });
        assert_eq!(counter.at(Shipped::Failed.index()), 80_000);
        assert_eq!(counter.total(), 80_040);
        assert_eq!(times.at(CommandLabel::UNKNOWN.index()).count(), 40);
        assert_eq!(times.total().sum, 40_000_000);
    }

    #[test]
    fn a_gauge_is_unknown_until_it_is_set() {
        let gauge = Gauge::default();
        assert_eq!(gauge.read(), None);
        gauge.set(0.5);
        assert_eq!(gauge.read(), Some(0.5));
        gauge.unset();
        assert_eq!(gauge.read(), None);
    }
}
