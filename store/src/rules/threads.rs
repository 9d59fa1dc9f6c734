//! Which conversation a message belongs to (RFC 8474 §5.2; as RFC 8621 §3 suggests).
//!
//! Two messages are of one conversation if an identifier stands in both of them, in Message-ID,
//! In-Reply-To or References, and their subjects are the same but for what is put in front of a
//! subject on the way. A message's conversation is decided once, when it is stored, and is the
//! first that one of its identifiers is known from; it stays for ever, also if a later message shows
//! that two conversations are one.

use crate::contract::Static;

/// Identifiers of a message that are looked up, so that the cost of a delivery is bounded.
const KEYS_MAX: usize = 32;
/// Of a longer list, so many at its beginning: In-Reply-To, and the first of References.
const KEYS_FIRST: usize = 8;
/// A word in front of a colon that is no longer than this is a mark such as `Re`, characters.
const MARK_CHARS_MAX: usize = 10;

/// An identifier under a subject, hashed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ThreadKey(pub(crate) u64);

/// The keys of a message, those that say most of its conversation first: its own, of what it
/// answers, of what came before that.
pub(crate) fn keys(fixed: &Static) -> Vec<ThreadKey> {
    let mut subject = blake3::Hasher::new();
    subject.update(&base_subject(fixed).into_bytes());
    subject.update(b"\0");
    let key = |id: &str| {
        let hash = subject.clone().update(id.as_bytes()).finalize();
        let (first, _) = hash
            .as_bytes()
            .split_first_chunk()
            .unwrap_or((&[0; 8], &[]));
        ThreadKey(u64::from_le_bytes(*first))
    };
    let ids = &fixed.thread_keys;
    let skipped = ids.len().saturating_sub(KEYS_MAX);
    let kept = |at: usize| at < KEYS_FIRST || at >= KEYS_FIRST + skipped;
    let ids = ids.iter().enumerate().filter(|(at, _)| kept(*at));
    // Without a Message-ID the first is empty.
    let ids = ids.filter(|(_, id)| !id.is_empty());
    ids.map(|(_, id)| key(id)).collect()
}

/// The subject without marks of answers and lists, spaces and case.
fn base_subject(fixed: &Static) -> String {
    let field = fixed.fields.iter().find(|(name, _)| &**name == "subject");
    let mut rest = field.map_or("", |(_, value)| value.trim());
    while let Some(less) = without_mark(rest) {
        rest = less.trim_start();
    }
    let kept = rest.chars().filter(|c| !c.is_whitespace());
    kept.flat_map(char::to_lowercase).collect()
}

/// What is behind `Re:`, `AW[2]:`, `回复：` or `[list]`; `None` if it begins with no such mark. What is
/// taken for one and is none costs nothing: an identifier must be the same too.
fn without_mark(subject: &str) -> Option<&str> {
    if let Some(inner) = subject.strip_prefix('[') {
        return inner.split_once(']').map(|(_, rest)| rest);
    }
    let word = subject.find(|c: char| !c.is_alphanumeric())?;
    let (mark, rest) = subject.split_at(word);
    if mark.is_empty() || mark.chars().count() > MARK_CHARS_MAX {
        return None;
    }
    let rest = rest.trim_start();
    let counted = rest.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let is_count = |count: &str| count.bytes().all(|b| b.is_ascii_digit());
    let rest = match counted {
        Some((count, rest)) if is_count(count) => rest.trim_start(),
        _ => rest,
    };
    rest.strip_prefix(':').or_else(|| rest.strip_prefix('：'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &str, ids: &[&str]) -> Static {
        Static {
            fields: vec![("subject".into(), subject.into())],
            thread_keys: ids.iter().map(|id| (*id).into()).collect(),
            ..Static::default()
        }
    }

    #[test]
    fn marks_in_front_of_a_subject_do_not_count() {
        let base = |subject: &str| base_subject(&message(subject, &[]));
        for subject in [
            "Lunch on Friday",
            "Re: lunch on friday",
            "AW: Re[2]: Fwd: Lunch on Friday",
            "[team] RE : [EXT] Lunch  on\tFriday ",
            "回复：Lunch on Friday",
            "Отв: Lunch on Friday",
        ] {
            assert_eq!(base(subject), "lunchonfriday", "{subject}");
        }
        assert_eq!(base("Re:"), "");
        assert_eq!(base("[open"), "[open");
        assert_eq!(base("considerations: a"), "considerations:a");
        assert_eq!(base("Re[x]: a"), "re[x]:a");
        assert_eq!(base_subject(&Static::default()), "");
    }

    #[test]
    fn keys_are_of_identifier_and_subject() {
        let first = keys(&message("Lunch", &["a@x"]));
        let answer = keys(&message("Re: Lunch", &["b@x", "a@x"]));
        assert_eq!((first.len(), answer.len()), (1, 2));
        assert_eq!(first[0], answer[1]);
        assert_ne!(keys(&message("Dinner", &["a@x"])), first);
        // Nothing is said by having no Message-ID.
        assert_eq!(keys(&message("Lunch", &["", "a@x"])), first);
        assert_eq!(keys(&message("Lunch", &[""])), []);
    }

    #[test]
    fn of_many_identifiers_the_first_and_the_last_count() {
        let ids: Vec<String> = (0..100).map(|n| format!("{n}@x")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let kept = keys(&message("s", &ids));
        assert_eq!(kept.len(), KEYS_MAX);
        assert_eq!(kept[..KEYS_FIRST], keys(&message("s", &ids[..KEYS_FIRST])));
        let last = keys(&message("s", &ids[100 - (KEYS_MAX - KEYS_FIRST)..]));
        assert_eq!(kept[KEYS_FIRST..], last);
    }
}
