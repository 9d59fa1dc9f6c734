//! Numbers, strings and sets: the only functions that decide how a value is spelled
//! (RFC 9051 §4.1 to §4.3, §9).
//!
//! CR, LF and NUL never leave inside an atom or a quoted string, whatever the value holds
//! (threat 18).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mail::{flag::is_atom_byte, id::Number, set::Set};

/// A quoted string longer than this is sent as a literal, which clients read without scanning.
const QUOTED_BYTES_MAX: usize = 1_024;

/// What stands for a NUL where none may be sent (RFC 9051 §9: `CHAR8` is 0x01 to 0xff).
pub(crate) const NUL_STAND_IN: u8 = 0x80;

/// Whether a quoted string may hold UTF-8 (RFC 9051 §4.3; RFC 9755 §3 in IMAP4rev1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Quoting {
    /// ASCII only; a string with 8-bit bytes is a literal.
    Ascii,
    /// UTF-8; only what is not UTF-8 is a literal.
    Utf8,
}

/// A value's name, by the table its grammar reads it with.
pub(crate) fn name_of<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    let named = names.iter().find(|(named, _)| *named == value);
    named.map_or("", |(_, name)| name)
}

/// Writes a number in decimal.
pub(crate) fn number(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut rest = value;
    let mut length = 0usize;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' | (rest % 10) as u8;
        rest /= 10;
        length = length.saturating_add(1);
        if rest == 0 {
            break;
        }
    }
    let start = digits.len().saturating_sub(length);
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Writes a number in decimal with at least two digits.
pub(crate) fn two_digits(out: &mut Vec<u8>, value: u8) {
    out.push(b'0' | (value / 10 % 10));
    out.push(b'0' | (value % 10));
}

/// Writes a set of numbers, a range of one as its number alone (RFC 9051 §7.1 APPENDUID).
pub(crate) fn set<N: Number>(out: &mut Vec<u8>, set: &Set<N>) {
    separated(out, b',', set.ranges(), |out, range| {
        number(out, u64::from(range.start().number()));
        if range.start() != range.end() {
            out.push(b':');
            number(out, u64::from(range.end().number()));
        }
    });
}

/// Writes each of `items`, with `separator` between them.
pub(crate) fn separated<T>(
    out: &mut Vec<u8>,
    separator: u8,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    for (at, item) in items.into_iter().enumerate() {
        if at > 0 {
            out.push(separator);
        }
        write(out, item);
    }
}

/// Writes a parenthesised list with spaces between its items.
pub(crate) fn list<T>(
    out: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(b'(');
    separated(out, b' ', items, write);
    out.push(b')');
}

/// `astring`: an atom if every byte allows it, else a string. NIL is quoted, because readers that
/// know less grammar than they should take it for the absence of a value; so is a closing bracket,
/// which they take for the end of a section or code.
pub(crate) fn astring(out: &mut Vec<u8>, bytes: &[u8], quoting: Quoting) {
    let is_atom = !bytes.is_empty()
        && bytes.len() <= QUOTED_BYTES_MAX
        && bytes.iter().copied().all(is_atom_byte)
        && !bytes.eq_ignore_ascii_case(b"NIL");
    if is_atom {
        out.extend_from_slice(bytes);
    } else {
        string(out, bytes, quoting);
    }
}

/// `string`: quoted if every byte allows it, else a literal.
pub(crate) fn string(out: &mut Vec<u8>, bytes: &[u8], quoting: Quoting) {
    if is_quotable(bytes, quoting) {
        quoted(out, bytes);
    } else {
        literal(out, bytes);
    }
}

/// `nstring`: a string, or NIL.
pub(crate) fn nstring(out: &mut Vec<u8>, bytes: Option<&[u8]>, quoting: Quoting) {
    match bytes {
        Some(bytes) => string(out, bytes, quoting),
        None => out.extend_from_slice(b"NIL"),
    }
}

fn is_quotable(bytes: &[u8], quoting: Quoting) -> bool {
    bytes.len() <= QUOTED_BYTES_MAX
        && memchr::memchr3(b'\r', b'\n', 0, bytes).is_none()
        && match quoting {
            Quoting::Ascii => bytes.is_ascii(),
            Quoting::Utf8 => str::from_utf8(bytes).is_ok(),
        }
}

fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for piece in bytes.split_inclusive(|&b| b == b'"' || b == b'\\') {
        match piece.split_last() {
            Some((&last @ (b'"' | b'\\'), before)) => {
                out.extend_from_slice(before);
                out.extend_from_slice(&[b'\\', last]);
            }
            _ => out.extend_from_slice(piece),
        }
    }
    out.push(b'"');
}

/// A literal; a NUL in it is sent as [`NUL_STAND_IN`].
pub(crate) fn literal(out: &mut Vec<u8>, bytes: &[u8]) {
    literal_header(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    let start = out.len();
    out.extend_from_slice(bytes);
    replace_nul(out.get_mut(start..).unwrap_or_default());
}

/// `literal8`: any byte, as it is (RFC 9051 §4.3, §9 `literal8`).
pub(crate) fn literal8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'~');
    literal_header(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

/// `{n}` and the line end; the caller writes `size` bytes after it.
pub(crate) fn literal_header(out: &mut Vec<u8>, size: u64) {
    out.push(b'{');
    number(out, size);
    out.extend_from_slice(b"}\r\n");
}

/// Puts 0x80 where a NUL stands: a literal may not hold one (RFC 9051 §4.3). For content that is
/// pumped into `BODY[…]` and RFC822 items; a literal8 of `BINARY[…]` takes it as it is.
pub fn replace_nul(content: &mut [u8]) {
    let mut rest = content;
    while let Some(at) = memchr::memchr(0, rest) {
        let Some((nul, after)) = rest.get_mut(at..).and_then(<[u8]>::split_first_mut) else {
            return;
        };
        *nul = NUL_STAND_IN;
        rest = after;
    }
}

/// The text for people at a response's end (RFC 9051 §9 `text`): one line, not empty, that can be
/// taken neither for a response code nor, at its end, for the announcement of a literal.
pub(crate) fn human(out: &mut Vec<u8>, text: &str, quoting: Quoting) {
    let start = out.len();
    for (at, c) in text.chars().enumerate() {
        match c {
            '[' if at == 0 => out.push(b'('),
            '\r' | '\n' | '\0' => out.push(b' '),
            c if c.is_ascii() || quoting == Quoting::Utf8 => {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => out.push(b'?'),
        }
    }
    if out.len() == start || out.ends_with(b"}") {
        out.push(b'.');
    }
}

/// Writes bytes in base64, as SASL challenges are (RFC 9051 §6.2.2).
pub(crate) fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn numbers() {
        for n in [0, 1, 9, 10, 99, 100, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|out| number(out, n)), n.to_string().into_bytes());
        }
        assert_eq!(written(|out| two_digits(out, 7)), b"07");
    }

    #[test]
    fn strings_by_content() {
        let check = |bytes: &[u8], ascii: &[u8], utf8: &[u8]| {
            assert_eq!(written(|out| string(out, bytes, Quoting::Ascii)), ascii);
            assert_eq!(written(|out| string(out, bytes, Quoting::Utf8)), utf8);
        };
        check(b"", b"\"\"", b"\"\"");
        check(b"a\"b\\", b"\"a\\\"b\\\\\"", b"\"a\\\"b\\\\\"");
        check("ä".as_bytes(), b"{2}\r\n\xc3\xa4", b"\"\xc3\xa4\"");
        check(b"\xff", b"{1}\r\n\xff", b"{1}\r\n\xff");
        check(b"a\r\nb", b"{4}\r\na\r\nb", b"{4}\r\na\r\nb");
        check(b"a\0", b"{2}\r\na\x80", b"{2}\r\na\x80");
    }

    #[test]
    fn atoms_by_content() {
        let check = |bytes: &[u8], want: &[u8]| {
            assert_eq!(written(|out| astring(out, bytes, Quoting::Ascii)), want);
        };
        check(b"INBOX", b"INBOX");
        check(b"a]", b"\"a]\"");
        check(b"nil", b"\"nil\"");
        check(b"a b", b"\"a b\"");
        check(b"", b"\"\"");
    }

    #[test]
    fn threat_18_human_text_is_one_line_and_no_code() {
        let text = written(|out| human(out, "[ALERT] x\r\n* BYE ä\0", Quoting::Ascii));
        assert_eq!(text, b"(ALERT] x  * BYE ? ");
        assert_eq!(written(|out| human(out, "", Quoting::Utf8)), b".");
        assert_eq!(written(|out| human(out, "{5}", Quoting::Utf8)), b"{5}.");
    }
}
