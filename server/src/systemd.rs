//! What systemd is told, and when it is told that all is well (sd_notify(3), systemd.service(5)):
//! `Type=notify`, `WatchdogSec=`, the line that `systemctl status` shows, and more time where
//! something takes long. Without `NOTIFY_SOCKET` in the environment nobody is told anything.

use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use crate::service::Service;

/// Where systemd listens.
pub(crate) const SOCKET: &str = "NOTIFY_SOCKET";
/// How often it is told how things stand, if the watchdog does not want that more often.
const STATUS_EVERY: Duration = Duration::from_secs(10);
/// How often more time is asked for.
const EXTEND_EVERY: Duration = Duration::from_secs(5);
/// How much.
const EXTEND_BY: Duration = Duration::from_secs(30);

/// Something that systemd is told.
#[derive(Clone, Copy, Debug)]
pub enum State<'a> {
    /// The server serves.
    Ready,
    /// The configuration of certificates is being read again.
    Reloading,
    /// The server stops.
    Stopping,
    /// How things stand, for people.
    Status(&'a str),
    /// The main process is this one from now on.
    MainPid(u32),
    /// The process and its store are alive.
    Watchdog,
    /// What is under way takes this much longer.
    Extend(Duration),
}

impl State<'_> {
    fn line(self) -> String {
        match self {
            Self::Ready => "READY=1".to_owned(),
            // Type=notify-reload wants to know which reload this is about.
            Self::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let usec = now
                    .tv_sec
                    .saturating_mul(1_000_000)
                    .saturating_add(now.tv_nsec / 1_000);
                format!("RELOADING=1\nMONOTONIC_USEC={usec}")
            }
            Self::Stopping => "STOPPING=1".to_owned(),
            Self::Status(text) => format!("STATUS={}", text.replace('\n', " ")),
            Self::MainPid(process) => format!("MAINPID={process}"),
            Self::Watchdog => "WATCHDOG=1".to_owned(),
            Self::Extend(time) => format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()),
        }
    }
}

/// Tells systemd, if it listens.
pub fn tell(states: &[State<'_>]) {
    let Some(socket) = std::env::var_os(SOCKET) else {
        return;
    };
    let lines: Vec<_> = states.iter().map(|state| state.line()).collect();
    if let Err(error) = send(&socket, lines.join("\n").as_bytes()) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

fn send(socket: &OsStr, message: &[u8]) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(message, &address)?;
    Ok(())
}

/// Asks for more time for as long as the work takes.
pub async fn patiently<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ask = async {
        loop {
            tokio::time::sleep(EXTEND_EVERY).await;
            tell(&[State::Extend(EXTEND_BY), State::Status(what)]);
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = ask => never,
    }
}

/// How long nobody may serve while one server takes the place of another, before systemd is no
/// longer told that all is well.
const UNSERVED_MAX: Duration = Duration::from_secs(60);

/// Who serves at the moment; nobody while one server takes the place of another.
pub type Serving = Arc<Mutex<Option<Arc<Service>>>>;

/// Tells systemd how things stand, and that all is well as long as it is: as long as this runs at
/// all, and no write to the store's log takes longer than the watchdog waits.
pub async fn report(serving: Serving) {
    if std::env::var_os(SOCKET).is_none() {
        return;
    }
    let watchdog = watchdog_interval();
    // Twice in its time, as sd_watchdog_enabled(3) advises.
    let every = watchdog.map_or(STATUS_EVERY, |interval| (interval / 2).min(STATUS_EVERY));
    let mut unserved = Duration::ZERO;
    loop {
        tokio::time::sleep(every).await;
        let service = serving.lock().clone();
        let Some(service) = service else {
            unserved += every;
            // One server takes the place of another; not for ever.
            if unserved <= UNSERVED_MAX {
                tell(&[State::Watchdog]);
            }
            continue;
        };
        unserved = Duration::ZERO;
        let text = status(&service);
        let is_alive = watchdog.is_none_or(|interval| service.store.busy_for() < interval);
        match is_alive {
            true => tell(&[State::Watchdog, State::Status(&text)]),
            false => {
                tracing::error!("the store has not written for too long; systemd will end this");
                tell(&[State::Status("the disk does not answer")]);
            }
        }
    }
}

/// How things stand, in a line.
#[must_use]
pub fn status(service: &Service) -> String {
    let sessions = service.sessions.count();
    let verb = match service.shutdown.has_begun() {
        true => "stopping",
        false => "serving",
    };
    let text = format!("{verb}; {sessions} sessions are logged in");
    match (service.store.health(), service.store.rebuilding()) {
        (Err(error), _) => format!("{text}; the store: {error}"),
        (Ok(()), Some(progress)) => format!("{text}; the index is made again: {progress}"),
        (Ok(()), None) => text,
    }
}

/// How often systemd wants to hear from this process, if it does (sd_watchdog_enabled(3)).
fn watchdog_interval() -> Option<Duration> {
    let own = std::process::id().to_string();
    // Without it any process is meant: that of a server that takes the place of another.
    if std::env::var("WATCHDOG_PID").is_ok_and(|process| process != own) {
        return None;
    }
    let usec: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_written_as_systemd_reads_them() {
        for (state, line) in [
            (State::Ready, "READY=1"),
            (State::Stopping, "STOPPING=1"),
            (State::Status("a\nREADY=1"), "STATUS=a READY=1"),
            (State::MainPid(7), "MAINPID=7"),
            (State::Watchdog, "WATCHDOG=1"),
            (
                State::Extend(Duration::from_secs(2)),
                "EXTEND_TIMEOUT_USEC=2000000",
            ),
        ] {
            assert_eq!(state.line(), line);
        }
        assert!(
            State::Reloading
                .line()
                .starts_with("RELOADING=1\nMONOTONIC_USEC=")
        );
    }

    #[test]
    fn sockets_are_paths_or_abstract_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let hears = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), b"READY=1").unwrap();
        let mut heard = [0; 16];
        assert_eq!(hears.recv(&mut heard).unwrap(), 7);
        let name = format!("relate-imap-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let hears = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), b"READY=1").unwrap();
        assert_eq!(hears.recv(&mut heard).unwrap(), 7);
    }
}
