//! Reading ahead: the texts of many small messages come out of the store in one go, since asking
//! for each by itself costs more than reading it.

use std::{collections::HashMap, ops::Range};

use bytes::Bytes;
use mail::{
    id::{BodyId, Uid},
    structure::{Section, SectionText},
};
use store::{Mailbox, Result, Static, state::Row};
use wire::imap::fetch::{Fetch, FetchItem};

use crate::session::limits::{AHEAD_BYTES, AHEAD_MESSAGES, READ_BYTES};

/// A mailbox's bodies, with what is about to be sent of them in memory.
pub(super) struct Ahead<'a> {
    mailbox: &'a dyn Mailbox,
    /// What was read, by body: from which byte on.
    kept: HashMap<BodyId, (u64, Bytes)>,
    /// The first message that was not looked at.
    next: usize,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(mailbox: &'a dyn Mailbox) -> Self {
        Self {
            mailbox,
            kept: HashMap::new(),
            next: 0,
        }
    }

    /// Reads what will be asked for of message `at` and of some after it, unless that was done.
    pub(super) async fn fill(
        &mut self,
        at: usize,
        fetch: &Fetch,
        messages: impl Iterator<Item = (&(Uid, Row), Option<&Static>)>,
    ) {
        if at < self.next {
            return;
        }
        self.kept.clear();
        let (mut wanted, mut bytes) = (Vec::new(), 0u64);
        for ((_, row), fixed) in messages.take(AHEAD_MESSAGES) {
            self.next = self.next.saturating_add(1);
            if let Some(range) = needed(fetch, row, fixed) {
                bytes = bytes.saturating_add(range.end);
                wanted.push((row.body, range));
            }
            if bytes >= AHEAD_BYTES {
                break;
            }
        }
        if wanted.is_empty() {
            return;
        }
        // What cannot be read ahead is read, and its problem told, when its turn comes.
        if let Ok(read) = self.mailbox.read_many(&wanted).await {
            let kept = wanted.into_iter().zip(read);
            self.kept = kept
                .map(|((id, range), bytes)| (id, (range.start, bytes)))
                .collect();
        }
    }

    /// As [`Mailbox::read`].
    pub(super) async fn read(&self, body: BodyId, offset: u64, len: usize) -> Result<Bytes> {
        match self.kept(body, offset, len) {
            Some(bytes) => Ok(bytes),
            None => self.mailbox.read(body, offset, len).await,
        }
    }

    fn kept(&self, body: BodyId, offset: u64, len: usize) -> Option<Bytes> {
        let (start, bytes) = self.kept.get(&body)?;
        let from = usize::try_from(offset.checked_sub(*start)?).ok()?;
        let to = from.checked_add(len)?;
        (to <= bytes.len()).then(|| bytes.slice(from..to))
    }
}

/// The bytes of a message that its texts will begin with, if they are few: whole small messages,
/// headers, and what follows those.
fn needed(fetch: &Fetch, row: &Row, fixed: Option<&Static>) -> Option<Range<u64>> {
    let size = u64::from(row.size);
    let header = fixed.map_or(0, |fixed| fixed.header_bytes);
    let mut needed: Option<Range<u64>> = None;
    for item in &fetch.items {
        let FetchItem::BodySection(item) = item else {
            continue;
        };
        let Section { path, text } = &item.section;
        let range = match text {
            _ if !path.is_empty() => continue,
            None => 0..size,
            Some(SectionText::Text) => header..size,
            Some(SectionText::Mime) => continue,
            Some(_) => 0..header,
        };
        let range = range.start..range.end.min(range.start.saturating_add(READ_BYTES as u64));
        needed = Some(match needed {
            Some(other) => other.start.min(range.start)..other.end.max(range.end),
            None => range,
        });
    }
    needed.filter(|range| range.end.saturating_sub(range.start) <= READ_BYTES as u64)
}
