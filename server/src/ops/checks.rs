//! The checks: what `/healthz`, `/readyz` and `relate-imap healthcheck` say of the server. They
//! look and change nothing, and each ends in time.

use std::{
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use store::{Rebuilding, Room};
use tokio::time::Instant;

use super::{
    probe::{self, Target},
    report::{Check, Finding, Report, Status},
};
use crate::{
    service::Service,
    tls::{Certificate, Sources, Tls},
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// A certificate that ends in fewer days should be renewed, …
pub(crate) const CERTIFICATE_DEGRADED_DAYS: u64 = 30;
/// … and in fewer than these it should have been.
pub(crate) const CERTIFICATE_UNHEALTHY_DAYS: u64 = 7;
/// Less free than this should be looked at, …
pub(crate) const DISK_DEGRADED_BYTES: u64 = 1_000_000_000;
/// … and with less, whatever `Store:ReserveBytes` keeps back, other programs fail too.
pub(crate) const DISK_UNHEALTHY_BYTES: u64 = 100_000_000;
/// The same of inodes: the store makes a file for every 128 MiB, but other programs …
pub(crate) const DISK_DEGRADED_INODES: u64 = 10_000;
/// … may leave none.
pub(crate) const DISK_UNHEALTHY_INODES: u64 = 1_000;
/// How long a file system may take to say how full it is.
const DISK_TIME_MAX: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Question {
    /// Whether somebody should look: `/healthz`.
    Well,
    /// Whether it serves: for a supervisor that would start it again. No restart renews a
    /// certificate, so one that is still taken by clients is at most Degraded.
    Serves,
    /// Whether everybody is served without waiting: for a load balancer.
    Ready,
}

impl Question {
    /// How many there are.
    pub(super) const COUNT: usize = 3;

    /// Whether the answer is yes.
    pub(super) fn is_yes(self, report: &Report) -> bool {
        let rebuilding = |check: &Check| {
            let data = &check.finding.data;
            check.name == "index" && data.get("rebuilding").is_some_and(|it| !it.is_null())
        };
        match self {
            Self::Ready if report.checks.iter().any(rebuilding) => false,
            Self::Well | Self::Serves | Self::Ready => report.status() != Status::Unhealthy,
        }
    }
}

/// Makes all checks.
pub(super) async fn run(service: &Service, target: Option<Target>, question: Question) -> Report {
    let began = Instant::now();
    let (imap, certificate, disk) = tokio::join!(
        timed("imap", &["imap", "ready"], probe::check(target, service)),
        timed("certificate", &["tls"], certificate(service, question)),
        timed("disk", &["storage", "ready"], disk(service)),
    );
    let store = timed("store", &["storage", "ready"], async { store(service) }).await;
    let index = timed("index", &["storage", "ready"], async { index(service) }).await;
    Report {
        checks: vec![imap, certificate, disk, store, index],
        duration: began.elapsed(),
    }
}

async fn timed(
    name: &'static str,
    tags: &'static [&'static str],
    check: impl Future<Output = Finding>,
) -> Check {
    let began = Instant::now();
    let finding = check.await;
    Check {
        name,
        tags,
        finding,
        duration: began.elapsed(),
    }
}

async fn certificate(service: &Service, question: Question) -> Finding {
    let (Some(tls), Some(sources)) = (service.tls.clone(), Sources::of(&service.config)) else {
        return Finding::new(Status::Healthy, "No TLS certificate configured");
    };
    let now = UNIX_EPOCH + Duration::from_secs(service.now_secs().try_into().unwrap_or(0));
    // Files are read.
    let looked = tokio::task::spawn_blocking(move || certificates(&tls, &sources, now)).await;
    let mut finding = looked.unwrap_or_else(|fault| {
        let what = format!("The certificates cannot be looked at: {fault}.");
        Finding::new(Status::Unhealthy, what)
    });
    let expired = finding.data.get("expired") == Some(&true.into());
    if question != Question::Well && !expired {
        finding.status = finding.status.min(Status::Degraded);
    }
    finding
}

/// Those in use, and whether the files they came from could be used again.
fn certificates(tls: &Tls, sources: &Sources, now: SystemTime) -> Finding {
    let used = tls.certificates();
    let graded = used.iter().map(|one| grade_certificate(one, now));
    let worst = graded.max_by_key(|finding| finding.status);
    let mut finding = worst.unwrap_or_else(|| Finding::new(Status::Unhealthy, "There is none."));
    if finding.status != Status::Unhealthy
        && let Some(problem) = tls.unusable_files(sources)
    {
        finding.status = Status::Unhealthy;
        finding.description = format!(
            "{}: {}. The certificate in use stays until the server ends.",
            problem.to_what, problem.what
        );
    }
    let described = used.iter().map(|one| {
        json!({
            "names": one.names(),
            "notAfter": one.until(),
            "daysLeft": left(one, now).as_secs() / DAY.as_secs(),
            "place": one.place(),
        })
    });
    let expired = used.iter().any(|one| one.check_dates(now).is_err());
    let described: Vec<_> = described.collect();
    finding.with(json!({ "certificates": described, "expired": expired }))
}

/// How long until it ends; nothing if it has.
fn left(certificate: &Certificate, now: SystemTime) -> Duration {
    let left = certificate.not_after().duration_since(now);
    left.unwrap_or_default()
}

fn grade_certificate(certificate: &Certificate, now: SystemTime) -> Finding {
    let (place, until) = (certificate.place(), certificate.until());
    if let Err(problem) = certificate.check_dates(now) {
        let what = format!("{place}: {}.", problem.what);
        return Finding::new(Status::Unhealthy, what);
    }
    let left = left(certificate, now);
    let days = left.as_secs() / DAY.as_secs();
    let text = format!("{place} is good for {days} days, until {until}.");
    let within = |days: u64| left <= Duration::from_secs(days * DAY.as_secs());
    let status = match () {
        () if within(CERTIFICATE_UNHEALTHY_DAYS) => Status::Unhealthy,
        () if within(CERTIFICATE_DEGRADED_DAYS) => Status::Degraded,
        _ => Status::Healthy,
    };
    match status {
        Status::Healthy => Finding::new(status, text),
        _ => Finding::new(status, format!("{text} Renew it.")),
    }
}

/// What is free where the store is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Free {
    pub(crate) bytes: u64,
    pub(crate) bytes_total: u64,
    /// None where the file system makes them as they are needed.
    pub(crate) inodes: Option<u64>,
}

impl Free {
    /// On the file system of this path. It may take as long as that takes to answer.
    pub(crate) fn at(path: &Path) -> std::io::Result<Self> {
        Ok(Self::of(&rustix::fs::statvfs(path)?))
    }

    /// Of a file system that was asked.
    pub(crate) fn of(found: &rustix::fs::StatVfs) -> Self {
        Self {
            bytes: found.f_bavail.saturating_mul(found.f_frsize),
            bytes_total: found.f_blocks.saturating_mul(found.f_frsize),
            inodes: (found.f_files > 0).then_some(found.f_favail),
        }
    }
}

async fn disk(service: &Service) -> Finding {
    let path = service.config.store.path.clone();
    match free(path.clone()).await {
        Ok(free) => grade_disk(free, &path, service.config.store.reserve_bytes.0),
        Err(error) => Finding::new(
            Status::Unhealthy,
            format!(
                "The file system of {} cannot be asked: {error}.",
                path.display()
            ),
        ),
    }
}

/// Asks the file system, which may be one that does not answer.
pub(crate) async fn free(path: PathBuf) -> std::io::Result<Free> {
    let asked = tokio::task::spawn_blocking(move || Free::at(&path));
    match tokio::time::timeout(DISK_TIME_MAX, asked).await {
        Ok(asked) => asked.map_err(std::io::Error::other)?,
        Err(_) => Err(std::io::ErrorKind::TimedOut.into()),
    }
}

fn grade_disk(free: Free, path: &Path, reserve_bytes: u64) -> Finding {
    let by_bytes = match free.bytes {
        ..DISK_UNHEALTHY_BYTES => Status::Unhealthy,
        DISK_UNHEALTHY_BYTES..DISK_DEGRADED_BYTES => Status::Degraded,
        // Below what the operator keeps free no new mail is taken, however much that is.
        bytes if bytes < reserve_bytes => Status::Degraded,
        _ => Status::Healthy,
    };
    let by_inodes = match free.inodes {
        Some(..DISK_UNHEALTHY_INODES) => Status::Unhealthy,
        Some(DISK_UNHEALTHY_INODES..DISK_DEGRADED_INODES) => Status::Degraded,
        _ => Status::Healthy,
    };
    let mut text = format!(
        "{} of {} are free at {}",
        size(free.bytes),
        size(free.bytes_total),
        path.display()
    );
    if by_inodes != Status::Healthy {
        text.push_str(&format!(", and {} inodes", free.inodes.unwrap_or(0)));
    }
    text.push('.');
    if free.bytes < reserve_bytes {
        text.push_str(" That is less than Store:ReserveBytes: no new mail is taken.");
    }
    Finding::new(by_bytes.max(by_inodes), text).with(json!({
        "path": path.display().to_string(),
        "freeBytes": free.bytes,
        "totalBytes": free.bytes_total,
        "freeInodes": free.inodes,
    }))
}

/// Bytes as people read them.
fn size(bytes: u64) -> String {
    match bytes / 1_000_000 {
        mega @ ..10_000 => format!("{mega} MB"),
        mega => format!("{} GB", mega / 1_000),
    }
}

fn store(service: &Service) -> Finding {
    let finding = match service.store.health() {
        Ok(()) => Finding::new(Status::Healthy, "Writes are taken."),
        Err(error) => Finding::new(Status::Unhealthy, format!("No writes are taken: {error}.")),
    };
    let measures = service.store.measures();
    finding.with(room(service.store.room())).with(json!({
        "commits": measures.commits,
        "commitFailures": measures.commit_failures,
        "lastCommit": measures.last_commit_secs,
        "queueItems": measures.queue_items,
        "queueBytes": measures.queue_bytes,
    }))
}

/// Bodies of messages: there, deleted and within the undelete window, to be given back.
fn room(room: Room) -> serde_json::Value {
    json!({
        "liveBytes": room.live_bytes,
        "waitingBytes": room.waiting_bytes,
        "deadBytes": room.dead_bytes,
    })
}

fn index(service: &Service) -> Finding {
    let measures = service.store.measures();
    grade_index(service.store.rebuilding()).with(json!({
        "lagFrames": measures.index_lag_frames,
        "lagBytes": measures.index_lag_bytes,
    }))
}

fn grade_index(rebuilding: Option<Rebuilding>) -> Finding {
    let Some(progress) = rebuilding else {
        return Finding::new(Status::Healthy, "The index is whole.");
    };
    let text = format!("The index is made again: {progress}.");
    Finding::new(Status::Degraded, text).with(json!({ "rebuilding": {
        "accounts": progress.accounts,
        "accountsDone": progress.accounts_done,
        "messages": progress.messages,
        "messagesDone": progress.messages_done,
        "secondsLeft": progress.secs_left,
    } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn report(finding: Finding) -> Report {
        let check = Check {
            name: "index",
            tags: &[],
            finding,
            duration: Duration::ZERO,
        };
        Report {
            checks: vec![check],
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn an_index_made_again_is_well_and_not_ready() {
        let whole = report(grade_index(None));
        assert_eq!(whole.status(), Status::Healthy);
        let progress = Rebuilding {
            accounts: 30,
            accounts_done: 10,
            messages: 9_000,
            messages_done: 4_500,
            secs_left: Some(3),
        };
        let partial = report(grade_index(Some(progress)));
        assert_eq!(partial.status(), Status::Degraded);
        assert_eq!(
            partial.checks[0].finding.description,
            "The index is made again: 10 of 30 accounts, 4500 of 9000 messages, 3 s left."
        );
        let failed = report(Finding::new(Status::Unhealthy, "The disk is full."));
        for question in [Question::Well, Question::Serves, Question::Ready] {
            assert!(question.is_yes(&whole));
            assert_eq!(question.is_yes(&partial), question != Question::Ready);
            assert!(!question.is_yes(&failed));
        }
    }

    #[test]
    fn a_disk_is_graded_by_what_is_free() {
        for (bytes, inodes, reserve, status, said) in [
            (
                5_000_000_000,
                Some(50_000),
                0,
                Status::Healthy,
                "5000 MB of 10 GB",
            ),
            (5_000_000_000, None, 0, Status::Healthy, "5000 MB of 10 GB"),
            (1_000_000_000, None, 0, Status::Healthy, "1000 MB"),
            (999_999_999, None, 0, Status::Degraded, "999 MB"),
            (100_000_000, None, 0, Status::Degraded, "100 MB"),
            (99_999_999, None, 0, Status::Unhealthy, "99 MB"),
            (
                5_000_000_000,
                Some(9_999),
                0,
                Status::Degraded,
                "9999 inodes",
            ),
            (5_000_000_000, Some(999), 0, Status::Unhealthy, "999 inodes"),
            (
                5_000_000_000,
                None,
                6_000_000_000,
                Status::Degraded,
                "ReserveBytes",
            ),
        ] {
            let free = Free {
                bytes,
                bytes_total: 10_000_000_000,
                inodes,
            };
            let finding = grade_disk(free, Path::new("/x"), reserve);
            assert_eq!(finding.status, status, "{free:?}");
            assert!(finding.description.contains(said), "{finding:?}");
        }
    }

    #[tokio::test]
    async fn the_file_system_of_a_directory_is_asked() {
        let directory = tempfile::tempdir().unwrap();
        let found = free(directory.path().to_owned()).await.unwrap();
        assert!(found.bytes <= found.bytes_total && found.bytes_total > 0);
        assert!(free(directory.path().join("absent")).await.is_err());
    }

    #[test]
    fn a_certificate_is_graded_by_the_days_left() {
        let directory = tempfile::tempdir().unwrap();
        let made = crate::serve::system_time();
        let source = tls_source(directory.path(), made);
        let certificate = crate::tls::load(&source).unwrap();
        let end = certificate.not_after();
        for (before_end, status, said) in [
            (30 * DAY + SECOND, Status::Healthy, "30 days"),
            (30 * DAY, Status::Degraded, "30 days"),
            (7 * DAY + SECOND, Status::Degraded, "7 days"),
            (7 * DAY, Status::Unhealthy, "7 days"),
            (SECOND, Status::Unhealthy, "0 days"),
        ] {
            let finding = grade_certificate(&certificate, end - before_end);
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.description.contains(said), "{finding:?}");
        }
        let after = grade_certificate(&certificate, end + DAY);
        assert_eq!(after.status, Status::Unhealthy);
        assert!(after.description.contains("expired on"), "{after:?}");
    }

    fn tls_source(directory: &Path, now: SystemTime) -> crate::config::CertificateSource {
        crate::tls::self_signed(directory, now).unwrap()
    }

    #[test]
    fn files_that_could_not_be_used_again_are_told() {
        let directory = tempfile::tempdir().unwrap();
        let now = crate::serve::system_time();
        let source = tls_source(directory.path(), now);
        let sources = Sources {
            certificates: vec![source.clone()],
            clients: None,
        };
        let tls = Tls::with(sources.load().unwrap()).unwrap();
        let well = certificates(&tls, &sources, now);
        assert_eq!(well.status, Status::Healthy, "{well:?}");
        assert_eq!(well.data["expired"], false);
        assert!(well.data["certificates"][0]["daysLeft"].as_u64() > Some(30));
        std::fs::write(&source.path, "no certificate").unwrap();
        let ill = certificates(&tls, &sources, now);
        assert_eq!(ill.status, Status::Unhealthy, "{ill:?}");
        assert!(ill.description.contains("stays until"), "{ill:?}");
    }
}
