//! `--inject-stall`: all workers stand still at the same times, as in a pause of a garbage collector.
//!
//! Nothing runs while there are no messages: whoever is to answer one looks whether it came in a stall, and then sleeps
//! until the stall is over. Peers cannot tell that from a worker that had slept from the stall's beginning.

use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::Stall;

/// Sleeps until no stall is left, if there is one now.
pub(super) fn sleep_through(stall: &Stall) {
    // One for all workers. The first whole interval passes before the first stall.
    static START: OnceLock<Instant> = OnceLock::new();
    let left = left(stall, START.get_or_init(Instant::now).elapsed());
    if !left.is_zero() {
        thread::sleep(left);
    }
}

/// What is left of a stall at this time since the start: stalls end with each interval.
fn left(stall: &Stall, now: Duration) -> Duration {
    let into = Duration::from_nanos((now.as_nanos() % stall.every.as_nanos()) as u64);
    let until_end = stall.every - into;
    if until_end <= stall.length { until_end } else { Duration::ZERO }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_of_its_length_ends_every_interval() {
        let ms = Duration::from_millis;
        let stall = Stall { length: ms(20), every: ms(1_000) };
        for (now, expected) in [(0, 0), (979, 0), (980, 20), (990, 10), (999, 1), (1_000, 0), (61_985, 15)] {
            assert_eq!(left(&stall, ms(now)), ms(expected), "after {now} ms");
        }
    }
}
