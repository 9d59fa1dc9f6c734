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
            "AuthenticateLineBytes=16KiB",
            Before,
            format!("AUTHENTICATE PLAIN {}", word(14_000)),
            format!("AUTHENTICATE PLAIN {}", word(17_000)),
        ),
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
        let set = format!("Limits:{set}");
        let server = Server::start(&[&set, "Limits:LoginFailureDelays=0s"]).await;
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
async fn parentheses_nest_before_login_as_deep_as_is_set() {
    for (set, levels) in [(&[][..], 1), (&["Limits:NestingBeforeLogin=3"], 3)] {
        let server = Server::start(set).await;
        let mut client = server.connect(1 << 16);
        client.line().await;
        for (depth, is_read) in [(levels, true), (levels + 1, false)] {
            let (open, close) = ("(".repeat(depth), ")".repeat(depth));
            let told = client.ask(&format!("SEARCH {open}ALL{close}")).await;
            // What can be read comes too early; what cannot is told where it went wrong.
            let why = told[0].contains("fewer levels of parentheses");
            assert_eq!(why, !is_read, "{set:?} {depth}: {told:?}");
            assert!(told[0].starts_with("t BAD"), "{told:?}");
        }
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

/// Nor does it end who is told of changes by NOTIFY (RFC 5465 §3.1) and says nothing; who asked for
/// nothing is silent.
#[tokio::test]
async fn rule_47_notify_is_kept_alive_as_idle_is() {
    let server = Server::start(&["Limits:IdleKeepAlive=10m"]).await;
    let mut client = server.selected().await;
    client.run("NOTIFY SET (INBOXES (MailboxName))").await;
    pause();
    for _ in 0..5 {
        advance(Duration::from_secs(601)).await;
        assert_eq!(client.line().await, "* OK Still here.");
    }
    advance(Duration::from_secs(599)).await;
    client.run("NOTIFY NONE").await;
    advance(Duration::from_secs(31 * 60)).await;
    client.is_told_bye("too long").await;
    resume();
}

/// After an overflow (RFC 5465 §5.8) a client is told of nothing any more, so that it is silent.
#[tokio::test]
async fn rule_47_who_is_no_longer_told_is_silent() {
    let server = Server::start(&["Limits:NotifyBacklog=2"]).await;
    let (mut client, mut other) = (server.selected().await, server.selected().await);
    client.run("NOTIFY SET (PERSONAL (MailboxName))").await;
    other.run("CREATE a/b/c").await;
    let told = client.line().await;
    assert!(told.starts_with("* OK [NOTIFICATIONOVERFLOW]"), "{told}");
    pause();
    advance(Duration::from_secs(31 * 60)).await;
    client.is_told_bye("too long").await;
    resume();
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

#[tokio::test]
async fn passwords_in_clear_are_taken_from_whom_is_set() {
    for (whom, here, elsewhere) in [
        ("Loopback", true, false),
        ("Never", false, false),
        ("Always", true, true),
    ] {
        let server = Server::start(&[&format!("Imap:AllowPlaintextAuth={whom}")]).await;
        for (loopback, taken) in [(true, here), (false, elsewhere)] {
            let peer = Peer {
                loopback,
                ..Peer::LOCAL
            };
            let mut client = server.connect_from(peer, 4_096);
            let greeting = client.line().await;
            assert_eq!(greeting.contains("LOGINDISABLED"), !taken, "{greeting}");
            let told = client.ask("LOGIN tim secret-enough").await.remove(0);
            let answer = match taken {
                true => "t OK",
                false => "t NO [PRIVACYREQUIRED]",
            };
            assert!(told.starts_with(answer), "{whom} {loopback}: {told}");
        }
    }
}

#[tokio::test]
async fn logout_commits_deletions_or_leaves_them_as_is_set() {
    for (set, left) in [("true", "* SEARCH"), ("false", "* SEARCH 1")] {
        let server = Server::start(&[&format!("Imap:CommitDeletionsOnLogout={set}")]).await;
        let mut client = server.selected().await;
        client.append("Subject: x\r\n\r\nx\r\n").await;
        client.run("STORE 1 +FLAGS (\\Deleted)").await;
        client.run("LOGOUT").await;
        let found = server.selected().await.run("SEARCH ALL").await;
        assert_eq!(found[0], left, "{set}");
    }
}

#[tokio::test]
async fn before_login_as_many_bad_commands_are_answered_as_are_set() {
    let server = Server::start(&["Limits:BadCommandsBeforeLogin=5"]).await;
    let mut client = server.connect(4_096);
    client.line().await;
    for _ in 0..5 {
        assert!(client.ask("NONSENSE").await[0].starts_with("t BAD"));
    }
    client.is_told_bye("not understood").await;
}

/// A client that was sent the first line of what it asked for, and reads no more.
async fn deaf(server: &Server, commands: &str) -> Client {
    let mut deaf = server.connect(256);
    deaf.line().await;
    deaf.run("LOGIN tim secret-enough").await;
    deaf.run("SELECT INBOX").await;
    deaf.send(commands).await;
    deaf.line().await;
    deaf
}

/// A message of this many bytes and some more.
fn large(bytes: usize) -> String {
    format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(bytes))
}

#[tokio::test]
async fn as_many_messages_are_taken_up_at_a_time_as_are_set() {
    for (set, seen) in [
        ("Imap:MaxMessagesPerSession=2", "* SEARCH 1 2"),
        ("Imap:MaxMessagesPerSession=4", "* SEARCH 1 2 3 4"),
    ] {
        let server = Server::start(&[set]).await;
        let mut client = server.selected().await;
        for _ in 0..5 {
            client.append(&large(100_000)).await;
        }
        // Those that are taken up are marked, then sent; the first of them is not over yet.
        let _deaf = deaf(&server, "f FETCH 1:5 BODY[]\r\n").await;
        client.run("NOOP").await;
        assert_eq!(client.run("SEARCH SEEN").await[0], seen, "{set}");
    }
}

#[tokio::test]
async fn as_much_output_waits_for_a_client_as_is_set() {
    for (set, goes_on) in [
        ("Limits:OutputBufferBytes=4KiB", false),
        ("Limits:OutputBufferBytes=1MiB", true),
    ] {
        let server = Server::start(&[set]).await;
        let mut client = server.selected().await;
        client.append(&large(100_000)).await;
        let commands = "f FETCH 1 BODY.PEEK[]\r\ng STORE 1 +FLAGS (\\Flagged)\r\n";
        let _deaf = deaf(&server, commands).await;
        // What fits is sent once the command behind it is done, too.
        for _ in 0..20 {
            client.run("NOOP").await;
            let flagged = client.run("SEARCH FLAGGED").await;
            assert_eq!(flagged[0] == "* SEARCH 1", goes_on, "{set}: {flagged:?}");
        }
    }
}

/// What FETCH tells of a message, with these settings.
async fn understood(set: &[&str], message: &str, item: &str) -> String {
    let server = Server::start(set).await;
    let mut client = server.selected().await;
    client.append(message).await;
    client.run(&format!("FETCH 1 {item}")).await.remove(0)
}

#[tokio::test]
async fn of_a_new_message_as_much_is_understood_as_is_set() {
    let padded = format!("X: {}\r\nSubject: far\r\n\r\nx\r\n", "x".repeat(1_200));
    let part = |name: &str| format!("--b\r\nContent-Type: text/{name}\r\n\r\nx\r\n");
    let parts: String = ["one", "two", "three"].map(part).concat();
    let multipart = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}--b--\r\n");
    let long = format!("X: {}\r\n{multipart}", "x".repeat(1_200));
    let long = format!("Content-Type: multipart/mixed; boundary=b\r\n{long}");
    let parameters = "Content-Type: text/plain; first=1; second=2\r\n\r\nx\r\n";
    for (set, message, item, word) in [
        (
            "Limits:HeaderBytes=1KiB",
            padded.as_str(),
            "ENVELOPE",
            "far",
        ),
        (
            "Limits:HeaderBytesSum=1KiB",
            &long,
            "BODYSTRUCTURE",
            "\"two\"",
        ),
        (
            "Limits:MimeParts=3",
            &multipart,
            "BODYSTRUCTURE",
            "\"three\"",
        ),
        (
            "Limits:ParametersPerField=1",
            parameters,
            "BODYSTRUCTURE",
            "\"second\"",
        ),
    ] {
        let whole = understood(&[], message, item).await;
        assert!(whole.to_lowercase().contains(word), "{whole}");
        let part = understood(&[set], message, item).await;
        assert!(!part.to_lowercase().contains(word), "{set}: {part}");
    }
}

#[tokio::test]
async fn as_much_of_the_disk_is_kept_free_as_is_set() {
    for (set, answer) in [
        ("Store:ReserveBytes=50MiB", "t OK"),
        ("Store:ReserveBytes=150MiB", "t NO [UNAVAILABLE]"),
    ] {
        let disk = SimDisk::new();
        let first = Server::start_on(&disk, &[]).await;
        first.service.store.close().await;
        drop(first);
        // It is looked how much is free when the store is opened.
        disk.set_free_bytes(Some(100 << 20));
        let server = Server::start_on(&disk, &[set]).await;
        let mut client = server.selected().await;
        let told = client.ask("APPEND INBOX {5+}\r\nx\r\n\r\n").await;
        let told = told.last().unwrap();
        assert!(told.starts_with(answer), "{set}: {told}");
    }
}

/// The log's files and their bytes, after some messages that are easily compressed.
async fn log_of(set: &[&str]) -> (usize, usize) {
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, set).await;
    let mut client = server.selected().await;
    for _ in 0..6 {
        client.append(&large(500_000)).await;
    }
    let files = disk.files();
    let log = files
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|it| it == "seg"));
    (log.clone().count(), log.map(|(_, bytes)| bytes.len()).sum())
}

#[tokio::test]
async fn messages_are_kept_in_files_as_large_and_as_small_as_is_set() {
    let (files, packed) = log_of(&[]).await;
    let (more_files, whole) =
        log_of(&["Store:CompressionLevel=0", "Store:SegmentBytes=1MiB"]).await;
    assert_eq!(files, 1);
    assert!(more_files > 1, "{more_files}");
    assert!(packed < 1_000_000 && whole > 3_000_000, "{packed} {whole}");
}

#[tokio::test]
async fn deleted_messages_wait_as_long_as_is_set() {
    for (set, waits) in [
        ("Store:UndeleteWindow=0s", false),
        ("Store:UndeleteWindow=2h", true),
    ] {
        let set = [set, "Store:CompressionLevel=0", "Store:SegmentBytes=1MiB"];
        let server = Server::start_on(&SimDisk::new(), &set).await;
        let mut client = server.selected().await;
        client.append(&large(2_000_000)).await;
        client.run("STORE 1 +FLAGS (\\Deleted)").await;
        client.run("EXPUNGE").await;
        drop(client);
        server.clock.set(server.service.now_secs() + 3_600);
        let done = server.service.store.compact().await.unwrap();
        let given_back = done.bytes_before - done.bytes_after;
        assert_eq!(given_back < 1_000_000, waits, "{set:?}: {done:?}");
        let room = server.service.store.room();
        assert_eq!(room.waiting_bytes > 1_000_000, waits, "{set:?}: {room:?}");
    }
}

#[tokio::test]
async fn mailboxes_that_nobody_has_open_take_as_much_memory_as_is_set() {
    for (set, stays) in [
        ("Store:CacheBytes=1MiB", false),
        ("Store:CacheBytes=64MiB", true),
    ] {
        let server = Server::start(&[set]).await;
        let mut client = server.selected().await;
        a_large_mailbox(&mut client, false).await;
        let tim = server.tim().id;
        let actor = Actor {
            client: Arc::default(),
            account: tim,
            origin: "test".into(),
            access: Access::ReadWrite,
        };
        let account = server.service.store.open_account(tim, actor).await.unwrap();
        let tree = account.tree();
        let inbox = tree.mailboxes.values().find(|it| it.name.is_inbox());
        let inbox = inbox.unwrap().id;
        let inbox = account.open_mailbox(inbox, Access::ReadOnly).await.unwrap();
        let held = Arc::downgrade(&inbox.state());
        drop(inbox);
        client.run("UNSELECT").await;
        // Whoever opens another one looks whether there is room.
        client.run("SELECT Sent").await;
        assert_eq!(held.upgrade().is_some(), stays, "{set}");
    }
}
