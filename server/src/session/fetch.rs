//! FETCH (RFC 9051 §6.4.5, §7.5.2).
//!
//! Metadata is copied out of the mailbox's rows and the messages' static data; texts are read from
//! the store in pieces and pumped into the response, so that no whole message is held in memory.
//! Messages are worked on in batches of `Imap:MaxMessagesPerSession`.

use std::{collections::HashMap, ops::Range, sync::Arc};

use bytes::Bytes;
use mail::{
    flag::{Flags, SystemFlags},
    id::{BodyId, Uid},
    mime::fields::header_fields,
    set::UidSet,
    structure::{self, Located, Parts, Section, SectionText},
};
use store::{
    Mailbox, Static,
    state::{KeywordSetId, MailboxState, Row},
};
use wire::{
    encode::{FetchWriter, Pump, PumpForm, Revision, replace_nul},
    imap::{
        code::Code,
        fetch::{BinarySection, BodySection, Fetch, FetchItem, Partial, Peek},
        response::{Content, FetchData, Recent},
        select::Access,
        sequence::Numbers,
    },
};

use super::{
    Context, Selected,
    answer::{Failure, Outcome, no, ok},
    limits::READ_BYTES,
    sink::Sink,
};

/// What a FETCH needs beyond the rows.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is needed or not, whatever the others"
)]
struct Needs {
    /// ENVELOPE, structures or part ranges.
    fixed: bool,
    /// A text is fetched without PEEK, so `\Seen` is set and FLAGS are told.
    seen: bool,
    /// UID must be told and was not asked for.
    uid: bool,
    /// FLAGS were asked for.
    flags: bool,
}

/// One FETCH at work.
struct Job<'a> {
    fetch: &'a Fetch,
    needs: Needs,
    problems: Problems,
    /// Flags as values, shared by messages that have the same.
    flags: HashMap<(SystemFlags, KeywordSetId), Arc<Flags>>,
}

/// What went wrong with single messages; the command ends in NO then.
#[derive(Default)]
struct Problems {
    expunged: bool,
    unknown_encoding: bool,
    damaged: bool,
}

/// One message being fetched.
struct Message<'a> {
    uid: Uid,
    row: Row,
    fixed: Option<&'a Static>,
    /// The part tree, decoded when a section first asks for it.
    parts: Option<Parts>,
}

impl Selected {
    pub(super) async fn fetch(
        &mut self,
        fetch: &Fetch,
        context: &Context,
        sink: &mut Sink,
    ) -> Outcome {
        self.tell_new(sink).await?;
        let uids = self.messages(&fetch.messages)?;
        let mut job = Job {
            fetch,
            needs: Needs::of(fetch, self.access),
            problems: Problems::default(),
            flags: HashMap::new(),
        };
        let batch = context.service.config.imap.max_messages_per_session;
        for batch in batches(&uids, batch as usize) {
            self.fetch_batch(&batch, &mut job, sink).await?;
        }
        // A UID that is gone is no error: it may be told of at once (RFC 9051 §6.4.9).
        job.problems.expunged &= fetch.messages.numbers() == Numbers::Seq;
        Ok(job.problems.completion())
    }

    async fn fetch_batch(
        &mut self,
        batch: &UidSet,
        job: &mut Job<'_>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        if job.needs.seen {
            let unseen = self.unseen(batch);
            if !unseen.is_empty() {
                self.mark_seen(&unseen).await?;
            }
        }
        let state = self.mailbox.state();
        let mut keywords = Vec::new();
        self.view.tell_keywords(&state, &mut keywords);
        sink.send_all(&keywords).await?;
        let rows: Vec<(Uid, Row)> = state.rows_of(batch).map(|(uid, row)| (uid, *row)).collect();
        job.problems.expunged |= rows.len() as u64 != batch.count();
        let fixed = if job.needs.fixed {
            let bodies: Vec<BodyId> = rows.iter().map(|(_, row)| row.body).collect();
            self.mailbox.fixed(&bodies).await?
        } else {
            Vec::new()
        };
        for (at, (uid, row)) in rows.iter().enumerate() {
            let fixed = fixed.get(at).map(Arc::as_ref);
            let mut message = Message {
                uid: *uid,
                row: *row,
                fixed,
                parts: None,
            };
            self.fetch_message(&mut message, &state, job, sink).await?;
        }
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
        &mut self,
        message: &mut Message<'_>,
        state: &MailboxState,
        job: &mut Job<'_>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let Some(seq) = self.view.seq(message.uid) else {
            return Ok(());
        };
        let mut writer = FetchWriter::begin(sink.buffer(), seq);
        if job.needs.uid {
            metadata(&mut writer, &FetchData::Uid(message.uid), sink);
        }
        if job.needs.flags || job.needs.seen {
            metadata(&mut writer, &self.flags_of(message, state, job), sink);
            self.view.note_sent(message.uid, message.row.mod_seq);
        }
        for item in &job.fetch.items {
            match item {
                FetchItem::BodySection(section) => {
                    let text = self.body_section(message, section, &mut job.problems).await;
                    self.text(&mut writer, text, message, sink).await?;
                }
                FetchItem::Binary(section) => {
                    if let Some(text) = self.binary(message, section, &mut job.problems).await? {
                        self.text(&mut writer, text, message, sink).await?;
                    }
                }
                FetchItem::BinarySize(path) => match message.binary_size(path) {
                    Some(size) => {
                        metadata(
                            &mut writer,
                            &FetchData::BinarySize(path.clone(), size),
                            sink,
                        );
                    }
                    None => job.problems.unknown_encoding = true,
                },
                other => {
                    if let Some(data) = message.metadata(other) {
                        metadata(&mut writer, &data, sink);
                    }
                }
            }
        }
        writer.end(sink.buffer());
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

    /// Writes an item that holds text: at hand, or pumped from the store.
    async fn text(
        &self,
        writer: &mut FetchWriter,
        text: Text,
        message: &Message<'_>,
        sink: &mut Sink,
    ) -> Result<(), Failure> {
        let Some(pump) = writer.item(sink.buffer(), &text.data) else {
            return Ok(());
        };
        let mut from = text.from;
        let end = from.saturating_add(pump.bytes);
        while from < end {
            let want = usize::try_from(end.saturating_sub(from))
                .unwrap_or(READ_BYTES)
                .min(READ_BYTES);
            let bytes = self.mailbox.read(message.row.body, from, want).await;
            let bytes = bytes.map_err(broken_off)?;
            if bytes.is_empty() {
                return Err(broken_off(store::Error::Damaged(
                    "a body is too short".into(),
                )));
            }
            from = from.saturating_add(bytes.len() as u64);
            append(sink.buffer(), &bytes, pump.form);
            sink.relieve().await?;
        }
        Ok(())
    }

    /// `BODY[…]`: which bytes of the stored message, as an item ready to be written.
    async fn body_section(
        &self,
        message: &mut Message<'_>,
        item: &BodySection,
        problems: &mut Problems,
    ) -> Text {
        let missing = || Text {
            data: FetchData::BodySection(item.clone(), None),
            from: 0,
        };
        let Some(located) = message.locate(&item.section) else {
            return missing();
        };
        match located {
            Located::Bytes(range) => {
                let range = partial(&range, item.partial);
                let bytes = range.end.saturating_sub(range.start);
                let content = Some(Content::Stream(bytes));
                Text {
                    data: FetchData::BodySection(item.clone(), content),
                    from: range.start,
                }
            }
            Located::Fields {
                header,
                names,
                keep,
            } => {
                let Ok(header) = read_whole(&*self.mailbox, message.row.body, &header).await else {
                    problems.damaged = true;
                    return missing();
                };
                let fields = Bytes::from(header_fields(&header, names, keep));
                let range = partial(&(0..fields.len() as u64), item.partial);
                let content = Some(Content::Bytes(slice(&fields, &range)));
                Text {
                    data: FetchData::BodySection(item.clone(), content),
                    from: 0,
                }
            }
        }
    }

    /// `BINARY[…]`: the decoded part (RFC 9051 §6.4.5; protocol rule 41).
    async fn binary(
        &self,
        message: &mut Message<'_>,
        item: &BinarySection,
        problems: &mut Problems,
    ) -> Result<Option<Text>, Failure> {
        let data = |content| FetchData::Binary(item.path.clone(), item.partial, content);
        let Some(binary) = message.parts().and_then(|parts| parts.binary(&item.path)) else {
            return Ok(Some(Text {
                data: data(None),
                from: 0,
            }));
        };
        let Some(size) = binary.size else {
            problems.unknown_encoding = true;
            return Ok(None);
        };
        let wanted = partial(&(0..size), item.partial);
        if binary.encoding == mail::mime::Encoding::Identity {
            let from = binary.body.start.saturating_add(wanted.start);
            let bytes = wanted.end.saturating_sub(wanted.start);
            return Ok(Some(Text {
                data: data(Some(Content::Stream(bytes))),
                from,
            }));
        }
        let decoded = self.decode(message.row.body, &binary, &wanted).await?;
        Ok(Some(Text {
            data: data(Some(Content::Bytes(decoded))),
            from: 0,
        }))
    }

    /// Decodes a part as far as the wanted bytes reach, holding only those.
    async fn decode(
        &self,
        body: BodyId,
        binary: &structure::Binary,
        wanted: &Range<u64>,
    ) -> Result<Bytes, Failure> {
        let Some(mut decoder) = binary.encoding.decoder() else {
            return Ok(Bytes::new());
        };
        let (mut kept, mut piece) = (Vec::new(), Vec::new());
        let (mut from, mut decoded) = (binary.body.start, 0u64);
        while from < binary.body.end && decoded < wanted.end {
            let left = binary.body.end.saturating_sub(from);
            let want = usize::try_from(left).unwrap_or(READ_BYTES).min(READ_BYTES);
            let bytes = self.mailbox.read(body, from, want).await?;
            if bytes.is_empty() {
                break;
            }
            from = from.saturating_add(bytes.len() as u64);
            decoder.push(&bytes, &mut piece);
            if from >= binary.body.end {
                decoder.finish(&mut piece);
            }
            keep(&mut kept, &mut decoded, &mut piece, wanted);
        }
        Ok(Bytes::from(kept))
    }
}

/// Writes an item that is never pumped.
fn metadata(writer: &mut FetchWriter, data: &FetchData, sink: &mut Sink) {
    let _: Option<Pump> = writer.item(sink.buffer(), data);
}

/// A text item, and where in the message its pumped bytes begin.
struct Text {
    data: FetchData,
    from: u64,
}

impl Needs {
    fn of(fetch: &Fetch, access: Access) -> Self {
        let any = |test: &dyn Fn(&FetchItem) -> bool| fetch.items.iter().any(test);
        let marks = any(&|item| match item {
            FetchItem::BodySection(section) => section.peek == Peek::Mark,
            FetchItem::Binary(section) => section.peek == Peek::Mark,
            _ => false,
        });
        let asks_uid = any(&|item| matches!(item, FetchItem::Uid));
        Self {
            fixed: any(&|item| item_needs_fixed(item)),
            seen: marks && access == Access::ReadWrite,
            uid: !asks_uid && fetch.messages.numbers() == Numbers::Uid,
            flags: any(&|item| matches!(item, FetchItem::Flags)),
        }
    }
}

/// Whether an item reads static data; a whole message and its size do not.
fn item_needs_fixed(item: &FetchItem) -> bool {
    match item {
        FetchItem::Flags | FetchItem::Uid | FetchItem::InternalDate | FetchItem::Size => false,
        FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => true,
        FetchItem::BodySection(item) => item.section != Section::default(),
        FetchItem::Binary(_) | FetchItem::BinarySize(_) => true,
    }
}

impl Message<'_> {
    fn metadata(&self, item: &FetchItem) -> Option<FetchData> {
        let fixed = |pick: fn(&Static) -> &Bytes| self.fixed.map(|fixed| pick(fixed).clone());
        match item {
            FetchItem::Uid => Some(FetchData::Uid(self.uid)),
            FetchItem::InternalDate => Some(FetchData::InternalDate(self.row.internal_date)),
            FetchItem::Size => Some(FetchData::Size(u64::from(self.row.size))),
            FetchItem::Envelope => fixed(|f| &f.envelope).map(FetchData::Envelope),
            FetchItem::Body => fixed(|f| &f.body).map(FetchData::Body),
            FetchItem::BodyStructure => fixed(|f| &f.body_structure).map(FetchData::BodyStructure),
            _ => None,
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
    fn completion(&self) -> wire::imap::response::Completion {
        if self.damaged {
            no(
                Code::ServerBug,
                "Some stored data is damaged; the rest was sent.",
            )
        } else if self.unknown_encoding {
            no(
                Code::UnknownCte,
                "A part has an encoding that is not known here.",
            )
        } else if self.expunged {
            no(
                Code::ExpungeIssued,
                "Some of these messages have been expunged.",
            )
        } else {
            ok("Fetched.")
        }
    }
}

/// Splits a set of messages that exist into sets of at most `size`.
fn batches(uids: &UidSet, size: usize) -> impl Iterator<Item = UidSet> {
    let mut all = uids.iter().peekable();
    std::iter::from_fn(move || {
        all.peek()?;
        Some(all.by_ref().take(size.max(1)).collect())
    })
}

/// The bytes of `<origin.count>`; an origin past the end names none (protocol rule 39).
fn partial(range: &Range<u64>, partial: Option<Partial>) -> Range<u64> {
    let Some(partial) = partial else {
        return range.clone();
    };
    let from = range
        .start
        .saturating_add(u64::from(partial.origin))
        .min(range.end);
    let to = from.saturating_add(u64::from(partial.count)).min(range.end);
    from..to
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |n: u64| usize::try_from(n).unwrap_or(bytes.len()).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

/// Adds pumped bytes: NUL cannot stand in a literal and is sent as 0x80.
fn append(buffer: &mut Vec<u8>, bytes: &[u8], form: PumpForm) {
    let from = buffer.len();
    buffer.extend_from_slice(bytes);
    if form == PumpForm::Literal
        && let Some(new) = buffer.get_mut(from..)
    {
        replace_nul(new);
    }
}

/// Moves what is wanted of a decoded piece to `kept`.
fn keep(kept: &mut Vec<u8>, decoded: &mut u64, piece: &mut Vec<u8>, wanted: &Range<u64>) {
    let here = *decoded..decoded.saturating_add(piece.len() as u64);
    let from = wanted
        .start
        .clamp(here.start, here.end)
        .saturating_sub(here.start);
    let to = wanted
        .end
        .clamp(here.start, here.end)
        .saturating_sub(here.start);
    let at = |n: u64| usize::try_from(n).unwrap_or(piece.len());
    kept.extend_from_slice(piece.get(at(from)..at(to)).unwrap_or_default());
    *decoded = here.end;
    piece.clear();
}

/// Reads a header block, which the parser keeps within its limits.
async fn read_whole(
    mailbox: &dyn Mailbox,
    body: BodyId,
    range: &Range<u64>,
) -> store::Result<Bytes> {
    let len = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0);
    mailbox.read(body, range.start, len).await
}

/// A literal that cannot be completed leaves no way to go on in this connection.
fn broken_off(error: store::Error) -> Failure {
    tracing::error!(%error, "a message could not be read to its end");
    Failure::Disconnected(std::io::Error::other(error))
}
