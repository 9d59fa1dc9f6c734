//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8).

use mail::mailbox::{MailboxName, SpecialUse};
use store::Subscription;
use wire::{
    encode::Revision,
    imap::{
        code::Code,
        mailbox::{Create, Name, Rename, WireName},
        response::Untagged,
    },
};

use super::{
    Authenticated,
    answer::{Failure, Outcome, ok, ok_with, refuse},
    list,
    sink::Sink,
};

impl Authenticated {
    pub(super) async fn create(&mut self, create: &Create, sink: &mut Sink) -> Outcome {
        let name = self.name(&create.mailbox)?;
        let mut special_use: Vec<SpecialUse> = Vec::new();
        for attribute in &create.special_use {
            match attribute {
                // A mailbox of these is a view over others, which this server does not make.
                Ok(SpecialUse::All | SpecialUse::Flagged) | Err(_) => {
                    return refuse(Code::UseAttr, "This special use is not offered.");
                }
                Ok(known) => special_use.push(*known),
            }
        }
        let info = self.account.create_mailbox(&name, &special_use).await?;
        // Its missing parents were made too.
        let made = name.key();
        self.did_names(|key| made.suffix_of(key).is_some());
        if let Some(told) = self.respelled(&name, &info) {
            sink.send(&told).await?;
        }
        // RFC 8474 §4.1.
        Ok(ok_with(Code::MailboxId(info.id), "The mailbox is created."))
    }

    pub(super) async fn delete(&mut self, name: &Name, sink: &mut Sink) -> Outcome {
        let info = self.find(&name.0)?;
        let written = self.name(&name.0)?;
        let differs = self.respelled(&written, &info).is_some();
        self.account.delete_mailbox(info.id).await?;
        self.did_names(|key| *key == info.name.key());
        if differs {
            let deleted = list::deleted_entry(&self.account.tree(), written, &info);
            sink.send(&Untagged::List(deleted)).await?;
        }
        Ok(ok("The mailbox is deleted."))
    }

    pub(super) async fn rename(&mut self, rename: &Rename, sink: &mut Sink) -> Outcome {
        let from = self.existing_or_parent(&rename.from)?;
        let to = self.name(&rename.to)?;
        self.account.rename_mailbox(&from, &to).await?;
        self.did_rename(&from, &to);
        // INBOX is still there (RFC 9051 §6.3.6), but what it was renamed to may need telling.
        let told = !from.is_inbox() || to.as_str() != to.key().as_str();
        if self.mode.revision == Revision::Rev2 && told {
            self.tell_renamed(&from, &to, sink).await?;
        }
        Ok(ok("The mailbox is renamed."))
    }

    /// A renamed tree, missing parents that were made for it, and of INBOX its mail are no news to the
    /// client.
    fn did_rename(&mut self, from: &MailboxName, to: &MailboxName) {
        let (old, new) = (from.key(), to.key());
        self.did_names(|key| {
            let within = key.suffix_of(&old).is_some() || key.suffix_of(&new).is_some();
            within || new.is_below(key)
        });
        if from.is_inbox() {
            let tree = self.account.tree();
            for info in [&old, &new]
                .into_iter()
                .filter_map(|key| tree.mailboxes.get(key))
            {
                self.did_messages(info.id);
            }
        }
    }

    /// LIST with OLDNAME of a renamed mailbox (RFC 9051 §6.3.9.7).
    async fn tell_renamed(
        &self,
        from: &MailboxName,
        to: &MailboxName,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let tree = self.account.tree();
        if let Some(info) = tree.mailboxes.get(&to.key()) {
            let mut entry = list::entry_of(&tree, info, list::Attributes::default());
            entry.old_name = Some(from.clone());
            sink.send(&Untagged::List(entry)).await?;
        }
        Ok(())
    }

    pub(super) async fn subscribe(&mut self, name: &Name, subscription: Subscription) -> Outcome {
        let name = self.name(&name.0)?;
        self.account.subscribe(&name, subscription).await?;
        self.did_subscribe(&name);
        Ok(match subscription {
            Subscription::On => ok("Subscribed."),
            Subscription::Off => ok("No longer subscribed."),
        })
    }

    /// The source of RENAME: a mailbox, or a name that only exists as a parent of mailboxes.
    fn existing_or_parent(&self, written: &WireName) -> Result<MailboxName, Failure> {
        let name = self.name(written)?;
        let key = name.key();
        let tree = self.account.tree();
        if tree
            .mailboxes
            .keys()
            .any(|other| *other == key || other.is_below(&key))
        {
            Ok(name)
        } else {
            refuse(Code::NonExistent, "There is no such mailbox.")
        }
    }
}
