//! Values of the index: a mailbox with its counters, packed rows, and bodies.

use mail::{
    date::DateTime,
    flag::SystemFlags,
    id::{BodyId, ModSeq, ThreadId, Uid},
};

use crate::{
    embedded::{
        body::{ChunkPlace, Place},
        codec::{Malformed, Read, Reader, Writer, records},
        record::MailboxRecord,
    },
    state::{KeywordSetId, Row, Summary},
};

/// A mailbox and its counters.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct MailboxEntry {
    pub(super) record: MailboxRecord,
    pub(super) summary: Summary,
    pub(super) recent_floor: Uid,
    pub(super) history_floor: ModSeq,
    pub(super) history_ranges: u32,
}

impl MailboxEntry {
    /// A mailbox without messages.
    pub(super) fn new(record: MailboxRecord) -> Self {
        let summary = Summary {
            messages: 0,
            unseen: 0,
            deleted: 0,
            recent: 0,
            bytes: 0,
            deleted_bytes: 0,
            uid_next: Uid::MIN,
            highest_mod_seq: ModSeq::MIN,
            uid_validity: record.uid_validity,
        };
        Self {
            record,
            summary,
            recent_floor: Uid::MIN,
            history_floor: ModSeq::MIN,
            history_ranges: 0,
        }
    }

    /// Counts a row in.
    pub(super) fn count(&mut self, uid: Uid, row: &Row) {
        let size = u64::from(row.size);
        self.summary.messages += 1;
        self.summary.bytes += size;
        self.summary.unseen += u32::from(!row.system.contains(SystemFlags::SEEN));
        self.summary.recent += u32::from(uid >= self.recent_floor);
        if row.system.contains(SystemFlags::DELETED) {
            self.summary.deleted += 1;
            self.summary.deleted_bytes += size;
        }
    }

    /// Counts a row out.
    pub(super) fn uncount(&mut self, uid: Uid, row: &Row) {
        let less = |n: u32, by: bool| n.saturating_sub(u32::from(by));
        let size = u64::from(row.size);
        let (summary, system) = (&mut self.summary, row.system);
        summary.messages = less(summary.messages, true);
        summary.bytes = summary.bytes.saturating_sub(size);
        summary.unseen = less(summary.unseen, !system.contains(SystemFlags::SEEN));
        summary.recent = less(summary.recent, uid >= self.recent_floor);
        if system.contains(SystemFlags::DELETED) {
            summary.deleted = less(summary.deleted, true);
            summary.deleted_bytes = summary.deleted_bytes.saturating_sub(size);
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        records::mailbox(&mut w, &self.record);
        let s = &self.summary;
        for n in [
            s.messages,
            s.unseen,
            s.deleted,
            s.recent,
            self.history_ranges,
        ] {
            w.var(n.into());
        }
        for n in [
            s.bytes,
            s.deleted_bytes,
            s.highest_mod_seq.get(),
            self.history_floor.get(),
        ] {
            w.var(n);
        }
        w.u32(s.uid_next.get());
        w.u32(self.recent_floor.get());
        w.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Read<Self> {
        let r = &mut Reader::new(bytes);
        let record = records::read_mailbox(r)?;
        let mod_seq = |n| ModSeq::new(n).ok_or(Malformed);
        let uid = |n| Uid::new(n).ok_or(Malformed);
        let (messages, unseen, deleted) = (r.var_u32()?, r.var_u32()?, r.var_u32()?);
        let (recent, history_ranges) = (r.var_u32()?, r.var_u32()?);
        let (bytes, deleted_bytes) = (r.var()?, r.var()?);
        let (highest_mod_seq, history_floor) = (mod_seq(r.var()?)?, mod_seq(r.var()?)?);
        let (uid_next, recent_floor) = (uid(r.u32()?)?, uid(r.u32()?)?);
        r.end()?;
        let summary = Summary {
            messages,
            unseen,
            deleted,
            recent,
            bytes,
            deleted_bytes,
            uid_next,
            highest_mod_seq,
            uid_validity: record.uid_validity,
        };
        Ok(Self {
            record,
            summary,
            recent_floor,
            history_floor,
            history_ranges,
        })
    }
}

/// A body: how often it is referred to, where it is, and, if nothing refers to it, what becomes of it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct BodyEntry {
    pub(super) references: u32,
    pub(super) fate: Fate,
    /// Its place, encoded; empty while it is referred to and not known.
    pub(super) place: Vec<u8>,
}

/// What becomes of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Fate {
    /// It stays.
    #[default]
    Kept,
    /// Nothing refers to it since then, seconds since 1970, and it is within the undelete window.
    Waiting(i64),
    /// It may go with its segment.
    Expired,
    /// A part of it went.
    Parted,
}

impl BodyEntry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer(Vec::with_capacity(4 + 9 + self.place.len()));
        w.u32(self.references);
        if self.place.is_empty() {
            return w.0;
        }
        if self.references == 0 {
            match self.fate {
                Fate::Kept => w.u8(0),
                Fate::Waiting(since_secs) => {
                    w.u8(1);
                    w.i64(since_secs);
                }
                Fate::Expired => w.u8(2),
                Fate::Parted => w.u8(3),
            }
        }
        w.0.extend_from_slice(&self.place);
        w.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Read<Self> {
        let mut r = Reader::new(bytes);
        let references = r.u32()?;
        let fate = match r.is_empty() || references > 0 {
            true => Fate::Kept,
            false => match r.u8()? {
                0 => Fate::Kept,
                1 => Fate::Waiting(r.u64()?.cast_signed()),
                2 => Fate::Expired,
                3 => Fate::Parted,
                _ => return Err(Malformed),
            },
        };
        let place = bytes.get(r.position()..).unwrap_or_default().to_vec();
        Ok(Self {
            references,
            fate,
            place,
        })
    }

    /// Where it is, if that is known and all of it is there.
    pub(super) fn place(&self) -> Read<Option<Place>> {
        if self.place.is_empty() || self.fate == Fate::Parted {
            return Ok(None);
        }
        Place::decode(&mut Reader::new(&self.place)).map(Some)
    }

    /// The body it goes on with, if its place is known.
    pub(super) fn rest(&self) -> Read<Option<BodyId>> {
        match self.place.is_empty() {
            true => Ok(None),
            false => Place::decode_rest(&mut Reader::new(&self.place)),
        }
    }

    /// How many bytes it takes in each segment's file.
    pub(super) fn takes(&self) -> Read<Vec<(u32, u64)>> {
        if self.place.is_empty() {
            return Ok(Vec::new());
        }
        let place = Place::decode(&mut Reader::new(&self.place))?;
        let takes = |chunk: &ChunkPlace| (chunk.segment, u64::from(chunk.chunk.stored));
        Ok(place.chunks.iter().map(takes).collect())
    }
}

/// What bodies take in a segment's file, bytes as stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Taken {
    /// Bodies that stay.
    pub(crate) live: u64,
    /// Bodies that nothing refers to, within the undelete window.
    pub(crate) waiting: u64,
    /// Bodies that may go.
    pub(crate) expired: u64,
}

impl Taken {
    pub(super) fn of(&mut self, fate: Fate) -> &mut u64 {
        match fate {
            Fate::Kept => &mut self.live,
            Fate::Waiting(_) => &mut self.waiting,
            Fate::Expired | Fate::Parted => &mut self.expired,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        for n in [self.live, self.waiting, self.expired] {
            w.var(n);
        }
        w.0
    }

    pub(super) fn decode(bytes: &[u8]) -> Read<Self> {
        let mut r = Reader::new(bytes);
        let (live, waiting, expired) = (r.var()?, r.var()?, r.var()?);
        r.end()?;
        Ok(Self {
            live,
            waiting,
            expired,
        })
    }
}

/// A packed row's size, bytes.
const ROW_BYTES: usize = 4 + 8 + 8 + 8 + 8 + 2 + 8 + 4 + 4 + 1;

/// Packs rows; fixed width, so that a scan is a copy.
pub(super) fn pack_rows(rows: &[(Uid, Row)]) -> Vec<u8> {
    let mut w = Writer(Vec::with_capacity(rows.len() * ROW_BYTES));
    for (uid, row) in rows {
        w.u32(uid.get());
        w.u64(row.mod_seq.get());
        w.u64(row.body.get());
        w.u64(row.thread.get());
        w.i64(row.internal_date.secs);
        w.u16(row.internal_date.offset_minutes.cast_unsigned());
        w.i64(row.saved_secs);
        w.u32(row.size);
        w.u32(row.keywords.0);
        w.u8(row.system.bits());
    }
    w.0
}

/// Unpacks rows, calling `each` in ascending order of UIDs.
pub(super) fn unpack_rows(bytes: &[u8], mut each: impl FnMut(Uid, Row)) -> Read<()> {
    let mut r = Reader::new(bytes);
    let mut after = 0u32;
    while !r.is_empty() {
        let uid = r.u32()?;
        if uid <= after {
            return Err(Malformed);
        }
        after = uid;
        let row = Row {
            mod_seq: ModSeq::new(r.u64()?).ok_or(Malformed)?,
            body: BodyId::new(r.u64()?).ok_or(Malformed)?,
            thread: ThreadId::new(r.u64()?).ok_or(Malformed)?,
            internal_date: DateTime {
                secs: r.i64()?,
                offset_minutes: r.u16()?.cast_signed(),
            },
            saved_secs: r.i64()?,
            size: r.u32()?,
            keywords: KeywordSetId(r.u32()?),
            system: SystemFlags::from_bits(r.u8()?),
        };
        each(Uid::new(uid).ok_or(Malformed)?, row);
    }
    Ok(())
}
