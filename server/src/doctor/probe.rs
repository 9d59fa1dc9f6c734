//! Connects as a client on this machine would and reads what it is greeted with.

use std::{io, net::SocketAddr, time::Duration};

use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{config::Config, ops::probe::reachable, tls};

/// How long an answer may take.
const TIME_MAX: Duration = Duration::from_secs(5);
/// The longest greeting that is read, bytes.
const GREETING_BYTES_MAX: u64 = 512;

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Speech {
    /// IMAP in clear.
    Imap,
    /// IMAP over TLS.
    Imaps,
    /// LMTP.
    Lmtp,
    /// HTTP, which does not greet.
    Http,
}

/// What somebody who listens showed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Shown {
    /// The certificate, in DER.
    pub(super) certificate: Option<Vec<u8>>,
}

/// Connects and reads the greeting.
///
/// # Errors
/// Nobody is there, or it speaks something else.
pub(super) async fn greeting(
    config: &Config,
    address: SocketAddr,
    speech: Speech,
) -> io::Result<Shown> {
    let timed = tokio::time::timeout(TIME_MAX, greeted(config, address, speech)).await;
    timed.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer in 5 seconds",
        ))
    })
}

async fn greeted(config: &Config, address: SocketAddr, speech: Speech) -> io::Result<Shown> {
    let mut stream = TcpStream::connect(reachable(address)).await?;
    let is_imap = matches!(speech, Speech::Imap | Speech::Imaps);
    if is_imap
        && config
            .imap
            .proxy_networks
            .contains(stream.local_addr()?.ip())
    {
        stream.write_all(&wire::proxy::LOCAL).await?;
    }
    match speech {
        Speech::Http => Ok(Shown::default()),
        Speech::Imap => expect(&mut stream, &["* OK", "* PREAUTH"]).await,
        Speech::Lmtp => expect(&mut stream, &["220"]).await,
        Speech::Imaps => {
            let connector = tls::to_ourselves().map_err(io::Error::other)?;
            let name = ServerName::try_from(config.imap.server_name.clone());
            let name = name.unwrap_or_else(|_| ServerName::from(address.ip()));
            let mut stream = connector.connect(name, stream).await?;
            expect(&mut stream, &["* OK", "* PREAUTH"]).await?;
            let shown = stream.get_ref().1.peer_certificates().unwrap_or_default();
            Ok(Shown {
                certificate: shown.first().map(|one| one.to_vec()),
            })
        }
    }
}

async fn expect(stream: &mut (impl AsyncRead + Unpin), starts: &[&str]) -> io::Result<Shown> {
    let mut greeting = Vec::new();
    let mut rest = stream.take(GREETING_BYTES_MAX);
    while !greeting.ends_with(b"\n") {
        let mut byte = [0];
        if rest.read(&mut byte).await? == 0 {
            break;
        }
        greeting.extend(byte);
    }
    if starts
        .iter()
        .any(|start| greeting.starts_with(start.as_bytes()))
    {
        return Ok(Shown::default());
    }
    let line = String::from_utf8_lossy(&greeting);
    let said = line.trim_end().chars().take(60).collect::<String>();
    Err(io::Error::other(format!(
        "it says {said:?} instead of {}",
        starts[0]
    )))
}
