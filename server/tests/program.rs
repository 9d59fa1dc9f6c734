//! The built program as a shell sees it: what commands print, with and without a running server,
//! and the exit codes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    os::unix::net::UnixStream,
    path::PathBuf,
    process::Command,
};

use tempfile::TempDir;

#[path = "support/settings.rs"]
mod settings;
mod support;

use settings::set_instead;
use support::{Killed, free_port, output, program};

/// A directory with a store, and ports that are its own.
struct Place {
    directory: TempDir,
    imap: u16,
    settings: Vec<String>,
}

/// A password as it is given on standard input.
const PASSWORD_LINE: &str = "correct horse battery\n";

struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let imap = free_port();
        let settings = [
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Port=0".to_owned(),
            "HealthCheck:Url=".to_owned(),
            "Limits:LoginFailureDelays=0s".to_owned(),
        ];
        Self {
            directory,
            imap,
            settings: settings.to_vec(),
        }
    }

    /// With further settings, each instead of one of the same key.
    fn and(mut self, set: &[&str]) -> Self {
        set_instead(&mut self.settings, set);
        self
    }

    fn store(&self) -> PathBuf {
        self.directory.path().join("store")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program(self.directory.path(), &self.settings, arguments)
    }

    fn run(&self, arguments: &[&str], input: &str) -> Done {
        let done = output(self.command(arguments), input);
        Done {
            code: done.status.code().unwrap(),
            out: String::from_utf8(done.stdout).unwrap(),
            err: String::from_utf8(done.stderr).unwrap(),
        }
    }

    /// What a command that must succeed prints.
    fn prints(&self, arguments: &[&str], input: &str) -> String {
        let done = self.run(arguments, input);
        assert_eq!(done.code, 0, "{arguments:?}: {}{}", done.out, done.err);
        done.out
    }

    fn fails(&self, arguments: &[&str], input: &str, code: i32, message: &str) {
        let done = self.run(arguments, input);
        assert_eq!(done.code, code, "{arguments:?}: {}{}", done.out, done.err);
        assert!(done.err.contains(message), "{arguments:?}: {}", done.err);
    }

    fn serve(&self) -> Killed {
        let mut child = self.command(&["serve"]).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("serving")), "no server");
        // The log is read to its end, so that the server never waits for us.
        std::thread::spawn(move || lines.count());
        Killed(child)
    }

    /// The tagged answer to LOGIN.
    fn login(&self, user: &str, password: &str) -> String {
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.imap)).unwrap());
        let command = format!("a LOGIN \"{user}\" \"{password}\"\r\nb LOGOUT\r\n");
        stream.get_mut().write_all(command.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
            .lines()
            .find(|line| line.starts_with("a "))
            .unwrap_or_default()
            .to_owned()
    }
}

/// All commands of administration, the same with and without a server.
fn administer(place: &Place) {
    administer_accounts(place);
    administer_mailboxes(place);
    administer_history(place);
}

fn administer_accounts(place: &Place) {
    let add = [
        "account",
        "add",
        "tim@localhost",
        "--alias",
        "t@x",
        "--password-stdin",
    ];
    assert!(place.prints(&add, "first\n").contains("t@x"));
    place.fails(&add, "other\n", 1, "exists already");
    place.fails(
        &["account", "add", "a b", "--password-stdin"],
        "x",
        1,
        "white space",
    );
    place.fails(
        &["account", "add", "a@b", "--password-stdin"],
        "\n",
        1,
        "empty",
    );
    place.fails(&["account", "show", "nobody"], "", 1, "no such account");
    place.fails(&["account", "set", "t@x"], "", 2, "nothing was said");
    let set = ["account", "set", "T@X", "--quota-bytes", "5000", "--json"];
    assert!(place.prints(&set, "").contains("\"quota_bytes\": 5000"));
    place.fails(
        &["account", "set", "tim@localhost", "--remove-alias", "u@x"],
        "",
        1,
        "no such alias",
    );
    place.prints(
        &["account", "passwd", "tim@localhost", "--password-stdin"],
        "second\n",
    );
}

/// Mailboxes and mail of the account that [`administer_accounts`] made.
fn administer_mailboxes(place: &Place) {
    place.prints(&["mailbox", "create", "tim@localhost", "Work/2026"], "");
    place.prints(&["mailbox", "rename", "tim@localhost", "Work", "Play"], "");
    place.prints(&["mailbox", "subscribe", "tim@localhost", "Play/2026"], "");
    place.prints(&["mailbox", "delete", "tim@localhost", "Trash"], "");
    // The subscription to Trash stays behind until it is taken back.
    place.prints(&["mailbox", "unsubscribe", "tim@localhost", "Trash"], "");
    place.prints(
        &[
            "mailbox",
            "create",
            "tim@localhost",
            "Bin",
            "--use",
            "trash",
        ],
        "",
    );
    place.fails(
        &["mailbox", "delete", "tim@localhost", "INBOX"],
        "",
        1,
        "cannot",
    );
    place.fails(
        &["mailbox", "rename", "t@x", "Nope", "Yes"],
        "",
        1,
        "where: mailbox Nope, to be Yes of tim@localhost\n  next:  `relate-imap mailbox list tim@localhost`",
    );
    place.fails(
        &["mailbox", "create", "t@x", "a*b"],
        "",
        1,
        "leave out %, *",
    );
    place.prints(
        &["deliver", "tim+Play/2026@localhost"],
        "Subject: x\n\nline\n",
    );
    place.fails(&["deliver", "nobody@localhost"], "x", 67, "5.1.1");
    place.fails(
        &["deliver", "tim@localhost"],
        &"x".repeat(6_000),
        65,
        "5.2.2",
    );
    let list = place.prints(&["mailbox", "list", "tim@localhost", "--json"], "");
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let named = |name: &str| {
        let mut all = list.as_array().unwrap().iter();
        all.find(|one| one["name"] == name).unwrap()
    };
    let play = named("Play/2026");
    assert_eq!(
        (&play["messages"], &play["uid_next"], &play["subscribed"]),
        (&1.into(), &2.into(), &true.into())
    );
    assert_eq!(named("Bin")["special_use"], serde_json::json!(["\\Trash"]));
    assert!(
        play["uid_validity"].as_u64().unwrap() > 1 && play["highest_modseq"].as_u64().unwrap() > 1
    );
    assert!(place.prints(&["check"], "").contains("yes"));
    assert!(place.prints(&["compact"], "").contains("freed_bytes"));
}

/// How much there is, and who did what, of what [`administer_mailboxes`] left.
fn administer_history(place: &Place) {
    let usage = place.prints(&["account", "usage", "t@x", "--json"], "");
    let usage: serde_json::Value = serde_json::from_str(&usage).unwrap();
    assert_eq!(usage["messages"], 1);
    assert_eq!(usage["quota_bytes"], 5_000);
    assert_eq!(usage["bytes_percent"], 3);
    let largest = usage["largest_mailboxes"][0].as_str().unwrap();
    assert!(largest.starts_with("Play/2026 (1 messages, "), "{largest}");
    let table = place.prints(&["account", "usage"], "");
    assert!(
        table.starts_with("name") && table.contains("tim@localhost"),
        "{table}"
    );
    place.fails(&["account", "usage", "nobody"], "", 1, "no such account");
    let status = place.prints(&["mailbox", "status", "t@x", "Play/2026", "--json"], "");
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(
        (&status["messages"], &status["unseen"]),
        (&1.into(), &1.into())
    );
    assert!(
        place
            .prints(&["mailbox", "status", "t@x"], "")
            .contains("INBOX")
    );
    place.fails(
        &["mailbox", "status", "t@x", "Nope"],
        "",
        1,
        "no such mailbox",
    );
    let log = place.prints(&["log", "--account", "t@x", "--mailbox", "Play/2026"], "");
    let words: Vec<&str> = log.split_whitespace().collect();
    assert!(log.contains("  delivered  Play/2026 1  by "), "{log}");
    assert!(
        log.contains("mailbox  renamed  Work/2026  -> Play/2026"),
        "{log}"
    );
    assert!(words.iter().all(|word| !word.contains("INBOX")), "{log}");
    let message = ["log", "--message-id", "nobody@x", "--json"];
    assert_eq!(place.prints(&message, ""), "");
    let kind = ["log", "--kind", "delivered", "--since", "1d", "--json"];
    let line: serde_json::Value = serde_json::from_str(&place.prints(&kind, "")).unwrap();
    assert_eq!(
        (
            &line["account"],
            &line["mailbox"],
            &line["uids"],
            &line["kind"]
        ),
        (
            &"tim@localhost".into(),
            &"Play/2026".into(),
            &"1".into(),
            &"delivered".into()
        )
    );
    place.fails(&["log", "--since", "soon"], "", 2, "2026-11-28");
    place.fails(&["log", "--account", "nobody"], "", 1, "no such account");
}

/// Whether there is a server beside the commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Server {
    Runs,
    Stands,
}

/// Passwords for single programs, as they are made, used, listed and revoked.
fn administer_app_passwords(place: &Place, server: Server) {
    let add = |name: &str, more: &[&str]| {
        let command = ["app-password", "add", "tim@localhost", name, "--json"];
        let made = place.prints(&[&command[..], more].concat(), "");
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        assert_eq!(made["scram_user"], format!("tim@localhost+{name}"));
        let note = made["note"].as_str();
        assert_eq!(note.is_some(), more.contains(&"admin,lmtp"), "{note:?}");
        made["password"].as_str().unwrap().to_owned()
    };
    let phone = add("phone", &["--expires", "90d"]);
    let admin = add("tool", &["--scope", "admin,lmtp"]);
    place.fails(
        &["app-password", "add", "tim@localhost", "phone"],
        "",
        1,
        "app password exists already",
    );
    place.fails(
        &["app-password", "add", "tim@localhost", "my phone"],
        "",
        1,
        "cannot be the name",
    );
    if server == Server::Runs {
        let used = place.login("tim@localhost", &phone);
        assert!(used.contains("a OK "), "{used}");
        let refused = place.login("tim@localhost", &admin);
        assert!(refused.contains("AUTHENTICATIONFAILED"), "{refused}");
    }
    let list = ["app-password", "list", "tim@localhost", "--json"];
    let listed: serde_json::Value = serde_json::from_str(&place.prints(&list, "")).unwrap();
    assert_eq!(listed[0]["name"], "phone");
    assert_eq!(listed[1]["scopes"][1], "admin");
    let place_of_use = if server == Server::Runs {
        "127.0.0.1".into()
    } else {
        serde_json::Value::Null
    };
    assert_eq!(listed[0]["last_place"], place_of_use);
    place.prints(&["app-password", "revoke", "tim@localhost", "phone"], "");
    place.fails(
        &["app-password", "revoke", "tim@localhost", "phone"],
        "",
        1,
        "no such app password",
    );
    if server == Server::Runs {
        let refused = place.login("tim@localhost", &phone);
        assert!(refused.contains("AUTHENTICATIONFAILED"), "{refused}");
    }
}

/// Accounts that come from another server with their hashes, and rights to act as others.
fn administer_imports(place: &Place, server: Server) {
    let hash = "{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";
    place.prints(&["account", "add", "ann", "--password-hash-stdin"], hash);
    let add = ["account", "add", "bob", "--password-hash-stdin"];
    place.fails(&add, "{PLAIN}marker7\n", 1, "in clear");
    let without = ["account", "list", "--without-scram"];
    assert!(place.prints(&without, "").contains("ann"));
    if server == Server::Runs {
        assert!(place.login("ann", "secret").contains("a OK "));
        assert!(!place.prints(&without, "").contains("ann"));
    }
    let set = ["account", "set", "ann", "--may-act-as"];
    place.fails(&[&set[..], &["nobody"]].concat(), "", 1, "no such account");
    let granted = place.prints(&[&set[..], &["tim@localhost"]].concat(), "");
    assert!(granted.contains("may_act_as") && granted.contains("tim@localhost"));
    let none = place.prints(&["account", "set", "ann", "--may-not-act"], "");
    assert!(!none.contains("tim@localhost"), "{none}");
}

#[test]
fn administration_without_a_server() {
    let place = Place::new();
    place.fails(&["account", "list"], "", 1, "no mail store");
    place.fails(&["deliver", "tim@localhost"], "x", 75, "no mail store");
    administer(&place);
    administer_app_passwords(&place, Server::Stands);
    administer_imports(&place, Server::Stands);
    for command in [
        &["who"][..],
        &["kick", "tim@localhost"],
        &["trace", "tim@localhost"],
    ] {
        place.fails(command, "", 1, "no server runs with this store");
    }
    place.fails(&["account", "remove", "tim@localhost"], "", 1, "consent");
    place.prints(&["account", "remove", "tim@localhost", "--yes"], "");
    place.fails(
        &["account", "show", "tim@localhost"],
        "",
        1,
        "no such account",
    );
}

#[test]
fn administration_with_a_server() {
    let place = Place::new();
    let serving = place.serve();
    administer(&place);
    administer_app_passwords(&place, Server::Runs);
    administer_imports(&place, Server::Runs);
    assert!(place.login("tim@localhost", "second").starts_with("a OK"));
    assert!(
        place
            .login("TIM@localhost", "first")
            .starts_with("a NO [AUTHENTICATIONFAILED]")
    );
    let socket = place.store().join("run/admin.sock");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&socket).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    place.prints(&["account", "set", "tim@localhost", "--disable"], "");
    assert!(place.login("tim@localhost", "second").starts_with("a NO"));
    drop(serving);
    // Killed, not stopped: what was answered is there.
    assert!(
        place
            .prints(&["account", "list"], "")
            .contains("tim@localhost")
    );
}

#[test]
fn exit_codes() {
    let mut place = Place::new();
    let serving = place.serve();
    place.fails(&["serve"], "", 4, "in use");
    place.fails(&["up"], "", 4, "in use");
    let other = Place::new();
    place
        .settings
        .retain(|setting| !setting.starts_with("Store"));
    place
        .settings
        .push(format!("Store:Path={}", other.store().display()));
    place.fails(&["serve"], "", 3, "Imap:Port");
    drop(serving);
    place.settings.push("Imap:Prot=1".to_owned());
    place.fails(&["serve"], "", 2, "Imap:Port");
    place.fails(&["deliver", "tim@localhost"], "x", 78, "Imap:Port");
    place.fails(&["nonsense"], "", 2, "nonsense");
}

#[test]
fn up_reads_its_first_message_where_passwords_are_taken_over_tls_only() {
    let mut place = Place::new();
    place
        .settings
        .retain(|setting| !setting.starts_with("Imap:SecurePort"));
    place.settings.extend([
        format!("Imap:SecurePort={}", free_port()),
        "Imap:AllowPlaintextAuth=Never".to_owned(),
    ]);
    let mut up = Killed(place.command(&["up"]).spawn().unwrap());
    let screen = BufReader::new(up.0.stdout.take().unwrap());
    let mut lines = screen.lines().map_while(Result::ok);
    assert!(lines.any(|line| line == "relate-imap is ready."));
    assert!(lines.any(|line| line.contains("(shown this once)")));
}

#[test]
fn up_without_tls_prints_lines_for_the_plain_port() {
    let place = Place::new();
    let mut up = Killed(place.command(&["up"]).spawn().unwrap());
    let screen = BufReader::new(up.0.stdout.take().unwrap());
    let mut lines = screen.lines().map_while(Result::ok);
    let url = format!("'imap://localhost:{}/INBOX;MAILINDEX=1'", place.imap);
    assert!(lines.any(|line| line.ends_with(&url)), "{url}");
}

#[test]
fn the_configuration_is_shown_checked_and_explained() {
    let place = Place::new().and(&["Imap:SessionTimeout=45m", "Imap:CertificatePassword=marker"]);
    let shown = place.prints(&["config", "show"], "");
    let line = |key: &str| {
        let found = shown.lines().find(|line| line.starts_with(key));
        found.unwrap_or_else(|| panic!("{key}: {shown}")).to_owned()
    };
    let set = line("Imap:SessionTimeout");
    assert!(set.contains(" 45m ") && set.contains("--set"), "{set}");
    assert!(line("Imap:ShutdownTimeout").ends_with("default"), "{shown}");
    assert!(!shown.contains("marker"), "a secret: {shown}");
    place.prints(&["config", "check"], "");
    let explained = place.prints(&["config", "docs"], "");
    assert!(explained.contains("| `SessionTimeout` |"), "{explained}");
    let sample = place.prints(&["config", "docs", "--sample"], "");
    assert!(sample.contains("\"SessionTimeout\": "), "{sample}");
    let wrong = place.and(&["Imap:SessionTimeout=never", "Limits:Literals=0"]);
    let done = wrong.run(&["config", "check"], "");
    assert_eq!(done.code, 2, "{}{}", done.out, done.err);
    let told = done.out + &done.err;
    for key in ["Imap:SessionTimeout", "Limits:Literals"] {
        assert!(told.contains(key), "{told}");
    }
}

#[test]
fn completions_and_the_manual_are_printed() {
    let place = Place::new();
    let script = place.prints(&["completions", "bash"], "");
    assert!(script.contains("complete ") && script.contains("app-password"));
    let page = place.prints(&["man"], "");
    assert!(page.starts_with('.') || page.contains("\n.TH "), "{page}");
    assert!(page.contains("EXIT STATUS"), "{page}");
    let pages = place.prints(&["man", "--markdown"], "");
    assert!(pages.contains("## `relate-imap account add`"), "{pages}");
}

/// The first line a server says.
fn greeting(stream: impl std::io::Read) -> String {
    let mut line = String::new();
    // Nothing, if nobody is served.
    let _ = BufReader::new(stream).read_line(&mut line);
    line
}

#[test]
fn each_listener_is_where_it_is_set() {
    let (imap, lmtp) = (free_port(), free_port());
    let place = Place::new().and(&[
        "Imap:ServerName=mail.example",
        "Imap:Addresses=127.0.0.2, 127.0.0.4",
        &format!("Imap:Port={imap}"),
        "Lmtp:Addresses=127.0.0.3",
        &format!("Lmtp:Port={lmtp}"),
        "Lmtp:SocketPath=elsewhere/in.sock",
    ]);
    let _serving = place.serve();
    for (last, port, said) in [
        (2, imap, Some("* OK")),
        (4, imap, Some("* OK")),
        (1, imap, None),
        (3, lmtp, Some("220 ")),
        (1, lmtp, None),
        (1, place.imap, None),
    ] {
        let stream = TcpStream::connect((Ipv4Addr::new(127, 0, 0, last), port));
        assert_eq!(stream.is_ok(), said.is_some(), "127.0.0.{last}:{port}");
        if let (Ok(stream), Some(said)) = (stream, said) {
            let line = greeting(stream);
            assert!(
                line.starts_with(said) && line.contains("mail.example"),
                "{line}"
            );
        }
    }
    let socket = UnixStream::connect(place.store().join("elsewhere/in.sock"));
    let line = greeting(socket.unwrap());
    assert!(line.starts_with("220 mail.example"), "{line}");
    assert!(!place.store().join("run/lmtp.sock").exists());
}

#[test]
fn listeners_are_off_where_that_is_set() {
    let health = free_port();
    let place = Place::new().and(&[
        "Imap:Port=0",
        "Lmtp:SocketPath=",
        &format!("HealthCheck:Url=http://127.0.0.1:{health}"),
    ]);
    let _serving = place.serve();
    assert!(TcpStream::connect(("127.0.0.1", place.imap)).is_err());
    assert!(!place.store().join("run/lmtp.sock").exists());
    let mut stream = TcpStream::connect(("127.0.0.1", health)).unwrap();
    stream
        .write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    assert!(greeting(stream).starts_with("HTTP/1.1 200"));
}

#[test]
fn as_many_connections_of_an_address_are_taken_as_are_set() {
    for (set, trusted, greeted) in [
        ("Limits:ConnectionsPerAddress=2", "192.0.2.0/24", 2),
        ("Limits:NewConnectionsPerMinute=3", "192.0.2.0/24", 3),
        ("Limits:ConnectionsPerAddress=2", "127.0.0.0/8", 5),
    ] {
        let trusted = format!("Limits:TrustedNetworks={trusted}");
        let place = Place::new().and(&[set, &trusted]);
        let _serving = place.serve();
        let streams: Vec<_> = (0..5)
            .map(|_| TcpStream::connect(("127.0.0.1", place.imap)).unwrap())
            .collect();
        let said: Vec<_> = streams.iter().map(greeting).collect();
        let welcome = said.iter().filter(|line| line.starts_with("* OK")).count();
        assert_eq!(welcome, greeted, "{set} {trusted}: {said:?}");
        let refused = said.iter().filter(|line| line.starts_with("* BYE")).count();
        assert_eq!(refused, 5 - greeted, "{set} {trusted}: {said:?}");
    }
}

#[test]
fn a_server_that_is_told_to_stop_says_bye_and_ends_well() {
    let place = Place::new();
    let mut serving = place.serve();
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", place.imap)).unwrap());
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    let process = rustix::process::Pid::from_raw(i32::try_from(serving.0.id()).unwrap()).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    line.clear();
    stream.read_line(&mut line).unwrap();
    assert!(line.starts_with("* BYE "), "{line}");
    assert!(serving.0.wait().unwrap().success());
    assert!(!place.store().join("run/admin.sock").exists());
    assert!(!place.store().join("run/lmtp.sock").exists());
}

/// Two sessions of a command, one told to end and one cut off.
/// Closing a socket resets who waits in its queue: they are accepted first, and told.
#[test]
fn who_is_not_accepted_yet_when_the_server_stops_is_told_so_or_answered() {
    let mut place = Place::new();
    let (http, lmtp) = (free_port(), free_port());
    place
        .settings
        .retain(|one| one != "HealthCheck:Url=" && one != "Lmtp:Port=0");
    place.settings.extend([
        format!("HealthCheck:Url=http://127.0.0.1:{http}"),
        format!("Lmtp:Port={lmtp}"),
    ]);
    let mut serving = place.serve();
    let tell = |serving: &Killed, signal| {
        let process = rustix::process::Pid::from_child(serving);
        rustix::process::kill_process(process, signal).unwrap();
    };
    tell(&serving, rustix::process::Signal::STOP);
    let connected = |port| TcpStream::connect(("127.0.0.1", port)).unwrap();
    let waiting: Vec<_> = (0..20).map(|_| connected(place.imap)).collect();
    let (mut sender, mut monitor) = (connected(lmtp), connected(http));
    let request = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
    monitor.write_all(request).unwrap();
    tell(&serving, rustix::process::Signal::TERM);
    tell(&serving, rustix::process::Signal::CONT);
    let said = |stream: &mut TcpStream| {
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    };
    for mut stream in waiting {
        let said = said(&mut stream);
        assert!(
            said.starts_with("* OK") && said.contains("\r\n* BYE"),
            "{said:?}"
        );
    }
    let told = said(&mut sender);
    assert!(
        told.starts_with("220 ") && told.contains("\r\n421 "),
        "{told:?}"
    );
    assert!(said(&mut monitor).starts_with("HTTP/1.1 200"));
    assert_eq!(serving.wait().unwrap().code(), Some(0));
}

#[test]
fn log_tells_what_is_there_and_what_it_cannot_read() {
    let place = Place::new();
    place.prints(
        &["account", "add", "tim", "--password-stdin"],
        PASSWORD_LINE,
    );
    for n in 1..=3 {
        let message = format!("Subject: marker-{n}\n\nhi\n");
        place.prints(&["deliver", "tim"], &message);
    }
    let segment = place.store().join("log/00000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(8).position(|word| word == b"marker-2");
    bytes[at.unwrap()] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let told = place.run(&["log", "--kind", "delivered"], "");
    assert_eq!(
        (told.code, told.out.lines().count()),
        (0, 2),
        "{}",
        told.out
    );
    for text in [
        "a part of the log cannot be read",
        "segment 1, bytes ",
        "relate-imap check",
    ] {
        assert!(told.err.contains(text), "{text}: {}", told.err);
    }
    place.fails(&["check"], "", 5, "");
}

/// While one server takes the place of another nobody has the store open.
#[test]
fn deliver_leaves_the_store_alone_while_a_server_is_there() {
    let place = Place::new();
    place.prints(
        &["account", "add", "tim", "--password-stdin"],
        PASSWORD_LINE,
    );
    let mut settings = place.settings.clone();
    settings.push("Lmtp:SocketPath=".to_owned());
    let place = Place { settings, ..place };
    let run = place.store().join("run");
    std::fs::create_dir_all(&run).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(run.join("admin.sock")).unwrap();
    place.fails(
        &["deliver", "tim"],
        "Subject: x\n\nx\n",
        75,
        "takes no mail",
    );
    drop(socket);
    place.prints(&["deliver", "tim"], "Subject: x\n\nx\n");
}

fn tunnel(place: &Place) {
    let talk = "a SELECT INBOX\r\nb LOGIN tim x\r\nc STARTTLS\r\nd APPEND INBOX {4+}\r\nx\r\n\r\ne LOGOUT\r\n";
    let said = place.prints(&["session", "--account", "T@x"], talk);
    assert!(
        said.starts_with("* PREAUTH [CAPABILITY IMAP4rev2 "),
        "{said}"
    );
    assert!(!said.lines().next().unwrap().contains("STARTTLS"), "{said}");
    for answer in ["a OK", "b BAD", "c BAD", "d OK", "e OK"] {
        assert!(said.contains(&format!("\r\n{answer}")), "{answer}: {said}");
    }
    let said = place.prints(&["session", "--account", "tim"], "a NOOP\r\n");
    assert!(said.contains("a OK"), "{said}");
    let nobody = ["session", "--account", "nobody"];
    place.fails(&nobody, "", 1, "no such account");
}

#[test]
fn a_session_through_pipes_with_and_without_a_server() {
    let place = Place::new();
    let session = ["session", "--account", "tim"];
    place.fails(&session, "", 1, "no mail store");
    let add = [
        "account",
        "add",
        "tim",
        "--alias",
        "t@x",
        "--password-stdin",
    ];
    place.prints(&add, PASSWORD_LINE);
    tunnel(&place);
    let serving = place.serve();
    tunnel(&place);
    // As many at a time as there are, and none waits for its input to end.
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut child = place.command(&session).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        out.read_line(&mut greeting).unwrap();
        assert!(greeting.starts_with("* PREAUTH"), "{greeting}");
        open.push((child, out));
    }
    for (child, out) in &mut open {
        let stdin = child.stdin.as_mut().unwrap();
        stdin.write_all(b"a SELECT INBOX\r\nb LOGOUT\r\n").unwrap();
        let mut said = String::new();
        out.read_to_string(&mut said).unwrap();
        assert!(
            said.contains("* 2 EXISTS") && said.contains("b OK"),
            "{said}"
        );
        assert!(child.wait().unwrap().success());
    }
    drop(serving);
    assert!(place.prints(&["check"], "").contains("yes"));
}

#[test]
fn a_server_without_logins_greets_with_preauth_and_is_well() {
    let mut place = Place::new();
    place.prints(
        &["account", "add", "tim", "--password-stdin"],
        PASSWORD_LINE,
    );
    let health = free_port();
    place
        .settings
        .retain(|setting| !setting.starts_with("HealthCheck"));
    place
        .settings
        .push("Imap:RequireAuthentication=false".to_owned());
    place.fails(&["serve"], "", 2, "Imap:PreauthAccount");
    place.settings.extend([
        "Imap:PreauthAccount=tim".to_owned(),
        format!("HealthCheck:Url=http://127.0.0.1:{health}"),
    ]);
    let _serving = place.serve();
    let mut stream = TcpStream::connect(("127.0.0.1", place.imap)).unwrap();
    stream.write_all(b"a SELECT INBOX\r\nb LOGOUT\r\n").unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(
        said.starts_with("* PREAUTH ") && said.contains("\r\na OK"),
        "{said}"
    );
    let asked = place.prints(&["healthcheck"], "");
    assert!(asked.contains("Healthy"), "{asked}");
    let mut elsewhere = Place::new();
    elsewhere.settings.extend([
        "Imap:RequireAuthentication=false".to_owned(),
        "Imap:PreauthAccount=tim".to_owned(),
        "Imap:Addresses=0.0.0.0".to_owned(),
    ]);
    elsewhere.fails(&["serve"], "", 2, "Imap:Addresses = 0.0.0.0");
}

/// A store as the first version left it, before accounts had app passwords: one account with one
/// message, with its index or without.
fn old_store(place: &Place, files: &[&str]) {
    let old = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/store-of-2026-11-22");
    for file in files {
        let to = place.store().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(old.join(file), &to).unwrap();
    }
}

#[test]
fn a_store_of_the_first_version_opens_and_its_account_gets_app_passwords() {
    let files = ["id", "log/00000001.seg", "index/index.redb"];
    for files in [&files[..], &files[..2]] {
        let place = Place::new();
        old_store(&place, files);
        let shown = place.prints(&["account", "show", "t@example.org"], "");
        assert!(
            shown.contains("1000000") && shown.contains("messages        1"),
            "{shown}"
        );
        let add = ["app-password", "add", "tim@example.org", "phone"];
        assert!(place.prints(&add, "").contains("scram_user"));
        let serving = place.serve();
        assert!(
            place
                .login("tim@example.org", "tanstaaf")
                .starts_with("a OK")
        );
        // The login made of the old hash what new accounts have.
        let without = place.prints(&["account", "list", "--without-scram"], "");
        assert!(!without.contains("tim"), "{without}");
        drop(serving);
        let list = ["app-password", "list", "tim@example.org"];
        assert!(place.prints(&list, "").contains("phone"));
        assert!(place.prints(&["check"], "").contains("yes"));
    }
}

/// What a server logs in this format while strangers are refused, and what fail2ban's filter makes
/// of it.
fn refusals(format: &str) -> (Vec<String>, String) {
    let mut place = Place::new();
    let http = free_port();
    place.settings.retain(|one| one != "HealthCheck:Url=");
    place.settings.extend([
        "Limits:TrustedNetworks=".to_owned(),
        "Limits:NewConnectionsPerMinute=5".to_owned(),
        format!("Logging:Format={format}"),
        format!("HealthCheck:Url=http://127.0.0.1:{http}"),
        "HealthCheck:Token=0123456789abcdef".to_owned(),
    ]);
    place.prints(
        &["account", "add", "tim", "--password-stdin"],
        PASSWORD_LINE,
    );
    let mut child = place.command(&["serve"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut serving = Killed(child);
    let mut first = String::new();
    while !first.contains("serving") {
        first.clear();
        assert!(log.read_line(&mut first).unwrap() > 0, "no server");
    }
    let say_to = |port, lines: &str| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // It may close before it has read all of it.
        let _ = stream.write_all(lines.as_bytes());
        let _ = stream.read_to_string(&mut String::new());
    };
    let say = |lines: &str| say_to(place.imap, lines);
    let status = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    say_to(
        http,
        &format!("{status}Authorization: Bearer wrong5\r\n\r\n"),
    );
    // Of this one only the proxy's address is known: nobody is to be kept out for it.
    let relayed = "X-Forwarded-For: 10.9.9.9 address=10.9.9.9\r\n";
    say_to(
        http,
        &format!("{status}{relayed}Authorization: Bearer wrong6\r\n\r\n"),
    );
    // The first two wait for an end of their own and are ended by the third failure.
    say(
        "a LOGIN tim wrong1\r\nb LOGIN \"x address=10.9.9.9\" wrong2\r\nc LOGIN \"refused reason=banned address=10.9.9.9 \\\"\" wrong3\r\n",
    );
    say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    say("a ID (\"name\" \"reason=banned address=10.9.9.9\")\r\nb LOGIN tim wrong4\r\nc LOGOUT\r\n");
    say("a LOGOUT\r\n");
    say("a LOGOUT\r\n");
    // One too many in this minute.
    say("a LOGOUT\r\n");
    let _ = serving.0.kill();
    let lines: Vec<String> = log.lines().map_while(Result::ok).collect();
    let file = place.directory.path().join("log");
    std::fs::write(&file, lines.join("\n")).unwrap();
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/fail2ban/hosts.py");
    let read = Command::new("python3")
        .arg(root)
        .arg(&file)
        .output()
        .unwrap();
    let hosts = String::from_utf8(read.stdout).unwrap();
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    (lines, hosts)
}

#[test]
fn refusals_are_lines_that_fail2ban_reads() {
    for format in ["Human", "Json"] {
        let (lines, hosts) = refusals(format);
        let log = lines.join("\n");
        assert!(!log.contains('\u{1b}'), "colours in a file: {log}");
        // Four logins, one connection for their number, one for what it sent, one too many, a token.
        assert_eq!(hosts, "127.0.0.1\n".repeat(8), "{format}: {log}");
        let refused = lines
            .iter()
            .filter(|line| line.contains("too many") || line.contains("efused"));
        assert!(refused.count() >= 7, "{log}");
        for reason in [
            "login-failed",
            "login-failures",
            "bad-commands",
            "new-connections-per-minute",
            "status-token",
        ] {
            assert!(log.contains(reason), "{format}, {reason}: {log}");
        }
        assert!(!log.contains("wrong"), "a password: {log}");
    }
}

#[test]
fn bench_measures_beside_the_store_and_leaves_nothing() {
    let place = Place::new();
    place.prints(
        &["account", "add", "a@x", "--password-stdin"],
        PASSWORD_LINE,
    );
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(place.store())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    let before = names();
    let measured = place.prints(&["bench", "--json"], "");
    let measured: serde_json::Value = serde_json::from_str(&measured).unwrap();
    for key in [
        "sync_p50_ms",
        "append_per_s_one_client",
        "fetch_per_s",
        "search_messages_per_s",
    ] {
        assert!(measured[key].as_f64().unwrap() > 0.0, "{key}: {measured}");
    }
    assert!(
        measured["verdict"][0]
            .as_str()
            .unwrap()
            .contains("this disk syncs in")
    );
    assert_eq!(names(), before);
    // Stopped in the middle, it removes what it made too.
    let child = place.command(&["bench"]).spawn().unwrap();
    while names() == before {
        std::thread::yield_now();
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(
        String::from_utf8(done.stderr)
            .unwrap()
            .contains("was stopped")
    );
    assert_eq!(names(), before);
}
