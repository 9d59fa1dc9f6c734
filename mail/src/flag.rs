//! Flags: the five system flags as bits, and keywords as names.
//!
//! RFC 9051 §2.3.2. `\Recent` is not a flag that anyone can set, so it is not here.

use std::fmt;

use crate::{id::ModSeq, limits};

/// The system flags a client can set, as a bit set.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SystemFlags(u8);

impl SystemFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// `\Answered`
    pub const ANSWERED: Self = Self(1);
    /// `\Flagged`
    pub const FLAGGED: Self = Self(2);
    /// `\Deleted`
    pub const DELETED: Self = Self(4);
    /// `\Seen`
    pub const SEEN: Self = Self(8);
    /// `\Draft`
    pub const DRAFT: Self = Self(16);

    /// Every system flag with its name, in the order in which FLAGS lists them.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::ANSWERED, "\\Answered"),
        (Self::FLAGGED, "\\Flagged"),
        (Self::DELETED, "\\Deleted"),
        (Self::SEEN, "\\Seen"),
        (Self::DRAFT, "\\Draft"),
    ];

    /// The flags of these bits; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 31)
    }

    /// The bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// These without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The flag with this name in any case, backslash included.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(flag, _)| *flag)
    }

    /// The names of the set flags.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .iter()
            .filter(move |(flag, _)| self.contains(*flag))
            .map(|(_, name)| *name)
    }
}

impl fmt::Debug for SystemFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// A keyword: an atom of at most [`limits::KEYWORD_BYTES_MAX`] bytes that does not begin with a
/// backslash. Two keywords are equal in any ASCII case (RFC 9051 §2.3.2); the spelling first used
/// in a mailbox is the one shown.
#[derive(Clone)]
pub struct Keyword(Box<str>);

impl Keyword {
    /// The keyword with this spelling; `None` if it is not an atom or is too long.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let is_atom = !name.is_empty() && name.bytes().all(is_atom_byte);
        (is_atom && name.len() <= limits::KEYWORD_BYTES_MAX).then(|| Self(name.into()))
    }

    /// Its spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `ATOM-CHAR` of RFC 9051 §9: printable ASCII less `( ) { SP % * " \ ]`.
#[must_use]
pub const fn is_atom_byte(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7e)
        && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

impl PartialEq for Keyword {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}
impl Eq for Keyword {}
impl PartialOrd for Keyword {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Keyword {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let lower = |k: &Self| {
            k.0.bytes()
                .map(|b| b.to_ascii_lowercase())
                .collect::<Vec<_>>()
        };
        lower(self).cmp(&lower(other))
    }
}
impl std::hash::Hash for Keyword {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}
impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The flags of one message: system flags and a sorted set of keywords.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// System flags.
    pub system: SystemFlags,
    keywords: Vec<Keyword>,
}

impl Flags {
    /// These system flags and keywords; a keyword named twice counts once.
    #[must_use]
    pub fn new(system: SystemFlags, keywords: impl IntoIterator<Item = Keyword>) -> Self {
        let mut flags = Self {
            system,
            keywords: keywords.into_iter().collect(),
        };
        flags.keywords.sort();
        flags.keywords.dedup();
        flags
    }

    /// Its keywords, sorted, each once.
    #[must_use]
    pub fn keywords(&self) -> &[Keyword] {
        &self.keywords
    }

    /// Whether no flag is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.system == SystemFlags::NONE && self.keywords.is_empty()
    }

    /// These after `change`.
    #[must_use]
    pub fn changed(&self, change: FlagChange, by: &Self) -> Self {
        let keywords = || self.keywords.iter().cloned();
        match change {
            FlagChange::Replace => by.clone(),
            FlagChange::Add => Self::new(
                self.system.with(by.system),
                keywords().chain(by.keywords.iter().cloned()),
            ),
            FlagChange::Remove => Self::new(
                self.system.without(by.system),
                keywords().filter(|k| by.keywords.binary_search(k).is_err()),
            ),
        }
    }
}

/// How STORE changes flags (RFC 9051 §6.4.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FlagChange {
    /// `FLAGS`
    Replace,
    /// `+FLAGS`
    Add,
    /// `-FLAGS`
    Remove,
}

/// Which messages a conditional STORE changes (RFC 7162 §3.1.3 UNCHANGEDSINCE).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnchangedSince {
    /// Those that did not change after it.
    ModSeq(ModSeq),
    /// `0`: those that have none of the flags named. A system flag is always there, set or not.
    Never,
}

impl UnchangedSince {
    /// Whether a message with these flags, last changed at `mod_seq`, is changed.
    #[must_use]
    pub fn allows(
        self,
        mod_seq: ModSeq,
        has: impl FnOnce() -> Flags,
        change: FlagChange,
        by: &Flags,
    ) -> bool {
        match (self, change) {
            (Self::ModSeq(since), _) => mod_seq <= since,
            // It sets or clears every system flag.
            (Self::Never, FlagChange::Replace) => false,
            (Self::Never, FlagChange::Add | FlagChange::Remove) => {
                let has = has();
                let is_there = |keyword: &Keyword| has.keywords.binary_search(keyword).is_ok();
                by.system == SystemFlags::NONE && !by.keywords.iter().any(is_there)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes() {
        let keyword = |name| Keyword::new(name).unwrap();
        let seen = Flags::new(SystemFlags::SEEN, [keyword("Work"), keyword("WORK")]);
        assert_eq!(seen.keywords().len(), 1);
        let add = Flags::new(SystemFlags::DELETED, [keyword("$Junk")]);
        let both = seen.changed(FlagChange::Add, &add);
        assert!(
            both.system
                .contains(SystemFlags::SEEN.with(SystemFlags::DELETED))
        );
        assert_eq!(both.keywords().len(), 2);
        assert_eq!(both.changed(FlagChange::Remove, &add), seen);
        assert_eq!(both.changed(FlagChange::Replace, &add), add);
    }

    #[test]
    fn rule_14_unchanged_since_0_asks_whether_a_keyword_is_there() {
        let keyword = |name| Flags::new(SystemFlags::NONE, [Keyword::new(name).unwrap()]);
        let (sent, work) = (keyword("$MDNSent"), keyword("Work"));
        let never =
            |change, by| UnchangedSince::Never.allows(ModSeq::MIN, || work.clone(), change, by);
        assert!(never(FlagChange::Add, &sent) && never(FlagChange::Remove, &sent));
        assert!(!never(FlagChange::Add, &work) && !never(FlagChange::Replace, &sent));
        let seen = Flags::new(SystemFlags::SEEN, []);
        assert!(!never(FlagChange::Add, &seen));
        let since = UnchangedSince::ModSeq(ModSeq::MIN);
        assert!(since.allows(ModSeq::MIN, || work.clone(), FlagChange::Replace, &seen));
        let later = ModSeq::MIN.next().unwrap();
        assert!(!since.allows(later, || work.clone(), FlagChange::Add, &sent));
    }

    #[test]
    fn keyword_syntax() {
        for bad in ["", "a b", "\\x", "a]", "ä", "a(", &"x".repeat(65)] {
            assert!(Keyword::new(bad).is_none(), "{bad}");
        }
        assert_eq!(Keyword::new("$Forwarded"), Keyword::new("$forwarded"));
        assert_eq!(SystemFlags::named("\\seen"), Some(SystemFlags::SEEN));
    }
}
