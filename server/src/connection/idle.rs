//! IDLE (RFC 9051 §6.3.13): tells of changes until DONE comes.

use wire::{frame::Line, imap::table::Expunge};

use super::{Connection, End, listen::By};
use crate::{
    observe::live::Idle,
    session::answer::{bad, ok},
};

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
        let mut waiting = self.waiting(By::Idle);
        self.session
            .tell(Expunge::May, &self.context, &mut self.sink)
            .await?;
        self.sink
            .ask("Waiting for changes; say DONE to end.")
            .await?;
        loop {
            match self.framer.line(DONE_BYTES_MAX, &self.limits) {
                Line::Line(line) if line.eq_ignore_ascii_case(b"DONE") => {
                    self.tell_line("DONE");
                    return self.answer(ok("No longer waiting."), Expunge::May).await;
                }
                Line::Line(_) | Line::TooLong => {
                    return self.answer(bad("DONE was expected."), Expunge::May).await;
                }
                Line::Incomplete => self.wait(&mut waiting).await?,
            }
        }
    }
}
