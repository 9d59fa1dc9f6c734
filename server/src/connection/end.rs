//! Why a connection ends, what the log calls that and what the client is told.

use std::{borrow::Cow, io};

use wire::imap::code::Code;

use super::deflate::Malformed;
use crate::{refused::Reason, session::Ended};

/// Why a connection ends.
pub(super) enum End {
    /// The client logged out; everything is said.
    Logout,
    /// The client is gone.
    Gone(io::Error),
    /// The server ends it, with this reason.
    Bye(Option<Code>, Cow<'static, str>),
    /// The server ends it because of what the peer does.
    Refused(Reason),
    /// Nothing was heard for too long.
    Silent,
    /// Somebody ended the session.
    Kicked,
    /// The server stops.
    Stopping,
    /// It does, and waits for this connection no longer.
    Cut,
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        Self::Bye(ended.code(), ended.text().into())
    }
}

impl End {
    /// If the peer is not served any more because of what it does.
    pub(super) fn refusal(&self) -> Option<Reason> {
        match self {
            Self::Refused(reason) => Some(*reason),
            // Ours: the system's own error is a network that is gone.
            Self::Gone(error)
                if error.kind() == io::ErrorKind::TimedOut && error.raw_os_error().is_none() =>
            {
                Some(Reason::SlowReader)
            }
            _ => None,
        }
    }

    /// What the log calls it (docs/logs.md), and the cause where there is more to say.
    pub(super) fn reason(&self) -> (&'static str, Option<String>) {
        if let Some(reason) = self.refusal() {
            return (reason.name(), None);
        }
        match self {
            Self::Logout => ("logout", None),
            Self::Gone(error) if error.kind() == io::ErrorKind::UnexpectedEof => ("closed", None),
            Self::Gone(error) => ("lost", Some(error.to_string())),
            Self::Silent => ("silent", None),
            Self::Stopping | Self::Cut => ("stopping", None),
            Self::Kicked => ("kicked", None),
            Self::Bye(_, text) => ("ended", Some(text.to_string())),
            Self::Refused(reason) => (reason.name(), None),
        }
    }

    /// What the client is told, if anything (RFC 9051 §7.1.5).
    pub(super) fn bye(&self) -> Option<(Option<Code>, Cow<'static, str>)> {
        let text = match self {
            Self::Logout | Self::Gone(_) => return None,
            Self::Bye(code, text) => return Some((code.clone(), text.clone())),
            Self::Refused(reason) => {
                let (code, text) = reason.bye();
                return Some((code, text.into()));
            }
            Self::Silent => "Nothing was heard for too long.",
            Self::Stopping | Self::Cut => "The server is shutting down.",
            Self::Kicked => "The session was ended by the administrator.",
        };
        Some((None, text.into()))
    }
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        match Malformed::is_cause_of(&error) {
            true => Self::Refused(Reason::Compression),
            false => Self::Gone(error),
        }
    }
}
