//! Header fields of a header block (RFC 5322 §2.2), found without changing a byte.
//!
//! Lenient: a line ends with LF, whether or not CR stands before it; a line without a
//! colon is a field without a name; a header may end without its blank line. Not here:
//! what the values mean.

use std::cmp::Ordering;

use memchr::memchr;

/// One header field, with its bytes as they stand in the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, without white space before the colon; empty if the line has no colon.
    pub name: &'a [u8],
    /// The value: everything after the colon, folds and the last line end included.
    pub value: &'a [u8],
    /// The whole field, from the first byte of its name to its last line end.
    pub raw: &'a [u8],
}

impl Field<'_> {
    /// Whether the field has this name, in any case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value unfolded and without white space around it.
    #[must_use]
    pub fn unfolded(&self) -> Vec<u8> {
        unfold(self.value)
    }
}

/// The fields of a header block in order; ends at the blank line or the end of the bytes.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

/// Iterates over the fields of a header block.
#[must_use]
pub fn fields(header: &[u8]) -> Fields<'_> {
    Fields { rest: header }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.rest.is_empty() || is_blank_start(self.rest) {
            return None;
        }
        let (raw, rest) = split_field(self.rest);
        self.rest = rest;
        let first_line_end = memchr(b'\n', raw).unwrap_or(raw.len());
        let first_line = raw.get(..first_line_end).unwrap_or(raw);
        let Some((name, _)) =
            memchr(b':', first_line).and_then(|at| first_line.split_at_checked(at))
        else {
            return Some(Field {
                name: &[],
                value: raw,
                raw,
            });
        };
        let value = raw.get(name.len().saturating_add(1)..).unwrap_or_default();
        Some(Field {
            name: name.trim_ascii_end(),
            value,
            raw,
        })
    }
}

/// Splits off the first field: its line and the lines that continue it.
fn split_field(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0_usize;
    while let Some(rest) = bytes.get(end..) {
        let Some(line_end) = memchr(b'\n', rest) else {
            return (bytes, &[]);
        };
        end = end.saturating_add(line_end).saturating_add(1);
        if !matches!(bytes.get(end), Some(b' ' | b'\t')) {
            break;
        }
    }
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Whether a blank line stands here.
fn is_blank_start(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\n") || bytes.starts_with(b"\r\n")
}

/// Unfolds a value (RFC 5322 §2.2.3) and removes white space around it.
///
/// A fold and the white space around it become one space: who folds with a tab means a space,
/// and people search for one. A CR that ends no line becomes a space too, for some programs take
/// it for a line end.
#[must_use]
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for line in value.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line).trim_ascii();
        if !out.is_empty() && !line.is_empty() {
            out.push(b' ');
        }
        out.extend(
            line.iter()
                .map(|byte| if *byte == b'\r' { b' ' } else { *byte }),
        );
    }
    out
}

/// Which fields [`header_fields`] keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the named fields (`HEADER.FIELDS`).
    Named,
    /// All fields but the named (`HEADER.FIELDS.NOT`).
    Others,
}

/// The subset of a header that `HEADER.FIELDS` or `HEADER.FIELDS.NOT` names (RFC 9051
/// §6.4.5.1), byte for byte, always ended by a blank line.
///
/// Lines without a colon have no name, so only [`Keep::Others`] returns them.
#[must_use]
pub fn header_fields<N: AsRef<[u8]>>(header: &[u8], names: &[N], keep: Keep) -> Vec<u8> {
    // Sorted, so that a long list of names over a long header stays cheap.
    let mut wanted: Vec<&[u8]> = names.iter().map(AsRef::as_ref).collect();
    wanted.sort_unstable_by(|a, b| compare(a, b));
    let named = |name: &[u8]| {
        !name.is_empty()
            && wanted
                .binary_search_by(|probe| compare(probe, name))
                .is_ok()
    };
    let line_end = line_end_of(header);
    let mut out = Vec::new();
    for field in fields(header) {
        if named(field.name) == (keep == Keep::Named) {
            out.extend_from_slice(field.raw);
            if !field.raw.ends_with(b"\n") {
                out.extend_from_slice(line_end);
            }
        }
    }
    out.extend_from_slice(line_end);
    out
}

/// Compares names in any case.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let lower = |byte: &u8| byte.to_ascii_lowercase();
    a.iter().map(lower).cmp(b.iter().map(lower))
}

/// The line end the header itself uses; CRLF where there is none.
fn line_end_of(header: &[u8]) -> &'static [u8] {
    match memchr(b'\n', header) {
        Some(at) if at == 0 || header.get(at.saturating_sub(1)) != Some(&b'\r') => b"\n",
        _ => b"\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, expected: &[(&str, &str)]) {
        let found: Vec<(String, String)> = fields(header.as_bytes())
            .map(|field| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                (text(field.name), text(&field.unfolded()))
            })
            .collect();
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(found, expected, "{header:?}");
        let whole: Vec<u8> = fields(header.as_bytes())
            .flat_map(|field| field.raw.to_vec())
            .collect();
        assert!(header.as_bytes().starts_with(&whole), "{header:?}");
    }

    #[test]
    fn fields_are_found_as_they_stand() {
        check("", &[]);
        check("\r\nbody: no", &[]);
        check("A: 1\r\nB : 2\r\n\r\nC: 3", &[("A", "1"), ("B", "2")]);
        check("A: 1\r2\r\r\n", &[("A", "1 2")]);
        check("A: 1\n 2\n\t3\nB:\n\n", &[("A", "1 2 3"), ("B", "")]);
        check("no colon\r\nA: x", &[("", "no colon"), ("A", "x")]);
        check("A:b:c\r\n \r\nD: e\r\n", &[("A", "b:c"), ("D", "e")]);
        check(
            " starts folded\r\nA: b\r\n",
            &[("", "starts folded"), ("A", "b")],
        );
    }

    fn check_filter(header: &str, names: &[&str], keep: Keep, expected: &str) {
        let found = header_fields(header.as_bytes(), names, keep);
        assert_eq!(
            String::from_utf8_lossy(&found),
            expected,
            "{header:?} {names:?} {keep:?}"
        );
    }

    #[test]
    fn rule_40_a_header_subset_ends_with_the_blank_line() {
        let header = "From: a\r\nTo: b,\r\n c\r\njunk\r\nfrom: d\r\n\r\n";
        check_filter(header, &["FROM"], Keep::Named, "From: a\r\nfrom: d\r\n\r\n");
        check_filter(header, &["to", "x"], Keep::Named, "To: b,\r\n c\r\n\r\n");
        check_filter(
            header,
            &["From"],
            Keep::Others,
            "To: b,\r\n c\r\njunk\r\n\r\n",
        );
        check_filter(header, &["X"], Keep::Named, "\r\n");
        check_filter(header, &[], Keep::Others, header);
        check_filter("From: a", &["From"], Keep::Named, "From: a\r\n\r\n");
        check_filter("From: a\nTo: b\n\n", &["To"], Keep::Named, "To: b\n\n");
        check_filter("", &["To"], Keep::Others, "\r\n");
    }
}
