//! Good and bad configurations, and every form of the answer.

use super::*;
use crate::config::{self, Options};

fn config(settings: &[&str]) -> Config {
    let options = Options {
        set: settings.iter().map(|&s| s.to_owned()).collect(),
        ..Options::default()
    };
    config::load(&options).unwrap().config
}

/// `shared` has a certificate for `mail.example.org`.
fn with_certificate(more: &[&str]) -> (tempfile::TempDir, Config) {
    let directory = tempfile::tempdir().unwrap();
    let names = vec!["mail.example.org".to_owned(), "*.example.net".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (chain, key) = (
        directory.path().join("chain.pem"),
        directory.path().join("key.pem"),
    );
    std::fs::write(&chain, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [
        format!("Imap:CertificatePath={}", chain.display()),
        format!("Imap:CertificateKeyPath={}", key.display()),
    ];
    let mut settings: Vec<&str> = files.iter().map(String::as_str).collect();
    settings.extend(more);
    let config = config(&settings);
    (directory, config)
}

fn anna() -> Wishes {
    Wishes {
        address: Some("anna@example.org".to_owned()),
        ..Wishes::default()
    }
}

#[test]
fn the_certificate_names_a_server_that_has_no_name() {
    let (_files, config) = with_certificate(&[]);
    let setup = gather(&config, anna()).unwrap();
    assert_eq!(setup.host.as_str(), "mail.example.org");
    assert!(setup.warnings.is_empty(), "{:?}", setup.warnings);
    let ways: Vec<_> = setup
        .incoming
        .iter()
        .map(|way| (way.port, way.security))
        .collect();
    assert_eq!(ways, [(993, Security::Tls), (143, Security::StartTls)]);
    let text = setup.text();
    for expected in [
        "mail.example.org",
        "993",
        "SSL/TLS",
        "STARTTLS",
        "anna@example.org",
        "465",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert_eq!(setup.to_json()["incoming"][0]["port"], 993);
}

#[test]
fn a_name_that_the_certificate_does_not_have_is_told() {
    for (name, warned) in [
        ("mail.example.org", false),
        ("imap.example.net", false),
        ("a.b.example.net", true),
        ("imap.example.org", true),
    ] {
        let (_files, config) = with_certificate(&[&format!("Imap:ServerName={name}")]);
        let setup = gather(&config, Wishes::default()).unwrap();
        assert_eq!(
            (setup.host.as_str(), !setup.warnings.is_empty()),
            (name, warned)
        );
    }
}

#[test]
fn without_a_certificate_there_is_a_warning_or_no_way_in() {
    let setup = gather(&config(&[]), Wishes::default()).unwrap();
    assert_eq!(setup.warnings.len(), 2, "{:?}", setup.warnings);
    assert_eq!(
        setup.incoming,
        [Incoming {
            port: 143,
            security: Security::None
        }]
    );
    let never = config(&["Imap:AllowPlaintextAuth=Never"]);
    assert!(
        gather(&never, Wishes::default())
            .unwrap_err()
            .next
            .contains("CertificatePath")
    );
    let unreadable = config(&[
        "Imap:CertificatePath=nowhere.pem",
        "Imap:ServerName=a.example.org",
    ]);
    assert!(
        gather(&unreadable, Wishes::default()).unwrap().warnings[0]
            .what
            .contains("cannot be read")
    );
}

#[test]
fn nothing_is_published_that_sends_passwords_in_the_clear_unless_that_is_wanted() {
    let (_files, secure) = with_certificate(&[]);
    for (config, may) in [
        (secure, true),
        (config(&[]), false),
        (config(&["Imap:AllowPlaintextAuth=Always"]), true),
    ] {
        let setup = gather(&config, anna()).unwrap();
        let published = setup.may_be_published();
        assert_eq!(published.is_ok(), may, "{published:?}");
    }
}

#[test]
fn domains_are_those_asked_for_or_of_the_address_or_of_the_server() {
    let (_files, config) = with_certificate(&[]);
    let domains = |wishes| {
        let setup = gather(&config, wishes).unwrap();
        setup
            .domains
            .iter()
            .map(|d| d.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let asked = vec![
        Domain::parse("A.example").unwrap(),
        Domain::parse("b.example.").unwrap(),
    ];
    assert_eq!(
        domains(Wishes {
            domains: asked,
            ..anna()
        }),
        ["a.example", "b.example"]
    );
    let other = Some("x@other.example".to_owned());
    assert_eq!(
        domains(Wishes {
            address: other,
            ..Wishes::default()
        }),
        ["other.example"]
    );
    assert_eq!(domains(Wishes::default()), ["example.org"]);
    for address in ["anna", "anna@exämple.org", "anna@"] {
        let address = Some(address.to_owned());
        assert!(
            gather(
                &config,
                Wishes {
                    address,
                    ..Wishes::default()
                }
            )
            .is_err()
        );
    }
}

#[test]
fn what_is_given_on_the_command_line_is_checked() {
    for good in ["example.org", "xn--exmple-cua.org", "localhost"] {
        assert!(Domain::parse(good).is_ok(), "{good}");
    }
    for bad in ["", ".", "a..b", "a b", "a/b", "ä.org", &"a".repeat(64)] {
        assert!(Domain::parse(bad).is_err(), "{bad}");
    }
    let outgoing = Outgoing::parse("smtp.example.org:587").unwrap();
    assert_eq!(
        (outgoing.port, outgoing.security()),
        (587, Security::StartTls)
    );
    assert_eq!(
        Outgoing::parse("smtp.example.org").unwrap().security(),
        Security::Tls
    );
    for bad in ["a:0", "a:x", ":465", "a:99999"] {
        assert!(Outgoing::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn documents_escape_what_they_are_given_and_keep_their_identifiers() {
    let (_files, config) = with_certificate(&[]);
    let hostile = Wishes {
        address: Some("<a&\"b'\u{7}>@example.org".to_owned()),
        ..Wishes::default()
    };
    let setup = gather(&config, hostile).unwrap();
    for document in [autoconfig(&setup), apple(&setup)] {
        let escaped = "&lt;a&amp;&quot;b&apos;&gt;@example.org";
        assert!(document.contains(escaped), "{document}");
        assert!(!document.contains('\u{7}'));
    }
    let setup = gather(&config, anna()).unwrap();
    assert_eq!(apple(&setup), apple(&setup));
    let bob = Wishes {
        address: Some("bob@example.org".to_owned()),
        ..Wishes::default()
    };
    assert_ne!(apple(&setup), apple(&gather(&config, bob).unwrap()));
}

#[test]
fn the_zone_names_what_is_offered_and_what_is_not() {
    let (_files, config) = with_certificate(&["Imap:Port=0"]);
    let zone = dns(&gather(&config, anna()).unwrap());
    let records: Vec<String> = zone
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        records,
        [
            "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org.",
            "_imap._tcp.example.org. 3600 IN SRV 10 0 0 .",
            "_pop3s._tcp.example.org. 3600 IN SRV 0 0 0 .",
            "_pop3._tcp.example.org. 3600 IN SRV 0 0 0 .",
            "_submissions._tcp.example.org. 3600 IN SRV 0 1 465 mail.example.org.",
        ]
    );
}
