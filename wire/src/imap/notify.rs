//! NOTIFY (RFC 5465): which events of which mailboxes a client wants to be told of, all the time.
//!
//! ```text
//! C: a1 NOTIFY SET STATUS (SELECTED (MessageNew (UID FLAGS) MessageExpunge FlagChange))
//!    (SUBTREE Lists (MessageNew MessageExpunge)) (PERSONAL (MailboxName SubscriptionChange))
//! C: a2 NOTIFY NONE
//! ```

use super::{
    command::{Authenticated, Command},
    fetch::{self, FetchItem},
    mailbox::{self, WireName},
};
use crate::{
    cursor::{Cursor, Parsed},
    limits::{NOTIFY_GROUPS_MAX, NOTIFY_NAMES_MAX},
};

/// The events that can be asked for, as BADEVENT lists them.
pub const EVENTS: [&str; 5] = [
    "MessageNew",
    "MessageExpunge",
    "FlagChange",
    "MailboxName",
    "SubscriptionChange",
];

/// The arguments of NOTIFY.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notify {
    /// NONE: nothing is to be told.
    None,
    /// SET: what is asked for instead of what was asked for before.
    Set(NotifySet),
}

/// What NOTIFY SET asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NotifySet {
    /// STATUS: the counters of the mailboxes are wanted now.
    pub status: bool,
    /// Of the selected mailbox, whichever that will be; absent is the same as NONE.
    pub selected: Option<SelectedEvents>,
    /// Of the others. Several may name the same mailbox.
    pub groups: Vec<EventGroup>,
    /// An event is among them that is none of [`EVENTS`].
    pub names_unsupported: bool,
}

/// Message events of the selected mailbox: MessageNew and MessageExpunge always, as they only come
/// together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SelectedEvents {
    /// When MessageExpunge is told.
    pub expunges: Timing,
    /// What is fetched of a new message; nothing if empty.
    pub items: Vec<FetchItem>,
    /// FlagChange
    pub flags: bool,
}

/// When a client is told of expunges in the selected mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Timing {
    /// SELECTED: at once. It has given up sequence numbers (RFC 5465 §5.3).
    AtOnce,
    /// SELECTED-DELAYED: when the rules of RFC 9051 §7.5.1 allow it.
    Delayed,
}

/// Mailboxes with their events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EventGroup {
    /// Which mailboxes.
    pub filter: Filter,
    /// What of them.
    pub events: Events,
}

/// Mailboxes other than the selected one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Filter {
    /// INBOXES: to which mail may be delivered.
    Inboxes,
    /// PERSONAL: of the user's own namespace.
    Personal,
    /// SUBSCRIBED
    Subscribed,
    /// SUBTREE: these and what is below them.
    Subtree(Vec<WireName>),
    /// MAILBOXES: these.
    Mailboxes(Vec<WireName>),
}

/// Events of mailboxes other than the selected one; none of them is NONE.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent event of RFC 5465 §5"
)]
pub struct Events {
    /// MessageNew and MessageExpunge, which only come together
    pub messages: bool,
    /// FlagChange
    pub flags: bool,
    /// MailboxName
    pub names: bool,
    /// SubscriptionChange
    pub subscriptions: bool,
}

impl Events {
    /// These and those.
    #[must_use]
    pub const fn with(self, others: Self) -> Self {
        Self {
            messages: self.messages || others.messages,
            flags: self.flags || others.flags,
            names: self.names || others.names,
            subscriptions: self.subscriptions || others.subscriptions,
        }
    }
}

/// What was read of NOTIFY SET so far.
#[derive(Default)]
struct Read {
    set: NotifySet,
    groups: usize,
    is_selected_named: bool,
}

/// Events as they are written, before it is known whether they go together.
#[derive(Default)]
struct Written {
    /// MessageNew, with what is to be fetched.
    new: Option<Vec<FetchItem>>,
    /// MessageExpunge, as `messages`, and the others that are supported.
    others: Events,
    annotations: bool,
    metadata: bool,
    unknown: bool,
}

/// ```abnf
/// notify      = "NOTIFY" SP (notify-set / notify-none)
/// notify-set  = "SET" [status-indicator] SP event-group *(SP event-group)
/// notify-none = "NONE"
/// ```
///
/// RFC 5465 §8.
pub(super) fn notify(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    let start = c.at();
    let notify = match c.name("SET or NONE")?.as_str() {
        "NONE" => Notify::None,
        "SET" => Notify::Set(set(c)?),
        _ => return c.fail_at(start, "SET or NONE"),
    };
    Ok(Command::Authenticated(Authenticated::Notify(notify)))
}

fn set(c: &mut Cursor<'_>) -> Parsed<NotifySet> {
    let mut read = Read::default();
    read.set.status = c.eat_text(" STATUS");
    c.sp()?;
    loop {
        if read.groups >= NOTIFY_GROUPS_MAX {
            return c.fail("fewer groups of events");
        }
        read.groups = read.groups.saturating_add(1);
        group(c, &mut read)?;
        if !c.eat(b' ') {
            return Ok(read.set);
        }
    }
}

/// ```abnf
/// event-group      = "(" filter-mailboxes SP events ")"
/// filter-mailboxes = "selected" / "selected-delayed" / "inboxes" / "personal" / "subscribed" /
///                    ( "subtree" SP one-or-more-mailbox ) / ( "mailboxes" SP one-or-more-mailbox )
/// ```
///
/// Only one of SELECTED and SELECTED-DELAYED may be named, and that once (RFC 5465 §6.1).
fn group(c: &mut Cursor<'_>, read: &mut Read) -> Parsed<()> {
    c.byte(b'(', "a group of events in parentheses")?;
    c.enter()?;
    let start = c.at();
    let filter = match c.name("mailboxes")?.as_str() {
        "SELECTED" => Err(Timing::AtOnce),
        "SELECTED-DELAYED" => Err(Timing::Delayed),
        "INBOXES" => Ok(Filter::Inboxes),
        "PERSONAL" => Ok(Filter::Personal),
        "SUBSCRIBED" => Ok(Filter::Subscribed),
        "SUBTREE" => Ok(Filter::Subtree(names(c)?)),
        "MAILBOXES" => Ok(Filter::Mailboxes(names(c)?)),
        _ => return c.fail_at(start, "mailboxes"),
    };
    if filter.is_err() && std::mem::replace(&mut read.is_selected_named, true) {
        return c.fail_at(start, "the selected mailbox only once");
    }
    c.sp()?;
    let start = c.at();
    let written = events(c)?;
    if let Some(expected) = written.as_ref().and_then(Written::lacks) {
        return c.fail_at(start, expected);
    }
    let written = written.unwrap_or_default();
    let set = &mut read.set;
    set.names_unsupported |= written.names_unsupported();
    match filter {
        Err(_) if written.names_others() => return c.fail_at(start, "events of messages only"),
        Err(expunges) => set.selected = written.of_selected(expunges),
        Ok(_) if written.fetches() => return c.fail_at(start, "nothing to fetch"),
        Ok(filter) => set.groups.push(EventGroup {
            filter,
            events: written.others,
        }),
    }
    c.byte(b')', "the end of the group")?;
    c.leave();
    Ok(())
}

/// ```abnf
/// one-or-more-mailbox = mailbox / "(" mailbox *(SP mailbox) ")"
/// ```
fn names(c: &mut Cursor<'_>) -> Parsed<Vec<WireName>> {
    c.sp()?;
    if c.peek() != Some(b'(') {
        return Ok(vec![mailbox::name(c)?]);
    }
    let mut names = Vec::new();
    c.list(|c| {
        if names.len() >= NOTIFY_NAMES_MAX {
            return c.fail("fewer mailboxes");
        }
        names.push(mailbox::name(c)?);
        Ok(())
    })?;
    Ok(names)
}

/// ```abnf
/// events = ( "(" event *(SP event) ")" ) / "NONE"
/// ```
///
/// NONE is `None`.
fn events(c: &mut Cursor<'_>) -> Parsed<Option<Written>> {
    if c.peek() != Some(b'(') {
        return match c.eat_text("NONE") {
            true => Ok(None),
            false => c.fail("events in parentheses, or NONE"),
        };
    }
    let mut written = Written::default();
    c.list(|c| event(c, &mut written))?;
    Ok(Some(written))
}

/// ```abnf
/// event         = message-event / mailbox-event / user-event / atom
/// message-event = ( "MessageNew" [SP "(" fetch-att *(SP fetch-att) ")" ] ) / "MessageExpunge" /
///                 "FlagChange" / "AnnotationChange"
/// mailbox-event = "MailboxName" / "SubscriptionChange" / "MailboxMetadataChange"
/// user-event    = "ServerMetadataChange"
/// ```
fn event(c: &mut Cursor<'_>, written: &mut Written) -> Parsed<()> {
    match c.name("an event")?.as_str() {
        "MESSAGENEW" => {
            let items = written.new.get_or_insert_default();
            if c.is_next(b" (") {
                c.sp()?;
                *items = fetch::listed_items(c)?;
            }
        }
        "MESSAGEEXPUNGE" => written.others.messages = true,
        "FLAGCHANGE" => written.others.flags = true,
        "ANNOTATIONCHANGE" => written.annotations = true,
        "MAILBOXNAME" => written.others.names = true,
        "SUBSCRIPTIONCHANGE" => written.others.subscriptions = true,
        "MAILBOXMETADATACHANGE" | "SERVERMETADATACHANGE" => written.metadata = true,
        _ => written.unknown = true,
    }
    Ok(())
}

impl Written {
    /// What must stand beside what is there (RFC 5465 §5).
    const fn lacks(&self) -> Option<&'static str> {
        match (&self.new, self.others.messages) {
            (Some(_), true) => None,
            (None, false) if self.others.flags || self.annotations => {
                Some("MessageNew and MessageExpunge beside it")
            }
            (None, false) => None,
            _ => Some("MessageNew and MessageExpunge together"),
        }
    }

    /// Whether some are not about messages.
    const fn names_others(&self) -> bool {
        self.others.names || self.others.subscriptions || self.metadata
    }

    const fn names_unsupported(&self) -> bool {
        self.annotations || self.metadata || self.unknown
    }

    fn fetches(&self) -> bool {
        self.new.as_ref().is_some_and(|items| !items.is_empty())
    }

    fn of_selected(self, expunges: Timing) -> Option<SelectedEvents> {
        self.new.map(|items| SelectedEvents {
            expunges,
            items,
            flags: self.others.flags,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    fn set(rest: &str) -> NotifySet {
        match accept(&format!("NOTIFY SET {rest}")) {
            Command::Authenticated(Authenticated::Notify(Notify::Set(set))) => set,
            other => panic!("{other:?}"),
        }
    }

    fn name(name: &str) -> WireName {
        WireName(name.as_bytes().to_vec())
    }

    const MESSAGES: Events = Events {
        messages: true,
        flags: false,
        names: false,
        subscriptions: false,
    };

    #[test]
    fn none() {
        let none = Command::Authenticated(Authenticated::Notify(Notify::None));
        assert_eq!(accept("NOTIFY NONE"), none);
        assert_eq!(accept("notify none"), none);
        incomplete("NOTIFY NONE");
        reject("NOTIFY^");
        reject("NOTIFY ^");
        reject("NOTIFY ^SETS (SELECTED NONE)");
        reject("NOTIFY NONE^ (SELECTED NONE)");
    }

    #[test]
    fn of_the_selected_mailbox() {
        let asked = set("(selected (MessageNew (uid flags) messageexpunge FLAGCHANGE))");
        let selected = SelectedEvents {
            expunges: Timing::AtOnce,
            items: vec![FetchItem::Uid, FetchItem::Flags],
            flags: true,
        };
        assert_eq!(asked.selected, Some(selected));
        assert!(!asked.status && asked.groups.is_empty() && !asked.names_unsupported);
        let asked = set("STATUS (Selected-Delayed (MessageNew MessageExpunge))");
        let selected = asked.selected.unwrap();
        assert_eq!(selected.expunges, Timing::Delayed);
        assert!(selected.items.is_empty() && !selected.flags && asked.status);
        assert_eq!(set("(SELECTED NONE)"), NotifySet::default());
        incomplete("NOTIFY SET STATUS (SELECTED (MessageNew (UID) MessageExpunge))");
        reject("NOTIFY SET (SELECTED NONE) (^SELECTED-DELAYED NONE)");
        reject("NOTIFY SET (SELECTED ^(MailboxName))");
        reject("NOTIFY SET (SELECTED ^(MessageNew MessageExpunge SubscriptionChange))");
        reject("NOTIFY SET (SELECTED ^(MailboxMetadataChange))");
        reject("NOTIFY SET (SELECTED (MessageNew (^FOO) MessageExpunge))");
        reject("NOTIFY SET (SELECTED (MessageNew (^) MessageExpunge))");
    }

    #[test]
    fn of_other_mailboxes() {
        let asked = set(
            "(inboxes NONE) (Personal (MailboxName SubscriptionChange)) \
             (subscribed (MessageNew MessageExpunge FlagChange)) \
             (subtree Lists (MessageNew MessageExpunge)) \
             (mailboxes (INBOX \"a b\" {1+}\r\nc) (MailboxName))",
        );
        let names = Events {
            names: true,
            ..Events::default()
        };
        let groups = [
            (Filter::Inboxes, Events::default()),
            (
                Filter::Personal,
                Events {
                    subscriptions: true,
                    ..names
                },
            ),
            (
                Filter::Subscribed,
                Events {
                    flags: true,
                    ..MESSAGES
                },
            ),
            (Filter::Subtree(vec![name("Lists")]), MESSAGES),
            (
                Filter::Mailboxes(vec![name("INBOX"), name("a b"), name("c")]),
                names,
            ),
        ];
        let groups = groups.map(|(filter, events)| EventGroup { filter, events });
        assert_eq!(asked.groups, groups);
        assert_eq!(asked.selected, None);
        incomplete("NOTIFY SET (MAILBOXES ({1}\r\na b) NONE)");
        reject("NOTIFY SET^");
        reject("NOTIFY SET ^");
        reject("NOTIFY SET ^PERSONAL NONE");
        reject("NOTIFY SET (^)");
        reject("NOTIFY SET (^OTHERS NONE)");
        reject("NOTIFY SET (PERSONAL^)");
        reject("NOTIFY SET (PERSONAL ^MailboxName)");
        reject("NOTIFY SET (PERSONAL (^))");
        reject("NOTIFY SET (PERSONAL NONE^ NONE)");
        reject("NOTIFY SET (PERSONAL NONE) ^");
        reject("NOTIFY SET (SUBTREE^)");
        reject("NOTIFY SET (MAILBOXES (^) NONE)");
        reject("NOTIFY SET STATUS^");
        reject("NOTIFY SET STATUS^S (PERSONAL NONE)");
        reject("NOTIFY SET (PERSONAL ^(MessageNew (UID) MessageExpunge))");
    }

    #[test]
    fn rule_49_events_of_messages_come_together() {
        for events in [
            "MessageNew",
            "MessageExpunge",
            "FlagChange",
            "AnnotationChange",
            "MessageNew FlagChange",
            "MessageExpunge AnnotationChange",
            "MailboxName FlagChange",
        ] {
            reject(&format!("NOTIFY SET (PERSONAL ^({events}))"));
        }
        reject("NOTIFY SET (SELECTED ^(MessageNew (UID)))");
    }

    #[test]
    fn events_that_are_not_supported_are_no_error_of_syntax() {
        for event in [
            "AnnotationChange",
            "MailboxMetadataChange",
            "ServerMetadataChange",
            "FutureEvent",
        ] {
            let asked = set(&format!("(PERSONAL (MessageNew MessageExpunge {event}))"));
            assert!(asked.names_unsupported, "{event}");
        }
        assert!(set("(SELECTED (FutureEvent))").names_unsupported);
        for event in EVENTS {
            let all = format!("(PERSONAL (MessageNew MessageExpunge {event}))");
            assert!(!set(&all).names_unsupported, "{event}");
        }
    }

    #[test]
    fn groups_and_names_are_bounded() {
        let groups = |count| vec!["(PERSONAL NONE)"; count].join(" ");
        set(&groups(NOTIFY_GROUPS_MAX));
        reject(&format!("NOTIFY SET {} ^()", groups(NOTIFY_GROUPS_MAX)));
        let names = vec!["a"; NOTIFY_NAMES_MAX].join(" ");
        set(&format!("(MAILBOXES ({names}) NONE)"));
        reject(&format!("NOTIFY SET (MAILBOXES ({names} ^a) NONE)"));
    }
}
