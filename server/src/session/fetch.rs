//! FETCH (RFC 9051 §6.4.5, §7.5.2).
//!
//! Metadata is copied out of the mailbox's rows and the messages' static data; texts are read from
//! the store in pieces and pumped into the response, so that no whole message is held in memory.
//! Messages are worked on in batches of `Imap:MaxMessagesPerSession`.

mod ahead;
mod fixed;
mod text;

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use mail::{
    date::DateTime,
    flag::{Flags, SystemFlags},
    id::{BodyId, Uid},
    set::UidSet,
    structure::{self, Located, Parts, Section, SectionText},
};
use store::{
    Static,
    state::{KeywordSetId, MailboxState, Row},
};
use wire::{
    encode::{FetchWriter, Mode, Pump, Revision, Sync},
    imap::{
        code::Code,
        fetch::{Fetch, FetchItem, FetchModifiers, Peek},
        response::{Completion, FetchData, Recent, Subject},
        select::Access,
        sequence::{Messages, Numbers, SetOrSaved},
    },
};

use self::{
    ahead::Ahead,
    fixed::{Fixed, Need},
    text::Text,
};
use super::{
    Context, Selected,
    answer::{Failure, Outcome, no, ok, refusal},
    limits::APART_BYTES,
    message_limit::Order,
    resync::{Since, last_used},
    search::on_page,
    sink::Sink,
    store_flags::expunge_issued,
};

/// What a FETCH needs beyond the rows.
struct Needs {
    /// ENVELOPE, structures or part ranges.
    fixed: bool,
    /// A text is fetched without PEEK, so `\Seen` is set, and FLAGS are told where that is new.
    seen: bool,
    /// UID, if it was not asked for by name and is not said by the response itself.
    uid: Unasked,
    /// FLAGS were asked for.
    flags: bool,
    /// MODSEQ, if it was not asked for by name.
    mod_seq: Unasked,
    /// The client wants to know the mod-sequence of what it is told of changes.
    sync: Sync,
}

/// When something is told that stands not among the items.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unasked {
    /// Of every message.
    Always,
    /// Of those that this FETCH marked as seen: that is a change, told as any other
    /// (RFC 7162 §3.2.4).
    OfMarked,
    /// Never.
    Never,
}

impl Unasked {
    const fn is_told(self, marked: bool) -> bool {
        match self {
            Self::Always => true,
            Self::OfMarked => marked,
            Self::Never => false,
        }
    }
}

/// One FETCH at work.
struct Job<'a> {
    fetch: &'a Fetch,
    needs: Needs,
    problems: Problems,
    context: &'a Context,
    order: Order,
    /// Flags as values, shared by messages that have the same.
    flags: HashMap<(SystemFlags, KeywordSetId), Arc<Flags>>,
}

/// What went wrong with single messages; the command ends in NO then.
#[derive(Default)]
struct Problems {
    expunged: bool,
    unknown_encoding: bool,
    /// The store could not read something.
    failed: Option<Completion>,
}

/// One message being fetched.
struct Message<'a> {
    uid: Uid,
    row: Row,
    fixed: Option<&'a Static>,
    /// The part tree, decoded when a section first asks for it.
    parts: Option<Parts>,
    /// This FETCH set `\Seen`.
    was_marked: bool,
}

impl Selected {
    pub(super) async fn fetch(
        &mut self,
        fetch: &Fetch,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        if fetch.modifiers.vanished {
            self.auth.has_enabled_qresync()?;
        }
        if names_mod_sequences(fetch) {
            self.want_mod_seqs(sink).await?;
        }
        let uids = self.messages(&fetch.messages, sink).await?;
        if fetch.modifiers.vanished {
            self.tell_vanished(fetch, sink).await?;
        }
        let uids = self.paged(uids, &fetch.modifiers, context)?;
        let limited = context.limited(uids);
        let uids = self.changed_of(limited.uids.clone(), &fetch.modifiers);
        let mut job = Job {
            fetch,
            needs: Needs::of(fetch, self.access, self.auth.mode),
            problems: Problems::default(),
            context,
            order: limited.order(),
            flags: HashMap::new(),
        };
        let batch = context.service.config.imap.max_messages_per_session;
        for batch in limited.steps(&uids, batch as usize) {
            self.fetch_batch(&batch, &mut job, sink).await?;
        }
        // A UID that is gone is no error: it may be told of at once (RFC 9051 §6.4.9).
        job.problems.expunged &= fetch.messages.numbers() == Numbers::Seq;
        Ok(limited.completion(job.problems.completion(), sink).await?)
    }

    /// Tells of messages what their client asked for once and for all (RFC 5465 §5.2): their UIDs
    /// always, and mod-sequences as in whatever is told unasked (RFC 7162 §3.2.4).
    pub(super) async fn fetch_unasked(
        &mut self,
        uids: &UidSet,
        items: Vec<FetchItem>,
        context: &Context,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let fetch = Fetch {
            messages: Messages::Uid(SetOrSaved::Saved),
            items,
            modifiers: FetchModifiers::default(),
        };
        let mut needs = Needs::of(&fetch, self.access, self.auth.mode);
        if needs.mod_seq == Unasked::OfMarked {
            needs.mod_seq = Unasked::Always;
        }
        let mut job = Job {
            fetch: &fetch,
            needs,
            problems: Problems::default(),
            context,
            order: Order::Mailbox,
            flags: HashMap::new(),
        };
        let batch = context.service.config.imap.max_messages_per_session;
        for batch in batches(uids, batch as usize) {
            self.fetch_batch(&batch, &mut job, sink).await?;
        }
        Ok(())
    }

    /// Those of the messages that are there and on the page asked for (RFC 9394 §3.3).
    fn paged(
        &self,
        uids: UidSet,
        modifiers: &FetchModifiers,
        context: &Context,
    ) -> Result<UidSet, Failure> {
        let Some(page) = modifiers.page else {
            return Ok(uids);
        };
        context.check_page(page.len())?;
        Ok(on_page(page, &uids))
    }

    /// Which of the messages that are asked for are gone (RFC 7162 §3.2.6).
    async fn tell_vanished(&self, fetch: &Fetch, sink: &mut Sink) -> Result<(), Failure> {
        let Some(mod_seq) = fetch.modifiers.changed_since else {
            return Ok(());
        };
        let state = self.mailbox.state();
        let since = Since {
            mailbox: &*self.mailbox,
            state: &state,
            view: &self.view,
            mod_seq,
            uids: self.view.asked(&fetch.messages, last_used(&state)),
        };
        since.tell_vanished(None, sink).await
    }

    /// Those of these messages that CHANGEDSINCE asks for (RFC 7162 §3.1.4.1).
    fn changed_of(&self, uids: UidSet, modifiers: &FetchModifiers) -> UidSet {
        let Some(since) = modifiers.changed_since else {
            return uids;
        };
        let state = self.mailbox.state();
        let changed = state.changed_since(since).map(|(uid, _)| uid);
        changed.collect::<UidSet>().intersection(&uids)
    }

    async fn fetch_batch(
        &mut self,
        batch: &UidSet,
        job: &mut Job<'_>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let seen = match job.needs.seen {
            true => self.mark_seen(&self.unseen(batch)).await,
            false => UidSet::new(),
        };
        let state = self.mailbox.state();
        sink.send_all(&self.view.tell_keywords(&state)).await?;
        let rows = state.rows_of(batch).map(|(uid, row)| (uid, *row));
        let mut rows: Vec<(Uid, Row)> = rows.collect();
        if job.order == Order::NewestFirst {
            rows.reverse();
        }
        job.problems.expunged |= rows.len() as u64 != batch.count();
        let mailbox = Arc::clone(&self.mailbox);
        let need = match job.needs.fixed {
            true => Need::Some,
            false => Need::None,
        };
        let mut fixed = Fixed::new(&*mailbox, &rows, need);
        let mut bodies = Ahead::new(&*mailbox);
        for (at, (uid, row)) in rows.iter().enumerate() {
            fixed.fill(at, &mut job.problems).await?;
            let coming = rows.iter().enumerate().take(fixed.end()).skip(at);
            let coming = coming.map(|(at, row)| (row, fixed.of(at)));
            bodies.fill(at, job.fetch, coming).await;
            let mut message = Message {
                uid: *uid,
                row: *row,
                fixed: fixed.of(at),
                parts: None,
                was_marked: seen.contains(*uid),
            };
            self.fetch_message(&mut message, (&state, &bodies), job, sink)
                .await?;
        }
        let told = if job.needs.tells_flags() {
            batch
        } else {
            &seen
        };
        self.view.note_known(told, &state);
        Ok(())
    }

    fn unseen(&self, batch: &UidSet) -> UidSet {
        let state = self.mailbox.state();
        let unseen = state
            .rows_of(batch)
            .filter(|(_, row)| !row.system.contains(SystemFlags::SEEN));
        unseen.map(|(uid, _)| uid).collect()
    }

    async fn fetch_message(
        &self,
        message: &mut Message<'_>,
        (state, bodies): (&MailboxState, &Ahead<'_>),
        job: &mut Job<'_>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let Some(subject) = self.view.subject(message.uid, self.auth.mode) else {
            return Ok(());
        };
        let mut response = Response::begin(subject, sink);
        let mut contents = Contents::default();
        let marked = message.was_marked;
        if job.needs.uid.is_told(marked) {
            response.item(&FetchData::Uid(message.uid), sink);
        }
        if marked || job.needs.flags {
            response.item(&self.flags_of(message, state, job), sink);
        }
        if job.needs.mod_seq.is_told(marked) {
            response.item(&FetchData::ModSeq(message.row.mod_seq), sink);
        }
        for item in &job.fetch.items {
            let problems = &mut job.problems;
            let text = match item {
                FetchItem::BodySection(section) => {
                    text::body_section(bodies, message, section, problems).await
                }
                FetchItem::Binary(section) => {
                    text::binary(bodies, message, section, problems).await
                }
                other => {
                    if let Some(data) = message.metadata(other, problems) {
                        response.item(&data, sink);
                    }
                    None
                }
            };
            if let Some(text) = text {
                let source = (bodies, message.row.body);
                pump(text, source, problems, &mut response, sink).await?;
                contents.sent(item);
            }
        }
        response.end(sink);
        if contents.any {
            job.context.retrieved(message.row.body, contents.whole);
        }
        Ok(sink.relieve().await?)
    }

    fn flags_of(
        &self,
        message: &Message<'_>,
        state: &MailboxState,
        job: &mut Job<'_>,
    ) -> FetchData {
        let key = (message.row.system, message.row.keywords);
        let flags = job
            .flags
            .entry(key)
            .or_insert_with(|| Arc::new(state.flags(&message.row)));
        let recent = match self.auth.mode.revision {
            Revision::Rev1 => self.view.recent(message.uid),
            Revision::Rev2 => Recent::No,
        };
        FetchData::Flags(Arc::clone(flags), recent)
    }
}

/// What of a message was sent, for the counts.
#[derive(Default)]
struct Contents {
    /// Something of its text, not of a header only.
    any: bool,
    /// How often all of it.
    whole: u64,
}

impl Contents {
    fn sent(&mut self, item: &FetchItem) {
        let FetchItem::BodySection(section) = item else {
            self.any = true;
            return;
        };
        let section = &section.section;
        self.any |= matches!(section.text, None | Some(SectionText::Text));
        self.whole = self
            .whole
            .saturating_add(u64::from(*section == Section::default()));
    }
}

impl Context {
    /// Content of a message was sent, so many times whole.
    fn retrieved(&self, body: BodyId, whole: u64) {
        self.place.retrieved(body, whole);
        self.service.observe.metrics.messages_retrieved.count(());
    }
}

/// Writes an item that holds text: at hand, or pumped from the store. Its first piece is read
/// before anything of it is written, so that an item that cannot be read is left out.
async fn pump(
    mut text: Text,
    (bodies, body): (&Ahead<'_>, BodyId),
    problems: &mut Problems,
    response: &mut Response,
    sink: &mut Sink,
) -> Result<(), Failure> {
    let first = text.pieces.next(bodies, body).await;
    let Some(mut piece) = problems.unless_failed(first) else {
        return Ok(());
    };
    let Some(pump) = response.item(&text.data, sink) else {
        return Ok(());
    };
    let mut left = pump.bytes;
    let is_apart = left >= APART_BYTES;
    if is_apart {
        sink.set_apart().await?;
    }
    while left > 0 {
        if piece.is_empty() {
            return Err(broken_off(&store::Error::Damaged("too few bytes".into())));
        }
        let fits = usize::try_from(left)
            .unwrap_or(piece.len())
            .min(piece.len());
        left = left.saturating_sub(fits as u64);
        let fitting = piece.get(..fits).unwrap_or_default();
        text::send(sink, fitting, pump.form).await?;
        if left > 0 {
            let next = text.pieces.next(bodies, body).await;
            piece = next.map_err(|error| broken_off(&error))?;
        }
    }
    if is_apart {
        sink.set_apart().await?;
    }
    Ok(())
}

/// One FETCH response being written.
struct Response {
    writer: FetchWriter,
    /// Where it begins in the buffer, as long as it has no item.
    empty_from: Option<usize>,
}

impl Response {
    fn begin(subject: Subject, sink: &mut Sink) -> Self {
        let from = sink.buffer().len();
        Self {
            writer: FetchWriter::begin(sink.buffer(), subject),
            empty_from: Some(from),
        }
    }

    /// Writes an item; `Some` if its bytes must follow.
    fn item(&mut self, data: &FetchData, sink: &mut Sink) -> Option<Pump> {
        self.empty_from = None;
        self.writer.item(sink.buffer(), data)
    }

    /// A response needs at least one item (RFC 9051 §9 `msg-att`): without, there is none.
    fn end(self, sink: &mut Sink) {
        match self.empty_from {
            Some(from) => sink.buffer().truncate(from),
            None => self.writer.end(sink.buffer()),
        }
    }
}

impl Needs {
    fn of(fetch: &Fetch, access: Access, mode: Mode) -> Self {
        let any = |test: &dyn Fn(&FetchItem) -> bool| fetch.items.iter().any(test);
        let marks = any(&|item| match item {
            FetchItem::BodySection(section) => section.peek == Peek::Mark,
            FetchItem::Binary(section) => section.peek == Peek::Mark,
            _ => false,
        });
        let unasked = |is_asked: bool, always: bool| match (is_asked, always) {
            (true, _) => Unasked::Never,
            (false, true) => Unasked::Always,
            (false, false) if mode.sync >= Sync::CondStore => Unasked::OfMarked,
            (false, false) => Unasked::Never,
        };
        let asks_uid = any(&|item| matches!(item, FetchItem::Uid));
        let asks_mod_seq = any(&|item| matches!(item, FetchItem::ModSeq));
        Self {
            fixed: any(&|item| item_needs_fixed(item)),
            seen: marks && access == Access::ReadWrite,
            uid: match mode.numbers {
                Numbers::Seq => unasked(asks_uid, fetch.messages.numbers() == Numbers::Uid),
                Numbers::Uid => Unasked::Never,
            },
            flags: any(&|item| matches!(item, FetchItem::Flags)),
            mod_seq: unasked(asks_mod_seq, fetch.modifiers.changed_since.is_some()),
            sync: mode.sync,
        }
    }

    /// Whether the client knows the flags of every message afterwards: with their mod-sequences, if
    /// it wants those.
    fn tells_flags(&self) -> bool {
        let with_mod_seq = matches!(self.mod_seq, Unasked::Always | Unasked::Never);
        self.flags && (self.sync == Sync::Plain || with_mod_seq)
    }
}

/// Whether a FETCH tells that its client wants mod-sequences (RFC 7162 §3.1).
fn names_mod_sequences(fetch: &Fetch) -> bool {
    fetch.modifiers.changed_since.is_some() || fetch.items.contains(&FetchItem::ModSeq)
}

/// Whether an item reads static data; a whole message and its size do not.
fn item_needs_fixed(item: &FetchItem) -> bool {
    match item {
        FetchItem::Flags
        | FetchItem::Uid
        | FetchItem::InternalDate
        | FetchItem::Size
        | FetchItem::ModSeq
        | FetchItem::EmailId
        | FetchItem::ThreadId
        | FetchItem::SaveDate => false,
        FetchItem::Preview => true,
        FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => true,
        FetchItem::BodySection(item) => item.section != Section::default(),
        FetchItem::Binary(_) | FetchItem::BinarySize(_) => true,
    }
}

impl Message<'_> {
    fn metadata(&mut self, item: &FetchItem, problems: &mut Problems) -> Option<FetchData> {
        let fixed = |pick: fn(&Static) -> &Bytes| self.fixed.map(|fixed| pick(fixed).clone());
        match item {
            FetchItem::Uid => Some(FetchData::Uid(self.uid)),
            FetchItem::InternalDate => Some(FetchData::InternalDate(self.row.internal_date)),
            FetchItem::Size => Some(FetchData::Size(u64::from(self.row.size))),
            FetchItem::ModSeq => Some(FetchData::ModSeq(self.row.mod_seq)),
            FetchItem::Envelope => fixed(|f| &f.envelope).map(FetchData::Envelope),
            FetchItem::Body => fixed(|f| &f.body).map(FetchData::Body),
            FetchItem::BodyStructure => fixed(|f| &f.body_structure).map(FetchData::BodyStructure),
            FetchItem::BinarySize(path) => match self.binary_size(path) {
                Some(size) => Some(FetchData::BinarySize(path.clone(), size)),
                None => {
                    problems.unknown_encoding = true;
                    None
                }
            },
            FetchItem::EmailId => Some(FetchData::EmailId(self.row.body)),
            FetchItem::ThreadId => Some(FetchData::ThreadId(self.row.thread)),
            FetchItem::SaveDate => Some(FetchData::SaveDate(self.saved())),
            FetchItem::Preview => self.fixed.map(|f| FetchData::Preview(f.preview.clone())),
            FetchItem::Flags | FetchItem::BodySection(_) | FetchItem::Binary(_) => None,
        }
    }

    /// When it came into the mailbox (RFC 8514 §3), in UTC as SEARCH compares it.
    const fn saved(&self) -> DateTime {
        DateTime {
            secs: self.row.saved_secs,
            offset_minutes: 0,
        }
    }

    fn parts(&mut self) -> Option<&Parts> {
        if self.parts.is_none() {
            self.parts = self
                .fixed
                .and_then(|fixed| structure::decode(&fixed.parts).ok());
        }
        self.parts.as_ref()
    }

    /// Where a section lies; the sections of the message itself need no part tree.
    fn locate<'s>(&mut self, section: &'s Section) -> Option<Located<'s>> {
        let size = u64::from(self.row.size);
        if !section.path.is_empty() {
            return self.parts()?.locate(section);
        }
        let header = self.fixed.map_or(0, |fixed| fixed.header_bytes);
        Some(match &section.text {
            None => Located::Bytes(0..size),
            Some(SectionText::Header) => Located::Bytes(0..header),
            Some(SectionText::Text) => Located::Bytes(header..size),
            Some(_) => return self.parts()?.locate(section),
        })
    }

    fn binary_size(&mut self, path: &[u32]) -> Option<u64> {
        match self.parts()?.binary(path) {
            Some(binary) => binary.size,
            None => Some(0),
        }
    }
}

impl Problems {
    /// The value, or the note that the store failed.
    fn unless_failed<T>(&mut self, result: store::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failed = Some(refusal(&error));
                None
            }
        }
    }

    fn completion(self) -> Completion {
        if let Some(failed) = self.failed {
            failed
        } else if self.unknown_encoding {
            no(
                Code::UnknownCte,
                "A part has an encoding that is not known here.",
            )
        } else if self.expunged {
            expunge_issued()
        } else {
            ok("Fetched.")
        }
    }
}

/// Splits a set of messages that exist into sets of at most `size`.
pub(super) fn batches(uids: &UidSet, size: usize) -> impl Iterator<Item = UidSet> {
    let mut all = uids.iter().peekable();
    std::iter::from_fn(move || {
        all.peek()?;
        Some(all.by_ref().take(size.max(1)).collect())
    })
}

/// A literal that cannot be completed leaves no way to go on in this connection.
fn broken_off(error: &store::Error) -> Failure {
    tracing::error!(%error, "a message could not be read to its end");
    Failure::Disconnected(std::io::Error::other(error.to_string()))
}
