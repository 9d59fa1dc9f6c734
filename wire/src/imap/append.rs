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
    let append = arguments(c)?;
    Ok(Command::Authenticated(Authenticated::Append(append)))
}

/// ```abnf
/// SP mailbox append-message
/// ```
pub(super) fn arguments(c: &mut Cursor<'_>) -> Parsed<Append> {
    let mailbox = mailbox::argument(c)?;
    let first = message(c)?;
    Ok(Append { mailbox, first })
}

/// ```abnf
/// append-message = [SP flag-list] [SP date-time] SP append-data
/// append-data    = literal / literal8 / "UTF8" SP "(" literal8 ")"
/// ```
///
/// RFC 4466 §3, RFC 6855 §4.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cursor::Refusal,
        frame::Frame,
        imap::fixture::{accept, frame, reject},
    };

    fn appended(rest: &str) -> Append {
        match accept(rest) {
            Command::Authenticated(Authenticated::Append(append)) => append,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stands_before_the_message() {
        let append = appended("APPEND Sent (\\Seen x) \"05-Jan-2026 10:00:00 +0100\" {310}\r\n");
        assert_eq!(append.mailbox, WireName(b"Sent".to_vec()));
        assert_eq!(
            (append.first.size, append.first.literal),
            (310, LiteralForm::Synchronizing)
        );
        assert_eq!(append.first.data, AppendData::Text);
        assert_eq!(append.first.flags.keywords().len(), 1);
        let date = append.first.internal_date.unwrap();
        assert_eq!((date.secs, date.offset_minutes), (1_767_603_600, 60));

        let append = appended("append {4}\r\nSent ~{310+}\r\n");
        assert_eq!(append.mailbox, WireName(b"Sent".to_vec()));
        assert_eq!(append.first.literal, LiteralForm::NonSynchronizing);
        assert_eq!(append.first.data, AppendData::Binary);
        assert_eq!(append.first.internal_date, None);

        let append = appended("APPEND \"\" () UTF8 (~{007}\r\n");
        assert_eq!(
            (append.first.data, append.first.size),
            (AppendData::Utf8, 7)
        );
        assert!(append.first.flags.is_empty());
        assert_eq!(appended("APPEND a {0}\r\n").first.size, 0);
    }

    #[test]
    fn rejects() {
        reject("APPEND^");
        reject("APPEND Sent^");
        reject("APPEND Sent ^");
        reject("APPEND Sent ^x");
        reject("APPEND Sent (^\\Recent) {1+}\r\nx");
        reject("APPEND Sent (\\Seen)^{1+}\r\nx");
        reject("APPEND Sent () ^ {1+}\r\nx");
        reject("APPEND Sent UTF8 (^{1+}\r\nx)");
        reject("APPEND Sent ^UTF8 ~{1+}\r\nx");
        reject("APPEND Sent {^}");
        reject("APPEND Sent {^-1}");
        reject("APPEND Sent {1^-}");
        reject("APPEND Sent {^9223372036854775808+}");
        reject("APPEND Sent {^18446744073709551616}");
        reject("APPEND Sent \"05-Jan-2026 10:00:00 +0100\" ^() {1+}\r\nx");
        reject("APPEND Sent \"05-Jan-2026 10:00:00 +0100\"^");
    }

    #[test]
    fn dates() {
        for good in [
            " 1-Feb-2026 00:00:00 +0000",
            "29-feb-2024 23:59:60 -2359",
            "31-DEC-9999 00:00:00 -0000",
            "01-Jan-0000 00:00:00 +0000",
        ] {
            appended(&format!("APPEND a \"{good}\" {{1}}\r\n"));
        }
        for bad in [
            "^1-Feb-2026 00:00:00 +0000",
            "^30-Feb-2026 00:00:00 +0000",
            "^00-Feb-2026 00:00:00 +0000",
            "01-^Foo-2026 00:00:00 +0000",
            "01-Feb-^26 00:00:00 +0000",
            "01-Feb-2026 ^24:00:00 +0000",
            "01-Feb-2026 00:^60:00 +0000",
            "01-Feb-2026 00:00:^61 +0000",
            "01-Feb-2026 00:00:00 ^GMT",
            "01-Feb-2026 00:00:00 +01^60",
            "01-Feb-2026 00:00:00^",
            "01-Feb-2026 00:00:00 +^2400",
            "01-Feb-2026 00:00:00 +0000^0",
            "^",
        ] {
            reject(&format!("APPEND a \"{bad}\" {{1+}}\r\nx"));
        }
    }

    #[test]
    fn a_keyword_over_the_limit_is_refused_and_its_message_skipped() {
        let rest = format!("APPEND a ({}) {{8+}}\r\nb NOOP\r\n", "k".repeat(65));
        match frame(rest.as_bytes()) {
            Frame::Refused(_, property, Refusal::Keywords) => assert_eq!(property.name, "APPEND"),
            other => panic!("{other:?}"),
        }
    }
}
