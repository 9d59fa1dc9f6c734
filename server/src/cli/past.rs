//! `relate-imap log`.

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

/// Options of `log`.
#[derive(Debug, Clone, Args)]
pub struct Past {
    /// Only what was done in this account
    #[arg(long, value_name = "NAME")]
    pub account: Option<String>,
    /// Only what was done in the mailbox that has this name, or had it then
    #[arg(long, value_name = "MAILBOX")]
    pub mailbox: Option<String>,
    /// Only what was done to the message with this UID in the mailbox
    #[arg(long, value_name = "N", requires_all = ["account", "mailbox"],
          conflicts_with = "message_id", value_parser = clap::value_parser!(u32).range(1..))]
    pub uid: Option<u32>,
    /// Only what was done to messages with this Message-ID, wherever they went
    #[arg(long, value_name = "ID")]
    pub message_id: Option<String>,
    /// Only from then on: a date, a time as 2026-11-28T09:30:00Z, or how long ago as 12h or 7d
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only these kinds
    #[arg(long, value_enum, value_name = "KIND", value_delimiter = ',')]
    pub kind: Vec<DeedKind>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeedKind {
    /// A message was delivered
    Delivered,
    /// A client put messages there (APPEND)
    Appended,
    /// Messages were copied
    Copied,
    /// Messages were moved
    Moved,
    /// Messages got other flags
    Flagged,
    /// Messages were removed for good (EXPUNGE); that \Deleted was set is `flagged`
    Deleted,
    /// A mailbox was created, renamed or removed
    Mailbox,
    /// A mailbox was subscribed or unsubscribed
    Subscription,
    /// The account was created, changed or removed
    Account,
}
