//! By what counts are told apart. Every value is one of a list that this program knows: nothing a
//! client sends becomes a label, so that no stranger can fill a monitoring system.

use wire::imap::table::{Property, TABLE};

use crate::refused::Reason;

/// A label, or some that always come together.
pub trait Label: Copy + 'static {
    /// Their names.
    const NAMES: &'static [&'static str];
    /// How many values there are.
    const COUNT: usize;

    /// Which of them this is.
    fn index(self) -> usize;

    /// The values of that index, in the order of the names.
    fn values(index: usize) -> Vec<&'static str>;
}

impl Label for () {
    const NAMES: &'static [&'static str] = &[];
    const COUNT: usize = 1;

    fn index(self) -> usize {
        0
    }

    fn values(_: usize) -> Vec<&'static str> {
        Vec::new()
    }
}

/// An IMAP command, by its row in the table of commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandLabel(u8);

impl CommandLabel {
    /// What is no command, or cannot be read.
    #[expect(clippy::cast_possible_truncation, reason = "the table is short")]
    pub const UNKNOWN: Self = Self(TABLE.len() as u8);

    /// The command of a row.
    #[must_use]
    pub fn of(property: &'static Property) -> Self {
        let at = TABLE.iter().position(|row| std::ptr::eq(*row, property));
        at.and_then(|at| u8::try_from(at).ok())
            .map_or(Self::UNKNOWN, Self)
    }

    /// Its name, upper case, a UID form with its prefix; `unknown` for what is none.
    #[must_use]
    pub fn name(self) -> &'static str {
        let row = TABLE.get(usize::from(self.0));
        row.map_or("unknown", |row| row.name)
    }

    /// The command of this index.
    #[must_use]
    pub fn at(index: usize) -> Self {
        u8::try_from(index).map_or(Self::UNKNOWN, |at| Self(at.min(Self::UNKNOWN.0)))
    }
}

impl Label for CommandLabel {
    const NAMES: &'static [&'static str] = &["command"];
    const COUNT: usize = TABLE.len() + 1;

    fn index(self) -> usize {
        self.0.into()
    }

    fn values(index: usize) -> Vec<&'static str> {
        vec![Self::at(index).name()]
    }
}

impl Label for Reason {
    const NAMES: &'static [&'static str] = &["reason"];
    const COUNT: usize = Self::ALL.len();

    fn index(self) -> usize {
        self as usize
    }

    fn values(index: usize) -> Vec<&'static str> {
        vec![Self::ALL.get(index).map_or("", |reason| reason.name())]
    }
}

impl Spoken {
    /// What the log calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Imaps => "imaps",
            Self::Lmtp => "lmtp",
        }
    }
}

macro_rules! labels {
    ($($(#[doc = $doc:literal])+ $label:ident($($name:literal),+) {
        $($(#[doc = $value_doc:literal])+ $value:ident = [$($text:literal),+];)+
    })+) => {$(
        $(#[doc = $doc])+
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub enum $label { $($(#[doc = $value_doc])+ $value),+ }

        impl Label for $label {
            const NAMES: &'static [&'static str] = &[$($name),+];
            const COUNT: usize = [$(Self::$value),+].len();

            fn index(self) -> usize {
                self as usize
            }

            fn values(index: usize) -> Vec<&'static str> {
                let all: &[&[&'static str]] = &[$(&[$($text),+]),+];
                all.get(index).map(|texts| texts.to_vec()).unwrap_or_default()
            }
        }
    )+};
}

labels! {
    /// How a command ended.
    Answer("status") {
        /// OK.
        Ok = ["ok"];
        /// NO.
        No = ["no"];
        /// BAD.
        Bad = ["bad"];
    }
    /// How a TLS handshake ended.
    Handshake("result", "version") {
        /// TLS 1.3 is spoken.
        Tls13 = ["ok", "1.3"];
        /// TLS 1.2 is spoken.
        Tls12 = ["ok", "1.2"];
        /// We and the client could not agree.
        Failed = ["failed", "none"];
        /// The client gave up, or does not take our certificate.
        GivenUp = ["given-up", "none"];
    }
    /// What became of a message for a recipient of LMTP.
    Delivered("result") {
        /// It is stored.
        Stored = ["stored"];
        /// The sender is told to try again later.
        Later = ["later"];
        /// It is not taken.
        Refused = ["refused"];
    }
    /// What a listener speaks.
    Spoken("protocol") {
        /// IMAP, with STARTTLS if there is a certificate.
        Imap = ["imap"];
        /// IMAP over TLS.
        Imaps = ["imaps"];
        /// LMTP.
        Lmtp = ["lmtp"];
    }
    /// What became of a message to the collector of telemetry.
    Shipped("result") {
        /// It took it.
        Ok = ["ok"];
        /// It did not.
        Failed = ["failed"];
    }
}
