//! Commands whose answer comes a line at a time, however long that takes: `{"item":…}` each, then
//! how it ended as other commands' answers are written.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
        BufWriter,
    },
    net::UnixStream,
};

use super::{
    client::{no_store, reach, running, unreachable},
    history::{self, Listener, LogRequest},
    socket,
    trace::TraceRequest,
};
use crate::{
    cli::Exit,
    config::Config,
    problem::Problem,
    serve::{Failure, open_store},
};

/// One line of an answer, bytes.
const LINE_BYTES_MAX: u64 = 64 << 20;

/// Something whose answer comes a line at a time.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FollowRequest {
    /// The past.
    Log(LogRequest),
    /// A conversation, while it goes on.
    Trace(TraceRequest),
}

/// Writes items to whoever asked through the socket.
pub(super) struct ToSocket<W>(pub(super) BufWriter<W>);

impl<W: AsyncWrite + Unpin + Send> Listener for ToSocket<W> {
    async fn take(&mut self, item: Value) -> bool {
        let line = format!("{}\n", json!({ "item": item }));
        self.0.write_all(line.as_bytes()).await.is_ok()
    }
}

/// Shows items on standard output.
struct ToScreen<S>(S);

impl<S: FnMut(&Value) -> io::Result<()> + Send> Listener for ToScreen<S> {
    async fn take(&mut self, item: Value) -> bool {
        (self.0)(&item).is_ok()
    }
}

/// Has the running server tell the past, or reads it from the store when none runs. `show` says
/// whether somebody still reads.
///
/// # Errors
/// It was refused, or could not be told to the end.
pub async fn log(
    config: &Config,
    request: LogRequest,
    show: impl FnMut(&Value) -> io::Result<()> + Send,
) -> Result<Value, Failure> {
    if let Some((stream, path)) = reach(config).await? {
        let request = FollowRequest::Log(request);
        let followed = follow(stream, &request, show).await;
        return match followed {
            Ok(ended) => ended.map_err(|problem| Failure::new(Exit::Failed, problem)),
            Err(error) => Err(unreachable(&path, &error)),
        };
    }
    if !config.store.path.exists() {
        return Err(no_store(&config.store.path));
    }
    let store = open_store(config).await?;
    let told = history::tell(&*store, request, &mut ToScreen(show)).await;
    store.close().await;
    told.map_err(|problem| Failure::new(Exit::Failed, problem))
}

/// Has the running server tell a conversation until nobody reads it, or the server stops.
///
/// # Errors
/// No server runs, or it refused.
pub async fn trace(
    config: &Config,
    request: TraceRequest,
    show: impl FnMut(&Value) -> io::Result<()>,
) -> Result<Value, Failure> {
    let (stream, path) = running(config).await?;
    let followed = follow(stream, &FollowRequest::Trace(request), show).await;
    match followed {
        Ok(ended) => ended.map_err(|problem| Failure::new(Exit::Failed, problem)),
        Err(error) => Err(unreachable(&path, &error)),
    }
}

/// Sends a request and shows what comes, to its end or until nobody reads it.
pub(super) async fn follow(
    stream: UnixStream,
    request: &FollowRequest,
    mut show: impl FnMut(&Value) -> io::Result<()>,
) -> io::Result<Result<Value, Problem>> {
    let mut stream = BufReader::new(stream);
    let line = format!("{}\n", serde_json::to_string(request)?);
    stream.write_all(line.as_bytes()).await?;
    stream.flush().await?;
    loop {
        let mut line = String::new();
        (&mut stream)
            .take(LINE_BYTES_MAX)
            .read_line(&mut line)
            .await?;
        if let Some(ended) = socket::from_json(&line) {
            return Ok(ended);
        }
        let answer: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(item) = answer.get("item") else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        if show(item).is_err() {
            return Ok(Ok(Value::Null));
        }
    }
}
