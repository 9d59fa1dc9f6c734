//! The other side of LMTP: hands one message for one recipient to a server (RFC 2033). `deliver`
//! and `up` use it, so that what they deliver goes the way of all mail.

use std::io;

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

/// A line of a reply, bytes.
const LINE_BYTES_MAX: u64 = 4 * 1024;
/// Lines of one reply.
const LINES_MAX: usize = 100;

/// The reply that settled what became of the message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// The reply code.
    pub code: u16,
    /// What follows it on its last line.
    pub text: String,
}

/// Sends a message of `bytes` bytes from nobody to `recipient`; its lines end in CRLF.
///
/// # Errors
/// The connection was lost.
pub async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    recipient: &str,
    message: impl AsyncRead + Unpin,
    bytes: u64,
) -> io::Result<Outcome> {
    let mut client = Client(BufReader::new(stream));
    let utf8 = if recipient.is_ascii() {
        ""
    } else {
        " SMTPUTF8"
    };
    let greeting = client.reply().await?;
    if greeting.code != 220 {
        return Ok(greeting);
    }
    for command in [
        "LHLO localhost".to_owned(),
        format!("MAIL FROM:<> SIZE={bytes}{utf8}"),
        format!("RCPT TO:<{recipient}>"),
    ] {
        let outcome = client.command(&command).await?;
        if outcome.code != 250 {
            return Ok(outcome);
        }
    }
    client.write(&format!("BDAT {bytes} LAST")).await?;
    let sent = tokio::io::copy(&mut message.take(bytes), client.0.get_mut()).await?;
    if sent != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    client.0.flush().await?;
    let outcome = client.reply().await?;
    client.command("QUIT").await?;
    Ok(outcome)
}

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn write(&mut self, command: &str) -> io::Result<()> {
        self.0.write_all(command.as_bytes()).await?;
        self.0.write_all(b"\r\n").await?;
        self.0.flush().await
    }

    async fn command(&mut self, command: &str) -> io::Result<Outcome> {
        self.write(command).await?;
        self.reply().await
    }

    /// The last line of the next reply.
    async fn reply(&mut self) -> io::Result<Outcome> {
        for _ in 0..LINES_MAX {
            let mut line = Vec::new();
            (&mut self.0)
                .take(LINE_BYTES_MAX)
                .read_until(b'\n', &mut line)
                .await?;
            let line = String::from_utf8_lossy(&line);
            if let Some(outcome) = last_line(line.trim_end()) {
                return Ok(outcome);
            } else if !line.ends_with('\n') {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the reply does not end",
        ))
    }
}

/// `250 text`, but not `250-text`.
fn last_line(line: &str) -> Option<Outcome> {
    let (code, rest) = line.split_at_checked(3)?;
    let code = code.parse().ok()?;
    let text = match rest.strip_prefix(' ') {
        Some(text) => text,
        None if rest.is_empty() => "",
        None => return None,
    };
    Some(Outcome {
        code,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_replies() {
        for (line, expected) in [
            ("250 2.0.0 delivered", Some((250, "2.0.0 delivered"))),
            ("250", Some((250, ""))),
            ("250-SIZE", None),
            ("", None),
            ("ab", None),
            ("abc def", None),
            ("ä50 x", None),
        ] {
            let found = last_line(line).map(|outcome| (outcome.code, outcome.text));
            assert_eq!(
                found,
                expected.map(|(code, text)| (code, text.to_owned())),
                "{line}"
            );
        }
    }
}
