//! A client comes back to a large mailbox of which it knows what was 100 changes ago: what it costs
//! by QRESYNC (RFC 7162 §3.2.5), by CONDSTORE (§3.1.4.1) and by asking for all flags.
//!
//! The changes are made once for each server, before the first row that needs them: 80 messages
//! get a flag, 10 are expunged and 10 are new, so that the mailbox keeps its size.

use std::time::Instant;

use super::imap::{Answer, Imap};
use super::mail;
use super::server::{READER, Server};
use super::work::{Measured, milliseconds};
use crate::Fallible;

/// Messages whose flags changed.
const FLAGGED: usize = 80;
/// Messages that are gone, and as many that are new.
const REPLACED: usize = 10;

/// How a client comes up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// SELECT with QRESYNC.
    QResync,
    /// The same, with connecting, LOGIN and ENABLE.
    QResyncFromConnect,
    /// The same as `QResync` in a server that has just started.
    QResyncCold,
    /// SELECT, and FETCH of the flags that changed since; what is gone it does not learn.
    CondStore,
    /// The same, and SEARCH for what is still there.
    CondStoreAndSearch,
    /// SELECT and FETCH of all flags.
    AllFlags,
}

/// What the client knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Known {
    uid_validity: u64,
    mod_seq: u64,
}

impl How {
    /// What is said before the time counts.
    fn before(self) -> &'static [&'static str] {
        match self {
            Self::QResync | Self::QResyncCold => &["ENABLE QRESYNC"],
            _ => &[],
        }
    }

    /// What is timed.
    fn commands(self, known: Known) -> Vec<String> {
        let Known {
            uid_validity,
            mod_seq,
        } = known;
        let select = |parameter: &str| format!("SELECT INBOX{parameter}");
        let resync = select(&format!(" (QRESYNC ({uid_validity} {mod_seq}))"));
        let changed = || format!("UID FETCH 1:* (FLAGS) (CHANGEDSINCE {mod_seq})");
        match self {
            Self::QResync | Self::QResyncCold => vec![resync],
            Self::QResyncFromConnect => vec!["ENABLE QRESYNC".into(), resync],
            Self::CondStore => vec![select(" (CONDSTORE)"), changed()],
            Self::CondStoreAndSearch => {
                vec![select(" (CONDSTORE)"), changed(), "UID SEARCH ALL".into()]
            }
            Self::AllFlags => vec![select(""), "UID FETCH 1:* (FLAGS)".into()],
        }
    }
}

/// Comes back once.
pub(super) fn run(server: &mut Server, how: How) -> Fallible<Measured> {
    let known = match server.known {
        Some(known) => known,
        None => *server.known.insert(change(&mut server.imap(READER)?)?),
    };
    if how == How::QResyncCold {
        server.restart()?;
    }
    let connecting = Instant::now();
    let mut imap = server.imap(READER)?;
    for command in how.before() {
        imap.must(command.as_bytes())?;
    }
    let begin = match how {
        How::QResyncFromConnect => connecting,
        _ => Instant::now(),
    };
    let mut whole = Answer::default();
    for command in how.commands(known) {
        let answer = imap.must(command.as_bytes())?;
        whole.messages += answer.messages;
        whole.numbers += answer.numbers;
        whole.bytes += answer.bytes;
    }
    Ok(Measured::Query(milliseconds(begin), whole))
}

/// Makes the changes; what was known before them.
fn change(imap: &mut Imap) -> Fallible<Known> {
    let mut known = Known::default();
    imap.must(b"ENABLE CONDSTORE")?;
    imap.send(b"SELECT INBOX (CONDSTORE)")?;
    let mut exists = 0;
    let selected = imap.answer_seen(|line| {
        let line = String::from_utf8_lossy(line);
        let after = |word: &str| number(line.split_once(word)?.1);
        known.uid_validity = after("[UIDVALIDITY ").unwrap_or(known.uid_validity);
        known.mod_seq = after("[HIGHESTMODSEQ ").unwrap_or(known.mod_seq);
        if line.trim_end().ends_with(" EXISTS") {
            exists = after("* ").unwrap_or_default();
        }
    })?;
    if !selected.is_ok() || known.uid_validity == 0 || known.mod_seq == 0 {
        return Err(format!(
            "SELECT (CONDSTORE) told {known:?}: {}",
            selected.status
        ));
    }
    for turn in 0..FLAGGED {
        let seq = spread(exists, turn, FLAGGED);
        imap.must(format!("STORE {seq} +FLAGS.SILENT (\\Flagged)").as_bytes())?;
    }
    for turn in 0..REPLACED {
        // Halfway between those that were flagged.
        let seq = spread(exists, 8 * turn, FLAGGED) + exists / (2 * FLAGGED as u64);
        imap.must(format!("STORE {seq} +FLAGS.SILENT (\\Deleted)").as_bytes())?;
    }
    imap.must(b"EXPUNGE")?;
    for turn in 0..REPLACED {
        let message = mail::message(turn, usize::MAX);
        let mut append = format!("APPEND INBOX {{{}+}}\r\n", message.len()).into_bytes();
        append.extend_from_slice(&message);
        imap.must(&append)?;
    }
    Ok(known)
}

/// The sequence number of one of `of` messages that stand equally far apart.
fn spread(exists: u64, turn: usize, of: usize) -> u64 {
    exists * turn as u64 / of as u64 + 1
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_messages_change() {
        let exists = 100_000;
        let mut changed: Vec<u64> = (0..FLAGGED)
            .map(|turn| spread(exists, turn, FLAGGED))
            .collect();
        changed.extend((0..REPLACED).map(|turn| spread(exists, 8 * turn, FLAGGED) + exists / 160));
        changed.sort_unstable();
        changed.dedup();
        assert_eq!(changed.len() + REPLACED, 100);
        assert!(changed.last() <= Some(&exists));
    }

    #[test]
    fn what_is_asked_names_what_is_known() {
        let known = Known {
            uid_validity: 7,
            mod_seq: 9,
        };
        assert_eq!(
            How::QResync.commands(known),
            ["SELECT INBOX (QRESYNC (7 9))"]
        );
        assert_eq!(number("12] x"), Some(12));
        assert_eq!(number("x"), None);
    }
}
