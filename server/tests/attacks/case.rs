//! The syntax of `tests/torture`, as its README tells it.

/// One case.
pub(crate) struct Case {
    /// Where it stands, for people.
    pub(crate) place: String,
    /// Commands that must succeed first.
    pub(crate) before: Vec<Vec<Piece>>,
    pub(crate) command: Vec<Piece>,
    /// The tag whose answer is awaited.
    pub(crate) tag: String,
    pub(crate) expected: Expected,
}

/// A piece of what is sent.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// Goes on when the server has sent `+`.
    Wait,
}

/// What must be answered.
#[derive(Clone)]
pub(crate) struct Expected {
    /// The beginning of the tagged answer, or `REFUSED`, `BYE`, `ANY`.
    pub(crate) tagged: String,
    /// Beginnings of untagged responses that must be there.
    pub(crate) told: Vec<String>,
    /// Beginnings of untagged responses that must not.
    pub(crate) untold: Vec<String>,
}

/// A file of cases.
pub(crate) struct Cases {
    /// The user that is logged in; empty for none.
    pub(crate) user: String,
    /// Whether each case begins with a fresh mailbox of three messages selected.
    pub(crate) selected: bool,
    /// Whether the peer is on loopback.
    pub(crate) loopback: bool,
    /// Settings.
    pub(crate) set: Vec<String>,
    pub(crate) cases: Vec<Case>,
}

/// Reads a file.
pub(crate) fn parse(name: &str, text: &str) -> Cases {
    let mut cases = Cases {
        user: String::new(),
        selected: false,
        loopback: true,
        set: Vec::new(),
        cases: Vec::new(),
    };
    for (at, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", at + 1);
        match line.strip_prefix('#') {
            Some(header) => cases.header(header.trim()),
            None if line.trim().is_empty() => {}
            None => {
                let alternatives = alternatives(line);
                cases
                    .cases
                    .extend(alternatives.iter().map(|line| case(&place, line)));
            }
        }
    }
    cases
}

impl Cases {
    fn header(&mut self, header: &str) {
        match header.split_once(": ") {
            Some(("state", "none")) | None => {}
            Some(("state", state)) => {
                "tim".clone_into(&mut self.user);
                self.selected = state == "selected";
            }
            Some(("set", setting)) => self.set.push(setting.to_owned()),
            Some(("channel", "plain")) => self.loopback = false,
            Some(_) => {}
        }
    }
}

/// One line for each choice among `<<a||b>>`.
fn alternatives(line: &str) -> Vec<String> {
    let Some((before, rest)) = line.split_once("<<") else {
        return vec![line.to_owned()];
    };
    let (choices, after) = rest.split_once(">>").expect("<< has its >>");
    let lines = choices
        .split("||")
        .map(|choice| format!("{before}{choice}{after}"));
    lines.flat_map(|line| alternatives(&line)).collect()
}

fn case(place: &str, line: &str) -> Case {
    let (commands, expected) = line
        .rsplit_once(" => ")
        .unwrap_or_else(|| panic!("{place}: no `=>`"));
    let mut commands: Vec<&str> = commands.split(" ;; ").collect();
    let last = commands.pop().unwrap_or_default();
    let (tag, command) = match last.strip_prefix('!') {
        Some(raw) => (
            expected.split(' ').next().unwrap_or_default(),
            raw.to_owned(),
        ),
        None => ("t", format!("t {last}^M^J")),
    };
    let expected = match last.starts_with('!') {
        true => expected.split_once(' ').map_or("", |(_, rest)| rest),
        false => expected,
    };
    Case {
        place: format!("{place}: {last}"),
        before: commands
            .iter()
            .map(|c| pieces(&format!("t {c}^M^J")))
            .collect(),
        command: pieces(&command),
        tag: tag.to_owned(),
        expected: expectation(expected),
    }
}

fn expectation(text: &str) -> Expected {
    let mut parts = text.split(" | ").map(str::trim);
    let tagged = parts.next().unwrap_or_default().to_owned();
    let (untold, told): (Vec<&str>, Vec<&str>) = parts.partition(|part| part.starts_with('!'));
    Expected {
        tagged,
        told: told.into_iter().map(str::to_owned).collect(),
        untold: untold
            .into_iter()
            .map(|part| part.trim_start_matches('!').to_owned())
            .collect(),
    }
}

/// Bytes of a text with its `^` escapes.
fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('^') {
        bytes.extend_from_slice(plain.as_bytes());
        rest = self::escape(escape, &mut bytes, &mut pieces);
    }
    bytes.extend_from_slice(rest.as_bytes());
    pieces.push(Piece::Bytes(bytes));
    pieces
}

/// Reads what follows a `^`; returns what follows that.
fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>, pieces: &mut Vec<Piece>) -> &'a str {
    let kind = text.chars().next().expect("something after ^");
    let rest = &text[kind.len_utf8()..];
    match kind {
        'w' => {
            pieces.push(Piece::Bytes(std::mem::take(bytes)));
            pieces.push(Piece::Wait);
            rest
        }
        'x' => {
            bytes.push(u8::from_str_radix(&rest[..2], 16).expect("two digits after ^x"));
            &rest[2..]
        }
        '*' => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let count = rest[..digits].parse().expect("a count after ^*");
            let close = if rest[digits..].starts_with('(') {
                ')'
            } else {
                '\''
            };
            let (what, rest) = rest[digits + 1..].split_once(close).expect("an end of ^*N");
            bytes.extend(what.repeat(count).into_bytes());
            rest
        }
        // A literal of this text, sent at once; `^~{` of the binary kind; `^={` after a `+`.
        '{' => literal(rest, "", "+}\r\n", bytes),
        '~' => literal(&rest[1..], "~", "+}\r\n", bytes),
        '=' => {
            let (body, rest) = rest[1..].split_once('}').expect("} after ^={");
            let body = plain(body);
            bytes.extend(format!("{{{}}}\r\n", body.len()).into_bytes());
            pieces.push(Piece::Bytes(std::mem::take(bytes)));
            pieces.push(Piece::Wait);
            bytes.extend(body);
            rest
        }
        '^' => {
            bytes.push(b'^');
            rest
        }
        control => {
            let code = u8::try_from(control).expect("an ASCII letter after ^");
            bytes.push(code & 0x1f);
            rest
        }
    }
}

fn literal<'a>(text: &'a str, before: &str, after: &str, bytes: &mut Vec<u8>) -> &'a str {
    let (body, rest) = text.split_once('}').expect("} after ^{");
    let body = match body.split_once('*') {
        // `^{100*x}`: long ones.
        Some((count, unit)) if count.parse::<usize>().is_ok() => {
            plain(unit).repeat(count.parse().unwrap())
        }
        _ => plain(body),
    };
    bytes.extend(format!("{before}{{{}{after}", body.len()).into_bytes());
    bytes.extend(body);
    rest
}

/// Bytes of a text in which nothing is waited for.
fn plain(text: &str) -> Vec<u8> {
    match pieces(text).pop() {
        Some(Piece::Bytes(bytes)) => bytes,
        Some(Piece::Wait) | None => Vec::new(),
    }
}
