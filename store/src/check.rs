//! Whether a mailbox agrees with itself: what must be true of every version.

use mail::id::Uid;

use crate::state::MailboxState;

/// One line per inconsistency.
pub(crate) fn mailbox(state: &MailboxState) -> Vec<String> {
    let mut report = Vec::new();
    let id = state.id;
    let counted = state.recount();
    if counted != state.summary {
        report.push(format!(
            "mailbox {id}: its counters {:?} are not those of its messages {counted:?}",
            state.summary
        ));
    }
    let mut last: Option<Uid> = None;
    for (uid, row) in state.rows() {
        if last.is_some_and(|last| last >= uid) {
            report.push(format!("mailbox {id}: UID {uid} does not ascend"));
        }
        if row.mod_seq > state.summary.highest_mod_seq {
            report.push(format!("mailbox {id}: UID {uid} changed after the mailbox"));
        }
        last = Some(uid);
    }
    if last.is_some_and(|last| last >= state.summary.uid_next) {
        report.push(format!("mailbox {id}: UIDNEXT is not above its UIDs"));
    }
    for chunk in state.chunks.iter() {
        let highest = chunk.rows.iter().map(|row| row.mod_seq).max();
        if highest != Some(chunk.highest_mod_seq) || chunk.uids.len() != chunk.rows.len() {
            report.push(format!("mailbox {id}: a chunk is not what it says"));
        }
    }
    report
}

/// One line per difference between two readings of what should be one version.
pub(crate) fn same(shown: &MailboxState, stored: &MailboxState) -> Vec<String> {
    let id = shown.id;
    let mut report = Vec::new();
    let (a, b) = (&shown.summary, &stored.summary);
    // What was taken as recent need not be written yet.
    let (a, b) = (
        crate::state::Summary {
            recent: b.recent,
            ..*a
        },
        *b,
    );
    if a != b {
        report.push(format!("mailbox {id}: shown as {a:?}, stored as {b:?}"));
    }
    let differs = |((u, x), (v, y)): &((Uid, &crate::state::Row), (Uid, &crate::state::Row))| {
        let same_flags = shown.flags(x) == stored.flags(y);
        let plain = crate::state::Row {
            keywords: x.keywords,
            ..**y
        };
        *u != *v || plain != **x || !same_flags
    };
    if let Some(((uid, _), _)) = shown.rows().zip(stored.rows()).find(differs) {
        report.push(format!(
            "mailbox {id}: UID {uid} is shown not as it is stored"
        ));
    }
    report
}
