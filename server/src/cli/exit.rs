//! How the program ends: its exit codes and what each means.

use std::process::ExitCode;

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        /// How the program ends. The codes from 64 on are those of sysexits(3),
        /// which mail servers expect of `deliver`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit { $($(#[doc = $doc])+ $name),+ }

        impl Exit {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The number the shell sees.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code),+ }
            }

            /// What the code means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim()),+ }
            }
        }
    };
}

exits! {
    /// Fine.
    Fine = 0;
    /// Refused or failed; the reason is on standard error.
    Failed = 1;
    /// The configuration or the command line is wrong.
    Configuration = 2;
    /// A port cannot be bound.
    Port = 3;
    /// Another process has the store open.
    StoreInUse = 4;
    /// The store is damaged.
    StoreDamaged = 5;
    /// `deliver`: the command line is wrong (EX_USAGE).
    Usage = 64;
    /// `deliver`: the message cannot be taken as it is (EX_DATAERR).
    DataError = 65;
    /// `deliver`: there is no such account (EX_NOUSER).
    NoUser = 67;
    /// `deliver`: the account is disabled (EX_UNAVAILABLE).
    Unavailable = 69;
    /// `deliver`: a fault in the program (EX_SOFTWARE).
    Software = 70;
    /// `deliver`: try again later: over quota, disk full, store busy (EX_TEMPFAIL).
    TempFail = 75;
    /// `deliver`: this user may not deliver (EX_NOPERM).
    NoPermission = 77;
    /// `deliver`: the configuration is wrong (EX_CONFIG).
    DeliverConfiguration = 78;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
