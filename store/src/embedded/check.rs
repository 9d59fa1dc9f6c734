//! Comparing log and index with themselves and with each other.
//!
//! Every frame of the log is read, every body that a message refers to is read and compared with
//! its digest, and references are counted. Whether mailboxes agree with themselves, and with what
//! sessions are shown, is looked at elsewhere.

use std::collections::BTreeSet;

use mail::id::BodyId;

use super::{
    core::{Core, Shared},
    quarantine::{self, Spoilt},
    recover,
    segment::{Item, Scanner, label, unavailable},
    summary::{self, Extent},
};
use crate::{Error, Result};

/// Bytes of a body read at once.
const READ_BYTES: usize = 1 << 20;

/// Adds a line per inconsistency.
pub(crate) fn check(core: &Core, shared: &Shared, report: &mut Vec<String>) -> Result<()> {
    let _same = shared.segments.exchanging.lock();
    frames(shared, report)?;
    taken(shared, report)?;
    let references = shared.with_index(|index| {
        shared.gate.check_all()?;
        index.references()
    })?;
    for (body, (noted, counted)) in references {
        if noted != counted {
            report.push(format!(
                "body {body}: {counted} messages refer to it, {noted} are noted"
            ));
        }
        if counted > 0
            && let Some(id) = BodyId::new(body)
            && let Err(error) = whole(core, id)
        {
            report.push(format!("body {body}: {error}"));
        }
    }
    Ok(())
}

/// What bodies take in segments is as it was counted.
fn taken(shared: &Shared, report: &mut Vec<String>) -> Result<()> {
    let (noted, counted) = shared.with_index(|index| {
        shared.gate.check_all()?;
        index.both_taken()
    })?;
    for file in noted.keys().chain(counted.keys()).collect::<BTreeSet<_>>() {
        let (noted, counted) = (noted.get(file), counted.get(file));
        if noted != counted {
            let segment = label(*file);
            report.push(format!(
                "segment {segment}: bodies take {counted:?}, {noted:?} is noted"
            ));
        }
    }
    Ok(())
}

/// Every byte of the log that counts is in a valid frame, and summaries say what segments say.
fn frames(shared: &Shared, report: &mut Vec<String>) -> Result<()> {
    let mut links = recover::valid(&shared.segments, shared.backlog.valid())?;
    let newest = links.pop();
    let mut all = Vec::new();
    for (segment, bytes) in links {
        let extent = Extent {
            salt: shared.salt,
            segment,
            bytes,
        };
        let (spoilt, line) = summary::check(&shared.segments, &extent)?;
        all.extend(spoilt);
        report.extend(line);
    }
    if let Some((segment, bytes)) = newest {
        all.extend(spoilt(shared, segment, bytes)?);
    }
    for spoilt in &all {
        let line = quarantine::keep(&shared.segments, spoilt);
        // What was found when the store was opened is told once.
        if !report.contains(&line) {
            report.push(line);
        }
    }
    Ok(())
}

/// What of the newest segment cannot be read.
fn spoilt(shared: &Shared, segment: u32, bytes: u64) -> Result<Vec<Spoilt>> {
    let reading = |error: std::io::Error| unavailable("reading the log", &error);
    let file = shared.segments.file(segment).map_err(reading)?;
    let (mut scanner, mut after) = (Scanner::new(file, shared.salt(), 0, bytes), 0);
    let mut all = Vec::new();
    while let Some(item) = scanner.next().map_err(reading)? {
        match item {
            Item::Frame { header, .. } => after = header.lsn,
            Item::Bad { from, to, .. } => all.push(Spoilt {
                segment,
                from,
                to,
                after,
            }),
        }
    }
    Ok(all)
}

/// Whether a body is what it was when it was stored; its rest is looked at as the body it is.
fn whole(core: &Core, id: BodyId) -> Result<()> {
    let place = core.place(id)?;
    let own = place.own_bytes();
    let rest = match place.rest {
        Some(rest) => core.place(rest)?.size,
        None => 0,
    };
    if own + rest != place.size {
        let size = place.size;
        return Err(Error::Damaged(format!("{own} and {rest} bytes of {size}")));
    }
    let (mut hasher, mut at) = (blake3::Hasher::new(), 0u64);
    while at < own {
        let piece = usize::try_from(own - at).unwrap_or(READ_BYTES);
        let bytes = core.read_body(id, at, piece.min(READ_BYTES))?;
        at += bytes.len() as u64;
        hasher.update(&bytes);
    }
    if *hasher.finalize().as_bytes() == place.digest {
        return Ok(());
    }
    Err(Error::Damaged("its digest is another".into()))
}
