//! A whole command as a value, grouped by the states in which it is allowed (RFC 9051 §6).

use super::{
    append, auth, basic, list, mailbox, search, select, sequence, status, store, transfer,
};

/// A tag: what the client put before its command, given back in the one tagged response.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tag(pub Box<str>);

/// A command with its tag.
#[derive(Clone, PartialEq, Debug)]
pub struct Tagged {
    /// The client's tag.
    pub tag: Tag,
    /// The command.
    pub command: Command,
}

/// A command, by the group of states in which it is allowed.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// In any state (RFC 9051 §6.1).
    Any(AnyState),
    /// Only before authentication (§6.2).
    NotAuthenticated(NotAuthenticated),
    /// Authenticated and selected (§6.3).
    Authenticated(Authenticated),
    /// Only with a mailbox selected (§6.4).
    Selected(Selected),
}

/// Commands of any state.
#[derive(Clone, PartialEq, Debug)]
pub enum AnyState {
    /// CAPABILITY
    Capability,
    /// NOOP
    Noop,
    /// LOGOUT
    Logout,
    /// ID (RFC 2971)
    Id(basic::Id),
}

/// Commands before authentication.
#[derive(Clone, PartialEq, Debug)]
pub enum NotAuthenticated {
    /// STARTTLS
    StartTls,
    /// AUTHENTICATE
    Authenticate(auth::Authenticate),
    /// LOGIN
    Login(auth::Login),
}

/// Commands of the authenticated and selected states.
#[derive(Clone, PartialEq, Debug)]
pub enum Authenticated {
    /// ENABLE
    Enable(select::Enable),
    /// SELECT or EXAMINE
    Select(select::Select),
    /// CREATE
    Create(mailbox::Create),
    /// DELETE
    Delete(mailbox::Name),
    /// RENAME
    Rename(mailbox::Rename),
    /// SUBSCRIBE
    Subscribe(mailbox::Name),
    /// UNSUBSCRIBE
    Unsubscribe(mailbox::Name),
    /// LIST
    List(list::List),
    /// LSUB (RFC 3501 §6.3.9)
    Lsub(list::Lsub),
    /// NAMESPACE
    Namespace,
    /// STATUS
    Status(status::Status),
    /// APPEND, as far as its first message; see [`crate::frame`] for how messages arrive.
    Append(append::Append),
    /// IDLE
    Idle,
}

/// Commands of the selected state.
#[derive(Clone, PartialEq, Debug)]
pub enum Selected {
    /// CHECK (RFC 3501 §6.4.1)
    Check,
    /// CLOSE
    Close,
    /// UNSELECT
    Unselect,
    /// EXPUNGE, or UID EXPUNGE with its UIDs
    Expunge(Option<sequence::SetOrSaved<mail::id::Uid>>),
    /// SEARCH or UID SEARCH
    Search(search::Search),
    /// FETCH or UID FETCH
    Fetch(super::fetch::Fetch),
    /// STORE or UID STORE
    Store(store::Store),
    /// COPY or UID COPY
    Copy(transfer::Transfer),
    /// MOVE or UID MOVE
    Move(transfer::Transfer),
}
