//! The arrows between crates, read from their manifests.

use super::{Problem, Tree};

/// A crate, the crates of ours it may depend on, and names it may not.
struct Arrow {
    from: &'static str,
    may: &'static [&'static str],
    never: &'static [&'static str],
}

const OURS: [&str; 4] = ["mail", "wire", "store", "server"];

const ARROWS: [Arrow; 3] = [
    Arrow {
        from: "mail",
        may: &[],
        never: &["tokio", "rustix", "socket2", "tokio-rustls"],
    },
    Arrow {
        from: "wire",
        may: &["mail"],
        never: &["tokio", "rustix", "socket2", "tokio-rustls"],
    },
    Arrow {
        from: "store",
        may: &["mail"],
        never: &[],
    },
];

/// `mail` stands alone; `wire` and `store` see only `mail`; the pure crates do no I/O.
pub(super) fn arrows(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for arrow in &ARROWS {
        let path = format!("{}/Cargo.toml", arrow.from);
        let Some(manifest) = tree.text(&path) else {
            problems.push(Problem::new(&path, 0, "is missing"));
            continue;
        };
        for (line, name) in dependencies(manifest) {
            if !arrow.allows(name) {
                let what = format!("`{}` may not depend on `{name}`", arrow.from);
                problems.push(Problem::new(&path, line, what));
            }
        }
    }
    problems
}

impl Arrow {
    fn allows(&self, name: &str) -> bool {
        !self.never.contains(&name) && (!OURS.contains(&name) || self.may.contains(&name))
    }
}

/// Line and name of every dependency of any kind.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut within = false;
    for (at, line) in manifest.lines().enumerate() {
        let line = line.trim();
        if let Some(table) = line.strip_prefix('[') {
            let table = table.trim_end_matches(']');
            within = table.ends_with("dependencies");
            let single = table
                .split_once("dependencies.")
                .map(|(_, name)| (at + 1, name));
            found.extend(single);
        } else if within && !line.is_empty() && !line.starts_with('#') {
            let end = line.find(['.', '=', ' ']).unwrap_or(line.len());
            found.extend(line.get(..end).map(|name| (at + 1, name.trim_matches('"'))));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_of_every_kind_are_seen() {
        let manifest = "[package]\nname = \"x\"\n[dependencies]\na.workspace = true\n\n# no\nb = \"1\"\n\
                        [dev-dependencies.c]\npath = \"c\"\n[target.'cfg(unix)'.dependencies]\nd= { }\n";
        let names: Vec<&str> = dependencies(manifest).into_iter().map(|(_, n)| n).collect();
        assert_eq!(names, ["a", "b", "c", "d"]);
    }

    #[test]
    fn forbidden_arrows_are_refused() {
        assert!(ARROWS[1].allows("mail") && ARROWS[1].allows("memchr"));
        assert!(!ARROWS[1].allows("store") && !ARROWS[1].allows("tokio"));
        assert!(!ARROWS[0].allows("wire") && ARROWS[2].allows("tokio"));
    }
}
