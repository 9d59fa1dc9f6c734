//! Bytes of the log that cannot be read, kept aside: nothing is silently dropped (design.md §2,
//! "Recovery").
//!
//! Each stretch of damaged bytes is copied to a file of its own in `quarantine/`, named after where
//! it stood. It stays in its segment too; the copy is there when the segment is rewritten.

use std::{
    fmt,
    io::{self, IoSlice},
    path::PathBuf,
};

use super::{
    frame::Lsn,
    segment::{Segments, label, number_of},
};
use crate::disk::OpenMode;

/// Bytes copied at once.
const COPY_BYTES: u64 = 1 << 20;

/// A stretch of the log that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Spoilt {
    /// Which segment.
    pub(crate) segment: u32,
    /// The first byte …
    pub(crate) from: u64,
    /// … and the one behind the last.
    pub(crate) to: u64,
    /// The last frame in front of it.
    pub(crate) after: Lsn,
}

impl fmt::Display for Spoilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            segment,
            from,
            to,
            after,
        } = self;
        write!(
            f,
            "segment {}, bytes {from} to {to}, behind frame {after}: cannot be read",
            label(*segment)
        )
    }
}

/// Where the copies are.
fn dir(segments: &Segments) -> PathBuf {
    segments.dir.with_file_name("quarantine")
}

/// Copies damaged bytes aside, unless they are there already; says what they are and where the
/// copy is. A disk that refuses the copy does not keep the store from opening.
pub(crate) fn keep(segments: &Segments, spoilt: &Spoilt) -> String {
    let Spoilt {
        segment, from, to, ..
    } = spoilt;
    let name = match number_of(*segment) == *segment {
        true => format!("{segment:08}-{from}-{to}.bytes"),
        false => format!("{}-{from}-{to}.bytes", label(*segment)),
    };
    match copy(segments, spoilt, &name) {
        Ok(()) => format!("{spoilt}; kept as quarantine/{name}"),
        Err(error) => {
            tracing::warn!(%error, %name, "damaged bytes could not be copied to quarantine");
            format!("{spoilt}; left where it is")
        }
    }
}

fn copy(segments: &Segments, spoilt: &Spoilt, name: &str) -> io::Result<()> {
    let (disk, dir) = (&segments.disk, dir(segments));
    disk.create_dir(&dir)?;
    let len = spoilt.to - spoilt.from;
    let file = disk.open(&dir.join(name), OpenMode::Either)?;
    if file.len()? == len {
        return Ok(());
    }
    let source = segments.file(spoilt.segment)?;
    let mut at = 0;
    while at < len {
        let step = COPY_BYTES.min(len - at);
        let mut bytes = vec![0; usize::try_from(step).unwrap_or(0)];
        source.read_at(spoilt.from + at, &mut bytes)?;
        file.write_at(at, &[IoSlice::new(&bytes)])?;
        at += step;
    }
    file.sync()?;
    disk.sync_dir(&dir)?;
    if let Some(store) = dir.parent() {
        disk.sync_dir(store)?;
    }
    Ok(())
}
