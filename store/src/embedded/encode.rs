//! A transaction as frames: encoded and checksummed on the thread that submits it, so that the
//! commit thread only numbers and writes.

use mail::id::BodyId;

use super::{
    body::{Chunk, ChunkPlace, Place, places},
    codec::{
        Writer,
        records::{self, Placed},
    },
    frame::{Kind, PAYLOAD_BYTES_MAX, Salt, Unnumbered},
    record::{BodyData, BodyRecord, Record, Transaction},
};
use crate::{Error, Options, Result};

/// An encoded transaction.
#[derive(Debug)]
pub(crate) struct Encoded {
    pub(crate) time_secs: i64,
    /// Its frames: one whole, or parts and a commit.
    pub(crate) frames: Vec<Unnumbered>,
    /// Its records, without the bodies' bytes.
    pub(crate) records: Vec<Record>,
    /// Bodies that stand in the frames.
    pub(crate) bodies: Vec<EncodedBody>,
}

/// A body that stands in an encoded transaction.
#[derive(Debug)]
pub(crate) struct EncodedBody {
    pub(crate) id: BodyId,
    /// In which frame.
    pub(crate) frame: usize,
    /// Where in its payload the stored bytes begin.
    pub(crate) data: usize,
    size: u64,
    digest: [u8; 32],
    chunks: Vec<Chunk>,
    rest: Option<BodyId>,
}

impl Encoded {
    /// Bodies whose frames stand before it.
    pub(crate) fn before(&self) -> impl Iterator<Item = &BodyRecord> {
        let is_inside = |id: BodyId| self.bodies.iter().any(|body| body.id == id);
        let bodies = self.records.iter().filter_map(super::commit::is_before);
        bodies.filter(move |body| !is_inside(body.id))
    }
}

impl EncodedBody {
    pub(crate) fn packed_places(&self, segment: u32, offset: u64) -> Vec<ChunkPlace> {
        places(&self.chunks, segment, offset, 0)
    }

    pub(crate) fn place(&self, chunks: Vec<ChunkPlace>) -> Place {
        Place {
            size: self.size,
            digest: self.digest,
            chunks,
            rest: self.rest,
        }
    }

    pub(crate) fn stored_bytes(&self) -> u64 {
        self.chunks.iter().map(|c| u64::from(c.stored)).sum()
    }
}

/// Encodes a transaction of the store with this salt, in frames of about the size the options name.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a transaction is submitted once"
)]
pub(crate) fn encode(transaction: Transaction, options: &Options, salt: Salt) -> Result<Encoded> {
    let mut encoder = Encoder {
        transaction: &transaction,
        options,
        payload: Writer::default(),
        payloads: Vec::new(),
        bodies: Vec::new(),
    };
    encoder.begin();
    let mut records = Vec::with_capacity(transaction.records.len());
    for record in &transaction.records {
        encoder.add(record)?;
        records.push(without_bytes(record));
    }
    encoder.cut();
    let (payloads, bodies) = (encoder.payloads, encoder.bodies);
    Ok(Encoded {
        time_secs: transaction.time_secs,
        frames: frames(payloads, salt),
        records,
        bodies,
    })
}

/// Several payloads are parts, and the last commits them.
fn frames(payloads: Vec<Vec<u8>>, salt: Salt) -> Vec<Unnumbered> {
    let last = payloads.len().saturating_sub(1);
    let frame = |(at, payload): (usize, Vec<u8>)| Unnumbered {
        kind: match (last, at) {
            (0, _) => Kind::Whole,
            (last, at) if at == last => Kind::Commit,
            _ => Kind::Part,
        },
        crc: salt.crc(&payload),
        payload,
    };
    payloads.into_iter().enumerate().map(frame).collect()
}

fn without_bytes(record: &Record) -> Record {
    match record {
        Record::Body(body) => Record::Body(BodyRecord {
            data: BodyData::Before,
            fixed: body.fixed.clone(),
            ..*body
        }),
        other => other.clone(),
    }
}

struct Encoder<'a> {
    transaction: &'a Transaction,
    options: &'a Options,
    payload: Writer,
    payloads: Vec<Vec<u8>>,
    bodies: Vec<EncodedBody>,
}

impl Encoder<'_> {
    fn begin(&mut self) {
        let transaction = self.transaction;
        records::begin(
            &mut self.payload,
            transaction.time_secs,
            &transaction.origin,
        );
    }

    fn cut(&mut self) {
        self.payloads.push(std::mem::take(&mut self.payload).0);
    }

    /// Adds a record; one that does not fit into what is left of a frame begins another, and a
    /// list that does not fit into any is halved.
    fn add(&mut self, record: &Record) -> Result<()> {
        let mut waiting = vec![std::borrow::Cow::Borrowed(record)];
        while let Some(record) = waiting.pop() {
            let record = record.as_ref();
            let (mut alone, mut placed) = (Writer::default(), Placed::new());
            records::encode(&mut alone, record, &mut placed);
            if alone.0.len() > self.options.frame_bytes_max
                && let Some((first, second)) = halves(record)
            {
                waiting.push(std::borrow::Cow::Owned(second));
                waiting.push(std::borrow::Cow::Owned(first));
                continue;
            }
            if alone.0.len() > PAYLOAD_BYTES_MAX / 2 {
                return Err(Error::Limit("size of one record of the log"));
            }
            let room = self
                .options
                .frame_bytes_max
                .saturating_sub(self.payload.0.len());
            if alone.0.len() > room && self.payload.0.len() > self.options.frame_bytes_max / 8 {
                self.cut();
                self.begin();
            }
            let start = self.payload.0.len();
            self.payload.0.extend_from_slice(&alone.0);
            self.place(record, &placed, start);
        }
        Ok(())
    }

    fn place(&mut self, record: &Record, placed: &Placed, start: usize) {
        if let Record::Body(body) = record
            && let BodyData::Packed(packed) = &body.data
            && let Some((_, offset)) = placed.first()
        {
            self.bodies.push(EncodedBody {
                id: body.id,
                frame: self.payloads.len(),
                data: start + offset,
                size: body.size,
                digest: body.digest,
                chunks: packed.chunks.clone(),
                rest: body.rest,
            });
        }
    }
}

/// A list in two, if the record is one.
fn halves(record: &Record) -> Option<(Record, Record)> {
    match record {
        Record::Messages(account, mailbox, list) if list.len() > 1 => {
            let (first, second) = list.split_at(list.len() / 2);
            let part = |part: &[_]| Record::Messages(*account, *mailbox, part.to_vec());
            Some((part(first), part(second)))
        }
        Record::Flags(account, mailbox, mod_seq, list) if list.len() > 1 => {
            let (first, second) = list.split_at(list.len() / 2);
            let part = |part: &[_]| Record::Flags(*account, *mailbox, *mod_seq, part.to_vec());
            Some((part(first), part(second)))
        }
        _ => None,
    }
}
