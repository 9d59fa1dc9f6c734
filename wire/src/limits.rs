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
    /// Ranges of one sequence set.
    pub set_ranges_max: usize,
    /// Patterns of one LIST.
    pub list_patterns_max: usize,
    /// One LIST pattern, bytes.
    pub list_pattern_bytes_max: usize,
}

impl Limits {
    /// Before login.
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
        search_keys_max: 0,
        set_ranges_max: 0,
        list_patterns_max: 0,
        list_pattern_bytes_max: 0,
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
        set_ranges_max: 8_192,
        list_patterns_max: 64,
        list_pattern_bytes_max: 1_000,
    };
}
