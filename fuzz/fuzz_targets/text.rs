//! The text of parts, for SEARCH and previews (RFC 8970 §3.1): any body in any pieces gives the same
//! text, of bounded length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{
    limits::PREVIEW_CHARS_MAX,
    structure::{PartSpan, Parts},
    text::{PartText, casemap, html_to_text, part_text, preview},
};

fuzz_target!(|message: &[u8]| {
    let parts = Parts::from(&mail::mime::index(message));
    for part in &parts.parts {
        let body = &message[part.body.start as usize..part.body.end as usize];
        let text = part_text(part, body);
        assert!(preview(&text).chars().count() <= PREVIEW_CHARS_MAX);
        let _ = casemap(&text);
        for pieces in fuzz::splits(body) {
            assert_eq!(in_pieces(part, &pieces), text);
        }
    }
    let html = String::from_utf8_lossy(message);
    assert!(html_to_text(&html).len() <= 16 + 4 * html.len());
});

fn in_pieces(part: &PartSpan, pieces: &[&[u8]]) -> String {
    let mut out = String::new();
    if let Some(mut text) = PartText::new(part) {
        pieces.iter().for_each(|piece| text.push(piece, &mut out));
        text.finish(&mut out);
    }
    out
}
