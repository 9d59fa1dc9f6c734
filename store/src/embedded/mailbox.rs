//! A mailbox opened for an actor.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use async_trait::async_trait;
use bytes::Bytes;
use mail::{
    flag::{FlagChange, Flags, UnchangedSince},
    id::{BodyId, MailboxId, ModSeq, Uid},
    predicate::Predicate,
    set::UidSet,
};
use tokio::sync::watch;

use super::{
    account::EmbeddedAccount,
    blocking,
    cache::Cell,
    core::Core,
    incoming::Replaced,
    planner::{Draft, Shown},
    rights::Right,
    upload::{EmbeddedUpload, Reservation},
};
use crate::{
    contract::{
        Access, Appended, Expunge, FlagsOutcome, Mailbox, NewMessage, Static, Transferred, Upload,
        Usage,
    },
    error::{Error, Result},
    rules::{
        messages::{self, FlagsRequest, Moved, Step, Transfer, Wanted},
        quota,
    },
    search::{Pace, Source, search},
    state::MailboxState,
};

/// A mailbox of the embedded engine.
pub(crate) struct EmbeddedMailbox {
    /// The account it was opened from: who may do what is asked there.
    pub(crate) account: EmbeddedAccount,
    pub(crate) cell: Arc<Cell>,
    pub(crate) access: Access,
}

impl EmbeddedMailbox {
    fn check(&self, right: Right) -> Result<()> {
        self.account.check_mailbox(self.cell.id, right)?;
        let changes = matches!(right, Right::Flags | Right::Expunge | Right::Insert);
        if changes && self.access == Access::ReadOnly {
            return Err(Error::Denied);
        }
        Ok(())
    }

    /// The core, once the account is in the index, which may be being made again.
    async fn core(&self) -> Result<Arc<Core>> {
        let core = Arc::clone(&self.account.engine.parts.core);
        core.ready(self.account.planner.account).await?;
        Ok(core)
    }

    /// One step of COPY or MOVE, with the UIDVALIDITY of the target.
    async fn transfer_step(
        &self,
        target: &Cell,
        wanted: &Wanted<'_>,
    ) -> Result<(Transferred, Option<Uid>)> {
        let context = self.account.context();
        self.account
            .planner
            .commit(&self.account.stamp(&context), |planned| {
                let source = planned.mailbox(self.cell.id)?;
                let to = planned.mailbox(target.id)?;
                let uid_validity = to.summary.uid_validity;
                let Step {
                    change,
                    did,
                    resume,
                } = messages::transfer(&context, source, to, wanted)?;
                let mut usage = planned.usage;
                if wanted.transfer == Transfer::Copy {
                    let more = usage_of(source, &did);
                    planned.fits(more)?;
                    usage = quota::add(usage, more);
                }
                let Moved { from, to } = did;
                let transferred = Transferred {
                    uid_validity,
                    from,
                    to,
                };
                let draft = Draft::messages(planned, change, usage);
                Ok((draft, (transferred, resume)))
            })
            .await
    }
}

impl Source for Core {
    fn fixed(&self, bodies: &[BodyId]) -> Result<Vec<Arc<Static>>> {
        self.fixed(bodies)
    }

    fn read(&self, body: BodyId, offset: u64, len: usize) -> Result<Bytes> {
        self.read_body(body, offset, len)
    }
}

/// Ends a search on its thread when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What the copies of messages take.
fn usage_of(source: &MailboxState, moved: &Moved) -> Usage {
    source
        .rows_of(&moved.from)
        .fold(Usage::default(), |sum, (_, row)| Usage {
            bytes: sum.bytes.saturating_add(u64::from(row.size)),
            messages: sum.messages.saturating_add(1),
        })
}

#[async_trait]
impl Mailbox for EmbeddedMailbox {
    fn id(&self) -> MailboxId {
        self.cell.id
    }

    fn state(&self) -> Arc<MailboxState> {
        self.cell.state()
    }

    fn watch(&self) -> watch::Receiver<Arc<MailboxState>> {
        self.cell.watch()
    }

    async fn store_flags(
        &self,
        uids: &UidSet,
        change: FlagChange,
        flags: &Flags,
        unchanged_since: Option<UnchangedSince>,
    ) -> Result<FlagsOutcome> {
        self.check(Right::Flags)?;
        let request = FlagsRequest {
            uids,
            change,
            flags,
            unchanged_since,
        };
        let mut outcome = FlagsOutcome::default();
        let mut from = Some(Uid::MIN);
        while let Some(uid) = from {
            let context = self.account.context();
            let (did, resume) = self
                .account
                .planner
                .commit(&self.account.stamp(&context), |planned| {
                    let state = planned.mailbox(self.cell.id)?;
                    let step = messages::store_flags(&context, state, &request, uid)?;
                    let draft = Draft::messages(planned, step.change, planned.usage);
                    Ok((draft, (step.did, step.resume)))
                })
                .await?;
            outcome.done = outcome.done.union(&did.done);
            outcome.modified = outcome.modified.union(&did.modified);
            outcome.mod_seq = outcome.mod_seq.max(did.mod_seq);
            from = resume;
        }
        let known = outcome.done.union(&outcome.modified);
        outcome.missing = uids.difference(&known);
        Ok(outcome)
    }

    async fn expunge(&self, which: Expunge) -> Result<UidSet> {
        self.check(Right::Expunge)?;
        let mut gone = UidSet::new();
        let mut from = Some(Uid::MIN);
        while let Some(uid) = from {
            let context = self.account.context();
            let (did, resume) = self
                .account
                .planner
                .commit(&self.account.stamp(&context), |planned| {
                    let state = planned.mailbox(self.cell.id)?;
                    let step = messages::expunge(&context, state, &which, uid)?;
                    let moved = Moved {
                        from: step.did,
                        to: UidSet::new(),
                    };
                    let usage = quota::subtract(planned.usage, usage_of(state, &moved));
                    let draft = Draft::messages(planned, step.change, usage);
                    Ok((draft, (moved.from, step.resume)))
                })
                .await?;
            gone = gone.union(&did);
            from = resume;
        }
        Ok(gone)
    }

    async fn copy(&self, uids: &UidSet, to: MailboxId) -> Result<Transferred> {
        self.check(Right::Read)?;
        self.account.check_mailbox(to, Right::Insert)?;
        self.account.engine.check_space()?;
        let target = self.account.planner.cell(to).await?;
        self.account.engine.evict();
        let wanted = Wanted {
            uids,
            from: Uid::MIN,
            transfer: Transfer::Copy,
        };
        let (transferred, _) = self.transfer_step(&target, &wanted).await?;
        Ok(transferred)
    }

    async fn move_to(&self, uids: &UidSet, to: MailboxId) -> Result<Transferred> {
        self.check(Right::Expunge)?;
        self.account.check_mailbox(to, Right::Insert)?;
        let target = self.account.planner.cell(to).await?;
        self.account.engine.evict();
        let mut wanted = Wanted {
            uids,
            from: Uid::MIN,
            transfer: Transfer::Move,
        };
        let (mut all, mut resume) = self.transfer_step(&target, &wanted).await?;
        while let Some(uid) = resume {
            wanted.from = uid;
            let (more, next) = self.transfer_step(&target, &wanted).await?;
            all.from = all.from.union(&more.from);
            all.to = all.to.union(&more.to);
            resume = next;
        }
        Ok(all)
    }

    async fn upload_replacing(&self, uid: Uid, announced_bytes: u64) -> Result<Box<dyn Upload>> {
        self.check(Right::Expunge)?;
        self.account.engine.check_space()?;
        let (engine, planner) = (&self.account.engine, &self.account.planner);
        let mailbox = &*self.cell;
        let replaced = planner.adjust(|planned| Replaced { mailbox, uid }.usage(planned))?;
        let reservation = Reservation::instead_of(Arc::clone(planner), replaced);
        let upload = EmbeddedUpload::begin(Arc::clone(engine), Some(reservation), announced_bytes)?;
        Ok(Box::new(upload))
    }

    async fn replace(&self, uid: Uid, to: MailboxId, message: NewMessage) -> Result<Appended> {
        self.check(Right::Expunge)?;
        self.account.check_mailbox(to, Right::Insert)?;
        self.account.engine.check_space()?;
        let target = self.account.planner.cell(to).await?;
        self.account.engine.evict();
        let mut incoming = self.account.receive(vec![message]).await?;
        let replaced = Replaced {
            mailbox: &self.cell,
            uid,
        };
        self.account
            .add(&target, &mut incoming, Some(replaced))
            .await
    }

    async fn fixed(&self, bodies: &[BodyId]) -> Result<Vec<Arc<Static>>> {
        self.check(Right::Read)?;
        let (core, bodies) = (self.core().await?, bodies.to_vec());
        blocking(move || core.fixed(&bodies)).await
    }

    async fn expunged_since(&self, mod_seq: ModSeq) -> Result<Option<UidSet>> {
        self.check(Right::Read)?;
        let (core, id) = (self.core().await?, self.cell.id);
        let account = self.account.planner.account;
        let lsn = self.account.planner.shown(Shown::lsn);
        blocking(move || {
            if let Some(lsn) = lsn {
                core.wait_applied(lsn)?;
            }
            core.history(account, id, mod_seq)
        })
        .await
    }

    async fn read(&self, body: BodyId, offset: u64, len: usize) -> Result<Bytes> {
        self.check(Right::Read)?;
        let core = self.core().await?;
        blocking(move || core.read_body(body, offset, len)).await
    }

    async fn read_many(&self, wanted: &[(BodyId, Range<u64>)]) -> Result<Vec<Bytes>> {
        self.check(Right::Read)?;
        let (core, wanted) = (self.core().await?, wanted.to_vec());
        blocking(move || core.read_bodies(&wanted)).await
    }

    async fn search_watched(
        &self,
        state: &Arc<MailboxState>,
        predicate: &Predicate<UidSet>,
        looked_at: &Arc<AtomicU32>,
    ) -> Result<UidSet> {
        self.check(Right::Read)?;
        let core = self.core().await?;
        let (state, predicate) = (Arc::clone(state), predicate.clone());
        let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
        let (stopped, looked_at) = (Arc::clone(&stop.0), Arc::clone(looked_at));
        let turns = Arc::clone(&self.account.engine.searches);
        let now_secs = self.account.context().now_secs;
        blocking(move || {
            let pace = Pace::new(&turns, &stopped);
            search(&state, &predicate, (now_secs, &looked_at), (&*core, &pace))
        })
        .await
    }

    fn take_recent(&self, state: &MailboxState) -> Option<Uid> {
        if self.access == Access::ReadOnly {
            return None;
        }
        self.account.planner.take_recent(&self.cell, state)
    }
}
