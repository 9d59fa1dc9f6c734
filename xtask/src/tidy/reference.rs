//! Every setting, command, metric and endpoint has a test: `docs/reference.tsv` names it, and the
//! test's own text must set, call or look at the thing (decision 0016).
//!
//! That the test also sees an effect is for whoever reads it.

use std::collections::BTreeSet;

use super::{Problem, Tree};
use crate::source::{self, Source};

const REFERENCE: &str = "docs/reference.tsv";

/// One kind of thing, and where all of its kind are listed.
struct Kind {
    name: &'static str,
    pages: &'static [&'static str],
    /// Each with its line, from a page's text.
    names: fn(&str) -> Vec<(usize, String)>,
    /// What a test may say to speak of one: any of these.
    spoken: fn(&str) -> Vec<String>,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "setting",
        pages: &["server/src/config/table.rs"],
        names: settings,
        spoken: setting_spoken,
    },
    Kind {
        name: "command",
        pages: &["docs/command-line.md"],
        names: commands,
        spoken: command_spoken,
    },
    Kind {
        name: "metric",
        pages: &["docs/metrics.md"],
        names: metrics,
        spoken: quoted,
    },
    Kind {
        name: "endpoint",
        pages: &["server/src/ops/route.rs", "server/src/ops/page.rs"],
        names: endpoints,
        spoken: quoted,
    },
];

/// A line of the table.
struct Row<'a> {
    line: usize,
    kind: &'a str,
    name: &'a str,
    test: &'a str,
    /// Functions and constants of the test's file that belong to it.
    parts: Vec<&'a str>,
}

/// Everything that is listed has a row, every row names what is listed and a test that exists.
pub(super) fn rows(tree: &Tree) -> Vec<Problem> {
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
                "expected kind, name, test and what else of the test's file belongs to it",
            )),
        }
    }
    for kind in KINDS {
        problems.extend(of_kind(tree, kind, &read));
    }
    let is_known = |row: &&Row<'_>| KINDS.iter().any(|kind| kind.name == row.kind);
    let strange = read.iter().filter(|row| !is_known(row));
    problems.extend(strange.map(|row| Problem::new(REFERENCE, row.line, "no such kind")));
    problems
}

fn row(line: usize, text: &str) -> Option<Row<'_>> {
    let mut columns = text.split('\t');
    let (kind, name, test) = (columns.next()?, columns.next()?, columns.next()?);
    let parts = columns.next().unwrap_or_default();
    let row = Row {
        line,
        kind,
        name,
        test,
        parts: parts.split_whitespace().collect(),
    };
    columns.next().is_none().then_some(row)
}

fn of_kind(tree: &Tree, kind: &Kind, rows: &[Row<'_>]) -> Vec<Problem> {
    let own = || rows.iter().filter(|row| row.kind == kind.name);
    let told: BTreeSet<&str> = own().map(|row| row.name).collect();
    let (mut problems, mut known) = (Vec::new(), BTreeSet::new());
    for page in kind.pages {
        let names = (kind.names)(tree.text(page).unwrap_or_default());
        if names.is_empty() {
            let what = format!("lists no {}: their tests cannot be checked", kind.name);
            problems.push(Problem::new(page, 0, what));
        }
        for (line, name) in names {
            if !told.contains(name.as_str()) && !known.contains(&name) {
                let what = format!("{} `{name}` has no row in {REFERENCE}", kind.name);
                problems.push(Problem::new(page, line, what));
            }
            known.insert(name);
        }
    }
    let mut seen = BTreeSet::new();
    problems.extend(own().filter_map(|row| {
        let what = if !known.contains(row.name) {
            Some(format!("there is no {} `{}`", kind.name, row.name))
        } else if !seen.insert(row.name) {
            Some(format!("{} `{}` has another row", kind.name, row.name))
        } else {
            wrong(tree, kind, row)
        };
        Some(Problem::new(REFERENCE, row.line, what?))
    }));
    problems
}

fn wrong(tree: &Tree, kind: &Kind, row: &Row<'_>) -> Option<String> {
    let text = match evidence(tree, row) {
        Ok(text) => text,
        Err(what) => return Some(what),
    };
    // However it is broken into lines.
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut spoken = (kind.spoken)(row.name).into_iter();
    let speaks = spoken.any(|words| text.contains(&words));
    (!speaks).then(|| format!("`{}` does not speak of `{}`", row.test, row.name))
}

/// The text of a test: a function and what the row says belongs to it, or the file of a transcript
/// or script.
fn evidence(tree: &Tree, row: &Row<'_>) -> Result<String, String> {
    let missing = || format!("there is no test `{}`", row.test);
    let Some((path, name)) = row.test.split_once("::") else {
        let text = tree.text(row.test);
        let text = text.filter(|_| row.test.starts_with("tests/"));
        return text.map(str::to_owned).ok_or_else(missing);
    };
    let source = tree.rust.iter().find(|source| source.path == path);
    let source = source.ok_or_else(missing)?;
    let test = source.functions().into_iter().find(|f| f.name == name);
    let test = test
        .filter(|test| source.is_run(test))
        .ok_or_else(missing)?;
    let mut text = source.text.get(test.range).unwrap_or_default().to_owned();
    for part in &row.parts {
        if !speaks_of(&text, part) {
            return Err(format!("`{}` does not call `{part}`", row.test));
        }
        let more = item(source, part);
        text.push_str(&more.ok_or_else(|| format!("`{path}` has no `{part}`"))?);
    }
    Ok(text)
}

/// Whether a name stands somewhere as a word.
fn speaks_of(text: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let mut found = text.match_indices(name);
    found.any(|(at, _)| {
        let before = text.get(..at).and_then(|it| it.chars().next_back());
        let after = text.get(at + name.len()..).and_then(|it| it.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

/// The text of the functions or the constant of this name.
fn item(source: &Source, name: &str) -> Option<String> {
    let functions = source.functions().into_iter().filter(|f| f.name == name);
    let bodies = functions.filter_map(|f| source.text.get(f.range));
    let bodies: String = bodies.collect();
    if !bodies.is_empty() {
        return Some(bodies);
    }
    let start = source.code.find(&format!("const {name}:"))?;
    let length = source.code.get(start..)?.find(";\n")?;
    source.text.get(start..start + length).map(str::to_owned)
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

/// A setting as it is set: by a line, by a line of a table for one section, or in a file.
fn setting_spoken(name: &str) -> Vec<String> {
    if let Some(open) = name.strip_suffix('*') {
        return vec![open.to_owned()];
    }
    let key = name.split(':').nth(1).unwrap_or_default();
    vec![
        format!("{name}="),
        format!("\"{key}="),
        format!("\"{key}\": "),
    ]
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

/// A command as words given to a process.
fn command_spoken(name: &str) -> Vec<String> {
    let words: Vec<String> = name.split(' ').map(|word| format!("\"{word}\"")).collect();
    vec![words.join(", ")]
}

/// The names in the first column of the table of metrics.
fn metrics(page: &str) -> Vec<(usize, String)> {
    let lines = page.lines().enumerate();
    let named = lines.filter_map(|(at, line)| {
        let (name, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some((at + 1, name.to_owned()))
    });
    named.collect()
}

/// The paths that stand as whole literals outside comments.
fn endpoints(code: &str) -> Vec<(usize, String)> {
    let paths = source::literals(code).filter(|(_, literal)| literal.starts_with('/'));
    paths.map(|(line, path)| (line, path.to_owned())).collect()
}

fn quoted(name: &str) -> Vec<String> {
    vec![format!("\"{name}\"")]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "    Imap as ImapSettings in imap {\n        /// x\n        port: u16 = \"Port\", \"143\", 0..=65_535;\n        log: L = \"Log:*\", \"\", ANY;\n";
    const PAGE: &str = "## `relate-imap account add`\n";
    const METRICS: &str = "| OpenTelemetry | x |\n| `imap.commands` | `imap_commands_total` |\n";
    const ROUTES: &str = "//! \"/not\"\n    \"/livez\" => x,\n";
    const ASSETS: &str = "path: \"/page.js\",\n";
    const TEST: &str = "#[test]\nfn works() {\n    set(\"Imap:Port=1\");\n    get(\"/livez\"); helped(PATHS)\n}\n\
        const PATHS: [&str; 1] = [\n    \"/page.js\",\n];\n\
        fn helped() { count(\"imap.commands\"); set(\"Imap:Log:x=y\"); run(&[\n\"account\",\n\"add\", log]) }\n";

    fn problems(reference: &str, test: &str) -> Vec<String> {
        let tree = Tree::of(&[
            ("server/src/config/table.rs", TABLE),
            ("docs/command-line.md", PAGE),
            ("docs/metrics.md", METRICS),
            ("server/src/ops/route.rs", ROUTES),
            ("server/src/ops/page.rs", ASSETS),
            ("docs/reference.tsv", reference),
            ("server/tests/x.rs", test),
        ]);
        rows(&tree)
            .into_iter()
            .map(|problem| problem.what)
            .collect()
    }

    fn whole() -> String {
        let rows = [
            "setting\tImap:Port\tserver/tests/x.rs::works",
            "setting\tImap:Log:*\tserver/tests/x.rs::works\thelped",
            "command\taccount add\tserver/tests/x.rs::works\thelped",
            "metric\timap.commands\tserver/tests/x.rs::works\thelped",
            "endpoint\t/livez\tserver/tests/x.rs::works",
            "endpoint\t/page.js\tserver/tests/x.rs::works\tPATHS helped",
        ];
        rows.join("\n")
    }

    #[test]
    fn each_thing_has_a_row_and_each_row_a_test_that_speaks_of_it() {
        assert_eq!(problems(&whole(), TEST), [""; 0]);
        for (from, to, expected) in [
            ("Imap:Port", "Imap:Nope", "no setting `Imap:Nope`"),
            ("Imap:Port", "Imap:Nope", "setting `Imap:Port` has no row"),
            ("/livez", "/readyz", "endpoint `/livez` has no row"),
            ("imap.commands", "imap.command", "no metric `imap.command`"),
            ("::works", "::sleeps", "no test `server/tests/x.rs::sleeps`"),
            ("::works", "::helped", "no test `server/tests/x.rs::helped`"),
            ("\tPATHS helped", "\thelped", "does not speak of `/page.js`"),
            ("\tPATHS helped", "\tPATHS work", "does not call `work`"),
            ("\tPATHS helped", "\tPATHS count", "does not call `count`"),
            ("\tPATHS helped", "\tPATHS set", "has no `set`"),
            ("\thelped", "", "does not speak of `account add`"),
            ("command", "verb", "no such kind"),
            ("server/tests/x.rs::works", "-", "there is no test `-`"),
            ("setting\tImap:Port\t", "setting ", "expected kind"),
            ("endpoint\t/page.js", "endpoint\t/livez", "has another row"),
        ] {
            let found = problems(&whole().replace(from, to), TEST);
            assert!(
                found.iter().any(|what| what.contains(expected)),
                "{from} to {to}, {expected}: {found:?}"
            );
        }
    }
}
