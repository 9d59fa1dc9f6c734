//! The embedded engine: everything that one directory holds.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use mail::id::{AccountId, BodyId, MailboxId, UidValidity};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::{
    account::EmbeddedAccount,
    blocking,
    cache::Cache,
    core::{Core, Opened, Permit, Space, StoreCounters},
    directory::Directory,
    frame::Lsn,
    incoming::Rest,
    index::AccountImage,
    planner::{Draft, NewAccountState, NewState, Parts, Planner, Stamp},
    record::{MailboxRecord, Purge, Record, Transaction},
    rights::{Right, Subject, authorise},
    segment::unavailable,
    upload::EmbeddedUpload,
};
use crate::{
    clock::Clock,
    contract::{
        Account, AccountChange, AccountInfo, Actor, Compacted, MailboxInfo, Measures, NewAccount,
        Rebuilding, Room, Shared, Store, Upload, Usage,
    },
    disk::{Disk, DiskFile, OpenMode, RealDisk},
    error::{Error, Result},
    history::{HistoryEnd, HistoryQuery, Past},
    options::Options,
    rules::{
        Context, Limits,
        accounts::{changed, first_tree, new_info},
        names::{Issuer, Retired},
    },
    search::Turns,
    state::Summary,
};

/// A store in one directory.
#[derive(Debug)]
pub struct EmbeddedStore {
    engine: Arc<Engine>,
}

/// What its accounts share.
pub(crate) struct Engine {
    pub(crate) parts: Parts,
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    options: Options,
    clock: Arc<dyn Clock>,
    issued: Issued,
    planners: Mutex<HashMap<AccountId, Arc<Planner>>>,
    closed: AtomicBool,
    /// Searches, which take turns.
    pub(crate) searches: Arc<Turns>,
    /// What was damaged when the store was opened.
    pub(crate) damage: Vec<String>,
}

/// The highest numbers ever handed out.
#[derive(Debug)]
struct Issued {
    account: AtomicU64,
    mailbox: AtomicU64,
    body: AtomicU64,
    uid_validity: AtomicU32,
    spool: AtomicU64,
}

impl EmbeddedStore {
    /// Opens the store in a directory, or creates it; replays what the log has.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process has it; [`Error::Unavailable`] if the disk fails.
    pub fn open(path: &Path, options: Options, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::open_on(Arc::new(RealDisk), path, options, clock)
    }

    /// The same on any disk.
    ///
    /// # Errors
    /// As [`EmbeddedStore::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        options: Options,
        clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>> {
        let opened = Core::open(&disk, dir, &options, Arc::clone(&clock))?;
        let Opened {
            core,
            accounts,
            counters,
            damage,
        } = opened;
        for found in &damage {
            tracing::error!(%found, "damage in the store");
        }
        let versions = Arc::clone(&core.shared.versions);
        let parts = Parts {
            core,
            cache: Arc::new(Cache::new(options.mailbox_cache_bytes, versions)),
            directory: Arc::new(Directory::new(accounts)),
            messages_max: options.messages_max,
        };
        let engine = Engine {
            parts,
            disk,
            dir: dir.to_owned(),
            options,
            clock,
            issued: Issued::new(&counters),
            planners: Mutex::new(HashMap::new()),
            closed: AtomicBool::new(false),
            searches: Arc::new(Turns::of_machine()),
            damage,
        };
        engine.clear_spools();
        Ok(Arc::new(Self {
            engine: Arc::new(engine),
        }))
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// What the rules need to know for a plan of an account.
    pub(crate) fn context(&self, account: AccountId) -> Context {
        Context {
            account,
            now_secs: self.clock.now_secs(),
            limits: Limits {
                keywords_per_mailbox_max: self.options.keywords_per_mailbox_max,
                keyword_bytes_max: self.options.keyword_bytes_max,
                mailboxes_max: self.options.mailboxes_max,
                names: self.options.names,
            },
        }
    }

    /// The largest message that is taken; a row has 32 bits for its size.
    pub(crate) fn message_bytes_max(&self) -> u64 {
        self.options.message_bytes_max.min(u64::from(u32::MAX))
    }

    /// How bodies are compressed.
    pub(crate) const fn compression_level(&self) -> i32 {
        self.options.compression_level
    }

    /// Hands out numbers.
    pub(crate) const fn issuer(&self, now_secs: i64) -> Issuing<'_> {
        Issuing {
            issued: &self.issued,
            now_secs,
        }
    }

    /// An id for a body.
    pub(crate) fn body_id(&self) -> Result<BodyId> {
        next(&self.issued.body, BodyId::new)
    }

    /// Refuses what adds to a disk that is almost full.
    pub(crate) fn check_space(&self) -> Result<()> {
        match self.parts.core.space() {
            Space::Normal => Ok(()),
            Space::Reserve | Space::Full => Err(Error::DiskFull),
        }
    }

    /// Refuses everything once the store is closed.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(Error::Unavailable("the store is closed".into()));
        }
        Ok(())
    }

    /// Removes names of spools that a power cut brought back. They do no harm but take room.
    fn clear_spools(&self) {
        let dir = self.dir.join("spool");
        for name in self.disk.list(&dir).unwrap_or_default() {
            if let Err(error) = self.disk.remove(&dir.join(&name)) {
                tracing::warn!(%error, %name, "a spool stays");
            }
        }
    }

    /// A file for a long message: its name is gone before it holds anything.
    pub(crate) fn spool_file(&self) -> Result<Arc<dyn DiskFile>> {
        let dir = self.dir.join("spool");
        let number = self.issued.spool.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(number.to_string());
        let opened = self.disk.create_dir(&dir).and_then(|()| {
            let file = self.disk.open(&path, OpenMode::Either)?;
            self.disk.remove(&path)?;
            Ok(file)
        });
        opened.map_err(|error| unavailable("making a spool", &error))
    }

    /// The planner of an account, loaded if need be.
    pub(crate) async fn planner(self: &Arc<Self>, id: AccountId) -> Result<Arc<Planner>> {
        if let Some(planner) = self.planners.lock().get(&id) {
            return Ok(Arc::clone(planner));
        }
        self.parts.directory.info(id)?;
        let core = Arc::clone(&self.parts.core);
        core.ready(id).await?;
        let image = blocking(move || core.load_account(id)).await?;
        let mut planners = self.planners.lock();
        if let Some(planner) = planners.get(&id) {
            return Ok(Arc::clone(planner));
        }
        // Nobody could change the account without its planner, so the image is still true.
        let info = self.parts.directory.info(id)?;
        let planner = Arc::new(Planner::new(info, self.parts.clone(), image, None));
        planners.insert(id, Arc::clone(&planner));
        Ok(planner)
    }

    /// Every planner in memory.
    pub(crate) fn planners(&self) -> Vec<Arc<Planner>> {
        self.planners.lock().values().cloned().collect()
    }

    /// Lets mailboxes go that nobody holds, least recently used first, until all fit.
    pub(crate) fn evict(&self) {
        let mut excess = self.parts.cache.excess();
        if excess == 0 {
            return;
        }
        let mut idle = Vec::new();
        for planner in self.planners() {
            idle.extend(
                planner
                    .idle()
                    .into_iter()
                    .map(|i| (i, Arc::clone(&planner))),
            );
        }
        idle.sort_by_key(|(idle, _)| *idle);
        for (mailbox, planner) in idle {
            if excess == 0 {
                break;
            }
            planner.evict(mailbox.id);
            excess = excess.saturating_sub(mailbox.bytes);
        }
    }

    /// Queues the creation of an account whose names are claimed.
    fn create(
        self: &Arc<Self>,
        permit: Permit,
        info: AccountInfo,
    ) -> Result<oneshot::Receiver<Result<Arc<AccountInfo>>>> {
        let context = self.context(info.id);
        let change = first_tree(&context, &mut self.issuer(context.now_secs))?;
        let image = AccountImage {
            mailboxes: change
                .created
                .iter()
                .map(|i| new_mailbox(&info, i))
                .collect(),
            subscriptions: change.tree.subscriptions.values().cloned().collect(),
            retired: Retired::new(),
            usage: Usage::default(),
        };
        let mut records = vec![Record::Account(info.clone())];
        records.extend(change.records);
        let transaction = Transaction {
            time_secs: context.now_secs,
            origin: Arc::from("account"),
            records,
        };
        let (tell, told) = oneshot::channel();
        let engine = Arc::clone(self);
        let done = Box::new(move |result: Result<Lsn>| {
            let _ = tell.send(engine.created(Arc::new(info), image, result));
        });
        let core = &self.parts.core;
        core.submit(permit, core.epoch(), transaction, done);
        Ok(told)
    }

    /// On the commit thread: shows an account that is durable.
    fn created(
        &self,
        info: Arc<AccountInfo>,
        image: AccountImage,
        result: Result<Lsn>,
    ) -> Result<Arc<AccountInfo>> {
        match result {
            Ok(lsn) => {
                let parts = self.parts.clone();
                let planner = Planner::new(Arc::clone(&info), parts, image, Some(lsn));
                self.planners.lock().insert(info.id, Arc::new(planner));
                self.parts.directory.show(&info);
                Ok(info)
            }
            Err(error) => {
                self.parts.directory.unclaim(&info);
                Err(error)
            }
        }
    }
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn create_account(&self, new: NewAccount) -> Result<Arc<AccountInfo>> {
        let engine = &self.engine;
        engine.check_open()?;
        engine.check_space()?;
        let permit = engine.parts.core.permit().await?;
        let id = next(&engine.issued.account, AccountId::new)?;
        let info = new_info(id, new, engine.clock.now_secs());
        engine.parts.directory.claim(&info)?;
        let told = engine.create(permit, info.clone());
        if told.is_err() {
            engine.parts.directory.unclaim(&info);
        }
        told?.await.unwrap_or_else(|_| Err(stopped()))
    }

    fn accounts(&self) -> Vec<Arc<AccountInfo>> {
        self.engine.parts.directory.all()
    }

    fn account_count(&self) -> usize {
        self.engine.parts.directory.count()
    }

    fn accounts_without_scram(&self) -> usize {
        self.engine.parts.directory.without_scram()
    }

    fn find_account(&self, name: &str) -> Option<Arc<AccountInfo>> {
        self.engine.parts.directory.find(name)
    }

    async fn change_account(
        &self,
        id: AccountId,
        change: AccountChange,
    ) -> Result<Arc<AccountInfo>> {
        self.engine.check_open()?;
        let planner = self.engine.planner(id).await?;
        let directory = &self.engine.parts.directory;
        planner
            .commit(&self.stamp(), |planned| {
                let now_secs = self.engine.clock.now_secs();
                let info = Arc::new(changed(&planned.info, change, now_secs)?);
                if info == planned.info {
                    return Ok((Draft::nothing(planned), info));
                }
                directory.claim(&info)?;
                let draft = Draft {
                    records: vec![Record::Account(AccountInfo::clone(&info))],
                    next: NewState {
                        account: NewAccountState::Changed(Arc::clone(&info)),
                        ..NewState::same(planned)
                    },
                };
                Ok((draft, info))
            })
            .await
    }

    async fn remove_account(&self, id: AccountId) -> Result<()> {
        self.removed(id, Purge::AfterWindow).await
    }

    async fn purge_account(&self, id: AccountId) -> Result<()> {
        self.removed(id, Purge::Now).await?;
        self.engine.parts.core.purge();
        Ok(())
    }

    async fn compact(&self) -> Result<Compacted> {
        self.engine.check_open()?;
        let core = Arc::clone(&self.engine.parts.core);
        blocking(move || core.compact()).await
    }

    fn room(&self) -> Room {
        self.engine.parts.core.room()
    }

    async fn open_account(&self, id: AccountId, actor: Actor) -> Result<Arc<dyn Account>> {
        self.engine.check_open()?;
        authorise(&actor, Subject::Account(id), Right::Lookup)?;
        let planner = self.engine.planner(id).await?;
        if planner.shown(|shown| shown.removed) {
            return Err(Error::NotFound(crate::error::What::Account));
        }
        let engine = Arc::clone(&self.engine);
        Ok(Arc::new(EmbeddedAccount::new(engine, planner, actor)))
    }

    async fn upload(&self, announced_bytes: u64) -> Result<Box<dyn Upload>> {
        self.engine.check_open()?;
        self.engine.check_space()?;
        let engine = Arc::clone(&self.engine);
        let upload = EmbeddedUpload::begin(engine, None, announced_bytes)?;
        Ok(Box::new(upload))
    }

    async fn share(&self, upload: Box<dyn Upload>, header_bytes: u64) -> Result<Arc<dyn Shared>> {
        let level = self.engine.compression_level();
        let rest = Rest::new(upload, header_bytes, level).await?;
        Ok(Arc::new(rest))
    }

    async fn check(&self) -> Result<Vec<String>> {
        self.engine.check_open()?;
        super::audit::check(&self.engine).await
    }

    async fn history(&self, query: HistoryQuery, to: mpsc::Sender<Past>) -> Result<HistoryEnd> {
        self.engine.check_open()?;
        // Its names are asked for.
        if let Some(account) = query.account {
            self.engine.planner(account).await?;
        }
        let engine = Arc::clone(&self.engine);
        blocking(move || super::history::tell(&engine, &query, &to)).await
    }

    fn health(&self) -> Result<()> {
        self.engine.check_open()?;
        self.engine.parts.core.health()
    }

    fn measures(&self) -> Measures {
        self.engine.parts.core.shared.measures()
    }

    fn busy_for(&self) -> Duration {
        self.engine.parts.core.busy_for()
    }

    fn rebuilding(&self) -> Option<Rebuilding> {
        self.engine.parts.core.rebuilding()
    }

    async fn close(&self) {
        if self.engine.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let core = Arc::clone(&self.engine.parts.core);
        let closing = blocking(move || {
            core.close();
            Ok(())
        });
        if let Err(error) = closing.await {
            tracing::error!(%error, "closing the store");
        }
    }
}

impl Drop for EmbeddedStore {
    /// What is queued becomes durable, and the threads end, before the store is gone.
    fn drop(&mut self) {
        self.engine.closed.store(true, Ordering::SeqCst);
        self.engine.parts.core.close();
    }
}

impl EmbeddedStore {
    async fn removed(&self, id: AccountId, purge: Purge) -> Result<()> {
        self.engine.check_open()?;
        let planner = self.engine.planner(id).await?;
        let draft = |planned: &NewState| NewState {
            account: NewAccountState::Removed,
            usage: planned.usage,
            states: Vec::new(),
            tree: None,
        };
        planner
            .commit(&self.stamp(), |planned| {
                let draft = Draft {
                    records: vec![Record::AccountRemoved(id, purge)],
                    next: draft(&NewState::same(planned)),
                };
                Ok((draft, ()))
            })
            .await
    }

    fn stamp(&self) -> Stamp {
        Stamp {
            time_secs: self.engine.clock.now_secs(),
            origin: Arc::from("account"),
        }
    }
}

fn new_mailbox(account: &AccountInfo, info: &MailboxInfo) -> (MailboxRecord, Summary) {
    let record = MailboxRecord {
        account: account.id,
        id: info.id,
        name: info.name.clone(),
        uid_validity: info.uid_validity,
        special_use: info.special_use.clone(),
    };
    (record, Summary::empty(info.uid_validity))
}

fn stopped() -> Error {
    Error::Unavailable("the store is closing".into())
}

impl Issued {
    const fn new(counters: &StoreCounters) -> Self {
        Self {
            account: AtomicU64::new(counters.account),
            mailbox: AtomicU64::new(counters.mailbox),
            body: AtomicU64::new(counters.body),
            uid_validity: AtomicU32::new(counters.uid_validity),
            spool: AtomicU64::new(0),
        }
    }
}

/// Hands out numbers at a time.
pub(crate) struct Issuing<'a> {
    issued: &'a Issued,
    now_secs: i64,
}

impl Issuer for Issuing<'_> {
    fn mailbox_id(&mut self) -> Result<MailboxId> {
        next(&self.issued.mailbox, MailboxId::new)
    }

    /// The unix time, or one more than the greatest so far if that is greater.
    fn uid_validity(&mut self) -> Result<UidValidity> {
        let now = u32::try_from(self.now_secs.max(1)).unwrap_or(u32::MAX);
        let later = |highest: u32| highest.checked_add(1).map(|n| n.max(now));
        self.issued
            .uid_validity
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, later)
            .ok()
            .and_then(later)
            .and_then(UidValidity::new)
            .ok_or(Error::Limit("UIDVALIDITYs of a store"))
    }
}

fn next<T>(highest: &AtomicU64, id: impl Fn(u64) -> Option<T>) -> Result<T> {
    let last = highest.fetch_add(1, Ordering::SeqCst);
    id(last.wrapping_add(1)).ok_or(Error::Limit("ids of a store"))
}
