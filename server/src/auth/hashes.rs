//! Comparing a password with its Argon2id hash (RFC 9106) in memory that is kept.
//!
//! A hash works in 19 MiB. Allocated anew for each login that memory would stay with the allocator,
//! once per thread that ever hashed; so as much of it as hashes run at a time is kept here.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash},
};
use parking_lot::Mutex;

/// The memory of hashes, for reuse.
#[derive(Default)]
pub(super) struct Hashes(Mutex<Vec<Vec<Block>>>);

impl Hashes {
    /// Whether the password has this hash; `None` if the hash is none that is known here.
    pub(super) fn matches(&self, hash: &str, password: &[u8]) -> Option<bool> {
        let hash = PasswordHash::new(hash).ok()?;
        let (salt, wanted) = (hash.salt.as_ref()?, hash.hash.as_ref()?);
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::default(),
        };
        let params = Params::try_from(&hash).ok()?;
        let mut blocks = self.0.lock().pop().unwrap_or_default();
        blocks.resize(params.block_count(), Block::default());
        let mut output = vec![0; wanted.len()];
        let hasher = Argon2::new(algorithm, version, params);
        let hashed = hasher.hash_password_into_with_memory(
            password,
            salt.as_ref(),
            &mut output,
            &mut blocks,
        );
        self.0.lock().push(blocks);
        hashed.ok()?;
        // `Output` compares in constant time.
        Some(Output::new(&output).ok()? == *wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_matches_and_memory_is_used_again() {
        let hashes = Hashes::default();
        let stored = crate::auth::password::hash_password(b"right").unwrap();
        assert_eq!(hashes.matches(&stored, b"right"), Some(true));
        assert_eq!(hashes.matches(&stored, b"wrong"), Some(false));
        assert_eq!(hashes.matches("{PLAIN}right", b"right"), None);
        assert_eq!(hashes.0.lock().len(), 1);
    }
}
