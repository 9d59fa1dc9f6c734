//! Which process listens at which TCP port of this machine, from `/proc` (proc(5)). A process of
//! another user is named to root only.

use std::{
    collections::HashMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The state that `/proc/net/tcp` gives to sockets that listen.
const LISTENING: &str = "0A";

/// A socket that listens, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    /// The process and the name of its program, if this user may know.
    pub(super) process: Option<(u32, String)>,
}

/// All of this machine.
pub(super) fn listeners() -> Vec<Listener> {
    let table = ["tcp", "tcp6"]
        .map(|name| fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default());
    let sockets: Vec<(SocketAddr, u64)> = table.iter().flat_map(|text| listening(text)).collect();
    let owners = owners();
    let named = |(address, inode): (SocketAddr, u64)| Listener {
        address,
        process: owners.get(&inode).cloned(),
    };
    sockets.into_iter().map(named).collect()
}

/// Addresses and inodes of the sockets that listen.
fn listening(table: &str) -> Vec<(SocketAddr, u64)> {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let address = address(local)?;
        (*state == LISTENING).then_some((address, inode.parse().ok()?))
    };
    table.lines().skip(1).filter_map(row).collect()
}

/// `0100007F:0CEA`: words of the address in this machine's byte order, and the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (words, port) = text.split_once(':')?;
    let word = |at: usize| {
        u32::from_str_radix(words.get(at..at + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    let ip = match words.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(8)?, word(16)?, word(24)?];
            let mut bytes = [0; 16];
            bytes
                .iter_mut()
                .zip(words.iter().flatten())
                .for_each(|(to, from)| *to = *from);
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?))
}

/// Which process has which socket open.
fn owners() -> HashMap<u64, (u32, String)> {
    let mut owners = HashMap::new();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    for entry in entries {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let open = fs::read_dir(entry.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for descriptor in open {
            let Some(inode) = fs::read_link(descriptor.path())
                .ok()
                .and_then(|to| socket_inode(to.to_str()?))
            else {
                continue;
            };
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            owners
                .entry(inode)
                .or_insert_with(|| (process, name.trim_end().to_owned()));
        }
    }
    owners
}

fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_system_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0\n\
             1: 0100007F:0CEB 0100007F:0CEA 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 100 0 0 10 0\n\
             2: 00000000000000000000000001000000:03E1 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 19 1\n\
             3: nonsense\n";
        let found = listening(table);
        let expected = [("127.0.0.1:3306", 17), ("[::1]:993", 19)];
        assert_eq!(
            found,
            expected.map(|(address, inode)| (address.parse().unwrap(), inode))
        );
    }

    #[test]
    fn this_process_is_found_behind_its_port() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let found = listeners();
        let own = found.iter().find(|one| one.address == address).unwrap();
        assert_eq!(
            own.process.as_ref().map(|(id, _)| *id),
            Some(std::process::id())
        );
    }
}
