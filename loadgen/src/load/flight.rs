//! One connection's messages from being due to being answered, sans-IO: which bytes go out next, and whether the bytes
//! that come back are the replies they must be.
//!
//! Replies that are what they should be are recognised by one comparison with the corpus where they lie. Anything else
//! (a compressed, fragmented, wrong or late reply, a control frame) is read frame by frame by a `reader`, until the stream
//! is regular again; `judge` tells which message in flight it answers, if any.

mod desk;
mod doubt;
mod frames;
mod judge;
mod packing;
mod reader;

use std::collections::VecDeque;

use wire::CloseCode;
use wire::deflate::Agreed;

use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::Deflate;
use crate::plan::messages::{Corpus, Encoding, Volume};
use crate::units;
pub use desk::Desk;
use frames::Reader;
use packing::Packing;

/// When a message was due and when it was sent, in ns of the run's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The intended send time.
    pub intended: u64,
    /// When its first byte was handed to the kernel; [`UNSENT`] before that.
    pub sent: u64,
    /// What has come for it before its turn.
    pub answer: Answer,
}

/// What has come for a message that is due or in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing.
    Awaited,
    /// A wrong message, after which the true reply may still come.
    Doubtful,
    /// Its reply, right or wrong.
    Done,
}

/// Is told what became of the messages.
pub trait Witness {
    /// `count` replies were right in length, content, opcode and order.
    fn verified(&mut self, stamp: Stamp, count: u64);
    /// A reply was right but came after the reply to a later message.
    fn reordered(&mut self, stamp: Stamp);
    /// A wrong message came where the reply to this one was awaited. Returns whether it came within the measured phase.
    fn corrupted(&mut self, stamp: Stamp) -> bool;
    /// What was told to be the corrupted reply to this message was unexpected: its true reply has come, and is told next.
    /// `in_window` is what was returned then.
    fn withdrawn(&mut self, stamp: Stamp, in_window: bool);
    /// A message came that nothing in flight accounts for.
    fn unexpected(&mut self);
    /// A message that was corrupted or unexpected for good is of this kind; `example` describes it.
    fn mismatched(&mut self, kind: MismatchKind, example: impl FnOnce() -> Mismatch);
    /// No reply to this message came, and none will.
    fn lost(&mut self, stamp: Stamp);
    /// So much has come, whatever it was.
    fn received(&mut self, volume: Volume);
    /// The reply to this message was checked in another way than by comparing all of it as it came.
    fn checked(&mut self, stamp: Stamp, how: Checked);
}

/// How a reply was checked, where it was not compared with the message as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checked {
    /// Inflated and compared.
    Inflated,
    /// Compared with a compressed reply to the same message that had been inflated and compared.
    Identical,
    /// By its length alone, inflated if it came compressed.
    Length,
    /// By its frame alone: the message may have that length.
    Frame,
}

/// How a connection's messages are compressed, and how its replies are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What the plan says of compression, and what was agreed with the server; `None` without permessage-deflate.
    pub deflate: Option<(Deflate, Agreed)>,
    /// Whether the content of replies is checked, or their length only.
    pub content: bool,
    /// Messages at the beginning that are passed over.
    pub skip: u32,
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
    /// The server sent a message that is longer than anything that is read.
    #[error("the server sent a message longer than {} bytes, the most that is read; closed with code 1009", units::count(*.0))]
    TooLong(u64),
    /// The oldest message's reply does not come, while those to later ones do.
    #[error("a reply is missing, and {MOST_EARLY} later ones have come")]
    Missing,
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
    /// Which of the corpus's frames are sent, unless messages refer to the ones before them.
    encoding: Encoding,
    packing: Option<Box<Packing>>,
    /// Bytes of the oldest message's reply that have come.
    matched: usize,
    /// Reads the replies, while they are not just compared with the corpus.
    reader: Option<Box<Reader>>,
    /// Messages in the queue for which something has come before their turn.
    early: usize,
    /// Pongs that are owed, ready to be sent.
    pongs: Vec<u8>,
}

impl Stamp {
    /// The stamp of a message that has not been sent.
    pub fn due(intended: u64) -> Self {
        Self { intended, sent: UNSENT, answer: Answer::Awaited }
    }
}

impl Gone {
    /// The code to close the connection with; `None` where that is done already, or nothing that the protocol knows of.
    pub fn close_code(&self) -> Option<CloseCode> {
        match self {
            Gone::Closed(_) | Gone::Missing => None,
            Gone::Violation(violation) => Some(violation.close_code()),
            Gone::TooLong(_) => Some(CloseCode::MESSAGE_TOO_BIG),
        }
    }
}

impl Flight {
    /// A connection whose first message is number `first` of the corpus, with room for `capacity` messages before it
    /// has to allocate. Compressing the corpus for what was agreed, if need be, takes its time.
    pub fn new(corpus: &Corpus, first: usize, capacity: usize, terms: &Terms) -> Self {
        let (encoding, packing) = match terms.deflate {
            None => (Encoding::Plain, None),
            Some((deflate, agreed)) if agreed.client.context_takeover => {
                (Encoding::Plain, Some(Box::new(Packing::new(agreed, deflate.threshold as usize))))
            }
            Some((deflate, agreed)) => (corpus.prepare(&deflate, agreed.client.window), None),
        };
        Self {
            queue: VecDeque::with_capacity(capacity),
            oldest: first,
            sent: 0,
            partial: 0,
            encoding,
            packing,
            matched: 0,
            reader: Reader::of(terms).map(Box::new),
            early: 0,
            pongs: Vec::new(),
        }
    }

    /// Messages due or in flight, but for those whose reply is in doubt.
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() - self.early
    }

    /// A message is due.
    #[inline]
    pub fn due(&mut self, intended: u64) {
        self.queue.push_back(Stamp::due(intended));
    }

    /// Whether nothing is due or in flight, and no reply is in doubt.
    pub fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether wrong messages have come that may turn out to be no replies.
    pub fn in_doubt(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.doubts.is_empty())
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

    /// Compresses what is to be sent next, where messages refer to the ones before them: up to `count` messages, due or
    /// not, as far as there is room. Returns whether that took any time.
    #[inline]
    pub fn pack(&mut self, corpus: &Corpus, desk: &mut Desk, count: usize) -> bool {
        let Some(packing) = &mut self.packing else { return false };
        packing.fill(corpus, corpus.after(self.oldest, self.sent), count, desk)
    }

    /// Messages due that have not been sent whole.
    #[inline]
    pub fn unsent_messages(&self) -> usize {
        self.queue.len() - self.sent
    }

    /// When the oldest message was due that has not been sent whole.
    #[inline]
    pub fn next_due(&self) -> Option<u64> {
        self.queue.get(self.sent).map(|stamp| stamp.intended)
    }

    /// The bytes to send next; empty when all has been sent. More may follow once these are gone.
    #[inline]
    pub fn unsent<'a>(&'a self, corpus: &'a Corpus) -> &'a [u8] {
        if !self.pongs.is_empty() && self.partial == 0 {
            return &self.pongs;
        }
        let count = self.unsent_messages().min(corpus.len());
        if count == 0 {
            return &[];
        }
        let frames = match &self.packing {
            None => corpus.requests(self.encoding, corpus.after(self.oldest, self.sent), count),
            Some(packing) => packing.frames(count),
        };
        &frames[self.partial..]
    }

    /// The first `bytes` of [`Flight::unsent`] have been sent at `now`; returns the messages that are thereby sent whole.
    #[inline]
    pub fn sent(&mut self, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
        if !self.pongs.is_empty() && self.partial == 0 {
            self.pongs.drain(..bytes);
            return Volume::default();
        }
        let begun = usize::from(self.partial > 0);
        let (volume, rest) = match &mut self.packing {
            None => {
                let first = corpus.after(self.oldest, self.sent);
                corpus.whole_requests(self.encoding, first, self.partial + bytes)
            }
            Some(packing) => packing.sent(self.partial + bytes),
        };
        let whole = volume.messages as usize;
        for stamp in self.queue.range_mut(self.sent + begun..self.sent + whole + usize::from(rest > 0)) {
            stamp.sent = now;
        }
        self.sent += whole;
        self.partial = rest;
        volume
    }

    /// Takes the next bytes of the reply stream.
    ///
    /// # Errors
    /// When the server closed the connection or sent what no server may send.
    #[inline]
    pub fn received(
        &mut self,
        corpus: &Corpus,
        desk: &mut Desk,
        mut chunk: &[u8],
        witness: &mut impl Witness,
    ) -> Result<(), Gone> {
        while self.reader.is_none() && !chunk.is_empty() {
            let awaited = self.sent.min(corpus.len());
            let expected = &corpus.replies(self.oldest, awaited)[self.matched..];
            let len = chunk.len().min(expected.len());
            if len == 0 || chunk[..len] != expected[..len] {
                self.leave_the_rails(corpus);
                break;
            }
            let (whole, rest) = corpus.whole_replies(self.oldest, self.matched + len);
            self.matched = rest;
            witness.received(whole);
            self.answered_in_turn(corpus, whole.messages as usize, witness);
            chunk = &chunk[len..];
        }
        if chunk.is_empty() { Ok(()) } else { self.read_frames(corpus, desk, chunk, witness) }
    }

    /// Ends the connection: what is left of its messages is lost, and what is in doubt is corrupted.
    pub fn abandon(&mut self, corpus: &Corpus, witness: &mut impl Witness) {
        if let Some(mut reader) = self.reader.take() {
            self.settle(&mut reader.doubts, corpus, self.sent, witness);
        }
        (self.sent, self.early) = (0, 0);
        let left = self.queue.drain(..).filter(|stamp| stamp.answer == Answer::Awaited);
        left.for_each(|stamp| witness.lost(stamp));
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
        let begun = &corpus.replies(self.oldest, usize::from(self.matched > 0))[..self.matched];
        self.reader = Some(Box::new(Reader::of_irregular(begun)));
        self.matched = 0;
    }
}

/// Messages answered before the oldest one that are kept: 24 bytes each.
const MOST_EARLY: usize = 1 << 16;

// What `IN_FLIGHT_BYTES` says a message takes.
const _: () = assert!(size_of::<Stamp>() as u64 == crate::plan::IN_FLIGHT_BYTES);

/// The send time of a message that has not been sent.
pub const UNSENT: u64 = u64::MAX;

#[cfg(test)]
#[path = "flight/tests.rs"]
mod tests;
