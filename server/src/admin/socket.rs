//! The socket of a running server through which commands reach it: one JSON value a line, a
//! request and its answer; or a request for an IMAP session, which then follows. It is in the store's directory, and only the server's own user and
//! root may use it.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
        BufWriter,
    },
    net::{UnixListener, UnixStream},
    sync::mpsc::error::TrySendError,
    task::JoinSet,
};

use super::{
    AppPasswordRequest, Request, execute, find,
    follow::{FollowRequest, ToSocket},
    history, live, trace,
};
use crate::{
    config::Config,
    connection,
    listen::{self, Stream},
    problem::Problem,
    service::Service,
};

/// Where the socket is in the store's directory.
const PATH: &str = "run/admin.sock";
/// A Unix socket's path with its closing NUL must fit into 108 bytes.
const PATH_BYTES_MAX: usize = 107;
/// Its owner alone.
pub(crate) const MODE: u32 = 0o600;
/// A request, bytes.
const REQUEST_BYTES_MAX: u64 = 1 << 20;
/// How long a command may take to send its request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(10);
/// How long after the server began to stop it may still take.
const REQUEST_PATIENCE: Duration = Duration::from_secs(1);
/// How long after an accept failed the next is tried.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where the socket of the server with this configuration is.
///
/// # Errors
/// Its path is too long for a socket.
pub fn path(config: &Config) -> Result<PathBuf, Problem> {
    let path = config.store.path.join(PATH);
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(Problem::new(
            format!("the administration's socket has a path longer than {PATH_BYTES_MAX} bytes"),
            path.display().to_string(),
            "choose a shorter Store:Path",
        ));
    }
    Ok(path)
}

/// Serves commands until the server stops.
pub async fn serve(socket: UnixListener, service: Arc<Service>) {
    let mut commands = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            () = service.shutdown.notified() => break,
            Some(ended) = commands.join_next() => listen::note_end(ended),
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    commands.spawn(serve_command(stream, Arc::clone(&service)));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    drop(socket);
    listen::finish(commands, &service).await;
}

async fn serve_command(stream: UnixStream, service: Arc<Service>) {
    if let Err(error) = answer(stream, &service).await {
        tracing::debug!(%error, "administration");
    }
}

/// Asks for an IMAP session instead of an answer: what follows `{"ok":null}` is its greeting.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionRequest {
    /// The name or an alias of the account.
    pub(crate) session: String,
}

async fn answer(stream: UnixStream, service: &Arc<Service>) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let own = rustix::process::geteuid().as_raw();
    if user != own && user != 0 {
        tracing::warn!(user, "administration refused to another user");
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut reader = BufReader::new(stream.take(REQUEST_BYTES_MAX));
    let mut line = String::new();
    let read = tokio::select! {
        biased;
        read = tokio::time::timeout(REQUEST_TIME_MAX, reader.read_line(&mut line)) => read,
        () = service.shutdown.patience(REQUEST_PATIENCE) => return Err(io::ErrorKind::TimedOut.into()),
    };
    match read {
        Ok(read) => read?,
        Err(_) => return Err(io::ErrorKind::TimedOut.into()),
    };
    if let Ok(RestartRequest::Restart) = serde_json::from_str(&line) {
        return restart(reader.into_inner().into_inner(), service).await;
    }
    if let Ok(SessionRequest { session }) = serde_json::from_str(&line) {
        let mut stream = reader.into_inner().into_inner();
        let found = find(&*service.store, &session);
        let is_found = found.is_ok();
        write(&mut stream, found.map(|_| Value::Null)).await?;
        if is_found {
            connection::serve_account(Stream::new(stream), Arc::clone(service), &session).await;
        }
        return Ok(());
    }
    if let Ok(request) = serde_json::from_str(&line) {
        let mut stream = reader.into_inner().into_inner();
        write(&mut stream, live::execute(service, request)).await?;
        return stream.shutdown().await;
    }
    if let Ok(request) = serde_json::from_str(&line) {
        return follow(reader.into_inner().into_inner(), service, request).await;
    }
    let done = match serde_json::from_str::<Request>(&line) {
        Ok(request) => {
            if matches!(
                request,
                Request::AppPassword(AppPasswordRequest::List { .. })
            ) {
                service.auth.write_uses().await;
            }
            execute(&*service.store, request).await
        }
        Err(error) => Err(Problem::new(
            // What it says besides may hold what was sent, and that may be a secret.
            format!(
                "the server does not understand this command, from character {} on",
                error.column()
            ),
            "the running server",
            "use the program of the server's own version",
        )),
    };
    let mut stream = reader.into_inner().into_inner();
    write(&mut stream, done).await?;
    stream.shutdown().await
}

/// Answers a request a line at a time.
async fn follow(
    stream: UnixStream,
    service: &Arc<Service>,
    request: FollowRequest,
) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    let (mut from, to) = stream.into_split();
    let mut to = ToSocket(BufWriter::new(to));
    let following = async {
        match request {
            FollowRequest::Log(request) => {
                let mut byte = [0];
                tokio::select! {
                    done = history::tell(&*service.store, request, &mut to) => Some(done),
                    // It has nothing more to say: what comes is its end.
                    _ = from.read(&mut byte) => None,
                }
            }
            FollowRequest::Trace(request) => {
                Some(trace::run(service, &request, (user, from, &mut to)).await)
            }
        }
    };
    let done = tokio::select! {
        biased;
        done = following => done,
        // Nor is anybody waited for who does not read.
        () = service.shutdown.notified() => None,
    };
    let Some(done) = done else {
        return Ok(());
    };
    write(&mut to.0, done).await?;
    to.0.shutdown().await
}

/// Asks for another process in the place of this one. What is answered comes from whoever serves
/// then.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RestartRequest {
    /// As it says.
    Restart,
}

/// Hands a restart on to whom it concerns, together with whom to answer: this connection must not
/// be waited for when the others end.
async fn restart(mut stream: UnixStream, service: &Service) -> io::Result<()> {
    let Some(restarts) = &service.restarts else {
        let next = "end it and start it again";
        let problem = Problem::new("`up` cannot be restarted", "the running server", next);
        return write(&mut stream, Err(problem)).await;
    };
    match restarts.try_send(stream) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(mut stream) | TrySendError::Closed(mut stream)) => {
            let next = "wait for its end; the log says what becomes of it";
            let what = "a restart is under way already";
            write(
                &mut stream,
                Err(Problem::new(what, "the running server", next)),
            )
            .await
        }
    }
}

/// Writes the answer to a command.
///
/// # Errors
/// Whoever asked is gone.
pub(crate) async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    done: Result<Value, Problem>,
) -> io::Result<()> {
    let mut answer = to_json(done).to_string();
    answer.push('\n');
    stream.write_all(answer.as_bytes()).await
}

fn to_json(done: Result<Value, Problem>) -> Value {
    match done {
        Ok(value) => json!({ "ok": value }),
        Err(Problem {
            what,
            to_what,
            next,
        }) => {
            json!({ "problem": { "what": what, "to_what": to_what, "next": next } })
        }
    }
}

/// Reads what [`to_json`] wrote.
pub(super) fn from_json(line: &str) -> Option<Result<Value, Problem>> {
    let mut answer: Value = serde_json::from_str(line).ok()?;
    if let Some(value) = answer.get_mut("ok") {
        return Some(Ok(value.take()));
    }
    let problem = answer.get("problem")?;
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(Err(Problem::new(
        text("what"),
        text("to_what"),
        text("next"),
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_back_as_they_were() {
        for done in [
            Ok(Value::Null),
            Ok(json!([1])),
            Err(Problem::new("a", "b\n", "c")),
        ] {
            let line = to_json(done.clone()).to_string();
            assert!(!line.contains('\n'));
            assert_eq!(from_json(&line), Some(done));
        }
        assert_eq!(from_json("{}"), None);
    }
}
