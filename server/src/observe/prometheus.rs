//! The metrics as Prometheus reads them: its text format, version 0.0.4. Names follow the rules by
//! which OpenTelemetry's are turned into Prometheus's, so that dashboards fit whichever way the
//! numbers came: `imap.commands` is `imap_commands_total`.

use std::fmt::Write as _;

use store::histogram::Reading;

use super::{
    look::look,
    metrics::{Family, Kind, Point, Row, Value},
};
use crate::service::Service;

/// The type of the text, for `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Every metric as it is now.
#[must_use]
pub async fn text(service: &Service) -> String {
    look(service).await;
    let mut out = String::with_capacity(64 * 1024);
    for family in service.observe.metrics.read() {
        // Writing to a String does not fail.
        let _ = write_family(&mut out, &family);
    }
    out
}

/// What Prometheus calls a metric.
#[must_use]
pub fn name(row: &Row) -> String {
    let mut name = row.name.replace('.', "_");
    let unit = match row.unit {
        "s" => Some("seconds"),
        "By" => Some("bytes"),
        _ => None,
    };
    if let Some(unit) = unit.filter(|unit| !name.split('_').any(|word| word == *unit)) {
        name.push('_');
        name.push_str(unit);
    }
    if row.kind == Kind::Counter {
        name.push_str("_total");
    }
    name
}

fn write_family(out: &mut String, family: &Family) -> std::fmt::Result {
    if family.points.is_empty() {
        return Ok(());
    }
    let (name, row) = (name(family.row), family.row);
    let kind = match row.kind {
        Kind::Counter => "counter",
        Kind::UpDown | Kind::Gauge => "gauge",
        Kind::Histogram => "histogram",
    };
    writeln!(out, "# HELP {name} {}", row.about.trim())?;
    writeln!(out, "# TYPE {name} {kind}")?;
    for point in &family.points {
        match &point.value {
            Value::Whole(number) => writeln!(out, "{name}{} {number}", labels(row, point, None))?,
            Value::Real(number) => writeln!(out, "{name}{} {number}", labels(row, point, None))?,
            Value::Spread(reading) => write_spread(out, (&name, row), point, reading)?,
        }
    }
    Ok(())
}

fn write_spread(
    out: &mut String,
    (name, row): (&str, &Row),
    point: &Point,
    reading: &Reading,
) -> std::fmt::Result {
    let mut below = 0u64;
    let bounds = reading.bounds_in_units().map(|bound| bound.to_string());
    let bounds = bounds.chain(["+Inf".to_owned()]);
    for (bound, count) in bounds.zip(&reading.buckets) {
        below = below.saturating_add(*count);
        writeln!(
            out,
            "{name}_bucket{} {below}",
            labels(row, point, Some(&bound))
        )?;
    }
    let plain = labels(row, point, None);
    writeln!(out, "{name}_sum{plain} {}", reading.sum_in_units())?;
    writeln!(out, "{name}_count{plain} {below}")
}

/// The labels in braces; their values are of this program and need no escapes.
fn labels(row: &Row, point: &Point, bound: Option<&str>) -> String {
    let own = row.labels.iter().copied().zip(point.labels.iter().copied());
    let all = own.chain(bound.map(|bound| ("le", bound)));
    let words: Vec<_> = all
        .map(|(name, value)| format!("{name}=\"{value}\""))
        .collect();
    match words.is_empty() {
        true => String::new(),
        false => format!("{{{}}}", words.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::metrics::{Metrics, TABLE},
        *,
    };

    #[test]
    fn names_are_those_of_the_rules() {
        let named = |wanted: &str| {
            let row = TABLE.iter().find(|row| row.name == wanted);
            name(row.unwrap())
        };
        assert_eq!(named("imap.commands"), "imap_commands_total");
        assert_eq!(named("imap.bytes.sent"), "imap_bytes_sent_total");
        assert_eq!(named("imap.sessions.active"), "imap_sessions_active");
        assert_eq!(
            named("imap.command.duration"),
            "imap_command_duration_seconds"
        );
        assert_eq!(named("process.memory.usage"), "process_memory_usage_bytes");
    }

    #[test]
    fn a_histogram_is_written_with_its_sum() {
        let metrics = Metrics::new();
        let took = std::time::Duration::from_micros(300);
        metrics.delivery_duration.record_time((), took);
        let families = metrics.read();
        let family = families
            .iter()
            .find(|it| it.row.name == "lmtp.delivery.duration");
        let mut out = String::new();
        write_family(&mut out, family.unwrap()).unwrap();
        for line in [
            "# TYPE lmtp_delivery_duration_seconds histogram",
            "lmtp_delivery_duration_seconds_bucket{le=\"0.00025\"} 0",
            "lmtp_delivery_duration_seconds_bucket{le=\"0.0005\"} 1",
            "lmtp_delivery_duration_seconds_bucket{le=\"+Inf\"} 1",
            "lmtp_delivery_duration_seconds_sum 0.0003",
            "lmtp_delivery_duration_seconds_count 1",
        ] {
            assert!(out.lines().any(|written| written == line), "{line}\n{out}");
        }
    }
}
