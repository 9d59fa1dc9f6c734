//! What fuzz targets reach of the engine: the readers of bytes that lie on disk. It exists in their
//! builds only (`--cfg fuzzing`).

use crate::embedded::{
    codec::{Writer, records},
    frame::{HEADER_BYTES, Header, Salt, Start},
};

/// The header, the start and the records of a frame of the log: whatever the bytes are, each is an
/// error or a value that is written and read back as it is (threat 35).
pub fn log_frame(bytes: &[u8]) {
    if let Some((covered, _)) = bytes.split_at_checked(HEADER_BYTES - 4) {
        // With the right checksum, which no mutation would find.
        let checked = [covered, &Salt::NONE.crc(covered).to_le_bytes()].concat();
        if let Some(header) = Header::decode(&checked, Salt::NONE) {
            assert_eq!(header.encode(Salt::NONE)[..], checked);
        }
    }
    if let Ok(start) = Start::decode(bytes) {
        assert_eq!(start.encode(), bytes);
    }
    let Ok((transaction, placed)) = records::payload(bytes) else {
        return;
    };
    assert!(placed.iter().all(|(_, at)| *at <= bytes.len()));
    let mut written = Writer::default();
    records::begin(&mut written, transaction.time_secs, &transaction.origin);
    for record in &transaction.records {
        records::encode(&mut written, record, &mut Vec::new());
    }
    let again = records::payload(&written.0);
    assert!(again.is_ok_and(|(again, _)| again.records == transaction.records));
}

/// A mailbox's entry and packed rows of the index, likewise.
pub fn index_entry(bytes: &[u8]) {
    crate::embedded::index::fuzz_entry(bytes);
}
