//! Channel bindings: values that only the two ends of one TLS connection share, by which SCRAM-PLUS
//! (RFC 5802 §6) notices a relay in between. `tls-exporter` (RFC 9266) and `tls-server-end-point`
//! (RFC 5929 §4) are made; `tls-unique` is not, because TLS 1.3 has none.

use aws_lc_rs::digest;
use rustls::ServerConnection;
use x509_parser::oid_registry::{
    OID_NIST_HASH_SHA256, OID_NIST_HASH_SHA384, OID_NIST_HASH_SHA512, OID_PKCS1_MD5WITHRSAENC,
    OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA,
    OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384,
    OID_SIG_ECDSA_WITH_SHA512,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::signature_algorithm::SignatureAlgorithm;

/// RFC 9266 §2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
/// RFC 9266 §2.
const EXPORTER_BYTES: usize = 32;

/// What a connection can be bound by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChannelBindings {
    /// `tls-exporter`; none in TLS 1.2, where it would need the extended master secret, which this
    /// end cannot tell (RFC 9266 §4.1).
    pub exporter: Option<[u8; EXPORTER_BYTES]>,
    /// `tls-server-end-point`; none if the certificate's signature names no hash.
    pub server_end_point: Option<ServerEndPoint>,
}

impl ChannelBindings {
    pub(super) fn of(connection: &ServerConnection, end_point: Option<&ServerEndPoint>) -> Self {
        let tls13 = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
        let exported = || {
            // The context is empty, which is not the same as absent (RFC 5705 §4).
            let value = [0; EXPORTER_BYTES];
            connection
                .export_keying_material(value, EXPORTER_LABEL, Some(b""))
                .ok()
        };
        Self {
            exporter: tls13.then(exported).flatten(),
            server_end_point: end_point.cloned(),
        }
    }

    /// Each with its name, as SCRAM's `p=` gives it (RFC 5802 §7).
    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, Vec<u8>)> {
        let exporter = self.exporter.map(|value| ("tls-exporter", value.to_vec()));
        let end_point = self.server_end_point.as_ref();
        let end_point = end_point.map(|it| ("tls-server-end-point", it.as_bytes().to_vec()));
        exporter.into_iter().chain(end_point).collect()
    }
}

/// The hash of the server's certificate (RFC 5929 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerEndPoint(Vec<u8>);

impl ServerEndPoint {
    /// The hash by which the certificate was signed, SHA-256 in place of MD5 and SHA-1, over the
    /// whole certificate. A signature that names no hash (Ed25519) has no such binding.
    pub(super) fn of(certificate: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
        let hash = hash_of(&parsed)?;
        Some(Self(digest::digest(hash, certificate).as_ref().to_vec()))
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

fn hash_of(certificate: &X509Certificate<'_>) -> Option<&'static digest::Algorithm> {
    let signature = &certificate.signature_algorithm;
    let oid = signature.oid();
    let named = [
        (OID_PKCS1_MD5WITHRSAENC, &digest::SHA256),
        (OID_PKCS1_SHA1WITHRSA, &digest::SHA256),
        (OID_PKCS1_SHA256WITHRSA, &digest::SHA256),
        (OID_PKCS1_SHA384WITHRSA, &digest::SHA384),
        (OID_PKCS1_SHA512WITHRSA, &digest::SHA512),
        (OID_SIG_ECDSA_WITH_SHA256, &digest::SHA256),
        (OID_SIG_ECDSA_WITH_SHA384, &digest::SHA384),
        (OID_SIG_ECDSA_WITH_SHA512, &digest::SHA512),
    ];
    if let Some((_, hash)) = named.iter().find(|(known, _)| known == oid) {
        return Some(hash);
    }
    if *oid != OID_PKCS1_RSASSAPSS {
        return None;
    }
    // The hash of RSASSA-PSS stands in its parameters; SHA-1 is what their absence means.
    let Ok(SignatureAlgorithm::RSASSA_PSS(parameters)) = SignatureAlgorithm::try_from(signature)
    else {
        return None;
    };
    let hash = parameters.hash_algorithm_oid();
    let longer = [
        (OID_NIST_HASH_SHA256, &digest::SHA256),
        (OID_NIST_HASH_SHA384, &digest::SHA384),
        (OID_NIST_HASH_SHA512, &digest::SHA512),
    ];
    let found = longer.iter().find(|(known, _)| known == hash);
    Some(found.map_or(&digest::SHA256, |(_, hash)| hash))
}
