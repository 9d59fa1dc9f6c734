//! What is read off the machine rather than timed: memory and device syncs.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::mail;
use super::server::{ACCOUNTS, Scratch, Server, account};
use super::work::{Measured, connect};
use crate::Fallible;

const IDLE_SESSIONS: usize = 200;
const SYNCED_MESSAGES: usize = 128;
/// Between two looks at whether strace has attached.
const PAUSE: Duration = Duration::from_millis(30);
const SETTLE: Duration = Duration::from_millis(1_000);
const ATTACH_LIMIT: Duration = Duration::from_secs(20);

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
