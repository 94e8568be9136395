//! The server's echo, in place: a buffer of client frames becomes the replies to them.

use crate::{
    cursor::Limits,
    header::{FIN_BIT, FINAL_BINARY, FINAL_TEXT, Header, LEN_16, MASK_BIT, MASK_LEN, parse_length, parse_opcode},
    mask::shift_masked_ascii,
    opcode::OpCode,
    violation::Violation,
};

/// What [`echo_in_place`] did with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Echoed {
    /// Bytes at the buffer's start that were read as whole frames.
    pub consumed: usize,
    /// Bytes at the buffer's start that are now replies to be sent; never more than `consumed`.
    pub written: usize,
    /// Replies among them.
    pub messages: usize,
    /// Why it ended at `consumed`.
    pub end: End,
}

/// Why [`echo_in_place`] ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nothing, or the beginning of a frame, is left; the bytes from `consumed` on are untouched.
    Partial,
    /// The frame at `consumed` is none for this function: control, fragment, reserved bits, not masked, above the size
    /// limit or otherwise wrong. The bytes from `consumed` on are untouched: hand them to the whole protocol.
    Detour,
    /// The last frame before `consumed` was text but not UTF-8. It is not among the replies, and its bytes are gone.
    Violation(Violation),
}

/// Turns every whole, unfragmented, masked data frame at the start of `buf` into the server's reply to it, packed at
/// the start of `buf`: unmasked, with a header without mask (RFC 6455, 5.1).
///
/// Text is checked as UTF-8 (8.1), a message's size against `limits`. It ends at the first frame that is incomplete or
/// not of this kind; the latter is told as soon as the frame's first bytes show it.
pub fn echo_in_place(buf: &mut [u8], limits: &Limits) -> Echoed {
    let mut echoed = Echoed { consumed: 0, written: 0, messages: 0, end: End::Partial };
    loop {
        let frame = match next_frame(&buf[echoed.consumed..], limits) {
            Ok(frame) => frame,
            Err(end) => return Echoed { end, ..echoed },
        };
        let from = echoed.consumed + frame.header_len;
        let to = echoed.written + write_header(&mut buf[echoed.written..], frame);
        echoed.consumed = from + frame.payload_len;
        let end = to + frame.payload_len;
        let ascii = shift_masked_ascii(&mut buf[to..echoed.consumed], from - to, frame.key);
        if !ascii && frame.opcode == OpCode::Text && simdutf8::basic::from_utf8(&buf[to..end]).is_err() {
            return Echoed { end: End::Violation(Violation::InvalidUtf8), ..echoed };
        }
        echoed.written = end;
        echoed.messages += 1;
    }
}

/// Bytes of the frame that begins with `bytes`, its header included; `None` while they do not tell, or tell that it is
/// none.
pub fn frame_len(bytes: &[u8]) -> Option<u64> {
    let opcode = parse_opcode(*bytes.first()?).ok()?;
    let (payload_len, length_end) = parse_length(opcode, bytes).ok()??;
    let mask_len = if bytes[1] & MASK_BIT == 0 { 0 } else { MASK_LEN };
    payload_len.checked_add((length_end + mask_len) as u64)
}

/// A whole frame that can be echoed.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) opcode: OpCode,
    pub(crate) key: [u8; 4],
    pub(crate) header_len: usize,
    pub(crate) payload_len: usize,
}

/// The frame at the start of `bytes`, or why there is none to echo.
#[inline]
pub(crate) fn next_frame(bytes: &[u8], limits: &Limits) -> Result<Frame, End> {
    let opcode = match bytes.first() {
        Some(&FINAL_TEXT) => OpCode::Text,
        Some(&FINAL_BINARY) => OpCode::Binary,
        Some(_) => return Err(End::Detour),
        None => return Err(End::Partial),
    };
    if bytes.get(1).is_some_and(|&second| second & MASK_BIT == 0) {
        return Err(End::Detour);
    }
    let (payload_len, length_end) = parse_length(opcode, bytes).map_err(|_| End::Detour)?.ok_or(End::Partial)?;
    if payload_len > limits.max_message_size {
        return Err(End::Detour);
    }
    let header_len = length_end + MASK_LEN;
    let Some((&key, payload)) = bytes[length_end..].split_first_chunk() else {
        return Err(End::Partial);
    };
    if payload_len > payload.len() as u64 {
        return Err(End::Partial);
    }
    Ok(Frame { opcode, key, header_len, payload_len: payload_len as usize })
}

/// Writes the reply's header, which is shorter than the frame's own by the mask, and returns its length.
#[inline]
fn write_header(out: &mut [u8], frame: Frame) -> usize {
    let payload_len = frame.payload_len as u64;
    if payload_len < LEN_16 {
        out[..2].copy_from_slice(&[FIN_BIT | frame.opcode as u8, payload_len as u8]);
        return 2;
    }
    let out = out.first_chunk_mut().expect("a payload of 126 bytes or more, which is longer than any header");
    Header { fin: true, rsv: 0, opcode: frame.opcode, mask: None, payload_len }.encode(out)
}
