//! The structure of a stored message: which section a client names (RFC 9051 §6.4.5.1),
//! where that section lies in the stored bytes, and the compact form in which the part
//! tree is kept with the message.
//!
//! Not here: the syntax of sections (that is `wire`), and finding the parts (that is
//! [`crate::mime`]).
//!
//! The compact form is, in variable-length numbers (seven bits a byte, lowest first): the
//! version, the size of the message, the number of parts; then for each part, in the order of
//! [`Index::parts`]: a byte of kind and encoding; the distance of its header from the body of the
//! part before; the lengths of header and body; the lines; for a leaf its type (a byte), its
//! charset (length and bytes) and, if the body is encoded, its decoded size; for a multipart the
//! number of parts directly inside.

use std::ops::Range;

use crate::{
    limits,
    mime::{Encoding, Index, Part, PartKind, children, fields::Keep},
};

/// The section of a message that `BODY[...]` or `BINARY[...]` names (RFC 9051 §6.4.5.1).
///
/// The empty path with no text is the whole message, `BODY[]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Section {
    /// Part numbers, outermost first, each at least 1. Empty means the message itself.
    pub path: Vec<u32>,
    /// Which text of the part is meant; `None` is its whole content.
    pub text: Option<SectionText>,
}

/// The part of a message or body part that a section specifier names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SectionText {
    /// `HEADER`: the whole header of a message, with its blank line.
    Header,
    /// `HEADER.FIELDS (...)`: these fields and the blank line.
    HeaderFields(Vec<Box<[u8]>>),
    /// `HEADER.FIELDS.NOT (...)`: all fields but these, and the blank line.
    HeaderFieldsNot(Vec<Box<[u8]>>),
    /// `TEXT`: a message without its header.
    Text,
    /// `MIME`: the MIME header of a body part. Never without a part number.
    Mime,
}

/// The part tree of a stored message: what answers every section without reading the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The size of the message in bytes.
    pub size: u64,
    /// The parts, as in [`Index::parts`]. There is always one.
    pub parts: Vec<PartSpan>,
}

/// Where a part lies and how its body is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartSpan {
    /// The part this is in.
    pub parent: Option<usize>,
    /// How many parts are in this one, at any depth: they follow it in the list.
    pub descendants: usize,
    /// What it holds.
    pub kind: PartKind,
    /// The header with its blank line, in bytes of the stored message.
    pub header: Range<u64>,
    /// The body.
    pub body: Range<u64>,
    /// Line ends in the body.
    pub lines: u64,
    /// How to decode the body.
    pub encoding: Encoding,
    /// The size of the body when decoded; `None` if it cannot be decoded.
    pub decoded_size: Option<u64>,
    /// What a leaf is to search and preview.
    pub text: TextKind,
    /// The charset as the part names it; empty if it does not.
    pub charset: Vec<u8>,
}

/// Whether a leaf has text for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// No `text/*` part.
    NotText,
    /// `text/html`.
    Html,
    /// `text/*` else.
    Plain,
}

/// Where the bytes of a section lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Located<'s> {
    /// These bytes of the message.
    Bytes(Range<u64>),
    /// The fields of the header in `header` that [`crate::mime::fields::header_fields`] returns for
    /// `names` and `keep`.
    Fields {
        /// The whole header in the message.
        header: Range<u64>,
        /// The names the client gave.
        names: &'s [Box<[u8]>],
        /// Whether it wants them or all others.
        keep: Keep,
    },
}

/// What `BINARY[...]` decodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binary {
    /// The encoded bytes in the message.
    pub body: Range<u64>,
    /// How to decode them.
    pub encoding: Encoding,
    /// How many bytes they are then (`BINARY.SIZE`); `None` if it is not known how to decode them
    /// (`NO [UNKNOWN-CTE]`).
    pub size: Option<u64>,
}

/// A compact form that is damaged, or of a version this program does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damaged;

impl std::fmt::Display for Damaged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stored message structure is damaged or of an unknown version")
    }
}

impl std::error::Error for Damaged {}

/// Makes the compact form in which a structure is kept with its message.
#[must_use]
pub fn encode(index: &Index) -> Vec<u8> {
    Parts::from(index).encode()
}

/// Reads the compact form.
///
/// # Errors
///
/// [`Damaged`] if it is not what [`encode`] makes. Never panics, whatever the bytes.
pub fn decode(bytes: &[u8]) -> Result<Parts, Damaged> {
    let mut reader = Reader { rest: bytes };
    if reader.number()? != VERSION {
        return Err(Damaged);
    }
    let parts = reader.parts()?;
    if reader.rest.is_empty() {
        Ok(parts)
    } else {
        Err(Damaged)
    }
}

impl From<&Index> for Parts {
    fn from(index: &Index) -> Self {
        Self {
            size: index.size,
            parts: index.parts.iter().map(PartSpan::from).collect(),
        }
    }
}

impl From<&Part> for PartSpan {
    fn from(part: &Part) -> Self {
        let text = match (part.kind, part.media.has_type("text")) {
            (PartKind::Leaf, true) if part.media.is("text", "html") => TextKind::Html,
            (PartKind::Leaf, true) => TextKind::Plain,
            _ => TextKind::NotText,
        };
        let charset = match text {
            TextKind::NotText => None,
            TextKind::Html | TextKind::Plain => part.media.param("charset"),
        };
        let mut charset = charset.unwrap_or_default().into_owned();
        charset.truncate(CHARSET_BYTES_MAX);
        Self {
            parent: part.parent,
            descendants: part.descendants,
            kind: part.kind,
            header: part.header.clone(),
            body: part.body.clone(),
            lines: part.lines,
            encoding: part.encoding,
            decoded_size: part.decoded_size,
            text,
            charset,
        }
    }
}

/// A position on the way along a part path.
#[derive(Clone, Copy)]
enum Place {
    /// A message, by its root part: the outermost, or one inside a message part.
    Message(usize),
    /// A body part.
    Part(usize),
}

impl Parts {
    /// Where a section lies; `None` if the message has no such part, or the part no such text.
    ///
    /// Part 1 of a message that is not a multipart is its body, and its `MIME` is the message's
    /// header (RFC 9051 §6.4.5.1).
    #[must_use]
    pub fn locate<'s>(&self, section: &'s Section) -> Option<Located<'s>> {
        let place = self.walk(&section.path)?;
        let Some(text) = &section.text else {
            return self.whole(place).map(Located::Bytes);
        };
        if let SectionText::Mime = text {
            let Place::Part(part) = place else {
                return None;
            };
            return Some(Located::Bytes(self.parts.get(part)?.header.clone()));
        }
        let root = self.parts.get(self.message_at(place)?)?;
        let header = root.header.clone();
        Some(match text {
            SectionText::Header | SectionText::Mime => Located::Bytes(header),
            SectionText::Text => Located::Bytes(root.body.clone()),
            SectionText::HeaderFields(names) => Located::Fields {
                header,
                names,
                keep: Keep::Named,
            },
            SectionText::HeaderFieldsNot(names) => Located::Fields {
                header,
                names,
                keep: Keep::Others,
            },
        })
    }

    /// What `BINARY[path]` decodes; `None` if the message has no such part. The empty path is the
    /// whole message, which is not encoded.
    #[must_use]
    pub fn binary(&self, path: &[u32]) -> Option<Binary> {
        let place = self.walk(path)?;
        let body = self.whole(place)?;
        Some(match place {
            Place::Message(_) => Binary {
                body,
                encoding: Encoding::Identity,
                size: Some(self.size),
            },
            Place::Part(part) => {
                let part = self.parts.get(part)?;
                Binary {
                    body,
                    encoding: part.encoding,
                    size: part.decoded_size,
                }
            }
        })
    }

    /// The part a path names, as an index into [`Parts::parts`]; `None` if there is none, or the
    /// path is empty.
    #[must_use]
    pub fn part_at(&self, path: &[u32]) -> Option<usize> {
        match self.walk(path)? {
            Place::Message(_) => None,
            Place::Part(part) => Some(part),
        }
    }

    fn walk(&self, path: &[u32]) -> Option<Place> {
        path.iter()
            .try_fold(Place::Message(0), |place, number| self.step(place, *number))
    }

    fn step(&self, place: Place, number: u32) -> Option<Place> {
        let (at, is_message) = match place {
            Place::Message(root) => (root, true),
            Place::Part(part) => match self.parts.get(part)?.kind {
                PartKind::Message => (part.checked_add(1)?, true),
                PartKind::Multipart | PartKind::Leaf => (part, false),
            },
        };
        let number = usize::try_from(number.checked_sub(1)?).ok()?;
        match self.parts.get(at)?.kind {
            PartKind::Multipart => self.children(at).nth(number).map(Place::Part),
            PartKind::Message | PartKind::Leaf if is_message && number == 0 => {
                Some(Place::Part(at))
            }
            PartKind::Message | PartKind::Leaf => None,
        }
    }

    /// The root of the message at a place.
    fn message_at(&self, place: Place) -> Option<usize> {
        match place {
            Place::Message(root) => Some(root),
            Place::Part(part) if self.parts.get(part)?.kind == PartKind::Message => {
                part.checked_add(1)
            }
            Place::Part(_) => None,
        }
    }

    fn whole(&self, place: Place) -> Option<Range<u64>> {
        match place {
            Place::Message(_) => Some(0..self.size),
            Place::Part(part) => Some(self.parts.get(part)?.body.clone()),
        }
    }

    /// The parts directly inside a part, in order.
    pub fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        children(parent, |part| {
            self.parts.get(part).map(|part| part.descendants)
        })
    }

    /// The structure of the same message with a header of another length: what comes after the
    /// header is the same bytes, elsewhere.
    #[must_use]
    pub fn with_header_bytes(mut self, header_bytes: u64) -> Self {
        let old = self.parts.first().map_or(0, |root| root.header.end);
        let shift = |at: u64| at.saturating_sub(old).saturating_add(header_bytes);
        self.size = shift(self.size);
        for (at, part) in self.parts.iter_mut().enumerate() {
            let start = if at == 0 { 0 } else { shift(part.header.start) };
            part.header = start..shift(part.header.end);
            part.body = shift(part.body.start)..shift(part.body.end);
        }
        self
    }

    /// Makes the compact form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.parts.len().saturating_mul(16).saturating_add(8));
        put(&mut out, VERSION);
        put(&mut out, self.size);
        put(&mut out, self.parts.len() as u64);
        let mut before = 0;
        for (at, part) in self.parts.iter().enumerate() {
            out.push(kind_code(part.kind) | (encoding_code(part.encoding) << 2));
            put(&mut out, part.header.start.saturating_sub(before));
            put(&mut out, length(&part.header));
            put(&mut out, length(&part.body));
            put(&mut out, part.lines);
            before = part.body.start;
            match part.kind {
                PartKind::Leaf => part.encode_leaf(&mut out),
                PartKind::Multipart => put(&mut out, self.children(at).count() as u64),
                PartKind::Message => {}
            }
        }
        out
    }
}

const VERSION: u64 = 1;
/// No charset has a longer name.
const CHARSET_BYTES_MAX: usize = 64;

fn kind_code(kind: PartKind) -> u8 {
    match kind {
        PartKind::Leaf => 0,
        PartKind::Multipart => 1,
        PartKind::Message => 2,
    }
}

fn encoding_code(encoding: Encoding) -> u8 {
    match encoding {
        Encoding::Identity => 0,
        Encoding::Base64 => 1,
        Encoding::QuotedPrintable => 2,
        Encoding::Unknown => 3,
    }
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

fn put(out: &mut Vec<u8>, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push(low_byte(rest) | 0x80);
        rest >>= 7;
    }
    out.push(low_byte(rest));
}

fn low_byte(number: u64) -> u8 {
    let [low, ..] = number.to_le_bytes();
    low
}

impl PartSpan {
    fn encode_leaf(&self, out: &mut Vec<u8>) {
        out.push(match self.text {
            TextKind::NotText => 0,
            TextKind::Html => 1,
            TextKind::Plain => 2,
        });
        put(out, self.charset.len() as u64);
        out.extend_from_slice(&self.charset);
        if matches!(self.encoding, Encoding::Base64 | Encoding::QuotedPrintable) {
            put(out, self.decoded_size.unwrap_or(0));
        }
    }
}

/// Reads the compact form; everything is checked.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Result<u8, Damaged> {
        let (byte, rest) = self.rest.split_first().ok_or(Damaged)?;
        self.rest = rest;
        Ok(*byte)
    }

    fn number(&mut self) -> Result<u64, Damaged> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits
                .checked_shl(shift)
                .filter(|s| s.checked_shr(shift) == Some(bits));
            number |= shifted.ok_or(Damaged)?;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(Damaged)
    }

    fn parts(&mut self) -> Result<Parts, Damaged> {
        let size = self.number()?;
        let count = usize::try_from(self.number()?).map_err(|_| Damaged)?;
        // Each part takes bytes, so a false count cannot reserve much.
        if count == 0 || count > limits::PARTS_MAX || count > self.rest.len() {
            return Err(Damaged);
        }
        let mut parts: Vec<PartSpan> = Vec::with_capacity(count);
        // The parts not yet complete, each with how many parts directly inside are to come.
        let mut open: Vec<(usize, u64)> = Vec::new();
        for at in 0..count {
            let parent = match open.last_mut() {
                Some((parent, missing)) => {
                    *missing = missing.saturating_sub(1);
                    Some(*parent)
                }
                None if at == 0 => None,
                None => return Err(Damaged),
            };
            let before = parts.last().map_or(0, |part| part.body.start);
            let (part, inside) = self.part(parent, before, size)?;
            parts.push(part);
            if inside > 0 {
                open.push((at, inside));
            }
            close_complete(&mut open, &mut parts)?;
        }
        if open.is_empty() {
            Ok(Parts { size, parts })
        } else {
            Err(Damaged)
        }
    }

    /// One part, and how many parts are directly inside.
    fn part(
        &mut self,
        parent: Option<usize>,
        before: u64,
        size: u64,
    ) -> Result<(PartSpan, u64), Damaged> {
        let code = self.byte()?;
        let encoding = match code >> 2 {
            0 => Encoding::Identity,
            1 => Encoding::Base64,
            2 => Encoding::QuotedPrintable,
            3 => Encoding::Unknown,
            _ => return Err(Damaged),
        };
        let start = before.checked_add(self.number()?).ok_or(Damaged)?;
        let body = start.checked_add(self.number()?).ok_or(Damaged)?;
        let end = body
            .checked_add(self.number()?)
            .filter(|end| *end <= size)
            .ok_or(Damaged)?;
        let lines = self.number()?;
        let mut part = PartSpan {
            parent,
            descendants: 0,
            kind: PartKind::Leaf,
            header: start..body,
            body: body..end,
            lines,
            encoding,
            decoded_size: Some(end.saturating_sub(body)),
            text: TextKind::NotText,
            charset: Vec::new(),
        };
        let inside = match code & 0b11 {
            0 => {
                self.leaf(&mut part)?;
                0
            }
            1 => self.number()?,
            2 => 1,
            _ => return Err(Damaged),
        };
        part.kind = match code & 0b11 {
            0 => PartKind::Leaf,
            1 if inside > 0 => PartKind::Multipart,
            2 => PartKind::Message,
            _ => return Err(Damaged),
        };
        Ok((part, inside))
    }

    fn leaf(&mut self, part: &mut PartSpan) -> Result<(), Damaged> {
        part.text = match self.byte()? {
            0 => TextKind::NotText,
            1 => TextKind::Html,
            2 => TextKind::Plain,
            _ => return Err(Damaged),
        };
        let length = usize::try_from(self.number()?).map_err(|_| Damaged)?;
        let (charset, rest) = self.rest.split_at_checked(length).ok_or(Damaged)?;
        part.charset = charset.to_vec();
        self.rest = rest;
        match part.encoding {
            Encoding::Identity => {}
            Encoding::Base64 | Encoding::QuotedPrintable => {
                part.decoded_size = Some(self.number()?)
            }
            Encoding::Unknown => part.decoded_size = None,
        }
        Ok(())
    }
}

/// Closes the parts that have all their parts, and counts those for the parts around them.
fn close_complete(open: &mut Vec<(usize, u64)>, parts: &mut [PartSpan]) -> Result<(), Damaged> {
    while let Some((at, 0)) = open.last() {
        let inside = parts
            .len()
            .checked_sub(*at)
            .and_then(|n| n.checked_sub(1))
            .ok_or(Damaged)?;
        parts.get_mut(*at).ok_or(Damaged)?.descendants = inside;
        open.pop();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::{fields::header_fields, index};

    const NESTED: &str = "Subject: outer\r\n\
        Content-Type: multipart/mixed; boundary=b\r\n\
        \r\n\
        preamble\r\n\
        --b\r\n\
        \r\n\
        first\r\n\
        --b\r\n\
        Content-Type: message/rfc822\r\n\
        \r\n\
        Subject: inner\r\nTo: x\r\n\
        \r\n\
        inner text\r\n\
        --b\r\n\
        Content-Type: message/rfc822\r\n\
        \r\n\
        Subject: deep\r\n\
        Content-Type: multipart/alternative; boundary=c\r\n\
        \r\n\
        --c\r\n\
        Content-Transfer-Encoding: base64\r\n\
        \r\n\
        aGVsbG8=\r\n\
        --c\r\n\
        Content-Type: text/html; charset=utf-8\r\n\
        Content-Transfer-Encoding: x-odd\r\n\
        \r\n\
        <p>\r\n\
        --c--\r\n\
        --b--\r\n";

    fn section(spec: &str) -> Section {
        let mut section = Section::default();
        for part in spec.split('.').filter(|part| !part.is_empty()) {
            section.text = match part {
                "HEADER" => Some(SectionText::Header),
                "TEXT" => Some(SectionText::Text),
                "MIME" => Some(SectionText::Mime),
                "FIELDS(To)" => Some(SectionText::HeaderFields(vec![(*b"To").into()])),
                "NOT(To)" => Some(SectionText::HeaderFieldsNot(vec![(*b"To").into()])),
                number => {
                    section.path.push(number.parse().unwrap());
                    None
                }
            };
        }
        section
    }

    fn check(message: &str, spec: &str, expected: Option<&str>) {
        let found = index(message.as_bytes());
        let parts = decode(&encode(&found)).unwrap();
        assert_eq!(parts, Parts::from(&found));
        let bytes = |range: Range<u64>| &message[range.start as usize..range.end as usize];
        let section = section(spec);
        let text = parts.locate(&section).map(|located| match located {
            Located::Bytes(range) => bytes(range).to_owned(),
            Located::Fields {
                header,
                names,
                keep,
            } => String::from_utf8(header_fields(bytes(header).as_bytes(), names, keep)).unwrap(),
        });
        assert_eq!(text.as_deref(), expected, "{spec}");
    }

    #[test]
    fn rule_40_sections_of_nested_messages() {
        check(NESTED, "", Some(NESTED));
        check(
            NESTED,
            "HEADER",
            Some(&NESTED[..NESTED.find("preamble").unwrap()]),
        );
        check(
            NESTED,
            "TEXT",
            Some(&NESTED[NESTED.find("preamble").unwrap()..]),
        );
        check(NESTED, "1", Some("first"));
        check(NESTED, "1.MIME", Some("\r\n"));
        check(NESTED, "1.HEADER", None);
        check(NESTED, "1.1", None);
        check(
            NESTED,
            "2",
            Some("Subject: inner\r\nTo: x\r\n\r\ninner text"),
        );
        check(
            NESTED,
            "2.MIME",
            Some("Content-Type: message/rfc822\r\n\r\n"),
        );
        check(NESTED, "2.HEADER", Some("Subject: inner\r\nTo: x\r\n\r\n"));
        check(NESTED, "2.FIELDS(To)", Some("To: x\r\n\r\n"));
        check(NESTED, "2.NOT(To)", Some("Subject: inner\r\n\r\n"));
        check(NESTED, "2.TEXT", Some("inner text"));
        check(NESTED, "2.1", Some("inner text"));
        check(NESTED, "2.1.MIME", Some("Subject: inner\r\nTo: x\r\n\r\n"));
        check(NESTED, "2.2", None);
        check(NESTED, "2.1.1", None);
        check(NESTED, "3.1", Some("aGVsbG8="));
        check(NESTED, "3.2", Some("<p>"));
        check(
            NESTED,
            "3.2.MIME",
            Some(
                &NESTED
                    [NESTED.find("Content-Type: text/html").unwrap()..NESTED.find("<p>").unwrap()],
            ),
        );
        check(NESTED, "3.3", None);
        check(NESTED, "4", None);
        check(NESTED, "MIME", None);
    }

    #[test]
    fn rule_40_part_1_of_a_message_that_is_no_multipart() {
        let plain = "To: x\r\n\r\nbody";
        check(plain, "1", Some("body"));
        check(plain, "1.MIME", Some("To: x\r\n\r\n"));
        check(plain, "1.1", None);
        check(plain, "2", None);
        check(plain, "FIELDS(To)", Some("To: x\r\n\r\n"));
        check("", "1", Some(""));
        check("", "HEADER", Some(""));
        check("", "FIELDS(To)", Some("\r\n"));
        let forwarded = "Content-Type: message/rfc822\r\n\r\nTo: y\r\n\r\nbody";
        check(forwarded, "1", Some("To: y\r\n\r\nbody"));
        check(forwarded, "1.HEADER", Some("To: y\r\n\r\n"));
        check(forwarded, "1.1", Some("body"));
        check(forwarded, "1.1.1", None);
    }

    #[test]
    fn rule_41_binary_sizes() {
        let parts = Parts::from(&index(NESTED.as_bytes()));
        let size = |path: &[u32]| parts.binary(path).map(|binary| binary.size);
        assert_eq!(size(&[]), Some(Some(NESTED.len() as u64)));
        assert_eq!(size(&[1]), Some(Some(5)));
        assert_eq!(size(&[3, 1]), Some(Some(5)));
        assert_eq!(size(&[3, 2]), Some(None));
        assert_eq!(size(&[9]), None);
        assert_eq!(parts.parts[7].charset, b"utf-8");
        assert_eq!(parts.parts[7].text, TextKind::Html);
    }

    #[test]
    fn damage_is_noticed_or_harmless() {
        let good = encode(&index(NESTED.as_bytes()));
        assert!(good.len() < 100, "{}", good.len());
        for cut in 0..good.len() {
            assert_eq!(decode(&good[..cut]), Err(Damaged));
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                if let Ok(parts) = decode(&bad) {
                    assert_eq!(decode(&parts.encode()).as_ref(), Ok(&parts));
                    let _ = parts.locate(&section("3.2.MIME"));
                }
            }
        }
    }
}
