//! Values of the index: a mailbox with its counters, and packed rows.

use mail::{
    date::DateTime,
    flag::SystemFlags,
    id::{BodyId, ModSeq, ThreadId, Uid},
};

use crate::{
    embedded::{
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
