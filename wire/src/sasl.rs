//! SASL exchanges as small state machines (RFC 4422), and how their messages travel in IMAP
//! (RFC 9051 §6.2.2). An initial response in AUTHENTICATE's own line (RFC 4959) is read by that
//! command's grammar.
//!
//! An exchange says what it needs verified and never fetches a credential itself: whoever drives
//! it looks the user up and decides. Which mechanisms are offered is not decided here either.

mod plain;
pub mod scram;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use self::plain::Plain;
use crate::imap::auth::Secret;

/// A mechanism this server knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
}

impl Mechanism {
    /// Every mechanism.
    pub const ALL: [Self; 1] = [Self::Plain];

    /// The mechanism with this name in any case.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|mechanism| mechanism.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
        }
    }

    /// Whether it shows the password to whoever listens, so that it must not run in clear.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        match self {
            Self::Plain => true,
        }
    }
}

/// What the other side claims and how it proves it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Who to act as, if that is someone else than [`Self::user`] (RFC 4616 §2 `authzid`).
    pub act_as: Option<Box<str>>,
    /// Whose password it is.
    pub user: Box<str>,
    /// The password.
    pub password: Secret,
}

/// What follows a message of the client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this and wait for the answer.
    Challenge(Vec<u8>),
    /// Verify these; the exchange is over.
    Verify(Credentials),
    /// The message breaks the mechanism's rules; the exchange is over.
    Fail(Fault),
}

/// How a client's message breaks its mechanism's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not what the mechanism asks for.
    Malformed,
    /// A part of it is over the limits.
    TooLong,
}

/// One authentication in progress.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain(Plain),
}

impl Exchange {
    /// Begins an exchange; `initial` is the initial response if the client sent one (RFC 4959).
    #[must_use]
    pub fn begin(mechanism: Mechanism, initial: Option<&[u8]>) -> (Self, Step) {
        let mut exchange = Self(match mechanism {
            Mechanism::Plain => State::Plain(Plain),
        });
        let step = match (initial, mechanism) {
            (Some(response), _) => exchange.step(response),
            // The client speaks first in PLAIN: the challenge is empty.
            (None, Mechanism::Plain) => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// Takes the client's next message, decoded.
    #[must_use]
    pub fn step(&mut self, response: &[u8]) -> Step {
        match &mut self.0 {
            State::Plain(plain) => plain.step(response),
        }
    }
}

/// What a client sent in answer to a challenge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// A response.
    Response(Secret),
    /// `*`: it gives up, which is answered BAD (RFC 9051 §6.2.2).
    Cancelled,
}

/// The line is not base64, which is answered BAD (RFC 9051 §6.2.2, protocol rule 44).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBase64;

/// Reads the line that answers a challenge, without its line end.
///
/// # Errors
/// If it is not canonical base64, which `AAA=BBB` is not.
pub fn response_line(line: &[u8]) -> Result<Line, NotBase64> {
    if line == b"*" {
        return Ok(Line::Cancelled);
    }
    let response = STANDARD.decode(line).map_err(|_| NotBase64)?;
    Ok(Line::Response(Secret::new(response)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_44_bad_base64_and_cancelling() {
        assert_eq!(response_line(b"*"), Ok(Line::Cancelled));
        for bad in [
            &b"AAA=BBB"[..],
            b"AAA",
            b"A===",
            b"AA==\r",
            b"A A=",
            b"=",
            b"**",
            b"AB==",
        ] {
            assert_eq!(response_line(bad), Err(NotBase64), "{bad:?}");
        }
        let line = |bytes: &[u8]| Ok(Line::Response(Secret::new(bytes.to_vec())));
        assert_eq!(response_line(b""), line(b""));
        assert_eq!(response_line(b"YQBi"), line(b"a\0b"));
    }

    #[test]
    fn mechanisms_by_name() {
        assert_eq!(Mechanism::named("plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::named("LOGIN"), None);
    }

    #[test]
    fn without_an_initial_response_the_challenge_is_empty() {
        let (mut exchange, step) = Exchange::begin(Mechanism::Plain, None);
        assert_eq!(step, Step::Challenge(vec![]));
        assert!(matches!(exchange.step(b"\0u\0p"), Step::Verify(_)));
        let (_, step) = Exchange::begin(Mechanism::Plain, Some(b"\0u\0p"));
        assert!(matches!(step, Step::Verify(_)));
        let (_, step) = Exchange::begin(Mechanism::Plain, Some(b""));
        assert_eq!(step, Step::Fail(Fault::Malformed));
    }

    #[test]
    fn secrets_are_never_printed() {
        let marker = "Xyzzy-marker";
        let message = format!("\0user\0{marker}");
        let (exchange, step) = Exchange::begin(Mechanism::Plain, Some(message.as_bytes()));
        let line = response_line(STANDARD.encode(&message).as_bytes()).unwrap();
        let printed = format!("{exchange:?} {step:?} {line:?}");
        assert!(printed.contains("[secret]") && !printed.contains(marker));
        assert!(!printed.contains("121, 122"), "not as numbers either");
    }
}
