//! AUTHENTICATE as an attacker uses it: cut short, fed with anything, replayed, and as somebody
//! else (threats 5 and 8).

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use store::{AccountChange, credential::ActAs};
use tempfile::TempDir;

use crate::place::{PASSWORD, Place, Talk};

/// Mechanisms that a connection without TLS on this machine is offered with these settings, each
/// with a first message that it takes.
const MECHANISMS: [(&str, &[u8]); 7] = [
    ("PLAIN", b"\0tim\0wrong"),
    ("LOGIN", b"tim"),
    ("SCRAM-SHA-256", b"n,,n=tim,r=abc"),
    ("SCRAM-SHA-1", b"n,,n=nobody,r=abc"),
    ("OAUTHBEARER", b"n,,\x01auth=Bearer abc\x01\x01"),
    ("XOAUTH2", b"user=tim\x01auth=Bearer abc\x01\x01"),
    ("ANONYMOUS", b"\x07"),
];

/// A server that is asked by all of them, and where its issuer's keys are.
async fn place() -> (Place, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys.json");
    std::fs::write(&keys, "{\"keys\":[]}").unwrap();
    let settings = [
        "Limits:LoginFailureDelays=0s".to_owned(),
        "Auth:ScramSha1=true".to_owned(),
        "Auth:AnonymousAccount=bob".to_owned(),
        "OAuth:Issuers:a:Issuer=https://id.example.org".to_owned(),
        "OAuth:Issuers:a:Audience=imap".to_owned(),
        format!("OAuth:Issuers:a:JwksPath={}", keys.display()),
    ];
    (Place::new(&settings).await, directory)
}

/// What may come where a response is due, and whether that is BAD rather than NO. `None` is that
/// nothing comes.
fn responses() -> Vec<(Option<String>, bool)> {
    let big = |bytes: usize| STANDARD.encode(vec![b'x'; bytes * 3 / 4 - 3]);
    let some = |text: &str| Some(text.to_owned());
    vec![
        (some("*"), true),
        (some("="), true),
        (some("!!!"), true),
        (some("AAA=BBB"), true),
        (some("AAA"), true),
        (some("AB=="), true),
        (some("QUFB QUFB"), true),
        (Some(big(8 * 1024)), false),
        (Some(big(13 * 1024)), true),
        (some(&STANDARD.encode([0xff, 0xfe])), false),
        (some(&STANDARD.encode("\0\0\0\0")), false),
        (None, false),
    ]
}

/// Whether a tagged answer refuses as it should; `may_be_no` where more steps may be due.
fn is_refused(answer: &str, bad: bool) -> bool {
    match bad {
        true => answer.starts_with("BAD "),
        false => answer.starts_with("NO [") || answer.starts_with("BAD "),
    }
}

/// Answers challenges with the case's response until the command ends.
async fn play(talk: &mut Talk, line: &str, response: &str) -> String {
    talk.send(format!("t {line}\r\n").as_bytes()).await;
    loop {
        match talk.line().await {
            Some(line) if line.starts_with('+') => {
                talk.send(format!("{response}\r\n").as_bytes()).await;
            }
            Some(line) if line.starts_with("t ") => return line[2..].to_owned(),
            Some(line) => assert!(line.starts_with("* "), "{line}"),
            None => return String::new(),
        }
    }
}

#[tokio::test]
async fn threat_05_every_exchange_cut_short_or_fed_with_anything_ends_alone() {
    let (place, _keys) = place().await;
    let mut honest = place.client("tim").await;
    let mut cases = 0;
    for (mechanism, first) in MECHANISMS {
        let first = STANDARD.encode(first);
        for begun in [
            format!("AUTHENTICATE {mechanism}"),
            format!("AUTHENTICATE {mechanism} {first}"),
        ] {
            for (response, bad) in responses() {
                let mut talk = place.client("").await;
                cases += 1;
                let Some(response) = response else {
                    // It goes in the middle of the exchange.
                    talk.send(format!("t {begun}\r\n").as_bytes()).await;
                    drop(talk);
                    continue;
                };
                let answer = play(&mut talk, &begun, &response).await;
                // One message may be all there is to say, and then what follows is not asked for.
                let over = begun.ends_with(&first) && !answer.starts_with("BAD");
                assert!(
                    is_refused(&answer, bad && !over),
                    "{begun} {response}: {answer}"
                );
                talk.run("NOOP").await;
            }
            honest.run("NOOP").await;
            drop(place.client("bob").await);
        }
    }
    assert!(cases >= 150, "{cases}");
    place.is_sound().await;
}

/// What one client breaks is nobody else's: a hundred log in while exchanges around them are cut
/// short, cancelled and fed with anything (bad base64 once ended everybody's, CVE-2025-59028).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_05_a_hundred_honest_logins_beside_them_succeed() {
    const HONEST: usize = 100;
    let (place, _keys) = place().await;
    let place = Arc::new(place);
    let over = Arc::new(AtomicBool::new(false));
    let attackers: Vec<_> = (0..4)
        .map(|number| {
            let (place, over) = (Arc::clone(&place), Arc::clone(&over));
            tokio::spawn(async move { cut_short(&place, number, &over).await })
        })
        .collect();
    for number in 0..HONEST {
        match number % 3 {
            0 => drop(place.client("tim").await),
            1 => {
                let (_, answer) = scram(&place, "n,,", "bob", PASSWORD).await;
                assert!(answer.starts_with("OK "), "{number}: {answer}");
            }
            _ => {
                let first = STANDARD.encode(format!("\0tim\0{PASSWORD}"));
                let mut talk = place.client("").await;
                talk.run(&format!("AUTHENTICATE PLAIN {first}")).await;
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    let mut cut = 0;
    for attacker in attackers {
        cut += attacker.await.unwrap();
    }
    assert!(cut >= HONEST, "{cut}");
    place.is_sound().await;
}

/// Begins exchanges and leaves them in every way until it is over; how many.
async fn cut_short(place: &Place, number: usize, over: &AtomicBool) -> usize {
    let responses = responses();
    let mut cut = 0;
    while !over.load(Ordering::Relaxed) {
        let (mechanism, _) = MECHANISMS[(number + cut) % MECHANISMS.len()];
        let (response, _) = &responses[cut % responses.len()];
        let mut talk = place.client("").await;
        talk.send(format!("t AUTHENTICATE {mechanism}\r\n").as_bytes())
            .await;
        if let Some(response) = response {
            talk.send(format!("{response}\r\n").as_bytes()).await;
        }
        cut += 1;
    }
    cut
}

#[tokio::test]
async fn threat_05_empty_bad_and_long_initial_responses_are_answered() {
    let (place, _keys) = place().await;
    for (mechanism, _) in MECHANISMS {
        for (initial, starts) in [
            ("!!!".to_owned(), "BAD "),
            ("AAA=BBB".to_owned(), "BAD "),
            (STANDARD.encode(vec![b'x'; 8 * 1024 * 3 / 4]), "NO ["),
        ] {
            let mut talk = place.client("").await;
            let answer = play(
                &mut talk,
                &format!("AUTHENTICATE {mechanism} {initial}"),
                "*",
            )
            .await;
            let more = matches!(mechanism, "LOGIN") && answer.starts_with("BAD ");
            assert!(answer.starts_with(starts) || more, "{mechanism}: {answer}");
            talk.run("NOOP").await;
        }
    }
}

#[tokio::test]
async fn threat_05_what_is_pipelined_after_a_mechanism_is_its_response() {
    let (place, _keys) = place().await;
    for (mechanism, _) in MECHANISMS {
        let mut talk = place.client("").await;
        let sent = format!("a AUTHENTICATE {mechanism}\r\n*\r\nb NOOP\r\n");
        talk.send(sent.as_bytes()).await;
        let mut tagged = Vec::new();
        while tagged.len() < 2 {
            let line = talk.line().await.unwrap();
            tagged.extend((!line.starts_with(['+', '*'])).then_some(line));
        }
        assert!(tagged[0].starts_with("a BAD "), "{mechanism}: {tagged:?}");
        assert!(tagged[1].starts_with("b OK "), "{mechanism}: {tagged:?}");
    }
}

fn decoded(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

fn mac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, message).as_ref().to_vec()
}

/// What a SCRAM exchange begins with.
#[derive(Clone, Copy)]
pub(crate) struct Bound<'a> {
    pub(crate) mechanism: &'a str,
    /// The GS2 header (RFC 5802 §7).
    pub(crate) header: &'a [u8],
    /// What it binds to, if it does.
    pub(crate) binding: &'a [u8],
}

/// The last message of a SCRAM client, and what the server must prove (RFC 5802 §3).
fn prove(bound: Bound<'_>, bare: &str, challenge: &str, password: &str) -> (String, Vec<u8>) {
    let value = |key: &str| {
        let found = challenge.split(',').find_map(|it| it.strip_prefix(key));
        found.unwrap().to_owned()
    };
    let rounds = value("i=").parse::<u32>().unwrap().try_into().unwrap();
    let (mut salted, salt) = ([0; 32], decoded(&value("s=")));
    let algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
    pbkdf2::derive(algorithm, rounds, &salt, password.as_bytes(), &mut salted);
    let input = STANDARD.encode([bound.header, bound.binding].concat());
    let unproven = format!("c={input},r={}", value("r="));
    let message = format!("{bare},{challenge},{unproven}");
    let client = mac(&salted, b"Client Key");
    let stored = digest::digest(&digest::SHA256, &client);
    let signature = mac(stored.as_ref(), message.as_bytes());
    let proof: Vec<u8> = client.iter().zip(signature).map(|(a, b)| a ^ b).collect();
    let expected = mac(&mac(&salted, b"Server Key"), message.as_bytes());
    (format!("{unproven},p={}", STANDARD.encode(proof)), expected)
}

/// One SCRAM login; what was sent, and the tagged answer.
async fn scram(place: &Place, header: &str, user: &str, password: &str) -> (Vec<String>, String) {
    let bound = Bound {
        mechanism: "SCRAM-SHA-256",
        header: header.as_bytes(),
        binding: &[],
    };
    scram_over(&mut place.client("").await, bound, user, password).await
}

/// One SCRAM login on a connection; what was sent, and the tagged answer.
pub(crate) async fn scram_over(
    talk: &mut Talk,
    bound: Bound<'_>,
    user: &str,
    password: &str,
) -> (Vec<String>, String) {
    let bare = format!("n={user},r=clientnonce");
    let first = STANDARD.encode([bound.header, bare.as_bytes()].concat());
    let mechanism = bound.mechanism;
    talk.send(format!("t AUTHENTICATE {mechanism} {first}\r\n").as_bytes())
        .await;
    let line = talk.line().await.unwrap();
    let Some(challenge) = line.strip_prefix("+ ") else {
        return (vec![first], line[2..].to_owned());
    };
    let challenge = String::from_utf8(decoded(challenge)).unwrap();
    let (last, expected) = prove(bound, &bare, &challenge, password);
    let last = STANDARD.encode(last);
    talk.send(format!("{last}\r\n").as_bytes()).await;
    let line = talk.line().await.unwrap();
    let Some(proof) = line.strip_prefix("+ ") else {
        return (vec![first, last], line[2..].to_owned());
    };
    let proof = decoded(proof);
    assert_eq!(
        proof.strip_prefix(b"v="),
        Some(STANDARD.encode(expected).as_bytes())
    );
    talk.send(b"\r\n").await;
    let line = talk.line().await.unwrap();
    (vec![first, last], line[2..].to_owned())
}

#[tokio::test]
async fn threat_08_scram_proves_the_password_and_only_once() {
    let (place, _keys) = place().await;
    let (sent, answer) = scram(&place, "n,,", "tim", PASSWORD).await;
    assert!(answer.starts_with("OK "), "{answer}");
    for (user, password) in [
        ("tim", "wrong"),
        ("nobody", PASSWORD),
        ("tim+phone", PASSWORD),
    ] {
        let (_, answer) = scram(&place, "n,,", user, password).await;
        let refused = "NO [AUTHENTICATIONFAILED] The user name or the password is wrong.";
        assert_eq!(answer, refused, "{user}");
    }
    // The same messages again: the server's nonce is another.
    let mut talk = place.client("").await;
    let first = format!("t AUTHENTICATE SCRAM-SHA-256 {}\r\n", sent[0]);
    talk.send(first.as_bytes()).await;
    assert!(talk.line().await.unwrap().starts_with("+ "));
    talk.send(format!("{}\r\n", sent[1]).as_bytes()).await;
    let answer = talk.line().await.unwrap();
    assert!(
        answer.starts_with("t NO [AUTHENTICATIONFAILED]"),
        "{answer}"
    );
}

#[tokio::test]
async fn threat_08_scram_acts_as_another_only_with_the_right() {
    let (place, _keys) = place().await;
    let (_, own) = scram(&place, "n,a=tim,", "tim", PASSWORD).await;
    assert!(own.starts_with("OK "), "{own}");
    for other in ["bob", "nobody"] {
        let (_, refused) = scram(&place, &format!("n,a={other},"), "tim", PASSWORD).await;
        assert!(refused.starts_with("NO [AUTHORIZATIONFAILED]"), "{refused}");
        let (_, wrong) = scram(&place, &format!("n,a={other},"), "tim", "wrong").await;
        assert!(wrong.starts_with("NO [AUTHENTICATIONFAILED]"), "{wrong}");
    }
    let store = &place.service.store;
    let tim = store.find_account("tim").unwrap().id;
    let right = AccountChange {
        may_act_as: Some(ActAs::Anyone),
        ..AccountChange::default()
    };
    store.change_account(tim, right).await.unwrap();
    let (_, granted) = scram(&place, "n,a=bob,", "tim", PASSWORD).await;
    assert!(granted.starts_with("OK "), "{granted}");
}

#[tokio::test]
async fn threat_09_a_token_that_is_refused_is_told_so_and_nobody_is_logged_in() {
    let (place, _keys) = place().await;
    for (mechanism, first) in [
        ("OAUTHBEARER", "n,a=tim,\x01auth=Bearer abc\x01\x01"),
        ("OAUTHBEARER", "n,a=tim,\x01auth=\x01\x01"),
        ("XOAUTH2", "user=tim\x01auth=Bearer abc\x01\x01"),
    ] {
        let mut talk = place.client("").await;
        let line = format!("t AUTHENTICATE {mechanism} {}\r\n", STANDARD.encode(first));
        talk.send(line.as_bytes()).await;
        let told = talk.line().await.unwrap();
        let told = decoded(told.strip_prefix("+ ").unwrap());
        assert!(told.starts_with(b"{\"status\":"), "{told:?}");
        // RFC 7628 §3.2.3: the client says that it has seen it.
        talk.send(b"AQ==\r\n").await;
        let answer = talk.line().await.unwrap();
        assert!(
            answer.starts_with("t NO [AUTHENTICATIONFAILED]"),
            "{answer}"
        );
    }
}
