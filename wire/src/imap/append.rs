//! APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502), with literal8 (RFC 3516 §4.4, RFC 9755 §4
//! `UTF8 (…)`).
//!
//! Messages are streamed: the grammar reads what stands before a message's literal, and the
//! connection pumps the literal's bytes to the store.

use mail::date::DateTime;

use super::mailbox::WireName;

/// APPEND's mailbox; its messages follow one by one, each introduced by an [`AppendMessage`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Append {
    /// Where to.
    pub mailbox: WireName,
    /// What stands before the first message's bytes.
    pub first: AppendMessage,
}

/// What stands before the bytes of one message of APPEND.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppendMessage {
    /// The flags it gets; `\Recent` is refused by the grammar.
    pub flags: mail::flag::Flags,
    /// Its INTERNALDATE; now if absent.
    pub internal_date: Option<DateTime>,
    /// The announced size, bytes.
    pub size: u64,
    /// How the literal was announced.
    pub literal: LiteralForm,
    /// Which bytes may stand in it.
    pub data: AppendData,
}

/// Whether the client waits before it sends a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LiteralForm {
    /// `{n}`: it waits for `+`.
    Synchronizing,
    /// `{n+}`: the bytes are on their way (RFC 7888).
    NonSynchronizing,
}

/// What an APPEND literal may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppendData {
    /// A literal: no NUL.
    Text,
    /// A literal8, `~{n}`: any byte (RFC 9051 §4.3 `literal8`).
    Binary,
    /// `UTF8 (~{n}…)`: a message with UTF-8 headers (RFC 9755 §4); closed by `)`.
    Utf8,
}
