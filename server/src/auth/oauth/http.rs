//! One request to an issuer of tokens, over HTTP/1.1 and TLS (RFC 9112): bounded in time and in
//! size. Redirections are not followed, and nothing is remembered between requests.

use std::{io, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Method, Request, StatusCode, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{net::TcpStream, sync::Semaphore};
use tokio_rustls::TlsConnector;

use crate::{config::ProviderUrl, listen::Transport};

/// The largest answer, bytes: some issuers have dozens of keys with certificates.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// Requests at a time: whoever sends tokens cannot have the issuer flooded.
const REQUESTS_MAX: usize = 8;

/// What asks issuers.
pub(super) struct Http {
    tls: Arc<ClientConfig>,
    time_max: Duration,
    turns: Semaphore,
}

/// What is asked.
pub(super) enum Ask<'a> {
    /// For a document.
    Get,
    /// A form, as somebody.
    Post {
        /// The form's text.
        form: String,
        /// The value of `Authorization`.
        authorization: &'a str,
    },
}

impl Http {
    /// One that trusts the certificates in a file, or those of the system.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub(super) fn new(authorities: Option<&Path>, time_max: Duration) -> Result<Self, String> {
        Ok(Self {
            tls: trusting(authorities, b"http/1.1")?,
            time_max,
            turns: Semaphore::new(REQUESTS_MAX),
        })
    }

    /// Asks, and returns what is answered with 200.
    ///
    /// # Errors
    /// Nothing is, not in time, or too much.
    pub(super) async fn ask(&self, url: &ProviderUrl, ask: Ask<'_>) -> io::Result<Bytes> {
        let asked = async {
            let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
            self.exchange(url, ask).await
        };
        let asked = tokio::time::timeout(self.time_max, asked);
        asked
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn exchange(&self, url: &ProviderUrl, ask: Ask<'_>) -> io::Result<Bytes> {
        let request = request(url, ask).map_err(io::Error::other)?;
        let stream = TokioIo::new(connect(url, &self.tls).await?);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(io::Error::other)?;
        let answer = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(io::Error::other)?;
            if answer.status() != StatusCode::OK {
                return Err(io::Error::other(format!(
                    "status {}",
                    answer.status().as_u16()
                )));
            }
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect();
            Ok(body.await.map_err(io::Error::other)?.to_bytes())
        };
        // The connection moves the bytes; when it ends first, the answer says why.
        tokio::pin!(answer);
        tokio::select! {
            done = &mut answer => return done,
            _ = connection => {}
        }
        answer.await
    }
}

/// A connection to the place of an address.
///
/// # Errors
/// Nobody listens there, or it is not who it should be.
pub(crate) async fn connect(
    url: &ProviderUrl,
    tls: &Arc<ClientConfig>,
) -> io::Result<Box<dyn Transport>> {
    let stream = TcpStream::connect((url.host.as_str(), url.port)).await?;
    if !url.secure {
        return Ok(Box::new(stream));
    }
    let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(Arc::clone(tls));
    Ok(Box::new(connector.connect(name, stream).await?))
}

/// TLS that trusts the certificates in a file, or those of the system, and speaks this.
///
/// # Errors
/// There are none, or they cannot be read.
pub(crate) fn trusting(
    authorities: Option<&Path>,
    alpn: &[u8],
) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    let roots = roots(authorities)?;
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    Ok(Arc::new(config))
}

fn request(url: &ProviderUrl, ask: Ask<'_>) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let request = Request::builder()
        .uri(&url.target)
        .header(header::HOST, url.authority())
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close");
    match ask {
        Ask::Get => request.method(Method::GET).body(Full::default()),
        Ask::Post {
            form,
            authorization,
        } => request
            .method(Method::POST)
            .header(header::AUTHORIZATION, authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form)),
    }
}

fn roots(authorities: Option<&Path>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let bad = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
            for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(&error))? {
                let certificate = certificate.map_err(|error| bad(&error))?;
                roots.add(certificate).map_err(|error| bad(&error))?;
            }
            if roots.is_empty() {
                return Err(bad(&"there is no certificate in it"));
            }
        }
        // A system without any trusts nobody; a file of keys needs nobody.
        None => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
    }
    Ok(roots)
}
