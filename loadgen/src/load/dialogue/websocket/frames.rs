//! The frames and messages that a `Reader` finds in the stream of replies, and what is kept of them.
//!
//! Any message is legal, however long it is. One that is longer than any reply can be takes no memory: its bytes are counted
//! and dropped as they come. Only where later messages may refer to it (context takeover) must it be inflated whole. In
//! either case a message over [`most_read`] ends the connection.

use wire::deflate::Codec;
use wire::{Header, OpCode, Peer, Violation};

use super::Terms;
use super::ambiguous::Ambiguous;
use crate::load::dialogue::Gone;
use crate::measure::glimpse::EXCERPT_BYTES;
use crate::plan::messages::RSV1;

/// Where a stream that is read frame by frame stands.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) inflating: Inflating,
    /// Whether the content of replies is checked, or their length only.
    pub(super) content: bool,
    /// Whether any message answers the oldest one, unread.
    pub(super) in_order: bool,
    /// Messages that are still to be passed over.
    pub(super) skip: u32,
    /// Bytes received from the beginning of a frame on.
    pub(super) stream: Vec<u8>,
    /// The message whose fragments are arriving, or whose payload is being dropped.
    pub(super) message: Option<Fragments>,
    /// The frame whose payload is being dropped.
    pub(super) dropped: Option<Dropped>,
    /// Wrong messages that may turn out to be no replies, oldest first.
    pub(super) ambiguous: Vec<Ambiguous>,
}

/// What is done about compressed replies.
#[derive(Debug)]
pub(super) enum Inflating {
    /// There may be none.
    Never,
    /// They stand for themselves.
    Alone(Codec),
    /// They refer to the ones before them.
    InTurn(Codec),
    /// They refer to the ones before them, and none is inflated.
    Skipped,
}

#[derive(Debug)]
pub(super) struct Fragments {
    pub(super) opcode: OpCode,
    pub(super) compressed: bool,
    /// What has come of its payload; of an oversized message the beginning.
    pub(super) payload: Vec<u8>,
    /// Bytes of payload that have come.
    pub(super) len: u64,
    pub(super) frame_bytes: u64,
    /// Whether it is longer than any reply.
    pub(super) oversized: bool,
}

#[derive(Debug)]
pub(super) struct Dropped {
    /// Bytes of its payload that are still to come.
    pub(super) left: u64,
    /// Whether it is its message's last.
    pub(super) fin: bool,
}

pub(super) struct Frame<'b> {
    pub(super) header: Header,
    pub(super) header_len: usize,
    /// All of it.
    pub(super) bytes: &'b [u8],
}

/// What stands at the beginning of the stream.
pub(super) enum Next<'b> {
    /// A part of a frame, the rest of which is to be waited for.
    Part,
    /// A frame.
    Whole(Frame<'b>),
    /// The header of a frame whose message is longer than any reply.
    Oversized { header: Header, header_len: usize },
}

impl Reader {
    fn new(inflating: Inflating, content: bool, skip: u32, begun: &[u8]) -> Self {
        Self {
            inflating,
            content,
            in_order: false,
            skip,
            stream: begun.to_vec(),
            message: None,
            dropped: None,
            ambiguous: Vec::new(),
        }
    }

    /// One for a connection whose replies are not just compared with the corpus.
    pub(super) fn of(terms: &Terms) -> Option<Self> {
        let inflating = match terms.deflate {
            None if terms.content && terms.skip == 0 && !terms.in_order => return None,
            None => Inflating::Never,
            Some(_) if terms.in_order => Inflating::Skipped,
            Some((_, agreed)) if !agreed.server.context_takeover => Inflating::Alone(Codec::new(agreed, Peer::Server)),
            Some((_, agreed)) if terms.content => Inflating::InTurn(Codec::new(agreed, Peer::Server)),
            Some(_) => Inflating::Skipped,
        };
        Some(Self { in_order: terms.in_order, ..Self::new(inflating, terms.content, terms.skip, &[]) })
    }

    /// One for a stream of uncompressed replies that is not regular; `begun` has come of the current frame.
    pub(super) fn of_irregular(begun: &[u8]) -> Self {
        Self::new(Inflating::Never, true, 0, begun)
    }

    /// Whether the stream is to be read frame by frame whatever comes.
    pub(super) fn lasts(&self) -> bool {
        !(self.content && matches!(self.inflating, Inflating::Never)) || self.skip > 0 || self.in_order
    }

    /// Whether a frame or a message has come in part.
    pub(super) fn mid_message(&self) -> bool {
        !self.stream.is_empty() || self.message.is_some()
    }

    /// What stands at the start of `bytes`.
    pub(super) fn next<'b>(&self, bytes: &'b [u8], longest: usize) -> Result<Next<'b>, Gone> {
        let Some((header, header_len)) = Header::parse(bytes).map_err(Gone::Violation)? else { return Ok(Next::Part) };
        if header.mask.is_some() {
            return Err(Gone::Violation(Violation::Masked));
        }
        let begins = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        let may_be_compressed = begins && !matches!(self.inflating, Inflating::Never);
        if header.rsv != 0 && !(may_be_compressed && header.rsv == RSV1) {
            return Err(Gone::Violation(Violation::ReservedBits));
        }
        match &self.message {
            Some(_) if begins => return Err(Gone::Violation(Violation::ExpectedContinuation)),
            None if header.opcode == OpCode::Continuation => {
                return Err(Gone::Violation(Violation::UnexpectedContinuation));
            }
            _ => {}
        }
        if !header.opcode.is_control() && self.is_oversized(&header, longest)? {
            return Ok(Next::Oversized { header, header_len });
        }
        let end = header_len + header.payload_len as usize;
        Ok(bytes.get(..end).map_or(Next::Part, |bytes| Next::Whole(Frame { header, header_len, bytes })))
    }

    /// Whether this frame makes its message longer than any reply, so that its bytes need not be kept.
    fn is_oversized(&self, header: &Header, longest: usize) -> Result<bool, Gone> {
        let (before, compressed, oversized) = match &self.message {
            Some(message) => (message.len, message.compressed, message.oversized),
            None => (0, header.rsv == RSV1, false),
        };
        let (len, longest_reply) =
            (before + header.payload_len, if compressed { most_packed(longest) } else { longest });
        if len > most_read(longest_reply) {
            return Err(Gone::TooLong(most_read(longest)));
        }
        let to_be_inflated = compressed && matches!(self.inflating, Inflating::InTurn(_));
        Ok(oversized || (len > longest_reply as u64 && !to_be_inflated))
    }

    /// The payload of this frame is dropped as it comes, but for the beginning of its message.
    pub(super) fn drop_frame(&mut self, header: &Header, header_len: usize) {
        let message = self.message.get_or_insert_with(|| Fragments::of(header));
        message.frame_bytes += header_len as u64;
        message.oversized = true;
        message.payload.truncate(EXCERPT_BYTES);
        message.payload.shrink_to_fit();
        self.dropped = Some(Dropped { left: header.payload_len, fin: header.fin });
    }
}

impl Fragments {
    /// The message that this frame begins; none of its bytes have been taken.
    pub(super) fn of(header: &Header) -> Self {
        let (opcode, compressed) = (header.opcode, header.rsv == RSV1);
        Self { opcode, compressed, payload: Vec::new(), len: 0, frame_bytes: 0, oversized: false }
    }

    /// Takes bytes of payload, of which `kept` bytes of the message are kept at the most.
    pub(super) fn push(&mut self, payload: &[u8], kept: usize) {
        let room = kept.saturating_sub(self.payload.len()).min(payload.len());
        self.payload.extend_from_slice(&payload[..room]);
        self.len += payload.len() as u64;
    }

    pub(super) fn whole(&self) -> Whole<'_> {
        let Self { opcode, compressed, ref payload, len, frame_bytes, oversized } = *self;
        Whole { opcode, compressed, payload, len, frame_bytes, oversized, frame: None }
    }
}

/// A whole message as it came.
pub(super) struct Whole<'b> {
    pub(super) opcode: OpCode,
    pub(super) compressed: bool,
    /// The payloads of its frames; of an oversized message the beginning.
    pub(super) payload: &'b [u8],
    /// Bytes of payload.
    pub(super) len: u64,
    pub(super) frame_bytes: u64,
    pub(super) oversized: bool,
    /// Its one frame, if it is one.
    pub(super) frame: Option<&'b Frame<'b>>,
}

/// Bytes that a message of `len` bytes may have after compression: no compressor in use adds an eighth to what it cannot
/// compress.
pub(super) fn most_packed(len: usize) -> usize {
    len + len / 8 + 64
}

/// Bytes that are read of a message at the most, where the longest reply has `longest`.
pub(super) fn most_read(longest: usize) -> u64 {
    MOST_READ.max(longest as u64)
}

/// The longest message in bytes that is read if it is no reply, unless replies are longer: 16 MiB is what servers and
/// libraries take by default, where they have a limit.
pub(super) const MOST_READ: u64 = 16 << 20;
