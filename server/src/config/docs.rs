//! What is generated from the table: the reference in Markdown, the commented
//! sample file, and `config show` as text and JSON.

use std::fmt::Write as _;

use serde_json::json;

use super::resolve::Effective;
use super::table::{Key, TABLE};

const INTRODUCTION: &str = "\
# Configuration

<!-- Generated from the table in server/src/config/table.rs: do not edit. -->

`relate-imap` reads, each layer overriding the one before:

1. the defaults below;
2. `appsettings.json`, in the working directory or else in `/etc/relate-imap/`; `--config PATH` names
   another file or directory;
3. `appsettings.{Environment}.json` beside it, where `{Environment}` is `DOTNET_ENVIRONMENT`, else
   `ASPNETCORE_ENVIRONMENT`, else `Production`;
4. environment variables: `Imap__Port=1143` (`Imap:Port=1143` is the same);
5. `--set Imap:Port=1143` on the command line.

`relate-imap config show` prints every value in use and where it was given, secrets masked.
`relate-imap config check` reads everything and reports all problems at once, without starting.

- Files are JSON; `//` and `/* */` comments and trailing commas are allowed.
- Keys are the same in any case. A key given twice in one source, in whatever case, is an error.
- A key that does not exist in one of the sections below is an error. Other sections, and environment
  variables of other names, are ignored.
- Durations: `90s`, `30m`, `1h30m`, `7d`, `500ms`; or `hours:minutes:seconds` as .NET writes them,
  `00:30:00` or `1.00:00:00`. A bare number is refused: it could mean seconds or days.
- Sizes: a number of bytes, or a number with `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB`.
- Lists: a JSON list, one text with commas, or items by number (`Imap__Addresses__0=::1`). Lists from several
  layers are merged item by item, as in .NET; one text with commas replaces the whole list.
- Relative paths are taken from the working directory, `Lmtp:SocketPath` from `Store:Path`.
- `null` means no value where the table says so, and the default elsewhere.

`relate-imap up` has three defaults of its own when there is no file: `Store:Path` is `./data`, `Imap:Addresses` is
`127.0.0.1, ::1`, and `Lmtp:Port` is 1124; and one in any case: `Imap:MaxConnectionsPerUser` is 20.

A complete file with every default stands in [appsettings.sample.json](appsettings.sample.json).
";

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = INTRODUCTION.to_owned();
    for section in TABLE {
        let _ = write!(
            text,
            "\n## {}\n\n{}\n\n",
            section.name,
            section.about.trim()
        );
        text.push_str("| Key | Default | Meaning | Allowed |\n|---|---|---|---|\n");
        for key in section.keys {
            let default = if key.default.is_empty() {
                "null"
            } else {
                key.default
            };
            let secret = if key.secret { " Never printed." } else { "" };
            let _ = writeln!(
                text,
                "| `{}` | `{default}` | {}{secret} | {} |",
                key.name,
                key.about.trim(),
                key.allowed()
            );
        }
    }
    text
}

/// `docs/appsettings.sample.json`: every key at its default, explained.
#[must_use]
pub fn sample() -> String {
    let mut text = String::from(
        "// Every setting of relate-imap with its default. Keep the lines you change;\n\
         // what is left out keeps its default. docs/configuration.md says more.\n{\n",
    );
    for section in TABLE {
        let _ = writeln!(
            text,
            "  // {}\n  \"{}\": {{",
            section.about.trim(),
            section.name
        );
        for key in section.keys {
            let _ = writeln!(text, "    // {}", key.about.trim());
            let _ = writeln!(text, "    // Allowed: {}.", key.allowed());
            let _ = writeln!(text, "    {},", sample_entry(key));
        }
        text.push_str("  },\n");
    }
    text.push_str("}\n");
    text
}

fn sample_entry(key: &Key) -> String {
    let value = match key.default {
        "" => "null".to_owned(),
        // Numbers and booleans are JSON as they stand.
        bare if serde_json::from_str::<serde_json::Value>(bare).is_ok() => bare.to_owned(),
        quoted => json!(quoted).to_string(),
    };
    match key.open_prefix() {
        Some(prefix) if key.default.is_empty() => {
            format!("\"{}\": {{}}", prefix.trim_end_matches(':'))
        }
        Some(prefix) => {
            format!(
                "\"{}\": {{ \"Default\": {value} }}",
                prefix.trim_end_matches(':')
            )
        }
        None => format!("\"{}\": {value}", key.name),
    }
}

/// `config show`: every key, its value and its source, in columns.
#[must_use]
pub fn show(effective: &[Effective]) -> String {
    let width = |of: fn(&Effective) -> usize| effective.iter().map(of).max().unwrap_or(0);
    let (keys, values) = (
        width(|row| row.key.len()),
        width(|row| row.value.len()).min(32),
    );
    let mut text = String::new();
    let mut section = "";
    for row in effective {
        let own = row.key.split(':').next().unwrap_or_default();
        if own != section && !section.is_empty() {
            text.push('\n');
        }
        section = own;
        let _ = writeln!(
            text,
            "{:keys$}  {:values$}  {}",
            row.key, row.value, row.source
        );
    }
    text
}

/// `config show --json`: a list of objects with key, value and source.
#[must_use]
pub fn show_json(effective: &[Effective]) -> String {
    let row = |row: &Effective| json!({ "key": row.key, "value": row.value, "source": row.source.to_string() });
    let rows: Vec<serde_json::Value> = effective.iter().map(row).collect();
    format!("{:#}\n", serde_json::Value::Array(rows))
}
