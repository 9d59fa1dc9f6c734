//! What an operator can set of the store, with its defaults.

use mail::limits::{KEYWORD_BYTES_MAX, Names};

/// Settings of a store. Sizes are bytes, times seconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// A log segment is sealed when it has grown to this.
    pub segment_bytes: u64,
    /// A transaction is written in frames of at most about this.
    pub frame_bytes_max: usize,
    /// Below this much free space adding is refused, while deleting goes on.
    pub reserve_bytes: u64,
    /// The index is made durable after this much log …
    pub checkpoint_bytes: u64,
    /// … or this much time, whichever comes first.
    pub checkpoint_secs: u64,
    /// The index may be this much log behind what is acknowledged; then commits wait.
    pub index_lag_bytes_max: u64,
    /// Memory for mailboxes that nobody looks at.
    pub mailbox_cache_bytes: u64,
    /// Memory for pages of the index.
    pub index_cache_bytes: usize,
    /// zstd's level for bodies; 0 stores them as they are.
    pub compression_level: i32,
    /// Bodies of expunged messages are kept this long.
    pub undelete_secs: u64,
    /// Keywords a mailbox may have.
    pub keywords_per_mailbox_max: usize,
    /// A keyword that is new in its mailbox, bytes.
    pub keyword_bytes_max: usize,
    /// Mailboxes an account may have.
    pub mailboxes_max: usize,
    /// Messages an account may have, whatever its quota: each costs memory while its mailbox is open.
    pub messages_max: u64,
    /// What a new mailbox may be called.
    pub names: Names,
    /// Expunges remembered per mailbox, as ranges of UIDs.
    pub history_ranges_max: u32,
    /// The largest message taken.
    pub message_bytes_max: u64,
}

const MIB: u64 = 1 << 20;

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 128 * MIB,
            frame_bytes_max: 4 << 20,
            reserve_bytes: 192 * MIB,
            checkpoint_bytes: 64 * MIB,
            checkpoint_secs: 5,
            index_lag_bytes_max: 16 * MIB,
            mailbox_cache_bytes: 256 * MIB,
            index_cache_bytes: 64 << 20,
            compression_level: 1,
            undelete_secs: 7 * 86_400,
            keywords_per_mailbox_max: 512,
            keyword_bytes_max: KEYWORD_BYTES_MAX,
            mailboxes_max: 10_000,
            messages_max: 5_000_000,
            names: Names::ALL,
            history_ranges_max: 10_000,
            message_bytes_max: 64 * MIB,
        }
    }
}
