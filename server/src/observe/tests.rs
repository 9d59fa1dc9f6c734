//! Each metric changes by what it is said to count, and by that only.

use std::{
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use store::{
    Access, Account, Actor, NewAccount, Quota,
    clock::ManualClock,
    disk::{Fault, Held, Plan, SimDisk},
    embedded::EmbeddedStore,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream},
    task::JoinHandle,
    time::timeout,
};

use super::{look::look, metrics::Value, *};
use crate::{
    config, connection,
    listen::{Peer, Stream},
    lmtp,
    service::Service,
    tls::{self, Tls},
};

/// How long anything may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);
const NOW: i64 = 1_795_305_600;

/// What a metric is now: its points with this label, or all of them, added up; of a histogram how
/// many values there were. Nothing, if there is none.
pub(crate) async fn value(service: &Service, name: &str, label: &str) -> Option<f64> {
    look(service).await;
    let families = service.observe.metrics.read();
    let family = families.iter().find(|it| it.row.name == name);
    let points = family.expect(name).points.iter();
    let points = points.filter(|it| label.is_empty() || it.labels.contains(&label));
    let numbers: Vec<f64> = points
        .map(|point| match &point.value {
            Value::Whole(number) => *number as f64,
            Value::Real(number) => *number,
            Value::Spread(reading) => reading.count() as f64,
        })
        .collect();
    (!numbers.is_empty()).then(|| numbers.iter().sum())
}

/// A server with the account tim, and its disk.
struct Given {
    service: Arc<Service>,
    disk: Held<SimDisk>,
    clock: Arc<ManualClock>,
}

impl Given {
    async fn new(set: &[&str]) -> Self {
        Self::on(Held::new(SimDisk::new(), "seg"), set, None).await
    }

    async fn on(disk: Held<SimDisk>, set: &[&str], tls: Option<Tls>) -> Self {
        let options = config::Options {
            set: set.iter().map(|set| (*set).to_owned()).collect(),
            ..config::Options::default()
        };
        let config = Arc::new(config::load(&options).unwrap().config);
        let clock = Arc::new(ManualClock::new(NOW));
        let store = EmbeddedStore::open_on(
            Arc::new(disk.clone()),
            Path::new("/mail"),
            store::Options {
                checkpoint_bytes: 1,
                ..config.store_options()
            },
            Arc::clone(&clock) as _,
        );
        let service = Service::new(config, store.unwrap(), tls, Arc::clone(&clock) as _);
        let given = Self {
            service: Arc::new(service),
            disk,
            clock,
        };
        given.create("tim").await;
        given
    }

    async fn create(&self, name: &str) {
        let new = NewAccount {
            name: name.to_owned(),
            aliases: Vec::new(),
            password: Some(crate::auth::keep_password(b"secret-enough").unwrap()),
            display_name: String::new(),
            quota: Quota::default(),
        };
        self.service.store.create_account(new).await.unwrap();
    }

    async fn is(&self, name: &str, label: &str) -> Option<f64> {
        value(&self.service, name, label).await
    }

    /// Several metrics that there are, added up over their labels.
    async fn all<const N: usize>(&self, names: [&str; N]) -> [f64; N] {
        let mut all = [0.0; N];
        for (name, value) in names.iter().zip(&mut all) {
            *value = self.is(name, "").await.expect(name);
        }
        all
    }

    /// Every metric named here has this value.
    async fn are(&self, expected: &[(&str, &str, f64)]) {
        for (name, label, expected) in expected {
            assert_eq!(
                self.is(name, label).await,
                Some(*expected),
                "{name} {label}"
            );
        }
    }

    /// Waits until metrics are nothing.
    async fn settles(&self, names: &[&str]) {
        let settled = async {
            for name in names {
                while self.is(name, "").await != Some(0.0) {}
            }
        };
        timeout(PATIENCE, settled).await.expect("an end of waiting");
    }

    fn imap(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = connection::serve(Stream::new(theirs), self.service(), Peer::LOCAL);
        Client(BufReader::new(ours), tokio::spawn(serving))
    }

    fn lmtp(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = lmtp::serve(Stream::new(theirs), self.service(), Peer::LOCAL);
        Client(BufReader::new(ours), tokio::spawn(serving))
    }

    fn service(&self) -> Arc<Service> {
        Arc::clone(&self.service)
    }

    async fn tim(&self) -> Arc<dyn Account> {
        let id = self.service.store.find_account("tim").unwrap().id;
        let actor = Actor {
            client: Arc::default(),
            account: id,
            origin: "test".into(),
            access: Access::ReadWrite,
        };
        self.service.store.open_account(id, actor).await.unwrap()
    }

    /// Something that becomes durable, or does not.
    async fn change(&self, name: &str) -> store::Result<()> {
        let account = self.tim().await;
        let name = mail::mailbox::MailboxName::new(name).unwrap();
        account.subscribe(&name, store::Subscription::On).await
    }
}

struct Client(BufReader<DuplexStream>, JoinHandle<()>);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line that begins like this.
    async fn until(&mut self, start: &str) {
        let mut line = String::new();
        while !line.starts_with(start) {
            line.clear();
            let read = timeout(PATIENCE, self.0.read_line(&mut line)).await;
            assert!(read.unwrap().unwrap() > 0, "no {start}");
        }
    }

    /// Everything up to the end; the server is done with the connection then.
    async fn end(mut self) -> String {
        let mut told = String::new();
        self.0.read_to_string(&mut told).await.unwrap();
        self.1.await.unwrap();
        told
    }
}

const SESSION: &str = "a LOGIN tim wrong\r\nb LOGIN tim secret-enough\r\nc SELECT INBOX\r\n\
    d APPEND INBOX {9+}\r\nA: b\r\n\r\nx\r\ne FETCH 1 BODY[]\r\nf UID FETCH 1 BODY[HEADER]\r\n\
    g WHAT\r\nh NOOP\r\ni LOGOUT\r\n";

#[tokio::test]
async fn what_imap_clients_do_is_counted() {
    let given = Given::new(&["Limits:LoginFailureDelays=0s"]).await;
    for round in [1.0, 2.0] {
        let before = given.all(["imap.bytes.sent", "imap.bytes.received"]).await;
        let mut client = given.imap();
        client.send(SESSION).await;
        let told = client.end().await;
        assert!(told.contains("i OK"), "{told}");
        given
            .are(&[
                ("imap.commands", "LOGIN", 2.0 * round),
                ("imap.commands", "UID FETCH", round),
                ("imap.commands", "unknown", round),
                ("imap.commands", "SEARCH", 0.0),
                ("imap.answers", "ok", 7.0 * round),
                ("imap.answers", "no", round),
                ("imap.answers", "bad", round),
                ("imap.command.duration", "FETCH", round),
                ("imap.auth.attempts", "", 2.0 * round),
                ("imap.auth.failures", "", round),
                // The second time the right password is known.
                ("imap.auth.cache_hits", "", round - 1.0),
                ("imap.auth.duration", "", 2.0 * round),
                ("imap.messages.retrieved", "", round),
                ("server.refusals", "login-failed", round),
                ("server.refusals", "bad-commands", 0.0),
                ("imap.bytes.sent", "", before[0] + told.len() as f64),
                ("imap.bytes.received", "", before[1] + SESSION.len() as f64),
            ])
            .await;
    }
}

#[tokio::test]
async fn sessions_are_counted_while_they_are_open() {
    let given = Given::new(&[]).await;
    let is_open = async |active, idle, lmtp, waiting: bool| {
        given
            .are(&[
                ("imap.sessions.active", "", active),
                ("imap.sessions.idle", "", idle),
                ("lmtp.sessions.active", "", lmtp),
            ])
            .await;
        let bytes = given.is("server.pre_login.bytes", "").await;
        assert_eq!(bytes > Some(0.0), waiting);
    };
    is_open(0.0, 0.0, 0.0, false).await;
    let (mut client, mut delivering) = (given.imap(), given.lmtp());
    client.until("* OK").await;
    delivering.until("220 ").await;
    is_open(1.0, 0.0, 1.0, true).await;
    client.send("a LOGIN tim secret-enough\r\nb IDLE\r\n").await;
    client.until("+ ").await;
    is_open(1.0, 1.0, 1.0, false).await;
    client.send("DONE\r\n").await;
    client.until("b OK").await;
    is_open(1.0, 0.0, 1.0, false).await;
    client.send("c LOGOUT\r\n").await;
    delivering.send("QUIT\r\n").await;
    client.end().await;
    delivering.end().await;
    is_open(0.0, 0.0, 0.0, false).await;
}

#[tokio::test]
async fn deliveries_are_counted() {
    let given = Given::new(&["Limits:MessageBytes=1KiB"]).await;
    let large = "x".repeat(2_000);
    let message = |text: &str| {
        format!(
            "MAIL FROM:<>\r\nRCPT TO:<tim>\r\nRCPT TO:<nobody@localhost>\r\nDATA\r\n{text}\r\n.\r\n"
        )
    };
    let talk = format!(
        "LHLO x\r\n{}{}QUIT\r\n",
        message("A: b\r\n\r\nx"),
        message(&large)
    );
    let mut client = given.lmtp();
    client.send(&talk).await;
    client.end().await;
    given
        .are(&[
            ("lmtp.deliveries", "stored", 1.0),
            ("lmtp.deliveries", "refused", 1.0),
            ("lmtp.deliveries", "later", 0.0),
            ("lmtp.delivery.duration", "", 2.0),
            ("lmtp.bytes.received", "", talk.len() as f64),
        ])
        .await;
}

#[tokio::test]
async fn commits_and_their_failures_are_counted() {
    let given = Given::new(&[]).await;
    let counted = [
        "store.commits",
        "store.commit.duration",
        "store.commit.transactions",
    ];
    let before = given.all(counted).await;
    given.change("one").await.unwrap();
    given.change("two").await.unwrap();
    for (name, before) in counted.into_iter().zip(before) {
        assert_eq!(given.is(name, "").await, Some(before + 2.0), "{name}");
    }
    given
        .are(&[
            ("store.commit.failures", "", 0.0),
            ("store.writable", "", 1.0),
        ])
        .await;
    given.disk.inner.set_plan(Some(Plan {
        at: given.disk.inner.calls() + 1,
        fault: Fault::FailedSync,
        for_ever: true,
    }));
    assert!(given.change("three").await.is_err());
    assert!(given.is("store.commit.failures", "").await >= Some(1.0));
    given.are(&[("store.writable", "", 0.0)]).await;
}

#[tokio::test]
async fn what_waits_for_the_disk_is_counted() {
    let given = Arc::new(Given::new(&[]).await);
    let waiting = ["store.queue.items", "store.queue.bytes"];
    let held = given.disk.hold();
    let mut changes = Vec::new();
    // The first is being written and does not wait, perhaps with others that came with it.
    let wait = async {
        while given.all(waiting).await.iter().any(|it| *it <= 0.0) {
            let (given, name) = (Arc::clone(&given), format!("box{}", changes.len()));
            changes.push(tokio::spawn(async move { given.change(&name).await }));
        }
    };
    timeout(PATIENCE, wait).await.expect("changes that wait");
    drop(held);
    for change in changes {
        change.await.unwrap().unwrap();
    }
    given.settles(&waiting).await;
}

#[tokio::test]
async fn what_the_index_lacks_is_counted() {
    let given = Given::on(Held::new(SimDisk::new(), "redb"), &[], None).await;
    let held = given.disk.hold();
    // After each change the index is made durable: it waits for that, and what comes then for it.
    let lags = async {
        let mut n = 0;
        while given.is("store.index.lag", "").await <= Some(0.0) {
            n += 1;
            given.change(&format!("box{n}")).await.unwrap();
        }
    };
    timeout(PATIENCE, lags).await.expect("a lag");
    drop(held);
    given.settles(&["store.index.lag"]).await;
}

#[tokio::test]
async fn the_room_of_messages_and_who_has_them_are_known() {
    let set = ["Store:CompressionLevel=0", "Store:SegmentBytes=256MiB"];
    let given = Given::new(&[&set[..], &["Store:UndeleteWindow=1h"]].concat()).await;
    let rooms = ["store.bodies.live", "store.bodies.waiting"];
    let room = || given.all(rooms);
    assert_eq!(room().await, [0.0, 0.0]);
    let message = "x".repeat(100_000);
    let append = format!("APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len());
    let mut client = given.imap();
    client
        .send(&format!(
            "a LOGIN tim secret-enough\r\nb {append}c {append}d SELECT INBOX\r\n"
        ))
        .await;
    client.until("d OK").await;
    given.service.store.compact().await.unwrap();
    let [live, waiting] = room().await;
    assert!(live >= 200_000.0 && waiting == 0.0, "{live} {waiting}");
    client
        .send("e STORE 1 +FLAGS (\\Deleted)\r\nf EXPUNGE\r\ng LOGOUT\r\n")
        .await;
    client.end().await;
    given.service.store.compact().await.unwrap();
    let [live, waiting] = room().await;
    assert!(live < 200_000.0 && waiting >= 100_000.0, "{live} {waiting}");
    given
        .are(&[("store.accounts", "", 1.0), ("store.bodies.dead", "", 0.0)])
        .await;
    given.create("ann").await;
    given.are(&[("store.accounts", "", 2.0)]).await;
}

#[tokio::test]
async fn what_no_rewrite_is_worth_is_room_that_is_lost() {
    let set = ["Store:CompressionLevel=0", "Store:UndeleteWindow=0s"];
    let given = Given::new(&set).await;
    let message = "x".repeat(100_000);
    let append = format!("APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len());
    let mut client = given.imap();
    let script = format!(
        "a LOGIN tim secret-enough\r\nb {append}c SELECT INBOX\r\n\
         d STORE 1 +FLAGS (\\Deleted)\r\ne EXPUNGE\r\nf LOGOUT\r\n"
    );
    client.send(&script).await;
    client.end().await;
    given.clock.set(NOW + 3_600);
    given.service.store.compact().await.unwrap();
    let dead = given.is("store.bodies.dead", "").await.unwrap();
    assert!(dead >= 100_000.0, "{dead}");
}

#[tokio::test]
async fn the_disk_the_certificate_and_the_start_are_known_where_they_are() {
    let files = tempfile::tempdir().unwrap();
    let source = tls::self_signed(files.path(), crate::serve::system_time()).unwrap();
    let certificate = tls::load(&source).unwrap();
    let tls = Tls::new(&certificate).unwrap();
    let path = format!("Store:Path={}", files.path().display());
    let given = Given::on(Held::new(SimDisk::new(), "seg"), &[&path], Some(tls)).await;
    let end = certificate.not_after().duration_since(UNIX_EPOCH).unwrap();
    given
        .are(&[("tls.certificate.expiry", "", end.as_secs() as f64)])
        .await;
    assert!(given.is("store.disk.free", "").await > Some(0.0));
    assert_eq!(given.is("server.start_time", "").await, None);
    given.service.observe.started_secs.set(77).unwrap();
    given.are(&[("server.start_time", "", 77.0)]).await;
    let nowhere = Given::new(&["Store:Path=/nowhere/at/all"]).await;
    for name in ["tls.certificate.expiry", "store.disk.free"] {
        assert_eq!(nowhere.is(name, "").await, None, "{name}");
    }
}

#[tokio::test]
async fn what_the_process_uses_is_known() {
    let given = Given::new(&[]).await;
    let names = [
        "process.memory.usage",
        "process.cpu.time",
        "process.open_files",
    ];
    let before = given.all(names).await;
    let memory = vec![1_u8; 64 << 20];
    let files: Vec<_> = (0..50)
        .map(|_| std::fs::File::open("/dev/null").unwrap())
        .collect();
    let after = given.is("process.memory.usage", "").await.unwrap();
    assert!(after - before[0] > 32e6, "{after} {}", before[0]);
    assert!(given.is("process.cpu.time", "").await > Some(before[1]));
    let after = given.is("process.open_files", "").await.unwrap();
    assert!(after - before[2] > 25.0, "{after} {}", before[2]);
    drop((std::hint::black_box(memory), files));
    let panics = given.is("server.panics", "").await.unwrap();
    crate::log::count_panic();
    given.are(&[("server.panics", "", panics + 1.0)]).await;
}
