//! The seam between logging in and whoever knows the passwords: own accounts, a file, a command, a
//! directory. A backend says which account somebody proved to be, and by what; it knows nothing of
//! protocols, and nothing of throttling, which stand around it in [`super::Auth`].

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use store::{
    Access, AccountInfo,
    credential::{CredentialId, Scope},
};

use crate::listen::Peer;

/// Why nobody was logged in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthFailure {
    /// No such account, not its password, or disabled: never told apart.
    Wrong,
    /// It cannot be found out at the moment.
    Unavailable,
    /// The proof is right, but whoever gave it may not act as the account asked for.
    MayNotActAs,
}

/// Somebody who wants to log in.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// Who it says it is: the name or an alias of an account, or `account+NAME` for the app
    /// password NAME.
    pub user: &'a str,
    /// How it proves that.
    pub proof: Proof<'a>,
    /// What it wants to do.
    pub scope: Scope,
    /// Where it is.
    pub peer: &'a Peer,
    /// As whom it wants to act, if that is not itself.
    pub act_as: Option<&'a str>,
}

/// How somebody proves who it is.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// A password, to be compared.
    Password(&'a [u8]),
    /// TLS has verified a client certificate that names the user.
    Certificate,
    /// A token that names the user has been verified.
    Token,
    /// SCRAM has verified that the client knows what the verifier was made of.
    Scram(ScramClaim),
    /// None: the user is the account that `Auth:AnonymousAccount` names.
    Anonymous,
}

impl Proof<'_> {
    /// What a proof made elsewhere says to a backend that cannot look users up.
    ///
    /// # Errors
    /// It is not a proof made elsewhere.
    pub(super) fn vouched(self, user: &str) -> Result<Proven, AuthFailure> {
        let credential = match self {
            Self::Certificate => Credential::Certificate,
            Self::Token => Credential::Token,
            Self::Password(_) | Self::Scram(_) | Self::Anonymous => return Err(AuthFailure::Wrong),
        };
        Ok(Proven {
            user: user.to_owned(),
            credential,
        })
    }
}

impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password",
            Self::Certificate => "Certificate",
            Self::Token => "Token",
            Self::Scram(_) => "Scram",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// What SCRAM compares a client's proof with, and what a right proof means.
#[derive(Clone)]
pub struct ScramEntry {
    /// The verifier in its string form.
    pub verifier: String,
    /// Which credential it is of.
    pub claim: ScramClaim,
}

impl fmt::Debug for ScramEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramEntry")
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}

/// The credential whose verifier SCRAM was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ScramClaim(pub(super) CredentialId);

/// By what somebody proved who it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// The account's main password, by its id.
    Main(CredentialId),
    /// The account's app password of this id and name.
    App(CredentialId, String),
    /// A password that a backend other than own accounts found right; its name.
    Backend(&'static str),
    /// A client certificate.
    Certificate,
    /// A token.
    Token,
    /// Nothing.
    Anonymous,
    /// Nothing: the connection is somebody's from its start (`* PREAUTH`).
    Unasked,
}

impl Credential {
    /// What may be done with it.
    #[must_use]
    pub const fn access(&self) -> Access {
        match self {
            Self::Anonymous => Access::ReadOnly,
            Self::Main(_)
            | Self::App(..)
            | Self::Backend(_)
            | Self::Certificate
            | Self::Token
            | Self::Unasked => Access::ReadWrite,
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Main(_) => f.write_str("password"),
            Self::App(_, name) => write!(f, "app password {name}"),
            Self::Backend(name) => f.write_str(name),
            Self::Certificate => f.write_str("certificate"),
            Self::Token => f.write_str("token"),
            Self::Anonymous => f.write_str("anonymous"),
            Self::Unasked => f.write_str("no login"),
        }
    }
}

/// What a backend found: the name of the account, and what proved it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proven {
    /// The name or an alias of the account.
    pub user: String,
    /// What proved it.
    pub credential: Credential,
}

/// Somebody who is logged in.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Whose mail it is.
    pub account: Arc<AccountInfo>,
    /// Who proved to be somebody; another account only with the right to act as the first.
    pub authenticated: Arc<AccountInfo>,
    /// By what.
    pub credential: Credential,
}

/// Whoever knows the passwords.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// Which account this is, and by what it proved that.
    ///
    /// # Errors
    /// [`AuthFailure::Wrong`] in the same time for an unknown user and for a wrong password;
    /// [`AuthFailure::Unavailable`] if it cannot be found out.
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Proven, AuthFailure>;

    /// What SCRAM compares the proof of this user with. A backend that keeps no verifiers has
    /// none for anybody.
    fn scram(&self, _user: &str, _scope: Scope) -> Option<ScramEntry> {
        None
    }

    /// For whom it has what SCRAM needs.
    fn scram_for(&self) -> ScramFor {
        ScramFor::Nobody
    }
}

/// For whom a backend has what SCRAM needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ScramFor {
    /// It keeps no verifiers.
    Nobody,
    /// Some of those who may log in have none yet.
    Some,
    /// Everybody who may log in with a password.
    All,
}
