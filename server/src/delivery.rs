//! Delivery: who a recipient is, which header fields are added and removed, and how one message
//! becomes a copy for each recipient. LMTP and `relate-imap deliver` both deliver through here.
//!
//! A delivery has the rights of its recipient and creates nothing but the message.

use std::{collections::HashMap, sync::Arc};

use mail::{
    date::{Civil, DateTime},
    flag::Flags,
    id::AccountId,
    limits::Parsing,
    mailbox::MailboxName,
    mime::fields,
};
use parking_lot::Mutex;
use store::{
    Access, Account, AccountInfo, Actor, Delivery, Error, MailboxInfo, Shared, Static, Store,
    error::{Fit, What},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wire::lmtp::path::Address;

use crate::message::{self, Intake};

mod spool;

pub use self::spool::{Spool, Spooled};

/// What separates a name from a folder in a local part (RFC 5233).
pub(crate) const DETAIL_SEPARATOR: char = '+';

/// Why an address takes no mail, or a message was not delivered to it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nobody has this address.
    Unknown,
    /// Its account is disabled.
    Disabled,
    /// No room for it now.
    OverQuota,
    /// It is larger than the account may ever hold.
    NeverFits,
    /// The disk is full.
    DiskFull,
    /// It was delivered to this account before.
    Loop,
    /// Storage does not work at the moment.
    Temporary,
}

impl Refusal {
    /// What the log calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown-recipient",
            Self::Disabled => "disabled",
            Self::OverQuota => "over-quota",
            Self::NeverFits => "never-fits",
            Self::DiskFull => "disk-full",
            Self::Loop => "loop",
            Self::Temporary => "temporary",
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound(What::Account) => Self::Unknown,
            Error::OverQuota(Fit::Later) => Self::OverQuota,
            Error::OverQuota(Fit::Never) => Self::NeverFits,
            Error::DiskFull => Self::DiskFull,
            other => {
                tracing::error!(error = %other, "delivery failed");
                Self::Temporary
            }
        }
    }
}

/// An account that takes a message, and the folder its address names.
#[derive(Clone)]
pub struct Recipient {
    /// The account.
    pub account: Arc<AccountInfo>,
    folder: Option<MailboxName>,
}

impl Recipient {
    /// The recipient with this address. Account names and aliases are compared in any case;
    /// `name+folder` is also tried as `name`, and the server's own name may be left out.
    ///
    /// # Errors
    /// Nobody has the address, or its account is disabled.
    pub fn find(store: &dyn Store, server_name: &str, address: &Address) -> Result<Self, Refusal> {
        let (local, domain) = (address.local(), address.domain());
        let found = lookup(store, server_name, local, domain).map(|account| (account, None));
        let (account, folder) = match (found, local.split_once(DETAIL_SEPARATOR)) {
            (Some(found), _) => found,
            (None, Some((name, detail))) => {
                let account = lookup(store, server_name, name, domain).ok_or(Refusal::Unknown)?;
                (account, MailboxName::new(detail).ok())
            }
            (None, None) => return Err(Refusal::Unknown),
        };
        if !account.enabled {
            return Err(Refusal::Disabled);
        }
        Ok(Self { account, folder })
    }

    /// Whether a message of `bytes` may fit, as far as that is known before it has come.
    ///
    /// # Errors
    /// It does not.
    pub async fn has_room(
        &self,
        store: &dyn Store,
        origin: &Arc<str>,
        bytes: u64,
    ) -> Result<(), Refusal> {
        let quota = self.account.quota;
        if quota.bytes.is_some_and(|most| bytes > most) || quota.messages == Some(0) {
            return Err(Refusal::NeverFits);
        }
        if quota.bytes.is_none() && quota.messages.is_none() {
            return Ok(());
        }
        let usage = self.open(store, origin).await?.usage();
        let too_big = quota
            .bytes
            .is_some_and(|most| usage.bytes.saturating_add(bytes.max(1)) > most);
        let too_many = quota.messages.is_some_and(|most| usage.messages >= most);
        if too_big || too_many {
            Err(Refusal::OverQuota)
        } else {
            Ok(())
        }
    }

    async fn open(&self, store: &dyn Store, origin: &Arc<str>) -> store::Result<Arc<dyn Account>> {
        let actor = Actor {
            client: Arc::default(),
            account: self.account.id,
            origin: Arc::clone(origin),
            access: Access::ReadWrite,
        };
        store.open_account(self.account.id, actor).await
    }

    /// The folder its address names if there is one, else INBOX.
    fn mailbox(&self, account: &dyn Account) -> Option<Arc<MailboxInfo>> {
        let tree = account.tree();
        let find = |name: &MailboxName| tree.mailboxes.get(&name.key()).cloned();
        self.folder
            .as_ref()
            .and_then(find)
            .or_else(|| find(&MailboxName::inbox()))
    }
}

fn lookup(
    store: &dyn Store,
    server_name: &str,
    local: &str,
    domain: Option<&str>,
) -> Option<Arc<AccountInfo>> {
    let full = |domain: &str| store.find_account(&format!("{local}@{domain}"));
    match domain {
        Some(domain) if domain.eq_ignore_ascii_case(server_name) => {
            full(domain).or_else(|| store.find_account(local))
        }
        Some(domain) => full(domain),
        None => store.find_account(local).or_else(|| full(server_name)),
    }
}

/// Where a message comes from and how it came.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Who gets reports; `None` is `<>`.
    pub from: Option<Address>,
    /// The server's name.
    pub server_name: String,
    /// What the client called itself and where it is, for `Received`.
    pub client: String,
    /// `LMTP`, `UTF8LMTP` (RFC 6531 §4.3), or `local`.
    pub protocol: &'static str,
    /// What finds the delivery in the log.
    pub id: String,
    /// When it came.
    pub at: DateTime,
    /// For the record of who did what.
    pub origin: Arc<str>,
}

/// A whole message, ready to be delivered.
pub struct Outgoing {
    spool: Spooled,
    trace: Trace,
    /// How much of it is understood.
    parsing: Parsing,
    common: Option<Common>,
}

/// What messages to several recipients have in common.
struct Common {
    rest: Arc<dyn Shared>,
    /// Of the message with a header of some length.
    fixed: Static,
    /// The header's bytes in `rest`.
    header_bytes: u64,
}

impl Outgoing {
    /// The message for these recipients. Several accounts share what comes after the trace, which
    /// is stored once; if that cannot be prepared, each is on its own.
    pub async fn new(
        store: &dyn Store,
        spool: Spooled,
        trace: Trace,
        recipients: &[Recipient],
        parsing: Parsing,
    ) -> Self {
        let common = match recipients {
            [first, _, ..] => Common::new(store, &spool, &trace, (first, parsing))
                .await
                .ok(),
            _ => None,
        };
        Self {
            spool,
            trace,
            parsing,
            common,
        }
    }

    /// Where it comes from.
    #[must_use]
    pub const fn trace(&self) -> &Trace {
        &self.trace
    }

    /// How many bytes it has without its trace.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.spool.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Delivers to one recipient.
    ///
    /// # Errors
    /// Why it was not delivered; nothing of it was stored for this recipient.
    pub async fn deliver(&self, store: &dyn Store, recipient: &Recipient) -> Result<(), Refusal> {
        if self.spool.was_delivered_to(&recipient.account.name) {
            return Err(Refusal::Loop);
        }
        let account = recipient.open(store, &self.trace.origin).await?;
        // A folder may be deleted between being found and being used; INBOX never is.
        match self.deliver_into(&*account, recipient).await {
            Err(Error::NotFound(What::Mailbox)) => {
                let inbox = Recipient {
                    folder: None,
                    ..recipient.clone()
                };
                self.deliver_into(&*account, &inbox).await?;
            }
            done => done?,
        }
        Ok(())
    }

    async fn deliver_into(
        &self,
        account: &dyn Account,
        recipient: &Recipient,
    ) -> store::Result<()> {
        let mailbox = recipient
            .mailbox(account)
            .ok_or(Error::NotFound(What::Mailbox))?;
        let head = trace_fields(&self.trace, &recipient.account.name);
        if let Some(common) = &self.common {
            let message = common.delivery(head);
            return account.deliver(mailbox.id, message).await.map(|_| ());
        }
        let bytes = self.spool.len().saturating_add(head.len() as u64);
        let mut intake = Intake::new(account.upload(bytes).await?, self.parsing);
        intake.write(head.as_bytes()).await?;
        self.spool.copy_to(&mut intake).await?;
        let message = intake.finish(Flags::default(), None);
        account.append(mailbox.id, vec![message]).await.map(|_| ())
    }
}

impl Common {
    async fn new(
        store: &dyn Store,
        spool: &Spooled,
        trace: &Trace,
        (first, parsing): (&Recipient, Parsing),
    ) -> store::Result<Self> {
        let head = trace_fields(trace, &first.account.name);
        let upload = store.upload(spool.len()).await?;
        let mut intake = Intake::after(head.as_bytes(), upload, parsing);
        spool.copy_to(&mut intake).await?;
        let message = intake.finish(Flags::default(), None);
        let header_bytes = message.fixed.header_bytes;
        let header_bytes = header_bytes.saturating_sub(head.len() as u64);
        Ok(Self {
            rest: store.share(message.upload, header_bytes).await?,
            fixed: message.fixed,
            header_bytes,
        })
    }

    /// The message that begins with `head`.
    fn delivery(&self, head: String) -> Delivery {
        let header_bytes = self.header_bytes.saturating_add(head.len() as u64);
        Delivery {
            head: head.into(),
            rest: Arc::clone(&self.rest),
            fixed: message::with_header_bytes(&self.fixed, header_bytes),
            flags: Flags::default(),
            internal_date: None,
        }
    }
}

/// Return-Path, Delivered-To and Received (RFC 5321 §4.4).
fn trace_fields(trace: &Trace, account: &str) -> String {
    let from = trace
        .from
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    format!(
        "Return-Path: <{from}>\r\nDelivered-To: {account}\r\nReceived: from {client}\r\n\tby {server} \
         with {protocol}\r\n\tid {id}; {date}\r\n",
        client = trace.client,
        server = trace.server_name,
        protocol = trace.protocol,
        id = trace.id,
        date = rfc5322_date(trace.at),
    )
}

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A date as header fields write it (RFC 5322 §3.3), in UTC.
#[must_use]
pub fn rfc5322_date(at: DateTime) -> String {
    let utc = DateTime {
        offset_minutes: 0,
        ..at
    };
    let Civil {
        date,
        hour,
        minute,
        second,
    } = utc.civil();
    // 1970-01-01 was a Thursday.
    let day = usize::try_from(date.days().rem_euclid(7)).unwrap_or(0);
    let month = usize::from(date.month).saturating_sub(1);
    format!(
        "{}, {} {} {:04} {hour:02}:{minute:02}:{second:02} +0000",
        DAYS.get(day).unwrap_or(&""),
        date.day,
        MONTHS.get(month).unwrap_or(&""),
        date.year,
    )
}

/// Deliveries to one account that may run at a time (`Limits:LmtpPerUser`); others wait.
pub struct Turns {
    per_account: usize,
    accounts: Mutex<HashMap<AccountId, Arc<Semaphore>>>,
}

impl Turns {
    /// Turns for so many deliveries to each account.
    #[must_use]
    pub fn new(per_account: u32) -> Self {
        Self {
            per_account: per_account as usize,
            accounts: Mutex::default(),
        }
    }

    /// Waits for a turn, which is held until the permit is dropped.
    pub async fn take(&self, account: AccountId) -> Option<OwnedSemaphorePermit> {
        let turns = {
            let mut accounts = self.accounts.lock();
            // Those that nobody holds or waits for need not be remembered.
            accounts.retain(|_, turns| Arc::strong_count(turns) > 1);
            let fresh = || Arc::new(Semaphore::new(self.per_account));
            Arc::clone(accounts.entry(account).or_insert_with(fresh))
        };
        turns.acquire_owned().await.ok()
    }
}

/// The values of the fields of a header that have this name, unfolded.
fn field_values<'a>(header: &'a [u8], name: &'a str) -> impl Iterator<Item = Vec<u8>> + 'a {
    fields::fields(header)
        .filter(move |field| field.is(name))
        .map(|field| field.unfolded())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_header_fields() {
        for (secs, expected) in [
            (0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (1_795_382_580, "Sun, 22 Nov 2026 21:23:00 +0000"),
            (951_782_399, "Mon, 28 Feb 2000 23:59:59 +0000"),
        ] {
            let at = DateTime {
                secs,
                offset_minutes: 60,
            };
            assert_eq!(rfc5322_date(at), expected);
        }
    }

    #[test]
    fn fields_that_are_added() {
        let trace = Trace {
            from: Address::parse("a@example.org"),
            server_name: "mail.example".into(),
            client: "client (192.0.2.1)".into(),
            protocol: "LMTP",
            id: "1-2".into(),
            at: DateTime {
                secs: 0,
                offset_minutes: 0,
            },
            origin: "lmtp".into(),
        };
        assert_eq!(
            trace_fields(&trace, "you@localhost"),
            "Return-Path: <a@example.org>\r\nDelivered-To: you@localhost\r\n\
             Received: from client (192.0.2.1)\r\n\tby mail.example with LMTP\r\n\
             \tid 1-2; Thu, 1 Jan 1970 00:00:00 +0000\r\n"
        );
        let bounce = Trace {
            from: None,
            ..trace
        };
        assert!(trace_fields(&bounce, "x").starts_with("Return-Path: <>\r\n"));
    }

    #[tokio::test]
    async fn turns_are_counted_by_account() {
        let turns = Turns::new(1);
        let id = |id| AccountId::new(id).unwrap();
        let first = turns.take(id(1)).await;
        assert!(turns.take(id(2)).await.is_some());
        let second = tokio::time::timeout(std::time::Duration::ZERO, turns.take(id(1))).await;
        assert!(second.is_err());
        drop(first);
        assert!(turns.take(id(1)).await.is_some());
    }
}
