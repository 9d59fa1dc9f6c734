//! HTTP/1.1 for operators (RFC 9112): health, metrics and the status page. Everything here reads and
//! nothing changes the server. Who may see what is `access`, what there is to see `route`.

pub mod access;
mod answer;
pub mod ask;
pub(crate) mod checks;
mod door;
mod page;
pub mod probe;
mod recent;
mod report;
mod route;
mod samples;
mod status;

use std::{
    net::{SocketAddr, TcpStream as StdTcpStream},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, Semaphore},
    task::JoinSet,
    time::Instant,
};

use self::{
    access::{Access, Ends},
    door::Door,
    probe::Target,
    recent::Recent,
    samples::Samples,
};
use crate::{
    listen::{Transport, last_of, note_end, unblocked, waiting},
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
    began: Instant,
    samples: Samples,
    door: Door,
    reports: Semaphore,
    recent: Recent,
}

/// Answers until the server stops. `target` is where IMAP is asked whether it is well.
pub async fn serve(sockets: Vec<TcpListener>, service: Arc<Service>, target: Option<Target>) {
    let access = match Access::new(&service.config) {
        Ok(access) => access,
        // Seen before the server starts, unless the file has changed since.
        Err(problem) => {
            tracing::error!(place = %problem.to_what, next = %problem.next, "{}", problem.what);
            return;
        }
    };
    let ops = Arc::new(Ops {
        service,
        access,
        target,
        began: Instant::now(),
        samples: Samples::default(),
        door: Door::default(),
        reports: Semaphore::new(REPORTS_MAX),
        recent: Recent::default(),
    });
    let mut listeners = JoinSet::new();
    for socket in sockets {
        listeners.spawn(accept(socket, Arc::clone(&ops)));
    }
    if !listeners.is_empty() {
        listeners.spawn(sample(ops));
    }
    while listeners.join_next().await.is_some() {}
}

/// Takes samples for the plots until the server stops.
async fn sample(ops: Arc<Ops>) {
    loop {
        ops.samples.take(status::look(&ops.service));
        let end = tokio::time::timeout(samples::EVERY, ops.service.shutdown.notified()).await;
        if end.is_ok() {
            return;
        }
    }
}

async fn accept(socket: TcpListener, ops: Arc<Ops>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = ops.service.shutdown.notified() => break,
            Some(ended) = connections.join_next() => { note_end(ended); continue; }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, remote)) => take(stream, remote, &ops, &mut connections),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    if let Some(socket) = last_of(socket.into_std(), &ops.service) {
        for (stream, remote) in waiting(|| socket.accept()) {
            if let Ok(stream) =
                unblocked(stream, StdTcpStream::set_nonblocking, TcpStream::from_std)
            {
                take(stream, remote, &ops, &mut connections);
            }
        }
    }
    while let Some(ended) = connections.join_next().await {
        note_end(ended);
    }
}

/// Answers on a connection, if there is room for one more.
fn take(stream: TcpStream, remote: SocketAddr, ops: &Arc<Ops>, connections: &mut JoinSet<()>) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let ends = Ends { local, remote };
    let Some(place) = ops.door.enter(&ends) else {
        tracing::debug!(%remote, "too many connections to the status page");
        return;
    };
    let ops = Arc::clone(ops);
    connections.spawn(async move {
        converse(stream, ends, ops).await;
        drop(place);
    });
}

/// One connection, to its end.
async fn converse(stream: impl Transport, ends: Ends, ops: Arc<Ops>) {
    let asked = Notify::new();
    let answering = service_fn(|request| {
        asked.notify_one();
        route::answer(&ops, ends, request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(FIELDS_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    let shutdown = &ops.service.shutdown;
    let patience = tokio::select! {
        // Who asks and leaves needs no answer.
        _ = connection.as_mut() => return,
        () = tokio::time::sleep(CONNECTION_TIME_MAX) => LAST_TIME_MAX,
        () = shutdown.notified() => STOP_TIME_MAX,
    };
    let deadline = Instant::now() + patience;
    if shutdown.has_begun() {
        // What may be on its way, or here and not read yet, is answered.
        tokio::select! {
            _ = connection.as_mut() => return,
            () = asked.notified() => {}
            () = tokio::time::sleep_until(deadline) => {}
        }
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout_at(deadline, connection).await;
}

#[cfg(test)]
mod tests {
    use store::{clock::ManualClock, embedded::EmbeddedStore};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::config;

    fn ops(directory: &std::path::Path) -> Arc<Ops> {
        let config = config::load(&config::Options::default()).unwrap().config;
        let clock = Arc::new(ManualClock::new(1_795_305_600));
        let options = config.store_options();
        let store = EmbeddedStore::open(directory, options, Arc::clone(&clock) as _).unwrap();
        let access = Access::new(&config).unwrap();
        Arc::new(Ops {
            service: Arc::new(Service::new(Arc::new(config), store, None, clock)),
            access,
            target: None,
            began: Instant::now(),
            samples: Samples::default(),
            door: Door::default(),
            reports: Semaphore::new(REPORTS_MAX),
            recent: Recent::default(),
        })
    }

    /// How long a connection lasts on which this is sent, and nothing more.
    async fn lasts(ops: &Arc<Ops>, sent: &[u8]) -> (Duration, String) {
        let (mut theirs, ours) = tokio::io::duplex(1 << 16);
        let here = SocketAddr::from(([127, 0, 0, 1], 8_083));
        let ends = Ends {
            local: here,
            remote: here,
        };
        let began = Instant::now();
        let serving = tokio::spawn(converse(ours, ends, Arc::clone(ops)));
        theirs.write_all(sent).await.unwrap();
        let mut answered = String::new();
        theirs.read_to_string(&mut answered).await.unwrap();
        serving.await.unwrap();
        (began.elapsed(), answered)
    }

    #[tokio::test]
    async fn threat_39_who_says_nothing_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let ops = ops(directory.path());
        tokio::time::pause();
        let whole = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for sent in [&b""[..], b"GET /livez HTTP/1.1\r\nHost: loc", whole] {
            let (lasted, answered) = lasts(&ops, sent).await;
            let expected = HEAD_TIME_MAX..HEAD_TIME_MAX + Duration::from_secs(1);
            assert!(expected.contains(&lasted), "{sent:?}: {lasted:?}");
            assert_eq!(answered.starts_with("HTTP/1.1 200"), sent == whole);
        }
    }

    #[tokio::test]
    async fn a_connection_ends_with_the_server() {
        let directory = tempfile::tempdir().unwrap();
        let ops = ops(directory.path());
        tokio::time::pause();
        ops.service.shutdown.begin();
        let (lasted, _) = lasts(&ops, b"GET /livez HTTP/1.1\r\nHost: loc").await;
        assert!(
            lasted <= STOP_TIME_MAX + Duration::from_millis(2),
            "{lasted:?}"
        );
    }
}
