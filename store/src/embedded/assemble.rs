//! Putting transactions together from the frames of the log, as they are read.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use mail::id::BodyId;

use super::{
    body::{ChunkPlace, Packed, Place, places},
    codec::{Malformed, Read, Reader, records},
    commit::{Pending, is_before},
    frame::{HEADER_BYTES, Header, Kind},
    index::{Applied, Event},
    record::{BodyData, BodyRecord, Record},
    segment::Position,
};

/// What has been read of transactions and bodies that are not complete yet.
#[derive(Default)]
pub(crate) struct Assembler {
    /// Parts of a transaction whose commit is still to come.
    group: Vec<(Header, u64, Bytes)>,
    /// Pieces of bodies whose transaction is still to come.
    pending: HashMap<BodyId, Pending>,
}

impl Assembler {
    /// Takes the frame at `at`; says what it completes.
    pub(crate) fn frame(
        &mut self,
        segment: u32,
        at: u64,
        header: Header,
        payload: &Bytes,
    ) -> Read<Option<Event>> {
        let frame = (header, at, payload.clone());
        match header.kind {
            Kind::Start => Ok(None),
            Kind::Body => self.body(
                Position {
                    segment,
                    offset: at,
                },
                &header,
                payload,
            ),
            Kind::Whole => self.transaction(segment, &[frame]),
            Kind::Part => {
                self.group.retain(|(part, ..)| part.group == header.group);
                self.group.push(frame);
                Ok(None)
            }
            Kind::Commit => self.commit(segment, frame),
        }
    }

    /// Bodies of which pieces were read and no transaction.
    pub(crate) fn loose(&self) -> impl Iterator<Item = (BodyId, &[ChunkPlace])> {
        let pending = self.pending.iter();
        pending.map(|(id, pending)| (*id, pending.chunks.as_slice()))
    }

    fn commit(&mut self, segment: u32, last: (Header, u64, Bytes)) -> Read<Option<Event>> {
        let mut frames = std::mem::take(&mut self.group);
        let header = last.0;
        frames.push(last);
        let is_whole = frames
            .iter()
            .zip(header.group..)
            .all(|((part, ..), lsn)| part.group == header.group && part.lsn == lsn);
        match is_whole && frames.len() as u64 == header.lsn - header.group + 1 {
            true => self.transaction(segment, &frames),
            false => Err(Malformed),
        }
    }

    fn transaction(
        &mut self,
        segment: u32,
        frames: &[(Header, u64, Bytes)],
    ) -> Read<Option<Event>> {
        let (mut records, mut bodies) = (Vec::new(), Vec::new());
        let (mut time_secs, mut log_bytes) = (0, 0);
        for (header, at, payload) in frames {
            let (transaction, placed) = records::payload(payload)?;
            time_secs = transaction.time_secs;
            log_bytes += u64::from(header.len);
            let payload_at = at + HEADER_BYTES as u64;
            for mut record in transaction.records {
                if let Record::Body(body) = &mut record
                    && let BodyData::Packed(packed) =
                        std::mem::replace(&mut body.data, BodyData::Before)
                {
                    let offset = placed
                        .iter()
                        .find(|(id, _)| *id == body.id)
                        .ok_or(Malformed)?
                        .1;
                    let chunks = places(&packed.chunks, segment, payload_at + offset as u64, 0);
                    bodies.push((body.id, place(body, chunks)));
                } else if let Some(body) = is_before(&record) {
                    // Pieces that cannot be read make a body that is too short, which is told when
                    // it is read; its message is there.
                    let pending = self.pending.remove(&body.id).unwrap_or_default();
                    bodies.push((body.id, pending.place(body)));
                }
                records.push(record);
            }
        }
        let Some((last, at, _)) = frames.last() else {
            return Ok(None);
        };
        Ok(Some(Event::Applied(Box::new(Applied {
            lsn: last.lsn,
            end: Position {
                segment,
                offset: at + HEADER_BYTES as u64 + u64::from(last.len),
            },
            time_secs,
            records,
            bodies,
            lag_bytes: log_bytes,
            log_bytes,
        }))))
    }

    fn body(&mut self, at: Position, header: &Header, payload: &Bytes) -> Read<Option<Event>> {
        let piece = body_piece(payload)?;
        let offset = at.offset + (HEADER_BYTES + piece.data) as u64;
        let chunks = places(&piece.packed.chunks, at.segment, offset, piece.at);
        let is_first = piece.at == 0;
        if is_first {
            self.pending.insert(piece.id, Pending::default());
        }
        let pending = self.pending.entry(piece.id).or_default();
        // What is read may begin in the middle of a body.
        if pending.bytes() == piece.at || pending.chunks.is_empty() {
            pending.chunks.extend(chunks);
        }
        Ok(is_first.then_some(Event::BodyBegun(piece.id, at, header.lsn)))
    }
}

fn place(body: &BodyRecord, chunks: Vec<ChunkPlace>) -> Arc<Place> {
    Arc::new(Place {
        size: body.size,
        digest: body.digest,
        chunks,
        rest: body.rest,
    })
}

/// A body frame's payload.
pub(crate) struct Piece {
    pub(crate) id: BodyId,
    at: u64,
    packed: Packed,
    /// Where the stored bytes begin.
    pub(crate) data: usize,
}

pub(crate) fn body_piece(payload: &[u8]) -> Read<Piece> {
    let mut r = Reader::new(payload);
    let id = BodyId::new(r.u64()?).ok_or(Malformed)?;
    let at = r.u64()?;
    let packed = Packed::decode(&mut r)?;
    r.end()?;
    let data = payload.len() - packed.data.len();
    Ok(Piece {
        id,
        at,
        packed,
        data,
    })
}
