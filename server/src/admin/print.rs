//! Results for people: a list of objects is a table, an object one line a field. With `--json`
//! they are printed as they are.

use std::io::{self, Write as _};

use serde_json::Value;

/// How a result is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// Prints a result on standard output.
///
/// # Errors
/// Nobody reads it.
pub fn print(value: &Value, form: Form) -> io::Result<()> {
    let text = match form {
        Form::Json => format!("{value:#}\n"),
        Form::Text => text(value),
    };
    io::stdout().lock().write_all(text.as_bytes())
}

/// A result as text.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(rows) if rows.is_empty() => "(none)\n".to_owned(),
        Value::Array(rows) => table(rows),
        Value::Object(fields) => {
            let width = fields.keys().map(String::len).max().unwrap_or(0);
            fields
                .iter()
                .map(|(key, value)| format!("{key:width$}  {}\n", cell(value)))
                .collect()
        }
        other => format!("{}\n", cell(other)),
    }
}

/// A column in which no row has anything is left out: what is left fits a screen.
fn table(rows: &[Value]) -> String {
    let Some(Value::Object(first)) = rows.first() else {
        return rows.iter().map(|row| format!("{}\n", cell(row))).collect();
    };
    let of = |row: &Value, key: &str| cell(row.get(key).unwrap_or(&Value::Null));
    let keys: Vec<&String> = first
        .keys()
        .filter(|key| rows.iter().any(|row| of(row, key) != NOTHING))
        .collect();
    let mut lines: Vec<Vec<String>> = vec![keys.iter().map(|key| (*key).clone()).collect()];
    for row in rows {
        lines.push(keys.iter().map(|key| of(row, key)).collect());
    }
    let width = |column: usize| {
        let lengths = lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count());
        lengths.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..keys.len()).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    lines.iter().map(line).collect()
}

/// What stands for no value.
const NOTHING: &str = "-";

/// A value in a cell; nothing in it can end the line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => NOTHING.to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => NOTHING.to_owned(),
        Value::String(text) => visible(text),
        Value::Array(items) if items.is_empty() => NOTHING.to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| format!("{key} {}", cell(value));
            fields.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
        Value::Number(number) => number.to_string(),
    }
}

/// A text in which nothing can end the line, command a terminal or turn the direction of writing.
#[must_use]
pub fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let shown = |c| if is_hidden(c) { '?' } else { c };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_and_fields_are_aligned() {
        for (value, expected) in [
            (json!(null), ""),
            (json!([]), "(none)\n"),
            (
                json!({ "well": true, "ill": false }),
                "well  yes\nill   no\n",
            ),
            (json!("a\nb"), "a?b\n"),
            (
                json!({ "a": 1, "long": ["x", "y"] }),
                "a     1\nlong  x, y\n",
            ),
            (
                json!({ "room": { "live_bytes": 1, "dead_bytes": null } }),
                "room  live_bytes 1, dead_bytes -\n",
            ),
            (
                json!([
                    { "name": "ä", "none": [], "n": 10 },
                    { "name": "abcdef", "none": "", "n": null }
                ]),
                "name    n\nä       10\nabcdef  -\n",
            ),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
