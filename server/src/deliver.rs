//! `relate-imap deliver USER`: one message from standard input to an account, for mail servers
//! and scripts that run a program. It speaks LMTP: with the running server, or with the same code
//! in this process when none runs. Exit codes are those of sysexits(3).

use std::{
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    sync::Arc,
};

use store::clock::SystemClock;
use tempfile::SpooledTempFile;
use tokio::net::{TcpStream, UnixStream};

use crate::{
    admin::{
        client::{is_nobody_there, no_store},
        owner::become_owner,
        socket,
    },
    cli::Exit,
    config::{self, Config, Options},
    listen::{Peer, Stream},
    lmtp::{
        self,
        client::{Outcome, send},
    },
    ops::probe::reachable,
    problem::{Problem, Problems},
    serve::{Failure, open_store},
    service::Service,
};

/// Beyond this a message is kept in a file, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// Bytes handed on at once.
const STEP_BYTES: usize = 64 * 1024;

/// Delivers; what went wrong is told with `tell`.
pub fn main(options: &Options, user: &str, tell: fn(&Problems)) -> Exit {
    run(options, user).unwrap_or_else(|failure| {
        tell(&failure.problems);
        failure.exit
    })
}

fn run(options: &Options, user: &str) -> Result<Exit, Failure> {
    let loaded = config::load(options).map_err(|problems| Failure {
        exit: Exit::DeliverConfiguration,
        problems,
    })?;
    let message = Message::read(io::stdin().lock()).map_err(|error| unreadable(&error))?;
    become_owner(&loaded.config.store.path).map_err(|failure| Failure {
        exit: Exit::NoPermission,
        ..failure
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| try_later(&error, user))?;
    let outcome = runtime.block_on(deliver(&loaded.config, user, message))?;
    match exit_of(&outcome) {
        Exit::Fine => Ok(Exit::Fine),
        exit => {
            let what = format!("the message was not delivered: {}", outcome.text);
            Err(Failure::new(
                exit,
                Problem::new(what, user, "see the address and the account"),
            ))
        }
    }
}

fn unreadable(error: &io::Error) -> Failure {
    let what = format!("the message cannot be read: {error}");
    let problem = Problem::new(what, "standard input", "give one message on standard input");
    Failure::new(Exit::TempFail, problem)
}

fn try_later(error: &dyn std::fmt::Display, user: &str) -> Failure {
    let what = format!("the message cannot be delivered now: {error}");
    Failure::new(Exit::TempFail, Problem::new(what, user, "try again later"))
}

/// Hands the message to the running server, or to a server of its own over the store.
async fn deliver(config: &Config, user: &str, message: Message) -> Result<Outcome, Failure> {
    let lost = |error: io::Error| match error.kind() {
        io::ErrorKind::PermissionDenied => Failure {
            exit: Exit::NoPermission,
            ..try_later(&error, user)
        },
        _ => try_later(&error, user),
    };
    if let Some(path) = &config.lmtp.socket_path {
        match UnixStream::connect(path).await {
            Ok(stream) => return message.send(stream, user).await.map_err(lost),
            Err(error) if is_nobody_there(&error) => {}
            Err(error) => return Err(lost(error)),
        }
    }
    if !config.store.path.exists() {
        return Err(Failure {
            exit: Exit::TempFail,
            ..no_store(&config.store.path)
        });
    }
    // It has the store, also in the moment in which another takes its place and nobody has it open.
    if is_running(config).await {
        let stream = connect(config).await.map_err(lost)?;
        return message.send(stream, user).await.map_err(lost);
    }
    let store = match open_store(config).await {
        Ok(store) => store,
        Err(failure) => {
            return Err(Failure {
                exit: Exit::TempFail,
                ..failure
            });
        }
    };
    let service = Service::new(Arc::new(config.clone()), store, None, Arc::new(SystemClock));
    let service = Arc::new(service);
    let (ours, theirs) = tokio::io::duplex(STEP_BYTES);
    let serving = tokio::spawn(lmtp::serve(
        Stream::new(theirs),
        Arc::clone(&service),
        Peer::LOCAL,
    ));
    let outcome = message.send(ours, user).await;
    // The reply has come, so nothing is left to be served.
    let _ = serving.await;
    service.store.close().await;
    outcome.map_err(lost)
}

/// Whether a server serves the store.
async fn is_running(config: &Config) -> bool {
    match socket::path(config) {
        Ok(path) => UnixStream::connect(path).await.is_ok(),
        Err(_) => false,
    }
}

async fn connect(config: &Config) -> io::Result<TcpStream> {
    if config.lmtp.port == 0 {
        return Err(io::Error::other(
            "a server is running that takes no mail: set Lmtp:SocketPath or Lmtp:Port",
        ));
    }
    let mut last = io::ErrorKind::NotFound.into();
    for ip in &config.lmtp.addresses.0 {
        match TcpStream::connect(reachable((*ip, config.lmtp.port).into())).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn exit_of(outcome: &Outcome) -> Exit {
    match (
        outcome.code,
        outcome.text.split(' ').next().unwrap_or_default(),
    ) {
        (250, _) => Exit::Fine,
        (550, "5.2.1") => Exit::Unavailable,
        (550 | 553 | 501, _) => Exit::NoUser,
        (552 | 554, _) => Exit::DataError,
        (400..=499, _) => Exit::TempFail,
        _ => Exit::Software,
    }
}

/// How the lines of the input end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LineEnd {
    /// LF alone, which becomes CRLF.
    Lf,
    /// CRLF somewhere: the message is as it should be.
    Crlf,
}

/// A message read to its end.
struct Message {
    input: SpooledTempFile,
    line_end: LineEnd,
    /// Its size with CRLF, bytes.
    bytes: u64,
}

impl Message {
    /// Reads everything; the line with which an mbox begins a message is left out.
    fn read(source: impl io::Read) -> io::Result<Self> {
        let mut source = BufReader::with_capacity(STEP_BYTES, source);
        if source.fill_buf()?.starts_with(b"From ") {
            source.skip_until(b'\n')?;
        }
        let mut input = SpooledTempFile::new(MEMORY_BYTES_MAX);
        let (mut bytes, mut feeds, mut crlf, mut last) = (0_u64, 0_u64, false, 0);
        loop {
            let step = source.fill_buf()?;
            let length = step.len();
            if length == 0 {
                break;
            }
            for byte in step {
                if *byte == b'\n' {
                    feeds += 1;
                    crlf |= last == b'\r';
                }
                last = *byte;
            }
            input.write_all(step)?;
            bytes += length as u64;
            source.consume(length);
        }
        input.seek(SeekFrom::Start(0))?;
        let (line_end, bytes) = if crlf {
            (LineEnd::Crlf, bytes)
        } else {
            (LineEnd::Lf, bytes + feeds)
        };
        Ok(Self {
            input,
            line_end,
            bytes,
        })
    }

    /// The next bytes with CRLF; none at the end.
    fn step(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut step = vec![0; STEP_BYTES];
        let length = self.input.read(&mut step)?;
        out.clear();
        for byte in step.into_iter().take(length) {
            if byte == b'\n' && self.line_end == LineEnd::Lf {
                out.push(b'\r');
            }
            out.push(byte);
        }
        Ok(())
    }

    async fn send(
        mut self,
        stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
        user: &str,
    ) -> io::Result<Outcome> {
        let (mut feed, message) = tokio::io::duplex(STEP_BYTES);
        let bytes = self.bytes;
        let pump = async {
            let mut step = Vec::new();
            loop {
                self.step(&mut step)?;
                if step.is_empty() {
                    return Ok(());
                }
                tokio::io::AsyncWriteExt::write_all(&mut feed, &step).await?;
            }
        };
        let sent = send(stream, user, message, bytes);
        tokio::pin!(pump, sent);
        let pumped: io::Result<()>;
        tokio::select! {
            outcome = &mut sent => return outcome,
            done = &mut pump => pumped = done,
        }
        pumped?;
        sent.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> (Vec<u8>, u64) {
        let mut message = Message::read(input).unwrap();
        let mut all = Vec::new();
        let mut step = Vec::new();
        loop {
            message.step(&mut step).unwrap();
            if step.is_empty() {
                return (all, message.bytes);
            }
            all.extend_from_slice(&step);
        }
    }

    #[test]
    fn lines_end_in_crlf_unless_some_do() {
        for (input, expected) in [
            (&b"A: b\n\ntext\n"[..], &b"A: b\r\n\r\ntext\r\n"[..]),
            (b"A: b\r\n\r\ntext\nmore\r\n", b"A: b\r\n\r\ntext\nmore\r\n"),
            (b"From a Mon\nA: b\n", b"A: b\r\n"),
            (b"From: a\n", b"From: a\r\n"),
            (b"no end", b"no end"),
            (b"", b""),
        ] {
            let (found, bytes) = read(input);
            assert_eq!(found, expected);
            assert_eq!(bytes, expected.len() as u64);
        }
    }

    #[test]
    fn exit_codes_are_those_of_sysexits() {
        for (code, text, expected) in [
            (250, "2.0.0 delivered", 0),
            (550, "5.1.1 no such recipient", 67),
            (550, "5.2.1 recipient disabled", 69),
            (452, "4.2.2 mailbox full", 75),
            (552, "5.3.4 too large", 65),
            (554, "5.4.6 loop", 65),
            (501, "5.5.4 expected", 67),
            (421, "4.3.2 closing", 75),
            (500, "", 70),
        ] {
            let text = text.to_owned();
            assert_eq!(exit_of(&Outcome { code, text }).code(), expected, "{code}");
        }
    }
}
