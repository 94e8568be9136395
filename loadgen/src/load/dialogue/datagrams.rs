//! UDP alone: each message is a datagram that is to come back as it is. Its first 8 bytes are its number on its connection, by
//! which a reply is known, whenever it comes: what is lost, comes twice, late or out of turn is told apart (RFC 4737 for the
//! latter: a reply is out of order if one with a higher number has come before).
//!
//! A message whose reply does not come in time is lost, as is the oldest one when [`MOST_EARLY`] later ones have been answered.
//! Its reply may come later all the same; of the last [`REMEMBERED`] messages it is remembered which of them were lost.

use crate::load::dialogue::MOST_EARLY;
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::observer::{Checked, Datagram, Observer};
use crate::load::dialogue::pending::{Answer, Pending};
use crate::measure::glimpse::Glimpse;
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::Kind;
use crate::plan::messages::{Corpus, Encoding, Volume};

/// Where the numbers of a connection's messages stand.
#[derive(Debug)]
pub struct Datagrams {
    /// Whether the content of replies is checked, or only their number and how long they are.
    content: bool,
    /// The number of the oldest message of the flight.
    oldest: u64,
    /// One more than the highest number that has been answered.
    next: u64,
    /// The datagrams to be sent next, one behind the other; empty before they are made.
    out: Vec<u8>,
    /// How many of these bytes have been sent.
    begun: usize,
    /// Bytes of each of them, but for the last, which may be shorter.
    segment: usize,
    /// How many of them there may be.
    together: usize,
    /// Of each of the messages before the oldest whether it is lost and nothing has come for it since, a bit for each.
    lost: [u64; REMEMBERED as usize / 64],
}

impl Datagrams {
    /// A connection on which nothing has been sent; so many datagrams are made `together` at the most. Preparing the corpus, if
    /// nobody has, takes its time.
    pub fn new(corpus: &Corpus, content: bool, together: usize) -> Self {
        corpus.prepare_bytes();
        let (longest, together) = (corpus.longest(), together.clamp(1, MOST_TOGETHER));
        let out = Vec::with_capacity((longest * together).min(MOST_BYTES_TOGETHER).max(longest));
        let lost = [0; REMEMBERED as usize / 64];
        Self { content, oldest: 0, next: 0, out, begun: 0, segment: 0, together, lost }
    }

    /// Makes the datagrams to be sent next, unless there are any or none is due: as many as are equally long, and one more that
    /// is shorter.
    #[inline]
    pub fn make(&mut self, flight: &Flight, corpus: &Corpus) {
        if !self.out.is_empty() || flight.unsent() == 0 {
            return;
        }
        let first = flight.first_unsent(corpus);
        self.segment = message(corpus, first).len();
        for at in 0..flight.unsent().min(self.together) {
            let message = message(corpus, corpus.after(first, at));
            let begin = self.out.len();
            if message.len() > self.segment || at > 0 && begin + message.len() > MOST_BYTES_TOGETHER {
                break;
            }
            let number = self.oldest + (flight.sent + at) as u64;
            self.out.extend_from_slice(message);
            self.out[begin..][..NUMBER].copy_from_slice(&number.to_be_bytes());
            if message.len() < self.segment {
                break;
            }
        }
    }

    /// The datagrams to be sent next, one behind the other.
    #[inline]
    pub fn unsent(&self) -> &[u8] {
        &self.out[self.begun..]
    }

    /// Bytes of each of them, but for the last, which may be shorter.
    #[inline]
    pub fn segment(&self) -> usize {
        self.segment
    }

    /// So many bytes of them have been sent, which are whole datagrams.
    #[inline]
    pub fn sent(&mut self, flight: &mut Flight, corpus: &Corpus, bytes: usize, now: u64) -> Volume {
        let (first, datagrams) = (flight.first_unsent(corpus), bytes.div_ceil(self.segment));
        let mut sent = Volume::default();
        (0..datagrams).for_each(|at| sent += volume(corpus, corpus.after(first, at)));
        flight.mark_sent(datagrams, 0, now);
        self.begun += bytes;
        if self.begun == self.out.len() {
            self.forget_unsent();
        }
        sent
    }

    /// Takes what came: datagrams of `segment` bytes, of which the last may be shorter.
    #[inline]
    pub fn received(
        &mut self,
        flight: &mut Flight,
        corpus: &Corpus,
        came: &[u8],
        segment: usize,
        observer: &mut impl Observer,
    ) {
        if came.len() <= segment {
            return self.take(flight, corpus, came, observer);
        }
        came.chunks(segment).for_each(|datagram| self.take(flight, corpus, datagram, observer));
    }

    /// Takes a datagram that came.
    #[inline]
    fn take(&mut self, flight: &mut Flight, corpus: &Corpus, came: &[u8], observer: &mut impl Observer) {
        let Some(number) = came.first_chunk().map(|number| u64::from_be_bytes(*number)) else {
            return stray(corpus, came, observer);
        };
        match number.checked_sub(self.oldest) {
            Some(at) if at < flight.sent as u64 => {
                let at = at as usize;
                match flight.queue[at].answer {
                    Answer::Awaited => self.answer(flight, corpus, at, came, observer),
                    Answer::Lost => {
                        observer.datagram(Datagram::Late);
                        flight.queue[at].answer = Answer::Done;
                    }
                    Answer::Done | Answer::Ambiguous => observer.datagram(Datagram::Duplicated),
                }
            }
            // It has not been sent.
            Some(_) => stray(corpus, came, observer),
            None => self.take_old(number, observer),
        }
    }

    /// Gives up the messages that were sent before this time and have no reply.
    pub fn expire(&mut self, flight: &mut Flight, corpus: &Corpus, before: u64, observer: &mut impl Observer) {
        for at in 0..flight.sent {
            let pending = flight.queue[at];
            if pending.sent >= before {
                break;
            }
            if pending.answer == Answer::Awaited {
                self.lose(flight, at, observer);
            }
        }
        self.settle(flight, corpus);
    }

    /// Gives up all messages. More can be sent then.
    pub fn abandon(&mut self, flight: &mut Flight, corpus: &Corpus, observer: &mut impl Observer) {
        self.expire(flight, corpus, u64::MAX, observer);
        // What has not been sent needs no number.
        self.forget_unsent();
        flight.abandon(observer);
    }

    fn forget_unsent(&mut self) {
        self.out.clear();
        self.begun = 0;
    }

    /// Takes what came for a message that awaits its reply.
    #[inline]
    fn answer(&mut self, flight: &mut Flight, corpus: &Corpus, at: usize, came: &[u8], observer: &mut impl Observer) {
        let (index, pending) = (corpus.after(flight.oldest, at), flight.queue[at]);
        let sent = message(corpus, index);
        observer.received(volume(corpus, index));
        if came.len() == sent.len() && (!self.content || came[NUMBER..] == sent[NUMBER..]) {
            let number = self.oldest + at as u64;
            if number < self.next {
                observer.datagram(Datagram::Reordered);
            }
            self.next = self.next.max(number + 1);
            if !self.content {
                observer.checked(pending, Checked::Length);
            }
            observer.verified(pending, 1);
        } else {
            wrong(corpus, pending, sent, came, observer);
        }
        if at == 0 {
            flight.take_oldest(corpus);
            self.remember(false);
        } else {
            flight.queue[at].answer = Answer::Done;
            flight.early += 1;
            if flight.early > MOST_EARLY {
                self.lose(flight, 0, observer);
            }
        }
        self.settle(flight, corpus);
    }

    /// Gives up one message.
    #[cold]
    fn lose(&mut self, flight: &mut Flight, at: usize, observer: &mut impl Observer) {
        let pending = &mut flight.queue[at];
        pending.answer = Answer::Lost;
        observer.datagram(Datagram::Lost(*pending));
        flight.early += 1;
    }

    /// Takes those out of the flight that are done with, up to the oldest one that awaits its reply.
    #[inline]
    fn settle(&mut self, flight: &mut Flight, corpus: &Corpus) {
        while flight.early > 0 && flight.queue.front().is_some_and(|front| front.answer != Answer::Awaited) {
            let pending = flight.take_oldest(corpus);
            flight.early -= 1;
            self.remember(pending.answer == Answer::Lost);
        }
    }

    /// The oldest message has left the flight.
    #[inline]
    fn remember(&mut self, lost: bool) {
        let (word, bit) = place(self.oldest);
        self.lost[word] = self.lost[word] & !bit | if lost { bit } else { 0 };
        self.oldest += 1;
    }

    /// Takes what came for a message that is no longer in the flight. Of those that are too old nobody knows whether they were
    /// lost; what comes so late comes late.
    #[cold]
    fn take_old(&mut self, number: u64, observer: &mut impl Observer) {
        if self.oldest - number > REMEMBERED {
            return observer.datagram(Datagram::Late);
        }
        let (word, bit) = place(number);
        let was_lost = self.lost[word] & bit != 0;
        self.lost[word] &= !bit;
        observer.datagram(if was_lost { Datagram::Late } else { Datagram::Duplicated });
    }
}

/// Where it is noted what became of the message with this number.
fn place(number: u64) -> (usize, u64) {
    let at = number % REMEMBERED;
    ((at / 64) as usize, 1 << (at % 64))
}

/// A message as it is sent, but for its number.
#[inline]
fn message(corpus: &Corpus, index: usize) -> &[u8] {
    corpus.requests(Encoding::Bytes, index, 1)
}

#[inline]
fn volume(corpus: &Corpus, index: usize) -> Volume {
    corpus.whole_requests(Encoding::Bytes, index, message(corpus, index).len()).0
}

/// Tells of a datagram that no message accounts for.
#[cold]
fn stray(corpus: &Corpus, came: &[u8], observer: &mut impl Observer) {
    observer.unexpected();
    observer.mismatched(MismatchKind::Unasked, || Mismatch {
        kind: MismatchKind::Unasked,
        times: 1,
        got: Glimpse::new(kind(corpus), Some(came.len() as u64), came),
        expected: None,
        offset: 0,
    });
}

/// Tells of a wrong reply to a message.
#[cold]
fn wrong(corpus: &Corpus, pending: Pending, sent: &[u8], came: &[u8], observer: &mut impl Observer) {
    observer.corrupted(pending);
    let kind_of = if came.len() == sent.len() { MismatchKind::Content } else { MismatchKind::Length };
    observer.mismatched(kind_of, || {
        // Their numbers are equal, and what stands in the place of it in the corpus is not what was sent.
        let differs = came[NUMBER..].iter().zip(&sent[NUMBER..]).position(|(came, sent)| came != sent);
        let offset = NUMBER + differs.unwrap_or_else(|| came.len().min(sent.len()) - NUMBER);
        let glimpse = |bytes: &[u8]| Glimpse::new(kind(corpus), Some(bytes.len() as u64), &bytes[offset..]);
        let (got, expected) = (glimpse(came), Some(glimpse(sent)));
        Mismatch { kind: kind_of, times: 1, got, expected, offset: offset as u64 }
    });
}

fn kind(corpus: &Corpus) -> Kind {
    if corpus.opcode() == wire::OpCode::Text { Kind::Text } else { Kind::Binary }
}

/// Bytes that a message's number takes, at its beginning: the most significant byte first.
const NUMBER: usize = 8;

/// Datagrams that are sent together: Linux takes 64, from 6.9 on 128.
const MOST_TOGETHER: usize = 64;

/// Bytes of all of them, by IPv4.
const MOST_BYTES_TOGETHER: usize = 65_507;

/// Messages before the oldest one in flight of which it is remembered whether they were lost: 128 bytes for a connection.
const REMEMBERED: u64 = 1024;

#[cfg(test)]
#[path = "datagrams/tests.rs"]
mod tests;
