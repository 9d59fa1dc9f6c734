//! STATUS (RFC 9051 §6.3.11) and NAMESPACE (§6.3.10). Both read counters and load no mailbox.

use store::{MailboxInfo, state::Summary};
use wire::imap::{
    response::{MailboxStatus, Untagged},
    status::{Status, StatusItem},
};

use super::{
    Authenticated, Context,
    answer::{Failure, Outcome, ok},
    sink::Sink,
};

impl Authenticated {
    pub(super) async fn namespace(&self, sink: &mut Sink) -> Outcome {
        sink.send(&Untagged::Namespace).await?;
        Ok(ok("One namespace: yours."))
    }

    pub(super) async fn status(
        &self,
        status: &Status,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        let info = self.find(&status.mailbox)?;
        let response = self.counters(&info, &status.items, context)?;
        // The answer names the mailbox as it is called, not as the client did.
        if let Some(told) = self.respelled(&self.name(&status.mailbox)?, &info) {
            sink.send(&told).await?;
        }
        sink.send(&Untagged::MailboxStatus(response)).await?;
        Ok(ok("Counted."))
    }

    /// A STATUS response, also for LIST … RETURN (STATUS …) (RFC 5819).
    pub(super) fn counters(
        &self,
        info: &MailboxInfo,
        items: &[StatusItem],
        context: &Context,
    ) -> Result<MailboxStatus, Failure> {
        let summary = self.account.summary(info.id)?;
        let number = |item: StatusItem| match item {
            StatusItem::MailboxId => info.id.get(),
            StatusItem::AppendLimit => context.message_bytes_max(),
            counted => counter(&summary, counted).unwrap_or_default(),
        };
        let items = items.iter().map(|item| (*item, number(*item))).collect();
        Ok(MailboxStatus {
            name: info.name.clone(),
            items,
        })
    }
}

/// A counter as STATUS tells it; nothing for what is no counter.
pub(super) fn counter(summary: &Summary, item: StatusItem) -> Option<u64> {
    Some(match item {
        StatusItem::Messages => u64::from(summary.messages),
        StatusItem::UidNext => u64::from(summary.uid_next.get()),
        StatusItem::UidValidity => u64::from(summary.uid_validity.get()),
        StatusItem::Unseen => u64::from(summary.unseen),
        StatusItem::Deleted => u64::from(summary.deleted),
        StatusItem::Size => summary.bytes,
        StatusItem::Recent => u64::from(summary.recent),
        StatusItem::HighestModSeq => summary.highest_mod_seq.get(),
        StatusItem::DeletedStorage => summary.deleted_bytes,
        StatusItem::AppendLimit | StatusItem::MailboxId => return None,
    })
}
