//! What is made from the definitions of the command line: completions, manual pages, and the page
//! of all commands in the manual.

use std::{
    fmt::Write as _,
    io::{self, Write},
    path::Path,
};

use clap::{Arg, Command, CommandFactory as _};
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

/// Every command with its arguments and options, as a page of the manual.
#[must_use]
pub fn markdown() -> String {
    let mut page = "# The command line\n\n\
        <!-- Generated from server/src/cli.rs: do not edit, run `UPDATE=1 cargo test -p server cli`. -->\n\n\
        Every command takes `--config PATH`, `--set KEY=VALUE` and `--json`. Exit codes are below.\n"
        .to_owned();
    let mut program = Cli::command();
    program.build();
    describe(&program, "", &mut page);
    page.push_str("\n## Exit codes\n\n| code | meaning |\n|---:|---|\n");
    for exit in Exit::ALL {
        let _ = writeln!(page, "| {} | {} |", exit.code(), exit.meaning());
    }
    page
}

/// The commands below one; a command with commands below it is none itself.
fn describe(command: &Command, path: &str, page: &mut String) {
    for below in command
        .get_subcommands()
        .filter(|it| it.get_name() != "help")
    {
        let path = format!("{path}{}", below.get_name());
        if below.has_subcommands() {
            describe(below, &format!("{path} "), page);
            continue;
        }
        let about = below
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        let _ = write!(page, "\n## `{PROGRAM} {path}`\n\n{about}.\n");
        let own = |arg: &&Arg| {
            let is_common = arg.is_global_set() || arg.is_hide_set();
            !is_common && !["help", "version"].contains(&arg.get_id().as_str())
        };
        for (at, arg) in below.get_arguments().filter(own).enumerate() {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let first = if at == 0 { "\n" } else { "" };
            let _ = writeln!(page, "{first}- `{arg}`: {help}{}", values(arg));
        }
    }
}

/// What an option may be, where that is one of some words.
fn values(arg: &Arg) -> String {
    let values = arg.get_possible_values();
    let shown = values.iter().filter(|value| !value.is_hide_set());
    let words: Vec<_> = shown
        .map(|value| format!("`{}`", value.get_name()))
        .collect();
    match words.is_empty() || !arg.get_action().takes_values() {
        true => String::new(),
        false => format!(": {}", words.join(", ")),
    }
}
