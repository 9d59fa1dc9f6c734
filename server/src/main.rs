//! The program: reads the command line and the configuration, and does what it is asked. What can
//! go wrong ends here, as text on standard error and an exit code.

use std::{
    io::{self, Write as _},
    net::IpAddr,
    process::ExitCode,
    time::Duration,
};

use server::{
    admin::{
        Request,
        client::{
            account_request, app_password_request, ask_running, log_request, mailbox_request,
            perform, restart, with_password,
        },
        follow, history,
        live::{Chosen, LiveRequest},
        owner::{become_owner, refuse_root},
        print::{Form, print},
        trace::{self, TraceRequest},
    },
    bench,
    cli::{self, Cli, Command, ConfigCommand, Exit, SetupFormat, TlsCommand},
    client_setup,
    config::{self, Loaded, docs},
    deliver, doctor, log, ops,
    problem::{Problem, Problems},
    serve::{self, Failure, Start, system_time},
    tls, tunnel, up,
};

/// Gives back to the system what a burst has left behind, by a thread of its own, and keeps what a
/// session holds close together (`docs/decisions/0020-memory-by-jemalloc.md`).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long a thread that waits for the disk is kept for the next who needs one. They take turns at
/// what there is to do, so that of hundreds which a burst has made none would ever be idle for long.
const KEEP_ALIVE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match Cli::read(std::env::args_os()) {
        Ok(cli) => run(cli).unwrap_or_else(|failure| report(&failure)).into(),
        Err(exit) => exit.into(),
    }
}

fn report(failure: &Failure) -> Exit {
    tell(&failure.problems);
    failure.exit
}

fn tell(problems: &Problems) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "relate-imap: {problems}");
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    let options = cli.options();
    let form = if cli.global.json {
        Form::Json
    } else {
        Form::Text
    };
    let loaded = || config::load(&options).map_err(Failure::configuration);
    match cli.command {
        Command::Serve(arguments) => served(loaded, Start::new(arguments.inherit)?),
        Command::Restart => {
            let loaded = loaded()?;
            become_owner(&loaded.config.store.path)?;
            printed(&print(&one_thread(restart(&loaded.config))?, form))
        }
        Command::Up(_) => {
            let loaded = loaded()?;
            refuse_root(&loaded.config.store.path)?;
            many_threads(up::run(loaded))
        }
        Command::Deliver(arguments) => Ok(deliver::main(&options, &arguments.user, tell)),
        Command::Account(command) => {
            let loaded = loaded()?;
            administer(&loaded, account_request(command)?, form)
        }
        Command::AppPassword(command) => {
            let loaded = loaded()?;
            app_password(&loaded, command, form)
        }
        Command::Mailbox(command) => administer(&loaded()?, mailbox_request(command), form),
        Command::Log(asked) => past(&loaded()?, asked, form),
        Command::Who { user, address } => {
            let chosen = chosen(user, None, address);
            live(&loaded()?, &LiveRequest::Who(chosen), form)
        }
        Command::Kick {
            user,
            session,
            address,
        } => {
            let chosen = chosen(user, session, address);
            live(&loaded()?, &LiveRequest::Kick(chosen), form)
        }
        Command::Trace {
            user,
            address,
            bodies,
        } => {
            let whom = chosen(user, None, address);
            traced(&loaded()?, TraceRequest { whom, bodies }, form)
        }
        Command::Session { account } => tunnel::run(&loaded()?.config, &account),
        Command::Check => check(&loaded()?, form),
        Command::Bench => bench(&loaded()?, form),
        Command::Compact => administer(&loaded()?, Request::Compact, form),
        Command::Config(command) => configuration(&command, &loaded, form),
        Command::Tls(TlsCommand::Check) => tls_check(&loaded()?, form),
        Command::Healthcheck => healthcheck(&loaded()?, form),
        Command::Doctor => doctor(loaded(), form),
        Command::ClientSetup(asked) => client_setup(&loaded()?, asked, form),
        Command::Completions { shell } => printed(&cli::completions(shell, &mut io::stdout())),
        Command::Man { markdown: true, .. } => {
            printed(&io::stdout().write_all(cli::markdown().as_bytes()))
        }
        Command::Man { out, .. } => printed(&match out {
            None => cli::manual(&mut io::stdout()),
            Some(directory) => cli::manual_pages(&directory),
        }),
    }
}

fn served(loaded: impl Fn() -> Result<Loaded, Failure>, start: Start) -> Result<Exit, Failure> {
    let loaded = loaded().inspect_err(|failure| start.fails(failure))?;
    let refused = refuse_root(&loaded.config.store.path);
    refused.inspect_err(|failure| start.fails(failure))?;
    log::begin(&loaded.config.logging);
    many_threads(serve::run(&loaded, start))
}

fn many_threads(work: impl Future<Output = Result<(), Failure>>) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_keep_alive(KEEP_ALIVE)
        .build();
    let runtime = runtime.map_err(|error| no_runtime(&error))?;
    let done = runtime.block_on(work);
    // A question to a directory, or the hash of a password, must not keep a process that has closed
    // its store.
    runtime.shutdown_background();
    done.map(|()| Exit::Fine)
}

fn one_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.map_err(|error| no_runtime(&error))?.block_on(work)
}

fn no_runtime(error: &io::Error) -> Failure {
    let what = format!("the program cannot start: {error}");
    Failure::new(
        Exit::Failed,
        Problem::new(what, "this machine", "free memory or processes"),
    )
}

fn administer(loaded: &Loaded, request: Request, form: Form) -> Result<Exit, Failure> {
    become_owner(&loaded.config.store.path)?;
    let value = one_thread(perform(&loaded.config, request))?;
    printed(&print(&value, form))
}

fn app_password(loaded: &Loaded, command: cli::AppPassword, form: Form) -> Result<Exit, Failure> {
    let (request, password) = app_password_request(command, system_time())?;
    become_owner(&loaded.config.store.path)?;
    let value = one_thread(perform(&loaded.config, request))?;
    printed(&print(&with_password(value, password), form))
}

/// Entries are shown as they are read; what could not be read is told at the end.
fn past(loaded: &Loaded, asked: cli::Past, form: Form) -> Result<Exit, Failure> {
    let request = log_request(asked, system_time())?;
    become_owner(&loaded.config.store.path)?;
    let show = |item: &serde_json::Value| {
        let line = match form {
            Form::Json => format!("{item}\n"),
            Form::Text => history::line(item),
        };
        io::stdout().lock().write_all(line.as_bytes())
    };
    let end = one_thread(follow::log(&loaded.config, request, show))?;
    tell_warnings(history::gaps(&end));
    Ok(Exit::Fine)
}

fn bench(loaded: &Loaded, form: Form) -> Result<Exit, Failure> {
    become_owner(&loaded.config.store.path)?;
    many_threads(async {
        let value = bench::run(&loaded.config).await?;
        printed(&print(&value, form)).map(|_| ())
    })
}

fn chosen(user: Option<String>, session: Option<u64>, address: Option<IpAddr>) -> Chosen {
    Chosen {
        user,
        session,
        address,
    }
}

fn live(loaded: &Loaded, request: &LiveRequest, form: Form) -> Result<Exit, Failure> {
    become_owner(&loaded.config.store.path)?;
    let value = one_thread(ask_running(&loaded.config, request))?;
    printed(&print(&value, form))
}

/// What is said is shown as it comes, until whoever reads it ends it.
fn traced(loaded: &Loaded, request: TraceRequest, form: Form) -> Result<Exit, Failure> {
    become_owner(&loaded.config.store.path)?;
    let show = |item: &serde_json::Value| {
        let text = match form {
            Form::Json => format!("{item}\n"),
            Form::Text => trace::lines(item),
        };
        io::stdout().lock().write_all(text.as_bytes())
    };
    one_thread(follow::trace(&loaded.config, request, show)).map(|_| Exit::Fine)
}

fn check(loaded: &Loaded, form: Form) -> Result<Exit, Failure> {
    become_owner(&loaded.config.store.path)?;
    let value = one_thread(perform(&loaded.config, Request::Check))?;
    printed(&print(&value, form))?;
    let healthy = value.get("healthy").and_then(serde_json::Value::as_bool) == Some(true);
    Ok(if healthy {
        Exit::Fine
    } else {
        Exit::StoreDamaged
    })
}

fn configuration(
    command: &ConfigCommand,
    loaded: &dyn Fn() -> Result<Loaded, Failure>,
    form: Form,
) -> Result<Exit, Failure> {
    let text = match command {
        ConfigCommand::Show if form == Form::Json => docs::show_json(&loaded()?.effective),
        ConfigCommand::Show => docs::show(&loaded()?.effective),
        ConfigCommand::Docs { sample: true } => docs::sample(),
        ConfigCommand::Docs { sample: false } => docs::markdown(),
        ConfigCommand::Check => {
            let loaded = loaded()?;
            let machine = loaded
                .check_machine(system_time())
                .map_err(Failure::configuration)?;
            let warnings = loaded.warnings.iter().chain(&machine);
            tell_warnings(warnings.map(|warning| warning.0.clone()).collect());
            "the configuration is fine\n".to_owned()
        }
    };
    printed(&io::stdout().write_all(text.as_bytes()))
}

fn tls_check(loaded: &Loaded, form: Form) -> Result<Exit, Failure> {
    let report = one_thread(async {
        let explained = tls::explain::explain(&loaded.config, system_time()).await;
        explained.map_err(|problem| Failure::configuration(problem.into()))
    })?;
    match form {
        Form::Json => printed(&print(&report.json, form))?,
        Form::Text => printed(&io::stdout().write_all(report.text().as_bytes()))?,
    };
    if report.problems.is_empty() {
        return Ok(Exit::Fine);
    }
    tell(&Problems(report.problems));
    Ok(Exit::Failed)
}

fn tell_warnings(warnings: Vec<Problem>) {
    if !warnings.is_empty() {
        let _ = writeln!(io::stderr(), "warning: {}", Problems(warnings));
    }
}

fn healthcheck(loaded: &Loaded, form: Form) -> Result<Exit, Failure> {
    let Some(url) = &loaded.config.health_check.url else {
        let problem = Problem::new("there is no health check", "HealthCheck:Url", "set it");
        return Err(Failure::new(Exit::Configuration, problem));
    };
    let place = format!("{}:{}", url.host, url.port);
    let (healthy, value) = one_thread(async {
        ops::ask::ask(url, &loaded.config).await.map_err(|error| {
            let what = format!("the server does not answer: {error}");
            let next = "start it with `relate-imap serve`, or see its log";
            Failure::new(Exit::Failed, Problem::new(what, place, next))
        })
    })?;
    let (status, rows) = ops::ask::lines(&value);
    match form {
        Form::Json => printed(&print(&value, form))?,
        Form::Text => printed(&print(&status, form).and_then(|()| print(&rows, form)))?,
    };
    Ok(if healthy { Exit::Fine } else { Exit::Failed })
}

/// Looks around as root if it may, then as the server's user, to whom things must be well.
fn doctor(loaded: Result<Loaded, Failure>, form: Form) -> Result<Exit, Failure> {
    let report = match loaded {
        Err(failure) => doctor::misconfigured(failure.problems),
        Ok(loaded) => {
            let before = one_thread(async { Ok(doctor::Before::look(&loaded.config)) })?;
            let became = become_owner(&loaded.config.store.path);
            let examined = doctor::examine(&loaded, before, system_time());
            let mut report = one_thread(async { Ok(examined.await) })?;
            if let Err(failure) = became {
                doctor::as_another_user(&mut report, failure.problems);
            }
            report
        }
    };
    match form {
        Form::Json => printed(&print(&report.to_json(), form))?,
        Form::Text => printed(&io::stdout().write_all(report.text().as_bytes()))?,
    };
    Ok(if report.is_well() {
        Exit::Fine
    } else {
        Exit::Failed
    })
}

fn client_setup(loaded: &Loaded, asked: cli::ClientSetup, form: Form) -> Result<Exit, Failure> {
    let wishes = client_setup::Wishes {
        address: asked.address,
        domains: asked.domain,
        outgoing: asked.smtp,
    };
    let setup = client_setup::gather(&loaded.config, wishes)
        .map_err(|problem| Failure::new(Exit::Failed, problem))?;
    if form == Form::Text && asked.format != SetupFormat::Text {
        let published = setup.may_be_published();
        published.map_err(|problem| Failure::new(Exit::Failed, problem))?;
    }
    tell_warnings(setup.warnings.clone());
    if form == Form::Json {
        return printed(&print(&setup.to_json(), form));
    }
    let text = match asked.format {
        SetupFormat::Text => setup.text(),
        SetupFormat::Autoconfig => client_setup::autoconfig(&setup),
        SetupFormat::Apple => client_setup::apple(&setup),
        SetupFormat::Dns => client_setup::dns(&setup),
    };
    printed(&io::stdout().write_all(text.as_bytes()))
}

/// Who closes the pipe has read enough.
fn printed(written: &io::Result<()>) -> Result<Exit, Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let what = format!("the output cannot be written: {error}");
            let next = "see that there is room where it goes";
            Err(Failure::new(
                Exit::Failed,
                Problem::new(what, "standard output", next),
            ))
        }
        _ => Ok(Exit::Fine),
    }
}
