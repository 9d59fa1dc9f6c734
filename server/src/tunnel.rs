//! `relate-imap session --account A`: one IMAP session on standard input and output that is in the
//! account from its start (RFC 9051 §7.1.4), for clients that reach the server through a command, as
//! `ssh mail relate-imap session --account anna@example.org`. Whoever may run it as the store's
//! owner may read that mail: the log-in is that of the machine.
//!
//! The running server serves it, through the socket of administration; when none runs, this process
//! opens the store and serves it with the same code.

use std::{io, sync::Arc};

use store::clock::SystemClock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy, join, split, stdin, stdout},
    net::UnixStream,
};

use crate::{
    admin::{
        client::{exchange, no_store, reach},
        find,
        owner::become_owner,
        socket::SessionRequest,
    },
    cli::Exit,
    config::Config,
    connection,
    listen::Stream,
    log,
    problem::Problem,
    serve::{Failure, open_store},
    service::Service,
    up::quiet,
};

/// Serves the session to its end.
///
/// # Errors
/// It could not begin, or the connection to the server broke.
pub fn run(config: &Config, account: &str) -> Result<Exit, Failure> {
    become_owner(&config.store.path)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| broken(&error))?;
    let served = runtime.block_on(serve(config, account));
    // A read of standard input that nothing ends any more must not keep the process.
    runtime.shutdown_background();
    served.map(|()| Exit::Fine)
}

fn broken(error: &io::Error) -> Failure {
    let what = format!("the session broke off: {error}");
    let next = "connect again; the server's log says more";
    Failure::new(Exit::Failed, Problem::new(what, "the session", next))
}

async fn serve(config: &Config, account: &str) -> Result<(), Failure> {
    if let Some((stream, path)) = reach(config).await? {
        let mut stream = BufReader::new(stream);
        let request = SessionRequest {
            session: account.to_owned(),
        };
        exchange(&mut stream, &request, &path).await?;
        return relay(stream).await.map_err(|error| broken(&error));
    }
    if !config.store.path.exists() {
        return Err(no_store(&config.store.path));
    }
    log::begin(&quiet(config).logging);
    let store = open_store(config).await?;
    if let Err(problem) = find(&*store, account) {
        store.close().await;
        return Err(Failure::new(Exit::Failed, problem));
    }
    let (config, clock) = (Arc::new(config.clone()), Arc::new(SystemClock));
    let service = Arc::new(Service::new(config, Arc::clone(&store), None, clock));
    let stream = Stream::new(join(stdin(), stdout()));
    connection::serve_account(stream, service, account).await;
    store.close().await;
    Ok(())
}

/// Carries bytes both ways until the server has said its last.
async fn relay(server: BufReader<UnixStream>) -> io::Result<()> {
    let (mut from_server, mut to_server) = split(server);
    let up = async {
        // The server may end the session while there is more to send.
        let _ = copy(&mut stdin(), &mut to_server).await;
        let _ = to_server.shutdown().await;
    };
    let down = async {
        let mut out = stdout();
        let mut buffer = vec![0; STEP_BYTES];
        loop {
            match from_server.read(&mut buffer).await? {
                0 => return Ok(()),
                count => {
                    out.write_all(buffer.get(..count).unwrap_or_default())
                        .await?
                }
            }
            // An answer is read at once, however short it is.
            out.flush().await?;
        }
    };
    tokio::pin!(down);
    tokio::select! {
        done = &mut down => done,
        () = up => down.await,
    }
}

/// Bytes handed on at once.
const STEP_BYTES: usize = 64 * 1024;
