//! What a command does to the reference, and what must be answered.

use std::collections::BTreeSet;

use crate::{
    command::{
        Access, Answer, Change, Command, Fetch, Item, List, NewMessage, Numbers, Opening, Ranges,
        Search, Set, Store,
    },
    expected::{Code, Copied, Data, Expected, Next},
    find::find,
    list::{listed, subscribed_only},
    page::on_page,
    resync::vanished_of,
    told::{Expunge, Mode, Sync, View},
    words::{DELETED, Date, Flags, SEEN, canonical},
    world::{Account, Client, Mailbox, Message, World},
};

/// Whether a command of a selected session may tell of EXPUNGE (RFC 9051 §7.5.1; rule 1).
fn expunge_in(command: &Command) -> Expunge {
    let waits = match command {
        Command::Search(search) => search.numbers == Numbers::Seq || search.key.names_seqs(),
        Command::Fetch(set, _) | Command::Store(set, _) => set.numbers == Numbers::Seq,
        // Not in progress, since it was never received as a command.
        Command::Wrong(_) => true,
        _ => false,
    };
    match waits {
        true => Expunge::MustWait,
        false => Expunge::May,
    }
}

/// Whether a command may name messages that the client was not told of before.
fn names_new(command: &Command) -> bool {
    match command {
        Command::UidExpunge(_) | Command::Search(_) | Command::UidBatches(_) => true,
        Command::Replace(replace) => replace.names_new(),
        Command::Fetch(set, _)
        | Command::Store(set, _)
        | Command::Copy(set, _)
        | Command::Move(set, _) => matches!(set.numbers, Numbers::Uid),
        _ => false,
    }
}

/// What a command says that its client wants from now on (RFC 7162 §3.1).
fn wants(command: &Command) -> Sync {
    let wants_mod_seqs = match command {
        Command::Enable(what) if what.contains(&"QRESYNC") => return Sync::QResync,
        Command::Enable(what) => what.contains(&"CONDSTORE"),
        Command::Select(_, _, opening) => *opening == Opening::CondStore,
        Command::Status(_, items) => items.contains(&"HIGHESTMODSEQ"),
        Command::Fetch(_, fetch) => fetch.since.is_some() || fetch.items.contains(&Item::ModSeq),
        Command::Store(_, store) => store.unchanged_since.is_some(),
        Command::Search(search) => search.key.names_mod_seqs(),
        _ => false,
    };
    match wants_mod_seqs {
        true => Sync::CondStore,
        false => Sync::Plain,
    }
}

impl Client {
    /// Notes what a command makes its client want; whether that has to be answered.
    fn wants(&mut self, command: &Command) -> bool {
        let needs_mailbox = matches!(
            command,
            Command::Fetch(..) | Command::Store(..) | Command::Search(_)
        );
        let is_possible = match &self.view {
            // One that may not be is not taken as one.
            Some(view) => match command {
                Command::Store(..) => view.access == Access::ReadWrite,
                Command::Fetch(_, fetch) => !fetch.vanished || self.sync == Sync::QResync,
                _ => true,
            },
            None => !needs_mailbox,
        };
        let before = self.sync;
        if is_possible {
            self.sync = before.max(wants(command));
        }
        let is_first = before == Sync::Plain && self.sync != Sync::Plain;
        is_first && self.view.is_some() && !matches!(command, Command::Select(..))
    }
}

impl World {
    /// Does what a logged-in client says, and says what must be answered.
    pub(crate) fn predict(&mut self, who: usize, command: &Command) -> Expected {
        let now = self.now;
        let client = &mut self.clients[who];
        let account = &mut self.accounts[client.account];
        let refused = command.refused_for(client.mode(), client.view.as_ref());
        let tells_highest = refused.is_none() && client.wants(command);
        let mode = client.mode();
        let selected = client.view.as_ref().map(|view| view.mailbox);
        let before = selected.filter(|_| refused.is_none() && names_new(command));
        let before = before.map(|id| account.mailboxes[id].now());
        let mut expected =
            refused.unwrap_or_else(|| predicted((account, client), (command, mode), now));
        expected.before = before;
        expected.tells_highest |= tells_highest;
        if expected.expunge == Expunge::May {
            expected.expunge = expunge_in(command);
        }
        if client.is_told_at_once() {
            expected.expunge = Expunge::May;
        }
        // Its own mailbox is gone, or is another one now.
        if matches!(command, Command::Delete(_) | Command::Rename(..))
            && selected.is_some_and(|id| !account.is_same(id))
        {
            expected.next = Next::Closed;
        }
        expected
    }
}

/// What a command does, and what must be answered.
fn predicted(
    (account, client): (&mut Account, &mut Client),
    (command, mode): (&Command, Mode),
    now: Date,
) -> Expected {
    match command {
        Command::Noop | Command::Subscribe(_) | Command::Unsubscribe(_) => simple(account, command),
        Command::Logout => Expected {
            next: Next::LoggedOut,
            ..Expected::ok()
        },
        Command::Enable(what) => enable(client, what),
        Command::Select(name, access, opening) => select(account, client, name, (*access, opening)),
        Command::Create(name, used) => create(account, name, *used),
        Command::Delete(name) => Expected::of(account.delete(name)),
        Command::Rename(from, to) => Expected::of(account.rename(from, to, now)),
        Command::List(list) => list_of(account, list),
        Command::Lsub(pattern) => {
            Expected::ok().with(Data::Lsub(subscribed_only(account, pattern)))
        }
        Command::Status(name, items) => match account.find(name) {
            Some(id) => Expected::ok().with(Data::Status(id, canonical(name), items)),
            None => Expected::no("NONEXISTENT"),
        },
        Command::Append(name, messages) => append(account, name, messages, now),
        Command::Idle => Expected {
            next: Next::Idle,
            ..Expected::ok()
        },
        Command::Done(line) => done(line),
        Command::Wrong(_) => Expected::bad(),
        Command::Notify(notify) => notify.predict(account, client),
        Command::Quota(name) => Expected::ok().with(Data::Quota(name)),
        Command::Unauthenticate => Expected {
            next: Next::Fresh,
            ..Expected::ok()
        },
        of_mailbox => match client.view.as_mut() {
            Some(view) => in_mailbox(account, (view, mode), of_mailbox, now),
            None => Expected::bad(),
        },
    }
}

impl Account {
    /// Whether a mailbox is there with the UIDVALIDITY it was known with.
    pub(crate) fn is_same(&self, id: usize) -> bool {
        self.exists(id) && self.mailboxes[id].uid_validity.is_some()
    }
}

fn simple(account: &mut Account, command: &Command) -> Expected {
    match command {
        Command::Subscribe(name) => {
            account.subscribed.insert(canonical(name));
        }
        Command::Unsubscribe(name) => {
            account.subscribed.remove(&canonical(name));
        }
        _ => {}
    }
    Expected::ok()
}

fn done(line: &str) -> Expected {
    let answer = match line.eq_ignore_ascii_case("DONE") {
        true => Expected::ok(),
        false => Expected::bad(),
    };
    Expected {
        next: Next::NotIdle,
        ..answer
    }
}

/// What ENABLE answers is what is known (rule 25).
fn enable(client: &mut Client, what: &[&'static str]) -> Expected {
    let known = [
        "IMAP4rev2",
        "UTF8=ACCEPT",
        "CONDSTORE",
        "QRESYNC",
        "UIDONLY",
    ];
    let enabled: Vec<_> = what.iter().copied().filter(|w| known.contains(w)).collect();
    client.is_rev2 |= enabled.contains(&"IMAP4rev2");
    client.is_uid_only |= enabled.contains(&"UIDONLY");
    client.is_utf8 |= client.is_rev2 || enabled.contains(&"UTF8=ACCEPT");
    Expected::ok().with(Data::Enabled(enabled))
}

fn select(
    account: &Account,
    client: &mut Client,
    name: &str,
    (access, opening): (Access, &Opening),
) -> Expected {
    if matches!(opening, Opening::Knowing(_)) && client.sync != Sync::QResync {
        return Expected::bad();
    }
    let next = match &client.view {
        Some(_) => Next::Closed,
        None => Next::Same,
    };
    client.lose_view();
    let Some(id) = account.find(name) else {
        return Expected {
            next,
            ..Expected::no("NONEXISTENT")
        };
    };
    client.view = Some(View::new(id, access));
    let mut expected = Expected {
        code: Code::Named(match access {
            Access::ReadWrite => "READ-WRITE",
            Access::ReadOnly => "READ-ONLY",
        }),
        next,
        ..Expected::ok().with(Data::Opening(id))
    };
    if let Opening::Knowing(known) = opening {
        known.due(&account.mailboxes[id], client.mode(), &mut expected);
    }
    expected
}

fn create(account: &mut Account, name: &str, used: Option<&'static str>) -> Expected {
    let created = account.create(name, used);
    let id = created.ok().and_then(|()| account.find(name));
    Expected {
        code: id.map_or_else(|| Code::Named(created.unwrap_err()), Code::MailboxId),
        ..Expected::of(created)
    }
}

fn list_of(account: &Account, list: &List) -> Expected {
    Expected::ok().with(Data::List(listed(account, list)))
}

/// APPEND and MULTIAPPEND: all or nothing (rule 17), into what exists (rule 18).
fn append(account: &mut Account, name: &str, messages: &[NewMessage], now: Date) -> Expected {
    let Some(id) = account.find(name) else {
        return refused_append(Expected::no("TRYCREATE"));
    };
    let mut added = Vec::new();
    for message in messages {
        let Some(message) = message.arrived(now) else {
            return refused_append(Expected::no("CANNOT"));
        };
        added.push(message);
        if account.is_over(added.len()) {
            return refused_append(Expected::no("OVERQUOTA"));
        }
    }
    Expected {
        code: Code::AppendUid(id, account.mailboxes[id].add(added)),
        ..Expected::ok()
    }
}

/// A command that is refused before its literal was there was never in progress (rule 2).
pub(crate) fn refused_append(refused: Expected) -> Expected {
    Expected {
        expunge: Expunge::MustWait,
        ..refused
    }
}

impl NewMessage {
    /// What it is in a mailbox; an empty one is nothing.
    pub(crate) fn arrived(&self, now: Date) -> Option<Message> {
        Some(Message {
            uid: 0,
            flags: self.flags,
            date: self.date.unwrap_or(now),
            saved: now,
            serial: self.serial?,
            mod_seq: 0,
        })
    }
}

/// Commands on the selected mailbox.
fn in_mailbox(
    account: &mut Account,
    (view, mode): (&mut View, Mode),
    command: &Command,
    now: Date,
) -> Expected {
    let id = view.mailbox;
    let is_writable = view.access == Access::ReadWrite;
    match command {
        Command::Check => Expected::ok(),
        Command::Unselect => Expected {
            next: Next::Unselected,
            ..Expected::ok()
        },
        Command::Close => {
            if is_writable {
                account.mailboxes[id].expunge(|m| m.flags.has(DELETED));
            }
            Expected {
                next: Next::Unselected,
                ..Expected::ok()
            }
        }
        Command::Search(search) => self::search(&account.mailboxes[id], (view, mode), search),
        Command::Fetch(set, fetch) => {
            self::fetch(&mut account.mailboxes[id], (view, mode), set, fetch)
        }
        Command::UidBatches(size) => batches(&account.mailboxes[id], view, *size),
        Command::Copy(set, to) => copy(account, view, (set, to), now),
        Command::Replace(_) if !is_writable => refused_append(Expected::no("NOPERM")),
        _ if !is_writable => Expected::no("NOPERM"),
        Command::Expunge => {
            let gone = account.mailboxes[id].expunge(|m| m.flags.has(DELETED));
            expunged(&gone, mode)
        }
        Command::UidExpunge(ranges) => {
            let gone = uid_expunge(&mut account.mailboxes[id], view, ranges);
            expunged(&gone, mode)
        }
        Command::Store(set, store) => {
            self::store(&mut account.mailboxes[id], (view, mode), set, store)
        }
        Command::Move(set, to) => move_to(account, (view, mode), (set, to), now),
        Command::Replace(replace) => replace.predict(account, (view, mode), now),
        other => unreachable!("{other:?}"),
    }
}

/// UIDs of the messages that a set names; `None` for a sequence number that no message has.
pub(crate) fn resolve(view: &View, mailbox: &Mailbox, set: &Set) -> Option<Vec<u32>> {
    match (&set.ranges, set.numbers) {
        (None, _) => {
            let told = view.told.iter().map(|t| t.uid);
            Some(told.filter(|uid| view.saved.contains(uid)).collect())
        }
        (Some(ranges), Numbers::Uid) => {
            let all = view.with_new(mailbox);
            let last = all.last().copied();
            Some(
                all.into_iter()
                    .filter(|uid| within(ranges, *uid, last))
                    .collect(),
            )
        }
        (Some(ranges), Numbers::Seq) => {
            let count = u32::try_from(view.told.len()).unwrap();
            let ends = ranges.0.iter().flat_map(|(a, b)| [a, b]);
            let highest = ends.map(|end| end.unwrap_or(count)).max().unwrap_or(0);
            if highest > count || count == 0 {
                return None;
            }
            let named = |seq: &u32| within(ranges, *seq, Some(count));
            let seqs = (1..=count).filter(named);
            Some(seqs.map(|seq| view.told[seq as usize - 1].uid).collect())
        }
    }
}

/// Whether a number is in a set of which `*` is `last`.
pub(crate) fn within(ranges: &Ranges, number: u32, last: Option<u32>) -> bool {
    ranges.0.iter().any(|(a, b)| {
        let (Some(a), Some(b)) = (a.or(last), b.or(last)) else {
            return false;
        };
        (a.min(b)..=a.max(b)).contains(&number)
    })
}

/// Those that are still there, and whether the client named one that is not by its number.
fn existing(mailbox: &Mailbox, uids: &[u32], set: &Set) -> (Vec<u32>, bool) {
    let there = uids
        .iter()
        .copied()
        .filter(|uid| mailbox.message(*uid).is_some());
    let there: Vec<u32> = there.collect();
    let is_issued = set.numbers == Numbers::Seq && there.len() != uids.len();
    (there, is_issued)
}

fn search(mailbox: &Mailbox, (view, mode): (&mut View, Mode), search: &Search) -> Expected {
    let Some(found) = find(mailbox, view, search, mode.revision) else {
        return Expected::bad();
    };
    if let Some(saved) = found.saved() {
        view.saved = saved;
    }
    Expected::ok().with(Data::Search(found))
}

fn fetch(mailbox: &mut Mailbox, (view, mode): (&View, Mode), set: &Set, fetch: &Fetch) -> Expected {
    if fetch.vanished && mode.sync != Sync::QResync {
        return Expected::bad();
    }
    let Some(uids) = resolve(view, mailbox, set) else {
        return Expected::bad();
    };
    let uids = match fetch.page {
        Some(page) => on_page(page, &uids),
        None => uids,
    };
    let (mut there, mut is_issued) = existing(mailbox, &uids, set);
    let mut items = fetch.items.clone();
    if let Some(since) = fetch.since {
        // Of a message that is gone it is not asked.
        is_issued = false;
        there.retain(|uid| mailbox.message(*uid).is_some_and(|m| m.mod_seq > since));
        items.push(Item::ModSeq);
    }
    let reads = fetch.items.contains(&Item::Body) && view.access == Access::ReadWrite;
    let is_unread = |uid: &u32| mailbox.message(*uid).is_some_and(|m| !m.flags.has(SEEN));
    let read: Vec<u32> = match reads {
        true => there.iter().copied().filter(is_unread).collect(),
        false => Vec::new(),
    };
    mailbox.set_flags(&read, |flags| flags.with(SEEN));
    let due = there.into_iter().map(|uid| {
        let mut items = items.clone();
        if read.contains(&uid) {
            // The answer tells what reading changed (rule 39), as every change is told.
            items.extend(change_items(mode));
        }
        (uid, items)
    });
    let since = fetch.since.filter(|_| fetch.vanished);
    Expected {
        fetches: due.collect(),
        with_uid: set.numbers == Numbers::Uid,
        earlier: since.map(|since| vanished_of(mailbox, view, set, since)),
        ..refused_if(is_issued)
    }
}

/// What a change of flags is told with (RFC 7162 §3.2.4; rule 13).
pub(crate) const fn change_items(mode: Mode) -> &'static [Item] {
    match mode.sync {
        Sync::Plain => &[Item::Flags],
        Sync::CondStore | Sync::QResync if mode.is_uid_only => &[Item::Flags, Item::ModSeq],
        Sync::CondStore | Sync::QResync => &[Item::Flags, Item::Uid, Item::ModSeq],
    }
}

fn refused_if(is_issued: bool) -> Expected {
    match is_issued {
        true => Expected::no("EXPUNGEISSUED"),
        false => Expected::ok(),
    }
}

fn store(mailbox: &mut Mailbox, (view, mode): (&View, Mode), set: &Set, store: &Store) -> Expected {
    let Some(uids) = resolve(view, mailbox, set) else {
        return Expected::bad();
    };
    let (there, is_issued) = existing(mailbox, &uids, set);
    let (done, left): (Vec<u32>, Vec<u32>) = there
        .into_iter()
        .partition(|uid| store.may(mailbox.message(*uid).unwrap()));
    mailbox.set_flags(&done, |flags| store.change.of(flags, store.flags));
    let items = match (store.answer, store.unchanged_since) {
        (Answer::Tell, _) => change_items(mode),
        // Its mod-sequence is told also where nothing else is.
        (Answer::Silent, Some(_)) if mode.is_uid_only => &[Item::ModSeq],
        (Answer::Silent, Some(_)) => &[Item::Uid, Item::ModSeq],
        (Answer::Silent, None) => &[],
    };
    let due = done.iter().filter(|_| !items.is_empty());
    let mut expected = Expected {
        fetches: due.map(|uid| (*uid, items.to_vec())).collect(),
        with_uid: set.numbers == Numbers::Uid,
        ..refused_if(is_issued)
    };
    if !left.is_empty() {
        expected.code = Code::Modified(view.numbers(&left, set.numbers));
    }
    // What a NO did is not known to the client.
    if store.answer == Answer::Silent && !is_issued {
        expected.assumed = Some((done, store.clone()));
    }
    expected
}

impl Store {
    /// Whether its condition lets it change a message (RFC 7162 §3.1.3; rule 14).
    fn may(&self, message: &Message) -> bool {
        match self.unchanged_since {
            None => true,
            // Only if none of what it names is there; a system flag always is.
            Some(0) => {
                let keywords = self.flags.keywords();
                let is_there = message.flags.intersection(keywords) != Flags::default();
                self.change != Change::Replace && self.flags == keywords && !is_there
            }
            Some(since) => message.mod_seq <= since,
        }
    }
}

impl View {
    /// Messages as a command of these numbers calls them.
    fn numbers(&self, uids: &[u32], numbers: Numbers) -> Vec<u32> {
        match numbers {
            Numbers::Uid => uids.to_vec(),
            Numbers::Seq => {
                let is_one = |told: &&crate::told::Told| uids.contains(&told.uid);
                let seqs = (1..).zip(&self.told).filter(|(_, told)| is_one(told));
                seqs.map(|(seq, _)| seq).collect()
            }
        }
    }
}

/// With QRESYNC it is said how far the client has come with what it expunged (RFC 7162 §3.2.7).
fn expunged(gone: &[Message], mode: Mode) -> Expected {
    let is_told = mode.sync == Sync::QResync && !gone.is_empty();
    Expected {
        code: if is_told {
            Code::Named("HIGHESTMODSEQ")
        } else {
            Code::Any
        },
        ..Expected::ok()
    }
}

/// UIDBATCHES (RFC 10022): so few messages are one batch; smaller ones are refused.
fn batches(mailbox: &Mailbox, view: &View, size: u32) -> Expected {
    if size < 500 {
        return Expected::no("TOOFEW");
    }
    let last = view.with_new(mailbox).last().copied();
    Expected::ok().with(Data::Batches(last.map(|last| (last, 1))))
}

/// Only what is named, told and marked goes (rule 20).
fn uid_expunge(mailbox: &mut Mailbox, view: &View, ranges: &Ranges) -> Vec<Message> {
    let set = Set {
        numbers: Numbers::Uid,
        ranges: Some(ranges.clone()),
    };
    let named: BTreeSet<u32> = resolve(view, mailbox, &set).unwrap().into_iter().collect();
    mailbox.expunge(|m| m.flags.has(DELETED) && named.contains(&m.uid))
}

/// Which messages go where; the answer if they do not.
fn transfer(
    account: &Account,
    view: &View,
    (set, to): (&Set, &str),
    now: Date,
) -> Result<(Vec<Message>, usize), Box<Expected>> {
    let source = &account.mailboxes[view.mailbox];
    let uids = resolve(view, source, set).ok_or_else(|| Box::new(Expected::bad()))?;
    let target = account.find(to);
    let target = target.ok_or_else(|| Box::new(Expected::no("TRYCREATE")))?;
    let (there, is_issued) = existing(source, &uids, set);
    if is_issued {
        return Err(Box::new(Expected::no("EXPUNGEISSUED")));
    }
    let messages = there.iter().map(|uid| Message {
        saved: now,
        ..*source.message(*uid).unwrap()
    });
    Ok((messages.collect(), target))
}

fn add_all(account: &mut Account, messages: Vec<Message>, target: usize) -> Copied {
    let from = messages.iter().map(|m| m.uid).collect();
    let to = account.mailboxes[target].add(messages);
    Copied { target, from, to }
}

fn copy(account: &mut Account, view: &View, what: (&Set, &str), now: Date) -> Expected {
    match transfer(account, view, what, now) {
        Err(refused) => *refused,
        Ok((messages, _)) if messages.is_empty() => Expected::ok(),
        Ok((messages, _)) if account.is_over(messages.len()) => Expected::no("OVERQUOTA"),
        Ok((messages, target)) => Expected {
            code: Code::CopyUid(add_all(account, messages, target)),
            ..Expected::ok()
        },
    }
}

fn move_to(
    account: &mut Account,
    (view, mode): (&View, Mode),
    what: (&Set, &str),
    now: Date,
) -> Expected {
    match transfer(account, view, what, now) {
        Err(refused) => *refused,
        Ok((messages, _)) if messages.is_empty() => Expected::ok(),
        Ok((messages, target)) => {
            let copied = add_all(account, messages, target);
            account.mailboxes[view.mailbox].expunge(|m| copied.from.contains(&m.uid));
            Expected {
                // RFC 6851 §4.4.
                tells_highest: mode.sync == Sync::QResync,
                ..Expected::ok().with(Data::Moved(copied))
            }
        }
    }
}
