//! One IMAP connection: the only IMAP code that touches a socket.
//!
//! Reads, frames, hands commands to the session, and writes what the session answers; keeps the
//! deadlines; pumps message literals; carries out STARTTLS. It decides nothing that a session
//! should decide. One command is answered before the next is looked at, so that pipelined commands
//! run in order (RFC 9051 §5.5).

mod append;
mod authenticate;
mod compress;
mod counted;
mod deflate;
mod end;
mod greet;
mod idle;
mod listen;
mod pace;
mod traced;
mod unauthenticate;

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, ReadHalf, WriteHalf},
    time::{Instant, timeout_at},
};
use wire::{
    cursor::Refusal,
    frame::{Fault, Frame, Framer},
    imap::{
        code::Code,
        command::{Command, NotAuthenticated, Selected, Tag, Tagged},
        response::{Completion, Status, Untagged},
        search,
        table::{Expunge, Group, Property},
    },
    limits::Limits,
};

use crate::{
    config::{AllowPlaintextAuth, Config},
    listen::{Peer, Protection, Stream, linger},
    observe::{
        label::{CommandLabel, Spoken},
        live::Opening as Opened,
    },
    pool::{Share, UsedUp},
    refused::{self, Claims, Reason},
    service::Service,
    session::{
        Change, Channel, Context, Reply, Session,
        answer::{bad, no, ok},
        sink::{OutputLimits, Sink},
    },
};

pub use self::deflate::Compressors;
use self::{counted::Running, end::End, pace::Pace};

/// Bytes of answers that wait before login, whatever may wait after.
const BUFFER_BYTES_BEFORE_LOGIN: usize = 8 * 1024;
/// Bytes asked of the socket at once while a command is coming in, …
const READ_BYTES: usize = 16 * 1024;
/// … before login, when each of thousands of strangers has its own room for them, …
const READ_BYTES_BEFORE_LOGIN: usize = 2 * 1024;
/// … and between commands: who idles for hours holds this. Most commands are shorter.
const READ_BYTES_AT_REST: usize = 512;

/// How a connection begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Opening<'a> {
    /// The client has to log in.
    Login,
    /// It is in this account from its start (RFC 9051 §7.1.4).
    Preauth(&'a str),
}

impl<'a> Opening<'a> {
    /// As configured for the listeners.
    fn of(config: &'a Config) -> Self {
        match &config.imap.preauth_account {
            Some(account) if !config.imap.require_authentication => Self::Preauth(account),
            _ => Self::Login,
        }
    }
}

/// Serves one connection of a listener to its end.
pub async fn serve(stream: Stream, service: Arc<Service>, peer: Peer) {
    let config = Arc::clone(&service.config);
    let connection = Connection::new(stream, service, peer, counted::spoken(&peer));
    run(connection, Opening::of(&config)).await;
}

/// Serves one connection of a program on this machine that is in an account from its start.
pub async fn serve_account(stream: Stream, service: Arc<Service>, account: &str) {
    let connection = Connection::new(stream, service, Peer::LOCAL, Spoken::Imap);
    run(connection, Opening::Preauth(account)).await;
}

async fn run(mut connection: Connection, opening: Opening<'_>) {
    let service = Arc::clone(&connection.context.service);
    let mut done = unless_cut(&service, pin!(connection.greet(opening))).await;
    let end = loop {
        match done {
            Ok(Flow::On) => done = unless_cut(&service, pin!(connection.step())).await,
            Ok(Flow::StartTls) => {
                // On the heap: few connections ever need the room.
                let shaking = Box::pin(connection.start_tls());
                let shaken = tokio::select! {
                    biased;
                    shaken = shaking => shaken,
                    // Nothing can be said in a handshake.
                    () = service.shutdown.patience(LOGIN_PATIENCE) => return,
                };
                match shaken {
                    Ok(secured) => (connection, done) = (secured, Ok(Flow::On)),
                    Err(()) => return,
                }
            }
            Ok(Flow::Compress) => match connection.compressed() {
                Some(compressed) => (connection, done) = (compressed, Ok(Flow::On)),
                None => return,
            },
            Ok(Flow::Unauthenticate) => match connection.uncompressed() {
                Some(plain) => {
                    connection = plain;
                    done = connection.begin_anew();
                }
                None => return,
            },
            Err(end) => break end,
        }
    };
    connection.close(&end).await;
}

/// Work of a connection, which is given up when the server does not wait for it any more. By
/// reference: a future that is moved takes its room twice.
async fn unless_cut(
    service: &Service,
    work: Pin<&mut impl Future<Output = Result<Flow, End>>>,
) -> Result<Flow, End> {
    tokio::select! {
        biased;
        done = work => done,
        () = service.shutdown.over() => Err(End::Cut),
    }
}

/// What follows a step.
enum Flow {
    On,
    StartTls,
    Compress,
    Unauthenticate,
}

struct Connection {
    reader: ReadHalf<Stream>,
    sink: Sink,
    framer: Framer,
    /// Absent only while a command runs.
    session: Session,
    context: Context,
    limits: Limits,
    /// Its part of the memory before login; none after.
    share: Option<Share>,
    pace: Pace,
    begun: Instant,
    /// When a command, or a part of a message, last came.
    heard: Instant,
    commands: u64,
    /// Consecutive commands that were not understood.
    bad_commands: u32,
    /// The command that is being answered, as long as its time counts.
    running: Option<Running>,
    /// Whether a command of it was understood.
    speaks_imap: bool,
    login_failures: u32,
}

impl Connection {
    fn new(stream: Stream, service: Arc<Service>, peer: Peer, protocol: Spoken) -> Self {
        let channel = channel(&service, &peer);
        let (id, begun) = (service.sessions.next_id(), stream.since());
        let origin = format!("imap {peer} #{id}");
        let opening = Opened {
            id,
            protocol,
            peer: &peer,
            since: begun,
            opened_secs: service.now_secs(),
        };
        let (place, meter) = counted::enter(&service, opening);
        let context = Context {
            channel,
            origin: origin.into(),
            // What a proxy did with its client says nothing of what it did with us.
            secured: match peer.protection {
                Protection::AtProxy => None,
                Protection::Plain | Protection::Tls => stream.secured().cloned(),
            },
            peer,
            place,
            inflow: None,
            service,
        };
        let (reader, writer) = tokio::io::split(stream);
        let limits = context.service.config.limits.before_login();
        let per_minute = context.service.config.limits.commands_per_minute;
        Self {
            share: None,
            pace: Pace::new(per_minute, begun),
            heard: begun,
            reader,
            sink: sink(writer, &context.service).metered(meter),
            framer: Framer::new(),
            session: Session::NotAuthenticated,
            context,
            limits,
            begun,
            commands: 0,
            bad_commands: 0,
            running: None,
            speaks_imap: false,
            login_failures: 0,
        }
    }

    /// Takes what the framer has, or waits for more. Once the server stops no command is begun.
    async fn step(&mut self) -> Result<Flow, End> {
        if self.context.service.shutdown.has_begun() {
            return Err(End::Stopping);
        }
        match self.next_frame() {
            Frame::Incomplete if self.is_listening() => Box::pin(self.listen()).await?,
            Frame::Incomplete => self.receive().await?,
            Frame::Command(command) => return self.command(command).await,
            Frame::Literal(literal) => {
                self.sink.begin(&literal.tag);
                match self.may_send(literal.property) {
                    Ok(()) => {
                        self.framer.grant();
                        self.sink.ask("Go ahead.").await?;
                    }
                    Err(refused) => {
                        self.begin(&literal.tag, literal.property);
                        self.framer.refuse();
                        self.answer(refused, Expunge::MustWait).await?;
                    }
                }
            }
            // On the heap, as what follows a login: a stranger's connection has no room for it.
            Frame::Append(tag, append) => Box::pin(self.append(&tag, &append)).await?,
            Frame::Replace(tag, replace) => Box::pin(self.replace(&tag, &replace)).await?,
            // Only within APPEND, which takes them itself.
            Frame::AppendNext(_) | Frame::AppendEnd => self.framer.refuse(),
            Frame::Bad(tag, fault) => self.not_understood(tag.as_ref(), fault).await?,
            Frame::Refused(tag, property, refusal) => {
                self.begin(&tag, property);
                match self.session.allows(property) {
                    Ok(()) => self.refused(refusal).await?,
                    Err(sooner) => self.answer(sooner, Expunge::MustWait).await?,
                }
            }
            Frame::Fatal(fault) => return Err(fatal(fault)),
        }
        Ok(Flow::On)
    }

    /// Whether a client may send a literal of this command: not a password in clear, and nothing
    /// to a command that its state refuses.
    fn may_send(&self, property: &Property) -> Result<(), Completion> {
        self.session.allows(property)?;
        match property.group {
            Group::NotAuthenticated => self.context.password_allowed(),
            Group::Any | Group::Authenticated | Group::Selected => Ok(()),
        }
    }

    async fn command(&mut self, tagged: Tagged) -> Result<Flow, End> {
        self.commands = self.commands.saturating_add(1);
        self.pace().await?;
        self.begin(&tagged.tag, tagged.command.property());
        let expunge = tagged.command.expunge();
        let login = matches!(self.session, Session::NotAuthenticated)
            && matches!(
                tagged.command,
                Command::NotAuthenticated(
                    NotAuthenticated::Login(_) | NotAuthenticated::Authenticate(_)
                )
            );
        tracing::debug!(origin = %self.context.origin, command = tagged.command.property().name);
        if login && self.is_banned() {
            self.turned_away();
            return Err(End::Refused(Reason::Banned));
        }
        let reply = self.run(tagged.command).await?;
        match reply {
            Reply::Done(completion) if login => self.logged_in(completion).await?,
            Reply::Done(completion) => self.answer(completion, expunge).await?,
            Reply::StartTls => {
                self.sink.complete(&ok("Begin the TLS handshake now."));
                self.ended(Status::Ok, Instant::now());
                self.sink.flush().await?;
                return Ok(Flow::StartTls);
            }
            Reply::Authenticate(credentials) => {
                let service = Arc::clone(&self.context.service);
                tokio::select! {
                    biased;
                    done = self.authenticate(credentials) => done?,
                    () = service.shutdown.patience(LOGIN_PATIENCE) => return Err(End::Stopping),
                }
            }
            Reply::Idle => self.idle().await?,
            Reply::Compress => {
                self.begin_compression().await?;
                return Ok(Flow::Compress);
            }
            Reply::Unauthenticate => {
                self.leave_account().await?;
                return Ok(Flow::Unauthenticate);
            }
            Reply::Logout(completion) => {
                self.sink.complete(&completion);
                self.ended(completion.status, Instant::now());
                self.sink.flush().await?;
                return Err(End::Logout);
            }
            Reply::Gone(error) => return Err(End::Gone(error)),
        }
        Ok(Flow::On)
    }

    /// Runs a command. A search is given up when the client is gone (threat 20): it may
    /// take long and writes nothing meanwhile, so that nobody would notice. A login is given up when
    /// the server stops: the answer to a wrong one may be due only in half a minute.
    async fn run(&mut self, command: Command) -> Result<Reply, End> {
        let is_search = matches!(command, Command::Selected(Selected::Search(_)));
        let is_login = matches!(command, Command::NotAuthenticated(_));
        let ahead = self.context.service.config.limits.commands_in_flight;
        let session = std::mem::replace(&mut self.session, Session::NotAuthenticated);
        let running = session.command(command, &self.context, &mut self.sink);
        let (session, reply) = tokio::select! {
            biased;
            done = running => done,
            error = gone(&mut self.reader, &mut self.framer, &self.context, ahead), if is_search => {
                return Err(error.into());
            }
            () = self.context.service.shutdown.patience(LOGIN_PATIENCE), if is_login => {
                return Err(End::Stopping);
            }
        };
        self.session = session;
        Ok(reply)
    }

    /// Writes the tagged answer, after the changes that may be told.
    async fn answer(&mut self, completion: Completion, expunge: Expunge) -> Result<(), End> {
        self.session
            .tell(expunge, &self.context, &mut self.sink)
            .await?;
        self.sink.complete(&completion);
        self.heard = Instant::now();
        self.ended(completion.status, self.heard);
        match completion.status {
            Status::Bad => self.count_bad()?,
            Status::Ok | Status::No => {
                (self.bad_commands, self.speaks_imap) = (0, true);
            }
        }
        if let Some(ended) = self.session.ended(&self.context) {
            return Err(ended.into());
        }
        if self.context.place.is_told_to_end() {
            return Err(End::Kicked);
        }
        Ok(self.sink.relieve().await?)
    }

    fn count_bad(&mut self) -> Result<(), End> {
        self.bad_commands = self.bad_commands.saturating_add(1);
        let limits = &self.context.service.config.limits;
        let most = match self.session {
            Session::NotAuthenticated => limits.bad_commands_before_login,
            // Where nobody logs in, a page that a browser of this machine shows must not say what
            // a client could: what it sends begins with lines of HTTP.
            _ if !self.speaks_imap => 1,
            Session::Authenticated(_) | Session::Selected(_) => limits.bad_commands,
        };
        if self.bad_commands < most {
            return Ok(());
        }
        Err(End::Refused(Reason::BadCommands))
    }

    async fn not_understood(&mut self, tag: Option<&Tag>, fault: Fault) -> Result<(), End> {
        let code = match fault {
            Fault::TooBig => Some(Code::TooBig),
            Fault::Syntax(_) | Fault::UnknownCommand | Fault::LineTooLong => None,
        };
        let completion = Completion {
            code,
            ..bad(fault.to_string())
        };
        let now = Instant::now();
        // The end of a command that was counted when it began is not another one.
        if self.running.is_none() {
            self.note(CommandLabel::UNKNOWN, now);
        }
        self.ended(Status::Bad, now);
        match tag {
            Some(tag) => {
                self.sink.begin(tag);
                self.sink.complete(&completion);
            }
            None => self.sink.send(&Untagged::Status(completion)).await?,
        }
        self.count_bad()?;
        Ok(self.sink.relieve().await?)
    }

    async fn refused(&mut self, refusal: Refusal) -> Result<(), End> {
        let completion = match refusal {
            Refusal::Charset(returns) => {
                self.session.search_refused(returns);
                no(
                    Code::BadCharset(search::CHARSETS),
                    "Only these charsets are supported.",
                )
            }
            Refusal::Keywords => no(Code::Limit, "A keyword is too long, or there are too many."),
        };
        self.answer(completion, Expunge::MustWait).await
    }

    /// Waits for bytes, within the deadline of the connection's stage.
    async fn receive(&mut self) -> Result<(), End> {
        self.receive_for(Duration::ZERO).await
    }

    /// The same within a command, which goes on for a while though the server stops.
    async fn receive_for(&mut self, patience: Duration) -> Result<(), End> {
        self.sink.flush().await?;
        let (deadline, late) = self.deadline();
        // One that always has something to say is not let on for that.
        if Instant::now() >= deadline {
            return Err(late);
        }
        let mut changes = self.session.changes();
        let buffer = room(
            &mut self.framer,
            match self.session {
                Session::NotAuthenticated => READ_BYTES_BEFORE_LOGIN,
                Session::Authenticated(_) | Session::Selected(_) => READ_BYTES,
            },
        );
        let read = loop {
            tokio::select! {
                read = timeout_at(deadline, self.reader.read_buf(buffer)) => break read,
                change = changes.next() => {
                    let ended = match change {
                        Change::Ended(why) => Some(why),
                        Change::Version => self.session.ended(&self.context),
                    };
                    if let Some(why) = ended {
                        return Err(why.into());
                    }
                }
                end = told_to_end(&self.context, patience) => return Err(end),
            }
        };
        match read {
            Ok(Ok(0)) => Err(End::Gone(io::ErrorKind::UnexpectedEof.into())),
            Ok(Ok(count)) => {
                self.context.received(count);
                match self.framer.message_remaining() {
                    0 => self.context.check_inflow()?,
                    _ => self.context.forgive_inflow(),
                }
                self.account_for_input()
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(late),
        }
    }

    /// Before login, what a client has sent counts against the memory of all like it.
    fn account_for_input(&mut self) -> Result<(), End> {
        match &mut self.share {
            Some(share) => share
                .holds(self.framer.buffered())
                .map_err(|UsedUp| End::Refused(Reason::PreLoginPool)),
            None => Ok(()),
        }
    }

    /// Until when something must come, and what happens if nothing does. After login that is a
    /// whole command or a part of a message: bytes that never make a command are no sign of life.
    fn deadline(&self) -> (Instant, End) {
        let config = &self.context.service.config;
        match self.session {
            Session::NotAuthenticated => (
                self.begun + config.limits.pre_login_time,
                End::Refused(Reason::PreLoginTime),
            ),
            Session::Authenticated(_) | Session::Selected(_) => {
                (self.heard + config.imap.session_timeout, End::Silent)
            }
        }
    }

    fn is_banned(&self) -> bool {
        self.context.service.auth.is_banned(&self.context.peer)
    }

    fn log_refusal(&self, reason: Reason) {
        refused::log(
            &self.context.service,
            reason,
            &self.context.peer,
            self.claims(),
        );
    }

    /// Who the peer says it is.
    fn claims(&self) -> Claims<'_> {
        Claims {
            user: None,
            client: self.context.place.client(),
        }
    }

    /// Drops everything that came before the handshake, and everything that is known of the client
    /// (RFC 9051 §6.2.1; threat 1).
    async fn start_tls(self) -> Result<Self, ()> {
        let (peer, service) = (self.context.peer, Arc::clone(&self.context.service));
        let shaken = self.shake_hands().await;
        shaken.map_err(|error| refused::handshake(&service, &peer, &error))
    }

    async fn shake_hands(self) -> io::Result<Self> {
        let service = Arc::clone(&self.context.service);
        let writer = self.sink.into_output::<WriteHalf<Stream>>();
        let (Some(tls), Some(writer)) = (&service.tls, writer) else {
            return Err(io::Error::other("there is no certificate any more"));
        };
        let limit = service.config.limits.handshake_time;
        let stream = self.reader.unsplit(writer).start_tls(tls, limit).await?;
        service.observe.shaken(&stream);
        let peer = Peer {
            protection: Protection::Tls,
            ..self.context.peer
        };
        let protocol = self.context.place.protocol;
        Ok(Self::new(stream, Arc::clone(&service), peer, protocol))
    }

    /// Says goodbye if there is something to say, and writes one line to the log.
    async fn close(mut self, end: &End) {
        if self.context.place.is_probe {
            let _told: Result<_, _> = tokio::time::timeout(GOODBYE, self.last_words(end)).await;
            return;
        }
        if let Some(reason) = end.refusal() {
            self.log_refusal(reason);
        }
        // A client that is gone cannot be told, and one that does not read is not waited for.
        let _told: Result<io::Result<()>, _> =
            tokio::time::timeout(GOODBYE, self.last_words(end)).await;
        self.log_end(end.reason());
    }

    async fn last_words(&mut self, end: &End) -> io::Result<()> {
        let said = match end {
            // Within a response it would be read as part of it.
            End::Cut if self.sink.is_within_response() => return Ok(()),
            end => end.bye(),
        };
        let is_told = said.is_some();
        if let Some((code, text)) = said {
            self.sink.send(&Untagged::Bye(code, text)).await?;
        }
        self.sink.shutdown().await?;
        if is_told {
            linger(&mut self.reader).await;
        }
        Ok(())
    }

    /// One line for a session, and one of another name for a connection on which nobody logged in.
    fn log_end(&self, (reason, cause): (&str, Option<String>)) {
        let row = self.context.place.row(Instant::now());
        let protocol = row.protocol.name();
        let address = self.context.peer.ip_text();
        let seconds = row.open_for.as_secs();
        macro_rules! line {
            ($name:literal) => {
                tracing::info!(
                    origin = %self.context.origin, protocol, %address,
                    user = row.user.as_deref(), reason, cause, seconds,
                    commands = row.commands, messages = row.retrieved,
                    bytes_in = row.bytes_in, bytes_out = row.bytes_out,
                    client = row.client.as_deref(), $name
                )
            };
        }
        match row.user {
            Some(_) => line!("logout"),
            None => line!("connection closed"),
        }
    }
}

/// Waits until the session is told to end: because the server stopped so long ago, or somebody ends
/// it.
async fn told_to_end(context: &Context, patience: Duration) -> End {
    tokio::select! {
        () = context.service.shutdown.patience(patience) => End::Stopping,
        () = context.place.told_to_end() => End::Kicked,
    }
}

/// Waits until the client is gone, reading ahead what it sends meanwhile, as far as is allowed. One
/// that only says that it will send nothing more may still be waiting for its answers.
async fn gone(
    reader: &mut ReadHalf<Stream>,
    framer: &mut Framer,
    context: &Context,
    commands_ahead: u32,
) -> io::Error {
    let few = |framer: &Framer| framer.buffered_lines() < commands_ahead as usize;
    while framer.buffered() < READ_AHEAD_BYTES && few(framer) {
        let buffer = room(framer, READ_BYTES);
        match reader.read_buf(buffer).await {
            Ok(0) => {
                tokio::time::sleep(HALF_CLOSED).await;
                return io::ErrorKind::UnexpectedEof.into();
            }
            Ok(count) => context.received(count),
            Err(error) => return error,
        }
    }
    std::future::pending().await
}

/// The input buffer with room for what is read next, at most `bytes_max`.
fn room(framer: &mut Framer, bytes_max: usize) -> &mut BytesMut {
    let is_at_rest = framer.buffered() == 0 && framer.message_remaining() == 0;
    let buffer = framer.buffer_mut();
    buffer.reserve(match is_at_rest {
        true => READ_BYTES_AT_REST,
        false => bytes_max,
    });
    buffer
}

/// Bytes of further commands that are read while one runs.
const READ_AHEAD_BYTES: usize = 64 * 1024;

/// How long a search goes on for a client that has closed its side.
const HALF_CLOSED: Duration = Duration::from_secs(1);

/// How long a login or a handshake goes on when the server stops.
const LOGIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long a client may take to accept the last words.
const GOODBYE: Duration = Duration::from_secs(5);

fn sink(writer: WriteHalf<Stream>, service: &Service) -> Sink {
    Sink::new(writer, output_before_login(service))
}

fn output_before_login(service: &Service) -> OutputLimits {
    let limits = &service.config.limits;
    OutputLimits {
        buffer_bytes: limits
            .output_buffer_bytes
            .as_usize()
            .min(BUFFER_BYTES_BEFORE_LOGIN),
        patience: limits.output_timeout_before_login,
    }
}

/// What protects the connection, by configuration and peer.
fn channel(service: &Service, peer: &Peer) -> Channel {
    if peer.protection != Protection::Plain {
        return Channel::Tls;
    }
    match service.config.imap.allow_plaintext_auth {
        AllowPlaintextAuth::Always => Channel::PlainTrusted,
        AllowPlaintextAuth::Loopback if peer.loopback => Channel::PlainTrusted,
        AllowPlaintextAuth::Loopback | AllowPlaintextAuth::Never => Channel::Plain,
    }
}

fn fatal(fault: Fault) -> End {
    match fault {
        Fault::TooBig => End::Refused(Reason::TooBig),
        Fault::LineTooLong => End::Refused(Reason::LineTooLong),
        Fault::Syntax(_) | Fault::UnknownCommand => {
            End::Bye(None, "That cannot be understood.".into())
        }
    }
}

#[cfg(test)]
mod tests;
