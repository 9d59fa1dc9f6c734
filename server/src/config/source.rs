//! Where values come from: files in JSON with comments, the environment, the
//! command line. Everything is flattened here to paths and texts, each with its
//! source; what the paths mean is `resolve`'s business.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

use super::json;
use super::table;

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nowhere: the table's default.
    Default,
    /// The subcommand sets it unless something else does.
    Preset(&'static str),
    /// A file, and the line in it.
    File {
        /// The file as it was found.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// `--set`, or an option of its own such as `--listen`.
    CommandLine(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Preset(command) => write!(f, "preset of `{command}`"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::CommandLine(option) => f.write_str(option),
        }
    }
}

/// One value as given: `Imap`, `Port` and the text `143`, or `None` for null.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) path: Vec<String>,
    pub(super) value: Option<String>,
    pub(super) source: Source,
}

/// All values of one source, in order; a later layer wins over an earlier one.
pub(super) type Layer = Vec<Given>;

/// Values for keys in our own words, such as presets.
pub(super) fn layer(values: &[(&str, &str)], source: &Source) -> Layer {
    let given = |(path, value): &(&str, &str)| Given {
        path: path.split(':').map(str::to_owned).collect(),
        value: Some((*value).to_owned()),
        source: source.clone(),
    };
    values.iter().map(given).collect()
}

/// The environment's variables that name one of our sections.
pub(super) fn environment(
    variables: &[(OsString, OsString)],
    problems: &mut Vec<Problem>,
) -> Layer {
    let mut layer = Layer::new();
    for (name, value) in variables {
        let Some(name) = name.to_str() else { continue };
        let path = split(name);
        if path.len() < 2
            || path
                .first()
                .and_then(|first| table::section(first))
                .is_none()
        {
            continue;
        }
        let source = Source::Environment(name.to_owned());
        match value.to_str() {
            Some(value) => layer.push(Given {
                path,
                value: Some(value.to_owned()),
                source,
            }),
            None => problems.push(Problem::new(
                "a value is not UTF-8",
                source.to_string(),
                "write it in UTF-8",
            )),
        }
    }
    // The order of the environment is chance; problems should not be.
    layer.sort_by(|a, b| a.path.cmp(&b.path));
    layer
}

/// The values of `--set Section:Key=Value`.
pub(super) fn command_line(sets: &[String], problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::new();
    for set in sets {
        let given = set
            .split_once('=')
            .map(|(name, value)| (split(name.trim()), value));
        match given {
            Some((path, value)) if path.len() >= 2 => {
                let value = Some(value.to_owned());
                layer.push(Given {
                    path,
                    value,
                    source: Source::CommandLine("--set"),
                });
            }
            // The value may be a secret: only what stands before it is repeated.
            _ => problems.push(Problem::new(
                "this is not a setting",
                format!("--set {}", set.split('=').next().unwrap_or_default()),
                "write --set Section:Key=Value, as --set Imap:Port=1143",
            )),
        }
    }
    layer
}

/// `Imap__Port` and `Imap:Port` name the same key.
fn split(name: &str) -> Vec<String> {
    name.replace("__", ":")
        .split(':')
        .map(str::to_owned)
        .collect()
}

/// The values of one file; `None` when there is no such file.
pub(super) fn file(path: &Path, problems: &mut Vec<Problem>) -> Option<Layer> {
    let text = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => {
            problems.push(Problem::new(
                format!("the configuration file cannot be read: {error}"),
                path.display().to_string(),
                "let the user that runs relate-imap read it",
            ));
            return Some(Layer::new());
        }
    };
    match json::flatten(&text) {
        Ok(leaves) => Some(leaves.into_iter().map(|leaf| given(leaf, path)).collect()),
        Err(error) => {
            problems.push(Problem::new(
                format!("the file is not JSON: {}", error.what),
                format!("{}:{}", path.display(), error.line),
                "mend the line or the one before it; comments and trailing commas are allowed",
            ));
            Some(Layer::new())
        }
    }
}

fn given(leaf: json::Leaf, path: &Path) -> Given {
    let source = Source::File {
        path: path.to_owned(),
        line: leaf.line,
    };
    Given {
        path: leaf.path,
        value: leaf.value,
        source,
    }
}
