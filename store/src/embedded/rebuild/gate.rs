//! Who waits for what while the index is made again, and how far that is.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use mail::id::AccountId;
use parking_lot::{Condvar, Mutex};
use tokio::sync::Notify;

use crate::{Error, Result, contract::Rebuilding};

/// A command waits this long for its account.
const WAIT: Duration = Duration::from_secs(10);
/// How often it is said how far it is.
const TELL: Duration = Duration::from_secs(5);

/// Lets pass who needs accounts that are in the index.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// Whether nobody has to wait.
    is_shut: AtomicBool,
    inner: Mutex<Option<Waiting>>,
    /// Something changed: for threads, and for tasks.
    told: Condvar,
    told_tasks: Notify,
}

#[derive(Debug)]
struct Waiting {
    /// Accounts that are not there yet, with their rows of messages.
    rest: BTreeMap<AccountId, u64>,
    wanted: VecDeque<AccountId>,
    progress: Rebuilding,
    began: Instant,
    told: Instant,
    is_closed: bool,
}

impl Gate {
    /// These accounts are to come, with so many rows of messages.
    pub(crate) fn begin(&self, rest: BTreeMap<AccountId, u64>, messages: u64) {
        let now = Instant::now();
        let mut inner = self.inner.lock();
        // Who waited before a second attempt still does.
        let before = inner.take();
        let is_closed = before.as_ref().is_some_and(|before| before.is_closed);
        let mut wanted = before.map(|before| before.wanted).unwrap_or_default();
        wanted.retain(|id| rest.contains_key(id));
        *inner = Some(Waiting {
            progress: Rebuilding {
                accounts: rest.len() as u64,
                accounts_done: 0,
                messages,
                messages_done: 0,
                secs_left: None,
            },
            rest,
            wanted,
            began: now,
            told: now,
            is_closed,
        });
        self.is_shut.store(true, Ordering::Release);
    }

    /// Rows of messages came.
    pub(crate) fn count(&self, messages: u64) {
        let mut inner = self.inner.lock();
        let Some(waiting) = &mut *inner else { return };
        let progress = &mut waiting.progress;
        progress.messages_done += messages;
        let secs = waiting.began.elapsed().as_secs_f64();
        let rate = progress.messages_done as f64 / secs.max(0.001);
        let left = progress.messages.saturating_sub(progress.messages_done);
        if progress.messages_done > 0 {
            progress.secs_left = Some((left as f64 / rate).ceil() as u64);
        }
        if waiting.told.elapsed() >= TELL {
            waiting.told = Instant::now();
            tracing::info!(rate = rate as u64, "the index is made again: {progress}");
        }
    }

    /// An account is there.
    pub(crate) fn is_there(&self, id: AccountId) {
        if let Some(waiting) = &mut *self.inner.lock() {
            waiting.rest.remove(&id);
            waiting.wanted.retain(|wanted| *wanted != id);
            waiting.progress.accounts_done += 1;
        }
        self.tell();
    }

    /// Everything is there.
    pub(crate) fn end(&self) {
        if let Some(waiting) = self.inner.lock().take() {
            let (took, progress) = (waiting.began.elapsed(), waiting.progress);
            tracing::info!(?took, "the index was made again: {progress}");
        }
        self.is_shut.store(false, Ordering::Release);
        self.tell();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        if let Some(waiting) = &mut *self.inner.lock() {
            waiting.is_closed = true;
        }
        self.tell();
    }

    fn tell(&self) {
        self.told.notify_all();
        self.told_tasks.notify_waiters();
    }

    /// The account that somebody has waited for longest.
    pub(crate) fn wanted(&self) -> Option<AccountId> {
        self.inner.lock().as_ref()?.wanted.front().copied()
    }

    /// How far it is; `None` if the index is whole.
    pub(crate) fn progress(&self) -> Option<Rebuilding> {
        if !self.is_shut.load(Ordering::Acquire) {
            return None;
        }
        self.inner.lock().as_ref().map(|waiting| waiting.progress)
    }

    /// `Ok` if an account is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not.
    pub(crate) fn check(&self, id: AccountId) -> Result<()> {
        if !self.is_shut.load(Ordering::Acquire) {
            return Ok(());
        }
        let inner = self.inner.lock();
        let is_missing = inner.as_ref().is_some_and(|w| w.rest.contains_key(&id));
        drop(inner);
        if is_missing {
            Err(self.not_yet())
        } else {
            Ok(())
        }
    }

    /// `Ok` if everything is there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is not.
    pub(crate) fn check_all(&self) -> Result<()> {
        match self.progress() {
            Some(_) => Err(self.not_yet()),
            None => Ok(()),
        }
    }

    /// Whether an account is there; if not it comes next.
    fn ask(&self, id: AccountId) -> Result<bool> {
        let mut inner = self.inner.lock();
        let Some(waiting) = &mut *inner else {
            return Ok(true);
        };
        if !waiting.rest.contains_key(&id) {
            return Ok(true);
        }
        if waiting.is_closed {
            return Err(Error::Unavailable("the store is closed".into()));
        }
        if !waiting.wanted.contains(&id) {
            waiting.wanted.push_back(id);
        }
        Ok(false)
    }

    /// Waits until an account is there, and has it come first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it takes too long.
    pub(crate) async fn pass(&self, id: AccountId) -> Result<()> {
        self.pass_within(WAIT, id).await
    }

    async fn pass_within(&self, wait: Duration, id: AccountId) -> Result<()> {
        if !self.is_shut.load(Ordering::Acquire) {
            return Ok(());
        }
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let told = self.told_tasks.notified();
            tokio::pin!(told);
            // From here on no change is missed.
            told.as_mut().enable();
            if self.ask(id)? {
                return Ok(());
            }
            if tokio::time::timeout_at(deadline, told).await.is_err() {
                return Err(self.not_yet());
            }
        }
    }

    /// Waits until everything is there. Blocking.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the store is closed before.
    pub(crate) fn pass_all(&self) -> Result<()> {
        let mut inner = self.inner.lock();
        while let Some(waiting) = &*inner {
            if waiting.is_closed {
                return Err(Error::Unavailable("the store is closed".into()));
            }
            self.told.wait(&mut inner);
        }
        Ok(())
    }

    /// Waits until everything is there, as long as a command waits for its account. Blocking.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it takes too long or the store is closed.
    pub(crate) fn pass_all_soon(&self) -> Result<()> {
        self.pass_all_within(WAIT)
    }

    fn pass_all_within(&self, wait: Duration) -> Result<()> {
        let deadline = Instant::now() + wait;
        let mut inner = self.inner.lock();
        while let Some(waiting) = &*inner {
            if waiting.is_closed {
                return Err(Error::Unavailable("the store is closed".into()));
            }
            if self.told.wait_until(&mut inner, deadline).timed_out() {
                drop(inner);
                return Err(self.not_yet());
            }
        }
        Ok(())
    }

    /// Why something is not there yet.
    pub(crate) fn not_yet(&self) -> Error {
        let progress = self.progress().unwrap_or_default();
        Error::Unavailable(format!("the index is made again: {progress}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(task: impl Future<Output = T>) -> T {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(task)
    }

    fn id(n: u64) -> AccountId {
        AccountId::new(n).unwrap()
    }

    fn shut() -> Gate {
        let gate = Gate::default();
        gate.begin([(id(1), 10), (id(2), 20), (id(3), 30)].into(), 60);
        gate
    }

    #[test]
    fn who_needs_an_account_waits_for_it_and_has_it_come_first() {
        run(async {
            let gate = shut();
            // One that holds nothing need not be waited for.
            gate.pass(id(4)).await.unwrap();
            let mut pass = Box::pin(gate.pass(id(3)));
            tokio::select! {
                biased;
                _ = &mut pass => panic!("it is not there"),
                () = tokio::task::yield_now() => {}
            }
            assert_eq!(gate.wanted(), Some(id(3)));
            gate.count(30);
            gate.is_there(id(3));
            pass.await.unwrap();
            assert_eq!(gate.wanted(), None);
            let progress = gate.progress().unwrap();
            assert_eq!((progress.accounts_done, progress.messages_done), (1, 30));
            let text = progress.to_string();
            assert!(
                text.starts_with("1 of 3 accounts, 30 of 60 messages"),
                "{text}"
            );
            gate.end();
            gate.pass(id(1)).await.unwrap();
            assert_eq!(gate.progress(), None);
        });
    }

    #[test]
    fn nobody_waits_for_ever() {
        run(async {
            let gate = shut();
            let late = gate.pass_within(Duration::from_millis(1), id(2)).await;
            assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
            // A second attempt knows who waited.
            gate.begin([(id(1), 10), (id(2), 20)].into(), 30);
            assert_eq!(gate.wanted(), Some(id(2)));
            gate.close();
            assert!(gate.pass(id(1)).await.is_err());
            assert!(gate.pass_all().is_err());
            let gate = shut();
            let late = gate.pass_all_within(Duration::from_millis(1));
            assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
            gate.end();
            gate.pass_all_soon().unwrap();
        });
    }
}
