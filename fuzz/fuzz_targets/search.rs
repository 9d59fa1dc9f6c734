//! The SEARCH grammar (RFC 9051 §6.4.4): any program is read or refused within limits, and SEARCH
//! and UID SEARCH read the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    frame::Frame,
    imap::command::{Command, Selected},
};

fuzz_target!(|program: &[u8]| {
    let plain = fuzz::command(&[b"SEARCH ", program]);
    let by_uid = fuzz::command(&[b"UID SEARCH ", program]);
    match (&plain, &by_uid) {
        (Frame::Command(plain), Frame::Command(by_uid)) => {
            let (
                Command::Selected(Selected::Search(plain)),
                Command::Selected(Selected::Search(by_uid)),
            ) = (&plain.command, &by_uid.command)
            else {
                return;
            };
            assert_eq!(plain.returns, by_uid.returns);
            assert_eq!(plain.predicate, by_uid.predicate);
            assert_eq!(
                plain.names_sequence_numbers(),
                by_uid.names_sequence_numbers()
            );
        }
        (Frame::Command(_), _) | (_, Frame::Command(_)) => panic!("{plain:?}\n{by_uid:?}"),
        _ => {}
    }
});
