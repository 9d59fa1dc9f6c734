//! A certificate with its chain and key: PEM and PKCS#12 (RFC 7292) files are loaded, checked
//! against their key and described (names, dates, issuer). It opens no socket, watches no file and
//! asks no certificate authority.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use p12_keystore::Pkcs12Archive;
use rustls::SignatureAlgorithm;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use crate::config::{CertificateSource, Config, Password};
use crate::problem::Problem;

/// A certificate file larger than this is some other file.
const FILE_BYTES_MAX: u64 = 4 << 20;

impl CertificateSource {
    /// The default certificate and the further ones that the configuration names; none if it
    /// names no default.
    #[must_use]
    pub fn all(config: &Config) -> Vec<Self> {
        let imap = &config.imap;
        let default = imap.certificate_path.clone().map(|path| Self {
            path,
            key_path: imap.certificate_key_path.clone(),
            password: imap.certificate_password.clone(),
        });
        let further = imap.certificates.0.values().cloned();
        default
            .into_iter()
            .flat_map(|default| std::iter::once(default).chain(further.clone()))
            .collect()
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

    /// The end of its validity, as text.
    #[must_use]
    pub fn until(&self) -> String {
        self.not_after.to_string()
    }

    /// Each certificate that is sent, the server's own first: its subject and its issuer.
    #[must_use]
    pub fn chain(&self) -> Vec<(String, String)> {
        let sent = self.certified.cert.iter();
        let parsed = sent.filter_map(|one| X509Certificate::from_der(one).ok());
        parsed
            .map(|(_, one)| (one.subject().to_string(), one.issuer().to_string()))
            .collect()
    }

    /// The kind of its key.
    #[must_use]
    pub fn key_kind(&self) -> &'static str {
        match self.certified.key.algorithm() {
            SignatureAlgorithm::RSA => "RSA",
            SignatureAlgorithm::ECDSA => "ECDSA",
            SignatureAlgorithm::ED25519 => "Ed25519",
            _ => "other",
        }
    }

    /// The names and addresses it is made out to.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The certificate itself, in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.certified.cert.first().map_or(&[], AsRef::as_ref)
    }

    /// The file it came from.
    #[must_use]
    pub fn place(&self) -> String {
        self.path.display().to_string()
    }

    pub(super) const fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    pub(super) fn key(&self) -> &dyn rustls::sign::SigningKey {
        &*self.certified.key
    }

    /// How many certificates are sent, the server's own included.
    #[must_use]
    pub fn chain_length(&self) -> usize {
        self.certified.cert.len()
    }

    /// Fails when clients would refuse it for its dates.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), Problem> {
        let now = seconds_since_1970(now);
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

/// A time as certificates count it.
pub(super) fn seconds_since_1970(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
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

/// Whether a file is PEM.
pub(super) fn is_pem(file: &[u8]) -> bool {
    file.windows(b"-----BEGIN ".len())
        .any(|window| window == b"-----BEGIN ")
}

/// Reads a file of certificates, unless it is too large to be one.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
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
