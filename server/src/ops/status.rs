//! The data of the status page, as JSON: who is connected, what clients cost, whom the server
//! refused, what the last hour was like. What a client says of itself is text of at most 128
//! characters here, and stays text in the page.

use std::{net::IpAddr, sync::Arc};

use serde::Serialize;
use tokio::time::Instant;

use super::{
    Ops, checks,
    samples::{Look, Sample},
};
use crate::{
    listen::Protection,
    observe::{
        costs::Bill,
        label::{CommandLabel, Label as _, Spoken},
        live::Row,
        refusals::Refusal,
    },
    service::Service,
};

/// What the page shows.
#[derive(Serialize)]
struct Status<'a> {
    server: Server<'a>,
    sessions: Vec<Session>,
    #[serde(rename = "clientsSince")]
    clients_since: i64,
    clients: Vec<Client>,
    refusals: Vec<Refused>,
    samples: Vec<Sample>,
    store: Store,
    index: Index,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    version: &'static str,
    /// Seconds since 1970.
    now: i64,
    /// For how long it serves, seconds.
    up: u64,
    /// Whether a token is asked for.
    token: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Session {
    id: u64,
    protocol: &'static str,
    tls: bool,
    address: Option<String>,
    user: Option<Arc<str>>,
    client: Option<Arc<str>>,
    state: &'static str,
    mailbox: Option<Arc<str>>,
    idle: bool,
    silent_secs: u64,
    open_secs: u64,
    bytes_in: u64,
    bytes_out: u64,
    commands: u64,
    last: Option<&'static str>,
}

impl From<Row> for Session {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            protocol: spoken(row.protocol),
            tls: row.protection != Protection::Plain,
            address: row.address.map(|it| {
                let ip = it.ip().to_canonical();
                std::net::SocketAddr::new(ip, it.port()).to_string()
            }),
            user: row.user,
            client: row.client,
            state: row.state.name(),
            mailbox: row.mailbox,
            idle: row.is_idle,
            silent_secs: row.silent_for.as_secs(),
            open_secs: row.open_for.as_secs(),
            bytes_in: row.bytes_in,
            bytes_out: row.bytes_out,
            commands: row.commands,
            last: row.last_command.map(CommandLabel::name),
        }
    }
}

fn spoken(protocol: Spoken) -> &'static str {
    Spoken::values(protocol.index())
        .first()
        .copied()
        .unwrap_or("")
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Client {
    user: Arc<str>,
    client: Option<Arc<str>>,
    sessions: u64,
    commands: u64,
    bytes_in: u64,
    bytes_out: u64,
    bodies: u64,
    messages: u64,
}

impl From<Bill> for Client {
    fn from(bill: Bill) -> Self {
        Self {
            user: bill.name.user,
            client: bill.name.client,
            sessions: bill.sessions,
            commands: bill.commands,
            bytes_in: bill.bytes_in,
            bytes_out: bill.bytes_out,
            bodies: bill.bodies,
            messages: bill.messages,
        }
    }
}

#[derive(Serialize)]
struct Refused {
    number: u64,
    secs: i64,
    reason: &'static str,
    setting: Option<&'static str>,
    address: Option<IpAddr>,
    user: Option<Arc<str>>,
    client: Option<Arc<str>>,
    times: u64,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            number: refusal.number,
            secs: refusal.secs,
            reason: refusal.reason.name(),
            setting: refusal.reason.setting(),
            address: refusal.address,
            user: refusal.user,
            client: refusal.client,
            times: refusal.times,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Store {
    live_bytes: u64,
    waiting_bytes: u64,
    dead_bytes: u64,
    /// Of the file system, which may not answer.
    free_bytes: Option<u64>,
    total_bytes: Option<u64>,
    accounts: usize,
    /// Transactions that became durable since the server began.
    commits: u64,
    commit_failures: u64,
    /// Seconds since 1970.
    last_commit: Option<i64>,
    queue_items: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Index {
    /// Frames of the log that it does not hold yet.
    lag_frames: u64,
    rebuilding: Option<String>,
}

/// The page's data at this moment.
pub(super) async fn json(ops: &Ops) -> serde_json::Result<String> {
    let service = &ops.service;
    let observe = &service.observe;
    let now_secs = service.now_secs();
    let (room, measures) = (service.store.room(), service.store.measures());
    let free = checks::free(service.config.store.path.clone()).await.ok();
    let sessions = observe.live.snapshot(Instant::now());
    let (clients_since, clients) = observe.live.bills(now_secs);
    let refusals = observe.refusals.newest();
    serde_json::to_string(&Status {
        server: Server {
            name: &service.config.imap.server_name,
            version: env!("CARGO_PKG_VERSION"),
            now: now_secs,
            up: ops.began.elapsed().as_secs(),
            token: ops.access.has_token(),
        },
        sessions: sessions.into_iter().map(Session::from).collect(),
        clients_since,
        clients: clients.into_iter().map(Client::from).collect(),
        refusals: refusals.into_iter().map(Refused::from).collect(),
        samples: ops.samples.all(),
        store: Store {
            live_bytes: room.live_bytes,
            waiting_bytes: room.waiting_bytes,
            dead_bytes: room.dead_bytes,
            free_bytes: free.map(|free| free.bytes),
            total_bytes: free.map(|free| free.bytes_total),
            accounts: service.store.account_count(),
            commits: measures.commits,
            commit_failures: measures.commit_failures,
            last_commit: measures.last_commit_secs,
            queue_items: measures.queue_items,
        },
        index: Index {
            lag_frames: measures.index_lag_frames,
            rebuilding: service.store.rebuilding().map(|it| it.to_string()),
        },
    })
}

/// What was counted until now, for the plots.
pub(super) fn look(service: &Service) -> Look {
    let metrics = &service.observe.metrics;
    let took = metrics.command_duration.total();
    Look {
        at: Instant::now(),
        secs: service.now_secs(),
        commands: metrics.commands.total(),
        deliveries: metrics.deliveries.total(),
        refusals: metrics.refusals.total(),
        bytes_in: metrics.bytes_received.total(),
        bytes_out: metrics.bytes_sent.total(),
        sessions: u64::try_from(metrics.sessions_active.read()).unwrap_or(0),
        took: took.buckets,
        bounds: took.scale.bounds,
    }
}
