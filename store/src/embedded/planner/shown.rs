//! An account as its sessions see it: what is durable, and nothing else.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use mail::id::{MailboxId, UidValidity};

use super::{NewAccountState, changed::Changed};
use crate::{
    contract::{AccountInfo, MailboxInfo, MailboxNews, News, Tree, Usage},
    embedded::{cache::Cell, frame::Lsn, index::AccountImage, record::Record},
    error::{Error, Result, What},
    rules::names::Retired,
    state::{MailboxState, Summary},
};

/// The durable account.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) info: Arc<AccountInfo>,
    pub(crate) tree: Arc<Tree>,
    pub(crate) usage: Usage,
    pub(crate) summaries: HashMap<MailboxId, Summary>,
    pub(crate) removed: bool,
    /// UIDVALIDITYs of names that are gone, as they were when the account was loaded; what came
    /// since is planned.
    pub(super) retired: Retired,
    changed: Changed,
    lsn: Option<Lsn>,
    failed_epoch: Option<u64>,
    /// The plan that is shown.
    number: u64,
    /// Plans and their transactions, of late.
    written: VecDeque<(u64, Lsn)>,
    /// The index has this plan and those before it.
    applied: u64,
}

/// Plans whose transactions are remembered: with more, what the index has is known less exactly.
const WRITTEN_MAX: usize = 64;

/// What a plan shows once it is durable.
#[derive(Debug, Default)]
pub(super) struct Version {
    /// Counts the plans of the account.
    pub(super) number: u64,
    pub(super) states: Vec<(Arc<Cell>, MailboxState)>,
    pub(super) tree: Option<Arc<Tree>>,
    /// Mailboxes that are new, or have a new UIDVALIDITY.
    pub(super) validities: Vec<(MailboxId, UidValidity)>,
    /// Mailboxes that are gone.
    pub(super) closed: Vec<(MailboxId, Option<Arc<Cell>>)>,
    /// Numbers that are shown with it and follow from no other record.
    pub(super) records: Vec<Record>,
    pub(super) usage: Usage,
    pub(super) account: NewAccountState,
}

impl Shown {
    pub(crate) fn new(info: Arc<AccountInfo>, image: AccountImage, lsn: Option<Lsn>) -> Self {
        let mut tree = Tree::default();
        let mut summaries = HashMap::new();
        for (record, summary) in image.mailboxes {
            let info = MailboxInfo {
                id: record.id,
                name: record.name,
                special_use: record.special_use,
                uid_validity: record.uid_validity,
            };
            summaries.insert(info.id, summary);
            tree.mailboxes.insert(info.name.key(), Arc::new(info));
        }
        for name in image.subscriptions {
            tree.subscriptions.insert(name.key(), name);
        }
        Self {
            info,
            tree: Arc::new(tree),
            usage: image.usage,
            summaries,
            removed: false,
            retired: image.retired,
            changed: Changed::default(),
            lsn,
            failed_epoch: None,
            number: 0,
            written: VecDeque::new(),
            applied: 0,
        }
    }

    /// The last transaction of the account.
    pub(crate) const fn lsn(&self) -> Option<Lsn> {
        self.lsn
    }

    /// The last plan that became durable.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The last plan that an index has which was brought to `lsn`, as far as is known.
    pub(super) fn plans_to(&mut self, lsn: Lsn) -> u64 {
        while let Some((number, _)) = self.written.pop_front_if(|(_, at)| *at <= lsn) {
            self.applied = number;
        }
        self.applied
    }

    /// The counters of a mailbox.
    pub(crate) fn summary(&self, id: MailboxId) -> Result<Summary> {
        self.summaries
            .get(&id)
            .copied()
            .ok_or(Error::NotFound(What::Mailbox))
    }

    /// What became of the account since a version of it.
    pub(crate) fn news(&self, since: u64) -> News {
        let changed = self.changed.since(since);
        let mailboxes = changed.filter_map(|(id, changes)| {
            let summary = *self.summaries.get(&id)?;
            Some(MailboxNews {
                id,
                summary,
                changes,
            })
        });
        News {
            version: self.changed.version(),
            tree: Arc::clone(&self.tree),
            mailboxes: mailboxes.collect(),
        }
    }

    pub(super) fn set_summary(&mut self, id: MailboxId, summary: Summary) {
        if let Some(known) = self.summaries.get_mut(&id) {
            *known = summary;
        }
    }

    /// Whether what was planned in an epoch became durable.
    pub(super) fn check_epoch(&self, epoch: u64) -> Result<()> {
        match self.failed_epoch {
            Some(failed) if failed >= epoch => Err(Error::Unavailable(
                "a change that this one rests on was not written".into(),
            )),
            _ => Ok(()),
        }
    }

    pub(super) fn settle(
        &mut self,
        epoch: u64,
        version: Version,
        result: Result<Lsn>,
    ) -> Result<()> {
        match result {
            Ok(lsn) => {
                self.lsn = Some(lsn);
                self.number = version.number;
                if self.written.len() == WRITTEN_MAX {
                    // Who has a later one has this one too.
                    self.written.pop_front();
                }
                self.written.push_back((version.number, lsn));
                self.show(version);
                Ok(())
            }
            Err(error) => {
                self.failed_epoch = self.failed_epoch.max(Some(epoch));
                Err(error)
            }
        }
    }

    fn show(&mut self, version: Version) {
        self.changed.step();
        if let Some(tree) = version.tree {
            self.tree = tree;
        }
        for (id, uid_validity) in version.validities {
            let before = self.summaries.get(&id).copied();
            let summary = self.summaries.entry(id);
            let summary = summary.or_insert_with(|| Summary::empty(uid_validity));
            summary.uid_validity = uid_validity;
            self.changed.note(id, before.as_ref(), summary);
        }
        for (cell, state) in version.states {
            let summary = cell.show(state);
            let before = self.summaries.get(&cell.id);
            self.changed.note(cell.id, before, &summary);
            self.set_summary(cell.id, summary);
        }
        for (id, cell) in version.closed {
            self.summaries.remove(&id);
            self.changed.forget(id);
            if let Some(cell) = cell {
                cell.close();
            }
        }
        self.usage = version.usage;
        match version.account {
            NewAccountState::Same => {}
            NewAccountState::Changed(info) => self.info = info,
            NewAccountState::Removed => self.removed = true,
        }
    }
}
