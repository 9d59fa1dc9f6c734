//! `relate-imap account …` and `app-password …`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::config::Setting;

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Create an account; its password is asked for
    Add {
        /// The account's name, usually its mail address
        name: String,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordSource,
        /// What to set besides
        #[command(flatten)]
        properties: AccountProperties,
    },
    /// List all accounts
    List {
        /// Only those that have a password but no SCRAM verifier yet: they get one at their next
        /// login with a password sent as it is
        #[arg(long)]
        without_scram: bool,
    },
    /// Show one account
    Show {
        /// The account's name
        name: String,
    },
    /// Show how much accounts hold, against their quotas; of one, its largest mailboxes too
    Usage {
        /// The account's name; without it, every account
        name: Option<String>,
    },
    /// Change an account's properties; what is not named stays
    Set {
        /// The account's name
        name: String,
        /// What to set
        #[command(flatten)]
        properties: AccountProperties,
        /// Take this address away from the account; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        remove_alias: Vec<String>,
        /// Take the right to act as any other account away; those given with --may-act-as stay
        #[arg(long)]
        may_not_act: bool,
    },
    /// Change an account's password
    Passwd {
        /// The account's name
        name: String,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Remove an account and its mail; its sessions end
    Remove {
        /// The account's name
        name: String,
        /// Free the space of its mail at once instead of after Store:UndeleteWindow
        #[arg(long)]
        purge: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What can be done with app passwords.
#[derive(Debug, Subcommand)]
pub enum AppPassword {
    /// Make a password for one program or device; it is shown this once
    Add {
        /// The account's name
        account: String,
        /// A name for it, such as the device's
        name: String,
        /// What it may be used for; so far only imap is asked for
        #[arg(
            long,
            value_name = "SCOPE",
            value_delimiter = ',',
            default_value = "imap"
        )]
        scope: Vec<Scope>,
        /// For how long it may be used, as 90d or 12h; without it, until it is revoked
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// List an account's app passwords, with when and where each was last used
    List {
        /// The account's name
        account: String,
    },
    /// Revoke an app password; the sessions that logged in with it end
    Revoke {
        /// The account's name
        account: String,
        /// The app password's name
        name: String,
    },
}

/// What a password may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Reading mail
    Imap,
    /// Handing in mail
    Lmtp,
    /// Administration
    Admin,
}

fn duration(text: &str) -> Result<Duration, String> {
    <Duration as Setting>::parse(text, &(1_000..=MAX_EXPIRY_MILLIS))
}

/// A hundred years.
const MAX_EXPIRY_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// Where a new password comes from; without an option it is asked for.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Read the password's hash, as another server keeps it, from the first line of standard input:
    /// {ARGON2ID}, {BLF-CRYPT} (bcrypt), {SHA512-CRYPT} or {SHA256-CRYPT}
    #[arg(long)]
    pub password_hash_stdin: bool,
    /// Read the password's hash from the first line of a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_hash_file: Option<PathBuf>,
}

/// What can be set on an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AccountProperties {
    /// Deliver mail for this address to the account as well; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub alias: Vec<String>,
    /// The name of the person
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
    /// How many bytes of mail the account may keep; 0 for any number
    #[arg(long, value_name = "BYTES")]
    pub quota_bytes: Option<u64>,
    /// How many messages the account may keep; 0 for any number
    #[arg(long, value_name = "COUNT")]
    pub quota_messages: Option<u64>,
    /// Let the account open the mail of this other account, logging in with its own password;
    /// '*' for that of any account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    pub may_act_as: Vec<String>,
    /// Let the account log in and receive mail
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Refuse the account's logins and mail
    #[arg(long)]
    disable: bool,
}

impl AccountProperties {
    /// Whether the account is to be enabled or disabled; `None` leaves it.
    #[must_use]
    pub const fn enabled(&self) -> Option<bool> {
        match (self.enable, self.disable) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}
