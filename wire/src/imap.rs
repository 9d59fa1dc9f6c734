//! IMAP: commands by state group, responses, status codes, and the table of their properties
//! (RFC 9051, and RFC 3501 for the clients of today).
//!
//! One module per command family: it holds the command's value and grammar; its `response`
//! submodule, where there is one, holds what the server answers and how that is written.

pub mod append;
pub mod auth;
pub mod basic;
pub mod capabilities;
pub mod client;
pub mod code;
pub mod command;
mod compress;
pub mod fetch;
#[cfg(test)]
mod fixture;
pub mod list;
pub mod mailbox;
mod modifier;
pub mod notify;
pub(crate) mod object_id;
pub mod page;
pub mod quota;
pub mod replace;
pub mod response;
pub mod search;
pub mod select;
pub mod sequence;
pub mod status;
pub mod store;
pub mod table;
pub mod transfer;
pub mod uid_batches;
