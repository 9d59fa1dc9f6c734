//! APPEND and MULTIAPPEND (RFC 9051 §6.3.12, RFC 3502): messages stream in, then all of them are
//! added at once or none.

use mail::{
    date::DateTime,
    flag::Flags,
    id::{MailboxId, Uid},
};
use store::NewMessage;
use wire::encode::MailboxSpelling;
use wire::imap::{
    append::{Append, AppendData, AppendMessage},
    code::Code,
    response::{Completion, Untagged},
};

use super::{
    Context, Session,
    answer::{Failure, Outcome, bad, no, ok_with, wrong_state},
    limits::APPEND_MESSAGES_MAX,
    message_limit::too_many,
    sink::Sink,
    transfer::try_create,
};
use crate::message::Intake;

/// An APPEND whose messages are arriving.
pub struct Appending {
    pub(super) to: MailboxId,
    /// The message of the selected mailbox whose place is taken (RFC 8508).
    pub(super) replaces: Option<Uid>,
    /// What the client is told if it named the mailbox in another spelling.
    pub(super) respelled: Option<Untagged>,
    pub(super) done: Vec<NewMessage>,
    /// The announced sizes of all of them.
    bytes: u64,
    current: Option<Current>,
}

struct Current {
    intake: Intake,
    flags: Flags,
    internal_date: Option<DateTime>,
    data: AppendData,
}

impl Session {
    /// Begins an APPEND before its bytes are asked for: state, mailbox, size and quota are checked
    /// first, so that nothing is invited that will be refused.
    ///
    /// # Errors
    /// The tagged answer.
    pub async fn append(&self, append: &Append, context: &Context) -> Result<Appending, Failure> {
        let auth = match self {
            Self::NotAuthenticated => {
                return Err(Failure::Answer(wrong_state()));
            }
            Self::Authenticated(auth) => auth,
            Self::Selected(selected) => &selected.auth,
        };
        let (to, respelled) = auth.target(&append.mailbox)?;
        let mut appending = Appending::new(to, respelled);
        self.append_message(&mut appending, &append.first, context)
            .await?;
        Ok(appending)
    }

    /// Begins one more message.
    ///
    /// # Errors
    /// The tagged answer.
    pub async fn append_message(
        &self,
        appending: &mut Appending,
        message: &AppendMessage,
        context: &Context,
    ) -> Result<(), Failure> {
        let message_bytes_max = context.message_bytes_max();
        let Some(account) = self.account() else {
            return Err(Failure::Answer(wrong_state()));
        };
        check_size(message, message_bytes_max)?;
        let count = u32::try_from(appending.done.len()).unwrap_or(u32::MAX);
        if let Some(limit) = context.save_limit().filter(|limit| count >= *limit) {
            // All or none (RFC 9738 §3.1).
            return Err(too_many(limit, None));
        }
        appending.bytes = appending.bytes.saturating_add(message.size);
        // What is not yet in the mailbox is in memory, or in a spool.
        if appending.bytes > message_bytes_max || appending.done.len() >= APPEND_MESSAGES_MAX {
            return Err(Failure::Answer(no(
                Code::Limit,
                "These are too many messages for one APPEND; none is kept.",
            )));
        }
        if message.data == AppendData::Utf8 && self.mode().names == MailboxSpelling::ModifiedUtf7 {
            return Err(Failure::Answer(bad(
                "UTF8 needs ENABLE UTF8=ACCEPT or IMAP4rev2 first.",
            )));
        }
        let upload = match (self, appending.replaces) {
            (Self::Selected(selected), Some(uid)) => {
                selected.mailbox.upload_replacing(uid, message.size).await?
            }
            _ => account.upload(message.size).await?,
        };
        appending.current = Some(Current {
            intake: Intake::new(upload, context.service.config.limits.parsing()),
            flags: message.flags.clone(),
            internal_date: message.internal_date,
            data: message.data,
        });
        Ok(())
    }

    /// Adds the messages, all or none, and removes what they replace.
    pub async fn append_finish(&mut self, appending: Appending, sink: &mut Sink) -> Outcome {
        if let (Self::Selected(selected), Some(uid)) = (&mut *self, appending.replaces) {
            return selected.replace_finish(uid, appending, sink).await;
        }
        let Some(account) = self.account() else {
            return Ok(wrong_state());
        };
        let appended = account
            .append(appending.to, appending.done)
            .await
            .map_err(try_create)?;
        self.added(appending.to, &appended.uids);
        if let Some(told) = appending.respelled {
            sink.send(&told).await?;
        }
        let code = Code::AppendUid(appended.uid_validity, appended.uids);
        Ok(ok_with(code, "The message is kept."))
    }
}

/// An empty message is an error, a larger one than the limit is refused (RFC 9051 §6.3.12,
/// RFC 7889; protocol rule 17).
fn check_size(message: &AppendMessage, message_bytes_max: u64) -> Result<(), Failure> {
    let refused: Completion = if message.size == 0 {
        no(Code::Cannot, "A message cannot be empty.")
    } else if message.size > message_bytes_max {
        no(
            Code::TooBig,
            format!("A message may have at most {message_bytes_max} bytes."),
        )
    } else {
        return Ok(());
    };
    Err(Failure::Answer(refused))
}

impl Appending {
    pub(super) const fn new(to: MailboxId, respelled: Option<Untagged>) -> Self {
        Self {
            to,
            replaces: None,
            respelled,
            done: Vec::new(),
            bytes: 0,
            current: None,
        }
    }

    /// The same in the place of a message of the selected mailbox.
    pub(super) fn in_place_of(self, uid: Uid) -> Self {
        Self {
            replaces: Some(uid),
            ..self
        }
    }

    /// Adds bytes of the current message.
    ///
    /// # Errors
    /// The tagged answer: NUL in a plain literal, or what the store says.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if current.data == AppendData::Text && bytes.contains(&0) {
            return Err(Failure::Answer(bad(
                "A literal cannot hold NUL; use a literal8.",
            )));
        }
        Ok(current.intake.write(bytes).await?)
    }

    /// Ends the current message.
    pub fn end_message(&mut self) {
        if let Some(current) = self.current.take() {
            self.done
                .push(current.intake.finish(current.flags, current.internal_date));
        }
    }
}
