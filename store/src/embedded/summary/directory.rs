//! A summary's directory.

use std::io;

use mail::id::{AccountId, BodyId};

use super::{Extent, Source, place_of, read_place, unpack, write_place};
use crate::{
    Error, Result,
    embedded::{
        body::ChunkPlace,
        codec::{Malformed, Read, Reader, Writer},
        frame::Lsn,
        index::Highest,
        quarantine::Spoilt,
        segment::Position,
    },
};

const MAGIC: [u8; 8] = *b"rsumry01";
/// The trailer's size, bytes.
const TRAILER_BYTES: usize = 8 + 4 + 4 + 4 + 4 + MAGIC.len();

/// Whom a block concerns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Owner {
    /// The store: which accounts there are.
    Store,
    /// An account.
    Account(AccountId),
    /// Nobody: bodies without a message that says whose they are.
    Nobody,
}

/// Where a block is, and what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct BlockAt {
    pub(crate) owner: Owner,
    /// The first byte.
    pub(crate) offset: u64,
    /// Bytes as stored.
    pub(crate) stored: u32,
    /// Bytes before compression.
    pub(crate) raw: u32,
    /// CRC32C of the bytes before compression.
    pub(crate) crc: u32,
    /// Rows of messages in it.
    pub(crate) messages: u32,
}

/// Pieces of a body whose transaction does not stand in the same segment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Loose {
    pub(crate) body: BodyId,
    pub(crate) chunks: Vec<ChunkPlace>,
    /// Where the body's first frame is, if that stands in this segment.
    pub(crate) begun: Option<(Position, Lsn)>,
}

/// What a summary says without its blocks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Directory {
    /// What it is a summary of.
    pub(crate) extent: Extent,
    /// The last frame's number.
    pub(crate) lsn: Lsn,
    /// The highest numbers it names.
    pub(crate) highest: Highest,
    /// What could not be read.
    pub(crate) spoilt: Vec<Spoilt>,
    /// Pieces of bodies, by id.
    pub(crate) loose: Vec<Loose>,
    /// The blocks, by owner, each owner's in the order of the log.
    pub(crate) blocks: Vec<BlockAt>,
}

impl Owner {
    const fn number(self) -> u64 {
        match self {
            Self::Store => 0,
            Self::Account(id) => id.get(),
            Self::Nobody => u64::MAX,
        }
    }

    fn of(number: u64) -> Read<Self> {
        Ok(match number {
            0 => Self::Store,
            u64::MAX => Self::Nobody,
            id => Self::Account(AccountId::new(id).ok_or(Malformed)?),
        })
    }
}

impl Directory {
    /// Whether two say the same: where the blocks are, and how well they were compressed, aside.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        let said = |block: &BlockAt| (block.owner, block.raw, block.crc, block.messages);
        let blocks = self.blocks.iter().map(said);
        blocks.eq(other.blocks.iter().map(said))
            && (self.extent, self.lsn, self.highest) == (other.extent, other.lsn, other.highest)
            && self.loose == other.loose
    }

    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.0.extend_from_slice(&self.extent.salt);
        w.u32(self.extent.segment);
        w.u64(self.extent.bytes);
        w.u64(self.lsn);
        let highest = &self.highest;
        for n in [highest.account, highest.mailbox, highest.body] {
            w.var(n);
        }
        w.var(highest.uid_validity.into());
        w.var(self.spoilt.len() as u64);
        for spoilt in &self.spoilt {
            w.var(spoilt.from);
            w.var(spoilt.to);
            w.var(spoilt.after);
        }
        w.var(self.loose.len() as u64);
        for loose in &self.loose {
            w.var(loose.body.get());
            write_place(&mut w, &place_of(&loose.chunks));
            w.u8(loose.begun.is_some().into());
            if let Some((at, lsn)) = loose.begun {
                w.var(at.offset);
                w.var(lsn);
            }
        }
        w.var(self.blocks.len() as u64);
        for block in &self.blocks {
            w.var(block.owner.number());
            w.var(block.offset);
            for n in [block.stored, block.raw, block.messages] {
                w.var(n.into());
            }
            w.u32(block.crc);
        }
        w.0
    }

    fn decode(r: &mut Reader<'_>) -> Read<Self> {
        let extent = Extent {
            salt: r.array()?,
            segment: r.u32()?,
            bytes: r.u64()?,
        };
        let directory = Self {
            extent,
            lsn: r.u64()?,
            highest: Highest {
                account: r.var()?,
                mailbox: r.var()?,
                body: r.var()?,
                uid_validity: r.var_u32()?,
            },
            spoilt: r.list(|r| {
                Ok(Spoilt {
                    segment: extent.segment,
                    from: r.var()?,
                    to: r.var()?,
                    after: r.var()?,
                })
            })?,
            loose: r.list(|r| read_loose(r, extent.segment))?,
            blocks: r.list(read_block)?,
        };
        r.end()?;
        Ok(directory)
    }

    /// The bytes behind the blocks, which end at `at`: the directory and the trailer.
    pub(super) fn close(&self, at: u64) -> io::Result<Vec<u8>> {
        let raw = self.encode();
        let packed = zstd::bulk::compress(&raw, super::builder::LEVEL)?;
        let number = |n: usize| u32::try_from(n).map_err(|_| io::ErrorKind::FileTooLarge);
        let mut trailer = Writer::default();
        trailer.u64(at);
        trailer.u32(number(packed.len())?);
        trailer.u32(number(raw.len())?);
        trailer.u32(crc32c::crc32c(&raw));
        trailer.u32(crc32c::crc32c(&trailer.0));
        trailer.0.extend(MAGIC);
        let mut bytes = packed;
        bytes.extend(trailer.0);
        Ok(bytes)
    }
}

fn read_loose(r: &mut Reader<'_>, segment: u32) -> Read<Loose> {
    let body = BodyId::new(r.var()?).ok_or(Malformed)?;
    let chunks = read_place(r)?.chunks;
    let begun = match r.u8()? {
        0 => None,
        _ => {
            let offset = r.var()?;
            Some((Position { segment, offset }, r.var()?))
        }
    };
    Ok(Loose {
        body,
        chunks,
        begun,
    })
}

fn read_block(r: &mut Reader<'_>) -> Read<BlockAt> {
    let owner = Owner::of(r.var()?)?;
    let offset = r.var()?;
    let (stored, raw, messages) = (r.var_u32()?, r.var_u32()?, r.var_u32()?);
    Ok(BlockAt {
        owner,
        offset,
        stored,
        raw,
        messages,
        crc: r.u32()?,
    })
}

/// Reads the directory of a summary of this length.
pub(super) fn read(source: &Source, len: u64) -> Result<Directory> {
    let short = || Error::from(Malformed);
    let at = len.checked_sub(TRAILER_BYTES as u64).ok_or_else(short)?;
    let trailer = source.read(at, TRAILER_BYTES);
    let trailer = trailer.map_err(|error| super::reading(&error))?;
    let mut r = Reader::new(&trailer);
    let (offset, stored, raw, crc) = (r.u64()?, r.u32()?, r.u32()?, r.u32()?);
    let covered = trailer.get(..r.position()).unwrap_or_default();
    let is_it = r.u32()? == crc32c::crc32c(covered) && r.array()? == MAGIC;
    if !is_it || offset.checked_add(stored.into()) != Some(at) {
        return Err(short());
    }
    let packed = source.read(offset, stored as usize);
    let packed = packed.map_err(|error| super::reading(&error))?;
    let bytes = unpack(&packed, raw, crc)?;
    Ok(Directory::decode(&mut Reader::new(&bytes))?)
}
