//! Reading the index.

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use bytes::Bytes;
use mail::{
    id::{AccountId, BodyId, MailboxId, ModSeq, Uid, UidValidity},
    mailbox::MailboxName,
    set::UidSet,
};
use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable};

use super::{
    ACCOUNTS, BODIES, FIXED, HISTORY, Index, KEYWORDS, MAILBOXES, OWNED, RETIRED, ROWS,
    SUBSCRIPTIONS,
    apply::read_keywords,
    entry::{BodyEntry, MailboxEntry, unpack_rows},
    failed,
};
use crate::{
    Error, Result,
    contract::{AccountInfo, Static, Usage},
    embedded::{
        body::Place,
        codec::{Malformed, Reader, records},
        record::MailboxRecord,
    },
    error::What,
    rules::names::Retired,
    state::{CHUNK_MESSAGES, Chunk, MailboxState, Row, Summary},
};

/// An account as the index holds it.
#[derive(Clone, Debug)]
pub(crate) struct AccountImage {
    /// Its mailboxes and their counters.
    pub(crate) mailboxes: Vec<(MailboxRecord, Summary)>,
    /// Names it is subscribed to.
    pub(crate) subscriptions: Vec<MailboxName>,
    /// The highest UIDVALIDITY of mailboxes that no longer have these names.
    pub(crate) retired: Retired,
    /// How much it holds.
    pub(crate) usage: Usage,
}

impl Index {
    pub(super) fn read(&self) -> Result<ReadTransaction> {
        self.db.begin_read().map_err(failed)
    }

    /// Every account, by id.
    pub(crate) fn accounts(&self) -> Result<Vec<AccountInfo>> {
        let table = self.read()?.open_table(ACCOUNTS).map_err(failed)?;
        let mut accounts = Vec::new();
        for item in table.iter().map_err(failed)? {
            let (_, value) = item.map_err(failed)?;
            accounts.push(records::accounts::read_account(&mut Reader::new(
                value.value(),
            ))?);
        }
        Ok(accounts)
    }

    /// An account with its mailboxes.
    pub(crate) fn account(&self, id: AccountId) -> Result<AccountImage> {
        let read = self.read()?;
        let accounts = read.open_table(ACCOUNTS).map_err(failed)?;
        if accounts.get(id.get()).map_err(failed)?.is_none() {
            return Err(Error::NotFound(What::Account));
        }
        let owned = read.open_table(OWNED).map_err(failed)?;
        let (mut mailboxes, mut usage) = (Vec::new(), Usage::default());
        for item in owned
            .range((id.get(), 0)..=(id.get(), u64::MAX))
            .map_err(failed)?
        {
            let number = item.map_err(failed)?.0.value().1;
            let entry = entry(&read, MailboxId::new(number).ok_or(Malformed)?)?;
            usage.bytes += entry.summary.bytes;
            usage.messages += u64::from(entry.summary.messages);
            mailboxes.push((entry.record, entry.summary));
        }
        Ok(AccountImage {
            mailboxes,
            subscriptions: subscriptions(&read, id)?,
            retired: retired(&read, id)?,
            usage,
        })
    }

    /// A mailbox with its rows.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Result<MailboxState> {
        let read = self.read()?;
        let entry = entry(&read, id)?;
        let sets = read.open_table(KEYWORDS).map_err(failed)?;
        let keywords = Arc::new(read_keywords(&sets, id)?);
        let rows = read.open_table(ROWS).map_err(failed)?;
        let mut chunks = Chunks::default();
        for item in rows
            .range((id.get(), 0)..=(id.get(), u32::MAX))
            .map_err(failed)?
        {
            let (_, value) = item.map_err(failed)?;
            unpack_rows(value.value(), |uid, row| chunks.push(uid, row))?;
        }
        Ok(MailboxState {
            id,
            summary: entry.summary,
            keywords,
            recent_floor: entry.recent_floor,
            history_floor: entry.history_floor,
            chunks: chunks.finish(),
        })
    }

    /// Static data of bodies, where known: of the first of them, until it is `bytes_max` or more.
    pub(crate) fn fixed(&self, bodies: &[BodyId], bytes_max: usize) -> Result<Fixed> {
        let table = self.read()?.open_table(FIXED).map_err(failed)?;
        if let Some((first, last)) = dense(bodies) {
            return fixed_between(&table, bodies, first..=last, bytes_max);
        }
        let (mut found, mut bytes) = (Fixed::with_capacity(bodies.len()), 0);
        for body in bodies {
            if bytes >= bytes_max {
                break;
            }
            let value = table.get(body.get()).map_err(failed)?;
            bytes += value.as_ref().map_or(0, |value| value.value().len());
            let fixed = value.map(|value| decode_fixed(value.value()));
            found.push(fixed.transpose()?);
        }
        Ok(found)
    }

    /// Where bodies are, as far as it is known, in their order.
    pub(crate) fn places(&self, bodies: &[BodyId]) -> Result<Vec<Option<Place>>> {
        let table = self.read()?.open_table(BODIES).map_err(failed)?;
        let one = |body: &BodyId| -> Result<Option<Place>> {
            let value = table.get(body.get()).map_err(failed)?;
            let place = |value: redb::AccessGuard<'_, &[u8]>| {
                // It may be referred to and not be there.
                BodyEntry::decode(value.value())?.place()
            };
            Ok(value.map(place).transpose()?.flatten())
        };
        bodies.iter().map(one).collect()
    }

    /// UIDs expunged after a mod-sequence; `None` if that is older than what is remembered.
    pub(crate) fn history(&self, id: MailboxId, since: ModSeq) -> Result<Option<UidSet>> {
        let read = self.read()?;
        if since < entry(&read, id)?.history_floor {
            return Ok(None);
        }
        self.remembered(id, since).map(Some)
    }

    /// UIDs that are remembered as expunged after a mod-sequence, whether the mailbox is there or not.
    pub(crate) fn remembered(&self, id: MailboxId, since: ModSeq) -> Result<UidSet> {
        let table = self.read()?.open_table(HISTORY).map_err(failed)?;
        let from = (id.get(), since.get().saturating_add(1), 0);
        let mut ranges = Vec::new();
        for item in table
            .range(from..=(id.get(), u64::MAX, u32::MAX))
            .map_err(failed)?
        {
            let (key, last) = item.map_err(failed)?;
            let uid = |n| Uid::new(n).ok_or(Malformed);
            ranges.push((uid(key.value().2)?, uid(last.value())?));
        }
        Ok(ranges.into_iter().collect())
    }

    /// References to each body as counted one by one and as counted by messages, and by bodies
    /// that messages refer to.
    pub(crate) fn references(&self) -> Result<BTreeMap<u64, (u32, u32)>> {
        let read = self.read()?;
        let mut counts: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        let mut rests = Vec::new();
        for item in read
            .open_table(BODIES)
            .map_err(failed)?
            .iter()
            .map_err(failed)?
        {
            let (key, value) = item.map_err(failed)?;
            let entry = BodyEntry::decode(value.value())?;
            counts.entry(key.value()).or_default().0 = entry.references;
            rests.extend(entry.rest()?.map(|rest| (key.value(), rest)));
        }
        for item in read
            .open_table(ROWS)
            .map_err(failed)?
            .iter()
            .map_err(failed)?
        {
            let (_, value) = item.map_err(failed)?;
            unpack_rows(value.value(), |_, row| {
                counts.entry(row.body.get()).or_default().1 += 1;
            })?;
        }
        for (body, rest) in rests {
            let is_live = counts.get(&body).is_some_and(|(_, counted)| *counted > 0);
            counts.entry(rest.get()).or_default().1 += u32::from(is_live);
        }
        Ok(counts)
    }
}

/// The first and last of bodies that ascend and stand close together, as the messages of a mailbox
/// mostly do: one walk over that part of the table is cheaper than a search for each.
fn dense(bodies: &[BodyId]) -> Option<(u64, u64)> {
    let (first, last) = (bodies.first()?.get(), bodies.last()?.get());
    let ascends = bodies.is_sorted_by(|a, b| a < b);
    let is_close = last.saturating_sub(first) < 2 * bodies.len() as u64;
    (ascends && is_close).then_some((first, last))
}

/// Static data of some bodies, where known, in their order.
type Fixed = Vec<Option<Arc<Static>>>;

/// Static data of `bodies`, which ascend within `range`, until it is `bytes_max` or more.
fn fixed_between(
    table: &ReadOnlyTable<u64, &'static [u8]>,
    bodies: &[BodyId],
    range: RangeInclusive<u64>,
    bytes_max: usize,
) -> Result<Fixed> {
    let (mut found, mut bytes) = (Fixed::with_capacity(bodies.len()), 0);
    for item in table.range(range).map_err(failed)? {
        if bytes >= bytes_max {
            return Ok(found);
        }
        let (key, value) = item.map_err(failed)?;
        while bodies
            .get(found.len())
            .is_some_and(|body| body.get() < key.value())
        {
            found.push(None);
        }
        if bodies
            .get(found.len())
            .is_some_and(|body| body.get() == key.value())
        {
            bytes += value.value().len();
            found.push(Some(decode_fixed(value.value())?));
        }
    }
    found.resize(bodies.len(), None);
    Ok(found)
}

fn decode_fixed(value: &[u8]) -> Result<Arc<Static>> {
    let value = Bytes::copy_from_slice(value);
    let r = &mut Reader::new(&value);
    // Whose it is.
    r.u64()?;
    Ok(Arc::new(records::read_fixed(r, Some(&value))?))
}

fn entry(read: &ReadTransaction, id: MailboxId) -> Result<MailboxEntry> {
    let table = read.open_table(MAILBOXES).map_err(failed)?;
    let value = table.get(id.get()).map_err(failed)?;
    let value = value.ok_or(Error::NotFound(What::Mailbox))?;
    Ok(MailboxEntry::decode(value.value())?)
}

fn subscriptions(read: &ReadTransaction, id: AccountId) -> Result<Vec<MailboxName>> {
    let table = read.open_table(SUBSCRIPTIONS).map_err(failed)?;
    let mut names = Vec::new();
    for item in table.range((id.get(), "")..).map_err(failed)? {
        let (key, name) = item.map_err(failed)?;
        if key.value().0 != id.get() {
            break;
        }
        names.push(MailboxName::new(name.value()).map_err(|_| Malformed)?);
    }
    Ok(names)
}

fn retired(read: &ReadTransaction, id: AccountId) -> Result<Retired> {
    let table = read.open_table(RETIRED).map_err(failed)?;
    let mut names = Retired::new();
    for item in table.range((id.get(), "")..).map_err(failed)? {
        let (key, validity) = item.map_err(failed)?;
        let (account, name) = key.value();
        if account != id.get() {
            break;
        }
        let name = MailboxName::new(name).map_err(|_| Malformed)?;
        let validity = UidValidity::new(validity.value()).ok_or(Malformed)?;
        names.insert(name.key(), validity);
    }
    Ok(names)
}

/// Rows being gathered into chunks of a mailbox's version.
#[derive(Default)]
struct Chunks {
    done: Vec<Chunk>,
    uids: Vec<Uid>,
    rows: Vec<Row>,
}

impl Chunks {
    fn push(&mut self, uid: Uid, row: Row) {
        self.uids.push(uid);
        self.rows.push(row);
        if self.uids.len() == CHUNK_MESSAGES {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let highest = self.rows.iter().map(|row| row.mod_seq).max();
        if let Some(highest_mod_seq) = highest {
            self.done.push(Chunk {
                uids: self.uids.drain(..).collect(),
                rows: self.rows.drain(..).collect(),
                highest_mod_seq,
            });
        }
    }

    fn finish(mut self) -> Arc<[Chunk]> {
        self.cut();
        self.done.into()
    }
}
