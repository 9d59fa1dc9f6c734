//! Hashes of passwords that were made elsewhere, as they stand in files of other servers: with or
//! without a scheme in braces, as Dovecot writes them.
//!
//! ```text
//! {ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$…    {BLF-CRYPT}$2y$05$…
//! {SHA512-CRYPT}$6$…                            {SHA256-CRYPT}$5$…
//! ```
//!
//! A hash that costs more than a login may cost is refused when it is read, not when it is used.

use argon2::{Params, password_hash::phc::PasswordHash};

/// The most memory one Argon2 hash may use, KiB.
const ARGON2_KIB_MAX: u32 = 256 * 1024;
/// The most passes over it.
const ARGON2_PASSES_MAX: u32 = 16;
/// The most lanes of it.
const ARGON2_LANES_MAX: u32 = 8;
/// bcrypt's cost: 14 is about a second.
const BCRYPT_COST_MAX: u32 = 14;
/// Rounds of the crypt hashes by SHA-2; 5,000 is usual.
const SHA_ROUNDS_MAX: u32 = 1_000_000;
/// The longest hash, bytes.
const HASH_BYTES_MAX: usize = 512;

/// Why a hash is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadHash {
    /// Its scheme is not known.
    #[error(
        "the scheme {0} is not known; known are ARGON2ID, BLF-CRYPT, SHA512-CRYPT, SHA256-CRYPT and CRYPT"
    )]
    Scheme(String),
    /// It is the password itself.
    #[error("it is the password itself, in clear")]
    Clear,
    /// It does not look as its scheme says.
    #[error("it is not a hash of its scheme")]
    Malformed,
    /// Comparing with it would take too long.
    #[error("comparing a password with it would cost more than a login may")]
    Costly,
}

/// What stands for a password.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    /// A hash that can be compared with.
    Hash(&'a str),
    /// The password itself.
    Clear(&'a str),
}

/// Whether passwords in clear are taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Clear {
    /// They are.
    Taken,
    /// They are not.
    Refused,
}

/// A hash in the form in which accounts keep it.
///
/// # Errors
/// It cannot be used.
pub fn imported(text: &str) -> Result<&str, BadHash> {
    match read(text.trim(), Clear::Refused)? {
        Stored::Hash(hash) => Ok(hash),
        Stored::Clear(_) => Err(BadHash::Clear),
    }
}

/// Reads what stands for a password.
pub(super) fn read(text: &str, clear: Clear) -> Result<Stored<'_>, BadHash> {
    let (scheme, rest) = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        Some((scheme, rest)) => (scheme.to_ascii_uppercase(), rest),
        None => ("CRYPT".to_owned(), text),
    };
    let prefixes: &[&str] = match scheme.as_str() {
        "ARGON2ID" => &["$argon2id$"],
        "ARGON2I" => &["$argon2i$"],
        "BLF-CRYPT" | "BCRYPT" => &["$2"],
        "SHA512-CRYPT" => &["$6$"],
        "SHA256-CRYPT" => &["$5$"],
        "CRYPT" => &["$argon2id$", "$argon2i$", "$2", "$6$", "$5$"],
        "PLAIN" | "CLEARTEXT" | "CLEAR" => {
            return match clear {
                Clear::Taken if !rest.is_empty() => Ok(Stored::Clear(rest)),
                Clear::Taken => Err(BadHash::Malformed),
                Clear::Refused => Err(BadHash::Clear),
            };
        }
        _ => return Err(BadHash::Scheme(scheme)),
    };
    let known = prefixes.iter().any(|prefix| rest.starts_with(prefix));
    if !known || rest.len() > HASH_BYTES_MAX || !rest.is_ascii() {
        return Err(BadHash::Malformed);
    }
    check_cost(rest)?;
    Ok(Stored::Hash(rest))
}

fn check_cost(hash: &str) -> Result<(), BadHash> {
    let affordable = if hash.starts_with("$argon2") {
        let hash = PasswordHash::new(hash).map_err(|_| BadHash::Malformed)?;
        if hash.salt.is_none() || hash.hash.is_none() {
            return Err(BadHash::Malformed);
        }
        let params = Params::try_from(&hash).map_err(|_| BadHash::Malformed)?;
        params.m_cost() <= ARGON2_KIB_MAX
            && params.t_cost() <= ARGON2_PASSES_MAX
            && params.p_cost() <= ARGON2_LANES_MAX
    } else if hash.starts_with("$2") {
        let parts: bcrypt::HashParts = hash.parse().map_err(|_| BadHash::Malformed)?;
        parts.get_cost() <= BCRYPT_COST_MAX
    } else {
        sha_rounds(hash).ok_or(BadHash::Malformed)? <= SHA_ROUNDS_MAX
    };
    affordable.then_some(()).ok_or(BadHash::Costly)
}

/// The rounds of `$6$[rounds=N$]salt$hash`.
fn sha_rounds(hash: &str) -> Option<u32> {
    let (_, rest) = hash.strip_prefix('$')?.split_once('$')?;
    let (rounds, rest) = match rest.strip_prefix("rounds=") {
        Some(rest) => {
            let (rounds, rest) = rest.split_once('$')?;
            (rounds.parse().ok()?, rest)
        }
        None => (sha_crypt::Params::RECOMMENDED_ROUNDS, rest),
    };
    let (_, sum) = rest.split_once('$')?;
    let is_sum = !sum.is_empty() && !sum.contains('$');
    is_sum.then_some(rounds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCRYPT: &str = "$2y$05$bvIG6Nmid91Mu9RcmmWZfO5HJIMCT8riNW0hEp8f6/FuA2/mHZFpe";
    const SHA512: &str = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1";

    #[test]
    fn hashes_with_and_without_a_scheme() {
        for (text, expected) in [
            (format!("{{BLF-CRYPT}}{BCRYPT}"), Ok(BCRYPT)),
            (format!("{{crypt}}{BCRYPT}\n"), Ok(BCRYPT)),
            (BCRYPT.to_owned(), Ok(BCRYPT)),
            (format!("{{SHA512-CRYPT}}{SHA512}"), Ok(SHA512)),
            (format!("{{SHA256-CRYPT}}{SHA512}"), Err(BadHash::Malformed)),
            ("{PLAIN}secret".to_owned(), Err(BadHash::Clear)),
            ("secret".to_owned(), Err(BadHash::Malformed)),
            (String::new(), Err(BadHash::Malformed)),
            (
                "{SSHA}x".to_owned(),
                Err(BadHash::Scheme("SSHA".to_owned())),
            ),
            ("$6$rounds=x$a$b".to_owned(), Err(BadHash::Malformed)),
            ("$6$saltonly".to_owned(), Err(BadHash::Malformed)),
            ("$6$rounds=2000000$a$b".to_owned(), Err(BadHash::Costly)),
            (BCRYPT.replace("$05$", "$15$"), Err(BadHash::Costly)),
            (
                "{ARGON2ID}$argon2id$v=19$m=9999999,t=1,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAA"
                    .to_owned(),
                Err(BadHash::Costly),
            ),
            (
                "{ARGON2ID}$argon2id$v=19$m=1024,t=1,p=1$c29tZXNhbHQ".to_owned(),
                Err(BadHash::Malformed),
            ),
        ] {
            assert_eq!(imported(&text), expected, "{text}");
        }
    }

    #[test]
    fn a_password_in_clear_is_taken_only_if_that_is_allowed() {
        assert!(matches!(
            read("{PLAIN}a}b", Clear::Taken),
            Ok(Stored::Clear("a}b"))
        ));
        assert!(read("{PLAIN}", Clear::Taken).is_err());
        assert!(read("{PLAIN}x", Clear::Refused).is_err());
    }
}
