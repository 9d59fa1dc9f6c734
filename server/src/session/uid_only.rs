//! UIDONLY (RFC 9586): once it is enabled no sequence number is taken or told.
//!
//! What is told otherwise follows from the session's mode: `view` calls messages by their UIDs, and
//! tells by VANISHED of those that are gone.

use wire::imap::{code::Code, response::Completion, sequence::Numbers};

use super::{Session, answer::bad};

impl Session {
    /// Refuses sequence numbers if UIDONLY is enabled (RFC 9586 §3).
    ///
    /// # Errors
    /// The tagged answer.
    pub(super) fn takes_sequence_numbers(&self) -> Result<(), Completion> {
        match self.mode().numbers {
            Numbers::Seq => Ok(()),
            Numbers::Uid => Err(Completion {
                code: Some(Code::UidRequired),
                ..bad("With UIDONLY messages are named by UIDs alone.")
            }),
        }
    }
}
