//! Writing the log: numbering frames, one vectored write per batch, sealing and beginning segments.
//!
//! After a failed write or sync nothing more is written to that segment: the next write begins a
//! new one, whose start frame says to which byte the old one is valid (the *cut*).

use std::{io, sync::Arc};

use super::{
    frame::{HEADER_BYTES, Header, Kind, Lsn, Salt, Start, Unnumbered, slices},
    segment::{NUMBER_MAX, Position, Segments},
};
use crate::disk::DiskFile;

/// The log, as its one writer holds it.
#[derive(Debug)]
pub(crate) struct Log {
    segments: Arc<Segments>,
    salt: [u8; 16],
    segment_bytes: u64,
    active: Option<Active>,
    next: Lsn,
    durable: Lsn,
    /// To here everything is durable.
    valid: Position,
    /// The highest segment number used, also by one that could not be begun.
    highest: u32,
    unsynced: Lsn,
}

#[derive(Debug)]
struct Active {
    number: u32,
    file: Arc<dyn DiskFile>,
    bytes: u64,
}

/// Where recovery left the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tail {
    /// The last frame's number.
    pub(crate) lsn: Lsn,
    /// Where it ends.
    pub(crate) end: Position,
    /// The highest segment number there is.
    pub(crate) highest: u32,
    /// Whether writing goes on in that segment, or in a new one.
    pub(crate) appendable: bool,
}

/// A written frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// Its number.
    pub(crate) lsn: Lsn,
    /// Where it begins.
    pub(crate) at: Position,
    /// Where its payload begins.
    pub(crate) payload: Position,
}

impl Log {
    /// The log as recovery left it.
    pub(crate) fn new(
        segments: Arc<Segments>,
        salt: [u8; 16],
        segment_bytes: u64,
        tail: Tail,
    ) -> io::Result<Self> {
        let active = match tail.appendable {
            true => Some(Active {
                number: tail.end.segment,
                file: segments.file(tail.end.segment)?,
                bytes: tail.end.offset,
            }),
            false => None,
        };
        Ok(Self {
            segments,
            salt,
            segment_bytes,
            active,
            next: tail.lsn + 1,
            durable: tail.lsn,
            valid: tail.end,
            highest: tail.highest,
            unsynced: tail.lsn,
        })
    }

    /// Whether a segment is being written that has room.
    pub(crate) fn is_ready(&self) -> bool {
        let bytes = self.active.as_ref().map(|active| active.bytes);
        bytes.is_some_and(|bytes| bytes < self.segment_bytes)
    }

    /// To where everything is durable.
    pub(crate) fn valid(&self) -> Position {
        self.valid
    }

    /// Seals the segment, if one is being written, and begins the next.
    pub(crate) fn begin_segment(&mut self) -> io::Result<()> {
        if self.active.is_some() && self.unsynced > self.durable {
            self.sync()?;
        }
        self.active = None;
        let number = self.highest + 1;
        if number > NUMBER_MAX {
            return Err(io::Error::other(
                "the log has as many segments as it may have",
            ));
        }
        self.highest = number;
        let begun = self.try_begin(number);
        if begun.is_err() {
            // Best effort: if it stays, its successor's start names it as abandoned.
            let _ = self.segments.remove(number);
        }
        begun
    }

    fn try_begin(&mut self, number: u32) -> io::Result<()> {
        let file = self.segments.create(number)?;
        let start = Start {
            salt: self.salt,
            segment: number,
            previous: self.valid.segment,
            previous_bytes: self.valid.offset,
            previous_lsn: self.durable,
            rewritten: None,
        };
        let payload = start.encode();
        let lsn = self.next;
        self.next += 1;
        let header = Header {
            kind: Kind::Start,
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: Salt::NONE.crc(&payload),
            lsn,
            durable: self.durable,
            group: 0,
        };
        let headers = [header.encode(Salt::NONE)];
        file.write_at(0, &slices(&headers, std::iter::once(payload.as_slice())))?;
        file.sync()?;
        self.segments.disk.sync_dir(&self.segments.dir)?;
        let bytes = (HEADER_BYTES + payload.len()) as u64;
        self.active = Some(Active {
            number,
            file,
            bytes,
        });
        (self.durable, self.unsynced) = (lsn, lsn);
        self.valid = Position {
            segment: number,
            offset: bytes,
        };
        Ok(())
    }

    /// Writes frames; each inner slice is one transaction, or one body frame. Durable only after
    /// [`Self::sync`]. After an error the segment is given up.
    pub(crate) fn append(&mut self, batch: &[&[Unnumbered]]) -> io::Result<Vec<Vec<Written>>> {
        let written = self.try_append(batch);
        if written.is_err() {
            self.active = None;
        }
        written
    }

    fn try_append(&mut self, batch: &[&[Unnumbered]]) -> io::Result<Vec<Vec<Written>>> {
        let salt = Salt::of(&self.salt);
        let active = self.active.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let (begin, mut at) = (active.bytes, active.bytes);
        let (mut headers, mut written) = (Vec::new(), Vec::with_capacity(batch.len()));
        for frames in batch {
            let group = if frames.len() > 1 { self.next } else { 0 };
            let mut places = Vec::with_capacity(frames.len());
            for frame in *frames {
                let header = Header {
                    kind: frame.kind,
                    len: u32::try_from(frame.payload.len()).unwrap_or(u32::MAX),
                    payload_crc: frame.crc,
                    lsn: self.next,
                    durable: self.durable,
                    group,
                };
                headers.push(header.encode(salt));
                let position = |offset| Position {
                    segment: active.number,
                    offset,
                };
                places.push(Written {
                    lsn: self.next,
                    at: position(at),
                    payload: position(at + HEADER_BYTES as u64),
                });
                at += (HEADER_BYTES + frame.payload.len()) as u64;
                self.next += 1;
            }
            written.push(places);
        }
        let payloads = batch.iter().flat_map(|frames| frames.iter());
        let parts = slices(&headers, payloads.map(|frame| frame.payload.as_slice()));
        active.file.write_at(begin, &parts)?;
        active.bytes = at;
        self.unsynced = self.next - 1;
        Ok(written)
    }

    /// Makes everything written durable. After an error the segment is given up.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        let active = self.active.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if let Err(error) = active.file.sync() {
            self.active = None;
            return Err(error);
        }
        self.durable = self.unsynced;
        self.valid = Position {
            segment: active.number,
            offset: active.bytes,
        };
        Ok(())
    }
}
