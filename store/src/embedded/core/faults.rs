//! Power cuts and failing calls at every call of a workload (issue 2, Done when 5).
//!
//! One run on a disk that writes down every change gives the disk as the power could have left it
//! after each call; each is opened with the index as it was left, absent, as garbage, as any
//! earlier checkpoint, and absent with the summaries spoilt too. For faults the workload is run
//! again per call and kind, and so is opening a store whose log is damaged. What was acknowledged
//! must be there exactly once, what was not must be there whole or not at all.
//!
//! By default a sample is tried, with each checkpoint at least once; `STORE_FAULTS=all` tries all.
//! The count is printed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::{Duration, Instant},
};

use mail::{
    flag::{Keyword, SystemFlags},
    id::Uid,
    mailbox::MailboxName,
};

use super::{
    tests::{
        ACCOUNT, account, body, mailbox, message, options, packed, queue, segments_of,
        summaries_of, text, wait_for_summaries,
    },
    *,
};
use crate::{
    clock::ManualClock,
    disk::{Fault, Plan, SimDisk},
    embedded::record::{BodyData, FlagsRecord},
};

const OPERATIONS: usize = 200;
const DIR: &str = "/store";
const INDEX: &str = "/store/index/index.redb";

fn is_full() -> bool {
    std::env::var("STORE_FAULTS").is_ok_and(|how| how == "all")
}

/// What a mailbox is, told independently of the engine.
#[derive(Clone, PartialEq, Debug, Default)]
struct Mail {
    name: String,
    /// UID to (mod-sequence, body, size, flags, keywords).
    rows: BTreeMap<u32, (u64, u64, u32, u8, Vec<String>)>,
    uid_next: u32,
    highest: u64,
    recent_floor: u32,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Model {
    mailboxes: BTreeMap<u64, Mail>,
    subscriptions: BTreeSet<String>,
}

/// Plans operations; its numbers never go back, also when a plan fails.
struct Driver {
    random: u64,
    next: u64,
}

struct Planned {
    model: Model,
    records: Vec<Record>,
    /// A body to be written before.
    large: Option<(BodyId, Vec<u8>)>,
}

impl Driver {
    fn new(seed: u64) -> Self {
        Self {
            random: seed * 2 + 1,
            next: 1,
        }
    }

    fn below(&mut self, n: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random % n as u64).unwrap()
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn plan(&mut self, model: &Model) -> Planned {
        let mut planned = Planned {
            model: model.clone(),
            records: Vec::new(),
            large: None,
        };
        if model.mailboxes.is_empty() {
            planned.records.push(account());
            self.create(&mut planned);
            return planned;
        }
        let at = self.below(model.mailboxes.len());
        let id = *model.mailboxes.keys().nth(at).unwrap();
        match self.below(20) {
            0 if model.mailboxes.len() < 6 => self.create(&mut planned),
            1 if model.mailboxes.len() > 2 => delete(&mut planned, id),
            2 => self.rename(&mut planned, id),
            3 => self.subscribe(&mut planned),
            4 => recent(&mut planned, id),
            5..8 => self.expunge(&mut planned, id),
            8..12 => self.flag(&mut planned, id),
            12 => self.copy(&mut planned, id),
            _ => self.deliver(&mut planned, id),
        }
        planned
    }

    fn create(&mut self, planned: &mut Planned) {
        let id = self.number();
        let name = format!("Box {id}");
        planned
            .records
            .push(mailbox(MailboxId::new(id).unwrap(), &name));
        let mail = Mail {
            name,
            uid_next: 1,
            highest: 1,
            recent_floor: 1,
            ..Mail::default()
        };
        planned.model.mailboxes.insert(id, mail);
    }

    fn rename(&mut self, planned: &mut Planned, id: u64) {
        let name = format!("Renamed {}", self.number());
        let names = vec![(
            MailboxId::new(id).unwrap(),
            MailboxName::new(&name).unwrap(),
        )];
        planned.records.push(Record::Renamed(ACCOUNT, names));
        planned.model.mailboxes.get_mut(&id).unwrap().name = name;
    }

    fn subscribe(&mut self, planned: &mut Planned) {
        let name = format!("Name {}", self.below(4));
        let record = MailboxName::new(&name).unwrap();
        if planned.model.subscriptions.remove(&name) {
            planned.records.push(Record::Unsubscribed(ACCOUNT, record));
        } else {
            planned.model.subscriptions.insert(name);
            planned.records.push(Record::Subscribed(ACCOUNT, record));
        }
    }

    /// UIDs are numbers too: greater than any before.
    fn deliver(&mut self, planned: &mut Planned, id: u64) {
        let count = 1 + self.below(3);
        let mut messages = Vec::new();
        for _ in 0..count {
            let number = self.number();
            let is_large = planned.large.is_none() && self.below(30) == 0;
            let bytes = content(number, is_large);
            let data = if is_large {
                BodyData::Before
            } else {
                packed(&bytes)
            };
            planned.records.push(body(number, data, &bytes));
            if is_large {
                planned.large = Some((BodyId::new(number).unwrap(), bytes.to_vec()));
            }
            let uid = u32::try_from(number).unwrap();
            messages.push(message(uid, number, number, bytes.len()));
            let mail = planned.model.mailboxes.get_mut(&id).unwrap();
            let size = u32::try_from(bytes.len()).unwrap();
            mail.rows.insert(uid, (number, number, size, 0, Vec::new()));
            (mail.uid_next, mail.highest) = (uid + 1, number);
        }
        planned.records.push(Record::Messages(
            ACCOUNT,
            MailboxId::new(id).unwrap(),
            messages,
        ));
    }

    fn copy(&mut self, planned: &mut Planned, from: u64) {
        let to = *planned.model.mailboxes.keys().next().unwrap();
        let rows: Vec<_> = planned.model.mailboxes[&from]
            .rows
            .values()
            .cloned()
            .collect();
        let mut messages = Vec::new();
        for (_, body, size, bits, keywords) in rows.into_iter().take(20) {
            let number = self.number();
            let uid = u32::try_from(number).unwrap();
            let mut record = message(uid, number, body, size as usize);
            record.system = SystemFlags::from_bits(bits);
            record.keywords = keywords.iter().map(|k| Keyword::new(k).unwrap()).collect();
            messages.push(record);
            let mail = planned.model.mailboxes.get_mut(&to).unwrap();
            mail.rows.insert(uid, (number, body, size, bits, keywords));
            (mail.uid_next, mail.highest) = (uid + 1, number);
        }
        planned.records.push(Record::Messages(
            ACCOUNT,
            MailboxId::new(to).unwrap(),
            messages,
        ));
    }

    fn some(&mut self, mail: &Mail, one_in: usize) -> Vec<u32> {
        mail.rows
            .keys()
            .copied()
            .filter(|_| self.below(one_in) == 0)
            .collect()
    }

    fn flag(&mut self, planned: &mut Planned, id: u64) {
        let number = self.number();
        let mail = planned.model.mailboxes.get_mut(&id).unwrap();
        let system = SystemFlags::from_bits(u8::try_from(self.below(32)).unwrap());
        let keywords = match self.below(3) {
            0 => Vec::new(),
            n => vec![format!("$Label{n}")],
        };
        let uids = self.some(mail, 3);
        for uid in &uids {
            let row = mail.rows.get_mut(uid).unwrap();
            (row.0, row.3, row.4) = (number, system.bits(), keywords.clone());
        }
        mail.highest = number;
        let flags = FlagsRecord {
            uids: uids.iter().map(|uid| Uid::new(*uid).unwrap()).collect(),
            system,
            keywords: keywords.iter().map(|k| Keyword::new(k).unwrap()).collect(),
        };
        let mod_seq = ModSeq::new(number).unwrap();
        let id = MailboxId::new(id).unwrap();
        planned
            .records
            .push(Record::Flags(ACCOUNT, id, mod_seq, vec![flags]));
    }

    fn expunge(&mut self, planned: &mut Planned, id: u64) {
        let number = self.number();
        let mail = planned.model.mailboxes.get_mut(&id).unwrap();
        let uids = self.some(mail, 4);
        for uid in &uids {
            mail.rows.remove(uid);
        }
        mail.highest = number;
        let uids = uids.iter().map(|uid| Uid::new(*uid).unwrap()).collect();
        let mod_seq = ModSeq::new(number).unwrap();
        let id = MailboxId::new(id).unwrap();
        planned
            .records
            .push(Record::Expunged(ACCOUNT, id, mod_seq, uids));
    }
}

fn delete(planned: &mut Planned, id: u64) {
    planned.model.mailboxes.remove(&id);
    planned
        .records
        .push(Record::MailboxDeleted(ACCOUNT, MailboxId::new(id).unwrap()));
}

fn recent(planned: &mut Planned, id: u64) {
    let mail = planned.model.mailboxes.get_mut(&id).unwrap();
    mail.recent_floor = mail.uid_next;
    let uid = Uid::new(mail.uid_next).unwrap();
    planned.records.push(Record::RecentFloor(
        ACCOUNT,
        MailboxId::new(id).unwrap(),
        uid,
    ));
}

fn content(number: u64, is_large: bool) -> Bytes {
    let text = text(number);
    if is_large {
        text.repeat(100).into()
    } else {
        text
    }
}

/// What the store says it holds; every body is read.
fn image(core: &Core) -> Result<Model> {
    let mut model = Model::default();
    let image = match core.load_account(ACCOUNT) {
        Err(Error::NotFound(_)) => return Ok(model),
        image => image?,
    };
    for (record, summary) in image.mailboxes {
        let state = core.load_mailbox(ACCOUNT, record.id)?;
        assert_eq!(state.summary, state.recount());
        assert_eq!(state.summary, summary);
        let mut mail = Mail {
            name: record.name.as_str().to_owned(),
            rows: BTreeMap::new(),
            uid_next: summary.uid_next.get(),
            highest: summary.highest_mod_seq.get(),
            recent_floor: state.recent_floor.get(),
        };
        for (uid, row) in state.rows() {
            let flags = state.flags(row);
            let keywords = flags
                .keywords()
                .iter()
                .map(|k| k.as_str().to_owned())
                .collect();
            let value = (
                row.mod_seq.get(),
                row.body.get(),
                row.size,
                row.system.bits(),
                keywords,
            );
            mail.rows.insert(uid.get(), value);
            let bytes = core.read_body(row.body, 0, usize::MAX)?;
            let number = row.body.get();
            let is_it = bytes == content(number, false) || bytes == content(number, true);
            assert!(is_it && bytes.len() == row.size as usize, "body {number}");
            assert_eq!(
                core.fixed(&[row.body])?[0].envelope,
                format!("(envelope {number})")
            );
        }
        model.mailboxes.insert(record.id.get(), mail);
    }
    model.subscriptions = image
        .subscriptions
        .iter()
        .map(|n| n.as_str().to_owned())
        .collect();
    Ok(model)
}

/// A run: the model after each acknowledged operation, and the disk's call at which it was.
struct Run {
    models: Vec<Model>,
    acknowledged: Vec<u64>,
    driver: Driver,
    /// The call with which the store was open.
    opened: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            models: vec![Model::default()],
            acknowledged: vec![0],
            driver: Driver::new(seed),
            opened: 0,
        }
    }

    fn last(&self) -> &Model {
        self.models.last().unwrap()
    }

    /// Plans a few operations, each on the one before, and queues them together. What fails ends
    /// the epoch, so that what was planned on it fails too.
    fn some(&mut self, core: &Core, disk: &SimDisk) -> Result<()> {
        let epoch = core.epoch();
        let mut model = self.last().clone();
        let mut waiting = Vec::new();
        let (mut written, mut outcome) = (Ok(()), Ok(()));
        for _ in 0..1 + self.driver.below(3) {
            let planned = self.driver.plan(&model);
            if let Some((id, bytes)) = &planned.large {
                let mut pieces = bytes.chunks(50_000).map(|p| Ok(Bytes::copy_from_slice(p)));
                written = core.body_frames(epoch, *id, &mut pieces);
                if written.is_err() {
                    // Those before it do not stand on it.
                    break;
                }
            }
            model = planned.model;
            waiting.push((model.clone(), queue(core, epoch, planned.records)));
        }
        for (model, told) in waiting {
            let told = told.recv().unwrap();
            if let Err(error) = told {
                outcome = Err(error);
                continue;
            }
            assert!(outcome.is_ok(), "an operation was done whose base was not");
            self.models.push(model);
            self.acknowledged.push(disk.calls());
        }
        outcome.and(written)
    }

    /// Whether it is time to give space back.
    fn is_compacted(&mut self) -> bool {
        self.driver.below(5) == 0
    }

    /// Which states may be found after the power failed behind a call.
    fn allowed(&self, calls: u64) -> &[Model] {
        let from = self.acknowledged.partition_point(|at| *at <= calls) - 1;
        &self.models[from..self.models.len().min(from + 5)]
    }
}

/// Opens it when what was deleted may go.
fn open_sim(disk: &SimDisk) -> Result<Opened> {
    let opened = open_sim_at_once(disk)?;
    opened.core.shared.gate.pass_all()?;
    Ok(opened)
}

fn open_sim_at_once(disk: &SimDisk) -> Result<Opened> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let options = Options {
        undelete_secs: 0,
        ..options()
    };
    let clock = Arc::new(ManualClock::new(1_700_000_100));
    Core::open(&disk, Path::new(DIR), &options, clock)
}

/// What becomes of the index.
#[derive(Clone, Copy, Debug)]
enum Lost {
    /// It is as the power cut left it.
    Nothing,
    Absent,
    Garbage,
    /// It is absent, and of the summaries some are absent too and some are garbage.
    WithSummaries,
    /// It is as it was durable with an earlier call.
    Earlier(u64),
}

fn lose(disk: &SimDisk, whole: &SimDisk, how: Lost, seed: u64) {
    let index = Path::new(INDEX);
    let content = disk.files().remove(index);
    match (how, content) {
        (Lost::Nothing, _) => {}
        (Lost::WithSummaries, _) => {
            disk.put(index, None);
            for (at, path) in summaries_of(disk).into_iter().enumerate() {
                let mut bytes = disk.files().remove(&path).unwrap();
                let len = bytes.len();
                let at = usize::try_from(seed).unwrap() + at;
                match bytes.get_mut(at * 37 % len.max(1)) {
                    Some(byte) if at % 3 > 0 => *byte ^= 0x40,
                    _ => bytes.truncate(len / 2),
                }
                disk.put(&path, (at % 5 > 0).then_some(bytes));
            }
        }
        (Lost::Absent, _) | (_, None) => disk.put(index, None),
        (Lost::Garbage, Some(mut bytes)) => {
            let mut driver = Driver::new(seed + 7);
            let len = bytes.len().max(1);
            match driver.below(3) {
                0 => bytes.truncate(driver.below(len)),
                1 => bytes.fill(0xa5),
                _ => (0..200).for_each(|_| {
                    let at = driver.below(len);
                    bytes
                        .iter_mut()
                        .skip(at)
                        .take(64)
                        .for_each(|byte| *byte ^= 0x55);
                }),
            }
            disk.put(index, Some(bytes));
        }
        (Lost::Earlier(calls), Some(_)) => {
            let earlier = whole.after_power_cut(calls, 0).files().remove(index);
            disk.put(index, earlier);
        }
    }
}

/// The calls with which the index became durable, each time as something else.
fn checkpoints(disk: &SimDisk) -> Vec<u64> {
    let mut last = None;
    let mut at = Vec::new();
    for call in 1..=disk.calls() {
        let index = disk
            .after_power_cut(call, 0)
            .files()
            .remove(Path::new(INDEX));
        let digest = index.map(|bytes| blake3::hash(&bytes));
        if digest.is_some() && digest != last {
            at.push(call);
        }
        last = digest;
    }
    at
}

/// Calls to cut the power at, each with a seed and what becomes of the index.
fn cuts(disk: &SimDisk, checkpoints: &[u64]) -> Vec<(u64, u64, Lost)> {
    let calls = disk.calls();
    let step = if is_full() { 1 } else { 1 + calls / 150 };
    let seeds = if is_full() { 6 } else { 3 };
    let ways = [
        Lost::Nothing,
        Lost::Absent,
        Lost::Garbage,
        Lost::WithSummaries,
    ];
    let mut cases = Vec::new();
    for call in (1..=calls).step_by(usize::try_from(step).unwrap()) {
        for seed in 0..seeds {
            for (at, how) in ways.into_iter().enumerate() {
                // The sample takes the index as it is, and now and then one way of losing it.
                let is_chosen = at == 0 || (call / step + seed) % 5 + 1 == at as u64;
                if is_full() || is_chosen {
                    cases.push((call, seed, how));
                }
            }
        }
    }
    let mut driver = Driver::new(calls);
    for (nth, at) in (0u64..).zip(checkpoints) {
        let later = at + 1..=calls;
        if is_full() {
            cases.extend(later.map(|call| (call, (call + nth) % 6, Lost::Earlier(*at))));
        } else if !later.is_empty() {
            let behind = driver.below(usize::try_from(calls - at).unwrap());
            let call = at + 1 + behind as u64;
            cases.push((call, nth % 6, Lost::Earlier(*at)));
        }
    }
    cases
}

#[test]
fn long_a_power_cut_at_every_call() {
    let (disk, mut run) = (SimDisk::new(), Run::new(3));
    let opened = open_sim(&disk).unwrap();
    run.opened = disk.calls();
    while run.models.len() < OPERATIONS {
        run.some(&opened.core, &disk).unwrap();
        if run.is_compacted() {
            opened.core.compact().unwrap();
        }
    }
    wait_for_summaries(&disk);
    opened.core.close();
    let files = opened.core.shared.segments.rewritten();
    let rewritten: u32 = files.values().map(|file| file >> 24).sum();
    let began = Instant::now();
    let checkpoints = checkpoints(&disk);
    let cases = cuts(&disk, &checkpoints);
    for (call, seed, how) in &cases {
        after_a_cut(&disk, &run, (*call, *seed), *how);
    }
    println!(
        "{} power cuts at {} calls, {} earlier checkpoints, {} segments, {} rewritten, {:?}",
        cases.len(),
        disk.calls(),
        checkpoints.len(),
        segments_of(&disk).len(),
        rewritten,
        began.elapsed()
    );
    assert!(rewritten > 3);
}

/// Whether no segment was rewritten between two states of a disk.
fn is_as_rewritten(disk: &SimDisk, earlier: &SimDisk) -> bool {
    let paths = |disk| -> BTreeSet<PathBuf> {
        let segments = segments_of(disk).into_iter();
        segments.map(|(path, _)| path).collect()
    };
    let is_rewritten = |path: &&PathBuf| path.with_extension("").extension().is_some();
    let (now, before) = (paths(disk), paths(earlier));
    before.is_subset(&now) && now.iter().filter(is_rewritten).all(|p| before.contains(p))
}

fn after_a_cut(disk: &SimDisk, run: &Run, (call, seed): (u64, u64), how: Lost) {
    let after = disk.after_power_cut(call, seed);
    lose(&after, disk, how, call + seed);
    let case = format!("call {call}, seed {seed}, index {how:?}");
    let found = after.after_power_cut(0, 0);
    let is_same_since = |at| is_as_rewritten(&found, &disk.after_power_cut(at, 1));
    let opened = open_sim(&after).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(opened.damage, Vec::<String>::new(), "{case}");
    // Its own unsynced writes cost an index what came after its checkpoint, not all.
    let may_be_new = match how {
        Lost::Nothing => call < run.opened,
        // It may know segments that were rewritten since.
        Lost::Earlier(at) => at < run.opened || !is_same_since(at),
        _ => true,
    };
    assert!(may_be_new || !opened.core.is_index_new, "{case}");
    let found = image(&opened.core).unwrap_or_else(|error| panic!("{case}: {error}"));
    let is_allowed = run.allowed(call).contains(&found);
    assert!(
        is_allowed,
        "{case}: found {found:#?}, not one of {:#?}",
        run.allowed(call)
    );
    // It goes on, and what it writes now is there after the next opening.
    let mut next = Run::new(call);
    next.models = vec![found];
    next.driver.next = 1_000_000 + call;
    next.some(&opened.core, &after)
        .unwrap_or_else(|error| panic!("{case}: {error}"));
    opened.core.close();
    let opened = open_sim(&after).unwrap_or_else(|error| panic!("{case}, again: {error}"));
    assert_eq!(
        image(&opened.core).as_ref(),
        Ok(next.last()),
        "{case}, again"
    );
    opened.core.close();
}

/// Cases that run at a time: most of a case's time is a store that waits to try again.
const AT_A_TIME: usize = 4;

/// Fails `whole` calls, or in a short run a dozen of them, in every way, once and for ever; counts
/// the cases in `cases`.
fn each_fault(whole: u64, cases: &mut u64, case: impl Fn(Plan) + Sync) {
    let plans = Mutex::new(plans(whole, cases).into_iter());
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                loop {
                    let plan = plans.lock().next();
                    let Some(plan) = plan else { return };
                    case(plan);
                }
            });
        }
    });
}

fn plans(whole: u64, cases: &mut u64) -> Vec<Plan> {
    let step = if is_full() { 1 } else { 1 + whole / 12 };
    let mut plans = Vec::new();
    for fault in [
        Fault::Eio,
        Fault::Enospc,
        Fault::ShortWrite,
        Fault::FailedSync,
    ] {
        for for_ever in [false, true] {
            let mut at = 1 + *cases % step;
            while at <= whole {
                plans.push(Plan {
                    at,
                    fault,
                    for_ever,
                });
                *cases += 1;
                at += step;
            }
        }
    }
    plans
}

#[test]
fn long_a_failing_call_of_every_kind() {
    let whole = {
        let (disk, mut run) = (SimDisk::new(), Run::new(5));
        let opened = open_sim(&disk).unwrap();
        while run.models.len() < OPERATIONS {
            run.some(&opened.core, &disk).unwrap();
            if run.is_compacted() {
                opened.core.compact().unwrap();
            }
        }
        opened.core.close();
        disk.calls()
    };
    let (mut cases, began) = (0u64, Instant::now());
    each_fault(whole, &mut cases, failing);
    println!("{cases} faults in {whole} calls, {:?}", began.elapsed());
}

/// Runs the workload with a fault in it, heals the disk, and expects all that was acknowledged
/// and nothing else, now and after a power cut.
fn failing(plan: Plan) {
    let (disk, mut run) = (SimDisk::new(), Run::new(5));
    disk.set_plan(Some(plan));
    let opened = match open_sim(&disk) {
        Ok(opened) => opened,
        Err(_) => {
            disk.set_plan(None);
            open_sim(&disk).unwrap_or_else(|error| panic!("{plan:?}: {error}"))
        }
    };
    let mut failed = 0;
    for _ in 0..OPERATIONS / 2 {
        // With a fault that stays, some failures are enough.
        if run.some(&opened.core, &disk).is_err() {
            failed += 1;
            if plan.for_ever && failed == 5 {
                break;
            }
        }
        if run.is_compacted() {
            // What it cannot do now it does later.
            let _ = opened.core.compact();
        }
    }
    disk.set_plan(None);
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = run.some(&opened.core, &disk) {
        assert!(
            Instant::now() < deadline,
            "{plan:?}: writing does not go on: {error}"
        );
        std::thread::yield_now();
    }
    let mut found = image(&opened.core);
    while let Err(error) = found {
        assert!(
            Instant::now() < deadline,
            "{plan:?}: reading does not go on: {error}"
        );
        std::thread::yield_now();
        found = image(&opened.core);
    }
    assert_eq!(found.as_ref(), Ok(run.last()), "{plan:?}: now");
    while let Err(error) = opened.core.compact() {
        assert!(
            Instant::now() < deadline,
            "{plan:?}: space is not given back: {error}"
        );
        std::thread::yield_now();
    }
    assert_eq!(
        image(&opened.core).as_ref(),
        Ok(run.last()),
        "{plan:?}: compacted"
    );
    let after = disk.after_power_cut(disk.calls(), 0);
    opened.core.close();
    for (disk, when) in [(disk, "reopened"), (after, "after a power cut")] {
        let opened = open_sim(&disk).unwrap_or_else(|error| panic!("{plan:?}, {when}: {error}"));
        assert_eq!(opened.damage, Vec::<String>::new(), "{plan:?}, {when}");
        assert_eq!(
            image(&opened.core).as_ref(),
            Ok(run.last()),
            "{plan:?}, {when}"
        );
        opened.core.close();
    }
}

/// A store whose log is damaged, without an index, and with or without summaries: what it holds
/// when nothing else goes wrong.
fn damaged(with_summaries: bool) -> (SimDisk, Vec<String>, Model) {
    let (disk, mut run) = (SimDisk::new(), Run::new(9));
    let opened = open_sim(&disk).unwrap();
    while run.models.len() < OPERATIONS / 2 {
        run.some(&opened.core, &disk).unwrap();
    }
    wait_for_summaries(&disk);
    opened.core.close();
    disk.put(Path::new(INDEX), None);
    if !with_summaries {
        summaries_of(&disk)
            .iter()
            .for_each(|path| disk.put(path, None));
    }
    let segments = segments_of(&disk);
    let (path, mut bytes) = segments.into_iter().next().unwrap();
    // A record of the newest segment would be a torn tail.
    let at = bytes.len() * 3 / 4;
    bytes[at] ^= 1;
    disk.put(&path, Some(bytes));
    let fresh = disk.after_power_cut(0, 0);
    let opened = open_sim(&fresh).unwrap();
    let mut report = Vec::new();
    opened.core.check(&mut report).unwrap();
    let found = image_of_damaged(&opened.core).unwrap();
    (disk, report, found)
}

/// As [`image`], of a store in which bodies may be lost.
fn image_of_damaged(core: &Core) -> Result<Model> {
    let mut model = Model::default();
    for (record, summary) in core.load_account(ACCOUNT)?.mailboxes {
        let state = core.load_mailbox(ACCOUNT, record.id)?;
        assert_eq!(state.summary, state.recount());
        let mut mail = Mail {
            name: record.name.as_str().to_owned(),
            uid_next: summary.uid_next.get(),
            highest: summary.highest_mod_seq.get(),
            ..Mail::default()
        };
        for (uid, row) in state.rows() {
            let is_there = core.read_body(row.body, 0, usize::MAX).is_ok();
            let value = (
                row.mod_seq.get(),
                row.body.get(),
                row.size,
                row.system.bits(),
                vec![is_there.to_string()],
            );
            mail.rows.insert(uid.get(), value);
        }
        model.mailboxes.insert(record.id.get(), mail);
    }
    Ok(model)
}

#[test]
fn long_a_failing_call_while_a_damaged_log_is_opened() {
    let (mut cases, began) = (0u64, Instant::now());
    for with_summaries in [true, false] {
        let (disk, report, found) = damaged(with_summaries);
        assert!(
            report
                .iter()
                .any(|line| line.contains("kept as quarantine/")),
            "{report:?}"
        );
        let whole = {
            let fresh = disk.after_power_cut(0, 0);
            open_sim(&fresh).unwrap().core.close();
            fresh.calls()
        };
        each_fault(whole, &mut cases, |plan| {
            failing_open(&disk.after_power_cut(0, 0), plan, (&report, &found));
        });
    }
    println!(
        "{cases} faults while a damaged log is opened, {:?}",
        began.elapsed()
    );
}

/// Opens a damaged store while a call fails: when the disk works again, what it holds and what is
/// told of the damage is what it would have been.
fn failing_open(disk: &SimDisk, plan: Plan, (report, found): (&[String], &Model)) {
    disk.set_plan(Some(plan));
    let opened = open_sim_at_once(disk);
    disk.set_plan(None);
    let opened = opened
        .or_else(|_| open_sim(disk))
        .unwrap_or_else(|error| panic!("{plan:?}: {error}"));
    opened.core.shared.gate.pass_all().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut now = image_of_damaged(&opened.core);
    while now.is_err() && Instant::now() < deadline {
        std::thread::yield_now();
        now = image_of_damaged(&opened.core);
    }
    assert_eq!(now.as_ref(), Ok(found), "{plan:?}");
    let mut told = Vec::new();
    opened.core.check(&mut told).unwrap();
    assert_eq!(told, report, "{plan:?}");
    opened.core.close();
}
