//! Which events of which mailboxes NOTIFY asked for (RFC 5465 §6), by name: a mailbox that comes
//! later is meant too.

use std::collections::BTreeMap;

use mail::mailbox::{MailboxKey, MailboxName, SEPARATOR};
use store::{Subscription, Tree};
use wire::imap::{
    mailbox::WireName,
    notify::{EventGroup, Events, Filter},
};

/// Groups of events, added up: to look a name up costs what its levels are, however many groups
/// there are.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Of the one namespace. Mail may be delivered to all of it, so that INBOXES are these too.
    all: Asked,
    subscribed: Asked,
    /// Of a name and of what is below it.
    subtrees: BTreeMap<Box<str>, Asked>,
    named: BTreeMap<Box<str>, Asked>,
}

/// What was asked of some mailboxes: nothing, events, or NONE, which takes out whatever else is
/// said of them.
#[derive(Clone, Copy, Debug, Default)]
struct Asked {
    events: Events,
    is_none: bool,
}

impl Asked {
    fn add(&mut self, events: Events) {
        self.is_none |= events == Events::default();
        self.events = self.events.with(events);
    }
}

impl Groups {
    /// Groups as a client wrote them; `read` reads a name. One that cannot be a mailbox's is none
    /// that exists, and is ignored (RFC 5465 §3.1).
    pub(super) fn new(
        written: &[EventGroup],
        read: impl Fn(&WireName) -> Option<MailboxName>,
    ) -> Self {
        let mut groups = Self::default();
        for EventGroup { filter, events } in written {
            match filter {
                Filter::Inboxes | Filter::Personal => groups.all.add(*events),
                Filter::Subscribed => groups.subscribed.add(*events),
                Filter::Subtree(names) => add(&mut groups.subtrees, names, &read, *events),
                Filter::Mailboxes(names) => add(&mut groups.named, names, &read, *events),
            }
        }
        groups
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        let named = self.subtrees.values().chain(self.named.values());
        let mut asked = [&self.all, &self.subscribed].into_iter().chain(named);
        asked.all(|asked| asked.events == Events::default())
    }

    /// The events of a name: those of all groups it is in, or nothing if one of them says NONE.
    pub(super) fn of(&self, key: &MailboxKey, subscription: Subscription) -> Events {
        let levels = std::iter::successors(Some(key.as_str()), |level| {
            level.rsplit_once(SEPARATOR).map(|(above, _)| above)
        });
        let subscribed = (subscription == Subscription::On).then_some(&self.subscribed);
        let asked = [Some(&self.all), subscribed, self.named.get(key.as_str())];
        let asked = asked.into_iter().flatten();
        let mut asked = asked.chain(levels.filter_map(|level| self.subtrees.get(level)));
        let all = asked.try_fold(Events::default(), |all, asked| {
            (!asked.is_none).then(|| all.with(asked.events))
        });
        all.unwrap_or_default()
    }

    /// The events of a name, as it is in a tree.
    pub(super) fn in_tree(&self, key: &MailboxKey, tree: &Tree) -> Events {
        let subscription = match tree.subscriptions.contains_key(key) {
            true => Subscription::On,
            false => Subscription::Off,
        };
        self.of(key, subscription)
    }
}

fn add(
    to: &mut BTreeMap<Box<str>, Asked>,
    names: &[WireName],
    read: &impl Fn(&WireName) -> Option<MailboxName>,
    events: Events,
) {
    for name in names.iter().filter_map(read) {
        to.entry(name.key().as_str().into())
            .or_default()
            .add(events);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Events = Events {
        messages: false,
        flags: false,
        names: false,
        subscriptions: false,
    };
    const MESSAGES: Events = Events {
        messages: true,
        ..NONE
    };
    const NAMES: Events = Events {
        names: true,
        ..NONE
    };
    const BOTH: Events = MESSAGES.with(NAMES);

    fn groups(written: Vec<(Filter, Events)>) -> Groups {
        let written = written.into_iter();
        let written: Vec<_> = written
            .map(|(filter, events)| EventGroup { filter, events })
            .collect();
        let read = |name: &WireName| MailboxName::new(str::from_utf8(&name.0).ok()?).ok();
        Groups::new(&written, read)
    }

    fn names(names: &[&str]) -> Vec<WireName> {
        let names = names.iter();
        names.map(|n| WireName(n.as_bytes().to_vec())).collect()
    }

    fn key(name: &str) -> MailboxKey {
        MailboxName::new(name).unwrap().key()
    }

    fn of(groups: &Groups, name: &str) -> Events {
        groups.of(&key(name), Subscription::Off)
    }

    #[test]
    fn names_and_subtrees() {
        let some = groups(vec![
            (Filter::Mailboxes(names(&["inbox", "a/b", "x*"])), MESSAGES),
            (Filter::Subtree(names(&["Lists", "INBOX/sub"])), BOTH),
        ]);
        for named in ["INBOX", "a/b"] {
            assert_eq!(of(&some, named), MESSAGES, "{named}");
        }
        for below in ["Lists", "Lists/a", "Lists/a/b", "INBOX/sub/x"] {
            assert_eq!(of(&some, below), BOTH, "{below}");
        }
        for other in ["a", "a/b/c", "List", "Lists2", "INBOX/su", "xyz"] {
            assert_eq!(of(&some, other), NONE, "{other}");
        }
    }

    #[test]
    fn several_groups_add_up_and_none_takes_out() {
        let all = groups(vec![
            (Filter::Mailboxes(names(&["a"])), MESSAGES),
            (Filter::Personal, NAMES),
            (Filter::Subtree(names(&["Junk"])), NONE),
        ]);
        assert_eq!(of(&all, "a"), BOTH);
        assert_eq!(of(&all, "b"), NAMES);
        assert_eq!(of(&all, "Junk/x"), NONE);
        assert!(!all.is_empty() && Groups::default().is_empty());
        let none = vec![(Filter::Personal, NONE)];
        assert!(groups(none).is_empty());
    }

    #[test]
    fn who_subscribes_is_told_of_what_it_subscribed_to() {
        let some = groups(vec![
            (Filter::Subscribed, MESSAGES),
            (Filter::Inboxes, NAMES),
        ]);
        let of = |subscription| some.of(&key("a"), subscription);
        assert_eq!(of(Subscription::On), BOTH);
        assert_eq!(of(Subscription::Off), NAMES);
    }
}
