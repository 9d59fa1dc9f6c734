//! The text of a message as people read it: decoded header values, body text with charset and
//! HTML resolved, the preview (RFC 8970), and the form in which SEARCH compares (RFC 5051).
//!
//! Not here: the index of words, and base subjects for sorting.

use std::{convert::Infallible, ops::Range};

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};
use unicode_normalization::UnicodeNormalization;

use crate::{
    charset, limits,
    mime::{self, Decoder, Index, PartKind, fields::fields, params, words},
    structure::{PartSpan, Parts, TextKind},
};

/// The decoded values of all header fields of that name, in order: what SEARCH looks into.
pub fn header_values<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = String> + 'a {
    fields(header)
        .filter(move |field| field.is(name))
        .map(|field| words::decode(&field.unfolded()))
}

/// A header as SEARCH TEXT looks into it: every field on a line, decoded; and so that a file is
/// found by its name, each parameter that is written with a charset (RFC 2231 §4) on its own line.
#[must_use]
pub fn header_text(header: &[u8]) -> String {
    let mut out = String::with_capacity(header.len());
    for field in fields(header) {
        if !field.name.is_empty() {
            out.push_str(&charset::decode_undeclared(field.name));
            out.push_str(": ");
        }
        let value = field.unfolded();
        out.push_str(&words::decode(&value));
        out.push('\n');
        if field.is("Content-Type") || field.is("Content-Disposition") {
            let params = params::parse(&value, limits::PARAMS_MAX).params;
            for param in params.iter().filter(|param| param.is_extended()) {
                out.push_str(&param.decoded());
                out.push('\n');
            }
        }
    }
    out
}

/// The MIME headers of parts, which SEARCH TEXT looks into beside the message's header and body
/// (RFC 9051 §6.4.4). The headers of messages inside are part of the body: [`searchable`].
pub fn mime_headers(parts: &Parts) -> impl Iterator<Item = &Range<u64>> {
    let in_multipart = |part: &&PartSpan| {
        let parent = part.parent.and_then(|parent| parts.parts.get(parent));
        parent.is_some_and(|parent| parent.kind == PartKind::Multipart)
    };
    parts
        .parts
        .iter()
        .filter(in_multipart)
        .map(|part| &part.header)
}

/// Something of a message's body that SEARCH BODY looks into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Searchable {
    /// The header of a message inside: for [`header_text`].
    Header(Range<u64>),
    /// A text part, as an index into [`Parts::parts`]: for [`PartText`].
    Text(usize),
}

/// What SEARCH BODY looks into, in order.
pub fn searchable(parts: &Parts) -> impl Iterator<Item = Searchable> + '_ {
    parts.parts.iter().enumerate().flat_map(|(at, part)| {
        let in_message = part
            .parent
            .and_then(|parent| parts.parts.get(parent))
            .is_some_and(|parent| parent.kind == PartKind::Message);
        let header = in_message.then(|| Searchable::Header(part.header.clone()));
        let text = (part.text != TextKind::NotText).then_some(Searchable::Text(at));
        header.into_iter().chain(text)
    })
}

/// Makes text of the body of a text part that arrives in pieces: transfer encoding, charset and
/// HTML are resolved.
#[derive(Debug)]
pub struct PartText {
    decoder: Decoder,
    charset: charset::Decoder,
    /// HTML of which no text was taken yet; `None` if the part is no HTML.
    html: Option<String>,
    scratch: Vec<u8>,
}

impl PartText {
    /// For a part; `None` if it is no text or cannot be decoded.
    #[must_use]
    pub fn new(part: &PartSpan) -> Option<Self> {
        let html = match part.text {
            TextKind::NotText => return None,
            TextKind::Html => Some(String::new()),
            TextKind::Plain => None,
        };
        Some(Self {
            decoder: part.encoding.decoder()?,
            charset: charset::Charset::declared(&part.charset).decoder(),
            html,
            scratch: Vec::new(),
        })
    }

    /// Takes the next bytes of the body and appends the text known so far.
    pub fn push(&mut self, body: &[u8], out: &mut String) {
        for step in body.chunks(limits::DECODE_STEP_BYTES) {
            self.scratch.clear();
            self.decoder.push(step, &mut self.scratch);
            let text = self.html.as_mut().unwrap_or(out);
            self.charset.push(&self.scratch, text);
            if self
                .html
                .as_ref()
                .is_some_and(|html| html.len() >= limits::HTML_BYTES_MAX)
            {
                self.take_html(out);
            }
        }
    }

    /// Appends the rest. The body, or what is wanted of it, ends here.
    pub fn finish(&mut self, out: &mut String) {
        self.scratch.clear();
        self.decoder.finish(&mut self.scratch);
        let text = self.html.as_mut().unwrap_or(out);
        self.charset.push(&self.scratch, text);
        self.charset.finish(text);
        self.take_html(out);
    }

    fn take_html(&mut self, out: &mut String) {
        if let Some(html) = &mut self.html {
            out.push_str(&html_to_text(html));
            html.clear();
        }
    }
}

/// The text of a whole text part; empty if it is no text or cannot be decoded.
#[must_use]
pub fn part_text(part: &PartSpan, body: &[u8]) -> String {
    let mut out = String::new();
    if let Some(mut text) = PartText::new(part) {
        text.push(body, &mut out);
        text.finish(&mut out);
    }
    out
}

/// The text that a browser would show, roughly: no tags, no scripts and styles, one line for each
/// block, single spaces.
#[must_use]
pub fn html_to_text(html: &str) -> String {
    let mut page = Page::default();
    let mut emitter = CallbackEmitter::new(
        |event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
            page.event(&event);
            None
        },
    );
    emitter.naively_switch_states(true);
    // Reading from memory cannot fail.
    let _ = Tokenizer::new_with_emitter(html, emitter).finish();
    page.text
}

/// A page being turned into text.
#[derive(Default)]
struct Page {
    text: String,
    /// White space to be written before the next word.
    gap: Option<char>,
    /// Inside of an element that is not shown.
    hidden: bool,
}

const HIDDEN: &[&[u8]] = &[b"script", b"style", b"title"];
const BLOCKS: &[&[u8]] = &[
    b"address",
    b"article",
    b"aside",
    b"blockquote",
    b"body",
    b"br",
    b"dd",
    b"div",
    b"dl",
    b"dt",
    b"fieldset",
    b"footer",
    b"form",
    b"h1",
    b"h2",
    b"h3",
    b"h4",
    b"h5",
    b"h6",
    b"header",
    b"hr",
    b"li",
    b"main",
    b"nav",
    b"ol",
    b"p",
    b"pre",
    b"section",
    b"table",
    b"td",
    b"th",
    b"tr",
    b"ul",
];

impl Page {
    fn event(&mut self, event: &CallbackEvent<'_>) {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.hidden |= HIDDEN.contains(name);
                self.tag(name);
            }
            CallbackEvent::EndTag { name } => {
                self.hidden &= !HIDDEN.contains(name);
                self.tag(name);
            }
            CallbackEvent::String { value } if !self.hidden => {
                self.words(&String::from_utf8_lossy(value));
            }
            _ => {}
        }
    }

    fn tag(&mut self, name: &[u8]) {
        if BLOCKS.contains(&name) {
            self.gap = Some('\n');
        }
    }

    fn words(&mut self, text: &str) {
        for letter in text.chars() {
            if letter.is_whitespace() {
                self.gap.get_or_insert(' ');
                continue;
            }
            if let Some(gap) = self.gap.take().filter(|_| !self.text.is_empty()) {
                self.text.push(gap);
            }
            self.text.push(letter);
        }
    }
}

/// The parts a preview may be made of, best first: the first plain text, then the first HTML, then
/// the first other text, such as an invitation; none of them attached or inside of another message.
pub fn preview_parts(index: &Index) -> impl Iterator<Item = usize> + '_ {
    let first = |kind: usize| {
        index.parts.iter().position(|part| {
            let attached = part
                .disposition
                .as_ref()
                .is_some_and(|disposition| disposition.head.eq_ignore_ascii_case(b"attachment"));
            part.kind == PartKind::Leaf
                && part.media.has_type("text")
                && kind == preview_kind(part)
                && !attached
                && !is_inside_message(index, part.parent)
        })
    };
    [first(0), first(1), first(2)].into_iter().flatten()
}

fn preview_kind(part: &mime::Part) -> usize {
    match part.media.is("text", "html") {
        true => 1,
        false if part.media.is("text", "plain") => 0,
        false => 2,
    }
}

/// The depth of parts is limited, and so is this loop.
fn is_inside_message(index: &Index, parent: Option<usize>) -> bool {
    let mut parent = parent;
    while let Some(part) = parent.and_then(|at| index.parts.get(at)) {
        if part.kind == PartKind::Message {
            return true;
        }
        parent = part.parent;
    }
    false
}

/// The preview of a text (RFC 8970 §3.3): its first words on one line, without characters that
/// are not seen.
#[must_use]
pub fn preview(text: &str) -> String {
    let Some(text) = in_clear(text) else {
        return String::new();
    };
    let mut out = String::new();
    let mut length = 0_usize;
    let mut gap = false;
    for letter in text.chars().filter(|letter| !is_invisible(*letter)) {
        if letter.is_whitespace() || letter.is_control() {
            gap = !out.is_empty();
            continue;
        }
        length = length.saturating_add(1).saturating_add(usize::from(gap));
        if length > limits::PREVIEW_CHARS_MAX {
            break;
        }
        if std::mem::take(&mut gap) {
            out.push(' ');
        }
        out.push(letter);
    }
    out
}

/// The text without OpenPGP's armor around it (RFC 9580 §6 and §7): nothing if it is encrypted, what
/// was signed if it is signed.
fn in_clear(text: &str) -> Option<&str> {
    let text = text.trim_start();
    if text.starts_with("-----BEGIN PGP MESSAGE-----") {
        return None;
    }
    let Some(signed) = text.strip_prefix("-----BEGIN PGP SIGNED MESSAGE-----") else {
        return Some(text);
    };
    // Lines such as `Hash: SHA256` stand in front of the first empty one.
    let body = signed
        .split_once("\n\r\n")
        .or_else(|| signed.split_once("\n\n"));
    let body = body.map_or(signed, |(_, body)| body);
    Some(
        body.split("-----BEGIN PGP SIGNATURE-----")
            .next()
            .unwrap_or(body),
    )
}

/// Characters that newsletters put between the text for the preview and the text to be read.
fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}'
    )
}

/// The form in which texts are compared: `i;unicode-casemap` (RFC 5051 §2).
///
/// Each character is mapped to its simple titlecase form, then decomposed (NFKD). The standard
/// library knows the full uppercase mapping, which is the simple titlecase mapping but for what
/// `title_case` names.
#[must_use]
pub fn casemap(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    text.chars().map(title_case).nfkd().collect()
}

/// The simple titlecase mapping.
fn title_case(letter: char) -> char {
    let shifted = |by: u32| char::from_u32(u32::from(letter).saturating_add(by)).unwrap_or(letter);
    match letter {
        // Digraphs of three cases: the middle one is meant.
        '\u{1c4}'..='\u{1c6}' => '\u{1c5}',
        '\u{1c7}'..='\u{1c9}' => '\u{1c8}',
        '\u{1ca}'..='\u{1cc}' => '\u{1cb}',
        '\u{1f1}'..='\u{1f3}' => '\u{1f2}',
        // Georgian has capitals, but no titles.
        '\u{10d0}'..='\u{10ff}' => letter,
        // Greek with iota subscript, whose full uppercase is two letters.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => shifted(8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => shifted(9),
        _ => {
            let mut upper = letter.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => letter,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::index;

    #[test]
    fn header_values_are_decoded() {
        let header =
            b"Subject: =?utf-8?q?caf=C3=A9?=\r\n =?utf-8?q?s?=\r\nTo: a\r\nsubject: b\r\n\r\n";
        assert_eq!(
            header_values(header, "SUBJECT").collect::<Vec<_>>(),
            ["cafés", "b"]
        );
        assert_eq!(header_text(header), "Subject: cafés\nTo: a\nsubject: b\n");
        let named = b"Content-Disposition: attachment; filename*0*=utf-8''M%C3%A4;\r\n filename*1=rz\r\n\r\n";
        assert!(header_text(named).ends_with("\nMärz\n"));
    }

    fn check_html(html: &str, expected: &str) {
        assert_eq!(html_to_text(html), expected, "{html}");
    }

    #[test]
    fn html_becomes_text() {
        check_html(
            "<p>Hello <b>wor</b>ld</p><p>x &amp;&nbsp;y</p>",
            "Hello world\nx & y",
        );
        check_html("a<br>b<br/>c", "a\nb\nc");
        check_html(
            "<title>t</title><style>p { }</style><script>1 < 2 </p> x</script>z",
            "z",
        );
        check_html("<!-- c --><![CDATA[x]]>a < b", "a < b");
        check_html("<table><tr><td>1</td><td>2</td></tr></table>", "1\n2");
        check_html("<a href='x>y'>l", "l");
        check_html("", "");
        check_html("<p", "");
    }

    #[test]
    fn texts_of_parts() {
        let message = b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
            Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
            <p>caf=E9 =\r\nau lait\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: base64\r\n\r\nw6k=\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
            Subject: in\r\n\r\ninside\r\n--b--\r\n";
        let found = index(message);
        let parts = Parts::from(&found);
        let body = |at: usize| {
            let range = &parts.parts[at].body;
            &message[range.start as usize..range.end as usize]
        };
        assert_eq!(part_text(&parts.parts[1], body(1)), "café au lait");
        assert_eq!(part_text(&parts.parts[2], body(2)), "é");
        assert_eq!(preview_parts(&found).collect::<Vec<_>>(), [2, 1]);
        let inside = parts.parts[4].header.clone();
        assert_eq!(
            searchable(&parts).collect::<Vec<_>>(),
            [
                Searchable::Text(1),
                Searchable::Text(2),
                Searchable::Header(inside),
                Searchable::Text(4),
            ]
        );
        let headers: Vec<String> = mime_headers(&parts)
            .map(|range| header_text(&message[range.start as usize..range.end as usize]))
            .collect();
        assert_eq!(
            headers,
            [
                "Content-Type: text/html; charset=iso-8859-1\n\
                 Content-Transfer-Encoding: quoted-printable\n",
                "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n",
                "Content-Type: message/rfc822\n",
            ]
        );
    }

    #[test]
    fn previews_of_what_is_encrypted_or_signed() {
        let encrypted = "-----BEGIN PGP MESSAGE-----\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n";
        assert_eq!(preview(encrypted), "");
        let signed = "-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nhello\r\n\
            -----BEGIN PGP SIGNATURE-----\r\n\r\niQ\r\n-----END PGP SIGNATURE-----\r\n";
        assert_eq!(preview(signed), "hello");
        assert_eq!(preview(&signed.replace('\r', "")), "hello");
        assert_eq!(
            preview("about -----BEGIN PGP MESSAGE-----"),
            "about -----BEGIN PGP MESSAGE-----"
        );
    }

    #[test]
    fn an_invitation_is_the_last_choice_for_a_preview() {
        let of = |first: &str, second: &str| {
            let message = format!(
                "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\
                 Content-Type: {first}\r\n\r\nx\r\n--b\r\nContent-Type: {second}\r\n\r\ny\r\n--b--\r\n"
            );
            preview_parts(&index(message.as_bytes())).collect::<Vec<_>>()
        };
        assert_eq!(of("text/calendar", "text/html"), [2, 1]);
        assert_eq!(of("text/html", "text/plain"), [2, 1]);
        assert_eq!(of("text/calendar", "image/png"), [1]);
    }

    #[test]
    fn previews_are_two_hundred_characters() {
        assert_eq!(preview(" a\r\n\r\nb\t c\u{200c}\u{34f} \0"), "a b c");
        assert_eq!(preview(&"é".repeat(300)).chars().count(), 200);
        assert_eq!(preview(&format!("{} y", "x".repeat(199))), "x".repeat(199));
        assert_eq!(preview(""), "");
    }

    fn check_casemap(text: &str, expected: &str) {
        assert_eq!(casemap(text), expected, "{text}");
        assert_eq!(casemap(expected), expected, "{text} again");
    }

    #[test]
    fn casemap_is_titlecase_then_decomposition() {
        check_casemap("Hello 1", "HELLO 1");
        check_casemap("é", "E\u{301}");
        check_casemap("É", "E\u{301}");
        check_casemap("ß", "ß");
        check_casemap("ς", "Σ");
    }

    #[test]
    fn casemap_of_odd_letters() {
        // Digraphs decompose into a capital and a small letter.
        assert_eq!(casemap("ǆ"), "Dz\u{30c}");
        assert_eq!(casemap("Ǆ"), "Dz\u{30c}");
        assert_eq!(casemap("ა"), "ა");
        assert_eq!(casemap("ᾀ"), casemap("ᾈ"));
        assert_eq!(casemap("ﬁ"), "fi");
        assert_eq!(casemap("ﬀ"), "ff");
    }
}
