//! What no single key can tell: listeners that would collide, paths that cannot
//! work, a certificate that does not fit its key; and what an operator should be
//! warned of.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::{Access, AtFlags, CWD};

use crate::auth::{backend, oauth};
use crate::ops;
use crate::problem::{Problem, Problems};
use crate::tls::{Sources, Tls};

use super::value::{AllowPlaintextAuth, Setting as _};
use super::{Config, Loaded, Warning};

/// A Unix socket's path with its closing NUL must fit into 108 bytes.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// RFC 9051 §5.4: an autologout timer must be at least 30 minutes.
const SESSION_TIMEOUT_MIN: Duration = Duration::from_secs(30 * 60);

/// A listener as it will be bound, and the key that asks for it.
struct Listener {
    key: &'static str,
    address: SocketAddr,
}

fn listeners(config: &Config) -> Vec<Listener> {
    let bind = |key: &'static str, addresses: &[IpAddr], port: u16| {
        let at = |ip: &IpAddr| Listener {
            key,
            address: SocketAddr::new(*ip, port),
        };
        if port == 0 {
            Vec::new()
        } else {
            addresses.iter().map(at).collect()
        }
    };
    let mut all = bind("Imap:Port", &config.imap.addresses.0, config.imap.port);
    all.extend(bind(
        "Imap:SecurePort",
        &config.imap.addresses.0,
        config.imap.secure_port,
    ));
    all.extend(bind(
        "Lmtp:Port",
        &config.lmtp.addresses.0,
        config.lmtp.port,
    ));
    let health = config
        .health_check
        .url
        .iter()
        .flat_map(super::HttpUrl::addresses);
    all.extend(health.map(|address| Listener {
        key: "HealthCheck:Url",
        address,
    }));
    all
}

/// Whether binding both would fail. `::` is bound for IPv6 only, so it does not
/// collide with an IPv4 address.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let reaches_all = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.is_ipv4() == b.is_ipv4() && (a.ip() == b.ip() || reaches_all)
}

/// Problems between keys.
pub(super) fn together(loaded: &Loaded) -> Vec<Problem> {
    let mut problems = shared_ports(loaded);
    let config = &loaded.config;
    if let Some(path) = &config.lmtp.socket_path
        && path.as_os_str().len() > SOCKET_PATH_BYTES_MAX
    {
        problems.push(Problem::new(
            format!("the socket's path is longer than {SOCKET_PATH_BYTES_MAX} bytes"),
            format!(
                "Lmtp:SocketPath, {}, given by {}",
                path.display(),
                loaded.source("Lmtp:SocketPath")
            ),
            "choose a shorter Lmtp:SocketPath or Store:Path",
        ));
    }
    if config.imap.certificate_key_path.is_some() && config.imap.certificate_path.is_none() {
        problems.push(Problem::new(
            "there is a key but no certificate",
            format!(
                "Imap:CertificateKeyPath, given by {}",
                loaded.source("Imap:CertificateKeyPath")
            ),
            "set Imap:CertificatePath as well",
        ));
    }
    if !config.imap.certificates.0.is_empty() && config.imap.certificate_path.is_none() {
        problems.push(Problem::new(
            "there are further certificates, but none for clients that ask for no name",
            "Imap:Certificates",
            "set Imap:CertificatePath to the certificate that they are shown",
        ));
    }
    if let (Some(_), Some(limit)) = (config.imap.message_limit, config.imap.save_limit) {
        problems.push(Problem::new(
            "there are two limits on the messages of COPY and APPEND",
            format!(
                "Imap:SaveLimit = {limit}, given by {}",
                loaded.source("Imap:SaveLimit")
            ),
            "set Imap:MessageLimit for all commands, or Imap:SaveLimit for these alone",
        ));
    }
    problems.extend(client_certificates(loaded));
    problems.extend(without_login(loaded));
    problems
}

/// Mail that is read without a login is that of a named account, and is read on this machine only.
fn without_login(loaded: &Loaded) -> Vec<Problem> {
    let imap = &loaded.config.imap;
    if imap.require_authentication {
        return Vec::new();
    }
    let given = |key: &str, value: &str| {
        let source = loaded.source(key);
        format!("{key} = {value}, given by {source}")
    };
    let mut problems = Vec::new();
    if imap.preauth_account.is_none() {
        problems.push(Problem::new(
            "clients need not log in, and it is not said whose mail they get",
            given("Imap:RequireAuthentication", "false"),
            "set Imap:PreauthAccount to the name of an account, or Imap:RequireAuthentication to true",
        ));
    }
    let mut outside = imap.addresses.0.iter().filter(|it| !it.is_loopback());
    if let Some(address) = outside.next() {
        problems.push(Problem::new(
            "clients need not log in, and others than those on this machine could connect",
            given("Imap:Addresses", &address.to_string()),
            "allowed are loopback addresses, as 127.0.0.1 and ::1; or set Imap:RequireAuthentication to true",
        ));
    }
    if !imap.proxy_networks.0.is_empty() {
        problems.push(Problem::new(
            "clients need not log in, and a proxy could bring them from elsewhere",
            given("Imap:ProxyNetworks", &imap.proxy_networks.show()),
            "remove Imap:ProxyNetworks, or set Imap:RequireAuthentication to true",
        ));
    }
    problems
}

/// A check that was asked for and cannot be made is not left out in silence.
fn client_certificates(loaded: &Loaded) -> Option<Problem> {
    let imap = &loaded.config.imap;
    imap.client_ca_path.as_ref()?;
    let place = |key: &str| format!("{key}, given by {}", loaded.source(key));
    if imap.certificate_path.is_none() {
        return Some(Problem::new(
            "client certificates need TLS, and there is no certificate",
            place("Imap:ClientCaPath"),
            "set Imap:CertificatePath as well",
        ));
    }
    let unchecked = imap.check_certificate_revocation && imap.crl_path.is_none();
    unchecked.then(|| {
        Problem::new(
            "the revocation of client certificates is to be checked, but there is no list to look in",
            place("Imap:ClientCaPath"),
            "set Imap:CrlPath to the authorities' revocation lists; or, to take certificates that \
             were revoked, set Imap:CheckCertificateRevocation to false",
        )
    })
}

fn shared_ports(loaded: &Loaded) -> Vec<Problem> {
    let all = listeners(&loaded.config);
    let mut problems: Vec<Problem> = Vec::new();
    for (index, first) in all.iter().enumerate() {
        for second in all.iter().skip(index + 1) {
            if first.key == second.key || !collide(first.address, second.address) {
                continue;
            }
            let problem = Problem::new(
                format!(
                    "{} and {} both use port {}",
                    first.key,
                    second.key,
                    first.address.port()
                ),
                format!(
                    "{}, given by {}, and {}, given by {}",
                    first.key,
                    loaded.source(first.key),
                    second.key,
                    loaded.source(second.key)
                ),
                "give one of them another port, or 0 to switch it off",
            );
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    problems
}

/// Whether others than this machine can ask for its health, and could not show a token.
fn is_shown_without_token(config: &Config) -> bool {
    let health = &config.health_check;
    let mut addresses = health.url.iter().flat_map(super::HttpUrl::addresses);
    let is_open = addresses.any(|address| !address.ip().is_loopback());
    is_open && health.token.is_none() && health.token_path.is_none()
}

/// What the server can start with, but hardly as its operator meant it.
pub(super) fn warnings(loaded: &Loaded) -> Vec<Warning> {
    let imap = &loaded.config.imap;
    let mut warnings = Vec::new();
    let mut warn = |what: &str, key: &str, next: &str| {
        let place = format!("{key}, given by {}", loaded.source(key));
        warnings.push(Warning(Problem::new(what, place, next)));
    };
    if imap.session_timeout < SESSION_TIMEOUT_MIN {
        warn(
            "sessions end sooner than RFC 9051 §5.4 allows",
            "Imap:SessionTimeout",
            "use 30m or more; clients reconnect each time they are cut off",
        );
    }
    if imap.require_authentication && imap.preauth_account.is_some() {
        warn(
            "clients must log in, so this account is served to nobody without",
            "Imap:PreauthAccount",
            "remove it, or set Imap:RequireAuthentication to false",
        );
    }
    if imap.crl_path.is_some() && imap.client_ca_path.is_none() {
        warn(
            "revocation lists are read for client certificates, and none is asked for",
            "Imap:CrlPath",
            "set Imap:ClientCaPath, or remove Imap:CrlPath",
        );
    }
    if imap.port == 0 && (imap.secure_port == 0 || imap.certificate_path.is_none()) {
        warn(
            "no IMAP listener is open",
            "Imap:Port",
            "set Imap:Port, or Imap:SecurePort and Imap:CertificatePath",
        );
    }
    if is_shown_without_token(&loaded.config) {
        warn(
            "others than this machine can ask for its health, and see no more than a word: there is no token",
            "HealthCheck:Url",
            "set HealthCheck:Token to see metrics and the status page from elsewhere",
        );
    }
    let beyond_loopback = imap
        .addresses
        .0
        .iter()
        .any(|address| !address.is_loopback());
    let none_outside = imap.allow_plaintext_auth != AllowPlaintextAuth::Always;
    if imap.certificate_path.is_none() && imap.port != 0 && beyond_loopback && none_outside {
        warn(
            "nobody outside this machine can log in: there is no certificate, and passwords are not taken without TLS",
            "Imap:CertificatePath",
            "set Imap:CertificatePath to a certificate; or, on a network you trust, set Imap:AllowPlaintextAuth to Always",
        );
    }
    warnings
}

/// Problems of this machine: the certificate's files and the store's directory.
pub(super) fn machine(loaded: &Loaded, now: SystemTime) -> Result<Vec<Warning>, Problems> {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    if let Some(sources) = Sources::of(&loaded.config) {
        match sources.load().and_then(Tls::with) {
            // An expired certificate stops clients, not delivery: refusing to
            // start would bounce mail as well.
            Ok(tls) => warnings.extend(tls.notices(now).into_iter().map(Warning)),
            Err(mut problem) => {
                let given = loaded.source("Imap:CertificatePath");
                problem.to_what = format!(
                    "{} (Imap:CertificatePath, given by {given})",
                    problem.to_what
                );
                problems.push(problem);
            }
        }
    }
    problems.extend(store_writable(loaded));
    let clock: Arc<dyn store::clock::Clock> = Arc::new(store::clock::SystemClock);
    let (wrong, odd) = backend::check(&loaded.config.auth, &clock);
    let problem = |finding: backend::Finding| {
        let key = format!("Auth:{}", finding.key);
        let place = format!("{key}, given by {}", loaded.source(&key));
        Problem::new(
            finding.what,
            place,
            "docs/authentication.md shows how it may look",
        )
    };
    problems.extend(wrong.into_iter().map(problem));
    problems.extend(tokens(loaded, clock));
    problems.extend(ops::access::token(&loaded.config).err());
    warnings.extend(odd.into_iter().map(|finding| Warning(problem(finding))));
    Problems(problems).or(warnings)
}

/// What of section OAuth cannot work on this machine.
fn tokens(loaded: &Loaded, clock: Arc<dyn store::clock::Clock>) -> Option<Problem> {
    let wrong = oauth::check(&loaded.config.oauth, clock).err()?;
    let (key, what) = wrong.split_once(": ").unwrap_or(("Issuers", &wrong));
    let key = format!("OAuth:{key}");
    let place = format!("{key}, given by {}", loaded.source(&key));
    let next = "docs/authentication.md shows how it may look";
    Some(Problem::new(what, place, next))
}

fn store_writable(loaded: &Loaded) -> Option<Problem> {
    let path = &loaded.config.store.path;
    let existing = path.ancestors().find(|p| p.exists());
    let directory = match existing {
        Some(found) if !found.as_os_str().is_empty() => found,
        _ => Path::new("."),
    };
    let wanted = Access::WRITE_OK | Access::EXEC_OK;
    let why = if directory.is_dir() {
        let access = rustix::fs::accessat(CWD, directory, wanted, AtFlags::EACCESS);
        access
            .err()
            .map(|error| std::io::Error::from(error).to_string())
    } else {
        Some("it is not a directory".to_owned())
    };
    why.map(|why| {
        Problem::new(
            format!("the mail store cannot be written: {}: {why}", directory.display()),
            format!("Store:Path = {}, given by {}", path.display(), loaded.source("Store:Path")),
            "choose a directory that the user running relate-imap may write, or let that user own this one",
        )
    })
}
