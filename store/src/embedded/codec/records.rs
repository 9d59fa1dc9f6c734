//! The records of the log as bytes.
//!
//! ```text
//! transaction = time origin *record
//! record      = tag(1) content-length(4) content
//! ```
//!
//! A payload is what a frame carries; a transaction larger than a frame has several payloads, each
//! with time and origin, cut between records. The length in front of each record bounds what its
//! content may read.

pub(crate) mod accounts;

use std::sync::Arc;

use mail::{
    date::DateTime,
    flag::{Keyword, SystemFlags},
    id::{AccountId, BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity},
    mailbox::{MailboxName, SpecialUse},
    set::UidSet,
};

use super::{Malformed, Read, Reader, Writer};
use crate::{
    contract::Static,
    embedded::{
        body::Packed,
        record::{
            BodyData, BodyRecord, Counters, FlagsRecord, MailboxRecord, MessageRecord, Purge,
            Record, Transaction,
        },
    },
};

/// Where a packed body's bytes stand in a payload.
pub(crate) type Placed = Vec<(BodyId, usize)>;

/// Begins a payload.
pub(crate) fn begin(w: &mut Writer, time_secs: i64, origin: &str) {
    w.i64(time_secs);
    w.str(origin);
}

/// Reads a payload back, with the place of each packed body in it.
pub(crate) fn payload(bytes: &[u8]) -> Read<(Transaction, Placed)> {
    let mut r = Reader::new(bytes);
    let time_secs = r.i64()?;
    let origin: Arc<str> = r.str()?.into();
    let (mut records, mut placed) = (Vec::new(), Placed::new());
    while !r.is_empty() {
        let tag = r.u8()?;
        let len = usize::try_from(r.u32()?).map_err(|_| Malformed)?;
        let start = r.position();
        let mut content = Reader::new(r.take(len)?);
        let record = decode(tag, &mut content)?;
        content.end()?;
        if let Record::Body(body) = &record
            && let BodyData::Packed(packed) = &body.data
        {
            placed.push((body.id, start + len - packed.data.len()));
        }
        records.push(record);
    }
    let transaction = Transaction {
        time_secs,
        origin,
        records,
    };
    Ok((transaction, placed))
}

/// A record as it stands in a payload.
pub(crate) struct Span {
    /// The record, bodies' bytes included.
    pub(crate) record: Record,
    /// Its bytes in the payload.
    pub(crate) bytes: std::ops::Range<usize>,
}

/// Reads a payload's records, and where they stand behind its time and origin.
pub(crate) fn spans(bytes: &[u8]) -> Read<Vec<Span>> {
    let mut r = Reader::new(bytes);
    r.u64()?;
    r.str()?;
    let mut spans = Vec::new();
    while !r.is_empty() {
        let start = r.position();
        let record = one(&mut r)?;
        spans.push(Span {
            record,
            bytes: start..r.position(),
        });
    }
    Ok(spans)
}

/// Reads a record that [`encode`] wrote without a body's bytes.
pub(crate) fn one(r: &mut Reader<'_>) -> Read<Record> {
    let tag = r.u8()?;
    let len = usize::try_from(r.u32()?).map_err(|_| Malformed)?;
    let mut content = Reader::new(r.take(len)?);
    let record = decode(tag, &mut content)?;
    content.end()?;
    Ok(record)
}

/// Writes a record; says where a packed body's bytes stand.
pub(crate) fn encode(w: &mut Writer, record: &Record, placed: &mut Placed) {
    w.u8(tag(record));
    let start = w.0.len();
    w.u32(0);
    content(w, record, placed);
    let len = u32::try_from(w.0.len() - start - 4).unwrap_or(u32::MAX);
    w.0[start..start + 4].copy_from_slice(&len.to_le_bytes());
}

fn tag(record: &Record) -> u8 {
    match record {
        Record::Account(_) => 1,
        Record::AccountRemoved(_, Purge::AfterWindow) => 2,
        Record::AccountRemoved(_, Purge::Now) => 15,
        Record::Mailbox(_) => 3,
        Record::Renamed(..) => 4,
        Record::MailboxDeleted(..) => 5,
        Record::Subscribed(..) => 6,
        Record::Unsubscribed(..) => 7,
        Record::Body(_) => 8,
        Record::Messages(..) => 9,
        Record::Flags(..) => 10,
        Record::Expunged(..) => 11,
        Record::RecentFloor(..) => 12,
        Record::Counters(Counters::Store { .. }) => 13,
        Record::Counters(Counters::Mailbox { .. }) => 14,
    }
}

fn content(w: &mut Writer, record: &Record, placed: &mut Placed) {
    match record {
        Record::Account(info) => accounts::account(w, info),
        Record::AccountRemoved(id, _) => w.var(id.get()),
        Record::Mailbox(mailbox_record) => mailbox(w, mailbox_record),
        Record::Renamed(account, names) => {
            w.var(account.get());
            w.var(names.len() as u64);
            for (id, name) in names {
                w.var(id.get());
                w.str(name.as_str());
            }
        }
        Record::MailboxDeleted(account, id) => within(w, *account, *id),
        Record::Subscribed(account, name) | Record::Unsubscribed(account, name) => {
            w.var(account.get());
            w.str(name.as_str());
        }
        Record::Body(body_record) => body(w, body_record, placed),
        Record::Messages(account, id, messages) => {
            within(w, *account, *id);
            w.var(messages.len() as u64);
            for each in messages {
                message(w, each);
            }
        }
        Record::Flags(account, id, mod_seq, list) => {
            within(w, *account, *id);
            w.var(mod_seq.get());
            w.var(list.len() as u64);
            for each in list {
                uids(w, &each.uids);
                flags(w, each.system, &each.keywords);
            }
        }
        Record::Expunged(account, id, mod_seq, gone) => {
            within(w, *account, *id);
            w.var(mod_seq.get());
            uids(w, gone);
        }
        Record::RecentFloor(account, id, uid) => {
            within(w, *account, *id);
            w.var(uid.get().into());
        }
        Record::Counters(all) => counters(w, all),
    }
}

fn decode(tag: u8, r: &mut Reader<'_>) -> Read<Record> {
    Ok(match tag {
        1 => Record::Account(accounts::read_account(r)?),
        2 => Record::AccountRemoved(account_id(r)?, Purge::AfterWindow),
        3 => Record::Mailbox(read_mailbox(r)?),
        4 => Record::Renamed(account_id(r)?, r.list(|r| Ok((mailbox_id(r)?, name(r)?)))?),
        5 => Record::MailboxDeleted(account_id(r)?, mailbox_id(r)?),
        6 => Record::Subscribed(account_id(r)?, name(r)?),
        7 => Record::Unsubscribed(account_id(r)?, name(r)?),
        8 => Record::Body(read_body(r)?),
        9 => Record::Messages(account_id(r)?, mailbox_id(r)?, r.list(read_message)?),
        10 => Record::Flags(
            account_id(r)?,
            mailbox_id(r)?,
            mod_seq(r)?,
            r.list(read_flags_record)?,
        ),
        11 => Record::Expunged(account_id(r)?, mailbox_id(r)?, mod_seq(r)?, read_uids(r)?),
        12 => Record::RecentFloor(account_id(r)?, mailbox_id(r)?, uid(r)?),
        13 => Record::Counters(Counters::Store {
            account: r.var()?,
            mailbox: r.var()?,
            body: r.var()?,
            uid_validity: r.var_u32()?,
        }),
        14 => Record::Counters(Counters::Mailbox {
            account: account_id(r)?,
            mailbox: mailbox_id(r)?,
            uid_next: uid(r)?,
            highest_mod_seq: mod_seq(r)?,
            history_floor: mod_seq(r)?,
        }),
        15 => Record::AccountRemoved(account_id(r)?, Purge::Now),
        _ => return Err(Malformed),
    })
}

fn within(w: &mut Writer, account: AccountId, mailbox: MailboxId) {
    w.var(account.get());
    w.var(mailbox.get());
}

fn account_id(r: &mut Reader<'_>) -> Read<AccountId> {
    AccountId::new(r.var()?).ok_or(Malformed)
}
fn mailbox_id(r: &mut Reader<'_>) -> Read<MailboxId> {
    MailboxId::new(r.var()?).ok_or(Malformed)
}
fn mod_seq(r: &mut Reader<'_>) -> Read<ModSeq> {
    ModSeq::new(r.var()?).ok_or(Malformed)
}
fn uid(r: &mut Reader<'_>) -> Read<Uid> {
    Uid::new(r.var_u32()?).ok_or(Malformed)
}
fn body_id(r: &mut Reader<'_>) -> Read<BodyId> {
    BodyId::new(r.var()?).ok_or(Malformed)
}
fn name(r: &mut Reader<'_>) -> Read<MailboxName> {
    MailboxName::new(r.str()?).map_err(|_| Malformed)
}

fn option<T>(w: &mut Writer, value: Option<T>, write: impl FnOnce(&mut Writer, T)) {
    w.u8(value.is_some().into());
    if let Some(value) = value {
        write(w, value);
    }
}

fn read_option<'a, T>(
    r: &mut Reader<'a>,
    read: impl FnOnce(&mut Reader<'a>) -> Read<T>,
) -> Read<Option<T>> {
    match r.u8()? {
        0 => Ok(None),
        1 => read(r).map(Some),
        _ => Err(Malformed),
    }
}

fn read_bool(r: &mut Reader<'_>) -> Read<bool> {
    match r.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed),
    }
}

pub(crate) fn mailbox(w: &mut Writer, mailbox: &MailboxRecord) {
    within(w, mailbox.account, mailbox.id);
    w.str(mailbox.name.as_str());
    w.var(mailbox.uid_validity.get().into());
    w.var(mailbox.special_use.len() as u64);
    for special_use in &mailbox.special_use {
        w.str(special_use.attribute());
    }
}

pub(crate) fn read_mailbox(r: &mut Reader<'_>) -> Read<MailboxRecord> {
    Ok(MailboxRecord {
        account: account_id(r)?,
        id: mailbox_id(r)?,
        name: name(r)?,
        uid_validity: UidValidity::new(r.var_u32()?).ok_or(Malformed)?,
        special_use: r.list(|r| SpecialUse::named(r.str()?).ok_or(Malformed))?,
    })
}

fn body(w: &mut Writer, body: &BodyRecord, placed: &mut Placed) {
    w.var(body.id.get());
    w.var(body.size);
    w.0.extend_from_slice(&body.digest);
    fixed(w, &body.fixed);
    let is_packed = matches!(body.data, BodyData::Packed(_));
    w.u8(u8::from(is_packed) | u8::from(body.rest.is_some()) << 1);
    if let Some(rest) = body.rest {
        w.var(rest.get());
    }
    if let BodyData::Packed(packed) = &body.data {
        packed.encode(w);
        placed.push((body.id, w.0.len() - packed.data.len()));
    }
}

fn read_body(r: &mut Reader<'_>) -> Read<BodyRecord> {
    let (id, size, digest) = (body_id(r)?, r.var()?, r.array()?);
    let fixed = Arc::new(read_fixed(r, None)?);
    let (is_packed, has_rest) = match r.u8()? {
        kind @ 0..4 => (kind & 1 != 0, kind & 2 != 0),
        _ => return Err(Malformed),
    };
    let rest = match has_rest {
        true => Some(body_id(r)?),
        false => None,
    };
    let data = match is_packed {
        true => BodyData::Packed(Packed::decode(r)?),
        false => BodyData::Before,
    };
    Ok(BodyRecord {
        id,
        size,
        digest,
        data,
        rest,
        fixed,
    })
}

pub(crate) fn fixed(w: &mut Writer, fixed: &Static) {
    w.u16(fixed.version);
    for bytes in [
        &fixed.envelope,
        &fixed.body,
        &fixed.body_structure,
        &fixed.parts,
    ] {
        w.bytes(bytes);
    }
    w.var(fixed.header_bytes);
    option(w, fixed.sent, date);
    w.var(fixed.fields.len() as u64);
    for (name, value) in &fixed.fields {
        w.str(name);
        w.str(value);
    }
    w.str(&fixed.preview);
    w.var(fixed.thread_keys.len() as u64);
    for key in &fixed.thread_keys {
        w.str(key);
    }
}

/// Reads static data; its longer values share `whole`, if that is what `r` reads.
pub(crate) fn read_fixed(r: &mut Reader<'_>, whole: Option<&bytes::Bytes>) -> Read<Static> {
    let bytes = |r: &mut Reader<'_>| match whole {
        Some(whole) => Ok(whole.slice_ref(r.bytes()?)),
        None => r.owned(),
    };
    Ok(Static {
        version: r.u16()?,
        envelope: bytes(r)?,
        body: bytes(r)?,
        body_structure: bytes(r)?,
        parts: bytes(r)?,
        header_bytes: r.var()?,
        sent: read_option(r, read_date)?,
        fields: r.list(|r| Ok((r.str()?.into(), r.str()?.into())))?,
        preview: r.str()?.into(),
        thread_keys: r.list(|r| Ok(r.str()?.into()))?,
    })
}

fn date(w: &mut Writer, date: DateTime) {
    w.signed(date.secs);
    w.signed(date.offset_minutes.into());
}

fn read_date(r: &mut Reader<'_>) -> Read<DateTime> {
    Ok(DateTime {
        secs: r.signed()?,
        offset_minutes: i16::try_from(r.signed()?).map_err(|_| Malformed)?,
    })
}

fn flags(w: &mut Writer, system: SystemFlags, keywords: &[Keyword]) {
    w.u8(system.bits());
    w.var(keywords.len() as u64);
    for keyword in keywords {
        w.str(keyword.as_str());
    }
}

fn read_flags(r: &mut Reader<'_>) -> Read<(SystemFlags, Vec<Keyword>)> {
    let bits = r.u8()?;
    let system = SystemFlags::from_bits(bits);
    if system.bits() != bits {
        return Err(Malformed);
    }
    Ok((system, r.list(|r| Keyword::new(r.str()?).ok_or(Malformed))?))
}

fn read_flags_record(r: &mut Reader<'_>) -> Read<FlagsRecord> {
    let uids = read_uids(r)?;
    let (system, keywords) = read_flags(r)?;
    Ok(FlagsRecord {
        uids,
        system,
        keywords,
    })
}

fn message(w: &mut Writer, message: &MessageRecord) {
    w.var(message.uid.get().into());
    w.var(message.mod_seq.get());
    w.var(message.body.get());
    w.var(message.thread.get());
    date(w, message.internal_date);
    w.signed(message.saved_secs);
    w.var(message.size.into());
    flags(w, message.system, &message.keywords);
}

fn read_message(r: &mut Reader<'_>) -> Read<MessageRecord> {
    let uid = uid(r)?;
    let mod_seq = mod_seq(r)?;
    let body = body_id(r)?;
    let thread = ThreadId::new(r.var()?).ok_or(Malformed)?;
    let internal_date = read_date(r)?;
    let saved_secs = r.signed()?;
    let size = r.var_u32()?;
    let (system, keywords) = read_flags(r)?;
    Ok(MessageRecord {
        uid,
        mod_seq,
        body,
        thread,
        internal_date,
        saved_secs,
        size,
        system,
        keywords,
    })
}

/// Ranges, ascending: the gap in front of each and what it spans beyond its first.
pub(crate) fn uids(w: &mut Writer, set: &UidSet) {
    w.var(set.ranges().len() as u64);
    let mut after = 0u32;
    for range in set.ranges() {
        let (first, last) = (range.start().get(), range.end().get());
        w.var(u64::from(first.saturating_sub(after)));
        w.var(u64::from(last.saturating_sub(first)));
        after = last;
    }
}

pub(crate) fn read_uids(r: &mut Reader<'_>) -> Read<UidSet> {
    let mut after = 0u32;
    let ranges = r.list(|r| {
        let first = after.checked_add(r.var_u32()?).ok_or(Malformed)?;
        let last = first.checked_add(r.var_u32()?).ok_or(Malformed)?;
        after = last;
        let uid = |n| Uid::new(n).ok_or(Malformed);
        Ok((uid(first)?, uid(last)?))
    })?;
    Ok(ranges.into_iter().collect())
}

fn counters(w: &mut Writer, counters: &Counters) {
    match counters {
        Counters::Store {
            account,
            mailbox,
            body,
            uid_validity,
        } => {
            for n in [*account, *mailbox, *body, u64::from(*uid_validity)] {
                w.var(n);
            }
        }
        Counters::Mailbox {
            account,
            mailbox,
            uid_next,
            highest_mod_seq,
            history_floor,
        } => {
            within(w, *account, *mailbox);
            w.var(uid_next.get().into());
            w.var(highest_mod_seq.get());
            w.var(history_floor.get());
        }
    }
}

#[cfg(test)]
mod tests;
