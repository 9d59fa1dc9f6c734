//! The core over a disk: what is acknowledged is there after closing, killing and losing the index.

use std::sync::mpsc::{Receiver, sync_channel};

use mail::{
    date::DateTime,
    flag::{Keyword, SystemFlags},
    id::{ThreadId, Uid, UidValidity},
    mailbox::MailboxName,
};

use super::*;
use crate::{
    clock::ManualClock,
    contract::Quota,
    disk::{RealDisk, SimDisk},
    embedded::{
        frame::tests::of_later_version,
        record::{BodyData, BodyRecord, FlagsRecord, MailboxRecord, MessageRecord},
    },
};

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: 8 << 10,
        reserve_bytes: 0,
        index_cache_bytes: 1 << 20,
        checkpoint_bytes: 16 << 10,
        ..Options::default()
    }
}

/// Opens a store and waits until its index is whole.
pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Opened> {
    let opened = open_at_once(disk, dir)?;
    opened.core.shared.gate.pass_all()?;
    Ok(opened)
}

pub(crate) fn open_at_once(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Opened> {
    Core::open(
        disk,
        dir,
        &options(),
        Arc::new(ManualClock::new(1_700_000_000)),
    )
}

pub(crate) fn permit(core: &Core) -> Permit {
    let held = core.permits.clone().try_acquire_owned().unwrap();
    Permit { _held: held }
}

pub(crate) fn queue(core: &Core, epoch: u64, records: Vec<Record>) -> Receiver<Result<Lsn>> {
    let (told, tell) = sync_channel(1);
    let transaction = Transaction {
        time_secs: 1_700_000_000,
        origin: "test".into(),
        records,
    };
    let done = Box::new(move |outcome| told.send(outcome).unwrap());
    core.submit(permit(core), epoch, transaction, done);
    tell
}

pub(crate) fn commit(core: &Core, records: Vec<Record>) -> Result<Lsn> {
    queue(core, core.epoch(), records).recv().unwrap()
}

pub(crate) const ACCOUNT: AccountId = AccountId::MIN;
pub(crate) const MAILBOX: MailboxId = MailboxId::MIN;

pub(crate) fn account() -> Record {
    account_of(ACCOUNT)
}

pub(crate) fn account_of(id: AccountId) -> Record {
    let (name, alias) = match id {
        ACCOUNT => ("you@localhost".into(), "me".into()),
        id => (format!("{id}@localhost"), format!("alias {id}")),
    };
    Record::Account(AccountInfo {
        id,
        name,
        aliases: vec![alias],
        password: None,
        app_passwords: Vec::new(),
        credentials_issued: crate::credential::CredentialId(0),
        may_act_as: crate::credential::ActAs::default(),
        display_name: String::new(),
        enabled: true,
        quota: Quota::default(),
        created_secs: 5,
    })
}

pub(crate) fn mailbox(id: MailboxId, name: &str) -> Record {
    mailbox_of(ACCOUNT, id, name)
}

pub(crate) fn mailbox_of(account: AccountId, id: MailboxId, name: &str) -> Record {
    Record::Mailbox(MailboxRecord {
        account,
        id,
        name: MailboxName::new(name).unwrap(),
        uid_validity: UidValidity::new(7).unwrap(),
        special_use: Vec::new(),
    })
}

pub(crate) fn text(n: u64) -> Bytes {
    let line = format!("Subject: message {n}\r\n\r\nthis is message {n}\r\n");
    line.repeat(usize::try_from(n % 7 + 1).unwrap()).into()
}

pub(crate) fn packed(bytes: &Bytes) -> BodyData {
    BodyData::Packed(Packed::new(std::slice::from_ref(bytes), 20, 1))
}

pub(crate) fn body(n: u64, data: BodyData, bytes: &[u8]) -> Record {
    Record::Body(BodyRecord {
        id: BodyId::new(n).unwrap(),
        size: bytes.len() as u64,
        digest: *blake3::hash(bytes).as_bytes(),
        data,
        rest: None,
        fixed: Arc::new(Static {
            version: 1,
            envelope: format!("(envelope {n})").into(),
            header_bytes: 20,
            ..Static::default()
        }),
    })
}

pub(crate) fn message(uid: u32, mod_seq: u64, body: u64, size: usize) -> MessageRecord {
    MessageRecord {
        uid: Uid::new(uid).unwrap(),
        mod_seq: ModSeq::new(mod_seq).unwrap(),
        body: BodyId::new(body).unwrap(),
        thread: ThreadId::new(body).unwrap(),
        internal_date: DateTime {
            secs: 1_000,
            offset_minutes: -90,
        },
        saved_secs: 1_700_000_000,
        size: u32::try_from(size).unwrap(),
        system: SystemFlags::NONE,
        keywords: Vec::new(),
    }
}

fn deliver(core: &Core, uid: u32) -> Result<Lsn> {
    commit(core, delivery(uid))
}

fn delivery(uid: u32) -> Vec<Record> {
    let text = text(uid.into());
    let message = message(uid, u64::from(uid) + 1, uid.into(), text.len());
    let data = packed(&text);
    vec![
        body(uid.into(), data, &text),
        Record::Messages(ACCOUNT, MAILBOX, vec![message]),
    ]
}

fn flagged(uid: u32, mod_seq: u64) -> Record {
    let flags = FlagsRecord {
        uids: UidSet::range(Uid::new(uid).unwrap(), Uid::new(uid).unwrap()),
        system: SystemFlags::SEEN.with(SystemFlags::DELETED),
        keywords: vec![Keyword::new("$Label").unwrap()],
    };
    Record::Flags(ACCOUNT, MAILBOX, ModSeq::new(mod_seq).unwrap(), vec![flags])
}

pub(crate) fn expunged(first: u32, last: u32, mod_seq: u64) -> Record {
    let uids = UidSet::range(Uid::new(first).unwrap(), Uid::new(last).unwrap());
    Record::Expunged(ACCOUNT, MAILBOX, ModSeq::new(mod_seq).unwrap(), uids)
}

/// A store with 200 messages, every third flagged, the first fifty gone.
fn fill(core: &Core) {
    commit(core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    let waiting: Vec<_> = (1..=200).map(|uid| queue(core, 1, delivery(uid))).collect();
    for told in waiting {
        told.recv().unwrap().unwrap();
    }
    for uid in (3..=200).step_by(3) {
        commit(core, vec![flagged(uid, 1_000 + u64::from(uid))]).unwrap();
    }
    commit(core, vec![expunged(1, 50, 2_000)]).unwrap();
}

fn look(core: &Core) {
    let state = core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary, state.recount());
    assert_eq!(state.summary.messages, 150);
    assert_eq!(state.summary.uid_next.get(), 201);
    assert_eq!(state.summary.highest_mod_seq.get(), 2_000);
    let row = state.row(Uid::new(99).unwrap()).unwrap();
    let flags = state.flags(row);
    assert!(flags.system.contains(SystemFlags::SEEN));
    assert_eq!(flags.keywords()[0].as_str(), "$Label");
    assert!(state.row(Uid::new(50).unwrap()).is_none());
    for uid in 1..=200 {
        let id = BodyId::new(uid).unwrap();
        assert_eq!(core.read_body(id, 0, 1 << 20).unwrap(), text(uid));
        assert_eq!(core.read_body(id, 15, 25).unwrap(), text(uid).slice(15..40));
        let fixed = core.fixed(&[id]).unwrap();
        assert_eq!(fixed[0].envelope, format!("(envelope {uid})"));
    }
    let since = |n| {
        core.history(ACCOUNT, MAILBOX, ModSeq::new(n).unwrap())
            .unwrap()
    };
    assert_eq!(since(1_999).unwrap().to_string(), "1:50");
    assert!(since(2_000).unwrap().is_empty());
    let mut report = Vec::new();
    core.check(&mut report).unwrap();
    assert_eq!(report, Vec::<String>::new());
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = open(&disk, dir.path()).unwrap();
    fill(&opened.core);
    opened.core.close();
    let later = dir.path().join("log/00009000.seg");
    let mut written = of_later_version().to_vec();
    written.extend([7; 100]);
    std::fs::write(&later, &written).unwrap();
    let refused = open(&disk, dir.path()).err().unwrap().to_string();
    assert!(
        refused.contains("a later version of relate-imap"),
        "{refused}"
    );
    assert_eq!(std::fs::read(&later).unwrap(), written);
    std::fs::remove_file(&later).unwrap();
    let opened = open(&disk, dir.path()).unwrap();
    look(&opened.core);
    opened.core.close();
}

#[test]
fn what_was_written_is_there_after_closing_and_without_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = open(&disk, dir.path()).unwrap();
    assert!(matches!(
        open(&disk, dir.path()),
        Err(Error::InUse(Some(_)))
    ));
    fill(&opened.core);
    look(&opened.core);
    opened.core.close();
    let opened = open(&disk, dir.path()).unwrap();
    assert_eq!(opened.damage, Vec::<String>::new());
    assert_eq!(
        (opened.counters.body, opened.counters.uid_validity),
        (200, 7)
    );
    look(&opened.core);
    opened.core.close();
    for garbage in [None, Some(vec![7u8; 100_000])] {
        let index = dir.path().join("index/index.redb");
        match garbage {
            None => std::fs::remove_file(index).unwrap(),
            Some(bytes) => std::fs::write(index, bytes).unwrap(),
        }
        let opened = open(&disk, dir.path()).unwrap();
        assert_eq!(opened.damage, Vec::<String>::new());
        assert_eq!(opened.accounts[0].name, "you@localhost");
        look(&opened.core);
        opened.core.close();
    }
}

#[test]
fn large_bodies_stand_before_their_transaction() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let dir = Path::new("/store");
    let opened = open(&disk, dir).unwrap();
    let core = &opened.core;
    let large: Vec<u8> = (0..3_000_000u32)
        .flat_map(|n| (n.wrapping_mul(n)).to_le_bytes())
        .collect();
    let pieces = large
        .chunks(100_000)
        .map(|piece| Ok(Bytes::copy_from_slice(piece)));
    let id = BodyId::new(9).unwrap();
    core.body_frames(core.epoch(), id, &mut pieces.into_iter())
        .unwrap();
    let records = vec![
        account(),
        mailbox(MAILBOX, "INBOX"),
        body(9, BodyData::Before, &large),
        Record::Messages(ACCOUNT, MAILBOX, vec![message(1, 2, 9, large.len())]),
    ];
    commit(core, records).unwrap();
    let look = |core: &Core| {
        assert_eq!(core.read_body(id, 0, usize::MAX).unwrap(), large);
        assert_eq!(
            core.read_body(id, 1_999_990, 70_000).unwrap(),
            large[1_999_990..2_069_990]
        );
        assert!(core.read_body(id, 1 << 40, 10).unwrap().is_empty());
    };
    look(core);
    core.wait_applied(core.shared.backlog.published()).unwrap();
    look(core);
    core.close();
    let opened = open(&disk, dir).unwrap();
    look(&opened.core);
    // A body without frames is refused, and does not stop what comes after.
    let refused = commit(&opened.core, vec![body(10, BodyData::Before, b"abc")]);
    assert!(matches!(refused, Err(Error::Unavailable(_))));
    deliver(&opened.core, 20).unwrap();
}

#[test]
fn a_transaction_larger_than_a_frame_is_whole() {
    let disk: Arc<dyn Disk> = Arc::new(SimDisk::new());
    let opened = open(&disk, Path::new("/store")).unwrap();
    let core = &opened.core;
    commit(core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    let text = text(1);
    let many = (1..=200_000)
        .map(|uid| message(uid, 2, 1, text.len()))
        .collect();
    let records = vec![
        body(1, packed(&text), &text),
        Record::Messages(ACCOUNT, MAILBOX, many),
    ];
    commit(core, records).unwrap();
    let state = core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary.messages, 200_000);
    core.close();
    let sim = disk;
    sim.remove(Path::new("/store/index/index.redb")).unwrap();
    let opened = open(&sim, Path::new("/store")).unwrap();
    assert_eq!(opened.damage, Vec::<String>::new());
    let state = opened.core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary.messages, 200_000);
    assert_eq!(state.summary, state.recount());
}

pub(crate) fn segments_of(disk: &SimDisk) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = disk.files().into_iter();
    files
        .filter(|(path, _)| path.extension().is_some_and(|e| e == "seg"))
        .collect()
}

pub(crate) fn summaries_of(disk: &SimDisk) -> Vec<std::path::PathBuf> {
    let files = disk.files().into_keys();
    files
        .filter(|path| path.extension().is_some_and(|e| e == "sum"))
        .collect()
}

/// The segment that holds these bytes, and where.
fn found(disk: &SimDisk, wanted: &[u8]) -> (std::path::PathBuf, Vec<u8>, usize) {
    let segments = segments_of(disk).into_iter();
    let at = |bytes: &[u8]| bytes.windows(wanted.len()).position(|w| w == wanted);
    segments
        .filter_map(|(path, bytes)| at(&bytes).map(|at| (path, bytes, at)))
        .next()
        .unwrap()
}

/// Waits until every sealed segment has its summary.
pub(crate) fn wait_for_summaries(disk: &SimDisk) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while summaries_of(disk).len() + 1 < segments_of(disk).len() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
}

#[test]
fn threat_35_damage_is_named_and_costs_only_what_it_hit() {
    let dir = Path::new("/store");
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let opened = open(&disk, dir).unwrap();
    fill(&opened.core);
    opened.core.close();
    // A byte of a delivery in the middle of a segment, and no index.
    let (path, mut bytes, at) = found(&sim, b"envelope 99");
    bytes[at] ^= 1;
    sim.put(&path, Some(bytes));
    sim.put(&dir.join("index/index.redb"), None);
    for summary in summaries_of(&sim) {
        sim.put(&summary, None);
    }
    let opened = open(&disk, dir).unwrap();
    assert_eq!(opened.damage.len(), 1, "{:?}", opened.damage);
    // It is kept aside, and named as it is by `check`.
    let files = sim.files();
    let is_kept = |path: &Path| path.starts_with("/store/quarantine");
    let kept: Vec<_> = files.iter().filter(|(path, _)| is_kept(path)).collect();
    assert_eq!(kept.len(), 1);
    let name = kept[0].0.strip_prefix("/store").unwrap().to_str().unwrap();
    assert!(
        opened.damage[0].ends_with(&format!("kept as {name}")),
        "{:?}",
        opened.damage
    );
    let is_in = |bytes: &[u8]| {
        bytes
            .windows(kept[0].1.len())
            .any(|w| w == kept[0].1.as_slice())
    };
    assert!(segments_of(&sim).iter().any(|(_, bytes)| is_in(bytes)));
    let mut report = Vec::new();
    opened.core.check(&mut report).unwrap();
    assert_eq!(report, opened.damage);
    // Everything else is served.
    let state = opened.core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary.messages, 149);
    for (uid, row) in state.rows() {
        let bytes = opened.core.read_body(row.body, 0, 1 << 20).unwrap();
        assert_eq!(bytes, text(uid.get().into()));
    }
    // Writing goes on, in a new segment.
    let before = segments_of(&sim).len();
    deliver(&opened.core, 300).unwrap();
    assert_eq!(segments_of(&sim).len(), before + 1);
    opened.core.close();
    let opened = open(&disk, dir).unwrap();
    let state = opened.core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert!(state.row(Uid::new(300).unwrap()).is_some());
}

#[test]
fn a_summary_serves_what_its_segment_lost_since() {
    let dir = Path::new("/store");
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let opened = open(&disk, dir).unwrap();
    fill(&opened.core);
    // However the deliveries were batched, they stand in sealed segments.
    for _ in 0..250 {
        let name = MailboxName::new("INBOX").unwrap();
        commit(&opened.core, vec![Record::Subscribed(ACCOUNT, name)]).unwrap();
    }
    wait_for_summaries(&sim);
    opened.core.close();
    // Bytes of a message's body in the middle of a segment, and no index.
    let (path, mut bytes, at) = found(&sim, b"envelope 99");
    bytes[at + 60] ^= 1;
    sim.put(&path, Some(bytes));
    sim.put(&dir.join("index/index.redb"), None);
    let opened = open(&disk, dir).unwrap();
    assert_eq!(opened.damage, Vec::<String>::new());
    let state = opened.core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary.messages, 150);
    let read = |uid: u64| opened.core.read_body(BodyId::new(uid).unwrap(), 0, 1 << 20);
    assert!(matches!(read(99), Err(Error::Damaged(_))));
    for uid in (51..=200).filter(|uid| *uid != 99) {
        assert_eq!(read(uid).unwrap(), text(uid));
    }
    // The bytes and the message are named, by each check.
    for _ in 0..2 {
        let mut report = Vec::new();
        opened.core.check(&mut report).unwrap();
        assert_eq!(report.len(), 2, "{report:?}");
        assert!(report[0].contains("kept as quarantine/"), "{report:?}");
        assert!(report[1].starts_with("body 99: "), "{report:?}");
    }
}

#[test]
fn a_torn_tail_is_cut_off_and_an_acknowledged_one_is_damage() {
    let dir = Path::new("/store");
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let opened = open(&disk, dir).unwrap();
    commit(&opened.core, vec![account(), mailbox(MAILBOX, "INBOX")]).unwrap();
    for uid in 1..=10 {
        deliver(&opened.core, uid).unwrap();
    }
    opened.core.close();
    let (path, whole) = segments_of(&sim).pop().unwrap();
    // Unknown bytes behind the end: nobody was told of them.
    let mut longer = whole.clone();
    longer.extend(b"rlog, said the log".repeat(100));
    sim.put(&path, Some(longer));
    let opened = open(&disk, dir).unwrap();
    assert_eq!(opened.damage, Vec::<String>::new());
    opened.core.close();
    assert_eq!(segments_of(&sim).pop().unwrap().1, whole);
    // The last frame is gone, and the index knows that it was there.
    sim.put(&path, Some(whole[..whole.len() - 30].to_vec()));
    let opened = open(&disk, dir).unwrap();
    assert_eq!(opened.damage.len(), 1, "{:?}", opened.damage);
    let state = opened.core.load_mailbox(ACCOUNT, MAILBOX).unwrap();
    assert_eq!(state.summary.uid_next.get(), 11);
    deliver(&opened.core, 11).unwrap();
}

#[test]
fn a_damaged_index_is_made_again_while_it_serves() {
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let opened = open(&disk, dir.path()).unwrap();
    fill(&opened.core);
    opened.core.close();
    // The store is open and keeps nothing of it in memory: spoil every page but the header.
    let options = Options {
        index_cache_bytes: 0,
        ..options()
    };
    let clock = Arc::new(ManualClock::new(1));
    let opened = Core::open(&disk, dir.path(), &options, clock).unwrap();
    let path = dir.path().join("index/index.redb");
    let file = disk.open(&path, crate::disk::OpenMode::Existing).unwrap();
    for at in (5_000..file.len().unwrap() - 1).step_by(4_104) {
        let mut byte = [0];
        file.read_at(at, &mut byte).unwrap();
        byte[0] ^= 0xff;
        file.write_at(at, &[io::IoSlice::new(&byte)]).unwrap();
    }
    let core = &opened.core;
    // A thread of the store may have found it before.
    let found = core.load_mailbox(ACCOUNT, MAILBOX);
    assert!(found.is_err(), "{found:?}");
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while core.load_mailbox(ACCOUNT, MAILBOX).is_err() {
        assert!(std::time::Instant::now() < deadline);
        std::thread::yield_now();
    }
    look(core);
}

#[test]
fn below_the_reserve_it_says_so() {
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let clock = Arc::new(ManualClock::new(1));
    let options = Options {
        reserve_bytes: 100 << 20,
        ..options()
    };
    let opened = Core::open(&disk, Path::new("/store"), &options, clock).unwrap();
    assert_eq!(opened.core.space(), Space::Normal);
    sim.set_free_bytes(Some(50 << 20));
    opened.core.shared.look_at_space();
    assert_eq!(opened.core.space(), Space::Reserve);
    sim.set_free_bytes(Some(5));
    opened.core.shared.look_at_space();
    assert_eq!(opened.core.space(), Space::Full);
}
