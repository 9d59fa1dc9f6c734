//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).

use store::{Transferred, error::What};
use wire::imap::{
    code::Code,
    response::{Completion, Status, Untagged},
    table::Expunge,
    transfer::Transfer,
};

use super::{
    Selected,
    answer::{Failure, Outcome, no, ok, ok_with, refusal},
    sink::Sink,
};

impl Selected {
    pub(super) async fn copy(&mut self, copy: &Transfer) -> Outcome {
        let (uids, target) = self.source_and_target(copy)?;
        if uids.is_empty() {
            return Ok(ok("There was nothing to copy."));
        }
        let copied = self.mailbox.copy(&uids, target).await.map_err(try_create)?;
        Ok(match copy_uid(copied) {
            Some(code) => ok_with(code, "Copied."),
            None => ok("There was nothing to copy."),
        })
    }

    /// MOVE: COPYUID stands in an untagged OK before the EXPUNGEs (protocol rule 19).
    pub(super) async fn move_to(&mut self, transfer: &Transfer, sink: &mut Sink) -> Outcome {
        self.writable()?;
        let (uids, target) = self.source_and_target(transfer)?;
        if uids.is_empty() {
            return Ok(ok("There was nothing to move."));
        }
        let moved = self
            .mailbox
            .move_to(&uids, target)
            .await
            .map_err(try_create)?;
        if let Some(code) = copy_uid(moved) {
            let told = Completion {
                status: Status::Ok,
                code: Some(code),
                text: "Moved.".into(),
            };
            sink.send(&Untagged::Status(told)).await?;
        }
        self.tell(Expunge::May, sink).await?;
        Ok(ok("The messages are in their new mailbox."))
    }

    fn source_and_target(
        &self,
        transfer: &Transfer,
    ) -> Result<(mail::set::UidSet, mail::id::MailboxId), Failure> {
        let uids = self.messages(&transfer.messages)?;
        let target = self.auth.target(&transfer.mailbox)?;
        Ok((uids, target))
    }
}

impl super::Authenticated {
    /// The mailbox that messages are put into; if it could be created, `[TRYCREATE]`
    /// (protocol rule 18).
    pub(super) fn target(
        &self,
        written: &wire::imap::mailbox::WireName,
    ) -> Result<mail::id::MailboxId, Failure> {
        let name = self.name(written)?;
        match self.account.tree().mailboxes.get(&name.key()) {
            Some(info) => Ok(info.id),
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
