//! What our encoder writes of any message, our reader of responses reads back, and it is one
//! response (RFC 9051 §7.5.2); the reader takes any other bytes in any pieces.
#![no_main]

use bytes::{Bytes, BytesMut};
use libfuzzer_sys::fuzz_target;
use mail::{
    id::Uid,
    structure::{Section, SectionText},
};
use wire::{
    encode::{Encoder, Mode},
    imap::{
        client::{Node, Reader, Response},
        fetch::{BodyName, BodySection, Peek},
        response::{Content, FetchData, Subject, Untagged},
        sequence::Seq,
    },
    structure,
};

const RESPONSE_BYTES_MAX: usize = 64 * 1024 * 1024;

fuzz_target!(|input: &[u8]| {
    let whole = responses(&[input]);
    for response in &whole {
        let _ = Response::parse(response);
    }
    for pieces in fuzz::splits(input) {
        assert_eq!(responses(&pieces), whole);
    }
    for mode in [Mode::REV1, Mode::REV1_UTF8, Mode::REV2] {
        comes_back(input, mode, Subject::Seq(Seq::MIN));
    }
    comes_back(input, Mode::REV2, Subject::Uid(Uid::MIN));
});

fn responses(pieces: &[&[u8]]) -> Vec<BytesMut> {
    let mut reader = Reader::new(RESPONSE_BYTES_MAX);
    let mut found = Vec::new();
    for piece in pieces {
        reader.buffer().extend_from_slice(piece);
        while let Ok(Some(response)) = reader.response() {
            found.push(response);
        }
    }
    found
}

fn comes_back(message: &[u8], mode: Mode, subject: Subject) {
    let index = mail::mime::index(message);
    let Some(envelope) = index.envelope() else {
        return;
    };
    let items = vec![
        FetchData::Envelope(structure::envelope(envelope).into()),
        FetchData::Body(structure::body(&index).into()),
        FetchData::BodyStructure(structure::body_structure(&index).into()),
        FetchData::BodySection(fields_named(message), content(message)),
        FetchData::Binary(vec![1], None, content(message)),
        FetchData::Size(index.size),
    ];
    let mut out = Vec::new();
    Encoder::new(mode).untagged(&mut out, &Untagged::Fetch(subject, items));
    let responses = responses(&[&out]);
    let [response] = responses.as_slice() else {
        panic!("{} responses: {}", responses.len(), out.escape_ascii());
    };
    let Ok(Response::Data(data)) = Response::parse(response) else {
        panic!("unreadable: {}", out.escape_ascii());
    };
    let [items] = data.values.as_slice() else {
        panic!("not one list: {}", out.escape_ascii());
    };
    let envelope_sent = items.value_of("ENVELOPE").and_then(Node::list);
    assert_eq!(envelope_sent.map(<[_]>::len), Some(10));
    let subject = envelope_sent.and_then(|fields| fields.get(1)).cloned();
    assert_eq!(subject, Some(nstring(envelope.subject.as_deref())));
    let list = items.list().unwrap_or_default();
    assert_eq!(list.len(), 12);
    assert_eq!(list.get(7), Some(&sent(message)));
    assert_eq!(list.get(9), Some(&Node::String(message.to_vec())));
    let size = items.value_of("RFC822.SIZE").and_then(Node::number);
    assert_eq!(size, Some(index.size));
}

fn content(bytes: &[u8]) -> Option<Content> {
    Some(Content::Bytes(Bytes::copy_from_slice(bytes)))
}

/// A section whose name holds bytes of the client.
fn fields_named(name: &[u8]) -> BodySection {
    let text = Some(SectionText::HeaderFields(vec![name.into()]));
    BodySection {
        name: BodyName::Body,
        section: Section { path: vec![], text },
        partial: None,
        peek: Peek::Peek,
    }
}

fn nstring(bytes: Option<&[u8]>) -> Node {
    bytes.map_or(Node::Nil, sent)
}

/// How a string comes back: NUL cannot be sent (RFC 9051 §4.3).
fn sent(bytes: &[u8]) -> Node {
    let byte = |&b: &u8| if b == 0 { 0x80 } else { b };
    Node::String(bytes.iter().map(byte).collect())
}
