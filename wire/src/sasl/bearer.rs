//! OAUTHBEARER (RFC 7628), and XOAUTH2, which is what went before it: a bearer token in one
//! message. A token that is refused is answered with a JSON text; the client says that it has seen
//! it, and then the command fails.
//!
//! ```text
//! client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep    ; OAUTHBEARER, kvsep is %x01
//! "user=" name kvsep "auth=Bearer " token kvsep kvsep       ; XOAUTH2
//! ```
//!
//! `host` and `port` are not compared with anything: the token's audience binds it to a server.

use super::{Fault, Step, gs2};
use crate::{
    imap::auth::Secret,
    limits::{TOKEN_BYTES_MAX, USER_BYTES_MAX},
};

const SEPARATOR: char = '\x01';

/// What the client presents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Token {
    /// Whose mail it wants, if it says so.
    pub act_as: Option<Box<str>>,
    /// The token; empty if the client only asks what is wanted (RFC 7628 §4.3).
    pub token: Secret,
}

/// Which of the two it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    OAuthBearer,
    XOAuth2,
}

/// An exchange.
#[derive(Debug)]
pub(super) enum Bearer {
    /// The token is asked for.
    Asked(Form),
    /// It was refused; the client is about to acknowledge that.
    Refused(Form),
}

impl Bearer {
    pub(super) fn step(&mut self, message: &[u8]) -> Step {
        match self {
            Self::Asked(form) => match read(*form, message) {
                Ok(token) => Step::Token(token),
                Err(fault) => Step::Fail(fault),
            },
            // OAUTHBEARER's clients send the separator (RFC 7628 §3.2.3), XOAUTH2's nothing.
            Self::Refused(Form::XOAuth2) if message.is_empty() => Step::Acknowledged,
            Self::Refused(_) if message == b"\x01" => Step::Acknowledged,
            Self::Refused(_) => Step::Fail(Fault::Malformed),
        }
    }

    pub(super) fn refuse(&mut self, why: Vec<u8>) -> Step {
        if let Self::Asked(form) = self {
            *self = Self::Refused(*form);
        }
        Step::Challenge(why)
    }
}

fn read(form: Form, message: &[u8]) -> Result<Token, Fault> {
    let text = str::from_utf8(message).map_err(|_| Fault::Malformed)?;
    let (act_as, pairs) = match form {
        Form::OAuthBearer => {
            let (header, _, rest) = gs2::read(text)?;
            if matches!(header.flag, gs2::Flag::Used(_)) {
                return Err(Fault::ChannelBinding);
            }
            (
                header.act_as,
                rest.strip_prefix(SEPARATOR).ok_or(Fault::Malformed)?,
            )
        }
        Form::XOAuth2 => {
            let rest = text.strip_prefix("user=").ok_or(Fault::Malformed)?;
            let (user, pairs) = rest.split_once(SEPARATOR).ok_or(Fault::Malformed)?;
            (Some(user_name(user)?), pairs)
        }
    };
    let token = Secret::new(token(pairs)?.as_bytes().to_vec());
    Ok(Token { act_as, token })
}

fn user_name(user: &str) -> Result<Box<str>, Fault> {
    match user.len() {
        0 => Err(Fault::Malformed),
        _ if user.contains('\0') => Err(Fault::Malformed),
        length if length > USER_BYTES_MAX => Err(Fault::TooLong),
        _ => Ok(user.into()),
    }
}

/// The token among `*kvpair kvsep`; pairs that are not known are passed over.
fn token(pairs: &str) -> Result<&str, Fault> {
    let pairs = pairs.strip_suffix(SEPARATOR).ok_or(Fault::Malformed)?;
    let pairs = pairs.strip_suffix(SEPARATOR).ok_or(Fault::Malformed)?;
    let mut found = None;
    for pair in pairs.split(SEPARATOR) {
        let (key, value) = pair.split_once('=').ok_or(Fault::Malformed)?;
        let is_value = |c: char| matches!(c, ' '..='~' | '\t' | '\r' | '\n');
        if key.is_empty()
            || !key.bytes().all(|b| b.is_ascii_alphabetic())
            || !value.chars().all(is_value)
        {
            return Err(Fault::Malformed);
        }
        if key == "auth" && found.replace(value).is_some() {
            return Err(Fault::Malformed);
        }
    }
    bearer(found.ok_or(Fault::Malformed)?)
}

/// The token of an `Authorization` value.
///
/// ```abnf
/// "Bearer" 1*SP 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="   ; RFC 6750 §2.1
/// ```
fn bearer(value: &str) -> Result<&str, Fault> {
    if value.is_empty() {
        return Ok(value);
    }
    let (scheme, token) = value.split_once(' ').ok_or(Fault::Malformed)?;
    let token = token.trim_matches(' ');
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if !scheme.eq_ignore_ascii_case("Bearer") || !token.bytes().all(is_token) {
        return Err(Fault::Malformed);
    }
    match token.len() > TOKEN_BYTES_MAX {
        true => Err(Fault::TooLong),
        false => Ok(token),
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    use super::*;

    fn check(form: Form, message: &[u8], act_as: Option<&str>, token: &str) {
        let read = read(form, message).unwrap();
        assert_eq!(read.act_as.as_deref(), act_as);
        assert_eq!(read.token.expose(), token.as_bytes());
    }

    /// RFC 7628 §4.1 and §4.3.
    #[test]
    fn known_answers() {
        let first = "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        let message = STANDARD.decode(first).unwrap();
        check(Form::OAuthBearer, &message, Some("user@example.com"), token);
        let asks =
            "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9AQE=";
        let message = STANDARD.decode(asks).unwrap();
        check(Form::OAuthBearer, &message, Some("user@example.com"), "");
    }

    #[test]
    fn accepts() {
        check(
            Form::OAuthBearer,
            b"n,,\x01auth=bearer abc\x01\x01",
            None,
            "abc",
        );
        check(
            Form::OAuthBearer,
            b"y,,\x01auth=Bearer  a.b-c_\x01new=x y\x01\x01",
            None,
            "a.b-c_",
        );
        let xoauth2 = b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        check(Form::XOAuth2, xoauth2, Some("someuser@example.com"), token);
    }

    #[test]
    fn refuses() {
        let refused = |form, message: &[u8]| read(form, message).err();
        for bad in [
            &b""[..],
            b"\x01",
            b"n,,",
            b"n,,\x01",
            b"n,,\x01\x01",
            b"n,,\x01host=a\x01\x01",
            b"n,,\x01auth=Bearer a\x01",
            b"n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            b"n,,\x01auth=Basic dGltOnRhbnN0YWFm\x01\x01",
            b"n,,\x01auth=Bearer a b\x01\x01",
            b"n,,\x01auth=Bearer a\x00\x01\x01",
            b"n,,\x01a1=x\x01auth=Bearer a\x01\x01",
            b"n,,\x01auth\x01\x01",
            b"n,,auth=Bearer a\x01\x01",
            b"user=tim\x01auth=Bearer a\x01\x01",
            b"n,,\x01auth=Bearer \xff\x01\x01",
        ] {
            assert_eq!(
                refused(Form::OAuthBearer, bad),
                Some(Fault::Malformed),
                "{bad:?}"
            );
        }
        let bound = b"p=tls-exporter,,\x01auth=Bearer a\x01\x01";
        assert_eq!(
            refused(Form::OAuthBearer, bound),
            Some(Fault::ChannelBinding)
        );
        for bad in [
            &b"auth=Bearer a\x01\x01"[..],
            b"user=\x01auth=Bearer a\x01\x01",
            b"user=tim",
        ] {
            assert_eq!(
                refused(Form::XOAuth2, bad),
                Some(Fault::Malformed),
                "{bad:?}"
            );
        }
        let long = format!(
            "n,,\x01auth=Bearer {}\x01\x01",
            "x".repeat(TOKEN_BYTES_MAX + 1)
        );
        assert_eq!(
            refused(Form::OAuthBearer, long.as_bytes()),
            Some(Fault::TooLong)
        );
    }

    #[test]
    fn a_refusal_is_acknowledged() {
        for (form, answers) in [
            (Form::OAuthBearer, &[&b"\x01"[..]][..]),
            (Form::XOAuth2, &[&b""[..], b"\x01"]),
        ] {
            for answer in answers {
                let mut bearer = Bearer::Asked(form);
                assert_eq!(
                    bearer.refuse(b"{}".to_vec()),
                    Step::Challenge(b"{}".to_vec())
                );
                assert_eq!(bearer.step(answer), Step::Acknowledged);
            }
            let mut bearer = Bearer::Refused(form);
            assert_eq!(
                bearer.step(b"n,,\x01auth=Bearer a\x01\x01"),
                Step::Fail(Fault::Malformed)
            );
        }
    }
}
