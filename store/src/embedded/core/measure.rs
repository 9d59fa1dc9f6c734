//! How fast it is: durable deliveries, loading a mailbox that grew interleaved with others, and
//! opening after a kill. A few messages by default; `STORE_MEASURE=200000` prints figures that
//! mean something (release build, `--nocapture`).

use std::time::{Duration, Instant};

use super::{
    tests::{account_of, body, commit, mailbox_of, message, packed, permit},
    *,
};
use crate::{clock::ManualClock, disk::RealDisk, embedded::commit::Done};

const BATCH: usize = 32;
const MAILBOXES: u64 = 50;
const ACCOUNTS: u64 = 10;
const BODY_BYTES: usize = 8 << 10;

fn text_of(n: u64) -> Bytes {
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = format!("Subject: {n}\r\n\r\n");
    while text.len() < BODY_BYTES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // Words of a small language: it compresses about as mail does.
        text.push_str(
            ["lorem ", "ipsum ", "dolor ", "sit "][usize::try_from(random >> 62).unwrap()],
        );
        text.push_str(&format!("{:x} ", random & 0xffff));
    }
    text.truncate(BODY_BYTES);
    text.into()
}

fn owner(mailbox: MailboxId) -> AccountId {
    AccountId::new(1 + mailbox.get() % ACCOUNTS).unwrap()
}

fn delivery(n: u64, texts: &[Bytes]) -> Vec<Record> {
    let text = &texts[usize::try_from(n).unwrap() % texts.len()];
    let to = MailboxId::new(1 + n % MAILBOXES).unwrap();
    let account = owner(to);
    let uid = u32::try_from(1 + n / MAILBOXES).unwrap();
    let row = message(uid, 2 + n, 1 + n, text.len());
    vec![
        body(1 + n, packed(text), text),
        Record::Messages(account, to, vec![row]),
    ]
}

/// Delivers, `BATCH` waiting at a time; says how many a second, and the longest wait.
fn deliver(core: &Core, which: Range<u64>) -> (u64, Duration) {
    let texts: Vec<Bytes> = (0..500).map(text_of).collect();
    let (told, tell) = std::sync::mpsc::sync_channel(BATCH);
    let (mut longest, start) = (Duration::ZERO, Instant::now());
    for first in which.clone().step_by(BATCH) {
        let last = which.end.min(first + BATCH as u64);
        let began = Instant::now();
        for n in first..last {
            let told = told.clone();
            let done: Done = Box::new(move |outcome| told.send(outcome).unwrap());
            let transaction = Transaction {
                time_secs: 1,
                origin: "measure".into(),
                records: delivery(n, &texts),
            };
            core.submit(permit(core), 1, transaction, done);
        }
        for _ in first..last {
            tell.recv().unwrap().unwrap();
        }
        longest = longest.max(began.elapsed());
    }
    (per_second(which.end - which.start, start), longest)
}

/// Creates accounts and mailboxes.
fn furnish(core: &Core) {
    for n in 1..=ACCOUNTS {
        commit(core, vec![account_of(AccountId::new(n).unwrap())]).unwrap();
    }
    for n in 1..=MAILBOXES {
        let id = MailboxId::new(n).unwrap();
        commit(core, vec![mailbox_of(owner(id), id, &format!("{n}"))]).unwrap();
    }
}

fn per_second(count: u64, since: Instant) -> u64 {
    (count as f64 / since.elapsed().as_secs_f64()) as u64
}

#[test]
fn figures() {
    let count = std::env::var("STORE_MEASURE").map_or(2_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = Options {
        reserve_bytes: 0,
        ..Options::default()
    };
    let clock = Arc::new(ManualClock::new(1));
    let opened = Core::open(&disk, dir.path(), &options, clock.clone()).unwrap();
    let core = &opened.core;
    furnish(core);
    let (rate, longest) = deliver(core, 0..count);
    println!("{rate} deliveries/s ({BATCH} waiting, {BODY_BYTES} bytes); longest wait {longest:?}");
    let began = Instant::now();
    core.wait_applied(core.shared.backlog.published()).unwrap();
    println!("index behind by {:?}", began.elapsed());
    let killed = copy(dir.path());
    let began = Instant::now();
    let reopened = Core::open(&disk, killed.path(), &options, clock.clone()).unwrap();
    println!(
        "opened after a kill in {:?}, {count} messages",
        began.elapsed()
    );
    assert!(!reopened.core.is_index_new);
    load(&reopened.core, count, "cold");
    load(&reopened.core, count, "warm");
    reopened.core.close();
    made_again(killed.path(), &options, count);
    // Without summaries, as after an update from a version that wrote none.
    for entry in std::fs::read_dir(killed.path().join("log")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "sum") {
            std::fs::remove_file(path).unwrap();
        }
    }
    println!("without summaries:");
    made_again(killed.path(), &options, count);
    sizes(killed.path(), count);
}

fn made_again(dir: &Path, options: &Options, count: u64) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    std::fs::remove_file(dir.join("index/index.redb")).unwrap();
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
    let began = Instant::now();
    let reopened = Core::open(&disk, dir, options, Arc::new(ManualClock::new(1))).unwrap();
    assert!(reopened.core.is_index_new);
    println!("open for logins after {:?}", began.elapsed());
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let last = AccountId::new(ACCOUNTS).unwrap();
    let ready = runtime
        .enable_all()
        .build()
        .unwrap()
        .block_on(reopened.core.ready(last));
    println!(
        "an account asked for is there after {:?}: {ready:?}",
        began.elapsed()
    );
    reopened.core.shared.gate.pass_all().unwrap();
    println!(
        "index made again in {:?}, {count} messages",
        began.elapsed()
    );
    load(&reopened.core, count, "rebuilt");
    reopened.core.close();
}

fn load(core: &Core, count: u64, how: &str) {
    let began = Instant::now();
    let mut rows = 0;
    for n in 1..=MAILBOXES {
        rows += core
            .load_mailbox(
                owner(MailboxId::new(n).unwrap()),
                MailboxId::new(n).unwrap(),
            )
            .unwrap()
            .rows()
            .count() as u64;
    }
    assert_eq!(rows, count);
    println!(
        "{how} scan: {} rows/s, {MAILBOXES} interleaved mailboxes",
        per_second(count, began)
    );
}

fn sizes(dir: &Path, count: u64) {
    let size = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().len();
    let log: u64 = std::fs::read_dir(dir.join("log"))
        .unwrap()
        .map(|entry| size(entry.unwrap().path()))
        .sum();
    let index = size(dir.join("index/index.redb"));
    println!(
        "log {} bytes/message, index {} bytes/message",
        log / count,
        index / count
    );
}

/// The files as they are now: what a kill leaves.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for path in ["id", "log", "index"] {
        let (from, to) = (from.join(path), to.path().join(path));
        if from.is_file() {
            std::fs::copy(from, to).unwrap();
            continue;
        }
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    // As after a restart: nothing of it in memory, where the machine allows that.
    rustix::fs::sync();
    let _ = std::fs::write("/proc/sys/vm/drop_caches", "3");
    to
}

/// Four of five messages are deleted, and their space is given back while mail comes in.
#[test]
fn figures_of_compaction() {
    let count = std::env::var("STORE_MEASURE").map_or(2_000, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let options = Options {
        reserve_bytes: 0,
        segment_bytes: if count > 2_000 { 64 << 20 } else { 1 << 20 },
        ..Options::default()
    };
    let clock = Arc::new(ManualClock::new(1));
    let opened = Core::open(&disk, dir.path(), &options, clock.clone()).unwrap();
    let core = &opened.core;
    furnish(core);
    deliver(core, 0..count);
    let (alone, longest_alone) = deliver(core, count..2 * count);
    let last = u32::try_from(2 * count / MAILBOXES).unwrap();
    for n in 1..=MAILBOXES {
        let id = MailboxId::new(n).unwrap();
        let uids = (1..=last).filter(|uid| uid % 5 > 0);
        let uids = uids.map(|uid| mail::id::Uid::new(uid).unwrap()).collect();
        let mod_seq = ModSeq::new(1 << 40).unwrap();
        commit(core, vec![Record::Expunged(owner(id), id, mod_seq, uids)]).unwrap();
    }
    core.wait_applied(core.shared.backlog.published()).unwrap();
    clock.set(1_800_000_000);
    let before = log_bytes(dir.path());
    let (done, took, beside) = std::thread::scope(|scope| {
        let compacting = scope.spawn(|| {
            let began = Instant::now();
            (core.compact().unwrap(), began.elapsed())
        });
        let beside = deliver(core, 2 * count..3 * count);
        let (done, took) = compacting.join().unwrap();
        (done, took, beside)
    });
    let gib = done.bytes_before as f64 / f64::from(1 << 30);
    println!(
        "{} segments of {} bytes became {} bytes in {took:?}, {:.1} s per GiB; the log had {before}",
        done.segments,
        done.bytes_before,
        done.bytes_after,
        took.as_secs_f64() / gib
    );
    let (rate, longest) = beside;
    println!("{alone} deliveries/s alone, longest wait {longest_alone:?}");
    println!("{rate} deliveries/s beside it, longest wait {longest:?}");
    assert!(done.bytes_after < done.bytes_before / 2);
}

/// Bytes of the segments in a store.
fn log_bytes(dir: &Path) -> u64 {
    let files = std::fs::read_dir(dir.join("log")).unwrap();
    let files = files.map(|file| file.unwrap().metadata().unwrap().len());
    files.sum()
}
