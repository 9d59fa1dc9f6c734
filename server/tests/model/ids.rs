//! Object ids (RFC 8474): the server chooses them, and then they are the same for ever: for a mailbox
//! through RENAME, for a message through COPY and MOVE, for all through a restart.

use std::collections::BTreeMap;

use wire::imap::client::Node;

use crate::{
    check::Answer,
    told::{Check, broken},
    world::Message,
};

/// The ids that were told.
#[derive(Clone, Default)]
pub(crate) struct Ids {
    /// By the messages' serial numbers.
    emails: BTreeMap<u32, String>,
    threads: BTreeMap<u32, String>,
    /// By the mailboxes' numbers.
    mailboxes: BTreeMap<usize, String>,
}

/// The id in `(id)`.
fn id(node: &Node) -> String {
    let inside = node.list().and_then(<[Node]>::first).and_then(Node::bytes);
    String::from_utf8_lossy(inside.unwrap_or_default()).into_owned()
}

fn learn<K: Ord + Copy>(known: &mut BTreeMap<K, String>, of: K, told: String) -> Check {
    let before = known.get(&of);
    if told.is_empty() || before.is_some_and(|before| *before != told) {
        return broken(42, format!("the id {before:?} became {told:?}"));
    }
    known.insert(of, told);
    Ok(())
}

fn learn_own<K: Ord + Copy>(known: &mut BTreeMap<K, String>, of: K, told: String) -> Check {
    if known.iter().any(|(other, id)| *other != of && *id == told) {
        return broken(42, format!("the id {told} is given twice"));
    }
    learn(known, of, told)
}

impl Ids {
    /// MAILBOXID.
    pub(crate) fn mailbox(&mut self, of: usize, told: &Node) -> Check {
        learn_own(&mut self.mailboxes, of, id(told))
    }

    fn message(&mut self, message: &Message, items: &Node) -> Check {
        if let Some(told) = items.value_of("EMAILID") {
            learn_own(&mut self.emails, message.serial, id(told))?;
        }
        if let Some(told) = items.value_of("THREADID") {
            learn(&mut self.threads, message.serial, id(told))?;
        }
        Ok(())
    }
}

impl Answer<'_> {
    /// EMAILID and THREADID of a FETCH.
    pub(crate) fn identified(&mut self, mailbox: usize, uid: u32, items: &Node) -> Check {
        match self.account.mailboxes[mailbox].message(uid).copied() {
            Some(message) => self.account.ids.message(&message, items),
            None => Ok(()),
        }
    }
}
