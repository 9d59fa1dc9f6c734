//! NOTIFY (RFC 5465): what a client wants to be told of without asking, and what it must be told.
//!
//! A client that does not name SELECTED is told nothing of its mailbox; here it then does little
//! else than to ask for more.

use std::collections::{BTreeMap, BTreeSet};

use wire::imap::client::Node;

use crate::{
    check::{Answer, is_content, number},
    command::{Command, Item},
    expected::{Code, Copied, Data, Expected},
    told::{Check, Expunge, Mode, Sync, broken},
    words::{SEEN, canonical, quoted},
    world::{Account, Client, Mailbox, Message, World},
};

/// NOTIFY as it is said.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Notify {
    None,
    Set(Status, Vec<Group>),
}

/// Whether the counters of what is watched are told at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Status {
    Told,
    Untold,
}

/// Mailboxes, and what is wanted of them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Group {
    pub(crate) filter: Filter,
    pub(crate) events: Events,
    /// What is wanted of new messages of the selected mailbox.
    pub(crate) items: Vec<Item>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Filter {
    Selected,
    SelectedDelayed,
    Personal,
    Inboxes,
    Subscribed,
    Subtree(&'static str),
    Mailboxes(&'static str),
}

/// Events by their bits.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Events(pub(crate) u8);

/// MessageNew and MessageExpunge, which go together.
pub(crate) const MESSAGES: Events = Events(1);
/// FlagChange.
pub(crate) const FLAGS: Events = Events(2);
/// MailboxName.
pub(crate) const NAMES: Events = Events(4);
/// SubscriptionChange.
pub(crate) const SUBSCRIPTIONS: Events = Events(8);
/// AnnotationChange, which is not supported.
pub(crate) const ANNOTATIONS: Events = Events(16);

/// What a client registered, and what it knows of what it watches.
#[derive(Default)]
pub(crate) struct Watch {
    groups: Vec<Group>,
    known: BTreeMap<usize, Known>,
    /// Names of which it must be told.
    names: BTreeSet<String>,
    /// New messages of the selected mailbox that must be described.
    undescribed: BTreeSet<u32>,
}

/// What a client knows of a mailbox that it watches.
#[derive(Clone, Copy, Debug)]
struct Known {
    told: Counts,
    /// It is not told of states before that.
    since: u64,
}

/// The state of a mailbox in figures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Counts {
    messages: u32,
    uid_next: u32,
    unseen: u32,
    mod_seq: u64,
}

/// A mailbox that was just made.
const NEW: Counts = Counts {
    messages: 0,
    uid_next: 1,
    unseen: 0,
    mod_seq: 1,
};

/// What a session is told at once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hears {
    Nothing,
    /// All but that messages are gone.
    New,
    All,
}

impl Events {
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Filter {
    const fn is_selected(self) -> bool {
        matches!(self, Self::Selected | Self::SelectedDelayed)
    }

    fn written(self, is_utf8: bool) -> String {
        match self {
            Self::Selected => "SELECTED".to_owned(),
            Self::SelectedDelayed => "SELECTED-DELAYED".to_owned(),
            Self::Personal => "PERSONAL".to_owned(),
            Self::Inboxes => "INBOXES".to_owned(),
            Self::Subscribed => "SUBSCRIBED".to_owned(),
            Self::Subtree(name) => format!("SUBTREE {}", quoted(name, is_utf8)),
            Self::Mailboxes(name) => format!("MAILBOXES ({})", quoted(name, is_utf8)),
        }
    }

    fn names(self, name: &str, is_subscribed: bool) -> bool {
        match self {
            Self::Selected | Self::SelectedDelayed => false,
            Self::Personal | Self::Inboxes => true,
            Self::Subscribed => is_subscribed,
            Self::Mailboxes(one) => canonical(one) == name,
            Self::Subtree(top) => {
                let below = name.strip_prefix(&canonical(top));
                below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
        }
    }
}

impl Group {
    fn written(&self, is_utf8: bool) -> String {
        let items: Vec<_> = self.items.iter().map(|item| item.names().0).collect();
        let new = match items.is_empty() {
            true => "MessageNew MessageExpunge".to_owned(),
            false => format!("MessageNew ({}) MessageExpunge", items.join(" ")),
        };
        let events = [
            (MESSAGES, new.as_str()),
            (FLAGS, "FlagChange"),
            (NAMES, "MailboxName"),
            (SUBSCRIPTIONS, "SubscriptionChange"),
            (ANNOTATIONS, "AnnotationChange"),
        ];
        let events = events.iter().filter(|(event, _)| self.events.has(*event));
        let events: Vec<_> = events.map(|(_, name)| *name).collect();
        format!("({} ({}))", self.filter.written(is_utf8), events.join(" "))
    }
}

impl Notify {
    pub(crate) fn line(&self, is_utf8: bool) -> String {
        match self {
            Self::None => "NOTIFY NONE".to_owned(),
            Self::Set(status, groups) => {
                let status = if *status == Status::Told {
                    "STATUS "
                } else {
                    ""
                };
                let groups: Vec<_> = groups.iter().map(|g| g.written(is_utf8)).collect();
                format!("NOTIFY SET {status}{}", groups.join(" "))
            }
        }
    }

    /// What it does, and what must be answered.
    pub(crate) fn predict(&self, account: &Account, client: &mut Client) -> Expected {
        let Self::Set(status, groups) = self else {
            client.watch = Some(Watch::default());
            return Expected::ok();
        };
        if groups.iter().any(|g| g.events.has(ANNOTATIONS)) {
            return Expected::no("BADEVENT");
        }
        let mut watch = Watch {
            groups: groups.clone(),
            ..Watch::default()
        };
        watch.look_again(account, |_, mailbox| mailbox.counts());
        let selected = client.view.as_ref().map(|view| view.mailbox);
        let others = watch.known.keys().copied();
        let due = others.filter(|id| *status == Status::Told && Some(*id) != selected);
        let data = Data::Notified(due.collect());
        client.watch = Some(watch);
        Expected::ok().with(data)
    }
}

impl Watch {
    fn selected(&self) -> Option<&Group> {
        self.groups.iter().find(|group| group.filter.is_selected())
    }

    /// What is wanted of a name.
    fn events(&self, name: &str, is_subscribed: bool) -> Events {
        let groups = self.groups.iter();
        let groups = groups.filter(|group| group.filter.names(name, is_subscribed));
        groups.fold(Events::default(), |all, group| all.with(group.events))
    }

    /// Which mailboxes are watched now; what is known at first of those that were not.
    fn look_again(&mut self, account: &Account, first: impl Fn(usize, &Mailbox) -> Counts) {
        let mut known = BTreeMap::new();
        for (name, id) in &account.tree {
            if self
                .events(name, account.subscribed.contains(name))
                .has(MESSAGES)
            {
                let new = || Known {
                    told: first(*id, &account.mailboxes[*id]),
                    since: 0,
                };
                known.insert(*id, self.known.get(id).copied().unwrap_or_else(new));
            }
        }
        self.known = known;
    }

    /// Whether what is watched is known as it is.
    fn is_informed(&self, account: &Account, selected: Option<usize>, mode: Mode) -> Check {
        if let Some(name) = self.names.first() {
            return broken(49, format!("LIST of {name} is missing"));
        }
        let mailbox = selected.map(|id| &account.mailboxes[id]);
        let is_there = |uid: &&u32| mailbox.is_some_and(|m| m.message(**uid).is_some());
        if let Some(uid) = self.undescribed.iter().find(is_there) {
            return broken(49, format!("UID {uid} is new, and not described"));
        }
        let others = self.known.iter().filter(|(id, _)| Some(**id) != selected);
        for (id, Known { told, .. }) in others {
            let (name, now) = (account.name_of(*id), account.mailboxes[*id].counts());
            let flags = self
                .events(name, account.subscribed.contains(name))
                .has(FLAGS);
            let is_known = (told.messages, told.uid_next) == (now.messages, now.uid_next)
                && match mode.sync {
                    _ if !flags => true,
                    Sync::Plain => told.unseen == now.unseen,
                    Sync::CondStore | Sync::QResync => told.mod_seq == now.mod_seq,
                };
            if !is_known {
                return broken(49, format!("{name} is {now:?}, the client knows {told:?}"));
            }
        }
        Ok(())
    }
}

impl Client {
    /// What of its selected mailbox it is told at once.
    pub(crate) fn hears(&self) -> Hears {
        let selected = self.watch.as_ref().map(Watch::selected);
        match selected.map(|group| group.map(|g| g.filter)) {
            None if self.is_idle => Hears::All,
            None | Some(None) => Hears::Nothing,
            Some(Some(Filter::SelectedDelayed)) if !self.is_idle => Hears::New,
            Some(Some(_)) => Hears::All,
        }
    }

    /// Whether it is told nothing of its mailbox, in commands neither.
    pub(crate) fn is_deaf(&self) -> bool {
        self.watch
            .as_ref()
            .is_some_and(|watch| watch.selected().is_none())
    }

    /// Whether it gave sequence numbers up, and is told of EXPUNGE at any time (rule 1).
    pub(crate) fn is_told_at_once(&self) -> bool {
        let selected = self.watch.as_ref().and_then(Watch::selected);
        selected.is_some_and(|group| group.filter == Filter::Selected)
    }

    /// A command of one that is told nothing which does not depend on what is there.
    pub(crate) fn may_say(&self, command: &Command) -> bool {
        !self.is_deaf()
            || self.view.is_none()
            || matches!(
                command,
                Command::Noop | Command::Notify(_) | Command::Unselect | Command::Logout
            )
    }

    /// Whether it knows of all that it watches.
    pub(crate) fn is_informed(&self, account: &Account) -> Check {
        let selected = self.view.as_ref().map(|view| view.mailbox);
        match &self.watch {
            Some(watch) => watch.is_informed(account, selected, self.mode()),
            None => Ok(()),
        }
    }

    /// New messages that it is told of; its own need not be described.
    pub(crate) fn describes(&mut self, new: &[u32], expected: &Expected) {
        let id = self.view.as_ref().map(|view| view.mailbox);
        let own = match (&expected.code, &expected.data) {
            (Code::AppendUid(to, uids), _)
            | (_, Data::Replaced(to, uids))
            | (
                Code::CopyUid(Copied {
                    target: to,
                    to: uids,
                    ..
                }),
                _,
            )
            | (
                _,
                Data::Moved(Copied {
                    target: to,
                    to: uids,
                    ..
                }),
            ) if Some(*to) == id => &uids[..],
            _ => &[],
        };
        let Some(watch) = self.watch.as_mut().filter(|_| !expected.opens()) else {
            return;
        };
        let is_due = watch.selected().is_some_and(|g| !g.items.is_empty());
        let new = new.iter().filter(|uid| is_due && !own.contains(uid));
        watch.undescribed.extend(new);
    }

    /// Of a mailbox that it left nothing is described.
    pub(crate) fn describes_none(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.undescribed.clear();
        }
    }

    /// Whether a FETCH describes a message that is new.
    pub(crate) fn describes_by(&mut self, message: Option<&Message>, items: &Node) -> Check<bool> {
        let (Some(watch), Some(message)) = (&mut self.watch, message) else {
            return Ok(false);
        };
        let selected = watch.groups.iter().find(|group| group.filter.is_selected());
        let due = selected.map_or(&[][..], |group| group.items.as_slice());
        let has = |item: &Item| items.value_of(item.names().1).is_some();
        let is_said = |item: &Item| has(item) || (*item == Item::Uid && self.is_uid_only);
        if !watch.undescribed.contains(&message.uid) || !due.iter().all(is_said) {
            return Ok(false);
        }
        for item in due {
            is_content(
                *item,
                message,
                items.value_of(item.names().1).unwrap_or(&Node::Nil),
            )?;
        }
        watch.undescribed.remove(&message.uid);
        Ok(true)
    }
}

impl Mailbox {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            messages: self.count(|_| true),
            uid_next: self.uid_next,
            unseen: self.count(|m| !m.flags.has(SEEN)),
            mod_seq: self.mod_seq,
        }
    }
}

impl Account {
    fn name_of(&self, id: usize) -> &str {
        let named = self.tree.iter().find(|(_, other)| **other == id);
        named.map_or("", |(name, _)| name)
    }
}

/// Names and subscriptions as they were.
pub(crate) struct Names {
    tree: BTreeMap<String, usize>,
    subscribed: BTreeSet<String>,
}

/// The names that a command changed, and what that is called. Names that others are told of beside
/// these, parents among them, are not asked for.
fn affected(command: &Command, before: &Names, account: &Account) -> Vec<(String, Events)> {
    let is_changed = |name: &String| before.tree.get(name) != account.tree.get(name);
    let name = |written: &str, event| vec![(canonical(written), event)];
    let mut names = match command {
        Command::Create(name_of, _) | Command::Delete(name_of) => name(name_of, NAMES),
        Command::Rename(from, to) if before.tree.contains_key(&canonical(from)) => name(to, NAMES),
        Command::Subscribe(one) | Command::Unsubscribe(one) => name(one, SUBSCRIPTIONS),
        _ => Vec::new(),
    };
    let is_subscribed = |name: &String| account.subscribed.contains(name);
    names.retain(|(name, event)| match *event {
        NAMES => is_changed(name),
        _ => before.subscribed.contains(name) != is_subscribed(name),
    });
    names
}

impl World {
    pub(crate) fn names(&self, who: usize) -> Names {
        let account = &self.accounts[self.clients[who].account];
        Names {
            tree: account.tree.clone(),
            subscribed: account.subscribed.clone(),
        }
    }

    /// After a command: what others must be told of. Its own client knows it already (§5).
    pub(crate) fn watch(&mut self, actor: usize, command: &Command, before: &Names) {
        let of = self.clients[actor].account;
        let account = &self.accounts[of];
        let affected = affected(command, before, account);
        let there: BTreeSet<usize> = before.tree.values().copied().collect();
        let clients = self.clients.iter_mut().enumerate();
        for (who, client) in clients.filter(|(_, client)| client.account == of) {
            let Some(watch) = &mut client.watch else {
                continue;
            };
            watch.look_again(account, |id, mailbox| match there.contains(&id) {
                true => mailbox.counts(),
                false => NEW,
            });
            if who == actor {
                // If it left a mailbox, it may be told of what it did not know there.
                for (id, known) in &mut watch.known {
                    let told = account.mailboxes[*id].counts();
                    *known = Known { told, since: 0 };
                }
                continue;
            }
            let is_subscribed =
                |name: &str| account.subscribed.contains(name) || before.subscribed.contains(name);
            let due = affected
                .iter()
                .filter(|(name, event)| watch.events(name, is_subscribed(name)).has(*event));
            watch
                .names
                .extend(due.map(|(name, _)| name.clone()).collect::<Vec<_>>());
        }
    }
}

impl World {
    /// Whether a client knows all that it is told at once.
    pub(crate) fn is_told(&self, who: usize) -> Check {
        let client = &self.clients[who];
        let account = &self.accounts[client.account];
        if let Some(view) = &client.view {
            let mailbox = &account.mailboxes[view.mailbox];
            match client.hears() {
                Hears::Nothing => {}
                Hears::New => view.is_current(mailbox, Expunge::MustWait)?,
                Hears::All => view.is_current(mailbox, Expunge::May)?,
            }
        }
        client.is_informed(account)
    }
}

impl Answer<'_> {
    /// STATUS of a mailbox that is watched: a state that it had, and not one before what was told.
    pub(crate) fn notified(&mut self, id: usize, items: &Node) -> Check {
        let mode = self.client.mode();
        let watch = self.client.watch.as_mut();
        let Some(known) = watch.and_then(|watch| watch.known.get_mut(&id)) else {
            return broken(49, "STATUS of what is not watched");
        };
        let told = |name: &str| items.value_of(name).and_then(Node::number);
        if mode.sync != Sync::Plain && told("MESSAGES").is_some() && told("HIGHESTMODSEQ").is_none()
        {
            return broken(49, "STATUS without HIGHESTMODSEQ");
        }
        let mailbox = &self.account.mailboxes[id];
        let is_it = |state: &&Counts| {
            let is = |name, value: u64| told(name).is_none_or(|told| told == value);
            state.mod_seq >= known.since
                && is("MESSAGES", u64::from(state.messages))
                && is("UIDNEXT", u64::from(state.uid_next))
                && is("UNSEEN", u64::from(state.unseen))
                && is("HIGHESTMODSEQ", state.mod_seq)
        };
        let now = mailbox.counts();
        let states = || mailbox.past.iter().chain([&now]);
        let (Some(first), Some(last)) = (states().find(is_it), states().rev().find(is_it)) else {
            return broken(49, format!("STATUS {items:?} never was; it is {now:?}"));
        };
        (known.since, known.told) = (first.mod_seq, *last);
        if let Some(told) = items.value_of("UIDVALIDITY") {
            self.account.is_valid(id, number(Some(told))?)?;
        }
        let Data::Notified(due) = &mut self.expected.data else {
            return Ok(());
        };
        match ["MESSAGES", "UIDNEXT", "UIDVALIDITY"]
            .iter()
            .all(|name| items.value_of(name).is_some())
        {
            true => {
                due.remove(&id);
                Ok(())
            }
            false => broken(49, format!("STATUS {items:?} says too little")),
        }
    }

    /// LIST of a name that was changed by another client.
    pub(crate) fn name_notified(&mut self, name: &str, attributes: &BTreeSet<String>) -> Check {
        let account = &*self.account;
        let Some(watch) = &mut self.client.watch else {
            return broken(31, "LIST was not asked for");
        };
        let asks = |group: &Group| group.events.has(NAMES) || group.events.has(SUBSCRIPTIONS);
        if self.tag.is_empty() && !watch.groups.iter().any(asks) {
            return broken(49, "LIST was not asked for");
        }
        // Of a name that is not due it may be said how it was a moment before.
        if !watch.names.remove(name) {
            return Ok(());
        }
        let is = |attribute: &str| attributes.contains(attribute);
        let is_right = is("\\nonexistent") != account.tree.contains_key(name)
            && is("\\subscribed") == account.subscribed.contains(name);
        match is_right {
            true => Ok(()),
            false => broken(49, format!("{name} is told with {attributes:?}")),
        }
    }
}
