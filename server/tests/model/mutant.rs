//! Faults between server and checker: each is a server that breaks a rule, and must be noticed.

use bytes::BytesMut;

use crate::chance::Chance;

/// A fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// A response of this name is not sent.
    Drops(&'static str),
    /// It is sent twice.
    Doubles(&'static str),
    /// The first number in it is one more.
    Counts(&'static str),
    /// A flag is called by the name of another.
    Flags,
    /// The tagged answer is NO.
    Refuses,
    /// An EXPUNGE comes before every response of this name.
    Expunges(&'static str),
    /// The number behind this word is one more.
    Adds(&'static str),
    /// This word and the value behind it are left out.
    Lacks(&'static str),
    /// The last digit of the tagged answer's code is another.
    Codes(&'static str),
    /// These words are said as others.
    Says(&'static str, &'static str),
    /// A response of this name names only the first of its UIDs.
    Cuts(&'static str),
    /// A response of this name is not sent where no command runs.
    Silences(&'static str),
    /// A response with these words is not sent.
    Misses(&'static str),
    /// It comes after the next response.
    Delays(&'static str),
}

/// Every fault that is tried.
pub(crate) const FAULTS: &[Fault] = &[
    Fault::Drops("EXISTS"),
    Fault::Drops("EXPUNGE"),
    Fault::Drops("FETCH"),
    Fault::Drops("FLAGS"),
    Fault::Drops("CLOSED"),
    Fault::Drops("COPYUID"),
    Fault::Drops("LIST"),
    Fault::Drops("STATUS"),
    Fault::Drops("SEARCH"),
    Fault::Drops("ESEARCH"),
    Fault::Drops("ENABLED"),
    Fault::Doubles("EXPUNGE"),
    Fault::Doubles("LIST"),
    Fault::Counts("EXISTS"),
    Fault::Counts("EXPUNGE"),
    Fault::Counts("FETCH"),
    Fault::Counts("RECENT"),
    Fault::Counts("STATUS"),
    Fault::Counts("SEARCH"),
    Fault::Counts("UIDNEXT"),
    Fault::Counts("UIDVALIDITY"),
    Fault::Counts("UNSEEN"),
    Fault::Flags,
    Fault::Refuses,
    Fault::Expunges("FETCH"),
    Fault::Expunges("SEARCH"),
    Fault::Codes("APPENDUID"),
    Fault::Codes("COPYUID"),
    Fault::Codes("MODIFIED"),
    Fault::Drops("HIGHESTMODSEQ"),
    Fault::Adds("HIGHESTMODSEQ"),
    Fault::Adds("MODSEQ"),
    Fault::Lacks("MODSEQ"),
    Fault::Drops("VANISHED"),
    Fault::Doubles("VANISHED"),
    Fault::Counts("VANISHED"),
    Fault::Cuts("VANISHED"),
    Fault::Delays("VANISHED"),
    Fault::Silences("STATUS"),
    Fault::Silences("LIST"),
    Fault::Silences("FETCH"),
    Fault::Silences("EXISTS"),
    Fault::Says("NO [BADEVENT", "NO [X"),
    Fault::Misses("VANISHED (EARLIER)"),
    Fault::Misses("* OK [APPENDUID"),
    Fault::Misses("* OK [MAILBOXID"),
    Fault::Says("MAILBOXID (", "MAILBOXID (x"),
    Fault::Says("EMAILID (", "EMAILID (x"),
    Fault::Says("THREADID (", "THREADID (x"),
    Fault::Adds("SAVEDATE"),
    Fault::Adds("PARTIAL"),
    Fault::Counts("UIDBATCHES"),
    Fault::Drops("QUOTA"),
    Fault::Adds("MESSAGE"),
    Fault::Adds("MAILBOX"),
    Fault::Says("NO [OVERQUOTA]", "NO"),
    Fault::Says("VANISHED (EARLIER)", "VANISHED"),
    Fault::Says("* VANISHED ", "* VANISHED (EARLIER) "),
    Fault::Says(" UIDFETCH ", " FETCH "),
    Fault::Says("BAD [UIDREQUIRED] ", "BAD "),
    Fault::Says("OK [HIGHESTMODSEQ", "OK [X"),
    Fault::Says(
        "OK The mailbox is closed",
        "OK [HIGHESTMODSEQ 1] The mailbox is closed",
    ),
];

/// Whether a command runs that a response may answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Asked {
    Yes,
    No,
}

/// A server with a fault, which shows now and then.
#[derive(Clone, Debug)]
pub(crate) struct Mutant {
    fault: Fault,
    percent: u32,
    chance: Chance,
    /// What waits for the next response.
    held: Option<BytesMut>,
}

impl Mutant {
    /// One whose fault shows so many times of a hundred.
    pub(crate) fn new((fault, percent): (Fault, u32)) -> Self {
        Self {
            fault,
            percent,
            chance: Chance::new(7),
            held: None,
        }
    }

    /// What becomes of a response.
    pub(crate) fn filter(&mut self, response: BytesMut, asked: Asked) -> Vec<BytesMut> {
        if let Some(held) = self.held.take() {
            return vec![response, held];
        }
        if !self.chance.percent(self.percent) {
            return vec![response];
        }
        let Ok(text) = str::from_utf8(&response).map(str::to_owned) else {
            return vec![response];
        };
        let is_untagged = text.starts_with("* ");
        let is = |name: &str| is_untagged && is_called(&text, name);
        let one = |text: String| vec![BytesMut::from(text.as_bytes())];
        match self.fault {
            Fault::Drops(name) if is(name) => Vec::new(),
            Fault::Doubles(name) if is(name) => vec![response.clone(), response],
            Fault::Counts(name) if is(name) => one(counted(&text)),
            Fault::Adds(word) => match behind(&text, word) {
                Some(at) => one(format!("{}{}", &text[..at], counted(&text[at..]))),
                None => vec![response],
            },
            Fault::Lacks(word) => match behind(&text, word) {
                Some(at) => one(without(&text, (at - word.len(), at))),
                None => vec![response],
            },
            Fault::Flags if is("FETCH") => one(text.replacen("\\Seen", "\\Draft", 1)),
            Fault::Refuses if !is_untagged => one(text.replacen(" OK ", " NO ", 1)),
            Fault::Expunges(name) if is(name) => vec![BytesMut::from("* 1 EXPUNGE"), response],
            Fault::Says(words, others) if text.contains(words) => {
                one(text.replacen(words, others, 1))
            }
            Fault::Silences(name) if is(name) && asked == Asked::No => Vec::new(),
            Fault::Misses(words) if text.contains(words) => Vec::new(),
            Fault::Cuts(name) if is(name) => one(first_of(&text).to_owned()),
            Fault::Delays(name) if is(name) => {
                self.held = Some(response);
                Vec::new()
            }
            Fault::Codes(code) if !is_untagged && text.contains(code) => one(coded(&text)),
            _ => vec![response],
        }
    }
}

/// `* NAME …`, `* n NAME …` or `* OK [NAME …`.
fn is_called(text: &str, name: &str) -> bool {
    let mut words = text.split([' ', '[', ']']).filter(|word| !word.is_empty());
    words.nth(1) == Some(name) || {
        let first = text.split(' ').nth(1);
        let is_prefix = first.is_some_and(|f| f == "OK" || f.parse::<u32>().is_ok());
        is_prefix && text.split([' ', '[', ']']).filter(|w| !w.is_empty()).nth(2) == Some(name)
    }
}

/// Where a word ends.
fn behind(text: &str, word: &str) -> Option<usize> {
    let is_end = |c: char| !c.is_ascii_alphanumeric();
    let mut found = text.match_indices(word);
    let (at, _) = found.find(|(at, _)| text[..*at].ends_with(is_end))?;
    Some(at + word.len())
}

/// A text without a word, the value in parentheses behind it and the space between it and what
/// else there is.
fn without(text: &str, (from, to): (usize, usize)) -> String {
    let end = text[to..].find(')').map_or(text.len(), |end| to + end + 1);
    let (before, after) = (&text[..from], &text[end..]);
    match before.strip_suffix(' ') {
        Some(before) => format!("{before}{after}"),
        None => format!("{before}{}", after.trim_start_matches(' ')),
    }
}

/// Up to the first of several numbers.
fn first_of(text: &str) -> &str {
    let end = text.find([',', ':']);
    end.map_or(text, |end| &text[..end])
}

/// The first number, one more.
fn counted(text: &str) -> String {
    let Some(at) = text.find(|c: char| c.is_ascii_digit()) else {
        return text.to_owned();
    };
    let rest = &text[at..];
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let number: u64 = rest[..end].parse().unwrap_or(0);
    format!("{}{}{}", &text[..at], number + 1, &rest[end..])
}

/// The code's last digit is another.
fn coded(text: &str) -> String {
    let (code, after) = text.split_once(']').unwrap_or((text, ""));
    let mut code = code.to_owned();
    let last = code.pop().and_then(|c| c.to_digit(10)).unwrap_or(0);
    format!("{code}{}]{after}", (last + 1) % 10)
}
