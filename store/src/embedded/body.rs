//! Bodies: cut into chunks, each compressed by itself, so that a part of a large one costs its own
//! chunks.
//!
//! The header block has chunks of its own, so that reading headers decompresses nothing else. Each
//! chunk has a checksum: a read does not pass through the frame's.
//!
//! A body may go on with another one, its *rest*: a message delivered to several accounts is a
//! short head of each and one rest (docs/decisions/0007).

use bytes::{Bytes, BytesMut};
use mail::id::BodyId;
use parking_lot::Mutex;

use super::codec::{Malformed, Read, Reader, Writer};

/// A chunk's size before compression.
pub(crate) const CHUNK_BYTES_MAX: usize = 64 << 10;

/// A body, or a piece of one, as it is stored.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Packed {
    /// The chunks, in order.
    pub(crate) chunks: Vec<Chunk>,
    /// Their stored bytes, one after another.
    pub(crate) data: Bytes,
}

/// A chunk in a packed body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    /// Bytes as delivered.
    pub(crate) raw: u32,
    /// Bytes as stored; if equal to `raw` they are not compressed.
    pub(crate) stored: u32,
    /// CRC32C of the stored bytes.
    pub(crate) crc: u32,
}

/// Where a body is.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Place {
    /// Size as delivered, with that of `rest`.
    pub(crate) size: u64,
    /// BLAKE3 of its own bytes as delivered.
    pub(crate) digest: [u8; 32],
    /// Its own chunks, in order.
    pub(crate) chunks: Vec<ChunkPlace>,
    /// The body it goes on with.
    pub(crate) rest: Option<BodyId>,
}

/// Where a chunk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ChunkPlace {
    /// Which segment.
    pub(crate) segment: u32,
    /// The first stored byte in it.
    pub(crate) offset: u64,
    /// The first byte in the body.
    pub(crate) at: u64,
    /// What it is.
    pub(crate) chunk: Chunk,
}

impl Packed {
    /// Packs a body given in pieces; the first `header_bytes` get chunks of their own.
    pub(crate) fn new(pieces: &[Bytes], header_bytes: u64, level: i32) -> Self {
        let (mut chunks, mut data) = (Vec::new(), BytesMut::new());
        for chunk in cut(pieces, header_bytes) {
            chunks.push(pack(&chunk, level, &mut data));
        }
        Self {
            chunks,
            data: data.freeze(),
        }
    }

    /// Bytes as delivered.
    pub(crate) fn raw_bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| u64::from(chunk.raw)).sum()
    }

    pub(crate) fn encode(&self, w: &mut Writer) {
        w.var(self.chunks.len() as u64);
        for chunk in &self.chunks {
            w.var(chunk.raw.into());
            w.var(chunk.stored.into());
            w.u32(chunk.crc);
        }
        w.0.extend_from_slice(&self.data);
    }

    /// Reads to the end of what `r` holds.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Read<Self> {
        let chunks = r.list(read_chunk)?;
        let stored: u64 = chunks.iter().map(|chunk| u64::from(chunk.stored)).sum();
        let data = r.take(usize::try_from(stored).map_err(|_| Malformed)?)?;
        Ok(Self {
            chunks,
            data: Bytes::copy_from_slice(data),
        })
    }
}

/// Where chunks are whose stored bytes begin at `offset` of `segment`, the first of them at byte `at`
/// of the body.
pub(crate) fn places(
    chunks: &[Chunk],
    segment: u32,
    mut offset: u64,
    mut at: u64,
) -> Vec<ChunkPlace> {
    let place = |chunk: &Chunk| {
        let place = ChunkPlace {
            segment,
            offset,
            at,
            chunk: *chunk,
        };
        offset += u64::from(chunk.stored);
        at += u64::from(chunk.raw);
        place
    };
    chunks.iter().map(place).collect()
}

fn read_chunk(r: &mut Reader<'_>) -> Read<Chunk> {
    let chunk = Chunk {
        raw: r.var_u32()?,
        stored: r.var_u32()?,
        crc: r.u32()?,
    };
    let fits = chunk.raw as usize <= CHUNK_BYTES_MAX && chunk.stored <= chunk.raw;
    if fits { Ok(chunk) } else { Err(Malformed) }
}

/// Cuts pieces into chunks.
fn cut(pieces: &[Bytes], header_bytes: u64) -> Vec<Bytes> {
    let total: usize = pieces.iter().map(Bytes::len).sum();
    let header = usize::try_from(header_bytes).unwrap_or(total).min(total);
    let whole = match pieces {
        [one] => one.clone(),
        _ => pieces.concat().into(),
    };
    let (header, rest) = (whole.slice(..header), whole.slice(header..));
    let parts = [header, rest];
    let chunks = parts.iter().flat_map(|part| {
        (0..part.len())
            .step_by(CHUNK_BYTES_MAX)
            .map(|at| part.slice(at..part.len().min(at + CHUNK_BYTES_MAX)))
    });
    chunks.collect()
}

static COMPRESSORS: Spare<zstd::bulk::Compressor<'static>> = Spare::new();
static DECOMPRESSORS: Spare<zstd::bulk::Decompressor<'static>> = Spare::new();
/// Compressors, and decompressors, that are kept: enough for those who work at the same time on most
/// machines, and a few MiB.
const SPARE_MAX: usize = 8;

/// What is dear to make and is used again. Kept for all threads together: a burst of reads makes
/// hundreds of threads, and one each would be memory that nobody gives back.
struct Spare<T>(Mutex<Vec<T>>);

impl<T> Spare<T> {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// Works with one that is at hand, or with a new one; `None` if there is none to be had.
    fn with<R>(
        &self,
        new: impl FnOnce() -> Option<T>,
        work: impl FnOnce(&mut T) -> R,
    ) -> Option<R> {
        let spare = self.0.lock().pop();
        let mut one = spare.or_else(new)?;
        let done = work(&mut one);
        let mut kept = self.0.lock();
        if kept.len() < SPARE_MAX {
            kept.push(one);
        }
        Some(done)
    }
}

fn pack(raw: &Bytes, level: i32, data: &mut BytesMut) -> Chunk {
    let small = if level == 0 {
        None
    } else {
        compress(raw, level)
    };
    let stored = match &small {
        Some(small) if small.len() < raw.len() => small.as_slice(),
        _ => raw,
    };
    data.extend_from_slice(stored);
    Chunk {
        raw: u32::try_from(raw.len()).unwrap_or(u32::MAX),
        stored: u32::try_from(stored.len()).unwrap_or(u32::MAX),
        crc: crc32c::crc32c(stored),
    }
}

fn compress(raw: &[u8], level: i32) -> Option<Vec<u8>> {
    let new = || zstd::bulk::Compressor::new(level).ok();
    let compressed = COMPRESSORS.with(new, |compressor| {
        compressor.set_compression_level(level).ok()?;
        compressor.compress(raw).ok()
    });
    compressed?
}

/// The delivered bytes of a chunk whose stored bytes are given; checked.
pub(crate) fn unpack(chunk: Chunk, stored: Bytes) -> Read<Bytes> {
    if crc32c::crc32c(&stored) != chunk.crc {
        return Err(Malformed);
    }
    if chunk.stored == chunk.raw {
        return Ok(stored);
    }
    let new = || zstd::bulk::Decompressor::new().ok();
    let raw = DECOMPRESSORS.with(new, |decompressor| {
        decompressor.decompress(&stored, chunk.raw as usize).ok()
    });
    match raw.flatten() {
        Some(raw) if raw.len() == chunk.raw as usize => Ok(raw.into()),
        _ => Err(Malformed),
    }
}

impl Place {
    /// How many bytes it has before its rest.
    pub(crate) fn own_bytes(&self) -> u64 {
        match (self.rest, self.chunks.last()) {
            (None, _) => self.size,
            (Some(_), last) => last.map_or(0, |last| last.at + u64::from(last.chunk.raw)),
        }
    }

    /// As it stands in the index: runs of chunks that follow one another.
    pub(crate) fn encode(&self, w: &mut Writer) {
        w.var(self.rest.map_or(0, BodyId::get));
        w.var(self.size);
        w.0.extend_from_slice(&self.digest);
        let runs = self.chunks.chunk_by(|a, b| {
            a.segment == b.segment && a.offset + u64::from(a.chunk.stored) == b.offset
        });
        for run in runs {
            let Some(first) = run.first() else { continue };
            w.var(run.len() as u64);
            w.var(first.segment.into());
            w.var(first.offset);
            for place in run {
                w.var(place.chunk.raw.into());
                w.var(place.chunk.stored.into());
                w.u32(place.chunk.crc);
            }
        }
    }

    /// The rest of a place that `r` holds.
    pub(crate) fn decode_rest(r: &mut Reader<'_>) -> Read<Option<BodyId>> {
        r.var().map(BodyId::new)
    }

    /// Reads to the end of what `r` holds.
    pub(crate) fn decode(r: &mut Reader<'_>) -> Read<Self> {
        let rest = Self::decode_rest(r)?;
        let (size, digest) = (r.var()?, r.array()?);
        let (mut chunks, mut at) = (Vec::new(), 0u64);
        while !r.is_empty() {
            let count = r.count()?;
            let segment = r.var_u32()?;
            let mut offset = r.var()?;
            for _ in 0..count {
                let chunk = read_chunk(r)?;
                chunks.push(ChunkPlace {
                    segment,
                    offset,
                    at,
                    chunk,
                });
                offset = offset.checked_add(chunk.stored.into()).ok_or(Malformed)?;
                at += u64::from(chunk.raw);
            }
        }
        Ok(Self {
            size,
            digest,
            chunks,
            rest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_and_unpacks() {
        let text = "a line of text that repeats itself\r\n".repeat(6_000);
        let pieces: Vec<Bytes> = text
            .as_bytes()
            .chunks(10_007)
            .map(Bytes::copy_from_slice)
            .collect();
        let packed = Packed::new(&pieces, 1_000, 1);
        assert_eq!(packed.chunks[0].raw, 1_000);
        assert_eq!(packed.raw_bytes(), text.len() as u64);
        assert!(packed.data.len() < text.len() / 10);
        let mut raw = Vec::new();
        for place in places(&packed.chunks, 1, 0, 0) {
            let from = usize::try_from(place.offset).unwrap();
            let stored = packed.data.slice(from..from + place.chunk.stored as usize);
            raw.extend_from_slice(&unpack(place.chunk, stored).unwrap());
        }
        assert_eq!(raw, text.as_bytes());
    }

    #[test]
    fn places_go_both_ways() {
        let packed = Packed::new(&[Bytes::from(vec![7; 200_000])], 5, 0);
        let mut chunks = places(&packed.chunks, 1, 44, 0);
        chunks.extend(places(&packed.chunks, 2, 10, 200_000));
        let place = Place {
            size: 400_000,
            digest: [9; 32],
            chunks,
            rest: None,
        };
        let headed = Place {
            size: 500_000,
            rest: BodyId::new(300),
            ..place.clone()
        };
        for place in [place, headed] {
            let mut w = Writer::default();
            place.encode(&mut w);
            assert_eq!(Place::decode(&mut Reader::new(&w.0)).unwrap(), place);
            assert_eq!(place.own_bytes(), 400_000);
            let rest = Place::decode_rest(&mut Reader::new(&w.0));
            assert_eq!(rest.unwrap(), place.rest);
        }
    }
}
