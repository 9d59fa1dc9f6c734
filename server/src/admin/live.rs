//! `relate-imap who` and `kick`: who is connected to the running server, and ending that.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::find;
use crate::{
    listen::Protection,
    observe::label::{Label as _, Spoken},
    observe::live::Row,
    observe::watch::Whom,
    problem::Problem,
    quirks::Quirks,
    service::Service,
};

/// Something about those who are connected.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LiveRequest {
    /// Who is connected.
    Who(Chosen),
    /// End these connections.
    Kick(Chosen),
}

/// Which connections; each that is given narrows them.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chosen {
    /// Those of this account, by its name or an alias.
    pub user: Option<String>,
    /// The one of this number.
    pub session: Option<u64>,
    /// Those from this address.
    pub address: Option<IpAddr>,
}

impl Chosen {
    /// The same with the account's own name.
    fn named(self, service: &Service) -> Self {
        let own = self.user.map(|user| own_name(service, user));
        Self { user: own, ..self }
    }

    fn picks(&self, row: &Row) -> bool {
        let address = row.address.map(|address| address.ip().to_canonical());
        self.user
            .as_deref()
            .is_none_or(|user| row.user.as_deref() == Some(user))
            && self.session.is_none_or(|session| row.id == session)
            && self
                .address
                .is_none_or(|wanted| address == Some(wanted.to_canonical()))
    }

    fn in_words(&self) -> String {
        let user = self.user.as_ref().map(ToString::to_string);
        let session = self.session.map(|session| format!("session {session}"));
        let address = self.address.map(|address| address.to_string());
        let all: Vec<String> = [user, session, address].into_iter().flatten().collect();
        all.join(", ")
    }
}

/// An account's own name; that of an account which is gone stays as it is, its sessions may not be.
fn own_name(service: &Service, user: String) -> String {
    match service.store.find_account(&user) {
        Some(info) => info.name.clone(),
        None => user,
    }
}

/// Whom a trace is to follow.
///
/// # Errors
/// There is no such account.
pub(super) fn whom(service: &Service, chosen: &Chosen) -> Result<Whom, Problem> {
    match (&chosen.user, chosen.address) {
        (Some(user), _) => Ok(Whom::User(
            find(&*service.store, user)?.name.as_str().into(),
        )),
        (None, Some(address)) => Ok(Whom::Address(address.to_canonical())),
        (None, None) => Err(Problem::new(
            "nobody was named",
            "the trace",
            "name an account, or an address with --address",
        )),
    }
}

/// Answers from what the running server knows.
///
/// # Errors
/// Nobody is to be ended that is there.
pub(super) fn execute(service: &Service, request: LiveRequest) -> Result<Value, Problem> {
    let now = Instant::now();
    let live = &service.observe.live;
    match request {
        LiveRequest::Who(chosen) => {
            let chosen = chosen.named(service);
            let rows = live.snapshot(now);
            Ok(rows
                .iter()
                .filter(|row| chosen.picks(row))
                .map(|row| shown(row, &service.config.imap.quirks))
                .collect())
        }
        LiveRequest::Kick(chosen) => {
            let chosen = chosen.named(service);
            let count = live.kick(|row| chosen.picks(row), now);
            let words = chosen.in_words();
            if count == 0 {
                let next = "`relate-imap who` lists who is connected";
                return Err(Problem::new("no such session is connected", words, next));
            }
            tracing::info!(sessions = count, of = %words, "sessions told to end by an administrator");
            Ok(json!({ "sessions": count }))
        }
    }
}

fn shown(row: &Row, quirks: &Quirks) -> Value {
    let protection = match row.protection {
        Protection::Plain => "",
        Protection::Tls => "TLS",
        Protection::AtProxy => "TLS at proxy",
    };
    json!({
        "session": row.id,
        "user": row.user.as_deref(),
        "protocol": Spoken::values(row.protocol.index()).first(),
        "address": row.address.map(|address| address.to_string()),
        "protection": protection,
        "login": row.mechanism,
        "client": row.client.as_deref(),
        "workarounds": quirks.of(row.client.as_deref()).map(|it| it.name).collect::<Vec<_>>(),
        "state": row.state.name(),
        "mailbox": row.mailbox.as_deref(),
        "idle": row.is_idle,
        "open_s": row.open_for.as_secs(),
        "silent_s": row.silent_for.as_secs(),
        "commands": row.commands,
        "last_command": row.last_command.map(crate::observe::label::CommandLabel::name),
        "bytes_in": row.bytes_in,
        "bytes_out": row.bytes_out,
    })
}
