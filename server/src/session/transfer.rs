//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use mail::{id::MailboxId, set::UidSet};
use store::{Transferred, error::What};
use wire::imap::{code::Code, response::Untagged, sequence::Numbers, transfer::Transfer};

use super::{
    Context, Selected,
    answer::{Failure, Outcome, no, ok, ok_with, refusal},
    limits::STEP_MESSAGES,
    message_limit::Limited,
    progress::Progress,
    sink::Sink,
    store_flags::expunge_issued,
};

impl Selected {
    pub(super) async fn copy(
        &mut self,
        copy: &Transfer,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let (uids, target) = self.source_and_target(copy, sink).await?;
        if uids.is_empty() {
            return Ok(ok("There was nothing to copy."));
        }
        context.check_save(&uids)?;
        // All at once, so that there is nothing to count.
        let mut progress = Progress::new(sink, None);
        let copying = self.mailbox.copy(&uids, target);
        let copied = progress.during(copying, sink, |_| {}).await?;
        let copied = copied.map_err(try_create)?;
        self.added(target, &copied.to);
        Ok(match copy_uid(copied) {
            Some(code) => ok_with(code, "Copied."),
            None => ok("There was nothing to copy."),
        })
    }

    /// MOVE. One COPYUID stands in an untagged OK before the EXPUNGEs (protocol rule 19), also of
    /// what was moved before something failed.
    pub(super) async fn move_to(
        &mut self,
        transfer: &Transfer,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.writable()?;
        let (uids, target) = self.source_and_target(transfer, sink).await?;
        let limited = context.limited(uids);
        let (moved, ended) = self.move_steps(&limited, target, sink).await?;
        if let Some(code) = moved.and_then(copy_uid) {
            sink.send(&Untagged::Status(ok_with(code, "Moved.")))
                .await?;
        }
        let gone = self.tell_removed(sink).await?;
        self.settle(gone, sink).await?;
        ended.map_err(try_create)?;
        let done = ok("The messages are in their new mailbox.");
        Ok(limited.completion(done, sink).await?)
    }

    /// Moves in the store's own steps: what was moved, and how it ended.
    async fn move_steps(
        &mut self,
        limited: &Limited,
        target: MailboxId,
        sink: &mut Sink,
    ) -> std::io::Result<(Option<Transferred>, store::Result<()>)> {
        let mut all: Option<Transferred> = None;
        let mut progress = Progress::new(sink, Some(limited.uids.count()));
        for step in limited.steps(&limited.uids, STEP_MESSAGES) {
            let moving = self.mailbox.move_to(&step, target);
            let moved = progress.during(moving, sink, |_| {}).await?;
            progress.did(step.count());
            match moved {
                Ok(moved) => {
                    self.added(target, &moved.to);
                    let before = all.take();
                    all = Some(match before {
                        Some(before) => Transferred {
                            uid_validity: moved.uid_validity,
                            from: before.from.union(&moved.from),
                            to: before.to.union(&moved.to),
                        },
                        None => moved,
                    });
                }
                Err(error) => return Ok((all, Err(error))),
            }
        }
        Ok((all, Ok(())))
    }

    /// What is copied or moved, and where to. A message that the client names by its number and
    /// that is gone refuses the whole, so that nothing is done by half.
    async fn source_and_target(
        &mut self,
        transfer: &Transfer,
        sink: &mut Sink,
    ) -> Result<(UidSet, MailboxId), Failure> {
        let uids = self.messages(&transfer.messages, sink).await?;
        let (target, respelled) = self.auth.target(&transfer.mailbox)?;
        let exist = self.mailbox.state().rows_of(&uids).count();
        let all = u64::try_from(exist).is_ok_and(|exist| exist == uids.count());
        if transfer.messages.numbers() == Numbers::Seq && !all {
            return Err(Failure::Answer(expunge_issued()));
        }
        if let Some(told) = respelled {
            sink.send(&told).await?;
        }
        Ok((uids, target))
    }
}

impl super::Authenticated {
    /// The mailbox that messages are put into, and what to tell if it was named in another
    /// spelling; if it could be created, `[TRYCREATE]` (protocol rule 18).
    pub(super) fn target(
        &self,
        written: &wire::imap::mailbox::WireName,
    ) -> Result<(MailboxId, Option<Untagged>), Failure> {
        let name = self.name(written)?;
        match self.account.tree().mailboxes.get(&name.key()) {
            Some(info) => Ok((info.id, self.respelled(&name, info))),
            None => Err(try_create(store::Error::NotFound(What::Mailbox))),
        }
    }
}

/// A target that is gone is answered with `[TRYCREATE]`.
pub(super) fn try_create(error: store::Error) -> Failure {
    Failure::Answer(match error {
        store::Error::NotFound(What::Mailbox) => no(
            Code::TryCreate,
            "There is no such mailbox; you may create it.",
        ),
        other => refusal(&other),
    })
}

/// COPYUID, unless nothing was copied.
fn copy_uid(transferred: Transferred) -> Option<Code> {
    let Transferred {
        uid_validity,
        from,
        to,
    } = transferred;
    (!from.is_empty()).then_some(Code::CopyUid(uid_validity, from, to))
}
