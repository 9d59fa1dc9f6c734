//! The texts of one message, read as far as a test needs them.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use mail::{
    id::BodyId,
    structure::{self, Parts},
    text::{PartText, Searchable, casemap, header_text, header_values, mime_headers, searchable},
};
use memchr::memmem::Finder;

use super::{Pace, Source};
use crate::{
    contract::Static,
    error::{Error, Result, What},
};

/// Bytes of a body that are read at once.
const READ_BYTES: usize = 256 << 10;
/// A value that is kept and as long as this may have been cut.
const CUT_BYTES: usize = 60 << 10;
/// Text of a part that is compared at once.
const WINDOW_BYTES: usize = 1 << 20;

/// A text that is looked for.
pub(super) struct Needle {
    finder: Finder<'static>,
    bytes: usize,
}

impl Needle {
    pub(super) fn new(text: &str) -> Self {
        let text = casemap(text);
        Self {
            finder: Finder::new(text.as_bytes()).into_owned(),
            bytes: text.len(),
        }
    }

    fn is_in(&self, text: &str) -> bool {
        self.finder.find(casemap(text).as_bytes()).is_some()
    }
}

/// A message whose texts are read when they are needed.
pub(super) struct Message<'a> {
    body: BodyId,
    pub(super) fixed: Arc<Static>,
    source: &'a dyn Source,
    pace: &'a Pace<'a>,
    header: Option<Bytes>,
}

impl<'a> Message<'a> {
    pub(super) const fn new(
        body: BodyId,
        fixed: Arc<Static>,
        source: &'a dyn Source,
        pace: &'a Pace<'a>,
    ) -> Self {
        Self {
            body,
            fixed,
            source,
            pace,
            header: None,
        }
    }

    /// Lets other searches have their turn; then says whether nobody waits for this one any more.
    pub(super) fn is_over(&self) -> bool {
        self.pace.is_over()
    }

    /// Whether the decoded value of a field of this lower-case name holds the text.
    pub(super) fn header_holds(&mut self, name: &str, needle: &Needle) -> Result<bool> {
        let fixed = Arc::clone(&self.fixed);
        let kept = || fixed.fields.iter().filter(|(n, _)| **n == *name);
        if kept().any(|(_, value)| needle.is_in(value)) {
            return Ok(true);
        }
        // A field that is kept is kept with all its values.
        if kept().next().is_some() && kept().all(|(_, value)| value.len() < CUT_BYTES) {
            return Ok(false);
        }
        let header = self.header()?;
        Ok(header_values(&header, name).any(|value| needle.is_in(&value)))
    }

    /// Whether header, MIME headers or body hold the text (RFC 9051 §6.4.4).
    pub(super) fn text_holds(&mut self, needle: &Needle) -> Result<bool> {
        let header = self.header()?;
        if needle.is_in(&header_text(&header)) {
            return Ok(true);
        }
        let parts = self.parts()?;
        for range in mime_headers(&parts) {
            if self.range_holds(range, needle)? {
                return Ok(true);
            }
        }
        self.parts_hold(&parts, needle)
    }

    /// Whether the decoded body holds the text.
    pub(super) fn body_holds(&self, needle: &Needle) -> Result<bool> {
        self.parts_hold(&self.parts()?, needle)
    }

    fn parts(&self) -> Result<Parts> {
        let body = self.body;
        structure::decode(&self.fixed.parts)
            .map_err(|_| Error::Damaged(format!("the structure of body {body}")))
    }

    fn parts_hold(&self, parts: &Parts, needle: &Needle) -> Result<bool> {
        for place in searchable(parts) {
            let holds = match place {
                Searchable::Header(range) => self.range_holds(&range, needle)?,
                Searchable::Text(at) => self.part_holds(parts, at, needle)?,
            };
            if holds {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a header of the body holds the text.
    fn range_holds(&self, header: &Range<u64>, needle: &Needle) -> Result<bool> {
        Ok(needle.is_in(&header_text(&self.read_range(header)?)))
    }

    fn part_holds(&self, parts: &Parts, at: usize, needle: &Needle) -> Result<bool> {
        let Some(part) = parts.parts.get(at) else {
            return Ok(false);
        };
        let Some(mut text) = PartText::new(part) else {
            return Ok(false);
        };
        let mut window = String::new();
        let mut offset = part.body.start;
        while offset < part.body.end && !self.is_over() {
            let left = usize::try_from(part.body.end - offset).unwrap_or(usize::MAX);
            let bytes = self.read(offset, left.min(READ_BYTES))?;
            if bytes.is_empty() {
                break;
            }
            offset += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            text.push(&bytes, &mut window);
            if window.len() > WINDOW_BYTES {
                if needle.is_in(&window) {
                    return Ok(true);
                }
                forget(&mut window, needle);
            }
        }
        text.finish(&mut window);
        Ok(needle.is_in(&window))
    }

    fn header(&mut self) -> Result<Bytes> {
        if let Some(header) = &self.header {
            return Ok(header.clone());
        }
        let header = self.read_range(&(0..self.fixed.header_bytes))?;
        self.header = Some(header.clone());
        Ok(header)
    }

    fn read_range(&self, range: &Range<u64>) -> Result<Bytes> {
        let len = range.end.saturating_sub(range.start);
        self.read(range.start, usize::try_from(len).unwrap_or(usize::MAX))
    }

    /// A message that is expunged and gone has no text.
    fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        match self.source.read(self.body, offset, len) {
            Err(Error::NotFound(What::Message)) => Ok(Bytes::new()),
            other => other,
        }
    }
}

/// Drops text that was compared, but for an end in which the needle may begin. A character of the
/// needle stands for at most as many bytes of text, a few times over.
fn forget(window: &mut String, needle: &Needle) {
    let kept = needle.bytes.saturating_mul(4).saturating_add(64);
    let cut = window.len().saturating_sub(kept);
    let cut = (cut..=window.len())
        .find(|at| window.is_char_boundary(*at))
        .unwrap_or(0);
    window.drain(..cut);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use mail::mime::index;

    use super::*;
    use crate::search::Turns;

    /// A message whose reader leaves while so many bytes are read.
    struct Leaving {
        message: Bytes,
        after_reads: usize,
        reads: AtomicUsize,
        stop: AtomicBool,
    }

    impl Source for Leaving {
        fn fixed(&self, _bodies: &[BodyId]) -> Result<Vec<Arc<Static>>> {
            Ok(Vec::new())
        }

        fn read(&self, _body: BodyId, offset: u64, len: usize) -> Result<Bytes> {
            let read = self.reads.fetch_add(1, Ordering::Relaxed) + 1;
            self.stop.store(read >= self.after_reads, Ordering::Relaxed);
            let from = usize::try_from(offset).unwrap();
            Ok(self.message.slice(from..from + len))
        }
    }

    #[test]
    fn threat_20_nothing_more_is_read_of_a_message_for_a_client_that_left() {
        let message = format!("Subject: x\r\n\r\n{}", "straw\r\n".repeat(300_000));
        let fixed = Arc::new(Static {
            parts: structure::encode(&index(message.as_bytes())).into(),
            header_bytes: 14,
            ..Static::default()
        });
        let whole = message.len().div_ceil(READ_BYTES);
        for (after_reads, reads) in [(1, 1), (3, 3), (100, whole)] {
            let source = Leaving {
                message: message.clone().into(),
                after_reads,
                reads: AtomicUsize::new(0),
                stop: AtomicBool::new(false),
            };
            let body = BodyId::new(1).unwrap();
            let turns = Turns::new(1);
            let pace = Pace::new(&turns, &source.stop);
            let message = Message::new(body, Arc::clone(&fixed), &source, &pace);
            assert!(!message.body_holds(&Needle::new("needle")).unwrap());
            assert_eq!(source.reads.load(Ordering::Relaxed), reads);
        }
    }
}
