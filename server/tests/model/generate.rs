//! What happens next, by chance: commands that suit the state, most of them sensible, from tables
//! by weight. A command of an extension is a row here.

use crate::{
    chance::Chance,
    command::{
        Access, Act, Answer, Change, Command, Fetch, Has, Item, Key, List, Literal, NewMessage,
        Numbers, Opening, Ranges, Search, Set, Step, Store,
    },
    notify::{
        ANNOTATIONS, Events, FLAGS as FLAG_EVENTS, Filter, Group, MESSAGES, NAMES as NAME_EVENTS,
        Notify, SUBSCRIPTIONS, Status,
    },
    page::PAGES,
    replace::Replace,
    resync::{Pick, Resync},
    run::CLIENTS,
    told::{Sync, View},
    words::{DATES, DELETED, FLAGS, Flags, NAMES, SEEN, SYSTEM_FLAGS, TIMES},
    world::{Account, Client, World},
};

/// A mailbox with more messages than this is emptied more than filled.
const MESSAGES_GOAL: usize = 25;

/// Makes steps.
pub(crate) struct Generator {
    chance: Chance,
    serials: u32,
}

type Make = fn(&mut Draw<'_>) -> Command;

/// Any time after login.
const ANY: &[(u32, Make)] = &[
    (6, |_| Command::Noop),
    (1, |_| Command::Logout),
    (1, |_| Command::Unauthenticate),
    (3, |draw| Command::Enable(draw.enabled())),
    (24, |draw| draw.select()),
    (4, |draw| Command::Create(draw.name(), draw.special_use())),
    (3, |draw| Command::Delete(draw.name())),
    (3, |draw| Command::Rename(draw.name(), draw.name())),
    (2, |draw| Command::Subscribe(draw.name())),
    (1, |draw| Command::Unsubscribe(draw.name())),
    (4, |draw| Command::List(draw.list())),
    (2, |draw| Command::Lsub(draw.pattern())),
    (6, |draw| Command::Status(draw.mailbox(), draw.status())),
    (12, |draw| Command::Append(draw.mailbox(), draw.messages())),
    (3, |draw| Command::Notify(draw.notify())),
    (1, |draw| Command::Quota(draw.mailbox())),
    (4, |_| Command::Idle),
    (2, |draw| Command::Wrong(draw.wrong())),
];

/// With a mailbox.
const SELECTED: &[(u32, Make)] = &[
    (3, |_| Command::Check),
    (2, |_| Command::Close),
    (2, |_| Command::Unselect),
    (5, |_| Command::Expunge),
    (5, |draw| Command::UidExpunge(draw.uids())),
    (22, |draw| Command::Store(draw.set(), draw.store())),
    (14, |draw| Command::Fetch(draw.set(), draw.fetch())),
    (2, |draw| Command::Fetch(draw.of_uids(), draw.vanished())),
    (1, |draw| Command::Fetch(draw.of_uids(), draw.paged())),
    (16, |draw| Command::Search(draw.search())),
    (3, |draw| Command::Replace(draw.replace())),
    (1, |draw| {
        Command::UidBatches(*draw.chance.of(&[500, 1_000, 499]))
    }),
    (7, |draw| Command::Copy(draw.set(), draw.mailbox())),
    (6, |draw| Command::Move(draw.set(), draw.mailbox())),
    (3, |draw| Command::Store(draw.set(), draw.deletion())),
];

/// What one command is drawn from.
struct Draw<'a> {
    chance: &'a mut Chance,
    serials: &'a mut u32,
    client: &'a Client,
    account: &'a Account,
    view: Option<&'a View>,
    /// The highest mod-sequence of the selected mailbox.
    mod_seq: u64,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            serials: 0,
        }
    }

    /// The next step.
    pub(crate) fn next(&mut self, world: &World) -> Step {
        let who = self.chance.below(u32::try_from(CLIENTS).unwrap()) as usize;
        let client = &world.clients[who];
        let act = match self.chance.below(1_000) {
            0 => Act::Restart(
                self.chance
                    .percent(60)
                    .then(|| u64::from(self.chance.below(50))),
            ),
            1..4 => Act::Clock(self.chance.below(u32::try_from(TIMES.len()).unwrap()) as usize),
            4..12 => Act::Leave,
            _ if !client.is_connected => Act::Connect,
            _ if client.is_idle => Act::Say(Command::Done(
                self.chance.word(&["DONE", "DONE", "DONE", "done", "NOOP"]),
            )),
            _ => Act::Say(self.command(world, who)),
        };
        Step { who, act }
    }

    fn command(&mut self, world: &World, who: usize) -> Command {
        let client = &world.clients[who];
        let view = client.view.as_ref();
        let account = &world.accounts[client.account];
        let mailbox = |view: &View| &account.mailboxes[view.mailbox];
        let messages = view.map_or(0, |view| view.told.len());
        let mut draw = Draw {
            chance: &mut self.chance,
            serials: &mut self.serials,
            client,
            account,
            view,
            mod_seq: view.map_or(1, |view| mailbox(view).mod_seq),
        };
        if client.is_deaf() && view.is_some() {
            return match draw.chance.below(4) {
                0 => Command::Noop,
                1 => Command::Unselect,
                _ => Command::Notify(draw.notify()),
            };
        }
        if messages > MESSAGES_GOAL && draw.chance.percent(25) {
            return match draw.chance.percent(50) {
                true => Command::Expunge,
                false => Command::Store(draw.set(), draw.deletion()),
            };
        }
        let table = match view.is_some() && draw.chance.percent(65) {
            true => SELECTED,
            // Rarely one that needs a mailbox, without one.
            false if view.is_none() && draw.chance.percent(2) => SELECTED,
            false if view.is_none() && draw.chance.percent(40) => {
                return draw.come_back();
            }
            false => ANY,
        };
        draw.chance.weighed(table)(&mut draw)
    }
}

impl Draw<'_> {
    fn name(&mut self) -> &'static str {
        self.chance.word(&NAMES)
    }

    /// A name that is mostly that of a mailbox.
    fn mailbox(&mut self) -> &'static str {
        match self.chance.percent(60) {
            true => "INBOX",
            false => self.chance.word(&NAMES[..4]),
        }
    }

    fn access(&mut self) -> Access {
        match self.chance.percent(80) {
            true => Access::ReadWrite,
            false => Access::ReadOnly,
        }
    }

    /// A client that has no mailbox takes one; one that had one may want to go on with it.
    fn come_back(&mut self) -> Command {
        let may = self.client.cache.is_some() && self.client.sync != Sync::QResync;
        match may && self.chance.percent(30) {
            true => Command::Enable(vec!["QRESYNC"]),
            false => self.select(),
        }
    }

    fn select(&mut self) -> Command {
        let resyncs = match self.client.sync {
            Sync::QResync => self.chance.percent(60),
            // Which is refused.
            Sync::Plain | Sync::CondStore => self.chance.percent(2),
        };
        if resyncs {
            let name = match self.chance.percent(85) {
                true => self.known_mailbox(),
                false => self.mailbox(),
            };
            return Command::Select(name, self.access(), Opening::Resync(self.resync()));
        }
        let opening = match self.chance.percent(15) {
            true => Opening::CondStore,
            false => Opening::Plain,
        };
        Command::Select(self.mailbox(), self.access(), opening)
    }

    /// The mailbox that the client knows, by a name that it has.
    fn known_mailbox(&mut self) -> &'static str {
        let known = self.client.keeps().map(|cache| cache.mailbox);
        let is_it = |name: &&&str| self.account.find(name) == known;
        match known.and_then(|_| NAMES.iter().find(is_it)) {
            Some(name) => name,
            None => self.mailbox(),
        }
    }

    fn resync(&mut self) -> Resync {
        let picks = [
            (2, Pick::Unsaid),
            (3, Pick::Each),
            (2, Pick::Range),
            (2, Pick::Some),
        ];
        Resync {
            pick: *self.chance.weighed(&picks),
            matches: self.chance.percent(40),
            back: match self.chance.percent(70) {
                true => 0,
                false => u64::from(self.chance.below(60)),
            },
            seed: u64::from(self.chance.below(1_000_000)),
        }
    }

    fn status(&mut self) -> &'static [&'static str] {
        self.chance.weighed::<&[&str]>(&[
            (4, &[]),
            (1, &["HIGHESTMODSEQ"]),
            (1, &["MAILBOXID"]),
            (1, &["DELETED-STORAGE", "MAILBOXID"]),
        ])
    }

    /// A mod-sequence that is mostly one of the last.
    fn mod_seq(&mut self) -> u64 {
        let back = match self.chance.percent(80) {
            true => self.chance.below(8),
            false => self.chance.below(100),
        };
        let ahead = u64::from(self.chance.below(2));
        (self.mod_seq + ahead)
            .saturating_sub(u64::from(back))
            .max(1)
    }

    fn enabled(&mut self) -> Vec<&'static str> {
        self.chance
            .weighed(&[
                (4, vec!["IMAP4rev2"]),
                (1, vec!["UTF8=ACCEPT"]),
                (1, vec!["X-NOTHING"]),
                (1, vec!["CONDSTORE"]),
                (4, vec!["QRESYNC"]),
                (1, vec!["IMAP4rev2", "QRESYNC"]),
                (1, vec!["UIDONLY"]),
                (1, vec!["QRESYNC", "UIDONLY"]),
                (1, vec!["UTF8=ACCEPT", "X-NOTHING", "IMAP4rev2"]),
            ])
            .clone()
    }

    fn special_use(&mut self) -> Option<&'static str> {
        match self.chance.percent(80) {
            true => None,
            false => Some(self.chance.word(&["\\Sent", "\\Trash"])),
        }
    }

    fn pattern(&mut self) -> &'static str {
        self.chance.word(&[
            "*", "%", "A/%", "A*", "%/%", "inbox", "INBOX/%", "Été", "x&%", "*/C",
        ])
    }

    fn list(&mut self) -> List {
        let returns = [
            None,
            Some("SUBSCRIBED"),
            Some("CHILDREN"),
            Some("CHILDREN SUBSCRIBED"),
        ];
        List {
            pattern: self.pattern(),
            subscribed: self.chance.percent(30),
            returns: *self.chance.of(&returns),
        }
    }

    fn wrong(&mut self) -> &'static str {
        self.chance.word(&[
            "FETCH",
            "STORE 1 +FLAGS (\\Recent)",
            "UID NOOP",
            "SELECT",
            "FETCH 0 FLAGS",
            "NOTIFY SET (SELECTED (MessageNew))",
            "NOTIFY SET (SELECTED NONE) (SELECTED-DELAYED NONE)",
            "FETCH 1:* FLAGS (CHANGEDSINCE 1 VANISHED)",
            "UID FETCH 1:* FLAGS (VANISHED)",
            "LOGIN tim {5+}\r\nwrong too many words",
        ])
    }

    fn notify(&mut self) -> Notify {
        if self.chance.percent(8) {
            return Notify::None;
        }
        let selected = self.chance.percent(85).then(|| self.selected_group());
        let others = *self.chance.weighed(&[(1, 0), (3, 1), (2, 2)]);
        let others: Vec<Group> = (0..others).map(|_| self.group()).collect();
        let mut groups: Vec<Group> = selected.into_iter().chain(others).collect();
        if groups.is_empty() {
            groups.push(self.group());
        }
        let status = *self.chance.of(&[Status::Told, Status::Untold]);
        Notify::Set(status, groups)
    }

    fn selected_group(&mut self) -> Group {
        let items = [
            Item::Uid,
            Item::Flags,
            Item::Size,
            Item::Envelope,
            Item::HeaderPeek,
        ];
        let is_wanted = self.chance.percent(50);
        let items = items
            .into_iter()
            .filter(|_| is_wanted && self.chance.percent(50));
        Group {
            items: items.collect(),
            filter: *self.chance.of(&[Filter::Selected, Filter::SelectedDelayed]),
            events: match self.chance.percent(3) {
                true => MESSAGES.with(FLAG_EVENTS).with(ANNOTATIONS),
                false => MESSAGES.with(FLAG_EVENTS),
            },
        }
    }

    fn group(&mut self) -> Group {
        let name = self.mailbox();
        let filters = [
            Filter::Personal,
            Filter::Inboxes,
            Filter::Subscribed,
            Filter::Subtree(name),
            Filter::Mailboxes(name),
        ];
        let events: [Events; 5] = [
            MESSAGES,
            MESSAGES.with(FLAG_EVENTS),
            NAME_EVENTS.with(SUBSCRIPTIONS),
            MESSAGES.with(NAME_EVENTS),
            SUBSCRIPTIONS,
        ];
        Group {
            filter: *self.chance.of(&filters),
            events: *self.chance.of(&events),
            items: Vec::new(),
        }
    }

    fn messages(&mut self) -> Vec<NewMessage> {
        let count = *self.chance.weighed(&[(6, 1), (1, 2), (1, 3)]);
        (0..count).map(|_| self.message()).collect()
    }

    fn message(&mut self) -> NewMessage {
        *self.serials += 1;
        let flags = match self.chance.percent(50) {
            true => self.flags(),
            false => Flags::default(),
        };
        NewMessage {
            flags,
            date: self.chance.percent(40).then(|| *self.chance.of(&DATES)),
            serial: (!self.chance.percent(2)).then_some(*self.serials),
            literal: *self.chance.of(&[Literal::Waits, Literal::Goes]),
        }
    }

    fn replace(&mut self) -> Replace {
        let numbers = self.numbers();
        let ranges = match numbers {
            Numbers::Uid => self.uids(),
            Numbers::Seq => self.seqs(),
        };
        let (number, _) = ranges.0[0];
        Replace {
            set: Set {
                numbers,
                ranges: Some(Ranges(vec![(number, number)])),
            },
            to: self.mailbox(),
            message: self.message(),
        }
    }

    /// One flag mostly, and never none.
    fn flags(&mut self) -> Flags {
        let mut flags = Flags(1 << self.chance.below(u32::try_from(FLAGS.len()).unwrap()));
        while self.chance.percent(30) {
            flags = flags.with(Flags(
                1 << self.chance.below(u32::try_from(FLAGS.len()).unwrap()),
            ));
        }
        flags
    }

    fn unchanged_since(&mut self) -> Option<u64> {
        let condition = *self
            .chance
            .weighed(&[(16, None), (3, Some(1)), (1, Some(0))]);
        condition.map(|n| n * self.mod_seq())
    }

    fn store(&mut self) -> Store {
        Store {
            unchanged_since: self.unchanged_since(),
            change: *self
                .chance
                .of(&[Change::Add, Change::Remove, Change::Replace]),
            flags: match self.chance.percent(5) {
                true => Flags::default(),
                false => self.flags(),
            },
            answer: *self.chance.of(&[Answer::Tell, Answer::Silent]),
        }
    }

    fn deletion(&mut self) -> Store {
        Store {
            unchanged_since: None,
            change: Change::Add,
            flags: DELETED,
            answer: *self.chance.of(&[Answer::Tell, Answer::Silent]),
        }
    }

    fn numbers(&mut self) -> Numbers {
        // A client that gave sequence numbers up says one by mistake.
        match self.client.is_uid_only && self.chance.percent(90) {
            true => Numbers::Uid,
            false => *self.chance.of(&[Numbers::Seq, Numbers::Uid]),
        }
    }

    fn set(&mut self) -> Set {
        let numbers = self.numbers();
        Set {
            numbers,
            ranges: match (self.chance.percent(8), numbers) {
                (true, _) => None,
                (false, Numbers::Uid) => Some(self.uids()),
                (false, Numbers::Seq) => Some(self.seqs()),
            },
        }
    }

    fn seqs(&mut self) -> Ranges {
        let count = self.view.map_or(0, |view| view.told.len());
        let highest = u32::try_from(count).unwrap() + u32::from(self.chance.percent(3));
        self.ranges(&|chance| chance.below(highest.max(1)) + 1)
    }

    fn uids(&mut self) -> Ranges {
        let told: Vec<u32> = self
            .view
            .iter()
            .flat_map(|v| &v.told)
            .map(|t| t.uid)
            .collect();
        self.ranges(&|chance| {
            let at = chance.below(u32::try_from(told.len()).unwrap() + 1) as usize;
            // Also one that came just now, or never was.
            told.get(at)
                .copied()
                .unwrap_or_else(|| told.last().unwrap_or(&0) + 1 + chance.below(3))
        })
    }

    fn ranges(&mut self, number: &dyn Fn(&mut Chance) -> u32) -> Ranges {
        let count = *self.chance.weighed(&[(5, 1), (2, 2), (1, 3)]);
        let range = |chance: &mut Chance| {
            let a = number(chance);
            match chance.below(10) {
                0..5 => (Some(a), Some(a)),
                5..8 => (Some(a), Some(number(chance))),
                8 => (Some(a), None),
                _ => (None, None),
            }
        };
        Ranges((0..count).map(|_| range(self.chance)).collect())
    }

    fn fetch(&mut self) -> Fetch {
        Fetch {
            items: self.items(),
            since: self.chance.percent(8).then(|| self.mod_seq()),
            vanished: false,
            page: None,
        }
    }

    fn paged(&mut self) -> Fetch {
        Fetch {
            page: Some(self.chance.word(&PAGES)),
            ..self.fetch()
        }
    }

    /// Which is refused if QRESYNC was not enabled.
    fn vanished(&mut self) -> Fetch {
        Fetch {
            items: self.items(),
            since: Some(self.mod_seq()),
            vanished: true,
            page: None,
        }
    }

    /// UIDs, often of all that ever were.
    fn of_uids(&mut self) -> Set {
        Set {
            numbers: Numbers::Uid,
            ranges: Some(match self.chance.percent(50) {
                true => Ranges(vec![(Some(1), None)]),
                false => self.uids(),
            }),
        }
    }

    fn items(&mut self) -> Vec<Item> {
        const ALL: [Item; 13] = [
            Item::Uid,
            Item::Flags,
            Item::ModSeq,
            Item::InternalDate,
            Item::SaveDate,
            Item::EmailId,
            Item::ThreadId,
            Item::Size,
            Item::Envelope,
            Item::Body,
            Item::BodyPeek,
            Item::HeaderPeek,
            Item::TextPartial,
        ];
        let mut items = vec![*self.chance.of(&ALL)];
        while self.chance.percent(40) {
            let item = *self.chance.of(&ALL);
            let is_body = |item: Item| matches!(item, Item::Body | Item::BodyPeek);
            let is_second = is_body(item) && items.iter().any(|i| is_body(*i));
            if !is_second && !items.contains(&item) {
                items.push(item);
            }
        }
        items
    }

    fn search(&mut self) -> Search {
        let words = [
            None,
            Some(vec![]),
            Some(vec!["ALL"]),
            Some(vec!["MIN", "MAX"]),
            Some(vec!["COUNT"]),
            Some(vec!["SAVE"]),
            Some(vec!["SAVE", "MIN"]),
            Some(vec!["SAVE", "MAX", "MIN"]),
            Some(vec!["SAVE", "COUNT", "MIN"]),
            Some(vec!["ALL", "SAVE"]),
            Some(vec![self.chance.word(&PAGES)]),
            Some(vec!["SAVE", self.chance.word(&PAGES), "MIN"]),
            Some(vec![self.chance.word(&PAGES), "COUNT", "SAVE"]),
        ];
        let plain = self.chance.percent(40);
        Search {
            numbers: self.numbers(),
            returns: match plain {
                true => None,
                false => self.chance.of(&words).clone(),
            },
            key: self.key(2),
        }
    }

    fn key(&mut self, depth: u32) -> Key {
        let deeper = depth > 0 && self.chance.percent(35);
        if deeper {
            let first = self.key(depth - 1);
            return match self.chance.below(3) {
                0 => Key::Not(Box::new(first)),
                1 => Key::Or(Box::new((first, self.key(depth - 1)))),
                _ => Key::And(Box::new((first, self.key(depth - 1)))),
            };
        }
        match self.chance.below(26) {
            0 => Key::ModSeq(self.mod_seq()),
            n => self.plain_key(n % 12),
        }
    }

    fn plain_key(&mut self, which: u32) -> Key {
        match which {
            0 => Key::All,
            1 => Key::Flag(SEEN, Has::No),
            2 | 3 => {
                let flag = Flags(1 << self.chance.below(u32::try_from(FLAGS.len()).unwrap()));
                Key::Flag(flag, *self.chance.of(&[Has::Yes, Has::No]))
            }
            4 => self.chance.of(&[Key::New, Key::Old, Key::Recent]).clone(),
            5 | 6 => Key::Messages(self.set()),
            7 => Key::Larger(100 + self.chance.below(300)),
            8 => Key::Smaller(100 + self.chance.below(300)),
            9 => Key::Subject(self.chance.below(*self.serials + 1)),
            10 => self.dated(),
            _ => Key::Flag(Flags(1 << SYSTEM_FLAGS), Has::Yes),
        }
    }

    fn dated(&mut self) -> Key {
        let date = *self
            .chance
            .of(&[DATES[0], DATES[1], TIMES[0].1, TIMES[2].1]);
        self.chance
            .of(&[
                Key::Before(date),
                Key::Since(date),
                Key::On(date),
                Key::SavedBefore(date),
                Key::SavedSince(date),
                Key::SavedOn(date),
            ])
            .clone()
    }
}
