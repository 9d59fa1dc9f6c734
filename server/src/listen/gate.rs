//! How many connections an address may have and make, and how many there may be at all.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::{auth::throttle::network, config::LimitSettings, refused::Reason, service::Trust};

const MINUTE_SECS: i64 = 60;
/// File descriptors that stay free for the store and for administration.
const DESCRIPTORS_RESERVED: u64 = 128;
/// Connections where the system names no limit.
const CONNECTIONS_MAX: usize = 100_000;
/// Addresses without an open connection that are remembered for their minute.
const ADDRESSES_MAX: usize = 50_000;

/// Counts connections.
pub(super) struct Gate {
    per_address: u32,
    per_minute: u32,
    total_max: usize,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Default)]
struct Counts {
    total: usize,
    addresses: HashMap<IpAddr, Address>,
}

#[derive(Default)]
struct Address {
    open: u32,
    minute_began: i64,
    new: u32,
}

/// A connection that is counted until this is dropped.
pub(super) struct Place {
    counts: Arc<Mutex<Counts>>,
    address: Option<IpAddr>,
}

impl Gate {
    /// A gate with these limits, and as many places as the process may have file descriptors.
    #[must_use]
    pub(super) fn new(limits: &LimitSettings) -> Self {
        let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let total_max = descriptors.map_or(CONNECTIONS_MAX, |count| {
            usize::try_from(count.saturating_sub(DESCRIPTORS_RESERVED)).unwrap_or(CONNECTIONS_MAX)
        });
        Self {
            per_address: limits.connections_per_address,
            per_minute: limits.new_connections_per_minute,
            total_max,
            counts: Arc::default(),
        }
    }

    /// Lets a connection in.
    ///
    /// # Errors
    /// There are too many, from its address or at all.
    pub(super) fn enter(&self, address: IpAddr, trust: Trust, now: i64) -> Result<Place, Reason> {
        let mut counts = self.counts.lock();
        if counts.total >= self.total_max {
            return Err(Reason::Connections);
        }
        let address = (trust == Trust::Counted).then(|| network(address));
        if let Some(address) = address {
            counts.make_room(now);
            let entry = counts.addresses.entry(address).or_default();
            if now.saturating_sub(entry.minute_began) >= MINUTE_SECS {
                (entry.minute_began, entry.new) = (now, 0);
            }
            entry.new = entry.new.saturating_add(1);
            if entry.open >= self.per_address {
                return Err(Reason::ConnectionsPerAddress);
            }
            if entry.new > self.per_minute {
                return Err(Reason::NewConnectionsPerMinute);
            }
            entry.open += 1;
        }
        counts.total += 1;
        Ok(Place {
            counts: Arc::clone(&self.counts),
            address,
        })
    }
}

impl Counts {
    fn make_room(&mut self, now: i64) {
        if self.addresses.len() >= ADDRESSES_MAX {
            let recent = |entry: &Address| now.saturating_sub(entry.minute_began) < MINUTE_SECS;
            self.addresses
                .retain(|_, entry| entry.open > 0 || recent(entry));
        }
        if self.addresses.len() >= ADDRESSES_MAX {
            self.addresses.retain(|_, entry| entry.open > 0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(address) = self.address
            && let Some(entry) = counts.addresses.get_mut(&address)
        {
            entry.open = entry.open.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(per_address: u32, per_minute: u32) -> Gate {
        Gate {
            per_address,
            per_minute,
            total_max: 10,
            counts: Arc::default(),
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn open_connections_of_an_address() {
        let gate = gate(2, 100);
        let _one = gate.enter(ip("192.0.2.1"), Trust::Counted, 0).unwrap();
        let two = gate
            .enter(ip("::ffff:192.0.2.1"), Trust::Counted, 0)
            .unwrap();
        let third = gate.enter(ip("192.0.2.1"), Trust::Counted, 0);
        assert_eq!(third.err(), Some(Reason::ConnectionsPerAddress));
        assert!(gate.enter(ip("192.0.2.1"), Trust::Trusted, 0).is_ok());
        assert!(gate.enter(ip("192.0.2.2"), Trust::Counted, 0).is_ok());
        drop(two);
        assert!(gate.enter(ip("192.0.2.1"), Trust::Counted, 0).is_ok());
    }

    #[test]
    fn new_connections_in_a_minute() {
        let gate = gate(100, 3);
        for _ in 0..3 {
            assert!(gate.enter(ip("2001:db8::1"), Trust::Counted, 100).is_ok());
        }
        let fourth = gate.enter(ip("2001:db8::2"), Trust::Counted, 159);
        assert_eq!(fourth.err(), Some(Reason::NewConnectionsPerMinute));
        assert!(gate.enter(ip("2001:db8::1"), Trust::Counted, 160).is_ok());
    }

    #[test]
    fn all_connections() {
        let gate = gate(100, 100);
        let places: Vec<_> = (0..10)
            .map(|_| gate.enter(ip("::1"), Trust::Trusted, 0).unwrap())
            .collect();
        let eleventh = gate.enter(ip("::1"), Trust::Trusted, 0);
        assert_eq!(eleventh.err(), Some(Reason::Connections));
        drop(places);
        assert!(gate.enter(ip("::1"), Trust::Trusted, 0).is_ok());
    }
}
