//! Guessing made slow (RFC 9051 §11.7): a failed login is answered later the more often its
//! address (a /64 in IPv6) failed with that name, and an address that fails too often is refused
//! for a while. Nothing waits here: callers are told how long.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use store::clock::Clock;

use crate::{config::LimitSettings, service::Trust};

const MINUTE_SECS: i64 = 60;
const DAY_SECS: i64 = 24 * 60 * 60;
/// Failures of one address and name are forgotten after so long, seconds.
const FORGOTTEN_SECS: i64 = 10 * 60;
/// Addresses, and pairs of address and name, that are remembered; each in its own table.
const ENTRIES_MAX: usize = 50_000;

/// Who was wrong how often.
pub struct Throttle {
    clock: Arc<dyn Clock>,
    delays: Vec<Duration>,
    per_minute: u32,
    per_day: u32,
    ban_secs: i64,
    seed: RandomState,
    tables: Mutex<Tables>,
}

#[derive(Default)]
struct Tables {
    /// Failures in a row by address and name (hashed), and when the last was.
    streaks: HashMap<u64, (u32, i64)>,
    addresses: HashMap<IpAddr, Failures>,
}

#[derive(Clone, Copy, Default)]
struct Failures {
    minute: Window,
    day: Window,
    refused_until: i64,
}

/// Failures since the window began.
#[derive(Clone, Copy, Default)]
struct Window {
    began: i64,
    count: u32,
}

impl Window {
    fn add(&mut self, now: i64, length: i64) -> u32 {
        if now.saturating_sub(self.began) >= length {
            *self = Self {
                began: now,
                count: 0,
            };
        }
        self.count = self.count.saturating_add(1);
        self.count
    }
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>, limits: &LimitSettings) -> Self {
        Self {
            clock,
            delays: limits.login_failure_delays.0.clone(),
            per_minute: limits.login_failures_per_minute,
            per_day: limits.login_failures_per_day,
            ban_secs: i64::try_from(limits.login_ban_time.as_secs()).unwrap_or(i64::MAX),
            seed: RandomState::new(),
            tables: Mutex::default(),
        }
    }

    /// Notes a failed login; returns how long after the command's arrival it is to be answered.
    pub fn failed(&self, address: IpAddr, trust: Trust, user: &str) -> Duration {
        let now = self.clock.now_secs();
        let mut tables = self.tables.lock();
        tables.make_room(now);
        if trust == Trust::Counted {
            let failures = tables.addresses.entry(network(address)).or_default();
            let minute = failures.minute.add(now, MINUTE_SECS);
            let day = failures.day.add(now, DAY_SECS);
            if minute >= self.per_minute || day >= self.per_day {
                failures.refused_until = now.saturating_add(self.ban_secs);
            }
        }
        let streak = tables
            .streaks
            .entry(self.pair(address, user))
            .or_insert((0, now));
        if now.saturating_sub(streak.1) > FORGOTTEN_SECS {
            streak.0 = 0;
        }
        *streak = (streak.0.saturating_add(1), now);
        let step = (streak.0 as usize).min(self.delays.len());
        step.checked_sub(1)
            .and_then(|step| self.delays.get(step))
            .copied()
            .unwrap_or_default()
    }

    /// Forgets the failures of an address with a name that has now logged in.
    pub fn succeeded(&self, address: IpAddr, user: &str) {
        let pair = self.pair(address, user);
        self.tables.lock().streaks.remove(&pair);
    }

    /// Whether an address is refused because it failed too often.
    #[must_use]
    pub fn refuses(&self, address: IpAddr) -> bool {
        let tables = self.tables.lock();
        let failures = tables.addresses.get(&network(address));
        failures.is_some_and(|failures| self.clock.now_secs() < failures.refused_until)
    }

    fn pair(&self, address: IpAddr, user: &str) -> u64 {
        self.seed.hash_one((network(address), user.to_lowercase()))
    }
}

impl Tables {
    fn make_room(&mut self, now: i64) {
        if self.streaks.len() >= ENTRIES_MAX {
            self.streaks
                .retain(|_, (_, last)| now.saturating_sub(*last) <= FORGOTTEN_SECS);
        }
        if self.addresses.len() >= ENTRIES_MAX {
            self.addresses.retain(|_, failures| {
                now < failures.refused_until
                    || now.saturating_sub(failures.minute.began) < MINUTE_SECS
            });
        }
        // Someone with that many addresses is not slowed by memory of ours.
        if self.streaks.len() >= ENTRIES_MAX {
            self.streaks.clear();
        }
        if self.addresses.len() >= ENTRIES_MAX {
            self.addresses.clear();
        }
    }
}

/// The address that one user of the network has: all of IPv4, the first half of IPv6.
#[must_use]
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::from((address.to_bits() & !u128::from(u64::MAX)).to_be_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use store::clock::ManualClock;

    use super::*;
    use crate::config;

    fn throttle(set: &[&str]) -> (Throttle, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(1_000_000));
        let options = config::Options {
            set: set.iter().map(|set| format!("Limits:{set}")).collect(),
            ..config::Options::default()
        };
        let config = config::load(&options).unwrap().config;
        (
            Throttle::new(Arc::clone(&clock) as Arc<dyn Clock>, &config.limits),
            clock,
        )
    }

    #[test]
    fn answers_come_later_and_later_until_a_success() {
        let (throttle, clock) = throttle(&[]);
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        let failed = |user| throttle.failed(home, Trust::Trusted, user).as_secs();
        assert_eq!([0; 5].map(|_| failed("a")), [2, 4, 8, 15, 15]);
        assert_eq!(failed("b"), 2);
        throttle.succeeded(home, "A");
        assert_eq!(failed("a"), 2);
        clock.set(1_000_000 + FORGOTTEN_SECS + 1);
        assert_eq!(failed("a"), 2);
    }

    #[test]
    fn failures_are_answered_and_counted_as_is_set() {
        let set = ["LoginFailureDelays=3s, 7s", "LoginFailuresPerMinute=5"];
        let (throttle, clock) = throttle(&[&set[..], &["LoginBanTime=2h"]].concat());
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let waits = [3, 7, 7, 7, 7].map(Duration::from_secs);
        for wait in waits {
            assert!(!throttle.refuses(address));
            assert_eq!(throttle.failed(address, Trust::Counted, "a"), wait);
        }
        clock.set(1_000_000 + 2 * 3_600 - 1);
        assert!(throttle.refuses(address));
        clock.set(1_000_000 + 2 * 3_600);
        assert!(!throttle.refuses(address));
    }

    #[test]
    fn as_many_failures_in_a_day_are_let_pass_as_are_set() {
        let (throttle, clock) = throttle(&["LoginFailuresPerDay=4"]);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for hour in 0..4 {
            assert!(!throttle.refuses(address), "{hour}");
            clock.set(1_000_000 + hour * 3_600);
            throttle.failed(address, Trust::Counted, "a");
        }
        assert!(throttle.refuses(address));
    }

    #[test]
    fn an_address_that_fails_all_day_is_refused_too() {
        let (throttle, clock) = throttle(&[]);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        for n in 0..60 {
            assert!(!throttle.refuses(address), "{n}");
            // Never more than two in a minute.
            clock.set(1_000_000 + n * 30);
            throttle.failed(address, Trust::Counted, "a");
        }
        assert!(throttle.refuses(address));
    }

    #[test]
    fn an_address_that_fails_too_often_is_refused_for_a_while() {
        let (throttle, clock) = throttle(&[]);
        let at = |text: &str| text.parse::<IpAddr>().unwrap();
        for n in 0..10 {
            assert!(!throttle.refuses(at("2001:db8::1")), "{n}");
            throttle.failed(at("2001:db8::2"), Trust::Counted, "a");
        }
        assert!(throttle.refuses(at("2001:db8::1")));
        assert!(!throttle.refuses(at("2001:db8:0:1::1")));
        clock.set(1_000_000 + 10 * 60);
        assert!(!throttle.refuses(at("2001:db8::1")));
        for _ in 0..100 {
            throttle.failed(at("127.0.0.1"), Trust::Trusted, "a");
        }
        assert!(!throttle.refuses(at("127.0.0.1")));
    }
}
