//! TCP alone: every byte is to come back. There is nothing between two messages, so that they are told apart by their
//! lengths, which the corpus knows: the first bytes that come are the reply to the oldest message, as many as it has, and the
//! next ones that to the next.
//!
//! Wrong bytes are hence a wrong reply to the message in whose place they came, and the stream goes on behind them. Bytes that
//! come before they were sent end the connection: from there on nobody could tell which message is answered.

use crate::load::dialogue::Gone;
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::observer::{Checked, Observer};
use crate::measure::glimpse::{EXCERPT_BYTES, Glimpse};
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::Kind;
use crate::plan::messages::{Corpus, Encoding, Volume};

/// Where the stream of replies stands.
#[derive(Debug)]
pub struct Bytes {
    /// Whether the content of replies is checked, or only how many bytes there are.
    content: bool,
    /// Bytes of the oldest message's reply that have come.
    matched: usize,
    /// What is wrong with them, if anything is.
    wrong: Option<Box<Wrong>>,
}

/// Where a reply first differs from its message, and what it is there.
#[derive(Debug)]
struct Wrong {
    offset: usize,
    excerpt: [u8; EXCERPT_BYTES],
    len: usize,
}

impl Bytes {
    /// A connection on which nothing has been sent. Preparing the corpus, if nobody has, takes its time.
    pub fn new(corpus: &Corpus, content: bool) -> Self {
        corpus.prepare_bytes();
        Self { content, matched: 0, wrong: None }
    }

    /// Whether a reply has come in part.
    #[inline]
    pub fn mid_reply(&self) -> bool {
        self.matched > 0
    }

    /// Takes the next bytes of the reply stream.
    ///
    /// # Errors
    /// When more bytes came than have been sent.
    #[inline]
    pub fn received(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        mut chunk: &[u8],
        observer: &mut impl Observer,
    ) -> Result<(), Gone> {
        while !chunk.is_empty() {
            let expected = &awaited(flight, corpus)[self.matched..];
            let len = chunk.len().min(expected.len());
            if len == 0 {
                return Err(surplus(corpus, chunk, observer));
            }
            let right = self.wrong.is_none() && (!self.content || chunk[..len] == expected[..len]);
            let taken = if right {
                self.take_right(flight, corpus, len, observer);
                len
            } else {
                self.take_wrong(flight, corpus, &chunk[..len], observer)
            };
            chunk = &chunk[taken..];
        }
        Ok(())
    }

    /// Takes so many bytes that are what they should be.
    #[inline]
    fn take_right(&mut self, flight: &mut Flight, corpus: &Corpus, len: usize, observer: &mut impl Observer) {
        let (whole, rest) = corpus.whole_requests(Encoding::Bytes, flight.oldest, self.matched + len);
        let count = whole.messages as usize;
        self.matched = rest;
        observer.received(whole);
        if !self.content {
            flight.queue.range(..count).for_each(|pending| observer.checked(*pending, Checked::Length));
        }
        flight.answered_in_turn(corpus, count, observer);
    }

    /// Takes of `bytes`, which are not all right, those that belong to the oldest message; returns how many.
    #[cold]
    fn take_wrong(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        bytes: &[u8],
        observer: &mut impl Observer,
    ) -> usize {
        let index = flight.oldest;
        let message = corpus.payload(index);
        let came = &bytes[..bytes.len().min(message.len() - self.matched)];
        let rest = &message[self.matched..];
        let differs = came.iter().zip(rest).position(|(came, sent)| came != sent);
        match (&mut self.wrong, differs) {
            (Some(wrong), _) => wrong.push(came),
            (None, Some(at)) => {
                let mut wrong = Wrong { offset: self.matched + at, excerpt: [0; EXCERPT_BYTES], len: 0 };
                wrong.push(&came[at..]);
                self.wrong = Some(Box::new(wrong));
            }
            // It is one of the messages behind this one that differs.
            (None, None) => {}
        }
        self.matched += came.len();
        if self.matched == message.len() {
            self.matched = 0;
            observer.received(corpus.whole_requests(Encoding::Bytes, index, message.len()).0);
            match self.wrong.take() {
                None => flight.answered_next(corpus, observer),
                Some(wrong) => {
                    observer.corrupted(flight.take_oldest(corpus));
                    observer.mismatched(MismatchKind::Content, || wrong.example(corpus, message));
                }
            }
        }
        came.len()
    }
}

impl Wrong {
    /// More of the reply.
    fn push(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(EXCERPT_BYTES - self.len);
        self.excerpt[self.len..self.len + taken].copy_from_slice(&bytes[..taken]);
        self.len += taken;
    }

    /// For the report, beside the message that was sent.
    fn example(&self, corpus: &Corpus, message: &[u8]) -> Mismatch {
        let glimpse = |part| Glimpse::new(kind(corpus), Some(message.len() as u64), part);
        let (got, expected) = (glimpse(&self.excerpt[..self.len]), Some(glimpse(&message[self.offset..])));
        Mismatch { kind: MismatchKind::Content, times: 1, got, expected, offset: self.offset as u64 }
    }
}

/// The bytes to send next, as [`super::Dialogue::unsent`] says.
#[inline]
pub fn unsent<'a>(flight: &Flight, corpus: &'a Corpus) -> &'a [u8] {
    match flight.unsent().min(corpus.len()) {
        0 => &[],
        count => &corpus.requests(Encoding::Bytes, flight.first_unsent(corpus), count)[flight.partial..],
    }
}

/// The first `bytes` of them have been sent, as [`super::Dialogue::sent`] says.
#[inline]
pub fn sent(flight: &mut Flight, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
    let sent = flight.partial + bytes;
    let (volume, rest) = corpus.whole_requests(Encoding::Bytes, flight.first_unsent(corpus), sent);
    flight.mark_sent(volume.messages as usize, rest, now);
    volume
}

/// The bytes that have been sent of the oldest message and those behind it, as many as are at hand at once: those of a
/// message that has been sent in part come back before the rest of it is sent.
#[inline]
fn awaited<'a>(flight: &Flight, corpus: &'a Corpus) -> &'a [u8] {
    let count = flight.sent.min(corpus.len());
    let whole = corpus.requests(Encoding::Bytes, flight.oldest, count);
    if flight.partial == 0 || count == corpus.len() {
        return whole;
    }
    &corpus.requests(Encoding::Bytes, flight.oldest, count + 1)[..whole.len() + flight.partial]
}

/// Tells of bytes that nothing had asked for.
#[cold]
fn surplus(corpus: &Corpus, bytes: &[u8], observer: &mut impl Observer) -> Gone {
    let got = || Glimpse::new(kind(corpus), Some(bytes.len() as u64), bytes);
    observer.unexpected();
    observer.mismatched(MismatchKind::Unasked, || Mismatch {
        kind: MismatchKind::Unasked,
        times: 1,
        got: got(),
        expected: None,
        offset: 0,
    });
    Gone::Surplus
}

fn kind(corpus: &Corpus) -> Kind {
    if corpus.opcode() == wire::OpCode::Text { Kind::Text } else { Kind::Binary }
}

#[cfg(test)]
#[path = "bytes/tests.rs"]
mod tests;
