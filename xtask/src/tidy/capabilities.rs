//! Every capability that the server can list: whose duties stand behind it, and who drives it that
//! did not come from here: a client library of others, or else a transcript that somebody wrote
//! from the RFC without having read the code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Problem, Tree, duties};
use crate::source;

const LIST: &str = "wire/src/imap/capabilities.rs";
/// Where the names after `AUTH=` are.
const MECHANISMS: &[&str] = &["wire/src/sasl.rs", "wire/src/sasl/scram/verifier.rs"];
/// Stem of the table of capabilities and their RFCs, of which `docs/rules.md` says what is held.
pub(super) const EARLIER: &str = "earlier";
const EARLIER_PATH: &str = "docs/rfc/earlier.tsv";
/// The comment of a transcript that was written from the text of an RFC alone.
const FROM_TEXT: &str = "# written from the RFC: ";

/// A capability in the code.
pub(super) struct Listed {
    path: &'static str,
    line: usize,
    pub(super) name: String,
}

/// One check of a client that is not ours.
pub(super) struct Check<'a> {
    /// The script.
    pub(super) path: &'a str,
    pub(super) name: String,
    capabilities: Vec<String>,
}

/// Each capability is offered by one table, or by a row of the earlier ones; nothing else is.
pub(super) fn offered_once(tree: &Tree, tables: &[duties::Table<'_>]) -> Vec<Problem> {
    let by_tables = tables.iter().flat_map(|table| {
        let names = table.offers.iter();
        names.map(|name| (*name, Problem::new(table.path, 1, "")))
    });
    let by_rows = earlier(tree).map(|(line, name, _)| (name, Problem::new(EARLIER_PATH, line, "")));
    let listed = listed(tree);
    let known: BTreeSet<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    let mut offered = BTreeSet::new();
    let mut problems = Vec::new();
    for (name, place) in by_tables.chain(by_rows) {
        let what = match (known.contains(name), offered.insert(name)) {
            (false, _) => format!("{name} is not a capability of {LIST}"),
            (true, false) => format!("{name} is offered by another table, too"),
            (true, true) => continue,
        };
        problems.push(Problem { what, ..place });
    }
    let silent = listed
        .iter()
        .filter(|it| !offered.contains(it.name.as_str()));
    problems.extend(silent.map(|it| {
        let what = format!("{} is offered by no table of docs/rfc", it.name);
        Problem::new(it.path, it.line, what)
    }));
    problems
}

/// Each capability is driven by somebody else, and nobody claims to drive what is not there.
pub(super) fn driven(tree: &Tree) -> Vec<Problem> {
    let drivers = drivers(tree);
    let listed = listed(tree);
    let known: BTreeSet<&str> = listed.iter().map(|it| it.name.as_str()).collect();
    let strange = drivers
        .iter()
        .filter(|(name, _)| !known.contains(name.as_str()));
    let mut problems: Vec<Problem> = strange
        .flat_map(|(name, by)| by.iter().map(move |(path, _)| (name, path)))
        .map(|(name, path)| Problem::new(path, 0, format!("{name} is not a capability of {LIST}")))
        .collect();
    let idle = listed.iter().filter(|it| !drivers.contains_key(&it.name));
    problems.extend(idle.map(|it| {
        let what = format!(
            "{} is driven by no foreign client, and by no transcript that says `{FROM_TEXT}{}`",
            it.name, it.name
        );
        Problem::new(it.path, it.line, what)
    }));
    problems
}

/// File and name of what drives each capability.
pub(super) fn drivers(tree: &Tree) -> BTreeMap<String, BTreeSet<(&str, String)>> {
    let mut drivers: BTreeMap<String, BTreeSet<(&str, String)>> = BTreeMap::new();
    for check in checks(tree) {
        for name in check.capabilities {
            let by = drivers.entry(name).or_default();
            by.insert((check.path, check.name.clone()));
        }
    }
    for (path, text) in tree
        .texts
        .iter()
        .filter(|(p, _)| p.starts_with("tests/transcripts/"))
    {
        let head = text.lines().take_while(|line| line.starts_with('#'));
        let names = head.filter_map(|line| line.strip_prefix(FROM_TEXT));
        for name in names.flat_map(|names| names.split(", ")) {
            let by = drivers.entry(name.to_owned()).or_default();
            let file = path.rsplit('/').next().unwrap_or_default();
            by.insert((path, file.trim_end_matches(".txt").to_owned()));
        }
    }
    drivers
}

/// The checks of `tests/clients`, as they are declared: `@check("A", "B")` above a function, or
/// `check(['A', 'B'], 'name', …`.
pub(super) fn checks(tree: &Tree) -> impl Iterator<Item = Check<'_>> {
    let scripts = tree
        .texts
        .iter()
        .filter(|(path, _)| path.starts_with("tests/clients/"));
    scripts.flat_map(|(path, text)| {
        let lines = text.lines();
        let pairs = lines.clone().zip(lines.skip(1));
        pairs.filter_map(move |(line, next)| {
            let (capabilities, name) = if let Some(rest) = line.strip_prefix("@check(") {
                let (name, _) = next.strip_prefix("def ")?.split_once('(')?;
                (quoted(rest, '"'), name.to_owned())
            } else {
                let (names, rest) = line.strip_prefix("check([")?.split_once(']')?;
                (quoted(names, '\''), quoted(rest, '\'').into_iter().next()?)
            };
            Some(Check {
                path,
                name,
                capabilities,
            })
        })
    })
}

fn quoted(text: &str, mark: char) -> Vec<String> {
    let odd = text.split(mark).skip(1).step_by(2);
    odd.map(str::to_owned).collect()
}

/// Whether the server can list this capability.
pub(super) fn is_listed(tree: &Tree, name: &str) -> bool {
    listed(tree).iter().any(|it| it.name == name)
}

/// What the server can list: the literals of the code that look like a capability, without what
/// comes after `=` where that is a value.
pub(super) fn listed(tree: &Tree) -> Vec<Listed> {
    let own = literals(tree, LIST).filter_map(|(line, literal)| {
        let name = literal.split_once("={").map_or(literal, |(name, _)| name);
        let is_name = is_capability(name) && name != "AUTH";
        is_name.then(|| Listed {
            path: LIST,
            line,
            name: name.to_owned(),
        })
    });
    let mechanisms = MECHANISMS.iter().flat_map(|path| {
        let names = literals(tree, path).filter(|(_, name)| {
            is_capability(name) && !name.contains(|c: char| c.is_ascii_lowercase())
        });
        names.map(|(line, name)| Listed {
            path,
            line,
            name: format!("AUTH={name}"),
        })
    });
    own.chain(mechanisms).collect()
}

fn literals<'a>(tree: &'a Tree, path: &str) -> impl Iterator<Item = (usize, &'a str)> {
    let text = tree.text(path).unwrap_or_default();
    let end = text.find("#[cfg(test)]").unwrap_or(text.len());
    source::literals(text.get(..end).unwrap_or_default())
}

fn is_capability(literal: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "+-=".contains(c);
    literal.len() > 1
        && literal.starts_with(|c: char| c.is_ascii_uppercase())
        && literal.chars().all(is_part)
}

/// Line, capability and RFC of each row.
pub(super) fn earlier(tree: &Tree) -> impl Iterator<Item = (usize, &str, &str)> {
    let rows = tree.text(EARLIER_PATH).unwrap_or_default().lines();
    let rows = rows.enumerate().filter(|(_, line)| !line.starts_with('#'));
    rows.filter_map(|(at, line)| {
        let (name, rfc) = line.split_once('\t')?;
        Some((at + 1, name, rfc))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str =
        "//! \"NOT\"\n&[\"ONE\", \"a b\"]; format!(\"TWO={n}\"); format!(\"AUTH={}\")\n";
    const SASL: &str = "Self::Plain => \"PLAIN\",\nf(\"Debug\")\n#[cfg(test)] \"NO\"\n";
    const PYTHON: &str = "@check(\"ONE\", \"AUTH=PLAIN\")\ndef works(server):\n";

    fn found(python: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (LIST, CODE),
            (MECHANISMS[0], SASL),
            ("tests/clients/x.py", python),
            (
                "tests/transcripts/a/b.txt",
                "# set: x\n# written from the RFC: TWO\n",
            ),
        ]);
        driven(&tree).into_iter().map(|it| it.what).collect()
    }

    #[test]
    fn each_capability_is_driven_by_somebody_else() {
        assert_eq!(found(PYTHON), [""; 0]);
        for (python, expected) in [
            (
                PYTHON.replace("\"ONE\", ", ""),
                "ONE is driven by no foreign client",
            ),
            (
                PYTHON.replace("PLAIN", "PLANE"),
                "AUTH=PLANE is not a capability",
            ),
        ] {
            let found = found(&python);
            assert!(
                found.iter().any(|it| it.contains(expected)),
                "{expected}: {found:?}"
            );
        }
    }
}
