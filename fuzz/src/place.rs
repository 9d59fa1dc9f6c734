//! A server in process over a disk in memory, for targets that are a whole session.
//!
//! Making one costs a password hash on purpose, so it serves many inputs, each with an account of
//! its own; then a fresh one is made.

use std::{
    cell::RefCell,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use server::{
    config, connection,
    listen::{Peer, Stream},
    lmtp,
    service::Service,
};
use store::{
    NewAccount, Options, Quota,
    clock::{Clock, ManualClock},
    credential::Verifiers,
    disk::SimDisk,
    embedded::EmbeddedStore,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    runtime::Runtime,
    task::JoinHandle,
    time::timeout,
};

/// Inputs that one server takes: the check after each walks through the accounts of all before it.
const INPUTS: u32 = 40;
/// Longer than any session of these takes: only a hang does.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is between client and server.
const IN_FLIGHT_BYTES: usize = 64 * 1024;
const MESSAGES: [&str; 2] = [
    "From: a@example.org\r\nSubject: one\r\n\r\nbody\r\n",
    "Subject: two\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n\
     Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n",
];

/// A server with an account for this input.
pub struct Place {
    runtime: Runtime,
    service: Arc<Service>,
    used: u32,
    user: String,
}

thread_local! {
    static PLACE: RefCell<Option<Place>> = const { RefCell::new(None) };
}

/// Runs one input, then looks whether the store is sound.
pub fn with(run: impl FnOnce(&Place)) {
    PLACE.with_borrow_mut(|kept| {
        let mut place = kept.take().unwrap_or_else(Place::new);
        place.next();
        run(&place);
        let problems = place.runtime.block_on(place.service.store.check());
        assert_eq!(problems.ok(), Some(Vec::new()));
        if place.used < INPUTS {
            *kept = Some(place);
        } else {
            place.runtime.block_on(place.service.store.close());
        }
    });
}

/// A runtime of one thread.
///
/// # Panics
/// The system gives none.
#[must_use]
pub fn runtime() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime")
}

/// What stores are opened with.
#[must_use]
pub fn options() -> Options {
    Options {
        segment_bytes: 64 << 10,
        reserve_bytes: 0,
        index_cache_bytes: 1 << 20,
        checkpoint_bytes: 16 << 10,
        ..Options::default()
    }
}

/// 2026-11-22, always.
#[must_use]
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(1_795_305_600))
}

/// The disk of a small store that was closed, made once.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn kept_store() -> SimDisk {
    static KEPT: OnceLock<SimDisk> = OnceLock::new();
    let made = || {
        let disk = SimDisk::new();
        let mut place = Place::on(&disk);
        place.next();
        let _ = place.imap(place.begin(2).as_bytes());
        place.runtime.block_on(place.service.store.close());
        disk
    };
    KEPT.get_or_init(made).clone()
}

impl Place {
    fn new() -> Self {
        Self::on(&SimDisk::new())
    }

    fn on(disk: &SimDisk) -> Self {
        let set = ["BadCommands", "BadCommandsBeforeLogin", "CommandsPerMinute"];
        let loaded = config::load(&config::Options {
            set: set.iter().map(|key| format!("Limits:{key}=1000000")).collect(),
            ..config::Options::default()
        });
        let config = Arc::new(loaded.expect("a configuration").config);
        let runtime = runtime();
        let inside = runtime.enter();
        let disk = Arc::new(disk.clone());
        let store = EmbeddedStore::open_on(disk, Path::new("store"), options(), clock());
        let clock = Arc::new(ManualClock::new(1_795_305_600));
        let service = Service::new(config, store.expect("a store"), None, clock);
        drop(inside);
        Self {
            runtime,
            service: Arc::new(service),
            used: 0,
            user: String::new(),
        }
    }

    /// A fresh account, the one before removed.
    fn next(&mut self) {
        let store = Arc::clone(&self.service.store);
        self.used += 1;
        let user = format!("user{}", self.used);
        let new = NewAccount {
            name: user.clone(),
            aliases: Vec::new(),
            password: Some(Verifiers {
                hash: cheap_hash(),
                scram: None,
            }),
            display_name: String::new(),
            quota: Quota::default(),
        };
        let before = store.find_account(&self.user);
        self.runtime.block_on(async {
            if let Some(before) = before {
                store.remove_account(before.id).await.expect("removal");
            }
            store.create_account(new).await.expect("an account");
        });
        self.user = user;
    }

    /// The account's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// What a client says to come to a state.
    #[must_use]
    pub fn begin(&self, state: u8) -> String {
        let login = format!("x LOGIN {} secret\r\n", self.user);
        let append: String = MESSAGES
            .iter()
            .map(|m| format!("x APPEND INBOX (\\Seen) {{{}+}}\r\n{m}\r\n", m.len()))
            .collect();
        match state % 4 {
            0 => String::new(),
            1 => login,
            2 => login + &append + "x SELECT INBOX\r\n",
            _ => login + &append + "x EXAMINE INBOX\r\n",
        }
    }

    /// What IMAP answers to all this, sent at once by a client that then closes its side.
    #[must_use]
    pub fn imap(&self, said: &[u8]) -> Vec<u8> {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let serving = connection::serve(Stream::new(theirs), Arc::clone(&self.service), Peer::LOCAL);
        self.talk(ours, serving, said)
    }

    /// The same of LMTP.
    #[must_use]
    pub fn lmtp(&self, said: &[u8]) -> Vec<u8> {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let serving = lmtp::serve(Stream::new(theirs), Arc::clone(&self.service), Peer::LOCAL);
        self.talk(ours, serving, said)
    }

    fn talk(
        &self,
        ours: DuplexStream,
        serving: impl Future<Output = ()> + Send + 'static,
        said: &[u8],
    ) -> Vec<u8> {
        self.runtime.block_on(async {
            let serving: JoinHandle<()> = tokio::spawn(serving);
            let (mut from, mut to) = tokio::io::split(ours);
            let send = async {
                // The server may have ended it.
                let _ = to.write_all(said).await;
                let _ = to.shutdown().await;
            };
            let mut answers = Vec::new();
            let all = timeout(PATIENCE, async {
                tokio::join!(send, from.read_to_end(&mut answers)).1
            });
            let _ = all.await.expect("an end");
            let ended = timeout(PATIENCE, serving).await.expect("an end of the session");
            ended.expect("no panic");
            answers
        })
    }
}

/// `secret`, hashed as cheaply as is allowed.
fn cheap_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let hashed = || {
        let params = Params::new(Params::MIN_M_COST, 1, 1, None).expect("parameters");
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = hasher.hash_password_with_salt(b"secret", &[7; 16]);
        hash.expect("a hash").to_string()
    };
    HASH.get_or_init(hashed).clone()
}
