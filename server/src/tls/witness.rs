//! A TLS client of our own server: it takes every certificate, since it asks for none of the
//! assurance that one gives, and notes what others would have said of it.

use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use super::ALPN;

/// Connects this process to its own listener, wherever its certificate is from.
///
/// # Errors
/// The cryptography that is built in cannot do what is asked of it.
pub fn to_ourselves() -> Result<TlsConnector, rustls::Error> {
    Arc::new(Witness::new(|_| None)).connector(&[&TLS13, &TLS12])
}

/// Takes every certificate, so that the handshake goes on, and notes what a client that asks a
/// judge would have said.
#[derive(Debug)]
pub(super) struct Witness {
    judge: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    verdict: OnceLock<Result<(), String>>,
}

impl Witness {
    pub(super) fn new(
        judge: impl FnOnce(&Arc<CryptoProvider>) -> Option<Arc<WebPkiServerVerifier>>,
    ) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Self {
            judge: judge(&provider),
            provider,
            verdict: OnceLock::new(),
        }
    }

    /// A client that speaks these versions and has this witness.
    pub(super) fn connector(
        self: &Arc<Self>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Result<TlsConnector, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(self) as _)
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// What the judge said, if there is one and it was shown a certificate.
    pub(super) fn verdict(&self) -> Option<Result<(), String>> {
        self.verdict.get().cloned()
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(judge) = &self.judge {
            let verdict = judge.verify_server_cert(own, above, name, ocsp, now);
            let verdict = verdict.map(|_| ()).map_err(|error| error.to_string());
            // One handshake shows one certificate.
            let _ = self.verdict.set(verdict);
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
