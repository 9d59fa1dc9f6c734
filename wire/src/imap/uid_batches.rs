//! UIDBATCHES (RFC 10022): ranges of UIDs that hold about as many messages each.
//!
//! ```text
//! C: a1 UIDBATCHES 2000 1:10
//! S: * UIDBATCHES (TAG "a1") 215295:99696,99695:20351,20350:7830,7829:1
//! ```

use super::command::{Command, Selected};
use crate::cursor::{Cursor, Parsed};

/// The arguments of UIDBATCHES.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UidBatches {
    /// Messages of one batch.
    pub size: u32,
    /// The first batch that is asked for, and the last, as written; all if absent. The first of all
    /// has the highest UIDs.
    pub range: Option<(u32, u32)>,
}

/// ```abnf
/// message-batches = "UIDBATCHES" SP nz-number [SP nz-number ":" nz-number]
/// ```
///
/// RFC 10022 §4.
pub(super) fn uid_batches(c: &mut Cursor<'_>) -> Parsed<Command> {
    c.sp()?;
    let size = c.nz_number()?;
    let mut range = None;
    if c.eat(b' ') {
        let first = c.nz_number()?;
        c.byte(b':', "a colon")?;
        range = Some((first, c.nz_number()?));
    }
    Ok(Command::Selected(Selected::UidBatches(UidBatches {
        size,
        range,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    #[test]
    fn arguments() {
        let batches = |rest: &str| match accept(rest) {
            Command::Selected(Selected::UidBatches(batches)) => batches,
            other => panic!("{other:?}"),
        };
        let with = |size, range| UidBatches { size, range };
        assert_eq!(batches("UIDBATCHES 2000"), with(2_000, None));
        assert_eq!(batches("uidbatches 1 10:20"), with(1, Some((10, 20))));
        assert_eq!(batches("UIDBATCHES 500 4:1"), with(500, Some((4, 1))));
        reject("UIDBATCHES^");
        reject("UIDBATCHES ^");
        reject("UIDBATCHES ^0");
        reject("UIDBATCHES ^x");
        reject("UIDBATCHES ^4294967296");
        reject("UIDBATCHES 500^x");
        reject("UIDBATCHES 500 ^");
        reject("UIDBATCHES 500 ^0:1");
        reject("UIDBATCHES 500 1^");
        reject("UIDBATCHES 500 1:^");
        reject("UIDBATCHES 500 1:^*");
        reject("UIDBATCHES 500 1:2^,3:4");
        incomplete("UIDBATCHES 2000 1:10");
    }
}
