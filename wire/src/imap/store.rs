//! STORE (RFC 9051 §6.4.6), EXPUNGE and UID EXPUNGE (§6.4.3, §6.4.9).
//!
//! ```text
//! C: a1 STORE 2:4 +FLAGS.SILENT (\Deleted $Junk)
//! C: a2 UID EXPUNGE 3000:3002
//! ```

use mail::flag::{FlagChange, Flags, Keyword, SystemFlags, is_atom_byte};

use super::{
    command::{Command, Selected},
    sequence::{self, Messages, Numbers},
};
use crate::cursor::{Cursor, Parsed, Refusal, Stop};

/// STORE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    /// Which messages.
    pub messages: Messages,
    /// Replace, add or remove.
    pub change: FlagChange,
    /// Whether the client wants to be told the result.
    pub answer: Answer,
    /// Which flags.
    pub flags: Flags,
}

/// Whether STORE's result is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// `FLAGS`
    Tell,
    /// `FLAGS.SILENT`
    Silent,
}

pub(super) const fn expunge(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Selected(Selected::Expunge(None)))
}

/// ```abnf
/// uid-expunge = "EXPUNGE" SP sequence-set
/// ```
pub(super) fn uid_expunge(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    let uids = sequence::set_or_saved(c)?;
    Ok(Command::Selected(Selected::Expunge(Some(uids))))
}

/// ```abnf
/// store = "STORE" SP sequence-set SP store-att-flags
/// ```
pub(super) fn store(c: &mut Cursor<'_>) -> Parsed<Command> {
    change(c, Numbers::Seq)
}

pub(super) fn uid_store(c: &mut Cursor<'_>) -> Parsed<Command> {
    change(c, Numbers::Uid)
}

/// ```abnf
/// store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))
/// ```
fn change(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Command> {
    let messages = sequence::messages(c, numbers)?;
    c.sp()?;
    let change = if c.eat(b'+') {
        FlagChange::Add
    } else if c.eat(b'-') {
        FlagChange::Remove
    } else {
        FlagChange::Replace
    };
    let start = c.at();
    let answer = match c.name("FLAGS")?.as_str() {
        "FLAGS" => Answer::Tell,
        "FLAGS.SILENT" => Answer::Silent,
        _ => return c.fail_at(start, "FLAGS or FLAGS.SILENT"),
    };
    c.sp()?;
    let flags = if c.peek() == Some(b'(') {
        flag_list(c)?
    } else {
        flags_without_list(c)?
    };
    Ok(Command::Selected(Selected::Store(Store {
        messages,
        change,
        answer,
        flags,
    })))
}

/// ```abnf
/// flag-list = "(" [flag *(SP flag)] ")"
/// ```
pub(super) fn flag_list(c: &mut Cursor<'_>) -> Parsed<Flags> {
    let mut named = Named::default();
    c.list_or_empty(|c| named.flag(c))?;
    named.flags()
}

fn flags_without_list(c: &mut Cursor<'_>) -> Parsed<Flags> {
    let mut named = Named::default();
    loop {
        named.flag(c)?;
        if !c.eat(b' ') {
            return named.flags();
        }
    }
}

/// The flags named so far.
#[derive(Default)]
struct Named {
    system: SystemFlags,
    keywords: Vec<Keyword>,
    over_limit: bool,
}

impl Named {
    /// ```abnf
    /// flag         = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" /
    ///                flag-keyword / flag-extension
    /// flag-keyword = atom
    /// ```
    ///
    /// A flag-extension would be a system flag this server does not have; `\Recent` cannot be set
    /// (RFC 3501 §2.3.2).
    fn flag(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if c.peek() == Some(b'\\') {
            self.system = self.system.with(system_flag(c)?);
            return Ok(());
        }
        match Keyword::new(c.atom("a flag")?) {
            Some(keyword) if self.keywords.len() < c.limits().keywords_max => {
                self.keywords.push(keyword);
            }
            _ => self.over_limit = true,
        }
        Ok(())
    }

    fn flags(self) -> Parsed<Flags> {
        if self.over_limit {
            return Err(Stop::Refused(Refusal::Keywords));
        }
        Ok(Flags::new(self.system, self.keywords))
    }
}

fn system_flag(c: &mut Cursor<'_>) -> Parsed<SystemFlags> {
    let start = c.at();
    let name = c.take_while(|byte| byte == b'\\' || is_atom_byte(byte));
    match std::str::from_utf8(name).ok().and_then(SystemFlags::named) {
        Some(flag) => Ok(flag),
        None => c.fail_at(start, "a system flag that can be set"),
    }
}
