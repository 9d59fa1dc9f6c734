//! GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208 §4.1; RFC 2087).
//!
//! ```text
//! C: a1 GETQUOTAROOT INBOX
//! S: * QUOTAROOT INBOX account
//! S: * QUOTA account (STORAGE 104 10923847)
//! ```

use super::{
    command::{Authenticated, Command},
    mailbox::{self, WireName},
};
use crate::cursor::{Cursor, Parsed};

/// GETQUOTA's argument: the name of a quota root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetQuota(pub Vec<u8>);

/// GETQUOTAROOT's argument: a mailbox, which need not exist.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GetQuotaRoot(pub WireName);

/// What a quota limits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Resource {
    /// Sum of message sizes, in units of 1,024 bytes (§5.1)
    Storage,
    /// Messages (§5.2)
    Message,
    /// Mailboxes (§5.3)
    Mailbox,
}

impl Resource {
    /// Every resource with its name.
    pub const NAMES: [(Self, &'static str); 3] = [
        (Self::Storage, "STORAGE"),
        (Self::Message, "MESSAGE"),
        (Self::Mailbox, "MAILBOX"),
    ];
}

/// How much of a resource is used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QuotaResource {
    /// Of what.
    pub resource: Resource,
    /// What is used.
    pub usage: u64,
    /// What may be used.
    pub limit: u64,
}

/// ```abnf
/// getquota        = "GETQUOTA" SP quota-root-name
/// quota-root-name = astring
/// ```
pub(super) fn get_quota(c: &mut Cursor<'_>) -> Parsed<Command> {
    let root = GetQuota(root(c)?);
    Ok(Command::Authenticated(Authenticated::GetQuota(root)))
}

/// ```abnf
/// getquotaroot = "GETQUOTAROOT" SP mailbox
/// ```
pub(super) fn get_quota_root(c: &mut Cursor<'_>) -> Parsed<Command> {
    let mailbox = GetQuotaRoot(mailbox::argument(c)?);
    Ok(Command::Authenticated(Authenticated::GetQuotaRoot(mailbox)))
}

/// ```abnf
/// setquota          = "SETQUOTA" SP quota-root-name SP setquota-list
/// setquota-list     = "(" [setquota-resource *(SP setquota-resource)] ")"
/// setquota-resource = resource-name SP resource-limit
/// ```
///
/// Whatever is to be set, it is refused; so what it was is not kept.
pub(super) fn set_quota(c: &mut Cursor<'_>) -> Parsed<Command> {
    root(c)?;
    c.sp()?;
    c.list_or_empty(|c| {
        c.atom("a resource")?;
        c.sp()?;
        c.number64().map(|_| ())
    })?;
    Ok(Command::Authenticated(Authenticated::SetQuota))
}

fn root(c: &mut Cursor<'_>) -> Parsed<Vec<u8>> {
    c.sp()?;
    Ok(c.astring("a quota root")?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::fixture::{accept, incomplete, reject};

    fn authenticated(line: &str) -> Authenticated {
        match accept(line) {
            Command::Authenticated(command) => command,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn quota_commands() {
        assert_eq!(
            authenticated("getquota \"\""),
            Authenticated::GetQuota(GetQuota(Vec::new()))
        );
        assert_eq!(
            authenticated("GETQUOTA #user/alice"),
            Authenticated::GetQuota(GetQuota(b"#user/alice".to_vec()))
        );
        assert_eq!(
            authenticated("GETQUOTAROOT inbox"),
            Authenticated::GetQuotaRoot(GetQuotaRoot(WireName(b"inbox".to_vec())))
        );
        for limits in [
            "()",
            "(STORAGE 512)",
            "(STORAGE 0 X-OTHER 9223372036854775807)",
        ] {
            let line = format!("SETQUOTA \"!partition/sda4\" {limits}");
            assert_eq!(authenticated(&line), Authenticated::SetQuota);
        }
        incomplete("GETQUOTA {4}\r\nroot");
        reject("GETQUOTA^");
        reject("GETQUOTA ^");
        reject("GETQUOTA a^ b");
        reject("GETQUOTAROOT^");
        reject("SETQUOTA a^");
        reject("SETQUOTA a ^STORAGE");
        reject("SETQUOTA a (STORAGE^)");
        reject("SETQUOTA a (STORAGE ^-1)");
        reject("SETQUOTA a (STORAGE ^9223372036854775808)");
        reject("SETQUOTA a (STORAGE 1^");
    }
}
