//! The four outcomes of a command, decided in one place: done, refused (NO), not understood (BAD),
//! or the connection is gone. The one function that turns store errors into answers is here;
//! internals go to the log, never to the client (RFC 9051 §7.1, RFC 5530).

use std::{borrow::Cow, io};

use store::error::{Fit, What};
use wire::imap::{
    code::Code,
    response::{Completion, Status},
};

/// What a handler returns: the one tagged answer, or why there is none of success.
pub type Outcome = Result<Completion, Failure>;

/// Why a command did not succeed.
#[derive(Debug)]
pub enum Failure {
    /// NO or BAD.
    Answer(Completion),
    /// The client is gone or does not read.
    Disconnected(io::Error),
}

impl Failure {
    /// Whether it is BAD.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        matches!(self, Self::Answer(completion) if completion.status == Status::Bad)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Disconnected(error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        Self::Answer(refusal(&error))
    }
}

/// `OK text`.
#[must_use]
pub fn ok(text: &'static str) -> Completion {
    Completion {
        status: Status::Ok,
        code: None,
        text: Cow::Borrowed(text),
    }
}

/// `OK [code] text`.
#[must_use]
pub fn ok_with(code: Code, text: &'static str) -> Completion {
    Completion {
        code: Some(code),
        ..ok(text)
    }
}

/// `NO [code] text`.
#[must_use]
pub fn no(code: Code, text: impl Into<Cow<'static, str>>) -> Completion {
    Completion {
        status: Status::No,
        code: Some(code),
        text: text.into(),
    }
}

/// `BAD text`.
#[must_use]
pub fn bad(text: impl Into<Cow<'static, str>>) -> Completion {
    Completion {
        status: Status::Bad,
        code: None,
        text: text.into(),
    }
}

/// The command does not belong to the state (RFC 9051 §3).
#[must_use]
pub fn wrong_state() -> Completion {
    bad("This command is not allowed now.")
}

/// `NO [code] text` as a failure.
pub fn refuse<T>(code: Code, text: &'static str) -> Result<T, Failure> {
    Err(Failure::Answer(no(code, text)))
}

/// What a client is told of a store error.
#[must_use]
pub fn refusal(error: &store::Error) -> Completion {
    use store::Error as E;
    match error {
        E::NotFound(What::Mailbox) => no(Code::NonExistent, "There is no such mailbox."),
        E::NotFound(_) => no(Code::NonExistent, "There is no such thing."),
        E::AlreadyExists(_) => no(
            Code::AlreadyExists,
            "A mailbox of this name exists already.",
        ),
        E::Denied => no(Code::NoPerm, "You may not do this."),
        E::Cannot(why) => no(Code::Cannot, *why),
        E::Expunged => no(
            Code::ExpungeIssued,
            "A message has been expunged meanwhile.",
        ),
        E::Limit(which) => no(Code::Limit, format!("A limit is reached: {which}.")),
        E::OverQuota(Fit::Later) => no(Code::OverQuota, "The quota is used up: delete some mail."),
        E::OverQuota(Fit::Never) => no(Code::OverQuota, "This is larger than the whole quota."),
        E::DiskFull => no(
            Code::Unavailable,
            "The server's disk is full; deleting mail still works.",
        ),
        E::Unavailable(cause) => {
            tracing::warn!(cause, "storage unavailable");
            no(
                Code::Unavailable,
                "Mail storage does not work at the moment; try again later.",
            )
        }
        E::Damaged(cause) => {
            tracing::error!(cause, "stored data is damaged");
            no(
                Code::ServerBug,
                "Stored data is damaged; the administrator has been told.",
            )
        }
        E::InUse(_) => no(Code::InUse, "Mail storage is in use by another program."),
    }
}
