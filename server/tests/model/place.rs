//! The server in process over a disk in memory, and a client's end of a connection.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
};

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use bytes::BytesMut;
use server::{
    config, connection,
    listen::{Peer, Stream},
    service::Service,
};
use store::{
    NewAccount, Options, Quota, clock::ManualClock, credential::Verifiers, disk::SimDisk,
    embedded::EmbeddedStore,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use wire::imap::client::{Reader, Response};

use crate::words::TIMES;

/// The accounts, all with the password of [`PASSWORD`].
pub(crate) const ACCOUNTS: [&str; 2] = ["tim", "bob"];
/// That of transcripts too.
pub(crate) const PASSWORD: &str = "tanstaaftanstaaf";
/// How many messages they may have.
pub(crate) const MESSAGES_MAX: [Option<u64>; 2] = [None, Some(40)];
/// What is between client and server.
const IN_FLIGHT_BYTES: usize = 256 * 1024;
const RESPONSE_BYTES_MAX: usize = 1 << 20;

/// A server.
pub(crate) struct Place {
    disk: SimDisk,
    config: Arc<config::Config>,
    clock: Arc<ManualClock>,
    service: Arc<Service>,
}

impl Place {
    /// A fresh server with its accounts.
    pub(crate) async fn new() -> Self {
        let set = [
            "Limits:BadCommands=1000000",
            "Limits:CommandsPerMinute=1000000",
            "Imap:CommitDeletionsOnLogout=false",
            "Imap:MaxConnectionsPerUser=100",
        ];
        let loaded = config::load(&config::Options {
            set: set.iter().map(|&line| line.to_owned()).collect(),
            ..config::Options::default()
        });
        let config = Arc::new(loaded.unwrap().config);
        let clock = Arc::new(ManualClock::new(TIMES[0].0));
        let disk = SimDisk::new();
        let service = service(&disk, &config, &clock);
        for (name, messages) in ACCOUNTS.into_iter().zip(MESSAGES_MAX) {
            let new = NewAccount {
                name: name.to_owned(),
                aliases: Vec::new(),
                password: Some(Verifiers {
                    hash: cheap_hash(),
                    scram: None,
                }),
                display_name: String::new(),
                quota: Quota {
                    messages,
                    ..Quota::default()
                },
            };
            service.store.create_account(new).await.unwrap();
        }
        Self {
            disk,
            config,
            clock,
            service,
        }
    }

    pub(crate) fn set_clock(&self, secs: i64) {
        self.clock.set(secs);
    }

    /// A new connection, not yet greeted.
    pub(crate) fn connect(&self) -> Line {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let service = Arc::clone(&self.service);
        tokio::spawn(connection::serve(Stream::new(theirs), service, Peer::LOCAL));
        Line {
            stream: ours,
            reader: Reader::new(RESPONSE_BYTES_MAX),
        }
    }

    /// Stops in order and starts again, or (a seed) goes on with what a power cut leaves.
    pub(crate) async fn restart(&mut self, power_cut: Option<u64>) {
        let left = power_cut.map(|seed| self.disk.after_power_cut(self.disk.calls(), seed));
        self.service.store.close().await;
        // Without a cut, what was synced is all there is.
        self.disk = left.unwrap_or_else(|| self.disk.after_power_cut(self.disk.calls(), 1));
        self.service = service(&self.disk, &self.config, &self.clock);
    }

    /// What the store finds wrong with itself.
    pub(crate) async fn problems(&self) -> Vec<String> {
        let problems = self.service.store.check().await;
        problems.unwrap_or_else(|error| vec![error.to_string()])
    }

    pub(crate) async fn close(self) {
        self.service.store.close().await;
    }
}

fn service(disk: &SimDisk, config: &Arc<config::Config>, clock: &Arc<ManualClock>) -> Arc<Service> {
    let options = Options {
        segment_bytes: 256 << 10,
        reserve_bytes: 0,
        index_cache_bytes: 1 << 20,
        checkpoint_bytes: 64 << 10,
        // So few that clients also come from further back than is remembered.
        history_ranges_max: 20,
        ..Options::default()
    };
    let disk = Arc::new(disk.clone());
    let store = EmbeddedStore::open_on(disk, Path::new("store"), options, Arc::clone(clock) as _);
    let service = Service::new(
        Arc::clone(config),
        store.unwrap(),
        None,
        Arc::clone(clock) as _,
    );
    Arc::new(service)
}

/// The password, hashed as cheaply as is allowed.
fn cheap_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    let hashed = || {
        let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let hash = hasher.hash_password_with_salt(PASSWORD.as_bytes(), &[7; 16]);
        hash.unwrap().to_string()
    };
    HASH.get_or_init(hashed).clone()
}

/// A client's end of a connection.
pub(crate) struct Line {
    stream: DuplexStream,
    reader: Reader,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Heard {
    Response(BytesMut),
    /// The server closed the connection.
    End,
}

impl Line {
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // A server that is gone is noticed by what does not come.
        let _gone = self.stream.write_all(bytes).await;
    }

    /// The next response, whole.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if let Some(response) = self.reader.response().unwrap() {
                return Heard::Response(response);
            }
            match self.stream.read_buf(self.reader.buffer()).await {
                Ok(0) | Err(_) => return Heard::End,
                Ok(_) => {}
            }
        }
    }

    /// A response that is there already.
    pub(crate) async fn heard(&mut self) -> Option<Heard> {
        tokio::select! {
            biased;
            // Whatever the runtime thinks this task has had of its share.
            heard = tokio::task::unconstrained(self.hear()) => Some(heard),
            () = std::future::ready(()) => None,
        }
    }
}

/// A response as a value.
pub(crate) fn parsed(response: &[u8]) -> Response {
    Response::parse(response).unwrap_or_else(|e| panic!("{e:?}: {}", response.escape_ascii()))
}
