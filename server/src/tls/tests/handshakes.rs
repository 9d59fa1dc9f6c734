//! Real handshakes, in memory: what each kind of client is shown, and what both ends then know.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SanType, SerialNumber,
};
use rustls::client::Resumption as ClientResumption;
use rustls::crypto::aws_lc_rs::kx_group;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsConnector;

use super::*;
use crate::config::CertificateName;

type ClientStream = tokio_rustls::client::TlsStream<DuplexStream>;

/// Clients live at the time of the tests.
#[derive(Debug)]
struct At(SystemTime);

impl rustls::time_provider::TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        let since = self.0.duration_since(UNIX_EPOCH);
        since.ok().map(UnixTime::since_unix_epoch)
    }
}

/// What a client offers and trusts.
pub(super) struct Client {
    roots: RootCertStore,
    versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub(super) alpn: Vec<&'static [u8]>,
    pub(super) name: &'static str,
    provider: CryptoProvider,
    own: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Client {
    pub(super) fn trusting(path: &Path) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
        Self {
            roots,
            versions: vec![&TLS13, &TLS12],
            alpn: vec![b"imap"],
            name: "mail.example.org",
            provider: aws_lc_rs::default_provider(),
            own: None,
        }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let provider = Arc::new(self.provider.clone());
        let builder = ClientConfig::builder_with_details(provider, Arc::new(At(now())))
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.own {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.to_vec()).collect();
        config.resumption = ClientResumption::in_memory_sessions(8);
        Arc::new(config)
    }

    pub(super) async fn meet(&self, tls: &Tls) -> io::Result<(ClientStream, Secured)> {
        shake(tls, &self.config(), self.name).await
    }
}

/// A handshake, and a line through it.
async fn shake(
    tls: &Tls,
    config: &Arc<ClientConfig>,
    name: &'static str,
) -> io::Result<(ClientStream, Secured)> {
    let (ours, theirs) = tokio::io::duplex(1 << 16);
    let connector = TlsConnector::from(Arc::clone(config));
    let connect = connector.connect(ServerName::try_from(name).unwrap(), ours);
    let serve = async {
        let (mut stream, secured) = tls.accept(theirs).await?;
        stream.write_all(b"* OK\r\n").await?;
        stream.flush().await?;
        io::Result::Ok((stream, secured))
    };
    let (connected, served) = tokio::join!(connect, serve);
    let (mut client, (_server, secured)) = match (connected, served) {
        (Ok(client), Ok(served)) => (client, served),
        // Why it failed is known to one end; the other has an alert.
        (connected, served) => {
            let why = format!("{:?} {:?}", connected.err(), served.err());
            return Err(io::Error::other(why));
        }
    };
    let mut line = [0; 6];
    client.read_exact(&mut line).await?;
    assert_eq!(&line, b"* OK\r\n");
    Ok((client, secured))
}

fn tls(path: &str, password: Option<&str>) -> Tls {
    Tls::new(&load(&source(path, None, password)).unwrap()).unwrap()
}

fn message(result: io::Result<(ClientStream, Secured)>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn clients_of_both_versions_trust_the_chain() {
    for (path, password) in [("together.pem", None), ("chain.p12", Some("secret"))] {
        let tls = tls(path, password);
        for (version, name) in [(&TLS12, "TLSv1.2"), (&TLS13, "TLSv1.3")] {
            let mut client = Client::trusting(&data("root.pem"));
            client.versions = vec![version];
            let (stream, secured) = client.meet(&tls).await.unwrap();
            assert_eq!(secured.version, name);
            assert_eq!(secured.server_name.as_deref(), Some("mail.example.org"));
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"imap"[..]));
            assert!(secured.client.is_none());
        }
    }
}

#[tokio::test]
async fn alpn_is_imap_or_not_offered_or_the_handshake_ends() {
    let tls = tls("together.pem", None);
    let mut client = Client::trusting(&data("root.pem"));
    for (offered, agreed) in [
        (vec![], None),
        (vec![&b"imap"[..]], Some(&b"imap"[..])),
        (vec![&b"h2"[..], b"imap"], Some(&b"imap"[..])),
    ] {
        client.alpn = offered;
        let (stream, _) = client.meet(&tls).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed);
    }
    // RFC 7301 §3.2: a fatal alert if there is nothing in common.
    client.alpn = vec![b"http/1.1"];
    let refused = message(client.meet(&tls).await);
    assert!(
        refused.contains("AlertReceived(NoApplicationProtocol)"),
        "{refused}"
    );
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_where_the_client_has_it() {
    let tls = tls("together.pem", None);
    let mut client = Client::trusting(&data("root.pem"));
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert_eq!(secured.key_exchange, Some("X25519MLKEM768"));
    client.provider.kx_groups = vec![kx_group::X25519];
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert_eq!(secured.key_exchange, Some("X25519"));
}

#[tokio::test]
async fn what_is_older_or_weaker_than_tls_12_is_not_spoken() {
    let tls = tls("together.pem", None);
    // A ClientHello of TLS 1.1 and one of SSL 2, as a scanner sends them.
    let old: [&[u8]; 2] = [
        b"\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x02AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\x00\x00\x04\
          \x00\x2f\x00\x35\x01\x00",
        b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80",
    ];
    for hello in old {
        let (mut ours, theirs) = tokio::io::duplex(1 << 16);
        ours.write_all(hello).await.unwrap();
        assert!(tls.accept(theirs).await.is_err());
        let mut alert = Vec::new();
        ours.read_to_end(&mut alert).await.unwrap();
        assert_eq!(alert.first(), Some(&0x15), "an alert: {alert:?}");
    }
}

#[tokio::test]
async fn a_second_connection_resumes_the_first_until_the_certificates_are_replaced() {
    for version in [&TLS12, &TLS13] {
        let tls = tls("together.pem", None);
        let mut client = Client::trusting(&data("root.pem"));
        client.versions = vec![version];
        let config = client.config();
        let mut met = Vec::new();
        for _ in 0..2 {
            let (_, secured) = shake(&tls, &config, client.name).await.unwrap();
            met.push(secured);
        }
        let kinds: Vec<_> = met.iter().map(|one| one.resumption).collect();
        assert_eq!(kinds, [Resumption::Full, Resumption::Resumed]);
        // Each connection has its own exporter value; the certificate is the same.
        assert_ne!(
            met[0].bindings.exporter,
            met[1].bindings.exporter.or(Some([0; 32]))
        );
        assert_eq!(
            met[0].bindings.server_end_point,
            met[1].bindings.server_end_point
        );
        let material = Sources {
            certificates: vec![source("together.pem", None, None)],
            clients: None,
        };
        tls.replace(material.load().unwrap()).unwrap();
        let (_, secured) = shake(&tls, &config, client.name).await.unwrap();
        assert_eq!(secured.resumption, Resumption::Full);
    }
}

#[tokio::test]
async fn both_ends_compute_the_same_channel_bindings() {
    let tls = tls("together.pem", None);
    let mut client = Client::trusting(&data("root.pem"));
    let (stream, secured) = client.meet(&tls).await.unwrap();
    let theirs = stream
        .get_ref()
        .1
        .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
        .unwrap();
    let leaf = CertificateDer::from_pem_file(data("leaf.pem")).unwrap();
    let hash = ::aws_lc_rs::digest::digest(&::aws_lc_rs::digest::SHA256, &leaf);
    let end_point = ("tls-server-end-point", hash.as_ref().to_vec());
    let expected = [("tls-exporter", theirs.to_vec()), end_point.clone()];
    assert_eq!(secured.bindings.all(), expected);

    client.versions = vec![&TLS12];
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert_eq!(secured.bindings.all(), [end_point]);
}

#[test]
fn the_end_point_hash_is_that_of_the_signature() {
    for (algorithm, bytes) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Some(32)),
        (&rcgen::PKCS_ECDSA_P384_SHA384, Some(48)),
        (&rcgen::PKCS_ED25519, None),
    ] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let hash = ServerEndPoint::of(certificate.der());
        assert_eq!(hash.map(|hash| hash.as_bytes().len()), bytes);
    }
    assert_eq!(ServerEndPoint::of(b"no certificate"), None);
}

/// An authority of our own, and what it issues.
struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "People of example.org");
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(directory.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            directory,
            issuer: Issuer::new(params, key),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A certificate made out to these names, with its key.
    fn issue(
        &self,
        serial: u64,
        common_name: &str,
        names: Vec<SanType>,
    ) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.serial_number = Some(SerialNumber::from(serial));
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (vec![certificate.der().clone()], key)
    }

    /// A server's certificate and key in one file.
    fn server(
        &self,
        file: &str,
        algorithm: &'static rcgen::SignatureAlgorithm,
        names: &[&str],
    ) -> CertificateSource {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = KeyPair::generate_for(algorithm).unwrap();
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let text = certificate.pem() + &key.serialize_pem();
        fs::write(self.path(file), text).unwrap();
        CertificateSource {
            path: self.path(file),
            key_path: None,
            password: None,
        }
    }

    /// The authority's list, with these serial numbers on it.
    fn revoke(&self, serials: &[u64], years: std::ops::Range<i32>) {
        let revoked = serials.iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: rcgen::date_time_ymd(2026, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(years.start, 1, 1),
            next_update: rcgen::date_time_ymd(years.end, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).unwrap();
        fs::write(self.path("crl.pem"), list.pem().unwrap()).unwrap();
    }

    fn sources(&self, crl: Option<&str>) -> Sources {
        Sources {
            certificates: vec![source("together.pem", None, None)],
            clients: Some(ClientAuthoritySource {
                path: self.path("ca.pem"),
                crl_path: crl.map(|name| self.path(name)),
            }),
        }
    }
}

fn email(text: &str) -> SanType {
    SanType::Rfc822Name(text.try_into().unwrap())
}

#[tokio::test]
async fn a_client_certificate_is_asked_for_and_not_demanded() {
    let people = Authority::new();
    let tls = Tls::with(people.sources(None).load().unwrap()).unwrap();
    let mut client = Client::trusting(&data("root.pem"));
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert_eq!(secured.client, None);
    for (common_name, names, expected) in [
        ("tim", vec![], vec!["tim"]),
        (
            "Tim",
            vec![email("tim@example.org"), email("t@example.org")],
            vec!["tim@example.org", "t@example.org"],
        ),
        (
            "bad\u{7}name",
            vec![email("tim@example.org")],
            vec!["tim@example.org"],
        ),
    ] {
        client.own = Some(people.issue(7, common_name, names));
        for version in [&TLS12, &TLS13] {
            client.versions = vec![version];
            let (_, secured) = client.meet(&tls).await.unwrap();
            let identity = secured.client.expect("an identity");
            let which = CertificateName::EmailOrCommonName;
            assert_eq!(identity.names(which).collect::<Vec<_>>(), expected);
            let common: Vec<_> = identity.names(CertificateName::CommonName).collect();
            assert_eq!(common.is_empty(), common_name.contains('\u{7}'));
            // By default the common name, which people choose freely, is nobody's.
            let emails = identity.names(CertificateName::Email).count();
            assert_eq!(
                emails,
                expected.iter().filter(|it| it.contains('@')).count()
            );
        }
    }
    // A name that could not be an account's is nobody's.
    client.own = Some(people.issue(8, "bad\u{7}name", vec![]));
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert_eq!(secured.client, None);
    // A certificate of somebody else's authority ends the handshake.
    client.own = Some(Authority::new().issue(7, "tim", vec![]));
    client.versions = vec![&TLS12];
    message(client.meet(&tls).await);
}

#[tokio::test]
async fn revoked_certificates_and_outdated_lists_are_refused() {
    let people = Authority::new();
    people.revoke(&[13], 2020..2090);
    let tls = Tls::with(people.sources(Some("crl.pem")).load().unwrap()).unwrap();
    let mut client = Client::trusting(&data("root.pem"));
    client.versions = vec![&TLS12];
    client.own = Some(people.issue(7, "tim", vec![]));
    let (_, secured) = client.meet(&tls).await.unwrap();
    assert!(secured.client.is_some());
    client.own = Some(people.issue(13, "tim", vec![]));
    let refused = message(client.meet(&tls).await);
    assert!(refused.contains("evoked"), "{refused}");

    people.revoke(&[], 2020..2021);
    let material = people.sources(Some("crl.pem")).load().unwrap();
    let late = material.clients.as_ref().unwrap().check_dates(now());
    assert!(late.unwrap_err().what.contains("was good until"));
    tls.replace(material).unwrap();
    client.own = Some(people.issue(7, "tim", vec![]));
    message(client.meet(&tls).await);
    // Without a certificate clients come in all the same.
    client.own = None;
    client.meet(&tls).await.unwrap();
}

#[tokio::test]
async fn a_session_that_is_resumed_brings_no_identity_that_was_revoked_since() {
    let people = Authority::new();
    people.revoke(&[], 2020..2090);
    let material = people.sources(Some("crl.pem")).load().unwrap();
    let revoking = {
        people.revoke(&[7], 2020..2090);
        people
            .sources(Some("crl.pem"))
            .load()
            .unwrap()
            .clients
            .unwrap()
    };
    let tls = Tls::with(material).unwrap();
    let mut client = Client::trusting(&data("root.pem"));
    client.own = Some(people.issue(7, "tim", vec![]));
    let config = client.config();
    for resumption in [Resumption::Full, Resumption::Resumed] {
        let (_, secured) = shake(&tls, &config, client.name).await.unwrap();
        assert_eq!(secured.resumption, resumption);
        assert!(secured.client.is_some());
    }
    let own = &client.own.as_ref().unwrap().0[0];
    assert!(!revoking.verifies(own, &[]));
}

#[tokio::test]
async fn the_certificate_is_chosen_by_name_and_by_what_the_client_understands() {
    let people = Authority::new();
    let (p256, ed) = (&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519);
    let certificates = vec![
        people.server("first.pem", p256, &["mail.example.org"]),
        people.server("first-ed.pem", ed, &["mail.example.org"]),
        people.server("wild.pem", p256, &["*.example.net", "example.net"]),
        people.server("exact.pem", p256, &["imap.example.net"]),
    ];
    let sources = Sources {
        certificates,
        clients: None,
    };
    let tls = Tls::with(sources.load().unwrap()).unwrap();
    let mut client = Client::trusting(&people.path("ca.pem"));
    for (name, file) in [
        ("mail.example.org", "first.pem"),
        ("example.net", "wild.pem"),
        ("MAIL.example.net", "wild.pem"),
        ("imap.example.net", "exact.pem"),
    ] {
        client.name = name;
        let (stream, _) = client.meet(&tls).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        let expected = CertificateDer::from_pem_file(people.path(file)).unwrap();
        assert_eq!(shown[0], expected, "{name}");
    }
    // One label is all that a star stands for; a name of nobody is shown the first.
    for name in ["a.b.example.net", "unknown.example"] {
        client.name = name;
        let refused = message(client.meet(&tls).await);
        assert!(
            refused.contains("NotValidForName") || refused.contains("CertificateUnknown"),
            "{refused}"
        );
    }
    // A client that only understands Ed25519 gets the other certificate of the same name.
    let algorithms = &mut client.provider.signature_verification_algorithms;
    let schemes = algorithms.mapping.iter();
    let ed_only = schemes.filter(|(scheme, _)| *scheme == rustls::SignatureScheme::ED25519);
    algorithms.mapping = Vec::leak(ed_only.copied().collect());
    client.name = "mail.example.org";
    let (stream, secured) = client.meet(&tls).await.unwrap();
    let shown = stream.get_ref().1.peer_certificates().unwrap();
    let expected = CertificateDer::from_pem_file(people.path("first-ed.pem")).unwrap();
    assert_eq!(shown[0], expected);
    assert!(secured.bindings.server_end_point.is_some());
    assert!(is_wildcard_for("*.example.net", "a.example.net"));
    assert!(!is_wildcard_for("*.example.net", ".example.net"));
    assert!(!is_wildcard_for("example.net", "a.example.net"));
}
