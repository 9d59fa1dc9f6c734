//! Whether the server is well, over HTTP/1.1 (RFC 9112): `/livez` says that it runs, `/healthz`
//! that IMAP greets and the store takes writes, `/readyz` also that no account has to be waited
//! for because the store's index is being made again. One request a connection; nothing else of
//! HTTP is spoken.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use store::{Rebuilding, Room};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{config::HttpUrl, service::Service};

/// A request with its header, bytes.
const REQUEST_BYTES_MAX: u64 = 8 * 1024;
/// How long a request and its answer may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How long IMAP may take to greet.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Requests answered at a time.
const REQUESTS_MAX: usize = 64;

/// Answers until the server stops.
pub async fn serve(sockets: Vec<TcpListener>, service: Arc<Service>, imap: Option<SocketAddr>) {
    let mut listeners = JoinSet::new();
    for socket in sockets {
        let service = Arc::clone(&service);
        listeners.spawn(async move {
            tokio::select! {
                () = service.shutdown.notified() => {}
                () = accept(&socket, &service, imap) => {}
            }
        });
    }
    while listeners.join_next().await.is_some() {}
}

async fn accept(socket: &TcpListener, service: &Arc<Service>, imap: Option<SocketAddr>) {
    let mut requests = JoinSet::new();
    loop {
        if requests.len() >= REQUESTS_MAX {
            requests.join_next().await;
        }
        if let Ok((stream, _)) = socket.accept().await {
            let service = Arc::clone(service);
            requests.spawn(async move {
                // Who asks and leaves needs no answer.
                let _ =
                    tokio::time::timeout(REQUEST_TIME_MAX, answer(stream, &service, imap)).await;
            });
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        while requests.try_join_next().is_some() {}
    }
}

async fn answer(stream: TcpStream, service: &Service, imap: Option<SocketAddr>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    let mut request = String::new();
    reader.read_line(&mut request).await?;
    let mut header = String::new();
    while reader.read_line(&mut header).await? > 0 && header.trim_end() != "" {
        header.clear();
    }
    let (status, body) = respond(&request, service, imap).await;
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = reader.into_inner().into_inner();
    stream.write_all(head.as_bytes()).await?;
    if !request.starts_with("HEAD ") {
        stream.write_all(body.as_bytes()).await?;
    }
    stream.shutdown().await
}

async fn respond(
    request: &str,
    service: &Service,
    imap: Option<SocketAddr>,
) -> (&'static str, Value) {
    let mut words = request.split_ascii_whitespace();
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = target.split('?').next().unwrap_or("");
    match (method, path) {
        ("GET" | "HEAD", "/livez") => ("200 OK", json!({ "status": "Healthy" })),
        ("GET" | "HEAD", "/healthz") => checks(service, imap, Question::Well).await,
        ("GET" | "HEAD", "/readyz") => checks(service, imap, Question::Ready).await,
        ("GET" | "HEAD", _) => ("404 Not Found", json!({ "error": "not found" })),
        _ => (
            "405 Method Not Allowed",
            json!({ "error": "method not allowed" }),
        ),
    }
}

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Question {
    /// Whether it works.
    Well,
    /// Whether everybody is served without waiting.
    Ready,
}

/// What was found.
struct Found {
    imap: Result<(), String>,
    store: Result<(), String>,
    rebuilding: Option<Rebuilding>,
    room: Room,
}

async fn checks(
    service: &Service,
    imap: Option<SocketAddr>,
    question: Question,
) -> (&'static str, Value) {
    let found = Found {
        store: service.store.health().map_err(|error| error.to_string()),
        rebuilding: service.store.rebuilding(),
        room: service.store.room(),
        imap: match imap {
            Some(address) => greeting(address, service)
                .await
                .map_err(|error| error.to_string()),
            None => Ok(()),
        },
    };
    verdict(&found, question)
}

fn verdict(found: &Found, question: Question) -> (&'static str, Value) {
    let healthy = found.store.is_ok() && found.imap.is_ok();
    let shown = |check: &Result<(), String>| match check {
        Ok(()) => json!({ "status": "Healthy" }),
        Err(error) => json!({ "status": "Unhealthy", "description": error }),
    };
    let mut checks = json!({ "imap": shown(&found.imap), "store": shown(&found.store) });
    // Bodies of messages: there, deleted and within the undelete window, to be given back.
    checks["store"]["data"] = json!({
        "liveBytes": found.room.live_bytes,
        "waitingBytes": found.room.waiting_bytes,
        "deadBytes": found.room.dead_bytes,
    });
    if let Some(progress) = &found.rebuilding {
        let description = format!("The index is made again: {progress}.");
        checks["index"] = json!({
            "status": "Degraded",
            "description": description,
            "accounts": progress.accounts,
            "accountsDone": progress.accounts_done,
            "messages": progress.messages,
            "messagesDone": progress.messages_done,
            "secondsLeft": progress.secs_left,
        });
    }
    let (is_well, word) = match (healthy, found.rebuilding) {
        (false, _) => (false, "Unhealthy"),
        (true, None) => (true, "Healthy"),
        (true, Some(_)) => (question == Question::Well, "Degraded"),
    };
    let status = if is_well {
        "200 OK"
    } else {
        "503 Service Unavailable"
    };
    (status, json!({ "status": word, "checks": checks }))
}

/// Connects as a client on this machine would, reads the greeting and leaves.
async fn greeting(address: SocketAddr, service: &Service) -> io::Result<()> {
    let probe = async {
        let mut stream = TcpStream::connect(reachable(address)).await?;
        if service
            .config
            .imap
            .proxy_networks
            .contains(stream.local_addr()?.ip())
        {
            stream.write_all(&wire::proxy::LOCAL).await?;
        }
        let secure_only = service.config.imap.port == 0;
        if secure_only {
            // The handshake is the clients' to check: that it is accepted is enough here.
            return Ok(());
        }
        let mut start = [0; 5];
        stream.read_exact(&mut start).await?;
        stream.write_all(b"h LOGOUT\r\n").await?;
        match &start {
            b"* OK " | b"* PRE" => Ok(()),
            _ => Err(io::Error::other("IMAP did not greet")),
        }
    };
    let timed = tokio::time::timeout(PROBE_TIME_MAX, probe).await;
    timed.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "IMAP did not greet in time",
        ))
    })
}

/// An address at which a listener bound there is reached from this machine.
#[must_use]
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        ip if ip.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        _ => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, bound.port())
}

/// `relate-imap healthcheck`: asks a running server. Its answer, and whether it is well.
///
/// # Errors
/// Nobody answers.
pub async fn ask(url: &HttpUrl) -> io::Result<(bool, Value)> {
    let address = url.addresses().into_iter().map(reachable).next();
    let address = address.ok_or_else(|| io::Error::other("no address"))?;
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = String::new();
        stream.take(1 << 20).read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<String> = tokio::time::timeout(REQUEST_TIME_MAX, asked)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let answer = answer?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, "null"));
    let healthy = head.split(' ').nth(1) == Some("200");
    Ok((healthy, serde_json::from_str(body).unwrap_or(Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_made_again_is_well_and_not_ready() {
        let mut found = Found {
            imap: Ok(()),
            store: Ok(()),
            rebuilding: None,
            room: Room {
                waiting_bytes: 7,
                ..Room::default()
            },
        };
        for question in [Question::Well, Question::Ready] {
            let (status, body) = verdict(&found, question);
            assert_eq!((status, &body["status"]), ("200 OK", &json!("Healthy")));
            assert_eq!(body["checks"].get("index"), None);
            assert_eq!(body["checks"]["store"]["data"]["waitingBytes"], 7);
        }
        found.rebuilding = Some(Rebuilding {
            accounts: 30,
            accounts_done: 10,
            messages: 9_000,
            messages_done: 4_500,
            secs_left: Some(3),
        });
        let (status, body) = verdict(&found, Question::Well);
        assert_eq!((status, &body["status"]), ("200 OK", &json!("Degraded")));
        let (status, body) = verdict(&found, Question::Ready);
        assert_eq!(status, "503 Service Unavailable");
        assert_eq!(
            body["checks"]["index"]["description"],
            "The index is made again: 10 of 30 accounts, 4500 of 9000 messages, 3 s left."
        );
        found.store = Err("the disk is full".into());
        let (status, body) = verdict(&found, Question::Well);
        assert_eq!(status, "503 Service Unavailable");
        assert_eq!(body["status"], "Unhealthy");
        assert_eq!(body["checks"]["store"]["description"], "the disk is full");
    }
}
