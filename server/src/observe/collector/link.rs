//! The connection to a collector: OTLP over gRPC (HTTP/2, RFC 9113) or as plain HTTP/1.1 requests.
//! Of gRPC it needs one thing, a call with one message each way; that is a request, five bytes
//! before the message, and a status in the trailers.

use std::{io, sync::Arc};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    client::conn::{http1, http2},
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, TE},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use tokio::task::JoinSet;

use crate::{
    auth::oauth::http::{connect, trusting},
    config::{OtlpProtocol, ProviderUrl, Setting as _},
};

/// The largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Of what a collector says why it refuses, characters.
const REASON_CHARS_MAX: usize = 200;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Metrics,
    Traces,
}

impl Signal {
    const fn http_path(self) -> &'static str {
        match self {
            Self::Metrics => "v1/metrics",
            Self::Traces => "v1/traces",
        }
    }

    const fn grpc_path(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }
}

/// Where telemetry goes, with the connection while there is one.
pub(super) struct Link {
    url: ProviderUrl,
    protocol: OtlpProtocol,
    headers: HeaderMap,
    tls: Arc<ClientConfig>,
    open: Option<Open>,
    /// What moves the bytes of the connection.
    drivers: JoinSet<()>,
}

enum Open {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url.show())
    }
}

impl Link {
    /// A link that is not yet connected.
    ///
    /// # Errors
    /// The headers are none, or no certificate can be trusted.
    pub(super) fn new(
        url: ProviderUrl,
        protocol: OtlpProtocol,
        headers: &str,
    ) -> Result<Self, String> {
        let alpn: &[u8] = match protocol {
            OtlpProtocol::Grpc => b"h2",
            OtlpProtocol::HttpProtobuf => b"http/1.1",
        };
        Ok(Self {
            tls: trusting(None, alpn)?,
            url,
            protocol,
            headers: parse_headers(headers)?,
            open: None,
            drivers: JoinSet::new(),
        })
    }

    /// Forgets the connection: the next message makes another.
    pub(super) fn close(&mut self) {
        self.open = None;
        self.drivers.abort_all();
        while self.drivers.try_join_next().is_some() {}
    }

    /// Sends a message.
    ///
    /// # Errors
    /// It was not taken.
    pub(super) async fn send(&mut self, signal: Signal, message: Vec<u8>) -> io::Result<()> {
        let request = self.request(signal, message).map_err(io::Error::other)?;
        let open = match self.open.take() {
            Some(open) if open.is_usable() => open,
            _ => self.connect().await?,
        };
        let (answer, open) = open.ask(request).await?;
        self.open = Some(open);
        match self.protocol {
            OtlpProtocol::Grpc => check_grpc(answer).await,
            OtlpProtocol::HttpProtobuf => check_http(answer).await,
        }
    }

    async fn connect(&mut self) -> io::Result<Open> {
        self.close();
        let stream = TokioIo::new(connect(&self.url, &self.tls).await?);
        match self.protocol {
            OtlpProtocol::Grpc => {
                let shaken = http2::handshake(TokioExecutor::new(), stream).await;
                let (sender, driver) = shaken.map_err(io::Error::other)?;
                // How it ended is told to whoever sends next.
                self.drivers.spawn(async move { drop(driver.await) });
                Ok(Open::Http2(sender))
            }
            OtlpProtocol::HttpProtobuf => {
                let shaken = http1::handshake(stream).await;
                let (sender, driver) = shaken.map_err(io::Error::other)?;
                self.drivers.spawn(async move { drop(driver.await) });
                Ok(Open::Http1(sender))
            }
        }
    }

    fn request(
        &self,
        signal: Signal,
        message: Vec<u8>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let (request, body) = match self.protocol {
            OtlpProtocol::Grpc => {
                let scheme = if self.url.secure { "https" } else { "http" };
                let authority = self.url.authority();
                let uri = format!("{scheme}://{authority}{}", signal.grpc_path());
                let request = Request::post(uri)
                    .header(CONTENT_TYPE, "application/grpc")
                    .header(TE, "trailers");
                (request, framed(&message))
            }
            OtlpProtocol::HttpProtobuf => {
                let base = self.url.target.trim_end_matches('/');
                let request = Request::post(format!("{base}/{}", signal.http_path()))
                    .header(CONTENT_TYPE, "application/x-protobuf")
                    .header(HOST, self.url.authority());
                (request, message.into())
            }
        };
        let mut request = request.body(Full::new(body))?;
        request.headers_mut().extend(self.headers.clone());
        Ok(request)
    }
}

impl Open {
    fn is_usable(&self) -> bool {
        match self {
            Self::Http1(sender) => !sender.is_closed(),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }

    async fn ask(self, request: Request<Full<Bytes>>) -> io::Result<(Response<Incoming>, Self)> {
        match self {
            Self::Http1(mut sender) => {
                sender.ready().await.map_err(io::Error::other)?;
                let answer = sender.send_request(request).await;
                Ok((answer.map_err(io::Error::other)?, Self::Http1(sender)))
            }
            Self::Http2(mut sender) => {
                sender.ready().await.map_err(io::Error::other)?;
                let answer = sender.send_request(request).await;
                Ok((answer.map_err(io::Error::other)?, Self::Http2(sender)))
            }
        }
    }
}

/// A message of gRPC: whether it is compressed, its length, itself.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len().saturating_add(5));
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}

async fn check_http(answer: Response<Incoming>) -> io::Result<()> {
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
    body.await.map_err(io::Error::other)?;
    match status.is_success() {
        true => Ok(()),
        false => Err(io::Error::other(format!("status {}", status.as_u16()))),
    }
}

/// The status of a call stands in the trailers or, if there is no message, in the headers.
async fn check_grpc(answer: Response<Incoming>) -> io::Result<()> {
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, ANSWER_BYTES_MAX).collect();
    let body = body.await.map_err(io::Error::other)?;
    let said = |name| {
        let trailer = body.trailers().and_then(|trailers| trailers.get(name));
        let value = trailer.or_else(|| head.headers.get(name));
        value.and_then(|value| value.to_str().ok())
    };
    match said("grpc-status") {
        Some("0") => Ok(()),
        Some(code) => {
            let message = said("grpc-message").unwrap_or_default();
            let message: String = message.chars().take(REASON_CHARS_MAX).collect();
            let text = format!("gRPC status {code} {message}");
            Err(io::Error::other(text))
        }
        None => {
            let status = head.status.as_u16();
            let text = format!("no gRPC is spoken there: status {status}");
            Err(io::Error::other(text))
        }
    }
}

/// `name=value,name=value`, as in `OTEL_EXPORTER_OTLP_HEADERS`.
fn parse_headers(text: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    let pairs = text.split(',').map(str::trim);
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let unfit = || "Otel:Headers is not name=value,name=value".to_owned();
        let (name, value) = pair.split_once('=').ok_or_else(unfit)?;
        let name: HeaderName = name.trim().parse().map_err(|_| unfit())?;
        let mut value: HeaderValue = value.trim().parse().map_err(|_| unfit())?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_pairs() {
        let headers = parse_headers("api-key=abc, X-Scope-OrgID = 7").unwrap();
        assert_eq!(headers["api-key"], "abc");
        assert_eq!(headers["x-scope-orgid"], "7");
        assert!(parse_headers("").unwrap().is_empty());
        for bad in ["api-key", "a b=c", "=c"] {
            assert!(parse_headers(bad).is_err(), "{bad}");
        }
    }
}
