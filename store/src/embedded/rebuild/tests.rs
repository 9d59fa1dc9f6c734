//! An index is lost, and made again from summaries.

use std::{fmt::Write as _, path::Path};

use mail::{
    flag::SystemFlags,
    id::{MailboxId, ModSeq, Uid},
    mailbox::MailboxName,
    set::UidSet,
};

use super::*;
use crate::{
    disk::{Disk, SimDisk},
    embedded::{
        core::{
            Core,
            tests::{
                account_of, body, commit, mailbox_of, message, open, options, packed, segments_of,
                summaries_of, text, wait_for_summaries,
            },
        },
        index::Orphans,
        record::{FlagsRecord, Purge},
        recover,
        replay::End,
        segment::Segments,
    },
};

const DIR: &str = "/store";
const INDEX: &str = "/store/index/index.redb";
const ACCOUNTS: u64 = 4;

fn id(n: u64) -> AccountId {
    AccountId::new(n).unwrap()
}

fn boxed(n: u64) -> MailboxId {
    MailboxId::new(n).unwrap()
}

fn uid(n: u64) -> Uid {
    Uid::new(u32::try_from(n).unwrap()).unwrap()
}

fn seq(n: u64) -> ModSeq {
    ModSeq::new(n).unwrap()
}

fn delivery(account: u64, mailbox: u64, n: u64) -> Vec<Record> {
    let text = text(n);
    let row = message(uid(n).get(), n + 1, n, text.len());
    vec![
        body(n, packed(&text), &text),
        Record::Messages(id(account), boxed(mailbox), vec![row]),
    ]
}

/// Accounts whose mail came interleaved; of what there is, some of everything. Mailbox 10 and 11
/// are of account 1, and so on.
fn fill(core: &Core) {
    for n in 1..=ACCOUNTS {
        let mut records = vec![account_of(id(n))];
        records.extend((0..2).map(|m| mailbox_of(id(n), boxed(n * 10 + m), &format!("Box {m}"))));
        commit(core, records).unwrap();
    }
    for n in 1..=400 {
        let account = 1 + n % ACCOUNTS;
        commit(core, delivery(account, account * 10 + n / 4 % 2, n)).unwrap();
    }
    let flags = |n: u64| FlagsRecord {
        uids: UidSet::range(uid(n), uid(n + 90)),
        system: SystemFlags::SEEN,
        keywords: vec![mail::flag::Keyword::new(&format!("$Label{n}")).unwrap()],
    };
    for n in 1..=ACCOUNTS {
        let (account, mailbox) = (id(n), boxed(n * 10));
        let name = MailboxName::new("Renamed").unwrap();
        let changed = Record::Flags(account, mailbox, seq(1_000), vec![flags(n), flags(n + 200)]);
        let gone = Record::Expunged(account, mailbox, seq(1_001), UidSet::range(uid(1), uid(50)));
        let named = Record::Renamed(account, vec![(boxed(n * 10 + 1), name.clone())]);
        let records = vec![changed, gone, named, Record::Subscribed(account, name)];
        commit(core, records).unwrap();
        commit(core, vec![Record::RecentFloor(account, mailbox, uid(300))]).unwrap();
    }
    // A body of the first account in a mailbox of the second, one account gone, one mailbox gone.
    let shared = message(900, 1_100, 104, text(104).len());
    commit(core, vec![Record::Messages(id(2), boxed(20), vec![shared])]).unwrap();
    let head = text(950);
    let mut headed = body(950, packed(&head), &head);
    let len = head.len() + text(104).len();
    if let Record::Body(body) = &mut headed {
        (body.rest, body.size) = (BodyId::new(104), len as u64);
    }
    let row = message(950, 1_101, 950, len);
    commit(
        core,
        vec![headed, Record::Messages(id(2), boxed(20), vec![row])],
    )
    .unwrap();
    commit(
        core,
        vec![Record::AccountRemoved(id(3), Purge::AfterWindow)],
    )
    .unwrap();
    commit(core, vec![Record::MailboxDeleted(id(4), boxed(41))]).unwrap();
    for _ in 0..4 {
        // With each transaction a little of what is gone is cleared.
        settle(core);
    }
}

fn settle(core: &Core) {
    let name = MailboxName::new("Name").unwrap();
    commit(core, vec![Record::Subscribed(id(1), name)]).unwrap();
    let shared = &core.shared;
    shared.backlog.wait_published().unwrap();
}

/// Everything the index holds, as text.
fn dump(core: &Core) -> String {
    for _ in 0..4 {
        settle(core);
    }
    core.shared.with_index(|index| Ok(told(index))).unwrap()
}

fn told(index: &Index) -> String {
    let mut all = format!("{:?}\n", index.accounts().unwrap());
    for n in 1..=ACCOUNTS {
        let Ok(image) = index.account(id(n)) else {
            continue;
        };
        let _ = writeln!(
            all,
            "{:?} {:?}",
            image.subscriptions,
            sorted(&image.retired)
        );
        for (record, summary) in image.mailboxes {
            let state = index.mailbox(record.id).unwrap();
            let history = index.history(record.id, ModSeq::MIN).unwrap();
            let _ = writeln!(
                all,
                "{record:?} {summary:?} {history:?} {}",
                state.recent_floor
            );
            for (uid, row) in state.rows() {
                let fixed = index.fixed(&[row.body], usize::MAX).unwrap();
                let place = index.places(&[row.body]).unwrap();
                let _ = writeln!(
                    all,
                    "{uid} {row:?} {:?} {fixed:?} {place:?}",
                    state.flags(row)
                );
            }
        }
    }
    let _ = writeln!(all, "{:?}\n{:?}", index.meta().highest, index.references());
    all
}

fn sorted(retired: &crate::rules::names::Retired) -> Vec<String> {
    let mut all: Vec<_> = retired.iter().map(|name| format!("{name:?}")).collect();
    all.sort();
    all
}

fn filled() -> SimDisk {
    let sim = SimDisk::new();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let opened = open(&disk, Path::new(DIR)).unwrap();
    fill(&opened.core);
    wait_for_summaries(&sim);
    opened.core.close();
    sim
}

#[test]
fn an_index_made_again_is_the_one_that_was_lost() {
    let sim = filled();
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let lost = {
        let opened = open(&disk, Path::new(DIR)).unwrap();
        assert!(!opened.core.is_index_new());
        let told = dump(&opened.core);
        opened.core.close();
        told
    };
    assert!(segments_of(&sim).len() > 3);
    for with_summaries in [true, false] {
        if !with_summaries {
            summaries_of(&sim)
                .iter()
                .for_each(|path| sim.put(path, None));
        }
        sim.put(Path::new(INDEX), None);
        let opened = open(&disk, Path::new(DIR)).unwrap();
        assert!(opened.core.is_index_new());
        assert_eq!(opened.damage, Vec::<String>::new());
        let told = dump(&opened.core);
        for (told, lost) in told.lines().zip(lost.lines()) {
            assert!(told == lost, "{told:.400}\nis not\n{lost:.400}");
        }
        assert_eq!(told.lines().count(), lost.lines().count());
        let mut report = Vec::new();
        opened.core.check(&mut report).unwrap();
        assert_eq!(report, Vec::<String>::new());
        opened.core.close();
        // It stays.
        let opened = open(&disk, Path::new(DIR)).unwrap();
        assert!(!opened.core.is_index_new());
        opened.core.close();
    }
}

/// A rebuild that takes its steps when it is told to.
struct ByHand {
    rebuild: Rebuild,
    index: Index,
    gate: Gate,
    salt: [u8; 16],
    segments: Arc<Segments>,
}

fn by_hand(sim: &SimDisk) -> ByHand {
    sim.put(Path::new(INDEX), None);
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let segments = Arc::new(Segments::new(disk.clone(), &Path::new(DIR).join("log")));
    let newest = *segments.list().unwrap().last().unwrap();
    let salt = segments.start(newest).unwrap().unwrap().salt;
    let valid = Position {
        segment: newest,
        offset: segments.file(newest).unwrap().len().unwrap(),
    };
    let links = recover::valid(&segments, valid).unwrap();
    let extent = |(segment, bytes)| Extent {
        salt,
        segment,
        bytes,
    };
    let extents: Vec<Extent> = links.into_iter().map(extent).collect();
    let planned = plan(&segments, &extents, (After::Log, Orphans::Stay)).unwrap();
    let dir = Path::new(DIR).join("index");
    let index = Index::create(&disk, &dir, (&options(), salt), planned.begin).unwrap();
    let (mut rebuild, gate) = (planned.rebuild, Gate::default());
    rebuild.begin(&index, &gate).unwrap();
    ByHand {
        rebuild,
        index,
        gate,
        salt,
        segments,
    }
}

fn committed(lsn: Lsn, records: Vec<Record>) -> Event {
    Event::Applied(Box::new(Applied {
        lsn,
        end: Position::default(),
        time_secs: 1,
        records,
        bodies: Vec::new(),
        lag_bytes: 10,
        log_bytes: 10,
    }))
}

#[test]
fn accounts_are_known_at_once_and_one_asked_for_comes_first() {
    let sim = filled();
    let mut by_hand = by_hand(&sim);
    let (rebuild, index, gate) = (&mut by_hand.rebuild, &by_hand.index, &by_hand.gate);
    let names: Vec<String> = index
        .accounts()
        .unwrap()
        .into_iter()
        .map(|a| a.name)
        .collect();
    assert_eq!(names, ["you@localhost", "2@localhost", "4@localhost"]);
    assert_eq!(index.meta().highest.body, 950);
    assert_eq!(index.account(id(4)).unwrap().mailboxes, Vec::new());
    // Of an account that is not there yet, and of one that is new.
    let name = MailboxName::new("Later").unwrap();
    let lsn = index.meta().applied + 1;
    let ours = vec![
        Record::Subscribed(id(4), name.clone()),
        Record::Subscribed(id(2), name.clone()),
        account_of(id(9)),
        Record::Subscribed(id(9), name.clone()),
    ];
    let seen = vec![Record::Unsubscribed(
        id(2),
        MailboxName::new("Renamed").unwrap(),
    )];
    let sorted = rebuild.sort(vec![committed(lsn, ours), committed(lsn - 1, seen)]);
    assert_eq!((sorted.now.len(), sorted.kept_bytes), (2, 20));
    index.apply(&sorted.now).unwrap();
    assert_eq!(index.account(id(9)).unwrap().subscriptions, [name]);
    assert_eq!(index.account(id(2)).unwrap().subscriptions, Vec::new());
    assert_eq!(index.meta().applied, lsn);
    let wanted = gate.pass(id(4));
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().unwrap().block_on(async {
        let mut wanted = Box::pin(wanted);
        tokio::select! {
            biased;
            _ = &mut wanted => panic!("it is not there"),
            () = tokio::task::yield_now() => {}
        }
        // The account asked for is whole after its own steps, with what came meanwhile.
        let mut kept = 0;
        while gate.wanted().is_some() {
            match rebuild.step(index, gate).unwrap() {
                Step::More(later) => kept += later.len(),
                Step::Done => panic!("it is not done"),
            }
        }
        wanted.await.unwrap();
        assert_eq!(kept, 1);
    });
    assert_eq!(index.account(id(4)).unwrap().subscriptions.len(), 2);
    assert_eq!(index.account(id(2)).unwrap().mailboxes, Vec::new());
    let progress = gate.progress().unwrap();
    assert_eq!((progress.accounts, progress.accounts_done), (4, 1));
    // A second account's mail refers to a body of the first: it is there when both are.
    while !matches!(rebuild.step(index, gate).unwrap(), Step::Done) {}
    assert_eq!(index.account(id(2)).unwrap().subscriptions.len(), 2);
    assert!(index.places(&[BodyId::new(104).unwrap()]).unwrap()[0].is_some());
    assert_eq!(gate.progress(), None);
    assert_eq!(index.meta().applied, lsn);
}

#[test]
fn one_that_was_not_finished_begins_again() {
    let sim = filled();
    let ByHand {
        mut rebuild,
        index,
        gate,
        salt,
        ..
    } = by_hand(&sim);
    rebuild.step(&index, &gate).unwrap();
    index.checkpoint().unwrap();
    drop((rebuild, index));
    let disk: Arc<dyn Disk> = Arc::new(sim);
    let dir = Path::new(DIR).join("index");
    let unfinished = Index::open(&disk, &dir, salt, &options());
    assert!(matches!(unfinished, Err(Error::Damaged(_))));
    let opened = open(&disk, Path::new(DIR)).unwrap();
    assert!(opened.core.is_index_new());
    let mut report = Vec::new();
    opened.core.check(&mut report).unwrap();
    assert_eq!(report, Vec::<String>::new());
}

#[test]
fn a_summary_that_is_found_damaged_is_made_again() {
    let sim = filled();
    // The directory is sound, blocks are not.
    for path in summaries_of(&sim) {
        let mut bytes = sim.files().remove(&path).unwrap();
        bytes[20] ^= 1;
        sim.put(&path, Some(bytes));
    }
    sim.put(Path::new(INDEX), None);
    let disk: Arc<dyn Disk> = Arc::new(sim);
    let opened = open(&disk, Path::new(DIR)).unwrap();
    let mut report = Vec::new();
    opened.core.check(&mut report).unwrap();
    assert_eq!(report, Vec::<String>::new());
}

#[test]
fn a_log_that_ends_with_nothing_readable_keeps_its_numbers() {
    let sim = filled();
    let by_hand = by_hand(&sim);
    let known = by_hand.rebuild.lsn;
    let newest = *by_hand.segments.list().unwrap().last().unwrap();
    let extent = Extent {
        salt: by_hand.salt,
        segment: newest,
        bytes: 0,
    };
    let read = summary::in_memory(&by_hand.segments, &extent, known, After::Log).unwrap();
    let End { lsn, .. } = read.end;
    assert_eq!(lsn, known);
}
