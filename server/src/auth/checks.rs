//! Comparing passwords with what is stored of them: in turn, off the threads that serve
//! connections, and not again for what was right a moment ago.

use std::{sync::Arc, time::Duration};

use store::clock::Clock;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::{
    AuthFailure, Credential, PASSWORD_BYTES_MAX, Proven,
    cache::{Cache, Key},
    hashes::Hashes,
    known,
    password::hash_password,
};

/// Hashes computed at a time, at least.
const HASHES_MIN: usize = 2;
/// How long a login waits for its turn to be hashed.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);

/// What compares passwords.
pub(super) struct Checks {
    clock: Arc<dyn Clock>,
    /// How long the word of a command or a directory is taken, seconds.
    external_secs: i64,
    verified: Cache,
    hashes: Arc<Hashes>,
    turns: Arc<Semaphore>,
    dummy: Arc<str>,
}

impl Checks {
    pub(super) fn new(clock: Arc<dyn Clock>, external: Duration) -> Self {
        let processors = std::thread::available_parallelism().map_or(HASHES_MIN, Into::into);
        Self {
            clock,
            external_secs: i64::try_from(external.as_secs()).unwrap_or(i64::MAX),
            verified: Cache::new(),
            hashes: Arc::default(),
            turns: Arc::new(Semaphore::new(processors.max(HASHES_MIN))),
            // Without a dummy an unknown name would be told by its time; an empty one is a
            // machine without memory, on which nobody logs in.
            dummy: hash_password(b"nobody").unwrap_or_default().into(),
        }
    }

    /// The key of a login for [`Checks::remembers`]. The parts name whose login it is and what
    /// the password was compared with.
    pub(super) fn key(&self, parts: &[&[u8]]) -> Key {
        self.verified.key(parts)
    }

    /// Whether a login was right a moment ago.
    pub(super) fn remembers(&self, key: &Key) -> bool {
        let is_known = self.verified.holds(key, self.clock.now_secs());
        if is_known {
            known::note();
        }
        is_known
    }

    /// Remembers a login that was right.
    pub(super) fn remember(&self, key: Key) {
        self.verified.insert(key, self.clock.now_secs());
    }

    /// What somebody else says of a user's password, by `ask` the account whose it is; what was
    /// right a moment ago is not asked again.
    ///
    /// # Errors
    /// The password is nobody's, or nothing is said.
    pub(super) async fn external(
        &self,
        backend: &'static str,
        (user, password): (&str, &[u8]),
        ask: impl Future<Output = Result<Option<String>, AuthFailure>>,
    ) -> Result<Proven, AuthFailure> {
        let key = self.key(&[backend.as_bytes(), user.as_bytes(), password]);
        let known = self.verified.account(&key, self.clock.now_secs());
        let user = match known {
            Some(account) => {
                known::note();
                account
            }
            None => {
                let account = ask.await?.ok_or(AuthFailure::Wrong)?;
                let times = (self.clock.now_secs(), self.external_secs);
                self.verified.insert_account(key, times, &account);
                account
            }
        };
        Ok(Proven {
            user,
            credential: Credential::Backend(backend),
        })
    }

    /// Takes as long as comparing with a stored hash.
    ///
    /// # Errors
    /// It cannot be found out at the moment.
    pub(super) async fn pretend(&self, password: &[u8]) -> Result<(), AuthFailure> {
        self.matches(&self.dummy, password).await.map(|_| ())
    }

    /// Whether the password has this hash.
    ///
    /// # Errors
    /// It cannot be found out at the moment, or the hash is none that is known here.
    pub(super) async fn matches(&self, hash: &str, password: &[u8]) -> Result<bool, AuthFailure> {
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        let password = Zeroizing::new(if fits { password.to_vec() } else { Vec::new() });
        let (hash, hashes) = (hash.to_owned(), Arc::clone(&self.hashes));
        self.in_turn(move || hashes.matches(&hash, &password).map(|right| right && fits))
            .await?
            .ok_or(AuthFailure::Unavailable)
    }

    /// Does something that computes for long when it is its turn.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthFailure> {
        let turn = tokio::time::timeout(TURN_TIME_MAX, Arc::clone(&self.turns).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(AuthFailure::Unavailable);
        };
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| AuthFailure::Unavailable)
    }
}
