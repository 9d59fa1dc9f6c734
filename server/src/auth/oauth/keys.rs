//! The keys of an issuer: from a file, read again when it changed; or from an address, asked for
//! again when they are old or a token names one that is not among them, and that not too often.
//!
//! An issuer that cannot be asked leaves the keys that are known in use.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    http::{Ask, Http},
    jwt::Keys,
};
use crate::{auth::stamp::Stamp, config::KeySource};

/// The largest file of keys, bytes.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// How often keys are asked for.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    /// How old they may get, seconds.
    pub(super) age_secs: i64,
    /// How long after a question the next may be asked, seconds.
    pub(super) pause_secs: i64,
}

impl Pace {
    pub(super) fn new(age: Duration, pause: Duration) -> Self {
        let secs = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Self {
            age_secs: secs(age),
            pause_secs: secs(pause),
        }
    }
}

/// The keys of one issuer.
pub(super) struct KeyRing {
    source: KeySource,
    pace: Pace,
    known: Mutex<Known>,
    turn: Semaphore,
}

#[derive(Clone, Default)]
struct Known {
    keys: Option<Arc<Keys>>,
    stamp: Option<Stamp>,
    /// When they were got.
    got: Option<i64>,
    /// When they were last asked for, and what came of it.
    asked: Option<(i64, Outcome)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Got,
    Failed,
}

/// The keys at hand.
pub(super) struct AtHand {
    pub(super) keys: Arc<Keys>,
    /// Whether they are all there are: the last question was answered.
    pub(super) complete: bool,
}

impl KeyRing {
    pub(super) fn new(source: KeySource, pace: Pace) -> Self {
        Self {
            source,
            pace,
            known: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }

    /// The keys, new ones if there is none that `fits`; nothing if there are none at all.
    pub(super) async fn keys(
        &self,
        http: &Http,
        now: i64,
        fits: impl Fn(&Keys) -> bool,
    ) -> Option<AtHand> {
        match &self.source {
            KeySource::File(path) => self.read_file(path).await,
            KeySource::Url(url) => {
                if self.is_due(now, &fits)
                    && let Some(_turn) = self.turn(&fits).await
                    && self.is_due(now, &fits)
                {
                    let answer = http.ask(url, Ask::Get).await;
                    self.take(now, answer.and_then(|text| read(&text)));
                }
            }
        }
        let known = self.known.lock().clone();
        let complete = known.asked.is_none_or(|(_, it)| it == Outcome::Got);
        known.keys.map(|keys| AtHand { keys, complete })
    }

    /// The turn to ask. One asks; those whose key is not known wait for it and look again, those
    /// whose key is only old go on with that.
    async fn turn(&self, fits: &impl Fn(&Keys) -> bool) -> Option<SemaphorePermit<'_>> {
        let known = self.known.lock().keys.clone();
        match known.is_some_and(|keys| fits(&keys)) {
            true => self.turn.try_acquire().ok(),
            false => self.turn.acquire().await.ok(),
        }
    }

    fn is_due(&self, now: i64, fits: &impl Fn(&Keys) -> bool) -> bool {
        let known = self.known.lock().clone();
        let since = |time: i64| now.saturating_sub(time);
        let rested = known
            .asked
            .is_none_or(|(asked, _)| since(asked) >= self.pace.pause_secs);
        let old = known.got.is_none_or(|got| since(got) >= self.pace.age_secs);
        rested && (old || !known.keys.is_some_and(|keys| fits(&keys)))
    }

    fn take(&self, now: i64, answer: io::Result<Keys>) {
        let mut known = self.known.lock();
        match answer {
            Ok(keys) => {
                tracing::info!(keys = keys.len(), "keys of an issuer read");
                known.keys = Some(Arc::new(keys));
                known.got = Some(now);
                known.asked = Some((now, Outcome::Got));
            }
            Err(error) => {
                known.asked = Some((now, Outcome::Failed));
                drop(known);
                tracing::error!(source = ?self.source, %error, "the keys of an issuer cannot be read");
            }
        }
    }

    async fn read_file(&self, path: &Path) {
        let known = self.known.lock().stamp;
        let file = path.to_owned();
        let read = tokio::task::spawn_blocking(move || {
            let stamp = Stamp::from(&fs::metadata(&file)?);
            match known == Some(stamp) {
                true => Ok(None),
                false => load(&file).map(|keys| Some((stamp, keys))),
            }
        });
        let read: io::Result<_> = read.await.map_err(io::Error::other).flatten();
        match read {
            Ok(None) => self.known.lock().asked = Some((0, Outcome::Got)),
            Ok(Some((stamp, keys))) => {
                self.take(0, Ok(keys));
                self.known.lock().stamp = Some(stamp);
            }
            Err(error) => self.take(0, Err(error)),
        }
    }
}

/// Reads a file of keys.
pub(super) fn load(path: &Path) -> io::Result<Keys> {
    let mut text = Vec::new();
    let file = File::open(path)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    read(&text)
}

fn read(text: &[u8]) -> io::Result<Keys> {
    Keys::read(text).ok_or_else(|| io::Error::other("this is no set of keys (RFC 7517 §5)"))
}
