//! What the checks found, as one value: the names and words are those of .NET's health checks,
//! which monitors of Relate Mail read.

use std::time::Duration;

use serde_json::{Map, Value, json};

/// How well something is; the worst of all checks is that of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Status {
    /// It works.
    Healthy,
    /// It works, and somebody should look.
    Degraded,
    /// It does not work.
    Unhealthy,
}

impl Status {
    /// The word for it.
    #[must_use]
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Degraded => "Degraded",
            Self::Unhealthy => "Unhealthy",
        }
    }
}

/// What a check found.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Finding {
    /// How well it is.
    pub(super) status: Status,
    /// A sentence for people.
    pub(super) description: String,
    /// Values for programs.
    pub(super) data: Map<String, Value>,
}

impl Finding {
    /// A finding without values.
    pub(super) fn new(status: Status, description: impl Into<String>) -> Self {
        Self {
            status,
            description: description.into(),
            data: Map::new(),
        }
    }

    /// The same with values: those of a JSON object.
    pub(super) fn with(mut self, data: Value) -> Self {
        if let Value::Object(fields) = data {
            self.data.extend(fields);
        }
        self
    }
}

/// A check that was made.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Check {
    /// What was looked at.
    pub(super) name: &'static str,
    /// What it belongs to.
    pub(super) tags: &'static [&'static str],
    /// What was found.
    pub(super) finding: Finding,
    /// How long that took.
    pub(super) duration: Duration,
}

/// All checks.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Report {
    /// In the order of the documentation.
    pub(super) checks: Vec<Check>,
    /// How long they took together.
    pub(super) duration: Duration,
}

impl Report {
    /// The worst of all.
    #[must_use]
    pub(super) fn status(&self) -> Status {
        let all = self.checks.iter().map(|check| check.finding.status);
        all.max().unwrap_or(Status::Healthy)
    }

    /// As JSON; durations in milliseconds.
    #[must_use]
    pub(super) fn json(&self) -> Value {
        let checks = self.checks.iter().map(|check| {
            json!({
                "name": check.name,
                "status": check.finding.status.word(),
                "duration": millis(check.duration),
                "description": check.finding.description,
                "tags": check.tags,
                "data": check.finding.data,
            })
        });
        json!({
            "status": self.status().word(),
            "totalDuration": millis(self.duration),
            "checks": checks.collect::<Vec<_>>(),
        })
    }
}

/// Milliseconds with three digits.
fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_servers_status() {
        let check = |status| Check {
            name: "disk",
            tags: &["storage"],
            finding: Finding::new(status, "So it is.").with(json!({ "freeBytes": 7 })),
            duration: Duration::from_micros(1_234),
        };
        let mut report = Report {
            checks: Vec::new(),
            duration: Duration::from_millis(2),
        };
        assert_eq!(report.status(), Status::Healthy);
        for status in [Status::Healthy, Status::Degraded, Status::Unhealthy] {
            report.checks.push(check(status));
            assert_eq!(report.status(), status);
        }
        let json = report.json();
        assert_eq!(json["status"], "Unhealthy");
        assert_eq!(json["totalDuration"], 2.0);
        assert_eq!(
            json["checks"][1],
            json!({
                "name": "disk",
                "status": "Degraded",
                "duration": 1.234,
                "description": "So it is.",
                "tags": ["storage"],
                "data": { "freeBytes": 7 },
            })
        );
    }
}
