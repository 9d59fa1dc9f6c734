//! JSON Web Tokens as proof of who somebody is (RFC 7519, RFC 8725): the signature by a key of the
//! issuer's set, then issuer, audience, times and scope. A pure function of the token, the keys and
//! the time.
//!
//! The algorithm is one of ours, never what the token would like; the key is one of the issuer's
//! set, found by the exact `kid`, and fits the algorithm. Keys and addresses of keys that a token
//! brings along are not looked at. Nothing of a token is logged.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde_json::{Map, Value};

/// The claims of a token, or the answer about one.
pub type Claims = Map<String, Value>;

/// The algorithms that may be configured: those with a public key.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];
/// `typ` of an access token, or of one that does not say (RFC 8725 §3.11, RFC 9068 §4).
const TYPES: [&str; 3] = ["jwt", "at+jwt", "application/at+jwt"];

/// The claim that is a mail address (OpenID Connect Core §5.1).
const EMAIL: &str = "email";
/// Claims that stand in ID tokens (OpenID Connect Core §3.1.3.6, §3.3.2.11) and in security events
/// such as logouts (RFC 8417) only.
const OTHER_KINDS: [&str; 4] = ["at_hash", "c_hash", "s_hash", "events"];
/// What Keycloak calls in `typ`, among the claims, what is no access token (`Bearer`).
const OTHER_TYPES: [&str; 4] = ["ID", "Refresh", "Offline", "Logout"];

/// Why a token proves nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unfit {
    /// It is no signed JWT with JSON objects in it.
    Malformed,
    /// Its header asks for something that is not done here.
    Header,
    /// It is signed in a way that is not taken.
    Algorithm,
    /// Nobody whose tokens are taken has issued it.
    Issuer,
    /// The issuer has no such key.
    Key,
    /// It was not signed with that key.
    Signature,
    /// It is no access token but one of another kind.
    Kind,
    /// It was made for somebody else.
    Audience,
    /// It does not say until when it is good.
    NoExpiry,
    /// It is too old.
    Expired,
    /// It is too young.
    NotYet,
    /// What it may be used for is something else.
    Scope,
    /// It does not name an account.
    Nobody,
    /// The issuer says that it is not good.
    Inactive,
}

/// What a token must say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demands {
    /// One of these must be in `aud`.
    pub audiences: Vec<String>,
    /// All of these must be in `scope`.
    pub scopes: Vec<String>,
    /// The claim that names the account.
    pub account_claim: String,
    /// What an address is worth of which `email_verified` says nothing.
    pub unsaid: Unsaid,
    /// How far clocks may be apart, seconds.
    pub skew_secs: i64,
}

/// An address in `email` of which it is not said whether it is verified (OpenID Connect Core §5.1
/// leaves that claim out where nobody knows).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsaid {
    /// Anybody may have typed it: it is nobody's.
    Nobody,
    /// The issuer knows only addresses that it gave out itself.
    Taken,
}

/// A key set of an issuer (RFC 7517 §5): what of it can verify signatures.
#[derive(Clone, Default)]
pub struct Keys(Vec<Jwk>);

impl Keys {
    /// Reads a set. Keys that are of no use here are left out; a symmetric one would let everybody
    /// sign who can read the set.
    #[must_use]
    pub fn read(text: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(text).ok()?;
        let keys = set.get("keys")?.as_array()?.iter();
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        Some(Self(keys.filter(verifies).collect()))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one key with exactly this id, or without one, that fits the algorithm.
    fn find(&self, kid: Option<&str>, algorithm: Algorithm) -> Option<&Jwk> {
        let fits = |key: &&Jwk| key.common.key_id.as_deref() == kid && fits(key, algorithm);
        let mut found = self.0.iter().filter(fits);
        found.next().filter(|_| found.next().is_none())
    }
}

fn verifies(key: &Jwk) -> bool {
    let for_signatures = matches!(
        key.common.public_key_use,
        None | Some(PublicKeyUse::Signature)
    );
    let operations = key.common.key_operations.as_ref();
    let may_verify = operations.is_none_or(|all| all.contains(&KeyOperations::Verify));
    let is_public = matches!(
        key.algorithm,
        AlgorithmParameters::RSA(_)
            | AlgorithmParameters::EllipticCurve(_)
            | AlgorithmParameters::OctetKeyPair(_)
    );
    for_signatures && may_verify && is_public
}

/// Whether a key is of the algorithm's kind, and says nothing else.
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    use Algorithm as A;
    let of_kind = match (&key.algorithm, algorithm) {
        (
            AlgorithmParameters::RSA(_),
            A::RS256 | A::RS384 | A::RS512 | A::PS256 | A::PS384 | A::PS512,
        ) => true,
        (AlgorithmParameters::EllipticCurve(key), A::ES256) => key.curve == EllipticCurve::P256,
        (AlgorithmParameters::EllipticCurve(key), A::ES384) => key.curve == EllipticCurve::P384,
        (AlgorithmParameters::OctetKeyPair(key), A::EdDSA) => key.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let named = key.common.key_algorithm.as_ref();
    of_kind && named.is_none_or(|named| *named == algorithm.into())
}

/// A token in its parts, nothing of which is verified yet.
pub struct Unverified<'a> {
    signed: &'a str,
    signature: &'a str,
    algorithm: Algorithm,
    kid: Option<String>,
    claims: Claims,
}

/// Whether a token has the form of a JWT, so that it is not one to ask the issuer about.
#[must_use]
pub fn looks_like_one(token: &str) -> bool {
    let mut parts = token.split('.');
    let header = parts.next().and_then(object);
    header.is_some_and(|header| header.contains_key("alg"))
}

impl<'a> Unverified<'a> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// It is none, or signed in another way than by `algorithms`.
    pub fn read(token: &'a str, algorithms: &[Algorithm]) -> Result<Self, Unfit> {
        let (signed, signature) = token.rsplit_once('.').ok_or(Unfit::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Unfit::Malformed)?;
        let header = object(header).ok_or(Unfit::Malformed)?;
        // An extension that must be understood is none of ours (RFC 7515 §4.1.11).
        if header.contains_key("crit") || !type_is_fit(&header) {
            return Err(Unfit::Header);
        }
        let named = header.get("alg").and_then(Value::as_str);
        let known = ALGORITHMS.iter().find(|(name, _)| Some(*name) == named);
        let algorithm = known.map(|(_, algorithm)| *algorithm);
        let algorithm = algorithm.filter(|it| algorithms.contains(it));
        let kid = match header.get("kid") {
            None => None,
            Some(Value::String(kid)) => Some(kid.clone()),
            Some(_) => return Err(Unfit::Header),
        };
        Ok(Self {
            signed,
            signature,
            algorithm: algorithm.ok_or(Unfit::Algorithm)?,
            kid,
            claims: object(claims).ok_or(Unfit::Malformed)?,
        })
    }

    /// Who says that he issued it.
    ///
    /// # Errors
    /// Nobody does.
    pub fn issuer(&self) -> Result<&str, Unfit> {
        let issuer = self.claims.get("iss").and_then(Value::as_str);
        issuer.ok_or(Unfit::Issuer)
    }

    /// Whether its key is in a set.
    #[must_use]
    pub fn has_key_in(&self, keys: &Keys) -> bool {
        keys.find(self.kid.as_deref(), self.algorithm).is_some()
    }

    /// The claims, if the issuer's key has signed them.
    ///
    /// # Errors
    /// There is no such key, or it has not.
    pub fn verified(self, keys: &Keys) -> Result<Claims, Unfit> {
        let key = keys.find(self.kid.as_deref(), self.algorithm);
        let key = DecodingKey::from_jwk(key.ok_or(Unfit::Key)?).map_err(|_| Unfit::Key)?;
        let signed = self.signed.as_bytes();
        match jsonwebtoken::crypto::verify(self.signature, signed, &key, self.algorithm) {
            Ok(true) => Ok(self.claims),
            Ok(false) | Err(_) => Err(Unfit::Signature),
        }
    }
}

fn type_is_fit(header: &Claims) -> bool {
    let is_type = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        TYPES.iter().any(|known| text.eq_ignore_ascii_case(known))
    };
    // `cty` would be of a token within the token.
    header.get("typ").is_none_or(is_type) && !header.contains_key("cty")
}

/// A part that is an object in JSON. What stands twice in one is refused: others may read it
/// another way.
fn object(part: &str) -> Option<Claims> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice::<Once>(&bytes)
        .ok()
        .map(|once| once.0)
}

/// An object none of whose members stands twice.
struct Once(Claims);

impl<'de> serde::Deserialize<'de> for Once {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members).map(Self)
    }
}

struct Members;

impl<'de> serde::de::Visitor<'de> for Members {
    type Value = Claims;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut from: A) -> Result<Claims, A::Error> {
        let mut members = Claims::new();
        while let Some((name, value)) = from.next_entry::<String, Value>()? {
            if members.insert(name, value).is_some() {
                return Err(serde::de::Error::custom("a member stands twice"));
            }
        }
        Ok(members)
    }
}

impl Demands {
    /// The account that verified claims name.
    ///
    /// # Errors
    /// They do not say what they must.
    pub fn account(&self, claims: &Claims, now: i64) -> Result<String, Unfit> {
        if is_another_kind(claims) {
            return Err(Unfit::Kind);
        }
        if !self.audiences.is_empty() && !self.is_audience(claims) {
            return Err(Unfit::Audience);
        }
        let expires = time(claims, "exp")?.ok_or(Unfit::NoExpiry)?;
        if now >= expires.saturating_add(self.skew_secs) {
            return Err(Unfit::Expired);
        }
        let begins = time(claims, "nbf")?.unwrap_or(i64::MIN);
        if now.saturating_add(self.skew_secs) < begins {
            return Err(Unfit::NotYet);
        }
        let granted = scopes(claims);
        if !self
            .scopes
            .iter()
            .all(|scope| granted.contains(&scope.as_str()))
        {
            return Err(Unfit::Scope);
        }
        self.named(claims).ok_or(Unfit::Nobody)
    }

    fn is_audience(&self, claims: &Claims) -> bool {
        let is_ours = |value: &Value| {
            let named = value.as_str();
            named.is_some_and(|named| self.audiences.iter().any(|ours| ours == named))
        };
        match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_ours),
            Some(one) => is_ours(one),
            None => false,
        }
    }

    /// Who it is; an address that the issuer has not verified is nobody's.
    fn named(&self, claims: &Claims) -> Option<String> {
        let named = claims.get(&self.account_claim)?.as_str()?;
        let is_good = self.account_claim != EMAIL
            || match claims.get("email_verified") {
                Some(said) => *said == Value::Bool(true),
                None => self.unsaid == Unsaid::Taken,
            };
        (is_good && !named.is_empty()).then(|| named.to_owned())
    }
}

/// Whether claims say that they are of another kind of token: one that tells an application who
/// logged in to it, which any other application could show here (RFC 8725 §3.11), or one about a
/// logout.
fn is_another_kind(claims: &Claims) -> bool {
    let typ = claims.get("typ").and_then(Value::as_str);
    OTHER_KINDS.iter().any(|name| claims.contains_key(*name))
        || typ.is_some_and(|typ| OTHER_TYPES.contains(&typ))
}

/// A time in whole seconds (RFC 7519 §2); something else than a number is no time.
fn time(claims: &Claims, name: &str) -> Result<Option<i64>, Unfit> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let whole = value.as_i64();
    // Beyond 64 bits the conversion gives the nearest number there is.
    let seconds = whole.or_else(|| value.as_f64().map(|seconds| seconds.floor() as i64));
    seconds.map(Some).ok_or(Unfit::Malformed)
}

/// What a token may be used for: `scope` (RFC 9068 §2.2.3), or `scp` as some write it.
fn scopes(claims: &Claims) -> Vec<&str> {
    match claims.get("scope").or_else(|| claims.get("scp")) {
        Some(Value::String(text)) => text.split(' ').collect(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
