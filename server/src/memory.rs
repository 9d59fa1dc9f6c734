//! Memory that a burst has left behind goes back to the system: after an attack, or a morning's
//! logins, the allocator would keep what thousands of connections held.
//!
//! It is nothing but a request to the C library's allocator, now and then; where there is another
//! one, nothing is done.

use std::{sync::Arc, time::Duration};

use crate::service::Service;

/// How often memory is given back.
const PERIOD: Duration = Duration::from_secs(10);

/// Gives memory back until the server stops.
pub(crate) async fn give_back(service: Arc<Service>) {
    loop {
        tokio::select! {
            () = service.shutdown.notified() => return,
            () = tokio::time::sleep(PERIOD) => {}
        }
        // It may take milliseconds, so not on a thread that serves.
        let _: Result<(), _> = tokio::task::spawn_blocking(trim).await;
    }
}

#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "a call into the C library, which takes no pointer and may be made from any thread"
)]
fn trim() {
    // SAFETY: malloc_trim only releases pages that nothing points into, under the allocator's own
    // locks.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(not(target_env = "gnu"))]
fn trim() {}
