//! MESSAGELIMIT and SAVELIMIT (RFC 9738): how many messages one command works on, if an administrator
//! limits that. The newest are worked on, and the client is told from where to ask again.

use mail::{id::Uid, predicate::Predicate, set::UidSet};
use wire::imap::{
    capabilities::MessageLimit,
    code::Code,
    response::{Completion, Status, Untagged},
};

use super::{
    Context,
    answer::{Failure, no},
    fetch::batches,
    sink::Sink,
};

/// The messages that a command works on, and whether there are more.
pub(super) struct Limited {
    pub(super) uids: UidSet,
    /// The limit, and the lowest UID worked on, if there are more below.
    cut: Option<(u32, Uid)>,
}

/// In which order messages are worked on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// By UID.
    Mailbox,
    /// By UID, backwards.
    NewestFirst,
}

impl Context {
    /// How many messages one command works on.
    #[must_use]
    pub fn message_limit(&self) -> MessageLimit {
        let imap = &self.service.config.imap;
        match (imap.message_limit, imap.save_limit) {
            (Some(limit), _) => MessageLimit::All(limit),
            (None, Some(limit)) => MessageLimit::Saving(limit),
            (None, None) => MessageLimit::None,
        }
    }

    /// How many messages COPY and APPEND take.
    pub(super) fn save_limit(&self) -> Option<u32> {
        match self.message_limit() {
            MessageLimit::All(limit) | MessageLimit::Saving(limit) => Some(limit),
            MessageLimit::None => None,
        }
    }

    /// The newest of these, as many as a command works on.
    pub(super) fn limited(&self, uids: UidSet) -> Limited {
        match self.message_limit() {
            MessageLimit::All(limit) => Limited::new(uids, limit),
            MessageLimit::None | MessageLimit::Saving(_) => Limited { uids, cut: None },
        }
    }

    /// The same of messages that are costly to name, which matter only if there is a limit.
    pub(super) fn limited_of(&self, uids: impl FnOnce() -> UidSet) -> Limited {
        match self.message_limit() {
            MessageLimit::All(_) => self.limited(uids()),
            MessageLimit::None | MessageLimit::Saving(_) => self.limited(UidSet::new()),
        }
    }

    /// Refuses to save more messages than is allowed: COPY and APPEND are done whole or not at all
    /// (RFC 9738 §3.1).
    pub(super) fn check_save(&self, uids: &UidSet) -> Result<(), Failure> {
        let Some(limit) = self.save_limit() else {
            return Ok(());
        };
        match Limited::new(uids.clone(), limit).cut {
            Some((limit, lowest)) => Err(too_many(limit, Some(lowest))),
            None => Ok(()),
        }
    }

    /// Refuses a page that is larger than what a command works on: nothing is done then
    /// (RFC 9738 §3.1).
    pub(super) fn check_page(&self, messages: u32) -> Result<(), Failure> {
        match self.message_limit() {
            MessageLimit::All(limit) if messages > limit => Err(too_many(limit, None)),
            _ => Ok(()),
        }
    }
}

/// NO `[MESSAGELIMIT]`.
pub(super) fn too_many(limit: u32, lowest: Option<Uid>) -> Failure {
    let text = "These are more messages than one command may take; name fewer.";
    Failure::Answer(no(Code::MessageLimit(limit, lowest), text))
}

impl Limited {
    fn new(uids: UidSet, limit: u32) -> Self {
        let Some(surplus) = uids.count().checked_sub(u64::from(limit)) else {
            return Self { uids, cut: None };
        };
        let lowest = if surplus == 0 {
            None
        } else {
            nth(&uids, surplus)
        };
        let Some(lowest) = lowest else {
            return Self { uids, cut: None };
        };
        Self {
            uids: uids.intersection(&UidSet::range(lowest, Uid::MAX)),
            cut: Some((limit, lowest)),
        }
    }

    /// Some of the messages, in steps of so many, in the order in which they are worked on.
    pub(super) fn steps(&self, uids: &UidSet, size: usize) -> Vec<UidSet> {
        let mut steps: Vec<UidSet> = batches(uids, size).collect();
        if self.order() == Order::NewestFirst {
            steps.reverse();
        }
        steps
    }

    /// In which order the messages are worked on: if it is not all, from the highest UID to the
    /// lowest (RFC 9738 §3.1).
    pub(super) const fn order(&self) -> Order {
        match self.cut {
            Some(_) => Order::NewestFirst,
            None => Order::Mailbox,
        }
    }

    /// Whether there are more messages than are worked on.
    pub(super) const fn is_cut(&self) -> bool {
        self.cut.is_some()
    }

    /// The answer of the command that did it: with the limit in it, or, where another code has that
    /// place, after a response that tells it (RFC 9738 §3.1).
    pub(super) async fn completion(
        &self,
        completion: Completion,
        sink: &mut Sink,
    ) -> std::io::Result<Completion> {
        let Some((limit, lowest)) = self.cut else {
            return Ok(completion);
        };
        let code = Code::MessageLimit(limit, Some(lowest));
        if completion.code.is_none() && completion.status == Status::Ok {
            return Ok(Completion {
                code: Some(code),
                text: "Done for the newest messages; ask again for the others.".into(),
                ..completion
            });
        }
        let text = "Only the newest messages were worked on.";
        sink.send(&Untagged::Status(no(code, text))).await?;
        Ok(completion)
    }
}

/// The UID that has so many below it.
fn nth(uids: &UidSet, mut below: u64) -> Option<Uid> {
    for range in uids.ranges() {
        let (first, last) = (range.start().get(), range.end().get());
        let count = u64::from(last.saturating_sub(first)).saturating_add(1);
        if below < count {
            return Uid::new(first.saturating_add(u32::try_from(below).ok()?));
        }
        below = below.saturating_sub(count);
    }
    None
}

/// Which of the messages that a client knows a search looks at: those that each match must be among,
/// as far as the keys say so themselves.
pub(super) fn looked_at(predicate: &Predicate<UidSet>, all: UidSet) -> UidSet {
    match predicate {
        Predicate::Messages(uids) => all.intersection(uids),
        Predicate::And(keys) => keys.iter().fold(all, |all, key| looked_at(key, all)),
        _ => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ranges: &[(u32, u32)]) -> UidSet {
        let uid = |n| Uid::new(n).unwrap();
        ranges.iter().fold(UidSet::new(), |all, (a, b)| {
            all.union(&UidSet::range(uid(*a), uid(*b)))
        })
    }

    #[test]
    fn the_newest_are_worked_on() {
        let uids = set(&[(1, 5), (10, 14), (20, 20)]);
        let limited = |limit| {
            let limited = Limited::new(uids.clone(), limit);
            (
                limited.uids.to_string(),
                limited.cut.map(|(_, uid)| uid.get()),
            )
        };
        assert_eq!(limited(11), ("1:5,10:14,20".to_owned(), None));
        assert_eq!(limited(12), ("1:5,10:14,20".to_owned(), None));
        assert_eq!(limited(10), ("2:5,10:14,20".to_owned(), Some(2)));
        assert_eq!(limited(6), ("10:14,20".to_owned(), Some(10)));
        assert_eq!(limited(3), ("13:14,20".to_owned(), Some(13)));
        assert_eq!(limited(1), ("20".to_owned(), Some(20)));
    }

    #[test]
    fn what_a_search_looks_at() {
        let all = set(&[(1, 100)]);
        let messages = |a, b| Predicate::Messages(set(&[(a, b)]));
        let of = |predicate: &Predicate<UidSet>| looked_at(predicate, all.clone()).to_string();
        assert_eq!(of(&Predicate::All), "1:100");
        assert_eq!(of(&messages(50, 200)), "50:100");
        let both = Predicate::And(vec![
            messages(10, 60),
            Predicate::Larger(1),
            messages(50, 90),
        ]);
        assert_eq!(of(&both), "50:60");
        let either = Predicate::Or(Box::new((messages(1, 2), Predicate::All)));
        assert_eq!(of(&either), "1:100");
    }
}
