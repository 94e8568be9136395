//! The open loop's schedule: when each message is due and on which connection. It comes from the plan and the seed
//! alone; no reply, stall or clock can move it, which is what makes the loop open.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::plan::{Arrival, Rate};

/// One worker's due messages, in order.
#[derive(Debug)]
pub struct Schedule {
    gap_ns: f64,
    connections: usize,
    next: Due,
    state: State,
}

/// A message that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The intended send time in ns since the run's start.
    pub at: u64,
    /// The worker's connection to send it on.
    pub connection: usize,
}

#[derive(Debug)]
enum State {
    /// `index` messages have been handed out; the first is due at `phase` ns.
    Uniform { index: u64, phase: f64 },
    /// The last message was due at `at` ns.
    Poisson { at: f64, rng: SmallRng },
}

impl Schedule {
    /// The schedule of one worker: `rate` messages per second over its `connections >= 1`. `phase` (0..1) shifts a
    /// uniform schedule by that share of a gap, so that workers do not send in step.
    pub fn new(rate: Rate, arrival: Arrival, connections: usize, phase: f64, seed: u64) -> Self {
        assert!(connections > 0, "a schedule needs a connection to send on");
        let gap_ns = 1e9 / rate.get();
        let state = match arrival {
            Arrival::Uniform => State::Uniform { index: 0, phase: phase * gap_ns },
            Arrival::Poisson => State::Poisson { at: 0.0, rng: SmallRng::seed_from_u64(seed) },
        };
        let mut schedule = Self { gap_ns, connections, next: Due { at: 0, connection: 0 }, state };
        schedule.advance();
        schedule
    }

    /// When the next message is due, ns since the run's start.
    #[inline]
    pub fn next_at(&self) -> u64 {
        self.next.at
    }

    /// The next message if it is due at `now`.
    #[inline]
    pub fn pop(&mut self, now: u64) -> Option<Due> {
        (self.next.at <= now).then(|| {
            let due = self.next;
            self.advance();
            due
        })
    }

    /// How many of the messages that have not been handed out are due before `end`. It does not take the longer the more
    /// there are: of a Poisson schedule it is as many as come at its mean rate.
    pub fn due_before(&self, end: u64) -> u64 {
        if self.next.at >= end {
            return 0;
        }
        let mut count = (((end - self.next.at) as f64 / self.gap_ns).ceil() as u64).max(1);
        // Times are rounded, so that the quotient may be one off.
        while self.due_at(count - 1) >= end {
            count -= 1;
        }
        while self.due_at(count) < end {
            count += 1;
        }
        count
    }

    /// When the message is due that comes after `n` others that have not been handed out, in ns since the run's start;
    /// the mean of it where chance has a part in it.
    pub fn due_at(&self, n: u64) -> u64 {
        match &self.state {
            // The next one has been drawn, so that its index is one less.
            State::Uniform { index, phase } => (*phase + (*index - 1 + n) as f64 * self.gap_ns) as u64,
            State::Poisson { .. } => self.next.at.saturating_add((n as f64 * self.gap_ns) as u64),
        }
    }

    fn advance(&mut self) {
        self.next = match &mut self.state {
            State::Uniform { index, phase } => {
                // From the index, not from the previous time: rounding never adds up.
                let at = (*phase + *index as f64 * self.gap_ns) as u64;
                let connection = (*index % self.connections as u64) as usize;
                *index += 1;
                Due { at, connection }
            }
            State::Poisson { at, rng } => {
                // The inverse of the exponential distribution; 1 - u lies in (0, 1], so that its logarithm is finite.
                let u: f64 = rng.random();
                *at -= (1.0 - u).ln() * self.gap_ns;
                Due { at: *at as u64, connection: rng.random_range(0..self.connections) }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(schedule: &mut Schedule, n: usize) -> Vec<Due> {
        (0..n).map(|_| schedule.pop(u64::MAX).unwrap()).collect()
    }

    #[test]
    fn uniform_gaps_never_drift() {
        let mut schedule = Schedule::new(Rate::try_from(3.0).unwrap(), Arrival::Uniform, 2, 0.0, 0);
        let due = take(&mut schedule, 3_000_001);
        assert_eq!(due[1], Due { at: 333_333_333, connection: 1 });
        assert_eq!(due[3_000_000].at, 1_000_000_000_000_000);
    }

    #[test]
    fn nothing_is_handed_out_before_it_is_due() {
        let mut schedule = Schedule::new(Rate::try_from(10.0).unwrap(), Arrival::Uniform, 1, 0.5, 0);
        assert_eq!(schedule.next_at(), 50_000_000);
        assert_eq!(schedule.pop(49_999_999), None);
        assert_eq!(schedule.pop(50_000_000).map(|due| due.at), Some(50_000_000));
        assert_eq!(schedule.next_at(), 150_000_000);
    }

    #[test]
    fn what_is_still_due_is_counted_as_it_would_be_handed_out() {
        for (rate, phase) in [(3.0, 0.0), (3.0, 0.25), (7.7, 0.9), (1e6, 0.5), (0.1, 0.0)] {
            for (handed_out, end) in [(0, 0), (0, 1), (0, 1_000_000_000), (5, 1_000_000_000), (5, 2_500_000_001)] {
                let mut schedule = Schedule::new(Rate::try_from(rate).unwrap(), Arrival::Uniform, 2, phase, 0);
                take(&mut schedule, handed_out);
                let (next, counted) = (schedule.due_at(0), schedule.due_before(end));
                assert_eq!(next, schedule.next_at());
                let due =
                    (0..).take_while(|_| end.checked_sub(1).is_some_and(|now| schedule.pop(now).is_some())).count();
                assert_eq!(counted, due as u64, "{rate}/s, phase {phase}, after {handed_out}, until {end}");
            }
        }
        let poisson = Schedule::new(Rate::try_from(1_000.0).unwrap(), Arrival::Poisson, 1, 0.0, 9);
        assert!((990..=1_001).contains(&poisson.due_before(1_000_000_000)), "{}", poisson.due_before(1_000_000_000));
        assert_eq!(poisson.due_before(poisson.next_at()), 0);
    }

    #[test]
    fn poisson_gaps_have_the_mean_and_the_spread_of_an_exponential() {
        let rate = 1000.0;
        let mut schedule = Schedule::new(Rate::try_from(rate).unwrap(), Arrival::Poisson, 7, 0.0, 9);
        let due = take(&mut schedule, 200_001);
        let gaps: Vec<f64> = due.windows(2).map(|pair| (pair[1].at - pair[0].at) as f64 / 1e9).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        // 200,000 draws: the standard error of the mean is 0.22%, that of the deviation 0.45%.
        assert!((mean * rate - 1.0).abs() < 0.01, "mean {mean}");
        assert!((variance.sqrt() * rate - 1.0).abs() < 0.02, "deviation {}", variance.sqrt());
        let share = due.iter().filter(|due| due.connection == 3).count() as f64 / due.len() as f64;
        assert!((share * 7.0 - 1.0).abs() < 0.03, "share {share}");
    }
}
