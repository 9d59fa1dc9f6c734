//! Certificates and the TLS configuration of the listeners: PEM and PKCS#12
//! (RFC 7292) files are loaded, checked against their key and put where a running
//! listener takes them for its next handshake. It opens no socket, watches no file
//! and asks no certificate authority.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use p12_keystore::Pkcs12Archive;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::config::{Config, Password};
use crate::problem::Problem;

/// The protocol name of IMAP in the TLS handshake (RFC 7301, registered by IANA).
const ALPN: &[u8] = b"imap";
/// How long a self-signed certificate is valid: the longest that clients take.
const SELF_SIGNED_DAYS: u64 = 825;
/// Clocks of clients may be a little behind.
const SELF_SIGNED_BACKDATE: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate file larger than this is some other file.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Where a certificate and its key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSource {
    /// PEM or PKCS#12.
    pub path: PathBuf,
    /// The key in PEM, when it is not in `path`.
    pub key_path: Option<PathBuf>,
    /// The password of a PKCS#12 file.
    pub password: Option<Password>,
}

impl CertificateSource {
    /// What the configuration names, if it names a certificate.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let imap = &config.imap;
        Some(Self {
            path: imap.certificate_path.clone()?,
            key_path: imap.certificate_key_path.clone(),
            password: imap.certificate_password.clone(),
        })
    }
}

/// A certificate with its chain and key, known to belong together.
#[derive(Debug, Clone)]
pub struct Certificate {
    certified: Arc<CertifiedKey>,
    path: PathBuf,
    not_before: ASN1Time,
    not_after: ASN1Time,
    names: Vec<String>,
}

impl Certificate {
    /// The end of its validity.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        let seconds = u64::try_from(self.not_after.timestamp()).unwrap_or(0);
        UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))
            .unwrap_or(UNIX_EPOCH)
    }

    /// The names and addresses it is made out to.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many certificates are sent, the server's own included.
    #[must_use]
    pub fn chain_length(&self) -> usize {
        self.certified.cert.len()
    }

    /// Fails when clients would refuse it for its dates.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), Problem> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        let what = if now > self.not_after.timestamp() {
            format!("the certificate expired on {}", self.not_after)
        } else if now < self.not_before.timestamp() {
            format!("the certificate is valid only from {}", self.not_before)
        } else {
            return Ok(());
        };
        let next = "renew the certificate, or mend this machine's clock";
        Err(Problem::new(what, self.path.display().to_string(), next))
    }
}

/// Loads a certificate and its key. The file's first bytes tell PEM from PKCS#12.
pub fn load(source: &CertificateSource) -> Result<Certificate, Problem> {
    let file = read(&source.path)?;
    let certified = if is_pem(&file) {
        from_pem(source, &file)
    } else if file.first() == Some(&DER_SEQUENCE) {
        from_pkcs12(source, &file)
    } else {
        Err(Problem::new(
            "the file is neither PEM nor PKCS#12",
            source.path.display().to_string(),
            "give a PEM file (it holds -----BEGIN CERTIFICATE-----) or a .p12 or .pfx file",
        ))
    }?;
    describe(certified, &source.path)
}

/// The first byte of every DER structure that matters here.
const DER_SEQUENCE: u8 = 0x30;

fn is_pem(file: &[u8]) -> bool {
    file.windows(b"-----BEGIN ".len())
        .any(|window| window == b"-----BEGIN ")
}

fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let place = || path.display().to_string();
    let size = fs::metadata(path).map(|data| data.len()).unwrap_or(0);
    if size > FILE_BYTES_MAX {
        let what = "the file is too large to be a certificate";
        return Err(Problem::new(what, place(), "name the certificate's file"));
    }
    fs::read(path).map_err(|error| {
        let next = match error.kind() {
            ErrorKind::NotFound => "check the path; relative paths start at the working directory",
            _ => "let the user that runs relate-imap read the file",
        };
        Problem::new(format!("the file cannot be read: {error}"), place(), next)
    })
}

fn from_pem(source: &CertificateSource, file: &[u8]) -> Result<CertifiedKey, Problem> {
    let place = || source.path.display().to_string();
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    let chain = chain.map_err(|error| {
        let what = format!("the PEM is damaged: {error}");
        Problem::new(what, place(), "copy the file again, whole")
    })?;
    if chain.is_empty() {
        let next = "put the server's certificate and its chain into the file";
        return Err(Problem::new("the file holds no certificate", place(), next));
    }
    let key = match &source.key_path {
        Some(path) => pem_key(&read(path)?, path)?,
        None => pem_key(file, &source.path)?,
    };
    pair(chain, &key, source)
}

fn pem_key(file: &[u8], path: &Path) -> Result<PrivateKeyDer<'static>, Problem> {
    if let Ok(key) = PrivateKeyDer::from_pem_slice(file) {
        return Ok(key);
    }
    let encrypted = file
        .windows(b"ENCRYPTED".len())
        .any(|window| window == b"ENCRYPTED");
    let (what, next) = if encrypted {
        (
            "the private key is encrypted, which is supported in PKCS#12 files only",
            "decrypt it with `openssl pkey -in FILE -out KEY.pem`, or make a .p12 file",
        )
    } else {
        (
            "the file holds no private key",
            "set Imap:CertificateKeyPath to the key's file, or append the key to this one",
        )
    };
    Err(Problem::new(what, path.display().to_string(), next))
}

fn from_pkcs12(source: &CertificateSource, file: &[u8]) -> Result<CertifiedKey, Problem> {
    let place = || source.path.display().to_string();
    if source.key_path.is_some() {
        let next = "remove Imap:CertificateKeyPath";
        return Err(Problem::new(
            "a PKCS#12 file brings its own key",
            place(),
            next,
        ));
    }
    let password = source.password.as_ref().map_or("", Password::expose);
    let archive = Pkcs12Archive::from_pkcs12(file, password).map_err(|error| {
        let what = match error {
            p12_keystore::error::Error::MacError(_) => {
                "the password does not open the file".to_owned()
            }
            other => format!("the PKCS#12 file cannot be read: {other}"),
        };
        let next = "check Imap:CertificatePassword; or turn the file into PEM with \
                    `openssl pkcs12 -in FILE -nodes -out CERT.pem`";
        Problem::new(what, place(), next)
    })?;
    let Some(bag) = archive.keys.first() else {
        let next = "export the certificate with its private key";
        return Err(Problem::new("the file holds no private key", place(), next));
    };
    let certificates: Vec<&[u8]> = archive.certs.iter().map(|bag| bag.cert.as_der()).collect();
    // Not every tool writes the id that ties a key to its certificate, so the
    // public key decides.
    let key = || {
        let der = bag.key.as_der().to_vec();
        PrivateKeyDer::try_from(der).map_err(|what| Problem::new(what, place(), KEY_KINDS))
    };
    for own in &certificates {
        let chain = chain_from(own, &certificates);
        if let Ok(certified) = pair(chain, &key()?, source) {
            return Ok(certified);
        }
    }
    Err(mismatch(source))
}

/// The certificate and those that issued it, one after the other, roots left out
/// unless the certificate is its own.
fn chain_from(own: &[u8], all: &[&[u8]]) -> Vec<CertificateDer<'static>> {
    let mut chain = vec![CertificateDer::from(own.to_vec())];
    let mut last = own;
    while let Some(next) = all.iter().find(|candidate| issued(candidate, last))
        && chain.len() <= all.len()
    {
        chain.push(CertificateDer::from(next.to_vec()));
        last = next;
    }
    chain
}

/// Whether `issuer` is an intermediate certificate whose subject issued `subject`.
fn issued(issuer: &[u8], subject: &[u8]) -> bool {
    let (Ok((_, issuer)), Ok((_, subject))) = (
        X509Certificate::from_der(issuer),
        X509Certificate::from_der(subject),
    ) else {
        return false;
    };
    issuer.subject() == subject.issuer() && issuer.subject() != issuer.issuer()
}

const KEY_KINDS: &str = "use an ECDSA (P-256, P-384), RSA (2048 bits or more) or Ed25519 key";

fn pair(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'_>,
    source: &CertificateSource,
) -> Result<CertifiedKey, Problem> {
    let key_file = source
        .key_path
        .as_ref()
        .unwrap_or(&source.path)
        .display()
        .to_string();
    let key = aws_lc_rs::sign::any_supported_type(key).map_err(|error| {
        let what = format!("the private key cannot be used: {error}");
        Problem::new(what, key_file, KEY_KINDS)
    })?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(certified),
        Err(rustls::Error::InconsistentKeys(_)) => Err(mismatch(source)),
        Err(error) => Err(Problem::new(
            format!("the certificate cannot be used: {error}"),
            source.path.display().to_string(),
            "put the server's own certificate first in the file",
        )),
    }
}

fn mismatch(source: &CertificateSource) -> Problem {
    let mut files = source.path.display().to_string();
    if let Some(key) = &source.key_path {
        files.push_str(&format!(" and {}", key.display()));
    }
    Problem::new(
        "the certificate does not match the private key",
        files,
        "use the key the certificate was made for, and put the server's own certificate first",
    )
}

fn describe(certified: CertifiedKey, path: &Path) -> Result<Certificate, Problem> {
    let damaged = || {
        let place = path.display().to_string();
        Problem::new("the certificate is damaged", place, "have it made again")
    };
    let own = certified.end_entity_cert().map_err(|_| damaged())?;
    let (_, parsed) = X509Certificate::from_der(own).map_err(|_| damaged())?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.map(|extension| extension.value.general_names.iter().map(name).collect());
    Ok(Certificate {
        not_before: parsed.validity().not_before,
        not_after: parsed.validity().not_after,
        names: names.unwrap_or_default(),
        path: path.to_owned(),
        certified: Arc::new(certified),
    })
}

fn name(general: &x509_parser::extensions::GeneralName<'_>) -> String {
    use x509_parser::extensions::GeneralName;
    match general {
        GeneralName::DNSName(name) => (*name).to_owned(),
        GeneralName::IPAddress(bytes) => address(bytes).unwrap_or_else(|| general.to_string()),
        other => other.to_string(),
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(std::net::IpAddr::from);
    let ip = v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(std::net::IpAddr::from));
    ip.ok().map(|ip| ip.to_string())
}

/// The TLS side of the listeners: one configuration for all, and the certificate
/// of the next handshake, which can be replaced while the server runs.
#[derive(Debug, Clone)]
pub struct Tls {
    config: Arc<ServerConfig>,
    current: Arc<Current>,
}

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    /// TLS 1.2 and 1.3 with this certificate.
    pub fn new(certificate: &Certificate) -> Result<Self, Problem> {
        let unusable = |error: rustls::Error| {
            let place = certificate.path.display().to_string();
            Problem::new(
                format!("TLS cannot be set up: {error}"),
                place,
                "report this as a fault",
            )
        };
        let current = Arc::new(Current(ArcSwap::new(Arc::clone(&certificate.certified))));
        let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Tickets keep resumption out of our memory.
        config.ticketer = aws_lc_rs::Ticketer::new().map_err(unusable)?;
        Ok(Self {
            config: Arc::new(config),
            current,
        })
    }

    /// The configuration for a TLS acceptor.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Loads the certificate anew and uses it from the next handshake on. One that
    /// cannot be used, or whose dates are wrong, changes nothing.
    pub fn reload(&self, source: &CertificateSource, now: SystemTime) -> Result<(), Problem> {
        let certificate = load(source)?;
        certificate.check_dates(now)?;
        self.replace(&certificate);
        Ok(())
    }

    /// Every later handshake uses this certificate; sessions that run keep theirs.
    pub fn replace(&self, certificate: &Certificate) {
        self.current.0.store(Arc::clone(&certificate.certified));
    }
}

/// The certificate and key in `directory`, made there if they are missing, unusable
/// or past their dates. The files can be read by their owner alone.
pub fn self_signed(directory: &Path, now: SystemTime) -> Result<CertificateSource, Problem> {
    let source = CertificateSource {
        path: directory.join("cert.pem"),
        key_path: Some(directory.join("key.pem")),
        password: None,
    };
    let kept = load(&source).and_then(|certificate| certificate.check_dates(now));
    if kept.is_ok() {
        return Ok(source);
    }
    let (certificate, key) = generate(now).map_err(|error| {
        let what = format!("a certificate could not be made: {error}");
        Problem::new(
            what,
            directory.display().to_string(),
            "set Imap:CertificatePath to one",
        )
    })?;
    let written = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
        .and_then(|()| write_private(&directory.join("key.pem"), &key))
        .and_then(|()| write_private(&directory.join("cert.pem"), &certificate));
    written.map(|()| source).map_err(|error| {
        let what = format!("a certificate could not be written: {error}");
        let next = "let the user that runs relate-imap write there";
        Problem::new(what, directory.display().to_string(), next)
    })
}

fn generate(now: SystemTime) -> Result<(String, String), rcgen::Error> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = rcgen::CertificateParams::new(names)?;
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since.saturating_sub(SELF_SIGNED_BACKDATE);
    params.not_after = params.not_before + Duration::from_secs(SELF_SIGNED_DAYS * 24 * 60 * 60);
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "localhost");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes beside the file and renames, so that nobody reads half a file and the
/// mode is right from the first byte.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

#[cfg(test)]
mod tests;
