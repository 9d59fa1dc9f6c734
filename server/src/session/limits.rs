//! Limits of a session that are not configured: one place, each with its unit.

/// Versions of which a client was sent flags ahead of its view; past it, it is told twice.
pub const KNOWN_VERSIONS_MAX: usize = 64;
/// Ranges of UIDs whose flags a client was sent ahead of its view; past it, it is told twice.
pub const KNOWN_RANGES_MAX: usize = 20_000;
/// Messages of one APPEND. Together they may be as long as one message may be.
pub const APPEND_MESSAGES_MAX: usize = 1_000;
/// Ranges of UIDs that a session remembers as deleted by itself (issue: `CommitDeletionsOnLogout`).
pub const OWN_DELETED_RANGES_MAX: usize = 10_000;
/// Messages that STORE and MOVE change in one step: those of a step of the store.
pub const STEP_MESSAGES: usize = 10_000;
/// Ranges of UIDs in one VANISHED; more are told in several.
pub const VANISHED_RANGES_MAX: usize = 1_000;
/// Bytes read from a body at once.
pub const READ_BYTES: usize = 64 * 1024;
/// A text this long has a compressor's window for itself, bytes (RFC 4978 §4).
pub const APART_BYTES: u64 = 5 * 1024;
/// Bytes of bodies read ahead of being sent, at most one message more.
pub const AHEAD_BYTES: u64 = 256 * 1024;
/// Messages whose bodies are read ahead.
pub const AHEAD_MESSAGES: usize = 256;
