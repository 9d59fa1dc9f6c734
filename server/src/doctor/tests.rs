//! Reports as a whole.

use super::*;
use crate::config::{self, Options};

#[test]
fn a_report_says_what_where_and_next_and_ends_with_counts() {
    let mut report = Report::default();
    report.add(
        "disk",
        vec![Finding::fine("10 GB are free", "Store:Path, /x")],
    );
    report.add("clock", vec![Finding::warning("a\nb", "c", "d")]);
    assert!(report.is_well());
    report.add(
        "ports",
        vec![Finding::wrong("taken", "Imap:Port, 143", "stop it")],
    );
    assert!(!report.is_well());
    assert_eq!(
        report.text(),
        "disk           fine     10 GB are free: Store:Path, /x\n\
         clock          WARNING  a?b\n                        where: c\n                        next:  d\n\
         ports          WRONG    taken\n                        where: Imap:Port, 143\n                        next:  stop it\n\
         \n1 wrong, 1 warnings\n"
    );
    let json = report.to_json();
    assert_eq!(
        (&json["well"], &json["findings"][2]["next"]),
        (&json!(false), &json!("stop it"))
    );
}

#[test]
fn a_configuration_that_cannot_be_read_is_the_report() {
    let options = Options {
        set: vec!["Imap:Prot=1".to_owned()],
        ..Options::default()
    };
    let report = misconfigured(config::load(&options).unwrap_err());
    assert!(
        !report.is_well() && report.text().contains("configuration  WRONG"),
        "{}",
        report.text()
    );
}

#[tokio::test]
async fn every_check_says_something() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options {
        set: vec![
            format!("Store:Path={}", directory.path().join("store").display()),
            "Imap:Addresses=127.0.0.1".to_owned(),
        ],
        ..Options::default()
    };
    let loaded = config::load(&options).unwrap();
    let report = examine(
        &loaded,
        Before::look(&loaded.config),
        SystemTime::UNIX_EPOCH,
    )
    .await;
    assert_eq!(report.0.len(), 9);
    assert!(
        report.0.iter().all(|(_, findings)| !findings.is_empty()),
        "{}",
        report.text()
    );
    // No server runs, and the clock was not right in 1970.
    let wrong: Vec<&str> = report
        .findings()
        .filter(|(_, finding)| finding.level == Level::Wrong)
        .map(|(check, _)| check)
        .collect();
    assert!(
        wrong.contains(&"server") && wrong.contains(&"clock"),
        "{}",
        report.text()
    );
}
