//! The built program as the tests start it.

use std::{
    io::Write as _,
    net::TcpListener,
    ops::{Deref, DerefMut},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

/// A port on which nobody listens.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The program in a directory, with settings, an empty environment, and pipes.
pub(crate) fn program(directory: &Path, settings: &[String], arguments: &[&str]) -> Command {
    let path = Path::new(env!("CARGO_BIN_EXE_relate-imap"));
    program_at(path, directory, settings, arguments)
}

/// The same, started from this path.
pub(crate) fn program_at(
    path: &Path,
    directory: &Path,
    settings: &[String],
    arguments: &[&str],
) -> Command {
    let mut command = Command::new(path);
    command.env_clear().current_dir(directory).args(arguments);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// What a command says to some input.
pub(crate) fn output(mut command: Command, input: &str) -> Output {
    let mut child = command.spawn().unwrap();
    // A command that ends before it has read all of it is fine.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

/// A process that is killed when dropped.
pub(crate) struct Killed(pub(crate) Child);

impl Deref for Killed {
    type Target = Child;

    fn deref(&self) -> &Child {
        &self.0
    }
}

impl DerefMut for Killed {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
