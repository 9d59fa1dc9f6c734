//! REPLACE and UID REPLACE (RFC 8508): one message comes and another one goes, both or neither.

use crate::{
    command::{NewMessage, Numbers, Set},
    expected::{Code, Data, Expected},
    predict::{refused_append, resolve},
    told::{Mode, Sync, View},
    words::Date,
    world::{Account, Mailbox},
};

/// What is replaced, where to, and by what.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Replace {
    /// One number.
    pub(crate) set: Set,
    pub(crate) to: &'static str,
    pub(crate) message: NewMessage,
}

impl Replace {
    /// What stands before the message.
    pub(crate) fn head(&self, mailbox: &str) -> String {
        let (prefix, number) = (self.set.numbers.prefix(), self.set.written());
        format!("{prefix}REPLACE {number} {mailbox}")
    }

    pub(crate) fn predict(
        &self,
        account: &mut Account,
        (view, mode): (&View, Mode),
        now: Date,
    ) -> Expected {
        let source: &Mailbox = &account.mailboxes[view.mailbox];
        let Some(named) = resolve(view, source, &self.set) else {
            return refused_append(Expected::bad());
        };
        let Some(uid) = named.first().copied() else {
            return refused_append(Expected::no("NONEXISTENT"));
        };
        let Some(target) = account.find(self.to) else {
            return refused_append(Expected::no("TRYCREATE"));
        };
        let Some(message) = self.message.arrived(now) else {
            return refused_append(Expected::no("CANNOT"));
        };
        if source.message(uid).is_none() {
            return refused_append(Expected::no("EXPUNGEISSUED"));
        }
        let added = account.mailboxes[target].add(vec![message]);
        account.mailboxes[view.mailbox].expunge(|m| m.uid == uid);
        let is_told = mode.sync == Sync::QResync;
        Expected {
            // As UID EXPUNGE (§4.5; RFC 7162 §3.2.9).
            code: match is_told {
                true => Code::Named("HIGHESTMODSEQ"),
                false => Code::Any,
            },
            ..Expected::ok().with(Data::Replaced(target, added))
        }
    }

    /// Whether it may name a message that the client was not told of before.
    pub(crate) fn names_new(&self) -> bool {
        self.set.numbers == Numbers::Uid
    }
}
