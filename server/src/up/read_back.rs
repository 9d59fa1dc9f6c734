//! Reads the newest message of INBOX as any client would (RFC 9051 §6.2.3, §6.3.2, §6.4.5), to
//! know that what was delivered can be read. It is no client for anything else.

use std::{io, net::SocketAddr};

use rustls::pki_types::ServerName;
use tokio::{
    io::{
        AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
        BufReader,
    },
    net::TcpStream,
};

use crate::tls;

/// What tells the message from others.
pub(super) const SUBJECT: &str = "Welcome to relate-imap";
/// A line of the server, bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Lines of the answer to one command.
const LINES_MAX: usize = 1_000;

/// Logs in and finds the message in INBOX, over TLS: in clear no password may be taken at all.
pub(super) async fn over_tls(address: SocketAddr, user: &str, password: &str) -> io::Result<()> {
    let connector = tls::to_ourselves().map_err(io::Error::other)?;
    let stream = TcpStream::connect(address).await?;
    let stream = connector
        .connect(ServerName::from(address.ip()), stream)
        .await?;
    read_back(stream, user, password).await
}

/// Logs in and finds the message in INBOX, in clear.
pub(super) async fn in_clear(address: SocketAddr, user: &str, password: &str) -> io::Result<()> {
    read_back(TcpStream::connect(address).await?, user, password).await
}

/// Logs in, unless the connection needs no login.
async fn read_back<S>(stream: S, user: &str, password: &str) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut client = Client(BufReader::new(stream));
    if !client.line().await?.starts_with("* PREAUTH") {
        let login = format!("LOGIN \"{user}\" \"{password}\"");
        client.command("a", &login).await?;
    }
    client.command("b", "EXAMINE INBOX").await?;
    let found = client.command("c", "FETCH * (BODY.PEEK[])").await?;
    client.command("d", "LOGOUT").await?;
    if found.iter().any(|line| line.contains(SUBJECT)) {
        Ok(())
    } else {
        Err(io::Error::other("INBOX does not hold it"))
    }
}

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Sends a command and reads to its tagged OK.
    async fn command(&mut self, tag: &str, command: &str) -> io::Result<Vec<String>> {
        self.0
            .write_all(format!("{tag} {command}\r\n").as_bytes())
            .await?;
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let line = self.line().await?;
            match line
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                Some(rest) if rest.starts_with("OK") => return Ok(lines),
                Some(_) => return Err(io::Error::other(line)),
                None => lines.push(line),
            }
        }
        Err(io::ErrorKind::InvalidData.into())
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        (&mut self.0)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line)
            .await?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
