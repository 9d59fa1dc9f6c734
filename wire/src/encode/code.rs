//! Response codes with their data (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7889, RFC 7162 §7).

use super::{
    mailbox::flag_list,
    number_set,
    text::{Quoting, astring, list, number, set, string},
};
use crate::imap::{
    code::{Code, NewKeywords},
    notify::EVENTS,
    object_id,
};

/// Writes `[CODE …] `; nothing for a code whose data is missing.
pub(super) fn bracketed(out: &mut Vec<u8>, code: Option<&Code>) {
    let Some(code) = code.filter(|code| has_data(code)) else {
        return;
    };
    out.push(b'[');
    out.extend_from_slice(code.name().as_bytes());
    data(out, code);
    out.extend_from_slice(b"] ");
}

/// A set has at least one number (RFC 9051 §9 `uid-set`): without, there is no such code.
fn has_data(code: &Code) -> bool {
    match code {
        Code::AppendUid(_, uids) => !uids.is_empty(),
        Code::CopyUid(_, source, target) => !source.is_empty() && !target.is_empty(),
        Code::Modified(left) => !left.is_empty(),
        _ => true,
    }
}

fn data(out: &mut Vec<u8>, code: &Code) {
    match code {
        Code::AppendUid(uid_validity, uids) => {
            numbered(out, u64::from(uid_validity.get()));
            out.push(b' ');
            set(out, uids);
        }
        Code::CopyUid(uid_validity, source, target) => {
            numbered(out, u64::from(uid_validity.get()));
            out.push(b' ');
            set(out, source);
            out.push(b' ');
            set(out, target);
        }
        Code::HighestModSeq(mod_seq) => numbered(out, mod_seq.get()),
        Code::Modified(left) => {
            out.push(b' ');
            number_set(out, left);
        }
        Code::BadCharset(charsets) if !charsets.is_empty() => {
            out.push(b' ');
            list(out, *charsets, |out, charset| {
                astring(out, charset.as_bytes(), Quoting::Ascii);
            });
        }
        Code::BadEvent => {
            out.push(b' ');
            list(out, &EVENTS, |out, event| {
                out.extend_from_slice(event.as_bytes())
            });
        }
        Code::Capability(capabilities) => {
            out.push(b' ');
            out.extend_from_slice(capabilities.as_bytes());
        }
        Code::InProgress(tag, state) => {
            out.extend_from_slice(b" (");
            in_progress(out, &tag.0, *state);
            out.push(b')');
        }
        Code::MessageLimit(limit, lowest) => {
            numbered(out, u64::from(*limit));
            if let Some(uid) = lowest {
                numbered(out, u64::from(uid.get()));
            }
        }
        Code::PermanentFlags(system, keywords, new) => {
            out.push(b' ');
            let star = matches!(new, NewKeywords::Allowed).then_some("\\*");
            flag_list(out, *system, keywords, star);
        }
        Code::MailboxId(id) => {
            out.push(b' ');
            object_id::mailbox(out, *id);
        }
        Code::UidNext(uid) => numbered(out, u64::from(uid.get())),
        Code::UidValidity(uid_validity) => numbered(out, u64::from(uid_validity.get())),
        Code::Unseen(seq) => numbered(out, u64::from(seq.get())),
        _ => {}
    }
}

/// ```abnf
/// inprogress-tag SP inprogress-state
/// ```
///
/// RFC 9585 §5. A tag with `]` would end the code (§4), and what is done is less than the goal.
fn in_progress(out: &mut Vec<u8>, tag: &str, state: Option<(u32, Option<u32>)>) {
    match tag.contains(']') {
        true => out.extend_from_slice(b"NIL"),
        false => string(out, tag.as_bytes(), Quoting::Ascii),
    }
    let Some((done, goal)) = state else {
        return out.extend_from_slice(b" NIL NIL");
    };
    let goal = goal.filter(|goal| *goal > done);
    numbered(out, u64::from(done));
    match goal {
        Some(goal) => numbered(out, u64::from(goal)),
        None => out.extend_from_slice(b" NIL"),
    }
}

fn numbered(out: &mut Vec<u8>, value: u64) {
    out.push(b' ');
    number(out, value);
}
