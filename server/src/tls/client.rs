//! Client certificates, for SASL EXTERNAL (RFC 4422 appendix A): who may issue them, which are
//! revoked (RFC 5280 §5), and whom a verified one names. A certificate is asked for and not
//! demanded; one that does not verify ends the handshake.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConnection};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::Resumption;
use super::certificate::{is_pem, read, seconds_since_1970};
use crate::config::{CertificateName, Config};
use crate::problem::Problem;

/// Whom a client certificate that was verified names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientIdentity {
    emails: Vec<String>,
    common_name: Option<String>,
}

impl ClientIdentity {
    /// Reads the names of a certificate; none if it names nobody.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok().flatten();
        let names = names.map(|extension| extension.value.general_names.as_slice());
        let emails = names
            .unwrap_or_default()
            .iter()
            .filter_map(|name| match name {
                GeneralName::RFC822Name(email) => Some((*email).to_owned()),
                _ => None,
            });
        let mut common = parsed.subject().iter_common_name();
        let common_name = common.next().and_then(|name| name.as_str().ok());
        let identity = Self {
            emails: emails.filter(|email| is_name(email)).collect(),
            common_name: common_name.filter(|name| is_name(name)).map(str::to_owned),
        };
        let names_nobody = identity.emails.is_empty() && identity.common_name.is_none();
        (!names_nobody).then_some(identity)
    }

    /// The names by which the client may log in, the preferred first. A certificate may have
    /// none: then nobody logs in by it, whoever they say they are (CVE-2019-3814).
    pub fn names(&self, which: CertificateName) -> impl Iterator<Item = &str> {
        let emails = (which != CertificateName::CommonName).then_some(&self.emails);
        let common = match which {
            CertificateName::Email => None,
            CertificateName::CommonName => self.common_name.as_ref(),
            CertificateName::EmailOrCommonName => {
                self.common_name.as_ref().filter(|_| self.emails.is_empty())
            }
        };
        let emails = emails.into_iter().flatten();
        emails.chain(common).map(String::as_str)
    }
}

/// Whether a name can be that of an account at all; nothing else is compared or logged.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= wire::limits::USER_BYTES_MAX
        && !text.chars().any(char::is_control)
}

/// Where the authorities of client certificates are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuthoritySource {
    /// The certificates of the authorities, in PEM.
    pub path: PathBuf,
    /// Their revocation lists, in PEM or DER, if revocation is checked.
    pub crl_path: Option<PathBuf>,
}

impl ClientAuthoritySource {
    /// What the configuration names, if it asks for client certificates.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let imap = &config.imap;
        let crl_path = imap.crl_path.clone();
        Some(Self {
            path: imap.client_ca_path.clone()?,
            crl_path: crl_path.filter(|_| imap.check_certificate_revocation),
        })
    }

    /// Reads the authorities and their lists.
    ///
    /// # Errors
    /// A file that cannot be read or used.
    pub fn load(&self) -> Result<ClientAuthority, Problem> {
        let (roots, names) = self.roots()?;
        let lists = match &self.crl_path {
            Some(path) => revocation_lists(path)?,
            None => Vec::new(),
        };
        let described = lists.iter().filter_map(RevocationList::of).collect();
        let provider = Arc::new(aws_lc_rs::default_provider());
        // With lists, a certificate on whose issuer they are silent, or about which they are
        // out of date, counts as revoked.
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .allow_unauthenticated()
            .with_crls(lists)
            .enforce_revocation_expiration()
            .build();
        let verifier = verifier.map_err(|error| {
            let place = self.crl_path.as_ref().unwrap_or(&self.path);
            let what = format!("client certificates cannot be verified: {error}");
            let next = "check Imap:ClientCaPath and Imap:CrlPath";
            Problem::new(what, place.display().to_string(), next)
        })?;
        Ok(ClientAuthority {
            verifier,
            names,
            lists: described,
            crl_path: self.crl_path.clone(),
        })
    }

    fn roots(&self) -> Result<(RootCertStore, Vec<String>), Problem> {
        let file = read(&self.path)?;
        let unfit = |error: &dyn std::fmt::Display| {
            let what = format!("the authorities of client certificates cannot be read: {error}");
            let next = "name a PEM file that holds their certificates";
            Problem::new(what, self.path.display().to_string(), next)
        };
        let (mut roots, mut names) = (RootCertStore::empty(), Vec::new());
        for certificate in CertificateDer::pem_slice_iter(&file) {
            let certificate = certificate.map_err(|error| unfit(&error))?;
            names.extend(subject(&certificate));
            roots.add(certificate).map_err(|error| unfit(&error))?;
        }
        if roots.is_empty() {
            return Err(unfit(&"there is no certificate in it"));
        }
        Ok((roots, names))
    }
}

fn subject(certificate: &[u8]) -> Option<String> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.subject().to_string())
}

fn revocation_lists(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, Problem> {
    let file = read(path)?;
    let unfit = |error: &dyn std::fmt::Display| {
        let what = format!("the revocation lists cannot be read: {error}");
        let next = "name a file with the lists of every authority, in PEM, or with one in DER";
        Problem::new(what, path.display().to_string(), next)
    };
    if !is_pem(&file) {
        CertificateRevocationList::from_der(&file).map_err(|error| unfit(&error))?;
        return Ok(vec![CertificateRevocationListDer::from(file)]);
    }
    let lists: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(&file).collect();
    let lists = lists.map_err(|error| unfit(&error))?;
    if lists.is_empty() {
        return Err(unfit(&"there is no list in it"));
    }
    Ok(lists)
}

/// A revocation list, as it is told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationList {
    /// Whose list it is.
    pub issuer: String,
    /// How many certificates it revokes.
    pub revoked: usize,
    next_update: Option<ASN1Time>,
}

impl RevocationList {
    fn of(list: &CertificateRevocationListDer<'_>) -> Option<Self> {
        let (_, parsed) = CertificateRevocationList::from_der(list).ok()?;
        Some(Self {
            issuer: parsed.issuer().to_string(),
            revoked: parsed.iter_revoked_certificates().count(),
            next_update: parsed.next_update(),
        })
    }

    /// When the next list should have come, as text.
    #[must_use]
    pub fn next_update(&self) -> Option<String> {
        self.next_update.map(|time| time.to_string())
    }
}

/// Who may issue certificates to clients.
#[derive(Debug, Clone)]
pub struct ClientAuthority {
    verifier: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
    lists: Vec<RevocationList>,
    crl_path: Option<PathBuf>,
}

impl ClientAuthority {
    /// The authorities' names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The revocation lists that are consulted; none if revocation is not checked.
    #[must_use]
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// Fails when a list is out of date: until it is replaced, no certificate of its authority is
    /// taken.
    ///
    /// # Errors
    /// The first such list.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), Problem> {
        let now = seconds_since_1970(now);
        let late = |list: &&RevocationList| {
            let next = list.next_update.map(|time| time.timestamp());
            next.is_some_and(|next| next < now)
        };
        let Some(list) = self.lists.iter().find(late) else {
            return Ok(());
        };
        let until = list.next_update().unwrap_or_default();
        let path = self.crl_path.clone().unwrap_or_default();
        Err(Problem::new(
            format!(
                "the revocation list of {} was good until {until}",
                list.issuer
            ),
            path.display().to_string(),
            "fetch the authority's new list; until then its client certificates are refused",
        ))
    }

    pub(super) const fn verifier(&self) -> &Arc<dyn ClientCertVerifier> {
        &self.verifier
    }

    /// Whom the client's certificate names. A session that was resumed brings the certificate of
    /// its first handshake, which may have expired or been revoked since: it is verified again.
    pub(super) fn identify(
        &self,
        connection: &ServerConnection,
        resumption: Resumption,
    ) -> Option<ClientIdentity> {
        let (own, above) = connection.peer_certificates()?.split_first()?;
        if resumption == Resumption::Resumed && !self.verifies(own, above) {
            return None;
        }
        ClientIdentity::of(own)
    }

    /// Whether a certificate is good now, revocation included.
    pub(super) fn verifies(&self, own: &CertificateDer<'_>, above: &[CertificateDer<'_>]) -> bool {
        let now = UnixTime::now();
        self.verifier.verify_client_cert(own, above, now).is_ok()
    }
}
