//! SASL as a session sees it: which mechanisms a connection is offered, what an exchange is given
//! of its channel, and what its end means (RFC 4422, RFC 9051 §6.2.2). The messages themselves are
//! exchanged by the connection.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use wire::{
    imap::{
        auth::{Authenticate, Secret},
        code::Code,
        response::Completion,
    },
    sasl::{
        Fault, Mechanism, Mechanisms, Setting, Step, Token,
        scram::{Binding, Claim, Hash},
    },
};

use super::{
    Context, Reply, Session,
    answer::no,
    auth::{log_in, malformed, unavailable, wrong},
};
use crate::auth::{
    self, Known, Proof, ScramClaim,
    oauth::{Refusal, jwt::Unfit},
};

/// Random bytes of the server's part of SCRAM's nonce.
const NONCE_BYTES: usize = 18;

/// A SASL exchange about to begin.
pub struct Credentials {
    /// Which mechanism.
    pub mechanism: Mechanism,
    /// The initial response, if the client sent one (RFC 4959).
    pub initial: Option<Secret>,
}

impl Context {
    /// The mechanisms of AUTHENTICATE: CAPABILITY lists these and no others are begun. Of those
    /// that show a password or a token CAPABILITY leaves out all where none may be shown.
    #[must_use]
    pub fn mechanisms(&self) -> Mechanisms {
        let all = Mechanism::ALL.into_iter();
        all.filter(|mechanism| self.offers(*mechanism)).collect()
    }

    fn offers(&self, mechanism: Mechanism) -> bool {
        let auth = &self.service.auth;
        match mechanism {
            Mechanism::Plain | Mechanism::Login => true,
            Mechanism::Scram(hash, binding) => {
                let bound = binding == Binding::Without || !self.bindings().is_empty();
                let known = hash == Hash::Sha256 || self.service.config.auth.scram_sha1;
                bound && known && auth.offers_scram()
            }
            Mechanism::External => self.certificate_names().next().is_some(),
            Mechanism::Anonymous => auth.anonymous().is_some(),
            Mechanism::OAuthBearer | Mechanism::XOAuth2 => auth.takes_tokens(),
        }
    }

    /// What ties an exchange to this connection (RFC 5056), by name.
    fn bindings(&self) -> Vec<(&'static str, Vec<u8>)> {
        let secured = self.secured.as_ref();
        secured.map_or_else(Vec::new, |secured| secured.bindings.all())
    }

    /// The names in the client's certificate by which it may log in. Without a certificate that
    /// was verified on this connection there are none.
    fn certificate_names(&self) -> impl Iterator<Item = &str> {
        let client = self.secured.as_ref().and_then(|it| it.client.as_ref());
        let which = self.service.config.auth.certificate_name;
        client.into_iter().flat_map(move |it| it.names(which))
    }

    /// What an exchange is given; `None` if there is no randomness.
    #[must_use]
    pub fn sasl_setting(&self) -> Option<Setting> {
        let mut nonce = [0; NONCE_BYTES];
        auth::random(&mut nonce).ok()?;
        Some(Setting {
            nonce: STANDARD_NO_PAD.encode(nonce),
            bindings: self.bindings(),
        })
    }
}

/// Begins AUTHENTICATE, unless the mechanism is not offered or would show a password in clear.
pub(super) fn authenticate(authenticate: Authenticate, context: &Context) -> Reply {
    let named = Mechanism::named(&authenticate.mechanism);
    let Some(mechanism) = named.filter(|it| context.mechanisms().contains(*it)) else {
        return Reply::Done(no(Code::Cannot, "This mechanism is not offered."));
    };
    match context.password_allowed() {
        Err(refused) if mechanism.is_plaintext() => Reply::Done(refused),
        _ => Reply::Authenticate(Credentials {
            mechanism,
            initial: authenticate.initial,
        }),
    }
}

/// What the end of an exchange means. `claim` is the credential whose verifier SCRAM was given;
/// a decoy is of none.
pub async fn conclude(
    step: Step,
    claim: Option<ScramClaim>,
    context: &Context,
) -> (Session, Completion) {
    match (step, claim) {
        (Step::Verify(it), _) => {
            let proof = Proof::Password(it.password.expose());
            log_in((&it.user, proof), it.act_as.as_deref(), context).await
        }
        (Step::Proven(Claim { act_as, user }), Some(claim)) => {
            log_in((&user, Proof::Scram(claim)), act_as.as_deref(), context).await
        }
        (Step::Proven(claim) | Step::Disproven(claim), _) => refuse(&claim.user, context).await,
        (Step::External { act_as }, _) => external(act_as.as_deref(), context).await,
        (Step::Anonymous { trace }, _) => anonymous(&trace, context).await,
        (Step::Fail(Fault::ChannelBinding), _) => {
            let (session, refused) = refuse("", context).await;
            let text = "The channel binding is missing or wrong.".into();
            (session, Completion { text, ..refused })
        }
        _ => (Session::NotAuthenticated, malformed(context)),
    }
}

/// What became of a token.
pub struct Judged {
    /// The session from now on.
    pub session: Session,
    /// The answer with which the exchange ends.
    pub completion: Completion,
    /// What the client is told before that, if its token does not do (RFC 7628 §3.2.3).
    pub why: Option<Vec<u8>>,
}

impl Judged {
    const fn refused(completion: Completion, why: Option<Vec<u8>>) -> Self {
        Self {
            session: Session::NotAuthenticated,
            completion,
            why,
        }
    }
}

/// Logs in whom a token names.
pub async fn token(mechanism: Mechanism, token: &Token, context: &Context) -> Judged {
    let auth = &context.service.auth;
    let claimed = token.act_as.as_deref().unwrap_or_default();
    // Without a token the client asks what is wanted (RFC 7628 §4.3); that is no guess.
    if token.token.expose().is_empty() {
        let why = auth.token_error(mechanism, Unfit::Malformed);
        let wanted = no(Code::AuthenticationFailed, "A token is wanted.");
        return Judged::refused(wanted, Some(why));
    }
    let named = auth
        .token(token.token.expose(), claimed, &context.peer)
        .await;
    match named {
        Ok(user) => {
            let act_as = token.act_as.as_deref();
            let (session, completion) = log_in((&user, Proof::Token), act_as, context).await;
            // A good token of somebody who may not log in; for limits and faults there is no text.
            let is_refused = matches!(
                completion.code,
                Some(Code::AuthenticationFailed | Code::AuthorizationFailed)
            );
            Judged {
                session,
                completion,
                why: is_refused.then(|| auth.token_error(mechanism, Unfit::Nobody)),
            }
        }
        Err(Refusal::Unavailable) => Judged::refused(unavailable(), None),
        Err(Refusal::Unfit(why)) => {
            let text = "The token is not accepted.".into();
            context.place.claims(claimed, None, Known::Asked);
            let refused = wrong(claimed, context);
            let json = auth.token_error(mechanism, why);
            Judged::refused(Completion { text, ..refused }, Some(json))
        }
    }
}

/// A proof that is wrong: answered as late, counted and logged as a wrong password.
async fn refuse(user: &str, context: &Context) -> (Session, Completion) {
    context.place.claims(user, None, Known::Asked);
    context.service.auth.failed(&context.peer, user).await;
    (Session::NotAuthenticated, wrong(user, context))
}

/// The client is who its certificate says, not who it says (RFC 4422 §A.1): it names one of those
/// names, or somebody as whom the first of them may act.
async fn external(act_as: Option<&str>, context: &Context) -> (Session, Completion) {
    let is_asked = |name: &&str| act_as.is_some_and(|asked| asked.eq_ignore_ascii_case(name));
    let mut names = context.certificate_names();
    let (user, act_as) = match (context.certificate_names().find(is_asked), names.next()) {
        (Some(own), _) => (own, None),
        (None, Some(first)) => (first, act_as),
        // Not reached: the mechanism is offered to those with a name only.
        (None, None) => return refuse("", context).await,
    };
    log_in((user, Proof::Certificate), act_as, context).await
}

async fn anonymous(trace: &str, context: &Context) -> (Session, Completion) {
    let Some(account) = context.service.auth.anonymous() else {
        return refuse("", context).await;
    };
    // What it says about itself means nothing; escaped, it cannot look like the log's own.
    tracing::info!(origin = %context.origin, ?trace, "anonymous login");
    log_in((account, Proof::Anonymous), None, context).await
}
