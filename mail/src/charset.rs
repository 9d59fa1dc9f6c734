//! Charsets: bytes in a named charset become text, never failing.
//!
//! The tables are those of the WHATWG Encoding Standard (`encoding_rs`), in which
//! `iso-8859-1` and `us-ascii` mean Windows-1252, as mail that says so usually is. Added are
//! UTF-7 (RFC 2152), labels that only mail uses, and for `us-ascii` that is not: UTF-8 where
//! it is valid. Modified UTF-7 of mailbox names is not here (`wire`).

use encoding_rs::{REPLACEMENT, WINDOWS_1252};

use crate::mime::Encoding;

/// A charset that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// ASCII, no charset, or one nobody knows: UTF-8 if valid, else Windows-1252.
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
        match self.0 {
            Kind::Undeclared => decode_undeclared(bytes),
            Kind::Utf7 => decode_utf7(bytes),
            Kind::Table(table) => table.decode(bytes).0.into_owned(),
        }
    }
}

/// Decodes bytes of the charset that a message names; one nobody knows is taken as none.
#[must_use]
pub fn decode(label: &[u8], bytes: &[u8]) -> String {
    Charset::from_label(label)
        .unwrap_or(Charset(Kind::Undeclared))
        .decode(bytes)
}

/// Decodes bytes of no declared charset: UTF-8 if they are, else Windows-1252.
#[must_use]
pub fn decode_undeclared(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => WINDOWS_1252
            .decode_without_bom_handling(bytes)
            .0
            .into_owned(),
    }
}

/// UTF-7 (RFC 2152): `+` begins base64 of UTF-16, anything else or `-` ends it.
fn decode_utf7(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(plus) = memchr::memchr(b'+', rest) {
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
