//! A message that has come but is not yet delivered: in memory while it is small, else in a file
//! without a name. Its header is looked at as it comes: an earlier Return-Path is removed
//! (RFC 5321 §4.4) and Delivered-To is remembered.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use mail::mime::fields;
use store::Error;
use tokio::{io::AsyncWriteExt as _, task::spawn_blocking};

use crate::message::Intake;

/// Beyond this a message is kept in a file, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// A header beyond this is not looked at, bytes.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// Bytes read back at once.
const STEP_BYTES: usize = 64 * 1024;

/// A message that is coming.
pub struct Spool {
    directory: PathBuf,
    stage: Stage,
    memory: Vec<u8>,
    file: Option<tokio::fs::File>,
    file_bytes: u64,
    delivered_to: Vec<Vec<u8>>,
}

/// Whether the header is still coming.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Header,
    Body,
}

impl Spool {
    /// An empty spool; if need be it makes a file in `directory`.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            stage: Stage::Header,
            memory: Vec::new(),
            file: None,
            file_bytes: 0,
            delivered_to: Vec::new(),
        }
    }

    /// How many bytes are to be delivered.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.file_bytes.saturating_add(self.memory.len() as u64)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next bytes of the message.
    ///
    /// # Errors
    /// The file could not be written.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let seen = self.memory.len().saturating_sub(BLANK_LINE.len());
        self.memory.extend_from_slice(bytes);
        if self.stage == Stage::Header {
            match header_end(&self.memory, seen) {
                Some(end) => self.end_header(end),
                None if self.memory.len() > HEADER_BYTES_MAX => self.stage = Stage::Body,
                None => return Ok(()),
            }
        }
        if self.memory.len() > MEMORY_BYTES_MAX {
            self.flush().await?;
        }
        Ok(())
    }

    /// The message is complete.
    ///
    /// # Errors
    /// The file could not be written.
    pub async fn complete(mut self) -> io::Result<Spooled> {
        if self.stage == Stage::Header {
            self.end_header(self.memory.len());
        }
        let file = match self.file.take() {
            Some(file) => Some(Arc::new(file.into_std().await)),
            None => None,
        };
        Ok(Spooled {
            file,
            file_bytes: self.file_bytes,
            memory: self.memory,
            delivered_to: self.delivered_to,
        })
    }

    fn end_header(&mut self, end: usize) {
        self.stage = Stage::Body;
        let body = self.memory.split_off(end);
        self.delivered_to = super::field_values(&self.memory, "delivered-to").collect();
        if super::field_values(&self.memory, "return-path")
            .next()
            .is_some()
        {
            self.memory = without(&self.memory, "return-path");
        }
        self.memory.extend_from_slice(&body);
    }

    /// Moves what is in memory to the file.
    async fn flush(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let file = tempfile::tempfile_in(&self.directory)?;
            self.file = Some(tokio::fs::File::from_std(file));
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory).await?;
            file.flush().await?;
            self.file_bytes = self.file_bytes.saturating_add(self.memory.len() as u64);
            self.memory.clear();
        }
        Ok(())
    }
}

/// A message that has come, whole.
pub struct Spooled {
    /// What is before `memory`.
    file: Option<Arc<File>>,
    file_bytes: u64,
    memory: Vec<u8>,
    delivered_to: Vec<Vec<u8>>,
}

impl Spooled {
    /// How many bytes are to be delivered.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.file_bytes.saturating_add(self.memory.len() as u64)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the header says that it was delivered to this account.
    #[must_use]
    pub fn was_delivered_to(&self, account: &str) -> bool {
        self.delivered_to.iter().any(|name| {
            str::from_utf8(name).is_ok_and(|name| name.to_lowercase() == account.to_lowercase())
        })
    }

    /// Gives the message to an intake; may be done again.
    pub(super) async fn copy_to(&self, intake: &mut Intake) -> store::Result<()> {
        if let Some(file) = &self.file {
            let mut at = 0;
            while at < self.file_bytes {
                let step = read_at(Arc::clone(file), at).await?;
                intake.write(&step).await?;
                at = at.saturating_add(step.len() as u64);
            }
        }
        intake.write(&self.memory).await
    }
}

/// The next bytes of the file; never none.
async fn read_at(file: Arc<File>, at: u64) -> store::Result<Vec<u8>> {
    let read = spawn_blocking(move || {
        let mut step = vec![0; STEP_BYTES];
        let count = file.read_at(&mut step, at)?;
        step.truncate(count);
        if step.is_empty() {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            Ok(step)
        }
    });
    let read: io::Result<Vec<u8>> = read
        .await
        .unwrap_or_else(|fault| Err(io::Error::other(fault)));
    read.map_err(|error| Error::Unavailable(format!("spool: {error}")))
}

/// The header without the fields of this name; all else stays byte for byte.
fn without(header: &[u8], name: &str) -> Vec<u8> {
    let mut kept = Vec::with_capacity(header.len());
    let mut end = 0;
    for field in fields::fields(header) {
        end += field.raw.len();
        if !field.is(name) {
            kept.extend_from_slice(field.raw);
        }
    }
    kept.extend_from_slice(header.get(end..).unwrap_or_default());
    kept
}

const BLANK_LINE: &[u8] = b"\r\n\r\n";

/// Where the header ends, blank line included; it cannot be before `from`.
fn header_end(bytes: &[u8], from: usize) -> Option<usize> {
    // A message may begin with the blank line.
    if bytes.starts_with(b"\r\n") {
        return Some(2);
    }
    let found = bytes
        .get(from..)?
        .windows(BLANK_LINE.len())
        .position(|four| four == BLANK_LINE);
    found.map(|at| from + at + BLANK_LINE.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"Return-Path: <old@x>\r\nDelivered-To: You@localhost\r\n\
        return-path:\r\n <older@x>\r\nSubject: a\r\n\r\nReturn-Path: stays\r\n";

    async fn spooled(message: &[u8], step: usize) -> Spooled {
        let mut spool = Spool::new(&std::env::temp_dir());
        for piece in message.chunks(step) {
            spool.write(piece).await.unwrap();
        }
        spool.complete().await.unwrap()
    }

    #[tokio::test]
    async fn an_earlier_return_path_goes_whatever_the_pieces() {
        for step in [1, 2, 3, 7, 1_000] {
            let spool = spooled(MESSAGE, step).await;
            assert_eq!(
                String::from_utf8_lossy(&spool.memory),
                "Delivered-To: You@localhost\r\nSubject: a\r\n\r\nReturn-Path: stays\r\n"
            );
            assert!(spool.was_delivered_to("you@LOCALHOST"));
            assert!(!spool.was_delivered_to("you@localhost2"));
        }
    }

    #[tokio::test]
    async fn messages_without_header_or_body() {
        for (message, expected) in [
            (
                &b"\r\nReturn-Path: x\r\n"[..],
                &b"\r\nReturn-Path: x\r\n"[..],
            ),
            (b"Return-Path: x\r\n", b""),
            (b"", b""),
            (b"A: b\r\n\r\n", b"A: b\r\n\r\n"),
        ] {
            assert_eq!(spooled(message, 3).await.memory, expected);
        }
    }

    #[tokio::test]
    async fn a_large_message_is_kept_in_a_file() {
        let mut message = b"A: b\r\n\r\n".to_vec();
        message.resize(3 * MEMORY_BYTES_MAX, b'x');
        let spool = spooled(&message, 100_000).await;
        assert!(spool.file.is_some());
        let end = read_at(spool.file.clone().unwrap(), spool.file_bytes - 1)
            .await
            .unwrap();
        assert_eq!(end, b"x");
        assert_eq!(spool.len(), message.len() as u64);
    }
}
