//! How far a client that keeps account of mod-sequences has come, as RFC 7162 §6 tells it to reckon.

use crate::{
    told::{Check, Sync, View, broken},
    world::Mailbox,
};

/// What a client knows of its mailbox's mod-sequences. 0 is nothing.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Progress {
    /// Its copy of HIGHESTMODSEQ: nothing up to it was missed.
    pub(crate) highest: u64,
    /// The greatest MODSEQ of a FETCH since the last tagged answer, …
    fetched: u64,
    /// … and the last HIGHESTMODSEQ, which counts for more.
    told: Option<u64>,
}

impl Progress {
    pub(crate) fn fetched(&mut self, mod_seq: u64) {
        self.fetched = self.fetched.max(mod_seq);
    }

    pub(crate) const fn told(&mut self, mod_seq: u64) {
        self.told = Some(mod_seq);
    }

    /// A command was answered.
    pub(crate) fn reckon(&mut self) {
        let fetched = std::mem::take(&mut self.fetched);
        let told = self.told.take();
        self.highest = told.unwrap_or_else(|| self.highest.max(fetched));
    }
}

impl View {
    /// Whether a client whose connection is lost here would lose nothing: it was told of all that
    /// happened up to where it believes to be (rule 9).
    pub(crate) fn is_safe(&self, mailbox: &Mailbox, sync: Sync) -> Check {
        let highest = self.progress.highest;
        if sync == Sync::Plain {
            return Ok(());
        }
        for told in &self.told {
            let what = match mailbox.message(told.uid) {
                Some(now) if now.mod_seq <= highest && now.flags != told.flags => "flags",
                None if mailbox.gone_at(told.uid) <= highest => "end",
                _ => continue,
            };
            let uid = told.uid;
            return broken(
                9,
                format!(
                    "a client that believes to be at {highest} was not told the {what} of UID {uid}"
                ),
            );
        }
        Ok(())
    }
}
