//! ANONYMOUS (RFC 4505): the client's one message says, if it likes, who is there; it means nothing
//! and is only written to the log.

use stringprep::tables;

use super::{Fault, Step};

/// A token is at most 255 characters (RFC 4505 §2); the same is asked of an address.
const TRACE_CHARS_MAX: usize = 255;

pub(super) fn step(message: &[u8]) -> Step {
    let Ok(trace) = str::from_utf8(message) else {
        return Step::Fail(Fault::Malformed);
    };
    if trace.chars().any(is_prohibited) {
        return Step::Fail(Fault::Malformed);
    }
    match trace.chars().nth(TRACE_CHARS_MAX) {
        Some(_) => Step::Fail(Fault::TooLong),
        None => Step::Anonymous {
            trace: trace.into(),
        },
    }
}

/// What the trace profile prohibits (RFC 4505 §3), which is what could disturb a log.
fn is_prohibited(c: char) -> bool {
    tables::ascii_control_character(c)
        || tables::non_ascii_control_character(c)
        || tables::private_use(c)
        || tables::non_character_code_point(c)
        || tables::inappropriate_for_plain_text(c)
        || tables::change_display_properties_or_deprecated(c)
        || tables::tagging_character(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces() {
        for good in ["", "sirhc", "fred@example.com", "Jürgen 🦀"] {
            let trace = good.into();
            assert_eq!(step(good.as_bytes()), Step::Anonymous { trace });
        }
        for bad in ["a\nb", "\0", "\u{202e}x", "\u{e000}", "\u{7f}"] {
            assert_eq!(
                step(bad.as_bytes()),
                Step::Fail(Fault::Malformed),
                "{bad:?}"
            );
        }
        assert_eq!(step(b"\xff"), Step::Fail(Fault::Malformed));
        let long = "é".repeat(TRACE_CHARS_MAX);
        assert!(matches!(step(long.as_bytes()), Step::Anonymous { .. }));
        let longer = format!("{long}x");
        assert_eq!(step(longer.as_bytes()), Step::Fail(Fault::TooLong));
    }
}
