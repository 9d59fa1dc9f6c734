//! Sends telemetry to a collector: metrics every `Otel:ExportInterval`, spans as they come. A
//! collector that is not there costs one line in the log, and one when it is back; nobody waits for
//! it, it is asked less and less often, and what it does not take is lost, but for metrics, which
//! count on.

use std::{sync::Arc, time::Duration};

use prost::Message as _;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, timeout},
};

use super::{
    label::Shipped,
    look::look,
    otlp::{self, Times},
    span::{Span, Spans},
};
use crate::{
    config::{CollectorUrl, OtlpProtocol},
    service::Service,
};

use self::{
    backoff::Backoff,
    link::{Link, Signal},
};

mod backoff;
mod link;

/// Spans sent at once.
const SPANS_AT_ONCE: usize = 1_024;
/// How long a span waits for others.
const SPANS_WAIT: Duration = Duration::from_secs(2);
/// How long a collector may take for a message, …
const EXPORT_TIME_MAX: Duration = Duration::from_secs(10);
/// … and for all that is left when the server stops.
const LAST_TIME_MAX: Duration = Duration::from_secs(1);
/// The port of OTLP over HTTP.
const HTTP_PORT: u16 = 4_318;

/// Sends telemetry until the server stops; nothing without a collector.
pub async fn run(service: Arc<Service>) {
    let settings = &service.config.otel;
    let Some(CollectorUrl(url)) = settings.endpoint.clone() else {
        return;
    };
    let protocol = settings.protocol.unwrap_or(match url.port {
        HTTP_PORT => OtlpProtocol::HttpProtobuf,
        _ => OtlpProtocol::Grpc,
    });
    let headers = settings.headers.as_ref().map_or("", |it| it.expose());
    let link = match Link::new(url, protocol, headers) {
        Ok(link) => link,
        Err(error) => {
            tracing::error!(%error, "no telemetry is sent: Otel:Endpoint cannot be used");
            return;
        }
    };
    let metrics = Arc::clone(&service.observe.metrics);
    let (spans, waiting) = Spans::new(metrics, settings.trace_percent);
    // Only the first of a process: there is one service in it.
    let _ = service.observe.spans.set(spans);
    let sender = Sender {
        link,
        start_nanos: service.now_nanos(),
        instance: format!("{}-{}", std::process::id(), service.now_secs()),
        is_down: false,
        backoff: Backoff::default(),
        service: Arc::clone(&service),
    };
    tokio::select! {
        () = sender.send_until_the_end(waiting) => {}
        // Whatever is under way.
        () = service.shutdown.patience(LAST_TIME_MAX) => {
            service.observe.metrics.exports.count(Shipped::Failed);
        }
    }
}

struct Sender {
    service: Arc<Service>,
    link: Link,
    start_nanos: u64,
    instance: String,
    /// The last message was not taken.
    is_down: bool,
    backoff: Backoff,
}

impl Sender {
    async fn send_until_the_end(mut self, mut waiting: mpsc::Receiver<Span>) {
        let mut due = interval(self.service.config.otel.export_interval);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let service = Arc::clone(&self.service);
        let mut spans = Vec::new();
        loop {
            tokio::select! {
                () = service.shutdown.notified() => break,
                _ = due.tick() => self.send_metrics().await,
                count = gather(&mut waiting, &mut spans) => match count {
                    0 => break,
                    _ => self.send_spans(std::mem::take(&mut spans)).await,
                },
            }
        }
        // It may be back: it is asked once more in any case.
        self.backoff = Backoff::default();
        while let Ok(span) = waiting.try_recv() {
            spans.push(span);
        }
        self.send_spans(spans).await;
        self.send_metrics().await;
    }

    async fn send_metrics(&mut self) {
        if !self.backoff.is_over(Instant::now()) {
            return;
        }
        look(&self.service).await;
        let families = self.service.observe.metrics.read();
        let times = Times {
            start_nanos: self.start_nanos,
            now_nanos: self.service.now_nanos(),
        };
        let message = otlp::metrics(families, times, &self.instance).encode_to_vec();
        self.send(Signal::Metrics, message).await;
    }

    async fn send_spans(&mut self, spans: Vec<Span>) {
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        if self.backoff.is_over(Instant::now()) {
            let message = otlp::spans(spans, &self.instance).encode_to_vec();
            self.send(Signal::Traces, message).await;
        }
        if self.is_down {
            self.service.observe.metrics.spans_dropped.add((), count);
        }
    }

    async fn send(&mut self, signal: Signal, message: Vec<u8>) {
        let sent = timeout(EXPORT_TIME_MAX, self.link.send(signal, message)).await;
        let sent = sent.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let exports = &self.service.observe.metrics.exports;
        match sent {
            Ok(()) => {
                exports.count(Shipped::Ok);
                self.backoff = Backoff::default();
                if std::mem::take(&mut self.is_down) {
                    tracing::info!(endpoint = %self.link, "the collector takes telemetry again");
                }
            }
            Err(error) => {
                exports.count(Shipped::Failed);
                self.backoff.failed(Instant::now());
                self.link.close();
                if !std::mem::replace(&mut self.is_down, true) {
                    tracing::warn!(
                        endpoint = %self.link, %error,
                        "the collector does not take telemetry; it is tried on quietly"
                    );
                }
            }
        }
    }
}

/// Waits for a span, then a little for more. How many there are; none when no more will come. What
/// was gathered stays if this is given up.
async fn gather(waiting: &mut mpsc::Receiver<Span>, spans: &mut Vec<Span>) -> usize {
    if spans.is_empty() && waiting.recv_many(spans, SPANS_AT_ONCE).await == 0 {
        return 0;
    }
    let until = Instant::now() + SPANS_WAIT;
    while spans.len() < SPANS_AT_ONCE {
        let room = SPANS_AT_ONCE.saturating_sub(spans.len());
        match tokio::time::timeout_at(until, waiting.recv_many(spans, room)).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    spans.len()
}
