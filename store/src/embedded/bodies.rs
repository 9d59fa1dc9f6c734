//! Reading bodies, with a little memory for places and for the chunks read last: a client that
//! reads a large body in small pieces decompresses each chunk once.

use std::{collections::HashMap, collections::VecDeque, ops::Range, sync::Arc};

use bytes::{Bytes, BytesMut};
use mail::id::BodyId;
use parking_lot::Mutex;

use super::{
    body::{ChunkPlace, Place, unpack},
    segment::{Position, Segments},
};
use crate::{Error, Result};

const PLACES: usize = 256;
const CHUNKS: usize = 32;

/// The memory.
#[derive(Default)]
pub(crate) struct Bodies {
    places: Mutex<HashMap<BodyId, Arc<Place>>>,
    chunks: Mutex<VecDeque<((BodyId, u64), Bytes)>>,
}

impl Bodies {
    /// A place read lately.
    pub(crate) fn place(&self, id: BodyId) -> Option<Arc<Place>> {
        self.places.lock().get(&id).cloned()
    }

    /// Keeps the place of a body of many chunks: others are cheap to look up.
    pub(crate) fn keep_place(&self, id: BodyId, place: &Arc<Place>) {
        if place.chunks.len() <= 4 {
            return;
        }
        let mut places = self.places.lock();
        if places.len() >= PLACES {
            places.clear();
        }
        places.insert(id, place.clone());
    }

    /// Forgets places: segments were rewritten.
    pub(crate) fn forget_places(&self) {
        self.places.lock().clear();
    }

    /// The bytes of `range` that the body has of its own, before its rest.
    pub(crate) fn read(
        &self,
        segments: &Segments,
        id: BodyId,
        place: &Place,
        range: Range<u64>,
    ) -> Result<Bytes> {
        let own = place.own_bytes();
        let range = range.start.min(own)..range.end.min(own);
        let end_of = |chunk: &ChunkPlace| chunk.at + u64::from(chunk.chunk.raw);
        let first = place
            .chunks
            .partition_point(|chunk| end_of(chunk) <= range.start);
        let mut bytes = BytesMut::new();
        for chunk in place.chunks.iter().skip(first) {
            // A chunk in front of it may be lost.
            let at = range.start + bytes.len() as u64;
            if chunk.at >= range.end || chunk.at > at {
                break;
            }
            let raw = self.chunk(segments, id, chunk)?;
            let within = |at: u64| usize::try_from(at.saturating_sub(chunk.at)).unwrap_or(0);
            let (from, to) = (within(range.start), within(range.end).min(raw.len()));
            if bytes.is_empty() && end_of(chunk) >= range.end {
                return Ok(raw.slice(from..to));
            }
            bytes.extend_from_slice(&raw[from..to]);
        }
        if bytes.len() as u64 == range.end - range.start {
            return Ok(bytes.freeze());
        }
        Err(Error::Damaged(format!("body {id} is shorter than it was")))
    }

    fn chunk(&self, segments: &Segments, id: BodyId, place: &ChunkPlace) -> Result<Bytes> {
        let key = (id, place.at);
        if let Some((_, raw)) = self.chunks.lock().iter().find(|(kept, _)| *kept == key) {
            return Ok(raw.clone());
        }
        let at = Position {
            segment: place.segment,
            offset: place.offset,
        };
        let stored = segments.read(at, place.chunk.stored as usize)?;
        let raw = unpack(place.chunk, stored);
        let raw = raw.map_err(|_| Error::Damaged(format!("body {id} at byte {}", place.at)))?;
        let mut chunks = self.chunks.lock();
        chunks.truncate(CHUNKS - 1);
        chunks.push_front((key, raw.clone()));
        Ok(raw)
    }
}
