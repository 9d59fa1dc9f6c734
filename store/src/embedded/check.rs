//! Comparing log and index with themselves and with each other.

use super::{core::Shared, index::Index};
use crate::{Result, state::MailboxState};

/// Adds a line per inconsistency.
pub(crate) fn check(shared: &Shared, report: &mut Vec<String>) -> Result<()> {
    shared.with_index(|index| {
        references(index, report)?;
        for account in index.accounts()? {
            for (record, summary) in index.account(account.id)?.mailboxes {
                let state = index.mailbox(record.id)?;
                if state.summary == summary {
                    counters(&state, report);
                }
            }
        }
        Ok(())
    })
}

/// Bodies that messages refer to are there, and are counted right.
fn references(index: &Index, report: &mut Vec<String>) -> Result<()> {
    for (body, (kept, counted)) in index.references()? {
        if kept != counted {
            report.push(format!(
                "body {body}: {counted} messages refer to it, {kept} are noted"
            ));
        }
    }
    Ok(())
}

fn counters(state: &MailboxState, report: &mut Vec<String>) {
    let counted = state.recount();
    if counted != state.summary {
        let (id, kept) = (state.id, state.summary);
        report.push(format!("mailbox {id}: counted {counted:?}, noted {kept:?}"));
    }
}
