//! A mailbox as an immutable, shared, chunked value (design.md §3).
//!
//! UIDs and attributes stand in separate shared chunks of about a thousand messages; a change
//! clones the chunks it touches and publishes a new version. A session keeps only the UID chunks
//! it told its client of, so that it pins four bytes per message and never old attributes.

mod edit;

use std::sync::Arc;

use mail::{
    date::DateTime,
    flag::{Flags, Keyword, SystemFlags},
    id::{BodyId, MailboxId, ModSeq, ThreadId, Uid, UidValidity},
    set::UidSet,
};

/// Messages per chunk when a chunk is full.
pub const CHUNK_MESSAGES: usize = 1_024;

/// A message's row: everything that FETCH answers without reading its static data or body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// When it last changed.
    pub mod_seq: ModSeq,
    /// Its body.
    pub body: BodyId,
    /// Its conversation.
    pub thread: ThreadId,
    /// INTERNALDATE.
    pub internal_date: DateTime,
    /// When it came into this mailbox, seconds since 1970 (RFC 8514).
    pub saved_secs: i64,
    /// RFC822.SIZE, bytes.
    pub size: u32,
    /// Its keywords, interned in the mailbox.
    pub keywords: KeywordSetId,
    /// Its system flags.
    pub system: SystemFlags,
}

/// A set of keywords, interned in one mailbox; 0 is the empty set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct KeywordSetId(pub u32);

/// The keywords of a mailbox and the sets of them in use. It only grows.
#[derive(Clone, Debug)]
pub struct Keywords {
    names: Vec<Keyword>,
    sets: Vec<Arc<[Keyword]>>,
}

/// One chunk of a mailbox: parallel columns.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// UIDs, ascending.
    pub uids: Arc<[Uid]>,
    /// Rows in the same order.
    pub rows: Arc<[Row]>,
    /// The highest mod-sequence of the rows.
    pub highest_mod_seq: ModSeq,
}

/// Counters of a mailbox, kept incrementally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    /// Messages.
    pub messages: u32,
    /// Messages without `\Seen`.
    pub unseen: u32,
    /// Messages with `\Deleted`.
    pub deleted: u32,
    /// Messages no session was told of as recent.
    pub recent: u32,
    /// Sum of RFC822.SIZE, bytes.
    pub bytes: u64,
    /// Sum of RFC822.SIZE of messages with `\Deleted`, bytes.
    pub deleted_bytes: u64,
    /// The next UID.
    pub uid_next: Uid,
    /// The highest mod-sequence, of changes and of expunges.
    pub highest_mod_seq: ModSeq,
    /// Its UIDVALIDITY.
    pub uid_validity: UidValidity,
}

/// One version of a mailbox.
#[derive(Clone, Debug)]
pub struct MailboxState {
    /// Which mailbox.
    pub id: MailboxId,
    /// Counters.
    pub summary: Summary,
    /// Keywords in use.
    pub keywords: Arc<Keywords>,
    /// UIDs at or above this are recent to the first session that takes them.
    pub recent_floor: Uid,
    /// The highest mod-sequence of expunges that are no longer remembered.
    pub history_floor: ModSeq,
    /// Chunks, ascending, none empty.
    pub chunks: Arc<[Chunk]>,
}

impl Keywords {
    /// No keyword; the empty set is interned.
    #[must_use]
    pub fn new() -> Self {
        Self {
            names: Vec::new(),
            sets: vec![Arc::from([])],
        }
    }

    /// Every keyword of the mailbox, in the order they first appeared.
    #[must_use]
    pub fn names(&self) -> &[Keyword] {
        &self.names
    }

    /// The keywords of a set; the empty set for an unknown id.
    #[must_use]
    pub fn set(&self, id: KeywordSetId) -> &Arc<[Keyword]> {
        let at = usize::try_from(id.0).unwrap_or(0);
        self.sets.get(at).unwrap_or(&self.sets[0])
    }

    /// The id of a sorted set, if it is interned.
    #[must_use]
    pub fn find(&self, keywords: &[Keyword]) -> Option<KeywordSetId> {
        let at = self.sets.iter().position(|set| **set == *keywords)?;
        u32::try_from(at).ok().map(KeywordSetId)
    }

    /// The id of a sorted set, interning it and its names if they are new.
    pub fn intern(&mut self, keywords: &[Keyword]) -> KeywordSetId {
        if let Some(id) = self.find(keywords) {
            return id;
        }
        for keyword in keywords {
            if !self.names.contains(keyword) {
                self.names.push(keyword.clone());
            }
        }
        // The spelling first used in the mailbox is the one shown.
        let spelled = keywords.iter().map(|k| self.spelling(k).clone()).collect();
        self.sets.push(spelled);
        KeywordSetId(u32::try_from(self.sets.len() - 1).unwrap_or(u32::MAX))
    }

    fn spelling<'a>(&'a self, keyword: &'a Keyword) -> &'a Keyword {
        self.names
            .iter()
            .find(|name| *name == keyword)
            .unwrap_or(keyword)
    }
}

impl Default for Keywords {
    fn default() -> Self {
        Self::new()
    }
}

impl MailboxState {
    /// The row of a message.
    #[must_use]
    pub fn row(&self, uid: Uid) -> Option<&Row> {
        let at = self
            .chunks
            .partition_point(|chunk| chunk.uids.last().is_some_and(|last| *last < uid));
        let chunk = self.chunks.get(at)?;
        let at = chunk.uids.binary_search(&uid).ok()?;
        chunk.rows.get(at)
    }

    /// Every message, ascending.
    pub fn rows(&self) -> impl Iterator<Item = (Uid, &Row)> {
        self.chunks
            .iter()
            .flat_map(|chunk| chunk.uids.iter().copied().zip(chunk.rows.iter()))
    }

    /// The messages that exist of a set, ascending; cost follows ranges and messages found.
    pub fn rows_of<'a>(&'a self, uids: &'a UidSet) -> impl Iterator<Item = (Uid, &'a Row)> {
        uids.ranges()
            .flat_map(move |range| self.rows_between(*range.start(), *range.end()))
    }

    fn rows_between(&self, first: Uid, last: Uid) -> impl Iterator<Item = (Uid, &Row)> {
        let from = self
            .chunks
            .partition_point(|c| c.uids.last().is_some_and(|u| *u < first));
        self.chunks
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(move |c| c.uids.first().is_some_and(|u| *u <= last))
            .flat_map(move |c| {
                let from = c.uids.partition_point(|u| *u < first);
                let to = c.uids.partition_point(|u| *u <= last);
                c.uids[from..to]
                    .iter()
                    .copied()
                    .zip(c.rows[from..to].iter())
            })
    }

    /// Messages changed after a mod-sequence, ascending by UID; unchanged chunks are skipped.
    pub fn changed_since(&self, mod_seq: ModSeq) -> impl Iterator<Item = (Uid, &Row)> {
        self.chunks
            .iter()
            .filter(move |chunk| chunk.highest_mod_seq > mod_seq)
            .flat_map(|chunk| chunk.uids.iter().copied().zip(chunk.rows.iter()))
            .filter(move |(_, row)| row.mod_seq > mod_seq)
    }

    /// The greatest UID in it.
    #[must_use]
    pub fn last_uid(&self) -> Option<Uid> {
        self.chunks
            .last()
            .and_then(|chunk| chunk.uids.last().copied())
    }

    /// The flags of a row.
    #[must_use]
    pub fn flags(&self, row: &Row) -> Flags {
        Flags::new(row.system, self.keywords.set(row.keywords).iter().cloned())
    }
}
