//! STATUS (RFC 9051 §6.3.11) and NAMESPACE (§6.3.10).
//!
//! ```text
//! C: a1 STATUS INBOX (MESSAGES UIDNEXT)
//! C: a2 NAMESPACE
//! ```

use super::{
    command::{Authenticated, Command},
    mailbox::{self, WireName},
};
use crate::cursor::{Cursor, Parsed};

/// STATUS's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// Which mailbox.
    pub mailbox: WireName,
    /// What of it, in the client's order, each once.
    pub items: Vec<StatusItem>,
}

/// What STATUS can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StatusItem {
    /// MESSAGES
    Messages,
    /// UIDNEXT
    UidNext,
    /// UIDVALIDITY
    UidValidity,
    /// UNSEEN
    Unseen,
    /// DELETED
    Deleted,
    /// SIZE (RFC 8438)
    Size,
    /// RECENT (RFC 3501 §6.3.10)
    Recent,
    /// APPENDLIMIT (RFC 7889)
    AppendLimit,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.7)
    HighestModSeq,
    /// MAILBOXID (RFC 8474 §4.3): the number of the mailbox
    MailboxId,
    /// DELETED-STORAGE (RFC 9208 §4.1.4)
    DeletedStorage,
}

impl StatusItem {
    /// Every item with its name.
    pub const NAMES: [(Self, &'static str); 11] = [
        (Self::Messages, "MESSAGES"),
        (Self::UidNext, "UIDNEXT"),
        (Self::UidValidity, "UIDVALIDITY"),
        (Self::Unseen, "UNSEEN"),
        (Self::Deleted, "DELETED"),
        (Self::Size, "SIZE"),
        (Self::Recent, "RECENT"),
        (Self::AppendLimit, "APPENDLIMIT"),
        (Self::HighestModSeq, "HIGHESTMODSEQ"),
        (Self::MailboxId, "MAILBOXID"),
        (Self::DeletedStorage, "DELETED-STORAGE"),
    ];

    /// The item with this name in upper case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(_, n)| *n == name)
            .map(|(item, _)| *item)
    }
}

pub(super) const fn namespace(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Authenticated(Authenticated::Namespace))
}

/// ```abnf
/// status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"
/// ```
pub(super) fn status(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = mailbox::argument(c)?;
    c.sp()?;
    let items = items(c)?;
    let status = Status { mailbox, items };
    Ok(Command::Authenticated(Authenticated::Status(status)))
}

/// ```abnf
/// "(" status-att *(SP status-att) ")"
/// ```
pub(super) fn items(c: &mut Cursor<'_>) -> Parsed<Vec<StatusItem>> {
    let mut items = Vec::new();
    c.list(|c| {
        let start = c.at();
        match StatusItem::named(&c.name("a status item")?) {
            Some(item) if items.contains(&item) => {}
            Some(item) => items.push(item),
            None => return c.fail_at(start, "a status item"),
        }
        Ok(())
    })?;
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    #[test]
    fn status_items() {
        let all = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE RECENT APPENDLIMIT \
            HIGHESTMODSEQ MAILBOXID DELETED-STORAGE";
        match accept(&format!("STATUS \"a b\" ({all} messages size)")) {
            Command::Authenticated(Authenticated::Status(status)) => {
                assert_eq!(status.items, StatusItem::NAMES.map(|(item, _)| item));
                assert_eq!(status.mailbox, WireName(b"a b".to_vec()));
            }
            other => panic!("{other:?}"),
        }
        incomplete("STATUS INBOX (MESSAGES)");
        reject("STATUS^");
        reject("STATUS INBOX^");
        reject("STATUS INBOX ^MESSAGES");
        reject("STATUS INBOX (^)");
        reject("STATUS INBOX (MESSAGES^");
        reject("STATUS INBOX (MESSAGES ^)");
        reject("STATUS INBOX (^HIGHESTMODSEQS)");
        reject("STATUS INBOX (^(MESSAGES))");
        reject("STATUS INBOX (MESSAGES)^ x");
    }
}
