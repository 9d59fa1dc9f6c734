//! TLS 1.2 and 1.3 for the listeners (RFC 8446, RFC 5246): which certificate a client is shown
//! (RFC 6066 §3, SNI), what is asked of clients with certificates of their own, and what a finished
//! handshake established. Certificates and client authorities can be replaced while the server
//! runs; connections that are open keep theirs. It opens no socket.

pub mod binding;
mod certificate;
pub mod client;
pub mod explain;
mod self_signed;
pub mod watch;
mod witness;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use rustls::{HandshakeKind, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

pub use self::certificate::{Certificate, load};
pub use self::self_signed::self_signed;
pub use self::witness::to_ourselves;
use self::{
    binding::{ChannelBindings, ServerEndPoint},
    client::{ClientAuthority, ClientAuthoritySource, ClientIdentity},
    watch::Prints,
};
pub use crate::config::CertificateSource;
use crate::config::Config;
use crate::problem::Problem;

/// The protocol name of IMAP in the TLS handshake (RFC 7301 §3, registered by IANA).
const ALPN: &[u8] = b"imap";

/// Where everything is that TLS needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// The certificates; clients that name none of them are shown the first.
    pub certificates: Vec<CertificateSource>,
    /// Who may issue certificates to clients.
    pub clients: Option<ClientAuthoritySource>,
}

impl Sources {
    /// What the configuration names, if it names a certificate.
    #[must_use]
    pub fn of(config: &Config) -> Option<Self> {
        let certificates = CertificateSource::all(config);
        (!certificates.is_empty()).then(|| Self {
            certificates,
            clients: ClientAuthoritySource::of(config),
        })
    }

    /// Reads all files.
    ///
    /// # Errors
    /// The first that cannot be used.
    pub fn load(&self) -> Result<Material, Problem> {
        Ok(Material {
            // Taken before anything is read: what changes meanwhile is seen as changed.
            prints: watch::prints(self),
            certificates: self
                .certificates
                .iter()
                .map(load)
                .collect::<Result<_, _>>()?,
            clients: self
                .clients
                .as_ref()
                .map(ClientAuthoritySource::load)
                .transpose()?,
        })
    }
}

/// What was read from the files.
#[derive(Debug, Clone)]
pub struct Material {
    /// The certificates, the default first.
    pub certificates: Vec<Certificate>,
    /// Who may issue certificates to clients.
    pub clients: Option<ClientAuthority>,
    prints: Prints,
}

impl Material {
    /// Fails when clients would refuse a certificate for its dates.
    ///
    /// # Errors
    /// The first such certificate.
    pub fn check_dates(&self, now: SystemTime) -> Result<(), Problem> {
        self.certificates
            .iter()
            .try_for_each(|certificate| certificate.check_dates(now))
    }
}

/// The TLS side of the listeners. What the next handshake uses can be replaced while the server
/// runs.
#[derive(Debug, Clone)]
pub struct Tls {
    state: Arc<ArcSwap<State>>,
}

#[derive(Debug)]
struct State {
    /// Never empty; the first is the default.
    endpoints: Vec<Endpoint>,
    clients: Option<ClientAuthority>,
    /// The files as they were when they were read.
    prints: Prints,
}

/// A certificate, and the configuration that shows it.
#[derive(Debug)]
struct Endpoint {
    certificate: Certificate,
    config: Arc<ServerConfig>,
    binding: Option<ServerEndPoint>,
}

#[derive(Debug)]
struct Always(Arc<CertifiedKey>);

impl ResolvesServerCert for Always {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }
}

impl State {
    fn new(material: Material) -> Result<Self, Problem> {
        // Tickets keep resumption out of our memory (RFC 8446 §4.6.1); their keys are changed
        // every six hours, and with the certificates: a session that is resumed was begun under
        // the certificate that would be shown now.
        let ticketer = aws_lc_rs::Ticketer::new().map_err(|error| unusable(&material, &error))?;
        let mut endpoints = Vec::new();
        for certificate in &material.certificates {
            let config = server_config(certificate, material.clients.as_ref());
            let mut config = config.map_err(|error| unusable(&material, &error))?;
            config.alpn_protocols = vec![ALPN.to_vec()];
            config.ticketer = Arc::clone(&ticketer);
            endpoints.push(Endpoint {
                certificate: certificate.clone(),
                config: Arc::new(config),
                binding: ServerEndPoint::of(certificate.der()),
            });
        }
        Ok(Self {
            endpoints,
            clients: material.clients,
            prints: material.prints,
        })
    }

    /// The certificate for a client: made out to the name it asks for, if one is, and of a kind
    /// whose signatures it understands. Names that match exactly go before wildcards.
    fn choose(&self, hello: &ClientHello<'_>) -> Option<&Endpoint> {
        let asked = hello.server_name().and_then(|name| self.named(name));
        let own = || {
            let first = self.endpoints.first()?;
            self.named(first.certificate.names().first()?)
        };
        let fitting = asked.or_else(own).unwrap_or_default();
        let understood = |endpoint: &&&Endpoint| {
            let schemes = hello.signature_schemes();
            endpoint.certificate.key().choose_scheme(schemes).is_some()
        };
        let best = fitting.iter().find(understood).or(fitting.first());
        best.copied().or(self.endpoints.first())
    }

    fn named(&self, name: &str) -> Option<Vec<&Endpoint>> {
        let by = |matches: fn(&str, &str) -> bool| {
            let made_out = |endpoint: &&Endpoint| {
                let mut names = endpoint.certificate.names().iter();
                names.any(|own| matches(own, name))
            };
            let found: Vec<&Endpoint> = self.endpoints.iter().filter(made_out).collect();
            (!found.is_empty()).then_some(found)
        };
        by(|own, name| own.eq_ignore_ascii_case(name)).or_else(|| by(is_wildcard_for))
    }
}

impl Certificate {
    /// Whether a client that connects to this name will find it in the certificate.
    #[must_use]
    pub fn is_made_out_to(&self, name: &str) -> bool {
        let mut names = self.names().iter();
        names.any(|own| own.eq_ignore_ascii_case(name) || is_wildcard_for(own, name))
    }
}

/// Whether a name such as `*.example.org` covers this one: the star stands for one whole label
/// (RFC 9525 §6.3).
fn is_wildcard_for(own: &str, name: &str) -> bool {
    let (Some(domain), Some((first, rest))) = (own.strip_prefix("*."), name.split_once('.')) else {
        return false;
    };
    !first.is_empty() && domain.eq_ignore_ascii_case(rest)
}

fn server_config(
    certificate: &Certificate,
    clients: Option<&ClientAuthority>,
) -> Result<ServerConfig, rustls::Error> {
    let provider: Arc<CryptoProvider> = Arc::new(aws_lc_rs::default_provider());
    let verifier = clients.map_or_else(WebPkiClientVerifier::no_client_auth, |clients| {
        Arc::clone(clients.verifier())
    });
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier);
    let resolver = Always(Arc::clone(certificate.certified()));
    Ok(builder.with_cert_resolver(Arc::new(resolver)))
}

fn unusable(material: &Material, error: &rustls::Error) -> Problem {
    let places = material.certificates.iter().map(Certificate::place);
    Problem::new(
        format!("TLS cannot be set up: {error}"),
        places.collect::<Vec<_>>().join(", "),
        "report this as a fault",
    )
}

impl Tls {
    /// TLS 1.2 and 1.3 with this certificate, for any name.
    ///
    /// # Errors
    /// TLS cannot be set up with it.
    pub fn new(certificate: &Certificate) -> Result<Self, Problem> {
        Self::with(Material {
            certificates: vec![certificate.clone()],
            clients: None,
            prints: Prints::new(),
        })
    }

    /// TLS 1.2 and 1.3 with these certificates and authorities.
    ///
    /// # Errors
    /// TLS cannot be set up with them.
    pub fn with(material: Material) -> Result<Self, Problem> {
        let state = Arc::new(ArcSwap::from_pointee(State::new(material)?));
        Ok(Self { state })
    }

    /// Every later handshake uses these; connections that are open keep theirs.
    ///
    /// # Errors
    /// TLS cannot be set up with them; nothing is changed.
    pub fn replace(&self, material: Material) -> Result<(), Problem> {
        self.state.store(Arc::new(State::new(material)?));
        Ok(())
    }

    /// The certificates in use, the default first.
    #[must_use]
    pub fn certificates(&self) -> Vec<Certificate> {
        let state = self.state.load();
        let certificates = state.endpoints.iter();
        certificates
            .map(|endpoint| endpoint.certificate.clone())
            .collect()
    }

    /// Who may issue certificates to clients, if they are asked for one.
    #[must_use]
    pub fn client_authority(&self) -> Option<ClientAuthority> {
        self.state.load().clients.clone()
    }

    /// Performs a handshake as the server.
    ///
    /// # Errors
    /// The client is gone, or nothing can be agreed on with it.
    pub async fn accept<T>(&self, transport: T) -> io::Result<(TlsStream<T>, Secured)>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = rustls::server::Acceptor::default();
        let start = LazyConfigAcceptor::new(acceptor, transport).await?;
        let state = self.state.load_full();
        let chosen = state.choose(&start.client_hello());
        let Some(endpoint) = chosen else {
            return Err(io::Error::other("there is no certificate"));
        };
        let stream = start.into_stream(Arc::clone(&endpoint.config)).await?;
        let secured = Secured::of(stream.get_ref().1, endpoint, state.clients.as_ref());
        Ok((stream, secured))
    }
}

/// What a finished handshake established.
#[derive(Debug, Clone)]
pub struct Secured {
    /// The version, as `TLSv1.3`.
    pub version: &'static str,
    /// The cipher suite's name.
    pub cipher_suite: &'static str,
    /// The key exchange's name; a resumed TLS 1.2 session has none.
    pub key_exchange: Option<&'static str>,
    /// The name the client asked for (RFC 6066 §3).
    pub server_name: Option<String>,
    /// Whether the client resumed an earlier session.
    pub resumption: Resumption,
    /// What ties a SASL exchange to this connection.
    pub bindings: ChannelBindings,
    /// Who the client is, by a certificate that was verified.
    pub client: Option<ClientIdentity>,
}

/// Whether a handshake resumed an earlier session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resumption {
    /// A full handshake.
    Full,
    /// An earlier session went on.
    Resumed,
}

impl Secured {
    fn of(
        connection: &ServerConnection,
        endpoint: &Endpoint,
        clients: Option<&ClientAuthority>,
    ) -> Self {
        let resumption = match connection.handshake_kind() {
            Some(HandshakeKind::Resumed) => Resumption::Resumed,
            _ => Resumption::Full,
        };
        let suite = connection.negotiated_cipher_suite();
        let group = connection.negotiated_key_exchange_group();
        Self {
            version: match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
                _ => "TLSv1.2",
            },
            cipher_suite: suite
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or("unknown"),
            key_exchange: group.and_then(|group| group.name().as_str()),
            server_name: connection.server_name().map(str::to_owned),
            resumption,
            bindings: ChannelBindings::of(connection, endpoint.binding.as_ref()),
            client: clients.and_then(|clients| clients.identify(connection, resumption)),
        }
    }
}

#[cfg(test)]
mod tests;
