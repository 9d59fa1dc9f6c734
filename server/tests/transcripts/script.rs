//! The syntax of transcripts.

/// A parsed transcript.
pub(crate) struct Script {
    /// What the header asks of the server.
    pub(crate) options: Options,
    /// What happens, with line numbers.
    pub(crate) steps: Vec<(usize, Step)>,
}

/// What a transcript's header asks of the server.
#[derive(Default)]
pub(crate) struct Options {
    /// `# set: Section:Key=Value`, more than once.
    pub(crate) set: Vec<String>,
    /// `# quota: BYTES MESSAGES` of every account.
    pub(crate) quota: Option<(u64, u64)>,
    /// `# channel: plain` for a peer that is not loopback.
    pub(crate) plain: bool,
    /// `# state: selected` (the default) logs in and selects INBOX on each connection first;
    /// `authenticated` logs in; `none` does nothing.
    pub(crate) state: State,
}

/// In which state connections begin.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// INBOX is selected.
    Selected,
    /// Logged in.
    Authenticated,
    /// Nothing was sent; the greeting is still to come.
    #[default]
    None,
}

/// One step.
#[derive(Debug)]
pub(crate) enum Step {
    /// `C[name]: text` sends a line.
    Send(String, String),
    /// `c[name]: text` sends without a line end, `c*20: text` twenty times; `\r`, `\n`, `\0` and
    /// `\xHH` are replaced.
    SendRaw(String, String),
    /// `C: … {+}` with `L:` lines sends a literal of these lines, its size filled in.
    SendLiteral(String, String, String, String),
    /// `S[name]: pattern` expects one line; `S*20: pattern` expects twenty.
    Expect(String, String, usize),
    /// `U[name]: pattern` lines that stand together come in any order; `O[name]: pattern` among or
    /// after them may come or not.
    Unordered(String, Vec<(Need, String)>),
    /// `X[name]:` expects the connection to be closed.
    Closed(String),
    /// `K[name]:` the client goes away without a word.
    Kill(String),
    /// `G: a b` the number captured as `a` is greater than the one captured as `b`.
    Greater(String, String),
    /// `N: a b c` no two of the words captured as these are the same.
    Different(Vec<String>),
    /// `D: hold`, `one` or `go`: what the disk does with what has to be durable.
    Disk(DiskStep),
    /// `T: 15` so many seconds go by, once the disk is asked for something if it is held.
    Time(u64),
    /// `Z[name]: on` from here on the client compresses both ways (RFC 4978); `off` ends that.
    Compress(String, Compression),
    /// `R:` the store is closed and opened again; every connection is gone.
    Restart,
}

/// Whether a client compresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Compression {
    /// It begins to.
    On,
    /// It ends that.
    Off,
}

/// What becomes of the log's syncs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DiskStep {
    /// They wait from here on.
    Hold,
    /// One is let on, and the next has come.
    One,
    /// All are let on.
    Go,
}

/// Whether a line has to come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Need {
    /// It does.
    Required,
    /// The RFC leaves it to the server.
    Optional,
}

impl Need {
    fn of(kind: &str) -> Option<Self> {
        match kind {
            "U" => Some(Self::Required),
            "O" => Some(Self::Optional),
            _ => None,
        }
    }
}

/// The lines of a transcript, numbered from 0.
type Lines<'a> = std::iter::Peekable<std::iter::Enumerate<std::str::Lines<'a>>>;

/// Reads a transcript.
pub(crate) fn parse(text: &str) -> Result<Script, String> {
    let mut script = Script {
        options: Options::default(),
        steps: Vec::new(),
    };
    let mut lines = text.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if line.trim().is_empty() {
            continue;
        }
        if let Some(header) = line.strip_prefix('#') {
            option(&mut script.options, header.trim());
            continue;
        }
        let step = step(line, &mut lines).ok_or_else(|| format!("line {}: {line}", at + 1))?;
        script.steps.push((at + 1, step));
    }
    Ok(script)
}

/// The step that begins with this line; the rest of it is taken from those that follow.
fn step(line: &str, lines: &mut Lines<'_>) -> Option<Step> {
    let (kind, name, rest) = split(line)?;
    let (kind, times) = match kind.split_once('*') {
        Some((kind @ ("c" | "S"), times)) => (kind, times.parse().ok()?),
        Some(_) => return None,
        None => (kind, 1),
    };
    let words = || rest.split(' ').map(str::to_owned);
    Some(match (kind, rest.as_str()) {
        ("C", _) => command(name, rest, lines),
        ("c", _) => Step::SendRaw(name, rest.repeat(times)),
        ("S", _) => Step::Expect(name, rest, times),
        ("U" | "O", _) => unordered(Need::of(kind)?, name, rest, lines),
        ("X", _) => Step::Closed(name),
        ("K", _) => Step::Kill(name),
        ("G", _) => Step::Greater(words().next()?, words().nth(1)?),
        ("N", _) => Step::Different(words().collect()),
        ("D", "hold") => Step::Disk(DiskStep::Hold),
        ("D", "one") => Step::Disk(DiskStep::One),
        ("D", "go") => Step::Disk(DiskStep::Go),
        ("T", secs) => Step::Time(secs.parse().ok()?),
        ("Z", "on") => Step::Compress(name, Compression::On),
        ("Z", "off") => Step::Compress(name, Compression::Off),
        ("R", _) => Step::Restart,
        _ => return None,
    })
}

/// `C:` with the `L:` lines of its literal, and what follows that.
fn command(name: String, text: String, lines: &mut Lines<'_>) -> Step {
    let mut literal: Option<String> = None;
    while let Some(line) = next_of("L:", lines) {
        let body = literal.get_or_insert_default();
        body.push_str(line);
        body.push_str("\r\n");
    }
    match literal {
        None => Step::Send(name, text),
        Some(body) => {
            let after = next_of("L+:", lines).unwrap_or_default().to_owned();
            Step::SendLiteral(name, text, body, after)
        }
    }
}

/// What stands in the next line if it is of this kind.
fn next_of<'a>(kind: &str, lines: &mut Lines<'a>) -> Option<&'a str> {
    let text = lines.peek()?.1.strip_prefix(kind)?;
    lines.next();
    Some(text.strip_prefix(' ').unwrap_or(text))
}

/// All `U:` and `O:` lines of one client that stand together.
fn unordered(need: Need, name: String, first: String, lines: &mut Lines<'_>) -> Step {
    let mut all = vec![(need, first)];
    while let Some((kind, other, rest)) = lines.peek().and_then(|(_, l)| split(l)) {
        let Some(need) = Need::of(kind).filter(|_| other == name) else {
            break;
        };
        all.push((need, rest));
        lines.next();
    }
    Step::Unordered(name, all)
}

/// `C[name]: rest`
fn split(line: &str) -> Option<(&str, String, String)> {
    let (head, rest) = line.split_once(':')?;
    let rest = rest.strip_prefix(' ').unwrap_or(rest).to_owned();
    match head.split_once('[') {
        Some((kind, name)) => Some((kind, name.strip_suffix(']')?.to_owned(), rest)),
        None => Some((head, "1".to_owned(), rest)),
    }
}

fn option(options: &mut Options, header: &str) {
    if let Some(set) = header.strip_prefix("set:") {
        options.set.push(set.trim().to_owned());
    } else if let Some(quota) = header.strip_prefix("quota:") {
        let two = quota.trim().split_once(' ');
        options.quota = two.and_then(|(bytes, n)| Some((bytes.parse().ok()?, n.parse().ok()?)));
    } else if let Some(channel) = header.strip_prefix("channel:") {
        options.plain = channel.trim() == "plain";
    } else if let Some(state) = header.strip_prefix("state:") {
        options.state = match state.trim() {
            "selected" => State::Selected,
            "authenticated" => State::Authenticated,
            _ => State::None,
        };
    }
}
