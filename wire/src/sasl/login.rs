//! LOGIN: name and password in two messages (draft-murchison-sasl-login). No standard, but what
//! some clients still ask for where they could use PLAIN.
//!
//! ```text
//! S: Username:
//! C: tim
//! S: Password:
//! C: tanstaaf
//! ```

use super::{Credentials, Fault, Step};
use crate::{
    imap::auth::Secret,
    limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX},
};

/// The challenges, letter for letter: clients look for them.
const USERNAME: &[u8] = b"Username:";
const PASSWORD: &[u8] = b"Password:";

/// A LOGIN exchange.
#[derive(Debug)]
pub(super) enum Login {
    /// The name is asked for.
    Name,
    /// The password of this user is asked for.
    Password(Box<str>),
}

impl Login {
    pub(super) fn begin() -> Step {
        Step::Challenge(USERNAME.to_vec())
    }

    /// Takes the name, which may have come as initial response, or the password.
    pub(super) fn step(&mut self, message: &[u8]) -> Step {
        match self {
            Self::Name => match name(message) {
                Ok(user) => {
                    *self = Self::Password(user);
                    Step::Challenge(PASSWORD.to_vec())
                }
                Err(fault) => Step::Fail(fault),
            },
            Self::Password(user) => verify(user, message),
        }
    }
}

fn name(message: &[u8]) -> Result<Box<str>, Fault> {
    let user = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
    if user.is_empty() || user.contains('\0') {
        return Err(Fault::Malformed);
    }
    match user.len() > USER_BYTES_MAX {
        true => Err(Fault::TooLong),
        false => Ok(user.into()),
    }
}

fn verify(user: &str, password: &[u8]) -> Step {
    if password.is_empty() || password.contains(&0) || str::from_utf8(password).is_err() {
        return Step::Fail(Fault::Malformed);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Step::Fail(Fault::TooLong);
    }
    Step::Verify(Credentials {
        act_as: None,
        user: user.into(),
        password: Secret::new(password.to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{Exchange, Mechanism, Setting};

    #[test]
    fn with_and_without_an_initial_response() {
        let verified = |step| match step {
            Step::Verify(found) => {
                assert_eq!(found.password.expose(), "pä ss".as_bytes());
                (found.act_as, found.user)
            }
            other => panic!("{other:?}"),
        };
        let (mut exchange, step) = Exchange::begin(Mechanism::Login, Setting::default(), None);
        assert_eq!(step, Step::Challenge(b"Username:".to_vec()));
        let password = Step::Challenge(b"Password:".to_vec());
        assert_eq!(exchange.step(b"tim"), password);
        assert_eq!(
            verified(exchange.step("pä ss".as_bytes())),
            (None, "tim".into())
        );
        let begun = Exchange::begin(Mechanism::Login, Setting::default(), Some(b"tim"));
        let (mut exchange, step) = begun;
        assert_eq!(step, password);
        assert_eq!(
            verified(exchange.step("pä ss".as_bytes())),
            (None, "tim".into())
        );
    }

    #[test]
    fn refuses() {
        for (user, password) in [
            (&b""[..], &b"p"[..]),
            (b"a\0b", b"p"),
            (b"\xff", b"p"),
            (b"tim", b""),
            (b"tim", b"a\0b"),
            (b"tim", b"\xff"),
        ] {
            let mut login = Login::Name;
            let step = match login.step(user) {
                Step::Challenge(_) => login.step(password),
                failed => failed,
            };
            assert_eq!(step, Step::Fail(Fault::Malformed), "{user:?} {password:?}");
        }
        let long = vec![b'x'; PASSWORD_BYTES_MAX + 1];
        assert_eq!(
            Login::Name.step(&long[..=USER_BYTES_MAX]),
            Step::Fail(Fault::TooLong)
        );
        assert_eq!(
            Login::Password("tim".into()).step(&long),
            Step::Fail(Fault::TooLong)
        );
    }
}
