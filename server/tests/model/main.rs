//! The model checker: sixteen sessions with random commands against a reference that knows the
//! rules of docs/rules.tsv. The same seed does the same for ever; what breaks a rule is shrunk to a
//! transcript, which is printed and kept below `target/model`.
//!
//! One command runs at a time here, so that the reference knows exactly what each client must be
//! told. `MODEL_SEEDS` and `MODEL_COMMANDS` (of each seed) make a longer run, `MODEL_SEED` begins
//! with that one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test should say where"
)]

mod chance;
mod check;
mod command;
mod expected;
mod find;
mod generate;
mod ids;
mod list;
mod mutant;
mod notify;
mod page;
mod place;
mod predict;
mod progress;
mod quota;
mod replace;
mod resync;
mod run;
mod shrink;
mod told;
mod uid_only;
mod words;
mod world;

use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    mutant::{FAULTS, Fault},
    shrink::{explore, shrunk},
};

/// Seeds that run at once.
const THREADS: usize = 2;
const SEEDS: u64 = 20;
const COMMANDS: u32 = 5_000;
/// Within so many commands a mutant must be noticed.
const MUTANT_COMMANDS: u32 = 4_000;

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |text| text.parse().unwrap())
}

/// Does this for each of so many numbers, some at once; what they say in the end.
fn each(numbers: std::ops::Range<u64>, work: impl Fn(u64) -> Option<String> + Sync) -> Vec<String> {
    let next = AtomicU64::new(numbers.start);
    let said = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return;
                    }
                    if let Some(text) = work(number) {
                        said.lock().unwrap().push(text);
                    }
                }
            });
        }
    });
    said.into_inner().unwrap()
}

/// What is said of a seed that broke a rule.
fn told(seed: u64, failure: shrink::Failure) -> String {
    let steps = failure.steps.len();
    println!("seed {seed} broke a rule: {:?}", failure.broken);
    let failure = shrunk(failure, None);
    let text = failure.text();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("model");
    let file = folder.join(format!("seed-{seed}.txt"));
    let kept = fs::create_dir_all(&folder).and_then(|()| fs::write(&file, &text));
    let kept = kept.map_or_else(|e| e.to_string(), |()| file.display().to_string());
    format!("seed {seed} broke a rule at step {steps} (kept: {kept}):\n{text}")
}

#[test]
fn long_sixteen_sessions_keep_to_the_rules() {
    let (first, seeds) = (number("MODEL_SEED", 1), number("MODEL_SEEDS", SEEDS));
    let commands = u32::try_from(number("MODEL_COMMANDS", u64::from(COMMANDS))).unwrap();
    let done = AtomicU64::new(0);
    let failed = each(first..first + seeds, |seed| {
        match explore(seed, commands, None) {
            Ok(commands) => {
                done.fetch_add(u64::from(commands), Ordering::Relaxed);
                None
            }
            Err(failure) => Some(told(seed, failure)),
        }
    });
    println!(
        "{} commands, {} of {seeds} seeds failed",
        done.into_inner(),
        failed.len()
    );
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn long_every_mutant_is_noticed() {
    let all = 0..u64::try_from(FAULTS.len()).unwrap();
    let missed = each(all, |at| {
        let fault = FAULTS[usize::try_from(at).unwrap()];
        let run = explore(1, MUTANT_COMMANDS, Some((fault, 30)));
        println!(
            "{fault:?}: {}",
            run.as_ref().err().map_or("missed".to_owned(), |f| format!(
                "rule {} after {} steps",
                f.broken.rule,
                f.steps.len()
            ))
        );
        run.is_ok().then(|| format!("{fault:?}"))
    });
    assert!(missed.is_empty(), "not noticed: {}", missed.join(", "));
}

#[test]
fn what_breaks_a_rule_shrinks_to_a_few_steps() {
    let fault = Some((Fault::Counts("COPYUID"), 100));
    let failure = explore(3, MUTANT_COMMANDS, fault).err().unwrap();
    let few = shrunk(failure, fault);
    assert!(few.steps.len() <= 8, "{}", few.text());
}

#[test]
fn a_seed_does_the_same_each_time() {
    let said = || {
        let failure = explore(5, MUTANT_COMMANDS, Some((Fault::Counts("UIDNEXT"), 100)))
            .err()
            .unwrap();
        failure.said
    };
    assert_eq!(said(), said());
}
