//! Modified UTF-7 (RFC 3501 §5.1.3): every text has one spelling that reads back as it, and only
//! that spelling is canonical.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::utf7;

fuzz_target!(|spelling: &[u8]| {
    let read = utf7::decode(spelling);
    let is_canonical = read
        .as_ref()
        .is_some_and(|name| utf7::encode(name).as_bytes() == spelling);
    assert_eq!(utf7::is_canonical(spelling), is_canonical);
    let names = [read, String::from_utf8(spelling.to_vec()).ok()];
    for name in names.into_iter().flatten() {
        let written = utf7::encode(&name);
        assert!(written.bytes().all(|b| matches!(b, b' '..=b'~')));
        assert_eq!(utf7::decode(written.as_bytes()), Some(name));
    }
});
