//! Metrics and spans as OpenTelemetry's protocol has them (OTLP 1.x).

use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
        ResourceMetrics, ScopeMetrics, Sum, metric::Data, number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as OtlpSpan, Status, span::SpanKind, status::StatusCode,
    },
};
use store::histogram::Reading;

use super::{
    metrics::{Family, Kind, Row, Value},
    span::{Attribute, Span},
};

/// What telemetry calls this program, …
const SERVICE: &str = "relate-mail-imap";
/// … and its meter and tracer.
const SCOPE: &str = "Relate.Imap";

/// Between which times something was counted, nanoseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) start_nanos: u64,
    pub(super) now_nanos: u64,
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    pair(key, any_value::Value::StringValue(value.into()))
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// Who it is: the program on this machine, this time.
fn resource(instance: &str) -> Option<Resource> {
    Some(Resource {
        attributes: vec![
            text("service.name", SERVICE),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", instance),
        ],
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    })
}

/// Every metric, as a message.
pub(super) fn metrics(
    families: Vec<Family>,
    times: Times,
    instance: &str,
) -> ExportMetricsServiceRequest {
    let metrics = families
        .into_iter()
        .filter(|family| !family.points.is_empty());
    let scope_metrics = ScopeMetrics {
        scope: scope(),
        metrics: metrics.map(|family| metric(family, times)).collect(),
        ..ScopeMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(instance),
            scope_metrics: vec![scope_metrics],
            ..ResourceMetrics::default()
        }],
    }
}

fn metric(family: Family, times: Times) -> Metric {
    let row = family.row;
    let (mut numbers, mut spreads) = (Vec::new(), Vec::new());
    for point in family.points {
        let attributes = attributes(row, &point.labels);
        match point.value {
            Value::Whole(it) => numbers.push((attributes, number_data_point::Value::AsInt(it))),
            Value::Real(it) => numbers.push((attributes, number_data_point::Value::AsDouble(it))),
            Value::Spread(reading) => spreads.push(spread(attributes, &reading, times)),
        }
    }
    let data_points = numbers
        .into_iter()
        .map(|(attributes, value)| NumberDataPoint {
            attributes,
            value: Some(value),
            start_time_unix_nano: times.start_nanos,
            time_unix_nano: times.now_nanos,
            ..NumberDataPoint::default()
        });
    let cumulative = AggregationTemporality::Cumulative.into();
    let sum = |is_monotonic, data_points| {
        Data::Sum(Sum {
            data_points,
            aggregation_temporality: cumulative,
            is_monotonic,
        })
    };
    let data = match row.kind {
        Kind::Counter => sum(true, data_points.collect()),
        Kind::UpDown => sum(false, data_points.collect()),
        Kind::Gauge => Data::Gauge(Gauge {
            data_points: data_points.collect(),
        }),
        Kind::Histogram => Data::Histogram(Histogram {
            data_points: spreads,
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: row.name.to_owned(),
        description: row.about.trim().to_owned(),
        unit: row.unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn attributes(row: &Row, values: &[&'static str]) -> Vec<KeyValue> {
    let pairs = row.labels.iter().zip(values);
    pairs.map(|(name, value)| text(name, *value)).collect()
}

fn spread(attributes: Vec<KeyValue>, reading: &Reading, times: Times) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes,
        start_time_unix_nano: times.start_nanos,
        time_unix_nano: times.now_nanos,
        count: reading.count(),
        sum: Some(reading.sum_in_units()),
        bucket_counts: reading.buckets.clone(),
        explicit_bounds: reading.bounds_in_units().collect(),
        ..HistogramDataPoint::default()
    }
}

/// Spans, as a message.
pub(super) fn spans(spans: Vec<Span>, instance: &str) -> ExportTraceServiceRequest {
    let scope_spans = ScopeSpans {
        scope: scope(),
        spans: spans.into_iter().map(span).collect(),
        ..ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: resource(instance),
            scope_spans: vec![scope_spans],
            ..ResourceSpans::default()
        }],
    }
}

fn span(span: Span) -> OtlpSpan {
    let attributes = span.attributes.into_iter().map(|(key, value)| match value {
        Attribute::Text(value) => text(key, value),
        Attribute::Flag(value) => pair(key, any_value::Value::BoolValue(value)),
    });
    let kind = match span.parent {
        Some(_) => SpanKind::Internal,
        None => SpanKind::Server,
    };
    let status = span.error.map(|message| Status {
        message,
        code: StatusCode::Error.into(),
    });
    OtlpSpan {
        trace_id: span.ids.trace.to_vec(),
        span_id: span.ids.span.to_vec(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: span.start_nanos,
        end_time_unix_nano: span.end_nanos,
        attributes: attributes.collect(),
        status,
        ..OtlpSpan::default()
    }
}
