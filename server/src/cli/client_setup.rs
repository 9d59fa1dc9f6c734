//! The options of `client-setup`.

use clap::{Args, ValueEnum};

use crate::client_setup::{Domain, Outgoing};

/// Options of `client-setup`.
#[derive(Debug, Clone, Args)]
pub struct ClientSetup {
    /// The mail address of the person who is set up; without it what is printed serves everybody
    pub address: Option<String>,
    /// What to print
    #[arg(long, value_enum, default_value_t = SetupFormat::Text)]
    pub format: SetupFormat,
    /// The domain of the mail addresses, that of ADDRESS by default; may be repeated
    #[arg(long, value_name = "DOMAIN", value_parser = Domain::parse)]
    pub domain: Vec<Domain>,
    /// The server that takes outgoing mail, as smtp.example.org or smtp.example.org:587; by default
    /// this one's name and port 465
    #[arg(long, value_name = "HOST[:PORT]", value_parser = Outgoing::parse)]
    pub smtp: Option<Outgoing>,
}

/// For whom `client-setup` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetupFormat {
    /// Settings for a person to type in
    Text,
    /// The XML that Thunderbird, K-9 Mail, Evolution and others look for
    Autoconfig,
    /// A profile (.mobileconfig) for iPhone, iPad and Mac
    Apple,
    /// Lines for the zone of the domain (RFC 6186, RFC 8314)
    Dns,
}
