//! STORE (RFC 9051 §6.4.6) and EXPUNGE (§6.4.3, §6.4.9).

use std::sync::Arc;

use mail::{
    flag::{FlagChange, Flags, SystemFlags},
    set::UidSet,
};
use store::state::MailboxState;
use wire::imap::{
    code::Code,
    response::{FetchData, Untagged},
    sequence::{Messages, Numbers, SetOrSaved},
    store::{Answer, Store},
};

use super::{
    Context, Selected,
    answer::{Failure, Outcome, no, ok},
    limits::STEP_MESSAGES,
    progress::Progress,
    sink::Sink,
};

impl Selected {
    pub(super) async fn store_flags(
        &mut self,
        store: &Store,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.writable()?;
        let uids = self.messages(&store.messages, sink).await?;
        let limited = context.limited(uids);
        let mut progress = Progress::new(sink, Some(limited.uids.count()));
        let mut missing = false;
        let mut unsaid = Vec::new();
        // In the store's own steps, so that each has one mod-sequence.
        for step in limited.steps(&limited.uids, STEP_MESSAGES) {
            missing |= self.store_step(&step, store, &mut unsaid, sink).await?;
            progress.did(step.count());
            progress.tell_if_due(sink).await?;
        }
        if missing && store.messages.numbers() == Numbers::Seq {
            // The client still sees what another session expunged (design.md §3). NO does not say
            // what was changed all the same, so that the end of the command tells the flags, for a
            // client that asked for silence too.
            return Ok(limited.completion(expunge_issued(), sink).await?);
        }
        for (expected, after) in unsaid {
            self.view.note_known(&expected, &after);
        }
        Ok(limited.completion(ok("The flags are set."), sink).await?)
    }

    /// Changes flags of some messages; whether one of them is not there any more. Silently, it
    /// notes which the client knows by itself if all goes well.
    async fn store_step(
        &mut self,
        uids: &UidSet,
        store: &Store,
        unsaid: &mut Vec<(UidSet, Arc<MailboxState>)>,
        sink: &mut Sink,
    ) -> Result<bool, Failure> {
        let before = self.mailbox.state();
        let done = self.change_flags(uids, store.change, &store.flags).await?;
        let after = self.mailbox.state();
        sink.send_all(&self.view.tell_keywords(&after)).await?;
        match store.answer {
            Answer::Tell => self.tell_stored(&done, &after, sink).await?,
            Answer::Silent => {
                let expected = self.as_expected(&done, store, &before, &after);
                unsaid.push((expected, after));
            }
        }
        Ok(done.count() != uids.count())
    }

    /// Changes flags, and keeps account of what this session itself marked as deleted.
    async fn change_flags(
        &mut self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
    ) -> Result<UidSet, Failure> {
        let before = self.mailbox.state();
        self.own_deleted.forget_changed(&before);
        let outcome = self.mailbox.store_flags(uids, change, flags, None).await?;
        if let Some(mod_seq) = outcome.mod_seq {
            let after = self.mailbox.state();
            // What has another mod-sequence was not changed by this, or by somebody else since.
            let changed = rows_where(&after, &outcome.done, |row| row.mod_seq == mod_seq);
            let is_deleted = |row: &store::state::Row| row.system.contains(SystemFlags::DELETED);
            let newly = rows_where(&after, &changed, is_deleted)
                .difference(&rows_where(&before, &changed, is_deleted));
            let cleared = rows_where(&after, &changed, |row| !is_deleted(row));
            self.own_deleted.note(&changed, &newly, &cleared, mod_seq);
        }
        Ok(outcome.done)
    }

    /// Tells the resulting flags.
    async fn tell_stored(
        &mut self,
        done: &UidSet,
        after: &MailboxState,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        for (uid, row) in after.rows_of(done) {
            if let Some(seq) = self.view.seq(uid) {
                let flags = self.view.flags(after, uid, row, self.auth.mode.revision);
                sink.send(&Untagged::Fetch(seq, vec![FetchData::Uid(uid), flags]))
                    .await?;
            }
        }
        self.view.note_known(done, after);
        Ok(())
    }

    /// Messages whose flags a client that asked for silence can work out: it knew them before, and
    /// nobody else changed them (RFC 9051 §6.4.6 wants changes of others told all the same).
    fn as_expected(
        &self,
        done: &UidSet,
        store: &Store,
        before: &MailboxState,
        after: &MailboxState,
    ) -> UidSet {
        let expected = |uid| {
            let old = before.row(uid).filter(|row| self.view.knows(uid, row))?;
            let new = after.row(uid)?;
            let flags = before.flags(old).changed(store.change, &store.flags);
            (flags == after.flags(new)).then_some(uid)
        };
        done.iter().filter_map(expected).collect()
    }

    /// Marks messages as seen, as FETCH of a text does, and returns which; tells nothing. Mail can
    /// be read also when nothing can be written, so that a failure is only logged.
    pub(super) async fn mark_seen(&mut self, uids: &UidSet) -> UidSet {
        if uids.is_empty() {
            return UidSet::new();
        }
        let seen = Flags::new(SystemFlags::SEEN, []);
        match self.change_flags(uids, FlagChange::Add, &seen).await {
            Ok(done) => done,
            Err(_) => {
                tracing::warn!("messages are read and could not be marked as seen");
                UidSet::new()
            }
        }
    }

    /// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9): removes, and leaves the telling to the
    /// end of the command.
    pub(super) async fn expunge(
        &mut self,
        uids: Option<SetOrSaved<mail::id::Uid>>,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.writable()?;
        let mut progress = Progress::new(sink, None);
        let Some(set) = uids else {
            // Never limited (RFC 9738 §3.1).
            let expunging = self.mailbox.expunge(store::Expunge::Deleted);
            progress.during(expunging, sink, |_| {}).await??;
            return Ok(ok("Expunged."));
        };
        let uids = self.messages(&Messages::Uid(set), sink).await?;
        let state = self.mailbox.state();
        let is_deleted = |row: &store::state::Row| row.system.contains(SystemFlags::DELETED);
        let limited = context.limited(rows_where(&state, &uids, is_deleted));
        // All that are named, unless there are too many: some may become deleted only now.
        let which = if limited.is_cut() {
            limited.uids.clone()
        } else {
            uids
        };
        let expunging = self.mailbox.expunge(store::Expunge::DeletedOf(which));
        progress.during(expunging, sink, |_| {}).await??;
        Ok(limited.completion(ok("Expunged."), sink).await?)
    }
}

/// NO [EXPUNGEISSUED]: a message the client still sees is gone.
pub(super) fn expunge_issued() -> wire::imap::response::Completion {
    no(
        Code::ExpungeIssued,
        "Some of these messages have been expunged.",
    )
}

/// Those messages of a set whose row is so.
fn rows_where(
    state: &MailboxState,
    uids: &UidSet,
    is_so: impl Fn(&store::state::Row) -> bool,
) -> UidSet {
    let rows = state.rows_of(uids).filter(|(_, row)| is_so(row));
    rows.map(|(uid, _)| uid).collect()
}
