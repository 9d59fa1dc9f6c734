//! A blocking LMTP client (RFC 2033): one connection, one transaction after another.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Fallible;

const PATIENCE: Duration = Duration::from_secs(120);

/// One connection.
pub(super) struct Lmtp {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Lmtp {
    pub(super) fn connect(address: (&str, u16)) -> Fallible<Self> {
        let writer = TcpStream::connect(address).map_err(|e| format!("connect: {e}"))?;
        writer.set_nodelay(true).map_err(|e| e.to_string())?;
        writer
            .set_read_timeout(Some(PATIENCE))
            .map_err(|e| e.to_string())?;
        let reader = BufReader::new(writer.try_clone().map_err(|e| e.to_string())?);
        let mut lmtp = Self { reader, writer };
        lmtp.reply("220")?;
        lmtp.say(b"LHLO bench.example\r\n")?;
        lmtp.reply("250")?;
        Ok(lmtp)
    }

    /// Delivers one message; comes back when the server has taken it.
    pub(super) fn deliver(&mut self, user: &str, message: &[u8]) -> Fallible<()> {
        self.say(
            format!("MAIL FROM:<sender@example.net>\r\nRCPT TO:<{user}>\r\nDATA\r\n").as_bytes(),
        )?;
        self.reply("250")?;
        self.reply("250")?;
        self.reply("354")?;
        let mut data = Vec::with_capacity(message.len() + 5);
        data.extend_from_slice(message);
        data.extend_from_slice(b".\r\n");
        self.say(&data)?;
        self.reply("250")
    }

    fn say(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.writer
            .write_all(bytes)
            .map_err(|e| format!("LMTP write: {e}"))
    }

    fn reply(&mut self, code: &str) -> Fallible<()> {
        let mut line = String::new();
        loop {
            line.clear();
            if self
                .reader
                .read_line(&mut line)
                .map_err(|e| format!("LMTP read: {e}"))?
                == 0
            {
                return Err("LMTP connection closed by the server".into());
            }
            if !line.starts_with(code) {
                return Err(format!("LMTP answers {}", line.trim_end()));
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(());
            }
        }
    }
}
