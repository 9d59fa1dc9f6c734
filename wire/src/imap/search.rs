//! SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182; RFC 3501 §6.4.4 for its plain answer; RFC 7162
//! §3.1.5 for MODSEQ).
//!
//! ```text
//! C: a1 SEARCH RETURN (MIN COUNT) UNSEEN SINCE 1-Feb-2026
//! C: a2 UID SEARCH CHARSET UTF-8 OR FROM "x" (NOT SUBJECT {5}
//! ```

use mail::{
    flag::{Keyword, SystemFlags, is_atom_byte},
    id::{ModSeq, Uid},
    predicate::{Age, DateField, DateRelation, Predicate, TextField},
};

use super::{
    command::{Command, Selected},
    modifier, object_id,
    page::{Page, page},
    sequence::{self, End, Numbers, Seq, SequenceSet, SetOrSaved},
};
use crate::{
    cursor::{Cursor, Parsed, Refusal, Stop},
    date,
};

/// The charsets that SEARCH takes: what NO `[BADCHARSET]` lists.
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
    /// `PARTIAL` (RFC 9394 §3.1); never beside `ALL`.
    pub partial: Option<Page>,
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

    /// Whether MODSEQ stands among its keys: then the answer tells the highest mod-sequence of what
    /// was found (RFC 7162 §3.1.5).
    #[must_use]
    pub fn names_mod_sequences(&self) -> bool {
        self.predicate
            .any(&|key| matches!(key, Predicate::ModSeq(_)))
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
    let mut keys = Keys { read: 0, depth: 0 };
    let predicate = keys.all_of(c)?;
    Ok(Command::Selected(Selected::Search(Search {
        numbers,
        returns,
        predicate,
    })))
}

/// ```abnf
/// search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
/// search-return-opt  = "MIN" / "MAX" / "ALL" / "COUNT" / "SAVE" / modifier-partial
/// modifier-partial   = "PARTIAL" SP partial-range
/// ```
///
/// RFC 9394 §3.1: at most one of ALL and PARTIAL.
fn return_options(c: &mut Cursor<'_>) -> Parsed<SearchReturn> {
    let mut returns = SearchReturn::default();
    c.list_or_empty(|c| {
        let start = c.at();
        match c.name("a return option")?.as_str() {
            "MIN" => returns.min = true,
            "MAX" => returns.max = true,
            "ALL" if returns.partial.is_none() => returns.all = true,
            "PARTIAL" if returns.partial.is_none() && !returns.all => {
                c.sp()?;
                returns.partial = Some(page(c)?);
            }
            "ALL" | "PARTIAL" => return c.fail_at(start, "one of ALL and PARTIAL"),
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

/// How many keys were read, and how deep, for the limits.
struct Keys {
    read: usize,
    depth: usize,
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

    fn enter(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if self.depth >= c.limits().search_depth_max {
            return c.fail("fewer levels of search keys");
        }
        self.depth = self.depth.saturating_add(1);
        c.enter()
    }

    const fn leave(&mut self, c: &mut Cursor<'_>) {
        self.depth = self.depth.saturating_sub(1);
        c.leave();
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
                self.enter(c)?;
                let key = self.any_of(c)?;
                self.leave(c);
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
                self.enter(c)?;
                c.byte(b'(', "an opening parenthesis")?;
                let key = self.all_of(c)?;
                c.byte(b')', "a space or a closing parenthesis")?;
                self.leave(c);
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
        // Every mailbox keeps save dates (RFC 8514 §4.3).
        "ALL" | "SAVEDATESUPPORTED" => Ok(Predicate::All),
        "EMAILID" => email(c),
        "THREADID" => thread(c),
        "OLDER" => age(c, Age::Older),
        "YOUNGER" => age(c, Age::Younger),
        "HEADER" => header(c),
        "KEYWORD" => keyword(c),
        "UNKEYWORD" => keyword(c).map(not),
        "LARGER" => c.sp().and_then(|()| c.number64()).map(Predicate::Larger),
        "SMALLER" => c.sp().and_then(|()| c.number64()).map(Predicate::Smaller),
        "MODSEQ" => mod_seq(c),
        "UIDAFTER" => uids_from(c, |uid| Some((uid.next()?, Uid::MAX))),
        "UIDBEFORE" => uids_from(c, |uid| {
            Some((Uid::MIN, Uid::new(uid.get().checked_sub(1)?)?))
        }),
        "UID" => {
            c.sp()?;
            let uids = sequence::set_or_saved(c)?;
            Ok(Predicate::Messages(SearchSet::Uid(uids)))
        }
        _ => c.fail_at(start, "a search key"),
    }
}

/// ```abnf
/// search-key =/ ("UIDAFTER" / "UIDBEFORE") SP uniqueid
/// ```
///
/// RFC 9738 §3.2.
fn uids_from(c: &mut Cursor<'_>, range: impl FnOnce(Uid) -> Option<(Uid, Uid)>) -> Parsed<Key> {
    c.sp()?;
    let start = c.at();
    let Some(uid) = Uid::new(c.nz_number()?) else {
        return c.fail_at(start, "a UID");
    };
    Ok(range(uid).map_or_else(Predicate::nothing, |(first, last)| {
        let range = (End::Number(first), End::Number(last));
        let uids = SetOrSaved::Set(SequenceSet(vec![range]));
        Predicate::Messages(SearchSet::Uid(uids))
    }))
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
        "SAVEDBEFORE" => (DateField::Saved, DateRelation::Before),
        "SAVEDON" => (DateField::Saved, DateRelation::On),
        "SAVEDSINCE" => (DateField::Saved, DateRelation::Since),
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

/// `"EMAILID" SP objectid` (RFC 8474 §6)
fn email(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let id = object_id::read_email(c)?;
    Ok(id.map_or_else(Predicate::nothing, Predicate::Email))
}

/// `"THREADID" SP objectid` (RFC 8474 §6)
fn thread(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let id = object_id::read_thread(c)?;
    Ok(id.map_or_else(Predicate::nothing, Predicate::Thread))
}

/// `("OLDER" / "YOUNGER") SP nz-number` (RFC 5032 §3)
fn age(c: &mut Cursor<'_>, age: Age) -> Parsed<Key> {
    c.sp()?;
    Ok(Predicate::Age(age, c.nz_number()?))
}

/// `"HEADER" SP header-fld-name SP astring`
fn header(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let field = TextField::Header(c.text("the name of a header field")?.into());
    c.sp()?;
    Ok(Predicate::Text(field, c.text("a text to find")?))
}

/// ```abnf
/// search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer
/// search-modseq-ext  = SP entry-name SP entry-type-req
/// entry-name         = DQUOTE "/flags/" attr-flag DQUOTE
/// entry-type-req     = "priv" / "shared" / "all"
/// ```
///
/// A message has one mod-sequence for all of its flags, so that entry and type are ignored
/// (RFC 7162 §3.1.5).
fn mod_seq(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    if c.peek() == Some(b'"') {
        entry_name(c)?;
        c.sp()?;
        let start = c.at();
        if !matches!(
            c.name("a type of entry")?.as_str(),
            "PRIV" | "SHARED" | "ALL"
        ) {
            return c.fail_at(start, "priv, shared or all");
        }
        c.sp()?;
    }
    let since = modifier::mod_seq_or_zero(c)?;
    // Every message has at least the smallest.
    Ok(Predicate::ModSeq(since.unwrap_or(ModSeq::MIN)))
}

fn entry_name(c: &mut Cursor<'_>) -> Parsed<()> {
    let start = c.at();
    let name = c.string("the name of an entry")?;
    let flag = name.strip_prefix(b"/flags/").unwrap_or_default();
    let flag = flag.strip_prefix(b"\\").unwrap_or(flag);
    if flag.is_empty() || !flag.iter().copied().all(is_atom_byte) {
        return c.fail_at(start, "\"/flags/\" and a flag");
    }
    Ok(())
}

/// `"KEYWORD" SP flag-keyword`; no message has a keyword that is too long to be one.
fn keyword(c: &mut Cursor<'_>) -> Parsed<Key> {
    c.sp()?;
    let keyword = Keyword::new(c.atom("a keyword")?);
    Ok(keyword.map_or_else(Predicate::nothing, Predicate::Keyword))
}

#[cfg(test)]
mod tests {
    use mail::date::Date;

    use super::*;
    use crate::{
        frame::{Frame, Framer},
        imap::{
            fixture::{accept, frame, incomplete, reject},
            sequence::SequenceSet,
            table::Expunge,
        },
        limits::Limits,
    };

    fn searched(rest: &str) -> Search {
        match accept(&format!("SEARCH {rest}")) {
            Command::Selected(Selected::Search(search)) => search,
            other => panic!("{other:?}"),
        }
    }

    fn key(rest: &str) -> Key {
        searched(rest).predicate
    }

    fn header(name: &str, text: &str) -> Key {
        Predicate::Text(TextField::Header(name.into()), text.into())
    }

    #[test]
    fn flag_keys() {
        assert_eq!(key("all"), Predicate::All);
        assert_eq!(key("SEEN"), Predicate::Flags(SystemFlags::SEEN));
        assert_eq!(key("UNDRAFT"), not(Predicate::Flags(SystemFlags::DRAFT)));
        assert_eq!(key("OLD"), not(Predicate::Recent));
        assert_eq!(
            key("NEW"),
            Predicate::And(vec![key("RECENT"), key("UNSEEN")])
        );
        for name in ["ANSWERED", "DELETED", "FLAGGED", "DRAFT", "SEEN"] {
            assert_eq!(key(&format!("UN{name}")), not(key(name)));
        }
        assert!(matches!(key("KEYWORD $Junk"), Predicate::Keyword(_)));
        assert_eq!(key("UNKEYWORD $Junk"), not(key("KEYWORD $junk")));
        assert_eq!(
            key(&format!("KEYWORD {}", "k".repeat(65))),
            Predicate::nothing()
        );
        reject("SEARCH KEYWORD ^\\Seen");
        reject("SEARCH KEYWORD^");
        reject("SEARCH ^FOO");
        reject("SEARCH^");
        reject("SEARCH ^");
        reject("SEARCH ALL ^");
    }

    #[test]
    fn mod_sequences() {
        let since = |n| Predicate::ModSeq(ModSeq::new(n).unwrap());
        assert_eq!(key("MODSEQ 620162338"), since(620_162_338));
        assert_eq!(key("MODSEQ 0"), since(1));
        assert_eq!(key("MODSEQ \"/flags/\\\\draft\" all 5"), since(5));
        assert_eq!(key("modseq \"/flags/$MDNSent\" Shared 5"), since(5));
        assert_eq!(key("NOT MODSEQ \"/flags/x\" priv 5"), not(since(5)));
        assert!(searched("OR NOT MODSEQ 5 LARGER 50000").names_mod_sequences());
        assert!(!searched("ALL").names_mod_sequences());
        reject("SEARCH MODSEQ^");
        reject("SEARCH MODSEQ ^x");
        reject("SEARCH MODSEQ ^9223372036854775808");
        reject("SEARCH MODSEQ ^\"/flag/x\" all 5");
        reject("SEARCH MODSEQ ^\"/flags/\" all 5");
        reject("SEARCH MODSEQ \"/flags/x\" ^mine 5");
        reject("SEARCH MODSEQ \"/flags/x\"^");
        reject("SEARCH MODSEQ \"/flags/x\" ^5");
        reject("SEARCH MODSEQ \"/flags/x\" all^");
    }

    #[test]
    fn text_keys() {
        for (name, field) in [
            ("FROM", "From"),
            ("TO", "To"),
            ("CC", "Cc"),
            ("BCC", "Bcc"),
            ("SUBJECT", "Subject"),
        ] {
            assert_eq!(key(&format!("{name} {{2+}}\r\nxy")), header(field, "xy"));
        }
        assert_eq!(key("BODY x"), Predicate::Text(TextField::Body, "x".into()));
        assert_eq!(
            key("TEXT \"\u{fc}\""),
            Predicate::Text(TextField::Text, "\u{fc}".into())
        );
        assert_eq!(key("HEADER X-Y \"\""), header("X-Y", ""));
        incomplete("SEARCH SUBJECT {3}\r\nabc");
        reject("SEARCH FROM^");
        reject("SEARCH FROM ^");
        reject("SEARCH HEADER a^");
        assert!(matches!(frame(b"SEARCH TEXT {1+}\r\n\xff"), Frame::Bad(..)));
    }

    #[test]
    fn dates_and_sizes() {
        let day = Date::new(2026, 2, 1).unwrap();
        let date = |field, relation| Predicate::Date(field, relation, day);
        assert_eq!(
            key("SINCE 1-Feb-2026"),
            date(DateField::Internal, DateRelation::Since)
        );
        assert_eq!(
            key("SENTON \"01-feb-2026\""),
            date(DateField::Sent, DateRelation::On)
        );
        assert_eq!(
            key("SAVEDON 1-Feb-2026"),
            date(DateField::Saved, DateRelation::On)
        );
        let saved = ["SAVEDBEFORE", "SAVEDON", "SAVEDSINCE"];
        let others = ["BEFORE", "ON", "SINCE", "SENTBEFORE", "SENTON", "SENTSINCE"];
        for name in others.into_iter().chain(saved) {
            key(&format!("{name} 1-Feb-2026"));
            reject(&format!("SEARCH {name} ^30-Feb-2026"));
            reject(&format!("SEARCH {name} \"1-Feb-2026^"));
            reject(&format!("SEARCH {name} 1-Feb-2026^\""));
            reject(&format!("SEARCH {name} ^-Feb-2026"));
            reject(&format!("SEARCH {name} 1-Feb-^202"));
        }
        assert_eq!(key("LARGER 0"), Predicate::Larger(0));
        let max = i64::MAX as u64;
        assert_eq!(key(&format!("SMALLER {max}")), Predicate::Smaller(max));
        reject(&format!("SEARCH LARGER ^{}", max + 1));
        reject("SEARCH LARGER ^-1");
        reject("SEARCH LARGER ^18446744073709551615");
    }

    #[test]
    fn ids_ages_and_support_of_save_dates() {
        let body = mail::id::BodyId::new(0x1f).unwrap();
        assert_eq!(key("emailid M1f"), Predicate::Email(body));
        let thread = mail::id::ThreadId::new(7).unwrap();
        assert_eq!(key("THREADID T7"), Predicate::Thread(thread));
        for nobodys in ["EMAILID T7", "EMAILID M1F", "THREADID -_x", "EMAILID M0"] {
            assert_eq!(key(nobodys), Predicate::nothing(), "{nobodys}");
        }
        reject("SEARCH EMAILID ^(M1)");
        reject("SEARCH THREADID ^\"T1\"");
        reject("SEARCH THREADID^");
        assert_eq!(key("savedatesupported"), Predicate::All);
        assert_eq!(key("YOUNGER 259200"), Predicate::Age(Age::Younger, 259_200));
        assert_eq!(
            key("OLDER 4294967295"),
            Predicate::Age(Age::Older, u32::MAX)
        );
        reject("SEARCH OLDER ^0");
        reject("SEARCH YOUNGER ^-1");
        reject("SEARCH YOUNGER ^4294967296");
    }

    #[test]
    fn not_or_and_lists() {
        let (a, b, c) = (
            header("From", "a"),
            header("From", "b"),
            header("From", "c"),
        );
        let or = |x: &Key, y: &Key| Predicate::Or(Box::new((x.clone(), y.clone())));
        assert_eq!(key("OR FROM a FROM b"), or(&a, &b));
        assert_eq!(key("OR OR FROM a FROM b FROM c"), or(&or(&a, &b), &c));
        assert_eq!(key("OR FROM a OR FROM b FROM c"), or(&or(&a, &b), &c));
        assert_eq!(key("NOT FROM a"), not(a.clone()));
        assert_eq!(key("NOT NOT FROM a"), a);
        assert_eq!(key("OR NOT FROM a FROM b"), or(&not(a.clone()), &b));
        assert_eq!(key("NOT OR FROM a FROM b"), not(or(&a, &b)));
        let both = Predicate::And(vec![a.clone(), b.clone()]);
        assert_eq!(key("FROM a FROM b"), both);
        assert_eq!(key("(FROM a FROM b)"), both);
        assert_eq!(key("OR (FROM a FROM b) FROM c"), or(&both, &c));
        assert_eq!(key("((FROM a))"), a);
        reject("SEARCH OR FROM a^");
        reject("SEARCH OR FROM a ^");
        reject("SEARCH NOT ^");
        reject("SEARCH ^NOT");
        reject("SEARCH (^)");
        reject("SEARCH (ALL^");
        reject("SEARCH ALL^)");
        reject("SEARCH (ALL)^(ALL)");
    }

    #[test]
    fn rule_37_return_options_and_saved_results() {
        assert_eq!(searched("ALL").returns, None);
        let all = SearchReturn {
            all: true,
            ..SearchReturn::default()
        };
        assert_eq!(searched("RETURN () ALL").returns, Some(all));
        let save = SearchReturn {
            save: true,
            ..SearchReturn::default()
        };
        assert_eq!(searched("return (Save) ALL").returns, Some(save));
        let every = SearchReturn {
            min: true,
            max: true,
            all: true,
            count: true,
            save: true,
            partial: None,
        };
        assert_eq!(
            searched("RETURN (MIN MAX ALL COUNT SAVE) ALL").returns,
            Some(every)
        );
        assert_eq!(
            key("$"),
            Predicate::Messages(SearchSet::Seq(SetOrSaved::Saved))
        );
        assert_eq!(
            key("UID $"),
            Predicate::Messages(SearchSet::Uid(SetOrSaved::Saved))
        );
        reject("SEARCH RETURN (^FOO) ALL");
        reject("SEARCH RETURN (MIN^");
        reject("SEARCH RETURN ()^");
        reject("SEARCH RETURN ^ALL");
    }

    #[test]
    fn rule_38_charsets() {
        for charset in ["UTF-8", "us-ascii", "\"utf-8\""] {
            assert_eq!(key(&format!("CHARSET {charset} TEXT x")), key("TEXT x"));
        }
        let refused = |rest: &str| match frame(rest.as_bytes()) {
            Frame::Refused(_, property, Refusal::Charset(returns)) => (property.name, returns),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            refused("SEARCH CHARSET KOI8-R TEXT {1+}\r\n\u{d6}"),
            ("SEARCH", None)
        );
        let (name, returns) = refused("UID SEARCH RETURN (SAVE) CHARSET X ALL");
        assert!(name == "UID SEARCH" && returns.unwrap().save);
        reject("SEARCH CHARSET UTF-8^");
        reject("SEARCH CHARSET ^ ALL");
    }

    #[test]
    fn rule_01_uid_search_by_sequence_number_holds_expunges_back() {
        for (rest, want) in [
            ("SEARCH ALL", Expunge::MustWait),
            ("UID SEARCH ALL", Expunge::May),
            ("UID SEARCH UID 1:5", Expunge::May),
            ("UID SEARCH $", Expunge::May),
            ("UID SEARCH 1:5", Expunge::MustWait),
            ("UID SEARCH OR SEEN NOT (DELETED 7)", Expunge::MustWait),
        ] {
            assert_eq!(accept(rest).expunge(), want, "{rest}");
        }
        let set = SequenceSet(Vec::new());
        let predicate = Predicate::Messages(SearchSet::Seq(SetOrSaved::Set(set)));
        let search = Search {
            numbers: Numbers::Uid,
            returns: None,
            predicate,
        };
        assert!(search.names_sequence_numbers());
    }

    #[test]
    fn threat_03_nesting_is_bounded() {
        let nested = |levels| format!("{}ALL{}", "(".repeat(levels), ")".repeat(levels));
        let max = Limits::AFTER_LOGIN.depth_max;
        assert_eq!(key(&nested(max - 1)), Predicate::All);
        assert_eq!(key(&nested(max)), Predicate::All);
        reject(&format!("SEARCH {}^{}", "(".repeat(max), nested(1)));
        reject(&format!("SEARCH {}^{}", "(".repeat(max), "(".repeat(9_000)));
        let not_or = "NOT OR ALL ".repeat(max);
        key(&format!("{not_or}ALL"));
        assert!(matches!(
            frame(format!("SEARCH {not_or}NOT OR ALL ALL").as_bytes()),
            Frame::Bad(..)
        ));
    }

    #[test]
    fn threat_20_levels_of_keys_are_bounded_within_those_of_parentheses() {
        for (search_depth_max, depth_max, levels) in [(4, 32, 4), (32, 4, 4), (1, 32, 1)] {
            let limits = Limits {
                search_depth_max,
                depth_max,
                ..Limits::AFTER_LOGIN
            };
            for (more, is_read) in [(-1, true), (0, true), (1, false)] {
                let levels = usize::saturating_add_signed(levels, more);
                let (open, close) = ("(".repeat(levels), ")".repeat(levels));
                let chain = "NOT OR ALL ".repeat(levels);
                for keys in [format!("{open}ALL{close}"), format!("{chain}ALL")] {
                    let mut framer = Framer::new();
                    let line = format!("a SEARCH {keys} SEEN\r\n");
                    framer.buffer_mut().extend_from_slice(line.as_bytes());
                    let is_command = matches!(framer.next(&limits), Frame::Command(_));
                    assert_eq!(is_command, is_read, "{levels} {keys}");
                }
            }
        }
    }

    #[test]
    fn long_chains_make_shallow_trees() {
        fn depth(key: &Key) -> usize {
            match key {
                Predicate::Or(two) => 1 + depth(&two.0).max(depth(&two.1)),
                Predicate::Not(key) => 1 + depth(key),
                Predicate::And(keys) => 1 + keys.iter().map(depth).max().unwrap_or(0),
                _ => 0,
            }
        }
        let max = Limits::AFTER_LOGIN.search_keys_max;
        let chain = "OR ALL ".repeat((max - 1) / 2);
        assert_eq!(depth(&key(&format!("{chain}ALL"))), 9);
        assert_eq!(depth(&key(&format!("{}ALL", "NOT ".repeat(max - 1)))), 1);
        let keys = vec!["ALL"; max].join(" ");
        assert_eq!(depth(&key(&keys)), 1);
        reject(&format!("SEARCH {keys} ^ALL"));
    }
}
