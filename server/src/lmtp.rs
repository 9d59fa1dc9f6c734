//! LMTP on a connection (RFC 2033): reads commands, answers them, streams the message into a
//! spool and delivers it to each recipient. Syntax and order of commands are `wire::lmtp`'s, what
//! a recipient is and what is stored are `delivery`'s.

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mail::{date::DateTime, id::AccountId};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    task::JoinSet,
    time::Instant,
};
use wire::{
    limits::LMTP_LINE_BYTES_MAX,
    lmtp::{
        command::{self, Bdat, Charset, Command, Mail, Position},
        data::{Chunk, DotDecoder, Progress},
        frame::{Framer, Line},
        path::Address,
        reply::{Extensions, Reply},
        transaction::Transaction,
    },
};

use crate::{
    delivery::{Outgoing, Recipient, Refusal, Spool, Spooled, Trace},
    listen::{Peer, Stream, linger, without_fault},
    observe::{
        label::{Delivered, Spoken},
        live::{Opening, Place},
    },
    service::Service,
};

pub mod client;

/// Bytes read from a client at once.
const READ_BYTES: usize = 64 * 1024;
/// Recipients of one message that are delivered to at a time.
const DELIVERIES_MAX: usize = 16;
/// Replies are sent when they have grown to this, even if the client is pipelining, bytes.
const REPLIES_BYTES_MAX: usize = 4 * 1024;

/// How long a client may be silent in a message when the server stops.
const MESSAGE_PATIENCE: Duration = Duration::from_secs(5);
/// What a client is told when the server stops (RFC 5321 §3.8).
const STOPPING: Reply = Reply::Unavailable("shutting down");
/// What it is told when somebody ends its session.
const ENDED: Reply = Reply::Unavailable("ended by the administrator");

/// Serves a client until it leaves, is silent for too long, or the server stops.
pub async fn serve(stream: Stream, service: Arc<Service>, peer: Peer) {
    let mut session = Session::new(stream, Arc::clone(&service), peer);
    let served = tokio::select! {
        biased;
        served = session.run() => served,
        () = service.shutdown.over() => session.cut().await,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "LMTP connection lost");
    }
}

/// Whether a connection goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Read,
    Close,
}

struct Session {
    stream: Stream,
    service: Arc<Service>,
    peer: Peer,
    origin: Arc<str>,
    /// Its place among those who are connected.
    place: Place,
    framer: Framer,
    out: Vec<u8>,
    client: Box<str>,
    transaction: Transaction,
    recipients: Vec<Recipient>,
    /// The message so far, between two chunks of BDAT.
    chunks: Option<Incoming>,
    bad_commands: u32,
}

/// A message on its way in.
struct Incoming {
    spool: Spool,
    /// What became of it; after a fault the rest is read and dropped.
    fault: Option<Reply>,
}

impl Session {
    fn new(stream: Stream, service: Arc<Service>, peer: Peer) -> Self {
        let id = service.sessions.next_id();
        let origin = format!("lmtp {peer} #{id}");
        let place = service.observe.enter(Opening {
            id,
            protocol: Spoken::Lmtp,
            peer: &peer,
            since: stream.since(),
            opened_secs: service.now_secs(),
        });
        Self {
            place,
            stream,
            service,
            peer,
            origin: origin.into(),
            framer: Framer::new(LMTP_LINE_BYTES_MAX),
            out: Vec::new(),
            client: "unknown".into(),
            transaction: Transaction::new(),
            recipients: Vec::new(),
            chunks: None,
            bad_commands: 0,
        }
    }

    async fn run(&mut self) -> io::Result<()> {
        let server = self.service.config.imap.server_name.as_str().into();
        self.reply(&Reply::Ready(server)).await?;
        let mut next = Next::Read;
        while next == Next::Read {
            let Some(line) = self.line().await? else {
                break;
            };
            let parsed = match line {
                Line::Command(line) => command::parse(&line),
                Line::TooLong => Err(Reply::LineTooLong),
            };
            next = match parsed {
                Ok(command) => self.command(command).await?,
                Err(reply) => self.refuse(&reply).await?,
            };
        }
        self.flush().await?;
        self.stream.shutdown().await?;
        linger(&mut self.stream).await;
        Ok(())
    }

    /// The server does not wait for this client any more. Within a message, too, it may be told
    /// (RFC 5321 §3.8); it sends what was not acknowledged again.
    async fn cut(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            // Part of it may be sent.
            return Ok(());
        }
        self.reply(&STOPPING).await?;
        self.stream.shutdown().await?;
        linger(&mut self.stream).await;
        Ok(())
    }

    /// The next command line; `None` if the connection ends.
    async fn line(&mut self) -> io::Result<Option<Line>> {
        loop {
            if self.service.shutdown.has_begun() {
                self.reply(&STOPPING).await?;
                return Ok(None);
            }
            if self.place.is_told_to_end() {
                self.reply(&ENDED).await?;
                return Ok(None);
            }
            if let Some(line) = self.framer.line() {
                return Ok(Some(line));
            }
            self.flush().await?;
            let service = Arc::clone(&self.service);
            let place = Arc::clone(&self.place);
            tokio::select! {
                () = service.shutdown.notified() => {}
                () = place.told_to_end() => {}
                read = self.read() => match read {
                    Ok(0) => return Ok(None),
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                        self.reply(&Reply::Unavailable("you were silent for too long")).await?;
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        let buffer = self.framer.buffer();
        buffer.reserve(READ_BYTES);
        let count = within(
            self.service.config.limits.lmtp_idle_time,
            self.stream.read_buf(buffer),
        )
        .await?;
        self.place.received(count as u64);
        self.place.heard(Instant::now());
        let metrics = &self.service.observe.metrics;
        metrics.lmtp_bytes.add((), count as u64);
        Ok(count)
    }

    /// Queues a reply; it is sent at once unless the client is pipelining (RFC 2920 §3.2).
    async fn reply(&mut self, reply: &Reply) -> io::Result<Next> {
        reply.encode(&mut self.out);
        if !self.framer.has_more() || self.out.len() >= REPLIES_BYTES_MAX {
            self.flush().await?;
        }
        Ok(if reply.closes() {
            Next::Close
        } else {
            Next::Read
        })
    }

    async fn flush(&mut self) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let sent = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await
        };
        within(self.service.config.limits.output_timeout, sent).await?;
        self.place.sent(self.out.len() as u64);
        self.out.clear();
        Ok(())
    }

    /// Answers a command that is wrong; too many of them end the connection.
    async fn refuse(&mut self, reply: &Reply) -> io::Result<Next> {
        self.bad_commands = self.bad_commands.saturating_add(1);
        let next = self.reply(reply).await?;
        if self.bad_commands < self.service.config.limits.bad_commands || next == Next::Close {
            return Ok(next);
        }
        self.reply(&Reply::Unavailable("too many bad commands"))
            .await
    }

    async fn command(&mut self, command: Command) -> io::Result<Next> {
        if let Err(reply) = self.transaction.check(&command) {
            let next = self.refuse(&reply).await?;
            // Its bytes come all the same (RFC 3030 §2).
            if let Command::Bdat(bdat) = command {
                self.receive_chunk(bdat, None).await?;
            }
            return Ok(next);
        }
        self.bad_commands = 0;
        match command {
            Command::Lhlo(client) => self.hello(client).await,
            Command::Mail(mail) => self.mail(mail).await,
            Command::Rcpt(address) => self.rcpt(&address).await,
            Command::Data => self.data().await,
            Command::Bdat(bdat) => self.bdat(bdat).await,
            Command::Rset => {
                self.reset();
                self.reply(&Reply::Done).await
            }
            Command::Noop => self.reply(&Reply::Done).await,
            Command::Vrfy => self.reply(&Reply::NotVerified).await,
            Command::Help => self.reply(&Reply::Help).await,
            Command::Quit => self.reply(&Reply::Closing).await,
        }
    }

    fn reset(&mut self) {
        self.transaction.reset();
        self.recipients.clear();
        self.chunks = None;
    }

    async fn hello(&mut self, client: Box<str>) -> io::Result<Next> {
        self.reset();
        self.place.named(&client, self.service.now_secs());
        self.client = client;
        self.transaction.hello();
        let config = &self.service.config;
        let extensions = Extensions {
            server: config.imap.server_name.as_str().into(),
            size_max: config.limits.message_bytes.0,
        };
        self.reply(&Reply::Hello(extensions)).await
    }

    async fn mail(&mut self, mail: Mail) -> io::Result<Next> {
        let most = self.service.config.limits.message_bytes.0;
        if mail.size.is_some_and(|size| size > most) {
            return self.reply(&Reply::TooLarge).await;
        }
        self.transaction.sender(mail);
        self.reply(&Reply::SenderAccepted).await
    }

    async fn rcpt(&mut self, address: &Address) -> io::Result<Next> {
        let config = &self.service.config;
        if self.recipients.len() >= config.limits.lmtp_recipients as usize {
            return self.reply(&Reply::TooManyRecipients).await;
        }
        let announced = self
            .transaction
            .mail()
            .and_then(|mail| mail.size)
            .unwrap_or(0);
        let store = &*self.service.store;
        let found = match Recipient::find(store, &config.imap.server_name, address) {
            Ok(recipient) => recipient
                .has_room(store, &self.origin, announced)
                .await
                .map(|()| recipient),
            Err(refusal) => Err(refusal),
        };
        match found {
            Ok(recipient) => {
                self.recipients.push(recipient);
                self.transaction.recipient();
                self.reply(&Reply::RecipientAccepted).await
            }
            Err(refusal) => {
                tracing::info!(
                    origin = %self.origin, protocol = "lmtp", address = %self.peer.ip_text(),
                    user = address.to_string(), from = self.sender(), reason = refusal.name(),
                    "recipient refused"
                );
                self.reply(&answer(Err(refusal))).await
            }
        }
    }

    fn begin(&self) -> Incoming {
        Incoming {
            spool: Spool::new(&self.service.config.store.path),
            fault: None,
        }
    }

    async fn data(&mut self) -> io::Result<Next> {
        Reply::StartData.encode(&mut self.out);
        self.flush().await?;
        let mut incoming = self.begin();
        let mut decoder = DotDecoder::new();
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let progress = self.framer.data(&mut decoder, &mut bytes);
            self.take(&mut incoming, &bytes).await;
            if progress == Progress::Complete {
                break;
            }
            self.read_message().await?;
        }
        self.finish(incoming).await
    }

    async fn bdat(&mut self, bdat: Bdat) -> io::Result<Next> {
        let mut incoming = self.chunks.take().unwrap_or_else(|| self.begin());
        self.receive_chunk(bdat, Some(&mut incoming)).await?;
        match bdat.position {
            Position::Last => self.finish(incoming).await,
            Position::More => {
                self.transaction.chunk();
                // A fault is told once, with the last chunk, to each recipient.
                self.chunks = Some(incoming);
                self.reply(&Reply::ChunkAccepted).await
            }
        }
    }

    /// Reads a chunk; without a message it is dropped.
    async fn receive_chunk(
        &mut self,
        bdat: Bdat,
        mut incoming: Option<&mut Incoming>,
    ) -> io::Result<()> {
        let mut chunk = Chunk::new(bdat.size);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            let progress = self.framer.chunk(&mut chunk, &mut bytes);
            if let Some(incoming) = &mut incoming {
                self.take(incoming, &bytes).await;
            }
            if progress == Progress::Complete {
                return Ok(());
            }
            self.read_message().await?;
        }
    }

    /// Reads more of a message. When the server stops it is still taken, unless the client falls
    /// silent.
    async fn read_message(&mut self) -> io::Result<()> {
        let service = Arc::clone(&self.service);
        let read = tokio::select! {
            biased;
            read = self.read() => read?,
            () = service.shutdown.patience(MESSAGE_PATIENCE) => {
                self.reply(&STOPPING).await?;
                self.stream.shutdown().await?;
                linger(&mut self.stream).await;
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
        };
        match read {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Adds bytes to a message, unless it has failed already.
    async fn take(&self, incoming: &mut Incoming, bytes: &[u8]) {
        let Incoming { spool, fault } = incoming;
        if fault.is_some() || bytes.is_empty() {
            return;
        }
        if spool.len().saturating_add(bytes.len() as u64)
            > self.service.config.limits.message_bytes.0
        {
            *fault = Some(Reply::TooLarge);
        } else if let Err(error) = spool.write(bytes).await {
            *fault = Some(spool_fault(&error));
        }
        if fault.is_some() {
            *spool = Spool::new(&self.service.config.store.path);
        }
    }

    /// Delivers a complete message and answers for each recipient, in their order.
    async fn finish(&mut self, incoming: Incoming) -> io::Result<Next> {
        let begun = Instant::now();
        let complete = match incoming.fault {
            Some(fault) => Err(fault),
            None => incoming
                .spool
                .complete()
                .await
                .map_err(|error| spool_fault(&error)),
        };
        let replies = match complete {
            Ok(message) => self.deliver(message).await,
            Err(fault) => vec![fault; self.recipients.len()],
        };
        let metrics = &self.service.observe.metrics;
        metrics.delivery_duration.record_time((), begun.elapsed());
        for reply in &replies {
            metrics.deliveries.count(delivered(reply));
            reply.encode(&mut self.out);
        }
        self.reset();
        self.flush().await?;
        Ok(Next::Read)
    }

    /// Delivers to all recipients, some at a time; the same account named twice gets one copy.
    async fn deliver(&self, message: Spooled) -> Vec<Reply> {
        let mut recipients = self.recipients.clone();
        let mut named = HashSet::new();
        recipients.retain(|recipient| named.insert(recipient.account.id));
        let service = Arc::clone(&self.service);
        let parsing = service.config.limits.parsing();
        let outgoing =
            Outgoing::new(&*service.store, message, self.trace(), &recipients, parsing).await;
        let shared = Arc::new((outgoing, service));
        let mut outcomes: HashMap<AccountId, Reply> = HashMap::new();
        let mut running = JoinSet::new();
        for recipient in recipients {
            if running.len() >= DELIVERIES_MAX
                && let Some(ended) = running.join_next().await
            {
                outcomes.extend(without_fault(ended));
            }
            running.spawn(deliver_one(Arc::clone(&shared), self.peer, recipient));
        }
        while let Some(ended) = running.join_next().await {
            outcomes.extend(without_fault(ended));
        }
        // What ended by a panic has no outcome.
        let outcome = |recipient: &Recipient| outcomes.get(&recipient.account.id).cloned();
        let replies = self.recipients.iter().map(outcome);
        replies
            .map(|reply| reply.unwrap_or(Reply::TemporaryFault))
            .collect()
    }

    fn sender(&self) -> String {
        let mail = self.transaction.mail();
        sender_text(mail.and_then(|mail| mail.from.as_ref()))
    }

    fn trace(&self) -> Trace {
        /// Distinguishes deliveries of one second.
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let mail = self.transaction.mail();
        let now = self.service.now_secs();
        let protocol = match mail.map(|mail| mail.charset) {
            Some(Charset::Utf8) => "UTF8LMTP",
            _ => "LMTP",
        };
        Trace {
            from: mail.and_then(|mail| mail.from.clone()),
            server_name: self.service.config.imap.server_name.clone(),
            client: format!("{} ({})", self.client, self.peer),
            protocol,
            id: format!("{now:x}.{:x}", COUNT.fetch_add(1, Ordering::Relaxed)),
            at: DateTime {
                secs: now,
                offset_minutes: 0,
            },
            origin: Arc::clone(&self.origin),
        }
    }
}

/// An envelope sender as the log has it: empty for reports, which have none.
fn sender_text(from: Option<&Address>) -> String {
    from.map(ToString::to_string).unwrap_or_default()
}

async fn deliver_one(
    shared: Arc<(Outgoing, Arc<Service>)>,
    peer: Peer,
    recipient: Recipient,
) -> (AccountId, Reply) {
    let begun = Instant::now();
    let (message, service) = &*shared;
    let account = &recipient.account;
    let _turn = service.deliveries.take(account.id).await;
    let delivered = message.deliver(&*service.store, &recipient).await;
    let trace = message.trace();
    macro_rules! line {
        ($level:ident, $reason:expr, $name:literal) => {
            tracing::$level!(
                origin = %trace.origin, protocol = "lmtp", address = %peer.ip_text(),
                user = account.name, from = sender_text(trace.from.as_ref()), id = trace.id,
                reason = $reason, bytes = message.len(),
                took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX), $name
            )
        };
    }
    match delivered {
        Ok(()) => line!(info, None::<&str>, "delivered"),
        Err(refusal) => line!(warn, Some(refusal.name()), "not delivered"),
    }
    (account.id, answer(delivered))
}

fn spool_fault(error: &io::Error) -> Reply {
    tracing::error!(%error, "a message could not be taken");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Reply::DiskFull,
        _ => Reply::TemporaryFault,
    }
}

/// What a reply after the message means.
fn delivered(reply: &Reply) -> Delivered {
    match reply.code() {
        ..300 => Delivered::Stored,
        300..500 => Delivered::Later,
        _ => Delivered::Refused,
    }
}

/// The reply to a recipient.
fn answer(delivered: Result<(), Refusal>) -> Reply {
    match delivered {
        Ok(()) => Reply::Delivered,
        Err(Refusal::Unknown) => Reply::UnknownRecipient,
        Err(Refusal::Disabled) => Reply::DisabledRecipient,
        Err(Refusal::OverQuota) => Reply::OverQuota,
        Err(Refusal::NeverFits) => Reply::NeverFits,
        Err(Refusal::DiskFull) => Reply::DiskFull,
        Err(Refusal::Loop) => Reply::Loop,
        Err(Refusal::Temporary) => Reply::TemporaryFault,
    }
}

async fn within<T>(time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(time, work)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
