//! ENVELOPE, BODY and BODYSTRUCTURE as they are sent (RFC 9051 §7.5.2, §9 `envelope`, `body`).
//!
//! Written once, when a message is stored, and copied into every later answer; so nothing here
//! depends on the session. Strings with 8-bit bytes are literals, which clients of every mode
//! read. Whatever the index says, what is written obeys the grammar.

use mail::{
    envelope::{Address, Envelope},
    limits::MIME_DEPTH_MAX,
    mime::{
        Index, Part, PartKind,
        params::{Param, Parameterised},
    },
};

use crate::{
    encode::{Quoting, list, nstring, number, string},
    limits::{STRUCTURE_BYTES_MAX, STRUCTURE_WORD_BYTES},
};

/// The value of ENVELOPE.
#[must_use]
pub fn envelope(envelope: &Envelope) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_envelope(&mut out, envelope);
    out
}

/// The value of BODY: without extension data.
#[must_use]
pub fn body(index: &Index) -> Vec<u8> {
    written(index, Extensions::Without)
}

/// The value of BODYSTRUCTURE: with extension data.
#[must_use]
pub fn body_structure(index: &Index) -> Vec<u8> {
    written(index, Extensions::With)
}

/// Whether extension data are written (RFC 9051 §7.5.2 `BODY`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extensions {
    With,
    Without,
}

fn written(index: &Index, extensions: Extensions) -> Vec<u8> {
    let mut writer = Writer {
        out: Vec::with_capacity(256),
        index,
        extensions,
    };
    writer.part(0, 0);
    writer.out
}

/// What stands for a part that is missing: no text at all.
const NOTHING: &[u8] = b"(\"text\" \"plain\" NIL NIL NIL \"7bit\" 0 0)";

struct Writer<'a> {
    out: Vec<u8>,
    index: &'a Index,
    extensions: Extensions,
}

/// How the grammar writes a part (RFC 9051 §9 `body`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// `body-type-mpart`
    Multipart,
    /// `body-type-msg`, with the place of the root of the message inside.
    Message(usize),
    /// `body-type-text`
    Text,
    /// `body-type-basic`
    Basic,
    /// `body-type-basic` for what calls itself a multipart or message and was not taken apart.
    Opaque,
}

impl Writer<'_> {
    /// The part at this place of the index with all parts inside it. The recursion is as deep as
    /// the index, which is at most [`MIME_DEPTH_MAX`].
    fn part(&mut self, at: usize, depth: usize) {
        let index = self.index;
        let Some(part) = index.parts.get(at) else {
            return self.out.extend_from_slice(NOTHING);
        };
        let deeper = depth.saturating_add(1);
        self.out.push(b'(');
        match shape(index, at, depth) {
            Shape::Multipart => {
                for child in index.children(at) {
                    self.part(child, deeper);
                }
                self.out.push(b' ');
                self.string(&part.media.subtype);
            }
            shape => {
                self.fields(part, shape);
                if let Shape::Message(root) = shape {
                    self.message(root, deeper);
                }
                if matches!(shape, Shape::Message(_) | Shape::Text) {
                    self.out.push(b' ');
                    number(&mut self.out, part.lines);
                }
            }
        }
        if self.extensions == Extensions::With {
            self.extensions(part, shape(index, at, depth));
        }
        self.out.push(b')');
    }

    /// `envelope SP body` of the message inside a part.
    fn message(&mut self, root: usize, depth: usize) {
        let inside = self.index.parts.get(root);
        self.out.push(b' ');
        let envelope = inside.and_then(|part| part.envelope.as_deref());
        match envelope.filter(|_| !self.is_full()) {
            Some(envelope) => write_envelope(&mut self.out, envelope),
            None => write_envelope(&mut self.out, &Envelope::default()),
        }
        self.out.push(b' ');
        self.part(root, depth);
    }

    /// `media-type SP media-subtype SP body-fields`.
    fn fields(&mut self, part: &Part, shape: Shape) {
        if shape == Shape::Opaque {
            self.out
                .extend_from_slice(b"\"application\" \"octet-stream\" NIL");
        } else {
            self.string(&part.media.media_type);
            self.out.push(b' ');
            self.string(&part.media.subtype);
            self.out.push(b' ');
            self.params(&part.media.params);
        }
        self.out.push(b' ');
        self.nstring(part.id.as_deref());
        self.out.push(b' ');
        self.nstring(part.description.as_deref());
        self.out.push(b' ');
        self.string(&part.cte);
        self.out.push(b' ');
        let octets = part.body.end.saturating_sub(part.body.start);
        number(&mut self.out, octets);
    }

    /// `body-ext-1part` or `body-ext-mpart`: all of it that this specification names.
    fn extensions(&mut self, part: &Part, shape: Shape) {
        self.out.push(b' ');
        match shape {
            Shape::Multipart => self.params(&part.media.params),
            _ => self.nstring(part.md5.as_deref()),
        }
        self.out.push(b' ');
        match part.disposition.as_ref().filter(|_| !self.is_full()) {
            Some(Parameterised { head, params }) => {
                self.out.push(b'(');
                self.string(head);
                self.out.push(b' ');
                self.params(params);
                self.out.push(b')');
            }
            None => self.nstring(None),
        }
        self.out.push(b' ');
        if part.language.is_empty() || self.is_full() {
            self.nstring(None);
        } else {
            list(&mut self.out, &part.language, |out, tag| {
                string(out, tag, Quoting::Ascii);
            });
        }
        self.out.push(b' ');
        self.nstring(part.location.as_deref());
    }

    /// `body-fld-param`.
    fn params(&mut self, params: &[Param]) {
        if params.is_empty() || self.is_full() {
            return self.nstring(None);
        }
        list(&mut self.out, params, |out, param| {
            string(out, &param.name, Quoting::Ascii);
            out.push(b' ');
            string(out, &param.value, Quoting::Ascii);
        });
    }

    /// Whether there is more than a structure may be: of what is still to come only what every part
    /// must have is written.
    const fn is_full(&self) -> bool {
        self.out.len() >= STRUCTURE_BYTES_MAX
    }

    fn string(&mut self, value: &[u8]) {
        let short = value.get(..STRUCTURE_WORD_BYTES).filter(|_| self.is_full());
        string(&mut self.out, short.unwrap_or(value), Quoting::Ascii);
    }

    fn nstring(&mut self, value: Option<&[u8]>) {
        let value = value.filter(|_| !self.is_full());
        nstring(&mut self.out, value, Quoting::Ascii);
    }
}

fn shape(index: &Index, at: usize, depth: usize) -> Shape {
    let Some(part) = index.parts.get(at) else {
        return Shape::Basic;
    };
    let media = &part.media;
    let is_message = media.is("message", "rfc822") || media.is("message", "global");
    let inside = index.children(at).next().filter(|_| depth < MIME_DEPTH_MAX);
    match (part.kind, inside) {
        (PartKind::Multipart, Some(_)) => Shape::Multipart,
        (PartKind::Message, Some(root)) if is_message => Shape::Message(root),
        _ if is_message || media.has_type("multipart") => Shape::Opaque,
        _ if media.has_type("text") => Shape::Text,
        _ => Shape::Basic,
    }
}

/// `"(" env-date SP env-subject SP env-from SP … SP env-message-id ")"`.
fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    let text = |out: &mut Vec<u8>, value: &Option<Vec<u8>>| {
        nstring(out, value.as_deref(), Quoting::Ascii);
    };
    out.push(b'(');
    text(out, &envelope.date);
    out.push(b' ');
    text(out, &envelope.subject);
    for addresses in [
        &envelope.from,
        &envelope.sender,
        &envelope.reply_to,
        &envelope.to,
        &envelope.cc,
        &envelope.bcc,
    ] {
        out.push(b' ');
        write_addresses(out, addresses);
    }
    out.push(b' ');
    text(out, &envelope.in_reply_to);
    out.push(b' ');
    text(out, &envelope.message_id);
    out.push(b')');
}

/// `"(" 1*address ")" / nil`: no space between addresses.
fn write_addresses(out: &mut Vec<u8>, addresses: &[Address]) {
    if addresses.is_empty() {
        return nstring(out, None, Quoting::Ascii);
    }
    out.push(b'(');
    for address in addresses {
        let parts = [&address.name, &address.adl, &address.mailbox, &address.host];
        list(out, parts, |out, part| {
            nstring(out, part.as_deref(), Quoting::Ascii);
        });
    }
    out.push(b')');
}

#[cfg(test)]
mod tests;
