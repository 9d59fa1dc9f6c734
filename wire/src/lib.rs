//! Bytes to values and values to bytes for IMAP, SASL and LMTP; the only home of sequence numbers.
//!
//! Pure: no I/O, no clock, no randomness, nothing asynchronous, no storage. Framing comes before
//! grammar: [`frame`] cuts the stream into commands and literals under hard limits, the grammar of
//! [`imap`] sees one whole command, and one encoder ([`encode`]) writes every response.

#![forbid(unsafe_code)]
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

pub mod cursor;
mod date;
pub mod encode;
pub mod frame;
pub mod imap;
pub mod limits;
pub mod lmtp;
pub mod proxy;
pub mod sasl;
pub mod structure;
pub mod utf7;
