//! The project's own chores: `cargo xtask COMMAND`.
//!
//! `tidy` checks what the compiler cannot, `ci` runs the one list of steps that decides whether
//! a change may land, `rfc-index` reads RFC texts into the table that `tidy` resolves references
//! against. Nothing here is shipped.
#![allow(
    clippy::print_stdout,
    reason = "a command-line tool speaks on standard output"
)]

mod bench;
mod ci;
mod fuzz;
mod rfc;
mod source;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// What can go wrong here is told to a person at once, so a sentence is all an error carries.
type Fallible<T> = Result<T, String>;

const USAGE: &str = "\
cargo xtask tidy             check the rules of the house
cargo xtask ci [--full]      run every check, as the integration run does
cargo xtask bench [OPTIONS]  measure the server beside Dovecot (--help tells more)
cargo xtask fuzz --minutes N [--target T]  run fuzz targets, and note it in docs/fuzzing.csv
cargo xtask rules            rewrite docs/rules.md from docs/rules.tsv and the names of tests
cargo xtask duties           rewrite the tables of docs/rfc.md from docs/rfc/*.tsv and the tests
cargo xtask threats          rewrite docs/security.md from docs/threats.tsv and the names of tests
cargo xtask rfc-index DIR    rewrite docs/rfc/sections.tsv from the texts in DIR
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Fallible<ExitCode> {
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["tidy"] => tidy::command(&root()),
        ["bench", rest @ ..] => bench::command(&root(), rest),
        ["ci", rest @ ..] => ci::command(&root(), rest),
        ["fuzz", rest @ ..] => fuzz::command(&root(), rest),
        ["rules"] => tidy::rules::PAGE.write(&root()),
        ["duties"] => tidy::rfc_page::PAGE.write(&root()),
        ["threats"] => tidy::threats::PAGE.write(&root()),
        ["rfc-index", dir] => rfc::command(&root(), Path::new(dir)),
        _ => Err(format!("no such command\n{USAGE}")),
    }
}

/// The top of the checkout.
fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_path_buf()
}

/// Reads a text file, naming it if that fails.
fn read(path: &Path) -> Fallible<String> {
    std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
}
