//! LIST and LSUB over the reference.

use std::collections::{BTreeMap, BTreeSet};

use crate::{command::List, words::parents, world::Account};

/// Listed names with their attributes in lower case.
pub(crate) type Entries = BTreeMap<String, BTreeSet<String>>;

/// Whether a pattern matches a name: `%` stops at the separator, `*` does not (rule 28).
fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    let Some(first) = rest.next() else {
        return name.is_empty();
    };
    let pattern = rest.as_str();
    let cuts = || name.char_indices().map(|(at, _)| at).chain([name.len()]);
    match first {
        '*' => cuts().any(|at| matches(pattern, &name[at..])),
        '%' => cuts().any(|at| !name[..at].contains('/') && matches(pattern, &name[at..])),
        c => name
            .strip_prefix(c)
            .is_some_and(|rest| matches(pattern, rest)),
    }
}

/// A pattern that begins with INBOX in any case means INBOX.
fn matches_name(pattern: &str, name: &str) -> bool {
    let is_inbox = pattern
        .get(..5)
        .is_some_and(|p| p.eq_ignore_ascii_case("INBOX"));
    match is_inbox {
        true => matches(&format!("INBOX{}", &pattern[5..]), name),
        false => matches(pattern, name),
    }
}

/// LIST.
pub(crate) fn listed(account: &Account, list: &List) -> Entries {
    let mut names: BTreeSet<&str> = account.tree.keys().map(String::as_str).collect();
    if list.subscribed {
        names.extend(account.subscribed.iter().map(String::as_str));
    }
    let levels: Vec<&str> = names.iter().flat_map(|name| parents(name)).collect();
    names.extend(levels);
    let asks = list.returns.unwrap_or_default().contains("SUBSCRIBED") || list.subscribed;
    let mut entries = Entries::new();
    for name in names {
        let id = account.tree.get(name);
        let is_subscribed = account.subscribed.contains(name);
        let is_level = id.is_none() && !(list.subscribed && is_subscribed);
        if !matches_name(list.pattern, name)
            || (list.subscribed && !is_subscribed)
            || (is_level && list.pattern.ends_with('*'))
        {
            continue;
        }
        let mut attributes = vec![children_attribute(account, name)];
        match id {
            Some(id) => attributes.extend(account.mailboxes[*id].special_use),
            None => attributes.extend(["\\nonexistent", "\\noselect"]),
        }
        if asks && is_subscribed {
            attributes.push("\\subscribed");
        }
        let attributes = attributes.into_iter().map(str::to_ascii_lowercase);
        entries.insert(name.to_owned(), attributes.collect());
    }
    entries
}

fn children_attribute(account: &Account, name: &str) -> &'static str {
    let below = format!("{name}/");
    match account.tree.keys().any(|other| other.starts_with(&below)) {
        true => "\\haschildren",
        false => "\\hasnochildren",
    }
}

/// LSUB (RFC 3501 §6.3.9): subscribed names, and where `%` asks for levels those above them.
pub(crate) fn subscribed_only(account: &Account, pattern: &str) -> Entries {
    let mut entries = Entries::new();
    for name in account
        .subscribed
        .iter()
        .filter(|n| matches_name(pattern, n))
    {
        let mut attributes = BTreeSet::from([children_attribute(account, name).to_owned()]);
        if !account.tree.contains_key(name) {
            attributes.insert("\\noselect".to_owned());
        }
        entries.insert(name.clone(), attributes);
    }
    let levels: BTreeSet<&str> = account.subscribed.iter().flat_map(|n| parents(n)).collect();
    for level in levels {
        let asked = !pattern.ends_with('*') && matches_name(pattern, level);
        if asked && !account.subscribed.contains(level) {
            let attributes = ["\\noselect", "\\haschildren"].map(str::to_owned);
            entries.insert(level.to_owned(), attributes.into());
        }
    }
    entries
}
