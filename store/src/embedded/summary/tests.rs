//! Summaries of segments, and what becomes of damaged ones.

use std::{path::Path, sync::Arc};

use bytes::Bytes;
use mail::id::AccountId;

use super::*;
use crate::{
    Options,
    disk::{Disk, Fault, Plan, SimDisk},
    embedded::{
        core::{
            Core,
            tests::{MAILBOX, account, body, commit, mailbox, message, options, packed, text},
        },
        record::{BodyData, Record},
        recover,
    },
};

const DIR: &str = "/store";

fn opened(disk: &SimDisk, options: &Options) -> Arc<Core> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let clock = Arc::new(crate::clock::ManualClock::new(1_700_000_000));
    let opened = Core::open(&disk, Path::new(DIR), options, clock).unwrap();
    opened.core
}

/// A store of some segments, with a body of which a piece stands in each of two, and the sealed
/// ones.
fn filled(disk: &SimDisk) -> (Segments, Vec<Extent>) {
    let core = opened(disk, &options());
    commit(&core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    let deliver = |n: u32| {
        let text = text(n.into());
        let row = message(n, u64::from(n) + 1, n.into(), text.len());
        let body = body(n.into(), packed(&text), &text);
        commit(
            &core,
            vec![body, Record::Messages(AccountId::MIN, MAILBOX, vec![row])],
        )
        .unwrap();
    };
    (1..=120).for_each(deliver);
    let large = noise(3 << 20);
    let id = mail::id::BodyId::new(500).unwrap();
    let mut pieces = large
        .chunks(1 << 20)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)));
    core.body_frames(core.epoch(), id, &mut pieces).unwrap();
    let row = message(500, 501, 500, large.len());
    let body = body(500, BodyData::Before, &large);
    commit(
        &core,
        vec![body, Record::Messages(AccountId::MIN, MAILBOX, vec![row])],
    )
    .unwrap();
    (501..=520).for_each(deliver);
    core.close();
    sealed(disk)
}

fn noise(len: usize) -> Vec<u8> {
    let mut random = 7u64;
    let mut next = || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random.to_be_bytes()[0]
    };
    (0..len).map(|_| next()).collect()
}

fn sealed(disk: &SimDisk) -> (Segments, Vec<Extent>) {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let segments = Segments::new(shared, &Path::new(DIR).join("log"));
    let newest = *segments.list().unwrap().last().unwrap();
    let salt = segments.start(newest).unwrap().unwrap().salt;
    let len = segments.file(newest).unwrap().len().unwrap();
    let end = Position {
        segment: newest,
        offset: len,
    };
    let mut links = recover::valid(&segments, end).unwrap();
    links.pop();
    let extent = |(segment, bytes)| Extent {
        salt,
        segment,
        bytes,
    };
    (segments, links.into_iter().map(extent).collect())
}

fn remove_all(disk: &SimDisk) {
    for path in disk.files().keys() {
        if path.extension().is_some_and(|extension| extension == "sum") {
            disk.put(path, None);
        }
    }
}

#[test]
fn a_summary_says_what_its_segment_says() {
    let disk = SimDisk::new();
    let (segments, extents) = filled(&disk);
    assert!(extents.len() > 2, "{extents:?}");
    let mut messages = 0;
    for extent in &extents {
        let summary = ensure(&segments, extent).unwrap();
        let in_memory = in_memory(&segments, extent, 0, After::Log).unwrap();
        assert_eq!(summary.directory, in_memory.summary.directory);
        for at in &summary.directory.blocks {
            let rows = |part: &Applied| -> u32 {
                let rows = part.records.iter().map(|record| match record {
                    Record::Messages(_, _, rows) => u32::try_from(rows.len()).unwrap(),
                    _ => 0,
                });
                rows.sum()
            };
            let parts = summary.block(at).unwrap();
            assert!(parts.is_sorted_by_key(|part| part.lsn));
            assert_eq!(parts.iter().map(rows).sum::<u32>(), at.messages);
            messages += at.messages;
        }
        assert_eq!(check(&segments, extent).unwrap(), (Vec::new(), None));
    }
    assert!((121..=141).contains(&messages), "{messages}");
    let is_loose = |extent: &Extent| {
        let summary = open(&segments, extent).unwrap().unwrap();
        !summary.directory.loose.is_empty()
    };
    assert!(extents.iter().any(is_loose));
}

#[test]
fn one_that_is_damaged_or_missing_is_made_again() {
    let disk = SimDisk::new();
    let (segments, extents) = filled(&disk);
    remove_all(&disk);
    let extent = &extents[0];
    let path = path(&segments, extent.segment);
    let directory = ensure(&segments, extent).unwrap().directory;
    let whole = disk.files().remove(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 60 + 1) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        disk.put(&path, Some(bytes));
        let (segments, _) = sealed(&disk);
        let (spoilt, line) = check(&segments, extent).unwrap();
        assert_eq!(spoilt, Vec::new());
        // A block that is damaged is told of; without a directory it is as if there were none.
        let is_block = (at as u64) < directory.blocks.iter().map(|b| u64::from(b.stored)).sum();
        assert_eq!(line.is_some(), is_block, "byte {at}");
        assert_eq!(disk.files()[&path], whole, "byte {at}");
    }
    // Of another end of the segment, or of another store, it is none.
    let other = Extent {
        bytes: extent.bytes - 1,
        ..*extent
    };
    assert!(open(&segments, &other).unwrap().is_none());
    remove(&segments, extent.segment).unwrap();
    remove(&segments, extent.segment).unwrap();
    assert!(open(&segments, extent).unwrap().is_none());
}

#[test]
fn one_that_cannot_be_written_leaves_nothing_behind() {
    let disk = SimDisk::new();
    let (_, extents) = filled(&disk);
    remove_all(&disk);
    for fault in [Fault::Enospc, Fault::ShortWrite, Fault::FailedSync] {
        let (segments, _) = sealed(&disk);
        disk.set_plan(Some(Plan {
            at: disk.calls() + 1,
            fault,
            for_ever: true,
        }));
        assert!(ensure(&segments, &extents[0]).is_err(), "{fault:?}");
        disk.set_plan(None);
        assert!(open(&segments, &extents[0]).unwrap().is_none(), "{fault:?}");
        ensure(&segments, &extents[0]).unwrap();
        remove_all(&disk);
    }
}
