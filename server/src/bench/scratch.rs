//! The measurements themselves: syncs of a file, and mail in a scratch store.

use std::{
    fs::File,
    io::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use mail::{
    flag::Flags,
    id::MailboxId,
    limits::Parsing,
    mailbox::MailboxName,
    predicate::{Predicate, TextField},
};
use store::{Access, Account, Actor, Mailbox, NewAccount, Quota, Store};
use tokio::task::JoinSet;

use super::STEP;
use crate::message::Intake;

/// Bytes written before each sync, about a small commit.
const SYNC_BYTES: usize = 4 << 10;
/// Syncs at most.
const SYNCS_MAX: usize = 2_000;
/// Body of a message, bytes.
const BODY_BYTES: usize = 8 << 10;
/// Messages at most, so that the scratch store stays small.
const MESSAGES_MAX: u64 = 50_000;

/// Tells measurements to stop.
#[derive(Clone, Default)]
pub(super) struct Stopped(Arc<AtomicBool>);

impl Stopped {
    pub(super) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Relaxed)
    }
}

/// How long syncs took.
pub(super) struct Synced {
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// Writes a little and syncs it, again and again.
///
/// # Errors
/// The file cannot be written, in words.
pub(super) async fn synced(path: PathBuf, stop: Stopped) -> Result<Synced, String> {
    let measuring = tokio::task::spawn_blocking(move || {
        let mut file = File::create(path)?;
        let (block, begun) = ([0x5a; SYNC_BYTES], Instant::now());
        let mut times = Vec::new();
        while times.len() < SYNCS_MAX && begun.elapsed() < STEP && !stop.is_set() {
            file.write_all(&block)?;
            let before = Instant::now();
            file.sync_data()?;
            times.push(before.elapsed().as_secs_f64() * 1_000.0);
        }
        Ok(times)
    });
    let times: std::io::Result<Vec<f64>> = measuring.await.map_err(|error| error.to_string())?;
    let mut times = times.map_err(|error| format!("the disk cannot be written: {error}"))?;
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100);
    Ok(Synced {
        p50_ms: at(50).copied().unwrap_or_default(),
        p99_ms: at(99).copied().unwrap_or_default(),
    })
}

/// A mailbox of a scratch store.
pub(super) struct Mail {
    account: Arc<dyn Account>,
    inbox: MailboxId,
    mailbox: Arc<dyn Mailbox>,
    parsing: Parsing,
    stop: Stopped,
}

impl Mail {
    pub(super) async fn new(
        store: &dyn Store,
        parsing: Parsing,
        stop: Stopped,
    ) -> store::Result<Arc<Self>> {
        let new = NewAccount {
            name: "bench@localhost".to_owned(),
            aliases: Vec::new(),
            password: None,
            display_name: String::new(),
            quota: Quota::default(),
        };
        let info = store.create_account(new).await?;
        let actor = Actor {
            account: info.id,
            origin: "bench".into(),
            client: Arc::default(),
            access: Access::ReadWrite,
        };
        let account = store.open_account(info.id, actor).await?;
        let found = account
            .tree()
            .mailboxes
            .get(&MailboxName::inbox().key())
            .map(|it| it.id);
        let inbox = found.ok_or(store::Error::NotFound(store::error::What::Mailbox))?;
        let mailbox = account.open_mailbox(inbox, Access::ReadWrite).await?;
        Ok(Arc::new(Self {
            account,
            inbox,
            mailbox,
            parsing,
            stop,
        }))
    }

    fn goes_on(&self, begun: Instant) -> bool {
        begun.elapsed() < STEP && !self.stop.is_set()
    }

    /// Messages appended a second, so many at a time.
    pub(super) async fn appended(self: &Arc<Self>, at_a_time: usize) -> store::Result<f64> {
        let (count, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
        let mut senders = JoinSet::new();
        for sender in 0..at_a_time {
            let (mail, count) = (Arc::clone(self), Arc::clone(&count));
            senders.spawn(async move {
                while mail.goes_on(begun) && count.load(Relaxed) < MESSAGES_MAX {
                    let number = count.fetch_add(1, Relaxed);
                    mail.append(&text(sender, number)).await?;
                }
                Ok::<(), store::Error>(())
            });
        }
        while let Some(ended) = senders.join_next().await {
            ended.map_err(|error| store::Error::Unavailable(error.to_string()))??;
        }
        Ok(rate(count.load(Relaxed), begun))
    }

    async fn append(&self, text: &[u8]) -> store::Result<()> {
        let upload = self.account.upload(text.len() as u64).await?;
        let mut intake = Intake::new(upload, self.parsing);
        intake.write(text).await?;
        let message = intake.finish(Flags::default(), None);
        self.account.append(self.inbox, vec![message]).await?;
        Ok(())
    }

    /// Whole messages read a second.
    pub(super) async fn fetched(&self) -> store::Result<f64> {
        let (state, begun, mut count) = (self.mailbox.state(), Instant::now(), 0);
        for (_, row) in state.rows() {
            if !self.goes_on(begun) {
                break;
            }
            let len = usize::try_from(row.size).unwrap_or(BODY_BYTES);
            self.mailbox.read(row.body, 0, len).await?;
            count += 1;
        }
        Ok(rate(count, begun))
    }

    /// Messages whose whole text is searched a second.
    pub(super) async fn searched(&self) -> store::Result<f64> {
        let (state, begun, mut count) = (self.mailbox.state(), Instant::now(), 0);
        let absent = Predicate::Text(TextField::Body, "zzznowhere".to_owned());
        while self.goes_on(begun) {
            self.mailbox.search(&state, &absent).await?;
            count += state.rows().count() as u64;
        }
        Ok(rate(count, begun))
    }
}

fn rate(count: u64, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let count = count as f64;
    count / begun.elapsed().as_secs_f64().max(0.001)
}

/// A message like another, not the same.
fn text(sender: usize, number: u64) -> Vec<u8> {
    let mut text = format!(
        "From: a@localhost\r\nTo: bench@localhost\r\nSubject: measured {sender} {number}\r\n\
         Message-ID: <{sender}.{number}@bench>\r\n\r\n"
    );
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ sender as u64;
    while text.len() < BODY_BYTES {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text.push_str(&format!("line {word:x} of a message\r\n"));
    }
    text.into_bytes()
}
