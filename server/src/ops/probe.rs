//! The check `imap`: connects to our own listener as a client would, reads the greeting and leaves.
//!
//! The listener knows the connection by its address, which is taken and written down before it
//! connects: nobody else can come from there meanwhile. Such a connection is served like any other
//! and is neither logged nor counted.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use rustls::pki_types::ServerName;
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};

use super::report::{Finding, Status};
use crate::{service::Service, tls};

/// How long IMAP may take to greet and to say goodbye.
const TIME_MAX: Duration = Duration::from_secs(5);
/// What is read of a greeting and a goodbye, bytes.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
/// How much of a greeting that is none is shown, characters.
const SHOWN_CHARS_MAX: usize = 200;

/// Where IMAP is spoken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// In clear.
    Imap(SocketAddr),
    /// Over TLS.
    Imaps(SocketAddr),
}

impl Target {
    /// The port in clear if it is open, else the one with TLS.
    #[must_use]
    pub fn of(imap: &[SocketAddr], imaps: &[SocketAddr]) -> Option<Self> {
        let clear = imap.first().map(|address| Self::Imap(*address));
        clear.or_else(|| imaps.first().map(|address| Self::Imaps(*address)))
    }

    fn address(self) -> SocketAddr {
        match self {
            Self::Imap(address) | Self::Imaps(address) => reachable(address),
        }
    }
}

/// An address at which a listener bound there is reached from this machine.
#[must_use]
pub fn reachable(bound: SocketAddr) -> SocketAddr {
    let mut reached = bound;
    match bound.ip() {
        ip if !ip.is_unspecified() => {}
        IpAddr::V4(_) => reached.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => reached.set_ip(Ipv6Addr::LOCALHOST.into()),
    }
    reached
}

/// Asks IMAP to greet.
pub(super) async fn check(target: Option<Target>, service: &Service) -> Finding {
    let Some(target) = target else {
        return Finding::new(Status::Healthy, "No IMAP listener is open.");
    };
    let asked = tokio::time::timeout(TIME_MAX, converse(target, service)).await;
    let data = json!({
        "address": target.address().to_string(),
        "tls": matches!(target, Target::Imaps(_)),
    });
    let finding = match asked {
        Ok(Ok(greeting)) => Finding::new(Status::Healthy, format!("IMAP greets with {greeting}.")),
        Ok(Err(error)) => Finding::new(
            Status::Unhealthy,
            format!("IMAP does not greet at {}: {error}.", target.address()),
        ),
        Err(_) => Finding::new(
            Status::Unhealthy,
            format!(
                "IMAP does not greet at {} within {} s.",
                target.address(),
                TIME_MAX.as_secs()
            ),
        ),
    };
    finding.with(data)
}

/// The word of the greeting: `OK` or `PREAUTH`.
async fn converse(target: Target, service: &Service) -> io::Result<&'static str> {
    let address = target.address();
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    let mut own = address;
    own.set_port(0);
    socket.bind(own)?;
    let own = socket.local_addr()?;
    let _probe = service.observe.live.expect_probe(own);
    let mut stream = socket.connect(address).await?;
    if service.config.imap.proxy_networks.contains(own.ip()) {
        stream.write_all(&wire::proxy::LOCAL).await?;
    }
    match target {
        Target::Imap(_) => greeted(stream).await,
        Target::Imaps(_) => greeted(over_tls(stream, address).await?).await,
    }
}

async fn over_tls(
    stream: TcpStream,
    address: SocketAddr,
) -> io::Result<impl AsyncRead + AsyncWrite + Unpin> {
    let connector = tls::to_ourselves().map_err(io::Error::other)?;
    connector
        .connect(ServerName::IpAddress(address.ip().into()), stream)
        .await
}

async fn greeted(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<&'static str> {
    stream.write_all(b"h LOGOUT\r\n").await?;
    let mut said = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut said).await;
    let greeting = greeting(&said);
    // A connection that ends without TLS's goodbye has still greeted.
    match (greeting, read) {
        (Ok(word), _) => Ok(word),
        (Err(_), Err(error)) => Err(error),
        (Err(error), Ok(_)) => Err(error),
    }
}

/// RFC 9051 §7.1: `* OK`, `* PREAUTH` or `* BYE`.
fn greeting(said: &[u8]) -> io::Result<&'static str> {
    if said.starts_with(b"* OK ") {
        return Ok("OK");
    }
    if said.starts_with(b"* PREAUTH ") {
        return Ok("PREAUTH");
    }
    let line = said.split(|byte| *byte == b'\n').next().unwrap_or(said);
    let shown: String = String::from_utf8_lossy(line)
        .trim_end()
        .chars()
        .take(SHOWN_CHARS_MAX)
        .collect();
    Err(io::Error::other(match shown.is_empty() {
        true => "the connection was closed".to_owned(),
        false => format!("it says {shown:?}"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_are_told_from_refusals() {
        for (said, expected) in [
            ("* OK [CAPABILITY IMAP4rev2] ready\r\n", Ok("OK")),
            ("* PREAUTH hello tim\r\nh OK\r\n", Ok("PREAUTH")),
            (
                "* BYE [UNAVAILABLE] too many\r\n",
                Err(r#"it says "* BYE [UNAVAILABLE] too many""#),
            ),
            ("220 smtp\r\n", Err(r#"it says "220 smtp""#)),
            ("", Err("the connection was closed")),
            ("* OKAY\r\n", Err(r#"it says "* OKAY""#)),
        ] {
            let found = greeting(said.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{said}");
        }
    }

    #[test]
    fn the_port_in_clear_is_asked_before_the_one_with_tls() {
        let at = |port| SocketAddr::from(([0, 0, 0, 0], port));
        let both = Target::of(&[at(143)], &[at(993)]);
        assert_eq!(both, Some(Target::Imap(at(143))));
        let secure = Target::of(&[], &[at(993)]);
        assert_eq!(secure, Some(Target::Imaps(at(993))));
        assert_eq!(Target::of(&[], &[]), None);
        let reached = at(993);
        assert_eq!(
            Target::Imaps(reached).address().to_string(),
            "127.0.0.1:993"
        );
    }
}
