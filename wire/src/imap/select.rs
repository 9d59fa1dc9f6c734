//! ENABLE, SELECT and EXAMINE (RFC 9051 §6.3.1 to §6.3.3), CLOSE and UNSELECT (§6.4.1, §6.4.2).
//!
//! ```text
//! C: a1 ENABLE IMAP4rev2
//! C: a2 SELECT "Sent Messages"
//! C: a3 CLOSE
//! ```

use super::{
    command::{Authenticated, Command, Selected},
    mailbox::{self, WireName},
};
use crate::cursor::{Cursor, Parsed};

/// ENABLE's arguments: the names it knows, and nothing of those it does not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Enable {
    /// Asked for, in the client's order, each once.
    pub capabilities: Vec<Enableable>,
}

/// A capability that ENABLE can switch on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Enableable {
    /// `IMAP4rev2`
    Imap4Rev2,
    /// `UTF8=ACCEPT` (RFC 9755)
    Utf8Accept,
}

impl Enableable {
    /// Every one with its name.
    pub const NAMES: [(Self, &'static str); 2] = [
        (Self::Imap4Rev2, "IMAP4rev2"),
        (Self::Utf8Accept, "UTF8=ACCEPT"),
    ];

    /// The one with this name in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| n.eq_ignore_ascii_case(name))
            .map(|(known, _)| *known)
    }
}

/// How a mailbox is opened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// SELECT
    ReadWrite,
    /// EXAMINE
    ReadOnly,
}

/// SELECT's or EXAMINE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Select {
    /// Which mailbox.
    pub mailbox: WireName,
    /// How.
    pub access: Access,
}

pub(super) const fn close(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Selected(Selected::Close))
}

pub(super) const fn unselect(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Selected(Selected::Unselect))
}

/// ```abnf
/// enable     = "ENABLE" 1*(SP capability)
/// capability = ("AUTH=" auth-type) / atom
/// ```
pub(super) fn enable(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mut capabilities = Vec::new();
    c.sp()?;
    loop {
        // Names it does not know are ignored (RFC 9051 §6.3.1).
        if let Some(known) = Enableable::named(c.atom("a capability")?)
            && !capabilities.contains(&known)
        {
            capabilities.push(known);
        }
        if !c.eat(b' ') {
            break;
        }
    }
    let enable = Enable { capabilities };
    Ok(Command::Authenticated(Authenticated::Enable(enable)))
}

/// ```abnf
/// select = "SELECT" SP mailbox
/// ```
pub(super) fn select(c: &mut Cursor<'_>) -> Parsed<Command> {
    open(c, Access::ReadWrite)
}

/// ```abnf
/// examine = "EXAMINE" SP mailbox
/// ```
pub(super) fn examine(c: &mut Cursor<'_>) -> Parsed<Command> {
    open(c, Access::ReadOnly)
}

fn open(c: &mut Cursor<'_>, access: Access) -> Parsed<Command> {
    let mailbox = mailbox::argument(c)?;
    let select = Select { mailbox, access };
    Ok(Command::Authenticated(Authenticated::Select(select)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    #[test]
    fn opens() {
        let select = |mailbox: &str, access| {
            let mailbox = WireName(mailbox.into());
            Command::Authenticated(Authenticated::Select(Select { mailbox, access }))
        };
        assert_eq!(accept("SELECT inbox"), select("inbox", Access::ReadWrite));
        assert_eq!(
            accept("examine \"Sent Mail\""),
            select("Sent Mail", Access::ReadOnly)
        );
        assert_eq!(accept("SELECT {0+}\r\n"), select("", Access::ReadWrite));
        assert_eq!(
            accept("SELECT \"Entw\u{fc}rfe\""),
            select("Entw\u{fc}rfe", Access::ReadWrite)
        );
        incomplete("SELECT {5}\r\nInbox");
        reject("SELECT^");
        reject("SELECT ^");
        reject("SELECT ^ inbox");
        reject("SELECT inbox^ (CONDSTORE)");
        reject("SELECT ^%");
        reject("SELECT Entw^\u{fc}rfe");
        reject("SELECT ~^{5+}\r\ninbox");
    }

    #[test]
    fn rule_25_unknown_capabilities_are_ignored() {
        let enabled = |rest: &str| match accept(rest) {
            Command::Authenticated(Authenticated::Enable(enable)) => enable.capabilities,
            other => panic!("{other:?}"),
        };
        let (rev2, utf8) = (Enableable::Imap4Rev2, Enableable::Utf8Accept);
        assert_eq!(enabled("ENABLE imap4REV2 X-Y CONDSTORE"), [rev2]);
        assert_eq!(
            enabled("ENABLE UTF8=ACCEPT IMAP4rev2 utf8=accept"),
            [utf8, rev2]
        );
        assert_eq!(enabled("ENABLE X"), []);
        reject("ENABLE^");
        reject("ENABLE ^");
        reject("ENABLE X ^");
        reject("ENABLE ^\"IMAP4rev2\"");
    }
}
