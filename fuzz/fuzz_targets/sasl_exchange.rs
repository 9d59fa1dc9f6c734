//! Every SASL mechanism, driven to its end by any messages (RFC 4422): it ends, nobody is
//! proven who does not know the password, and no token is printed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    limits::{TOKEN_BYTES_MAX, USER_BYTES_MAX},
    sasl::{
        Exchange, Mechanism, Setting, Step,
        scram::{Hash, ScramVerifier},
    },
};

/// Messages that a mechanism takes at most.
const STEPS_MAX: usize = 8;

fuzz_target!(|input: &[u8]| {
    let Some((first, rest)) = input.split_first() else {
        return;
    };
    let mechanism = Mechanism::ALL[usize::from(*first) % Mechanism::ALL.len()];
    let setting = Setting {
        nonce: "server".to_owned(),
        bindings: vec![("tls-exporter", b"exported".to_vec())],
    };
    // Messages are separated by a byte that none of them needs.
    let mut messages = rest.split(|byte| *byte == 0xfe);
    let (mut exchange, mut step) = Exchange::begin(mechanism, setting, messages.next());
    for _ in 0..STEPS_MAX {
        step = match step {
            Step::Challenge(_) => exchange.step(messages.next().unwrap_or_default()),
            Step::FindVerifier { user, hash } => {
                // SASLprep makes up to eleven bytes of one.
                assert!(!user.is_empty() && user.len() <= 11 * USER_BYTES_MAX);
                exchange.verifier(verifier(hash))
            }
            Step::Token(token) => {
                assert!(token.token.expose().len() <= TOKEN_BYTES_MAX);
                assert!(format!("{token:?}").contains("[secret]"));
                exchange.refuse(b"{}".to_vec())
            }
            Step::Proven(claim) => panic!("{claim:?} is proven without a password"),
            Step::Verify(_)
            | Step::Disproven(_)
            | Step::External { .. }
            | Step::Anonymous { .. }
            | Step::Acknowledged
            | Step::Fail(_) => return,
        };
    }
    panic!("{mechanism:?} does not end: {step:?}");
});

/// Nobody knows what this was made of.
fn verifier(hash: Hash) -> ScramVerifier {
    ScramVerifier {
        hash,
        salt: b"salt".to_vec(),
        iterations: 10_000,
        stored_key: vec![7; hash.length()],
        server_key: vec![8; hash.length()],
    }
}
