//! Mailbox names, special uses, and LIST patterns.
//!
//! Names are UTF-8 with `/` between levels (RFC 9051 §5.1). The spelling a mailbox was created
//! with is kept; NFC of it is the key under which it is found. How names travel (quoting, modified
//! UTF-7) is `wire`'s. Names are keys and never become file names.

use std::{collections::BTreeMap, fmt};

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::limits::Names;

/// The hierarchy separator.
pub const SEPARATOR: char = '/';

/// A valid mailbox name in its own spelling. Equality and order are those of the spelling; use
/// [`MailboxName::key`] to find a mailbox.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(Box<str>);

/// The NFC form of a name: what is unique in an account.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxKey(Box<str>);

/// Why a name cannot be a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// Nothing is left of it.
    Empty,
    /// A level is empty, `.` or `..`, or the name begins with the separator.
    Level,
    /// A control character, or a wildcard of LIST.
    Character,
    /// A level, the depth, or the whole is over the limits.
    TooLong,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the mailbox name is empty",
            Self::Level => "a level of the mailbox name is empty, \".\" or \"..\"",
            Self::Character => "the mailbox name holds a control character or a wildcard",
            Self::TooLong => "the mailbox name is too long or too deep",
        })
    }
}

impl std::error::Error for NameError {}

impl MailboxName {
    /// INBOX.
    #[must_use]
    pub fn inbox() -> Self {
        Self("INBOX".into())
    }

    /// The name a client wrote: one trailing separator is dropped (RFC 9051 §6.3.4), and a first
    /// level that is INBOX in any case becomes `INBOX` (§5.1).
    ///
    /// # Errors
    /// If it breaks the rules of names; see [`NameError`].
    pub fn new(written: &str) -> Result<Self, NameError> {
        let name = written.strip_suffix(SEPARATOR).unwrap_or(written);
        if name.is_empty() {
            return Err(NameError::Empty);
        }
        if name
            .chars()
            .any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '%' | '*'))
        {
            return Err(NameError::Character);
        }
        if name
            .split(SEPARATOR)
            .any(|level| matches!(level, "" | "." | ".."))
        {
            return Err(NameError::Level);
        }
        let name = Self(with_inbox(name).into());
        match name.is_within(Names::ALL) {
            true => Ok(name),
            false => Err(NameError::TooLong),
        }
    }

    /// Whether levels, depth and the whole are within these limits.
    #[must_use]
    pub fn is_within(&self, limits: Names) -> bool {
        let mut levels = self.0.split(SEPARATOR);
        self.0.len() <= limits.name_bytes_max
            && levels.clone().count() <= limits.depth_max
            && levels.all(|level| level.len() <= limits.level_bytes_max)
    }

    /// The spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key under which it is unique.
    #[must_use]
    pub fn key(&self) -> MailboxKey {
        if is_nfc(&self.0) {
            MailboxKey(self.0.clone())
        } else {
            MailboxKey(self.0.nfc().collect::<String>().into())
        }
    }

    /// Whether it is INBOX itself.
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        &*self.0 == "INBOX"
    }

    /// The name one level up.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0
            .rsplit_once(SEPARATOR)
            .map(|(parent, _)| Self(parent.into()))
    }

    /// The name `suffix` (which begins with the separator, or is empty) below this one.
    ///
    /// # Errors
    /// If the longer name breaks the limits.
    pub fn below(&self, suffix: &str) -> Result<Self, NameError> {
        Self::new(&format!("{}{suffix}", self.0))
    }
}

fn with_inbox(name: &str) -> String {
    let (first, rest) = name.split_at(name.find(SEPARATOR).unwrap_or(name.len()));
    if first.eq_ignore_ascii_case("INBOX") {
        format!("INBOX{rest}")
    } else {
        name.to_owned()
    }
}

impl MailboxKey {
    /// The key as text, in NFC.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// If this is `ancestor` or below it: the rest, empty or beginning with the separator.
    #[must_use]
    pub fn suffix_of(&self, ancestor: &Self) -> Option<&str> {
        let rest = self.0.strip_prefix(&*ancestor.0)?;
        (rest.is_empty() || rest.starts_with(SEPARATOR)).then_some(rest)
    }

    /// Whether it is strictly below `ancestor`.
    #[must_use]
    pub fn is_below(&self, ancestor: &Self) -> bool {
        self.suffix_of(ancestor)
            .is_some_and(|rest| !rest.is_empty())
    }
}

impl fmt::Display for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl fmt::Display for MailboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for MailboxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a mailbox is for (RFC 6154 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SpecialUse {
    /// Every message of the account.
    All,
    /// Mail that is kept.
    Archive,
    /// Messages being written.
    Drafts,
    /// Flagged messages.
    Flagged,
    /// Spam.
    Junk,
    /// Mail that was sent.
    Sent,
    /// Mail that was deleted.
    Trash,
    /// Messages that are likely important to the user (RFC 8457 §3).
    Important,
    /// Notes that the user made on messages (RFC 9979).
    Memos,
    /// Messages that are to be sent later (RFC 9979).
    Scheduled,
    /// Messages that are put off until later (RFC 9979).
    Snoozed,
}

impl SpecialUse {
    /// Every special use with its attribute.
    pub const NAMES: [(Self, &'static str); 11] = [
        (Self::All, "\\All"),
        (Self::Archive, "\\Archive"),
        (Self::Drafts, "\\Drafts"),
        (Self::Flagged, "\\Flagged"),
        (Self::Junk, "\\Junk"),
        (Self::Sent, "\\Sent"),
        (Self::Trash, "\\Trash"),
        (Self::Important, "\\Important"),
        (Self::Memos, "\\Memos"),
        (Self::Scheduled, "\\Scheduled"),
        (Self::Snoozed, "\\Snoozed"),
    ];

    /// The use with this attribute in any case, backslash included.
    #[must_use]
    pub fn named(attribute: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(attribute))
            .map(|(u, _)| *u)
    }

    /// Its attribute, such as `\Sent`.
    #[must_use]
    pub fn attribute(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(u, _)| *u == self)
            .map_or("", |(_, name)| *name)
    }
}

/// A LIST pattern: `%` matches within a level, `*` across levels (RFC 9051 §6.3.9).
///
/// Runs of wildcards are folded, and matching keeps one set of states, a bit each, so that a name
/// costs its length times a 64th of the pattern's, whatever the pattern (threat 13).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// Where each character stands, ascending by character.
    chars: Vec<(char, Places)>,
    /// Where `*` stands, a bit each.
    any: Vec<u64>,
    /// Where `%` stands.
    level: Vec<u64>,
    /// How many characters and wildcards there are.
    len: usize,
}

/// Words of a bit set that are not empty: which, and their bits.
type Places = Vec<(usize, u64)>;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Char(char),
    Level,
    Any,
}

impl Pattern {
    /// The pattern as a client wrote it, reference already put before it.
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let steps = steps(pattern);
        let words = bit(steps.len()).0.saturating_add(1);
        let mut chars: BTreeMap<char, Places> = BTreeMap::new();
        let (mut any, mut level) = (vec![0; words], vec![0; words]);
        for (at, step) in steps.iter().enumerate() {
            let (word, mask) = bit(at);
            let wildcards = match step {
                Step::Char(c) => {
                    let places = chars.entry(*c).or_default();
                    match places.last_mut() {
                        Some((last, bits)) if *last == word => *bits |= mask,
                        _ => places.push((word, mask)),
                    }
                    continue;
                }
                Step::Any => any.get_mut(word),
                Step::Level => level.get_mut(word),
            };
            wildcards.into_iter().for_each(|bits| *bits |= mask);
        }
        Self {
            chars: chars.into_iter().collect(),
            any,
            level,
            len: steps.len(),
        }
    }

    /// Whether the pattern matches the whole name.
    #[must_use]
    pub fn matches(&self, key: &MailboxKey) -> bool {
        // Bit `i` is set if the name so far can be matched by the first `i` steps.
        let mut states = vec![0; self.any.len()];
        set(&mut states, 0, 1);
        self.skip_wildcards(&mut states);
        let mut next = vec![0; states.len()];
        for c in key.0.chars() {
            self.advance(c, &states, &mut next);
            std::mem::swap(&mut states, &mut next);
            if states.iter().all(|bits| *bits == 0) {
                return false;
            }
        }
        let (word, mask) = bit(self.len);
        states.get(word).is_some_and(|bits| bits & mask != 0)
    }

    /// The states after one more character.
    fn advance(&self, c: char, states: &[u64], next: &mut [u64]) {
        let across = if c == SEPARATOR { 0 } else { u64::MAX };
        let wildcards = self.any.iter().zip(&self.level);
        for ((next, bits), (any, level)) in next.iter_mut().zip(states).zip(wildcards) {
            *next = bits & (any | (level & across));
        }
        if let Ok(found) = self.chars.binary_search_by_key(&c, |(c, _)| *c) {
            let places = self.chars.get(found).map(|(_, places)| places);
            for (word, mask) in places.into_iter().flatten() {
                let moved = states.get(*word).map_or(0, |bits| bits & mask);
                set(next, *word, moved.wrapping_shl(1));
                set(next, word.saturating_add(1), moved.wrapping_shr(63));
            }
        }
        self.skip_wildcards(next);
    }

    /// A wildcard may match nothing; no two stand side by side.
    fn skip_wildcards(&self, states: &mut [u64]) {
        let mut carried = 0;
        for ((bits, any), level) in states.iter_mut().zip(&self.any).zip(&self.level) {
            let moved = *bits & (any | level);
            *bits |= moved.wrapping_shl(1) | carried;
            carried = moved.wrapping_shr(63);
        }
    }
}

/// The pattern's characters and wildcards, runs of wildcards folded.
fn steps(pattern: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for c in with_inbox(pattern).nfc() {
        match (c, steps.last()) {
            ('*', Some(Step::Any)) | ('%', Some(Step::Any | Step::Level)) => {}
            ('*', Some(Step::Level)) => {
                steps.pop();
                steps.push(Step::Any);
            }
            ('*', _) => steps.push(Step::Any),
            ('%', _) => steps.push(Step::Level),
            (c, _) => steps.push(Step::Char(c)),
        }
    }
    steps
}

/// Word and mask of a bit.
const fn bit(at: usize) -> (usize, u64) {
    (at / 64, 1 << (at % 64))
}

/// Sets bits of a word, if there is such a word.
fn set(bits: &mut [u64], word: usize, mask: u64) {
    if let Some(bits) = bits.get_mut(word) {
        *bits |= mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_limits_hold_at_their_edge() {
        let limits = Names {
            level_bytes_max: 4,
            depth_max: 3,
            name_bytes_max: 10,
        };
        for (name, is_within) in [
            ("abc", true),
            ("abcd", true),
            ("abcde", false),
            ("a/b", true),
            ("a/b/c", true),
            ("a/b/c/d", false),
            ("abcd/abcd", true),
            ("abcd/abc/d", true),
            ("abcd/abc/de", false),
            ("\u{e4}\u{e4}", true),
            ("\u{e4}\u{e4}a", false),
        ] {
            let name = MailboxName::new(name).unwrap();
            assert_eq!(name.is_within(limits), is_within, "{name}");
        }
    }

    #[test]
    fn names() {
        let check = |written: &str, want: Result<&str, NameError>| {
            let got = MailboxName::new(written);
            assert_eq!(
                got.as_ref().map(MailboxName::as_str).map_err(|e| *e),
                want,
                "{written:?}"
            );
        };
        check("inbox", Ok("INBOX"));
        check("InBox/Work", Ok("INBOX/Work"));
        check("inboxes", Ok("inboxes"));
        check("Work/", Ok("Work"));
        check("a//b", Err(NameError::Level));
        check("/a", Err(NameError::Level));
        check("a/../b", Err(NameError::Level));
        check("", Err(NameError::Empty));
        check("/", Err(NameError::Empty));
        check("a\u{0}b", Err(NameError::Character));
        check("50%", Err(NameError::Character));
        check(&"x".repeat(256), Err(NameError::TooLong));
        check(&"x/".repeat(17), Err(NameError::TooLong));
    }

    #[test]
    fn two_spellings_one_key() {
        let composed = MailboxName::new("Caf\u{e9}").unwrap();
        let decomposed = MailboxName::new("Cafe\u{301}").unwrap();
        assert_ne!(composed, decomposed);
        assert_eq!(composed.key(), decomposed.key());
    }

    #[test]
    fn hierarchy() {
        let key = |name: &str| MailboxName::new(name).unwrap().key();
        assert_eq!(key("a/b/c").suffix_of(&key("a/b")), Some("/c"));
        assert!(!key("ab").is_below(&key("a")));
        assert!(key("a/b").is_below(&key("a")));
        assert_eq!(
            MailboxName::new("a/b").unwrap().parent(),
            MailboxName::new("a").ok()
        );
    }

    #[test]
    fn patterns() {
        let check = |pattern: &str, name: &str, want: bool| {
            let key = MailboxName::new(name).unwrap().key();
            assert_eq!(
                Pattern::new(pattern).matches(&key),
                want,
                "{pattern} on {name}"
            );
        };
        check("*", "a/b", true);
        check("%", "a/b", false);
        check("%/%", "a/b", true);
        check("a%", "abc", true);
        check("*%*", "a/b/c", true);
        check("inbox", "INBOX", true);
        check("InBoX/*", "INBOX/x", true);
        check("", "a", false);
        check("a*c", "a/b/c", true);
        check("a%c", "a/b/c", false);
    }

    #[test]
    fn threat_13_many_stars_stay_cheap() {
        let pattern = Pattern::new(&"*a".repeat(500));
        let name = MailboxName::new(&format!("{}/{}", "b".repeat(255), "a".repeat(255))).unwrap();
        assert!(!pattern.matches(&name.key()));
        let fits = MailboxName::new(&vec!["a".repeat(249); 4].join("/")).unwrap();
        for (count, end, want) in [(300, "a", true), (300, "b", false), (498, "*", true)] {
            let pattern = Pattern::new(&("*a".repeat(count) + end));
            assert_eq!(pattern.matches(&fits.key()), want, "{count} {end}");
        }
        for length in [62, 63, 64, 65, 127, 128, 129] {
            let name = MailboxName::new(&"a".repeat(length)).unwrap();
            for (pattern, want) in [
                ("a".repeat(length), true),
                ("%".to_owned() + &"a".repeat(length), true),
                ("a".repeat(length) + "*", true),
                ("a".repeat(length) + "%a", false),
                ("a%".repeat(length), true),
                ("a*".repeat(length + 1), false),
            ] {
                let found = Pattern::new(&pattern).matches(&name.key());
                assert_eq!(found, want, "{pattern} on {length}");
            }
        }
    }
}
