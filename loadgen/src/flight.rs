//! One connection's messages from being due to being answered, sans-IO: which bytes go out next, and whether the bytes
//! that come back are the replies they must be.
//!
//! Replies that are what they should be are recognised by one comparison with the corpus where they lie. Anything else
//! (a control frame, a fragmented, wrong or late reply) is read frame by frame in [`Irregular`], until the stream is
//! regular again.

use std::collections::VecDeque;

use wire::{Header, MAX_CONTROL_PAYLOAD, MAX_HEADER_LEN, OpCode, apply_mask};

use crate::payload::Corpus;

/// When a message was due and when it was sent, in ns of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The intended send time.
    pub intended: u64,
    /// When its first byte was handed to the kernel; [`UNSENT`] before that.
    pub sent: u64,
    /// Whether its reply has come before its turn.
    pub answered: bool,
}

/// Is told what became of the messages.
pub trait Witness {
    /// `count` replies were right in length, content, opcode and order.
    fn verified(&mut self, stamp: Stamp, count: u64);
    /// A reply was right but came after the reply to a later message.
    fn reordered(&mut self, stamp: Stamp);
    /// A reply is no message of this connection.
    fn corrupted(&mut self, stamp: Stamp);
    /// A message came that nothing in flight accounts for.
    fn unexpected(&mut self);
}

/// Why a connection cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Gone {
    /// The server sent a Close frame.
    #[error("closed by the server with {0}")]
    Closed(String),
    /// The server broke the protocol.
    #[error("protocol violation by the server: {0}")]
    Violation(wire::Violation),
    /// The server sent masked bytes, reserved bits or a reply that is longer than any message.
    #[error("protocol violation by the server: {0}")]
    Illegible(&'static str),
}

/// The messages of one connection that are due or in flight, and where its two streams stand.
#[derive(Debug)]
pub struct Flight {
    /// Due messages, oldest first. The corpus gives their content: consecutive from `oldest` on.
    queue: VecDeque<Stamp>,
    oldest: usize,
    /// How many of the queue's front have been sent whole.
    sent: usize,
    /// Bytes sent of the message after those.
    partial: usize,
    /// Bytes of the oldest message's reply that have come.
    matched: usize,
    irregular: Option<Box<Irregular>>,
    /// Messages in the queue that were answered before their turn.
    early: usize,
    /// Pongs that are owed, ready to be sent.
    pongs: Vec<u8>,
}

/// A stream of replies that needs to be read frame by frame.
#[derive(Debug, Default)]
struct Irregular {
    /// Bytes received from the beginning of a frame on.
    stream: Vec<u8>,
    /// The message whose fragments are arriving.
    message: Option<(OpCode, Vec<u8>)>,
}

impl Stamp {
    /// The stamp of a message that has not been sent.
    pub fn due(intended: u64) -> Self {
        Self { intended, sent: UNSENT, answered: false }
    }
}

impl Flight {
    /// A connection whose first message is number `first` of the corpus, with room for `capacity` messages before it
    /// has to allocate.
    pub fn new(first: usize, capacity: usize) -> Self {
        let queue = VecDeque::with_capacity(capacity);
        Self { queue, oldest: first, sent: 0, partial: 0, matched: 0, irregular: None, early: 0, pongs: Vec::new() }
    }

    /// Messages due or in flight.
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() - self.early
    }

    /// A message is due.
    #[inline]
    pub fn due(&mut self, intended: u64) {
        self.queue.push_back(Stamp::due(intended));
    }

    /// Whether Pings wait for their Pongs.
    #[inline]
    pub fn owes_pongs(&self) -> bool {
        !self.pongs.is_empty()
    }

    /// Whether a frame has been sent in part.
    pub fn mid_frame(&self) -> bool {
        self.partial > 0
    }

    /// The bytes to send next; empty when all has been sent. More may follow once these are gone.
    #[inline]
    pub fn unsent<'a>(&'a self, corpus: &'a Corpus) -> &'a [u8] {
        if !self.pongs.is_empty() && self.partial == 0 {
            return &self.pongs;
        }
        let count = (self.queue.len() - self.sent).min(corpus.len());
        if count == 0 {
            return &[];
        }
        &corpus.requests(corpus.after(self.oldest, self.sent), count)[self.partial..]
    }

    /// The first `bytes` of [`Flight::unsent`] have been sent at `now`; returns the messages that are thereby sent whole.
    #[inline]
    pub fn sent(&mut self, corpus: &Corpus, bytes: usize, now: u64) -> usize {
        if !self.pongs.is_empty() && self.partial == 0 {
            self.pongs.drain(..bytes);
            return 0;
        }
        let first = corpus.after(self.oldest, self.sent);
        let begun = usize::from(self.partial > 0);
        let (whole, rest) = corpus.whole_requests(first, self.partial + bytes);
        for stamp in self.queue.range_mut(self.sent + begun..self.sent + whole + usize::from(rest > 0)) {
            stamp.sent = now;
        }
        self.sent += whole;
        self.partial = rest;
        whole
    }

    /// Takes the next bytes of the reply stream.
    ///
    /// # Errors
    /// When the server closed the connection or sent what no server may send.
    #[inline]
    pub fn received(&mut self, corpus: &Corpus, mut chunk: &[u8], witness: &mut impl Witness) -> Result<(), Gone> {
        while self.irregular.is_none() && !chunk.is_empty() {
            let awaited = self.sent.min(corpus.len());
            let expected = &corpus.replies(self.oldest, awaited)[self.matched..];
            let len = chunk.len().min(expected.len());
            if len == 0 || chunk[..len] != expected[..len] {
                self.leave_the_rails(corpus);
                break;
            }
            let (whole, rest) = corpus.whole_replies(self.oldest, self.matched + len);
            self.matched = rest;
            self.answered_in_turn(corpus, whole, witness);
            chunk = &chunk[len..];
        }
        if chunk.is_empty() { Ok(()) } else { self.read_frames(corpus, chunk, witness) }
    }

    /// Ends the connection: what is left of its messages, oldest first.
    pub fn abandon(&mut self) -> impl Iterator<Item = Stamp> + '_ {
        self.sent = 0;
        self.early = 0;
        self.queue.drain(..).filter(|stamp| !stamp.answered)
    }

    /// The `count` oldest messages have been answered as they should; equal stamps are told of together.
    #[inline]
    fn answered_in_turn(&mut self, corpus: &Corpus, count: usize, witness: &mut impl Witness) {
        let mut left = count;
        while left > 0 {
            let stamp = self.queue.pop_front().expect("no more replies than messages in flight");
            left -= 1;
            let mut same = 1;
            while left > 0 && self.queue.front() == Some(&stamp) {
                self.queue.pop_front();
                left -= 1;
                same += 1;
            }
            witness.verified(stamp, same);
        }
        self.sent -= count;
        self.oldest = corpus.after(self.oldest, count);
    }

    /// Starts to read frame by frame, with what had come of the current reply.
    fn leave_the_rails(&mut self, corpus: &Corpus) {
        let mut irregular = Box::<Irregular>::default();
        if self.matched > 0 {
            irregular.stream.extend_from_slice(&corpus.replies(self.oldest, 1)[..self.matched]);
            self.matched = 0;
        }
        self.irregular = Some(irregular);
    }

    #[cold]
    fn read_frames(&mut self, corpus: &Corpus, chunk: &[u8], witness: &mut impl Witness) -> Result<(), Gone> {
        let mut irregular = self.irregular.take().unwrap_or_default();
        irregular.stream.extend_from_slice(chunk);
        let mut read = 0;
        while let Some((header, head)) = Header::parse(&irregular.stream[read..]).map_err(Gone::Violation)? {
            if header.mask.is_some() {
                return Err(Gone::Violation(wire::Violation::Masked));
            }
            if header.rsv != 0 {
                return Err(Gone::Violation(wire::Violation::ReservedBits));
            }
            let assembled = irregular.message.as_ref().map_or(0, |(_, message)| message.len());
            if header.payload_len > (corpus.longest() + MAX_CONTROL_PAYLOAD - assembled.min(corpus.longest())) as u64 {
                return Err(Gone::Illegible("a message longer than any that was sent"));
            }
            let end = read + head + header.payload_len as usize;
            if irregular.stream.len() < end {
                break;
            }
            let payload = &irregular.stream[read + head..end];
            read = end;
            match (header.opcode, &mut irregular.message) {
                (OpCode::Ping, _) => push_pong(&mut self.pongs, payload),
                (OpCode::Pong, _) => {}
                (OpCode::Close, _) => return Err(Gone::Closed(describe_close(payload))),
                (OpCode::Continuation, None) => return Err(Gone::Violation(wire::Violation::UnexpectedContinuation)),
                (OpCode::Continuation, Some((_, message))) => message.extend_from_slice(payload),
                (_, Some(_)) => return Err(Gone::Violation(wire::Violation::ExpectedContinuation)),
                (opcode, message @ None) => *message = Some((opcode, payload.to_vec())),
            }
            if header.fin && !header.opcode.is_control() {
                let (opcode, message) = irregular.message.take().expect("a final data frame ends a message");
                self.judge(corpus, opcode, &message, witness);
            }
        }
        irregular.stream.drain(..read);
        let regular = irregular.stream.is_empty()
            && irregular.message.is_none()
            && self.queue.range(..self.sent).all(|stamp| !stamp.answered);
        if !regular {
            self.irregular = Some(irregular);
        }
        Ok(())
    }

    /// Finds out which message in flight a whole reply belongs to.
    fn judge(&mut self, corpus: &Corpus, opcode: OpCode, message: &[u8], witness: &mut impl Witness) {
        let is = |index: usize| opcode == corpus.opcode() && message == corpus.payload(index);
        // Contents repeat with the corpus: of several candidates, the one whose turn it is, rather than one given up.
        let next = self.queue.range(..self.sent).rposition(|stamp| stamp.answered).map_or(0, |last| last + 1);
        let turn =
            (next..self.sent).chain(0..next).find(|&i| !self.queue[i].answered && is(corpus.after(self.oldest, i)));
        if let Some(turn) = turn {
            let stamp = self.queue[turn];
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
    }
}

/// Appends a masked Pong with the Ping's payload (RFC 6455, 5.5.3). More than [`MAX_PONGS_BYTES`] are never owed: a
/// server that pings without reading gets the latest ones left out, as the RFC allows.
fn push_pong(pongs: &mut Vec<u8>, payload: &[u8]) {
    if pongs.len() + MAX_HEADER_LEN + payload.len() > MAX_PONGS_BYTES {
        return;
    }
    let key: [u8; 4] = rand::random();
    let header = Header { fin: true, rsv: 0, opcode: OpCode::Pong, mask: Some(key), payload_len: payload.len() as u64 };
    let mut head = [0; MAX_HEADER_LEN];
    let len = header.encode(&mut head);
    pongs.extend_from_slice(&head[..len]);
    let at = pongs.len();
    pongs.extend_from_slice(payload);
    apply_mask(&mut pongs[at..], key);
}

fn describe_close(payload: &[u8]) -> String {
    match wire::parse_close(payload) {
        Ok(Some((code, ""))) => format!("code {}", code.get()),
        Ok(Some((code, reason))) => format!("code {} ({reason})", code.get()),
        Ok(None) => "no code".into(),
        Err(violation) => format!("a Close frame that is none: {violation}"),
    }
}

/// The send time of a message that has not been sent.
pub const UNSENT: u64 = u64::MAX;

/// The most Pongs owed at a time, in bytes: a flood of Pings must not grow the generator.
const MAX_PONGS_BYTES: usize = 4096;

#[cfg(test)]
mod tests;
