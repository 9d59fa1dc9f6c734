//! Which messages this session itself marked `\Deleted`, for `Imap:CommitDeletionsOnLogout`.
//!
//! The system this server replaces expunges at LOGOUT; ours does so only for messages that this
//! session marked since it selected the mailbox, that still carry the flag, and that nobody changed
//! since (docs/decisions, a named deviation from RFC 9051 §6.4.1).

use mail::{flag::SystemFlags, id::ModSeq, set::UidSet};
use store::state::MailboxState;

use super::limits::OWN_DELETED_RANGES_MAX;

/// Messages marked by this session, with the mod-sequence of its last change of them.
#[derive(Default)]
pub(super) struct OwnDeleted {
    marked: Vec<(UidSet, ModSeq)>,
    checked: Option<ModSeq>,
    /// Too many ranges: nothing is committed at all.
    dropped: bool,
}

impl OwnDeleted {
    /// Notes that this session changed these messages at `mod_seq`: those it had marked before stay
    /// marked, `newly` are marked now, and `cleared` no longer are.
    pub(super) fn note(
        &mut self,
        changed: &UidSet,
        newly: &UidSet,
        cleared: &UidSet,
        mod_seq: ModSeq,
    ) {
        if self.dropped {
            return;
        }
        let mut now = newly.clone();
        for (uids, _) in &mut self.marked {
            now = now.union(&uids.intersection(changed));
            *uids = uids.difference(changed);
        }
        self.marked.retain(|(uids, _)| !uids.is_empty());
        let now = now.difference(cleared);
        if !now.is_empty() {
            self.marked.push((now, mod_seq));
        }
        let ranges: usize = self
            .marked
            .iter()
            .map(|(uids, _)| uids.ranges().len())
            .sum();
        if ranges > OWN_DELETED_RANGES_MAX {
            *self = Self {
                dropped: true,
                ..Self::default()
            };
        }
    }

    /// Forgets messages that somebody else changed, or that are gone.
    pub(super) fn forget_changed(&mut self, state: &MailboxState) {
        if self.marked.is_empty() || self.checked == Some(state.summary.highest_mod_seq) {
            return;
        }
        self.checked = Some(state.summary.highest_mod_seq);
        for (uids, mod_seq) in &mut self.marked {
            *uids = state
                .rows_of(uids)
                .filter(|(_, row)| {
                    row.mod_seq <= *mod_seq && row.system.contains(SystemFlags::DELETED)
                })
                .map(|(uid, _)| uid)
                .collect();
        }
        self.marked.retain(|(uids, _)| !uids.is_empty());
    }

    /// What LOGOUT may expunge.
    #[must_use]
    pub(super) fn take(&mut self) -> Vec<(UidSet, ModSeq)> {
        std::mem::take(&mut self.marked)
    }
}
