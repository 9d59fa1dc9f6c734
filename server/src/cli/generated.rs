//! What is made from the definitions of the command line: completions and manual pages.

use std::{
    io::{self, Write},
    path::Path,
};

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::roff::{Roff, bold, roman};

use super::{Cli, Exit, PROGRAM};

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
