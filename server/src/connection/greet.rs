//! What a connection says first (RFC 9051 §7.1), and whose limits count once somebody is known.

use wire::imap::{
    code::Code,
    response::{Completion, Status, Untagged},
};

use super::{Connection, End, Flow, Opening};
use crate::{
    pool::UsedUp,
    refused::Reason,
    session::{preauthenticate, sink::OutputLimits},
};

impl Connection {
    pub(super) async fn greet(&mut self, opening: Opening<'_>) -> Result<Flow, End> {
        match opening {
            Opening::Login => self.greet_stranger().await?,
            Opening::Preauth(account) => self.greet_account(account).await?,
        }
        Ok(Flow::On)
    }

    /// `* PREAUTH`, or `* BYE` if the account cannot be had.
    async fn greet_account(&mut self, account: &str) -> Result<(), End> {
        let opened = preauthenticate(account, &self.context).await;
        let (session, Completion { code, text, .. }) =
            opened.map_err(|refused| End::Bye(refused.code, refused.text))?;
        self.session = session;
        self.context.place.is_in(self.session.state());
        self.admit();
        self.sink.send(&Untagged::PreAuth(code, text)).await?;
        Ok(self.sink.flush().await?)
    }

    async fn greet_stranger(&mut self) -> Result<(), End> {
        let share = self
            .context
            .service
            .pre_login
            .enter(self.context.peer.protection);
        self.share = Some(share.map_err(|UsedUp| End::Refused(Reason::PreLoginPool))?);
        let greeting = Completion {
            status: Status::Ok,
            code: Some(Code::Capability(self.session.capabilities(&self.context))),
            text: format!("{} is ready.", self.context.service.config.imap.server_name).into(),
        };
        self.sink.send(&Untagged::Status(greeting)).await?;
        Ok(self.sink.flush().await?)
    }

    /// From here on the limits of a user are those that count.
    pub(super) fn admit(&mut self) {
        let limits = &self.context.service.config.limits;
        self.share = None;
        self.limits = limits.after_login();
        self.sink.set_limits(OutputLimits {
            buffer_bytes: limits.output_buffer_bytes.as_usize(),
            patience: limits.output_timeout,
        });
    }
}
