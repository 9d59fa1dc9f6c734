//! The reference: accounts with their mailboxes as plain lists, and what each client was told.
//!
//! Simple and slow on purpose, and made from the RFCs and docs/rules.tsv, not from the server.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::Ids,
    notify::{Counts, Hears, Watch},
    place::MESSAGES_MAX,
    resync::Cache,
    told::{Broken, Check, Mode, Revision, Sync, View, broken},
    words::{Date, Flags, TIMES, canonical, parents, text},
};

/// What a new account has beside INBOX; all are subscribed.
const FOLDERS: [(&str, &str); 5] = [
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
];

/// Everything there is.
pub(crate) struct World {
    pub(crate) accounts: Vec<Account>,
    pub(crate) clients: Vec<Client>,
    pub(crate) now: Date,
}

/// Mailboxes by name, and all that ever were by number.
#[derive(Clone, Default)]
pub(crate) struct Account {
    pub(crate) tree: BTreeMap<String, usize>,
    pub(crate) subscribed: BTreeSet<String>,
    pub(crate) mailboxes: Vec<Mailbox>,
    /// The greatest UIDVALIDITY under which a name was known that was given up (rule 5).
    retired: BTreeMap<String, u32>,
    pub(crate) ids: Ids,
    /// Its quota.
    pub(crate) messages_max: Option<u64>,
}

#[derive(Clone, Default)]
pub(crate) struct Mailbox {
    pub(crate) messages: Vec<Message>,
    pub(crate) uid_next: u32,
    /// As first told; the server chooses it.
    pub(crate) uid_validity: Option<u32>,
    pub(crate) special_use: Option<&'static str>,
    pub(crate) recent: Recent,
    /// That of its last change. Each change has the next number, whatever the clock shows (rule 6).
    pub(crate) mod_seq: u64,
    /// UIDs of messages that are gone, and the mod-sequence with which they went (rule 8).
    gone: BTreeMap<u32, u64>,
    /// What it was before each change.
    pub(crate) past: Vec<Counts>,
}

/// From which UID on messages are `\Recent` to the next session.
#[derive(Clone, Copy, Default)]
pub(crate) struct Recent {
    pub(crate) floor: u32,
    /// A restart may have lost the floor: then some messages are recent once more.
    pub(crate) is_certain: bool,
    /// Messages from this UID on came just now and several sessions are told of them at once: they
    /// are recent to whichever is first.
    pub(crate) contested: Option<Contested>,
}

/// Messages that one of several sessions has as recent.
#[derive(Clone, Copy)]
pub(crate) struct Contested {
    pub(crate) from: u32,
    /// A session was told of them as recent.
    pub(crate) is_taken: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Message {
    pub(crate) uid: u32,
    pub(crate) flags: Flags,
    pub(crate) date: Date,
    /// When it came into this mailbox (RFC 8514).
    pub(crate) saved: Date,
    pub(crate) serial: u32,
    pub(crate) mod_seq: u64,
}

/// A client, and what it was told.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is so or not, whatever the others"
)]
pub(crate) struct Client {
    pub(crate) account: usize,
    pub(crate) is_connected: bool,
    pub(crate) is_rev2: bool,
    pub(crate) sync: Sync,
    pub(crate) is_uid_only: bool,
    /// Mailbox names are UTF-8.
    pub(crate) is_utf8: bool,
    pub(crate) is_idle: bool,
    pub(crate) view: Option<View>,
    /// What it keeps of the mailbox it had before, also when it has gone away.
    pub(crate) cache: Option<Cache>,
    /// What NOTIFY asked for, once it did.
    pub(crate) watch: Option<Watch>,
}

impl World {
    /// The accounts, each with an empty INBOX, and clients shared out among them.
    pub(crate) fn new(clients: usize) -> Self {
        let client = |number| Client {
            account: usize::from(number % 4 == 3),
            ..Client::default()
        };
        Self {
            accounts: MESSAGES_MAX.map(Account::new).into(),
            clients: (0..clients).map(client).collect(),
            now: TIMES[0].1,
        }
    }

    /// Before a command: who is told of what it adds, and at once. Sessions in IDLE race with each
    /// other and with the one that says it.
    pub(crate) fn contest(&mut self, actor: usize) {
        for (who, client) in self.clients.iter().enumerate() {
            let Some(view) = &client.view else { continue };
            if client.hears() != Hears::Nothing && !client.is_rev2 && who != actor {
                let mailbox = &mut self.accounts[client.account].mailboxes[view.mailbox];
                mailbox.recent.contested = Some(Contested {
                    from: mailbox.uid_next,
                    is_taken: false,
                });
            }
        }
    }

    /// After it: who was first is known.
    pub(crate) fn settle(&mut self) {
        for client in &mut self.clients {
            if let Some(view) = &mut client.view {
                view.perhaps_recent.clear();
            }
        }
        for mailbox in self.accounts.iter_mut().flat_map(|a| &mut a.mailboxes) {
            if mailbox.recent.contested.take().is_some_and(|c| c.is_taken) {
                mailbox.recent.floor = mailbox.uid_next;
            }
        }
    }

    /// Every connection is gone, and the server may not know what is recent.
    pub(crate) fn restarted(&mut self) {
        for client in &mut self.clients {
            client.leave();
        }
        for mailbox in self.accounts.iter_mut().flat_map(|a| &mut a.mailboxes) {
            mailbox.recent.is_certain = false;
        }
    }
}

impl Client {
    pub(crate) const fn mode(&self) -> Mode {
        Mode {
            revision: match self.is_rev2 {
                true => Revision::Rev2,
                false => Revision::Rev1,
            },
            sync: self.sync,
            is_uid_only: self.is_uid_only,
        }
    }

    /// The connection is gone.
    pub(crate) fn leave(&mut self) {
        self.lose_view();
        *self = Self {
            account: self.account,
            cache: self.cache.take(),
            ..Self::default()
        };
    }
}

impl Account {
    fn new(messages_max: Option<u64>) -> Self {
        let mut account = Self {
            messages_max,
            ..Self::default()
        };
        account.add("INBOX", None);
        for (name, used) in FOLDERS {
            account.add(name, Some(used));
        }
        account.subscribed = account.tree.keys().cloned().collect();
        account
    }

    pub(crate) fn find(&self, written: &str) -> Option<usize> {
        self.tree.get(&canonical(written)).copied()
    }

    fn add(&mut self, name: &str, special_use: Option<&'static str>) {
        self.tree.insert(name.to_owned(), self.mailboxes.len());
        self.mailboxes.push(Mailbox {
            uid_next: 1,
            mod_seq: 1,
            special_use,
            recent: Recent {
                floor: 1,
                is_certain: true,
                contested: None,
            },
            ..Mailbox::default()
        });
    }

    /// CREATE (RFC 9051 §6.3.4): the code of the refusal.
    pub(crate) fn create(
        &mut self,
        written: &str,
        used: Option<&'static str>,
    ) -> Result<(), &'static str> {
        let name = canonical(written);
        if name == "INBOX" {
            return Err("CANNOT");
        }
        if self.tree.contains_key(&name) {
            return Err("ALREADYEXISTS");
        }
        self.create_parents(&name);
        self.add(&name, used);
        Ok(())
    }

    fn create_parents(&mut self, name: &str) {
        let missing: Vec<_> = parents(name)
            .filter(|p| !self.tree.contains_key(*p))
            .collect();
        for parent in missing.into_iter().rev() {
            self.add(parent, None);
        }
    }

    /// DELETE (§6.3.5): children stay.
    pub(crate) fn delete(&mut self, written: &str) -> Result<(), &'static str> {
        let name = canonical(written);
        match self.tree.contains_key(&name) {
            false => Err("NONEXISTENT"),
            true if name == "INBOX" => Err("CANNOT"),
            true => {
                self.retire(&name);
                Ok(())
            }
        }
    }

    /// Takes a name out of the tree.
    fn retire(&mut self, name: &str) -> Option<usize> {
        let id = self.tree.remove(name)?;
        let validity = self.mailboxes[id].uid_validity.unwrap_or(0);
        let retired = self.retired.entry(name.to_owned()).or_default();
        *retired = validity.max(*retired);
        Some(id)
    }

    /// RENAME (§6.3.6): with all below; INBOX gives its messages away and stays (rules 26, 27).
    pub(crate) fn rename(&mut self, from: &str, to: &str, now: Date) -> Result<(), &'static str> {
        let (from, to) = (canonical(from), canonical(to));
        if from == "INBOX" {
            return self.rename_inbox(&to, now);
        }
        let below = format!("{from}/");
        let is_moving = |name: &&String| **name == from || name.starts_with(&below);
        let moving: Vec<String> = self.tree.keys().filter(is_moving).cloned().collect();
        if moving.is_empty() {
            return Err("NONEXISTENT");
        }
        if to == "INBOX" || self.tree.contains_key(&to) || to == from {
            return Err("ALREADYEXISTS");
        }
        if to.starts_with(&below) {
            return Err("CANNOT");
        }
        let mut after = self.clone();
        let moving = moving.into_iter().map(|name| {
            let id = after.retire(&name).unwrap();
            (format!("{to}{}", &name[from.len()..]), id)
        });
        let moving: Vec<_> = moving.collect();
        after.create_parents(&to);
        for (name, id) in moving {
            if after.tree.contains_key(&name) {
                return Err("ALREADYEXISTS");
            }
            let validity = after.mailboxes[id].uid_validity.unwrap_or(0);
            if after
                .retired
                .get(&name)
                .is_some_and(|before| *before > validity)
            {
                after.mailboxes[id].uid_validity = None;
            }
            after.tree.insert(name, id);
        }
        *self = after;
        Ok(())
    }

    fn rename_inbox(&mut self, to: &str, now: Date) -> Result<(), &'static str> {
        if to == "INBOX" || self.tree.contains_key(to) {
            return Err("ALREADYEXISTS");
        }
        self.create(to, None)?;
        let (inbox, target) = (self.tree["INBOX"], self.tree[to]);
        let all = self.mailboxes[inbox].expunge(|_| true);
        let all = all.into_iter().map(|m| Message { saved: now, ..m });
        self.mailboxes[target].add(all.collect());
        Ok(())
    }

    /// Whether a mailbox is still there.
    pub(crate) fn exists(&self, id: usize) -> bool {
        self.tree.values().any(|other| *other == id)
    }

    /// Notes the UIDVALIDITY that was told of a mailbox, or compares it with what was told before.
    pub(crate) fn is_valid(&mut self, id: usize, told: u32) -> Check {
        if let Some(known) = self.mailboxes[id].uid_validity {
            return match known == told {
                true => Ok(()),
                false => broken(4, format!("UIDVALIDITY {known} became {told}")),
            };
        }
        if self.mailboxes.iter().any(|m| m.uid_validity == Some(told)) {
            return broken(5, format!("UIDVALIDITY {told} is given to two mailboxes"));
        }
        let name = self.tree.iter().find(|(_, other)| **other == id);
        let before = name.and_then(|(name, _)| self.retired.get(name));
        if before.is_some_and(|before| *before >= told) {
            return broken(
                5,
                format!("UIDVALIDITY {told} is not above that of an earlier mailbox of the name"),
            );
        }
        self.mailboxes[id].uid_validity = Some(told);
        Ok(())
    }
}

impl Mailbox {
    /// The mod-sequence of a change that is made now.
    fn change(&mut self) -> u64 {
        self.past.push(self.counts());
        self.mod_seq += 1;
        self.mod_seq
    }

    /// Adds messages with one change; the UIDs they get.
    pub(crate) fn add(&mut self, messages: Vec<Message>) -> Vec<u32> {
        if messages.is_empty() {
            return Vec::new();
        }
        let mod_seq = self.change();
        let first = self.uid_next;
        for message in messages {
            let uid = self.uid_next;
            self.uid_next += 1;
            self.messages.push(Message {
                uid,
                mod_seq,
                ..message
            });
        }
        (first..self.uid_next).collect()
    }

    /// Gives messages other flags. Those that have them already keep their mod-sequence (rule 7).
    pub(crate) fn set_flags(&mut self, uids: &[u32], flags: impl Fn(Flags) -> Flags) {
        let (before, mod_seq) = (self.counts(), self.mod_seq + 1);
        for uid in uids {
            let message = self.message_mut(*uid).unwrap();
            let now = flags(message.flags);
            if now != message.flags {
                (message.flags, message.mod_seq) = (now, mod_seq);
                self.mod_seq = mod_seq;
            }
        }
        if self.mod_seq == mod_seq {
            self.past.push(before);
        }
    }

    /// As a client sees it: without its past.
    pub(crate) fn now(&self) -> Self {
        Self {
            messages: self.messages.clone(),
            uid_next: self.uid_next,
            ..Self::default()
        }
    }

    /// UIDs of messages that went after this mod-sequence.
    pub(crate) fn gone_since(&self, since: u64) -> impl Iterator<Item = u32> {
        let gone = self.gone.iter().filter(move |(_, at)| **at > since);
        gone.map(|(uid, _)| *uid)
    }

    /// The mod-sequence with which a message went.
    pub(crate) fn gone_at(&self, uid: u32) -> u64 {
        self.gone[&uid]
    }

    pub(crate) fn message(&self, uid: u32) -> Option<&Message> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        Some(&self.messages[at])
    }

    fn message_mut(&mut self, uid: u32) -> Option<&mut Message> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        Some(&mut self.messages[at])
    }

    /// Removes messages with one change.
    pub(crate) fn expunge(&mut self, is_gone: impl Fn(&Message) -> bool) -> Vec<Message> {
        let (gone, kept) = self.messages.drain(..).partition(|m| is_gone(m));
        self.messages = kept;
        let gone: Vec<Message> = gone;
        if !gone.is_empty() {
            let mod_seq = self.change();
            self.gone.extend(gone.iter().map(|m| (m.uid, mod_seq)));
        }
        gone
    }

    pub(crate) fn count(&self, is_so: impl Fn(&Message) -> bool) -> u32 {
        let count = self.messages.iter().filter(|m| is_so(m)).count();
        u32::try_from(count).unwrap()
    }

    /// How many messages are recent to nobody yet, as told; if a restart may have lost which, this
    /// is how it is learned.
    pub(crate) fn recent_is(&mut self, told: u32) -> Check {
        let floor = self.recent.floor;
        let known = self.count(|m| m.uid >= floor);
        if !self.recent.is_certain && told >= known {
            let at = self.messages.len().checked_sub(told as usize);
            let at = at.ok_or_else(|| Broken::new(23, "more recent messages than there are"))?;
            if told > 0 {
                self.recent.floor = self.messages[at].uid;
            }
            self.recent.is_certain = true;
            return Ok(());
        }
        match told == known {
            true => Ok(()),
            false => broken(
                23,
                format!("{told} messages are told as recent, {known} are"),
            ),
        }
    }
}

impl Message {
    pub(crate) fn size(&self) -> u32 {
        u32::try_from(text(self.serial).len()).unwrap()
    }
}
