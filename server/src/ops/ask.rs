//! `relate-imap healthcheck`: asks a running server as a supervisor would.

use std::{io, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{access::token, probe::reachable};
use crate::config::{Config, HttpUrl};

/// How long the answer may take.
const TIME_MAX: Duration = Duration::from_secs(20);
/// The largest answer, bytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What a running server says of itself, and whether it serves.
///
/// # Errors
/// Nobody answers.
pub async fn ask(url: &HttpUrl, config: &Config) -> io::Result<(bool, Value)> {
    let asked = tokio::time::timeout(TIME_MAX, exchange(url, config)).await;
    let (status, body) = asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    let value = serde_json::from_slice(&body);
    let value = value.map_err(|_| io::Error::other("that is another server"))?;
    Ok((status == StatusCode::OK, value))
}

async fn exchange(url: &HttpUrl, config: &Config) -> io::Result<(StatusCode, Bytes)> {
    let address = url.addresses().into_iter().map(reachable).next();
    let address = address.ok_or_else(|| io::Error::other("no address"))?;
    let mut request = Request::builder()
        .uri("/healthz?for=container")
        .header(header::HOST, "localhost")
        .header(header::CONNECTION, "close");
    // Without it the answer is a word.
    if let Ok(Some(token)) = token(config) {
        let shown = format!("Bearer {}", token.expose());
        request = request.header(header::AUTHORIZATION, shown);
    }
    let request = request.body(Empty::<Bytes>::new());
    let request = request.map_err(io::Error::other)?;
    let stream = TokioIo::new(TcpStream::connect(address).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
    let answer = async {
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(io::Error::other)?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
        Ok((status, body.await.map_err(io::Error::other)?.to_bytes()))
    };
    tokio::pin!(answer);
    // The connection moves the bytes; when it ends first, the answer says why.
    tokio::select! {
        done = &mut answer => return done,
        _ = connection => {}
    }
    answer.await
}

/// The answer for people: the server's status, then a line a check.
#[must_use]
pub fn lines(answer: &Value) -> (Value, Value) {
    let checks = answer["checks"].as_array().into_iter().flatten();
    let rows = checks.map(|check| {
        json!({
            "check": check["name"],
            "status": check["status"],
            "description": check["description"],
        })
    });
    (json!({ "status": answer["status"] }), rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_a_line_a_check() {
        let answer = json!({ "status": "Degraded", "totalDuration": 3.2, "checks": [
            { "name": "disk", "status": "Degraded", "duration": 1.1, "description": "900 MB.",
              "tags": ["storage"], "data": { "freeBytes": 1 } },
        ] });
        let (status, rows) = lines(&answer);
        assert_eq!(status, json!({ "status": "Degraded" }));
        assert_eq!(
            crate::admin::print::text(&rows),
            "check  status    description\ndisk   Degraded  900 MB.\n"
        );
        let (status, rows) = lines(&json!({ "status": "Healthy" }));
        assert_eq!(
            (status["status"].as_str(), rows),
            (Some("Healthy"), json!([]))
        );
    }
}
