//! Line ends: what arrives with LF alone from files and pipes becomes CRLF before it is stored,
//! and goes back for export. Mail that holds a CRLF is never changed.

use std::borrow::Cow;

use memchr::{memchr_iter, memmem};

/// Turns LF into CRLF if the message holds no CRLF; else it is left as it is.
#[must_use]
pub fn to_crlf(message: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(message, b"\r\n").is_some() {
        return Cow::Borrowed(message);
    }
    let line_ends = memchr_iter(b'\n', message).count();
    if line_ends == 0 {
        return Cow::Borrowed(message);
    }
    let mut out = Vec::with_capacity(message.len().saturating_add(line_ends));
    ToCrlf::default().push(message, &mut out);
    Cow::Owned(out)
}

/// Turns CRLF into LF.
#[must_use]
pub fn to_lf(message: &[u8]) -> Cow<'_, [u8]> {
    if memmem::find(message, b"\r\n").is_none() {
        return Cow::Borrowed(message);
    }
    let mut out = Vec::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = memmem::find(rest, b"\r\n") {
        let (before, after) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        out.extend_from_slice(before);
        rest = after.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    Cow::Owned(out)
}

/// Puts a CR before every LF that has none, in a message that arrives in pieces.
///
/// Whether the message is one to convert is for the caller to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct ToCrlf {
    after_cr: bool,
}

impl ToCrlf {
    /// Takes the next piece and appends it converted.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        for line in piece.split_inclusive(|byte| *byte == b'\n') {
            match line.strip_suffix(b"\n") {
                Some(content) if !content.last().map_or(self.after_cr, |byte| *byte == b'\r') => {
                    out.extend_from_slice(content);
                    out.extend_from_slice(b"\r\n");
                }
                _ => out.extend_from_slice(line),
            }
            self.after_cr = line.ends_with(b"\r");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_without_crlf_are_converted() {
        assert_eq!(to_crlf(b"a\nb\n").as_ref(), b"a\r\nb\r\n");
        assert_eq!(to_crlf(b"a\r\nb\n").as_ref(), b"a\r\nb\n");
        assert_eq!(to_crlf(b"a\rb").as_ref(), b"a\rb");
        assert_eq!(to_crlf(b"").as_ref(), b"");
        assert_eq!(to_lf(b"a\r\nb\r\r\n\n").as_ref(), b"a\nb\r\n\n");
    }

    #[test]
    fn any_split_is_converted_alike() {
        let message = b"\na\r\n\n\r\rb\r\n\n";
        for at in 0..=message.len() {
            let (first, second) = message.split_at(at);
            let mut out = Vec::new();
            let mut converter = ToCrlf::default();
            converter.push(first, &mut out);
            converter.push(second, &mut out);
            assert_eq!(out, b"\r\na\r\n\r\n\r\rb\r\n\r\n", "{at}");
        }
    }
}
