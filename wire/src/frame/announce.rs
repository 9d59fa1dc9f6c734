//! Finds the literal that a line announces at its end (RFC 9051 §4.3, RFC 7888), byte by byte, in
//! constant memory.

/// A reader of one line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Announcement {
    /// The bytes so far do not end in the beginning of an announcement.
    #[default]
    None,
    /// They end in `{`.
    Open,
    /// They end in `{` and digits: the number, if it is below 2^63.
    Digits(Option<u64>),
    /// They end in `{`, digits and `+`.
    Plus(Option<u64>),
    /// They end in an announcement of so many bytes.
    Closed(u64, Waits),
}

/// Whether the client waits for `+`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Waits {
    /// `{n}`
    Yes,
    /// `{n+}`
    No,
}

impl Announcement {
    /// After one more byte. Numbers of 2^63 and above announce nothing: such a line is an error,
    /// and the next line is the next command.
    pub(super) fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (_, b'{') => Self::Open,
            (Self::Open, b'0'..=b'9') => Self::Digits(digit(Some(0), byte)),
            (Self::Digits(size), b'0'..=b'9') => Self::Digits(digit(size, byte)),
            (Self::Digits(size), b'+') => Self::Plus(size),
            (Self::Digits(Some(size)), b'}') => Self::Closed(size, Waits::Yes),
            (Self::Plus(Some(size)), b'}') => Self::Closed(size, Waits::No),
            _ => Self::None,
        }
    }

    /// What the whole line, without its end, announces.
    pub(super) fn of(line: &[u8]) -> Option<(u64, Waits)> {
        let start = memchr::memrchr(b'{', line)?;
        let end = line.get(start..)?.iter().copied();
        end.fold(Self::None, Self::after).closed()
    }

    /// What was announced, if the line ends here.
    pub(super) const fn closed(self) -> Option<(u64, Waits)> {
        match self {
            Self::Closed(size, waits) => Some((size, waits)),
            _ => None,
        }
    }
}

fn digit(size: Option<u64>, byte: u8) -> Option<u64> {
    size?
        .checked_mul(10)?
        .checked_add(u64::from(byte.saturating_sub(b'0')))
        .filter(|&size| i64::try_from(size).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn announcements() {
        let check =
            |line: &str, want| assert_eq!(Announcement::of(line.as_bytes()), want, "{line}");
        check("a LOGIN {5}", Some((5, Waits::Yes)));
        check("a LOGIN {0005+}", Some((5, Waits::No)));
        check("~{0}", Some((0, Waits::Yes)));
        check("{9223372036854775807+}", Some((i64::MAX as u64, Waits::No)));
        check("{{3}", Some((3, Waits::Yes)));
        for none in [
            "",
            "{",
            "{}",
            "{-1}",
            "{1",
            "{+}",
            "{1++}",
            "{1+",
            "{1}x",
            "{ 1}",
            "{1-}",
            "x}",
            "{9223372036854775808+}",
            "{18446744073709551616}",
            "\"{1}\"",
        ] {
            check(none, None);
        }
    }
}
