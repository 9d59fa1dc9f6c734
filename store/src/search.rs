//! Which messages satisfy a predicate (RFC 9051 §6.4.4).
//!
//! What the rows say is decided first; only messages that are still undecided after that are
//! read, cheapest text first. Texts are compared as exact substrings after `i;unicode-casemap`
//! (RFC 5051), decoded. Not here: an index of words.

mod text;
mod turns;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use mail::{
    date::{Date, DateTime},
    flag::{Keyword, SystemFlags},
    id::{BodyId, ModSeq, ThreadId, Uid},
    predicate::{Age, DateField, DateRelation, Predicate, TextField},
    set::UidSet,
};

pub(crate) use self::turns::{Pace, Turns};

use self::text::{Message, Needle};
use crate::{
    contract::Static,
    error::Result,
    state::{MailboxState, Row},
};

/// Messages whose static data is read at once.
const BATCH_MESSAGES: usize = 256;

/// Where the texts of messages come from.
pub(crate) trait Source {
    /// What never changes of the first of these messages, in their order, and of one at least.
    fn fixed(&self, bodies: &[BodyId]) -> Result<Vec<Arc<Static>>>;
    /// Bytes of a message: fewer only at its end.
    fn read(&self, body: BodyId, offset: u64, len: usize) -> Result<Bytes>;
}

/// The messages of `state` that satisfy `predicate` at `now_secs` (seconds since 1970); tells how many
/// were looked at so far, and stops early, with what it has, once nobody waits any more.
pub(crate) fn search(
    state: &MailboxState,
    predicate: &Predicate<UidSet>,
    (now_secs, looked_at): (i64, &AtomicU32),
    (source, pace): (&dyn Source, &Pace<'_>),
) -> Result<UidSet> {
    let test = Test::new(predicate, now_secs);
    let (mut found, mut read) = (UidSet::new(), UidSet::new());
    // Never more than a batch: a mailbox may have a million messages that have to be read.
    let mut undecided = Vec::with_capacity(BATCH_MESSAGES);
    for (at, (uid, row)) in state.rows().enumerate() {
        if at % BATCH_MESSAGES == 0 {
            looked_at.store(u32::try_from(at).unwrap_or(u32::MAX), Ordering::Relaxed);
            if pace.is_over() {
                return Ok(found);
            }
        }
        match test.by_row(state, uid, row) {
            Some(true) => found.insert(uid),
            Some(false) => {}
            None => undecided.push((uid, *row)),
        }
        if undecided.len() == BATCH_MESSAGES {
            test.read(state, &undecided, (source, pace), &mut read)?;
            undecided.clear();
        }
    }
    test.read(state, &undecided, (source, pace), &mut read)?;
    Ok(found.union(&read))
}

impl Test {
    /// Reads messages that their rows do not decide, and adds those that satisfy the test.
    fn read(
        &self,
        state: &MailboxState,
        batch: &[(Uid, Row)],
        (source, pace): (&dyn Source, &Pace<'_>),
        read: &mut UidSet,
    ) -> Result<()> {
        let bodies: Vec<BodyId> = batch.iter().map(|(_, row)| row.body).collect();
        let mut batch = batch.iter();
        let mut left = &bodies[..];
        while !left.is_empty() {
            let some = source.fixed(left)?;
            left = left.get(some.len().max(1)..).unwrap_or_default();
            for ((uid, row), fixed) in batch.by_ref().take(some.len()).zip(some) {
                let mut message = Message::new(row.body, fixed, source, pace);
                if message.is_over() {
                    return Ok(());
                }
                if self.by_text(state, (*uid, row), &mut message)? {
                    read.insert(*uid);
                }
            }
        }
        Ok(())
    }
}

/// A predicate prepared for many messages: cheap tests first, texts in the form in which they are
/// compared.
enum Test {
    Constant(bool),
    And(Vec<Self>),
    Or(Vec<Self>),
    Not(Box<Self>),
    Row(RowTest),
    Sent(DateRelation, Date),
    Header(Box<str>, Needle),
    Body(Needle),
    Text(Needle),
}

/// What a row alone decides.
enum RowTest {
    Messages(UidSet),
    Flags(SystemFlags),
    Keyword(Keyword),
    Larger(u64),
    Smaller(u64),
    Internal(DateRelation, Date),
    Saved(DateRelation, Date),
    ModSeq(ModSeq),
    Email(BodyId),
    Thread(ThreadId),
    /// INTERNALDATE as seconds since 1970.
    Age(Age, i64),
}

impl Test {
    /// The depth of a predicate is bounded by the parser that made it, and so is this recursion.
    fn new(predicate: &Predicate<UidSet>, now_secs: i64) -> Self {
        match predicate {
            Predicate::All => Self::Constant(true),
            Predicate::Recent => Self::Constant(false),
            Predicate::And(all) => Self::And(sorted(all.iter(), now_secs)),
            Predicate::Or(two) => Self::Or(sorted([&two.0, &two.1].into_iter(), now_secs)),
            Predicate::Not(one) => Self::Not(Box::new(Self::new(one, now_secs))),
            Predicate::Messages(uids) => Self::Row(RowTest::Messages(uids.clone())),
            Predicate::Flags(flags) => Self::Row(RowTest::Flags(*flags)),
            Predicate::Keyword(keyword) => Self::Row(RowTest::Keyword(keyword.clone())),
            Predicate::Larger(bytes) => Self::Row(RowTest::Larger(*bytes)),
            Predicate::Smaller(bytes) => Self::Row(RowTest::Smaller(*bytes)),
            Predicate::ModSeq(mod_seq) => Self::Row(RowTest::ModSeq(*mod_seq)),
            Predicate::Email(id) => Self::Row(RowTest::Email(*id)),
            Predicate::Thread(id) => Self::Row(RowTest::Thread(*id)),
            Predicate::Age(age, secs) => {
                Self::Row(RowTest::Age(*age, now_secs.saturating_sub((*secs).into())))
            }
            Predicate::Date(DateField::Internal, relation, date) => {
                Self::Row(RowTest::Internal(*relation, *date))
            }
            Predicate::Date(DateField::Saved, relation, date) => {
                Self::Row(RowTest::Saved(*relation, *date))
            }
            Predicate::Date(DateField::Sent, relation, date) => Self::Sent(*relation, *date),
            Predicate::Text(TextField::Header(name), text) => {
                Self::Header(name.to_ascii_lowercase().into(), Needle::new(text))
            }
            // Every text holds the empty one.
            Predicate::Text(_, text) if text.is_empty() => Self::Constant(true),
            Predicate::Text(TextField::Body, text) => Self::Body(Needle::new(text)),
            Predicate::Text(TextField::Text, text) => Self::Text(Needle::new(text)),
        }
    }

    /// How dear the dearest part is: a row, static data, a header, a body.
    fn cost(&self) -> u8 {
        match self {
            Self::Constant(_) | Self::Row(_) => 0,
            Self::Sent(..) => 1,
            Self::Header(..) => 2,
            Self::Body(_) | Self::Text(_) => 3,
            Self::Not(one) => one.cost(),
            Self::And(all) | Self::Or(all) => all.iter().map(Self::cost).max().unwrap_or(0),
        }
    }

    /// What the row decides; `None` if it does not.
    fn by_row(&self, state: &MailboxState, uid: Uid, row: &Row) -> Option<bool> {
        match self {
            Self::Constant(value) => Some(*value),
            Self::Row(test) => Some(test.holds(state, uid, row)),
            Self::Not(one) => one.by_row(state, uid, row).map(|value| !value),
            Self::And(all) => decide(all.iter().map(|t| t.by_row(state, uid, row)), false),
            Self::Or(all) => decide(all.iter().map(|t| t.by_row(state, uid, row)), true),
            Self::Sent(..) | Self::Header(..) | Self::Body(_) | Self::Text(_) => None,
        }
    }

    fn by_text(
        &self,
        state: &MailboxState,
        (uid, row): (Uid, &Row),
        message: &mut Message<'_>,
    ) -> Result<bool> {
        // What is found for a search that is given up is told to nobody.
        if message.is_over() {
            return Ok(false);
        }
        Ok(match self {
            Self::Constant(value) => *value,
            Self::Row(test) => test.holds(state, uid, row),
            Self::Not(one) => !one.by_text(state, (uid, row), message)?,
            Self::And(all) => {
                for test in all {
                    if !test.by_text(state, (uid, row), message)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Or(all) => {
                for test in all {
                    if test.by_text(state, (uid, row), message)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Sent(relation, date) => {
                let sent = message.fixed.sent;
                sent.is_some_and(|sent| relation.holds(sent.date(), *date))
            }
            Self::Header(name, needle) => message.header_holds(name, needle)?,
            Self::Body(needle) => message.body_holds(needle)?,
            Self::Text(needle) => message.text_holds(needle)?,
        })
    }
}

/// `decisive` if any part is; the opposite if all are that; else nothing yet.
fn decide(parts: impl Iterator<Item = Option<bool>>, decisive: bool) -> Option<bool> {
    let mut all_known = true;
    for part in parts {
        match part {
            Some(value) if value == decisive => return Some(decisive),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!decisive)
}

fn sorted<'a>(predicates: impl Iterator<Item = &'a Predicate<UidSet>>, now_secs: i64) -> Vec<Test> {
    let mut tests: Vec<Test> = predicates.map(|p| Test::new(p, now_secs)).collect();
    tests.sort_by_key(Test::cost);
    tests
}

impl RowTest {
    fn holds(&self, state: &MailboxState, uid: Uid, row: &Row) -> bool {
        match self {
            Self::Messages(uids) => uids.contains(uid),
            Self::Flags(flags) => row.system.contains(*flags),
            Self::Keyword(keyword) => state.keywords.set(row.keywords).contains(keyword),
            Self::Larger(bytes) => u64::from(row.size) > *bytes,
            Self::Smaller(bytes) => u64::from(row.size) < *bytes,
            Self::Internal(relation, date) => relation.holds(row.internal_date.date(), *date),
            Self::Saved(relation, date) => {
                let saved = DateTime {
                    secs: row.saved_secs,
                    offset_minutes: 0,
                };
                relation.holds(saved.date(), *date)
            }
            Self::ModSeq(mod_seq) => row.mod_seq >= *mod_seq,
            Self::Email(id) => row.body == *id,
            Self::Thread(id) => row.thread == *id,
            Self::Age(Age::Older, secs) => row.internal_date.secs <= *secs,
            Self::Age(Age::Younger, secs) => row.internal_date.secs >= *secs,
        }
    }
}
