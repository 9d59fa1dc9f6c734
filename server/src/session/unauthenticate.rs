//! UNAUTHENTICATE (RFC 8437): everything that a login brought is dropped, and the connection stays.
//! What is of the connection itself, its limits and counters, `connection` resets.

use super::{Authenticated, Context, Reply, Selected, Session, answer::bad};

impl Session {
    /// Whether UNAUTHENTICATE is offered: where it is wanted, and where there was a login that can be
    /// followed by another one.
    #[must_use]
    pub fn may_unauthenticate(&self, context: &Context) -> bool {
        self.authenticated()
            .is_some_and(|auth| auth.may_unauthenticate(context))
    }
}

impl Authenticated {
    fn may_unauthenticate(&self, context: &Context) -> bool {
        context.service.config.imap.unauthenticate && self.login.was_asked_for()
    }

    /// NO is not permitted (RFC 8437 §3): a client may already be sending its next login.
    pub(super) fn unauthenticate(self, context: &Context) -> (Session, Reply) {
        match self.may_unauthenticate(context) {
            true => (Session::NotAuthenticated, Reply::Unauthenticate),
            false => (Session::Authenticated(self), not_offered()),
        }
    }
}

impl Selected {
    /// The mailbox ceases to be selected, and nothing is expunged or told.
    pub(super) fn unauthenticate(self, context: &Context) -> (Session, Reply) {
        match self.auth.may_unauthenticate(context) {
            true => (Session::NotAuthenticated, Reply::Unauthenticate),
            false => (Session::Selected(self), not_offered()),
        }
    }
}

fn not_offered() -> Reply {
    Reply::Done(bad("UNAUTHENTICATE is not offered here."))
}
