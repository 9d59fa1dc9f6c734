//! The mailboxes that a client watches without having selected them: what it knows of them, and what
//! of that is not so any more.
//!
//! One watch of the account wakes for all of them, and the store says what changed since the version
//! that was told. Of a mailbox nothing is remembered as long as the client knows it as it was then:
//! watching a hundred of them costs what watching one costs.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mail::{
    id::{MailboxId, ModSeq},
    mailbox::{MailboxKey, MailboxName},
};
use store::{Account, Changes, MailboxInfo, MailboxNews, Subscription, Tree, state::Summary};
use wire::{
    encode::Sync,
    imap::{notify::Events, response::Untagged},
};

use super::{
    counts::{Counts, News, Watched},
    groups::Groups,
    names::{Affected, affected},
};
use crate::session::list;

/// What a client watches, and what it was told of it.
#[derive(Default)]
pub(super) struct Watch {
    groups: Groups,
    /// The version of the account that was told, …
    version: u64,
    /// … with its names.
    tree: Arc<Tree>,
    /// What the client knows of mailboxes that it does not know as they were in that version: those
    /// it changed itself, has left, or has not heard of.
    apart: HashMap<MailboxId, Counts>,
    /// The mailbox that was selected, and is looked at again.
    left: Option<MailboxId>,
}

impl Watch {
    /// Begins to watch: what is so now counts as known.
    pub(super) fn begin(groups: Groups, account: &dyn Account) -> store::Result<Self> {
        if groups.is_empty() {
            return Ok(Self::default());
        }
        let now = account.news(u64::MAX)?;
        Ok(Self {
            groups,
            version: now.version,
            tree: now.tree,
            ..Self::default()
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The counters of all that are watched, but for the one that is selected, by name.
    pub(super) fn counters(
        &self,
        account: &dyn Account,
        selected: Option<MailboxId>,
        sync: Sync,
    ) -> impl Iterator<Item = Untagged> {
        let mailboxes = self.tree.mailboxes.iter();
        let others = mailboxes.filter(move |(_, info)| Some(info.id) != selected);
        others.filter_map(move |(key, info)| {
            let watched = self.watched(key, info)?;
            Some(watched.begin(&account.summary(info.id).ok()?, sync))
        })
    }

    /// A mailbox, if its messages matter.
    fn watched<'a>(&self, key: &MailboxKey, info: &'a MailboxInfo) -> Option<Watched<'a>> {
        let events = self.groups.in_tree(key, &self.tree);
        let flags = events.flags;
        events.messages.then_some(Watched { info, flags })
    }

    /// What is not as it was told; from now on it was.
    pub(super) fn news(
        &mut self,
        account: &dyn Account,
        selected: Option<MailboxId>,
        sync: Sync,
    ) -> Vec<Untagged> {
        // Who may not see anything any more is told nothing.
        let Ok(news) = account.news(self.version) else {
            return Vec::new();
        };
        let mut told = Vec::new();
        let since = std::mem::replace(&mut self.version, news.version);
        if !Arc::ptr_eq(&self.tree, &news.tree) {
            let before = std::mem::replace(&mut self.tree, news.tree);
            told.extend(self.names(&before));
            self.rematch(&before, account);
        }
        let changed = news.mailboxes.into_iter();
        let mut changed: HashMap<_, _> = changed
            .map(|of| (of.id, (of.summary, Some(of.changes))))
            .collect();
        if let Some(id) = self.left.take()
            && let Ok(summary) = account.summary(id)
        {
            changed.entry(id).or_insert((summary, None));
        }
        if let Some(id) = selected {
            changed.remove(&id);
        }
        told.extend(self.counts(&changed, since, sync));
        told
    }

    /// STATUS of mailboxes whose counters are not as they were told: of those that have changed since a
    /// version, and of one that was left.
    fn counts(
        &mut self,
        changed: &HashMap<MailboxId, (Summary, Option<Changes>)>,
        since: u64,
        sync: Sync,
    ) -> Vec<Untagged> {
        let mut all = Vec::new();
        if changed.is_empty() {
            return all;
        }
        let tree = Arc::clone(&self.tree);
        let mailboxes = tree.mailboxes.iter();
        let changed = mailboxes.filter_map(|(key, info)| Some((key, info, changed.get(&info.id)?)));
        for (key, info, (summary, changes)) in changed {
            let apart = self.apart.remove(&info.id);
            let news = match (&apart, changes) {
                (Some(known), _) => known.news(summary),
                (None, Some(changes)) => News::since(since, changes),
                (None, None) => continue,
            };
            let watched = self.watched(key, info);
            let told = watched.and_then(|watched| watched.tell(&news, summary, sync));
            let known = apart.map(|known| match told {
                Some(_) => Counts::of(summary),
                None => known.now(summary),
            });
            // Most are known now as they are in this version.
            if let Some(known) = known.filter(|known| changes.is_none() || known.is_unheard()) {
                self.apart.insert(info.id, known);
            }
            all.extend(told);
        }
        all
    }

    /// LIST of the names that are not as they were.
    fn names(&self, before: &Tree) -> impl Iterator<Item = Untagged> {
        let names = affected(before, &self.tree);
        let wanted = names.into_iter().filter(|(key, affected)| {
            let old_key = affected.old_name.as_ref().map(MailboxName::key);
            let mut keys = std::iter::once(key.clone()).chain(old_key);
            keys.any(|key| is_wanted(affected, self.events_of(&key, before)))
        });
        wanted.map(|(_, affected)| {
            let mut entry = list::entry_named(&self.tree, &affected.name);
            entry.old_name = affected.old_name;
            Untagged::List(entry)
        })
    }

    /// The events of a name that is or was subscribed to.
    fn events_of(&self, key: &MailboxKey, before: &Tree) -> Events {
        let mut trees = [&*self.tree, before].into_iter();
        let subscription = match trees.any(|tree| tree.subscriptions.contains_key(key)) {
            true => Subscription::On,
            false => Subscription::Off,
        };
        self.groups.of(key, subscription)
    }

    /// Looks again which mailboxes are watched, after names or subscriptions have changed
    /// (RFC 5465 §6.4): of one that was not before, the client has not heard.
    fn rematch(&mut self, before: &Tree, account: &dyn Account) {
        let there = before.mailboxes.iter();
        let there: HashMap<MailboxId, &MailboxKey> =
            there.map(|(key, info)| (info.id, key)).collect();
        let mailboxes = self.tree.mailboxes.iter();
        let watched = mailboxes.filter(|(key, info)| self.watched(key, info).is_some());
        let unheard = watched.filter_map(|(_, info)| {
            let known = match there.get(&info.id) {
                Some(key) if self.groups.in_tree(key, before).messages => return None,
                Some(_) => Counts::unheard(&account.summary(info.id).ok()?),
                None => Counts::NEW,
            };
            Some((info.id, known))
        });
        let unheard: Vec<_> = unheard.collect();
        self.apart.extend(unheard);
        let exist: HashSet<MailboxId> = self.tree.mailboxes.values().map(|info| info.id).collect();
        self.apart.retain(|id, _| exist.contains(id));
    }

    /// A mailbox was selected until now; the client knows this of it.
    pub(super) fn left(&mut self, id: MailboxId, told: Counts) {
        if !self.is_empty() {
            self.apart.insert(id, told);
            self.left = Some(id);
        }
    }

    /// What this client itself did in one step to the messages of a mailbox that it knew is no news
    /// to it. If others did something too, it is told of all together.
    pub(super) fn did_messages(&mut self, id: MailboxId, account: &dyn Account) {
        if self.is_empty() {
            return;
        }
        if let Some(known) = self.apart.get_mut(&id) {
            if let Ok(now) = account.summary(id)
                && known.mod_seq.next() == Some(now.highest_mod_seq)
            {
                *known = known.now(&now);
            }
            return;
        }
        let Ok(news) = account.news(self.version) else {
            return;
        };
        let own = |of: &&MailboxNews| {
            let before = of.changes.mod_seq_before.and_then(ModSeq::next);
            of.id == id
                && of.changes.before <= self.version
                && before == Some(of.summary.highest_mod_seq)
        };
        if let Some(of) = news.mailboxes.iter().find(own) {
            self.apart.insert(id, Counts::of(&of.summary));
        }
    }

    /// What this client itself made of some names is no news to it.
    pub(super) fn did_names(
        &mut self,
        account: &dyn Account,
        is_own: impl Fn(&MailboxKey) -> bool,
    ) {
        if self.is_empty() {
            return;
        }
        let now = account.tree();
        let mut tree = Tree::clone(&self.tree);
        tree.mailboxes.retain(|key, _| !is_own(key));
        let own = now.mailboxes.iter().filter(|(key, _)| is_own(key));
        tree.mailboxes
            .extend(own.map(|(key, info)| (key.clone(), Arc::clone(info))));
        self.adopt(tree, account);
    }

    /// Nor is a subscription that it began or ended.
    pub(super) fn did_subscribe(&mut self, account: &dyn Account, name: &MailboxName) {
        if self.is_empty() {
            return;
        }
        let key = name.key();
        let mut tree = Tree::clone(&self.tree);
        match account.tree().subscriptions.get(&key) {
            Some(name) => tree.subscriptions.insert(key, name.clone()),
            None => tree.subscriptions.remove(&key),
        };
        self.adopt(tree, account);
    }

    /// Goes on from a tree with what the client did. A mailbox that it made is empty as far as it
    /// knows.
    fn adopt(&mut self, tree: Tree, account: &dyn Account) {
        let before = std::mem::replace(&mut self.tree, Arc::new(tree));
        self.rematch(&before, account);
    }
}

/// Whether a name is told of to whoever wants these events.
const fn is_wanted(affected: &Affected, events: Events) -> bool {
    (affected.is_name && events.names) || (affected.is_subscription && events.subscriptions)
}
