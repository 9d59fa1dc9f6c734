//! What `tls check` finds, and how many days are left.

use std::time::SystemTime;

use serde_json::Value;

use super::{Finding, Level};
use crate::{
    config::Config,
    ops::checks::{CERTIFICATE_DEGRADED_DAYS, CERTIFICATE_UNHEALTHY_DAYS},
    problem::Problem,
    tls::explain::explain,
};

/// Loads the certificates as the server does and plays its clients.
pub(super) async fn check(config: &Config, now: SystemTime) -> Vec<Finding> {
    if config.imap.certificate_path.is_none() {
        return vec![Finding::warning(
            "there is no certificate: clients can have no TLS, and only this machine may log in",
            "Imap:CertificatePath",
            "set it to a certificate with its chain, as docs/installing.md shows for certbot and lego",
        )];
    }
    let report = match explain(config, now).await {
        Ok(report) => report,
        Err(problem) => {
            return vec![Finding {
                level: Level::Wrong,
                problem,
            }];
        }
    };
    let rows = |key: &str| {
        report
            .json
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut findings: Vec<Finding> = rows("certificates").iter().map(days_left).collect();
    let known: Vec<String> = findings
        .iter()
        .map(|one| one.problem.to_what.clone())
        .collect();
    // Of its end the days have told already.
    let others = report
        .problems
        .into_iter()
        .filter(|problem| !(problem.what.contains("ends on") && known.contains(&problem.to_what)));
    findings.extend(others.map(|problem| Finding {
        level: Level::Wrong,
        problem,
    }));
    let advice = rows("advice");
    findings.extend(advice.iter().filter_map(Value::as_str).map(|advice| {
        Finding::warning(
            advice,
            "section Imap",
            "`relate-imap tls check` shows what each kind of client sees",
        )
    }));
    findings
}

fn days_left(certificate: &Value) -> Finding {
    let text = |key: &str| {
        certificate
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let days = certificate
        .get("days_left")
        .and_then(Value::as_u64)
        .unwrap_or(0);
    let what = format!(
        "the certificate is valid for {days} more days, until {}",
        text("until")
    );
    let next = "renew it, and see why that did not happen by itself (`systemctl list-timers`); a new file is taken into use without a restart";
    match days {
        ..CERTIFICATE_UNHEALTHY_DAYS => Finding::wrong(what, text("file"), next),
        CERTIFICATE_UNHEALTHY_DAYS..CERTIFICATE_DEGRADED_DAYS => {
            Finding::warning(what, text("file"), next)
        }
        _ => Finding::fine(what, text("file")),
    }
}

/// Whether a warning of the machine's is about a certificate, which has this check of its own.
pub(super) fn speaks_of(config: &Config, problem: &Problem) -> bool {
    let files = crate::config::CertificateSource::all(config);
    files
        .iter()
        .any(|file| problem.to_what == file.path.display().to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn days_left_decide() {
        for (days, level) in [
            (0, Level::Wrong),
            (6, Level::Wrong),
            (7, Level::Warning),
            (29, Level::Warning),
            (30, Level::Fine),
        ] {
            assert_eq!(
                days_left(&json!({ "days_left": days })).level,
                level,
                "{days}"
            );
        }
    }
}
