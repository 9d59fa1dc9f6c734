//! `relate-imap doctor`: looks for whatever is wrong with this installation and says what to do.
//! Each check is a file of its own that turns what it found into findings; this one runs them in
//! order and prints. Nothing is changed, and the store is not opened.

use std::{fmt::Write as _, time::SystemTime};

use serde_json::{Value, json};

use crate::{
    config::{Config, Loaded},
    problem::{Problem, Problems},
};

mod certificate;
mod clock;
mod disk;
mod limits;
mod names;
mod permissions;
mod ports;
mod probe;
mod processes;
mod running;

pub use self::ports::Before;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Works, and is worth a look.
    Warning,
    /// Does not work, or will soon not.
    Wrong,
}

impl Level {
    const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Warning => "warning",
            Self::Wrong => "wrong",
        }
    }
}

/// What one check found at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found, where, and what to do; nothing is to be done about what is fine.
    pub problem: Problem,
}

impl Finding {
    fn fine(what: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            level: Level::Fine,
            problem: Problem::new(what, place, ""),
        }
    }

    fn warning(what: impl Into<String>, place: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            level: Level::Warning,
            problem: Problem::new(what, place, next),
        }
    }

    fn wrong(what: impl Into<String>, place: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            level: Level::Wrong,
            problem: Problem::new(what, place, next),
        }
    }
}

/// All checks that were made, in order, with what each found.
#[derive(Debug, Default)]
pub struct Report(Vec<(&'static str, Vec<Finding>)>);

/// Examines the installation whose configuration could be read.
pub async fn examine(loaded: &Loaded, before: Before, now: SystemTime) -> Report {
    let config = &loaded.config;
    let server = running::reach(config).await;
    let mut report = Report::default();
    report.add("configuration", configuration(loaded, now));
    report.add("permissions", permissions::check(loaded));
    report.add("ports", ports::check(config, &server, before).await);
    report.add("certificate", certificate::check(config, now).await);
    report.add("names", names::check(config).await);
    report.add("clock", clock::check(&config.store.path, now).await);
    report.add("disk", disk::check(config));
    report.add("limits", limits::check(config, &server).await);
    report.add("server", running::check(config, &server).await);
    report
}

/// What can be said when the configuration cannot be read.
#[must_use]
pub fn misconfigured(problems: Problems) -> Report {
    let wrong = |problem| Finding {
        level: Level::Wrong,
        problem,
    };
    let mut report = Report::default();
    report.add("configuration", problems.0.into_iter().map(wrong).collect());
    report
}

/// Adds that the checks could not be made as the server's user.
pub fn as_another_user(report: &mut Report, problems: Problems) {
    let wrong = |problem| Finding {
        level: Level::Wrong,
        problem,
    };
    report.add("user", problems.0.into_iter().map(wrong).collect());
}

/// What `config check` says, certificates aside: they have a check of their own.
fn configuration(loaded: &Loaded, now: SystemTime) -> Vec<Finding> {
    let files: Vec<String> = loaded
        .files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let mut findings = vec![match files.is_empty() {
        false => Finding::fine("the configuration is read", files.join(", ")),
        true => Finding::warning(
            "there is no configuration file; the defaults are in force",
            "./appsettings.json, /etc/relate-imap/appsettings.json",
            "`relate-imap config docs --sample` prints one to begin with",
        ),
    }];
    let warned = |problem: &Problem| Finding {
        level: Level::Warning,
        problem: problem.clone(),
    };
    findings.extend(loaded.warnings.iter().map(|warning| warned(&warning.0)));
    match loaded.check_machine(now) {
        Ok(warnings) => {
            let others = warnings.iter().map(|warning| &warning.0);
            findings.extend(
                others
                    .filter(|problem| !certificate::speaks_of(&loaded.config, problem))
                    .map(warned),
            );
        }
        Err(problems) => findings.extend(problems.0.into_iter().map(|problem| Finding {
            level: Level::Wrong,
            problem,
        })),
    }
    findings
}

impl Report {
    fn add(&mut self, check: &'static str, findings: Vec<Finding>) {
        self.0.push((check, findings));
    }

    fn findings(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        self.0
            .iter()
            .flat_map(|(check, findings)| findings.iter().map(move |finding| (*check, finding)))
    }

    /// Whether nothing is wrong; warnings do not count.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.findings()
            .all(|(_, finding)| finding.level != Level::Wrong)
    }

    /// The report for programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let findings = self.findings().map(|(check, finding)| {
            json!({
                "check": check,
                "level": finding.level.name(),
                "what": finding.problem.what,
                "where": finding.problem.to_what,
                "next": finding.problem.next,
            })
        });
        json!({ "well": self.is_well(), "findings": findings.collect::<Vec<_>>() })
    }

    /// The report for people: a line for what is fine, three for what is not.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (check, finding) in self.findings() {
            let Problem {
                what,
                to_what,
                next,
            } = &finding.problem;
            let [what, to_what, next] = [what, to_what, next].map(|text| printable(text));
            // Writing to a String does not fail.
            let _ = match finding.level {
                Level::Fine => writeln!(text, "{check:<14} fine     {what}: {to_what}"),
                level => writeln!(
                    text,
                    "{check:<14} {:<8} {what}\n{:<23} where: {to_what}\n{:<23} next:  {next}",
                    level.name().to_uppercase(),
                    "",
                    ""
                ),
            };
        }
        let count = |level| {
            self.findings()
                .filter(|(_, finding)| finding.level == level)
                .count()
        };
        let _ = writeln!(
            text,
            "\n{} wrong, {} warnings",
            count(Level::Wrong),
            count(Level::Warning)
        );
        text
    }
}

/// Names of files and processes may hold anything; on a terminal they are text.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}

/// Where a setting's value was given, as findings name places.
fn place(key: &str, value: &dyn std::fmt::Display) -> String {
    format!("{key}, {value}")
}

/// Whether the server would open a port with TLS.
const fn has_secure_port(config: &Config) -> bool {
    config.imap.secure_port != 0 && config.imap.certificate_path.is_some()
}

#[cfg(test)]
mod tests;
