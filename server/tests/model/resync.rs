//! Quick resynchronisation (RFC 7162 §3.2): what a client keeps of a mailbox that it lost, what it
//! says of it when it opens one again, and what it must be told then.

use std::collections::{BTreeMap, BTreeSet};

use wire::imap::client::Node;

use crate::{
    chance::Chance,
    check::{Answer, Seen, numbers},
    command::{Command, Opening, Set},
    expected::{Data, Expected},
    predict::{change_items, within},
    told::{Check, Mode, Told, View, broken},
    words::Flags,
    world::{Client, Mailbox, World},
};

/// What a client keeps of a mailbox.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    pub(crate) mailbox: usize,
    uid_validity: u32,
    /// Its copy of HIGHESTMODSEQ.
    highest: u64,
    messages: BTreeMap<u32, Flags>,
}

/// What a client says of its cache; the numbers are worked out when it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Resync {
    pub(crate) pick: Pick,
    /// It says numbers and UIDs that belong together (§3.2.5.2).
    pub(crate) matches: bool,
    /// It names a mod-sequence that is so much lower than the one it knows.
    pub(crate) back: u64,
    pub(crate) seed: u64,
}

/// Which UIDs are named as known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pick {
    /// None are named, which means all.
    Unsaid,
    /// Each that is known.
    Each,
    /// From 1 to the last.
    Range,
    /// About half of them.
    Some,
}

/// The parameter as it is sent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Known {
    uid_validity: u32,
    mod_seq: u64,
    uids: Option<Vec<(u32, u32)>>,
    /// Numbers and UIDs, in pairs.
    matches: Vec<(u32, u32)>,
}

/// UIDs that VANISHED (EARLIER) must and may name.
#[derive(Clone, Default, Debug)]
pub(crate) struct Earlier {
    pub(crate) must: BTreeSet<u32>,
    pub(crate) may: BTreeSet<u32>,
}

impl View {
    /// What a client keeps of it that keeps account of mod-sequences.
    fn kept(&self) -> Option<Cache> {
        let uid_validity = self.uid_validity.filter(|_| self.progress.highest > 0)?;
        Some(Cache {
            mailbox: self.mailbox,
            uid_validity,
            highest: self.progress.highest,
            messages: self.told.iter().map(|t| (t.uid, t.flags)).collect(),
        })
    }
}

impl Client {
    /// What it keeps, were it to leave its mailbox now.
    pub(crate) fn keeps(&self) -> Option<Cache> {
        let kept = self.view.as_ref().and_then(View::kept);
        kept.or_else(|| self.cache.clone())
    }

    /// It does not look at its mailbox any more.
    pub(crate) fn lose_view(&mut self) {
        self.cache = self.keeps();
        self.view = None;
        self.describes_none();
    }

    fn known(&self, resync: Resync) -> Known {
        let mut chance = Chance::new(resync.seed);
        let Some(cache) = self.keeps() else {
            return Known {
                uid_validity: 1,
                mod_seq: 1,
                uids: None,
                matches: Vec::new(),
            };
        };
        let uids = cache.messages.keys().copied();
        let last = cache.messages.last_key_value().map_or(1, |(uid, _)| *uid);
        let picked: Vec<(u32, u32)> = match resync.pick {
            Pick::Unsaid => Vec::new(),
            Pick::Each => uids.map(|uid| (uid, uid)).collect(),
            Pick::Range => vec![(1, last)],
            Pick::Some => uids
                .filter(|_| chance.percent(50))
                .map(|uid| (uid, uid))
                .collect(),
        };
        let pairs = (1..).zip(cache.messages.keys().copied());
        let pairs = pairs.filter(|_| resync.matches && chance.percent(40));
        // The sample stands behind known UIDs.
        let matches = if picked.is_empty() {
            Vec::new()
        } else {
            pairs.collect()
        };
        Known {
            uid_validity: cache.uid_validity,
            mod_seq: cache.highest.saturating_sub(resync.back).max(1),
            uids: (!picked.is_empty()).then_some(picked),
            matches,
        }
    }
}

impl World {
    /// A command with the numbers that its client knows only now.
    pub(crate) fn worked_out(&self, who: usize, command: &Command) -> Command {
        match command {
            Command::Select(name, access, Opening::Resync(resync)) => {
                let known = self.clients[who].known(*resync);
                Command::Select(name, *access, Opening::Knowing(known))
            }
            other => other.clone(),
        }
    }
}

impl Known {
    /// As in `SELECT INBOX (QRESYNC (…))`.
    pub(crate) fn written(&self) -> String {
        let join = |all: Vec<String>| all.join(",");
        let range = |(a, b): &(u32, u32)| match a == b {
            true => a.to_string(),
            false => format!("{a}:{b}"),
        };
        let mut words = vec![self.uid_validity.to_string(), self.mod_seq.to_string()];
        words.extend(
            self.uids
                .iter()
                .map(|uids| join(uids.iter().map(range).collect())),
        );
        if !self.matches.is_empty() {
            let seqs = self.matches.iter().map(|(seq, _)| seq.to_string());
            let uids = self.matches.iter().map(|(_, uid)| uid.to_string());
            words.push(format!(
                "({} {})",
                join(seqs.collect()),
                join(uids.collect())
            ));
        }
        format!("(QRESYNC ({}))", words.join(" "))
    }

    /// Whether sequence numbers stand in it.
    pub(crate) fn names_seqs(&self) -> bool {
        !self.matches.is_empty()
    }

    fn names(&self, uid: u32) -> bool {
        let is_in = |(a, b): &(u32, u32)| (*a..=*b).contains(&uid);
        self.uids.as_ref().is_none_or(|uids| uids.iter().any(is_in))
    }

    /// The UID up to which the client knows of each expunge, as it has the right numbers up to it.
    fn matching(&self, mailbox: &Mailbox) -> u32 {
        let is_right = |(seq, uid): &&(u32, u32)| {
            let message = mailbox.messages.get(*seq as usize - 1);
            message.is_some_and(|m| m.uid == *uid)
        };
        let right = self.matches.iter().take_while(is_right);
        right.last().map_or(0, |(_, uid)| *uid)
    }

    /// What a client is told that opens a mailbox knowing this; nothing if it has other UIDs
    /// (§3.2.5; rule 11).
    pub(crate) fn due(&self, mailbox: &Mailbox, mode: Mode, expected: &mut Expected) {
        if mailbox.uid_validity != Some(self.uid_validity) {
            return;
        }
        let matching = self.matching(mailbox);
        let asked = |uid: &u32| *uid > matching && self.names(*uid);
        let gone = mailbox.gone_since(0).filter(asked).collect();
        expected.earlier = Some(Earlier {
            must: mailbox.gone_since(self.mod_seq).filter(asked).collect(),
            may: gone,
        });
        let changed = mailbox.messages.iter().filter(|m| m.mod_seq > self.mod_seq);
        let changed = changed.map(|m| m.uid).filter(|uid| self.names(*uid));
        expected.fetches = changed
            .map(|uid| (uid, change_items(mode).to_vec()))
            .collect();
        expected.resyncs = Some(self.clone());
    }
}

/// What UID FETCH with VANISHED must tell (§3.2.6). `*` is the last message to some, the last UID
/// that ever was to others.
pub(crate) fn vanished_of(mailbox: &Mailbox, view: &View, set: &Set, since: u64) -> Earlier {
    let is_told = |uid: u32| view.has(uid);
    let lasts = [
        view.with_new(mailbox).last().copied(),
        mailbox.uid_next.checked_sub(1),
    ];
    let named = |uid: u32| match &set.ranges {
        None => [view.saved.contains(&uid); 2],
        Some(ranges) => lasts.map(|last| within(ranges, uid, last)),
    };
    let gone = |since: u64| mailbox.gone_since(since).filter(move |uid| !is_told(*uid));
    Earlier {
        must: gone(since)
            .filter(|uid| named(*uid) == [true, true])
            .collect(),
        may: gone(0).filter(|uid| named(*uid).contains(&true)).collect(),
    }
}

impl Expected {
    /// It is said where messages are, or by what they are replaced, before they go (rule 19).
    pub(crate) fn may_tell_gone(&self, seen: &Seen) -> Check {
        match self.data {
            Data::Moved(_) if !seen.has("COPYUID") => broken(19, "messages go before COPYUID"),
            Data::Replaced(..) if !seen.has("APPENDUID") => {
                broken(19, "a message goes before APPENDUID")
            }
            _ => Ok(()),
        }
    }
}

impl Answer<'_> {
    /// `VANISHED (EARLIER) set` and `VANISHED set` (§3.2.10; rule 12).
    pub(crate) fn vanished(&mut self, values: &[Node]) -> Check {
        if !self.client.mode().tells_vanished() {
            return broken(12, "VANISHED for a client that did not ask");
        }
        let set = values.last().and_then(numbers);
        let Some(uids) = set.filter(|uids| !uids.is_empty()) else {
            return broken(12, "VANISHED without UIDs");
        };
        match values.len() {
            1 => self.gone_now(&uids),
            _ => self.gone_earlier(&uids),
        }
    }

    fn gone_now(&mut self, uids: &[u32]) -> Check {
        self.expected.may_tell_gone(self.seen)?;
        let Some(view) = &mut self.client.view else {
            return broken(31, "VANISHED without a mailbox");
        };
        let mailbox = &self.account.mailboxes[view.mailbox];
        for uid in uids {
            let at = view.told.iter().position(|told| told.uid == *uid);
            let Some(at) = at.and_then(|at| u32::try_from(at).ok()) else {
                return broken(12, format!("VANISHED {uid}, of which it was not told"));
            };
            view.expunge(at + 1, mailbox, self.expected.expunge)?;
        }
        Ok(())
    }

    fn gone_earlier(&mut self, uids: &[u32]) -> Check {
        let Some(earlier) = &mut self.expected.earlier else {
            return broken(12, "VANISHED (EARLIER) was not asked for");
        };
        if self.seen.has("FETCH") {
            return broken(12, "VANISHED (EARLIER) after FETCH");
        }
        if let Some(uid) = uids.iter().find(|uid| !earlier.may.contains(uid)) {
            return broken(12, format!("VANISHED (EARLIER) {uid}, which is none of it"));
        }
        for uid in uids {
            earlier.must.remove(uid);
            if let Some(cache) = &mut self.client.cache {
                cache.messages.remove(uid);
            }
        }
        Ok(())
    }

    /// A FETCH of SELECT tells only what the client asked for; it notes it.
    pub(crate) fn resynced(&mut self, Told { uid, flags, .. }: Told) -> Check {
        if !self.expected.opens() {
            return Ok(());
        }
        if !self.expected.fetches.contains_key(&uid) {
            return broken(11, format!("SELECT tells of UID {uid} unasked"));
        }
        if let Some(cache) = &mut self.client.cache {
            cache.messages.insert(uid, flags);
        }
        Ok(())
    }

    /// All that is gone was told, and the client knows the mailbox as far as it asked (rule 8).
    pub(crate) fn is_resynced(&self) -> Check {
        let unsaid = self.expected.earlier.iter().find_map(|e| e.must.first());
        if let Some(uid) = unsaid {
            return broken(8, format!("VANISHED (EARLIER) of UID {uid} is missing"));
        }
        let (Some(known), Some(cache)) = (&self.expected.resyncs, &self.client.cache) else {
            return Ok(());
        };
        let is_asked = |(uid, _): &(u32, Flags)| known.names(*uid);
        let cached = cache.messages.iter().map(|(uid, flags)| (*uid, *flags));
        let cached: BTreeMap<u32, Flags> = cached.filter(is_asked).collect();
        let Data::Opening(mailbox) = self.expected.data else {
            return Ok(());
        };
        let messages = &self.account.mailboxes[mailbox].messages;
        let there = messages.iter().map(|m| (m.uid, m.flags));
        let there: BTreeMap<u32, Flags> = there.filter(is_asked).collect();
        match cached == there {
            true => Ok(()),
            false => broken(8, format!("resynchronised to {cached:?}, it is {there:?}")),
        }
    }
}
