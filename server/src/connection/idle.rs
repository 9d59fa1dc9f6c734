//! IDLE (RFC 9051 §6.3.13): tells of changes until DONE comes.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use wire::{
    frame::Line,
    imap::{
        response::{Completion, Status, Untagged},
        table::Expunge,
    },
};

use super::{Connection, End, READ_BYTES, room, told_to_end};
use crate::{
    observe::live::Idle,
    session::{
        Change,
        answer::{bad, ok},
    },
};
use tokio::io::AsyncReadExt;

/// The longest line that can be DONE, bytes.
const DONE_BYTES_MAX: usize = 16;

impl Connection {
    pub(super) async fn idle(&mut self) -> Result<(), End> {
        // It lasts as long as the client wants: its time says nothing.
        self.running = None;
        self.context.place.set_idle(Idle::Yes);
        let end = self.until_done().await;
        self.context.place.set_idle(Idle::No);
        end
    }

    async fn until_done(&mut self) -> Result<(), End> {
        let mut changes = self.session.changes();
        self.session.tell(Expunge::May, &mut self.sink).await?;
        self.sink
            .ask("Waiting for changes; say DONE to end.")
            .await?;
        let every = self.context.service.config.limits.idle_keep_alive;
        let mut keep_alive = Instant::now() + every;
        loop {
            self.sink.between_lines();
            match self.framer.line(DONE_BYTES_MAX, &self.limits) {
                Line::Line(line) if line.eq_ignore_ascii_case(b"DONE") => {
                    self.tell_line("DONE");
                    return self.answer(ok("No longer waiting."), Expunge::May).await;
                }
                Line::Line(_) | Line::TooLong => {
                    return self.answer(bad("DONE was expected."), Expunge::May).await;
                }
                Line::Incomplete => {}
            }
            let buffer = room(&mut self.framer, READ_BYTES);
            tokio::select! {
                read = self.reader.read_buf(buffer) => match read? {
                    0 => return Err(End::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                    count => {
                        self.context.received(count);
                        self.context.check_inflow()?;
                    }
                },
                change = changes.next() => {
                    if let Change::Ended(why) = change {
                        return Err(why.into());
                    }
                    self.session.tell(Expunge::May, &mut self.sink).await?;
                    self.sink.flush().await?;
                }
                () = sleep_until(keep_alive) => {
                    // Keeps address translators on the way from forgetting the connection.
                    keep_alive = Instant::now() + every;
                    // An app password that expires wakes nobody: it is looked at now and then.
                    if let Some(why) = self.session.ended(&self.context) {
                        return Err(why.into());
                    }
                    self.sink.send(&still_here()).await?;
                    self.sink.flush().await?;
                }
                end = told_to_end(&self.context, Duration::ZERO) => return Err(end),
            }
        }
    }
}

fn still_here() -> Untagged {
    Untagged::Status(Completion {
        status: Status::Ok,
        code: None,
        text: "Still here.".into(),
    })
}
