//! The configuration: read from files, environment and command line by .NET's
//! rules, checked as a whole, and turned into one typed value before anything
//! starts. It does not watch files and changes nothing on disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::problem::{Problem, Problems};

pub use resolve::Effective;
pub use source::Source;
pub use table::{
    AuthSettings, Config, HealthCheckSettings, ImapSettings, Key, LimitSettings, LmtpSettings,
    LoggingSettings, OAuthSettings, OtelSettings, Section, StoreSettings, TABLE,
};
pub use value::{
    Addresses, AllowPlaintextAuth, AuthBackend, Bounds, Bytes, CertificateFiles, CertificateName,
    CertificateSource, CollectorUrl, Durations, HttpUrl, KeySource, LogFormat, LogLevel, LogLevels,
    Network, Networks, OtlpProtocol, Password, ProviderUrl, Raw, Setting, TokenAlgorithms,
    TokenIssuer, TokenIssuers, Words,
};

mod apply;
mod check;
pub mod docs;
mod json;
mod resolve;
mod source;
mod table;
mod value;

#[cfg(test)]
mod tests;

/// The file looked for.
const FILE_NAME: &str = "appsettings.json";
/// Where it is looked for after the working directory.
const SYSTEM_DIRECTORY: &str = "/etc/relate-imap";
/// What .NET takes when no environment is named.
const ENVIRONMENT_DEFAULT: &str = "Production";

/// Which subcommand reads the configuration: `up` has settings of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preset {
    /// The table's defaults.
    #[default]
    Plain,
    /// `up`: everything in `./data` and on this machine when there is no file.
    Up,
}

/// What `up` sets in any case, unless a file, the environment or an option does.
const UP_ALWAYS: [(&str, &str); 1] = [("Imap:MaxConnectionsPerUser", "20")];
/// Where `up` keeps its store when there is no configuration file.
pub const UP_STORE: &str = "./data";
/// What `up` sets when there is no configuration file.
const UP_WITHOUT_FILE: [(&str, &str); 3] = [
    ("Imap:Addresses", "127.0.0.1, ::1"),
    ("Lmtp:Port", "1124"),
    ("Store:Path", UP_STORE),
];

/// Where to read from. Everything is passed in, so that tests own all of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// `--config PATH`: this file, and no search.
    pub file: Option<PathBuf>,
    /// The values of `--set`.
    pub set: Vec<String>,
    /// Options with a name of their own that set a key: name, `Section:Key`, value.
    pub flags: Vec<(&'static str, &'static str, String)>,
    /// The environment's variables.
    pub environment: Vec<(OsString, OsString)>,
    /// Directories searched for `appsettings.json`; the first that has one is used.
    pub directories: Vec<PathBuf>,
    /// What the subcommand sets by itself.
    pub preset: Preset,
}

impl Options {
    /// This process's environment, the working directory, then `/etc/relate-imap`.
    #[must_use]
    pub fn from_process(file: Option<PathBuf>, set: Vec<String>, preset: Preset) -> Self {
        Self {
            file,
            set,
            flags: Vec::new(),
            environment: std::env::vars_os().collect(),
            directories: vec![PathBuf::from("."), PathBuf::from(SYSTEM_DIRECTORY)],
            preset,
        }
    }

    /// `DOTNET_ENVIRONMENT`, else `ASPNETCORE_ENVIRONMENT`, else `Production`.
    fn environment_name(&self) -> String {
        let named = |name: &str| {
            let found = self
                .environment
                .iter()
                .find(|(variable, _)| variable == name);
            found
                .and_then(|(_, value)| value.to_str())
                .filter(|value| !value.is_empty())
        };
        let name = named("DOTNET_ENVIRONMENT").or_else(|| named("ASPNETCORE_ENVIRONMENT"));
        name.unwrap_or(ENVIRONMENT_DEFAULT).to_owned()
    }
}

/// Something an operator should know although the server can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub Problem);

/// A configuration that was read without a problem.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed values.
    pub config: Config,
    /// Every key with its value and source, in the table's order.
    pub effective: Vec<Effective>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// What an operator should know.
    pub warnings: Vec<Warning>,
}

impl Loaded {
    /// Whether a file, the environment or the command line gave this key.
    #[must_use]
    pub fn is_given(&self, key: &str) -> bool {
        !matches!(self.source(key), Source::Default | Source::Preset(_))
    }

    /// Where the value of `Section:Key` comes from.
    #[must_use]
    pub fn source(&self, key: &str) -> Source {
        let row = self.effective.iter().find(|row| row.key == key);
        row.map_or(Source::Default, |row| row.source.clone())
    }

    /// Checks what depends on this machine: that the certificate is usable and
    /// the store's directory can be written.
    pub fn check_machine(&self, now: SystemTime) -> Result<Vec<Warning>, Problems> {
        check::machine(self, now)
    }
}

/// Reads and checks the configuration; all problems come together.
pub fn load(options: &Options) -> Result<Loaded, Problems> {
    let mut problems = Vec::new();
    let (files, file_layers) = read_files(options, &mut problems);
    let mut layers = presets(options.preset, !files.is_empty());
    layers.extend(file_layers);
    layers.push(source::environment(&options.environment, &mut problems));
    layers.push(source::command_line(&options.set, &mut problems));
    for (name, key, value) in &options.flags {
        layers.push(source::layer(&[(key, value)], &Source::CommandLine(name)));
    }
    let mut reader = resolve::Reader::new(&layers, &mut problems);
    let config = Config::read(&mut reader);
    let effective = std::mem::take(&mut reader.effective);
    let Some(config) = config else {
        return Err(Problems(problems));
    };
    let mut loaded = Loaded {
        config,
        effective,
        files,
        warnings: Vec::new(),
    };
    settle(&mut loaded);
    problems.extend(check::together(&loaded));
    loaded.warnings = check::warnings(&loaded);
    Problems(problems).or(loaded)
}

fn presets(preset: Preset, file_found: bool) -> Vec<source::Layer> {
    let from = Source::Preset("up");
    match preset {
        Preset::Plain => Vec::new(),
        Preset::Up if file_found => vec![source::layer(&UP_ALWAYS, &from)],
        Preset::Up => {
            vec![
                source::layer(&UP_ALWAYS, &from),
                source::layer(&UP_WITHOUT_FILE, &from),
            ]
        }
    }
}

/// The files that exist, and their values: `appsettings.json`, then
/// `appsettings.{Environment}.json` beside it.
fn read_files(
    options: &Options,
    problems: &mut Vec<Problem>,
) -> (Vec<PathBuf>, Vec<source::Layer>) {
    let candidates = match &options.file {
        Some(path) if path.is_dir() => vec![path.join(FILE_NAME)],
        Some(path) => vec![path.clone()],
        None => options
            .directories
            .iter()
            .map(|directory| directory.join(FILE_NAME))
            .collect(),
    };
    let name = options.environment_name();
    for base in &candidates {
        let mut found = (Vec::new(), Vec::new());
        for path in [base.clone(), for_environment(base, &name)] {
            if let Some(layer) = source::file(&path, problems) {
                found.0.push(path);
                found.1.push(layer);
            }
        }
        if !found.0.is_empty() {
            return found;
        }
    }
    if let Some(path) = &options.file {
        problems.push(Problem::new(
            "the configuration file does not exist",
            format!("--config {}", path.display()),
            "name a file that exists; `relate-imap config docs --sample` prints one to begin with",
        ));
    }
    (Vec::new(), Vec::new())
}

/// `appsettings.json` and `Production` make `appsettings.Production.json`. Only
/// the last part of a strange name is taken, so it cannot lead elsewhere.
fn for_environment(base: &Path, name: &str) -> PathBuf {
    let stem = base.file_stem().unwrap_or_default().to_string_lossy();
    let extension = base.extension().unwrap_or_default().to_string_lossy();
    base.with_file_name(format!(
        "{stem}.{}.{extension}",
        name.replace(['/', '\0'], "_")
    ))
}

/// Values that depend on other values, in the configuration and in what is shown of it.
fn settle(loaded: &mut Loaded) {
    let config = &mut loaded.config;
    if let Some(path) = &mut config.lmtp.socket_path {
        *path = config.store.path.join(&path);
        let shown = loaded.effective.iter_mut();
        for row in shown.filter(|row| row.key == "Lmtp:SocketPath") {
            row.value = path.show();
        }
    }
}
