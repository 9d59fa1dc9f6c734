//! Response codes with their data (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7889, RFC 7162 §7).

use super::{
    mailbox::flag_list,
    number_set,
    text::{Quoting, astring, list, number, set},
};
use crate::imap::code::{Code, NewKeywords};

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
        Code::Capability(capabilities) => {
            out.push(b' ');
            out.extend_from_slice(capabilities.as_bytes());
        }
        Code::PermanentFlags(system, keywords, new) => {
            out.push(b' ');
            let star = matches!(new, NewKeywords::Allowed).then_some("\\*");
            flag_list(out, *system, keywords, star);
        }
        Code::UidNext(uid) => numbered(out, u64::from(uid.get())),
        Code::UidValidity(uid_validity) => numbered(out, u64::from(uid_validity.get())),
        Code::Unseen(seq) => numbered(out, u64::from(seq.get())),
        _ => {}
    }
}

fn numbered(out: &mut Vec<u8>, value: u64) {
    out.push(b' ');
    number(out, value);
}
