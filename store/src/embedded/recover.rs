//! Opening a store: which bytes of the log are valid, and bringing the index after them.
//!
//! Segments form a chain: each begins by naming the one before and the byte to which that is
//! valid. The first bad frame of the newest segment is a torn tail, and cut off, if nothing says
//! that it was durable: no later header, and not the index. Anything else that cannot be read is
//! damage: it is named, copied to quarantine, and reading goes on at the next valid header.
//!
//! Where a segment was rewritten, two files may be there. The rewritten one stands for the segment if
//! the index says so, which it does durably before the other is removed; else the older one does,
//! which holds all that the newer one does. The one that does not stand is removed.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    frame::Salt,
    index::{Begin, Index, Meta, Orphans},
    log::{Log, Tail},
    quarantine,
    rebuild::{self, Gate, Planned, Rebuild},
    replay::{After, End, IntoIndex, Replay},
    segment::{Position, Scanner, Segments, number_of, unavailable},
    summary::{self, Extent},
};
use crate::{
    Error, Options, Result,
    disk::{Disk, Lock, OpenMode},
};

const ID_FILE: &str = "id";
/// How the names of files end that are not finished.
pub(crate) const NEW: &str = ".new";

/// A recovered store.
pub(crate) struct Recovered {
    pub(crate) lock: Lock,
    pub(crate) segments: Arc<Segments>,
    pub(crate) salt: [u8; 16],
    pub(crate) log: Log,
    pub(crate) index: Index,
    /// What the index lacks, if it has to be made again.
    pub(crate) rebuild: Option<Rebuild>,
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

/// Opens or creates the store in `dir`; `gate` is told if the index has to be made again.
pub(crate) fn open(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    options: &Options,
    (gate, now_secs): (&Gate, i64),
) -> Result<Recovered> {
    let lock = prepare(disk, dir)?;
    let segments = Arc::new(Segments::new(disk.clone(), &dir.join("log")));
    let salt = salt(disk, dir, &segments)?;
    let mut damage = Vec::new();
    let index_dir = index_dir(dir);
    let opened = Index::open(disk, &index_dir, salt, options);
    let known = opened.as_ref().map(Index::rewritten);
    let leftovers = choose(&segments, &known.unwrap_or_default())?;
    let chain = chain(&segments, &mut damage)?;
    // What is read from here on may be in the page cache only; it is about to be relied on.
    if let Some(newest) = chain.links.last() {
        let file = segments
            .file(newest.segment)
            .map_err(failed("opening the log"))?;
        file.sync().map_err(failed("syncing the log"))?;
    }
    let site = Site {
        segments: &segments,
        dir: &index_dir,
        salt,
        options,
        gate,
        now_secs,
    };
    let brought = replayed(&site, opened, &chain, (After::Tail, &mut damage))?;
    let Brought {
        index,
        end,
        rebuild,
    } = brought;
    let tail = finish_tail(&segments, &chain, end, damage.is_empty())?;
    index.forget_begun();
    index.checkpoint()?;
    for line in &damage {
        tracing::error!("{line}");
    }
    if damage.is_empty() {
        // Else one of them may have what another has lost.
        clear(&segments, &leftovers);
    }
    let log = Log::new(segments.clone(), salt, options.segment_bytes, tail);
    Ok(Recovered {
        lock,
        log: log.map_err(failed("opening the log"))?,
        segments,
        salt,
        index,
        rebuild,
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
    /// Its place in the log.
    number: u32,
    /// The file that stands for it.
    segment: u32,
    end: u64,
}

/// Chooses which file stands for each segment of which there are several, and says which are left
/// over. `known` are the rewritten ones that the index knows.
fn choose(segments: &Segments, known: &BTreeMap<u32, u32>) -> Result<Vec<u32>> {
    let reading = failed("reading the log");
    let mut files: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for file in segments.list().map_err(&reading)? {
        files.entry(number_of(file)).or_default().push(file);
    }
    let mut leftovers = Vec::new();
    for (number, mut files) in files {
        if files == [number] {
            continue;
        }
        let known = known.get(&number).filter(|file| files.contains(file));
        let mut chosen = None;
        // Else the older one, which holds more: they ascend.
        for file in known.into_iter().chain(&files) {
            if chosen.is_none() && segments.start(*file).map_err(&reading)?.is_some() {
                chosen = Some(*file);
            }
        }
        let Some(chosen) = chosen.or(files.first().copied()) else {
            continue;
        };
        if chosen != number {
            segments.stand(chosen);
        }
        files.retain(|file| *file != chosen);
        leftovers.append(&mut files);
    }
    Ok(leftovers)
}

/// Removes files that do not stand for a segment, and what was not finished. If they stay, the next
/// opening finds them again.
fn clear(segments: &Segments, leftovers: &[u32]) {
    let unfinished = segments.disk.list(&segments.dir).unwrap_or_default();
    let unfinished = unfinished.iter().filter(|name| name.ends_with(NEW));
    let unfinished = unfinished.map(|name| segments.disk.remove(&segments.dir.join(name)));
    let left = leftovers.iter().map(|file| {
        summary::remove(segments, *file)?;
        segments.remove(*file)
    });
    for error in unfinished.chain(left).filter_map(io::Result::err) {
        tracing::warn!(%error, "a file of the log that is not needed any more stays");
    }
}

/// Reads the chain from the newest segment back.
fn chain(segments: &Segments, damage: &mut Vec<String>) -> Result<Chain> {
    let reading = failed("reading the log");
    let files = segments.list().map_err(&reading)?;
    let mut numbers: Vec<u32> = files.into_iter().map(number_of).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let mut chain = Chain {
        links: Vec::new(),
        highest: numbers.last().copied().unwrap_or(0),
    };
    let mut end = None;
    while let Some(number) = numbers.pop() {
        let file = segments.standing(number);
        let len = segments
            .file(file)
            .and_then(|file| file.len())
            .map_err(&reading)?;
        let start = segments.start(file).map_err(&reading)?;
        if start.is_none() && chain.links.is_empty() && len < 4_096 {
            // It was being created when the power failed: nothing was acknowledged from it.
            segments.remove(file).map_err(&reading)?;
            chain.highest = numbers.last().copied().unwrap_or(0);
            continue;
        }
        let rewritten = start.and_then(|start| start.rewritten);
        let valid = end.take().unwrap_or(len);
        let valid = rewritten.map_or(valid, |rewritten| rewritten.bytes);
        if valid > len {
            damage.push(format!("segment {number} is cut at byte {len} of {valid}"));
        }
        chain.links.push(Link {
            number,
            segment: file,
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
    // The newest was never rewritten, unless a newer one is lost.
    let was_rewritten = newest.is_some_and(|link| link.segment != link.number);
    let at = match (newest, is_at_newest) {
        (Some(newest), false) => Position {
            segment: newest.segment,
            offset: newest.end,
        },
        _ => end.at,
    };
    Ok(Tail {
        lsn: end.lsn,
        end: Position {
            segment: number_of(at.segment),
            ..at
        },
        highest: chain.highest,
        appendable: is_sound && is_at_newest && !was_rewritten && end.at.offset > 0,
    })
}

/// Where an index is, and of which store.
pub(crate) struct Site<'a> {
    pub(crate) segments: &'a Arc<Segments>,
    pub(crate) dir: &'a Path,
    pub(crate) salt: [u8; 16],
    pub(crate) options: &'a Options,
    pub(crate) gate: &'a Gate,
    pub(crate) now_secs: i64,
}

/// An index that was brought after the log, or that can be.
struct Brought {
    index: Index,
    /// Where the log ends.
    end: End,
    /// What it lacks.
    rebuild: Option<Rebuild>,
}

/// Applies what the index that was opened lacks, or begins to make it again.
fn replayed(
    site: &Site<'_>,
    opened: Result<Index>,
    chain: &Chain,
    (after_last, damage): (After, &mut Vec<String>),
) -> Result<Brought> {
    let segments = site.segments;
    let brought = |index, end| Brought {
        index,
        end,
        rebuild: None,
    };
    match opened {
        Ok(index) if index.rewritten() != segments.rewritten() => {
            tracing::warn!(
                "the index does not know which segments were rewritten; it is made again"
            );
        }
        Ok(index) => match fit(chain, &index.meta()) {
            Fit::Continues => {
                // Damage is told once, also if reading has to begin again.
                let known = damage.len();
                match replay(segments, &index, chain, (after_last, &mut *damage)) {
                    Ok(end) => return Ok(brought(index, end)),
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
                return Ok(brought(index, End { lsn, at }));
            }
            Fit::Not => tracing::warn!("the index does not fit the log; it is made again"),
        },
        // A new store has neither a log nor an index.
        Err(_) if chain.links.is_empty() => {}
        Err(error) => tracing::warn!(%error, "the index does not open; it is made again"),
    }
    made_again(site, chain, after_last, damage)
}

/// Begins to make the index again.
fn made_again(
    site: &Site<'_>,
    chain: &Chain,
    after_last: After,
    damage: &mut Vec<String>,
) -> Result<Brought> {
    if chain.links.is_empty() {
        let of = (site.options, site.salt);
        let index = Index::create(&site.segments.disk, site.dir, of, Begin::empty())?;
        index.complete()?;
        return Ok(Brought {
            index,
            end: End::default(),
            rebuild: None,
        });
    }
    let extent = |link: &Link| Extent {
        salt: site.salt,
        segment: link.segment,
        bytes: link.end,
    };
    let extents: Vec<Extent> = chain.links.iter().map(extent).collect();
    // A summary that turns out to be damaged is gone by the next attempt.
    let mut attempts = extents.len();
    loop {
        let known = damage.len();
        match begun_again(site, &extents, after_last, damage) {
            Err(Error::Damaged(error)) if attempts > 0 => {
                tracing::warn!(error, "making the index again begins again");
                damage.truncate(known);
                attempts -= 1;
            }
            outcome => return outcome,
        }
    }
}

fn begun_again(
    site: &Site<'_>,
    extents: &[Extent],
    after_last: After,
    damage: &mut Vec<String>,
) -> Result<Brought> {
    let segments = site.segments;
    let orphans = match damage.is_empty() {
        true => Orphans::Wait(site.now_secs),
        false => Orphans::Stay,
    };
    let planned = rebuild::plan(segments, extents, (after_last, orphans))?;
    let Planned {
        mut rebuild,
        begin,
        end,
        spoilt,
    } = planned;
    damage.extend(spoilt.iter().map(|one| quarantine::keep(segments, one)));
    let of = (site.options, site.salt);
    let index = Index::create(&segments.disk, site.dir, of, begin)?;
    rebuild.begin(&index, site.gate)?;
    Ok(Brought {
        index,
        end,
        rebuild: Some(rebuild),
    })
}

/// The index of a running store, opened again, of a log that is durable to `valid`; with what it
/// lacks if it has to be made again.
pub(crate) fn index(site: &Site<'_>, valid: Position) -> Result<(Index, Option<Rebuild>)> {
    let mut damage = Vec::new();
    let chain = chain_to(site.segments, valid, &mut damage)?;
    let opened = Index::open(&site.segments.disk, site.dir, site.salt, site.options);
    let brought = replayed(site, opened, &chain, (After::Log, &mut damage))?;
    Ok((brought.index, brought.rebuild))
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
    valid_links(segments, valid, &mut Vec::new())
}

/// The same, and what of the chain is missing, in words.
pub(crate) fn valid_links(
    segments: &Segments,
    valid: Position,
    damage: &mut Vec<String>,
) -> Result<Vec<(u32, u64)>> {
    let chain = chain_to(segments, valid, damage)?;
    Ok(chain
        .links
        .iter()
        .map(|link| (link.segment, link.end))
        .collect())
}

/// One whose start cannot be read does not say which comes before it: as at opening, that is the one
/// with the next lower number.
fn chain_to(segments: &Segments, valid: Position, damage: &mut Vec<String>) -> Result<Chain> {
    let reading = failed("reading the log");
    let mut chain = Chain::default();
    // A log that nothing was written to has no segment.
    let mut next = Some(valid).filter(|end| end.segment != 0);
    while let Some(end) = next {
        let file = segments.standing(end.segment);
        let start = match segments.start(file) {
            // Another file took its place between the two questions.
            Err(_) if segments.standing(end.segment) != file => continue,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                damage.push(format!("segment {} is missing", end.segment));
                next = below(segments, end.segment).map_err(&reading)?;
                continue;
            }
            start => start.map_err(&reading)?,
        };
        let rewritten = start.and_then(|start| start.rewritten);
        chain.links.push(Link {
            number: end.segment,
            segment: file,
            end: rewritten.map_or(end.offset, |rewritten| rewritten.bytes),
        });
        next = match start {
            Some(start) if start.previous == 0 => None,
            Some(start) => Some(Position {
                segment: start.previous,
                offset: start.previous_bytes,
            }),
            None => {
                damage.push(format!("segment {} has no readable start", end.segment));
                below(segments, end.segment).map_err(&reading)?
            }
        };
    }
    chain.links.reverse();
    Ok(chain)
}

/// The segment with the next lower number, to its file's end.
fn below(segments: &Segments, number: u32) -> io::Result<Option<Position>> {
    let files = segments.list()?.into_iter().map(number_of);
    let Some(segment) = files.filter(|other| *other < number).max() else {
        return Ok(None);
    };
    let offset = segments.file(segments.standing(segment))?.len()?;
    Ok(Some(Position { segment, offset }))
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
        (_, Some(newest)) if newest.number <= at.segment => Fit::KnowsMore(Position {
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
    (after_last, damage): (After, &mut Vec<String>),
) -> Result<End> {
    let meta = index.meta();
    let begin = End {
        lsn: meta.replay_lsn.saturating_sub(1),
        at: meta.replay,
    };
    let mut sink = IntoIndex { index, unsaved: 0 };
    let mut reader = Replay::new(&mut sink, begin);
    let newest = chain.links.last().map(|link| link.segment);
    let links = chain
        .links
        .iter()
        .filter(|link| link.number >= meta.replay.segment);
    for link in links {
        let file = segments
            .file(link.segment)
            .map_err(failed("opening the log"))?;
        let from = match link.segment == meta.replay.segment {
            true => meta.replay.offset,
            false => 0,
        };
        let scanner = Scanner::new(file, Salt::of(&meta.salt), from, link.end);
        let after = match newest == Some(link.segment) {
            true => after_last,
            false => After::Log,
        };
        reader.segment(link.segment, scanner, after)?;
    }
    reader.flush()?;
    let (mut end, spoilt) = (reader.end, reader.spoilt);
    damage.extend(
        spoilt
            .iter()
            .map(|spoilt| quarantine::keep(segments, spoilt)),
    );
    if index.meta().applied > end.lsn {
        let (has, applied) = (end.lsn, index.meta().applied);
        damage.push(format!(
            "the log ends with frame {has}, the index knew {applied}"
        ));
        end.lsn = applied;
    }
    Ok(end)
}
