//! What must have a test: every command of the property table, every protocol rule in force.

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Tree};

pub(super) const TABLE: &str = "wire/src/imap/table.rs";
const TRANSCRIPTS: &str = "tests/transcripts/";
/// Lists what each engine of the store must do, as `module::test,`.
const CONTRACT: &str = "store/tests/contract/main.rs";
pub(super) const RULES: &str = "docs/rules.tsv";

/// Every command of the table is named in the first line of a transcript.
pub(super) fn transcripts(tree: &Tree) -> Vec<Problem> {
    let Some(table) = tree.text(TABLE) else {
        return vec![Problem::new(
            TABLE,
            0,
            "is missing: the commands cannot be checked",
        )];
    };
    let told: BTreeSet<String> = transcript_texts(tree)
        .flat_map(|(_, t)| commands_of(t))
        .collect();
    let names = commands_in_table(table);
    if names.is_empty() {
        return vec![Problem::new(
            TABLE,
            0,
            "holds no `name: \"…\"`: the commands cannot be checked",
        )];
    }
    let silent = names.into_iter().filter(|(_, name)| !told.contains(*name));
    silent
        .map(|(line, name)| Problem::new(TABLE, line, format!("{name} has no transcript")))
        .collect()
}

fn transcript_texts(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    let texts = tree
        .texts
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()));
    texts.filter(|(path, _)| path.starts_with(TRANSCRIPTS))
}

/// The commands in `# command: A` or `# commands: A, B`.
fn commands_of(transcript: &str) -> Vec<String> {
    let header = transcript.lines().next().unwrap_or_default();
    let list = ["# command:", "# commands:"]
        .iter()
        .find_map(|p| header.strip_prefix(p));
    let names = list
        .unwrap_or_default()
        .split(',')
        .map(|n| n.trim().to_ascii_uppercase());
    names.filter(|n| !n.is_empty()).collect()
}

/// Line and literal of each `name: "…"`.
pub(super) fn commands_in_table(table: &str) -> Vec<(usize, &str)> {
    let rows = table.lines().enumerate();
    rows.filter_map(|(at, line)| {
        let (_, rest) = line.split_once("name: \"")?;
        rest.split_once('"').map(|(name, _)| (at + 1, name))
    })
    .collect()
}

/// Every rule in force has a test named after it, `rule_16_…`.
pub(super) fn protocol_rules(tree: &Tree) -> Vec<Problem> {
    let Some(rules) = tree.text(RULES) else {
        return vec![Problem::new(RULES, 0, "is missing")];
    };
    let tested = rules_tested(tree);
    let mut problems = Vec::new();
    for (at, line) in rules
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.starts_with('#'))
    {
        let columns: Vec<&str> = line.split('\t').collect();
        let problem = match columns.as_slice() {
            [number, title, "now"] if !is_tested(&tested, number) => {
                format!("rule {number} ({title}) has no test `rule_{number:0>2}_…`")
            }
            [_, _, when] if *when == "now" || when.starts_with("later: issue ") => continue,
            _ => "expected number, title and `now` or `later: issue N` between tabs".to_owned(),
        };
        problems.push(Problem::new(RULES, at + 1, problem));
    }
    problems
}

fn is_tested(tested: &BTreeMap<u32, BTreeSet<String>>, number: &str) -> bool {
    number.parse().is_ok_and(|n: u32| tested.contains_key(&n))
}

/// The rules that a test function or a transcript is named after, and in which files.
pub(super) fn rules_tested(tree: &Tree) -> BTreeMap<u32, BTreeSet<String>> {
    let functions = tree
        .test_functions()
        .map(|(path, name)| (rule_number(&name), path));
    let transcripts = transcript_texts(tree)
        .map(|(path, _)| (path.rsplit('/').next().and_then(rule_number), path));
    let mut tested: BTreeMap<u32, BTreeSet<String>> = BTreeMap::new();
    for (number, path) in functions.chain(transcripts) {
        if let Some(number) = number {
            tested.entry(number).or_default().insert(path.to_owned());
        }
    }
    tested
}

/// The number in `rule_16_appenduid` or `rule-16-appenduid`.
fn rule_number(name: &str) -> Option<u32> {
    let rest = name
        .strip_prefix("rule_")
        .or_else(|| name.strip_prefix("rule-"))?;
    rest.split(['_', '-', '.']).next()?.parse().ok()
}

/// The tests that every engine of the store runs: functions that a macro calls.
pub(super) fn contract(tree: &Tree) -> impl Iterator<Item = (&str, String)> {
    let text = tree.text(CONTRACT).unwrap_or_default();
    text.lines().filter_map(|line| {
        let (module, name) = line.trim().strip_suffix(',')?.split_once("::")?;
        let path = CONTRACT.replace("main", module);
        let file = tree.rust.iter().find(|source| source.path == path)?;
        Some((file.path.as_str(), name.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_without_a_transcript_is_found() {
        let table =
            "Row { name: \"FETCH\", x: 1 },\nRow { name: \"UID FETCH\" },\nRow { name: \"NOOP\" },";
        let transcript = "# commands: fetch, UID FETCH\nC: a FETCH 1 ALL\n";
        let found = transcripts(&Tree::of(&[
            (TABLE, table),
            ("tests/transcripts/a/b.txt", transcript),
        ]));
        assert_eq!(found, [Problem::new(TABLE, 3, "NOOP has no transcript")]);
    }

    #[test]
    fn a_rule_in_force_without_a_test_is_found() {
        let rules =
            "# n\n1\tone\tnow\n2\ttwo\tnow\n3\tthree\tlater: issue 5\n4\tfour\tnow\n5 five\n";
        let test =
            "#[cfg(test)]\nmod tests {\n    fn rule_01_one() {}\n}\nfn rule_4_not_a_test() {}\n";
        let files = [
            (RULES, rules),
            ("a/src/x.rs", test),
            ("tests/transcripts/rule_02_two.txt", ""),
        ];
        let lines: Vec<usize> = protocol_rules(&Tree::of(&files))
            .iter()
            .map(|p| p.line)
            .collect();
        assert_eq!(lines, [5, 6]);
    }
}
