//! redb over our [`DiskFile`], so that injected faults reach the index too, with a checksum behind
//! every block.
//!
//! redb trusts the pages it reads: a damaged one makes it panic, and sometimes abort. Here each
//! block of 4 KiB is followed by its number's and its bytes' checksum, and a read of a damaged one
//! is an error, after which the index is made again. The first block is redb's header, written in
//! place and torn by power cuts; redb checks that one itself.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use crate::disk::DiskFile;

/// Bytes of a block as redb sees them.
const BLOCK: usize = 4_096;
/// Bytes of a block as it is stored: with checksum, and a mark that it was ever written.
const STORED: usize = BLOCK + 8;
const MARK: [u8; 4] = *b"blk1";

#[derive(Debug)]
pub(super) struct Backend(pub(super) Arc<dyn DiskFile>);

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len()? / STORED as u64 * BLOCK as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if offset + out.len() as u64 <= BLOCK as u64 {
            return self.0.read_at(offset, out);
        }
        let first = offset / BLOCK as u64;
        let skip = within(offset);
        let count = (skip + out.len()).div_ceil(BLOCK);
        let mut stored = vec![0; count * STORED];
        self.0.read_at(first * STORED as u64, &mut stored)?;
        let (mut filled, mut skip) = (0, skip);
        for (number, block) in (first..).zip(stored.chunks_exact(STORED)) {
            let block = checked(number, block)?;
            let take = (BLOCK - skip).min(out.len() - filled);
            out[filled..filled + take].copy_from_slice(&block[skip..skip + take]);
            filled += take;
            skip = 0;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !len.is_multiple_of(BLOCK as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.0.set_len(len / BLOCK as u64 * STORED as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if offset + data.len() as u64 <= BLOCK as u64 {
            return self.0.write_at(offset, &[IoSlice::new(data)]);
        }
        let first = offset / BLOCK as u64;
        let skip = within(offset);
        let count = (skip + data.len()).div_ceil(BLOCK);
        let mut blocks = vec![0; count * BLOCK];
        if skip > 0 || !data.len().is_multiple_of(BLOCK) {
            self.read(first * BLOCK as u64, &mut blocks)?;
        }
        blocks[skip..skip + data.len()].copy_from_slice(data);
        let mut stored = Vec::with_capacity(count * STORED);
        for (number, block) in (first..).zip(blocks.chunks_exact(BLOCK)) {
            stored.extend_from_slice(block);
            stored.extend_from_slice(&crc(number, block).to_le_bytes());
            stored.extend_from_slice(&MARK);
        }
        let at = first * STORED as u64;
        self.0.write_at(at, &[IoSlice::new(&stored)])
    }
}

fn within(offset: u64) -> usize {
    usize::try_from(offset % BLOCK as u64).unwrap_or(0)
}

fn crc(number: u64, block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), block)
}

/// A stored block's bytes, if they are what was written, or nothing was.
fn checked(number: u64, stored: &[u8]) -> io::Result<&[u8]> {
    let (block, trailer) = stored.split_at(BLOCK);
    let was_written = trailer[4..] == MARK;
    let is_right = trailer[..4] == crc(number, block).to_le_bytes();
    // A block that was never written, since the file grew, is all zeros.
    let is_empty = || stored.iter().all(|byte| *byte == 0);
    if number == 0 || (was_written && is_right) || is_empty() {
        return Ok(block);
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidData,
        format!("block {number} of the index is damaged"),
    ))
}
