//! SCRAM verifiers (RFC 5802 §3) as accounts keep them beside the Argon2id hash: made when a
//! password is set or first proven in the clear, in one string with a verifier for each hash
//! function. Verifying a login with them is the exchange's business (`wire::sasl::scram`).

pub use wire::sasl::scram::{Hash, ScramVerifier};

use super::{PASSWORD_BYTES_MAX, Unfit, random};

/// PBKDF2's iterations in verifiers made here, which the client repeats at each login. RFC 7677 §4
/// asks for 4,096 at least and a tenth of a second; well-known clients refuse more than 65,536.
pub const ITERATIONS: u32 = 32_768;
/// Verifiers made elsewhere are taken with this many iterations at least.
pub const ITERATIONS_MIN: u32 = 10_000;
pub(super) const SALT_BYTES: usize = 16;

/// The stored form of the verifiers of a password, one for each hash function, with salts of their
/// own. It computes for tens of milliseconds: not on a thread that serves connections.
///
/// # Errors
/// The password is empty or too long, or the system gives no randomness.
pub fn verifiers(password: &[u8], hashes: &[Hash]) -> Result<String, Unfit> {
    match password.len() {
        0 => return Err(Unfit::Empty),
        length if length > PASSWORD_BYTES_MAX => return Err(Unfit::TooLong),
        _ => {}
    }
    let made: Result<Vec<String>, Unfit> = hashes
        .iter()
        .map(|hash| {
            let mut salt = [0; SALT_BYTES];
            random(&mut salt)?;
            Ok(ScramVerifier::derive(*hash, password, &salt, ITERATIONS).encode())
        })
        .collect();
    Ok(made?.join(" "))
}

/// The hash functions for which passwords are kept.
pub(super) const fn hashes(sha1: bool) -> &'static [Hash] {
    match sha1 {
        true => &Hash::ALL,
        false => &[Hash::Sha256],
    }
}

/// The verifier for a hash function in a stored form. One that is too cheap to guess against is
/// not used.
#[must_use]
pub fn find(stored: &str, hash: Hash) -> Option<ScramVerifier> {
    stored
        .split(' ')
        .filter_map(ScramVerifier::decode)
        .find(|verifier| verifier.hash == hash && verifier.iterations >= ITERATIONS_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_gets_a_verifier_for_each_hash() {
        let stored = verifiers(b"secret-enough", &Hash::ALL).unwrap();
        for hash in Hash::ALL {
            let found = find(&stored, hash).unwrap();
            let again = ScramVerifier::derive(hash, b"secret-enough", &found.salt, ITERATIONS);
            assert_eq!((found.salt.len(), &again), (SALT_BYTES, &found));
        }
        let one = verifiers(b"secret-enough", &[Hash::Sha256]).unwrap();
        assert_ne!(stored.split(' ').next(), Some(&*one));
        assert_eq!(find(&one, Hash::Sha1), None);
    }

    #[test]
    fn a_cheap_verifier_is_not_used() {
        let of = |iterations| ScramVerifier::derive(Hash::Sha256, b"p", b"salt", iterations);
        assert_eq!(find(&of(ITERATIONS_MIN - 1).encode(), Hash::Sha256), None);
        let enough = of(ITERATIONS_MIN);
        assert_eq!(find(&enough.encode(), Hash::Sha256), Some(enough));
    }

    #[test]
    fn unfit_passwords() {
        assert_eq!(verifiers(b"", &Hash::ALL), Err(Unfit::Empty));
        let long = vec![b'x'; PASSWORD_BYTES_MAX + 1];
        assert_eq!(verifiers(&long, &Hash::ALL), Err(Unfit::TooLong));
    }
}
