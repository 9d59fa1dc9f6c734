//! The rules of the house that neither the compiler nor clippy can check.
//!
//! Each rule is one function from the tree to problems. A remark that comes up twice in review
//! becomes a rule here, or is dropped.

mod capabilities;
mod coverage;
mod duties;
mod manifests;
mod page;
mod reference;
pub(crate) mod rfc_page;
pub(crate) mod rules;
mod shape;
mod text;
pub(crate) mod threats;

use std::path::Path;
use std::process::ExitCode;

use crate::source::{self, Source};
use crate::{Fallible, rfc};

/// Crates whose shape is checked.
pub(crate) const CRATES: [&str; 5] = ["mail", "wire", "store", "server", "xtask"];

/// What the rules look at.
pub(crate) struct Tree {
    /// Every text file, by its path from the top, Rust or not.
    pub(crate) texts: Vec<(String, String)>,
    /// The Rust files of the workspace.
    pub(crate) rust: Vec<Source>,
    pub(crate) sections: rfc::Index,
}

/// One broken rule at one place.
#[derive(Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Problem {
    pub(crate) path: String,
    /// From 1; 0 if it is about the whole file.
    pub(crate) line: usize,
    pub(crate) what: String,
}

/// What a run found.
pub(crate) struct Report {
    pub(crate) problems: Vec<Problem>,
    pub(crate) figures: String,
}

/// `cargo xtask tidy`.
pub(crate) fn command(root: &Path) -> Fallible<ExitCode> {
    let report = check(root)?;
    for problem in &report.problems {
        println!("{problem}");
    }
    println!("{}", report.figures);
    println!("tidy: {} problems", report.problems.len());
    Ok(if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs every rule.
pub(crate) fn check(root: &Path) -> Fallible<Report> {
    let tree = Tree::load(root)?;
    let mut problems = Vec::new();
    problems.extend(shape::headers(&tree));
    problems.extend(shape::long_files(&tree));
    problems.extend(shape::long_functions(&tree));
    problems.extend(text::references(&tree));
    problems.extend(text::spelled_out_references(&tree));
    problems.extend(text::unwanted_words(&tree));
    problems.extend(text::machine_paths(&tree));
    problems.extend(text::sequence_numbers(&tree));
    problems.extend(manifests::arrows(&tree));
    problems.extend(coverage::transcripts(&tree));
    problems.extend(coverage::protocol_rules(&tree));
    problems.extend(reference::rows(&tree));
    problems.extend(rules::PAGE.current(&tree));
    problems.extend(duties::rows(&tree));
    problems.extend(capabilities::driven(&tree));
    problems.extend(rfc_page::PAGE.current(&tree));
    problems.extend(threats::rows(&tree));
    problems.extend(threats::PAGE.current(&tree));
    let lengths = shape::lengths(&tree);
    problems.extend(lengths.problem());
    problems.sort();
    Ok(Report {
        problems,
        figures: lengths.to_string(),
    })
}

impl Tree {
    fn load(root: &Path) -> Fallible<Self> {
        let names = source::files(root)?;
        let mut texts = Vec::new();
        for name in &names {
            let bytes = std::fs::read(root.join(name)).map_err(|e| format!("{name}: {e}"))?;
            texts.extend(
                String::from_utf8(bytes)
                    .ok()
                    .map(|text| (name.clone(), text)),
            );
        }
        let mut rust = source::rust(&texts);
        rust.retain(|s| CRATES.iter().any(|c| is_in(&s.path, c)));
        Ok(Self {
            texts,
            rust,
            sections: rfc::Index::load(root)?,
        })
    }

    /// A text by its exact path.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts
            .iter()
            .find(|(p, _)| p == path)
            .map(|(_, text)| text.as_str())
    }

    /// The test functions of the workspace: the file each stands in, and its name.
    fn test_functions(&self) -> impl Iterator<Item = (&str, String)> {
        self.rust.iter().flat_map(|source| {
            let tests = source.functions().into_iter().filter(|f| f.in_test);
            tests.map(|f| (source.path.as_str(), f.name))
        })
    }

    /// The tests of the workspace that are run: the file each stands in, and its name.
    fn tests_that_run(&self) -> impl Iterator<Item = (&str, String)> {
        let functions = self.rust.iter().flat_map(|source| {
            let tests = source.functions().into_iter().filter(|f| source.is_run(f));
            tests.map(|f| (source.path.as_str(), f.name))
        });
        functions.chain(coverage::contract(self))
    }

    /// A tree of these files only.
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let texts: Vec<_> = files
            .iter()
            .map(|(p, t)| ((*p).to_owned(), (*t).to_owned()))
            .collect();
        Self {
            rust: source::rust(&texts),
            texts,
            sections: rfc::Index::default(),
        }
    }
}

/// Whether a path lies in a directory at the top.
pub(crate) fn is_in(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.starts_with('/'))
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

impl Problem {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let report = check(&crate::root()).unwrap();
        let lines: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }
}
