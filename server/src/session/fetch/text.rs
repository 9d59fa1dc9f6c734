//! The texts of FETCH (RFC 9051 §6.4.5.1, §7.5.2): which bytes of a stored message answer a
//! section, and how they come out of the store in pieces, decoded for `BINARY[…]`.

use std::{io, ops::Range};

use bytes::Bytes;
use mail::{
    id::BodyId,
    mime::{Decoder, Encoding, fields::header_fields},
    structure::{Binary, Located},
};
use store::{Error, Result};
use wire::{
    encode::{PumpForm, replace_nul},
    imap::{
        fetch::{BinarySection, BodySection, Partial},
        response::{Content, FetchData},
    },
};

use super::{Message, Problems, ahead::Ahead};
use crate::session::{limits::READ_BYTES, sink::Sink};

/// A text item ready to be written, and where the bytes come from that are not at hand.
pub(super) struct Text {
    pub(super) data: FetchData,
    pub(super) pieces: Pieces,
}

/// Bytes that are read as they are sent.
pub(super) enum Pieces {
    /// As they are stored; nothing if all is at hand.
    Stored(Range<u64>),
    /// Decoded.
    Decoded(Box<Decoding>),
}

/// A part that is being decoded.
pub(super) struct Decoding {
    decoder: Decoder,
    /// What is still to be read.
    body: Range<u64>,
    /// How much came out of the decoder so far.
    decoded: u64,
    /// What is asked for of the decoded bytes.
    wanted: Range<u64>,
}

impl Pieces {
    const NONE: Self = Self::Stored(0..0);

    /// The next piece; empty at the end.
    pub(super) async fn next(&mut self, bodies: &Ahead<'_>, body: BodyId) -> Result<Bytes> {
        match self {
            Self::Stored(range) => read(bodies, body, range).await,
            Self::Decoded(decoding) => decoding.next(bodies, body).await,
        }
    }

    /// All of it; only for what is known to be short.
    async fn collect(&mut self, bodies: &Ahead<'_>, body: BodyId) -> Result<Bytes> {
        let mut all = Vec::new();
        loop {
            let piece = self.next(bodies, body).await?;
            if piece.is_empty() {
                return Ok(all.into());
            }
            all.extend_from_slice(&piece);
        }
    }
}

impl Decoding {
    async fn next(&mut self, bodies: &Ahead<'_>, body: BodyId) -> Result<Bytes> {
        let mut piece = Vec::new();
        while !self.body.is_empty() && self.decoded < self.wanted.end {
            let bytes = read(bodies, body, &mut self.body).await?;
            self.decoder.push(&bytes, &mut piece);
            if self.body.is_empty() {
                self.decoder.finish(&mut piece);
            }
            let kept = self.clip(&piece);
            if !kept.is_empty() {
                return Ok(kept);
            }
            piece.clear();
        }
        Ok(Bytes::new())
    }

    /// What is wanted of a decoded piece.
    fn clip(&mut self, piece: &[u8]) -> Bytes {
        let here = self.decoded..self.decoded.saturating_add(piece.len() as u64);
        self.decoded = here.end;
        let at = |n: u64| n.clamp(here.start, here.end).saturating_sub(here.start);
        let wanted = at(self.wanted.start)..at(self.wanted.end);
        slice(&Bytes::copy_from_slice(piece), &wanted)
    }
}

/// Reads the next piece of a range, and takes it off the range.
async fn read(bodies: &Ahead<'_>, body: BodyId, range: &mut Range<u64>) -> Result<Bytes> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let bytes = bodies
        .read(body, range.start, length(range, READ_BYTES))
        .await?;
    if bytes.is_empty() {
        return Err(Error::Damaged("a body is too short".into()));
    }
    range.start = range.start.saturating_add(bytes.len() as u64);
    Ok(bytes)
}

/// `BODY[…]`: which bytes of the stored message; `None` if they cannot be read.
pub(super) async fn body_section(
    bodies: &Ahead<'_>,
    message: &mut Message<'_>,
    item: &BodySection,
    problems: &mut Problems,
) -> Option<Text> {
    let text = |content, pieces| Text {
        data: FetchData::BodySection(item.clone(), content),
        pieces,
    };
    Some(match message.locate(&item.section) {
        None => text(None, Pieces::NONE),
        Some(Located::Bytes(range)) => {
            let range = partial(&range, item.partial);
            let bytes = range.end.saturating_sub(range.start);
            text(Some(Content::Stream(bytes)), Pieces::Stored(range))
        }
        Some(Located::Fields {
            header,
            names,
            keep,
        }) => {
            let len = length(&header, usize::MAX);
            let header = bodies.read(message.row.body, header.start, len).await;
            let header = problems.unless_failed(header)?;
            let fields = Bytes::from(header_fields(&header, names, keep));
            let range = partial(&(0..fields.len() as u64), item.partial);
            text(Some(Content::Bytes(slice(&fields, &range))), Pieces::NONE)
        }
    })
}

/// `BINARY[…]`: the decoded part (RFC 9051 §6.4.5; protocol rule 41); `None` if it cannot be read
/// or decoded.
pub(super) async fn binary(
    bodies: &Ahead<'_>,
    message: &mut Message<'_>,
    item: &BinarySection,
    problems: &mut Problems,
) -> Option<Text> {
    let data = |content| FetchData::Binary(item.path.clone(), item.partial, content);
    let Some(binary) = message.parts().and_then(|parts| parts.binary(&item.path)) else {
        return Some(Text {
            data: data(None),
            pieces: Pieces::NONE,
        });
    };
    let Some(size) = binary.size else {
        problems.unknown_encoding = true;
        return None;
    };
    let wanted = partial(&(0..size), item.partial);
    let bytes = wanted.end.saturating_sub(wanted.start);
    let mut pieces = pieces(&binary, wanted);
    if bytes > READ_BYTES as u64 {
        return Some(Text {
            data: data(Some(Content::Stream(bytes))),
            pieces,
        });
    }
    // What is short is sent as a literal8 only if there is a NUL in it.
    let whole = pieces.collect(bodies, message.row.body).await;
    let content = Some(Content::Bytes(problems.unless_failed(whole)?));
    Some(Text {
        data: data(content),
        pieces: Pieces::NONE,
    })
}

fn pieces(binary: &Binary, wanted: Range<u64>) -> Pieces {
    let stored = |n: u64| binary.body.start.saturating_add(n);
    match binary.encoding.decoder() {
        Some(decoder) if binary.encoding != Encoding::Identity => {
            Pieces::Decoded(Box::new(Decoding {
                decoder,
                body: binary.body.clone(),
                decoded: 0,
                wanted,
            }))
        }
        _ => Pieces::Stored(stored(wanted.start)..stored(wanted.end)),
    }
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

/// How many bytes a range has, at most `max`.
fn length(range: &Range<u64>, max: usize) -> usize {
    let length = range.end.saturating_sub(range.start);
    usize::try_from(length).unwrap_or(max).min(max)
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Bytes {
    let at = |n: u64| usize::try_from(n).unwrap_or(bytes.len()).min(bytes.len());
    bytes.slice(at(range.start)..at(range.end).max(at(range.start)))
}

/// Sends pumped bytes: NUL cannot stand in a literal and is sent as 0x80.
pub(super) async fn send(sink: &mut Sink, bytes: &[u8], form: PumpForm) -> io::Result<()> {
    if form == PumpForm::Literal && bytes.contains(&0) {
        let mut bytes = bytes.to_vec();
        replace_nul(&mut bytes);
        return sink.pass(&bytes).await;
    }
    sink.pass(bytes).await
}
