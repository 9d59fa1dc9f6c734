//! Limits of the wire: one place, each with its unit. The server passes them in, so that
//! configuration can override each (section `Limits`).

/// What a client may send, for one stage of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A command line without its literals, bytes.
    pub line_bytes_max: usize,
    /// The line of an ID command, bytes.
    pub id_line_bytes_max: usize,
    /// The line of AUTHENTICATE with its initial response, and a SASL response line, bytes.
    pub authenticate_line_bytes_max: usize,
    /// One literal that is not a message, bytes.
    pub literal_bytes_max: usize,
    /// All literals of one command that are not messages, bytes.
    pub literal_sum_bytes_max: usize,
    /// Literals of one command.
    pub literals_max: usize,
    /// A literal over its limit that is still read and dropped, bytes; past it the connection ends.
    pub skip_bytes_max: u64,
    /// One message of APPEND, bytes.
    pub message_bytes_max: u64,
    /// Levels of parentheses.
    pub depth_max: usize,
    /// Keys of one SEARCH.
    pub search_keys_max: usize,
    /// Levels of keys of one SEARCH.
    pub search_depth_max: usize,
    /// Ranges of one sequence set.
    pub set_ranges_max: usize,
    /// Patterns of one LIST.
    pub list_patterns_max: usize,
    /// One LIST pattern, bytes.
    pub list_pattern_bytes_max: usize,
    /// Items of one FETCH.
    pub fetch_items_max: usize,
    /// Keywords that one STORE or one message of APPEND names; more are answered NO `[LIMIT]`.
    pub keywords_max: usize,
}

/// Field and value pairs of one ID (RFC 2971 §3.3).
pub const ID_PAIRS_MAX: usize = 30;
/// A field name of ID, bytes (RFC 2971 §3.3).
pub const ID_FIELD_BYTES_MAX: usize = 30;
/// A value of ID, bytes (RFC 2971 §3.3).
pub const ID_VALUE_BYTES_MAX: usize = 1_024;
/// Groups of events in one NOTIFY (RFC 5465 §8).
pub const NOTIFY_GROUPS_MAX: usize = 100;
/// Mailboxes that one group of NOTIFY names.
pub const NOTIFY_NAMES_MAX: usize = 1_000;
/// What a connection's input buffer keeps allocated between commands, bytes.
pub const IDLE_BUFFER_BYTES_MAX: usize = 1024;

impl Limits {
    /// Before login. What a grammar counts is as after login: the shorter line bounds it, and a
    /// command of a later state is then answered for its state, not for its length.
    pub const BEFORE_LOGIN: Self = Self {
        line_bytes_max: 8 * 1024,
        id_line_bytes_max: 64 * 1024,
        authenticate_line_bytes_max: 12 * 1024,
        literal_bytes_max: 4 * 1024,
        literal_sum_bytes_max: 16 * 1024,
        literals_max: 4,
        skip_bytes_max: 4 * 1024,
        message_bytes_max: 0,
        depth_max: 1,
        ..Self::AFTER_LOGIN
    };

    /// After login.
    pub const AFTER_LOGIN: Self = Self {
        line_bytes_max: 64 * 1024,
        id_line_bytes_max: 64 * 1024,
        authenticate_line_bytes_max: 12 * 1024,
        literal_bytes_max: 128 * 1024,
        literal_sum_bytes_max: 1024 * 1024,
        literals_max: 1_000,
        skip_bytes_max: 1024 * 1024,
        message_bytes_max: 50 * 1024 * 1024,
        depth_max: 32,
        search_keys_max: 1_024,
        search_depth_max: 32,
        set_ranges_max: 8_192,
        list_patterns_max: 64,
        list_pattern_bytes_max: 1_000,
        fetch_items_max: 1_000,
        keywords_max: 512,
    };
}

/// A user name in SASL (RFC 4616 §2 asks for at least 255), bytes.
pub const USER_BYTES_MAX: usize = 255;
/// A password in SASL, bytes.
pub const PASSWORD_BYTES_MAX: usize = 4_096;
/// A bearer token in SASL, bytes: what fits into a line of `AuthenticateLineBytes`.
pub const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// What a client adds to SCRAM's nonce, bytes; common are 18 to 64.
pub const SCRAM_NONCE_BYTES_MAX: usize = 512;

/// A command line of LMTP with its parameters, bytes.
pub const LMTP_LINE_BYTES_MAX: usize = 4 * 1024;
/// The local part of an address (RFC 5321 §4.5.3.1.1 asks for at least 64), bytes.
pub const LOCAL_PART_BYTES_MAX: usize = 256;
/// The domain of an address (RFC 5321 §4.5.3.1.2), bytes.
pub const DOMAIN_BYTES_MAX: usize = 255;

/// What may follow the fixed part of a PROXY header: addresses, and what proxies add, bytes.
pub const PROXY_HEADER_BYTES_MAX: usize = 4 * 1024;

/// Levels of parentheses in a response, for a client that reads it: more than BODYSTRUCTURE of the
/// deepest message has.
pub const RESPONSE_DEPTH_MAX: usize = 512;

/// How long BODY or BODYSTRUCTURE may be with all that its parts say of themselves, bytes, and one
/// part more: it is in memory whenever it is sent (threat 27). Honest mail has a tenth of it at most.
pub const STRUCTURE_BYTES_MAX: usize = 256 << 10;
/// What is written of a word of the parts after that, bytes.
pub const STRUCTURE_WORD_BYTES: usize = 16;
