//! The one table of metrics: name, kind, unit, labels and what each means. From it come the
//! counters themselves, what leaves the process, and `docs/metrics.md`; a metric exists nowhere
//! else. Names are OpenTelemetry's way; Prometheus is given them its own way (`prometheus.rs`).

use store::histogram::{COUNTS, Reading, SECONDS};

use super::{
    cells::{Counter, Gauge, Histograms, Mirror, MirrorHistogram, MirrorReal, UpDown},
    label::{Answer, CommandLabel, Delivered, Handshake, Label, Shipped, Spoken},
};
use crate::refused::Reason;

/// What is said of a metric.
#[derive(Debug)]
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What kind of number it is.
    pub kind: Kind,
    /// Its unit by the Unified Code for Units of Measure, things in braces.
    pub unit: &'static str,
    /// By what it is told apart.
    pub labels: &'static [&'static str],
    /// What it means.
    pub about: &'static str,
}

/// Kinds of metrics.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Grows and shrinks by ones.
    UpDown,
    /// Is looked up.
    Gauge,
    /// How often a value lay between two bounds.
    Histogram,
}

/// A metric and what it is now.
pub struct Family {
    /// The metric.
    pub row: &'static Row,
    /// What it is for each value of its labels.
    pub points: Vec<Point>,
}

/// What a metric is for one value of its labels.
pub struct Point {
    /// The labels' values, in the order of their names.
    pub labels: Vec<&'static str>,
    /// The number.
    pub value: Value,
}

/// A number.
pub enum Value {
    /// Of a counter or of what goes up and down: whole.
    Whole(i64),
    /// Of a gauge.
    Real(f64),
    /// Of a histogram.
    Spread(Reading),
}

/// A cell or cells that belong to a row of the table.
trait Instrument {
    const KIND: Kind;
    const LABELS: &'static [&'static str];
    fn new(unit: &str) -> Self;
    fn points(&self) -> Vec<Point>;
}

fn point<L: Label>(index: usize, value: Value) -> Point {
    let labels = L::values(index);
    Point { labels, value }
}

/// A count as it is told.
fn whole(count: u64) -> Value {
    Value::Whole(i64::try_from(count).unwrap_or(i64::MAX))
}

impl<L: Label> Instrument for Counter<L> {
    const KIND: Kind = Kind::Counter;
    const LABELS: &'static [&'static str] = L::NAMES;

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        let all = 0..L::COUNT;
        all.map(|index| point::<L>(index, whole(self.at(index))))
            .collect()
    }
}

impl Instrument for UpDown {
    const KIND: Kind = Kind::UpDown;
    const LABELS: &'static [&'static str] = &[];

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        vec![point::<()>(0, Value::Whole(self.read()))]
    }
}

impl Instrument for Gauge {
    const KIND: Kind = Kind::Gauge;
    const LABELS: &'static [&'static str] = &[];

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        let value = self.read().map(Value::Real);
        value
            .map(|value| point::<()>(0, value))
            .into_iter()
            .collect()
    }
}

impl Instrument for Mirror {
    const KIND: Kind = Kind::Counter;
    const LABELS: &'static [&'static str] = &[];

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        vec![point::<()>(0, whole(self.read()))]
    }
}

impl Instrument for MirrorReal {
    const KIND: Kind = Kind::Counter;
    const LABELS: &'static [&'static str] = &[];

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        self.0.points()
    }
}

impl Instrument for MirrorHistogram {
    const KIND: Kind = Kind::Histogram;
    const LABELS: &'static [&'static str] = &[];

    fn new(_: &str) -> Self {
        Self::default()
    }

    fn points(&self) -> Vec<Point> {
        let value = self.read().map(Value::Spread);
        value
            .map(|value| point::<()>(0, value))
            .into_iter()
            .collect()
    }
}

impl<L: Label> Instrument for Histograms<L> {
    const KIND: Kind = Kind::Histogram;
    const LABELS: &'static [&'static str] = L::NAMES;

    fn new(unit: &str) -> Self {
        Self::new(if unit == "s" { &SECONDS } else { &COUNTS })
    }

    /// Those only that were counted: each is two dozen lines.
    fn points(&self) -> Vec<Point> {
        let all = (0..L::COUNT).map(|index| (index, self.at(index)));
        all.filter(|(_, reading)| L::COUNT == 1 || reading.count() > 0)
            .map(|(index, reading)| point::<L>(index, Value::Spread(reading)))
            .collect()
    }
}

macro_rules! metrics {
    ($($(#[doc = $about:literal])+ $field:ident: $kind:ty = $name:literal, $unit:literal;)+) => {
        /// Every metric.
        pub struct Metrics { $($(#[doc = $about])+ pub $field: $kind),+ }

        /// What is said of each, in the order of the documentation.
        pub const TABLE: &[Row] = &[$(Row {
            name: $name,
            kind: <$kind as Instrument>::KIND,
            unit: $unit,
            labels: <$kind as Instrument>::LABELS,
            about: concat!($($about),+),
        }),+];

        impl Metrics {
            /// Nothing counted.
            #[must_use]
            pub fn new() -> Self {
                Self { $($field: <$kind as Instrument>::new($unit)),+ }
            }

            /// What each is now, in the order of the table.
            #[must_use]
            pub fn read(&self) -> Vec<Family> {
                let points = [$(self.$field.points()),+];
                TABLE.iter().zip(points).map(|(row, points)| Family { row, points }).collect()
            }
        }
    };
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

metrics! {
    /// IMAP sessions that are open; not those by which the server looks at itself.
    sessions_active: UpDown = "imap.sessions.active", "{session}";
    /// IMAP sessions that wait in IDLE.
    sessions_idle: UpDown = "imap.sessions.idle", "{session}";
    /// Commands that came, by name; `unknown` for what is none or cannot be read.
    commands: Counter<CommandLabel> = "imap.commands", "{command}";
    /// Tagged answers, by status.
    answers: Counter<Answer> = "imap.answers", "{answer}";
    /// From a command's last byte to its tagged answer. APPEND and AUTHENTICATE last as long as the client sends; IDLE is not counted.
    command_duration: Histograms<CommandLabel> = "imap.command.duration", "s";
    /// Proofs of who somebody is that were looked at, right or wrong.
    auth_attempts: Counter = "imap.auth.attempts", "{attempt}";
    /// Proofs that did not lead to a session.
    auth_failures: Counter = "imap.auth.failures", "{attempt}";
    /// Logins that were right a moment ago and cost no hash.
    auth_cache_hits: Counter = "imap.auth.cache_hits", "{attempt}";
    /// How long it took to look at a proof; what is wrong is told later each time, and that counts.
    auth_duration: Histograms = "imap.auth.duration", "s";
    /// Messages of which BODY, RFC822 or BINARY content was sent, once for each FETCH; a header alone is none.
    messages_retrieved: Counter = "imap.messages.retrieved", "{message}";
    /// Bytes sent to IMAP clients, before TLS.
    bytes_sent: Counter = "imap.bytes.sent", "By";
    /// Bytes received from IMAP clients, after TLS.
    bytes_received: Counter = "imap.bytes.received", "By";
    /// LMTP sessions that are open.
    lmtp_sessions: UpDown = "lmtp.sessions.active", "{session}";
    /// What became of messages, for each recipient.
    deliveries: Counter<Delivered> = "lmtp.deliveries", "{delivery}";
    /// From the end of a message to the answers for its recipients.
    delivery_duration: Histograms = "lmtp.delivery.duration", "s";
    /// Bytes received over LMTP.
    lmtp_bytes: Counter = "lmtp.bytes.received", "By";
    /// Connections that were accepted, by what is spoken there.
    connections: Counter<Spoken> = "server.connections", "{connection}";
    /// Peers that were not served, or slowed down, by reason as in the log.
    refusals: Counter<Reason> = "server.refusals", "{refusal}";
    /// TLS handshakes, by result and version.
    handshakes: Counter<Handshake> = "tls.handshakes", "{handshake}";
    /// When the certificate that ends first ends, seconds since 1970.
    certificate_expiry: Gauge = "tls.certificate.expiry", "s";
    /// Sessions that ended by a fault in the program.
    panics: Mirror = "server.panics", "{panic}";
    /// Since when the server serves, seconds since 1970.
    started: Gauge = "server.start_time", "s";
    /// Memory of connections that have not logged in.
    pre_login_bytes: Gauge = "server.pre_login.bytes", "By";
    /// Transactions of the store that became durable.
    commits: Mirror = "store.commits", "{transaction}";
    /// One write and sync of the store's log: what a change waits for at least.
    commit_duration: MirrorHistogram = "store.commit.duration", "s";
    /// Transactions that one sync made durable.
    commit_batch: MirrorHistogram = "store.commit.transactions", "{transaction}";
    /// Writes or syncs of the log that failed.
    commit_failures: Mirror = "store.commit.failures", "{failure}";
    /// Transactions and pieces of messages that wait to be written.
    queue_items: Gauge = "store.queue.items", "{item}";
    /// Their bytes.
    queue_bytes: Gauge = "store.queue.bytes", "By";
    /// Frames of the log that are durable and not in the index yet.
    index_lag: Gauge = "store.index.lag", "{frame}";
    /// Accounts whose index is still to be made again.
    index_rebuild: Gauge = "store.index.rebuild.accounts", "{account}";
    /// 1 while the store takes changes, 0 after a failure that keeps it from that.
    store_writable: Gauge = "store.writable", "1";
    /// Bytes of messages that somebody has.
    bodies_live: Gauge = "store.bodies.live", "By";
    /// Bytes of deleted messages within the undelete window.
    bodies_waiting: Gauge = "store.bodies.waiting", "By";
    /// Bytes that compaction can give back.
    bodies_dead: Gauge = "store.bodies.dead", "By";
    /// Accounts in the store.
    accounts: Gauge = "store.accounts", "{account}";
    /// Free space where the store is.
    disk_free: Gauge = "store.disk.free", "By";
    /// Memory that the process holds.
    memory: Gauge = "process.memory.usage", "By";
    /// Processor time that the process used.
    cpu: MirrorReal = "process.cpu.time", "s";
    /// Files and sockets that the process has open.
    open_files: Gauge = "process.open_files", "{file}";
    /// Messages of telemetry to the collector, by result.
    exports: Counter<Shipped> = "telemetry.exports", "{export}";
    /// Spans that were dropped because the collector did not keep up.
    spans_dropped: Counter = "telemetry.spans.dropped", "{span}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_distinct_and_units_known() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.name).collect();
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        for row in TABLE {
            let is_thing = row.unit.starts_with('{') && row.unit.ends_with('}');
            assert!(
                is_thing || ["s", "By", "1"].contains(&row.unit),
                "{}",
                row.name
            );
            assert!(row.about.trim().ends_with('.'), "{}", row.name);
        }
    }

    #[test]
    fn what_is_counted_is_read() {
        let metrics = Metrics::new();
        metrics.commands.count(CommandLabel::UNKNOWN);
        let families = metrics.read();
        let commands = families
            .iter()
            .find(|family| family.row.name == "imap.commands");
        let points = &commands.unwrap().points;
        assert_eq!(points.len(), CommandLabel::COUNT);
        let counted = points
            .iter()
            .find(|point| point.labels == ["unknown"])
            .unwrap();
        assert!(matches!(counted.value, Value::Whole(1)));
        let lag = families
            .iter()
            .find(|family| family.row.name == "store.index.lag");
        assert!(lag.unwrap().points.is_empty(), "nobody looked yet");
    }
}
