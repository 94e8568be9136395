//! When connections that could not be opened are tried again. Pure: times come in as parameters, counted from the beginning.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{RngExt as _, SeedableRng as _};

/// How often what failed is tried again, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The wait after the first try of a connection; it doubles after each other, up to [`LONGEST_WAIT`].
    pub delay: Duration,
    /// From the beginning; what would be tried later is given up.
    pub within: Duration,
    /// Whether a wait is drawn between nothing and what it would be, by this seed.
    pub jitter: Option<u64>,
}

/// A try of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Try {
    /// The connection.
    pub number: u32,
    /// Tries of it, this one included.
    pub tries: u32,
}

/// What waits to be tried again.
#[derive(Debug)]
pub struct Retries {
    how: Option<Retry>,
    rng: SmallRng,
    waiting: BinaryHeap<Reverse<(Duration, Try)>>,
}

impl Retries {
    /// Nothing yet; without a `how` nothing ever is.
    pub fn new(how: Option<Retry>) -> Self {
        let seed = how.and_then(|how| how.jitter).unwrap_or(0);
        Self { how, rng: SmallRng::seed_from_u64(seed), waiting: BinaryHeap::new() }
    }

    /// A try failed at this time. Returns whether the connection is tried again.
    pub fn failed(&mut self, tried: Try, at: Duration) -> bool {
        let Some(Retry { delay, within, jitter }) = self.how else { return false };
        let doubled = delay.saturating_mul(1u32.checked_shl(tried.tries - 1).unwrap_or(u32::MAX));
        let mut wait = doubled.min(LONGEST_WAIT.max(delay));
        if jitter.is_some() {
            wait = wait.mul_f64(self.rng.random());
        }
        let due = at + wait;
        if due > within {
            return false;
        }
        self.waiting.push(Reverse((due, Try { tries: tried.tries + 1, ..tried })));
        true
    }

    /// When the next is due.
    pub fn next_at(&self) -> Option<Duration> {
        self.waiting.peek().map(|Reverse((due, _))| *due)
    }

    /// The next, if it is due by then.
    pub fn pop(&mut self, now: Duration) -> Option<Try> {
        self.next_at().filter(|due| *due <= now)?;
        self.waiting.pop().map(|Reverse((_, again))| again)
    }
}

/// The longest that is waited between two tries of a connection, unless the first wait is longer: what a person would wait before
/// loading a page again.
pub const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Try = Try { number: 7, tries: 1 };

    /// The waits of one connection whose every try fails at once.
    fn waits(how: Retry) -> Vec<Duration> {
        let (mut retries, mut now, mut tried, mut waits) = (Retries::new(Some(how)), Duration::ZERO, FIRST, Vec::new());
        while retries.failed(tried, now) {
            let due = retries.next_at().unwrap();
            assert_eq!(retries.pop(due - Duration::from_nanos(1)), None);
            tried = retries.pop(due).unwrap();
            waits.push(due - now);
            now = due;
        }
        waits
    }

    #[test]
    fn waits_double_up_to_the_longest_until_the_time_is_over() {
        let how = Retry { delay: Duration::from_secs(1), within: Duration::from_secs(18), jitter: None };
        assert_eq!(waits(how).iter().map(Duration::as_secs).collect::<Vec<_>>(), [1, 2, 4, 5, 5]);
        let long = Retry { delay: Duration::from_secs(8), ..how };
        assert_eq!(waits(long), [Duration::from_secs(8); 2], "no shorter than the first");
    }

    #[test]
    fn with_jitter_waits_are_drawn_by_the_seed() {
        let how = |seed| Retry { delay: Duration::from_secs(1), within: Duration::from_secs(60), jitter: Some(seed) };
        let drawn = waits(how(1));
        assert!(drawn[0] < Duration::from_secs(1) && drawn.iter().all(|wait| *wait < LONGEST_WAIT), "{drawn:?}");
        assert!(drawn == waits(how(1)) && drawn != waits(how(2)));
    }

    #[test]
    fn the_earliest_comes_first_and_without_a_how_nothing_is_tried_again() {
        let how = Retry { delay: Duration::from_secs(1), within: Duration::from_secs(60), jitter: None };
        let mut retries = Retries::new(Some(how));
        assert!(retries.failed(Try { number: 1, tries: 3 }, Duration::ZERO));
        assert!(retries.failed(Try { number: 2, tries: 1 }, Duration::ZERO));
        assert_eq!(retries.pop(Duration::from_secs(9)), Some(Try { number: 2, tries: 2 }));
        assert_eq!(retries.pop(Duration::from_secs(9)), Some(Try { number: 1, tries: 4 }));
        assert!(!Retries::new(None).failed(FIRST, Duration::ZERO));
    }
}
