//! The one table of commands: name, state group, how it names messages, whether EXPUNGE may be
//! sent while it runs, which capability offers it, and where it is specified.
//!
//! CAPABILITY, the support table of the documentation, metric labels and the decision when changes
//! may be told are all computed from it.

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name; a UID form stands with its prefix.
    pub name: &'static str,
    /// The states in which it is allowed.
    pub group: Group,
    /// Whether EXPUNGE may be sent before its tagged response (RFC 9051 §7.5.1).
    pub expunge: Expunge,
    /// The capability that offers it; `None` for the base protocol.
    pub capability: Option<&'static str>,
    /// Where it is specified.
    pub source: &'static str,
}

/// States in which a command is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Any.
    Any,
    /// Not authenticated.
    NotAuthenticated,
    /// Authenticated and selected.
    Authenticated,
    /// Selected.
    Selected,
}

/// Whether untagged EXPUNGE may be sent while a command runs (RFC 9051 §7.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expunge {
    /// It may.
    May,
    /// It must wait: the client is using sequence numbers.
    MustWait,
}
