//! Opening a store: which bytes of the log are valid, and bringing the index after them.
//!
//! Segments form a chain: each begins by naming the one before and the byte to which that is
//! valid. The first bad frame of the newest segment is a torn tail, and cut off, if nothing says
//! that it was durable: no later header, and not the index. Anything else that cannot be read is
//! damage: it is named, left where it is, and reading goes on at the next valid header.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use mail::id::BodyId;

use super::{
    body::{Packed, Place, places},
    codec::{Malformed, Read, Reader, records},
    commit::{Pending, is_before},
    frame::{HEADER_BYTES, Header, Kind, Lsn, Salt},
    index::{Applied, Event, Index, Meta},
    log::{Log, Tail},
    record::{BodyData, BodyRecord, Record},
    segment::{Item, Position, Scanner, Segments, unavailable},
};
use crate::{
    Error, Options, Result,
    disk::{Disk, Lock, OpenMode},
};

/// Log applied with one batch while replaying, bytes.
const REPLAY_BATCH_BYTES: u64 = 4 << 20;
/// Log read between checkpoints while replaying, bytes.
const CHECKPOINT_BYTES: u64 = 64 << 20;
const ID_FILE: &str = "id";

/// A recovered store.
pub(crate) struct Recovered {
    pub(crate) lock: Lock,
    pub(crate) segments: Arc<Segments>,
    pub(crate) salt: [u8; 16],
    pub(crate) log: Log,
    pub(crate) index: Index,
    /// Whether the index had to be made again from the whole log.
    pub(crate) is_index_new: bool,
    /// What could not be read, in words.
    pub(crate) damage: Vec<String>,
}

/// Where the index is.
pub(crate) fn index_dir(dir: &Path) -> PathBuf {
    dir.join("index")
}

fn failed(doing: &str) -> impl Fn(io::Error) -> Error + '_ {
    move |error| unavailable(doing, &error)
}

/// Opens or creates the store in `dir`.
pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path, options: &Options) -> Result<Recovered> {
    let lock = prepare(disk, dir)?;
    let segments = Arc::new(Segments::new(disk.clone(), &dir.join("log")));
    let salt = salt(disk, dir, &segments)?;
    let mut damage = Vec::new();
    let chain = chain(&segments, &mut damage)?;
    // What is read from here on may be in the page cache only; it is about to be relied on.
    if let Some(newest) = chain.links.last() {
        let file = segments
            .file(newest.segment)
            .map_err(failed("opening the log"))?;
        file.sync().map_err(failed("syncing the log"))?;
    }
    let index_dir = index_dir(dir);
    let site = Site {
        segments: &segments,
        dir: &index_dir,
        salt,
        options,
    };
    let (index, end, is_index_new) = replayed(&site, &chain, &mut damage)?;
    let tail = finish_tail(&segments, &chain, end, damage.is_empty())?;
    index.checkpoint()?;
    for line in &damage {
        tracing::error!("{line}");
    }
    let log = Log::new(segments.clone(), salt, options.segment_bytes, tail);
    Ok(Recovered {
        lock,
        log: log.map_err(failed("opening the log"))?,
        segments,
        salt,
        index,
        is_index_new,
        damage,
    })
}

/// The directories and the lock.
fn prepare(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Lock> {
    let create = failed("creating the store's directory");
    for path in [dir.to_owned(), dir.join("log"), index_dir(dir)] {
        disk.create_dir(&path).map_err(&create)?;
    }
    disk.sync_dir(dir).map_err(&create)?;
    let lock = disk
        .lock(&dir.join("lock"))
        .map_err(failed("locking the store"))?;
    lock.map_err(Error::InUse)
}

/// The store's salt: from its own file, else from any segment, else a new one for a new store.
fn salt(disk: &Arc<dyn Disk>, dir: &Path, segments: &Segments) -> Result<[u8; 16]> {
    let path = dir.join(ID_FILE);
    let reading = failed("reading the store's id");
    if let Some(salt) = read_salt(disk, &path).map_err(&reading)? {
        return Ok(salt);
    }
    let mut salt = None;
    for number in segments.list().map_err(&reading)? {
        salt = salt.or(segments
            .start(number)
            .map_err(&reading)?
            .map(|start| start.salt));
    }
    // Without it no frame can be told from noise; a new one would hide what is there.
    let written = disk.list(&segments.dir).map_err(&reading)?;
    if salt.is_none() && written.len() > 1 {
        return Err(Error::Damaged("the store's id is lost".into()));
    }
    let salt = salt.unwrap_or_else(new_salt);
    let mut bytes = salt.to_vec();
    bytes.extend(crc32c::crc32c(&salt).to_le_bytes());
    let writing = failed("writing the store's id");
    let file = disk.open(&path, OpenMode::Either).map_err(&writing)?;
    file.write_at(0, &[io::IoSlice::new(&bytes)])
        .map_err(&writing)?;
    file.sync().map_err(&writing)?;
    disk.sync_dir(dir).map_err(&writing)?;
    Ok(salt)
}

fn read_salt(disk: &Arc<dyn Disk>, path: &Path) -> io::Result<Option<[u8; 16]>> {
    let file = match disk.open(path, OpenMode::Existing) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    if file.len()? < 20 {
        return Ok(None);
    }
    let mut bytes = [0; 20];
    file.read_at(0, &mut bytes)?;
    let (salt, crc) = bytes.split_at(16);
    let is_valid = crc32c::crc32c(salt).to_le_bytes() == crc;
    Ok(is_valid.then(|| salt.try_into().ok()).flatten())
}

/// Random bytes: the standard library seeds its hashers with them.
fn new_salt() -> [u8; 16] {
    use std::hash::BuildHasher;
    let random = || std::hash::RandomState::new().hash_one(std::process::id());
    let (a, b) = (random().to_le_bytes(), random().to_le_bytes());
    std::array::from_fn(|at| if at < 8 { a[at] } else { b[at - 8] })
}

/// The segments that count, oldest first, each with the byte to which it is valid.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    links: Vec<Link>,
    /// The highest segment number there is.
    highest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    segment: u32,
    end: u64,
}

/// Reads the chain from the newest segment back.
fn chain(segments: &Segments, damage: &mut Vec<String>) -> Result<Chain> {
    let reading = failed("reading the log");
    let mut numbers = segments.list().map_err(&reading)?;
    let mut chain = Chain {
        links: Vec::new(),
        highest: numbers.last().copied().unwrap_or(0),
    };
    let mut end = None;
    while let Some(number) = numbers.pop() {
        let len = segments
            .file(number)
            .and_then(|file| file.len())
            .map_err(&reading)?;
        let start = segments.start(number).map_err(&reading)?;
        if start.is_none() && chain.links.is_empty() && len < 4_096 {
            // It was being created when the power failed: nothing was acknowledged from it.
            segments.remove(number).map_err(&reading)?;
            chain.highest = numbers.last().copied().unwrap_or(0);
            continue;
        }
        let valid = end.take().unwrap_or(len);
        if valid > len {
            damage.push(format!("segment {number} is cut at byte {len} of {valid}"));
        }
        chain.links.push(Link {
            segment: number,
            end: valid.min(len),
        });
        match start {
            Some(start) => {
                // Those between were begun and given up.
                numbers.retain(|n| *n <= start.previous);
                end = Some(start.previous_bytes);
                if start.previous != 0 && numbers.last() != Some(&start.previous) {
                    damage.push(format!("segment {} is missing", start.previous));
                    end = None;
                }
            }
            None => damage.push(format!("segment {number} has no readable start")),
        }
    }
    chain.links.reverse();
    Ok(chain)
}

/// How far reading the log came.
#[derive(Clone, Copy, Debug)]
struct End {
    lsn: Lsn,
    at: Position,
}

/// Cuts a torn tail off, durably, and says where writing goes on.
fn finish_tail(segments: &Segments, chain: &Chain, end: End, is_sound: bool) -> Result<Tail> {
    let cutting = failed("cutting a torn tail");
    let newest = chain.links.last();
    let is_at_newest = newest.is_some_and(|link| link.segment == end.at.segment);
    if let Some(newest) = newest
        && is_at_newest
        && newest.end > end.at.offset
    {
        let torn = newest.end - end.at.offset;
        tracing::warn!(
            "segment {}: a torn tail of {torn} bytes is cut off",
            newest.segment
        );
        let file = segments.file(newest.segment).map_err(&cutting)?;
        file.set_len(end.at.offset).map_err(&cutting)?;
        file.sync().map_err(&cutting)?;
    }
    Ok(Tail {
        lsn: end.lsn,
        end: match (newest, is_at_newest) {
            (Some(newest), false) => Position {
                segment: newest.segment,
                offset: newest.end,
            },
            _ => end.at,
        },
        highest: chain.highest,
        appendable: is_sound && is_at_newest && end.at.offset > 0,
    })
}

/// Where an index is, and of which store.
struct Site<'a> {
    segments: &'a Arc<Segments>,
    dir: &'a Path,
    salt: [u8; 16],
    options: &'a Options,
}

/// Opens the index, or makes it again, and applies what it lacks; says where the log ends, and
/// whether it was made again.
fn replayed(
    site: &Site<'_>,
    chain: &Chain,
    damage: &mut Vec<String>,
) -> Result<(Index, End, bool)> {
    let Site {
        segments,
        dir,
        salt,
        options,
    } = *site;
    let disk = &segments.disk;
    match Index::open(disk, dir, salt, options) {
        Ok(index) => match fit(chain, &index.meta()) {
            Fit::Continues => {
                // Damage is told once, also if reading has to begin again.
                let known = damage.len();
                match replay(segments, &index, chain, damage) {
                    Ok(end) => return Ok((index, end, false)),
                    Err(error @ (Error::Unavailable(_) | Error::DiskFull)) => return Err(error),
                    Err(error) => tracing::warn!(%error, "the index is made again"),
                }
                damage.truncate(known);
            }
            Fit::KnowsMore(at) => {
                let lsn = index.meta().applied;
                damage.push(format!(
                    "the log has lost its end: the index knows frame {lsn}, which is not there"
                ));
                return Ok((index, End { lsn, at }, false));
            }
            Fit::Not => tracing::warn!("the index does not fit the log; it is made again"),
        },
        // A new store has neither a log nor an index.
        Err(_) if chain.links.is_empty() => {}
        Err(error) => tracing::warn!(%error, "the index does not open; it is made again"),
    }
    let index = Index::create(disk, dir, salt, options)?;
    let end = replay(segments, &index, chain, damage)?;
    Ok((index, end, true))
}

/// The index of a running store, opened again, of a log that is durable to `valid`.
pub(crate) fn index(
    segments: &Arc<Segments>,
    dir: &Path,
    salt: [u8; 16],
    options: &Options,
    valid: Position,
) -> Result<Index> {
    let mut chain = chain_to(segments, valid)?;
    chain.links.retain(|link| link.segment <= valid.segment);
    let mut damage = Vec::new();
    let site = Site {
        segments,
        dir,
        salt,
        options,
    };
    replayed(&site, &chain, &mut damage).map(|(index, ..)| index)
}

/// Throws the index away: it is made again when it is opened next.
pub(crate) fn forget_index(disk: &Arc<dyn Disk>, dir: &Path) -> Result<()> {
    match Index::remove(disk, dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(unavailable("removing the index", &error))
        }
        _ => Ok(()),
    }
}

/// The segments of a log that is durable to `valid`, oldest first, each with where it ends.
pub(crate) fn valid(segments: &Segments, valid: Position) -> Result<Vec<(u32, u64)>> {
    let chain = chain_to(segments, valid)?;
    Ok(chain
        .links
        .iter()
        .map(|link| (link.segment, link.end))
        .collect())
}

fn chain_to(segments: &Segments, valid: Position) -> Result<Chain> {
    let mut chain = Chain::default();
    // A log that nothing was written to has no segment.
    let mut next = Some(valid).filter(|end| end.segment != 0);
    while let Some(end) = next {
        chain.links.push(Link {
            segment: end.segment,
            end: end.offset,
        });
        let start = segments
            .start(end.segment)
            .map_err(failed("reading the log"))?;
        next = start
            .filter(|start| start.previous != 0)
            .map(|start| Position {
                segment: start.previous,
                offset: start.previous_bytes,
            });
    }
    chain.links.reverse();
    Ok(chain)
}

/// How an index and a log fit.
enum Fit {
    /// Replay begins where the index says.
    Continues,
    /// The index was applied from bytes that the log, which ends here, does not have any more. It
    /// is kept: it knows numbers that must not be given again.
    KnowsMore(Position),
    /// The index is to be made again.
    Not,
}

fn fit(chain: &Chain, meta: &Meta) -> Fit {
    let at = meta.replay;
    let here = chain.links.iter().find(|link| link.segment == at.segment);
    match (here, chain.links.last()) {
        _ if at == Position::default() => Fit::Continues,
        (Some(link), _) if at.offset <= link.end => Fit::Continues,
        (_, Some(newest)) if newest.segment <= at.segment => Fit::KnowsMore(Position {
            segment: newest.segment,
            offset: newest.end,
        }),
        _ => Fit::Not,
    }
}

/// Applies what the index lacks; says where the valid log ends.
fn replay(
    segments: &Arc<Segments>,
    index: &Index,
    chain: &Chain,
    damage: &mut Vec<String>,
) -> Result<End> {
    let meta = index.meta();
    let mut reader = Replay {
        index,
        damage,
        end: End {
            lsn: meta.replay_lsn.saturating_sub(1),
            at: meta.replay,
        },
        group: Vec::new(),
        pending: HashMap::new(),
        events: Vec::new(),
        bytes: 0,
        unsaved: 0,
    };
    let newest = chain.links.last().map(|link| link.segment);
    let links = chain
        .links
        .iter()
        .filter(|link| link.segment >= meta.replay.segment);
    for link in links {
        let file = segments
            .file(link.segment)
            .map_err(failed("opening the log"))?;
        let from = match link.segment == meta.replay.segment {
            true => meta.replay.offset,
            false => 0,
        };
        let scanner = Scanner::new(file, Salt::of(&meta.salt), from, link.end);
        reader.segment(link, scanner, newest == Some(link.segment))?;
    }
    reader.flush()?;
    let mut end = reader.end;
    if index.meta().applied > end.lsn {
        let (has, applied) = (end.lsn, index.meta().applied);
        damage.push(format!(
            "the log ends with frame {has}, the index knew {applied}"
        ));
        end.lsn = applied;
    }
    Ok(end)
}

/// Reading the log into the index.
struct Replay<'a> {
    index: &'a Index,
    damage: &'a mut Vec<String>,
    end: End,
    /// Parts of a transaction whose commit is still to come.
    group: Vec<(Header, u64, Bytes)>,
    pending: HashMap<BodyId, Pending>,
    events: Vec<Event>,
    /// Read since the last batch, bytes.
    bytes: u64,
    /// Read since the last checkpoint, bytes.
    unsaved: u64,
}

impl Replay<'_> {
    fn segment(&mut self, link: &Link, mut scanner: Scanner, is_newest: bool) -> Result<()> {
        let reading = failed("reading the log");
        self.end.at.segment = link.segment;
        self.end.at.offset = scanner.position();
        while let Some(item) = scanner.next().map_err(&reading)? {
            match item {
                Item::Frame {
                    at,
                    header,
                    payload,
                } => self.frame(link.segment, at, header, &payload)?,
                Item::Bad { from, to, header } => {
                    if is_newest && !self.was_durable(&mut scanner, header).map_err(&reading)? {
                        return Ok(());
                    }
                    self.damaged(link.segment, from, to);
                }
            }
        }
        Ok(())
    }

    /// Whether a bad frame was durable once: a later header or the index says so.
    fn was_durable(&self, scanner: &mut Scanner, header: Option<Header>) -> io::Result<bool> {
        let bad = self.end.lsn + 1;
        let mut known = self.index.meta().applied;
        known = known.max(header.map_or(0, |header| header.durable));
        Ok(known >= bad || scanner.highest_durable()? >= bad)
    }

    fn damaged(&mut self, segment: u32, from: u64, to: u64) {
        let after = self.end.lsn;
        self.damage.push(format!(
            "segment {segment}, bytes {from} to {to}, behind frame {after}: cannot be read"
        ));
        self.end.at.offset = to;
    }

    fn frame(&mut self, segment: u32, at: u64, header: Header, payload: &Bytes) -> Result<()> {
        let position = Position {
            segment,
            offset: at,
        };
        let taken = match header.kind {
            Kind::Start => Ok(()),
            Kind::Body => self.body(position, &header, payload),
            Kind::Whole => self.transaction(segment, &[(header, at, payload.clone())]),
            Kind::Part => {
                self.group.retain(|(part, ..)| part.group == header.group);
                self.group.push((header, at, payload.clone()));
                Ok(())
            }
            Kind::Commit => self.commit(segment, (header, at, payload.clone())),
        };
        self.end = End {
            lsn: header.lsn,
            at: Position {
                segment,
                offset: at + HEADER_BYTES as u64 + u64::from(header.len),
            },
        };
        if taken.is_err() {
            self.damaged(segment, at, self.end.at.offset);
        }
        self.bytes += u64::from(header.len);
        if self.bytes >= REPLAY_BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn commit(&mut self, segment: u32, last: (Header, u64, Bytes)) -> Read<()> {
        let mut frames = std::mem::take(&mut self.group);
        let header = last.0;
        frames.push(last);
        let is_whole = frames
            .iter()
            .zip(header.group..)
            .all(|((part, ..), lsn)| part.group == header.group && part.lsn == lsn);
        match is_whole && frames.len() as u64 == header.lsn - header.group + 1 {
            true => self.transaction(segment, &frames),
            false => Err(Malformed),
        }
    }

    fn transaction(&mut self, segment: u32, frames: &[(Header, u64, Bytes)]) -> Read<()> {
        let (mut records, mut bodies) = (Vec::new(), Vec::new());
        let (mut time_secs, mut log_bytes) = (0, 0);
        for (header, at, payload) in frames {
            let (transaction, placed) = records::payload(payload)?;
            time_secs = transaction.time_secs;
            log_bytes += u64::from(header.len);
            let payload_at = at + HEADER_BYTES as u64;
            for mut record in transaction.records {
                if let Record::Body(body) = &mut record
                    && let BodyData::Packed(packed) =
                        std::mem::replace(&mut body.data, BodyData::Before)
                {
                    let offset = placed
                        .iter()
                        .find(|(id, _)| *id == body.id)
                        .ok_or(Malformed)?
                        .1;
                    let chunks = places(&packed.chunks, segment, payload_at + offset as u64, 0);
                    bodies.push((body.id, place(body, chunks)));
                } else if let Some(body) = is_before(&record) {
                    let pending = self.pending.remove(&body.id).ok_or(Malformed)?;
                    bodies.push((body.id, pending.place(body)));
                }
                records.push(record);
            }
        }
        let Some((last, at, _)) = frames.last() else {
            return Ok(());
        };
        self.events.push(Event::Applied(Box::new(Applied {
            lsn: last.lsn,
            end: Position {
                segment,
                offset: at + HEADER_BYTES as u64 + u64::from(last.len),
            },
            time_secs,
            records,
            bodies,
            lag_bytes: log_bytes,
            log_bytes,
        })));
        Ok(())
    }

    fn body(&mut self, at: Position, header: &Header, payload: &Bytes) -> Read<()> {
        let piece = body_piece(payload)?;
        let offset = at.offset + (HEADER_BYTES + piece.data) as u64;
        let chunks = places(&piece.packed.chunks, at.segment, offset, piece.at);
        if piece.at == 0 {
            self.pending.insert(piece.id, Pending::default());
            self.events.push(Event::BodyBegun(piece.id, at, header.lsn));
        }
        let pending = self.pending.entry(piece.id).or_default();
        if pending.bytes() == piece.at {
            pending.chunks.extend(chunks);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.unsaved += std::mem::take(&mut self.bytes);
        self.index.apply(&std::mem::take(&mut self.events))?;
        // What is read was synced before: the index may be durable as far as it has come.
        if self.unsaved >= CHECKPOINT_BYTES {
            self.unsaved = 0;
            self.index.checkpoint()?;
        }
        Ok(())
    }
}

fn place(body: &BodyRecord, chunks: Vec<super::body::ChunkPlace>) -> Arc<Place> {
    Arc::new(Place {
        size: body.size,
        digest: body.digest,
        chunks,
    })
}

/// A body frame's payload.
struct Piece {
    id: BodyId,
    at: u64,
    packed: Packed,
    /// Where the stored bytes begin.
    data: usize,
}

fn body_piece(payload: &[u8]) -> Read<Piece> {
    let mut r = Reader::new(payload);
    let id = BodyId::new(r.u64()?).ok_or(Malformed)?;
    let at = r.u64()?;
    let packed = Packed::decode(&mut r)?;
    r.end()?;
    let data = payload.len() - packed.data.len();
    Ok(Piece {
        id,
        at,
        packed,
        data,
    })
}
