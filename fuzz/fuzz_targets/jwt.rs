//! JSON Web Tokens and sets of keys of any bytes (RFC 7519, RFC 7517): nothing that no key has
//! signed is verified, and whatever its claims say they name an account only if all demands hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use server::auth::oauth::jwt::{ALGORITHMS, Claims, Demands, Keys, Unsaid, Unverified, looks_like_one};

const NOW: i64 = 1_795_305_600;
/// A public key whose private half was thrown away.
const KEYS: &[u8] = br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"k","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;

fuzz_target!(|input: &[u8]| {
    if let Some(keys) = Keys::read(input) {
        assert!(keys.len() <= input.len());
    }
    let algorithms = ALGORITHMS.map(|(_, algorithm)| algorithm);
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    if let Ok(read) = Unverified::read(text, &algorithms) {
        assert!(looks_like_one(text));
        let keys = Keys::read(KEYS).expect("keys");
        let _ = read.issuer();
        let _ = read.has_key_in(&keys);
        assert!(read.verified(&keys).is_err(), "nobody has signed this");
    }
    let demands = Demands {
        audiences: vec!["imap".to_owned()],
        scopes: vec!["mail".to_owned()],
        account_claim: "email".to_owned(),
        unsaid: Unsaid::Taken,
        skew_secs: 30,
    };
    if let Ok(claims) = serde_json::from_str::<Claims>(text)
        && let Ok(account) = demands.account(&claims, NOW)
    {
        assert_eq!(claims["email"].as_str(), Some(account.as_str()));
        assert!(claims["aud"].to_string().contains("imap"));
    }
});
