//! The kept form of a message's structure: any bytes are refused or read into parts that stay
//! within the message, and every section of them is answered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::structure::{Located, Parts, Section, SectionText, decode};

/// Sections asked of one structure.
const SECTIONS_MAX: usize = 200;

fuzz_target!(|bytes: &[u8]| {
    let Ok(parts) = decode(bytes) else { return };
    assert_eq!(decode(&parts.encode()).as_ref(), Ok(&parts));
    for part in 0..parts.parts.len().min(SECTIONS_MAX) {
        let _ = parts.children(part).count();
    }
    let mut paths = vec![Vec::new()];
    for _ in 0..SECTIONS_MAX {
        let Some(path) = paths.pop() else { break };
        answers(&parts, &path);
        for number in 1..=3 {
            let inner = [path.as_slice(), &[number]].concat();
            if parts.part_at(&inner).is_some() {
                paths.push(inner);
            }
        }
    }
});

fn answers(parts: &Parts, path: &[u32]) {
    let texts = [
        None,
        Some(SectionText::Header),
        Some(SectionText::Text),
        Some(SectionText::Mime),
        Some(SectionText::HeaderFields(vec![b"to"[..].into()])),
    ];
    for text in texts {
        let section = Section {
            path: path.to_vec(),
            text,
        };
        let range = match parts.locate(&section) {
            Some(Located::Bytes(range)) => range,
            Some(Located::Fields { header, .. }) => header,
            None => continue,
        };
        assert!(
            range.start <= range.end && range.end <= parts.size,
            "{range:?} of {}",
            parts.size
        );
    }
    let _ = parts.binary(path);
}
