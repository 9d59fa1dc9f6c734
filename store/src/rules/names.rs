//! Names: creating, deleting and renaming mailboxes, and subscriptions.
//!
//! RFC 9051 §6.3.4 to §6.3.8. A deleted mailbox leaves its children; a name that only has children
//! is no mailbox, and LIST shows it from them.

use std::{collections::HashMap, sync::Arc};

use mail::{
    id::{MailboxId, UidValidity},
    mailbox::{MailboxKey, MailboxName, SpecialUse},
};

use super::Context;
use crate::{
    contract::{MailboxInfo, Subscription, Tree},
    embedded::record::{MailboxRecord, Record},
    error::{Error, Result, What},
};

/// Hands out what is never handed out again.
pub(crate) trait Issuer {
    /// A mailbox id.
    fn mailbox_id(&mut self) -> Result<MailboxId>;
    /// A UIDVALIDITY greater than every one before.
    fn uid_validity(&mut self) -> Result<UidValidity>;
}

/// The greatest UIDVALIDITY under which a name was known that is no longer a mailbox.
pub(crate) type Retired = HashMap<MailboxKey, UidValidity>;

/// A change of the tree.
#[derive(Debug)]
pub(crate) struct TreeChange {
    pub(crate) tree: Tree,
    pub(crate) records: Vec<Record>,
    /// Mailboxes that are new, and those that have a new UIDVALIDITY.
    pub(crate) created: Vec<Arc<MailboxInfo>>,
}

/// CREATE: the mailbox and its missing parents (RFC 9051 §6.3.4).
pub(crate) fn create(
    context: &Context,
    tree: &Tree,
    wanted: (&MailboxName, &[SpecialUse]),
    issuer: &mut dyn Issuer,
) -> Result<TreeChange> {
    let (name, special_use) = wanted;
    if name.is_inbox() {
        return Err(Error::Cannot("INBOX exists always"));
    }
    if tree.mailboxes.contains_key(&name.key()) {
        return Err(Error::AlreadyExists(What::Mailbox));
    }
    let mut change = TreeChange::of(tree);
    change.create_parents(context, name, issuer)?;
    change.create(context, name, special_use, issuer)?;
    Ok(change)
}

/// DELETE: the mailbox, not its children (RFC 9051 §6.3.5).
pub(crate) fn delete(context: &Context, tree: &Tree, id: MailboxId) -> Result<TreeChange> {
    let info = find(tree, id)?;
    if info.name.is_inbox() {
        return Err(Error::Cannot("INBOX cannot be deleted"));
    }
    let mut change = TreeChange::of(tree);
    change.tree.mailboxes.remove(&info.name.key());
    change
        .records
        .push(Record::MailboxDeleted(context.account, id));
    Ok(change)
}

/// RENAME of anything but INBOX: a mailbox, if there is one of that name, and all below it
/// (RFC 9051 §6.3.6).
pub(crate) fn rename(
    context: &Context,
    tree: &Tree,
    names: (&MailboxName, &MailboxName),
    retired: &Retired,
    issuer: &mut dyn Issuer,
) -> Result<TreeChange> {
    let (from, to) = names;
    let moving = subtree(tree, from);
    if moving.is_empty() {
        return Err(Error::NotFound(What::Mailbox));
    }
    check_target(tree, from, to)?;
    check_name(context, to)?;
    let mut change = TreeChange::of(tree);
    // A name that one mailbox leaves another may take in the same step.
    let mut left = Retired::new();
    for info in &moving {
        change.tree.mailboxes.remove(&info.name.key());
        left.insert(info.name.key(), info.uid_validity);
    }
    change.create_parents(context, to, issuer)?;
    let mut renamed = Vec::with_capacity(moving.len());
    for info in moving {
        let name = renamed_to(&info, from, to)?;
        // What was over a limit that is lower now is no reason to keep its parent's name.
        if info.name.is_within(context.limits.names) {
            check_name(context, &name)?;
        }
        if change.tree.mailboxes.contains_key(&name.key()) {
            return Err(Error::AlreadyExists(What::Mailbox));
        }
        renamed.push((info.id, name.clone()));
        change.put_renamed(context, &info, name, ([retired, &left], issuer))?;
    }
    change
        .records
        .insert(0, Record::Renamed(context.account, renamed));
    Ok(change)
}

/// The mailbox that takes INBOX's mail in a RENAME of INBOX, and its missing parents.
pub(crate) fn rename_inbox(
    context: &Context,
    tree: &Tree,
    to: &MailboxName,
    issuer: &mut dyn Issuer,
) -> Result<TreeChange> {
    if to.is_inbox() || tree.mailboxes.contains_key(&to.key()) {
        return Err(Error::AlreadyExists(What::Mailbox));
    }
    create(context, tree, (to, &[]), issuer)
}

/// SUBSCRIBE and UNSUBSCRIBE: names, whether mailboxes or not; nothing if it is so already.
pub(crate) fn subscribe(
    context: &Context,
    tree: &Tree,
    name: &MailboxName,
    subscription: Subscription,
) -> Result<Option<TreeChange>> {
    let key = name.key();
    let mut change = TreeChange::of(tree);
    let subscriptions = &mut change.tree.subscriptions;
    let record = match subscription {
        Subscription::On if !subscriptions.contains_key(&key) => {
            if !tree.mailboxes.contains_key(&key) {
                check_name(context, name)?;
            }
            subscriptions.insert(key, name.clone());
            Record::Subscribed(context.account, name.clone())
        }
        Subscription::Off => {
            let Some(spelled) = subscriptions.remove(&key) else {
                return Ok(None);
            };
            Record::Unsubscribed(context.account, spelled)
        }
        Subscription::On => return Ok(None),
    };
    change.records.push(record);
    Ok(Some(change))
}

/// A new name is within the limits. Names that were within those of their time stay as they are.
fn check_name(context: &Context, name: &MailboxName) -> Result<()> {
    match name.is_within(context.limits.names) {
        true => Ok(()),
        false => Err(Error::Limit(NAME_LIMIT)),
    }
}

const NAME_LIMIT: &str = "length or depth of a mailbox name";

/// The mailbox with this id.
pub(crate) fn find(tree: &Tree, id: MailboxId) -> Result<Arc<MailboxInfo>> {
    tree.mailboxes
        .values()
        .find(|info| info.id == id)
        .cloned()
        .ok_or(Error::NotFound(What::Mailbox))
}

fn subtree(tree: &Tree, from: &MailboxName) -> Vec<Arc<MailboxInfo>> {
    let key = from.key();
    tree.mailboxes
        .range(&key..)
        .take_while(|(k, _)| k.as_str().starts_with(key.as_str()))
        .filter(|(k, _)| k.suffix_of(&key).is_some())
        .map(|(_, info)| Arc::clone(info))
        .collect()
}

fn check_target(tree: &Tree, from: &MailboxName, to: &MailboxName) -> Result<()> {
    // What only has children is no mailbox, but it is a name that is taken by itself.
    if to.is_inbox() || tree.mailboxes.contains_key(&to.key()) || to.key() == from.key() {
        return Err(Error::AlreadyExists(What::Mailbox));
    }
    if to.key().is_below(&from.key()) {
        return Err(Error::Cannot("a mailbox cannot be moved below itself"));
    }
    Ok(())
}

fn renamed_to(info: &MailboxInfo, from: &MailboxName, to: &MailboxName) -> Result<MailboxName> {
    let levels = from.as_str().split(mail::mailbox::SEPARATOR).count();
    // The suffix is cut from the mailbox's own spelling, which may differ from that of `from`.
    let suffix: String = info
        .name
        .as_str()
        .split(mail::mailbox::SEPARATOR)
        .skip(levels)
        .flat_map(|level| ["/", level])
        .collect();
    to.below(&suffix).map_err(|_| Error::Limit(NAME_LIMIT))
}

impl TreeChange {
    fn of(tree: &Tree) -> Self {
        Self {
            tree: tree.clone(),
            records: Vec::new(),
            created: Vec::new(),
        }
    }

    fn create_parents(
        &mut self,
        context: &Context,
        name: &MailboxName,
        issuer: &mut dyn Issuer,
    ) -> Result<()> {
        let mut missing = Vec::new();
        let mut parent = name.parent();
        while let Some(name) = parent {
            parent = name.parent();
            if !self.tree.mailboxes.contains_key(&name.key()) {
                missing.push(name);
            }
        }
        for name in missing.iter().rev() {
            self.create(context, name, &[], issuer)?;
        }
        Ok(())
    }

    pub(crate) fn create(
        &mut self,
        context: &Context,
        name: &MailboxName,
        special_use: &[SpecialUse],
        issuer: &mut dyn Issuer,
    ) -> Result<()> {
        if self.tree.mailboxes.len() >= context.limits.mailboxes_max {
            return Err(Error::Limit("mailboxes of an account"));
        }
        check_name(context, name)?;
        let mut special_use = special_use.to_vec();
        special_use.sort_unstable();
        special_use.dedup();
        let info = MailboxInfo {
            id: issuer.mailbox_id()?,
            name: name.clone(),
            special_use,
            uid_validity: issuer.uid_validity()?,
        };
        self.put(context, info);
        Ok(())
    }

    fn put(&mut self, context: &Context, info: MailboxInfo) {
        let info = Arc::new(info);
        self.records.push(Record::Mailbox(MailboxRecord {
            account: context.account,
            id: info.id,
            name: info.name.clone(),
            uid_validity: info.uid_validity,
            special_use: info.special_use.clone(),
        }));
        self.tree
            .mailboxes
            .insert(info.name.key(), Arc::clone(&info));
        self.created.push(info);
    }

    /// Under a name that was known with a greater UIDVALIDITY, a mailbox gets a new one: a name,
    /// a UIDVALIDITY and a UID mean one message for ever (RFC 9051 §2.3.1.1).
    fn put_renamed(
        &mut self,
        context: &Context,
        info: &MailboxInfo,
        name: MailboxName,
        (retired, issuer): ([&Retired; 2], &mut dyn Issuer),
    ) -> Result<()> {
        let key = name.key();
        let mut info = MailboxInfo {
            name,
            ..info.clone()
        };
        let mut before = retired.into_iter().filter_map(|names| names.get(&key));
        if before.any(|validity| *validity > info.uid_validity) {
            info.uid_validity = issuer.uid_validity()?;
            self.put(context, info);
        } else {
            self.tree.mailboxes.insert(key, Arc::new(info));
        }
        Ok(())
    }
}
