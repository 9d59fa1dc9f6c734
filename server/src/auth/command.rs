//! Passwords checked by a program that speaks the checkpassword interface, as qmail's and Dovecot's
//! do: on descriptor 3 it reads the user, the password and the time, each ended by a NUL; if they
//! are right it runs the program named in its arguments, else it exits with 1, or with 111 if it
//! cannot tell.
//!
//! The program it is to run here is `env`, which tells by `USER` whose mail it is. A shell without
//! any text of a client in its command moves the input to descriptor 3.

use std::{path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use async_trait::async_trait;
use store::clock::Clock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, Command},
    sync::Semaphore,
};
use zeroize::Zeroizing;

use super::{
    Attempt, AuthFailure, Authenticator, PASSWORD_BYTES_MAX, Proof, Proven, check_name,
    checks::Checks,
};

/// Runs its arguments with the input on descriptor 3.
const SHELL: &str = "exec \"$@\" 3<&0 </dev/null";
/// What the program runs when the password is right.
const REPLY: [&str; 2] = ["/usr/bin/env", "-0"];
/// Where the program finds others.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What the program may print, bytes.
const OUTPUT_BYTES_MAX: u64 = 64 << 10;
/// What the backend is called where somebody is told by what a login succeeded.
const NAME: &str = "command";

/// A program that knows the passwords.
pub(super) struct CommandCheck {
    program: PathBuf,
    time_max: Duration,
    turns: Semaphore,
    checks: Arc<Checks>,
    clock: Arc<dyn Clock>,
}

impl CommandCheck {
    pub(super) fn new(
        program: PathBuf,
        (time_max, processes): (Duration, usize),
        checks: Arc<Checks>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            program,
            time_max,
            turns: Semaphore::new(processes),
            checks,
            clock,
        }
    }

    async fn password(
        &self,
        attempt: &Attempt<'_>,
        password: &[u8],
    ) -> Result<Proven, AuthFailure> {
        let user = attempt.user;
        let is_fit = |password: &[u8]| {
            !password.is_empty() && password.len() <= PASSWORD_BYTES_MAX && !password.contains(&0)
        };
        if check_name(user).is_err() || !is_fit(password) {
            return Err(AuthFailure::Wrong);
        }
        let asked = self.ask(attempt, password);
        self.checks.external(NAME, (user, password), asked).await
    }

    /// The account whose password this is: the user's, unless the program says otherwise.
    async fn ask(
        &self,
        attempt: &Attempt<'_>,
        password: &[u8],
    ) -> Result<Option<String>, AuthFailure> {
        let mut child = None;
        let asked = async {
            let _turn = self.turns.acquire().await.map_err(std::io::Error::other)?;
            let child = child.insert(self.start(attempt)?);
            self.converse(child, attempt.user, password).await
        };
        let answer = tokio::time::timeout(self.time_max, asked).await;
        if let Some(child) = &child {
            // Whatever it started goes with it.
            end(child);
        }
        let program = self.program.display();
        match answer {
            Ok(Ok((Some(0), output))) => {
                Ok(account(&output).or_else(|| Some(attempt.user.to_owned())))
            }
            Ok(Ok((Some(1 | 3), _))) => Ok(None),
            Ok(Ok((code, _))) => {
                tracing::error!(%program, code, "passwords cannot be checked by the command");
                Err(AuthFailure::Unavailable)
            }
            Ok(Err(error)) => {
                tracing::error!(%program, %error, "passwords cannot be checked by the command");
                Err(AuthFailure::Unavailable)
            }
            Err(_) => {
                tracing::error!(%program, "the command that checks passwords takes too long");
                Err(AuthFailure::Unavailable)
            }
        }
    }

    fn start(&self, attempt: &Attempt<'_>) -> std::io::Result<Child> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", SHELL, "sh"])
            .arg(&self.program)
            .args(REPLY)
            .env_clear()
            .envs([
                ("PATH", PATH),
                ("PROTO", "TCP"),
                ("SERVICE", attempt.scope.name()),
            ]);
        if let Some(address) = attempt.peer.address {
            command.env("TCPREMOTEIP", address.ip().to_canonical().to_string());
        }
        if let Some(local) = attempt.peer.local {
            command.env("TCPLOCALIP", local.ip().to_canonical().to_string());
        }
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    async fn converse(
        &self,
        child: &mut Child,
        user: &str,
        password: &[u8],
    ) -> std::io::Result<(Option<i32>, Vec<u8>)> {
        let now = self.clock.now_secs().to_string();
        let mut input = Zeroizing::new(Vec::with_capacity(PASSWORD_BYTES_MAX));
        for part in [user.as_bytes(), password, now.as_bytes()] {
            input.extend_from_slice(part);
            input.push(0);
        }
        if let Some(mut stdin) = child.stdin.take() {
            // A program that knows the answer earlier need not read all of it.
            let _ = stdin.write_all(&input).await;
        }
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            stdout
                .take(OUTPUT_BYTES_MAX)
                .read_to_end(&mut output)
                .await?;
        }
        Ok((child.wait().await?.code(), output))
    }
}

/// Ends a program and what it started, if it still runs.
fn end(child: &Child) {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    if let Some(group) = id.and_then(rustix::process::Pid::from_raw) {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

/// Whose mail it is, as `env -0` prints it.
fn account(output: &[u8]) -> Option<String> {
    let mut variables = output.split(|byte| *byte == 0);
    let user = variables.find_map(|variable| variable.strip_prefix(b"USER="))?;
    let user = std::str::from_utf8(user).ok()?;
    check_name(user).ok().map(|()| user.to_owned())
}

#[async_trait]
impl Authenticator for CommandCheck {
    async fn authenticate(&self, attempt: &Attempt<'_>) -> Result<Proven, AuthFailure> {
        match attempt.proof {
            Proof::Password(password) => self.password(attempt, password).await,
            other => other.vouched(attempt.user),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_is_the_user_that_the_program_names() {
        for (output, expected) in [
            (&b"A=b\0USER=tim\0HOME=/\0"[..], Some("tim")),
            (b"", None),
            (b"USER=\0", None),
            (b"USER=a b\0", None),
            (b"XUSER=a\0", None),
        ] {
            assert_eq!(account(output).as_deref(), expected);
        }
    }
}
