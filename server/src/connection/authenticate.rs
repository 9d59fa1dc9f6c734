//! The messages of AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959), and what follows a login.

use store::credential::Scope;
use wire::{
    frame::Line,
    imap::{auth::Secret, response::Completion, table::Expunge},
    sasl::{self, Exchange, Step},
};

use super::{Connection, End};
use crate::{
    refused::Reason,
    session::{Credentials, Session, answer::bad, conclude, token, unavailable},
};

impl Connection {
    /// Exchanges SASL messages to the end of the mechanism.
    pub(super) async fn authenticate(&mut self, credentials: Credentials) -> Result<(), End> {
        let Some(setting) = self.context.sasl_setting() else {
            return self.answer(unavailable(), Expunge::MustWait).await;
        };
        let initial = credentials.initial.as_ref().map(|initial| initial.expose());
        let mechanism = credentials.mechanism;
        self.context.place.tries(mechanism.name());
        let (mut exchange, mut step) = Exchange::begin(mechanism, setting, initial);
        let (mut claim, mut refused) = (None, None);
        loop {
            step = match step {
                Step::Challenge(challenge) => match self.sasl_response(&challenge).await? {
                    Ok(response) => exchange.step(response.expose()),
                    // Cancelled after it was told that its token does not do: that was a failure.
                    Err(answer) if refused.is_some() => return self.logged_in(answer).await,
                    Err(answer) => return self.answer(answer, Expunge::MustWait).await,
                },
                Step::FindVerifier { user, hash } => {
                    let auth = &self.context.service.auth;
                    let (verifier, found) = auth.scram(&user, hash, Scope::Imap);
                    claim = found;
                    exchange.verifier(verifier)
                }
                Step::Token(given) => {
                    let judged = token(mechanism, &given, &self.context).await;
                    let Some(why) = judged.why else {
                        return self.concluded(judged.session, judged.completion).await;
                    };
                    refused = Some(judged.completion);
                    exchange.refuse(why)
                }
                end => {
                    let (session, completion) = match refused {
                        // Whatever it answers: it has been told why.
                        Some(completion) => (Session::NotAuthenticated, completion),
                        None => conclude(end, claim, &self.context).await,
                    };
                    return self.concluded(session, completion).await;
                }
            };
        }
    }

    async fn concluded(&mut self, session: Session, completion: Completion) -> Result<(), End> {
        self.session = session;
        self.logged_in(completion).await
    }

    /// What the client answers to a challenge, or what it is told if that is no answer.
    async fn sasl_response(&mut self, challenge: &[u8]) -> Result<Result<Secret, Completion>, End> {
        self.sink.challenge(challenge).await?;
        let line = self.sasl_line().await?;
        self.tell_line("[not told]");
        Ok(match line.as_deref().map(sasl::response_line) {
            Some(Ok(sasl::Line::Response(response))) => Ok(response),
            Some(Ok(sasl::Line::Cancelled)) => Err(bad("Cancelled.")),
            Some(Err(_)) | None => {
                self.log_refusal(Reason::MalformedLogin);
                Err(bad("This is not base64, or too long."))
            }
        })
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

    /// Writes the answer to a login, counts failures, and changes to the limits of a user.
    pub(super) async fn logged_in(&mut self, completion: Completion) -> Result<(), End> {
        let failed = matches!(self.session, Session::NotAuthenticated);
        self.judged(&completion);
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
