//! A table of tokens that prove nothing, and of some that do.

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    rsa::{KeyPair as RsaKeyPair, KeySize},
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
        RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    },
};
use serde_json::json;

use super::*;

const NOW: i64 = 1_795_305_600;
const ISSUER: &str = "https://id.example.org";

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// An issuer with a key of each kind, `ec`, `ed` and `rsa`.
pub(in crate::auth::oauth) struct Signer {
    ec: EcdsaKeyPair,
    ed: Ed25519KeyPair,
    rsa: RsaKeyPair,
}

impl Signer {
    pub(in crate::auth::oauth) fn new() -> Self {
        Self {
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ed: Ed25519KeyPair::generate().unwrap(),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        }
    }

    pub(in crate::auth::oauth) fn set(&self) -> Value {
        let point = self.ec.public_key().as_ref();
        let components = self.rsa.public_key();
        let number = |it: &[u8]| encoded(it);
        let modulus = number(components.modulus().big_endian_without_leading_zero());
        let exponent = number(components.exponent().big_endian_without_leading_zero());
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "kid": "ec", "use": "sig",
                "x": encoded(&point[1..33]), "y": encoded(&point[33..])},
            {"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": encoded(self.ed.public_key())},
            {"kty": "RSA", "kid": "rsa", "n": modulus, "e": exponent},
            {"kty": "RSA", "kid": "only-rs512", "alg": "RS512", "n": modulus, "e": exponent},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": modulus, "e": exponent},
            {"kty": "RSA", "kid": "sign", "key_ops": ["sign"], "n": modulus, "e": exponent},
            {"kty": "oct", "kid": "secret", "k": encoded("secret-secret-secret-secret-secret")},
            {"kty": "RSA", "kid": "twice", "n": modulus, "e": exponent},
            {"kty": "RSA", "kid": "twice", "n": modulus, "e": exponent},
            {"kty": "FUTURE", "kid": "future", "q": 1},
            "no key",
        ]})
    }

    fn keys(&self) -> Keys {
        Keys::read(self.set().to_string().as_bytes()).unwrap()
    }

    /// A signature by what `alg` says.
    fn sign(&self, alg: &str, signed: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        let by_rsa = |padding| {
            let mut signature = vec![0; self.rsa.public_modulus_len()];
            self.rsa
                .sign(padding, &random, signed.as_bytes(), &mut signature)
                .unwrap();
            signature
        };
        match alg {
            "ES256" => {
                let signature = self.ec.sign(&random, signed.as_bytes()).unwrap();
                signature.as_ref().to_vec()
            }
            "EdDSA" => self.ed.sign(signed.as_bytes()).as_ref().to_vec(),
            "PS256" => by_rsa(&RSA_PSS_SHA256),
            "none" => Vec::new(),
            "HS256" => {
                // As if the public key were a shared secret.
                let secret = self.rsa.public_key().as_ref().to_vec();
                let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
                hmac::sign(&key, signed.as_bytes()).as_ref().to_vec()
            }
            _ => by_rsa(&RSA_PKCS1_SHA256),
        }
    }

    pub(in crate::auth::oauth) fn token(&self, header: &Value, claims: &Value) -> String {
        let alg = header["alg"].as_str().unwrap_or_default();
        self.raw(alg, &header.to_string(), &claims.to_string())
    }

    fn raw(&self, alg: &str, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header), encoded(claims));
        let signature = encoded(self.sign(alg, &signed));
        format!("{signed}.{signature}")
    }
}

fn demands() -> Demands {
    Demands {
        audiences: vec!["imap".to_owned(), "mail".to_owned()],
        scopes: vec!["imap.access".to_owned()],
        account_claim: "email".to_owned(),
        unsaid: Unsaid::Nobody,
        skew_secs: 30,
    }
}

pub(in crate::auth::oauth) fn claims() -> Value {
    json!({"iss": ISSUER, "aud": "imap", "sub": "7", "email": "tim@example.org",
        "email_verified": true,
        "scope": "openid imap.access", "iat": NOW - 10, "nbf": NOW - 10, "exp": NOW + 300})
}

pub(in crate::auth::oauth) fn header() -> Value {
    json!({"alg": "ES256", "typ": "JWT", "kid": "ec"})
}

/// An object with some members changed; `null` takes one away.
pub(in crate::auth::oauth) fn with(mut object: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("no object");
    };
    for (name, value) in changes {
        match value {
            Value::Null => drop(object.as_object_mut().unwrap().remove(&name)),
            value => object[name] = value,
        }
    }
    object
}

/// What a server does with a token.
fn judge(token: &str, keys: &Keys) -> Result<String, Unfit> {
    let algorithms = ALGORITHMS.map(|(_, algorithm)| algorithm);
    let read = Unverified::read(token, &algorithms)?;
    if read.issuer()? != ISSUER {
        return Err(Unfit::Issuer);
    }
    let claims = read.verified(keys)?;
    demands().account(&claims, NOW)
}

#[test]
fn threat_09_good_tokens_name_an_account() {
    let signer = Signer::new();
    let keys = signer.keys();
    assert_eq!(keys.len(), 6, "what cannot verify is left out");
    for (header, changes) in [
        (header(), json!({})),
        (with(header(), json!({"typ": null})), json!({})),
        (with(header(), json!({"typ": "at+JWT"})), json!({})),
        (
            with(header(), json!({"jku": "https://evil.example/keys"})),
            json!({}),
        ),
        (json!({"alg": "RS256", "kid": "rsa"}), json!({})),
        (json!({"alg": "PS256", "kid": "rsa"}), json!({})),
        (json!({"alg": "EdDSA", "kid": "ed"}), json!({})),
        (header(), json!({"aud": ["other", "mail"]})),
        (header(), json!({"nbf": null, "iat": null})),
        (header(), json!({"nbf": NOW + 30})),
        (header(), json!({"exp": NOW - 29})),
        (header(), json!({"exp": 1_795_305_900.5})),
        (header(), json!({"exp": u64::MAX})),
        (
            header(),
            json!({"scope": null, "scp": ["a", "imap.access"]}),
        ),
        (
            header(),
            json!({"typ": "Bearer", "nonce": "x", "unknown": {"a": [1]}}),
        ),
    ] {
        let token = signer.token(&header, &with(claims(), changes.clone()));
        let judged = judge(&token, &keys);
        assert_eq!(
            judged.as_deref(),
            Ok("tim@example.org"),
            "{header} {changes}"
        );
    }
}

#[test]
fn threat_09_headers_that_ask_for_another_way_are_refused() {
    let signer = Signer::new();
    let keys = signer.keys();
    for (changes, why) in [
        (json!({"alg": "none"}), Unfit::Algorithm),
        (json!({"alg": "None"}), Unfit::Algorithm),
        (json!({"alg": "NONE", "kid": null}), Unfit::Algorithm),
        (json!({"alg": ""}), Unfit::Algorithm),
        (json!({"alg": null}), Unfit::Algorithm),
        (json!({"alg": 1}), Unfit::Algorithm),
        (json!({"alg": "HS256", "kid": "rsa"}), Unfit::Algorithm),
        (json!({"alg": "HS256", "kid": "secret"}), Unfit::Algorithm),
        (json!({"alg": "HS384", "kid": "secret"}), Unfit::Algorithm),
        (json!({"alg": "ES512"}), Unfit::Algorithm),
        (json!({"alg": "ES256K"}), Unfit::Algorithm),
        (json!({"alg": "es256"}), Unfit::Algorithm),
        (json!({"alg": "ES384"}), Unfit::Key),
        (json!({"alg": "RS256"}), Unfit::Key),
        (json!({"alg": "EdDSA"}), Unfit::Key),
        (json!({"alg": "RS256", "kid": "only-rs512"}), Unfit::Key),
        (
            json!({"alg": "RS512", "kid": "only-rs512"}),
            Unfit::Signature,
        ),
        (json!({"alg": "RS384", "kid": "rsa"}), Unfit::Signature),
        (json!({"alg": "RS256", "kid": "enc"}), Unfit::Key),
        (json!({"alg": "RS256", "kid": "sign"}), Unfit::Key),
        (json!({"alg": "RS256", "kid": "twice"}), Unfit::Key),
        (json!({"kid": "future"}), Unfit::Key),
        (json!({"kid": null}), Unfit::Key),
        (json!({"kid": ""}), Unfit::Key),
        (json!({"kid": "EC"}), Unfit::Key),
        (json!({"kid": "ec\0"}), Unfit::Key),
        (json!({"kid": "../x"}), Unfit::Key),
        (json!({"kid": "../../../../dev/null"}), Unfit::Key),
        (json!({"kid": "ec' OR '1'='1"}), Unfit::Key),
        (json!({"kid": "x".repeat(6_000)}), Unfit::Key),
        (json!({"kid": 1}), Unfit::Header),
        (json!({"kid": ["ec"]}), Unfit::Header),
        (json!({"crit": ["exp"]}), Unfit::Header),
        (json!({"crit": []}), Unfit::Header),
        (json!({"crit": ["b64"], "b64": false}), Unfit::Header),
        (json!({"typ": "logout+jwt"}), Unfit::Header),
        (json!({"typ": "secevent+jwt"}), Unfit::Header),
        (json!({"typ": "JWE"}), Unfit::Header),
        (json!({"typ": 1}), Unfit::Header),
        (json!({"cty": "JWT"}), Unfit::Header),
    ] {
        let header = with(header(), changes);
        let token = signer.token(&header, &claims());
        assert_eq!(judge(&token, &keys), Err(why), "{header}");
    }
}

#[test]
fn threat_09_keys_that_a_token_brings_are_not_looked_at() {
    let (signer, evil) = (Signer::new(), Signer::new());
    let brought = evil.set()["keys"][0].clone();
    for header in [
        header(),
        with(header(), json!({"jwk": brought})),
        with(header(), json!({"jku": "https://evil.example/keys"})),
        with(header(), json!({"x5u": "https://evil.example/chain"})),
        with(header(), json!({"x5c": ["MIIB"]})),
    ] {
        let token = evil.token(&header, &claims());
        assert_eq!(
            judge(&token, &signer.keys()),
            Err(Unfit::Signature),
            "{header}"
        );
    }
}

#[test]
fn threat_09_claims_that_are_not_for_us_are_refused() {
    let signer = Signer::new();
    let keys = signer.keys();
    for (changes, why) in [
        (json!({"iss": null}), Unfit::Issuer),
        (json!({"iss": "https://evil.example"}), Unfit::Issuer),
        (json!({"iss": "https://id.example.org/"}), Unfit::Issuer),
        (json!({"iss": "HTTPS://ID.EXAMPLE.ORG"}), Unfit::Issuer),
        (json!({"iss": [ISSUER]}), Unfit::Issuer),
        (json!({"at_hash": "x"}), Unfit::Kind),
        (json!({"c_hash": "x"}), Unfit::Kind),
        (json!({"s_hash": "x"}), Unfit::Kind),
        (json!({"events": {}}), Unfit::Kind),
        (json!({"typ": "ID"}), Unfit::Kind),
        (json!({"typ": "Refresh"}), Unfit::Kind),
        (json!({"aud": null}), Unfit::Audience),
        (json!({"aud": ""}), Unfit::Audience),
        (json!({"aud": []}), Unfit::Audience),
        (json!({"aud": "other"}), Unfit::Audience),
        (json!({"aud": "IMAP"}), Unfit::Audience),
        (json!({"aud": "imap mail"}), Unfit::Audience),
        (json!({"aud": ["other", ["imap"]]}), Unfit::Audience),
        (json!({"aud": {"imap": true}}), Unfit::Audience),
        (json!({"aud": true}), Unfit::Audience),
        (json!({"exp": null}), Unfit::NoExpiry),
        (json!({"exp": NOW - 30}), Unfit::Expired),
        (json!({"exp": 0}), Unfit::Expired),
        (json!({"exp": -1}), Unfit::Expired),
        (json!({"exp": i64::MIN}), Unfit::Expired),
        (json!({"exp": (NOW + 300).to_string()}), Unfit::Malformed),
        (json!({"exp": [NOW + 300]}), Unfit::Malformed),
        (json!({"nbf": NOW + 31}), Unfit::NotYet),
        (json!({"nbf": u64::MAX}), Unfit::NotYet),
        (json!({"nbf": "now"}), Unfit::Malformed),
        (json!({"scope": null}), Unfit::Scope),
        (json!({"scope": ""}), Unfit::Scope),
        (json!({"scope": "imap"}), Unfit::Scope),
        (json!({"scope": "imap.access.not"}), Unfit::Scope),
        (json!({"scope": "IMAP.ACCESS"}), Unfit::Scope),
        (json!({"scope": {"imap.access": 1}}), Unfit::Scope),
        (json!({"email": null}), Unfit::Nobody),
        (json!({"email": ""}), Unfit::Nobody),
        (json!({"email": ["tim@example.org"]}), Unfit::Nobody),
        (json!({"email": 7}), Unfit::Nobody),
        (json!({"email_verified": null}), Unfit::Nobody),
        (json!({"email_verified": false}), Unfit::Nobody),
        (json!({"email_verified": "true"}), Unfit::Nobody),
    ] {
        let token = signer.token(&header(), &with(claims(), changes.clone()));
        assert_eq!(judge(&token, &keys), Err(why), "{changes}");
    }
}

/// What an issuer does not say of an address is its operator's to know.
#[test]
fn threat_09_an_address_that_is_not_said_to_be_verified_counts_only_where_that_is_set() {
    for (unsaid, said, expected) in [
        (Unsaid::Nobody, json!(null), Err(Unfit::Nobody)),
        (Unsaid::Nobody, json!(true), Ok("tim@example.org")),
        (Unsaid::Nobody, json!(false), Err(Unfit::Nobody)),
        (Unsaid::Taken, json!(null), Ok("tim@example.org")),
        (Unsaid::Taken, json!(true), Ok("tim@example.org")),
        (Unsaid::Taken, json!(false), Err(Unfit::Nobody)),
        (Unsaid::Taken, json!("false"), Err(Unfit::Nobody)),
    ] {
        let demands = Demands {
            unsaid,
            ..demands()
        };
        let claims = with(claims(), json!({"email_verified": said.clone()}));
        let account = demands.account(claims.as_object().unwrap(), NOW);
        assert_eq!(account, expected.map(str::to_owned), "{unsaid:?} {said}");
    }
    // Another claim than an address needs no such word.
    let by_name = Demands {
        account_claim: "sub".to_owned(),
        ..demands()
    };
    let claims = with(claims(), json!({"email_verified": null}));
    let account = by_name.account(claims.as_object().unwrap(), NOW);
    assert_eq!(account.as_deref(), Ok("7"));
}

#[test]
fn threat_09_what_is_no_token_is_refused() {
    let signer = Signer::new();
    let keys = signer.keys();
    let good = signer.token(&header(), &claims());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, body, signature] = parts[..] else {
        panic!("three parts");
    };
    let deep = "[".repeat(5_000);
    let twice = r#"{"alg":"none","alg":"ES256","kid":"ec"}"#;
    let named_twice = claims()
        .to_string()
        .replacen('{', r#"{"email":"boss@example.org","#, 1);
    for bad in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "opaque".to_owned(),
        format!("{head}.{body}"),
        format!("{head}.{body}.{signature}.{signature}"),
        format!("{head}..{signature}"),
        format!(".{body}.{signature}"),
        format!("{head}=.{body}.{signature}"),
        format!("{head}.{body}=.{signature}"),
        format!("{head} .{body}.{signature}"),
        format!("{head}.{}.{signature}", encoded("no JSON")),
        format!("{head}.{}.{signature}", encoded("[1]")),
        format!("{head}.{}.{signature}", encoded("\"text\"")),
        format!("{head}.{}.{signature}", encoded(&deep)),
        format!("{}.{body}.{signature}", encoded(&deep)),
        format!("{}.{body}.{signature}", encoded([0xff, 0xfe])),
        // A token within a token.
        format!("{head}.{}.{signature}", encoded(&good)),
        signer.raw("ES256", twice, &claims().to_string()),
        signer.raw("ES256", &header().to_string(), &named_twice),
    ] {
        assert_eq!(judge(&bad, &keys), Err(Unfit::Malformed), "{bad}");
    }
    for (bad, why) in [
        (format!("{head}.{body}."), Unfit::Signature),
        (format!("{head}.{body}.AAAA"), Unfit::Signature),
        (format!("{head}.{body}.{signature}="), Unfit::Signature),
        (format!("{head}.{body}.!"), Unfit::Signature),
        (
            format!("{head}.{body}.{}", encoded([0; 64])),
            Unfit::Signature,
        ),
        (
            good.replacen(
                body,
                &encoded(with(claims(), json!({"email": "boss@example.org"})).to_string()),
                1,
            ),
            Unfit::Signature,
        ),
    ] {
        assert_eq!(judge(&bad, &keys), Err(why), "{bad}");
    }
    let huge = with(claims(), json!({"email": "x".repeat(1 << 20)}));
    let token = signer.token(&header(), &huge);
    assert_eq!(judge(&token, &keys).map(|it| it.len()), Ok(1 << 20));
}

#[test]
fn what_is_no_set_of_keys() {
    for bad in ["", "[]", "{}", "{\"keys\": {}}", "{\"keys\": [", "null"] {
        assert!(Keys::read(bad.as_bytes()).is_none(), "{bad}");
    }
    assert!(Keys::read(b"{\"keys\": []}").unwrap().is_empty());
}

#[test]
fn a_token_is_told_from_an_opaque_one_by_its_header() {
    let signer = Signer::new();
    assert!(looks_like_one(&signer.token(&header(), &claims())));
    for opaque in ["", "abc", "a.b.c", "ya29.a0AfH6SM", "e30.e30.e30"] {
        assert!(!looks_like_one(opaque), "{opaque}");
    }
}
