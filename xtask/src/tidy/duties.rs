//! What the RFCs of the extensions demand of a server, and the tests of it: one table for each,
//! `docs/rfc/NNNN.tsv`, which ends in tests that exist.
//!
//! That a test asserts the sentence is for whoever reads it; that every sentence of an RFC stands
//! in its table, too.

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Tree, capabilities};
use crate::rfc;

const DIRECTORY: &str = "docs/rfc/";
const OFFERS: &str = "# offers: ";
/// What `# offers:` says of an RFC that has no capability.
const NOTHING: &str = "nothing";
/// An unmet SHOULD says why.
const REASON: &str = "reason: ";
/// What is demanded only of servers that have something else, which this one has not.
const ELSEWHERE: &str = "does not apply: ";
const NOT_OFFERED: &str = " is not offered";
/// Levels that only a test answers.
const STRICT: &[&str] = &["MUST", "MUST NOT"];
const LENIENT: &[&str] = &["SHOULD", "SHOULD NOT", "MAY", "MAY NOT"];

/// The duties of one RFC.
pub(super) struct Table<'a> {
    pub(super) path: &'a str,
    /// The stem of the path: a number, or the name of what has no RFC.
    pub(super) name: &'a str,
    /// The capabilities that it stands behind.
    pub(super) offers: Vec<&'a str>,
    pub(super) duties: Vec<Duty<'a>>,
}

/// One sentence of an RFC.
pub(super) struct Duty<'a> {
    line: usize,
    pub(super) section: &'a str,
    pub(super) level: &'a str,
    pub(super) statement: &'a str,
    pub(super) answer: Answer<'a>,
}

/// What is said to a duty.
pub(super) enum Answer<'a> {
    /// `FILE` or `FILE::NAME` of each test.
    Tests(Vec<&'a str>),
    /// Why a SHOULD is not met.
    Unmet(&'a str),
    /// Why it does not concern this server.
    DoesNotApply(&'a str),
}

/// Every table is whole, each capability has one, and each of its tests exists.
pub(super) fn rows(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut tables = Vec::new();
    for (path, name, text) in files(tree) {
        match table(path, name, text) {
            Ok(table) => tables.push(table),
            Err(problem) => problems.push(problem),
        }
    }
    let tests = Tests::of(tree);
    for table in &tables {
        let wrong = table.duties.iter().flat_map(|duty| {
            let problem = |what| Problem::new(table.path, duty.line, what);
            let found = wrong(tree, table, duty).into_iter();
            found.chain(tests.missing(duty)).map(problem)
        });
        problems.extend(wrong);
        problems.extend(repeated(table));
        problems.extend(unordered(table));
    }
    problems.extend(capabilities::offered_once(tree, &tables));
    problems
}

/// The tables that can be read, by number.
pub(super) fn tables(tree: &Tree) -> Vec<Table<'_>> {
    let read = files(tree).filter_map(|(path, name, text)| table(path, name, text).ok());
    let mut tables: Vec<Table<'_>> = read.collect();
    tables.sort_by_key(|table| (table.number().is_none(), table.number(), table.name));
    tables
}

/// Path, stem and text of each file of duties.
fn files(tree: &Tree) -> impl Iterator<Item = (&str, &str, &str)> {
    tree.texts.iter().filter_map(|(path, text)| {
        let name = path.strip_prefix(DIRECTORY)?.strip_suffix(".tsv")?;
        let is_index = name.starts_with("sections") || name == capabilities::EARLIER;
        (!is_index).then_some((path.as_str(), name, text.as_str()))
    })
}

impl Table<'_> {
    /// The RFC; what has none is told by its name.
    pub(super) fn number(&self) -> Option<u32> {
        self.name.parse().ok()
    }
}

fn table<'a>(path: &'a str, name: &'a str, text: &'a str) -> Result<Table<'a>, Problem> {
    let mut lines = text.lines().enumerate();
    let offers = lines.next().and_then(|(_, line)| line.strip_prefix(OFFERS));
    let offers = offers.filter(|names| !names.trim().is_empty());
    let offers = offers.ok_or_else(|| {
        let what = format!("begins with `{OFFERS}` and capabilities, or `{NOTHING}`");
        Problem::new(path, 1, what)
    })?;
    let duties = lines.filter(|(_, line)| !line.starts_with('#'));
    let duties = duties.map(|(at, line)| {
        let what = "expected section, level, statement and tests or a reason between tabs";
        duty(at + 1, line).ok_or_else(|| Problem::new(path, at + 1, what))
    });
    let duties: Vec<Duty<'a>> = duties.collect::<Result<_, _>>()?;
    if duties.is_empty() {
        return Err(Problem::new(path, 0, "holds no duty"));
    }
    let offers = offers.split_whitespace().filter(|name| *name != NOTHING);
    Ok(Table {
        path,
        name,
        offers: offers.collect(),
        duties,
    })
}

fn duty(line: usize, text: &str) -> Option<Duty<'_>> {
    let columns: Vec<&str> = text.split('\t').map(str::trim).collect();
    let [section, level, statement, answer] = columns.as_slice() else {
        return None;
    };
    let is_whole = columns.iter().all(|column| !column.is_empty());
    let answer = if let Some(reason) = answer.strip_prefix(REASON) {
        Answer::Unmet(reason)
    } else if let Some(reason) = answer.strip_prefix(ELSEWHERE) {
        Answer::DoesNotApply(reason)
    } else {
        Answer::Tests(answer.split(' ').collect())
    };
    is_whole.then_some(Duty {
        line,
        section,
        level,
        statement,
        answer,
    })
}

/// What is wrong with a row by itself.
fn wrong(tree: &Tree, table: &Table<'_>, duty: &Duty<'_>) -> Vec<String> {
    let mut found = Vec::new();
    let is_section = table.number().map_or(duty.section == "-", |rfc| {
        tree.sections.has(rfc, duty.section)
    });
    if !is_section {
        found.push(format!(
            "there is no section {} of {}",
            duty.section, table.name
        ));
    }
    if !STRICT.contains(&duty.level) && !LENIENT.contains(&duty.level) {
        found.push(format!("`{}` is no level", duty.level));
    }
    match duty.answer {
        Answer::Unmet(_) if STRICT.contains(&duty.level) => found.push(format!(
            "a {} has a test, or says `{ELSEWHERE}…`; a reason excuses a SHOULD only",
            duty.level
        )),
        Answer::DoesNotApply(reason) => {
            let absent = reason.split_once(NOT_OFFERED).map(|(name, _)| name);
            let is_there = |name: &str| capabilities::is_listed(tree, name);
            found.extend(
                absent
                    .filter(|name| is_there(name))
                    .map(|name| format!("{name} is offered: the duty has come to apply")),
            );
        }
        Answer::Unmet(_) | Answer::Tests(_) => {}
    }
    found
}

/// Sentences that stand twice.
fn repeated(table: &Table<'_>) -> Vec<Problem> {
    let mut seen = BTreeSet::new();
    let again = table
        .duties
        .iter()
        .filter(|duty| !seen.insert(duty.statement));
    again
        .map(|duty| Problem::new(table.path, duty.line, "the same is demanded above"))
        .collect()
}

/// Sections that come after later ones.
fn unordered(table: &Table<'_>) -> Vec<Problem> {
    let pairs = table.duties.iter().zip(table.duties.iter().skip(1));
    let wrong = pairs.filter(|(a, b)| rfc::order(b.section) < rfc::order(a.section));
    wrong
        .map(|(_, duty)| Problem::new(table.path, duty.line, "stands below a later section"))
        .collect()
}

/// Everything that a row may name as its test.
struct Tests<'a> {
    /// Test functions that are run and checks of foreign clients: file and name.
    named: BTreeMap<&'a str, BTreeSet<String>>,
    /// Transcripts.
    files: BTreeSet<&'a str>,
}

impl<'a> Tests<'a> {
    fn of(tree: &'a Tree) -> Self {
        let mut named: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (path, name) in tree.tests_that_run() {
            named.entry(path).or_default().insert(name);
        }
        for check in capabilities::checks(tree) {
            named.entry(check.path).or_default().insert(check.name);
        }
        let paths = tree.texts.iter().map(|(path, _)| path.as_str());
        let transcripts =
            |path: &&str| path.starts_with("tests/transcripts/") && path.ends_with(".txt");
        Self {
            named,
            files: paths.filter(transcripts).collect(),
        }
    }

    /// What is said of each test of the duty that does not exist.
    fn missing(&self, duty: &Duty<'_>) -> Vec<String> {
        let Answer::Tests(tests) = &duty.answer else {
            return Vec::new();
        };
        let exists = |test: &&&str| match test.split_once("::") {
            Some((path, name)) => self.named.get(path).is_some_and(|it| it.contains(name)),
            None => self.files.contains(**test),
        };
        let absent = tests.iter().filter(|test| !exists(test));
        absent
            .map(|test| format!("there is no test `{test}`"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# offers: ONE TWO\n# section\n1\tMUST\ta\ttests/transcripts/a/b.txt a/x.rs::runs\n\
        -\tSHOULD\tb\treason: so\n-\tMUST\tc\tdoes not apply: FOUR is not offered\n";

    fn found(table: &str, earlier: &str) -> Vec<String> {
        // What has no RFC has no sections: `-`.
        let table = table.replace("\n1\t", "\n-\t");
        let tree = Tree::of(&[
            ("docs/rfc/X.tsv", &table),
            ("docs/rfc/earlier.tsv", earlier),
            (
                "wire/src/imap/capabilities.rs",
                "[\"ONE\", \"TWO\", \"THREE\"]\n",
            ),
            ("tests/transcripts/a/b.txt", ""),
            (
                "a/x.rs",
                "#[cfg(test)]\nmod tests {\n    #[test]\n    fn runs() {}\n\n    fn helps() {}\n}\n",
            ),
        ]);
        rows(&tree).into_iter().map(|it| it.what).collect()
    }

    #[test]
    fn each_duty_has_a_test_or_a_reason_and_each_capability_a_table() {
        let earlier = "THREE\tRFC 3";
        assert_eq!(found(TABLE, earlier), [""; 0]);
        for (from, to, expected) in [
            ("# offers: ONE TWO\n", "", "begins with `# offers: `"),
            ("ONE TWO", "", "begins with `# offers: `"),
            ("ONE TWO", "ONE", "TWO is offered by no table"),
            (
                "ONE TWO",
                "ONE TWO THREE",
                "THREE is offered by another table",
            ),
            ("ONE TWO", "ONE TWO FIVE", "FIVE is not a capability"),
            ("\tb\t", "\ta\t", "the same is demanded above"),
            ("\tb\t", "\t\t", "expected section, level"),
            ("SHOULD", "MUST", "a MUST has a test"),
            ("SHOULD", "OUGHT", "`OUGHT` is no level"),
            ("FOUR is", "TWO is", "TWO is offered: the duty"),
            ("-\tSHOULD", "9\tSHOULD", "there is no section 9"),
            ("a/b.txt", "a/c.txt", "no test `tests/transcripts/a/c.txt`"),
            ("::runs", "::helps", "no test `a/x.rs::helps`"),
        ] {
            let found = found(&TABLE.replace(from, to), earlier);
            assert!(
                found.iter().any(|it| it.contains(expected)),
                "{from} to {to}, {expected}: {found:?}"
            );
        }
    }
}
