//! Dates of messages and commands (RFC 5322 §3.3, RFC 9051 §9): what is read is a day of the
//! calendar and comes back from its parts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::date::{Date, DateTime, parse_rfc5322};

fuzz_target!(|value: &[u8]| {
    if let Some(read) = parse_rfc5322(value) {
        let civil = read.civil();
        assert_eq!(DateTime::from_civil(civil, read.offset_minutes), read);
        let date = read.date();
        assert_eq!(Date::new(date.year, date.month, date.day), Some(date));
        assert_eq!(Date::from_days(date.days()), date);
    }
    let _ = fuzz::command(&[b"SEARCH SENTSINCE ", value]);
    let _ = fuzz::command(&[b"APPEND x ", value, b" {0}"]);
});
