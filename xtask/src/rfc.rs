//! The table of RFC sections: reading it, and making it from the texts.
//!
//! The texts themselves are not kept in the repository. `docs/rfc/sections.tsv` is what is left
//! of them (RFC, section, title); `docs/rfc/sections-by-hand.tsv` holds the same for RFCs whose
//! text was not at hand, and is never written by a program.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use crate::{Fallible, read};

const GENERATED: &str = "docs/rfc/sections.tsv";
const BY_HAND: &str = "docs/rfc/sections-by-hand.tsv";

/// One numbered section of one RFC.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Section {
    pub(crate) rfc: u32,
    pub(crate) number: String,
    pub(crate) title: String,
}

/// Every section a reference may name.
#[derive(Debug, Default)]
pub(crate) struct Index {
    known: BTreeSet<(u32, String)>,
}

impl Index {
    /// Reads both tables.
    pub(crate) fn load(root: &Path) -> Fallible<Self> {
        let mut index = Self::default();
        for name in [GENERATED, BY_HAND] {
            let text = read(&root.join(name))?;
            for (at, line) in text.lines().enumerate() {
                index
                    .add(line)
                    .map_err(|e| format!("{name}:{}: {e}", at + 1))?;
            }
        }
        Ok(index)
    }

    fn add(&mut self, line: &str) -> Fallible<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let mut columns = line.split('\t');
        let (Some(rfc), Some(number), Some(_)) = (columns.next(), columns.next(), columns.next())
        else {
            return Err("expected RFC, section and title between tabs".to_owned());
        };
        let rfc = rfc.parse().map_err(|_| format!("{rfc} is not a number"))?;
        self.known.insert((rfc, number.to_owned()));
        Ok(())
    }

    /// Whether the section exists.
    pub(crate) fn has(&self, rfc: u32, section: &str) -> bool {
        self.known.contains(&(rfc, section.to_owned()))
    }
}

/// `cargo xtask rfc-index DIR`.
pub(crate) fn command(root: &Path, dir: &Path) -> Fallible<ExitCode> {
    let mut out = String::from("# RFC\tsection\ttitle: made by `cargo xtask rfc-index DIR`\n");
    let texts = texts_in(dir)?;
    for (rfc, text) in &texts {
        for section in sections_of(*rfc, text) {
            out.push_str(&format!("{rfc}\t{}\t{}\n", section.number, section.title));
        }
    }
    let path = root.join(GENERATED);
    std::fs::write(&path, out).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{GENERATED}: {} RFCs", texts.len());
    Ok(ExitCode::SUCCESS)
}

/// The `rfcNNNN.txt` files of a directory, by number.
fn texts_in(dir: &Path) -> Fallible<Vec<(u32, String)>> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut texts = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| e.to_string())?.path();
        let stem = path
            .file_stem()
            .and_then(|s| s.to_str())
            .unwrap_or_default();
        if let Some(number) = stem.strip_prefix("rfc").and_then(|n| n.parse().ok()) {
            let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            texts.push((number, String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    texts.sort();
    Ok(texts)
}

/// The sections of one RFC, in the order of the text.
///
/// A heading stands at the left margin with an empty line (or a page break) above it, which no
/// line of a table of contents does, and comes after the heading before it in the order of
/// numbers, which tells it from a numbered list.
pub(crate) fn sections_of(rfc: u32, text: &str) -> Vec<Section> {
    let lines = without_page_breaks(text);
    let mut sections: Vec<Section> = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let above = at
            .checked_sub(1)
            .and_then(|a| lines.get(a))
            .copied()
            .unwrap_or_default();
        let Some((number, title)) = heading(line) else {
            continue;
        };
        let follows = sections
            .last()
            .is_none_or(|last| comes_after(&number, &last.number));
        if !above.trim().is_empty() || !follows {
            continue;
        }
        let title = format!("{title} {}", continuation(&lines, at));
        let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
        sections.push(Section { rfc, number, title });
    }
    sections
}

/// The lines without form feeds, page footers and page headers.
fn without_page_breaks(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut after_break = false;
    for line in text.lines() {
        let line = line.trim_end();
        let footer = line.ends_with(']') && line.contains("[Page ");
        let header = after_break && line.starts_with("RFC ");
        after_break = (after_break && line.is_empty()) || footer || line.contains('\u{c}');
        if !footer && !header {
            lines.push(line.trim_start_matches('\u{c}'));
        }
    }
    lines
}

/// Number and title of a line that looks like a heading.
fn heading(line: &str) -> Option<(String, String)> {
    let line = line.strip_prefix("Appendix ").unwrap_or(line);
    let (number, title) = line.split_once(' ')?;
    let number = number.trim_end_matches([':', '.']);
    let title = title.trim();
    let starts_well = title.starts_with(|c: char| c.is_alphanumeric() || "\"([<`#\\".contains(c));
    let in_contents = title.contains(". . .") || title.contains("....");
    (is_number(number) && starts_well && !in_contents)
        .then(|| (number.to_owned(), title.to_owned()))
}

/// `6.4.5`, `A` or `A.1`.
fn is_number(text: &str) -> bool {
    let mut parts = text.split('.');
    let first = parts.next().unwrap_or_default();
    let letter = first.len() == 1 && first.chars().all(|c| c.is_ascii_uppercase());
    (letter || is_count(first)) && parts.all(is_count)
}

fn is_count(text: &str) -> bool {
    (1..=2).contains(&text.len()) && text.chars().all(|c| c.is_ascii_digit())
}

/// The rest of a title that takes more than one line: indented, without a gap.
fn continuation<'a>(lines: &[&'a str], at: usize) -> &'a str {
    let next = lines.get(at + 1).copied().unwrap_or_default();
    let ends = lines.get(at + 2).is_none_or(|l| l.is_empty());
    if next.starts_with("    ") && ends {
        next
    } else {
        ""
    }
}

/// Whether a heading with this number may follow that one; appendices come last.
fn comes_after(number: &str, before: &str) -> bool {
    order(number) > order(before)
}

/// What sections are sorted by.
pub(crate) fn order(number: &str) -> Vec<u32> {
    let rank = |part: &str| match part.chars().next() {
        Some(letter) if letter.is_ascii_uppercase() => 1000 + u32::from(letter),
        _ => part.parse().unwrap_or(0),
    };
    number.split('.').map(rank).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Table of Contents

   1.  Introduction . . . . . 1
1.1.  Left margin, but with dots .......... 2

1.  Introduction

   Text.

The count was
3 apples in running text.

Author                     Informational                [Page 1]
\u{c}
RFC 1                      Apples                       May 1990

1.1.  A title that takes
      two lines

   1.  a list

6.4.5.1.  Deep
not a heading because a line stands above

Appendix A.  Extras

A.1.  More
";

    #[test]
    fn headings_are_found_and_lists_and_contents_are_not() {
        let found: Vec<String> = sections_of(1, TEXT)
            .into_iter()
            .map(|s| format!("{} {}", s.number, s.title))
            .collect();
        let expected = [
            "1 Introduction",
            "1.1 A title that takes two lines",
            "6.4.5.1 Deep",
            "A Extras",
            "A.1 More",
        ];
        assert_eq!(
            found
                .iter()
                .filter(|f| !f.starts_with("3 "))
                .collect::<Vec<_>>(),
            expected
        );
    }
}
