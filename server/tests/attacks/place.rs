//! A server in process and clients that say anything.

use std::{sync::Arc, time::Duration};

use server::{
    config, connection,
    listen::{Peer, Protection, Stream},
    lmtp,
    service::Service,
    tls::Tls,
};
use store::{
    NewAccount, Quota, clock::ManualClock, credential::Verifiers, embedded::EmbeddedStore,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, rustls::pki_types::ServerName};

/// How long an answer may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);
/// What is in flight between client and server: a case is sent before its answer is read.
const IN_FLIGHT_BYTES: usize = 4 << 20;
/// The password of every account.
pub(crate) const PASSWORD: &str = "tanstaaftanstaaf";

/// A server with the accounts `tim` and `bob`.
pub(crate) struct Place {
    pub(crate) service: Arc<Service>,
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) async fn new(set: &[String]) -> Self {
        let loaded = config::load(&config::Options {
            set: set.to_vec(),
            ..Default::default()
        });
        let config = Arc::new(loaded.unwrap().config);
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(1_795_305_600));
        let kept = config.store_options();
        let store = EmbeddedStore::open(directory.path(), kept, Arc::clone(&clock) as _).unwrap();
        let service = Arc::new(Service::new(config, store, None, clock));
        for name in ["tim", "bob"] {
            add_account(&service, name).await;
        }
        Self { service, directory }
    }

    /// A client on loopback that has not read the greeting.
    pub(crate) fn connect(&self) -> Talk {
        self.connect_as(Peer::LOCAL)
    }

    pub(crate) fn connect_as(&self, peer: Peer) -> Talk {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let service = Arc::clone(&self.service);
        let serving = tokio::spawn(connection::serve(Stream::new(theirs), service, peer));
        Talk::new(ours, serving)
    }

    /// A client behind TLS that has not read the greeting, and what ties an exchange to that TLS
    /// (RFC 9266 §2).
    pub(crate) async fn connect_secured(&self, tls: &Tls, by: &TlsConnector) -> (Talk, [u8; 32]) {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let (service, tls) = (Arc::clone(&self.service), tls.clone());
        let peer = Peer {
            protection: Protection::Tls,
            ..Peer::LOCAL
        };
        let serving = tokio::spawn(async move {
            let stream = Stream::new(theirs).start_tls(&tls, PATIENCE).await;
            connection::serve(stream.unwrap(), service, peer).await;
        });
        let name = ServerName::try_from("localhost").unwrap();
        let mut secured = by.connect(name, ours).await.unwrap();
        let (_, connection) = secured.get_ref();
        let exporter = connection
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))
            .unwrap();
        let (near, mut far) = tokio::io::duplex(IN_FLIGHT_BYTES);
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut secured).await });
        (Talk::new(near, serving), exporter)
    }

    /// A client that has been greeted and, unless `user` is empty, is logged in.
    pub(crate) async fn client(&self, user: &str) -> Talk {
        let mut talk = self.connect();
        talk.line().await.expect("a greeting");
        if !user.is_empty() {
            talk.run(&format!("LOGIN {user} {PASSWORD}")).await;
        }
        talk
    }

    /// An LMTP client that has said LHLO.
    pub(crate) async fn deliverer(&self) -> Talk {
        let (ours, theirs) = tokio::io::duplex(IN_FLIGHT_BYTES);
        let service = Arc::clone(&self.service);
        let serving = tokio::spawn(lmtp::serve(Stream::new(theirs), service, Peer::LOCAL));
        let mut talk = Talk::new(ours, serving);
        talk.line().await.expect("a greeting");
        talk.send(b"LHLO client.example\r\n").await;
        talk.reply().await;
        talk
    }

    /// The store's own check finds nothing.
    pub(crate) async fn is_sound(&self) {
        let problems = self.service.store.check().await.unwrap();
        assert!(problems.is_empty(), "{problems:?}");
    }
}

pub(crate) async fn add_account(service: &Service, name: &str) {
    // Made once: hashing is slow by design.
    static KEPT: std::sync::OnceLock<Verifiers> = std::sync::OnceLock::new();
    let kept = KEPT.get_or_init(|| server::auth::keep_password(PASSWORD.as_bytes()).unwrap());
    let new = NewAccount {
        name: name.to_owned(),
        aliases: Vec::new(),
        password: Some(kept.clone()),
        display_name: String::new(),
        quota: Quota::default(),
    };
    service.store.create_account(new).await.unwrap();
}

/// What a command was answered.
#[derive(Default, Debug)]
pub(crate) struct Answer {
    /// Responses before the tagged line, each with its literals.
    pub(crate) untagged: Vec<String>,
    /// The tagged line without its tag; empty if the connection ended.
    pub(crate) tagged: String,
}

impl Answer {
    /// Whether the server said goodbye.
    pub(crate) fn is_bye(&self) -> bool {
        self.untagged.iter().any(|line| line.starts_with("* BYE"))
    }

    /// Bytes of everything that was said.
    pub(crate) fn text(&self) -> String {
        self.untagged.join("\r\n") + &self.tagged
    }
}

/// One connection.
pub(crate) struct Talk {
    pub(crate) stream: DuplexStream,
    input: Vec<u8>,
    serving: JoinHandle<()>,
}

impl Talk {
    fn new(stream: DuplexStream, serving: JoinHandle<()>) -> Self {
        Self {
            stream,
            input: Vec::new(),
            serving,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        // The server may have said BYE to the first half already.
        let _ = self.stream.write_all(bytes).await;
    }

    /// The next response with its literals, without its line end; nothing at the end.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let read = async {
            loop {
                if let Some(end) = response_end(&self.input) {
                    let mut line: Vec<u8> = self.input.drain(..end).collect();
                    line.truncate(end - 2);
                    return Some(String::from_utf8_lossy(&line).into_owned());
                }
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(PATIENCE, read).await.expect("an answer in time")
    }

    /// What comes up to the line with this tag, or to the end. A server that waits is answered:
    /// IDLE is ended, a
    /// literal is `hello`, an exchange is cancelled.
    pub(crate) async fn answer(&mut self, tag: &str) -> Answer {
        let mut answer = Answer::default();
        while let Some(line) = self.line().await {
            if line.starts_with("+ Waiting") {
                self.send(b"DONE\r\n").await;
            } else if line.starts_with("+ Go ahead") {
                self.send(b"hello\r\n").await;
            } else if line.starts_with("+ ") {
                self.send(b"*\r\n").await;
            } else if let Some(tagged) = line
                .strip_prefix(tag)
                .and_then(|rest| rest.strip_prefix(' '))
            {
                tagged.clone_into(&mut answer.tagged);
                return answer;
            }
            answer.untagged.push(line);
        }
        self.has_ended_well().await;
        answer
    }

    /// Sends a command and takes its answer.
    pub(crate) async fn ask(&mut self, command: &str) -> Answer {
        self.send(format!("t {command}\r\n").as_bytes()).await;
        self.answer("t").await
    }

    /// A command that must succeed.
    pub(crate) async fn run(&mut self, command: &str) -> Answer {
        let answer = self.ask(command).await;
        assert!(answer.tagged.starts_with("OK"), "{command}: {answer:?}");
        answer
    }

    pub(crate) async fn append(&mut self, mailbox: &str, message: &str) {
        let size = message.len();
        self.run(&format!("APPEND {mailbox} {{{size}+}}\r\n{message}"))
            .await;
    }

    /// The last line of an LMTP reply.
    pub(crate) async fn reply(&mut self) -> String {
        loop {
            let line = self.line().await.expect("a reply");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// A panic ends a connection without a word; no test may miss that.
    async fn has_ended_well(&mut self) {
        let ended = timeout(PATIENCE, &mut self.serving).await;
        ended.expect("an end in time").expect("no panic");
    }
}

/// One past the line end of the first response, literals included.
fn response_end(input: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let rest = input.get(from..)?;
        let end = from + rest.windows(2).position(|two| two == b"\r\n")?;
        let Some(size) = announced(&input[from..end]) else {
            return Some(end + 2);
        };
        from = end + 2 + size;
    }
}

fn announced(line: &[u8]) -> Option<usize> {
    let line = line.strip_suffix(b"}")?;
    let open = line.iter().rposition(|byte| *byte == b'{')?;
    std::str::from_utf8(&line[open + 1..]).ok()?.parse().ok()
}
