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
    /// `c[name]: text` sends without a line end; `\r`, `\n`, `\0` and `\xHH` are replaced.
    SendRaw(String, String),
    /// `C: … {+}` with `L:` lines sends a literal of these lines, its size filled in.
    SendLiteral(String, String, String, String),
    /// `S[name]: pattern` expects one line.
    Expect(String, String),
    /// `U[name]: pattern` lines that stand together come in any order; `O[name]: pattern` among or
    /// after them may come or not.
    Unordered(String, Vec<(Need, String)>),
    /// `X[name]:` expects the connection to be closed.
    Closed(String),
    /// `K[name]:` the client goes away without a word.
    Kill(String),
    /// `G: a b` the number captured as `a` is greater than the one captured as `b`.
    Greater(String, String),
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
        let (kind, name, rest) = split(line).ok_or_else(|| format!("line {}: {line}", at + 1))?;
        let step = match kind {
            "C" => {
                let mut literal: Option<String> = None;
                while let Some(text) = lines.peek().and_then(|(_, l)| l.strip_prefix("L:")) {
                    let body = literal.get_or_insert_default();
                    body.push_str(text.strip_prefix(' ').unwrap_or(text));
                    body.push_str("\r\n");
                    lines.next();
                }
                match literal {
                    None => Step::Send(name, rest),
                    Some(body) => {
                        let after = lines.peek().and_then(|(_, l)| l.strip_prefix("L+:"));
                        let after = after.map(|a| a.strip_prefix(' ').unwrap_or(a).to_owned());
                        if after.is_some() {
                            lines.next();
                        }
                        Step::SendLiteral(name, rest, body, after.unwrap_or_default())
                    }
                }
            }
            "c" => Step::SendRaw(name, rest),
            "S" => Step::Expect(name, rest),
            "U" | "O" => {
                let mut all = vec![(Need::of(kind).unwrap_or(Need::Required), rest)];
                while let Some((kind, other, rest)) = lines.peek().and_then(|(_, l)| split(l)) {
                    let Some(need) = Need::of(kind).filter(|_| other == name) else {
                        break;
                    };
                    all.push((need, rest));
                    lines.next();
                }
                Step::Unordered(name, all)
            }
            "X" => Step::Closed(name),
            "K" => Step::Kill(name),
            "G" => {
                let two = rest.split_once(' ').ok_or("G: needs two names")?;
                Step::Greater(two.0.to_owned(), two.1.to_owned())
            }
            "Z" if rest == "on" => Step::Compress(name, Compression::On),
            "Z" if rest == "off" => Step::Compress(name, Compression::Off),
            "R" => Step::Restart,
            other => return Err(format!("line {}: unknown step {other}", at + 1)),
        };
        script.steps.push((at + 1, step));
    }
    Ok(script)
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
