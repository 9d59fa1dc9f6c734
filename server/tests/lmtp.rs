//! LMTP against the real server in process and the embedded store (RFC 2033): what a client is
//! answered, and what is then in the mailboxes, byte for byte.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::sync::Arc;

use mail::{flag::Flags, id::AccountId, limits::Parsing, mailbox::MailboxName};
use server::{
    config::{self, Options},
    listen::{Peer, Stream},
    lmtp,
    message::Intake,
    service::Service,
};
use store::{
    Access, Account, AccountChange, Actor, NewAccount, Quota, Static, clock::ManualClock,
    embedded::EmbeddedStore,
};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream};

/// 2026-11-22 21:00:00 UTC.
const NOW: i64 = 1_795_381_200;
const MAIL: &str = "MAIL FROM:<a@example.org>";

struct Server {
    service: Arc<Service>,
    _directory: TempDir,
}

struct Client(BufReader<DuplexStream>);

impl Server {
    async fn new(settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = format!("Store:Path={}", directory.path().display());
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        let options = Options {
            set: settings.chain([path]).collect(),
            ..Options::default()
        };
        let config = Arc::new(config::load(&options).unwrap().config);
        let clock = Arc::new(ManualClock::new(NOW));
        let store_clock = Arc::clone(&clock);
        let store = EmbeddedStore::open(&config.store.path, config.store_options(), store_clock);
        let service = Arc::new(Service::new(config, store.unwrap(), None, clock));
        let server = Self {
            service,
            _directory: directory,
        };
        server
            .account("tim@localhost", &["t@alias.example"], Quota::default())
            .await;
        server.account("Ann@Localhost", &[], Quota::default()).await;
        server
    }

    async fn account(&self, name: &str, aliases: &[&str], quota: Quota) -> AccountId {
        let new = NewAccount {
            name: name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            password: None,
            display_name: String::new(),
            quota,
        };
        self.service.store.create_account(new).await.unwrap().id
    }

    fn connect(&self) -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        tokio::spawn(lmtp::serve(
            Stream::new(theirs),
            Arc::clone(&self.service),
            Peer::LOCAL,
        ));
        Client(BufReader::new(ours))
    }

    /// A client that has said LHLO.
    async fn client(&self) -> Client {
        let mut client = self.connect();
        client.expect("220 ").await;
        client.say("LHLO client.example", &["250-"; 6]).await;
        client.expect("250 SIZE ").await;
        client
    }

    /// What never changes of the newest message in an INBOX.
    async fn newest_fixed(&self, account: &str) -> Static {
        let account = self.open(account).await;
        let key = MailboxName::inbox().key();
        let inbox = account.tree().mailboxes.get(&key).unwrap().id;
        let inbox = account.open_mailbox(inbox, Access::ReadOnly).await.unwrap();
        let state = inbox.state();
        let (_, row) = state.rows().last().unwrap();
        let fixed = inbox.fixed(&[row.body]).await.unwrap();
        Static::clone(&fixed[0])
    }

    /// What it would be of a message that comes as a whole.
    async fn made_alone(&self, message: &str) -> Static {
        let account = self.open("tim@localhost").await;
        let mut intake = Intake::new(
            account.upload(message.len() as u64).await.unwrap(),
            Parsing::DEFAULT,
        );
        intake.write(message.as_bytes()).await.unwrap();
        intake.finish(Flags::default(), None).fixed
    }

    async fn open(&self, account: &str) -> Arc<dyn Account> {
        let id = self.service.store.find_account(account).unwrap().id;
        let actor = Actor {
            client: Arc::default(),
            account: id,
            origin: "test".into(),
            access: Access::ReadWrite,
        };
        self.service.store.open_account(id, actor).await.unwrap()
    }

    /// The messages in a mailbox.
    async fn messages(&self, account: &str, mailbox: &str) -> Vec<String> {
        let account = self.open(account).await;
        let key = MailboxName::new(mailbox).unwrap().key();
        let found = account.tree().mailboxes.get(&key).unwrap().id;
        let mailbox = account.open_mailbox(found, Access::ReadOnly).await.unwrap();
        let mut messages = Vec::new();
        for (_, row) in mailbox.state().rows() {
            let bytes = mailbox.read(row.body, 0, 1 << 30).await.unwrap();
            assert_eq!(bytes.len(), row.size as usize);
            messages.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        messages
    }
}

impl Client {
    async fn expect(&mut self, start: &str) {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        assert!(line.starts_with(start), "expected {start:?}, got {line:?}");
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    /// Sends a line and expects these beginnings of lines.
    async fn say(&mut self, line: &str, answers: &[&str]) {
        self.send(format!("{line}\r\n").as_bytes()).await;
        for answer in answers {
            self.expect(answer).await;
        }
    }

    /// A whole transaction with one recipient whose message is `data`.
    async fn deliver(&mut self, recipient: &str, data: &str, answer: &str) {
        self.say(MAIL, &["250 2.1.0"]).await;
        self.say(&format!("RCPT TO:<{recipient}>"), &["250 2.1.5"])
            .await;
        self.say("DATA", &["354"]).await;
        self.send(data.as_bytes()).await;
        self.say(".", &[answer]).await;
    }

    async fn closes(mut self) {
        let mut line = String::new();
        assert_eq!(self.0.read_line(&mut line).await.unwrap(), 0, "{line}");
    }
}

/// What a client still sends is read after it was told, or the system might take the answer back.
#[tokio::test]
async fn who_is_cut_off_while_it_sends_is_told() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    client.say(MAIL, &["250 "]).await;
    client.say("RCPT TO:<tim@localhost>", &["250 "]).await;
    client.say("DATA", &["354 "]).await;
    client.send(b"Subject: x\r\n").await;
    server.service.shutdown.begin();
    server.service.shutdown.cut();
    client.expect("421 ").await;
    client.expect("").await;
    client.send(b"more\r\n").await;
}

#[tokio::test]
async fn a_message_is_kept_byte_for_byte_under_its_trace() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    let data =
        "Return-Path: <forged@x>\r\nSubject: a\r\n\r\n..dot\r\nbare\nlf \r cr\r\n\n.\n\r.\r\nx\r\n";
    client.deliver("tim@localhost", data, "250 2.0.0").await;
    client.say("QUIT", &["221"]).await;
    client.closes().await;
    let trace = "Return-Path: <a@example.org>\r\nDelivered-To: tim@localhost\r\n\
        Received: from client.example (local)\r\n\tby localhost with LMTP\r\n\tid ";
    let [message] = &server.messages("tim@localhost", "INBOX").await[..] else {
        panic!()
    };
    assert!(message.starts_with(trace), "{message}");
    let rest = "; Sun, 22 Nov 2026 21:00:00 +0000\r\nSubject: a\r\n\r\n\
        .dot\r\nbare\nlf \r cr\r\n\n.\n\r.\r\nx\r\n";
    assert!(message.ends_with(rest), "{message}");
}

#[tokio::test]
async fn threat_33_only_crlf_dot_crlf_ends_a_message() {
    let server = Server::new(&[]).await;
    for end in [
        "\n.\n",
        "\n.\r\n",
        "\r\n.\n",
        "\r.\r",
        "\r\n.\r",
        "\r.\r\n",
        "\n.\r",
        "\r\n\0.\r\n",
        "\r\n.\0\r\n",
    ] {
        let mut client = server.client().await;
        let data = format!("Subject: x\r\n\r\nbefore{end}MAIL FROM:<smuggled@x>\r\n");
        client.deliver("tim@localhost", &data, "250 2.0.0").await;
        client.say("NOOP", &["250 2.0.0 done"]).await;
    }
    let messages = server.messages("tim@localhost", "INBOX").await;
    assert_eq!(messages.len(), 9);
    assert!(
        messages
            .iter()
            .all(|message| message.contains("MAIL FROM:<smuggled@x>"))
    );
}

#[tokio::test]
async fn threat_32_each_recipient_has_a_reply_and_each_account_one_copy() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    let pipelined = "MAIL FROM:<> SIZE=100 BODY=8BITMIME\r\nRCPT TO:<TIM@LocalHost>\r\n\
        RCPT TO:<nobody@localhost>\r\nRCPT TO:<T@Alias.Example>\r\nRCPT TO:<ann@localhost>\r\nDATA\r\n";
    client.send(pipelined.as_bytes()).await;
    for answer in [
        "250 2.1.0",
        "250 2.1.5",
        "550 5.1.1",
        "250 2.1.5",
        "250 2.1.5",
        "354",
    ] {
        client.expect(answer).await;
    }
    client.send(b"Subject: one\r\n\r\nx\r\n.\r\nNOOP\r\n").await;
    for answer in [
        "250 2.0.0 delivered",
        "250 2.0.0 delivered",
        "250 2.0.0 delivered",
        "250 2.0.0 done",
    ] {
        client.expect(answer).await;
    }
    for account in ["tim@localhost", "ann@localhost"] {
        let messages = server.messages(account, "INBOX").await;
        assert_eq!(messages.len(), 1, "{account}");
        assert!(
            messages[0].starts_with("Return-Path: <>\r\n"),
            "{}",
            messages[0]
        );
    }
}

#[tokio::test]
async fn recipients_share_the_text_and_nothing_else() {
    let server = Server::new(&[]).await;
    let quota = |bytes, messages| Quota { bytes, messages };
    for (name, quota) in [
        ("small@localhost", quota(Some(2_000), None)),
        ("a-longer-name@localhost", Quota::default()),
        ("one@localhost", quota(None, Some(1))),
    ] {
        server.account(name, &[], quota).await;
    }
    let mut client = server.client().await;
    client.deliver("one@localhost", "A: b\r\n\r\n", "250").await;
    let line = format!("{}\r\n", "y".repeat(70));
    for lines in [100, 30_000] {
        let part = "--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n";
        let message = format!(
            "Delivered-To: one@localhost\r\nSubject: to many\r\n\
             Content-Type: multipart/mixed; boundary=b\r\n\r\n{part}{}{part}end\r\n--b--\r\n",
            line.repeat(lines)
        );
        client.say(MAIL, &["250"]).await;
        let recipients = ["small", "tim", "one", "a-longer-name", "ann", "tim"];
        for name in recipients {
            let answer = if name == "one" { "452 4.2.2" } else { "250" };
            let rcpt = format!("RCPT TO:<{name}@localhost>");
            client.say(&rcpt, &[answer]).await;
        }
        client.say("DATA", &["354"]).await;
        client.send(message.as_bytes()).await;
        let answers = ["552 5.2.2", "250", "250", "250", "250"];
        client.say(".", &answers).await;
        let mut tails = Vec::new();
        for account in ["tim@localhost", "a-longer-name@localhost", "Ann@Localhost"] {
            let stored = server.messages(account, "INBOX").await.pop().unwrap();
            let expected = format!(
                "Return-Path: <a@example.org>\r\nDelivered-To: {account}\r\nReceived: from "
            );
            assert!(stored.starts_with(&expected), "{account}");
            let (head, tail) = stored.split_at(stored.len() - message.len());
            assert_eq!(tail, message, "{account}");
            tails.push(head.replace(account, ""));
            let fixed = server.newest_fixed(account).await;
            let alone = server.made_alone(&stored).await;
            assert_eq!(fixed, alone, "{account}");
        }
        assert!(tails.iter().all(|tail| *tail == tails[0]), "{tails:?}");
    }
    assert!(server.messages("small@localhost", "INBOX").await.is_empty());
    assert_eq!(server.service.store.check().await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn threat_34_detail_names_a_folder_that_exists() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    for (recipient, mailbox, count) in [
        ("tim+Archive@localhost", "Archive", 1),
        ("tim+Nowhere@localhost", "INBOX", 1),
        ("\"tim+../etc\"@localhost", "INBOX", 2),
        ("tim+inbox@localhost", "INBOX", 3),
        ("tim+@localhost", "INBOX", 4),
        ("\"tim+Ar/chive\"@localhost", "INBOX", 5),
        ("tim", "INBOX", 6),
    ] {
        client
            .deliver(recipient, "Subject: x\r\n\r\n", "250 2.0.0")
            .await;
        assert_eq!(
            server.messages("tim@localhost", mailbox).await.len(),
            count,
            "{recipient}"
        );
    }
    for nobody in [
        "+tim@localhost",
        "ti+m@localhost",
        "tim@localhost.example",
        "\"\"@localhost",
    ] {
        client.say(MAIL, &["250"]).await;
        client
            .say(&format!("RCPT TO:<{nobody}>"), &["550 5.1.1"])
            .await;
        client.say("RSET", &["250"]).await;
    }
}

#[tokio::test]
async fn a_message_that_was_here_before_is_a_loop() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    let loops = "Received: x\r\nDelivered-To: Tim@localhost\r\n\r\nx\r\n";
    client.deliver("t@alias.example", loops, "554 5.4.6").await;
    client.deliver("ann@localhost", loops, "250 2.0.0").await;
    client
        .deliver(
            "tim@localhost",
            "A: b\r\n\r\nDelivered-To: tim@localhost\r\n",
            "250",
        )
        .await;
}

#[tokio::test]
async fn threat_32_accounts_that_take_no_mail() {
    let server = Server::new(&["Limits:MessageBytes=2000", "Limits:LmtpRecipients=2"]).await;
    let off = server.account("off@localhost", &[], Quota::default()).await;
    let change = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    server
        .service
        .store
        .change_account(off, change)
        .await
        .unwrap();
    let quota = |bytes, messages| Quota { bytes, messages };
    server
        .account("small@localhost", &[], quota(Some(1_000), None))
        .await;
    server
        .account("one@localhost", &[], quota(None, Some(1)))
        .await;
    let mut client = server.client().await;
    client.say("MAIL FROM:<> SIZE=1500", &["250"]).await;
    client.say("RCPT TO:<off@localhost>", &["550 5.2.1"]).await;
    client
        .say("RCPT TO:<small@localhost>", &["552 5.2.2"])
        .await;
    client.say("RCPT TO:<tim@localhost>", &["250"]).await;
    client.say("RCPT TO:<ann@localhost>", &["250"]).await;
    client.say("RCPT TO:<tim@localhost>", &["452 4.5.3"]).await;
    client.say("RSET", &["250"]).await;
    client.say("MAIL FROM:<> SIZE=2001", &["552 5.3.4"]).await;
    let message = format!("A: b\r\n\r\n{}\r\n", "x".repeat(500));
    client.deliver("small@localhost", &message, "250").await;
    client
        .deliver("small@localhost", &message, "452 4.2.2")
        .await;
    client
        .deliver("small@localhost", &message.repeat(2), "552 5.2.2")
        .await;
    client.deliver("one@localhost", "\r\n", "250").await;
    client.say(MAIL, &["250"]).await;
    client.say("RCPT TO:<one@localhost>", &["452 4.2.2"]).await;
    client.say("RSET", &["250"]).await;
    client
        .deliver("tim@localhost", &message.repeat(5), "552 5.3.4")
        .await;
    assert_eq!(server.messages("small@localhost", "INBOX").await.len(), 1);
    assert!(server.messages("tim@localhost", "INBOX").await.is_empty());
}

#[tokio::test]
async fn chunks_are_one_message() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    client.say(MAIL, &["250"]).await;
    client.say("RCPT TO:<tim@localhost>", &["250"]).await;
    client.say("RCPT TO:<ann@localhost>", &["250"]).await;
    client
        .send(b"BDAT 5\r\nA: b\rBDAT 6\r\n\n\r\n.\r\nBDAT 0 LAST\r\n")
        .await;
    for answer in [
        "250 2.0.0 chunk",
        "250 2.0.0 chunk",
        "250 2.0.0 delivered",
        "250 2.0.0 delivered",
    ] {
        client.expect(answer).await;
    }
    let messages = server.messages("tim@localhost", "INBOX").await;
    assert!(
        messages[0].ends_with("+0000\r\nA: b\r\n\r\n.\r\n"),
        "{}",
        messages[0]
    );
    // The bytes of a refused chunk are no commands.
    client.say("BDAT 6", &["503"]).await;
    client.send(b"QUIT\r\nNOOP\r\n").await;
    client.expect("250 2.0.0 done").await;
    client.say("BDAT x", &["501"]).await;
    client.closes().await;
}

#[tokio::test]
async fn large_messages_go_through_a_file() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    let line = format!("{}\r\n", "x".repeat(998));
    let message = format!("A: b\r\n\r\n{}", line.repeat(5_000));
    client.deliver("tim@localhost", &message, "250").await;
    let messages = server.messages("tim@localhost", "INBOX").await;
    assert!(
        messages[0].ends_with(&message),
        "{} bytes",
        messages[0].len()
    );
}

#[tokio::test]
async fn bad_commands_are_answered_and_end_the_connection_at_last() {
    let server = Server::new(&["Limits:BadCommands=4"]).await;
    let mut client = server.client().await;
    client.say("EHLO x", &["500 5.5.1"]).await;
    client.say(&"x".repeat(5_000), &["500 5.5.2"]).await;
    client.say("DATA", &["503"]).await;
    client.say("NOOP", &["250"]).await;
    for _ in 0..3 {
        client.say("RCPT TO:<tim@localhost>", &["503"]).await;
    }
    client.say("MAIL FROM:x", &["501", "421"]).await;
    client.closes().await;
}

#[tokio::test]
async fn utf8_addresses() {
    let server = Server::new(&[]).await;
    server
        .account("jörg@bücher.example", &[], Quota::default())
        .await;
    let mut client = server.client().await;
    client.say("MAIL FROM:<ä@x> SMTPUTF8", &["250"]).await;
    client.say("RCPT TO:<JÖRG@bücher.example>", &["250"]).await;
    client.say("DATA", &["354"]).await;
    client.say("A: b\r\n\r\n.", &["250"]).await;
    let messages = server.messages("jörg@bücher.example", "INBOX").await;
    assert!(
        messages[0].starts_with("Return-Path: <ä@x>\r\n"),
        "{}",
        messages[0]
    );
    assert!(messages[0].contains("with UTF8LMTP"));
}

#[tokio::test]
async fn a_stop_is_told() {
    let server = Server::new(&[]).await;
    let mut client = server.client().await;
    server.service.shutdown.begin();
    client.expect("421 4.3.2").await;
    client.closes().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_told() {
    for (set, millis) in [
        (&[][..], 300_000),
        (&["Limits:LmtpIdleTime=7s"], 7_000),
        (&["Limits:LmtpIdleTime=20m"], 1_200_000),
    ] {
        let server = Server::new(set).await;
        let mut client = server.client().await;
        let begun = tokio::time::Instant::now();
        client.expect("421 4.3.2 you were silent").await;
        let waited = begun.elapsed().as_millis();
        assert!((millis..=millis + 1).contains(&waited), "{set:?}: {waited}");
        client.closes().await;
    }
}

#[tokio::test]
async fn as_many_deliveries_to_an_account_run_at_a_time_as_are_set() {
    let server = Server::new(&["Limits:LmtpPerUser=2"]).await;
    let tim = server.service.store.find_account("tim@localhost");
    let tim = tim.unwrap().id;
    let one = server.service.deliveries.take(tim).await;
    let mut client = server.client().await;
    client.deliver("tim@localhost", "\r\n", "250").await;
    let _two = server.service.deliveries.take(tim).await;
    // None is left: this one waits, while others have theirs.
    let waiting = tokio::spawn(async move {
        client.deliver("tim@localhost", "\r\n", "250").await;
    });
    let mut other = server.client().await;
    for _ in 0..3 {
        other.deliver("ann@localhost", "\r\n", "250").await;
    }
    assert_eq!(server.messages("tim@localhost", "INBOX").await.len(), 1);
    drop(one);
    waiting.await.unwrap();
    assert_eq!(server.messages("tim@localhost", "INBOX").await.len(), 2);
}
