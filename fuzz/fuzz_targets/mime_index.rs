//! The structure of any bytes as a message (RFC 2045, RFC 2046): the same in any pieces, all ranges
//! within it, kept and read back, and decoded sizes true.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{
    limits::Parsing,
    mime::{Index, Indexer, index},
    structure::{self, Parts},
};

fuzz_target!(|message: &[u8]| {
    let found = index(message);
    assert_eq!(found.size, message.len() as u64);
    for pieces in fuzz::splits(message) {
        assert_eq!(in_pieces(&pieces), found);
    }
    let parts = Parts::from(&found);
    assert_eq!(
        structure::decode(&structure::encode(&found)).as_ref(),
        Ok(&parts)
    );
    for part in &parts.parts {
        assert!(part.header.start <= part.header.end && part.header.end <= part.body.start);
        assert!(part.body.start <= part.body.end && part.body.end <= found.size);
        let body = &message[part.body.start as usize..part.body.end as usize];
        let decoded = part.encoding.decode(body).map(|bytes| bytes.len() as u64);
        assert!(decoded.is_none() || decoded == part.decoded_size);
        let lines = body.iter().filter(|&&b| b == b'\n').count() as u64;
        assert_eq!(part.lines, lines);
    }
});

fn in_pieces(pieces: &[&[u8]]) -> Index {
    let mut indexer = Indexer::new(Parsing::DEFAULT);
    pieces.iter().for_each(|piece| indexer.push(piece));
    indexer.finish()
}
