//! What responses are made of: atoms, strings and lists (RFC 9051 §4), read without knowing the
//! response.

use crate::limits::RESPONSE_DEPTH_MAX;

/// A value in a response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// `NIL`
    Nil,
    /// An atom, a number, a flag, or the name of a fetched section with its brackets.
    Atom(Vec<u8>),
    /// A quoted string, a literal or a literal8.
    String(Vec<u8>),
    /// A parenthesised list.
    List(Vec<Self>),
}

/// The bytes are no response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The offset of the first byte that does not belong.
    pub at: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl Node {
    /// The bytes of an atom or string.
    #[must_use]
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) | Self::String(bytes) => Some(bytes),
            Self::Nil | Self::List(_) => None,
        }
    }

    /// The members of a list.
    #[must_use]
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(members) => Some(members),
            _ => None,
        }
    }

    /// The number an atom stands for.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self {
            Self::Atom(digits) => str::from_utf8(digits).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The value after `name`, in any case, in a list of names and values, as FETCH and STATUS
    /// have it.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<&Self> {
        let (pairs, _) = self.list()?.as_chunks::<2>();
        pairs.iter().find_map(|[key, value]| {
            let is_it = key.bytes()?.eq_ignore_ascii_case(name.as_bytes());
            is_it.then_some(value)
        })
    }
}

/// Where a sequence of values ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// With the response.
    End,
    /// Before a closing bracket, outside of lists.
    Bracket,
}

/// The rest of a response.
#[derive(Debug)]
pub(super) struct Input<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Input<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub(super) const fn fail<T>(&self, expected: &'static str) -> Result<T, Unreadable> {
        Err(Unreadable {
            at: self.at,
            expected,
        })
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, _) = self.rest().split_at(self.rest().len().min(count));
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    pub(super) fn eat(&mut self, text: &[u8]) -> bool {
        let is_there = self.rest().starts_with(text);
        if is_there {
            self.take(text.len());
        }
        is_there
    }

    pub(super) fn expect(&mut self, text: &[u8], expected: &'static str) -> Result<(), Unreadable> {
        if self.eat(text) {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// What stands before the next space or the end; it is never empty.
    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'a str, Unreadable> {
        let rest = self.rest();
        let length = memchr::memchr(b' ', rest).unwrap_or(rest.len());
        match str::from_utf8(rest.get(..length).unwrap_or_default()) {
            Ok(word) if !word.is_empty() => {
                self.take(length);
                Ok(word)
            }
            _ => self.fail(expected),
        }
    }

    /// Reads values, lists with a stack of their own.
    pub(super) fn nodes(&mut self, until: Until) -> Result<Vec<Node>, Unreadable> {
        let mut open: Vec<Vec<Node>> = Vec::new();
        let mut nodes = Vec::new();
        while let Some(byte) = self.peek() {
            match byte {
                b']' if until == Until::Bracket && open.is_empty() => break,
                b' ' => {
                    self.take(1);
                }
                b'(' if open.len() >= RESPONSE_DEPTH_MAX => return self.fail("fewer levels"),
                b'(' => {
                    self.take(1);
                    open.push(std::mem::take(&mut nodes));
                }
                b')' => {
                    let Some(outer) = open.pop() else {
                        return self.fail("no closing parenthesis");
                    };
                    self.take(1);
                    let list = std::mem::replace(&mut nodes, outer);
                    nodes.push(Node::List(list));
                }
                _ => nodes.push(self.node(until)?),
            }
        }
        if open.is_empty() {
            Ok(nodes)
        } else {
            self.fail("a closing parenthesis")
        }
    }

    fn node(&mut self, until: Until) -> Result<Node, Unreadable> {
        match self.rest() {
            [b'"', ..] => self.quoted().map(Node::String),
            [b'{', ..] | [b'~', b'{', ..] => self.literal().map(Node::String),
            _ => self.atom(until),
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, Unreadable> {
        self.expect(b"\"", "a quote")?;
        let mut text = Vec::new();
        loop {
            let run = memchr::memchr2(b'"', b'\\', self.rest()).unwrap_or(self.rest().len());
            text.extend_from_slice(self.take(run));
            match self.take(1) {
                b"\"" => return Ok(text),
                b"\\" if matches!(self.peek(), Some(b'"' | b'\\')) => {
                    text.extend_from_slice(self.take(1));
                }
                _ => return self.fail("a closing quote"),
            }
        }
    }

    fn literal(&mut self) -> Result<Vec<u8>, Unreadable> {
        self.eat(b"~");
        self.expect(b"{", "a literal")?;
        let digits = self
            .rest()
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        let size = str::from_utf8(self.take(digits)).ok().map(str::parse);
        let Some(Ok(size)) = size else {
            return self.fail("the size of a literal");
        };
        self.expect(b"}\r\n", "the end of the line after a literal's size")?;
        let text = self.take(size);
        if text.len() < size {
            return self.fail("the bytes of the literal");
        }
        Ok(text.to_vec())
    }

    fn atom(&mut self, until: Until) -> Result<Node, Unreadable> {
        let start = self.at;
        while let Some(byte) = self.peek() {
            match byte {
                b']' if until == Until::Bracket => break,
                b'[' if is_section(self.bytes.get(start..self.at).unwrap_or_default()) => {
                    self.section()?;
                }
                0..=b' ' | b'(' | b')' | b'"' | b'{' | 0x7f => break,
                _ => {
                    self.take(1);
                }
            }
        }
        match self.bytes.get(start..self.at) {
            None | Some([]) => self.fail("a value"),
            Some(nil) if nil.eq_ignore_ascii_case(b"NIL") => Ok(Node::Nil),
            Some(atom) => Ok(Node::Atom(atom.to_vec())),
        }
    }

    /// `[…]` after BODY or BINARY, whose header field names may be strings.
    fn section(&mut self) -> Result<(), Unreadable> {
        loop {
            match self.rest() {
                [] => return self.fail("a closing bracket"),
                [b'"', ..] => {
                    self.quoted()?;
                }
                [b'{', ..] => {
                    self.literal()?;
                }
                _ if self.eat(b"]") => return Ok(()),
                _ => {
                    self.take(1);
                }
            }
        }
    }
}

/// Whether a bracket after this opens a section.
fn is_section(name: &[u8]) -> bool {
    [&b"BODY"[..], b"BINARY", b"BINARY.SIZE"]
        .iter()
        .any(|section| name.eq_ignore_ascii_case(section))
}
