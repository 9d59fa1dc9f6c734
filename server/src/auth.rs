//! Logins: is this the password of this account? Passwords are kept as Argon2id (RFC 9106) PHC
//! strings in the store; a hash costs the same whoever asks, so that nobody learns which accounts
//! exist. How often an address may be wrong is in [`throttle`].
//!
//! It does not say who may log in without TLS: that is the session's business.

use std::{sync::Arc, time::Duration};

use argon2::{Algorithm, Argon2, Params, Version, password_hash::PasswordHasher as _};
use store::{AccountInfo, Store, clock::Clock};
use tokio::{sync::Semaphore, time::Instant};
use zeroize::Zeroizing;

use self::{cache::Cache, hashes::Hashes, throttle::Throttle};
use crate::{config::LimitSettings, listen::Peer};

mod cache;
mod hashes;
pub mod scram;
pub mod throttle;

/// The longest name with which one can log in, bytes.
pub const USER_BYTES_MAX: usize = 255;
/// The longest password, bytes.
pub const PASSWORD_BYTES_MAX: usize = wire::limits::PASSWORD_BYTES_MAX;
/// Memory, passes and lanes of one hash: the first recommendation of OWASP for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Hashes computed at a time, at least; each needs [`MEMORY_KIB`].
const HASHES_MIN: usize = 2;
/// How long a login waits for its turn to be hashed.
const TURN_TIME_MAX: Duration = Duration::from_secs(10);
/// Characters of a generated password; none is easily taken for another.
const GENERATED_ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789-";
/// Five bits each.
const GENERATED_LENGTH: usize = 20;

/// Why nobody was logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthFailure {
    /// No such account, not its password, or disabled: never told apart.
    Wrong,
    /// It cannot be found out at the moment.
    Unavailable,
}

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

/// Logins.
pub struct Auth {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    verified: Cache,
    hashes: Arc<Hashes>,
    turns: Arc<Semaphore>,
    dummy: Arc<str>,
    /// Who was wrong how often.
    pub throttle: Throttle,
}

impl Auth {
    /// Logins to the accounts of a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, limits: &LimitSettings) -> Self {
        let processors = std::thread::available_parallelism().map_or(HASHES_MIN, Into::into);
        Self {
            store,
            throttle: Throttle::new(Arc::clone(&clock), limits),
            clock,
            verified: Cache::new(),
            hashes: Arc::default(),
            turns: Arc::new(Semaphore::new(processors.max(HASHES_MIN))),
            // Without a dummy an unknown name would be told by its time; an empty one is a
            // machine without memory, on which nobody logs in.
            dummy: hash_password(b"nobody").unwrap_or_default().into(),
        }
    }

    /// The account whose name or alias and password these are.
    ///
    /// # Errors
    /// Wrong name or password, or no verdict possible.
    pub async fn verify(
        &self,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<AccountInfo>, AuthFailure> {
        let account = self.account(user);
        let stored = account
            .as_ref()
            .and_then(|account| account.password_hash.as_deref());
        let key = account
            .as_ref()
            .zip(stored)
            .map(|(account, stored)| self.verified.key(account.id, stored, password));
        if let Some(key) = key
            && let Some(account) = &account
            && self.verified.holds(&key, self.clock.now_secs())
        {
            return Ok(Arc::clone(account));
        }
        let hash = stored.map_or_else(|| Arc::clone(&self.dummy), Arc::from);
        let right = self.matches(hash, password).await?;
        match (right, account, key) {
            (true, Some(account), Some(key)) => {
                self.verified.insert(key, self.clock.now_secs());
                Ok(account)
            }
            _ => Err(AuthFailure::Wrong),
        }
    }

    /// [`Auth::verify`] for a peer: the more often its address was wrong with this name, the later
    /// it is told so, counted from the call (RFC 9051 §11.7).
    ///
    /// # Errors
    /// As [`Auth::verify`].
    pub async fn verify_from(
        &self,
        peer: &Peer,
        user: &str,
        password: &[u8],
    ) -> Result<Arc<AccountInfo>, AuthFailure> {
        let arrived = Instant::now();
        let verdict = self.verify(user, password).await;
        // Without an address it is a program on this machine: nobody to slow down.
        let Some(address) = peer.address.map(|address| address.ip()) else {
            return verdict;
        };
        match verdict {
            Ok(_) => self.throttle.succeeded(address, user),
            Err(AuthFailure::Wrong) => {
                let delay = self.throttle.failed(address, peer.trust, user);
                tokio::time::sleep_until(arrived + delay).await;
            }
            Err(AuthFailure::Unavailable) => {}
        }
        verdict
    }

    /// The account that may log in under this name.
    fn account(&self, user: &str) -> Option<Arc<AccountInfo>> {
        check_name(user).ok()?;
        self.store
            .find_account(user)
            .filter(|account| account.enabled && account.password_hash.is_some())
    }

    /// Compares, in turn and off the threads that serve connections.
    async fn matches(&self, hash: Arc<str>, password: &[u8]) -> Result<bool, AuthFailure> {
        let turn = tokio::time::timeout(TURN_TIME_MAX, Arc::clone(&self.turns).acquire_owned());
        let Ok(Ok(turn)) = turn.await else {
            return Err(AuthFailure::Unavailable);
        };
        let fits = password.len() <= PASSWORD_BYTES_MAX;
        let password = Zeroizing::new(if fits { password.to_vec() } else { Vec::new() });
        let hashes = Arc::clone(&self.hashes);
        let compared = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            hashes.matches(&hash, &password).map(|right| right && fits)
        });
        compared
            .await
            .ok()
            .flatten()
            .ok_or(AuthFailure::Unavailable)
    }
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

/// The stored form of a password, with a salt of its own.
///
/// # Errors
/// The password is empty, too long or holds a control character.
pub fn hash_password(password: &[u8]) -> Result<String, Unfit> {
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
        let hashes = Hashes::default();
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
