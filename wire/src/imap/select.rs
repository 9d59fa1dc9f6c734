//! ENABLE, SELECT and EXAMINE (RFC 9051 §6.3.1 to §6.3.3).

use super::mailbox::WireName;

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
