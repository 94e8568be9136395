//! Percentiles of a histogram, and how many values one needs: below that it would be the highest value, whatever is asked
//! for, and is left out.

use std::cmp::Ordering;
use std::fmt;

use hdrhistogram::Histogram;

/// The rank of a percentile, from 0 to 100.
#[derive(Debug, Clone, Copy)]
pub struct Rank(f64);

impl Rank {
    /// A rank; `None` where it is not from 0 to 100.
    pub const fn new(rank: f64) -> Option<Self> {
        // Zero is added since -0 is 0, and is to be shown and ordered as that.
        if rank >= 0.0 && rank <= 100.0 { Some(Self(rank + 0.0)) } else { None }
    }

    /// It as a number.
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

impl fmt::Display for Rank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The percentile of this rank, from 0 to 100; `None` where there are fewer values than it [needs](needed).
pub fn of(histogram: &Histogram<u64>, rank: f64) -> Option<u64> {
    // 99.9 / 100 is a little more than 0.999 in binary, which may be the next value's rank.
    (histogram.len() >= needed(rank)).then(|| histogram.value_at_quantile((rank * 1e6).round() / 1e8))
}

/// Values that the percentile of this rank needs: so many that one lies above it, 100/(100 - rank). That of rank 100 is the
/// highest value.
pub fn needed(rank: f64) -> u64 {
    if rank >= 100.0 {
        return 1;
    }
    // 100 - 99.9 is a little less than 0.1 in binary: the quotient may be off by a millionth.
    (100.0 / (100.0 - rank) - 1e-6).ceil() as u64
}

/// The name of the percentile of this rank, as columns and fields are called: `p99_9`.
pub fn field(rank: f64) -> String {
    format!("p{rank}").replace('.', "_")
}

/// The ranks that reports list, in every format.
pub const RANKS: [f64; 7] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram::histogram;

    #[test]
    fn a_percentile_needs_a_value_above_it() {
        let needed_by_ours: Vec<u64> = RANKS.into_iter().map(needed).collect();
        assert_eq!(needed_by_ours, [2, 4, 10, 20, 100, 1_000, 10_000]);
        assert_eq!([0.0, 1.0, 99.999, 100.0].map(needed), [1, 2, 100_000, 1]);
        let mut values = histogram();
        for (count, rank) in [(1, 100.0), (2, 50.0), (4, 75.0), (20, 95.0), (100, 99.0), (1_000, 99.9)] {
            while values.len() < count {
                assert!(of(&values, rank).is_none(), "p{rank} of {} values", values.len());
                let next = values.len() + 1;
                values.saturating_record(next);
            }
            let least = count - u64::from(count > 1);
            assert_eq!(of(&values, rank), Some(least), "p{rank} of {count} values");
        }
    }

    #[test]
    fn names_are_those_of_the_report() {
        assert_eq!(RANKS.map(field), ["p50", "p75", "p90", "p95", "p99", "p99_9", "p99_99"]);
    }
}
