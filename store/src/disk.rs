//! What the engine asks of a disk: the one seam under the log and the index, where tests inject
//! faults.
//!
//! [`RealDisk`] is the file system, [`SimDisk`] a disk in memory that loses power and fails on
//! demand, [`Lazy`] a real disk behind a write cache that dies with the process, [`Held`] one on which
//! syncing waits.
//!
//! What a caller may count on: written bytes survive a power cut once [`DiskFile::sync`] returned;
//! names survive once [`Disk::sync_dir`] returned. After an error any part of the call may have
//! happened.

mod held;
mod lazy;
mod real;
mod sim;

use std::{
    fmt,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

pub use held::{Held, Hold};
pub use lazy::{Broken, Lazy};
pub use real::RealDisk;
pub use sim::{Fault, Plan, SimDisk};

/// A place for files.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// Creates a directory and those above it; it may exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Opens a file for reading and writing.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Renames a file, replacing what has the new name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, sorted; names that are not UTF-8 are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes the names of a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// How much may still be written below `dir`, bytes.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64>;
    /// Takes the exclusive lock that the file at `path` stands for, or says who has it.
    fn lock(&self, path: &Path) -> io::Result<Result<Lock, Option<u32>>>;
}

/// An open file.
pub trait DiskFile: fmt::Debug + Send + Sync + 'static {
    /// Its length, bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Fills `into` from `offset`; an end of file before it is full is an error.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes all parts, one after another, from `offset`, growing the file if need be.
    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()>;
    /// Cuts or grows the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes its bytes and its length durable.
    fn sync(&self) -> io::Result<()>;
}

/// Whether a file that is opened exists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// It exists.
    Existing,
    /// It does not exist, and is created.
    New,
    /// It may exist.
    Either,
}

/// A held lock; dropping it releases it.
pub struct Lock(
    #[expect(dead_code, reason = "held for its drop")] Box<dyn std::any::Any + Send + Sync>,
);

impl fmt::Debug for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lock")
    }
}
