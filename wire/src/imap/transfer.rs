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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::{
        fixture::{accept, incomplete, reject},
        sequence::SetOrSaved,
    };

    #[test]
    fn copies_and_moves() {
        for name in ["COPY", "MOVE", "UID COPY", "UID MOVE"] {
            let command = accept(&format!("{name} 1:3,* {{5}}\r\nTrash"));
            assert_eq!(command.property().name, name);
            accept(&format!("{} $ Trash", name.to_ascii_lowercase()));
            incomplete(&format!("{name} 1:3,* {{5}}\r\nTrash"));
            reject(&format!("{name}^"));
            reject(&format!("{name} ^x Trash"));
            reject(&format!("{name} 1^"));
            reject(&format!("{name} 1 ^"));
            reject(&format!("{name} 1 Trash^ x"));
            reject(&format!("{name} 1 ^%"));
        }
        match accept("UID MOVE $ a") {
            Command::Selected(Selected::Move(transfer)) => {
                assert_eq!(transfer.messages, Messages::Uid(SetOrSaved::Saved));
            }
            other => panic!("{other:?}"),
        }
    }
}
