//! The layer over an in-memory transport, and the other end of it.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream},
    time::timeout,
};

use super::*;
use crate::{
    listen::Peer,
    observe::{
        Observe,
        label::Spoken,
        live::{Opening, Place},
    },
};
use std::time::Duration;

/// A client's ends of both streams.
pub(in crate::connection) struct Codec {
    deflater: Compress,
    inflater: Decompress,
}

impl Codec {
    pub(in crate::connection) fn new() -> Self {
        Self {
            deflater: Compress::new_with_window_bits(Compression::new(6), false, WINDOW_BITS),
            inflater: Decompress::new_with_window_bits(false, WINDOW_BITS),
        }
    }

    /// Bytes as a block that can be read at once.
    pub(in crate::connection) fn deflate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + END_BYTES);
        let before = self.deflater.total_in();
        self.deflater
            .compress_vec(bytes, &mut out, FlushCompress::Sync)
            .unwrap();
        assert_eq!(difference(self.deflater.total_in(), before), bytes.len());
        out
    }

    /// What was sent, as far as it can be read.
    pub(in crate::connection) fn inflate(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let mut out = Vec::with_capacity(64 * 1024);
            let before = self.inflater.total_in();
            self.inflater
                .decompress_vec(bytes, &mut out, FlushDecompress::Sync)
                .unwrap();
            bytes = &bytes[difference(self.inflater.total_in(), before)..];
            if out.is_empty() && bytes.is_empty() {
                return all;
            }
            all.extend(out);
        }
    }
}

fn place() -> Place {
    Observe::new().enter(Opening {
        id: 1,
        protocol: Spoken::Imap,
        peer: &Peer::LOCAL,
        since: tokio::time::Instant::now(),
        opened_secs: 0,
    })
}

fn layer_on(place: &Place, room: usize) -> (Deflated<DuplexStream>, DuplexStream, Arc<Inflow>) {
    let (ours, theirs) = tokio::io::duplex(room);
    let inflow = Arc::<Inflow>::default();
    let wire = Wire::new(Arc::clone(place));
    let compressors = Arc::<Compressors>::default();
    let layer = Deflated::new(
        ours,
        BytesMut::new(),
        wire,
        Arc::clone(&inflow),
        compressors,
    );
    (layer, theirs, inflow)
}

fn layer(room: usize) -> (Deflated<DuplexStream>, DuplexStream, Arc<Inflow>) {
    layer_on(&place(), room)
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}

#[tokio::test]
async fn what_is_written_comes_out_at_the_other_end() {
    for size in [1, 5, 4_000, 70_000, 300_000] {
        for text in [
            noise(size),
            b"* 1 FETCH (FLAGS ())\r\n".repeat(size / 20 + 1),
        ] {
            let (mut layer, mut client, _) = layer(1 << 20);
            for part in text.chunks(33_333) {
                layer.write_all(part).await.unwrap();
            }
            layer.shutdown().await.unwrap();
            drop(layer);
            let mut sent = Vec::new();
            client.read_to_end(&mut sent).await.unwrap();
            assert!(Codec::new().inflate(&sent) == text, "{size}");
        }
    }
}

#[tokio::test]
async fn a_flush_lets_all_be_read_and_keeps_no_compressor() {
    let (mut layer, mut client, _) = layer(1 << 20);
    let mut codec = Codec::new();
    for line in ["* 1 EXISTS\r\n", "a1 OK Done.\r\n", "* 1 EXISTS\r\n"] {
        layer.write_all(line.as_bytes()).await.unwrap();
        assert!(layer.compressor.is_some());
        layer.flush().await.unwrap();
        assert!(layer.compressor.is_none() && layer.waiting.capacity() == 0);
        assert_eq!(layer.compressors.0.lock().len(), 1);
        let mut sent = BytesMut::with_capacity(4_096);
        client.read_buf(&mut sent).await.unwrap();
        assert_eq!(codec.inflate(&sent), line.as_bytes());
    }
    // Where nothing was written there is nothing to flush.
    layer.flush().await.unwrap();
    let mut one = [0];
    let nothing = timeout(Duration::ZERO, client.read(&mut one)).await;
    assert!(nothing.is_err());
}

/// Threat 21: texts of different batches of answers share nothing that their lengths could tell.
#[tokio::test]
async fn threat_21_what_was_flushed_is_forgotten() {
    let (mut layer, mut client, _) = layer(1 << 20);
    let text = noise(2_000);
    let mut lengths = Vec::new();
    for _ in 0..2 {
        layer.write_all(&text).await.unwrap();
        layer.flush().await.unwrap();
        let mut sent = BytesMut::with_capacity(8_192);
        lengths.push(client.read_buf(&mut sent).await.unwrap());
    }
    assert_eq!(lengths[0], lengths[1]);
    assert!(lengths[0] > 2_000);
}

#[tokio::test]
async fn threat_21_a_client_that_does_not_read_holds_no_compressor() {
    let (mut layer, _client, _) = layer(64);
    let text = noise(200_000);
    let written = timeout(Duration::from_millis(1), layer.write_all(&text));
    assert!(written.await.is_err(), "it has no room for that");
    assert!(layer.compressor.is_none());
    let held = layer.waiting.len();
    assert!(
        held <= WAITING_BYTES_MAX + DEFLATED_BYTES_MAX + END_BYTES,
        "{held}"
    );
}

#[tokio::test]
async fn what_a_client_sends_is_read_in_any_pieces() {
    let text = [b"a1 NOOP\r\n".repeat(3_000), noise(50_000)].concat();
    for piece in [1, 7, 4_096, usize::MAX] {
        let (mut layer, mut client, _) = layer(1 << 20);
        let mut codec = Codec::new();
        let mut sent = Vec::new();
        for part in text.chunks(9_999) {
            sent.extend(codec.deflate(part));
        }
        let writer = tokio::spawn(async move {
            for part in sent.chunks(piece.min(sent.len())) {
                client.write_all(part).await.unwrap();
            }
        });
        let mut read = Vec::new();
        layer.read_to_end(&mut read).await.unwrap();
        writer.await.unwrap();
        assert!(read == text, "{piece}");
        assert_eq!(layer.received.capacity(), 0);
    }
}

#[tokio::test]
async fn the_end_of_a_clients_stream_is_the_end() {
    let (mut layer, mut client, _) = layer(1 << 20);
    let mut deflater = Compress::new_with_window_bits(Compression::new(1), false, WINDOW_BITS);
    let mut sent = Vec::with_capacity(100);
    deflater
        .compress_vec(b"a1 LOGOUT\r\n", &mut sent, FlushCompress::Finish)
        .unwrap();
    sent.extend_from_slice(b"never read");
    client.write_all(&sent).await.unwrap();
    let mut read = Vec::new();
    layer.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"a1 LOGOUT\r\n");
    assert_eq!(&layer.into_parts().1[..], b"never read");
}

/// RFC 8437 §4.1: what a client sends behind its last block is in clear.
#[tokio::test]
async fn what_follows_a_block_stays_as_it_is() {
    let (mut layer, mut client, _) = layer(1 << 20);
    let mut sent = Codec::new().deflate(b"a1 UNAUTHENTICATE\r\n");
    sent.extend_from_slice(b"a2 LOGIN tim x\r\n");
    client.write_all(&sent).await.unwrap();
    let mut read = BytesMut::with_capacity(1_000);
    layer.read_buf(&mut read).await.unwrap();
    assert_eq!(&read[..], b"a1 UNAUTHENTICATE\r\n");
    assert_eq!(&layer.into_parts().1[..], b"a2 LOGIN tim x\r\n");
}

#[tokio::test]
async fn threat_21_what_is_no_stream_is_an_error_and_no_panic() {
    let mut bad = vec![noise(1_000), vec![0xff; 100], b"a1 NOOP\r\n".to_vec()];
    let good = Codec::new().deflate(&b"a1 NOOP\r\n".repeat(100));
    for at in 0..good.len() {
        let mut broken = good.clone();
        broken[at] ^= 0x55;
        bad.push(broken);
    }
    for bytes in bad {
        let (mut layer, mut client, _) = layer(1 << 20);
        client.write_all(&bytes).await.unwrap();
        drop(client);
        let mut read = Vec::new();
        if let Err(error) = layer.read_to_end(&mut read).await {
            assert!(Malformed::is_cause_of(&error), "{error}");
        }
        assert!(read.len() <= 1 << 16);
    }
}

#[tokio::test]
async fn threat_21_little_is_inflated_at_once_and_all_of_it_counted() {
    let (mut layer, mut client, inflow) = layer(1 << 20);
    let zeros = vec![0; 4 << 20];
    let bomb = Codec::new().deflate(&zeros);
    assert!(bomb.len() < 10_000);
    client.write_all(&bomb).await.unwrap();
    drop(client);
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0;
    let mut is_bomb = false;
    loop {
        let read = layer.read(&mut buffer).await.unwrap();
        if read == 0 {
            break;
        }
        assert!(read <= INFLATED_BYTES_MAX);
        sum += read;
        is_bomb |= inflow.is_bomb();
    }
    assert_eq!(sum, zeros.len());
    assert!(is_bomb);
}

#[tokio::test]
async fn bytes_on_the_wire_are_counted() {
    let place = place();
    let (mut layer, mut client, _) = layer_on(&place, 1 << 20);
    layer.write_all(&[b'x'; 10_000]).await.unwrap();
    layer.flush().await.unwrap();
    let sent = Codec::new().deflate(&[b'y'; 10_000]);
    client.write_all(&sent).await.unwrap();
    drop(client);
    let mut read = Vec::new();
    layer.read_to_end(&mut read).await.unwrap();
    assert_eq!(read.len(), 10_000);
    let row = place.row(tokio::time::Instant::now());
    assert_eq!(row.bytes_in, sent.len() as u64);
    assert!((10..200).contains(&row.bytes_out), "{}", row.bytes_out);
}
