//! STARTTLS, AUTHENTICATE and LOGIN (RFC 9051 §6.2).
//!
//! ```text
//! C: a1 STARTTLS
//! C: a2 AUTHENTICATE PLAIN AHRpbQB0YW5zdGFhZg==
//! C: a3 LOGIN tim "tanstaaf"
//! ```
//!
//! The rest of a SASL exchange is lines of base64: [`crate::frame::Framer::line`] and
//! [`crate::sasl`].

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::command::{Authenticated, Command, NotAuthenticated};
use crate::cursor::{Cursor, Parsed};

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

pub(super) const fn unauthenticate(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::Authenticated(Authenticated::Unauthenticate))
}

pub(super) const fn starttls(_: &mut Cursor<'_>) -> Parsed<Command> {
    Ok(Command::NotAuthenticated(NotAuthenticated::StartTls))
}

/// ```abnf
/// login = "LOGIN" SP userid SP password   ; both astring
/// ```
pub(super) fn login(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    let user = c.astring("a user name")?.into_owned();
    c.sp()?;
    let password = Secret::new(c.astring("a password")?.into_owned());
    let login = Login { user, password };
    Ok(Command::NotAuthenticated(NotAuthenticated::Login(login)))
}

/// ```abnf
/// authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp] *(CRLF base64)
/// initial-resp = (base64 / "=")
/// ```
pub(super) fn authenticate(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    let mechanism = c.atom("a mechanism")?.to_ascii_uppercase().into();
    let initial = if c.eat(b' ') {
        Some(initial_response(c)?)
    } else {
        None
    };
    Ok(Command::NotAuthenticated(NotAuthenticated::Authenticate(
        Authenticate { mechanism, initial },
    )))
}

fn initial_response(c: &mut Cursor<'_>) -> Parsed<Secret> {
    let start = c.at();
    let base64 = c.take_while(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
    match (base64, STANDARD.decode(base64)) {
        (b"=", _) => Ok(Secret::new(Vec::new())),
        (b"", _) | (_, Err(_)) => c.fail_at(start, "base64, or = for an empty response"),
        (_, Ok(decoded)) => Ok(Secret::new(decoded)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    fn login_of(rest: &str) -> Login {
        match accept(rest) {
            Command::NotAuthenticated(NotAuthenticated::Login(login)) => login,
            other => panic!("{other:?}"),
        }
    }

    fn authenticate_of(rest: &str) -> Authenticate {
        match accept(rest) {
            Command::NotAuthenticated(NotAuthenticated::Authenticate(command)) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn login_arguments() {
        for rest in [
            "LOGIN tim tanstaaf",
            "login \"tim\" \"tanstaaf\"",
            "LOGIN {3+}\r\ntim {8+}\r\ntanstaaf",
            "LOGIN {3}\r\ntim {8}\r\ntanstaaf",
        ] {
            let login = login_of(rest);
            assert_eq!(
                (&*login.user, login.password.expose()),
                (&b"tim"[..], &b"tanstaaf"[..])
            );
            incomplete(rest);
        }
        assert_eq!(
            login_of("LOGIN a \"x\\\"\\\\ y\"").password.expose(),
            b"x\"\\ y"
        );
        assert_eq!(login_of("LOGIN a] \"\"").user, b"a]");
        reject("LOGIN^");
        reject("LOGIN ^");
        reject("LOGIN tim^");
        reject("LOGIN tim ^");
        reject("LOGIN tim ^ x");
        reject("LOGIN tim x^ ");
        reject("LOGIN tim x^ y");
        reject("LOGIN tim ^(x");
        reject("LOGIN tim ^*");
        reject("LOGIN tim \"x^");
        reject("LOGIN ti^\"m\" x");
    }

    #[test]
    fn rule_44_and_threat_05_initial_response() {
        assert_eq!(authenticate_of("AUTHENTICATE plain").initial, None);
        assert_eq!(&*authenticate_of("AUTHENTICATE plain").mechanism, "PLAIN");
        let with = authenticate_of("AUTHENTICATE PLAIN AHQAcA==")
            .initial
            .unwrap();
        assert_eq!(with.expose(), b"\0t\0p");
        let empty = authenticate_of("AUTHENTICATE PLAIN =").initial.unwrap();
        assert!(empty.expose().is_empty());
        incomplete("AUTHENTICATE PLAIN AHQAcA==");
        reject("AUTHENTICATE^");
        reject("AUTHENTICATE ^");
        for bad in [
            "", "*", "AAA=BBB", "AAA", "A", "==", "AB==", "AAAA=", "-_-_",
        ] {
            reject(&format!("AUTHENTICATE PLAIN ^{bad}"));
        }
        reject("AUTHENTICATE PLAIN AHQAcA==^ ");
    }

    #[test]
    fn secrets_are_never_shown() {
        for rest in ["LOGIN tim marker7", "AUTHENTICATE PLAIN bWFya2VyNw=="] {
            let shown = format!("{:?} {:#?}", accept(rest), accept(rest));
            assert!(!shown.contains("marker7"), "{shown}");
            // Nor its bytes, as Debug shows those of a slice.
            assert!(!shown.contains("97, 114, 107"), "{shown}");
            assert!(shown.contains("[secret]"));
        }
        let line = crate::frame::Line::Line(b"marker7".to_vec());
        assert!(!format!("{line:?}").contains("marker7"));
    }
}
