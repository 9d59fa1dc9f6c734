//! The listening sockets of a server: bound by itself, opened by systemd before it was started
//! (`LISTEN_FDS`, sd_listen_fds(3)), or handed over by the server that it takes the place of. They
//! belong to nobody who accepts: who serves gets duplicates, so that a socket and the connections
//! that wait in it outlast whoever served it.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdTcpListener},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{fs::MetadataExt as _, net::UnixListener as StdUnixListener},
    },
    path::{Path, PathBuf},
};

use listenfd::ListenFd;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, UnixListener};

use crate::{
    admin,
    config::Config,
    listen::{self, Protocols},
    problem::{Problem, Problems},
};

/// What a socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// IMAP, with STARTTLS if there is a certificate.
    Imap,
    /// IMAP over TLS.
    Imaps,
    /// LMTP.
    Lmtp,
    /// Health, over HTTP.
    Ops,
    /// Commands of administration.
    Admin,
}

/// Who opened a socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// This server or the one before it, as the configuration says.
    Configuration,
    /// systemd, whose word counts instead of the configuration's.
    System,
}

/// A socket that listens.
#[derive(Debug)]
pub struct Listener {
    /// What it is for.
    pub role: Role,
    /// Who opened it.
    pub origin: Origin,
    /// The socket itself.
    pub socket: Socket,
    /// The file by which a Unix socket that we bound is found.
    pub file: Option<FileId>,
}

impl Listener {
    /// Whether a socket is reached by this path: the same name, and not another socket that stands
    /// there by now. While ours is open, no other file gets its number.
    fn is_at(&self, path: &Path) -> bool {
        self.file.is_some()
            && self.socket.path().as_deref() == Some(path)
            && FileId::at(path) == self.file
    }
}

/// Which file stands at a path: its device and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FileId(u64, u64);

impl FileId {
    fn at(path: &Path) -> Option<Self> {
        let found = std::fs::symlink_metadata(path).ok()?;
        Some(Self(found.dev(), found.ino()))
    }
}

/// A TCP or Unix socket.
#[derive(Debug)]
pub enum Socket {
    /// On an address.
    Tcp(StdTcpListener),
    /// On a path.
    Unix(StdUnixListener),
}

impl Socket {
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(socket) => Some(socket.local_addr().ok()?.as_pathname()?.to_owned()),
        }
    }

    /// A descriptor as a socket that listens.
    ///
    /// # Errors
    /// It is none.
    pub fn of(descriptor: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(descriptor);
        if !socket.is_listener()? {
            return Err(io::Error::other("this socket does not listen"));
        }
        socket.set_nonblocking(true)?;
        Ok(if socket.local_addr()?.is_unix() {
            Self::Unix(OwnedFd::from(socket).into())
        } else {
            Self::Tcp(socket.into())
        })
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(socket) => socket.as_fd(),
            Self::Unix(socket) => socket.as_fd(),
        }
    }
}

/// Sockets that listen.
#[derive(Debug, Default)]
pub struct Sockets(pub Vec<Listener>);

/// Duplicates for those who accept.
#[derive(Default)]
pub struct Listening {
    /// IMAP and LMTP.
    pub tcp: Vec<(Protocols, TcpListener)>,
    /// LMTP on this machine.
    pub lmtp: Vec<UnixListener>,
    /// Health.
    pub ops: Vec<TcpListener>,
    /// Administration.
    pub admin: Vec<UnixListener>,
}

impl Sockets {
    /// What systemd opened. Must be called while the program has one thread: it takes the
    /// variables out of the environment, so that no program that is started from here sees them.
    ///
    /// # Errors
    /// A socket whose name (`FileDescriptorName=`) says nothing.
    pub fn of_system() -> Result<Self, Problems> {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut given = ListenFd::from_env();
        let (mut sockets, mut problems) = (Self::default(), Problems::default());
        for at in 0..given.len() {
            match of_system(&mut given, at, names.next().unwrap_or_default()) {
                Ok(listener) => sockets.0.push(listener),
                Err(problem) => problems.0.push(problem),
            }
        }
        problems.or(sockets)
    }

    /// Everything that the configuration names: what is given already is used, the rest is bound.
    /// What is given and not named stays in `given`; of that, what systemd opened is used in any
    /// case.
    ///
    /// # Errors
    /// Each socket that cannot be bound.
    pub fn bind(config: &Config, tls: Tls, given: &mut Self) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut sockets = given.taken(|listener| listener.origin == Origin::System);
        if tls == Tls::Off
            && let Some(at) = sockets.0.iter().position(|one| one.role == Role::Imaps)
        {
            let place = format!("socket {} of LISTEN_FDS, imaps", at);
            let next = "set Imap:CertificatePath, or take the socket out of the unit";
            let problem = Problem::new("there is no certificate for this socket", place, next);
            problems.0.push(problem);
        }
        for wanted in wanted(config, tls) {
            if sockets
                .0
                .iter()
                .any(|one| one.role == wanted.role && one.origin == Origin::System)
            {
                continue;
            }
            match wanted.bind(given) {
                Ok(bound) => sockets.0.extend(bound),
                Err(problem) => problems.0.push(problem),
            }
        }
        // Where another socket stands by now there is nothing to remove later.
        let paths: Vec<_> = sockets
            .0
            .iter()
            .filter_map(|one| one.socket.path())
            .collect();
        given.taken(|one| one.socket.path().is_some_and(|path| paths.contains(&path)));
        problems.or(sockets)
    }

    /// Why a port cannot be bound, where that is because another server has it that is to be
    /// replaced: it keeps what it has until the new one serves.
    fn explain(&self, problem: Problem, port: u16) -> Problem {
        let addresses = self.0.iter().filter_map(|one| one.socket.address());
        let Some(held) = addresses.into_iter().find(|held| held.port() == port) else {
            return problem;
        };
        let what = format!(
            "the server that is to be replaced has this port, at {held}, and another address or \
             protocol on it cannot be taken over"
        );
        let next = "restart in the ordinary way, as by `systemctl restart relate-imap`";
        Problem::new(what, problem.to_what, next)
    }

    fn taken(&mut self, is_wanted: impl Fn(&Listener) -> bool) -> Self {
        Self(
            self.0
                .extract_if(.., |listener| is_wanted(listener))
                .collect(),
        )
    }

    /// Where this is spoken.
    #[must_use]
    pub fn addresses(&self, role: Role) -> Vec<SocketAddr> {
        let of_role = self.0.iter().filter(|listener| listener.role == role);
        of_role
            .filter_map(|listener| listener.socket.address())
            .collect()
    }

    /// The paths on which this is spoken.
    #[must_use]
    pub fn paths(&self, role: Role) -> Vec<PathBuf> {
        let of_role = self.0.iter().filter(|listener| listener.role == role);
        of_role
            .filter_map(|listener| listener.socket.path())
            .collect()
    }

    /// Duplicates for those who accept.
    ///
    /// # Errors
    /// The process has no descriptors left.
    pub fn listen(&self) -> io::Result<Listening> {
        let mut listening = Listening::default();
        for listener in &self.0 {
            match &listener.socket {
                Socket::Tcp(socket) => {
                    let socket = TcpListener::from_std(socket.try_clone()?)?;
                    match listener.role {
                        Role::Ops => listening.ops.push(socket),
                        Role::Imap => listening.tcp.push((Protocols::Imap, socket)),
                        Role::Imaps => listening.tcp.push((Protocols::Imaps, socket)),
                        Role::Lmtp | Role::Admin => listening.tcp.push((Protocols::Lmtp, socket)),
                    }
                }
                Socket::Unix(socket) => {
                    let socket = UnixListener::from_std(socket.try_clone()?)?;
                    match listener.role {
                        Role::Admin => listening.admin.push(socket),
                        _ => listening.lmtp.push(socket),
                    }
                }
            }
        }
        Ok(listening)
    }

    /// Removes the files of sockets that nobody serves any more, since they would only mislead;
    /// those of systemd are its own.
    pub fn unlink(&self) {
        for listener in &self.0 {
            if listener.origin == Origin::Configuration
                && let Some(path) = listener.socket.path()
                && listener.is_at(&path)
            {
                // The next server replaces it in any case.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Whether there is a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// There is.
    On,
    /// There is none: nothing listens for TLS.
    Off,
}

fn of_system(given: &mut ListenFd, at: usize, name: &str) -> Result<Listener, Problem> {
    let unusable = |what: String, next: &str| {
        Problem::new(what, format!("socket {at} of LISTEN_FDS, `{name}`"), next)
    };
    let role = match name {
        "imap" => Role::Imap,
        "imaps" => Role::Imaps,
        "lmtp" => Role::Lmtp,
        "ops" => Role::Ops,
        _ => {
            return Err(unusable(
                "the name of a socket from systemd does not say what it is for".to_owned(),
                "set FileDescriptorName= in its unit to imap, imaps, lmtp or ops, one unit for each",
            ));
        }
    };
    let taken = match given.take_unix_listener(at) {
        Ok(socket) => Ok(socket.map(OwnedFd::from)),
        Err(_) => given
            .take_tcp_listener(at)
            .map(|socket| socket.map(OwnedFd::from)),
    };
    let socket = taken.and_then(|socket| Socket::of(socket.ok_or(io::ErrorKind::NotFound)?));
    let next = "use ListenStream= and Accept=no in its unit";
    match socket {
        Ok(Socket::Unix(_)) if role != Role::Lmtp => {
            let what = "only LMTP is spoken on a Unix socket".to_owned();
            Err(unusable(what, "name an address and a port in its unit"))
        }
        Ok(socket) => Ok(Listener {
            role,
            origin: Origin::System,
            socket,
            file: None,
        }),
        Err(error) => Err(unusable(
            format!("this is no socket that listens: {error}"),
            next,
        )),
    }
}

/// A socket that the configuration names.
struct Wanted {
    role: Role,
    place: Place,
}

enum Place {
    Port(&'static str, Vec<std::net::IpAddr>, u16),
    Path(PathBuf, u32),
}

fn wanted(config: &Config, tls: Tls) -> Vec<Wanted> {
    let imap = &config.imap;
    let secure_port = if tls == Tls::On { imap.secure_port } else { 0 };
    let port = |role, key, addresses: &[std::net::IpAddr], port| Wanted {
        role,
        place: Place::Port(key, addresses.to_vec(), port),
    };
    let mut wanted = vec![
        port(Role::Imap, "Imap:Port", &imap.addresses.0, imap.port),
        port(
            Role::Imaps,
            "Imap:SecurePort",
            &imap.addresses.0,
            secure_port,
        ),
        port(
            Role::Lmtp,
            "Lmtp:Port",
            &config.lmtp.addresses.0,
            config.lmtp.port,
        ),
    ];
    if let Some(path) = &config.lmtp.socket_path {
        wanted.push(Wanted {
            role: Role::Lmtp,
            place: Place::Path(path.clone(), listen::SOCKET_MODE),
        });
    }
    if let Some(url) = &config.health_check.url {
        let hosts: Vec<_> = url.addresses().iter().map(SocketAddr::ip).collect();
        wanted.push(port(Role::Ops, "HealthCheck:Url", &hosts, url.port));
    }
    if let Ok(path) = admin::socket::path(config) {
        wanted.push(Wanted {
            role: Role::Admin,
            place: Place::Path(path, admin::socket::MODE),
        });
    }
    wanted
}

impl Wanted {
    /// The sockets, given or bound.
    fn bind(self, given: &mut Sockets) -> Result<Vec<Listener>, Problem> {
        let Self { role, place } = self;
        let listener = |socket, file| Listener {
            role,
            origin: Origin::Configuration,
            socket,
            file,
        };
        match place {
            Place::Port(key, addresses, port) => {
                let bound = listen::bind_addresses(key, &addresses, port, |address| {
                    let same =
                        |one: &Listener| one.role == role && one.socket.address() == Some(address);
                    given
                        .taken(same)
                        .0
                        .into_iter()
                        .find_map(|listener| match listener.socket {
                            Socket::Tcp(socket) => Some(socket),
                            Socket::Unix(_) => None,
                        })
                });
                let bound = bound.map_err(|problem| given.explain(problem, port))?;
                Ok(bound
                    .into_iter()
                    .map(|socket| listener(Socket::Tcp(socket), None))
                    .collect())
            }
            Place::Path(path, mode) => {
                let found = given.taken(|one| one.role == role && one.is_at(&path)).0;
                if !found.is_empty() {
                    return Ok(found);
                }
                let bound = listen::bind_path(&path, mode)?;
                Ok(vec![listener(Socket::Unix(bound), FileId::at(&path))])
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Options, load};

    fn config(set: &[String]) -> Config {
        let options = Options {
            set: set.to_vec(),
            ..Options::default()
        };
        load(&options).unwrap().config
    }

    fn settings(directory: &Path, port: u16) -> Vec<String> {
        vec![
            format!("Store:Path={}", directory.display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={port}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Port=0".to_owned(),
            "HealthCheck:Url=".to_owned(),
        ]
    }

    fn taken_over(set: &[String], given: &mut Sockets) -> Result<Sockets, Problems> {
        Sockets::bind(&config(set), Tls::Off, given)
    }

    /// A server's sockets, and the settings that name them.
    fn bound(directory: &Path) -> (Sockets, Vec<String>) {
        let free = StdTcpListener::bind("127.0.0.1:0").unwrap();
        let set = settings(directory, free.local_addr().unwrap().port());
        drop(free);
        let bound = taken_over(&set, &mut Sockets::default()).unwrap();
        (bound, set)
    }

    #[tokio::test]
    async fn another_address_on_the_same_port_needs_an_ordinary_restart() {
        let directory = tempfile::tempdir().unwrap();
        let (mut given, mut set) = bound(directory.path());
        set[1] = "Imap:Addresses=0.0.0.0".to_owned();
        let problems = taken_over(&set, &mut given).unwrap_err();
        let problem = &problems.0[0];
        assert!(problem.what.contains("to be replaced"), "{problem}");
        assert!(problem.next.contains("ordinary"), "{problem}");
    }

    #[tokio::test]
    async fn only_our_own_socket_file_passes_for_ours() {
        let directory = tempfile::tempdir().unwrap();
        let (mut given, set) = bound(directory.path());
        let path = directory.path().join("run/admin.sock");
        let mut given = taken_over(&set, &mut given).unwrap();
        assert_eq!(given.paths(Role::Admin), [path.as_path()]);
        // Somebody else's, who is gone.
        std::fs::remove_file(&path).unwrap();
        drop(StdUnixListener::bind(&path).unwrap());
        let theirs = FileId::at(&path);
        given.unlink();
        assert_eq!(FileId::at(&path), theirs, "what is not ours stays");
        let again = taken_over(&set, &mut given).unwrap();
        let reached = std::os::unix::net::UnixStream::connect(&path);
        assert!(reached.is_ok(), "it is replaced");
        again.unlink();
        assert!(!path.exists());
    }
}
