//! Whole connections over an in-memory stream: deadlines, slow clients, what ends a session
//! (RFC 9051 §5.4, §7.1.5), and answers that transcripts cannot show. Rules of the protocol that can
//! be written as a dialogue are in `tests/transcripts`.

use std::{path::Path, sync::Arc, time::Duration};

use store::{
    Access, AccountChange, Actor, NewAccount, Quota,
    clock::ManualClock,
    credential::{ActAs, CredentialChange, NewAppPassword, Scope},
    disk::{Fault, Plan, SimDisk},
    embedded::EmbeddedStore,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{advance, pause, resume, timeout},
};

use super::*;
use crate::config::{self, Config};

/// How long an answer may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);
/// Messages with an own body each, for a client that does not read.
const MANY: usize = 40;

/// A server without listeners, and its account `tim`.
struct Server {
    service: Arc<Service>,
    clock: Arc<ManualClock>,
    _directory: Option<tempfile::TempDir>,
}

fn configured(set: &[&str]) -> Arc<Config> {
    let options = config::Options {
        set: set.iter().map(|s| (*s).to_owned()).collect(),
        ..Default::default()
    };
    Arc::new(config::load(&options).unwrap().config)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(1_795_305_600))
}

impl Server {
    async fn start(set: &[&str]) -> Self {
        let config = configured(set);
        let directory = tempfile::tempdir().unwrap();
        let kept = config.store_options();
        let clock = clock();
        let store = EmbeddedStore::open(directory.path(), kept, Arc::clone(&clock) as _).unwrap();
        Self::with(config, (store, clock), Some(directory)).await
    }

    /// A server on a disk that fails on demand, which may hold its store already.
    async fn start_on(disk: &SimDisk, set: &[&str]) -> Self {
        let (config, disk) = (configured(set), Arc::new(disk.clone()));
        let kept = config.store_options();
        let clock = clock();
        let place = Path::new("/mail");
        let store = EmbeddedStore::open_on(disk, place, kept, Arc::clone(&clock) as _).unwrap();
        Self::with(config, (store, clock), None).await
    }

    async fn with(
        config: Arc<Config>,
        (store, clock): (Arc<EmbeddedStore>, Arc<ManualClock>),
        directory: Option<tempfile::TempDir>,
    ) -> Self {
        if store::Store::find_account(&*store, "tim").is_none() {
            Self::create_tim(&*store).await;
        }
        Self {
            service: Arc::new(Service::new(config, store, None, Arc::clone(&clock) as _)),
            clock,
            _directory: directory,
        }
    }

    async fn create_tim(store: &dyn store::Store) {
        let kept = crate::auth::keep_password(b"secret-enough").unwrap();
        let tim = NewAccount {
            name: "tim".to_owned(),
            aliases: Vec::new(),
            password: Some(kept),
            display_name: String::new(),
            quota: Quota::default(),
        };
        store.create_account(tim).await.unwrap();
    }

    /// A client that is connected and has not read the greeting.
    fn connect(&self, buffer_bytes: usize) -> Client {
        self.connect_from(Peer::LOCAL, buffer_bytes)
    }

    /// One from elsewhere, which counts against limits.
    fn stranger(&self) -> Client {
        let peer = Peer {
            address: Some("192.0.2.1:1024".parse().unwrap()),
            trust: crate::service::Trust::Counted,
            ..Peer::LOCAL
        };
        self.connect_from(peer, 64 * 1024)
    }

    fn connect_from(&self, peer: Peer, buffer_bytes: usize) -> Client {
        let (ours, theirs) = tokio::io::duplex(buffer_bytes);
        let service = Arc::clone(&self.service);
        tokio::spawn(serve(Stream::new(theirs), service, peer));
        Client {
            stream: ours,
            input: Vec::new(),
        }
    }

    /// A client with INBOX selected.
    async fn selected(&self) -> Client {
        let mut client = self.connect(64 * 1024);
        client.line().await;
        client.run("LOGIN tim secret-enough").await;
        client.run("SELECT INBOX").await;
        client
    }

    fn tim(&self) -> Arc<store::AccountInfo> {
        self.service.store.find_account("tim").unwrap()
    }
}

struct Client {
    stream: DuplexStream,
    input: Vec<u8>,
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line; empty at the end.
    async fn line(&mut self) -> String {
        let read = async {
            loop {
                if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                    let line: Vec<u8> = self.input.drain(..end + 2).take(end).collect();
                    return String::from_utf8_lossy(&line).into_owned();
                }
                if self.stream.read_buf(&mut self.input).await.unwrap() == 0 {
                    return String::new();
                }
            }
        };
        timeout(PATIENCE, read).await.expect("an answer in time")
    }

    /// What a command is answered, the tagged line last.
    async fn ask(&mut self, command: &str) -> Vec<String> {
        self.send(&format!("t {command}\r\n")).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            let last = line.starts_with("t ") || line.is_empty();
            lines.push(line);
            if last {
                return lines;
            }
        }
    }

    /// A command that must succeed.
    async fn run(&mut self, command: &str) -> Vec<String> {
        let lines = self.ask(command).await;
        assert!(lines.last().unwrap().starts_with("t OK"), "{lines:?}");
        lines
    }

    async fn append(&mut self, message: &str) {
        let command = format!("APPEND INBOX {{{}+}}\r\n{message}", message.len());
        self.run(&command).await;
    }

    async fn idle(&mut self) {
        self.send("i IDLE\r\n").await;
        while !self.line().await.starts_with("+ ") {}
    }

    /// The next line is BYE, then nothing.
    async fn is_told_bye(&mut self, why: &str) {
        let bye = self.line().await;
        assert!(bye.starts_with("* BYE") && bye.contains(why), "{bye}");
        assert_eq!(self.line().await, "");
    }
}

#[tokio::test]
async fn rule_47_any_command_starts_the_time_anew() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    pause();
    for _ in 0..3 {
        advance(Duration::from_secs(29 * 60)).await;
        client.run("NOOP").await;
    }
    advance(Duration::from_secs(31 * 60)).await;
    client.is_told_bye("too long").await;
    resume();
}

#[tokio::test]
async fn rule_47_idle_lasts_while_its_keep_alive_is_accepted() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client.idle().await;
    pause();
    for _ in 0..60 {
        advance(Duration::from_secs(4 * 60 + 1)).await;
        assert_eq!(client.line().await, "* OK Still here.");
    }
    client.send("done\r\n").await;
    assert!(client.line().await.starts_with("i OK"));
    resume();
}

#[tokio::test]
async fn rule_48_and_threat_22_a_client_that_does_not_read_blocks_nobody() {
    let server = Server::start(&[]).await;
    let mut writer = server.selected().await;
    let body = format!("Subject: x\r\n\r\n{}\r\n", "x".repeat(8_000));
    for _ in 0..MANY {
        writer.append(&body).await;
    }
    let mut deaf = server.connect(256);
    deaf.line().await;
    deaf.run("LOGIN tim secret-enough").await;
    deaf.run("SELECT INBOX").await;
    // It asks for everything, reads nothing, and gets nothing more than fits.
    deaf.send("f FETCH 1:* BODY.PEEK[]\r\n").await;
    for _ in 0..MANY {
        writer.run("STORE 1:* -FLAGS (\\Seen)").await;
        writer.append(&body).await;
    }
    writer.run("STORE 1:10 +FLAGS (\\Deleted)").await;
    writer.run("EXPUNGE").await;
    // What it missed waits for it: every message whole, and the rest as news.
    let mut whole = 0;
    loop {
        let line = deaf.line().await;
        whole += usize::from(line == "x".repeat(8_000));
        if line.starts_with("f ") {
            // The expunge came after the fetch had begun.
            assert!(
                line.starts_with("f OK") || line.contains("[EXPUNGEISSUED]"),
                "{line}"
            );
            break;
        }
    }
    assert!(whole >= MANY - 10, "{whole}");
    let expunged = deaf.run("NOOP").await;
    assert!(
        expunged
            .iter()
            .filter(|line| line.ends_with("EXPUNGE"))
            .count()
            == 10
    );
}

#[tokio::test]
async fn the_end_of_an_account_ends_its_sessions() {
    let server = Server::start(&[]).await;
    let (mut waiting, mut idling) = (server.selected().await, server.selected().await);
    idling.idle().await;
    let removed = server.service.store.remove_account(server.tim().id);
    removed.await.unwrap();
    waiting.is_told_bye("removed").await;
    idling.is_told_bye("removed").await;
}

#[tokio::test]
async fn disabling_an_account_ends_its_sessions() {
    let server = Server::start(&[]).await;
    let (mut waiting, mut idling) = (server.selected().await, server.selected().await);
    idling.idle().await;
    disable_tim(&server).await;
    waiting.is_told_bye("disabled").await;
    idling.is_told_bye("disabled").await;
}

#[tokio::test]
async fn a_mailbox_deleted_by_another_ends_the_session() {
    let server = Server::start(&[]).await;
    let (mut waiting, mut idling) = (server.selected().await, server.selected().await);
    let mut other = server.selected().await;
    other.run("CREATE doomed").await;
    waiting.run("SELECT doomed").await;
    idling.run("SELECT doomed").await;
    idling.idle().await;
    other.run("DELETE doomed").await;
    waiting.is_told_bye("deleted").await;
    idling.is_told_bye("deleted").await;
    other.run("NOOP").await;
}

#[tokio::test]
async fn a_mailbox_deleted_by_the_session_itself_is_closed() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client.run("CREATE doomed").await;
    client.run("SELECT doomed").await;
    let answer = client.run("DELETE doomed").await;
    assert!(answer[0].starts_with("* OK [CLOSED]"), "{answer:?}");
    assert!(client.ask("CHECK").await[0].starts_with("t BAD"));
    client.run("SELECT INBOX").await;
}

#[tokio::test]
async fn silence_is_about_the_clients_own_change_only() {
    let server = Server::start(&[]).await;
    let (mut a, mut b) = (server.selected().await, server.selected().await);
    a.append("Subject: x\r\n\r\nx\r\n").await;
    b.run("NOOP").await;
    // Nothing to tell of one's own.
    assert_eq!(a.run("STORE 1 +FLAGS.SILENT (\\Seen)").await.len(), 1);
    assert_eq!(a.run("NOOP").await.len(), 1);
    b.run("STORE 1 +FLAGS.SILENT (\\Flagged)").await;
    // The other's change comes with the answer, whatever the suffix (RFC 9051 §6.4.6).
    let told = a.run("STORE 1 +FLAGS.SILENT (\\Answered)").await;
    assert!(
        told[0].contains("\\Flagged") && told[0].contains("\\Answered"),
        "{told:?}"
    );
}

#[tokio::test]
async fn rule_41_an_unknown_encoding_leaves_no_empty_answer() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client
        .append("Content-Transfer-Encoding: x-own\r\n\r\nx\r\n")
        .await;
    for item in ["BINARY.PEEK[1]", "BINARY.SIZE[1]"] {
        let answer = client.ask(&format!("FETCH 1 {item}")).await;
        assert_eq!(answer.len(), 1, "{answer:?}");
        assert!(answer[0].starts_with("t NO [UNKNOWN-CTE]"));
    }
    let answer = client.ask("FETCH 1 (UID BINARY.PEEK[1])").await;
    assert_eq!(answer[0], "* 1 FETCH (UID 1)");
}

#[tokio::test]
async fn rule_41_a_large_part_is_decoded_as_it_is_sent() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    // 54 bytes of text a line.
    let line = "YWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJjYWJj";
    let encoded = format!("{line}\r\n").repeat(5_000);
    let header = "Content-Transfer-Encoding: base64\r\n\r\n";
    client.append(&format!("{header}{encoded}")).await;
    let bytes = line.len() / 4 * 3 * 5_000;
    let size = client.run("FETCH 1 BINARY.SIZE[1]").await;
    assert_eq!(size[0], format!("* 1 FETCH (BINARY.SIZE[1] {bytes})"));
    let answer = client.run("FETCH 1 BINARY.PEEK[1]").await;
    assert_eq!(answer[0], format!("* 1 FETCH (BINARY[1] ~{{{bytes}}}"));
    let decoded = answer[1].strip_suffix(')').unwrap();
    assert_eq!(decoded, "abc".repeat(bytes / 3));
    let answer = client.run("FETCH 1 BINARY.PEEK[1]<100000.5>").await;
    assert_eq!(
        answer[..2],
        ["* 1 FETCH (BINARY[1]<100000> {5}", "bcabc)"].map(String::from)
    );
}

#[tokio::test]
async fn the_last_bad_command_is_answered_too() {
    let server = Server::start(&["Limits:BadCommands=3"]).await;
    let mut client = server.selected().await;
    for _ in 0..3 {
        assert!(client.ask("NONSENSE").await[0].starts_with("t BAD"));
    }
    client.is_told_bye("not understood").await;
}

#[tokio::test]
async fn a_change_of_many_flags_is_told_once() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    let actor = Actor {
        client: Arc::default(),
        account: server.tim().id,
        origin: "test".into(),
        access: Access::ReadWrite,
    };
    client.append("Subject: x\r\n\r\nx\r\n").await;
    for _ in 0..10 {
        client.run("COPY 1:* INBOX").await;
    }
    let told = client.run("STORE 1:* +FLAGS (\\Seen)").await;
    assert_eq!(told.len(), 1_024 + 1);
    assert_eq!(client.run("NOOP").await.len(), 1);
    let account = server
        .service
        .store
        .open_account(actor.account, actor)
        .await;
    let account = account.unwrap();
    let inbox = account
        .tree()
        .mailboxes
        .values()
        .find(|m| m.name.is_inbox())
        .unwrap()
        .id;
    let inbox = account.open_mailbox(inbox, Access::ReadOnly).await.unwrap();
    assert_eq!(inbox.state().summary.unseen, 0);
}

#[tokio::test]
async fn the_messages_of_one_append_are_together_within_the_limit() {
    let server = Server::start(&["Limits:MessageBytes=64KiB"]).await;
    let mut client = server.selected().await;
    let half = "x".repeat(40_000);
    let append = |count: usize| {
        format!(
            "APPEND INBOX{}",
            format!(" {{40000+}}\r\n{half}").repeat(count)
        )
    };
    let refused = client.ask(&append(2)).await;
    assert!(refused[0].starts_with("t NO [LIMIT]"), "{refused:?}");
    let kept = client.run(&append(1)).await;
    assert_eq!(kept[0], "* 1 EXISTS");
}

#[tokio::test]
async fn a_search_is_answered_to_a_client_that_has_closed_its_side() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client.append("Subject: needle\r\n\r\nx\r\n").await;
    client
        .send("a SEARCH SUBJECT needle\r\nb SEARCH ALL\r\n")
        .await;
    client.stream.shutdown().await.unwrap();
    let mut lines = Vec::new();
    for _ in 0..4 {
        lines.push(client.line().await);
    }
    assert_eq!(lines[0], "* SEARCH 1");
    assert!(lines[3].starts_with("b OK"), "{lines:?}");
    assert_eq!(client.line().await, "");
}

#[tokio::test]
async fn rule_02_a_refused_literal_tells_no_expunge() {
    let server = Server::start(&["Limits:MessageBytes=64KiB"]).await;
    let (mut a, mut b) = (server.selected().await, server.selected().await);
    a.append("Subject: x\r\n\r\nx\r\n").await;
    b.run("NOOP").await;
    a.run("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    a.run("EXPUNGE").await;
    let refused = b.ask("APPEND INBOX {1000000}").await;
    assert!(refused.last().unwrap().starts_with("t NO [TOOBIG]"));
    assert!(
        refused.iter().all(|line| !line.contains("EXPUNGE")),
        "{refused:?}"
    );
    assert_eq!(b.run("NOOP").await[0], "* 1 EXPUNGE");
}

#[tokio::test]
async fn rule_19_a_move_of_many_tells_one_copyuid_first() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    for _ in 0..14 {
        client.run("COPY 1:* INBOX").await;
    }
    let told = client.run("MOVE 1:* Archive").await;
    assert!(told[0].contains(" 1:16384 1:16384]"), "{}", told[0]);
    assert!(
        told[1..16_385]
            .iter()
            .all(|line| line.ends_with(" EXPUNGE"))
    );
    assert_eq!(told.len(), 16_384 + 2);
}

#[tokio::test]
async fn rule_47_an_append_that_stalls_is_ended_and_keeps_nothing() {
    let server = Server::start(&[]).await;
    let (mut client, mut other) = (server.selected().await, server.selected().await);
    client.send("t APPEND INBOX {100}\r\n").await;
    assert!(client.line().await.starts_with("+ "));
    client.send("Subject: ").await;
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    pause();
    advance(Duration::from_secs(31 * 60)).await;
    client.is_told_bye("too long").await;
    resume();
    // The other one waited for a command all the while, too.
    other.is_told_bye("too long").await;
    let mut later = server.selected().await;
    assert_eq!(
        later.run("STATUS INBOX (MESSAGES)").await[0],
        "* STATUS INBOX (MESSAGES 0)"
    );
}

#[tokio::test]
async fn an_append_that_ends_badly_is_one_command() {
    let server = Server::start(&[]).await;
    let mut client = server.selected().await;
    let commands = &server.service.observe.metrics.commands;
    let before = commands.total();
    client
        .send("t APPEND INBOX {3+}\r\nx\r\n trailing\r\n")
        .await;
    assert!(client.line().await.starts_with("t BAD"));
    assert_eq!(commands.total(), before + 1);
    client.send("t WHATEVER\r\n").await;
    assert!(client.line().await.starts_with("t BAD"));
    assert_eq!(commands.total(), before + 2);
}

/// INBOX with 49,152 messages, of which every third is gone if they are scattered.
async fn a_large_mailbox(client: &mut Client, scattered: bool) {
    client.append("Subject: x\r\n\r\nx\r\n").await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    client.run("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    for _ in 0..14 {
        client.run("COPY 1:* INBOX").await;
    }
    match scattered {
        true => client.run("EXPUNGE").await,
        false => client.run("STORE 1:* -FLAGS.SILENT (\\Deleted)").await,
    };
}

/// Expunges one message here and there, so that no part of the mailbox stays as it was.
async fn thin_out(client: &mut Client) {
    let some: Vec<String> = (0..41).map(|n| (n * 800 + 1).to_string()).collect();
    let store = format!("STORE {} +FLAGS.SILENT (\\Deleted)", some.join(","));
    client.run(&store).await;
    client.run("EXPUNGE").await;
}

#[tokio::test]
async fn what_a_session_is_behind_becomes_ranges() {
    let server = Server::start(&["Limits:SessionBytes=64KiB"]).await;
    let mut writer = server.selected().await;
    a_large_mailbox(&mut writer, false).await;
    let mut reader = server.selected().await;
    thin_out(&mut writer).await;
    // More than 64 KiB of UIDs, none of which the mailbox has like this any more.
    for n in [2u32, 800, 802, 32_002, 49_152] {
        let told = reader.ask(&format!("UID SEARCH {n}")).await;
        assert_eq!(told[0], format!("* SEARCH {n}"), "{told:?}");
    }
    let told = reader.run("FETCH 49151:* (UID)").await;
    assert_eq!(told[0], "* 49151 FETCH (UID 49151)");
    let told = reader.run("NOOP").await;
    assert_eq!(told.len(), 42);
    assert_eq!(told[40], "* 1 EXPUNGE");
    let told = reader.run("FETCH * (UID)").await;
    assert_eq!(told[0], "* 49111 FETCH (UID 49152)");
}

#[tokio::test]
async fn what_ranges_cannot_hold_ends_the_session() {
    let server = Server::start(&["Limits:SessionBytes=64KiB"]).await;
    let mut writer = server.selected().await;
    a_large_mailbox(&mut writer, true).await;
    let (mut waiting, mut idling) = (server.selected().await, server.selected().await);
    idling.idle().await;
    // It is told of changes, but not of those in its own mailbox.
    let mut watching = server.selected().await;
    let others = "NOTIFY SET (MAILBOXES Sent (MessageNew MessageExpunge))";
    watching.run(others).await;
    thin_out(&mut writer).await;
    for silent in [&mut waiting, &mut watching] {
        silent
            .is_told_bye("[UNAVAILABLE] More has changed than can be remembered")
            .await;
    }
    // One that lets itself be told holds nothing.
    let mut expunged = 0;
    while expunged < 41 {
        expunged += usize::from(idling.line().await.ends_with("EXPUNGE"));
    }
    // A result that takes more is refused as well: each two of them are a range.
    let found = writer.ask("UID SEARCH ALL").await;
    assert!(found[0].starts_with("t NO [LIMIT]"), "{found:?}");
    writer.run("UID SEARCH UID 1:16000").await;
}

/// A disk whose next sync from `at` calls on fails.
fn failing_sync(disk: &SimDisk, at: u64) {
    disk.set_plan(Some(Plan {
        at: disk.calls() + at,
        fault: Fault::FailedSync,
        for_ever: false,
    }));
}

/// How many messages a mailbox holds.
async fn count(client: &mut Client, mailbox: &str) -> usize {
    let told = client.run(&format!("STATUS {mailbox} (MESSAGES)")).await;
    let number = told[0].rsplit(' ').next().unwrap();
    number.trim_end_matches(')').parse().unwrap()
}

#[tokio::test]
async fn rule_19_a_move_that_fails_half_way_tells_what_it_moved() {
    const ALL: usize = 16_384;
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, &[]).await;
    let mut client = server.selected().await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    for _ in 0..14 {
        client.run("COPY 1:* INBOX").await;
    }
    server.service.store.close().await;
    let (calls, mut half_way) = (disk.calls(), false);
    // Which call is the sync of the second step is the store's business: each is tried in turn.
    for at in 1..30 {
        let disk = disk.after_power_cut(calls, 1);
        let server = Server::start_on(&disk, &[]).await;
        let (mut client, mut other) = (server.selected().await, server.selected().await);
        failing_sync(&disk, at);
        let told = client.ask("MOVE 1:* Archive").await;
        disk.set_plan(None);
        let moved = count(&mut other, "Archive").await;
        assert_eq!(count(&mut other, "INBOX").await, ALL - moved);
        let gone = told.iter().filter(|line| line.ends_with(" EXPUNGE"));
        assert_eq!(gone.count(), moved);
        let copied = told.iter().position(|line| line.contains("[COPYUID"));
        assert_eq!(copied, (moved > 0).then_some(0), "before all EXPUNGE");
        if moved > 0 {
            assert!(told[0].ends_with(&format!(" 1:{moved} 1:{moved}] Moved.")));
        }
        let last = told.last().unwrap();
        let expected = if moved == ALL {
            "t OK"
        } else {
            "t NO [UNAVAILABLE]"
        };
        assert!(last.starts_with(expected), "{last}");
        // What is left is moved when the client asks again.
        client.ask("MOVE 1:* Archive").await;
        assert_eq!(count(&mut other, "Archive").await, ALL);
        half_way |= moved == 10_000;
        if half_way {
            break;
        }
    }
    assert!(half_way);
}

#[tokio::test]
async fn deletions_that_logout_cannot_commit_are_told_in_bye() {
    let disk = SimDisk::new();
    let server = Server::start_on(&disk, &[]).await;
    let mut client = server.selected().await;
    client.append("Subject: x\r\n\r\nx\r\n").await;
    client.run("STORE 1 +FLAGS.SILENT (\\Deleted)").await;
    failing_sync(&disk, 1);
    let told = client.ask("LOGOUT").await;
    assert_eq!(
        told,
        [
            "* BYE Goodbye. Your deletions could not be committed; they are still marked.",
            "t OK Logged out."
        ]
    );
    let mut later = server.selected().await;
    let marked = later.run("SEARCH DELETED").await;
    assert_eq!(marked[0], "* SEARCH 1");
}

/// What a connection takes before it says anything, and what it takes while it is in the middle of
/// a login: thousands of strangers may do that.
#[tokio::test]
async fn a_connection_is_small() {
    let server = Server::start(&[]).await;
    let (_ours, theirs) = tokio::io::duplex(1);
    let service = Arc::clone(&server.service);
    let serving = serve(Stream::new(theirs), service, Peer::LOCAL);
    let bytes = size_of_val(&serving);
    assert!(bytes <= 8 * 1024, "{bytes}");
}

/// A server whose every connection is tim's.
async fn without_login(set: &[&str]) -> Server {
    let mut all = vec![
        "Imap:RequireAuthentication=false",
        "Imap:PreauthAccount=TIM",
        "Imap:Addresses=127.0.0.1",
    ];
    all.extend(set);
    Server::start(&all).await
}

#[tokio::test]
async fn without_a_login_a_connection_is_in_its_account_at_once() {
    let server = without_login(&[]).await;
    let mut client = server.connect(1_024);
    let greeting = client.line().await;
    assert!(
        greeting.starts_with("* PREAUTH [CAPABILITY IMAP4rev2 "),
        "{greeting}"
    );
    let capabilities = client.run("CAPABILITY").await;
    for told in [&greeting, &capabilities[0]] {
        assert!(!told.contains("STARTTLS") && !told.contains("LOGINDISABLED"));
    }
    for command in [
        "STARTTLS",
        "LOGIN tim secret-enough",
        "AUTHENTICATE PLAIN AHRpbQBzZWNyZXQtZW5vdWdo",
    ] {
        let answer = client.ask(command).await;
        assert!(answer[0].starts_with("t BAD"), "{command}: {answer:?}");
    }
    client.run("SELECT INBOX").await;
    // Limits are those after a login.
    client
        .append(&format!("Subject: x\r\n\r\n{}", "x".repeat(20_000)))
        .await;
    client
        .run(&format!("SEARCH {}ALL", "SEEN ".repeat(1_000)))
        .await;
    // A password that changes has nothing to do with it; the account has.
    let kept = crate::auth::keep_password(b"another-secret").unwrap();
    credentials(&server, vec![CredentialChange::Password(kept)]).await;
    client.run("NOOP").await;
    disable_tim(&server).await;
    client.is_told_bye("disabled").await;
}

/// A page in a browser of this machine can have lines sent to a port.
#[tokio::test]
async fn threat_25_without_a_login_what_does_not_begin_as_imap_ends_at_once() {
    let server = without_login(&[]).await;
    let mut page = server.connect(64 * 1024);
    assert!(page.line().await.starts_with("* PREAUTH"));
    page.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\na DELETE Archive\r\n")
        .await;
    assert!(page.line().await.starts_with("POST BAD"));
    assert!(page.line().await.starts_with("* BYE"));
    assert_eq!(page.line().await, "");
    let mut client = server.connect(64 * 1024);
    client.line().await;
    client.run("EXAMINE Archive").await;
    // Who has said something that was understood may be wrong as often as after a login.
    let answer = client.ask("NONSENSE").await;
    assert!(answer[0].starts_with("t BAD"), "{answer:?}");
    client.run("NOOP").await;
}

#[tokio::test]
async fn without_a_login_a_connection_that_cannot_have_the_account_is_told_why() {
    let server = without_login(&["Imap:MaxConnectionsPerUser=1"]).await;
    let mut first = server.stranger();
    assert!(first.line().await.starts_with("* PREAUTH"));
    let limit = "[LIMIT] This account has 1 connections already";
    server.stranger().is_told_bye(limit).await;
    disable_tim(&server).await;
    let disabled = "[UNAVAILABLE] The account that is served here is disabled.";
    server.stranger().is_told_bye(disabled).await;
    let removed = server.service.store.remove_account(server.tim().id);
    removed.await.unwrap();
    let missing = "[UNAVAILABLE] The account that is served here does not exist.";
    server.stranger().is_told_bye(missing).await;
}

async fn disable_tim(server: &Server) {
    let change = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    let store = &server.service.store;
    store.change_account(server.tim().id, change).await.unwrap();
}

/// A change of tim's credentials.
async fn credentials(server: &Server, changes: Vec<CredentialChange>) {
    let change = AccountChange {
        credentials: changes,
        ..AccountChange::default()
    };
    let store = &server.service.store;
    store.change_account(server.tim().id, change).await.unwrap();
}

fn app_password(name: &str, password: &str) -> CredentialChange {
    CredentialChange::AddApp(NewAppPassword {
        name: name.to_owned(),
        verifiers: crate::auth::keep_password(password.as_bytes()).unwrap(),
        selector: password[..4].to_owned(),
        scopes: [Scope::Imap].into_iter().collect(),
        expires_secs: None,
    })
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions_of_the_account() {
    let server = Server::start(&[]).await;
    let add = app_password("phone", "abcd-efgh");
    credentials(&server, vec![add]).await;
    let (mut idle, mut selected) = (server.selected().await, server.selected().await);
    let mut phone = server.connect(64 * 1024);
    phone.line().await;
    phone.run("LOGIN tim abcd-efgh").await;
    idle.idle().await;
    selected.run("NOOP").await;
    let new = crate::auth::keep_password(b"another-one").unwrap();
    credentials(&server, vec![CredentialChange::Password(new)]).await;
    for client in [&mut idle, &mut selected, &mut phone] {
        client.is_told_bye("password of the account").await;
    }
}

#[tokio::test]
async fn a_revoked_app_password_ends_its_own_sessions() {
    let server = Server::start(&[]).await;
    let add = [("phone", "abcd-efgh"), ("tablet", "mnpq-rstu")];
    let add = add.map(|(name, password)| app_password(name, password));
    credentials(&server, add.to_vec()).await;
    let (mut main, mut phone) = (server.selected().await, server.connect(64 * 1024));
    let mut tablet = server.connect(64 * 1024);
    for (client, login) in [
        (&mut phone, "tim abcd-efgh"),
        (&mut tablet, "tim+tablet mnpq-rstu"),
    ] {
        client.line().await;
        client.run(&format!("LOGIN {login}")).await;
    }
    tablet.run("SELECT INBOX").await;
    tablet.idle().await;
    let revoke = |name: &str| vec![CredentialChange::RevokeApp(name.to_owned())];
    credentials(&server, revoke("phone")).await;
    phone.is_told_bye("withdrawn").await;
    main.run("NOOP").await;
    credentials(&server, revoke("tablet")).await;
    tablet.is_told_bye("withdrawn").await;
    main.run("NOOP").await;
}

#[tokio::test]
async fn an_expired_app_password_ends_its_sessions_with_their_next_command() {
    let server = Server::start(&[]).await;
    let CredentialChange::AddApp(app) = app_password("phone", "abcd-efgh") else {
        panic!()
    };
    let now = server.service.now_secs();
    let expires_secs = Some(now + 60);
    let add = CredentialChange::AddApp(NewAppPassword {
        expires_secs,
        ..app
    });
    credentials(&server, vec![add]).await;
    let mut client = server.connect(64 * 1024);
    client.line().await;
    client.run("LOGIN tim abcd-efgh").await;
    client.run("NOOP").await;
    let mut idle = server.connect(64 * 1024);
    idle.line().await;
    idle.run("LOGIN tim abcd-efgh").await;
    idle.idle().await;
    server.clock.set(now + 60);
    client.run("NOOP").await;
    client.is_told_bye("expired").await;
    // In IDLE it ends when it would be told that the server is still there.
    pause();
    advance(Duration::from_secs(4 * 60 + 1)).await;
    idle.is_told_bye("expired").await;
    resume();
}

/// What becomes of a password that is kept elsewhere is not told here; what becomes of the account is.
#[tokio::test]
async fn a_session_by_a_password_kept_elsewhere_ends_when_its_account_is_disabled() {
    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("users");
    let write = |password: &str| {
        let kept = crate::auth::keep_password(password.as_bytes()).unwrap();
        let line = format!("tim:{{ARGON2ID}}{}\n", kept.hash);
        std::fs::write(path.with_extension("new"), line).unwrap();
        std::fs::rename(path.with_extension("new"), &path).unwrap();
    };
    write("secret-enough");
    let file = format!("Auth:PasswdFilePath={}", path.display());
    let server = Server::start(&["Auth:Backend=PasswdFile", &file]).await;
    let mut client = server.selected().await;
    write("another-one");
    let mut late = server.connect(64 * 1024);
    late.line().await;
    let refused = late.ask("LOGIN tim secret-enough").await;
    assert!(refused[0].starts_with("t NO"), "{refused:?}");
    client.run("NOOP").await;
    let disable = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    let store = &server.service.store;
    store
        .change_account(server.tim().id, disable)
        .await
        .unwrap();
    client.is_told_bye("disabled").await;
}

#[tokio::test]
async fn the_right_to_act_as_another_ends_with_its_sessions() {
    let server = Server::start(&[]).await;
    let boss = NewAccount {
        name: "boss".to_owned(),
        aliases: Vec::new(),
        password: Some(crate::auth::keep_password(b"secret-enough").unwrap()),
        display_name: String::new(),
        quota: Quota::default(),
    };
    let store = &server.service.store;
    let boss = store.create_account(boss).await.unwrap().id;
    let right = |right| AccountChange {
        may_act_as: Some(right),
        ..AccountChange::default()
    };
    // tim, boss, secret-enough.
    let login = "AUTHENTICATE PLAIN dGltAGJvc3MAc2VjcmV0LWVub3VnaA==";
    let mut client = server.connect(64 * 1024);
    client.line().await;
    let refused = client.ask(login).await;
    assert!(
        refused[0].starts_with("t NO [AUTHORIZATIONFAILED]"),
        "{refused:?}"
    );
    store
        .change_account(boss, right(ActAs::Anyone))
        .await
        .unwrap();
    client.run(login).await;
    client.run("SELECT INBOX").await;
    store
        .change_account(boss, right(ActAs::default()))
        .await
        .unwrap();
    client.is_told_bye("withdrawn").await;
}

mod compress;
mod limits;
mod message_limit;
mod settings;
