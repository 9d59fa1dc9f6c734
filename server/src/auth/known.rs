//! Whether a login was one that is remembered, for the counts only: it decides nothing. The answer
//! is found deep within a backend and told to whoever waits for the verdict, so it goes beside the
//! results.

use std::cell::Cell;

tokio::task_local!(static FOUND: Cell<Known>);

/// Whether a password had to be compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known {
    /// The backend was asked.
    Asked,
    /// The same was right a moment ago.
    Remembered,
}

/// Does something, and says whether a remembered login was found meanwhile.
pub async fn noting_known<T>(work: impl Future<Output = T>) -> (T, Known) {
    let noted = async { (work.await, FOUND.with(Cell::get)) };
    FOUND.scope(Cell::new(Known::Asked), noted).await
}

/// A remembered login was found.
pub(super) fn note() {
    // Nobody may be waiting to hear it.
    let _ = FOUND.try_with(|found| found.set(Known::Remembered));
}
