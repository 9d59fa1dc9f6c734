//! Limits of names and messages: one place, each with its unit.

/// A keyword's length.
pub const KEYWORD_BYTES_MAX: usize = 64;
/// One level of a mailbox name.
pub const MAILBOX_LEVEL_BYTES_MAX: usize = 255;
/// Levels of a mailbox name.
pub const MAILBOX_DEPTH_MAX: usize = 16;
/// A whole mailbox name.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1_000;
