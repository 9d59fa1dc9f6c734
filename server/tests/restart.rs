//! Another process in the place of a server, seen from either side: the test plays the server that
//! leaves, or puts a script where the one that comes is started from.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed test should say where"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    os::{
        fd::OwnedFd,
        unix::{
            fs::{PermissionsExt as _, symlink},
            net::{UnixDatagram, UnixStream},
        },
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

mod support;

use support::{Killed, free_port, output, program, program_at};

/// How long anything may take: generous, since only a hang should reach it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Place {
    directory: TempDir,
    imap: u16,
    settings: Vec<String>,
    /// Where systemd would listen.
    systemd: UnixDatagram,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let imap = free_port();
        let settings = [
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
            format!("Imap:Port={imap}"),
            "Imap:SecurePort=0".to_owned(),
            "Lmtp:Port=0".to_owned(),
            "HealthCheck:Url=".to_owned(),
        ];
        let systemd = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        systemd.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            directory,
            imap,
            settings: settings.to_vec(),
            systemd,
        }
    }

    fn notify(&self) -> PathBuf {
        self.directory.path().join("notify")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        program(self.directory.path(), &self.settings, arguments)
    }

    /// A server that is to take over from us, up to where it serves.
    fn heir(&self) -> (Killed, BufReader<UnixStream>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = self.command(&["serve", "--inherit"]);
        command.env("NOTIFY_SOCKET", self.notify());
        command.stdin(Stdio::from(OwnedFd::from(theirs)));
        let heir = Killed(command.spawn().unwrap());
        drop(command);
        let mut line = BufReader::new(ours);
        for (said, answer) in [
            ("\"sockets\"\n", "\"ready\"\n"),
            ("\"open\"\n", "\"serving\"\n"),
        ] {
            line.get_mut().write_all(said.as_bytes()).unwrap();
            let mut heard = String::new();
            line.read_line(&mut heard).unwrap();
            assert_eq!(heard, answer);
        }
        (heir, line)
    }

    /// A server that is started from a place where a script stands by now, which does this when it
    /// is given the store.
    fn server_before(&self, when_given: &str) -> Killed {
        let path = self.directory.path().join("relate-imap");
        symlink(env!("CARGO_BIN_EXE_relate-imap"), &path).unwrap();
        let mut command = program_at(&path, self.directory.path(), &self.settings, &["serve"]);
        command.env("NOTIFY_SOCKET", self.notify());
        let mut serving = Killed(command.spawn().unwrap());
        self.hears("READY=1");
        // The log is read to its end, so that the server never waits for us.
        let log = BufReader::new(serving.stderr.take().unwrap());
        std::thread::spawn(move || log.lines().count());
        fs::remove_file(&path).unwrap();
        fs::write(
            &path,
            format!(
                "#!/bin/sh\n\
                 trap 'echo told to stop; exit 0' TERM\n\
                 while read -r line; do case $line in\n\
                 '\"sockets\"') echo '\"ready\"' >&0 ;;\n\
                 '\"open\"') {when_given}; echo '\"serving\"' >&0 ;;\n\
                 esac; done\n\
                 count=0; while [ $count -lt 600 ]; do sleep 0.1; count=$((count + 1)); done\n"
            ),
        )
        .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        serving
    }

    /// The message to systemd in which this stands.
    fn hears(&self, text: &str) -> String {
        let mut message = [0; 4_096];
        loop {
            let length = self.systemd.recv(&mut message).expect(text);
            let message = String::from_utf8_lossy(&message[..length]).into_owned();
            if message.lines().any(|line| line.starts_with(text)) {
                return message;
            }
        }
    }
}

fn tell(process: &Killed, signal: Signal) {
    kill_process(Pid::from_child(process), signal).unwrap();
}

/// What the server and whoever took its place print until both have ended.
fn prints(server: &mut Killed) -> String {
    let mut printed = String::new();
    let mut out = server.stdout.take().unwrap();
    out.read_to_string(&mut printed).unwrap();
    printed
}

#[test]
fn sessions_of_one_that_is_told_to_stop_before_it_is_alone_get_bye() {
    let place = Place::new();
    let (mut heir, _line) = place.heir();
    let mut client = BufReader::new(TcpStream::connect(("127.0.0.1", place.imap)).unwrap());
    client.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = String::new();
    client.read_line(&mut greeting).unwrap();
    assert!(greeting.starts_with("* OK"), "{greeting}");
    tell(&heir, Signal::TERM);
    let mut said = String::new();
    client.read_line(&mut said).unwrap();
    assert!(said.starts_with("* BYE"), "{said:?}");
    drop(client);
    assert_eq!(heir.wait().unwrap().code(), Some(0));
}

#[test]
fn the_watchdog_is_fed_by_the_word_that_it_serves() {
    let place = Place::new();
    let (mut heir, mut line) = place.heir();
    line.get_mut().write_all(b"\"over\"\n").unwrap();
    let message = place.hears("READY=1");
    assert!(message.contains("WATCHDOG=1"), "{message}");
    tell(&heir, Signal::TERM);
    assert_eq!(heir.wait().unwrap().code(), Some(0));
}

#[test]
fn one_that_has_left_names_its_heir_and_feeds_the_watchdog_once_more() {
    let place = Place::new();
    let mut server = place.server_before(":");
    let asked = output(place.command(&["restart"]), "");
    assert!(asked.status.success(), "{asked:?}");
    let message = place.hears("MAINPID=");
    assert!(message.contains("WATCHDOG=1"), "{message}");
    let named = message
        .lines()
        .find_map(|line| line.strip_prefix("MAINPID="));
    let heir = named.unwrap().parse().ok().and_then(Pid::from_raw).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
    kill_process(heir, Signal::TERM).unwrap();
    assert_eq!(prints(&mut server), "told to stop\n");
}

#[test]
fn who_is_told_to_stop_while_it_hands_over_has_its_heir_stop() {
    let place = Place::new();
    let mut server = place.server_before("kill -TERM $PPID");
    tell(&server, Signal::USR2);
    assert_eq!(prints(&mut server), "told to stop\n");
    assert_eq!(server.wait().unwrap().code(), Some(0));
}
