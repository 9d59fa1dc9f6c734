//! Another parser sees the same parts in well-formed messages.

use mail::mime::{Index, PartKind, index};
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use proptest::prelude::*;

use crate::generated::made;

/// Types of the parts, outermost first; ours.
fn ours(found: &Index) -> Vec<String> {
    found
        .parts
        .iter()
        // The other parser has one part for a message inside and the part that holds it.
        .filter(|part| part.envelope.is_none() || part.parent.is_none())
        .map(|part| match part.kind {
            PartKind::Multipart => "multipart".to_owned(),
            PartKind::Message => "message".to_owned(),
            PartKind::Leaf => "leaf".to_owned(),
        })
        .collect()
}

/// The same of the other parser.
fn theirs(message: &Message<'_>, out: &mut Vec<String>) {
    for (at, part) in message.parts.iter().enumerate() {
        let kind = match &part.body {
            PartType::Multipart(_) => "multipart",
            PartType::Message(_) => "message",
            _ => "leaf",
        };
        out.push(kind.to_owned());
        if let PartType::Message(inside) = &part.body {
            let mut nested = Vec::new();
            theirs(inside, &mut nested);
            out.extend(nested.into_iter().skip(1));
        }
        let _ = (at, part.content_type());
    }
}

proptest! {
    #[test]
    fn another_parser_finds_the_same_parts(tree in made()) {
        // The other parser gives up on a message directly in a message.
        if tree.has_message_in_message() {
            return Ok(());
        }
        let message = tree.message("\r\n");
        let other = MessageParser::default().parse(message.as_bytes()).unwrap();
        let mut expected = Vec::new();
        theirs(&other, &mut expected);
        prop_assert_eq!(ours(&index(message.as_bytes())), expected);
    }
}
