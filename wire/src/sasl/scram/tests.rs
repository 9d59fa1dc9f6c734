//! The examples of the RFCs letter for letter, and what must end an exchange.

use super::*;
use crate::{
    limits::USER_BYTES_MAX,
    sasl::{Exchange, Mechanism},
};

const PLAIN: Mechanism = Mechanism::Scram(Hash::Sha256, Binding::Without);
const PLUS: Mechanism = Mechanism::Scram(Hash::Sha256, Binding::Plus);

fn setting(nonce: &str, bindings: &[(&'static str, &[u8])]) -> Setting {
    Setting {
        nonce: nonce.to_owned(),
        bindings: bindings
            .iter()
            .map(|(name, value)| (*name, value.to_vec()))
            .collect(),
    }
}

fn bound() -> Setting {
    let end_point = ("tls-server-end-point", &b"the certificate"[..]);
    setting("srv", &[("tls-exporter", b"exported"), end_point])
}

/// A client's view of a whole exchange with the password `pencil`; the step that ends it.
fn play(mechanism: Mechanism, setting: Setting, header: &str, data: &[u8]) -> Step {
    let bare = "n=user,r=cli";
    let hash = Hash::Sha256;
    let verifier = ScramVerifier::derive(hash, b"pencil", b"salt", 2);
    let first = format!("{header}{bare}");
    let (mut exchange, step) = Exchange::begin(mechanism, setting, Some(first.as_bytes()));
    let Step::FindVerifier { user, hash: asked } = step else {
        return step;
    };
    assert_eq!((&*user, asked), ("user", hash));
    let Step::Challenge(challenge) = exchange.verifier(verifier.clone()) else {
        panic!("no challenge");
    };
    let challenge = String::from_utf8(challenge).unwrap();
    let bound = STANDARD.encode([header.as_bytes(), data].concat());
    let unproven = format!("c={bound},r=clisrv");
    let message = format!("{bare},{challenge},{unproven}");
    let proof = STANDARD.encode(prove(hash, b"pencil", &verifier, message.as_bytes()));
    match exchange.step(format!("{unproven},p={proof}").as_bytes()) {
        Step::Challenge(last) => {
            let signature = STANDARD.encode(verifier.signature(message.as_bytes()));
            assert_eq!(last, format!("v={signature}").into_bytes());
            exchange.step(b"")
        }
        other => other,
    }
}

/// The client's side of RFC 5802 §3.
fn prove(hash: Hash, password: &[u8], with: &ScramVerifier, message: &[u8]) -> Vec<u8> {
    let salted = hash.salted(password, &with.salt, with.iterations);
    let client_key = hash.hmac(&salted, b"Client Key");
    let signature = hash.hmac(&hash.of(&client_key), message);
    client_key
        .iter()
        .zip(signature)
        .map(|(a, b)| a ^ b)
        .collect()
}

/// One of the RFCs' examples, letter for letter.
fn known_answer(hash: Hash, lines: [&str; 4], nonce: &str, salt: &str) {
    let mechanism = Mechanism::Scram(hash, Binding::Without);
    let [first, challenge, proof, signature] = lines;
    let begun = Exchange::begin(mechanism, setting(nonce, &[]), Some(first.as_bytes()));
    let (mut exchange, step) = begun;
    let user = "user".into();
    assert_eq!(step, Step::FindVerifier { user, hash });
    let salt = STANDARD.decode(salt).unwrap();
    let verifier = ScramVerifier::derive(hash, b"pencil", &salt, 4096);
    let sent = |text: &str| Step::Challenge(text.as_bytes().to_vec());
    assert_eq!(exchange.verifier(verifier), sent(challenge));
    assert_eq!(exchange.step(proof.as_bytes()), sent(signature));
    let claim = Claim {
        act_as: None,
        user: "user".into(),
    };
    assert_eq!(exchange.step(b""), Step::Proven(claim));
    assert_eq!(exchange.step(b""), Step::Fail(Fault::Malformed));
}

/// RFC 5802 §5.
#[test]
fn known_answer_sha_1() {
    known_answer(
        Hash::Sha1,
        [
            "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ],
        "3rfcNHYJY1ZVvWVs7j",
        "QSXCR+Q6sek8bf92",
    );
}

/// RFC 7677 §3.
#[test]
fn known_answer_sha_256() {
    known_answer(
        Hash::Sha256,
        [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
        "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
    );
}

#[test]
fn channel_binding() {
    let proven = |step| matches!(step, Step::Proven(_));
    let exporter = "p=tls-exporter,,";
    assert!(proven(play(PLUS, bound(), exporter, b"exported")));
    let end_point = "p=tls-server-end-point,,";
    assert!(proven(play(PLUS, bound(), end_point, b"the certificate")));
    // A relay has another channel: the client's data differ.
    let wrong = Step::Fail(Fault::ChannelBinding);
    assert_eq!(play(PLUS, bound(), exporter, b"relayed"), wrong);
    assert_eq!(play(PLUS, bound(), exporter, b""), wrong);
    assert_eq!(play(PLUS, bound(), "p=tls-unique,,", b"exported"), wrong);
    // The flag and the mechanism must agree.
    for header in ["n,,", "y,,"] {
        assert_eq!(play(PLUS, bound(), header, b""), wrong, "{header}");
    }
    assert_eq!(play(PLAIN, bound(), exporter, b"exported"), wrong);
    assert!(proven(play(PLAIN, bound(), "n,,", b"")));
}

/// A client that supports channel binding and was not told of -PLUS has been lied to, unless it
/// really was not offered (RFC 5802 §6).
#[test]
fn a_downgrade_is_noticed() {
    let wrong = Step::Fail(Fault::ChannelBinding);
    assert_eq!(play(PLAIN, bound(), "y,,", b""), wrong);
    let unbound = setting("srv", &[]);
    assert!(matches!(play(PLAIN, unbound, "y,,", b""), Step::Proven(_)));
}

/// The header of the last message must be that of the first, so that nobody rewrites it.
#[test]
fn another_header_in_the_last_message() {
    let mut exchange = challenged();
    let bound = STANDARD.encode("y,,");
    let step = exchange.step(format!("c={bound},r=clisrv,p=AAAA").as_bytes());
    assert_eq!(step, Step::Fail(Fault::ChannelBinding));
}

fn begin(first: &str) -> (Exchange, Step) {
    Exchange::begin(PLAIN, setting("srv", &[]), Some(first.as_bytes()))
}

/// An exchange in which the proof is due.
fn challenged() -> Exchange {
    let (mut exchange, _) = begin("n,,n=user,r=cli");
    let verifier = ScramVerifier::derive(Hash::Sha256, b"pencil", b"salt", 2);
    assert!(matches!(exchange.verifier(verifier), Step::Challenge(_)));
    exchange
}

#[test]
fn first_messages() {
    let asks = |first: &str| match begin(first).1 {
        Step::FindVerifier { user, .. } => user,
        other => panic!("{first}: {other:?}"),
    };
    assert_eq!(&*asks("n,,n=a=2Cb=3Dc,r=x"), "a,b=c");
    assert_eq!(&*asks("n,a=other,n=tim,r=x,x=y,z=1"), "tim");
    // SASLprep, and what it refuses as it is.
    assert_eq!(&*asks("n,,n=I\u{ad}X,r=x"), "IX");
    assert_eq!(&*asks("n,,n=\u{2168},r=x"), "IX");
    assert_eq!(&*asks("n,,n=🦀,r=x"), "🦀");
    for bad in [
        "",
        "n,,",
        "n,,n=tim",
        "n,,n=tim,",
        "n,,n=tim,r=",
        "n,,r=x,n=tim",
        "n,,m=1,n=tim,r=x",
        "n,,n=tim,r=x,m=1",
        "n,,n=tim,r=x,",
        "n,,n=tim,r=x,y",
        "n,,n=tim,r=x,1=y",
        "n,,n=,r=x",
        "n,,n=a=b,r=x",
        "n,,n=tim,r=a b",
        "n,,n=tim,r=é",
        "n=tim,r=x",
        "n,,n=a\0b,r=x",
    ] {
        assert_eq!(begin(bad).1, Step::Fail(Fault::Malformed), "{bad:?}");
    }
    let not_text = Exchange::begin(PLAIN, Setting::default(), Some(b"n,,n=\xff,r=x"));
    assert_eq!(not_text.1, Step::Fail(Fault::Malformed));
    let long = "x".repeat(SCRAM_NONCE_BYTES_MAX + 1);
    assert_eq!(
        begin(&format!("n,,n=tim,r={long}")).1,
        Step::Fail(Fault::TooLong)
    );
    let long = "x".repeat(USER_BYTES_MAX + 1);
    assert_eq!(
        begin(&format!("n,,n={long},r=x")).1,
        Step::Fail(Fault::TooLong)
    );
}

#[test]
fn last_messages() {
    let last = |message: &str| challenged().step(message.as_bytes());
    for bad in [
        "",
        "c=biws",
        "c=biws,r=clisrv",
        "c=biws,r=cli,p=AAAA",
        "c=biws,r=clisrvx,p=AAAA",
        "r=clisrv,c=biws,p=AAAA",
        "c=biws,r=clisrv,p=AAA",
        "c=biws,r=clisrv,m=1,p=AAAA",
    ] {
        assert_eq!(last(bad), Step::Fail(Fault::Malformed), "{bad:?}");
    }
    let claim = Claim {
        act_as: None,
        user: "user".into(),
    };
    for wrong in [
        "c=biws,r=clisrv,p=",
        "c=biws,r=clisrv,p=AAAA",
        "c=biws,r=clisrv,x=y,p=AAAA",
    ] {
        assert_eq!(last(wrong), Step::Disproven(claim.clone()), "{wrong:?}");
    }
}

/// Messages out of turn end the exchange, whatever they are.
#[test]
fn out_of_turn() {
    let malformed = Step::Fail(Fault::Malformed);
    let verifier = || ScramVerifier::derive(Hash::Sha256, b"pencil", b"salt", 2);
    let (mut exchange, _) = begin("n,,n=user,r=cli");
    assert_eq!(exchange.step(b"c=biws,r=clisrv,p=AAAA"), malformed);
    assert_eq!(exchange.verifier(verifier()), malformed);
    let (mut exchange, step) = Exchange::begin(PLAIN, Setting::default(), None);
    assert_eq!(step, Step::Challenge(Vec::new()));
    assert_eq!(exchange.verifier(verifier()), malformed);
}
