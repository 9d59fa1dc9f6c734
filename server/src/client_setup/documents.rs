//! The XML documents: Thunderbird's autoconfiguration, which many programs read, and Apple's
//! configuration profile. Neither has a place for a password, so none can be in them.

use std::fmt::Write as _;

use super::{Incoming, Security, Setup};

/// What programs put in place of the address of whoever sets up an account.
const ANY_ADDRESS: &str = "%EMAILADDRESS%";

/// Text as it stands between tags and in attributes (XML 1.0 §2.4); what no document may hold is
/// left out.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            c if c.is_control() || c == '\u{fffe}' || c == '\u{ffff}' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// The document that programs look for at `autoconfig.DOMAIN/mail/config-v1.1.xml` (Mozilla's
/// autoconfiguration, version 1.1).
#[must_use]
pub fn autoconfig(setup: &Setup) -> String {
    let user = escape(setup.address.as_deref().unwrap_or(ANY_ADDRESS));
    let host = escape(setup.host.as_str());
    let first = setup.domains.first().map_or("", |domain| domain.as_str());
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n",
    );
    let mut line = |text: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(xml, "{text}");
    };
    line(&format!("  <emailProvider id=\"{}\">", escape(first)));
    for domain in &setup.domains {
        line(&format!("    <domain>{}</domain>", escape(domain.as_str())));
    }
    line(&format!("    <displayName>{host}</displayName>"));
    line(&format!(
        "    <displayShortName>{}</displayShortName>",
        escape(first)
    ));
    for way in &setup.incoming {
        line(&server("incomingServer", "imap", &host, *way, &user));
    }
    let outgoing = Incoming {
        port: setup.outgoing.port,
        security: setup.outgoing.security(),
    };
    let host = escape(setup.outgoing.host.as_str());
    line(&server("outgoingServer", "smtp", &host, outgoing, &user));
    line("  </emailProvider>\n</clientConfig>");
    xml
}

fn server(tag: &str, protocol: &str, host: &str, way: Incoming, user: &str) -> String {
    let socket = match way.security {
        Security::Tls => "SSL",
        Security::StartTls => "STARTTLS",
        Security::None => "plain",
    };
    format!(
        "    <{tag} type=\"{protocol}\">\n      <hostname>{host}</hostname>\n      \
         <port>{}</port>\n      <socketType>{socket}</socketType>\n      \
         <authentication>password-cleartext</authentication>\n      \
         <username>{user}</username>\n    </{tag}>",
        way.port
    )
}

/// Apple's profile: an account that the device asks the password for (`com.apple.mail.managed`).
/// The same settings make the same identifiers, so that a newer profile replaces an older one.
#[must_use]
pub fn apple(setup: &Setup) -> String {
    let host = setup.host.as_str();
    let domain = setup.domains.first().map_or(host, |domain| domain.as_str());
    let account = account_payload(setup, domain);
    let reversed: Vec<&str> = host.rsplit('.').collect();
    let identifier = format!("{}.relate-imap", reversed.join("."));
    let profile = vec![
        ("PayloadContent", Plist::Dicts(vec![account])),
        (
            "PayloadDescription",
            Plist::text("Mail account; the device asks for the password."),
        ),
        (
            "PayloadDisplayName",
            Plist::Text(format!("Mail at {domain}")),
        ),
        ("PayloadIdentifier", Plist::Text(identifier)),
        ("PayloadOrganization", Plist::text(domain)),
        ("PayloadRemovalDisallowed", Plist::Truth(false)),
        ("PayloadType", Plist::text("Configuration")),
        ("PayloadUUID", Plist::Text(uuid(setup, "profile"))),
        ("PayloadVersion", Plist::Number(1)),
    ];
    let mut xml = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \
         \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <plist version=\"1.0\">\n",
    );
    dict(&mut xml, &profile, 0);
    xml.push_str("</plist>\n");
    xml
}

fn account_payload(setup: &Setup, domain: &str) -> Fields {
    let best = setup.incoming.first().copied();
    let (port, is_secure) =
        best.map_or((0, true), |way| (way.port, way.security != Security::None));
    let mut fields = vec![
        ("EmailAccountDescription", Plist::text(domain)),
        ("EmailAccountType", Plist::text("EmailTypeIMAP")),
    ];
    // What is left out the device asks for.
    if let Some(address) = &setup.address {
        fields.push(("EmailAddress", Plist::text(address)));
        fields.push(("IncomingMailServerUsername", Plist::text(address)));
        fields.push(("OutgoingMailServerUsername", Plist::text(address)));
    }
    fields.extend([
        (
            "IncomingMailServerAuthentication",
            Plist::text("EmailAuthPassword"),
        ),
        (
            "IncomingMailServerHostName",
            Plist::text(setup.host.as_str()),
        ),
        ("IncomingMailServerPortNumber", Plist::Number(port)),
        ("IncomingMailServerUseSSL", Plist::Truth(is_secure)),
        (
            "OutgoingMailServerAuthentication",
            Plist::text("EmailAuthPassword"),
        ),
        (
            "OutgoingMailServerHostName",
            Plist::text(setup.outgoing.host.as_str()),
        ),
        (
            "OutgoingMailServerPortNumber",
            Plist::Number(setup.outgoing.port),
        ),
        ("OutgoingMailServerUseSSL", Plist::Truth(true)),
        ("OutgoingPasswordSameAsIncomingPassword", Plist::Truth(true)),
        ("PayloadDescription", Plist::text("Mail account")),
        (
            "PayloadDisplayName",
            Plist::Text(format!("Mail at {domain}")),
        ),
        (
            "PayloadIdentifier",
            Plist::Text(format!("com.apple.mail.managed.{}", uuid(setup, "account"))),
        ),
        ("PayloadType", Plist::text("com.apple.mail.managed")),
        ("PayloadUUID", Plist::Text(uuid(setup, "account"))),
        ("PayloadVersion", Plist::Number(1)),
    ]);
    fields
}

/// An identifier that depends on the server, the person and the part (version 8 of RFC 9562).
fn uuid(setup: &Setup, part: &str) -> String {
    let address = setup.address.as_deref().unwrap_or_default();
    let named = format!("{}\0{address}\0{part}", setup.host.as_str());
    let mut bytes = [0; 16];
    blake3::Hasher::new()
        .update(named.as_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let parts = parts.map(|(from, to)| hex.get(from..to).unwrap_or_default());
    parts.join("-")
}

/// A value of a property list.
enum Plist {
    Text(String),
    Number(u16),
    Truth(bool),
    Dicts(Vec<Fields>),
}

type Fields = Vec<(&'static str, Plist)>;

impl Plist {
    fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

fn dict(xml: &mut String, fields: &[(&'static str, Plist)], depth: usize) {
    let margin = "  ".repeat(depth);
    xml.push_str(&format!("{margin}<dict>\n"));
    for (key, value) in fields {
        xml.push_str(&format!("{margin}  <key>{key}</key>\n"));
        match value {
            Plist::Text(text) => {
                xml.push_str(&format!("{margin}  <string>{}</string>\n", escape(text)))
            }
            Plist::Number(number) => {
                xml.push_str(&format!("{margin}  <integer>{number}</integer>\n"))
            }
            Plist::Truth(truth) => xml.push_str(&format!("{margin}  <{truth}/>\n")),
            Plist::Dicts(dicts) => {
                xml.push_str(&format!("{margin}  <array>\n"));
                for one in dicts {
                    dict(xml, one, depth + 2);
                }
                xml.push_str(&format!("{margin}  </array>\n"));
            }
        }
    }
    xml.push_str(&format!("{margin}</dict>\n"));
}
