//! A workload of 200 operations on a disk that fails, at every call it makes (design.md §1, §2).
//!
//! After a power cut each acknowledged operation must be there, and the one that was not
//! acknowledged whole or not at all, whatever became of the index. After a fault the store must
//! answer, and go on when the disk does. `STORE_FAULTS=all` tries every fault at every call;
//! otherwise each call gets one power cut and one fault.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use mail::{flag::FlagChange, id::Uid};
use store::{
    Access, Account, Error, Expunge, Options, Result, Store,
    clock::Clock,
    disk::{Fault, Plan, SimDisk},
    embedded::EmbeddedStore,
};

use crate::{
    model::{
        Contents, Dice, Model, Op, Texts, count_of_other, ends_other, is_refusal, made, perform,
        random, read_other,
    },
    support::*,
};

const OPERATIONS: usize = 200;
/// How long anything may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many operations a lasting fault spoils before the disk works again.
const SPOILED: u32 = 6;

fn is_thorough() -> bool {
    std::env::var("STORE_FAULTS").is_ok_and(|value| value == "all")
}

fn options() -> Options {
    Options {
        segment_bytes: 512 << 10,
        checkpoint_bytes: 64 << 10,
        undelete_secs: 0,
        ..crate::support::options()
    }
}

/// A second passes whenever somebody looks, so that what was deleted may go.
struct Ticking(AtomicI64);

impl Clock for Ticking {
    fn now_secs(&self) -> i64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn open_store(disk: &SimDisk) -> Result<Arc<EmbeddedStore>> {
    let clock = Arc::new(Ticking(AtomicI64::new(NOW)));
    EmbeddedStore::open_on(
        Arc::new(disk.clone()),
        Path::new("/store"),
        options(),
        clock,
    )
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test)
}

/// What must not take for ever.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("the store is stuck")
}

async fn open_account(store: &dyn Store) -> Option<Arc<dyn Account>> {
    let info = store.find_account("model")?;
    store.open_account(info.id, actor(info.id)).await.ok()
}

/// An operation that changed something, what was true after it, and how many calls had been made
/// when it was acknowledged.
struct Step {
    op: Op,
    calls: u64,
    model: Model,
    /// How many messages the account holds to which some are delivered too.
    other: u64,
}

/// As many operations as the workload has, without a fault; those that change nothing are not of
/// the workload.
async fn undisturbed(disk: &SimDisk) -> Vec<Step> {
    let store = open_store(disk).unwrap();
    store.create_account(new_account("model")).await.unwrap();
    let account = open_account(&*store).await.unwrap();
    let mut model = Model::start(&*account).await;
    let mut steps = vec![Step {
        op: Op::Create("INBOX".into()),
        calls: disk.calls(),
        model: model.clone(),
        other: 0,
    }];
    let (mut dice, mut next_text, mut texts) = (Dice::new(7), 0, Texts::new());
    while steps.len() <= OPERATIONS {
        let op = random(&mut dice, &mut next_text);
        let done = perform(&*store, &*account, &op).await;
        let calls = disk.calls();
        let before = model.clone();
        match done {
            Ok(done) => model.follow(&op, &done, &Model::of(&*account, &mut texts).await),
            Err(error) => assert!(is_refusal(&error), "{error}"),
        }
        if !before.is_held_by(&model) || matches!(op, Op::Compact) {
            let model = model.clone();
            let other = count_of_other(&*store).await;
            steps.push(Step {
                op,
                calls,
                model,
                other,
            });
        }
    }
    store.close().await;
    steps
}

/// What becomes of the index beside the power cut itself.
#[derive(Clone, Copy, Debug)]
enum Index {
    AsItIs,
    Absent,
    Garbage,
    Earlier,
}

const INDEXES: [Index; 4] = [Index::AsItIs, Index::Absent, Index::Garbage, Index::Earlier];

impl Index {
    fn happen(self, whole: &SimDisk, cut: &SimDisk, calls: u64) {
        let is_index = |path: &Path| path.starts_with("/store/index");
        let files = cut.files();
        let paths = files.keys().filter(|path| is_index(path));
        let paths: Vec<PathBuf> = paths.cloned().collect();
        match self {
            Self::AsItIs => {}
            Self::Absent => paths.iter().for_each(|path| cut.put(path, None)),
            Self::Garbage => {
                for path in &paths {
                    let mut bytes = files[path].clone();
                    bytes
                        .iter_mut()
                        .skip(100)
                        .step_by(61)
                        .for_each(|b| *b ^= 0x5a);
                    cut.put(path, Some(bytes));
                }
            }
            Self::Earlier => {
                let before = whole.after_power_cut(calls - calls / 3, 0).files();
                for path in &paths {
                    cut.put(path, before.get(path).cloned());
                }
            }
        }
    }
}

/// Opens what a power cut left; it must hold one of `allowed` (nothing, if the account may be
/// missing), agree with itself, and go on.
async fn recovers(disk: &SimDisk, allowed: &[&Model], may_be_missing: bool) {
    let store = open_store(disk).unwrap();
    assert_eq!(soon(store.check()).await.unwrap(), [""; 0]);
    let Some(account) = open_account(&*store).await else {
        assert!(may_be_missing, "the account is gone");
        return;
    };
    let mut texts = Texts::new();
    let now = Model::of(&*account, &mut texts).await;
    let held = allowed.iter().find(|model| model.is_held_by(&now));
    let Some(held) = held else {
        assert!(allowed.is_empty(), "{now:#?}\nis none of\n{allowed:#?}");
        return;
    };
    let mut model = Model::clone(held);
    for op in [
        Op::Append("INBOX".into(), vec![99_001, 99_002], "\\Seen New"),
        Op::Create("after".into()),
    ] {
        let done = soon(perform(&*store, &*account, &op)).await.unwrap();
        model.follow(&op, &done, &Model::of(&*account, &mut texts).await);
    }
    assert_eq!(soon(store.check()).await.unwrap(), [""; 0]);
    soon(store.close()).await;
}

#[test]
fn long_a_power_cut_at_every_call_loses_nothing() {
    let disk = SimDisk::new();
    let steps = run(undisturbed(&disk));
    let total = disk.calls();
    let mut cases = Vec::new();
    for calls in 0..=total {
        let chosen = calls * 4 + 2;
        for (n, seed) in [0, 1, chosen, chosen + 1].into_iter().enumerate() {
            for (m, index) in INDEXES.into_iter().enumerate() {
                let at = usize::try_from(calls).unwrap();
                if is_thorough() || (n == at % 4 && m == at / 4 % 4) {
                    cases.push((calls, seed, index));
                }
            }
        }
    }
    each(&cases, |(calls, seed, index)| {
        let cut = disk.after_power_cut(*calls, *seed);
        index.happen(&disk, &cut, *calls);
        let done = steps.partition_point(|step| step.calls <= *calls);
        let from = done.saturating_sub(1);
        let allowed = steps[from..steps.len().min(done + 1)].iter();
        let allowed: Vec<&Model> = allowed.map(|step| &step.model).collect();
        run(async {
            recovers(&cut, &allowed, done == 0).await;
            // Deliveries to the other account are transactions of their own.
            let removed = steps.get(done).is_some_and(|step| ends_other(&step.op));
            let store = open_store(&cut).unwrap();
            let now = count_of_other(&*store).await;
            let before = steps[from].other;
            assert!(removed || now == before || now == before + 1, "{now}");
            read_other(&*store).await;
        });
    });
    let count = cases.len();
    println!("{count} power cuts in a workload of {OPERATIONS} operations, {total} disk calls");
}

/// Cases that run at a time.
const WORKERS: usize = 8;

const FAULTS: [(Fault, bool); 8] = [
    (Fault::Eio, false),
    (Fault::Enospc, true),
    (Fault::ShortWrite, false),
    (Fault::FailedSync, false),
    (Fault::Eio, true),
    (Fault::Enospc, false),
    (Fault::ShortWrite, true),
    (Fault::FailedSync, true),
];

/// The workload on a disk that fails; returns whether anything was refused because of it.
async fn disturbed(disk: &SimDisk, plan: Plan, workload: &[Step]) -> bool {
    disk.set_plan(Some(plan));
    let mut refused = 0;
    let store = match open_store(disk) {
        Ok(store) => store,
        Err(_) => {
            refused += 1;
            disk.set_plan(None);
            open_store(disk).unwrap()
        }
    };
    if let Err(error) = soon(store.create_account(new_account("model"))).await {
        assert!(!is_refusal(&error), "{error}");
        refused += 1;
        disk.set_plan(None);
        retry(async || store.create_account(new_account("model")).await.map(drop)).await;
    }
    let account = match open_account(&*store).await {
        Some(account) => account,
        None => {
            disk.set_plan(None);
            retry(async || open_account(&*store).await.map(drop).ok_or(Error::DiskFull)).await;
            open_account(&*store).await.unwrap()
        }
    };
    let mut contents: Option<Contents> = None;
    let mut texts = Texts::new();
    for Step { op, .. } in &workload[1..] {
        if contents.is_none() {
            contents = Some(Contents::of_new(&*account));
        }
        let contents = contents.as_mut().unwrap();
        match soon(perform(&*store, &*account, op)).await {
            Ok(done) => contents.apply(op, &done),
            Err(error) if is_refusal(&error) => {}
            Err(_) => {
                refused += 1;
                if refused > SPOILED {
                    disk.set_plan(None);
                }
            }
        }
    }
    disk.set_plan(None);
    let mut contents = contents.unwrap();
    goes_on(&*store, &*account, &mut contents).await;
    let live = Model::of(&*account, &mut texts).await;
    read_other(&*store).await;
    assert_eq!(live.contents(), contents);
    assert_eq!(soon(store.check()).await.unwrap(), [""; 0]);
    drop(account);
    // Without closing: what was acknowledged is on the disk.
    let cut = disk.after_power_cut(disk.calls(), 0);
    recovers(&cut, &[&live], false).await;
    soon(store.close()).await;
    refused > 0
}

/// Once the disk works, an operation succeeds.
async fn goes_on(store: &dyn Store, account: &dyn Account, contents: &mut Contents) {
    let op = Op::Append("INBOX".into(), vec![88_001], "");
    for _ in 0..3_000 {
        match soon(perform(store, account, &op)).await {
            Ok(done) => return contents.apply(&op, &done),
            Err(error) => assert!(!is_refusal(&error), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the store does not go on");
}

async fn retry(mut what: impl AsyncFnMut() -> Result<()>) {
    for _ in 0..3_000 {
        if soon(what()).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("the store does not go on");
}

impl Contents {
    /// Those of a new account, without reading anything.
    fn of_new(account: &dyn Account) -> Self {
        let mut contents = Self::default();
        for key in account.tree().mailboxes.keys() {
            contents.apply(&Op::Create(key.as_str().to_owned()), &Default::default());
            let on = store::Subscription::On;
            let op = Op::Subscribe(name(key.as_str()).to_string(), on);
            contents.apply(&op, &Default::default());
        }
        contents
    }
}

#[test]
fn a_full_disk_can_be_emptied() {
    run(async {
        let disk = SimDisk::new();
        let store = open_store(&disk).unwrap();
        store.create_account(new_account("model")).await.unwrap();
        let account = open_account(&*store).await.unwrap();
        let inbox = open(&*account, "INBOX").await;
        let trash = id_of(&*account, "Trash").unwrap();
        append_many(&*account, inbox.id(), 3).await;
        disk.set_free_bytes(Some(64 << 20));
        let seen = flags("\\Seen \\Deleted");
        let (add, remove) = (FlagChange::Add, FlagChange::Remove);
        // The store looks now and then.
        retry(async || {
            account
                .upload(10)
                .await
                .err()
                .map(drop)
                .ok_or(Error::Denied)
        })
        .await;
        let stored = inbox.store_flags(&all(), add, &seen, None).await;
        assert_eq!(stored.unwrap().done.count(), 3);
        assert_eq!(account.upload(10).await.err(), Some(Error::DiskFull));
        assert_eq!(inbox.copy(&all(), trash).await, Err(Error::DiskFull));
        let created = account.create_mailbox(&name("x"), &[]).await;
        assert_eq!(created.err(), Some(Error::DiskFull));
        let created = store.create_account(new_account("b")).await;
        assert_eq!(created.err(), Some(Error::DiskFull));
        inbox.move_to(&uids(&[1]), trash).await.unwrap();
        inbox
            .store_flags(&uids(&[2]), remove, &seen, None)
            .await
            .unwrap();
        assert_eq!(inbox.expunge(Expunge::Deleted).await, Ok(uids(&[3])));
        account.delete_mailbox(trash).await.unwrap();
        disk.set_free_bytes(None);
        retry(async || account.upload(10).await.map(drop)).await;
        append_many(&*account, inbox.id(), 1).await;
        assert_eq!(account.usage().messages, 2);
        assert_eq!(store.check().await.unwrap(), [""; 0]);
    });
}

/// Several sessions write while the disk fails now and then: what was acknowledged is there once.
async fn sessions_on_a_failing_disk(seed: u64) {
    let disk = SimDisk::new();
    let store = open_store(&disk).unwrap();
    store.create_account(new_account("model")).await.unwrap();
    let account = open_account(&*store).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..6u32 {
        let account = Arc::clone(&account);
        writers.push(tokio::spawn(soon(write(account, seed, writer))));
    }
    let mut dice = Dice::new(seed);
    while !writers.iter().all(tokio::task::JoinHandle::is_finished) {
        let (fault, for_ever) = FAULTS[dice.below(8) as usize];
        let at = disk.calls() + u64::from(dice.below(40));
        disk.set_plan(Some(Plan {
            at,
            fault,
            for_ever,
        }));
        tokio::time::sleep(Duration::from_millis(20)).await;
        disk.set_plan(None);
        tokio::time::sleep(Duration::from_millis(u64::from(dice.below(60)))).await;
    }
    disk.set_plan(None);
    let mut acknowledged = BTreeMap::new();
    for writer in writers {
        for (uid, number) in writer.await.unwrap() {
            assert_eq!(
                acknowledged.insert(uid, number),
                None,
                "a UID was given twice"
            );
        }
    }
    println!("seed {seed}: {} acknowledged", acknowledged.len());
    retry(async || write_one(&*account, 77_000).await.map(drop)).await;
    let trash = id_of(&*account, "Trash").unwrap();
    let cut = disk.after_power_cut(disk.calls(), seed);
    soon(store.close()).await;
    for disk in [disk, cut] {
        let store = open_store(&disk).unwrap();
        let account = open_account(&*store).await.unwrap();
        assert_eq!(soon(store.check()).await.unwrap(), [""; 0]);
        let mailbox = account
            .open_mailbox(trash, Access::ReadWrite)
            .await
            .unwrap();
        for (uid, number) in &acknowledged {
            let bytes = read(&*mailbox, *uid).await;
            assert!(bytes == made(*number).0.as_bytes(), "UID {uid}");
        }
        soon(store.close()).await;
    }
}

/// Appends to INBOX and moves into Trash, and notes what was acknowledged there.
async fn write(account: Arc<dyn Account>, seed: u64, writer: u32) -> Vec<(Uid, u32)> {
    let mut dice = Dice::new(seed * 100 + u64::from(writer));
    let mut noted = Vec::new();
    for n in 0..60 {
        let number = writer * 1_000 + n;
        let Ok(uid) = write_one(&*account, number).await else {
            tokio::time::sleep(Duration::from_millis(3)).await;
            continue;
        };
        let Ok(inbox) = open_for(&*account, "INBOX", Access::ReadWrite).await else {
            continue;
        };
        let trash = id_of(&*account, "Trash").unwrap();
        let moved = match dice.below(2) {
            0 => inbox.move_to(&uids(&[uid.get()]), trash).await,
            _ => inbox.copy(&uids(&[uid.get()]), trash).await,
        };
        match moved {
            Ok(moved) => noted.push((moved.to.first().unwrap(), number)),
            Err(error) => assert!(!is_refusal(&error), "{error}"),
        }
    }
    noted
}

async fn write_one(account: &dyn Account, number: u32) -> Result<Uid> {
    let (text, fixed) = &*made(number);
    let message = try_message(account, text.as_bytes(), fixed.clone(), "").await?;
    let inbox = id_of(account, "INBOX").unwrap();
    let appended = account.append(inbox, vec![message]).await?;
    Ok(appended.uids.first().unwrap())
}

#[test]
fn sessions_on_a_failing_disk_lose_nothing() {
    let seeds: Vec<u64> = (1..=8).collect();
    each(&seeds, |seed| run(sessions_on_a_failing_disk(*seed)));
}

#[test]
fn long_a_fault_at_every_call_is_answered_and_passes() {
    let disk = SimDisk::new();
    let workload = run(undisturbed(&disk));
    let total = disk.calls();
    let mut plans = Vec::new();
    for at in 1..=total {
        for (n, (fault, for_ever)) in FAULTS.into_iter().enumerate() {
            // The sample fails each call in one way.
            if is_thorough() || n as u64 == at % FAULTS.len() as u64 {
                plans.push(Plan {
                    at,
                    fault,
                    for_ever,
                });
            }
        }
    }
    let refusals = each(&plans, |plan| {
        run(disturbed(&SimDisk::new(), *plan, &workload))
    });
    let (cases, refusals) = (plans.len(), refusals.iter().filter(|r| **r).count());
    println!(
        "{cases} faults in a workload of {OPERATIONS} operations, {refusals} refused something"
    );
}

/// Runs a case on each, several at a time since most of it is waiting; names one that fails.
fn each<C: Sync + std::fmt::Debug, T: Send>(cases: &[C], case: impl Fn(&C) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(one) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            match catch_unwind(AssertUnwindSafe(|| case(one))) {
                Ok(result) => done.push(result),
                Err(_) => panic!("{one:?}"),
            }
        }
        done
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(work)).collect();
        let done = workers.into_iter().map(|worker| worker.join());
        done.flat_map(|done| done.expect("a case failed")).collect()
    })
}
