//! What counts the bytes a session is sent, and lets them be heard where somebody listens: line by
//! line, the challenges of a login by their size only, and so the contents of messages where nobody
//! wants to hear those.

use std::sync::Arc;

use super::{
    entry::Entry,
    trace::{Content, Part, Said, Side},
};

/// A line longer than this is told in part, bytes.
const LINE_BYTES_MAX: usize = 4 * 1024;
/// As much of its end is told in any case: a literal may be announced there.
const END_BYTES: usize = 32;

/// Counts what goes over the wire.
pub struct Wire(Arc<Entry>);

impl Wire {
    /// For the connection of this entry.
    #[must_use]
    pub const fn new(entry: Arc<Entry>) -> Self {
        Self(entry)
    }

    /// Bytes came.
    pub fn received(&self, bytes: u64) {
        self.0.received(bytes);
        if !self.0.is_probe {
            self.0.metrics.bytes_received.add((), bytes);
        }
    }

    /// Bytes were sent.
    pub fn sent(&self, bytes: u64) {
        self.0.sent(bytes);
        if !self.0.is_probe {
            self.0.metrics.bytes_sent.add((), bytes);
        }
    }
}

/// Counts what is sent, and lets it be heard.
pub struct Meter {
    entry: Arc<Entry>,
    /// None where a layer below counts.
    wire: Option<Wire>,
    /// There while somebody listens.
    skim: Option<Box<Skim>>,
}

impl Meter {
    /// For the connection of this entry.
    #[must_use]
    pub fn new(entry: Arc<Entry>) -> Self {
        let wire = Some(Wire::new(Arc::clone(&entry)));
        Self {
            entry,
            wire,
            skim: None,
        }
    }

    /// Bytes went to the client.
    pub fn sent(&mut self, bytes: &[u8]) {
        if let Some(wire) = &self.wire {
            wire.sent(bytes.len() as u64);
        }
        if let Some(skim) = &mut self.skim {
            skim.tells_contents = self.entry.trace.tells_contents();
            for (part, bytes) in skim.parts(bytes) {
                self.entry.say_part((Side::Server, part), bytes);
            }
        }
    }

    /// What is sent next begins a line: whoever listens may begin to, or has left.
    pub fn between_lines(&mut self) {
        match (self.entry.trace.is_on(), &self.skim) {
            (true, None) => self.skim = Some(Box::default()),
            (false, Some(_)) => self.skim = None,
            _ => {}
        }
    }

    /// From now on bytes are counted so; by nobody here where a layer below does.
    pub fn count_by(&mut self, wire: Option<Wire>) {
        self.wire = wire;
    }

    /// What is sent next is not told.
    pub fn hush(&mut self) {
        if let Some(skim) = &mut self.skim {
            skim.hushed = true;
        }
    }
}

impl Entry {
    /// Lets lines be heard.
    pub fn say(&self, side: Side, bytes: Vec<u8>) {
        self.say_part((side, Part::Lines), bytes);
    }

    /// Lets content of a message be heard that came from the client.
    pub fn say_content(&self, content: &mut Content, bytes: &[u8]) {
        if self.trace.tells_contents() {
            for piece in content.add(bytes) {
                self.say_part((Side::Client, Part::Content), piece);
            }
        }
    }

    /// The message is over.
    pub fn end_content(&self, content: &mut Content) {
        self.say_part((Side::Client, Part::Content), content.rest());
    }

    fn say_part(&self, (side, part): (Side, Part), bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.trace.say(Said {
                session: self.id,
                side,
                part,
                bytes,
            });
        }
    }
}

/// Cuts what is sent into lines, and leaves literals out or tells them apart.
#[derive(Default)]
struct Skim {
    /// Whether somebody wants to hear the contents of literals.
    tells_contents: bool,
    /// The end of what was told of a literal.
    content: Content,
    /// The line so far.
    line: Vec<u8>,
    /// Bytes of a literal that are still to come.
    literal: u64,
    hushed: bool,
}

impl Skim {
    /// The lines that end in these bytes, and what there is of literals.
    fn parts(&mut self, mut bytes: &[u8]) -> Vec<(Part, Vec<u8>)> {
        if std::mem::take(&mut self.hushed) {
            return vec![(Part::Lines, b"+ [not told]\r\n".to_vec())];
        }
        let (mut parts, mut told) = (Vec::new(), Vec::new());
        while !bytes.is_empty() {
            if self.literal > 0 {
                let left = usize::try_from(self.literal).unwrap_or(usize::MAX);
                let (content, rest) = bytes.split_at(left.min(bytes.len()));
                self.literal = self.literal.saturating_sub(content.len() as u64);
                bytes = rest;
                if self.tells_contents {
                    parts.push((Part::Lines, std::mem::take(&mut told)));
                    parts.extend(self.contents(content));
                }
                continue;
            }
            let newline = bytes.iter().position(|byte| *byte == b'\n');
            let end = newline.map_or(bytes.len(), |at| at.saturating_add(1));
            let (piece, rest) = bytes.split_at(end);
            self.line.extend_from_slice(piece);
            bytes = rest;
            if newline.is_some() {
                self.literal = announced(&self.line).unwrap_or(0);
                self.shorten(0);
                told.append(&mut self.line);
            } else {
                // The end matters: a literal may be announced there.
                self.shorten(END_BYTES);
            }
        }
        parts.push((Part::Lines, told));
        parts
    }

    /// What is told of a literal now that this came; all of it at its end.
    fn contents(&mut self, content: &[u8]) -> Vec<(Part, Vec<u8>)> {
        let mut pieces = self.content.add(content);
        if self.literal == 0 {
            pieces.push(self.content.rest());
        }
        let parts = pieces.into_iter();
        parts.map(|piece| (Part::Content, piece)).collect()
    }

    /// Drops the middle of a line that is too long, but for so many bytes at its end.
    fn shorten(&mut self, end_bytes: usize) {
        let most = LINE_BYTES_MAX.saturating_add(end_bytes);
        if self.line.len() > most {
            let end = self.line.len().saturating_sub(END_BYTES);
            self.line
                .drain(LINE_BYTES_MAX.saturating_sub(END_BYTES)..end);
        }
    }
}

/// The size of the literal that follows a line.
fn announced(line: &[u8]) -> Option<u64> {
    let digits = line.strip_suffix(b"}\r\n")?;
    let open = digits.iter().rposition(|byte| *byte == b'{')?;
    let digits = digits.get(open.saturating_add(1)..)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of something that is sent in pieces of a size.
    fn heard(skim: &mut Skim, sent: &[u8], size: usize) -> Vec<Vec<u8>> {
        let parts = sent.chunks(size).flat_map(|chunk| skim.parts(chunk));
        parts.map(|(_, bytes)| bytes).collect()
    }

    #[test]
    fn lines_are_told_with_contents_or_without_however_they_are_cut() {
        let sent = b"* 1 FETCH (BODY[] {12}\r\nSubject: hi\n UID 7)\r\na OK Fetched.\r\n";
        let told = b"* 1 FETCH (BODY[] {12}\r\n UID 7)\r\na OK Fetched.\r\n";
        for size in 1..sent.len() {
            let mut skim = Skim::default();
            assert_eq!(heard(&mut skim, sent, size).concat(), told, "{size}");
            let mut skim = Skim {
                tells_contents: true,
                ..Skim::default()
            };
            let all = heard(&mut skim, sent, size);
            assert_eq!(all.concat(), sent, "{size}");
            // Each line and each piece of content stands for itself.
            assert!(
                all.iter()
                    .any(|part| part == b" UID 7)\r\na OK Fetched.\r\n" || part == b" UID 7)\r\n"),
                "{size}: {all:?}"
            );
        }
    }

    #[test]
    fn a_long_line_is_cut_and_its_literal_still_skipped() {
        let mut sent = vec![b'x'; 3 * LINE_BYTES_MAX];
        sent.extend_from_slice(b" {3}\r\nabcd\r\n");
        for size in [1, 100, LINE_BYTES_MAX, sent.len()] {
            let mut skim = Skim::default();
            let heard = heard(&mut skim, &sent, size).concat();
            assert!(heard.len() <= LINE_BYTES_MAX + 64, "{}", heard.len());
            assert!(heard.ends_with(b" {3}\r\nd\r\n"), "{size}");
        }
    }
}
