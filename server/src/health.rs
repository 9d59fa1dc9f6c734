//! Whether the server is well, over HTTP/1.1 (RFC 9112): `/livez` says that it runs, `/healthz`
//! and `/readyz` that IMAP greets and the store takes writes. One request a connection; nothing
//! else of HTTP is spoken.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    config::{Config, HttpUrl},
    listen,
    problem::Problem,
    service::Service,
};

/// A request with its header, bytes.
const REQUEST_BYTES_MAX: u64 = 8 * 1024;
/// How long a request and its answer may take.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How long IMAP may take to greet.
const PROBE_TIME_MAX: Duration = Duration::from_secs(5);
/// Requests answered at a time.
const REQUESTS_MAX: usize = 64;

/// Binds `HealthCheck:Url`.
///
/// # Errors
/// Why it cannot be bound.
pub fn bind(config: &Config) -> Result<Vec<TcpListener>, Problem> {
    let Some(url) = &config.health_check.url else {
        return Ok(Vec::new());
    };
    let hosts: Vec<_> = url.addresses().iter().map(SocketAddr::ip).collect();
    listen::bind_port("HealthCheck:Url", &hosts, url.port)
}

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
        ("GET" | "HEAD", "/healthz" | "/readyz") => checks(service, imap).await,
        ("GET" | "HEAD", _) => ("404 Not Found", json!({ "error": "not found" })),
        _ => (
            "405 Method Not Allowed",
            json!({ "error": "method not allowed" }),
        ),
    }
}

async fn checks(service: &Service, imap: Option<SocketAddr>) -> (&'static str, Value) {
    let store = service.store.health().map_err(|error| error.to_string());
    let imap = match imap {
        Some(address) => greeting(address, service)
            .await
            .map_err(|error| error.to_string()),
        None => Ok(()),
    };
    let healthy = store.is_ok() && imap.is_ok();
    let shown = |check: Result<(), String>| match check {
        Ok(()) => json!({ "status": "Healthy" }),
        Err(error) => json!({ "status": "Unhealthy", "description": error }),
    };
    let word = if healthy { "Healthy" } else { "Unhealthy" };
    let body = json!({ "status": word, "checks": { "imap": shown(imap), "store": shown(store) } });
    (
        if healthy {
            "200 OK"
        } else {
            "503 Service Unavailable"
        },
        body,
    )
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
            b"* OK " => Ok(()),
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
