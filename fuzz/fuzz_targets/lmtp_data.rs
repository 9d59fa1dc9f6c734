//! DATA (RFC 5321 §4.5.2): dots are undone and the end is found as a plain search would, in any
//! pieces; nothing but CRLF dot CRLF ends a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::lmtp::data::{DotDecoder, Progress};

fuzz_target!(|input: &[u8]| {
    let whole = decode(&[input]);
    if let Some(wanted) = plainly(input) {
        assert_eq!(whole, wanted);
    } else {
        assert_eq!(whole.1, None);
    }
    for pieces in fuzz::splits(input) {
        assert_eq!(decode(&pieces), whole);
    }
});

/// The content, and how many bytes were used if it is complete.
fn decode(pieces: &[&[u8]]) -> (Vec<u8>, Option<usize>) {
    let mut decoder = DotDecoder::new();
    let (mut out, mut used) = (Vec::new(), 0);
    for piece in pieces {
        let decoded = decoder.decode(piece, &mut out);
        used += decoded.used;
        if decoded.progress == Progress::Complete {
            return (out, Some(used));
        }
    }
    (out, None)
}

/// A whole message line by line; `None` if its end is not there.
fn plainly(input: &[u8]) -> Option<(Vec<u8>, Option<usize>)> {
    let (mut out, mut at) = (Vec::new(), 0);
    loop {
        let rest = &input[at..];
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let line = &rest[..end];
        at += end + 2;
        if line == b"." {
            return Some((out, Some(at)));
        }
        out.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        out.extend_from_slice(b"\r\n");
    }
}
