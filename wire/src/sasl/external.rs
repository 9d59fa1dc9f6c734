//! EXTERNAL (RFC 4422 appendix A): the client is who its TLS certificate says. Its one message is
//! who it wants to act as, or empty.

use super::{Fault, Step};
use crate::limits::USER_BYTES_MAX;

pub(super) fn step(message: &[u8]) -> Step {
    let Ok(act_as) = str::from_utf8(message) else {
        return Step::Fail(Fault::Malformed);
    };
    match act_as.len() {
        _ if act_as.contains('\0') => Step::Fail(Fault::Malformed),
        0 => Step::External { act_as: None },
        length if length > USER_BYTES_MAX => Step::Fail(Fault::TooLong),
        _ => Step::External {
            act_as: Some(act_as.into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_nothing() {
        assert_eq!(step(b""), Step::External { act_as: None });
        let act_as = Some("jürgen@example.com".into());
        assert_eq!(
            step("jürgen@example.com".as_bytes()),
            Step::External { act_as }
        );
        assert_eq!(step(b"a\0b"), Step::Fail(Fault::Malformed));
        assert_eq!(step(b"\xc3"), Step::Fail(Fault::Malformed));
        let long = [b'x'; USER_BYTES_MAX + 1];
        assert_eq!(step(&long), Step::Fail(Fault::TooLong));
    }
}
