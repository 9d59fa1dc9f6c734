//! A whole IMAP session: the first byte says in which state it begins (before login, logged in,
//! selected, examined), the rest is what the client sends. The server answers in well-formed
//! responses, ends when the client does, does not panic, and the store's check finds nothing.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::imap::client::{Reader, Response};

const RESPONSE_BYTES_MAX: usize = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let Some((state, said)) = input.split_first() else {
        return;
    };
    fuzz::place::with(|place| {
        let begin = place.begin(*state);
        let answers = place.imap(&[begin.as_bytes(), said].concat());
        let mut reader = Reader::new(RESPONSE_BYTES_MAX);
        *reader.buffer() = BytesMut::from(&answers[..]);
        while let Ok(Some(response)) = reader.response() {
            let read = Response::parse(&response);
            assert!(read.is_ok(), "{:?}", String::from_utf8_lossy(&response));
        }
        assert!(reader.buffer().is_empty(), "{:?}", reader.buffer());
    });
});
