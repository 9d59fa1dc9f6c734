//! The built server over real sockets: certificates that are replaced while sessions are open,
//! connections that a proxy relays, and `tls check`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader as LineReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, mpsc},
    time::Duration,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

mod support;

use support::{Killed, free_port, output, program};

/// Sessions that are open while the certificate is replaced.
const SESSIONS: usize = 200;
/// How long anything may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);
const PASSWORD: &str = "tanstaaftanstaaf";

/// A directory with a store and a certificate, and ports that are its own.
struct Place {
    directory: tempfile::TempDir,
    imap: u16,
    imaps: u16,
    settings: Vec<String>,
}

/// A server, its log, and its end.
struct Serving {
    child: Killed,
    log: mpsc::Receiver<String>,
}

impl Serving {
    /// Waits for a line of the log.
    fn logs(&self, text: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("the log does not say {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-HUP", &id]).status();
        assert!(sent.unwrap().success());
    }
}

/// Writes a certificate for `localhost` and its key.
fn write_certificate(directory: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), format!("{name}.example")];
    let certificate = CertificateParams::new(names)
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::write(directory.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

impl Place {
    fn new(set: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (imap, imaps) = (free_port(), free_port());
        write_certificate(directory.path(), "server");
        let place = |name: &str| directory.path().join(name).display().to_string();
        let mut settings = vec![
            format!("Store:Path={}", place("store")),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            format!("Imap:SecurePort={imaps}"),
            format!("Imap:CertificatePath={}", place("server.pem")),
            format!("Imap:CertificateKeyPath={}", place("server.key")),
            "Lmtp:Port=0".to_owned(),
        ];
        if !set
            .iter()
            .any(|setting| setting.starts_with("HealthCheck:"))
        {
            settings.push("HealthCheck:Url=".to_owned());
        }
        settings.extend(set.iter().map(|setting| (*setting).to_owned()));
        Self {
            directory,
            imap,
            imaps,
            settings,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program(self.directory.path(), &self.settings, arguments)
    }

    /// The exit code and all output of a command.
    fn run(&self, arguments: &[&str], input: &str) -> (i32, String) {
        let done = output(self.command(arguments), input);
        let text = String::from_utf8(done.stdout).unwrap() + &String::from_utf8_lossy(&done.stderr);
        (done.status.code().unwrap(), text)
    }

    fn serve(&self) -> Serving {
        let add = ["account", "add", "tim", "--password-stdin"];
        let (code, text) = self.run(&add, &format!("{PASSWORD}\n"));
        assert_eq!(code, 0, "{text}");
        let mut child = self.command(&["serve"]).spawn().unwrap();
        let lines = LineReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::sync_channel(100_000);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // Nobody listens any more when the test is over.
                let _ = sender.send(line);
            }
        });
        let serving = Serving {
            child: Killed(child),
            log,
        };
        serving.logs("serving");
        serving
    }

    /// Puts a new certificate and key in the place of the old ones, each by a rename.
    fn renew(&self) -> CertificateDer<'static> {
        write_certificate(self.directory.path(), "renewed");
        let shown = CertificateDer::from_pem_file(self.path("renewed.pem")).unwrap();
        for kind in ["key", "pem"] {
            let (from, to) = (format!("renewed.{kind}"), format!("server.{kind}"));
            fs::rename(self.path(&from), self.path(&to)).unwrap();
        }
        shown
    }

    fn connector(&self) -> TlsConnector {
        let config = ClientConfig::builder().with_root_certificates(self.roots("server"));
        TlsConnector::from(Arc::new(config.with_no_client_auth()))
    }

    /// What trusts this certificate only.
    fn roots(&self, name: &str) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let trusted = CertificateDer::from_pem_file(self.path(&format!("{name}.pem")));
        roots.add(trusted.unwrap()).unwrap();
        roots
    }

    /// Without any setting of certificates, and with these.
    fn instead(mut self, set: &[&str]) -> Self {
        self.settings.retain(|one| !one.starts_with("Imap:Cert"));
        self.settings
            .extend(set.iter().map(|one| (*one).to_owned()));
        self
    }

    async fn tcp(&self, port: u16) -> TcpStream {
        self.tcp_to(port).await.unwrap()
    }

    async fn tcp_to(&self, port: u16) -> std::io::Result<TcpStream> {
        TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], port))).await
    }

    /// A session that is logged in, by TLS from the first byte or by STARTTLS.
    async fn session(&self, connector: &TlsConnector, secure: bool) -> Session {
        let name = ServerName::try_from("localhost").unwrap();
        let mut session = if secure {
            let tcp = self.tcp(self.imaps).await;
            let mut session = Session(BufReader::new(connector.connect(name, tcp).await.unwrap()));
            session.line().await;
            session
        } else {
            let mut tcp = BufReader::new(self.tcp(self.imap).await);
            let mut line = String::new();
            tcp.read_line(&mut line).await.unwrap();
            tcp.get_mut().write_all(b"s STARTTLS\r\n").await.unwrap();
            line.clear();
            tcp.read_line(&mut line).await.unwrap();
            assert!(line.starts_with("s OK"), "{line}");
            let tls = connector.connect(name, tcp.into_inner()).await.unwrap();
            Session(BufReader::new(tls))
        };
        session.ask(&format!("LOGIN tim {PASSWORD}")).await;
        session
    }
}

struct Session(BufReader<TlsStream<TcpStream>>);

impl Session {
    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_line(&mut line));
        assert!(read.await.unwrap().unwrap() > 0, "the session was dropped");
        line
    }

    async fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a command that must succeed.
    async fn ask(&mut self, command: &str) {
        self.send(&format!("t {command}\r\n")).await;
        loop {
            let line = self.line().await;
            if let Some(answer) = line.strip_prefix("t ") {
                return assert!(answer.starts_with("OK"), "{command}: {line}");
            }
        }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        let shown = self.0.get_ref().get_ref().1.peer_certificates();
        shown.unwrap()[0].clone().into_owned()
    }
}

#[tokio::test]
async fn long_a_certificate_is_replaced_under_200_open_sessions() {
    let place = Place::new(&[]);
    let serving = place.serve();
    let old = CertificateDer::from_pem_file(place.path("server.pem")).unwrap();
    let connector = place.connector();
    let mut sessions = Vec::new();
    for index in 0..SESSIONS {
        let mut session = place.session(&connector, index % 2 == 0).await;
        match index % 4 {
            0 => session.ask("SELECT INBOX").await,
            1 => {
                session.ask("SELECT INBOX").await;
                session.send("t IDLE\r\n").await;
                assert!(session.line().await.starts_with("+ "));
            }
            _ => {}
        }
        sessions.push(session);
    }

    let new = place.renew();
    serving.hang_up();
    let line = serving.logs("certificate taken into use");
    assert!(
        line.contains("renewed.example") && line.contains("until"),
        "{line}"
    );
    let connector = place.connector();
    for secure in [true, false] {
        assert_eq!(place.session(&connector, secure).await.certificate(), new);
    }
    // A bad file is told of and changes nothing.
    fs::write(place.path("server.key"), "no key").unwrap();
    serving.hang_up();
    serving.logs("the certificates in use stay");
    assert_eq!(place.session(&connector, true).await.certificate(), new);

    for (index, mut session) in sessions.into_iter().enumerate() {
        assert_eq!(session.certificate(), old);
        if index % 4 == 1 {
            session.send("DONE\r\n").await;
            while !session.line().await.starts_with("t OK") {}
        }
        session.ask("NOOP").await;
    }
}

#[tokio::test]
async fn long_a_renewed_certificate_is_seen_without_a_signal() {
    let place = Place::new(&[]);
    let serving = place.serve();
    let new = place.renew();
    serving.logs("certificate taken into use");
    let session = place.session(&place.connector(), true).await;
    assert_eq!(session.certificate(), new);
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The header of a client at 192.0.2.7 that connected to this machine's loopback address.
fn relayed() -> Vec<u8> {
    let rest = [192, 0, 2, 7, 127, 0, 0, 1, 0x30, 0x39, 0, 143];
    [SIGNATURE, b"\x21\x11\0\x0c", &rest].concat()
}

#[tokio::test]
async fn a_proxy_says_who_its_client_is_before_anything_else() {
    let health = free_port();
    let url = format!("HealthCheck:Url=http://localhost:{health}");
    let place = Place::new(&["Imap:ProxyNetworks=127.0.0.0/8", &url]);
    let serving = place.serve();
    // In clear: the client is not on this machine, whatever the proxy is.
    let mut tcp = place.tcp(place.imap).await;
    tcp.write_all(&[&relayed()[..], b"a LOGOUT\r\n"].concat())
        .await
        .unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    assert!(
        text.starts_with("* OK") && text.contains("LOGINDISABLED"),
        "{text}"
    );
    let line = serving.logs("connection closed");
    assert!(line.contains("192.0.2.7:12345"), "{line}");
    // Before TLS.
    let mut tcp = place.tcp(place.imaps).await;
    tcp.write_all(&relayed()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = Session(BufReader::new(
        place.connector().connect(name, tcp).await.unwrap(),
    ));
    assert!(session.line().await.starts_with("* OK"));
    session.ask(&format!("LOGIN tim {PASSWORD}")).await;
    // Without a header, with the old one, or with half a one there is no conversation.
    for bytes in [
        &b"a NOOP\r\nb NOOP\r\n"[..],
        b"PROXY TCP4 192.0.2.7 127.0.0.1 1 143\r\n",
        SIGNATURE,
    ] {
        let mut tcp = place.tcp(place.imap).await;
        tcp.write_all(bytes).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // What was not read of it makes the end a reset.
        let _ = tcp.read_to_end(&mut answer).await;
        assert!(answer.is_empty(), "{answer:?}");
        let line = serving.logs("reason=proxy-header");
        assert!(
            line.contains("refused reason=proxy-header address=127.0.0.1"),
            "{line}"
        );
    }
    // The server's own probe goes the same way.
    let (code, text) = place.run(&["healthcheck"], "");
    assert_eq!(code, 0, "{text}");
}

/// A connector that trusts nobody.
fn distrustful() -> TlsConnector {
    let config = ClientConfig::builder().with_root_certificates(RootCertStore::empty());
    TlsConnector::from(Arc::new(config.with_no_client_auth()))
}

/// The lines of refusals in a log of this format, and of ends that are none.
async fn refusals(format: &str) -> (Place, Vec<String>) {
    let place = Place::new(&[&format!("Logging:Format={format}")]);
    let serving = place.serve();
    let mut lines = Vec::new();
    // What is said, what is said after its answer, and what is then logged.
    for (port, talk, then, logged) in [
        (place.imaps, "a NOOP\r\n", "", "tls-handshake"),
        (
            place.imap,
            "a STARTTLS\r\n",
            "no TLS at all\r\n",
            "tls-handshake",
        ),
        (
            place.imap,
            "a AUTHENTICATE PLAIN\r\n!\r\n",
            "",
            "malformed-login",
        ),
        (
            place.imap,
            "a AUTHENTICATE PLAIN AAAA\r\n",
            "",
            "malformed-login",
        ),
        (place.imaps, "", "", "gave the TLS handshake up"),
    ] {
        let mut tcp = BufReader::new(place.tcp(port).await);
        tcp.write_all(talk.as_bytes()).await.unwrap();
        if !then.is_empty() {
            let mut line = String::new();
            while !line.contains("\r\na OK") {
                assert!(tcp.read_line(&mut line).await.unwrap() > 0, "{line}");
            }
            tcp.write_all(then.as_bytes()).await.unwrap();
        }
        tcp.shutdown().await.unwrap();
        // What was not read of it makes the end a reset.
        let _ = tcp.read_to_end(&mut Vec::new()).await;
        lines.push(serving.logs(logged));
    }
    let name = ServerName::try_from("localhost").unwrap();
    let refused_us = distrustful()
        .connect(name, place.tcp(place.imaps).await)
        .await;
    assert!(refused_us.is_err());
    lines.push(serving.logs("gave the TLS handshake up"));
    (place, lines)
}

#[tokio::test]
async fn handshakes_and_exchanges_that_are_refused_are_lines_that_fail2ban_reads() {
    for format in ["Human", "Json"] {
        let (place, lines) = refusals(format).await;
        let file = place.path("log");
        fs::write(&file, lines.join("\n")).unwrap();
        let hosts = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/fail2ban/hosts.py");
        let read = Command::new("python3").arg(hosts).arg(&file).output();
        let hosts = String::from_utf8(read.unwrap().stdout).unwrap();
        // Who leaves, or does not trust our certificate, is not refused.
        assert_eq!(hosts, "127.0.0.1\n".repeat(4), "{lines:#?}");
    }
}

#[tokio::test]
async fn a_header_of_somebody_else_is_no_header() {
    let place = Place::new(&[]);
    let _serving = place.serve();
    let mut tcp = place.tcp(place.imap).await;
    tcp.write_all(&[&relayed()[..], b"\r\na LOGOUT\r\n"].concat())
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _ = tcp.read_to_end(&mut answer).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(
        text.contains("AUTH=PLAIN") && text.contains(" BAD"),
        "{text}"
    );
}

#[test]
fn tls_check_tells_what_clients_see() {
    let mut place = Place::new(&[]);
    write_certificate(place.directory.path(), "other");
    let other = place.path("other.pem").display().to_string();
    place.settings.extend([
        format!("Imap:Certificates:other:Path={other}"),
        format!(
            "Imap:Certificates:other:KeyPath={}",
            place.path("other.key").display()
        ),
    ]);
    let (code, text) = place.run(&["tls", "check"], "");
    assert_eq!(code, 0, "{text}");
    for part in [
        "X25519MLKEM768",
        "TLSv1.2",
        "self-signed",
        "other.example by TLS 1.2",
        "not asked for",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (code, json) = place.run(&["tls", "check", "--json"], "");
    assert_eq!(code, 0, "{json}");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["certificates"].as_array().unwrap().len(), 2);
    let shown = json["handshakes"].as_array().unwrap().iter();
    let of_other = shown.filter(|one| one["name"] == "other.example");
    assert!(
        of_other
            .into_iter()
            .all(|one| one["file"] == other.as_str())
    );
    // What cannot be served is a fault of the configuration; what clients refuse is a failure.
    fs::rename(place.path("other.key"), place.path("server.key")).unwrap();
    let (code, text) = place.run(&["tls", "check"], "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("does not match"), "{text}");
    place
        .settings
        .retain(|setting| !setting.starts_with("Imap:Cert"));
    let (code, text) = place.run(&["tls", "check"], "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("set Imap:CertificatePath"), "{text}");
}

#[test]
fn a_certificate_past_its_dates_fails_the_check() {
    let place = Place::new(&[]);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    fs::write(place.path("server.pem"), certificate.pem()).unwrap();
    fs::write(place.path("server.key"), key.serialize_pem()).unwrap();
    let (code, text) = place.run(&["tls", "check"], "");
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("expired on") && text.contains("0 days left"),
        "{text}"
    );
}

#[test]
fn revocation_that_cannot_be_checked_keeps_the_server_from_starting() {
    let mut place = Place::new(&[]);
    let authority = place.path("server.pem").display().to_string();
    place
        .settings
        .push(format!("Imap:ClientCaPath={authority}"));
    let (code, text) = place.run(&["serve"], "");
    assert_eq!(code, 2, "{text}");
    assert!(text.contains("set Imap:CrlPath"), "{text}");
    let without = "Imap:CheckCertificateRevocation=false";
    place.settings.push(without.to_owned());
    let (_, text) = place.run(&["config", "check"], "");
    assert!(!text.contains("CrlPath"), "{text}");
}

#[tokio::test]
async fn clients_are_shown_the_files_that_are_set() {
    let place = Place::new(&[]);
    write_certificate(place.directory.path(), "own");
    let path = |name: &str| place.path(name).display().to_string();
    let port = free_port();
    let set = [
        format!("Imap:CertificatePath={}", path("own.pem")),
        format!("Imap:CertificateKeyPath={}", path("own.key")),
    ];
    let mut place = place.instead(&[&set[0], &set[1]]);
    place
        .settings
        .retain(|one| !one.starts_with("Imap:SecurePort"));
    place.settings.push(format!("Imap:SecurePort={port}"));
    {
        let _serving = place.serve();
        assert!(place.tcp_to(place.imaps).await.is_err(), "the port before");
        let config = ClientConfig::builder().with_root_certificates(place.roots("own"));
        let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
        let name = ServerName::try_from("own.example").unwrap();
        let tls = connector
            .connect(name, place.tcp(port).await)
            .await
            .unwrap();
        let mut session = Session(BufReader::new(tls));
        assert!(session.line().await.starts_with("* OK"));
        let own = CertificateDer::from_pem_file(place.path("own.pem")).unwrap();
        assert_eq!(session.certificate(), own);
    }
    // The key is not in the file, and a file with a password needs it.
    let place = place.instead(&[&set[0]]);
    let (code, text) = place.run(&["tls", "check"], "");
    assert!(
        code == 2 && text.contains("Imap:CertificateKeyPath"),
        "{text}"
    );
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/chain.p12");
    let packed = format!("Imap:CertificatePath={packed}");
    let place = place.instead(&[&packed, "Imap:CertificatePassword=wrong"]);
    let (code, text) = place.run(&["tls", "check"], "");
    assert!(
        code == 2 && text.contains("password does not open"),
        "{text}"
    );
    let place = place.instead(&[&packed, "Imap:CertificatePassword=secret"]);
    let (_, text) = place.run(&["tls", "check"], "");
    assert!(
        text.contains("mail.example.org") && !text.contains("password"),
        "{text}"
    );
}

/// An authority whose certificates are logins: `people.pem`, and `people.crl` with the serial
/// number 13.
fn write_authority(directory: &Path) -> Issuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    fs::write(directory.join("people.pem"), certificate.pem()).unwrap();
    let issuer = Issuer::new(params, key);
    let list = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(4000, 1, 1),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: vec![RevokedCertParams {
            serial_number: SerialNumber::from(13),
            revocation_time: rcgen::date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        }],
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&issuer).unwrap();
    fs::write(directory.join("people.crl"), list.pem().unwrap()).unwrap();
    issuer
}

/// What AUTHENTICATE EXTERNAL is answered to a certificate for the common name tim; nothing if
/// there is no conversation.
async fn external(place: &Place, issuer: &Issuer<'static, KeyPair>, serial: u64) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.serial_number = Some(SerialNumber::from(serial));
    params.distinguished_name.push(DnType::CommonName, "tim");
    let key = KeyPair::generate().unwrap();
    let chain = vec![params.signed_by(&key, issuer).unwrap().der().clone()];
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(place.roots("server"));
    let config = config.with_client_auth_cert(chain, key).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let Ok(tls) = connector.connect(name, place.tcp(place.imaps).await).await else {
        return String::new();
    };
    let mut tls = BufReader::new(tls);
    // In TLS 1.3 the refusal comes when the client is done.
    let _ = tls.write_all(b"t AUTHENTICATE EXTERNAL =\r\n").await;
    let mut line = String::new();
    while !line.starts_with("t ") {
        line.clear();
        match tls.read_line(&mut line).await {
            Ok(count) if count > 0 => {}
            _ => return String::new(),
        }
    }
    line
}

#[tokio::test]
async fn certificates_are_logins_as_far_as_is_set() {
    let given = tempfile::tempdir().unwrap();
    let issuer = write_authority(given.path());
    let path = |name: &str| given.path().join(name).display().to_string();
    let authority = format!("Imap:ClientCaPath={}", path("people.pem"));
    let list = format!("Imap:CrlPath={}", path("people.crl"));
    let by_name = "Auth:CertificateName=CommonName";
    let unchecked = "Imap:CheckCertificateRevocation=false";
    for (set, serial, answer) in [
        (&[by_name][..], 7, "t NO"),
        (&[&*authority, &list], 7, "t NO"),
        (&[&authority, &list, by_name], 7, "t OK"),
        (&[&authority, &list, by_name], 13, ""),
        (&[&authority, by_name, unchecked], 13, "t OK"),
        (&[&authority, &list, by_name, unchecked], 13, "t OK"),
    ] {
        let place = Place::new(set);
        let _serving = place.serve();
        let told = external(&place, &issuer, serial).await;
        let is_right = told.starts_with(answer) && told.is_empty() == answer.is_empty();
        assert!(is_right, "{set:?} {serial}: {told}");
    }
}
