//! An account opened for an actor.

use std::sync::Arc;

use async_trait::async_trait;
use mail::{
    date::DateTime,
    flag::Flags,
    id::{BodyId, MailboxId, Uid},
    mailbox::{MailboxName, SpecialUse},
    set::UidSet,
};
use tokio::sync::watch;

use super::{
    blocking,
    body::Packed,
    core::Core,
    engine::Engine,
    mailbox::EmbeddedMailbox,
    planner::{Draft, Planned, Planner, Stamp},
    record::{BodyData, BodyRecord, Record},
    rights::{Right, Subject, authorise},
    upload::{Content, EmbeddedUpload},
};
use crate::{
    contract::{
        Access, Account, AccountInfo, Actor, Appended, Mailbox, MailboxInfo, NewMessage, Static,
        Subscription, Tree, Upload, Usage, first_thread,
    },
    error::{Error, Result, What},
    rules::{
        Context,
        messages::{Added, Transfer, Wanted, append, transfer},
        names, quota,
    },
    state::{MailboxState, Summary},
};

/// How often a large message is written again because a commit failed meanwhile.
const EPOCH_TRIES: usize = 3;
/// A message up to this long is compressed at once, a longer one on a thread for such work.
const PACK_HERE_BYTES: usize = 64 << 10;

/// An account of the embedded engine.
pub(crate) struct EmbeddedAccount {
    pub(crate) engine: Arc<Engine>,
    pub(crate) planner: Arc<Planner>,
    actor: Actor,
}

/// A message that is whole, with the id of its body.
struct Incoming {
    upload: EmbeddedUpload,
    data: Body,
    fixed: Arc<Static>,
    flags: Flags,
    internal_date: Option<DateTime>,
    body: BodyId,
}

/// Bodies that were written before the transaction that will name them; given up if it does not
/// come.
struct Written {
    core: Arc<Core>,
    epoch: u64,
    bodies: Vec<BodyId>,
}

impl Drop for Written {
    fn drop(&mut self) {
        for id in self.bodies.drain(..) {
            self.core.drop_body(id);
        }
    }
}

/// A message's bytes as they go to the log.
enum Body {
    /// With the transaction.
    Packed(Packed),
    /// Before it, from a spool.
    Spooled(Content),
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
            origin: Arc::clone(&self.actor.origin),
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

    async fn receive(&self, messages: Vec<NewMessage>) -> Result<Vec<Incoming>> {
        let mut incoming = Vec::with_capacity(messages.len());
        for message in messages {
            let upload = message.upload.into_any().downcast::<EmbeddedUpload>();
            let mut upload = *upload.map_err(|_| Error::Cannot("an upload of another engine"))?;
            let fixed = Arc::new(message.fixed);
            incoming.push(Incoming {
                data: self.pack(upload.content().await?, &fixed).await?,
                upload,
                fixed,
                flags: message.flags,
                internal_date: message.internal_date,
                body: self.engine.body_id()?,
            });
        }
        Ok(incoming)
    }

    /// Compresses a short message before anything waits for it.
    async fn pack(&self, content: Content, fixed: &Static) -> Result<Body> {
        let (header_bytes, level) = (fixed.header_bytes, self.engine.compression_level());
        Ok(match content {
            Content::Spooled(..) => Body::Spooled(content),
            Content::Inline(bytes) if bytes.len() <= PACK_HERE_BYTES => {
                Body::Packed(Packed::new(&[bytes], header_bytes, level))
            }
            Content::Inline(bytes) => {
                let pack = move || Ok(Packed::new(&[bytes], header_bytes, level));
                Body::Packed(blocking(pack).await?)
            }
        })
    }

    /// Writes the bodies that are too long for a transaction. They count with the transaction that
    /// refers to them, if it is of the same epoch.
    async fn write_bodies(&self, epoch: u64, incoming: &[Incoming]) -> Result<Written> {
        let mut written = Written {
            core: Arc::clone(&self.engine.parts.core),
            epoch,
            bodies: Vec::new(),
        };
        for message in incoming {
            if let Body::Spooled(content) = &message.data {
                let core = Arc::clone(&self.engine.parts.core);
                let (id, content) = (message.body, content.clone());
                written.bodies.push(id);
                blocking(move || core.body_frames(epoch, id, &mut content.pieces())).await?;
            }
        }
        Ok(written)
    }

    /// Plans an APPEND; `None` if the bodies were written in an epoch that is over.
    fn plan_append(
        &self,
        context: &Context,
        planned: &mut Planned,
        to: MailboxId,
        (written, incoming): (&mut Written, &mut [Incoming]),
    ) -> Result<(Draft, Option<Appended>)> {
        if !written.bodies.is_empty() && planned.epoch() != written.epoch {
            return Ok((Draft::nothing(planned), None));
        }
        for message in incoming.iter_mut() {
            let reserved = message.upload.take_reserved();
            planned.reserved = quota::subtract(planned.reserved, reserved);
        }
        let more = incoming.iter().fold(Usage::default(), |sum, message| {
            quota::add(sum, message.usage())
        });
        quota::fits(planned.info.quota, planned.usage, planned.reserved, more)?;
        let state = Arc::clone(planned.mailbox(to)?);
        let added: Vec<Added> = incoming
            .iter()
            .map(|message| message.added(context.now_secs))
            .collect();
        let (mut change, uids) = append(context, &state, &added)?;
        let bodies = incoming
            .iter()
            .map(|message| Record::Body(message.record()));
        change.records.splice(0..0, bodies);
        let usage = quota::add(planned.usage, more);
        // From here on the transaction answers for them.
        written.bodies.clear();
        let appended = Appended {
            uid_validity: state.summary.uid_validity,
            uids,
        };
        Ok((
            Draft::messages(planned, Some(change), usage),
            Some(appended),
        ))
    }
}

impl Incoming {
    fn usage(&self) -> Usage {
        Usage {
            bytes: self.upload.len(),
            messages: 1,
        }
    }

    fn added(&self, now_secs: i64) -> Added {
        Added {
            body: self.body,
            thread: first_thread(self.body).unwrap_or(mail::id::ThreadId::MIN),
            size: u32::try_from(self.upload.len()).unwrap_or(u32::MAX),
            internal_date: self.internal_date.unwrap_or(DateTime {
                secs: now_secs,
                offset_minutes: 0,
            }),
            flags: self.flags.clone(),
        }
    }

    fn record(&self) -> BodyRecord {
        BodyRecord {
            id: self.body,
            size: self.upload.len(),
            digest: self.upload.digest(),
            data: match &self.data {
                Body::Packed(packed) => BodyData::Packed(packed.clone()),
                Body::Spooled(_) => BodyData::Before,
            },
            fixed: Arc::clone(&self.fixed),
        }
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
                let change = names::subscribe(&context, &planned.tree, name, subscription);
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
        let upload = EmbeddedUpload::begin(engine, planner, announced_bytes)?;
        Ok(Box::new(upload))
    }

    async fn append(&self, to: MailboxId, messages: Vec<NewMessage>) -> Result<Appended> {
        self.check_mailbox(to, Right::Insert)?;
        self.engine.check_space()?;
        let cell = self.planner.cell(to).await?;
        self.engine.evict();
        let mut incoming = self.receive(messages).await?;
        for _ in 0..EPOCH_TRIES {
            let epoch = self.engine.parts.core.epoch();
            let mut written = self.write_bodies(epoch, &incoming).await?;
            let context = self.context();
            let plan = |planned: &mut Planned| {
                self.plan_append(&context, planned, cell.id, (&mut written, &mut incoming))
            };
            let appended = self.planner.commit(&self.stamp(&context), plan).await?;
            if let Some(appended) = appended {
                return Ok(appended);
            }
        }
        Err(Error::Unavailable("commits keep failing".into()))
    }
}
