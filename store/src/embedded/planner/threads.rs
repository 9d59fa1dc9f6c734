//! Conversations while they are planned: what the index says, and what it cannot know yet.
//!
//! The index is behind the plans. What they bring is kept here until the index has it, and somebody
//! who read the index before that and comes to plan after it is sent to read it again.

use std::collections::{HashMap, VecDeque};

use mail::id::ThreadId;

use crate::rules::threads::ThreadKey;

/// Keys kept before those that the index has are forgotten.
const KEPT_MAX: usize = 1_024;

/// What the index said of keys, with what plans it had.
#[derive(Debug)]
pub(crate) struct Looked {
    /// It had this plan and those before it.
    pub(super) plans: u64,
    pub(super) found: HashMap<ThreadKey, ThreadId>,
}

/// Keys that plans brought.
#[derive(Debug, Default)]
pub(crate) struct Threads {
    known: HashMap<ThreadKey, ThreadId>,
    /// By the numbers of their plans.
    order: VecDeque<(u64, ThreadKey)>,
    /// Of this plan and those before it some keys are forgotten.
    forgotten: u64,
}

/// Messages that are planned together.
#[derive(Debug)]
pub(crate) struct Joined<'a> {
    looked: &'a Looked,
    known: &'a Threads,
    /// What they bring that is known from nowhere else.
    new: Vec<(ThreadKey, ThreadId)>,
}

impl Joined<'_> {
    /// The conversation of the next message, which has these keys; `new` if none of them is known.
    pub(crate) fn of(&mut self, keys: &[ThreadKey], new: ThreadId) -> ThreadId {
        let thread = keys.iter().find_map(|key| self.known(key)).unwrap_or(new);
        for key in keys {
            if self.known(key).is_none() {
                self.new.push((*key, thread));
            }
        }
        thread
    }

    fn known(&self, key: &ThreadKey) -> Option<ThreadId> {
        // What the index has came first.
        let earlier = self
            .looked
            .found
            .get(key)
            .or_else(|| self.known.known.get(key));
        let new = || self.new.iter().find(|(known, _)| known == key);
        earlier
            .copied()
            .or_else(|| new().map(|(_, thread)| *thread))
    }

    /// What is to be kept once they are planned.
    pub(crate) fn finish(self) -> Vec<(ThreadKey, ThreadId)> {
        self.new
    }
}

impl Threads {
    /// Whether what the index said and what is kept here are together all there is; forgets what is
    /// not needed any more.
    pub(crate) fn complete(&mut self, looked: &Looked) -> bool {
        if looked.plans < self.forgotten {
            return false;
        }
        if self.order.len() > KEPT_MAX {
            while let Some((number, key)) = self.order.pop_front_if(|(at, _)| *at <= looked.plans) {
                self.known.remove(&key);
                self.forgotten = number;
            }
        }
        true
    }

    /// What follows for messages that are planned together.
    pub(crate) fn join<'a>(&'a self, looked: &'a Looked) -> Joined<'a> {
        Joined {
            looked,
            known: self,
            new: Vec::new(),
        }
    }

    /// Keeps what a plan brought.
    pub(crate) fn keep(&mut self, number: u64, new: Vec<(ThreadKey, ThreadId)>) {
        for (key, thread) in new {
            self.known.insert(key, thread);
            self.order.push_back((number, key));
        }
    }

    /// Forgets what plans brought that failed: all after this one.
    pub(super) fn restart(&mut self, number: u64) {
        let Self { known, order, .. } = self;
        order.retain(|(at, key)| {
            let stays = *at <= number;
            if !stays {
                known.remove(key);
            }
            stays
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(n: u64) -> ThreadId {
        ThreadId::new(n).unwrap()
    }

    fn looked(plans: u64, found: &[(u64, u64)]) -> Looked {
        let found = found.iter().map(|(key, to)| (ThreadKey(*key), thread(*to)));
        let found = found.collect();
        Looked { plans, found }
    }

    fn join(
        threads: &mut Threads,
        (number, looked): (u64, &Looked),
        keys: &[u64],
        new: u64,
    ) -> u64 {
        let keys: Vec<ThreadKey> = keys.iter().map(|key| ThreadKey(*key)).collect();
        let mut joined = threads.join(looked);
        let thread = joined.of(&keys, thread(new));
        let new = joined.finish();
        threads.keep(number, new);
        thread.get()
    }

    #[test]
    fn the_first_known_key_decides() {
        let mut threads = Threads::default();
        let mut join = |number, looked: &Looked, keys: &[u64], new| {
            join(&mut threads, (number, looked), keys, new)
        };
        assert_eq!(join(1, &looked(0, &[]), &[10], 100), 100);
        assert_eq!(join(2, &looked(0, &[]), &[11, 10], 101), 100);
        assert_eq!(join(3, &looked(0, &[(12, 7)]), &[13, 12, 10], 102), 7);
        // An answer that came before what it answers.
        assert_eq!(join(4, &looked(0, &[]), &[20, 21], 103), 103);
        assert_eq!(join(5, &looked(0, &[]), &[21], 104), 103);
        assert_eq!(join(6, &looked(0, &[]), &[], 105), 105);
        // The index knows it longer.
        assert_eq!(join(7, &looked(0, &[(10, 3)]), &[10], 106), 3);
    }

    #[test]
    fn messages_that_are_planned_together_know_each_other() {
        let (threads, none) = (Threads::default(), looked(0, &[]));
        let mut joined = threads.join(&none);
        assert_eq!(joined.of(&[ThreadKey(1)], thread(1)), thread(1));
        assert_eq!(
            joined.of(&[ThreadKey(2), ThreadKey(1)], thread(2)),
            thread(1)
        );
        assert_eq!(joined.finish().len(), 2);
        // Nothing is kept of a plan that was not made.
        assert!(threads.known.is_empty());
    }

    #[test]
    fn what_the_index_has_is_forgotten_and_who_looked_before_looks_again() {
        let mut threads = Threads::default();
        for number in 1..=u64::try_from(KEPT_MAX).unwrap() + 1 {
            join(&mut threads, (number, &looked(0, &[])), &[number], number);
        }
        assert!(threads.complete(&looked(0, &[])));
        assert!(threads.complete(&looked(5, &[])));
        assert_eq!(threads.forgotten, 5);
        assert!(!threads.complete(&looked(4, &[])));
        assert_eq!(threads.known.len(), KEPT_MAX - 4);
        // Few are kept whatever the index has.
        assert!(threads.complete(&looked(500, &[])));
        assert_eq!(threads.forgotten, 5);
    }

    #[test]
    fn a_failed_plan_leaves_no_conversation() {
        let mut threads = Threads::default();
        let none = looked(0, &[]);
        join(&mut threads, (1, &none), &[1], 1);
        join(&mut threads, (2, &none), &[2], 2);
        threads.restart(1);
        assert_eq!(join(&mut threads, (3, &none), &[2, 1], 3), 1);
    }
}
