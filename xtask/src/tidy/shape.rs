//! The shape of a file: its header, its length, and the length of its functions.

use std::fmt;

use super::{Problem, Tree};
use crate::source::{EXCUSE, Function, Source};

const FILE_LINES_MAX: usize = 800;
const FUNCTION_LINES_MAX: usize = 70;
const FUNCTION_LINES_MEDIAN_MAX: usize = 12;

/// Every file says first what it is.
pub(super) fn headers(tree: &Tree) -> Vec<Problem> {
    let bare = tree.rust.iter().filter(|s| !s.text.starts_with("//!"));
    bare.map(|s| Problem::new(&s.path, 1, "begins without a `//!` header"))
        .collect()
}

/// A file past the limit says why.
pub(super) fn long_files(tree: &Tree) -> Vec<Problem> {
    let long = tree
        .rust
        .iter()
        .filter(|s| !s.only_tests && !has_own_excuse(s));
    let long = long
        .map(|s| (s, s.program_lines()))
        .filter(|(_, n)| *n > FILE_LINES_MAX);
    long.map(|(s, n)| {
        let what = format!("{n} lines without tests; split it or say `{EXCUSE}…`");
        Problem::new(&s.path, 0, what)
    })
    .collect()
}

/// The excuse of a file stands at the left margin; that of a function is indented in it.
fn has_own_excuse(source: &Source) -> bool {
    source.text.lines().any(|l| l.starts_with(EXCUSE))
}

/// A function past the limit says why.
pub(super) fn long_functions(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for source in &tree.rust {
        let long = source.functions().into_iter().filter(|f| !f.excused);
        for function in long.filter(|f| f.lines > FUNCTION_LINES_MAX) {
            let what = format!(
                "`{}` has {} lines; split it, expect clippy::too_many_lines with a reason, or say `{EXCUSE}…`",
                function.name, function.lines
            );
            problems.push(Problem::new(&source.path, function.line, what));
        }
    }
    problems
}

/// How long the functions outside tests are.
pub(super) struct Lengths(Vec<usize>);

/// Measures every function outside tests that holds no other.
pub(super) fn lengths(tree: &Tree) -> Lengths {
    let mut lines: Vec<usize> = tree.rust.iter().flat_map(leaf_lengths).collect();
    lines.sort_unstable();
    Lengths(lines)
}

fn leaf_lengths(source: &Source) -> Vec<usize> {
    let functions = source.functions();
    let is_leaf = |f: &Function| {
        !functions
            .iter()
            .any(|g| f.range.contains(&g.range.start) && g.range != f.range)
    };
    functions
        .iter()
        .filter(|f| !f.in_test && is_leaf(f))
        .map(|f| f.lines)
        .collect()
}

impl Lengths {
    /// The length that this share of all functions does not exceed.
    fn percentile(&self, percent: usize) -> usize {
        let at = self.0.len().saturating_sub(1) * percent / 100;
        self.0.get(at).copied().unwrap_or(0)
    }

    pub(super) fn problem(&self) -> Option<Problem> {
        let median = self.percentile(50);
        let what =
            format!("the median function has {median} lines, {FUNCTION_LINES_MEDIAN_MAX} at most");
        (median > FUNCTION_LINES_MEDIAN_MAX).then(|| Problem::new(".", 0, what))
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p90, p99, max] = [50, 90, 99, 100].map(|p| self.percentile(p));
        let count = self.0.len();
        write!(
            f,
            "{count} functions: median {p50} lines, p90 {p90}, p99 {p99}, longest {max}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_lengths() {
        let lengths = Lengths((1..=101).collect());
        assert_eq!(
            [0, 50, 90, 100].map(|p| lengths.percentile(p)),
            [1, 51, 91, 101]
        );
        assert_eq!(lengths.problem().map(|p| p.line), Some(0));
        assert!(Lengths(vec![3, 12, 70]).problem().is_none());
    }
}
