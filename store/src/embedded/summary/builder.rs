//! Making a summary from transactions as they are read.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, IoSlice},
    sync::Arc,
};

use mail::id::{AccountId, BodyId};

use super::{
    directory::{BlockAt, Directory, Loose, Owner},
    write_entry,
};
use crate::{
    Result,
    disk::DiskFile,
    embedded::{
        assemble::Assembler,
        codec::Writer,
        frame::Lsn,
        index::{Applied, Event, Highest, lift},
        quarantine::Spoilt,
        record::{Counters, Record},
        replay::{End, Sink},
        segment::{Position, unavailable},
    },
};

/// zstd's level.
pub(super) const LEVEL: i32 = 1;
/// A block is closed when it has grown to this, bytes.
const BLOCK_BYTES: usize = 256 << 10;
/// Open blocks take at most about this, bytes.
const OPEN_BYTES_MAX: usize = 16 << 20;

/// Where a summary goes.
pub(super) enum Target {
    File(Arc<dyn DiskFile>),
    Memory(Vec<u8>),
    /// Only its directory is wanted.
    Nothing,
}

impl Target {
    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_at(at, &[IoSlice::new(bytes)]),
            Self::Memory(all) => {
                all.extend_from_slice(bytes);
                Ok(())
            }
            Self::Nothing => Ok(()),
        }
    }
}

#[derive(Default)]
struct Open {
    bytes: Writer,
    messages: u32,
}

/// A summary being made.
pub(super) struct Builder {
    directory: Directory,
    target: Target,
    at: u64,
    open: BTreeMap<Owner, Open>,
    open_bytes: usize,
    begun: HashMap<BodyId, (Position, Lsn)>,
}

impl Sink for Builder {
    fn applied(&self) -> Lsn {
        0
    }

    fn take(&mut self, events: &[Event], _log_bytes: u64) -> Result<()> {
        for event in events {
            match event {
                Event::Applied(applied) => self.add(applied)?,
                Event::BodyBegun(id, at, lsn) => {
                    self.begun.insert(*id, (*at, *lsn));
                }
                Event::BodiesDropped(_) => {}
            }
        }
        Ok(())
    }
}

impl Builder {
    pub(super) fn new(extent: super::Extent, target: Target) -> Self {
        let directory = Directory {
            extent,
            lsn: 0,
            highest: Highest::default(),
            spoilt: Vec::new(),
            loose: Vec::new(),
            blocks: Vec::new(),
        };
        Self {
            directory,
            target,
            at: 0,
            open: BTreeMap::new(),
            open_bytes: 0,
            begun: HashMap::new(),
        }
    }

    fn add(&mut self, applied: &Applied) -> Result<()> {
        let home = home(&applied.records);
        let mut parts: BTreeMap<Owner, Vec<&Record>> = BTreeMap::new();
        for record in &applied.records {
            lift(&mut self.directory.highest, record);
            for owner in owners(record, home) {
                parts.entry(owner).or_default().push(record);
            }
        }
        for (owner, records) in parts {
            self.entry(owner, applied, &records)?;
        }
        Ok(())
    }

    fn entry(&mut self, owner: Owner, applied: &Applied, records: &[&Record]) -> Result<()> {
        let open = self.open.entry(owner).or_default();
        let before = open.bytes.0.len();
        write_entry(&mut open.bytes, applied, records);
        let rows = records.iter().map(|record| match record {
            Record::Messages(_, _, messages) => u32::try_from(messages.len()).unwrap_or(u32::MAX),
            _ => 0,
        });
        open.messages = open.messages.saturating_add(rows.sum());
        let len = open.bytes.0.len();
        self.open_bytes += len - before;
        if len >= BLOCK_BYTES {
            return self.close(owner);
        }
        if self.open_bytes > OPEN_BYTES_MAX {
            let largest = self.open.iter().max_by_key(|(_, open)| open.bytes.0.len());
            if let Some((owner, _)) = largest {
                return self.close(*owner);
            }
        }
        Ok(())
    }

    /// Writes the open block of an owner.
    fn close(&mut self, owner: Owner) -> Result<()> {
        let Some(open) = self.open.remove(&owner) else {
            return Ok(());
        };
        let raw = open.bytes.0;
        self.open_bytes -= raw.len();
        let crc = crc32c::crc32c(&raw);
        let writing = |error: io::Error| unavailable("writing a summary", &error);
        let stored = zstd::bulk::compress(&raw, LEVEL).map_err(writing)?;
        self.target.write(self.at, &stored).map_err(writing)?;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.directory.blocks.push(BlockAt {
            owner,
            offset: self.at,
            stored: number(stored.len()),
            raw: number(raw.len()),
            crc,
            messages: open.messages,
        });
        self.at += stored.len() as u64;
        Ok(())
    }

    /// Writes what is open, and the directory, of a log that was read to `end`.
    pub(super) fn finish(
        mut self,
        end: End,
        spoilt: Vec<Spoilt>,
        assembler: &Assembler,
    ) -> Result<(Directory, Target)> {
        for owner in self.open.keys().copied().collect::<Vec<_>>() {
            self.close(owner)?;
        }
        let directory = &mut self.directory;
        directory.lsn = end.lsn;
        directory.spoilt = spoilt;
        directory.blocks.sort_by_key(|block| block.owner);
        for (body, chunks) in assembler.loose() {
            directory.loose.push(Loose {
                body,
                chunks: chunks.to_vec(),
                // The last of several attempts counts.
                begun: self.begun.get(&body).copied(),
            });
        }
        directory.loose.sort_by_key(|loose| loose.body);
        let writing = |error: io::Error| unavailable("writing a summary", &error);
        let closing = directory.close(self.at).map_err(writing)?;
        self.target.write(self.at, &closing).map_err(writing)?;
        Ok((self.directory, self.target))
    }
}

/// Whose mail a transaction changes.
fn home(records: &[Record]) -> Option<AccountId> {
    records.iter().find_map(account)
}

/// The account that a record names, if it names one.
pub(crate) fn account(record: &Record) -> Option<AccountId> {
    match record {
        Record::Account(_) | Record::Body(_) | Record::Counters(Counters::Store { .. }) => None,
        Record::AccountRemoved(id, _)
        | Record::Renamed(id, _)
        | Record::MailboxDeleted(id, _)
        | Record::Subscribed(id, _)
        | Record::Unsubscribed(id, _)
        | Record::Messages(id, ..)
        | Record::Flags(id, ..)
        | Record::Expunged(id, ..)
        | Record::RecentFloor(id, ..)
        | Record::Counters(Counters::Mailbox { account: id, .. }) => Some(*id),
        Record::Mailbox(mailbox) => Some(mailbox.account),
    }
}

/// In whose blocks a record stands, in a transaction of `home`.
fn owners(record: &Record, home: Option<AccountId>) -> Vec<Owner> {
    match record {
        Record::Account(_) => vec![Owner::Store],
        Record::AccountRemoved(id, _) => vec![Owner::Store, Owner::Account(*id)],
        // They are in the directory.
        Record::Counters(Counters::Store { .. }) => Vec::new(),
        Record::Body(_) => vec![home.map_or(Owner::Nobody, Owner::Account)],
        other => account(other).map(Owner::Account).into_iter().collect(),
    }
}
