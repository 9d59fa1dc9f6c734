//! `docs/security.md`: every attack that the server is held to withstand and the tests that try it,
//! made from `docs/threats.tsv` and the names of tests.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Problem, Tree,
    coverage::{TABLE, commands_in_table},
    page::Page,
};

const THREATS: &str = "docs/threats.tsv";
/// `cargo xtask threats`.
pub(crate) const PAGE: Page = Page {
    path: "docs/security.md",
    command: "cargo xtask threats",
    text: page,
};
/// What excuses a row without a test, or says which half of it is still to come.
const LATER: &str = "arrives with ";

const INTRODUCTION: &str = "\
# Attacks and their tests

What has hit mail servers before, what this one does about it, and the tests that try it: a test
function, a transcript or a script called `threat_NN_…`. Every test named here runs in `./ci`, so a
row holds as long as that passes. The large attacks beside an honest client are `tests/attack/run`;
what fuzzing has found is in [fuzzing.csv](fuzzing.csv). This page is made by `cargo xtask threats`
from `docs/threats.tsv` and the names of tests, and `cargo xtask tidy` says when it is out of date.

| row | attack | what the server does | tests | result |
|---:|---|---|---|---|
";

/// File and name of the tests of each row.
type Tested = BTreeMap<u32, BTreeSet<(String, String)>>;

/// Every row has a test named after it, or says what it arrives with.
pub(super) fn rows(tree: &Tree) -> Vec<Problem> {
    let Some(threats) = tree.text(THREATS) else {
        return vec![Problem::new(THREATS, 0, "is missing")];
    };
    let tested = tested(tree);
    let table = tree.text(TABLE).unwrap_or_default();
    let commands: Vec<&str> = commands_in_table(table)
        .into_iter()
        .map(|it| it.1)
        .collect();
    let lines = threats.lines().enumerate();
    lines
        .filter(|(_, line)| !line.starts_with('#'))
        .filter_map(|(at, line)| {
            let wrong = wrong(line, &tested).or_else(|| arrived(line, &commands));
            Some(Problem::new(THREATS, at + 1, wrong?))
        })
        .collect()
}

/// What is said to be still to come has come: its command is in the table.
fn arrived(line: &str, commands: &[&str]) -> Option<String> {
    let (_, later) = line.rsplit_once('\t')?;
    let mut words = later.split(|c: char| !c.is_ascii_alphanumeric());
    let command = words.find(|word| commands.contains(word))?;
    Some(format!(
        "{command} is there: test what it does to this row, and strike it from the last column"
    ))
}

fn wrong(line: &str, tested: &Tested) -> Option<String> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [number, attack, _, later] = columns.as_slice() else {
        return Some("expected number, attack, defence and what is still to come".to_owned());
    };
    let is_tested = number.parse().is_ok_and(|n: u32| tested.contains_key(&n));
    match *later {
        "" if is_tested => None,
        "" => Some(format!(
            "row {number} ({attack}) has no test `threat_{number:0>2}_…`"
        )),
        later if later.starts_with(LATER) => None,
        _ => Some(format!("the last column is empty or begins with `{LATER}`")),
    }
}

fn page(tree: &Tree) -> String {
    let tested = tested(tree);
    let threats = tree.text(THREATS).unwrap_or_default();
    let rows = threats.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|line| row(line, &tested));
    INTRODUCTION.to_owned() + &rows.collect::<String>()
}

fn row(line: &str, tested: &Tested) -> String {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (number, attack, defence, later) = (next(), next(), next(), next());
    let tests = number.parse().ok().and_then(|n: u32| tested.get(&n));
    let places: Vec<String> = tests
        .into_iter()
        .flatten()
        .map(|(path, name)| format!("[{name}](../{path})"))
        .collect();
    let holds = (!places.is_empty()).then_some("holds");
    let result: Vec<&str> = holds
        .into_iter()
        .chain((!later.is_empty()).then_some(later))
        .collect();
    format!(
        "| {number} | {attack} | {defence} | {} | {} |\n",
        places.join(", "),
        result.join("; ")
    )
}

/// Test functions, and files and functions of `tests/`, by the rows that they are named after.
fn tested(tree: &Tree) -> Tested {
    let scripts = tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with("tests/"));
    let in_scripts = scripts.flat_map(|(path, text)| {
        let defined = text.lines().filter_map(|l| l.strip_prefix("def "));
        let named = defined.filter_map(|l| l.split('(').next());
        let file = path.rsplit('/').next().and_then(|f| f.split('.').next());
        named
            .chain(file)
            .map(|name| (path.as_str(), name.to_owned()))
    });
    let mut tested = Tested::new();
    for (path, name) in tree.test_functions().chain(in_scripts) {
        for number in numbers(&name) {
            let tests = tested.entry(number).or_default();
            tests.insert((path.to_owned(), name.clone()));
        }
    }
    tested
}

/// The rows in `threat_02_sizes`, `threat_28_and_29_limits` or `rule_44_and_threat_05_response`.
fn numbers(name: &str) -> Vec<u32> {
    let Some((before, rest)) = name.split_once("threat_") else {
        return Vec::new();
    };
    if !before.is_empty() && !before.ends_with('_') {
        return Vec::new();
    }
    let words = rest.split(['_', '-']).filter(|word| *word != "and");
    words.map_while(|word| word.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_without_a_test_or_a_reason_is_found() {
        let files = [
            (
                THREATS,
                "# n\n1\ta\tb\t\n2\ta\tb\t\n3\ta\tb\tarrives with issue 5: x\n4\ta\tb\tlater\n5\ta\n6\ta\tb\t\n7\ta\tb\t\n8\ta\tb\t\n",
            ),
            (
                "mail/tests/x.rs",
                "fn threat_01_one() {}\nfn threat_07_and_08_two() {}\n",
            ),
            ("tests/transcripts/threat_06_six.txt", ""),
        ];
        let lines: Vec<usize> = rows(&Tree::of(&files)).iter().map(|p| p.line).collect();
        assert_eq!(lines, [3, 5, 6]);
    }

    #[test]
    fn what_was_to_come_and_is_there_is_found() {
        let files = [
            (
                THREATS,
                "1\ta\tb\tarrives with issue 5: SORT and THREAD\n2\ta\tb\tarrives with issue 5: COMPRESS\n",
            ),
            (TABLE, "name: \"THREAD\",\nname: \"NOOP\",\n"),
        ];
        let lines: Vec<usize> = rows(&Tree::of(&files)).iter().map(|p| p.line).collect();
        assert_eq!(lines, [1]);
    }

    #[test]
    fn a_row_names_its_tests_and_what_is_to_come() {
        let files = [
            (
                THREATS,
                "2\tsizes\tbelieves none\tarrives with issue 5: X\n",
            ),
            (
                "tests/attack/run",
                "def threat_02_bombs(server):\n    pass\n",
            ),
        ];
        let tree = Tree::of(&files);
        assert_eq!(
            page(&tree).lines().last(),
            Some(
                "| 2 | sizes | believes none | [threat_02_bombs](../tests/attack/run) \
                 | holds; arrives with issue 5: X |"
            )
        );
        assert_eq!(numbers("rule_44_and_threat_05_x"), [5]);
        assert!(numbers("nothreat_05_x").is_empty());
    }
}
