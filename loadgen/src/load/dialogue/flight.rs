//! The messages of one connection that are due or in flight, oldest first: when each was due and sent, and whether its
//! reply has come. It knows no bytes; which bytes they are is a dialogue's to say.

use std::collections::VecDeque;

use super::observer::Observer;
use super::pending::{Answer, Pending};
use crate::plan::messages::Corpus;

/// The messages of one connection that are due or in flight.
#[derive(Debug)]
pub struct Flight {
    /// Oldest first. The corpus gives their content: consecutive from `oldest` on.
    pub(super) queue: VecDeque<Pending>,
    pub(super) oldest: usize,
    /// How many of the queue's front have been sent whole.
    pub(super) sent: usize,
    /// Bytes sent of the message after those.
    pub(super) partial: usize,
    /// Messages in the queue for which something has come before their turn.
    pub(super) early: usize,
}

impl Flight {
    /// No messages yet. The first will be number `first` of the corpus; there is room for `capacity` of them before memory
    /// has to be allocated.
    pub fn new(first: usize, capacity: usize) -> Self {
        Self { queue: VecDeque::with_capacity(capacity), oldest: first, sent: 0, partial: 0, early: 0 }
    }

    /// Messages due or in flight, but for those for which something has come before their turn.
    #[inline]
    pub fn len(&self) -> usize {
        self.queue.len() - self.early
    }

    /// Whether no message is due or in flight, not even one for which a wrong message has come.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// A message is due.
    #[inline]
    pub fn push(&mut self, due: u64) {
        self.queue.push_back(Pending::new(due));
    }

    /// Messages due that have not been sent whole.
    #[inline]
    pub fn unsent(&self) -> usize {
        self.queue.len() - self.sent
    }

    /// When the oldest message was due that has not been sent whole.
    #[inline]
    pub fn next_due(&self) -> Option<u64> {
        self.queue.get(self.sent).map(|pending| pending.due)
    }

    /// Whether a message has been sent in part.
    pub fn is_mid_message(&self) -> bool {
        self.partial > 0
    }

    /// The number in the corpus of the first message that has not been sent whole.
    #[inline]
    pub(super) fn first_unsent(&self, corpus: &Corpus) -> usize {
        corpus.after(self.oldest, self.sent)
    }

    /// At `now` the sending of `whole` more messages has come to their end, and `partial` bytes of the next are sent.
    #[inline]
    pub(super) fn mark_sent(&mut self, whole: usize, partial: usize, now: u64) {
        // The first of them may have been begun earlier.
        let begun = usize::from(self.partial > 0);
        for pending in self.queue.range_mut(self.sent + begun..self.sent + whole + usize::from(partial > 0)) {
            pending.sent = now;
        }
        self.sent += whole;
        self.partial = partial;
    }

    /// The `count` oldest messages have been answered as they should; those with equal times are told of together.
    #[inline]
    pub(super) fn answered_in_turn(&mut self, corpus: &Corpus, count: usize, observer: &mut impl Observer) {
        let mut left = count;
        while left > 0 {
            let pending = self.queue.pop_front().expect("no more replies than messages in flight");
            left -= 1;
            let mut same = 1;
            while left > 0 && self.queue.front() == Some(&pending) {
                self.queue.pop_front();
                left -= 1;
                same += 1;
            }
            observer.verified(pending, same);
        }
        self.sent -= count;
        self.oldest = corpus.after(self.oldest, count);
    }

    /// The oldest message has been answered as it should.
    #[inline]
    pub(super) fn answered_next(&mut self, corpus: &Corpus, observer: &mut impl Observer) {
        let pending = self.take_oldest(corpus);
        observer.verified(pending, 1);
    }

    /// The oldest message has been answered, rightly or not: takes it out of the flight.
    #[inline]
    pub(super) fn take_oldest(&mut self, corpus: &Corpus) -> Pending {
        let pending = self.queue.pop_front().expect("a reply to a message in flight");
        self.sent -= 1;
        self.oldest = corpus.after(self.oldest, 1);
        pending
    }

    /// Gives up all messages: those for which nothing has come are lost.
    pub(super) fn abandon(&mut self, observer: &mut impl Observer) {
        (self.sent, self.early) = (0, 0);
        let left = self.queue.drain(..).filter(|pending| pending.answer == Answer::Awaited);
        left.for_each(|pending| observer.lost(pending));
    }
}
