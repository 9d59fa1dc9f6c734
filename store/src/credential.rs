//! What an account proves itself with: one main password and any number of app passwords, each
//! kept as what a proof is compared with and never as itself.
//!
//! How a password is hashed or compared is not known here: these are texts to the store.

use std::fmt;

use mail::id::AccountId;

/// App passwords an account may have.
pub const APP_PASSWORDS_MAX: usize = 100;

/// Names one credential of an account; never given twice in the account, so that a session can
/// tell whether what it logged in with is still there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CredentialId(pub u64);

/// What proofs of one password are compared with. `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Verifiers {
    /// A hash in its usual string form (PHC, or that of crypt(3)).
    pub hash: String,
    /// What SCRAM-SHA-256 needs (RFC 5803), once the password has been seen.
    pub scram: Option<String>,
}

impl fmt::Debug for Verifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifiers")
            .field("scram", &self.scram.is_some())
            .finish_non_exhaustive()
    }
}

/// The main password of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MainPassword {
    /// Another after each change of the password.
    pub id: CredentialId,
    /// What it is compared with.
    pub verifiers: Verifiers,
}

/// A password for one program or device, beside the main one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AppPassword {
    /// Its id.
    pub id: CredentialId,
    /// Its name, unique in the account.
    pub name: String,
    /// What it is compared with.
    pub verifiers: Verifiers,
    /// The password's first letters, by which it is found; no secret.
    pub selector: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// When it was made, seconds since 1970.
    pub created_secs: i64,
    /// From when on it proves nothing any more.
    pub expires_secs: Option<i64>,
    /// When and where it was last used, as far as that has been written down.
    pub last_use: Option<LastUse>,
}

impl AppPassword {
    /// Whether this is its name, in any case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.name.to_lowercase() == name.to_lowercase()
    }
}

/// An app password to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewAppPassword {
    /// Its name.
    pub name: String,
    /// What it is compared with.
    pub verifiers: Verifiers,
    /// The password's first letters.
    pub selector: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// From when on it proves nothing any more.
    pub expires_secs: Option<i64>,
}

/// When and where a credential was used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LastUse {
    /// Seconds since 1970.
    pub secs: i64,
    /// From where, such as an address.
    pub place: String,
    /// For what.
    pub scope: Scope,
}

/// Something a credential is used for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Reading mail.
    Imap,
    /// Handing in mail.
    Lmtp,
    /// Administration.
    Admin,
}

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Imap, Self::Lmtp, Self::Admin];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Lmtp => "lmtp",
            Self::Admin => "admin",
        }
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Imap => 1,
            Self::Lmtp => 2,
            Self::Admin => 4,
        }
    }
}

/// A set of scopes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    /// Whether a scope is in the set.
    #[must_use]
    pub const fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes, in the order of [`Scope::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL
            .into_iter()
            .filter(move |scope| self.contains(*scope))
    }

    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set with these bits; `None` if one of them is no scope.
    pub(crate) fn from_bits(bits: u8) -> Option<Self> {
        let all = Scope::ALL.into_iter().collect::<Self>();
        (bits & !all.0 == 0).then_some(Self(bits))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// As whom an account may act besides itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ActAs {
    /// As these accounts.
    These(Vec<AccountId>),
    /// As any account.
    Anyone,
}

impl Default for ActAs {
    fn default() -> Self {
        Self::These(Vec::new())
    }
}

impl ActAs {
    /// Whether acting as this account is allowed.
    #[must_use]
    pub fn allows(&self, account: AccountId) -> bool {
        match self {
            Self::These(accounts) => accounts.contains(&account),
            Self::Anyone => true,
        }
    }
}

/// One change of an account's credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CredentialChange {
    /// A new main password; the old one proves nothing any more.
    Password(Verifiers),
    /// The same password, kept in another way, provided that it is still kept as `from`.
    Kept {
        /// Which credential.
        id: CredentialId,
        /// How it was kept.
        from: Verifiers,
        /// How it is to be kept.
        to: Verifiers,
    },
    /// One more app password.
    AddApp(NewAppPassword),
    /// The app password of this name proves nothing any more.
    RevokeApp(String),
    /// An app password was used; forgotten if it is gone.
    Used(CredentialId, LastUse),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_a_set() {
        let some: Scopes = [Scope::Admin, Scope::Imap, Scope::Imap]
            .into_iter()
            .collect();
        assert!(some.contains(Scope::Imap) && !some.contains(Scope::Lmtp));
        assert_eq!(some.iter().collect::<Vec<_>>(), [Scope::Imap, Scope::Admin]);
        assert_eq!(Scopes::from_bits(some.bits()), Some(some));
        assert_eq!(Scopes::from_bits(8), None);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let verifiers = Verifiers {
            hash: "marker7".into(),
            scram: Some("marker7".into()),
        };
        let password = MainPassword {
            id: CredentialId(1),
            verifiers,
        };
        assert!(!format!("{password:?} {password:#?}").contains("marker7"));
    }
}
