//! The command line of the whole program: every subcommand and option, the exit
//! codes, and what is generated from them (completions, manual pages). What the
//! commands do is in the modules that own them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::{Options, Preset, Setting};

/// The name of the binary.
pub const PROGRAM: &str = "relate-imap";

/// A mail server for IMAP clients: takes mail by LMTP, keeps it durably, and
/// serves it by IMAP4rev2 and IMAP4rev1.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options every subcommand takes.
    #[command(flatten)]
    pub global: Global,
}

/// Options every subcommand takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Read this configuration file (or appsettings.json in this directory) instead of searching for one
    #[arg(long, global = true, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub config: Option<PathBuf>,
    /// Override one setting, as --set Imap:Port=1143; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Serve),
    /// Have another process take the place of the running server, with its sockets, as after an upgrade
    Restart,
    /// Try the server out: make a certificate, an account and a message, then serve
    Up(Up),
    /// Deliver one message from standard input to an account
    Deliver(Deliver),
    /// Create, show and change accounts
    #[command(subcommand)]
    Account(Account),
    /// Make, list and revoke passwords for single programs and devices
    #[command(subcommand)]
    AppPassword(AppPassword),
    /// List and change an account's mailboxes
    #[command(subcommand)]
    Mailbox(Mailbox),
    /// Serve one IMAP session on standard input and output, without a login, for tunnels as by ssh
    Session {
        /// Whose mail: the account's name or an alias of it
        #[arg(long, value_name = "NAME")]
        account: String,
    },
    /// Check that the stored mail is complete and consistent
    Check,
    /// Give the disk space of deleted mail back now, as far as Store:UndeleteWindow allows
    Compact,
    /// Show, check or explain the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Explain what clients will see of TLS
    #[command(subcommand)]
    Tls(TlsCommand),
    /// Ask the running server whether it is well
    Healthcheck,
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man {
        /// Write a page for every subcommand into this directory instead
        #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
        out: Option<PathBuf>,
    },
}

/// Options of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Take the place of the server at the other end of standard input, as `restart` has it
    #[arg(long, hide = true)]
    pub inherit: bool,
}

/// Options of `up`.
#[derive(Debug, Clone, Args)]
pub struct Up {
    /// Serve IMAP on this address instead of on this machine only; may be repeated
    #[arg(long, value_name = "ADDR")]
    pub listen: Vec<IpAddr>,
}

/// Arguments of `deliver`.
#[derive(Debug, Clone, Args)]
pub struct Deliver {
    /// The account's name or an alias of it; `name+folder` files into that folder
    pub user: String,
}

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub enum Account {
    /// Create an account; its password is asked for
    Add {
        /// The account's name, usually its mail address
        name: String,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordSource,
        /// What to set besides
        #[command(flatten)]
        properties: AccountProperties,
    },
    /// List all accounts
    List {
        /// Only those that have a password but no SCRAM verifier yet: they get one at their next
        /// login with a password sent as it is
        #[arg(long)]
        without_scram: bool,
    },
    /// Show one account
    Show {
        /// The account's name
        name: String,
    },
    /// Change an account's properties; what is not named stays
    Set {
        /// The account's name
        name: String,
        /// What to set
        #[command(flatten)]
        properties: AccountProperties,
        /// Take this address away from the account; may be repeated
        #[arg(long, value_name = "ADDRESS")]
        remove_alias: Vec<String>,
        /// Take the right to act as any other account away; those given with --may-act-as stay
        #[arg(long)]
        may_not_act: bool,
    },
    /// Change an account's password
    Passwd {
        /// The account's name
        name: String,
        /// Where the password comes from
        #[command(flatten)]
        password: PasswordSource,
    },
    /// Remove an account and its mail; its sessions end
    Remove {
        /// The account's name
        name: String,
        /// Free the space of its mail at once instead of after Store:UndeleteWindow
        #[arg(long)]
        purge: bool,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// What can be done with app passwords.
#[derive(Debug, Subcommand)]
pub enum AppPassword {
    /// Make a password for one program or device; it is shown this once
    Add {
        /// The account's name
        account: String,
        /// A name for it, such as the device's
        name: String,
        /// What it may be used for
        #[arg(
            long,
            value_name = "SCOPE",
            value_delimiter = ',',
            default_value = "imap"
        )]
        scope: Vec<Scope>,
        /// For how long it may be used, as 90d or 12h; without it, until it is revoked
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires: Option<Duration>,
    },
    /// List an account's app passwords, with when and where each was last used
    List {
        /// The account's name
        account: String,
    },
    /// Revoke an app password; the sessions that logged in with it end
    Revoke {
        /// The account's name
        account: String,
        /// The app password's name
        name: String,
    },
}

/// What a password may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scope {
    /// Reading mail
    Imap,
    /// Handing in mail
    Lmtp,
    /// Administration
    Admin,
}

fn duration(text: &str) -> Result<Duration, String> {
    <Duration as Setting>::parse(text, &(1_000..=MAX_EXPIRY_MILLIS))
}

/// A hundred years.
const MAX_EXPIRY_MILLIS: u64 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// Where a new password comes from; without an option it is asked for.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub struct PasswordSource {
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub password_stdin: bool,
    /// Read the password from the first line of a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_file: Option<PathBuf>,
    /// Read the password's hash, as another server keeps it, from the first line of standard input:
    /// {ARGON2ID}, {BLF-CRYPT} (bcrypt), {SHA512-CRYPT} or {SHA256-CRYPT}
    #[arg(long)]
    pub password_hash_stdin: bool,
    /// Read the password's hash from the first line of a file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub password_hash_file: Option<PathBuf>,
}

/// What can be set on an account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct AccountProperties {
    /// Deliver mail for this address to the account as well; may be repeated
    #[arg(long, value_name = "ADDRESS")]
    pub alias: Vec<String>,
    /// The name of the person
    #[arg(long, value_name = "NAME")]
    pub display_name: Option<String>,
    /// How many bytes of mail the account may keep; 0 for any number
    #[arg(long, value_name = "BYTES")]
    pub quota_bytes: Option<u64>,
    /// How many messages the account may keep; 0 for any number
    #[arg(long, value_name = "COUNT")]
    pub quota_messages: Option<u64>,
    /// Let the account open the mail of this other account, logging in with its own password;
    /// '*' for that of any account; may be repeated
    #[arg(long, value_name = "ACCOUNT")]
    pub may_act_as: Vec<String>,
    /// Let the account log in and receive mail
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Refuse the account's logins and mail
    #[arg(long)]
    disable: bool,
}

impl AccountProperties {
    /// Whether the account is to be enabled or disabled; `None` leaves it.
    #[must_use]
    pub const fn enabled(&self) -> Option<bool> {
        match (self.enable, self.disable) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }
}

/// What can be done with mailboxes.
#[derive(Debug, Subcommand)]
pub enum Mailbox {
    /// List an account's mailboxes with their counts and identifiers
    List {
        /// The account's name
        account: String,
    },
    /// Create a mailbox
    Create {
        /// The account's name
        account: String,
        /// The mailbox, its levels separated by /
        mailbox: String,
        /// What it is for, so that mail programs find it; may be repeated
        #[arg(long = "use", value_enum, value_name = "USE")]
        special_use: Vec<SpecialUse>,
    },
    /// Delete a mailbox and the messages in it
    Delete {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
    /// Rename a mailbox and everything below it
    Rename {
        /// The account's name
        account: String,
        /// The mailbox as it is called now
        from: String,
        /// What it shall be called
        to: String,
    },
    /// Subscribe to a mailbox, so that clients show it
    Subscribe {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
    /// Unsubscribe from a mailbox, which need not exist any more
    Unsubscribe {
        /// The account's name
        account: String,
        /// The mailbox
        mailbox: String,
    },
}

/// What a mailbox may be for (RFC 6154 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SpecialUse {
    /// Mail that is kept
    Archive,
    /// Messages being written
    Drafts,
    /// Spam
    Junk,
    /// Mail that was sent
    Sent,
    /// Mail that was deleted
    Trash,
}

/// What can be done with the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where it was given; secrets are masked
    Show,
    /// Report every problem of the configuration, certificate and store path included
    Check,
    /// Print the reference of all settings
    Docs {
        /// Print a commented appsettings.json instead
        #[arg(long)]
        sample: bool,
    },
}

/// What can be done with TLS.
#[derive(Debug, Subcommand)]
pub enum TlsCommand {
    /// Load the certificates as the server does, and report what clients of every kind will see
    Check,
}

impl Cli {
    /// Reads the command line. Help and version are printed and are a success;
    /// a mistake is explained on standard error.
    pub fn read<I>(arguments: I) -> Result<Self, Exit>
    where
        I: IntoIterator<Item = OsString>,
    {
        Self::parse_from_all(arguments.into_iter().collect()).map_err(|(error, exit)| {
            // Nobody is left to tell if standard output or error is closed.
            let _ = error.print();
            exit
        })
    }

    fn parse_from_all(arguments: Vec<OsString>) -> Result<Self, (clap::Error, Exit)> {
        let deliver = arguments
            .iter()
            .skip(1)
            .any(|argument| argument == "deliver");
        Self::try_parse_from(arguments).map_err(|error| {
            let exit = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Fine,
                _ if deliver => Exit::Usage,
                _ => Exit::Configuration,
            };
            (error, exit)
        })
    }

    /// Where this command reads its configuration from.
    #[must_use]
    pub fn options(&self) -> Options {
        let Global { config, set, .. } = self.global.clone();
        let Command::Up(up) = &self.command else {
            return Options::from_process(config, set, Preset::Plain);
        };
        let mut options = Options::from_process(config, set, Preset::Up);
        if !up.listen.is_empty() {
            let addresses: Vec<String> = up.listen.iter().map(IpAddr::to_string).collect();
            options
                .flags
                .push(("--listen", "Imap:Addresses", addresses.join(", ")));
        }
        options
    }
}

macro_rules! exits {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
        /// How the program ends. The codes from 64 on are those of sysexits(3),
        /// which mail servers expect of `deliver`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Exit { $($(#[doc = $doc])+ $name),+ }

        impl Exit {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The number the shell sees.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code),+ }
            }

            /// What the code means.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),+).trim()),+ }
            }
        }
    };
}

exits! {
    /// Fine.
    Fine = 0;
    /// Refused or failed; the reason is on standard error.
    Failed = 1;
    /// The configuration or the command line is wrong.
    Configuration = 2;
    /// A port cannot be bound.
    Port = 3;
    /// Another process has the store open.
    StoreInUse = 4;
    /// The store is damaged.
    StoreDamaged = 5;
    /// `deliver`: the command line is wrong (EX_USAGE).
    Usage = 64;
    /// `deliver`: the message cannot be taken as it is (EX_DATAERR).
    DataError = 65;
    /// `deliver`: there is no such account (EX_NOUSER).
    NoUser = 67;
    /// `deliver`: the account is disabled (EX_UNAVAILABLE).
    Unavailable = 69;
    /// `deliver`: a fault in the program (EX_SOFTWARE).
    Software = 70;
    /// `deliver`: try again later: over quota, disk full, store busy (EX_TEMPFAIL).
    TempFail = 75;
    /// `deliver`: this user may not deliver (EX_NOPERM).
    NoPermission = 77;
    /// `deliver`: the configuration is wrong (EX_CONFIG).
    DeliverConfiguration = 78;
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Writes the completion script of a shell.
pub fn completions(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    // The generator would panic on a closed pipe; a vector takes everything.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    out.write_all(&script)
}

/// Writes the manual page, `relate-imap(1)`.
pub fn manual(out: &mut dyn Write) -> io::Result<()> {
    let page = clap_mangen::Man::new(Cli::command());
    page.render(out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for exit in Exit::ALL {
        roff.control("TP", []);
        roff.text([bold(exit.code().to_string())]);
        roff.text([roman(exit.meaning())]);
    }
    roff.control("SH", ["FILES"]);
    roff.control("TP", []);
    roff.text([bold(
        "./appsettings.json, /etc/relate-imap/appsettings.json",
    )]);
    roff.text([roman("The configuration; the first that exists is read.")]);
    roff.control("SH", ["ENVIRONMENT"]);
    roff.control("TP", []);
    roff.text([bold("Section__Key")]);
    roff.text([roman("Overrides a setting, as Imap__Port=1143.")]);
    roff.control("TP", []);
    roff.text([bold("DOTNET_ENVIRONMENT, ASPNETCORE_ENVIRONMENT")]);
    roff.text([roman(
        "Names the second file that is read, appsettings.NAME.json.",
    )]);
    roff.to_writer(out)
}

/// Writes the manual page of the program and of every subcommand into a directory.
pub fn manual_pages(directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    clap_mangen::generate_to(Cli::command(), directory)?;
    let mut page = Vec::new();
    manual(&mut page)?;
    std::fs::write(directory.join(format!("{PROGRAM}.1")), page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Cli, Exit> {
        let arguments = line.split_whitespace().map(OsString::from).collect();
        Cli::parse_from_all(arguments).map_err(|(_, exit)| exit)
    }

    #[test]
    fn the_definitions_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_read() {
        for line in [
            "relate-imap serve",
            "relate-imap --config x.json serve --set Imap:Port=1143 --set Imap:SecurePort=0",
            "relate-imap up",
            "relate-imap up --listen 0.0.0.0 --listen ::",
            "relate-imap deliver you@localhost",
            "relate-imap account add a@b --password-stdin --alias c@d --alias e@f --quota-bytes 1",
            "relate-imap account add a@b --password-hash-stdin",
            "relate-imap account list --json",
            "relate-imap account list --without-scram",
            "relate-imap account set a@b --may-act-as c@d --may-act-as *",
            "relate-imap account set a@b --may-not-act",
            "relate-imap app-password add a@b phone --scope imap,admin --expires 90d",
            "relate-imap app-password list a@b --json",
            "relate-imap app-password revoke a@b phone",
            "relate-imap account show a@b",
            "relate-imap account set a@b --disable --quota-messages 5 --display-name A --remove-alias c@d",
            "relate-imap account passwd a@b --password-file f",
            "relate-imap account remove a@b --purge --yes",
            "relate-imap mailbox list a@b --json",
            "relate-imap mailbox create a@b Work/2026",
            "relate-imap mailbox delete a@b Work",
            "relate-imap mailbox rename a@b Work Play",
            "relate-imap mailbox create a@b Gesendet --use sent",
            "relate-imap mailbox subscribe a@b Work",
            "relate-imap mailbox unsubscribe a@b Work",
            "relate-imap session --account a@b",
            "relate-imap check",
            "relate-imap compact --json",
            "relate-imap config show --json",
            "relate-imap config check",
            "relate-imap config docs --sample",
            "relate-imap tls check --json",
            "relate-imap healthcheck",
            "relate-imap completions bash",
            "relate-imap man --out d",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn mistakes_have_the_exit_code_of_their_kind() {
        for (line, exit) in [
            ("relate-imap --help", Exit::Fine),
            ("relate-imap --version", Exit::Fine),
            ("relate-imap", Exit::Configuration),
            ("relate-imap nope", Exit::Configuration),
            ("relate-imap session", Exit::Configuration),
            ("relate-imap up --listen nowhere", Exit::Configuration),
            (
                "relate-imap account set a --enable --disable",
                Exit::Configuration,
            ),
            (
                "relate-imap account add a --password-stdin --password-file f",
                Exit::Configuration,
            ),
            (
                "relate-imap app-password add a b --expires never",
                Exit::Configuration,
            ),
            ("relate-imap deliver", Exit::Usage),
        ] {
            assert_eq!(read(line).err(), Some(exit), "{line}");
        }
    }

    #[test]
    fn enable_and_disable_are_one_property() {
        for (options, expected) in [
            ("", None),
            ("--enable", Some(true)),
            ("--disable", Some(false)),
        ] {
            let cli = read(&format!("relate-imap account set a {options}")).unwrap();
            let Command::Account(Account::Set { properties, .. }) = cli.command else {
                panic!()
            };
            assert_eq!(properties.enabled(), expected);
        }
    }

    #[test]
    fn listen_becomes_a_setting_that_wins() {
        let mut options = read("relate-imap up --listen 0.0.0.0").unwrap().options();
        options.environment.clear();
        options.directories.clear();
        let loaded = crate::config::load(&options).unwrap();
        assert_eq!(loaded.config.imap.addresses.0, [IpAddr::from([0, 0, 0, 0])]);
        assert_eq!(loaded.source("Imap:Addresses").to_string(), "--listen");
    }

    #[test]
    fn exit_codes_are_distinct_and_explained() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(
            Exit::ALL
                .iter()
                .all(|exit| exit.meaning().ends_with('.') || exit.meaning().ends_with(')'))
        );
        assert_eq!(ExitCode::from(Exit::Port), ExitCode::from(3));
    }

    #[test]
    fn completions_and_manual_come_from_the_definitions() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            completions(shell, &mut script).unwrap();
            assert!(
                String::from_utf8(script).unwrap().contains("healthcheck"),
                "{shell}"
            );
        }
        let mut page = Vec::new();
        manual(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap();
        assert!(
            page.contains("EXIT STATUS") && page.contains("EX_TEMPFAIL"),
            "{page}"
        );
        let directory = tempfile::tempdir().unwrap();
        manual_pages(directory.path()).unwrap();
        assert!(directory.path().join("relate-imap-account-add.1").exists());
    }
}
