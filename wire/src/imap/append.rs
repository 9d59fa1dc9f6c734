//! APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502), with literal8 (RFC 3516 §4.4, RFC 9755 §4
//! `UTF8 (…)`).
//!
//! Messages are streamed: the grammar reads what stands before a message's literal, and the
//! connection pumps the literal's bytes to the store.

//!
//! ```text
//! C: a1 APPEND Sent (\Seen) "05-Jan-2026 10:00:00 +0100" {310+}
//! ```

use mail::{date::DateTime, flag::Flags};

use super::{
    command::{Authenticated, Command},
    mailbox::{self, WireName},
    store::flag_list,
};
use crate::{
    cursor::{Cursor, Parsed},
    date,
};

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
    pub flags: Flags,
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

/// ```abnf
/// append = "APPEND" SP mailbox 1*append-message
/// ```
///
/// RFC 3502; read as far as the first message's bytes.
pub(super) fn append(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = mailbox::argument(c)?;
    let first = message(c)?;
    let append = Append { mailbox, first };
    Ok(Command::Authenticated(Authenticated::Append(append)))
}

/// ```abnf
/// append-message = [SP flag-list] [SP date-time] SP append-data
/// append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")"
/// ```
///
/// RFC 4466 §6, RFC 6855 §4.
pub(crate) fn message(c: &mut Cursor<'_>) -> Parsed<AppendMessage> {
    let mut flags = Flags::default();
    let mut internal_date = None;
    c.sp()?;
    if c.peek() == Some(b'(') {
        flags = flag_list(c)?;
        c.sp()?;
    }
    if c.peek() == Some(b'"') {
        internal_date = Some(date::date_time(c)?);
        c.sp()?;
    }
    let utf8 = c.eat_text("UTF8 (");
    let start = c.at();
    let announced = c.announced()?;
    let data = match (utf8, announced.binary) {
        (true, true) => AppendData::Utf8,
        (true, false) => return c.fail_at(start, "a literal8"),
        (false, true) => AppendData::Binary,
        (false, false) => AppendData::Text,
    };
    if !c.is_at_literal() {
        return c.fail("a message");
    }
    Ok(AppendMessage {
        flags,
        internal_date,
        size: announced.size,
        literal: if announced.waits {
            LiteralForm::Synchronizing
        } else {
            LiteralForm::NonSynchronizing
        },
        data,
    })
}
