//! An account opened for an actor.

use std::sync::Arc;

use async_trait::async_trait;
use mail::{
    id::{MailboxId, Uid},
    mailbox::{MailboxName, SpecialUse},
    set::UidSet,
};
use tokio::sync::watch;

use super::{
    engine::Engine,
    mailbox::EmbeddedMailbox,
    planner::{Draft, Planner, Stamp},
    rights::{Right, Subject, authorise},
    upload::{EmbeddedUpload, Reservation},
};
use crate::{
    contract::{
        Access, Account, AccountInfo, Actor, Appended, Delivery, Mailbox, MailboxInfo, NewMessage,
        News, Subscription, Tree, Upload, Usage,
    },
    error::{Error, Result, What},
    rules::{
        Context,
        messages::{Transfer, Wanted, transfer},
        names, quota,
    },
    state::{MailboxState, Summary},
};

/// An account of the embedded engine.
pub(crate) struct EmbeddedAccount {
    pub(crate) engine: Arc<Engine>,
    pub(crate) planner: Arc<Planner>,
    actor: Actor,
}

impl EmbeddedAccount {
    pub(crate) const fn new(engine: Arc<Engine>, planner: Arc<Planner>, actor: Actor) -> Self {
        Self {
            engine,
            planner,
            actor,
        }
    }

    fn check(&self, right: Right) -> Result<()> {
        self.engine.check_open()?;
        authorise(&self.actor, Subject::Account(self.planner.account), right)
    }

    pub(crate) fn check_mailbox(&self, id: MailboxId, right: Right) -> Result<()> {
        self.engine.check_open()?;
        let subject = Subject::Mailbox(self.planner.account, id);
        authorise(&self.actor, subject, right)
    }

    pub(crate) fn context(&self) -> Context {
        self.engine.context(self.planner.account)
    }

    pub(crate) fn stamp(&self, context: &Context) -> Stamp {
        Stamp {
            time_secs: context.now_secs,
            origin: self.actor.stamp(),
        }
    }

    /// RENAME of INBOX: its mail moves into a new mailbox, whole (RFC 9051 §6.3.6).
    async fn rename_inbox(&self, inbox: MailboxId, to: &MailboxName) -> Result<()> {
        let source = self.planner.cell(inbox).await?;
        let context = self.context();
        self.planner
            .commit(&self.stamp(&context), |planned| {
                let mut issuer = self.engine.issuer(context.now_secs);
                let tree = names::rename_inbox(&context, &planned.tree, to, &mut issuer)?;
                let new = tree.created.last().ok_or(Error::NotFound(What::Mailbox))?;
                let target = MailboxState::empty(new.id, new.uid_validity);
                let wanted = Wanted {
                    uids: &UidSet::range(Uid::MIN, Uid::MAX),
                    from: Uid::MIN,
                    transfer: Transfer::MoveWhole,
                };
                let step = transfer(&context, planned.mailbox(source.id)?, &target, &wanted)?;
                let change = step.change.unwrap_or_default();
                let mut draft = Draft::tree(planned, tree);
                draft.records.extend(change.records);
                draft.next.states = change.states;
                Ok((draft, ()))
            })
            .await
    }
}

#[async_trait]
impl Account for EmbeddedAccount {
    fn info(&self) -> Arc<AccountInfo> {
        self.planner.shown(|shown| Arc::clone(&shown.info))
    }

    fn tree(&self) -> Arc<Tree> {
        self.planner.shown(|shown| Arc::clone(&shown.tree))
    }

    fn summary(&self, id: MailboxId) -> Result<Summary> {
        self.check_mailbox(id, Right::Lookup)?;
        self.planner.shown(|shown| shown.summary(id))
    }

    fn news(&self, since: u64) -> Result<News> {
        self.check(Right::Lookup)?;
        let mut news = self.planner.shown(|shown| shown.news(since));
        news.mailboxes
            .retain(|of| self.check_mailbox(of.id, Right::Lookup).is_ok());
        Ok(news)
    }

    fn usage(&self) -> Usage {
        self.planner.shown(|shown| shown.usage)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.planner.changes()
    }

    async fn create_mailbox(
        &self,
        name: &MailboxName,
        special_use: &[SpecialUse],
    ) -> Result<Arc<MailboxInfo>> {
        self.check(Right::Names)?;
        self.engine.check_space()?;
        let context = self.context();
        self.planner
            .commit(&self.stamp(&context), |planned| {
                let mut issuer = self.engine.issuer(context.now_secs);
                let wanted = (name, special_use);
                let change = names::create(&context, &planned.tree, wanted, &mut issuer)?;
                let info = change.created.last().cloned();
                let info = info.ok_or(Error::NotFound(What::Mailbox))?;
                Ok((Draft::tree(planned, change), info))
            })
            .await
    }

    async fn delete_mailbox(&self, id: MailboxId) -> Result<()> {
        self.check_mailbox(id, Right::Names)?;
        let context = self.context();
        self.planner
            .commit(&self.stamp(&context), |planned| {
                let change = names::delete(&context, &planned.tree, id)?;
                let mut draft = Draft::tree(planned, change);
                draft.next.usage = quota::subtract(planned.usage, planned.usage_of(id));
                Ok((draft, ()))
            })
            .await
    }

    async fn rename_mailbox(&self, from: &MailboxName, to: &MailboxName) -> Result<()> {
        self.check(Right::Names)?;
        if from.is_inbox() {
            let tree = self.tree();
            let inbox = tree.mailboxes.get(&from.key());
            let inbox = inbox.ok_or(Error::NotFound(What::Mailbox))?.id;
            return self.rename_inbox(inbox, to).await;
        }
        let context = self.context();
        self.planner
            .commit(&self.stamp(&context), |planned| {
                let mut issuer = self.engine.issuer(context.now_secs);
                let names = (from, to);
                let retired = &planned.retired;
                let change = names::rename(&context, &planned.tree, names, retired, &mut issuer)?;
                Ok((Draft::tree(planned, change), ()))
            })
            .await
    }

    async fn subscribe(&self, name: &MailboxName, subscription: Subscription) -> Result<()> {
        self.check(Right::Names)?;
        let context = self.context();
        self.planner
            .commit(&self.stamp(&context), |planned| {
                let change = names::subscribe(&context, &planned.tree, name, subscription)?;
                let draft = match change {
                    Some(change) => Draft::tree(planned, change),
                    None => Draft::nothing(planned),
                };
                Ok((draft, ()))
            })
            .await
    }

    async fn open_mailbox(&self, id: MailboxId, access: Access) -> Result<Arc<dyn Mailbox>> {
        self.check_mailbox(id, Right::Read)?;
        let cell = self.planner.cell(id).await?;
        self.engine.evict();
        let (engine, planner) = (Arc::clone(&self.engine), Arc::clone(&self.planner));
        let actor = self.actor.clone();
        // Who may only read gets no more than that, however it asks.
        let access = match actor.access {
            Access::ReadOnly => Access::ReadOnly,
            Access::ReadWrite => access,
        };
        Ok(Arc::new(EmbeddedMailbox {
            account: Self::new(engine, planner, actor),
            cell,
            access,
        }))
    }

    async fn upload(&self, announced_bytes: u64) -> Result<Box<dyn Upload>> {
        self.check(Right::Insert)?;
        self.engine.check_space()?;
        let (engine, planner) = (Arc::clone(&self.engine), Arc::clone(&self.planner));
        let reservation = Reservation::new(planner);
        let upload = EmbeddedUpload::begin(engine, Some(reservation), announced_bytes)?;
        Ok(Box::new(upload))
    }

    async fn append(&self, to: MailboxId, messages: Vec<NewMessage>) -> Result<Appended> {
        self.check_mailbox(to, Right::Insert)?;
        self.engine.check_space()?;
        let cell = self.planner.cell(to).await?;
        self.engine.evict();
        let mut incoming = self.receive(messages).await?;
        self.add(&cell, &mut incoming, None).await
    }

    async fn deliver(&self, to: MailboxId, message: Delivery) -> Result<Appended> {
        self.check_mailbox(to, Right::Insert)?;
        self.engine.check_space()?;
        let cell = self.planner.cell(to).await?;
        self.engine.evict();
        self.add_delivery(&cell, message).await
    }
}
