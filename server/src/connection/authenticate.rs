//! The messages of AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959), and what follows a login.

use wire::{
    frame::Line,
    imap::{code::Code, response::Completion, table::Expunge},
    sasl::{self, Exchange, Setting, Step},
};

use super::{Connection, End};
use crate::{
    auth::Proof,
    refused::{self, Reason},
    session::{
        Credentials, Reply, Session,
        answer::{bad, no},
        log_in,
    },
};

impl Connection {
    /// Exchanges SASL messages to the end of the mechanism.
    pub(super) async fn authenticate(&mut self, credentials: Credentials) -> Result<(), End> {
        let initial = credentials.initial.as_ref().map(|initial| initial.expose());
        let (mut exchange, mut step) =
            Exchange::begin(credentials.mechanism, Setting::default(), initial);
        loop {
            match step {
                Step::Challenge(challenge) => {
                    self.sink.challenge(&challenge).await?;
                    let line = self.sasl_line().await?;
                    step = match line.as_deref().map(sasl::response_line) {
                        Some(Ok(sasl::Line::Response(response))) => {
                            exchange.step(response.expose())
                        }
                        Some(Ok(sasl::Line::Cancelled)) => {
                            return self.answer(bad("Cancelled."), Expunge::MustWait).await;
                        }
                        Some(Err(_)) | None => {
                            refused::log(Reason::MalformedLogin, &self.context.peer, self.claims());
                            let answer = bad("This is not base64, or too long.");
                            return self.answer(answer, Expunge::MustWait).await;
                        }
                    };
                }
                Step::Verify(credentials) => return self.verify(&credentials).await,
                // The mechanisms that end otherwise are not offered yet.
                _ => {
                    refused::log(Reason::MalformedLogin, &self.context.peer, self.claims());
                    let wrong = no(Code::AuthenticationFailed, "The response is malformed.");
                    return self.logged_in(wrong).await;
                }
            }
        }
    }

    /// The next line of the client; `None` if it is too long.
    async fn sasl_line(&mut self) -> Result<Option<Vec<u8>>, End> {
        loop {
            match self
                .framer
                .line(self.limits.authenticate_line_bytes_max, &self.limits)
            {
                Line::Line(line) => return Ok(Some(line)),
                Line::TooLong => return Ok(None),
                Line::Incomplete => self.receive().await?,
            }
        }
    }

    async fn verify(&mut self, credentials: &sasl::Credentials) -> Result<(), End> {
        let proof = Proof::Password(credentials.password.expose());
        let act_as = credentials.act_as.as_deref();
        let (session, reply) = log_in((&credentials.user, proof), act_as, &self.context).await;
        self.session = session;
        match reply {
            Reply::Done(completion) => self.logged_in(completion).await,
            _ => Ok(()),
        }
    }

    /// Writes the answer to a login, counts failures, and changes to the limits of a user.
    pub(super) async fn logged_in(&mut self, completion: Completion) -> Result<(), End> {
        let failed = matches!(self.session, Session::NotAuthenticated);
        self.answer(completion, Expunge::MustWait).await?;
        let limits = &self.context.service.config.limits;
        if failed {
            self.login_failures = self.login_failures.saturating_add(1);
            if self.login_failures >= limits.login_failures {
                return Err(End::Refused(Reason::LoginFailures));
            }
        } else {
            self.admit();
        }
        Ok(())
    }
}
