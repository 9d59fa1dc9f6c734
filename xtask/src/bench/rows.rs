//! The rows of the table: what is measured, how servers are compared by it, and what it must reach.

use super::mail::{RARE_WORD, SUBJECT_WORD};
use super::push::{By, Place, Watch};
use super::resync::How;

/// What the figure of a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Milliseconds,
    PerSecond,
    Kibibytes,
    Count,
}

impl Unit {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::PerSecond => "/s",
            Self::Kibibytes => "KiB",
            Self::Count => "",
        }
    }
}

/// How often a row is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    /// The first time stands by itself, then the median of the others.
    FirstThenWarm,
    /// The median of all.
    Repeated,
    /// Once.
    Once,
}

/// What must be equal in both servers' answers before a ratio is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// The count of messages: servers may write the same value in different bytes.
    Messages,
    /// Messages and the bytes of all literals.
    MessagesAndLiterals,
    /// How many numbers came, in which order.
    Numbers,
    /// The count of messages; the bytes of the whole answer are shown beside the time.
    News,
    /// There is no answer to compare.
    Nothing,
}

/// What is done and timed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// One command on the large mailbox.
    Query(String),
    /// APPEND by so many connections, each to its own account.
    Append(usize),
    /// LMTP by so many connections, each to its own account.
    Lmtp(usize),
    /// STORE by so many connections, each in its own account.
    Store(usize),
    /// Connect, LOGIN, SELECT, LOGOUT.
    Session,
    /// From a delivery to the line of those who watch.
    Push(Watch),
    /// A client comes back to the large mailbox after 100 changes.
    Resync(How),
    /// Memory that one idle session adds.
    IdleMemory,
    /// Device syncs per message delivered over so many connections.
    Syncs(usize),
    /// SELECT right after a start.
    SelectCold,
    /// SELECT in a server that has it in memory.
    SelectWarm,
    /// From start to the first accepted LOGIN, after kill -9.
    Recovery,
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) unit: Unit,
    pub(super) passes: Passes,
    pub(super) same: Same,
    pub(super) work: Work,
    /// What relate-imap must reach against Dovecot in the same run.
    pub(super) goal: &'static str,
}

/// A table of docs/benchmarks.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// Reading, searching, writing, serving.
    Mail,
    /// Being told, and coming back.
    Sync,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Mail, Self::Sync];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Sync => "sync",
        }
    }

    /// Its rows, for a mailbox of `messages`.
    pub(super) fn rows(self, messages: usize) -> Vec<Row> {
        match self {
            Self::Mail => [reading(messages), searching(), writing(), serving(messages)].concat(),
            Self::Sync => [pushing(), returning(messages)].concat(),
        }
    }
}

fn query(command: &str, same: Same, goal: &'static str) -> Row {
    Row {
        label: command.to_owned(),
        unit: Unit::Milliseconds,
        passes: Passes::FirstThenWarm,
        same,
        work: Work::Query(command.to_owned()),
        goal,
    }
}

fn reading(messages: usize) -> Vec<Row> {
    let some = messages.div_ceil(5);
    vec![
        query("FETCH 1:* (FLAGS)", Same::Messages, "3 times faster"),
        query(
            "FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)",
            Same::Messages,
            "5 times (first 10)",
        ),
        query(
            &format!("FETCH 1:{some} (BODY.PEEK[])"),
            Same::MessagesAndLiterals,
            "1.5 times",
        ),
        query(
            "FETCH 1:* (BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)])",
            Same::MessagesAndLiterals,
            "2 times",
        ),
    ]
}

fn searching() -> Vec<Row> {
    vec![
        query(
            &format!("SEARCH SUBJECT {SUBJECT_WORD}"),
            Same::Numbers,
            "20 times",
        ),
        query(
            &format!("SEARCH TEXT {RARE_WORD}"),
            Same::Numbers,
            "100 times",
        ),
        query(
            "SORT (SUBJECT) UTF-8 ALL",
            Same::Numbers,
            "3 times (first 10)",
        ),
        query(
            "THREAD REFERENCES UTF-8 ALL",
            Same::Numbers,
            "5 times (first 20)",
        ),
    ]
}

fn rate(label: &str, work: Work, goal: &'static str) -> Row {
    Row {
        label: label.to_owned(),
        unit: Unit::PerSecond,
        passes: Passes::Repeated,
        same: Same::Nothing,
        work,
        goal,
    }
}

fn writing() -> Vec<Row> {
    vec![
        rate("APPEND durable, 1 connection", Work::Append(1), "2 times"),
        rate(
            "APPEND durable, 32 connections",
            Work::Append(32),
            "5 times",
        ),
        rate("LMTP durable, 1 connection", Work::Lmtp(1), "3 times"),
        rate("LMTP durable, 32 connections", Work::Lmtp(32), "10 times"),
        rate(
            "STORE one flag, 1 connection",
            Work::Store(1),
            "half, synced",
        ),
        rate(
            "STORE one flag, 16 connections",
            Work::Store(16),
            "equal, synced",
        ),
    ]
}

fn other(label: &str, unit: Unit, passes: Passes, work: Work, goal: &'static str) -> Row {
    Row {
        label: label.to_owned(),
        unit,
        passes,
        same: Same::Nothing,
        work,
        goal,
    }
}

fn serving(messages: usize) -> Vec<Row> {
    use Passes::{Once, Repeated};
    use Unit::{Count, Kibibytes, Milliseconds};
    vec![
        rate("LOGIN + SELECT + LOGOUT", Work::Session, "3 times"),
        other(
            "memory per idle session, plain",
            Kibibytes,
            Once,
            Work::IdleMemory,
            "16 KiB",
        ),
        other(
            "device syncs per LMTP message, 1 connection",
            Count,
            Once,
            Work::Syncs(1),
            "1 or less",
        ),
        other(
            "device syncs per LMTP message, 32 connections",
            Count,
            Once,
            Work::Syncs(32),
            "1 or less (shared)",
        ),
        other(
            &format!("SELECT of {messages} messages, server just started"),
            Milliseconds,
            Repeated,
            Work::SelectCold,
            "1 s of 1,000,000",
        ),
        other(
            &format!("SELECT of {messages} messages, warm"),
            Milliseconds,
            Repeated,
            Work::SelectWarm,
            "10 ms of 1,000,000",
        ),
        other(
            &format!("accepting logins after kill -9, {messages} messages"),
            Milliseconds,
            Repeated,
            Work::Recovery,
            "2 s of 1,000,000",
        ),
    ]
}

fn push(sessions: usize, by: By, place: Place, goal: &'static str) -> Row {
    let line = match by {
        By::Idle => "IDLE",
        By::Notify => "NOTIFY",
    };
    let who = match (sessions, place) {
        (1, _) => "1 session".to_owned(),
        (_, Place::One) => format!("{sessions} sessions on one mailbox"),
        (_, Place::Different) => format!("{sessions} sessions on as many mailboxes"),
    };
    let watch = Watch {
        sessions,
        by,
        place,
    };
    other(
        &format!("delivery to {line}, {who}: p50 / p99"),
        Unit::Milliseconds,
        Passes::Once,
        Work::Push(watch),
        goal,
    )
}

fn pushing() -> Vec<Row> {
    let rows = |by| {
        [
            push(1, by, Place::One, "p99 5 ms"),
            push(20, by, Place::One, ""),
            push(1_000, by, Place::One, "p99 100 ms"),
            push(1_000, by, Place::Different, "p99 100 ms"),
        ]
    };
    [By::Idle, By::Notify].into_iter().flat_map(rows).collect()
}

fn returning(messages: usize) -> Vec<Row> {
    let rows = [
        ("SELECT (QRESYNC)", How::QResync, "5 ms"),
        (
            "SELECT (QRESYNC), server just started",
            How::QResyncCold,
            "",
        ),
        (
            "connect, LOGIN, ENABLE, SELECT (QRESYNC)",
            How::QResyncFromConnect,
            "",
        ),
        ("SELECT (CONDSTORE), FETCH CHANGEDSINCE", How::CondStore, ""),
        (
            "SELECT (CONDSTORE), FETCH CHANGEDSINCE, SEARCH ALL",
            How::CondStoreAndSearch,
            "",
        ),
        ("SELECT, FETCH 1:* (FLAGS)", How::AllFlags, ""),
    ];
    rows.map(|(what, how, goal)| Row {
        label: format!("back to {messages} messages after 100 changes: {what}"),
        unit: Unit::Milliseconds,
        passes: match how {
            How::QResyncCold => Passes::Repeated,
            _ => Passes::FirstThenWarm,
        },
        same: Same::News,
        work: Work::Resync(how),
        goal,
    })
    .into()
}
