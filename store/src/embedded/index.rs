//! The index: a view of the log in redb, so that mailboxes load without reading the log.
//!
//! It holds nothing that the log does not: if it does not open it is thrown away and made again.
//! Transactions are applied in the log's order, each batch with the number it reaches, without a
//! sync of their own; a *checkpoint* makes all of them durable. Rows of a mailbox are packed, 64
//! UIDs to a value, so that a cold scan reads few pages though mailboxes grow interleaved.

mod apply;
mod backend;
mod bodies;
mod entry;
mod event;
mod reads;
mod threads;

use std::{collections::BTreeMap, path::Path, sync::Arc};

use parking_lot::Mutex;
use redb::{Builder, Database, ReadableDatabase, TableDefinition};

use super::{
    codec::{Read, Reader, Writer},
    frame::Lsn,
    segment::{Position, unavailable},
};
use crate::{
    Error, Options, Result,
    disk::{Disk, OpenMode},
};
use apply::KeywordCache;
pub(crate) use bodies::{Expired, Moved, Replaced, Replacement};
pub(crate) use entry::Taken;
pub(crate) use event::{Applied, Event, lift};
pub(crate) use reads::AccountImage;

/// UIDs that share a packed value, as a shift.
const ROWS_SHIFT: u32 = 6;
const FORMAT: u16 = 5;
const FILE: &str = "index.redb";

type Bytes = &'static [u8];
const META: TableDefinition<'_, &str, Bytes> = TableDefinition::new("meta");
const ACCOUNTS: TableDefinition<'_, u64, Bytes> = TableDefinition::new("accounts");
const MAILBOXES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("mailboxes");
/// (account, mailbox)
const OWNED: TableDefinition<'_, (u64, u64), ()> = TableDefinition::new("owned");
/// (account, name's key) -> name
const SUBSCRIPTIONS: TableDefinition<'_, (u64, &str), &str> = TableDefinition::new("subscriptions");
/// (account, name's key) -> the highest UIDVALIDITY of a mailbox that no longer has this name
const RETIRED: TableDefinition<'_, (u64, &str), u32> = TableDefinition::new("retired");
/// (mailbox, UID >> `ROWS_SHIFT`) -> packed rows
const ROWS: TableDefinition<'_, (u64, u32), Bytes> = TableDefinition::new("rows");
/// (mailbox, keyword set) -> keywords
const KEYWORDS: TableDefinition<'_, (u64, u32), Bytes> = TableDefinition::new("keywords");
const BODIES: TableDefinition<'_, u64, Bytes> = TableDefinition::new("bodies");
/// Body -> account, static data
const FIXED: TableDefinition<'_, u64, Bytes> = TableDefinition::new("fixed");
/// (account, an identifier's key, body of a message that names it) -> that message's conversation
const THREADS: TableDefinition<'_, (u64, u64, u64), u64> = TableDefinition::new("threads");
/// (mailbox, mod-sequence, first UID) -> last UID
const HISTORY: TableDefinition<'_, (u64, u64, u32), u32> = TableDefinition::new("history");
/// Mailboxes that are gone, since then, and whose rows are still to be cleared.
const GRAVES: TableDefinition<'_, u64, i64> = TableDefinition::new("graves");
/// (seconds, body) that no message refers to since then.
const DEAD: TableDefinition<'_, (i64, u64), ()> = TableDefinition::new("dead");
/// Segment's file -> what bodies take in it
const TAKEN: TableDefinition<'_, u32, Bytes> = TableDefinition::new("taken");
/// Segment -> the file that stands for it, if it was rewritten
const REWRITTEN: TableDefinition<'_, u32, u32> = TableDefinition::new("rewritten");

/// What the index knows of itself and of the whole store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Meta {
    /// Which store's log it is a view of.
    pub(crate) salt: [u8; 16],
    /// Applied to here.
    pub(crate) applied: Lsn,
    /// Reading the log from here finds everything that is still to be applied …
    pub(crate) replay: Position,
    /// … and the frame there has this number or a later one.
    pub(crate) replay_lsn: Lsn,
    /// The highest numbers ever handed out.
    pub(crate) highest: Highest,
    /// Whether everything to `applied` is in it, or it is still being made again.
    pub(crate) is_whole: bool,
}

/// What an index that is made again is told in front.
#[derive(Debug)]
pub(crate) struct Begin {
    /// What is filled in reaches to here.
    pub(crate) applied: Lsn,
    /// Where reading the log goes on behind it.
    pub(crate) replay: Position,
    /// The highest numbers ever handed out.
    pub(crate) highest: Highest,
    /// Bodies whose transaction is still to come.
    pub(crate) begun: Begun,
    /// The files that stand for segments that were rewritten.
    pub(crate) rewritten: BTreeMap<u32, u32>,
    /// What becomes of bodies that nothing refers to.
    pub(crate) orphans: Orphans,
}

/// What becomes of bodies that nothing refers to when an index is made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Orphans {
    /// Something of the log is damaged or missing, and with it may be what refers to them: they stay,
    /// so that they are there when it comes back.
    Stay,
    /// They were deleted, at a time that is not known: their window begins now, in seconds since 1970.
    Wait(i64),
}

/// Where bodies begin in the log.
pub(crate) type Begun = BTreeMap<mail::id::BodyId, (Position, Lsn)>;

/// The highest numbers ever handed out in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Highest {
    /// Account id.
    pub(crate) account: u64,
    /// Mailbox id.
    pub(crate) mailbox: u64,
    /// Body id.
    pub(crate) body: u64,
    /// UIDVALIDITY.
    pub(crate) uid_validity: u32,
}

/// The open index.
#[derive(Debug)]
pub(crate) struct Index {
    db: Database,
    writing: Mutex<Writing>,
    history_ranges_max: u32,
}

#[derive(Debug)]
struct Writing {
    meta: Meta,
    keywords: KeywordCache,
    /// Bodies whose frames are in the log and whose transaction is not: replay must begin there.
    begun: Begun,
    /// The files that stand for segments that were rewritten.
    rewritten: BTreeMap<u32, u32>,
    /// While it is made again.
    orphans: Orphans,
}

impl Highest {
    /// Lifts each number to another's.
    pub(crate) fn raise(&mut self, other: &Self) {
        self.account = self.account.max(other.account);
        self.mailbox = self.mailbox.max(other.mailbox);
        self.body = self.body.max(other.body);
        self.uid_validity = self.uid_validity.max(other.uid_validity);
    }
}

/// An index error as the store reports it.
fn failed<E: Into<redb::Error>>(error: E) -> Error {
    match error.into() {
        redb::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Error::Damaged(error.to_string())
        }
        redb::Error::Io(error) => unavailable("the index", &error),
        redb::Error::Corrupted(text) => Error::Damaged(format!("the index: {text}")),
        error => Error::Unavailable(format!("the index: {error}")),
    }
}

impl Index {
    /// Opens the index in `dir` if it is one of the store with this salt.
    pub(crate) fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        salt: [u8; 16],
        options: &Options,
    ) -> Result<Self> {
        let file = disk
            .open(&dir.join(FILE), OpenMode::Existing)
            .map_err(|error| unavailable("opening the index", &error))?;
        let db = database(backend::Backend(file), options)?;
        let meta = read_meta(&db)?.filter(|meta| meta.salt == salt);
        let meta = meta
            .ok_or_else(|| Error::Damaged("the index is not whole, or of another store".into()))?;
        let rewritten = bodies::read_rewritten(&db)?;
        let index = Self::new(db, meta, options);
        index.writing.lock().rewritten = rewritten;
        Ok(index)
    }

    /// Throws away what is in `dir` and makes an empty index, to be filled. Until it is complete it
    /// does not open again.
    pub(crate) fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        site: (&Options, [u8; 16]),
        begin: Begin,
    ) -> Result<Self> {
        let (options, salt) = site;
        let failed_io = |error: std::io::Error| unavailable("creating the index", &error);
        match Self::remove(disk, dir) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(failed_io(error));
            }
            _ => {}
        }
        let file = disk
            .open(&dir.join(FILE), OpenMode::New)
            .map_err(failed_io)?;
        let db = database(backend::Backend(file), options)?;
        let meta = Meta {
            salt,
            applied: begin.applied,
            replay: begin.replay,
            replay_lsn: begin.applied + 1,
            highest: begin.highest,
            is_whole: false,
        };
        let index = Self::new(db, meta, options);
        {
            let mut writing = index.writing.lock();
            (writing.begun, writing.orphans) = (begin.begun, begin.orphans);
        }
        index.begin(begin.rewritten)?;
        disk.sync_dir(dir).map_err(failed_io)?;
        Ok(index)
    }

    /// Removes the file.
    pub(crate) fn remove(disk: &Arc<dyn Disk>, dir: &Path) -> std::io::Result<()> {
        disk.remove(&dir.join(FILE))
    }

    fn new(db: Database, meta: Meta, options: &Options) -> Self {
        Self {
            db,
            writing: Mutex::new(Writing {
                meta,
                keywords: KeywordCache::default(),
                begun: Begun::new(),
                rewritten: BTreeMap::new(),
                orphans: Orphans::Stay,
            }),
            history_ranges_max: options.history_ranges_max,
        }
    }

    /// Of the bodies that were begun no transaction will come: who was writing them is gone.
    pub(crate) fn forget_begun(&self) {
        self.writing.lock().begun.clear();
    }

    /// What it knows of itself.
    pub(crate) fn meta(&self) -> Meta {
        self.writing.lock().meta
    }
}

fn database(backend: backend::Backend, options: &Options) -> Result<Database> {
    guarded(|| {
        let mut builder = Builder::new();
        builder.set_cache_size(options.index_cache_bytes);
        builder.create_with_backend(backend).map_err(failed)
    })
}

/// redb reads what it finds with assertions of its own, so a damaged file may make it panic; that
/// is an index to be made again, not the end of anything else.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    outcome.unwrap_or_else(|_| Err(Error::Damaged("the index cannot be read".into())))
}

fn read_meta(db: &Database) -> Result<Option<Meta>> {
    let read = db.begin_read().map_err(failed)?;
    let table = match read.open_table(META) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match table.get("meta").map_err(failed)? {
        Some(value) => Ok(Meta::decode(&mut Reader::new(value.value()))?),
        None => Ok(None),
    }
}

impl Meta {
    fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        // What is not whole is of no format that is known.
        w.u16(if self.is_whole { FORMAT } else { 0 });
        w.0.extend_from_slice(&self.salt);
        w.u64(self.applied);
        w.u32(self.replay.segment);
        w.u64(self.replay.offset);
        w.u64(self.replay_lsn);
        for n in [
            self.highest.account,
            self.highest.mailbox,
            self.highest.body,
        ] {
            w.u64(n);
        }
        w.u32(self.highest.uid_validity);
        w.0
    }

    /// `None` for another format: then the index is made again.
    fn decode(r: &mut Reader<'_>) -> Read<Option<Self>> {
        if r.u16()? != FORMAT {
            return Ok(None);
        }
        let meta = Self {
            salt: r.array()?,
            applied: r.u64()?,
            replay: Position {
                segment: r.u32()?,
                offset: r.u64()?,
            },
            replay_lsn: r.u64()?,
            highest: Highest {
                account: r.u64()?,
                mailbox: r.u64()?,
                body: r.u64()?,
                uid_validity: r.u32()?,
            },
            is_whole: true,
        };
        Ok(Some(meta))
    }
}

/// Reads a stored value as an entry and as rows; what can be read is written back as it was.
#[cfg(fuzzing)]
pub(crate) fn fuzz_entry(bytes: &[u8]) {
    if let Ok(read) = entry::MailboxEntry::decode(bytes) {
        assert!(entry::MailboxEntry::decode(&read.encode()).is_ok_and(|again| again == read));
    }
    let mut rows = Vec::new();
    if entry::unpack_rows(bytes, |uid, row| rows.push((uid, row))).is_ok() {
        let mut again = Vec::new();
        let packed = entry::pack_rows(&rows);
        assert!(entry::unpack_rows(&packed, |uid, row| again.push((uid, row))).is_ok());
        assert!(again == rows && packed.len() == bytes.len());
    }
}
