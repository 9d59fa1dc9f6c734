//! A directory as far as a login goes: binds, one search, StartTLS (RFC 4511). It knows
//! `uid=tim,ou=people` and `uid=new,ou=people` with `tanstaaf`, and `cn=reader` with `reads`; the
//! `owner` of each is tim. Like a real one it says yes to a bind without a password.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::Barrier,
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;

const BIND: u8 = 0x60;
const BIND_ANSWER: u8 = 0x61;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const EXTENDED: u8 = 0x77;
const EXTENDED_ANSWER: u8 = 0x78;

pub(super) struct Directory {
    address: SocketAddr,
    scheme: &'static str,
    binds: Arc<AtomicUsize>,
    server: JoinHandle<()>,
}

impl Drop for Directory {
    fn drop(&mut self) {
        self.server.abort();
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

impl Directory {
    pub(super) async fn start() -> Self {
        Self::serve("ldap", None, None).await
    }

    /// One with TLS from the first byte, or by StartTLS; its certificate is written to `ca.pem`.
    pub(super) async fn start_tls(files: &Path, secure: bool) -> Self {
        let scheme = if secure { "ldaps" } else { "ldap" };
        Self::serve(scheme, Some(acceptor(files)), None).await
    }

    /// One that answers binds only when so many wait for an answer at the same time.
    pub(super) async fn start_for(together: usize) -> Self {
        Self::serve("ldap", None, Some(Arc::new(Barrier::new(together)))).await
    }

    async fn serve(
        scheme: &'static str,
        tls: Option<TlsAcceptor>,
        gate: Option<Arc<Barrier>>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let binds = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&binds);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, binds) = (tls.clone(), Arc::clone(&counted));
                let gate = gate.clone();
                tokio::spawn(async move {
                    let mut stream: Box<dyn Stream> = Box::new(stream);
                    if let (Some(acceptor), "ldaps") = (&tls, scheme) {
                        // Who does not trust it goes.
                        let Ok(secured) = acceptor.accept(stream).await else {
                            return;
                        };
                        stream = Box::new(secured);
                    }
                    talk(stream, tls, (&binds, gate.as_deref())).await;
                });
            }
        });
        Self {
            address,
            scheme,
            binds,
            server,
        }
    }

    pub(super) fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// How many binds came.
    pub(super) fn binds(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.binds)
    }
}

/// What an acceptor of TLS for `localhost` needs; its certificate is written to `ca.pem`.
pub(in crate::auth) fn acceptor(files: &Path) -> TlsAcceptor {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(files.join("ca.pem"), made.cert.pem()).unwrap();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

async fn talk(
    mut stream: Box<dyn Stream>,
    tls: Option<TlsAcceptor>,
    (binds, gate): (&AtomicUsize, Option<&Barrier>),
) {
    while let Some(message) = read(&mut stream).await {
        let mut fields = values(&message);
        let (id, operation) = (fields.remove(0).1, fields.remove(0));
        let answer = |tag, content: &[u8]| sequence(&[element(2, &id), element(tag, content)]);
        let result = |code: u8| [element(10, &[code]), element(4, b""), element(4, b"")].concat();
        match operation.0 {
            BIND => {
                binds.fetch_add(1, Ordering::SeqCst);
                if let Some(gate) = gate {
                    gate.wait().await;
                }
                let code = bind(&values(&operation.1));
                stream
                    .write_all(&answer(BIND_ANSWER, &result(code)))
                    .await
                    .unwrap();
            }
            SEARCH => {
                let wanted = values(&operation.1);
                if let Some(entry) = search(&wanted) {
                    stream.write_all(&answer(ENTRY, &entry)).await.unwrap();
                }
                stream
                    .write_all(&answer(SEARCH_DONE, &result(0)))
                    .await
                    .unwrap();
            }
            EXTENDED => {
                let code = if tls.is_some() { 0 } else { 2 };
                stream
                    .write_all(&answer(EXTENDED_ANSWER, &result(code)))
                    .await
                    .unwrap();
                if let Some(acceptor) = &tls {
                    let Ok(secured) = acceptor.accept(stream).await else {
                        return;
                    };
                    stream = Box::new(secured);
                }
            }
            _ => return,
        }
    }
}

/// `version name simple-password`: the code of the answer.
fn bind(fields: &[(u8, Vec<u8>)]) -> u8 {
    let (name, password) = (&fields[1].1, &fields[2].1);
    match (name.as_slice(), password.as_slice()) {
        (_, b"") => 0,
        (b"uid=tim,ou=people" | b"uid=new,ou=people", b"tanstaaf") | (b"cn=reader", b"reads") => 0,
        _ => 49,
    }
}

/// `base scope deref size time types filter attributes`: the entry, if the filter is `(uid=…)` of
/// one that there is.
fn search(fields: &[(u8, Vec<u8>)]) -> Option<Vec<u8>> {
    let (tag, filter) = &fields[6];
    let asserted = values(filter);
    let is_equality = *tag == 0xa3 && fields[0].1 == b"ou=people" && asserted[0].1 == b"uid";
    let uid = std::str::from_utf8(&asserted[1].1).ok()?;
    let known = is_equality && ["tim", "new"].contains(&uid);
    let dn = format!("uid={uid},ou=people");
    let wanted = values(&fields[7].1);
    let owner = sequence(&[element(4, b"owner"), element(0x31, &element(4, b"tim"))]);
    let told = match wanted
        .iter()
        .any(|(_, name)| name.eq_ignore_ascii_case(b"owner"))
    {
        true => sequence(&[owner]),
        false => sequence(&[]),
    };
    known.then(|| [element(4, dn.as_bytes()), told].concat())
}

/// The content of the next message.
async fn read(stream: &mut Box<dyn Stream>) -> Option<Vec<u8>> {
    let _tag = stream.read_u8().await.ok()?;
    let first = stream.read_u8().await.ok()?;
    let mut length = usize::from(first);
    if first & 0x80 != 0 {
        length = 0;
        for _ in 0..first & 0x7f {
            length = length << 8 | usize::from(stream.read_u8().await.ok()?);
        }
    }
    let mut content = vec![0; length];
    stream.read_exact(&mut content).await.ok()?;
    Some(content)
}

/// The elements one after another: tag and content.
fn values(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut values = Vec::new();
    while let [tag, first, rest @ ..] = bytes {
        let (mut length, mut rest) = (usize::from(*first), rest);
        if first & 0x80 != 0 {
            let (long, after) = rest.split_at(usize::from(first & 0x7f));
            length = long.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
            rest = after;
        }
        let (content, after) = rest.split_at(length);
        values.push((*tag, content.to_vec()));
        bytes = after;
    }
    values
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 0x80, "short answers only");
    [&[tag, length], content].concat()
}

fn sequence(elements: &[Vec<u8>]) -> Vec<u8> {
    element(0x30, &elements.concat())
}
