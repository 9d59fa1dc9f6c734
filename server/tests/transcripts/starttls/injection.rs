//! What an attacker in the middle can do to STARTTLS (the kind of flaws found by "Why TLS is better
//! without STARTTLS", 2021), generated from tables and cut at every byte: nothing that was sent in
//! clear is answered, remembered or obeyed once TLS was agreed on.

use std::fmt::Write as _;

use super::*;

/// How STARTTLS itself may be written.
const SPELLINGS: [&str; 3] = ["a STARTTLS\r\n", "a starttls\r\n", "a StartTLS\n"];

/// What may come before it in the same packet, and what that is answered.
const BEFORE: [(&str, &str); 3] = [
    ("", ""),
    ("p NOOP\r\n", "p OK"),
    ("p ID (\"name\" \"mallory\")\r\n", "p OK"),
];

/// Commands that are injected; `b` is their tag.
const COMMANDS: [&str; 16] = [
    "b NOOP",
    "b CAPABILITY",
    "b LOGOUT",
    "b STARTTLS",
    "b ID NIL",
    "b ENABLE IMAP4rev2",
    "b LOGIN tim tanstaaftanstaaf",
    "b LOGIN tim {16+}\r\ntanstaaftanstaaf",
    "b LOGIN {3}\r\ntim {16}\r\ntanstaaftanstaaf",
    "b AUTHENTICATE PLAIN",
    "b AUTHENTICATE PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm",
    "b AUTHENTICATE PLAIN\r\nAHRpbQB0YW5zdGFhZnRhbnN0YWFm",
    "b SELECT INBOX",
    "b APPEND INBOX {5+}\r\nhello",
    "b IDLE\r\nDONE",
    "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] from the server, it says",
];

/// How an injected command may end: whole, whole and followed, or waiting for what the client
/// sends after the handshake.
const ENDS: [&str; 5] = ["\r\n", "\n", "", "\r\nb2 NOOP\r\n", " {5}\r\n"];

struct Variant {
    before: &'static str,
    answered: &'static str,
    starttls: &'static str,
    injected: String,
}

/// Every command with every end, each in one of the settings; more than 200 with the odd ones.
fn variants() -> Vec<Variant> {
    let mut injected = Vec::new();
    for command in COMMANDS {
        injected.extend(ENDS.map(|end| format!("{command}{end}")));
    }
    injected
        .extend(["", "\r\n", "\r", "\0", "{5}\r\n", "b\r\n", "b {70000+}\r\n"].map(str::to_owned));
    injected.push("b NOOP\r\n".repeat(50));
    let settings = SPELLINGS
        .into_iter()
        .flat_map(|spelling| BEFORE.map(|before| (spelling, before)));
    let settings: Vec<_> = settings.collect();
    let mut variants = Vec::new();
    for (index, injected) in injected.iter().enumerate() {
        for turn in 0..3 {
            let (starttls, (before, answered)) = settings[(index + 4 * turn) % settings.len()];
            variants.push(Variant {
                before,
                answered,
                starttls,
                injected: injected.clone(),
            });
        }
    }
    variants
}

impl Secured {
    /// The greeting is read; what follows is the attacker's.
    async fn attacked(&self) -> DuplexStream {
        self.connect(false).await
    }

    /// All came before the handshake began: it goes on as if nothing had been.
    async fn goes_on(&self, plain: DuplexStream, what: &str) {
        let mut tls = self.handshake(plain).await;
        let answer = ask(&mut tls, "c CAPABILITY").await;
        assert_eq!(answer.lines().count(), 2, "after {what}: {answer}");
        assert!(
            answer.starts_with("* CAPABILITY "),
            "after {what}: {answer}"
        );
        assert!(!answer.contains("STARTTLS"), "after {what}: {answer}");
        let refused = ask(&mut tls, "d SELECT INBOX").await;
        assert!(refused.starts_with("d BAD"), "after {what}: {refused}");
    }
}

/// Reads what is answered to what came before STARTTLS, and its OK; nothing else is there.
async fn agreed(plain: &mut DuplexStream, variant: &Variant, what: &str) {
    let mut expected = vec![];
    if !variant.answered.is_empty() {
        expected.push(variant.answered);
    }
    expected.push("a OK");
    for tagged in expected {
        let lines = lines_to(plain, tagged).await;
        assert!(!lines.contains("b "), "{what}: {lines}");
    }
}

/// Whatever comes before the bytes of a ClientHello ends the connection, with nothing but an alert.
async fn ends(mut plain: DuplexStream, rest: &[u8], what: &str) {
    // The server may be gone before it has read all of it.
    let _ = plain.write_all(rest).await;
    let _ = plain.shutdown().await;
    let mut answer = Vec::new();
    plain.read_to_end(&mut answer).await.unwrap();
    assert!(
        matches!(answer.first(), None | Some(0x15)),
        "{what}: {answer:?}"
    );
    assert!(answer.len() <= 7, "{what}: {answer:?}");
}

#[tokio::test]
async fn threat_01_long_nothing_that_came_before_the_handshake_lives_on() {
    let secured = secured(&[]).await;
    let variants = variants();
    assert!(variants.len() >= 200, "{}", variants.len());
    for variant in &variants {
        let line = format!("{}{}", variant.before, variant.starttls);
        let all = format!("{line}{}", variant.injected);
        // All in one packet.
        let mut plain = secured.attacked().await;
        plain.write_all(all.as_bytes()).await.unwrap();
        agreed(&mut plain, variant, &all).await;
        secured.goes_on(plain, &all).await;
    }
}

#[tokio::test]
async fn threat_01_long_however_it_is_cut() {
    let secured = secured(&[]).await;
    for variant in &variants() {
        let line = format!("{}{}", variant.before, variant.starttls);
        let all = format!("{line}{}", variant.injected);
        for cut in 1..all.len() {
            let what = format!("{all:?} cut at {cut}");
            let (first, second) = all.as_bytes().split_at(cut);
            let mut plain = secured.attacked().await;
            plain.write_all(first).await.unwrap();
            if cut >= line.len() {
                // The handshake has begun: the rest is taken for a part of it.
                agreed(&mut plain, variant, &what).await;
                ends(plain, second, &what).await;
                continue;
            }
            tokio::task::yield_now().await;
            plain.write_all(second).await.unwrap();
            agreed(&mut plain, variant, &what).await;
        }
    }
}

#[tokio::test]
async fn threat_01_starttls_in_no_other_form_and_in_no_other_state() {
    let secured = secured(&[]).await;
    // Before login: what is not STARTTLS alone is refused, and the connection stays in clear.
    for (sent, answer) in [
        ("a STARTTLS now\r\n", "a BAD"),
        ("a STARTTLS {0+}\r\n\r\n", "a BAD"),
        ("a STARTTLS {5}\r\n", "a BAD"),
        ("a STARTTLS \"\"\r\n", "a BAD"),
        ("STARTTLS\r\n", "* BAD"),
        ("+ STARTTLS\r\n", "* BAD"),
        ("a UID STARTTLS\r\n", "a BAD"),
        // A literal's bytes are no command.
        (
            "p LOGIN {12+}\r\na STARTTLS\r\n x\r\n",
            "p NO [PRIVACYREQUIRED]",
        ),
        ("p AUTHENTICATE PLAIN\r\n", "p NO [PRIVACYREQUIRED]"),
    ] {
        let mut plain = secured.connect(false).await;
        plain.write_all(sent.as_bytes()).await.unwrap();
        lines_to(&mut plain, answer).await;
        let after = ask(&mut plain, "z CAPABILITY").await;
        assert!(
            after.contains(" STARTTLS ") && after.contains("LOGINDISABLED"),
            "{sent}: {after}"
        );
        assert!(!after.contains("a OK"), "{sent}: {after}");
    }
    // In the middle of a SASL exchange it is a response, and no base64.
    let mut plain = secured.connect(true).await;
    plain.write_all(b"a AUTHENTICATE PLAIN\r\n").await.unwrap();
    lines_to(&mut plain, "+ ").await;
    plain.write_all(b"b STARTTLS\r\n").await.unwrap();
    lines_to(&mut plain, "a BAD").await;
    // After login, while a mailbox is selected, in IDLE.
    let login = format!("a LOGIN tim {PASSWORD}");
    assert!(ask(&mut plain, &login).await.contains("a OK"));
    for (step, answer) in [
        ("b STARTTLS\r\n", "b BAD"),
        ("s SELECT INBOX\r\n", "s OK"),
        ("c STARTTLS\r\n", "c BAD"),
        ("i IDLE\r\n", "+ "),
        ("d STARTTLS\r\n", "i BAD"),
    ] {
        plain.write_all(step.as_bytes()).await.unwrap();
        lines_to(&mut plain, answer).await;
    }
    // Under TLS, before and after login.
    let mut plain = secured.connect(false).await;
    assert!(ask(&mut plain, "a STARTTLS").await.starts_with("a OK"));
    let mut tls = secured.handshake(plain).await;
    assert!(ask(&mut tls, "b STARTTLS").await.starts_with("b BAD"));
    assert!(
        ask(&mut tls, &format!("c LOGIN tim {PASSWORD}"))
            .await
            .contains("c OK")
    );
    assert!(ask(&mut tls, "d STARTTLS").await.starts_with("d BAD"));
}

#[tokio::test]
async fn threat_01_there_is_no_way_back_to_clear_text() {
    let secured = secured(&[]).await;
    // A handshake that fails is not followed by more of the conversation.
    let mut plain = secured.connect(false).await;
    assert!(ask(&mut plain, "a STARTTLS").await.starts_with("a OK"));
    ends(plain, b"b NOOP\r\nc CAPABILITY\r\n", "clear text after OK").await;
    // Clear text within TLS ends the connection, and so does the end of TLS.
    for rest in [
        &b"b NOOP\r\nc NOOP\r\n"[..],
        b"\x15\x03\x03\x00\x02\x01\x00c NOOP\r\n",
    ] {
        let mut plain = secured.connect(false).await;
        assert!(ask(&mut plain, "a STARTTLS").await.starts_with("a OK"));
        let mut tls = secured.handshake(plain).await;
        assert!(ask(&mut tls, "b NOOP").await.starts_with("b OK"));
        let (mut under, _session) = tls.into_inner();
        under.write_all(rest).await.unwrap();
        let mut answer = Vec::new();
        under.read_to_end(&mut answer).await.unwrap();
        // Long enough that ciphertext does not hold it by chance.
        let clear = answer
            .windows(4)
            .any(|four| four == b"b OK" || four == b"c OK");
        assert!(!clear, "{}", String::from_utf8_lossy(&answer));
    }
    // What a client is told before TLS gives it no way to log in without.
    let mut plain = secured.connect(false).await;
    let mut told = String::new();
    for command in ["a CAPABILITY", "b NOOP", "c CAPABILITY"] {
        let _ = write!(told, "{}", ask(&mut plain, command).await);
    }
    assert!(
        told.contains("LOGINDISABLED") && !told.contains("AUTH=PLAIN") && !told.contains("PREAUTH")
    );
}
