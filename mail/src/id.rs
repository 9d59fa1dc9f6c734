//! Identifiers: each a type of its own, never zero, never reused.
//!
//! RFC 9051 §2.3.1.1 (UID, UIDVALIDITY) and RFC 7162 §3.1 (mod-sequences).

use std::{
    fmt,
    num::{NonZeroU32, NonZeroU64},
};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $nonzero:ty, $int:ty, $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name($nonzero);

        impl $name {
            /// The smallest identifier.
            pub const MIN: Self = Self(<$nonzero>::MIN);
            /// The greatest identifier.
            pub const MAX: Self = match <$nonzero>::new($max) {
                Some(max) => Self(max),
                None => Self::MIN,
            };

            /// The identifier with this number; `None` for 0 and for numbers above [`Self::MAX`].
            #[must_use]
            pub const fn new(number: $int) -> Option<Self> {
                match <$nonzero>::new(number) {
                    Some(value) if number <= Self::MAX.0.get() => Some(Self(value)),
                    _ => None,
                }
            }

            /// Its number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0.get()
            }

            /// The next identifier; `None` after [`Self::MAX`].
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                match self.0.get().checked_add(1) {
                    Some(number) => Self::new(number),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

identifier!(
    /// A message's permanent number in its mailbox (RFC 9051 §2.3.1.1).
    Uid, NonZeroU32, u32, u32::MAX
);
identifier!(
    /// The epoch of a mailbox's UIDs (RFC 9051 §2.3.1.1): with it a UID names a message for ever.
    UidValidity, NonZeroU32, u32, u32::MAX
);
identifier!(
    /// A mod-sequence: the moment of a message's last change, 1 to 2^63 − 1 (RFC 7162 §3.1).
    ModSeq, NonZeroU64, u64, i64::MAX.unsigned_abs()
);
identifier!(
    /// An account; an id is never handed out again, also after its account is removed.
    AccountId, NonZeroU64, u64, u64::MAX
);
identifier!(
    /// A mailbox; it survives RENAME and is never handed out again (RFC 8474 §4 MAILBOXID).
    MailboxId, NonZeroU64, u64, u64::MAX
);
identifier!(
    /// A stored message body; copies share it (RFC 8474 §5.1 EMAILID).
    BodyId, NonZeroU64, u64, u64::MAX
);
identifier!(
    /// A conversation (RFC 8474 §5.2 THREADID).
    ThreadId, NonZeroU64, u64, u64::MAX
);

/// A kind of message number that [`crate::set::Set`] can hold.
pub trait Number: Copy + Ord {
    /// The number itself, at least 1.
    fn number(self) -> u32;
    /// The identifier with this number; `None` for 0.
    fn from_number(number: u32) -> Option<Self>;
}

impl Number for Uid {
    fn number(self) -> u32 {
        self.get()
    }
    fn from_number(number: u32) -> Option<Self> {
        Self::new(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        assert_eq!(Uid::new(0), None);
        assert_eq!(Uid::MAX.next(), None);
        assert_eq!(ModSeq::new(1 << 63), None);
        assert_eq!(ModSeq::new((1 << 63) - 1), Some(ModSeq::MAX));
        assert_eq!(ModSeq::MAX.next(), None);
        assert_eq!(Uid::MIN.next().map(Uid::get), Some(2));
    }
}
