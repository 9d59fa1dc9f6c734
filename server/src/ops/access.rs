//! Who may see what: a request is known by the name it asks for, by where it comes from, and by the
//! token it shows.
//!
//! A page of another site that a browser on this machine shows could ask us too, under a name of
//! its own that leads here (DNS rebinding). So a name must be one of ours. A proxy on this machine
//! makes every request look as if it came from here; one that says so is believed.

use std::{net::SocketAddr, path::Path};

use hyper::{
    HeaderMap, Request,
    header::{AUTHORIZATION, COOKIE, HOST, HeaderName, ORIGIN},
};

use crate::{
    config::{Config, Password},
    problem::Problem,
};

/// The shortest token, characters: it cannot be found by trying.
const TOKEN_CHARS_MIN: usize = 16;
/// A file larger than this is no token, bytes.
const TOKEN_BYTES_MAX: u64 = 4 * 1024;
/// The cookie that stands for the token.
const COOKIE_NAME: &str = "relate-imap-status";
/// How long the cookie is taken, seconds.
pub(super) const COOKIE_SECS: i64 = 12 * 60 * 60;
/// What the cookie's key is derived for.
const COOKIE_CONTEXT: &str = "relate-imap 2026-11-28 cookie of the status page";
/// Where a browser says that a request comes from (Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// What a proxy adds to what it relays.
const RELAYED: [HeaderName; 6] = [
    HeaderName::from_static("forwarded"),
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("via"),
];

/// The two ends of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ends {
    pub(super) local: SocketAddr,
    pub(super) remote: SocketAddr,
}

impl Ends {
    /// Whether there is no network in between.
    pub(super) fn are_here(&self) -> bool {
        let is_loopback = |end: SocketAddr| end.ip().to_canonical().is_loopback();
        is_loopback(self.local) && is_loopback(self.remote)
    }
}

/// What somebody who asks may see.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Standing {
    /// Everything.
    Operator,
    /// What each check found, but nothing of who is connected: on this machine, without the token.
    Here,
    /// Whether the server is well.
    Stranger,
    /// A token was shown, and it is another one.
    WrongToken,
}

/// What decides it.
pub(super) struct Access {
    token: Option<Token>,
    names: Vec<String>,
}

/// The token in the form in which it is compared: in constant time, as the hashes are.
struct Token {
    hash: blake3::Hash,
    cookie_key: [u8; blake3::KEY_LEN],
}

impl Token {
    fn new(token: &Password) -> Self {
        let token = token.expose().as_bytes();
        Self {
            hash: blake3::hash(token),
            cookie_key: blake3::derive_key(COOKIE_CONTEXT, token),
        }
    }

    fn is(&self, shown: &str) -> bool {
        self.hash == blake3::hash(shown.as_bytes())
    }

    fn sign(&self, until_secs: i64) -> blake3::Hash {
        blake3::keyed_hash(&self.cookie_key, &until_secs.to_be_bytes())
    }

    /// Whether a cookie was made by us and is not too old.
    fn made(&self, cookie: &str, now_secs: i64) -> bool {
        let Some((until, signature)) = cookie.split_once('-') else {
            return false;
        };
        let (Ok(until), Ok(signature)) = (until.parse(), blake3::Hash::from_hex(signature)) else {
            return false;
        };
        self.sign(until) == signature && until > now_secs
    }
}

/// The token that is configured, if there is one.
///
/// # Errors
/// It stands in two places, its file cannot be read, or it is too short.
pub fn token(config: &Config) -> Result<Option<Password>, Problem> {
    let health = &config.health_check;
    let (token, place) = match (&health.token, &health.token_path) {
        (None, None) => return Ok(None),
        (Some(token), None) => (token.clone(), "HealthCheck:Token".to_owned()),
        (None, Some(path)) => {
            let place = format!("HealthCheck:TokenPath, {}", path.display());
            (read_token(path, &place)?, place)
        }
        (Some(_), Some(_)) => {
            return Err(Problem::new(
                "the token is given twice",
                "HealthCheck:Token and HealthCheck:TokenPath",
                "remove one of them",
            ));
        }
    };
    let text = token.expose();
    if text.chars().count() < TOKEN_CHARS_MIN || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Problem::new(
            format!("the token is not {TOKEN_CHARS_MIN} or more letters, digits and signs"),
            place,
            "use what `openssl rand -hex 16` prints",
        ));
    }
    Ok(Some(token))
}

fn read_token(path: &Path, place: &str) -> Result<Password, Problem> {
    use std::io::Read as _;
    let mut text = String::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(TOKEN_BYTES_MAX).read_to_string(&mut text));
    read.map_err(|error| {
        let what = format!("the token cannot be read: {error}");
        let next = "name a file with the token that the user running relate-imap may read";
        Problem::new(what, place, next)
    })?;
    // Whoever writes a file ends it with a line's end.
    Ok(Password::new(text.trim_end().to_owned()))
}

impl Access {
    /// As configured.
    ///
    /// # Errors
    /// The token cannot be used.
    pub(super) fn new(config: &Config) -> Result<Self, Problem> {
        let url_host = config.health_check.url.iter().map(|url| url.host.as_str());
        let further = config.health_check.host_names.0.iter().map(String::as_str);
        let names = ["localhost", &config.imap.server_name];
        let names = names.into_iter().chain(url_host).chain(further);
        Ok(Self {
            token: token(config)?.as_ref().map(Token::new),
            names: names.map(str::to_ascii_lowercase).collect(),
        })
    }

    /// Whether there is a token.
    pub(super) const fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Whether a request asks for this server (RFC 9110 §7.4). `None` where it does not say for
    /// whom it asks: HTTP/1.0, which no browser speaks.
    pub(super) fn is_for_us<B>(&self, request: &Request<B>, ends: &Ends) -> Option<bool> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let named = match (request.uri().authority(), hosts.next(), hosts.next()) {
            // RFC 9112 §3.2.2: the target goes before the field.
            (Some(authority), _, None) => Some(authority.as_str()),
            (None, Some(host), None) => host.to_str().ok(),
            (None, None, None) => return None,
            (_, _, Some(_)) => None,
        };
        Some(named.is_some_and(|named| self.is_ours(host_of(named), ends)))
    }

    fn is_ours(&self, host: &str, ends: &Ends) -> bool {
        let plain = host.trim_start_matches('[').trim_end_matches(']');
        match plain.parse::<std::net::IpAddr>() {
            // No name leads here by an address.
            Ok(ip) if ip.to_canonical().is_loopback() => true,
            Ok(ip) if ip.to_canonical() == ends.local.ip().to_canonical() => true,
            _ => {
                let host = plain.trim_end_matches('.').to_ascii_lowercase();
                self.names.contains(&host)
            }
        }
    }

    /// Whether a form was filled in on a page of ours, as far as a browser tells: the page of another
    /// site can have one sent too. Programs that are no browsers say nothing of it.
    pub(super) fn is_own_form(&self, headers: &HeaderMap, ends: &Ends) -> bool {
        let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or(""));
        match (text(&FETCH_SITE), text(&ORIGIN)) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            // Told by browsers that do not trust the connection, for a page in clear.
            (None, Some(origin)) => {
                let host = origin.split_once("://").map(|(_, named)| host_of(named));
                host.is_some_and(|host| self.is_ours(host, ends))
            }
            (None, None) => true,
        }
    }

    /// What somebody may see who asks like this.
    pub(super) fn standing(&self, headers: &HeaderMap, ends: &Ends, now_secs: i64) -> Standing {
        let is_here = ends.are_here() && relayed_for(headers).is_none();
        let Some(token) = &self.token else {
            return match is_here {
                true => Standing::Operator,
                false => Standing::Stranger,
            };
        };
        if let Some(shown) = bearer(headers) {
            return match token.is(shown) {
                true => Standing::Operator,
                false => Standing::WrongToken,
            };
        }
        if cookies(headers).any(|cookie| token.made(cookie, now_secs)) {
            return Standing::Operator;
        }
        match is_here {
            true => Standing::Here,
            false => Standing::Stranger,
        }
    }

    /// The cookie for somebody who shows this token; none if it is another one.
    pub(super) fn cookie(&self, shown: &str, now_secs: i64) -> Option<String> {
        let token = self.token.as_ref().filter(|token| token.is(shown))?;
        let until = now_secs.saturating_add(COOKIE_SECS);
        let signature = token.sign(until).to_hex();
        Some(format!(
            "{COOKIE_NAME}={until}-{signature}; Path=/; Max-Age={COOKIE_SECS}; HttpOnly; SameSite=Strict"
        ))
    }

    /// What takes the cookie back.
    pub(super) fn no_cookie() -> String {
        format!("{COOKIE_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
    }
}

/// What a proxy says of whom it relays, if it says anything: a claim.
pub(super) fn relayed_for(headers: &HeaderMap) -> Option<&str> {
    let said = RELAYED.iter().find_map(|name| headers.get(name))?;
    Some(said.to_str().unwrap_or_default())
}

/// A host without its port.
fn host_of(named: &str) -> &str {
    match named.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => named,
    }
}

/// What is shown as `Authorization: Bearer …` (RFC 6750 §2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// Our cookies among all (RFC 6265 §4.2).
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(COOKIE).iter();
    let pairs = fields
        .filter_map(|field| field.to_str().ok())
        .flat_map(|field| field.split(';'));
    pairs
        .filter_map(|pair| pair.trim().split_once('='))
        .filter_map(|(name, value)| (name == COOKIE_NAME).then_some(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const TOKEN: &str = "0123456789abcdef";
    const NOW: i64 = 1_800_000_000;

    fn access(settings: &[&str]) -> Access {
        Access::new(&configured(settings)).unwrap()
    }

    fn configured(settings: &[&str]) -> Config {
        let options = config::Options {
            set: settings.iter().map(|set| (*set).to_owned()).collect(),
            ..config::Options::default()
        };
        config::load(&options).unwrap().config
    }

    fn ends(remote: &str, local: &str) -> Ends {
        Ends {
            local: local.parse().unwrap(),
            remote: remote.parse().unwrap(),
        }
    }

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, value.parse().unwrap())
        };
        fields.iter().map(field).collect()
    }

    #[test]
    fn only_our_names_are_answered() {
        let access = access(&[
            "HealthCheck:Url=http://+:8083",
            "HealthCheck:HostNames=status.example.org",
            "Imap:ServerName=Mail.example.org",
        ]);
        let ends = ends("192.0.2.9:1", "192.0.2.1:8083");
        for (host, ours) in [
            ("localhost", true),
            ("LOCALHOST:8083", true),
            ("localhost.", true),
            ("127.0.0.1:9000", true),
            ("127.9.9.9", true),
            ("[::1]:8083", true),
            ("[::1]", true),
            ("mail.example.org:8083", true),
            ("status.example.org", true),
            ("192.0.2.1:8083", true),
            ("192.0.2.2:8083", false),
            ("evil.example", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("localhost:8083@evil.example", false),
            ("", false),
        ] {
            let request = Request::builder().uri("/").header(HOST, host);
            let request = request.body(()).unwrap();
            assert_eq!(access.is_for_us(&request, &ends), Some(ours), "{host}");
        }
        let unsaid = Request::builder().uri("/").body(()).unwrap();
        assert_eq!(access.is_for_us(&unsaid, &ends), None);
        let twice = Request::builder()
            .uri("/")
            .header(HOST, "localhost")
            .header(HOST, "localhost");
        let twice = twice.body(()).unwrap();
        assert_eq!(access.is_for_us(&twice, &ends), Some(false));
        for (target, ours) in [("http://localhost/", true), ("http://evil.example/", false)] {
            let request = Request::builder().uri(target).header(HOST, "localhost");
            let request = request.body(()).unwrap();
            assert_eq!(access.is_for_us(&request, &ends), Some(ours), "{target}");
        }
    }

    #[test]
    fn without_a_token_only_this_machine_sees_everything() {
        let access = access(&[]);
        let here = ends("127.0.0.1:1", "127.0.0.1:8083");
        let mapped = ends("[::ffff:127.0.0.1]:1", "[::ffff:127.0.0.1]:8083");
        let elsewhere = ends("192.0.2.9:1", "192.0.2.1:8083");
        let none = HeaderMap::new();
        assert_eq!(access.standing(&none, &here, NOW), Standing::Operator);
        assert_eq!(access.standing(&none, &mapped, NOW), Standing::Operator);
        assert_eq!(access.standing(&none, &elsewhere, NOW), Standing::Stranger);
        for name in ["Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"] {
            let relayed = headers(&[(name, "x")]);
            assert_eq!(access.standing(&relayed, &here, NOW), Standing::Stranger);
        }
        let shown = headers(&[("Authorization", "Bearer ")]);
        assert_eq!(access.standing(&shown, &elsewhere, NOW), Standing::Stranger);
        assert!(access.cookie("", NOW).is_none());
    }

    #[test]
    fn with_a_token_everybody_has_to_show_it() {
        let access = access(&[&format!("HealthCheck:Token={TOKEN}")]);
        let here = ends("[::1]:1", "[::1]:8083");
        let elsewhere = ends("192.0.2.9:1", "192.0.2.1:8083");
        for (value, standing) in [
            (format!("Bearer {TOKEN}"), Standing::Operator),
            (format!("bearer {TOKEN}"), Standing::Operator),
            (format!("Bearer {TOKEN}x"), Standing::WrongToken),
            ("Bearer ".to_owned(), Standing::WrongToken),
            (format!("Basic {TOKEN}"), Standing::Stranger),
        ] {
            let shown = headers(&[("Authorization", &value)]);
            let found = access.standing(&shown, &elsewhere, NOW);
            assert_eq!(found, standing, "{value}");
        }
        let none = HeaderMap::new();
        assert_eq!(access.standing(&none, &here, NOW), Standing::Here);
        assert_eq!(access.standing(&none, &elsewhere, NOW), Standing::Stranger);
    }

    #[test]
    fn a_cookie_stands_for_the_token_for_a_while() {
        let access = access(&[&format!("HealthCheck:Token={TOKEN}")]);
        let elsewhere = ends("192.0.2.9:1", "192.0.2.1:8083");
        let set = access.cookie(TOKEN, NOW).unwrap();
        assert!(set.contains("HttpOnly; SameSite=Strict"), "{set}");
        assert!(!set.contains(TOKEN), "{set}");
        let cookie = set.split(';').next().unwrap();
        let sent = |cookie: &str, now| {
            let shown = headers(&[("Cookie", &format!("other=1; {cookie}"))]);
            access.standing(&shown, &elsewhere, now)
        };
        assert_eq!(sent(cookie, NOW), Standing::Operator);
        assert_eq!(sent(cookie, NOW + COOKIE_SECS - 1), Standing::Operator);
        assert_eq!(sent(cookie, NOW + COOKIE_SECS), Standing::Stranger);
        let longer = cookie.replace("=18", "=19");
        assert_eq!(sent(&longer, NOW), Standing::Stranger);
        assert_eq!(sent(&cookie[..cookie.len() - 1], NOW), Standing::Stranger);
        assert!(access.cookie("0123456789abcdeF", NOW).is_none());
        let other = self::access(&["HealthCheck:Token=fedcba9876543210"]);
        let shown = headers(&[("Cookie", cookie)]);
        let found = other.standing(&shown, &elsewhere, NOW);
        assert_eq!(found, Standing::Stranger);
    }

    #[test]
    fn tokens_are_long_and_come_from_one_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        std::fs::write(&path, format!("{TOKEN}\n")).unwrap();
        let in_file = format!("HealthCheck:TokenPath={}", path.display());
        let found = token(&configured(&[&in_file])).unwrap().unwrap();
        assert_eq!(found.expose(), TOKEN);
        assert_eq!(token(&configured(&[])).unwrap(), None);
        let given = format!("HealthCheck:Token={TOKEN}");
        for (settings, what) in [
            (vec!["HealthCheck:Token=short"], "16 or more"),
            (vec!["HealthCheck:Token=0123456789 abcdef"], "16 or more"),
            (vec!["HealthCheck:TokenPath=/nonexistent"], "cannot be read"),
            (vec![&*given, &*in_file], "twice"),
        ] {
            let problem = token(&configured(&settings)).unwrap_err();
            assert!(problem.what.contains(what), "{problem}");
            assert!(!problem.to_string().contains("0123"), "{problem}");
        }
    }
}
