//! Logins that were right a moment ago, so that a client which connects again does not cost a
//! hash each time. What is kept is a keyed digest of account, stored hash and password: a changed
//! password changes the stored hash, so old entries match nothing any more.

use std::collections::HashMap;

use mail::id::AccountId;
use parking_lot::Mutex;

/// How long a login is remembered, seconds.
const KEPT_SECS: i64 = 5 * 60;
/// Logins remembered.
const ENTRIES_MAX: usize = 10_000;

/// A digest that names account, stored hash and password together.
pub(super) type Key = [u8; blake3::OUT_LEN];

pub(super) struct Cache {
    secret: Option<[u8; blake3::KEY_LEN]>,
    until: Mutex<HashMap<Key, i64>>,
}

impl Cache {
    pub(super) fn new() -> Self {
        let mut secret = [0; blake3::KEY_LEN];
        // Without randomness nothing is remembered.
        let secret = super::random(&mut secret).is_ok().then_some(secret);
        Self {
            secret,
            until: Mutex::default(),
        }
    }

    /// The key of a login; each part is preceded by its length, so that none runs into the next.
    pub(super) fn key(&self, account: AccountId, stored: &str, password: &[u8]) -> Key {
        let mut hasher = blake3::Hasher::new_keyed(&self.secret.unwrap_or_default());
        hasher.update(&account.get().to_le_bytes());
        for part in [stored.as_bytes(), password] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        *hasher.finalize().as_bytes()
    }

    pub(super) fn holds(&self, key: &Key, now: i64) -> bool {
        self.until.lock().get(key).is_some_and(|until| now < *until)
    }

    pub(super) fn insert(&self, key: Key, now: i64) {
        if self.secret.is_none() {
            return;
        }
        let mut until = self.until.lock();
        if until.len() >= ENTRIES_MAX {
            until.retain(|_, until| now < *until);
        }
        if until.len() >= ENTRIES_MAX {
            until.clear();
        }
        until.insert(key, now.saturating_add(KEPT_SECS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_remembered_for_its_account_hash_and_password() {
        let cache = Cache::new();
        let id = |id| AccountId::new(id).unwrap();
        let key = cache.key(id(1), "hash", b"secret");
        cache.insert(key, 1_000);
        assert!(cache.holds(&key, 1_000 + KEPT_SECS - 1));
        assert!(!cache.holds(&key, 1_000 + KEPT_SECS));
        for other in [
            cache.key(id(2), "hash", b"secret"),
            cache.key(id(1), "hash2", b"secret"),
            cache.key(id(1), "hash", b"secret2"),
            cache.key(id(1), "hashs", b"ecret"),
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
        assert!(cache.until.lock().len() <= ENTRIES_MAX);
    }
}
