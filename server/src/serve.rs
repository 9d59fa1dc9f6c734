//! The server as a whole: opens the store, binds, serves until it is told to stop, and closes in
//! order. `relate-imap serve` is this; `up` prepares something to serve first.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use store::{
    Error, Store,
    clock::{Clock, SystemClock},
    embedded::EmbeddedStore,
};
use tokio::{
    net::UnixStream,
    signal::unix::{Signal, SignalKind},
    sync::mpsc,
    task::JoinSet,
    time::Instant,
};

use crate::{
    admin, auth,
    cli::Exit,
    config::{Config, Loaded},
    listen::{self, note_end},
    observe::collector,
    ops,
    problem::{Problem, Problems},
    restart::{Program, heir::Heir},
    service::Service,
    sockets::{self, Listening, Role, Sockets},
    systemd::{self, Serving, State},
    tls::{
        Sources, Tls,
        watch::{Watch, log_certificates},
    },
};

mod life;
mod signals;

use self::life::Server;
pub use self::signals::Signals;
pub(crate) use self::signals::{handler, received};

/// How long closing the store may take, as systemd is told.
const CLOSE_TIME: Duration = Duration::from_secs(15);
/// How long those that are not waited for any more may take to say so.
const CUT_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the store's lock is waited for when its holder has closed the store.
const LOCK_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it is tried.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

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

/// How a server begins.
pub enum Start {
    /// From nothing, or with sockets that systemd opened.
    Fresh(Sockets),
    /// In the place of another, with its sockets.
    Heir(Heir, Sockets),
}

impl Start {
    /// As the command line and the environment say. Must be called while the program has one
    /// thread.
    ///
    /// # Errors
    /// Sockets are given that cannot be used.
    pub fn new(inherit: bool) -> Result<Self, Failure> {
        if inherit {
            let (heir, sockets) = Heir::new()?;
            return Ok(Self::Heir(heir, sockets));
        }
        let sockets = Sockets::of_system().map_err(Failure::configuration)?;
        Ok(Self::Fresh(sockets))
    }

    /// Tells the server whose place was to be taken why that cannot be.
    pub fn fails(&self, failure: &Failure) {
        if let Self::Heir(heir, _) = self {
            heir.fails(&failure.problems);
        }
    }
}

/// `relate-imap serve`: serves until a signal.
///
/// # Errors
/// The server could not start.
pub async fn run(loaded: &Loaded, start: Start) -> Result<(), Failure> {
    let program = Program::own().ok();
    let mut signals = Signals::caught();
    let starting = async {
        match start {
            Start::Fresh(mut given) => {
                let started = start_fresh(loaded, &mut given).await?;
                Ok((started, None))
            }
            Start::Heir(heir, mut given) => {
                let started = start_heir(loaded, &heir, &mut given).await;
                let started =
                    started.inspect_err(|failure: &Failure| heir.fails(&failure.problems))?;
                Ok((started, Some((heir, given))))
            }
        }
    };
    let ((site, running), heir) = tokio::select! {
        started = starting => started?,
        // Whatever the store was doing, the next opening goes by its log.
        () = signals.stop() => return Ok(()),
    };
    let mut server = Server {
        loaded,
        program,
        signals,
        site,
        serving: Serving::default(),
    };
    if let Some((heir, left)) = heir {
        tokio::select! {
            () = heir.serves() => left.unlink(),
            // There may be sessions already.
            () = server.signals.stop() => {
                server.stop(running).await;
                return Ok(());
            }
        }
    }
    server.run(running).await
}

async fn start_fresh(loaded: &Loaded, given: &mut Sockets) -> Result<(Site, Running), Failure> {
    let opening = open_store(&loaded.config);
    let store = systemd::patiently("opening the store", opening).await?;
    let site = match Site::prepare(loaded, given) {
        Ok(site) => site,
        Err(failure) => {
            store.close().await;
            return Err(failure);
        }
    };
    let running = site.start(loaded, store).await?;
    Ok((site, running))
}

/// Everything that can fail without the store comes before the store is asked for: until then the
/// other server serves.
async fn start_heir(
    loaded: &Loaded,
    heir: &Heir,
    given: &mut Sockets,
) -> Result<(Site, Running), Failure> {
    let site = Site::prepare(loaded, given)?;
    heir.wait_for_store().await?;
    let store = open_left_store(&loaded.config).await?;
    let running = site.start(loaded, store).await?;
    Ok((site, running))
}

/// The sockets and certificates of a server, which outlast a store that is closed and opened again.
struct Site {
    sockets: Sockets,
    tls: Option<Tls>,
    /// Of `relate-imap restart`.
    ask: mpsc::Sender<UnixStream>,
    asked: mpsc::Receiver<UnixStream>,
}

impl Site {
    /// Loads the certificates and binds what is not given.
    fn prepare(loaded: &Loaded, given: &mut Sockets) -> Result<Self, Failure> {
        let tls = certificate(loaded)?;
        let sockets = bind(&loaded.config, tls.as_ref(), given)?;
        let (ask, asked) = mpsc::channel(1);
        Ok(Self {
            sockets,
            tls,
            ask,
            asked,
        })
    }

    async fn start(&self, loaded: &Loaded, store: Arc<dyn Store>) -> Result<Running, Failure> {
        let (tls, ask) = (self.tls.clone(), Some(self.ask.clone()));
        let running = Running::start(loaded, store, tls, &self.sockets, ask).await?;
        running.announce();
        Ok(running)
    }
}

/// Binds what the configuration names and is not given.
///
/// # Errors
/// Each socket that cannot be bound.
pub fn bind(config: &Config, tls: Option<&Tls>, given: &mut Sockets) -> Result<Sockets, Failure> {
    if let Err(problem) = admin::socket::path(config) {
        return Err(Failure::new(Exit::Configuration, problem));
    }
    let tls = match tls {
        Some(_) => sockets::Tls::On,
        None => sockets::Tls::Off,
    };
    Sockets::bind(config, tls, given).map_err(|problems| Failure {
        exit: Exit::Port,
        problems,
    })
}

/// Tells the sessions to end, waits for them and closes the store. Whoever asks a second time does
/// not want to wait for clients.
pub async fn stop(running: Running, sockets: Sockets, signals: &mut Signals) {
    let service = Arc::clone(&running.service);
    let limit = service.config.imap.shutdown_timeout;
    tracing::info!(sessions = service.sessions.count(), "stopping");
    systemd::tell(&[State::Stopping, State::Extend(limit + CLOSE_TIME)]);
    sockets.unlink();
    drop(sockets);
    tokio::select! {
        () = running.end(Next::Nobody, limit) => {}
        () = signals.stop() => {
            tracing::warn!("asked twice: nobody is waited for");
            service.store.close().await;
        }
    }
    tracing::info!("stopped");
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

/// Opens the store when whoever had it has closed it. A program that was being started at that
/// moment may hold the lock a little longer.
async fn open_left_store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let deadline = Instant::now() + LOCK_TIME_MAX;
    loop {
        match open_store(config).await {
            Err(failure) if failure.exit == Exit::StoreInUse && Instant::now() < deadline => {
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            opened => return opened,
        }
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

/// Who serves when a server has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nobody.
    Nobody,
    /// Another process, on the same sockets.
    Another,
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
    lmtp_sockets: Vec<PathBuf>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Starts to serve on duplicates of these sockets. Signals to stop must be caught before:
    /// whoever sees the server may stop it in order.
    ///
    /// # Errors
    /// There are no descriptors left; then the store is closed.
    pub async fn start(
        loaded: &Loaded,
        store: Arc<dyn Store>,
        tls: Option<Tls>,
        sockets: &Sockets,
        restarts: Option<mpsc::Sender<UnixStream>>,
    ) -> Result<Self, Failure> {
        raise_descriptors();
        let listening = match sockets.listen() {
            Ok(listening) => listening,
            Err(error) => {
                store.close().await;
                let what = format!("the sockets cannot be used: {error}");
                let next = "allow the server more open files";
                let problem = Problem::new(what, "this machine", next);
                return Err(Failure::new(Exit::Port, problem));
            }
        };
        let config = Arc::new(loaded.config.clone());
        let mut service = Service::new(config, store, tls, Arc::new(SystemClock));
        service.restarts = restarts;
        if let Err(error) = service.auth.keep_decoys_in(&loaded.config.store.path) {
            tracing::warn!(%error, "what SCRAM answers for unknown names changes with each start");
        }
        let started = u64::try_from(service.now_secs()).unwrap_or(0);
        // Nobody else sets it.
        let _ = service.observe.started_secs.set(started);
        let mut running = Self {
            imap: sockets.addresses(Role::Imap),
            imaps: sockets.addresses(Role::Imaps),
            lmtp: sockets.addresses(Role::Lmtp),
            lmtp_sockets: sockets.paths(Role::Lmtp),
            tasks: JoinSet::new(),
            service: Arc::new(service),
        };
        running.serve(listening);
        Ok(running)
    }

    fn serve(&mut self, listening: Listening) {
        let service = || Arc::clone(&self.service);
        let probe = ops::probe::Target::of(&self.imap, &self.imaps);
        for socket in listening.admin {
            self.tasks.spawn(admin::socket::serve(socket, service()));
        }
        self.tasks
            .spawn(ops::serve(listening.ops, service(), probe));
        // Caught from here on, so that an early SIGHUP does not end the server.
        let hangup = handler(SignalKind::hangup());
        self.tasks.spawn(keep_certificates(service(), hangup));
        self.tasks.spawn(write_uses(service()));
        self.tasks.spawn(collector::run(service()));
        self.tasks
            .spawn(listen::serve(listening.tcp, listening.lmtp, service()));
    }

    /// Says in the log where the server listens.
    pub fn announce(&self) {
        tracing::info!(
            imap = ?self.imap, imaps = ?self.imaps, lmtp = ?self.lmtp,
            lmtp_socket = ?self.lmtp_sockets, "serving"
        );
    }

    /// Tells the sessions to end, waits for them as long as that, ends those that remain, and closes
    /// the store.
    pub async fn end(mut self, next: Next, time_max: Duration) {
        match next {
            Next::Nobody => self.service.shutdown.begin(),
            Next::Another => self.service.shutdown.hand_over(),
        }
        let ended = tokio::time::timeout(time_max, self.ended()).await;
        if ended.is_err() {
            self.service.shutdown.cut();
            if tokio::time::timeout(CUT_TIME_MAX, self.ended())
                .await
                .is_err()
            {
                // Whatever it is that they wait for, such as a disk that does not answer.
                tracing::warn!(tasks = self.tasks.len(), "not waited for any more");
                self.tasks.abort_all();
                self.ended().await;
            }
        }
        self.service.store.close().await;
    }

    async fn ended(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            note_end(ended);
        }
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
            () = received(&mut hangup) => {
                systemd::tell(&[State::Reloading]);
                tracing::info!("there is no certificate to load again");
                systemd::tell(&[State::Ready]);
            }
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
