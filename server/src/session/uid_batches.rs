//! UIDBATCHES (RFC 10022): ranges of UIDs that partition a mailbox into batches of so many messages,
//! from the newest to the oldest.

use mail::id::Uid;
use wire::imap::{
    code::Code,
    response::{Completion, Untagged},
    uid_batches::UidBatches,
};

use super::{
    Selected,
    answer::{Failure, Outcome, bad, ok, refuse},
    sink::Sink,
};

/// Smaller batches would number messages one by one (RFC 10022 §3.1.3.2).
const SIZE_MIN: u32 = 500;
/// Messages that a range of batches spans at most (RFC 10022 §3.1.5).
const SPAN_MAX: u32 = 100_000;

impl Selected {
    pub(super) async fn uid_batches(&mut self, wanted: UidBatches, sink: &mut Sink) -> Outcome {
        check(wanted)?;
        self.tell_new(sink).await?;
        let batches = batches(self.view.count(), wanted, |at| self.view.uid_at(at));
        sink.send(&Untagged::UidBatches(sink.tag(), batches))
            .await?;
        Ok(ok("These are the batches."))
    }
}

fn check(wanted: UidBatches) -> Result<(), Failure> {
    if wanted.size < SIZE_MIN {
        return refuse(Code::TooFew, "A batch has 500 messages at least.");
    }
    let Some((first, last)) = wanted.range else {
        return Ok(());
    };
    if last < first {
        return Err(Failure::Answer(Completion {
            code: Some(Code::ClientBug),
            ..bad("The range of batches ends before it begins.")
        }));
    }
    let count = last.saturating_sub(first).saturating_add(1);
    match count.saturating_mul(wanted.size) > SPAN_MAX {
        true => refuse(
            Code::TooMany,
            "A range of batches spans 100000 messages at most.",
        ),
        false => Ok(()),
    }
}

/// Batches without a gap between them, so that every UID up to the newest is in one; the last goes
/// down to 1, by which a client knows it (RFC 10022 §3.1.4). Those of a range are cut as all are.
fn batches(count: u32, wanted: UidBatches, uid_at: impl Fn(u32) -> Option<Uid>) -> Vec<(Uid, Uid)> {
    let (first, last) = wanted.range.unwrap_or((1, u32::MAX));
    let all = count.div_ceil(wanted.size);
    // The lowest UID of a batch that is not the last.
    let edge = |batch: u32| uid_at(count.checked_sub(wanted.size.checked_mul(batch)?)?);
    (first..=last.min(all))
        .filter_map(|batch| {
            let high = match batch {
                1 => uid_at(count.checked_sub(1)?)?,
                _ => Uid::new(edge(batch.checked_sub(1)?)?.get().checked_sub(1)?)?,
            };
            let low = if batch == all { Uid::MIN } else { edge(batch)? };
            Some((high, low))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(uids: &[u32], size: u32, range: Option<(u32, u32)>) -> Vec<(u32, u32)> {
        let count = u32::try_from(uids.len()).unwrap();
        let batches = batches(count, UidBatches { size, range }, |at| {
            Uid::new(uids[at as usize])
        });
        let numbers = batches.iter();
        numbers.map(|(high, low)| (high.get(), low.get())).collect()
    }

    #[test]
    fn a_range_spans_a_hundred_thousand_messages() {
        let with = |size, range| check(UidBatches { size, range }).is_ok();
        assert!(with(500, Some((3, 202))) && !with(500, Some((3, 203))));
        assert!(with(100_000, Some((1, 1))) && !with(100_001, Some((1, 1))));
        assert!(with(u32::MAX, None) && !with(u32::MAX, Some((1, u32::MAX))));
        assert!(!with(499, None) && !with(500, Some((2, 1))));
    }

    #[test]
    fn batches_have_no_gaps_and_end_at_1() {
        let view = &[3, 5, 8, 13, 21, 34, 55];
        assert_eq!(ranges(view, 3, None), [(55, 21), (20, 5), (4, 1)]);
        assert_eq!(ranges(view, 7, None), [(55, 1)]);
        assert_eq!(ranges(view, 8, None), [(55, 1)]);
        assert_eq!(ranges(view, 1, Some((6, 9))), [(7, 5), (4, 1)]);
        assert_eq!(ranges(view, 3, Some((2, 2))), [(20, 5)]);
        assert_eq!(ranges(view, 3, Some((4, 9))), []);
        assert_eq!(ranges(&[], 500, None), []);
        assert_eq!(ranges(&[9], u32::MAX, Some((1, 1))), [(9, 1)]);
    }
}
