//! What a server keeps in order to verify SCRAM: StoredKey and ServerKey, with salt and iteration
//! count (RFC 5802 §3), and the form in which they are stored. With it somebody can verify a login
//! and guess passwords, but not log in.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _};
use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The longest salt that is read, bytes.
const SALT_BYTES_MAX: usize = 64;

/// A hash function of SCRAM.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Hash {
    /// SHA-1 (RFC 5802 §4): only for clients that know nothing better.
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

impl Hash {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Sha1];

    /// The name of its mechanism without channel binding.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SCRAM-SHA-1",
            Self::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// The length of its output, bytes.
    #[must_use]
    pub const fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// `HMAC(key, message)`; a key may have any length.
    pub(super) fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => hmac_with(Hmac::<Sha1>::new_from_slice(key).ok(), message),
            Self::Sha256 => hmac_with(Hmac::<Sha256>::new_from_slice(key).ok(), message),
        }
    }

    /// `H(message)`.
    pub(super) fn of(self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(message).to_vec(),
            Self::Sha256 => Sha256::digest(message).to_vec(),
        }
    }

    /// `Hi(password, salt, iterations)`, which is PBKDF2.
    pub(super) fn salted(
        self,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut output = Zeroizing::new(vec![0; self.length()]);
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, &mut output),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut output),
        }
        output
    }
}

/// HMAC takes keys of any length, so there is always a machine.
fn hmac_with<M: hmac::Mac>(machine: Option<M>, message: &[u8]) -> Vec<u8> {
    machine.map_or_else(Vec::new, |machine| {
        machine
            .chain_update(message)
            .finalize()
            .into_bytes()
            .to_vec()
    })
}

/// What verifies a password by SCRAM without being the password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    /// The hash function.
    pub hash: Hash,
    /// The salt.
    pub salt: Vec<u8>,
    /// The iteration count of PBKDF2.
    pub iterations: u32,
    /// `H(ClientKey)`.
    pub stored_key: Vec<u8>,
    /// What the server proves that it knows.
    pub server_key: Vec<u8>,
}

impl ScramVerifier {
    /// The verifier of a password (RFC 5802 §3). It costs `iterations` HMACs.
    #[must_use]
    pub fn derive(hash: Hash, password: &[u8], salt: &[u8], iterations: u32) -> Self {
        let salted = hash.salted(&prepared(password), salt, iterations);
        let client_key = Zeroizing::new(hash.hmac(&salted, b"Client Key"));
        Self {
            hash,
            salt: salt.to_vec(),
            iterations,
            stored_key: hash.of(&client_key),
            server_key: hash.hmac(&salted, b"Server Key"),
        }
    }

    /// The form in which it is stored: `SCRAM-SHA-256$iterations:salt$stored:server`, the last
    /// three in base64. It holds no white space.
    #[must_use]
    pub fn encode(&self) -> String {
        format!(
            "{}${}:{}${}:{}",
            self.hash.name(),
            self.iterations,
            STANDARD.encode(&self.salt),
            STANDARD.encode(&self.stored_key),
            STANDARD.encode(&self.server_key),
        )
    }

    /// Reads what [`ScramVerifier::encode`] wrote; `None` if it is something else.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut parts = text.split('$');
        let name = parts.next()?;
        let hash = Hash::ALL.into_iter().find(|hash| hash.name() == name)?;
        let (iterations, salt) = parts.next()?.split_once(':')?;
        let (stored_key, server_key) = parts.next()?.split_once(':')?;
        let key = |text: &str| {
            let key = STANDARD.decode(text).ok()?;
            (key.len() == hash.length()).then_some(key)
        };
        let verifier = Self {
            hash,
            salt: STANDARD.decode(salt).ok()?,
            iterations: iterations.parse().ok()?,
            stored_key: key(stored_key)?,
            server_key: key(server_key)?,
        };
        let fits = (1..=SALT_BYTES_MAX).contains(&verifier.salt.len()) && verifier.iterations > 0;
        (fits && parts.next().is_none() && verifier.encode() == text).then_some(verifier)
    }

    /// Whether `proof` was made with the password, for these messages (RFC 5802 §3).
    #[must_use]
    pub fn accepts(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        if signature.len() != proof.len() {
            return false;
        }
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect());
        self.hash.of(&client_key).ct_eq(&self.stored_key).into()
    }

    /// What proves to the client that the server has this verifier.
    #[must_use]
    pub fn signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramVerifier")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// The password as SASLprep makes it (RFC 4013). One that it refuses, or that is no text, is taken
/// as it is: clients do the same, and nobody is locked out for a letter younger than Unicode 3.2.
fn prepared(password: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = str::from_utf8(password).ok();
    let prepared = text.and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(prepared.map_or_else(|| password.to_vec(), |text| text.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The salt of the example in RFC 7677 §3.
    const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";

    fn verifier() -> ScramVerifier {
        let salt = STANDARD.decode(SALT).unwrap();
        ScramVerifier::derive(Hash::Sha256, b"pencil", &salt, 4096)
    }

    /// The keys of the example's password, as other servers store them too.
    #[test]
    fn known_answer() {
        let stored = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
        assert_eq!(verifier().encode(), stored);
        assert_eq!(ScramVerifier::decode(stored), Some(verifier()));
    }

    /// The end of the example in RFC 7677 §3.
    #[test]
    fn proof_and_signature() {
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let message =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s={SALT},i=4096,c=biws,r={nonce}");
        let decoded = |text: &str| STANDARD.decode(text).unwrap();
        let mut proof = decoded("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        assert!(verifier().accepts(message.as_bytes(), &proof));
        let signature = decoded("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(verifier().signature(message.as_bytes()), signature);
        assert!(!verifier().accepts(b"another", &proof));
        assert!(!verifier().accepts(message.as_bytes(), &proof[1..]));
        proof[0] ^= 1;
        assert!(!verifier().accepts(message.as_bytes(), &proof));
    }

    #[test]
    fn what_is_not_a_verifier() {
        let good = verifier().encode();
        for bad in [
            "",
            "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
            &good.replace("256", "512"),
            &good.replace("256", "1"),
            &good.replace("4096", "0"),
            &good.replace("4096", "+4096"),
            &good.replace("4096", "99999999999"),
            &good.replace("W22", ""),
            &format!("{good}$"),
            good.trim_end_matches('='),
            &format!("{good} "),
        ] {
            assert_eq!(ScramVerifier::decode(bad), None, "{bad}");
        }
    }

    #[test]
    fn passwords_are_prepared() {
        let of = |password: &str| ScramVerifier::derive(Hash::Sha1, password.as_bytes(), b"s", 1);
        // RFC 4013 §3: a soft hyphen goes, a Roman numeral becomes letters, spaces are spaces.
        assert_eq!(of("I\u{ad}X"), of("IX"));
        assert_eq!(of("\u{2168}"), of("IX"));
        assert_eq!(of("a\u{a0}b"), of("a b"));
        assert_ne!(of("user"), of("USER"));
        // What it refuses is taken as it is.
        assert_ne!(of("\u{627}1"), of("1"));
        assert_ne!(of("🦀"), of("🦞"));
    }

    #[test]
    fn it_is_never_printed() {
        let printed = format!("{:?}", verifier());
        assert!(
            printed.contains("4096") && !printed.contains("key"),
            "{printed}"
        );
    }
}
