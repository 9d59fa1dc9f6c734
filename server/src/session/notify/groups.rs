//! Which events of which mailboxes NOTIFY asked for (RFC 5465 §6), by name: a mailbox that comes
//! later is meant too.

use std::collections::BTreeSet;

use mail::mailbox::{MailboxKey, MailboxName, SEPARATOR};
use store::{Subscription, Tree};
use wire::imap::{
    mailbox::WireName,
    notify::{EventGroup, Events, Filter},
};

/// Groups of events, as they were asked for.
#[derive(Debug, Default)]
pub(super) struct Groups(Vec<Group>);

#[derive(Debug)]
struct Group {
    which: Which,
    events: Events,
}

/// Mailboxes, by their names.
#[derive(Debug)]
enum Which {
    /// Of the one namespace. Mail may be delivered to all of it, so that INBOXES are these too.
    All,
    Subscribed,
    /// These and what is below them.
    Subtree(BTreeSet<Box<str>>),
    Named(BTreeSet<Box<str>>),
}

impl Groups {
    /// Groups as a client wrote them; `read` reads a name. One that cannot be a mailbox's is none
    /// that exists, and is ignored (RFC 5465 §3.1).
    pub(super) fn new(
        written: &[EventGroup],
        read: impl Fn(&WireName) -> Option<MailboxName>,
    ) -> Self {
        let keys = |names: &[WireName]| {
            let keys = names.iter().filter_map(|name| Some(read(name)?.key()));
            keys.map(|key| key.as_str().into()).collect()
        };
        let group = |written: &EventGroup| Group {
            which: match &written.filter {
                Filter::Inboxes | Filter::Personal => Which::All,
                Filter::Subscribed => Which::Subscribed,
                Filter::Subtree(names) => Which::Subtree(keys(names)),
                Filter::Mailboxes(names) => Which::Named(keys(names)),
            },
            events: written.events,
        };
        Self(written.iter().map(group).collect())
    }

    /// Whether nothing is asked for.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The events of a name: those of all groups it is in, or nothing if one of them says NONE.
    pub(super) fn of(&self, key: &MailboxKey, subscription: Subscription) -> Events {
        let mut all = Events::default();
        for Group { which, events } in &self.0 {
            if !which.has(key, subscription) {
                continue;
            }
            if *events == Events::default() {
                return Events::default();
            }
            all = Events {
                messages: all.messages || events.messages,
                flags: all.flags || events.flags,
                names: all.names || events.names,
                subscriptions: all.subscriptions || events.subscriptions,
            };
        }
        all
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

impl Which {
    fn has(&self, key: &MailboxKey, subscription: Subscription) -> bool {
        match self {
            Self::All => true,
            Self::Subscribed => subscription == Subscription::On,
            Self::Named(names) => names.contains(key.as_str()),
            Self::Subtree(names) => {
                let mut levels = std::iter::successors(Some(key.as_str()), |level| {
                    level.rsplit_once(SEPARATOR).map(|(above, _)| above)
                });
                levels.any(|level| names.contains(level))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(messages: bool, names: bool) -> Events {
        Events {
            messages,
            names,
            ..Events::default()
        }
    }

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
        let messages = events(true, false);
        let some = groups(vec![
            (Filter::Mailboxes(names(&["inbox", "a/b", "x*"])), messages),
            (
                Filter::Subtree(names(&["Lists", "INBOX/sub"])),
                events(true, true),
            ),
        ]);
        for named in ["INBOX", "a/b"] {
            assert_eq!(of(&some, named), messages, "{named}");
        }
        for below in ["Lists", "Lists/a", "Lists/a/b", "INBOX/sub/x"] {
            assert_eq!(of(&some, below), events(true, true), "{below}");
        }
        for other in ["a", "a/b/c", "List", "Lists2", "INBOX/su", "xyz"] {
            assert_eq!(of(&some, other), Events::default(), "{other}");
        }
    }

    #[test]
    fn several_groups_add_up_and_none_takes_out() {
        let all = groups(vec![
            (Filter::Mailboxes(names(&["a"])), events(true, false)),
            (Filter::Personal, events(false, true)),
            (Filter::Subtree(names(&["Junk"])), Events::default()),
        ]);
        assert_eq!(of(&all, "a"), events(true, true));
        assert_eq!(of(&all, "b"), events(false, true));
        assert_eq!(of(&all, "Junk/x"), Events::default());
        assert!(!all.is_empty() && Groups::default().is_empty());
    }

    #[test]
    fn who_subscribes_is_told_of_what_it_subscribed_to() {
        let some = groups(vec![
            (Filter::Subscribed, events(true, false)),
            (Filter::Inboxes, events(false, true)),
        ]);
        let of = |subscription| some.of(&key("a"), subscription);
        assert_eq!(of(Subscription::On), events(true, true));
        assert_eq!(of(Subscription::Off), events(false, true));
    }
}
