//! What became of names between two trees of an account (RFC 5465 §5.4, §5.5).
//!
//! A mailbox keeps its id when it is renamed; so what one id is called before and after tells a
//! RENAME from a DELETE and a CREATE. INBOX keeps its id too when its mail is renamed away: the
//! mailbox with that mail counts as created.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mail::{
    id::MailboxId,
    mailbox::{MailboxKey, MailboxName},
};
use store::{MailboxInfo, Tree};

/// A name of which something has changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Affected {
    pub(super) name: MailboxName,
    /// What the mailbox was called before, if it was renamed.
    pub(super) old_name: Option<MailboxName>,
    /// A mailbox has come, gone or got the name, or one directly below it has come or gone.
    pub(super) is_name: bool,
    /// It was subscribed to, or that was ended.
    pub(super) is_subscription: bool,
}

/// Names by their keys.
type Names = BTreeMap<MailboxKey, Affected>;
/// Mailboxes that are called otherwise now: what they were called, and what they are.
type Renamed<'a> = BTreeMap<MailboxKey, (&'a MailboxName, &'a MailboxName)>;

/// The names that are not as they were.
pub(super) fn affected(old: &Tree, new: &Tree) -> Names {
    let mut names = Names::new();
    let mut gone: HashMap<MailboxId, &MailboxInfo> =
        missing(old, new).map(|info| (info.id, &**info)).collect();
    let mut renamed = Renamed::new();
    for info in missing(new, old) {
        match gone.remove(&info.id) {
            Some(before) => {
                renamed.insert(before.name.key(), (&before.name, &info.name));
            }
            None => come_or_gone(&mut names, &info.name),
        }
    }
    for info in gone.into_values() {
        come_or_gone(&mut names, &info.name);
    }
    for (before, now) in renamed.values() {
        // Children are renamed with their parent, and it stands for them.
        if !is_explained(&renamed, before, now) {
            entry(&mut names, now).old_name = Some((*before).clone());
            entry(&mut names, now).is_name = true;
        }
    }
    let subscribed = [(old, new), (new, old)].into_iter();
    let changed = subscribed.flat_map(|(one, other)| {
        let changed = |key: &MailboxKey| !other.subscriptions.contains_key(key);
        let names = one.subscriptions.iter();
        names.filter(move |(key, _)| changed(key))
    });
    for (_, name) in changed {
        entry(&mut names, name).is_subscription = true;
    }
    names
}

/// The mailboxes of a tree that are not under the same name in another.
fn missing<'a>(of: &'a Tree, other: &'a Tree) -> impl Iterator<Item = &'a Arc<MailboxInfo>> {
    of.mailboxes
        .iter()
        .filter(|(key, info)| other.mailboxes.get(key).map(|same| same.id) != Some(info.id))
        .map(|(_, info)| info)
}

/// The mailbox itself and its direct parent are affected, whether that exists or not.
fn come_or_gone(names: &mut Names, name: &MailboxName) {
    entry(names, name).is_name = true;
    if let Some(parent) = name.parent() {
        entry(names, &parent).is_name = true;
    }
}

fn entry<'a>(names: &'a mut Names, name: &MailboxName) -> &'a mut Affected {
    names.entry(name.key()).or_insert_with(|| Affected {
        name: name.clone(),
        old_name: None,
        is_name: false,
        is_subscription: false,
    })
}

/// Whether a mailbox is called otherwise only because one above it is.
fn is_explained(renamed: &Renamed<'_>, before: &MailboxName, now: &MailboxName) -> bool {
    let above = std::iter::successors(before.parent(), MailboxName::parent);
    above
        .filter_map(|name| renamed.get(&name.key()))
        .any(|(old, new)| {
            let below = before.key();
            let below = below.suffix_of(&old.key());
            below.is_some() && below == now.key().suffix_of(&new.key())
        })
}

#[cfg(test)]
mod tests {
    use mail::id::UidValidity;

    use super::*;

    /// Mailboxes with their ids, and what is subscribed.
    fn tree(mailboxes: &[(&str, u64)], subscribed: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for (name, id) in mailboxes {
            let name = MailboxName::new(name).unwrap();
            let info = MailboxInfo {
                id: MailboxId::new(*id).unwrap(),
                name: name.clone(),
                special_use: vec![],
                uid_validity: UidValidity::MIN,
            };
            tree.mailboxes.insert(name.key(), Arc::new(info));
        }
        for name in subscribed {
            let name = MailboxName::new(name).unwrap();
            tree.subscriptions.insert(name.key(), name);
        }
        tree
    }

    /// Names with `<old` if renamed, and `+` for a change of the subscription alone.
    fn told(old: &Tree, new: &Tree) -> Vec<String> {
        let word = |affected: Affected| {
            let mut word = affected.name.as_str().to_owned();
            if let Some(old) = affected.old_name {
                word = format!("{word}<{old}");
            }
            match (affected.is_name, affected.is_subscription) {
                (true, false) => word,
                (false, true) => format!("{word}+"),
                (both, _) => format!("{word} {both}"),
            }
        };
        affected(old, new).into_values().map(word).collect()
    }

    #[test]
    fn what_comes_and_goes_is_told_with_its_parent() {
        let old = tree(&[("a", 1), ("b", 2), ("b/c", 3)], &[]);
        let new = tree(&[("a", 1), ("a/x/y", 4), ("b", 2)], &[]);
        assert_eq!(told(&old, &new), ["a/x", "a/x/y", "b", "b/c"]);
        assert_eq!(told(&new, &old), ["a/x", "a/x/y", "b", "b/c"]);
        assert!(told(&old, &old).is_empty());
        // Deleted and made again.
        let again = tree(&[("a", 9), ("b", 2), ("b/c", 3)], &[]);
        assert_eq!(told(&old, &again), ["a"]);
    }

    #[test]
    fn a_rename_is_told_without_the_children() {
        let old = tree(&[("a", 1), ("a/x", 2), ("a/x/y", 3), ("a/z", 4)], &[]);
        let new = tree(
            &[("p", 5), ("p/b", 1), ("p/b/x", 2), ("p/b/x/y", 3), ("q", 4)],
            &[],
        );
        assert_eq!(told(&old, &new), ["p", "p/b<a", "q<a/z"]);
    }

    #[test]
    fn of_a_level_that_is_no_mailbox_each_child_is_told() {
        let old = tree(&[("a/x", 2), ("a/y", 3)], &[]);
        let new = tree(&[("b/x", 2), ("b/y", 3)], &[]);
        assert_eq!(told(&old, &new), ["b/x<a/x", "b/y<a/y"]);
    }

    #[test]
    fn names_are_taken_over() {
        let old = tree(&[("a", 1), ("b", 2)], &[]);
        // a → b after b was deleted, and a made anew.
        let new = tree(&[("a", 3), ("b", 1)], &[]);
        assert_eq!(told(&old, &new), ["a", "b<a"]);
        // Two that changed places.
        let new = tree(&[("a", 2), ("b", 1)], &[]);
        assert_eq!(told(&old, &new), ["a<b", "b<a"]);
    }

    #[test]
    fn subscriptions_are_told_of_names_that_exist_or_not() {
        let old = tree(&[("a", 1)], &["a", "gone"]);
        let new = tree(&[("a", 1), ("b", 2)], &["b", "gone", "none"]);
        assert_eq!(told(&old, &new), ["a+", "b true", "none+"]);
    }
}
