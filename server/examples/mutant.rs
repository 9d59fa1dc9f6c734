//! A server that is broken on purpose, to show that `tests/kill` would notice. Never shipped.
//!
//! `mutant fdatasync|recovery|none --config PATH` serves as `relate-imap serve --config PATH`
//! does, with the same code over a disk that lies: `fdatasync` acknowledges syncs without handing
//! anything over, `recovery` loses the end of what the log holds when it is opened, and `none` has
//! the same disk telling the truth.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use server::{
    config::{self, Loaded, Options, Preset},
    log,
    serve::{Failure, Running, Signals, bind, load_tls, stop},
    sockets::Sockets,
    tls::Sources,
};
use store::{
    Store,
    clock::SystemClock,
    disk::{Broken, Lazy, RealDisk},
    embedded::EmbeddedStore,
};

const USAGE: &str = "mutant fdatasync|recovery|none --config PATH";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("mutant: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, flag, path] = arguments.as_slice() else {
        return Err(USAGE.to_owned());
    };
    let broken = match (what.as_str(), flag.as_str()) {
        ("fdatasync", "--config") => Broken::Sync,
        ("recovery", "--config") => Broken::Recovery,
        ("none", "--config") => Broken::Nothing,
        _ => return Err(USAGE.to_owned()),
    };
    let options = Options::from_process(Some(PathBuf::from(path)), Vec::new(), Preset::Plain);
    let loaded = config::load(&options).map_err(|problems| problems.to_string())?;
    log::begin(&loaded.config.logging);
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(serve(&loaded, broken))
}

async fn serve(loaded: &Loaded, broken: Broken) -> Result<(), String> {
    let disk = Arc::new(Lazy::new(Arc::new(RealDisk), broken));
    let (path, options) = (
        loaded.config.store.path.clone(),
        loaded.config.store_options(),
    );
    let opened = tokio::task::spawn_blocking(move || {
        EmbeddedStore::open_on(disk, &path, options, Arc::new(SystemClock))
    });
    let store: Arc<dyn Store> = opened
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let said = |failure: Failure| failure.problems.to_string();
    let tls = Sources::of(&loaded.config)
        .map(|sources| load_tls(&sources))
        .transpose()
        .map_err(said)?;
    let mut signals = Signals::caught();
    let sockets = bind(&loaded.config, tls.as_ref(), &mut Sockets::default()).map_err(said)?;
    let running = Running::start(loaded, store, tls, &sockets, None)
        .await
        .map_err(said)?;
    running.announce();
    signals.stop().await;
    stop(running, sockets, &mut signals).await;
    Ok(())
}
