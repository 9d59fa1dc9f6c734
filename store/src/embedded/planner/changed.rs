//! Which mailboxes changed since a version of the account, and what of them: cheap to ask for whoever
//! was told of all but the last few.

use std::collections::{BTreeSet, HashMap};

use mail::id::MailboxId;

use crate::{contract::Changes, state::Summary};

/// Mailboxes in the order of their last change since the account was loaded.
#[derive(Debug, Default)]
pub(super) struct Changed {
    version: u64,
    by_version: BTreeSet<(u64, MailboxId)>,
    last: HashMap<MailboxId, Last>,
}

/// When a mailbox changed last, and what of it.
#[derive(Debug, Default)]
struct Last {
    version: u64,
    changes: Changes,
}

impl Changed {
    /// The version of the account that is shown.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Something of the account has changed.
    pub(super) const fn step(&mut self) {
        self.version += 1;
    }

    /// The counters of a mailbox have changed with this version.
    pub(super) fn note(&mut self, id: MailboxId, before: Option<&Summary>, now: &Summary) {
        let Last { version, changes } = self.last.entry(id).or_default();
        if *version != self.version {
            self.by_version.remove(&(*version, id));
            self.by_version.insert((self.version, id));
            changes.before = *version;
            changes.mod_seq_before = before.map(|before| before.highest_mod_seq);
            *version = self.version;
        }
        let messages = |summary: &Summary| (summary.messages, summary.uid_next);
        if before.map(messages) != Some(messages(now)) {
            changes.messages = self.version;
        }
        if before.map(|before| before.unseen) != Some(now.unseen) {
            changes.unseen = self.version;
        }
        if before.map(|before| before.highest_mod_seq) != Some(now.highest_mod_seq) {
            changes.mod_seq = self.version;
        }
        if before.map(|before| before.uid_validity) != Some(now.uid_validity) {
            changes.uid_validity = self.version;
        }
    }

    /// A mailbox is gone.
    pub(super) fn forget(&mut self, id: MailboxId) {
        if let Some(last) = self.last.remove(&id) {
            self.by_version.remove(&(last.version, id));
        }
    }

    /// Those that changed after `version`, each once.
    pub(super) fn since(&self, version: u64) -> impl Iterator<Item = (MailboxId, Changes)> {
        let later = (version.saturating_add(1), MailboxId::MIN)..;
        let later = self.by_version.range(later);
        later.filter_map(|(_, id)| Some((*id, self.last.get(id)?.changes)))
    }
}
