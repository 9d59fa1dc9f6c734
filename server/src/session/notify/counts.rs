//! What a client was told of a mailbox that is not selected, and what STATUS says of its changes
//! (RFC 5465 §5.1 to §5.3).

use std::sync::Arc;

use mail::id::{ModSeq, Uid, UidValidity};
use store::{MailboxInfo, state::Summary};
use wire::{
    encode::Sync,
    imap::{
        response::{MailboxStatus, Untagged},
        status::StatusItem as Item,
    },
};

use crate::session::status::counter;

/// A mailbox of whose messages a client wants to know.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) info: Arc<MailboxInfo>,
    /// Whether it wants to know of flags.
    pub(super) flags: bool,
    pub(super) told: Counts,
}

/// What it was told.
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
}

impl Watched {
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

    /// What is told of the counters as they are now, if anything is; from then on it was told.
    pub(super) fn tell(&mut self, now: &Summary, sync: Sync) -> Option<Untagged> {
        let told = self.told;
        let of_flags = self.flags && sync >= Sync::CondStore;
        let counts = (told.messages, told.uid_next) != (now.messages, now.uid_next);
        let unseen = self.flags && told.unseen != now.unseen;
        let mod_seq = of_flags && told.mod_seq != now.highest_mod_seq;
        let other_uids = told
            .uid_validity
            .is_some_and(|known| known != now.uid_validity);
        if !(counts || unseen || mod_seq || other_uids) {
            self.told = Counts {
                uid_validity: told.uid_validity,
                ..Counts::of(now)
            };
            return None;
        }
        let mut items = Vec::new();
        if counts || other_uids {
            items.extend([Item::Messages, Item::UidNext]);
        }
        if mod_seq || told.uid_validity != Some(now.uid_validity) {
            items.push(Item::UidValidity);
        }
        if unseen {
            items.push(Item::Unseen);
        }
        if sync >= Sync::CondStore {
            items.push(Item::HighestModSeq);
        }
        self.told = Counts::of(now);
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

    fn watched(flags: bool, told: Counts) -> Watched {
        let info = MailboxInfo {
            id: MailboxId::MIN,
            name: MailboxName::new("x").unwrap(),
            special_use: vec![],
            uid_validity: UidValidity::MIN,
        };
        let info = Arc::new(info);
        Watched { info, flags, told }
    }

    fn text(response: &Untagged) -> String {
        let mut out = Vec::new();
        Encoder::new(Mode::REV1).untagged(&mut out, response);
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    fn told(of: &mut Watched, now: &Summary, sync: Sync) -> Option<String> {
        of.tell(now, sync).as_ref().map(text)
    }

    fn is(line: &str) -> Option<String> {
        Some(format!("* STATUS x ({line})"))
    }

    #[test]
    fn what_a_client_begins_with() {
        let now = some(3, 5, 2, 9);
        let begin = |flags, sync| text(&watched(flags, Counts::of(&now)).begin(&now, sync));
        let counts = "* STATUS x (MESSAGES 3 UIDNEXT 5 UIDVALIDITY 1";
        assert_eq!(begin(false, Sync::Plain), format!("{counts})"));
        let with_mod_seq = format!("{counts} HIGHESTMODSEQ 9)");
        assert_eq!(begin(false, Sync::CondStore), with_mod_seq);
        let with_flags = format!("{counts} UNSEEN 2 HIGHESTMODSEQ 9)");
        assert_eq!(begin(true, Sync::Plain), with_flags);
    }

    #[test]
    fn what_comes_and_goes_is_counted() {
        let mut of = watched(false, Counts::of(&some(3, 5, 2, 9)));
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
        let mut of = watched(true, before);
        let seen = told(&mut of, &some(3, 5, 1, 10), Sync::Plain);
        assert_eq!(seen, is("UNSEEN 1"));
        assert_eq!(told(&mut of, &some(3, 5, 1, 11), Sync::Plain), None);
        let mut of = watched(true, before);
        let seen = told(&mut of, &some(3, 5, 1, 10), Sync::CondStore);
        assert_eq!(seen, is("UIDVALIDITY 1 UNSEEN 1 HIGHESTMODSEQ 10"));
        let other = told(&mut of, &some(3, 5, 1, 11), Sync::CondStore);
        assert_eq!(other, is("UIDVALIDITY 1 HIGHESTMODSEQ 11"));
    }

    #[test]
    fn other_uids_are_told_and_so_are_those_never_heard_of() {
        let mut of = watched(false, Counts::of(&some(3, 5, 2, 9)));
        let other = Summary {
            uid_validity: UidValidity::MAX,
            ..some(3, 5, 2, 9)
        };
        let line = format!("MESSAGES 3 UIDNEXT 5 UIDVALIDITY {}", u32::MAX);
        assert_eq!(told(&mut of, &other, Sync::Plain), is(&line));
        let mut of = watched(false, Counts::NEW);
        assert_eq!(told(&mut of, &NOTHING, Sync::Plain), None);
        let first = told(&mut of, &some(1, 2, 1, 2), Sync::Plain);
        assert_eq!(first, is("MESSAGES 1 UIDNEXT 2 UIDVALIDITY 1"));
        let mut of = watched(false, Counts::unheard(&some(3, 5, 2, 9)));
        assert_eq!(told(&mut of, &some(3, 5, 2, 9), Sync::Plain), None);
        let more = told(&mut of, &some(4, 6, 2, 10), Sync::Plain);
        assert_eq!(more, is("MESSAGES 4 UIDNEXT 6 UIDVALIDITY 1"));
        let more = told(&mut of, &some(5, 7, 2, 11), Sync::Plain);
        assert_eq!(more, is("MESSAGES 5 UIDNEXT 7"), "once");
    }
}
