//! What went wrong, to what, and what to do next: the one form in which the
//! program tells a person about a failure. It does not log and does not decide
//! exit codes; `cli::Exit` does.

use std::fmt;

/// One failure, told so that the reader can act on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What happened, as a sentence without a full stop.
    pub what: String,
    /// The thing it happened to: a key and its source, a file, an account.
    pub to_what: String,
    /// What the reader can do now.
    pub next: String,
}

impl Problem {
    /// A problem from its three parts.
    pub fn new(
        what: impl Into<String>,
        to_what: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            what: what.into(),
            to_what: to_what.into(),
            next: next.into(),
        }
    }

    /// The problem for programs, as `--json` prints it.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({ "what": self.what, "where": self.to_what, "next": self.next })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\n  where: {}\n  next:  {}",
            self.what, self.to_what, self.next
        )
    }
}

impl std::error::Error for Problem {}

/// Every problem of one step, found together so that they can be mended together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// `Ok` with the value when nothing went wrong.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_what_where_and_next() {
        let problem = Problem::new("the port is taken", "Imap:Port 143", "choose another port");
        assert_eq!(
            problem.to_string(),
            "the port is taken\n  where: Imap:Port 143\n  next:  choose another port"
        );
    }

    #[test]
    fn programs_get_the_same_three_sentences() {
        let json = Problem::new("a", "b", "c").to_json().to_string();
        assert_eq!(json, r#"{"what":"a","where":"b","next":"c"}"#);
    }

    #[test]
    fn problems_are_printed_together() {
        let both = Problems(vec![
            Problem::new("a", "b", "c"),
            Problem::new("d", "e", "f"),
        ]);
        assert_eq!(both.to_string().lines().count(), 6);
        assert_eq!(Problems::default().or(1), Ok(1));
        assert!(both.or(1).is_err());
    }
}
