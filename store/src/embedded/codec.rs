//! Bytes of the log and the index: fixed little-endian numbers, LEB128 numbers, and strings with a
//! length in front.
//!
//! A reader checks every length before it uses it and never panics, whatever the bytes are: files
//! on disk are not trusted (threat 35).

pub(crate) mod records;

use bytes::Bytes;

/// Stored bytes that do not say what they should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Malformed;

impl From<Malformed> for crate::Error {
    fn from(_: Malformed) -> Self {
        Self::Damaged("a stored value cannot be read".into())
    }
}

pub(crate) type Read<T> = Result<T, Malformed>;

/// Bytes being written.
#[derive(Default)]
pub(crate) struct Writer(pub(crate) Vec<u8>);

impl Writer {
    pub(crate) fn u8(&mut self, n: u8) {
        self.0.push(n);
    }
    pub(crate) fn u16(&mut self, n: u16) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub(crate) fn u32(&mut self, n: u32) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub(crate) fn u64(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    pub(crate) fn i64(&mut self, n: i64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    /// A number that is mostly small.
    pub(crate) fn var(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n & 0x7f) as u8 | 0x80);
            n >>= 7;
        }
        self.0.push((n & 0x7f) as u8);
    }
    /// A signed number that is mostly near zero.
    pub(crate) fn signed(&mut self, n: i64) {
        self.var(((n << 1) ^ (n >> 63)).cast_unsigned());
    }
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.var(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }
    pub(crate) fn str(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

/// Bytes being read.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    whole: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            whole: bytes.len(),
        }
    }
    /// How many bytes have been read.
    pub(crate) fn position(&self) -> usize {
        self.whole - self.rest.len()
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
    /// `Ok` if everything has been read.
    pub(crate) fn end(&self) -> Read<()> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }
    pub(crate) fn take(&mut self, len: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }
    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Malformed)
    }
    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[n]| n)
    }
    pub(crate) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub(crate) fn u32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Read<u64> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_le_bytes)
    }
    pub(crate) fn var(&mut self) -> Read<u64> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            n |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Malformed)
    }
    pub(crate) fn signed(&mut self) -> Read<i64> {
        let n = self.var()?;
        Ok((n >> 1).cast_signed() ^ -((n & 1).cast_signed()))
    }
    pub(crate) fn var_u32(&mut self) -> Read<u32> {
        u32::try_from(self.var()?).map_err(|_| Malformed)
    }
    /// A count of things that each take at least one byte.
    pub(crate) fn count(&mut self) -> Read<usize> {
        let count = usize::try_from(self.var()?).map_err(|_| Malformed)?;
        if count <= self.rest.len() {
            Ok(count)
        } else {
            Err(Malformed)
        }
    }
    pub(crate) fn bytes(&mut self) -> Read<&'a [u8]> {
        let len = usize::try_from(self.var()?).map_err(|_| Malformed)?;
        self.take(len)
    }
    pub(crate) fn owned(&mut self) -> Read<Bytes> {
        self.bytes().map(Bytes::copy_from_slice)
    }
    pub(crate) fn str(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed)
    }
    /// A list: its count, then each.
    pub(crate) fn list<T>(&mut self, mut each: impl FnMut(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        let count = self.count()?;
        // A count is no promise of memory: what is reserved stays small.
        let mut list = Vec::with_capacity(count.min(1_024));
        for _ in 0..count {
            list.push(each(self)?);
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_go_both_ways(n: u64, m: i64, s: String) {
            let mut w = Writer::default();
            w.var(n);
            w.signed(m);
            w.str(&s);
            let mut r = Reader::new(&w.0);
            prop_assert_eq!(r.var().unwrap(), n);
            prop_assert_eq!(r.signed().unwrap(), m);
            prop_assert_eq!(r.str().unwrap(), s);
            prop_assert!(r.end().is_ok());
        }
    }
}
