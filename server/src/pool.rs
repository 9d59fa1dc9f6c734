//! Memory that connections share before login (`Limits:PreLoginPoolBytes`). Nobody is exempt: a
//! stranger costs the same wherever it comes from. When the pool is used up new connections are
//! refused; those that are in go on, unless they need more themselves.
//!
//! What is counted is what a connection may hold, not what the allocator gives it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::listen::Protection;

/// A connection that has sent nothing: its task and its buffers, bytes.
const CONNECTION_BYTES: u64 = 24 * 1024;
/// What TLS needs beyond that: the handshake, then the buffers of records, bytes.
const TLS_BYTES: u64 = 40 * 1024;

/// The pool.
#[derive(Debug)]
pub struct Pool {
    used: Arc<AtomicU64>,
    bytes_max: u64,
}

/// A connection's part of the pool, given back when this is dropped.
#[derive(Debug)]
pub struct Share {
    used: Arc<AtomicU64>,
    bytes_max: u64,
    base: u64,
    bytes: u64,
}

/// The pool is used up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsedUp;

impl Pool {
    /// A pool of so many bytes.
    #[must_use]
    pub fn new(bytes_max: u64) -> Self {
        Self {
            used: Arc::default(),
            bytes_max,
        }
    }

    /// The part of a new connection.
    ///
    /// # Errors
    /// There is not enough left.
    pub fn enter(&self, protection: Protection) -> Result<Share, UsedUp> {
        let base = match protection {
            Protection::Plain => CONNECTION_BYTES,
            Protection::Tls | Protection::AtProxy => CONNECTION_BYTES.saturating_add(TLS_BYTES),
        };
        let mut share = Share {
            used: Arc::clone(&self.used),
            bytes_max: self.bytes_max,
            base,
            bytes: 0,
        };
        share.holds(0).map(|()| share)
    }

    /// Bytes in use.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    /// The connection holds so much of what its client sent.
    ///
    /// # Errors
    /// There is not enough left; the share stays as it was.
    pub fn holds(&mut self, received: usize) -> Result<(), UsedUp> {
        let bytes = self.base.saturating_add(received as u64);
        let more = bytes.saturating_sub(self.bytes);
        let grown = |used: u64| Some(used + more).filter(|all| more == 0 || *all <= self.bytes_max);
        let order = Ordering::Relaxed;
        if self.used.fetch_update(order, order, grown).is_err() {
            return Err(UsedUp);
        }
        self.used.fetch_sub(self.bytes.saturating_sub(bytes), order);
        self.bytes = bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_is_given_and_no_more() {
        let pool = Pool::new(2 * CONNECTION_BYTES + 10);
        let mut one = pool.enter(Protection::Plain).unwrap();
        let two = pool.enter(Protection::Plain).unwrap();
        assert_eq!(pool.enter(Protection::Plain).err(), Some(UsedUp));
        assert_eq!(one.holds(9), Ok(()));
        assert_eq!(one.holds(10), Ok(()));
        assert_eq!(one.holds(11), Err(UsedUp));
        assert_eq!(pool.used(), 2 * CONNECTION_BYTES + 10);
        assert_eq!(one.holds(0), Ok(()));
        assert_eq!(pool.used(), 2 * CONNECTION_BYTES);
        drop(two);
        assert_eq!(one.holds(11), Ok(()));
        drop(one);
        assert_eq!(pool.used(), 0);
        // TLS needs more.
        assert!(pool.enter(Protection::Tls).is_err());
    }
}
