//! Space comes back, and nothing that is needed goes.

use std::{io, path::Path, sync::Arc};

use bytes::Bytes;
use mail::id::{MailboxId, ModSeq};

use super::*;
use crate::{
    Options,
    clock::ManualClock,
    disk::{Disk, DiskFile, Lock, OpenMode, SimDisk},
    embedded::{
        core::{
            Core,
            tests::{
                ACCOUNT, MAILBOX, account, account_of, body, commit, expunged, mailbox, mailbox_of,
                message, options, packed, segments_of, summaries_of,
            },
        },
        record::{BodyData, Purge, Record},
        segment::Segments,
    },
};

const DIR: &str = "/store";
const INDEX: &str = "/store/index/index.redb";
/// When the tests' transactions take place.
const NOW: i64 = 1_700_000_000;
const WINDOW: i64 = 1_000;

struct Place {
    disk: SimDisk,
    clock: Arc<ManualClock>,
    options: Options,
}

impl Place {
    fn new() -> Self {
        Self {
            disk: SimDisk::new(),
            clock: Arc::new(ManualClock::new(NOW)),
            options: Options {
                undelete_secs: WINDOW.cast_unsigned(),
                segment_bytes: 64 << 10,
                ..options()
            },
        }
    }

    fn open(&self) -> Arc<Core> {
        let (core, damage) = self.open_damaged();
        assert_eq!(damage, Vec::<String>::new());
        core
    }

    fn open_damaged(&self) -> (Arc<Core>, Vec<String>) {
        let disk: Arc<dyn Disk> = Arc::new(self.disk.clone());
        let opened = Core::open(&disk, Path::new(DIR), &self.options, self.clock.clone());
        let opened = opened.unwrap();
        opened.core.shared.gate.pass_all().unwrap();
        (opened.core, opened.damage)
    }

    fn log_bytes(&self) -> usize {
        segments_of(&self.disk).iter().map(|(_, b)| b.len()).sum()
    }

    /// Opens the store as it is, without its index, and without summaries too.
    fn each_way(&self, look: impl Fn(&Core)) {
        for way in 0..3 {
            if way == 2 {
                summaries_of(&self.disk)
                    .iter()
                    .for_each(|path| self.disk.put(path, None));
            }
            if way > 0 {
                self.disk.put(Path::new(INDEX), None);
            }
            let core = self.open();
            look(&core);
            sound(&core);
            core.close();
        }
    }
}

fn sound(core: &Core) {
    let mut report = Vec::new();
    core.check(&mut report).unwrap();
    assert_eq!(report, Vec::<String>::new());
}

/// About 2 KB that do not compress.
fn noise(n: u64) -> Bytes {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&n.to_le_bytes());
    let mut bytes = vec![0; 2_000 + usize::try_from(n % 100).unwrap()];
    hasher.finalize_xof().fill(&mut bytes);
    bytes.into()
}

fn delivery(uid: u32) -> Vec<Record> {
    delivery_to(ACCOUNT, MAILBOX, uid)
}

fn delivery_to(account: mail::id::AccountId, to: MailboxId, uid: u32) -> Vec<Record> {
    let text = noise(uid.into());
    let row = message(uid, u64::from(uid) + 1, uid.into(), text.len());
    vec![
        body(uid.into(), packed(&text), &text),
        Record::Messages(account, to, vec![row]),
    ]
}

fn id(n: u64) -> BodyId {
    BodyId::new(n).unwrap()
}

/// 300 messages, of which the first 250 are deleted, but for every tenth.
fn fill(core: &Core) {
    commit(core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    for uid in 1..=300 {
        commit(core, delivery(uid)).unwrap();
    }
    for ten in 0..25 {
        let records = vec![expunged(ten * 10 + 1, ten * 10 + 9, 1_000 + u64::from(ten))];
        commit(core, records).unwrap();
    }
}

fn look(core: &Core) {
    let state = core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary, state.recount());
    assert_eq!(state.summary.messages, 75);
    assert_eq!(state.summary.uid_next.get(), 301);
    assert_eq!(state.summary.highest_mod_seq.get(), 1_024);
    for (uid, row) in state.rows() {
        let bytes = core.read_body(row.body, 0, 1 << 20).unwrap();
        assert_eq!(bytes, noise(uid.get().into()));
        assert!(core.fixed(&[row.body]).is_ok());
    }
    let since = core.history(ACCOUNT, MAILBOX, ModSeq::MIN).unwrap();
    assert_eq!(since.unwrap().count(), 225);
}

#[test]
fn deleted_mail_stays_through_its_window_and_then_gives_its_space_back() {
    let place = Place::new();
    let core = place.open();
    fill(&core);
    let before = place.log_bytes();
    place.clock.set(NOW + WINDOW - 1);
    assert_eq!(core.compact().unwrap(), Compacted::default());
    assert_eq!(core.read_body(id(1), 0, 1 << 20).unwrap(), noise(1));
    let room = core.room();
    assert!(
        room.waiting_bytes > 450_000 && room.dead_bytes == 0,
        "{room:?}"
    );
    place.clock.set(NOW + WINDOW);
    core.compact().unwrap();
    let after = place.log_bytes();
    assert!(before - after > 450_000, "{before} and {after}");
    assert_eq!(core.room().dead_bytes, 0);
    assert!(core.read_body(id(1), 0, 10).is_err());
    look(&core);
    sound(&core);
    // There is nothing more to do, and what comes after is as ever.
    assert_eq!(core.compact().unwrap(), Compacted::default());
    core.close();
    place.each_way(look);
    let rewritten = place.open().shared.segments.rewritten();
    assert!(rewritten.len() >= 8, "{rewritten:?}");
}

/// RFC 7162 §5.3: what is remembered of expunges goes with the mailbox.
#[test]
fn the_history_goes_with_its_mailbox() {
    let place = Place::new();
    let core = place.open();
    fill(&core);
    let remembered = |core: &Core| {
        core.shared.backlog.wait_published().unwrap();
        let read = |index: &Index| index.remembered(MAILBOX, ModSeq::MIN);
        core.shared.with_index(read).unwrap().count()
    };
    assert_eq!(remembered(&core), 225);
    let other = MailboxId::new(9).unwrap();
    commit(&core, vec![mailbox(other, "Other")]).unwrap();
    commit(&core, vec![Record::MailboxDeleted(ACCOUNT, MAILBOX)]).unwrap();
    core.compact().unwrap();
    assert_eq!(remembered(&core), 0);
    sound(&core);
    core.close();
}

/// A disk on which segments were rewritten; whoever asks for an old file finds out just then.
#[derive(Debug)]
struct Exchanging {
    disk: SimDisk,
    segments: std::sync::OnceLock<std::sync::Weak<Segments>>,
}

impl Disk for Exchanging {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let opened = self.disk.open(path, mode);
        let segments = self.segments.get().and_then(std::sync::Weak::upgrade);
        if let (Err(_), Some(segments)) = (&opened, segments) {
            let rewritten = segments
                .list()?
                .into_iter()
                .filter(|it| number_of(*it) != *it);
            let mut stands = rewritten.filter(|it| segments.path(number_of(*it)) == path);
            stands.by_ref().for_each(|file| segments.stand(file));
        }
        opened
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.disk.create_dir(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        self.disk.free_bytes(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<std::result::Result<Lock, Option<u32>>> {
        self.disk.lock(path)
    }
}

#[test]
fn a_segment_that_is_rewritten_while_the_log_is_looked_at_is_not_missing() {
    let place = Place::new();
    let core = place.open();
    fill(&core);
    place.clock.set(NOW + WINDOW);
    core.compact().unwrap();
    let (valid, dir) = (core.shared.backlog.valid(), &core.shared.segments.dir);
    let links = recover::valid(&core.shared.segments, valid).unwrap();
    let disk = Arc::new(Exchanging {
        disk: place.disk.clone(),
        segments: std::sync::OnceLock::new(),
    });
    // It does not know yet that any was rewritten.
    let late = Arc::new(Segments::new(Arc::clone(&disk) as _, dir));
    disk.segments.set(Arc::downgrade(&late)).unwrap();
    let mut damage = Vec::new();
    let found = recover::valid_links(&late, valid, &mut damage).unwrap();
    assert_eq!((found, damage), (links, Vec::<String>::new()));
    assert!(late.rewritten().len() >= 8);
}

#[test]
fn a_segment_is_rewritten_again_and_numbers_do_not_go_back() {
    let place = Place::new();
    let core = place.open();
    fill(&core);
    place.clock.set(NOW + WINDOW);
    core.compact().unwrap();
    commit(&core, vec![expunged(1, 300, 2_000)]).unwrap();
    place.clock.set(NOW + 2 * WINDOW);
    core.compact().unwrap();
    assert!(place.log_bytes() < 60_000, "{}", place.log_bytes());
    let rewritten = core.shared.segments.rewritten();
    assert!(rewritten.values().any(|file| label(*file).ends_with(".2")));
    core.close();
    place.each_way(|core| {
        let state = core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
        assert_eq!(state.summary.messages, 0);
        assert_eq!(state.summary.uid_next.get(), 301);
        assert_eq!(state.summary.highest_mod_seq.get(), 2_000);
        let highest = core.shared.with_index(|index| Ok(index.meta().highest));
        assert_eq!(highest.unwrap().body, 300);
    });
}

/// A message whose end another body has.
fn headed(n: u64, rest: u64, account: mail::id::AccountId, to: MailboxId) -> Vec<Record> {
    let head = noise(n).slice(..100);
    let mut record = body(n, packed(&head), &head);
    let len = 100 + noise(rest).len();
    if let Record::Body(body) = &mut record {
        (body.rest, body.size) = (Some(id(rest)), len as u64);
    }
    let uid = u32::try_from(n).unwrap();
    vec![
        record,
        Record::Messages(account, to, vec![message(uid, n + 1, n, len)]),
    ]
}

#[test]
fn what_several_share_stays_while_one_has_it_or_is_about_to() {
    let place = Place::new();
    let core = place.open();
    let (other, theirs) = (
        mail::id::AccountId::new(2).unwrap(),
        MailboxId::new(2).unwrap(),
    );
    let records = vec![
        account(),
        mailbox(MAILBOX, "INBOX"),
        account_of(other),
        mailbox_of(other, theirs, "INBOX"),
    ];
    commit(&core, records).unwrap();
    let shared = noise(50);
    let pin = core.pin(id(50));
    let mut first = vec![body(50, packed(&shared), &shared)];
    first.extend(headed(51, 50, ACCOUNT, MAILBOX));
    commit(&core, first).unwrap();
    commit(&core, vec![expunged(51, 51, 60)]).unwrap();
    place.clock.set(NOW + WINDOW);
    // The first has lost it, the second has it not yet.
    core.compact().unwrap();
    assert_eq!(core.read_body(id(50), 0, 1 << 20).unwrap(), shared);
    commit(&core, headed(52, 50, other, theirs)).unwrap();
    drop(pin);
    let whole = [noise(52).slice(..100), shared].concat();
    place.clock.set(NOW + 3 * WINDOW);
    core.compact().unwrap();
    assert_eq!(core.read_body(id(52), 0, 1 << 20).unwrap(), whole);
    sound(&core);
    commit(&core, vec![Record::AccountRemoved(ACCOUNT, Purge::Now)]).unwrap();
    core.compact().unwrap();
    core.close();
    place.each_way(|core| {
        assert_eq!(core.read_body(id(52), 0, 1 << 20).unwrap(), whole);
    });
}

/// What nothing refers to because the log has lost what did is not deleted mail.
#[test]
fn nothing_goes_that_a_lost_segment_may_refer_to() {
    let place = Place::new();
    let core = place.open();
    fill(&core);
    core.close();
    let (path, first) = segments_of(&place.disk).remove(0);
    let summary = summaries_of(&place.disk).remove(0);
    for lost in [path.as_path(), summary.as_path(), Path::new(INDEX)] {
        place.disk.put(lost, None);
    }
    let (core, damage) = place.open_damaged();
    assert!(damage[0].contains("segment 1 is missing"), "{damage:?}");
    place.clock.set(NOW + 10 * WINDOW);
    assert_eq!(core.compact().unwrap(), Compacted::default());
    core.close();
    place.disk.put(&path, Some(first));
    place.disk.put(Path::new(INDEX), None);
    let core = place.open();
    look(&core);
    assert_eq!(core.read_body(id(1), 0, 1 << 20).unwrap(), noise(1));
    // They were deleted once more, as far as is known, when the index was made again.
    let before = place.log_bytes();
    place.clock.set(NOW + 11 * WINDOW);
    core.compact().unwrap();
    assert!(
        before - place.log_bytes() > 300_000,
        "{before} and {}",
        place.log_bytes()
    );
    look(&core);
}

#[test]
fn a_purged_account_gives_its_space_back_at_once() {
    let place = Place::new();
    let core = place.open();
    let other = mail::id::AccountId::new(2).unwrap();
    let theirs = MailboxId::new(2).unwrap();
    commit(&core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    commit(
        &core,
        vec![account_of(other), mailbox_of(other, theirs, "x")],
    )
    .unwrap();
    for uid in 1..=100 {
        commit(&core, delivery(uid)).unwrap();
        commit(&core, delivery_to(other, theirs, 1_000 + uid)).unwrap();
    }
    commit(&core, vec![Record::AccountRemoved(ACCOUNT, Purge::Now)]).unwrap();
    let before = place.log_bytes();
    core.compact().unwrap();
    let after = place.log_bytes();
    assert!(before - after > 195_000, "{before} and {after}");
    commit(
        &core,
        vec![Record::AccountRemoved(other, Purge::AfterWindow)],
    )
    .unwrap();
    assert_eq!(core.compact().unwrap(), Compacted::default());
    core.close();
    place.each_way(|core| {
        assert_eq!(core.compact().unwrap(), Compacted::default());
        assert_eq!(core.read_body(id(1_001), 0, 1 << 20).unwrap(), noise(1_001));
    });
    place.clock.set(NOW + WINDOW);
    let core = place.open();
    // The thread may have done it by itself.
    core.compact().unwrap();
    assert!(place.log_bytes() < before / 10);
}

#[test]
fn long_bodies_move_and_go_piece_by_piece() {
    let place = Place::new();
    let core = place.open();
    commit(&core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    let text = |n: u64| -> Vec<u8> {
        let noise: Vec<Bytes> = (0..1_500).map(|k| noise(n * 10_000 + k)).collect();
        noise.concat()
    };
    for uid in 1..=6u32 {
        let text = text(uid.into());
        // An attempt that came to nothing.
        let some = [Ok(Bytes::copy_from_slice(&text[..1_200_000]))];
        let other = id(100 + u64::from(uid));
        core.body_frames(core.epoch(), other, &mut some.into_iter())
            .unwrap();
        core.drop_body(other);
        let pieces = text.chunks(90_000).map(|p| Ok(Bytes::copy_from_slice(p)));
        core.body_frames(core.epoch(), id(uid.into()), &mut pieces.into_iter())
            .unwrap();
        let row = message(uid, u64::from(uid) + 1, uid.into(), text.len());
        let records = vec![
            body(uid.into(), BodyData::Before, &text),
            Record::Messages(ACCOUNT, MAILBOX, vec![row]),
        ];
        commit(&core, records).unwrap();
    }
    commit(&core, vec![expunged(2, 4, 100)]).unwrap();
    place.clock.set(NOW + WINDOW);
    let before = place.log_bytes();
    core.compact().unwrap();
    let after = place.log_bytes();
    assert!(before - after >= 3 * 3_000_000, "{before} and {after}");
    let look = |core: &Core| {
        for uid in [1, 5, 6] {
            assert!(core.read_body(id(uid), 0, usize::MAX).unwrap() == text(uid));
        }
    };
    look(&core);
    sound(&core);
    core.close();
    place.each_way(look);
}

#[test]
fn the_window_gives_way_when_space_is_short_the_oldest_first() {
    let place = Place {
        options: Options {
            reserve_bytes: 1 << 20,
            ..Place::new().options
        },
        ..Place::new()
    };
    let core = place.open();
    fill(&core);
    place.clock.set(NOW + 10);
    let short = (1 << 20) + (64 << 10) - 100_000;
    place.disk.set_free_bytes(Some(short));
    core.compact().unwrap();
    let room = core.room();
    assert!(room.waiting_bytes == 0, "{room:?}");
    look(&core);
    sound(&core);
    core.close();
    place.each_way(look);
}
