//! `relate-imap client-setup`: what mail programs need to connect, from the configuration and the
//! names in the certificate: for people, for programs that look for XML, for Apple's devices and
//! for a DNS zone. It holds no password and asks no running server and no network.

mod dns;
mod documents;

use serde_json::{Value, json};

use crate::{
    config::{AllowPlaintextAuth, Config},
    problem::Problem,
    tls::{Certificate, Sources},
};

pub use self::{
    dns::dns,
    documents::{apple, autoconfig},
};

/// What the configuration calls the server unless it is told a name.
const NAMELESS: &str = "localhost";
/// TLS from the first byte for outgoing mail (RFC 8314 §7.3).
const SUBMISSIONS_PORT: u16 = 465;
/// Outgoing mail with STARTTLS (RFC 6409 §3.1).
const SUBMISSION_PORT: u16 = 587;

/// How a connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// TLS after a command.
    StartTls,
    /// Not at all.
    None,
}

impl Security {
    const fn name(self) -> &'static str {
        match self {
            Self::Tls => "SSL/TLS",
            Self::StartTls => "STARTTLS",
            Self::None => "none",
        }
    }
}

/// A mail domain as it stands in DNS: letters, digits and hyphens between dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain(String);

impl Domain {
    /// Reads a domain.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            (1..=63).contains(&label.len()) && label.bytes().all(fits)
        };
        let name = text.strip_suffix('.').unwrap_or(text);
        if name.len() <= 253 && name.split('.').all(is_label) {
            return Ok(Self(name.to_ascii_lowercase()));
        }
        Err(
            "is no domain: use letters, digits and hyphens, as example.org; names in other \
             scripts in the form that begins with xn--"
                .to_owned(),
        )
    }

    /// The domain, without a dot at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where outgoing mail is handed in. That is another server's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Its name.
    pub host: Domain,
    /// Its port.
    pub port: u16,
}

impl Outgoing {
    /// Reads `HOST` or `HOST:PORT`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (host, port) = text.split_once(':').unwrap_or((text, "465"));
        let port = port.parse().ok().filter(|port| *port != 0);
        Ok(Self {
            host: Domain::parse(host)?,
            port: port.ok_or_else(|| "has no port from 1 to 65535 after the colon".to_owned())?,
        })
    }

    const fn security(&self) -> Security {
        match self.port {
            SUBMISSION_PORT => Security::StartTls,
            _ => Security::Tls,
        }
    }
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incoming {
    /// The port.
    pub port: u16,
    /// How it is secured.
    pub security: Security,
}

/// Everything that is said in one form or another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The server's name.
    pub host: Domain,
    /// The ways in, the best first.
    pub incoming: Vec<Incoming>,
    /// Where outgoing mail goes.
    pub outgoing: Outgoing,
    /// Who is set up, unless it is everybody.
    pub address: Option<String>,
    /// The domains of mail addresses; never empty.
    pub domains: Vec<Domain>,
    /// What clients would stumble on.
    pub warnings: Vec<Problem>,
    /// Who can log in as that says.
    pub reach: Reach,
}

/// From where passwords are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From other machines too.
    Everywhere,
    /// From this machine only: there is no TLS.
    Here,
}

/// What was asked for, besides what the configuration says.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// Who is set up.
    pub address: Option<String>,
    /// The domains of mail addresses.
    pub domains: Vec<Domain>,
    /// Where outgoing mail goes.
    pub outgoing: Option<Outgoing>,
}

/// Gathers it.
///
/// # Errors
/// There is no way in, or a name cannot be used.
pub fn gather(config: &Config, wishes: Wishes) -> Result<Setup, Problem> {
    let mut warnings = Vec::new();
    let certificates = match Sources::of(config).map(|sources| sources.load()) {
        Some(Ok(material)) => material.certificates,
        Some(Err(problem)) => {
            warnings.push(problem);
            Vec::new()
        }
        None => Vec::new(),
    };
    let host = host(config, &certificates, &mut warnings)?;
    let incoming = incoming(config, &mut warnings);
    if incoming.is_empty() {
        let next = "set Imap:CertificatePath, and Imap:SecurePort or Imap:Port";
        let what = "there is no port at which a mail program could log in";
        return Err(Problem::new(what, "section Imap", next));
    }
    let domains = domains(&host, &wishes)?;
    Ok(Setup {
        outgoing: wishes.outgoing.unwrap_or_else(|| Outgoing {
            host: host.clone(),
            port: SUBMISSIONS_PORT,
        }),
        host,
        incoming,
        address: wishes.address,
        domains,
        warnings,
        reach: reach(config),
    })
}

/// The configured name; a server without one is called by its certificate's.
fn host(
    config: &Config,
    certificates: &[Certificate],
    warnings: &mut Vec<Problem>,
) -> Result<Domain, Problem> {
    let name = &config.imap.server_name;
    let unusable = |why| {
        let what = format!("the server's name {why}");
        Problem::new(what, "Imap:ServerName", "set it to the name of this server")
    };
    if name == NAMELESS {
        let names = certificates.iter().flat_map(|one| one.names());
        let mut usable = names
            .filter(|name| name.as_str() != NAMELESS && name.parse::<std::net::IpAddr>().is_err());
        if let Some(found) = usable.find_map(|name| Domain::parse(name).ok()) {
            return Ok(found);
        }
        let next = "set Imap:ServerName to the name by which clients reach this machine";
        let what = "the server has no name but localhost, which works on this machine only";
        warnings.push(Problem::new(what, "Imap:ServerName", next));
    } else if !certificates.is_empty() && !certificates.iter().any(|one| one.is_made_out_to(name)) {
        let names: Vec<&str> = certificates
            .iter()
            .flat_map(|one| one.names())
            .map(String::as_str)
            .collect();
        let what = format!(
            "no certificate is made out to {name}, only to {}: clients will warn or refuse",
            names.join(", ")
        );
        let next =
            "get a certificate for that name, or set Imap:ServerName to one of the certificate's";
        warnings.push(Problem::new(what, "Imap:ServerName", next));
    }
    Domain::parse(name).map_err(unusable)
}

fn incoming(config: &Config, warnings: &mut Vec<Problem>) -> Vec<Incoming> {
    let imap = &config.imap;
    let mut found = Vec::new();
    let has_tls = imap.certificate_path.is_some();
    if has_tls && imap.secure_port != 0 {
        found.push(Incoming {
            port: imap.secure_port,
            security: Security::Tls,
        });
    }
    if imap.port != 0 && has_tls {
        found.push(Incoming {
            port: imap.port,
            security: Security::StartTls,
        });
    } else if imap.port != 0 && imap.allow_plaintext_auth != AllowPlaintextAuth::Never {
        let next = "set Imap:CertificatePath";
        let what = "there is no certificate: passwords would cross the network readable, and from other machines they are not taken";
        if imap.allow_plaintext_auth == AllowPlaintextAuth::Loopback {
            warnings.push(Problem::new(what, "Imap:CertificatePath", next));
        }
        found.push(Incoming {
            port: imap.port,
            security: Security::None,
        });
    }
    found
}

fn reach(config: &Config) -> Reach {
    let imap = &config.imap;
    let is_plain = imap.certificate_path.is_none();
    match is_plain && imap.allow_plaintext_auth != AllowPlaintextAuth::Always {
        true => Reach::Here,
        false => Reach::Everywhere,
    }
}

/// Those asked for, else that of the address, else what the server's name suggests.
fn domains(host: &Domain, wishes: &Wishes) -> Result<Vec<Domain>, Problem> {
    if !wishes.domains.is_empty() {
        return Ok(wishes.domains.clone());
    }
    if let Some(address) = &wishes.address {
        let domain = address
            .rsplit_once('@')
            .map(|(_, domain)| Domain::parse(domain));
        return match domain {
            Some(Ok(domain)) => Ok(vec![domain]),
            Some(Err(why)) => {
                let what = format!("the domain of the mail address {why}");
                Err(Problem::new(
                    what,
                    address,
                    "name it as --domain example.org",
                ))
            }
            None => {
                let next = "give the whole address, as anna@example.org";
                Err(Problem::new("this is no mail address", address, next))
            }
        };
    }
    let parent = host.0.split_once('.').map(|(_, parent)| parent);
    let parent = parent.filter(|parent| parent.contains('.'));
    Ok(vec![parent.map_or_else(
        || host.clone(),
        |parent| Domain(parent.to_owned()),
    )])
}

impl Setup {
    /// What is typed in as user name.
    fn user(&self) -> &str {
        self.address
            .as_deref()
            .unwrap_or("the whole mail address, as anna@example.org")
    }

    /// The settings for a person.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::from("Incoming mail (IMAP)\n");
        for (index, way) in self.incoming.iter().enumerate() {
            if index > 0 {
                text.push_str("or, for programs that cannot do that\n");
            }
            text.push_str(&fields(&[
                ("server", self.host.as_str()),
                ("port", &way.port.to_string()),
                ("security", way.security.name()),
            ]));
        }
        text.push_str("for each\n");
        text.push_str(&fields(&[
            ("user", self.user()),
            (
                "password",
                "the account's, or an app password (\"normal password\")",
            ),
        ]));
        text.push_str("\nOutgoing mail (SMTP), by the mail server beside this one\n");
        text.push_str(&fields(&[
            ("server", self.outgoing.host.as_str()),
            ("port", &self.outgoing.port.to_string()),
            ("security", self.outgoing.security().name()),
            ("user", self.user()),
        ]));
        text
    }

    /// Whether this may be given to programs on other machines, which would send a password in the
    /// clear and be refused.
    ///
    /// # Errors
    /// It may not.
    pub fn may_be_published(&self) -> Result<(), Problem> {
        match self.reach {
            Reach::Everywhere => Ok(()),
            Reach::Here => Err(Problem::new(
                "without a certificate nobody can log in from another machine, so there is \
                 nothing to tell mail programs",
                "Imap:CertificatePath",
                "set it; or, where a proxy or a closed network protects passwords, set \
                 Imap:AllowPlaintextAuth to Always",
            )),
        }
    }

    /// The settings for programs, as `--json` prints them.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let way = |way: &Incoming| json!({ "port": way.port, "security": way.security.name() });
        json!({
            "server": self.host.as_str(),
            "incoming": self.incoming.iter().map(way).collect::<Vec<_>>(),
            "outgoing": {
                "server": self.outgoing.host.as_str(),
                "port": self.outgoing.port,
                "security": self.outgoing.security().name(),
            },
            "user": self.address,
            "domains": self.domains.iter().map(Domain::as_str).collect::<Vec<_>>(),
            "problems": self.warnings.iter().map(Problem::to_json).collect::<Vec<_>>(),
        })
    }
}

fn fields(rows: &[(&str, &str)]) -> String {
    rows.iter()
        .map(|(name, value)| format!("  {name:<10} {value}\n"))
        .collect()
}

#[cfg(test)]
mod tests;
