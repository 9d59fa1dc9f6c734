//! Encoded words in header values (RFC 2047), read leniently.
//!
//! White space between adjacent words disappears; a character split over two words of one
//! charset is put together again; a language after the charset (RFC 2231 §5) is dropped;
//! what is not a whole encoded word stays as it is written. Bytes outside of words are
//! UTF-8 (RFC 6532), or else Windows-1252.

use memchr::{memchr, memmem};

use crate::{charset, mime::decode::Encoding};

/// Decodes an unfolded header value into text.
#[must_use]
pub fn decode(value: &[u8]) -> String {
    let mut out = String::with_capacity(value.len());
    let mut pending: Option<Word<'_>> = None;
    let mut rest = value;
    while let Some(start) = memmem::find(rest, b"=?") {
        let (before, candidate) = rest.split_at_checked(start).unwrap_or((rest, &[]));
        let Some((word, after)) = parse_word(candidate) else {
            let (skipped, after) = rest
                .split_at_checked(start.saturating_add(2))
                .unwrap_or((rest, &[]));
            push_word(pending.take().as_ref(), &mut out);
            out.push_str(&charset::decode_undeclared(skipped));
            rest = after;
            continue;
        };
        let adjacent = before.iter().all(u8::is_ascii_whitespace);
        pending = Some(match pending.take() {
            Some(earlier) if adjacent && earlier.same_charset(&word) => earlier.followed_by(&word),
            earlier => {
                let hidden = earlier.is_some() && adjacent;
                push_word(earlier.as_ref(), &mut out);
                if !hidden {
                    out.push_str(&charset::decode_undeclared(before));
                }
                word
            }
        });
        rest = after;
    }
    push_word(pending.as_ref(), &mut out);
    out.push_str(&charset::decode_undeclared(rest));
    out
}

/// An encoded word: its charset and the bytes its text stands for.
struct Word<'a> {
    charset: &'a [u8],
    bytes: Vec<u8>,
}

impl Word<'_> {
    fn same_charset(&self, other: &Self) -> bool {
        self.charset.eq_ignore_ascii_case(other.charset)
    }

    fn followed_by(mut self, next: &Self) -> Self {
        self.bytes.extend_from_slice(&next.bytes);
        self
    }
}

fn push_word(word: Option<&Word<'_>>, out: &mut String) {
    if let Some(word) = word {
        out.push_str(&charset::decode(word.charset, &word.bytes));
    }
}

/// `=?charset?encoding?text?=` at the start of the bytes, and what follows it.
///
/// No part may hold a question mark, so no byte is looked at twice by a later call.
fn parse_word(bytes: &[u8]) -> Option<(Word<'_>, &[u8])> {
    let rest = bytes.strip_prefix(b"=?")?;
    let (label, rest) = split_once(rest)?;
    let (encoding, rest) = split_once(rest)?;
    let (text, rest) = split_once(rest)?;
    let rest = rest.strip_prefix(b"=")?;
    let charset = label.split(|byte| *byte == b'*').next().unwrap_or(label);
    if charset.is_empty() || charset.iter().any(u8::is_ascii_whitespace) {
        return None;
    }
    let bytes = match encoding {
        b"B" | b"b" => Encoding::Base64.decode(text)?,
        b"Q" | b"q" => decode_q(text)?,
        _ => return None,
    };
    Some((Word { charset, bytes }, rest))
}

fn split_once(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (before, after) = bytes.split_at_checked(memchr(b'?', bytes)?)?;
    Some((before, after.get(1..)?))
}

/// The "Q" encoding: quoted-printable in which `_` is a space (RFC 2047 §4.2).
///
/// Spaces do not belong here, yet are common: they are kept, unlike at the end of a line.
fn decode_q(text: &[u8]) -> Option<Vec<u8>> {
    let mut spaced = Vec::with_capacity(text.len());
    for byte in text {
        match byte {
            b'_' | b' ' => spaced.extend_from_slice(b"=20"),
            byte => spaced.push(*byte),
        }
    }
    Encoding::QuotedPrintable.decode(&spaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: &str) {
        assert_eq!(decode(value.as_bytes()), expected, "{value}");
    }

    #[test]
    fn encoded_words() {
        check("", "");
        check("plain text", "plain text");
        check("=?utf-8?q?caf=C3=A9?=", "café");
        check("=?UTF-8?B?w6k=?= x", "é x");
        check("a =?iso-8859-1?Q?=E9_b?= c", "a é b c");
        check("=?utf-8?q?a?= =?utf-8?q?b?=", "ab");
        check("=?utf-8?q?a?=\t =?iso-8859-1?q?=E9?= z", "aé z");
        check("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c");
        check("=?utf-8*en?q?x?=", "x");
        check("=?utf-8?q?two words?=", "two words");
        check("=?utf-8?b?4oI=?= =?utf-8?b?rA==?=", "€");
    }

    #[test]
    fn broken_words_stay_as_written() {
        check("=?utf-8?x?abc?=", "=?utf-8?x?abc?=");
        check("=?utf-8?q?abc", "=?utf-8?q?abc");
        check("=?=?=?", "=?=?=?");
        check("=??q?abc?=", "=??q?abc?=");
        check("=?utf-8?q?abc?=?= x", "abc?= x");
        check("=?no-such-charset?q?abc?=", "abc");
        check("=?a =?utf-8?q?b?=", "=?a b");
    }

    #[test]
    fn raw_eight_bit_text_is_utf_8_or_windows_1252() {
        assert_eq!(decode("é".as_bytes()), "é");
        assert_eq!(decode(b"\xe9"), "é");
    }

    #[test]
    fn many_openings_take_linear_time() {
        let value = b"=?a?q?".repeat(200_000);
        assert_eq!(decode(&value).len(), value.len());
    }
}
