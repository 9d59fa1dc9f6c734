//! Frames: what the log is made of.
//!
//! ```text
//! 0  magic "rlog"          16 LSN
//! 4  format version        24 LSN known durable when this was written
//! 5  kind                  32 LSN of the first frame of the transaction, or 0
//! 6  zero                  40 CRC32C of bytes 0..40
//! 8  payload length        44 payload
//! 12 CRC32C of the payload
//! ```
//!
//! Both checksums begin with the store's salt, a random number that no peer knows: a message whose
//! text is a frame cannot be taken for one when recovery looks for the next valid header. Only a
//! start frame, which carries the salt, is checked without it.

use std::io::IoSlice;

use super::codec::{Read, Reader, Writer};

/// A header's size, bytes.
pub(crate) const HEADER_BYTES: usize = 44;
/// Nothing larger is a frame, bytes of payload.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 16 << 20;
const MAGIC: &[u8; 4] = b"rlog";
/// Whoever writes anything that this version does not read (a kind of frame, a record, a field of
/// [`Start`]) begins a segment for it whose frames say 2, with this header and its checksum: then this
/// version refuses the store ([`is_of_later_version`]) instead of taking what it cannot read for a torn
/// tail, and cutting it off.
const VERSION: u8 = 1;

/// A position in the order of frames; 0 is before the first.
pub(crate) type Lsn = u64;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The first of a segment: [`Start`].
    Start = 1,
    /// A whole transaction.
    Whole = 2,
    /// A piece of a transaction; it counts with its [`Kind::Commit`] only.
    Part = 3,
    /// The last piece of a transaction.
    Commit = 4,
    /// A piece of a body; it counts with the transaction that names the body.
    Body = 5,
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    /// What it is.
    pub(crate) kind: Kind,
    /// Payload, bytes.
    pub(crate) len: u32,
    /// CRC32C of the payload.
    pub(crate) payload_crc: u32,
    /// Its number.
    pub(crate) lsn: Lsn,
    /// Known durable when this was written.
    pub(crate) durable: Lsn,
    /// The first frame of its transaction; 0 if it is not part of several.
    pub(crate) group: Lsn,
}

/// What a segment begins with. It is also the cut: of the segment before only what it names is
/// valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Start {
    /// The store's salt and identity.
    pub(crate) salt: [u8; 16],
    /// This segment.
    pub(crate) segment: u32,
    /// The segment before; those between are abandoned. 0 if this is the first.
    pub(crate) previous: u32,
    /// The segment before is valid to this byte …
    pub(crate) previous_bytes: u64,
    /// … which ends the frame with this number.
    pub(crate) previous_lsn: Lsn,
    /// What it is if it stands for a segment that was rewritten.
    pub(crate) rewritten: Option<Rewritten>,
}

/// A segment that was rewritten: without bodies that are dead ([`super::compact`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rewritten {
    /// Its file, as [`super::segment::Segments`] numbers them.
    pub(crate) file: u32,
    /// How long it is, bytes: its successor in the log knows the length of what it stands for.
    pub(crate) bytes: u64,
}

/// The store's salt as the checksums' beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Salt(u32);

impl Salt {
    /// Of a start frame's header.
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn of(salt: &[u8; 16]) -> Self {
        Self(crc32c::crc32c(salt))
    }

    /// The checksum of bytes.
    pub(crate) fn crc(self, bytes: &[u8]) -> u32 {
        crc32c::crc32c_append(self.0, bytes)
    }
}

impl Header {
    /// Its bytes.
    pub(crate) fn encode(&self, salt: Salt) -> [u8; HEADER_BYTES] {
        let mut w = Writer(Vec::with_capacity(HEADER_BYTES));
        w.0.extend_from_slice(MAGIC);
        w.u8(VERSION);
        w.u8(self.kind as u8);
        w.u16(0);
        w.u32(self.len);
        w.u32(self.payload_crc);
        w.u64(self.lsn);
        w.u64(self.durable);
        w.u64(self.group);
        w.u32(salt.crc(&w.0));
        let mut bytes = [0; HEADER_BYTES];
        bytes.copy_from_slice(&w.0);
        bytes
    }

    /// Reads it back; `None` if it is not a valid header.
    pub(crate) fn decode(bytes: &[u8], salt: Salt) -> Option<Self> {
        let (covered, _) = bytes.split_at_checked(HEADER_BYTES - 4)?;
        let mut r = Reader::new(bytes);
        let header = Self::read(&mut r).ok()?;
        let is_valid = r.u32().ok()? == salt.crc(covered);
        (is_valid && header.len as usize <= PAYLOAD_BYTES_MAX).then_some(header)
    }

    fn read(r: &mut Reader<'_>) -> Read<Self> {
        let (magic, version, kind) = (r.array::<4>()?, r.u8()?, r.u8()?);
        let zero = r.u16()?;
        let kind = match kind {
            1 => Kind::Start,
            2 => Kind::Whole,
            3 => Kind::Part,
            4 => Kind::Commit,
            5 => Kind::Body,
            _ => return Err(super::codec::Malformed),
        };
        if magic != *MAGIC || version != VERSION || zero != 0 {
            return Err(super::codec::Malformed);
        }
        Ok(Self {
            kind,
            len: r.u32()?,
            payload_crc: r.u32()?,
            lsn: r.u64()?,
            durable: r.u64()?,
            group: r.u64()?,
        })
    }

    /// Where a header may begin in `bytes`.
    pub(crate) fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> {
        let windows = bytes.windows(MAGIC.len()).enumerate();
        windows
            .filter(|(_, window)| window == MAGIC)
            .map(|(at, _)| at)
    }
}

impl Start {
    /// Its payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.0.extend_from_slice(&self.salt);
        w.u32(self.segment);
        w.u32(self.previous);
        w.u64(self.previous_bytes);
        w.u64(self.previous_lsn);
        if let Some(rewritten) = self.rewritten {
            w.u32(rewritten.file);
            w.u64(rewritten.bytes);
        }
        w.0
    }

    /// Reads it back.
    pub(crate) fn decode(bytes: &[u8]) -> Read<Self> {
        let mut r = Reader::new(bytes);
        let start = Self {
            salt: r.array()?,
            segment: r.u32()?,
            previous: r.u32()?,
            previous_bytes: r.u64()?,
            previous_lsn: r.u64()?,
            rewritten: match r.is_empty() {
                true => None,
                false => Some(Rewritten {
                    file: r.u32()?,
                    bytes: r.u64()?,
                }),
            },
        };
        r.end()?;
        Ok(start)
    }
}

/// A frame to write: everything but its number.
#[derive(Debug)]
pub(crate) struct Unnumbered {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
    /// CRC32C of the payload.
    pub(crate) crc: u32,
}

/// Headers and payloads in turn, as one vectored write takes them.
pub(crate) fn slices<'a>(
    headers: &'a [[u8; HEADER_BYTES]],
    payloads: impl Iterator<Item = &'a [u8]>,
) -> Vec<IoSlice<'a>> {
    let pairs = headers.iter().zip(payloads);
    pairs
        .flat_map(|(header, payload)| [IoSlice::new(header), IoSlice::new(payload)])
        .collect()
}

/// Whether these bytes are the header of a start frame that a later version of the program wrote.
pub(crate) fn is_of_later_version(bytes: &[u8]) -> bool {
    let Some((covered, crc)) = bytes.split_at_checked(HEADER_BYTES - 4) else {
        return false;
    };
    let is_later = covered.get(4).is_some_and(|version| *version > VERSION);
    // A flipped bit is damage, and no version.
    let is_valid = crc.get(..4) == Some(&Salt::NONE.crc(covered).to_le_bytes()[..]);
    covered.starts_with(MAGIC) && is_later && is_valid
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The header of a start frame as a later version would write it.
    pub(crate) fn of_later_version() -> [u8; HEADER_BYTES] {
        let header = Header {
            kind: Kind::Start,
            len: 8,
            payload_crc: 0,
            lsn: 1,
            durable: 0,
            group: 0,
        };
        let mut bytes = header.encode(Salt::NONE);
        bytes[4] = VERSION + 1;
        let crc = Salt::NONE.crc(&bytes[..HEADER_BYTES - 4]).to_le_bytes();
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc);
        bytes
    }

    #[test]
    fn a_later_version_is_known_and_a_flipped_bit_is_none() {
        let later = of_later_version();
        assert!(is_of_later_version(&later));
        let mut ours = later;
        ours[4] = VERSION;
        assert!(!is_of_later_version(&ours));
        for bit in 0..later.len() * 8 {
            let mut bytes = later;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_of_later_version(&bytes), "bit {bit}");
        }
        assert!(!is_of_later_version(&later[..20]));
    }

    #[test]
    fn a_header_goes_both_ways_and_knows_its_store() {
        let header = Header {
            kind: Kind::Commit,
            len: 77,
            payload_crc: 3,
            lsn: 12,
            durable: 9,
            group: 10,
        };
        let salt = Salt::of(&[1; 16]);
        let bytes = header.encode(salt);
        assert_eq!(Header::decode(&bytes, salt), Some(header));
        assert_eq!(Header::decode(&bytes, Salt::of(&[2; 16])), None);
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes;
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&bytes, salt), None, "bit {bit}");
        }
    }
}
