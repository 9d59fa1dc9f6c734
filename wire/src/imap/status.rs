//! STATUS (RFC 9051 §6.3.11) and NAMESPACE (§6.3.10).

use super::mailbox::WireName;

/// STATUS's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Which mailbox.
    pub mailbox: WireName,
    /// What of it, in the client's order, each once.
    pub items: Vec<StatusItem>,
}

/// What STATUS can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// DELETED
    Deleted,
    /// SIZE (RFC 8438)
    Size,
    /// RECENT (RFC 3501 §6.3.10)
    Recent,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
}
