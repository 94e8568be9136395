//! github-action-benchmark's custom benchmarks (github.com/benchmark-action/github-action-benchmark): one list of what is
//! better smaller (`customSmallerIsBetter`), and one of what is better bigger (`customBiggerIsBetter`).

use serde::Serialize;

use super::json::render as json;
use super::text::comparison::{cells, change_cells};
use super::{Format, FormatError, Part};
use crate::host::environment::Environment;
use crate::judge::held_threshold::range;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::{Better, Metric};
use crate::report::capacity::{CapacityReport, Figure};
use crate::report::comparison::Comparison;
use crate::report::figure;
use crate::report::run::{Report, unique_names};
use crate::report::saved::Document;
use crate::report::sweep::{Sweep, words};
use crate::units;

/// The format.
pub const FORMAT: Format = Format {
    name: "github-action-benchmark",
    help: "github-action-benchmark's customSmallerIsBetter and customBiggerIsBetter, a file each",
    keeps_runs_apart: false,
    is_two_files: true,
    render,
};

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    let [smaller, bigger] = match document {
        Document::Runs(reports) => runs(reports)?,
        Document::Comparison(comparison) => sides(comparison),
        Document::Sweep(sweep) => combinations(sweep),
        Document::Connections(report) => experiment(
            "connections",
            "95% interval",
            report.figures()?,
            &measured_at(&report.target, &report.environment),
        ),
        Document::Capacity(report) => lists(capacity("capacity", report)),
        Document::Capacities(report) => {
            lists(report.points.iter().flat_map(|point| capacity(&report.name(point), &point.capacity)))
        }
        Document::Fanout(report) => {
            experiment("fanout", "bounded:", report.figures()?, &measured_at(&report.target, &report.environment))
        }
    };
    Ok(vec![
        Part { name: "smaller-is-better.json", content: smaller },
        Part { name: "bigger-is-better.json", content: bigger },
    ])
}

/// One figure.
#[derive(Debug, Serialize)]
struct Benchmark {
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
fn runs(runs: &[Report]) -> Result<[Vec<u8>; 2], DecodeError> {
    let mut benchmarks = Vec::new();
    for (name, run) in unique_names(runs).into_iter().zip(runs) {
        for metric in Metric::catalogue() {
            let Some(value) = run.figure(metric)? else { continue };
            let extra = measured_at(&run.target, &run.environment);
            let benchmark = Benchmark { name: format!("{name}: {metric}"), unit: metric.unit().symbol(), value, extra };
            benchmarks.push((metric.better(), benchmark));
        }
    }
    Ok(lists(benchmarks))
}

/// What is better smaller, what is better bigger.
fn lists(benchmarks: impl IntoIterator<Item = (Better, Benchmark)>) -> [Vec<u8>; 2] {
    let (smaller, bigger): (Vec<_>, Vec<_>) =
        benchmarks.into_iter().partition(|(better, _)| matches!(better, Better::Lower));
    [smaller, bigger].map(|list| json(&list.into_iter().map(|(_, benchmark)| benchmark).collect::<Vec<_>>()))
}

/// The figures of B for github-action-benchmark, beneath each that of A and the change: smaller is better, bigger is better.
fn sides(comparison: &Comparison) -> [Vec<u8>; 2] {
    lists(comparison.metrics.iter().map(|metric| {
        let [a, _, change, interval, _] = cells(metric);
        let level = units::percent(1.0 - metric.error()).replace(".0%", "%");
        let bounds = metric.told();
        let interval = match bounds.low.zip(bounds.high) {
            Some(_) => format!("{level} interval {interval}"),
            None => "too few starts for an interval".to_owned(),
        };
        let benchmark = Benchmark {
            name: format!("compare: {}", metric.metric.older_name()),
            unit: metric.metric.unit().in_words(),
            value: metric.sides()[1],
            extra: format!("A {a}, change {change}, {interval}"),
        };
        (metric.better, benchmark)
    }))
}

/// The figures of an experiment for github-action-benchmark, beneath each its interval after these words: smaller is better,
/// bigger is better.
fn experiment(name: &str, words: &str, figures: Vec<figure::Figure>, of: &str) -> [Vec<u8>; 2] {
    lists(figures.into_iter().map(|figure| {
        let extra = match figure.interval {
            Some((low, high)) => format!("{words} {}", range(figure.unit, low, high)),
            None => of.to_owned(),
        };
        let (name, unit) = (format!("{name}: {}", figure.name), figure.unit.in_words());
        (figure.better, Benchmark { name, unit, value: figure.value, extra })
    }))
}

/// Which server, at which revision.
fn measured_at(target: &str, environment: &Environment) -> String {
    format!("{target} at {}", environment.git_revision)
}

/// The figures of a capacity for github-action-benchmark: smaller is better, bigger is better.
fn capacity(name: &str, report: &CapacityReport) -> Vec<(Better, Benchmark)> {
    let benchmark = |figure: Figure| {
        let extra = format!("{}; {}", report.slos.join(", "), measured_at(&report.target, &report.environment));
        let name = format!("{name}: {}", figure.name);
        (figure.better, Benchmark { name, unit: figure.unit.in_words(), value: figure.value, extra })
    };
    report.figures().into_iter().map(benchmark).collect()
}

/// The combinations for github-action-benchmark: smaller is better, bigger is better.
fn combinations(sweep: &Sweep) -> [Vec<u8>; 2] {
    lists(sweep.arms.iter().flat_map(|arm| {
        arm.figures.keys().filter_map(|metric| {
            let extra = match arm.change.get(metric).map(change_cells) {
                Some([change, interval]) => format!("change {change}, 95% interval {interval}"),
                None if arm.change.is_empty() => "reference".to_owned(),
                None => "change not known".to_owned(),
            };
            let name = format!("{}: {}", words::settings(arm), metric.older_name());
            let unit = metric.unit().in_words();
            Some((metric.better(), Benchmark { name, unit, value: arm.told(*metric)?, extra }))
        })
    }))
}
