//! Another process in the place of this one, without a moment in which nobody listens (`relate-imap
//! restart`, SIGUSR2). This half is the one that leaves; [`heir`] is the one that comes.
//!
//! ```text
//! leaving                                coming
//!   starts its own program, sends its
//!   listening sockets        ─────────►  reads configuration and certificates, takes the sockets
//!                            ◄─────────  ready
//!   tells sessions to leave, closes
//!   the store                ─────────►  opens the store, serves
//!                            ◄─────────  serving
//!   MAINPID to systemd, ends ─────────►  READY to systemd
//! ```
//!
//! Until `serving` the leaving server can go back: it has the sockets still, ends the other process,
//! opens the store again and serves (docs/decisions/0014-hot-restart.md).

use std::{
    ffi::OsString,
    fs,
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, BorrowedFd, OwnedFd},
        unix::{fs::MetadataExt as _, net::UnixStream as StdUnixStream},
    },
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg},
    process::{Pid, Signal, kill_process},
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
    process::{Child, Command},
};

use crate::{
    problem::Problem,
    sockets::{FileId, Origin, Role, Sockets},
    systemd,
};

pub mod heir;

/// How long running commands may go on when another process waits for the store.
pub const DRAIN_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the other process may take until it waits for nothing but the store.
const READY_TIME_MAX: Duration = Duration::from_secs(15);
/// How long it may take to open the store: nobody is served meanwhile.
const SERVING_TIME_MAX: Duration = Duration::from_secs(15);
/// A message, bytes.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;
/// The option that tells a server that it is to take the place of another, which is at the other
/// end of its standard input.
pub const OPTION: &str = "--inherit";

/// What the two processes say to each other, one JSON value a line.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// Leaving: here is a socket.
    Socket {
        role: Role,
        origin: Origin,
        file: Option<FileId>,
    },
    /// Leaving: those were all.
    Sockets,
    /// Coming: only the store is missing.
    Ready,
    /// Leaving: the store is yours.
    Open,
    /// Coming: served again.
    Serving,
    /// Coming: why it cannot be.
    Failed(String),
    /// Leaving: nobody but you serves any more.
    Over,
}

impl Message {
    fn line(&self) -> io::Result<String> {
        let mut line = serde_json::to_string(self)?;
        line.push('\n');
        Ok(line)
    }
}

/// How this process was started, so that it can be started again.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    /// Why its end would be taken for the service's.
    bound: Option<&'static str>,
}

impl Program {
    /// This one. Must be asked early: a package that is installed later puts another file in the
    /// place of this one, and that is the one to be started then.
    ///
    /// # Errors
    /// The system does not say where it is.
    pub fn own() -> io::Result<Self> {
        let mut arguments = std::env::args_os();
        let itself = std::env::current_exe()?;
        // A link that is set to another version later is to count then.
        let named = arguments.next().map(PathBuf::from);
        let named = named.filter(|path| path.is_absolute() && is_same(path, &itself));
        let arguments: Vec<_> = arguments.collect();
        let is_heir = arguments.iter().any(|argument| argument == OPTION);
        Ok(Self {
            path: named.unwrap_or(itself),
            bound: if is_heir { None } else { bound() },
            arguments: arguments
                .into_iter()
                .filter(|argument| argument != OPTION)
                .collect(),
        })
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let file = |path: &Path| fs::metadata(path).map(|it| (it.dev(), it.ino()));
    matches!((file(one), file(other)), (Ok(one), Ok(other)) if one == other)
}

/// Why the end of a process that nobody was before would be taken for the service's: a service
/// manager that is not told of another process (`Type=simple`), or the `init` of a container.
fn bound() -> Option<&'static str> {
    let is_told = std::env::var_os(systemd::SOCKET).is_some();
    if std::process::id() == 1 {
        return Some("this is the first process of its container, which ends with it");
    }
    let parent = rustix::process::getppid();
    (!is_told && parent == Some(Pid::INIT))
        .then_some("whoever started this takes its end for the end of the service")
}

/// The other process, while it is not certain that it will serve.
pub struct Successor {
    child: Child,
    line: BufReader<UnixStream>,
    place: String,
}

impl Successor {
    /// Starts it, gives it the sockets, and waits until only the store is missing.
    ///
    /// # Errors
    /// It could not be started, or does not get that far.
    pub async fn start(program: &Program, sockets: &Sockets) -> Result<Self, Problem> {
        let place = program.path.display().to_string();
        let next = "see that the program is there and may be run";
        let cannot = |error: io::Error| {
            let what = format!("the new process cannot be started: {error}");
            Problem::new(what, &place, next)
        };
        if let Some(what) = program.bound {
            let next = "restart the service or the container; under systemd have `Type=notify` in the unit";
            return Err(Problem::new(what, &place, next));
        }
        let (ours, theirs) = StdUnixStream::pair().map_err(cannot)?;
        let child = Command::new(&program.path)
            .args(&program.arguments)
            .arg(OPTION)
            // They speak of this process.
            .env_remove("WATCHDOG_PID")
            .env_remove("LISTEN_FDNAMES")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        // Few and small: they fit into the socket's buffer, whether the process reads them or not.
        let sent = send(&ours, sockets);
        ours.set_nonblocking(true).map_err(cannot)?;
        let line = BufReader::new(UnixStream::from_std(ours).map_err(cannot)?);
        let mut successor = Self { child, line, place };
        let ready = match sent {
            Ok(()) => successor.expect(&Message::Ready, READY_TIME_MAX).await,
            Err(_) => Err(successor.gone().await),
        };
        match ready {
            Ok(()) => Ok(successor),
            Err(problem) => {
                successor.end().await;
                Err(problem)
            }
        }
    }

    /// The number of the process.
    #[must_use]
    pub fn process(&self) -> Option<u32> {
        self.child.id()
    }

    /// Leaves the store to it, which nobody may have open any more, and waits until it serves.
    ///
    /// # Errors
    /// It does not.
    pub async fn take_over(&mut self) -> Result<(), Problem> {
        self.say(&Message::Open).await?;
        self.expect(&Message::Serving, SERVING_TIME_MAX).await
    }

    /// Tells it that it is alone from now on.
    pub async fn release(mut self) {
        // It serves, whether it hears this or the end of the connection.
        let _ = self.say(&Message::Over).await;
        // What would end it with this value.
        std::mem::forget(self.child);
    }

    /// Has it stop in order; when this returns it is gone.
    pub async fn stop(mut self, time_max: Duration) {
        if let Some(process) = self.child.id() {
            tell_to_stop(process);
        }
        if tokio::time::timeout(time_max, self.child.wait())
            .await
            .is_err()
        {
            self.end().await;
        }
    }

    /// Ends it. When this returns it is gone, and has no file open any more.
    pub async fn end(mut self) {
        if let Err(error) = self.child.kill().await {
            tracing::error!(%error, "the new process cannot be ended");
        }
    }

    async fn say(&mut self, message: &Message) -> Result<(), Problem> {
        let said = match message.line() {
            Ok(line) => self.line.get_mut().write_all(line.as_bytes()).await,
            Err(error) => Err(error),
        };
        match said {
            Ok(()) => Ok(()),
            Err(_) => Err(self.gone().await),
        }
    }

    async fn expect(&mut self, message: &Message, time_max: Duration) -> Result<(), Problem> {
        let mut line = String::new();
        let mut from = (&mut self.line).take(MESSAGE_BYTES_MAX as u64);
        let read = from.read_line(&mut line);
        let problem = |what: String, next| Problem::new(what, &self.place, next);
        match tokio::time::timeout(time_max, read).await {
            Err(_) => {
                let what = format!(
                    "the new process did not answer for {} s",
                    time_max.as_secs()
                );
                return Err(problem(what, "see its lines in the log"));
            }
            Ok(Ok(0) | Err(_)) => return Err(self.gone().await),
            Ok(Ok(_)) => {}
        }
        match serde_json::from_str(&line) {
            Ok(said) if said == *message => Ok(()),
            Ok(Message::Failed(why)) => Err(problem(
                format!("the new process cannot serve:\n{why}"),
                "put that right and restart again",
            )),
            _ => Err(problem(
                "the new process says something else than expected".to_owned(),
                "restart in the ordinary way if it is of another version",
            )),
        }
    }

    /// What became of a process that says nothing more.
    async fn gone(&mut self) -> Problem {
        let ended = tokio::time::timeout(Duration::from_secs(1), self.child.wait()).await;
        let what = match ended {
            Ok(Ok(status)) => format!("the new process ended: {status}"),
            _ => "the new process has closed the connection".to_owned(),
        };
        Problem::new(what, &self.place, "see its lines in the log")
    }
}

/// Has a server stop in order that took the place of this one.
pub fn tell_to_stop(process: u32) {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw);
    if let Some(process) = process {
        // It may have ended meanwhile.
        let _ = kill_process(process, Signal::TERM);
    }
}

/// Sends each socket with a line that says what it is.
fn send(to: &StdUnixStream, sockets: &Sockets) -> io::Result<()> {
    for listener in &sockets.0 {
        let message = Message::Socket {
            role: listener.role,
            origin: listener.origin,
            file: listener.file,
        };
        send_one(to, &message, &[listener.socket.as_fd()])?;
    }
    send_one(to, &Message::Sockets, &[])
}

fn send_one(
    to: &StdUnixStream,
    message: &Message,
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let line = message.line()?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut attached = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        attached.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    let line = IoSlice::new(line.as_bytes());
    sendmsg(to, &[line], &mut attached, SendFlags::NOSIGNAL)?;
    Ok(())
}
