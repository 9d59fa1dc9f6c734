//! STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 §6.2).

use std::fmt;

/// Bytes that are never printed, in any build.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Wraps them.
    #[must_use]
    pub const fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// LOGIN's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The user name, as bytes of the astring.
    pub user: Vec<u8>,
    /// The password.
    pub password: Secret,
}

/// AUTHENTICATE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Authenticate {
    /// The mechanism's name in upper case.
    pub mechanism: Box<str>,
    /// The decoded initial response (RFC 4959); `=` is present and empty.
    pub initial: Option<Secret>,
}
