//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8), and mailbox names
//! as they travel.

use mail::mailbox::SpecialUse;

/// A mailbox name as a client wrote it: the astring's bytes, not yet decoded.
///
/// How it reads depends on what the session has enabled: modified UTF-7 in an IMAP4rev1 session
/// (RFC 3501 §5.1.3), UTF-8 after ENABLE IMAP4rev2 or UTF8=ACCEPT (RFC 9051 Appendix A.1).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct WireName(pub Vec<u8>);

/// DELETE, SUBSCRIBE or UNSUBSCRIBE: one name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name(pub WireName);

/// CREATE's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Create {
    /// The new mailbox.
    pub mailbox: WireName,
    /// `USE (…)` (RFC 6154 §3); names that are no special use known here stand as `Err`.
    pub special_use: Vec<Result<SpecialUse, Box<str>>>,
}

/// RENAME's arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rename {
    /// The mailbox that is there.
    pub from: WireName,
    /// Its new name.
    pub to: WireName,
}
