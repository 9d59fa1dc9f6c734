//! Names and passwords as people choose them, and the forms in which passwords are kept.

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use store::credential::Verifiers;
use zeroize::Zeroizing;

use super::scram::{self, Hash};

/// The longest name with which one can log in, bytes.
pub const USER_BYTES_MAX: usize = 255;
/// The longest password, bytes.
pub const PASSWORD_BYTES_MAX: usize = wire::limits::PASSWORD_BYTES_MAX;
/// Memory, passes and lanes of one hash: the first recommendation of OWASP for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Characters of a generated password; none is easily taken for another.
const GENERATED_ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
/// Five bits each.
const GENERATED_LENGTH: usize = 20;

/// Why a password or a name cannot be taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unfit {
    /// Nothing at all.
    #[error("it is empty")]
    Empty,
    /// Longer than [`USER_BYTES_MAX`] or [`PASSWORD_BYTES_MAX`].
    #[error("it is too long")]
    TooLong,
    /// A control character, or white space in a name.
    #[error("it holds a control character or, in a name, white space")]
    Control,
    /// The system gave no randomness or memory.
    #[error("this machine could not compute the hash")]
    Machine,
}

/// Whether this can be the name of an account.
///
/// # Errors
/// It is empty, too long, or holds characters that would break lines of logs and protocols.
pub fn check_name(name: &str) -> Result<(), Unfit> {
    match name {
        "" => Err(Unfit::Empty),
        _ if name.len() > USER_BYTES_MAX => Err(Unfit::TooLong),
        _ if name.chars().any(|c| c.is_control() || c.is_whitespace()) => Err(Unfit::Control),
        _ => Ok(()),
    }
}

/// What proofs of a password are compared with, with salts of their own.
///
/// # Errors
/// The password is empty, too long or holds a control character.
pub fn keep_password(password: &[u8]) -> Result<Verifiers, Unfit> {
    Ok(Verifiers {
        hash: hash_password(password)?,
        scram: Some(scram::verifiers(password, &[Hash::Sha256])?),
    })
}

/// The Argon2id hash (RFC 9106) of a password, with a salt of its own.
pub(super) fn hash_password(password: &[u8]) -> Result<String, Unfit> {
    if password.is_empty() {
        return Err(Unfit::Empty);
    } else if password.len() > PASSWORD_BYTES_MAX {
        return Err(Unfit::TooLong);
    } else if password.iter().any(u8::is_ascii_control) {
        return Err(Unfit::Control);
    }
    let mut salt = [0; SALT_BYTES];
    random(&mut salt)?;
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|_| Unfit::Machine)?;
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash = hasher
        .hash_password_with_salt(password, &salt)
        .map_err(|_| Unfit::Machine)?;
    Ok(hash.to_string())
}

/// A password of 100 random bits that can be typed and pasted anywhere.
///
/// # Errors
/// The system gives no randomness.
pub fn generate_password() -> Result<Zeroizing<String>, Unfit> {
    let mut bytes = Zeroizing::new([0; GENERATED_LENGTH]);
    // A dash at either end would not be selected with the word.
    loop {
        random(bytes.as_mut())?;
        let letter = |byte: &u8| char::from(GENERATED_ALPHABET[usize::from(byte % 32)]);
        let password: Zeroizing<String> = Zeroizing::new(bytes.iter().map(letter).collect());
        if !password.starts_with('-') && !password.ends_with('-') {
            return Ok(password);
        }
    }
}

/// Fills with random bytes of the system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Unfit> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider
        .secure_random
        .fill(bytes)
        .map_err(|_| Unfit::Machine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_fits_its_password_only() {
        let hash = hash_password(b"correct horse").unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        let hashes = super::super::hashes::Hashes::default();
        assert_eq!(hashes.matches(&hash, b"correct horse"), Some(true));
        assert_eq!(hashes.matches(&hash, b"correct horsf"), Some(false));
        assert_ne!(hash, hash_password(b"correct horse").unwrap());
    }

    #[test]
    fn unfit_passwords_and_names() {
        assert_eq!(hash_password(b""), Err(Unfit::Empty));
        assert_eq!(hash_password(b"a\nb"), Err(Unfit::Control));
        assert_eq!(
            hash_password(&[b'x'; PASSWORD_BYTES_MAX + 1]),
            Err(Unfit::TooLong)
        );
        for (name, expected) in [
            ("you@localhost", Ok(())),
            ("jörg@例え.jp", Ok(())),
            ("", Err(Unfit::Empty)),
            ("a b", Err(Unfit::Control)),
            ("a\r\nb", Err(Unfit::Control)),
            ("a\0b", Err(Unfit::Control)),
            (&"x".repeat(USER_BYTES_MAX + 1), Err(Unfit::TooLong)),
        ] {
            assert_eq!(check_name(name), expected, "{name:?}");
        }
    }

    #[test]
    fn generated_passwords_differ_and_need_no_quoting() {
        let one = generate_password().unwrap();
        assert_eq!(one.len(), GENERATED_LENGTH);
        assert!(one.bytes().all(|b| GENERATED_ALPHABET.contains(&b)));
        assert_ne!(*one, *generate_password().unwrap());
    }
}
