//! Refusals: why a peer is not served, in one line of the log each, always of one form, so that
//! fail2ban and people can read them:
//!
//! ```text
//! … INFO refused reason=login-failed address=192.0.2.1 user="tim" setting=Limits:LoginFailures
//! ```
//!
//! `reason` and `address` come first and are never quoted; what a peer chose (`user`, `client`) is
//! quoted and comes after them, so that it cannot look like them. The filter that is shipped is in
//! `deploy/fail2ban`.

use std::io;

use wire::imap::code::Code;

use crate::{listen::Peer, observe::label::Handshake, service::Service};

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $reason:ident = $name:literal, $setting:expr, $code:expr, $text:literal;)+) => {
        /// Why a peer is refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Reason { $($(#[doc = $doc])+ $reason),+ }

        impl Reason {
            /// Every reason.
            pub const ALL: &'static [Self] = &[$(Self::$reason),+];

            /// Its name in the log.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$reason => $name),+ }
            }

            /// The setting that decides, if one does.
            #[must_use]
            pub const fn setting(self) -> Option<&'static str> {
                match self { $(Self::$reason => $setting),+ }
            }

            /// The response code and the text with which a connection is ended for it.
            #[must_use]
            pub fn bye(self) -> (Option<Code>, &'static str) {
                match self { $(Self::$reason => ($code, $text)),+ }
            }
        }
    };
}

reasons! {
    /// There are as many connections as the process may have.
    Connections = "connections", None, Some(Code::Unavailable),
        "The server has too many connections; try again later.";
    /// The address has too many open.
    ConnectionsPerAddress = "connections-per-address", Some("Limits:ConnectionsPerAddress"), Some(Code::Limit),
        "There are too many connections from your address.";
    /// The address makes too many.
    NewConnectionsPerMinute = "new-connections-per-minute", Some("Limits:NewConnectionsPerMinute"), Some(Code::Limit),
        "Your address connects too often; try again in a minute.";
    /// The memory for connections before login is used up.
    PreLoginPool = "pre-login-pool", Some("Limits:PreLoginPoolBytes"), Some(Code::Unavailable),
        "Too many clients have not logged in; try again later.";
    /// The address failed to log in too often.
    Banned = "banned", Some("Limits:LoginBanTime"), Some(Code::Limit),
        "Too many logins from your address failed; try again later.";
    /// Nobody logged in in time.
    PreLoginTime = "pre-login-time", Some("Limits:PreLoginTime"), None,
        "Nobody logged in for too long.";
    /// A name and password that do not belong together, or another proof that does not hold.
    LoginFailed = "login-failed", None, Some(Code::AuthenticationFailed),
        "The user name or the password is wrong.";
    /// Somebody wants to act as somebody else.
    MayNotActAs = "may-not-act-as", None, Some(Code::AuthorizationFailed),
        "You cannot act as somebody else.";
    /// The connection failed to log in too often.
    LoginFailures = "login-failures", Some("Limits:LoginFailures"), None,
        "Too many logins failed.";
    /// The account has too many sessions.
    ConnectionsPerUser = "connections-per-user", Some("Imap:MaxConnectionsPerUser"), Some(Code::Limit),
        "This account has too many connections.";
    /// The connection sends too much that is not understood.
    BadCommands = "bad-commands", Some("Limits:BadCommands"), None,
        "Too many commands that are not understood.";
    /// More is announced than is read only to be dropped.
    TooBig = "too-big", Some("Limits:DiscardBytes"), Some(Code::TooBig),
        "That is too big to be skipped.";
    /// A line does not end.
    LineTooLong = "line-too-long", Some("Limits:LineBytes"), None,
        "That line is too long to be skipped.";
    /// TLS cannot be agreed on with the peer, or it has no certificate that is taken.
    TlsHandshake = "tls-handshake", None, None,
        "TLS could not be agreed on.";
    /// What a proxy sends first is no PROXY header, or none comes in time.
    ProxyHeader = "proxy-header", Some("Imap:ProxyNetworks"), None,
        "A PROXY header was expected.";
    /// What belongs to AUTHENTICATE cannot be read.
    MalformedLogin = "malformed-login", None, None,
        "The response is malformed.";
    /// The client does not read what it asked for.
    SlowReader = "slow-reader", Some("Limits:OutputTimeout"), None,
        "Nothing was read for too long.";
    /// What the client compressed cannot be inflated, or becomes too much.
    Compression = "compression", None, Some(Code::Limit),
        "What was compressed cannot be inflated, or becomes too much.";
    /// Somebody who wants to see the status page shows a token that is not the one.
    StatusToken = "status-token", Some("HealthCheck:Token"), None,
        "The token is wrong.";
    /// The session is slowed down: it goes on, only later.
    CommandsPerMinute = "commands-per-minute", Some("Limits:CommandsPerMinute"), Some(Code::Limit),
        "Too many commands in a minute.";
}

/// Who a refused peer says it is.
#[derive(Clone, Copy, Default)]
pub struct Claims<'a> {
    /// The user name.
    pub user: Option<&'a str>,
    /// The program, as it named itself by ID (RFC 2971).
    pub client: Option<&'a str>,
}

/// Counts a refusal and writes its line.
pub fn log(service: &Service, reason: Reason, peer: &Peer, claims: Claims<'_>) {
    write(service, reason, peer, claims, None);
}

/// Counts a refusal that a machine has found a reason for, and writes its line.
pub fn log_cause(service: &Service, reason: Reason, peer: &Peer, cause: &io::Error) {
    let cause = cause.to_string();
    write(service, reason, peer, Claims::default(), Some(&cause));
}

/// Counts a TLS handshake that failed, and writes its line. A peer that leaves, or takes our
/// certificate for a wrong one, is not refused: it refuses us.
pub fn handshake(service: &Service, peer: &Peer, error: &io::Error) {
    if peer.is_probe {
        return;
    }
    let ours = error.get_ref().is_some_and(|cause| {
        let cause = cause.downcast_ref::<rustls::Error>();
        !matches!(cause, None | Some(rustls::Error::AlertReceived(_)))
    });
    let handshakes = &service.observe.metrics.handshakes;
    if ours || error.kind() == io::ErrorKind::TimedOut {
        handshakes.count(Handshake::Failed);
        log_cause(service, Reason::TlsHandshake, peer, error);
    } else if !peer.is_probe {
        handshakes.count(Handshake::GivenUp);
        tracing::info!(%peer, %error, "the client gave the TLS handshake up");
    }
}

fn write(service: &Service, reason: Reason, peer: &Peer, claims: Claims<'_>, cause: Option<&str>) {
    // What the health check meets, it says itself.
    if peer.is_probe {
        return;
    }
    let address = peer.address.map(|address| address.ip().to_canonical());
    service.observe.metrics.refusals.count(reason);
    let now_secs = service.now_secs();
    let refusals = &service.observe.refusals;
    refusals.note(reason, address, claims, now_secs);
    tracing::info!(
        reason = %reason.name(),
        address = %peer.ip_text(),
        user = claims.user,
        client = claims.client,
        cause,
        setting = reason.setting().map(tracing::field::display),
        "refused"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_distinct() {
        let mut names: Vec<_> = Reason::ALL.iter().map(|reason| reason.name()).collect();
        assert!(
            names
                .iter()
                .all(|name| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        );
        names.sort_unstable();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn settings_exist() {
        for path in Reason::ALL.iter().filter_map(|reason| reason.setting()) {
            let (section, name) = path.split_once(':').unwrap();
            let keys = crate::config::TABLE.iter().flat_map(|section| section.keys);
            let mut keys = keys.filter(|key| key.section == section);
            assert!(keys.any(|key| key.name == name), "{path}");
        }
    }
}
