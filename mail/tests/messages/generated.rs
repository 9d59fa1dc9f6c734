//! Messages made from a known tree: the tree is found again, byte for byte.

use mail::{
    limits::Parsing,
    mime::{Encoding, Index, Indexer, PartKind, index},
    structure::{self, Located, Parts, Section, SectionText},
};
use proptest::prelude::*;

/// A part to be written.
#[derive(Clone, Debug)]
pub(crate) enum Made {
    Leaf { encoding: Encoding, body: String },
    Multipart { boundary: String, parts: Vec<Self> },
    Message { inside: Box<Self> },
}

fn leaf() -> impl Strategy<Value = Made> {
    let line = prop_oneof![
        "[ -~]{0,12}",
        Just("--".to_owned()),
        Just("--b".to_owned()),
        Just("é".to_owned())
    ];
    let encoding = prop_oneof![
        Just(Encoding::Identity),
        Just(Encoding::Base64),
        Just(Encoding::QuotedPrintable),
        Just(Encoding::Unknown),
    ];
    (encoding, prop::collection::vec(line, 0..5)).prop_map(|(encoding, lines)| Made::Leaf {
        encoding,
        body: lines.join("\n"),
    })
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            (
                "[a-zA-Z0-9]{0,3}",
                prop::collection::vec(inner.clone(), 1..4)
            )
                .prop_map(|(boundary, parts)| Made::Multipart { boundary, parts }),
            inner.prop_map(|inside| Made::Message {
                inside: Box::new(inside)
            }),
        ]
    })
}

impl Made {
    /// Writes header and body. Boundaries begin with `=`, which no body line does after `--`, and
    /// end with their number and a dot, so that none is the prefix of another.
    fn write(&self, number: &mut u32, out: &mut String) {
        match self {
            Self::Leaf { encoding, body } => {
                let cte = match encoding {
                    Encoding::Identity => "8bit",
                    Encoding::Base64 => "base64",
                    Encoding::QuotedPrintable => "quoted-printable",
                    Encoding::Unknown => "x-unknown",
                };
                out.push_str(&format!("Content-Transfer-Encoding: {cte}\n\n{body}"));
            }
            Self::Multipart { boundary, parts } => {
                *number += 1;
                let boundary = format!("={boundary}{number}.");
                out.push_str(&format!(
                    "Content-Type: multipart/mixed; boundary=\"{boundary}\"\n\n"
                ));
                for part in parts {
                    out.push_str(&format!("\n--{boundary}\n"));
                    part.write(number, out);
                }
                out.push_str(&format!("\n--{boundary}--"));
            }
            Self::Message { inside } => {
                out.push_str("Content-Type: message/rfc822\n\n");
                inside.write(number, out);
            }
        }
    }

    /// Whether a message holds nothing but a message.
    pub(crate) fn has_message_in_message(&self) -> bool {
        match self {
            Self::Leaf { .. } => false,
            Self::Multipart { parts, .. } => parts.iter().any(Self::has_message_in_message),
            Self::Message { inside } => {
                matches!(**inside, Self::Message { .. }) || inside.has_message_in_message()
            }
        }
    }

    pub(crate) fn message(&self, line_end: &str) -> String {
        let mut out = String::from("Subject: generated\n");
        self.write(&mut 0, &mut out);
        out.replace('\n', line_end)
    }

    /// Checks a part and those inside it; returns the index after them.
    fn check(&self, message: &str, line_end: &str, found: &Index, at: usize) -> usize {
        let part = &found.parts[at];
        let body = &message[part.body.start as usize..part.body.end as usize];
        assert_eq!(part.lines as usize, body.matches('\n').count());
        assert_eq!(part.header.end, part.body.start);
        match self {
            Self::Leaf {
                encoding,
                body: expected,
            } => {
                assert_eq!((part.kind, part.encoding), (PartKind::Leaf, *encoding));
                assert_eq!(body, expected.replace('\n', line_end));
                let decoded = encoding
                    .decode(body.as_bytes())
                    .map(|bytes| bytes.len() as u64);
                assert_eq!(part.decoded_size, decoded);
                at + 1
            }
            Self::Multipart { parts, .. } => {
                assert_eq!(part.kind, PartKind::Multipart);
                assert_eq!(found.children(at).count(), parts.len());
                parts
                    .iter()
                    .fold(at + 1, |at, part| part.check(message, line_end, found, at))
            }
            Self::Message { inside } => {
                assert_eq!(part.kind, PartKind::Message);
                assert!(found.parts[at + 1].envelope.is_some());
                inside.check(message, line_end, found, at + 1)
            }
        }
    }
}

/// Indexes a message cut at these places.
pub(crate) fn index_split(message: &[u8], cuts: &[prop::sample::Index]) -> Index {
    let mut places: Vec<usize> = cuts
        .iter()
        .map(|cut| cut.index(message.len() + 1))
        .collect();
    places.sort_unstable();
    let mut indexer = Indexer::new(Parsing::DEFAULT);
    let mut start = 0;
    for place in places.into_iter().chain([message.len()]) {
        indexer.push(&message[start..place]);
        start = place;
    }
    indexer.finish()
}

/// Every section of the parts of a message lies inside it, and the whole is its halves.
pub(crate) fn check_sections(found: &Index) {
    let parts = Parts::from(found);
    assert_eq!(
        structure::decode(&structure::encode(found)).as_ref(),
        Ok(&parts)
    );
    let locate = |path: &[u32], text: Option<SectionText>| {
        let section = Section {
            path: path.to_vec(),
            text,
        };
        match parts.locate(&section) {
            Some(Located::Bytes(range)) => {
                assert!(range.start <= range.end && range.end <= found.size);
                Some(range)
            }
            Some(Located::Fields { .. }) | None => None,
        }
    };
    let mut paths = vec![Vec::new()];
    while let Some(path) = paths.pop() {
        let whole = locate(&path, None);
        if let (Some(whole), Some(header), Some(text)) = (
            whole.clone(),
            locate(&path, Some(SectionText::Header)),
            locate(&path, Some(SectionText::Text)),
        ) {
            assert_eq!(
                (header.start, header.end, text.end),
                (whole.start, text.start, whole.end)
            );
        }
        assert_eq!(whole.is_some(), parts.binary(&path).is_some());
        assert_eq!(
            locate(&path, Some(SectionText::Mime)).is_some(),
            !path.is_empty()
        );
        for number in 1.. {
            let inner: Vec<u32> = path.iter().copied().chain([number]).collect();
            if parts.part_at(&inner).is_none() || paths.len() > 1_000 {
                break;
            }
            paths.push(inner);
        }
    }
}

proptest! {
    #[test]
    fn a_tree_is_found_again(
        tree in made(),
        crlf: bool,
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let line_end = if crlf { "\r\n" } else { "\n" };
        let message = tree.message(line_end);
        let found = index(message.as_bytes());
        let end = tree.check(&message, line_end, &found, 0);
        prop_assert_eq!(end, found.parts.len());
        prop_assert_eq!(&index_split(message.as_bytes(), &cuts), &found);
        check_sections(&found);
    }
}
