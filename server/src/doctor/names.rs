//! Whether the names that the configuration gives are known in DNS, and whether those of this
//! server lead to this machine.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, UdpSocket},
    time::Duration,
};

use super::Finding;
use crate::{
    config::{Config, KeySource},
    tls::Sources,
};

/// How long the resolver may take for one name.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Looks every name up.
pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let own = own_names(config);
    if own.is_empty() {
        findings.push(Finding::warning(
            "the server has no name but localhost",
            "Imap:ServerName",
            "set it to the name by which clients reach this machine, which is the one in its certificate",
        ));
    }
    for (key, name) in own {
        let found = resolve(&name).await;
        findings.push(leads_here(&name, key, found, is_local));
    }
    for (key, name) in others(config) {
        let found = resolve(&name).await;
        findings.push(known(&name, key, found));
    }
    findings
}

/// The names of this server: what it calls itself, and what its certificates call it.
fn own_names(config: &Config) -> Vec<(&'static str, String)> {
    let material = Sources::of(config).and_then(|sources| sources.load().ok());
    let certificates = material
        .map(|material| material.certificates)
        .unwrap_or_default();
    let certified = certificates.iter().flat_map(|one| one.names());
    let mut seen = BTreeSet::new();
    let given = std::iter::once(("Imap:ServerName", config.imap.server_name.clone()));
    given
        .chain(certified.map(|name| ("Imap:CertificatePath", name.clone())))
        .filter(|(_, name)| {
            name != "localhost" && !name.contains('*') && name.parse::<IpAddr>().is_err()
        })
        .filter(|(_, name)| seen.insert(name.to_ascii_lowercase()))
        .collect()
}

/// Names of others that this server asks.
fn others(config: &Config) -> Vec<(&'static str, String)> {
    let host = |url: &String| {
        let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
        let place = rest.split('/').next().unwrap_or_default();
        let end = place
            .rfind(':')
            .filter(|_| !place.ends_with(']'))
            .unwrap_or(place.len());
        place
            .get(..end)
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned()
    };
    let mut names = Vec::new();
    names.extend(
        config
            .auth
            .ldap_url
            .as_ref()
            .map(|url| ("Auth:LdapUrl", host(url))),
    );
    names.extend(
        config
            .otel
            .endpoint
            .as_ref()
            .map(|url| ("Otel:Endpoint", url.0.host.clone())),
    );
    names.extend(
        config
            .oauth
            .introspection_url
            .as_ref()
            .map(|url| ("OAuth:IntrospectionUrl", url.host.clone())),
    );
    for issuer in config.oauth.issuers.0.values() {
        if let KeySource::Url(url) = &issuer.keys {
            names.push(("OAuth:Issuers", url.host.clone()));
        }
    }
    names.retain(|(_, name)| name != "localhost" && name.parse::<IpAddr>().is_err());
    names
}

async fn resolve(name: &str) -> io::Result<Vec<IpAddr>> {
    let asked = tokio::net::lookup_host((name, 0));
    let timed = tokio::time::timeout(TIME_MAX, asked).await;
    let found = timed.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the resolver does not answer",
        ))
    })?;
    Ok(found.map(|address| address.ip()).collect())
}

/// Only an address of this machine can be bound.
fn is_local(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

fn leads_here(
    name: &str,
    key: &str,
    found: io::Result<Vec<IpAddr>>,
    is_local: impl Fn(IpAddr) -> bool,
) -> Finding {
    let place = super::place(key, &name);
    let addresses = match found {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => return unknown(name, place, "no address"),
        Err(error) => return unknown(name, place, &error.to_string()),
    };
    let shown: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
    let shown = shown.join(", ");
    if addresses.iter().all(IpAddr::is_loopback) {
        return Finding::warning(
            format!(
                "{name} leads to {shown}, here at least: other machines may see another address, or none"
            ),
            place,
            "ask another machine (`host NAME`); /etc/hosts often has such a line for the machine's own name",
        );
    }
    match addresses.iter().find(|address| !is_local(**address)) {
        None => Finding::fine(format!("{name} leads to this machine"), shown),
        Some(strange) => Finding::warning(
            format!("{name} leads to {strange}, which is no address of this machine"),
            place,
            "right behind NAT or a proxy; else correct the A and AAAA records",
        ),
    }
}

fn unknown(name: &str, place: String, why: &str) -> Finding {
    let what = format!("{name} cannot be looked up: {why}");
    let next = "make A and AAAA records for it (`relate-imap client-setup --format dns` prints the others), or correct the name";
    Finding::wrong(what, place, next)
}

fn known(name: &str, key: &str, found: io::Result<Vec<IpAddr>>) -> Finding {
    let place = super::place(key, &name);
    match found {
        Ok(addresses) if !addresses.is_empty() => Finding::fine(format!("{name} is known"), place),
        found => {
            let why = found
                .err()
                .map_or_else(|| "no address".to_owned(), |error| error.to_string());
            let next = "correct the name, or see /etc/resolv.conf: logins wait for this server";
            Finding::wrong(format!("{name} cannot be looked up: {why}"), place, next)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{self, Options},
        doctor::Level,
    };

    #[test]
    fn a_name_leads_here_or_elsewhere_or_nowhere() {
        let here: IpAddr = "192.0.2.1".parse().unwrap();
        let there: IpAddr = "192.0.2.2".parse().unwrap();
        let is_local = |address| address == here;
        let not_found = || Err(io::Error::other("unknown"));
        for (found, level) in [
            (Ok(vec![here]), Level::Fine),
            (Ok(vec![here, there]), Level::Warning),
            (Ok(vec!["127.0.1.1".parse().unwrap()]), Level::Warning),
            (Ok(vec![]), Level::Wrong),
            (not_found(), Level::Wrong),
        ] {
            let finding = leads_here("mail.example.org", "Imap:ServerName", found, is_local);
            assert_eq!(finding.level, level, "{finding:?}");
        }
        assert_eq!(known("a", "k", Ok(vec![there])).level, Level::Fine);
        assert_eq!(known("a", "k", not_found()).level, Level::Wrong);
        // Nobody has an address of the network that is kept for the future.
        let nobodys = "240.0.0.1".parse().unwrap();
        assert!(super::is_local("127.0.0.1".parse().unwrap()) && !super::is_local(nobodys));
    }

    #[tokio::test]
    async fn names_are_gathered_from_all_settings() {
        let set = [
            "Imap:ServerName=mail.example.org",
            "Auth:Backend=Ldap",
            "Auth:LdapUrl=ldaps://ldap.example.org:636",
            "Auth:LdapUserDn=uid={user},dc=example",
            "OAuth:Issuers:a:Issuer=https://id.example.org",
            "OAuth:Issuers:a:Audience=mail",
            "OAuth:Issuers:a:JwksUrl=https://keys.example.org/jwks",
        ];
        let options = Options {
            set: set.iter().map(|&s| s.to_owned()).collect(),
            ..Options::default()
        };
        let config = config::load(&options).unwrap().config;
        assert_eq!(
            own_names(&config),
            [("Imap:ServerName", "mail.example.org".to_owned())]
        );
        let others: Vec<String> = others(&config).into_iter().map(|(_, name)| name).collect();
        assert_eq!(others, ["ldap.example.org", "keys.example.org"]);
        let nameless = config::load(&Options::default()).unwrap().config;
        assert_eq!(check(&nameless).await[0].level, Level::Warning);
    }
}
