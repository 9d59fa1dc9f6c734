//! Keeping mail: the contract between sessions and storage, the pure rules of mailboxes, and the
//! embedded engine.
//!
//! The contract speaks of mail: accounts, mailboxes, UIDs, flags, bodies. It knows no IMAP text
//! and no sequence numbers. Every call is one operation of a user; when it returns `Ok`, what it
//! did survives a power cut. Sessions learn of changes by comparing the version of a mailbox they
//! last told their client of with the version published now ([`state::MailboxState`]).

pub(crate) mod check;
pub mod clock;
pub mod contract;
pub mod credential;
pub mod disk;
pub mod embedded;
pub mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod histogram;
pub mod history;
pub mod options;
pub(crate) mod rules;
pub(crate) mod search;
pub mod state;

pub use contract::{
    Access, Account, AccountChange, AccountInfo, Actor, Appended, Changes, Compacted, Delivery,
    Expunge, FlagsOutcome, Mailbox, MailboxInfo, MailboxNews, Measures, NewAccount, NewMessage,
    News, Quota, Rebuilding, Room, Shared, Static, Store, Subscription, Transferred, Tree, Upload,
    Usage,
};
pub use error::{Error, Result};
pub use options::Options;
