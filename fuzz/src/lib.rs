//! What the fuzz targets share: inputs in pieces, and the framer driven as a server drives it.
//!
//! Each target is one property of a pure function of `mail` or `wire`, stated so that it holds for
//! any bytes. A target panics if it does not. Whole sessions have [`place`].

pub mod place;

use wire::{
    frame::{Frame, Framer},
    limits::Limits,
};

/// The input cut in two ways: into single bytes, and into pieces whose lengths follow from it.
#[must_use]
pub fn splits(input: &[u8]) -> [Vec<&[u8]>; 2] {
    let mut state = input.iter().fold(0x9e37_79b9_u32, |state, &byte| {
        (state ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    let mut pieces = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let length = (state >> 24) as usize % 17;
        let (piece, after) = rest.split_at(length.min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    [input.chunks(1).collect(), pieces]
}

/// The frames in pieces of input, every literal and message granted, and the message bytes with
/// the frame after them.
#[must_use]
pub fn frames(pieces: &[&[u8]], limits: &Limits) -> Vec<(Frame, Vec<u8>)> {
    let mut framer = Framer::new();
    let (mut seen, mut message) = (Vec::new(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        drive(&mut framer, limits, &mut seen, &mut message);
        if matches!(seen.last(), Some((Frame::Fatal(_), _))) {
            break;
        }
    }
    seen
}

/// Takes all that is there; a fatal frame is the last.
fn drive(
    framer: &mut Framer,
    limits: &Limits,
    seen: &mut Vec<(Frame, Vec<u8>)>,
    message: &mut Vec<u8>,
) {
    loop {
        if framer.message_remaining() > 0 {
            let bytes = framer.message_bytes().to_vec();
            if bytes.is_empty() {
                return;
            }
            framer.consume(bytes.len());
            message.extend(bytes);
            continue;
        }
        let frame = framer.next(limits);
        let is_fatal = matches!(frame, Frame::Fatal(_));
        match &frame {
            Frame::Incomplete => return,
            Frame::Literal(_) | Frame::Append(..) | Frame::Replace(..) | Frame::AppendNext(_) => {
                framer.grant();
            }
            _ => {}
        }
        seen.push((frame, std::mem::take(message)));
        if is_fatal {
            return;
        }
    }
}

/// The first command or error in `line`, which stands after a tag and gets its line end here.
#[must_use]
pub fn command(line: &[&[u8]]) -> Frame {
    let mut input = b"a ".to_vec();
    input.extend(line.concat());
    input.extend_from_slice(b"\r\n");
    let frames = frames(&[&input], &Limits::AFTER_LOGIN);
    let is_literal = |frame: &Frame| matches!(frame, Frame::Literal(_));
    let mut frames = frames.into_iter().map(|(frame, _)| frame);
    frames.find(|f| !is_literal(f)).unwrap_or(Frame::Incomplete)
}
