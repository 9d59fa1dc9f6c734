//! Reads the newest message of INBOX as any client would (RFC 9051 §6.2.3, §6.3.2, §6.4.5), to
//! know that what was delivered can be read. It is no client for anything else.

use std::{io, net::SocketAddr};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

/// What tells the message from others.
pub(super) const SUBJECT: &str = "Welcome to relate-imap";
/// A line of the server, bytes.
const LINE_BYTES_MAX: u64 = 64 * 1024;
/// Lines of the answer to one command.
const LINES_MAX: usize = 1_000;

/// Logs in, unless the connection needs no login, and finds the message in INBOX.
pub(super) async fn read_back(address: SocketAddr, user: &str, password: &str) -> io::Result<()> {
    let mut client = Client(BufReader::new(TcpStream::connect(address).await?));
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

struct Client(BufReader<TcpStream>);

impl Client {
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
