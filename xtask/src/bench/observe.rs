//! What is read off the machine rather than timed: memory, device syncs, delays of notifications.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::imap::Imap;
use super::mail;
use super::server::{ACCOUNTS, Scratch, Server, account};
use super::work::{Measured, connect};
use crate::Fallible;

const DELIVERIES: usize = 40;
const IDLE_SESSIONS: usize = 200;
const SYNCED_MESSAGES: usize = 128;
/// How long one notification may take before the row fails.
const NOTIFICATION_LIMIT: Duration = Duration::from_secs(60);
/// Between two deliveries, so that they do not fall into one notification.
const PAUSE: Duration = Duration::from_millis(30);
const SETTLE: Duration = Duration::from_millis(1_000);
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

/// Delays from the LMTP reply to EXISTS in an IDLE session.
pub(super) fn idle_delay(server: &Server) -> Fallible<Measured> {
    let user = account(1);
    let mut imap = server.selected(&user, "INBOX")?;
    let mut lmtp = server.lmtp()?;
    imap.send(b"IDLE")?;
    imap.wait_for("+")?;
    let (seen, times) = sync_channel(1);
    let watcher = thread::spawn(move || watch(&mut imap, &seen));
    let mut delays = Vec::new();
    for turn in 0..DELIVERIES {
        lmtp.deliver(&user, &mail::message(turn, usize::MAX))?;
        delays.push(delay(Instant::now(), &times)?);
        thread::park_timeout(PAUSE);
    }
    drop(times);
    drop(watcher);
    delays.sort_by(f64::total_cmp);
    let worst = delays.last().copied().unwrap_or_default();
    Ok(Measured::WithWorst(delays[delays.len() / 2], worst))
}

fn delay(delivered: Instant, times: &Receiver<Instant>) -> Fallible<f64> {
    let told = times
        .recv_timeout(NOTIFICATION_LIMIT)
        .map_err(|_| "an IDLE session was not told of a delivery")?;
    Ok(told.saturating_duration_since(delivered).as_secs_f64() * 1_000.0)
}

/// Tells the time of each EXISTS, as long as anybody listens.
fn watch(imap: &mut Imap, seen: &SyncSender<Instant>) {
    for _ in 0..DELIVERIES {
        if imap.wait_for(" EXISTS").is_err() || seen.send(Instant::now()).is_err() {
            return;
        }
    }
}

/// Memory that one more idle session costs: proportional set size of all processes.
///
/// The server is started afresh, since one that was busy may serve new sessions from memory that
/// it has freed and kept; every account has logged in once before it counts.
pub(super) fn idle_memory(server: &mut Server) -> Fallible<Measured> {
    server.restart()?;
    drop(connect(ACCOUNTS, |number| {
        server.selected(&account(number), "INBOX")
    })?);
    thread::park_timeout(SETTLE);
    let before = memory(server);
    let mut sessions = connect(IDLE_SESSIONS, |number| {
        server.selected(&account(number), "INBOX")
    })?;
    for imap in &mut sessions {
        imap.send(b"IDLE")?;
        imap.wait_for("+")?;
    }
    thread::park_timeout(SETTLE);
    let after = memory(server);
    if after == 0 {
        return Ok(Measured::Unknown("no smaps_rollup".into()));
    }
    Ok(Measured::Value(
        after.saturating_sub(before) as f64 / IDLE_SESSIONS as f64,
    ))
}

fn memory(server: &Server) -> u64 {
    let processes = server.processes();
    processes.into_iter().filter_map(proportional_set).sum()
}

fn proportional_set(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Device syncs per delivered message, counted by strace.
pub(super) fn syncs(server: &Server, connections: usize) -> Fallible<Measured> {
    let scratch = Scratch::new("bench-strace")?;
    let log = scratch.0.join("calls");
    let Some(tracer) = trace(server, &log) else {
        return Ok(Measured::Unknown("strace cannot attach".into()));
    };
    let delivered = deliver_all(server, connections);
    finish(tracer)?;
    delivered?;
    let text = std::fs::read_to_string(&log).map_err(|e| e.to_string())?;
    let calls = text.lines().filter(|line| line.contains("sync(")).count();
    Ok(Measured::Value(calls as f64 / SYNCED_MESSAGES as f64))
}

fn deliver_all(server: &Server, connections: usize) -> Fallible<()> {
    let workers = connect(connections, |number| Ok((server.lmtp()?, account(number))))?;
    thread::scope(|scope| {
        let running: Vec<_> = workers
            .into_iter()
            .map(|(mut lmtp, user)| {
                scope.spawn(move || {
                    (0..SYNCED_MESSAGES / connections)
                        .try_for_each(|turn| lmtp.deliver(&user, &mail::message(turn, usize::MAX)))
                })
            })
            .collect();
        running.into_iter().try_for_each(|thread| {
            thread
                .join()
                .unwrap_or_else(|_| Err("a worker panicked".into()))
        })
    })
}

/// Starts strace on all processes of the server; nothing if it is not there or may not.
fn trace(server: &Server, log: &Path) -> Option<Child> {
    let processes = server.processes();
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-e",
        "trace=fsync,fdatasync,msync,sync_file_range",
        "-o",
    ]);
    command.arg(log).stderr(Stdio::null());
    for pid in &processes {
        command.arg("-p").arg(pid.to_string());
    }
    let mut tracer = command.spawn().ok()?;
    let begin = Instant::now();
    while !processes.iter().all(|pid| is_traced(*pid)) {
        if begin.elapsed() > ATTACH_LIMIT || !matches!(tracer.try_wait(), Ok(None)) {
            let _ = tracer.kill();
            let _ = tracer.wait();
            return None;
        }
        thread::park_timeout(PAUSE);
    }
    Some(tracer)
}

/// Whether a process is traced, or has ended meanwhile.
fn is_traced(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .map_or(true, |text| !text.contains("TracerPid:\t0\n"))
}

/// Ends strace so that it lets go of the server's processes.
fn finish(mut tracer: Child) -> Fallible<()> {
    let pid = tracer.id().to_string();
    let sent = Command::new("kill").args(["-INT", &pid]).status();
    sent.map_err(|e| format!("kill: {e}"))?;
    tracer.wait().map(drop).map_err(|e| e.to_string())
}
