//! `doctor` and `client-setup` as a shell sees them, beside a server that runs and without one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    fs::{self, Permissions},
    io::{BufRead as _, BufReader},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use serde_json::Value;
use tempfile::TempDir;

mod support;

use support::{Killed, free_port, output, program};

struct Place {
    directory: TempDir,
    settings: Vec<String>,
}

impl Place {
    /// A store, a certificate for `localhost`, and ports of its own.
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(at("cert.pem"), made.cert.pem()).unwrap();
        fs::write(at("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(at("key.pem"), Permissions::from_mode(0o600)).unwrap();
        let settings = vec![
            format!("Store:Path={}", at("store")),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={}", free_port()),
            format!("Imap:SecurePort={}", free_port()),
            format!("Imap:CertificatePath={}", at("cert.pem")),
            format!("Imap:CertificateKeyPath={}", at("key.pem")),
            "Lmtp:Addresses=127.0.0.1".to_owned(),
            format!("Lmtp:Port={}", free_port()),
            format!("HealthCheck:Url=http://127.0.0.1:{}", free_port()),
            "Auth:LdapBindPassword=marker-of-a-secret".to_owned(),
        ];
        Self {
            directory,
            settings,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let done = output(
            program(self.directory.path(), &self.settings, arguments),
            "",
        );
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(!text.contains("marker-of-a-secret"), "{text}");
        (done.status.code(), text)
    }

    /// The exit code, and what is wrong: the check and the sentence of each.
    fn doctor(&self) -> (Option<i32>, Vec<(String, String)>) {
        let (code, text) = self.run(&["doctor", "--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        let findings = report["findings"].as_array().unwrap();
        assert!(
            findings
                .iter()
                .all(|one| one["level"] == "fine" || one["next"] != "")
        );
        let wrong = findings.iter().filter(|one| one["level"] == "wrong");
        let told = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
        let wrong = wrong
            .map(|one| (told(one, "check"), told(one, "what")))
            .collect();
        (code, wrong)
    }

    fn serve(&self) -> Killed {
        let mut child = program(self.directory.path(), &self.settings, &["serve"])
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("serving")), "no server");
        // The log is read to its end, so that the server never waits for us.
        std::thread::spawn(move || lines.count());
        Killed(child)
    }
}

#[test]
fn a_server_that_runs_is_well_and_one_that_does_not_is_missed() {
    let place = Place::new();
    let (code, wrong) = place.doctor();
    assert_eq!(code, Some(1));
    assert!(
        wrong.iter().all(|(check, _)| check == "server"),
        "{wrong:?}"
    );
    let _serving = place.serve();
    assert_eq!(place.doctor(), (Some(0), Vec::new()));
    let (code, text) = place.run(&["doctor"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains("server         fine     a server runs"),
        "{text}"
    );
}

#[test]
fn who_holds_a_port_is_named() {
    let mut place = Place::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    place.settings[2] = format!("Imap:Port={port}");
    let (_, wrong) = place.doctor();
    let own = format!("process {}", std::process::id());
    let told = wrong
        .iter()
        .any(|(check, what)| check == "ports" && what.contains(&own));
    assert!(told, "{wrong:?}");
}

#[test]
fn keys_that_everybody_reads_and_keys_that_do_not_fit_are_wrong() {
    let place = Place::new();
    let _serving = place.serve();
    fs::set_permissions(place.path("key.pem"), Permissions::from_mode(0o644)).unwrap();
    let (code, wrong) = place.doctor();
    assert_eq!((code, wrong[0].0.as_str()), (Some(1), "permissions"));
    let other = rcgen::KeyPair::generate().unwrap();
    fs::write(place.path("key.pem"), other.serialize_pem()).unwrap();
    let (_, wrong) = place.doctor();
    let told = |check: &str| wrong.iter().any(|(found, _)| found == check);
    assert!(told("certificate") && told("configuration"), "{wrong:?}");
}

#[test]
fn a_configuration_that_cannot_be_read_is_what_is_wrong() {
    let mut place = Place::new();
    place.settings.push("Imap:Prot=1".to_owned());
    let (code, wrong) = place.doctor();
    assert_eq!((code, wrong[0].0.as_str()), (Some(1), "configuration"));
}

#[test]
fn mail_programs_are_told_what_the_configuration_says() {
    let place = Place::new();
    let setup = |format: &str| {
        let arguments = ["client-setup", "anna@example.org", "--format", format];
        let (code, text) = place.run(&arguments);
        assert_eq!(code, Some(0));
        text
    };
    let port = place.settings[3].split('=').nth(1).unwrap();
    for format in ["text", "autoconfig", "apple", "dns"] {
        let text = setup(format);
        assert!(text.contains(port) && text.contains("localhost"), "{text}");
    }
    let (code, _) = place.run(&["client-setup", "nobody"]);
    assert_eq!(code, Some(1));
}
