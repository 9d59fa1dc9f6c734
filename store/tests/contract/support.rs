//! What contract tests are given.

use std::{future::Future, path::Path, pin::Pin, sync::Arc};

use mail::{
    flag::{FlagChange, Flags, Keyword, SystemFlags, UnchangedSince},
    id::{MailboxId, ModSeq, Uid},
    mailbox::MailboxName,
    set::UidSet,
    structure,
};
use store::{
    Access, Account, Actor, Appended, Delivery, FlagsOutcome, Mailbox, NewAccount, NewMessage,
    Options, Quota, Result, Shared, Static, Store, clock::ManualClock, disk::SimDisk,
    embedded::EmbeddedStore,
};

/// When the tests take place.
pub(crate) const NOW: i64 = 1_800_000_000;

/// An engine that can be closed and opened again with what it holds.
pub(crate) trait Engine {
    fn open(&self, options: Options) -> Arc<dyn Store>;
    /// Bytes of the log.
    fn log_bytes(&self) -> u64;
    /// Loses what can be made again.
    fn lose(&self, what: Lost);
    fn clock(&self) -> Arc<ManualClock>;
}

/// What can be made again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Lost {
    Nothing,
    Index,
    /// The index, and the summaries it is made from.
    Summaries,
}

/// The embedded engine on a disk in memory.
pub(crate) struct Embedded {
    pub(crate) disk: SimDisk,
    clock: Arc<ManualClock>,
}

impl Embedded {
    pub(crate) fn new() -> Self {
        Self {
            disk: SimDisk::new(),
            clock: Arc::new(ManualClock::new(NOW)),
        }
    }
}

impl Engine for Embedded {
    fn open(&self, options: Options) -> Arc<dyn Store> {
        let disk = Arc::new(self.disk.clone());
        EmbeddedStore::open_on(disk, Path::new("/store"), options, self.clock()).unwrap()
    }

    fn log_bytes(&self) -> u64 {
        let files = self.disk.files();
        let segments = files
            .iter()
            .filter(|(path, _)| path.starts_with("/store/log"));
        segments.map(|(_, bytes)| bytes.len() as u64).sum()
    }

    fn lose(&self, what: Lost) {
        for path in self.disk.files().keys() {
            let is_lost = match what {
                Lost::Nothing => false,
                Lost::Index => path.starts_with("/store/index"),
                Lost::Summaries => {
                    path.starts_with("/store/index") || path.extension().is_some_and(|e| e == "sum")
                }
            };
            if is_lost {
                self.disk.put(path, None);
            }
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }
}

/// A store to test.
pub(crate) struct Given {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) options: Options,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
}

pub(crate) type Test<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs a test, and checks the store after it, twice.
pub(crate) fn run(engine: Box<dyn Engine>, test: impl for<'a> FnOnce(&'a mut Given) -> Test<'a>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let options = options();
        let (store, clock) = (engine.open(options.clone()), engine.clock());
        let mut given = Given {
            engine,
            options,
            store,
            clock,
        };
        test(&mut given).await;
        given.reopen().await;
        assert_eq!(given.store.check().await.unwrap(), [""; 0]);
        given.store.close().await;
    });
}

/// Small limits, so that they are met.
pub(crate) fn options() -> Options {
    Options {
        keywords_per_mailbox_max: 20,
        mailboxes_max: 30,
        message_bytes_max: 8 << 20,
        segment_bytes: 4 << 20,
        ..Options::default()
    }
}

impl Given {
    /// Checks the store, closes it, and opens it again.
    pub(crate) async fn reopen(&mut self) {
        self.reopen_without(Lost::Nothing).await;
    }

    /// The same, and loses something meanwhile.
    pub(crate) async fn reopen_without(&mut self, lost: Lost) {
        let health = self.store.check().await;
        assert!(
            health.as_ref().is_ok_and(Vec::is_empty) || self.store.health().is_err(),
            "{health:?}"
        );
        self.store.close().await;
        self.engine.lose(lost);
        self.store = self.engine.open(self.options.clone());
    }

    /// Creates and opens an account.
    pub(crate) async fn account(&self, name: &str) -> Arc<dyn Account> {
        self.account_with(name, Quota::default()).await
    }

    pub(crate) async fn account_with(&self, name: &str, quota: Quota) -> Arc<dyn Account> {
        let new = NewAccount {
            quota,
            ..new_account(name)
        };
        let info = self.store.create_account(new).await.unwrap();
        let actor = actor(info.id);
        self.store.open_account(info.id, actor).await.unwrap()
    }

    /// Opens an account that exists.
    pub(crate) async fn open(&self, name: &str) -> Arc<dyn Account> {
        let info = self.store.find_account(name).unwrap();
        let opened = self.store.open_account(info.id, actor(info.id)).await;
        opened.unwrap()
    }
}

pub(crate) fn new_account(name: &str) -> NewAccount {
    NewAccount {
        name: name.into(),
        aliases: Vec::new(),
        password: None,
        display_name: String::new(),
        quota: Quota::default(),
    }
}

pub(crate) fn actor(account: mail::id::AccountId) -> Actor {
    Actor {
        client: Arc::default(),
        account,
        origin: Arc::from("test"),
        access: Access::ReadWrite,
    }
}

pub(crate) fn name(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

pub(crate) fn uids(numbers: &[u32]) -> UidSet {
    numbers.iter().map(|n| uid(*n)).collect()
}

pub(crate) fn all() -> UidSet {
    UidSet::range(Uid::MIN, Uid::MAX)
}

/// Flags from names, such as `\Seen Work`.
pub(crate) fn flags(names: &str) -> Flags {
    let mut system = SystemFlags::NONE;
    let mut keywords = Vec::new();
    for name in names.split_whitespace() {
        match SystemFlags::named(name) {
            Some(flag) => system = system.with(flag),
            None => keywords.push(Keyword::new(name).unwrap()),
        }
    }
    Flags::new(system, keywords)
}

/// What the server would keep of a message.
pub(crate) fn fixed(message: &[u8]) -> Static {
    let index = mail::mime::index(message);
    Static {
        version: 1,
        envelope: "(envelope)".into(),
        body: "(body)".into(),
        body_structure: "(body structure)".into(),
        parts: structure::encode(&index).into(),
        header_bytes: index.parts[0].header.end,
        sent: mail::text::header_values(&index.header, "date")
            .next()
            .and_then(|date| mail::date::parse_rfc5322(date.as_bytes())),
        fields: mail::text::header_values(&index.header, "subject")
            .map(|value| ("subject".into(), value.into()))
            .collect(),
        preview: "preview".into(),
        thread_keys: Vec::new(),
    }
}

pub(crate) async fn message(account: &dyn Account, text: &[u8], named: &str) -> NewMessage {
    let made = try_message(account, text, fixed(text), named);
    made.await.unwrap()
}

pub(crate) async fn try_message(
    account: &dyn Account,
    text: &[u8],
    fixed: Static,
    named: &str,
) -> Result<NewMessage> {
    let announced = u64::try_from(text.len()).unwrap();
    let mut upload = account.upload(announced).await?;
    for piece in text.chunks(100_000) {
        upload.write(piece).await?;
    }
    Ok(NewMessage {
        upload,
        fixed,
        flags: flags(named),
        internal_date: None,
    })
}

/// The end that messages to several accounts have in common.
pub(crate) async fn try_shared(store: &dyn Store, rest: &[u8]) -> Result<Arc<dyn Shared>> {
    let announced = u64::try_from(rest.len()).unwrap();
    let mut upload = store.upload(announced).await?;
    for piece in rest.chunks(100_000) {
        upload.write(piece).await?;
    }
    let header = rest.windows(4).position(|four| four == b"\r\n\r\n");
    let header_bytes = header.map_or(0, |at| at as u64 + 4);
    store.share(upload, header_bytes).await
}

/// A message to one of them.
pub(crate) fn delivery(head: &str, rest: &Arc<dyn Shared>, fixed: Static) -> Delivery {
    Delivery {
        head: head.to_owned().into(),
        rest: Arc::clone(rest),
        fixed,
        flags: Flags::default(),
        internal_date: None,
    }
}

/// Appends a message and returns its UID.
pub(crate) async fn append(account: &dyn Account, to: MailboxId, text: &str) -> Uid {
    append_with(account, to, text, "").await
}

pub(crate) async fn append_with(
    account: &dyn Account,
    to: MailboxId,
    text: &str,
    flags: &str,
) -> Uid {
    let message = message(account, text.as_bytes(), flags).await;
    let Appended { uids, .. } = account.append(to, vec![message]).await.unwrap();
    assert_eq!(uids.count(), 1);
    uids.first().unwrap()
}

/// Appends several messages at once.
pub(crate) async fn append_many(account: &dyn Account, to: MailboxId, count: u32) -> UidSet {
    let mut messages = Vec::new();
    for n in 0..count {
        let text = format!("Subject: {n}\r\n\r\nbody {n}\r\n");
        messages.push(message(account, text.as_bytes(), "").await);
    }
    account.append(to, messages).await.unwrap().uids
}

pub(crate) fn id_of(account: &dyn Account, named: &str) -> Option<MailboxId> {
    let tree = account.tree();
    tree.mailboxes.get(&name(named).key()).map(|info| info.id)
}

pub(crate) async fn open(account: &dyn Account, named: &str) -> Arc<dyn Mailbox> {
    open_for(account, named, Access::ReadWrite).await.unwrap()
}

pub(crate) async fn open_for(
    account: &dyn Account,
    named: &str,
    access: Access,
) -> Result<Arc<dyn Mailbox>> {
    let id = id_of(account, named).unwrap();
    account.open_mailbox(id, access).await
}

/// STORE.
pub(crate) async fn change_flags(
    mailbox: &dyn Mailbox,
    uids: UidSet,
    change: FlagChange,
    flags: Flags,
    unchanged_since: Option<ModSeq>,
) -> Result<FlagsOutcome> {
    mailbox
        .store_flags(
            &uids,
            change,
            &flags,
            unchanged_since.map(UnchangedSince::ModSeq),
        )
        .await
}

/// The UIDs of a mailbox.
pub(crate) fn present(mailbox: &dyn Mailbox) -> UidSet {
    mailbox.state().rows().map(|(uid, _)| uid).collect()
}

/// The names of the mailboxes, in order.
pub(crate) fn mailboxes(account: &dyn Account) -> Vec<String> {
    let tree = account.tree();
    let names = tree.mailboxes.values().map(|info| info.name.to_string());
    names.collect()
}

/// The flags of a message, as a line.
pub(crate) fn flags_of(mailbox: &dyn Mailbox, uid: Uid) -> String {
    let state = mailbox.state();
    let flags = state.flags(state.row(uid).unwrap());
    let system = flags.system.names().map(str::to_owned);
    let keywords = flags.keywords().iter().map(ToString::to_string);
    system.chain(keywords).collect::<Vec<_>>().join(" ")
}

/// The bytes of a message.
pub(crate) async fn read(mailbox: &dyn Mailbox, uid: Uid) -> Vec<u8> {
    let state = mailbox.state();
    let row = state.row(uid).unwrap();
    let len = usize::try_from(row.size).unwrap();
    let bytes = mailbox.read(row.body, 0, len + 10).await.unwrap();
    bytes.to_vec()
}
