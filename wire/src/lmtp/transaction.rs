//! The order of commands (RFC 5321 §4.1.4, RFC 2033 §4.2, RFC 3030 §2).
//!
//! It decides whether a command may stand where it stands, and is told what was accepted. Who the
//! recipients are is the caller's.

use super::{
    command::{Command, Mail},
    reply::Reply,
};

/// How far a client has come.
#[derive(Debug, Default)]
pub struct Transaction {
    stage: Stage,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// Before LHLO.
    #[default]
    Greeted,
    /// Between transactions.
    Idle,
    /// After an accepted MAIL; so many recipients were accepted.
    Envelope { mail: Mail, recipients: usize },
    /// After the first chunk of BDAT: only more chunks may follow.
    Chunks { mail: Mail, recipients: usize },
}

impl Transaction {
    /// A connection that has not said LHLO.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether `command` may stand here.
    ///
    /// # Errors
    /// The reply that says what has to come first. The bytes of a refused BDAT come all the same
    /// and have to be dropped.
    pub fn check(&self, command: &Command) -> Result<(), Reply> {
        let first = match (command, &self.stage) {
            (
                Command::Mail(_) | Command::Rcpt(_) | Command::Data | Command::Bdat(_),
                Stage::Greeted,
            ) => "LHLO first",
            (Command::Mail(_), Stage::Envelope { .. } | Stage::Chunks { .. }) => {
                "one MAIL at a time"
            }
            (Command::Rcpt(_) | Command::Data | Command::Bdat(_), Stage::Idle) => "MAIL first",
            (Command::Rcpt(_) | Command::Data, Stage::Chunks { .. }) => "BDAT LAST first",
            // RFC 2033 §4.2: without an accepted recipient there would be no reply to the message.
            (Command::Data | Command::Bdat(_), Stage::Envelope { recipients: 0, .. }) => {
                "no recipient was accepted"
            }
            _ => return Ok(()),
        };
        Err(Reply::BadSequence(first))
    }

    /// LHLO was accepted; it also ends a transaction (RFC 5321 §4.1.4).
    pub fn hello(&mut self) {
        self.stage = Stage::Idle;
    }

    /// MAIL was accepted.
    pub fn sender(&mut self, mail: Mail) {
        self.stage = Stage::Envelope {
            mail,
            recipients: 0,
        };
    }

    /// One more RCPT was accepted.
    pub fn recipient(&mut self) {
        if let Stage::Envelope { recipients, .. } = &mut self.stage {
            *recipients = recipients.saturating_add(1);
        }
    }

    /// A chunk that is not the last was accepted.
    pub fn chunk(&mut self) {
        self.stage = match std::mem::take(&mut self.stage) {
            Stage::Envelope { mail, recipients } => Stage::Chunks { mail, recipients },
            stage => stage,
        };
    }

    /// RSET, or the message is complete, or it failed: the transaction is over.
    pub fn reset(&mut self) {
        if self.stage != Stage::Greeted {
            self.stage = Stage::Idle;
        }
    }

    /// MAIL's arguments, while a transaction is open.
    #[must_use]
    pub const fn mail(&self) -> Option<&Mail> {
        match &self.stage {
            Stage::Envelope { mail, .. } | Stage::Chunks { mail, .. } => Some(mail),
            Stage::Greeted | Stage::Idle => None,
        }
    }

    /// How many recipients were accepted: so many replies follow the message.
    #[must_use]
    pub const fn recipients(&self) -> usize {
        match &self.stage {
            Stage::Envelope { recipients, .. } | Stage::Chunks { recipients, .. } => *recipients,
            Stage::Greeted | Stage::Idle => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lmtp::command::parse;

    /// Runs commands; one with a `!` before it must be refused, and each other is accepted.
    fn run(script: &[&str]) -> Transaction {
        let mut transaction = Transaction::new();
        for line in script {
            let (line, refused) = match line.strip_prefix('!') {
                Some(line) => (line, true),
                None => (*line, false),
            };
            let command = parse(line.as_bytes()).unwrap();
            let checked = transaction.check(&command);
            assert_eq!(checked.is_err(), refused, "{line} in {script:?}");
            if let Err(reply) = checked {
                assert_eq!(reply.code(), 503);
                continue;
            }
            match command {
                Command::Lhlo(_) => transaction.hello(),
                Command::Mail(mail) => transaction.sender(mail),
                Command::Rcpt(_) => transaction.recipient(),
                Command::Bdat(bdat) if bdat.position == crate::lmtp::command::Position::More => {
                    transaction.chunk();
                }
                Command::Data | Command::Bdat(_) | Command::Rset => transaction.reset(),
                _ => {}
            }
        }
        transaction
    }

    #[test]
    fn order_of_commands() {
        run(&[
            "!MAIL FROM:<a@b>",
            "!RCPT TO:<a@b>",
            "!DATA",
            "!BDAT 1 LAST",
            "NOOP",
            "RSET",
            "!MAIL FROM:<a@b>",
            "LHLO x",
            "!RCPT TO:<a@b>",
            "!DATA",
            "!BDAT 1",
            "MAIL FROM:<a@b>",
            "!MAIL FROM:<a@b>",
            "!DATA",
            "!BDAT 1 LAST",
            "RCPT TO:<a@b>",
            "RCPT TO:<c@d>",
            "DATA",
            "!RCPT TO:<a@b>",
            "QUIT",
        ]);
    }

    #[test]
    fn chunks_are_not_mixed_with_data() {
        run(&[
            "LHLO x",
            "MAIL FROM:<>",
            "RCPT TO:<a@b>",
            "BDAT 3",
            "!DATA",
            "!RCPT TO:<a@b>",
            "!MAIL FROM:<>",
            "NOOP",
            "BDAT 3",
            "BDAT 0 LAST",
            "!BDAT 1",
            "MAIL FROM:<>",
        ]);
    }

    #[test]
    fn counts_and_resets() {
        let open = run(&[
            "LHLO x",
            "MAIL FROM:<> SIZE=9",
            "RCPT TO:<a>",
            "RCPT TO:<b>",
            "BDAT 3",
        ]);
        assert_eq!(open.recipients(), 2);
        assert_eq!(open.mail().and_then(|mail| mail.size), Some(9));
        for end in ["RSET", "LHLO y"] {
            let over = run(&["LHLO x", "MAIL FROM:<>", "RCPT TO:<a>", end]);
            assert_eq!((over.recipients(), over.mail()), (0, None));
        }
    }
}
