//! INPROGRESS (RFC 9585): a client whose command takes long is told that it goes on, so that neither
//! it nor anything on the way gives the connection up.

use std::{io, pin::pin, time::Duration};

use tokio::time::{Instant, sleep_until};
use wire::imap::{code::Code, command::Tag, response::Untagged};

use super::{answer::ok_with, sink::Sink};

/// How often (RFC 9585 §4: every 10 to 15 seconds).
const EVERY: Duration = Duration::from_secs(10);

/// How far a command is.
pub(super) struct Progress {
    tag: Tag,
    /// What was done of how much, messages; none if that is not known.
    state: Option<(u32, u32)>,
    due: Instant,
}

impl Progress {
    /// Of the command that is being answered, and has just begun: it works on so many messages, or
    /// does all at once.
    pub(super) fn new(sink: &Sink, goal: Option<u64>) -> Self {
        let number = |goal: u64| u32::try_from(goal).unwrap_or(u32::MAX);
        Self {
            tag: sink.tag(),
            state: goal.map(|goal| (0, number(goal))),
            due: Instant::now() + EVERY,
        }
    }

    /// So many more messages are done.
    pub(super) fn did(&mut self, messages: u64) {
        if let Some((done, _)) = &mut self.state {
            *done = done.saturating_add(u32::try_from(messages).unwrap_or(u32::MAX));
        }
    }

    /// So many messages are done in all.
    pub(super) fn reached(&mut self, messages: u32) {
        if let Some((done, _)) = &mut self.state {
            *done = messages.max(*done);
        }
    }

    /// Waits for a part of the work, and tells of it meanwhile. `look` may bring the state up to
    /// date before.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub(super) async fn during<T>(
        &mut self,
        work: impl Future<Output = T>,
        sink: &mut Sink,
        look: impl Fn(&mut Self),
    ) -> io::Result<T> {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                () = sleep_until(self.due) => {
                    look(self);
                    self.tell(sink).await?;
                }
            }
        }
    }

    /// Tells how far it is between two parts of the work.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub(super) async fn tell_if_due(&mut self, sink: &mut Sink) -> io::Result<()> {
        match Instant::now() >= self.due {
            true => self.tell(sink).await,
            false => Ok(()),
        }
    }

    /// Tells how far it is; what is done stays below the goal, which is reached by the tagged answer
    /// alone (RFC 9585 §4).
    async fn tell(&mut self, sink: &mut Sink) -> io::Result<()> {
        self.due = Instant::now() + EVERY;
        let state = self
            .state
            .filter(|(_, goal)| *goal > 0)
            .map(|(done, goal)| (done.min(goal.saturating_sub(1)), Some(goal)));
        let code = Code::InProgress(self.tag.clone(), state);
        sink.send(&Untagged::Status(ok_with(code, "Still at it.")))
            .await?;
        sink.flush().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::sink::OutputLimits;
    use tokio::io::AsyncReadExt as _;

    fn sink() -> (Sink, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(4096);
        let limits = OutputLimits {
            buffer_bytes: 4096,
            patience: Duration::from_secs(60),
        };
        let mut sink = Sink::new(ours, limits);
        sink.begin(&Tag("a1".into()));
        (sink, theirs)
    }

    /// What is told during work that ends after so many seconds.
    async fn told(mut progress: Progress, sink: &mut Sink, secs: u64) {
        let work = tokio::time::sleep(Duration::from_secs(secs));
        progress.during(work, sink, |it| it.did(40)).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told_every_ten_seconds_and_never_reaches_its_goal() {
        let (mut sink, mut client) = sink();
        told(Progress::new(&sink, Some(100)), &mut sink, 9).await;
        told(Progress::new(&sink, Some(100)), &mut sink, 35).await;
        told(Progress::new(&sink, None), &mut sink, 11).await;
        told(Progress::new(&sink, Some(0)), &mut sink, 11).await;
        sink.begin(&Tag("a]".into()));
        told(Progress::new(&sink, Some(50)), &mut sink, 11).await;
        drop(sink);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        let codes: Vec<&str> = text
            .lines()
            .map(|line| line.trim_end_matches(" Still at it."))
            .collect();
        assert_eq!(
            codes,
            [
                "* OK [INPROGRESS (\"a1\" 40 100)]",
                "* OK [INPROGRESS (\"a1\" 80 100)]",
                "* OK [INPROGRESS (\"a1\" 99 100)]",
                "* OK [INPROGRESS (\"a1\" NIL NIL)]",
                "* OK [INPROGRESS (\"a1\" NIL NIL)]",
                "* OK [INPROGRESS (NIL 40 50)]",
            ]
        );
    }
}
