//! What the checker's clients say and what is made of it: flags, names, messages, dates.

/// Flags by their bit, in lower case: the system's, then keywords.
pub(crate) const FLAGS: [&str; 9] = [
    "\\seen",
    "\\answered",
    "\\flagged",
    "\\deleted",
    "\\draft",
    "$forwarded",
    "$junk",
    "work",
    "to.do",
];
/// How many of them are system flags.
pub(crate) const SYSTEM_FLAGS: usize = 5;

/// A set of flags.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Flags(pub(crate) u16);

pub(crate) const SEEN: Flags = Flags(1);
pub(crate) const DELETED: Flags = Flags(8);

impl Flags {
    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(crate) const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(crate) const fn keywords(self) -> Self {
        Self(self.0 >> SYSTEM_FLAGS << SYSTEM_FLAGS)
    }

    /// The flag of this name, in any case.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        let at = FLAGS
            .iter()
            .position(|flag| flag.as_bytes().eq_ignore_ascii_case(name))?;
        Some(Self(1 << at))
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        let is_set = move |at: &usize| self.0 & (1 << at) != 0;
        (0..FLAGS.len()).filter(is_set).map(|at| FLAGS[at])
    }

    /// As a client writes them.
    pub(crate) fn written(self) -> String {
        self.names().collect::<Vec<_>>().join(" ")
    }
}

/// Names of mailboxes, some of which are parents of others.
pub(crate) const NAMES: [&str; 12] = [
    "INBOX", "A", "B", "A/B", "A/B/C", "B/C", "Été", "x&y", "a b", "INBOX/i", "inbox", "B/",
];

/// The name a mailbox of this written name has.
pub(crate) fn canonical(written: &str) -> String {
    let name = written.strip_suffix('/').unwrap_or(written);
    let (first, rest) = name.split_at(name.find('/').unwrap_or(name.len()));
    match first.eq_ignore_ascii_case("INBOX") {
        true => format!("INBOX{rest}"),
        false => name.to_owned(),
    }
}

/// The names above this one, the nearest first.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(name.rsplit_once('/'), |(above, _)| above.rsplit_once('/'))
        .map(|(above, _)| above)
}

/// A name as it is written in a command.
pub(crate) fn quoted(name: &str, is_utf8: bool) -> String {
    match is_utf8 {
        true => format!("\"{name}\""),
        false => format!("\"{}\"", wire::utf7::encode(name)),
    }
}

/// A date as it is written, and its day for comparison.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Date {
    pub(crate) written: &'static str,
    pub(crate) day: u32,
}

/// Dates that APPEND gives.
pub(crate) const DATES: [Date; 3] = [
    Date {
        written: "05-Jan-2026 10:00:00 +0100",
        day: 20_260_105,
    },
    Date {
        written: "06-Jan-2026 00:30:00 -0500",
        day: 20_260_106,
    },
    Date {
        written: "31-Dec-1999 23:59:59 +0000",
        day: 19_991_231,
    },
];

/// What the clock may show: seconds since 1970 and the date. It may also go back.
pub(crate) const TIMES: [(i64, Date); 3] = [
    (
        1_795_305_600,
        Date {
            written: "22-Nov-2026 00:00:00 +0000",
            day: 20_261_122,
        },
    ),
    (
        1_795_309_200,
        Date {
            written: "22-Nov-2026 01:00:00 +0000",
            day: 20_261_122,
        },
    ),
    (
        1_795_392_000,
        Date {
            written: "23-Nov-2026 00:00:00 +0000",
            day: 20_261_123,
        },
    ),
];

/// The text of a message, by its serial number.
pub(crate) fn text(serial: u32) -> String {
    let lines = "0123456789012345678901234567890123456789\r\n".repeat(serial as usize % 7);
    format!(
        "Subject: m{serial}.\r\nFrom: a{}@example.org\r\n\r\nbody of m{serial}\r\n{lines}",
        serial % 3
    )
}

/// Its header and body.
pub(crate) fn parts(serial: u32) -> (String, String) {
    let text = text(serial);
    let (header, body) = text.split_once("\r\n\r\n").unwrap();
    (format!("{header}\r\n\r\n"), body.to_owned())
}
