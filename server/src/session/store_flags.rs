//! STORE (RFC 9051 §6.4.6) and EXPUNGE (§6.4.3, §6.4.9).

use std::sync::Arc;

use mail::{
    flag::{FlagChange, Flags, SystemFlags, UnchangedSince},
    set::UidSet,
};
use store::{FlagsOutcome, state::MailboxState};
use wire::{
    encode::Sync,
    imap::{
        code::Code,
        response::{Completion, FetchData, NumberSet},
        sequence::{Messages, Numbers, SetOrSaved},
        store::{Answer, Store},
    },
};

use super::{
    Context, Selected,
    answer::{Failure, Outcome, no, ok, ok_with},
    limits::STEP_MESSAGES,
    progress::Progress,
    sink::Sink,
};

/// What a STORE did so far.
#[derive(Default)]
struct Stored {
    /// A message is not there any more.
    missing: bool,
    /// Messages that changed too late for the condition.
    left: UidSet,
    /// What the client knows by itself, if all goes well.
    unsaid: Vec<(UidSet, Arc<MailboxState>)>,
}

impl Selected {
    pub(super) async fn store_flags(
        &mut self,
        store: &Store,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.writable()?;
        if store.unchanged_since.is_some() {
            self.want_mod_seqs(sink).await?;
        }
        let uids = self.messages(&store.messages, sink).await?;
        let limited = context.limited(uids);
        let mut progress = Progress::new(sink, Some(limited.uids.count()));
        let mut stored = Stored::default();
        // In the store's own steps, so that each has one mod-sequence.
        for step in limited.steps(&limited.uids, STEP_MESSAGES) {
            let on = (&mut progress, &mut *sink);
            self.store_step(&step, store, &mut stored, on).await?;
            progress.did(step.count());
            progress.tell_if_due(sink).await?;
        }
        let left = match store.messages.numbers() {
            Numbers::Seq => NumberSet::Seq(self.view.seqs_of(&stored.left)),
            Numbers::Uid => NumberSet::Uid(stored.left),
        };
        let left = (!left.is_empty()).then_some(Code::Modified(left));
        if stored.missing && store.messages.numbers() == Numbers::Seq {
            // The client still sees what another session expunged (design.md §3). NO does not say
            // what was changed all the same, so that the end of the command tells the flags, for a
            // client that asked for silence too. Which were left alone is always said
            // (RFC 7162 §3.1.3).
            let issued = expunge_issued();
            let code = left.or_else(|| issued.code.clone());
            let completion = Completion { code, ..issued };
            return Ok(limited.completion(completion, sink).await?);
        }
        for (expected, after) in stored.unsaid {
            self.view.note_known(&expected, &after);
        }
        let completion = match left {
            None => ok("The flags are set."),
            Some(code) => ok_with(code, "Messages that were changed since are left alone."),
        };
        Ok(limited.completion(completion, sink).await?)
    }

    /// Changes flags of some messages. Silently, it notes which the client knows by itself if all
    /// goes well.
    async fn store_step(
        &mut self,
        uids: &UidSet,
        store: &Store,
        stored: &mut Stored,
        (progress, sink): (&mut Progress, &mut Sink),
    ) -> Result<(), Failure> {
        let before = self.mailbox.state();
        let condition = store.unchanged_since;
        let changing = self.change_flags(uids, (store.change, &store.flags), condition);
        let outcome = progress.during(changing, sink, |_| {}).await??;
        let after = self.mailbox.state();
        sink.send_all(&self.view.tell_keywords(&after)).await?;
        // What became of the messages that were left alone saves the client from asking.
        self.tell_stored(&outcome.modified, &after, sink).await?;
        match store.answer {
            Answer::Tell => self.tell_stored(&outcome.done, &after, sink).await?,
            Answer::Silent => {
                let expected = self.as_expected(&outcome.done, store, &before, &after);
                self.tell_mod_seqs(&expected, store, &after, sink).await?;
                stored.unsaid.push((expected, after));
            }
        }
        stored.missing |= !outcome.missing.is_empty();
        stored.left = stored.left.union(&outcome.modified);
        Ok(())
    }

    /// Tells mod-sequences of messages whose flags the client knows, if it wants them: of those that
    /// changed, and of all if the STORE had a condition (RFC 7162 §3.1.3).
    async fn tell_mod_seqs(
        &self,
        uids: &UidSet,
        store: &Store,
        after: &MailboxState,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        if self.auth.mode.sync == Sync::Plain {
            return Ok(());
        }
        for (uid, row) in after.rows_of(uids) {
            let is_told = store.unchanged_since.is_some() || !self.view.knows(uid, row);
            let items = vec![FetchData::ModSeq(row.mod_seq)];
            let told = self.view.unasked(uid, items, self.auth.mode);
            if let Some(told) = told.filter(|_| is_told) {
                sink.send(&told).await?;
            }
        }
        Ok(())
    }

    /// Changes flags, and keeps account of what this session itself marked as deleted.
    async fn change_flags(
        &mut self,
        uids: &UidSet,
        (change, flags): (FlagChange, &Flags),
        condition: Option<UnchangedSince>,
    ) -> Result<FlagsOutcome, Failure> {
        let before = self.mailbox.state();
        self.own_deleted.forget_changed(&before);
        let outcome = self
            .mailbox
            .store_flags(uids, change, flags, condition)
            .await?;
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
        Ok(outcome)
    }

    /// Tells the resulting flags.
    async fn tell_stored(
        &mut self,
        uids: &UidSet,
        after: &MailboxState,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        for message in after.rows_of(uids) {
            let told = self.view.flags_response(after, message, self.auth.mode);
            if let Some(told) = told {
                sink.send(&told).await?;
            }
        }
        self.view.note_known(uids, after);
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
        match self
            .change_flags(uids, (FlagChange::Add, &seen), None)
            .await
        {
            Ok(outcome) => outcome.done,
            Err(_) => {
                tracing::warn!("messages are read and could not be marked as seen");
                UidSet::new()
            }
        }
    }

    /// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).
    pub(super) async fn expunge(
        &mut self,
        uids: Option<SetOrSaved<mail::id::Uid>>,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.writable()?;
        let Some(set) = uids else {
            // Never limited (RFC 9738 §3.1).
            return self.expunge_of(store::Expunge::Deleted, sink).await;
        };
        let uids = self.messages(&Messages::Uid(set), sink).await?;
        let state = self.mailbox.state();
        let is_deleted = |row: &store::state::Row| row.system.contains(SystemFlags::DELETED);
        let limited = context.limited_of(|| rows_where(&state, &uids, is_deleted));
        // All that are named, unless there are too many: some may become deleted only now.
        let which = if limited.is_cut() {
            limited.uids.clone()
        } else {
            uids
        };
        let which = store::Expunge::DeletedOf(which);
        let completion = self.expunge_of(which, sink).await?;
        Ok(limited.completion(completion, sink).await?)
    }

    /// Removes messages, and tells which are gone.
    async fn expunge_of(&mut self, which: store::Expunge, sink: &mut Sink) -> Outcome {
        let mut progress = Progress::new(sink, None);
        let expunging = self.mailbox.expunge(which);
        let gone = progress.during(expunging, sink, |_| {}).await??;
        if gone.is_empty() {
            return Ok(ok("Expunged."));
        }
        self.ok_gone("Expunged.", sink).await
    }

    /// OK to what removed messages. It is told which are gone; with CONDSTORE or QRESYNC also how far
    /// the client has come with that (RFC 7162 §3.2.7, §3.2.9).
    pub(super) async fn ok_gone(&mut self, text: &'static str, sink: &mut Sink) -> Outcome {
        self.tell_removed(sink).await?;
        if self.auth.mode.sync == Sync::Plain {
            return Ok(ok(text));
        }
        let highest = Code::HighestModSeq(self.view.settled());
        Ok(ok_with(highest, text))
    }
}

/// NO [EXPUNGEISSUED]: a message the client still sees is gone.
pub(super) fn expunge_issued() -> Completion {
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
