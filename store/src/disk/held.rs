//! A disk on which syncing waits for as long as somebody wants: what the engine does meanwhile can be
//! looked at without a race.

use std::{
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

use parking_lot::{Condvar, Mutex};

use super::{Disk, DiskFile, Lock, OpenMode};

/// A disk that keeps files of one kind from being synced while somebody has a [`Hold`].
#[derive(Clone, Debug)]
pub struct Held<D> {
    /// The disk itself.
    pub inner: D,
    extension: &'static str,
    gate: Arc<Gate>,
}

/// Where syncs wait.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_held: bool,
    /// How many syncs wait.
    waiting: u32,
    /// How many of them may go on.
    let_on: u32,
}

impl Gate {
    fn pass(&self) {
        let mut state = self.state.lock();
        if !state.is_held {
            return;
        }
        state.waiting += 1;
        self.changed.notify_all();
        self.changed
            .wait_while(&mut state, |it| it.is_held && it.let_on == 0);
        state.waiting -= 1;
        state.let_on = state.let_on.saturating_sub(1);
        self.changed.notify_all();
    }

    fn set_held(&self, is_held: bool) {
        let mut state = self.state.lock();
        state.is_held = is_held;
        state.let_on = 0;
        self.changed.notify_all();
    }
}

/// Holds a disk until it is dropped.
#[derive(Debug)]
pub struct Hold(Arc<Gate>);

impl Hold {
    /// Blocks until a sync waits.
    pub fn wait_for_one(&self) {
        let mut state = self.0.state.lock();
        self.0
            .changed
            .wait_while(&mut state, |it| it.waiting <= it.let_on);
    }

    /// Lets the next sync go on, and no further one.
    pub fn let_one(&self) {
        self.0.state.lock().let_on += 1;
        self.0.changed.notify_all();
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.set_held(false);
    }
}

impl<D: Disk> Held<D> {
    /// Over `inner`; the files with this extension can be held.
    #[must_use]
    pub fn new(inner: D, extension: &'static str) -> Self {
        Self {
            inner,
            extension,
            gate: Arc::default(),
        }
    }

    /// Makes syncs wait from now on.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.gate.set_held(true);
        Hold(Arc::clone(&self.gate))
    }
}

#[derive(Debug)]
struct HeldFile {
    inner: Arc<dyn DiskFile>,
    gate: Option<Arc<Gate>>,
}

impl<D: Disk> Disk for Held<D> {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.create_dir(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let can_be_held = path.extension().is_some_and(|it| it == self.extension);
        Ok(Arc::new(HeldFile {
            inner: self.inner.open(path, mode)?,
            gate: can_be_held.then(|| Arc::clone(&self.gate)),
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

impl DiskFile for HeldFile {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.inner.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        self.inner.write_at(offset, parts)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.inner.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(gate) = &self.gate {
            gate.pass();
        }
        self.inner.sync()
    }
}
