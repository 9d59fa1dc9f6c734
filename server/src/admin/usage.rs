//! How much accounts hold (`relate-imap account usage`), and one mailbox in full (`mailbox status`).

use mail::mailbox::MailboxKey;
use serde_json::{Value, json};
use store::{Account, MailboxInfo, Store, state::Summary};

use super::{failed, find, find_mailbox, mailbox_name, open, room};
use crate::problem::Problem;

/// How many of an account's mailboxes are named, the largest first.
const LARGEST: usize = 5;

/// One account in full, or a row for each.
pub(super) async fn usage(store: &dyn Store, name: Option<&str>) -> Result<Value, Problem> {
    if let Some(name) = name {
        let account = open(store, name).await?;
        let mut row = row(&*account);
        if let Some(fields) = row.as_object_mut() {
            fields.insert("largest_mailboxes".to_owned(), largest(&*account)?);
            fields.insert("store_room".to_owned(), room(store.room()));
        }
        return Ok(row);
    }
    let mut rows = Vec::new();
    for info in store.accounts() {
        // One that was removed meanwhile is left out.
        if find(store, &info.name).is_ok() {
            rows.push(row(&*open(store, &info.name).await?));
        }
    }
    Ok(Value::Array(rows))
}

fn row(account: &dyn Account) -> Value {
    let (info, usage) = (account.info(), account.usage());
    let percent = |used: u64, most: Option<u64>| {
        most.map(|most| match u128::from(most) {
            0 => 100,
            most => u128::from(used) * 100 / most,
        })
        .map(|percent| u64::try_from(percent).unwrap_or(u64::MAX))
    };
    json!({
        "name": info.name,
        "messages": usage.messages,
        "quota_messages": info.quota.messages,
        "messages_percent": percent(usage.messages, info.quota.messages),
        "bytes": usage.bytes,
        "quota_bytes": info.quota.bytes,
        "bytes_percent": percent(usage.bytes, info.quota.bytes),
        "mailboxes": account.tree().mailboxes.len(),
    })
}

fn largest(account: &dyn Account) -> Result<Value, Problem> {
    let tree = account.tree();
    let mut all = Vec::new();
    for info in tree.mailboxes.values() {
        all.push((summary(account, info)?, info));
    }
    all.sort_by(|(a, x), (b, y)| {
        b.bytes
            .cmp(&a.bytes)
            .then_with(|| x.name.as_str().cmp(y.name.as_str()))
    });
    let named = all
        .iter()
        .take(LARGEST)
        .filter(|(summary, _)| summary.messages > 0);
    let shown = named.map(|(summary, info)| {
        format!(
            "{} ({} messages, {} bytes)",
            info.name.as_str(),
            summary.messages,
            summary.bytes
        )
    });
    Ok(shown.collect())
}

fn summary(account: &dyn Account, info: &MailboxInfo) -> Result<Summary, Problem> {
    let found = account.summary(info.id);
    found.map_err(|error| failed(&error, info.name.as_str()))
}

/// One mailbox in full, or a row for each.
pub(super) async fn status(
    store: &dyn Store,
    account: &str,
    mailbox: Option<&str>,
) -> Result<Value, Problem> {
    let opened = open(store, account).await?;
    if let Some(name) = mailbox {
        let info = find_mailbox(&*opened, name)?;
        return mailbox_row(&*opened, &mailbox_name(name)?.key(), &info);
    }
    let tree = opened.tree();
    let rows = tree.mailboxes.iter();
    rows.map(|(key, info)| mailbox_row(&*opened, key, info))
        .collect()
}

/// A mailbox with its counts and identifiers.
fn mailbox_row(
    account: &dyn Account,
    key: &MailboxKey,
    info: &MailboxInfo,
) -> Result<Value, Problem> {
    let summary = summary(account, info)?;
    let special: Vec<_> = info
        .special_use
        .iter()
        .map(|special| special.attribute())
        .collect();
    Ok(json!({
        "name": info.name.as_str(),
        "special_use": special,
        "subscribed": account.tree().subscriptions.contains_key(key),
        "messages": summary.messages,
        "unseen": summary.unseen,
        "deleted": summary.deleted,
        "bytes": summary.bytes,
        "uid_validity": summary.uid_validity.get(),
        "uid_next": summary.uid_next.get(),
        "highest_modseq": summary.highest_mod_seq.get(),
    }))
}
