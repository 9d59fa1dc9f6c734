//! Static data of the messages of a batch, some at a time: that of one with thousands of parts is
//! megabytes, and anybody can send many of them (threat 27).

use std::sync::Arc;

use mail::id::{BodyId, Uid};
use store::{Error, Mailbox, Static, state::Row};

use super::Problems;
use crate::session::{answer::Failure, limits::AHEAD_MESSAGES};

/// Whether a FETCH needs static data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    Some,
    None,
}

/// The static data at hand.
pub(super) struct Fixed<'a> {
    mailbox: &'a dyn Mailbox,
    rows: &'a [(Uid, Row)],
    need: Need,
    /// Of which message the first is.
    from: usize,
    here: Vec<Option<Arc<Static>>>,
}

impl<'a> Fixed<'a> {
    pub(super) const fn new(mailbox: &'a dyn Mailbox, rows: &'a [(Uid, Row)], need: Need) -> Self {
        Self {
            mailbox,
            rows,
            need,
            from: 0,
            here: Vec::new(),
        }
    }

    /// That of message `at`, if it is needed, at hand, and not damaged.
    pub(super) fn of(&self, at: usize) -> Option<&Static> {
        self.here.get(at.checked_sub(self.from)?)?.as_deref()
    }

    /// The first message of which nothing is known yet.
    pub(super) fn end(&self) -> usize {
        match self.need {
            Need::None => self.rows.len(),
            Need::Some => self.from.saturating_add(self.here.len()),
        }
    }

    /// Reads that of message `at` and of some after it, unless it is at hand. One that is damaged
    /// does not keep the client from the others.
    pub(super) async fn fill(&mut self, at: usize, problems: &mut Problems) -> Result<(), Failure> {
        if at < self.end() {
            return Ok(());
        }
        let coming = self.rows.iter().skip(at).take(AHEAD_MESSAGES);
        let bodies: Vec<BodyId> = coming.map(|(_, row)| row.body).collect();
        // What was sent goes before more comes.
        (self.from, self.here) = (at, Vec::new());
        self.here = match self.mailbox.fixed(&bodies).await {
            Ok(fixed) => fixed.into_iter().map(Some).collect(),
            Err(Error::Damaged(_)) => {
                let one = self
                    .mailbox
                    .fixed(bodies.get(..1).unwrap_or_default())
                    .await;
                let one = problems.unless_failed(one);
                vec![one.and_then(|one| one.into_iter().next())]
            }
            Err(other) => return Err(other.into()),
        };
        Ok(())
    }
}
