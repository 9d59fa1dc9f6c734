//! The CAPABILITY string (RFC 9051 §6.1.1, §7.2.2): one function of the stage a connection is in
//! and of what it is configured to offer.
//!
//! Used for the CAPABILITY response, the greeting's code and the code of a successful login.

use crate::sasl::Mechanisms;

/// What decides which capabilities are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Before or after login.
    pub stage: Stage,
    /// STARTTLS, before login.
    pub tls: Tls,
    /// Whether a password may be sent on this connection.
    pub plaintext_auth: PlaintextAuth,
    /// The mechanisms that are configured and that the connection allows.
    pub mechanisms: Mechanisms,
    /// The longest message APPEND takes, bytes (RFC 7889).
    pub append_limit: u64,
    /// COMPRESS=DEFLATE.
    pub compression: Compression,
    /// UNAUTHENTICATE, after login.
    pub unauthenticate: Unauthenticate,
    /// UIDONLY.
    pub uid_only: UidOnly,
    /// How many messages a command works on.
    pub messages: MessageLimit,
}

/// Whether a user is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Before login.
    BeforeLogin,
    /// After login.
    AfterLogin,
}

/// Whether STARTTLS would work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tls {
    /// There is a certificate, and the connection is not under TLS.
    Offered,
    /// It is under TLS already, or there is no certificate.
    NotOffered,
}

/// Whether LOGIN and AUTHENTICATE PLAIN may be used (RFC 9051 §11.7).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PlaintextAuth {
    /// They may.
    Allowed,
    /// LOGINDISABLED: they fail even with the right password.
    Refused,
}

/// Whether COMPRESS is taken (RFC 4978).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// It is.
    Offered,
    /// The administrator does not want it.
    NotOffered,
}

/// Whether a client may log out and stay (RFC 8437).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unauthenticate {
    /// It may.
    Offered,
    /// It may not: the administrator does not want it, or there is no login to come back to.
    NotOffered,
}

/// Whether a client may do without sequence numbers (RFC 9586).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UidOnly {
    /// It may.
    Offered,
    /// It is known to go astray then.
    NotOffered,
}

/// How many messages one command works on (RFC 9738).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MessageLimit {
    /// As many as it names.
    None,
    /// So many at most: MESSAGELIMIT.
    All(u32),
    /// So many at most if it is COPY or APPEND: SAVELIMIT.
    Saving(u32),
}

impl MessageLimit {
    /// Its capability.
    fn name(self) -> Option<String> {
        match self {
            Self::None => None,
            Self::All(limit) => Some(format!("MESSAGELIMIT={limit}")),
            Self::Saving(limit) => Some(format!("SAVELIMIT={limit}")),
        }
    }
}

/// What is always offered, in the order in which it is listed.
const ALWAYS: &[&str] = &[
    "IMAP4rev2",
    "IMAP4rev1",
    "LITERAL+",
    "SASL-IR",
    "ENABLE",
    "ID",
    "IDLE",
    "NOTIFY",
    "NAMESPACE",
    "CHILDREN",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "ESEARCH",
    "SEARCHRES",
    "BINARY",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "CREATE-SPECIAL-USE",
    "STATUS=SIZE",
    "MULTIAPPEND",
    "UTF8=ACCEPT",
    "CONDSTORE",
    "QRESYNC",
    "REPLACE",
    "PARTIAL",
    "INPROGRESS",
    "UIDBATCHES",
    "OBJECTID",
    "SAVEDATE",
    "PREVIEW",
    "WITHIN",
    "QUOTA",
    "QUOTA=RES-STORAGE",
    "QUOTA=RES-MESSAGE",
    "QUOTA=RES-MAILBOX",
    "XLIST",
];

impl Offer {
    /// The capabilities, joined by single spaces.
    #[must_use]
    pub fn list(self) -> String {
        let append_limit = format!("APPENDLIMIT={}", self.append_limit);
        let mut names = ALWAYS.to_vec();
        names.push(&append_limit);
        if self.compression == Compression::Offered {
            names.push("COMPRESS=DEFLATE");
        }
        if self.uid_only == UidOnly::Offered {
            names.push("UIDONLY");
        }
        let unauthenticate = (self.unauthenticate, self.stage);
        if unauthenticate == (Unauthenticate::Offered, Stage::AfterLogin) {
            names.push("UNAUTHENTICATE");
        }
        let message_limit = self.messages.name();
        names.extend(message_limit.as_deref());
        if self.stage == Stage::BeforeLogin && self.tls == Tls::Offered {
            names.push("STARTTLS");
        }
        if (self.plaintext_auth, self.stage) == (PlaintextAuth::Refused, Stage::BeforeLogin) {
            names.push("LOGINDISABLED");
        }
        let mechanisms = self.mechanisms.iter();
        let mechanisms: Vec<String> = mechanisms
            .filter(|it| self.plaintext_auth == PlaintextAuth::Allowed || !it.is_plaintext())
            .map(|it| format!("AUTH={}", it.name()))
            .collect();
        names.extend(mechanisms.iter().map(String::as_str));
        names.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{
        Mechanism,
        scram::{Binding, Hash},
    };

    /// What is listed where it works, or is wanted.
    const SOMETIMES: [&str; 3] = ["STARTTLS", "COMPRESS=DEFLATE", "UNAUTHENTICATE"];

    fn offer() -> Offer {
        let scram = Mechanism::Scram(Hash::Sha256, Binding::Without);
        let mechanisms = [Mechanism::Plain, scram, Mechanism::XOAuth2];
        Offer {
            stage: Stage::AfterLogin,
            tls: Tls::Offered,
            plaintext_auth: PlaintextAuth::Allowed,
            mechanisms: mechanisms.into_iter().collect(),
            append_limit: 7,
            compression: Compression::Offered,
            unauthenticate: Unauthenticate::Offered,
            uid_only: UidOnly::Offered,
            messages: MessageLimit::None,
        }
    }

    #[test]
    fn after_login() {
        assert_eq!(
            offer().list(),
            "IMAP4rev2 IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE NOTIFY NAMESPACE CHILDREN \
             UNSELECT UIDPLUS MOVE ESEARCH SEARCHRES BINARY LIST-EXTENDED LIST-STATUS SPECIAL-USE \
             CREATE-SPECIAL-USE STATUS=SIZE MULTIAPPEND UTF8=ACCEPT CONDSTORE QRESYNC REPLACE \
             PARTIAL INPROGRESS UIDBATCHES OBJECTID SAVEDATE PREVIEW WITHIN QUOTA \
             QUOTA=RES-STORAGE QUOTA=RES-MESSAGE QUOTA=RES-MAILBOX XLIST APPENDLIMIT=7 \
             COMPRESS=DEFLATE UIDONLY UNAUTHENTICATE \
             AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=PLAIN"
        );
    }

    #[test]
    fn before_login() {
        let list = |tls, plaintext_auth| {
            let stage = Stage::BeforeLogin;
            let offer = Offer {
                stage,
                tls,
                plaintext_auth,
                ..offer()
            };
            offer.list()
        };
        let both = list(Tls::Offered, PlaintextAuth::Allowed);
        assert!(
            both.ends_with(" STARTTLS AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=PLAIN"),
            "{both}"
        );
        let disabled = list(Tls::Offered, PlaintextAuth::Refused);
        let ends = " STARTTLS LOGINDISABLED AUTH=SCRAM-SHA-256";
        assert!(disabled.ends_with(ends), "{disabled}");
        let no_tls = list(Tls::NotOffered, PlaintextAuth::Allowed);
        assert!(!no_tls.contains("STARTTLS"));
    }

    #[test]
    fn rule_33_literal_plus_and_minus_are_never_both_offered() {
        assert!(ALWAYS.contains(&"LITERAL+") && !ALWAYS.contains(&"LITERAL-"));
    }

    #[test]
    fn compression_only_where_it_is_wanted() {
        let offer = Offer {
            compression: Compression::NotOffered,
            ..offer()
        };
        assert!(!offer.list().contains("COMPRESS"));
    }

    #[test]
    fn uidonly_only_to_those_who_can() {
        let offer = Offer {
            uid_only: UidOnly::NotOffered,
            ..offer()
        };
        assert!(!offer.list().contains("UIDONLY"));
    }

    #[test]
    fn a_limit_on_messages_only_where_one_is_set() {
        let list = |messages| {
            let offer = Offer {
                messages,
                ..offer()
            };
            offer.list()
        };
        assert!(!list(MessageLimit::None).contains("LIMIT=1000"));
        let all = list(MessageLimit::All(1_000));
        assert!(all.contains(" MESSAGELIMIT=1000 ") && !all.contains("SAVELIMIT"));
        let saving = list(MessageLimit::Saving(1_000));
        assert!(saving.contains(" SAVELIMIT=1000 ") && !saving.contains("MESSAGELIMIT"));
    }

    /// What offers a command is either always listed or decided by the stage.
    #[test]
    fn every_capability_of_the_table_can_be_listed() {
        for property in super::super::table::TABLE {
            let known = |name: &str| ALWAYS.contains(&name) || SOMETIMES.contains(&name);
            assert!(property.capability.is_none_or(known), "{}", property.name);
        }
    }
}
