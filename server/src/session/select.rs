//! ENABLE, SELECT, EXAMINE (RFC 9051 §6.3.1 to §6.3.3), CLOSE and UNSELECT (§6.4.1, §6.4.2).

use mail::{
    flag::SystemFlags,
    id::Uid,
    set::{Set, UidSet},
};
use store::{Expunge, Mailbox, MailboxInfo, state::MailboxState};
use wire::{
    encode::{Revision, Sync},
    imap::{
        code::Code,
        response::{Completion, Status, Untagged},
        select::{Access, Enable, Enableable, QResync, Select},
        sequence::{Numbers, Seq},
    },
};

use super::{
    Authenticated, Context, OwnDeleted, Reply, Selected, Session,
    answer::{Failure, Outcome, ok, ok_with},
    list, reply,
    resync::{Since, highest},
    sink::Sink,
    view::{View, all_system_flags, permanent_flags},
};
use crate::quirks::Quirk;

impl Authenticated {
    /// ENABLE: always answered, whatever was asked for (protocol rule 25).
    pub(super) async fn enable(
        &mut self,
        enable: &Enable,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let mut enabled: Vec<Enableable> = Vec::new();
        for &capability in &enable.capabilities {
            let is_withheld =
                capability == Enableable::UidOnly && context.works_around(Quirk::NoUidOnly);
            if !is_withheld && !enabled.contains(&capability) {
                self.mode = self.mode.enabled(capability);
                enabled.push(capability);
            }
        }
        sink.send(&Untagged::Enabled(enabled)).await?;
        sink.set_mode(self.mode);
        Ok(ok("Enabled."))
    }

    /// SELECT or EXAMINE; after a failure no mailbox is selected (protocol rule 22).
    pub(super) async fn select(
        mut self,
        select: &Select,
        context: &Context,
        sink: &mut Sink,
    ) -> (Session, Reply) {
        if let Err(failure) = self.may_select(select) {
            return (Session::Authenticated(self), reply(Err(failure)));
        }
        if select.parameters.condstore {
            self.want(Sync::CondStore, sink);
        }
        let access = self.login.grants(select.access);
        match self.open((select, access), context, sink).await {
            Ok((mailbox, view)) => {
                let (code, text) = match access {
                    Access::ReadWrite => (Code::ReadWrite, "The mailbox is open."),
                    Access::ReadOnly => (Code::ReadOnly, "The mailbox is open, read-only."),
                };
                let selected = Selected {
                    auth: self,
                    mailbox,
                    access,
                    view,
                    own_deleted: OwnDeleted::default(),
                };
                (
                    Session::Selected(selected),
                    Reply::Done(ok_with(code, text)),
                )
            }
            Err(failure) => (Session::Authenticated(self), reply(Err(failure))),
        }
    }

    async fn open(
        &self,
        (select, access): (&Select, Access),
        context: &Context,
        sink: &mut Sink,
    ) -> Result<(std::sync::Arc<dyn Mailbox>, View), Failure> {
        let info = self.find(&select.mailbox)?;
        let opened = match access {
            Access::ReadWrite => store::Access::ReadWrite,
            Access::ReadOnly => store::Access::ReadOnly,
        };
        let mailbox = self.account.open_mailbox(info.id, opened).await?;
        let state = mailbox.state();
        let recent = take_recent(&*mailbox, &state, access, self.mode.revision);
        let view = View::new(&state, recent, access);
        sink.send_all(&self.opening(&state, &view, access)).await?;
        if self.mode.revision == Revision::Rev2 {
            sink.send(&self.opened(&info, select)?).await?;
        }
        if let Some(known) = &select.parameters.qresync {
            let opened = (&*mailbox, &*state, &view);
            self.resync(known, opened, sink).await?;
        }
        context.place.opened(info.name.as_str());
        Ok((mailbox, view))
    }

    /// What became of a mailbox since the client knew it (RFC 7162 §3.2.5).
    async fn resync(
        &self,
        known: &QResync,
        (mailbox, state, view): (&dyn Mailbox, &MailboxState, &View),
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let Some(since) = Since::selected(known, (mailbox, state, view)) else {
            return Ok(());
        };
        let matching = known.matches.as_ref();
        let known_to = matching.and_then(|(seqs, uids)| view.matching(seqs, uids));
        since.tell_vanished(known_to, sink).await?;
        Ok(since.tell_changed(self.mode, sink).await?)
    }

    /// What SELECT tells of a mailbox (RFC 9051 §6.3.2; RFC 3501 §6.3.1 for RECENT and UNSEEN).
    /// HIGHESTMODSEQ is told to those who have said that they know of it (RFC 7162 §3.1.2.1).
    fn opening(&self, state: &MailboxState, view: &View, access: Access) -> Vec<Untagged> {
        let keywords = state.keywords.names().to_vec();
        let mut out = vec![
            Untagged::Flags(all_system_flags(), keywords.clone()),
            Untagged::Exists(view.count()),
        ];
        if self.mode.revision == Revision::Rev1 {
            let recent = view.recent_uids().count();
            out.push(Untagged::Recent(u32::try_from(recent).unwrap_or(u32::MAX)));
            // With UIDONLY no sequence number is told (RFC 9586 §3).
            let unseen = (self.mode.numbers == Numbers::Seq).then(|| first_unseen(state));
            let told = |seq| status(Code::Unseen(seq), "The first unseen message.");
            out.extend(unseen.flatten().map(told));
        }
        out.push(permanent_flags(access, keywords));
        out.push(status(
            Code::UidNext(state.summary.uid_next),
            "The next UID, at least.",
        ));
        out.push(status(
            Code::UidValidity(state.summary.uid_validity),
            "UIDs are valid.",
        ));
        if self.mode.sync >= Sync::CondStore {
            out.push(highest(state.summary.highest_mod_seq));
        }
        // RFC 8474 §4.2.
        out.push(status(Code::MailboxId(state.id), "The mailbox's own id."));
        out
    }

    /// The LIST line of SELECT in IMAP4rev2, with OLDNAME if the client used another spelling.
    fn opened(&self, info: &MailboxInfo, select: &Select) -> Result<Untagged, Failure> {
        let written = self.name(&select.mailbox)?;
        let plain = || list::entry_of(&self.account.tree(), info, list::Attributes::default());
        Ok(self
            .respelled(&written, info)
            .unwrap_or_else(|| Untagged::List(plain())))
    }
}

impl Selected {
    /// SELECT or EXAMINE while a mailbox is selected: that one is closed first, whatever follows.
    pub(super) async fn reselect(
        self,
        select: &Select,
        context: &Context,
        sink: &mut Sink,
    ) -> (Session, Reply) {
        if let Err(failure) = self.auth.may_select(select) {
            return (Session::Selected(self), reply(Err(failure)));
        }
        let auth = self.leave(&UidSet::new());
        match sink.send(&closed()).await {
            Ok(()) => auth.select(select, context, sink).await,
            Err(error) => (Session::Authenticated(auth), Reply::Gone(error)),
        }
    }

    /// CLOSE: expunges without telling, unless the mailbox is read-only (protocol rule 21). If it
    /// cannot expunge, the mailbox stays open.
    pub(super) async fn close(self) -> (Session, Reply) {
        let outcome = match self.access {
            Access::ReadOnly => Ok(UidSet::new()),
            Access::ReadWrite => self.mailbox.expunge(Expunge::Deleted).await,
        };
        match outcome {
            Ok(gone) => {
                let done = Reply::Done(ok("The mailbox is closed."));
                (Session::Authenticated(self.leave(&gone)), done)
            }
            Err(error) => (Session::Selected(self), reply(Err(error.into()))),
        }
    }
}

/// `* OK [CLOSED]`: what follows is not about the mailbox that was selected (RFC 9051 §7.1).
pub(super) fn closed() -> Untagged {
    status(Code::Closed, "The mailbox that was open is closed.")
}

/// Takes the recent messages for a session that may have them: read-write, IMAP4rev1
/// (RFC 3501 §2.3.2; protocol rule 23). EXAMINE shows them without taking.
pub(super) fn take_recent(
    mailbox: &dyn Mailbox,
    state: &MailboxState,
    access: Access,
    revision: Revision,
) -> UidSet {
    let first = match (revision, access) {
        (Revision::Rev2, _) => None,
        (Revision::Rev1, Access::ReadWrite) => mailbox.take_recent(state),
        (Revision::Rev1, Access::ReadOnly) => Some(state.recent_floor),
    };
    match (first, state.last_uid()) {
        (Some(first), Some(last)) if first <= last => {
            let range: UidSet = Set::range(first, last);
            state
                .rows_of(&range)
                .map(|(uid, _): (Uid, _)| uid)
                .collect()
        }
        _ => UidSet::new(),
    }
}

fn first_unseen(state: &MailboxState) -> Option<Seq> {
    if state.summary.unseen == 0 {
        return None;
    }
    let at = state
        .rows()
        .position(|(_, row)| !row.system.contains(SystemFlags::SEEN))?;
    Seq::new(u32::try_from(at).ok()?.checked_add(1)?)
}

fn status(code: Code, text: &'static str) -> Untagged {
    Untagged::Status(Completion {
        status: Status::Ok,
        code: Some(code),
        text: text.into(),
    })
}
