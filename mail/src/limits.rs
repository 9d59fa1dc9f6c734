//! Limits of names and messages: one place, each with its unit. Those that an operator can lower
//! are passed in ([`Names`], [`Parsing`]); their constants bound what may be stored, so that what
//! was stored under any setting can be read under every other.

/// What a new mailbox may be called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Names {
    /// One level, bytes; at most [`MAILBOX_LEVEL_BYTES_MAX`].
    pub level_bytes_max: usize,
    /// Levels; at most [`MAILBOX_DEPTH_MAX`].
    pub depth_max: usize,
    /// The whole name, bytes; at most [`MAILBOX_NAME_BYTES_MAX`].
    pub name_bytes_max: usize,
}

impl Names {
    /// Every name that can be stored.
    pub const ALL: Self = Self {
        level_bytes_max: MAILBOX_LEVEL_BYTES_MAX,
        depth_max: MAILBOX_DEPTH_MAX,
        name_bytes_max: MAILBOX_NAME_BYTES_MAX,
    };
}

/// How much of a new message is understood. What is beyond is kept, and not looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parsing {
    /// A header of the message or of a part, bytes.
    pub header_bytes_max: usize,
    /// All headers together, bytes.
    pub headers_bytes_max: usize,
    /// Parts inside parts, the message itself being the first; at most [`MIME_DEPTH_MAX`].
    pub depth_max: usize,
    /// Parts, multiparts and messages included; at most [`PARTS_MAX`].
    pub parts_max: usize,
    /// Parameters of one header field, pieces of parameters counted each (RFC 2231); at most
    /// [`PARAMS_MAX`].
    pub params_max: usize,
}

impl Parsing {
    /// As much as is understood by default.
    pub const DEFAULT: Self = Self {
        header_bytes_max: HEADER_BYTES_MAX,
        headers_bytes_max: HEADERS_BYTES_MAX,
        depth_max: MIME_DEPTH_MAX,
        parts_max: PARTS_MAX,
        params_max: PARAMS_MAX,
    };
}

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
/// A preview, in characters (RFC 8970 §3.3).
pub const PREVIEW_CHARS_MAX: usize = 200;
