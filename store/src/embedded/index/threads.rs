//! From which conversations identifiers are known ([`crate::rules::threads`]).
//!
//! A message brings its keys with its body; copies bring none, they keep the conversation of what
//! they are copies of. Keys go when the body goes, so that the table follows what is stored.

use std::collections::HashMap;

use mail::id::{AccountId, BodyId, ThreadId};

use super::{Index, THREADS, apply::Batch, failed};
use crate::{
    Result,
    contract::Static,
    embedded::{
        codec::{Malformed, Reader, records},
        record::{MessageRecord, Record},
    },
    rules::threads::{ThreadKey, keys},
};

impl Index {
    /// The first conversation that each of these keys is known from, where there is one.
    pub(crate) fn threads(
        &self,
        account: AccountId,
        wanted: &[ThreadKey],
    ) -> Result<HashMap<ThreadKey, ThreadId>> {
        let table = self.read()?.open_table(THREADS).map_err(failed)?;
        let mut found = HashMap::new();
        for key in wanted {
            let all = (account.get(), key.0, 0)..=(account.get(), key.0, u64::MAX);
            let first = table.range(all).map_err(failed)?.next();
            if let Some(first) = first.transpose().map_err(failed)? {
                let thread = ThreadId::new(first.1.value()).ok_or(Malformed)?;
                found.insert(*key, thread);
            }
        }
        Ok(found)
    }
}

impl Batch<'_, '_> {
    /// Notes the keys of messages whose bodies came with them.
    pub(super) fn converse(
        &mut self,
        account: AccountId,
        messages: &[MessageRecord],
        records: &[Record],
    ) -> Result<()> {
        let bodies = records.iter().filter_map(|record| match record {
            Record::Body(body) => Some((body.id, &*body.fixed)),
            _ => None,
        });
        let brought: HashMap<BodyId, &Static> = bodies.collect();
        // A transaction that brings no body copies messages, perhaps a million.
        if brought.is_empty() {
            return Ok(());
        }
        for message in messages {
            for key in brought
                .get(&message.body)
                .map_or_else(Vec::new, |fixed| keys(fixed))
            {
                let key = (account.get(), key.0, message.body.get());
                self.threads
                    .insert(key, message.thread.get())
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Forgets the static data of a body that is gone, and the keys it brought.
    pub(super) fn forget_fixed(&mut self, id: BodyId) -> Result<()> {
        let Some(value) = self.fixed.remove(id.get()).map_err(failed)? else {
            return Ok(());
        };
        let r = &mut Reader::new(value.value());
        let account = r.u64()?;
        for key in keys(&records::read_fixed(r, None)?) {
            let key = (account, key.0, id.get());
            self.threads.remove(key).map_err(failed)?;
        }
        Ok(())
    }
}
