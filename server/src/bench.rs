//! `relate-imap bench`: what this machine and the disk of `Store:Path` can do, on a scratch store
//! there which is removed at the end, Ctrl-C or not. The real mail is neither read nor written.

mod scratch;

use std::{
    path::{Path, PathBuf},
    pin::pin,
    time::Duration,
};

use serde_json::{Value, json};
use store::{Store, clock::SystemClock, embedded::EmbeddedStore};

use self::scratch::{Mail, Stopped, synced};
use crate::{
    cli::Exit,
    config::Config,
    problem::Problem,
    serve::{Failure, Signals},
};

/// How long each measurement takes, if it is not cut short.
pub(crate) const STEP: Duration = Duration::from_secs(2);
/// Deliveries at a time in the measurement of many.
const SENDERS: usize = 32;
/// Syncs slower than this at the median are worth a word.
const SLOW_SYNC_MS: f64 = 20.0;

/// Measures, until it is done or told to stop.
///
/// # Errors
/// The directory cannot be used, or the scratch store failed, or it was told to stop.
pub async fn run(config: &Config) -> Result<Value, Failure> {
    let place = place(&config.store.path)?;
    let mut signals = Signals::caught();
    // Removed when dropped, however this ends.
    let scratch = tempfile::Builder::new()
        .prefix(".bench-")
        .tempdir_in(&place)
        .map_err(|error| {
            let next = "run this as the user the server runs as, and see that there is room";
            failed(
                format!("no scratch directory can be made: {error}"),
                &place,
                next,
            )
        })?;
    let stop = Stopped::default();
    let mut measuring = pin!(measure(config, scratch.path(), &stop));
    tokio::select! {
        measured = &mut measuring => measured.map_err(|what| {
            failed(what, &place, "see that there is room: 1 GiB is enough")
        }),
        () = signals.stop() => {
            stop.set();
            // A store that still writes would write into what is being removed.
            tokio::select! {
                _ended = measuring => {}
                () = signals.stop() => {}
            }
            Err(failed("the measurement was stopped".to_owned(), &place, "nothing of it stays"))
        }
    }
}

/// Where the scratch store goes: the same disk as the real one.
fn place(path: &Path) -> Result<PathBuf, Failure> {
    let there = path.ancestors().find(|path| path.is_dir());
    there.map(Path::to_owned).ok_or_else(|| {
        failed(
            "there is no such directory".to_owned(),
            path,
            "make it, or name another with --set Store:Path=DIR",
        )
    })
}

fn failed(what: String, place: &Path, next: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        Problem::new(what, place.display().to_string(), next),
    )
}

async fn measure(config: &Config, scratch: &Path, stop: &Stopped) -> Result<Value, String> {
    let sync = synced(scratch.join("sync"), stop.clone()).await?;
    let (path, options) = (scratch.join("store"), config.store_options());
    let opening = tokio::task::spawn_blocking(move || {
        EmbeddedStore::open(&path, options, std::sync::Arc::new(SystemClock))
    });
    let store = opening.await.map_err(|error| error.to_string())?;
    let store = store.map_err(|error| error.to_string())?;
    let measured = with_store(config, &store, stop).await;
    store.close().await;
    let (one, many, fetch, search) = measured.map_err(|error| error.to_string())?;
    Ok(json!({
        "sync_p50_ms": round(sync.p50_ms),
        "sync_p99_ms": round(sync.p99_ms),
        "append_per_s_one_client": round(one),
        "append_per_s_many_clients": round(many),
        "fetch_per_s": round(fetch),
        "search_messages_per_s": round(search),
        "verdict": verdict(sync.p50_ms, one, many),
    }))
}

/// Appends by one client and by many, then fetches and searches, each a second.
async fn with_store(
    config: &Config,
    store: &std::sync::Arc<EmbeddedStore>,
    stop: &Stopped,
) -> store::Result<(f64, f64, f64, f64)> {
    let mail = Mail::new(
        &**store as &dyn Store,
        config.limits.parsing(),
        stop.clone(),
    )
    .await?;
    let one = mail.appended(1).await?;
    let many = mail.appended(SENDERS).await?;
    let fetch = mail.fetched().await?;
    let search = mail.searched().await?;
    Ok((one, many, fetch, search))
}

fn round(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

/// What the numbers mean for whoever runs a server here.
fn verdict(sync_p50_ms: f64, one: f64, many: f64) -> Vec<String> {
    let mut lines = vec![format!(
        "this disk syncs in {sync_p50_ms:.2} ms: at most about {:.0} changes a second for a client \
         that waits for each; {one:.0} were measured",
        1_000.0 / sync_p50_ms.max(0.001)
    )];
    lines.push(format!(
        "{SENDERS} deliveries at a time share their syncs: {many:.0} a second, {:.0} an hour",
        many * 3_600.0
    ));
    if sync_p50_ms > SLOW_SYNC_MS {
        lines.push(
            "that is slow: a disk with power-loss protection, or a controller whose cache has a \
             battery, makes every change faster"
                .to_owned(),
        );
    } else if sync_p50_ms < 0.05 {
        lines.push(
            "that is faster than disks are: if this is not memory or such a controller's cache, the \
             disk may not keep what it says it has written"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_names_slow_disks_and_those_that_cannot_be_true() {
        assert_eq!(verdict(5.0, 150.0, 3_000.0).len(), 2);
        assert!(verdict(5.0, 150.0, 3_000.0)[0].contains("about 200 changes a second"));
        assert!(verdict(50.0, 15.0, 300.0)[2].contains("slow"));
        assert!(verdict(0.01, 9_000.0, 9_000.0)[2].contains("may not keep"));
    }
}
