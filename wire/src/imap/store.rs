//! STORE (RFC 9051 §6.4.6; RFC 7162 §3.1.3 for UNCHANGEDSINCE), EXPUNGE and UID EXPUNGE
//! (RFC 9051 §6.4.3, §6.4.9).
//!
//! ```text
//! C: a1 STORE 2:4 +FLAGS.SILENT (\Deleted $Junk)
//! C: a1 STORE 2:4 (UNCHANGEDSINCE 12345) +FLAGS (\Seen)
//! C: a2 UID EXPUNGE 3000:3002
//! ```

use mail::flag::{FlagChange, Flags, Keyword, SystemFlags, UnchangedSince, is_atom_byte};

use super::{
    command::{Command, Selected},
    modifier,
    sequence::{self, Messages, Numbers},
};
use crate::cursor::{Cursor, Parsed, Refusal, Stop};

/// STORE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Store {
    /// Which messages.
    pub messages: Messages,
    /// UNCHANGEDSINCE: other messages are left as they are.
    pub unchanged_since: Option<UnchangedSince>,
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
/// store          = "STORE" SP sequence-set [store-modifiers] SP store-att-flags
/// store-modifier =/ "UNCHANGEDSINCE" SP mod-sequence-valzer
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
    let mut unchanged_since = None;
    modifier::trailing(c, |c, name| {
        (name == "UNCHANGEDSINCE").then(|| {
            c.sp()?;
            let since = modifier::mod_seq_or_zero(c)?;
            unchanged_since = Some(since.map_or(UnchangedSince::Never, UnchangedSince::ModSeq));
            Ok(())
        })
    })?;
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
        unchanged_since,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cursor::Refusal,
        frame::Frame,
        imap::fixture::{accept, frame, incomplete, reject},
        limits::Limits,
    };

    fn stored(rest: &str) -> Store {
        match accept(rest) {
            Command::Selected(Selected::Store(store)) => store,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn store_forms() {
        let store = stored("STORE 1 +flags.silent (\\Deleted \\SEEN $Junk work)");
        assert_eq!(
            (store.change, store.answer),
            (FlagChange::Add, Answer::Silent)
        );
        assert_eq!(
            store.flags.system,
            SystemFlags::DELETED.with(SystemFlags::SEEN)
        );
        assert_eq!(store.flags.keywords().len(), 2);
        let store = stored("UID STORE 1:* -FLAGS \\Answered a A");
        assert_eq!(
            (store.change, store.answer),
            (FlagChange::Remove, Answer::Tell)
        );
        assert_eq!(store.flags.keywords().len(), 1);
        assert!(stored("STORE $ FLAGS ()").flags.is_empty());
        incomplete("STORE 1 FLAGS (\\Deleted)");
        reject("STORE^");
        reject("STORE 1^");
        reject("STORE 1 ^");
        reject("STORE 1 ^FLAG (x)");
        reject("STORE 1 +^-FLAGS (x)");
        reject("STORE 1 FLAGS^");
        reject("STORE 1 FLAGS^(x)");
        reject("STORE 1 FLAGS ^");
        reject("STORE 1 FLAGS (x^");
        reject("STORE 1 FLAGS (x ^)");
        reject("STORE 1 FLAGS (x)^ y");
        reject("STORE 1 FLAGS ^\"x\"");
        reject("STORE 1 FLAGS x^(y)");
    }

    #[test]
    fn rule_14_unchangedsince() {
        let since = |rest: &str| stored(rest).unchanged_since;
        assert_eq!(since("STORE 1 FLAGS x"), None);
        assert_eq!(
            since("STORE 1 (unchangedsince 5) FLAGS x"),
            mail::id::ModSeq::new(5).map(UnchangedSince::ModSeq)
        );
        assert_eq!(
            since("UID STORE 1:* (UNCHANGEDSINCE 0) +FLAGS.SILENT (x)"),
            Some(UnchangedSince::Never)
        );
        incomplete("STORE 1 (UNCHANGEDSINCE 5) FLAGS (x)");
        reject("STORE 1 (UNCHANGEDSINCE^) FLAGS x");
        reject("STORE 1 (UNCHANGEDSINCE ^-1) FLAGS x");
        reject("STORE 1 (UNCHANGEDSINCE ^9223372036854775808) FLAGS x");
        reject("STORE 1 (UNCHANGEDSINCE 5 ^UNCHANGEDSINCE 5) FLAGS x");
        reject("STORE 1 (^CHANGEDSINCE 5) FLAGS x");
        reject("STORE 1 (UNCHANGEDSINCE 5)^FLAGS x");
        reject("STORE 1 (^) FLAGS x");
    }

    #[test]
    fn rule_23_recent_and_unknown_system_flags_cannot_be_stored() {
        reject("STORE 1 FLAGS (^\\Recent)");
        reject("STORE 1 FLAGS (\\Seen ^\\Foo)");
        reject("STORE 1 FLAGS ^\\");
        reject("STORE 1 FLAGS ^\\*");
    }

    #[test]
    fn keywords_over_the_limits_are_refused_not_bad() {
        stored(&format!("STORE 1 FLAGS ({})", "k".repeat(64)));
        let many = |count: usize| {
            let keywords: Vec<String> = (0..count).map(|n| format!("k{n}")).collect();
            format!("STORE 1 FLAGS ({})", keywords.join(" "))
        };
        let max = Limits::AFTER_LOGIN.keywords_max;
        assert_eq!(stored(&many(max)).flags.keywords().len(), max);
        for over in [format!("STORE 1 FLAGS ({})", "k".repeat(65)), many(max + 1)] {
            match frame(over.as_bytes()) {
                Frame::Refused(_, property, Refusal::Keywords) => {
                    assert_eq!(property.name, "STORE")
                }
                other => panic!("{other:?}"),
            }
        }
        reject("STORE 1 FLAGS (x ^\u{fc})");
    }

    #[test]
    fn expunges() {
        assert_eq!(
            accept("EXPUNGE"),
            Command::Selected(Selected::Expunge(None))
        );
        assert_eq!(accept("UID EXPUNGE 1:3").property().name, "UID EXPUNGE");
        reject("EXPUNGE^ 1");
        reject("UID EXPUNGE^");
        reject("UID EXPUNGE ^");
    }
}
