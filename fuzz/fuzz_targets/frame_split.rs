//! Whatever the pieces in which bytes arrive, the framer finds the same commands and errors
//! (RFC 9051 §2.2.1, RFC 7888), before and after login.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wire::limits::Limits;

fuzz_target!(|input: &[u8]| {
    for limits in [&Limits::BEFORE_LOGIN, &Limits::AFTER_LOGIN] {
        let whole = fuzz::frames(&[input], limits);
        for pieces in fuzz::splits(input) {
            assert_eq!(fuzz::frames(&pieces, limits), whole);
        }
    }
});
