//! COMPRESS (RFC 4978): whether a connection may begin to compress, and what its clients may blow up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use wire::imap::code::Code;

use super::{
    Context, Reply,
    answer::{bad, no},
};

/// So much is inflated before it matters what it was made of, bytes.
const WINDOW_BYTES: u64 = 1024 * 1024;
/// How many times its own length what a client sends may become, but for messages that are being
/// taken: commands do not repeat themselves like that (threat 21).
const RATIO_MAX: u64 = 200;

impl Context {
    /// Answers COMPRESS: once only (RFC 4978 §3).
    pub(super) fn compress(&self) -> Reply {
        match &self.inflow {
            _ if !self.service.config.imap.compress => {
                Reply::Done(bad("COMPRESS is not offered here."))
            }
            Some(_) => Reply::Done(no(
                Code::CompressionActive,
                "DEFLATE is active already, by COMPRESS.",
            )),
            None => Reply::Compress,
        }
    }
}

/// What a client sent compressed, and what that became: written by the layer that inflates, read by
/// whoever takes it.
#[derive(Debug, Default)]
pub struct Inflow {
    deflated: AtomicU64,
    inflated: AtomicU64,
    is_ending: AtomicBool,
}

impl Inflow {
    /// What is sent next is the last that is compressed (RFC 8437 §4.1).
    pub fn end(&self) {
        self.is_ending.store(true, Relaxed);
    }

    /// Whether it is.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.is_ending.load(Relaxed)
    }

    /// So many bytes came.
    pub fn came(&self, bytes: u64) {
        self.deflated.fetch_add(bytes, Relaxed);
    }

    /// So many bytes were made of them.
    pub fn became(&self, bytes: u64) {
        self.inflated.fetch_add(bytes, Relaxed);
    }

    /// What came until now is not looked at any more.
    pub fn forgive(&self) {
        self.deflated.store(0, Relaxed);
        self.inflated.store(0, Relaxed);
    }

    /// Whether it blows up too much. Looked at for each window, so that nobody saves up
    /// for a bomb.
    #[must_use]
    pub fn is_bomb(&self) -> bool {
        let inflated = self.inflated.load(Relaxed);
        if inflated < WINDOW_BYTES {
            return false;
        }
        let deflated = self.deflated.load(Relaxed);
        self.forgive();
        inflated > deflated.saturating_mul(RATIO_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_counts_from_a_mebibyte_on_and_anew_for_each() {
        let inflow = Inflow::default();
        inflow.came(10);
        inflow.became(WINDOW_BYTES - 1);
        assert!(!inflow.is_bomb());
        inflow.became(1);
        assert!(inflow.is_bomb());
        inflow.came(10 * WINDOW_BYTES);
        inflow.became(10 * WINDOW_BYTES);
        assert!(!inflow.is_bomb());
        inflow.came(WINDOW_BYTES / RATIO_MAX);
        inflow.became(WINDOW_BYTES);
        assert!(inflow.is_bomb(), "what came before saves nobody");
        inflow.became(WINDOW_BYTES);
        inflow.forgive();
        assert!(!inflow.is_bomb());
    }
}
