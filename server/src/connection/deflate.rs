//! The layer that deflates what is sent and inflates what is read (RFC 4978 §3), between a
//! connection and its transport: TLS is outside of it.
//!
//! A compressor takes a quarter of a MiB, so nobody keeps one who does not use it: it is taken when
//! there is something to send, and given back when that is flushed or cannot be sent at once. The
//! next one begins with an empty window, which is as if the last had been told to forget
//! (`Z_FULL_FLUSH`, RFC 4978 §4); whoever inflates does not notice. So the answers to one batch of
//! commands share a window, and nothing else does.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::coop,
};

use crate::{observe::meter::Wire, session::Inflow};

/// The window of both directions, as a power of two: all that DEFLATE has. Clients may use it whole.
const WINDOW_BITS: u8 = 15;
/// How hard is tried: answers and text shrink to about a third, at little cost.
const LEVEL: u32 = 3;
/// Bytes read from the transport at once.
const READ_BYTES: usize = 4 * 1024;
/// Bytes inflated at once.
const INFLATED_BYTES_MAX: usize = 16 * 1024;
/// Bytes compressed at once.
const DEFLATED_BYTES_MAX: usize = 16 * 1024;
/// Compressed bytes that wait for the transport before no more are made.
const WAITING_BYTES_MAX: usize = 16 * 1024;
/// What a client ends a block with that is to be read at once (`Z_SYNC_FLUSH`).
const BLOCK_END: [u8; 4] = [0, 0, 0xff, 0xff];
/// Room for the end of a block.
const END_BYTES: usize = 1024;
/// Compressors that are kept for the next who needs one.
const SPARE_MAX: usize = 8;

/// Compressors that nobody uses now.
#[derive(Default)]
pub struct Compressors(Mutex<Vec<Compress>>);

impl Compressors {
    fn take(&self) -> Compress {
        let spare = self.0.lock().pop();
        spare.unwrap_or_else(|| {
            Compress::new_with_window_bits(Compression::new(LEVEL), false, WINDOW_BITS)
        })
    }

    fn give_back(&self, mut compressor: Compress) {
        compressor.reset();
        let mut spare = self.0.lock();
        if spare.len() < SPARE_MAX {
            spare.push(compressor);
        }
    }
}

/// What a client sent is no DEFLATE stream.
#[derive(Debug, thiserror::Error)]
#[error("what was sent cannot be inflated")]
pub(super) struct Malformed;

impl Malformed {
    /// Whether this is why reading failed.
    pub(super) fn is_cause_of(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|cause| cause.is::<Self>())
    }
}

/// A transport whose bytes are compressed.
pub(super) struct Deflated<T> {
    transport: T,
    wire: Wire,
    inflow: Arc<Inflow>,
    inflater: Decompress,
    /// Received, and not yet inflated.
    received: BytesMut,
    /// The inflater may have more of what it was given already.
    is_more_inside: bool,
    /// The client has ended its stream.
    is_over: bool,
    compressors: Arc<Compressors>,
    /// There while a block is open.
    compressor: Option<Compress>,
    /// Compressed, and not yet sent.
    waiting: Vec<u8>,
    /// How much of it was sent.
    sent: usize,
    /// Our stream has its end.
    is_ended: bool,
}

impl<T> Deflated<T> {
    /// A layer over `transport`, from which `received` was read already.
    pub(super) fn new(
        transport: T,
        received: BytesMut,
        wire: Wire,
        inflow: Arc<Inflow>,
        compressors: Arc<Compressors>,
    ) -> Self {
        Self {
            transport,
            wire,
            inflow,
            inflater: Decompress::new_with_window_bits(false, WINDOW_BITS),
            received,
            is_more_inside: false,
            is_over: false,
            compressors,
            compressor: None,
            waiting: Vec::new(),
            sent: 0,
            is_ended: false,
        }
    }

    /// What is below, and what was received and is not of the client's compressed stream: that ended
    /// with the block that was inflated last (RFC 8437 §4.1).
    pub(super) fn into_parts(self) -> (T, BytesMut) {
        (self.transport, self.received)
    }

    /// Inflates what is there, as far as there is room.
    fn inflate(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<()> {
        let room = buf.remaining().min(INFLATED_BYTES_MAX);
        let out = buf.initialize_unfilled_to(room);
        let (taken, made) = (self.inflater.total_in(), self.inflater.total_out());
        // Block by block: what follows a block may be in clear, when it ends with UNAUTHENTICATE.
        let block = memchr::memmem::find(&self.received, &BLOCK_END)
            .map_or(self.received.len(), |at| at.saturating_add(BLOCK_END.len()));
        let block = self.received.get(..block).unwrap_or_default();
        let inflated = self.inflater.decompress(block, out, FlushDecompress::Sync);
        let status = inflated.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, Malformed))?;
        let taken = difference(self.inflater.total_in(), taken);
        let made = difference(self.inflater.total_out(), made);
        buf.advance(made);
        self.received.advance(taken.min(self.received.len()));
        if self.received.is_empty() {
            // Nobody idles with room for more.
            self.received = BytesMut::new();
        }
        self.is_more_inside = made == room;
        self.is_over = status == Status::StreamEnd;
        self.inflow.became(made as u64);
        Ok(())
    }

    /// Compresses bytes, or, with none, what `flush` says; how many it took.
    fn compress(&mut self, bytes: &[u8], flush: FlushCompress) -> io::Result<usize> {
        let compressor = self
            .compressor
            .get_or_insert_with(|| self.compressors.take());
        let begun = compressor.total_in();
        loop {
            self.waiting.reserve(bytes.len().saturating_add(END_BYTES));
            let rest = bytes.get(difference(compressor.total_in(), begun)..);
            let done = compressor.compress_vec(rest.unwrap_or_default(), &mut self.waiting, flush);
            done.map_err(io::Error::other)?;
            // As long as the room is used up there may be more.
            if self.waiting.len() < self.waiting.capacity() {
                return Ok(difference(compressor.total_in(), begun));
            }
        }
    }

    /// Ends the block, so that the client can read all of it, and gives the compressor back.
    fn end_block(&mut self, flush: FlushCompress) -> io::Result<()> {
        self.compress(&[], flush)?;
        if let Some(compressor) = self.compressor.take() {
            self.compressors.give_back(compressor);
        }
        Ok(())
    }
}

impl<T: AsyncWrite + Unpin> Deflated<T> {
    /// Sends what waits.
    fn drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.waiting.get(self.sent..).filter(|it| !it.is_empty()) {
            let written = match Pin::new(&mut self.transport).poll_write(cx, rest) {
                Poll::Ready(written) => written?,
                Poll::Pending => {
                    // Who has to wait for the client does not keep a compressor meanwhile.
                    if self.compressor.is_some() {
                        self.end_block(FlushCompress::Sync)?;
                    }
                    return Poll::Pending;
                }
            };
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.wire.sent(written as u64);
            self.sent = self.sent.saturating_add(written);
        }
        (self.waiting, self.sent) = (Vec::new(), 0);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Deflated<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        // A little that was read can be much to take: others have their turn.
        let turn = ready!(coop::poll_proceed(cx));
        while !this.is_over {
            if this.is_more_inside || !this.received.is_empty() {
                let before = buf.filled().len();
                this.inflate(buf)?;
                if buf.filled().len() > before {
                    break;
                }
                continue;
            }
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.transport).poll_read(cx, &mut read))?;
            let read = read.filled();
            if read.is_empty() {
                break;
            }
            this.wire.received(read.len() as u64);
            this.inflow.came(read.len() as u64);
            this.received.extend_from_slice(read);
        }
        turn.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Deflated<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // What compresses well is seldom held back by the transport.
        let turn = ready!(coop::poll_proceed(cx));
        if self.waiting.len() >= WAITING_BYTES_MAX {
            ready!(self.drain(cx))?;
        }
        let chunk = bytes.get(..DEFLATED_BYTES_MAX).unwrap_or(bytes);
        let taken = self.compress(chunk, FlushCompress::None)?;
        turn.made_progress();
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flush = match self.inflow.is_ending() {
            true => FlushCompress::Finish,
            false => FlushCompress::Sync,
        };
        if self.compressor.is_some() {
            self.end_block(flush)?;
        }
        ready!(self.drain(cx))?;
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_ended {
            self.end_block(FlushCompress::Finish)?;
            self.is_ended = true;
        }
        ready!(self.drain(cx))?;
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

/// How far a counter of the library went.
fn difference(now: u64, before: u64) -> usize {
    usize::try_from(now.saturating_sub(before)).unwrap_or(usize::MAX)
}

#[cfg(test)]
pub(super) mod tests;
