//! A message on its way in: its bytes go to the store as they come and through the structure
//! indexer, and at its end everything that never changes of it is made once (design.md §4).
//!
//! Memory stays bounded by headers: a body is never held. It decides nothing about mailboxes.

use mail::{
    date::DateTime,
    flag::Flags,
    limits::Parsing,
    mime::{Index, Indexer, fields, words},
    structure::{self, PartSpan},
    text,
};
use store::{NewMessage, Static, Upload};

/// Of the parsers behind [`Static`]: raised when their results change.
pub const PARSER_VERSION: u16 = 2;
/// Bytes taken between two chances for other connections.
const STEP_BYTES: usize = 64 * 1024;
/// A decoded header field kept for searching, bytes; what is beyond is not found.
const FIELD_BYTES_MAX: usize = 64 * 1024;
/// The beginning of a message of which the preview is made, bytes.
const PREVIEW_SOURCE_BYTES: usize = 32 * 1024;
/// Identifiers of other messages kept for threads.
const THREAD_KEYS_MAX: usize = 1_000;
/// An identifier longer than RFC 5322 §2.1.1 lets a line be is not one, bytes.
const THREAD_KEY_BYTES_MAX: usize = 998;

/// Fields whose decoded text is kept with the message.
const SEARCHED: [&str; 11] = [
    "from",
    "to",
    "cc",
    "bcc",
    "subject",
    "message-id",
    "reply-to",
    "sender",
    "in-reply-to",
    "references",
    "date",
];

/// A message on its way in. Dropping it leaves nothing behind.
pub struct Intake {
    upload: Box<dyn Upload>,
    indexer: Indexer,
    beginning: Vec<u8>,
}

impl Intake {
    /// A message that has no byte yet.
    #[must_use]
    pub fn new(upload: Box<dyn Upload>, limits: Parsing) -> Self {
        Self {
            upload,
            indexer: Indexer::new(limits),
            beginning: Vec::new(),
        }
    }

    /// A message that begins with `head`, of which only what comes after it is uploaded.
    #[must_use]
    pub fn after(head: &[u8], upload: Box<dyn Upload>, limits: Parsing) -> Self {
        let mut intake = Self::new(upload, limits);
        intake.look_at(head);
        intake
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn write(&mut self, bytes: &[u8]) -> store::Result<()> {
        for step in bytes.chunks(STEP_BYTES) {
            self.look_at(step);
            self.upload.write(step).await?;
        }
        Ok(())
    }

    fn look_at(&mut self, bytes: &[u8]) {
        self.indexer.push(bytes);
        let room = PREVIEW_SOURCE_BYTES.saturating_sub(self.beginning.len());
        self.beginning.extend(bytes.iter().take(room));
    }

    /// How many bytes it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.upload.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.upload.is_empty()
    }

    /// The message, ready to be appended.
    #[must_use]
    pub fn finish(self, flags: Flags, internal_date: Option<DateTime>) -> NewMessage {
        let index = self.indexer.finish();
        NewMessage {
            upload: self.upload,
            fixed: fixed(&index, &self.beginning),
            flags,
            internal_date,
        }
    }
}

/// What never changes of the same message with a header of another length.
#[must_use]
pub fn with_header_bytes(fixed: &Static, header_bytes: u64) -> Static {
    let parts = structure::decode(&fixed.parts);
    // What was made a moment ago is never damaged.
    let parts = parts.map(|parts| parts.with_header_bytes(header_bytes).encode());
    Static {
        header_bytes,
        parts: parts.map_or_else(|_| fixed.parts.clone(), Into::into),
        ..fixed.clone()
    }
}

/// What never changes of a message, of which the beginning is at hand.
fn fixed(index: &Index, beginning: &[u8]) -> Static {
    let envelope = index.envelope();
    Static {
        version: PARSER_VERSION,
        envelope: envelope
            .map(wire::structure::envelope)
            .unwrap_or_default()
            .into(),
        body: wire::structure::body(index).into(),
        body_structure: wire::structure::body_structure(index).into(),
        parts: structure::encode(index).into(),
        header_bytes: index.parts.first().map_or(0, |root| root.header.end),
        sent: envelope.and_then(|envelope| mail::date::parse_rfc5322(envelope.date.as_deref()?)),
        fields: searched_fields(&index.header),
        preview: preview(index, beginning).into(),
        thread_keys: thread_keys(&index.header),
    }
}

/// The first words of the text, if they are in the beginning (RFC 8970).
fn preview(index: &Index, beginning: &[u8]) -> String {
    let of = |at: usize| {
        let part = index.parts.get(at)?;
        let start = usize::try_from(part.body.start).ok()?;
        let end =
            usize::try_from(part.body.end).map_or(beginning.len(), |end| end.min(beginning.len()));
        let text = text::part_text(&PartSpan::from(part), beginning.get(start..end)?);
        Some(text::preview(&text)).filter(|preview| !preview.is_empty())
    };
    text::preview_parts(index).find_map(of).unwrap_or_default()
}

/// Decoded values of the fields in [`SEARCHED`], in the message's order.
fn searched_fields(header: &[u8]) -> Vec<(Box<str>, Box<str>)> {
    let mut found = Vec::new();
    for field in fields::fields(header) {
        if let Some(name) = SEARCHED.iter().find(|name| field.is(name)) {
            let mut value = words::decode(&field.unfolded());
            value.truncate(value.floor_char_boundary(FIELD_BYTES_MAX));
            found.push(((*name).into(), value.into_boxed_str()));
        }
    }
    found
}

/// Message-ID (empty if there is none), then the ids of In-Reply-To and References, each once.
fn thread_keys(header: &[u8]) -> Vec<Box<str>> {
    let ids_of = |name: &str| {
        let field = fields::fields(header).find(|field| field.is(name));
        field
            .map(|field| message_ids(&field.unfolded()))
            .unwrap_or_default()
    };
    let own = ids_of("message-id").into_iter().next().unwrap_or_default();
    let mut keys = vec![own];
    for id in ids_of("in-reply-to")
        .into_iter()
        .chain(ids_of("references"))
    {
        if keys.len() < THREAD_KEYS_MAX && !keys.contains(&id) {
            keys.push(id);
        }
    }
    keys
}

/// The `<…>` of a field, without the brackets and without white space in them.
fn message_ids(value: &[u8]) -> Vec<Box<str>> {
    let mut ids = Vec::new();
    for piece in value
        .split(|byte| *byte == b'<')
        .skip(1)
        .take(THREAD_KEYS_MAX)
    {
        let Some(end) = piece.iter().position(|byte| *byte == b'>') else {
            continue;
        };
        let (id, _) = piece.split_at(end);
        let id: Vec<u8> = id
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect();
        if !id.is_empty() && id.len() <= THREAD_KEY_BYTES_MAX {
            ids.push(String::from_utf8_lossy(&id).into());
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = "Message-ID: <a@x>\r\nReferences: <b@x>\r\n <c@x> <b@x>\r\n\
        In-Reply-To: \"them\" <c@x>\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\ntext\r\n";

    #[test]
    fn fields_are_decoded() {
        let fixed = fixed(&mail::mime::index(MESSAGE.as_bytes()), MESSAGE.as_bytes());
        assert_eq!(&*fixed.preview, "text");
        let subject = fixed.fields.iter().find(|(name, _)| &**name == "subject");
        assert_eq!(subject.map(|(_, value)| &**value), Some("Grüße"));
        assert_eq!(
            fixed.header_bytes as usize,
            MESSAGE.len() - "text\r\n".len()
        );
    }

    #[test]
    fn another_header_length_is_as_if_parsed_again() {
        let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
            Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n--b--\r\n";
        for rest in [
            MESSAGE,
            multipart,
            "\r\nbody",
            "",
            " folded\r\n",
            "no header\r\n",
        ] {
            let made = |head: &str| {
                let whole = format!("{head}{rest}");
                fixed(&mail::mime::index(whole.as_bytes()), whole.as_bytes())
            };
            let (first, second) = ("To-Whom: a\r\n", "To-Whom: somebody else\r\n");
            let (first_made, second_made) = (made(first), made(second));
            let longer = first_made.header_bytes + (second.len() - first.len()) as u64;
            assert_eq!(
                with_header_bytes(&first_made, longer),
                second_made,
                "{rest:?}"
            );
            let shorter = first_made.header_bytes;
            assert_eq!(
                with_header_bytes(&second_made, shorter),
                first_made,
                "{rest:?}"
            );
        }
    }

    #[test]
    fn thread_keys_are_own_id_then_parents() {
        let keys = thread_keys(MESSAGE.as_bytes());
        assert_eq!(
            keys.iter().map(|key| &**key).collect::<Vec<_>>(),
            ["a@x", "c@x", "b@x"]
        );
        assert_eq!(thread_keys(b"References: <b@x\r\n\r\n"), ["".into()]);
        assert_eq!(thread_keys(b"Message-ID: none\r\n\r\n"), ["".into()]);
    }
}
