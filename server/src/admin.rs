//! Administration: accounts and mailboxes are created, shown and changed, and the store checked.
//!
//! A request is a value; [`execute`] carries it out on a store. Who has the store open carries it
//! out: a running server through its socket ([`socket`]), else the command itself ([`client`]).

use std::sync::Arc;

use mail::{
    date::{Date, DateTime},
    mailbox::{MailboxName, NameError, SpecialUse},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    Access, Account, AccountChange, AccountInfo, Actor, Error, MailboxInfo, NewAccount, Quota,
    Room, Store, Subscription,
    credential::{ActAs, CredentialChange, Verifiers},
    error::What,
};

pub use self::app_passwords::AppPasswordRequest;
use crate::{auth, problem::Problem};

mod app_passwords;
pub mod client;
pub mod follow;
pub mod history;
pub mod live;
pub mod owner;
pub mod print;
pub mod socket;
pub mod trace;
mod usage;

/// What a deletion does to the log's record of who did what.
const ORIGIN: &str = "admin";

/// Something to do with accounts, mailboxes or the whole store.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Nothing: is a server there?
    Ping,
    /// Create an account.
    AccountAdd {
        /// Its name.
        name: String,
        /// Its password as it is to be kept.
        password: Kept,
        /// What else it has.
        properties: Properties,
    },
    /// Every account.
    AccountList {
        /// Only those that have a password but no SCRAM verifier.
        without_scram: bool,
    },
    /// One account.
    AccountShow {
        /// Its name or an alias.
        name: String,
    },
    /// Change an account.
    AccountSet {
        /// Its name or an alias.
        name: String,
        /// What is to be different.
        properties: Properties,
    },
    /// Change an account's password.
    AccountPasswd {
        /// Its name or an alias.
        name: String,
        /// The new password as it is to be kept.
        password: Kept,
    },
    /// Remove an account and its mail.
    AccountRemove {
        /// Its name; an alias is not enough.
        name: String,
        /// Whether the space is to be freed at once.
        purge: bool,
    },
    /// Something to do with an account's app passwords.
    AppPassword(AppPasswordRequest),
    /// An account's mailboxes.
    MailboxList {
        /// The account.
        account: String,
    },
    /// How much accounts hold.
    AccountUsage {
        /// Of this one, by its name or an alias; else of each.
        name: Option<String>,
    },
    /// A mailbox with its counts and identifiers.
    MailboxStatus {
        /// The account.
        account: String,
        /// The mailbox; else each.
        mailbox: Option<String>,
    },
    /// Create a mailbox.
    MailboxCreate {
        /// The account.
        account: String,
        /// The mailbox.
        mailbox: String,
        /// What it is for, as attributes: `\Sent`.
        special_use: Vec<String>,
    },
    /// Delete a mailbox.
    MailboxDelete {
        /// The account.
        account: String,
        /// The mailbox.
        mailbox: String,
    },
    /// Rename a mailbox.
    MailboxRename {
        /// The account.
        account: String,
        /// Its name now.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Subscribe to a mailbox.
    MailboxSubscribe {
        /// The account.
        account: String,
        /// The mailbox.
        mailbox: String,
    },
    /// Unsubscribe from a mailbox.
    MailboxUnsubscribe {
        /// The account.
        account: String,
        /// The mailbox.
        mailbox: String,
    },
    /// Check the whole store.
    Check,
    /// Give the space of deleted mail back.
    Compact,
}

/// What an account has besides its name and password; what is absent stays as it is.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Properties {
    /// Aliases to add.
    pub aliases: Vec<String>,
    /// Aliases to take away.
    pub remove_aliases: Vec<String>,
    /// The name of the person.
    pub display_name: Option<String>,
    /// The most bytes of mail; 0 for any number.
    pub quota_bytes: Option<u64>,
    /// The most messages; 0 for any number.
    pub quota_messages: Option<u64>,
    /// Whether it may log in and receive mail.
    pub enabled: Option<bool>,
    /// Accounts as which it may act; `*` for any.
    pub may_act_as: Vec<String>,
    /// Whether it loses the right to act as those it could act as so far.
    pub may_not_act: bool,
}

/// A password as it is kept, on its way to the server.
#[derive(Serialize, Deserialize)]
pub struct Kept {
    hash: String,
    scram: Option<String>,
}

impl From<Verifiers> for Kept {
    fn from(Verifiers { hash, scram }: Verifiers) -> Self {
        Self { hash, scram }
    }
}

impl From<Kept> for Verifiers {
    fn from(Kept { hash, scram }: Kept) -> Self {
        Self { hash, scram }
    }
}

/// Carries a request out.
///
/// # Errors
/// Why it was not done.
pub async fn execute(store: &dyn Store, request: Request) -> Result<Value, Problem> {
    match request {
        Request::Ping => Ok(Value::Null),
        Request::AccountAdd {
            name,
            password,
            properties,
        } => add(store, name, password, properties).await,
        Request::AccountList { without_scram } => {
            let mut all = Vec::new();
            for account in store.accounts() {
                if !without_scram || has_scram(&account) == Some(false) {
                    all.push(shown(store, &account).await?);
                }
            }
            Ok(Value::Array(all))
        }
        Request::AccountShow { name } => shown(store, &*find(store, &name)?).await,
        Request::AccountSet { name, properties } => set(store, &name, properties).await,
        Request::AccountPasswd { name, password } => {
            let change = AccountChange {
                credentials: vec![CredentialChange::Password(password.into())],
                ..AccountChange::default()
            };
            change_account(store, &name, change).await
        }
        Request::AccountRemove { name, purge } => remove(store, &name, purge).await,
        Request::AppPassword(request) => app_passwords::execute(store, request).await,
        Request::MailboxList { account } => usage::status(store, &account, None).await,
        Request::AccountUsage { name } => usage::usage(store, name.as_deref()).await,
        Request::MailboxStatus { account, mailbox } => {
            usage::status(store, &account, mailbox.as_deref()).await
        }
        Request::MailboxCreate {
            account,
            mailbox,
            special_use,
        } => {
            let opened = open(store, &account).await?;
            let uses: Vec<SpecialUse> = special_use
                .iter()
                .filter_map(|attribute| SpecialUse::named(attribute))
                .collect();
            let created = opened.create_mailbox(&mailbox_name(&mailbox)?, &uses).await;
            mailbox_done(created.map(|_| ()), &*opened, &mailbox)
        }
        Request::MailboxDelete { account, mailbox } => {
            let opened = open(store, &account).await?;
            let found = find_mailbox(&*opened, &mailbox)?;
            mailbox_done(opened.delete_mailbox(found.id).await, &*opened, &mailbox)
        }
        Request::MailboxRename { account, from, to } => {
            let opened = open(store, &account).await?;
            let renamed = opened
                .rename_mailbox(&mailbox_name(&from)?, &mailbox_name(&to)?)
                .await;
            mailbox_done(renamed, &*opened, &format!("{from}, to be {to}"))
        }
        Request::MailboxSubscribe { account, mailbox } => {
            subscribe(store, &account, &mailbox, Subscription::On).await
        }
        Request::MailboxUnsubscribe { account, mailbox } => {
            subscribe(store, &account, &mailbox, Subscription::Off).await
        }
        Request::Check => check(store).await,
        Request::Compact => compact(store).await,
    }
}

async fn subscribe(
    store: &dyn Store,
    account: &str,
    mailbox: &str,
    subscription: Subscription,
) -> Result<Value, Problem> {
    let opened = open(store, account).await?;
    let subscribed = opened
        .subscribe(&mailbox_name(mailbox)?, subscription)
        .await;
    mailbox_done(subscribed, &*opened, mailbox)
}

async fn add(
    store: &dyn Store,
    name: String,
    password: Kept,
    properties: Properties,
) -> Result<Value, Problem> {
    check_names(properties.aliases.iter().chain([&name]))?;
    let may_act_as = may_act_as(store, &ActAs::default(), &properties)?;
    let new = NewAccount {
        name: name.clone(),
        aliases: properties.aliases,
        password: Some(password.into()),
        display_name: properties.display_name.unwrap_or_default(),
        quota: quota(
            Quota::default(),
            properties.quota_bytes,
            properties.quota_messages,
        ),
    };
    let account = store
        .create_account(new)
        .await
        .map_err(|e| failed(&e, &name))?;
    let change = AccountChange {
        enabled: properties.enabled,
        may_act_as,
        ..AccountChange::default()
    };
    if change.enabled != Some(false) && change.may_act_as.is_none() {
        return shown(store, &account).await;
    }
    change_account(store, &name, change).await
}

async fn set(store: &dyn Store, name: &str, properties: Properties) -> Result<Value, Problem> {
    check_names(&properties.aliases)?;
    let account = find(store, name)?;
    let mut aliases = account.aliases.clone();
    for gone in &properties.remove_aliases {
        let before = aliases.len();
        aliases.retain(|alias| alias.to_lowercase() != gone.to_lowercase());
        if aliases.len() == before {
            let next = format!("`relate-imap account show {name}` lists its aliases");
            return Err(Problem::new("the account has no such alias", gone, next));
        }
    }
    aliases.extend(properties.aliases.iter().cloned());
    let may_act_as = may_act_as(store, &account.may_act_as, &properties)?;
    let change = AccountChange {
        may_act_as,
        aliases: (aliases != account.aliases).then_some(aliases),
        display_name: properties.display_name,
        enabled: properties.enabled,
        quota: Some(quota(
            account.quota,
            properties.quota_bytes,
            properties.quota_messages,
        )),
        ..AccountChange::default()
    };
    change_account(store, name, change).await
}

/// As whom an account may act after a change; `None` if that stays as it is.
fn may_act_as(
    store: &dyn Store,
    now: &ActAs,
    properties: &Properties,
) -> Result<Option<ActAs>, Problem> {
    let given = &properties.may_act_as;
    if given.is_empty() && !properties.may_not_act {
        return Ok(None);
    } else if given.iter().any(|name| name == "*") {
        return Ok(Some(ActAs::Anyone));
    }
    let mut accounts = match now {
        ActAs::These(accounts) if !properties.may_not_act => accounts.clone(),
        ActAs::Anyone if !properties.may_not_act => return Ok(None),
        ActAs::These(_) | ActAs::Anyone => Vec::new(),
    };
    for name in given {
        let id = find(store, name)?.id;
        if !accounts.contains(&id) {
            accounts.push(id);
        }
    }
    Ok(Some(ActAs::These(accounts)))
}

async fn change_account(
    store: &dyn Store,
    name: &str,
    change: AccountChange,
) -> Result<Value, Problem> {
    let id = find(store, name)?.id;
    let account = store
        .change_account(id, change)
        .await
        .map_err(|e| failed(&e, name))?;
    shown(store, &account).await
}

async fn remove(store: &dyn Store, name: &str, purge: bool) -> Result<Value, Problem> {
    let account = find(store, name)?;
    if account.name.to_lowercase() != name.to_lowercase() {
        let what = format!("this is an alias of {}", account.name);
        return Err(Problem::new(what, name, "give the account's own name"));
    } else if purge {
        let purged = store.purge_account(account.id).await;
        purged.map_err(|error| failed(&error, name))?;
        return compact(store).await;
    }
    done(store.remove_account(account.id).await, name)
}

fn quota(now: Quota, bytes: Option<u64>, messages: Option<u64>) -> Quota {
    let limit = |now, wanted: Option<u64>| match wanted {
        None => now,
        Some(0) => None,
        Some(most) => Some(most),
    };
    Quota {
        bytes: limit(now.bytes, bytes),
        messages: limit(now.messages, messages),
    }
}

async fn shown(store: &dyn Store, account: &AccountInfo) -> Result<Value, Problem> {
    let actor = actor(account);
    let opened = store
        .open_account(account.id, actor)
        .await
        .map_err(|e| failed(&e, &account.name))?;
    let usage = opened.usage();
    let may_act_as = match &account.may_act_as {
        ActAs::Anyone => vec!["*".to_owned()],
        ActAs::These(accounts) => {
            let all = store.accounts();
            let named = all.iter().filter(|it| accounts.contains(&it.id));
            named.map(|it| it.name.clone()).collect()
        }
    };
    Ok(json!({
        "name": account.name,
        "aliases": account.aliases,
        "display_name": account.display_name,
        "enabled": account.enabled,
        "scram": has_scram(account),
        "app_passwords": account.app_passwords.len(),
        "may_act_as": may_act_as,
        "bytes": usage.bytes,
        "messages": usage.messages,
        "quota_bytes": account.quota.bytes,
        "quota_messages": account.quota.messages,
        "created": moment(account.created_secs),
    }))
}

/// A moment as people and programs read it (RFC 3339), in UTC.
fn moment(secs: i64) -> String {
    let civil = DateTime {
        secs,
        offset_minutes: 0,
    }
    .civil();
    let Date { year, month, day } = civil.date;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        civil.hour, civil.minute, civil.second
    )
}

/// Whether SCRAM can be used with an account's password; `None` without a password.
fn has_scram(account: &AccountInfo) -> Option<bool> {
    let password = account.password.as_ref()?;
    Some(password.verifiers.scram.is_some())
}

async fn check(store: &dyn Store) -> Result<Value, Problem> {
    let found = store.check().await.map_err(|e| failed(&e, "the store"))?;
    Ok(json!({ "healthy": found.is_empty(), "problems": found, "room": room(store.room()) }))
}

async fn compact(store: &dyn Store) -> Result<Value, Problem> {
    let done = store.compact().await;
    let done = done.map_err(|error| failed(&error, "the store"))?;
    Ok(json!({
        "freed_bytes": done.bytes_before.saturating_sub(done.bytes_after),
        "segments": done.segments,
        "room": room(store.room()),
    }))
}

fn room(room: Room) -> Value {
    json!({
        "live_bytes": room.live_bytes,
        "waiting_bytes": room.waiting_bytes,
        "dead_bytes": room.dead_bytes,
    })
}

/// The account of this name or alias.
///
/// # Errors
/// There is none.
pub(crate) fn find(store: &dyn Store, name: &str) -> Result<Arc<AccountInfo>, Problem> {
    store
        .find_account(name)
        .ok_or_else(|| failed(&Error::NotFound(What::Account), name))
}

fn actor(account: &AccountInfo) -> Actor {
    Actor {
        client: Arc::default(),
        account: account.id,
        origin: ORIGIN.into(),
        access: Access::ReadWrite,
    }
}

async fn open(store: &dyn Store, name: &str) -> Result<Arc<dyn Account>, Problem> {
    let account = find(store, name)?;
    store
        .open_account(account.id, actor(&account))
        .await
        .map_err(|e| failed(&e, name))
}

fn mailbox_name(name: &str) -> Result<MailboxName, Problem> {
    MailboxName::new(name).map_err(|error| {
        let next = match error {
            NameError::Empty | NameError::Level => "separate levels by one / each, as in Work/2026",
            NameError::Character => "leave out %, * and control characters",
            NameError::TooLong => {
                "Limits:MailboxLevelBytes, MailboxDepth and MailboxNameBytes say how long it may be"
            }
        };
        Problem::new(error.to_string(), name, next)
    })
}

fn find_mailbox(account: &dyn Account, name: &str) -> Result<Arc<MailboxInfo>, Problem> {
    let found = account
        .tree()
        .mailboxes
        .get(&mailbox_name(name)?.key())
        .cloned();
    found.ok_or_else(|| mailbox_failed(&Error::NotFound(What::Mailbox), account, name))
}

/// What went wrong with a mailbox says whose it is.
fn mailbox_failed(error: &Error, account: &dyn Account, mailbox: &str) -> Problem {
    let owner = account.info().name.clone();
    let mut problem = failed(error, &format!("mailbox {mailbox} of {owner}"));
    if let Error::NotFound(What::Mailbox) = error {
        problem.next = format!("`relate-imap mailbox list {owner}` names those that exist");
    }
    problem
}

fn mailbox_done(
    result: store::Result<()>,
    account: &dyn Account,
    mailbox: &str,
) -> Result<Value, Problem> {
    result
        .map(|()| Value::Null)
        .map_err(|error| mailbox_failed(&error, account, mailbox))
}

fn check_names<'a>(names: impl IntoIterator<Item = &'a String>) -> Result<(), Problem> {
    for name in names {
        if let Err(unfit) = auth::check_name(name) {
            let what = format!("this cannot be the name or alias of an account: {unfit}");
            return Err(Problem::new(
                what,
                name.escape_default().to_string(),
                "use a mail address",
            ));
        }
    }
    Ok(())
}

fn done(result: store::Result<()>, to_what: &str) -> Result<Value, Problem> {
    result
        .map(|()| Value::Null)
        .map_err(|error| failed(&error, to_what))
}

fn failed(error: &Error, to_what: &str) -> Problem {
    let next = match error {
        Error::NotFound(What::Account) => "`relate-imap account list` names those that exist",
        Error::NotFound(What::AppPassword) => {
            "`relate-imap app-password list ACCOUNT` names those that exist"
        }
        Error::NotFound(_) => "`relate-imap mailbox list ACCOUNT` names those that exist",
        Error::AlreadyExists(_) => "choose another name",
        Error::Cannot(_) | Error::Denied => "nothing was changed",
        Error::DiskFull => "free some space on the disk of Store:Path",
        Error::OverQuota(_) | Error::Limit(_) => "raise the limit, or make room",
        _ => "see the server's log",
    };
    Problem::new(error.to_string(), to_what, next)
}
