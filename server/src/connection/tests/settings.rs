//! Each limit of a client's lines does what its setting says: what is within it is taken, what is
//! beyond it is refused.

use super::*;

/// Whether a client has logged in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Before,
    After,
}

use When::{After, Before};

/// Whether the server takes a command, whatever it does then.
async fn takes(server: &Server, when: When, command: &str) -> bool {
    let mut client = match when {
        After => server.selected().await,
        Before => {
            let mut client = server.connect(1 << 20);
            client.line().await;
            client
        }
    };
    client.send(&format!("t {command}\r\n")).await;
    loop {
        let line = client.line().await;
        let is_refused = ["t BAD", "* BAD", "* BYE", "t NO [LIMIT]", "t NO [TOOBIG]"]
            .iter()
            .any(|refusal| line.starts_with(refusal));
        if is_refused || line.starts_with("t ") || line.is_empty() {
            return !is_refused && !line.is_empty();
        }
    }
}

#[expect(clippy::too_many_lines, reason = "a table of settings")]
#[tokio::test]
async fn what_a_client_sends_is_taken_within_what_is_set_and_refused_beyond() {
    let word = |letters: usize| "a".repeat(letters);
    let literal = |bytes: usize| format!("{{{bytes}+}}\r\n{}", "a".repeat(bytes));
    let searched = |texts: &[usize]| {
        let keys = texts
            .iter()
            .map(|bytes| format!(" SUBJECT {}", literal(*bytes)));
        format!("SEARCH{}", keys.collect::<String>())
    };
    let login = |bytes: usize| format!("LOGIN {} x", literal(bytes));
    let named = |fields: usize| {
        let pairs = (0..fields).map(|n| format!("\"f{n}\" \"{}\"", "a".repeat(900)));
        format!("ID ({})", pairs.collect::<Vec<_>>().join(" "))
    };
    let keywords = |count: usize| {
        let all: Vec<String> = (0..count).map(|n| format!("k{n}")).collect();
        format!("STORE 1 +FLAGS.SILENT ({})", all.join(" "))
    };
    for (set, when, taken, refused) in [
        (
            "LineBytesBeforeLogin=1KiB",
            Before,
            format!("LOGIN {} x", word(500)),
            format!("LOGIN {} x", word(2_000)),
        ),
        ("IdLineBytes=16KiB", Before, named(12), named(25)),
        (
            "LineBytes=1KiB",
            After,
            format!("SEARCH SUBJECT {}", word(500)),
            format!("SEARCH SUBJECT {}", word(2_000)),
        ),
        (
            "LiteralBytesBeforeLogin=1KiB",
            Before,
            login(900),
            login(2_000),
        ),
        (
            "LiteralsBeforeLogin=1",
            Before,
            login(3),
            format!("LOGIN {} {}", literal(3), literal(3)),
        ),
        (
            "LiteralBytes=1KiB",
            After,
            searched(&[900]),
            searched(&[1_100]),
        ),
        (
            "LiteralBytesSum=128KiB",
            After,
            searched(&[60_000, 60_000]),
            searched(&[70_000, 70_000]),
        ),
        ("Literals=1", After, searched(&[3]), searched(&[3, 3])),
        (
            "Nesting=2",
            After,
            "SEARCH ((ALL))".to_owned(),
            "SEARCH (((ALL)))".to_owned(),
        ),
        (
            "SearchKeys=3",
            After,
            "SEARCH SEEN UNSEEN".to_owned(),
            "SEARCH SEEN UNSEEN ALL NEW OLD".to_owned(),
        ),
        (
            "ListPatterns=1",
            After,
            "LIST \"\" (a)".to_owned(),
            "LIST \"\" (a b)".to_owned(),
        ),
        (
            "ListPatternBytes=16",
            After,
            format!("LIST \"\" {}", word(16)),
            format!("LIST \"\" {}", word(17)),
        ),
        (
            "MailboxLevelBytes=16",
            After,
            format!("CREATE {}", word(16)),
            format!("CREATE {}", word(17)),
        ),
        (
            "MailboxNameBytes=16",
            After,
            "CREATE aaaaaaaa/bbbbbbb".to_owned(),
            "CREATE aaaaaaaa/bbbbbbbb".to_owned(),
        ),
        (
            "Mailboxes=7",
            After,
            "CREATE first".to_owned(),
            "CREATE second".to_owned(),
        ),
        ("KeywordsPerMailbox=32", After, keywords(30), keywords(40)),
    ] {
        let server = Server::start(&[&format!("Limits:{set}")]).await;
        server
            .selected()
            .await
            .append("Subject: x\r\n\r\nx\r\n")
            .await;
        assert!(takes(&server, when, &taken).await, "{set}: too little");
        assert!(!takes(&server, when, &refused).await, "{set}: too much");
    }
}

#[tokio::test]
async fn what_is_refused_is_read_past_as_far_as_is_set() {
    let server = Server::start(&["Limits:LiteralBytes=1KiB", "Limits:DiscardBytes=4KiB"]).await;
    let search = |bytes: usize| format!("SEARCH SUBJECT {{{bytes}+}}\r\n{}", "a".repeat(bytes));
    let mut client = server.selected().await;
    let told = client.ask(&search(3_000)).await;
    assert!(!told[0].starts_with("* BYE"), "{told:?}");
    client.run("NOOP").await;
    let mut client = server.selected().await;
    client.send(&format!("t {}", search(20_000))).await;
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line: &String| !line.is_empty()) {
        lines.push(client.line().await);
    }
    assert!(
        lines.iter().any(|line| line.starts_with("* BYE")),
        "{lines:?}"
    );
}

#[tokio::test]
async fn idle_is_kept_alive_as_often_as_is_set() {
    let server = Server::start(&["Limits:IdleKeepAlive=30s"]).await;
    let mut client = server.selected().await;
    client.idle().await;
    pause();
    for _ in 0..3 {
        advance(Duration::from_secs(31)).await;
        assert_eq!(client.line().await, "* OK Still here.");
    }
    client.send("done\r\n").await;
    assert!(client.line().await.starts_with("i OK"));
    resume();
}

/// A keep-alive that comes hardly before the session's time, or after it, ends no session in IDLE,
/// and takes nothing of the time that follows.
#[tokio::test]
async fn idle_is_not_ended_by_a_keep_alive_as_long_as_the_session_time() {
    for every in ["29m59s", "30m", "30m1s", "2h"] {
        let server = Server::start(&[&format!("Limits:IdleKeepAlive={every}")]).await;
        let mut client = server.selected().await;
        client.idle().await;
        pause();
        for _ in 0..3 {
            advance(Duration::from_secs(2 * 60 * 60 + 1)).await;
            assert_eq!(client.line().await, "* OK Still here.", "{every}");
        }
        client.send("done\r\n").await;
        assert!(client.line().await.starts_with("i OK"), "{every}");
        advance(Duration::from_secs(29 * 60)).await;
        client.run("NOOP").await;
        advance(Duration::from_secs(31 * 60)).await;
        client.is_told_bye("too long").await;
        resume();
    }
}

#[tokio::test]
async fn messages_are_fetched_in_steps_of_what_is_set_and_none_is_left_out() {
    let server = Server::start(&["Imap:MaxMessagesPerSession=2"]).await;
    let mut client = server.selected().await;
    for _ in 0..5 {
        client.append("Subject: x\r\n\r\nx\r\n").await;
    }
    let told = client.run("FETCH 1:* UID").await;
    let fetched = told.iter().filter(|line| line.contains("FETCH (UID"));
    assert_eq!(fetched.count(), 5, "{told:?}");
}

#[tokio::test]
async fn who_does_not_read_is_waited_for_as_long_as_is_set() {
    let server =
        Server::start(&["Limits:OutputTimeout=10s", "Limits:OutputBufferBytes=4KiB"]).await;
    let body = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(100_000));
    server.selected().await.append(&body).await;
    for (waits_s, is_whole) in [(9, true), (11, false)] {
        let mut deaf = server.connect(256);
        deaf.line().await;
        deaf.run("LOGIN tim secret-enough").await;
        deaf.run("SELECT INBOX").await;
        deaf.send("f FETCH 1 BODY.PEEK[]\r\n").await;
        // Its first line has come: the rest waits for it.
        deaf.line().await;
        pause();
        advance(Duration::from_secs(waits_s)).await;
        resume();
        let mut last = String::new();
        loop {
            let line = deaf.line().await;
            if line.is_empty() && (last.is_empty() || last.starts_with("f ")) {
                break;
            }
            last = line;
            if last.starts_with("f ") {
                break;
            }
        }
        assert_eq!(
            last.starts_with("f OK"),
            is_whole,
            "after {waits_s} s: {last}"
        );
    }
}
