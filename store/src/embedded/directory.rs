//! The accounts of a store, in memory: who they are, and to whom a name belongs.
//!
//! A name is claimed when it is planned and found when it is durable.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use mail::id::AccountId;
use parking_lot::RwLock;

use crate::{
    contract::AccountInfo,
    error::{Error, Result, What},
    rules::accounts::{fold, names},
};

/// Every account.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    infos: BTreeMap<AccountId, Arc<AccountInfo>>,
    /// Names in lower case, of accounts that are durable or planned.
    claims: HashMap<String, AccountId>,
    /// How many can log in with a password, but not by SCRAM.
    without_scram: usize,
}

/// Whether somebody may log in with a password to this account, but not by SCRAM.
fn lacks_scram(info: &AccountInfo) -> bool {
    let password = info.password.as_ref();
    info.enabled && password.is_some_and(|it| it.verifiers.scram.is_none())
}

impl Directory {
    /// The accounts that are stored.
    pub(crate) fn new(accounts: Vec<AccountInfo>) -> Self {
        let mut inner = Inner::default();
        for info in accounts {
            inner
                .claims
                .extend(names(&info).map(|name| (name, info.id)));
            inner.without_scram += usize::from(lacks_scram(&info));
            inner.infos.insert(info.id, Arc::new(info));
        }
        Self {
            inner: RwLock::new(inner),
        }
    }

    /// The account with this id.
    pub(crate) fn info(&self, id: AccountId) -> Result<Arc<AccountInfo>> {
        let inner = self.inner.read();
        let info = inner.infos.get(&id).cloned();
        info.ok_or(Error::NotFound(What::Account))
    }

    /// Every account, by name.
    pub(crate) fn all(&self) -> Vec<Arc<AccountInfo>> {
        let mut all: Vec<_> = self.inner.read().infos.values().cloned().collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }

    /// How many accounts there are.
    pub(crate) fn count(&self) -> usize {
        self.inner.read().infos.len()
    }

    /// How many accounts can be logged in to with a password, but not by SCRAM.
    pub(crate) fn without_scram(&self) -> usize {
        self.inner.read().without_scram
    }

    /// The account with this name or alias, in any case.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<AccountInfo>> {
        let name = fold(name);
        let inner = self.inner.read();
        let info = inner.infos.get(inner.claims.get(&name)?)?;
        names(info).any(|n| n == name).then(|| Arc::clone(info))
    }

    /// Claims the names of an account that is planned.
    pub(crate) fn claim(&self, info: &AccountInfo) -> Result<()> {
        let mut inner = self.inner.write();
        let taken = |name: String| inner.claims.get(&name).is_some_and(|id| *id != info.id);
        if names(info).any(taken) {
            return Err(Error::AlreadyExists(What::Account));
        }
        inner.claims.extend(names(info).map(|name| (name, info.id)));
        Ok(())
    }

    /// Gives back what [`Directory::claim`] claimed for a plan that failed.
    pub(crate) fn unclaim(&self, info: &AccountInfo) {
        let mut inner = self.inner.write();
        let kept = inner.infos.get(&info.id).cloned();
        inner.release(info, kept.as_deref());
    }

    /// Shows an account that is durable, as it is now.
    pub(crate) fn show(&self, info: &Arc<AccountInfo>) {
        let mut inner = self.inner.write();
        inner.without_scram += usize::from(lacks_scram(info));
        if let Some(old) = inner.infos.insert(info.id, Arc::clone(info)) {
            inner.without_scram -= usize::from(lacks_scram(&old));
            inner.release(&old, Some(info));
        }
    }

    /// Forgets an account that is removed.
    pub(crate) fn remove(&self, id: AccountId) {
        let mut inner = self.inner.write();
        if let Some(old) = inner.infos.remove(&id) {
            inner.without_scram -= usize::from(lacks_scram(&old));
        }
        inner.claims.retain(|_, owner| *owner != id);
    }
}

impl Inner {
    fn release(&mut self, old: &AccountInfo, kept: Option<&AccountInfo>) {
        for name in names(old) {
            let is_kept = kept.is_some_and(|info| names(info).any(|n| n == name));
            if !is_kept {
                self.claims.remove(&name);
            }
        }
    }
}
