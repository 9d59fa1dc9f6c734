//! Rows of `docs/security.md` that need a whole server and are no dialogue.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::Engine as _;

use crate::place::{PASSWORD, Place, add_account};

/// What an attack may take in a debug build on a busy machine; one that works takes for ever.
const AT_ONCE: Duration = Duration::from_secs(5);
const NO_SETTINGS: &[String] = &[];

/// Many log in by turns, all with the same password: what is remembered of one serves no other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_threat_10_two_hundred_users_by_turns_see_their_own_mail() {
    const USERS: usize = 200;
    const TURNS: usize = 10;
    let place = Place::new(NO_SETTINGS).await;
    for user in 0..USERS {
        let name = format!("user{user}");
        add_account(&place.service, &name).await;
        let message = format!("Subject: mail of {name}.\r\n\r\nx\r\n");
        place.client(&name).await.append("INBOX", &message).await;
    }
    for turn in 0..USERS * TURNS {
        // A step that shares no factor with their number: all come, in no order.
        let name = format!("user{}", turn * 7_919 % USERS);
        let mut talk = place.client(&name).await;
        talk.run("SELECT INBOX").await;
        let fetched = talk.run("FETCH 1:* BODY.PEEK[HEADER]").await.text();
        assert!(fetched.contains(&format!("mail of {name}.")), "{fetched}");
        assert_eq!(fetched.matches("mail of ").count(), 1, "{fetched}");
    }
}

#[tokio::test]
async fn threat_13_hostile_patterns_over_many_names_are_answered_at_once() {
    let place = Place::new(NO_SETTINGS).await;
    let mut talk = place.client("tim").await;
    for number in 0..150 {
        let name = format!("{}{number}/{}", "a".repeat(200), "ab".repeat(120));
        talk.run(&format!("CREATE {name}")).await;
    }
    for pattern in [
        "*a".repeat(499) + "x",
        "%a".repeat(499) + "x",
        "*%".repeat(500),
        "*/%".repeat(333),
    ] {
        let began = Instant::now();
        talk.run(&format!("LIST \"\" \"{pattern}\"")).await;
        talk.run(&format!("LSUB \"\" \"{pattern}\"")).await;
        assert!(
            began.elapsed() < AT_ONCE,
            "{pattern}: {:?}",
            began.elapsed()
        );
    }
    let many = vec!["*a*a*a*a*a*b"; 64].join(" ");
    let began = Instant::now();
    talk.run(&format!("LIST \"\" ({many})")).await;
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn threat_16_wide_and_many_ranges_cost_what_exists() {
    let place = Place::new(NO_SETTINGS).await;
    let mut talk = place.client("tim").await;
    talk.run("SELECT INBOX").await;
    talk.append("INBOX", "Subject: x\r\n\r\nx\r\n").await;
    for _ in 0..9 {
        talk.run("COPY 1:* INBOX").await;
    }
    talk.run("NOOP").await;
    let overlapping: Vec<String> = (1..=8_000).map(|n| format!("{}:1", n % 512 + 1)).collect();
    let overlapping = overlapping.join(",");
    for command in [
        "UID SEARCH UID 1:4294967295".to_owned(),
        "UID STORE 4294967295:1 +FLAGS.SILENT (\\Seen)".to_owned(),
        "UID FETCH *:1 UID".to_owned(),
        "UID EXPUNGE 1:4294967295".to_owned(),
        format!("FETCH {overlapping} UID"),
        format!("SEARCH {overlapping}"),
        format!("STORE {overlapping} +FLAGS.SILENT (\\Flagged)"),
    ] {
        let began = Instant::now();
        let answer = talk.run(&command).await;
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
        // Each message is told once, however often it is named.
        assert!(answer.untagged.len() <= 513, "{}", answer.untagged.len());
    }
}

#[tokio::test]
async fn threat_17_keywords_are_bounded_however_they_are_chosen() {
    let place = Place::new(NO_SETTINGS).await;
    let mut talk = place.client("tim").await;
    talk.run("SELECT INBOX").await;
    talk.append("INBOX", "Subject: x\r\n\r\nx\r\n").await;
    let began = Instant::now();
    let (mut made, mut refused) = (0, 0);
    for batch in 0..40 {
        let keywords: Vec<String> = (0..60).map(|n| format!("k{}", batch * 60 + n)).collect();
        let answer = talk
            .ask(&format!("STORE 1 +FLAGS.SILENT ({})", keywords.join(" ")))
            .await;
        match answer.tagged.get(..10) {
            Some("NO [LIMIT]") => refused += 1,
            _ => made += 1,
        }
    }
    assert!(made <= 9 && refused >= 31, "{made} {refused}");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    place.is_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_20_others_are_served_while_one_searches_for_all_it_may() {
    let place = Place::new(NO_SETTINGS).await;
    let mut attacker = place.client("tim").await;
    attacker.run("SELECT INBOX").await;
    let body = "needle in every straw of the stack\r\n".repeat(50);
    attacker
        .append("INBOX", &format!("Subject: x\r\n\r\n{body}"))
        .await;
    for _ in 0..8 {
        attacker.run("COPY 1:* INBOX").await;
    }
    let keys: String = (0..200)
        .map(|n| format!("NOT TEXT \"no such {n}\" "))
        .collect();
    attacker
        .send(format!("s SEARCH {keys}ALL\r\n").as_bytes())
        .await;
    let mut other = place.client("bob").await;
    for _ in 0..20 {
        let began = Instant::now();
        other.run("STATUS INBOX (MESSAGES)").await;
        assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    }
    // Who leaves takes the search along; nothing of it stays behind.
    drop(attacker);
    other.run("NOOP").await;
    place.is_sound().await;
}

/// Names that mean something to a file system, a shell, or somebody's idea of a path.
fn paths() -> Vec<String> {
    let parts = [
        "..",
        ".",
        "...",
        "~",
        "~root",
        "etc",
        "passwd",
        "a\\..\\b",
        "C:",
        "CON",
        "nul",
        "a:b",
        "%2e%2e",
        "..%2f",
        "%00",
        "$HOME",
        "`id`",
        "$(id)",
        ";id",
        "|id",
        "-rf",
        "--help",
        "log",
        "index.redb",
        "00000001.seg",
        "lock",
        "spool",
        "\u{202e}gpj",
        "\u{ff0e}\u{ff0e}",
        "a\u{200b}",
        "\u{feff}",
        "k\u{e4}",
        "ka\u{308}",
    ];
    let mut names: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
    for part in parts {
        names.push(format!("x/{part}"));
        names.push(format!("{part}/x"));
        names.push(format!("/{part}"));
        names.push(format!("{part}//x"));
        names.push(format!("../../../../tmp/{part}"));
    }
    names
}

/// Every file and directory below, by its path from there.
fn tree(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let from_root = path.strip_prefix(root).unwrap();
            found.insert(from_root.to_string_lossy().into_owned());
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn threat_23_no_name_becomes_a_path() {
    let place = Place::new(NO_SETTINGS).await;
    let mut talk = place.client("tim").await;
    talk.append("INBOX", "Subject: x\r\n\r\nx\r\n").await;
    let before = tree(place.directory.path());
    talk.run("ENABLE IMAP4rev2").await;
    let mut lmtp = place.deliverer().await;
    for name in paths() {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        for command in ["CREATE", "SUBSCRIBE", "EXAMINE", "DELETE"] {
            talk.ask(&format!("{command} \"{quoted}\"")).await;
        }
        talk.ask(&format!("STATUS \"{quoted}\" (MESSAGES)")).await;
        talk.ask("CREATE here").await;
        talk.ask(&format!("RENAME here \"{quoted}\"")).await;
        talk.append("INBOX", "Subject: x\r\n\r\nx\r\n").await;
        for line in ["RSET", "MAIL FROM:<>"] {
            lmtp.send(format!("{line}\r\n").as_bytes()).await;
            lmtp.reply().await;
        }
        lmtp.send(format!("RCPT TO:<\"tim+{quoted}\">\r\n").as_bytes())
            .await;
        if lmtp.reply().await.starts_with("250") {
            lmtp.send(b"DATA\r\n").await;
            lmtp.reply().await;
            lmtp.send(b"Subject: x\r\n\r\n.\r\n").await;
            assert!(lmtp.reply().await.starts_with("250"), "{name}");
        } else {
            // Three refusals in a row would end it.
            lmtp.send(b"NOOP\r\n").await;
            lmtp.reply().await;
        }
    }
    assert_eq!(tree(place.directory.path()), before);
    place.is_sound().await;
}

#[tokio::test]
async fn threat_24_spellings_that_are_not_canonical_name_nothing() {
    let place = Place::new(&["Limits:BadCommands=1000".to_owned()]).await;
    let mut talk = place.client("tim").await;
    let encode = |units: &[u16]| {
        let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(bytes);
        format!("&{}-", base64.replace('/', ","))
    };
    // Every printable ASCII character has itself for a spelling, and no other.
    let mut bad: Vec<String> = (0x20..0x7f).map(|unit| encode(&[unit])).collect();
    // Surrogates alone, and in the wrong order.
    for units in [
        [0xd800, 0x61],
        [0xdc00, 0xe4],
        [0xdbff, 0xd800],
        [0xdfff, 0xd83d],
    ] {
        bad.push(encode(&units));
        bad.push(encode(&units[..1]));
    }
    // Two shifts where one does, and one that does not end.
    bad.extend(
        [
            "&AOQ-&AOQ-",
            "&AOQ",
            "a&AOQ",
            "&A-",
            "&",
            "&&-",
            "&AOR-",
            "&AOQA-",
        ]
        .map(String::from),
    );
    assert!(bad.len() >= 100);
    for name in &bad {
        let answer = talk.ask(&format!("CREATE \"x{name}\"")).await;
        assert!(
            answer.tagged.starts_with("NO [CANNOT]"),
            "{name}: {answer:?}"
        );
        let answer = talk.ask(&format!("SELECT \"x{name}\"")).await;
        assert!(answer.tagged.starts_with("NO"), "{name}: {answer:?}");
    }
    // Composed and decomposed are one name.
    talk.run(&format!("CREATE {}", encode(&[0xe4]))).await;
    let again = talk.ask(&format!("CREATE a{}", encode(&[0x308]))).await;
    assert!(again.tagged.starts_with("NO [ALREADYEXISTS]"), "{again:?}");
}

#[tokio::test]
async fn threat_25_what_is_not_yours_answers_as_what_does_not_exist() {
    let place = Place::new(NO_SETTINGS).await;
    let mut owner = place.client("tim").await;
    for name in ["private", "private/deep", "tim/private"] {
        owner.run(&format!("CREATE {name}")).await;
        owner.append(name, "Subject: mine\r\n\r\nmine\r\n").await;
    }
    let mut other = place.client("bob").await;
    let forms = [
        "{}",
        "tim/{}",
        "~tim/{}",
        "#user/tim/{}",
        "user/tim/{}",
        "Other Users/tim/{}",
        "shared/tim/{}",
        "/{}",
        "../tim/{}",
    ];
    for form in forms {
        let (theirs, nobodys) = (form.replace("{}", "private"), form.replace("{}", "nothing"));
        for command in [
            "SELECT \"{}\"",
            "EXAMINE \"{}\"",
            "STATUS \"{}\" (MESSAGES UIDNEXT)",
            "DELETE \"{}\"",
            "RENAME \"{}\" elsewhere",
            "APPEND \"{}\" {3+}\r\nx\r\n",
            "LIST \"\" \"{}\"",
            "LIST \"\" \"{}*\"",
            "LIST (SUBSCRIBED) \"\" \"{}\" RETURN (STATUS (MESSAGES))",
            "LSUB \"\" \"{}*\"",
        ] {
            let found = other.ask(&command.replace("{}", &theirs)).await;
            let missing = other.ask(&command.replace("{}", &nobodys)).await;
            assert_eq!(found.text(), missing.text(), "{command} {theirs}");
        }
    }
    other.run("SELECT INBOX").await;
    assert!(other.ask("FETCH 1 BODY[]").await.tagged.starts_with("BAD"));
    assert!(other.run("UID FETCH 1:* BODY[]").await.untagged.is_empty());
    assert_eq!(other.run("UID SEARCH ALL").await.untagged, ["* SEARCH"]);
    // The owner's are all still there.
    for name in ["private", "private/deep", "tim/private"] {
        let status = owner.run(&format!("STATUS {name} (MESSAGES)")).await;
        assert!(status.untagged[0].ends_with("(MESSAGES 1)"), "{status:?}");
    }
}

#[tokio::test]
async fn threat_31_archives_stay_closed_and_pages_are_read_within_bounds() {
    let place = Place::new(NO_SETTINGS).await;
    let mut talk = place.client("tim").await;
    talk.run("SELECT INBOX").await;
    // What unpacks to more than it is: a gzip header over a run of zeros, an archive's signature,
    // and pages of tags that never end.
    let zeros = base64::engine::general_purpose::STANDARD
        .encode([&b"\x1f\x8b\x08"[..], &[0; 60_000]].concat());
    let zip = base64::engine::general_purpose::STANDARD
        .encode([&b"PK\x03\x04"[..], &[0xff; 60_000]].concat());
    let page = |unit: &str| unit.repeat(200_000 / unit.len());
    for (kind, encoding, body) in [
        ("application/gzip", "base64", zeros),
        ("application/zip", "base64", zip),
        ("text/html", "8bit", page("<div><!--")),
        ("text/html", "8bit", page("<a b='")),
        ("text/html", "8bit", page("&#x1f600;&a")),
        ("text/html", "8bit", page("<script><style>")),
        ("text/html", "8bit", page("<table><tr><td>")),
    ] {
        let head = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n");
        let began = Instant::now();
        talk.append("INBOX", &format!("{head}{body}\r\n")).await;
        talk.run("SEARCH TEXT \"nothing like it\"").await;
        talk.run("FETCH * (BODYSTRUCTURE BINARY.SIZE[1])").await;
        assert!(
            began.elapsed() < 2 * AT_ONCE,
            "{kind}: {:?}",
            began.elapsed()
        );
    }
}

/// What was logged, line by line.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn threat_07_names_cannot_forge_a_log_line_and_secrets_are_in_none() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let set = ["Limits:LoginFailures=1000", "Limits:LoginFailureDelays=0s"];
    let place = Place::new(&set.map(String::from)).await;
    let mut talk = place.client("").await;
    // Every secret begins alike, so that one search finds any of them.
    let forged = "\r\n2026-11-22T00:00:00Z  INFO forged: session=1";
    let names = [
        forged,
        "x\u{1b}[2Jx",
        "x\u{9b}2Jx",
        "x\nforged",
        "\u{2028}forged",
        "'; forged",
        "%s%n",
        "\u{202e}forged",
    ];
    for name in names {
        let (user, size) = (format!("mark{name}"), "mark".len() + name.len());
        talk.send(format!("t LOGIN {{{size}+}}\r\n{user} secretmark1\r\n").as_bytes())
            .await;
        assert!(talk.answer("t").await.tagged.starts_with("NO"), "{name:?}");
        let plain = format!("\0{user}\0secretmark2");
        let plain = base64::engine::general_purpose::STANDARD.encode(plain);
        let answer = talk.ask(&format!("AUTHENTICATE PLAIN {plain}")).await;
        assert!(!answer.tagged.starts_with("OK"), "{name:?}");
    }
    for nonsense in [
        "LOGIN \"secretmark3",
        "AUTHENTICATE PLAIN secretmark4!",
        "LOGIN tim secretmark5 x",
        "secretmark6",
    ] {
        talk.ask(nonsense).await;
        talk.ask("NOOP").await;
    }
    talk.run(&format!("LOGIN tim {PASSWORD}")).await;
    odd_recipients(&place).await;
    talk.run("LOGOUT").await;
    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(logged.contains("command=\"LOGIN\""), "{logged}");
    assert!(
        !logged.contains("secretmark") && !logged.contains(PASSWORD),
        "{logged}"
    );
    // What a peer says is in quotes, so that it does not look like a field.
    let refused = "user=\"\\\"m reason=forged address=192.0.2.66 x\\\"@forged\"";
    assert!(logged.contains(refused), "{logged}");
    assert!(!logged.contains('\u{202e}'), "{logged}");
    for line in logged.lines() {
        assert!(line.starts_with("20"), "a line that is no entry: {line:?}");
        assert!(
            !line.contains("INFO forged") || line.contains("\\n"),
            "{line:?}"
        );
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }
}

/// Recipients that would look like the log's own fields.
async fn odd_recipients(place: &Place) {
    let mut lmtp = place.deliverer().await;
    for line in [
        "RCPT TO:<\"mark\\\x1b[2J\"@forged>",
        "MAIL FROM:<\"f address=192.0.2.66 x\"@forged> SMTPUTF8",
        "RCPT TO:<\"m reason=forged address=192.0.2.66 x\"@forged>",
        "RCPT TO:<\"m\u{202e}forged\"@forged>",
    ] {
        lmtp.send(format!("{line}\r\n").as_bytes()).await;
        lmtp.reply().await;
    }
}
