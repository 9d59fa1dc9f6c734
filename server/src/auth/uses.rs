//! When and where app passwords were last used: noted in memory at each login, and written to the
//! store together now and then, so that a login costs no write. A crash forgets the last minutes.

use std::{collections::HashMap, time::Duration};

use mail::id::AccountId;
use parking_lot::Mutex;
use store::{
    AccountChange, Store,
    credential::{CredentialChange, CredentialId, LastUse},
};

/// How often they are written.
pub const WRITTEN_EVERY: Duration = Duration::from_secs(10 * 60);
/// Uses in memory; more are forgotten until these are written.
const ENTRIES_MAX: usize = 10_000;

/// Uses that are not written yet.
#[derive(Default)]
pub(super) struct Uses(Mutex<HashMap<AccountId, HashMap<CredentialId, LastUse>>>);

impl Uses {
    pub(super) fn note(&self, account: AccountId, id: CredentialId, last_use: LastUse) {
        let mut uses = self.0.lock();
        if uses.len() < ENTRIES_MAX || uses.contains_key(&account) {
            uses.entry(account).or_default().insert(id, last_use);
        }
    }

    /// Writes them: one change for each account. What cannot be written is forgotten.
    pub(super) async fn write(&self, store: &dyn Store) {
        let uses = std::mem::take(&mut *self.0.lock());
        for (account, uses) in uses {
            let used = |(id, last_use)| CredentialChange::Used(id, last_use);
            let change = AccountChange {
                credentials: uses.into_iter().map(used).collect(),
                ..AccountChange::default()
            };
            if let Err(error) = store.change_account(account, change).await {
                tracing::debug!(%error, "last uses of app passwords were not written");
            }
        }
    }
}
