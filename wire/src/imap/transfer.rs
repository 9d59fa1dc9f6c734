//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use super::{mailbox::WireName, sequence::Messages};

/// COPY's or MOVE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Which messages.
    pub messages: Messages,
    /// Where to.
    pub mailbox: WireName,
}
