//! github-action-benchmark's custom benchmarks (github.com/benchmark-action/github-action-benchmark): one list of what is
//! better smaller (`customSmallerIsBetter`), and one of what is better bigger (`customBiggerIsBetter`).

use serde::Serialize;

use super::{DecodeError, Report, json, unique_names};
use crate::metric::Metric;
use crate::verdict::Better;

/// One figure.
#[derive(Debug, Serialize)]
pub(crate) struct Benchmark {
    pub name: String,
    pub unit: &'static str,
    pub value: f64,
    /// Shown beneath the figure.
    pub extra: String,
}

/// The runs' figures: smaller is better, bigger is better.
///
/// # Errors
/// When a report's histograms cannot be read.
pub fn render(runs: &[Report]) -> Result<[Vec<u8>; 2], DecodeError> {
    let mut benchmarks = Vec::new();
    for (name, run) in unique_names(runs).into_iter().zip(runs) {
        for metric in Metric::catalogue() {
            let Some(value) = metric.of(run)? else { continue };
            let extra = format!("{} at {}", run.target, run.environment.git_revision);
            let benchmark = Benchmark { name: format!("{name}: {metric}"), unit: metric.unit().symbol(), value, extra };
            benchmarks.push((metric.better(), benchmark));
        }
    }
    Ok(lists(benchmarks))
}

/// What is better smaller, what is better bigger.
pub(crate) fn lists(benchmarks: impl IntoIterator<Item = (Better, Benchmark)>) -> [Vec<u8>; 2] {
    let (smaller, bigger): (Vec<_>, Vec<_>) =
        benchmarks.into_iter().partition(|(better, _)| matches!(better, Better::Lower));
    [smaller, bigger].map(|list| json(&list.into_iter().map(|(_, benchmark)| benchmark).collect::<Vec<_>>()))
}
