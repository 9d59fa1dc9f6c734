//! A whole IMAP session: the first byte says in which state it begins (before login, logged in,
//! selected, examined), the rest is what the client sends. The server answers in well-formed
//! responses, ends when the client does, does not panic, and the store's check finds nothing. After
//! ENABLE UIDONLY it tells no sequence number (RFC 9586 §3).
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use wire::imap::client::{Data, Node, Reader, Response};

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
        let mut uid_only = false;
        while let Ok(Some(response)) = reader.response() {
            let shown = String::from_utf8_lossy(&response);
            let read = Response::parse(&response).unwrap_or_else(|_| panic!("{shown:?}"));
            assert!(!uid_only || !tells_a_number(&read), "{shown:?}");
            uid_only |= enables_uid_only(&read) && !leaves(said);
        }
        assert!(reader.buffer().is_empty(), "{:?}", reader.buffer());
    });
});

fn enables_uid_only(response: &Response) -> bool {
    matches!(response, Response::Data(Data { name, values, .. })
        if name == "ENABLED" && values.contains(&Node::Atom(b"UIDONLY".to_vec())))
}

/// Whether UNAUTHENTICATE, which ends it, may be among what is said.
fn leaves(said: &[u8]) -> bool {
    said.to_ascii_uppercase().windows(6).any(|word| word == b"UNAUTH")
}

fn tells_a_number(response: &Response) -> bool {
    match response {
        Response::Data(data) => matches!(data.name.as_str(), "FETCH" | "EXPUNGE"),
        Response::Untagged(condition) => {
            condition.code.as_ref().is_some_and(|(name, _)| name == "UNSEEN")
        }
        _ => false,
    }
}
