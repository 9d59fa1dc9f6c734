//! A session's conversation, for whoever listens (`relate-imap trace`): what the client says, one
//! command at a time, and what it is answered. Nothing is done while nobody listens.
//!
//! Secrets never come here: of LOGIN and AUTHENTICATE only the name is told, and of what goes back
//! and forth within a login nothing (`connection/counted.rs`). The contents of messages are told
//! by their size, but to those who asked for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Of a command or a piece of an answer that is longer than this, no more is told.
const TOLD_BYTES_MAX: usize = 8 << 10;
/// Of contents so much is told at once, unless a line ends before.
const CONTENT_BYTES_MAX: usize = 4 << 10;

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    /// Lines of the protocol.
    Lines,
    /// Some of the content of a message.
    Content,
}

/// Something that was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The session's number.
    pub session: u64,
    /// By whom.
    pub side: Side,
    /// Of what it is a part.
    pub part: Part,
    /// One or more lines as they went over the connection, without secrets. They are hostile:
    /// whoever shows them escapes them.
    pub bytes: Vec<u8>,
}

/// What somebody wants to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hears {
    /// Everything but contents of messages.
    Lines,
    /// Contents, too.
    Contents,
}

/// Somebody who listens.
#[derive(Clone)]
pub struct Listener {
    to: mpsc::Sender<Said>,
    hears: Hears,
    missed: Arc<AtomicU64>,
}

impl Listener {
    /// Hears by this channel, as far as that has room.
    #[must_use]
    pub fn new(to: mpsc::Sender<Said>, hears: Hears) -> Self {
        Self {
            to,
            hears,
            missed: Arc::default(),
        }
    }

    /// How many sayings did not have room.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    fn is(&self, other: &Self) -> bool {
        self.to.same_channel(&other.to)
    }

    /// Whether it goes on listening.
    fn hear(&self, said: &Said) -> bool {
        if said.part == Part::Content && self.hears == Hears::Lines {
            return true;
        }
        match self.to.try_send(said.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Relaxed);
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

/// Where a session can be listened to.
#[derive(Default)]
pub struct Trace {
    is_on: AtomicBool,
    tells_contents: AtomicBool,
    listeners: Mutex<Vec<Listener>>,
}

impl Trace {
    /// Whether somebody listens.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// Whether somebody wants to hear contents of messages.
    #[must_use]
    pub fn tells_contents(&self) -> bool {
        self.tells_contents.load(Relaxed)
    }

    /// From here on this one listens as well; one that does already goes on.
    pub fn listen(&self, listener: &Listener) {
        let mut listeners = self.listeners.lock();
        if !listeners.iter().any(|one| one.is(listener)) {
            listeners.push(listener.clone());
        }
        self.note(&listeners);
    }

    /// This one does not listen any more.
    pub fn leave(&self, listener: &Listener) {
        let mut listeners = self.listeners.lock();
        listeners.retain(|one| !one.is(listener));
        self.note(&listeners);
    }

    /// Nobody listens any more.
    pub fn end(&self) {
        let mut listeners = self.listeners.lock();
        listeners.clear();
        self.note(&listeners);
    }

    fn note(&self, listeners: &[Listener]) {
        let mut all = listeners.iter();
        self.is_on.store(!listeners.is_empty(), Relaxed);
        let tells_contents = all.any(|one| one.hears == Hears::Contents);
        self.tells_contents.store(tells_contents, Relaxed);
    }

    /// Passes something on. A session waits for no listener.
    pub fn say(&self, mut said: Said) {
        // What waits for a slow listener is bounded by number and by size.
        if said.bytes.len() > TOLD_BYTES_MAX {
            said.bytes.truncate(TOLD_BYTES_MAX);
            said.bytes.extend_from_slice("…".as_bytes());
            said.bytes.shrink_to_fit();
        }
        let mut listeners = self.listeners.lock();
        let before = listeners.len();
        listeners.retain(|listener| listener.hear(&said));
        if listeners.len() < before {
            self.note(&listeners);
        }
    }
}

/// Content on its way to whoever listens: in whole lines where they are short.
#[derive(Default)]
pub struct Content(Vec<u8>);

impl Content {
    /// What is to be told now that these bytes came, in pieces.
    pub fn add(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            for piece in line.chunks(CONTENT_BYTES_MAX) {
                if self.0.len().saturating_add(piece.len()) > CONTENT_BYTES_MAX {
                    pieces.push(self.rest());
                }
                self.0.extend_from_slice(piece);
            }
        }
        if self.0.ends_with(b"\n") {
            pieces.push(self.rest());
        }
        pieces
    }

    /// What was not told yet.
    pub fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(part: Part) -> Said {
        Said {
            session: 1,
            side: Side::Client,
            part,
            bytes: b"a NOOP\r\n".to_vec(),
        }
    }

    #[test]
    fn listeners_hear_miss_and_leave_each_for_itself() {
        let trace = Trace::default();
        trace.say(said(Part::Lines));
        let (sender, mut slow) = mpsc::channel(1);
        let short = Listener::new(sender, Hears::Lines);
        let (sender, mut fast) = mpsc::channel(8);
        let long = Listener::new(sender, Hears::Contents);
        trace.listen(&short);
        assert!(trace.is_on() && !trace.tells_contents());
        trace.listen(&long);
        trace.listen(&short);
        assert!(trace.tells_contents());
        for part in [Part::Lines, Part::Content, Part::Lines] {
            trace.say(said(part));
        }
        assert_eq!(slow.try_recv().ok(), Some(said(Part::Lines)));
        assert!(slow.try_recv().is_err());
        assert_eq!((short.missed(), long.missed()), (1, 0));
        for part in [Part::Lines, Part::Content, Part::Lines] {
            assert_eq!(fast.try_recv().ok(), Some(said(part)));
        }
        trace.leave(&long);
        assert!(trace.is_on() && !trace.tells_contents());
        drop(slow);
        trace.say(said(Part::Lines));
        assert!(!trace.is_on() && fast.try_recv().is_err());
        trace.listen(&long);
        trace.end();
        assert!(!trace.is_on());
    }

    #[test]
    fn contents_are_told_in_lines_and_not_much_at_once() {
        let text = format!("one\r\ntwo\r\n{}\r\nend", "x".repeat(10_000));
        for size in [1, 7, 5_000, text.len()] {
            let mut content = Content::default();
            let mut pieces = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                pieces.extend(content.add(chunk));
            }
            pieces.push(content.rest());
            assert!(pieces.iter().all(|piece| piece.len() <= CONTENT_BYTES_MAX));
            assert_eq!(pieces.concat(), text.as_bytes(), "{size}");
        }
    }
}
