//! Every check that decides whether a change may land, in one list.
//!
//! `./ci` installs the tools and then runs this; the integration run does nothing else. A step
//! is a cargo command or a script of the tree. Steps print what they like; their closing counts
//! are added up, and the last line is `N passed, N failed`. Where `CI=true`, a step that cannot
//! run and a test that is skipped are failures.

mod count;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Fallible;
use count::Count;

/// One check.
struct Step {
    name: &'static str,
    /// Only with `--full`.
    only_full: bool,
    /// Program and arguments.
    argv: &'static [&'static str],
    env: &'static [(&'static str, &'static str)],
    /// What must exist for the step to run.
    needs: Needs,
}

enum Needs {
    Nothing,
    /// A cargo subcommand, asked for its version.
    Cargo(&'static str),
    /// A file of the tree.
    File(&'static str),
}

const PLAIN: Step = Step {
    name: "",
    only_full: false,
    argv: &[],
    env: &[],
    needs: Needs::Nothing,
};

/// A script of the tree that prints counts of its own.
const fn script(name: &'static str, argv: &'static [&'static str]) -> Step {
    Step {
        name,
        argv,
        needs: Needs::File(argv[0]),
        ..PLAIN
    }
}

/// The checks, cheapest first. A new one is a line here.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        argv: &["cargo", "fmt", "--all", "--check"],
        ..PLAIN
    },
    Step {
        name: "tidy",
        argv: &["cargo", "run", "-q", "-p", "xtask", "--", "tidy"],
        ..PLAIN
    },
    Step {
        name: "deny",
        argv: &["cargo", "deny", "check", "bans", "licenses", "sources"],
        needs: Needs::Cargo("deny"),
        ..PLAIN
    },
    Step {
        name: "clippy",
        argv: &[
            "cargo",
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ],
        ..PLAIN
    },
    Step {
        name: "doc",
        argv: &["cargo", "doc", "--workspace", "--no-deps"],
        env: &[("RUSTDOCFLAGS", "-D warnings")],
        ..PLAIN
    },
    Step {
        name: "test",
        argv: &["cargo", "nextest", "run", "--workspace", "--no-fail-fast"],
        needs: Needs::Cargo("nextest"),
        ..PLAIN
    },
    Step {
        name: "doctest",
        argv: &["cargo", "test", "--workspace", "--doc"],
        ..PLAIN
    },
    Step {
        name: "build",
        argv: &["cargo", "build", "--locked", "--release", "-p", "server"],
        ..PLAIN
    },
    script("clients", &["tests/clients/run"]),
    script("differential", &["tests/differential/run"]),
    script(
        "differential mutants",
        &["tests/differential/run", "--mutants"],
    ),
    script("ops", &["tests/ops/run"]),
    script("manual", &["tests/manual/run"]),
    script("install", &["tests/install/run"]),
    script("kill", &["tests/kill/run"]),
    script("mutants", &["tests/kill/mutants"]),
    script("stop", &["tests/stop/run"]),
    script("memory", &["tests/memory/run"]),
    script("prometheus", &["tests/ops/prometheus"]),
    script("attack", &["tests/attack/run", "--small"]),
    script("fuzz", &["fuzz/run", "5"]),
    Step {
        only_full: true,
        ..script("fuzz --full", &["fuzz/run", "60"])
    },
    Step {
        name: "model --full",
        only_full: true,
        argv: &[
            "cargo",
            "nextest",
            "run",
            "-p",
            "server",
            "--test",
            "model",
            "long_sixteen",
        ],
        env: &[("MODEL_SEEDS", "100"), ("MODEL_COMMANDS", "10000")],
        needs: Needs::Cargo("nextest"),
    },
    Step {
        name: "bench --full",
        argv: &[
            "cargo",
            "run",
            "--release",
            "-p",
            "xtask",
            "--",
            "bench",
            "--messages",
            "500",
            "--runs",
            "1",
            "--seconds",
            "1",
        ],
        only_full: true,
        ..PLAIN
    },
    Step {
        only_full: true,
        ..script(
            "install --full",
            &["tests/install/run", "package", "container", "newcomer"],
        )
    },
    Step {
        only_full: true,
        ..script("differential --full", &["tests/differential/run", "--full"])
    },
    Step {
        only_full: true,
        ..script("kill --full", &["tests/kill/run", "--full"])
    },
    Step {
        only_full: true,
        ..script("attack --full", &["tests/attack/run"])
    },
];

/// `cargo xtask ci [--full]`.
pub(crate) fn command(root: &Path, args: &[&str]) -> Fallible<ExitCode> {
    let full = match args {
        [] => false,
        ["--full"] => true,
        _ => return Err(format!("ci takes --full or nothing, not {args:?}")),
    };
    let strict = std::env::var("CI").is_ok_and(|v| v == "true");
    let mut total = Count::default();
    let mut summary = Vec::new();
    for step in STEPS.iter().filter(|s| full || !s.only_full) {
        let (count, took) = timed(|| step.run(root))?;
        let count = if strict { count.without_skips() } else { count };
        summary.push(format!("{:>8} {}: {count}", minutes(took), step.name));
        total += count;
    }
    println!("\n{}\n{}", summary.join("\n"), total.closing_line());
    Ok(if total.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn timed(work: impl FnOnce() -> Fallible<Count>) -> Fallible<(Count, Duration)> {
    let start = Instant::now();
    Ok((work()?, start.elapsed()))
}

fn minutes(took: Duration) -> String {
    format!("{:.1} min", took.as_secs_f64() / 60.0)
}

impl Step {
    fn run(&self, root: &Path) -> Fallible<Count> {
        println!("\n== {}: {}", self.name, self.argv.join(" "));
        if !self.needs.are_met(root) {
            println!("{} cannot run: {}", self.name, self.needs.wanted());
            return Ok(Count {
                skipped: 1,
                ..Count::default()
            });
        }
        let (program, args) = self.argv.split_first().ok_or("a step without a command")?;
        let mut command = match self.needs {
            Needs::File(path) => Command::new(root.join(path)),
            _ => Command::new(program),
        };
        command
            .args(args)
            .envs(self.env.iter().copied())
            .current_dir(root);
        let (succeeded, lines) = run_aloud(command).map_err(|e| format!("{program}: {e}"))?;
        Ok(Count::of_lines(lines.iter().map(String::as_str)).settled(succeeded))
    }
}

impl Needs {
    fn are_met(&self, root: &Path) -> bool {
        match self {
            Self::Nothing => true,
            Self::File(path) => root.join(path).is_file(),
            Self::Cargo(name) => {
                let asked = Command::new("cargo").args([name, "--version"]).output();
                asked.is_ok_and(|output| output.status.success())
            }
        }
    }

    fn wanted(&self) -> String {
        match self {
            Self::Nothing => String::new(),
            Self::File(path) => format!("{path} is missing"),
            Self::Cargo(name) => format!("cargo-{name} is not installed (./ci installs it)"),
        }
    }
}

/// Runs a command, passing on what it says as it says it; returns its lines too.
fn run_aloud(mut command: Command) -> std::io::Result<(bool, Vec<String>)> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let lines = thread::scope(|scope| {
        let err = scope.spawn(|| {
            err.map(|e| pass_on(e, std::io::stderr()))
                .unwrap_or_default()
        });
        let mut lines = out
            .map(|o| pass_on(o, std::io::stdout()))
            .unwrap_or_default();
        lines.extend(err.join().unwrap_or_default());
        lines
    });
    Ok((child.wait()?.success(), lines))
}

fn pass_on(from: impl Read, mut to: impl Write) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        // A reader that went away costs the echo, not the check.
        let _ = writeln!(to, "{line}");
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_cannot_run_is_a_skip() {
        let step = script("absent", &["tests/no-such-script"]);
        let count = step.run(&crate::root()).unwrap();
        assert_eq!(
            count,
            Count {
                skipped: 1,
                ..Count::default()
            }
        );
        assert_eq!(count.without_skips().closing_line(), "0 passed, 1 failed");
    }

    #[test]
    fn a_step_counts_what_its_command_counted_or_itself() {
        let step = |argv| Step {
            name: "s",
            argv,
            ..PLAIN
        };
        let quiet = step(&["true"]).run(&crate::root()).unwrap();
        let counted = step(&["echo", "3 passed, 0 failed"])
            .run(&crate::root())
            .unwrap();
        let failed = step(&["false"]).run(&crate::root()).unwrap();
        assert_eq!([quiet.passed, counted.passed, failed.failed], [1, 3, 1]);
    }
}
