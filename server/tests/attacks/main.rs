//! Attacks on the real server in process, over in-memory streams: the torture cases of
//! `tests/torture`, the matrix of every command in every state with every malformed argument, and
//! rows of `docs/security.md` that need a whole server. Attacks by numbers are `tests/attack/run`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test should say where"
)]

mod authzid;
mod case;
mod matrix;
mod place;
mod rows;
mod sasl;
mod torture;
