//! Framing, before grammar: cuts what a client sends into commands, under hard limits.
//!
//! RFC 9051 §2.2.1 (lines and literals), §4.3 (literals), RFC 7888 (non-synchronising literals),
//! RFC 3502 (messages of one APPEND after another).
//!
//! The [`Framer`] owns the input buffer. A command stays in it, literals where the client put
//! them, until its last line is there; then the grammar reads it in one go. The bytes of APPEND's
//! messages alone are handed on as they arrive. Whatever a client sends, the end of its command is
//! found by lines and announced literals only, so that no byte of a literal is ever read as a
//! command, and the command after a bad one is read from the right byte.
//!
//! A line ends with LF; a CR before it belongs to the line end. A CR or NUL anywhere else outside
//! of a message is an error, which the grammar finds. A line that ends in `{n}`, `{n+}`, `~{n}` or
//! `~{n+}` announces a literal, also where the grammar cannot take one.
//!
//! ```
//! use wire::{frame::{Frame, Framer}, limits::Limits};
//!
//! let mut framer = Framer::new();
//! framer.push(b"a1 LOGIN tim {8}\r\n");
//! let Frame::Literal(literal) = framer.next(&Limits::BEFORE_LOGIN) else { unreachable!() };
//! assert_eq!((literal.property.name, literal.size), ("LOGIN", 8));
//! framer.grant(); // and send "+ \r\n"
//! framer.push(b"tanstaaf\r\na2 NOOP\r\n");
//! assert!(matches!(framer.next(&Limits::BEFORE_LOGIN), Frame::Command(_)));
//! assert!(matches!(framer.next(&Limits::BEFORE_LOGIN), Frame::Command(_)));
//! assert!(matches!(framer.next(&Limits::BEFORE_LOGIN), Frame::Incomplete));
//! ```
//!
//! Not here: what a command may do, and when a client gets its `+`.

mod announce;

use bytes::{Buf, BytesMut};

use crate::{
    cursor::{Cursor, Extent, Parsed, Refusal, Stop, SyntaxError},
    imap::{
        append::{self, Append, AppendData, AppendMessage, LiteralForm},
        command::{self, Authenticated, Command, Head, Selected, Tag, Tagged},
        replace::Replace,
        table::{self, Property},
    },
    limits::{IDLE_BUFFER_BYTES_MAX, Limits},
};
use announce::{Announcement, Waits};

/// What [`Framer::next`] found.
#[derive(Clone, PartialEq, Debug)]
pub enum Frame {
    /// More bytes are needed.
    Incomplete,
    /// A whole command.
    Command(Tagged),
    /// The client waits for `+` before it sends a literal that is within limits:
    /// [`Framer::grant`] and send `+`, or [`Framer::refuse`] and answer the tag.
    Literal(PendingLiteral),
    /// An APPEND, as far as its first message: [`Framer::grant`] and take its bytes (after `+` if
    /// it is [`LiteralForm::Synchronizing`]), or [`Framer::refuse`] and answer the tag.
    Append(Tag, Append),
    /// The same of a REPLACE, whose one message this is.
    Replace(Tag, Replace),
    /// The same APPEND goes on with another message: grant or refuse it likewise.
    AppendNext(AppendMessage),
    /// The APPEND or REPLACE is complete.
    AppendEnd,
    /// A command that was not understood; it is behind, with its literals. Within an APPEND it
    /// ends the APPEND.
    Bad(Option<Tag>, Fault),
    /// A command that was understood and is answered NO; it is behind. Within an APPEND it ends
    /// the APPEND.
    Refused(Tag, &'static Property, Refusal),
    /// What the client sends cannot be skipped within limits: BYE with this reason. Every later
    /// call gives the same.
    Fatal(Fault),
}

/// A literal that a client waits to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PendingLiteral {
    /// The command's tag.
    pub tag: Tag,
    /// The command.
    pub property: &'static Property,
    /// How many bytes the client announced.
    pub size: u64,
}

/// Why a command is BAD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// It is not well formed.
    Syntax(SyntaxError),
    /// There is no such command.
    UnknownCommand,
    /// Its line is longer than allowed.
    LineTooLong,
    /// A literal is longer than allowed, or there are too many: `[TOOBIG]`.
    TooBig,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Syntax(error) => error.fmt(f),
            Self::UnknownCommand => f.write_str("unknown command"),
            Self::LineTooLong => f.write_str("the command line is too long"),
            Self::TooBig => f.write_str("a literal is too big, or there are too many"),
        }
    }
}

impl std::error::Error for Fault {}

/// What [`Framer::line`] found.
#[derive(Clone, PartialEq, Eq)]
pub enum Line {
    /// More bytes are needed.
    Incomplete,
    /// A line without its end.
    Line(Vec<u8>),
    /// It is longer than allowed; the rest of it will be dropped by [`Framer::next`].
    TooLong,
}

impl std::fmt::Debug for Line {
    /// A line may be a SASL response: its bytes are never shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Incomplete => "Incomplete",
            Self::Line(_) => "Line([secret])",
            Self::TooLong => "TooLong",
        })
    }
}

/// What the next bytes are.
#[derive(Clone, PartialEq, Debug)]
enum Mode {
    /// A command, from its tag.
    Command(Progress),
    /// The client waits for `+` to go on with its command, whose line ended there.
    Waiting(Progress, usize),
    /// A message was announced, and is granted or refused by the caller.
    Announced(Message),
    /// The bytes of a message.
    Message(Message),
    /// What follows a message.
    AfterMessage(Message, Progress),
    /// Something that is dropped to its end.
    Skip(Skip),
    /// Nothing more is read.
    Fatal(Fault),
}

/// How far the command in the buffer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Progress {
    /// To here there is no line end to be found; beyond the buffer while a literal is awaited.
    scanned: usize,
    /// Where the current line began: 0, or after a literal.
    line: usize,
    /// Literals so far.
    literals: usize,
    /// Their bytes.
    literal_bytes: usize,
}

/// A line in the buffer, by offsets.
#[derive(Clone, Copy)]
struct LineAt {
    /// Where its end begins.
    end: usize,
    /// Where the next byte stands.
    next: usize,
    /// What it announces.
    announced: Option<(u64, Waits)>,
}

/// A message on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Message {
    tag: Tag,
    /// Of what it is part.
    property: &'static Property,
    remaining: u64,
    literal: LiteralForm,
    data: AppendData,
    /// What may be dropped if the APPEND is refused.
    budget: Budget,
}

/// How many more bytes may be dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Budget {
    literals: u64,
    lines: u64,
}

impl Budget {
    fn new(limits: &Limits, property: Option<&Property>) -> Self {
        let streams = property.is_some_and(Property::streams);
        let literals = match streams {
            true => limits.message_bytes_max.max(limits.skip_bytes_max),
            false => limits.skip_bytes_max,
        };
        let longest = limits.line_bytes_max.max(limits.id_line_bytes_max);
        let lines = limits.skip_bytes_max.saturating_add(to_u64(longest));
        Self { literals, lines }
    }
}

/// Dropping of what is left of a command or line.
#[derive(Clone, PartialEq, Debug)]
struct Skip {
    /// The rest of a literal, bytes.
    literal: u64,
    /// Finds the literal announced at the end of the current line; `None` where there are none.
    line: Option<Announcement>,
    budget: Budget,
    /// Said when it is done.
    then: Option<Box<Frame>>,
}

/// The framing of one connection's input. See the module's example.
#[derive(Debug)]
pub struct Framer {
    buffer: BytesMut,
    mode: Mode,
    /// The greatest capacity seen since the buffer was allocated.
    peak: usize,
    /// The text of the command that is being cut off, where somebody wants it.
    heard: Option<Box<Heard>>,
}

/// The text of a command. Seldom wanted, so it lies apart.
#[derive(Debug, Default)]
struct Heard(Vec<u8>);

impl Default for Framer {
    fn default() -> Self {
        Self::new()
    }
}

/// What callers do.
impl Framer {
    /// A framer with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            mode: Mode::Command(Progress::default()),
            peak: 0,
            heard: None,
        }
    }

    /// Adds bytes that were received.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The input buffer, for reading straight into its end.
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How many received bytes were not yet taken.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// How many ends of lines are among them: about as many commands wait.
    #[must_use]
    pub fn buffered_lines(&self) -> usize {
        memchr::memchr_iter(b'\n', &self.buffer).count()
    }

    /// Whether nothing of a command has come yet: what the server says now stands between commands.
    #[must_use]
    pub fn is_between_commands(&self) -> bool {
        matches!(self.mode, Mode::Command(_)) && self.buffer.is_empty()
    }

    /// Drops every byte and begins anew: after STARTTLS nothing that came before the handshake
    /// may count (RFC 9051 §6.2.1).
    pub fn reset(&mut self) {
        *self = Self::new();
    }

    /// Takes what was received and not yet taken, and begins anew: from COMPRESS on it is of another
    /// layer (RFC 4978 §3).
    pub fn take(&mut self) -> BytesMut {
        std::mem::take(self).buffer
    }

    /// Cuts off the next frame. `limits` are those of the connection's stage now.
    pub fn next(&mut self, limits: &Limits) -> Frame {
        loop {
            let found = match &self.mode {
                Mode::Command(progress) => self.command(*progress, limits),
                Mode::AfterMessage(message, progress) => {
                    self.after_message(message.clone(), *progress, limits)
                }
                Mode::Skip(_) => self.skip(),
                Mode::Message(message) if message.remaining == 0 => {
                    self.mode = Mode::AfterMessage(message.clone(), Progress::default());
                    None
                }
                Mode::Message(_) | Mode::Waiting(..) | Mode::Announced(_) => {
                    Some(Frame::Incomplete)
                }
                Mode::Fatal(fault) => Some(Frame::Fatal(*fault)),
            };
            if let Some(frame) = found {
                return frame;
            }
        }
    }

    /// Cuts off the next frame, with the text of the command if one was understood: with its
    /// literals, of APPEND as far as the first message, and secrets where it holds some.
    pub fn next_heard(&mut self, limits: &Limits) -> (Frame, Vec<u8>) {
        self.heard = Some(Box::default());
        let frame = self.next(limits);
        (frame, self.heard.take().unwrap_or_default().0)
    }

    /// Lets the client send the literal or message that was announced.
    pub fn grant(&mut self) {
        match &self.mode {
            Mode::Waiting(progress, _) => self.mode = Mode::Command(*progress),
            Mode::Announced(message) => self.mode = Mode::Message(message.clone()),
            _ => {}
        }
    }

    /// Drops the command whose literal or message was announced, or whose message is arriving.
    ///
    /// A client that waits for `+` will send no more of it. One that does not wait has sent it:
    /// the rest of the command is skipped, and [`Self::next`] goes on after it.
    pub fn refuse(&mut self) {
        match self.mode.clone() {
            Mode::Waiting(_, line_end) => self.drop_front(line_end),
            Mode::Announced(message) if message.literal == LiteralForm::Synchronizing => {
                self.drop_front(0);
            }
            Mode::Announced(message) | Mode::Message(message) => {
                self.start_skip(message.remaining, message.budget, None);
            }
            _ => {}
        }
    }

    /// Bytes of the granted message that are here; empty if none are, or if no message is.
    #[must_use]
    pub fn message_bytes(&self) -> &[u8] {
        let remaining = usize::try_from(self.message_remaining()).unwrap_or(usize::MAX);
        let here = remaining.min(self.buffer.len());
        self.buffer.get(..here).unwrap_or_default()
    }

    /// How many bytes of the granted message were not yet consumed.
    #[must_use]
    pub const fn message_remaining(&self) -> u64 {
        match &self.mode {
            Mode::Message(message) => message.remaining,
            _ => 0,
        }
    }

    /// Takes the first `count` of [`Self::message_bytes`]; no more than there are.
    pub fn consume(&mut self, count: usize) {
        let count = count.min(self.message_bytes().len());
        self.buffer.advance(count);
        if let Mode::Message(message) = &mut self.mode {
            message.remaining = message.remaining.saturating_sub(to_u64(count));
        }
    }

    /// Cuts off one line that is not a command: a SASL response, or the DONE of IDLE. It is called
    /// in place of [`Self::next`] while such a line is due.
    pub fn line(&mut self, max: usize, limits: &Limits) -> Line {
        if let Mode::Skip(_) = &self.mode {
            self.skip();
        }
        let Mode::Command(progress) = self.mode else {
            return Line::Incomplete;
        };
        let found = self.find_line(progress);
        let end = found.map_or_else(|| self.buffer_end(), |line| line.end);
        if end > max {
            let budget = Budget::new(limits, None);
            self.mode = Mode::Skip(Skip {
                literal: 0,
                line: None,
                budget,
                then: None,
            });
            return Line::TooLong;
        }
        let Some(line) = found else {
            return Line::Incomplete;
        };
        let bytes = self.buffer.get(..line.end).unwrap_or_default().to_vec();
        self.drop_front(line.next);
        Line::Line(bytes)
    }
}

/// Commands, and what follows the messages of APPEND.
impl Framer {
    /// The line that begins where the progress says, if its end is there; else remembers how far
    /// it looked.
    fn find_line(&mut self, progress: Progress) -> Option<LineAt> {
        let unscanned = self.buffer.get(progress.scanned..)?;
        let Some(offset) = memchr::memchr(b'\n', unscanned) else {
            let scanned = self.buffer.len();
            if let Mode::Command(progress) | Mode::AfterMessage(_, progress) = &mut self.mode {
                progress.scanned = scanned;
            }
            return None;
        };
        let newline = progress.scanned.saturating_add(offset);
        let line = self.buffer.get(progress.line..newline)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        Some(LineAt {
            end: progress.line.saturating_add(line.len()),
            next: newline.saturating_add(1),
            announced: Announcement::of(line),
        })
    }

    /// The length of the buffer, less a CR that may begin a line end.
    fn buffer_end(&self) -> usize {
        self.buffer
            .strip_suffix(b"\r")
            .unwrap_or(&self.buffer)
            .len()
    }

    fn command(&mut self, progress: Progress, limits: &Limits) -> Option<Frame> {
        let found = self.find_line(progress);
        let end = found.map_or_else(|| self.buffer_end(), |line| line.end);
        let line_bytes = end.saturating_sub(progress.literal_bytes);
        if let Some(head) = self.too_long(line_bytes, limits) {
            return self.line_too_long(progress, head.tag, limits);
        }
        let Some(line) = found else {
            return Some(Frame::Incomplete);
        };
        if let Some((size, waits)) = line.announced {
            return self.literal(progress, line, (size, waits), limits);
        }
        let whole = self.buffer.get(..line.end).unwrap_or_default();
        let (head, parsed) = command::parse(whole, Extent::Whole, limits);
        if let (Some(heard), Ok(_)) = (&mut self.heard, &parsed) {
            heard.0.extend_from_slice(whole);
        }
        self.drop_front(line.next);
        Some(match parsed {
            Ok(command) => completed(head, command),
            Err(stop) => stopped(head, stop),
        })
    }

    /// The head of the command, if its lines are too long for it. What decides is within the
    /// shortest limit, so that it does not matter how much more has arrived.
    fn too_long(&self, line_bytes: usize, limits: &Limits) -> Option<Head> {
        if line_bytes <= limits.line_bytes_max {
            return None;
        }
        let start = self.buffer.len().min(limits.line_bytes_max);
        let head = Head::of(self.buffer.get(..start).unwrap_or_default(), limits);
        let max = match head.property {
            Some(property) if *property == table::ID => limits.id_line_bytes_max,
            Some(property) if *property == table::AUTHENTICATE => {
                limits.authenticate_line_bytes_max
            }
            _ => limits.line_bytes_max,
        };
        (line_bytes > max).then_some(head)
    }

    /// Begins to drop a line that is too long, from its beginning.
    fn line_too_long(
        &mut self,
        progress: Progress,
        tag: Option<Tag>,
        limits: &Limits,
    ) -> Option<Frame> {
        self.drop_front(progress.line);
        let bad = Frame::Bad(tag, Fault::LineTooLong);
        self.start_skip(0, Budget::new(limits, None), Some(bad));
        None
    }

    /// A line of a command ends in the announcement of a literal.
    ///
    /// Before a client is let to send a literal that it waits for, all that stands before it is
    /// parsed (RFC 9051 §4.3, protocol rule 32). That is once more for each literal; but for each
    /// a client waits, and a command with its literals is bounded.
    fn literal(
        &mut self,
        progress: Progress,
        line: LineAt,
        (size, waits): (u64, Waits),
        limits: &Limits,
    ) -> Option<Frame> {
        let before = self.buffer.get(..line.next).unwrap_or_default();
        let mut head = Head::of(before, limits);
        if waits == Waits::Yes || head.property.is_some_and(Property::streams) {
            let (parsed_head, parsed) = command::parse(before, Extent::ToLiteral, limits);
            head = parsed_head;
            match (parsed, head.tag.clone()) {
                (Ok(Command::Authenticated(Authenticated::Append(append))), Some(tag)) => {
                    self.begin_message(line);
                    let (first, of) = (append.first.clone(), &table::APPEND);
                    let frame = |tag| Frame::Append(tag, append);
                    return Some(self.announce((&tag, of), &first, limits, frame));
                }
                (Ok(Command::Selected(Selected::Replace(replace))), Some(tag)) => {
                    self.begin_message(line);
                    let (first, of) = (replace.append.first.clone(), replace.property());
                    let frame = |tag| Frame::Replace(tag, replace);
                    return Some(self.announce((&tag, of), &first, limits, frame));
                }
                (Err(Stop::AtLiteral), Some(_)) => {}
                (Ok(command), _) => {
                    let frame = completed(head.clone(), command);
                    return self.give_up(line, head.property, frame, limits);
                }
                (Err(stop), _) => {
                    let frame = stopped(head.clone(), stop);
                    return self.give_up(line, head.property, frame, limits);
                }
            }
        }
        let Some(progress) = with_literal(progress, line, size, limits) else {
            let frame = Frame::Bad(head.tag, Fault::TooBig);
            return self.give_up(line, head.property, frame, limits);
        };
        match (waits, head.tag, head.property) {
            (Waits::Yes, Some(tag), Some(property)) => {
                self.mode = Mode::Waiting(progress, line.next);
                Some(Frame::Literal(PendingLiteral {
                    tag,
                    property,
                    size,
                }))
            }
            _ => {
                self.mode = Mode::Command(progress);
                None
            }
        }
    }

    /// The line that announces a command's first message is behind.
    fn begin_message(&mut self, line: LineAt) {
        if let Some(heard) = &mut self.heard {
            let before = self.buffer.get(..line.next).unwrap_or_default();
            heard.0.extend_from_slice(before);
        }
        self.drop_front(line.next);
    }

    /// A message was announced at the end of the line that is now behind.
    fn announce(
        &mut self,
        (tag, property): (&Tag, &'static Property),
        message: &AppendMessage,
        limits: &Limits,
        frame: impl FnOnce(Tag) -> Frame,
    ) -> Frame {
        let budget = Budget::new(limits, Some(property));
        if message.literal == LiteralForm::NonSynchronizing && message.size > budget.literals {
            return self.fatal(Fault::TooBig);
        }
        self.mode = Mode::Announced(Message {
            tag: tag.clone(),
            property,
            remaining: message.size,
            literal: message.literal,
            data: message.data,
            budget,
        });
        frame(tag.clone())
    }

    /// After a message: `)` if it was UTF8, then the end of the command or another message.
    fn after_message(
        &mut self,
        message: Message,
        progress: Progress,
        limits: &Limits,
    ) -> Option<Frame> {
        let found = self.find_line(progress);
        let end = found.map_or_else(|| self.buffer_end(), |line| line.end);
        if end > limits.line_bytes_max {
            return self.line_too_long(progress, Some(message.tag), limits);
        }
        let Some(line) = found else {
            return Some(Frame::Incomplete);
        };
        let (to, extent) = match line.announced {
            Some(_) => (line.next, Extent::ToLiteral),
            None => (line.end, Extent::Whole),
        };
        let mut c = Cursor::new(self.buffer.get(..to).unwrap_or_default(), extent, limits);
        match continuation(&mut c, &message) {
            Ok(Some(next)) => {
                self.drop_front(line.next);
                let of = (&message.tag, message.property);
                Some(self.announce(of, &next, limits, |_| Frame::AppendNext(next.clone())))
            }
            Ok(None) => {
                self.drop_front(line.next);
                Some(Frame::AppendEnd)
            }
            Err(stop) => {
                let head = Head {
                    tag: Some(message.tag),
                    property: Some(message.property),
                };
                self.give_up(line, head.property, stopped(head, stop), limits)
            }
        }
    }
}

/// What is dropped.
impl Framer {
    /// The first bytes are behind, and a command begins.
    fn drop_front(&mut self, count: usize) {
        self.mode = Mode::Command(Progress::default());
        self.peak = self.peak.max(self.buffer.capacity());
        self.buffer.advance(count.min(self.buffer.len()));
        if self.peak > IDLE_BUFFER_BYTES_MAX && self.buffer.len() <= IDLE_BUFFER_BYTES_MAX {
            self.buffer = BytesMut::from(&*self.buffer);
            self.peak = 0;
        }
    }

    fn fatal(&mut self, fault: Fault) -> Frame {
        self.buffer = BytesMut::new();
        self.mode = Mode::Fatal(fault);
        Frame::Fatal(fault)
    }

    /// The command whose line this is ends with `frame`: at the line's end if the client waits to
    /// send more, else after the literal it sends and the rest.
    fn give_up(
        &mut self,
        line: LineAt,
        property: Option<&Property>,
        frame: Frame,
        limits: &Limits,
    ) -> Option<Frame> {
        self.drop_front(line.next);
        let Some((size, Waits::No)) = line.announced else {
            return Some(frame);
        };
        self.start_skip(size, Budget::new(limits, property), Some(frame));
        None
    }

    fn start_skip(&mut self, literal: u64, budget: Budget, then: Option<Frame>) {
        self.mode = match budget.literals.checked_sub(literal) {
            Some(literals) => Mode::Skip(Skip {
                literal,
                line: Some(Announcement::default()),
                budget: Budget { literals, ..budget },
                then: then.map(Box::new),
            }),
            None => Mode::Fatal(Fault::TooBig),
        };
    }

    /// Drops what is here of what is to be dropped.
    fn skip(&mut self) -> Option<Frame> {
        let Mode::Skip(skip) = &mut self.mode else {
            return None;
        };
        if skip.literal > 0 {
            let literal = usize::try_from(skip.literal).unwrap_or(usize::MAX);
            let count = literal.min(self.buffer.len());
            skip.literal = skip.literal.saturating_sub(to_u64(count));
            self.buffer.advance(count);
            return (count == 0).then_some(Frame::Incomplete);
        }
        let newline = memchr::memchr(b'\n', &self.buffer);
        let line = self.buffer.get(..newline.unwrap_or(self.buffer.len()));
        let line = line.unwrap_or_default();
        // A CR at the end may belong to the line end.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some(lines) = skip.budget.lines.checked_sub(to_u64(line.len())) else {
            return Some(self.fatal(Fault::LineTooLong));
        };
        skip.budget.lines = lines;
        if let Some(announced) = &mut skip.line {
            *announced = line.iter().copied().fold(*announced, Announcement::after);
        }
        let Some(newline) = newline else {
            let count = line.len();
            self.buffer.advance(count);
            return Some(Frame::Incomplete);
        };
        let skip = skip.clone();
        self.skipped_line(skip, newline.saturating_add(1))
    }

    /// A line was dropped to its end: a literal follows that is dropped too, or that is all.
    fn skipped_line(&mut self, skip: Skip, next: usize) -> Option<Frame> {
        self.drop_front(next);
        let then = skip.then.map(|frame| *frame);
        match skip.line.and_then(Announcement::closed) {
            Some((size, Waits::No)) => {
                self.start_skip(size, skip.budget, then);
                None
            }
            _ => then,
        }
    }
}

/// The progress after one more literal; `None` if it is over the limits.
fn with_literal(progress: Progress, line: LineAt, size: u64, limits: &Limits) -> Option<Progress> {
    let size = usize::try_from(size).ok()?;
    let literals = progress.literals.checked_add(1)?;
    let literal_bytes = progress.literal_bytes.checked_add(size)?;
    let end = line.next.checked_add(size)?;
    let within = size <= limits.literal_bytes_max
        && literals <= limits.literals_max
        && literal_bytes <= limits.literal_sum_bytes_max;
    within.then_some(Progress {
        scanned: end,
        line: end,
        literals,
        literal_bytes,
    })
}

/// What follows a message: another one, or the end. REPLACE has one message (RFC 8508 §4.7).
fn continuation(c: &mut Cursor<'_>, message: &Message) -> Parsed<Option<AppendMessage>> {
    if message.data == AppendData::Utf8 {
        c.byte(b')', "the parenthesis that closes UTF8")?;
    }
    if c.peek().is_none() {
        return Ok(None);
    }
    if *message.property != table::APPEND {
        c.end()?;
    }
    append::message(c).map(Some)
}

fn completed(head: Head, command: Command) -> Frame {
    match head.tag {
        Some(tag) => Frame::Command(Tagged { tag, command }),
        None => stopped(head, Stop::UnknownCommand),
    }
}

fn stopped(head: Head, stop: Stop) -> Frame {
    match (stop, head.tag, head.property) {
        (Stop::Refused(refusal), Some(tag), Some(property)) => {
            Frame::Refused(tag, property, refusal)
        }
        (Stop::Syntax(error), tag, _) => Frame::Bad(tag, Fault::Syntax(error)),
        (_, tag, _) => Frame::Bad(tag, Fault::UnknownCommand),
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
