//! `check`: compares everything that is stored with itself, and with what is in memory.

use std::sync::Arc;

use mail::id::{BodyId, MailboxId};

use super::{
    blocking,
    core::Core,
    engine::Engine,
    planner::{Planner, Shown},
};
use crate::{
    check,
    contract::AccountInfo,
    error::{Error, Result},
    state::{MailboxState, Row},
};

/// Messages whose static data is read at once.
const BATCH_MESSAGES: usize = 256;

/// One line per inconsistency; none is health.
pub(crate) async fn check(engine: &Arc<Engine>) -> Result<Vec<String>> {
    let core = Arc::clone(&engine.parts.core);
    let mut report = engine.damage.clone();
    let mut report = blocking(move || {
        core.check(&mut report)?;
        Ok(report)
    })
    .await?;
    for info in engine.parts.directory.all() {
        check_account(engine, &info, &mut report).await?;
    }
    Ok(report)
}

async fn check_account(
    engine: &Arc<Engine>,
    info: &AccountInfo,
    report: &mut Vec<String>,
) -> Result<()> {
    let Ok(planner) = engine.planner(info.id).await else {
        // It was removed meanwhile.
        return Ok(());
    };
    let mailboxes: Vec<MailboxId> = planner.shown(|s| s.summaries.keys().copied().collect());
    for id in mailboxes {
        match check_mailbox(engine, &planner, id).await {
            Ok(lines) => report.extend(lines),
            Err(Error::NotFound(_)) => {}
            Err(error) => report.push(format!("mailbox {id}: {error}")),
        }
        engine.evict();
    }
    report.extend(check_usage(&planner));
    check_names(engine, &planner, report).await
}

/// Names, subscriptions and usage are shown as they are stored.
async fn check_names(
    engine: &Arc<Engine>,
    planner: &Arc<Planner>,
    report: &mut Vec<String>,
) -> Result<()> {
    let lsn = planner.shown(Shown::lsn);
    let core = Arc::clone(&engine.parts.core);
    let account = planner.account;
    let stored = blocking(move || {
        if let Some(lsn) = lsn {
            core.wait_applied(lsn)?;
        }
        core.load_account(account)
    });
    let stored = match stored.await {
        Ok(stored) => stored,
        Err(Error::NotFound(_)) => return Ok(()),
        Err(error) => return Err(error),
    };
    planner.shown(|shown| {
        let stored = Shown::new(Arc::clone(&shown.info), stored, lsn);
        // An account that changed meanwhile is compared the next time.
        let is_same = stored.tree.mailboxes == shown.tree.mailboxes
            && stored.tree.subscriptions == shown.tree.subscriptions
            && stored.usage == shown.usage;
        if shown.lsn() == lsn && !is_same {
            report.push(format!("account {account}: not shown as it is stored"));
        }
    });
    Ok(())
}

fn check_usage(planner: &Planner) -> Option<String> {
    planner.shown(|shown| {
        let bytes: u64 = shown.summaries.values().map(|s| s.bytes).sum();
        let messages: u64 = shown
            .summaries
            .values()
            .map(|s| u64::from(s.messages))
            .sum();
        let usage = shown.usage;
        (usage.bytes != bytes || usage.messages != messages).then(|| {
            let account = planner.account;
            format!(
                "account {account}: {usage:?}, its mailboxes {bytes} bytes, {messages} messages"
            )
        })
    })
}

async fn check_mailbox(
    engine: &Arc<Engine>,
    planner: &Arc<Planner>,
    id: MailboxId,
) -> Result<Vec<String>> {
    let cell = planner.cell(id).await?;
    let shown = cell.state();
    let lsn = planner.shown(Shown::lsn);
    let core = Arc::clone(&engine.parts.core);
    let account = planner.account;
    let (stored, mut report, shown) = blocking(move || {
        if let Some(lsn) = lsn {
            core.wait_applied(lsn)?;
        }
        let stored = core.load_mailbox(account, id)?;
        let mut report = check::mailbox(&shown);
        check_bodies(&core, &shown, &mut report)?;
        Ok((stored, report, shown))
    })
    .await?;
    // A mailbox that changed meanwhile is compared the next time.
    if Arc::ptr_eq(&shown, &cell.state()) {
        report.extend(check::same(&shown, &stored));
    }
    Ok(report)
}

/// Every message has its static data and as many bytes as its row says.
fn check_bodies(core: &Core, state: &MailboxState, report: &mut Vec<String>) -> Result<()> {
    let id = state.id;
    for chunk in state.chunks.iter() {
        for rows in chunk.rows.chunks(BATCH_MESSAGES) {
            let bodies: Vec<BodyId> = rows.iter().map(|row| row.body).collect();
            let mut left = &bodies[..];
            while !left.is_empty() {
                match core.fixed(left) {
                    Ok(some) => left = left.get(some.len().max(1)..).unwrap_or_default(),
                    Err(_) => {
                        report.push(format!("mailbox {id}: static data of a message is missing"));
                        break;
                    }
                }
            }
        }
        for (uid, row) in chunk.uids.iter().zip(chunk.rows.iter()) {
            if !has_its_size(core, row)? {
                let body = row.body;
                report.push(format!(
                    "mailbox {id}: UID {uid}: body {body} has not its size"
                ));
            }
        }
    }
    Ok(())
}

fn has_its_size(core: &Core, row: &Row) -> Result<bool> {
    // The last byte is there, and none after it.
    let (last, expected) = match row.size.checked_sub(1) {
        Some(last) => (last, 1),
        None => (0, 0),
    };
    match core.read_body(row.body, u64::from(last), 2) {
        Ok(bytes) => Ok(bytes.len() == expected),
        Err(Error::NotFound(_) | Error::Damaged(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
