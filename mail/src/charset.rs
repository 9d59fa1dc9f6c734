//! Charsets: bytes in a named charset become text, never failing.
//!
//! The tables are those of the WHATWG Encoding Standard (`encoding_rs`), in which
//! `iso-8859-1` and `us-ascii` mean Windows-1252, as mail that says so usually is. Added are
//! UTF-7 (RFC 2152), labels that only mail uses, and for `us-ascii` that is not: UTF-8 where
//! it is valid. Modified UTF-7 of mailbox names is not here (`wire`).

use encoding_rs::{REPLACEMENT, WINDOWS_1252};

use memchr::{memchr, memrchr};

use crate::{limits, mime::Encoding};

/// A charset that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// ASCII, no charset, or one nobody knows.
    Undeclared,
    Utf7,
    Table(&'static encoding_rs::Encoding),
}

/// Labels found in mail that the Encoding Standard does not list.
const ALIASES: &[(&str, &str)] = &[
    ("cp932", "shift_jis"),
    ("cp936", "gbk"),
    ("cp949", "euc-kr"),
    ("cp950", "big5"),
    ("cp1250", "windows-1250"),
    ("cp1251", "windows-1251"),
    ("gb18030-2000", "gb18030"),
    ("gb2312-80", "gbk"),
    ("iso-8859-8-e", "iso-8859-8"),
    ("ks_c_5601", "euc-kr"),
    ("latin-1", "iso-8859-1"),
    ("latin1-windows", "windows-1252"),
    ("ms949", "euc-kr"),
    ("ms950", "big5"),
    ("utf-8-sig", "utf-8"),
    ("utf8mb4", "utf-8"),
    ("windows-31j", "shift_jis"),
    ("x-euc", "euc-jp"),
];

impl Charset {
    /// The charset that a message names; one nobody knows is taken as none.
    #[must_use]
    pub fn declared(label: &[u8]) -> Self {
        Self::from_label(label).unwrap_or(Self(Kind::Undeclared))
    }

    /// The charset of a label; `None` if it is not known (`NO [BADCHARSET]` in SEARCH).
    #[must_use]
    pub fn from_label(label: &[u8]) -> Option<Self> {
        let label = label.trim_ascii();
        let is = |name: &str| label.eq_ignore_ascii_case(name.as_bytes());
        if ["us-ascii", "ascii", "ansi_x3.4-1968", "iso646-us"]
            .into_iter()
            .any(is)
        {
            return Some(Self(Kind::Undeclared));
        }
        if ["utf-7", "utf7", "unicode-1-1-utf-7", "csunicode11utf7"]
            .into_iter()
            .any(is)
        {
            return Some(Self(Kind::Utf7));
        }
        let alias = ALIASES
            .iter()
            .find(|(alias, _)| is(alias))
            .map(|(_, name)| name.as_bytes());
        let table = encoding_rs::Encoding::for_label(alias.unwrap_or(label))?;
        // The standard refuses some charsets by mapping them to one that decodes nothing.
        (table != REPLACEMENT).then_some(Self(Kind::Table(table)))
    }

    /// Decodes; what is malformed becomes U+FFFD.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> String {
        let mut out = String::new();
        let mut decoder = self.decoder();
        decoder.push(bytes, &mut out);
        decoder.finish(&mut out);
        out
    }

    /// A decoder for text that arrives in pieces.
    #[must_use]
    pub fn decoder(self) -> Decoder {
        Decoder(match self.0 {
            Kind::Undeclared => State::Lines(decode_undeclared, Vec::new()),
            Kind::Utf7 => State::Lines(decode_utf7, Vec::new()),
            Kind::Table(table) => State::Table(Box::new(table.new_decoder())),
        })
    }
}

/// Decodes text that arrives in pieces; any split gives the same text, but for lines of UTF-7
/// or undeclared text longer than [`limits::UNDECODED_BYTES_MAX`].
#[derive(Debug)]
pub struct Decoder(State);

enum State {
    /// Whole lines are decoded at once; the last line waits.
    Lines(fn(&[u8]) -> String, Vec<u8>),
    Table(Box<encoding_rs::Decoder>),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Lines(..) => "Lines",
            Self::Table(_) => "Table",
        })
    }
}

impl Decoder {
    /// Takes the next piece and appends the text known so far.
    pub fn push(&mut self, bytes: &[u8], out: &mut String) {
        match &mut self.0 {
            State::Table(decoder) => decode_table(decoder, bytes, false, out),
            State::Lines(decode, held) => {
                held.extend_from_slice(bytes);
                let lines_end = memrchr(b'\n', held).map_or(0, |at| at.saturating_add(1));
                let enough = held.len() >= limits::UNDECODED_BYTES_MAX;
                let end = if lines_end == 0 && enough {
                    held.len()
                } else {
                    lines_end
                };
                out.push_str(&decode(held.get(..end).unwrap_or_default()));
                held.drain(..end);
            }
        }
    }

    /// Appends what was held back. The text ends here.
    pub fn finish(&mut self, out: &mut String) {
        match &mut self.0 {
            State::Table(decoder) => decode_table(decoder, &[], true, out),
            State::Lines(decode, held) => out.push_str(&decode(&std::mem::take(held))),
        }
    }
}

fn decode_table(decoder: &mut encoding_rs::Decoder, bytes: &[u8], last: bool, out: &mut String) {
    let mut rest = bytes;
    loop {
        // A step at a time, as the room for the worst case is reserved ahead.
        let (step, after) = rest
            .split_at_checked(limits::DECODE_STEP_BYTES)
            .unwrap_or((rest, &[]));
        out.reserve(decoder.max_utf8_buffer_length(step.len()).unwrap_or(0));
        let (_, read, _) = decoder.decode_to_string(step, out, last && after.is_empty());
        rest = rest.get(read..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
    }
}

/// Decodes bytes of the charset that a message names; one nobody knows is taken as none.
#[must_use]
pub fn decode(label: &[u8], bytes: &[u8]) -> String {
    Charset::declared(label).decode(bytes)
}

/// Decodes bytes of no declared charset: what is valid UTF-8 as that, other bytes as
/// Windows-1252.
#[must_use]
pub fn decode_undeclared(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.push_str(&WINDOWS_1252.decode_without_bom_handling(chunk.invalid()).0);
    }
    out
}

/// UTF-7 (RFC 2152): `+` begins base64 of UTF-16, anything else or `-` ends it.
fn decode_utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(plus) = memchr(b'+', rest) {
        let (before, after) = rest.split_at_checked(plus).unwrap_or((rest, &[]));
        out.push_str(&decode_undeclared(before));
        let after = after.get(1..).unwrap_or_default();
        let length = after.iter().take_while(|byte| is_base64(**byte)).count();
        let (shifted, tail) = after.split_at_checked(length).unwrap_or((after, &[]));
        if shifted.is_empty() {
            out.push('+');
        } else {
            push_utf16(shifted, &mut out);
        }
        rest = tail.strip_prefix(b"-").unwrap_or(tail);
    }
    out.push_str(&decode_undeclared(rest));
    out
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

/// Base64 of UTF-16, big-endian; bits too few for a unit are padding.
fn push_utf16(base64: &[u8], out: &mut String) {
    let bytes = Encoding::Base64.decode(base64).unwrap_or_default();
    let units = bytes.chunks_exact(2).filter_map(|pair| match pair {
        [high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    });
    out.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(label: &str, bytes: &[u8], expected: &str) {
        assert_eq!(decode(label.as_bytes(), bytes), expected, "{label}");
    }

    #[test]
    fn charsets() {
        check("utf-8", "é€😀".as_bytes(), "é€😀");
        check("UTF8", b"\xc3\xa9\xff", "é\u{fffd}");
        check("us-ascii", "é".as_bytes(), "é");
        check("us-ascii", b"\xe9", "é");
        check("iso-8859-1", b"\xe9\x80", "é€");
        check("ISO-8859-15", b"\xa4", "€");
        check("koi8-r", b"\xf0\xd2\xc9", "При");
        check("iso-2022-jp", b"\x1b$B$\"\x1b(B", "あ");
        check("cp932", b"\x82\xa0", "あ");
        check("gb2312", b"\xc4\xe3", "你");
        check("x-unknown", "é".as_bytes(), "é");
        check("", b"a", "a");
    }

    #[test]
    fn utf_7() {
        check("utf-7", b"Hi Mom -+Jjo--!", "Hi Mom -\u{263a}-!");
        check("utf-7", b"A+ImIDkQ.", "A\u{2262}\u{391}.");
        check("utf-7", b"1 +- 1", "1 + 1");
        check("unicode-1-1-utf-7", b"+2D3eAA-", "\u{1f600}");
        check("utf-7", b"+2D0-", "\u{fffd}");
        check("utf-7", b"+", "+");
        check("utf-7", b"\xe9+", "é+");
    }

    #[test]
    fn unknown_labels_are_said_to_be() {
        assert!(Charset::from_label(b"klingon").is_none());
        assert!(Charset::from_label(b"hz-gb-2312").is_none());
        assert!(Charset::from_label(b"utf-7").is_some());
    }
}
