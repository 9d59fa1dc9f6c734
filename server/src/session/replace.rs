//! REPLACE (RFC 8508): a message streams in as with APPEND, then it comes and another one goes, both
//! at once or neither.

use mail::id::Uid;
use wire::imap::{code::Code, replace::Replace, response::Untagged};

use super::{
    Context, Selected, Session,
    answer::{Failure, Outcome, no, ok_with, refuse, wrong_state},
    append::Appending,
    sink::Sink,
    transfer::try_create,
};

impl Session {
    /// Begins a REPLACE before its bytes are asked for: everything is checked that APPEND checks,
    /// and what is to go (RFC 8508 §3.5: only with a mailbox selected).
    ///
    /// # Errors
    /// The tagged answer.
    pub async fn replace(
        &mut self,
        replace: &Replace,
        context: &Context,
        sink: &mut Sink,
    ) -> Result<Appending, Failure> {
        self.allows(replace.property()).map_err(Failure::Answer)?;
        let Self::Selected(selected) = self else {
            return Err(Failure::Answer(wrong_state()));
        };
        selected.writable()?;
        let named = selected.messages(&replace.message, sink).await?;
        let Some(uid) = named.first() else {
            return refuse(Code::NonExistent, "There is no message with this UID.");
        };
        let (to, respelled) = selected.auth.target(&replace.append.mailbox)?;
        let mut appending = Appending::new(to, respelled).in_place_of(uid);
        let first = &replace.append.first;
        self.append_message(&mut appending, first, context).await?;
        Ok(appending)
    }
}

impl Selected {
    /// The new message is told before the old one goes (RFC 8508 §4.3).
    pub(super) async fn replace_finish(
        &mut self,
        uid: Uid,
        appending: Appending,
        sink: &mut Sink,
    ) -> Outcome {
        let Appending {
            to,
            respelled,
            mut done,
            ..
        } = appending;
        let Some(message) = done.pop() else {
            return Ok(no(Code::Cannot, "There is no message."));
        };
        let replaced = self.mailbox.replace(uid, to, message).await;
        let appended = replaced.map_err(try_create)?;
        self.added(to, &appended.uids);
        if let Some(told) = respelled {
            sink.send(&told).await?;
        }
        let code = Code::AppendUid(appended.uid_validity, appended.uids);
        sink.send(&Untagged::Status(ok_with(code, "The message is kept.")))
            .await?;
        self.tell_new(sink).await?;
        // For RFC 7162 it has gone as by UID EXPUNGE (RFC 8508 §4.5).
        let done = "The message has taken the other's place.";
        self.ok_gone(done, sink).await
    }
}
