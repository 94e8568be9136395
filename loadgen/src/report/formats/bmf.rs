//! Bencher Metric Format (bencher.dev/docs/reference/bencher-metric-format): benchmarks by name, of each its measures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::json::render as json;
use super::{Format, FormatError, Part, one};
use crate::measure::encoded::DecodeError;
use crate::measure::metric::Metric;
use crate::report::capacity::{self, CapacityReport};
use crate::report::comparison::Comparison;
use crate::report::estimate::Estimate;
use crate::report::figure::Figure;
use crate::report::run::{Report, unique_names};
use crate::report::saved::Document;
use crate::report::sweep::{ArmReport, Sweep, words};

/// The format.
pub const FORMAT: Format =
    Format { name: "bmf", help: "Bencher Metric Format", keeps_runs_apart: false, is_two_files: false, render };

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(reports) => one(runs(reports)?),
        Document::Comparison(comparison) => one(changes(comparison)),
        Document::Sweep(sweep) => one(combinations(sweep)),
        Document::Connections(report) => one(experiment("connections", report.figures()?)),
        Document::Capacity(report) => one(json(&BTreeMap::from([("capacity", capacity(report))]))),
        Document::Capacities(report) => {
            let each = report.points.iter().map(|point| (report.name(point), capacity(&point.capacity)));
            one(json(&each.collect::<BTreeMap<_, _>>()))
        }
        Document::Fanout(report) => one(experiment("fanout", report.figures()?)),
    }
}

/// One figure of a benchmark.
#[derive(Debug, Serialize)]
struct Value {
    value: f64,
}

/// The runs as a JSON document; times in ns, as Bencher's own measure of latency.
///
/// # Errors
/// When a report's histograms cannot be read.
fn runs(runs: &[Report]) -> Result<Vec<u8>, DecodeError> {
    let mut benchmarks = BTreeMap::new();
    for (name, run) in unique_names(runs).into_iter().zip(runs) {
        let mut measures = BTreeMap::new();
        for metric in Metric::catalogue() {
            if let Some(value) = run.figure(metric)? {
                measures.insert(slug(&metric.to_string()), Value { value });
            }
        }
        benchmarks.insert(name, measures);
    }
    Ok(json(&benchmarks))
}

/// Bencher knows measures by slugs of letters, digits and hyphens.
fn slug(name: &str) -> String {
    name.replace(['.', '_'], "-")
}

/// A figure of Bencher Metric Format with its interval.
#[derive(Debug, Serialize)]
struct Change {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// The changes from A to B as Bencher Metric Format: shares of A, with their intervals.
fn changes(comparison: &Comparison) -> Vec<u8> {
    let measures: BTreeMap<String, Change> = comparison
        .metrics
        .iter()
        .filter_map(|metric| {
            let estimate = metric.told();
            let change = Change { value: estimate.change?, lower_value: estimate.low, upper_value: estimate.high };
            Some((format!("{}-change", slug(&metric.metric.older_name())), change))
        })
        .collect();
    json(&BTreeMap::from([("compare", measures)]))
}

/// The figures of an experiment, those that have an interval with its ends.
fn experiment(name: &str, figures: Vec<Figure>) -> Vec<u8> {
    let measure = |figure: Figure| {
        let (lower_value, upper_value) = figure.interval.unzip();
        (slug(&figure.name), Change { value: figure.value, lower_value, upper_value })
    };
    let measures: BTreeMap<String, Change> = figures.into_iter().map(measure).collect();
    json(&BTreeMap::from([(name, measures)]))
}

/// The figures of a capacity.
fn capacity(report: &CapacityReport) -> BTreeMap<String, Change> {
    let measure = |figure: capacity::Figure| {
        let (lower_value, upper_value) = figure.interval.unzip();
        (slug(figure.name), Change { value: figure.value, lower_value, upper_value })
    };
    report.figures().into_iter().map(measure).collect()
}

/// The combinations in Bencher Metric Format. Each but the reference is the reference changed by its change, and so are the ends
/// of its interval.
fn combinations(sweep: &Sweep) -> Vec<u8> {
    let measure = |arm: &ArmReport, metric: Metric| {
        let value = arm.told(metric)?;
        let Estimate { change, low, high } = arm.change.get(&metric).copied().unwrap_or(NO_CHANGE);
        let end = |end: Option<f64>| Some(value / (1.0 + change?) * (1.0 + end?));
        Some((slug(&metric.older_name()), Change { value, lower_value: end(low), upper_value: end(high) }))
    };
    let measures = |arm: &ArmReport| -> BTreeMap<String, Change> {
        arm.figures.keys().filter_map(|metric| measure(arm, *metric)).collect()
    };
    let arms: BTreeMap<String, _> = sweep.arms.iter().map(|arm| (words::settings(arm), measures(arm))).collect();
    json(&arms)
}

/// That of the reference.
const NO_CHANGE: Estimate = Estimate { change: None, low: None, high: None };
