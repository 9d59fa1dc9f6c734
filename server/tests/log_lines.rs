//! The lines of the log that docs/logs.md promises, as JSON, from the real program: one each for a
//! login, a session's end, a delivery and a refusal, with all their fields.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::ChildStderr,
};

use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{Killed, free_port, output, program};

struct Server {
    child: Killed,
    log: BufReader<ChildStderr>,
    imap: u16,
    lmtp: u16,
    _directory: TempDir,
}

impl Server {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (imap, lmtp) = (free_port(), free_port());
        let settings = [
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Addresses=127.0.0.1".to_owned(),
            format!("Lmtp:Port={lmtp}"),
            "HealthCheck:Url=".to_owned(),
            "Limits:LoginFailureDelays=0s".to_owned(),
            "Logging:Format=Json".to_owned(),
        ];
        let add = ["account", "add", "tim@localhost", "--password-stdin"];
        let made = output(program(directory.path(), &settings, &add), "secret word\n");
        assert!(made.status.success());
        let mut child = program(directory.path(), &settings, &["serve"])
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut server = Self {
            child: Killed(child),
            log,
            imap,
            lmtp,
            _directory: directory,
        };
        server.line("serving");
        server
    }

    /// The next line with this message.
    fn line(&mut self, message: &str) -> Value {
        let mut line = String::new();
        while self.log.read_line(&mut line).unwrap() > 0 {
            let value: Value = serde_json::from_str(&line).expect("each line is JSON");
            assert!(!line.contains("secret word"), "{line}");
            if value["message"] == message {
                return value;
            }
            line.clear();
        }
        panic!("no line {message}");
    }
}

/// Says everything at once, and reads to the end.
fn converse(port: u16, said: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn has(line: &Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        assert_eq!(line.get(*name), Some(value), "{name} in {line}");
    }
}

fn is_counted(line: &Value, names: &[&str]) {
    for name in names {
        assert!(
            line[*name].as_u64().is_some_and(|count| count > 0),
            "{name} in {line}"
        );
    }
}

fn begins(line: &Value, protocol: &str) {
    let origin = line["origin"].as_str().unwrap();
    assert!(
        origin.starts_with(&format!("{protocol} 127.0.0.1:")),
        "{origin}"
    );
    assert!(
        line["timestamp"].is_string() && line["level"].is_string(),
        "{line}"
    );
    has(
        line,
        &[
            ("protocol", protocol.into()),
            ("address", "127.0.0.1".into()),
        ],
    );
}

#[test]
fn a_delivery_and_a_recipient_that_is_refused() {
    let mut server = Server::new();
    let said = "LHLO x\r\nMAIL FROM:<ann@example.org>\r\nRCPT TO:<tim@localhost>\r\n\
                RCPT TO:<nobody@localhost>\r\nDATA\r\nSubject: hello\r\n\r\n.\r\nQUIT\r\n";
    assert!(converse(server.lmtp, said).contains("250 2."));
    let refused = server.line("recipient refused");
    begins(&refused, "lmtp");
    has(
        &refused,
        &[
            ("user", "nobody@localhost".into()),
            ("from", "ann@example.org".into()),
            ("reason", "unknown-recipient".into()),
        ],
    );
    let delivered = server.line("delivered");
    begins(&delivered, "lmtp");
    has(
        &delivered,
        &[
            ("user", "tim@localhost".into()),
            ("from", "ann@example.org".into()),
        ],
    );
    is_counted(&delivered, &["bytes"]);
    assert!(
        delivered["took_ms"].is_u64() && delivered["id"].is_string(),
        "{delivered}"
    );
}

#[test]
fn a_workaround_is_told_with_its_reason_once_the_client_names_itself() {
    let mut server = Server::new();
    let said = "a ID (\"name\" \"Microsoft Office 365\" \"version\" \"15.2\")\r\nb LOGOUT\r\n";
    assert!(converse(server.imap, said).contains("b OK"));
    let told = server.line("client gets a workaround");
    assert!(told["origin"].as_str().unwrap().starts_with("imap "));
    has(
        &told,
        &[
            ("client", "Microsoft Office 365 15.2".into()),
            ("workaround", "no-uidonly".into()),
            ("level", "INFO".into()),
        ],
    );
    for why in ["what", "because", "link"] {
        assert!(
            told[why].as_str().is_some_and(|text| !text.is_empty()),
            "{told}"
        );
    }
}

#[test]
fn a_login_its_logout_and_what_was_refused() {
    let mut server = Server::new();
    let said = "a LOGIN tim@localhost \"secret word\"\r\nb SELECT INBOX\r\n\
                c APPEND INBOX {4+}\r\nx: y\r\nd FETCH 1 BODY[]\r\ne LOGOUT\r\n";
    assert!(converse(server.imap, said).contains("e OK"));
    let login = server.line("login");
    begins(&login, "imap");
    has(
        &login,
        &[
            ("user", "tim@localhost".into()),
            ("authenticated", "tim@localhost".into()),
        ],
    );
    let logout = server.line("logout");
    begins(&logout, "imap");
    has(
        &logout,
        &[
            ("user", "tim@localhost".into()),
            ("reason", "logout".into()),
            ("commands", 5.into()),
            ("messages", 1.into()),
            ("origin", login["origin"].clone()),
        ],
    );
    is_counted(&logout, &["bytes_in", "bytes_out"]);
    assert!(logout["seconds"].is_u64(), "{logout}");
    converse(server.imap, "a LOGIN tim@localhost wrong\r\nb LOGOUT\r\n");
    let refused = server.line("refused");
    has(
        &refused,
        &[
            ("reason", "login-failed".into()),
            ("address", "127.0.0.1".into()),
            ("user", "tim@localhost".into()),
        ],
    );
    let closed = server.line("connection closed");
    begins(&closed, "imap");
    has(
        &closed,
        &[("reason", "logout".into()), ("commands", 2.into())],
    );
    assert!(closed.get("user").is_none(), "{closed}");
}

#[test]
fn a_session_that_the_server_ends() {
    let mut server = Server::new();
    let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", server.imap)).unwrap());
    let login = b"a LOGIN tim@localhost \"secret word\"\r\n";
    stream.get_mut().write_all(login).unwrap();
    server.line("login");
    let process = i32::try_from(server.child.id()).unwrap();
    let process = rustix::process::Pid::from_raw(process).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.contains("* BYE "), "{said}");
    drop(stream);
    let logout = server.line("logout");
    has(
        &logout,
        &[("reason", "stopping".into()), ("commands", 1.into())],
    );
    assert!(server.child.wait().unwrap().success());
}
