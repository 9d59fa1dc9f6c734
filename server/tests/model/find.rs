//! SEARCH over the reference.

use std::collections::BTreeSet;

use crate::{
    command::{Has, Key, Numbers, Search},
    page::{on_page, range},
    predict::within,
    told::{Revision, View},
    words::SEEN,
    world::{Mailbox, Message},
};

/// What a search found, in the numbers its answer uses, and how it is asked to answer.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Found {
    pub(crate) numbers: Numbers,
    pub(crate) returns: Option<Vec<&'static str>>,
    pub(crate) uids: Vec<u32>,
    /// As in the answer.
    pub(crate) told: Vec<u32>,
    /// The highest mod-sequence of what the answer is about, if the search names one.
    pub(crate) mod_seq: Option<u64>,
}

impl Found {
    fn asks(&self, word: &str) -> bool {
        self.returns.iter().flatten().any(|w| *w == word)
    }

    /// What `$` becomes (RFC 5182 §2.1; rule 37).
    pub(crate) fn saved(&self) -> Option<BTreeSet<u32>> {
        self.asks("SAVE").then(|| self.subject())
    }

    fn page(&self) -> Option<&'static str> {
        let mut returns = self.returns.iter().flatten();
        returns.find(|word| word.starts_with("PARTIAL")).copied()
    }

    /// The messages that the answer is about: with MIN, MAX or PARTIAL alone only those (RFC 4731
    /// §3.2, RFC 9394 §3.2).
    fn subject(&self) -> BTreeSet<u32> {
        let asks_some = self.asks("MIN") || self.asks("MAX") || self.page().is_some();
        if !asks_some || self.asks("ALL") || self.asks("COUNT") {
            return self.uids.iter().copied().collect();
        }
        let first = self.uids.first().filter(|_| self.asks("MIN"));
        let last = self.uids.last().filter(|_| self.asks("MAX"));
        let page = self.page().map(|page| on_page(page, &self.uids));
        let page = page.unwrap_or_default();
        first.into_iter().chain(last).copied().chain(page).collect()
    }

    /// The values of the ESEARCH answer, by name; `None` if there is no such answer.
    pub(crate) fn answer(&self) -> Option<Vec<(String, Vec<u32>)>> {
        let mut returns = self.returns.clone().unwrap_or_default();
        if returns == ["SAVE"] {
            return None;
        }
        if returns.is_empty() {
            returns = vec!["ALL"];
        }
        let value = |word: &'static str| {
            let value = match word {
                "MIN" => vec![*self.told.first()?],
                "MAX" => vec![*self.told.last()?],
                "COUNT" => vec![u32::try_from(self.told.len()).unwrap()],
                "ALL" if !self.told.is_empty() => self.told.clone(),
                _ => return None,
            };
            Some((word.to_owned(), value))
        };
        let words = ["MIN", "MAX", "ALL", "COUNT"].into_iter();
        let values = words.filter(|w| returns.contains(w)).filter_map(value);
        let mod_seq = self.mod_seq.and_then(|n| u32::try_from(n).ok());
        let mod_seq = mod_seq.map(|n| ("MODSEQ".to_owned(), vec![n]));
        let page = self.page();
        let page = page.map(|p| (format!("PARTIAL {}", range(p)), on_page(p, &self.told)));
        Some(values.chain(mod_seq).chain(page).collect())
    }
}

/// The messages that are there and match; `None` if the search names a number no message has.
pub(crate) fn find(
    mailbox: &Mailbox,
    view: &View,
    search: &Search,
    revision: Revision,
) -> Option<Found> {
    let all = view.with_new(mailbox);
    let place = Place {
        view,
        floor: mailbox.recent.floor,
        revision,
        all: &all,
    };
    if !place.exist(&search.key) {
        return None;
    }
    let mut found = Found {
        numbers: search.numbers,
        returns: search.returns.clone(),
        uids: Vec::new(),
        told: Vec::new(),
        mod_seq: None,
    };
    for (at, uid) in all.iter().enumerate() {
        let seq = u32::try_from(at).unwrap() + 1;
        if mailbox
            .message(*uid)
            .is_some_and(|m| place.matches(&search.key, (seq, m)))
        {
            found.uids.push(*uid);
            found.told.push(match search.numbers {
                Numbers::Seq => seq,
                Numbers::Uid => *uid,
            });
        }
    }
    if search.key.names_mod_seqs() {
        let subject = found.subject();
        let mod_seqs = subject.iter().filter_map(|uid| mailbox.message(*uid));
        found.mod_seq = mod_seqs.map(|m| m.mod_seq).max();
    }
    Some(found)
}

struct Place<'a> {
    view: &'a View,
    floor: u32,
    revision: Revision,
    all: &'a [u32],
}

impl Place<'_> {
    /// Whether every sequence number named is there. A range with `*` always is.
    fn exist(&self, key: &Key) -> bool {
        match key {
            Key::Messages(set) if set.numbers == Numbers::Seq => {
                let ranges = set.ranges.iter().flat_map(|ranges| &ranges.0);
                let too_high = |end: &Option<u32>| end.is_some_and(|n| n as usize > self.all.len());
                !ranges
                    .into_iter()
                    .any(|(a, b)| a.is_some() && b.is_some() && (too_high(a) || too_high(b)))
            }
            Key::Not(key) => self.exist(key),
            Key::Or(two) | Key::And(two) => self.exist(&two.0) && self.exist(&two.1),
            _ => true,
        }
    }

    fn is_recent(&self, uid: u32) -> bool {
        let is_rev1 = self.revision == Revision::Rev1;
        let is_new = is_rev1 && !self.view.has(uid) && uid >= self.floor;
        is_new || self.view.recent.contains(&uid)
    }

    fn matches(&self, key: &Key, (seq, message): (u32, &Message)) -> bool {
        match key {
            Key::All => true,
            Key::Flag(flag, has) => message.flags.has(*flag) == (*has == Has::Yes),
            Key::Recent => self.is_recent(message.uid),
            Key::Old => !self.is_recent(message.uid),
            Key::New => self.is_recent(message.uid) && !message.flags.has(SEEN),
            Key::Messages(set) => match (&set.ranges, set.numbers) {
                (None, _) => self.view.saved.contains(&message.uid),
                (Some(ranges), Numbers::Uid) => {
                    within(ranges, message.uid, self.all.last().copied())
                }
                (Some(ranges), Numbers::Seq) => {
                    within(ranges, seq, u32::try_from(self.all.len()).ok())
                }
            },
            Key::Larger(n) => message.size() > *n,
            Key::Smaller(n) => message.size() < *n,
            Key::Subject(serial) => message.serial == *serial,
            Key::ModSeq(since) => message.mod_seq >= *since,
            Key::Before(date) => message.date.day < date.day,
            Key::Since(date) => message.date.day >= date.day,
            Key::On(date) => message.date.day == date.day,
            Key::SavedBefore(date) => message.saved.day < date.day,
            Key::SavedSince(date) => message.saved.day >= date.day,
            Key::SavedOn(date) => message.saved.day == date.day,
            Key::Not(key) => !self.matches(key, (seq, message)),
            Key::Or(two) => {
                self.matches(&two.0, (seq, message)) || self.matches(&two.1, (seq, message))
            }
            Key::And(two) => {
                self.matches(&two.0, (seq, message)) && self.matches(&two.1, (seq, message))
            }
        }
    }
}
