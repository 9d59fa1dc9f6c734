//! LIST patterns (RFC 9051 §6.3.9) against a slow matcher that follows the text of the RFC: the
//! input is a pattern and a name, with a line end between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mailbox::{MailboxName, Pattern, SEPARATOR};
use unicode_normalization::UnicodeNormalization as _;

/// Names and patterns longer than this cost the slow matcher too much.
const CHARS_MAX: usize = 40;

fuzz_target!(|input: &str| {
    let Some((pattern, name)) = input.split_once('\n') else {
        return;
    };
    if pattern.chars().filter(|c| "*%".contains(*c)).count() > 6
        || input.chars().count() > CHARS_MAX
    {
        return;
    }
    let Ok(name) = MailboxName::new(name) else {
        return;
    };
    let key = name.key();
    let wanted = slow(&chars(&with_inbox(pattern)), &chars(key.as_str()));
    assert_eq!(Pattern::new(pattern).matches(&key), wanted);
});

fn chars(text: &str) -> Vec<char> {
    text.nfc().collect()
}

/// INBOX is one mailbox in any case (RFC 9051 §5.1).
fn with_inbox(pattern: &str) -> String {
    let end = pattern.find(SEPARATOR).unwrap_or(pattern.len());
    match pattern.split_at(end) {
        (first, rest) if first.eq_ignore_ascii_case("inbox") => format!("INBOX{rest}"),
        _ => pattern.to_owned(),
    }
}

fn slow(pattern: &[char], name: &[char]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((wildcard @ ('*' | '%'), after)), rest) => {
            slow(after, name)
                || rest.is_some_and(|(c, name)| {
                    (*wildcard == '*' || *c != SEPARATOR) && slow(pattern, name)
                })
        }
        (Some((wanted, pattern)), Some((c, name))) => wanted == c && slow(pattern, name),
        (Some(_), None) => false,
    }
}
