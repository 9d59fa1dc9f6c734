//! The last refusals, for whoever looks at the status page. The log has all of them.

use std::{collections::VecDeque, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use super::entry::cleaned;
use crate::refused::{Claims, Reason};

/// How many are kept.
const KEPT: usize = 200;
/// The last refusals.
#[derive(Default)]
pub struct Refusals(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    number: u64,
    newest_last: VecDeque<Refusal>,
}

/// Somebody who was refused, perhaps again and again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// Its number among all since the server began: a later one has a greater.
    pub number: u64,
    /// When it was last, seconds since 1970.
    pub secs: i64,
    /// Why.
    pub reason: Reason,
    /// Who; none on a Unix socket.
    pub address: Option<IpAddr>,
    /// As whom; as the peer says.
    pub user: Option<Arc<str>>,
    /// What the peer calls itself.
    pub client: Option<Arc<str>>,
    /// How often the same was.
    pub times: u64,
}

impl Refusals {
    /// Somebody is refused. The same again is one that is newer.
    pub fn note(&self, reason: Reason, address: Option<IpAddr>, claims: Claims<'_>, secs: i64) {
        let mut kept = self.0.lock();
        kept.number = kept.number.saturating_add(1);
        let mut refusal = Refusal {
            number: kept.number,
            secs,
            reason,
            address,
            user: claims.user.map(cleaned),
            client: claims.client.map(cleaned),
            times: 1,
        };
        let same = |old: &Refusal| {
            let who = (old.reason, old.address, &old.user, &old.client);
            who == (reason, address, &refusal.user, &refusal.client)
        };
        let before = kept.newest_last.iter().position(same);
        if let Some(old) = before.and_then(|index| kept.newest_last.remove(index)) {
            refusal.times = old.times.saturating_add(1);
        }
        if kept.newest_last.len() >= KEPT {
            kept.newest_last.pop_front();
        }
        kept.newest_last.push_back(refusal);
    }

    /// Those that are kept, the newest first.
    #[must_use]
    pub fn newest(&self) -> Vec<Refusal> {
        self.0.lock().newest_last.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_the_same_is_one() {
        let refusals = Refusals::default();
        let address = |last| Some(IpAddr::from([192, 0, 2, last]));
        let root = Claims {
            user: Some("ro\r\not"),
            client: None,
        };
        for secs in 0..5 {
            refusals.note(Reason::LoginFailed, address(1), root, secs);
            refusals.note(Reason::Banned, address(2), Claims::default(), secs);
        }
        let newest = refusals.newest();
        assert_eq!(newest.len(), 2);
        assert_eq!((newest[0].reason, newest[0].times), (Reason::Banned, 5));
        assert_eq!(
            (newest[1].user.as_deref(), newest[1].secs),
            (Some("root"), 4)
        );
        for last in 0..250 {
            refusals.note(Reason::TooBig, address(last), Claims::default(), 9);
        }
        let newest = refusals.newest();
        assert_eq!((newest.len(), newest[0].address), (200, address(249)));
        assert_eq!(newest[0].number, 260);
    }
}
