//! The comparison in the formats that follow figures from commit to commit: the change of each metric with its interval
//! for Bencher, B's medians for github-action-benchmark.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Comparison, text};
use crate::report::action_benchmark::{Benchmark, lists};
use crate::report::json;

/// A figure of Bencher Metric Format with its interval.
#[derive(Debug, Serialize)]
struct Change {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The changes from A to B as Bencher Metric Format: shares of A, with their 95% intervals.
pub fn bmf(comparison: &Comparison) -> Vec<u8> {
    let measures: BTreeMap<String, Change> = comparison
        .metrics
        .iter()
        .filter_map(|metric| {
            let estimate = metric.estimate;
            let change = Change { value: estimate.change?, lower_value: estimate.low, upper_value: estimate.high };
            Some((format!("{}-change", metric.metric), change))
        })
        .collect();
    json(&BTreeMap::from([("compare", measures)]))
}

/// B's medians for github-action-benchmark: smaller is better, bigger is better.
pub fn action_benchmark(comparison: &Comparison) -> [Vec<u8>; 2] {
    lists(comparison.metrics.iter().map(|metric| {
        let [a, _, change, interval, _] = text::cells(metric);
        let benchmark = Benchmark {
            name: format!("compare: {}", metric.metric),
            unit: metric.metric.unit(),
            value: metric.b.median,
            extra: format!("A {a}, change {change}, 95% interval {interval}"),
        };
        (metric.better, benchmark)
    }))
}
