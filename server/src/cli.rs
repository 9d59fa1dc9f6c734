//! The command line of the whole program: every subcommand and option, a file for each family of
//! them below, the exit codes, and what is generated from them (completions, manual pages). What the
//! commands do is in the modules that own them.

use std::{ffi::OsString, net::IpAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueHint, error::ErrorKind};
use clap_complete::Shell;

pub use self::{
    account::{Account, AccountProperties, AppPassword, PasswordSource, Scope},
    exit::Exit,
    generated::{completions, manual, manual_pages, markdown},
    mailbox::{Mailbox, SpecialUse},
    past::{DeedKind, Past},
    setup::{ConfigCommand, TlsCommand},
};
use crate::config::{Options, Preset};

mod account;
mod exit;
mod generated;
mod mailbox;
mod past;
mod setup;

pub use client_setup::{ClientSetup, SetupFormat};

mod client_setup;

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
    /// Show who delivered, moved, flagged or deleted which messages: when, from where, by which session
    Log(Past),
    /// Show who is connected to the running server
    Who {
        /// Only the sessions of this account
        user: Option<String>,
        /// Only those from this address
        #[arg(long, value_name = "ADDR")]
        address: Option<IpAddr>,
    },
    /// End sessions of the running server: their clients are told BYE
    #[command(group = clap::ArgGroup::new("whom").required(true).multiple(true))]
    Kick {
        /// Those of this account
        #[arg(group = "whom")]
        user: Option<String>,
        /// The one of this number, as `who` and the log name it
        #[arg(long, value_name = "N", group = "whom")]
        session: Option<u64>,
        /// Those from this address
        #[arg(long, value_name = "ADDR", group = "whom")]
        address: Option<IpAddr>,
    },
    /// Show what a user's clients say and are answered, live; passwords are left out
    #[command(group = clap::ArgGroup::new("whom").required(true))]
    Trace {
        /// The account
        #[arg(group = "whom")]
        user: Option<String>,
        /// Instead, whoever comes from this address
        #[arg(long, value_name = "ADDR", group = "whom")]
        address: Option<IpAddr>,
        /// Show the contents of messages, too, not only their size
        #[arg(long)]
        bodies: bool,
    },
    /// Serve one IMAP session on standard input and output, without a login, for tunnels as by ssh
    Session {
        /// Whose mail: the account's name or an alias of it
        #[arg(long, value_name = "NAME")]
        account: String,
    },
    /// Check that the stored mail is complete and consistent
    Check,
    /// Measure this machine and the disk of Store:Path on a scratch store there, which is removed again
    Bench,
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
    /// Look for whatever is wrong with this installation, and say what to do about it; ends with 1
    /// if something is
    Doctor,
    /// Print what mail programs need to connect, for people, for programs or for a DNS zone
    ClientSetup(ClientSetup),
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
        /// Print the page of all commands in the manual instead, as Markdown
        #[arg(long, conflicts_with = "out")]
        markdown: bool,
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

#[cfg(test)]
mod tests {
    use std::process::ExitCode;

    use clap::CommandFactory as _;

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
            "relate-imap mailbox status a@b",
            "relate-imap mailbox status a@b INBOX --json",
            "relate-imap account usage",
            "relate-imap account usage a@b",
            "relate-imap log --account a@b --mailbox INBOX --uid 3 --since 7d --kind deleted,moved",
            "relate-imap log --message-id <x@y>",
            "relate-imap who",
            "relate-imap who a@b --address ::1",
            "relate-imap kick a@b",
            "relate-imap kick --session 7",
            "relate-imap kick --address 192.0.2.1",
            "relate-imap trace a@b",
            "relate-imap trace --address ::1",
            "relate-imap mailbox create a@b Work/2026",
            "relate-imap mailbox delete a@b Work",
            "relate-imap mailbox rename a@b Work Play",
            "relate-imap mailbox create a@b Gesendet --use sent",
            "relate-imap mailbox subscribe a@b Work",
            "relate-imap mailbox unsubscribe a@b Work",
            "relate-imap session --account a@b",
            "relate-imap check",
            "relate-imap bench",
            "relate-imap compact --json",
            "relate-imap config show --json",
            "relate-imap config check",
            "relate-imap config docs --sample",
            "relate-imap tls check --json",
            "relate-imap healthcheck",
            "relate-imap doctor --json",
            "relate-imap client-setup",
            "relate-imap client-setup a@b.example --format apple --smtp smtp.b.example:587",
            "relate-imap client-setup --format dns --domain a.example --domain b.example",
            "relate-imap completions bash",
            "relate-imap man --out d",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn the_page_of_all_commands_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/command-line.md");
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            committed == markdown(),
            "docs/command-line.md is old: run `UPDATE=1 cargo test -p server cli`"
        );
    }

    #[test]
    fn mistakes_have_the_exit_code_of_their_kind() {
        for (line, exit) in [
            ("relate-imap --help", Exit::Fine),
            ("relate-imap --version", Exit::Fine),
            ("relate-imap", Exit::Configuration),
            ("relate-imap nope", Exit::Configuration),
            ("relate-imap session", Exit::Configuration),
            ("relate-imap log --uid 3", Exit::Configuration),
            ("relate-imap kick", Exit::Configuration),
            ("relate-imap trace", Exit::Configuration),
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
            ("relate-imap client-setup --domain a/b", Exit::Configuration),
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
