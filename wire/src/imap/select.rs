//! ENABLE, SELECT and EXAMINE (RFC 9051 §6.3.1 to §6.3.3; RFC 7162 §3.1.8 and §3.2.5 for their
//! parameters), CLOSE and UNSELECT (RFC 9051 §6.4.1, §6.4.2).
//!
//! ```text
//! C: a1 ENABLE IMAP4rev2
//! C: a2 SELECT "Sent Messages" (CONDSTORE)
//! C: a3 CLOSE
//! ```

use mail::{
    id::{ModSeq, Uid, UidValidity},
    set::{Set, UidSet},
};

use super::{
    command::{Authenticated, Command, Selected},
    mailbox::{self, WireName},
    modifier,
    sequence::{self, Seq},
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
    /// `CONDSTORE` (RFC 7162 §3.1)
    CondStore,
    /// `QRESYNC` (RFC 7162 §3.2.3)
    QResync,
    /// `UIDONLY` (RFC 9586 §3.1)
    UidOnly,
}

impl Enableable {
    /// Every one with its name.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::Imap4Rev2, "IMAP4rev2"),
        (Self::Utf8Accept, "UTF8=ACCEPT"),
        (Self::CondStore, "CONDSTORE"),
        (Self::QResync, "QRESYNC"),
        (Self::UidOnly, "UIDONLY"),
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
    /// What stands in parentheses behind the mailbox.
    pub parameters: SelectParameters,
}

/// Parameters of SELECT and EXAMINE.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SelectParameters {
    /// `CONDSTORE` (RFC 7162 §3.1.8)
    pub condstore: bool,
    /// `QRESYNC (…)` (RFC 7162 §3.2.5)
    pub qresync: Option<QResync>,
}

/// What a client knows of a mailbox from before.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QResync {
    /// The UIDVALIDITY it knew.
    pub uid_validity: UidValidity,
    /// The HIGHESTMODSEQ it knew.
    pub mod_seq: ModSeq,
    /// The messages it knew; all below UIDNEXT if absent.
    pub known_uids: Option<UidSet>,
    /// A sample of sequence numbers and the UIDs they had, as many of both (RFC 7162 §3.2.5.2).
    pub matches: Option<(Set<Seq>, UidSet)>,
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
/// select = "SELECT" SP mailbox [select-params]
/// ```
pub(super) fn select(c: &mut Cursor<'_>) -> Parsed<Command> {
    open(c, Access::ReadWrite)
}

/// ```abnf
/// examine = "EXAMINE" SP mailbox [select-params]
/// ```
pub(super) fn examine(c: &mut Cursor<'_>) -> Parsed<Command> {
    open(c, Access::ReadOnly)
}

fn open(c: &mut Cursor<'_>, access: Access) -> Parsed<Command> {
    let mailbox = mailbox::argument(c)?;
    let mut parameters = SelectParameters::default();
    modifier::trailing(c, |c, name| {
        Some(match name {
            "CONDSTORE" => {
                parameters.condstore = true;
                Ok(())
            }
            "QRESYNC" => c
                .sp()
                .and_then(|()| qresync(c))
                .map(|known| parameters.qresync = Some(known)),
            _ => return None,
        })
    })?;
    let select = Select {
        mailbox,
        access,
        parameters,
    };
    Ok(Command::Authenticated(Authenticated::Select(select)))
}

/// ```abnf
/// select-param   =/ "QRESYNC" SP "(" uidvalidity SP mod-sequence-value
///                   [SP known-uids] [SP seq-match-data] ")"
/// seq-match-data = "(" known-sequence-set SP known-uid-set ")"
/// ```
fn qresync(c: &mut Cursor<'_>) -> Parsed<QResync> {
    c.byte(b'(', "what is known, in parentheses")?;
    let start = c.at();
    let Some(uid_validity) = UidValidity::new(c.nz_number()?) else {
        return c.fail_at(start, "a UIDVALIDITY");
    };
    c.sp()?;
    let mod_seq = modifier::since(c)?;
    let mut known_uids = None;
    if c.is_next(b" ") && !c.is_next(b" (") {
        c.sp()?;
        known_uids = Some(sequence::numbers::<Uid>(c)?.into_iter().collect());
    }
    let mut matches = None;
    if c.eat(b' ') {
        matches = Some(matched(c)?);
    }
    c.byte(b')', "the end of what is known")?;
    Ok(QResync {
        uid_validity,
        mod_seq,
        known_uids,
        matches,
    })
}

/// Both sets ascend and name as many, so that the first of one belongs to the first of the other
/// (RFC 7162 §3.2.5.2).
fn matched(c: &mut Cursor<'_>) -> Parsed<(Set<Seq>, UidSet)> {
    c.byte(b'(', "message numbers and UIDs in parentheses")?;
    let seqs = sequence::ascending(c)?;
    c.sp()?;
    let start = c.at();
    let uids: UidSet = sequence::ascending(c)?;
    if seqs.count() != uids.count() {
        return c.fail_at(start, "as many UIDs as message numbers");
    }
    c.byte(b')', "the end of the UIDs")?;
    Ok((seqs, uids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    #[test]
    fn opens() {
        let select = |mailbox: &str, access| {
            Command::Authenticated(Authenticated::Select(Select {
                mailbox: WireName(mailbox.into()),
                access,
                parameters: SelectParameters::default(),
            }))
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
        reject("SELECT inbox^ CONDSTORE");
        reject("SELECT ^%");
        reject("SELECT Entw^\u{fc}rfe");
        reject("SELECT ~^{5+}\r\ninbox");
    }

    fn parameters(written: &str) -> SelectParameters {
        match accept(&format!("EXAMINE inbox {written}")) {
            Command::Authenticated(Authenticated::Select(select)) => select.parameters,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn parameters_follow_the_mailbox() {
        let condstore = parameters("(condstore)");
        assert!(condstore.condstore && condstore.qresync.is_none());
        let known = parameters("(QRESYNC (7 9) CONDSTORE)").qresync.unwrap();
        assert_eq!((known.uid_validity.get(), known.mod_seq.get()), (7, 9));
        assert_eq!((known.known_uids, known.matches), (None, None));
        incomplete("SELECT inbox (QRESYNC (7 9 1:5 (1 2)))");
        reject("SELECT inbox (^)");
        reject("SELECT inbox (^X)");
        reject("SELECT inbox (CONDSTORE ^CONDSTORE)");
        reject("SELECT inbox (CONDSTORE)^ (CONDSTORE)");
        reject("SELECT inbox (CONDSTORE^");
    }

    #[test]
    fn what_a_client_knows() {
        let known = |rest: &str| {
            parameters(&format!("(QRESYNC (7 9{rest}))"))
                .qresync
                .unwrap()
        };
        let uids = |rest: &str| known(rest).known_uids.unwrap().to_string();
        assert_eq!(uids(" 41,43:211,214:541"), "41,43:211,214:541");
        assert_eq!(uids(" 9,1:3 (1 5)"), "1:3,9");
        let matches = |rest: &str| {
            let (seqs, uids) = known(rest).matches.unwrap();
            format!("{seqs} {uids}")
        };
        assert_eq!(matches(" (1,3:5 2,9:11)"), "1,3:5 2,9:11");
        assert_eq!(matches(" 1:99 (1,2,3 7:9)"), "1:3 7:9");
        reject("SELECT inbox (QRESYNC^)");
        reject("SELECT inbox (QRESYNC ^7)");
        reject("SELECT inbox (QRESYNC (^0 9))");
        reject("SELECT inbox (QRESYNC (7^))");
        reject("SELECT inbox (QRESYNC (7 ^9223372036854775808))");
        reject("SELECT inbox (QRESYNC (7 9 1:^*))");
        reject("SELECT inbox (QRESYNC (7 9 ^$))");
        reject("SELECT inbox (QRESYNC (7 9 (^1,2,2 1,2,3)))");
        reject("SELECT inbox (QRESYNC (7 9 (1,2 ^1)))");
        reject("SELECT inbox (QRESYNC (7 9 (1:2 ^5:3)))");
        reject("SELECT inbox (QRESYNC (7 9 (1^)))");
        reject("SELECT inbox (QRESYNC (7 9 (1 1)^ 1))");
    }

    #[test]
    fn rule_25_unknown_capabilities_are_ignored() {
        let enabled = |rest: &str| match accept(rest) {
            Command::Authenticated(Authenticated::Enable(enable)) => enable.capabilities,
            other => panic!("{other:?}"),
        };
        let (rev2, utf8) = (Enableable::Imap4Rev2, Enableable::Utf8Accept);
        assert_eq!(enabled("ENABLE imap4REV2 X-Y CONDSTORES"), [rev2]);
        assert_eq!(
            enabled("ENABLE qresync Condstore"),
            [Enableable::QResync, Enableable::CondStore]
        );
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
