//! SASL PLAIN and the lines it travels in (RFC 4616 §2, RFC 9051 §6.2.2): what is accepted is
//! exactly what was sent, within limits, and the password is not printed.
#![no_main]

use base64::{Engine as _, engine::general_purpose::STANDARD};
use libfuzzer_sys::fuzz_target;
use wire::{
    limits::{PASSWORD_BYTES_MAX, USER_BYTES_MAX},
    sasl::{Exchange, Line, Mechanism, Setting, Step, response_line},
};

fuzz_target!(|message: &[u8]| {
    if let Ok(Line::Response(response)) = response_line(message) {
        assert_eq!(STANDARD.encode(response.expose()).as_bytes(), message);
    }
    let (_, step) = Exchange::begin(Mechanism::Plain, Setting::default(), Some(message));
    let debug = format!("{step:?}");
    let (mut later, challenge) = Exchange::begin(Mechanism::Plain, Setting::default(), None);
    assert_eq!(challenge, Step::Challenge(Vec::new()));
    assert_eq!(later.step(message), step);
    let Step::Verify(credentials) = step else {
        return;
    };
    let act_as = credentials.act_as.as_deref().unwrap_or_default();
    let password = credentials.password.expose();
    let written = [act_as.as_bytes(), credentials.user.as_bytes(), password].join(&0);
    assert_eq!(written, message);
    assert!(!credentials.user.is_empty() && credentials.user.len() <= USER_BYTES_MAX);
    assert!(!password.is_empty() && password.len() <= PASSWORD_BYTES_MAX);
    assert!(debug.contains("[secret]"));
});
