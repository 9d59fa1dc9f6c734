//! NOTIFY (RFC 5465): a client says once what it wants to be told of, and is told all the time.
//!
//! Nothing is queued: what a client knows is compared with what is so now, whenever something of the
//! account has changed and nothing is being answered. Of the selected mailbox the view knows what
//! was told; of the others, [`watch`] does.

mod counts;
mod groups;
mod names;
mod watch;

use std::io;

use mail::{
    id::{MailboxId, Uid},
    mailbox::{MailboxKey, MailboxName},
    set::UidSet,
};
use wire::imap::{
    code::Code,
    fetch::FetchItem,
    notify::{self, NotifySet, SelectedEvents, Timing},
    response::Untagged,
    table::Expunge,
};

use self::{counts::Counts, groups::Groups, watch::Watch};
use super::{
    Authenticated, Context, Selected, Session,
    answer::{Failure, Outcome, ok, ok_with, refuse},
    sink::Sink,
    view::Wanted,
};

/// What a client asked for, from its first NOTIFY on. Without anything it is as NOTIFY NONE left it:
/// nothing is told that is not the answer of a command.
#[derive(Default)]
pub(super) struct Notify {
    selected: Option<SelectedEvents>,
    /// Messages of the selected mailbox that the client knows to exist, and that are to be described.
    new: UidSet,
    /// Messages that it added to the selected mailbox itself: those are not (RFC 5465 §5.2).
    own: UidSet,
    watch: Watch,
    /// Mailboxes and new messages that may be told of at a time.
    backlog: u32,
}

impl Notify {
    /// What is told of the selected mailbox while a command with this rule is being answered.
    fn tells(&self, expunge: Expunge) -> Wanted {
        match &self.selected {
            None => Wanted::NOTHING,
            Some(events) => Wanted {
                expunge: match events.expunges {
                    Timing::AtOnce => Expunge::May,
                    Timing::Delayed => expunge,
                },
                new: true,
                flags: events.flags,
            },
        }
    }

    fn is_anything_wanted(&self) -> bool {
        self.selected.is_some() || !self.watch.is_empty()
    }

    /// What is to be fetched of new messages.
    fn items(&self) -> &[FetchItem] {
        self.selected
            .as_ref()
            .map_or(&[], |events| events.items.as_slice())
    }

    fn is_too_much(&self, count: usize) -> bool {
        u32::try_from(count).map_or(true, |count| count > self.backlog)
    }
}

impl Session {
    /// Whether the client is to be told of changes also while it says nothing.
    #[must_use]
    pub fn is_notified(&self) -> bool {
        let notify = self.authenticated().and_then(|auth| auth.notify.as_ref());
        notify.is_some_and(|notify| notify.is_anything_wanted())
    }

    /// Notes that this session added messages to a mailbox, all in one step.
    pub(super) fn added(&mut self, to: MailboxId, uids: &UidSet) {
        match self {
            Self::NotAuthenticated => {}
            Self::Authenticated(auth) => auth.did_messages(to),
            Self::Selected(selected) => selected.added(to, uids),
        }
    }
}

impl Authenticated {
    /// NOTIFY; after NO or BAD what was asked for before stays.
    pub(super) async fn notify(
        &mut self,
        asked: &notify::Notify,
        selected: Option<MailboxId>,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let set = match asked {
            notify::Notify::None => {
                self.notify = Some(Box::default());
                return Ok(ok("You are told of nothing."));
            }
            notify::Notify::Set(set) => set,
        };
        if set.names_unsupported {
            return refuse(Code::BadEvent, "One of these events is not supported.");
        }
        let notify = self.begin(set, context)?;
        if set.status {
            let counters = notify
                .watch
                .counters(&*self.account, selected, self.mode.sync);
            for told in counters {
                sink.send(&told).await?;
            }
        }
        self.notify = Some(Box::new(notify));
        Ok(ok("You are told as it happens."))
    }

    fn begin(&self, set: &NotifySet, context: &Context) -> Result<Notify, Failure> {
        let groups = Groups::new(&set.groups, |name| self.name(name).ok());
        Ok(Notify {
            selected: set.selected.clone(),
            watch: Watch::begin(groups, &*self.account)?,
            backlog: context.service.config.limits.notify_backlog,
            ..Notify::default()
        })
    }

    /// What of its selected mailbox the client may be told now.
    pub(super) fn tells(&self, expunge: Expunge) -> Wanted {
        match &self.notify {
            None => Wanted::all(expunge),
            Some(notify) => notify.tells(expunge),
        }
    }

    /// Tells of the mailboxes that are not selected, and of names and subscriptions.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub(super) async fn tell_others(
        &mut self,
        selected: Option<MailboxId>,
        sink: &mut Sink,
    ) -> io::Result<()> {
        let Some(notify) = self.notify.as_mut().filter(|n| !n.watch.is_empty()) else {
            return Ok(());
        };
        let news = notify.watch.news(&*self.account, selected, self.mode.sync);
        match notify.is_too_much(news.len()) {
            true => self.overflow(sink).await,
            false => sink.send_all(&news).await,
        }
    }

    /// Too much has happened since the client was last told: it is told so, and nothing more
    /// (RFC 5465 §5.8).
    async fn overflow(&mut self, sink: &mut Sink) -> io::Result<()> {
        self.notify = Some(Box::default());
        let told = ok_with(
            Code::NotificationOverflow,
            "Too much has happened at once: look for yourself, and say NOTIFY again.",
        );
        sink.send(&Untagged::Status(told)).await
    }

    /// Notes that this session changed the messages of a mailbox in one step. Where it is not
    /// selected, that is no news to its client (RFC 5465 §5).
    pub(super) fn did_messages(&mut self, id: MailboxId) {
        if let Some(notify) = &mut self.notify {
            notify.watch.did_messages(id, &*self.account);
        }
    }

    /// Notes that this session itself made or removed mailboxes of these names.
    pub(super) fn did_names(&mut self, is_own: impl Fn(&MailboxKey) -> bool) {
        if let Some(notify) = &mut self.notify {
            notify.watch.did_names(&*self.account, is_own);
        }
    }

    /// Notes that this session itself subscribed to a name, or ended that.
    pub(super) fn did_subscribe(&mut self, name: &MailboxName) {
        if let Some(notify) = &mut self.notify {
            notify.watch.did_subscribe(&*self.account, name);
        }
    }
}

impl Selected {
    /// NOTIFY; SET implies NOOP (RFC 5465 §3.1), whatever was asked for before.
    pub(super) async fn notify(
        &mut self,
        asked: &notify::Notify,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let selected = Some(self.mailbox.id());
        let outcome = self.auth.notify(asked, selected, context, sink).await;
        if outcome.is_ok() && matches!(asked, notify::Notify::Set(_)) {
            let gone = self.tell_changes(Wanted::all(Expunge::May), sink).await?;
            self.settle(gone, sink).await?;
        }
        outcome
    }

    /// Notes which messages the client knows to exist only now: those after `last`.
    pub(super) fn note_new(&mut self, last: Option<Uid>) {
        let Some(notify) = self.auth.notify.as_mut().filter(|n| !n.items().is_empty()) else {
            return;
        };
        if let Some(first) = last.map_or(Some(Uid::MIN), Uid::next) {
            let new = self.view.told_of(&UidSet::range(first, Uid::MAX));
            notify.new = notify.new.union(&new);
        }
    }

    /// Describes new messages as the client asked for, but for those that it added itself
    /// (RFC 5465 §5.2).
    pub(super) async fn describe_new(
        &mut self,
        context: &Context,
        sink: &mut Sink,
    ) -> io::Result<()> {
        let Some(notify) = self.auth.notify.as_mut() else {
            return Ok(());
        };
        let own = std::mem::take(&mut notify.own);
        let new = std::mem::take(&mut notify.new).difference(&own);
        if new.is_empty() {
            return Ok(());
        }
        if new.count() > u64::from(notify.backlog) {
            return self.auth.overflow(sink).await;
        }
        let items = notify.items().to_vec();
        match self.fetch_unasked(&new, items, context, sink).await {
            Err(Failure::Disconnected(error)) => Err(error),
            // Why was logged where it was found; the client sees that something is missing.
            Ok(()) | Err(Failure::Answer(_)) => Ok(()),
        }
    }

    /// Notes that this session added messages to a mailbox, all in one step.
    pub(super) fn added(&mut self, to: MailboxId, uids: &UidSet) {
        if to != self.mailbox.id() {
            self.auth.did_messages(to);
        } else if let Some(notify) = &mut self.auth.notify
            && !notify.items().is_empty()
        {
            notify.own = notify.own.union(uids);
        }
    }

    /// Goes on without a mailbox. What its client was told of it is what it knows; those that it
    /// expunged as it went are gone.
    pub(super) fn leave(self, expunged: &UidSet) -> Authenticated {
        let Self {
            mut auth,
            mailbox,
            view,
            ..
        } = self;
        if let Some(notify) = &mut auth.notify {
            let gone = view.told_of(expunged).count();
            let gone = u32::try_from(gone).unwrap_or(u32::MAX);
            let told = Counts {
                messages: view.count().saturating_sub(gone),
                uid_next: view.uid_next(),
                mod_seq: view.settled(),
                unseen: mailbox.state().summary.unseen,
                uid_validity: Some(view.uid_validity()),
            };
            notify.watch.left(mailbox.id(), told);
            (notify.new, notify.own) = (UidSet::new(), UidSet::new());
        }
        auth
    }
}
