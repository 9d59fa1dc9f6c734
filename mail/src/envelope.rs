//! The envelope of a message (RFC 9051 §7.5.2): ten header fields, addresses taken apart as
//! RFC 5322 §3.4 writes them, obsolete forms included.
//!
//! Strings are raw: unfolded, but encoded words are not decoded and eight-bit text stays as it
//! is. Malformed addresses never fail: what is missing is empty, and words without an address are
//! a display name.

use crate::{limits, mime::fields};

/// An address, or one end of a group.
///
/// A group begins with an address without host whose mailbox is the group's name, and ends
/// with one that has neither. Outside of groups `host` is never absent: an address written
/// without a domain has an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// The display name, or the comment that serves as one.
    pub name: Option<Vec<u8>>,
    /// The obsolete source route: `@a,@b`.
    pub adl: Option<Vec<u8>>,
    /// The local part, or the name of a group.
    pub mailbox: Option<Vec<u8>>,
    /// The domain.
    pub host: Option<Vec<u8>>,
}

/// The envelope of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Envelope {
    /// `Date`, as it is written.
    pub date: Option<Vec<u8>>,
    /// `Subject`.
    pub subject: Option<Vec<u8>>,
    /// `From`.
    pub from: Vec<Address>,
    /// `Sender`; if absent or empty, `From`.
    pub sender: Vec<Address>,
    /// `Reply-To`; if absent or empty, `From`.
    pub reply_to: Vec<Address>,
    /// `To`.
    pub to: Vec<Address>,
    /// `Cc`.
    pub cc: Vec<Address>,
    /// `Bcc`.
    pub bcc: Vec<Address>,
    /// `In-Reply-To`.
    pub in_reply_to: Option<Vec<u8>>,
    /// `Message-ID`.
    pub message_id: Option<Vec<u8>>,
}

impl Envelope {
    /// Reads the envelope of a header.
    ///
    /// Of a repeated string field the first counts; repeated address fields are one list. All
    /// lists together hold at most [`limits::ENVELOPE_ADDRESSES_MAX`] addresses as written.
    #[must_use]
    pub fn parse(header: &[u8]) -> Self {
        let mut room = limits::ENVELOPE_ADDRESSES_MAX;
        Self::parse_within(header, &mut room)
    }

    /// Reads the envelope of a header and takes its addresses off the room there is: all
    /// envelopes of a message share the limit.
    pub(crate) fn parse_within(header: &[u8], room: &mut usize) -> Self {
        let mut envelope = Self::default();
        for field in fields::fields(header) {
            if let Some(string) = envelope.string(field.name) {
                string.get_or_insert_with(|| field.unfolded());
            } else if let Some(list) = envelope.list(field.name) {
                let found = addresses(&field.unfolded(), *room);
                *room = room.saturating_sub(found.len());
                list.extend(found);
            }
        }
        if envelope.sender.is_empty() {
            envelope.sender.clone_from(&envelope.from);
        }
        if envelope.reply_to.is_empty() {
            envelope.reply_to.clone_from(&envelope.from);
        }
        envelope
    }

    fn string(&mut self, name: &[u8]) -> Option<&mut Option<Vec<u8>>> {
        match name.to_ascii_lowercase().as_slice() {
            b"date" => Some(&mut self.date),
            b"subject" => Some(&mut self.subject),
            b"in-reply-to" => Some(&mut self.in_reply_to),
            b"message-id" => Some(&mut self.message_id),
            _ => None,
        }
    }

    fn list(&mut self, name: &[u8]) -> Option<&mut Vec<Address>> {
        match name.to_ascii_lowercase().as_slice() {
            b"from" => Some(&mut self.from),
            b"sender" => Some(&mut self.sender),
            b"reply-to" => Some(&mut self.reply_to),
            b"to" => Some(&mut self.to),
            b"cc" => Some(&mut self.cc),
            b"bcc" => Some(&mut self.bcc),
            _ => None,
        }
    }
}

/// Takes an unfolded address list apart; stops after `max` addresses.
#[must_use]
pub fn addresses(value: &[u8], max: usize) -> Vec<Address> {
    let mut reader = Reader::default();
    let mut rest = value;
    while reader.list.len() < max
        && let Some((token, after)) = token(rest)
    {
        reader.take(token);
        rest = after;
    }
    reader.end_address();
    reader.end_group();
    reader.list.truncate(max);
    reader.list
}

/// A token of RFC 5322 §3.2.
enum Token<'a> {
    Space,
    Atom(&'a [u8]),
    Quoted(Vec<u8>),
    Comment(Vec<u8>),
    Special(u8),
}

const SPECIALS: &[u8] = b"<>:;,@.\"()[ \t\r\n";

fn token(bytes: &[u8]) -> Option<(Token<'_>, &[u8])> {
    let (first, after) = bytes.split_first()?;
    let found = match first {
        b' ' | b'\t' | b'\r' | b'\n' => (Token::Space, after.trim_ascii_start()),
        b'"' => {
            let (content, rest) = quoted(after);
            (Token::Quoted(content), rest)
        }
        b'(' => {
            let (content, rest) = comment(after);
            (Token::Comment(content), rest)
        }
        b'[' => {
            let end = memchr::memchr(b']', bytes).map_or(bytes.len(), |at| at.saturating_add(1));
            let (literal, rest) = bytes.split_at_checked(end)?;
            (Token::Atom(literal), rest)
        }
        special if SPECIALS.contains(special) => (Token::Special(*special), after),
        _ => {
            let end = bytes
                .iter()
                .position(|byte| SPECIALS.contains(byte))
                .unwrap_or(bytes.len());
            let (atom, rest) = bytes.split_at_checked(end)?;
            (Token::Atom(atom), rest)
        }
    };
    Some(found)
}

/// The content of a quoted string; its end may be missing.
fn quoted(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut content = Vec::new();
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'"', _) => break,
            (b'\\', Some((escaped, tail))) => {
                content.push(*escaped);
                rest = tail;
            }
            _ => content.push(*byte),
        }
    }
    (content, rest)
}

/// The content of a comment, with those inside it as they are written.
fn comment(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut content = Vec::new();
    let mut depth = 1_usize;
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'\\', Some((escaped, tail))) => {
                content.push(*escaped);
                rest = tail;
                continue;
            }
            (b'(', _) => depth = depth.saturating_add(1),
            (b')', _) => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            break;
        }
        content.push(*byte);
    }
    (content.trim_ascii().to_vec(), rest)
}

/// Where in an address the reader is.
#[derive(Default, PartialEq, Eq)]
enum At {
    /// Before any `@` or `<`: a phrase or a local part.
    #[default]
    Start,
    /// After the `@` of an address without angle brackets.
    Domain,
    /// Between angle brackets, or past the closing one.
    Angle,
    AfterAngle,
}

/// Builds addresses from tokens.
#[derive(Default)]
struct Reader {
    list: Vec<Address>,
    at: At,
    in_group: bool,
    /// Words of a phrase with single spaces between them; or the local part.
    text: Vec<u8>,
    /// White space came after the last word.
    spaced: bool,
    /// What stands between the angle brackets, or the domain.
    inner: Vec<u8>,
    /// Where in `inner` the last `@` outside of quotes is.
    inner_at: Option<usize>,
    /// Where in `inner` the route's colon is.
    inner_colon: Option<usize>,
    comment: Option<Vec<u8>>,
}

impl Reader {
    fn take(&mut self, token: Token<'_>) {
        match token {
            Token::Space => self.spaced = true,
            Token::Comment(content) => {
                self.comment.get_or_insert(content);
                self.spaced = true;
            }
            Token::Atom(atom) => self.word(atom),
            Token::Quoted(content) => self.word(&content),
            Token::Special(b';') => {
                self.end_address();
                self.end_group();
            }
            Token::Special(b',') if self.at != At::Angle || !self.inner.starts_with(b"@") => {
                self.end_address();
            }
            Token::Special(special) => self.special(special),
        }
    }

    fn word(&mut self, word: &[u8]) {
        match self.at {
            At::Start => {
                if self.spaced && !self.text.is_empty() {
                    self.text.push(b' ');
                }
                self.text.extend_from_slice(word);
            }
            At::Domain | At::Angle => self.inner.extend_from_slice(word),
            At::AfterAngle => {}
        }
        self.spaced = false;
    }

    fn special(&mut self, special: u8) {
        match (&self.at, special) {
            (At::Start, b'@') => self.at = At::Domain,
            (At::Start, b'<') => self.at = At::Angle,
            (At::Start, b':') => self.begin_group(),
            (At::Domain, b'<') => {
                // A bare address as the display name of another: `a@b <a@b>`.
                self.text.push(b'@');
                self.text.append(&mut self.inner);
                self.at = At::Angle;
            }
            (At::Angle, b'>') => self.at = At::AfterAngle,
            // One bracket too many.
            (At::Angle, b'<') | (At::Domain, b'>') => {}
            (At::Angle, b':') if self.inner.starts_with(b"@") && self.inner_colon.is_none() => {
                self.inner_colon = Some(self.inner.len());
                self.inner_at = None;
                self.inner.push(b':');
            }
            (At::Angle, b'@') => {
                self.inner_at = Some(self.inner.len());
                self.inner.push(b'@');
            }
            _ => self.word(&[special]),
        }
    }

    fn begin_group(&mut self) {
        self.end_group();
        let name = std::mem::take(&mut self.text);
        self.reset();
        self.in_group = true;
        self.list.push(Address {
            mailbox: Some(name),
            ..Address::default()
        });
    }

    fn end_group(&mut self) {
        if std::mem::take(&mut self.in_group) {
            self.list.push(Address::default());
        }
    }

    fn end_address(&mut self) {
        let comment = self.comment.take().filter(|comment| !comment.is_empty());
        let text = std::mem::take(&mut self.text);
        let inner = std::mem::take(&mut self.inner);
        let found = match self.at {
            At::Start if text.is_empty() => None,
            // Words are a name without an address; one word is a local part.
            At::Start if text.contains(&b' ') => Some(bare(Some(text), Vec::new(), Vec::new())),
            At::Start => Some(bare(comment, text, Vec::new())),
            At::Domain => Some(bare(comment, text, inner)),
            At::Angle | At::AfterAngle => {
                let name = Some(text.trim_ascii().to_vec()).filter(|name| !name.is_empty());
                let name = name.or(comment);
                Some(self.angle(name, &inner))
            }
        };
        self.list.extend(found);
        self.reset();
    }

    /// `name <route:local@domain>`.
    fn angle(&self, name: Option<Vec<u8>>, inner: &[u8]) -> Address {
        let start = self.inner_colon.map_or(0, |colon| colon.saturating_add(1));
        let adl = self
            .inner_colon
            .and_then(|colon| inner.get(..colon))
            .map(<[u8]>::to_vec);
        let end = self.inner_at.unwrap_or(inner.len());
        let mailbox = inner.get(start..end).unwrap_or_default().to_vec();
        let host = inner
            .get(end.saturating_add(1)..)
            .unwrap_or_default()
            .to_vec();
        Address {
            name,
            adl,
            mailbox: Some(mailbox),
            host: Some(host),
        }
    }

    fn reset(&mut self) {
        self.at = At::Start;
        self.spaced = false;
        self.text.clear();
        self.inner.clear();
        self.inner_at = None;
        self.inner_colon = None;
        self.comment = None;
    }
}

fn bare(name: Option<Vec<u8>>, mailbox: Vec<u8>, host: Vec<u8>) -> Address {
    Address {
        name,
        adl: None,
        mailbox: Some(mailbox),
        host: Some(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Addresses as `name|adl|mailbox|host`, `-` for what is absent.
    fn check(value: &str, expected: &[&str]) {
        let part = |part: &Option<Vec<u8>>| {
            part.as_ref().map_or("-".to_owned(), |text| {
                String::from_utf8_lossy(text).into_owned()
            })
        };
        let found: Vec<String> = addresses(value.as_bytes(), 100)
            .iter()
            .map(|a| [&a.name, &a.adl, &a.mailbox, &a.host].map(part).join("|"))
            .collect();
        assert_eq!(found, expected, "{value}");
    }

    #[test]
    fn well_formed_addresses() {
        check("a@b.c", &["-|-|a|b.c"]);
        check("A B <a@b>", &["A B|-|a|b"]);
        check("\"B, A\" <a@b>, c@d", &["B, A|-|a|b", "-|-|c|d"]);
        check("a@b (A \\) B)", &["A ) B|-|a|b"]);
        check("A (x) B <a@b>", &["A B|-|a|b"]);
        check("\"a b\"@c", &["-|-|a b|c"]);
        check("<\"a@x\"@c>", &["-|-|a@x|c"]);
        check("a@[127.0.0.1]", &["-|-|a|[127.0.0.1]"]);
        check("a . b @ c . d", &["-|-|a . b|c.d"]);
        check("J. Doe <j@d>", &["J. Doe|-|j|d"]);
        check("=?utf-8?q?=C3=A9?= <e@f>", &["=?utf-8?q?=C3=A9?=|-|e|f"]);
        check("<@a,@b:c@d>", &["-|@a,@b|c|d"]);
        check("é <é@ü>", &["é|-|é|ü"]);
    }

    #[test]
    fn groups() {
        check(
            "G: a@b, C <c@d>; e@f",
            &["-|-|G|-", "-|-|a|b", "C|-|c|d", "-|-|-|-", "-|-|e|f"],
        );
        check(
            "undisclosed-recipients:;",
            &["-|-|undisclosed-recipients|-", "-|-|-|-"],
        );
        check("G: a@b", &["-|-|G|-", "-|-|a|b", "-|-|-|-"]);
        check(
            "G: H: a@b;;",
            &["-|-|G|-", "-|-|-|-", "-|-|H|-", "-|-|a|b", "-|-|-|-"],
        );
    }

    #[test]
    fn malformed_addresses() {
        check("", &[]);
        check(",,; ,", &[]);
        check("root", &["-|-|root|"]);
        check("A B", &["A B|-||"]);
        check("<>", &["-|-||"]);
        check("A <>", &["A|-||"]);
        check("a@b <c@d>", &["a@b|-|c|d"]);
        check("A <a@b", &["A|-|a|b"]);
        check("A <a@b, c@d", &["A|-|a|b", "-|-|c|d"]);
        check("a@b@c", &["-|-|a|b@c"]);
        check("\"open <a@b>", &["open <a@b>|-||"]);
        check("A <a@b> x", &["A|-|a|b"]);
        check("(only a comment", &[]);
        check("\" A \" <a@b>", &["A|-|a|b"]);
        check("A <<a@b>>, c@d>", &["A|-|a|b", "-|-|c|d"]);
        check(">", &["-|-|>|"]);
    }

    #[test]
    fn sender_and_reply_to_default_to_from() {
        let envelope = Envelope::parse(
            b"From: a@b\r\nReply-To:\r\nSubject: =?x?=\r\n y\r\nsubject: no\r\nTo: c@d\r\nTo: e@f\r\nDate:\r\n\r\n",
        );
        assert_eq!(envelope.sender, envelope.from);
        assert_eq!(envelope.reply_to, envelope.from);
        assert_eq!(envelope.to.len(), 2);
        assert_eq!(envelope.subject.as_deref(), Some(&b"=?x?= y"[..]));
        assert_eq!(envelope.date.as_deref(), Some(&b""[..]));
        assert_eq!(envelope.message_id, None);
    }

    #[test]
    fn threat_28_an_envelope_stops_at_ten_thousand_addresses() {
        for (written, kept) in [(9_999, 9_999), (10_000, 10_000), (10_001, 10_000)] {
            let header = format!("To: {}\r\n\r\n", "a@b,".repeat(written));
            assert_eq!(Envelope::parse(header.as_bytes()).to.len(), kept);
        }
    }
}
