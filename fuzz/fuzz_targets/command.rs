//! Any line is a command, an error or incomplete; a command is in the table under its name, and
//! the command after it is found (RFC 9051 §9, protocol rules 31 and 32).
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{frame::Frame, imap::table, limits::Limits};

fuzz_target!(|line: &[u8]| {
    let mut input = b"a ".to_vec();
    input.extend_from_slice(line);
    input.extend_from_slice(b"\r\nz NOOP\r\n");
    let frames = fuzz::frames(&[&input], &Limits::AFTER_LOGIN);
    for (frame, _) in &frames {
        let _ = format!("{frame:?}");
        if let Frame::Command(tagged) = frame {
            let property = tagged.command.property();
            assert_eq!(table::named(property.name), Some(property));
        }
    }
    // Bytes that hold neither a line end nor an announcement are one line.
    let is_one_line = !line.contains(&b'\n') && !line.contains(&b'}');
    if is_one_line && line.len() < 60_000 {
        let tags = frames.iter().filter_map(|(frame, _)| match frame {
            Frame::Command(tagged) => Some(&*tagged.tag.0),
            _ => None,
        });
        assert_eq!((tags.last(), frames.len()), (Some("z"), 2));
    }
});
