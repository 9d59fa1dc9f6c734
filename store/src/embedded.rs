//! The embedded engine: one directory, the mail log in it, and the index derived from the log
//! (design.md §2).

pub(crate) mod account;
pub(crate) mod applier;
pub(crate) mod assemble;
pub(crate) mod audit;
pub(crate) mod bodies;
pub(crate) mod body;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod codec;
pub(crate) mod commit;
pub(crate) mod compact;
pub(crate) mod core;
pub(crate) mod directory;
pub(crate) mod encode;
pub(crate) mod engine;
pub(crate) mod frame;
pub(crate) mod incoming;
pub(crate) mod index;
pub(crate) mod log;
pub(crate) mod mailbox;
pub(crate) mod measures;
pub(crate) mod planner;
pub(crate) mod quarantine;
pub(crate) mod rebuild;
pub(crate) mod record;
pub(crate) mod recover;
pub(crate) mod replay;
pub(crate) mod rights;
pub(crate) mod sealed;
pub(crate) mod segment;
pub(crate) mod summary;
pub(crate) mod upload;

pub use engine::EmbeddedStore;

use crate::error::{Error, Result};

/// Does what waits for the disk away from the threads that serve sessions.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Error::Unavailable(format!("a task of the store: {error}"))))
}
