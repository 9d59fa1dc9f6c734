//! LIST with its extensions (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154), LSUB
//! (RFC 3501 §6.3.9) and XLIST.
//!
//! A listing is made from the names of the account alone; no mailbox is loaded. Names that exist
//! only as parents of mailboxes are listed as `\NonExistent` where a pattern asks for levels.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use mail::mailbox::{MailboxKey, MailboxName, Pattern};
use store::{MailboxInfo, Tree};
use wire::{
    encode::Revision,
    imap::{
        list::{Form, List, Lsub, SelectOptions},
        mailbox::WireName,
        response::{ListAttribute, ListEntry, Untagged},
    },
};

use super::{
    Authenticated, Context,
    answer::{Failure, Outcome, ok},
    sink::Sink,
};

/// What is said of a listed name beyond what it is.
#[derive(Clone, Copy, Default)]
pub(super) struct Attributes {
    /// Whether `\Subscribed` is told.
    pub(super) subscribed: bool,
}

/// Names that are matched before others of the server have their turn (threat 20).
const NAMES_AT_ONCE: usize = 16;

/// Lets others have their turn now and then.
async fn pause(count: usize) {
    if count % NAMES_AT_ONCE == NAMES_AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

/// A name that may be listed.
struct Candidate {
    name: MailboxName,
    info: Option<Arc<MailboxInfo>>,
    subscribed: bool,
    /// It is here only for the names below it.
    is_level: bool,
}

/// A pattern with what decides about names that do not exist.
struct Wanted {
    pattern: Pattern,
    /// It names one mailbox.
    exact: Option<String>,
    /// Its last character is `*`: levels that do not exist are not asked for.
    all: bool,
}

impl Authenticated {
    pub(super) async fn list(&self, list: &List, context: &Context, sink: &mut Sink) -> Outcome {
        if let (Form::Basic, [only]) = (list.form, list.patterns.as_slice())
            && only.0.is_empty()
        {
            return root(sink).await;
        }
        let wanted = self.wanted(&list.reference, &list.patterns);
        let tree = self.account.tree();
        let candidates = candidates(&tree, list.select);
        let existing = candidates.iter().filter(|(_, c)| c.info.is_some());
        let parents = parents(existing.map(|(key, _)| key));
        let below = Below::of(&candidates, list.select, &wanted);
        let told = Attributes {
            subscribed: list.returns.subscribed || list.select.subscribed,
        };
        for (count, (key, candidate)) in candidates.iter().enumerate() {
            pause(count).await;
            let Some(pattern) = wanted.iter().find(|w| w.matches(key, candidate)) else {
                continue;
            };
            let is_selected = selected(candidate, list.select);
            if !is_selected && !below.unlisted.contains(key.as_str()) {
                continue;
            }
            let mut entry = candidate.entry(parents.contains(key.as_str()), told);
            entry.child_info = below.selected.contains(key.as_str()).then_some(list.select);
            entry.old_name = self.old_name(pattern, key);
            sink.send(&Untagged::List(entry)).await?;
            let counted = is_selected && !list.returns.status.is_empty();
            if let Some(info) = candidate.info.as_ref().filter(|_| counted) {
                // A mailbox that is deleted meanwhile has no counters (RFC 5819 §2).
                if let Ok(counters) = self.counters(info, &list.returns.status, context) {
                    sink.send(&Untagged::MailboxStatus(counters)).await?;
                }
            }
        }
        Ok(ok("Listed."))
    }

    pub(super) async fn lsub(&self, lsub: &Lsub, sink: &mut Sink) -> Outcome {
        let wanted = self.wanted(&lsub.reference, std::slice::from_ref(&lsub.pattern));
        let tree = self.account.tree();
        let with_children = parents(tree.mailboxes.keys());
        for (count, (key, name)) in tree.subscriptions.iter().enumerate() {
            pause(count).await;
            if wanted.iter().any(|w| w.pattern.matches(key)) {
                let candidate = Candidate {
                    name: name.clone(),
                    info: tree.mailboxes.get(key).cloned(),
                    subscribed: true,
                    is_level: false,
                };
                let has_children = with_children.contains(key.as_str());
                let mut entry = candidate.entry(has_children, Attributes::default());
                // LSUB knows neither RFC 5258's nor RFC 6154's attributes.
                entry.attributes.retain(|a| {
                    !matches!(a, ListAttribute::NonExistent | ListAttribute::SpecialUse(_))
                });
                sink.send(&Untagged::Lsub(entry)).await?;
            }
        }
        self.lsub_levels(&wanted, &tree, sink).await?;
        Ok(ok("Listed."))
    }

    /// XLIST, Gmail's LIST from before special uses had a standard: the same mailboxes, with names of
    /// its own for what they are for, and INBOX marked as such.
    pub(super) async fn xlist(&self, xlist: &Lsub, sink: &mut Sink) -> Outcome {
        if xlist.pattern.0.is_empty() {
            return root(sink).await;
        }
        let wanted = self.wanted(&xlist.reference, std::slice::from_ref(&xlist.pattern));
        let tree = self.account.tree();
        let candidates = candidates(&tree, SelectOptions::default());
        let parents = parents(tree.mailboxes.keys());
        for (count, (key, candidate)) in candidates.iter().enumerate() {
            pause(count).await;
            if !wanted.iter().any(|w| w.matches(key, candidate)) {
                continue;
            }
            let mut entry = candidate.entry(parents.contains(key.as_str()), Attributes::default());
            for attribute in &mut entry.attributes {
                if let ListAttribute::SpecialUse(used) = *attribute {
                    *attribute = ListAttribute::XlistUse(used);
                }
            }
            if candidate.name.is_inbox() {
                entry.attributes.push(ListAttribute::Inbox);
            }
            sink.send(&Untagged::Xlist(entry)).await?;
        }
        Ok(ok("Listed."))
    }

    /// A level that is not subscribed itself but has subscribed names below it
    /// (RFC 3501 §6.3.9: `\Noselect`), where the pattern asks for levels.
    async fn lsub_levels(
        &self,
        wanted: &[Wanted],
        tree: &Tree,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let levels = parents(tree.subscriptions.keys());
        for (count, level) in levels.into_iter().enumerate() {
            pause(count).await;
            let Ok(name) = MailboxName::new(&level) else {
                continue;
            };
            let key = name.key();
            let asked = wanted.iter().any(|w| !w.all && w.pattern.matches(&key));
            if asked && !tree.subscriptions.contains_key(&key) {
                let attributes = vec![ListAttribute::NoSelect, ListAttribute::HasChildren];
                let entry = ListEntry {
                    attributes,
                    name: Some(name),
                    old_name: None,
                    child_info: None,
                };
                sink.send(&Untagged::Lsub(entry)).await?;
            }
        }
        Ok(())
    }

    /// The patterns with their reference; one that cannot be read matches nothing.
    fn wanted(&self, reference: &WireName, patterns: &[WireName]) -> Vec<Wanted> {
        let whole = |pattern: &WireName| {
            let mut bytes = reference.0.clone();
            bytes.extend_from_slice(&pattern.0);
            self.text(&WireName(bytes)).ok()
        };
        patterns
            .iter()
            .filter_map(whole)
            .map(|text| Wanted::new(&text))
            .collect()
    }

    /// The spelling the client used, if it differs from the one listed (RFC 9051 §6.3.9.7).
    fn old_name(&self, wanted: &Wanted, key: &MailboxKey) -> Option<MailboxName> {
        let written = wanted.exact.as_deref()?;
        let differs = self.mode.revision == Revision::Rev2 && written != key.as_str();
        // INBOX in another case is not another name.
        let inbox = written.eq_ignore_ascii_case(key.as_str());
        if differs && !inbox {
            MailboxName::new(written).ok()
        } else {
            None
        }
    }
}

impl Wanted {
    fn new(text: &str) -> Self {
        Self {
            pattern: Pattern::new(text),
            exact: (!text.contains(['%', '*'])).then(|| text.to_owned()),
            all: text.ends_with('*'),
        }
    }

    fn matches(&self, key: &MailboxKey, candidate: &Candidate) -> bool {
        !(self.all && candidate.is_level) && self.pattern.matches(key)
    }
}

impl Candidate {
    fn entry(&self, has_children: bool, told: Attributes) -> ListEntry {
        let mut attributes = Vec::new();
        if self.info.is_none() {
            // `\NonExistent` implies `\Noselect`; older clients know only the latter.
            attributes.extend([ListAttribute::NonExistent, ListAttribute::NoSelect]);
        }
        attributes.push(match has_children {
            true => ListAttribute::HasChildren,
            false => ListAttribute::HasNoChildren,
        });
        if told.subscribed && self.subscribed {
            attributes.push(ListAttribute::Subscribed);
        }
        let uses = self.info.iter().flat_map(|info| &info.special_use);
        attributes.extend(uses.map(|used| ListAttribute::SpecialUse(*used)));
        ListEntry {
            attributes,
            name: Some(self.name.clone()),
            old_name: None,
            child_info: None,
        }
    }
}

impl Authenticated {
    /// The line that tells an IMAP4rev2 client which mailbox it named in another spelling
    /// (RFC 9051 §6.3.9.7).
    pub(super) fn respelled(&self, written: &MailboxName, info: &MailboxInfo) -> Option<Untagged> {
        let differs = written.as_str() != info.name.key().as_str();
        let entry = || ListEntry {
            old_name: Some(written.clone()),
            ..entry_of(&self.account.tree(), info, Attributes::default())
        };
        (differs && self.mode.revision == Revision::Rev2).then(|| Untagged::List(entry()))
    }
}

/// The line of a mailbox that was just deleted under another spelling than its own.
pub(super) fn deleted_entry(tree: &Tree, written: MailboxName, info: &MailboxInfo) -> ListEntry {
    let candidate = Candidate {
        name: info.name.clone(),
        info: None,
        subscribed: false,
        is_level: false,
    };
    let has_children = has_children(tree, &info.name.key());
    ListEntry {
        old_name: Some(written),
        ..candidate.entry(has_children, Attributes::default())
    }
}

/// The line of a name, whether it is a mailbox or not, with everything that is known of it.
pub(super) fn entry_named(tree: &Tree, name: &MailboxName) -> ListEntry {
    let key = name.key();
    let info = tree.mailboxes.get(&key);
    let candidate = Candidate {
        name: info.map_or(name, |info| &info.name).clone(),
        info: info.cloned(),
        subscribed: tree.subscriptions.contains_key(&key),
        is_level: false,
    };
    let told = Attributes { subscribed: true };
    candidate.entry(has_children(tree, &key), told)
}

/// The line of one existing mailbox.
pub(super) fn entry_of(tree: &Tree, info: &MailboxInfo, told: Attributes) -> ListEntry {
    let key = info.name.key();
    let candidate = Candidate {
        name: info.name.clone(),
        info: Some(Arc::new(info.clone())),
        subscribed: tree.subscriptions.contains_key(&key),
        is_level: false,
    };
    candidate.entry(has_children(tree, &key), told)
}

fn has_children(tree: &Tree, key: &MailboxKey) -> bool {
    let after = (Bound::Excluded(key), Bound::Unbounded);
    let near = tree.mailboxes.range::<MailboxKey, _>(after);
    near.take_while(|(other, _)| other.as_str().starts_with(key.as_str()))
        .any(|(other, _)| other.is_below(key))
}

/// Every name that may be listed: mailboxes, the levels above them, and subscribed names if those
/// are asked for.
fn candidates(tree: &Tree, select: SelectOptions) -> BTreeMap<MailboxKey, Candidate> {
    let mut all = BTreeMap::new();
    for (key, info) in &tree.mailboxes {
        let subscribed = tree.subscriptions.contains_key(key);
        let name = info.name.clone();
        all.insert(
            key.clone(),
            Candidate {
                name,
                info: Some(Arc::clone(info)),
                subscribed,
                is_level: false,
            },
        );
    }
    if select.subscribed {
        for (key, name) in &tree.subscriptions {
            all.entry(key.clone()).or_insert_with(|| Candidate {
                name: name.clone(),
                info: None,
                subscribed: true,
                is_level: false,
            });
        }
    }
    let levels = parents(all.keys());
    for name in levels
        .iter()
        .filter_map(|level| MailboxName::new(level).ok())
    {
        let key = name.key();
        let subscribed = tree.subscriptions.contains_key(&key);
        all.entry(key).or_insert(Candidate {
            name,
            info: None,
            subscribed,
            is_level: true,
        });
    }
    all
}

/// Every level above these names.
fn parents<'a>(keys: impl Iterator<Item = &'a MailboxKey>) -> BTreeSet<String> {
    let mut levels = BTreeSet::new();
    for key in keys {
        let mut rest = key.as_str();
        while let Some((level, _)) = rest.rsplit_once('/') {
            if !levels.insert(level.to_owned()) {
                break;
            }
            rest = level;
        }
    }
    levels
}

/// What RECURSIVEMATCH asks for (RFC 9051 §6.3.9.6); nothing unless it does.
#[derive(Default)]
struct Below {
    /// Levels that have a selected name below them: CHILDINFO is told of them.
    selected: BTreeSet<String>,
    /// Those of which one is not listed itself, so that a level that is not selected is listed for
    /// its sake (RFC 9051 §6.3.9.3).
    unlisted: BTreeSet<String>,
}

impl Below {
    fn of(
        candidates: &BTreeMap<MailboxKey, Candidate>,
        select: SelectOptions,
        wanted: &[Wanted],
    ) -> Self {
        if !select.recursive_match {
            return Self::default();
        }
        let names = || candidates.iter().filter(|(_, c)| selected(c, select));
        let listed = |key: &MailboxKey, c: &Candidate| wanted.iter().any(|w| w.matches(key, c));
        Self {
            selected: parents(names().map(|(key, _)| key)),
            unlisted: parents(names().filter(|(key, c)| !listed(key, c)).map(|(k, _)| k)),
        }
    }
}

/// Whether a name satisfies the selection options.
fn selected(candidate: &Candidate, select: SelectOptions) -> bool {
    let special = || {
        candidate
            .info
            .as_ref()
            .is_some_and(|info| !info.special_use.is_empty())
    };
    (!select.subscribed || candidate.subscribed) && (!select.special_use || special())
}

/// `LIST "" ""`: the separator and the root (RFC 9051 §6.3.9).
async fn root(sink: &mut Sink) -> Outcome {
    let attributes = vec![ListAttribute::NoSelect];
    let entry = ListEntry {
        attributes,
        name: None,
        old_name: None,
        child_info: None,
    };
    sink.send(&Untagged::List(entry)).await?;
    Ok(ok("The separator is \"/\"."))
}
