//! What `wire` must do, said naively: one frame after the other, one byte after the other, a new buffer for everything.
//! Slow and obvious, so that the fast code can be held against it. Shared with the fuzz targets.

use wire::{End, Header, Limits, OpCode, Peer, Violation};

/// Where a cursor must stop in a stream that is there as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nowhere; and whether the stream ends on a message's boundary.
    Lawful { boundary: bool },
    /// At the frame that begins at this offset.
    Unlawful(usize),
    /// The stream ends within the header at this offset, whose bytes so far may already be unlawful.
    Unfinished(usize),
}

/// Walks over whole headers, and judges each only once it is complete.
pub fn verdict(stream: &[u8], peer: Peer, limits: &Limits) -> Verdict {
    let mut at = 0;
    let mut open: Option<(u64, u32)> = None;
    while at < stream.len() {
        let (header, len) = match Header::parse(&stream[at..]) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Verdict::Unfinished(at),
            Err(_) => return Verdict::Unlawful(at),
        };
        let lawful = header.rsv == 0
            && header.mask.is_some() == (peer == Peer::Client)
            && (header.opcode.is_control() || open.is_some() == (header.opcode == OpCode::Continuation));
        if !lawful {
            return Verdict::Unlawful(at);
        }
        if header.opcode.is_data() {
            let (size, fragments) = open.unwrap_or((0, 0));
            let size = size.saturating_add(header.payload_len);
            let fragmented = !header.fin || open.is_some();
            if size > limits.max_message_size || (fragmented && fragments + 1 > limits.max_fragments) {
                return Verdict::Unlawful(at);
            }
            open = if header.fin { None } else { Some((size, fragments + 1)) };
        }
        if header.opcode == OpCode::Close {
            return Verdict::Lawful { boundary: false };
        }
        at += len;
        if header.payload_len > (stream.len() - at) as u64 {
            return Verdict::Lawful { boundary: false };
        }
        at += header.payload_len as usize;
    }
    Verdict::Lawful { boundary: open.is_none() }
}

/// What [`wire::echo_in_place`] and [`wire::reply`] must do with `stream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Echo {
    /// The replies' bytes.
    pub replies: Vec<u8>,
    /// Bytes of the frames read, the one that is not UTF-8 included.
    pub consumed: usize,
    /// Replies.
    pub messages: usize,
    /// Why it ended, but for a frame that is incomplete: it may or may not be a detour already.
    pub end: Option<End>,
}

/// Echoes frame by frame into a new buffer.
pub fn echo(stream: &[u8], limits: &Limits) -> Echo {
    answer(stream, limits, |_, payload| Ok(payload.to_vec()))
}

/// Answers frame by frame with a text before and one behind the message, binary ones only if `binary` is set; the others
/// as they are.
pub fn reply(stream: &[u8], limits: &Limits, [before, behind]: [&str; 2], binary: bool) -> Echo {
    answer(stream, limits, |opcode, payload| {
        if opcode == OpCode::Binary && !binary {
            return Ok(payload.to_vec());
        }
        let reply = [before.as_bytes(), payload, behind.as_bytes()].concat();
        let limit = limits.max_message_size;
        if reply.len() as u64 > limit { Err(Violation::ReplyTooBig { limit }) } else { Ok(reply) }
    })
}

/// Answers every frame with what `reply` makes of its payload.
fn answer(stream: &[u8], limits: &Limits, reply: impl Fn(OpCode, &[u8]) -> Result<Vec<u8>, Violation>) -> Echo {
    let mut echo = Echo { replies: Vec::new(), consumed: 0, messages: 0, end: Some(End::Partial) };
    while echo.consumed < stream.len() {
        let rest = &stream[echo.consumed..];
        let (header, header_len) = match Header::parse(rest) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Echo { end: None, ..echo },
            Err(_) => {
                return Echo { end: Some(End::Detour), ..echo };
            }
        };
        let whole = header.fin && header.rsv == 0 && matches!(header.opcode, OpCode::Text | OpCode::Binary);
        let (Some(key), true) = (header.mask, whole && header.payload_len <= limits.max_message_size) else {
            return Echo { end: Some(End::Detour), ..echo };
        };
        if header.payload_len > (rest.len() - header_len) as u64 {
            return echo;
        }
        let payload = &rest[header_len..header_len + header.payload_len as usize];
        let payload = unmasked(payload, key);
        echo.consumed += header_len + payload.len();
        let reply = match reply(header.opcode, &payload) {
            Ok(_) if header.opcode == OpCode::Text && str::from_utf8(&payload).is_err() => Err(Violation::InvalidUtf8),
            reply => reply,
        };
        let reply = match reply {
            Ok(reply) => reply,
            Err(violation) => return Echo { end: Some(End::Violation(violation)), ..echo },
        };
        let header = Header { mask: None, payload_len: reply.len() as u64, ..header };
        echo.replies.extend(frame(&header, &reply));
        echo.messages += 1;
    }
    echo
}

/// A header and its payload as they come over the wire.
pub fn frame(header: &Header, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [0; wire::MAX_HEADER_LEN];
    let len = header.encode(&mut bytes);
    let payload = unmasked(payload, header.mask.unwrap_or_default());
    [&bytes[..len], &payload].concat()
}

/// RFC 6455, 5.3, to the letter: octet i of the one is octet i of the other XOR octet i modulo 4 of the key.
pub fn unmasked(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect()
}
