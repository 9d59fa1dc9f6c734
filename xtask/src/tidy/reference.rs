//! Every setting, command and whatever else an operator meets has a test: `docs/reference.tsv` names
//! it, and the test's file must speak of the thing (decision 0016).

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Tree};

const REFERENCE: &str = "docs/reference.tsv";
/// Things that have no test yet; it only goes down.
const UNTESTED_MAX: usize = 17;
/// What stands in place of the test of such a thing.
const NONE: &str = "-";

/// One kind of thing, and where all of its kind are listed.
struct Kind {
    name: &'static str,
    page: &'static str,
    /// Each with its line, from the page's text.
    names: fn(&str) -> Vec<(usize, String)>,
    /// Words of which a test's file must hold one, each list of words whole.
    spoken: fn(&str) -> Vec<Vec<String>>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "setting",
        page: "server/src/config/table.rs",
        names: settings,
        spoken: setting_spoken,
    },
    Kind {
        name: "command",
        page: "docs/command-line.md",
        names: commands,
        spoken: command_spoken,
    },
];

/// A line of the table.
struct Row<'a> {
    line: usize,
    kind: &'a str,
    name: &'a str,
    test: &'a str,
    /// How the test calls it, if it does not by its own name.
    called: Option<&'a str>,
}

/// Everything that is listed has a row, every row names what is listed and a test that exists.
pub(super) fn rows(tree: &Tree) -> Vec<Problem> {
    rows_but(tree, UNTESTED_MAX)
}

/// The same, where so many have no test.
fn rows_but(tree: &Tree, untested_max: usize) -> Vec<Problem> {
    let Some(table) = tree.text(REFERENCE) else {
        return vec![Problem::new(REFERENCE, 0, "is missing")];
    };
    let mut problems = Vec::new();
    let mut read = Vec::new();
    for (at, line) in table
        .lines()
        .enumerate()
        .filter(|(_, l)| !l.starts_with('#'))
    {
        match row(at + 1, line) {
            Some(row) => read.push(row),
            None => problems.push(Problem::new(
                REFERENCE,
                at + 1,
                "expected kind, name, test and how the test calls it",
            )),
        }
    }
    let untested = read.iter().filter(|row| row.test == NONE).count();
    if untested != untested_max {
        let what = format!(
            "{untested} rows have no test, UNTESTED_MAX says {untested_max}: it goes down only"
        );
        problems.push(Problem::new(REFERENCE, 0, what));
    }
    let tests = tests(tree);
    for kind in KINDS {
        problems.extend(of_kind(tree, kind, &read, &tests));
    }
    let is_known = |row: &&Row<'_>| KINDS.iter().any(|kind| kind.name == row.kind);
    let strange = read.iter().filter(|row| !is_known(row));
    problems.extend(strange.map(|row| Problem::new(REFERENCE, row.line, "no such kind")));
    problems
}

fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let columns: Vec<&str> = text.split('\t').collect();
    let (kind, name, test, called) = match columns.as_slice() {
        [kind, name, test] => (kind, name, test, None),
        [kind, name, test, called] => (kind, name, test, Some(*called)),
        _ => return None,
    };
    Some(Row {
        line,
        kind,
        name,
        test,
        called,
    })
}

/// Every test as rows name it: `file::function`, or the file of a transcript or script.
fn tests(tree: &Tree) -> BTreeMap<String, &str> {
    let text = |path: &str| tree.text(path).unwrap_or_default();
    let functions = tree
        .test_functions()
        .map(|(path, name)| (format!("{path}::{name}"), text(path)));
    let files = tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with("tests/"));
    functions
        .chain(files.map(|(path, text)| (path.clone(), text.as_str())))
        .collect()
}

fn of_kind(
    tree: &Tree,
    kind: &Kind,
    rows: &[Row<'_>],
    tests: &BTreeMap<String, &str>,
) -> Vec<Problem> {
    let names = (kind.names)(tree.text(kind.page).unwrap_or_default());
    if names.is_empty() {
        let what = format!("lists no {}: their tests cannot be checked", kind.name);
        return vec![Problem::new(kind.page, 0, what)];
    }
    let own = || rows.iter().filter(|row| row.kind == kind.name);
    let told: BTreeSet<&str> = own().map(|row| row.name).collect();
    let known: BTreeSet<&str> = names.iter().map(|(_, name)| name.as_str()).collect();
    let silent = names
        .iter()
        .filter(|(_, name)| !told.contains(name.as_str()));
    let silent = silent.map(|(line, name)| {
        let what = format!("{} `{name}` has no row in {REFERENCE}", kind.name);
        Problem::new(kind.page, *line, what)
    });
    let wrong = own().filter_map(|row| {
        let what = match known.contains(row.name) {
            true => wrong(kind, row, tests),
            false => Some(format!("there is no {} `{}`", kind.name, row.name)),
        };
        Some(Problem::new(REFERENCE, row.line, what?))
    });
    silent.chain(wrong).collect()
}

fn wrong(kind: &Kind, row: &Row<'_>, tests: &BTreeMap<String, &str>) -> Option<String> {
    if row.test == NONE {
        return None;
    }
    let Some(text) = tests.get(row.test) else {
        return Some(format!("there is no test `{}`", row.test));
    };
    let spoken = match row.called {
        Some(called) => vec![vec![called.to_owned()]],
        None => (kind.spoken)(row.name),
    };
    let speaks = spoken
        .iter()
        .any(|words| words.iter().all(|word| text.contains(word.as_str())));
    (!speaks).then(|| {
        format!(
            "the file of `{}` does not speak of `{}`",
            row.test, row.name
        )
    })
}

/// `Section:Key` of each row of the table of settings.
fn settings(table: &str) -> Vec<(usize, String)> {
    let mut section = "";
    let mut all = Vec::new();
    for (at, line) in table.lines().enumerate() {
        let line = line.trim_start();
        let mut words = line.split_whitespace();
        if let (Some(name), Some("as"), Some(_), Some("in")) =
            (words.next(), words.next(), words.next(), words.next())
        {
            section = name;
        } else if let Some((_, rest)) = line
            .split_once(" = \"")
            .filter(|_| line.ends_with(';') && !section.is_empty())
            && let Some((key, _)) = rest.split_once("\", ")
        {
            all.push((at + 1, format!("{section}:{key}")));
        }
    }
    all
}

/// A setting by its key, or the field that holds it.
fn setting_spoken(name: &str) -> Vec<Vec<String>> {
    let key = name
        .split(':')
        .nth(1)
        .unwrap_or_default()
        .trim_end_matches([':', '*']);
    let mut field = String::new();
    for letter in key.chars() {
        if letter.is_ascii_uppercase() && !field.is_empty() {
            field.push('_');
        }
        field.push(letter.to_ascii_lowercase());
    }
    vec![vec![key.to_owned()], vec![field]]
}

/// The headings of the page of commands.
fn commands(page: &str) -> Vec<(usize, String)> {
    let lines = page.lines().enumerate();
    let named = lines.filter_map(|(at, line)| {
        let name = line.strip_prefix("## `relate-imap ")?.strip_suffix('`')?;
        Some((at + 1, name.to_owned()))
    });
    named.collect()
}

/// A command as a line, or as words given to a process.
fn command_spoken(name: &str) -> Vec<Vec<String>> {
    let words = name.split(' ').map(|word| format!("\"{word}\""));
    let listed: Vec<String> = words.collect();
    vec![
        vec![format!("relate-imap {name}")],
        vec![listed.join(", ")],
        listed,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "    Imap as ImapSettings in imap {\n        /// x\n        port: u16 = \"Port\", \"143\", 0..=65_535;\n        log: L = \"Log:*\", \"\", ANY;\n";
    const PAGE: &str = "## `relate-imap account add`\n";

    fn problems(reference: &str, test: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("server/src/config/table.rs", TABLE),
            ("docs/command-line.md", PAGE),
            ("docs/reference.tsv", reference),
            ("server/tests/x.rs", test),
        ]);
        rows_but(&tree, 0)
            .into_iter()
            .map(|problem| problem.what)
            .collect()
    }

    #[test]
    fn each_thing_has_a_row_and_each_row_a_test_that_speaks_of_it() {
        let test =
            "#[test]\nfn works() { set(\"Imap:Port=1\"); run(&[\"account\", \"add\"], log) }\n";
        let whole = "setting\tImap:Port\tserver/tests/x.rs::works\nsetting\tImap:Log:*\tserver/tests/x.rs::works\tlog\n\
                     command\taccount add\tserver/tests/x.rs::works\n";
        assert_eq!(problems(whole, test), [""; 0]);
        for (reference, test, expected) in [
            (
                whole.replace("Imap:Port", "Imap:Nope"),
                test,
                "no setting `Imap:Nope`",
            ),
            (
                whole.replace("::works", "::sleeps"),
                test,
                "no test `server/tests/x.rs::sleeps`",
            ),
            (
                whole.replace("\tlog", "\tnothing"),
                test,
                "does not speak of `Imap:Log:*`",
            ),
            (whole.replace("command", "verb"), test, "no such kind"),
            (
                whole.replace("server/tests/x.rs::works\n", "-\n"),
                test,
                "it goes down only",
            ),
            (
                whole.replace("setting\tImap:Port\t", "setting "),
                test,
                "expected kind",
            ),
        ] {
            let found = problems(&reference, test);
            assert!(
                found.iter().any(|what| what.contains(expected)),
                "{expected}: {found:?}"
            );
        }
    }
}
