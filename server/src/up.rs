//! `relate-imap up`: everything at once, to try the server out. Without a configuration it keeps
//! its data in `./data` and listens on this machine only; it makes a certificate and an account,
//! delivers a message to itself and reads it back before it says that it is ready.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    net::SocketAddr,
    time::Duration,
};

use mail::date::DateTime;
use store::{NewAccount, Quota, Store};
use tokio::net::{TcpStream, UnixStream};
use zeroize::Zeroizing;

use crate::{
    auth,
    cli::Exit,
    config::{Config, Loaded, LogLevel},
    delivery::rfc5322_date,
    listen::{self, Bound},
    lmtp::client::{Outcome, send},
    log,
    ops::probe::reachable,
    problem::Problem,
    serve::{Failure, Running, load_tls, open_store, system_time},
    tls::{self, Sources, client::ClientAuthoritySource},
};

mod read_back;

/// The account that is made.
const ACCOUNT: &str = "you@localhost";
/// Where the certificate is, in the store's directory.
const CERTIFICATE_DIRECTORY: &str = "tls";
/// What is added to a port that may not be bound.
const PORT_OFFSET: u16 = 1_000;
/// How long the first message may take there and back.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(30);
/// What stands for a password that is not known any more.
const PASSWORD_PLACE: &str = "PASSWORD";

/// Prepares everything, serves, and ends with a signal.
///
/// # Errors
/// Why it cannot serve.
pub async fn run(mut loaded: Loaded) -> Result<(), Failure> {
    log::begin(&quiet(&loaded.config).logging);
    for warning in loaded
        .check_machine(system_time())
        .map_err(Failure::configuration)?
    {
        tracing::warn!("{}", warning.0.what);
    }
    let store = open_store(&loaded.config).await?;
    let notes = choose_ports(&mut loaded);
    let prepared = prepare(&mut loaded, &*store).await;
    let (certificates, password) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            store.close().await;
            return Err(failure);
        }
    };
    let bound = load_tls(&certificates).and_then(|tls| {
        let bound = Bound::bind(&loaded.config, Some(&tls));
        let bound = bound.map_err(|problems| Failure {
            exit: Exit::Port,
            problems,
        })?;
        Ok((tls, bound))
    });
    let (tls, bound) = match bound {
        Ok(bound) => bound,
        Err(failure) => {
            store.close().await;
            return Err(failure);
        }
    };
    let running = Running::start(&loaded, store, Some(tls), bound).await?;
    if let Err(failure) = first_message(&running, &loaded.config, password.as_deref()).await {
        running.stop().await;
        return Err(failure);
    }
    let screen = screen(
        &running,
        &loaded.config,
        password.as_deref().map(String::as_str),
        &notes,
    );
    // Who cannot see the screen is served all the same.
    let _ = io::stdout().lock().write_all(screen.as_bytes());
    running.until_signal().await;
    Ok(())
}

/// The configuration with a log that leaves the screen alone, unless one was asked for.
pub(crate) fn quiet(config: &Config) -> Config {
    let mut quiet = config.clone();
    for level in quiet.logging.log_level.0.values_mut() {
        if *level == LogLevel::Information {
            *level = LogLevel::Warning;
        }
    }
    quiet
}

/// Replaces ports that were not asked for and cannot be bound; says which.
fn choose_ports(loaded: &mut Loaded) -> Vec<String> {
    let mut notes = Vec::new();
    let addresses = loaded.config.imap.addresses.0.clone();
    let given = ["Imap:Port", "Imap:SecurePort"].map(|key| loaded.is_given(key));
    let imap = &mut loaded.config.imap;
    for (key, given, port) in [
        ("Imap:Port", given[0], &mut imap.port),
        ("Imap:SecurePort", given[1], &mut imap.secure_port),
    ] {
        if given {
            continue;
        }
        // Bound for a moment only, to see whether it can be.
        if let Err(problem) = listen::bind_port(key, &addresses, *port) {
            let other = port.saturating_add(PORT_OFFSET);
            notes.push(format!("port {other} instead of {port}: {}", problem.what));
            *port = other;
        }
    }
    notes
}

/// The certificate, made if there is none; the password of the account, if that was made now.
async fn prepare(
    loaded: &mut Loaded,
    store: &dyn Store,
) -> Result<(Sources, Option<Zeroizing<String>>), Failure> {
    let certificates = match Sources::of(&loaded.config) {
        Some(sources) => sources,
        None => own_certificate(&mut loaded.config)?,
    };
    if store.find_account(ACCOUNT).is_some() {
        return Ok((certificates, None));
    }
    let unfit = |error: &dyn std::fmt::Display| {
        let what = format!("the account could not be made: {error}");
        Failure::new(
            Exit::Failed,
            Problem::new(what, ACCOUNT, "see that the disk has room"),
        )
    };
    let password = auth::generate_password().map_err(|error| unfit(&error))?;
    let kept = auth::keep_password(password.as_bytes()).map_err(|error| unfit(&error))?;
    let account = NewAccount {
        name: ACCOUNT.to_owned(),
        aliases: Vec::new(),
        password: Some(kept),
        display_name: "You".to_owned(),
        quota: Quota::default(),
    };
    store
        .create_account(account)
        .await
        .map_err(|error| unfit(&error))?;
    Ok((certificates, Some(password)))
}

fn own_certificate(config: &mut Config) -> Result<Sources, Failure> {
    let directory = config.store.path.join(CERTIFICATE_DIRECTORY);
    let source = tls::self_signed(&directory, system_time())
        .map_err(|problem| Failure::configuration(problem.into()))?;
    config.imap.certificate_path = Some(source.path.clone());
    config
        .imap
        .certificate_key_path
        .clone_from(&source.key_path);
    Ok(Sources {
        certificates: vec![source],
        clients: ClientAuthoritySource::of(config),
    })
}

/// Delivers the welcome message over LMTP and reads it back over IMAP; only the run that made the
/// account knows the password to do so.
async fn first_message(
    running: &Running,
    config: &Config,
    password: Option<&String>,
) -> Result<(), Failure> {
    let Some(password) = password else {
        return Ok(());
    };
    let work = async {
        let outcome = deliver(running, config, &welcome(running)).await?;
        if outcome.code != 250 {
            return Err(io::Error::other(outcome.text));
        }
        match (running.imaps.first(), running.imap.first()) {
            (Some(address), _) => read_back::over_tls(reachable(*address), ACCOUNT, password).await,
            (None, Some(address)) => {
                read_back::in_clear(reachable(*address), ACCOUNT, password).await
            }
            (None, None) => Ok(()),
        }
    };
    let done = tokio::time::timeout(ROUND_TRIP_MAX, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(|error| {
            let what = format!("a first message did not come back: {error}");
            let next =
                "run it again with --set Logging:LogLevel:Default=Debug, and report what it says";
            Failure::new(Exit::Failed, Problem::new(what, ACCOUNT, next))
        })
}

async fn deliver(running: &Running, config: &Config, message: &str) -> io::Result<Outcome> {
    let (bytes, length) = (message.as_bytes(), message.len() as u64);
    match (&config.lmtp.socket_path, running.lmtp.first()) {
        (Some(path), _) => send(UnixStream::connect(path).await?, ACCOUNT, bytes, length).await,
        (None, Some(address)) => {
            send(
                TcpStream::connect(reachable(*address)).await?,
                ACCOUNT,
                bytes,
                length,
            )
            .await
        }
        (None, None) => Err(io::Error::other("LMTP is switched off")),
    }
}

fn welcome(running: &Running) -> String {
    let now = running.service.now_secs();
    let date = DateTime {
        secs: now,
        offset_minutes: 0,
    };
    format!(
        "From: relate-imap <postmaster@localhost>\r\nTo: {ACCOUNT}\r\nDate: {}\r\n\
         Message-ID: <welcome.{now}@localhost>\r\nSubject: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\n\
         This message came in over LMTP, was written to disk, and is read over IMAP:\r\n\
         your mail server works.\r\n\r\n\
         Add it to a mail program as IMAP account {ACCOUNT} on localhost, or paste one\r\n\
         of the lines that `up` printed.\r\n",
        rfc5322_date(date),
        read_back::SUBJECT
    )
}

/// What a person needs to know, on one screen.
fn screen(running: &Running, config: &Config, password: Option<&str>, notes: &[String]) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        // Writing to a String does not fail.
        let _ = writeln!(out, "{text}");
    };
    let shown = |addresses: &[SocketAddr]| {
        addresses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    };
    line("relate-imap is ready.");
    line("");
    line(&format!("  IMAP with TLS   {}", shown(&running.imaps)));
    line(&format!(
        "  IMAP            {}  (STARTTLS)",
        shown(&running.imap)
    ));
    line(&format!("  LMTP            {}", shown(&running.lmtp)));
    if let Some(path) = &config.lmtp.socket_path {
        line(&format!("                  {}", path.display()));
    }
    if let Some(url) = &config.health_check.url {
        line(&format!(
            "  health          http://{}:{}/healthz",
            url.host, url.port
        ));
    }
    line(&format!(
        "  data            {}",
        config.store.path.display()
    ));
    for note in notes {
        line(&format!("  note            {note}"));
    }
    line("");
    line(&format!("  user      {ACCOUNT}"));
    match password {
        Some(password) => line(&format!("  password  {password}   (shown this once)")),
        None => line(&format!(
            "  password  as it was shown at first; `relate-imap account passwd {ACCOUNT} \
             --set Store:Path={}` sets another",
            config.store.path.display()
        )),
    }
    line("");
    line("Paste one of these:");
    line("");
    for command in commands(running, config, password.unwrap_or(PASSWORD_PLACE)) {
        line(&format!("  {command}"));
    }
    line("");
    line("Ctrl-C ends it; everything is kept for the next time.");
    out
}

/// Read a message with curl, everything with mutt, send one with swaks.
fn commands(running: &Running, config: &Config, password: &str) -> [String; 3] {
    // With TLS, unless that is switched off.
    let imap = |(scheme, addresses): (&'static str, &[SocketAddr])| {
        let first = addresses.first()?;
        Some((scheme, first.port()))
    };
    let listeners = [
        ("imaps", running.imaps.as_slice()),
        ("imap", running.imap.as_slice()),
    ];
    let (scheme, port) = listeners.into_iter().find_map(imap).unwrap_or(("imaps", 0));
    let lmtp = match (&config.lmtp.socket_path, running.lmtp.first()) {
        (Some(path), _) => format!("--socket {}", path.display()),
        (None, Some(address)) => format!("--server {}", reachable(*address)),
        (None, None) => "--server localhost".to_owned(),
    };
    [
        format!(
            "curl -k -u '{ACCOUNT}:{password}' '{scheme}://localhost:{port}/INBOX;MAILINDEX=1'"
        ),
        format!(
            "mutt -f '{scheme}://{}@localhost:{port}/INBOX'",
            ACCOUNT.replace('@', "%40")
        ),
        format!("swaks --protocol LMTP {lmtp} --from a@example.org --to {ACCOUNT}"),
    ]
}
