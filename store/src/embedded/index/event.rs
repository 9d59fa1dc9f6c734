//! What the index is told.

use std::sync::Arc;

use mail::id::BodyId;

use super::Highest;
use crate::embedded::{
    body::Place,
    frame::Lsn,
    record::{Counters, Record},
    segment::Position,
};

/// A thing that became durable in the log, for the index.
#[derive(Debug)]
pub(crate) enum Event {
    /// A transaction.
    Applied(Box<Applied>),
    /// The first frame of a body whose transaction is still to come.
    BodyBegun(BodyId, Position, Lsn),
    /// Of these bodies no transaction will come.
    BodiesDropped(Vec<BodyId>),
}

/// A durable transaction.
#[derive(Debug)]
pub(crate) struct Applied {
    /// Its last frame's number.
    pub(crate) lsn: Lsn,
    /// Where its last frame ends.
    pub(crate) end: Position,
    /// When, seconds since 1970.
    pub(crate) time_secs: i64,
    /// What is true since.
    pub(crate) records: Vec<Record>,
    /// Where the bodies are that it stored.
    pub(crate) bodies: Vec<(BodyId, Arc<Place>)>,
    /// What it counts against the lag: without bodies, bytes.
    pub(crate) lag_bytes: u64,
    /// What it takes in the log, bytes.
    pub(crate) log_bytes: u64,
}

impl Event {
    /// The transaction, if it is one.
    pub(crate) fn applied(&self) -> Option<&Applied> {
        match self {
            Self::Applied(applied) => Some(applied),
            _ => None,
        }
    }
}

fn raise(n: &mut u64, to: u64) {
    *n = (*n).max(to);
}

/// Lifts the highest numbers by what a record names.
pub(crate) fn lift(highest: &mut Highest, record: &Record) {
    match record {
        Record::Account(info) => raise(&mut highest.account, info.id.get()),
        Record::Mailbox(mailbox) => {
            raise(&mut highest.mailbox, mailbox.id.get());
            highest.uid_validity = highest.uid_validity.max(mailbox.uid_validity.get());
        }
        Record::Body(body) => raise(&mut highest.body, body.id.get()),
        Record::Counters(Counters::Store {
            account,
            mailbox,
            body,
            uid_validity,
        }) => {
            raise(&mut highest.account, *account);
            raise(&mut highest.mailbox, *mailbox);
            raise(&mut highest.body, *body);
            highest.uid_validity = highest.uid_validity.max(*uid_validity);
        }
        _ => {}
    }
}
