//! Content-Transfer-Encoding (RFC 2045 §6): streaming decoders for base64 and
//! quoted-printable; 7bit, 8bit and binary are the bytes as they are.
//!
//! Bad input never fails, for a message is what it is. In base64, bytes outside the
//! alphabet are skipped, padding ends a group wherever it stands and decoding goes on
//! after it, and a lone last character is dropped. In quoted-printable, `=` without two
//! hexadecimal digits or a line end stands for itself. Line ends are not converted.

/// What a Content-Transfer-Encoding header field asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`, or no field: the bytes are the content.
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
    /// Any other: the content cannot be had (`NO [UNKNOWN-CTE]`, RFC 9051 §6.4.5).
    Unknown,
}

impl Encoding {
    /// Reads the value of the header field, comments and quotes already removed.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Self {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        match () {
            () if name.is_empty() || is("7bit") || is("8bit") || is("binary") => Self::Identity,
            () if is("base64") => Self::Base64,
            () if is("quoted-printable") => Self::QuotedPrintable,
            () => Self::Unknown,
        }
    }

    /// A decoder for content in this encoding; `None` for [`Encoding::Unknown`].
    #[must_use]
    pub fn decoder(self) -> Option<Decoder> {
        let state = match self {
            Self::Identity => State::Identity,
            Self::Base64 => State::Base64(Group::default()),
            Self::QuotedPrintable => State::QuotedPrintable(Quoted::default()),
            Self::Unknown => return None,
        };
        Some(Decoder { state })
    }

    /// Decodes a whole body; `None` for [`Encoding::Unknown`].
    #[must_use]
    pub fn decode(self, body: &[u8]) -> Option<Vec<u8>> {
        let mut decoder = self.decoder()?;
        let mut out = Vec::with_capacity(body.len());
        decoder.push(body, &mut out);
        decoder.finish(&mut out);
        Some(out)
    }
}

/// Decodes content that arrives in pieces; any split gives the same bytes.
#[derive(Clone, Debug)]
pub struct Decoder {
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    Identity,
    Base64(Group),
    QuotedPrintable(Quoted),
}

impl Decoder {
    /// Takes the next piece and appends what it decodes to.
    pub fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(input),
            State::Base64(group) => group.push(input, out),
            State::QuotedPrintable(quoted) => quoted.push(input, out),
        }
    }

    /// Appends what was held back. The content ends here.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => {}
            State::Base64(group) => group.end(out),
            State::QuotedPrintable(quoted) => quoted.end(out),
        }
    }
}

/// Four characters of base64 in the making.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    bits: u32,
    chars: u8,
}

/// Not in the alphabet.
const SKIP: u8 = 0xff;
/// The padding character.
const PAD: u8 = 0xfe;

/// The value of every byte in base64.
const BASE64: [u8; 256] = base64_values();

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    reason = "computed by the compiler: an overflow would not compile"
)]
const fn base64_values() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut values = [SKIP; 256];
    let mut at = 0;
    while at < alphabet.len() {
        values[alphabet[at] as usize] = at as u8;
        at += 1;
    }
    values[b'=' as usize] = PAD;
    values
}

impl Group {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        for byte in input {
            match BASE64.get(usize::from(*byte)).copied().unwrap_or(SKIP) {
                SKIP => {}
                PAD => self.end(out),
                value => self.add(value, out),
            }
        }
    }

    fn add(&mut self, value: u8, out: &mut Vec<u8>) {
        self.bits = (self.bits << 6) | u32::from(value);
        self.chars = self.chars.wrapping_add(1);
        if self.chars == 4 {
            let [_, a, b, c] = self.bits.to_be_bytes();
            out.extend_from_slice(&[a, b, c]);
            *self = Self::default();
        }
    }

    /// Two characters left are one byte, three are two; one alone is nothing.
    fn end(&mut self, out: &mut Vec<u8>) {
        match self.chars {
            2 => out.extend((self.bits >> 4).to_be_bytes().last()),
            3 => {
                let [_, _, a, b] = (self.bits >> 2).to_be_bytes();
                out.extend_from_slice(&[a, b]);
            }
            _ => {}
        }
        *self = Self::default();
    }
}

/// White space held back at most: a run as long as this is content, not the end of a line.
const HELD_BYTES_MAX: usize = 1_000;

/// Quoted-printable: what was read but cannot be judged yet.
///
/// `held` is empty, or white space that may end a line, or an `=` that may begin a hexadecimal
/// pair or a soft line break; each may be followed by one CR.
#[derive(Clone, Debug, Default)]
struct Quoted {
    held: Vec<u8>,
}

impl Quoted {
    fn push(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut rest = input;
        while let Some((byte, after)) = rest.split_first() {
            if self.held.is_empty() {
                let plain = rest.iter().take_while(|byte| is_plain(**byte)).count();
                let (run, tail) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
                out.extend_from_slice(run);
                self.held.extend(tail.first());
                rest = tail.get(1..).unwrap_or_default();
            } else {
                self.judge(*byte, out);
                rest = after;
            }
        }
    }

    /// One more byte after something held back.
    fn judge(&mut self, byte: u8, out: &mut Vec<u8>) {
        let escape = self.held.first() == Some(&b'=');
        let after_cr = self.held.last() == Some(&b'\r');
        let only_space = self
            .held
            .iter()
            .skip(usize::from(escape))
            .all(|b| matches!(b, b' ' | b'\t'));
        match byte {
            // The line ends: white space before it is not content, after `=` nor is the end.
            b'\n' if after_cr || only_space => self.end_line(out),
            b' ' | b'\t' if only_space => self.held.push(byte),
            b'\r' if only_space => self.held.push(byte),
            _ if escape && self.held.len() == 1 && byte.is_ascii_hexdigit() => self.held.push(byte),
            _ if escape && self.held.len() == 2 && byte.is_ascii_hexdigit() => self.pair(byte, out),
            _ => self.release(byte, out),
        }
        if self.held.len() >= HELD_BYTES_MAX {
            out.append(&mut self.held);
        }
    }

    /// A line end after what is held, which is a soft line break if it begins with `=`.
    fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.held.first() != Some(&b'=') {
            out.extend(self.held.last().filter(|byte| **byte == b'\r'));
            out.push(b'\n');
        }
        self.held.clear();
    }

    /// The second digit of `=XX`, the first being held.
    fn pair(&mut self, low: u8, out: &mut Vec<u8>) {
        let high = self.held.get(1).copied().unwrap_or(b'0');
        match (hex(high), hex(low)) {
            (Some(high), Some(low)) => {
                out.push((high << 4) | low);
                self.held.clear();
            }
            _ => self.release(low, out),
        }
    }

    /// What was held is content after all; the byte is looked at afresh.
    fn release(&mut self, byte: u8, out: &mut Vec<u8>) {
        out.append(&mut self.held);
        if is_plain(byte) {
            out.push(byte);
        } else {
            self.held.push(byte);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        // White space at the very end is at the end of a line; a last `=` is a soft break.
        let space = self.held.iter().all(|byte| matches!(byte, b' ' | b'\t'));
        if !space && self.held != b"=" {
            out.append(&mut self.held);
        }
        self.held.clear();
    }
}

/// A byte that stands for itself wherever it is.
fn is_plain(byte: u8) -> bool {
    !matches!(byte, b'=' | b' ' | b'\t' | b'\r')
}

/// The value of a hexadecimal digit.
pub(crate) fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(encoding: Encoding, body: &[u8], expected: &[u8]) {
        assert_eq!(
            encoding.decode(body).unwrap(),
            expected,
            "{:?}",
            String::from_utf8_lossy(body)
        );
        // Byte by byte is the same.
        let mut decoder = encoding.decoder().unwrap();
        let mut out = Vec::new();
        for byte in body {
            decoder.push(&[*byte], &mut out);
        }
        decoder.finish(&mut out);
        assert_eq!(out, expected, "split {:?}", String::from_utf8_lossy(body));
    }

    #[test]
    fn base64_is_lenient() {
        check(Encoding::Base64, b"", b"");
        check(Encoding::Base64, b"aGVsbG8=", b"hello");
        check(Encoding::Base64, b"aGVs\r\nbG8=\r\n", b"hello");
        check(Encoding::Base64, b"aGVsbG8", b"hello");
        check(Encoding::Base64, b"aGVsbG8*!=aGk=", b"hellohi");
        check(Encoding::Base64, b"aGVsb", b"hel");
        check(Encoding::Base64, b"////", b"\xff\xff\xff");
        check(Encoding::Base64, b"=====", b"");
    }

    #[test]
    fn quoted_printable_is_lenient() {
        let qp = Encoding::QuotedPrintable;
        check(qp, b"", b"");
        check(qp, b"caf=C3=A9", "café".as_bytes());
        check(qp, b"caf=c3=a9", "café".as_bytes());
        check(qp, b"soft=\r\nbreak=\nhere", b"softbreakhere");
        check(qp, b"soft= \t\r\nbreak", b"softbreak");
        check(qp, b"trail  \t\r\nnext \n", b"trail\r\nnext\n");
        check(qp, b"a b  c\r\n", b"a b  c\r\n");
        check(qp, b"=ZZ=4=", b"=ZZ=4");
        check(qp, b"= x", b"= x");
        check(qp, b"=\rx", b"=\rx");
        check(qp, b"a\rb\r\r\nc", b"a\rb\r\r\nc");
        check(qp, b"==41", b"=A");
        check(qp, b"=4=41", b"=4A");
        check(qp, b"end=", b"end");
        check(qp, b"end  ", b"end");
    }

    #[test]
    fn a_long_run_of_space_is_not_held_for_ever() {
        let mut body = vec![b' '; 5 * HELD_BYTES_MAX];
        body.push(b'x');
        check(Encoding::QuotedPrintable, &body, &body);
    }

    #[test]
    fn unknown_encodings_are_known_as_such() {
        assert_eq!(Encoding::from_name(b"x-uuencode"), Encoding::Unknown);
        assert_eq!(Encoding::from_name(b"BASE64"), Encoding::Base64);
        assert!(Encoding::Unknown.decode(b"x").is_none());
    }
}
