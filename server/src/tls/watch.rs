//! Certificates that change on disk are taken into use without a restart: at SIGHUP, and when a
//! file is seen to have changed. One that cannot be used leaves the old in use.
//!
//! Files are looked at every few seconds rather than watched by inotify: a certificate is often
//! reached through links that are swapped as a whole (certbot's `live`, a mounted secret), or over
//! a network, where a watch on a file says nothing; and a handful of stat calls costs nothing. A
//! change is acted on when it has stood for one more look, so that a certificate and its key that
//! are written one after the other are read together.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::signal::unix::Signal;

use super::{Certificate, Material, Sources, Tls};
use crate::problem::Problem;
use crate::service::Service;

/// How often the files are looked at.
pub const LOOK_INTERVAL: Duration = Duration::from_secs(5);
/// How long before its end a certificate is warned of.
const EXPIRY_NOTICE: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How often it is warned of.
const NOTICE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What tells one version of a file from another; none if there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Print {
    place: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Print {
    /// Of what the path leads to, through all links.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        Some(Self {
            place: (found.dev(), found.ino()),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        })
    }
}

pub(super) type Prints = Vec<Option<Print>>;

/// Of every file that is named.
pub(super) fn prints(sources: &Sources) -> Prints {
    let certificates = sources.certificates.iter();
    let certificates = certificates.flat_map(|one| {
        [Some(&one.path), one.key_path.as_ref()]
            .into_iter()
            .flatten()
    });
    let clients = sources.clients.iter();
    let clients = clients.flat_map(|one| {
        [Some(&one.path), one.crl_path.as_ref()]
            .into_iter()
            .flatten()
    });
    let paths = certificates.chain(clients);
    paths.map(|path| Print::of(path)).collect()
}

/// Watches over the files of a running server's certificates.
#[derive(Debug)]
pub struct Watch {
    tls: Tls,
    sources: Sources,
    /// The files as they were at the last look, if they differ from those in use.
    changed: Option<Prints>,
    /// Files that could not be used, and of which that was said.
    refused: Option<Prints>,
    /// When something was last said about certificates that end.
    noticed: Option<SystemTime>,
}

/// What a look at the files found.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Nothing that is new.
    Unchanged,
    /// A change that may not be complete.
    Changing,
    /// A change that was taken into use.
    Taken,
    /// A change that cannot be used.
    Refused(Problem),
}

impl Watch {
    /// Watches the files that these were loaded from.
    #[must_use]
    pub fn new(tls: Tls, sources: Sources) -> Self {
        Self {
            tls,
            sources,
            changed: None,
            refused: None,
            noticed: None,
        }
    }

    /// Looks at the files, and takes them into use if they changed and then stood still.
    pub fn look(&mut self, now: SystemTime) -> Look {
        let prints = prints(&self.sources);
        if prints == self.tls.state.load().prints {
            (self.changed, self.refused) = (None, None);
            return Look::Unchanged;
        }
        if self.refused.as_ref() == Some(&prints) {
            return Look::Unchanged;
        }
        if self.changed.as_ref() != Some(&prints) {
            self.changed = Some(prints);
            return Look::Changing;
        }
        match self.reload(now) {
            Ok(()) => Look::Taken,
            Err(problem) => Look::Refused(problem),
        }
    }

    /// Takes the files into use as they are.
    ///
    /// # Errors
    /// They cannot be used, or a certificate that is new is past its dates; nothing is changed.
    pub fn reload(&mut self, now: SystemTime) -> Result<(), Problem> {
        let prints = prints(&self.sources);
        let taken = self.sources.load().and_then(|material| {
            self.check_new(&material, now)?;
            self.tls.replace(material)
        });
        self.changed = None;
        match taken {
            Ok(()) => self.refused = None,
            Err(_) => self.refused = Some(prints),
        }
        taken
    }

    /// A certificate that is in use already may be past its dates: it must not keep others from
    /// being renewed.
    fn check_new(&self, material: &Material, now: SystemTime) -> Result<(), Problem> {
        let used = self.tls.certificates();
        let is_new = |one: &&Certificate| used.iter().all(|other| other.der() != one.der());
        let mut new = material.certificates.iter().filter(is_new);
        new.try_for_each(|certificate| certificate.check_dates(now))
    }

    /// What an operator should know of certificates that end soon or have ended, once a day.
    pub fn notices(&mut self, now: SystemTime) -> Vec<Problem> {
        let since = self.noticed.and_then(|last| now.duration_since(last).ok());
        if since.is_some_and(|since| since < NOTICE_INTERVAL) {
            return Vec::new();
        }
        self.noticed = Some(now);
        self.tls.notices(now)
    }

    /// Watches until the server stops.
    pub async fn run(mut self, service: Arc<Service>, mut hangup: Option<Signal>) {
        loop {
            let asked = tokio::select! {
                () = service.shutdown.notified() => return,
                () = tokio::time::sleep(LOOK_INTERVAL) => false,
                () = crate::serve::received(&mut hangup) => true,
            };
            let secs = u64::try_from(service.now_secs()).unwrap_or(0);
            let now = UNIX_EPOCH + Duration::from_secs(secs);
            let turn = tokio::task::spawn_blocking(move || {
                self.turn(asked, now);
                self
            });
            match turn.await {
                Ok(watch) => self = watch,
                Err(error) => {
                    tracing::error!(%error, "certificates are not watched any more");
                    return;
                }
            }
        }
    }

    /// One turn, told to the log.
    fn turn(&mut self, asked: bool, now: SystemTime) {
        let look = match asked {
            true => match self.reload(now) {
                Ok(()) => Look::Taken,
                Err(problem) => Look::Refused(problem),
            },
            false => self.look(now),
        };
        match look {
            Look::Taken => log_certificates(&self.tls, "certificate taken into use"),
            Look::Refused(problem) => tracing::error!(
                place = %problem.to_what, next = %problem.next,
                "the certificates in use stay: {}", problem.what
            ),
            Look::Unchanged | Look::Changing => {}
        }
        for notice in self.notices(now) {
            tracing::warn!(place = %notice.to_what, next = %notice.next, "{}", notice.what);
        }
    }
}

/// Says in the log which certificates are in use.
pub fn log_certificates(tls: &Tls, text: &str) {
    for certificate in tls.certificates() {
        tracing::info!(
            place = %certificate.place(), names = %certificate.names().join(" "),
            until = %certificate.until(), "{text}"
        );
    }
}

impl Tls {
    /// Why the files could not be taken into use as they are, if they are others than those in use.
    #[must_use]
    pub fn unusable_files(&self, sources: &Sources) -> Option<Problem> {
        if prints(sources) == self.state.load().prints {
            return None;
        }
        sources.load().err()
    }

    /// What an operator should know of certificates and lists that end soon or have ended.
    #[must_use]
    pub fn notices(&self, now: SystemTime) -> Vec<Problem> {
        let mut notices = Vec::new();
        for certificate in self.certificates() {
            let left = certificate.not_after().duration_since(now).ok();
            match (certificate.check_dates(now), left) {
                (Err(problem), _) => notices.push(problem),
                (Ok(()), Some(left)) if left < EXPIRY_NOTICE => notices.push(Problem::new(
                    format!("the certificate ends on {}", certificate.until()),
                    certificate.place(),
                    "renew it; a new file is taken into use without a restart",
                )),
                _ => {}
            }
        }
        let state = self.state.load();
        let lists = state.clients.as_ref().map(|one| one.check_dates(now));
        notices.extend(lists.and_then(Result::err));
        notices
    }
}
