//! SEARCH (RFC 9051 §6.4.4, RFC 4731, RFC 5182; RFC 3501 §6.4.4 for its plain answer).

use mail::{id::Uid, predicate::Predicate};

use super::sequence::{Numbers, Seq, SetOrSaved};

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
