//! A message that has come but is not yet delivered: in memory while it is small, else in a file
//! without a name. Its header is looked at as it comes: an earlier Return-Path is removed
//! (RFC 5321 §4.4) and Delivered-To is remembered.

use std::{
    io::{self, SeekFrom},
    path::{Path, PathBuf},
};

use mail::mime::fields;
use store::Error;
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _},
};

use crate::message::Intake;

/// Beyond this a message is kept in a file, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;
/// A header beyond this is not looked at, bytes.
const HEADER_BYTES_MAX: usize = 1 << 20;
/// Bytes read back at once.
const STEP_BYTES: usize = 64 * 1024;

/// A message that has come.
pub struct Spool {
    directory: PathBuf,
    stage: Stage,
    memory: Vec<u8>,
    file: Option<File>,
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
    pub async fn complete(&mut self) -> io::Result<()> {
        if self.stage == Stage::Header {
            self.end_header(self.memory.len());
        }
        if self.file.is_some() {
            self.flush().await?;
        }
        Ok(())
    }

    /// Whether the header says that it was delivered to this account.
    #[must_use]
    pub fn was_delivered_to(&self, account: &str) -> bool {
        self.delivered_to.iter().any(|name| {
            str::from_utf8(name).is_ok_and(|name| name.to_lowercase() == account.to_lowercase())
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
            self.file = Some(File::from_std(tempfile::tempfile_in(&self.directory)?));
        }
        if let Some(file) = &mut self.file {
            file.write_all(&self.memory).await?;
            file.flush().await?;
            self.file_bytes = self.file_bytes.saturating_add(self.memory.len() as u64);
            self.memory.clear();
        }
        Ok(())
    }

    /// Gives the message to an intake; may be done again.
    pub(super) async fn copy_to(&mut self, intake: &mut Intake) -> store::Result<()> {
        if let Some(file) = &mut self.file {
            let failed = |error: io::Error| Error::Unavailable(format!("spool: {error}"));
            file.seek(SeekFrom::Start(0)).await.map_err(failed)?;
            let mut step = vec![0; STEP_BYTES];
            loop {
                let count = file.read(&mut step).await.map_err(failed)?;
                match step.get(..count) {
                    Some(read) if count > 0 => intake.write(read).await?,
                    _ => break,
                }
            }
        }
        intake.write(&self.memory).await
    }
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

    async fn spooled(message: &[u8], step: usize) -> Spool {
        let mut spool = Spool::new(&std::env::temp_dir());
        for piece in message.chunks(step) {
            spool.write(piece).await.unwrap();
        }
        spool.complete().await.unwrap();
        spool
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
        assert!(spool.file.is_some() && spool.memory.is_empty());
        assert_eq!(spool.len(), message.len() as u64);
    }
}
