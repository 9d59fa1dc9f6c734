//! STORE (RFC 9051 §6.4.6).

use mail::flag::{FlagChange, Flags};

use super::sequence::Messages;

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
