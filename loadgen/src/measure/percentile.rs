//! Percentiles of a histogram, and how many values one needs: below that it would be the highest value, whatever is asked
//! for, and is left out.

use hdrhistogram::Histogram;

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
