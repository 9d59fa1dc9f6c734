//! A session's conversation, for whoever listens (`relate-imap trace`): what the client says, one
//! command at a time, and what it is answered. Nothing is done while nobody listens.
//!
//! Secrets never come here: of LOGIN and AUTHENTICATE only the name is told, and of what goes back
//! and forth within a login nothing (`connection/counted.rs`). The contents of messages are told
//! by their size.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use parking_lot::Mutex;
use tokio::sync::mpsc;

/// Of a command or a piece of an answer that is longer than this, no more is told.
const TOLD_BYTES_MAX: usize = 8 << 10;

/// Who said something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// Something that was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// The session's number.
    pub session: u64,
    /// By whom.
    pub side: Side,
    /// One or more lines as they went over the connection, without secrets and contents. They are
    /// hostile: whoever shows them escapes them.
    pub bytes: Vec<u8>,
}

/// Where a session can be listened to, by one at a time.
#[derive(Default)]
pub struct Trace {
    is_on: AtomicBool,
    listener: Mutex<Option<mpsc::Sender<Said>>>,
    missed: AtomicU64,
}

impl Trace {
    /// Whether somebody listens.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.is_on.load(Relaxed)
    }

    /// From here on this one listens, in place of whoever did.
    pub fn listen(&self, listener: mpsc::Sender<Said>) {
        *self.listener.lock() = Some(listener);
        self.missed.store(0, Relaxed);
        self.is_on.store(true, Relaxed);
    }

    /// Nobody listens any more.
    pub fn end(&self) {
        self.is_on.store(false, Relaxed);
        *self.listener.lock() = None;
    }

    /// How many sayings a listener that is too slow missed.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Passes something on. A session waits for no listener.
    pub fn say(&self, mut said: Said) {
        // What waits for a slow listener is bounded by number and by size.
        if said.bytes.len() > TOLD_BYTES_MAX {
            said.bytes.truncate(TOLD_BYTES_MAX);
            said.bytes.extend_from_slice("…".as_bytes());
            said.bytes.shrink_to_fit();
        }
        let sent = match &*self.listener.lock() {
            Some(listener) => listener.try_send(said),
            None => return,
        };
        match sent {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed.fetch_add(1, Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => self.end(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Said {
        Said {
            session: 1,
            side: Side::Client,
            bytes: b"a NOOP\r\n".to_vec(),
        }
    }

    #[test]
    fn a_listener_hears_misses_and_leaves() {
        let trace = Trace::default();
        trace.say(said());
        let (sender, mut listener) = mpsc::channel(1);
        trace.listen(sender);
        assert!(trace.is_on());
        trace.say(said());
        trace.say(said());
        assert_eq!(listener.try_recv().ok(), Some(said()));
        assert_eq!(trace.missed(), 1);
        drop(listener);
        trace.say(said());
        assert!(!trace.is_on());
    }
}
