//! From layers of given values to one typed configuration: names are matched in
//! any case, later layers win, lists are merged index by index as in .NET, and
//! every problem is collected.

use std::collections::BTreeMap;

use crate::problem::Problem;

use super::source::{Given, Layer, Source};
use super::table::{self, Key, TABLE};
use super::value::{Raw, Setting};

/// One row of `config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// `Section:Key`, as the table writes it.
    pub key: String,
    /// The value in use; secrets are masked.
    pub value: String,
    /// Where it was given.
    pub source: Source,
}

/// What the layers say about one key.
#[derive(Debug, Clone)]
struct Merged {
    raw: Raw,
    /// Of a list or map, each item's own source, by the item's name.
    item_sources: Vec<Source>,
    source: Source,
}

/// Reads typed values out of the merged layers and notes what was read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    merged: BTreeMap<String, Merged>,
    pub(super) effective: Vec<Effective>,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Merges the layers, the first the weakest.
    pub(super) fn new(layers: &[Layer], problems: &'a mut Vec<Problem>) -> Self {
        let mut reader = Self {
            merged: BTreeMap::new(),
            effective: Vec::new(),
            problems,
        };
        for layer in layers {
            reader.refuse_twice(layer);
            for given in layer {
                reader.merge(given);
            }
        }
        reader
    }

    /// Within one source a key may stand once, whatever its case.
    fn refuse_twice(&mut self, layer: &Layer) {
        let mut seen: BTreeMap<String, &Given> = BTreeMap::new();
        for given in layer {
            let ours = given
                .path
                .first()
                .is_some_and(|name| table::section(name).is_some());
            let folded = given.path.join(":").to_ascii_lowercase();
            let Some(first) = seen.insert(folded, given).filter(|_| ours) else {
                continue;
            };
            self.problems.push(Problem::new(
                format!("{} is given twice", given.path.join(":")),
                format!(
                    "{} ({}) and {} ({})",
                    first.path.join(":"),
                    first.source,
                    given.path.join(":"),
                    given.source
                ),
                "keep one of them: keys are the same in any case",
            ));
        }
    }

    fn merge(&mut self, given: &Given) {
        let Some(section) = given.path.first().and_then(|name| table::section(name)) else {
            return;
        };
        let names = given.path.get(1..).unwrap_or_default();
        let Some((key, item)) = section.keys.iter().find_map(|key| matches(key, names)) else {
            self.problems
                .push(unknown(section.name, names, &given.source));
            return;
        };
        let merged = self.merged.entry(key.path()).or_insert_with(|| Merged {
            raw: Raw::Null,
            item_sources: Vec::new(),
            source: given.source.clone(),
        });
        merged.source = given.source.clone();
        match item {
            None => merged.replace(given.value.clone()),
            Some(item) => merged.put(item, given),
        }
    }

    /// The typed value of one key; `None` after a problem was noted.
    pub(super) fn read<T: Setting>(&mut self, section: &str, name: &str) -> Option<T> {
        let key = table::key(section, name)?;
        let given = self.merged.remove(&key.path());
        let (raw, source) = match &given {
            Some(given) => (given.raw.clone(), given.source.clone()),
            None => (Raw::Text(key.default.to_owned()), Source::Default),
        };
        let raw = null_means_default(key, raw, T::read(&Raw::Null, &key.bounds).is_ok());
        match T::read(&raw, &key.bounds) {
            Ok(value) => {
                self.note(key, &value, given.as_ref(), source);
                Some(value)
            }
            Err(wrong) => {
                let wrong = bad_value(key, &masked::<T>(raw), &wrong, &source);
                self.problems.push(wrong);
                None
            }
        }
    }

    fn note<T: Setting>(&mut self, key: &Key, value: &T, given: Option<&Merged>, source: Source) {
        let Some(prefix) = key.open_prefix() else {
            let value = value.show();
            self.effective.push(Effective {
                key: key.path(),
                value,
                source,
            });
            return;
        };
        // A map shows each of its entries with its own source.
        let mut default_given = false;
        let empty = !matches!(
            given,
            Some(Merged {
                raw: Raw::Items(_),
                ..
            })
        );
        if key.default.is_empty() && empty {
            let path = format!("{}:{}", key.section, prefix.trim_end_matches(':'));
            self.effective.push(Effective {
                key: path,
                value: "null".to_owned(),
                source: source.clone(),
            });
        }
        if let Some(Merged {
            raw: Raw::Items(items),
            item_sources,
            ..
        }) = given
        {
            for ((name, value), source) in items.iter().zip(item_sources) {
                default_given |= name.eq_ignore_ascii_case("Default");
                let path = format!("{}:{prefix}{name}", key.section);
                let source = source.clone();
                self.effective.push(Effective {
                    key: path,
                    value: T::show_entry(name, value),
                    source,
                });
            }
        }
        if !default_given && !key.default.is_empty() {
            let path = format!("{}:{prefix}Default", key.section);
            let value = key.default.to_owned();
            self.effective.push(Effective {
                key: path,
                value,
                source: Source::Default,
            });
        }
    }
}

impl Merged {
    fn replace(&mut self, value: Option<String>) {
        self.item_sources.clear();
        self.raw = value.map_or(Raw::Null, Raw::Text);
    }

    fn put(&mut self, item: String, given: &Given) {
        let value = given.value.clone().unwrap_or_default();
        let Raw::Items(items) = &mut self.raw else {
            self.raw = Raw::Items(vec![(item, value)]);
            self.item_sources = vec![given.source.clone()];
            return;
        };
        let place = items
            .iter()
            .position(|(name, _)| name.eq_ignore_ascii_case(&item));
        match place.and_then(|at| items.get_mut(at).zip(self.item_sources.get_mut(at))) {
            Some((old, source)) => {
                *old = (item, value);
                *source = given.source.clone();
            }
            None => {
                items.push((item, value));
                self.item_sources.push(given.source.clone());
            }
        }
    }
}

/// `null` for a setting that cannot be absent leaves the default, as in .NET.
fn null_means_default(key: &Key, raw: Raw, nullable: bool) -> Raw {
    if raw == Raw::Null && !nullable {
        Raw::Text(key.default.to_owned())
    } else {
        raw
    }
}

/// Whether the names lead to the key, and to which item of it.
fn matches(key: &'static Key, names: &[String]) -> Option<(&'static Key, Option<String>)> {
    if let Some(prefix) = key.open_prefix() {
        let first = names.first()?;
        let item = names.get(1..).filter(|rest| !rest.is_empty())?.join(":");
        return first
            .eq_ignore_ascii_case(prefix.trim_end_matches(':'))
            .then_some((key, Some(item)));
    }
    let (first, rest) = names.split_first()?;
    if !first.eq_ignore_ascii_case(key.name) {
        return None;
    }
    Some((key, (!rest.is_empty()).then(|| rest.join(":"))))
}

/// The entries of a map as they may be printed.
fn masked<T: Setting>(raw: Raw) -> Raw {
    let Raw::Items(items) = raw else { return raw };
    let shown = |(name, value): (String, String)| {
        let value = T::show_entry(&name, &value);
        (name, value)
    };
    Raw::Items(items.into_iter().map(shown).collect())
}

fn bad_value(key: &Key, raw: &Raw, wrong: &str, source: &Source) -> Problem {
    let shown = match raw {
        _ if key.secret => "***".to_owned(),
        Raw::Null => "null".to_owned(),
        Raw::Text(text) => format!("{text:?}"),
        Raw::Items(items) => {
            let values: Vec<&str> = items.iter().map(|(_, value)| value.as_str()).collect();
            format!("{values:?}")
        }
    };
    Problem::new(
        format!("{} = {shown} {wrong}", key.path()),
        format!("{}, given by {source}", key.path()),
        format!("use {}", key.allowed()),
    )
}

/// The value is not repeated: it may be a secret under a misspelt key.
fn unknown(section: &str, names: &[String], source: &Source) -> Problem {
    let name = names.join(":");
    let next = match nearest(section, &name) {
        Some(key) => format!("did you mean {}?", key.path()),
        None => format!("remove it; `relate-imap config show` lists the keys of {section}"),
    };
    Problem::new(
        format!("there is no setting {section}:{name}"),
        format!("{section}:{name}, given by {source}"),
        next,
    )
}

/// Names at least this alike are offered.
const ALIKE: f64 = 0.8;

/// The key that was probably meant: of this section by spelling, or of another by its name.
fn nearest(section: &str, name: &str) -> Option<&'static Key> {
    let folded = name.to_ascii_lowercase();
    let alike = |key: &Key| {
        let likeness =
            strsim::normalized_damerau_levenshtein(&folded, &key.name.to_ascii_lowercase());
        let prefix_likeness = strsim::jaro_winkler(&folded, &key.name.to_ascii_lowercase());
        likeness.max(if prefix_likeness > 0.9 {
            prefix_likeness
        } else {
            0.0
        })
    };
    let here = TABLE
        .iter()
        .filter(|s| s.name == section)
        .flat_map(|s| s.keys);
    let best = here
        .map(|key| (alike(key), key))
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let elsewhere = || {
        TABLE
            .iter()
            .flat_map(|s| s.keys)
            .find(|key| key.name.eq_ignore_ascii_case(name))
    };
    best.filter(|(likeness, _)| *likeness >= ALIKE)
        .map(|(_, key)| key)
        .or_else(elsewhere)
}
