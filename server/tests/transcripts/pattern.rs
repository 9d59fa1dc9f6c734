//! Patterns of expected lines: text, `<?>` for anything, `<name>` for a captured word.

use std::collections::HashMap;

/// Whether `line` is what `pattern` expects; captures names on first sight.
pub(crate) fn matches(pattern: &str, line: &str, names: &mut HashMap<String, String>) -> bool {
    let mut found = HashMap::new();
    let matched = rest(pattern, line, names, &mut found);
    if matched {
        names.extend(found);
    }
    matched
}

fn rest(
    pattern: &str,
    line: &str,
    names: &HashMap<String, String>,
    found: &mut HashMap<String, String>,
) -> bool {
    let Some((text, name, after)) = placeholder(pattern) else {
        return pattern == line;
    };
    let Some(line) = line.strip_prefix(text) else {
        return false;
    };
    if let Some(value) = names.get(name).or_else(|| found.get(name)) {
        let value = value.clone();
        return line
            .strip_prefix(&*value)
            .is_some_and(|line| rest(after, line, names, found));
    }
    // A captured word ends at a space or bracket; `<?>` may be anything. Longest first.
    let ends: Vec<usize> = (0..=line.len())
        .rev()
        .filter(|at| line.is_char_boundary(*at))
        .collect();
    for end in ends {
        let value = &line[..end];
        let is_word = !value.is_empty() && !value.contains([' ', ')', ']', '(', '[']);
        if name != "?" && !is_word {
            continue;
        }
        let mut tried = found.clone();
        if name != "?" {
            tried.insert(name.to_owned(), value.to_owned());
        }
        if rest(after, &line[end..], names, &mut tried) {
            *found = tried;
            return true;
        }
    }
    false
}

/// Splits at the first `<name>`: what stands before, the name, what stands after.
fn placeholder(pattern: &str) -> Option<(&str, &str, &str)> {
    let mut from = 0;
    while let Some(open) = pattern[from..].find('<').map(|at| at + from) {
        if let Some(close) = pattern[open..].find('>').map(|at| at + open) {
            let name = &pattern[open + 1..close];
            if name == "?" || (!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase())) {
                return Some((&pattern[..open], name, &pattern[close + 1..]));
            }
        }
        from = open + 1;
    }
    None
}

/// Replaces the captured names in what a client sends.
pub(crate) fn filled(text: &str, names: &HashMap<String, String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, name, after)) = placeholder(rest) {
        out.push_str(before);
        match names.get(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(&format!("<{name}>")),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[test]
fn patterns_match_as_described() {
    let mut names = HashMap::new();
    assert!(matches(
        "* OK [UIDVALIDITY <v>] <?>",
        "* OK [UIDVALIDITY 17] fine",
        &mut names
    ));
    assert_eq!(names["v"], "17");
    assert!(!matches("a OK <v>", "a OK 18", &mut names));
    assert!(matches("a OK <v><?>", "a OK 17 and more", &mut names));
    assert!(!matches("a OK", "a OK x", &mut names));
    assert_eq!(filled("UID <v>:* <x> <1@b>", &names), "UID 17:* <x> <1@b>");
}
