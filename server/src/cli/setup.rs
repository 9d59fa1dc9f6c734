//! `relate-imap config …` and `tls …`.

use clap::Subcommand;

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
