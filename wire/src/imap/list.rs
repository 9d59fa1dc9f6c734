//! LIST with all of its extensions, and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154;
//! RFC 3501 §6.3.9).
//!
//! ```text
//! C: a1 LIST "" *
//! C: a2 LIST (SUBSCRIBED) "" ("INBOX" "Work/%") RETURN (CHILDREN STATUS (MESSAGES))
//! ```

use super::{
    command::{Authenticated, Command},
    mailbox::{self, WireName},
    status::{self, StatusItem},
};
use crate::cursor::{Cursor, Parsed};

/// LIST's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct List {
    /// Whether any extended syntax was used (selection options, several patterns, RETURN).
    pub form: Form,
    /// Which mailboxes.
    pub select: SelectOptions,
    /// The reference name.
    pub reference: WireName,
    /// The patterns, at least one.
    pub patterns: Vec<WireName>,
    /// What is said of each.
    pub returns: ReturnOptions,
}

/// Which syntax a LIST used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// As in RFC 3501.
    Basic,
    /// With options or several patterns (RFC 5258).
    Extended,
}

/// Selection options.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent option of RFC 9051 §6.3.9.1"
)]
pub struct SelectOptions {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `REMOTE`
    pub remote: bool,
    /// `RECURSIVEMATCH`; never alone or with only REMOTE (the grammar answers BAD).
    pub recursive_match: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
}

impl SelectOptions {
    /// The names of those that say something about a mailbox: what CHILDINFO may hold
    /// (RFC 9051 §6.3.9.6).
    #[must_use]
    pub fn criteria(self) -> Vec<&'static str> {
        let subscribed = self.subscribed.then_some("SUBSCRIBED");
        let special_use = self.special_use.then_some("SPECIAL-USE");
        subscribed.into_iter().chain(special_use).collect()
    }
}

/// Return options.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ReturnOptions {
    /// `SUBSCRIBED`
    pub subscribed: bool,
    /// `CHILDREN`
    pub children: bool,
    /// `SPECIAL-USE`
    pub special_use: bool,
    /// `STATUS (…)` (RFC 5819); empty when not asked for.
    pub status: Vec<StatusItem>,
}

/// LSUB's and XLIST's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lsub {
    /// The reference name.
    pub reference: WireName,
    /// The pattern.
    pub pattern: WireName,
}

/// ```abnf
/// lsub = "LSUB" SP mailbox SP list-mailbox
/// ```
pub(super) fn lsub(c: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Authenticated(Authenticated::Lsub(plain(c)?)))
}

/// XLIST is written as LSUB is.
pub(super) fn xlist(c: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Authenticated(Authenticated::Xlist(plain(c)?)))
}

fn plain(c: &mut Cursor<'_>) -> Parsed<Lsub> {
    c.sp()?;
    let reference = reference(c)?;
    c.sp()?;
    let pattern = pattern(c)?;
    Ok(Lsub { reference, pattern })
}

/// ```abnf
/// list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]
/// ```
///
/// RFC 5258 §6.
pub(super) fn list(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mut form = Form::Basic;
    let mut select = SelectOptions::default();
    c.sp()?;
    if c.peek() == Some(b'(') {
        form = Form::Extended;
        select = select_options(c)?;
        c.sp()?;
    }
    let reference = reference(c)?;
    c.sp()?;
    let mut patterns = Vec::new();
    if c.peek() == Some(b'(') {
        form = Form::Extended;
        patterns = several_patterns(c)?;
    } else {
        patterns.push(pattern(c)?);
    }
    let mut returns = ReturnOptions::default();
    if c.eat(b' ') {
        form = Form::Extended;
        returns = return_options(c)?;
    }
    Ok(Command::Authenticated(Authenticated::List(List {
        form,
        select,
        reference,
        patterns,
        returns,
    })))
}

/// The reference: it is put before each pattern and may hold wildcards too (RFC 9051 §6.3.9), so
/// it is as long as one at most.
fn reference(c: &mut Cursor<'_>) -> Parsed<WireName> {
    let start = c.at();
    let reference = mailbox::name(c)?;
    if reference.0.len() > c.limits().list_pattern_bytes_max {
        return c.fail_at(start, "a shorter reference");
    }
    Ok(reference)
}

/// ```abnf
/// list-mailbox = 1*list-char / string
/// ```
fn pattern(c: &mut Cursor<'_>) -> Parsed<WireName> {
    let start = c.at();
    let pattern = c.list_mailbox()?.into_owned();
    if pattern.len() > c.limits().list_pattern_bytes_max {
        return c.fail_at(start, "a shorter pattern");
    }
    Ok(WireName(pattern))
}

/// ```abnf
/// patterns = "(" list-mailbox *(SP list-mailbox) ")"
/// ```
fn several_patterns(c: &mut Cursor<'_>) -> Parsed<Vec<WireName>> {
    let mut patterns = Vec::new();
    c.list(|c| {
        if patterns.len() >= c.limits().list_patterns_max {
            return c.fail("fewer patterns");
        }
        patterns.push(pattern(c)?);
        Ok(())
    })?;
    Ok(patterns)
}

/// ```abnf
/// list-select-opts = "(" [ (*(list-select-opt SP) list-select-base-opt *(SP list-select-opt)) /
///                    (list-select-independent-opt *(SP list-select-independent-opt)) ] ")"
/// ```
///
/// RECURSIVEMATCH alone, or only with REMOTE, is BAD (RFC 9051 §6.3.9.1). SPECIAL-USE beside it
/// is enough: RFC 6154 §6 makes that an independent option, but it says of a mailbox whether it
/// matches, as SUBSCRIBED does, and other servers take it so.
fn select_options(c: &mut Cursor<'_>) -> Parsed<SelectOptions> {
    let start = c.at();
    let mut select = SelectOptions::default();
    c.list_or_empty(|c| {
        let start = c.at();
        match c.name("a selection option")?.as_str() {
            "SUBSCRIBED" => select.subscribed = true,
            "REMOTE" => select.remote = true,
            "RECURSIVEMATCH" => select.recursive_match = true,
            "SPECIAL-USE" => select.special_use = true,
            _ => return c.fail_at(start, "a known selection option"),
        }
        Ok(())
    })?;
    if select.recursive_match && !select.subscribed && !select.special_use {
        return c.fail_at(start, "SUBSCRIBED or SPECIAL-USE beside RECURSIVEMATCH");
    }
    Ok(select)
}

/// ```abnf
/// list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"
/// status-option    = "STATUS" SP "(" status-att *(SP status-att) ")"
/// ```
fn return_options(c: &mut Cursor<'_>) -> Parsed<ReturnOptions> {
    let mut returns = ReturnOptions::default();
    if !c.eat_text("RETURN ") {
        return c.fail("RETURN");
    }
    c.list_or_empty(|c| {
        let start = c.at();
        match c.name("a return option")?.as_str() {
            "SUBSCRIBED" => returns.subscribed = true,
            "CHILDREN" => returns.children = true,
            "SPECIAL-USE" => returns.special_use = true,
            "STATUS" => {
                c.sp()?;
                returns.status = status::items(c)?;
            }
            _ => return c.fail_at(start, "a known return option"),
        }
        Ok(())
    })?;
    Ok(returns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        imap::fixture::{accept, incomplete, reject},
        limits::Limits,
    };

    fn listed(rest: &str) -> List {
        match accept(rest) {
            Command::Authenticated(Authenticated::List(list)) => list,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn basic_form() {
        let list = listed("LIST \"\" *");
        assert_eq!(
            (list.form, list.reference),
            (Form::Basic, WireName(Vec::new()))
        );
        assert_eq!(list.patterns, [WireName(b"*".to_vec())]);
        assert_eq!(listed("LIST ref/ \"\"").patterns, [WireName(Vec::new())]);
        assert_eq!(
            listed("list {0+}\r\n {2+}\r\na%").patterns,
            [WireName(b"a%".to_vec())]
        );
        assert_eq!(
            listed("LIST \"\" a]%b*").patterns,
            [WireName(b"a]%b*".to_vec())]
        );
        assert_eq!(accept("LSUB \"\" %").property().name, "LSUB");
        incomplete("LIST \"\" {3}\r\nINB");
        reject("LIST^");
        reject("LIST \"\"^");
        reject("LIST \"\" ^");
        reject("LIST ^* *");
        reject("LIST \"\" * ^");
        reject("LIST \"\" * ^x");
        reject("LSUB \"\"^");
        reject("LSUB \"\" ^(a)");
        reject("LSUB \"\" *^ RETURN ()");
    }

    #[test]
    fn extended_form() {
        let list = listed(
            "LIST (subscribed Remote RECURSIVEMATCH SPECIAL-USE) \"\" (\"a\" b% {1+}\r\nc) \
             RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES SIZE))",
        );
        assert_eq!(list.form, Form::Extended);
        assert!(list.select.subscribed && list.select.remote && list.select.recursive_match);
        assert!(list.select.special_use && list.returns.subscribed && list.returns.children);
        assert!(list.returns.special_use);
        assert_eq!(
            list.returns.status,
            [StatusItem::Messages, StatusItem::Size]
        );
        assert_eq!(list.patterns.len(), 3);
        for extended in ["LIST () \"\" *", "LIST \"\" (*)", "LIST \"\" * RETURN ()"] {
            assert_eq!(listed(extended).form, Form::Extended);
            incomplete(extended);
        }
        reject("LIST (^X-OPTION) \"\" *");
        reject("LIST (SUBSCRIBED ^) \"\" *");
        reject("LIST \"\" (^)");
        reject("LIST \"\" (a^");
        reject("LIST \"\" * RETURN ^SUBSCRIBED");
        reject("LIST \"\" * RETURN (^X)");
        reject("LIST \"\" * RETURN (STATUS^)");
        reject("LIST \"\" * RETURN (STATUS (^X))");
        reject("LIST \"\" * RETURN ()^ x");
    }

    #[test]
    fn rule_28_recursivematch_needs_a_base_option() {
        reject("LIST ^(RECURSIVEMATCH) \"\" *");
        reject("LIST ^(REMOTE RECURSIVEMATCH) \"\" *");
        assert!(
            listed("LIST (RECURSIVEMATCH SUBSCRIBED) \"\" *")
                .select
                .recursive_match
        );
        assert!(
            listed("LIST (SPECIAL-USE RECURSIVEMATCH) \"\" *")
                .select
                .recursive_match
        );
        assert!(listed("LIST (REMOTE) \"\" *").select.remote);
    }

    #[test]
    fn threat_13_patterns_are_bounded() {
        let max = Limits::AFTER_LOGIN.list_pattern_bytes_max;
        listed(&format!("LIST \"\" \"{}\"", "*".repeat(max)));
        reject(&format!("LIST \"\" ^\"{}\"", "*".repeat(max + 1)));
        reject(&format!("LIST ^{} *", "x".repeat(max + 1)));
        reject(&format!("LSUB ^{} *", "x".repeat(max + 1)));
        let max = Limits::AFTER_LOGIN.list_patterns_max;
        listed(&format!("LIST \"\" ({})", vec!["a"; max].join(" ")));
        reject(&format!("LIST \"\" ({} ^a)", vec!["a"; max].join(" ")));
    }
}
