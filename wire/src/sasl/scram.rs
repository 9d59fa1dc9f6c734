//! SCRAM (RFC 5802, RFC 7677): a password is proven without being sent, the server proves that it
//! knows its verifier, and the -PLUS forms bind both to the TLS connection (RFC 5929, RFC 9266).
//!
//! ```text
//! C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO
//! S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
//! C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
//! S: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=
//! C:
//! ```
//!
//! The driver finds the verifier, and gives a decoy for a user without one: this exchange is the
//! same for both to its end. The server's own error messages (`e=`) are not sent: the command fails.

mod verifier;

use base64::{Engine as _, engine::general_purpose::STANDARD};

pub use self::verifier::{Hash, ScramVerifier};
use super::{Fault, Setting, Step, gs2};
use crate::limits::SCRAM_NONCE_BYTES_MAX;

/// Whether a mechanism binds itself to the TLS connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Binding {
    /// It does not.
    Without,
    /// It does: the -PLUS form.
    Plus,
}

/// Who proves to be whom.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Who to act as, if that is someone else than [`Self::user`].
    pub act_as: Option<Box<str>>,
    /// Whose password is proven, as SASLprep makes the name.
    pub user: Box<str>,
}

/// A SCRAM exchange.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    binding: Binding,
    setting: Setting,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client's first message is due.
    Begun,
    /// The driver looks for the verifier.
    Asked(First),
    /// The proof is due.
    Challenged(Box<Challenged>),
    /// The proof was right; the client is about to acknowledge ours.
    Proven(Claim),
    /// There is nothing more to say.
    Over,
}

/// The client's first message.
#[derive(Debug)]
struct First {
    claim: Claim,
    /// `client-first-message-bare`.
    bare: Box<str>,
    nonce: Box<str>,
    /// What `c=` must be in the last message: header and channel binding, in base64.
    bound: Box<str>,
}

/// What the proof is about.
#[derive(Debug)]
struct Challenged {
    first: First,
    verifier: ScramVerifier,
    /// Both nonces.
    nonce: String,
    /// `server-first-message`.
    challenge: String,
}

impl Scram {
    pub(super) const fn new(hash: Hash, binding: Binding, setting: Setting) -> Self {
        Self {
            hash,
            binding,
            setting,
            state: State::Begun,
        }
    }

    pub(super) fn step(&mut self, message: &[u8]) -> Step {
        let text = str::from_utf8(message).map_err(|_| Fault::Malformed);
        match std::mem::replace(&mut self.state, State::Over) {
            State::Begun => match text.and_then(|text| self.first(text)) {
                Ok(first) => {
                    let user = first.claim.user.clone();
                    self.state = State::Asked(first);
                    Step::FindVerifier {
                        user,
                        hash: self.hash,
                    }
                }
                Err(fault) => Step::Fail(fault),
            },
            State::Challenged(challenged) => match text.and_then(|text| challenged.last(text)) {
                Ok(Some(signature)) => {
                    self.state = State::Proven(challenged.first.claim);
                    Step::Challenge(format!("v={}", STANDARD.encode(signature)).into_bytes())
                }
                Ok(None) => Step::Disproven(challenged.first.claim),
                Err(fault) => Step::Fail(fault),
            },
            State::Proven(claim) if message.is_empty() => Step::Proven(claim),
            State::Asked(_) | State::Proven(_) | State::Over => Step::Fail(Fault::Malformed),
        }
    }

    /// Goes on with the user's verifier.
    pub(super) fn verifier(&mut self, verifier: ScramVerifier) -> Step {
        let State::Asked(first) = std::mem::replace(&mut self.state, State::Over) else {
            return Step::Fail(Fault::Malformed);
        };
        let nonce = format!("{}{}", first.nonce, self.setting.nonce);
        let salt = STANDARD.encode(&verifier.salt);
        let challenge = format!("r={nonce},s={salt},i={}", verifier.iterations);
        self.state = State::Challenged(Box::new(Challenged {
            first,
            verifier,
            nonce,
            challenge: challenge.clone(),
        }));
        Step::Challenge(challenge.into_bytes())
    }

    /// ```abnf
    /// client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
    /// ```
    fn first(&self, text: &str) -> Result<First, Fault> {
        let (header, written, bare) = gs2::read(text)?;
        let binding = self.bound_by(&header.flag)?;
        // `m=`, an extension that must be understood, is none of ours (RFC 5802 §5.1).
        let mut attributes = bare.split(',');
        let mut next = |key| {
            attributes
                .next()
                .and_then(|attribute| attribute.strip_prefix(key))
        };
        let user = gs2::name(next("n=").ok_or(Fault::Malformed)?)?;
        let nonce = next("r=").ok_or(Fault::Malformed)?;
        if nonce.is_empty() || !nonce.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Fault::Malformed);
        }
        if nonce.len() > SCRAM_NONCE_BYTES_MAX {
            return Err(Fault::TooLong);
        }
        extensions(attributes)?;
        Ok(First {
            claim: Claim {
                act_as: header.act_as,
                user: prepared_name(user),
            },
            bound: STANDARD
                .encode([written.as_bytes(), binding].concat())
                .into(),
            bare: bare.into(),
            nonce: nonce.into(),
        })
    }

    /// What binds the exchange to the channel. A client that could bind it and believes that we
    /// cannot has been told a shorter list of mechanisms than ours (RFC 5802 §6).
    fn bound_by(&self, flag: &gs2::Flag) -> Result<&[u8], Fault> {
        match (flag, self.binding) {
            (gs2::Flag::Used(name), Binding::Plus) => self.setting.binding(name),
            (gs2::Flag::NotOffered, Binding::Without) if self.setting.bindings.is_empty() => {
                Some(&[][..])
            }
            (gs2::Flag::Unsupported, Binding::Without) => Some(&[][..]),
            _ => None,
        }
        .ok_or(Fault::ChannelBinding)
    }
}

impl Challenged {
    /// The server's signature if the proof is right.
    ///
    /// ```abnf
    /// client-final-message-without-proof = channel-binding "," nonce ["," extensions]
    /// client-final-message               = client-final-message-without-proof "," proof
    /// ```
    fn last(&self, text: &str) -> Result<Option<Vec<u8>>, Fault> {
        let (unproven, proof) = text.rsplit_once(",p=").ok_or(Fault::Malformed)?;
        let proof = STANDARD.decode(proof).map_err(|_| Fault::Malformed)?;
        let mut attributes = unproven.split(',');
        let mut next = |key| {
            attributes
                .next()
                .and_then(|attribute| attribute.strip_prefix(key))
        };
        if next("c=").ok_or(Fault::Malformed)? != &*self.first.bound {
            return Err(Fault::ChannelBinding);
        }
        if next("r=") != Some(&*self.nonce) {
            return Err(Fault::Malformed);
        }
        extensions(attributes)?;
        let message = format!("{},{},{unproven}", self.first.bare, self.challenge);
        let right = self.verifier.accepts(message.as_bytes(), &proof);
        Ok(right.then(|| self.verifier.signature(message.as_bytes())))
    }
}

/// Optional extensions are passed over; `m=` is not optional.
fn extensions<'a>(mut attributes: impl Iterator<Item = &'a str>) -> Result<(), Fault> {
    let known = attributes.all(|attribute| {
        let (key, value) = attribute.split_once('=').unwrap_or_default();
        key.len() == 1
            && key != "m"
            && key.bytes().all(|b| b.is_ascii_alphabetic())
            && !value.is_empty()
    });
    known.then_some(()).ok_or(Fault::Malformed)
}

/// The name as SASLprep makes it. One that it refuses is looked up as it is: it is nobody's name,
/// or has letters younger than Unicode 3.2, which a query may (RFC 4013 §2.5).
fn prepared_name(name: Box<str>) -> Box<str> {
    match stringprep::saslprep(&name) {
        Ok(prepared) if !prepared.is_empty() => prepared.into(),
        _ => name,
    }
}

#[cfg(test)]
mod tests;
