//! Who is connected, ending that, and listening to it: `who`, `kick` and `trace` beside a running
//! server.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    io::{BufRead as _, BufReader, Lines, Write as _},
    net::TcpStream,
    process::{ChildStdout, Command},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tempfile::TempDir;

mod support;

use support::{Killed, free_port, output, program};

/// What every secret of these tests begins with; only a secret does.
const MARK: &str = "Geheim7Qx9";

/// A server with accounts anna and ben, whose password is secret.
struct Place {
    directory: TempDir,
    settings: Vec<String>,
    imap: u16,
    _server: Killed,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let imap = free_port();
        let settings = vec![
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Port=0".to_owned(),
            "HealthCheck:Url=".to_owned(),
            "Limits:LoginFailureDelays=0s".to_owned(),
            "Limits:LoginFailures=50".to_owned(),
            "Limits:LoginFailuresPerMinute=100".to_owned(),
            "Limits:BadCommandsBeforeLogin=50".to_owned(),
        ];
        let mut child = program(directory.path(), &settings, &["serve"])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(
            lines
                .by_ref()
                .map_while(Result::ok)
                .any(|line| line.contains("serving"))
        );
        std::thread::spawn(move || lines.count());
        let place = Self {
            directory,
            settings,
            imap,
            _server: Killed(child),
        };
        for name in ["anna@x", "ben@x"] {
            let add = ["account", "add", name, "--password-stdin"];
            let done = output(place.command(&add), &format!("{MARK}\n"));
            assert!(done.status.success());
        }
        place
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program(self.directory.path(), &self.settings, arguments)
    }

    fn prints(&self, arguments: &[&str]) -> String {
        let done = output(self.command(arguments), "");
        let err = String::from_utf8(done.stderr).unwrap();
        assert!(done.status.success(), "{arguments:?}: {err}");
        String::from_utf8(done.stdout).unwrap()
    }

    fn rows(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        serde_json::from_str(&self.prints(arguments)).unwrap()
    }

    /// A trace that has begun.
    fn trace(&self, arguments: &[&str]) -> Trace {
        let mut child = self.command(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(first.starts_with("-- following"), "{first}");
        Trace {
            lines,
            _child: Killed(child),
        }
    }

    fn client(&self) -> Client {
        let mut client = Client(BufReader::new(
            TcpStream::connect(("127.0.0.1", self.imap)).unwrap(),
        ));
        client.line();
        client
    }

    fn logged_in(&self, name: &str) -> Client {
        let mut client = self.client();
        assert!(
            client
                .answer("l", &format!("LOGIN {name} {MARK}"))
                .contains("l OK")
        );
        client
    }
}

struct Trace {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Killed,
}

impl Trace {
    /// What is told up to a line that holds this.
    fn until(&mut self, text: &str) -> String {
        let mut told = String::new();
        loop {
            let line = self.lines.next().expect("the trace goes on").unwrap();
            told.push_str(&line);
            told.push('\n');
            if line.contains(text) {
                return told;
            }
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// Everything up to the line that begins with this.
    fn until(&mut self, begin: &str) -> String {
        let mut all = String::new();
        loop {
            let line = self.line();
            assert!(!line.is_empty(), "the connection ended: {all}");
            all.push_str(&line);
            if line.starts_with(begin) {
                return all;
            }
        }
    }

    fn answer(&mut self, tag: &str, command: &str) -> String {
        self.send(&format!("{tag} {command}\r\n"));
        self.until(&format!("{tag} "))
    }
}

#[test]
fn sessions_are_listed_and_told_to_end() {
    let place = Place::new();
    let mut anna = place.logged_in("anna@x");
    anna.answer("i", "ID (\"name\" \"Mail\" \"version\" \"1\")");
    anna.answer("s", "SELECT INBOX");
    let mut second = place.logged_in("anna@x");
    let mut ben = place.logged_in("ben@x");
    ben.answer("i", "ID (\"name\" \"Thunderbird\" \"version\" \"140\")");
    let mut stranger = place.client();
    let rows = place.rows(&["who", "--json"]);
    let users: Vec<_> = rows.iter().map(|row| row["user"].as_str()).collect();
    assert_eq!(users, [Some("anna@x"), Some("anna@x"), Some("ben@x"), None]);
    let first = &rows[0];
    assert_eq!(
        (&first["client"], &first["state"], &first["mailbox"]),
        (&"Mail 1".into(), &"selected".into(), &"INBOX".into())
    );
    assert_eq!(first["workarounds"], serde_json::json!([]));
    assert_eq!(rows[2]["workarounds"], serde_json::json!(["keep-marked"]));
    assert!(place.prints(&["who", "ben@x"]).contains("keep-marked"));
    assert_eq!(place.rows(&["who", "anna@x", "--json"]).len(), 2);
    assert_eq!(
        place
            .rows(&["who", "--address", "192.0.2.1", "--json"])
            .len(),
        0
    );
    let session = first["session"].to_string();
    place.prints(&["kick", "--session", &session]);
    assert!(anna.line().starts_with("* BYE "));
    assert!(place.prints(&["kick", "anna@x"]).contains("sessions  "));
    assert!(second.line().starts_with("* BYE "));
    assert!(ben.answer("n", "NOOP").contains("n OK"));
    let nobody = output(
        place.command(&["kick", "anna@x", "--address", "192.0.2.1"]),
        "",
    );
    assert_eq!(nobody.status.code(), Some(1));
    assert!(String::from_utf8(nobody.stderr).unwrap().contains("who"));
    place.prints(&["kick", "--address", "127.0.0.1"]);
    assert!(ben.line().starts_with("* BYE "));
    assert!(stranger.line().starts_with("* BYE "));
}

#[test]
fn a_trace_tells_one_users_sessions_also_those_that_come_later() {
    let place = Place::new();
    let mut there = place.logged_in("anna@x");
    let mut trace = place.trace(&["trace", "anna@x"]);
    there.answer("t1", "NOOP");
    let told = trace.until("S: t1 OK");
    assert!(told.contains("C: t1 NOOP"), "{told}");
    let mut other = place.logged_in("ben@x");
    other.answer("o1", "NOOP");
    let mut later = place.logged_in("anna@x");
    later.answer("t2", "SELECT \"\u{1b}[2J\"");
    later.answer("t3", "NOOP");
    let told = trace.until("S: t3 OK");
    assert!(told.contains("C: t3 NOOP"), "{told}");
    assert!(!told.contains("o1") && !told.contains('\u{1b}'), "{told}");
    drop(trace);
    assert!(
        there.answer("t4", "NOOP").contains("t4 OK"),
        "nobody listens any more"
    );
    let unknown = output(place.command(&["trace", "nobody@x"]), "");
    assert_eq!(unknown.status.code(), Some(1));
}

/// Every way to send a secret, right and wrong.
fn give_secrets_away(place: &Place) {
    let plain = STANDARD.encode(format!("\0anna@x\0{MARK}"));
    let mut client = place.client();
    client.answer("a1", &format!("LOGIN anna@x {MARK}wrong"));
    client.answer("a2", &format!("LOGIN \"anna@x\" \"{MARK}wrong\""));
    client.answer("a3", &format!("LOGIN anna@x {{15+}}\r\n{MARK}wrong"));
    client.answer("a4", &format!("LOGN anna@x {MARK}"));
    client.answer("a5", &format!("AUTHENTICATE NOPE {plain}"));
    client.answer("a6", &format!("LOGIN anna@x {MARK} {MARK}"));
    client.send("a7 AUTHENTICATE PLAIN\r\n");
    client.until("+");
    client.send(&format!(
        "{}\r\n",
        STANDARD.encode(format!("\0anna@x\0{MARK}no"))
    ));
    client.until("a7 ");
    client.send("a8 AUTHENTICATE LOGIN\r\n");
    client.until("+");
    client.send(&format!("{}\r\n", STANDARD.encode("anna@x")));
    client.until("+");
    client.send(&format!("{}\r\n", STANDARD.encode(format!("{MARK}no"))));
    client.until("a8 ");
    assert!(
        client
            .answer("a9", &format!("AUTHENTICATE PLAIN {plain}"))
            .contains("a9 OK")
    );
    client.answer("b1", &format!("LOGIN anna@x {MARK}"));
    client.answer("b2", &format!("AUTHENTICATE PLAIN {plain}"));
    let message = format!("Subject: {MARK}\r\n\r\n{MARK}\r\n");
    let append = format!("APPEND INBOX {{{}+}}\r\n{message}", message.len());
    assert!(client.answer("b3", &append).contains("b3 OK"));
    client.answer("b4", "SELECT INBOX");
    let fetched = client.answer("b5", "FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT])");
    assert!(fetched.contains(MARK), "{fetched}");
    client.answer("b6", "LOGOUT");
}

/// No line but those of contents holds a password or what could be one.
fn holds_no_secret(told: &str) {
    let encoded = STANDARD.encode(MARK);
    let shifted = [0, 1, 2].map(|n| STANDARD.encode([&vec![0; n][..], MARK.as_bytes()].concat()));
    let parts = shifted.iter().map(|text| &text[4..text.len() - 4]);
    for form in parts.chain([MARK, encoded.as_str()]) {
        assert!(!told.contains(form), "{form}: {told}");
    }
}

#[test]
fn contents_are_in_a_trace_for_who_asks_and_two_hear_the_same() {
    let place = Place::new();
    let address = ["trace", "--address", "127.0.0.1"];
    let mut trace = place.trace(&address);
    let mut beside = place.trace(&[&address[..], &["--bodies"]].concat());
    give_secrets_away(&place);
    let (told, more) = (trace.until("S: b6 OK"), beside.until("S: b6 OK"));
    holds_no_secret(&told);
    let said = |told: &str| {
        let lines = told.lines().filter_map(|line| line.split_once('#'));
        let lines = lines.map(|(_, line)| line.to_owned());
        lines.collect::<Vec<_>>()
    };
    let is_content = |line: &String| line.contains(" C| ") || line.contains(" S| ");
    let (contents, lines): (Vec<_>, Vec<_>) = said(&more).into_iter().partition(is_content);
    assert_eq!(said(&told), lines);
    holds_no_secret(&lines.join("\n"));
    // A message of two lines with something in them: once sent, once fetched whole and in part.
    for (side, count) in [(" C| ", 1), (" S| ", 2)] {
        let of = |text: &str| {
            let all = contents.iter().filter(|line| line.contains(side));
            all.filter(|line| line.ends_with(text)).count()
        };
        assert_eq!(of(&format!("{side}{MARK}")), count, "{contents:?}");
        assert_eq!(of(&format!("{side}Subject: {MARK}")), 1, "{contents:?}");
    }
}

#[test]
fn no_secret_and_no_content_is_in_a_trace() {
    let place = Place::new();
    let mut trace = place.trace(&["trace", "--address", "127.0.0.1"]);
    give_secrets_away(&place);
    let told = trace.until("S: b6 OK");
    for tag in ["a1", "a3", "a9", "b1", "b3", "b5"] {
        assert!(told.contains(&format!("C: {tag} ")), "{tag}: {told}");
        assert!(told.contains(&format!("S: {tag} ")), "{tag}: {told}");
    }
    assert!(
        told.contains("FETCH (") && told.contains("APPEND INBOX"),
        "{told}"
    );
    holds_no_secret(&told);
}
