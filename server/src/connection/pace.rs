//! How fast a client may send commands (`Limits:CommandsPerMinute`), and how far ahead it may
//! (`Limits:CommandsInFlight`). A session that is too fast goes on, each command a little later;
//! it holds no thread meanwhile, and what it sends waits with it.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{Connection, End, gone, told_to_end};
use crate::{refused::Reason, session::Change};

const MINUTE: Duration = Duration::from_secs(60);

/// When the next command may begin. A minute's worth may come at once; from then on one each time
/// that the next is due.
pub(super) struct Pace {
    step: Duration,
    /// When the commands so far would have been due one by one.
    due: Instant,
    slowed: bool,
}

impl Pace {
    pub(super) fn new(per_minute: u32, now: Instant) -> Self {
        Self {
            step: MINUTE / per_minute.max(1),
            due: now,
            slowed: false,
        }
    }

    /// How long a command that came now has to wait.
    fn wait(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + self.step;
        self.due.duration_since(now).saturating_sub(MINUTE)
    }
}

impl Connection {
    /// Waits until the next command may begin.
    pub(super) async fn pace(&mut self) -> Result<(), End> {
        let now = Instant::now();
        let wait = self.pace.wait(now);
        if wait.is_zero() {
            return Ok(());
        }
        if !std::mem::replace(&mut self.pace.slowed, true) {
            self.log_refusal(Reason::CommandsPerMinute);
        }
        // What was answered is not held back.
        self.sink.flush().await?;
        let mut changes = self.session.changes();
        let ahead = self.context.service.config.limits.commands_in_flight;
        loop {
            tokio::select! {
                () = sleep_until(now + wait) => return Ok(()),
                change = changes.next() => if let Change::Ended(why) = change {
                    return Err(why.into());
                },
                error = gone(&mut self.reader, &mut self.framer, &self.context, ahead) => {
                    return Err(error.into());
                }
                end = told_to_end(&self.context, Duration::ZERO) => return Err(end),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minutes_worth_comes_at_once_and_the_rest_one_by_one() {
        let begun = Instant::now();
        let mut pace = Pace::new(60, begun);
        assert!((0..60).all(|_| pace.wait(begun).is_zero()));
        assert_eq!(pace.wait(begun), Duration::from_secs(1));
        assert_eq!(pace.wait(begun), Duration::from_secs(2));
        // Who rested may hurry again, as far as it rested.
        assert!(pace.wait(begun + Duration::from_secs(3)).is_zero());
        assert!(!pace.wait(begun + Duration::from_secs(3)).is_zero());
        let rested = begun + 10 * MINUTE;
        assert!((0..60).all(|_| pace.wait(rested).is_zero()));
        assert!(!pace.wait(rested).is_zero());
    }
}
