//! Comparing a password with its hash: Argon2 (RFC 9106) in memory that is kept, and the forms of
//! crypt(3) from which accounts are moved here.
//!
//! An Argon2 hash works in 19 MiB. Allocated anew for each login that memory would stay with the allocator,
//! once per thread that ever hashed; so as much of it as hashes run at a time is kept here.

use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, PasswordHash},
};
use parking_lot::Mutex;
use sha_crypt::{PasswordVerifier as _, ShaCrypt, password_hash::Error};

/// The memory of hashes, for reuse.
#[derive(Default)]
pub(super) struct Hashes(Mutex<Vec<Vec<Block>>>);

impl Hashes {
    /// Whether the password has this hash; `None` if the hash is none that is known here.
    pub(super) fn matches(&self, hash: &str, password: &[u8]) -> Option<bool> {
        match hash.get(..3)? {
            "$ar" => self.argon2_matches(hash, password),
            "$2a" | "$2b" | "$2x" | "$2y" => bcrypt::verify(password, hash).ok(),
            "$5$" | "$6$" => match ShaCrypt::SHA512.verify_password(password, hash) {
                Ok(()) => Some(true),
                Err(Error::PasswordInvalid) => Some(false),
                Err(_) => None,
            },
            _ => None,
        }
    }

    fn argon2_matches(&self, hash: &str, password: &[u8]) -> Option<bool> {
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

    /// Made by crypt(3), and by the programs of other servers.
    #[test]
    fn hashes_of_crypt_are_compared() {
        let hashes = Hashes::default();
        for (password, hash) in [
            (
                "secret",
                "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
            ),
            (
                "secret",
                "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq.H91p5hVO1",
            ),
            (
                "secret",
                "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
            ),
            (
                "secret",
                "$6$rounds=2000$saltsalt$GBImuhotpiUgeciq/ZS6UaMklAGJMK25wd5Tacv1I0CcSmxHOQQLpmVKYRPIU6LoFrr4iPAAmsqUTjBoZ.Fwr/",
            ),
        ] {
            assert_eq!(
                hashes.matches(hash, password.as_bytes()),
                Some(true),
                "{hash}"
            );
            assert_eq!(hashes.matches(hash, b"Secret"), Some(false), "{hash}");
        }
        for broken in ["$6$", "$6$a$!", "$2y$05$short", "$1$a$b", "", "$a"] {
            assert_eq!(hashes.matches(broken, b"x"), None, "{broken}");
        }
    }
}
