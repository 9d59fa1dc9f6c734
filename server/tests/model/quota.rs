//! Quotas (RFC 9208): what an account may have, what it has, and what no longer fits.

use wire::imap::client::{Data as Untagged, Node};

use crate::{
    check::Answer,
    expected::Data,
    told::{Check, broken},
    words::canonical,
    world::Account,
};

impl Account {
    /// How many messages it has. What is expunged does not count.
    fn messages(&self) -> u64 {
        let mailboxes = self.tree.values().map(|id| &self.mailboxes[*id]);
        mailboxes.map(|m| m.messages.len() as u64).sum()
    }

    /// Whether so many more do not fit.
    pub(crate) fn is_over(&self, more: usize) -> bool {
        let all = self.messages() + more as u64;
        more > 0 && self.messages_max.is_some_and(|most| all > most)
    }
}

impl Answer<'_> {
    /// `QUOTAROOT name root`.
    pub(crate) fn quota_root(&self, values: &[Node]) -> Check {
        let Data::Quota(name) = &self.expected.data else {
            return broken(31, "QUOTAROOT was not asked for");
        };
        let told = values.first().and_then(Node::bytes).unwrap_or_default();
        match self.name(told)? == canonical(name) && values.len() == 2 {
            true => Ok(()),
            false => broken(30, format!("QUOTAROOT of {name} is {values:?}")),
        }
    }

    /// `QUOTA root (resource usage limit …)`: of what is limited.
    pub(crate) fn quota(&self, data: &Untagged) -> Check {
        if !matches!(self.expected.data, Data::Quota(_)) {
            return broken(31, "QUOTA was not asked for");
        }
        let resources = data.values.get(1).and_then(Node::list).unwrap_or_default();
        let of = |name: &str| {
            let at = resources
                .iter()
                .position(|n| n.bytes() == Some(name.as_bytes()))?;
            Some((
                resources.get(at + 1)?.number()?,
                resources.get(at + 2)?.number()?,
            ))
        };
        let account = &*self.account;
        // Without a quota of its own an account has as many as the store lets it.
        let most = account.messages_max;
        let most = most.unwrap_or(store::Options::default().messages_max);
        let due = Some((account.messages(), most));
        let mailboxes = of("MAILBOX").map(|(usage, _)| usage);
        match of("MESSAGE") == due && mailboxes == Some(account.tree.len() as u64) {
            true => Ok(()),
            false => broken(
                30,
                format!(
                    "QUOTA is {resources:?}, but {due:?} and {} mailboxes are",
                    account.tree.len()
                ),
            ),
        }
    }
}
