//! SASL exchanges as small state machines (RFC 4422), and how their messages travel in IMAP
//! (RFC 9051 §6.2.2). An initial response in AUTHENTICATE's own line (RFC 4959) is read by that
//! command's grammar.
//!
//! An exchange says what it needs verified and never fetches a credential itself: whoever drives
//! it looks the user up and decides. Which mechanisms are offered is not decided here either.

mod anonymous;
mod bearer;
mod external;
mod gs2;
mod login;
mod plain;
pub mod scram;

use base64::{Engine as _, engine::general_purpose::STANDARD};

pub use self::bearer::Token;
use self::{
    bearer::{Bearer, Form},
    login::Login,
    plain::Plain,
    scram::{Binding, Claim, Hash, Scram, ScramVerifier},
};
use crate::imap::auth::Secret;

/// A mechanism this server knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Mechanism {
    /// SCRAM (RFC 5802, RFC 7677).
    Scram(Hash, Binding),
    /// EXTERNAL (RFC 4422 appendix A).
    External,
    /// OAUTHBEARER (RFC 7628).
    OAuthBearer,
    /// XOAUTH2, which came before OAUTHBEARER.
    XOAuth2,
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN (draft-murchison-sasl-login).
    Login,
    /// ANONYMOUS (RFC 4505).
    Anonymous,
}

impl Mechanism {
    /// Every mechanism, in the order in which those offered are listed: what shows least first.
    pub const ALL: [Self; 10] = [
        Self::Scram(Hash::Sha256, Binding::Plus),
        Self::Scram(Hash::Sha256, Binding::Without),
        Self::Scram(Hash::Sha1, Binding::Plus),
        Self::Scram(Hash::Sha1, Binding::Without),
        Self::External,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
        Self::Anonymous,
    ];

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
            Self::Scram(hash, Binding::Without) => hash.name(),
            Self::Scram(Hash::Sha1, Binding::Plus) => "SCRAM-SHA-1-PLUS",
            Self::Scram(Hash::Sha256, Binding::Plus) => "SCRAM-SHA-256-PLUS",
            Self::External => "EXTERNAL",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::Anonymous => "ANONYMOUS",
        }
    }

    /// Whether it shows the password, or what serves as one, to whoever listens, so that it must
    /// not run in clear.
    #[must_use]
    pub const fn is_plaintext(self) -> bool {
        match self {
            Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2 => true,
            Self::Scram(..) | Self::External | Self::Anonymous => false,
        }
    }

    /// Its place in [`Mechanism::ALL`], as a bit.
    fn bit(self) -> u16 {
        let place = Self::ALL.iter().position(|mechanism| *mechanism == self);
        place.map_or(0, |place| {
            1_u16
                .checked_shl(place.try_into().unwrap_or(u32::MAX))
                .unwrap_or(0)
        })
    }
}

/// A set of mechanisms.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mechanisms(u16);

impl Mechanisms {
    /// Whether a mechanism is in the set.
    #[must_use]
    pub fn contains(self, mechanism: Mechanism) -> bool {
        self.0 & mechanism.bit() != 0
    }

    /// The mechanisms, in the order of [`Mechanism::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL
            .into_iter()
            .filter(move |mechanism| self.contains(*mechanism))
    }
}

impl FromIterator<Mechanism> for Mechanisms {
    fn from_iter<I: IntoIterator<Item = Mechanism>>(mechanisms: I) -> Self {
        Self(
            mechanisms
                .into_iter()
                .fold(0, |set, mechanism| set | mechanism.bit()),
        )
    }
}

/// What an exchange must be given: it has no chance and no channel of its own.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Setting {
    /// Printable ASCII without commas that was never used before: the server's part of SCRAM's nonce.
    pub nonce: String,
    /// The channel bindings of the connection, by name. If there are any, SCRAM's -PLUS forms are
    /// offered.
    pub bindings: Vec<(&'static str, Vec<u8>)>,
}

impl Setting {
    fn binding(&self, name: &str) -> Option<&[u8]> {
        let found = self.bindings.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_slice())
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

/// What follows a message of the client. All but the first three end the exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Send this and wait for the answer.
    Challenge(Vec<u8>),
    /// Find the verifier of this user, or make up one that stays the same for this name, and go on
    /// with [`Exchange::verifier`].
    FindVerifier {
        /// The name.
        user: Box<str>,
        /// For this hash function.
        hash: Hash,
    },
    /// Verify this token; if it is refused, say so with [`Exchange::refuse`].
    Token(Token),
    /// Verify these.
    Verify(Credentials),
    /// This user's password is proven, if the verifier was no decoy.
    Proven(Claim),
    /// The proof is wrong.
    Disproven(Claim),
    /// Take the client for whom its TLS certificate names.
    External {
        /// Who to act as, if that is someone else.
        act_as: Option<Box<str>>,
    },
    /// Nobody in particular is there.
    Anonymous {
        /// What the client says about itself, which means nothing.
        trace: Box<str>,
    },
    /// The client has seen why its token was refused.
    Acknowledged,
    /// The message breaks the mechanism's rules.
    Fail(Fault),
}

/// How a client's message breaks its mechanism's rules.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not what the mechanism asks for.
    Malformed,
    /// A part of it is over the limits.
    TooLong,
    /// The channel binding is none that is known, does not fit, or is missing although it is offered.
    ChannelBinding,
}

/// One authentication in progress.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain(Plain),
    Login(Login),
    Scram(Box<Scram>),
    Bearer(Bearer),
    External,
    Anonymous,
}

impl Exchange {
    /// Begins an exchange; `initial` is the initial response if the client sent one (RFC 4959).
    #[must_use]
    pub fn begin(mechanism: Mechanism, setting: Setting, initial: Option<&[u8]>) -> (Self, Step) {
        let mut exchange = Self(match mechanism {
            Mechanism::Plain => State::Plain(Plain),
            Mechanism::Login => State::Login(Login::Name),
            Mechanism::Scram(hash, binding) => {
                State::Scram(Box::new(Scram::new(hash, binding, setting)))
            }
            Mechanism::OAuthBearer => State::Bearer(Bearer::Asked(Form::OAuthBearer)),
            Mechanism::XOAuth2 => State::Bearer(Bearer::Asked(Form::XOAuth2)),
            Mechanism::External => State::External,
            Mechanism::Anonymous => State::Anonymous,
        });
        let step = match (initial, mechanism) {
            (Some(response), _) => exchange.step(response),
            (None, Mechanism::Login) => Login::begin(),
            // In all others the client speaks first: the challenge is empty.
            (None, _) => Step::Challenge(Vec::new()),
        };
        (exchange, step)
    }

    /// Takes the client's next message, decoded.
    #[must_use]
    pub fn step(&mut self, response: &[u8]) -> Step {
        match &mut self.0 {
            State::Plain(plain) => plain.step(response),
            State::Login(login) => login.step(response),
            State::Scram(scram) => scram.step(response),
            State::Bearer(bearer) => bearer.step(response),
            State::External => external::step(response),
            State::Anonymous => anonymous::step(response),
        }
    }

    /// Goes on after [`Step::FindVerifier`].
    #[must_use]
    pub fn verifier(&mut self, verifier: ScramVerifier) -> Step {
        match &mut self.0 {
            State::Scram(scram) => scram.verifier(verifier),
            _ => Step::Fail(Fault::Malformed),
        }
    }

    /// Goes on after [`Step::Token`] if the token does not do, with the JSON text that says why.
    #[must_use]
    pub fn refuse(&mut self, why: Vec<u8>) -> Step {
        match &mut self.0 {
            State::Bearer(bearer) => bearer.refuse(why),
            _ => Step::Fail(Fault::Malformed),
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
        assert_eq!(Mechanism::named("CRAM-MD5"), None);
        for mechanism in Mechanism::ALL {
            assert_eq!(Mechanism::named(mechanism.name()), Some(mechanism));
        }
    }

    #[test]
    fn a_set_lists_in_order() {
        let set: Mechanisms = [Mechanism::Login, Mechanism::Plain, Mechanism::Login]
            .into_iter()
            .collect();
        let names: Vec<_> = set.iter().map(Mechanism::name).collect();
        assert_eq!(names, ["PLAIN", "LOGIN"]);
        assert!(set.contains(Mechanism::Plain) && !set.contains(Mechanism::Anonymous));
        let all: Mechanisms = Mechanism::ALL.into_iter().collect();
        assert_eq!(all.iter().count(), Mechanism::ALL.len());
    }

    #[test]
    fn without_an_initial_response_the_challenge_is_empty() {
        let begin = |initial| Exchange::begin(Mechanism::Plain, Setting::default(), initial);
        let (mut exchange, step) = begin(None);
        assert_eq!(step, Step::Challenge(vec![]));
        assert!(matches!(exchange.step(b"\0u\0p"), Step::Verify(_)));
        let (_, step) = begin(Some(b"\0u\0p"));
        assert!(matches!(step, Step::Verify(_)));
        let (_, step) = begin(Some(b""));
        assert_eq!(step, Step::Fail(Fault::Malformed));
    }

    #[test]
    fn secrets_are_never_printed() {
        let marker = "Xyzzy-marker";
        let message = format!("\0user\0{marker}");
        let begun = Exchange::begin(
            Mechanism::Plain,
            Setting::default(),
            Some(message.as_bytes()),
        );
        let (exchange, step) = begun;
        let line = response_line(STANDARD.encode(&message).as_bytes()).unwrap();
        let printed = format!("{exchange:?} {step:?} {line:?}");
        assert!(printed.contains("[secret]") && !printed.contains(marker));
        assert!(!printed.contains("121, 122"), "not as numbers either");
    }
}
