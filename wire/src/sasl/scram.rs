//! SCRAM (RFC 5802, RFC 7677).

mod verifier;

pub use self::verifier::{Hash, ScramVerifier};
