//! SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182; RFC 3501 §6.4.4 for its plain answer).
//!
//! ```text
//! C: a1 SEARCH RETURN (MIN COUNT) UNSEEN SINCE 1-Feb-2026
//! C: a2 UID SEARCH CHARSET UTF-8 OR FROM "x" (NOT SUBJECT {5}
//! ```

use mail::{
    flag::{Keyword, SystemFlags},
    id::Uid,
    predicate::{DateField, DateRelation, Predicate, TextField},
};

use super::{
    command::{Command, Selected},
    sequence::{self, Numbers, Seq, SetOrSaved},
};
use crate::{
    cursor::{Cursor, Parsed, Refusal, Stop},
    date,
};

/// The charsets that SEARCH takes: what NO [BADCHARSET] lists.
pub const CHARSETS: &[&str] = &["US-ASCII", "UTF-8"];

/// SEARCH's arguments.
#[derive(Clone, PartialEq, Debug)]
pub struct Search {
    /// Which numbers the answer uses.
    pub numbers: Numbers,
    /// `RETURN (…)`; `None` without it. `RETURN ()` is `Some` of ALL alone.
    pub returns: Option<SearchReturn>,
    /// What matches.
    pub predicate: Predicate<SearchSet>,
}

/// A message set inside a search: sequence numbers, or `UID` and UIDs, or `$`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SearchSet {
    /// Sequence numbers, or `$`.
    Seq(SetOrSaved<Seq>),
    /// UIDs, or `$`.
    Uid(SetOrSaved<Uid>),
}

/// What a search returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent option of RFC 9051 §6.4.4"
)]
pub struct SearchReturn {
    /// `MIN`
    pub min: bool,
    /// `MAX`
    pub max: bool,
    /// `ALL`
    pub all: bool,
    /// `COUNT`
    pub count: bool,
    /// `SAVE`
    pub save: bool,
}

type Key = Predicate<SearchSet>;

impl Search {
    /// Whether sequence numbers stand among its keys: then no EXPUNGE may be sent while it runs,
    /// also in its UID form (RFC 9051 §7.5.1).
    #[must_use]
    pub fn names_sequence_numbers(&self) -> bool {
        let is_seq =
            |key: &Key| matches!(key, Predicate::Messages(SearchSet::Seq(SetOrSaved::Set(_))));
        self.predicate.any(&is_seq)
    }
}

/// ```abnf
/// search = "SEARCH" [search-return-opts] SP search-program
/// ```
pub(super) fn search(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Seq)
}

pub(super) fn uid_search(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Uid)
}

/// ```abnf
/// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)
/// ```
fn of(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Command> {
    c.sp()?;
    let returns = if c.eat_text("RETURN ") {
        let returns = return_options(c)?;
        c.sp()?;
        Some(returns)
    } else {
        None
    };
    if c.eat_text("CHARSET ") {
        let charset = c.astring("a charset")?;
        if !CHARSETS
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(&charset))
        {
            return Err(Stop::Refused(Refusal::Charset(returns)));
        }
        c.sp()?;
    }
    let mut keys = Keys { read: 0 };
    let predicate = keys.all_of(c)?;
    Ok(Command::Selected(Selected::Search(Search {
        numbers,
        returns,
        predicate,
    })))
}

/// ```abnf
/// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
/// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE"
/// ```
fn return_options(c: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let mut returns = SearchReturn::default();
    c.list_or_empty(|c| {
        let start = c.at();
        match c.name("a return option")?.as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" => returns.all = true,
            "COUNT" => returns.count = true,
            "SAVE" => returns.save = true,
            _ => return c.fail_at(start, "a known return option"),
        }
        Ok(())
    })?;
    if returns == SearchReturn::default() {
        // An empty list means ALL (RFC 9051 §6.4.4).
        returns.all = true;
    }
    Ok(returns)
}

/// How many keys were read, for the limit.
struct Keys {
    read: usize,
}

impl Keys {
    /// `search-key *(SP search-key)`: each must match.
    fn all_of(&mut self, c: &mut Cursor<'_>) -> Parsed<Key> {
        let first = self.key(c)?;
        if c.peek() != Some(b' ') {
            return Ok(first);
        }
        let mut keys = vec![first];
        while c.eat(b' ') {
            keys.push(self.key(c)?);
        }
        Ok(Predicate::And(keys))
    }

    fn count(&mut self, c: &Cursor<'_>) -> Parsed<()> {
        if self.read >= c.limits().search_keys_max {
            return c.fail("fewer search keys");
        }
        self.read = self.read.saturating_add(1);
        Ok(())
    }

    /// ```abnf
    /// search-key = "NOT" SP search-key / "OR" SP search-key SP search-key /
    ///              "(" search-key *(SP search-key) ")" / …
    /// ```
    ///
    /// A chain of NOT is read by a loop, and so is a chain of OR, whose operands become a balanced
    /// tree: only parentheses and the OR of a NOT go deeper, and those the limit bounds.
    fn key(&mut self, c: &mut Cursor<'_>) -> Parsed<Key> {
        let mut negated = false;
        while c.eat_text("NOT ") {
            self.count(c)?;
            negated = !negated;
        }
        let key = match (c.eat_text("OR "), negated) {
            (false, _) => self.plain(c)?,
            (true, false) => self.any_of(c)?,
            (true, true) => {
                c.enter()?;
                let key = self.any_of(c)?;
                c.leave();
                key
            }
        };
        Ok(if negated { not(key) } else { key })
    }

    /// What follows `OR SP`: two keys, each of which may be an OR again.
    fn any_of(&mut self, c: &mut Cursor<'_>) -> Parsed<Key> {
        self.count(c)?;
        let mut operands = Vec::new();
        let mut wanted = 2usize;
        while wanted > 0 {
            if c.eat_text("OR ") {
                self.count(c)?;
                wanted = wanted.saturating_add(1);
                continue;
            }
            operands.push(self.key(c)?);
            wanted = wanted.saturating_sub(1);
            if wanted > 0 {
                c.sp()?;
            }
        }
        Ok(balanced(operands))
    }

    /// A key that is neither NOT nor OR.
    fn plain(&mut self, c: &mut Cursor<'_>) -> Parsed<Key> {
        self.count(c)?;
        match c.peek() {
            Some(b'(') => {
                c.enter()?;
                c.byte(b'(', "an opening parenthesis")?;
                let key = self.all_of(c)?;
                c.byte(b')', "a space or a closing parenthesis")?;
                c.leave();
                Ok(key)
            }
            Some(b'0'..=b'9' | b'*' | b'$') => {
                let set = sequence::set_or_saved(c)?;
                Ok(Predicate::Messages(SearchSet::Seq(set)))
            }
            _ => named(c),
        }
    }
}

fn not(key: Key) -> Key {
    Predicate::Not(Box::new(key))
}

/// One of these, as a tree whose depth is the logarithm of their number.
fn balanced(mut keys: Vec<Key>) -> Key {
    while keys.len() > 1 {
        let mut halves = Vec::with_capacity(keys.len().div_ceil(2));
        let mut rest = keys.into_iter();
        while let Some(a) = rest.next() {
            halves.push(match rest.next() {
                Some(b) => Predicate::Or(Box::new((a, b))),
                None => a,
            });
        }
        keys = halves;
    }
    keys.pop().unwrap_or(Predicate::All)
}

/// A key with a name and what it takes.
fn named(c: &mut Cursor<'_>) -> Parsed<Key> {
    let start = c.at();
    let name = c.name("a search key")?;
    if let Some(key) = flag(&name) {
        return Ok(key);
    }
    if let Some((field, relation)) = day(&name) {
        c.sp()?;
        return Ok(Predicate::Date(field, relation, date::day(c)?));
    }
    if let Some(field) = text(&name) {
        c.sp()?;
        return Ok(Predicate::Text(field, c.text("a text to find")?));
    }
    match name.as_str() {
        "ALL" => Ok(Predicate::All),
        "HEADER" => header(c),
        "KEYWORD" => keyword(c),
        "UNKEYWORD" => keyword(c).map(not),
        "LARGER" => c.sp().and_then(|()| c.number64()).map(Predicate::Larger),
        "SMALLER" => c.sp().and_then(|()| c.number64()).map(Predicate::Smaller),
        "UID" => {
            c.sp()?;
            let uids = sequence::set_or_saved(c)?;
            Ok(Predicate::Messages(SearchSet::Uid(uids)))
        }
        _ => c.fail_at(start, "a search key"),
    }
}

/// Keys about flags (NEW, OLD and RECENT: RFC 3501 §6.4.4).
fn flag(name: &str) -> Option<Key> {
    let set = |flag| Some(Predicate::Flags(flag));
    let unset = |flag| Some(not(Predicate::Flags(flag)));
    match name {
        "ANSWERED" => set(SystemFlags::ANSWERED),
        "DELETED" => set(SystemFlags::DELETED),
        "DRAFT" => set(SystemFlags::DRAFT),
        "FLAGGED" => set(SystemFlags::FLAGGED),
        "SEEN" => set(SystemFlags::SEEN),
        "UNANSWERED" => unset(SystemFlags::ANSWERED),
        "UNDELETED" => unset(SystemFlags::DELETED),
        "UNDRAFT" => unset(SystemFlags::DRAFT),
        "UNFLAGGED" => unset(SystemFlags::FLAGGED),
        "UNSEEN" => unset(SystemFlags::SEEN),
        "RECENT" => Some(Predicate::Recent),
        "OLD" => Some(not(Predicate::Recent)),
        "NEW" => Some(Predicate::And(vec![
            Predicate::Recent,
            not(Predicate::Flags(SystemFlags::SEEN)),
        ])),
        _ => None,
    }
}

/// Keys that take a date.
fn day(name: &str) -> Option<(DateField, DateRelation)> {
    Some(match name {
        "BEFORE" => (DateField::Internal, DateRelation::Before),
        "ON" => (DateField::Internal, DateRelation::On),
        "SINCE" => (DateField::Internal, DateRelation::Since),
        "SENTBEFORE" => (DateField::Sent, DateRelation::Before),
        "SENTON" => (DateField::Sent, DateRelation::On),
        "SENTSINCE" => (DateField::Sent, DateRelation::Since),
        _ => return None,
    })
}

/// Keys that take a text.
fn text(name: &str) -> Option<TextField> {
    let header = |name: &str| TextField::Header(name.into());
    Some(match name {
        "BCC" => header("Bcc"),
        "CC" => header("Cc"),
        "FROM" => header("From"),
        "SUBJECT" => header("Subject"),
        "TO" => header("To"),
        "BODY" => TextField::Body,
        "TEXT" => TextField::Text,
        _ => return None,
    })
}

/// `"HEADER" SP header-fld-name SP astring`
fn header(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let field = TextField::Header(c.text("the name of a header field")?.into());
    c.sp()?;
    Ok(Predicate::Text(field, c.text("a text to find")?))
}

/// `"KEYWORD" SP flag-keyword`; no message has a keyword that is too long to be one.
fn keyword(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let keyword = Keyword::new(c.atom("a keyword")?);
    Ok(keyword.map_or_else(Predicate::nothing, Predicate::Keyword))
}
