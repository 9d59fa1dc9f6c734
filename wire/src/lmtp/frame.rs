//! What a client has sent and nobody has taken yet: command lines, and message bytes between them
//! (RFC 5321 §2.3.8, RFC 2920 for many commands at once).
//!
//! Only CRLF ends a line. A line over the limit is dropped to its end and reported once.

use bytes::{Buf as _, BytesMut};

use super::data::{Chunk, Decoded, DotDecoder, Progress};

/// The bytes that have come in.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    line_bytes_max: usize,
    /// Before this there is no line end.
    searched: usize,
    excess: Excess,
}

/// Whether the rest of a line that was too long is still to be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Excess {
    Dropping,
    None,
}

/// A line of the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A whole line without its line end.
    Command(BytesMut),
    /// One over the limit, which is gone.
    TooLong,
}

impl Framer {
    /// A framer for lines of at most this many bytes, line end not counted.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            line_bytes_max,
            searched: 0,
            excess: Excess::None,
        }
    }

    /// The buffer to read into: bytes are appended, nothing else is touched.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// Whether the client has sent more than was taken: it is pipelining, so that an answer may
    /// wait for those of the commands that follow (RFC 2920 §3.2).
    #[must_use]
    pub fn has_more(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next line; `None` if it is not complete yet.
    pub fn line(&mut self) -> Option<Line> {
        let Some(length) = self.find_crlf() else {
            if self.buffer.len() > self.line_bytes_max.saturating_add(1) {
                self.drop_excess();
            }
            return None;
        };
        let line = self.buffer.split_to(length);
        self.buffer.advance(self.buffer.len().min(2));
        self.searched = 0;
        let was_dropping = self.excess == Excess::Dropping;
        self.excess = Excess::None;
        if was_dropping || line.len() > self.line_bytes_max {
            return Some(Line::TooLong);
        }
        Some(Line::Command(line))
    }

    /// Where the first CRLF stands.
    fn find_crlf(&mut self) -> Option<usize> {
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        let found = memchr::memmem::find(unseen, b"\r\n");
        let at = found.map(|at| at.saturating_add(self.searched));
        // The CR of a CRLF may be the last byte so far.
        self.searched = self.buffer.len().saturating_sub(1);
        at
    }

    /// Forgets what has come of a line that is too long, but for a CR at its end.
    fn drop_excess(&mut self) {
        self.buffer.advance(self.searched);
        self.searched = 0;
        self.excess = Excess::Dropping;
    }

    /// Moves message bytes of DATA to `out`.
    pub fn data(&mut self, decoder: &mut DotDecoder, out: &mut Vec<u8>) -> Progress {
        let Decoded { used, progress } = decoder.decode(&self.buffer, out);
        self.taken(used);
        progress
    }

    /// Moves message bytes of a BDAT chunk to `out`.
    pub fn chunk(&mut self, chunk: &mut Chunk, out: &mut Vec<u8>) -> Progress {
        let content = chunk.take(&self.buffer);
        let used = content.len();
        out.extend_from_slice(content);
        self.taken(used);
        chunk.progress()
    }

    fn taken(&mut self, used: usize) {
        self.buffer.advance(used);
        self.searched = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], step: usize) -> Vec<Line> {
        let mut framer = Framer::new(8);
        let mut lines = Vec::new();
        for piece in input.chunks(step) {
            framer.buffer().extend_from_slice(piece);
            while let Some(line) = framer.line() {
                lines.push(line);
            }
            assert!(framer.buffer.len() <= 16, "memory is bounded");
        }
        lines
    }

    #[test]
    fn lines_whatever_the_pieces() {
        let input = b"NOOP\r\n12345678\r\n123456789\r\nlong long long\r\rlong\r\n\r\na\nb\rc\r\n";
        let command = |text: &[u8]| Line::Command(BytesMut::from(text));
        for step in 1..8 {
            assert_eq!(
                lines(input, step),
                [
                    command(b"NOOP"),
                    command(b"12345678"),
                    Line::TooLong,
                    Line::TooLong,
                    command(b""),
                    command(b"a\nb\rc"),
                ]
            );
        }
    }

    #[test]
    fn message_bytes_stand_between_lines() {
        let mut framer = Framer::new(100);
        let input = b"DATA\r\na\r\n..b\r\n.\r\nBDAT 4\r\n\r\n.\rRSET\r\n";
        framer.buffer().extend_from_slice(input);
        let command = |text: &[u8]| Some(Line::Command(BytesMut::from(text)));
        assert_eq!(framer.line(), command(b"DATA"));
        let mut out = Vec::new();
        let ended = framer.data(&mut DotDecoder::new(), &mut out);
        assert_eq!((ended, &out[..]), (Progress::Complete, &b"a\r\n.b\r\n"[..]));
        assert_eq!(framer.line(), command(b"BDAT 4"));
        out.clear();
        let ended = framer.chunk(&mut Chunk::new(4), &mut out);
        assert_eq!((ended, &out[..]), (Progress::Complete, &b"\r\n.\r"[..]));
        assert!(framer.has_more());
        assert_eq!(framer.line(), command(b"RSET"));
        assert!(!framer.has_more());
    }
}
