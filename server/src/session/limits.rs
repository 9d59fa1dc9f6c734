//! Limits of a session that are not configured: one place, each with its unit.

/// Messages whose flags a client was sent ahead of its view; past it, it is told twice.
pub const SENT_MAX: usize = 10_000;
/// Ranges of UIDs that a session remembers as deleted by itself (issue: `CommitDeletionsOnLogout`).
pub const OWN_DELETED_RANGES_MAX: usize = 10_000;
/// Bytes read from a body at once.
pub const READ_BYTES: usize = 64 * 1024;
