//! `cargo xtask fuzz`: runs fuzz targets for some minutes each by `fuzz/run`, and appends what came
//! of it to `docs/fuzzing.csv`.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::Fallible;

const TABLE: &str = "docs/fuzzing.csv";
const HEADING: &str = "target,commit,date,seconds,cpu_seconds,executions,edges,findings\n";
const USAGE: &str = "cargo xtask fuzz --minutes N [--target T]...";

/// The unit of processor times that Linux shows to programs, on every architecture we run on.
const TICKS_PER_S: u64 = 100;

/// What was asked for.
#[derive(Debug, Default, PartialEq)]
struct Wanted {
    minutes: u64,
    /// None is all.
    targets: Vec<String>,
}

/// What became of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Processor time of it, seconds: less than it ran where the machine had other work.
    cpu_s: u64,
    executions: u64,
    edges: u64,
    findings: u64,
}

/// Runs the targets one after another.
pub(crate) fn command(root: &Path, args: &[&str]) -> Fallible<ExitCode> {
    let wanted = Wanted::read(args)?;
    let targets = match wanted.targets.is_empty() {
        true => all_targets(root)?,
        false => wanted.targets,
    };
    let seconds = wanted.minutes * 60;
    let commit = said(root, "git", &["rev-parse", "--short", "HEAD"])?;
    fuzz_run(root, &["build"])?;
    let (mut findings, mut cpu_s) = (0, 0);
    for target in &targets {
        let outcome = run(root, target, seconds)?;
        let date = said(root, "date", &["-u", "+%F"])?;
        append(root, &outcome.line(target, &commit, &date, seconds))?;
        println!(
            "{target}: {} s of processor time, {} executions, {} edges, {} findings",
            outcome.cpu_s, outcome.executions, outcome.edges, outcome.findings
        );
        findings += outcome.findings;
        cpu_s += outcome.cpu_s;
    }
    println!(
        "{} targets, {:.2} hours of processor time, {findings} findings; see {TABLE}",
        targets.len(),
        cpu_s as f64 / 3600.0
    );
    Ok(if findings == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Wanted {
    fn read(args: &[&str]) -> Fallible<Self> {
        let mut wanted = Self::default();
        let mut rest = args.iter();
        while let Some(option) = rest.next() {
            let value = rest.next().ok_or(USAGE)?;
            match *option {
                "--minutes" => wanted.minutes = value.parse().map_err(|_| USAGE)?,
                "--target" => wanted.targets.push((*value).to_owned()),
                _ => return Err(USAGE.to_owned()),
            }
        }
        match wanted.minutes {
            0 => Err(USAGE.to_owned()),
            _ => Ok(wanted),
        }
    }
}

/// The targets there are, by their files.
fn all_targets(root: &Path) -> Fallible<Vec<String>> {
    let folder = root.join("fuzz/fuzz_targets");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut targets: Vec<String> = names
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    targets.sort();
    Ok(targets)
}

/// One target's run, as the script tells it; a target that failed has found something.
fn run(root: &Path, target: &str, seconds: u64) -> Fallible<Outcome> {
    let before = children_cpu_s()?;
    let told = fuzz_run(root, &[&seconds.to_string(), target])?;
    let outcome = Outcome {
        cpu_s: children_cpu_s()?.saturating_sub(before),
        ..Outcome::read(&told)
    };
    if outcome.executions == 0 {
        return Err(format!("{target} did not run:\n{told}"));
    }
    Ok(outcome)
}

/// What the script says on standard error.
fn fuzz_run(root: &Path, args: &[&str]) -> Fallible<String> {
    let output = Command::new(root.join("fuzz/run"))
        .args(args)
        .env("FUZZ_STATISTICS", "1")
        .current_dir(root)
        .output()
        .map_err(|e| format!("fuzz/run: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Processor time of all programs that have been run and have ended, seconds (proc(5), `stat`).
fn children_cpu_s() -> Fallible<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(|e| e.to_string())?;
    // The name, in parentheses, may hold spaces; user and system time are fields 16 and 17.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: Option<u64> = after_name
        .split_whitespace()
        .skip(13)
        .take(2)
        .map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(ticks.ok_or("/proc/self/stat is not understood")? / TICKS_PER_S)
}

impl Outcome {
    /// From what libFuzzer says on standard error.
    fn read(told: &str) -> Self {
        let mut outcome = Self::default();
        for line in told.lines() {
            let number_after = |mark: &str| {
                let (_, rest) = line.split_once(mark)?;
                let digits = rest.trim_start().split(|c: char| !c.is_ascii_digit());
                digits.into_iter().next()?.parse::<u64>().ok()
            };
            if let Some(executions) = number_after("stat::number_of_executed_units:") {
                outcome.executions = executions;
            }
            // `#4096 pulse cov: 812 ft: …`: how far it has come, and the count if it failed.
            if let (Some(at), Some(edges)) = (number_after("#"), number_after(" cov: ")) {
                outcome.executions = outcome.executions.max(at);
                outcome.edges = outcome.edges.max(edges);
            }
            outcome.findings += u64::from(line.contains("Test unit written to "));
        }
        outcome
    }

    fn line(&self, target: &str, commit: &str, date: &str, seconds: u64) -> String {
        format!(
            "{target},{commit},{date},{seconds},{},{},{},{}\n",
            self.cpu_s, self.executions, self.edges, self.findings
        )
    }
}

fn append(root: &Path, line: &str) -> Fallible<()> {
    let path = root.join(TABLE);
    let told = |e: std::io::Error| format!("{}: {e}", path.display());
    let is_new = !path.exists();
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .append(true)
        .create(true)
        .open(&path)
        .map_err(told)?;
    let heading = if is_new { HEADING } else { "" };
    file.write_all(format!("{heading}{line}").as_bytes())
        .map_err(told)
}

/// The one line that a program prints.
fn said(root: &Path, program: &str, args: &[&str]) -> Fallible<String> {
    let output = Command::new(program).args(args).current_dir(root).output();
    let output = output.map_err(|e| format!("{program}: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read() {
        let wanted = Wanted::read(&["--minutes", "15", "--target", "utf7"]).unwrap();
        assert_eq!(
            (wanted.minutes, &wanted.targets[..]),
            (15, &["utf7".to_owned()][..])
        );
        assert!(Wanted::read(&[]).is_err());
        assert!(Wanted::read(&["--minutes"]).is_err());
        assert!(Wanted::read(&["--minutes", "x"]).is_err());
        assert!(Wanted::read(&["--hours", "1"]).is_err());
    }

    #[test]
    fn what_the_fuzzer_says_is_counted() {
        let told = "INFO: seed 1\n#2\tINITED cov: 90 ft: 91 corp: 1/1b\n\
                    #4096\tpulse  cov: 812 ft: 900 corp: 9/9b\n\
                    artifact_prefix='x/'; Test unit written to x/crash-1\n\
                    stat::number_of_executed_units: 5000\n";
        let outcome = Outcome::read(told);
        let wanted = Outcome {
            cpu_s: 0,
            executions: 5_000,
            edges: 812,
            findings: 1,
        };
        assert_eq!(outcome, wanted);
        assert_eq!(
            outcome.line("utf7", "abc", "2026-11-22", 60),
            "utf7,abc,2026-11-22,60,0,5000,812,1\n"
        );
    }
}
