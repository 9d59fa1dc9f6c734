//! `relate-imap tls check`: what a client will see, found by being one. The files that the
//! configuration names are loaded as the server loads them, and a client shakes hands with them in
//! memory, by every version and name. It asks no running server and no network.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use serde_json::{Value, json};

use super::{Certificate, ClientAuthority, Sources, Tls, witness::Witness};
use crate::config::Config;
use crate::problem::Problem;

/// Where systems keep the authorities that programs on them trust.
const SYSTEM_AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// A name that no certificate is made out to, for a client that names nobody we know.
const STRANGER: &str = "name.invalid";
/// Bytes that two ends in memory may leave unread.
const DUPLEX_BYTES: usize = 64 * 1024;

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// Everything, as `--json` prints it.
    pub json: Value,
    /// What clients would stumble on.
    pub problems: Vec<Problem>,
}

/// Loads what the configuration names and tries it.
///
/// # Errors
/// There is no certificate, or a file cannot be used.
pub async fn explain(config: &Config, now: SystemTime) -> Result<Report, Problem> {
    let Some(sources) = Sources::of(config) else {
        let next = "set Imap:CertificatePath, and Imap:CertificateKeyPath if the key is elsewhere";
        let what = "there is no certificate: clients can have no TLS";
        return Err(Problem::new(what, "Imap:CertificatePath", next));
    };
    let tls = Tls::with(sources.load()?)?;
    let certificates = tls.certificates();
    let mut handshakes = Vec::new();
    for name in names(&certificates) {
        handshakes.push(shake(&tls, &name, &[&TLS13, &TLS12]).await);
        handshakes.push(shake(&tls, &name, &[&TLS12]).await);
    }
    let mut problems = tls.notices(now);
    problems.extend(certificates.iter().filter_map(disorder));
    let advice = advice(&certificates, &handshakes, config);
    let json = json!({
        "certificates": certificates.iter().map(|one| described(one, now)).collect::<Vec<_>>(),
        "handshakes": handshakes.iter().map(Handshake::to_json).collect::<Vec<_>>(),
        "client_certificates": clients(tls.client_authority().as_ref()),
        "problems": problems.iter().map(Problem::to_json).collect::<Vec<_>>(),
        "advice": advice,
    });
    Ok(Report { json, problems })
}

/// The names that clients are played for: each certificate's own, and one that nobody has.
fn names(certificates: &[Certificate]) -> Vec<String> {
    let own = certificates.iter().flat_map(|one| one.names());
    let mut names: Vec<String> = own.map(|name| name.replacen('*', "any", 1)).collect();
    names.push(STRANGER.to_owned());
    names.dedup();
    names
}

fn described(certificate: &Certificate, now: SystemTime) -> Value {
    let left = certificate.not_after().duration_since(now);
    let chain = certificate.chain();
    let (subject, issuer) = chain.first().cloned().unwrap_or_default();
    json!({
        "file": certificate.place(),
        "names": certificate.names(),
        "subject": subject,
        "issuer": issuer,
        "self_signed": subject == issuer,
        "chain": chain.iter().map(|(subject, _)| subject).collect::<Vec<_>>(),
        "key": certificate.key_kind(),
        "key_matches": true,
        "until": certificate.until(),
        "days_left": left.unwrap_or(Duration::ZERO).as_secs() / (24 * 60 * 60),
    })
}

/// A chain in which one certificate is not issued by the next confuses clients.
fn disorder(certificate: &Certificate) -> Option<Problem> {
    let chain = certificate.chain();
    let mut pairs = chain.iter().zip(chain.iter().skip(1));
    let (one, other) = pairs.find(|(one, other)| one.1 != other.0)?;
    Some(Problem::new(
        format!(
            "the chain is out of order: {} was not issued by {}",
            one.0, other.0
        ),
        certificate.place(),
        "put the server's own certificate first, then the one that issued it, and so on",
    ))
}

fn clients(authority: Option<&ClientAuthority>) -> Value {
    let Some(authority) = authority else {
        return Value::Null;
    };
    let lists = authority.lists().iter().map(|list| {
        json!({
            "issuer": list.issuer,
            "revoked": list.revoked,
            "next_update": list.next_update(),
        })
    });
    json!({
        "authorities": authority.names(),
        "revocation_checked": !authority.lists().is_empty(),
        "revocation_lists": lists.collect::<Vec<_>>(),
    })
}

/// What a handshake came to.
#[derive(Debug)]
struct Handshake {
    name: String,
    offered: &'static str,
    outcome: Result<Agreed, String>,
}

#[derive(Debug)]
struct Agreed {
    version: &'static str,
    cipher_suite: &'static str,
    key_exchange: Option<&'static str>,
    /// Which of our files was shown.
    file: String,
    /// Whether this machine's authorities stand behind it for this name; none if there are none.
    trust: Option<Result<(), String>>,
}

impl Handshake {
    fn to_json(&self) -> Value {
        let mut json = json!({ "name": self.name, "offered": self.offered });
        let more = match &self.outcome {
            Ok(agreed) => json!({
                "version": agreed.version,
                "cipher_suite": agreed.cipher_suite,
                "key_exchange": agreed.key_exchange,
                "file": agreed.file,
                "trusted_here": agreed.trust.as_ref().map(Result::is_ok),
                "why_not": agreed.trust.as_ref().and_then(|trust| trust.as_ref().err()),
            }),
            Err(error) => json!({ "failed": error }),
        };
        if let (Some(json), Value::Object(more)) = (json.as_object_mut(), more) {
            json.extend(more);
        }
        json
    }
}

async fn shake(
    tls: &Tls,
    name: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Handshake {
    let offered = match versions.len() {
        1 => "TLS 1.2",
        _ => "TLS 1.3 and 1.2",
    };
    Handshake {
        name: name.to_owned(),
        offered,
        outcome: agree(tls, name, versions).await,
    }
}

async fn agree(
    tls: &Tls,
    name: &str,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<Agreed, String> {
    let witness = Arc::new(Witness::new(system_authorities));
    let connector = witness
        .connector(versions)
        .map_err(|error| error.to_string())?;
    let asked = ServerName::try_from(name.to_owned()).map_err(|error| error.to_string())?;
    let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
    let (client, server) = tokio::join!(connector.connect(asked, ours), tls.accept(theirs));
    let client = client.map_err(|error| error.to_string())?;
    let (_, secured) = server.map_err(|error| error.to_string())?;
    let shown = client.get_ref().1.peer_certificates().unwrap_or_default();
    let shown = shown.first().map(AsRef::<[u8]>::as_ref).unwrap_or_default();
    let mut certificates = tls.certificates().into_iter();
    let file = certificates.find(|one| one.der() == shown);
    Ok(Agreed {
        version: secured.version,
        cipher_suite: secured.cipher_suite,
        key_exchange: secured.key_exchange,
        file: file.map(|one| one.place()).unwrap_or_default(),
        trust: witness.verdict(),
    })
}

/// The authorities that this machine trusts, if it has any.
fn system_authorities(provider: &Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>> {
    let file = SYSTEM_AUTHORITIES
        .iter()
        .find_map(|path| std::fs::read(path).ok())?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(CertificateDer::pem_slice_iter(&file).filter_map(Result::ok));
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .ok()
}

/// What is no fault, and still worth doing.
fn advice(certificates: &[Certificate], handshakes: &[Handshake], config: &Config) -> Vec<String> {
    let mut advice = Vec::new();
    for certificate in certificates {
        let place = certificate.place();
        let chain = certificate.chain();
        let self_signed = chain
            .first()
            .is_some_and(|(subject, issuer)| subject == issuer);
        if certificate.names().is_empty() {
            advice.push(format!(
                "{place} is made out to no name: no client will accept it"
            ));
        }
        if self_signed {
            advice.push(format!(
                "{place} is self-signed: clients warn until it is added to what they trust; an \
                 authority such as Let's Encrypt gives one that they trust already"
            ));
        } else if chain.len() == 1 && !is_trusted(handshakes, &place) {
            advice.push(format!(
                "{place} comes without the certificate that issued it: if its authority is not \
                 known to clients itself, add its chain to the file (certbot's fullchain.pem)"
            ));
        }
    }
    if config.imap.secure_port == 0 {
        advice.push("Imap:SecurePort is 0: there is STARTTLS only (RFC 8314 prefers TLS from the first byte)".to_owned());
    }
    advice
}

fn is_trusted(handshakes: &[Handshake], place: &str) -> bool {
    let mut agreed = handshakes
        .iter()
        .filter_map(|one| one.outcome.as_ref().ok());
    agreed.any(|one| one.file == place && one.trust == Some(Ok(())))
}

impl Report {
    /// The report for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let rows = |key: &str| self.json.get(key).and_then(Value::as_array).cloned();
        for one in rows("certificates").unwrap_or_default() {
            certificate_text(&mut text, &one);
        }
        text.push_str("what clients see\n");
        for one in rows("handshakes").unwrap_or_default() {
            handshake_text(&mut text, &one);
        }
        clients_text(&mut text, self.json.get("client_certificates"));
        for one in rows("advice").unwrap_or_default() {
            // Writing to a String does not fail.
            let _ = writeln!(text, "advice: {}", string(&one));
        }
        text
    }
}

fn string(value: &Value) -> String {
    match value {
        Value::String(text) => text.chars().flat_map(harmless).collect(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(string).collect::<Vec<_>>().join(", "),
        Value::Null => "none".to_owned(),
        other => other.to_string(),
    }
}

/// Names in certificates may hold anything; on a terminal they are text.
fn harmless(c: char) -> Vec<char> {
    match c.is_control() {
        true => c.escape_debug().collect(),
        false => vec![c],
    }
}

fn certificate_text(text: &mut String, one: &Value) {
    let field = |key: &str| string(one.get(key).unwrap_or(&Value::Null));
    let kind = match one.get("self_signed").and_then(Value::as_bool) {
        Some(true) => "itself (self-signed)".to_owned(),
        _ => field("issuer"),
    };
    let _ = writeln!(text, "certificate {}", field("file"));
    for (label, value) in [
        ("names", field("names")),
        ("issued by", kind),
        ("chain sent", field("chain")),
        ("key", format!("{}, fits the certificate", field("key"))),
        (
            "valid until",
            format!("{} ({} days left)", field("until"), field("days_left")),
        ),
    ] {
        let _ = writeln!(text, "  {label:<12} {value}");
    }
}

fn handshake_text(text: &mut String, one: &Value) {
    let field = |key: &str| string(one.get(key).unwrap_or(&Value::Null));
    let name = match field("name").as_str() {
        STRANGER => "any other name, or none".to_owned(),
        name => name.to_owned(),
    };
    let outcome = match one.get("failed") {
        Some(error) => format!("fails: {}", string(error)),
        None => {
            let trusted = match one.get("trusted_here").and_then(Value::as_bool) {
                Some(true) => "trusted by this machine's authorities".to_owned(),
                Some(false) => format!(
                    "not trusted by this machine's authorities: {}",
                    field("why_not")
                ),
                None => "this machine has no authorities to ask".to_owned(),
            };
            format!(
                "{}, {}, {}; {}; {trusted}",
                field("version"),
                field("cipher_suite"),
                field("key_exchange"),
                field("file")
            )
        }
    };
    let _ = writeln!(text, "  {name} by {}: {outcome}", field("offered"));
}

fn clients_text(text: &mut String, clients: Option<&Value>) {
    let Some(Value::Object(clients)) = clients else {
        text.push_str("client certificates are not asked for (Imap:ClientCaPath)\n");
        return;
    };
    let field = |key: &str| string(clients.get(key).unwrap_or(&Value::Null));
    let _ = writeln!(
        text,
        "client certificates are asked for, of: {}",
        field("authorities")
    );
    let lists = clients.get("revocation_lists").and_then(Value::as_array);
    for list in lists.into_iter().flatten() {
        let field = |key: &str| string(list.get(key).unwrap_or(&Value::Null));
        let _ = writeln!(
            text,
            "  revocation list of {}: {} revoked, next list due {}",
            field("issuer"),
            field("revoked"),
            field("next_update")
        );
    }
    if lists.is_none_or(Vec::is_empty) {
        text.push_str("  revocation is not checked (Imap:CheckCertificateRevocation)\n");
    }
}
