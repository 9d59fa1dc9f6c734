//! The server under a transcript, and the clients that speak it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use flate2::{Compress, Decompress, FlushCompress, FlushDecompress};
use server::{
    config::{self, Config},
    connection,
    listen::{Peer, Stream},
    service::Service,
    tls::Tls,
};
use store::{
    NewAccount, Quota,
    clock::{Clock as _, ManualClock},
    credential::Verifiers,
    disk::{Held, Hold, RealDisk},
    embedded::EmbeddedStore,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use crate::{
    pattern::{filled, matches},
    script::{Compression, DiskStep, Need, Options, Script, State, Step},
};

/// How long an answer may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The accounts that exist, all with this password.
const ACCOUNTS: [&str; 2] = ["tim", "bob"];
pub(crate) const PASSWORD: &str = "tanstaaftanstaaf";

/// A server with its store in a temporary directory.
pub(crate) struct Server {
    place: Place,
    hold: Option<Arc<Hold>>,
    config: Arc<Config>,
    service: Arc<Service>,
    options: (bool, State),
    clients: HashMap<String, Client>,
    names: HashMap<String, String>,
}

struct Client {
    stream: DuplexStream,
    input: Vec<u8>,
    codec: Option<Codec>,
}

/// The two streams of a client that compresses (RFC 4978).
struct Codec {
    deflater: Compress,
    inflater: Decompress,
}

impl Codec {
    fn new() -> Self {
        Self {
            deflater: Compress::new(flate2::Compression::fast(), false),
            inflater: Decompress::new(false),
        }
    }

    fn deflate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        let flush = FlushCompress::Sync;
        self.deflater.compress_vec(bytes, &mut out, flush).unwrap();
        out
    }

    fn inflate(&mut self, mut bytes: &[u8], all: &mut Vec<u8>) -> Result<(), String> {
        loop {
            let (before, filled) = (self.inflater.total_in(), all.len());
            all.reserve(64 * 1024);
            self.inflater
                .decompress_vec(bytes, all, FlushDecompress::Sync)
                .map_err(|e| e.to_string())?;
            let taken = usize::try_from(self.inflater.total_in() - before).unwrap();
            bytes = &bytes[taken..];
            if bytes.is_empty() && all.len() == filled {
                return Ok(());
            }
        }
    }
}

impl Server {
    /// Starts one with fresh accounts.
    pub(crate) async fn start(options: &Options) -> Self {
        let loaded = config::load(&config::Options {
            set: options.set.clone(),
            ..Default::default()
        });
        let config = Arc::new(loaded.unwrap().config);
        let place = Place::new();
        let service = place.service(&config, None);
        let quota = options
            .quota
            .map_or_else(Quota::default, |(bytes, messages)| Quota {
                bytes: Some(bytes),
                messages: Some(messages),
            });
        for name in ACCOUNTS {
            add_account(&service, name, quota).await;
        }
        Self {
            place,
            hold: None,
            config,
            service,
            options: (options.plain, options.state),
            clients: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// Plays a transcript to its end, then checks the store.
    pub(crate) async fn play(mut self, script: &Script) -> Result<(), String> {
        for (line, step) in &script.steps {
            let played = tokio::time::timeout(PATIENCE, self.step(step)).await;
            let played = played.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            played.map_err(|why| format!("line {line}: {why}"))?;
        }
        let problems = self
            .service
            .store
            .check()
            .await
            .map_err(|e| e.to_string())?;
        if problems.is_empty() {
            Ok(())
        } else {
            Err(format!("check: {}", problems.join("; ")))
        }
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Send(name, text) => {
                let text = filled(text, &self.names) + "\r\n";
                self.client(name).await?.send(text.as_bytes()).await
            }
            Step::SendRaw(name, text) => {
                let bytes = unescape(&filled(text, &self.names));
                self.client(name).await?.send(&bytes).await
            }
            Step::SendLiteral(name, text, body, after) => {
                self.send_literal(name, text, body, after).await
            }
            Step::Expect(name, pattern, times) => {
                for _ in 0..*times {
                    self.expect(name, pattern).await?;
                }
                Ok(())
            }
            Step::Unordered(name, patterns) => self.unordered(name, patterns).await,
            Step::Closed(name) => match self.client(name).await?.line().await {
                Err(_) => {
                    self.clients.remove(name);
                    Ok(())
                }
                Ok(line) => Err(format!("expected the end, got {line}")),
            },
            Step::Kill(name) => {
                self.clients.remove(name);
                Ok(())
            }
            Step::Greater(a, b) => {
                let number = |name: &String| self.names.get(name)?.parse::<u64>().ok();
                match (number(a), number(b)) {
                    (Some(a), Some(b)) if a > b => Ok(()),
                    other => Err(format!("{a} is not greater than {b}: {other:?}")),
                }
            }
            Step::Different(names) => {
                let words: BTreeSet<_> = names.iter().filter_map(|it| self.names.get(it)).collect();
                match words.len() == names.len() {
                    true => Ok(()),
                    false => Err(format!("not all different: {names:?} are {words:?}")),
                }
            }
            Step::Disk(step) => self.hold(*step).await,
            Step::Time(secs) => self.pass(*secs).await,
            Step::Compress(name, Compression::On) => {
                self.client(name).await?.codec = Some(Codec::new());
                Ok(())
            }
            Step::Compress(name, Compression::Off) => {
                self.client(name).await?.codec = None;
                Ok(())
            }
            Step::Restart => {
                self.clients.clear();
                self.service.store.close().await;
                self.service = self.place.service(&self.config, None);
                Ok(())
            }
        }
    }

    async fn expect(&mut self, name: &str, pattern: &str) -> Result<(), String> {
        let line = self.client(name).await?.line().await?;
        if matches(pattern, &line, &mut self.names) {
            return Ok(());
        }
        Err(format!("expected {pattern}\n      got {line}"))
    }

    async fn hold(&mut self, step: DiskStep) -> Result<(), String> {
        match (step, &self.hold) {
            (DiskStep::Hold, None) => self.hold = Some(Arc::new(self.place.disk.hold())),
            (DiskStep::One, Some(hold)) => {
                hold.let_one();
                self.disk_is_asked().await;
            }
            (DiskStep::Go, Some(_)) => self.hold = None,
            (step, _) => return Err(format!("the disk cannot {step:?} now")),
        }
        Ok(())
    }

    /// Lets time go by, once the disk is asked for something if it is held.
    async fn pass(&self, secs: u64) -> Result<(), String> {
        self.disk_is_asked().await;
        let clock = &self.place.clock;
        clock.set(clock.now_secs() + secs.cast_signed());
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(secs)).await;
        tokio::time::resume();
        Ok(())
    }

    /// Waits until something has to be durable and is held.
    async fn disk_is_asked(&self) {
        if let Some(hold) = self.hold.clone() {
            let asked = tokio::task::spawn_blocking(move || hold.wait_for_one());
            asked.await.unwrap();
        }
    }

    async fn send_literal(
        &mut self,
        name: &str,
        text: &str,
        body: &str,
        after: &str,
    ) -> Result<(), String> {
        let text = filled(text, &self.names);
        let client = self.client(name).await?;
        if let Some(head) = text.strip_suffix("{+}") {
            let all = format!("{head}{{{}+}}\r\n{body}{after}\r\n", body.len());
            return client.send(all.as_bytes()).await;
        }
        let head = text
            .strip_suffix("{}")
            .ok_or("a literal line ends with {} or {+}")?;
        client
            .send(format!("{head}{{{}}}\r\n", body.len()).as_bytes())
            .await?;
        let line = client.line().await?;
        if !line.starts_with("+ ") {
            return Err(format!("expected a continuation, got {line}"));
        }
        client.send(format!("{body}{after}\r\n").as_bytes()).await
    }

    async fn unordered(&mut self, name: &str, patterns: &[(Need, String)]) -> Result<(), String> {
        let mut open: Vec<&(Need, String)> = patterns.iter().collect();
        while !open.is_empty() {
            self.client(name).await?;
            let client = self.clients.get_mut(name).unwrap();
            let line = client.line().await?;
            let at = open
                .iter()
                .position(|(_, pattern)| matches(pattern, &line, &mut self.names));
            let Some(at) = at else {
                open.retain(|(need, _)| *need == Need::Required);
                if open.is_empty() {
                    client.unread(&line);
                    break;
                }
                return Err(format!("expected one of {open:?}\n      got {line}"));
            };
            open.remove(at);
        }
        Ok(())
    }

    /// The client of this name, connected (and logged in, if the transcript says so) on first use.
    async fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        if !self.clients.contains_key(name) {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let mut peer = Peer::LOCAL;
            peer.loopback = !self.options.0;
            tokio::spawn(connection::serve(
                Stream::new(theirs),
                Arc::clone(&self.service),
                peer,
            ));
            let mut client = Client {
                stream: ours,
                input: Vec::new(),
                codec: None,
            };
            // A name such as `bob2` logs in as bob.
            let user = ACCOUNTS
                .iter()
                .find(|account| name.starts_with(**account))
                .unwrap_or(&"tim");
            client.prepare(user, self.options.1).await?;
            self.clients.insert(name.to_owned(), client);
        }
        Ok(self.clients.get_mut(name).unwrap())
    }
}

/// Adds an account with the password of all.
pub(crate) async fn add_account(service: &Service, name: &str, quota: Quota) {
    let new = NewAccount {
        name: name.to_owned(),
        aliases: Vec::new(),
        password: Some(kept_password()),
        display_name: String::new(),
        quota,
    };
    service.store.create_account(new).await.unwrap();
}

/// The password as it is kept, made once: hashing is slow by design.
fn kept_password() -> Verifiers {
    static KEPT: std::sync::OnceLock<Verifiers> = std::sync::OnceLock::new();
    KEPT.get_or_init(|| server::auth::keep_password(PASSWORD.as_bytes()).unwrap())
        .clone()
}

/// Where a store is, and the time there.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
    disk: Held<RealDisk>,
    clock: Arc<ManualClock>,
}

impl Place {
    /// With nothing in it yet.
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            disk: Held::new(RealDisk, "seg"),
            // 2026-11-22: a fixed now, so that dates in transcripts can be written down.
            clock: Arc::new(ManualClock::new(1_795_305_600)),
        }
    }

    /// The server's service over the store here.
    pub(crate) fn service(&self, config: &Arc<Config>, tls: Option<Tls>) -> Arc<Service> {
        let (disk, clock) = (Arc::new(self.disk.clone()), Arc::clone(&self.clock));
        let options = config.store_options();
        let time = Arc::clone(&clock) as _;
        let store = EmbeddedStore::open_on(disk, self.directory.path(), options, time).unwrap();
        Arc::new(Service::new(Arc::clone(config), store, tls, clock))
    }
}

impl Client {
    async fn prepare(&mut self, user: &str, state: State) -> Result<(), String> {
        if state == State::None {
            return Ok(());
        }
        self.line().await?;
        self.quietly(&format!("x1 LOGIN {user} {PASSWORD}")).await?;
        if state == State::Selected {
            self.quietly("x2 SELECT INBOX").await?;
        }
        Ok(())
    }

    /// Runs a command whose answer must be OK and is not looked at otherwise.
    async fn quietly(&mut self, command: &str) -> Result<(), String> {
        self.send(format!("{command}\r\n").as_bytes()).await?;
        let tag = command.split(' ').next().unwrap_or_default();
        loop {
            let line = self.line().await?;
            if let Some(answer) = line.strip_prefix(tag) {
                return if answer.starts_with(" OK") {
                    Ok(())
                } else {
                    Err(line)
                };
            }
        }
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let bytes = match &mut self.codec {
            Some(codec) => codec.deflate(bytes),
            None => bytes.to_vec(),
        };
        self.stream
            .write_all(&bytes)
            .await
            .map_err(|e| e.to_string())
    }

    /// Puts a line back, to be the next.
    fn unread(&mut self, line: &str) {
        self.input.splice(0..0, format!("{line}\r\n").into_bytes());
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, String> {
        loop {
            if let Some(end) = self.input.windows(2).position(|two| two == b"\r\n") {
                let line = self.input.drain(..end + 2).take(end).collect::<Vec<u8>>();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            let mut received = Vec::new();
            match self.stream.read_buf(&mut received).await {
                Ok(0) | Err(_) => return Err("the connection is closed".to_owned()),
                Ok(_) => {}
            }
            match &mut self.codec {
                Some(codec) => codec.inflate(&received, &mut self.input)?,
                None => self.input.extend(received),
            }
        }
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match rest.next() {
            Some('r') => out.push(b'\r'),
            Some('n') => out.push(b'\n'),
            Some('0') => out.push(0),
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                out.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            Some(other) => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => out.push(b'\\'),
        }
    }
    out
}
