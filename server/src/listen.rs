//! Sockets: binding what the configuration names, accepting under limits, TLS from the first
//! byte, and the stream that a connection reads and writes. What is spoken on a stream is
//! `connection`'s and `lmtp`'s.

use std::{
    any::Any,
    io,
    net::{IpAddr, SocketAddr, TcpListener as StdTcpListener, TcpStream as StdTcpStream},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
    },
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::{JoinError, JoinSet},
    time::Instant,
};

use self::gate::Gate;
use crate::{
    config::Config,
    observe::label::Spoken,
    problem::Problem,
    refused::{self, Claims, Reason},
    service::{Service, Trust},
    tls::{Secured, Tls},
};

mod gate;
mod proxy;

/// Connections that wait to be accepted: also those of the seconds in which one server takes the
/// place of another. The system cuts it to net.core.somaxconn.
const BACKLOG: i32 = 4_096;
/// After this much silence TCP asks whether the peer is still there.
const KEEPALIVE: Duration = Duration::from_secs(240);
/// How long nothing is accepted after the system refused to (no file descriptors left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a connection that is cut may take to say so, and to read what still comes.
const LAST_WORDS_TIME: Duration = Duration::from_millis(1_500);
/// How long after the server began to stop a handshake, or what a proxy says first, may take.
const OPENING_PATIENCE: Duration = Duration::from_secs(2);
/// How long what a peer sends after the last words is read, …
const LINGER_TIME: Duration = Duration::from_secs(1);
/// … and how much of it, bytes.
const LINGER_BYTES_MAX: usize = 256 * 1_024;
/// How long a peer that is refused may take to read why.
const REFUSAL_TIME_MAX: Duration = Duration::from_secs(5);
/// The LMTP socket: its owner and group deliver.
pub(crate) const SOCKET_MODE: u32 = 0o660;
/// A directory made for sockets.
const DIRECTORY_MODE: u32 = 0o700;

/// What is between a client and us.
pub trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin + Any {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + Any> Transport for T {}

/// A connection's bytes, whatever carries them.
pub struct Stream {
    transport: Box<dyn Transport>,
    secured: Option<Arc<Secured>>,
    since: Instant,
}

impl Stream {
    /// A stream over anything that reads and writes.
    #[must_use]
    pub fn new(transport: impl Transport + 'static) -> Self {
        Self {
            transport: Box::new(transport),
            secured: None,
            since: Instant::now(),
        }
    }

    /// When it began: the time before login counts from there, headers and handshakes included.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// What the TLS handshake established, if there was one.
    #[must_use]
    pub const fn secured(&self) -> Option<&Arc<Secured>> {
        self.secured.as_ref()
    }

    /// The same connection, with a layer before its transport.
    #[must_use]
    pub fn through<T: Transport + 'static>(
        self,
        layer: impl FnOnce(Box<dyn Transport>) -> T,
    ) -> Self {
        Self {
            transport: Box::new(layer(self.transport)),
            ..self
        }
    }

    /// The same connection without the layer that `through` put there, and what else is taken out of
    /// it; `None` if there is no such layer.
    pub fn without<T: Transport, U>(
        self,
        open: impl FnOnce(T) -> (Box<dyn Transport>, U),
    ) -> Option<(Self, U)> {
        let transport: Box<dyn Any> = self.transport;
        let (transport, rest) = open(*transport.downcast::<T>().ok()?);
        Some((Self { transport, ..self }, rest))
    }

    /// Performs a TLS handshake as the server (RFC 9051 §6.2.1). What was read before it stays
    /// with the caller, who must drop it.
    ///
    /// # Errors
    /// The handshake failed, or took longer than `time_max`.
    pub async fn start_tls(self, tls: &Tls, time_max: Duration) -> io::Result<Self> {
        match tokio::time::timeout(time_max, tls.accept(self.transport)).await {
            Ok(shaken) => shaken.map(|(stream, secured)| Self {
                transport: Box::new(stream),
                secured: Some(Arc::new(secured)),
                since: self.since,
            }),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "TLS handshake timed out",
            )),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

/// Whether TLS protects a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protection {
    /// It does not.
    Plain,
    /// It does.
    Tls,
    /// It did between the client and a proxy, which ended it.
    AtProxy,
}

/// Who is at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// Its address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Our address, to which it connected.
    pub local: Option<SocketAddr>,
    /// Whether both ends are loopback addresses, or it is a Unix socket: no network in between.
    pub loopback: bool,
    /// Whether TLS protected it from the first byte, here or at a proxy that says so.
    pub protection: Protection,
    /// Whether it is counted against limits on connections.
    pub trust: Trust,
    /// Whether it is our own health check: neither logged nor counted as a session.
    pub is_probe: bool,
}

impl Peer {
    /// A peer on a Unix socket.
    pub const LOCAL: Self = Self {
        address: None,
        local: None,
        loopback: true,
        protection: Protection::Plain,
        trust: Trust::Trusted,
        is_probe: false,
    };

    /// Our own health check, at this address. Others do not keep it out, nor does it them.
    fn probe(self) -> Self {
        Self {
            trust: Trust::Trusted,
            is_probe: true,
            ..self
        }
    }

    /// A peer on a network, or on this machine.
    pub(crate) fn of_tcp(address: SocketAddr, local: SocketAddr, config: &Config) -> Self {
        let is_loopback = |socket: SocketAddr| socket.ip().to_canonical().is_loopback();
        let trusted = config.limits.trusted_networks.contains(address.ip());
        Self {
            address: Some(address),
            local: Some(local),
            loopback: is_loopback(address) && is_loopback(local),
            protection: Protection::Plain,
            trust: if trusted {
                Trust::Trusted
            } else {
                Trust::Counted
            },
            is_probe: false,
        }
    }
}

impl Peer {
    /// Its address without the port, as the log has it: `local` on a Unix socket.
    #[must_use]
    pub fn ip_text(&self) -> String {
        let ip = self.address.map(|address| address.ip().to_canonical());
        ip.map_or_else(|| "local".to_owned(), |ip| ip.to_string())
    }
}

impl std::fmt::Display for Peer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.address {
            Some(address) => SocketAddr::new(address.ip().to_canonical(), address.port()).fmt(f),
            None => f.write_str("local"),
        }
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Protocols {
    /// IMAP, with STARTTLS if there is a certificate.
    Imap,
    /// IMAP over TLS.
    Imaps,
    /// LMTP.
    Lmtp,
}

impl From<Protocols> for Spoken {
    fn from(protocol: Protocols) -> Self {
        match protocol {
            Protocols::Imap => Self::Imap,
            Protocols::Imaps => Self::Imaps,
            Protocols::Lmtp => Self::Lmtp,
        }
    }
}

/// Accepts on these sockets until the server stops, then waits for the connections to end.
pub async fn serve(
    tcp: Vec<(Protocols, TcpListener)>,
    unix: Vec<UnixListener>,
    service: Arc<Service>,
) {
    let gate = Arc::new(Gate::new(&service.config.limits));
    let mut listeners = JoinSet::new();
    for (protocol, socket) in tcp {
        let (service, gate) = (Arc::clone(&service), Arc::clone(&gate));
        listeners.spawn(accept_tcp(socket, protocol, service, gate));
    }
    for socket in unix {
        listeners.spawn(accept_unix(socket, Arc::clone(&service)));
    }
    while listeners.join_next().await.is_some() {}
}

/// Binds a port on each address, or takes the socket that is `given` for it. An address family that
/// this machine does not have is left out, as long as one address remains.
///
/// # Errors
/// The address, why it cannot be bound, and what can be done.
pub fn bind_addresses(
    key: &str,
    addresses: &[IpAddr],
    port: u16,
    mut given: impl FnMut(SocketAddr) -> Option<StdTcpListener>,
) -> Result<Vec<StdTcpListener>, Problem> {
    let mut bound = Vec::new();
    let mut failed = None;
    if port == 0 {
        return Ok(bound);
    }
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        match given(address).map_or_else(|| bind_tcp(address), Ok) {
            Ok(socket) => bound.push(socket),
            Err(error) if is_missing_family(address, &error) => {
                tracing::debug!(%address, "this machine has no IPv6: not listening there");
                failed = Some((address, error));
            }
            Err(error) => return Err(cannot_bind(key, address, &error)),
        }
    }
    match failed {
        Some((address, error)) if bound.is_empty() => Err(cannot_bind(key, address, &error)),
        _ => Ok(bound),
    }
}

fn is_missing_family(address: SocketAddr, error: &io::Error) -> bool {
    let missing = error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error());
    missing && address.is_ipv6() && (address.ip().is_unspecified() || address.ip().is_loopback())
}

fn bind_tcp(address: SocketAddr) -> io::Result<StdTcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn cannot_bind(key: &str, address: SocketAddr, error: &io::Error) -> Problem {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => format!(
            "run as root or with CAP_NET_BIND_SERVICE; or set {key} to a port from 1024 on, \
             as --set {key}={}; 0 switches this listener off",
            u32::from(address.port()) + 1_000
        ),
        io::ErrorKind::AddrInUse => format!(
            "stop what listens there (`ss -ltnp 'sport = :{}'` names it); or set {key} to \
             another port; 0 switches this listener off",
            address.port()
        ),
        _ => "name addresses of this machine".to_owned(),
    };
    Problem::new(
        format!("the port cannot be bound: {error}"),
        format!("{key}, {address}"),
        next,
    )
}

/// Binds a Unix socket with this mode; a socket that nobody serves any more is replaced.
///
/// # Errors
/// The path, why it cannot be bound, and what can be done.
pub fn bind_path(path: &Path, mode: u32) -> Result<StdUnixListener, Problem> {
    let bound = prepare_socket(path).and_then(|()| {
        let socket = StdUnixListener::bind(path)?;
        socket.set_nonblocking(true)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        Ok(socket)
    });
    bound.map_err(|error| {
        let next = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "stop the server that serves this socket, or choose another path"
            }
            _ => {
                "choose a path of at most 107 bytes in a directory that the server's user may write"
            }
        };
        let what = format!("the socket cannot be bound: {error}");
        Problem::new(what, path.display().to_string(), next)
    })
}

fn prepare_socket(path: &Path) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)?;
    }
    // Connecting to a plain file is refused as well, and must not cost anyone a file.
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is no socket",
            ));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another server serves it",
        )),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
    }
}

async fn accept_tcp(
    socket: TcpListener,
    protocol: Protocols,
    service: Arc<Service>,
    gate: Arc<Gate>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = service.shutdown.notified() => break,
            Some(ended) = connections.join_next() => { note_end(ended); continue; }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                let (service, gate) = (Arc::clone(&service), Arc::clone(&gate));
                connections.spawn(serve_accepted(stream, address, protocol, service, gate));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    if let Some(socket) = last_of(socket.into_std(), &service) {
        for (stream, address) in waiting(|| socket.accept()) {
            let (service, gate) = (Arc::clone(&service), Arc::clone(&gate));
            if let Ok(stream) =
                unblocked(stream, StdTcpStream::set_nonblocking, TcpStream::from_std)
            {
                connections.spawn(serve_accepted(stream, address, protocol, service, gate));
            }
        }
    }
    finish(connections, &service).await;
}

/// The socket, if those who wait in its queue have nobody to wait for: when another server takes the
/// place of this one, they are that server's.
pub(crate) fn last_of<S>(socket: io::Result<S>, service: &Service) -> Option<S> {
    socket.ok().filter(|_| !service.shutdown.is_hand_over())
}

/// Those who wait to be accepted at this moment: closing the socket would reset them.
pub(crate) fn waiting<T>(mut accept: impl FnMut() -> io::Result<T>) -> impl Iterator<Item = T> {
    let next = move || {
        loop {
            match accept() {
                // That one has left already.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                accepted => return accepted.ok(),
            }
        }
    };
    std::iter::from_fn(next).take(BACKLOG.unsigned_abs() as usize)
}

/// A connection that was accepted while nobody waited for it, as the runtime wants it.
pub(crate) fn unblocked<S, T>(
    stream: S,
    set_nonblocking: fn(&S, bool) -> io::Result<()>,
    from_std: fn(S) -> io::Result<T>,
) -> io::Result<T> {
    set_nonblocking(&stream, true)?;
    from_std(stream)
}

async fn serve_accepted(
    stream: TcpStream,
    address: SocketAddr,
    protocol: Protocols,
    service: Arc<Service>,
    gate: Arc<Gate>,
) {
    configure(&stream);
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let mut peer = Peer::of_tcp(address, local, &service.config);
    if service.observe.live.is_probe(&peer) {
        peer = peer.probe();
    }
    let stream = Stream::new(stream);
    let Some((stream, peer)) = identified(stream, peer, protocol, &service, &gate).await else {
        return;
    };
    let ip = peer.address.map_or(address.ip(), |address| address.ip());
    let banned = protocol != Protocols::Lmtp && !peer.is_probe && service.auth.throttle.refuses(ip);
    match gate.enter(ip, peer.trust, service.now_secs()) {
        Ok(_) if banned => {
            refuse(&service, stream, (peer, protocol), Reason::Banned).await;
        }
        Ok(_place) => serve_tcp(stream, peer, protocol, service).await,
        Err(reason) => refuse(&service, stream, (peer, protocol), reason).await,
    }
}

/// Who is at the other end: the peer itself or, if that is a proxy, who is behind it. While its
/// header is waited for a proxy counts among all connections.
async fn identified(
    mut stream: Stream,
    peer: Peer,
    protocol: Protocols,
    service: &Service,
    gate: &Gate,
) -> Option<(Stream, Peer)> {
    let config = &service.config;
    let address = peer.address?.ip();
    if protocol == Protocols::Lmtp || !config.imap.proxy_networks.contains(address) {
        return Some((stream, peer));
    }
    let _place = match gate.enter(address, Trust::Trusted, service.now_secs()) {
        Ok(place) => place,
        Err(reason) => {
            refuse(service, stream, (peer, protocol), reason).await;
            return None;
        }
    };
    let deadline = stream.since() + config.limits.pre_login_time;
    let received = tokio::select! {
        biased;
        received = proxy::receive(&mut stream, deadline) => received,
        () = service.shutdown.patience(OPENING_PATIENCE) => return None,
    };
    match received {
        Ok(header) => {
            let client = peer.behind(&header, config);
            tracing::debug!(proxy = %peer, %client, "relayed by a proxy");
            Some((stream, client))
        }
        Err(error) => {
            refused::log_cause(service, Reason::ProxyHeader, &peer, &error);
            None
        }
    }
}

async fn accept_unix(socket: UnixListener, service: Arc<Service>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = service.shutdown.notified() => break,
            Some(ended) = connections.join_next() => note_end(ended),
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_local(stream, Arc::clone(&service)));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    if let Some(socket) = last_of(socket.into_std(), &service) {
        for (stream, _) in waiting(|| socket.accept()) {
            if let Ok(stream) =
                unblocked(stream, StdUnixStream::set_nonblocking, UnixStream::from_std)
            {
                connections.spawn(serve_local(stream, Arc::clone(&service)));
            }
        }
    }
    finish(connections, &service).await;
}

async fn serve_local(stream: UnixStream, service: Arc<Service>) {
    service.observe.metrics.connections.count(Spoken::Lmtp);
    crate::lmtp::serve(Stream::new(stream), service, Peer::LOCAL).await;
}

fn configure(stream: &TcpStream) {
    // Without these a connection works as well, only worse.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

async fn serve_tcp(stream: Stream, mut peer: Peer, protocol: Protocols, service: Arc<Service>) {
    if !peer.is_probe {
        let connections = &service.observe.metrics.connections;
        connections.count(protocol.into());
    }
    match protocol {
        Protocols::Lmtp => crate::lmtp::serve(stream, service, peer).await,
        Protocols::Imap => crate::connection::serve(stream, service, peer).await,
        Protocols::Imaps => {
            let Some(tls) = service.tls.clone() else {
                return;
            };
            let Ok(share) = service.pre_login.enter(Protection::Tls) else {
                let reason = Reason::PreLoginPool;
                return refuse(&service, stream, (peer, protocol), reason).await;
            };
            let limit = service.config.limits.handshake_time;
            let shaken = tokio::select! {
                biased;
                shaken = stream.start_tls(&tls, limit) => shaken,
                // Nothing can be said in a handshake.
                () = service.shutdown.patience(OPENING_PATIENCE) => return,
            };
            match shaken {
                Ok(stream) => {
                    if !peer.is_probe {
                        service.observe.shaken(&stream);
                    }
                    // The connection takes its own.
                    drop(share);
                    if peer.protection == Protection::Plain {
                        peer.protection = Protection::Tls;
                    }
                    crate::connection::serve(stream, service, peer).await;
                }
                Err(error) => refused::handshake(&service, &peer, &error),
            }
        }
    }
}

/// Says why, where that can be said without a handshake.
async fn refuse(
    service: &Service,
    mut stream: Stream,
    (peer, protocol): (Peer, Protocols),
    reason: Reason,
) {
    refused::log(service, reason, &peer, Claims::default());
    let mut answer = Vec::new();
    match protocol {
        Protocols::Imap => {
            let (code, text) = reason.bye();
            let bye = wire::imap::response::Untagged::Bye(code, text.into());
            let encoder = wire::encode::Encoder::new(wire::encode::Mode::REV1);
            encoder.untagged(&mut answer, &bye);
        }
        Protocols::Lmtp => {
            wire::lmtp::reply::Reply::Unavailable("too many connections").encode(&mut answer)
        }
        Protocols::Imaps => return,
    }
    let told = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    // The peer may be gone; it is refused in any case.
    let _ = tokio::time::timeout(REFUSAL_TIME_MAX, told).await;
}

/// Drops what a peer still sends after it was told that the connection ends, until it has closed its
/// side too: a socket that is closed with bytes unread is reset, and what was said last may be lost
/// with it. A peer that does not leave is left.
pub(crate) async fn linger(reader: &mut (impl AsyncRead + Unpin)) {
    let drained = async {
        let mut dropped = 0;
        let mut buffer = vec![0; 1_024];
        while dropped < LINGER_BYTES_MAX {
            match reader.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(count) => dropped += count,
            }
        }
    };
    let _ = tokio::time::timeout(LINGER_TIME, drained).await;
}

/// A panic ends one connection and is never silent.
pub(crate) fn note_end(ended: Result<(), JoinError>) {
    let _ended: Option<()> = without_fault(ended);
}

/// What a task came to; nothing if it ended by a panic, which is counted, or was given up.
pub(crate) fn without_fault<T>(ended: Result<T, JoinError>) -> Option<T> {
    ended
        .inspect_err(|error| {
            if error.is_panic() {
                crate::log::count_panic();
                tracing::error!(%error, "a connection ended by a fault in the program");
            }
        })
        .ok()
}

/// Waits for connections that were told to end; soon after they are to be cut they are gone.
pub(crate) async fn finish(mut connections: JoinSet<()>, service: &Service) {
    let all = async {
        while let Some(ended) = connections.join_next().await {
            note_end(ended);
        }
    };
    let cut = async {
        service.shutdown.over().await;
        tokio::time::sleep(LAST_WORDS_TIME).await;
    };
    tokio::select! {
        biased;
        () = all => return,
        () = cut => {}
    }
    tracing::warn!(
        count = connections.len(),
        "connections did not end in time and are cut off"
    );
    connections.shutdown().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn threat_06_a_handshake_that_does_not_come_ends() {
        let directory = tempfile::tempdir().unwrap();
        let now = crate::serve::system_time();
        let source = crate::tls::self_signed(directory.path(), now).unwrap();
        let tls = Tls::new(&crate::tls::load(&source).unwrap()).unwrap();
        let (_silent, ours) = tokio::io::duplex(1_024);
        let begun = Instant::now();
        let shaken = Stream::new(ours)
            .start_tls(&tls, Duration::from_secs(15))
            .await;
        let waited = begun.elapsed().as_millis();
        assert!((15_000..=15_001).contains(&waited), "{waited}");
        assert_eq!(
            shaken.err().map(|error| error.kind()),
            Some(io::ErrorKind::TimedOut)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_as_long_as_is_set_by_whichever_door() {
        let directory = tempfile::tempdir().unwrap();
        let (service, _) = with_tls(directory.path(), &["Limits:HandshakeTime=7s"]);
        for (protocol, first) in [(Protocols::Imaps, ""), (Protocols::Imap, "a STARTTLS\r\n")] {
            let (mut silent, theirs) = tokio::io::duplex(4_096);
            let begun = Instant::now();
            let service = Arc::clone(&service);
            let serving = serve_tcp(Stream::new(theirs), Peer::LOCAL, protocol, service);
            let serving = tokio::spawn(serving);
            silent.write_all(first.as_bytes()).await.unwrap();
            let mut told = String::new();
            silent.read_to_string(&mut told).await.unwrap();
            let waited = begun.elapsed().as_millis();
            assert!((7_000..=7_001).contains(&waited), "{protocol:?}: {waited}");
            assert_eq!(told.contains("a OK"), !first.is_empty(), "{told}");
            serving.await.unwrap();
        }
    }

    /// A server with a certificate of its own and these settings.
    fn with_tls(
        directory: &Path,
        set: &[&str],
    ) -> (Arc<Service>, crate::config::CertificateSource) {
        let source = crate::tls::self_signed(directory, crate::serve::system_time()).unwrap();
        let tls = Tls::new(&crate::tls::load(&source).unwrap()).unwrap();
        let options = crate::config::Options {
            set: set.iter().map(|set| (*set).to_owned()).collect(),
            ..Default::default()
        };
        let config = Arc::new(crate::config::load(&options).unwrap().config);
        let clock = Arc::new(store::clock::ManualClock::new(1_795_305_600));
        let store = store::embedded::EmbeddedStore::open(
            &directory.join("store"),
            config.store_options(),
            Arc::clone(&clock) as _,
        );
        let service = Service::new(config, store.unwrap(), Some(tls), clock);
        (Arc::new(service), source)
    }

    #[tokio::test]
    async fn connections_and_handshakes_are_counted() {
        use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
        let directory = tempfile::tempdir().unwrap();
        let (service, source) = with_tls(directory.path(), &[]);
        let mut roots = rustls::RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(&source.path).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        for (protocol, is_tls, talk) in [
            (Protocols::Imap, false, "a LOGOUT\r\n"),
            (Protocols::Lmtp, false, "QUIT\r\n"),
            (Protocols::Imaps, true, "a LOGOUT\r\n"),
            (Protocols::Imaps, false, "no TLS at all\r\n"),
            (Protocols::Imaps, false, ""),
        ] {
            let (ours, theirs) = tokio::io::duplex(64 * 1_024);
            let service = Arc::clone(&service);
            let serving = serve_tcp(Stream::new(theirs), Peer::LOCAL, protocol, service);
            let serving = tokio::spawn(serving);
            let mut client: Box<dyn Transport> = Box::new(ours);
            if is_tls {
                let name = ServerName::try_from("localhost").unwrap();
                client = Box::new(connector.connect(name, client).await.unwrap());
            }
            client.write_all(talk.as_bytes()).await.unwrap();
            client.flush().await.unwrap();
            client.shutdown().await.unwrap();
            // How it ends is not what this is about.
            let _ = client.read_to_end(&mut Vec::new()).await;
            serving.await.unwrap();
        }
        for (name, label, expected) in [
            ("server.connections", "imap", 1.0),
            ("server.connections", "lmtp", 1.0),
            ("server.connections", "imaps", 3.0),
            ("tls.handshakes", "1.3", 1.0),
            ("tls.handshakes", "1.2", 0.0),
            ("tls.handshakes", "failed", 1.0),
            ("tls.handshakes", "given-up", 1.0),
        ] {
            let counted = crate::observe::tests::value(&service, name, label).await;
            assert_eq!(counted, Some(expected), "{name} {label}");
        }
    }

    #[tokio::test]
    async fn a_task_that_ends_by_a_panic_is_counted_and_one_that_is_given_up_is_not() {
        let before = crate::log::panics();
        let done = tokio::spawn(async { 7 }).await;
        assert_eq!(without_fault(done), Some(7));
        let given_up = tokio::spawn(std::future::pending::<u8>());
        given_up.abort();
        assert_eq!(without_fault(given_up.await), None);
        assert_eq!(crate::log::panics(), before);
        let faulty = tokio::spawn(async {
            let text = std::hint::black_box("no number");
            text.parse::<u8>().expect("a fault of the test's own")
        });
        assert_eq!(without_fault(faulty.await), None);
        assert_eq!(crate::log::panics(), before + 1);
    }

    #[tokio::test]
    async fn a_port_in_use_is_named_with_ways_out() {
        let addresses = [IpAddr::from([127, 0, 0, 1])];
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let problem = bind_addresses("Imap:Port", &addresses, port, |_| None).unwrap_err();
        assert_eq!(problem.to_what, format!("Imap:Port, 127.0.0.1:{port}"));
        assert!(problem.next.contains("another port"), "{problem}");
        assert!(
            bind_addresses("Imap:Port", &addresses, 0, |_| None)
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_socket_nobody_serves_is_replaced_and_one_in_use_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/x.sock");
        let first = bind_path(&path, 0o600).unwrap();
        assert!(
            bind_path(&path, 0o600)
                .unwrap_err()
                .what
                .contains("another server")
        );
        drop(first);
        assert!(path.exists() && bind_path(&path, 0o600).is_ok());
        let mode = std::fs::metadata(path.parent().unwrap())
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, DIRECTORY_MODE);
        std::fs::write(directory.path().join("file"), "").unwrap();
        assert!(bind_path(&directory.path().join("file"), 0o600).is_err());
    }

    #[test]
    fn a_peer_is_loopback_if_both_ends_are() {
        let config = crate::config::load(&crate::config::Options::default())
            .unwrap()
            .config;
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (peer, local, loopback, trust) in [
            ("127.0.0.1:1", "127.0.0.1:143", true, Trust::Trusted),
            ("[::1]:1", "[::1]:143", true, Trust::Trusted),
            (
                "[::ffff:127.0.0.1]:1",
                "[::ffff:127.0.0.1]:143",
                true,
                Trust::Trusted,
            ),
            ("127.0.0.1:1", "192.0.2.1:143", false, Trust::Trusted),
            ("192.0.2.9:1", "127.0.0.1:143", false, Trust::Counted),
        ] {
            let found = Peer::of_tcp(at(peer), at(local), &config);
            assert_eq!(
                (found.loopback, found.trust),
                (loopback, trust),
                "{peer} {local}"
            );
        }
    }
}
