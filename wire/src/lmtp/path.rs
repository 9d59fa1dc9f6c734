//! Reverse-paths and forward-paths (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! ```text
//! Path        = "<" [ A-d-l ":" ] Mailbox ">"
//! Mailbox     = Local-part "@" ( Domain / address-literal )
//! Local-part  = Dot-string / Quoted-string
//! Domain      = sub-domain *("." sub-domain)
//! ```
//!
//! More lenient than that in two things that local delivery meets: a mailbox may lack its domain,
//! and a sub-domain may hold underscores. A source route is read and ignored (RFC 5321 Appendix C).

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::limits::{DOMAIN_BYTES_MAX, LOCAL_PART_BYTES_MAX};

/// A mailbox as an envelope names it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Address {
    local: Box<str>,
    domain: Option<Box<str>>,
}

impl Address {
    /// The local part, unquoted; it may be empty or hold any printable character.
    #[must_use]
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain or address literal (with its brackets) as written.
    #[must_use]
    pub fn domain(&self) -> Option<&str> {
        self.domain.as_deref()
    }

    /// Whether it needs SMTPUTF8 (RFC 6531 §3.4).
    #[must_use]
    pub fn is_international(&self) -> bool {
        !self.local.is_ascii() || self.domain.as_ref().is_some_and(|d| !d.is_ascii())
    }

    /// Reads a mailbox without angle brackets, all of it.
    #[must_use]
    pub fn parse(mailbox: &str) -> Option<Self> {
        let (address, rest) = mailbox_of(mailbox)?;
        rest.is_empty().then_some(address)
    }
}

impl fmt::Display for Address {
    /// The mailbox without angle brackets; the local part is quoted if it has to be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if dot_string(&self.local).is_some_and(|(_, rest)| rest.is_empty()) {
            f.write_str(&self.local)?;
        } else {
            f.write_str("\"")?;
            for c in self.local.chars() {
                if matches!(c, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{c}")?;
            }
            f.write_str("\"")?;
        }
        match &self.domain {
            Some(domain) => write!(f, "@{domain}"),
            None => Ok(()),
        }
    }
}

/// Reads a path in angle brackets from the start of `text`; what follows it is returned.
/// The null path `<>` is `None` inside.
#[must_use]
pub fn path(text: &str) -> Option<(Option<Address>, &str)> {
    let rest = text.strip_prefix('<')?;
    if let Some(rest) = rest.strip_prefix('>') {
        return Some((None, rest));
    }
    let (address, rest) = mailbox_of(source_route(rest)?)?;
    Some((Some(address), rest.strip_prefix('>')?))
}

/// `A-d-l ":"` is skipped.
fn source_route(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at_domain) = rest.strip_prefix('@') {
        let (_, after) = domain(at_domain)?;
        match after.strip_prefix(':') {
            Some(mailbox) => return Some(mailbox),
            None => rest = after.strip_prefix(',').filter(|r| r.starts_with('@'))?,
        }
    }
    Some(rest)
}

fn mailbox_of(text: &str) -> Option<(Address, &str)> {
    let (local, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_string(quoted)?,
        None => dot_string(text).map(|(local, rest)| (local.to_owned(), rest))?,
    };
    if local.len() > LOCAL_PART_BYTES_MAX {
        return None;
    }
    let (domain, rest) = match rest.strip_prefix('@') {
        Some(rest) => {
            let (domain, rest) = domain_or_literal(rest)?;
            (Some(domain.into()), rest)
        }
        None => (None, rest),
    };
    let local = local.into();
    Some((Address { local, domain }, rest))
}

/// Splits `text` before the first character that `belongs` refuses.
fn take_while(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !belongs(c)).unwrap_or(text.len()))
}

/// `Dot-string = Atom *("." Atom)`.
fn dot_string(text: &str) -> Option<(&str, &str)> {
    let (dotted, rest) = take_while(text, |c| c == '.' || is_atext(c));
    let is_valid = dotted.split('.').all(|atom| !atom.is_empty());
    is_valid.then_some((dotted, rest))
}

/// `atext` (RFC 5322 §3.2.3), with UTF-8 (RFC 6531 §3.3).
fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => is_text(c),
    }
}

/// UTF-8 that is no control character and no line separator.
fn is_text(c: char) -> bool {
    !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// The inside of a `Quoted-string` after its first quote, unquoted.
fn quoted_string(text: &str) -> Option<(String, &str)> {
    let mut local = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((local, text.get(at.saturating_add(1)..)?)),
            // quoted-pairSMTP = %d92 %d32-126
            '\\' => local.push(
                chars
                    .next()
                    .map(|(_, c)| c)
                    .filter(|c| matches!(c, ' '..='~'))?,
            ),
            c if is_text(c) => local.push(c),
            _ => return None,
        }
    }
    None
}

fn domain_or_literal(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('[') {
        address_literal(text)
    } else {
        domain(text)
    }
}

/// `Domain`, with U-labels (RFC 6531 §3.3).
fn domain(text: &str) -> Option<(&str, &str)> {
    let is_let_dig = |c: char| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii() && is_text(c);
    let (domain, rest) = take_while(text, |c| is_let_dig(c) || c == '-' || c == '.');
    let is_label = |label: &str| {
        label.starts_with(is_let_dig) && label.ends_with(is_let_dig) && label.len() <= 63
    };
    let is_valid = domain.len() <= DOMAIN_BYTES_MAX && domain.split('.').all(is_label);
    is_valid.then_some((domain, rest))
}

/// `"[" ( IPv4 / "IPv6:" IPv6 / tag ":" 1*dcontent ) "]"` (RFC 5321 §4.1.3).
fn address_literal(text: &str) -> Option<(&str, &str)> {
    let end = text.find(']')?;
    let (literal, rest) = text.split_at(end.saturating_add(1));
    let inside = literal.strip_prefix('[')?.strip_suffix(']')?;
    let is_valid = match inside.split_once(':') {
        None => inside.parse::<Ipv4Addr>().is_ok(),
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6") => {
            address.parse::<Ipv6Addr>().is_ok()
        }
        Some((tag, content)) => {
            let is_tag_char = |c: char| c.is_ascii_alphanumeric() || c == '-';
            !tag.is_empty()
                && tag.chars().all(is_tag_char)
                && !tag.ends_with('-')
                && !content.is_empty()
                && content.chars().all(|c| matches!(c, '!'..='Z' | '^'..='~'))
        }
    };
    (is_valid && literal.len() <= DOMAIN_BYTES_MAX).then_some((literal, rest))
}

#[cfg(test)]
mod tests;
