//! Which message a whole message from the server answers, and what becomes of one that answers none.
//!
//! A wrong message may be the corrupted reply to the oldest message that still waits for one, or a message that nothing
//! had asked for, after which the true reply still comes. Only what follows can tell. So it is at first taken for the
//! corrupted reply, which makes room for the next message of a closed loop, and it is remembered as [`Ambiguous`]. If the true
//! reply comes after all, the wrong message was unexpected; if the reply to a later message comes first, or if nothing more
//! comes, the message stays corrupted. Only the reply to another message of the run (repeated, or
//! sent to the wrong connection) is unexpected from the first, and its place that of a message that may be lost.

use wire::OpCode;

use super::ambiguous::{Ambiguous, Difference};
use super::frames::most_packed;
use crate::load::dialogue::flight::Flight;
use crate::load::dialogue::observer::{Checked, Observer};
use crate::load::dialogue::pending::{Answer, Pending};
use crate::measure::glimpse::{EXCERPT_BYTES, Glimpse};
use crate::measure::mismatch::{Mismatch, MismatchKind};
use crate::plan::Kind;
use crate::plan::messages::Corpus;

/// What is known of a whole message that came.
#[derive(Clone, Copy)]
pub(super) enum Body<'m> {
    /// All of it, to be compared.
    Content(&'m [u8]),
    /// All of it, of which the length is to be compared.
    Length(&'m [u8]),
    /// Its length after compression.
    Packed(usize),
    /// It is longer than any reply: its length before compression, if that is known, and its beginning.
    Oversized(Option<u64>, &'m [u8]),
}

/// A whole message that came, as far as its place among the messages in flight goes.
#[derive(Clone, Copy)]
pub(super) struct Incoming<'m> {
    pub opcode: OpCode,
    pub body: Body<'m>,
    /// How it is checked, where it is not compared as it came.
    pub checked: Option<Checked>,
    /// Whether it is to be passed over, unless it is a reply byte for byte.
    pub passed_over: bool,
}

impl Flight {
    /// Finds out which message in flight a whole message belongs to; the number of its message, if there is one.
    pub(super) fn attribute(
        &mut self,
        ambiguous: &mut Vec<Ambiguous>,
        corpus: &Corpus,
        incoming: &Incoming<'_>,
        observer: &mut impl Observer,
    ) -> Option<usize> {
        let Incoming { opcode, body, checked, passed_over } = *incoming;
        let is = |index: usize| {
            opcode == corpus.opcode()
                && body.fits(corpus.reply(index))
                && (!passed_over || matches!(body, Body::Content(_)))
        };
        // Almost always.
        if self.early == 0 && self.sent > 0 && is(self.oldest) {
            let index = self.oldest;
            note(checked, self.queue[0], observer);
            self.answered_next(corpus, observer);
            return Some(index);
        }
        let next = self.queue.range(..self.sent).rposition(|s| s.answer == Answer::Done).map_or(0, |last| last + 1);
        let turn = self.place(corpus, next, is);
        let found = turn.map(|turn| corpus.after(self.oldest, turn));
        if let Some(turn) = turn {
            self.settle(ambiguous, corpus, turn, observer);
            let pending = self.queue[turn];
            if pending.answer == Answer::Ambiguous {
                withdraw(ambiguous.remove(0), pending, observer);
            } else {
                self.early += 1;
            }
            note(checked, pending, observer);
            if turn < next {
                observer.reordered(pending);
            } else {
                observer.verified(pending, 1);
            }
            self.queue[turn].answer = Answer::Done;
        } else if !passed_over {
            self.mismatched(ambiguous, corpus, incoming, observer);
        }
        self.drop_answered(corpus);
        found
    }

    /// A whole message has come from a server of which any message answers the oldest that has no answer; the number of its
    /// message, if there is one.
    pub(super) fn answered_in_order(
        &mut self,
        corpus: &Corpus,
        incoming: &Incoming<'_>,
        observer: &mut impl Observer,
    ) -> Option<usize> {
        if incoming.passed_over {
            return None;
        }
        if self.sent == 0 {
            let unasked = Difference { kind: MismatchKind::Unasked, ..Difference::between(corpus, None, incoming) };
            observer.unexpected();
            observer.mismatched(unasked.kind, || unasked.example(None));
            return None;
        }
        let index = self.oldest;
        observer.checked(self.queue[0], Checked::Order);
        self.answered_next(corpus, observer);
        Some(index)
    }

    /// The place in the queue of the message that is answered, if there is one. Contents repeat with the corpus: of several
    /// candidates, the one whose turn it is; then one for which a wrong message has come; then one whose turn has passed.
    fn place(&self, corpus: &Corpus, next: usize, is: impl Fn(usize) -> bool) -> Option<usize> {
        let fits = |i: usize| is(corpus.after(self.oldest, i));
        let waits = |i: &usize| self.queue[*i].answer == Answer::Awaited;
        let in_turn = (next..self.sent).find(waits).filter(|&i| fits(i));
        in_turn
            .or_else(|| (0..self.sent).find(|&i| self.queue[i].answer == Answer::Ambiguous && fits(i)))
            .or_else(|| (next..self.sent).chain(0..next).filter(waits).find(|&i| fits(i)))
    }

    /// Takes a message that is no reply that is awaited.
    fn mismatched(
        &mut self,
        ambiguous: &mut Vec<Ambiguous>,
        corpus: &Corpus,
        incoming: &Incoming<'_>,
        observer: &mut impl Observer,
    ) {
        // A wrong message is taken for the reply to the first one that still waits; those before it have got one already.
        let turn = (0..self.sent).find(|&i| self.queue[i].answer == Answer::Awaited);
        let difference = Difference::between(corpus, turn.map(|turn| corpus.after(self.oldest, turn)), incoming);
        if difference.is_unexpected() {
            observer.unexpected();
            observer.mismatched(difference.kind, || difference.example(None));
        }
        let Some(turn) = turn else { return };
        let in_window = !difference.is_unexpected() && observer.corrupted(self.queue[turn]);
        ambiguous.push(Ambiguous { in_window, checked: incoming.checked, difference });
        self.queue[turn].answer = Answer::Ambiguous;
        self.early += 1;
        if ambiguous.len() > MOST_AMBIGUOUS {
            let first = self.queue.iter().position(|pending| pending.answer == Answer::Ambiguous);
            self.settle(ambiguous, corpus, first.expect("one of them is ambiguous") + 1, observer);
        }
    }

    /// The true replies to the messages before this place in the queue are no longer waited for: they have got the wrong ones
    /// that came, or nothing.
    pub(super) fn settle(
        &mut self,
        ambiguous: &mut Vec<Ambiguous>,
        corpus: &Corpus,
        place: usize,
        observer: &mut impl Observer,
    ) {
        let mut settled = 0;
        for i in 0..place {
            if self.queue[i].answer != Answer::Ambiguous {
                continue;
            }
            let Ambiguous { checked, difference, .. } = ambiguous[settled];
            settled += 1;
            let pending = &mut self.queue[i];
            pending.answer = Answer::Done;
            if difference.is_unexpected() {
                observer.lost(*pending);
            } else {
                note(checked, *pending, observer);
                let index = corpus.after(self.oldest, i);
                observer.mismatched(difference.kind, || difference.example(Some((corpus, index))));
            }
        }
        ambiguous.drain(..settled);
    }

    /// Forgets the messages that have been answered and are in nobody's way.
    fn drop_answered(&mut self, corpus: &Corpus) {
        while self.queue.front().is_some_and(|pending| pending.answer == Answer::Done) {
            self.queue.pop_front();
            self.early -= 1;
            self.sent -= 1;
            self.oldest = corpus.after(self.oldest, 1);
        }
    }
}

/// The true reply to a message has come after a wrong one.
fn withdraw(wrong: Ambiguous, pending: Pending, observer: &mut impl Observer) {
    let Ambiguous { in_window, difference, .. } = wrong;
    if !difference.is_unexpected() {
        observer.withdrawn(pending, in_window);
        let unasked = Difference { kind: MismatchKind::Unasked, ..difference };
        observer.mismatched(unasked.kind, || unasked.example(None));
    }
}

fn note(checked: Option<Checked>, pending: Pending, observer: &mut impl Observer) {
    if let Some(how) = checked {
        observer.checked(pending, how);
    }
}

impl<'m> Body<'m> {
    /// The message, if it is at hand.
    pub(super) fn bytes(self) -> Option<&'m [u8]> {
        match self {
            Body::Content(message) | Body::Length(message) => Some(message),
            Body::Packed(_) | Body::Oversized(..) => None,
        }
    }

    /// Its length before compression, if that is known.
    pub(super) fn len(self) -> Option<u64> {
        match self {
            Body::Content(message) | Body::Length(message) => Some(message.len() as u64),
            Body::Packed(_) => None,
            Body::Oversized(len, _) => len,
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
            Body::Oversized(..) => false,
        }
    }
}

impl Difference {
    /// How the message that came differs from this one of the corpus, or from none.
    fn between(corpus: &Corpus, awaited: Option<usize>, incoming: &Incoming<'_>) -> Self {
        let Incoming { opcode, body, .. } = *incoming;
        let (same_type, bytes) = (opcode == corpus.opcode(), body.len());
        let shown = match body {
            Body::Content(shown) | Body::Length(shown) | Body::Oversized(_, shown) => shown,
            Body::Packed(_) => &[],
        };
        let of_this_run = |content: &[u8]| (0..corpus.len()).any(|index| corpus.reply(index) == content);
        let (kind, offset) = match (awaited.map(|index| corpus.reply(index)), body) {
            (_, Body::Content(content)) if same_type && of_this_run(content) => (MismatchKind::OtherMessage, 0),
            (None, _) => (MismatchKind::Unasked, 0),
            (Some(_), _) if !same_type => (MismatchKind::Type, 0),
            (Some(awaited), Body::Content(content)) if content.len() == awaited.len() => {
                (MismatchKind::Content, content.iter().zip(awaited).take_while(|(a, b)| a == b).count())
            }
            (Some(_), _) => (MismatchKind::Length, 0),
        };
        let shown = &shown[offset..];
        let mut excerpt = [0; EXCERPT_BYTES];
        let len = shown.len().min(EXCERPT_BYTES);
        excerpt[..len].copy_from_slice(&shown[..len]);
        Self { kind, of: kind_of(opcode), bytes, offset, excerpt, excerpt_len: len as u8 }
    }

    /// Whether the message is known to be no reply, not even a corrupted one.
    fn is_unexpected(&self) -> bool {
        matches!(self.kind, MismatchKind::OtherMessage | MismatchKind::Unasked)
    }

    /// For the report: beside the message whose reply was awaited, if one was.
    fn example(self, awaited: Option<(&Corpus, usize)>) -> Mismatch {
        let Self { kind, of, bytes, offset, excerpt, excerpt_len } = self;
        let expected = awaited.map(|(corpus, index)| {
            let message = corpus.reply(index);
            Glimpse::new(kind_of(corpus.opcode()), Some(message.len() as u64), &message[offset..])
        });
        let got = Glimpse::new(of, bytes, &excerpt[..excerpt_len.into()]);
        Mismatch { kind, times: 1, got, expected, offset: offset as u64 }
    }
}

fn kind_of(opcode: OpCode) -> Kind {
    if opcode == OpCode::Text { Kind::Text } else { Kind::Binary }
}

/// Ambiguous messages that a connection has at a time; of more, the oldest is taken for corrupted. Each takes about 100 bytes, and each
/// gives a closed loop one more message in flight. A server that answers everything wrongly comes up to this.
pub(super) const MOST_AMBIGUOUS: usize = 64;

/// Bytes that a byte of DEFLATE can stand for at the most: a match of 258 bytes takes two bits (RFC 1951, 3.2.5).
const MOST_INFLATED: usize = 1032;
