//! One planner per account: it serialises the plans for all its mailboxes, names and quota.
//!
//! A plan is short and synchronous, made under one lock that is never held across an await. It may
//! build on plans that are not durable yet; what sessions see ([`Shown`]) changes only when the log
//! says so, in the order of the plans. When a commit fails, its epoch is over: planning starts
//! again from what is shown, but UIDs and mod-sequences go on above every number a failed plan used
//! (design.md §2, "a failed commit").

mod changed;
mod planned;
mod shown;
mod threads;

use std::{collections::HashMap, sync::Arc};

use mail::id::{AccountId, MailboxId, Uid};
use parking_lot::{Mutex, MutexGuard, RwLock};
use tokio::sync::{oneshot, watch};

use self::{planned::Found, shown::Version};
pub(crate) use self::{
    planned::{Idle, Planned},
    shown::Shown,
    threads::{Joined, Looked},
};
use super::{
    blocking,
    cache::{Cache, Cell},
    core::{Core, Permit},
    directory::Directory,
    frame::Lsn,
    index::AccountImage,
    record::{Record, Transaction},
};
use crate::{
    contract::{AccountInfo, MailboxInfo, Tree, Usage},
    error::{Error, Result},
    rules::{Change, names::TreeChange, quota, threads::ThreadKey},
    state::MailboxState,
};

/// The planner of an account, and what its sessions see.
#[derive(Debug)]
pub(crate) struct Planner {
    pub(crate) account: AccountId,
    pub(crate) parts: Parts,
    planned: Mutex<Planned>,
    shown: RwLock<Shown>,
    changes: Mutex<Option<watch::Sender<u64>>>,
    changed: watch::Receiver<u64>,
    settled: watch::Sender<u64>,
}

/// What the planners of a store share.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) core: Arc<Core>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) directory: Arc<Directory>,
    /// Messages an account may have.
    pub(crate) messages_max: u64,
}

/// A plan: what is to become durable, and what is true then. Without records it changes nothing.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) records: Vec<Record>,
    pub(crate) next: NewState,
}

/// The state after a plan.
#[derive(Debug)]
pub(crate) struct NewState {
    /// Mailboxes that change, in the order in which that is shown.
    pub(crate) states: Vec<MailboxState>,
    pub(crate) tree: Option<NewTree>,
    pub(crate) usage: Usage,
    pub(crate) account: NewAccountState,
}

/// A tree after a plan.
#[derive(Debug)]
pub(crate) struct NewTree {
    pub(crate) tree: Tree,
    pub(crate) created: Vec<Arc<MailboxInfo>>,
}

/// What a plan does to the account itself.
#[derive(Clone, Debug, Default)]
pub(crate) enum NewAccountState {
    #[default]
    Same,
    Changed(Arc<AccountInfo>),
    Removed,
}

/// Who plans, and when.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) time_secs: i64,
    pub(crate) origin: Arc<str>,
}

/// What a caller waits for before it may say that its change is durable.
enum Waiter {
    /// Its own transaction.
    Own(oneshot::Receiver<Result<()>>),
    /// It changed nothing, but saw plans that are not durable yet.
    Others { submitted: u64, epoch: u64 },
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl Planner {
    /// The planner of an account that is durable as `image` up to `lsn`.
    pub(crate) fn new(
        info: Arc<AccountInfo>,
        parts: Parts,
        image: AccountImage,
        lsn: Option<Lsn>,
    ) -> Self {
        let account = info.id;
        let shown = Shown::new(info, image, lsn);
        let (changes, changed) = watch::channel(0);
        let planned = Planned::new(parts.core.epoch(), &shown, parts.messages_max);
        Self {
            account,
            planned: Mutex::new(planned),
            parts,
            shown: RwLock::new(shown),
            changes: Mutex::new(Some(changes)),
            changed,
            settled: watch::Sender::new(0),
        }
    }

    /// What sessions see.
    pub(crate) fn shown<T>(&self, read: impl FnOnce(&Shown) -> T) -> T {
        read(&self.shown.read())
    }

    /// Wakes when something of the account changed.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        let mut receiver = self.changed.clone();
        receiver.mark_unchanged();
        receiver
    }

    /// Plans, queues the plan, and waits until it is durable. Dropping the future takes nothing
    /// back: the plan stays queued.
    pub(crate) async fn commit<T>(
        self: &Arc<Self>,
        stamp: &Stamp,
        plan: impl FnOnce(&mut Planned) -> Result<(Draft, T)> + Send,
    ) -> Result<T> {
        let permit = self.parts.core.permit().await?;
        let (waiter, did) = self.queue(permit, stamp, plan)?;
        self.wait(waiter).await?;
        Ok(did)
    }

    /// Queues a plan: the part of a commit that is not waiting.
    fn queue<T>(
        self: &Arc<Self>,
        permit: Permit,
        stamp: &Stamp,
        plan: impl FnOnce(&mut Planned) -> Result<(Draft, T)>,
    ) -> Result<(Waiter, T)> {
        let mut planned = self.planned();
        planned.check_exists()?;
        let (draft, did) = plan(&mut planned)?;
        let epoch = planned.epoch;
        if draft.records.is_empty() {
            let submitted = planned.submitted;
            return Ok((Waiter::Others { submitted, epoch }, did));
        }
        let mut records = draft.records;
        let mut version = planned.apply(draft.next, &self.parts.cache);
        version.number = planned.submitted;
        records.append(&mut version.records);
        let (tell, told) = oneshot::channel();
        let transaction = Transaction {
            time_secs: stamp.time_secs,
            origin: Arc::clone(&stamp.origin),
            records,
        };
        let planner = Arc::clone(self);
        let done = Box::new(move |result| {
            let result = planner.settle(epoch, version, result);
            // The caller may be gone.
            let _ = tell.send(result);
        });
        // Under the lock, so that the log has the plans in the order in which they were made.
        self.parts.core.submit(permit, epoch, transaction, done);
        Ok((Waiter::Own(told), did))
    }

    /// Changes what is planned and not logged, such as reservations.
    pub(crate) fn adjust<T>(&self, change: impl FnOnce(&mut Planned) -> Result<T>) -> Result<T> {
        let mut planned = self.planned();
        planned.check_exists()?;
        change(&mut planned)
    }

    /// Ends a reservation, also in an account that is gone.
    pub(crate) fn release(&self, reserved: Usage) {
        let mut planned = self.planned.lock();
        planned.reserved = quota::subtract(planned.reserved, reserved);
    }

    /// The planned account, restarted if a commit failed.
    fn planned(&self) -> MutexGuard<'_, Planned> {
        let mut planned = self.planned.lock();
        let epoch = self.parts.core.epoch();
        if planned.epoch != epoch {
            planned.restart(epoch, &self.shown.read());
        }
        planned
    }

    async fn wait(&self, waiter: Waiter) -> Result<()> {
        match waiter {
            Waiter::Own(told) => told.await.unwrap_or_else(|_| Err(stopped())),
            Waiter::Others { submitted, epoch } => {
                let mut settled = self.settled.subscribe();
                let wait = settled.wait_for(|settled| *settled >= submitted);
                wait.await.map_err(|_| stopped())?;
                self.shown.read().check_epoch(epoch)
            }
        }
    }

    /// On the commit thread: shows what is durable, in the order of the plans.
    fn settle(&self, epoch: u64, version: Version, result: Result<Lsn>) -> Result<()> {
        let account = version.account.clone();
        let result = self.shown.write().settle(epoch, version, result);
        if result.is_ok() {
            self.announce(&account);
        } else if let NewAccountState::Changed(info) = account {
            self.parts.directory.unclaim(&info);
        }
        self.settled.send_modify(|n| *n += 1);
        result
    }

    /// Wakes who waits for changes of the account.
    fn announce(&self, account: &NewAccountState) {
        let mut changes = self.changes.lock();
        if let Some(changes) = &*changes {
            changes.send_modify(|n| *n = n.wrapping_add(1));
        }
        match account {
            NewAccountState::Same => {}
            NewAccountState::Changed(info) => self.parts.directory.show(info),
            NewAccountState::Removed => {
                self.parts.directory.remove(self.account);
                changes.take();
            }
        }
    }

    /// A mailbox in memory; it stays there while the cell is held.
    pub(crate) async fn cell(self: &Arc<Self>, id: MailboxId) -> Result<Arc<Cell>> {
        loop {
            let found = self.adjust(|planned| planned.find(id, &self.parts.cache))?;
            let plans = match found {
                Found::Loaded(cell) => return Ok(cell),
                Found::Not(plans) => plans,
            };
            let lsn = self.shown.read().lsn();
            let core = Arc::clone(&self.parts.core);
            let account = self.account;
            core.ready(account).await?;
            let state = blocking(move || {
                if let Some(lsn) = lsn {
                    core.wait_applied(lsn)?;
                }
                core.load_mailbox(account, id)
            });
            let state = state.await?;
            if let Some(cell) = self.planned().insert(plans, &state, &self.parts.cache)? {
                return Ok(cell);
            }
        }
    }

    /// From which conversations keys are known to the index, which may be behind.
    pub(crate) async fn look_up(&self, keys: Vec<ThreadKey>) -> Result<Looked> {
        let (core, account) = (Arc::clone(&self.parts.core), self.account);
        core.ready(account).await?;
        // What is applied now is in what is read then.
        let plans = self.shown.write().plans_to(core.applied());
        let found = match keys.is_empty() {
            true => HashMap::new(),
            false => blocking(move || core.threads(account, &keys)).await?,
        };
        Ok(Looked { plans, found })
    }

    /// Takes what is recent of a version.
    pub(crate) fn take_recent(&self, cell: &Cell, state: &MailboxState) -> Option<Uid> {
        let (first, summary) = cell.take_recent(state)?;
        self.shown.write().set_summary(cell.id, summary);
        Some(first)
    }

    /// Mailboxes in memory that nobody holds.
    pub(crate) fn idle(&self) -> Vec<Idle> {
        self.planned.lock().idle().collect()
    }

    /// Lets a mailbox go, unless somebody holds it.
    pub(crate) fn evict(&self, id: MailboxId) {
        self.planned.lock().evict(id, &self.parts.cache);
    }
}

impl Draft {
    /// A plan that changes nothing.
    pub(crate) fn nothing(planned: &Planned) -> Self {
        Self {
            records: Vec::new(),
            next: NewState::same(planned),
        }
    }

    /// A plan that changes names.
    pub(crate) fn tree(planned: &Planned, change: TreeChange) -> Self {
        let tree = NewTree {
            tree: change.tree,
            created: change.created,
        };
        Self {
            records: change.records,
            next: NewState {
                tree: Some(tree),
                ..NewState::same(planned)
            },
        }
    }

    /// A plan that changes messages, after which the account holds `usage`.
    pub(crate) fn messages(planned: &Planned, change: Option<Change>, usage: Usage) -> Self {
        let change = change.unwrap_or_default();
        Self {
            records: change.records,
            next: NewState {
                states: change.states,
                usage,
                ..NewState::same(planned)
            },
        }
    }
}

impl NewState {
    /// The state as it is planned already.
    pub(crate) fn same(planned: &Planned) -> Self {
        Self {
            states: Vec::new(),
            tree: None,
            usage: planned.usage,
            account: NewAccountState::Same,
        }
    }
}

fn stopped() -> Error {
    Error::Unavailable("the store is closing".into())
}
