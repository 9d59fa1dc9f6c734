//! The nouns of mail, and messages: identifiers, number sets, flags, mailbox names,
//! search predicates, and the bounded parser that knows the structure of a message.
//!
//! Pure: no I/O, no clock, no randomness, nothing asynchronous, and no protocol syntax
//! (that is `wire`). Sequence numbers do not exist here: they belong to a client's view.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation
    )
)]

pub mod charset;
pub mod date;
pub mod envelope;
pub mod flag;
pub mod id;
pub mod limits;
pub mod mailbox;
pub mod mime;
pub mod predicate;
pub mod set;
pub mod structure;
pub mod text;
