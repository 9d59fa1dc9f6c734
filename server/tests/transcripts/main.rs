//! Runs `tests/transcripts/**/*.txt` against the real server in process: framing, session, view and
//! the embedded store, over an in-memory stream instead of a socket. The syntax is described in
//! `tests/transcripts/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test should say where"
)]

mod pattern;
mod script;
mod server;
mod starttls;

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Every transcript below `tests/transcripts`.
fn transcripts() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/transcripts");
    let mut found = Vec::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "txt") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs every transcript, four at a time, and reports all that fail.
#[test]
fn transcripts_hold() {
    let only = std::env::var("TRANSCRIPT").ok();
    let all: Vec<PathBuf> = transcripts()
        .into_iter()
        .filter(|path| {
            only.as_ref()
                .is_none_or(|only| path.to_string_lossy().contains(only.as_str()))
        })
        .collect();
    assert!(!all.is_empty(), "no transcript found");
    let next = std::sync::atomic::AtomicUsize::new(0);
    let failed = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(path) = all.get(at) else { return };
                    if let Err(why) = run(path) {
                        failed
                            .lock()
                            .unwrap()
                            .push(format!("{}: {why}", path.display()));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    println!("{} transcripts, {} failed", all.len(), failed.len());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn run(path: &Path) -> Result<(), String> {
    let script = script::parse(&fs::read_to_string(path).map_err(|e| e.to_string())?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        server::Server::start(&script.options)
            .await
            .play(&script)
            .await
    })
}
