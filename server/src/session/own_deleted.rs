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

#[cfg(test)]
mod tests {
    use mail::{
        date::DateTime,
        id::{BodyId, MailboxId, ThreadId, Uid, UidValidity},
    };
    use store::state::{KeywordSetId, Row};

    use super::*;

    fn uid(n: u32) -> Uid {
        Uid::new(n).unwrap()
    }

    fn set(uids: &[u32]) -> UidSet {
        uids.iter().copied().map(uid).collect()
    }

    fn at(n: u64) -> ModSeq {
        ModSeq::new(n).unwrap()
    }

    /// A mailbox of messages: UID, mod-sequence, whether `\Deleted`.
    fn mailbox(messages: &[(u32, u64, bool)]) -> MailboxState {
        let row = |mod_seq, deleted| Row {
            mod_seq: at(mod_seq),
            body: BodyId::MIN,
            thread: ThreadId::MIN,
            internal_date: DateTime {
                secs: 0,
                offset_minutes: 0,
            },
            saved_secs: 0,
            size: 1,
            keywords: KeywordSetId(0),
            system: if deleted {
                SystemFlags::DELETED
            } else {
                SystemFlags::NONE
            },
        };
        let rows: Vec<_> = messages
            .iter()
            .map(|(n, mod_seq, deleted)| (uid(*n), row(*mod_seq, *deleted)))
            .collect();
        MailboxState::empty(MailboxId::MIN, UidValidity::MIN).appended(&rows)
    }

    fn note(own: &mut OwnDeleted, newly: &[u32], mod_seq: u64) {
        own.note(&set(newly), &set(newly), &UidSet::new(), at(mod_seq));
    }

    #[test]
    fn what_others_changed_or_unmarked_is_kept() {
        let mut own = OwnDeleted::default();
        note(&mut own, &[1, 2, 3, 4], 5);
        own.forget_changed(&mailbox(&[(1, 5, true), (2, 6, true), (3, 5, false)]));
        assert_eq!(own.take(), [(set(&[1]), at(5))]);
    }

    #[test]
    fn what_the_session_changes_again_stays_marked_unless_it_unmarks() {
        let mut own = OwnDeleted::default();
        note(&mut own, &[1, 2, 3], 5);
        own.note(&set(&[2]), &UidSet::new(), &UidSet::new(), at(7));
        own.note(&set(&[3]), &UidSet::new(), &set(&[3]), at(8));
        own.forget_changed(&mailbox(&[(1, 5, true), (2, 7, true), (3, 8, false)]));
        assert_eq!(own.take(), [(set(&[1]), at(5)), (set(&[2]), at(7))]);
    }

    #[test]
    fn past_the_limit_nothing_is_committed() {
        let mut own = OwnDeleted::default();
        note(&mut own, &[1], 5);
        let many = u32::try_from(OWN_DELETED_RANGES_MAX).unwrap();
        let scattered: Vec<u32> = (2..=many + 1).map(|n| n * 2).collect();
        note(&mut own, &scattered, 6);
        assert!(own.take().is_empty());
        note(&mut own, &[3], 7);
        assert!(own.take().is_empty(), "not even what is marked later");
    }
}
