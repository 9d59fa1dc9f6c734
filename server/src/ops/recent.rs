//! What strangers are told of the server's health: one report for all who ask in the same second, so
//! that asking costs the server nothing, however often it is done.

use std::{sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};

use super::{checks::Question, report::Report};

/// How long a report is good.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// The last report on each question.
#[derive(Default)]
pub(super) struct Recent([Last; Question::COUNT]);

struct Last {
    /// Who makes a report: one at a time.
    turn: Semaphore,
    report: Mutex<Option<(Instant, Arc<Report>)>>,
}

impl Default for Last {
    fn default() -> Self {
        Self {
            turn: Semaphore::new(1),
            report: Mutex::default(),
        }
    }
}

impl Last {
    fn report(&self) -> Option<Arc<Report>> {
        let last = self.report.lock();
        let (made, report) = last.as_ref()?;
        (made.elapsed() < GOOD_FOR).then(|| Arc::clone(report))
    }
}

impl Recent {
    /// The report that was made within the last second, or a new one.
    pub(super) async fn report<F>(
        &self,
        question: Question,
        make: impl FnOnce() -> F,
    ) -> Arc<Report>
    where
        F: Future<Output = Report>,
    {
        let last = &self.0[question as usize];
        if let Some(report) = last.report() {
            return report;
        }
        // Never closed.
        let _turn = last.turn.acquire().await;
        // Who waited for a turn waited for this.
        if let Some(report) = last.report() {
            return report;
        }
        let report = Arc::new(make().await);
        *last.report.lock() = Some((Instant::now(), Arc::clone(&report)));
        report
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn whoever_asks_in_the_same_second_gets_the_same_report() {
        let (recent, made) = (Recent::default(), AtomicU32::new(0));
        let ask = |question| {
            let made = &made;
            recent.report(question, async move || {
                made.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(300)).await;
                Report {
                    checks: Vec::new(),
                    duration: Duration::ZERO,
                }
            })
        };
        let (first, second) = tokio::join!(ask(Question::Well), ask(Question::Well));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(Arc::ptr_eq(&first, &ask(Question::Well).await));
        assert_eq!(made.load(Ordering::Relaxed), 1);
        ask(Question::Ready).await;
        assert_eq!(made.load(Ordering::Relaxed), 2);
        tokio::time::advance(GOOD_FOR).await;
        assert!(!Arc::ptr_eq(&first, &ask(Question::Well).await));
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }
}
