//! Carrying out the work of a row against one server, once.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use super::imap::{Answer, Imap};
use super::mail;
use super::observe;
use super::push;
use super::resync;
use super::rows::Work;
use super::server::{READER, Server, account};
use crate::Fallible;

/// Messages of one MULTIAPPEND while a mailbox is filled.
const APPEND_BATCH: usize = 100;
/// Messages in the mailbox that STORE works on.
const FLAGGED_MESSAGES: usize = 200;
/// How long a server that was killed may take to accept a login.
const RECOVERY_LIMIT: Duration = Duration::from_secs(300);
/// How often a login is tried meanwhile.
const RECOVERY_STEP: Duration = Duration::from_millis(2);

/// What one measurement gave.
#[derive(Clone, Debug)]
pub(super) enum Measured {
    /// A figure, with the answer it came by.
    Query(f64, Answer),
    /// A figure.
    Value(f64),
    /// How soon sessions were told.
    Delays(push::Delays),
    /// The server does not have the command.
    NotOffered,
    /// This machine cannot measure it.
    Unknown(String),
    /// It went wrong, and the rest of the table goes on.
    Failed(String),
}

/// How much of everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) messages: usize,
    pub(super) runs: usize,
    /// How long one pass of a row of rates lasts.
    pub(super) pass: Duration,
}

/// Puts the messages into the reader's INBOX and makes the mailboxes of the other accounts.
pub(super) fn fill(server: &Server, plan: Plan) -> Fallible<()> {
    append_many(&mut server.imap(READER)?, "INBOX", plan.messages)?;
    for number in 0..super::server::ACCOUNTS {
        let mut imap = server.imap(&account(number))?;
        imap.must(b"CREATE appends")?;
        imap.must(b"CREATE flags")?;
        append_many(&mut imap, "flags", FLAGGED_MESSAGES)?;
    }
    Ok(())
}

fn append_many(imap: &mut Imap, mailbox: &str, count: usize) -> Fallible<()> {
    for first in (0..count).step_by(APPEND_BATCH) {
        let mut command = format!("APPEND {mailbox}").into_bytes();
        for number in first..count.min(first + APPEND_BATCH) {
            push_message(&mut command, &mail::message(number, count));
        }
        imap.must(&command)?;
    }
    Ok(())
}

fn push_message(command: &mut Vec<u8>, message: &[u8]) {
    let head = format!(
        " (\\Seen) \"07-Feb-2022 21:52:25 +0000\" {{{}+}}\r\n",
        message.len()
    );
    command.extend_from_slice(head.as_bytes());
    command.extend_from_slice(message);
}

/// Does a row's work once.
pub(super) fn run(work: &Work, server: &mut Server, plan: Plan) -> Fallible<Measured> {
    match work {
        Work::Query(command) => query(server, command),
        Work::Append(connections) => append(server, *connections, plan).map(Measured::Value),
        Work::Lmtp(connections) => lmtp(server, *connections, plan).map(Measured::Value),
        Work::Store(connections) => store(server, *connections, plan).map(Measured::Value),
        Work::Session => sessions(server, plan).map(Measured::Value),
        Work::Push(watch) => push::delays(server, *watch),
        Work::Resync(how) => resync::run(server, *how),
        Work::IdleMemory => observe::idle_memory(server),
        Work::Syncs(connections) => observe::syncs(server, *connections),
        Work::SelectCold => {
            server.restart()?;
            select(server)
        }
        Work::SelectWarm => select(server),
        Work::Recovery => recovery(server),
    }
}

fn query(server: &Server, command: &str) -> Fallible<Measured> {
    let mut imap = server.selected(READER, "INBOX")?;
    let begin = Instant::now();
    let answer = imap.command(command.as_bytes())?;
    let spent = milliseconds(begin);
    Ok(if answer.is_ok() {
        Measured::Query(spent, answer)
    } else {
        Measured::NotOffered
    })
}

fn select(server: &Server) -> Fallible<Measured> {
    let mut imap = server.imap(READER)?;
    let begin = Instant::now();
    imap.must(b"SELECT INBOX")?;
    Ok(Measured::Value(milliseconds(begin)))
}

fn recovery(server: &mut Server) -> Fallible<Measured> {
    server.kill()?;
    server.begin_start()?;
    let begin = Instant::now();
    while server.imap(READER).is_err() {
        if begin.elapsed() > RECOVERY_LIMIT {
            return Err("no login accepted after kill -9".into());
        }
        thread::park_timeout(RECOVERY_STEP);
    }
    let spent = milliseconds(begin);
    server.started()?;
    Ok(Measured::Value(spent))
}

pub(super) fn milliseconds(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1_000.0
}

fn append(server: &Server, connections: usize, plan: Plan) -> Fallible<f64> {
    let workers = connect(connections, |number| server.imap(&account(number)))?;
    rate(workers, plan.pass, |imap, turn| {
        let message = mail::message(turn, usize::MAX);
        let mut command = format!("APPEND appends {{{}+}}\r\n", message.len()).into_bytes();
        command.extend_from_slice(&message);
        imap.must(&command).map(drop)
    })
}

fn lmtp(server: &Server, connections: usize, plan: Plan) -> Fallible<f64> {
    let workers = connect(connections, |number| Ok((server.lmtp()?, account(number))))?;
    rate(workers, plan.pass, |(lmtp, user), turn| {
        lmtp.deliver(user, &mail::message(turn, usize::MAX))
    })
}

fn store(server: &Server, connections: usize, plan: Plan) -> Fallible<f64> {
    let workers = connect(connections, |number| {
        server.selected(&account(number), "flags")
    })?;
    rate(workers, plan.pass, |imap, turn| {
        let sign = if (turn / FLAGGED_MESSAGES).is_multiple_of(2) {
            '+'
        } else {
            '-'
        };
        let command = format!(
            "STORE {} {sign}FLAGS (\\Flagged)",
            turn % FLAGGED_MESSAGES + 1
        );
        imap.must(command.as_bytes()).map(drop)
    })
}

fn sessions(server: &Server, plan: Plan) -> Fallible<f64> {
    rate(vec![()], plan.pass, |(), _| {
        let mut imap = server.selected(READER, "INBOX")?;
        imap.must(b"LOGOUT").map(drop)
    })
}

pub(super) fn connect<W>(
    connections: usize,
    make: impl Fn(usize) -> Fallible<W>,
) -> Fallible<Vec<W>> {
    (0..connections).map(make).collect()
}

/// Lets every worker take one step after another for `pass`; the steps per second of all together.
fn rate<W: Send>(
    workers: Vec<W>,
    pass: Duration,
    step: impl Fn(&mut W, usize) -> Fallible<()> + Sync,
) -> Fallible<f64> {
    let gate = Barrier::new(workers.len());
    let (gate, step) = (&gate, &step);
    let begin = Instant::now();
    let counts: Vec<Fallible<usize>> = thread::scope(|scope| {
        let running: Vec<_> = workers
            .into_iter()
            .map(|mut worker| {
                scope.spawn(move || {
                    gate.wait();
                    let mut turns = 0;
                    while begin.elapsed() < pass {
                        step(&mut worker, turns)?;
                        turns += 1;
                    }
                    Ok(turns)
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a worker panicked".into()))
            })
            .collect()
    });
    let spent = begin.elapsed().as_secs_f64();
    let total: usize = counts.into_iter().sum::<Fallible<usize>>()?;
    Ok(total as f64 / spent)
}
