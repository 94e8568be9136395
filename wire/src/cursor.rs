//! Follows the frame headers of a byte stream, in any split, and stops it before the first frame that breaks the
//! protocol or a limit. It looks at headers only, and skips payloads without touching them.

use thiserror::Error;

use crate::{
    header::{
        FIN_BIT, FINAL_BINARY, FINAL_TEXT, LEN_16, MASK_BIT, MASK_LEN, MAX_HEADER_LEN, RSV_BITS, RSV1_BIT,
        parse_length, parse_opcode,
    },
    opcode::OpCode,
    violation::Violation,
};

/// What a peer may ask for at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a message, summed over its fragments.
    pub max_message_size: u64,
    /// Frames of a fragmented message.
    pub max_fragments: u32,
}

/// Whose frames are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A client, whose frames must be masked (RFC 6455, 5.1).
    Client,
    /// A server, whose frames must not be.
    Server,
}

/// The first unlawful frame of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{violation}")]
pub struct Stop {
    /// Of the bytes given, how many precede the unlawful frame; 0 if its header began in an earlier call.
    pub lawful: usize,
    /// What is wrong with it.
    pub violation: Violation,
}

/// Where a message begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The offset of its first byte among the bytes given.
    pub at: usize,
    /// Text or binary.
    pub opcode: OpCode,
    /// Whether it is compressed.
    pub compressed: bool,
}

/// A position in one direction of a connection's stream.
#[derive(Clone, Debug)]
pub struct Cursor {
    peer: Peer,
    phase: Phase,
    limits: Limits,
    /// Payload bytes of the current frame that have not come yet.
    outstanding: u64,
    /// The fragmented message that is open.
    open: Option<Open>,
    /// Whether messages may be compressed.
    deflate: bool,
    /// The start of a header whose rest has not come yet.
    partial: [u8; MAX_HEADER_LEN],
    partial_len: u8,
}

impl Cursor {
    /// A cursor at the start of `peer`'s stream, just after the handshake.
    pub const fn new(peer: Peer, limits: Limits) -> Self {
        Self {
            peer,
            phase: Phase::Following,
            limits,
            outstanding: 0,
            open: None,
            deflate: false,
            partial: [0; MAX_HEADER_LEN],
            partial_len: 0,
        }
    }

    /// The same where permessage-deflate was agreed: RSV1 may be set on a message's first frame (RFC 7692, 6). A compressed
    /// message may exceed the limit by what compressing the incompressible adds, since the limit is the message's.
    pub const fn with_deflate(mut self) -> Self {
        self.deflate = true;
        self
    }

    /// Follows the next bytes of the stream. How the stream is split over calls changes nothing about what is found.
    ///
    /// # Errors
    /// [`Stop`] at the first frame that breaks the protocol or a limit, as early as its header's bytes show it; from
    /// then on at every call, with nothing lawful.
    #[inline]
    pub fn advance(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.advance_marking(bytes, |_| {})
    }

    /// As [`Cursor::advance`], and calls `mark` for the first byte of every text and binary message among the bytes, in
    /// their order.
    ///
    /// # Errors
    /// As [`Cursor::advance`]; nothing unlawful is marked.
    #[inline]
    pub fn advance_marking(&mut self, bytes: &[u8], mark: impl FnMut(Mark)) -> Result<(), Stop> {
        match self.phase {
            Phase::Following => self.follow(bytes, mark),
            Phase::Closed => Ok(()),
            Phase::Stopped(violation) => Err(Stop { lawful: 0, violation }),
        }
    }

    /// Whether the header of a Close frame has come: what follows it is not checked, and is to be ignored
    /// (RFC 6455, 5.5.1).
    pub const fn closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether the next byte begins a new message: no header begun, no payload outstanding, no fragmented message open,
    /// and the stream neither closed nor stopped.
    #[inline]
    pub const fn at_message_boundary(&self) -> bool {
        matches!(self.phase, Phase::Following) && self.outstanding == 0 && self.partial_len == 0 && self.open.is_none()
    }

    /// Goes behind the frame that lies whole at the start of `bytes`, at a frame's start, and tells the lengths of its header and
    /// of its payload; `None` while it is not whole, and the cursor stays where it is.
    ///
    /// # Errors
    /// What is wrong with the frame, as early as the bytes of its header show it.
    pub(crate) fn pass_whole(&mut self, bytes: &[u8]) -> Result<Option<(usize, usize)>, Violation> {
        let Some(frame) = self.inspect(bytes)? else { return Ok(None) };
        if frame.payload_len > (bytes.len() - frame.header_len) as u64 {
            return Ok(None);
        }
        self.enter(frame);
        self.outstanding = 0;
        Ok(Some((frame.header_len, frame.payload_len as usize)))
    }

    fn follow(&mut self, bytes: &[u8], mut mark: impl FnMut(Mark)) -> Result<(), Stop> {
        let mut at = if self.partial_len == 0 { 0 } else { self.complete_header(bytes)? };
        while matches!(self.phase, Phase::Following) {
            let rest = bytes.len() - at;
            if self.outstanding >= rest as u64 {
                self.outstanding -= rest as u64;
                break;
            }
            at += self.outstanding as usize;
            self.outstanding = 0;
            if self.open.is_none() && !self.deflate {
                at = self.skip_whole_messages(bytes, at);
            }
            let inspected = self.inspect(&bytes[at..]);
            if self.deflate
                && inspected.is_ok()
                && let Some(&first) = bytes.get(at)
                && let Some(opcode @ (OpCode::Text | OpCode::Binary)) = OpCode::from_bits(first & 0x0f)
            {
                mark(Mark { at, opcode, compressed: first & RSV1_BIT != 0 });
            }
            match inspected {
                Ok(Some(frame)) => {
                    at += frame.header_len;
                    self.enter(frame);
                }
                Ok(None) => {
                    let begun = &bytes[at..];
                    self.partial[..begun.len()].copy_from_slice(begun);
                    self.partial_len = begun.len() as u8;
                    break;
                }
                Err(violation) => return Err(self.stop(at, violation)),
            }
        }
        Ok(())
    }

    /// The commonest stream by far, unfragmented messages under 64 KiB that lie here whole, in a few instructions each.
    /// Returns where the first other frame begins.
    #[inline]
    fn skip_whole_messages(&self, bytes: &[u8], mut at: usize) -> usize {
        let (mask_bit, mask_len) = match self.peer {
            Peer::Client => (MASK_BIT, MASK_LEN),
            Peer::Server => (0, 0),
        };
        while let Some(&[FINAL_TEXT | FINAL_BINARY, second]) = bytes[at..].first_chunk() {
            let (payload_len, header_len) = match u64::from(second ^ mask_bit) {
                short @ 0..LEN_16 => (short, 2 + mask_len),
                LEN_16 => match bytes[at..].first_chunk() {
                    Some(&[_, _, high, low]) => (u64::from(u16::from_be_bytes([high, low])), 4 + mask_len),
                    None => break,
                },
                _ => break,
            };
            let minimal = header_len == 2 + mask_len || payload_len >= LEN_16;
            let end = at + header_len + payload_len as usize;
            if !minimal || payload_len > self.limits.max_message_size || end > bytes.len() {
                break;
            }
            at = end;
        }
        at
    }

    /// Goes on with the header that an earlier call began; returns how many of `bytes` belong to it.
    fn complete_header(&mut self, bytes: &[u8]) -> Result<usize, Stop> {
        let had = usize::from(self.partial_len);
        let taken = bytes.len().min(MAX_HEADER_LEN - had);
        self.partial[had..had + taken].copy_from_slice(&bytes[..taken]);
        match self.inspect(&self.partial[..had + taken]) {
            Ok(Some(frame)) => {
                self.partial_len = 0;
                self.enter(frame);
                Ok(frame.header_len - had)
            }
            Ok(None) => {
                self.partial_len += taken as u8;
                Ok(taken)
            }
            Err(violation) => Err(self.stop(0, violation)),
        }
    }

    /// Judges a header in the order of its bytes, so that a longer prefix never changes the verdict on a shorter one.
    fn inspect(&self, header: &[u8]) -> Result<Option<Frame>, Violation> {
        let Some(&first) = header.first() else { return Ok(None) };
        let compressed = self.deflate && matches!(first & (RSV_BITS | 0x0f), DEFLATED_TEXT | DEFLATED_BINARY);
        if first & RSV_BITS != 0 && !compressed {
            return Err(Violation::ReservedBits);
        }
        let opcode = parse_opcode(first)?;
        let fin = first & FIN_BIT != 0;
        let before = match (opcode, self.open) {
            (OpCode::Continuation, None) => return Err(Violation::UnexpectedContinuation),
            (OpCode::Text | OpCode::Binary, Some(_)) => return Err(Violation::ExpectedContinuation),
            (OpCode::Continuation, Some(open)) => open,
            _ => Open { size: 0, fragments: 0, compressed },
        };
        let fragmented = !fin || opcode == OpCode::Continuation;
        if fragmented && before.fragments >= self.limits.max_fragments {
            return Err(Violation::TooManyFragments { limit: self.limits.max_fragments });
        }
        let Some(&second) = header.get(1) else { return Ok(None) };
        match (self.peer, second & MASK_BIT != 0) {
            (Peer::Client, false) => return Err(Violation::NotMasked),
            (Peer::Server, true) => return Err(Violation::Masked),
            _ => {}
        }
        let Some((payload_len, length_end)) = parse_length(opcode, header)? else {
            return Ok(None);
        };
        let size = before.size.saturating_add(payload_len);
        let limit = self.limits.max_message_size;
        let slack = if before.compressed { limit / 8 + 64 } else { 0 };
        if opcode.is_data() && size > limit.saturating_add(slack) {
            return Err(Violation::MessageTooBig { limit: self.limits.max_message_size });
        }
        let header_len = length_end + if self.peer == Peer::Client { MASK_LEN } else { 0 };
        if header.len() < header_len {
            return Ok(None);
        }
        let message = if opcode.is_control() {
            self.open
        } else if fin {
            None
        } else {
            Some(Open { size, fragments: before.fragments + 1, ..before })
        };
        Ok(Some(Frame { header_len, payload_len, closes: opcode == OpCode::Close, message }))
    }

    fn enter(&mut self, frame: Frame) {
        self.outstanding = frame.payload_len;
        self.open = frame.message;
        if frame.closes {
            self.phase = Phase::Closed;
        }
    }

    fn stop(&mut self, lawful: usize, violation: Violation) -> Stop {
        self.phase = Phase::Stopped(violation);
        Stop { lawful, violation }
    }
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Following,
    Closed,
    Stopped(Violation),
}

/// A fragmented message so far.
#[derive(Clone, Copy, Debug)]
struct Open {
    size: u64,
    fragments: u32,
    compressed: bool,
}

/// A lawful frame, and the fragmented message that is open after it.
#[derive(Clone, Copy)]
struct Frame {
    header_len: usize,
    payload_len: u64,
    closes: bool,
    message: Option<Open>,
}

/// RSV1 and the opcode of a compressed message.
const DEFLATED_TEXT: u8 = RSV1_BIT | OpCode::Text as u8;
const DEFLATED_BINARY: u8 = RSV1_BIT | OpCode::Binary as u8;
