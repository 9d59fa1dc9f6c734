//! Tests of certificates: every file form that is read, every mistake that is
//! told, and real handshakes in memory. The files come from `make.sh` beside them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::config::Password;

mod handshakes;
mod reloads;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/tls")
        .join(name)
}

fn source(path: &str, key: Option<&str>, password: Option<&str>) -> CertificateSource {
    CertificateSource {
        path: data(path),
        key_path: key.map(data),
        password: password.map(|secret| Password::new(secret.to_owned())),
    }
}

/// A time at which the committed certificates and new ones are valid.
fn now() -> SystemTime {
    let made = load(&source("together.pem", None, None)).unwrap();
    made.not_after() - Duration::from_secs(50 * 365 * 86_400)
}

#[test]
fn every_form_of_file_is_read_with_its_chain() {
    for (path, key, password, chain) in [
        ("together.pem", None, None, 2),
        ("leaf.pem", Some("leaf.key"), None, 1),
        ("modern.p12", None, Some("secret"), 1),
        ("legacy.p12", None, Some("secret"), 1),
        ("empty-password.p12", None, None, 1),
        ("empty-password.p12", None, Some(""), 1),
        ("unicode.p12", None, Some("pä ß"), 1),
        ("chain.p12", None, Some("secret"), 2),
    ] {
        let certificate = load(&source(path, key, password));
        let certificate = certificate.unwrap_or_else(|problem| panic!("{path}: {problem}"));
        assert_eq!(certificate.chain_length(), chain, "{path}");
        assert_eq!(
            certificate.names(),
            ["mail.example.org", "127.0.0.1"],
            "{path}"
        );
        certificate.check_dates(now()).unwrap();
    }
}

fn check_mistake(source: &CertificateSource, what: &str, next: &str) {
    let problem = load(source).unwrap_err();
    assert!(problem.what.contains(what), "{source:?}: {problem}");
    assert!(problem.next.contains(next), "{source:?}: {problem}");
    assert!(
        problem.to_what.contains("tests/data/tls"),
        "{source:?}: {problem}"
    );
    assert!(!problem.to_string().contains("wrong"), "{problem}");
}

#[test]
fn mistakes_with_pem_are_told_with_the_file_and_a_way_out() {
    for (path, key, what, next) in [
        ("none.pem", None, "cannot be read", "check the path"),
        ("make.sh", None, "neither PEM nor PKCS#12", "PEM file"),
        ("leaf.key", None, "holds no certificate", "chain"),
        (
            "leaf.pem",
            None,
            "holds no private key",
            "CertificateKeyPath",
        ),
        (
            "leaf.pem",
            Some("none.key"),
            "cannot be read",
            "check the path",
        ),
        (
            "leaf.pem",
            Some("encrypted.key"),
            "is encrypted",
            "openssl pkey",
        ),
        (
            "leaf.pem",
            Some("middle.pem"),
            "holds no private key",
            "CertificateKeyPath",
        ),
        (
            "root.pem",
            Some("leaf.key"),
            "does not match",
            "use the key",
        ),
        ("leaf.der", None, "cannot be read", "into PEM"),
    ] {
        check_mistake(&source(path, key, None), what, next);
    }
}

#[test]
fn mistakes_with_pkcs12_are_told_with_the_file_and_a_way_out() {
    for (path, password, what, next) in [
        (
            "modern.p12",
            Some("wrong"),
            "password does not open",
            "CertificatePassword",
        ),
        (
            "modern.p12",
            None,
            "password does not open",
            "CertificatePassword",
        ),
        (
            "legacy.p12",
            Some("wrong"),
            "password does not open",
            "CertificatePassword",
        ),
        (
            "no-key.p12",
            Some("secret"),
            "holds no private key",
            "export",
        ),
    ] {
        check_mistake(&source(path, None, password), what, next);
    }
    let both = source("modern.p12", Some("leaf.key"), Some("secret"));
    check_mistake(
        &both,
        "brings its own key",
        "remove Imap:CertificateKeyPath",
    );
}

#[test]
fn damaged_files_are_problems_and_nothing_worse() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["chain.p12", "together.pem"] {
        let whole = fs::read(data(name)).unwrap();
        let path = directory.path().join(name);
        for end in (0..whole.len()).step_by(41) {
            fs::write(&path, &whole[..end]).unwrap();
            let password = Some(Password::new("secret".to_owned()));
            let cut = CertificateSource {
                path: path.clone(),
                key_path: None,
                password,
            };
            // A PEM cut after its own certificate and key is a shorter chain.
            if let Ok(certificate) = load(&cut) {
                assert_eq!((name, certificate.chain_length()), ("together.pem", 1));
            }
        }
    }
}

#[test]
fn dates_are_checked_against_the_given_time() {
    let certificate = load(&source("together.pem", None, None)).unwrap();
    let late = certificate.check_dates(certificate.not_after() + Duration::from_secs(1));
    assert!(
        late.unwrap_err()
            .what
            .starts_with("the certificate expired on ")
    );
    let early = certificate.check_dates(UNIX_EPOCH);
    assert!(
        early
            .unwrap_err()
            .what
            .starts_with("the certificate is valid only from ")
    );
}

#[test]
fn a_self_signed_certificate_is_private_long_lived_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let inside = directory.path().join("tls");
    let made = self_signed(&inside, now()).unwrap();
    let certificate = load(&made).unwrap();
    assert_eq!(certificate.names(), ["localhost", "127.0.0.1", "::1"]);
    certificate.check_dates(now()).unwrap();
    certificate
        .check_dates(now() + Duration::from_secs(823 * 86_400))
        .unwrap();
    certificate
        .check_dates(now() + Duration::from_secs(825 * 86_400))
        .unwrap_err();
    for file in ["cert.pem", "key.pem"] {
        let mode = fs::metadata(inside.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    assert_eq!(
        fs::metadata(&inside).unwrap().permissions().mode() & 0o777,
        0o700
    );

    let key = fs::read(inside.join("key.pem")).unwrap();
    self_signed(&inside, now() + Duration::from_secs(86_400)).unwrap();
    assert_eq!(
        fs::read(inside.join("key.pem")).unwrap(),
        key,
        "kept while it is valid"
    );
    self_signed(&inside, now() + Duration::from_secs(900 * 86_400)).unwrap();
    assert_ne!(
        fs::read(inside.join("key.pem")).unwrap(),
        key,
        "made again when it is not"
    );
    fs::write(inside.join("key.pem"), "broken").unwrap();
    self_signed(&inside, now()).unwrap();
    load(&made).unwrap();
}
