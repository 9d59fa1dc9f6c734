//! An account as it will be when every plan is durable.

use std::{
    collections::{HashMap, HashSet, hash_map},
    sync::Arc,
};

use mail::id::{AccountId, MailboxId, ModSeq, ThreadId, Uid, UidValidity};

use super::{NewAccountState, NewState, NewTree, Shown, Version, threads::Threads};
use crate::{
    contract::{AccountInfo, Tree, Usage},
    embedded::{
        cache::{Cache, Cell},
        record::{Counters, Record},
    },
    error::{Error, Result, What},
    rules::{names::Retired, quota, threads::ThreadKey},
    state::{MailboxState, Summary},
};

/// The planned account.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(super) epoch: u64,
    pub(super) submitted: u64,
    removed: bool,
    pub(crate) info: Arc<AccountInfo>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) retired: Retired,
    pub(crate) usage: Usage,
    /// Promised to messages on their way.
    pub(crate) reserved: Usage,
    /// Messages an account may have.
    messages_max: u64,
    /// Conversations of messages that the index may not know yet.
    pub(crate) threads: Threads,
    mailboxes: HashMap<MailboxId, Entry>,
}

/// A mailbox as it will be.
#[derive(Debug)]
struct Entry {
    exists: bool,
    /// Counts plans, so that a version read meanwhile is not taken for the newest.
    plans: u64,
    /// What it holds.
    usage: Usage,
    floors: Floors,
    loaded: Option<Loaded>,
}

/// Numbers that no later plan goes below, though the plan that used them may have failed.
#[derive(Clone, Copy, Debug)]
struct Floors {
    uid_next: Uid,
    mod_seq: ModSeq,
    /// What was taken as recent and may not be written yet.
    recent: Uid,
}

#[derive(Debug)]
struct Loaded {
    cell: Arc<Cell>,
    state: Arc<MailboxState>,
    /// The recent floor that is planned to be written.
    recorded_recent: Uid,
    /// Its numbers are above the durable ones, and no plan writes that yet.
    is_lifted: bool,
    bytes: u64,
    used: u64,
}

/// A mailbox in memory that nobody holds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Idle {
    pub(crate) used: u64,
    pub(crate) bytes: u64,
    pub(crate) id: MailboxId,
}

/// Whether a mailbox is in memory.
pub(super) enum Found {
    Loaded(Arc<Cell>),
    /// Not: with the count of its plans.
    Not(u64),
}

impl Planned {
    pub(super) fn new(epoch: u64, shown: &Shown, messages_max: u64) -> Self {
        let entries = shown.summaries.iter();
        Self {
            epoch,
            submitted: 0,
            removed: shown.removed,
            info: Arc::clone(&shown.info),
            tree: Arc::clone(&shown.tree),
            retired: shown.retired.clone(),
            usage: shown.usage,
            reserved: Usage::default(),
            messages_max,
            threads: Threads::default(),
            mailboxes: entries
                .map(|(id, s)| (*id, Entry::new(usage_of(s))))
                .collect(),
        }
    }

    /// Whether more may be added to the account.
    pub(crate) fn fits(&self, more: Usage) -> Result<()> {
        let quota = quota::within(self.info.quota, self.messages_max);
        quota::fits(quota, self.usage, self.reserved, more)
    }

    /// Begins an epoch: from what is durable, above every number used.
    pub(super) fn restart(&mut self, epoch: u64, shown: &Shown) {
        self.epoch = epoch;
        self.removed = shown.removed;
        self.info = Arc::clone(&shown.info);
        self.tree = Arc::clone(&shown.tree);
        self.usage = shown.usage;
        self.threads.restart(shown.number());
        for (id, summary) in &shown.summaries {
            let entry = self.mailboxes.entry(*id);
            entry.or_insert_with(|| Entry::new(usage_of(summary)));
        }
        for (id, entry) in &mut self.mailboxes {
            entry.restart(shown.summaries.get(id));
        }
    }

    /// The epoch that plans made now belong to.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Keeps what the plan that is being made brings of conversations.
    pub(crate) fn keep_threads(&mut self, new: Vec<(ThreadKey, ThreadId)>) {
        self.threads.keep(self.submitted + 1, new);
    }

    /// Refuses plans for an account that is being removed.
    pub(super) fn check_exists(&self) -> Result<()> {
        if self.removed {
            return Err(Error::NotFound(What::Account));
        }
        Ok(())
    }

    /// The version of a mailbox that a plan builds on; its cell must be held.
    pub(crate) fn mailbox(&self, id: MailboxId) -> Result<&Arc<MailboxState>> {
        let entry = self.mailboxes.get(&id).filter(|entry| entry.exists);
        let loaded = entry.and_then(|entry| entry.loaded.as_ref());
        loaded
            .map(|loaded| &loaded.state)
            .ok_or(Error::NotFound(What::Mailbox))
    }

    /// What a mailbox holds.
    pub(crate) fn usage_of(&self, id: MailboxId) -> Usage {
        let entry = self.mailboxes.get(&id).filter(|entry| entry.exists);
        entry.map_or_else(Usage::default, |entry| entry.usage)
    }

    /// The cell of a mailbox, if it is in memory.
    pub(super) fn find(&mut self, id: MailboxId, cache: &Cache) -> Result<Found> {
        let entry = self.mailboxes.get_mut(&id).filter(|entry| entry.exists);
        let entry = entry.ok_or(Error::NotFound(What::Mailbox))?;
        Ok(match &mut entry.loaded {
            Some(loaded) => {
                loaded.used = cache.next_use();
                Found::Loaded(Arc::clone(&loaded.cell))
            }
            None => Found::Not(entry.plans),
        })
    }

    /// Takes a version that was read from the index, unless it was planned on meanwhile.
    pub(super) fn insert(
        &mut self,
        plans: u64,
        state: &MailboxState,
        cache: &Cache,
    ) -> Result<Option<Arc<Cell>>> {
        let entry = self.mailboxes.get_mut(&state.id).filter(|e| e.exists);
        let entry = entry.ok_or(Error::NotFound(What::Mailbox))?;
        Ok(match &entry.loaded {
            Some(loaded) => Some(Arc::clone(&loaded.cell)),
            None if entry.plans == plans => Some(entry.load(state, cache)),
            None => None,
        })
    }

    /// Makes a plan the state on which the next is built. Returns what to show when it is durable.
    pub(super) fn apply(&mut self, plan: NewState, cache: &Cache) -> Version {
        let mut version = Version {
            usage: plan.usage,
            account: plan.account.clone(),
            ..Version::default()
        };
        if let Some(tree) = plan.tree {
            self.apply_tree(tree, &mut version, cache);
        }
        for state in plan.states {
            self.apply_state(state, &mut version, cache);
        }
        match plan.account {
            NewAccountState::Same => {}
            NewAccountState::Changed(info) => self.info = info,
            NewAccountState::Removed => {
                self.removed = true;
                let entries = self.mailboxes.iter();
                version.closed = entries.map(|(id, entry)| (*id, entry.cell())).collect();
            }
        }
        self.submitted += 1;
        self.usage = plan.usage;
        version
    }

    fn apply_tree(&mut self, new: NewTree, version: &mut Version, cache: &Cache) {
        // Those that were deleted earlier are let go once nobody holds them.
        self.mailboxes
            .retain(|_, entry| entry.exists || entry.is_held());
        let old = std::mem::replace(&mut self.tree, Arc::new(new.tree));
        version.tree = Some(Arc::clone(&self.tree));
        let kept: HashSet<MailboxId> = self.tree.mailboxes.values().map(|i| i.id).collect();
        for (key, info) in &old.mailboxes {
            let now = self.tree.mailboxes.get(key).map(|info| info.id);
            if now != Some(info.id) {
                let validity = self.retired.entry(key.clone()).or_insert(info.uid_validity);
                *validity = info.uid_validity.max(*validity);
            }
            if !kept.contains(&info.id)
                && let Some(entry) = self.mailboxes.get_mut(&info.id)
            {
                entry.exists = false;
                version.closed.push((info.id, entry.cell()));
            }
        }
        let mut revalidated = Vec::new();
        for info in new.created {
            version.validities.push((info.id, info.uid_validity));
            match self.mailboxes.entry(info.id) {
                hash_map::Entry::Vacant(vacant) => {
                    let entry = vacant.insert(Entry::new(Usage::default()));
                    entry.load(&MailboxState::empty(info.id, info.uid_validity), cache);
                }
                hash_map::Entry::Occupied(mut known) => {
                    let state = known.get_mut().revalidated(info.uid_validity);
                    revalidated.extend(state);
                }
            }
        }
        for state in revalidated {
            self.apply_state(state, version, cache);
        }
    }

    fn apply_state(&mut self, state: MailboxState, version: &mut Version, cache: &Cache) {
        let Some(entry) = self.mailboxes.get_mut(&state.id) else {
            return;
        };
        let Some(loaded) = &mut entry.loaded else {
            return;
        };
        let state = loaded.record_numbers(self.info.id, state, &mut version.records);
        entry.plans += 1;
        entry.usage = usage_of(&state.summary);
        loaded.resize(state_bytes(&state), cache);
        loaded.state = Arc::new(state.clone());
        version.states.push((Arc::clone(&loaded.cell), state));
    }

    /// Mailboxes that nobody holds, with their last use and size.
    pub(super) fn idle(&self) -> impl Iterator<Item = Idle> {
        self.mailboxes.iter().filter_map(|(id, entry)| {
            let loaded = entry.loaded.as_ref()?;
            (!entry.is_held()).then_some(Idle {
                used: loaded.used,
                bytes: loaded.bytes,
                id: *id,
            })
        })
    }

    /// Lets a mailbox go, unless somebody holds it.
    pub(super) fn evict(&mut self, id: MailboxId, cache: &Cache) {
        let Some(entry) = self.mailboxes.get_mut(&id) else {
            return;
        };
        if !entry.is_held()
            && let Some(mut loaded) = entry.loaded.take()
        {
            entry.floors.raise(&loaded.state.summary);
            entry.floors.recent = loaded.cell.recent_floor();
            loaded.resize(0, cache);
        }
    }
}

impl Entry {
    const fn new(usage: Usage) -> Self {
        Self {
            exists: true,
            plans: 0,
            usage,
            floors: Floors {
                uid_next: Uid::MIN,
                mod_seq: ModSeq::MIN,
                recent: Uid::MIN,
            },
            loaded: None,
        }
    }

    /// Whether a session, or a plan that is not durable yet, holds it: the entry's own hold is one.
    fn is_held(&self) -> bool {
        let loaded = self.loaded.as_ref();
        loaded.is_some_and(|loaded| Arc::strong_count(&loaded.cell) > 1)
    }

    fn cell(&self) -> Option<Arc<Cell>> {
        self.loaded.as_ref().map(|loaded| Arc::clone(&loaded.cell))
    }

    fn load(&mut self, state: &MailboxState, cache: &Cache) -> Arc<Cell> {
        let recorded_recent = state.recent_floor;
        let state = Arc::new(state.with_recent_floor(self.floors.recent));
        let cell = Arc::new(Cell::new(Arc::clone(&state), Arc::clone(&cache.versions)));
        let mut loaded = Loaded {
            cell: Arc::clone(&cell),
            state: self.floors.lift(&state),
            is_lifted: self.floors.lifts(&state),
            recorded_recent,
            bytes: 0,
            used: cache.next_use(),
        };
        loaded.resize(state_bytes(&state), cache);
        self.loaded = Some(loaded);
        cell
    }

    fn restart(&mut self, shown: Option<&Summary>) {
        self.exists = shown.is_some();
        self.usage = shown.map_or_else(Usage::default, usage_of);
        self.plans += 1;
        if let Some(loaded) = &mut self.loaded {
            self.floors.raise(&loaded.state.summary);
            let shown = loaded.cell.state();
            loaded.state = self.floors.lift(&shown);
            loaded.is_lifted = self.floors.lifts(&shown);
            loaded.recorded_recent = Uid::MIN;
        }
    }

    /// The mailbox with another UIDVALIDITY; if it is not in memory, the index knows it.
    fn revalidated(&mut self, uid_validity: UidValidity) -> Option<MailboxState> {
        self.plans += 1;
        let mut state = MailboxState::clone(&self.loaded.as_ref()?.state);
        state.summary.uid_validity = uid_validity;
        Some(state)
    }
}

impl Floors {
    fn raise(&mut self, summary: &Summary) {
        self.uid_next = self.uid_next.max(summary.uid_next);
        self.mod_seq = self.mod_seq.max(summary.highest_mod_seq);
    }

    fn lifts(&self, state: &MailboxState) -> bool {
        let summary = &state.summary;
        self.uid_next > summary.uid_next || self.mod_seq > summary.highest_mod_seq
    }

    fn lift(&self, state: &Arc<MailboxState>) -> Arc<MailboxState> {
        if !self.lifts(state) {
            return Arc::clone(state);
        }
        let mut state = MailboxState::clone(state);
        state.summary.uid_next = self.uid_next.max(state.summary.uid_next);
        state.summary.highest_mod_seq = self.mod_seq.max(state.summary.highest_mod_seq);
        Arc::new(state)
    }
}

impl Loaded {
    /// Adds the records of numbers that are to be shown with `state` and follow from no other.
    fn record_numbers(
        &mut self,
        account: AccountId,
        state: MailboxState,
        records: &mut Vec<Record>,
    ) -> MailboxState {
        if std::mem::take(&mut self.is_lifted) {
            records.push(Record::Counters(Counters::Mailbox {
                account,
                mailbox: state.id,
                uid_next: state.summary.uid_next,
                highest_mod_seq: state.summary.highest_mod_seq,
                history_floor: state.history_floor,
            }));
        }
        let floor = self.cell.recent_floor();
        if floor <= self.recorded_recent {
            return state;
        }
        self.recorded_recent = floor;
        records.push(Record::RecentFloor(account, state.id, floor));
        state.with_recent_floor(floor)
    }

    fn resize(&mut self, bytes: u64, cache: &Cache) {
        cache.resize(self.bytes, bytes);
        self.bytes = bytes;
    }
}

fn usage_of(summary: &Summary) -> Usage {
    Usage {
        bytes: summary.bytes,
        messages: u64::from(summary.messages),
    }
}

fn state_bytes(state: &MailboxState) -> u64 {
    u64::try_from(state.bytes()).unwrap_or(u64::MAX)
}
