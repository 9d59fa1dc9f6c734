//! A real disk behind a write cache in this process.
//!
//! `kill -9` loses nothing that was handed to the kernel, so a server that forgets to sync looks
//! healthy under it. Behind this cache it does not: what was not synced dies with the process, as
//! it would die with the power. [`Broken`] makes the cache lie, so that a harness can show that it
//! would notice a server that does not sync, or does not recover.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use parking_lot::Mutex;

use super::{Disk, DiskFile, Lock, OpenMode};

const PAGE: u64 = 4_096;
/// A cache that skips syncs still writes back this often, so that a run gets somewhere.
const SKIPPED_SYNCS: u64 = 256;

/// What is broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    /// Nothing: a sync writes the cache back.
    Nothing,
    /// Most syncs return without writing the cache back.
    Sync,
    /// The end of a log segment that exists already is cut off when it is opened.
    Recovery,
}

/// A disk whose writes stay in this process until they are synced.
#[derive(Debug)]
pub struct Lazy {
    inner: Arc<dyn Disk>,
    broken: Broken,
}

impl Lazy {
    /// A cache over `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, broken: Broken) -> Self {
        Self { inner, broken }
    }
}

#[derive(Debug)]
struct LazyFile {
    inner: Arc<dyn DiskFile>,
    broken: Broken,
    syncs: AtomicU64,
    cache: Mutex<Cache>,
}

#[derive(Debug)]
struct Cache {
    len: u64,
    pages: BTreeMap<u64, Box<[u8]>>,
}

impl Disk for Lazy {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let inner = self.inner.open(path, mode)?;
        let is_segment = path.extension().is_some_and(|e| e == "seg");
        if self.broken == Broken::Recovery && mode == OpenMode::Existing && is_segment {
            let len = inner.len()?;
            inner.set_len(len - len / 8)?;
        }
        let len = inner.len()?;
        Ok(Arc::new(LazyFile {
            inner,
            broken: self.broken,
            syncs: AtomicU64::new(0),
            cache: Mutex::new(Cache {
                len,
                pages: BTreeMap::new(),
            }),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.inner.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.inner.remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.inner.list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.inner.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.inner.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Lock, Option<u32>>> {
        self.inner.lock(path)
    }
}

impl LazyFile {
    /// The page with this number, as it is now; behind the end of the file it is zeros.
    fn page(&self, cache: &Cache, number: u64) -> io::Result<Box<[u8]>> {
        if let Some(page) = cache.pages.get(&number) {
            return Ok(page.clone());
        }
        let mut page = vec![0; 4_096].into_boxed_slice();
        let start = number * PAGE;
        let there = self.inner.len()?.saturating_sub(start).min(PAGE);
        let there = usize::try_from(there).unwrap_or(0);
        self.inner.read_at(start, &mut page[..there])?;
        Ok(page)
    }

    /// Calls `each` with page number, range in the page, and range in the bytes.
    fn pages_of(
        offset: u64,
        len: usize,
        mut each: impl FnMut(u64, std::ops::Range<usize>, std::ops::Range<usize>) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut done = 0usize;
        while done < len {
            let at = offset + done as u64;
            let within = usize::try_from(at % PAGE).unwrap_or(0);
            let take = (4_096 - within).min(len - done);
            each(at / PAGE, within..within + take, done..done + take)?;
            done += take;
        }
        Ok(())
    }

    fn write_back(&self, cache: &mut Cache) -> io::Result<()> {
        let pages = std::mem::take(&mut cache.pages);
        for (number, page) in &pages {
            let start = number * PAGE;
            let there = usize::try_from(cache.len.saturating_sub(start).min(PAGE)).unwrap_or(0);
            self.inner
                .write_at(start, &[IoSlice::new(&page[..there])])?;
        }
        self.inner.set_len(cache.len)
    }
}

impl DiskFile for LazyFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.cache.lock().len)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let cache = self.cache.lock();
        if offset + into.len() as u64 > cache.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Self::pages_of(offset, into.len(), |number, of_page, of_bytes| {
            let page = self.page(&cache, number)?;
            into[of_bytes].copy_from_slice(&page[of_page]);
            Ok(())
        })
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut cache = self.cache.lock();
        let mut at = offset;
        for part in parts {
            Self::pages_of(at, part.len(), |number, of_page, of_bytes| {
                let mut page = self.page(&cache, number)?;
                page[of_page].copy_from_slice(&part[of_bytes]);
                cache.pages.insert(number, page);
                Ok(())
            })?;
            at += part.len() as u64;
        }
        cache.len = cache.len.max(at);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut cache = self.cache.lock();
        if len < cache.len {
            cache.pages.retain(|number, _| number * PAGE < len);
            // What is behind the new end must read as zeros if the file grows again.
            if !len.is_multiple_of(PAGE) {
                let mut page = self.page(&cache, len / PAGE)?;
                page[usize::try_from(len % PAGE).unwrap_or(0)..].fill(0);
                cache.pages.insert(len / PAGE, page);
            }
            if self.inner.len()? > len {
                self.inner.set_len(len)?;
            }
        }
        cache.len = len;
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let count = self.syncs.fetch_add(1, Ordering::Relaxed);
        if self.broken == Broken::Sync && !count.is_multiple_of(SKIPPED_SYNCS) {
            return Ok(());
        }
        self.write_back(&mut self.cache.lock())?;
        self.inner.sync()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::RealDisk;

    #[test]
    fn unsynced_bytes_are_seen_here_and_not_by_the_next_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let disk = Lazy::new(Arc::new(RealDisk), Broken::Nothing);
        let file = disk.open(&path, OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(b"synced")]).unwrap();
        file.sync().unwrap();
        let (a, b) = ([b'x'; 5_000], [b'y'; 5_000]);
        file.write_at(3, &[IoSlice::new(&a), IoSlice::new(&b)])
            .unwrap();
        let mut read = vec![0; 10_003];
        file.read_at(0, &mut read).unwrap();
        assert_eq!(
            (&read[..3], &read[3..5_003], &read[5_003..]),
            (&b"syn"[..], &a[..], &b[..])
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"synced");
        file.set_len(4).unwrap();
        file.set_len(8).unwrap();
        file.sync().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"synx\0\0\0\0");
    }
}
