//! COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).
//!
//! ```text
//! C: a1 COPY 2:4 Archive
//! C: a2 UID MOVE $ Trash
//! ```

use super::{
    command::{Command, Selected},
    mailbox::{self, WireName},
    sequence::{self, Messages, Numbers},
};
use crate::cursor::{Cursor, Parsed};

/// COPY's or MOVE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// Which messages.
    pub messages: Messages,
    /// Where to.
    pub mailbox: WireName,
}

/// ```abnf
/// copy = "COPY" SP sequence-set SP mailbox
/// ```
pub(super) fn copy(c: &mut Cursor<'_>) -> Parsed<Command> {
    transfer(c, Numbers::Seq).map(|transfer| Command::Selected(Selected::Copy(transfer)))
}

/// ```abnf
/// move = "MOVE" SP sequence-set SP mailbox
/// ```
pub(super) fn move_(c: &mut Cursor<'_>) -> Parsed<Command> {
    transfer(c, Numbers::Seq).map(|transfer| Command::Selected(Selected::Move(transfer)))
}

pub(super) fn uid_copy(c: &mut Cursor<'_>) -> Parsed<Command> {
    transfer(c, Numbers::Uid).map(|transfer| Command::Selected(Selected::Copy(transfer)))
}

pub(super) fn uid_move(c: &mut Cursor<'_>) -> Parsed<Command> {
    transfer(c, Numbers::Uid).map(|transfer| Command::Selected(Selected::Move(transfer)))
}

fn transfer(c: &mut Cursor<'_>, numbers: Numbers) -> Parsed<Transfer> {
    let messages = sequence::messages(c, numbers)?;
    let mailbox = mailbox::argument(c)?;
    Ok(Transfer { messages, mailbox })
}
