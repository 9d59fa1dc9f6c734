//! The mailboxes that a client watches without having selected them: what it knows of them, and what
//! of that is not so any more.
//!
//! One watch of the account wakes for all of them. What changed is asked of the store; it costs
//! nothing to watch what does not change.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mail::{
    id::MailboxId,
    mailbox::{MailboxKey, MailboxName},
};
use store::{Account, MailboxInfo, Subscription, Tree, state::Summary};
use wire::{
    encode::Sync,
    imap::{notify::Events, response::Untagged},
};

use super::{
    counts::{Counts, Watched},
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
    /// … with its names, …
    tree: Arc<Tree>,
    /// … and its mailboxes, as far as their messages matter.
    mailboxes: HashMap<MailboxId, Watched>,
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
        let mut watch = Self {
            groups,
            version: now.version,
            tree: now.tree,
            ..Self::default()
        };
        watch.mailboxes = watch.wanted(|_, info| {
            let summary = account.summary(info.id).ok()?;
            Some(Counts::of(&summary))
        });
        Ok(watch)
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
        let infos = self.tree.mailboxes.values();
        let others = infos.filter(move |info| Some(info.id) != selected);
        others.filter_map(move |info| {
            let watched = self.mailboxes.get(&info.id)?;
            Some(watched.begin(&account.summary(info.id).ok()?, sync))
        })
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
        self.version = news.version;
        if !Arc::ptr_eq(&self.tree, &news.tree) {
            let before = std::mem::replace(&mut self.tree, news.tree);
            told.extend(self.names(&before));
            self.rematch(&before, account);
        }
        let mut changed = news.mailboxes;
        if let Some(id) = self.left.take()
            && changed.iter().all(|(other, _)| *other != id)
        {
            changed.extend(account.summary(id).map(|summary| (id, summary)));
        }
        for (id, summary) in changed {
            if Some(id) != selected
                && let Some(watched) = self.mailboxes.get_mut(&id)
            {
                told.extend(watched.tell(&summary, sync));
            }
        }
        told
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
    /// (RFC 5465 §6.4).
    fn rematch(&mut self, before: &Tree, account: &dyn Account) {
        let there: HashSet<MailboxId> = before.mailboxes.values().map(|info| info.id).collect();
        self.mailboxes = self.wanted(|known, info| {
            if let Some(watched) = known.get(&info.id) {
                return Some(watched.told);
            }
            match there.contains(&info.id) {
                true => Some(Counts::unheard(&account.summary(info.id).ok()?)),
                false => Some(Counts::NEW),
            }
        });
    }

    /// The mailboxes whose messages matter, each with what was told of it.
    fn wanted(
        &self,
        told: impl Fn(&HashMap<MailboxId, Watched>, &MailboxInfo) -> Option<Counts>,
    ) -> HashMap<MailboxId, Watched> {
        let mailboxes = self.tree.mailboxes.iter();
        let watched = mailboxes.filter_map(|(key, info)| {
            let Events {
                messages, flags, ..
            } = self.groups.in_tree(key, &self.tree);
            let told = messages.then(|| told(&self.mailboxes, info)).flatten()?;
            let watched = Watched {
                info: Arc::clone(info),
                flags,
                told,
            };
            Some((info.id, watched))
        });
        watched.collect()
    }

    /// A mailbox was selected until now; the client knows this of it.
    pub(super) fn left(&mut self, id: MailboxId, told: Counts) {
        if let Some(watched) = self.mailboxes.get_mut(&id) {
            watched.told = told;
            self.left = Some(id);
        }
    }

    /// What this client itself did in one step to the messages of a mailbox that it knew is no news
    /// to it. If others did something too, it is told of all together.
    pub(super) fn did_messages(&mut self, id: MailboxId, now: &Summary) {
        if let Some(watched) = self.mailboxes.get_mut(&id)
            && watched.told.mod_seq.next() == Some(now.highest_mod_seq)
        {
            watched.told = Counts {
                uid_validity: watched.told.uid_validity,
                ..Counts::of(now)
            };
        }
    }

    /// What this client itself made of some names is no news to it.
    pub(super) fn did_names(&mut self, now: &Tree, is_own: impl Fn(&MailboxKey) -> bool) {
        if self.is_empty() {
            return;
        }
        let mut tree = Tree::clone(&self.tree);
        tree.mailboxes.retain(|key, _| !is_own(key));
        let own = now.mailboxes.iter().filter(|(key, _)| is_own(key));
        tree.mailboxes
            .extend(own.map(|(key, info)| (key.clone(), Arc::clone(info))));
        self.adopt(tree);
    }

    /// Nor is a subscription that it began or ended.
    pub(super) fn did_subscribe(&mut self, now: &Tree, name: &MailboxName) {
        if self.is_empty() {
            return;
        }
        let key = name.key();
        let mut tree = Tree::clone(&self.tree);
        match now.subscriptions.get(&key) {
            Some(name) => tree.subscriptions.insert(key, name.clone()),
            None => tree.subscriptions.remove(&key),
        };
        self.adopt(tree);
    }

    /// Goes on from a tree with what the client did. A mailbox that it made is empty as far as it
    /// knows.
    fn adopt(&mut self, tree: Tree) {
        let before = std::mem::replace(&mut self.tree, Arc::new(tree));
        let there: HashSet<MailboxId> = before.mailboxes.values().map(|info| info.id).collect();
        let made = self.wanted(|_, info| (!there.contains(&info.id)).then_some(Counts::NEW));
        self.mailboxes.extend(made);
        for info in self.tree.mailboxes.values() {
            if let Some(watched) = self.mailboxes.get_mut(&info.id) {
                watched.info = Arc::clone(info);
            }
        }
    }
}

/// Whether a name is told of to whoever wants these events.
const fn is_wanted(affected: &Affected, events: Events) -> bool {
    (affected.is_name && events.names) || (affected.is_subscription && events.subscriptions)
}
