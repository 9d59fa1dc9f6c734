//! Message bytes on their way in: DATA with its dots undone, and the chunks of BDAT
//! (RFC 5321 §4.5.2, RFC 3030 §2).
//!
//! Only CRLF ends a line, so only `CRLF.CRLF` ends a message (RFC 5321 §4.1.1.4, §2.3.8). A CR or
//! LF alone is content and is kept; where another server takes it for a line end, this one does
//! not, and nothing can be smuggled in between (threat 33).

/// Undoes dot-stuffing in a stream and finds the end of the message.
#[derive(Debug, Default)]
pub struct DotDecoder {
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// After CRLF, or before the first byte.
    #[default]
    LineStart,
    /// Inside a line.
    Text,
    /// Inside a line, after CR.
    Cr,
    /// After a dot that began a line; it is not content.
    Dot,
    /// After such a dot and CR.
    DotCr,
    /// After the end.
    End,
}

/// What became of some input.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decoded {
    /// So many bytes were taken; what follows them belongs to the next command.
    pub used: usize,
    /// Whether the message is complete.
    pub progress: Progress,
}

/// Whether a message is complete.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// More bytes are to come.
    More,
    /// It ended with the last byte taken.
    Complete,
}

impl DotDecoder {
    /// A decoder before the first byte of a message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes `input` as far as the message goes, and appends what is content to `out`.
    pub fn decode(&mut self, input: &[u8], out: &mut Vec<u8>) -> Decoded {
        let mut rest = input;
        while self.state != State::End {
            if self.state == State::Text {
                let run = memchr::memchr(b'\r', rest).unwrap_or(rest.len());
                let (text, after) = rest.split_at(run);
                out.extend_from_slice(text);
                rest = after;
            }
            let Some((&byte, after)) = rest.split_first() else {
                break;
            };
            rest = after;
            self.state = self.state.after(byte, out);
        }
        Decoded {
            used: input.len().saturating_sub(rest.len()),
            progress: match self.state {
                State::End => Progress::Complete,
                _ => Progress::More,
            },
        }
    }
}

impl State {
    /// The state after one more byte, whose content goes to `out`.
    fn after(self, byte: u8, out: &mut Vec<u8>) -> Self {
        match (self, byte) {
            (Self::LineStart, b'.') => return Self::Dot,
            (Self::Dot, b'\r') => return Self::DotCr,
            (Self::DotCr, b'\n') => return Self::End,
            // The CR was content after all.
            (Self::DotCr, _) => out.push(b'\r'),
            _ => {}
        }
        out.push(byte);
        match (self, byte) {
            (_, b'\r') => Self::Cr,
            (Self::Cr, b'\n') => Self::LineStart,
            _ => Self::Text,
        }
    }
}

/// What is still to come of one chunk of BDAT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chunk {
    left: u64,
}

impl Chunk {
    /// A chunk of this many bytes, of which none has come yet.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self { left: size }
    }

    /// Takes the part of `input` that belongs to the chunk; all of it is content.
    pub fn take<'a>(&mut self, input: &'a [u8]) -> &'a [u8] {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let (mine, _) = input.split_at(input.len().min(most));
        let taken = u64::try_from(mine.len()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_sub(taken);
        mine
    }

    /// Whether all of it has come.
    #[must_use]
    pub const fn progress(&self) -> Progress {
        match self.left {
            0 => Progress::Complete,
            _ => Progress::More,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The content of `input`, and how much of it was used if the message ended.
    fn decode(input: &[u8], step: usize) -> (Vec<u8>, Option<usize>) {
        let mut decoder = DotDecoder::new();
        let mut out = Vec::new();
        for (at, piece) in input.chunks(step).enumerate() {
            let got = decoder.decode(piece, &mut out);
            if got.progress == Progress::Complete {
                let used = at.saturating_mul(step).saturating_add(got.used);
                return (out, Some(used));
            }
            assert_eq!(got.used, piece.len());
        }
        (out, None)
    }

    #[test]
    fn threat_33_only_crlf_dot_crlf_ends_data() {
        let ends = ["\r\n", "\n", "\r"];
        for before in ends {
            for after in ends {
                let input = format!("text{before}.{after}MAIL FROM:<x>\r\n");
                for step in 1..=input.len() {
                    let (content, used) = decode(input.as_bytes(), step);
                    if (before, after) == ("\r\n", "\r\n") {
                        assert_eq!(used, Some("text\r\n.\r\n".len()));
                        assert_eq!(content, b"text\r\n");
                    } else {
                        assert_eq!(used, None, "{before:?} . {after:?}");
                        // A dot after CRLF is stuffing, any other is content.
                        let kept = input.replace("\r\n.", "\r\n");
                        assert_eq!(content, kept.as_bytes());
                    }
                }
            }
        }
    }

    #[test]
    fn dots_are_undone() {
        let check = |input: &str, content: &str| {
            let (got, used) = decode(input.as_bytes(), 1);
            assert_eq!(got, content.as_bytes(), "{input:?}");
            assert_eq!(used, Some(input.len()));
        };
        check(".\r\n", "");
        check("a\r\n.\r\n", "a\r\n");
        check("..\r\n.\r\n", ".\r\n");
        check("..a\r\n...\r\n.\r\n", ".a\r\n..\r\n");
        check(".a\r\n.\r\n", "a\r\n");
        check("a.\r\n.\r\n", "a.\r\n");
        check("a\r\r\n.\r\n", "a\r\r\n");
        check("\r\n.\r\r\n.\r\n", "\r\n\r\r\n");
        check("\r\n.\rx\r\n.\r\n", "\r\n\rx\r\n");
        check("a\0b\r\n.\r\n", "a\0b\r\n");
    }

    #[test]
    fn nothing_is_taken_after_the_end() {
        let mut decoder = DotDecoder::new();
        let mut out = Vec::new();
        let got = decoder.decode(b"a\r\n.\r\nQUIT\r\n", &mut out);
        assert_eq!((got.used, got.progress), (6, Progress::Complete));
        assert_eq!(decoder.decode(b"QUIT\r\n", &mut out).used, 0);
        assert_eq!(out, b"a\r\n");
    }

    #[test]
    fn chunks_are_counted() {
        let mut chunk = Chunk::new(5);
        assert_eq!(chunk.take(b"abc"), b"abc");
        assert_eq!(chunk.progress(), Progress::More);
        assert_eq!(chunk.take(b"de\r\n.\r\n"), b"de");
        assert_eq!(chunk.progress(), Progress::Complete);
        assert_eq!(chunk.take(b"x"), b"");
        assert_eq!(Chunk::new(0).progress(), Progress::Complete);
    }

    /// As a client stuffs: a dot before each line that begins with one.
    fn stuffed(content: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut at_start = true;
        for (at, &byte) in content.iter().enumerate() {
            if at_start && byte == b'.' {
                out.push(b'.');
            }
            out.push(byte);
            at_start = content[..=at].ends_with(b"\r\n");
        }
        out.extend_from_slice(b"\r\n.\r\n");
        out
    }

    proptest! {
        #[test]
        fn stuffing_is_undone_whatever_the_pieces(
            content in prop::collection::vec(
                prop::sample::select(b".\r\na\0\xff".to_vec()), 0..40),
            step in 1usize..8,
        ) {
            let input = stuffed(&content);
            let (got, used) = decode(&input, step);
            prop_assert_eq!(used, Some(input.len()));
            let mut want = content;
            want.extend_from_slice(b"\r\n");
            prop_assert_eq!(got, want);
        }
    }
}
