//! Address lists and envelopes (RFC 5322 §3.4): bounded in number and length, whatever the bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{
    envelope::{Address, Envelope, addresses},
    limits::ENVELOPE_ADDRESSES_MAX,
};

fuzz_target!(|value: &[u8]| {
    for max in [0, 1, 7, ENVELOPE_ADDRESSES_MAX] {
        let found = addresses(value, max);
        assert!(found.len() <= max);
        assert!(length(&found) <= 2 * value.len());
        let mut whole = addresses(value, ENVELOPE_ADDRESSES_MAX);
        whole.truncate(max);
        assert_eq!(found, whole);
    }
    let envelope = Envelope::parse(value);
    let lists = [&envelope.from, &envelope.to, &envelope.cc, &envelope.bcc];
    let count: usize = lists.iter().map(|list| list.len()).sum();
    assert!(count <= ENVELOPE_ADDRESSES_MAX);
});

fn length(found: &[Address]) -> usize {
    let parts = |a: &Address| {
        [
            a.name.clone(),
            a.adl.clone(),
            a.mailbox.clone(),
            a.host.clone(),
        ]
    };
    found
        .iter()
        .flat_map(parts)
        .flatten()
        .map(|part| part.len())
        .sum()
}
