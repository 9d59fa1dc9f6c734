//! The PROXY header (wire::proxy): any bytes are read or refused, the length is what the header
//! says, and what comes after it changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::{
    limits::PROXY_HEADER_BYTES_MAX,
    proxy::{FIXED_BYTES, Fault, start},
};

fuzz_target!(|bytes: &[u8]| {
    let Some((fixed, rest)) = bytes.split_first_chunk::<FIXED_BYTES>() else {
        return;
    };
    let begun = match start(fixed) {
        Ok(begun) => begun,
        Err(fault) => return assert!(!fault.to_string().is_empty()),
    };
    assert!(begun.rest_bytes <= PROXY_HEADER_BYTES_MAX);
    let Some(own) = rest.get(..begun.rest_bytes) else {
        return;
    };
    let header = begun.finish(own);
    assert_eq!(start(fixed).and_then(|again| again.finish(own)), header);
    if let Err(fault) = header {
        assert_eq!(fault, Fault::Short);
    }
});
