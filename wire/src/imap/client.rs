//! The client's side: cutting a server's bytes into responses, and reading these as values
//! (RFC 9051 §7, §9 `response`).
//!
//! For tests, fuzzing and tools: it reads what any server sends as a tree of atoms, strings and
//! lists, and does not know what each response means.

mod node;

use bytes::{Buf as _, BytesMut};

use self::node::{Input, Until};
pub use self::node::{Node, Unreadable};

/// Cuts a server's bytes into whole responses with their literals.
#[derive(Debug)]
pub struct Reader {
    buffer: BytesMut,
    response_bytes_max: usize,
    /// Where the line begins that has not ended yet; what is before belongs to the response.
    line: usize,
}

/// A response is over the limit; the connection cannot be read any further.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

impl Reader {
    /// A reader of responses of at most this many bytes.
    #[must_use]
    pub fn new(response_bytes_max: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            response_bytes_max,
            line: 0,
        }
    }

    /// The buffer to read into: bytes are appended, nothing else is touched.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// The next response without its line end; `None` if it is not complete yet.
    ///
    /// # Errors
    /// If it is longer than the limit.
    pub fn response(&mut self) -> Result<Option<BytesMut>, TooLong> {
        while let Some(length) = self.line_length() {
            let end = self.line.saturating_add(length);
            let line = self.buffer.get(self.line..end).unwrap_or_default();
            let Some(literal) = announced(line) else {
                let response = self.buffer.split_to(end);
                self.buffer.advance(2);
                self.line = 0;
                return Ok(Some(response));
            };
            let next = end.saturating_add(2).saturating_add(literal);
            if next > self.response_bytes_max {
                return Err(TooLong);
            }
            if next > self.buffer.len() {
                return Ok(None);
            }
            self.line = next;
        }
        if self.buffer.len() > self.response_bytes_max {
            return Err(TooLong);
        }
        Ok(None)
    }

    fn line_length(&self) -> Option<usize> {
        let unread = self.buffer.get(self.line..).unwrap_or_default();
        memchr::memmem::find(unread, b"\r\n")
    }
}

/// The size in `{n}` at the end of a line.
fn announced(line: &[u8]) -> Option<usize> {
    let inside = line.strip_suffix(b"}")?;
    let open = memchr::memrchr(b'{', inside)?;
    let digits = str::from_utf8(inside.get(open.saturating_add(1)..)?).ok()?;
    let is_number = digits.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

/// A response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Response {
    /// `+`, with its text or base64.
    Continuation(Vec<u8>),
    /// The tagged answer of a command.
    Tagged(String, Condition),
    /// An untagged OK, NO, BAD, PREAUTH or BYE.
    Untagged(Condition),
    /// Any other untagged response.
    Data(Data),
}

/// A condition: what is said of a command or connection.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// `OK`, `NO`, `BAD`, `PREAUTH` or `BYE`.
    pub status: String,
    /// The response code: its name in upper case and what follows it.
    pub code: Option<(String, Vec<Node>)>,
    /// The text for people.
    pub text: Vec<u8>,
}

/// Untagged data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Data {
    /// The number before the name, as in `3 EXISTS`.
    pub number: Option<u32>,
    /// The name in upper case.
    pub name: String,
    /// What follows.
    pub values: Vec<Node>,
}

impl Response {
    /// Reads one response, as [`Reader::response`] gives it.
    ///
    /// # Errors
    /// If it is not a response, with the offset of the first byte that does not belong.
    pub fn parse(response: &[u8]) -> Result<Self, Unreadable> {
        let mut input = Input::new(response);
        if input.eat(b"+") {
            input.eat(b" ");
            return Ok(Self::Continuation(input.rest().to_vec()));
        }
        let tag = input.word("a tag, * or +")?;
        input.expect(b" ", "a space")?;
        if tag != "*" {
            let status = input.word("OK, NO or BAD")?.to_ascii_uppercase();
            return Ok(Self::Tagged(tag.to_owned(), condition(&mut input, status)?));
        }
        let (number, name) = numbered_name(&mut input)?;
        if number.is_none() && matches!(name.as_str(), "OK" | "NO" | "BAD" | "PREAUTH" | "BYE") {
            return condition(&mut input, name).map(Self::Untagged);
        }
        let values = input.nodes(Until::End)?;
        Ok(Self::Data(Data {
            number,
            name,
            values,
        }))
    }
}

fn numbered_name(input: &mut Input<'_>) -> Result<(Option<u32>, String), Unreadable> {
    let word = input.word("a number or a name")?;
    let Ok(number) = word.parse() else {
        return Ok((None, word.to_ascii_uppercase()));
    };
    input.expect(b" ", "a space")?;
    let name = input.word("a name")?;
    Ok((Some(number), name.to_ascii_uppercase()))
}

/// `[code] text`, after the status.
fn condition(input: &mut Input<'_>, status: String) -> Result<Condition, Unreadable> {
    input.expect(b" ", "a space")?;
    let code = if input.eat(b"[") {
        let mut nodes = input.nodes(Until::Bracket)?.into_iter();
        let name = match nodes.next() {
            Some(Node::Atom(name)) => String::from_utf8_lossy(&name).to_ascii_uppercase(),
            _ => return input.fail("the name of a code"),
        };
        input.expect(b"]", "a closing bracket")?;
        input.eat(b" ");
        Some((name, nodes.collect()))
    } else {
        None
    };
    let text = input.rest().to_vec();
    Ok(Condition { status, code, text })
}

#[cfg(test)]
mod tests;
