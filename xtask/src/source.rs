//! Rust files as the checks see them: text, the same text without comments and strings, and
//! which lines are tests.
//!
//! This is a scanner, not a parser: it relies on the sources being what rustfmt leaves.

use std::ops::Range;
use std::path::Path;

use crate::Fallible;

/// One file of the repository, by its path from the top.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with every character of a comment or literal replaced by a space.
    pub(crate) code: String,
    /// Byte ranges of `#[cfg(test)]` items.
    tests: Vec<Range<usize>>,
    /// A file that only tests see.
    pub(crate) only_tests: bool,
}

/// One function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Line of the signature, from 1.
    pub(crate) line: usize,
    /// Lines from the signature to the closing brace.
    pub(crate) lines: usize,
    /// Byte range from `fn` to the closing brace.
    pub(crate) range: Range<usize>,
    pub(crate) in_test: bool,
    /// The author has said why it is long.
    pub(crate) excused: bool,
}

impl Source {
    /// Takes a text apart.
    pub(crate) fn new(path: &str, text: String) -> Self {
        let code = mask(&text);
        let tests = test_items(&code);
        let only_tests = path
            .split('/')
            .any(|p| matches!(p, "tests" | "benches" | "tests.rs"))
            || code.contains("#![cfg(test)]");
        Self {
            path: path.to_owned(),
            text,
            code,
            tests,
            only_tests,
        }
    }

    /// Whether a byte belongs to a test.
    pub(crate) fn is_test(&self, at: usize) -> bool {
        self.only_tests || self.tests.iter().any(|r| r.contains(&at))
    }

    /// Lines outside tests.
    pub(crate) fn program_lines(&self) -> usize {
        let mut at = 0;
        let mut lines = 0;
        for line in self.text.split_inclusive('\n') {
            lines += usize::from(!self.is_test(at));
            at += line.len();
        }
        lines
    }

    /// Line of a byte, from 1.
    pub(crate) fn line_of(&self, at: usize) -> usize {
        line_of(&self.text, at)
    }

    /// Every function with a body.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.code.get(from..).and_then(|rest| rest.find("fn ")) {
            let start = from + at;
            from = start + 3;
            found.extend(self.function(start));
        }
        found
    }

    fn function(&self, start: usize) -> Option<Function> {
        let before = self.code.get(..start)?.chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            return None;
        }
        let rest = self.code.get(start + 3..)?;
        let name: String = rest
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_')
            .collect();
        if name.is_empty() {
            return None; // a function pointer type
        }
        let range = start..item_end(&self.code, start)?;
        let body = self.code.get(range.clone())?;
        if !body.ends_with('}') {
            return None;
        }
        Some(Function {
            name,
            line: self.line_of(start),
            lines: body.lines().count(),
            in_test: self.is_test(start),
            excused: self.is_excused(&range),
            range,
        })
    }

    /// Whether a function is a test that is run, not a helper of one.
    pub(crate) fn is_run(&self, function: &Function) -> bool {
        let before = self.code.get(..function.range.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let above = before.get(..line_start).unwrap_or_default();
        let above = above.lines().rev().map(str::trim_start);
        let mut attributes = above.take_while(|line| {
            line.is_empty() || line.starts_with('#') || !line.ends_with([';', '}', '{'])
        });
        let is_test = |line: &str| line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        function.in_test && attributes.any(is_test)
    }

    /// A reason stands in the attributes and comments above the function, or inside it.
    fn is_excused(&self, range: &Range<usize>) -> bool {
        let inside = self.text.get(range.clone()).unwrap_or_default();
        let before = self.text.get(..range.start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let above = before.get(..line_start).unwrap_or_default().lines().rev();
        let mut above = above.take_while(|l| {
            let l = l.trim_start();
            !(l.is_empty() || l == "}" || l.ends_with(';'))
        });
        inside.contains(EXCUSE)
            || above.any(|l| l.contains(EXCUSE) || l.contains("clippy::too_many_lines"))
    }

    /// Names of modules in files of their own that only tests see.
    fn test_modules(&self) -> Vec<String> {
        let items = self.tests.iter().filter_map(|r| self.code.get(r.clone()));
        items.filter_map(module_name).collect()
    }
}

/// The words that excuse a long function or file; the reason follows.
pub(crate) const EXCUSE: &str = "// tidy: long because ";

/// Every file that git knows or would take.
pub(crate) fn files(root: &Path) -> Fallible<Vec<String>> {
    let output = std::process::Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .map_err(|e| format!("git ls-files: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "git ls-files: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut names: Vec<String> = listing.lines().map(str::to_owned).collect();
    names.retain(|n| root.join(n).is_file());
    names.sort();
    Ok(names)
}

/// The Rust files among the texts, taken apart.
pub(crate) fn rust(texts: &[(String, String)]) -> Vec<Source> {
    let rust = texts.iter().filter(|(path, _)| path.ends_with(".rs"));
    let mut sources: Vec<Source> = rust
        .map(|(path, text)| Source::new(path, text.clone()))
        .collect();
    mark_test_modules(&mut sources);
    sources
}

fn mark_test_modules(sources: &mut [Source]) {
    let mut prefixes = Vec::new();
    for source in sources.iter() {
        let directory = module_directory(&source.path);
        prefixes.extend(
            source
                .test_modules()
                .iter()
                .map(|m| format!("{directory}/{m}")),
        );
    }
    for source in sources {
        let within = |p: &String| {
            source
                .path
                .strip_prefix(p.as_str())
                .is_some_and(|r| r == ".rs" || r.starts_with('/'))
        };
        source.only_tests |= prefixes.iter().any(within);
    }
}

/// Where the modules that a file declares lie.
fn module_directory(path: &str) -> String {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    match file {
        "lib.rs" | "main.rs" | "mod.rs" => directory.to_owned(),
        _ => path.trim_end_matches(".rs").to_owned(),
    }
}

/// `name` of an item that ends with `mod name;`.
fn module_name(item: &str) -> Option<String> {
    let name = item.strip_suffix(';')?.rsplit_once("mod ")?.1;
    Some(name.trim().to_owned())
}

/// Line and content of each string literal that stands within a line, outside comments.
pub(crate) fn literals(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = code.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    lines.flat_map(|(at, line)| {
        let odd = line.split('"').skip(1).step_by(2);
        odd.map(move |literal| (at + 1, literal))
    })
}

/// Line of a byte, from 1.
pub(crate) fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|b| *b == b'\n').count() + 1
}

fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for marker in ["#[cfg(test)]", "#[cfg(any(test,", "#[cfg(all(test,"] {
        for (start, _) in code.match_indices(marker) {
            let end = item_end(code, start + marker.len()).unwrap_or(code.len());
            items.push(start..end);
        }
    }
    items
}

/// One past the `;` or closing brace of the item that starts here.
fn item_end(code: &str, start: usize) -> Option<usize> {
    let mut nested = 0_usize; // in parentheses or brackets
    let mut braces = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => nested += 1,
            b')' | b']' => nested = nested.saturating_sub(1),
            b'{' if nested == 0 => braces += 1,
            b'}' if nested == 0 && braces <= 1 => return Some(at + 1),
            b'}' if nested == 0 => braces -= 1,
            b';' if nested == 0 && braces == 0 => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Replaces comments and literals by spaces, byte for byte; line ends stay.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (hidden, length) = token(rest, out.chars().next_back(), first);
        let (taken, left) = rest.split_at(length);
        if hidden {
            out.extend(taken.bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }));
        } else {
            out.push_str(taken);
        }
        rest = left;
    }
    out
}

/// Length of what stands at the front, and whether it is hidden.
fn token(rest: &str, before: Option<char>, first: char) -> (bool, usize) {
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    match first {
        '/' if rest.starts_with("//") => (true, rest.find('\n').unwrap_or(rest.len())),
        '/' if rest.starts_with("/*") => (true, block_comment(rest)),
        '"' => (true, quoted(rest, '"')),
        'r' if !in_word || matches!(before, Some('b' | 'c')) => {
            raw_string(rest).map_or((false, 1), |n| (true, n))
        }
        '\'' => character(rest).map_or((false, 1), |n| (true, n)),
        _ => (!first.is_ascii(), first.len_utf8()),
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|t| !t.is_empty()) {
        match tail {
            t if t.starts_with("/*") => (depth, at) = (depth + 1, at + 2),
            t if t.starts_with("*/") => (depth, at) = (depth - 1, at + 2),
            t => at += t.chars().next().map_or(1, char::len_utf8),
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Length of a literal between two marks, with backslash escapes.
fn quoted(rest: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.bytes().skip(1).take_while(|b| *b == b'#').count();
    let body = rest.get(1 + hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close)?;
    Some(2 + hashes + end + close.len())
}

/// Length of a character literal; `None` if this is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut chars = rest.char_indices().skip(1);
    let (_, first) = chars.next()?;
    if first == '\\' {
        return Some(quoted(rest, '\''));
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r####"//! Header.
/// Takes `{` lightly.
fn short<'a>(x: &'a str) -> [u8; 2] {
    let _ = "} fn no() {"; // }
    let _ = (r#"" } "#, '{', '\'', b'}');
    [0; 2]
}
trait T { fn declared(&self); }
#[expect(clippy::too_many_lines, reason = "a table")]
fn excused() {
    /* { /* nested */ */
}
#[cfg(test)]
mod tests {
    fn within() {}
}
#[cfg(test)]
mod elsewhere;
"####;

    #[test]
    fn functions_are_measured_through_literals_and_comments() {
        let source = Source::new("a/src/lib.rs", TEXT.to_owned());
        let found: Vec<_> = source
            .functions()
            .iter()
            .map(|f| (f.name.clone(), f.line, f.lines, f.in_test, f.excused))
            .collect();
        let expected = [
            ("short", 3, 5, false, false),
            ("excused", 10, 3, false, true),
            ("within", 15, 1, true, false),
        ];
        assert_eq!(
            found,
            expected.map(|(n, l, c, t, e)| (n.to_owned(), l, c, t, e))
        );
        assert_eq!(source.code.len(), TEXT.len());
    }

    #[test]
    fn a_module_that_only_tests_see_is_known_by_its_file() {
        let parent = Source::new("a/src/lib.rs", TEXT.to_owned());
        let child = Source::new("a/src/elsewhere/x.rs", "fn x() {}\n".to_owned());
        let mut sources = [parent, child];
        mark_test_modules(&mut sources);
        assert!(!sources[0].only_tests && sources[1].only_tests);
    }
}
