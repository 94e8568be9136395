//! The WebSocket echo: each message is a masked frame, plain or compressed, and is to come back as it was.
//!
//! Replies that are what they should be are recognised by one comparison with the corpus where they lie. Anything else
//! (a compressed, fragmented, wrong or late reply, a control frame) is read frame by frame by a `reader`, until the stream
//! is regular again; `attribution` tells which message in flight it answers, if any.

mod ambiguous;
mod attribution;
mod frames;
mod packing;
mod reader;

use wire::deflate::Agreed;
use wire::{CloseCode, MAX_HEADER_LEN, OpCode};

use crate::load::dialogue::Gone;
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::observer::Observer;
use crate::load::dialogue::per_worker::PerWorker;
use crate::load::pings::Awaited;
use crate::plan::Deflate;
use crate::plan::messages::{Corpus, Encoding, Volume, push_frame};
use frames::Reader;
use packing::Packing;
use reader::MAX_CONTROL_BYTES;
pub use reader::closed;

/// How a connection's messages are compressed, and how its replies are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What the plan says of compression, and what was agreed with the server; `None` without permessage-deflate.
    pub deflate: Option<(Deflate, Agreed)>,
    /// Whether the content of replies is checked, or their length only.
    pub content: bool,
    /// Whether any message answers the oldest one, whatever it says.
    pub in_order: bool,
    /// Messages at the beginning that are passed over.
    pub skip: u32,
}

/// Where the two streams of a connection stand.
#[derive(Debug)]
pub struct WebSocket {
    /// Which of the corpus's frames are sent, unless messages refer to the ones before them.
    encoding: Encoding,
    packing: Option<Box<Packing>>,
    /// Bytes of the oldest message's reply that have come.
    matched: usize,
    /// Reads the replies, while they are not just compared with the corpus.
    reader: Option<Box<Reader>>,
    /// Pongs that are owed and Pings, ready to be sent.
    control: Vec<u8>,
    /// Pings that were sent, once one was.
    pings: Option<Box<Awaited>>,
}

impl WebSocket {
    /// A connection on which nothing has been sent. Compressing the corpus for what was agreed, if need be, takes its time.
    pub fn new(corpus: &Corpus, terms: &Terms) -> Self {
        let (encoding, packing) = match terms.deflate {
            None => (Encoding::Plain, None),
            Some((deflate, agreed)) if agreed.client.context_takeover => {
                (Encoding::Plain, Some(Box::new(Packing::new(agreed, deflate.threshold as usize))))
            }
            Some((deflate, agreed)) => (corpus.prepare(&deflate, agreed.client.window), None),
        };
        let reader = Reader::of(terms).map(Box::new);
        Self { encoding, packing, matched: 0, reader, control: Vec::new(), pings: None }
    }

    /// Whether wrong messages have come that may turn out to be no replies.
    pub fn has_ambiguous(&self) -> bool {
        self.reader.as_ref().is_some_and(|reader| !reader.ambiguous.is_empty())
    }

    /// Whether a reply has come in part.
    #[inline]
    pub fn mid_reply(&self) -> bool {
        self.matched > 0 || self.reader.as_ref().is_some_and(|reader| reader.mid_message())
    }

    /// Makes a Ping to be sent next, at `now`; not where the socket has taken none of many before it, or too many wait for
    /// their Pongs. Returns whether it did.
    pub fn ping(&mut self, now: u64) -> bool {
        let room = self.control.len() + MAX_HEADER_LEN + size_of::<u64>() <= MAX_CONTROL_BYTES;
        let payload = room.then(|| self.pings.get_or_insert_default().send(now)).flatten();
        if let Some(payload) = payload {
            push_frame(&mut self.control, OpCode::Ping, false, Some(rand::random()), &payload);
        }
        payload.is_some()
    }

    /// Gives up the Pings that wait for their Pongs; how many there were.
    pub fn give_up_pings(&mut self) -> u64 {
        self.pings.as_mut().map_or(0, |pings| pings.give_up())
    }

    /// Whether Pings of the server wait for their Pongs.
    #[inline]
    pub fn owes_pongs(&self) -> bool {
        !self.control.is_empty()
    }

    /// Compresses what is to be sent next, where messages refer to the ones before them: up to `count` messages, due or
    /// not, as far as there is room. Returns whether that took any time.
    #[inline]
    pub fn pack(&mut self, flight: &Flight, corpus: &Corpus, per_worker: &mut PerWorker, count: usize) -> bool {
        let Some(packing) = &mut self.packing else { return false };
        packing.fill(corpus, flight.first_unsent(corpus), count, per_worker)
    }

    /// The bytes to send next; empty when all has been sent. More may follow once these are gone.
    #[inline]
    pub fn unsent<'a>(&'a self, flight: &Flight, corpus: &'a Corpus) -> &'a [u8] {
        if !self.control.is_empty() && flight.partial == 0 {
            return &self.control;
        }
        let count = flight.unsent().min(corpus.len());
        if count == 0 {
            return &[];
        }
        let frames = match &self.packing {
            None => corpus.requests(self.encoding, flight.first_unsent(corpus), count),
            Some(packing) => packing.frames(count),
        };
        &frames[flight.partial..]
    }

    /// The first `bytes` of [`WebSocket::unsent`] have been sent at `now`; returns the messages that are thereby sent whole.
    #[inline]
    pub fn sent(&mut self, flight: &mut Flight, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
        if !self.control.is_empty() && flight.partial == 0 {
            self.control.drain(..bytes);
            return Volume::default();
        }
        let bytes = flight.partial + bytes;
        let (volume, rest) = match &mut self.packing {
            None => corpus.whole_requests(self.encoding, flight.first_unsent(corpus), bytes),
            Some(packing) => packing.sent(bytes),
        };
        flight.mark_sent(volume.messages as usize, rest, now);
        volume
    }

    /// Takes the next bytes of the reply stream.
    ///
    /// # Errors
    /// When the server closed the connection or sent what no server may send.
    #[inline]
    pub fn received(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        per_worker: &mut PerWorker,
        mut chunk: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        while self.reader.is_none() && !chunk.is_empty() {
            let awaited = flight.sent.min(corpus.len());
            let expected = &corpus.replies(flight.oldest, awaited)[self.matched..];
            let len = chunk.len().min(expected.len());
            if len == 0 || chunk[..len] != expected[..len] {
                self.start_reading_frames(flight, corpus);
                break;
            }
            let (whole, rest) = corpus.whole_replies(flight.oldest, self.matched + len);
            self.matched = rest;
            observer.received(whole);
            flight.answered_in_turn(corpus, whole.messages as usize, observer);
            chunk = &chunk[len..];
        }
        if chunk.is_empty() { Ok(()) } else { self.read_frames(flight, corpus, per_worker, chunk, observer) }
    }

    /// Ends the connection: what is left of its messages is lost, and what is ambiguous is corrupted.
    pub fn abandon(&mut self, flight: &mut Flight, corpus: &Corpus, observer: &mut impl Observer) {
        if let Some(mut reader) = self.reader.take() {
            flight.settle(&mut reader.ambiguous, corpus, flight.sent, observer);
        }
        flight.abandon(observer);
    }

    /// Starts to read frame by frame, with what had come of the current reply.
    fn start_reading_frames(&mut self, flight: &Flight, corpus: &Corpus) {
        let begun = &corpus.replies(flight.oldest, usize::from(self.matched > 0))[..self.matched];
        self.reader = Some(Box::new(Reader::of_irregular(begun)));
        self.matched = 0;
    }
}

/// Appends a Close frame, with a code or without, where no other frame has been sent in part.
pub fn append_close(flight: &Flight, out: &mut Vec<u8>, code: Option<CloseCode>) {
    if !flight.is_mid_message() {
        let code = code.map(|code| code.get().to_be_bytes());
        // Masked with a key of zeros, since it has nothing to hide from anybody.
        push_frame(out, OpCode::Close, false, Some([0; 4]), code.as_ref().map_or(&[], |code| &code[..]));
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
