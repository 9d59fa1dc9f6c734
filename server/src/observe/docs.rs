//! The reference of metrics, made from their table.

use std::fmt::Write as _;

use super::{
    metrics::{Kind, TABLE},
    prometheus,
};

const INTRODUCTION: &str = "\
# Metrics

<!-- Generated from the table in server/src/observe/metrics.rs: do not edit. -->

Prometheus reads these metrics at `/metrics` of `HealthCheck:Url`; with `Otel:Endpoint` the server also sends them,
and traces, to an OpenTelemetry collector by OTLP. They are the same numbers, under the names of either world. The meter and the tracer are `Relate.Imap`, the service is `relate-mail-imap`.

What counts begins at 0 with each start. Labels are words of this program: nothing a client sends becomes one.
A dashboard for Grafana and alert rules for Prometheus are in `deploy/grafana` and `deploy/prometheus`.

| OpenTelemetry | Prometheus | Kind | Unit | Labels | Meaning |
|---|---|---|---|---|---|
";

const TRACES: &str = "
## Traces

A span for each command, `imap.command.<name>` (`imap.command.uid_fetch`), with `imap.session_id`, `imap.command` and
`imap.state`; its status is an error if the answer was NO or BAD. Within that of LOGIN and AUTHENTICATE a span
`imap.auth` with `imap.auth.user`, `imap.auth.cache_hit`, `imap.auth.success`, `imap.auth.rate_limited`,
`imap.auth.failure_reason` and `imap.auth.key_name` (the app password's name). There is none for what IDLE waits,
nor for the single messages of a command. `Otel:TracePercent` thins them out; without a collector none are made.
";

/// `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for row in TABLE {
        let kind = match row.kind {
            Kind::Counter => "counter",
            Kind::UpDown => "up-down",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = row.labels.iter().map(|it| format!("`{it}`")).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| `{}` | `{}` | {kind} | {} | {} | {} |",
            row.name,
            prometheus::name(row),
            row.unit,
            labels.join(", "),
            row.about.trim()
        );
    }
    text.push_str(TRACES);
    text
}
