//! Encoded words (RFC 2047): any header value becomes text of bounded length, and plain ASCII stays
//! as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mime::words;

fuzz_target!(|value: &[u8]| {
    let text = words::decode(value);
    // No charset makes more than a few characters of a byte.
    assert!(
        text.len() <= 16 + 8 * value.len(),
        "{} from {}",
        text.len(),
        value.len()
    );
    let is_plain = value.is_ascii() && !value.windows(2).any(|pair| pair == b"=?");
    // ESC and `+`, `~` begin shifts in charsets that may be tried for undeclared bytes.
    if is_plain && !value.contains(&0x1b) {
        assert_eq!(text.as_bytes(), value);
    }
});
