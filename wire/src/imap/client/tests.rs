//! Reading what servers send, and reading back whatever our own encoder writes.

use std::sync::Arc;

use bytes::Bytes;
use mail::{
    envelope::{Address, Envelope},
    flag::{Flags, Keyword, SystemFlags},
    mailbox::MailboxName,
    structure::{Section, SectionText},
};
use proptest::prelude::*;

use super::*;
use crate::{
    encode::{Encoder, Mode},
    imap::{
        command::Tag,
        fetch::{BodyName, BodySection, Peek},
        list::SelectOptions,
        response::{Completion, Content, FetchData, ListEntry, Recent, Status, Subject, Untagged},
        sequence::Seq,
    },
    limits::RESPONSE_DEPTH_MAX,
    structure, utf7,
};

fn atom(text: &str) -> Node {
    Node::Atom(text.into())
}

fn string(text: &str) -> Node {
    Node::String(text.into())
}

fn data(number: Option<u32>, name: &str, values: Vec<Node>) -> Response {
    Response::Data(Data {
        number,
        name: name.into(),
        values,
    })
}

#[test]
fn reads() {
    let check = |line: &str, want| assert_eq!(Response::parse(line.as_bytes()), Ok(want), "{line}");
    check("+ idling", Response::Continuation(b"idling".to_vec()));
    check("+", Response::Continuation(vec![]));
    check("* 3 EXISTS", data(Some(3), "EXISTS", vec![]));
    check(
        "* search 1 2",
        data(None, "SEARCH", vec![atom("1"), atom("2")]),
    );
    let condition = |status: &str, code, text: &str| Condition {
        status: status.into(),
        code,
        text: text.into(),
    };
    check(
        "A1 OK done",
        Response::Tagged("A1".into(), condition("OK", None, "done")),
    );
    check("* BYE ", Response::Untagged(condition("BYE", None, "")));
    let flags = Node::List(vec![atom("\\Seen"), atom("\\*")]);
    check(
        "* OK [PERMANENTFLAGS (\\Seen \\*)] text [x]",
        Response::Untagged(condition(
            "OK",
            Some(("PERMANENTFLAGS".into(), vec![flags])),
            "text [x]",
        )),
    );
    check(
        "* LIST (\\Noselect) \"/\" a]b",
        data(
            None,
            "LIST",
            vec![
                Node::List(vec![atom("\\Noselect")]),
                string("/"),
                atom("a]b"),
            ],
        ),
    );
    check(
        "* 1 FETCH (BODY[HEADER.FIELDS (\"a]\" {1}\r\n])]<0> {2}\r\n() BODY NIL ((\"x\")(nil)))",
        data(
            Some(1),
            "FETCH",
            vec![Node::List(vec![
                atom("BODY[HEADER.FIELDS (\"a]\" {1}\r\n])]<0>"),
                string("()"),
                atom("BODY"),
                Node::Nil,
                Node::List(vec![
                    Node::List(vec![string("x")]),
                    Node::List(vec![Node::Nil]),
                ]),
            ])],
        ),
    );
}

#[test]
fn refuses() {
    let deep = format!("* X {}", "(".repeat(1_000));
    for bad in [
        "",
        " ",
        "*",
        "* ",
        "A1",
        "A1 ",
        "A1 OK",
        "* 1",
        "* 1 ",
        "* OK [",
        "* OK [(x)] y",
        "* OK [X y",
        "* X (",
        "* X )",
        "* X \"",
        "* X \"a\\",
        "* X \"\\a\"",
        "* X {",
        "* X {1}",
        "* X {5}\r\nab",
        "* X {99999999999999999999}\r\n",
        "* X BODY[",
        "* X BODY[\"",
        "* X \r\n",
        "* X \0",
        &deep,
    ] {
        assert!(Response::parse(bad.as_bytes()).is_err(), "{bad:?}");
    }
}

#[test]
fn depth_is_bounded() {
    let nested = |depth| format!("* X {}{}", "(".repeat(depth), ")".repeat(depth));
    assert!(Response::parse(nested(RESPONSE_DEPTH_MAX).as_bytes()).is_ok());
    assert!(Response::parse(nested(RESPONSE_DEPTH_MAX + 1).as_bytes()).is_err());
}

#[test]
fn cuts_whatever_the_pieces() {
    let input = b"* OK hi\r\n* 1 FETCH (BODY[] {4}\r\n\r\n)\r X ~{1}\r\n\n)\r\n+ \r\nA OK {x}\r\n";
    let want: [&[u8]; 4] = [
        b"* OK hi",
        b"* 1 FETCH (BODY[] {4}\r\n\r\n)\r X ~{1}\r\n\n)",
        b"+ ",
        b"A OK {x}",
    ];
    for step in 1..input.len() {
        let mut reader = Reader::new(100);
        let mut got = Vec::new();
        for piece in input.chunks(step) {
            reader.buffer().extend_from_slice(piece);
            while let Some(response) = reader.response().unwrap() {
                got.push(response);
            }
        }
        assert_eq!(got, want);
    }
}

#[test]
fn responses_are_bounded() {
    let check = |input: &[u8], fits: bool| {
        let mut reader = Reader::new(10);
        reader.buffer().extend_from_slice(input);
        assert_eq!(reader.response().is_ok(), fits, "{input:?}");
    };
    check(b"0123456789", true);
    check(b"0123456789a", false);
    check(b"* {3}\r\n", true);
    check(b"* {4}\r\n", false);
    check(b"* {18446744073709551615}\r\n", false);
}

/// Reads back what was written: exactly one response.
fn read_back(out: &[u8]) -> Response {
    let mut reader = Reader::new(usize::MAX);
    reader.buffer().extend_from_slice(out);
    let response = reader.response().unwrap().unwrap();
    assert!(
        reader.buffer().is_empty(),
        "{:?}",
        String::from_utf8_lossy(out)
    );
    Response::parse(&response).unwrap()
}

fn untagged(mode: Mode, response: &Untagged) -> Data {
    let mut out = Vec::new();
    Encoder::new(mode).untagged(&mut out, response);
    match read_back(&out) {
        Response::Data(data) => data,
        other => panic!("{other:?}"),
    }
}

/// One message's FETCH items, as a list of names and values.
fn fetched(items: Vec<FetchData>) -> Node {
    let data = untagged(Mode::REV1, &Untagged::Fetch(Subject::Seq(Seq::MIN), items));
    assert_eq!((data.number, data.name.as_str()), (Some(1), "FETCH"));
    assert_eq!(data.values.len(), 1);
    data.values.into_iter().next().unwrap()
}

/// How a string comes back: a NUL cannot be sent (RFC 9051 §4.3).
fn sent(bytes: &[u8]) -> Node {
    Node::String(
        bytes
            .iter()
            .map(|&b| if b == 0 { 0x80 } else { b })
            .collect(),
    )
}

fn optional(bytes: Option<&Vec<u8>>) -> Node {
    bytes.map_or(Node::Nil, |bytes| sent(bytes))
}

/// Bytes that mean something to the syntax, and others.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"\r\n\0\"\\{}()[]~*% 0123\xc3\xa4\xff".to_vec());
    prop_oneof![
        prop::collection::vec(special, 0..30),
        prop::collection::vec(any::<u8>(), 0..30),
        "\\PC{0,20}".prop_map(String::into_bytes),
    ]
}

fn any_address() -> impl Strategy<Value = Address> {
    let part = || prop::option::of(any_bytes());
    (part(), part(), part(), part()).prop_map(|(name, adl, mailbox, host)| Address {
        name,
        adl,
        mailbox,
        host,
    })
}

fn address_node(address: &Address) -> Node {
    let parts = [&address.name, &address.adl, &address.mailbox, &address.host];
    Node::List(parts.map(|part| optional(part.as_ref())).to_vec())
}

proptest! {
    #[test]
    fn threat_18_envelopes_come_back(
        subject in prop::option::of(any_bytes()),
        message_id in prop::option::of(any_bytes()),
        to in prop::collection::vec(any_address(), 0..4),
    ) {
        let envelope = Envelope { subject, message_id, to, ..Envelope::default() };
        let value = Bytes::from(structure::envelope(&envelope));
        let items = fetched(vec![FetchData::Envelope(value), FetchData::Size(7)]);
        let fields = items.value_of("envelope").and_then(Node::list).unwrap();
        prop_assert_eq!(fields.len(), 10);
        prop_assert_eq!(&fields[1], &optional(envelope.subject.as_ref()));
        prop_assert_eq!(&fields[9], &optional(envelope.message_id.as_ref()));
        let to = match envelope.to.as_slice() {
            [] => Node::Nil,
            to => Node::List(to.iter().map(address_node).collect()),
        };
        prop_assert_eq!(&fields[5], &to);
        prop_assert_eq!(items.value_of("RFC822.SIZE").and_then(Node::number), Some(7));
    }

    #[test]
    fn threat_18_messages_come_back(header in any_bytes(), file_name in any_bytes()) {
        let mut message = b"Subject: ".to_vec();
        message.extend_from_slice(&header);
        message.extend_from_slice(b"\r\nContent-Disposition: attachment; filename=\"");
        message.extend_from_slice(&file_name);
        message.extend_from_slice(b"\"\r\n\r\nbody\r\n");
        let index = mail::mime::index(&message);
        let items = fetched(vec![
            FetchData::Envelope(structure::envelope(index.envelope().unwrap()).into()),
            FetchData::Body(structure::body(&index).into()),
            FetchData::BodyStructure(structure::body_structure(&index).into()),
        ]);
        prop_assert_eq!(items.list().unwrap().len(), 6);
        let subject = &items.value_of("ENVELOPE").and_then(Node::list).unwrap()[1];
        let parsed = &index.envelope().unwrap().subject;
        prop_assert_eq!(subject, &optional(parsed.as_ref()));
        if let Some(disposition) = &index.parts[0].disposition
            && let Some(param) = disposition.params.first()
        {
            let structure = items.value_of("BODYSTRUCTURE").and_then(Node::list).unwrap();
            let sent_params = structure.iter().rev().nth(2).and_then(Node::list).unwrap()[1].clone();
            prop_assert_eq!(&sent_params.list().unwrap()[1], &sent(&param.value));
        }
    }

    #[test]
    fn threat_18_mailbox_names_come_back(written in "\\PC{0,20}|[\"\\\\{}()\\[\\]&~ a/é😀-]{0,12}") {
        let Ok(name) = MailboxName::new(&written) else { return Ok(()) };
        for mode in [Mode::REV1, Mode::REV1_UTF8, Mode::REV2] {
            let entry = ListEntry {
                attributes: vec![],
                name: Some(name.clone()),
                old_name: Some(name.clone()),
                child_info: Some(SelectOptions::default()),
            };
            let data = untagged(mode, &Untagged::List(entry));
            let sent = data.values[2].bytes().unwrap();
            let read = match mode {
                Mode::REV1 => utf7::decode(sent).unwrap(),
                _ => String::from_utf8(sent.to_vec()).unwrap(),
            };
            let want = match mode {
                Mode::REV1 => name.as_str().to_owned(),
                _ => name.key().as_str().to_owned(),
            };
            prop_assert_eq!(read, want);
            let old = data.values[3].value_of("OLDNAME").and_then(Node::list);
            let old = old.and_then(|old| old[0].bytes()).unwrap();
            let old = match mode {
                Mode::REV1 => utf7::decode(old).unwrap(),
                _ => String::from_utf8(old.to_vec()).unwrap(),
            };
            prop_assert_eq!(old, name.as_str());
        }
    }

    #[test]
    fn threat_18_keywords_and_field_names_come_back(
        keyword in "[!-~]{0,10}",
        field in any_bytes(),
        content in any_bytes(),
    ) {
        if let Some(keyword) = Keyword::new(&keyword) {
            let flags = Flags::new(SystemFlags::SEEN, [keyword.clone()]);
            let items = fetched(vec![FetchData::Flags(Arc::new(flags), Recent::No)]);
            let want = Node::List(vec![atom("\\Seen"), atom(keyword.as_str())]);
            // A keyword may be called NIL; flags are atoms, so it is read as one.
            if !keyword.as_str().eq_ignore_ascii_case("NIL") {
                prop_assert_eq!(items.value_of("FLAGS"), Some(&want));
            }
        }
        let section = BodySection {
            name: BodyName::Body,
            section: Section {
                path: vec![],
                text: Some(SectionText::HeaderFields(vec![field.into()])),
            },
            partial: None,
            peek: Peek::Peek,
        };
        let content_item = Some(Content::Bytes(content.clone().into()));
        let items = fetched(vec![
            FetchData::BodySection(section, content_item.clone()),
            FetchData::Binary(vec![1], None, content_item),
        ]);
        let items = items.list().unwrap();
        prop_assert_eq!(&items[1], &sent(&content));
        prop_assert_eq!(&items[3], &Node::String(content));
    }

    #[test]
    fn threat_18_texts_stay_on_their_line(text in any_bytes(), tag in "[!-~ ]{0,6}") {
        let text = String::from_utf8_lossy(&text).into_owned();
        let completion = Completion { status: Status::No, code: None, text: text.into() };
        for mode in [Mode::REV1, Mode::REV2] {
            let mut out = Vec::new();
            Encoder::new(mode).tagged(&mut out, &Tag(tag.as_str().into()), &completion);
            let (Response::Tagged(_, condition) | Response::Untagged(condition)) = read_back(&out)
            else {
                panic!("{out:?}");
            };
            prop_assert_eq!(condition.status, "NO");
            prop_assert_eq!(condition.code, None);
            prop_assert!(!condition.text.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_answered(input in any_bytes()) {
        let _ = Response::parse(&input);
        let mut line = b"* X ".to_vec();
        line.extend_from_slice(&input);
        let _ = Response::parse(&line);
    }
}
