//! COMPRESS (RFC 4978): the connection's stream gets a layer that deflates and inflates.

use std::sync::Arc;

use tokio::io::WriteHalf;
use wire::imap::{response::Status, table::Expunge};

use super::{Connection, End, Instant, deflate::Deflated};
use crate::{
    listen::Stream,
    observe::meter::Wire,
    refused::Reason,
    session::{Context, Inflow, answer::ok},
};

impl Connection {
    /// Writes the tagged line, the last in clear.
    pub(super) async fn begin_compression(&mut self) -> Result<(), End> {
        let completion = ok("DEFLATE is active.");
        self.session
            .tell(Expunge::May, &self.context, &mut self.sink)
            .await?;
        self.sink.complete(&completion);
        self.heard = Instant::now();
        self.ended(Status::Ok, self.heard);
        Ok(self.sink.flush().await?)
    }

    /// The connection with the layer. What came after the command counts as compressed: a client
    /// sends nothing else before it has seen the answer. `None` if it cannot be.
    pub(super) fn compressed(mut self) -> Option<Self> {
        let inflow = Arc::new(Inflow::default());
        let received = self.framer.take();
        inflow.came(received.len() as u64);
        let wire = Wire::new(Arc::clone(&self.context.place));
        let compressors = Arc::clone(&self.context.service.compressors);
        let (flow, reader) = (Arc::clone(&inflow), self.reader);
        let mut split = None;
        let sink = self.sink.exchange(|writer: WriteHalf<Stream>| {
            let stream = reader
                .unsplit(writer)
                .through(|transport| Deflated::new(transport, received, wire, flow, compressors));
            let (reader, writer) = tokio::io::split(stream);
            split = Some(reader);
            Some(writer)
        });
        let (sink, reader) = (sink?, split?);
        self.context.inflow = Some(inflow);
        Some(Self {
            reader,
            sink: sink.counted_below(),
            ..self
        })
    }

    /// The connection without the layer, if there is one: what the client sent after the end of its
    /// block, or of its stream, is in clear again (RFC 8437 §4.1). `None` if it cannot be.
    pub(super) fn uncompressed(mut self) -> Option<Self> {
        if self.context.inflow.take().is_none() {
            return Some(self);
        }
        let (mut split, reader) = (None, self.reader);
        let wire = Wire::new(Arc::clone(&self.context.place));
        let sink = self.sink.exchange(|writer: WriteHalf<Stream>| {
            let stream = reader.unsplit(writer).without(Deflated::into_parts);
            let (stream, received) = stream?;
            let (reader, writer) = tokio::io::split(stream);
            split = Some((reader, received));
            Some(writer)
        });
        let (sink, (reader, received)) = (sink?, split?);
        self.framer.push(&received);
        Some(Self {
            reader,
            sink: sink.counted_by(wire),
            ..self
        })
    }
}

impl Context {
    /// Ends the connection of a client that sends little and means much (threat 21).
    pub(super) fn check_inflow(&self) -> Result<(), End> {
        match &self.inflow {
            Some(inflow) if inflow.is_bomb() => Err(End::Refused(Reason::Compression)),
            _ => Ok(()),
        }
    }

    /// A message may consist of anything.
    pub(super) fn forgive_inflow(&self) {
        if let Some(inflow) = &self.inflow {
            inflow.forgive();
        }
    }
}
