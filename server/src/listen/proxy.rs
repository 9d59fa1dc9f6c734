//! Connections that a proxy relays: the PROXY header is read before anything else, TLS included,
//! and from then on the client's address stands for the peer's: in limits, delays, bans, the log,
//! and where loopback peers are trusted. Only proxies of `Imap:ProxyNetworks` are listened to.

use std::io;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::{Instant, timeout_at},
};
use wire::proxy::{self, ClientTls, FIXED_BYTES, Header, Origin};

use super::{Peer, Protection};
use crate::config::Config;

/// Reads the header; not a byte more.
///
/// # Errors
/// What came is no header, or none came in time.
pub(super) async fn receive(
    stream: &mut (impl AsyncRead + Unpin),
    deadline: Instant,
) -> io::Result<Header> {
    let read = async {
        let mut fixed = [0; FIXED_BYTES];
        stream.read_exact(&mut fixed).await?;
        let start = proxy::start(&fixed).map_err(io::Error::other)?;
        let mut rest = vec![0; start.rest_bytes];
        stream.read_exact(&mut rest).await?;
        start.finish(&rest).map_err(io::Error::other)
    };
    match timeout_at(deadline, read).await {
        Ok(header) => header,
        Err(_) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "no whole PROXY header came in time",
        )),
    }
}

impl Peer {
    /// Who is behind this proxy. Between the proxy and its client there is a network, whatever is
    /// between the proxy and us: only a client that connected from loopback to loopback counts as
    /// on this machine.
    pub(super) fn behind(self, header: &Header, config: &Config) -> Self {
        let client = match header.origin {
            Origin::Tcp {
                source,
                destination,
            } => Self::of_tcp(source, destination, config),
            Origin::Local | Origin::Unknown => Self {
                loopback: false,
                ..self
            },
        };
        Self {
            protection: match header.client_tls {
                ClientTls::Ended => Protection::AtProxy,
                ClientTls::Unsaid => self.protection,
            },
            ..client
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, time::Duration};

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::service::Trust;

    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    const TIME_MAX: Duration = Duration::from_secs(60);

    async fn received(bytes: &[u8], split: usize) -> (io::Result<Header>, Vec<u8>) {
        let (mut theirs, mut ours) = tokio::io::duplex(1 << 16);
        let (first, second) = bytes.split_at(split);
        let send = async {
            theirs.write_all(first).await.unwrap();
            tokio::task::yield_now().await;
            theirs.write_all(second).await.unwrap();
            theirs.shutdown().await.unwrap();
        };
        let (header, ()) = tokio::join!(receive(&mut ours, Instant::now() + TIME_MAX), send);
        let mut left = Vec::new();
        ours.read_to_end(&mut left).await.unwrap();
        (header, left)
    }

    fn relayed(source: [u8; 4], destination: [u8; 4], tlvs: &[u8]) -> Vec<u8> {
        let length = [0, u8::try_from(12 + tlvs.len()).unwrap()];
        let ports = [0x30, 0x39, 0, 143];
        let (head, tail) = (&[0x21, 0x11], &ports);
        [SIGNATURE, head, &length, &source, &destination, tail, tlvs].concat()
    }

    #[tokio::test]
    async fn what_follows_the_header_is_left_for_the_next_to_read() {
        let header = relayed([192, 0, 2, 7], [198, 51, 100, 1], b"\x04\0\x02ab");
        let bytes = [&header[..], b"a NOOP\r\n"].concat();
        for split in 0..bytes.len() {
            let (header, left) = received(&bytes, split).await;
            assert!(matches!(header.unwrap().origin, Origin::Tcp { .. }));
            assert_eq!(left, b"a NOOP\r\n");
        }
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for (bytes, why) in [
            (&b"a001 CAPABILITY\r\n"[..], "no PROXY header"),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", "version 1"),
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0",
                "no PROXY header",
            ),
            (b"\r\n\r\n\0\r\nQUIT\n\x21", "eof"),
        ] {
            let refused = received(bytes, 0).await.0.unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_comes_slowly_is_not_waited_for() {
        let (mut theirs, mut ours) = tokio::io::duplex(1 << 16);
        let drip = async {
            for byte in proxy::LOCAL {
                theirs.write_all(&[byte]).await.unwrap();
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
        };
        let deadline = Instant::now() + TIME_MAX;
        tokio::select! {
            () = drip => panic!("the header was waited for"),
            header = receive(&mut ours, deadline) => {
                assert_eq!(header.unwrap_err().kind(), io::ErrorKind::TimedOut);
            }
        }
    }

    #[tokio::test]
    async fn the_client_stands_for_the_peer() {
        let config = crate::config::load(&crate::config::Options::default());
        let config = config.unwrap().config;
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        let proxy = Peer::of_tcp(at("127.0.0.1:9"), at("127.0.0.1:143"), &config);
        assert!(proxy.loopback);
        let ssl = b"\x20\0\x05\x01\0\0\0\0";
        for (bytes, address, loopback, trust, protection) in [
            (
                relayed([192, 0, 2, 7], [198, 51, 100, 1], b""),
                "192.0.2.7:12345",
                false,
                Trust::Counted,
                Protection::Plain,
            ),
            (
                relayed([192, 0, 2, 7], [127, 0, 0, 1], ssl),
                "192.0.2.7:12345",
                false,
                Trust::Counted,
                Protection::AtProxy,
            ),
            (
                relayed([127, 0, 0, 1], [127, 0, 0, 1], b""),
                "127.0.0.1:12345",
                true,
                Trust::Trusted,
                Protection::Plain,
            ),
            (
                proxy::LOCAL.to_vec(),
                "127.0.0.1:9",
                false,
                Trust::Trusted,
                Protection::Plain,
            ),
        ] {
            let header = received(&bytes, 0).await.0.unwrap();
            let peer = proxy.behind(&header, &config);
            assert_eq!(peer.address, Some(at(address)));
            assert_eq!(
                (peer.loopback, peer.trust, peer.protection),
                (loopback, trust, protection)
            );
        }
    }
}
