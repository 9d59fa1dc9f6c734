//! Mod-sequences in a session: who wants to be told of them, what HIGHESTMODSEQ may be told, and what
//! became of a mailbox since a client knew it (RFC 7162).
//!
//! HIGHESTMODSEQ is a promise that nothing up to it was missed. So it is never more than the version
//! up to which flags and expunges were told (§3.2, §6; protocol rule 9).

use std::io;

use mail::{
    id::{ModSeq, Uid},
    set::UidSet,
};
use store::{Mailbox, state::MailboxState};
use wire::{
    encode::{Mode, Sync},
    imap::{
        code::Code,
        response::{Completion, Status, Untagged, Vanished},
        select::{QResync, Select},
        status::StatusItem,
    },
};

use super::{
    Authenticated, Selected,
    answer::{Failure, bad},
    limits::VANISHED_RANGES_MAX,
    sink::Sink,
    view::View,
};

/// Whether a client was told that messages are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gone {
    /// It was.
    Told,
    /// None are, or it has to wait.
    Untold,
}

impl Authenticated {
    /// From now on at least this is told of changes.
    pub(super) fn want(&mut self, sync: Sync, sink: &mut Sink) {
        self.mode = self.mode.synchronised(sync);
        sink.set_mode(self.mode);
    }

    /// STATUS of HIGHESTMODSEQ enables CONDSTORE (RFC 7162 §3.1).
    pub(super) fn want_as_status(&mut self, items: &[StatusItem], sink: &mut Sink) {
        if items.contains(&StatusItem::HighestModSeq) {
            self.want(Sync::CondStore, sink);
        }
    }

    /// BAD for what may only follow ENABLE QRESYNC (RFC 7162 §3.2.3; protocol rule 10).
    pub(super) fn has_enabled_qresync(&self) -> Result<(), Failure> {
        match self.mode.sync {
            Sync::QResync => Ok(()),
            Sync::Plain | Sync::CondStore => {
                Err(Failure::Answer(bad("ENABLE QRESYNC has to come first.")))
            }
        }
    }

    /// Whether the parameters of SELECT may be used; nothing was done yet.
    pub(super) fn may_select(&self, select: &Select) -> Result<(), Failure> {
        match select.parameters.qresync {
            Some(_) => self.has_enabled_qresync(),
            None => Ok(()),
        }
    }
}

impl Selected {
    /// Some commands tell that a client wants mod-sequences. The first such is answered with
    /// HIGHESTMODSEQ (RFC 7162 §3.1; protocol rule 13).
    pub(super) async fn want_mod_seqs(&mut self, sink: &mut Sink) -> io::Result<()> {
        let before = self.auth.mode.sync;
        self.auth.want(Sync::CondStore, sink);
        self.wanted_since(before, sink).await
    }

    /// HIGHESTMODSEQ, if `before` was the last time that nobody wanted it.
    pub(super) async fn wanted_since(&self, before: Sync, sink: &mut Sink) -> io::Result<()> {
        match (before, self.auth.mode.sync) {
            (Sync::Plain, Sync::CondStore | Sync::QResync) => self.tell_highest(sink).await,
            _ => Ok(()),
        }
    }

    /// Tells HIGHESTMODSEQ to clients that want it, where the mod-sequences of FETCH would mislead:
    /// while an expunge is held back, and when it was told (RFC 7162 §3.2).
    pub(super) async fn settle(&self, gone: Gone, sink: &mut Sink) -> io::Result<()> {
        let misleads = gone == Gone::Told || self.view.holds_back();
        match self.auth.mode.sync {
            Sync::CondStore | Sync::QResync if misleads => self.tell_highest(sink).await,
            _ => Ok(()),
        }
    }

    async fn tell_highest(&self, sink: &mut Sink) -> io::Result<()> {
        sink.send(&highest(self.view.settled())).await
    }
}

/// `* OK [HIGHESTMODSEQ n]`
pub(super) fn highest(mod_seq: ModSeq) -> Untagged {
    Untagged::Status(Completion {
        status: Status::Ok,
        code: Some(Code::HighestModSeq(mod_seq)),
        text: "Everything up to it is told.".into(),
    })
}

/// What became of some messages since a client knew them.
pub(super) struct Since<'a> {
    pub(super) mailbox: &'a dyn Mailbox,
    pub(super) state: &'a MailboxState,
    pub(super) view: &'a View,
    /// What the client knew.
    pub(super) mod_seq: ModSeq,
    /// Which messages.
    pub(super) uids: UidSet,
}

impl<'a> Since<'a> {
    /// What a client asks for when it opens a mailbox. A client of other UIDs is told nothing
    /// (RFC 7162 §3.2.5; protocol rule 11).
    pub(super) fn selected(
        known: &QResync,
        (mailbox, state, view): (&'a dyn Mailbox, &'a MailboxState, &'a View),
    ) -> Option<Self> {
        let all = || UidSet::range(Uid::MIN, last_used(state));
        (known.uid_validity == state.summary.uid_validity).then(|| Self {
            mailbox,
            state,
            view,
            mod_seq: known.mod_seq,
            uids: known.known_uids.clone().unwrap_or_else(all),
        })
    }

    /// Tells which are gone, but for those that the client knows to be gone because it knows the
    /// number of a later one (RFC 7162 §3.2.5.2). Messages that are still in the view are told of
    /// when it gives them up, and not before (§3.2.10.2).
    pub(super) async fn tell_vanished(
        &self,
        known_to: Option<Uid>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        if self.mod_seq >= self.state.summary.highest_mod_seq {
            return Ok(());
        }
        let from = known_to.map_or(Some(Uid::MIN), Uid::next);
        let Some(from) = from else { return Ok(()) };
        let wanted = self.uids.intersection(&UidSet::range(from, Uid::MAX));
        // What never was is not gone: a message may still come by such a UID.
        let were = UidSet::range(Uid::MIN, last_used(self.state));
        let wanted = wanted.intersection(&were);
        match self.mailbox.expunged_since(self.mod_seq).await? {
            Some(gone) => {
                let gone = gone.intersection(&wanted);
                let gone = gone.difference(&self.view.told_of(&gone));
                let ranges = gone.ranges().map(|r| (*r.start(), *r.end()));
                send_vanished(ranges, sink).await
            }
            // Further back than is remembered: all that are not there (RFC 7162 §3.2.6).
            None => send_vanished(self.view.gaps(&wanted), sink).await,
        }
    }

    /// Tells the flags of those that changed.
    pub(super) async fn tell_changed(&self, mode: Mode, sink: &mut Sink) -> io::Result<()> {
        for (uid, row) in self.state.changed_since(self.mod_seq) {
            if self.uids.contains(uid)
                && let Some(told) = self.view.flags_response(self.state, (uid, row), mode)
            {
                sink.send(&told).await?;
            }
        }
        Ok(())
    }
}

/// The greatest UID that was ever given; the smallest in a mailbox that never had a message.
pub(super) fn last_used(state: &MailboxState) -> Uid {
    let next = state.summary.uid_next.get();
    Uid::new(next.saturating_sub(1)).unwrap_or(Uid::MIN)
}

async fn send_vanished(
    ranges: impl Iterator<Item = (Uid, Uid)>,
    sink: &mut Sink,
) -> Result<(), Failure> {
    for told in vanished(Vanished::Earlier, ranges) {
        sink.send(&told).await?;
    }
    Ok(())
}

/// VANISHED in as many responses as it takes for each to be of bounded length.
pub(super) fn vanished(
    when: Vanished,
    mut ranges: impl Iterator<Item = (Uid, Uid)>,
) -> impl Iterator<Item = Untagged> {
    std::iter::from_fn(move || {
        let some: UidSet = ranges.by_ref().take(VANISHED_RANGES_MAX).collect();
        (!some.is_empty()).then(|| Untagged::Vanished(when, some))
    })
}
