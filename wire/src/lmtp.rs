//! LMTP without its sockets (RFC 2033): commands and replies of RFC 5321 with SIZE (RFC 1870),
//! 8BITMIME (RFC 6152), PIPELINING (RFC 2920), ENHANCEDSTATUSCODES (RFC 2034), CHUNKING
//! (RFC 3030), and SMTPUTF8 (RFC 6531).
//!
//! ```text
//! S: 220 host LMTP ready
//! C: LHLO client
//! S: 250-host … 250 SIZE 52428800
//! C: MAIL FROM:<a@example.org>
//! S: 250 2.1.0 sender accepted
//! C: RCPT TO:<you@localhost>
//! S: 250 2.1.5 recipient accepted
//! C: DATA
//! S: 354 end with a dot on a line of its own
//! C: …
//! C: .
//! S: 250 2.0.0 delivered            one reply for each accepted RCPT, in their order
//! ```
//!
//! Not here: who a recipient is, and what becomes of a message.

pub mod command;
pub mod data;
pub mod frame;
pub mod path;
pub mod reply;
pub mod transaction;
