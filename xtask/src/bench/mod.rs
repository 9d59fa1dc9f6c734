//! `cargo run --release -p xtask -- bench`: relate-imap and Dovecot on this machine, side by side.
//!
//! Both are started with the same messages and asked by the same client, in turns, so that what
//! else the machine does falls on both. Answers are compared before a ratio is printed. It does
//! not judge: figures are as they are.

mod imap;
mod lmtp;
mod mail;
mod observe;
mod push;
mod report;
mod resync;
mod rows;
mod server;
mod work;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use crate::Fallible;
use report::Results;
use rows::{Passes, Row, Table};
use server::{Kind, Scratch, Server};
use work::{Measured, Plan};

const USAGE: &str = "\
cargo run --release -p xtask -- bench [OPTIONS]
  --messages N        how many messages the large mailbox has (default 100000)
  --runs N            passes of each row after its first (default 5)
  --seconds N         how long one pass of a rate lasts (default 3)
  --only dovecot|relate
  --table mail|sync   only this table
  --row WORD          only rows whose name holds WORD
  --write             put the tables into docs/benchmarks.md
";

/// What the command line asked for.
struct Options {
    plan: Plan,
    only: Option<Kind>,
    table: Option<Table>,
    row: Option<String>,
    write: bool,
}

impl Options {
    fn read(words: &[&str]) -> Fallible<Self> {
        let mut options = Self {
            plan: Plan {
                messages: 100_000,
                runs: 5,
                pass: Duration::from_secs(3),
            },
            only: None,
            table: None,
            row: None,
            write: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--write" {
                options.write = true;
                continue;
            }
            let value = words
                .next()
                .ok_or_else(|| format!("{word} wants a value\n{USAGE}"))?;
            options.set(word, value)?;
        }
        Ok(options)
    }

    fn set(&mut self, word: &str, value: &str) -> Fallible<()> {
        let number = || value.parse::<usize>().map_err(|e| format!("{word}: {e}"));
        match word {
            "--messages" => self.plan.messages = number()?.max(10),
            "--runs" => self.plan.runs = number()?.max(1),
            "--seconds" => self.plan.pass = Duration::from_secs(number()?.max(1) as u64),
            "--table" if Table::ALL.iter().any(|table| table.word() == value) => {
                self.table = Table::ALL.into_iter().find(|table| table.word() == value);
            }
            "--row" => self.row = Some(value.to_lowercase()),
            "--only" if value == Kind::Dovecot.word() => self.only = Some(Kind::Dovecot),
            "--only" if value == Kind::Relate.word() => self.only = Some(Kind::Relate),
            _ => return Err(format!("{word} {value}: no such option\n{USAGE}")),
        }
        Ok(())
    }

    fn tables(&self) -> impl Iterator<Item = Table> {
        let wanted = |table: &Table| self.table.is_none_or(|only| only == *table);
        Table::ALL.into_iter().filter(wanted)
    }

    fn wants(&self, row: &Row) -> bool {
        self.row
            .as_ref()
            .is_none_or(|word| row.label.to_lowercase().contains(word))
    }
}

/// The command.
pub(crate) fn command(root: &Path, words: &[&str]) -> Fallible<ExitCode> {
    if words == ["--help"] {
        print!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    }
    let options = Options::read(words)?;
    let scratch = Scratch::new("bench")?;
    let mut servers = start(root, &scratch, &options)?;
    let mut has_failed = false;
    for table in options.tables() {
        let rows = table.rows(options.plan.messages);
        let rows = rows.into_iter().filter(|row| options.wants(row));
        let results: Vec<_> = rows
            .map(|row| measure(row, &mut servers, options.plan))
            .collect();
        let text = account(root, &results, &mut servers, &options)?;
        println!("\n{text}");
        if options.write {
            write(root, table, &text)?;
        }
        has_failed |= results.iter().any(Results::failed);
    }
    Ok(match has_failed {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

fn start(root: &Path, scratch: &Scratch, options: &Options) -> Fallible<Vec<Server>> {
    let mut servers = Vec::new();
    for kind in [Kind::Dovecot, Kind::Relate] {
        if options.only.is_some_and(|only| only != kind) {
            continue;
        }
        let server = Server::start(kind, root, &scratch.0.join(kind.word()))?;
        let begin = Instant::now();
        work::fill(&server, options.plan).map_err(|e| format!("{}: {e}", kind.title()))?;
        println!(
            "{}: {} messages in {:.1} s",
            kind.title(),
            options.plan.messages,
            begin.elapsed().as_secs_f64()
        );
        servers.push(server);
    }
    Ok(servers)
}

/// All passes of a row, the servers taking turns.
fn measure(row: Row, servers: &mut [Server], plan: Plan) -> Results {
    let passes = match row.passes {
        Passes::FirstThenWarm => plan.runs + 1,
        Passes::Repeated => plan.runs.min(3),
        Passes::Once => 1,
    };
    let mut of: Vec<(Kind, Vec<Measured>)> = servers.iter().map(|s| (s.kind, Vec::new())).collect();
    for _ in 0..passes {
        for (server, (_, measured)) in servers.iter_mut().zip(&mut of) {
            if matches!(
                measured.last(),
                None | Some(Measured::Query(..) | Measured::Value(_) | Measured::Delays(_))
            ) {
                let pass = work::run(&row.work, server, plan);
                measured.push(pass.unwrap_or_else(Measured::Failed));
            }
        }
    }
    let results = Results { row, of };
    println!("{}", results.cells()[..4].join("  |  "));
    results
}

/// Table, settings and what was compared, as Markdown.
fn account(
    root: &Path,
    results: &[Results],
    servers: &mut [Server],
    options: &Options,
) -> Fallible<String> {
    let mut text = format!(
        "Measured {}. {} messages of about 4.7 KB in one mailbox; medians of {} passes, the servers taking turns; ratio above 1 is in favour of relate-imap.\n{}\n\n{}",
        when(root)?,
        options.plan.messages,
        options.plan.runs,
        machine(),
        report::table(results)
    );
    text.push_str("\nSettings:\n\n");
    for server in servers {
        for line in server.settings()? {
            text.push_str(&format!("- {}: {line}\n", server.kind.title()));
        }
    }
    text.push_str("\nCompared before a ratio was printed:\n\n");
    for line in results.iter().filter_map(Results::compared) {
        text.push_str(&format!("- {line}\n"));
    }
    Ok(text)
}

/// The date and the commit.
fn when(root: &Path) -> Fallible<String> {
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).current_dir(root).output();
        let output = output.map_err(|error| format!("{program}: {error}"))?;
        Ok::<_, String>(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let date = said("date", &["-u", "+%-d %B %Y"])?;
    let commit = said("git", &["describe", "--always", "--dirty", "--exclude=*"])?;
    Ok(format!("{date} at {commit}"))
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, name)| name);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(2).unwrap_or("unknown").to_owned();
    format!(
        "Machine: {cores} cores, {model}, load average of 15 minutes {load}; both servers and the client on it, over loopback."
    )
}

/// Replaces what stands between the marks of a table in docs/benchmarks.md.
fn write(root: &Path, table: Table, text: &str) -> Fallible<()> {
    let mark = |end: &str| format!("<!-- bench {}: {end} -->\n", table.word());
    let (begin, end) = (mark("begin"), mark("end"));
    let path = root.join("docs/benchmarks.md");
    let old = crate::read(&path)?;
    let (Some((head, _)), Some((_, tail))) = (old.split_once(&begin), old.split_once(&end)) else {
        return Err(format!("{}: the marks are gone", path.display()));
    };
    std::fs::write(&path, format!("{head}{begin}{text}{end}{tail}")).map_err(|e| e.to_string())
}
