//! How soon those who watch a mailbox are told of a delivery: from the LMTP reply to the line of
//! IDLE (RFC 9051 §6.3.13) or NOTIFY (RFC 5465 §5.2) at each client.
//!
//! One thread waits for all watchers by epoll, so that a thousand clients on this machine cost the
//! servers as little as can be.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::fd::OwnedFd;

use super::imap::Imap;
use super::mail;
use super::server::{ACCOUNTS, Server, account};
use super::work::Measured;
use crate::Fallible;

/// Deliveries of one pass at most, …
const ROUNDS_MAX: usize = 400;
/// … begun in this time.
const PASS: Duration = Duration::from_secs(8);
/// How long one notification may take before the row fails.
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(60);
/// Between two deliveries, so that the machine is idle when the next comes.
const PAUSE: Duration = Duration::from_millis(15);
/// After all have begun to watch.
const SETTLE: Duration = Duration::from_millis(1_000);
const READ_BYTES: usize = 16 * 1024;

/// Who watches, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Watch {
    pub(super) sessions: usize,
    pub(super) by: By,
    pub(super) place: Place,
}

/// What a session does to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    /// IDLE in the mailbox: EXISTS.
    Idle,
    /// NOTIFY of a mailbox that is not selected: STATUS.
    Notify,
}

/// Where the sessions are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// All watch one mailbox; each delivery is told to all.
    One,
    /// Each watches a mailbox of its own; deliveries to all of them follow one another without a
    /// pause.
    Different,
}

impl Watch {
    /// The account and mailbox that session `number` watches.
    fn target(self, number: usize) -> (String, String) {
        match self.place {
            Place::One => (account(1), "INBOX".to_owned()),
            Place::Different => (account(number), format!("watched{}", number / ACCOUNTS)),
        }
    }

    /// Where the deliveries of a round go.
    fn recipients(self) -> Vec<String> {
        match self.place {
            Place::One => vec![account(1)],
            Place::Different => (0..self.sessions)
                .map(|number| {
                    let (user, mailbox) = self.target(number);
                    user.replacen('@', &format!("+{mailbox}@"), 1)
                })
                .collect(),
        }
    }

    fn mark(self) -> &'static [u8] {
        match self.by {
            By::Idle => b" EXISTS",
            By::Notify => b"* STATUS ",
        }
    }

    /// Lets a session begin to watch; `None` if the server cannot.
    fn begin(self, server: &Server, number: usize) -> Fallible<Option<Watcher>> {
        let (user, mailbox) = self.target(number);
        let mut imap = server.imap(&user)?;
        if self.place == Place::Different {
            // It is there from the second pass on.
            imap.command(format!("CREATE {mailbox}").as_bytes())?;
        }
        match self.by {
            By::Idle => idle(&mut imap, &mailbox)?,
            By::Notify => {
                let which = format!(
                    "NOTIFY SET (MAILBOXES {mailbox} (MessageNew MessageExpunge FlagChange))"
                );
                if !imap.command(which.as_bytes())?.is_ok() {
                    return Ok(None);
                }
            }
        }
        Watcher::new(imap.into_stream()?, self.mark()).map(Some)
    }
}

fn idle(imap: &mut Imap, mailbox: &str) -> Fallible<()> {
    imap.must(format!("SELECT {mailbox}").as_bytes())?;
    imap.send(b"IDLE")?;
    imap.wait_for("+")
}

/// What a pass comes to, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Delays {
    /// From the reply that the message is taken: median and 99th percentile. A line that comes
    /// before the reply counts as 0.
    pub(super) reply: (f64, f64),
    /// The same from the first byte of the LMTP transaction.
    pub(super) transaction: (f64, f64),
}

/// Delivers to those who watch, and waits each time until all were told.
pub(super) fn delays(server: &Server, watch: Watch) -> Fallible<Measured> {
    let mut watchers = Vec::with_capacity(watch.sessions);
    for number in 0..watch.sessions {
        match watch.begin(server, number)? {
            Some(watcher) => watchers.push(watcher),
            None => return Ok(Measured::NotOffered),
        }
    }
    let mut crowd = Crowd::new(watchers)?;
    thread::park_timeout(SETTLE);
    let recipients = watch.recipients();
    let mut lmtp = server.lmtp()?;
    let (mut reply, mut transaction) = (Vec::new(), Vec::new());
    let begin = Instant::now();
    for turn in 0..ROUNDS_MAX {
        let message = mail::message(turn, usize::MAX);
        let deliver = |user: &String| {
            let sent = Instant::now();
            lmtp.deliver(user, &message)?;
            Ok((sent, Instant::now()))
        };
        let (delivered, told) = thread::scope(|scope| {
            let told = scope.spawn(|| crowd.told());
            let delivered: Fallible<Vec<_>> = recipients.iter().map(deliver).collect();
            (delivered, told.join())
        });
        let (delivered, told) = (delivered?, told.map_err(|_| "a worker panicked")??);
        // Where there is one delivery, all were told of it.
        for (told, (sent, taken)) in told.iter().zip(delivered.iter().cycle()) {
            reply.push(apart(*taken, *told));
            transaction.push(apart(*sent, *told));
        }
        if begin.elapsed() > PASS {
            break;
        }
        thread::park_timeout(PAUSE);
    }
    Ok(Measured::Delays(Delays {
        reply: spread(&mut reply),
        transaction: spread(&mut transaction),
    }))
}

fn apart(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1_000.0
}

/// Median and 99th percentile.
fn spread(delays: &mut [f64]) -> (f64, f64) {
    delays.sort_by(f64::total_cmp);
    (percentile(delays, 50), percentile(delays, 99))
}

/// Of ascending values the one that so many of a hundred do not exceed.
fn percentile(values: &[f64], hundredths: usize) -> f64 {
    let rank = (values.len() * hundredths).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or_default()
}

/// One session that is told.
struct Watcher {
    stream: TcpStream,
    mark: &'static [u8],
    /// What was read of a line that is not complete.
    line: Vec<u8>,
}

impl Watcher {
    fn new(stream: TcpStream, mark: &'static [u8]) -> Fallible<Self> {
        stream.set_nonblocking(true).map_err(|e| e.to_string())?;
        Ok(Self {
            stream,
            mark,
            line: Vec::new(),
        })
    }

    /// Reads what there is; whether a line had the mark.
    fn read(&mut self, buffer: &mut [u8]) -> Fallible<bool> {
        match self.stream.read(buffer) {
            Ok(0) => Err("a watching session was closed by the server".into()),
            Ok(count) => Ok(self.hear(&buffer[..count])),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(format!("read: {error}")),
        }
    }

    fn hear(&mut self, bytes: &[u8]) -> bool {
        self.line.extend_from_slice(bytes);
        let Some(end) = memchr::memrchr(b'\n', &self.line) else {
            return false;
        };
        let heard = memchr::memmem::find(&self.line[..end], self.mark).is_some();
        self.line.drain(..=end);
        heard
    }
}

/// All sessions that watch.
struct Crowd {
    watchers: Vec<Watcher>,
    poll: OwnedFd,
}

impl Crowd {
    fn new(watchers: Vec<Watcher>) -> Fallible<Self> {
        let failed = |error: rustix::io::Errno| format!("epoll: {error}");
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(failed)?;
        for (number, watcher) in watchers.iter().enumerate() {
            let data = epoll::EventData::new_u64(number as u64);
            epoll::add(&poll, &watcher.stream, data, epoll::EventFlags::IN).map_err(failed)?;
        }
        Ok(Self { watchers, poll })
    }

    /// Waits until every session was told; when each was.
    fn told(&mut self) -> Fallible<Vec<Instant>> {
        let begin = Instant::now();
        let mut told = vec![None; self.watchers.len()];
        let mut left = told.len();
        let mut buffer = vec![0; READ_BYTES];
        let mut events = Vec::with_capacity(told.len());
        let step = Timespec {
            tv_sec: 1,
            tv_nsec: 0,
        };
        while left > 0 {
            if begin.elapsed() > NOTIFICATION_LIMIT {
                return Err(format!("{left} sessions were not told of a delivery"));
            }
            epoll::wait(&self.poll, spare_capacity(&mut events), Some(&step))
                .map_err(|error| format!("epoll: {error}"))?;
            for event in events.drain(..) {
                let number = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
                let (Some(watcher), Some(told)) =
                    (self.watchers.get_mut(number), told.get_mut(number))
                else {
                    continue;
                };
                if watcher.read(&mut buffer)? && told.is_none() {
                    *told = Some(Instant::now());
                    left -= 1;
                }
            }
        }
        Ok(told.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let values: Vec<f64> = (1..=200).map(f64::from).collect();
        assert_eq!(percentile(&values, 50), 100.0);
        assert_eq!(percentile(&values, 99), 198.0);
        assert_eq!(percentile(&[7.0], 99), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn each_different_mailbox_has_one_recipient() {
        let watch = Watch {
            sessions: 1_000,
            by: By::Idle,
            place: Place::Different,
        };
        let mut recipients = watch.recipients();
        assert_eq!(recipients[33], "bench1+watched1@localhost");
        recipients.sort();
        recipients.dedup();
        assert_eq!(recipients.len(), 1_000);
    }

    #[test]
    fn a_mark_counts_when_its_line_is_whole() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut watcher = Watcher::new(stream, b" EXISTS").unwrap();
        assert!(!watcher.hear(b"* 12 EXI"));
        assert!(watcher.hear(b"STS\r\n* 1 RE"));
        assert!(!watcher.hear(b"CENT\r\n"));
    }
}
