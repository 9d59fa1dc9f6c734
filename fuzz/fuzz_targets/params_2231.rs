//! Parameters of MIME fields (RFC 2045 §5.1, RFC 2231): any value is taken apart within limits, and
//! names found are found again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{limits::PARAMS_MAX, mime::params};

fuzz_target!(|value: &[u8]| {
    let parsed = params::parse(value, PARAMS_MAX);
    assert!(parsed.params.len() <= PARAMS_MAX);
    assert!(parsed.head.len() <= value.len());
    for param in &parsed.params {
        let Ok(name) = std::str::from_utf8(&param.name) else {
            continue;
        };
        // `name*` is the parameter `name`, with a charset.
        assert!(param.is(name.strip_suffix('*').unwrap_or(name)));
        let _ = param.is_extended();
        let decoded = param.decoded();
        assert!(decoded.len() <= 16 + 8 * value.len());
        let _ = params::decoded(&parsed.params, name);
    }
});
