//! Pings to the server (RFC 6455, 5.5.2) and the Pongs that answer them. Each Ping carries its number, so that a Pong tells
//! which one it answers.

use std::collections::VecDeque;

use hdrhistogram::Histogram;

use crate::measure::failures::{self, Failures};
use crate::measure::histogram::{add, histogram};

/// The Pings of one connection that wait for their Pongs, oldest first.
#[derive(Debug, Default)]
pub struct Awaited {
    /// The number of the next.
    next: u64,
    /// Number, and when it was sent, ns of the run's clock.
    waiting: VecDeque<(u64, u64)>,
}

/// What a Pong answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pong {
    /// A Ping.
    Answers {
        /// When that was sent, ns of the run's clock.
        sent: u64,
        /// How many earlier ones have none of their own, which a server may leave out (RFC 6455, 5.5.3).
        passed_over: u64,
    },
    /// None that waits: its bytes are those of no Ping, or of one that was answered before.
    Nothing,
}

/// What became of the Pings.
#[derive(Debug, Clone)]
pub struct Pings {
    /// Sent.
    pub sent: u64,
    /// Answered by a Pong with the same bytes.
    pub answered: u64,
    /// Answered by the Pong to a later Ping.
    pub passed_over: u64,
    /// Never answered.
    pub unanswered: u64,
    /// Pongs that answer no Ping.
    pub unsolicited: u64,
    /// Why Pings were not answered, and how often.
    pub failures: Failures,
    /// From sent to arrived, ns.
    pub round_trip: Histogram<u64>,
}

impl Awaited {
    /// The bytes of the next Ping, which is sent at `now`; `None` where too many wait for their Pongs.
    pub fn send(&mut self, now: u64) -> Option<[u8; 8]> {
        if self.waiting.len() >= MOST_AWAITED {
            return None;
        }
        let number = self.next;
        self.next += 1;
        self.waiting.push_back((number, now));
        Some(number.to_be_bytes())
    }

    /// A Pong with these bytes has come.
    pub fn answered(&mut self, payload: &[u8]) -> Pong {
        let number = <[u8; 8]>::try_from(payload).map(u64::from_be_bytes);
        let place = number.ok().and_then(|number| self.waiting.iter().position(|(waiting, _)| *waiting == number));
        match place.and_then(|place| Some((place, self.waiting.drain(..=place).next_back()?))) {
            Some((place, (_, sent))) => Pong::Answers { sent, passed_over: place as u64 },
            None => Pong::Nothing,
        }
    }

    /// Gives up those that wait; how many there were.
    pub fn give_up(&mut self) -> u64 {
        self.waiting.drain(..).len() as u64
    }
}

impl Pings {
    /// None yet.
    pub fn new() -> Self {
        Self {
            sent: 0,
            answered: 0,
            passed_over: 0,
            unanswered: 0,
            unsolicited: 0,
            failures: Failures::new(),
            round_trip: histogram(),
        }
    }

    /// Those that wait for their Pongs.
    pub fn waiting(&self) -> u64 {
        self.sent - self.answered - self.passed_over - self.unanswered
    }

    /// A Pong arrived at `arrived`.
    pub fn came(&mut self, pong: Pong, arrived: u64) {
        match pong {
            Pong::Answers { sent, passed_over } => {
                self.answered += 1;
                self.passed_over += passed_over;
                self.round_trip.saturating_record(arrived.saturating_sub(sent));
            }
            Pong::Nothing => self.unsolicited += 1,
        }
    }

    /// So many are not answered.
    pub fn gave_up(&mut self, count: u64, why: &str) {
        if count > 0 {
            self.unanswered += count;
            failures::add(&mut self.failures, why, count);
        }
    }

    /// Adds those of other connections.
    pub fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.answered += other.answered;
        self.passed_over += other.passed_over;
        self.unanswered += other.unanswered;
        self.unsolicited += other.unsolicited;
        failures::merge(&mut self.failures, other.failures);
        add(&mut self.round_trip, &other.round_trip);
    }
}

impl Default for Pings {
    fn default() -> Self {
        Self::new()
    }
}

/// Pings of one connection that may wait for their Pongs: a server that answers none costs no more memory.
const MOST_AWAITED: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pong_answers_the_ping_with_its_bytes_and_passes_over_those_before() {
        let mut awaited = Awaited::default();
        let [first, second, third] = [10, 20, 30].map(|now| awaited.send(now).unwrap());
        assert_eq!(awaited.answered(&second), Pong::Answers { sent: 20, passed_over: 1 });
        assert_eq!(awaited.answered(&first), Pong::Nothing, "it was passed over");
        assert_eq!(awaited.answered(b"hello"), Pong::Nothing);
        assert_eq!(awaited.answered(&third), Pong::Answers { sent: 30, passed_over: 0 });
        assert_eq!(awaited.give_up(), 0);
        awaited.send(40);
        assert_eq!(awaited.give_up(), 1);
        assert_eq!((0..=MOST_AWAITED).filter(|_| awaited.send(50).is_some()).count(), MOST_AWAITED);
    }

    #[test]
    fn every_ping_is_answered_passed_over_or_given_up() {
        let mut pings = Pings { sent: 4, ..Pings::new() };
        pings.came(Pong::Answers { sent: 100, passed_over: 1 }, 150);
        pings.came(Pong::Nothing, 150);
        assert_eq!((pings.waiting(), pings.unsolicited, pings.round_trip.max()), (2, 1, 50));
        pings.gave_up(2, "silence");
        pings.gave_up(0, "nothing");
        pings.add(Pings { sent: 1, answered: 1, ..Pings::new() });
        assert_eq!((pings.sent, pings.answered, pings.unanswered, pings.waiting()), (5, 2, 2, 0));
        assert_eq!(pings.failures.into_iter().collect::<Vec<_>>(), [("silence".to_owned(), 2)]);
    }
}
