//! Whether this machine knows the time: certificates, tokens and the dates of mail depend on it.

use std::{
    path::Path,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::Finding;

/// No clock that is right was before this, seconds since 1970: this program did not exist.
const EARLIEST_SECS: u64 = 1_790_000_000;
/// How much later than the clock a file may have been written before something is wrong.
const SLACK: Duration = Duration::from_secs(60);
/// How long the question for synchronisation may take.
const TIME_MAX: Duration = Duration::from_secs(5);

/// Looks at the clock, the log's newest file, and what systemd knows.
pub(super) async fn check(store: &Path, now: SystemTime) -> Vec<Finding> {
    let mut findings = vec![sane(now, newest(&store.join("log")))];
    findings.push(synchronised(ask().await.as_deref()));
    findings
}

fn sane(now: SystemTime, newest: Option<SystemTime>) -> Finding {
    let next = "set the clock, and have it kept right (systemd-timesyncd or chrony)";
    if now < UNIX_EPOCH + Duration::from_secs(EARLIEST_SECS) {
        return Finding::wrong("the clock is years behind", "this machine's clock", next);
    }
    let ahead = newest.and_then(|newest| newest.duration_since(now).ok());
    match ahead.filter(|ahead| *ahead > SLACK) {
        Some(ahead) => Finding::wrong(
            format!(
                "the store was written {} s later than it is now: the clock went back",
                ahead.as_secs()
            ),
            "this machine's clock",
            next,
        ),
        None => Finding::fine(
            "the clock is not behind what was stored",
            "this machine's clock",
        ),
    }
}

/// When the newest file of the log was written.
fn newest(log: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(log).ok()?.flatten();
    entries
        .filter_map(|entry| entry.metadata().ok()?.modified().ok())
        .max()
}

/// What `timedatectl` says, where there is one.
async fn ask() -> Option<String> {
    let asked = tokio::process::Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = tokio::time::timeout(TIME_MAX, asked).await.ok()?.ok()?;
    Some(String::from_utf8_lossy(&done.stdout).trim().to_owned())
}

fn synchronised(said: Option<&str>) -> Finding {
    let place = "timedatectl";
    match said {
        Some("yes") => Finding::fine("the clock is kept right over the network", place),
        Some("no") => Finding::warning(
            "the clock is not kept right over the network",
            place,
            "`timedatectl set-ntp true`, or install chrony; in a container see to the host's clock",
        ),
        _ => Finding::fine("whether the clock is kept right cannot be told here", place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_clock_is_behind_or_went_back_or_is_right() {
        let now = UNIX_EPOCH + Duration::from_secs(EARLIEST_SECS + 1_000_000);
        let later = |secs| Some(now + Duration::from_secs(secs));
        for (at, newest, level) in [
            (now, None, Level::Fine),
            (now, later(59), Level::Fine),
            (now, later(61), Level::Wrong),
            (UNIX_EPOCH, None, Level::Wrong),
        ] {
            assert_eq!(sane(at, newest).level, level);
        }
        for (said, level) in [
            (Some("yes"), Level::Fine),
            (Some("no"), Level::Warning),
            (Some(""), Level::Fine),
            (None, Level::Fine),
        ] {
            assert_eq!(synchronised(said).level, level);
        }
    }

    #[test]
    fn the_newest_file_is_found() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(newest(&directory.path().join("log")), None);
        std::fs::write(directory.path().join("1"), "x").unwrap();
        assert!(newest(directory.path()).is_some());
    }
}
