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

/// LSUB's arguments.
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
    let reference = mailbox::argument(c)?;
    c.sp()?;
    let pattern = pattern(c)?;
    let lsub = Lsub { reference, pattern };
    Ok(Command::Authenticated(Authenticated::Lsub(lsub)))
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
    let reference = mailbox::name(c)?;
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
/// SPECIAL-USE is a base option (RFC 6154 §6). RECURSIVEMATCH without a base option is BAD
/// (RFC 9051 §6.3.9.1).
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
