//! The server as a whole: opens the store, binds, serves until it is told to stop, and closes in
//! order. `relate-imap serve` is this; `up` prepares something to serve first.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use store::{
    Error, Store,
    clock::{Clock, SystemClock},
    embedded::EmbeddedStore,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};

use crate::{
    admin, auth,
    cli::Exit,
    config::{Config, Loaded},
    listen::{Bound, Protocols},
    memory,
    observe::collector,
    ops,
    problem::{Problem, Problems},
    service::Service,
    tls::{
        Sources, Tls,
        watch::{Watch, log_certificates},
    },
};

/// Why the program ends before it has done what it was asked.
#[derive(Debug)]
pub struct Failure {
    /// What the shell is told.
    pub exit: Exit,
    /// What the person is told.
    pub problems: Problems,
}

impl Failure {
    /// A failure of one problem.
    #[must_use]
    pub fn new(exit: Exit, problem: Problem) -> Self {
        Self {
            exit,
            problems: problem.into(),
        }
    }

    /// Problems of the configuration.
    #[must_use]
    pub const fn configuration(problems: Problems) -> Self {
        Self {
            exit: Exit::Configuration,
            problems,
        }
    }
}

/// `relate-imap serve`: serves until a signal.
///
/// # Errors
/// The server could not start.
pub async fn run(loaded: &Loaded) -> Result<(), Failure> {
    let store = open_store(&loaded.config).await?;
    let tls = certificate(loaded)?;
    let bound = Bound::bind(&loaded.config, tls.as_ref());
    let bound = match bound {
        Ok(bound) => bound,
        Err(problems) => {
            store.close().await;
            return Err(Failure {
                exit: Exit::Port,
                problems,
            });
        }
    };
    let running = Running::start(loaded, store, tls, bound).await?;
    running.announce();
    running.until_signal().await;
    Ok(())
}

/// Opens the store that the configuration names.
///
/// # Errors
/// It is in use, damaged or not writable.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let (path, options) = (config.store.path.clone(), config.store_options());
    let opened = tokio::task::spawn_blocking(move || {
        EmbeddedStore::open(&path, options, Arc::new(SystemClock))
    });
    match opened.await {
        Ok(Ok(store)) => Ok(store),
        Ok(Err(error)) => Err(store_failure(config, &error)),
        Err(fault) => Err(store_failure(
            config,
            &Error::Unavailable(fault.to_string()),
        )),
    }
}

fn store_failure(config: &Config, error: &Error) -> Failure {
    let (exit, next) = match error {
        Error::InUse(_) => (
            Exit::StoreInUse,
            "stop the server that uses it, or choose another Store:Path",
        ),
        Error::Damaged(_) => (
            Exit::StoreDamaged,
            "keep a copy of the directory as it is, then restore it from a backup",
        ),
        _ => (
            Exit::Failed,
            "let the user that runs relate-imap write there, and see that the disk works",
        ),
    };
    let what = match error {
        Error::InUse(Some(process)) => format!("{error} ({process})"),
        _ => error.to_string(),
    };
    let place = format!("Store:Path, {}", config.store.path.display());
    Failure::new(exit, Problem::new(what, place, next))
}

/// Loads the certificates, if there are any.
fn certificate(loaded: &Loaded) -> Result<Option<Tls>, Failure> {
    for warning in loaded
        .check_machine(system_time())
        .map_err(Failure::configuration)?
    {
        tracing::warn!(place = %warning.0.to_what, next = %warning.0.next, "{}", warning.0.what);
    }
    for warning in &loaded.warnings {
        tracing::warn!(place = %warning.0.to_what, next = %warning.0.next, "{}", warning.0.what);
    }
    let sources = Sources::of(&loaded.config);
    sources.map(|sources| load_tls(&sources)).transpose()
}

/// Makes the TLS side of the listeners.
///
/// # Errors
/// A file cannot be used.
pub fn load_tls(sources: &Sources) -> Result<Tls, Failure> {
    let tls = sources.load().and_then(Tls::with);
    tls.map_err(|problem| Failure::configuration(problem.into()))
}

/// The machine's time, for certificates.
#[must_use]
pub fn system_time() -> SystemTime {
    let secs = u64::try_from(SystemClock.now_secs()).unwrap_or(0);
    UNIX_EPOCH + Duration::from_secs(secs)
}

/// A server that serves.
pub struct Running {
    /// What its connections share.
    pub service: Arc<Service>,
    /// Where IMAP is spoken, plain with STARTTLS.
    pub imap: Vec<SocketAddr>,
    /// Where IMAP over TLS is spoken.
    pub imaps: Vec<SocketAddr>,
    /// Where LMTP is spoken.
    pub lmtp: Vec<SocketAddr>,
    tasks: JoinSet<()>,
    signals: StopSignals,
}

impl Running {
    /// Starts to serve on bound sockets.
    ///
    /// # Errors
    /// The administration's socket or the health check's port cannot be bound.
    pub async fn start(
        loaded: &Loaded,
        store: Arc<dyn Store>,
        tls: Option<Tls>,
        bound: Bound,
    ) -> Result<Self, Failure> {
        raise_descriptors();
        let config = Arc::new(loaded.config.clone());
        let clock = Arc::new(SystemClock);
        let mut service = Service::new(config, store, tls, clock);
        if let Err(error) = service.auth.keep_decoys_in(&loaded.config.store.path) {
            tracing::warn!(%error, "what SCRAM answers for unknown names changes with each start");
        }
        let started = u64::try_from(service.now_secs()).unwrap_or(0);
        // Nobody else sets it.
        let _ = service.observe.started_secs.set(started);
        let service = Arc::new(service);
        let mut running = Self {
            imap: bound.addresses(Protocols::Imap),
            imaps: bound.addresses(Protocols::Imaps),
            lmtp: bound.addresses(Protocols::Lmtp),
            tasks: JoinSet::new(),
            // Before anybody can connect: whoever sees the server may stop it in order.
            signals: StopSignals::new(),
            service: Arc::clone(&service),
        };
        let probe = ops::probe::Target::of(&running.imap, &running.imaps);
        if let Err(problem) = admin::socket::path(&service.config) {
            service.store.close().await;
            return Err(Failure::new(Exit::Configuration, problem));
        }
        let extras = admin::socket::bind(&service.config)
            .and_then(|socket| Ok((socket, ops::bind(&service.config)?)));
        let (administration, operators) = match extras {
            Ok(extras) => extras,
            Err(problem) => {
                service.store.close().await;
                return Err(Failure::new(Exit::Port, problem));
            }
        };
        running
            .tasks
            .spawn(admin::socket::serve(administration, Arc::clone(&service)));
        running
            .tasks
            .spawn(ops::serve(operators, Arc::clone(&service), probe));
        // Caught from here on, so that an early SIGHUP does not end the server.
        let hangup = handler(SignalKind::hangup());
        running
            .tasks
            .spawn(keep_certificates(Arc::clone(&service), hangup));
        running.tasks.spawn(write_uses(Arc::clone(&service)));
        running.tasks.spawn(collector::run(Arc::clone(&service)));
        running.tasks.spawn(memory::give_back(Arc::clone(&service)));
        running.tasks.spawn(bound.serve(service));
        Ok(running)
    }

    /// Says in the log where the server listens.
    pub fn announce(&self) {
        tracing::info!(
            imap = ?self.imap, imaps = ?self.imaps, lmtp = ?self.lmtp,
            lmtp_socket = ?self.service.config.lmtp.socket_path, "serving"
        );
    }

    /// Serves until SIGINT or SIGTERM, then ends.
    pub async fn until_signal(mut self) {
        let mut signals = std::mem::take(&mut self.signals);
        signals.asked().await;
        tracing::info!(sessions = self.service.sessions.count(), "stopping");
        let service = Arc::clone(&self.service);
        tokio::select! {
            () = self.stop() => {}
            // Asked twice: whoever asks does not want to wait for clients.
            () = signals.asked() => service.store.close().await,
        }
        tracing::info!("stopped");
    }

    /// Tells the sessions to end, waits for them and closes the store.
    pub async fn stop(mut self) {
        self.service.shutdown.begin();
        while self.tasks.join_next().await.is_some() {}
        self.service.store.close().await;
    }
}

/// Writes down now and then, and at the end, which app passwords were used.
async fn write_uses(service: Arc<Service>) {
    loop {
        let end = tokio::time::timeout(auth::WRITTEN_EVERY, service.shutdown.notified()).await;
        service.auth.write_uses().await;
        if end.is_ok() {
            return;
        }
    }
}

/// SIGINT and SIGTERM, caught from when this is made.
#[derive(Default)]
struct StopSignals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
}

impl StopSignals {
    fn new() -> Self {
        Self {
            interrupt: handler(SignalKind::interrupt()),
            terminate: handler(SignalKind::terminate()),
        }
    }

    /// Waits for either.
    async fn asked(&mut self) {
        tokio::select! {
            () = received(&mut self.interrupt) => {}
            () = received(&mut self.terminate) => {}
        }
    }
}

fn handler(kind: SignalKind) -> Option<Signal> {
    signal(kind)
        .inspect_err(|error| tracing::error!(%error, "signals cannot be handled"))
        .ok()
}

/// Waits for a signal, for ever if it cannot be caught.
pub(crate) async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Loads certificates again at SIGHUP and when their files change. Without any, SIGHUP does nothing.
async fn keep_certificates(service: Arc<Service>, mut hangup: Option<Signal>) {
    let sources = Sources::of(&service.config);
    if let (Some(tls), Some(sources)) = (service.tls.clone(), sources) {
        log_certificates(&tls, "certificate in use");
        return Watch::new(tls, sources).run(service, hangup).await;
    }
    loop {
        tokio::select! {
            () = service.shutdown.notified() => return,
            () = received(&mut hangup) => tracing::info!("there is no certificate to load again"),
        }
    }
}

/// Takes as many file descriptors as the system allows: each connection needs one.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // With fewer the server serves fewer.
    let _ = setrlimit(Resource::Nofile, raised);
}
