//! Go's benchmark format, as benchstat reads it.

mod capacity;
mod comparison;
mod figures;
mod run;
mod sweep;

use super::{Format, FormatError, Part, one};
use crate::measure::metric::Better;
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format = Format {
    name: "benchfmt",
    help: "Go's benchmark format, a line for each run, as benchstat reads it",
    keeps_runs_apart: true,
    is_two_files: false,
    render,
};

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(run::render(runs)?),
        Document::Comparison(comparison) => one(comparison::render(comparison)),
        Document::Sweep(sweep) => one(sweep::render(sweep)),
        Document::Connections(report) => one(figures::connections(report)?),
        Document::Capacity(report) => one(capacity::render([&**report])),
        Document::Capacities(report) => one(capacity::render(report.points.iter().map(|point| &point.capacity))),
        Document::Fanout(report) => one(figures::fanout(report)?),
    }
}

/// Which way a unit is better, as a line.
fn better(unit: &str, better: Better) -> String {
    format!("Unit {unit} better={better}\n")
}

/// The unit of a time: the metric's name, and `ns` as the last word, by which benchstat knows it.
fn time(metric: &str) -> String {
    format!("{}-ns", metric.replace('_', "-"))
}
