//! STARTTLS (RFC 9051 §6.2.1) and LOGINDISABLED (§6.2.3), with a real TLS client: what an attacker
//! puts before the handshake is never answered after it (threat 1).

use std::{sync::Arc, time::SystemTime};

use server::{
    config, connection,
    listen::{Peer, Stream},
    service::Service,
    tls::{self, Tls},
};
use store::Quota;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

use crate::server::{PASSWORD, Place, add_account};

mod injection;

struct Secured {
    _place: Place,
    service: Arc<Service>,
    connector: TlsConnector,
}

async fn secured(set: &[&str]) -> Secured {
    let place = Place::new();
    #[expect(clippy::disallowed_methods, reason = "a certificate must be valid now")]
    let now = SystemTime::now();
    let source = tls::self_signed(&place.directory.path().join("tls"), now).unwrap();
    let tls = Tls::new(&tls::load(&source).unwrap()).unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&source.path).unwrap())
        .unwrap();
    let client = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let set = set.iter().map(|s| (*s).to_owned()).collect();
    let loaded = config::load(&config::Options {
        set,
        ..Default::default()
    })
    .unwrap();
    let config = Arc::new(loaded.config);
    let service = place.service(&config, Some(tls));
    add_account(&service, "tim", Quota::default()).await;
    Secured {
        _place: place,
        service,
        connector: TlsConnector::from(Arc::new(client)),
    }
}

impl Secured {
    async fn connect(&self, loopback: bool) -> DuplexStream {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let mut peer = Peer::LOCAL;
        peer.loopback = loopback;
        tokio::spawn(connection::serve(
            Stream::new(theirs),
            Arc::clone(&self.service),
            peer,
        ));
        let greeting = lines_to(&mut ours, "* OK").await;
        assert!(greeting.contains(" STARTTLS "), "{greeting}");
        ours
    }

    async fn handshake(&self, stream: DuplexStream) -> TlsStream<DuplexStream> {
        self.connector
            .connect(ServerName::try_from("localhost").unwrap(), stream)
            .await
            .unwrap()
    }
}

/// Reads lines until one begins with `prefix`; returns all of them.
async fn lines_to(stream: &mut (impl AsyncRead + Unpin), prefix: &str) -> String {
    let (mut all, mut line) = (String::new(), Vec::new());
    loop {
        let byte = stream
            .read_u8()
            .await
            .unwrap_or_else(|e| panic!("{e} after {all:?}"));
        line.push(byte);
        if line.ends_with(b"\r\n") {
            let text = String::from_utf8_lossy(&line).into_owned();
            let found = text.starts_with(prefix);
            all.push_str(&text);
            line.clear();
            if found {
                return all;
            }
        }
    }
}

async fn ask(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), command: &str) -> String {
    stream
        .write_all(format!("{command}\r\n").as_bytes())
        .await
        .unwrap();
    lines_to(stream, command.split(' ').next().unwrap()).await
}

/// What an attacker in the middle could put behind STARTTLS.
const INJECTED: [&str; 10] = [
    "b NOOP\r\n",
    "b CAPABILITY\r\n",
    "b LOGIN tim tanstaaftanstaaf\r\n",
    "b LOGIN {3+}\r\ntim tanstaaftanstaaf\r\n",
    "b LOGIN {5}\r\n",
    "b AUTHENTICATE PLAIN\r\n",
    "b AUTHENTICATE PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n",
    "b NOOP\n",
    "b NOOP",
    "b ID {70000+}\r\n",
];

#[tokio::test]
async fn rule_45_starttls_drops_what_was_buffered() {
    let secured = secured(&[]).await;
    for injected in INJECTED {
        let mut plain = secured.connect(false).await;
        plain
            .write_all(format!("a STARTTLS\r\n{injected}").as_bytes())
            .await
            .unwrap();
        let answer = lines_to(&mut plain, "a OK").await;
        assert_eq!(answer.lines().count(), 1, "{answer}");
        let mut tls = secured.handshake(plain).await;
        let answer = ask(&mut tls, "c CAPABILITY").await;
        assert_eq!(answer.lines().count(), 2, "after {injected:?}: {answer}");
        assert!(
            !answer.contains("STARTTLS") && answer.contains("AUTH=PLAIN"),
            "{answer}"
        );
        // Nobody is logged in, and STARTTLS is over.
        assert!(ask(&mut tls, "d SELECT INBOX").await.starts_with("d BAD"));
        assert!(ask(&mut tls, "e STARTTLS").await.starts_with("e BAD"));
        assert!(
            ask(&mut tls, &format!("f LOGIN tim {PASSWORD}"))
                .await
                .contains("f OK")
        );
    }
}

#[tokio::test]
async fn rule_46_a_right_password_in_clear_is_refused() {
    let secured = secured(&[]).await;
    let mut plain = secured.connect(false).await;
    let capability = ask(&mut plain, "a CAPABILITY").await;
    assert!(
        capability.contains("LOGINDISABLED AUTH=SCRAM-SHA-256\r"),
        "{capability}"
    );
    for refused in [
        format!("b LOGIN tim {PASSWORD}"),
        // A literal is not granted: no `+` before the refusal.
        "b LOGIN tim {16}".to_owned(),
        "b LOGIN {3}".to_owned(),
        "b AUTHENTICATE PLAIN".to_owned(),
        "b AUTHENTICATE PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm".to_owned(),
    ] {
        let answer = ask(&mut plain, &refused).await;
        assert!(
            answer.starts_with("b NO [PRIVACYREQUIRED]"),
            "{refused}: {answer}"
        );
    }
}

#[tokio::test]
async fn never_means_never_and_always_means_always() {
    let never = secured(&["Imap:AllowPlaintextAuth=Never"]).await;
    let mut plain = never.connect(true).await;
    assert!(
        ask(&mut plain, &format!("a LOGIN tim {PASSWORD}"))
            .await
            .contains("PRIVACYREQUIRED")
    );
    let always = secured(&["Imap:AllowPlaintextAuth=Always"]).await;
    let mut plain = always.connect(false).await;
    assert!(
        ask(&mut plain, &format!("a LOGIN tim {PASSWORD}"))
            .await
            .contains("a OK")
    );
}
