//! Secrets are in no output (issue 3): the built server at its most verbose, given marked secrets
//! in every way there is, right places and wrong ones; no line of its log, no error, no answer and
//! no list of settings holds one, as it is or encoded.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    sync::Arc,
    thread::JoinHandle,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

mod support;

use support::{Killed, free_port, output, program};

/// What every secret of these tests begins with; only a secret does.
const MARK: &str = "Geheim7Qx9";

/// A secret that begins with the mark.
fn secret(name: &str) -> String {
    format!("{MARK}{name}tanstaaf")
}

/// The mark in each form in which bytes are written for people or programs.
fn forms() -> Vec<String> {
    let bytes = MARK.as_bytes();
    let numbers = |each: fn(&u8) -> String, between: &str| {
        bytes.iter().map(each).collect::<Vec<_>>().join(between)
    };
    let mut forms = vec![
        MARK.to_owned(),
        MARK.to_lowercase(),
        MARK.chars().rev().collect(),
        numbers(|byte| format!("{byte:02x}"), ""),
        numbers(|byte| format!("{byte:02X}"), ""),
        numbers(|byte| format!("{byte:02x}"), " "),
        numbers(u8::to_string, ", "),
        numbers(u8::to_string, ","),
    ];
    // Base64 depends on where in a group of three the mark begins; whole groups are certain.
    for before in 0..3 {
        let encoded = STANDARD.encode([&vec![0; before][..], bytes].concat());
        let (from, to) = (4 * before.min(1), encoded.len() - 4);
        let certain = encoded.get(from..to).unwrap();
        forms.push(certain.to_owned());
        forms.push(certain.replace('+', "-").replace('/', "_"));
    }
    forms
}

fn holds_no_secret(what: &str, text: &str) {
    let lower = text.to_lowercase();
    for form in forms() {
        let found = text.contains(&form) || lower.contains(&form.to_lowercase());
        assert!(!found, "{what} holds {form}: {text}");
    }
}

struct Place {
    directory: tempfile::TempDir,
    imap: u16,
    imaps: u16,
    lmtp: u16,
    settings: Vec<String>,
}

/// A server, and its log to the end.
struct Serving(Killed, JoinHandle<String>);

impl Serving {
    fn log(mut self) -> String {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        self.1.join().unwrap()
    }
}

impl Place {
    fn new(set: &[String]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let now = server::serve::system_time();
        server::tls::self_signed(directory.path(), now).unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        let (imap, imaps, lmtp) = (free_port(), free_port(), free_port());
        let mut settings = vec![
            format!("Store:Path={}", path("store")),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            format!("Imap:SecurePort={imaps}"),
            format!("Imap:CertificatePath={}", path("cert.pem")),
            format!("Imap:CertificateKeyPath={}", path("key.pem")),
            "Lmtp:Addresses=127.0.0.1".to_owned(),
            format!("Lmtp:Port={lmtp}"),
            "HealthCheck:Url=".to_owned(),
            "Limits:LoginFailureDelays=0s".to_owned(),
            "Limits:LoginFailures=1000".to_owned(),
            "Limits:LoginFailuresPerMinute=1000".to_owned(),
            "Limits:LoginFailuresPerDay=1000".to_owned(),
            "Limits:BadCommandsBeforeLogin=1000".to_owned(),
            "Logging:LogLevel:Default=Trace".to_owned(),
        ];
        settings.extend(set.iter().cloned());
        Self {
            directory,
            imap,
            imaps,
            lmtp,
            settings,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    /// All that a command says, whatever comes of it.
    fn run(&self, arguments: &[&str], input: &str) -> String {
        let done = output(
            program(self.directory.path(), &self.settings, arguments),
            input,
        );
        let all = [done.stdout, done.stderr].concat();
        String::from_utf8(all).unwrap()
    }

    fn serve(&self) -> Serving {
        let mut child = program(self.directory.path(), &self.settings, &["serve"])
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut all = String::new();
        while !all.contains("serving") {
            assert!(log.read_line(&mut all).unwrap() > 0, "no server: {all}");
        }
        let rest = std::thread::spawn(move || {
            log.read_to_string(&mut all).unwrap();
            all
        });
        Serving(Killed(child), rest)
    }

    /// What a client is told that says all this and then no more.
    fn imap(&self, talk: &str) -> String {
        say(
            TcpStream::connect(("127.0.0.1", self.imap)).unwrap(),
            &format!("{talk}\r\nz LOGOUT\r\n"),
        )
    }

    /// The same under TLS.
    fn imaps(&self, talk: &str) -> String {
        let mut roots = RootCertStore::empty();
        let trusted = CertificateDer::from_pem_file(self.path("cert.pem")).unwrap();
        roots.add(trusted).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let client = ClientConnection::new(Arc::new(config), name).unwrap();
        let tcp = TcpStream::connect(("127.0.0.1", self.imaps)).unwrap();
        say(
            StreamOwned::new(client, tcp),
            &format!("{talk}\r\nz LOGOUT\r\n"),
        )
    }
}

fn say(mut stream: impl std::io::Read + std::io::Write, talk: &str) -> String {
    stream.write_all(talk.as_bytes()).unwrap();
    let mut told = Vec::new();
    // It may close before it has read all of it.
    let _ = stream.read_to_end(&mut told);
    String::from_utf8_lossy(&told).into_owned()
}

fn encoded(text: &str) -> String {
    STANDARD.encode(text)
}

/// Every way to give a secret before login, and what is answered to none of them.
fn logins(right: &str) -> Vec<(String, bool)> {
    let wrong = secret("wrong");
    let plain = |password: &str| encoded(&format!("\0tim\0{password}"));
    vec![
        (format!("a LOGIN tim {right}"), true),
        (format!("a LOGIN tim {{{}+}}\r\n{right}", right.len()), true),
        (format!("a AUTHENTICATE PLAIN {}", plain(right)), true),
        (format!("a AUTHENTICATE PLAIN\r\n{}", plain(right)), true),
        (
            format!(
                "a AUTHENTICATE LOGIN\r\n{}\r\n{}",
                encoded("tim"),
                encoded(right)
            ),
            true,
        ),
        (format!("a LOGIN tim {wrong}"), false),
        (format!("a LOGIN nobody {wrong}"), false),
        (format!("a AUTHENTICATE PLAIN {}", plain(&wrong)), false),
        (
            format!(
                "a AUTHENTICATE LOGIN {}\r\n{}",
                encoded("tim"),
                encoded(&wrong)
            ),
            false,
        ),
        // In a wrong place, or cut off.
        (format!("a LOGIN tim {wrong} more"), false),
        (format!("a LOGIN tim \"{wrong}"), false),
        (format!("a LOGIN tim \"{wrong}\"x"), false),
        (format!("a LOGIN tim {wrong}("), false),
        (format!("a LOGIN tim {{4}} {wrong}"), false),
        (format!("a LOGIN tim {{100000+}}\r\n{wrong}"), false),
        (format!("a LOGIN {{3}}\r\ntim {wrong}"), false),
        (format!("a LOG1N tim {wrong}"), false),
        (format!("a PASS {wrong}"), false),
        (wrong.clone(), false),
        (format!("{wrong} LOGIN"), false),
        (format!("a AUTHENTICATE PLAIN {wrong}!"), false),
        (format!("a AUTHENTICATE PLAIN\r\n{wrong}"), false),
        (format!("a AUTHENTICATE PLAIN {}", encoded(&wrong)), false),
        (format!("a AUTHENTICATE {wrong}"), false),
        (
            format!("a AUTHENTICATE OAUTHBEARER {}", encoded(&wrong)),
            false,
        ),
        (format!("a AUTHENTICATE XOAUTH2 {}", encoded(&wrong)), false),
        (
            format!("a AUTHENTICATE SCRAM-SHA-256 {}", encoded(&wrong)),
            false,
        ),
        (format!("a AUTHENTICATE PLAIN\r\n*{wrong}"), false),
        (format!("a STARTTLS\r\nb LOGIN tim {wrong}"), false),
        (format!("a STARTTLS {wrong}"), false),
        (format!("a SELECT {wrong}"), false),
    ]
}

/// Gives secrets to the server in every way it has.
fn talk(place: &Place, right: &str) {
    for (login, is_right) in logins(right) {
        for under_tls in [false, true] {
            let starttls = login.contains("STARTTLS");
            if under_tls && starttls {
                continue;
            }
            let told = match under_tls {
                true => place.imaps(&login),
                false => place.imap(&login),
            };
            assert_eq!(
                told.contains("\na OK [CAPABILITY"),
                is_right,
                "{login}: {told}"
            );
            // A tag is given back: who sends a password for one is told what it sent.
            if !login.starts_with(MARK) {
                holds_no_secret(&login, &told);
            }
        }
    }
    let lmtp = TcpStream::connect(("127.0.0.1", place.lmtp)).unwrap();
    let wrong = secret("lmtp");
    let lines = format!(
        "LHLO x\r\nAUTH PLAIN {}\r\nPASS {wrong}\r\nQUIT\r\n",
        encoded(&wrong)
    );
    holds_no_secret("LMTP", &say(lmtp, &lines));
}

/// Gives secrets to the socket of administration as nobody should.
fn bad_requests(place: &Place) {
    let wrong = secret("request");
    for request in [
        format!("{{\"account_passwd\":{{\"name\":\"tim\",\"password\":\"{wrong}\"}}}}"),
        format!("{{\"{wrong}\":1}}"),
        format!("\"{wrong}\""),
        format!(
            "{{\"account_passwd\":{{\"name\":\"tim\",\"password\":{{\"hash\":[\"{wrong}\"]}}}}}}"
        ),
        wrong.clone(),
    ] {
        let socket = UnixStream::connect(place.path("store/run/admin.sock")).unwrap();
        let told = say(socket, &format!("{request}\n"));
        assert!(told.contains("does not understand"), "{told}");
        holds_no_secret(&request, &told);
    }
}

#[test]
fn threat_07_no_secret_of_accounts_is_in_any_output() {
    let place = Place::new(&[]);
    let (old, right) = (secret("old"), secret("main"));
    let add = ["account", "add", "tim", "--password-stdin"];
    holds_no_secret("account add", &place.run(&add, &format!("{old}\n")));
    let serving = place.serve();
    let passwd = ["account", "passwd", "tim", "--password-stdin"];
    for (arguments, input) in [
        (&passwd[..], format!("{right}\n")),
        (&add, format!("{right}\n")),
        (
            &["account", "passwd", "nobody", "--password-stdin"],
            format!("{right}\n"),
        ),
        (
            &["account", "passwd", "tim", "--password-hash-stdin"],
            format!("{right}\n"),
        ),
        (
            &["account", "passwd", "tim", "--password-hash-stdin"],
            format!("{{PLAIN}}{right}\n"),
        ),
        (
            &["account", "passwd", "tim", "--password-stdin"],
            format!("{right}\0\n"),
        ),
        (&["account", "show", "tim"], String::new()),
        (&["account", "list", "--json"], String::new()),
        (&passwd, format!("{right}\n")),
    ] {
        holds_no_secret(&arguments.join(" "), &place.run(arguments, &input));
    }
    talk(&place, &right);
    bad_requests(&place);
    let app = app_password(&place);
    let log = serving.log();
    assert!(
        log.contains("TRACE") && log.contains("command=\"LOGIN\""),
        "not verbose"
    );
    assert!(
        log.contains("by=app password") || log.contains("app password phone"),
        "{log}"
    );
    assert!(!log.contains(&app), "the log holds an app password: {log}");
    assert!(!log.contains(&encoded(&app)[..12]), "{log}");
    holds_no_secret("the log", &log);
}

/// Makes an app password, uses it, and revokes it; nothing but its making shows it.
fn app_password(place: &Place) -> String {
    let made = place.run(&["app-password", "add", "tim", "phone", "--json"], "");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let password = made["password"].as_str().unwrap().to_owned();
    let plain = encoded(&format!("\0tim\0{password}"));
    for login in [
        format!("a LOGIN tim {password}"),
        format!("a AUTHENTICATE PLAIN {plain}"),
        format!("a LOGIN tim {password} more"),
        format!("a LOGIN nobody {password}"),
    ] {
        assert!(!place.imap(&login).contains(&password));
    }
    for arguments in [["list", "tim"].as_slice(), &["revoke", "tim", "phone"]] {
        let all = [&["app-password"], arguments].concat();
        assert!(!place.run(&all, "").contains(&password));
    }
    password
}

/// A configuration file with this text.
fn configured(directory: &Path, text: &str) -> String {
    let file = directory.join("appsettings.json");
    fs::write(&file, text).unwrap();
    file.display().to_string()
}

#[test]
fn threat_07_no_secret_of_the_configuration_is_in_any_output() {
    let place = Place::new(&[
        format!("Auth:LdapBindPassword={}", secret("directory")),
        format!("Imap:CertificatePassword={}", secret("certificate")),
        "Auth:Backend=Ldap".to_owned(),
        format!("Auth:LdapUrl=ldap://127.0.0.1:{}", free_port()),
        "Auth:LdapStartTls=false".to_owned(),
        "Auth:LdapBase=dc=example".to_owned(),
        "Auth:LdapBindDn=cn=reader".to_owned(),
    ]);
    for arguments in [
        &["config", "show"][..],
        &["config", "show", "--json"],
        &["config", "check"],
        &["tls", "check"],
        &["check"],
    ] {
        holds_no_secret(&arguments.join(" "), &place.run(arguments, ""));
    }
    let serving = place.serve();
    for (login, _) in logins(&secret("main")).into_iter().take(6) {
        holds_no_secret(&login, &place.imap(&login));
    }
    let log = serving.log();
    assert!(log.contains("DEBUG"), "not verbose: {log}");
    holds_no_secret("the log", &log);
}

#[test]
fn threat_07_no_secret_of_a_wrong_configuration_is_in_any_output() {
    let place = Place::new(&[]);
    let secret = secret("config");
    let sections = [
        format!("{{\"Auth\":{{\"LdapBindPassword\":\"{secret}\" 1}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPassword\":[\"{secret}\"]}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPassword\":{{\"x\":\"{secret}\"}}}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPassword\":\"{secret}\\u0000\"}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPasword\":\"{secret}\"}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPassword\":{secret}}}}}"),
        format!("{{\"Auth\":{{\"LdapBindPassword\":\"{secret}}}}}"),
        format!("{{\"Imap\":{{\"CertificatePassword\":\"{secret}\",\"Port\":\"x\"}}}}"),
    ];
    for section in sections {
        let file = configured(place.directory.path(), &section);
        for command in ["check", "show"] {
            let told = place.run(&["config", command, "--config", &file], "");
            holds_no_secret(&section, &told);
        }
    }
    // A file that is no certificate, opened with a password.
    let nonsense = place.path("nonsense.p12");
    fs::write(&nonsense, [0x30; 400]).unwrap();
    for set in [
        format!("Imap:CertificatePath={}", nonsense.display()),
        format!("Auth:LdapBindPasword={secret}"),
        format!("LdapBindPassword={secret}"),
        format!("Auth:LdapBindPassword:x={secret}"),
    ] {
        let password = format!("Imap:CertificatePassword={secret}");
        let told = place.run(&["config", "check", "--set", &password, "--set", &set], "");
        holds_no_secret(&set, &told);
    }
}

#[test]
fn threat_07_no_secret_of_a_file_of_users_is_in_any_output() {
    let secret = secret("file");
    let directory = tempfile::tempdir().unwrap();
    let users = directory.path().join("users");
    let lines = [
        format!("tim:{{PLAIN}}{secret}"),
        format!("ann {secret}"),
        format!("bob:{secret}"),
        format!("cid:{{NONE}}{secret}"),
        format!("{{PLAIN}}{secret}"),
        format!("dan:{{SHA512-CRYPT}}{secret}"),
    ];
    fs::write(&users, lines.join("\n")).unwrap();
    let place = Place::new(&[
        "Auth:Backend=PasswdFile".to_owned(),
        "Auth:PasswdFileAllowPlain=true".to_owned(),
        "Auth:CreateAccounts=true".to_owned(),
        format!("Auth:PasswdFilePath={}", users.display()),
    ]);
    holds_no_secret("config check", &place.run(&["config", "check"], ""));
    let serving = place.serve();
    for (login, is_right) in logins(&secret) {
        let told = place.imap(&login);
        assert!(!is_right || told.contains("\na OK"), "{login}: {told}");
    }
    let log = serving.log();
    assert!(log.contains("a user is left out"), "{log}");
    holds_no_secret("the log", &log);
}
