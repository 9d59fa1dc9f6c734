//! Writing a segment again without the bodies that may go.
//!
//! Frames keep their numbers, their order and their kinds, and records keep their bytes: what is made
//! again from the new file is what was made of the old one, less bodies that nothing refers to. The
//! file gets its name when it is whole and synced. A segment with bytes that cannot be read is not
//! written again at all.

use std::io::{self, IoSlice};

use bytes::Bytes;
use mail::id::BodyId;

use super::super::{
    assemble::body_piece,
    codec::{Malformed, records},
    frame::{HEADER_BYTES, Header, Kind, Rewritten, Salt, Start},
    index::{Moved, Replacement},
    record::{BodyData, Record},
    recover::NEW,
    segment::{Item, Scanner, Segments, unavailable},
    summary::{self, Extent},
};
use crate::{
    Error, Result,
    disk::{DiskFile, OpenMode},
};

/// Written at once, bytes.
const WRITE_BYTES: usize = 1 << 20;
/// Written between syncs, bytes: a sync of the log never waits for much more.
const SYNC_BYTES: u64 = 4 << 20;

/// What the writing asks while it goes on.
pub(super) trait Judge {
    /// Which of these bodies may go.
    fn may_go(&mut self, bodies: &[BodyId]) -> Result<Vec<bool>>;
    /// Called after each step: may wait, or fail to end it.
    fn step(&mut self) -> Result<()>;
}

/// A segment that was written again.
pub(super) struct Made {
    /// What the index is to be told.
    pub(super) replacement: Replacement,
    /// The part of the log that the new file is.
    pub(super) extent: Extent,
}

/// Writes what `source` is into the file `to`, durably; that file stands for nothing yet.
pub(super) fn rewrite(
    segments: &Segments,
    source: &Extent,
    to: u32,
    judge: &mut dyn Judge,
) -> Result<Made> {
    let path = segments.path(to);
    let new = path.with_extension(format!("seg{NEW}"));
    let disk = &segments.disk;
    let made = write(segments, source, to, judge).and_then(|(replacement, bytes)| {
        disk.rename(&new, &path).map_err(|e| writing(&e))?;
        disk.sync_dir(&segments.dir).map_err(|e| writing(&e))?;
        Ok(Made {
            replacement,
            extent: Extent {
                segment: to,
                bytes,
                ..*source
            },
        })
    });
    if made.is_err() {
        // It would be removed by the next opening; until then it only takes room.
        let _ = disk.remove(&new);
    }
    let made = made?;
    // A file of this name may have been given up before.
    segments.forget(to);
    summary::remove(segments, to).map_err(|e| writing(&e))?;
    // Reading it back for its summary proves that it can be read.
    let summary = summary::ensure(segments, &made.extent)?;
    match summary.directory.spoilt.is_empty() {
        true => Ok(made),
        false => Err(Error::Damaged("a segment is not what was written".into())),
    }
}

fn writing(error: &io::Error) -> Error {
    unavailable("writing a segment again", error)
}

fn write(
    segments: &Segments,
    source: &Extent,
    to: u32,
    judge: &mut dyn Judge,
) -> Result<(Replacement, u64)> {
    let reading = |error: io::Error| unavailable("reading a segment", &error);
    let salt = Salt::of(&source.salt);
    let file = segments.file(source.segment).map_err(reading)?;
    let mut scanner = Scanner::new(file, salt, 0, source.bytes);
    let new = segments.path(to).with_extension(format!("seg{NEW}"));
    let file = segments.disk.open(&new, OpenMode::Either);
    let file = file.map_err(|e| writing(&e))?;
    file.set_len(0).map_err(|e| writing(&e))?;
    let mut writer = Writer {
        file: &*file,
        salt,
        at: 0,
        buffer: Vec::new(),
        unsynced: 0,
        replacement: Replacement {
            from: source.segment,
            to,
            ..Replacement::default()
        },
        begin: None,
    };
    while let Some(item) = scanner.next().map_err(reading)? {
        let Item::Frame {
            at,
            header,
            payload,
        } = item
        else {
            return Err(Error::Damaged("a part of it cannot be read".into()));
        };
        writer.frame(at, header, &payload, judge)?;
        if writer.buffer.len() >= WRITE_BYTES {
            writer.flush()?;
            judge.step()?;
        }
    }
    writer.finish()
}

struct Writer<'a> {
    file: &'a dyn DiskFile,
    salt: Salt,
    /// Where the buffer will stand.
    at: u64,
    buffer: Vec<u8>,
    unsynced: u64,
    replacement: Replacement,
    /// The frame it begins with, which is written last.
    begin: Option<(Header, Start)>,
}

impl Writer<'_> {
    /// Takes the frame that stood at `at`.
    fn frame(
        &mut self,
        at: u64,
        header: Header,
        payload: &Bytes,
        judge: &mut dyn Judge,
    ) -> Result<()> {
        match header.kind {
            Kind::Start => {
                let mut start = Start::decode(payload)?;
                // Its length is the same whatever it says.
                start.rewritten = Some(Rewritten {
                    file: self.replacement.to,
                    bytes: 0,
                });
                self.begin = Some((header, start));
                let bytes = HEADER_BYTES + start.encode().len();
                self.buffer.resize(self.buffer.len() + bytes, 0);
                Ok(())
            }
            Kind::Body => self.body(at, header, payload, judge),
            Kind::Whole | Kind::Part | Kind::Commit => self.transaction(at, header, payload, judge),
        }
    }

    fn body(
        &mut self,
        at: u64,
        header: Header,
        payload: &Bytes,
        judge: &mut dyn Judge,
    ) -> Result<()> {
        let piece = body_piece(payload)?;
        if judge.may_go(&[piece.id])? == [true] {
            self.dropped(piece.id);
            return Ok(());
        }
        let data = piece.data..payload.len();
        let to = self.payload_at() + piece.data as u64;
        self.moved(piece.id, at, data, to);
        self.put(header, payload);
        Ok(())
    }

    fn transaction(
        &mut self,
        at: u64,
        header: Header,
        payload: &Bytes,
        judge: &mut dyn Judge,
    ) -> Result<()> {
        let spans = records::spans(payload)?;
        let bodies = spans.iter().filter_map(|span| body_of(&span.record));
        let bodies: Vec<BodyId> = bodies.map(|(id, _)| id).collect();
        let mut may_go = match bodies.is_empty() {
            true => Vec::new(),
            false => judge.may_go(&bodies)?,
        }
        .into_iter();
        let begin = spans.first().map_or(payload.len(), |s| s.bytes.start);
        let mut kept = payload.slice(..begin).to_vec();
        for span in &spans {
            let bytes = payload.slice(span.bytes.clone());
            if let Some((id, stored)) = body_of(&span.record) {
                if may_go.next().ok_or(Malformed)? {
                    self.dropped(id);
                    continue;
                }
                let data = span.bytes.end - stored..span.bytes.end;
                let to = kept.len() + bytes.len() - stored;
                let to = self.payload_at() + to as u64;
                self.moved(id, at, data, to);
            }
            kept.extend_from_slice(&bytes);
        }
        self.put(header, &kept);
        Ok(())
    }

    /// Where the payload of the next frame begins.
    fn payload_at(&self) -> u64 {
        self.at + (self.buffer.len() + HEADER_BYTES) as u64
    }

    fn dropped(&mut self, id: BodyId) {
        self.replacement.dropped.insert(id);
    }

    /// Stored bytes of a body, in the payload of the frame at `at`, stand at `to` now.
    fn moved(&mut self, id: BodyId, at: u64, data: std::ops::Range<usize>, to: u64) {
        if data.is_empty() {
            return;
        }
        let moved = Moved {
            from: at + (HEADER_BYTES + data.start) as u64,
            bytes: data.len() as u64,
            to,
        };
        self.replacement.moved.entry(id).or_default().push(moved);
    }

    fn put(&mut self, header: Header, payload: &[u8]) {
        let header = Header {
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: self.salt.crc(payload),
            ..header
        };
        self.buffer.extend_from_slice(&header.encode(self.salt));
        self.buffer.extend_from_slice(payload);
    }

    fn flush(&mut self) -> Result<()> {
        let parts = [IoSlice::new(&self.buffer)];
        self.file
            .write_at(self.at, &parts)
            .map_err(|e| writing(&e))?;
        let written = self.buffer.len() as u64;
        self.at += written;
        self.unsynced += written;
        self.buffer.clear();
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.file.sync().map_err(|e| writing(&e))?;
        }
        Ok(())
    }

    /// Writes the rest, then, in front, what it is and how long.
    fn finish(mut self) -> Result<(Replacement, u64)> {
        self.flush()?;
        let (header, mut start) = self.begin.take().ok_or(Malformed)?;
        start.rewritten = Some(Rewritten {
            file: self.replacement.to,
            bytes: self.at,
        });
        let payload = start.encode();
        let header = Header {
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            payload_crc: Salt::NONE.crc(&payload),
            ..header
        };
        let header = header.encode(Salt::NONE);
        let parts = [IoSlice::new(&header), IoSlice::new(&payload)];
        self.file.write_at(0, &parts).map_err(|e| writing(&e))?;
        self.file.sync().map_err(|e| writing(&e))?;
        Ok((self.replacement, self.at))
    }
}

/// The body that a record stores or names, and how many stored bytes end the record.
fn body_of(record: &Record) -> Option<(BodyId, usize)> {
    match record {
        Record::Body(body) => match &body.data {
            BodyData::Packed(packed) => Some((body.id, packed.data.len())),
            BodyData::Before => Some((body.id, 0)),
        },
        _ => None,
    }
}
