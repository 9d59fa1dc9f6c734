//! Where a session's responses go: one bounded buffer with back-pressure. Nothing builds a whole
//! answer in memory, and a client that does not read is dropped after the output timeout.

use std::{any::Any, io, time::Duration};

use crate::observe::meter::{Meter, Wire};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};
use wire::{
    encode::{Encoder, Mode},
    imap::{
        command::Tag,
        response::{Completion, Untagged},
    },
};

/// What a session's output buffer keeps allocated while it waits for its client, bytes.
const IDLE_BUFFER_BYTES_MAX: usize = 512;

/// The writing half of a connection, or a vector in a test.
pub trait Output: AsyncWrite + Send + Unpin + Any {}
impl<T: AsyncWrite + Send + Unpin + Any> Output for T {}

/// A buffered writer of responses.
pub struct Sink {
    output: Box<dyn Output>,
    buffer: Vec<u8>,
    mode: Mode,
    tag: Tag,
    limits: OutputLimits,
    sent_bytes: u64,
    /// A response was begun, and whether it is complete is not known here.
    is_response_open: bool,
    /// Bytes are on their way; stays true when whoever wrote them was given up.
    is_writing: bool,
    /// A layer below compresses.
    is_compressed: bool,
    /// Who counts what is sent, and hears it where somebody listens.
    meter: Option<Meter>,
}

/// How much may wait for a client, and how long.
#[derive(Clone, Copy, Debug)]
pub struct OutputLimits {
    /// Bytes that wait before a handler is held back.
    pub buffer_bytes: usize,
    /// How long a client may take to accept them.
    pub patience: Duration,
}

impl Sink {
    /// A sink that writes to `output`.
    #[must_use]
    pub fn new(output: impl Output, limits: OutputLimits) -> Self {
        Self {
            output: Box::new(output),
            buffer: Vec::new(),
            mode: Mode::REV1,
            tag: Tag("".into()),
            limits,
            sent_bytes: 0,
            is_response_open: false,
            is_writing: false,
            is_compressed: false,
            meter: None,
        }
    }

    /// What is sent from now on is counted by this one.
    pub fn metered(mut self, meter: Meter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// What stands in the buffer, and what is sent next, begins with a whole line: from here on it
    /// can be listened to.
    pub fn between_lines(&mut self) {
        if let Some(meter) = &mut self.meter {
            meter.between_lines();
        }
    }

    /// How the session's responses are written from now on.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// Names the command that is being answered.
    pub fn begin(&mut self, tag: &Tag) {
        self.tag = tag.clone();
        self.between_lines();
    }

    /// The tag of the command that is being answered.
    #[must_use]
    pub fn tag(&self) -> Tag {
        self.tag.clone()
    }

    /// Changes how much may wait, and how long.
    pub fn set_limits(&mut self, limits: OutputLimits) {
        self.limits = limits;
    }

    /// Bytes handed to the client so far.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Whether what is written next could be read as part of a response that is not complete: when
    /// a command was given up in the middle.
    #[must_use]
    pub fn is_within_response(&self) -> bool {
        self.is_response_open || self.is_writing
    }

    /// The buffer that a FETCH response is encoded into.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        self.is_response_open = true;
        &mut self.buffer
    }

    /// Adds an untagged response.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn send(&mut self, response: &Untagged) -> io::Result<()> {
        self.is_response_open = false;
        Encoder::new(self.mode).untagged(&mut self.buffer, response);
        self.relieve().await
    }

    /// Adds untagged responses.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn send_all(&mut self, responses: &[Untagged]) -> io::Result<()> {
        for response in responses {
            self.send(response).await?;
        }
        Ok(())
    }

    /// Adds the tagged response.
    pub fn complete(&mut self, completion: &Completion) {
        self.is_response_open = false;
        Encoder::new(self.mode).tagged(&mut self.buffer, &self.tag, completion);
    }

    /// Sends a continuation request at once.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn ask(&mut self, text: &str) -> io::Result<()> {
        Encoder::new(self.mode).continuation(&mut self.buffer, text);
        self.flush().await
    }

    /// Sends a challenge of AUTHENTICATE at once.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn challenge(&mut self, challenge: &[u8]) -> io::Result<()> {
        self.write().await?;
        Encoder::new(self.mode).challenge(&mut self.buffer, challenge);
        if let Some(meter) = &mut self.meter {
            meter.hush();
        }
        self.flush().await
    }

    /// Writes what waits if it is more than the limit.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn relieve(&mut self) -> io::Result<()> {
        if self.buffer.len() < self.limits.buffer_bytes {
            return Ok(());
        }
        self.write().await
    }

    /// Adds bytes of a text. What is long goes to the client without being copied.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len().saturating_add(bytes.len()) <= self.limits.buffer_bytes {
            self.buffer.extend_from_slice(bytes);
            return Ok(());
        }
        self.write().await?;
        self.write_out(bytes).await
    }

    /// What is sent before and after shares no window of a compressor: a text that comes from
    /// elsewhere begins or ends here (RFC 4978 §4; threat 21).
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn set_apart(&mut self) -> io::Result<()> {
        match self.is_compressed {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    async fn write(&mut self) -> io::Result<()> {
        let mut waiting = std::mem::take(&mut self.buffer);
        self.write_out(&waiting).await?;
        waiting.clear();
        self.buffer = waiting;
        self.buffer.shrink_to(self.limits.buffer_bytes);
        Ok(())
    }

    async fn write_out(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.is_writing = true;
        let written = timeout(self.limits.patience, self.output.write_all(bytes)).await;
        self.is_writing = false;
        written
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))??;
        self.sent_bytes = self.sent_bytes.saturating_add(bytes.len() as u64);
        if let Some(meter) = &mut self.meter {
            meter.sent(bytes);
        }
        Ok(())
    }

    /// Writes everything that waits.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            self.write().await?;
        }
        // What follows may be hours in which the session idles.
        if self.buffer.capacity() > IDLE_BUFFER_BYTES_MAX {
            self.buffer = Vec::new();
        }
        let flushed = timeout(self.limits.patience, self.output.flush()).await;
        flushed.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the client does not read"))?
    }

    /// Gives the output back, for STARTTLS; `None` if it is of another type.
    #[must_use]
    pub fn into_output<T: Output>(self) -> Option<T> {
        let output: Box<dyn Any> = self.output;
        output.downcast::<T>().ok().map(|output| *output)
    }

    /// Goes on with what `change` makes of the output; `None` if it is of another type, or nothing
    /// can be made of it.
    #[must_use]
    pub fn exchange<T: Output, U: Output>(
        self,
        change: impl FnOnce(T) -> Option<U>,
    ) -> Option<Self> {
        let output: Box<dyn Any> = self.output;
        let output = output.downcast::<T>().ok()?;
        Some(Self {
            output: Box::new(change(*output)?),
            ..self
        })
    }

    /// What is sent is counted by a layer below, where it is shorter (RFC 4978).
    #[must_use]
    pub fn counted_below(mut self) -> Self {
        self.is_compressed = true;
        if let Some(meter) = &mut self.meter {
            meter.count_by(None);
        }
        self
    }

    /// What is sent goes over the wire as it is.
    #[must_use]
    pub fn counted_by(mut self, wire: Wire) -> Self {
        self.is_compressed = false;
        if let Some(meter) = &mut self.meter {
            meter.count_by(Some(wire));
        }
        self
    }

    /// Writes everything that waits and ends the output.
    ///
    /// # Errors
    /// If the client is gone.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.flush().await?;
        self.output.shutdown().await
    }
}
