//! Structured header values (RFC 2045 §5.1, RFC 2183): a token, then parameters; and the
//! parameters that RFC 2231 spreads over pieces or gives a charset.
//!
//! Values are kept as they are written, quotes and backslashes removed, not decoded: this is
//! what BODYSTRUCTURE returns. Pieces (`name*0`, `name*1*`) are joined as RFC 9051 §7.5.2
//! asks; a joined value with a charset keeps the form `charset'language'percent-encoded`
//! under the name `name*`, so that every client can tell how to read it.
//! [`Param::decoded`] gives the text.

use memchr::memchr;

use crate::{charset, mime::decode::hex, mime::words};

/// A parameter of Content-Type or Content-Disposition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Param {
    /// The name as written; ends with `*` if the value has a charset (RFC 2231 §4).
    pub name: Vec<u8>,
    /// The value as written, without quotes.
    pub value: Vec<u8>,
}

/// A value with parameters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Parameterised {
    /// What stands before the first semicolon, without comments and white space around it.
    pub head: Vec<u8>,
    /// The parameters in order.
    pub params: Vec<Param>,
}

/// Reads an unfolded header value that may have parameters, of which so many are looked at.
#[must_use]
pub fn parse(value: &[u8], params_max: usize) -> Parameterised {
    let (head, mut rest) = until_semicolon(value);
    let mut found = Vec::new();
    while let Some(after) = rest.strip_prefix(b";")
        && found.len() < params_max
    {
        let (param, next) = until_semicolon(after);
        found.extend(parse_param(param));
        rest = next;
    }
    Parameterised {
        head: strip_comments(head),
        params: join_pieces(found),
    }
}

/// Splits before the first semicolon that is not quoted.
fn until_semicolon(value: &[u8]) -> (&[u8], &[u8]) {
    let mut quoted = false;
    let mut escaped = false;
    let end = value.iter().position(|byte| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted => escaped = !was_escaped,
            b'"' if !was_escaped => quoted = !quoted,
            b';' if !quoted => return true,
            _ => {}
        }
        false
    });
    value
        .split_at_checked(end.unwrap_or(value.len()))
        .unwrap_or((value, &[]))
}

/// `name = value`; `None` without a name.
pub(super) fn parse_param(param: &[u8]) -> Option<Param> {
    let equals = memchr(b'=', param)?;
    let (name, value) = param.split_at_checked(equals)?;
    let name = strip_comments(name);
    let mut value = value.get(1..).unwrap_or_default().trim_ascii().to_vec();
    if value.starts_with(b"(") {
        value = strip_comments(&value);
    }
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted),
        None => strip_last_comment(&value).to_vec(),
    };
    (!name.is_empty()).then_some(Param { name, value })
}

/// The content of a quoted string whose opening quote was taken; the end may be missing.
fn unquote(quoted: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => out.extend(bytes.next()),
            byte => out.push(*byte),
        }
    }
    out
}

/// Removes comments, nested ones too, and white space around what is left.
pub(crate) fn strip_comments(value: &[u8]) -> Vec<u8> {
    let mut depth = 0_u32;
    let mut escaped = false;
    let mut out = Vec::with_capacity(value.len());
    for byte in value {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            b'\\' if depth > 0 => escaped = !was_escaped,
            b'(' if !was_escaped => depth = depth.saturating_add(1),
            b')' if depth > 0 && !was_escaped => depth = depth.saturating_sub(1),
            byte if depth == 0 => out.push(*byte),
            _ => {}
        }
    }
    out.trim_ascii().to_vec()
}

/// An unquoted value without a comment that ends it: `us-ascii (plain text)`.
///
/// Parentheses in the middle stay: file names are often written without quotes.
fn strip_last_comment(value: &[u8]) -> &[u8] {
    let Some(open) = value
        .windows(2)
        .position(|pair| matches!(pair, [b' ' | b'\t', b'(']))
    else {
        return value;
    };
    match value.split_at_checked(open) {
        Some((before, comment)) if value.ends_with(b")") && strip_comments(comment).is_empty() => {
            before.trim_ascii_end()
        }
        _ => value,
    }
}

/// One piece of a parameter as RFC 2231 §3 numbers it.
struct Piece {
    base: Vec<u8>,
    index: u32,
    encoded: bool,
    value: Vec<u8>,
}

/// `name*3` or `name*3*`; `None` if the name is not of that form.
fn as_piece(param: &Param) -> Option<Piece> {
    let (name, encoded) = match param.name.strip_suffix(b"*") {
        Some(name) => (name, true),
        None => (param.name.as_slice(), false),
    };
    let star = name.iter().rposition(|byte| *byte == b'*')?;
    let (base, digits) = name.split_at_checked(star)?;
    let digits = std::str::from_utf8(digits.get(1..)?).ok()?;
    let index = digits
        .parse()
        .ok()
        .filter(|_| digits.bytes().all(|b| b.is_ascii_digit()))?;
    Some(Piece {
        base: base.to_vec(),
        index,
        encoded,
        value: param.value.clone(),
    })
}

/// Joins the pieces of each parameter, which stands where its first piece stood.
///
/// Pieces after a gap in the numbers keep their own names.
fn join_pieces(found: Vec<Param>) -> Vec<Param> {
    if !found
        .iter()
        .any(|param| as_piece(param).is_some_and(|piece| piece.index == 0))
    {
        return found;
    }
    let mut out: Vec<Param> = Vec::with_capacity(found.len());
    let mut rest: Vec<Option<Param>> = found.into_iter().map(Some).collect();
    for at in 0..rest.len() {
        let Some(param) = rest.get_mut(at).and_then(Option::take) else {
            continue;
        };
        match as_piece(&param) {
            // An earlier piece than this may stand later, so look for number 0 first.
            Some(piece) => match collect_pieces(&piece.base, &param, &mut rest) {
                Some(joined) => out.push(joined),
                None => out.push(param),
            },
            None => out.push(param),
        }
    }
    out
}

/// Takes the pieces 0, 1, 2... of a parameter, of which `first` was taken already.
fn collect_pieces(base: &[u8], first: &Param, rest: &mut [Option<Param>]) -> Option<Param> {
    let mut pieces: Vec<(Piece, Option<usize>)> = Vec::new();
    pieces.extend(as_piece(first).map(|piece| (piece, None)));
    for (at, slot) in rest.iter().enumerate() {
        let piece = slot.as_ref().and_then(as_piece);
        pieces.extend(
            piece
                .filter(|p| p.base.eq_ignore_ascii_case(base))
                .map(|piece| (piece, Some(at))),
        );
    }
    pieces.sort_by_key(|(piece, _)| piece.index);
    let in_order = pieces
        .iter()
        .zip(0_u32..)
        .take_while(|((piece, _), expected)| piece.index == *expected)
        .count();
    pieces.truncate(in_order);
    if !pieces.iter().any(|(_, at)| at.is_none()) {
        return None;
    }
    for at in pieces.iter().filter_map(|(_, at)| *at) {
        if let Some(slot) = rest.get_mut(at) {
            *slot = None;
        }
    }
    let encoded = pieces.iter().any(|(piece, _)| piece.encoded);
    Some(concatenate(
        base,
        encoded,
        pieces.iter().map(|(piece, _)| piece),
    ))
}

/// One value of all pieces; those that are not percent-encoded become so if one is.
fn concatenate<'a>(base: &[u8], encoded: bool, pieces: impl Iterator<Item = &'a Piece>) -> Param {
    let mut name = base.to_vec();
    let mut value = Vec::new();
    if encoded {
        name.push(b'*');
    }
    for piece in pieces {
        if encoded && !piece.encoded {
            // Without a charset in the first piece there are still the two quotes to come.
            if piece.index == 0 {
                value.extend_from_slice(b"''");
            }
            piece
                .value
                .iter()
                .for_each(|byte| percent_encode(*byte, &mut value));
        } else {
            value.extend_from_slice(&piece.value);
        }
    }
    Param { name, value }
}

fn percent_encode(byte: u8, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
        out.push(byte);
        return;
    }
    out.push(b'%');
    out.extend(DIGITS.get(usize::from(byte >> 4)));
    out.extend(DIGITS.get(usize::from(byte & 0x0f)));
}

impl Param {
    /// Whether this is the parameter of that name, plain or with a charset (`name*`).
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        let own = self.name.strip_suffix(b"*").unwrap_or(&self.name);
        own.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether the value has a charset and percent-encoding.
    #[must_use]
    pub fn is_extended(&self) -> bool {
        self.name.ends_with(b"*")
    }

    /// The text: RFC 2231 for an extended value, else RFC 2047, which is often used though
    /// not allowed here.
    #[must_use]
    pub fn decoded(&self) -> String {
        if !self.is_extended() {
            return words::decode(&self.value);
        }
        let mut parts = self.value.splitn(3, |byte| *byte == b'\'');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(label), Some(_language), Some(text)) => {
                charset::decode(label, &percent_decode(text))
            }
            _ => charset::decode(b"utf-8", &percent_decode(&self.value)),
        }
    }
}

/// Decodes `%XX`; a percent sign that begins no such pair stands for itself.
fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte == b'%'
            && let [high, low, tail @ ..] = after
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push((high << 4) | low);
            rest = tail;
        } else {
            out.push(*byte);
        }
    }
    out
}

/// The text of the parameter of that name; the extended form is preferred.
#[must_use]
pub fn decoded(params: &[Param], name: &str) -> Option<String> {
    let mut named = params.iter().filter(|param| param.is(name));
    let first = named.next()?;
    let better = named
        .find(|param| param.is_extended())
        .filter(|_| !first.is_extended());
    Some(better.unwrap_or(first).decoded())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::PARAMS_MAX;

    fn check(value: &str, head: &str, params: &[(&str, &str)]) {
        let found = parse(value.as_bytes(), PARAMS_MAX);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(text(&found.head), head, "{value}");
        let pairs: Vec<(String, String)> = found
            .params
            .iter()
            .map(|param| (text(&param.name), text(&param.value)))
            .collect();
        let expected: Vec<(String, String)> = params
            .iter()
            .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
            .collect();
        assert_eq!(pairs, expected, "{value}");
    }

    #[test]
    fn parameters_are_read_leniently() {
        check("text/plain", "text/plain", &[]);
        check(
            "text/plain; charset=us-ascii (Plain text)",
            "text/plain",
            &[("charset", "us-ascii")],
        );
        check(
            "text/plain;charset=\"utf-8\";",
            "text/plain",
            &[("charset", "utf-8")],
        );
        check(
            "a/b; x=\"q\\\"; \\\\\"; y = z",
            "a/b",
            &[("x", "q\"; \\"), ("y", "z")],
        );
        check("a/b; name=foo (1).pdf", "a/b", &[("name", "foo (1).pdf")]);
        check("a/b; name=\"open", "a/b", &[("name", "open")]);
        check(
            "(c) text/plain (d(e)); =x; y; z=",
            "text/plain",
            &[("z", "")],
        );
        check("a/b; x=(c)y; z=(d) \"e\"", "a/b", &[("x", "y"), ("z", "e")]);
        check("", "", &[]);
    }

    #[test]
    fn pieces_are_joined() {
        check("a/b; n*0=x; n*1=y", "a/b", &[("n", "xy")]);
        check("a/b; n*1=y; m=1; N*0=x", "a/b", &[("n", "xy"), ("m", "1")]);
        check(
            "a/b; n*0*=utf-8''%C3; n*1*=%A9; n*2=\" %\"",
            "a/b",
            &[("n*", "utf-8''%C3%A9%20%25")],
        );
        check("a/b; n*0=x; n*2=z", "a/b", &[("n", "x"), ("n*2", "z")]);
        check("a/b; n*1=x", "a/b", &[("n*1", "x")]);
        check("a/b; n*=utf-8''x", "a/b", &[("n*", "utf-8''x")]);
        check("a/b; n*0=a; n*1*=%20b", "a/b", &[("n*", "''a%20b")]);
        check(
            "a/b; n*99999999999=x; n*+0=y",
            "a/b",
            &[("n*99999999999", "x"), ("n*+0", "y")],
        );
    }

    #[test]
    fn texts_are_decoded() {
        let of =
            |value: &str| decoded(&parse(value.as_bytes(), PARAMS_MAX).params, "filename").unwrap();
        assert_eq!(of("a; filename=x.txt"), "x.txt");
        assert_eq!(of("a; filename=x; filename*=utf-8'en'%E2%82%AC"), "€");
        assert_eq!(of("a; filename*=iso-8859-1''%E9%zz"), "é%zz");
        assert_eq!(of("a; filename*=%C3%A9"), "é");
        assert_eq!(of("a; filename=\"=?utf-8?q?=C3=A9?=\""), "é");
        assert_eq!(of("a; filename*0*=utf-8''%C3; filename*1*=%A9"), "é");
    }

    #[test]
    fn threat_29_pieces_past_the_limit_cost_nothing() {
        let mut value = b"a/b".to_vec();
        for at in 0..100_000 {
            value.extend_from_slice(format!("; name*{at}*=x").as_bytes());
        }
        let found = parse(&value, PARAMS_MAX).params;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value.len(), PARAMS_MAX);
    }

    #[test]
    fn as_many_parameters_as_may_be() {
        for max in [1, 7, PARAMS_MAX] {
            for (written, kept) in [(max - 1, max - 1), (max, max), (max + 1, max)] {
                let mut value = "a/b".to_owned();
                (0..written).for_each(|at| value.push_str(&format!("; p{at}=x")));
                assert_eq!(parse(value.as_bytes(), max).params.len(), kept);
            }
        }
    }
}
