//! Whether the ports are to be had or, while a server runs, whether it answers at them as a client
//! expects; and who else holds them.

use std::net::{IpAddr, SocketAddr};

use super::{
    Finding, Level, has_secure_port,
    probe::{Speech, greeting},
    processes::{Listener, listeners},
    running::Server,
};
use crate::{config::Config, listen, problem::Problem, tls};

/// What only the caller, root perhaps, can find out, before the checks go on as the server's user.
#[derive(Debug)]
pub struct Before {
    listeners: Vec<Listener>,
    /// Each port that could not be bound. While a server runs that says nothing.
    unbound: Vec<(&'static str, Problem)>,
}

impl Before {
    /// Finds it out. The ports are bound for a moment; it needs a runtime, and makes no thread.
    #[must_use]
    pub fn look(config: &Config) -> Self {
        let bind = |port: &Port<'_>| {
            let tried = listen::bind_addresses(port.key, &port.addresses, port.number, |_| None);
            tried.err().map(|problem| (port.key, problem))
        };
        Self {
            listeners: listeners(),
            unbound: ports(config).iter().filter_map(bind).collect(),
        }
    }

    fn holder(&self, port: u16) -> Option<String> {
        let found = self
            .listeners
            .iter()
            .filter(|one| one.address.port() == port);
        let (process, name) = found.filter_map(|one| one.process.as_ref()).next()?;
        Some(format!("process {process}, {name}"))
    }
}

/// A port that the configuration asks for.
struct Port<'a> {
    key: &'static str,
    addresses: Vec<IpAddr>,
    number: u16,
    speech: Speech,
    config: &'a Config,
}

fn ports(config: &Config) -> Vec<Port<'_>> {
    let port = |key, addresses: &[IpAddr], number, speech| Port {
        key,
        addresses: addresses.to_vec(),
        number,
        speech,
        config,
    };
    let (imap, lmtp) = (&config.imap, &config.lmtp);
    let secure = if has_secure_port(config) {
        imap.secure_port
    } else {
        0
    };
    let mut ports = vec![
        port("Imap:Port", &imap.addresses.0, imap.port, Speech::Imap),
        port("Imap:SecurePort", &imap.addresses.0, secure, Speech::Imaps),
        port("Lmtp:Port", &lmtp.addresses.0, lmtp.port, Speech::Lmtp),
    ];
    if let Some(url) = &config.health_check.url {
        let hosts: Vec<IpAddr> = url.addresses().iter().map(SocketAddr::ip).collect();
        ports.push(port("HealthCheck:Url", &hosts, url.port, Speech::Http));
    }
    ports.retain(|port| port.number != 0);
    ports
}

/// Tries every port.
pub(super) async fn check(
    config: &Config,
    server: &Result<Option<Server>, Finding>,
    before: Before,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for port in ports(config) {
        match server {
            Ok(None) => findings.push(free(&port, &before)),
            _ => findings.extend(answering(&port, &before).await),
        }
    }
    findings
}

/// Before the server starts: could it have the port?
fn free(port: &Port<'_>, before: &Before) -> Finding {
    let place = super::place(port.key, &port.number);
    let Some((_, problem)) = before.unbound.iter().find(|(key, _)| *key == port.key) else {
        return Finding::fine("the port is free", place);
    };
    let mut problem = problem.clone();
    if let Some(holder) = before.holder(port.number) {
        problem.what.push_str(&format!("; {holder}, listens there"));
    }
    // Who looks may not, and the server's unit may.
    let level = match problem.next.contains("CAP_NET_BIND_SERVICE") {
        true => Level::Warning,
        false => Level::Wrong,
    };
    Finding { level, problem }
}

/// While the server runs: does it answer there?
async fn answering(port: &Port<'_>, before: &Before) -> Vec<Finding> {
    let place = super::place(port.key, &port.number);
    let mut findings = Vec::new();
    let listened: Vec<IpAddr> = before
        .listeners
        .iter()
        .filter(|one| one.address.port() == port.number)
        .map(|one| one.address.ip())
        .collect();
    let asked: Vec<&IpAddr> = port
        .addresses
        .iter()
        .filter(|ip| listened.is_empty() || listened.contains(ip))
        .collect();
    for ip in asked {
        let address = SocketAddr::new(*ip, port.number);
        match greeting(port.config, address, port.speech).await {
            Ok(shown) => findings.extend(
                shown
                    .certificate
                    .and_then(|shown| other_certificate(port.config, &shown)),
            ),
            Err(error) => {
                let holder = before
                    .holder(port.number)
                    .unwrap_or_else(|| "nobody that this user may see".to_owned());
                findings.push(Finding::wrong(
                    format!(
                        "the server does not answer at {address}: {error}; {holder}, listens there"
                    ),
                    place.clone(),
                    "restart the server if this setting was changed; else stop what listens there",
                ));
            }
        }
    }
    if findings.is_empty() {
        findings.push(Finding::fine("the server answers", place));
    }
    findings
}

/// What clients are shown may be older than the file.
fn other_certificate(config: &Config, shown: &[u8]) -> Option<Finding> {
    let material = tls::Sources::of(config)?.load().ok()?;
    let in_files = material.certificates.iter().any(|one| one.der() == shown);
    (!in_files).then(|| {
        Finding::warning(
            "the running server shows another certificate than the one in the file",
            "Imap:CertificatePath",
            "wait ten seconds after changing it; then reload the server, and see in its log why it was not taken",
        )
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::config::{self, Options};

    fn config(port: u16) -> Config {
        let set = [
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={port}"),
            "Lmtp:Port=0".to_owned(),
            "HealthCheck:Url=".to_owned(),
        ];
        let options = Options {
            set: set.to_vec(),
            ..Options::default()
        };
        config::load(&options).unwrap().config
    }

    #[tokio::test]
    async fn a_port_is_free_or_held_by_somebody_who_is_named() {
        let held = TcpListener::bind("127.0.0.1:0").unwrap();
        let config = config(held.local_addr().unwrap().port());
        let taken = check(&config, &Ok(None), Before::look(&config)).await;
        let own = format!("process {}", std::process::id());
        assert!(
            taken[0].level == Level::Wrong && taken[0].problem.what.contains(&own),
            "{taken:?}"
        );
        drop(held);
        let free = check(&config, &Ok(None), Before::look(&config)).await;
        assert_eq!(free[0].level, Level::Fine, "{free:?}");
    }

    #[tokio::test]
    async fn a_port_that_only_root_may_bind_is_a_warning() {
        let config = config(143);
        let before = Before {
            listeners: Vec::new(),
            unbound: vec![(
                "Imap:Port",
                Problem::new("denied", "Imap:Port", "run with CAP_NET_BIND_SERVICE"),
            )],
        };
        assert_eq!(
            check(&config, &Ok(None), before).await[0].level,
            Level::Warning
        );
    }

    #[tokio::test]
    async fn a_server_that_does_not_greet_is_wrong() {
        let running = Ok(Some(Server { process: None }));
        let held = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = config(held.local_addr().unwrap().port());
        for (greeting, level) in [
            ("* OK hello\r\n", Level::Fine),
            ("220 smtp\r\n", Level::Wrong),
        ] {
            let before = Before::look(&config);
            let serve = async {
                let (mut stream, _) = held.accept().await.unwrap();
                tokio::io::AsyncWriteExt::write_all(&mut stream, greeting.as_bytes())
                    .await
                    .unwrap();
                stream
            };
            let (found, _stream) = tokio::join!(check(&config, &running, before), serve);
            assert_eq!(found[0].level, level, "{found:?}");
        }
        drop(held);
        let nobody = check(&config, &running, Before::look(&config)).await;
        assert_eq!(nobody[0].level, Level::Wrong, "{nobody:?}");
    }
}
