//! What can go wrong in the store, in the terms of mail.

/// The result of a store operation.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation was not done. Nothing of it was done, except where an operation says that it
/// runs in steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no such thing, or the caller may not know of it: the two are never told apart.
    #[error("there is no such {0}")]
    NotFound(What),
    /// The name is taken.
    #[error("the {0} exists already")]
    AlreadyExists(What),
    /// The caller may know of it and may not do this.
    #[error("not permitted")]
    Denied,
    /// The operation makes no sense for this mailbox (INBOX cannot be created or deleted, …).
    #[error("cannot be done: {0}")]
    Cannot(&'static str),
    /// A message named by the caller has been expunged meanwhile.
    #[error("a message has been expunged")]
    Expunged,
    /// A limit of the configuration; the text names it.
    #[error("limit reached: {0}")]
    Limit(&'static str),
    /// The account's quota is used up.
    #[error("over quota")]
    OverQuota(Fit),
    /// The disk is full: deleting still works, adding does not.
    #[error("the disk is full")]
    DiskFull,
    /// Storage does not work at the moment; the text is for the log.
    #[error("storage is unavailable: {0}")]
    Unavailable(String),
    /// Stored data is damaged; the text names it, for the log.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The store is in use by another process, whose id is given if it is known.
    #[error("the store is in use by another process")]
    InUse(Option<u32>),
}

/// Whether something could fit if other things went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// It would fit if the account held less.
    Later,
    /// It is larger than the whole quota.
    Never,
}

/// What kind of thing is missing or taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// An account, or an alias of one.
    Account,
    /// A mailbox.
    Mailbox,
    /// A message.
    Message,
    /// An app password.
    AppPassword,
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Account => "account",
            Self::Mailbox => "mailbox",
            Self::Message => "message",
            Self::AppPassword => "app password",
        })
    }
}
