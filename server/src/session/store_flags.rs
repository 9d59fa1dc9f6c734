//! STORE (RFC 9051 §6.4.6).

use mail::{
    flag::{FlagChange, SystemFlags},
    set::UidSet,
};
use wire::imap::{
    code::Code,
    response::{FetchData, Untagged},
    store::{Answer, Store},
};

use super::{
    Selected,
    answer::{Failure, Outcome, bad, no, ok},
    sink::Sink,
};

impl Selected {
    pub(super) async fn store_flags(&mut self, store: &Store, sink: &mut Sink) -> Outcome {
        self.tell_new(sink).await?;
        self.writable()?;
        let uids = self.messages(&store.messages)?;
        self.own_deleted.forget_changed(&self.mailbox.state());
        let unmarked = self.without_deleted(&uids);
        let outcome = self
            .mailbox
            .store_flags(&uids, store.change, &store.flags, None)
            .await?;
        if let Some(mod_seq) = outcome.mod_seq {
            let (newly, cleared) = match deletes(store) {
                Some(true) => (unmarked.intersection(&outcome.done), UidSet::new()),
                Some(false) => (UidSet::new(), outcome.done.clone()),
                None => (UidSet::new(), UidSet::new()),
            };
            self.own_deleted
                .note(&outcome.done, &newly, &cleared, mod_seq);
        }
        self.tell_stored(&outcome.done, store.answer, sink).await?;
        let by_seq = store.messages.numbers() == wire::imap::sequence::Numbers::Seq;
        if by_seq && !outcome.missing.is_empty() {
            // The client still sees what another session expunged (design.md §3).
            return Ok(no(
                Code::ExpungeIssued,
                "Some of these messages have been expunged.",
            ));
        }
        Ok(ok("The flags are set."))
    }

    /// The UIDs a command names, or BAD for a number that is not in the view.
    pub(super) fn messages(
        &self,
        messages: &wire::imap::sequence::Messages,
    ) -> Result<UidSet, Failure> {
        self.view
            .resolve(messages)
            .ok_or_else(|| Failure::Answer(bad("There is no message with this number.")))
    }

    fn without_deleted(&self, uids: &UidSet) -> UidSet {
        let state = self.mailbox.state();
        state
            .rows_of(uids)
            .filter(|(_, row)| !row.system.contains(SystemFlags::DELETED))
            .map(|(uid, _)| uid)
            .collect()
    }

    /// Tells the resulting flags, or notes them as known if the client asked for silence.
    async fn tell_stored(
        &mut self,
        done: &UidSet,
        answer: Answer,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let state = self.mailbox.state();
        let mut out = Vec::new();
        self.view.tell_keywords(&state, &mut out);
        sink.send_all(&out).await?;
        for (uid, row) in state.rows_of(done) {
            self.view.note_sent(uid, row.mod_seq);
            if answer == Answer::Tell
                && let Some(seq) = self.view.seq(uid)
            {
                let flags = self.view.flags(&state, uid, row, self.auth.mode.revision);
                sink.send(&Untagged::Fetch(seq, vec![FetchData::Uid(uid), flags]))
                    .await?;
            }
        }
        Ok(())
    }

    /// Marks messages as seen, as FETCH of a text does; tells nothing.
    pub(super) async fn mark_seen(&mut self, uids: &UidSet) -> Result<(), Failure> {
        let seen = mail::flag::Flags::new(SystemFlags::SEEN, []);
        self.own_deleted.forget_changed(&self.mailbox.state());
        let outcome = self
            .mailbox
            .store_flags(uids, FlagChange::Add, &seen, None)
            .await?;
        if let Some(mod_seq) = outcome.mod_seq {
            self.own_deleted
                .note(&outcome.done, &UidSet::new(), &UidSet::new(), mod_seq);
        }
        Ok(())
    }

    /// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9): removes, and leaves the telling to the
    /// end of the command.
    pub(super) async fn expunge(
        &mut self,
        uids: Option<&wire::imap::sequence::SetOrSaved<mail::id::Uid>>,
    ) -> Outcome {
        self.writable()?;
        let which = match uids {
            None => store::Expunge::Deleted,
            Some(set) => {
                let messages = wire::imap::sequence::Messages::Uid(set.clone());
                store::Expunge::DeletedOf(self.messages(&messages)?)
            }
        };
        self.mailbox.expunge(which).await?;
        Ok(ok("Expunged."))
    }
}

/// Whether a STORE sets (`true`) or clears (`false`) `\Deleted`.
fn deletes(store: &Store) -> Option<bool> {
    let names = store.flags.system.contains(SystemFlags::DELETED);
    match store.change {
        FlagChange::Replace => Some(names),
        FlagChange::Add => names.then_some(true),
        FlagChange::Remove => names.then_some(false),
    }
}
