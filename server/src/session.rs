//! A session: commands in, responses out, no socket (RFC 9051 §3).
//!
//! The state is an enum that carries what exists in it and is moved through by value, so that a
//! handler of the selected state is handed the selected mailbox and none can be called without.
//! Handlers push untagged responses and return exactly one completion; the tagged line is written
//! by the connection, after the changes the client may be told of.

pub mod answer;
mod append;
mod auth;
mod basic;
mod compress;
mod fetch;
mod idle;
pub mod limits;
mod list;
mod login;
mod mailbox;
mod message_limit;
mod notify;
mod own_deleted;
mod progress;
mod quota;
mod replace;
mod resync;
mod sasl;
mod search;
mod select;
pub mod sink;
mod status;
mod store_flags;
mod transfer;
mod uid_batches;
mod uid_only;
mod unauthenticate;
pub mod view;

use std::sync::Arc;

use mail::{mailbox::MailboxName, set::UidSet};
use store::{Account, Mailbox, state::MailboxState};
use wire::{
    encode::{MailboxSpelling, Mode},
    imap::{
        command::{self, Command},
        mailbox::WireName,
        response::Completion,
        select::Access,
        sequence::{Messages, Numbers},
        table::{Expunge, Group, Property},
    },
    utf7,
};

use self::{
    answer::{Failure, Outcome, bad, no, ok, wrong_state},
    login::LoggedIn,
    notify::Notify,
    own_deleted::OwnDeleted,
    resync::Gone,
    sink::Sink,
    view::{View, Wanted},
};
pub use self::{
    append::Appending,
    auth::{log_in, preauthenticate, unavailable},
    compress::Inflow,
    idle::{Change, Changes, Ended},
    sasl::{Credentials, Judged, conclude, token},
};
use crate::{
    listen::Peer,
    observe::live::{Place, State},
    quirks::Quirk,
    service::{Guard, Service},
    tls::Secured,
};

/// What a session knows of its connection and the server.
pub struct Context {
    /// The server.
    pub service: Arc<Service>,
    /// Which connection, for the log and the record of who did what.
    pub origin: Arc<str>,
    /// What protects the connection.
    pub channel: Channel,
    /// What the TLS handshake established: by what SASL can bind to it (RFC 5056), and whom the
    /// client's certificate names.
    pub secured: Option<Arc<Secured>>,
    /// Who is at the other end: what counts against limits, and how late a wrong password is told.
    pub peer: Peer,
    /// Its place among those who are connected.
    pub place: Place,
    /// What passes the compressing layer, once there is one (RFC 4978).
    pub inflow: Option<Arc<Inflow>>,
}

impl Context {
    /// Whether something is done otherwise for this client.
    fn works_around(&self, quirk: Quirk) -> bool {
        let quirks = &self.service.config.imap.quirks;
        quirks.has(quirk, self.place.client())
    }
}

/// What protects a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Channel {
    /// TLS.
    Tls,
    /// Nothing, and passwords may be sent all the same (a loopback peer, or so configured).
    PlainTrusted,
    /// Nothing: passwords are refused (RFC 9051 §6.2.3 LOGINDISABLED).
    Plain,
}

/// A session in one of its states.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of it for each connection, most of them selected"
)]
pub enum Session {
    /// Before login.
    NotAuthenticated,
    /// After login, no mailbox selected.
    Authenticated(Authenticated),
    /// A mailbox is selected.
    Selected(Selected),
}

/// What exists after login.
pub struct Authenticated {
    account: Arc<dyn Account>,
    /// What the client logged in with.
    login: LoggedIn,
    mode: Mode,
    /// What it wants to be told of, once it has said so (RFC 5465).
    notify: Option<Box<Notify>>,
    /// Counts the session against its account's limit.
    _guard: Guard,
}

/// What exists while a mailbox is selected.
pub struct Selected {
    auth: Authenticated,
    mailbox: Arc<dyn Mailbox>,
    access: Access,
    view: View,
    own_deleted: OwnDeleted,
}

/// What the connection does after a command.
pub enum Reply {
    /// Writes the tagged line.
    Done(Completion),
    /// Writes OK, then does the TLS handshake and begins anew.
    StartTls,
    /// Exchanges SASL messages.
    Authenticate(Credentials),
    /// Waits for DONE and tells of changes meanwhile.
    Idle,
    /// Writes OK, then deflates what it sends and inflates what it reads.
    Compress,
    /// Writes OK, then is as before the login.
    Unauthenticate,
    /// Writes BYE (already in the sink) and the tagged line, then closes.
    Logout(Completion),
    /// Closes: the client is gone.
    Gone(std::io::Error),
}

impl Session {
    /// Runs one command.
    pub async fn command(
        self,
        command: Command,
        context: &Context,
        sink: &mut Sink,
    ) -> (Self, Reply) {
        if command.uses_sequence_numbers()
            && let Err(refused) = self.takes_sequence_numbers()
        {
            return (self, Reply::Done(refused));
        }
        match (self, command) {
            (session, Command::Any(command)) => session.any(command, context, sink).await,
            (Self::NotAuthenticated, Command::NotAuthenticated(command)) => {
                auth::command(command, context).await
            }
            // What these need stands apart, so that a session that waits takes none of it.
            (Self::Authenticated(auth), Command::Authenticated(command)) => {
                Box::pin(auth.command(command, context, sink)).await
            }
            (Self::Selected(selected), Command::Authenticated(command)) => {
                Box::pin(selected.authenticated(command, context, sink)).await
            }
            (Self::Selected(selected), Command::Selected(command)) => {
                Box::pin(selected.command(command, context, sink)).await
            }
            (session, _) => (session, Reply::Done(wrong_state())),
        }
    }

    /// Refuses a command that is not allowed now, whatever its arguments are.
    ///
    /// # Errors
    /// The tagged answer.
    pub fn allows(&self, property: &Property) -> Result<(), Completion> {
        let group = property.group;
        let allowed = match self {
            Self::NotAuthenticated => matches!(group, Group::Any | Group::NotAuthenticated),
            Self::Authenticated(_) => matches!(group, Group::Any | Group::Authenticated),
            Self::Selected(_) => group != Group::NotAuthenticated,
        };
        match (allowed, property.uses_sequence_numbers()) {
            (false, _) => Err(wrong_state()),
            (true, true) => self.takes_sequence_numbers(),
            (true, false) => Ok(()),
        }
    }

    /// The name of its state.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::NotAuthenticated => State::NotAuthenticated,
            Self::Authenticated(_) => State::Authenticated,
            Self::Selected(_) => State::Selected,
        }
    }

    /// What the session has enabled.
    #[must_use]
    pub fn mode(&self) -> Mode {
        match self {
            Self::NotAuthenticated => Mode::REV1,
            Self::Authenticated(auth) | Self::Selected(Selected { auth, .. }) => auth.mode,
        }
    }

    /// The account, once there is one.
    #[must_use]
    pub fn account(&self) -> Option<&Arc<dyn Account>> {
        self.authenticated().map(|auth| &auth.account)
    }

    const fn authenticated(&self) -> Option<&Authenticated> {
        match self {
            Self::NotAuthenticated => None,
            Self::Authenticated(auth) | Self::Selected(Selected { auth, .. }) => Some(auth),
        }
    }

    /// Tells the client of changes of its mailbox, as far as the running command allows, and of what
    /// else it asked for.
    ///
    /// # Errors
    /// If the client is gone or does not read.
    pub async fn tell(
        &mut self,
        expunge: Expunge,
        context: &Context,
        sink: &mut Sink,
    ) -> std::io::Result<()> {
        match self {
            Self::Selected(selected) => Box::pin(selected.tell(expunge, context, sink)).await,
            Self::Authenticated(auth) => Box::pin(auth.tell_others(None, sink)).await,
            Self::NotAuthenticated => Ok(()),
        }
    }
}

/// The reply of a handler that does not change the state.
fn reply(outcome: Outcome) -> Reply {
    match outcome {
        Ok(completion) | Err(Failure::Answer(completion)) => Reply::Done(completion),
        Err(Failure::Disconnected(error)) => Reply::Gone(error),
    }
}

impl Authenticated {
    async fn command(
        mut self,
        command: command::Authenticated,
        context: &Context,
        sink: &mut Sink,
    ) -> (Session, Reply) {
        use command::Authenticated as C;
        match command {
            C::Select(select) => self.select(&select, context, sink).await,
            C::Idle => (Session::Authenticated(self), Reply::Idle),
            C::Compress => (Session::Authenticated(self), context.compress()),
            C::Unauthenticate => self.unauthenticate(context),
            other => {
                let outcome = self.stateless(other, context, sink).await;
                (Session::Authenticated(self), reply(outcome))
            }
        }
    }

    /// Commands that leave the selected mailbox as it is.
    async fn stateless(
        &mut self,
        command: command::Authenticated,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        use command::Authenticated as C;
        match command {
            C::Enable(enable) => self.enable(&enable, context, sink).await,
            C::Create(create) => self.create(&create, sink).await,
            C::Delete(name) => self.delete(&name, sink).await,
            C::Rename(rename) => self.rename(&rename, sink).await,
            C::Notify(notify) => self.notify(&notify, None, context, sink).await,
            C::Subscribe(name) => self.subscribe(&name, store::Subscription::On).await,
            C::Unsubscribe(name) => self.subscribe(&name, store::Subscription::Off).await,
            C::List(list) => {
                self.want_as_status(&list.returns.status, sink);
                self.list(&list, context, sink).await
            }
            C::Lsub(lsub) => self.lsub(&lsub, sink).await,
            C::Namespace => self.namespace(sink).await,
            C::GetQuota(root) => self.get_quota(&root, context, sink).await,
            C::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox, context, sink).await,
            C::SetQuota => quota::set_quota(),
            C::Xlist(xlist) => self.xlist(&xlist, sink).await,
            C::Status(status) => {
                self.want_as_status(&status.items, sink);
                self.status(&status, context, sink).await
            }
            // Handled by the callers, which own the state that these change.
            C::Select(_) | C::Append(_) | C::Idle | C::Compress | C::Unauthenticate => {
                Ok(wrong_state())
            }
        }
    }

    /// The mailbox name a client wrote. In an IMAP4rev1 session it is modified UTF-7, later UTF-8.
    /// There is one spelling of a name in modified UTF-7, so that it is given back exactly as it
    /// was written (protocol rule 50, threat 24).
    fn name(&self, written: &WireName) -> Result<MailboxName, Failure> {
        let text = self.text(written)?;
        let spelled = written.0.strip_suffix(b"/").unwrap_or(&written.0);
        if self.mode.names == MailboxSpelling::ModifiedUtf7 && !utf7::is_canonical(spelled) {
            return answer::refuse(
                wire::imap::code::Code::Cannot,
                "The mailbox name is not in canonical modified UTF-7.",
            );
        }
        MailboxName::new(&text)
            .map_err(|error| Failure::Answer(no(wire::imap::code::Code::Cannot, error.to_string())))
    }

    /// A name or LIST pattern as text.
    fn text(&self, written: &WireName) -> Result<String, Failure> {
        let cannot = "The mailbox name is not encoded as it should be.";
        let text = match self.mode.names {
            MailboxSpelling::Utf8 => String::from_utf8(written.0.clone()).ok(),
            MailboxSpelling::ModifiedUtf7 => utf7::decode(&written.0),
        };
        match text {
            Some(text) => Ok(text),
            None => answer::refuse(wire::imap::code::Code::Cannot, cannot),
        }
    }

    /// The mailbox of this name; one that cannot be named does not exist.
    fn find(&self, written: &WireName) -> Result<Arc<store::MailboxInfo>, Failure> {
        let missing = || {
            no(
                wire::imap::code::Code::NonExistent,
                "There is no such mailbox.",
            )
        };
        let name = self.name(written).map_err(|_| Failure::Answer(missing()))?;
        let tree = self.account.tree();
        tree.mailboxes
            .get(&name.key())
            .cloned()
            .ok_or_else(|| Failure::Answer(missing()))
    }
}

impl Selected {
    async fn authenticated(
        mut self,
        command: command::Authenticated,
        context: &Context,
        sink: &mut Sink,
    ) -> (Session, Reply) {
        use command::Authenticated as C;
        match command {
            C::Select(select) => self.reselect(&select, context, sink).await,
            C::Idle => (Session::Selected(self), Reply::Idle),
            C::Compress => (Session::Selected(self), context.compress()),
            C::Unauthenticate => self.unauthenticate(context),
            C::Notify(notify) => {
                let outcome = self.notify(&notify, context, sink).await;
                (Session::Selected(self), reply(outcome))
            }
            other => {
                let own = matches!(other, C::Delete(_) | C::Rename(_));
                let before = self.auth.mode.sync;
                let mut outcome = self.auth.stateless(other, context, sink).await;
                if let Err(error) = self.wanted_since(before, sink).await {
                    outcome = Err(error.into());
                }
                let mut session = Session::Selected(self);
                match (session.ended(context), session) {
                    (Some(Ended::Deleted), Session::Selected(selected)) if own => {
                        selected.closed(sink, outcome).await
                    }
                    (_, session) => (session, reply(outcome)),
                }
            }
        }
    }

    /// This session itself deleted the mailbox: it goes on without one. (A session whose mailbox
    /// another one deleted gets BYE: it would not expect to be without.)
    async fn closed(self, sink: &mut Sink, outcome: Outcome) -> (Session, Reply) {
        match sink.send(&select::closed()).await {
            Ok(()) => (Session::Authenticated(self.auth), reply(outcome)),
            Err(error) => (Session::Authenticated(self.auth), Reply::Gone(error)),
        }
    }

    async fn command(
        mut self,
        command: command::Selected,
        context: &Context,
        sink: &mut Sink,
    ) -> (Session, Reply) {
        use command::Selected as C;
        let outcome = match command {
            C::Close => return self.close().await,
            C::Unselect => {
                return (
                    Session::Authenticated(self.leave(&UidSet::new())),
                    Reply::Done(ok("The mailbox is closed.")),
                );
            }
            C::Check => Ok(ok("Everything is kept safe at all times.")),
            C::Expunge(uids) => self.expunge(uids, context, sink).await,
            C::Search(search) => self.search(search, context, sink).await,
            C::Fetch(fetch) => self.fetch(&fetch, context, sink).await,
            C::Store(store) => self.store_flags(&store, context, sink).await,
            C::Copy(copy) => self.copy(&copy, context, sink).await,
            C::Move(transfer) => self.move_to(&transfer, context, sink).await,
            // Its message comes by a way of its own.
            C::Replace(_) => Ok(wrong_state()),
            C::UidBatches(batches) => self.uid_batches(batches, sink).await,
        };
        (Session::Selected(self), reply(outcome))
    }

    /// Tells of changes, how far a client that keeps account of them has come, and of other
    /// mailboxes.
    async fn tell(
        &mut self,
        expunge: Expunge,
        context: &Context,
        sink: &mut Sink,
    ) -> std::io::Result<()> {
        let gone = self.tell_changes(self.auth.tells(expunge), sink).await?;
        self.describe_new(context, sink).await?;
        self.settle(gone, sink).await?;
        self.auth.tell_others(Some(self.mailbox.id()), sink).await
    }

    /// Tells of messages that are gone after a command that removes some, whatever the client wants
    /// to be told otherwise: its numbers must be right.
    async fn tell_removed(&mut self, sink: &mut Sink) -> std::io::Result<Gone> {
        let wanted = Wanted {
            expunge: Expunge::May,
            ..self.auth.tells(Expunge::May)
        };
        self.tell_changes(wanted, sink).await
    }

    /// Tells of changes, and takes what is recent.
    async fn tell_changes(&mut self, wanted: Wanted, sink: &mut Sink) -> std::io::Result<Gone> {
        let state = self.mailbox.state();
        let taken = self.take_recent(&state, wanted);
        let (mode, last) = (self.auth.mode, self.view.last());
        let news = self.view.tell(&state, wanted, &taken, mode);
        self.note_new(last);
        self.own_deleted.forget_changed(&state);
        for response in self.view.responses(&news, &state, mode) {
            sink.send(&response).await?;
        }
        Ok(news.gone())
    }

    /// Tells of new messages only, which is allowed at any time; a UID command may name them.
    async fn tell_new(&mut self, sink: &mut Sink) -> std::io::Result<()> {
        let wanted = self.auth.tells(Expunge::MustWait);
        if !wanted.new {
            return Ok(());
        }
        let state = self.mailbox.state();
        let taken = self.take_recent(&state, wanted);
        let last = self.view.last();
        let responses = self.view.tell_new(&state, &taken);
        self.note_new(last);
        sink.send_all(&responses).await
    }

    /// Takes what is recent of a version, for a client that is told of it.
    fn take_recent(&self, state: &MailboxState, wanted: Wanted) -> UidSet {
        match wanted.new {
            true => {
                select::take_recent(&*self.mailbox, state, self.access, self.auth.mode.revision)
            }
            false => UidSet::new(),
        }
    }

    /// The messages a command names, or BAD for a number that is not in the view. UIDs may be of
    /// messages that came just now; what `*` is among sequence numbers, and with it what a command
    /// changes, is what the client was told of before.
    async fn messages(&mut self, messages: &Messages, sink: &mut Sink) -> Result<UidSet, Failure> {
        if messages.numbers() == Numbers::Uid {
            self.tell_new(sink).await?;
        }
        self.view
            .resolve(messages)
            .ok_or_else(|| Failure::Answer(bad("There is no message with this number.")))
    }

    /// Refuses changes of a mailbox opened by EXAMINE.
    fn writable(&self) -> Result<(), Failure> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => answer::refuse(
                wire::imap::code::Code::NoPerm,
                "The mailbox is open read-only.",
            ),
        }
    }
}
