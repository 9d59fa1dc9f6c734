//! What must be answered to a command, as values.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    command::{Item, Store},
    find::Found,
    list::Entries,
    resync::{Earlier, Known},
    told::Expunge,
    world::Mailbox,
};

/// What must be answered to a command.
pub(crate) struct Expected {
    /// OK, NO or BAD.
    pub(crate) status: &'static str,
    pub(crate) code: Code,
    /// Items that FETCH must tell, by UID.
    pub(crate) fetches: BTreeMap<u32, Vec<Item>>,
    /// Whether those FETCH responses must name the UID (rule 15).
    pub(crate) with_uid: bool,
    pub(crate) data: Data,
    pub(crate) expunge: Expunge,
    pub(crate) next: Next,
    /// The selected mailbox as it was, if the client is told of what is new before the command is
    /// done, because the command may name it.
    pub(crate) before: Option<Mailbox>,
    /// What the client works out for itself if it is not told: flags after STORE.SILENT.
    pub(crate) assumed: Option<(Vec<u32>, Store)>,
    /// HIGHESTMODSEQ must be told: it is the first command that wants mod-sequences (rule 13).
    pub(crate) tells_highest: bool,
    /// UIDs that VANISHED (EARLIER) names.
    pub(crate) earlier: Option<Earlier>,
    /// What the client knew of the mailbox that it opens, if it is still the same.
    pub(crate) resyncs: Option<Known>,
}

/// The code in the tagged answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Code {
    /// Any or none.
    Any,
    Named(&'static str),
    AppendUid(usize, Vec<u32>),
    /// MAILBOXID of a mailbox that is new.
    MailboxId(usize),
    CopyUid(Copied),
    /// Messages that a conditional STORE left alone, in the numbers of the command.
    Modified(Vec<u32>),
}

/// What COPYUID must tell.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Copied {
    pub(crate) target: usize,
    pub(crate) from: Vec<u32>,
    pub(crate) to: Vec<u32>,
}

/// Untagged data that only this command brings.
#[derive(Debug)]
pub(crate) enum Data {
    None,
    /// What SELECT tells, of the mailbox it opens.
    Opening(usize),
    List(Entries),
    Lsub(Entries),
    Status(usize, String, &'static [&'static str]),
    Search(Found),
    /// STATUS of these mailboxes, from NOTIFY.
    Notified(BTreeSet<usize>),
    /// QUOTAROOT of this mailbox, and QUOTA.
    Quota(&'static str),
    /// UIDBATCHES: the first and the last UID of the only one that there is.
    Batches(Option<(u32, u32)>),
    Enabled(Vec<&'static str>),
    /// COPYUID in an untagged OK, before any EXPUNGE (rule 19).
    Moved(Copied),
    /// APPENDUID likewise (RFC 8508 §4.3).
    Replaced(usize, Vec<u32>),
}

/// What becomes of the session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    Same,
    /// It has no mailbox any more. The second says that `[CLOSED]` must tell so.
    Unselected,
    Closed,
    Idle,
    NotIdle,
    LoggedOut,
    /// As after a login.
    Fresh,
}

impl Expected {
    pub(crate) fn ok() -> Self {
        Self {
            status: "OK",
            code: Code::Any,
            fetches: BTreeMap::new(),
            with_uid: false,
            data: Data::None,
            expunge: Expunge::May,
            next: Next::Same,
            before: None,
            assumed: None,
            tells_highest: false,
            earlier: None,
            resyncs: None,
        }
    }

    /// Nothing is running.
    pub(crate) fn nothing(expunge: Expunge) -> Self {
        Self {
            expunge,
            ..Self::ok()
        }
    }

    pub(crate) fn no(code: &'static str) -> Self {
        Self {
            status: "NO",
            code: Code::Named(code),
            ..Self::ok()
        }
    }

    pub(crate) fn bad() -> Self {
        Self {
            status: "BAD",
            ..Self::ok()
        }
    }

    pub(crate) fn of(done: Result<(), &'static str>) -> Self {
        done.map_or_else(Self::no, |()| Self::ok())
    }

    pub(crate) fn with(self, data: Data) -> Self {
        Self { data, ..self }
    }
}
