//! The lines of a DNS zone by which programs find this server: SRV records for reading mail
//! (RFC 6186 §3.2) and for handing it in (RFC 8314 §5.1), and what is not offered (RFC 6186 §3.4).

use std::fmt::Write as _;

use super::{SUBMISSION_PORT, Security, Setup};

/// How long others may remember the lines, seconds.
const TTL_SECS: u32 = 3_600;

/// The lines for the zone of each domain.
#[must_use]
pub fn dns(setup: &Setup) -> String {
    let mut zone = String::new();
    for domain in &setup.domains {
        let domain = domain.as_str();
        let mut record = |service: &str, rank: u8, target: Option<(u16, &str)>| {
            let name = format!("_{service}._tcp.{domain}.");
            let (weight, port, host) = match target {
                Some((port, host)) => (1, port, host),
                // "Not offered, and do not guess."
                None => (0, 0, ""),
            };
            // Writing to a String does not fail.
            let _ = writeln!(
                zone,
                "{name:<40} {TTL_SECS} IN SRV {rank} {weight} {port} {host}."
            );
        };
        let way = |security: Security| {
            let found = setup.incoming.iter().find(|way| way.security == security);
            found.map(|way| (way.port, setup.host.as_str()))
        };
        record("imaps", 0, way(Security::Tls));
        record("imap", 10, way(Security::StartTls));
        record("pop3s", 0, None);
        record("pop3", 0, None);
        let outgoing = (setup.outgoing.port, setup.outgoing.host.as_str());
        let submission = match setup.outgoing.port {
            SUBMISSION_PORT => "submission",
            _ => "submissions",
        };
        record(submission, 0, Some(outgoing));
    }
    zone
}
