//! Logins that were right a moment ago, so that a client which connects again does not cost a
//! hash each time. What is kept is a keyed digest of whose password it is, what it was compared
//! with, and the password: when what it is compared with changes, old entries match nothing any
//! more.

use std::collections::HashMap;

use parking_lot::Mutex;

/// How long a login is remembered, seconds.
const KEPT_SECS: i64 = 5 * 60;
/// Logins remembered.
const ENTRIES_MAX: usize = 10_000;

/// A digest of everything that makes a login right.
pub(super) type Key = [u8; blake3::OUT_LEN];

pub(super) struct Cache {
    secret: Option<[u8; blake3::KEY_LEN]>,
    entries: Mutex<HashMap<Key, Entry>>,
}

/// Until when a login is remembered, and whose it is where that cost something to find out.
struct Entry {
    until: i64,
    account: Option<Box<str>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        let mut secret = [0; blake3::KEY_LEN];
        // Without randomness nothing is remembered.
        let secret = super::random(&mut secret).is_ok().then_some(secret);
        Self {
            secret,
            entries: Mutex::default(),
        }
    }

    /// The key of a login; each part is preceded by its length, so that none runs into the next.
    pub(super) fn key(&self, parts: &[&[u8]]) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret.unwrap_or_default());
        for part in parts {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    pub(super) fn holds(&self, key: &Key, now: i64) -> bool {
        let entries = self.entries.lock();
        entries.get(key).is_some_and(|entry| now < entry.until)
    }

    /// Whose login it is, if that is remembered.
    pub(super) fn account(&self, key: &Key, now: i64) -> Option<String> {
        let entries = self.entries.lock();
        let entry = entries.get(key).filter(|entry| now < entry.until)?;
        entry.account.as_deref().map(str::to_owned)
    }

    pub(super) fn insert(&self, key: Key, now: i64) {
        self.add(key, now, KEPT_SECS, None);
    }

    pub(super) fn insert_account(&self, key: Key, (now, secs): (i64, i64), account: &str) {
        self.add(key, now, secs, Some(account.into()));
    }

    fn add(&self, key: Key, now: i64, secs: i64, account: Option<Box<str>>) {
        if self.secret.is_none() {
            return;
        }
        let mut entries = self.entries.lock();
        if entries.len() >= ENTRIES_MAX {
            entries.retain(|_, entry| now < entry.until);
        }
        if entries.len() >= ENTRIES_MAX {
            entries.clear();
        }
        let until = now.saturating_add(secs);
        entries.insert(key, Entry { until, account });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_remembered_for_all_its_parts() {
        let cache = Cache::new();
        let key = |parts: [&str; 3]| cache.key(&parts.map(str::as_bytes));
        let login = key(["1", "hash", "secret"]);
        cache.insert(login, 1_000);
        assert!(cache.holds(&login, 1_000 + KEPT_SECS - 1));
        assert!(!cache.holds(&login, 1_000 + KEPT_SECS));
        for other in [
            key(["2", "hash", "secret"]),
            key(["1", "hash2", "secret"]),
            key(["1", "hash", "secret2"]),
            key(["1", "hashs", "ecret"]),
        ] {
            assert!(!cache.holds(&other, 1_000));
        }
    }

    #[test]
    fn it_stays_small() {
        let cache = Cache::new();
        for n in 0..=ENTRIES_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_le_bytes());
            cache.insert(key, 0);
        }
        assert!(cache.entries.lock().len() <= ENTRIES_MAX);
    }
}
