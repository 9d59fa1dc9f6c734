//! STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 §6.2), and what the server says it can do.

use std::sync::Arc;

use store::{Account, Actor, credential::Scope};
use tokio::time::Instant;
use wire::{
    encode::Mode,
    imap::{
        auth::Login,
        capabilities::{Compression, Offer, PlaintextAuth, Stage, Tls, UidOnly, Unauthenticate},
        code::Code,
        command::NotAuthenticated,
        response::Completion,
    },
};

use super::{
    Authenticated, Channel, Context, Reply, Session,
    answer::{bad, no, ok_with, refusal},
    login::LoggedIn,
    sasl,
};
use crate::{
    auth::{self, Attempt, AuthFailure, Credential, Identity, Known, Proof},
    quirks::Quirk,
    refused::{self, Claims, Reason},
    service::LimitReached,
};

impl Context {
    /// Whether a password may be taken on this connection. Asked before a literal or a SASL
    /// response is granted, so that no client is invited to send one in clear (rule 46).
    ///
    /// # Errors
    /// The refusal to send instead.
    pub fn password_allowed(&self) -> Result<(), Completion> {
        match self.channel {
            Channel::Tls | Channel::PlainTrusted => Ok(()),
            Channel::Plain => Err(no(
                Code::PrivacyRequired,
                "Passwords are only taken over TLS: use STARTTLS.",
            )),
        }
    }

    /// The longest message APPEND takes, bytes.
    #[must_use]
    pub fn message_bytes_max(&self) -> u64 {
        self.service.config.limits.message_bytes.0
    }

    /// How much memory one session may use, bytes.
    #[must_use]
    pub fn session_bytes_max(&self) -> usize {
        usize::try_from(self.service.config.limits.session_bytes.0).unwrap_or(usize::MAX)
    }

    /// Whether STARTTLS is offered.
    #[must_use]
    pub fn offers_starttls(&self) -> bool {
        // TLS goes outside of what compresses, so it cannot come later (RFC 4978 §3).
        self.channel != Channel::Tls && self.service.tls.is_some() && self.inflow.is_none()
    }
}

/// Runs one command before login.
pub(super) async fn command(command: NotAuthenticated, context: &Context) -> (Session, Reply) {
    let stay = |reply| (Session::NotAuthenticated, reply);
    match command {
        NotAuthenticated::StartTls if context.offers_starttls() => stay(Reply::StartTls),
        NotAuthenticated::StartTls => stay(Reply::Done(bad("STARTTLS is not offered here."))),
        NotAuthenticated::Authenticate(auth) => stay(sasl::authenticate(auth, context)),
        NotAuthenticated::Login(login) => {
            let (session, completion) = login_command(&login, context).await;
            (session, Reply::Done(completion))
        }
    }
}

async fn login_command(login: &Login, context: &Context) -> (Session, Completion) {
    if let Err(refused) = context.password_allowed() {
        return (Session::NotAuthenticated, refused);
    }
    context.place.tries("LOGIN");
    let user = String::from_utf8_lossy(&login.user);
    let proof = Proof::Password(login.password.expose());
    log_in((&user, proof), None, context).await
}

/// Checks who a client is and opens the account. Unknown, disabled and wrong answer alike.
pub async fn log_in(
    (user, proof): (&str, Proof<'_>),
    act_as: Option<&str>,
    context: &Context,
) -> (Session, Completion) {
    let attempt = Attempt {
        user,
        proof,
        scope: Scope::Imap,
        peer: &context.peer,
        act_as,
    };
    let begun = Instant::now();
    // Boxed: passed on, it would stand in the connection more than once.
    let looked_at = Box::pin(context.service.auth.log_in(&attempt));
    let (verdict, known) = auth::noting_known(looked_at).await;
    let metrics = &context.service.observe.metrics;
    metrics.auth_duration.record_time((), begun.elapsed());
    if known == Known::Remembered {
        metrics.auth_cache_hits.count(());
    }
    let credential = verdict.as_ref().ok().map(|it| &it.credential);
    context.place.claims(user, credential, known);
    let opened = match verdict {
        Ok(identity) => open(&identity, context).await,
        Err(AuthFailure::Wrong) => Err(wrong(user, context)),
        Err(AuthFailure::MayNotActAs) => {
            let (reason, code) = (Reason::MayNotActAs, Code::AuthorizationFailed);
            Err(refused(reason, code, Some(user), context))
        }
        Err(AuthFailure::Unavailable) => Err(unavailable()),
    };
    opened.unwrap_or_else(|refused| (Session::NotAuthenticated, refused))
}

/// The answer to a proof that does not hold, which also goes to the log.
pub(super) fn wrong(user: &str, context: &Context) -> Completion {
    let (reason, code) = (Reason::LoginFailed, Code::AuthenticationFailed);
    refused(reason, code, Some(user), context)
}

/// The answer to a message that no mechanism understands, which also goes to the log.
pub(super) fn malformed(context: &Context) -> Completion {
    let (reason, code) = (Reason::MalformedLogin, Code::AuthenticationFailed);
    refused(reason, code, None, context)
}

/// The answer when it cannot be found out who somebody is.
#[must_use]
pub fn unavailable() -> Completion {
    no(
        Code::Unavailable,
        "Logins cannot be checked now; try again later.",
    )
}

fn refused(reason: Reason, code: Code, user: Option<&str>, context: &Context) -> Completion {
    let claims = Claims {
        user,
        client: context.place.client(),
    };
    refused::log(&context.service, reason, &context.peer, claims);
    no(code, reason.bye().1)
}

/// Opens an account for a connection that is in it from its start (RFC 9051 §7.1.4). It is not
/// opened if it does not exist, is disabled, or has all the sessions it may have.
///
/// # Errors
/// What the client is told instead.
pub async fn preauthenticate(name: &str, context: &Context) -> Opened {
    let refused = |text| Err(no(Code::Unavailable, text));
    let Some(account) = context.service.store.find_account(name) else {
        tracing::error!(
            account = name,
            "there is no account of this name to serve without a login"
        );
        return refused("The account that is served here does not exist.");
    };
    if !account.enabled {
        return refused("The account that is served here is disabled.");
    }
    let identity = Identity {
        authenticated: Arc::clone(&account),
        account,
        credential: Credential::Unasked,
    };
    context.place.tries("PREAUTH");
    open(&identity, context).await
}

/// A session in an account and what it is welcomed with, or the refusal.
pub(super) type Opened = Result<(Session, Completion), Completion>;

async fn open(identity: &Identity, context: &Context) -> Opened {
    let info = &identity.account;
    let guard = match context.service.sessions.enter(info.id, context.peer.trust) {
        Ok(guard) => guard,
        Err(LimitReached { limit }) => {
            let claims = Claims {
                user: Some(&info.name),
                client: context.place.client(),
            };
            let reason = Reason::ConnectionsPerUser;
            refused::log(&context.service, reason, &context.peer, claims);
            let text = format!(
                "This account has {limit} connections already, all that Imap:MaxConnectionsPerUser allows."
            );
            return Err(no(Code::Limit, text));
        }
    };
    match open_accounts(identity, context).await {
        Ok((account, by)) => {
            let now_secs = context.service.now_secs();
            context.place.logged_in(&info.name, now_secs);
            tracing::info!(
                origin = %context.origin, protocol = context.place.protocol.name(),
                address = %context.peer.ip_text(), user = info.name,
                by = %identity.credential, authenticated = identity.authenticated.name,
                tls = context.secured.as_ref().map(|secured| secured.version),
                client = context.place.client(), "login"
            );
            let session = Session::Authenticated(Authenticated {
                account,
                login: LoggedIn::new(identity, by),
                mode: Mode::REV1,
                notify: None,
                _guard: guard,
            });
            let code = Code::Capability(session.capabilities(context));
            Ok((session, ok_with(code, "Welcome.")))
        }
        Err(error) => Err(refusal(&error)),
    }
}

/// The account whose mail it is, and that of whoever proved to be somebody.
async fn open_accounts(
    identity: &Identity,
    context: &Context,
) -> store::Result<(Arc<dyn Account>, Arc<dyn Account>)> {
    let access = identity.credential.access();
    let open = |id| {
        let origin = Arc::clone(&context.origin);
        let actor = Actor {
            account: id,
            origin,
            client: context.place.client_cell(),
            access,
        };
        context.service.store.open_account(id, actor)
    };
    let account = open(identity.account.id).await?;
    if identity.account.id == identity.authenticated.id {
        return Ok((Arc::clone(&account), account));
    }
    Ok((account, open(identity.authenticated.id).await?))
}

impl Session {
    /// What CAPABILITY, the greeting and the answer to a login say: one function.
    #[must_use]
    pub fn capabilities(&self, context: &Context) -> String {
        Offer {
            stage: match self {
                Self::NotAuthenticated => Stage::BeforeLogin,
                Self::Authenticated(_) | Self::Selected(_) => Stage::AfterLogin,
            },
            tls: match context.offers_starttls() {
                true => Tls::Offered,
                false => Tls::NotOffered,
            },
            plaintext_auth: match context.channel {
                Channel::Plain => PlaintextAuth::Refused,
                Channel::Tls | Channel::PlainTrusted => PlaintextAuth::Allowed,
            },
            mechanisms: context.mechanisms(),
            append_limit: context.message_bytes_max(),
            compression: match context.service.config.imap.compress {
                true => Compression::Offered,
                false => Compression::NotOffered,
            },
            unauthenticate: match self.may_unauthenticate(context) {
                true => Unauthenticate::Offered,
                false => Unauthenticate::NotOffered,
            },
            uid_only: match context.works_around(Quirk::NoUidOnly) {
                true => UidOnly::NotOffered,
                false => UidOnly::Offered,
            },
            messages: context.message_limit(),
        }
        .list()
    }
}
