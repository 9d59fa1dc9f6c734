//! A fast, blocking IMAP client that only counts: RFC 9051 §2.2 lines and literals, no grammar.
//!
//! It must cost less than any server it measures, so an answer is never kept: lines are looked at
//! in the read buffer and literals are skipped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Fallible;

const BUFFER_BYTES: usize = 512 * 1024;
const PATIENCE: Duration = Duration::from_secs(600);

/// What an answer held, as far as two servers can be compared by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// The tagged line after the tag: `OK …`, `NO …` or `BAD …`.
    pub(super) status: String,
    /// How many FETCH responses came.
    pub(super) messages: u64,
    /// Bytes inside literals.
    pub(super) literal_bytes: u64,
    /// Bytes of the whole answer.
    pub(super) bytes: u64,
    /// How many numbers SEARCH, SORT and THREAD responses named.
    pub(super) numbers: u64,
    /// A digest of those numbers in their order.
    pub(super) digest: u64,
}

impl Answer {
    pub(super) fn is_ok(&self) -> bool {
        self.status.starts_with("OK")
    }
}

/// One connection.
pub(super) struct Imap {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    tag: u32,
}

/// Where a line stands in the buffer.
struct Line {
    from: usize,
    to: usize,
}

impl Imap {
    pub(super) fn connect(address: (&str, u16)) -> Fallible<Self> {
        let stream = TcpStream::connect(address).map_err(|e| format!("connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        stream
            .set_read_timeout(Some(PATIENCE))
            .map_err(|e| e.to_string())?;
        let mut imap = Self {
            stream,
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            tag: 0,
        };
        let greeting = imap.line()?;
        if !imap.buffer[greeting.from..greeting.to].starts_with(b"* OK") {
            return Err("no greeting".into());
        }
        Ok(imap)
    }

    /// Logs in; the strings go as literals, so that they may hold anything.
    pub(super) fn login(&mut self, user: &str, password: &str) -> Fallible<()> {
        let command = format!(
            "LOGIN {{{}+}}\r\n{user} {{{}+}}\r\n{password}",
            user.len(),
            password.len()
        );
        self.must(command.as_bytes()).map(drop)
    }

    /// Sends a command and reads its whole answer.
    pub(super) fn command(&mut self, command: &[u8]) -> Fallible<Answer> {
        self.send(command)?;
        self.answer()
    }

    /// Like `command`, but anything else than OK is an error.
    pub(super) fn must(&mut self, command: &[u8]) -> Fallible<Answer> {
        let answer = self.command(command)?;
        if answer.is_ok() {
            return Ok(answer);
        }
        let shown = command
            .iter()
            .take(40)
            .map(|b| char::from(*b))
            .collect::<String>();
        Err(format!("{shown:?} is answered {}", answer.status))
    }

    /// Sends a command without waiting.
    pub(super) fn send(&mut self, command: &[u8]) -> Fallible<()> {
        self.tag += 1;
        let mut out = format!("b{} ", self.tag).into_bytes();
        out.extend_from_slice(command);
        out.extend_from_slice(b"\r\n");
        self.send_raw(&out)
    }

    /// Sends bytes as they are, such as DONE.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.stream
            .write_all(bytes)
            .map_err(|e| format!("write: {e}"))
    }

    /// Reads up to the tagged line of the last command.
    pub(super) fn answer(&mut self) -> Fallible<Answer> {
        self.answer_seen(|_| ())
    }

    /// The same, showing each line that begins a response.
    pub(super) fn answer_seen(&mut self, mut see: impl FnMut(&[u8])) -> Fallible<Answer> {
        let tag = format!("b{} ", self.tag).into_bytes();
        let mut answer = Answer::default();
        let mut continues = false;
        loop {
            let line = self.line()?;
            let bytes = &self.buffer[line.from..line.to];
            answer.bytes += bytes.len() as u64;
            if !continues {
                if let Some(rest) = bytes.strip_prefix(tag.as_slice()) {
                    answer.status = String::from_utf8_lossy(rest).trim_end().to_owned();
                    return Ok(answer);
                }
                classify(bytes, &mut answer);
                see(bytes);
            }
            let literal = literal_size(bytes);
            continues = literal.is_some();
            if let Some(size) = literal {
                self.skip(size)?;
                answer.literal_bytes += size as u64;
                answer.bytes += size as u64;
            }
        }
    }

    /// The socket, for somebody who waits for what is said unasked. Nothing may have come already.
    pub(super) fn into_stream(self) -> Fallible<TcpStream> {
        match self.start == self.end {
            true => Ok(self.stream),
            false => Err("the server said more than was asked".into()),
        }
    }

    /// Waits for an untagged line that holds `word`, or for a continuation request if it is `+`.
    pub(super) fn wait_for(&mut self, word: &str) -> Fallible<()> {
        loop {
            let line = self.line()?;
            let bytes = &self.buffer[line.from..line.to];
            if bytes.starts_with(word.as_bytes())
                || (word != "+" && memchr::memmem::find(bytes, word.as_bytes()).is_some())
            {
                return Ok(());
            }
        }
    }

    /// The next line, with its end. It stays valid until the next read.
    fn line(&mut self) -> Fallible<Line> {
        let mut looked_at = self.start;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[looked_at..self.end]) {
                let line = Line {
                    from: self.start,
                    to: looked_at + at + 1,
                };
                self.start = line.to;
                return Ok(line);
            }
            looked_at = self.end - self.start;
            self.fill()?;
        }
    }

    /// Reads more behind what is not yet used, which moves to the front.
    fn fill(&mut self) -> Fallible<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.end == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let got = self
            .stream
            .read(&mut self.buffer[self.end..])
            .map_err(|e| format!("read: {e}"))?;
        if got == 0 {
            return Err("connection closed by the server".into());
        }
        self.end += got;
        Ok(())
    }

    fn skip(&mut self, mut size: usize) -> Fallible<()> {
        loop {
            let here = size.min(self.end - self.start);
            self.start += here;
            size -= here;
            if size == 0 {
                return Ok(());
            }
            self.fill()?;
        }
    }
}

/// Counts what an untagged line begins.
fn classify(line: &[u8], answer: &mut Answer) {
    let Some(rest) = line.strip_prefix(b"* ") else {
        return;
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits > 0 {
        answer.messages += u64::from(rest[digits..].starts_with(b" FETCH "));
    } else if rest.starts_with(b"SEARCH")
        || rest.starts_with(b"SORT")
        || rest.starts_with(b"THREAD")
    {
        count_numbers(rest, answer);
    }
}

fn count_numbers(line: &[u8], answer: &mut Answer) {
    let mut inside = false;
    for byte in line {
        if byte.is_ascii_digit() {
            answer.numbers += u64::from(!inside);
            answer.digest = answer
                .digest
                .wrapping_mul(31)
                .wrapping_add(u64::from(*byte));
        } else if inside {
            answer.digest = answer.digest.wrapping_mul(37).wrapping_add(1);
        }
        inside = byte.is_ascii_digit();
    }
}

/// The size of the literal that a line ends by announcing.
fn literal_size(line: &[u8]) -> Option<usize> {
    let head = line.strip_suffix(b"}\r\n")?;
    let digits = head.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, number) = head.split_at(head.len() - digits);
    if !before.ends_with(b"{") {
        return None;
    }
    std::str::from_utf8(number).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_seen_only_at_the_end_of_a_line() {
        assert_eq!(literal_size(b"* 1 FETCH (BODY[] {12}\r\n"), Some(12));
        assert_eq!(literal_size(b"* 1 FETCH (BINARY[1] ~{3}\r\n"), Some(3));
        assert_eq!(literal_size(b"* 1 FETCH (FLAGS ())\r\n"), None);
        assert_eq!(literal_size(b"* x }\r\n"), None);
    }

    #[test]
    fn numbers_count_in_their_order() {
        let read = |line: &[u8]| {
            let mut answer = Answer::default();
            classify(line, &mut answer);
            answer
        };
        assert_eq!(read(b"* SEARCH 1 22 3\r\n").numbers, 3);
        assert_ne!(
            read(b"* SORT 1 2\r\n").digest,
            read(b"* SORT 2 1\r\n").digest
        );
        assert_ne!(
            read(b"* SORT 12\r\n").digest,
            read(b"* SORT 1 2\r\n").digest
        );
        assert_eq!(read(b"* 7 FETCH (FLAGS ())\r\n").messages, 1);
        assert_eq!(read(b"* 7 EXISTS\r\n").messages, 0);
    }
}
