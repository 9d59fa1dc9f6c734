//! What a client was told of a mailbox that is not selected, and what STATUS says of its changes
//! (RFC 5465 §5.1 to §5.3).

use mail::id::{ModSeq, Uid, UidValidity};
use store::{Changes, MailboxInfo, state::Summary};
use wire::{
    encode::Sync,
    imap::{
        response::{MailboxStatus, Untagged},
        status::StatusItem as Item,
    },
};

use crate::session::status::counter;

/// A mailbox of whose messages a client wants to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched<'a> {
    pub(super) info: &'a MailboxInfo,
    /// Whether it wants to know of flags.
    pub(super) flags: bool,
}

/// What it was told of a mailbox, where that is not what was so in the version of the account that it
/// was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::session) struct Counts {
    pub(in crate::session) messages: u32,
    pub(in crate::session) uid_next: Uid,
    pub(in crate::session) mod_seq: ModSeq,
    pub(in crate::session) unseen: u32,
    /// Nothing, if it has not heard of this mailbox yet.
    pub(in crate::session) uid_validity: Option<UidValidity>,
}

impl Counts {
    /// Of a mailbox that has just come: whatever is in it is new.
    pub(super) const NEW: Self = Self {
        messages: 0,
        uid_next: Uid::MIN,
        mod_seq: ModSeq::MIN,
        unseen: 0,
        uid_validity: None,
    };

    pub(super) const fn of(summary: &Summary) -> Self {
        Self {
            messages: summary.messages,
            uid_next: summary.uid_next,
            mod_seq: summary.highest_mod_seq,
            unseen: summary.unseen,
            uid_validity: Some(summary.uid_validity),
        }
    }

    /// Of a mailbox that was there, and of which its client asks only now.
    pub(super) const fn unheard(summary: &Summary) -> Self {
        Self {
            uid_validity: None,
            ..Self::of(summary)
        }
    }

    /// The same counters as they are now.
    pub(super) const fn now(self, summary: &Summary) -> Self {
        Self {
            uid_validity: self.uid_validity,
            ..Self::of(summary)
        }
    }

    /// Whether the client has not heard of the mailbox yet.
    pub(super) const fn is_unheard(self) -> bool {
        self.uid_validity.is_none()
    }

    /// What is not as it was told.
    pub(super) fn news(&self, now: &Summary) -> News {
        let heard = self.uid_validity;
        News {
            heard: match heard {
                Some(_) => Heard::Of,
                None => Heard::Never,
            },
            changed: items([
                (self.messages, self.uid_next) != (now.messages, now.uid_next),
                self.unseen != now.unseen,
                self.mod_seq != now.highest_mod_seq,
                heard.is_some_and(|known| known != now.uid_validity),
            ]),
        }
    }
}

/// What there is to tell of a mailbox.
#[derive(Debug)]
pub(super) struct News {
    heard: Heard,
    /// The counters that have changed: Messages stands for UidNext, too.
    changed: Vec<Item>,
}

/// Whether a client has heard of a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Heard {
    Of,
    Never,
}

impl News {
    /// What has changed since a version of the account that was told.
    pub(super) fn since(version: u64, changes: &Changes) -> Self {
        let at = [
            changes.messages,
            changes.unseen,
            changes.mod_seq,
            changes.uid_validity,
        ];
        Self {
            heard: Heard::Of,
            changed: items(at.map(|at| at > version)),
        }
    }

    fn has(&self, item: Item) -> bool {
        self.changed.contains(&item)
    }
}

/// Those counters that have changed.
fn items(changed: [bool; 4]) -> Vec<Item> {
    let all = [
        Item::Messages,
        Item::Unseen,
        Item::HighestModSeq,
        Item::UidValidity,
    ];
    let items = all.into_iter().zip(changed);
    items.filter_map(|(item, it)| it.then_some(item)).collect()
}

impl Watched<'_> {
    /// The counters as they are, with which a client begins (RFC 5465 §3.1): HIGHESTMODSEQ for
    /// whoever wants to know of flags, whether it said that it knows of mod-sequences or not.
    pub(super) fn begin(&self, summary: &Summary, sync: Sync) -> Untagged {
        let mut items = vec![Item::Messages, Item::UidNext, Item::UidValidity];
        if self.flags {
            items.push(Item::Unseen);
        }
        if self.flags || sync >= Sync::CondStore {
            items.push(Item::HighestModSeq);
        }
        self.status(&items, summary)
    }

    /// What is told of news, if anything is.
    pub(super) fn tell(&self, news: &News, now: &Summary, sync: Sync) -> Option<Untagged> {
        let counts = news.has(Item::Messages) || news.has(Item::UidValidity);
        let unseen = self.flags && news.has(Item::Unseen);
        let of_flags = self.flags && sync >= Sync::CondStore;
        let mod_seq = of_flags && news.has(Item::HighestModSeq);
        if !(counts || unseen || mod_seq) {
            return None;
        }
        let mut items = Vec::new();
        if counts {
            items.extend([Item::Messages, Item::UidNext]);
        }
        if mod_seq || news.heard == Heard::Never || news.has(Item::UidValidity) {
            items.push(Item::UidValidity);
        }
        if unseen {
            items.push(Item::Unseen);
        }
        if sync >= Sync::CondStore {
            items.push(Item::HighestModSeq);
        }
        Some(self.status(&items, now))
    }

    fn status(&self, items: &[Item], summary: &Summary) -> Untagged {
        let counted = |item: &Item| Some((*item, counter(summary, *item)?));
        Untagged::MailboxStatus(MailboxStatus {
            name: self.info.name.clone(),
            items: items.iter().filter_map(counted).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use mail::{id::MailboxId, mailbox::MailboxName};
    use wire::encode::{Encoder, Mode};

    use super::*;

    const NOTHING: Summary = Summary {
        messages: 0,
        unseen: 0,
        deleted: 0,
        recent: 0,
        bytes: 0,
        deleted_bytes: 0,
        uid_next: Uid::MIN,
        highest_mod_seq: ModSeq::MIN,
        uid_validity: UidValidity::MIN,
    };

    fn some(messages: u32, uid_next: u32, unseen: u32, mod_seq: u64) -> Summary {
        Summary {
            messages,
            unseen,
            uid_next: Uid::new(uid_next).unwrap(),
            highest_mod_seq: ModSeq::new(mod_seq).unwrap(),
            ..NOTHING
        }
    }

    fn mailbox() -> MailboxInfo {
        MailboxInfo {
            id: MailboxId::MIN,
            name: MailboxName::new("x").unwrap(),
            special_use: vec![],
            uid_validity: UidValidity::MIN,
        }
    }

    /// A client that wants to know of flags or not, and what it was told.
    struct Client {
        flags: bool,
        told: Counts,
    }

    fn client(flags: bool, told: Counts) -> Client {
        Client { flags, told }
    }

    fn text(response: &Untagged) -> String {
        let mut out = Vec::new();
        Encoder::new(Mode::REV1).untagged(&mut out, response);
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    fn told(client: &mut Client, now: &Summary, sync: Sync) -> Option<String> {
        let (info, flags) = (&mailbox(), client.flags);
        let told = Watched { info, flags }.tell(&client.told.news(now), now, sync);
        client.told = match told {
            Some(_) => Counts::of(now),
            None => client.told.now(now),
        };
        told.as_ref().map(text)
    }

    fn is(line: &str) -> Option<String> {
        Some(format!("* STATUS x ({line})"))
    }

    #[test]
    fn what_a_client_begins_with() {
        let now = some(3, 5, 2, 9);
        let info = &mailbox();
        let begin = |flags, sync| text(&Watched { info, flags }.begin(&now, sync));
        let counts = "* STATUS x (MESSAGES 3 UIDNEXT 5 UIDVALIDITY 1";
        assert_eq!(begin(false, Sync::Plain), format!("{counts})"));
        let with_mod_seq = format!("{counts} HIGHESTMODSEQ 9)");
        assert_eq!(begin(false, Sync::CondStore), with_mod_seq);
        let with_flags = format!("{counts} UNSEEN 2 HIGHESTMODSEQ 9)");
        assert_eq!(begin(true, Sync::Plain), with_flags);
    }

    #[test]
    fn what_comes_and_goes_is_counted() {
        let mut of = client(false, Counts::of(&some(3, 5, 2, 9)));
        assert_eq!(told(&mut of, &some(3, 5, 2, 9), Sync::Plain), None);
        let come = told(&mut of, &some(4, 6, 3, 10), Sync::Plain);
        assert_eq!(come, is("MESSAGES 4 UIDNEXT 6"));
        let gone = told(&mut of, &some(3, 6, 3, 11), Sync::CondStore);
        assert_eq!(gone, is("MESSAGES 3 UIDNEXT 6 HIGHESTMODSEQ 11"));
        // One came and one went.
        let both = told(&mut of, &some(3, 7, 3, 13), Sync::Plain);
        assert_eq!(both, is("MESSAGES 3 UIDNEXT 7"));
        assert_eq!(told(&mut of, &some(3, 7, 1, 14), Sync::QResync), None);
    }

    #[test]
    fn flags_are_told_by_unseen_and_by_the_mod_sequence() {
        let before = Counts::of(&some(3, 5, 2, 9));
        let mut of = client(true, before);
        let seen = told(&mut of, &some(3, 5, 1, 10), Sync::Plain);
        assert_eq!(seen, is("UNSEEN 1"));
        assert_eq!(told(&mut of, &some(3, 5, 1, 11), Sync::Plain), None);
        let mut of = client(true, before);
        let seen = told(&mut of, &some(3, 5, 1, 10), Sync::CondStore);
        assert_eq!(seen, is("UIDVALIDITY 1 UNSEEN 1 HIGHESTMODSEQ 10"));
        let other = told(&mut of, &some(3, 5, 1, 11), Sync::CondStore);
        assert_eq!(other, is("UIDVALIDITY 1 HIGHESTMODSEQ 11"));
    }

    #[test]
    fn other_uids_are_told_and_so_are_those_never_heard_of() {
        let mut of = client(false, Counts::of(&some(3, 5, 2, 9)));
        let other = Summary {
            uid_validity: UidValidity::MAX,
            ..some(3, 5, 2, 9)
        };
        let line = format!("MESSAGES 3 UIDNEXT 5 UIDVALIDITY {}", u32::MAX);
        assert_eq!(told(&mut of, &other, Sync::Plain), is(&line));
        let mut of = client(false, Counts::NEW);
        assert_eq!(told(&mut of, &NOTHING, Sync::Plain), None);
        let first = told(&mut of, &some(1, 2, 1, 2), Sync::Plain);
        assert_eq!(first, is("MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1"));
        let mut of = client(false, Counts::unheard(&some(3, 5, 2, 9)));
        assert_eq!(told(&mut of, &some(3, 5, 2, 9), Sync::Plain), None);
        let more = told(&mut of, &some(4, 6, 2, 10), Sync::Plain);
        assert_eq!(more, is("MESSAGES 4 UIDNEXT 6 UIDVALIDITY 1"));
        let more = told(&mut of, &some(5, 7, 2, 11), Sync::Plain);
        assert_eq!(more, is("MESSAGES 5 UIDNEXT 7"), "once");
    }

    #[test]
    fn what_changed_since_a_version_is_news() {
        let changes = Changes {
            messages: 3,
            unseen: 5,
            mod_seq: 6,
            ..Changes::default()
        };
        let since = |version| {
            let (info, flags) = (&mailbox(), true);
            let news = News::since(version, &changes);
            let told = Watched { info, flags }.tell(&news, &some(3, 5, 2, 9), Sync::CondStore);
            told.as_ref().map(text)
        };
        let mod_seq = "UIDVALIDITY 1 HIGHESTMODSEQ 9";
        let unseen = "UIDVALIDITY 1 UNSEEN 2 HIGHESTMODSEQ 9";
        assert_eq!(since(6), None);
        assert_eq!(since(5), is(mod_seq));
        assert_eq!(since(4), is(unseen));
        assert_eq!(since(2), is(&format!("MESSAGES 3 UIDNEXT 5 {unseen}")));
    }
}
