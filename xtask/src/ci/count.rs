//! Counting tests from what their runners print last.

use std::fmt;
use std::ops::AddAssign;

/// How many checks went which way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Count {
    /// Adds up every closing line found. Nextest repeats what a failed test printed, closing
    /// lines and all, so where it speaks only its own summary counts.
    pub(crate) fn of_lines<'a>(lines: impl Iterator<Item = &'a str> + Clone) -> Self {
        let mut total = Self::default();
        let is_nextest = lines.clone().any(is_summary);
        let lines = lines.filter(|line| !is_nextest || is_summary(line));
        for count in lines.filter_map(closing_counts) {
            total += count;
        }
        total
    }

    /// Brings the counts and the exit code together: a command without counts counts as one, and
    /// one that failed without saying what failed is a failure all the same.
    pub(crate) fn settled(mut self, succeeded: bool) -> Self {
        if !succeeded && self.failed == 0 {
            self.failed = 1;
        } else if self == Self::default() {
            self.passed = 1;
        }
        self
    }

    /// The same with every skip made a failure.
    pub(crate) fn without_skips(self) -> Self {
        Self {
            passed: self.passed,
            failed: self.failed + self.skipped,
            skipped: 0,
        }
    }

    /// The line that closes a run.
    pub(crate) fn closing_line(self) -> String {
        match self.skipped {
            0 => format!("{} passed, {} failed", self.passed, self.failed),
            skipped => format!(
                "{} passed, {} failed, {skipped} skipped",
                self.passed, self.failed
            ),
        }
    }

    fn add(&mut self, word: &str, n: u64) {
        match word {
            "passed" => self.passed += n,
            "failed" | "timed" | "exec" => self.failed += n,
            "skipped" | "ignored" => self.skipped += n,
            _ => {}
        }
    }
}

/// Whether nextest closes its run with this line.
fn is_summary(line: &str) -> bool {
    line.trim_start().starts_with("Summary [")
}

/// The counts of a closing line of nextest, of cargo test, or of a script of ours.
fn closing_counts(line: &str) -> Option<Count> {
    let line = line.trim();
    let list = if is_summary(line) {
        line.split_once(" run: ")?.1
    } else if let Some(rest) = line.strip_prefix("test result: ") {
        rest.split_once(". ")?.1
    } else if is_plain(line) {
        line
    } else {
        return None;
    };
    let mut count = Count::default();
    for part in without_parentheses(list).split([',', ';']) {
        let mut words = part.split_whitespace();
        if let (Some(n), Some(word)) = (words.next(), words.next()) {
            count.add(word, n.parse().unwrap_or(0));
        }
    }
    Some(count)
}

/// `N passed, N failed`, perhaps with `, N skipped`, and nothing else.
fn is_plain(line: &str) -> bool {
    let parts: Vec<Vec<&str>> = line.split(", ").map(|p| p.split(' ').collect()).collect();
    let words = ["passed", "failed", "skipped"];
    let fits = |(part, word): (&Vec<&str>, &str)| match part.as_slice() {
        [n, w] => *w == word && n.bytes().all(|b| b.is_ascii_digit()),
        _ => false,
    };
    matches!(parts.len(), 2 | 3) && parts.iter().zip(words).all(fits)
}

/// Drops asides such as `(1 slow, 2 flaky)`.
fn without_parentheses(text: &str) -> String {
    let mut depth = 0_u32;
    let keep = |c: &char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => return depth == 0,
        }
        false
    };
    text.chars().filter(keep).collect()
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.closing_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_of_each_runner_are_read() {
        let cases = [
            (
                "     Summary [   1.2s] 9 tests run: 7 passed (1 slow, 2 flaky), 1 failed, 1 timed out, 3 skipped",
                [7, 2, 3],
            ),
            (
                "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 5 filtered out; finished in 0.00s",
                [3, 1, 2],
            ),
            ("12 passed, 0 failed", [12, 0, 0]),
            ("12 passed, 1 failed, 2 skipped", [12, 1, 2]),
            ("then 12 passed, 1 failed", [0, 0, 0]),
            ("12 passed, x failed", [0, 0, 0]),
        ];
        for (line, [passed, failed, skipped]) in cases {
            let found = Count::of_lines([line].into_iter());
            assert_eq!(
                found,
                Count {
                    passed,
                    failed,
                    skipped
                },
                "{line}"
            );
        }
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted_again() {
        let lines = [
            "    test result: FAILED. 0 passed; 1 failed; 0 ignored",
            "    2 passed, 3 failed",
            "     Summary [   1.2s] 2 tests run: 1 passed, 1 failed, 0 skipped",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored",
        ];
        let found = Count::of_lines(lines.into_iter());
        assert_eq!((found.passed, found.failed), (1, 1));
    }

    #[test]
    fn an_exit_code_is_never_outvoted() {
        let passed = Count {
            passed: 5,
            ..Count::default()
        };
        assert_eq!(passed.settled(false).failed, 1);
        assert_eq!(passed.settled(true), passed);
        assert_eq!(Count::default().settled(true).passed, 1);
    }
}
