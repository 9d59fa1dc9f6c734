//! What every connection shares: the configuration, the store, logins, the count of sessions, and
//! the signal that the server stops. It serves nobody itself; `listen` accepts, `connection` and
//! `lmtp` serve.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mail::id::AccountId;
use parking_lot::Mutex;
use store::{Store, clock::Clock};
use tokio::{
    net::UnixStream,
    sync::{mpsc, watch},
};

use crate::{
    auth::Auth, config::Config, connection::Compressors, delivery::Turns, observe::Observe,
    pool::Pool, tls::Tls,
};

/// What every connection shares.
pub struct Service {
    /// The configuration.
    pub config: Arc<Config>,
    /// Where mail is kept.
    pub store: Arc<dyn Store>,
    /// Logins.
    pub auth: Auth,
    /// Who is logged in how often.
    pub sessions: Sessions,
    /// Memory of connections that have not logged in.
    pub pre_login: Pool,
    /// The certificate, if there is one: STARTTLS and the secure port.
    pub tls: Option<Tls>,
    /// Deliveries that run.
    pub deliveries: Turns,
    /// What compresses answers.
    pub compressors: Arc<Compressors>,
    /// What is counted, and who is connected.
    pub observe: Observe,
    /// The end of serving.
    pub shutdown: Shutdown,
    /// Who wants this process to be replaced; none where it cannot be.
    pub restarts: Option<mpsc::Sender<UnixStream>>,
    clock: Arc<dyn Clock>,
}

impl Service {
    /// A service over an open store.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        tls: Option<Tls>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            auth: Auth::new(Arc::clone(&store), Arc::clone(&clock), &config),
            sessions: Sessions::new(config.imap.max_connections_per_user),
            pre_login: Pool::new(config.limits.pre_login_pool_bytes.0),
            deliveries: Turns::new(config.limits.lmtp_per_user),
            compressors: Arc::default(),
            observe: Observe::new(),
            shutdown: Shutdown::default(),
            restarts: None,
            config,
            store,
            tls,
            clock,
        }
    }

    /// The time: nanoseconds since 1970.
    #[must_use]
    pub fn now_nanos(&self) -> u64 {
        self.clock.now_nanos()
    }

    /// The time: seconds since 1970.
    #[must_use]
    pub fn now_secs(&self) -> i64 {
        self.clock.now_secs()
    }
}

/// Whether an address is counted against the limits on connections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trust {
    /// In `Limits:TrustedNetworks`, or no network at all: never refused for its number.
    Trusted,
    /// Any other.
    Counted,
}

/// The account has as many sessions as `Imap:MaxConnectionsPerUser` allows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitReached {
    /// The value of the setting.
    pub limit: u32,
}

/// The sessions that are logged in, counted by account.
pub struct Sessions {
    open: Arc<Open>,
    limit: u32,
    last_id: AtomicU64,
}

#[derive(Default)]
struct Open(Mutex<HashMap<AccountId, Count>>);

/// Sessions of one account. Those of trusted peers keep nobody else out.
#[derive(Clone, Copy, Default)]
struct Count {
    counted: u32,
    trusted: u32,
}

impl Count {
    fn of(&mut self, trust: Trust) -> &mut u32 {
        match trust {
            Trust::Counted => &mut self.counted,
            Trust::Trusted => &mut self.trusted,
        }
    }
}

/// A session that is counted until this is dropped.
pub struct Guard {
    open: Arc<Open>,
    account: AccountId,
    trust: Trust,
}

impl Sessions {
    fn new(limit: u32) -> Self {
        Self {
            open: Arc::default(),
            limit,
            last_id: AtomicU64::new(0),
        }
    }

    /// A number for a connection, for the log; never given twice by one process.
    #[must_use]
    pub fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Counts a session of an account whose password was right.
    ///
    /// # Errors
    /// The account has as many as it may have, and the peer is not trusted.
    pub fn enter(&self, account: AccountId, trust: Trust) -> Result<Guard, LimitReached> {
        let mut open = self.open.0.lock();
        let count = open.entry(account).or_default();
        if count.counted >= self.limit && trust == Trust::Counted {
            return Err(LimitReached { limit: self.limit });
        }
        let count = count.of(trust);
        *count = count.saturating_add(1);
        Ok(Guard {
            open: Arc::clone(&self.open),
            account,
            trust,
        })
    }

    /// How many sessions are logged in.
    #[must_use]
    pub fn count(&self) -> usize {
        let open = self.open.0.lock();
        let all = open
            .values()
            .flat_map(|count| [count.counted, count.trusted]);
        all.map(|count| count as usize).sum()
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut open = self.open.0.lock();
        if let Some(count) = open.get_mut(&self.account) {
            *count.of(self.trust) -= 1;
            if (count.counted, count.trusted) == (0, 0) {
                open.remove(&self.account);
            }
        }
    }
}

/// The signal that the server stops.
pub struct Shutdown(watch::Sender<Phase>);

/// How far the server is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Phase {
    Serving,
    /// The same as the next; who is not accepted yet waits for the server that comes.
    HandingOver,
    /// Who runs a command may finish it, everybody else is told to leave.
    Ending,
    /// Nobody is waited for any more.
    Over,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self(watch::Sender::new(Phase::Serving))
    }
}

impl Shutdown {
    /// Tells everyone to finish.
    pub fn begin(&self) {
        self.reach(Phase::Ending);
    }

    /// Tells everyone to finish, because another server takes the place of this one.
    pub fn hand_over(&self) {
        self.reach(Phase::HandingOver);
    }

    /// Tells those who are still there that they are not waited for any more.
    pub fn cut(&self) {
        self.reach(Phase::Over);
    }

    fn reach(&self, phase: Phase) {
        self.0.send_modify(|now| *now = phase.max(*now));
    }

    /// Whether the sockets go to another server, and with them whoever is not accepted yet.
    #[must_use]
    pub fn is_hand_over(&self) -> bool {
        *self.0.borrow() == Phase::HandingOver
    }

    /// Whether the server stops.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        *self.0.borrow() > Phase::Serving
    }

    /// Waits until the server stops; returns at once if it does already.
    pub async fn notified(&self) {
        self.reached(Phase::HandingOver).await;
    }

    /// Waits until nobody is waited for any more.
    pub async fn over(&self) {
        self.reached(Phase::Over).await;
    }

    /// Waits until the server stops, and then for this long: for what may still come, and may not
    /// be waited for in vain.
    pub async fn patience(&self, time: Duration) {
        self.notified().await;
        tokio::time::sleep(time).await;
    }

    async fn reached(&self, phase: Phase) {
        let mut signal = self.0.subscribe();
        // The sender is `self`, so waiting cannot fail.
        let _ = signal.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: u64) -> AccountId {
        AccountId::new(id).unwrap()
    }

    #[test]
    fn sessions_are_counted_by_account_and_released() {
        let sessions = Sessions::new(2);
        let first = sessions.enter(account(1), Trust::Counted).unwrap();
        let _second = sessions.enter(account(1), Trust::Counted).unwrap();
        let third = sessions.enter(account(1), Trust::Counted);
        assert_eq!(third.err(), Some(LimitReached { limit: 2 }));
        assert!(sessions.enter(account(2), Trust::Counted).is_ok());
        drop(first);
        assert_eq!(sessions.count(), 1);
        assert!(sessions.enter(account(1), Trust::Counted).is_ok());
    }

    #[test]
    fn trusted_peers_are_not_refused_and_keep_nobody_out() {
        let sessions = Sessions::new(1);
        let _webmail = sessions.enter(account(1), Trust::Trusted).unwrap();
        let _phone = sessions.enter(account(1), Trust::Counted).unwrap();
        let _more = sessions.enter(account(1), Trust::Trusted).unwrap();
        assert!(sessions.enter(account(1), Trust::Counted).is_err());
        assert_eq!(sessions.count(), 3);
    }

    #[tokio::test]
    async fn shutdown_reaches_those_who_wait_before_and_after() {
        let shutdown = Arc::new(Shutdown::default());
        let waiting = tokio::spawn({
            let shutdown = Arc::clone(&shutdown);
            async move { shutdown.notified().await }
        });
        shutdown.begin();
        waiting.await.unwrap();
        shutdown.notified().await;
        assert!(shutdown.has_begun());
    }
}
