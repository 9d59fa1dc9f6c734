//! Response codes with their data (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7889).

use mail::{
    flag::SystemFlags,
    id::{Uid, UidValidity},
    set::UidSet,
};

use super::sequence::Seq;

/// What stands in brackets after OK, NO, BAD, PREAUTH or BYE.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Code {
    /// ALERT
    Alert,
    /// ALREADYEXISTS
    AlreadyExists,
    /// APPENDUID (RFC 9051 §7.1): the UIDs in the order of the messages
    AppendUid(UidValidity, UidSet),
    /// AUTHENTICATIONFAILED
    AuthenticationFailed,
    /// AUTHORIZATIONFAILED
    AuthorizationFailed,
    /// BADCHARSET, with the charsets that are supported
    BadCharset(&'static [&'static str]),
    /// CANNOT
    Cannot,
    /// CAPABILITY: every capability, already joined by single spaces
    Capability(String),
    /// CLIENTBUG
    ClientBug,
    /// CLOSED
    Closed,
    /// COPYUID: uid_validity of the target, source UIDs, and target UIDs in the same order
    CopyUid(UidValidity, UidSet, UidSet),
    /// EXPIRED
    Expired,
    /// EXPUNGEISSUED
    ExpungeIssued,
    /// HASCHILDREN
    HasChildren,
    /// INUSE
    InUse,
    /// LIMIT
    Limit,
    /// NONEXISTENT
    NonExistent,
    /// NOPERM
    NoPerm,
    /// NOTSAVED
    NotSaved,
    /// OVERQUOTA
    OverQuota,
    /// PARSE
    Parse,
    /// PERMANENTFLAGS: system flags, keywords, and whether new keywords may be made (`\*`)
    PermanentFlags(SystemFlags, Vec<mail::flag::Keyword>, NewKeywords),
    /// PRIVACYREQUIRED
    PrivacyRequired,
    /// READ-ONLY
    ReadOnly,
    /// READ-WRITE
    ReadWrite,
    /// SERVERBUG
    ServerBug,
    /// TOOBIG (RFC 7888 §5)
    TooBig,
    /// TRYCREATE
    TryCreate,
    /// UIDNEXT
    UidNext(Uid),
    /// UIDNOTSTICKY
    UidNotSticky,
    /// UIDVALIDITY
    UidValidity(UidValidity),
    /// UNAVAILABLE
    Unavailable,
    /// UNKNOWN-CTE
    UnknownCte,
    /// UNSEEN (RFC 3501 §7.1): the first unseen message
    Unseen(Seq),
    /// USEATTR (RFC 6154 §3)
    UseAttr,
}

/// Whether clients may make new keywords in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewKeywords {
    /// `\*` is listed.
    Allowed,
    /// It is not.
    Refused,
}
