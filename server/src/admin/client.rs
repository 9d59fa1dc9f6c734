//! The commands of administration as a person gives them: gathers what a request needs (a
//! password from a prompt, standard input or a file; consent before a removal), then has the
//! running server or the store itself carry it out.

use std::{
    io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use mail::mailbox::SpecialUse;
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde::Serialize;
use serde_json::Value;
use store::credential::{Scope, Verifiers};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::UnixStream,
};
use zeroize::Zeroizing;

use super::{
    AppPasswordRequest, Kept, Properties, Request, execute,
    history::{self, LogRequest},
    live::LiveRequest,
    socket,
};
use crate::{
    auth,
    cli::{self, AccountProperties, Exit, PasswordSource},
    config::{self, Config},
    problem::Problem,
    serve::{Failure, open_store},
};

/// An answer of a server, bytes.
const ANSWER_BYTES_MAX: u64 = 256 << 20;
/// A file or line with a password, bytes.
const PASSWORD_SOURCE_BYTES_MAX: u64 = 64 * 1024;

/// What `relate-imap account …` asks for.
///
/// # Errors
/// There is no usable password, or no consent.
pub fn account_request(command: cli::Account) -> Result<Request, Failure> {
    Ok(match command {
        cli::Account::Add {
            name,
            password,
            properties,
        } => Request::AccountAdd {
            password: kept(&password)?,
            properties: to_properties(properties),
            name,
        },
        cli::Account::List { without_scram } => Request::AccountList { without_scram },
        cli::Account::Show { name } => Request::AccountShow { name },
        cli::Account::Usage { name } => Request::AccountUsage { name },
        cli::Account::Set {
            name,
            properties,
            remove_alias,
            may_not_act,
        } if properties == AccountProperties::default()
            && remove_alias.is_empty()
            && !may_not_act =>
        {
            let next = "`relate-imap account set --help` lists what can be set";
            let problem = Problem::new("nothing was said that is to change", name, next);
            return Err(Failure::new(Exit::Configuration, problem));
        }
        cli::Account::Set {
            name,
            properties,
            remove_alias,
            may_not_act,
        } => Request::AccountSet {
            name,
            properties: Properties {
                remove_aliases: remove_alias,
                may_not_act,
                ..to_properties(properties)
            },
        },
        cli::Account::Passwd { name, password } => Request::AccountPasswd {
            name,
            password: kept(&password)?,
        },
        cli::Account::Remove { name, purge, yes } => {
            if !yes {
                consent(&name)?;
            }
            Request::AccountRemove { name, purge }
        }
    })
}

/// What `relate-imap app-password …` asks for, and the password that was made for it.
///
/// # Errors
/// The name cannot be that of an app password, or this machine makes no password.
pub fn app_password_request(
    command: cli::AppPassword,
    now: SystemTime,
) -> Result<(Request, Option<Zeroizing<String>>), Failure> {
    Ok(match command {
        cli::AppPassword::Add {
            account,
            name,
            scope,
            expires,
        } => {
            auth::check_app_name(&name).map_err(|unfit| {
                let what = format!("this cannot be the name of an app password: {unfit}");
                let next = "use letters, digits, -, _ and ., as in phone";
                Failure::new(Exit::Failed, Problem::new(what, &name, next))
            })?;
            let unfit = |unfit| refused("no password could be made", &unfit);
            let (password, selector) = auth::generate_app_password().map_err(unfit)?;
            let kept = auth::keep_password(password.as_bytes()).map_err(unfit)?;
            let request = AppPasswordRequest::Add {
                account,
                name,
                password: kept.into(),
                selector,
                scopes: scope.into_iter().map(scope_name).collect(),
                expires_secs: expires.and_then(|after| secs(now.checked_add(after)?)),
            };
            (Request::AppPassword(request), Some(password))
        }
        cli::AppPassword::List { account } => {
            let list = AppPasswordRequest::List { account };
            (Request::AppPassword(list), None)
        }
        cli::AppPassword::Revoke { account, name } => {
            let revoke = AppPasswordRequest::Revoke { account, name };
            (Request::AppPassword(revoke), None)
        }
    })
}

fn scope_name(scope: cli::Scope) -> String {
    let scope = match scope {
        cli::Scope::Imap => Scope::Imap,
        cli::Scope::Lmtp => Scope::Lmtp,
        cli::Scope::Admin => Scope::Admin,
    };
    scope.name().to_owned()
}

fn secs(time: SystemTime) -> Option<i64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(since.as_secs()).ok()
}

/// A result with the password that belongs to it, which only this process knows.
#[must_use]
pub fn with_password(mut value: Value, password: Option<Zeroizing<String>>) -> Value {
    if let (Some(fields), Some(password)) = (value.as_object_mut(), password) {
        fields.insert("password".to_owned(), Value::String(password.to_string()));
    }
    value
}

/// What `relate-imap mailbox …` asks for.
#[must_use]
pub fn mailbox_request(command: cli::Mailbox) -> Request {
    match command {
        cli::Mailbox::List { account } => Request::MailboxList { account },
        cli::Mailbox::Status { account, mailbox } => Request::MailboxStatus { account, mailbox },
        cli::Mailbox::Create {
            account,
            mailbox,
            special_use,
        } => Request::MailboxCreate {
            account,
            mailbox,
            special_use: special_use.into_iter().map(attribute).collect(),
        },
        cli::Mailbox::Delete { account, mailbox } => Request::MailboxDelete { account, mailbox },
        cli::Mailbox::Rename { account, from, to } => Request::MailboxRename { account, from, to },
        cli::Mailbox::Subscribe { account, mailbox } => {
            Request::MailboxSubscribe { account, mailbox }
        }
        cli::Mailbox::Unsubscribe { account, mailbox } => {
            Request::MailboxUnsubscribe { account, mailbox }
        }
    }
}

/// What `relate-imap log` asks for.
///
/// # Errors
/// The moment is none.
pub fn log_request(asked: cli::Past, now: SystemTime) -> Result<LogRequest, Failure> {
    let since_secs = match &asked.since {
        None => None,
        Some(text) => {
            let read = history::since(text, secs(now).unwrap_or_default());
            Some(read.map_err(|next| {
                let problem = Problem::new("--since is not understood", text, next);
                Failure::new(Exit::Configuration, problem)
            })?)
        }
    };
    Ok(LogRequest {
        account: asked.account,
        mailbox: asked.mailbox,
        uid: asked.uid,
        message_id: asked.message_id,
        since_secs,
        kinds: asked.kind,
    })
}

fn attribute(special_use: cli::SpecialUse) -> String {
    let special_use = match special_use {
        cli::SpecialUse::Archive => SpecialUse::Archive,
        cli::SpecialUse::Drafts => SpecialUse::Drafts,
        cli::SpecialUse::Junk => SpecialUse::Junk,
        cli::SpecialUse::Sent => SpecialUse::Sent,
        cli::SpecialUse::Trash => SpecialUse::Trash,
    };
    special_use.attribute().to_owned()
}

/// Has the running server carry a request out, or opens the store when none runs.
///
/// # Errors
/// It was refused, or could not be done.
pub async fn perform(config: &Config, request: Request) -> Result<Value, Failure> {
    if let Some((stream, path)) = reach(config).await? {
        return exchange(&mut BufReader::new(stream), &request, &path).await;
    }
    // Only a first account makes a store: elsewhere a wrong path would look like no mail.
    if !config.store.path.exists() && !matches!(request, Request::AccountAdd { .. }) {
        return Err(no_store(&config.store.path));
    }
    let store = open_store(config).await?;
    let done = execute(&*store, request).await;
    store.close().await;
    done.map_err(|problem| Failure::new(Exit::Failed, problem))
}

/// Has another process take the place of the running server, and waits for how that goes.
///
/// # Errors
/// No server runs, or it could not be replaced.
pub async fn restart(config: &Config) -> Result<Value, Failure> {
    let Some((stream, path)) = reach(config).await? else {
        let place =
            socket::path(config).map_or_else(|_| String::new(), |path| path.display().to_string());
        let next = "start it with `relate-imap serve`, or name its configuration with --config";
        let problem = Problem::new("no server runs with this store", place, next);
        return Err(Failure::new(Exit::Failed, problem));
    };
    let request = socket::RestartRequest::Restart;
    exchange(&mut BufReader::new(stream), &request, &path).await
}

/// A connection to the running server, and its socket's path; none if no server runs.
///
/// # Errors
/// One runs that may not be asked.
pub async fn reach(config: &Config) -> Result<Option<(UnixStream, PathBuf)>, Failure> {
    let path =
        socket::path(config).map_err(|problem| Failure::new(Exit::Configuration, problem))?;
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some((stream, path))),
        Err(error) if is_nobody_there(&error) => Ok(None),
        Err(error) => Err(unreachable(&path, &error)),
    }
}

/// A connection to the running server, and its socket's path.
///
/// # Errors
/// None runs, or it may not be asked.
pub async fn running(config: &Config) -> Result<(UnixStream, PathBuf), Failure> {
    let path = config.store.path.display().to_string();
    reach(config).await?.ok_or_else(|| {
        let next =
            "start it with `relate-imap serve`; if it runs, name its configuration with --config";
        let problem = Problem::new("no server runs with this store", path, next);
        Failure::new(Exit::Failed, problem)
    })
}

/// Asks the running server about those who are connected.
///
/// # Errors
/// None runs, or it refused.
pub async fn ask_running(config: &Config, request: &LiveRequest) -> Result<Value, Failure> {
    let (stream, path) = running(config).await?;
    exchange(&mut BufReader::new(stream), request, &path).await
}

/// There is nothing at the store's path. Who has just tried `up` is told how to reach what it made.
#[must_use]
pub fn no_store(path: &Path) -> Failure {
    let place = format!("Store:Path, {}", path.display());
    let next = match Path::new(config::UP_STORE).join("log").exists() {
        true => "`up` keeps its store in ./data: add --set Store:Path=./data",
        false => {
            "the first `relate-imap account add NAME` makes it; if there is one elsewhere, name the \
             configuration with --config, or run this where its appsettings.json is"
        }
    };
    Failure::new(
        Exit::Failed,
        Problem::new("there is no mail store", place, next),
    )
}

/// Whether a connection failed because no server runs.
#[must_use]
pub fn is_nobody_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

pub(super) fn unreachable(path: &Path, error: &io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        Problem::new(
            format!("the running server cannot be asked: {error}"),
            path.display().to_string(),
            "run this as root or as the user the server runs as",
        ),
    )
}

/// Sends a request and reads its answer; what follows that stays in the stream.
///
/// # Errors
/// It was refused, or the server cannot be asked.
pub async fn exchange(
    stream: &mut BufReader<UnixStream>,
    request: &impl Serialize,
    path: &Path,
) -> Result<Value, Failure> {
    let asked = async {
        let mut line = Zeroizing::new(serde_json::to_string(request)?);
        line.push('\n');
        stream.write_all(line.as_bytes()).await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_line(&mut answer).await?;
        Ok(answer)
    };
    let answer: io::Result<String> = asked.await;
    let answer = answer.map_err(|error| unreachable(path, &error))?;
    match socket::from_json(&answer) {
        Some(done) => done.map_err(|problem| Failure::new(Exit::Failed, problem)),
        None => Err(unreachable(path, &io::ErrorKind::UnexpectedEof.into())),
    }
}

fn to_properties(given: AccountProperties) -> Properties {
    Properties {
        remove_aliases: Vec::new(),
        may_not_act: false,
        enabled: given.enabled(),
        aliases: given.alias,
        display_name: given.display_name,
        quota_bytes: given.quota_bytes,
        quota_messages: given.quota_messages,
        may_act_as: given.may_act_as,
    }
}

fn kept(source: &PasswordSource) -> Result<Kept, Failure> {
    if let Some(hash) = hash(source) {
        return hash;
    }
    let password =
        password(source).map_err(|error| refused("the password cannot be read", &error))?;
    auth::keep_password(password.as_bytes())
        .map(Kept::from)
        .map_err(|unfit| refused("the password cannot be taken", &unfit))
}

/// The hash that was given instead of a password.
fn hash(source: &PasswordSource) -> Option<Result<Kept, Failure>> {
    let line = if source.password_hash_stdin {
        first_line(io::stdin().lock())
    } else {
        let path = source.password_hash_file.as_ref()?;
        std::fs::File::open(path).and_then(first_line)
    };
    let taken = |line: Zeroizing<String>| {
        auth::imported(&line).map(|hash| {
            let hash = hash.to_owned();
            Kept::from(Verifiers { hash, scram: None })
        })
    };
    let bad = |error: &dyn std::fmt::Display| {
        let what = format!("the password's hash cannot be taken: {error}");
        let next = "give one as {BLF-CRYPT}$2y$…; for a password itself use --password-stdin";
        Failure::new(Exit::Failed, Problem::new(what, "the hash", next))
    };
    Some(match line {
        Ok(line) => taken(line).map_err(|error| bad(&error)),
        Err(error) => Err(bad(&error)),
    })
}

fn refused(what: &str, why: &dyn std::fmt::Display) -> Failure {
    let next = "give one at the prompt, with --password-stdin or with --password-file";
    Failure::new(
        Exit::Failed,
        Problem::new(format!("{what}: {why}"), "the password", next),
    )
}

fn password(source: &PasswordSource) -> io::Result<Zeroizing<String>> {
    if source.password_stdin {
        first_line(io::stdin().lock())
    } else if let Some(path) = &source.password_file {
        first_line(std::fs::File::open(path)?)
    } else if io::stdin().is_terminal() {
        let first = prompt("Password: ")?;
        if first != prompt("Again: ")? {
            return Err(io::Error::other("the two differ"));
        }
        Ok(first)
    } else {
        Err(io::Error::other("standard input is no terminal"))
    }
}

fn first_line(source: impl io::Read) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    source
        .take(PASSWORD_SOURCE_BYTES_MAX)
        .read_to_string(&mut text)?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(Zeroizing::new(
        line.strip_suffix('\r').unwrap_or(line).to_owned(),
    ))
}

/// Asks on the terminal; what is typed is not shown.
fn prompt(question: &str) -> io::Result<Zeroizing<String>> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL);
    eprint(question)?;
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().read_line(&mut line);
    tcsetattr(&stdin, OptionalActions::Now, &shown)?;
    read?;
    Ok(Zeroizing::new(
        line.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

fn eprint(text: &str) -> io::Result<()> {
    let mut stderr = io::stderr().lock();
    stderr.write_all(text.as_bytes())?;
    stderr.flush()
}

/// Asks before an account is removed.
fn consent(name: &str) -> Result<(), Failure> {
    let without = |what: &str| {
        let next = "add --yes to remove it without being asked";
        Err(Failure::new(Exit::Failed, Problem::new(what, name, next)))
    };
    if !io::stdin().is_terminal() {
        return without("removing an account needs consent");
    }
    let asked = eprint(&format!("Remove {name} and all its mail? Type its name: "));
    let mut line = String::new();
    match asked.and_then(|()| io::stdin().lock().read_line(&mut line)) {
        Ok(_) if line.trim_end() == name => Ok(()),
        _ => without("the account was not removed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_first_line() {
        for (source, expected) in [
            ("secret", "secret"),
            ("secret\n", "secret"),
            (" pass word\"\\1\r\nmore\n", " pass word\"\\1"),
            ("\n", ""),
            ("", ""),
        ] {
            assert_eq!(*first_line(source.as_bytes()).unwrap(), expected);
        }
    }
}
