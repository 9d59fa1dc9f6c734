//! IDLE (RFC 9051 §6.3.13): what a session waits for.

use std::sync::Arc;

use store::state::MailboxState;
use tokio::sync::watch;

use super::Session;

/// Wakes when the selected mailbox has a new version.
pub struct Changes(Option<watch::Receiver<Arc<MailboxState>>>);

impl Session {
    /// What IDLE waits for; without a selected mailbox, nothing.
    #[must_use]
    pub fn changes(&self) -> Changes {
        Changes(match self {
            Self::Selected(selected) => Some(selected.mailbox.watch()),
            Self::Authenticated(_) | Self::NotAuthenticated => None,
        })
    }
}

impl Changes {
    /// Waits for a new version. When the mailbox is gone, or none is selected, waits for ever.
    pub async fn changed(&mut self) {
        if let Some(versions) = &mut self.0
            && versions.changed().await.is_ok()
        {
            return;
        }
        self.0 = None;
        std::future::pending().await
    }
}
