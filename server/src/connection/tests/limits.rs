//! What a peer is refused for, at the limit and beside it (threats 12 and 22). Time stands still
//! unless a test moves it.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

async fn settle() {
    for _ in 0..300 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn commands_beyond_those_of_a_minute_come_one_by_one() {
    let server = Server::start(&["Limits:CommandsPerMinute=60"]).await;
    let mut client = server.selected().await;
    pause();
    let begun = Instant::now();
    for _ in 0..50 {
        client.run("NOOP").await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    for _ in 0..150 {
        client.run("NOOP").await;
    }
    let took = begun.elapsed().as_secs();
    assert!((135..=145).contains(&took), "{took}");
    // It is slowed down, not refused, and may hurry again when it has rested.
    advance(Duration::from_secs(120)).await;
    let begun = Instant::now();
    for _ in 0..59 {
        client.run("NOOP").await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    resume();
}

/// How many of 100 commands a session takes while it makes the first wait.
async fn taken_ahead(in_flight: &str) -> usize {
    let setting = format!("Limits:CommandsInFlight={in_flight}");
    let server = Server::start(&["Limits:CommandsPerMinute=1", &setting]).await;
    let mut client = server.connect(64);
    client.line().await;
    let sent = Arc::new(AtomicUsize::new(0));
    pause();
    let count = Arc::clone(&sent);
    let writer = tokio::spawn(async move {
        for _ in 0..100 {
            client.send("t NOOP\r\n").await;
            count.fetch_add(1, Ordering::Relaxed);
        }
        client
    });
    settle().await;
    resume();
    writer.abort();
    sent.load(Ordering::Relaxed)
}

#[tokio::test]
async fn commands_are_read_ahead_as_far_as_allowed() {
    let few = taken_ahead("2").await;
    assert!((3..=30).contains(&few), "{few}");
    assert_eq!(taken_ahead("1000").await, 100);
}

#[tokio::test]
async fn memory_before_login_is_shared_and_bounded() {
    let server = Server::start(&["Limits:PreLoginPoolBytes=1MiB"]).await;
    let mut clients = Vec::new();
    let refused = loop {
        let mut client = server.connect(64 * 1024);
        let greeting = client.line().await;
        if !greeting.starts_with("* OK") {
            break greeting;
        }
        clients.push(client);
    };
    assert_eq!(clients.len(), 42);
    assert!(refused.starts_with("* BYE [UNAVAILABLE]"), "{refused}");
    // What is left is for what they send: two such lines, not three.
    for client in &mut clients[..3] {
        client.send(&"x".repeat(7_000)).await;
        settle().await;
    }
    clients[2].is_told_bye("[UNAVAILABLE]").await;
    // Who has logged in needs nothing of it any more.
    clients[1].send("\r\n").await;
    clients[3].run("LOGIN tim secret-enough").await;
    assert!(server.connect(1_024).line().await.starts_with("* OK"));
    drop(clients);
    settle().await;
    assert_eq!(server.service.pre_login.used(), 0);
}

#[tokio::test]
async fn the_time_before_login_is_over_at_its_last_second() {
    let server = Server::start(&[]).await;
    pause();
    let mut client = server.connect(1_024);
    client.line().await;
    advance(Duration::from_secs(59)).await;
    client.run("NOOP").await;
    advance(Duration::from_secs(1)).await;
    client.is_told_bye("Nobody logged in").await;
    resume();
}

#[tokio::test]
async fn a_busy_client_has_no_more_time_before_login_than_a_silent_one() {
    let server = Server::start(&["Limits:PreLoginTime=10s"]).await;
    pause();
    let mut client = server.connect(1_024);
    client.line().await;
    let begun = Instant::now();
    client.send("t NOOP\r\n").await;
    loop {
        let line = client.line().await;
        if line.starts_with("* BYE") {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(11));
        advance(Duration::from_millis(100)).await;
        // The next is there before the last is answered, if it is still taken.
        let _ = client.stream.write_all(b"t NOOP\r\n").await;
    }
    assert!(begun.elapsed() <= Duration::from_millis(10_100));
    resume();
}

/// Whether a client is kept that reads the beginning of what it asked for, then nothing for so long.
async fn is_kept(set: &[&str], login: bool, silence: Duration) -> bool {
    let server = Server::start(&[&["Limits:PreLoginTime=1h"], set].concat()).await;
    let mut deaf = server.connect(256);
    deaf.line().await;
    if login {
        deaf.run("LOGIN tim secret-enough").await;
        deaf.run("SELECT INBOX").await;
        let body = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(200_000));
        deaf.append(&body).await;
    }
    let command = match login {
        true => "u FETCH 1 BODY.PEEK[]\r\nt NOOP\r\n".to_owned(),
        false => "u CAPABILITY\r\n".repeat(100) + "t NOOP\r\n",
    };
    let (mut reader, mut writer) = tokio::io::split(deaf.stream);
    let writer = tokio::spawn(async move { writer.write_all(command.as_bytes()).await });
    let mut all = Vec::new();
    reader.read_buf(&mut all).await.unwrap();
    settle().await;
    pause();
    advance(silence).await;
    settle().await;
    resume();
    while !String::from_utf8_lossy(&all).contains("\r\nt OK") {
        match timeout(PATIENCE, reader.read_buf(&mut all)).await {
            Ok(Ok(count)) if count > 0 => {}
            _ => return false,
        }
    }
    writer.await.unwrap().unwrap();
    true
}

#[tokio::test]
async fn threat_22_output_is_held_for_five_minutes() {
    assert!(is_kept(&[], true, Duration::from_secs(299)).await);
    assert!(!is_kept(&[], true, Duration::from_millis(300_010)).await);
}

#[tokio::test]
async fn threat_22_output_before_login_is_held_for_half_a_minute() {
    assert!(is_kept(&[], false, Duration::from_secs(29)).await);
    assert!(!is_kept(&[], false, Duration::from_millis(30_010)).await);
}

#[tokio::test]
async fn output_before_login_is_held_as_long_as_is_set() {
    let set = ["Limits:OutputTimeoutBeforeLogin=2m"];
    assert!(is_kept(&set, false, Duration::from_secs(119)).await);
    assert!(!is_kept(&set, false, Duration::from_millis(120_010)).await);
}

#[tokio::test]
async fn rule_47_bytes_that_never_make_a_command_are_no_sign_of_life() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    pause();
    client.send("t NO").await;
    for byte in ["O", "P"] {
        advance(Duration::from_secs(14 * 60)).await;
        client.send(byte).await;
        settle().await;
    }
    advance(Duration::from_secs(2 * 60)).await;
    client.is_told_bye("too long").await;
    resume();
}

#[tokio::test]
async fn a_message_that_comes_slowly_is_taken() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client.send("t APPEND INBOX {12}\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    pause();
    for part in ["Subj", "ect:", " x\r\n"] {
        advance(Duration::from_secs(29 * 60)).await;
        client.send(part).await;
        settle().await;
    }
    resume();
    client.send("\r\n").await;
    while !client.line().await.starts_with("t OK") {}
}

#[tokio::test]
async fn threat_12_an_address_that_guesses_is_refused_where_it_stands() {
    let set = ["Limits:LoginFailureDelays=0s", "Limits:LoginFailures=100"];
    let server = Server::start(&set).await;
    let (mut guessing, mut beside) = (server.stranger(), server.stranger());
    guessing.line().await;
    beside.line().await;
    for n in 0..10 {
        let answer = guessing.ask(&format!("LOGIN tim wrong{n}")).await;
        assert!(
            answer[0].starts_with("t NO [AUTHENTICATIONFAILED]"),
            "{answer:?}"
        );
    }
    let answer = guessing.ask("LOGIN tim secret-enough").await;
    assert!(answer[0].starts_with("* BYE [LIMIT]"), "{answer:?}");
    // Neither does a connection help that was open before.
    let answer = beside
        .ask("AUTHENTICATE PLAIN AHRpbQBzZWNyZXQtZW5vdWdo")
        .await;
    assert!(answer[0].starts_with("* BYE [LIMIT]"), "{answer:?}");
    // Others are served.
    server.selected().await;
}

#[tokio::test]
async fn the_last_login_that_may_fail_is_answered() {
    let server = Server::start(&["Limits:LoginFailureDelays=0s"]).await;
    let mut client = server.connect(1_024);
    client.line().await;
    for _ in 0..3 {
        assert!(client.ask("LOGIN tim wrong").await[0].starts_with("t NO"));
    }
    client.is_told_bye("Too many logins failed").await;
    let mut client = server.connect(1_024);
    client.line().await;
    for _ in 0..2 {
        client.ask("LOGIN tim wrong").await;
    }
    client.run("LOGIN tim secret-enough").await;
}

#[tokio::test]
async fn an_account_has_as_many_sessions_as_are_configured() {
    let server = Server::start(&["Imap:MaxConnectionsPerUser=2"]).await;
    let login = |mut client: Client| async move {
        client.line().await;
        let answer = client.ask("LOGIN tim secret-enough").await.remove(0);
        (client, answer)
    };
    let (_one, answer) = login(server.stranger()).await;
    assert!(answer.starts_with("t OK"));
    let (two, answer) = login(server.stranger()).await;
    assert!(answer.starts_with("t OK"));
    let (mut three, answer) = login(server.stranger()).await;
    assert!(answer.starts_with("t NO [LIMIT]"), "{answer}");
    assert!(answer.contains("Imap:MaxConnectionsPerUser"), "{answer}");
    drop(two);
    settle().await;
    three.run("LOGIN tim secret-enough").await;
}

/// A disk that does not answer; it does again when this is dropped.
struct Stalled(SimDisk);

impl Stalled {
    fn new(disk: &SimDisk) -> Self {
        disk.stall_reads(true);
        Self(disk.clone())
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        self.0.stall_reads(false);
    }
}

/// A client whose search has begun and does not end.
async fn searching(disk: &SimDisk, server: &Server) -> (Client, Stalled) {
    let mut client = server.selected().await;
    let body = "needle\r\n".repeat(1_000);
    client.append(&format!("Subject: x\r\n\r\n{body}")).await;
    client.run("NOOP").await;
    let stalled = Stalled::new(disk);
    client.send("s SEARCH RETURN (SAVE) BODY straw\r\n").await;
    settle().await;
    pause();
    (client, stalled)
}

#[tokio::test]
async fn threat_20_a_search_is_given_up_after_its_time() {
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, &[]).await;
    let (mut client, stalled) = searching(&disk, &server).await;
    for (millis, is_answered) in [(59_000, false), (1_010, true)] {
        advance(Duration::from_millis(millis)).await;
        settle().await;
        tokio::select! {
            biased;
            read = client.stream.read_buf(&mut client.input) => assert!(read.unwrap() > 0),
            () = std::future::ready(()) => {}
        }
        // How far it has come is told (RFC 9585).
        let came = String::from_utf8_lossy(&client.input);
        assert_eq!(came.contains("s NO "), is_answered, "{came}");
    }
    resume();
    let mut answer = client.line().await;
    while answer.starts_with("* OK [INPROGRESS ") {
        answer = client.line().await;
    }
    assert!(answer.starts_with("s NO [LIMIT]"), "{answer}");
    assert!(answer.contains("60 seconds") && answer.contains("Limits:SearchTime"));
    drop(stalled);
    // What was saved is nothing (RFC 9051 §6.4.4.1), and the session goes on.
    assert_eq!(client.run("UID SEARCH $").await[0], "* SEARCH");
    assert_eq!(client.run("SEARCH BODY needle").await[0], "* SEARCH 1");
}

#[tokio::test]
async fn a_search_has_as_long_as_is_set() {
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, &["Limits:SearchTime=5s"]).await;
    let (mut client, stalled) = searching(&disk, &server).await;
    advance(Duration::from_millis(5_010)).await;
    let answer = client.line().await;
    resume();
    assert!(answer.starts_with("s NO [LIMIT]"), "{answer}");
    assert!(answer.contains("5 seconds"), "{answer}");
    drop(stalled);
}

#[tokio::test]
async fn threat_20_a_search_ends_within_a_second_of_its_client() {
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, &[]).await;
    let (client, _stalled) = searching(&disk, &server).await;
    assert_eq!(server.service.sessions.count(), 1);
    drop(client);
    settle().await;
    advance(Duration::from_millis(1_010)).await;
    settle().await;
    assert_eq!(server.service.sessions.count(), 0);
    resume();
}

#[tokio::test]
async fn bad_commands_in_a_row_end_a_connection_at_the_last_that_may_be() {
    let server = Server::start(&[]).await;
    for (is_in, most) in [(false, 3), (true, 20)] {
        let mut client = match is_in {
            true => server.selected().await,
            false => server.connect(1_024),
        };
        if !is_in {
            client.line().await;
        }
        for in_a_row in [most - 1, most] {
            for _ in 0..in_a_row {
                assert!(client.ask("NONSENSE").await[0].starts_with("t BAD"));
            }
            if in_a_row < most {
                // One that is understood begins the count anew.
                client.run("NOOP").await;
            }
        }
        client.is_told_bye("not understood").await;
    }
}

#[tokio::test]
async fn limits_of_messages_names_and_searches_are_those_that_are_set() {
    let server = Server::start(&[
        "Limits:MimeDepth=1",
        "Limits:KeywordBytes=4",
        "Limits:MailboxDepth=2",
        "Limits:SearchDepth=1",
    ])
    .await;
    let mut client = server.selected().await;
    client
        .append("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n")
        .await;
    let told = client.run("FETCH 1 BODY").await;
    let opaque = "(BODY (\"application\" \"octet-stream\"";
    assert!(told[0].contains(opaque), "{told:?}");
    client.run("STORE 1 +FLAGS.SILENT (four)").await;
    client.run("CREATE a/b").await;
    client.run("SEARCH (SEEN)").await;
    for (command, refusal) in [
        ("STORE 1 +FLAGS.SILENT (five5)", "t NO [LIMIT]"),
        ("CREATE a/b/c", "t NO [LIMIT]"),
        ("SEARCH ((SEEN))", "t BAD"),
    ] {
        let told = client.ask(command).await;
        assert!(told[0].starts_with(refusal), "{command}: {told:?}");
    }
}
