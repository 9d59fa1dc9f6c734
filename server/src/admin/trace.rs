//! `relate-imap trace`: what a user's clients, or those at one address, say and are answered, while
//! it is said. Secrets never come here, the contents of messages only where they were asked for
//! (`observe::trace`). Whoever reads too slowly misses lines, and is told how many; no session waits.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval},
};

use super::{
    follow::ToSocket,
    history::Listener as _,
    live::{Chosen, whom},
    moment,
    print::visible,
};
use crate::{
    observe::{
        trace::{Hears, Listener, Part, Said, Side},
        watch::Watch,
    },
    problem::Problem,
    service::Service,
};

/// Sayings that may wait for whoever reads them.
const QUEUE: usize = 512;
/// How often it is looked whether something was missed.
const LOOK: Duration = Duration::from_secs(1);

/// A conversation that somebody wants to see.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceRequest {
    /// Whose.
    pub whom: Chosen,
    /// Whether the contents of messages are shown, too.
    pub bodies: bool,
}

/// Shows the conversation until whoever asked is gone, or the server stops.
///
/// # Errors
/// Whom to follow is not known.
pub(super) async fn run<R: AsyncRead + Unpin, W: AsyncWrite + Unpin + Send>(
    service: &Arc<Service>,
    request: &TraceRequest,
    (user, mut from, to): (u32, R, &mut ToSocket<W>),
) -> Result<Value, Problem> {
    let whom = whom(service, &request.whom)?;
    let (sender, mut said) = mpsc::channel(QUEUE);
    let hears = match request.bodies {
        true => Hears::Contents,
        false => Hears::Lines,
    };
    let listener = Listener::new(sender, hears);
    let watch = service.observe.live.watch(whom.clone(), listener);
    tracing::info!(
        user,
        ?whom,
        bodies = request.bodies,
        "a trace was switched on by this user of the machine"
    );
    let mut teller = Teller {
        begun: Instant::now(),
        begun_secs: service.now_secs(),
        watch: Arc::clone(&watch),
        missed: 0,
        to,
    };
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut byte = [0];
    let mut is_heard = teller.tell(json!({ "sessions": watch.sessions() })).await;
    while is_heard {
        is_heard = tokio::select! {
            () = service.shutdown.notified() => false,
            // It has nothing more to say: what comes is its end.
            _ = from.read(&mut byte) => false,
            said = said.recv() => match said {
                Some(said) => teller.tell_said(&said).await,
                None => false,
            },
            _ = look.tick() => teller.tell_missed().await,
        };
    }
    tracing::info!(user, ?whom, "the trace ended");
    Ok(Value::Null)
}

/// Tells who asked.
struct Teller<'a, W> {
    begun: Instant,
    begun_secs: i64,
    watch: Arc<Watch>,
    /// What was told of that.
    missed: u64,
    to: &'a mut ToSocket<W>,
}

impl<W: AsyncWrite + Unpin + Send> Teller<'_, W> {
    async fn tell(&mut self, item: Value) -> bool {
        self.to.take(item).await && self.to.0.flush().await.is_ok()
    }

    /// Tells a saying, after what was missed before it.
    async fn tell_said(&mut self, said: &Said) -> bool {
        if !self.tell_missed().await {
            return false;
        }
        let since = self.begun.elapsed();
        let secs = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        let side = match said.side {
            Side::Client => "client",
            Side::Server => "server",
        };
        let item = json!({
            "time": moment(self.begun_secs.saturating_add(secs)),
            "after_ms": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            "session": said.session,
            "from": side,
            "content": said.part == Part::Content,
            "text": String::from_utf8_lossy(&said.bytes),
        });
        self.tell(item).await
    }

    /// Tells how much was missed since that was told last.
    async fn tell_missed(&mut self) -> bool {
        let missed = self.watch.missed();
        let more = missed.saturating_sub(self.missed);
        self.missed = missed;
        more == 0 || self.tell(json!({ "missed": more })).await
    }
}

/// What came of a trace, as lines for people.
#[must_use]
pub fn lines(item: &Value) -> String {
    let number = |key: &str| item.get(key).and_then(Value::as_u64);
    if let Some(missed) = number("missed") {
        return format!("-- {missed} messages were missed: the trace is read too slowly\n");
    }
    if let Some(sessions) = item.get("sessions").and_then(Value::as_array) {
        let count = sessions.len();
        return format!("-- following {count} sessions and those to come; Ctrl-C ends it\n");
    }
    let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
    // What stands in a message looks like nothing that was said.
    let is_content = item.get("content").and_then(Value::as_bool);
    let arrow = match (text("from"), is_content.unwrap_or_default()) {
        ("client", false) => "C:",
        ("client", true) => "C|",
        (_, false) => "S:",
        (_, true) => "S|",
    };
    let after = number("after_ms").unwrap_or_default();
    let begin = format!(
        "{} +{}.{:03} #{} {arrow}",
        text("time"),
        after / 1_000,
        after % 1_000,
        number("session").unwrap_or_default()
    );
    let said = text("text").lines();
    said.map(|line| format!("{begin} {}\n", visible(line)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_told_with_its_time_and_what_is_hostile_is_not_obeyed() {
        let item = json!({
            "time": "2026-11-28T20:00:00Z", "after_ms": 1_042, "session": 7, "from": "client",
            "text": "a NOOP\u{1b}[2J\r\nb NOOP\r\n",
        });
        assert_eq!(
            lines(&item),
            "2026-11-28T20:00:00Z +1.042 #7 C: a NOOP?[2J\n2026-11-28T20:00:00Z +1.042 #7 C: b NOOP\n"
        );
        let item = json!({
            "time": "2026-11-28T20:00:00Z", "after_ms": 7, "session": 7, "from": "server",
            "content": true, "text": "* OK\u{1b}\r\n",
        });
        assert_eq!(lines(&item), "2026-11-28T20:00:00Z +0.007 #7 S| * OK?\n");
        assert!(lines(&json!({ "missed": 3 })).contains("3 messages were missed"));
    }
}
