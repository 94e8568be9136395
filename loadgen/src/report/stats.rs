//! A distribution in a report: the figures to read, and the whole histogram, so that saved reports add up exactly.

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::encoded::Encoded;
use crate::measure::percentile::{self, RANKS};

/// A distribution of times in nanoseconds. What it has no value for is null: all but the count and the histogram where
/// nothing was recorded, and a percentile p of fewer than 100 / (100 - p) values, since it would be the highest, whatever p is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "SavedStats")]
#[schemars(!from)]
pub struct Stats {
    /// Values recorded.
    pub count: u64,
    /// The lowest, ns; null where there is none.
    pub min: Option<u64>,
    /// The arithmetic mean, ns; null where there is none.
    #[schemars(range(min = 0))]
    pub mean: Option<f64>,
    /// The standard deviation, ns; null where there is none.
    #[schemars(range(min = 0))]
    pub stdev: Option<f64>,
    /// The median, ns; null of fewer than 2 values.
    pub p50: Option<u64>,
    /// The 75th percentile, ns; null of fewer than 4 values.
    pub p75: Option<u64>,
    /// The 90th percentile, ns; null of fewer than 10 values.
    pub p90: Option<u64>,
    /// The 95th percentile, ns; null of fewer than 20 values.
    pub p95: Option<u64>,
    /// The 99th percentile, ns; null of fewer than 100 values.
    pub p99: Option<u64>,
    /// The 99.9th percentile, ns; null of fewer than 1,000 values.
    pub p99_9: Option<u64>,
    /// The 99.99th percentile, ns; null of fewer than 10,000 values.
    pub p99_99: Option<u64>,
    /// The highest, ns; null where there is none.
    pub max: Option<u64>,
    /// All of it.
    pub histogram: Encoded,
}

/// [`Stats`] as a file has them. One of an earlier version has 0 where nothing was recorded, percentiles of too few values,
/// and no 95th.
#[derive(Deserialize)]
struct SavedStats {
    count: u64,
    min: Option<u64>,
    mean: Option<f64>,
    stdev: Option<f64>,
    p50: Option<u64>,
    p75: Option<u64>,
    p90: Option<u64>,
    p95: Option<u64>,
    p99: Option<u64>,
    p99_9: Option<u64>,
    p99_99: Option<u64>,
    max: Option<u64>,
    histogram: Encoded,
}

impl From<&Histogram<u64>> for Stats {
    fn from(histogram: &Histogram<u64>) -> Self {
        let [p50, p75, p90, p95, p99, p99_9, p99_99] = RANKS.map(|rank| percentile::of(histogram, rank));
        let is_any = !histogram.is_empty();
        Self {
            count: histogram.len(),
            min: is_any.then(|| histogram.min()),
            mean: is_any.then(|| histogram.mean()),
            stdev: is_any.then(|| histogram.stdev()),
            p50,
            p75,
            p90,
            p95,
            p99,
            p99_9,
            p99_99,
            max: is_any.then(|| histogram.max()),
            histogram: histogram.into(),
        }
    }
}

impl From<SavedStats> for Stats {
    fn from(saved: SavedStats) -> Self {
        let SavedStats { count, min, mean, stdev, p50, p75, p90, p95, p99, p99_9, p99_99, max, histogram } = saved;
        let mut percentiles = [p50, p75, p90, p95, p99, p99_9, p99_99];
        for (percentile, rank) in percentiles.iter_mut().zip(RANKS) {
            *percentile = percentile.filter(|_| count >= percentile::needed(rank));
        }
        let [p50, p75, p90, mut p95, p99, p99_9, p99_99] = percentiles;
        if p95.is_none() && count >= percentile::needed(95.0) {
            // A histogram that cannot be read is told of by whoever needs it.
            p95 = histogram.decode().ok().and_then(|histogram| percentile::of(&histogram, 95.0));
        }
        let is_any = |_: &u64| count > 0;
        let (min, max) = (min.filter(is_any), max.filter(is_any));
        let [mean, stdev] = [mean, stdev].map(|value| value.filter(|_| count > 0));
        Self { count, min, mean, stdev, p50, p75, p90, p95, p99, p99_9, p99_99, max, histogram }
    }
}

impl Stats {
    /// The percentiles by rank, in the order of [`RANKS`].
    pub fn percentiles(&self) -> impl Iterator<Item = (f64, Option<u64>)> {
        let Self { p50, p75, p90, p95, p99, p99_9, p99_99, .. } = *self;
        RANKS.into_iter().zip([p50, p75, p90, p95, p99, p99_9, p99_99])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::histogram::histogram;

    #[test]
    fn what_there_is_no_value_for_is_absent() {
        let empty = Stats::from(&histogram());
        assert_eq!((empty.count, empty.min, empty.mean, empty.stdev, empty.max), (0, None, None, None, None));
        assert!(empty.percentiles().all(|(_, value)| value.is_none()));
        let mut some = histogram();
        (1..=20).for_each(|value| some.saturating_record(value));
        let some = Stats::from(&some);
        assert_eq!(
            (some.min, some.p50, some.p75, some.p90, some.p95),
            (Some(1), Some(10), Some(15), Some(18), Some(19))
        );
        assert_eq!((some.p99, some.p99_9, some.p99_99, some.max), (None, None, None, Some(20)));
    }

    #[test]
    fn what_an_earlier_version_saved_reads_as_today() {
        for values in [0u64, 2, 20, 200] {
            let mut recorded = histogram();
            (1..=values).for_each(|value| recorded.saturating_record(value));
            let today = Stats::from(&recorded);
            let mut saved = serde_json::to_value(&today).unwrap();
            let fields = saved.as_object_mut().unwrap();
            fields.remove("p95");
            for (name, value) in fields.iter_mut().filter(|(_, value)| value.is_null()) {
                *value = if matches!(name.as_str(), "mean" | "stdev") { 0.0.into() } else { recorded.max().into() };
            }
            assert_eq!(serde_json::from_value::<Stats>(saved).unwrap(), today, "{values} values");
        }
    }
}
