//! The one table of commands: name, state group, how it names messages, whether EXPUNGE may be
//! sent while it runs, which capability offers it, and where it is specified.
//!
//! CAPABILITY, the support table of the documentation, metric labels and the decision when changes
//! may be told are all computed from it; so is which grammar reads a command.

use super::command::Command;
use super::{
    append, auth, basic, compress, fetch, list, mailbox, notify, quota, replace, search, select,
    status, store, transfer, uid_batches,
};
use crate::cursor::{Cursor, Parsed};

/// One command.
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// Its name; a UID form stands with its prefix.
    pub name: &'static str,
    /// The states in which it is allowed.
    pub group: Group,
    /// Whether EXPUNGE may be sent before its tagged response (RFC 9051 §7.5.1); see
    /// [`Command::expunge`] for the exception.
    pub expunge: Expunge,
    /// The capability that offers it; `None` for the base protocol.
    pub capability: Option<&'static str>,
    /// Where it is specified.
    pub source: &'static str,
    /// Reads what follows the name.
    pub(crate) grammar: fn(&mut Cursor<'_>) -> Parsed<Command>,
}

impl PartialEq for Property {
    /// Two rows are the same if they name the same command.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
impl Eq for Property {}

/// States in which a command is allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// Any.
    Any,
    /// Not authenticated.
    NotAuthenticated,
    /// Authenticated and selected.
    Authenticated,
    /// Selected.
    Selected,
}

impl Property {
    /// Whether it ends in the bytes of messages, which are handed on as they arrive.
    #[must_use]
    pub fn streams(&self) -> bool {
        [&APPEND, &REPLACE, &UID_REPLACE].contains(&self)
    }

    /// Whether messages have sequence numbers in it, or in its answers: it is refused once UIDONLY
    /// is enabled (RFC 9586 §3.2). See [`Command::uses_sequence_numbers`] for what its arguments
    /// add.
    #[must_use]
    pub fn uses_sequence_numbers(&self) -> bool {
        [&SEARCH, &FETCH, &STORE, &COPY, &MOVE, &REPLACE].contains(&self)
    }
}

/// Whether untagged EXPUNGE may be sent while a command runs (RFC 9051 §7.5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expunge {
    /// It may.
    May,
    /// It must wait: the client is using sequence numbers.
    MustWait,
}

/// CAPABILITY (RFC 9051 §6.1.1).
pub static CAPABILITY: Property = Property {
    name: "CAPABILITY",
    group: Group::Any,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.1.1",
    grammar: basic::capability,
};
/// NOOP (RFC 9051 §6.1.2).
pub static NOOP: Property = Property {
    name: "NOOP",
    group: Group::Any,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.1.2",
    grammar: basic::noop,
};
/// LOGOUT (RFC 9051 §6.1.3).
pub static LOGOUT: Property = Property {
    name: "LOGOUT",
    group: Group::Any,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.1.3",
    grammar: basic::logout,
};
/// ID (RFC 2971 §3.1).
pub static ID: Property = Property {
    name: "ID",
    group: Group::Any,
    expunge: Expunge::May,
    capability: Some("ID"),
    source: "RFC 2971 §3.1",
    grammar: basic::id,
};
/// STARTTLS (RFC 9051 §6.2.1).
pub static STARTTLS: Property = Property {
    name: "STARTTLS",
    group: Group::NotAuthenticated,
    expunge: Expunge::May,
    capability: Some("STARTTLS"),
    source: "RFC 9051 §6.2.1",
    grammar: auth::starttls,
};
/// AUTHENTICATE (RFC 9051 §6.2.2).
pub static AUTHENTICATE: Property = Property {
    name: "AUTHENTICATE",
    group: Group::NotAuthenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.2.2",
    grammar: auth::authenticate,
};
/// LOGIN (RFC 9051 §6.2.3).
pub static LOGIN: Property = Property {
    name: "LOGIN",
    group: Group::NotAuthenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.2.3",
    grammar: auth::login,
};
/// ENABLE (RFC 9051 §6.3.1).
pub static ENABLE: Property = Property {
    name: "ENABLE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("ENABLE"),
    source: "RFC 9051 §6.3.1",
    grammar: select::enable,
};
/// SELECT (RFC 9051 §6.3.2).
pub static SELECT: Property = Property {
    name: "SELECT",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.2",
    grammar: select::select,
};
/// EXAMINE (RFC 9051 §6.3.3).
pub static EXAMINE: Property = Property {
    name: "EXAMINE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.3",
    grammar: select::examine,
};
/// CREATE (RFC 9051 §6.3.4).
pub static CREATE: Property = Property {
    name: "CREATE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.4",
    grammar: mailbox::create,
};
/// DELETE (RFC 9051 §6.3.5).
pub static DELETE: Property = Property {
    name: "DELETE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.5",
    grammar: mailbox::delete,
};
/// RENAME (RFC 9051 §6.3.6).
pub static RENAME: Property = Property {
    name: "RENAME",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.6",
    grammar: mailbox::rename,
};
/// SUBSCRIBE (RFC 9051 §6.3.7).
pub static SUBSCRIBE: Property = Property {
    name: "SUBSCRIBE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.7",
    grammar: mailbox::subscribe,
};
/// UNSUBSCRIBE (RFC 9051 §6.3.8).
pub static UNSUBSCRIBE: Property = Property {
    name: "UNSUBSCRIBE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.8",
    grammar: mailbox::unsubscribe,
};
/// LIST (RFC 9051 §6.3.9).
pub static LIST: Property = Property {
    name: "LIST",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.9",
    grammar: list::list,
};
/// LSUB (RFC 3501 §6.3.9).
pub static LSUB: Property = Property {
    name: "LSUB",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 3501 §6.3.9",
    grammar: list::lsub,
};
/// NAMESPACE (RFC 9051 §6.3.10).
pub static NAMESPACE: Property = Property {
    name: "NAMESPACE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("NAMESPACE"),
    source: "RFC 9051 §6.3.10",
    grammar: status::namespace,
};
/// STATUS (RFC 9051 §6.3.11).
pub static STATUS: Property = Property {
    name: "STATUS",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.11",
    grammar: status::status,
};
/// APPEND (RFC 9051 §6.3.12).
pub static APPEND: Property = Property {
    name: "APPEND",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.3.12",
    grammar: append::append,
};
/// IDLE (RFC 9051 §6.3.13).
pub static IDLE: Property = Property {
    name: "IDLE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("IDLE"),
    source: "RFC 9051 §6.3.13",
    grammar: basic::idle,
};
/// NOTIFY (RFC 5465 §3.1).
pub static NOTIFY: Property = Property {
    name: "NOTIFY",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("NOTIFY"),
    source: "RFC 5465 §3.1",
    grammar: notify::notify,
};
/// COMPRESS (RFC 4978 §3).
pub static COMPRESS: Property = Property {
    name: "COMPRESS",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("COMPRESS=DEFLATE"),
    source: "RFC 4978 §3",
    grammar: compress::compress,
};
/// UNAUTHENTICATE (RFC 8437 §3).
pub static UNAUTHENTICATE: Property = Property {
    name: "UNAUTHENTICATE",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("UNAUTHENTICATE"),
    source: "RFC 8437 §3",
    grammar: auth::unauthenticate,
};
/// GETQUOTA (RFC 9208 §4.1.1).
pub static GETQUOTA: Property = Property {
    name: "GETQUOTA",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("QUOTA"),
    source: "RFC 9208 §4.1.1",
    grammar: quota::get_quota,
};
/// GETQUOTAROOT (RFC 9208 §4.1.2).
pub static GETQUOTAROOT: Property = Property {
    name: "GETQUOTAROOT",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("QUOTA"),
    source: "RFC 9208 §4.1.2",
    grammar: quota::get_quota_root,
};
/// SETQUOTA: understood as RFC 2087 asks, and always refused, so QUOTASET is not offered (RFC 9208 §4.1.3).
pub static SETQUOTA: Property = Property {
    name: "SETQUOTA",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("QUOTA"),
    source: "RFC 9208 §4.1.3",
    grammar: quota::set_quota,
};
/// XLIST, from before special uses had a standard: Outlook 2013 knows no other (Gmail).
pub static XLIST: Property = Property {
    name: "XLIST",
    group: Group::Authenticated,
    expunge: Expunge::May,
    capability: Some("XLIST"),
    source: "Gmail",
    grammar: list::xlist,
};
/// CHECK (RFC 3501 §6.4.1).
pub static CHECK: Property = Property {
    name: "CHECK",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 3501 §6.4.1",
    grammar: basic::check,
};
/// CLOSE (RFC 9051 §6.4.1).
pub static CLOSE: Property = Property {
    name: "CLOSE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.1",
    grammar: select::close,
};
/// UNSELECT (RFC 9051 §6.4.2).
pub static UNSELECT: Property = Property {
    name: "UNSELECT",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("UNSELECT"),
    source: "RFC 9051 §6.4.2",
    grammar: select::unselect,
};
/// EXPUNGE (RFC 9051 §6.4.3).
pub static EXPUNGE: Property = Property {
    name: "EXPUNGE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.3",
    grammar: store::expunge,
};
/// SEARCH (RFC 9051 §6.4.4).
pub static SEARCH: Property = Property {
    name: "SEARCH",
    group: Group::Selected,
    expunge: Expunge::MustWait,
    capability: None,
    source: "RFC 9051 §6.4.4",
    grammar: search::search,
};
/// FETCH (RFC 9051 §6.4.5).
pub static FETCH: Property = Property {
    name: "FETCH",
    group: Group::Selected,
    expunge: Expunge::MustWait,
    capability: None,
    source: "RFC 9051 §6.4.5",
    grammar: fetch::fetch,
};
/// STORE (RFC 9051 §6.4.6).
pub static STORE: Property = Property {
    name: "STORE",
    group: Group::Selected,
    expunge: Expunge::MustWait,
    capability: None,
    source: "RFC 9051 §6.4.6",
    grammar: store::store,
};
/// COPY (RFC 9051 §6.4.7).
pub static COPY: Property = Property {
    name: "COPY",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.7",
    grammar: transfer::copy,
};
/// MOVE (RFC 9051 §6.4.8).
pub static MOVE: Property = Property {
    name: "MOVE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("MOVE"),
    source: "RFC 9051 §6.4.8",
    grammar: transfer::move_,
};
/// REPLACE (RFC 8508 §3.2).
pub static REPLACE: Property = Property {
    name: "REPLACE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("REPLACE"),
    source: "RFC 8508 §3.2",
    grammar: replace::replace,
};
/// UID REPLACE (RFC 8508 §3.3).
pub static UID_REPLACE: Property = Property {
    name: "UID REPLACE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("REPLACE"),
    source: "RFC 8508 §3.3",
    grammar: replace::uid_replace,
};
/// UIDBATCHES (RFC 10022 §3.1).
pub static UIDBATCHES: Property = Property {
    name: "UIDBATCHES",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("UIDBATCHES"),
    source: "RFC 10022 §3.1",
    grammar: uid_batches::uid_batches,
};
/// UID EXPUNGE (RFC 9051 §6.4.9).
pub static UID_EXPUNGE: Property = Property {
    name: "UID EXPUNGE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("UIDPLUS"),
    source: "RFC 9051 §6.4.9",
    grammar: store::uid_expunge,
};
/// UID SEARCH (RFC 9051 §6.4.9).
pub static UID_SEARCH: Property = Property {
    name: "UID SEARCH",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.9",
    grammar: search::uid_search,
};
/// UID FETCH (RFC 9051 §6.4.9).
pub static UID_FETCH: Property = Property {
    name: "UID FETCH",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.9",
    grammar: fetch::uid_fetch,
};
/// UID STORE (RFC 9051 §6.4.9).
pub static UID_STORE: Property = Property {
    name: "UID STORE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.9",
    grammar: store::uid_store,
};
/// UID COPY (RFC 9051 §6.4.9).
pub static UID_COPY: Property = Property {
    name: "UID COPY",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: None,
    source: "RFC 9051 §6.4.9",
    grammar: transfer::uid_copy,
};
/// UID MOVE (RFC 9051 §6.4.9).
pub static UID_MOVE: Property = Property {
    name: "UID MOVE",
    group: Group::Selected,
    expunge: Expunge::May,
    capability: Some("MOVE"),
    source: "RFC 9051 §6.4.9",
    grammar: transfer::uid_move,
};

/// Every command, in the order of RFC 9051 §6.
pub static TABLE: [&Property; 46] = [
    &CAPABILITY,
    &NOOP,
    &LOGOUT,
    &ID,
    &STARTTLS,
    &AUTHENTICATE,
    &LOGIN,
    &ENABLE,
    &SELECT,
    &EXAMINE,
    &CREATE,
    &DELETE,
    &RENAME,
    &SUBSCRIBE,
    &UNSUBSCRIBE,
    &LIST,
    &LSUB,
    &NAMESPACE,
    &STATUS,
    &APPEND,
    &IDLE,
    &NOTIFY,
    &COMPRESS,
    &UNAUTHENTICATE,
    &GETQUOTA,
    &GETQUOTAROOT,
    &SETQUOTA,
    &XLIST,
    &CHECK,
    &CLOSE,
    &UNSELECT,
    &EXPUNGE,
    &SEARCH,
    &FETCH,
    &STORE,
    &COPY,
    &MOVE,
    &REPLACE,
    &UIDBATCHES,
    &UID_EXPUNGE,
    &UID_SEARCH,
    &UID_FETCH,
    &UID_STORE,
    &UID_COPY,
    &UID_MOVE,
    &UID_REPLACE,
];

/// The command of this name in upper case, a UID form with its prefix.
#[must_use]
pub fn named(name: &str) -> Option<&'static Property> {
    TABLE.into_iter().find(|property| property.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, frame};

    /// A command of each row.
    const SAMPLES: [&str; TABLE.len()] = [
        "CAPABILITY",
        "NOOP",
        "LOGOUT",
        "ID NIL",
        "STARTTLS",
        "AUTHENTICATE PLAIN",
        "LOGIN a b",
        "ENABLE X",
        "SELECT a",
        "EXAMINE a",
        "CREATE a",
        "DELETE a",
        "RENAME a b",
        "SUBSCRIBE a",
        "UNSUBSCRIBE a",
        "LIST a b",
        "LSUB a b",
        "NAMESPACE",
        "STATUS a (SIZE)",
        "APPEND a {1}\r\n",
        "IDLE",
        "NOTIFY NONE",
        "COMPRESS DEFLATE",
        "UNAUTHENTICATE",
        "GETQUOTA a",
        "GETQUOTAROOT a",
        "SETQUOTA a ()",
        "XLIST a b",
        "CHECK",
        "CLOSE",
        "UNSELECT",
        "EXPUNGE",
        "SEARCH ALL",
        "FETCH 1 UID",
        "STORE 1 FLAGS a",
        "COPY 1 a",
        "MOVE 1 a",
        "REPLACE 1 a {1}\r\n",
        "UIDBATCHES 500",
        "UID EXPUNGE 1",
        "UID SEARCH ALL",
        "UID FETCH 1 UID",
        "UID STORE 1 FLAGS a",
        "UID COPY 1 a",
        "UID MOVE 1 a",
        "UID REPLACE 1 a {1}\r\n",
    ];

    #[test]
    fn each_row_is_the_row_of_what_its_grammar_reads() {
        for (property, sample) in TABLE.into_iter().zip(SAMPLES) {
            for sample in [sample.to_owned(), sample.to_ascii_lowercase()] {
                let command = accept(&sample);
                assert_eq!(command.property().name, property.name);
                let group = match command {
                    Command::Any(_) => Group::Any,
                    Command::NotAuthenticated(_) => Group::NotAuthenticated,
                    Command::Authenticated(_) => Group::Authenticated,
                    Command::Selected(_) => Group::Selected,
                };
                assert_eq!(group, property.group, "{sample}");
            }
            assert_eq!(named(property.name), Some(property));
        }
    }

    #[test]
    fn rule_01_expunge_waits_where_sequence_numbers_are_used() {
        for property in TABLE {
            let uses = ["FETCH", "STORE", "SEARCH"].contains(&property.name);
            assert_eq!(
                property.expunge == Expunge::MustWait,
                uses,
                "{}",
                property.name
            );
        }
    }

    #[test]
    fn what_has_a_uid_form_uses_sequence_numbers_without_it() {
        for property in TABLE {
            // UID EXPUNGE differs from EXPUNGE in more than that.
            let form = named(&format!("UID {}", property.name)).filter(|it| *it != &UID_EXPUNGE);
            let uses = property.uses_sequence_numbers();
            assert_eq!(uses, form.is_some(), "{}", property.name);
        }
    }

    #[test]
    fn rule_31_unknown_commands_are_told_apart() {
        use crate::frame::{Fault, Frame};
        for rest in [
            "FOO",
            "X-BAR (1 {3+}\r\nabc",
            "UID NOOP",
            "UID UID FETCH 1 UID",
            "FETCHX 1",
        ] {
            match frame(rest.as_bytes()) {
                Frame::Bad(Some(_), Fault::UnknownCommand) => {}
                other => panic!("{rest}: {other:?}"),
            }
        }
        assert!(named("fetch").is_none());
    }
}
