//! Object identifiers (RFC 8474): how ids of mailboxes, messages and conversations are written.
//!
//! A letter that says of what it is, so that no two kinds are ever the same (§5.2), and the number in
//! hexadecimal: safe in file names, never only digits, and different in more than case (§8.1).

use mail::id::{BodyId, MailboxId, ThreadId};

use crate::cursor::{Cursor, Parsed};

/// The longest that a client may write (§7), bytes.
const BYTES_MAX: usize = 255;

/// Writes `(F…)` of a mailbox.
pub(crate) fn mailbox(out: &mut Vec<u8>, id: MailboxId) {
    write(out, 'F', id.get());
}

/// Writes `(M…)` of a message's immutable content.
pub(crate) fn email(out: &mut Vec<u8>, id: BodyId) {
    write(out, 'M', id.get());
}

/// Writes `(T…)` of a conversation.
pub(crate) fn thread(out: &mut Vec<u8>, id: ThreadId) {
    write(out, 'T', id.get());
}

fn write(out: &mut Vec<u8>, kind: char, number: u64) {
    out.extend_from_slice(format!("({kind}{number:x})").as_bytes());
}

/// Reads the id of a message's content; `None` if no message can have it.
pub(super) fn read_email(c: &mut Cursor<'_>) -> Parsed<Option<BodyId>> {
    Ok(read(c, 'M')?.and_then(BodyId::new))
}

/// Reads the id of a conversation; `None` if no message can have it.
pub(super) fn read_thread(c: &mut Cursor<'_>) -> Parsed<Option<ThreadId>> {
    Ok(read(c, 'T')?.and_then(ThreadId::new))
}

/// ```abnf
/// objectid = 1*255(ALPHA / DIGIT / "_" / "-")
/// ```
///
/// Ids are compared exactly, so one in another spelling than ours is nobody's.
fn read(c: &mut Cursor<'_>, kind: char) -> Parsed<Option<u64>> {
    let start = c.at();
    let bytes = c.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if bytes.is_empty() || bytes.len() > BYTES_MAX {
        return c.fail_at(start, "an object identifier");
    }
    let text = str::from_utf8(bytes).unwrap_or_default();
    let number = text.strip_prefix(kind);
    let number = number.and_then(|hex| u64::from_str_radix(hex, 16).ok());
    Ok(number.filter(|number| format!("{kind}{number:x}") == text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cursor::Extent, limits::Limits};

    fn read_as(kind: char, text: &str) -> Option<Option<u64>> {
        let limits = Limits::AFTER_LOGIN;
        read(
            &mut Cursor::new(text.as_bytes(), Extent::Whole, &limits),
            kind,
        )
        .ok()
    }

    #[test]
    fn what_is_written_is_read() {
        for number in [1, 10, 0xdead_beef, u64::MAX] {
            let mut out = Vec::new();
            write(&mut out, 'M', number);
            let text = String::from_utf8(out).unwrap();
            let inner = text.strip_prefix('(').unwrap().strip_suffix(')').unwrap();
            assert_eq!(read_as('M', inner), Some(Some(number)));
            assert_eq!(read_as('T', inner), Some(None));
        }
    }

    #[test]
    fn another_spelling_is_nobodys() {
        for text in [
            "M0a",
            "MA",
            "m1",
            "M",
            "M+1",
            "M_1",
            "Mx",
            "1",
            "M10000000000000000",
        ] {
            assert!(matches!(read_as('M', text), Some(None)), "{text}");
        }
        assert_eq!(read_as('M', ""), None);
        assert_eq!(read_as('M', "(M1)"), None);
        assert_eq!(read_as('M', &"M".repeat(255)), Some(None));
        assert_eq!(read_as('M', &"M".repeat(256)), None);
    }
}
