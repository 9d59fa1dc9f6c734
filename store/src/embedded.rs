//! The embedded engine: one directory, the mail log in it, and the index derived from the log
//! (design.md §2).

pub(crate) mod record;
