//! Settings about whoever issues tokens: addresses, lists of words, and the map of issuers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jsonwebtoken::Algorithm;

use super::{Bounds, Raw, Setting, certificates, items, join};
use crate::auth::oauth::jwt::ALGORITHMS;

/// Where something is asked over HTTPS; over HTTP only on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUrl {
    /// Whether it is HTTPS.
    pub secure: bool,
    /// The host's name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query.
    pub target: String,
}

impl ProviderUrl {
    /// Reads an address, of which `port` is the port if it names none.
    pub(super) fn read_any(text: &str, port: Option<u16>) -> Result<Self, String> {
        let wrong = || "is not the address of something to ask".to_owned();
        let (secure, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            (None, None) => return Err(wrong()),
        };
        let end = rest.find('/').unwrap_or(rest.len());
        let (place, target) = rest.split_at(end);
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (place, port.or(Some(if secure { 443 } else { 80 }))),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte);
        let port = port.filter(|port| *port > 0).ok_or_else(wrong)?;
        let graphic = target.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || !host.bytes().all(fits) || !graphic || target.contains('#') {
            return Err(wrong());
        }
        Ok(Self {
            secure,
            host: host.to_owned(),
            port,
            target: if target.is_empty() { "/" } else { target }.to_owned(),
        })
    }

    /// Host and port as they stand in an address.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

impl Setting for ProviderUrl {
    fn allowed(_: &Bounds) -> String {
        "https://HOST/PATH, or http:// on this machine (localhost, 127.0.0.1, [::1])".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        let url = Self::read_any(text, None)?;
        if !url.secure && !["localhost", "127.0.0.1", "::1"].contains(&url.host.as_str()) {
            return Err("crosses the network in clear".to_owned());
        }
        Ok(url)
    }

    fn show(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.target)
    }
}

/// A list of words, as `imap, mail.read`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(pub Vec<String>);

impl Setting for Words {
    fn allowed(_: &Bounds) -> String {
        "words separated by commas".to_owned()
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        join(&self.0)
    }

    fn read(raw: &Raw, _: &Bounds) -> Result<Self, String> {
        let words = items(raw)?;
        let unfit = |word: &String| !word.chars().all(|c| c.is_ascii_graphic());
        match words.iter().find(|word| unfit(word)) {
            Some(word) => Err(format!("has {word:?}, which is not one word")),
            None => Ok(Self(words)),
        }
    }
}

/// By what tokens may be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAlgorithms(pub Vec<Algorithm>);

impl Setting for TokenAlgorithms {
    fn allowed(_: &Bounds) -> String {
        format!("some of {}", join(&ALGORITHMS.map(|(name, _)| name)))
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        let name = |it: &Algorithm| {
            let known = ALGORITHMS.iter().find(|(_, known)| known == it);
            known.map_or("", |(name, _)| *name)
        };
        join(&self.0.iter().map(name).collect::<Vec<_>>())
    }

    fn read(raw: &Raw, _: &Bounds) -> Result<Self, String> {
        let named = items(raw)?;
        let all: Result<Vec<_>, String> = named
            .iter()
            .map(|text| {
                let known = ALGORITHMS.iter().find(|(name, _)| name == text);
                known
                    .map(|(_, algorithm)| *algorithm)
                    .ok_or_else(|| format!("has {text:?}, which is none of the allowed"))
            })
            .collect();
        all.map(Self)
    }
}

/// Whose tokens are taken, by a label of the operator's choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenIssuers(pub BTreeMap<String, TokenIssuer>);

/// Somebody whose tokens are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenIssuer {
    /// What stands in `iss`.
    pub issuer: String,
    /// One of these must stand in `aud`.
    pub audiences: Vec<String>,
    /// Where its keys are.
    pub keys: KeySource,
}

/// Where the keys of an issuer are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// In a file.
    File(PathBuf),
    /// At an address.
    Url(ProviderUrl),
}

impl TokenIssuers {
    fn issuer(label: &str, fields: &[(&str, &str)]) -> Result<TokenIssuer, String> {
        let (mut issuer, mut audiences, mut path, mut url) = (None, Vec::new(), None, None);
        for (field, value) in fields {
            let value = value.trim();
            match field.to_ascii_lowercase().as_str() {
                _ if value.is_empty() => {}
                "issuer" => issuer = Some(value.to_owned()),
                "audience" => audiences = items(&Raw::Text(value.to_owned()))?,
                "jwkspath" => path = Some(PathBuf::from(value)),
                "jwksurl" => {
                    let parsed = ProviderUrl::parse(value, &(0..=0));
                    url = Some(parsed.map_err(|why| format!("has {label}:{field}, which {why}"))?);
                }
                _ => return Err(format!("has {label}:{field}, which is not known")),
            }
        }
        if audiences.is_empty() {
            // A token for anybody else would open mail here.
            return Err(format!("has {label} without {label}:Audience"));
        }
        let keys = match (path, url) {
            (Some(path), None) => KeySource::File(path),
            (None, Some(url)) => KeySource::Url(url),
            _ => return Err(format!("has {label} without one of JwksPath and JwksUrl")),
        };
        Ok(TokenIssuer {
            issuer: issuer.ok_or_else(|| format!("has {label} without {label}:Issuer"))?,
            audiences,
            keys,
        })
    }
}

impl Setting for TokenIssuers {
    fn allowed(_: &Bounds) -> String {
        "under names of your choice `Issuer`, `Audience`, and `JwksPath` or `JwksUrl`, as \
         `Issuers:ours:Issuer`"
            .to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        match text {
            "" => Ok(Self::default()),
            _ => Err("is an object, not one value".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.0.keys().cloned().collect::<Vec<_>>().join(", ")
    }

    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        match raw {
            Raw::Items(items) => certificates::labelled(items, Self::issuer).map(Self),
            Raw::Text(text) => Self::parse(text.trim(), bounds),
            Raw::Null => Ok(Self::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_ask_are_secure_or_here() {
        let read = |text: &str| ProviderUrl::parse(text, &(0..=0));
        for (text, shown) in [
            ("https://id.example.org", "https://id.example.org:443/"),
            (
                "https://id.example.org:8443/keys?x=1",
                "https://id.example.org:8443/keys?x=1",
            ),
            ("http://localhost:80/a", "http://localhost:80/a"),
            ("http://[::1]:8080/a", "http://[::1]:8080/a"),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]:443/"),
        ] {
            assert_eq!(read(text).unwrap().show(), shown);
        }
        for bad in [
            "",
            "id.example.org",
            "ftp://id.example.org/",
            "https://",
            "https://id.example.org:0/",
            "https://id.example.org:x/",
            "https://user@id.example.org/",
            "https://id.example.org/a b",
            "https://id.example.org/#a",
            "http://id.example.org/keys",
            "http://127.0.0.1.example.org/",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_issuer_needs_an_audience_and_one_place_for_its_keys() {
        let read = |fields: &[(&str, &str)]| TokenIssuers::issuer("a", fields);
        let (issuer, audience) = (("Issuer", "https://i"), ("Audience", "imap, mail"));
        let (path, url) = (("JwksPath", "/keys"), ("JwksUrl", "https://i/keys"));
        let got = read(&[issuer, audience, path]).unwrap();
        assert_eq!(got.audiences, ["imap", "mail"]);
        assert_eq!(got.keys, KeySource::File("/keys".into()));
        for bad in [
            &[issuer, path][..],
            &[audience, path],
            &[issuer, audience],
            &[issuer, audience, path, url],
            &[issuer, audience, ("JwksUrl", "http://i/keys")],
            &[issuer, audience, path, ("Secret", "x")],
            &[issuer, ("Audience", " "), path],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_algorithms_with_a_public_key_are_taken() {
        let read = |text: &str| TokenAlgorithms::parse(text, &(0..=0));
        assert_eq!(read("RS256, EdDSA").unwrap().show(), "RS256, EdDSA");
        for bad in ["none", "HS256", "rs256", "RS256 ES256", "ES512"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
