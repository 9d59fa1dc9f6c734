//! Turns at searching (threat 20): so many searches work at a time, in the order in which they
//! came, and one that works lets the others go first between two steps. What else the machine has
//! stays with everybody who does not search.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};

/// The turns of a store.
#[derive(Debug)]
pub(crate) struct Turns {
    queue: Mutex<Queue>,
    changed: Condvar,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct Queue {
    free: usize,
    /// The ticket of who comes next, and the one whose turn it is next.
    last: u64,
    next: u64,
}

impl Turns {
    /// So many at a time.
    pub(crate) const fn new(at_a_time: usize) -> Self {
        Self {
            queue: Mutex::new(Queue {
                free: at_a_time,
                last: 0,
                next: 0,
            }),
            changed: Condvar::new(),
            waiting: AtomicUsize::new(0),
        }
    }

    /// As many as there are processors, but for one.
    pub(crate) fn of_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }

    fn take(&self) {
        self.wait(self.queue.lock());
    }

    /// Gives a turn up and takes the next after those that wait.
    fn pass(&self) {
        let mut queue = self.queue.lock();
        queue.free = queue.free.saturating_add(1);
        self.changed.notify_all();
        self.wait(queue);
    }

    fn wait(&self, mut queue: MutexGuard<'_, Queue>) {
        let ticket = queue.last;
        queue.last = ticket.wrapping_add(1);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.changed
            .wait_while(&mut queue, |queue| queue.free == 0 || queue.next != ticket);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        queue.next = ticket.wrapping_add(1);
        queue.free = queue.free.saturating_sub(1);
        // Who is next in the queue may find a turn free as well.
        self.changed.notify_all();
    }

    fn give(&self) {
        let mut queue = self.queue.lock();
        queue.free = queue.free.saturating_add(1);
        self.changed.notify_all();
    }
}

/// How a search goes on: in turns, until nobody waits for it any more.
pub(crate) struct Pace<'a> {
    turns: &'a Turns,
    stop: &'a AtomicBool,
}

impl<'a> Pace<'a> {
    /// Waits for the first turn of a search that is over once `stop` is set.
    pub(crate) fn new(turns: &'a Turns, stop: &'a AtomicBool) -> Self {
        turns.take();
        Self { turns, stop }
    }

    /// Lets those go first that wait; then says whether the search is over.
    pub(crate) fn is_over(&self) -> bool {
        if self.turns.waiting.load(Ordering::Relaxed) > 0 {
            self.turns.pass();
        }
        self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Pace<'_> {
    fn drop(&mut self) {
        self.turns.give();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches of so many steps each, of which the first lets the others come before it begins.
    fn order(at_a_time: usize, steps: &[usize]) -> Vec<usize> {
        let (turns, stop) = (Turns::new(at_a_time), AtomicBool::new(false));
        let log = Mutex::new(Vec::new());
        let work = |number: usize, pace: &Pace<'_>| {
            for _ in 0..steps[number] {
                log.lock().push(number);
                assert!(!pace.is_over());
            }
        };
        std::thread::scope(|scope| {
            let first = Pace::new(&turns, &stop);
            for number in 1..steps.len() {
                let (turns, stop, work) = (&turns, &stop, &work);
                scope.spawn(move || work(number, &Pace::new(turns, stop)));
                while turns.waiting.load(Ordering::Relaxed) < number {
                    std::thread::yield_now();
                }
            }
            work(0, &first);
        });
        assert_eq!(turns.queue.lock().free, at_a_time);
        log.into_inner()
    }

    #[test]
    fn threat_20_searches_take_turns_in_their_order() {
        assert_eq!(order(1, &[3]), [0, 0, 0]);
        assert_eq!(order(1, &[4, 2]), [0, 1, 0, 1, 0, 0]);
        assert_eq!(order(1, &[2, 3, 1]), [0, 1, 2, 0, 1, 1]);
    }

    #[test]
    fn as_many_work_at_a_time_as_there_are_turns() {
        let (turns, stop) = (Turns::new(2), AtomicBool::new(true));
        let (one, two) = (Pace::new(&turns, &stop), Pace::new(&turns, &stop));
        assert!(one.is_over() && two.is_over());
        assert_eq!(turns.queue.lock().free, 0);
        drop(one);
        let _three = Pace::new(&turns, &stop);
        assert_eq!(turns.queue.lock().free, 0);
    }
}
