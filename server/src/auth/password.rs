//! Names and passwords as people choose them, and the forms in which passwords are kept.

use std::sync::LazyLock;

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use rustls::crypto::{SecureRandom, aws_lc_rs};
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
/// An app password is longer: its first letters are no secret.
const APP_PASSWORD_LENGTH: usize = 24;
/// The letters by which an app password is found.
const SELECTOR_LENGTH: usize = 4;
/// The longest name of an app password, bytes.
const APP_NAME_BYTES_MAX: usize = 64;

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
    /// Something else than a letter, a digit, `-`, `_` or `.`.
    #[error("it holds something else than letters, digits, -, _ and .")]
    Special,
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

/// Whether a password is kept as [`keep_password`] keeps it, with what SCRAM needs for these hash
/// functions.
pub(super) fn is_up_to_date(verifiers: &Verifiers, hashes: &[Hash]) -> bool {
    let prefix = format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}$");
    let stored = verifiers.scram.as_deref().unwrap_or_default();
    let has = |hash: &Hash| scram::find(stored, *hash).is_some();
    hashes.iter().all(has) && verifiers.hash.starts_with(&prefix)
}

/// What becomes of `old` once the password of it has been seen; what is good of it stays.
pub(super) fn renewed(
    old: &Verifiers,
    password: &[u8],
    hashes: &[Hash],
) -> Result<Verifiers, Unfit> {
    let stored = old.scram.as_deref().unwrap_or_default();
    let found = |hash: &Hash| scram::find(stored, *hash);
    let missing = hashes.iter().copied().filter(|hash| found(hash).is_none());
    let missing: Vec<Hash> = missing.collect();
    let mut all: Vec<String> = hashes
        .iter()
        .filter_map(found)
        .map(|it| it.encode())
        .collect();
    if !missing.is_empty() {
        all.push(scram::verifiers(password, &missing)?);
    }
    Ok(Verifiers {
        hash: hash_password(password)?,
        scram: Some(all.join(" ")),
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
    generate::<GENERATED_LENGTH>()
}

/// An app password, and its selector: the letters by which it is found, which leave 100 bits.
///
/// # Errors
/// The system gives no randomness.
pub fn generate_app_password() -> Result<(Zeroizing<String>, String), Unfit> {
    let password = generate::<APP_PASSWORD_LENGTH>()?;
    let selector = password.chars().take(SELECTOR_LENGTH).collect();
    Ok((password, selector))
}

fn generate<const N: usize>() -> Result<Zeroizing<String>, Unfit> {
    let mut bytes = Zeroizing::new([0; N]);
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

/// Whether this can be the name of an app password, which stands behind a plus in user names.
///
/// # Errors
/// It is empty, too long, or holds more than letters, digits, `-`, `_` and `.`.
pub fn check_app_name(name: &str) -> Result<(), Unfit> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match name {
        "" => Err(Unfit::Empty),
        _ if name.len() > APP_NAME_BYTES_MAX => Err(Unfit::TooLong),
        _ if !name.chars().all(is_plain) => Err(Unfit::Special),
        _ => Ok(()),
    }
}

/// Fills with random bytes of the system.
pub(crate) fn random(bytes: &mut [u8]) -> Result<(), Unfit> {
    // Making a provider means listing all that it can do: once, not for each span of each command.
    static SOURCE: LazyLock<&'static dyn SecureRandom> =
        LazyLock::new(|| aws_lc_rs::default_provider().secure_random);
    SOURCE.fill(bytes).map_err(|_| Unfit::Machine)
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
        let (app, selector) = generate_app_password().unwrap();
        assert!(app.starts_with(&selector));
        assert_eq!((app.len(), selector.len()), (24, 4));
    }

    #[test]
    fn names_of_app_passwords_are_plain() {
        for name in ["phone", "K-9_Mail.2"] {
            assert_eq!(check_app_name(name), Ok(()));
        }
        for name in ["", "a+b", "a@b", "a b", "ä", &"x".repeat(65)] {
            assert!(check_app_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_password_that_was_seen_is_kept_by_todays_rules() {
        let old = Verifiers {
            hash: "$6$x".to_owned(),
            scram: None,
        };
        let usual = &[Hash::Sha256];
        assert!(!is_up_to_date(&old, usual));
        let new = renewed(&old, b"secret-enough", usual).unwrap();
        assert!(is_up_to_date(&new, usual) && !is_up_to_date(&new, &Hash::ALL));
        let again = renewed(&new, b"secret-enough", usual).unwrap();
        assert_eq!(new.scram, again.scram);
        let both = renewed(&new, b"secret-enough", &Hash::ALL).unwrap();
        assert!(is_up_to_date(&both, &Hash::ALL));
        let kept = |verifiers: &Verifiers| {
            scram::find(verifiers.scram.as_deref().unwrap(), Hash::Sha256).unwrap()
        };
        assert_eq!(kept(&both), kept(&new));
    }
}
