//! UNAUTHENTICATE (RFC 8437): the connection is as before the login, but for TLS, the client's name
//! (ID), and what counts against guessing.

use wire::{encode::Mode, imap::response::Status};

use super::{Connection, End, Flow, Instant, output_before_login};
use crate::{pool::UsedUp, refused::Reason, session::answer::ok};

impl Connection {
    /// Writes the tagged line, the last of the session and of what compresses it.
    pub(super) async fn leave_account(&mut self) -> Result<(), End> {
        self.log_end(("unauthenticate", None));
        self.sink.complete(&ok("You are nobody again."));
        self.heard = Instant::now();
        self.ended(Status::Ok, self.heard);
        if let Some(inflow) = &self.context.inflow {
            inflow.end();
        }
        Ok(self.sink.flush().await?)
    }

    /// The limits are those of strangers, for whom the time to log in begins.
    pub(super) fn begin_anew(&mut self) -> Result<Flow, End> {
        self.context.place.logged_out();
        let service = &self.context.service;
        let share = service.pre_login.enter(self.context.peer.protection);
        let share = share.map_err(|UsedUp| End::Refused(Reason::PreLoginPool))?;
        self.share = Some(share);
        self.limits = service.config.limits.before_login();
        self.sink.set_limits(output_before_login(service));
        self.sink.set_mode(Mode::REV1);
        (self.begun, self.bad_commands) = (self.heard, 0);
        self.account_for_input()?;
        Ok(Flow::On)
    }
}
