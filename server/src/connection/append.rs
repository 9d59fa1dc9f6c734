//! The literals of APPEND and REPLACE, pumped from the socket to the store (RFC 9051 §6.3.12,
//! RFC 3502, RFC 8508).

use std::time::Duration;

use tokio::time::Instant;
use wire::{
    frame::Frame,
    imap::{
        append::{Append, AppendMessage, LiteralForm},
        command::Tag,
        replace::Replace,
        table::{APPEND, Expunge, Property},
    },
};

use super::{Connection, End, fatal};
use crate::{
    observe::trace::Content,
    session::{
        Appending,
        answer::{Failure, Outcome},
    },
};

/// How long a client may be silent in a message when the server stops: one that is uploading is
/// running a command.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(5);

impl Connection {
    pub(super) async fn append(&mut self, tag: &Tag, append: &Append) -> Result<(), End> {
        self.begin_upload(tag, &APPEND).await?;
        let begun = self.session.append(append, &self.context).await;
        self.upload(begun, &append.first).await
    }

    pub(super) async fn replace(&mut self, tag: &Tag, replace: &Replace) -> Result<(), End> {
        self.begin_upload(tag, replace.property()).await?;
        let begun = self
            .session
            .replace(replace, &self.context, &mut self.sink)
            .await;
        self.upload(begun, &replace.append.first).await
    }

    async fn begin_upload(&mut self, tag: &Tag, property: &'static Property) -> Result<(), End> {
        self.commands = self.commands.saturating_add(1);
        self.pace().await?;
        self.begin(tag, property);
        Ok(())
    }

    async fn upload(
        &mut self,
        begun: Result<Appending, Failure>,
        first: &AppendMessage,
    ) -> Result<(), End> {
        match begun {
            Ok(appending) => {
                self.grant(first).await?;
                self.messages(appending).await
            }
            Err(failure) => self.give_up(failure).await,
        }
    }

    async fn grant(&mut self, message: &AppendMessage) -> Result<(), End> {
        self.framer.grant();
        if message.literal == LiteralForm::Synchronizing {
            self.sink.ask("Go ahead.").await?;
        }
        Ok(())
    }

    /// Refuses the rest of the command: it is skipped, and nothing of it is kept. A command that
    /// was not received whole is not in progress, so that no EXPUNGE may be told (RFC 9051 §7.5.1).
    async fn give_up(&mut self, failure: Failure) -> Result<(), End> {
        self.framer.refuse();
        self.finish(Err(failure), Expunge::MustWait).await
    }

    async fn finish(&mut self, outcome: Outcome, expunge: Expunge) -> Result<(), End> {
        match outcome {
            Ok(completion) | Err(Failure::Answer(completion)) => {
                self.answer(completion, expunge).await
            }
            Err(Failure::Disconnected(error)) => Err(End::Gone(error)),
        }
    }

    /// Takes one message after another until the command ends.
    async fn messages(&mut self, mut appending: Appending) -> Result<(), End> {
        loop {
            if let Err(failure) = self.pump(&mut appending).await? {
                return self.give_up(failure).await;
            }
            appending.end_message();
            match self.after_message().await? {
                Frame::AppendNext(message) => {
                    match self
                        .session
                        .append_message(&mut appending, &message, &self.context)
                        .await
                    {
                        Ok(()) => self.grant(&message).await?,
                        Err(failure) => return self.give_up(failure).await,
                    }
                }
                Frame::Bad(tag, fault) => return self.not_understood(tag.as_ref(), fault).await,
                Frame::Refused(_, _, refusal) => return self.refused(refusal).await,
                Frame::Fatal(fault) => return Err(fatal(fault)),
                _ => {
                    let outcome = self.session.append_finish(appending, &mut self.sink).await;
                    return self.finish(outcome, Expunge::May).await;
                }
            }
        }
    }

    /// The frame that follows a message.
    async fn after_message(&mut self) -> Result<Frame, End> {
        loop {
            match self.next_frame() {
                Frame::Incomplete => self.receive_for(UPLOAD_PATIENCE).await?,
                frame => return Ok(frame),
            }
        }
    }

    /// Moves one message's bytes to the store. The inner error is answered, the outer ends all.
    async fn pump(&mut self, appending: &mut Appending) -> Result<Result<(), Failure>, End> {
        let mut heard = Content::default();
        while self.framer.message_remaining() > 0 {
            let bytes = self.framer.message_bytes();
            if bytes.is_empty() {
                self.receive_for(UPLOAD_PATIENCE).await?;
                continue;
            }
            if let Err(failure) = appending.write(bytes).await {
                return Ok(Err(failure));
            }
            self.context.place.say_content(&mut heard, bytes);
            let taken = bytes.len();
            self.framer.consume(taken);
            self.heard = Instant::now();
            self.context.place.heard(self.heard);
        }
        self.context.place.end_content(&mut heard);
        Ok(Ok(()))
    }
}
