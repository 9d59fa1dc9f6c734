//! A reader over one whole command: each step says what it expects, and fails with the offset at
//! which something else stood (RFC 9051 §9).
//!
//! Literals stand where the client put them, announcement and bytes; [`crate::frame`] has checked
//! their sizes before a cursor sees them. A cursor over the part of a command that ends in the
//! announcement of a literal stops there with `Stop::AtLiteral`.
//!
//! Not here: which commands there are, and what is refused for reasons other than syntax.

use std::{borrow::Cow, fmt};

use mail::flag::is_atom_byte;

use crate::{imap::search::SearchReturn, limits::Limits};

/// What was expected, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SyntaxError {
    /// The offset in the command, from 0, in bytes.
    pub at: usize,
    /// What should have stood there.
    pub expected: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {} at byte {}", self.expected, self.at)
    }
}

impl std::error::Error for SyntaxError {}

/// What is well formed, and yet no command this server can carry out: answered NO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// SEARCH names a charset other than US-ASCII and UTF-8: NO `[BADCHARSET]`. What it asked to be
    /// returned is kept, since NO with SAVE empties `$` (RFC 9051 §6.4.4.1).
    Charset(Option<SearchReturn>),
    /// A keyword is longer than [`mail::limits::KEYWORD_BYTES_MAX`], or there are more than
    /// [`Limits::keywords_max`]: NO `[LIMIT]`.
    Keywords,
}

/// Why a grammar gave no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stop {
    /// It is not well formed.
    Syntax(SyntaxError),
    /// There is no command of that name.
    UnknownCommand,
    /// It is well formed as far as it was read, and refused.
    Refused(Refusal),
    /// The rest follows when the literal announced at the end is there.
    AtLiteral,
}

/// What a grammar rule gives.
pub(crate) type Parsed<T> = Result<T, Stop>;

/// Whether a cursor sees all of its command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// To its end, without the line end.
    Whole,
    /// As far as a literal's announcement, its line end included.
    ToLiteral,
}

/// An announcement: `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Announced {
    /// How many bytes follow.
    pub(crate) size: u64,
    /// Whether the client waits for `+`.
    pub(crate) waits: bool,
    /// Whether it is a literal8.
    pub(crate) binary: bool,
}

/// The reader.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    extent: Extent,
    depth: usize,
    limits: &'a Limits,
}

impl<'a> Cursor<'a> {
    /// A reader at the beginning of `bytes`.
    pub(crate) const fn new(bytes: &'a [u8], extent: Extent, limits: &'a Limits) -> Self {
        Self {
            bytes,
            at: 0,
            extent,
            depth: 0,
            limits,
        }
    }

    /// The limits in force.
    pub(crate) const fn limits(&self) -> &'a Limits {
        self.limits
    }

    /// Where it stands.
    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    /// Goes back to where it stood.
    pub(crate) const fn back_to(&mut self, at: usize) {
        self.at = at;
    }

    /// The failure that something else was expected here.
    pub(crate) const fn fail<T>(&self, expected: &'static str) -> Parsed<T> {
        self.fail_at(self.at, expected)
    }

    /// The failure that something else was expected there.
    pub(crate) const fn fail_at<T>(&self, at: usize, expected: &'static str) -> Parsed<T> {
        Err(Stop::Syntax(SyntaxError { at, expected }))
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next byte, left where it is.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    const fn step(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// Whether the next byte is this one; it is then behind.
    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.step(1);
        }
        there
    }

    /// Whether these bytes are next, letters in any case; they are then behind.
    pub(crate) fn eat_text(&mut self, text: &str) -> bool {
        let there = self
            .rest()
            .get(..text.len())
            .is_some_and(|next| next.eq_ignore_ascii_case(text.as_bytes()));
        if there {
            self.step(text.len());
        }
        there
    }

    /// Whether these bytes are next; they are left where they are.
    pub(crate) fn is_next(&self, bytes: &[u8]) -> bool {
        self.rest().starts_with(bytes)
    }

    /// One byte that must stand here.
    pub(crate) fn byte(&mut self, byte: u8, expected: &'static str) -> Parsed<()> {
        if self.eat(byte) {
            Ok(())
        } else {
            self.fail(expected)
        }
    }

    /// Exactly one space (RFC 9051 §9, note 2).
    pub(crate) fn sp(&mut self) -> Parsed<()> {
        self.byte(b' ', "a space")
    }

    /// The end of the command.
    pub(crate) fn end(&self) -> Parsed<()> {
        if self.rest().is_empty() {
            Ok(())
        } else {
            self.fail("the end of the command")
        }
    }

    /// The bytes from here that satisfy `test`, maybe none.
    pub(crate) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = self.rest();
        let len = rest
            .iter()
            .position(|&byte| !test(byte))
            .unwrap_or(rest.len());
        self.step(len);
        rest.get(..len).unwrap_or_default()
    }

    /// At least one byte that satisfies `test`; such bytes are ASCII.
    fn some(&mut self, test: impl Fn(u8) -> bool, expected: &'static str) -> Parsed<&'a str> {
        let start = self.at;
        match std::str::from_utf8(self.take_while(test)) {
            Ok(text) if !text.is_empty() => Ok(text),
            _ => self.fail_at(start, expected),
        }
    }

    /// ```abnf
    /// atom = 1*ATOM-CHAR
    /// ```
    pub(crate) fn atom(&mut self, expected: &'static str) -> Parsed<&'a str> {
        self.some(is_atom_byte, expected)
    }

    /// ```abnf
    /// tag = 1*<any ASTRING-CHAR except "+">
    /// ```
    pub(crate) fn tag(&mut self) -> Parsed<&'a str> {
        self.some(|byte| is_astring_byte(byte) && byte != b'+', "a tag")
    }

    /// A name of the protocol: letters, digits, and what its names hold besides; in upper case.
    pub(crate) fn name(&mut self, expected: &'static str) -> Parsed<String> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'=');
        self.some(is_name, expected).map(str::to_ascii_uppercase)
    }

    /// ```abnf
    /// astring = 1*ASTRING-CHAR / string
    /// ```
    pub(crate) fn astring(&mut self, expected: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(expected),
            _ => self
                .some(is_astring_byte, expected)
                .map(|text| Cow::Borrowed(text.as_bytes())),
        }
    }

    /// ```abnf
    /// list-mailbox = 1*list-char / string
    /// list-char    = ATOM-CHAR / list-wildcards / resp-specials
    /// ```
    pub(crate) fn list_mailbox(&mut self) -> Parsed<Cow<'a, [u8]>> {
        let is_list_byte = |byte| is_astring_byte(byte) || matches!(byte, b'%' | b'*');
        match self.peek() {
            Some(b'"' | b'{') => self.string("a mailbox pattern"),
            _ => self
                .some(is_list_byte, "a mailbox pattern")
                .map(|text| Cow::Borrowed(text.as_bytes())),
        }
    }

    /// An astring that is UTF-8.
    pub(crate) fn text(&mut self, expected: &'static str) -> Parsed<String> {
        let start = self.at;
        match String::from_utf8(self.astring(expected)?.into_owned()) {
            Ok(text) => Ok(text),
            Err(_) => self.fail_at(start, "text in UTF-8"),
        }
    }

    /// ```abnf
    /// string = quoted / literal
    /// ```
    pub(crate) fn string(&mut self, expected: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            _ => self.fail(expected),
        }
    }

    /// ```abnf
    /// quoted      = DQUOTE *QUOTED-CHAR DQUOTE
    /// QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials /
    ///               UTF8-2 / UTF8-3 / UTF8-4
    /// ```
    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.byte(b'"', "a quoted string")?;
        let start = self.at;
        let mut text: Cow<'a, [u8]> = Cow::Borrowed(&[]);
        loop {
            let run = self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n' | 0));
            match &mut text {
                Cow::Borrowed([]) => text = Cow::Borrowed(run),
                text => text.to_mut().extend_from_slice(run),
            }
            if self.eat(b'"') {
                break;
            }
            self.byte(b'\\', "the closing quote")?;
            match self.peek() {
                Some(byte @ (b'"' | b'\\')) => text.to_mut().push(byte),
                _ => return self.fail("a quote or a backslash"),
            }
            self.step(1);
        }
        if std::str::from_utf8(&text).is_err() {
            return self.fail_at(start, "UTF-8 in a quoted string");
        }
        Ok(text)
    }

    /// ```abnf
    /// literal = "{" number64 ["+"] "}" CRLF *CHAR8
    /// ```
    fn literal(&mut self) -> Parsed<&'a [u8]> {
        let announced = self.announced()?;
        if self.extent == Extent::ToLiteral && self.rest().is_empty() {
            return Err(Stop::AtLiteral);
        }
        let data = usize::try_from(announced.size)
            .ok()
            .and_then(|size| self.rest().get(..size));
        let Some(data) = data else {
            return self.fail("the bytes of the literal");
        };
        if let Some(nul) = memchr::memchr(0, data) {
            return self.fail_at(self.at.saturating_add(nul), "no NUL in a literal");
        }
        self.step(data.len());
        Ok(data)
    }

    /// A literal's announcement with its line end; the framing lets a bare LF end a line.
    pub(crate) fn announced(&mut self) -> Parsed<Announced> {
        let binary = self.eat(b'~');
        self.byte(b'{', "a literal")?;
        let size = self.number64()?;
        let waits = !self.eat(b'+');
        self.byte(b'}', "the end of the literal's size")?;
        self.eat(b'\r');
        self.byte(b'\n', "the end of the line after a literal's size")?;
        Ok(Announced {
            size,
            waits,
            binary,
        })
    }

    /// Whether nothing stands after the announcement just read, in a command read as far as that.
    pub(crate) fn is_at_literal(&self) -> bool {
        self.extent == Extent::ToLiteral && self.rest().is_empty()
    }

    /// ```abnf
    /// number64 = 1*DIGIT   ; 0 <= n <= 9,223,372,036,854,775,807
    /// ```
    pub(crate) fn number64(&mut self) -> Parsed<u64> {
        let start = self.at;
        let digits = self.some(|byte| byte.is_ascii_digit(), "a number")?;
        match digits.parse::<u64>() {
            Ok(number) if i64::try_from(number).is_ok() => Ok(number),
            _ => self.fail_at(start, "a number below 2^63"),
        }
    }

    /// ```abnf
    /// nz-number = digit-nz *DIGIT   ; 0 < n < 4,294,967,296
    /// ```
    pub(crate) fn nz_number(&mut self) -> Parsed<u32> {
        let start = self.at;
        let digits = self.some(|byte| byte.is_ascii_digit(), "a number")?;
        match digits.parse::<u32>() {
            Ok(number) if !digits.starts_with('0') => Ok(number),
            _ => self.fail_at(start, "a number from 1 to 4294967295"),
        }
    }

    /// So many digits as a number: dates and times have them.
    pub(crate) fn digits(&mut self, count: usize, expected: &'static str) -> Parsed<u16> {
        let digits = self.rest().get(..count).unwrap_or_default();
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .and_then(|text| text.parse().ok());
        let Some(number) = number else {
            return self.fail(expected);
        };
        self.step(count);
        Ok(number)
    }

    /// Goes one level of parentheses down, without reading anything; see [`Self::leave`].
    pub(crate) fn enter(&mut self) -> Parsed<()> {
        if self.depth >= self.limits.depth_max {
            return self.fail("fewer levels of parentheses");
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    /// Comes back up.
    pub(crate) const fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// `"(" item *(SP item) ")"`, each read by `item`.
    pub(crate) fn list(&mut self, mut item: impl FnMut(&mut Self) -> Parsed<()>) -> Parsed<()> {
        self.byte(b'(', "an opening parenthesis")?;
        self.enter()?;
        loop {
            item(self)?;
            if self.eat(b')') {
                break;
            }
            self.byte(b' ', "a space or a closing parenthesis")?;
        }
        self.leave();
        Ok(())
    }

    /// `"(" [item *(SP item)] ")"`, each read by `item`.
    pub(crate) fn list_or_empty(
        &mut self,
        item: impl FnMut(&mut Self) -> Parsed<()>,
    ) -> Parsed<()> {
        if self.eat_text("()") {
            return Ok(());
        }
        self.list(item)
    }
}

/// `ASTRING-CHAR` of RFC 9051 §9.
const fn is_astring_byte(byte: u8) -> bool {
    is_atom_byte(byte) || byte == b']'
}
