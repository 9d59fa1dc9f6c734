//! Reading the past from the log, oldest first, a segment at a time.
//!
//! Segments whose summary says that nothing in them concerns the account that is asked for are left
//! out, and so are those that ended before the moment that is asked for. What is kept in memory is
//! one transaction, the names of mailboxes, and the messages that a Message-ID led to.

mod deeds;

use std::{io, sync::Arc};

use bytes::Bytes;
use tokio::sync::mpsc;

use self::deeds::Deeds;
use super::{
    codec::records,
    core::Shared,
    engine::Engine,
    frame::{Header, Kind, Salt},
    record::{BodyData, Record, Transaction},
    recover,
    segment::{Item, Scanner, label, number_of, unavailable},
    summary::{self, Extent, Owner},
};
use crate::{
    Error, Result,
    history::{HistoryEnd, HistoryQuery, Past},
};

/// How often a file that was rewritten meanwhile is looked for again.
const ATTEMPTS: usize = 3;
/// Damage told at most, lines.
const MISSING_MAX: usize = 100;

/// Tells the past until it is told, or nobody listens. Blocking.
pub(crate) fn tell(
    engine: &Arc<Engine>,
    query: &HistoryQuery,
    to: &mpsc::Sender<Past>,
) -> Result<HistoryEnd> {
    let shared = Arc::clone(&engine.parts.core.shared);
    let mut end = HistoryEnd::default();
    let valid = shared.backlog.valid();
    let links = recover::valid_links(&shared.segments, valid, &mut end.missing)?;
    let link = |(file, bytes)| Link { file, bytes };
    let links: Vec<Link> = links.into_iter().map(link).collect();
    let mut deeds = Deeds::new(engine, query.clone());
    let from = match query.message_id {
        // Which messages have it may have been said long before.
        Some(_) => 0,
        None => first_since(&shared, &links, query.since_secs)?,
    };
    for link in links.get(from..).unwrap_or_default() {
        if !concerns(&shared, link, query)? {
            continue;
        }
        let mut reader = SegmentReader::open(&shared, link)?;
        while let Some(read) = reader.next()? {
            // Whether or not there is something to tell.
            if to.is_closed() {
                return Ok(end);
            }
            match read {
                Read::Transaction(transaction) => {
                    end.begins_secs.get_or_insert(transaction.time_secs);
                    for past in deeds.of(&transaction)? {
                        if to.blocking_send(past).is_err() {
                            return Ok(end);
                        }
                    }
                }
                Read::Bad(line) if end.missing.len() < MISSING_MAX => end.missing.push(line),
                Read::Bad(_) => {}
            }
        }
    }
    Ok(end)
}

/// A segment as far as it counts.
#[derive(Clone, Copy)]
struct Link {
    file: u32,
    bytes: u64,
}

/// The first segment that may hold something of this moment or later: the one before the last that
/// began earlier is over by then.
fn first_since(shared: &Shared, links: &[Link], since_secs: Option<i64>) -> Result<usize> {
    let Some(since_secs) = since_secs else {
        return Ok(0);
    };
    for (at, link) in links.iter().enumerate().rev() {
        let mut reader = SegmentReader::open(shared, link)?;
        while let Some(read) = reader.next()? {
            if let Read::Transaction(first) = read {
                if first.time_secs < since_secs {
                    return Ok(at);
                }
                break;
            }
        }
    }
    Ok(0)
}

/// Whether something in a segment concerns the account that is asked for, as far as its summary
/// tells; the newest has none.
fn concerns(shared: &Shared, link: &Link, query: &HistoryQuery) -> Result<bool> {
    let Some(account) = query.account else {
        return Ok(true);
    };
    let extent = Extent {
        salt: shared.salt,
        segment: link.file,
        bytes: link.bytes,
    };
    let Some(summary) = summary::open(&shared.segments, &extent)? else {
        return Ok(true);
    };
    for block in &summary.directory.blocks {
        let is_named =
            |record: &Record| matches!(record, Record::Account(info) if info.id == account);
        let concerns = match block.owner {
            Owner::Account(id) => id == account,
            Owner::Nobody => false,
            Owner::Store => match summary.block(block) {
                Ok(all) => all
                    .iter()
                    .any(|applied| applied.records.iter().any(is_named)),
                Err(_) => true,
            },
        };
        if concerns {
            return Ok(true);
        }
    }
    Ok(!summary.directory.spoilt.is_empty())
}

/// What stands in a segment, for the past.
enum Read {
    Transaction(Transaction),
    /// Bytes that cannot be read, in words.
    Bad(String),
}

/// Reads a segment's transactions, without the bytes of bodies.
struct SegmentReader {
    file: u32,
    scanner: Scanner,
    /// A transaction whose last frame is still to come, and its first frame's number.
    group: Option<(u64, Transaction)>,
}

impl SegmentReader {
    /// Opens the file of a segment, or the one that took its place since it was looked up.
    fn open(shared: &Shared, link: &Link) -> Result<Self> {
        let mut link = *link;
        let mut attempt = 1;
        loop {
            match shared.segments.file(link.file) {
                Ok(file) => {
                    let scanner = Scanner::new(file, Salt::of(&shared.salt), 0, link.bytes);
                    return Ok(Self {
                        file: link.file,
                        scanner,
                        group: None,
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => {
                    attempt += 1;
                    let now = recover::valid(&shared.segments, shared.backlog.valid())?;
                    let same = |(file, _): &(u32, u64)| number_of(*file) == number_of(link.file);
                    if let Some((file, bytes)) = now.into_iter().find(same) {
                        link = Link { file, bytes };
                    }
                }
                Err(error) => return Err(unavailable("opening a segment", &error)),
            }
        }
    }

    fn next(&mut self) -> Result<Option<Read>> {
        let reading = |error: io::Error| unavailable("reading the log", &error);
        while let Some(item) = self.scanner.next().map_err(reading)? {
            match item {
                Item::Frame {
                    at,
                    header,
                    payload,
                } => match self.frame(header, &payload) {
                    Ok(None) => {}
                    Ok(Some(transaction)) => return Ok(Some(Read::Transaction(transaction))),
                    Err(_) => return Ok(Some(self.bad(at, self.scanner.position()))),
                },
                Item::Bad { from, to, .. } => return Ok(Some(self.bad(from, to))),
            }
        }
        Ok(None)
    }

    fn bad(&self, from: u64, to: u64) -> Read {
        let segment = label(self.file);
        Read::Bad(format!(
            "segment {segment}, bytes {from} to {to}: cannot be read"
        ))
    }

    fn frame(&mut self, header: Header, payload: &Bytes) -> Result<Option<Transaction>> {
        if matches!(header.kind, Kind::Start | Kind::Body) {
            return Ok(None);
        }
        let mut transaction = records::payload(payload)?.0;
        for record in &mut transaction.records {
            if let Record::Body(body) = record {
                body.data = BodyData::Before;
            }
        }
        if header.kind == Kind::Whole {
            return Ok(Some(transaction));
        }
        let begun = self
            .group
            .take()
            .filter(|(group, _)| *group == header.group);
        if let Some((_, mut begun)) = begun {
            begun.records.append(&mut transaction.records);
            transaction = begun;
        } else if header.lsn != header.group {
            return Err(Error::Damaged("a transaction without its beginning".into()));
        }
        if header.kind == Kind::Commit {
            return Ok(Some(transaction));
        }
        self.group = Some((header.group, transaction));
        Ok(None)
    }
}
