//! Bencher Metric Format (bencher.dev/docs/reference/bencher-metric-format): benchmarks by name, of each its measures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{DecodeError, Report, json, unique_names};
use crate::metric::Metric;

/// One figure of a benchmark.
#[derive(Debug, Serialize)]
struct Value {
    value: f64,
}

/// The runs as a JSON document; times in ns, as Bencher's own measure of latency.
///
/// # Errors
/// When a report's histograms cannot be read.
pub fn render(runs: &[Report]) -> Result<Vec<u8>, DecodeError> {
    let mut benchmarks = BTreeMap::new();
    for (name, run) in unique_names(runs).into_iter().zip(runs) {
        let mut measures = BTreeMap::new();
        for metric in Metric::catalogue() {
            if let Some(value) = metric.of(run)? {
                // Bencher knows measures by slugs of letters, digits and hyphens.
                measures.insert(metric.to_string().replace(['.', '_'], "-"), Value { value });
            }
        }
        benchmarks.insert(name, measures);
    }
    Ok(json(&benchmarks))
}
