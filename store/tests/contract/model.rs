//! A plain map that says what a store must hold, and random operations that change both.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry},
    sync::{Arc, LazyLock, Mutex},
};

use mail::{
    flag::FlagChange,
    id::{BodyId, MailboxId, ModSeq, Uid, UidValidity},
    set::UidSet,
};
use store::{
    Access, Account, Expunge, Mailbox, NewMessage, Result, Static, Store, Subscription,
    clock::Clock as _,
};

use crate::support::*;

/// Texts that were compared, by body.
pub(crate) type Texts = HashMap<BodyId, u32>;

/// What the whole account must hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Model {
    pub(crate) mailboxes: BTreeMap<String, Folder>,
    pub(crate) subscriptions: BTreeSet<String>,
    /// What was ever handed out: nothing may be handed out again.
    highest: Highest,
}

/// What a mailbox must hold.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Folder {
    id: MailboxId,
    uid_validity: UidValidity,
    uid_next: Uid,
    mod_seq: ModSeq,
    messages: BTreeMap<Uid, Message>,
}

#[derive(Clone, PartialEq, Debug)]
struct Message {
    /// The number its text is made of.
    text: u32,
    flags: String,
    mod_seq: ModSeq,
}

#[derive(Clone, PartialEq, Debug, Default)]
struct Highest {
    mailbox: Option<MailboxId>,
    uid_validity: Option<UidValidity>,
}

/// One operation of a user.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Append(String, Vec<u32>, &'static str),
    /// To this account and to another one, which shares the end of the text.
    Deliver(String, u32),
    Store(String, UidSet, FlagChange, &'static str),
    Expunge(String, Option<UidSet>),
    Copy(String, UidSet, String),
    Move(String, UidSet, String),
    /// The message of a UID, by one of a text.
    Replace(String, Uid, String, u32, &'static str),
    Create(String),
    Delete(String),
    Rename(String, String),
    Subscribe(String, Subscription),
    /// Space of what was deleted is given back.
    Compact,
}

/// Small numbers from a seed (splitmix64).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from((z ^ (z >> 31)) % u64::from(limit)).unwrap()
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(u32::try_from(choices.len()).unwrap()) as usize]
    }
}

const NAMES: [&str; 7] = ["INBOX", "INBOX", "Sent", "x", "x/y", "x/y/z", "w/v"];
const FLAGS: [&str; 6] = [
    "",
    "\\Seen",
    "\\Deleted",
    "Work",
    "\\Deleted \\Flagged",
    "\\Seen Work Later",
];

/// A message and the static data made of it.
type Made = Arc<(String, Static)>;

/// The message of a number.
pub(crate) fn made(number: u32) -> Made {
    // Making it takes longer than storing it, and each is stored in many cases.
    static MADE: LazyLock<Mutex<HashMap<u32, Made>>> = LazyLock::new(Mutex::default);
    if let Some(made) = MADE.lock().unwrap().get(&number) {
        return Arc::clone(made);
    }
    let text = text(number);
    let fixed = fixed(text.as_bytes());
    let made = Arc::new((text, fixed));
    MADE.lock().unwrap().insert(number, Arc::clone(&made));
    made
}

/// The text of a number; some are long.
fn text(number: u32) -> String {
    let long = match number % 50 {
        7 => 70_000,
        23 => (1 << 20) + 50_000,
        n => n as usize * 20,
    };
    let line = format!("{number} {:x}\r\n", number.wrapping_mul(2_654_435_761));
    let body = line.repeat(long / line.len() + 1);
    format!("Subject: {number}\r\n\r\n{body}")
}

/// An operation that may or may not be possible.
pub(crate) fn random(dice: &mut Dice, next_text: &mut u32) -> Op {
    let name = |dice: &mut Dice| dice.of(&NAMES).to_owned();
    let flags = |dice: &mut Dice| dice.of(&FLAGS);
    let some = |dice: &mut Dice| {
        let first = 1 + dice.below(15);
        UidSet::range(uid(first), uid(first + dice.below(12)))
    };
    match dice.below(49) {
        45.. => {
            *next_text += 1;
            let (from, uid) = (name(dice), uid(1 + dice.below(25)));
            Op::Replace(from, uid, name(dice), *next_text - 1, flags(dice))
        }
        44 => Op::Compact,
        40.. => {
            *next_text += 1;
            Op::Deliver(name(dice), *next_text - 1)
        }
        0..14 => {
            let count = [1, 1, 1, 3][dice.below(4) as usize];
            let texts = (*next_text..*next_text + count).collect();
            *next_text += count;
            Op::Append(name(dice), texts, flags(dice))
        }
        14..22 => {
            let changes = [FlagChange::Add, FlagChange::Remove, FlagChange::Replace];
            let change = changes[dice.below(3) as usize];
            Op::Store(name(dice), some(dice), change, flags(dice))
        }
        22..24 => Op::Expunge(name(dice), None),
        24..26 => Op::Expunge(name(dice), Some(some(dice))),
        26..30 => Op::Copy(name(dice), some(dice), name(dice)),
        30..34 => Op::Move(name(dice), some(dice), name(dice)),
        34..36 => Op::Create(name(dice)),
        36 => Op::Delete(name(dice)),
        37 => Op::Rename(name(dice), name(dice)),
        _ => {
            let subscription = [Subscription::On, Subscription::Off][dice.below(2) as usize];
            Op::Subscribe(name(dice), subscription)
        }
    }
}

// tidy: long because it has an arm for each operation.
/// Does an operation; returns the UIDs of the source and of the target, where it has them. An
/// operation on a mailbox that is not there is nothing.
pub(crate) async fn perform(
    store: &dyn Store,
    account: &dyn Account,
    op: &Op,
) -> Result<(UidSet, UidSet)> {
    let nothing = || Ok((UidSet::new(), UidSet::new()));
    let find = |named: &str| id_of(account, named);
    let open = async |named: &str| match find(named) {
        Some(id) => account.open_mailbox(id, Access::ReadWrite).await.map(Some),
        None => Ok(None),
    };
    match op {
        Op::Append(to, texts, named) => {
            let Some(id) = find(to) else { return nothing() };
            let mut messages = Vec::new();
            for number in texts {
                let (text, fixed) = &*made(*number);
                messages.push(try_message(account, text.as_bytes(), fixed.clone(), named).await?);
            }
            let appended = account.append(id, messages).await?;
            return Ok((UidSet::new(), appended.uids));
        }
        Op::Deliver(to, number) => {
            let Some(id) = find(to) else { return nothing() };
            let appended = deliver(store, account, id, *number).await?;
            return Ok((UidSet::new(), appended.uids));
        }
        Op::Store(named, uids, change, names) => {
            if let Some(mailbox) = open(named).await? {
                mailbox
                    .store_flags(uids, *change, &flags(names), None)
                    .await?;
            }
        }
        Op::Expunge(named, uids) => {
            let Some(mailbox) = open(named).await? else {
                return nothing();
            };
            let which = uids.clone().map_or(Expunge::Deleted, Expunge::DeletedOf);
            return Ok((mailbox.expunge(which).await?, UidSet::new()));
        }
        Op::Copy(from, uids, to) | Op::Move(from, uids, to) => {
            let (Some(mailbox), Some(to)) = (open(from).await?, find(to)) else {
                return nothing();
            };
            let done = match op {
                Op::Copy(..) => mailbox.copy(uids, to).await?,
                _ => mailbox.move_to(uids, to).await?,
            };
            return Ok((done.from, done.to));
        }
        Op::Replace(from, uid, to, number, named) => {
            let (Some(mailbox), Some(to)) = (open(from).await?, find(to)) else {
                return nothing();
            };
            let (text, fixed) = &*made(*number);
            let mut upload = mailbox.upload_replacing(*uid, text.len() as u64).await?;
            upload.write(text.as_bytes()).await?;
            let message = NewMessage {
                upload,
                fixed: fixed.clone(),
                flags: flags(named),
                internal_date: None,
            };
            let appended = mailbox.replace(*uid, to, message).await?;
            return Ok((UidSet::range(*uid, *uid), appended.uids));
        }
        Op::Create(named) => {
            account.create_mailbox(&name(named), &[]).await?;
        }
        Op::Delete(named) => {
            if let Some(id) = find(named) {
                account.delete_mailbox(id).await?;
            }
        }
        Op::Rename(from, to) => account.rename_mailbox(&name(from), &name(to)).await?,
        Op::Subscribe(named, on) => account.subscribe(&name(named), *on).await?,
        Op::Compact => {
            store.compact().await?;
        }
    }
    nothing()
}

/// Delivers a text to the account and to another one, in either order; now and then that other one
/// is removed before. What becomes of the other does not count.
async fn deliver(
    store: &dyn Store,
    account: &dyn Account,
    to: MailboxId,
    number: u32,
) -> Result<store::Appended> {
    let (text, fixed) = &*made(number);
    let (head, rest) = text.split_at(text.find("\r\n").unwrap() + 2);
    let rest = try_shared(store, rest.as_bytes()).await?;
    let to_other = async {
        if number.is_multiple_of(OTHER_LIVES)
            && let Some(other) = store.find_account(OTHER)
        {
            store.remove_account(other.id).await?;
        }
        let other = match store.find_account(OTHER) {
            Some(other) => other,
            None => store.create_account(new_account(OTHER)).await?,
        };
        let other = store.open_account(other.id, actor(other.id)).await?;
        let inbox = id_of(&*other, "INBOX").unwrap();
        let head = format!("{OTHER_HEAD}{head}");
        other
            .deliver(inbox, delivery(&head, &rest, fixed.clone()))
            .await
    };
    let to_this = account.deliver(to, delivery(head, &rest, fixed.clone()));
    if number.is_multiple_of(2) {
        let done = to_this.await;
        let _ = to_other.await;
        done
    } else {
        let _ = to_other.await;
        to_this.await
    }
}

/// Who gets what is delivered too.
const OTHER: &str = "other";
/// What the other's copies begin with.
const OTHER_HEAD: &str = "Delivered-To: other\r\n";
/// The other account is removed before every so-manieth text.
const OTHER_LIVES: u32 = 11;

/// How many messages the other account holds.
pub(crate) async fn count_of_other(store: &dyn Store) -> u64 {
    match store.find_account(OTHER) {
        Some(info) => {
            let account = store.open_account(info.id, actor(info.id)).await;
            account.unwrap().usage().messages
        }
        None => 0,
    }
}

/// Reads what the other account holds: each text must be whole.
pub(crate) async fn read_other(store: &dyn Store) {
    let Some(info) = store.find_account(OTHER) else {
        return;
    };
    let account = store.open_account(info.id, actor(info.id)).await.unwrap();
    let inbox = open(&*account, "INBOX").await;
    for uid in present(&*inbox).iter() {
        let bytes = read(&*inbox, uid).await;
        let text = bytes.strip_prefix(OTHER_HEAD.as_bytes()).unwrap();
        let subject = mail::text::header_values(text, "subject").next();
        let number = subject.unwrap().parse().unwrap();
        assert!(text == made(number).0.as_bytes(), "other's UID {uid}");
    }
}

/// Whether a delivery of this text removes the other account.
pub(crate) const fn ends_other(op: &Op) -> bool {
    matches!(op, Op::Deliver(_, number) if *number % OTHER_LIVES == 0)
}

/// Whether an error says that the operation makes no sense, rather than that the disk failed.
pub(crate) fn is_refusal(error: &store::Error) -> bool {
    use store::Error;
    !matches!(
        error,
        Error::Unavailable(_) | Error::DiskFull | Error::Damaged(_)
    )
}

impl Model {
    /// What an account holds. A text is read and compared unless it is `known`.
    pub(crate) async fn of(account: &dyn Account, known: &mut Texts) -> Self {
        let tree = account.tree();
        let mut model = Self {
            subscriptions: tree
                .subscriptions
                .keys()
                .map(|k| k.as_str().to_owned())
                .collect(),
            ..Self::default()
        };
        for info in tree.mailboxes.values() {
            let mailbox = account
                .open_mailbox(info.id, Access::ReadOnly)
                .await
                .unwrap();
            let state = mailbox.state();
            let summary = account.summary(info.id).unwrap();
            assert_eq!(summary, state.summary);
            let mut folder = Folder {
                id: info.id,
                uid_validity: summary.uid_validity,
                uid_next: summary.uid_next,
                mod_seq: summary.highest_mod_seq,
                messages: BTreeMap::new(),
            };
            for (uid, row) in state.rows() {
                if let Entry::Vacant(unknown) = known.entry(row.body) {
                    unknown.insert(read_text(&*mailbox, uid).await);
                }
                let message = Message {
                    text: known[&row.body],
                    flags: flags_of(&*mailbox, uid),
                    mod_seq: row.mod_seq,
                };
                folder.messages.insert(uid, message);
            }
            model.mailboxes.insert(info.name.to_string(), folder);
        }
        model
    }

    /// Takes what an operation did, which was done on this and turned it into `now`.
    pub(crate) fn follow(&mut self, op: &Op, done: &(UidSet, UidSet), now: &Self) {
        self.check_numbers(now);
        let mut want = self.contents();
        want.apply(op, done);
        assert_eq!(want, now.contents(), "{op:?}");
        self.check_unchanged(now);
        let highest = self.highest.clone();
        *self = now.clone();
        self.highest = highest;
        self.raise();
    }

    /// Numbers only grow, and a mailbox that is new has new ones.
    pub(crate) fn check_numbers(&self, now: &Self) {
        for (named, folder) in &now.mailboxes {
            let known = self.mailboxes.values().find(|f| f.id == folder.id);
            match known {
                Some(old) => {
                    assert!(folder.uid_next >= old.uid_next, "{named}");
                    assert!(folder.mod_seq >= old.mod_seq, "{named}");
                    assert!(folder.uid_validity >= old.uid_validity, "{named}");
                    let added = folder
                        .messages
                        .keys()
                        .filter(|u| !old.messages.contains_key(u));
                    assert!(
                        added.min().is_none_or(|uid| *uid >= old.uid_next),
                        "{named}"
                    );
                }
                None => {
                    assert!(Some(folder.id) > self.highest.mailbox, "{named}");
                    assert!(
                        Some(folder.uid_validity) > self.highest.uid_validity,
                        "{named}"
                    );
                }
            }
            assert!(folder.messages.keys().all(|uid| *uid < folder.uid_next));
            assert!(
                folder
                    .messages
                    .values()
                    .all(|m| m.mod_seq <= folder.mod_seq)
            );
        }
    }

    /// What changed has a mod-sequence above all before; what did not has its own.
    fn check_unchanged(&self, now: &Self) {
        for folder in now.mailboxes.values() {
            let Some(old) = self.mailboxes.values().find(|f| f.id == folder.id) else {
                continue;
            };
            let mut changed = old
                .messages
                .keys()
                .any(|uid| !folder.messages.contains_key(uid));
            for (uid, message) in &folder.messages {
                if old
                    .messages
                    .get(uid)
                    .is_some_and(|m| m.flags == message.flags)
                {
                    assert_eq!(old.messages[uid].mod_seq, message.mod_seq);
                } else {
                    changed = true;
                    assert!(message.mod_seq > old.mod_seq);
                }
            }
            assert_eq!(folder.mod_seq > old.mod_seq, changed);
        }
    }

    fn raise(&mut self) {
        for folder in self.mailboxes.values() {
            let highest = &mut self.highest;
            highest.mailbox = highest.mailbox.max(Some(folder.id));
            highest.uid_validity = highest.uid_validity.max(Some(folder.uid_validity));
        }
    }

    /// The model of an account as it is first seen.
    pub(crate) async fn start(account: &dyn Account) -> Self {
        let mut model = Self::of(account, &mut Texts::new()).await;
        model.raise();
        model
    }

    /// Whether an account that was opened again holds this.
    pub(crate) fn is_held_by(&self, now: &Self) -> bool {
        (&self.mailboxes, &self.subscriptions) == (&now.mailboxes, &now.subscriptions)
    }

    pub(crate) fn contents(&self) -> Contents {
        let of = |folder: &Folder| {
            let messages = folder.messages.iter();
            messages
                .map(|(uid, m)| (*uid, (m.text, m.flags.clone())))
                .collect()
        };
        Contents {
            mailboxes: self
                .mailboxes
                .iter()
                .map(|(n, f)| (n.clone(), of(f)))
                .collect(),
            subscriptions: self.subscriptions.clone(),
        }
    }
}

/// The number of a message's text, which must be that text, with the static data made of it.
async fn read_text(mailbox: &dyn Mailbox, uid: Uid) -> u32 {
    let bytes = read(mailbox, uid).await;
    let subject = mail::text::header_values(&bytes, "subject").next();
    let number = subject.unwrap().parse().unwrap();
    let (text, fixed) = &*made(number);
    assert!(bytes == text.as_bytes(), "UID {uid} is not text {number}");
    let body = mailbox.state().row(uid).unwrap().body;
    let kept = mailbox.fixed(&[body]).await.unwrap();
    assert_eq!(*kept[0], *fixed, "UID {uid}");
    number
}

/// The part of a model that an operation decides.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Contents {
    mailboxes: BTreeMap<String, Messages>,
    subscriptions: BTreeSet<String>,
}

/// Text and flags by UID.
type Messages = BTreeMap<Uid, (u32, String)>;

impl Contents {
    // tidy: long because it has an arm for each operation.
    pub(crate) fn apply(&mut self, op: &Op, (from, to): &(UidSet, UidSet)) {
        match op {
            Op::Append(named, texts, names) => {
                let Some(folder) = self.mailboxes.get_mut(named) else {
                    return;
                };
                assert_eq!(to.count(), texts.len() as u64);
                let flags = normal(&flags(names));
                folder.extend(to.iter().zip(texts.iter().map(|t| (*t, flags.clone()))));
            }
            Op::Deliver(named, text) => {
                let Some(folder) = self.mailboxes.get_mut(named) else {
                    return;
                };
                assert_eq!(to.count(), 1);
                folder.extend(to.iter().map(|uid| (uid, (*text, String::new()))));
            }
            Op::Store(named, uids, change, names) => {
                let Some(folder) = self.mailboxes.get_mut(named) else {
                    return;
                };
                for (_, (_, old)) in folder.iter_mut().filter(|(u, _)| uids.contains(**u)) {
                    *old = normal(&flags(old).changed(*change, &flags(names)));
                }
            }
            Op::Expunge(named, uids) => {
                let Some(folder) = self.mailboxes.get_mut(named) else {
                    return;
                };
                let within = uids.clone().unwrap_or_else(all);
                let goes =
                    |uid: Uid, flags: &str| within.contains(uid) && flags.contains("\\Deleted");
                let gone: UidSet = folder
                    .iter()
                    .filter(|(uid, (_, flags))| goes(**uid, flags))
                    .map(|(uid, _)| *uid)
                    .collect();
                assert_eq!(&gone, from);
                folder.retain(|uid, _| !gone.contains(*uid));
            }
            Op::Copy(source, uids, target) => self.transfer(source, uids, target, (from, to)),
            Op::Move(source, uids, target) => {
                self.transfer(source, uids, target, (from, to));
                let source = self.mailboxes.get_mut(source);
                source
                    .into_iter()
                    .for_each(|f| f.retain(|uid, _| !from.contains(*uid)));
            }
            Op::Replace(source, uid, target, text, names) => {
                if !self.mailboxes.contains_key(source) || !self.mailboxes.contains_key(target) {
                    return;
                }
                assert_eq!(to.count(), 1);
                let gone = self.mailboxes.get_mut(source).unwrap().remove(uid);
                assert!(gone.is_some(), "{uid} was there");
                let flags = normal(&flags(names));
                let added = to.iter().map(|uid| (uid, (*text, flags.clone())));
                self.mailboxes.get_mut(target).unwrap().extend(added);
            }
            Op::Create(named) => self.create(named),
            Op::Delete(named) => {
                self.mailboxes.remove(named);
            }
            Op::Rename(from, to) => self.rename(from, to),
            Op::Subscribe(named, Subscription::On) => {
                self.subscriptions.insert(named.clone());
            }
            Op::Subscribe(named, Subscription::Off) => {
                self.subscriptions.remove(named);
            }
            Op::Compact => {}
        }
    }

    fn transfer(&mut self, source: &str, uids: &UidSet, target: &str, done: (&UidSet, &UidSet)) {
        let (from, to) = done;
        if !self.mailboxes.contains_key(source) || !self.mailboxes.contains_key(target) {
            return;
        }
        let there = self.mailboxes[source]
            .iter()
            .filter(|(u, _)| uids.contains(**u));
        let (numbers, copies): (UidSet, Vec<_>) = (
            there.clone().map(|(uid, _)| *uid).collect(),
            there.map(|(_, message)| message.clone()).collect(),
        );
        assert_eq!(&numbers, from);
        assert_eq!(to.count(), copies.len() as u64);
        let target = self.mailboxes.get_mut(target).unwrap();
        target.extend(to.iter().zip(copies));
    }

    fn create(&mut self, named: &str) {
        for (at, _) in named.match_indices('/').chain([(named.len(), "")]) {
            self.mailboxes.entry(named[..at].to_owned()).or_default();
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        self.create(to);
        if from == "INBOX" {
            let mail = std::mem::take(self.mailboxes.get_mut(from).unwrap());
            let numbered = (1..).map(uid).zip(mail.into_values()).collect();
            self.mailboxes.insert(to.to_owned(), numbered);
            return;
        }
        let below = format!("{from}/");
        let moving: Vec<String> = self
            .mailboxes
            .keys()
            .filter(|n| *n == from || n.starts_with(&below))
            .cloned()
            .collect();
        if !moving.iter().any(|n| n == from) {
            self.mailboxes.remove(to);
        }
        for old in moving {
            let messages = self.mailboxes.remove(&old).unwrap();
            self.mailboxes
                .insert(format!("{to}{}", &old[from.len()..]), messages);
        }
    }
}

fn normal(flags: &mail::flag::Flags) -> String {
    let system = flags.system.names().map(str::to_owned);
    let keywords = flags.keywords().iter().map(ToString::to_string);
    system.chain(keywords).collect::<Vec<_>>().join(" ")
}

/// Random operations on a store that is opened again at random points.
async fn agree(given: &mut Given, seed: u64, operations: u32) {
    println!("seed {seed}");
    let mut dice = Dice::new(seed);
    let (mut next_text, mut texts) = (0, Texts::new());
    let mut account = given.account("model").await;
    let mut model = Model::start(&*account).await;
    for _ in 0..operations {
        let op = random(&mut dice, &mut next_text);
        if matches!(op, Op::Compact) {
            let window = i64::try_from(given.options.undelete_secs).unwrap();
            given.clock.set(given.clock.now_secs() + window + 2);
        }
        let done = perform(&*given.store, &*account, &op).await;
        let now = Model::of(&*account, &mut texts).await;
        match done {
            Ok(done) => model.follow(&op, &done, &now),
            Err(error) => {
                assert!(is_refusal(&error), "{op:?}: {error}");
                assert!(model.is_held_by(&now), "{op:?}: {error}");
            }
        }
        if dice.below(25) == 0 {
            drop(account);
            let lost = [Lost::Nothing, Lost::Index, Lost::Summaries];
            given.reopen_without(lost[dice.below(3) as usize]).await;
            account = given.open("model").await;
            texts.clear();
            assert!(
                model.is_held_by(&Model::of(&*account, &mut texts).await),
                "{op:?}"
            );
            read_other(&*given.store).await;
        }
    }
    drop::<Arc<dyn Account>>(account);
}

#[test]
fn random_operations_agree_with_a_plain_map() {
    for seed in 0..12 {
        run(Box::new(Embedded::new()), |given| {
            Box::pin(agree(given, seed, 150))
        });
    }
}
