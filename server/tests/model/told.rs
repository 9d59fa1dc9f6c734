//! What a client was told of its selected mailbox, kept as a correct client would keep it, and the
//! rules for telling it more.

use std::collections::BTreeSet;

use wire::imap::client::Node;

use crate::{command::Access, progress::Progress, words::Flags, world::Mailbox};

/// A rule of docs/rules.tsv is broken.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Broken {
    pub(crate) rule: u8,
    pub(crate) what: String,
}

pub(crate) type Check<T = ()> = Result<T, Broken>;

impl Broken {
    pub(crate) fn new(rule: u8, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { rule, what }
    }
}

pub(crate) fn broken<T>(rule: u8, what: impl Into<String>) -> Check<T> {
    Err(Broken::new(rule, what))
}

/// A client's idea of its mailbox.
pub(crate) struct View {
    pub(crate) mailbox: usize,
    pub(crate) access: Access,
    pub(crate) told: Vec<Told>,
    /// What `$` stands for.
    pub(crate) saved: BTreeSet<u32>,
    /// Flags that FLAGS named.
    pub(crate) announced: Flags,
    /// Messages that are `\Recent` in this session.
    pub(crate) recent: BTreeSet<u32>,
    /// Messages that are so unless another session was first.
    pub(crate) perhaps_recent: BTreeSet<u32>,
    pub(crate) progress: Progress,
    /// As it was told.
    pub(crate) uid_validity: Option<u32>,
}

/// A message as the client knows it. It is taken to fetch all flags as soon as it hears of a
/// message, so that every later change is news to it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Told {
    pub(crate) uid: u32,
    pub(crate) flags: Flags,
    /// 0 as long as it was not told.
    pub(crate) mod_seq: u64,
}

/// Whether messages may be told as gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Expunge {
    May,
    MustWait,
}

/// Which revision's answers a session gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Revision {
    Rev1,
    Rev2,
}

/// Whether a session is told mod-sequences, and UIDs of what is gone (RFC 7162).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub(crate) enum Sync {
    #[default]
    Plain,
    CondStore,
    QResync,
}

/// How a session is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mode {
    pub(crate) revision: Revision,
    pub(crate) sync: Sync,
    pub(crate) is_uid_only: bool,
}

impl View {
    /// A view of a mailbox that is being opened: empty until EXISTS is told.
    pub(crate) fn new(mailbox: usize, access: Access) -> Self {
        Self {
            mailbox,
            access,
            told: Vec::new(),
            saved: BTreeSet::new(),
            announced: Flags::default(),
            recent: BTreeSet::new(),
            perhaps_recent: BTreeSet::new(),
            progress: Progress::default(),
            uid_validity: None,
        }
    }

    pub(crate) fn has(&self, uid: u32) -> bool {
        self.told.binary_search_by_key(&uid, |t| t.uid).is_ok()
    }

    /// The messages a UID command may name: those told, and those that came meanwhile.
    pub(crate) fn with_new(&self, mailbox: &Mailbox) -> Vec<u32> {
        let last = self.told.last().map_or(0, |told| told.uid);
        let told = self.told.iter().map(|told| told.uid);
        let new = mailbox.messages.iter().map(|m| m.uid);
        told.chain(new.filter(|uid| *uid > last)).collect()
    }

    /// `n EXISTS` (rule 3), of the mailbox as it is or as it was before the command.
    pub(crate) fn exists(
        &mut self,
        n: u32,
        (mailbox, earlier): (&mut Mailbox, Option<&Mailbox>),
        revision: Revision,
    ) -> Check {
        let before = self.told.len();
        if (n as usize) < before {
            return broken(3, format!("EXISTS shrinks from {before} to {n}"));
        }
        let is_earlier = |earlier: &&Mailbox| {
            let all = self.with_new(earlier).len();
            all > before && all == n as usize
        };
        let state = earlier.filter(is_earlier).unwrap_or(mailbox);
        let all = self.with_new(state);
        if n as usize != all.len() {
            return broken(3, format!("{n} EXISTS, but there are {}", all.len()));
        }
        for uid in &all[before..] {
            let flags = state.message(*uid).unwrap().flags;
            self.told.push(Told {
                uid: *uid,
                flags,
                mod_seq: 0,
            });
        }
        let uid_next = state.uid_next;
        if revision == Revision::Rev1 {
            self.take_recent(&all[before..], uid_next, mailbox);
        }
        Ok(())
    }

    /// New messages are recent to the first session that may have them (rule 23).
    fn take_recent(&mut self, new: &[u32], uid_next: u32, mailbox: &mut Mailbox) {
        let floor = mailbox.recent.floor;
        let contested = mailbox.recent.contested.map_or(u32::MAX, |c| c.from);
        for uid in new.iter().filter(|uid| **uid >= floor) {
            match *uid >= contested {
                true => self.perhaps_recent.insert(*uid),
                false => self.recent.insert(*uid),
            };
        }
        if self.access == Access::ReadWrite && !new.is_empty() {
            mailbox.recent.floor = uid_next.min(contested);
        }
    }

    /// This session is told of contested messages as recent: no other may be.
    fn claim(&mut self, mailbox: &mut Mailbox) -> Check {
        self.recent.append(&mut self.perhaps_recent);
        match &mut mailbox.recent.contested {
            Some(contested) if self.access == Access::ReadWrite => {
                match std::mem::replace(&mut contested.is_taken, true) {
                    true => broken(23, "a message is recent to two sessions"),
                    false => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// `n RECENT` (rule 23).
    pub(crate) fn recent(&mut self, n: u32, mailbox: &mut Mailbox, revision: Revision) -> Check {
        if revision == Revision::Rev2 {
            return broken(24, "RECENT in an IMAP4rev2 session");
        }
        if n as usize > self.recent.len() && !self.perhaps_recent.is_empty() {
            self.claim(mailbox)?;
        }
        match n as usize == self.recent.len() {
            true => Ok(()),
            false => broken(23, format!("{n} RECENT, but {} are", self.recent.len())),
        }
    }

    /// `n EXPUNGE` (rules 1 and 3).
    pub(crate) fn expunge(&mut self, n: u32, mailbox: &Mailbox, expunge: Expunge) -> Check {
        if expunge == Expunge::MustWait {
            return broken(1, format!("{n} EXPUNGE where it must wait"));
        }
        let Some(at) = (n as usize)
            .checked_sub(1)
            .filter(|at| *at < self.told.len())
        else {
            return broken(1, format!("{n} EXPUNGE of {} messages", self.told.len()));
        };
        let uid = self.told[at].uid;
        if mailbox.message(uid).is_some() {
            return broken(
                1,
                format!("{n} EXPUNGE is told of UID {uid}, which is there"),
            );
        }
        self.told.remove(at);
        self.saved.remove(&uid);
        self.recent.remove(&uid);
        self.perhaps_recent.remove(&uid);
        Ok(())
    }

    /// `FLAGS (…)`: what may be shown from now on (rule 43).
    pub(crate) fn announce(&mut self, flags: &[Node]) {
        let known = flags.iter().filter_map(|f| Flags::named(f.bytes()?));
        self.announced = known.fold(Flags::default(), Flags::with);
    }

    /// The message of a FETCH, whose UID and FLAGS are looked at wherever they stand.
    pub(crate) fn fetched(
        &mut self,
        n: u32,
        items: &Node,
        mailbox: &mut Mailbox,
        mode: Mode,
    ) -> Check<Told> {
        let at = self.position(n, mode)?;
        let uid = self.told[at].uid;
        let told_uid = items.value_of("UID").and_then(Node::number);
        if told_uid.is_some_and(|told| told != u64::from(uid)) {
            return broken(4, format!("{n} FETCH has UID {told_uid:?}, not {uid}"));
        }
        if let Some(flags) = items.value_of("FLAGS") {
            let flags = self.flags((uid, flags), mailbox, mode.revision)?;
            let now = mailbox.message(uid).map(|m| m.flags);
            if now.is_some_and(|now| now != flags) {
                let now = now.unwrap_or_default().written();
                return broken(
                    52,
                    format!(
                        "UID {uid} is told with ({}), it has ({now})",
                        flags.written()
                    ),
                );
            }
            self.told[at].flags = flags;
        }
        if let Some(told) = items.value_of("MODSEQ") {
            self.told[at].mod_seq = self.mod_seq((uid, told), mailbox, mode.sync)?;
        }
        Ok(self.told[at])
    }

    /// MODSEQ of a FETCH (rules 6 and 13).
    fn mod_seq(&mut self, (uid, node): (u32, &Node), mailbox: &Mailbox, sync: Sync) -> Check<u64> {
        if sync == Sync::Plain {
            return broken(
                13,
                format!("MODSEQ of UID {uid} for a client that did not ask"),
            );
        }
        let told = node.list().and_then(<[Node]>::first).and_then(Node::number);
        let told = told.unwrap_or_default();
        self.progress.fetched(told);
        match mailbox.message(uid).map_or(told, |m| m.mod_seq) {
            now if now == told => Ok(told),
            now => broken(
                6,
                format!("UID {uid} is told with MODSEQ {told}, it has {now}"),
            ),
        }
    }

    fn flags(
        &mut self,
        (uid, node): (u32, &Node),
        mailbox: &mut Mailbox,
        revision: Revision,
    ) -> Check<Flags> {
        let mut flags = Flags::default();
        let mut is_recent = false;
        for flag in node.list().unwrap_or_default() {
            let name = flag.bytes().unwrap_or_default();
            match Flags::named(name) {
                Some(flag) => flags = flags.with(flag),
                None if name.eq_ignore_ascii_case(b"\\Recent") => is_recent = true,
                None => return broken(43, format!("a flag nobody set: {}", name.escape_ascii())),
            }
        }
        if !self.announced.has(flags.keywords()) {
            return broken(
                43,
                format!("a keyword of ({}) was not announced", flags.written()),
            );
        }
        if is_recent && self.perhaps_recent.contains(&uid) {
            self.claim(mailbox)?;
        }
        let may_be = revision == Revision::Rev1 && self.recent.contains(&uid);
        match is_recent == may_be {
            true => Ok(flags),
            false => broken(
                23,
                format!("UID {uid}: \\Recent is {is_recent}, should be {may_be}"),
            ),
        }
    }

    /// What must hold when a client has been told all it may be told (rules 3 and 52).
    pub(crate) fn is_current(&self, mailbox: &Mailbox, expunge: Expunge) -> Check {
        let gone = self
            .told
            .iter()
            .filter(|t| mailbox.message(t.uid).is_none());
        if let (Expunge::May, Some(gone)) = (expunge, gone.clone().next()) {
            return broken(52, format!("UID {} is gone and it was not told", gone.uid));
        }
        if self.told.len() - gone.count() != mailbox.messages.len() {
            return broken(3, "there are new messages and EXISTS was not told");
        }
        for told in &self.told {
            let Some(now) = mailbox.message(told.uid) else {
                continue;
            };
            if now.flags != told.flags {
                let (now, told_flags) = (now.flags.written(), told.flags.written());
                return broken(
                    52,
                    format!(
                        "UID {} has ({now}), the client knows ({told_flags})",
                        told.uid
                    ),
                );
            }
            if told.mod_seq != 0 && told.mod_seq != now.mod_seq {
                let (uid, known, now) = (told.uid, told.mod_seq, now.mod_seq);
                return broken(
                    13,
                    format!("UID {uid} has the mod-sequence {now}, the client knows {known}"),
                );
            }
        }
        Ok(())
    }
}
