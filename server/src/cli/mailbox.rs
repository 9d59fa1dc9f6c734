//! `relate-imap mailbox …`.

use clap::{Subcommand, ValueEnum};

/// What can be done with mailboxes.
#[derive(Debug, Subcommand)]
pub enum Mailbox {
    /// List an account's mailboxes with their counts and identifiers
    List {
        /// The account's name
        account: String,
    },
    /// Show a mailbox's counts, size and identifiers, or those of every mailbox
    Status {
        /// The account's name
        account: String,
        /// The mailbox; without it, every one
        mailbox: Option<String>,
    },
    /// Create a mailbox
    Create {
        /// The account's name
        account: String,
        /// The mailbox, its levels separated by /
        mailbox: String,
        /// What it is for, so that mail programs find it; may be repeated
        #[arg(long = "use", value_enum, value_name = "USE")]
        special_use: Vec<SpecialUse>,
    },
    /// Delete a mailbox and the messages in it
    Delete {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
    /// Rename a mailbox and everything below it
    Rename {
        /// The account's name
        account: String,
        /// The mailbox as it is called now
        from: String,
        /// What it shall be called
        to: String,
    },
    /// Subscribe to a mailbox, so that clients show it
    Subscribe {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
    /// Unsubscribe from a mailbox, which need not exist any more
    Unsubscribe {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
}

/// What a mailbox may be for (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpecialUse {
    /// Mail that is kept
    Archive,
    /// Messages being written
    Drafts,
    /// Spam
    Junk,
    /// Mail that was sent
    Sent,
    /// Mail that was deleted
    Trash,
}
