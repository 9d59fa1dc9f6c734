//! A disk in memory that fails on demand and forgets what was not synced.
//!
//! Every change is written down, so that one run of a workload gives the disk as a power cut
//! would leave it at *each* of its calls ([`SimDisk::after_power_cut`]): unsynced writes are kept,
//! dropped, reordered, or torn at sectors of 512 bytes or pages of 4 KiB; names that were not
//! synced may be missing. Faults are injected with a [`Plan`].

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};

use super::{Disk, DiskFile, Lock, OpenMode};

/// How a call fails.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Any call: an I/O error, nothing done.
    Eio,
    /// A call that writes or creates: no space, nothing done.
    Enospc,
    /// A write: part of it is done, then there is no space.
    ShortWrite,
    /// A sync: it fails, and what was not yet durable may never be.
    FailedSync,
}

/// Which calls fail, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The first call, counted from 1, that may fail; the first one from there that can, does.
    pub at: u64,
    /// How it fails.
    pub fault: Fault,
    /// Whether every later call of its kind fails too.
    pub for_ever: bool,
}

/// A disk in memory.
#[derive(Clone, Debug)]
pub struct SimDisk(Arc<Mutex<State>>, Arc<Stall>);

/// Reads that wait until they are let on.
#[derive(Debug, Default)]
struct Stall {
    is_stalled: Mutex<bool>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What the disk held when this one was made: durable.
    base: Names,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
    dirs: Vec<PathBuf>,
    locked: HashMap<PathBuf, bool>,
    journal: Vec<(u64, Op)>,
    calls: u64,
    plan: Option<Plan>,
    free_bytes: Option<u64>,
}

type Names = BTreeMap<PathBuf, Arc<Vec<u8>>>;

/// A change, as it is replayed to find what a power cut leaves.
#[derive(Clone, Debug)]
enum Op {
    Create(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
    Write(usize, u64, Arc<[u8]>),
    SetLen(usize, u64),
    Sync(usize),
    SyncFailed(usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Create,
    Sync,
    Other,
}

#[derive(Debug)]
struct SimFile {
    disk: SimDisk,
    inode: usize,
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::default(), Arc::default())
    }

    /// Makes calls fail from now on as planned, or (`None`) succeed again.
    pub fn set_plan(&self, plan: Option<Plan>) {
        self.0.lock().plan = plan;
    }

    /// Makes reads wait from now on, or lets them on.
    pub fn stall_reads(&self, is_stalled: bool) {
        *self.1.is_stalled.lock() = is_stalled;
        self.1.changed.notify_all();
    }

    fn wait_while_stalled(&self) {
        let mut is_stalled = self.1.is_stalled.lock();
        self.1.changed.wait_while(&mut is_stalled, |it| *it);
    }

    /// How many calls were made.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.lock().calls
    }

    /// Sets what [`Disk::free_bytes`] answers; `None` is plenty.
    pub fn set_free_bytes(&self, free: Option<u64>) {
        self.0.lock().free_bytes = free;
    }

    /// The files as they are now, by path.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.0.lock();
        let file = |inode: &usize| state.files[*inode].clone();
        state
            .names
            .iter()
            .map(|(p, i)| (p.clone(), file(i)))
            .collect()
    }

    /// Replaces, creates or removes a file behind the engine's back; durable at once.
    pub fn put(&self, path: &Path, content: Option<Vec<u8>>) {
        let mut files = self.files();
        match content {
            Some(content) => files.insert(path.to_owned(), content),
            None => files.remove(path),
        };
        let (dirs, fresh) = (self.0.lock().dirs.clone(), Self::holding(files));
        let mut fresh = std::mem::take(&mut *fresh.0.lock());
        fresh.dirs = dirs;
        *self.0.lock() = fresh;
    }

    fn holding(files: BTreeMap<PathBuf, Vec<u8>>) -> Self {
        let mut state = State::default();
        for (path, content) in files {
            state.base.insert(path.clone(), Arc::new(content.clone()));
            state.names.insert(path.clone(), state.files.len());
            state.files.push(content);
            state
                .dirs
                .extend(path.ancestors().skip(1).map(Path::to_owned));
        }
        Self(Arc::new(Mutex::new(state)), Arc::default())
    }

    /// The disk as it would be found if the power had failed right after call `calls`. Seed 0
    /// drops everything that was not synced, seed 1 keeps everything, others choose.
    #[must_use]
    pub fn after_power_cut(&self, calls: u64, seed: u64) -> Self {
        let state = self.0.lock();
        let mut cut = PowerCut::new(&state, seed);
        for (_, op) in state.journal.iter().take_while(|(call, _)| *call <= calls) {
            cut.replay(op);
        }
        let disk = Self::holding(cut.finish());
        disk.0.lock().dirs.clone_from(&state.dirs);
        disk
    }

    /// Counts a call and decides whether it fails.
    fn enter(&self, kind: Kind) -> io::Result<Option<Fault>> {
        let mut state = self.0.lock();
        state.calls += 1;
        let Some(plan) = state.plan.filter(|plan| state.calls >= plan.at) else {
            return Ok(None);
        };
        let hit = match plan.fault {
            Fault::Eio => true,
            Fault::Enospc => matches!(kind, Kind::Write | Kind::Create),
            Fault::ShortWrite => kind == Kind::Write,
            Fault::FailedSync => kind == Kind::Sync,
        };
        if !hit {
            return Ok(None);
        }
        if !plan.for_ever {
            state.plan = None;
        }
        match plan.fault {
            Fault::Eio => Err(io::Error::other("injected i/o error")),
            Fault::Enospc => Err(io::ErrorKind::StorageFull.into()),
            fault => Ok(Some(fault)),
        }
    }

    fn log(state: &mut State, op: Op) {
        let call = state.calls;
        state.journal.push((call, op));
    }
}

impl Disk for SimDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.enter(Kind::Other)?;
        let all = path.ancestors().map(Path::to_owned);
        self.0.lock().dirs.extend(all);
        Ok(())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let exists = self.0.lock().names.contains_key(path);
        self.enter(if exists { Kind::Other } else { Kind::Create })?;
        let mut state = self.0.lock();
        let inode = match (state.names.get(path).copied(), mode) {
            (Some(_), OpenMode::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => inode,
            (None, OpenMode::Existing) => return Err(io::ErrorKind::NotFound.into()),
            (None, _) => {
                let inode = state.files.len();
                state.files.push(Vec::new());
                state.names.insert(path.to_owned(), inode);
                Self::log(&mut state, Op::Create(path.to_owned(), inode));
                inode
            }
        };
        let disk = self.clone();
        Ok(Arc::new(SimFile { disk, inode }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(Kind::Other)?;
        let mut state = self.0.lock();
        let inode = state.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        state.names.insert(to.to_owned(), inode);
        Self::log(&mut state, Op::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.enter(Kind::Other)?;
        let mut state = self.0.lock();
        state.names.remove(path).ok_or(io::ErrorKind::NotFound)?;
        Self::log(&mut state, Op::Remove(path.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.enter(Kind::Read)?;
        let state = self.0.lock();
        if !state.dirs.iter().any(|d| d == dir) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let here = state.names.keys().filter(|path| path.parent() == Some(dir));
        let names = here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        Ok(names.collect())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        if self.enter(Kind::Sync)?.is_some() {
            return Err(io::Error::other("injected failed sync of a directory"));
        }
        Self::log(&mut self.0.lock(), Op::SyncDir(dir.to_owned()));
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        self.enter(Kind::Read)?;
        let state = self.0.lock();
        let full = state
            .plan
            .is_some_and(|p| p.for_ever && p.fault == Fault::Enospc && state.calls >= p.at);
        Ok(if full {
            0
        } else {
            state.free_bytes.unwrap_or(1 << 40)
        })
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Lock, Option<u32>>> {
        self.enter(Kind::Other)?;
        let mut state = self.0.lock();
        if state.locked.insert(path.to_owned(), true) == Some(true) {
            return Ok(Err(None));
        }
        Ok(Ok(Lock(Box::new(SimLock(self.clone(), path.to_owned())))))
    }
}

struct SimLock(SimDisk, PathBuf);

impl Drop for SimLock {
    fn drop(&mut self) {
        self.0.0.lock().locked.remove(&self.1);
    }
}

impl SimFile {
    fn write(&self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut state = self.disk.0.lock();
        apply_write(&mut state.files[self.inode], offset, bytes);
        SimDisk::log(&mut state, Op::Write(self.inode, offset, bytes.into()));
    }
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.disk.enter(Kind::Read)?;
        Ok(self.disk.0.lock().files[self.inode].len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.disk.wait_while_stalled();
        self.disk.enter(Kind::Read)?;
        let state = self.disk.0.lock();
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let bytes = state.files[self.inode].get(from..);
        let bytes = bytes.and_then(|rest| rest.get(..into.len()));
        into.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let fault = self.disk.enter(Kind::Write)?;
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
        if fault.is_some() {
            bytes.truncate(bytes.len() / 2);
            self.write(offset, &bytes);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.write(offset, &bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.enter(Kind::Write)?;
        let mut state = self.disk.0.lock();
        state.files[self.inode].resize(usize::try_from(len).unwrap_or(0), 0);
        SimDisk::log(&mut state, Op::SetLen(self.inode, len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let fault = self.disk.enter(Kind::Sync)?;
        let mut state = self.disk.0.lock();
        let op = match fault {
            Some(_) => Op::SyncFailed(self.inode),
            None => Op::Sync(self.inode),
        };
        SimDisk::log(&mut state, op);
        match fault {
            Some(_) => Err(io::Error::other("injected failed sync")),
            None => Ok(()),
        }
    }
}

fn apply_write(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = usize::try_from(offset).unwrap_or(usize::MAX);
    if file.len() < from + bytes.len() {
        file.resize(from + bytes.len(), 0);
    }
    file[from..from + bytes.len()].copy_from_slice(bytes);
}

/// What is durable, and what is pending, while a journal is replayed.
struct PowerCut {
    seed: u64,
    random: u64,
    durable: HashMap<usize, Vec<u8>>,
    pending: HashMap<usize, Vec<Op>>,
    names: BTreeMap<PathBuf, usize>,
    pending_names: Vec<Op>,
}

impl PowerCut {
    fn new(state: &State, seed: u64) -> Self {
        let mut cut = Self {
            seed,
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
            durable: HashMap::new(),
            pending: HashMap::new(),
            names: BTreeMap::new(),
            pending_names: Vec::new(),
        };
        // The base's inodes come first, in the order of their names.
        for (inode, (path, content)) in state.base.iter().enumerate() {
            cut.names.insert(path.clone(), inode);
            cut.durable.insert(inode, content.to_vec());
        }
        cut
    }

    fn below(&mut self, n: u64) -> u64 {
        // xorshift64*: any fixed sequence serves.
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        (self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn replay(&mut self, op: &Op) {
        match op {
            Op::Create(..) | Op::Rename(..) | Op::Remove(_) => self.pending_names.push(op.clone()),
            Op::SyncDir(dir) => {
                let (now, later) = std::mem::take(&mut self.pending_names)
                    .into_iter()
                    .partition(|op| is_in(op, dir));
                self.pending_names = later;
                self.apply_names(now);
            }
            Op::Write(inode, ..) | Op::SetLen(inode, _) => {
                self.pending.entry(*inode).or_default().push(op.clone());
            }
            Op::Sync(inode) => {
                for op in self.pending.remove(inode).unwrap_or_default() {
                    apply(self.durable.entry(*inode).or_default(), &op);
                }
            }
            Op::SyncFailed(inode) => self.gamble(*inode),
        }
    }

    fn apply_names(&mut self, ops: Vec<Op>) {
        for op in ops {
            match op {
                Op::Create(path, inode) => {
                    self.names.insert(path, inode);
                }
                Op::Rename(from, to) => {
                    if let Some(inode) = self.names.remove(&from) {
                        self.names.insert(to, inode);
                    }
                }
                Op::Remove(path) => {
                    self.names.remove(&path);
                }
                _ => {}
            }
        }
    }

    /// Decides what becomes of a file's unsynced changes.
    fn gamble(&mut self, inode: usize) {
        let mut ops = self.pending.remove(&inode).unwrap_or_default();
        match self.seed {
            0 => return,
            1 => {}
            _ => ops = self.mangle(ops),
        }
        let file = self.durable.entry(inode).or_default();
        for op in ops {
            apply(file, &op);
        }
    }

    /// Drops, tears and reorders.
    fn mangle(&mut self, ops: Vec<Op>) -> Vec<Op> {
        let sector = if self.below(2) == 0 { 512 } else { 4_096 };
        let mut kept = Vec::new();
        for op in ops {
            match (self.below(4), op) {
                (0, _) => {}
                (1, Op::Write(inode, offset, bytes)) => {
                    self.tear(&mut kept, (inode, offset, &bytes), sector);
                }
                (_, op) => kept.push(op),
            }
        }
        if self.below(2) == 0 {
            for at in (1..kept.len()).rev() {
                let other = usize::try_from(self.below(at as u64 + 1)).unwrap_or(0);
                kept.swap(at, other);
            }
        }
        kept
    }

    /// Keeps some sectors of a write.
    fn tear(&mut self, kept: &mut Vec<Op>, write: (usize, u64, &[u8]), sector: u64) {
        let (inode, offset, bytes) = write;
        let mut start = 0usize;
        while start < bytes.len() {
            let at = offset + start as u64;
            let to_border = usize::try_from(sector - at % sector).unwrap_or(0);
            let end = (start + to_border).min(bytes.len());
            if self.below(2) == 0 {
                kept.push(Op::Write(inode, at, bytes[start..end].into()));
            }
            start = end;
        }
    }

    /// The files by name after the cut.
    fn finish(mut self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut inodes: Vec<usize> = self.pending.keys().copied().collect();
        inodes.sort_unstable();
        for inode in inodes {
            self.gamble(inode);
        }
        let mut names = std::mem::take(&mut self.pending_names);
        let keep = match self.seed {
            0 => 0,
            1 => names.len(),
            _ => usize::try_from(self.below(names.len() as u64 + 1)).unwrap_or(0),
        };
        names.truncate(keep);
        self.apply_names(names);
        let content = |inode| self.durable.get(&inode).cloned().unwrap_or_default();
        self.names
            .iter()
            .map(|(p, i)| (p.clone(), content(*i)))
            .collect()
    }
}

fn is_in(op: &Op, dir: &Path) -> bool {
    match op {
        Op::Create(path, _) | Op::Rename(_, path) | Op::Remove(path) => path.parent() == Some(dir),
        _ => false,
    }
}

fn apply(file: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write(_, offset, bytes) => apply_write(file, *offset, bytes),
        Op::SetLen(_, len) => file.resize(usize::try_from(*len).unwrap_or(0), 0),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_synced_survives() {
        let disk = SimDisk::new();
        let dir = Path::new("/d");
        let file = disk.open(&dir.join("a"), OpenMode::New).unwrap();
        file.write_at(0, &[IoSlice::new(b"one")]).unwrap();
        file.sync().unwrap();
        let unnamed = disk.after_power_cut(disk.calls(), 0);
        assert!(unnamed.files().is_empty());
        disk.sync_dir(dir).unwrap();
        file.write_at(3, &[IoSlice::new(b"two")]).unwrap();
        let now = disk.calls();
        assert_eq!(disk.after_power_cut(now, 0).files()[&dir.join("a")], b"one");
        assert_eq!(
            disk.after_power_cut(now, 1).files()[&dir.join("a")],
            b"onetwo"
        );
        file.sync().unwrap();
        assert_eq!(
            disk.after_power_cut(now + 1, 0).files()[&dir.join("a")],
            b"onetwo"
        );
    }

    #[test]
    fn faults_come_when_planned() {
        let disk = SimDisk::new();
        let file = disk.open(Path::new("/a"), OpenMode::New).unwrap();
        let plan = |fault, for_ever| Plan {
            at: 0,
            fault,
            for_ever,
        };
        disk.set_plan(Some(plan(Fault::FailedSync, false)));
        file.write_at(0, &[IoSlice::new(b"x")]).unwrap();
        assert!(file.sync().is_err());
        assert!(file.sync().is_ok());
        disk.set_plan(Some(plan(Fault::Enospc, true)));
        assert!(file.write_at(0, &[IoSlice::new(b"x")]).is_err());
        assert!(file.write_at(0, &[IoSlice::new(b"x")]).is_err());
        assert_eq!(disk.free_bytes(Path::new("/")).unwrap(), 0);
        disk.set_plan(None);
        assert!(file.write_at(0, &[IoSlice::new(b"x")]).is_ok());
    }
}
