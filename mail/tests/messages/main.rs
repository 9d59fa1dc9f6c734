//! Messages of every shape through the whole crate: what is generated is found again, any split
//! gives the same, nothing panics, costs grow with the size, and another parser sees the same
//! parts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

mod differential;
mod generated;
mod robust;
