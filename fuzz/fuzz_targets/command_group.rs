//! The commands of each group, so that each grammar is reached at once: the first byte chooses a
//! command of the property table, the rest are its arguments (RFC 9051 §6). What is read is of that
//! command, is shown without its secrets, and the command after it is found.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{frame::Frame, imap::table::TABLE, limits::Limits};

fuzz_target!(|input: &[u8]| {
    let Some((first, arguments)) = input.split_first() else {
        return;
    };
    let property = TABLE[usize::from(*first) % TABLE.len()];
    let mut line = b"a ".to_vec();
    line.extend_from_slice(property.name.as_bytes());
    line.extend_from_slice(arguments);
    line.extend_from_slice(b"\r\nz NOOP\r\n");
    for limits in [Limits::BEFORE_LOGIN, Limits::AFTER_LOGIN] {
        let whole = fuzz::frames(&[&line], &limits);
        if let Some((Frame::Command(tagged), _)) = whole.first()
            && (arguments.is_empty() || arguments[0] == b' ')
        {
            let name = tagged.command.property().name;
            assert!(name.starts_with(property.name), "{name} of {}", property.name);
            let _ = format!("{tagged:?}");
        }
        let is_one_line = !arguments.contains(&b'\n') && !arguments.contains(&b'}');
        if is_one_line && arguments.len() < 7_000 {
            let last = whole.last().map(|(frame, _)| frame);
            assert!(matches!(last, Some(Frame::Command(z)) if &*z.tag.0 == "z"));
        }
        for pieces in fuzz::splits(&line) {
            assert_eq!(fuzz::frames(&pieces, &limits), whole);
        }
    }
});
