//! Verifiers for names that have none, so that SCRAM does not say who exists (threat 11): salt and
//! keys follow from the name by a key that only this store has, and stay the same as long as it
//! does. Nobody knows a password that fits one.

use std::{fs, io, path::Path};

use super::{
    random,
    scram::{Hash, ITERATIONS, SALT_BYTES, ScramVerifier},
};
use crate::private;

/// Where the key is, in the store's directory.
const FILE: &str = "scram-decoys.key";

/// Makes verifiers for names that have none.
pub(super) struct Decoys {
    key: [u8; blake3::KEY_LEN],
}

impl Decoys {
    /// Decoys that last as long as the process.
    pub(super) fn new() -> Self {
        // A machine without randomness makes no nonces either, and so no SCRAM.
        Self::made().unwrap_or(Self {
            key: [0; blake3::KEY_LEN],
        })
    }

    fn made() -> io::Result<Self> {
        let mut key = [0; blake3::KEY_LEN];
        random(&mut key).map_err(io::Error::other)?;
        Ok(Self { key })
    }

    /// Decoys that stay the same when the server is started again.
    ///
    /// # Errors
    /// The key can be neither read nor written.
    pub(super) fn kept_in(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        match fs::read(&path).map(<[u8; blake3::KEY_LEN]>::try_from) {
            Ok(Ok(key)) => return Ok(Self { key }),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // There is none yet, or what is there is none.
            Ok(Err(_)) | Err(_) => {}
        }
        let made = Self::made()?;
        private::write(&path, &made.key)?;
        Ok(made)
    }

    /// The verifier of a name in any case.
    pub(super) fn verifier(&self, user: &str, hash: Hash) -> ScramVerifier {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(hash.name().as_bytes());
        hasher.update(b"\0");
        hasher.update(user.to_lowercase().as_bytes());
        let mut bytes = hasher.finalize_xof();
        let mut next = |length| {
            let mut part = vec![0; length];
            bytes.fill(&mut part);
            part
        };
        ScramVerifier {
            hash,
            salt: next(SALT_BYTES),
            iterations: ITERATIONS,
            stored_key: next(hash.length()),
            server_key: next(hash.length()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_decoy_is_the_same_for_its_name_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let decoys = || Decoys::kept_in(directory.path()).unwrap();
        let first = decoys().verifier("nobody", Hash::Sha256);
        assert_eq!(first.salt.len(), SALT_BYTES);
        assert_eq!(first, decoys().verifier("NoBody", Hash::Sha256));
        assert_ne!(first, decoys().verifier("nobody2", Hash::Sha256));
        assert_ne!(first.salt, decoys().verifier("nobody", Hash::Sha1).salt);
        assert_ne!(first, Decoys::new().verifier("nobody", Hash::Sha256));
        let mode = fs::metadata(directory.path().join(FILE)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_is_none_is_made_again_and_one_that_cannot_be_read_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        fs::write(&path, b"short").unwrap();
        let made = Decoys::kept_in(directory.path()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), made.key);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Decoys::kept_in(directory.path()).is_err());
    }
}
