//! Which mailboxes changed since a version of the account: cheap to ask for whoever was told of all
//! but the last few.

use std::collections::{BTreeMap, HashMap};

use mail::id::MailboxId;

/// Mailboxes in the order of their last change since the account was loaded.
#[derive(Debug, Default)]
pub(super) struct Changed {
    version: u64,
    by_version: BTreeMap<u64, MailboxId>,
    last: HashMap<MailboxId, u64>,
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

    /// The counters of a mailbox have changed.
    pub(super) fn note(&mut self, id: MailboxId) {
        self.step();
        if let Some(before) = self.last.insert(id, self.version) {
            self.by_version.remove(&before);
        }
        self.by_version.insert(self.version, id);
    }

    /// A mailbox is gone.
    pub(super) fn forget(&mut self, id: MailboxId) {
        if let Some(before) = self.last.remove(&id) {
            self.by_version.remove(&before);
        }
    }

    /// Those that changed after `version`, each once.
    pub(super) fn since(&self, version: u64) -> impl Iterator<Item = MailboxId> {
        let later = version.saturating_add(1)..;
        self.by_version.range(later).map(|(_, id)| *id)
    }
}
