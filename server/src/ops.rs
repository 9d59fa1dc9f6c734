//! HTTP/1.1 for operators (RFC 9112): health, metrics and the status page. Everything here reads and
//! nothing changes the server. Who may see what is `access`, what there is to see `route`.

pub mod access;
mod answer;
pub mod ask;
mod checks;
mod door;
mod page;
pub mod probe;
mod report;
mod route;

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    task::JoinSet,
};

use self::{
    access::{Access, Ends},
    door::Door,
    probe::Target,
};
use crate::{
    config::Config,
    listen::{self, Transport, note_end},
    problem::Problem,
    service::Service,
};

/// The line and the fields of a request, bytes; a longer one is answered 431.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// The fields of a request.
const FIELDS_MAX: usize = 64;
/// How long a request may take to come, and how long a connection may stay without one.
const HEAD_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a connection may last; its last request may take this much longer: …
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(120);
/// … an answer that is not read costs no more than this.
const LAST_TIME_MAX: Duration = Duration::from_secs(10);
/// How long the last request may take when the server stops.
const STOP_TIME_MAX: Duration = Duration::from_secs(1);
/// How long nothing is accepted after the system refused to.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Reports made at a time: whoever asks often has the others wait, not the server work.
const REPORTS_MAX: usize = 4;

/// What all requests share.
struct Ops {
    service: Arc<Service>,
    access: Access,
    target: Option<Target>,
    door: Door,
    reports: Semaphore,
}

/// Sockets of operators, and who may use them.
pub struct Bound {
    /// Bound and not yet accepting.
    pub sockets: Vec<TcpListener>,
    access: Access,
}

impl Bound {
    /// Takes over sockets that are bound already.
    ///
    /// # Errors
    /// The token cannot be used.
    pub fn with(config: &Config, sockets: Vec<TcpListener>) -> Result<Self, Problem> {
        Ok(Self {
            access: Access::new(config)?,
            sockets,
        })
    }
}

/// Binds `HealthCheck:Url`.
///
/// # Errors
/// Why it cannot be bound, or that the token cannot be used.
pub fn bind(config: &Config) -> Result<Bound, Problem> {
    let Some(url) = &config.health_check.url else {
        return Bound::with(config, Vec::new());
    };
    let hosts: Vec<_> = url.addresses().iter().map(SocketAddr::ip).collect();
    let sockets = listen::bind_port("HealthCheck:Url", &hosts, url.port)?;
    Bound::with(config, sockets)
}

/// Answers until the server stops. `target` is where IMAP is asked whether it is well.
pub async fn serve(bound: Bound, service: Arc<Service>, target: Option<Target>) {
    let ops = Arc::new(Ops {
        service,
        access: bound.access,
        target,
        door: Door::default(),
        reports: Semaphore::new(REPORTS_MAX),
    });
    let mut listeners = JoinSet::new();
    for socket in bound.sockets {
        listeners.spawn(accept(socket, Arc::clone(&ops)));
    }
    while listeners.join_next().await.is_some() {}
}

async fn accept(socket: TcpListener, ops: Arc<Ops>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ops.service.shutdown.notified() => break,
            Some(ended) = connections.join_next() => { note_end(ended); continue; }
            accepted = socket.accept() => accepted,
        };
        let Ok((stream, remote)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else {
            continue;
        };
        // Answers are small and wanted at once.
        let _ = stream.set_nodelay(true);
        let ends = Ends { local, remote };
        let Some(place) = ops.door.enter(&ends) else {
            tracing::debug!(%remote, "too many connections to the status page");
            continue;
        };
        let ops = Arc::clone(&ops);
        connections.spawn(async move {
            converse(stream, ends, ops).await;
            drop(place);
        });
    }
    drop(socket);
    while let Some(ended) = connections.join_next().await {
        note_end(ended);
    }
}

/// One connection, to its end.
async fn converse(stream: impl Transport, ends: Ends, ops: Arc<Ops>) {
    let answering = service_fn(|request| route::answer(&ops, ends, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    let patience = tokio::select! {
        // Who asks and leaves needs no answer.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(CONNECTION_TIME_MAX) => LAST_TIME_MAX,
        () = ops.service.shutdown.notified() => STOP_TIME_MAX,
    };
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(patience, connection).await;
}
