//! Telemetry as a collector gets it: a receiver of OTLP, over gRPC and over HTTP, decodes with
//! OpenTelemetry's own definitions what a session of a real client made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{KeyValue, any_value::Value},
    metrics::v1::{Metric, metric::Data, number_data_point},
    trace::v1::{Span, status::StatusCode},
};
use prost::Message as _;
use server::{
    config, connection,
    listen::{Peer, Stream},
    observe::{
        collector, metrics,
        trace::{Hears, Listener},
    },
    service::Service,
};
use store::{NewAccount, Quota, Store as _, clock::SystemClock, embedded::EmbeddedStore};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
};

const PASSWORD: &str = "correct horse battery";
const PATIENCE: Duration = Duration::from_secs(60);

/// What came to a receiver: where to, with which header fields, and the message.
struct Received {
    path: String,
    headers: HeaderMap,
    message: Vec<u8>,
}

/// Receives over HTTP/2 as gRPC does, or over HTTP/1.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Speaks {
    Grpc,
    Http,
}

async fn receive(listener: TcpListener, speaks: Speaks, sender: mpsc::Sender<Received>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let sender = sender.clone();
        let service = service_fn(move |request| answer(request, speaks, sender.clone()));
        let stream = TokioIo::new(stream);
        tokio::spawn(async move {
            // The sender ends the connection when it likes.
            let _ = match speaks {
                Speaks::Grpc => {
                    let http = http2::Builder::new(TokioExecutor::new());
                    http.serve_connection(stream, service).await
                }
                Speaks::Http => {
                    let http = http1::Builder::new();
                    http.serve_connection(stream, service).await
                }
            };
        });
    }
}

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

async fn answer(
    request: Request<Incoming>,
    speaks: Speaks,
    sender: mpsc::Sender<Received>,
) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let message = match speaks {
        Speaks::Grpc => {
            let length = u32::from_be_bytes(body[1..5].try_into().unwrap());
            assert_eq!((body[0], length as usize), (0, body.len() - 5));
            body[5..].to_vec()
        }
        Speaks::Http => body.to_vec(),
    };
    let received = Received {
        path: head.uri.path().to_owned(),
        headers: head.headers,
        message,
    };
    // A test that has seen enough does not listen.
    let _ = sender.send(received).await;
    let answer = match speaks {
        Speaks::Grpc => {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", "0".parse().unwrap());
            let empty = Full::new(Bytes::from_static(&[0; 5]));
            let body = empty.with_trailers(async { Some(Ok(trailers)) }).boxed();
            Response::builder()
                .header("content-type", "application/grpc")
                .body(body)
        }
        Speaks::Http => Response::builder().body(Full::new(Bytes::new()).boxed()),
    };
    Ok(answer.unwrap())
}

struct Place {
    service: Arc<Service>,
    collecting: JoinHandle<()>,
    _directory: tempfile::TempDir,
}

impl Place {
    /// A server with an account, that sends to this port.
    async fn new(port: u16, speaks: Speaks) -> Self {
        Self::with(port, speaks, &["Otel:ExportInterval=1s"]).await
    }

    /// One with further settings.
    async fn with(port: u16, speaks: Speaks, more: &[&str]) -> Self {
        let protocol = match speaks {
            Speaks::Grpc => "Grpc",
            Speaks::Http => "HttpProtobuf",
        };
        let directory = tempfile::tempdir().unwrap();
        let set = [
            format!("Store:Path={}", directory.path().display()),
            format!("Otel:Endpoint=http://127.0.0.1:{port}"),
            format!("Otel:Protocol={protocol}"),
            "Otel:Headers=api-key=marker".to_owned(),
            "Limits:LoginFailureDelays=0s".to_owned(),
            "Limits:LoginFailures=20".to_owned(),
        ];
        let loaded = config::load(&config::Options {
            set: more
                .iter()
                .map(|set| (*set).to_owned())
                .chain(set)
                .collect(),
            ..Default::default()
        });
        let config = Arc::new(loaded.unwrap().config);
        let clock = Arc::new(SystemClock);
        let options = config.store_options();
        let store = EmbeddedStore::open(directory.path(), options, Arc::clone(&clock) as _);
        let store = store.unwrap();
        let anna = NewAccount {
            name: "anna".to_owned(),
            aliases: Vec::new(),
            password: Some(server::auth::keep_password(PASSWORD.as_bytes()).unwrap()),
            display_name: String::new(),
            quota: Quota::default(),
        };
        store.create_account(anna).await.unwrap();
        let service = Arc::new(Service::new(config, store, None, clock));
        let collecting = tokio::spawn(collector::run(Arc::clone(&service)));
        Self {
            service,
            collecting,
            _directory: directory,
        }
    }

    /// A session from the greeting to the end of the connection.
    async fn session(&self) {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let service = Arc::clone(&self.service);
        let serving = connection::serve(Stream::new(theirs), service, Peer::LOCAL);
        let serving = tokio::spawn(serving);
        let script = format!(
            "a LOGIN anna wrong-one\r\nb LOGIN anna \"{PASSWORD}\"\r\nc SELECT INBOX\r\n\
             d APPEND INBOX {{5+}}\r\nx\r\n\r\n\r\ne UID FETCH 1 BODY[]\r\nf WHAT\r\n\
             g FETCH 1 (FLAGS)\r\nh NOOP\r\ni LOGOUT\r\n"
        );
        ours.write_all(script.as_bytes()).await.unwrap();
        let mut said = String::new();
        ours.read_to_string(&mut said).await.unwrap();
        assert!(said.contains("i OK"), "{said}");
        serving.await.unwrap();
    }

    async fn end(self) -> Arc<Service> {
        self.service.shutdown.begin();
        let ended = tokio::time::timeout(PATIENCE, self.collecting).await;
        ended.expect("telemetry ends with the server").unwrap();
        self.service.store.close().await;
        self.service
    }
}

fn attribute<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let named = attributes.iter().find(|it| it.key == name)?;
    named.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match attribute(attributes, name)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

/// The last metrics and all spans of what came.
fn decoded(received: &[Received], speaks: Speaks) -> (Vec<Metric>, Vec<Span>) {
    let (mut metrics, mut spans) = (Vec::new(), Vec::new());
    for one in received {
        assert_eq!(one.headers["api-key"], "marker");
        let kind = match speaks {
            Speaks::Grpc => "application/grpc",
            Speaks::Http => "application/x-protobuf",
        };
        assert_eq!(one.headers["content-type"], kind);
        let is_trace = match (speaks, one.path.as_str()) {
            (Speaks::Http, "/v1/metrics") => false,
            (Speaks::Http, "/v1/traces") => true,
            (Speaks::Grpc, path) if path.ends_with(".metrics.v1.MetricsService/Export") => false,
            (Speaks::Grpc, path) if path.ends_with(".trace.v1.TraceService/Export") => true,
            (_, other) => panic!("{other}"),
        };
        let resource = if is_trace {
            let message = ExportTraceServiceRequest::decode(&*one.message).unwrap();
            let mut all = message.resource_spans;
            let of = all.remove(0);
            assert!(
                of.scope_spans
                    .iter()
                    .all(|it| it.scope.as_ref().unwrap().name == "Relate.Imap")
            );
            spans.extend(of.scope_spans.into_iter().flat_map(|it| it.spans));
            of.resource
        } else {
            let message = ExportMetricsServiceRequest::decode(&*one.message).unwrap();
            let mut all = message.resource_metrics;
            let mut of = all.remove(0);
            let scope = of.scope_metrics.remove(0);
            assert_eq!(scope.scope.unwrap().name, "Relate.Imap");
            metrics = scope.metrics;
            of.resource
        };
        let resource = resource.unwrap().attributes;
        assert_eq!(text(&resource, "service.name"), Some("relate-mail-imap"));
        assert!(text(&resource, "service.instance.id").is_some());
    }
    (metrics, spans)
}

/// What a sum is for one value of its label.
fn sum(metrics: &[Metric], name: &str, label: Option<(&str, &str)>) -> i64 {
    let metric = metrics.iter().find(|it| it.name == name).expect(name);
    let Some(Data::Sum(sum)) = &metric.data else {
        panic!("{name} is no sum");
    };
    assert!(!metric.description.is_empty() && !metric.unit.is_empty());
    let fits = |attributes: &[KeyValue]| {
        label.is_none_or(|(name, value)| text(attributes, name) == Some(value))
    };
    let points = sum.data_points.iter().filter(|it| fits(&it.attributes));
    points
        .map(|it| match it.value {
            Some(number_data_point::Value::AsInt(number)) => number,
            _ => panic!("{name} is not whole"),
        })
        .sum()
}

/// What the server itself has counted.
fn counted(service: &Service, name: &str, label: &str) -> i64 {
    let families = service.observe.metrics.read();
    let family = families.iter().find(|it| it.row.name == name);
    let points = family.expect(name).points.iter();
    let points = points.filter(|it| label.is_empty() || it.labels.contains(&label));
    points
        .map(|point| match point.value {
            metrics::Value::Whole(number) => number,
            _ => panic!("{name} is not whole"),
        })
        .sum()
}

fn check_metrics(metrics: &[Metric]) {
    for (name, label, wanted) in [
        ("imap.commands", Some(("command", "LOGIN")), 2),
        ("imap.commands", Some(("command", "UID FETCH")), 1),
        ("imap.commands", Some(("command", "unknown")), 1),
        ("imap.commands", None, 9),
        ("imap.answers", Some(("status", "no")), 1),
        ("imap.answers", Some(("status", "bad")), 1),
        ("imap.auth.attempts", None, 2),
        ("imap.auth.failures", None, 1),
        ("imap.messages.retrieved", None, 1),
        ("imap.sessions.active", None, 0),
        ("server.refusals", Some(("reason", "login-failed")), 1),
        ("server.panics", None, 0),
    ] {
        assert_eq!(sum(metrics, name, label), wanted, "{name} {label:?}");
    }
    assert!(sum(metrics, "imap.bytes.sent", None) > 300);
    assert!(sum(metrics, "store.commits", None) >= 2);
    let named = |name: &str| metrics.iter().find(|it| it.name == name).expect(name);
    let Some(Data::Histogram(times)) = &named("imap.command.duration").data else {
        panic!("no histogram");
    };
    let of_fetch = times.data_points.iter();
    let mut of_fetch = of_fetch.filter(|it| text(&it.attributes, "command") == Some("FETCH"));
    let point = of_fetch.next().unwrap();
    assert_eq!((point.count, point.bucket_counts.iter().sum()), (1, 1u64));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    assert!(point.time_unix_nano >= point.start_time_unix_nano);
    assert!(matches!(
        named("store.disk.free").data,
        Some(Data::Gauge(_))
    ));
}

fn check_spans(spans: &[Span]) {
    let named = |name: &str| {
        spans
            .iter()
            .filter(|it| it.name == name)
            .collect::<Vec<_>>()
    };
    let logins = named("imap.command.login");
    let checks = named("imap.auth");
    assert_eq!((logins.len(), checks.len()), (2, 2));
    for (login, check) in logins.iter().zip(&checks) {
        assert_eq!(login.trace_id, check.trace_id);
        assert_eq!(login.span_id, check.parent_span_id);
        assert!(login.end_time_unix_nano >= check.start_time_unix_nano);
        assert_eq!(text(&check.attributes, "imap.auth.user"), Some("anna"));
    }
    let flag = |span: &Span, name: &str| attribute(&span.attributes, name).cloned();
    let success = |yes| Some(Value::BoolValue(yes));
    assert_eq!(flag(checks[0], "imap.auth.success"), success(false));
    assert_eq!(flag(checks[1], "imap.auth.success"), success(true));
    assert_eq!(flag(checks[1], "imap.auth.cache_hit"), success(false));
    assert_eq!(flag(checks[0], "imap.auth.rate_limited"), success(false));
    assert!(text(&checks[0].attributes, "imap.auth.failure_reason").is_some());
    let failed =
        |span: &Span| span.status.as_ref().map(|it| it.code) == Some(StatusCode::Error.into());
    assert!(failed(logins[0]) && !failed(logins[1]) && failed(checks[0]));
    let fetch = named("imap.command.uid_fetch")[0];
    assert_eq!(text(&fetch.attributes, "imap.command"), Some("UID FETCH"));
    assert_eq!(text(&fetch.attributes, "imap.state"), Some("selected"));
    assert!(text(&fetch.attributes, "imap.session_id").is_some());
    // One for each command that was understood, whatever it names, and one for each login.
    assert_eq!(
        spans.len(),
        8 + 2,
        "{:?}",
        spans.iter().map(|it| &it.name).collect::<Vec<_>>()
    );
    let told = format!("{spans:?}");
    assert!(!told.contains("battery") && !told.contains("wrong-one"));
}

/// What comes to a collector of a session.
async fn told(speaks: Speaks, more: &[&str]) -> (Vec<Metric>, Vec<Span>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut receiver) = mpsc::channel(1_000);
    tokio::spawn(receive(listener, speaks, sender));
    let place = Place::with(port, speaks, more).await;
    // The first metrics go at once: from then on spans are made.
    let mut received = vec![receiver.recv().await.unwrap()];
    place.session().await;
    place.end().await;
    while let Ok(one) = receiver.try_recv() {
        received.push(one);
    }
    decoded(&received, speaks)
}

async fn a_session_is_told(speaks: Speaks) {
    let (metrics, spans) = told(speaks, &[]).await;
    check_metrics(&metrics);
    check_spans(&spans);
}

#[tokio::test]
async fn of_a_hundred_commands_as_many_are_traced_as_are_set() {
    let (metrics, spans) = told(Speaks::Http, &["Otel:TracePercent=0"]).await;
    check_metrics(&metrics);
    assert!(spans.is_empty(), "{spans:?}");
}

#[tokio::test]
async fn metrics_are_sent_as_often_as_is_set() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    // That nobody takes them does not change when they are sent.
    let place = Place::with(port, Speaks::Grpc, &["Otel:ExportInterval=20m"]).await;
    let sent = || counted(&place.service, "telemetry.exports", "");
    let minutes = |count: u64| Duration::from_secs(60 * count);
    for round in 1..4 {
        let mut steps = 0;
        while sent() < round {
            tokio::task::yield_now().await;
            steps += 1;
            assert!(steps < 10_000_000, "round {round}");
        }
        tokio::time::pause();
        tokio::time::advance(minutes(19)).await;
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(sent(), round);
        tokio::time::advance(minutes(1)).await;
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_collector_is_told_over_grpc() {
    a_session_is_told(Speaks::Grpc).await;
}

#[tokio::test]
async fn a_collector_is_told_over_http() {
    a_session_is_told(Speaks::Http).await;
}

#[tokio::test]
async fn a_collector_that_is_dead_keeps_nobody_and_one_that_comes_back_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let place = Place::new(address.port(), Speaks::Grpc).await;
    place.session().await;
    let listener = TcpListener::bind(address).await.unwrap();
    let (sender, mut receiver) = mpsc::channel(1_000);
    let receiving = tokio::spawn(receive(listener, Speaks::Grpc, sender));
    let came = tokio::time::timeout(PATIENCE, receiver.recv()).await;
    assert!(came.unwrap().is_some(), "it is tried again");
    receiving.abort();
    place.session().await;
    let service = place.end().await;
    assert!(counted(&service, "telemetry.exports", "ok") >= 1);
}

#[tokio::test]
async fn a_collector_that_says_nothing_keeps_nobody() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    for speaks in [Speaks::Grpc, Speaks::Http] {
        let mut place = Place::new(port, speaks).await;
        place.session().await;
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        place.service.shutdown.begin();
        (&mut place.collecting).await.unwrap();
        let waited = begun.elapsed().as_millis();
        assert!(waited <= 1_001, "{waited} ms");
        tokio::time::resume();
        place.service.store.close().await;
        assert_eq!(counted(&place.service, "telemetry.exports", "ok"), 0);
        assert!(counted(&place.service, "telemetry.exports", "failed") > 0);
    }
}

#[tokio::test]
async fn spans_that_nobody_takes_are_counted() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let place = Place::new(port, Speaks::Grpc).await;
    // From the first export on spans are made.
    while counted(&place.service, "telemetry.exports", "failed") == 0 {
        tokio::task::yield_now().await;
    }
    place.session().await;
    let service = place.end().await;
    assert_eq!(counted(&service, "telemetry.spans.dropped", ""), 8 + 2);
}

/// Somebody listens to a session: what it says is heard, its secrets and its mail are not.
#[tokio::test]
async fn what_is_overheard_holds_no_secret_and_no_mail() {
    let place = Place::new(9, Speaks::Http).await;
    let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
    let service = Arc::clone(&place.service);
    let serving = connection::serve(Stream::new(theirs), service, Peer::LOCAL);
    let serving = tokio::spawn(serving);
    let mut greeting = [0; 4];
    ours.read_exact(&mut greeting).await.unwrap();
    let (sender, mut listener) = mpsc::channel(1_000);
    let entry = place.service.observe.live.entries().remove(0);
    let listening = Listener::new(sender, Hears::Lines);
    entry.trace.listen(&listening);
    let script = format!(
        "a AUTHENTICATE PLAIN\r\nAGFubmEAbWFya2Vy\r\nb AUTHENTICATE PLAIN AGFubmEAbWFya2Vy\r\n\
         c LOGIN anna marker extra\r\nd LOGIN anna {{6+}}\r\nmarker\r\n\
         e LOGIN anna \"{PASSWORD}\"\r\nf LOGIN anna marker\r\ng SELECT INBOX\r\n\
         h APPEND INBOX {{10+}}\r\nmarker\r\n\r\n\r\ni UID FETCH 1 BODY[]\r\nj LOGOUT\r\n"
    );
    ours.write_all(script.as_bytes()).await.unwrap();
    let mut said = String::new();
    ours.read_to_string(&mut said).await.unwrap();
    assert!(said.contains("marker"), "the client itself is told: {said}");
    serving.await.unwrap();
    let mut heard = String::new();
    while let Ok(said) = listener.try_recv() {
        heard.push_str(std::str::from_utf8(&said.bytes).unwrap());
    }
    for secret in ["marker", "battery", "AGFubmEAbWFya2Vy"] {
        assert!(!heard.contains(secret), "{secret}: {heard}");
    }
    for line in [
        "a AUTHENTICATE [not told]\r\n",
        "+ [not told]\r\n",
        "c [not understood",
        "d LOGIN [not told]\r\n",
        "d NO",
        "f LOGIN [not told]\r\n",
        "g SELECT INBOX\r\n",
        "h APPEND INBOX {10+}\r\n",
        "i UID FETCH 1 BODY[]\r\n",
        "* 1 FETCH (",
        "j OK",
    ] {
        assert!(heard.contains(line), "{line}: {heard}");
    }
    assert_eq!(listening.missed(), 0);
    place.end().await;
}
