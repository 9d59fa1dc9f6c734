//! The header of the PROXY protocol, version 2 (HAProxy's `proxy-protocol.txt`, §2.2): by it a
//! proxy in front of the server says whose connection it relays. Version 1, which is text, is told
//! apart and not read. Of what follows the addresses (TLVs) only whether the client spoke TLS with
//! the proxy is looked at; names of hosts, checksums and certificates are not.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::limits::PROXY_HEADER_BYTES_MAX;

/// What every header begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const VERSION_1: &[u8] = b"PROXY ";
/// The part of the header that has a fixed length; it ends with the length of the rest.
pub const FIXED_BYTES: usize = 16;
/// The header of a connection that a program makes of its own, such as a health check.
pub const LOCAL: [u8; FIXED_BYTES] = *b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// The TLV that tells of TLS between the client and the proxy (PP2_TYPE_SSL).
const TYPE_SSL: u8 = 0x20;
/// In that TLV: the client is connected to the proxy by TLS (PP2_CLIENT_SSL).
const CLIENT_SSL: u8 = 0x01;

/// The fixed part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Start {
    command: Command,
    family: Family,
    /// How many bytes follow.
    pub rest_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Unspecified,
    Tcp4,
    Tcp6,
    Unix,
}

/// What a whole header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Whose connection it is.
    pub origin: Origin,
    /// Whether the client's connection to the proxy is protected by TLS.
    pub client_tls: ClientTls,
}

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The proxy's own: nobody is behind it.
    Local,
    /// Somebody's, whose address the proxy cannot give.
    Unknown,
    /// Of a client at this address.
    Tcp {
        /// Where the client is.
        source: SocketAddr,
        /// Where it connected to.
        destination: SocketAddr,
    },
}

/// Whether a client speaks TLS with the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientTls {
    /// It does, and the proxy ends it.
    Ended,
    /// Not that the proxy says.
    Unsaid,
}

/// Why a header is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Something else than a header came first.
    NoHeader,
    /// The text of version 1.
    Version1,
    /// A version or command that nobody knows.
    Unknown,
    /// Not the address of a TCP connection.
    NotTcp,
    /// Longer than is read.
    TooLong,
    /// Shorter than what it should hold.
    Short,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHeader => "no PROXY header came first",
            Self::Version1 => {
                "the PROXY header is of version 1; version 2 is asked for (send-proxy-v2)"
            }
            Self::Unknown => "the PROXY header has an unknown version or command",
            Self::NotTcp => "the PROXY header is not of a TCP connection",
            Self::TooLong => "the PROXY header is too long",
            Self::Short => "the PROXY header is cut short",
        })
    }
}

impl std::error::Error for Fault {}

/// Reads the fixed part of a header.
///
/// # Errors
/// It is none that is understood.
pub fn start(bytes: &[u8; FIXED_BYTES]) -> Result<Start, Fault> {
    let [.., version, family, high, low] = *bytes;
    if !bytes.starts_with(&SIGNATURE) {
        return Err(match bytes.starts_with(VERSION_1) {
            true => Fault::Version1,
            false => Fault::NoHeader,
        });
    }
    let command = match version {
        0x20 => Command::Local,
        0x21 => Command::Proxy,
        _ => return Err(Fault::Unknown),
    };
    let family = match (command, family) {
        // What a proxy says of itself is skipped, whatever it is.
        (Command::Local, _) | (Command::Proxy, 0x00) => Family::Unspecified,
        (Command::Proxy, 0x11) => Family::Tcp4,
        (Command::Proxy, 0x21) => Family::Tcp6,
        (Command::Proxy, 0x31) => Family::Unix,
        (Command::Proxy, _) => return Err(Fault::NotTcp),
    };
    let rest_bytes = usize::from(u16::from_be_bytes([high, low]));
    if rest_bytes > PROXY_HEADER_BYTES_MAX {
        return Err(Fault::TooLong);
    }
    Ok(Start {
        command,
        family,
        rest_bytes,
    })
}

impl Start {
    /// Reads what follows the fixed part: addresses, then TLVs.
    ///
    /// # Errors
    /// It is shorter than it says.
    pub fn finish(self, rest: &[u8]) -> Result<Header, Fault> {
        if self.command == Command::Local {
            return Ok(Header {
                origin: Origin::Local,
                client_tls: ClientTls::Unsaid,
            });
        }
        let mut rest = Rest(rest);
        let origin = match self.family {
            Family::Unspecified => {
                return Ok(Header {
                    origin: Origin::Unknown,
                    client_tls: ClientTls::Unsaid,
                });
            }
            Family::Tcp4 => {
                let (from, to) = (rest.array::<4>()?, rest.array::<4>()?);
                rest.ports(Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into())?
            }
            Family::Tcp6 => {
                let (from, to) = (rest.array::<16>()?, rest.array::<16>()?);
                rest.ports(Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into())?
            }
            Family::Unix => {
                rest.array::<UNIX_ADDRESSES_BYTES>()?;
                Origin::Unknown
            }
        };
        Ok(Header {
            origin,
            client_tls: rest.client_tls()?,
        })
    }
}

/// Two paths of 108 bytes.
const UNIX_ADDRESSES_BYTES: usize = 216;

/// What is not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Fault::Short)?;
        self.0 = rest;
        Ok(*first)
    }

    fn ports(&mut self, from: IpAddr, to: IpAddr) -> Result<Origin, Fault> {
        let (source, destination) = (self.array()?, self.array()?);
        Ok(Origin::Tcp {
            source: SocketAddr::new(from, u16::from_be_bytes(source)),
            destination: SocketAddr::new(to, u16::from_be_bytes(destination)),
        })
    }

    /// The next type and value.
    fn tlv(&mut self) -> Result<(u8, &'a [u8]), Fault> {
        let [kind, high, low] = self.array()?;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let (value, rest) = self.0.split_at_checked(length).ok_or(Fault::Short)?;
        self.0 = rest;
        Ok((kind, value))
    }

    fn client_tls(mut self) -> Result<ClientTls, Fault> {
        let mut found = ClientTls::Unsaid;
        while !self.0.is_empty() {
            let (kind, value) = self.tlv()?;
            let client = value.first().copied().unwrap_or(0);
            if kind == TYPE_SSL && client & CLIENT_SSL != 0 {
                found = ClientTls::Ended;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    fn read(bytes: &[u8]) -> Result<Header, Fault> {
        let (fixed, rest) = bytes.split_first_chunk().ok_or(Fault::Short)?;
        start(fixed)?.finish(rest)
    }

    fn tcp(source: &str, destination: &str) -> Origin {
        Origin::Tcp {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    const V4: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0x12, 0x34, 0, 143];

    #[test]
    fn addresses_of_both_families() {
        let header4 = read(&header(0x21, 0x11, &V4)).unwrap();
        assert_eq!(header4.origin, tcp("192.0.2.1:4660", "198.51.100.2:143"));
        let mut v6 = [0; 36];
        (v6[0], v6[15], v6[31], v6[33], v6[35]) = (0xfd, 1, 1, 7, 99);
        let header6 = read(&header(0x21, 0x21, &v6)).unwrap();
        assert_eq!(header6.origin, tcp("[fd00::1]:7", "[::1]:99"));
        assert_eq!(header6.client_tls, ClientTls::Unsaid);
    }

    #[test]
    fn the_proxy_itself_and_clients_without_an_address() {
        assert_eq!(read(&LOCAL).unwrap().origin, Origin::Local);
        let odd = read(&header(0x20, 0x77, b"whatever it adds"));
        assert_eq!(odd.unwrap().origin, Origin::Local);
        let unspecified = read(&header(0x21, 0x00, b"ignored"));
        assert_eq!(unspecified.unwrap().origin, Origin::Unknown);
        let unix = read(&header(0x21, 0x31, &[0; UNIX_ADDRESSES_BYTES]));
        assert_eq!(unix.unwrap().origin, Origin::Unknown);
    }

    #[test]
    fn what_follows_the_addresses_is_skipped_but_for_tls() {
        for (tlvs, expected) in [
            (&b""[..], ClientTls::Unsaid),
            (b"\x04\x00\x00", ClientTls::Unsaid),
            (b"\x02\x00\x03abc\x20\x00\x05\x01\0\0\0\0", ClientTls::Ended),
            (b"\x20\x00\x05\x00\0\0\0\0", ClientTls::Unsaid),
            (b"\x20\x00\x00", ClientTls::Unsaid),
        ] {
            let rest = [&V4[..], tlvs].concat();
            assert_eq!(
                read(&header(0x21, 0x11, &rest)).unwrap().client_tls,
                expected
            );
        }
    }

    #[test]
    fn faults_are_told_apart() {
        let long = vec![0; PROXY_HEADER_BYTES_MAX + 1];
        for (bytes, fault) in [
            (b"a001 CAPABILITY\r\n".to_vec(), Fault::NoHeader),
            (b"PROXY TCP4 192.0.2.1".to_vec(), Fault::Version1),
            (
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0".to_vec(),
                Fault::NoHeader,
            ),
            (header(0x11, 0x11, &V4), Fault::Unknown),
            (header(0x22, 0x11, &V4), Fault::Unknown),
            (header(0x21, 0x12, &V4), Fault::NotTcp),
            (header(0x21, 0x41, &V4), Fault::NotTcp),
            (header(0x21, 0x11, &long), Fault::TooLong),
            (header(0x21, 0x11, &V4[..11]), Fault::Short),
            (header(0x21, 0x21, &V4), Fault::Short),
            (
                header(0x21, 0x11, &[&V4[..], b"\x04\x00"].concat()),
                Fault::Short,
            ),
            (
                header(0x21, 0x11, &[&V4[..], b"\x04\x00\x02a"].concat()),
                Fault::Short,
            ),
        ] {
            assert_eq!(read(&bytes), Err(fault), "{bytes:?}");
        }
    }

    #[test]
    fn the_longest_header_is_read() {
        let padding = PROXY_HEADER_BYTES_MAX - V4.len() - 3;
        let length = u16::try_from(padding).unwrap().to_be_bytes();
        let rest = [&V4[..], &[4], &length, &vec![0; padding]].concat();
        assert!(read(&header(0x21, 0x11, &rest)).is_ok());
    }
}
