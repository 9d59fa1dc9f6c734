//! How many connections operators may have: those on this machine always find a place, whatever
//! comes from elsewhere.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use super::access::Ends;
use crate::auth::throttle::network;

/// Connections in all.
const TOTAL_MAX: u32 = 64;
/// Connections from other machines.
const ELSEWHERE_MAX: u32 = 48;
/// Connections from one of them.
const ADDRESS_MAX: u32 = 16;

/// Counts connections.
#[derive(Default)]
pub(super) struct Door(Arc<Mutex<Counts>>);

#[derive(Default)]
struct Counts {
    here: u32,
    elsewhere: HashMap<IpAddr, u32>,
}

/// A connection that is counted until this is dropped.
pub(super) struct Place {
    counts: Arc<Mutex<Counts>>,
    address: Option<IpAddr>,
}

impl Door {
    /// Lets a connection in; `None` if there are too many.
    pub(super) fn enter(&self, ends: &Ends) -> Option<Place> {
        let mut counts = self.0.lock();
        let elsewhere: u32 = counts.elsewhere.values().sum();
        if counts.here + elsewhere >= TOTAL_MAX {
            return None;
        }
        let address = (!ends.are_here()).then(|| network(ends.remote.ip()));
        match address {
            None => counts.here += 1,
            Some(_) if elsewhere >= ELSEWHERE_MAX => return None,
            Some(address) => {
                let open = counts.elsewhere.entry(address).or_default();
                if *open >= ADDRESS_MAX {
                    return None;
                }
                *open += 1;
            }
        }
        Some(Place {
            counts: Arc::clone(&self.0),
            address,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.counts.lock();
        let Some(address) = self.address else {
            counts.here -= 1;
            return;
        };
        if let Some(open) = counts.elsewhere.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                counts.elsewhere.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(remote: [u8; 4]) -> Ends {
        let local = match remote[0] {
            127 => [127, 0, 0, 1],
            _ => [192, 0, 2, 1],
        };
        Ends {
            local: SocketAddr::from((local, 8_083)),
            remote: SocketAddr::from((remote, 1)),
        }
    }

    #[test]
    fn this_machine_finds_a_place_when_others_fill_theirs() {
        let door = Door::default();
        let from_one: Vec<_> = (0..20)
            .filter_map(|_| door.enter(&from([192, 0, 2, 9])))
            .collect();
        assert_eq!(from_one.len(), 16);
        let from_many: Vec<_> = (0..100)
            .filter_map(|last| door.enter(&from([198, 51, 100, last])))
            .collect();
        assert_eq!(from_many.len(), 32);
        let here: Vec<_> = (0..100)
            .filter_map(|_| door.enter(&from([127, 0, 0, 1])))
            .collect();
        assert_eq!(here.len(), 16);
        drop((from_one, from_many));
        assert!(door.enter(&from([192, 0, 2, 9])).is_some());
        drop(here);
        assert_eq!(door.0.lock().here, 0);
        assert!(door.0.lock().elsewhere.is_empty());
    }
}
