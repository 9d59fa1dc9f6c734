//! The signals that a server listens to.

use std::time::Duration;

use tokio::{
    net::UnixStream,
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

/// In which a busy machine lets the runtime see a signal.
const MOMENT: Duration = Duration::from_millis(500);

/// What a server is told to do.
pub(super) enum Order {
    Stop,
    /// To have another process take its place, and whom to tell how that went.
    Restart(Option<UnixStream>),
}

/// SIGINT, SIGTERM and SIGUSR2, caught from when this is made.
pub struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    second_user: Option<Signal>,
}

impl Signals {
    /// Catches them.
    #[must_use]
    pub fn caught() -> Self {
        Self {
            interrupt: handler(SignalKind::interrupt()),
            terminate: handler(SignalKind::terminate()),
            second_user: handler(SignalKind::user_defined2()),
        }
    }

    pub(super) async fn order(&mut self) -> Order {
        tokio::select! {
            () = received(&mut self.interrupt) => Order::Stop,
            () = received(&mut self.terminate) => Order::Stop,
            () = received(&mut self.second_user) => Order::Restart(None),
        }
    }

    /// Whether SIGINT or SIGTERM came that nobody has waited for, or comes in a moment: the runtime
    /// sees a signal some time after it came.
    pub(super) async fn have_said_stop(&mut self) -> bool {
        timeout(MOMENT, self.stop()).await.is_ok()
    }

    /// Waits for SIGINT or SIGTERM.
    pub async fn stop(&mut self) {
        tokio::select! {
            () = received(&mut self.interrupt) => {}
            () = received(&mut self.terminate) => {}
        }
    }
}

pub(crate) fn handler(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| tracing::error!(%error, "signals cannot be handled"))
        .ok()
}

/// Waits for a signal, for ever if it cannot be caught.
pub(crate) async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}
