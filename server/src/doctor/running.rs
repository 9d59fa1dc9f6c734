//! Whether a server runs with this store, and whether it says that it is well.

use serde_json::Value;
use tokio::net::UnixStream;

use super::Finding;
use crate::{
    admin::{Request, client, socket},
    config::Config,
    ops,
};

/// A server that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    /// Its process; none where the system does not say.
    pub(super) process: Option<i32>,
}

/// The server that has this store, or what was found instead.
pub(super) async fn reach(config: &Config) -> Result<Option<Server>, Finding> {
    let path = socket::path(config).map_err(|problem| Finding {
        level: super::Level::Wrong,
        problem,
    })?;
    match UnixStream::connect(&path).await {
        Ok(stream) => Ok(Some(Server {
            process: stream.peer_cred().ok().and_then(|peer| peer.pid()),
        })),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Err(Finding::wrong(
            "the running server cannot be asked: permission denied",
            path.display().to_string(),
            "run doctor as root or as the server's user",
        )),
        // Nobody is there, whether or not a socket was left behind.
        Err(_) => Ok(None),
    }
}

/// Says whether one runs, and asks it whether it is well.
pub(super) async fn check(
    config: &Config,
    server: &Result<Option<Server>, Finding>,
) -> Vec<Finding> {
    let server = match server {
        Ok(Some(server)) => server,
        Ok(None) => {
            return vec![Finding::wrong(
                "no server runs with this store",
                super::place("Store:Path", &config.store.path.display()),
                "start it: `systemctl start relate-imap`, or `relate-imap serve`; its log says why it ended",
            )];
        }
        Err(finding) => return vec![finding.clone()],
    };
    let who = server
        .process
        .map_or_else(|| "a process".to_owned(), |id| format!("process {id}"));
    let mut findings = vec![Finding::fine("a server runs", who)];
    if let Some(url) = &config.health_check.url {
        let place = format!("http://{}:{}/healthz", url.host, url.port);
        findings.extend(match ops::ask::ask(url, config).await {
            Ok((_, value)) => health(&value, &place),
            Err(error) => vec![Finding::wrong(
                format!("the health check does not answer: {error}"),
                place,
                "restart the server if HealthCheck:Url was changed; else see its log",
            )],
        });
    }
    findings
}

/// A finding for each check that the server itself makes and that is not well.
fn health(value: &Value, place: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, check) in named(value.get("checks")) {
        let text = |key: &str| check.get(key).and_then(Value::as_str).unwrap_or_default();
        let what = format!(
            "the server says of its {name}: {} {}",
            text("status"),
            text("description")
        );
        let next = "docs/troubleshooting.md says what to do, by symptom";
        match text("status") {
            "Unhealthy" => findings.push(Finding::wrong(what, place, next)),
            "Degraded" => findings.push(Finding::warning(what, place, next)),
            _ => {}
        }
    }
    if findings.is_empty() {
        findings.push(match value.get("status").and_then(Value::as_str) {
            Some("Healthy" | "Degraded") => Finding::fine("the server says that it is well", place),
            _ => Finding::wrong(
                "something else than the server answers",
                place,
                "see what listens there, or set HealthCheck:Url to another port",
            ),
        });
    }
    findings
}

/// The checks with their names.
fn named(checks: Option<&Value>) -> Vec<(&str, &Value)> {
    let rows = checks.and_then(Value::as_array).into_iter().flatten();
    rows.filter_map(|check| Some((check.get("name")?.as_str()?, check)))
        .collect()
}

/// How many accounts the running server has.
pub(super) async fn accounts(config: &Config) -> Option<usize> {
    let request = Request::AccountList {
        without_scram: false,
    };
    let value = client::perform(config, request).await.ok()?;
    value.as_array().map(Vec::len)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::doctor::Level;

    #[test]
    fn what_the_server_says_of_itself_is_passed_on() {
        for (value, level, part) in [
            (
                json!({ "status": "Healthy", "checks": [{ "name": "imap", "status": "Healthy" }] }),
                Level::Fine,
                "well",
            ),
            (
                json!({ "status": "Degraded", "checks": [{ "name": "index", "status": "Degraded", "description": "made again" }] }),
                Level::Warning,
                "made again",
            ),
            (
                json!({ "status": "Unhealthy", "checks": [{ "name": "store", "status": "Unhealthy", "description": "poisoned" }] }),
                Level::Wrong,
                "poisoned",
            ),
            (
                json!({ "status": "Degraded", "checks": [{ "name": "disk", "status": "Degraded", "description": "little" }] }),
                Level::Warning,
                "of its disk: Degraded little",
            ),
            (Value::Null, Level::Wrong, "something else"),
        ] {
            let found = health(&value, "p");
            assert!(
                found.len() == 1 && found[0].level == level && found[0].problem.what.contains(part),
                "{found:?}"
            );
        }
    }
}
