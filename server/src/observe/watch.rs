//! Listening to everything that one user, or one address, says and is answered: in the sessions
//! there are, and in those that come while somebody listens.

use std::{
    net::IpAddr,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;

use super::{
    entry::Entry,
    live::{Live, Registry},
    trace::Listener,
};

/// Whom somebody listens to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Whom {
    /// The account of this name.
    User(Box<str>),
    /// Whoever comes from this address.
    Address(IpAddr),
}

/// Somebody who listens, until this is dropped.
pub struct Watch {
    whom: Whom,
    listener: Listener,
    sessions: Mutex<Vec<Weak<Entry>>>,
}

/// Everybody who listens.
#[derive(Default)]
pub(super) struct Watches(Mutex<Vec<Weak<Watch>>>);

impl Watches {
    /// A connection began, or somebody logged in: whoever waits for it listens.
    pub(super) fn look_at(&self, entry: &Arc<Entry>, user: Option<&str>) {
        let watches = self.0.lock().clone();
        for watch in watches.iter().filter_map(Weak::upgrade) {
            watch.look_at(entry, user);
        }
    }
}

impl Watch {
    fn look_at(&self, entry: &Arc<Entry>, user: Option<&str>) {
        let is_it = match &self.whom {
            Whom::User(wanted) => user == Some(&**wanted),
            Whom::Address(wanted) => entry
                .address
                .is_some_and(|address| address.ip().to_canonical() == *wanted),
        };
        if is_it && !entry.is_probe {
            let mut sessions = self.sessions.lock();
            let entry_is = |other: &Weak<Entry>| other.as_ptr() == Arc::as_ptr(entry);
            if !sessions.iter().any(entry_is) {
                sessions.push(Arc::downgrade(entry));
            }
            entry.trace.listen(&self.listener);
        }
    }

    /// The sessions that are listened to and still there, by number.
    #[must_use]
    pub fn sessions(&self) -> Vec<u64> {
        let mut sessions = self.sessions.lock();
        sessions.retain(|entry| entry.strong_count() > 0);
        let there = sessions.iter().filter_map(Weak::upgrade);
        there.map(|entry| entry.id).collect()
    }

    /// How many sayings were missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.listener.missed()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for entry in self.sessions.lock().iter().filter_map(Weak::upgrade) {
            entry.trace.leave(&self.listener);
        }
    }
}

impl Live {
    /// Listens to someone, beside whoever does already.
    #[must_use]
    pub fn watch(&self, whom: Whom, listener: Listener) -> Arc<Watch> {
        let watch = Arc::new(Watch {
            whom,
            listener,
            sessions: Mutex::default(),
        });
        {
            let mut watches = self.registry().watches.0.lock();
            watches.retain(|watch| watch.strong_count() > 0);
            watches.push(Arc::downgrade(&watch));
        }
        for entry in self.entries() {
            watch.look_at(&entry, entry.user().as_deref());
        }
        watch
    }
}

impl Registry {
    /// Whoever waits for this connection, or for this user, listens.
    pub(super) fn announce(&self, entry: &Arc<Entry>, user: Option<&str>) {
        self.watches.look_at(entry, user);
    }
}

#[cfg(test)]
mod tests {
    use tokio::{sync::mpsc, time::Instant};

    use super::*;
    use crate::{
        listen::Peer,
        observe::{
            Observe,
            label::Spoken,
            live::{Opening, Place},
            trace::{Hears, Side},
        },
    };

    fn enter(observe: &Observe, id: u64, address: &str) -> Place {
        observe.enter(Opening {
            id,
            protocol: Spoken::Imap,
            peer: &Peer {
                address: Some(address.parse().unwrap()),
                ..Peer::LOCAL
            },
            since: Instant::now(),
            opened_secs: 0,
        })
    }

    #[tokio::test]
    async fn sessions_that_are_there_and_that_come_are_heard_until_the_watch_is_dropped() {
        let observe = Observe::new();
        let there = enter(&observe, 1, "192.0.2.1:1");
        there.logged_in("anna@example.org", 0);
        let (to, mut heard) = mpsc::channel(8);
        let by = |to: &mpsc::Sender<_>| Listener::new(to.clone(), Hears::Lines);
        let anna = || Whom::User("anna@example.org".into());
        let watch = observe.live.watch(anna(), by(&to));
        let (to_second, mut second) = mpsc::channel(8);
        let beside = observe.live.watch(anna(), by(&to_second));
        let later = enter(&observe, 2, "192.0.2.2:1");
        assert!(!later.trace.is_on(), "nobody knows yet who it is");
        later.logged_in("anna@example.org", 0);
        let other = enter(&observe, 3, "192.0.2.2:2");
        other.logged_in("ben@example.org", 0);
        assert_eq!(watch.sessions(), [1, 2]);
        for place in [&there, &later, &other] {
            place.say(Side::Client, b"a NOOP\r\n".to_vec());
        }
        assert_eq!(heard.recv().await.map(|said| said.session), Some(1));
        assert_eq!(heard.recv().await.map(|said| said.session), Some(2));
        drop(there);
        assert_eq!(watch.sessions(), [2]);
        drop(watch);
        // Who listened beside it hears on, and heard the same.
        assert!(later.trace.is_on());
        later.say(Side::Client, b"b NOOP\r\n".to_vec());
        for (session, text) in [(1, "a NOOP\r\n"), (2, "a NOOP\r\n"), (2, "b NOOP\r\n")] {
            let said = second.recv().await.unwrap();
            assert_eq!((said.session, &*said.bytes), (session, text.as_bytes()));
        }
        drop(beside);
        assert!(!later.trace.is_on());
        let address = "192.0.2.2".parse().unwrap();
        let watch = observe.live.watch(Whom::Address(address), by(&to));
        assert_eq!(watch.sessions(), [2, 3]);
        let last = enter(&observe, 4, "[::ffff:192.0.2.2]:9");
        assert!(last.trace.is_on(), "written as an IPv6 address");
        assert!(heard.try_recv().is_err());
    }
}
