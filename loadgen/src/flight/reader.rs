//! Replies that are read frame by frame: all of a connection's where they may come compressed or not all is compared, and
//! elsewhere what is not the awaited reply in one frame, until the stream is regular again.

use std::mem;

use wire::deflate::Codec;
use wire::{Header, MAX_HEADER_LEN, OpCode, Peer, Violation};

use super::desk::Desk;
use super::{Checked, Flight, Gone, MOST_EARLY, Stamp, Terms, Witness};
use crate::payload::{Corpus, RSV1, Volume, push_frame};

/// Where a stream that is read frame by frame stands.
#[derive(Debug)]
pub(super) struct Reader {
    inflating: Inflating,
    /// Whether the content of replies is checked, or their length only.
    content: bool,
    /// Bytes received from the beginning of a frame on.
    stream: Vec<u8>,
    /// The message whose fragments are arriving.
    message: Option<Fragments>,
}

/// What is done about compressed replies.
#[derive(Debug)]
enum Inflating {
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
struct Fragments {
    opcode: OpCode,
    compressed: bool,
    payload: Vec<u8>,
    frame_bytes: usize,
}

struct Frame<'b> {
    header: Header,
    header_len: usize,
    /// All of it.
    bytes: &'b [u8],
}

/// What is known of a reply's message.
#[derive(Clone, Copy)]
enum Body<'m> {
    /// All of it, to be compared.
    Content(&'m [u8]),
    /// All of it, of which the length is to be compared.
    Length(&'m [u8]),
    /// Its length after compression.
    Packed(usize),
}

impl Reader {
    /// One for a connection whose replies are not just compared with the corpus.
    pub(super) fn of(terms: &Terms) -> Option<Self> {
        let inflating = match terms.deflate {
            None if terms.content => return None,
            None => Inflating::Never,
            Some((_, agreed)) if !agreed.server.context_takeover => Inflating::Alone(Codec::new(agreed, Peer::Server)),
            Some((_, agreed)) if terms.content => Inflating::InTurn(Codec::new(agreed, Peer::Server)),
            Some(_) => Inflating::Skipped,
        };
        Some(Self { inflating, content: terms.content, stream: Vec::new(), message: None })
    }

    /// One for a stream of uncompressed replies that is not regular; `begun` has come of the current frame.
    pub(super) fn of_irregular(begun: &[u8]) -> Self {
        Self { inflating: Inflating::Never, content: true, stream: begun.to_vec(), message: None }
    }

    /// Whether the stream is to be read frame by frame whatever comes.
    fn lasts(&self) -> bool {
        !(self.content && matches!(self.inflating, Inflating::Never))
    }

    /// The frame at the start of `bytes`; `None` if it is not whole.
    fn frame<'b>(&self, bytes: &'b [u8], longest: usize) -> Result<Option<Frame<'b>>, Gone> {
        let Some((header, header_len)) = Header::parse(bytes).map_err(Gone::Violation)? else { return Ok(None) };
        if header.mask.is_some() {
            return Err(Gone::Violation(Violation::Masked));
        }
        let begins = matches!(header.opcode, OpCode::Text | OpCode::Binary);
        let may_be_compressed = begins && !matches!(self.inflating, Inflating::Never);
        if header.rsv != 0 && !(may_be_compressed && header.rsv == RSV1) {
            return Err(Gone::Violation(Violation::ReservedBits));
        }
        let (assembled, compressed) = match &self.message {
            Some(message) => (message.payload.len(), message.compressed),
            None => (0, header.rsv == RSV1),
        };
        let most = if compressed { most_packed(longest) } else { longest };
        if !header.opcode.is_control() && header.payload_len > (most - assembled.min(most)) as u64 {
            return Err(Gone::TooLong("a message longer than any that was sent"));
        }
        let end = header_len + header.payload_len as usize;
        Ok(bytes.get(..end).map(|bytes| Frame { header, header_len, bytes }))
    }
}

impl Flight {
    /// Takes the next bytes of a stream that is read frame by frame.
    #[inline(never)]
    pub(super) fn read_frames(
        &mut self,
        corpus: &Corpus,
        desk: &mut Desk,
        chunk: &[u8],
        witness: &mut impl Witness,
    ) -> Result<(), Gone> {
        let mut reader = self.reader.take().expect("a stream that is not regular has a reader");
        let mut stream = mem::take(&mut reader.stream);
        // Frames are read where they lie, unless the beginning of the first has come earlier.
        let behind = !stream.is_empty();
        if behind {
            stream.extend_from_slice(chunk);
        }
        let bytes = if behind { &stream[..] } else { chunk };
        let mut read = 0;
        while read < bytes.len() {
            let rest = &bytes[read..];
            if let Some(len) = self.take_known(&reader, corpus, desk, rest, witness) {
                read += len;
                continue;
            }
            let Some(frame) = reader.frame(rest, corpus.longest())? else { break };
            read += frame.bytes.len();
            let payload = &frame.bytes[frame.header_len..];
            match (frame.header.opcode, &mut reader.message) {
                (OpCode::Ping, _) => push_pong(&mut self.pongs, payload),
                (OpCode::Pong, _) => {}
                (OpCode::Close, _) => return Err(Gone::Closed(describe_close(payload))),
                (OpCode::Continuation, None) => return Err(Gone::Violation(Violation::UnexpectedContinuation)),
                (OpCode::Continuation, Some(message)) => {
                    message.payload.extend_from_slice(payload);
                    message.frame_bytes += frame.bytes.len();
                    if frame.header.fin {
                        let Fragments { opcode, compressed, payload, frame_bytes } =
                            reader.message.take().expect("it is there");
                        let message = Whole { opcode, compressed, payload: &payload, frame_bytes, frame: None };
                        self.take_message(&mut reader, corpus, desk, &message, witness)?;
                    }
                }
                (_, Some(_)) => return Err(Gone::Violation(Violation::ExpectedContinuation)),
                (opcode, message @ None) => {
                    let (compressed, frame_bytes) = (frame.header.rsv == RSV1, frame.bytes.len());
                    if frame.header.fin {
                        let message = Whole { opcode, compressed, payload, frame_bytes, frame: Some(&frame) };
                        self.take_message(&mut reader, corpus, desk, &message, witness)?;
                    } else {
                        *message = Some(Fragments { opcode, compressed, payload: payload.to_vec(), frame_bytes });
                    }
                }
            }
        }
        if behind {
            stream.drain(..read);
        } else {
            stream.extend_from_slice(&chunk[read..]);
        }
        if stream.is_empty() && stream.capacity() > KEPT {
            stream = Vec::new();
        }
        if reader.lasts() || !stream.is_empty() || reader.message.is_some() || self.early > 0 {
            reader.stream = stream;
            self.reader = Some(reader);
        }
        Ok(())
    }

    /// Takes the frame at the start of `bytes` if it is known to be the reply whose turn it is; its length.
    #[inline]
    fn take_known(
        &mut self,
        reader: &Reader,
        corpus: &Corpus,
        desk: &Desk,
        bytes: &[u8],
        witness: &mut impl Witness,
    ) -> Option<usize> {
        let regular = reader.message.is_none() && self.early == 0 && self.sent > 0;
        if !regular || !matches!(reader.inflating, Inflating::Alone(_)) {
            return None;
        }
        let (len, header_len) = desk.knows(self.oldest, bytes)?;
        let volume = corpus.reply_volume(self.oldest);
        let payload_bytes = (len - header_len) as u64;
        witness.received(Volume { payload_bytes, frame_bytes: len as u64, ..volume });
        witness.checked(self.queue[0], if reader.content { Checked::Identical } else { Checked::Length });
        self.answered_next(corpus, witness);
        Some(len)
    }

    /// The oldest message has been answered as it should.
    #[inline]
    fn answered_next(&mut self, corpus: &Corpus, witness: &mut impl Witness) {
        let stamp = self.queue.pop_front().expect("a reply to a message in flight");
        witness.verified(stamp, 1);
        self.sent -= 1;
        self.oldest = corpus.after(self.oldest, 1);
    }

    fn take_message(
        &mut self,
        reader: &mut Reader,
        corpus: &Corpus,
        desk: &mut Desk,
        message: &Whole<'_>,
        witness: &mut impl Witness,
    ) -> Result<(), Gone> {
        let Desk { shared, known } = desk;
        let content = reader.content;
        let (body, checked) = match &mut reader.inflating {
            Inflating::Alone(codec) | Inflating::InTurn(codec) if message.compressed => {
                let inflated = codec.decompress(shared, message.payload, corpus.longest() as u64);
                let inflated = inflated.map_err(|violation| match violation {
                    Violation::MessageTooBig { .. } => {
                        Gone::TooLong("a compressed message that is longer than any that was sent once it is inflated")
                    }
                    violation => Gone::Violation(violation),
                })?;
                if content {
                    (Body::Content(inflated), Some(Checked::Inflated))
                } else {
                    (Body::Length(inflated), Some(Checked::Length))
                }
            }
            Inflating::Skipped if message.compressed => (Body::Packed(message.payload.len()), Some(Checked::Frame)),
            _ if content => (Body::Content(message.payload), None),
            _ => (Body::Length(message.payload), Some(Checked::Length)),
        };
        let verified = self.judge(corpus, message.opcode, body, checked, witness);
        if self.early > MOST_EARLY {
            return Err(Gone::Missing);
        }
        let length = |index: usize| corpus.reply_volume(index).message_bytes;
        witness.received(Volume {
            messages: 1,
            message_bytes: body.bytes().map_or_else(|| verified.map_or(0, length), |bytes| bytes.len() as u64),
            payload_bytes: message.payload.len() as u64,
            frame_bytes: message.frame_bytes as u64,
        });
        if let (Some(index), Some(frame), Inflating::Alone(_), true) =
            (verified, message.frame, &reader.inflating, message.compressed)
            && body.bytes() == Some(corpus.payload(index))
        {
            known.learn(index, frame.bytes, frame.header_len);
        }
        Ok(())
    }

    /// Finds out which message in flight a whole reply belongs to; the number of its message, if there is one.
    fn judge(
        &mut self,
        corpus: &Corpus,
        opcode: OpCode,
        body: Body<'_>,
        checked: Option<Checked>,
        witness: &mut impl Witness,
    ) -> Option<usize> {
        let is = |index: usize| opcode == corpus.opcode() && body.fits(corpus.payload(index));
        // Almost always.
        if self.early == 0 && self.sent > 0 && is(self.oldest) {
            let index = self.oldest;
            note(checked, self.queue[0], witness);
            self.answered_next(corpus, witness);
            return Some(index);
        }
        // Contents repeat with the corpus: of several candidates, the one whose turn it is, rather than one given up.
        let next = self.queue.range(..self.sent).rposition(|stamp| stamp.answered).map_or(0, |last| last + 1);
        let turn =
            (next..self.sent).chain(0..next).find(|&i| !self.queue[i].answered && is(corpus.after(self.oldest, i)));
        let found = turn.map(|turn| corpus.after(self.oldest, turn));
        if let Some(turn) = turn {
            let stamp = self.queue[turn];
            note(checked, stamp, witness);
            if turn < next {
                witness.reordered(stamp);
            } else {
                witness.verified(stamp, 1);
            }
            self.queue[turn].answered = true;
            self.early += 1;
        } else if self.sent == 0 || (0..corpus.len()).any(is) {
            witness.unexpected();
        } else {
            let turn = (0..self.sent).find(|&i| !self.queue[i].answered).expect("the front is never an answered one");
            note(checked, self.queue[turn], witness);
            witness.corrupted(self.queue[turn]);
            self.queue[turn].answered = true;
            self.early += 1;
        }
        while self.queue.front().is_some_and(|stamp| stamp.answered) {
            self.queue.pop_front();
            self.early -= 1;
            self.sent -= 1;
            self.oldest = corpus.after(self.oldest, 1);
        }
        found
    }
}

fn note(checked: Option<Checked>, stamp: Stamp, witness: &mut impl Witness) {
    if let Some(how) = checked {
        witness.checked(stamp, how);
    }
}

/// A whole message as it came.
struct Whole<'b> {
    opcode: OpCode,
    compressed: bool,
    /// The payloads of its frames.
    payload: &'b [u8],
    frame_bytes: usize,
    /// Its one frame, if it is one.
    frame: Option<&'b Frame<'b>>,
}

impl<'m> Body<'m> {
    /// The message, if it is at hand.
    fn bytes(self) -> Option<&'m [u8]> {
        match self {
            Body::Content(message) | Body::Length(message) => Some(message),
            Body::Packed(_) => None,
        }
    }

    /// Whether it may be this message.
    fn fits(self, message: &[u8]) -> bool {
        match self {
            Body::Content(content) => content == message,
            Body::Length(content) => content.len() == message.len(),
            Body::Packed(len) => {
                let least = message.len().div_ceil(MOST_INFLATED).max(if message.is_empty() { 0 } else { 2 });
                (least..=most_packed(message.len())).contains(&len)
            }
        }
    }
}

/// Bytes that a message of `len` bytes may have after compression: no compressor in use adds an eighth to what it cannot
/// compress.
fn most_packed(len: usize) -> usize {
    len + len / 8 + 64
}

/// Appends a masked Pong with the Ping's payload (RFC 6455, 5.5.3). More than [`MAX_PONGS_BYTES`] are never owed: a
/// server that pings without reading gets the latest ones left out, as the RFC allows.
fn push_pong(pongs: &mut Vec<u8>, payload: &[u8]) {
    if pongs.len() + MAX_HEADER_LEN + payload.len() <= MAX_PONGS_BYTES {
        push_frame(pongs, OpCode::Pong, false, Some(rand::random()), payload);
    }
}

fn describe_close(payload: &[u8]) -> String {
    match wire::parse_close(payload) {
        Ok(Some((code, ""))) => format!("code {}", code.get()),
        Ok(Some((code, reason))) => format!("code {} ({reason})", code.get()),
        Ok(None) => "no code".into(),
        Err(violation) => format!("a Close frame that is none: {violation}"),
    }
}

/// The most Pongs owed at a time, in bytes: a flood of Pings must not grow the generator.
pub(super) const MAX_PONGS_BYTES: usize = 4096;

/// Bytes that a byte of DEFLATE can stand for at the most: a match of 258 bytes takes two bits (RFC 1951, 3.2.5).
const MOST_INFLATED: usize = 1032;

/// Bytes that a connection keeps between messages: a thousand connections must not keep a large message each.
const KEPT: usize = 64 << 10;
