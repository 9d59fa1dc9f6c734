//! One connection in the list of those that are open. The connection writes, whoever looks reads;
//! what a command changes are atomic numbers that nobody else writes.

use std::{
    net::SocketAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use mail::id::BodyId;
use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    costs::{Cost, Name},
    label::{CommandLabel, Label, Spoken},
    live::{Opening, Registry},
    metrics::Metrics,
    trace::Trace,
};
use crate::{
    auth::{Credential, Known},
    listen::Protection,
};

/// Characters that are kept of a name a peer chose.
const NAME_CHARS_MAX: usize = 128;

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Nobody logged in.
    NotAuthenticated,
    /// Logged in.
    Authenticated,
    /// A mailbox is open.
    Selected,
}

/// Whether a session waits in IDLE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Idle {
    /// It does.
    Yes,
    /// It does not.
    No,
}

impl State {
    const ALL: [Self; 3] = [Self::NotAuthenticated, Self::Authenticated, Self::Selected];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAuthenticated => "not authenticated",
            Self::Authenticated => "authenticated",
            Self::Selected => "selected",
        }
    }
}

/// A connection.
pub struct Entry {
    /// Its number, as the log names it.
    pub id: u64,
    /// What is spoken.
    pub protocol: Spoken,
    /// The peer's address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// What protects it.
    pub protection: Protection,
    /// When it began, seconds since 1970.
    pub opened_secs: i64,
    /// Whether the server looks at itself by it.
    pub is_probe: bool,
    /// Where its conversation can be listened to.
    pub trace: Trace,
    pub(super) registry: Arc<Registry>,
    pub(super) metrics: Arc<Metrics>,
    since: Instant,
    client: Arc<OnceLock<Arc<str>>>,
    names: Mutex<Names>,
    /// Where what it costs is written down, once it is known whose it is.
    cost: ArcSwapOption<Cost>,
    state: AtomicU8,
    is_idle: AtomicBool,
    /// Milliseconds from `since` to the last command, or bytes of a message.
    heard_ms: AtomicU64,
    last_command: AtomicU8,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    retrieved: AtomicU64,
    bodies: AtomicU64,
    commands: [AtomicU32; CommandLabel::COUNT],
    is_kicked: AtomicBool,
    kicked: Notify,
}

/// A login that was looked at.
#[derive(Clone)]
pub(crate) struct Login {
    /// Who somebody said it was.
    pub(crate) user: Arc<str>,
    /// The name of the app password.
    pub(crate) key: Option<Arc<str>>,
    /// Whether it was remembered.
    pub(crate) known: Known,
}

/// What has a name: written at login, by ID and by SELECT.
#[derive(Clone, Default)]
struct Names {
    user: Option<Arc<str>>,
    mechanism: Option<&'static str>,
    mailbox: Option<Arc<str>>,
    login: Option<Login>,
}

/// A connection as it was at one moment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its number, as the log names it.
    pub id: u64,
    /// What is spoken.
    pub protocol: Spoken,
    /// The peer's address; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// What protects it.
    pub protection: Protection,
    /// When it began, seconds since 1970.
    pub opened_secs: i64,
    /// How long it lasts.
    pub open_for: Duration,
    /// Whose mail it reads.
    pub user: Option<Arc<str>>,
    /// By what it logged in.
    pub mechanism: Option<&'static str>,
    /// What the client calls itself, without control characters and not long; hostile all the same.
    pub client: Option<Arc<str>>,
    /// What it is doing.
    pub state: State,
    /// The open mailbox.
    pub mailbox: Option<Arc<str>>,
    /// Whether it waits in IDLE.
    pub is_idle: bool,
    /// Its last command.
    pub last_command: Option<CommandLabel>,
    /// For how long nothing was heard of it.
    pub silent_for: Duration,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// How many commands came.
    pub commands: u64,
    /// Messages of which content was sent.
    pub retrieved: u64,
    /// Contents of messages that were sent whole (`BODY[]`).
    pub bodies: u64,
    /// Whether it was told to end.
    pub is_kicked: bool,
}

/// A name a peer chose, without control characters and not longer than is shown.
pub(super) fn cleaned(name: &str) -> Arc<str> {
    let plain = name.chars().filter(|letter| !letter.is_control());
    plain.take(NAME_CHARS_MAX).collect::<String>().into()
}

/// What the connection writes.
impl Entry {
    pub(super) fn new(
        opening: Opening<'_>,
        is_probe: bool,
        metrics: Arc<Metrics>,
        registry: Arc<Registry>,
    ) -> Self {
        Self {
            registry,
            metrics,
            id: opening.id,
            protocol: opening.protocol,
            address: opening.peer.address,
            protection: opening.peer.protection,
            opened_secs: opening.opened_secs,
            is_probe,
            trace: Trace::default(),
            since: opening.since,
            client: Arc::default(),
            names: Mutex::default(),
            cost: ArcSwapOption::empty(),
            state: AtomicU8::new(0),
            is_idle: AtomicBool::new(false),
            heard_ms: AtomicU64::new(0),
            last_command: AtomicU8::new(u8::MAX),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            retrieved: AtomicU64::new(0),
            bodies: AtomicU64::new(0),
            commands: [const { AtomicU32::new(0) }; CommandLabel::COUNT],
            is_kicked: AtomicBool::new(false),
            kicked: Notify::new(),
        }
    }

    /// A command came.
    pub fn command(&self, command: CommandLabel, now: Instant) {
        if let Some(count) = self.commands.get(command.index()) {
            count.fetch_add(1, Relaxed);
        }
        let index = u8::try_from(command.index()).unwrap_or(u8::MAX);
        self.last_command.store(index, Relaxed);
        self.heard(now);
        let cost = self.cost.load();
        if let Some(cost) = &*cost {
            let open_for = now.saturating_duration_since(self.since);
            let now_secs = self.opened_secs.saturating_add_unsigned(open_for.as_secs());
            match cost.is_over(now_secs) {
                true => self.charge(now_secs),
                false => cost.command(),
            }
        }
    }

    /// From here on what it costs is written down for this day, under the names it has.
    fn charge(&self, now_secs: i64) {
        let user = self.names.lock().user.clone();
        let client = self.client.get().cloned();
        let Some(user) = user.filter(|_| !self.is_probe) else {
            return;
        };
        let cost = self.registry.costs.of(Name { user, client }, now_secs);
        cost.session();
        if let Some(before) = self.cost.swap(Some(cost)) {
            before.moved();
        }
    }

    /// A command, or a part of a message, came.
    pub fn heard(&self, now: Instant) {
        let ms = now.saturating_duration_since(self.since).as_millis();
        self.heard_ms.store(u64::try_from(ms).unwrap_or(0), Relaxed);
    }

    /// Bytes came.
    pub fn received(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
        if let Some(cost) = &*self.cost.load() {
            cost.received(bytes);
        }
    }

    /// Bytes were sent.
    pub fn sent(&self, bytes: u64) {
        self.bytes_out.fetch_add(bytes, Relaxed);
        if let Some(cost) = &*self.cost.load() {
            cost.sent(bytes);
        }
    }

    /// Content of this message was sent, so many times whole.
    pub fn retrieved(&self, body: BodyId, whole: u64) {
        self.retrieved.fetch_add(1, Relaxed);
        self.bodies.fetch_add(whole, Relaxed);
        if let Some(cost) = &*self.cost.load() {
            cost.fetched(body, whole);
        }
    }

    /// The session is in another state.
    pub fn is_in(&self, state: State) {
        let before = self.state.swap(state as u8, Relaxed);
        if before == State::Selected as u8 && state != State::Selected {
            self.names.lock().mailbox = None;
        }
    }

    /// A mailbox was opened.
    pub fn opened(&self, mailbox: &str) {
        self.names.lock().mailbox = Some(cleaned(mailbox));
    }

    /// IDLE began or ended; what was before.
    pub(super) fn set_idle(&self, idle: Idle) -> Idle {
        match self.is_idle.swap(idle == Idle::Yes, Relaxed) {
            true => Idle::Yes,
            false => Idle::No,
        }
    }

    /// Somebody logs in by this.
    pub fn tries(&self, mechanism: &'static str) {
        self.names.lock().mechanism = Some(mechanism);
    }

    /// Who it says it is, what that rests on, and whether that was remembered.
    pub fn claims(&self, user: &str, credential: Option<&Credential>, known: Known) {
        let key = match credential {
            Some(Credential::App(_, name)) => Some(cleaned(name)),
            _ => None,
        };
        self.names.lock().login = Some(Login {
            user: cleaned(user),
            key,
            known,
        });
    }

    /// The last login that was looked at, told once.
    pub(crate) fn take_login(&self) -> Option<Login> {
        self.names.lock().login.take()
    }

    /// Somebody logged in.
    pub(super) fn named_user(&self, user: &str, now_secs: i64) {
        self.names.lock().user = Some(cleaned(user));
        self.charge(now_secs);
    }

    /// Nobody is logged in any more (RFC 8437); who listened to that user does not hear the next.
    pub(super) fn forget_user(&self) {
        *self.names.lock() = Names::default();
        self.cost.store(None);
        self.trace.end();
    }

    /// Whose mail it reads.
    #[must_use]
    pub fn user(&self) -> Option<Arc<str>> {
        self.names.lock().user.clone()
    }

    /// The client named itself (RFC 2971). Only the first time counts.
    pub fn named(&self, client: &str, now_secs: i64) -> bool {
        let first = self.client.set(cleaned(client)).is_ok();
        if first {
            self.charge(now_secs);
        }
        first
    }

    /// What the client calls itself, once it has.
    #[must_use]
    pub fn client(&self) -> Option<&str> {
        self.client.get().map(|client| &**client)
    }

    /// What the client calls itself, for whoever is to know it as soon as it does.
    #[must_use]
    pub fn client_cell(&self) -> Arc<OnceLock<Arc<str>>> {
        Arc::clone(&self.client)
    }

    /// Waits until somebody tells it to end.
    pub async fn told_to_end(&self) {
        self.kicked.notified().await;
    }
}

/// What others do.
impl Entry {
    /// Tells it to end. A command that runs is answered first.
    pub fn kick(&self) {
        self.is_kicked.store(true, Relaxed);
        self.kicked.notify_one();
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_told_to_end(&self) -> bool {
        self.is_kicked.load(Relaxed)
    }

    /// How many commands of each kind came; kinds of which none came are left out.
    #[must_use]
    pub fn commands(&self) -> Vec<(CommandLabel, u32)> {
        let counts = self.commands.iter().map(|count| count.load(Relaxed));
        let counts = counts.enumerate().filter(|(_, count)| *count > 0);
        counts
            .map(|(index, count)| (CommandLabel::at(index), count))
            .collect()
    }

    /// What it is now.
    #[must_use]
    pub fn row(&self, now: Instant) -> Row {
        let names = self.names.lock().clone();
        let open_for = now.saturating_duration_since(self.since);
        let heard = Duration::from_millis(self.heard_ms.load(Relaxed));
        let state = State::ALL.get(usize::from(self.state.load(Relaxed)));
        let last = self.last_command.load(Relaxed);
        let counts = self.commands.iter();
        Row {
            id: self.id,
            protocol: self.protocol,
            address: self.address,
            protection: self.protection,
            opened_secs: self.opened_secs,
            open_for,
            mechanism: names.mechanism.filter(|_| names.user.is_some()),
            user: names.user,
            client: self.client.get().map(Arc::clone),
            state: state.copied().unwrap_or(State::NotAuthenticated),
            mailbox: names.mailbox,
            is_idle: self.is_idle.load(Relaxed),
            last_command: (last != u8::MAX).then(|| CommandLabel::at(last.into())),
            silent_for: open_for.saturating_sub(heard),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
            commands: counts.map(|count| u64::from(count.load(Relaxed))).sum(),
            retrieved: self.retrieved.load(Relaxed),
            bodies: self.bodies.load(Relaxed),
            is_kicked: self.is_told_to_end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        listen::Peer,
        observe::{Observe, live::Place},
    };

    fn entry() -> Place {
        Observe::new().enter(Opening {
            id: 1,
            protocol: Spoken::Imap,
            peer: &Peer::LOCAL,
            since: Instant::now(),
            opened_secs: 0,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_row_tells_what_was_done() {
        let entry = entry();
        let fetch = CommandLabel::of(&wire::imap::table::UID_FETCH);
        tokio::time::advance(Duration::from_secs(5)).await;
        entry.command(fetch, Instant::now());
        entry.retrieved(BodyId::new(7).unwrap(), 1);
        entry.sent(100);
        entry.is_in(State::Selected);
        entry.opened("INBOX");
        tokio::time::advance(Duration::from_secs(2)).await;
        let row = entry.row(Instant::now());
        assert_eq!(row.last_command.map(CommandLabel::name), Some("UID FETCH"));
        assert_eq!(row.silent_for, Duration::from_secs(2));
        assert_eq!((row.commands, row.retrieved, row.bytes_out), (1, 1, 100));
        assert_eq!(row.mailbox.as_deref(), Some("INBOX"));
        assert_eq!(entry.commands(), [(fetch, 1)]);
        entry.is_in(State::Authenticated);
        assert_eq!(entry.row(Instant::now()).mailbox, None);
    }

    #[test]
    fn names_of_strangers_are_short_and_plain() {
        let entry = entry();
        entry.named(&format!("<b>\r\n\u{1b}[2J{}", "x".repeat(1_000)), 0);
        let client = entry.row(Instant::now()).client.unwrap();
        assert!(client.starts_with("<b>[2Jx"), "{client}");
        assert_eq!(client.chars().count(), NAME_CHARS_MAX);
    }

    #[test]
    fn a_connection_costs_little() {
        let bytes = size_of::<Entry>();
        assert!(bytes <= 640, "{bytes}");
    }
}
