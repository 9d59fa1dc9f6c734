//! The machine's file system.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    sync::Arc,
};

use rustix::fs::{FlockOperation, flock, statvfs};

use super::{Disk, DiskFile, Lock, OpenMode};

/// Parts per system call: what Linux takes at once.
const PARTS_MAX: usize = 1_024;

/// The machine's file system.
#[derive(Clone, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile(File);

impl Disk for RealDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path)
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600);
        match mode {
            OpenMode::Existing => {}
            OpenMode::New => {
                options.create_new(true);
            }
            OpenMode::Either => {
                options.create(true).truncate(false);
            }
        }
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let fs = statvfs(dir)?;
        Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    fn lock(&self, path: &Path) -> io::Result<Result<Lock, Option<u32>>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.mode(0o600).open(path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let holder = std::fs::read_to_string(path).unwrap_or_default();
                return Ok(Err(holder.trim().parse().ok()));
            }
            Err(error) => return Err(error.into()),
        }
        file.set_len(0)?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Ok(Lock(Box::new(file))))
    }
}

impl DiskFile for RealFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(into, offset)
    }

    fn write_at(&self, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let mut at = offset;
        for parts in parts.chunks(PARTS_MAX) {
            at = write_parts(&self.0, at, parts)?;
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Writes the parts with one call; what a short write left is written part by part, so that the
/// reason of the shortness becomes the error. Returns the offset behind them.
fn write_parts(file: &File, offset: u64, parts: &[IoSlice<'_>]) -> io::Result<u64> {
    let total: u64 = parts.iter().map(|part| part.len() as u64).sum();
    let mut done = match rustix::io::pwritev(file, parts, offset) {
        Ok(written) => written as u64,
        Err(rustix::io::Errno::INTR) => 0,
        Err(error) => return Err(error.into()),
    };
    let mut start = 0u64;
    for part in parts {
        let end = start + part.len() as u64;
        if done < end {
            let from = usize::try_from(done - start).unwrap_or(0);
            file.write_all_at(&part[from..], offset + done)?;
            done = end;
        }
        start = end;
    }
    Ok(offset + total)
}
