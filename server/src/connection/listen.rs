//! Waiting for a client while it is told of changes: in IDLE, and with NOTIFY between commands
//! (RFC 5465 §3.1).

use std::time::Duration;

use tokio::{
    io::AsyncReadExt as _,
    time::{Instant, sleep_until},
};
use wire::imap::{
    response::{Completion, Status, Untagged},
    table::Expunge,
};

use super::{Connection, End, READ_BYTES, room, told_to_end};
use crate::session::{Change, Changes};

/// What is waited for besides the client.
pub(super) struct Waiting {
    changes: Changes,
    by: By,
    keep_alive_at: Instant,
}

/// What lets a client be told without asking.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum By {
    /// A command: IDLE.
    Idle,
    /// What it said before, by NOTIFY.
    Notify,
}

impl By {
    /// Whether a client may be told of expunges, unless it said so itself (RFC 5465 §6.1).
    const fn expunge(self) -> Expunge {
        match self {
            Self::Idle => Expunge::May,
            Self::Notify => Expunge::MustWait,
        }
    }
}

impl Connection {
    /// Whether the client is told of changes while it says nothing. One that has begun a command is
    /// not: what it is told then, it is told at the end of that.
    pub(super) fn is_listening(&self) -> bool {
        self.framer.is_between_commands() && self.session.is_notified()
    }

    /// Tells of changes until the client says something. As long as it takes what keeps the connection
    /// alive, it is not silent.
    pub(super) async fn listen(&mut self) -> Result<(), End> {
        let mut waiting = self.waiting(By::Notify);
        self.tell_now(By::Notify.expunge()).await?;
        self.wait(&mut waiting).await?;
        self.heard = Instant::now();
        Ok(())
    }

    /// What happens from now on is waited for.
    pub(super) fn waiting(&self, by: By) -> Waiting {
        Waiting {
            changes: self.session.changes(),
            by,
            keep_alive_at: Instant::now() + self.keep_alive(),
        }
    }

    fn keep_alive(&self) -> Duration {
        self.context.service.config.limits.idle_keep_alive
    }

    /// Tells of what has changed, and has the client see it at once.
    async fn tell_now(&mut self, expunge: Expunge) -> Result<(), End> {
        self.sink.between_lines();
        self.session
            .tell(expunge, &self.context, &mut self.sink)
            .await?;
        Ok(self.sink.flush().await?)
    }

    /// Waits for bytes of the client, and tells of changes meanwhile. One that listened because of a
    /// NOTIFY that has come to its end (RFC 5465 §5.8) is waited for as any other.
    pub(super) async fn wait(&mut self, waiting: &mut Waiting) -> Result<(), End> {
        loop {
            self.sink.between_lines();
            let buffer = room(&mut self.framer, READ_BYTES);
            tokio::select! {
                read = self.reader.read_buf(buffer) => return match read? {
                    0 => Err(End::Gone(std::io::ErrorKind::UnexpectedEof.into())),
                    count => {
                        self.context.received(count);
                        self.context.check_inflow()
                    }
                },
                change = waiting.changes.next() => match change {
                    Change::Ended(why) => return Err(why.into()),
                    Change::Version => {
                        self.tell_now(waiting.by.expunge()).await?;
                        // What it is not told of may have become too much.
                        if let Some(why) = self.session.ended(&self.context) {
                            return Err(why.into());
                        }
                        if waiting.by == By::Notify && !self.session.is_notified() {
                            return Ok(());
                        }
                    }
                },
                () = sleep_until(waiting.keep_alive_at) => {
                    // Keeps address translators on the way from forgetting the connection.
                    waiting.keep_alive_at = Instant::now() + self.keep_alive();
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
