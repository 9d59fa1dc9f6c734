//! Reading the log's frames into whatever takes transactions: the index, or a segment's summary.

use std::io;

use bytes::Bytes;

use super::{
    assemble::Assembler,
    codec::Malformed,
    frame::{HEADER_BYTES, Header, Lsn},
    index::{Event, Index},
    quarantine::Spoilt,
    segment::{Item, Position, Scanner, unavailable},
};
use crate::Result;

/// Log handed on with one batch, bytes.
const BATCH_BYTES: u64 = 4 << 20;
/// Log read between checkpoints of the index, bytes.
const CHECKPOINT_BYTES: u64 = 64 << 20;

/// What transactions are read into.
pub(crate) trait Sink {
    /// What it knows to have been durable.
    fn applied(&self) -> Lsn;
    /// Takes what was read, in order; it took this much of the log, bytes.
    fn take(&mut self, events: &[Event], log_bytes: u64) -> Result<()>;
}

/// The index as it takes what is replayed.
pub(crate) struct IntoIndex<'a> {
    pub(crate) index: &'a Index,
    /// Read since the last checkpoint, bytes.
    pub(crate) unsaved: u64,
}

impl Sink for IntoIndex<'_> {
    fn applied(&self) -> Lsn {
        self.index.meta().applied
    }

    fn take(&mut self, events: &[Event], log_bytes: u64) -> Result<()> {
        self.unsaved += log_bytes;
        self.index.apply(events)?;
        // What is read was synced before: the index may be durable as far as it has come.
        if self.unsaved >= CHECKPOINT_BYTES {
            self.unsaved = 0;
            self.index.checkpoint()?;
        }
        Ok(())
    }
}

/// How far reading the log came.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct End {
    pub(crate) lsn: Lsn,
    pub(crate) at: Position,
}

/// What follows the last frame of what is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum After {
    /// More of the log, or nothing at all: all of it was durable.
    Log,
    /// Perhaps a torn tail.
    Tail,
}

/// Reading the log.
pub(crate) struct Replay<'a, S> {
    pub(crate) sink: &'a mut S,
    pub(crate) end: End,
    pub(crate) assembler: Assembler,
    /// What could not be read.
    pub(crate) spoilt: Vec<Spoilt>,
    events: Vec<Event>,
    /// Read since the last batch, bytes.
    bytes: u64,
}

impl<'a, S: Sink> Replay<'a, S> {
    pub(crate) fn new(sink: &'a mut S, end: End) -> Self {
        Self {
            sink,
            end,
            assembler: Assembler::default(),
            spoilt: Vec::new(),
            events: Vec::new(),
            bytes: 0,
        }
    }

    /// Reads a segment, as far as the scanner goes.
    pub(crate) fn segment(
        &mut self,
        segment: u32,
        mut scanner: Scanner,
        after: After,
    ) -> Result<()> {
        let reading = |error: io::Error| unavailable("reading the log", &error);
        self.end.at = Position {
            segment,
            offset: scanner.position(),
        };
        while let Some(item) = scanner.next().map_err(reading)? {
            match item {
                Item::Frame {
                    at,
                    header,
                    payload,
                } => self.frame(segment, at, header, &payload)?,
                Item::Bad { from, to, header } => {
                    let is_tail = after == After::Tail
                        && !self.was_durable(&mut scanner, header).map_err(reading)?;
                    if is_tail {
                        return Ok(());
                    }
                    self.spoilt(segment, from, to);
                }
            }
        }
        Ok(())
    }

    /// Hands on what was read.
    pub(crate) fn flush(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.bytes);
        self.sink.take(&std::mem::take(&mut self.events), bytes)
    }

    /// Whether a bad frame was durable once: a later header or the index says so.
    fn was_durable(&self, scanner: &mut Scanner, header: Option<Header>) -> io::Result<bool> {
        let bad = self.end.lsn + 1;
        let mut known = self.sink.applied();
        known = known.max(header.map_or(0, |header| header.durable));
        Ok(known >= bad || scanner.highest_durable()? >= bad)
    }

    fn spoilt(&mut self, segment: u32, from: u64, to: u64) {
        self.spoilt.push(Spoilt {
            segment,
            from,
            to,
            after: self.end.lsn,
        });
        self.end.at.offset = to;
    }

    fn frame(&mut self, segment: u32, at: u64, header: Header, payload: &Bytes) -> Result<()> {
        let taken = self.assembler.frame(segment, at, header, payload);
        let to = at + HEADER_BYTES as u64 + u64::from(header.len);
        match taken {
            Ok(event) => self.events.extend(event),
            Err(Malformed) => self.spoilt(segment, at, to),
        }
        self.end = End {
            lsn: header.lsn,
            at: Position {
                segment,
                offset: to,
            },
        };
        self.bytes += u64::from(header.len);
        if self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }
}
