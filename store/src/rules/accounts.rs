//! Accounts: what a new one holds, and which names it may have.

use mail::{
    id::AccountId,
    mailbox::{MailboxName, SpecialUse},
};

use super::{
    Context,
    names::{Issuer, TreeChange},
};
use crate::{
    contract::{AccountChange, AccountInfo, NewAccount, Subscription, Tree},
    error::Result,
};

/// The mailboxes of a new account beside INBOX (RFC 6154 §2).
const FOLDERS: [(&str, SpecialUse); 5] = [
    ("Drafts", SpecialUse::Drafts),
    ("Sent", SpecialUse::Sent),
    ("Junk", SpecialUse::Junk),
    ("Trash", SpecialUse::Trash),
    ("Archive", SpecialUse::Archive),
];

/// The account that is asked for.
pub(crate) fn new_info(id: AccountId, new: NewAccount, now_secs: i64) -> AccountInfo {
    AccountInfo {
        id,
        name: new.name,
        aliases: new.aliases,
        password_hash: new.password_hash,
        display_name: new.display_name,
        enabled: true,
        quota: new.quota,
        created_secs: now_secs,
    }
}

/// The account after a change.
pub(crate) fn changed(info: &AccountInfo, change: AccountChange) -> AccountInfo {
    let mut info = info.clone();
    if let Some(aliases) = change.aliases {
        info.aliases = aliases;
    }
    if change.password_hash.is_some() {
        info.password_hash = change.password_hash;
    }
    if let Some(display_name) = change.display_name {
        info.display_name = display_name;
    }
    info.enabled = change.enabled.unwrap_or(info.enabled);
    info.quota = change.quota.unwrap_or(info.quota);
    info
}

/// The mailboxes of a new account, all subscribed.
pub(crate) fn first_tree(context: &Context, issuer: &mut dyn Issuer) -> Result<TreeChange> {
    let mut change = TreeChange {
        tree: Tree::default(),
        records: Vec::new(),
        created: Vec::new(),
    };
    change.create(context, &MailboxName::inbox(), &[], issuer)?;
    for (name, special_use) in FOLDERS {
        if let Ok(name) = MailboxName::new(name) {
            change.create(context, &name, &[special_use], issuer)?;
        }
    }
    let names: Vec<MailboxName> = change.created.iter().map(|i| i.name.clone()).collect();
    for name in names {
        let subscribed = super::names::subscribe(context, &change.tree, &name, Subscription::On);
        if let Some(TreeChange { tree, records, .. }) = subscribed {
            change.tree = tree;
            change.records.extend(records);
        }
    }
    Ok(change)
}

/// The names of an account as they are compared: in lower case.
pub(crate) fn names(info: &AccountInfo) -> impl Iterator<Item = String> {
    std::iter::once(&info.name)
        .chain(&info.aliases)
        .map(|name| fold(name))
}

/// A name as it is compared.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let new = NewAccount {
            name: "You@Localhost".into(),
            aliases: vec!["y@localhost".into()],
            password_hash: Some("x".into()),
            display_name: "You".into(),
            quota: crate::Quota::default(),
        };
        let info = new_info(AccountId::MIN, new, 7);
        let change = AccountChange {
            enabled: Some(false),
            ..AccountChange::default()
        };
        let after = changed(&info, change);
        assert_eq!(
            after,
            AccountInfo {
                enabled: false,
                ..info
            }
        );
        assert_eq!(names(&after).next().as_deref(), Some("you@localhost"));
    }
}
