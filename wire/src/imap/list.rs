//! LIST with all of its extensions, and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154;
//! RFC 3501 §6.3.9).

use super::{mailbox::WireName, status::StatusItem};

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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent option of RFC 9051 §6.3.9.2"
)]
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
