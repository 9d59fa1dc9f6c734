//! Reads one message on standard input and prints its part tree as JSON, for comparing it with
//! what other programs find.

use std::io::{Read, Write};

use mail::{
    limits::Parsing,
    mime::{Index, Indexer, PartKind},
};

fn main() -> std::io::Result<()> {
    let mut indexer = Indexer::new(Parsing::DEFAULT);
    let mut input = std::io::stdin().lock();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = input.read(&mut piece)?;
        let Some(read) = piece.get(..length).filter(|read| !read.is_empty()) else {
            break;
        };
        indexer.push(read);
    }
    let mut out = String::new();
    part(&indexer.finish(), 0, &mut out);
    writeln!(std::io::stdout().lock(), "{out}")
}

/// One part and those inside it; the indexer limits the depth.
fn part(index: &Index, at: usize, out: &mut String) {
    let Some(part) = index.parts.get(at) else {
        return;
    };
    let kind = match part.kind {
        PartKind::Multipart => "multipart",
        PartKind::Message => "message",
        PartKind::Leaf => "leaf",
    };
    let name = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let decoded_size = part
        .decoded_size
        .map_or("null".to_owned(), |size| size.to_string());
    out.push_str(&format!(
        r#"{{"kind":"{kind}","type":"{}/{}","header":[{},{}],"body":[{},{}],"lines":{},"#,
        name(&part.media.media_type),
        name(&part.media.subtype),
        part.header.start,
        part.header.end,
        part.body.start,
        part.body.end,
        part.lines,
    ));
    out.push_str(&format!(r#""decoded_size":{decoded_size},"parts":["#));
    for (nth, child) in index.children(at).enumerate() {
        if nth > 0 {
            out.push(',');
        }
        self::part(index, child, out);
    }
    out.push_str("]}");
}
