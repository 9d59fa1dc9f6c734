//! Limits of names and messages: one place, each with its unit.

/// A keyword's length.
pub const KEYWORD_BYTES_MAX: usize = 64;
/// One level of a mailbox name.
pub const MAILBOX_LEVEL_BYTES_MAX: usize = 255;
/// Levels of a mailbox name.
pub const MAILBOX_DEPTH_MAX: usize = 16;
/// A whole mailbox name.
pub const MAILBOX_NAME_BYTES_MAX: usize = 1_000;

/// A header of a message or part; what is beyond is kept in the message and not looked at.
pub const HEADER_BYTES_MAX: usize = 10 * 1024 * 1024;
/// All headers of a message together.
pub const HEADERS_BYTES_MAX: usize = 50 * 1024 * 1024;
/// Parts inside parts, the message itself being the first.
pub const MIME_DEPTH_MAX: usize = 100;
/// Parts of a message, multiparts and messages included.
pub const PARTS_MAX: usize = 10_000;
/// Parameters of one header field, pieces of parameters counted each (RFC 2231).
pub const PARAMS_MAX: usize = 128;
/// The part of a boundary that is compared. RFC 2046 §5.1.1 allows 70 bytes.
pub const BOUNDARY_BYTES_MAX: usize = 998;
/// Parameters and language tags of all parts of a message together.
pub const PARAMS_TOTAL_MAX: usize = 100_000;
/// Addresses in all envelopes of a message together.
pub const ENVELOPE_ADDRESSES_MAX: usize = 10_000;
/// Bytes decoded in one step while a body is measured.
pub const DECODE_STEP_BYTES: usize = 64 * 1024;
/// A line of UTF-7 or undeclared text that is decoded at once.
pub const UNDECODED_BYTES_MAX: usize = 64 * 1024;
/// HTML whose text is taken at once. A tag on the border of two such pieces may show.
pub const HTML_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The beginning of a body that a preview is made of.
pub const PREVIEW_INPUT_BYTES_MAX: u64 = 256 * 1024;
/// A preview, in characters (RFC 8970 §3.3).
pub const PREVIEW_CHARS_MAX: usize = 200;
