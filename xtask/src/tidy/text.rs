//! What may and may not stand in a text: references that resolve, no words of unfinished work,
//! no path of one machine, and no sequence number where none belongs.

use super::{Problem, Tree, is_in};
use crate::source::line_of;

/// Every `RFC n §s` names a section that exists.
pub(super) fn references(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree
        .texts
        .iter()
        .filter(|(p, _)| p.ends_with(".rs") || p.ends_with(".md"))
    {
        for (line, rfc, section) in references_in(text) {
            if !tree.sections.has(rfc, &section) {
                let what = format!("RFC {rfc} has no section {section} that we know of");
                problems.push(Problem::new(path, line, what));
            }
        }
    }
    problems
}

/// Line, RFC and section of each reference.
///
/// One RFC may be followed by several sections (`RFC n §a, §b and §c`, also over the end of a
/// comment line), each with its own sign.
fn references_in(text: &str) -> Vec<(usize, u32, String)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("RFC ") {
        let rest = text.get(at + 4..).unwrap_or_default();
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, mut rest) = rest.split_at(digits);
        let Ok(rfc) = number.parse() else { continue };
        while let Some(section) = next_section(&mut rest) {
            found.push((line_of(text, at), rfc, section));
        }
    }
    found
}

/// Takes a joint and one section from the front.
fn next_section(rest: &mut &str) -> Option<String> {
    let sign = rest.find('§')?;
    let (joint, after) = rest.split_at(sign);
    let is_joint = |word: &str| {
        matches!(
            word,
            "," | "and" | "or" | "/" | "//" | "///" | "//!" | "#" | "*" | "–" | "-" | "to"
        )
    };
    if !joint.replace(',', " , ").split_whitespace().all(is_joint) {
        return None;
    }
    let after = after.trim_start_matches('§').trim_start_matches(' ');
    let length = after
        .bytes()
        .take_while(|b| b.is_ascii_alphanumeric() || *b == b'.')
        .count();
    let (section, left) = after.split_at(length);
    *rest = left;
    let section = section.trim_end_matches('.');
    (!section.is_empty()).then(|| section.to_owned())
}

/// A section is named with its sign, so that it can be checked.
pub(super) fn spelled_out_references(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree
        .texts
        .iter()
        .filter(|(p, _)| p.ends_with(".rs") || p.ends_with(".md"))
    {
        for (at, line) in text.lines().enumerate() {
            if is_spelled_out(line) {
                problems.push(Problem::new(path, at + 1, "write a section as `RFC n §s`"));
            }
        }
    }
    problems
}

fn is_spelled_out(line: &str) -> bool {
    line.split("RFC ").skip(1).any(|rest| {
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit() || " ,".contains(c));
        rest.to_ascii_lowercase().starts_with("section ")
    })
}

/// Work is finished before it is committed, and tests are neither skipped nor left talking.
pub(super) fn unwanted_words(tree: &Tree) -> Vec<Problem> {
    // Put together here so that this file is not its own first finding.
    let words = ["TO DO", "FIX ME", "X XX"].map(|w| w.replace(' ', ""));
    let calls = ["dbg !(", "#[ ignore"].map(|w| w.replace(' ', ""));
    let mut problems = Vec::new();
    for (path, text) in tree.texts.iter().filter(|(p, _)| is_prose_or_code(p)) {
        for (at, line) in text.lines().enumerate() {
            let word = words.iter().find(|w| has_word(line, w));
            let call = calls
                .iter()
                .find(|c| path.ends_with(".rs") && line.contains(c.as_str()));
            if let Some(found) = word.or(call) {
                problems.push(Problem::new(
                    path,
                    at + 1,
                    format!("`{found}` is not for keeping"),
                ));
            }
        }
    }
    problems
}

fn is_prose_or_code(path: &str) -> bool {
    let kinds = [".rs", ".md", ".sh", ".py", ".js", ".mjs", ".toml"];
    kinds.iter().any(|k| path.ends_with(k)) || matches!(path, "ci" | ".ci/run")
}

/// Whether the word stands there on its own.
fn has_word(line: &str, word: &str) -> bool {
    let mut parts = line.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    parts.any(|part| part == word)
}

/// The tree must mean the same on every machine.
pub(super) fn machine_paths(tree: &Tree) -> Vec<Problem> {
    let places = ["/ work/", "/ root/", "/ tmp/target"].map(|p| p.replace(' ', ""));
    let mut problems = Vec::new();
    for (path, text) in &tree.texts {
        for (at, line) in text.lines().enumerate() {
            if let Some(place) = places.iter().find(|p| has_absolute(line, p)) {
                let what = format!("`{place}` is a path of one machine");
                problems.push(Problem::new(path, at + 1, what));
            }
        }
    }
    problems
}

/// Whether the path stands there and is not the tail of a longer one.
fn has_absolute(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line.get(..at).and_then(|l| l.chars().next_back());
        !before.is_some_and(|c| c.is_alphanumeric() || "._-~}".contains(c))
    })
}

/// Only the wire and the server's view know sequence numbers.
pub(super) fn sequence_numbers(tree: &Tree) -> Vec<Problem> {
    let within = |s: &&crate::source::Source| is_in(&s.path, "store") || is_in(&s.path, "mail");
    let mut problems = Vec::new();
    for source in tree.rust.iter().filter(within) {
        for (at, line) in source.text.lines().enumerate() {
            if has_word(line, "Seq") {
                let what = "`Seq` belongs to wire and the server's view";
                problems.push(Problem::new(&source.path, at + 1, what));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_after_an_rfc_is_a_reference() {
        // `%` so that these are not taken for references themselves.
        let text = "see RFC% 1 §2.3, §A.1 and\n/// §4. RFC% 22 says; §9 no. RFC% 7 § 5";
        let text = &text.replace('%', "");
        let found: Vec<_> = references_in(text)
            .into_iter()
            .map(|(l, r, s)| format!("{l}:{r}:{s}"))
            .collect();
        assert_eq!(found, ["1:1:2.3", "1:1:A.1", "1:1:4", "2:7:5"]);
    }

    #[test]
    fn a_section_without_its_sign_is_found() {
        let line = ["RFC", "12, Section 3"].join(" ");
        assert!(is_spelled_out(&line) && !is_spelled_out("the RFC says in section 3"));
    }

    #[test]
    fn words_and_paths_count_only_when_whole() {
        assert!(has_word("a Seq.", "Seq") && !has_word("SeqSet Sequence", "Seq"));
        assert!(has_absolute("in /a/b", "/a/") && !has_absolute("in x/a/b", "/a/"));
    }

    #[test]
    fn an_unknown_section_is_a_problem() {
        let tree = Tree::of(&[("a.md", &["RFC", "1 §1"].join(" "))]);
        assert_eq!(references(&tree).len(), 1);
    }
}
