//! PLAIN: name and password in one message (RFC 4616 §2).
//!
//! ```text
//! message = [authzid] UTF8NUL authcid UTF8NUL passwd
//! ```

use super::{Credentials, Fault, Step};
use crate::{
    imap::auth::Secret,
    limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX},
};

/// A PLAIN exchange: one message, no state.
#[derive(Debug)]
pub(super) struct Plain;

impl Plain {
    pub(super) fn step(&mut self, message: &[u8]) -> Step {
        match read(message) {
            Ok(credentials) => Step::Verify(credentials),
            Err(fault) => Step::Fail(fault),
        }
    }
}

fn read(message: &[u8]) -> Result<Credentials, Fault> {
    let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
    let mut parts = text.split('\0');
    let (Some(act_as), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Fault::Malformed);
    };
    if user.is_empty() || password.is_empty() {
        return Err(Fault::Malformed);
    }
    if act_as.len() > USER_BYTES_MAX
        || user.len() > USER_BYTES_MAX
        || password.len() > PASSWORD_BYTES_MAX
    {
        return Err(Fault::TooLong);
    }
    Ok(Credentials {
        act_as: (!act_as.is_empty()).then(|| act_as.into()),
        user: user.into(),
        password: Secret::new(password.as_bytes().to_vec()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts() {
        let check = |message: &[u8], act_as: Option<&str>, user: &str, password: &str| {
            let got = read(message).unwrap();
            assert_eq!(got.act_as.as_deref(), act_as);
            assert_eq!(&*got.user, user);
            assert_eq!(got.password.expose(), password.as_bytes());
        };
        check(b"\0tim\0tanstaaftanstaaf", None, "tim", "tanstaaftanstaaf");
        check(
            b"Ursel\0Kurt\0xipj3plmq",
            Some("Ursel"),
            "Kurt",
            "xipj3plmq",
        );
        check(
            "\0jürgen\0pässwörd ".as_bytes(),
            None,
            "jürgen",
            "pässwörd ",
        );
    }

    #[test]
    fn refuses() {
        for bad in [
            &b""[..],
            b"\0",
            b"\0\0",
            b"\0user\0",
            b"\0\0password",
            b"user\0password",
            b"a\0user\0pass\0word",
            b"\0us\xff\0password",
            b"\0user\0pass\xc3",
        ] {
            assert_eq!(read(bad), Err(Fault::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn limits_hold() {
        let check = |act_as: usize, user: usize, password: usize, fits: bool| {
            let part = |n: usize| "x".repeat(n);
            let message = format!("{}\0{}\0{}", part(act_as), part(user), part(password));
            let got = read(message.as_bytes());
            assert_eq!(got.is_ok(), fits);
            assert_eq!(got.err(), (!fits).then_some(Fault::TooLong));
        };
        check(USER_BYTES_MAX, USER_BYTES_MAX, PASSWORD_BYTES_MAX, true);
        check(USER_BYTES_MAX + 1, 1, 1, false);
        check(0, USER_BYTES_MAX + 1, 1, false);
        check(0, 1, PASSWORD_BYTES_MAX + 1, false);
    }
}
