//! Response codes with their data (RFC 9051 §7.1, RFC 5530, RFC 4315, RFC 7889, RFC 7162 §7, RFC 8474,
//! RFC 5465).

use mail::{
    flag::SystemFlags,
    id::{MailboxId, ModSeq, Uid, UidValidity},
    set::UidSet,
};

use super::{command::Tag, response::NumberSet, sequence::Seq};

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
    /// BADEVENT (RFC 5465 §3.1): the events that are supported
    BadEvent,
    /// CANNOT
    Cannot,
    /// CAPABILITY: every capability, already joined by single spaces
    Capability(String),
    /// CLIENTBUG
    ClientBug,
    /// CLOSED
    Closed,
    /// COMPRESSIONACTIVE (RFC 4978 §3)
    CompressionActive,
    /// CONTACTADMIN
    ContactAdmin,
    /// CORRUPTION
    Corruption,
    /// COPYUID: uid_validity of the target, source UIDs, and target UIDs in the same order
    CopyUid(UidValidity, UidSet, UidSet),
    /// EXPIRED
    Expired,
    /// EXPUNGEISSUED
    ExpungeIssued,
    /// HASCHILDREN
    HasChildren,
    /// HIGHESTMODSEQ (RFC 7162 §3.1.2.1)
    HighestModSeq(ModSeq),
    /// INPROGRESS (RFC 9585 §4): the command's tag, how much is done, and of how much, as far as
    /// that is known
    InProgress(Tag, Option<(u32, Option<u32>)>),
    /// INUSE
    InUse,
    /// LIMIT
    Limit,
    /// MAILBOXID (RFC 8474 §4.1, §4.2)
    MailboxId(MailboxId),
    /// MESSAGELIMIT (RFC 9738 §3.1): the limit, and the lowest UID that was worked on
    MessageLimit(u32, Option<Uid>),
    /// MODIFIED (RFC 7162 §3.1.3): the messages that a conditional STORE left alone
    Modified(NumberSet),
    /// NONEXISTENT
    NonExistent,
    /// NOPERM
    NoPerm,
    /// NOTIFICATIONOVERFLOW (RFC 5465 §5.8)
    NotificationOverflow,
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
    /// TOOFEW (RFC 10022 §3.1.3.2)
    TooFew,
    /// TOOMANY (RFC 10022 §3.1.5)
    TooMany,
    /// TRYCREATE
    TryCreate,
    /// UIDNEXT
    UidNext(Uid),
    /// UIDNOTSTICKY
    UidNotSticky,
    /// UIDREQUIRED (RFC 9586 §3): the command names messages by sequence numbers
    UidRequired,
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

impl Code {
    /// Its name on the wire.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Alert => "ALERT",
            Self::AlreadyExists => "ALREADYEXISTS",
            Self::AppendUid(..) => "APPENDUID",
            Self::AuthenticationFailed => "AUTHENTICATIONFAILED",
            Self::AuthorizationFailed => "AUTHORIZATIONFAILED",
            Self::BadCharset(..) => "BADCHARSET",
            Self::BadEvent => "BADEVENT",
            Self::Cannot => "CANNOT",
            Self::Capability(..) => "CAPABILITY",
            Self::ClientBug => "CLIENTBUG",
            Self::Closed => "CLOSED",
            Self::CompressionActive => "COMPRESSIONACTIVE",
            Self::ContactAdmin => "CONTACTADMIN",
            Self::Corruption => "CORRUPTION",
            Self::CopyUid(..) => "COPYUID",
            Self::Expired => "EXPIRED",
            Self::ExpungeIssued => "EXPUNGEISSUED",
            Self::HasChildren => "HASCHILDREN",
            Self::HighestModSeq(..) => "HIGHESTMODSEQ",
            Self::InProgress(..) => "INPROGRESS",
            Self::InUse => "INUSE",
            Self::Limit => "LIMIT",
            Self::MailboxId(..) => "MAILBOXID",
            Self::MessageLimit(..) => "MESSAGELIMIT",
            Self::Modified(..) => "MODIFIED",
            Self::NonExistent => "NONEXISTENT",
            Self::NoPerm => "NOPERM",
            Self::NotificationOverflow => "NOTIFICATIONOVERFLOW",
            Self::NotSaved => "NOTSAVED",
            Self::OverQuota => "OVERQUOTA",
            Self::Parse => "PARSE",
            Self::PermanentFlags(..) => "PERMANENTFLAGS",
            Self::PrivacyRequired => "PRIVACYREQUIRED",
            Self::ReadOnly => "READ-ONLY",
            Self::ReadWrite => "READ-WRITE",
            Self::ServerBug => "SERVERBUG",
            Self::TooBig => "TOOBIG",
            Self::TooFew => "TOOFEW",
            Self::TooMany => "TOOMANY",
            Self::TryCreate => "TRYCREATE",
            Self::UidNext(..) => "UIDNEXT",
            Self::UidNotSticky => "UIDNOTSTICKY",
            Self::UidRequired => "UIDREQUIRED",
            Self::UidValidity(..) => "UIDVALIDITY",
            Self::Unavailable => "UNAVAILABLE",
            Self::UnknownCte => "UNKNOWN-CTE",
            Self::Unseen(..) => "UNSEEN",
            Self::UseAttr => "USEATTR",
        }
    }
}

/// Whether clients may make new keywords in a mailbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NewKeywords {
    /// `\*` is listed.
    Allowed,
    /// It is not.
    Refused,
}
