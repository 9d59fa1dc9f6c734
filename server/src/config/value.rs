//! The types that settings have, and how each is read from text and shown again.
//! Durations follow .NET's TimeSpan as well as the unit form; sizes name their
//! unit. Nothing here knows a key: ranges come from the table.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

pub use self::certificates::{CertificateFiles, CertificateSource};
pub use self::choice::{
    AllowPlaintextAuth, AuthBackend, CertificateName, LogFormat, LogLevel, OtlpProtocol,
};
pub use self::collector::CollectorUrl;
pub use self::oauth::{KeySource, ProviderUrl, TokenAlgorithms, TokenIssuer, TokenIssuers, Words};

mod certificates;
mod choice;
mod collector;
mod oauth;
mod quirks;

/// The range a number, size (bytes) or duration (milliseconds) must lie in.
pub type Bounds = RangeInclusive<u64>;

/// What the sources together say about one key, before its type is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// JSON `null`.
    Null,
    /// One value.
    Text(String),
    /// A list or a map: what stood behind the key, and the value.
    Items(Vec<(String, String)>),
}

/// A type a setting can have.
pub trait Setting: Sized {
    /// Whether the value must never be printed.
    const SECRET: bool = false;

    /// What is allowed, as the end of "use ...".
    fn allowed(bounds: &Bounds) -> String;
    /// Reads one value; the error says what is wrong with it.
    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String>;
    /// The value in the form the documentation uses.
    fn show(&self) -> String;

    /// One entry of a map as `config show` prints it.
    fn show_entry(_name: &str, value: &str) -> String {
        value.trim().to_owned()
    }

    /// Reads what the sources gave. Types that are lists or maps override it.
    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        match raw {
            Raw::Null => Self::parse("", bounds),
            Raw::Text(text) => Self::parse(text.trim(), bounds),
            Raw::Items(_) => Err("is one value, not a list or an object".to_owned()),
        }
    }
}

/// A secret: Debug never shows it, and it is wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: String) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(***)")
    }
}

macro_rules! whole_number {
    ($($ty:ty),+) => {$(
        impl Setting for $ty {
            fn allowed(bounds: &Bounds) -> String {
                format!("a whole number from {} to {}", bounds.start(), bounds.end())
            }

            fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
                let number = text.parse::<u64>().map_err(|_| "is not a whole number".to_owned())?;
                within(number, bounds)?;
                Self::try_from(number).map_err(|_| "is too large".to_owned())
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )+};
}

whole_number!(u16, u32, usize);

fn within(number: u64, bounds: &Bounds) -> Result<(), String> {
    if number < *bounds.start() {
        Err("is too small".to_owned())
    } else if number > *bounds.end() {
        Err("is too large".to_owned())
    } else {
        Ok(())
    }
}

impl Setting for bool {
    fn allowed(_: &Bounds) -> String {
        "true or false".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("is neither true nor false".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    fn allowed(_: &Bounds) -> String {
        "printable text that is not empty".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        // It ends up in protocol lines, where a control character would end them.
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("is empty or holds a control character".to_owned());
        }
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    fn allowed(_: &Bounds) -> String {
        "a path".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        if text.is_empty() || text.contains('\0') {
            return Err("is not a path".to_owned());
        }
        Ok(Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for Password {
    const SECRET: bool = true;

    fn allowed(_: &Bounds) -> String {
        "any text".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        Ok(Self::new(text.to_owned()))
    }

    fn show(&self) -> String {
        "***".to_owned()
    }

    // Spaces at the ends may belong to a password, so nothing is trimmed.
    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::parse(text, bounds),
            Raw::Null => Self::parse("", bounds),
            Raw::Items(_) => Err("is one value, not a list or an object".to_owned()),
        }
    }
}

impl<T: Setting> Setting for Option<T> {
    const SECRET: bool = T::SECRET;
    fn allowed(bounds: &Bounds) -> String {
        format!("{}, or null", T::allowed(bounds))
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        if text.is_empty() {
            Ok(None)
        } else {
            T::parse(text, bounds).map(Some)
        }
    }

    fn show(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), T::show)
    }

    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        match raw {
            Raw::Null => Ok(None),
            Raw::Text(text) if text.is_empty() => Ok(None),
            given => T::read(given, bounds).map(Some),
        }
    }
}

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

impl Setting for Duration {
    fn allowed(bounds: &Bounds) -> String {
        format!(
            "a duration from {} to {}, as 90s, 30m, 1h30m, 7d, 00:30:00 or 1.00:00:00",
            Self::from_millis(*bounds.start()).show(),
            Self::from_millis(*bounds.end()).show()
        )
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let millis = if text.contains(':') {
            time_span(text)
        } else {
            unit_sum(text)
        }?;
        within(millis, bounds)?;
        Ok(Self::from_millis(millis))
    }

    fn show(&self) -> String {
        let mut rest = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return "0s".to_owned();
        }
        let mut shown = String::new();
        for (unit, millis) in DURATION_UNITS.iter().rev() {
            if rest >= *millis {
                shown.push_str(&format!("{}{unit}", rest / millis));
                rest %= millis;
            }
        }
        shown
    }
}

/// `[d.]hh:mm[:ss[.fff]]`, the constant format of .NET's TimeSpan, in milliseconds.
fn time_span(text: &str) -> Result<u64, String> {
    let malformed = || "is not of the form [days.]hours:minutes:seconds".to_owned();
    let mut fields = text.split(':');
    let first = fields.next().ok_or_else(malformed)?;
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let minutes = fields.next().ok_or_else(malformed)?;
    let (seconds, fraction) = fields.next().map_or(("0", "0"), |last| {
        last.split_once('.').unwrap_or((last, "0"))
    });
    if fields.next().is_some() {
        return Err(malformed());
    }
    let number = |digits: &str, below: u64| match digits.parse::<u64>() {
        Ok(n) if n < below && digits.bytes().all(|b| b.is_ascii_digit()) => Ok(n),
        Ok(_) => Err("has hours above 23, or minutes or seconds above 59".to_owned()),
        Err(_) => Err(malformed()),
    };
    let whole = ((number(days, 100_000)? * 24 + number(hours, 24)?) * 60 + number(minutes, 60)?)
        * 60
        + number(seconds, 60)?;
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    Ok(whole * 1_000 + number(&thousandths, 1_000)?)
}

/// `30m`, `1h30m`: numbers each with a unit, in milliseconds.
fn unit_sum(text: &str) -> Result<u64, String> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(format!(
            "has no unit: it could mean {text} seconds or, as .NET reads it, {text} days"
        ));
    }
    let malformed = || "is not a duration".to_owned();
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .ok_or_else(malformed)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let (_, each) = DURATION_UNITS
            .iter()
            .find(|(name, _)| *name == unit.trim())
            .ok_or_else(malformed)?;
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(*each));
        millis = part
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(malformed)?;
        rest = tail;
    }
    if text.is_empty() {
        Err(malformed())
    } else {
        Ok(millis)
    }
}

/// A list of durations, as `2s, 4s, 8s`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Durations(pub Vec<Duration>);

/// A list of addresses to bind, as `0.0.0.0, ::`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses(pub Vec<IpAddr>);

/// A list of networks, as `127.0.0.0/8, ::1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks(pub Vec<Network>);

/// The values of a list, whether written as one text or as items.
fn items(raw: &Raw) -> Result<Vec<String>, String> {
    match raw {
        Raw::Null => Ok(Vec::new()),
        Raw::Text(text) => Ok(text
            .split(',')
            .map(|item| item.trim().to_owned())
            .filter(|item| !item.is_empty())
            .collect()),
        Raw::Items(given) => {
            let mut numbered = Vec::new();
            for (index, value) in given {
                let place = index.parse::<u32>();
                let place = place.map_err(|_| format!("has an item {index:?} without a number"))?;
                numbered.push((place, value.trim().to_owned()));
            }
            numbered.sort();
            Ok(numbered.into_iter().map(|(_, value)| value).collect())
        }
    }
}

fn join<T: ToString>(values: &[T]) -> String {
    values
        .iter()
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl Setting for Durations {
    fn allowed(bounds: &Bounds) -> String {
        format!("a list, each {}", Duration::allowed(bounds))
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        join(&self.0.iter().map(Duration::show).collect::<Vec<_>>())
    }

    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        items(raw)?
            .iter()
            .map(|item| Duration::parse(item, bounds))
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl Setting for Addresses {
    fn allowed(_: &Bounds) -> String {
        "IP addresses separated by commas, as 127.0.0.1, ::1".to_owned()
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        join(&self.0)
    }

    fn read(raw: &Raw, _: &Bounds) -> Result<Self, String> {
        let mut addresses = Vec::new();
        for item in items(raw)? {
            let bare = item.trim_start_matches('[').trim_end_matches(']');
            let address = bare
                .parse()
                .map_err(|_| format!("has {item:?}, not an IP address"))?;
            if addresses.contains(&address) {
                return Err(format!("names {address} twice"));
            }
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err("names no address".to_owned());
        }
        Ok(Self(addresses))
    }
}

/// An address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().ok()?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = if bits.is_empty() && !text.contains('/') {
            width
        } else {
            bits.parse().ok()?
        };
        (bits <= width).then_some(Self { address, bits })
    }

    /// Whether the peer's address lies in this network. An IPv4 peer that came
    /// in through an IPv6 socket counts as IPv4.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        let same = |a: u128, b: u128, width: u8| {
            let dropped = u32::from(width.saturating_sub(self.bits));
            a.checked_shr(dropped).unwrap_or(0) == b.checked_shr(dropped).unwrap_or(0)
        };
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(peer)) => {
                same(u128::from(net.to_bits()), u128::from(peer.to_bits()), 32)
            }
            (IpAddr::V6(net), IpAddr::V6(peer)) => same(net.to_bits(), peer.to_bits(), 128),
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = if self.address.is_ipv4() { 32 } else { 128 };
        write!(f, "{}", self.address)?;
        if self.bits == width {
            Ok(())
        } else {
            write!(f, "/{}", self.bits)
        }
    }
}

impl Networks {
    /// Whether any of the networks holds the peer's address.
    #[must_use]
    pub fn contains(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(peer))
    }
}

impl Setting for Networks {
    fn allowed(_: &Bounds) -> String {
        "networks separated by commas, as 127.0.0.0/8, ::1, or an empty list".to_owned()
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        Self::read(&Raw::Text(text.to_owned()), bounds)
    }

    fn show(&self) -> String {
        join(&self.0)
    }

    fn read(raw: &Raw, _: &Bounds) -> Result<Self, String> {
        let network = |item: &String| {
            Network::parse(item).ok_or_else(|| format!("has {item:?}, not a network"))
        };
        items(raw)?
            .iter()
            .map(network)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

/// The first four are those that sizes are shown in.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl Bytes {
    /// The number as a length in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl Setting for Bytes {
    fn allowed(bounds: &Bounds) -> String {
        format!(
            "a number of bytes from {} to {}, as 65536, 64 KiB or 50 MiB",
            Self(*bounds.start()).show(),
            Self(*bounds.end()).show()
        )
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim();
        let each = SIZE_UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let each = match (each, unit.to_ascii_uppercase().as_str()) {
            (Some((_, each)), _) => *each,
            (None, "") => 1,
            (None, "K" | "M" | "G" | "T") => {
                return Err(format!(
                    "is ambiguous: write {number} {unit}iB or {number} {unit}B"
                ));
            }
            _ => return Err("is not a number of bytes".to_owned()),
        };
        let number = number
            .parse::<u64>()
            .map_err(|_| "is not a number of bytes".to_owned())?;
        let bytes = number
            .checked_mul(each)
            .ok_or_else(|| "is too large".to_owned())?;
        within(bytes, bounds)?;
        Ok(Self(bytes))
    }

    fn show(&self) -> String {
        SIZE_UNITS
            .iter()
            .take(4)
            .find(|(_, each)| self.0 > 0 && self.0.is_multiple_of(*each))
            .map_or_else(
                || self.0.to_string(),
                |(unit, each)| format!("{} {unit}", self.0 / each),
            )
    }
}

impl LogLevel {
    /// The word `tracing` uses.
    #[must_use]
    pub const fn directive(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Information => "info",
            Self::Warning => "warn",
            Self::Error | Self::Critical => "error",
            Self::None => "off",
        }
    }
}

/// Log levels by category; `Default` stands for all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevels(pub BTreeMap<String, LogLevel>);

impl LogLevels {
    /// The levels as a filter for `tracing`: the default first, then each
    /// category, `.` in its name read as `::`.
    #[must_use]
    pub fn directives(&self) -> String {
        let (defaults, others): (Vec<_>, Vec<_>) = self
            .0
            .iter()
            .partition(|(category, _)| category.eq_ignore_ascii_case("Default"));
        let base = defaults
            .first()
            .map_or(LogLevel::Information, |(_, level)| **level);
        let mut filter = base.directive().to_owned();
        for (category, level) in others {
            let target = category.replace('.', "::");
            if target
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
            {
                filter.push_str(&format!(",{target}={}", level.directive()));
            }
        }
        filter
    }
}

impl Setting for LogLevels {
    fn allowed(bounds: &Bounds) -> String {
        LogLevel::allowed(bounds)
    }

    fn parse(text: &str, bounds: &Bounds) -> Result<Self, String> {
        let level = LogLevel::parse(text, bounds)?;
        Ok(Self(BTreeMap::from([("Default".to_owned(), level)])))
    }

    fn show(&self) -> String {
        let shown: Vec<String> = self
            .0
            .iter()
            .map(|(category, level)| format!("{category}={}", level.show()))
            .collect();
        shown.join(", ")
    }

    fn read(raw: &Raw, bounds: &Bounds) -> Result<Self, String> {
        match raw {
            Raw::Text(text) => Self::parse(text.trim(), bounds),
            Raw::Null => Self::parse("Information", bounds),
            Raw::Items(given) => {
                let level = |(category, text): &(String, String)| {
                    let level = LogLevel::parse(text.trim(), bounds);
                    level
                        .map(|level| (category.clone(), level))
                        .map_err(|e| format!("{category} {e}"))
                };
                given.iter().map(level).collect::<Result<_, _>>().map(Self)
            }
        }
    }
}

/// An `http://host:port` address that this program listens on or asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl {
    /// The host as written, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl HttpUrl {
    /// The addresses to bind: both loopbacks for `localhost`, all for .NET's `+` and `*`.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let hosts: &[&str] = match self.host.as_str() {
            "localhost" => &["127.0.0.1", "::1"],
            "+" | "*" => &["0.0.0.0", "::"],
            other => &[other],
        };
        let address = |host: &&str| host.parse::<IpAddr>().ok();
        hosts
            .iter()
            .filter_map(address)
            .map(|ip| SocketAddr::new(ip, self.port))
            .collect()
    }
}

impl Setting for HttpUrl {
    fn allowed(_: &Bounds) -> String {
        "http://HOST:PORT, where HOST is localhost, an IP address, or + for all".to_owned()
    }

    fn parse(text: &str, _: &Bounds) -> Result<Self, String> {
        let wrong = || "is not an http address".to_owned();
        let place = text
            .strip_prefix("http://")
            .ok_or_else(wrong)?
            .trim_end_matches('/');
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port),
            _ => (place, "80"),
        };
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = port
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(wrong)?;
        let url = Self { host, port };
        if url.addresses().is_empty() {
            Err(wrong())
        } else {
            Ok(url)
        }
    }

    fn show(&self) -> String {
        let brackets = self.host.contains(':');
        let host = if brackets {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        format!("http://{host}:{}", self.port)
    }
}
