//! Modified UTF-7, the spelling of mailbox names in IMAP4rev1 (RFC 3501 §5.1.3).
//!
//! Reading is lenient in what RFC 3501 calls superfluous shifts; whether a spelling is the
//! canonical one is seen by writing the name again.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::IMAP_MUTF7,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Writes a name in modified UTF-7, canonically.
#[must_use]
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            unshift(&mut out, &mut shifted);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            let mut units = [0; 2];
            let units = c.encode_utf16(&mut units).iter();
            shifted.extend(units.flat_map(|unit| unit.to_be_bytes()));
        }
    }
    unshift(&mut out, &mut shifted);
    out
}

fn unshift(out: &mut String, shifted: &mut Vec<u8>) {
    if !shifted.is_empty() {
        out.push('&');
        BASE64.encode_string(&shifted, out);
        out.push('-');
        shifted.clear();
    }
}

/// Reads modified UTF-7; `None` if it is not, by a byte outside of printable ASCII, a shift that
/// does not end, or base64 that is not UTF-16.
#[must_use]
pub fn decode(spelling: &[u8]) -> Option<String> {
    let spelling = str::from_utf8(spelling).ok()?;
    let mut out = String::with_capacity(spelling.len());
    let mut rest = spelling;
    while let Some((plain, shifted)) = rest.split_once('&') {
        plain_text(&mut out, plain)?;
        let (base64, after) = shifted.split_once('-')?;
        if base64.is_empty() {
            out.push('&');
        } else {
            shifted_text(&mut out, base64)?;
        }
        rest = after;
    }
    plain_text(&mut out, rest)?;
    Some(out)
}

/// Whether this is how [`encode`] writes the name it spells: what CREATE takes (RFC 9051
/// Appendix A.1 leaves names of IMAP4rev1 clients as they are, so there must be one spelling).
#[must_use]
pub fn is_canonical(spelling: &[u8]) -> bool {
    decode(spelling).is_some_and(|name| encode(&name).as_bytes() == spelling)
}

fn plain_text(out: &mut String, text: &str) -> Option<()> {
    out.push_str(text);
    text.bytes().all(|b| matches!(b, b' '..=b'~')).then_some(())
}

fn shifted_text(out: &mut String, base64: &str) -> Option<()> {
    let bytes = BASE64.decode(base64).ok()?;
    let (pairs, odd) = bytes.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() {
        return None;
    }
    for c in char::decode_utf16(pairs.iter().map(|&pair| u16::from_be_bytes(pair))) {
        out.push(c.ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_answers() {
        let check = |name: &str, spelling: &str| {
            assert_eq!(encode(name), spelling);
            assert_eq!(decode(spelling.as_bytes()).as_deref(), Some(name));
        };
        check("Entwürfe", "Entw&APw-rfe");
        check("~peter/mail/台北/日本語", "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        check("a&b", "a&-b");
        check("😀", "&2D3eAA-");
        check("", "");
    }

    #[test]
    fn refuses_what_is_not_modified_utf7() {
        for bad in ["&", "&APw", "ä", "\u{7}", "&A-", "&2D0-", "&AP/-", "&AP=-"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(decode(b"\xff"), None);
    }

    #[test]
    fn superfluous_shifts_are_read_and_not_written() {
        for odd in ["&AGE-", "&AOQ-&AOQ-", "&AOR-"] {
            let name = decode(odd.as_bytes()).unwrap();
            assert_ne!(encode(&name), odd);
            assert!(!is_canonical(odd.as_bytes()));
        }
    }

    #[test]
    fn rule_50_and_threat_24_every_character_has_one_spelling() {
        // Every character of the first planes' scripts, and every seventh of the rest.
        let all = (0..0x3000u32).chain((0x3000..=0x10_ffff).step_by(7));
        for c in all.filter_map(char::from_u32) {
            for name in [format!("{c}"), format!("a{c}{c}&")] {
                let spelling = encode(&name);
                assert!(
                    spelling.bytes().all(|b| matches!(b, b' '..=b'~')),
                    "{name:?}"
                );
                assert_eq!(decode(spelling.as_bytes()).as_ref(), Some(&name));
                assert!(is_canonical(spelling.as_bytes()), "{name:?}");
            }
        }
        for not in [
            "&",
            "&AGE-",
            "&APw",
            "&2D0-",
            "&3gA-",
            "&AA-",
            "&APw-&APw-",
            "\u{fc}",
        ] {
            assert!(!is_canonical(not.as_bytes()), "{not}");
        }
    }

    proptest! {
        #[test]
        fn goes_both_ways(name in "\\PC*") {
            prop_assert_eq!(decode(encode(&name).as_bytes()), Some(name));
        }
    }
}
