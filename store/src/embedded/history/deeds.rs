//! From records to what was done: a transaction's records tell what is true since, and which of
//! them stand together tells what a client asked for.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use mail::{
    flag::Flags,
    id::{AccountId, BodyId, MailboxId, Uid},
    mailbox::MailboxKey,
    set::UidSet,
};

use crate::{
    Error, Result,
    embedded::{
        engine::Engine,
        record::{MessageRecord, Record, Transaction},
        summary,
    },
    history::{Deed, HistoryQuery, Past},
};

/// Messages that one Message-ID may lead to.
const FOLLOWED_MAX: usize = 100_000;

/// Reads transactions as deeds.
pub(super) struct Deeds {
    query: HistoryQuery,
    accounts: HashMap<AccountId, Arc<str>>,
    mailboxes: HashMap<MailboxId, Arc<str>>,
    /// Mailboxes that have the name that is asked for now, whatever it was then.
    named_now: HashSet<MailboxId>,
    /// Bodies and messages that have the Message-ID that is asked for.
    bodies: HashSet<BodyId>,
    followed: HashSet<(MailboxId, Uid)>,
}

impl Deeds {
    /// Begins with the names that there are now: what is read tells those that there were.
    pub(super) fn new(engine: &Arc<Engine>, query: HistoryQuery) -> Self {
        let all = engine.parts.directory.all();
        let accounts = all.iter().map(|info| (info.id, info.name.as_str().into()));
        let accounts = accounts.collect();
        let (mut mailboxes, mut named_now) = (HashMap::new(), HashSet::new());
        for planner in engine.planners() {
            if query.account.is_none_or(|id| id == planner.account) {
                let tree = planner.shown(|shown| Arc::clone(&shown.tree));
                for (key, info) in &tree.mailboxes {
                    mailboxes.insert(info.id, info.name.as_str().into());
                    if query.mailbox.as_ref() == Some(key) {
                        named_now.insert(info.id);
                    }
                }
            }
        }
        Self {
            query,
            accounts,
            mailboxes,
            named_now,
            bodies: HashSet::new(),
            followed: HashSet::new(),
        }
    }

    /// What a transaction did, of what is asked for.
    pub(super) fn of(&mut self, transaction: &Transaction) -> Result<Vec<Past>> {
        let mut told = Vec::new();
        for record in &transaction.records {
            let account = match record {
                Record::Account(info) => Some(info.id),
                other => summary::account(other),
            };
            let is_wanted = match (account, self.query.account) {
                (Some(of), Some(wanted)) => of == wanted,
                (of, None) => of.is_some(),
                (None, _) => false,
            };
            if let Record::Body(body) = record {
                self.follow_body(body.id, body.fixed.thread_keys.first().map(|id| &**id))?;
            }
            let Some(account) = account.filter(|_| is_wanted) else {
                continue;
            };
            let deeds = self.deeds(record, &transaction.records)?;
            let is_time = self
                .query
                .since_secs
                .is_none_or(|since| transaction.time_secs >= since);
            for deed in deeds.into_iter().filter(|_| is_time) {
                told.push(Past {
                    time_secs: transaction.time_secs,
                    origin: Arc::clone(&transaction.origin),
                    account: self.account(account),
                    deed,
                });
            }
        }
        Ok(told)
    }

    fn account(&self, id: AccountId) -> Arc<str> {
        let known = self.accounts.get(&id).map(Arc::clone);
        known.unwrap_or_else(|| format!("account {id}").into())
    }

    fn mailbox(&self, id: MailboxId) -> Arc<str> {
        let known = self.mailboxes.get(&id).map(Arc::clone);
        known.unwrap_or_else(|| format!("mailbox {id}").into())
    }

    /// What a record did; those around it tell a copy from a move.
    fn deeds(&mut self, record: &Record, around: &[Record]) -> Result<Vec<Deed>> {
        Ok(match record {
            Record::Account(info) => {
                self.accounts.insert(info.id, info.name.as_str().into());
                self.whole(Deed::AccountSet)
            }
            Record::AccountRemoved(..) => self.whole(Deed::AccountRemoved),
            Record::Subscribed(_, name) => {
                let mailbox = name.as_str().into();
                self.named(&name.key(), Deed::Subscribed { mailbox })
            }
            Record::Unsubscribed(_, name) => {
                let mailbox = name.as_str().into();
                self.named(&name.key(), Deed::Unsubscribed { mailbox })
            }
            Record::Mailbox(made) => {
                let mailbox: Arc<str> = made.name.as_str().into();
                self.mailboxes.insert(made.id, Arc::clone(&mailbox));
                self.of_mailbox(made.id, Deed::MailboxCreated { mailbox })
            }
            Record::Renamed(_, names) => {
                let mut deeds = Vec::new();
                for (id, name) in names {
                    let (mailbox, to) = (self.mailbox(*id), Arc::<str>::from(name.as_str()));
                    let was_it = self.is_asked_for(*id);
                    self.mailboxes.insert(*id, Arc::clone(&to));
                    let deed = Deed::MailboxRenamed { mailbox, to };
                    match was_it && self.is_of_mailboxes() {
                        true => deeds.push(deed),
                        false => deeds.extend(self.of_mailbox(*id, deed)),
                    }
                }
                deeds
            }
            Record::MailboxDeleted(_, id) => {
                let mailbox = self.mailbox(*id);
                let deeds = self.of_mailbox(*id, Deed::MailboxDeleted { mailbox });
                self.mailboxes.remove(id);
                deeds
            }
            Record::Messages(_, id, messages) => self.messages(*id, messages, around)?,
            Record::Flags(_, id, _, lists) => {
                let flagged = lists.iter().filter_map(|list| {
                    let uids = self.wanted(*id, &list.uids)?;
                    let flags = Flags::new(list.system, list.keywords.iter().cloned());
                    let mailbox = self.mailbox(*id);
                    Some(Deed::Flagged {
                        mailbox,
                        uids,
                        flags,
                    })
                });
                flagged.collect()
            }
            // Of a move the messages that came tell.
            Record::Expunged(..) if came(around) => Vec::new(),
            Record::Expunged(_, id, _, gone) => {
                let mailbox = self.mailbox(*id);
                let expunged = |uids| Deed::Expunged { mailbox, uids };
                self.wanted(*id, gone).map(expunged).into_iter().collect()
            }
            Record::Body(_) | Record::RecentFloor(..) | Record::Counters(_) => Vec::new(),
        })
    }

    /// Messages that are in a mailbox since: new ones, copies, or moved.
    fn messages(
        &mut self,
        id: MailboxId,
        messages: &[MessageRecord],
        around: &[Record],
    ) -> Result<Vec<Deed>> {
        self.follow_messages(id, messages)?;
        let uids: UidSet = messages.iter().map(|message| message.uid).collect();
        let mailbox = self.mailbox(id);
        if let Some((from, gone)) = left(around) {
            let (here, there) = (self.wanted(id, &uids), self.wanted(from, gone));
            if here.is_none() && there.is_none() {
                return Ok(Vec::new());
            }
            let deed = Deed::Moved {
                mailbox: self.mailbox(from),
                uids: gone.clone(),
                to: mailbox,
                to_uids: uids,
            };
            return Ok(vec![deed]);
        }
        let Some(uids) = self.wanted(id, &uids) else {
            return Ok(Vec::new());
        };
        let bodies = || {
            around.iter().filter_map(|record| match record {
                Record::Body(body) => Some(body),
                _ => None,
            })
        };
        let is_new = |message: &MessageRecord| bodies().any(|body| body.id == message.body);
        if !messages.iter().any(is_new) {
            return Ok(vec![Deed::Copied { mailbox, uids }]);
        }
        let message_id = match messages {
            [only] => bodies()
                .find(|body| body.id == only.body)
                .and_then(|body| body.fixed.thread_keys.first().cloned())
                .filter(|id| !id.is_empty()),
            _ => None,
        };
        Ok(vec![Deed::Added {
            mailbox,
            uids,
            message_id,
        }])
    }

    fn follow_body(&mut self, id: BodyId, message_id: Option<&str>) -> Result<()> {
        if message_id.is_some() && message_id == self.query.message_id.as_deref() {
            self.bodies.insert(id);
        }
        match self.bodies.len() > FOLLOWED_MAX {
            true => Err(Error::Limit("messages with one Message-ID")),
            false => Ok(()),
        }
    }

    fn follow_messages(&mut self, id: MailboxId, messages: &[MessageRecord]) -> Result<()> {
        let have = messages.iter().filter(|m| self.bodies.contains(&m.body));
        self.followed.extend(have.map(|message| (id, message.uid)));
        match self.followed.len() > FOLLOWED_MAX {
            true => Err(Error::Limit("messages with one Message-ID")),
            false => Ok(()),
        }
    }

    /// Whether messages are asked for, so that what is done to accounts and names is not.
    fn is_of_messages(&self) -> bool {
        self.query.uid.is_some() || self.query.message_id.is_some()
    }

    fn is_of_mailboxes(&self) -> bool {
        !self.is_of_messages()
    }

    fn whole(&self, deed: Deed) -> Vec<Deed> {
        let is_asked = self.is_of_mailboxes() && self.query.mailbox.is_none();
        is_asked.then_some(deed).into_iter().collect()
    }

    fn named(&self, key: &MailboxKey, deed: Deed) -> Vec<Deed> {
        let is_it = self.query.mailbox.as_ref().is_none_or(|asked| asked == key);
        let is_asked = self.is_of_mailboxes() && is_it;
        is_asked.then_some(deed).into_iter().collect()
    }

    fn of_mailbox(&self, id: MailboxId, deed: Deed) -> Vec<Deed> {
        let is_asked = self.is_of_mailboxes() && self.is_asked_for(id);
        is_asked.then_some(deed).into_iter().collect()
    }

    /// Whether a mailbox is asked for: by the name that it has now, or has where the log is read.
    fn is_asked_for(&self, id: MailboxId) -> bool {
        let Some(asked) = &self.query.mailbox else {
            return true;
        };
        let name = mail::mailbox::MailboxName::new(&self.mailbox(id));
        self.named_now.contains(&id) || name.is_ok_and(|name| name.key() == *asked)
    }

    /// Those of a mailbox's messages that are asked for; `None` if there are none.
    fn wanted(&self, id: MailboxId, uids: &UidSet) -> Option<UidSet> {
        let is_it = |uid: &Uid| {
            self.query.uid.is_none_or(|asked| asked == *uid)
                && (self.query.message_id.is_none() || self.followed.contains(&(id, *uid)))
        };
        let wanted: UidSet = match self.is_of_messages() {
            true => uids.iter().filter(is_it).collect(),
            false => uids.clone(),
        };
        (self.is_asked_for(id) && !wanted.is_empty()).then_some(wanted)
    }
}

/// Whether messages that are not new came in a transaction.
fn came(around: &[Record]) -> bool {
    let is_messages = |record: &Record| matches!(record, Record::Messages(..));
    around.iter().any(is_messages) && !is_replacement(around)
}

/// Whether a message that left did so for a new one (RFC 8508), whose body is there.
fn is_replacement(around: &[Record]) -> bool {
    let is_body = |record: &Record| matches!(record, Record::Body(_));
    around.iter().any(is_body)
}

/// The messages that left a mailbox in a transaction, for a move.
fn left(around: &[Record]) -> Option<(MailboxId, &UidSet)> {
    if is_replacement(around) {
        return None;
    }
    around.iter().find_map(|record| match record {
        Record::Expunged(_, id, _, gone) => Some((*id, gone)),
        _ => None,
    })
}
