//! The structure indexer: finds the parts of a message in one pass (RFC 2046 §5).
//!
//! It takes the message in pieces of any size and holds back no more than headers, so that its
//! memory does not grow with bodies; any split gives the same result. It never fails. Loops
//! instead of recursion, and limits on depth, parts and headers, bound what a message can cost.
//!
//! How the unclear is settled:
//!
//! - A header ends at a blank line, at a delimiter of an enclosing multipart, or with the
//!   message. Other lines in it, such as one without a colon, do not end it.
//! - A line is a delimiter if it begins with `--` and a boundary of an open multipart; what
//!   follows on it is ignored (RFC 2046 §5.1.1). If several match, the longest is meant, of
//!   equals the innermost. The line end before it belongs to it.
//! - A delimiter ends every part inside its multipart, messages inside too; so does the end of
//!   the message. After the closing delimiter its boundary means nothing any more.
//! - A multipart without a boundary, or in which no delimiter is found, is one plain text part:
//!   people see what is there, and every multipart in BODYSTRUCTURE has a part.
//! - In `multipart/digest` the default type is `message/rfc822`.
//! - `message/rfc822` or `message/global` in base64 or quoted-printable, and what is nested past
//!   the limit, is one `application/octet-stream` part. Past the limit on parts no delimiter
//!   means anything, and the part at hand is that.
//! - Of a header past its limit only the beginning is understood; past the limit of all headers
//!   nothing. Addresses and parameters past their limits are left out.

use memchr::memchr;

use crate::{
    envelope::Envelope,
    limits::{self, Parsing},
    mime::{
        Decoder, Encoding,
        part::{Index, Media, Part, PartKind},
    },
};

/// Finds the structure of a message that is in memory, within the default limits.
#[must_use]
pub fn index(message: &[u8]) -> Index {
    let mut indexer = Indexer::new(Parsing::DEFAULT);
    indexer.push(message);
    indexer.finish()
}

/// Finds the structure of a message that arrives in pieces.
#[derive(Debug)]
pub struct Indexer {
    limits: Parsing,
    parts: Vec<Part>,
    /// The parts that have not ended, outermost first. Never empty before the end.
    open: Vec<Open>,
    /// Bytes of a line enough to tell a delimiter.
    line_bytes_needed: usize,
    mode: Mode,
    line: Line,
    /// The first bytes of a line that is not decided.
    line_start: Vec<u8>,
    /// Bytes, and line ends, taken so far.
    taken: u64,
    lines: u64,
    /// The length of the line end before this line.
    last_line_end: u64,
    last_byte: u8,
    header: Vec<u8>,
    /// Bytes of all headers that may still be kept.
    header_room: usize,
    /// Addresses, and parameters, that may still be kept.
    address_room: usize,
    param_room: usize,
    top_header: Option<Vec<u8>>,
    leaf: Option<LeafDecoder>,
    /// Too many parts: delimiters mean nothing any more.
    full: bool,
}

/// A part that has not ended.
#[derive(Debug)]
struct Open {
    part: usize,
    /// Of a multipart that has not been closed.
    boundary: Option<Vec<u8>>,
    in_digest: bool,
    lines_before_body: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Header,
    Body,
}

/// What is known of the line being read.
#[derive(Clone, Copy, Debug, Default)]
enum Line {
    /// Too few bytes to tell.
    #[default]
    Undecided,
    /// Part of a header or a body.
    Content,
    /// A delimiter, whose rest is ignored.
    Delimiter { opens: bool },
}

impl Indexer {
    /// An indexer at the first byte of a message.
    #[must_use]
    pub fn new(limits: Parsing) -> Self {
        let mut indexer = Self {
            limits,
            parts: Vec::new(),
            open: Vec::new(),
            line_bytes_needed: 0,
            mode: Mode::Header,
            line: Line::Undecided,
            line_start: Vec::new(),
            taken: 0,
            lines: 0,
            last_line_end: 0,
            last_byte: 0,
            header: Vec::new(),
            header_room: limits.headers_bytes_max,
            address_room: limits::ENVELOPE_ADDRESSES_MAX,
            param_room: limits::PARAMS_TOTAL_MAX,
            top_header: None,
            leaf: None,
            full: false,
        };
        indexer.open_part(None, false);
        indexer
    }

    /// Takes the next bytes of the message.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map_or(rest.len(), |at| at.saturating_add(1));
            let (piece, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
            self.piece(piece);
            rest = after;
        }
    }

    /// The message ends here.
    #[must_use]
    pub fn finish(mut self) -> Index {
        if !self.line_start.is_empty() {
            self.decide_line();
        }
        if matches!(self.line, Line::Delimiter { opens: true }) {
            self.begin_part_after_delimiter();
        }
        self.end_headers();
        self.close_down_to(0, self.taken, self.lines);
        count_descendants(&mut self.parts);
        let header = self.top_header.unwrap_or_default();
        Index {
            size: self.taken,
            header,
            parts: self.parts,
        }
    }

    /// Takes bytes of one line, its end at most as their last byte.
    fn piece(&mut self, piece: &[u8]) {
        if !matches!(self.line, Line::Undecided) {
            self.rest_of_line(piece);
        } else if self.line_start.is_empty() && !self.may_be_special(piece) {
            self.line = Line::Content;
            self.content(piece);
        } else {
            let room = self.line_bytes_needed.saturating_sub(self.line_start.len());
            let (head, rest) = piece.split_at_checked(room).unwrap_or((piece, &[]));
            self.line_start.extend_from_slice(head);
            if head.ends_with(b"\n") || self.line_start.len() >= self.line_bytes_needed {
                self.decide_line();
                self.rest_of_line(rest);
            }
        }
    }

    /// Whether a line with these first bytes may be blank or a delimiter and that matters.
    fn may_be_special(&self, bytes: &[u8]) -> bool {
        match self.mode {
            Mode::Header => matches!(bytes.first(), Some(b'\r' | b'\n' | b'-')),
            Mode::Body => bytes.first() == Some(&b'-'),
        }
    }

    /// Takes more bytes of a line that is decided.
    fn rest_of_line(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        match self.line {
            Line::Delimiter { .. } => self.consume(bytes),
            Line::Content | Line::Undecided => self.content(bytes),
        }
    }

    /// Decides what a line is by its first bytes, and takes them.
    fn decide_line(&mut self) {
        let start = std::mem::take(&mut self.line_start);
        if self.mode == Mode::Header && matches!(start.as_slice(), b"\n" | b"\r\n") {
            self.keep_header(&start);
            self.consume(&start);
            self.end_header();
        } else {
            match self.delimiter(&start) {
                Some(delimiter) if delimiter.closes || self.parts.len() < self.limits.parts_max => {
                    self.at_delimiter(&delimiter);
                    self.consume(&start);
                }
                found => {
                    if found.is_some() {
                        self.give_up();
                    }
                    self.line = Line::Content;
                    self.content(&start);
                }
            }
        }
        // Keep the allocation for the next line.
        self.line_start = start;
        self.line_start.clear();
    }

    /// Takes bytes of a header or a body.
    fn content(&mut self, bytes: &[u8]) {
        match self.mode {
            Mode::Header => self.keep_header(bytes),
            Mode::Body => {
                if let Some(leaf) = &mut self.leaf {
                    leaf.push(bytes);
                }
            }
        }
        self.consume(bytes);
    }

    /// Counts bytes, and begins a new line after a line end.
    fn consume(&mut self, bytes: &[u8]) {
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        let Some((last, before)) = bytes.split_last() else {
            return;
        };
        if *last != b'\n' {
            self.last_byte = *last;
            return;
        }
        let cr = *before.last().unwrap_or(&self.last_byte) == b'\r';
        self.last_line_end = if cr { 2 } else { 1 };
        self.last_byte = b'\n';
        self.lines = self.lines.saturating_add(1);
        if matches!(
            std::mem::take(&mut self.line),
            Line::Delimiter { opens: true }
        ) {
            self.begin_part_after_delimiter();
        }
    }

    fn keep_header(&mut self, bytes: &[u8]) {
        let room = self
            .limits
            .header_bytes_max
            .saturating_sub(self.header.len())
            .min(self.header_room);
        let kept = bytes.get(..room).unwrap_or(bytes);
        self.header.extend_from_slice(kept);
        self.header_room = self.header_room.saturating_sub(kept.len());
    }
}

/// A delimiter line: of which open part, and whether it closes that.
struct Delimiter {
    depth: usize,
    closes: bool,
}

/// Parts beginning and ending.
impl Indexer {
    /// The delimiter that begins with these bytes, if they are one.
    fn delimiter(&self, start: &[u8]) -> Option<Delimiter> {
        let line = start.strip_prefix(b"--").filter(|_| !self.full)?;
        let mut best: Option<(usize, &[u8])> = None;
        for (depth, open) in self.open.iter().enumerate().rev() {
            if let Some(boundary) = &open.boundary
                && line.starts_with(boundary)
                && best.is_none_or(|(_, known)| known.len() < boundary.len())
            {
                best = Some((depth, boundary));
            }
        }
        let (depth, boundary) = best?;
        let closes = line
            .get(boundary.len()..)
            .is_some_and(|rest| rest.starts_with(b"--"));
        Some(Delimiter { depth, closes })
    }

    /// Ends what a delimiter ends. Nothing of its line has been taken.
    fn at_delimiter(&mut self, delimiter: &Delimiter) {
        // A header may have no blank line; messages inside begin and end at once.
        self.end_headers();
        let body_end = self.taken.saturating_sub(self.last_line_end);
        self.close_down_to(
            delimiter.depth.saturating_add(1),
            body_end,
            self.lines.saturating_sub(1),
        );
        if delimiter.closes
            && let Some(open) = self.open.get_mut(delimiter.depth)
        {
            open.boundary = None;
            self.measure_boundaries();
        }
        self.mode = Mode::Body;
        self.line = Line::Delimiter {
            opens: !delimiter.closes,
        };
    }

    /// Past the limit on parts the innermost open part becomes one opaque leaf.
    fn give_up(&mut self) {
        self.full = true;
        self.leaf = None;
        let innermost = self
            .open
            .last()
            .and_then(|open| self.parts.get_mut(open.part));
        if let Some(part) = innermost.filter(|part| part.kind == PartKind::Leaf) {
            part.make_opaque(Media::octet_stream());
        }
    }

    fn begin_part_after_delimiter(&mut self) {
        let parent = self.open.last().map(|open| open.part);
        let in_digest = parent
            .and_then(|at| self.parts.get(at))
            .is_some_and(|part| part.media.is("multipart", "digest"));
        self.line = Line::default();
        self.open_part(parent, in_digest);
    }

    /// Begins a part whose header begins here.
    fn open_part(&mut self, parent: Option<usize>, in_digest: bool) {
        let part = self.parts.len();
        self.parts.push(Part::starting(parent, self.taken));
        self.open.push(Open {
            part,
            boundary: None,
            in_digest,
            lines_before_body: self.lines,
        });
        self.mode = Mode::Header;
        self.header.clear();
        self.measure_boundaries();
    }

    fn measure_boundaries(&mut self) {
        let boundaries = self.open.iter().filter_map(|open| open.boundary.as_ref());
        let longest = boundaries
            .map(|boundary| boundary.len().saturating_add(4))
            .max();
        self.line_bytes_needed = longest.unwrap_or(2);
    }

    /// Ends the header at hand, and with it those of messages that begin here.
    fn end_headers(&mut self) {
        while self.mode == Mode::Header {
            self.end_header();
        }
    }

    /// The header of the innermost part ended here: learn what its body is.
    fn end_header(&mut self) {
        self.mode = Mode::Body;
        let end = self.taken;
        let header = std::mem::take(&mut self.header);
        let deeper =
            self.open.len() < self.limits.depth_max && self.parts.len() < self.limits.parts_max;
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let is_root = match self.parts.get(open.part).and_then(|part| part.parent) {
            None => true,
            Some(parent) => self
                .parts
                .get(parent)
                .is_some_and(|part| part.kind == PartKind::Message),
        };
        let Some(part) = self.parts.get_mut(open.part) else {
            return;
        };
        part.header.end = end;
        part.body = end..end;
        open.lines_before_body = self.lines;
        part.describe(&header, open.in_digest, self.limits.params_max);
        if is_root {
            part.envelope = Some(Box::new(Envelope::parse_within(
                &header,
                &mut self.address_room,
            )));
        }
        open.boundary = decide_kind(part, deeper);
        part.limit_params(&mut self.param_room);
        self.leaf = (part.kind == PartKind::Leaf)
            .then(|| LeafDecoder::new(part.encoding))
            .flatten();
        let (kind, at) = (part.kind, open.part);
        if self.top_header.is_none() {
            self.top_header = Some(header);
        } else {
            // Keep the allocation for the next header.
            self.header = header;
            self.header.clear();
        }
        match kind {
            PartKind::Multipart => self.measure_boundaries(),
            PartKind::Message => self.open_part(Some(at), false),
            PartKind::Leaf => {}
        }
    }

    /// Ends the open parts beyond a depth; their bodies end at `end`, after so many lines.
    ///
    /// A blank line directly before a delimiter ends a header and begins the delimiter: the
    /// header keeps it, and so do the bodies around that header.
    fn close_down_to(&mut self, depth: usize, mut end: u64, mut lines: u64) {
        while self.open.len() > depth
            && let Some(open) = self.open.pop()
        {
            let leaf = self.leaf.take();
            let without_parts = self.parts.len() == open.part.saturating_add(1);
            let Some(part) = self.parts.get_mut(open.part) else {
                continue;
            };
            if part.body.start > end {
                (end, lines) = (part.body.start, open.lines_before_body);
            }
            part.body.end = end;
            part.lines = lines.saturating_sub(open.lines_before_body);
            if part.kind == PartKind::Multipart && without_parts {
                part.make_opaque(Media::plain_text());
            }
            part.decoded_size = match leaf {
                Some(leaf) => Some(leaf.finish(end == self.taken)),
                None if part.encoding == Encoding::Unknown => None,
                None => Some(part.body.end.saturating_sub(part.body.start)),
            };
        }
        self.measure_boundaries();
    }
}

/// Decides what the body of a described part holds; a multipart's boundary is returned.
fn decide_kind(part: &mut Part, deeper: bool) -> Option<Vec<u8>> {
    if part.media.is_message() {
        if deeper && part.encoding != Encoding::Base64 && part.encoding != Encoding::QuotedPrintable
        {
            part.kind = PartKind::Message;
            part.undo_encoding();
        } else {
            part.media = Media::octet_stream();
        }
    } else if part.media.has_type("multipart") {
        let boundary = boundary_of(&part.media);
        match boundary {
            Some(_) if deeper => {
                part.kind = PartKind::Multipart;
                part.undo_encoding();
                return boundary;
            }
            Some(_) => part.make_opaque(Media::octet_stream()),
            None => part.make_opaque(Media::plain_text()),
        }
    }
    None
}

/// The boundary of a multipart. Of an overlong one the beginning is enough, since the rest of a
/// delimiter line is ignored.
fn boundary_of(media: &Media) -> Option<Vec<u8>> {
    let boundary = media.param("boundary")?;
    let boundary = boundary.trim_ascii_end();
    let kept = boundary
        .get(..limits::BOUNDARY_BYTES_MAX)
        .unwrap_or(boundary);
    (!kept.is_empty()).then(|| kept.to_vec())
}

/// Parts come before those inside them, so from the back each count is complete when added.
fn count_descendants(parts: &mut [Part]) {
    for at in (0..parts.len()).rev() {
        let Some((Some(parent), own)) = parts.get(at).map(|part| (part.parent, part.descendants))
        else {
            continue;
        };
        if let Some(parent) = parts.get_mut(parent) {
            parent.descendants = parent.descendants.saturating_add(own).saturating_add(1);
        }
    }
}

/// Measures the decoded size of a body by decoding it as FETCH will.
#[derive(Debug)]
struct LeafDecoder {
    decoder: Decoder,
    /// A line end, or the CR of one, that may belong to a delimiter.
    held: &'static [u8],
    scratch: Vec<u8>,
    size: u64,
}

impl LeafDecoder {
    /// A decoder for a body that is not as large decoded as it is encoded.
    fn new(encoding: Encoding) -> Option<Self> {
        let decoder = encoding
            .decoder()
            .filter(|_| encoding != Encoding::Identity)?;
        Some(Self {
            decoder,
            held: &[],
            scratch: Vec::new(),
            size: 0,
        })
    }

    /// Takes bytes of one line.
    fn push(&mut self, bytes: &[u8]) {
        if self.held == b"\r" && bytes.first() == Some(&b'\n') {
            self.held = b"\r\n";
            return;
        }
        self.release();
        let held: &'static [u8] = match bytes {
            [.., b'\r', b'\n'] => b"\r\n",
            [.., b'\n'] => b"\n",
            [.., b'\r'] => b"\r",
            _ => b"",
        };
        self.held = held;
        self.decode(bytes.strip_suffix(held).unwrap_or(bytes));
    }

    fn release(&mut self) {
        let held = std::mem::take(&mut self.held);
        self.decode(held);
    }

    fn decode(&mut self, bytes: &[u8]) {
        // In steps, so that the scratch space stays small whatever the piece.
        for step in bytes.chunks(limits::DECODE_STEP_BYTES) {
            self.scratch.clear();
            self.decoder.push(step, &mut self.scratch);
            self.size = self.size.saturating_add(self.scratch.len() as u64);
        }
    }

    /// The size; the line end held back counts if it ends the message.
    fn finish(mut self, at_end: bool) -> u64 {
        if at_end {
            self.release();
        }
        self.scratch.clear();
        self.decoder.finish(&mut self.scratch);
        self.size.saturating_add(self.scratch.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each part: its depth in dots, its type, its header, its body, its lines.
    fn tree(message: &str) -> String {
        let found = index(message.as_bytes());
        let mut split = Indexer::new(Parsing::DEFAULT);
        message
            .as_bytes()
            .iter()
            .for_each(|byte| split.push(&[*byte]));
        assert_eq!(split.finish(), found, "split {message:?}");
        let text = |from: u64, to: u64| {
            message[from as usize..to as usize]
                .escape_debug()
                .to_string()
        };
        let mut out = String::new();
        let mut depths: Vec<usize> = Vec::new();
        for (at, part) in found.parts.iter().enumerate() {
            let depth = part.parent.map_or(0, |parent| depths[parent] + 1);
            depths.push(depth);
            if let Some(parent) = part.parent {
                assert!(found.children(parent).any(|child| child == at));
            }
            out.push_str(&format!(
                "{}{}/{} [{}] [{}] {}\n",
                ".".repeat(depth),
                String::from_utf8_lossy(&part.media.media_type),
                String::from_utf8_lossy(&part.media.subtype),
                text(part.header.start, part.header.end),
                text(part.body.start, part.body.end),
                part.lines,
            ));
        }
        out
    }

    fn check(message: &str, expected: &[&str]) {
        let found = tree(message);
        assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{message:?}");
    }

    const MULTI: &str = "Content-Type: multipart/x; boundary=b\n\n";

    /// The same for the body of a multipart with boundary `b`, without the root.
    fn check_multi(body: &str, expected: &[&str]) {
        let found = tree(&format!("{MULTI}{body}"));
        assert_eq!(
            found.lines().skip(1).collect::<Vec<_>>(),
            expected,
            "{body:?}"
        );
    }

    #[test]
    fn simple_messages() {
        check("", &["text/plain [] [] 0"]);
        check("\r\n", &["text/plain [\\r\\n] [] 0"]);
        check("\nbody", &["text/plain [\\n] [body] 0"]);
        check("A: b", &["text/plain [A: b] [] 0"]);
        check("A: b\r\n", &["text/plain [A: b\\r\\n] [] 0"]);
        check("A: b\r\n\r\n", &["text/plain [A: b\\r\\n\\r\\n] [] 0"]);
        check(
            "A: b\r\n\r\nc\r\nd\r\n",
            &["text/plain [A: b\\r\\n\\r\\n] [c\\r\\nd\\r\\n] 2"],
        );
        check("\n--b\n", &["text/plain [\\n] [--b\\n] 1"]);
        check("\r\rx", &["text/plain [\\r\\rx] [] 0"]);
        check(
            "Content-Type: text/x (c) name=y\n\n",
            &["text/x [Content-Type: text/x (c) name=y\\n\\n] [] 0"],
        );
        check(
            "Content-Type: a/b/c\n\n",
            &["text/plain [Content-Type: a/b/c\\n\\n] [] 0"],
        );
    }

    #[test]
    fn delimiters_take_the_line_end_before_them() {
        check_multi(
            "--b\n\nx\n--b--\n",
            &["text/plain [\\n] [x] 0"]
                .map(|line| Box::leak(format!(".{line}").into_boxed_str()) as &str),
        );
        check_multi(
            "--b\r\n\r\nx\r\n\r\n--b--",
            &[".text/plain [\\r\\n] [x\\r\\n] 1"],
        );
        check_multi("--b\n\n--b--\n", &[".text/plain [\\n] [] 0"]);
        check_multi("--b\n--b--\n", &[".text/plain [] [] 0"]);
        check_multi("--b\nA: b\n--b--\n", &[".text/plain [A: b\\n] [] 0"]);
        check_multi(
            "--b\nA: b\n\n--b\n\ny",
            &[".text/plain [A: b\\n\\n] [] 0", ".text/plain [\\n] [y] 0"],
        );
    }

    #[test]
    fn delimiters_missing_or_odd() {
        check_multi("--b\n\nx\ny\n", &[".text/plain [\\n] [x\\ny\\n] 2"]);
        check_multi("--b", &[".text/plain [] [] 0"]);
        check_multi(
            "pre\n--b trailing\n\nx\n--b-- more\nepilogue\n--b\n",
            &[".text/plain [\\n] [x] 0"],
        );
        check_multi(
            "--b\n\nx\n --b\n--a\n-b\n--\n",
            &[".text/plain [\\n] [x\\n --b\\n--a\\n-b\\n--\\n] 5"],
        );
    }

    #[test]
    fn a_multipart_without_parts_is_text() {
        check(
            "Content-Type: multipart/mixed\n\nx\n",
            &["text/plain [Content-Type: multipart/mixed\\n\\n] [x\\n] 1"],
        );
        let bounded = MULTI.escape_debug().to_string();
        check(
            &format!("{MULTI}x\n"),
            &[&format!("text/plain [{bounded}] [x\\n] 1")],
        );
        check(
            &format!("{MULTI}--b--\n"),
            &[&format!("text/plain [{bounded}] [--b--\\n] 1")],
        );
        check(
            "Content-Type: multipart/mixed; boundary=\"\"\n\n--\n",
            &["text/plain [Content-Type: multipart/mixed; boundary=\\\"\\\"\\n\\n] [--\\n] 1"],
        );
    }

    #[test]
    fn the_longest_boundary_is_meant() {
        let inner = "Content-Type: multipart/y; boundary=bb\n\n";
        let shown = inner.escape_debug();
        check_multi(
            &format!("--b\n{inner}--bb\n\nx\n--bb--\n--b\n\ny\n--b--\n"),
            &[
                &format!(".multipart/y [{shown}] [--bb\\n\\nx\\n--bb--] 3"),
                "..text/plain [\\n] [x] 0",
                ".text/plain [\\n] [y] 0",
            ],
        );
        // The inner one is the prefix; and a delimiter of the outer ends the inner.
        let message = "Content-Type: multipart/x; boundary=bb\n\n--bb\nContent-Type: multipart/y; boundary=b\n\n--b\n\nx\n--bb\n\ny";
        assert_eq!(
            tree(message).lines().skip(1).collect::<Vec<_>>(),
            [
                ".multipart/y [Content-Type: multipart/y; boundary=b\\n\\n] [--b\\n\\nx] 2",
                "..text/plain [\\n] [x] 0",
                ".text/plain [\\n] [y] 0",
            ]
        );
    }

    #[test]
    fn messages_inside() {
        let header = "Content-Type: message/rfc822\n\n";
        let shown = header.escape_debug();
        check_multi(
            &format!("--b\n{header}A: b\n\nx\n--b--\n"),
            &[
                &format!(".message/rfc822 [{shown}] [A: b\\n\\nx] 2"),
                "..text/plain [A: b\\n\\n] [x] 0",
            ],
        );
        check_multi(
            &format!("--b\n{header}A: b\n\n--b--\n"),
            &[
                &format!(".message/rfc822 [{shown}] [A: b\\n\\n] 2"),
                "..text/plain [A: b\\n\\n] [] 0",
            ],
        );
        check_multi(
            &format!("--b\n{header}--b--\n"),
            &[
                &format!(".message/rfc822 [{shown}] [] 0"),
                "..text/plain [] [] 0",
            ],
        );
        check(
            header,
            &[
                &format!("message/rfc822 [{shown}] [] 0"),
                ".text/plain [] [] 0",
            ],
        );
        check(
            "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: b\n\nx\n--b\nContent-Type: text/plain\n\ny",
            &[
                "multipart/digest [Content-Type: multipart/digest; boundary=b\\n\\n] [--b\\n\\nA: b\\n\\nx\\n--b\\nContent-Type: text/plain\\n\\ny] 8",
                ".message/rfc822 [\\n] [A: b\\n\\nx] 2",
                "..text/plain [A: b\\n\\n] [x] 0",
                ".text/plain [Content-Type: text/plain\\n\\n] [y] 0",
            ],
        );
    }

    #[test]
    fn encoded_messages_are_not_taken_apart() {
        let found = index(
            b"Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQTogYgoKeA==",
        );
        assert_eq!(found.parts.len(), 1);
        assert!(found.parts[0].media.is("application", "octet-stream"));
        assert_eq!(found.parts[0].decoded_size, Some(7));
    }

    #[test]
    fn decoded_sizes_leave_out_the_line_end_of_the_delimiter() {
        let sizes = |cte: &str, body: &str| {
            let message =
                format!("{MULTI}--b\nContent-Transfer-Encoding: {cte}\n\n{body}\r\n--b--\n");
            index(message.as_bytes()).parts[1].decoded_size
        };
        assert_eq!(sizes("quoted-printable", "a=3D\r\nb"), Some(5));
        assert_eq!(sizes("quoted-printable", "a=\r\nb \r\n"), Some(4));
        assert_eq!(sizes("base64", "aGVs\r\nbG8="), Some(5));
        assert_eq!(sizes("8bit", "é\r\n"), Some(4));
        assert_eq!(sizes("x-unknown", "é\r\n"), None);
    }

    #[test]
    fn header_strings_of_a_part_are_raw() {
        let found = index(
            b"Content-Type: TEXT/Html; charset=\"utf-8\"\r\nContent-ID: <a@b>\r\nContent-Description: =?x?=\r\n y\r\n\
              Content-MD5: Q2hlY2s=\r\nContent-Disposition: attachment; filename=a.txt\r\nContent-Language: de, en (x)\r\n\
              Content-Location: http://\r\n a/b\r\nContent-Transfer-Encoding: \r\n 8BIT (c)\r\nSubject: s\r\n\r\n",
        );
        let part = &found.parts[0];
        assert_eq!(part.media.media_type, b"TEXT");
        assert_eq!(part.id.as_deref(), Some(&b"<a@b>"[..]));
        assert_eq!(part.description.as_deref(), Some(&b"=?x?= y"[..]));
        assert_eq!(part.md5.as_deref(), Some(&b"Q2hlY2s="[..]));
        assert_eq!(part.disposition.as_ref().unwrap().head, b"attachment");
        assert_eq!(part.language, [b"de", b"en"]);
        assert_eq!(part.location.as_deref(), Some(&b"http://a/b"[..]));
        assert_eq!(part.cte, b"8BIT");
        assert_eq!(
            found.envelope().unwrap().subject.as_deref(),
            Some(&b"s"[..])
        );
        assert!(found.header.ends_with(b"Subject: s\r\n\r\n"));
    }

    #[test]
    fn threat_27_depth_has_a_limit() {
        for depth in [98, 99, 100, 1_000] {
            // So many multiparts around one text.
            let mut message = String::new();
            for at in 0..depth {
                message.push_str(&format!(
                    "Content-Type: multipart/x; boundary=b{at}.\n\n--b{at}.\n"
                ));
            }
            message.push_str("\nx");
            let found = index(message.as_bytes());
            assert_eq!(found.parts.len(), (depth + 1).min(limits::MIME_DEPTH_MAX));
            let last = found.parts.last().unwrap();
            assert_eq!(
                last.media.is("text", "plain"),
                depth < limits::MIME_DEPTH_MAX
            );
        }
        let message = "Content-Type: message/rfc822\n\n".repeat(1_000);
        let found = index(message.as_bytes());
        assert_eq!(found.parts.len(), limits::MIME_DEPTH_MAX);
        assert!(found.parts[99].media.is("application", "octet-stream"));
    }

    #[test]
    fn threat_27_parts_have_a_limit() {
        for last in [
            "\nx",
            "Content-Type: message/rfc822\n\nA: b\n\nx",
            "Content-Type: multipart/digest; boundary=c\n\n--c\n\nA: b\n\nx",
        ] {
            // The root, so many texts, and something last.
            for texts in [9_990, 9_997, 9_998, 9_999, 10_000, 10_001, 20_000] {
                let message = format!("{MULTI}{}--b\n{last}\n--b--\n", "--b\n\ny\n".repeat(texts));
                let found = index(message.as_bytes());
                assert!(found.parts.len() <= limits::PARTS_MAX);
                let inside = [0, 1, 2][usize::from(last.len() > 2) + usize::from(last.len() > 40)];
                let wanted = texts + 2 + inside;
                assert_eq!(found.parts.len().min(wanted), found.parts.len());
                if wanted <= limits::PARTS_MAX {
                    assert_eq!(found.parts.len(), wanted);
                } else {
                    let opaque = found.parts.last().unwrap();
                    assert!(
                        opaque.media.is("application", "octet-stream"),
                        "{texts} {last}"
                    );
                }
                let parts = crate::structure::Parts::from(&found);
                assert_eq!(crate::structure::decode(&parts.encode()), Ok(parts));
            }
        }
    }

    #[test]
    fn threat_28_long_headers_are_cut_for_understanding_only() {
        let message = format!(
            "A: {}\r\nContent-Type: a/b\r\n\r\nbody",
            "x".repeat(limits::HEADER_BYTES_MAX)
        );
        let found = index(message.as_bytes());
        assert_eq!(found.header.len(), limits::HEADER_BYTES_MAX);
        assert_eq!(found.parts[0].header.end as usize, message.len() - 4);
        assert!(found.parts[0].media.is("text", "plain"));
    }

    fn within(message: &str, limits: Parsing) -> Index {
        let mut indexer = Indexer::new(limits);
        indexer.push(message.as_bytes());
        indexer.finish()
    }

    #[test]
    fn threat_27_lower_limits_hold_at_their_edge() {
        let nested = "Content-Type: message/rfc822\n\n".repeat(6);
        let texts = format!("{MULTI}{}--b--\n", "--b\n\ny\n".repeat(6));
        // Seven levels, and seven parts.
        for (max, parts, is_whole) in [(6, 6, false), (7, 7, true), (8, 7, true)] {
            let depth = Parsing {
                depth_max: max,
                ..Parsing::DEFAULT
            };
            let count = Parsing {
                parts_max: max,
                ..Parsing::DEFAULT
            };
            for found in [within(&nested, depth), within(&texts, count)] {
                assert_eq!(found.parts.len(), parts);
                let last = &found.parts[parts - 1].media;
                assert_eq!(last.is("text", "plain"), is_whole, "{max}");
                let stored = crate::structure::encode(&found);
                let parts = crate::structure::Parts::from(&found);
                assert_eq!(crate::structure::decode(&stored), Ok(parts));
            }
        }
    }

    #[test]
    fn threat_28_lower_limits_of_headers_hold_at_their_edge() {
        let field = "Content-Type: text/xy";
        let message = format!("{field}\n\nbody");
        let inside = format!("{MULTI}--b\n{message}\n--b--\n");
        // What is cut off is a letter, then nothing that says anything.
        for (room, subtype) in [(-1, "x"), (0, "xy"), (1, "xy")] {
            let header_bytes_max = field.len().saturating_add_signed(room);
            let one = Parsing {
                header_bytes_max,
                ..Parsing::DEFAULT
            };
            let all = Parsing {
                headers_bytes_max: MULTI.len() + header_bytes_max,
                ..Parsing::DEFAULT
            };
            let found = within(&message, one);
            assert_eq!(found.header.len(), header_bytes_max);
            assert!(found.parts[0].media.is("text", subtype));
            let found = within(&inside, all);
            assert!(found.parts[1].media.is("text", subtype));
            assert_eq!(found.parts[1].decoded_size, Some(4));
        }
    }
}
