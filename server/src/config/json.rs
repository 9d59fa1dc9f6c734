//! JSON as `appsettings.json` files are written: `//` and `/* */` comments and
//! trailing commas are allowed, objects are flattened to paths, and the line of
//! every value is kept. A key that stands twice is reported twice; whether that
//! is an error is not decided here. Strings and numbers are left to `serde_json`.

/// One value that is neither object nor list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leaf {
    pub(super) path: Vec<String>,
    /// The value as text; `None` for null.
    pub(super) value: Option<String>,
    /// Counted from 1.
    pub(super) line: usize,
}

/// Why a file is not JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) what: String,
    pub(super) line: usize,
}

/// Objects and lists inside one another.
const DEPTH_MAX: usize = 32;

/// The leaves of a file, in its order.
pub(super) fn flatten(file: &[u8]) -> Result<Vec<Leaf>, JsonError> {
    let text = std::str::from_utf8(file).map_err(|_| JsonError {
        what: "it is not UTF-8".to_owned(),
        line: 1,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut scanner = Scanner {
        text,
        at: 0,
        path: Vec::new(),
        leaves: Vec::new(),
    };
    scanner.blanks()?;
    if scanner.peek() != Some('{') {
        return Err(scanner.error("it must begin with {"));
    }
    scanner.value()?;
    scanner.blanks()?;
    match scanner.peek() {
        None => Ok(scanner.leaves),
        Some(_) => Err(scanner.error("something follows the closing }")),
    }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    path: Vec<String>,
    leaves: Vec<Leaf>,
}

impl<'a> Scanner<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn line(&self) -> usize {
        let read = self.text.get(..self.at).unwrap_or_default();
        read.bytes().filter(|b| *b == b'\n').count() + 1
    }

    fn error(&self, what: &str) -> JsonError {
        JsonError {
            what: what.to_owned(),
            line: self.line(),
        }
    }

    /// Moves past the character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    /// Moves past white space and comments.
    fn blanks(&mut self) -> Result<(), JsonError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                let end = trimmed
                    .find("*/")
                    .ok_or_else(|| self.error("a comment has no end"))?;
                self.at += end + 2;
            } else {
                return Ok(());
            }
        }
    }

    fn value(&mut self) -> Result<(), JsonError> {
        if self.path.len() > DEPTH_MAX {
            return Err(self.error("it is nested too deep"));
        }
        match self.peek() {
            Some('{') => self.object(),
            Some('[') => self.list(),
            Some('"') => {
                let line = self.line();
                let text = self.string()?;
                self.leaf(Some(text), line);
                Ok(())
            }
            _ => self.bare(),
        }
    }

    fn leaf(&mut self, value: Option<String>, line: usize) {
        self.leaves.push(Leaf {
            path: self.path.clone(),
            value,
            line,
        });
    }

    fn object(&mut self) -> Result<(), JsonError> {
        self.take('{');
        loop {
            self.blanks()?;
            if self.take('}') {
                return Ok(());
            }
            if self.peek() != Some('"') {
                return Err(self.error("expected a key in quotes, or }"));
            }
            let key = self.string()?;
            self.blanks()?;
            if !self.take(':') {
                return Err(self.error("expected : after a key"));
            }
            self.blanks()?;
            // .NET reads "Imap:Port" as a key as two levels.
            let above = self.path.len();
            self.path.extend(key.split(':').map(str::to_owned));
            self.value()?;
            self.path.truncate(above);
            self.comma_or('}')?;
        }
    }

    fn list(&mut self) -> Result<(), JsonError> {
        let line = self.line();
        self.take('[');
        let mut index = 0_usize;
        loop {
            self.blanks()?;
            if self.take(']') {
                if index == 0 {
                    self.leaf(Some(String::new()), line);
                }
                return Ok(());
            }
            self.path.push(index.to_string());
            self.value()?;
            self.path.pop();
            index += 1;
            self.comma_or(']')?;
        }
    }

    /// After an item stands a comma or the end; the end is left for the caller.
    fn comma_or(&mut self, end: char) -> Result<(), JsonError> {
        self.blanks()?;
        if self.take(',') || self.peek() == Some(end) {
            return Ok(());
        }
        Err(self.error(&format!("expected , or {end}")))
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.bytes().skip(1).position(|b| {
            let ends = b == b'"' && !escaped;
            escaped = b == b'\\' && !escaped;
            ends || b == b'\n'
        });
        let literal = end.and_then(|end| rest.get(..end + 2));
        let literal = literal.ok_or_else(|| self.error("a text has no closing quote"))?;
        let text = serde_json::from_str(literal)
            .map_err(|_| self.error("a text has no closing quote or a wrong escape"))?;
        self.at += literal.len();
        Ok(text)
    }

    /// A number, true, false or null, kept as it is written.
    fn bare(&mut self) -> Result<(), JsonError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"+-.".contains(c));
        let literal = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        let value = match serde_json::from_str::<serde_json::Value>(literal) {
            Ok(serde_json::Value::Null) => None,
            Ok(_) => Some(literal.to_owned()),
            Err(_) => return Err(self.error("expected a value")),
        };
        self.leaf(value, self.line());
        self.at += literal.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str) -> Vec<(String, Option<String>, usize)> {
        let leaves = flatten(text.as_bytes()).unwrap();
        leaves
            .into_iter()
            .map(|leaf| (leaf.path.join(":"), leaf.value, leaf.line))
            .collect()
    }

    #[test]
    fn objects_lists_comments_and_trailing_commas_are_flattened() {
        let text = "\u{feff}{\n // one\n \"Imap\": { \"Port\": 1143, /* two\n */ \"Addresses\": \
                    [\"::1\", \"127.0.0.1\",],\n },\n \"Store:Path\": \"a\\\"//b\",\n \"X\": null, \
                    \"E\": [] , \"B\": true }\n// end";
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(
            flat(text),
            [
                ("Imap:Port".to_owned(), some("1143"), 3),
                ("Imap:Addresses:0".to_owned(), some("::1"), 4),
                ("Imap:Addresses:1".to_owned(), some("127.0.0.1"), 4),
                ("Store:Path".to_owned(), some("a\"//b"), 6),
                ("X".to_owned(), None, 7),
                ("E".to_owned(), some(""), 7),
                ("B".to_owned(), some("true"), 7),
            ]
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_line() {
        let deep = "{\"a\":".repeat(40);
        for (text, line, what) in [
            ("", 1, "must begin"),
            ("[1]", 1, "must begin"),
            ("{\n\"a\" 1}", 2, "expected :"),
            ("{\"a\": 1\n\"b\": 2}", 2, "expected ,"),
            ("{\"a\": \"x\n\"}", 1, "closing quote"),
            ("{\"a\": \"\\q\"}", 1, "escape"),
            ("{\"a\": nope}", 1, "expected a value"),
            ("{\"a\": 01}", 1, "expected a value"),
            ("{\"a\": }", 1, "expected a value"),
            ("{a: 1}", 1, "key in quotes"),
            ("{} x", 1, "follows"),
            ("{/*", 1, "no end"),
            ("{\"a\": [1 2]}", 1, "expected , or ]"),
            (deep.as_str(), 1, "too deep"),
        ] {
            let error = flatten(text.as_bytes()).unwrap_err();
            assert_eq!(error.line, line, "{text}");
            assert!(error.what.contains(what), "{text}: {}", error.what);
        }
        assert!(flatten(b"{\"a\": \"\xff\"}").is_err());
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error_and_nothing_worse() {
        let whole = "{ \"Imap\": { \"Port\": 1143, \"A\": [1, \"é\\n\"] /* x */ } } // y";
        for end in 0..whole.find("} } //").unwrap() {
            if whole.is_char_boundary(end) {
                assert!(flatten(&whole.as_bytes()[..end]).is_err(), "{end}");
            }
        }
    }
}
