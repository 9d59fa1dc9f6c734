//! Pages of results: the PARTIAL return option of SEARCH and modifier of UID FETCH (RFC 9394).
//!
//! ```text
//! C: a1 UID SEARCH RETURN (PARTIAL -1:-100) UNDELETED
//! C: a2 UID FETCH 25900:26600 (FLAGS) (PARTIAL 1:5)
//! ```

use std::ops::RangeInclusive;

use crate::cursor::{Cursor, Parsed};

/// Which of the results, counted from one end. The numbers stand as the client wrote them, since it
/// is told them again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page {
    /// From which end.
    pub end: PageEnd,
    /// One number, at least 1.
    pub first: u32,
    /// The other.
    pub last: u32,
}

/// From where results are counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageEnd {
    /// From the lowest UID.
    Oldest,
    /// From the highest UID, written with a minus.
    Newest,
}

impl Page {
    /// How many results it has at most.
    #[must_use]
    pub const fn len(self) -> u32 {
        self.first.abs_diff(self.last).saturating_add(1)
    }

    /// Never: a page has room for one result at least.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        false
    }

    /// Which of `count` results it has, as positions from 0 in the order of UIDs; `None` if none.
    #[must_use]
    pub fn of(self, count: u32) -> Option<RangeInclusive<u32>> {
        let low = self.first.min(self.last);
        let high = self.first.max(self.last).min(count);
        if low > high {
            return None;
        }
        Some(match self.end {
            PageEnd::Oldest => low.saturating_sub(1)..=high.saturating_sub(1),
            PageEnd::Newest => count.saturating_sub(high)..=count.saturating_sub(low),
        })
    }
}

/// ```abnf
/// partial-range       = partial-range-first / partial-range-last
/// partial-range-first = nz-number ":" nz-number
/// partial-range-last  = MINUS nz-number ":" MINUS nz-number
/// ```
///
/// RFC 9394 §4.
pub(super) fn page(c: &mut Cursor<'_>) -> Parsed<Page> {
    let end = match c.eat(b'-') {
        true => PageEnd::Newest,
        false => PageEnd::Oldest,
    };
    let first = c.nz_number()?;
    c.byte(b':', "a colon")?;
    if end == PageEnd::Newest {
        c.byte(b'-', "a minus as before the first number")?;
    }
    let last = c.nz_number()?;
    Ok(Page { end, first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions() {
        let page = |end, first, last| Page { end, first, last };
        let oldest = |first, last, count| page(PageEnd::Oldest, first, last).of(count);
        let newest = |first, last, count| page(PageEnd::Newest, first, last).of(count);
        assert_eq!(oldest(1, 3, 10), Some(0..=2));
        assert_eq!(oldest(3, 1, 10), Some(0..=2));
        assert_eq!(oldest(9, 20, 10), Some(8..=9));
        assert_eq!(oldest(11, 20, 10), None);
        assert_eq!(newest(1, 3, 10), Some(7..=9));
        assert_eq!(newest(3, 1, 10), Some(7..=9));
        assert_eq!(newest(9, 20, 10), Some(0..=1));
        assert_eq!(newest(11, 20, 10), None);
        assert_eq!(newest(1, 1, 0), None);
        assert_eq!(oldest(1, u32::MAX, 2), Some(0..=1));
        assert_eq!(page(PageEnd::Newest, 1, 100).len(), 100);
        assert_eq!(page(PageEnd::Oldest, u32::MAX, 1).len(), u32::MAX);
    }
}
