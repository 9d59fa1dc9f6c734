//! A server under measurement, kept by `tests/clients/server.py`, which the client tests use too.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::imap::Imap;
use super::lmtp::Lmtp;
use super::resync::Known;
use crate::Fallible;

/// How many accounts each server has; connection `n` of a row uses account `n` of these.
pub(super) const ACCOUNTS: usize = 32;
/// The account whose INBOX holds the messages.
pub(super) const READER: &str = "reader@localhost";

/// Which program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dovecot,
    Relate,
}

impl Kind {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Dovecot => "dovecot",
            Self::Relate => "relate",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Dovecot => "Dovecot",
            Self::Relate => "relate-imap",
        }
    }
}

/// One running server.
pub(super) struct Server {
    pub(super) kind: Kind,
    keeper: Child,
    orders: ChildStdin,
    words: BufReader<ChildStdout>,
    host: String,
    imap_port: u16,
    lmtp_port: u16,
    password: String,
    /// The server's first process; everything it starts shares its session.
    pid: u32,
    /// What a client knew of the large mailbox before it was changed.
    pub(super) known: Option<Known>,
}

/// The name of account `number`.
pub(super) fn account(number: usize) -> String {
    format!("bench{}@localhost", number % ACCOUNTS)
}

impl Server {
    pub(super) fn start(kind: Kind, root: &Path, directory: &Path) -> Fallible<Self> {
        let mut keeper = Command::new("python3")
            .arg(root.join("tests/clients/server.py"))
            .arg(kind.word())
            .arg(directory)
            .arg(READER)
            .args((0..ACCOUNTS).map(account))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("python3: {e}"))?;
        let orders = keeper.stdin.take().ok_or("no input")?;
        let words = BufReader::new(keeper.stdout.take().ok_or("no output")?);
        let mut server = Self {
            kind,
            keeper,
            orders,
            words,
            host: String::new(),
            imap_port: 0,
            lmtp_port: 0,
            password: String::new(),
            pid: 0,
            known: None,
        };
        for line in server.read_until("ready")? {
            server.learn(&line);
        }
        Ok(server)
    }

    fn learn(&mut self, line: &str) {
        let number = |text: &str| text.parse().unwrap_or_default();
        match line.split_once('=') {
            Some(("host", value)) => value.clone_into(&mut self.host),
            Some(("password", value)) => value.clone_into(&mut self.password),
            Some(("imap_port", value)) => self.imap_port = number(value),
            Some(("lmtp_port", value)) => self.lmtp_port = number(value),
            Some(("pid", value)) => self.pid = value.parse().unwrap_or_default(),
            _ => {}
        }
    }

    fn read_until(&mut self, last: &str) -> Fallible<Vec<String>> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.words.read_line(&mut line).map_err(|e| e.to_string())? == 0 {
                return Err(format!(
                    "{} did not start or ended by itself",
                    self.kind.title()
                ));
            }
            let line = line.trim_end_matches('\n');
            if line == last {
                return Ok(lines);
            }
            lines.push(line.to_owned());
        }
    }

    fn order(&mut self, word: &str) -> Fallible<()> {
        writeln!(self.orders, "{word}").map_err(|e| e.to_string())
    }

    /// What the server says of its durability and compression.
    pub(super) fn settings(&mut self) -> Fallible<Vec<String>> {
        self.order("settings")?;
        self.read_until("done")
    }

    /// Ends it as kill -9 would.
    pub(super) fn kill(&mut self) -> Fallible<()> {
        self.order("kill")?;
        self.read_until("done").map(drop)
    }

    /// Starts it again without waiting; `started` does that.
    pub(super) fn begin_start(&mut self) -> Fallible<()> {
        self.order("start")
    }

    pub(super) fn started(&mut self) -> Fallible<()> {
        for line in self.read_until("done")? {
            self.learn(&line);
        }
        Ok(())
    }

    /// Stops it in order and starts it again.
    pub(super) fn restart(&mut self) -> Fallible<()> {
        self.order("stop")?;
        self.read_until("done")?;
        self.begin_start()?;
        self.started()
    }

    pub(super) fn imap(&self, user: &str) -> Fallible<Imap> {
        let mut imap = Imap::connect((&self.host, self.imap_port))?;
        imap.login(user, &self.password)?;
        Ok(imap)
    }

    pub(super) fn selected(&self, user: &str, mailbox: &str) -> Fallible<Imap> {
        let mut imap = self.imap(user)?;
        imap.must(format!("SELECT {mailbox}").as_bytes())?;
        Ok(imap)
    }

    pub(super) fn lmtp(&self) -> Fallible<Lmtp> {
        Lmtp::connect((&self.host, self.lmtp_port))
    }

    /// The processes of the server: those of its session.
    pub(super) fn processes(&self) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(|pid| session_of(*pid) == Some(self.pid))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = writeln!(self.orders, "stop");
        let _ = self.read_until("done");
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

fn session_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted behind it.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(3)?.parse().ok()
}

/// A directory that goes away with its owner.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// In the system's place for temporary files, or where `BENCH_DIR` says.
    pub(super) fn new(name: &str) -> Fallible<Self> {
        let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
        let path = base.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
