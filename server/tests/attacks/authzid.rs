//! The authorization identity (RFC 4422 §2), as one matrix: every mechanism that carries one, every
//! way to prove who one is, and everything that could stand in it (threat 8). The answers do not
//! tell an account that does not exist from one as which nobody may act.

use std::{path::Path, sync::Arc};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use serde_json::json;
use server::tls::{Sources, Tls};
use store::{
    AccountChange,
    credential::{ActAs, CredentialChange, NewAppPassword, Scope},
};
use tokio_rustls::TlsConnector;
use wire::limits::USER_BYTES_MAX;

use crate::{
    place::{PASSWORD, Place, Talk, add_account},
    sasl::{Bound, scram_over},
};

const ISSUER: &str = "https://id.example.org";
/// An hour after the clock of [`Place`].
const LATER: i64 = 1_795_309_200;
const APP_PASSWORD: &str = "abcd-efgh-jkmn-pqrs";

const WRONG: &str = "NO [AUTHENTICATIONFAILED] The user name or the password is wrong.";
const NO_TOKEN: &str = "NO [AUTHENTICATIONFAILED] The token is not accepted.";
const MALFORMED: &str = "NO [AUTHENTICATIONFAILED] The response is malformed.";
const MAY_NOT: &str = "NO [AUTHORIZATIONFAILED] You cannot act as somebody else.";

/// How somebody proves to be tim.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Proof {
    /// The main password.
    Main,
    /// An app password for reading mail.
    Phone,
    /// An app password for something else.
    Tool,
    /// A password or a token that is none of his.
    Wrong,
    /// What he has besides passwords: a certificate, a token.
    Given,
}

impl Proof {
    const fn user(self) -> &'static str {
        match self {
            Self::Phone => "tim+phone",
            Self::Tool => "tim+tool",
            Self::Main | Self::Wrong | Self::Given => "tim",
        }
    }

    const fn password(self) -> &'static str {
        match self {
            Self::Main => PASSWORD,
            Self::Phone | Self::Tool => APP_PASSWORD,
            Self::Wrong | Self::Given => "wrong",
        }
    }
}

const PASSWORDS: [Proof; 4] = [Proof::Main, Proof::Phone, Proof::Tool, Proof::Wrong];
/// The mechanisms that carry an authorization identity, and with what each is tried.
const MECHANISMS: [(&str, &[Proof]); 6] = [
    ("PLAIN", &PASSWORDS),
    ("SCRAM-SHA-256", &PASSWORDS),
    ("SCRAM-SHA-256-PLUS", &PASSWORDS),
    ("EXTERNAL", &[Proof::Given]),
    ("OAUTHBEARER", &[Proof::Given, Proof::Wrong]),
    ("XOAUTH2", &[Proof::Given, Proof::Wrong]),
];

/// What an authorization identity asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meant {
    /// Nothing: it is not there.
    Nothing,
    /// The account itself.
    Own,
    /// The account cleo, as which tim may act.
    Granted,
    /// An account as which he may not act, one that is disabled, or none.
    NotGranted,
    /// What cannot stand there.
    Unfit,
}

fn identities() -> Vec<(Vec<u8>, Meant)> {
    let of = |text: &str, meant| (text.as_bytes().to_vec(), meant);
    vec![
        of("", Meant::Nothing),
        of("tim", Meant::Own),
        of("TIM", Meant::Own),
        of("tim@alias", Meant::Own),
        of("Tim@Alias", Meant::Own),
        of("cleo", Meant::Granted),
        of("CLEO", Meant::Granted),
        of("ann", Meant::NotGranted),
        of("ann@alias", Meant::NotGranted),
        of("nobody", Meant::NotGranted),
        // Granted, but disabled.
        of("dora", Meant::NotGranted),
        of("tim\x07", Meant::NotGranted),
        of("tim\r\n* OK", Meant::NotGranted),
        of("cleo ", Meant::NotGranted),
        of("*", Meant::NotGranted),
        of(&"x".repeat(USER_BYTES_MAX), Meant::NotGranted),
        of("cleo\0", Meant::Unfit),
        of(&"x".repeat(USER_BYTES_MAX + 1), Meant::Unfit),
        (b"tim\xff".to_vec(), Meant::Unfit),
    ]
}

/// What a login is answered, or whose mail it opens.
fn expected(mechanism: &str, proof: Proof, meant: Meant) -> Result<&'static str, &'static str> {
    let is_token = matches!(mechanism, "OAUTHBEARER" | "XOAUTH2");
    match (meant, proof) {
        (Meant::Unfit, _) => Err(MALFORMED),
        // In XOAUTH2 the name must be there (no RFC).
        (Meant::Nothing, _) if mechanism == "XOAUTH2" => Err(MALFORMED),
        (_, Proof::Wrong) if is_token => Err(NO_TOKEN),
        (_, Proof::Wrong | Proof::Tool) => Err(WRONG),
        (Meant::Nothing | Meant::Own, _) => Ok("tim"),
        (Meant::Granted, _) => Ok("cleo"),
        (Meant::NotGranted, _) => Err(MAY_NOT),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threat_08_every_mechanism_with_every_authorization_identity() {
    let secured = Secured::new().await;
    let mut cases = 0;
    for (mechanism, proofs) in MECHANISMS {
        for proof in proofs {
            for (identity, meant) in identities() {
                cases += 1;
                let (mut talk, answer) = secured.log_in(mechanism, *proof, &identity).await;
                let shown = String::from_utf8_lossy(&identity);
                let case = format!("{mechanism} {proof:?} {shown:?}: {answer}");
                match expected(mechanism, *proof, meant) {
                    Ok(account) => {
                        assert!(answer.starts_with("OK "), "{case}");
                        assert_eq!(whose(&mut talk).await, account, "{case}");
                    }
                    Err(refused) => {
                        assert_eq!(answer, refused, "{case}");
                        let select = talk.ask("SELECT INBOX").await;
                        assert!(select.tagged.starts_with("BAD"), "{case}: {select:?}");
                    }
                }
            }
        }
    }
    assert_eq!(cases, 17 * identities().len());
    secured.place.is_sound().await;
}

/// Without an authorization identity there is none to be had: the words of ANONYMOUS mean nothing.
#[tokio::test]
async fn threat_08_what_anonymous_says_of_itself_opens_nothing_else() {
    let secured = Secured::new().await;
    for (identity, meant) in identities() {
        let first = initial(&identity);
        let (mut talk, _) = secured.connect().await;
        let answer = talk.ask(&format!("AUTHENTICATE ANONYMOUS {first}")).await;
        match answer.tagged.starts_with("OK ") {
            true => assert_eq!(whose(&mut talk).await, "bob", "{meant:?}"),
            false => assert_eq!(answer.tagged, MALFORMED, "{meant:?}"),
        }
    }
}

/// An initial response; `=` is an empty one (RFC 4959 §3).
fn initial(message: &[u8]) -> String {
    match message {
        [] => "=".to_owned(),
        message => STANDARD.encode(message),
    }
}

/// The account whose mail this is: its mailbox says so.
async fn whose(talk: &mut Talk) -> String {
    let listed = talk.run("LIST \"\" mail-of-%").await;
    let [line] = &listed.untagged[..] else {
        panic!("one mailbox: {listed:?}");
    };
    let (_, name) = line.split_once("mail-of-").unwrap();
    name.trim_end_matches('"').to_owned()
}

/// A server behind TLS that takes tim's certificate and tokens of an issuer.
struct Secured {
    place: Place,
    tls: Tls,
    client: TlsConnector,
    issuer: Ed25519KeyPair,
    _files: tempfile::TempDir,
}

impl Secured {
    async fn new() -> Self {
        let files = tempfile::tempdir().unwrap();
        let (server, client) = certificates(files.path());
        let issuer = Ed25519KeyPair::generate().unwrap();
        let point = URL_SAFE_NO_PAD.encode(issuer.public_key().as_ref());
        let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": point}]});
        std::fs::write(files.path().join("keys.json"), keys.to_string()).unwrap();
        let file = |name: &str| files.path().join(name).display().to_string();
        let settings = [
            format!("Imap:CertificatePath={}", file("server.pem")),
            format!("Imap:CertificateKeyPath={}", file("server.key")),
            format!("Imap:ClientCaPath={}", file("ca.pem")),
            "Imap:CheckCertificateRevocation=false".to_owned(),
            "Auth:CertificateName=CommonName".to_owned(),
            "Auth:AnonymousAccount=bob".to_owned(),
            format!("OAuth:Issuers:a:Issuer={ISSUER}"),
            "OAuth:Issuers:a:Audience=imap".to_owned(),
            format!("OAuth:Issuers:a:JwksPath={}", file("keys.json")),
            "OAuth:AccountClaim=sub".to_owned(),
        ];
        let place = Place::new(&settings).await;
        for name in ["ann", "cleo", "dora"] {
            add_account(&place.service, name).await;
        }
        for name in ["tim", "bob", "ann", "cleo"] {
            let mut talk = place.client(name).await;
            talk.run(&format!("CREATE mail-of-{name}")).await;
        }
        grant(&place).await;
        let sources = Sources::of(&place.service.config).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(server).unwrap();
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_client_auth_cert(vec![client.0], client.1)
            .unwrap();
        Self {
            place,
            tls: Tls::with(sources.load().unwrap()).unwrap(),
            client: TlsConnector::from(Arc::new(config)),
            issuer,
            _files: files,
        }
    }

    /// A client that has shown its certificate and been greeted; what binds SCRAM to its TLS
    /// (RFC 9266 §2).
    async fn connect(&self) -> (Talk, [u8; 32]) {
        let (mut talk, tls) = self.place.connect_secured(&self.tls, &self.client).await;
        talk.line().await.expect("a greeting");
        (talk, tls)
    }

    async fn log_in(&self, mechanism: &str, proof: Proof, identity: &[u8]) -> (Talk, String) {
        let (mut talk, exporter) = self.connect().await;
        let (user, password) = (proof.user(), proof.password());
        let bearer = format!("\x01auth=Bearer {}\x01\x01", self.token(proof));
        let named = match identity {
            [] => Vec::new(),
            named => [b"a=", named].concat(),
        };
        let message = match mechanism {
            "PLAIN" => [identity, b"\0", user.as_bytes(), b"\0", password.as_bytes()].concat(),
            "OAUTHBEARER" => [b"n,", &named[..], b",", bearer.as_bytes()].concat(),
            "XOAUTH2" => [b"user=", identity, bearer.as_bytes()].concat(),
            "EXTERNAL" => identity.to_vec(),
            scram => {
                let (flag, binding) = match scram {
                    "SCRAM-SHA-256-PLUS" => (&b"p=tls-exporter,"[..], &exporter[..]),
                    _ => (&b"n,"[..], &[][..]),
                };
                let header = [flag, &named[..], b","].concat();
                let bound = Bound {
                    mechanism: scram,
                    header: &header,
                    binding,
                };
                let (_, answer) = scram_over(&mut talk, bound, user, password).await;
                return (talk, answer);
            }
        };
        let first = initial(&message);
        talk.send(format!("t AUTHENTICATE {mechanism} {first}\r\n").as_bytes())
            .await;
        loop {
            let line = talk.line().await.unwrap();
            match line.strip_prefix("t ") {
                Some(answer) => return (talk, answer.to_owned()),
                // A token that is refused is told why, and the client says that it has seen it.
                None if line.starts_with("+ ") => talk.send(b"AQ==\r\n").await,
                None => panic!("{line}"),
            }
        }
    }

    /// A token that names tim; a wrong one is signed by nobody.
    fn token(&self, proof: Proof) -> String {
        let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(json!({"alg": "EdDSA", "kid": "k"}));
        let claims = json!({"iss": ISSUER, "aud": "imap", "sub": "tim", "exp": LATER});
        let signed = format!("{head}.{}", part(claims));
        let signature = match proof {
            Proof::Given => self.issuer.sign(signed.as_bytes()).as_ref().to_vec(),
            _ => vec![0; 64],
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Makes an authority with tim's certificate and key, and the server's, which stands for itself.
fn certificates(
    directory: &Path,
) -> (
    CertificateDer<'static>,
    (CertificateDer<'static>, PrivateKeyDer<'static>),
) {
    let write = |name: &str, text: String| std::fs::write(directory.join(name), text).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = params.self_signed(&key).unwrap();
    write("server.pem", server.pem());
    write("server.key", key.serialize_pem());
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    write("ca.pem", params.self_signed(&key).unwrap().pem());
    let authority = Issuer::new(params, key);
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "tim");
    let key = KeyPair::generate().unwrap();
    let tim = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (server.der().clone(), (tim.der().clone(), key))
}

/// Tim has an alias, two app passwords and the right to act as cleo and dora; dora is disabled.
async fn grant(place: &Place) {
    let store = &place.service.store;
    let id = |name| store.find_account(name).unwrap().id;
    let app = |name: &str, scope: Scope| {
        CredentialChange::AddApp(NewAppPassword {
            name: name.to_owned(),
            verifiers: server::auth::keep_password(APP_PASSWORD.as_bytes()).unwrap(),
            selector: APP_PASSWORD[..4].to_owned(),
            scopes: [scope].into_iter().collect(),
            expires_secs: None,
        })
    };
    let tim = AccountChange {
        aliases: Some(vec!["tim@alias".to_owned()]),
        credentials: vec![app("phone", Scope::Imap), app("tool", Scope::Admin)],
        may_act_as: Some(ActAs::These(vec![id("cleo"), id("dora")])),
        ..AccountChange::default()
    };
    let ann = AccountChange {
        aliases: Some(vec!["ann@alias".to_owned()]),
        ..AccountChange::default()
    };
    let dora = AccountChange {
        enabled: Some(false),
        ..AccountChange::default()
    };
    for (name, change) in [("tim", tim), ("ann", ann), ("dora", dora)] {
        store.change_account(id(name), change).await.unwrap();
    }
}
