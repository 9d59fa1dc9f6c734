//! When a collector that did not take a message is asked again: after a second, then after twice as
//! long each time, but never later than half a minute after the last try.

use std::time::Duration;

use tokio::time::Instant;

/// The first pause.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Until when a collector is left alone; the default is that it is not.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Backoff(Option<Pause>);

#[derive(Clone, Copy, Debug)]
struct Pause {
    length: Duration,
    until: Instant,
}

impl Backoff {
    /// Whether it may be asked.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.0.is_none_or(|pause| now >= pause.until)
    }

    /// It did not take a message.
    pub(super) fn failed(&mut self, now: Instant) {
        let length = self.0.map_or(PAUSE_MIN, |pause| {
            pause.length.saturating_mul(2).min(PAUSE_MAX)
        });
        let until = now + length;
        self.0 = Some(Pause { length, until });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let begun = Instant::now();
        let (mut backoff, mut now) = (Backoff::default(), begun);
        assert!(backoff.is_over(now));
        let mut pauses = Vec::new();
        for _ in 0..7 {
            backoff.failed(now);
            assert!(!backoff.is_over(now));
            let tried = now;
            while !backoff.is_over(now) {
                now += PAUSE_MIN;
            }
            pauses.push((now - tried).as_secs());
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    }
}
