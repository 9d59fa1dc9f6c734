//! Who is connected: the list that `relate-imap who` and the status page show, and by which a
//! session is told to end. Its lock is taken when a connection begins or ends and when somebody
//! looks, never for a command.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    ops::Deref,
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::time::Instant;

pub use super::entry::{Entry, Idle, Row, State};
use super::{
    cells::UpDown,
    costs::{Bill, Costs},
    label::Spoken,
    metrics::Metrics,
    watch::Watches,
};
use crate::listen::Peer;

/// Open connections.
#[derive(Default)]
pub struct Live(Arc<Registry>);

#[derive(Default)]
pub(super) struct Registry {
    open: Mutex<BTreeMap<u64, Arc<Entry>>>,
    probes: Mutex<HashSet<SocketAddr>>,
    pub(super) costs: Costs,
    pub(super) watches: Watches,
}

/// What is known of a connection when it begins.
#[derive(Clone, Copy)]
pub struct Opening<'a> {
    /// Its number, as the log names it.
    pub id: u64,
    /// What is spoken.
    pub protocol: Spoken,
    /// Who is at the other end.
    pub peer: &'a Peer,
    /// When it began, …
    pub since: Instant,
    /// … and in seconds since 1970.
    pub opened_secs: i64,
}

/// A connection's place in the list, until this is dropped.
pub struct Place(Arc<Entry>);

impl Place {
    /// IDLE began or ended.
    pub fn set_idle(&self, idle: Idle) {
        match (self.0.set_idle(idle), idle) {
            (Idle::No, Idle::Yes) => self.0.metrics.sessions_idle.up(),
            (Idle::Yes, Idle::No) => self.0.metrics.sessions_idle.down(),
            _ => {}
        }
    }

    /// Somebody logged in.
    pub fn logged_in(&self, user: &str, now_secs: i64) {
        self.0.named_user(user, now_secs);
        self.0.registry.announce(&self.0, Some(user));
    }

    /// Somebody logged out and stays connected (RFC 8437).
    pub fn logged_out(&self) {
        self.0.forget_user();
        self.0.registry.announce(&self.0, None);
    }

    /// How many sessions of its kind there are.
    fn active(&self) -> Option<&UpDown> {
        match self.0.protocol {
            _ if self.0.is_probe => None,
            Spoken::Imap | Spoken::Imaps => Some(&self.0.metrics.sessions_active),
            Spoken::Lmtp => Some(&self.0.metrics.lmtp_sessions),
        }
    }
}

impl Deref for Place {
    type Target = Arc<Entry>;

    fn deref(&self) -> &Arc<Entry> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.set_idle(Idle::No);
        if let Some(active) = self.active() {
            active.down();
        }
        self.0.registry.open.lock().remove(&self.0.id);
    }
}

/// An address from which the server looks at itself, until this is dropped.
pub struct Probe {
    address: SocketAddr,
    registry: Arc<Registry>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.registry.probes.lock().remove(&self.address);
    }
}

impl Live {
    pub(super) fn enter(&self, opening: Opening<'_>, metrics: Arc<Metrics>) -> Place {
        let is_probe = self.is_probe(opening.peer);
        let entry = Entry::new(opening, is_probe, metrics, Arc::clone(&self.0));
        let place = Place(Arc::new(entry));
        self.0.open.lock().insert(place.id, Arc::clone(&place));
        self.0.announce(&place, None);
        if let Some(active) = place.active() {
            active.up();
        }
        place
    }

    /// What comes from this address is the server looking at itself: neither listed, nor counted
    /// as a session, nor logged. Called with the address to which a socket is bound, before it
    /// connects.
    #[must_use]
    pub fn expect_probe(&self, address: SocketAddr) -> Probe {
        self.0.probes.lock().insert(address);
        Probe {
            address,
            registry: Arc::clone(&self.0),
        }
    }

    /// Whether the server looks at itself by a connection with this peer.
    #[must_use]
    pub fn is_probe(&self, peer: &Peer) -> bool {
        let probes = self.0.probes.lock();
        !probes.is_empty() && peer.address.is_some_and(|it| probes.contains(&it))
    }

    /// Everybody who is connected, by number: the longest connected first.
    #[must_use]
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        let open = self.0.open.lock();
        let listed = open.values().filter(|entry| !entry.is_probe);
        listed.map(Arc::clone).collect()
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.0
    }

    /// The connection of this number.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<Arc<Entry>> {
        let entry = self.0.open.lock().get(&id).map(Arc::clone);
        entry.filter(|entry| !entry.is_probe)
    }

    /// What everybody does.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<Row> {
        self.entries().iter().map(|entry| entry.row(now)).collect()
    }

    /// What the clients of this day cost, and when it began, seconds since 1970.
    #[must_use]
    pub fn bills(&self, now_secs: i64) -> (i64, Vec<Bill>) {
        self.0.costs.bills(now_secs)
    }

    /// Tells the connections that a test picks to end. How many there were.
    pub fn kick(&self, picked: impl Fn(&Row) -> bool, now: Instant) -> usize {
        let entries = self.entries();
        let picked = entries.iter().filter(|entry| picked(&entry.row(now)));
        picked.map(|entry| entry.kick()).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Observe;

    fn peer(port: u16) -> Peer {
        Peer {
            address: Some(SocketAddr::from(([192, 0, 2, 1], port))),
            ..Peer::LOCAL
        }
    }

    fn enter(observe: &Observe, id: u64) -> Place {
        observe.enter(Opening {
            id,
            protocol: Spoken::Imap,
            peer: &peer(u16::try_from(id).unwrap()),
            since: Instant::now(),
            opened_secs: 7,
        })
    }

    #[tokio::test]
    async fn the_list_holds_who_is_there_and_tells_them_to_end() {
        let observe = Observe::new();
        let live = &observe.live;
        let first = enter(&observe, 1);
        let second = enter(&observe, 2);
        first.tries("PLAIN");
        first.logged_in("anna@example.org", 7);
        let now = Instant::now();
        let rows = live.snapshot(now);
        assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(rows[0].user.as_deref(), Some("anna@example.org"));
        let anna = |row: &Row| row.user.is_some();
        assert_eq!(live.kick(anna, now), 1);
        first.told_to_end().await;
        assert!(first.is_told_to_end() && !second.is_told_to_end());
        first.set_idle(Idle::Yes);
        assert_eq!(observe.metrics.sessions_idle.read(), 1);
        drop(first);
        assert_eq!(observe.metrics.sessions_idle.read(), 0);
        assert_eq!(observe.metrics.sessions_active.read(), 1);
        assert!(live.find(1).is_none() && live.find(2).is_some());
    }

    #[test]
    fn a_probe_is_not_listed() {
        let observe = Observe::new();
        let address = SocketAddr::from(([192, 0, 2, 1], 3));
        let probe = observe.live.expect_probe(address);
        let place = enter(&observe, 3);
        assert!(place.is_probe && observe.live.snapshot(Instant::now()).is_empty());
        assert_eq!(observe.metrics.sessions_active.read(), 0);
        drop((place, probe));
        assert!(
            !enter(&observe, 3).is_probe,
            "another connection from there"
        );
    }
}
