//! REPLACE and UID REPLACE (RFC 8508): a message takes the place of another at once. Like that of
//! APPEND it is streamed; what stands before it is grammar.
//!
//! ```text
//! C: a1 REPLACE 4 Drafts (\Seen \Draft) {312+}
//! ```

use mail::id::Uid;

use super::{
    append::{self, Append},
    command::{Command, Selected},
    sequence::{self, Messages, Numbers},
    table::{self, Property},
};
use crate::cursor::{Cursor, Parsed};

/// REPLACE, as far as its message's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replace {
    /// The one message that goes.
    pub message: Messages,
    /// Where to the new one comes, and what it is.
    pub append: Append,
}

impl Replace {
    /// The row of its form.
    #[must_use]
    pub const fn property(&self) -> &'static Property {
        match self.message.numbers() {
            Numbers::Seq => &table::REPLACE,
            Numbers::Uid => &table::UID_REPLACE,
        }
    }
}

/// ```abnf
/// replace = "REPLACE" SP seq-number SP mailbox append-message
/// ```
///
/// RFC 8508 §5.
pub(super) fn replace(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Seq)
}

/// ```abnf
/// uid =/ "UID" SP replace
/// ```
pub(super) fn uid_replace(c: &mut Cursor<'_>) -> Parsed<Command> {
    of(c, Numbers::Uid)
}

fn of(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Command> {
    c.sp()?;
    let message = match numbers {
        Numbers::Seq => Messages::Seq(sequence::only(c)?),
        Numbers::Uid => Messages::Uid(sequence::only::<Uid>(c)?),
    };
    let append = append::arguments(c)?;
    Ok(Command::Selected(Selected::Replace(Replace {
        message,
        append,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cursor::Refusal,
        frame::Frame,
        imap::{
            append::LiteralForm,
            fixture::{accept, frame, reject},
            mailbox::WireName,
        },
    };

    fn replaced(rest: &str) -> Replace {
        match accept(rest) {
            Command::Selected(Selected::Replace(replace)) => replace,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_stands_before_the_message() {
        let replace = replaced("REPLACE 4 Drafts (\\Seen \\Draft) {312}\r\n");
        assert_eq!(replace.message.numbers(), Numbers::Seq);
        assert_eq!(replace.append.mailbox, WireName(b"Drafts".to_vec()));
        assert_eq!(replace.append.first.size, 312);
        let replace =
            replaced("uid replace * {6}\r\nDrafts \"05-Jan-2026 10:00:00 +0100\" {1+}\r\n");
        assert_eq!(replace.message.numbers(), Numbers::Uid);
        assert_eq!(replace.append.first.literal, LiteralForm::NonSynchronizing);
    }

    /// Dovecot once crashed on the first of these (threat 19).
    #[test]
    fn threat_19_what_is_no_message_number() {
        for command in ["REPLACE", "UID REPLACE"] {
            reject(&format!("{command}^"));
            reject(&format!("{command} ^0 Drafts {{1+}}\r\nx"));
            reject(&format!("{command} ^$ Drafts {{1+}}\r\nx"));
            reject(&format!("{command} 1^:2 Drafts {{1+}}\r\nx"));
            reject(&format!("{command} 1^,2 Drafts {{1+}}\r\nx"));
            reject(&format!("{command} ^-1 Drafts {{1+}}\r\nx"));
            reject(&format!("{command} ^4294967296 Drafts {{1+}}\r\nx"));
            reject(&format!("{command} 1^"));
            reject(&format!("{command} 1 ^"));
            reject(&format!("{command} 1 Drafts^"));
            reject(&format!("{command} 1 Drafts ^x"));
            reject(&format!("{command} 1 Drafts (^\\Recent) {{1+}}\r\nx"));
        }
    }

    #[test]
    fn a_keyword_over_the_limit_is_refused_and_its_message_skipped() {
        let rest = format!("REPLACE 1 a ({}) {{8+}}\r\nb NOOP\r\n", "k".repeat(65));
        match frame(rest.as_bytes()) {
            Frame::Refused(_, property, Refusal::Keywords) => assert_eq!(property.name, "REPLACE"),
            other => panic!("{other:?}"),
        }
    }
}
