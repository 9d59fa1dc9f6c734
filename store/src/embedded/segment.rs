//! Segments: the files of the log, and reading their frames one after another.
//!
//! A segment has a number, its place in the log. If it is rewritten ([`super::compact`]) another file
//! stands for it. Files are numbered too: in the low bits the segment, in the others how often it
//! was rewritten, so that the file of a segment that never was has the segment's own number.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use parking_lot::Mutex;

use super::frame::{HEADER_BYTES, Header, Kind, Lsn, Salt, Start, is_of_later_version};
use crate::{
    Error, Result,
    disk::{Disk, DiskFile, OpenMode},
};

/// Bytes read at once while scanning.
const WINDOW_BYTES: usize = 1 << 20;

/// Bits of a file's number that are its segment's.
const NUMBER_BITS: u32 = 24;
/// No segment has a greater number.
pub(crate) const NUMBER_MAX: u32 = (1 << NUMBER_BITS) - 1;

/// The segment of a file.
pub(crate) const fn number_of(file: u32) -> u32 {
    file & NUMBER_MAX
}

/// The file that is to stand for what another one stands for; `None` if it was rewritten as often
/// as it may be.
pub(crate) fn next_file(file: u32) -> Option<u32> {
    file.checked_add(NUMBER_MAX + 1)
}

/// A file as people read it: the segment's number, and how often it was rewritten.
pub(crate) fn label(file: u32) -> String {
    match file >> NUMBER_BITS {
        0 => file.to_string(),
        times => format!("{}.{times}", number_of(file)),
    }
}

/// A file by the name it has.
fn file_named(name: &str) -> Option<u32> {
    let name = name.strip_suffix(".seg")?;
    let (number, times) = match name.split_once('.') {
        None => (name, 0),
        Some((number, times)) => (number, times.parse::<u8>().ok().filter(|n| *n > 0)?),
    };
    let number: u32 = number.parse().ok().filter(|n| *n <= NUMBER_MAX)?;
    Some(u32::from(times) << NUMBER_BITS | number)
}

/// A place in the log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(crate) struct Position {
    /// Which segment's file.
    pub(crate) segment: u32,
    /// Which byte of it.
    pub(crate) offset: u64,
}

/// The segments' directory and the files of it that are open.
#[derive(Debug)]
pub(crate) struct Segments {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    open: Mutex<HashMap<u32, Arc<dyn DiskFile>>>,
    /// The files that stand for segments that were rewritten.
    standing: Mutex<BTreeMap<u32, u32>>,
    /// Held while a summary is made.
    pub(crate) summarising: Mutex<()>,
    /// Held while another file takes a segment's place, and while all of them are looked at.
    pub(crate) exchanging: Mutex<()>,
}

/// An I/O error with what was being done, as the store reports it.
pub(crate) fn unavailable(doing: &str, error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DiskFull,
        _ => Error::Unavailable(format!("{doing}: {error}")),
    }
}

impl Segments {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: &Path) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            open: Mutex::default(),
            standing: Mutex::default(),
            summarising: Mutex::default(),
            exchanging: Mutex::default(),
        }
    }

    pub(crate) fn path(&self, file: u32) -> PathBuf {
        let number = number_of(file);
        self.dir.join(match file >> NUMBER_BITS {
            0 => format!("{number:08}.seg"),
            times => format!("{number:08}.{times}.seg"),
        })
    }

    /// The files there are, ascending: those that were never rewritten first.
    pub(crate) fn list(&self) -> io::Result<Vec<u32>> {
        let names = self.disk.list(&self.dir)?;
        let mut files: Vec<u32> = names.iter().filter_map(|name| file_named(name)).collect();
        files.sort_unstable();
        Ok(files)
    }

    /// The file that stands for a segment.
    pub(crate) fn standing(&self, number: u32) -> u32 {
        self.standing.lock().get(&number).copied().unwrap_or(number)
    }

    /// The files that stand for segments that were rewritten, by segment.
    pub(crate) fn rewritten(&self) -> BTreeMap<u32, u32> {
        self.standing.lock().clone()
    }

    /// From now on this file stands for its segment.
    pub(crate) fn stand(&self, file: u32) {
        self.standing.lock().insert(number_of(file), file);
    }

    /// A segment's file.
    pub(crate) fn file(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        let mut open = self.open.lock();
        if let Some(file) = open.get(&number) {
            return Ok(file.clone());
        }
        let file = self.disk.open(&self.path(number), OpenMode::Existing)?;
        open.insert(number, file.clone());
        Ok(file)
    }

    /// Creates a segment's file.
    pub(crate) fn create(&self, number: u32) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(&self.path(number), OpenMode::New)?;
        self.open.lock().insert(number, file.clone());
        Ok(file)
    }

    /// Forgets a file that was open: another one has its name now.
    pub(crate) fn forget(&self, file: u32) {
        self.open.lock().remove(&file);
    }

    /// Removes a segment's file.
    pub(crate) fn remove(&self, number: u32) -> io::Result<()> {
        let removed = self.disk.remove(&self.path(number));
        // Only now nobody opens it again.
        self.open.lock().remove(&number);
        removed
    }

    /// Reads stored bytes of a segment.
    pub(crate) fn read(&self, at: Position, len: usize) -> Result<Bytes> {
        let mut bytes = vec![0; len];
        self.file(at.segment)
            .and_then(|file| file.read_at(at.offset, &mut bytes))
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => Error::Damaged(format!(
                    "segment {} does not reach byte {}",
                    at.segment, at.offset
                )),
                _ => unavailable("reading a segment", &error),
            })?;
        Ok(bytes.into())
    }

    /// What a segment begins with, if that can be read.
    ///
    /// # Errors
    /// The disk's, or that a later version of the program wrote it.
    pub(crate) fn start(&self, number: u32) -> io::Result<Option<Start>> {
        let file = self.file(number)?;
        let len = file.len()?;
        let mut scanner = Scanner::new(file, Salt::NONE, 0, len);
        let Some(Item::Frame {
            header, payload, ..
        }) = scanner.first()?
        else {
            if is_of_later_version(scanner.bytes(0, HEADER_BYTES)?) {
                return Err(io::Error::other(format!(
                    "segment {} was written by a later version of relate-imap: start that one",
                    number_of(number)
                )));
            }
            return Ok(None);
        };
        let start = Start::decode(&payload).ok();
        let is_of = |start: &Start| {
            let file = start.rewritten.map_or(start.segment, |r| r.file);
            header.kind == Kind::Start && start.segment == number_of(file) && file == number
        };
        Ok(start.filter(is_of))
    }
}

/// Reads the frames of a segment in order.
pub(crate) struct Scanner {
    file: Arc<dyn DiskFile>,
    salt: Salt,
    at: u64,
    end: u64,
    window: Vec<u8>,
    window_at: u64,
}

/// What stands in a segment.
pub(crate) enum Item {
    /// A valid frame, at this offset.
    Frame {
        at: u64,
        header: Header,
        payload: Bytes,
    },
    /// Bytes that are no valid frame, up to the next valid header or the end; with a header if
    /// there was a valid one.
    Bad {
        from: u64,
        to: u64,
        header: Option<Header>,
    },
}

impl Scanner {
    /// From `at` to `end`.
    pub(crate) fn new(file: Arc<dyn DiskFile>, salt: Salt, at: u64, end: u64) -> Self {
        Self {
            file,
            salt,
            at,
            end,
            window: Vec::new(),
            window_at: 0,
        }
    }

    /// The bytes at `at`, as many as there are, at most `len`.
    fn bytes(&mut self, at: u64, len: usize) -> io::Result<&[u8]> {
        let len = len.min(usize::try_from(self.end.saturating_sub(at)).unwrap_or(len));
        let window_end = self.window_at + self.window.len() as u64;
        if at < self.window_at || at + len as u64 > window_end {
            let there = usize::try_from(self.end.saturating_sub(at)).unwrap_or(WINDOW_BYTES);
            self.window.resize(len.max(WINDOW_BYTES).min(there), 0);
            self.window_at = at;
            if let Err(error) = self.file.read_at(at, &mut self.window) {
                self.window.clear();
                return Err(error);
            }
        }
        let from = usize::try_from(at - self.window_at).unwrap_or(0);
        Ok(self.window.get(from..from + len).unwrap_or_default())
    }

    fn header(&mut self, at: u64) -> io::Result<Option<Header>> {
        let salt = self.salt;
        let bytes = self.bytes(at, HEADER_BYTES)?;
        // Only a start frame is checked without the store's salt.
        let start =
            || Header::decode(bytes, Salt::NONE).filter(|h| h.kind == Kind::Start && at == 0);
        Ok(Header::decode(bytes, salt)
            .filter(|header| header.kind != Kind::Start || salt == Salt::NONE)
            .or_else(start))
    }

    /// The frame at the very beginning, without looking further if it is not valid.
    pub(crate) fn first(&mut self) -> io::Result<Option<Item>> {
        match self.header(0)? {
            Some(header) => self.frame(0, header),
            None => Ok(None),
        }
    }

    fn frame(&mut self, at: u64, header: Header) -> io::Result<Option<Item>> {
        let len = header.len as usize;
        let salt = match header.kind {
            Kind::Start => Salt::NONE,
            _ => self.salt,
        };
        let payload = self.bytes(at + HEADER_BYTES as u64, len)?;
        if payload.len() < len || salt.crc(payload) != header.payload_crc {
            return Ok(None);
        }
        let payload = Bytes::copy_from_slice(payload);
        Ok(Some(Item::Frame {
            at,
            header,
            payload,
        }))
    }

    /// The byte to be read next.
    pub(crate) fn position(&self) -> u64 {
        self.at
    }

    /// The highest number that any header from here on says was durable; reading goes on here.
    pub(crate) fn highest_durable(&mut self) -> io::Result<Lsn> {
        let (at, mut highest) = (self.at, 0);
        while let Some(item) = self.next()? {
            let header = match item {
                Item::Frame { header, .. } => Some(header),
                Item::Bad { header, .. } => header,
            };
            highest = highest.max(header.map_or(0, |header| header.durable));
        }
        self.at = at;
        Ok(highest)
    }

    /// What comes next; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Item>> {
        let from = self.at;
        if from >= self.end {
            return Ok(None);
        }
        let header = self.header(from)?;
        if let Some(header) = header
            && let Some(frame) = self.frame(from, header)?
        {
            self.at = from + HEADER_BYTES as u64 + u64::from(header.len);
            return Ok(Some(frame));
        }
        let to = self.next_header(from, header)?;
        self.at = to;
        Ok(Some(Item::Bad { from, to, header }))
    }

    /// Where the next valid header behind a bad frame is. If the bad frame's own header is valid
    /// and what follows its payload is too, that is where; else every byte may be.
    fn next_header(&mut self, bad: u64, header: Option<Header>) -> io::Result<u64> {
        if let Some(header) = header {
            let behind = bad + HEADER_BYTES as u64 + u64::from(header.len);
            if behind < self.end && self.header(behind)?.is_some() {
                return Ok(behind);
            }
        }
        let mut at = bad + 1;
        while at < self.end {
            let (salt, window) = (self.salt, self.bytes(at, WINDOW_BYTES)?);
            let valid = |offset: &usize| Header::decode(&window[*offset..], salt).is_some();
            if let Some(offset) = Header::candidates(window).find(valid) {
                return Ok(at + offset as u64);
            }
            // A header may lie across the window's end.
            let step = window.len().saturating_sub(HEADER_BYTES - 1).max(1);
            at += step as u64;
        }
        Ok(self.end)
    }
}
