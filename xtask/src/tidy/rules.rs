//! `docs/rules.md`: every protocol rule and where it is tested, made from `docs/rules.tsv` and the
//! names of tests.

use std::collections::{BTreeMap, BTreeSet};

use super::{Tree, coverage, page::Page};

/// `cargo xtask rules`.
pub(crate) const PAGE: Page = Page {
    path: "docs/rules.md",
    command: "cargo xtask rules",
    text: page,
};

const INTRODUCTION: &str = "\
# Protocol rules and their tests

Rules that clients and testers hold a server to, in our own words. Each rule in force has a test
named after it: a test function, or a transcript, called `rule_NN_…`. Rules of extensions that are
not offered yet come with the issue named. This page is made by `cargo xtask rules` from
`docs/rules.tsv` and the names of tests, and `cargo xtask tidy` says when it is out of date.

| rule | what it says | tested in |
|---:|---|---|
";

fn page(tree: &Tree) -> String {
    let tested = coverage::rules_tested(tree);
    let rules = tree.text(coverage::RULES).unwrap_or_default();
    let rows = rules.lines().filter(|line| !line.starts_with('#'));
    let rows = rows.map(|line| row(line, &tested));
    INTRODUCTION.to_owned() + &rows.collect::<String>()
}

fn row(line: &str, tested: &BTreeMap<u32, BTreeSet<String>>) -> String {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (number, title, when) = (next(), next(), next());
    let files = number.parse().ok().and_then(|n: u32| tested.get(&n));
    let mut places: Vec<String> = files
        .into_iter()
        .flatten()
        .map(|path| format!("[{path}](../{path})"))
        .collect();
    places.extend((when != "now").then(|| when.to_owned()));
    format!("| {number} | {title} | {} |\n", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_names_its_files_or_its_issue() {
        let files = BTreeSet::from(["a/b.rs".to_owned(), "c.txt".to_owned()]);
        let tested = BTreeMap::from([(7, files)]);
        assert_eq!(
            row("7\tseven\tnow", &tested),
            "| 7 | seven | [a/b.rs](../a/b.rs), [c.txt](../c.txt) |\n"
        );
        assert_eq!(
            row("8\teight\tlater: issue 5", &tested),
            "| 8 | eight | later: issue 5 |\n"
        );
    }
}
