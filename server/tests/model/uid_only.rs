//! UIDONLY (RFC 9586): a client that enabled it says and is told no sequence numbers.

use crate::{
    command::{Command, Numbers, Opening},
    expected::{Code, Expected},
    predict::refused_append,
    told::{Check, Mode, Sync, View, broken},
};

impl Mode {
    /// Whether messages go by VANISHED (RFC 7162 §3.2.10, RFC 9586 §3.4).
    pub(crate) fn tells_vanished(self) -> bool {
        self.is_uid_only || self.sync == Sync::QResync
    }
}

impl Command {
    fn names_seqs(&self) -> bool {
        match self {
            Self::Search(search) => search.numbers == Numbers::Seq || search.key.names_seqs(),
            Self::Fetch(set, _) | Self::Store(set, _) | Self::Copy(set, _) | Self::Move(set, _) => {
                set.numbers == Numbers::Seq
            }
            Self::Replace(replace) => replace.set.numbers == Numbers::Seq,
            Self::Select(_, _, Opening::Knowing(known)) => known.names_seqs(),
            _ => false,
        }
    }

    /// Sequence numbers of a client that gave them up are BAD, whatever else they are (§3).
    pub(crate) fn refused_for(&self, mode: Mode, view: Option<&View>) -> Option<Expected> {
        if !mode.is_uid_only || !self.names_seqs() {
            return None;
        }
        let refused = match view {
            None => Expected::bad(),
            Some(_) => Expected {
                code: Code::Named("UIDREQUIRED"),
                ..Expected::bad()
            },
        };
        Some(match self {
            Self::Replace(_) => refused_append(refused),
            _ => refused,
        })
    }
}

impl View {
    /// Where the message of a FETCH or UIDFETCH stands.
    pub(crate) fn position(&self, number: u32, mode: Mode) -> Check<usize> {
        let at = match mode.is_uid_only {
            true => self.told.iter().position(|told| told.uid == number),
            false => (number as usize).checked_sub(1),
        };
        match at.filter(|at| *at < self.told.len()) {
            Some(at) => Ok(at),
            None => broken(
                31,
                format!("{number} FETCH of {} messages", self.told.len()),
            ),
        }
    }
}
