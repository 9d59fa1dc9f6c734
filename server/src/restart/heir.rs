//! The server that comes: it is given the listening sockets of the one that leaves, does everything
//! that can be done without the store, and waits for the store (see [`super`]).

use std::{
    io::{self, IoSliceMut, Write as _},
    mem::MaybeUninit,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::AsyncReadExt as _;

use super::{MESSAGE_BYTES_MAX, Message};
use crate::{
    cli::Exit,
    problem::{Problem, Problems},
    serve::Failure,
    sockets::{Listener, Socket, Sockets},
};

/// How long it may take to be given the sockets: they are sent before anything else happens.
const SOCKETS_TIME_MAX: Duration = Duration::from_secs(10);

/// The connection to the server that leaves.
pub struct Heir {
    line: UnixStream,
}

impl Heir {
    /// Takes the connection from standard input, and the sockets that come over it. Must be called
    /// while the program has one thread.
    ///
    /// # Errors
    /// Standard input is no such connection.
    pub fn new() -> Result<(Self, Sockets), Failure> {
        Self::begin().map_err(|error| {
            let what =
                format!("standard input does not lead to a server to take over from: {error}");
            let next = "`relate-imap restart` starts this; to start a server leave the option out";
            Failure::new(Exit::Configuration, Problem::new(what, super::OPTION, next))
        })
    }

    fn begin() -> io::Result<(Self, Sockets)> {
        let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        line.set_read_timeout(Some(SOCKETS_TIME_MAX))?;
        let mut sockets = Sockets::default();
        loop {
            match receive(&line)? {
                (Message::Socket { role, origin, file }, Some(descriptor)) => {
                    sockets.0.push(Listener {
                        role,
                        origin,
                        file,
                        socket: Socket::of(descriptor)?,
                    })
                }
                (Message::Sockets, None) => break,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
        line.set_read_timeout(None)?;
        // What this process starts itself must not hold the connection.
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        Ok((Self { line }, sockets))
    }

    /// Says that only the store is missing, and waits for it.
    ///
    /// # Errors
    /// The other server is gone, or has thought better of it.
    pub async fn wait_for_store(&self) -> Result<(), Failure> {
        let told = match self.say(&Message::Ready) {
            Ok(()) => self.hear().await,
            Err(error) => Err(error),
        };
        match told {
            Ok(Message::Open) => Ok(()),
            _ => Err(Failure::new(
                Exit::Failed,
                Problem::new(
                    "the server to take over from did not leave",
                    "the restart",
                    "see its lines in the log",
                ),
            )),
        }
    }

    /// Says that this process serves, and waits until it is the only one.
    pub async fn serves(&self) {
        // Whoever serves goes on, whatever becomes of the other.
        if self.say(&Message::Serving).is_ok() {
            let _ = self.hear().await;
        }
    }

    /// Says why this process cannot serve.
    pub fn fails(&self, problems: &Problems) {
        let mut why = problems.to_string();
        why.truncate(why.floor_char_boundary(MESSAGE_BYTES_MAX / 4));
        // Its end says it too.
        let _ = self.say(&Message::Failed(why));
    }

    fn say(&self, message: &Message) -> io::Result<()> {
        (&self.line).write_all(message.line()?.as_bytes())
    }

    /// The next message; no other comes before that is answered.
    async fn hear(&self) -> io::Result<Message> {
        let line = self.line.try_clone()?;
        line.set_nonblocking(true)?;
        let mut line = tokio::net::UnixStream::from_std(line)?;
        let mut heard = vec![0; MESSAGE_BYTES_MAX];
        let count = line.read(&mut heard).await?;
        heard.truncate(count);
        Ok(serde_json::from_slice(&heard)?)
    }
}

/// A message and the descriptor that came with it. Each is sent as a whole, and what follows a
/// descriptor is never received with it (unix(7)).
fn receive(line: &UnixStream) -> io::Result<(Message, Option<OwnedFd>)> {
    let mut heard = Vec::new();
    let mut descriptor = None;
    // One that came without a descriptor may be followed by the next: read to the end of a line.
    while !heard.ends_with(b"\n") && heard.len() < MESSAGE_BYTES_MAX {
        let mut byte = [0; 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut attached = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(&mut byte)];
        let received = recvmsg(line, into, &mut attached, RecvFlags::CMSG_CLOEXEC)?;
        for message in attached.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                descriptor = descriptors.next().or(descriptor);
            }
        }
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        heard.extend_from_slice(&byte);
    }
    Ok((serde_json::from_slice(&heard)?, descriptor))
}
