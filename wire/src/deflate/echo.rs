//! The server's echo where permessage-deflate was agreed: a buffer of client frames becomes the replies to them.

use super::codec::{Codec, Shared};
use crate::cursor::Limits;
use crate::echo::{Echoed, End, echo_in_place};
use crate::header::{FIN_BIT, FINAL_BINARY, FINAL_TEXT, Header, MAX_HEADER_LEN, RSV1_BIT};
use crate::mask::apply_mask;
use crate::opcode::OpCode;
use crate::violation::Violation;

/// How messages are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replies {
    /// Bytes of the smallest message whose reply is compressed.
    pub threshold: usize,
    /// How a message is answered that came uncompressed.
    pub uncompressed: Uncompressed,
    /// Bytes of the largest message, decompressed.
    pub max_message_size: u64,
}

/// How a message is answered that came uncompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uncompressed {
    /// Uncompressed.
    AsIs,
    /// Like any other: compressed above the threshold.
    Compressed,
}

/// What [`echo_deflated`] did with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoedDeflated {
    /// Bytes at the buffer's start that were read as whole frames.
    pub consumed: usize,
    /// Bytes at the buffer's start that are now replies to be sent; 0 if the replies are in `out`.
    pub written: usize,
    /// Replies in either place.
    pub messages: usize,
    /// Bytes that were compressed or decompressed.
    pub worked: usize,
    /// Why it ended at `consumed`; `None` if it has done enough for now: `out` is to be sent before more is read.
    pub end: Option<End>,
}

/// What [`answer`] made of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the reply is compressed.
    pub compressed: bool,
    /// Bytes of the message as it came and decompressed.
    pub worked: usize,
}

/// As [`echo_in_place`], for a connection with a `codec`: whole frames with a compressed message are decompressed, checked
/// and answered as `replies` says. If there are only uncompressed frames that are answered as they are, the replies are
/// put in place, else appended to `out`, which must be empty.
///
/// `limits` bounds the frames that it takes; larger ones are a detour.
pub fn echo_deflated(
    buf: &mut [u8],
    limits: &Limits,
    replies: &Replies,
    codec: &mut Codec,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> EchoedDeflated {
    let mut echoed = EchoedDeflated { consumed: 0, written: 0, messages: 0, worked: 0, end: None };
    while out.len() < FULL && echoed.worked < TIRED {
        if replies.uncompressed == Uncompressed::AsIs {
            let from = echoed.consumed;
            let Echoed { consumed, written, messages, end } = echo_in_place(&mut buf[from..], limits);
            echoed.consumed += consumed;
            echoed.messages += messages;
            if from == 0 {
                echoed.written = written;
            } else {
                out.extend_from_slice(&buf[from..from + written]);
            }
            if end != End::Detour {
                return EchoedDeflated { end: Some(end), ..echoed };
            }
        }
        let frame = match next_frame(&buf[echoed.consumed..], limits, replies.uncompressed) {
            Ok(frame) => frame,
            Err(end) => return EchoedDeflated { end: Some(end), ..echoed },
        };
        out.extend_from_slice(&buf[..std::mem::take(&mut echoed.written)]);
        let from = echoed.consumed + frame.header_len;
        echoed.consumed = from + frame.payload_len;
        let payload = &mut buf[from..echoed.consumed];
        apply_mask(payload, frame.key);
        let start = out.len();
        let message = Message { opcode: frame.opcode, compressed: frame.compressed, payload };
        match reply(&message, replies, codec, shared, out) {
            Ok(worked) => echoed.worked += worked,
            Err(violation) => {
                out.truncate(start);
                return EchoedDeflated { end: Some(End::Violation(violation)), ..echoed };
            }
        }
        echoed.messages += 1;
    }
    echoed
}

/// A whole message as it came, unmasked.
#[derive(Clone, Copy, Debug)]
pub struct Message<'m> {
    /// Text or binary.
    pub opcode: OpCode,
    /// Whether `payload` is compressed.
    pub compressed: bool,
    /// The payloads of its frames.
    pub payload: &'m [u8],
}

/// Appends the frame that answers `message` to `out`; how many bytes that was work on.
fn reply(
    message: &Message<'_>,
    replies: &Replies,
    codec: &mut Codec,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> Result<usize, Violation> {
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let Answer { compressed, worked } = answer(message, replies, codec, shared, out)?;
    put_header(out, start, message.opcode, compressed);
    Ok(worked)
}

/// Appends the payload that answers `message` to `out`.
///
/// # Errors
/// What is wrong with the message: not UTF-8, corrupt, or too big.
pub fn answer(
    message: &Message<'_>,
    replies: &Replies,
    codec: &mut Codec,
    shared: &mut Shared,
    out: &mut Vec<u8>,
) -> Result<Answer, Violation> {
    let mut worked = message.payload.len();
    let check = |plain: &[u8]| {
        let valid = message.opcode != OpCode::Text || simdutf8::basic::from_utf8(plain).is_ok();
        if valid { Ok(()) } else { Err(Violation::InvalidUtf8) }
    };
    if message.compressed {
        let compressed = codec.recompress(shared, message.payload, replies.max_message_size, out, |plain, out| {
            check(plain)?;
            worked += plain.len();
            let compressed = plain.len() >= replies.threshold;
            if !compressed {
                out.extend_from_slice(plain);
            }
            Ok(compressed)
        })?;
        return Ok(Answer { compressed, worked });
    }
    check(message.payload)?;
    let compressed = replies.uncompressed == Uncompressed::Compressed && message.payload.len() >= replies.threshold;
    if compressed {
        codec.compress(shared, message.payload, out);
    } else {
        out.extend_from_slice(message.payload);
    }
    Ok(Answer { compressed, worked })
}

/// Puts the header in front of the payload that stands [`ROOM`] bytes behind `start`, to the end of `out`.
pub(super) fn put_header(out: &mut Vec<u8>, start: usize, opcode: OpCode, compressed: bool) {
    let payload_len = (out.len() - start - ROOM) as u64;
    let header = Header { fin: true, rsv: if compressed { RSV1 } else { 0 }, opcode, mask: None, payload_len };
    let mut bytes = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut bytes);
    if len != ROOM {
        // Rare, or a move of 125 bytes at the most.
        let end = out.len();
        out.resize(end.max(end - ROOM + len), 0);
        out.copy_within(start + ROOM..end, start + len);
        out.truncate(end - ROOM + len);
    }
    out[start..start + len].copy_from_slice(&bytes[..len]);
}

/// A whole frame that can be answered.
pub(super) struct Frame {
    pub(super) opcode: OpCode,
    pub(super) compressed: bool,
    pub(super) key: [u8; 4],
    pub(super) header_len: usize,
    pub(super) payload_len: usize,
}

/// The frame at the start of `bytes`, or why there is none to answer here.
pub(super) fn next_frame(bytes: &[u8], limits: &Limits, uncompressed: Uncompressed) -> Result<Frame, End> {
    match bytes.first() {
        None => return Err(End::Partial),
        Some(&(DEFLATED_TEXT | DEFLATED_BINARY)) => {}
        Some(&(FINAL_TEXT | FINAL_BINARY)) if uncompressed == Uncompressed::Compressed => {}
        Some(_) => return Err(End::Detour),
    }
    let (header, header_len) = match Header::parse(bytes) {
        Ok(Some((header, len))) => (header, len),
        Ok(None) => return Err(End::Partial),
        Err(_) => return Err(End::Detour),
    };
    let Some(key) = header.mask else { return Err(End::Detour) };
    if header.payload_len > limits.max_message_size {
        return Err(End::Detour);
    }
    let payload_len = header.payload_len as usize;
    if payload_len > bytes.len() - header_len {
        return Err(End::Partial);
    }
    Ok(Frame { opcode: header.opcode, compressed: header.rsv == RSV1, key, header_len, payload_len })
}

/// The first byte of an unfragmented compressed message.
const DEFLATED_TEXT: u8 = FIN_BIT | RSV1_BIT | OpCode::Text as u8;
const DEFLATED_BINARY: u8 = FIN_BIT | RSV1_BIT | OpCode::Binary as u8;

/// RSV1 as [`Header::rsv`] has it.
const RSV1: u8 = RSV1_BIT >> 4;

/// Bytes left for the header before its payload's length is known: the header of most compressed messages.
pub(super) const ROOM: usize = 4;

/// Bytes that are compressed or decompressed before others are to have their turn: some milliseconds, or one message.
pub(super) const TIRED: usize = 1 << 20;

/// Bytes of replies that are to be sent before more are made: what a peer makes us keep is this and one reply.
pub(super) const FULL: usize = 256 << 10;
