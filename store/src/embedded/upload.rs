//! A message on its way in: in memory while it is short, in a spool file when it is long.
//!
//! The spool has no name on the disk, so that nothing is left of it whatever happens. Quota is
//! reserved while the upload lives.

use std::{
    any::Any,
    io::{self, IoSlice},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};

use super::{blocking, engine::Engine, planner::Planner, segment::unavailable};
use crate::{
    contract::{Upload, Usage},
    disk::DiskFile,
    error::{Error, Result},
    rules::quota,
};

/// A message up to this long stays in memory and is logged with its transaction.
pub(crate) const INLINE_BYTES_MAX: u64 = 1 << 20;
/// A spool is read in pieces of this size.
const PIECE_BYTES: usize = 256 << 10;
/// A spool is written in pieces of this size.
const SPOOL_BYTES: usize = 256 << 10;

/// The embedded engine's upload.
pub(crate) struct EmbeddedUpload {
    engine: Arc<Engine>,
    /// What was announced, and what came beyond it.
    expected: u64,
    /// Without one no account makes room for it yet.
    reservation: Option<Reservation>,
    len: u64,
    digest: blake3::Hasher,
    /// Bytes that are not in the spool.
    tail: BytesMut,
    spool: Option<Spool>,
}

/// Room that an account keeps for messages until it is dropped.
pub(crate) struct Reservation {
    planner: Arc<Planner>,
    reserved: Usage,
    /// Room that a message which goes gives back: so much need not be reserved.
    credit: Usage,
}

impl Reservation {
    pub(crate) fn new(planner: Arc<Planner>) -> Self {
        Self {
            planner,
            reserved: Usage::default(),
            credit: Usage::default(),
        }
    }

    /// The same for messages that take the place of what uses so much.
    pub(crate) fn instead_of(planner: Arc<Planner>, replaced: Usage) -> Self {
        let mut reservation = Self::new(planner);
        reservation.credit = replaced;
        reservation
    }

    /// Reserves more, if quota allows it.
    pub(crate) fn add(&mut self, more: Usage) -> Result<()> {
        let (needed, credit) = (
            quota::subtract(more, self.credit),
            quota::subtract(self.credit, more),
        );
        let more = needed;
        self.planner.adjust(|planned| {
            planned.fits(more)?;
            planned.reserved = quota::add(planned.reserved, more);
            Ok(())
        })?;
        self.reserved = quota::add(self.reserved, more);
        self.credit = credit;
        Ok(())
    }

    /// What is reserved, which from now on is the caller's to give back.
    pub(crate) fn take(&mut self) -> Usage {
        std::mem::take(&mut self.reserved)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let reserved = self.take();
        self.planner.release(reserved);
    }
}

/// A file without a name.
#[derive(Clone, Debug)]
struct Spool {
    file: Arc<dyn DiskFile>,
    len: u64,
}

/// A message that is whole.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// Its bytes.
    Inline(Bytes),
    /// A file without a name, and its length.
    Spooled(Arc<dyn DiskFile>, u64),
}

impl EmbeddedUpload {
    /// An upload of a size that is announced; an account that is known makes room for it.
    pub(crate) fn begin(
        engine: Arc<Engine>,
        reservation: Option<Reservation>,
        announced: u64,
    ) -> Result<Self> {
        let mut upload = Self {
            engine,
            expected: 0,
            reservation,
            len: 0,
            digest: blake3::Hasher::new(),
            tail: BytesMut::new(),
            spool: None,
        };
        upload.reserve(Usage {
            bytes: announced,
            messages: 1,
        })?;
        Ok(upload)
    }

    fn reserve(&mut self, more: Usage) -> Result<()> {
        let expected = self.expected.saturating_add(more.bytes);
        if expected > self.engine.message_bytes_max() {
            return Err(Error::Limit("size of a message"));
        }
        if let Some(reservation) = &mut self.reservation {
            reservation.add(more)?;
        }
        self.expected = expected;
        Ok(())
    }

    /// What is reserved for it.
    pub(crate) fn into_reservation(self) -> Option<Reservation> {
        self.reservation
    }

    /// BLAKE3 of the message.
    pub(crate) fn digest(&self) -> [u8; 32] {
        self.digest.finalize().into()
    }

    /// The whole message.
    pub(crate) async fn content(&mut self) -> Result<Content> {
        if self.spool.is_some() {
            self.flush().await?;
        }
        Ok(match &self.spool {
            Some(spool) => Content::Spooled(Arc::clone(&spool.file), spool.len),
            None => Content::Inline(self.tail.split().freeze()),
        })
    }

    /// Writes the tail to the spool.
    async fn flush(&mut self) -> Result<()> {
        let mut spool = match self.spool.take() {
            Some(spool) => spool,
            None => {
                let engine = Arc::clone(&self.engine);
                let file = blocking(move || engine.spool_file()).await?;
                Spool { file, len: 0 }
            }
        };
        let bytes = self.tail.split().freeze();
        let spool = blocking(move || {
            let parts = [IoSlice::new(&bytes)];
            spool
                .file
                .write_at(spool.len, &parts)
                .map_err(|e| unavailable("writing a spool", &e))?;
            spool.len += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            Ok(spool)
        });
        self.spool = Some(spool.await?);
        Ok(())
    }
}

#[async_trait]
impl Upload for EmbeddedUpload {
    async fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let added = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let len = self.len.saturating_add(added);
        let beyond = len.saturating_sub(self.expected);
        if beyond > 0 {
            // More than announced: what comes beyond it is asked for as it comes.
            self.reserve(Usage {
                bytes: beyond,
                messages: 0,
            })?;
        }
        self.len = len;
        self.digest.update(bytes);
        self.tail.extend_from_slice(bytes);
        let is_long = self.spool.is_some() || self.len > INLINE_BYTES_MAX;
        if is_long && self.tail.len() >= SPOOL_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    fn len(&self) -> u64 {
        self.len
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any + Send> {
        self
    }
}

impl Content {
    /// The message in pieces.
    pub(crate) fn pieces(self) -> Box<dyn Iterator<Item = io::Result<Bytes>> + Send> {
        match self {
            Self::Inline(bytes) => Box::new(std::iter::once(Ok(bytes))),
            Self::Spooled(file, len) => Box::new(
                (0..len)
                    .step_by(PIECE_BYTES)
                    .map(move |offset| read_piece(&*file, offset, len)),
            ),
        }
    }
}

fn read_piece(file: &dyn DiskFile, offset: u64, len: u64) -> io::Result<Bytes> {
    let left = usize::try_from(len - offset).unwrap_or(usize::MAX);
    let mut piece = vec![0; left.min(PIECE_BYTES)];
    file.read_at(offset, &mut piece)?;
    Ok(piece.into())
}
