//! The parts of a message as values, and what the header of a part says about it
//! (RFC 2045, 2183, 1864, 3282, 2557).

use std::{borrow::Cow, ops::Range};

use crate::{
    envelope::Envelope,
    mime::{
        Encoding,
        fields::{Field, fields},
        params::{self, Param, Parameterised},
    },
};

/// The structure of a message: its parts as a tree in a flat list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The size of the message in bytes.
    pub size: u64,
    /// The header of the message itself with its blank line, as it is stored; cut at
    /// [`crate::limits::Parsing::header_bytes_max`].
    pub header: Vec<u8>,
    /// The parts, each before the parts inside it, these in their order. The first is the
    /// message itself; there is always one.
    pub parts: Vec<Part>,
}

/// What a part holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartKind {
    /// Parts: at least one.
    Multipart,
    /// A message: exactly one part, the root of the message inside.
    Message,
    /// Content, or what was not taken apart.
    Leaf,
}

/// A part of a message, or the root of a message, outermost or inside another.
///
/// Strings are as they are written: encoded words are not decoded. Ranges count bytes of the
/// whole stored message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The part this is in: an index into [`Index::parts`], absent for the first.
    pub parent: Option<usize>,
    /// How many parts are in this one, at any depth: they follow it in the list.
    pub descendants: usize,
    /// What it holds.
    pub kind: PartKind,
    /// The header with its blank line, if it has one.
    pub header: Range<u64>,
    /// The body; it begins where the header ends.
    pub body: Range<u64>,
    /// Line ends (LF) in the body.
    pub lines: u64,
    /// The type, as BODYSTRUCTURE shows it.
    pub media: Media,
    /// The transfer encoding as BODYSTRUCTURE shows it; `7bit` if the header has none.
    pub cte: Vec<u8>,
    /// How to decode the body.
    pub encoding: Encoding,
    /// The size of the body when decoded; `None` if it cannot be decoded.
    pub decoded_size: Option<u64>,
    /// `Content-ID`.
    pub id: Option<Vec<u8>>,
    /// `Content-Description`.
    pub description: Option<Vec<u8>>,
    /// `Content-MD5`.
    pub md5: Option<Vec<u8>>,
    /// `Content-Disposition`.
    pub disposition: Option<Parameterised>,
    /// The tags of `Content-Language`.
    pub language: Vec<Vec<u8>>,
    /// `Content-Location`, without white space.
    pub location: Option<Vec<u8>>,
    /// The envelope, of the root of a message only: of the first part, and of the part inside
    /// a [`PartKind::Message`].
    pub envelope: Option<Box<Envelope>>,
}

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Media {
    /// The top-level type: `text`.
    pub media_type: Vec<u8>,
    /// The subtype: `plain`.
    pub subtype: Vec<u8>,
    /// The parameters.
    pub params: Vec<Param>,
}

impl Index {
    /// The parts directly inside a part, as indexes into [`Index::parts`], in order.
    pub fn children(&self, parent: usize) -> impl Iterator<Item = usize> {
        children(parent, |part| {
            self.parts.get(part).map(|part| part.descendants)
        })
    }

    /// The envelope of the message itself.
    #[must_use]
    pub fn envelope(&self) -> Option<&Envelope> {
        self.parts.first().and_then(|part| part.envelope.as_deref())
    }
}

/// The parts directly inside a part of a list in which those inside follow it.
pub(crate) fn children(
    parent: usize,
    descendants: impl Fn(usize) -> Option<usize>,
) -> impl Iterator<Item = usize> {
    let end = parent.saturating_add(descendants(parent).unwrap_or(0));
    let mut next = parent.saturating_add(1);
    std::iter::from_fn(move || {
        let child = (next <= end).then_some(next)?;
        next = next.saturating_add(1).saturating_add(descendants(child)?);
        Some(child)
    })
}

impl Media {
    fn new(media_type: &str, subtype: &str) -> Self {
        Self {
            media_type: media_type.as_bytes().to_vec(),
            subtype: subtype.as_bytes().to_vec(),
            params: Vec::new(),
        }
    }

    /// Plain text in US-ASCII: what a part without Content-Type is (RFC 2045 §5.2).
    pub(super) fn plain_text() -> Self {
        let charset = Param {
            name: b"charset".to_vec(),
            value: b"us-ascii".to_vec(),
        };
        Self {
            params: vec![charset],
            ..Self::new("text", "plain")
        }
    }

    /// Whether this is the type `media_type/subtype`, in any case.
    #[must_use]
    pub fn is(&self, media_type: &str, subtype: &str) -> bool {
        self.has_type(media_type) && self.subtype.eq_ignore_ascii_case(subtype.as_bytes())
    }

    /// Whether the top-level type is this, in any case.
    #[must_use]
    pub fn has_type(&self, media_type: &str) -> bool {
        self.media_type.eq_ignore_ascii_case(media_type.as_bytes())
    }

    /// The value of a parameter: as it is written, or decoded if it has a charset.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let param = self.params.iter().find(|param| param.is(name))?;
        Some(if param.is_extended() {
            Cow::Owned(param.decoded().into_bytes())
        } else {
            Cow::Borrowed(&param.value)
        })
    }

    /// Whether a body of this type is a message (RFC 2046 §5.2.1, RFC 6532).
    pub(super) fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// Reads Content-Type; what is not `type/subtype` is the default.
    fn parse(value: &[u8], default: Self, params_max: usize) -> Self {
        let Parameterised { head, mut params } = params::parse(value, params_max);
        let mut names = head.splitn(2, |byte| *byte == b'/').map(<[u8]>::trim_ascii);
        let (Some(media_type), Some(subtype)) = (names.next(), names.next()) else {
            return default;
        };
        // The first semicolon is forgotten at times: `text/plain charset=utf-8`.
        let end = subtype.iter().position(u8::is_ascii_whitespace);
        let (subtype, forgotten) = end
            .and_then(|end| subtype.split_at_checked(end))
            .unwrap_or((subtype, &[]));
        params.extend(params::parse_param(forgotten));
        if !is_token(media_type) || !is_token(subtype) {
            return default;
        }
        let mut media = Self {
            media_type: media_type.to_vec(),
            subtype: subtype.to_vec(),
            params,
        };
        if media.is("text", "plain") && !media.params.iter().any(|param| param.is("charset")) {
            media.params.extend(Self::plain_text().params);
        }
        media
    }
}

/// A token of RFC 2045 §5.1.
fn is_token(name: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte);
    !name.is_empty() && name.iter().all(allowed)
}

impl Part {
    /// A part of which nothing is known yet but where it begins.
    pub(super) fn starting(parent: Option<usize>, start: u64) -> Self {
        Self {
            parent,
            descendants: 0,
            kind: PartKind::Leaf,
            header: start..start,
            body: start..start,
            lines: 0,
            media: Media::plain_text(),
            cte: b"7bit".to_vec(),
            encoding: Encoding::Identity,
            decoded_size: None,
            id: None,
            description: None,
            md5: None,
            disposition: None,
            language: Vec::new(),
            location: None,
            envelope: None,
        }
    }

    /// Takes over what the header says; of a repeated field the first counts.
    pub(super) fn describe(&mut self, header: &[u8], in_digest: bool, params_max: usize) {
        let default = if in_digest {
            Media::new("message", "rfc822")
        } else {
            Media::plain_text()
        };
        let mut media = None;
        let mut cte = None;
        for field in fields(header) {
            let Some(name) = content_name(&field) else {
                continue;
            };
            match name.as_slice() {
                b"type" if media.is_none() => {
                    media = Some(Media::parse(&field.unfolded(), default.clone(), params_max));
                }
                b"transfer-encoding" if cte.is_none() => {
                    cte = Some(params::parse(&field.unfolded(), params_max).head);
                }
                b"id" => keep_first(&mut self.id, &field),
                b"description" => keep_first(&mut self.description, &field),
                b"md5" => keep_first(&mut self.md5, &field),
                b"disposition" if self.disposition.is_none() => {
                    self.disposition = disposition(&field, params_max);
                }
                b"language" if self.language.is_empty() => {
                    self.language = tags(&field, params_max);
                }
                b"location" if self.location.is_none() => {
                    let mut location = field.unfolded();
                    location.retain(|byte| !byte.is_ascii_whitespace());
                    self.location = Some(location);
                }
                _ => {}
            }
        }
        self.media = media.unwrap_or(default);
        if let Some(cte) = cte.filter(|cte| !cte.is_empty()) {
            self.encoding = Encoding::from_name(&cte);
            self.cte = cte;
        }
    }

    /// Makes the part content that is shown, or kept, as it stands, with nothing in it.
    pub(super) fn make_opaque(&mut self, media: Media) {
        self.kind = PartKind::Leaf;
        self.media = media;
        self.undo_encoding();
    }

    /// Leaves out parameters and language tags for which there is no room.
    pub(super) fn limit_params(&mut self, room: &mut usize) {
        let mut take = |length: usize| {
            let kept = length.min(*room);
            *room = room.saturating_sub(kept);
            kept
        };
        self.media.params.truncate(take(self.media.params.len()));
        if let Some(disposition) = &mut self.disposition {
            disposition.params.truncate(take(disposition.params.len()));
        }
        self.language.truncate(take(self.language.len()));
    }

    /// The body is not encoded, whatever the header says (RFC 2045 §6.4).
    pub(super) fn undo_encoding(&mut self) {
        if self.encoding != Encoding::Identity {
            self.cte = b"7bit".to_vec();
            self.encoding = Encoding::Identity;
        }
    }
}

impl Media {
    /// The type of what is not taken apart.
    pub(super) fn octet_stream() -> Self {
        Self::new("application", "octet-stream")
    }
}

/// What follows `Content-` in the name of a field, in lower case.
fn content_name(field: &Field<'_>) -> Option<Vec<u8>> {
    let (prefix, name) = field.name.split_at_checked("content-".len())?;
    prefix
        .eq_ignore_ascii_case(b"content-")
        .then(|| name.to_ascii_lowercase())
}

fn keep_first(slot: &mut Option<Vec<u8>>, field: &Field<'_>) {
    slot.get_or_insert_with(|| field.unfolded());
}

/// Content-Disposition; with parameters but without a type it is an attachment, as is every type
/// nobody knows (RFC 2183).
fn disposition(field: &Field<'_>, params_max: usize) -> Option<Parameterised> {
    let mut parsed = params::parse(&field.unfolded(), params_max);
    if parsed.head.is_empty() && !parsed.params.is_empty() {
        parsed.head = b"attachment".to_vec();
    }
    (!parsed.head.is_empty()).then_some(parsed)
}

/// The tags of Content-Language (RFC 3282).
fn tags(field: &Field<'_>, tags_max: usize) -> Vec<Vec<u8>> {
    params::strip_comments(&field.unfolded())
        .split(|byte| *byte == b',')
        .map(|tag| tag.trim_ascii().to_vec())
        .filter(|tag| !tag.is_empty())
        .take(tags_max)
        .collect()
}
