//! What a segment's frames say, without the bodies' bytes: a file beside each sealed segment, from
//! which the index is made again without reading bodies (design.md §2, "Static data is truth").
//!
//! ```text
//! summary   = *block directory trailer
//! block     = the transactions that concern one account, in the order of the log (zstd)
//! directory = which part of the log it tells of, the highest numbers in it, what was spoilt, pieces
//!             of bodies whose transaction stands in a later segment, and where the blocks are, by
//!             account (zstd)
//! trailer   = where the directory is, and its checksum
//! ```
//!
//! The directory is sorted by account, so that one account is read alone. A summary holds nothing
//! that its segment does not: if it is missing or damaged it is made again ([`ensure`]).

mod builder;
mod directory;

use std::{io, path::PathBuf, sync::Arc};

use bytes::Bytes;

pub(crate) use self::builder::account;
use self::builder::{Builder, Target};
pub(crate) use self::directory::{BlockAt, Directory, Loose, Owner};
use super::{
    body::{ChunkPlace, Place},
    codec::{Malformed, Read, Reader, Writer, records},
    frame::{Lsn, Salt},
    index::Applied,
    quarantine::{self, Spoilt},
    replay::{After, End, Replay},
    segment::{Position, Scanner, Segments, unavailable},
};
use crate::{
    Error, Result,
    disk::{DiskFile, OpenMode},
};

/// A part of the log, from its segment's beginning: of a sealed segment all that counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Extent {
    /// The store's salt.
    pub(crate) salt: [u8; 16],
    /// Which segment.
    pub(crate) segment: u32,
    /// To which byte of it.
    pub(crate) bytes: u64,
}

/// A summary that can be read.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) directory: Directory,
    source: Source,
}

#[derive(Debug)]
enum Source {
    File(Arc<dyn DiskFile>),
    Memory(Bytes),
}

impl Source {
    fn read(&self, offset: u64, len: usize) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                let mut bytes = vec![0; len];
                file.read_at(offset, &mut bytes)?;
                Ok(bytes.into())
            }
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).unwrap_or(usize::MAX);
                let end = from.saturating_add(len);
                let is_there = end <= bytes.len();
                is_there
                    .then(|| bytes.slice(from..end))
                    .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }
}

impl Summary {
    /// Reads a block's transactions.
    ///
    /// # Errors
    /// [`Error::Damaged`] if it is not what was written.
    pub(crate) fn block(&self, at: &BlockAt) -> Result<Vec<Applied>> {
        let stored = self.source.read(at.offset, at.stored as usize);
        let stored = stored.map_err(|error| reading(&error))?;
        let raw = unpack(&stored, at.raw, at.crc)?;
        let mut r = Reader::new(&raw);
        let mut all = Vec::new();
        while !r.is_empty() {
            all.push(read_entry(&mut r)?);
        }
        Ok(all)
    }
}

fn reading(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Damaged("a summary is too short".into()),
        _ => unavailable("reading a summary", error),
    }
}

fn unpack(stored: &[u8], raw: u32, crc: u32) -> Read<Vec<u8>> {
    let unpacked = zstd::bulk::decompress(stored, raw as usize).map_err(|_| Malformed)?;
    let is_it = unpacked.len() == raw as usize && crc32c::crc32c(&unpacked) == crc;
    is_it.then_some(unpacked).ok_or(Malformed)
}

/// A part of a transaction: what it says of one account.
fn write_entry(w: &mut Writer, applied: &Applied, records: &[&super::record::Record]) {
    w.var(applied.lsn);
    w.signed(applied.time_secs);
    w.var(records.len() as u64);
    let mut places = Vec::new();
    for record in records {
        records::encode(w, record, &mut Vec::new());
        if let super::record::Record::Body(body) = record {
            places.extend(applied.bodies.iter().find(|(id, _)| *id == body.id));
        }
    }
    w.var(places.len() as u64);
    for (id, place) in places {
        w.var(id.get());
        write_place(w, place);
    }
}

fn read_entry(r: &mut Reader<'_>) -> Read<Applied> {
    Ok(Applied {
        lsn: r.var()?,
        end: Position::default(),
        time_secs: r.signed()?,
        records: r.list(records::one)?,
        bodies: r.list(|r| {
            let id = mail::id::BodyId::new(r.var()?).ok_or(Malformed)?;
            Ok((id, Arc::new(read_place(r)?)))
        })?,
        lag_bytes: 0,
        log_bytes: 0,
    })
}

/// A place that need not begin with the body's first byte.
fn write_place(w: &mut Writer, place: &Place) {
    w.var(place.chunks.first().map_or(0, |first| first.at));
    let mut inner = Writer::default();
    place.encode(&mut inner);
    w.bytes(&inner.0);
}

fn read_place(r: &mut Reader<'_>) -> Read<Place> {
    let from = r.var()?;
    let mut place = Place::decode(&mut Reader::new(r.bytes()?))?;
    for chunk in &mut place.chunks {
        chunk.at = chunk.at.checked_add(from).ok_or(Malformed)?;
    }
    Ok(place)
}

fn place_of(chunks: &[ChunkPlace]) -> Place {
    Place {
        chunks: chunks.to_vec(),
        ..Place::default()
    }
}

/// Where the summary of a segment is.
fn path(segments: &Segments, segment: u32) -> PathBuf {
    segments.path(segment).with_extension("sum")
}

/// Opens the summary of a part of the log; `None` if there is none, or what there is says nothing.
///
/// # Errors
/// [`Error::Unavailable`] if the disk fails: it may be there.
pub(crate) fn open(segments: &Segments, extent: &Extent) -> Result<Option<Summary>> {
    let path = path(segments, extent.segment);
    let file = match segments.disk.open(&path, OpenMode::Existing) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| reading(&error))?,
    };
    let len = file.len().map_err(|error| reading(&error))?;
    let source = Source::File(file);
    match directory::read(&source, len) {
        Ok(directory) if directory.extent == *extent => Ok(Some(Summary { directory, source })),
        Ok(_) | Err(Error::Damaged(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The summary of a sealed segment, made if need be. What was found spoilt is kept aside.
///
/// # Errors
/// The segment cannot be read, or the summary cannot be written.
pub(crate) fn ensure(segments: &Segments, extent: &Extent) -> Result<Summary> {
    // One is made at a time: who comes second finds it.
    let _one = segments.summarising.lock();
    if let Some(summary) = open(segments, extent)? {
        return Ok(summary);
    }
    make(segments, extent)?;
    let made = open(segments, extent)?;
    made.ok_or_else(|| Error::Damaged("a summary is not what was written".into()))
}

/// Writes the summary of a sealed segment, in place of one that there may be.
fn make(segments: &Segments, extent: &Extent) -> Result<()> {
    let path = path(segments, extent.segment);
    let new = path.with_extension("sum.new");
    let writing = |error: io::Error| unavailable("writing a summary", &error);
    let disk = &segments.disk;
    let file = disk.open(&new, OpenMode::Either).map_err(writing)?;
    file.set_len(0).map_err(writing)?;
    let written = write(segments, extent, Target::File(file.clone()));
    let named = written.and_then(|_| {
        file.sync().map_err(writing)?;
        disk.rename(&new, &path).map_err(writing)?;
        disk.sync_dir(&segments.dir).map_err(writing)
    });
    if named.is_err() {
        // It would be overwritten by the next attempt; until then it only takes room.
        let _ = disk.remove(&new);
    }
    named
}

/// A summary that stays in memory: of the newest segment, or when no file can be written.
/// Frames before it have numbers up to `lsn`.
pub(crate) fn in_memory(
    segments: &Segments,
    extent: &Extent,
    lsn: Lsn,
    after: After,
) -> Result<InMemory> {
    let begin = Begin { lsn, after };
    let read = read(segments, extent, begin, Target::Memory(Vec::new()))?;
    let (target, end) = (read.target, read.end);
    let Target::Memory(bytes) = target else {
        return Err(Malformed.into());
    };
    let bytes = Bytes::from(bytes);
    let len = bytes.len() as u64;
    let source = Source::Memory(bytes);
    let directory = directory::read(&source, len)?;
    let summary = Summary { directory, source };
    Ok(InMemory { summary, end })
}

/// A summary in memory, and where the valid log ends.
pub(crate) struct InMemory {
    pub(crate) summary: Summary,
    pub(crate) end: End,
}

/// Reads a sealed segment and its summary. Says what of the segment is spoilt, and what is wrong
/// with the summary, which is then made again.
pub(crate) fn check(segments: &Segments, extent: &Extent) -> Result<(Vec<Spoilt>, Option<String>)> {
    let told = write(segments, extent, Target::Nothing)?;
    let Some(summary) = open(segments, extent)? else {
        ensure(segments, extent)?;
        return Ok((told.spoilt, None));
    };
    let known = &summary.directory;
    let mut is_readable = true;
    for at in &known.blocks {
        match summary.block(at) {
            Ok(_) => {}
            Err(Error::Damaged(_)) => is_readable = false,
            Err(error) => return Err(error),
        }
    }
    // What a summary tells of bytes that were spoilt since is all that is left of them.
    let is_same = told.says_as(known) || told.spoilt != known.spoilt;
    if is_readable && is_same {
        return Ok((told.spoilt, None));
    }
    let _one = segments.summarising.lock();
    make(segments, extent)?;
    let segment = extent.segment;
    let line = format!("segment {segment}: its summary was damaged, and is made again");
    Ok((told.spoilt, Some(line)))
}

/// Removes the summary of a segment that goes, if there is one.
pub(crate) fn remove(segments: &Segments, segment: u32) -> io::Result<()> {
    match segments.disk.remove(&path(segments, segment)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write(segments: &Segments, extent: &Extent, target: Target) -> Result<Directory> {
    let begin = Begin {
        lsn: 0,
        after: After::Log,
    };
    Ok(read(segments, extent, begin, target)?.directory)
}

/// What is known of the log around what is read.
#[derive(Clone, Copy)]
struct Begin {
    lsn: Lsn,
    after: After,
}

/// A part of the log that was read.
struct Told {
    directory: Directory,
    target: Target,
    end: End,
}

fn read(segments: &Segments, extent: &Extent, begin: Begin, target: Target) -> Result<Told> {
    let opened = segments.file(extent.segment);
    let file = opened.map_err(|error| unavailable("opening a segment", &error))?;
    let scanner = Scanner::new(file, Salt::of(&extent.salt), 0, extent.bytes);
    let mut builder = Builder::new(*extent, target);
    let mut replay = Replay::new(
        &mut builder,
        End {
            lsn: begin.lsn,
            ..End::default()
        },
    );
    replay.segment(extent.segment, scanner, begin.after)?;
    replay.flush()?;
    let (end, spoilt, assembler) = (replay.end, replay.spoilt, replay.assembler);
    name(segments, &spoilt);
    let (directory, target) = builder.finish(end, spoilt, &assembler)?;
    Ok(Told {
        directory,
        target,
        end,
    })
}

fn name(segments: &Segments, spoilt: &[Spoilt]) {
    for each in spoilt {
        tracing::error!("{}", quarantine::keep(segments, each));
    }
}

#[cfg(test)]
mod tests;
