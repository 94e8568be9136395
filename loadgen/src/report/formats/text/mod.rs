//! Text to read in a terminal.

mod capacity;
pub(in crate::report) mod comparison;
mod connections;
mod fanout;
mod parts;
mod run;
mod sweep;
pub mod verdict;

use super::{Format, FormatError, Part, one};
use crate::measure::encoded::DecodeError;
use crate::report::Report;
use crate::report::capacities::Capacities;
use crate::report::capacity::CapacityReport;
use crate::report::comparison::Comparison;
use crate::report::connections::ConnectionsReport;
use crate::report::fanout::FanoutReport;
use crate::report::saved::Document;
use crate::report::sweep::Sweep;

/// The format.
pub const FORMAT: Format = Format {
    name: "text",
    help: "The report to read in a terminal",
    keeps_runs_apart: false,
    is_two_files: false,
    render,
};

/// A run, with an empty line behind it.
///
/// # Errors
/// When a histogram of the report cannot be read.
pub fn run(report: &Report) -> Result<String, DecodeError> {
    run::render(report).map(|text| {
        format!(
            "{text}
"
        )
    })
}

/// A comparison likewise.
pub fn comparison(comparison: &Comparison) -> String {
    format!(
        "{}
",
        comparison::render(comparison)
    )
}

/// A sweep likewise.
pub fn sweep(sweep: &Sweep) -> String {
    format!(
        "{}
",
        sweep::render(sweep)
    )
}

/// Held connections likewise.
pub fn connections(report: &ConnectionsReport) -> String {
    format!(
        "{}
",
        connections::render(report)
    )
}

/// A capacity likewise.
pub fn capacity(report: &CapacityReport) -> String {
    format!("{}\n", capacity::render(report))
}

/// Capacities along an axis likewise.
pub fn capacities(report: &Capacities) -> String {
    format!("{}\n", capacity::all(report))
}

/// A fan-out likewise.
pub fn fanout(report: &FanoutReport) -> String {
    format!(
        "{}
",
        fanout::render(report)
    )
}

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(runs.iter().map(run::render).collect::<Result<Vec<_>, _>>()?.join("\n")),
        Document::Comparison(comparison) => one(comparison::render(comparison)),
        Document::Sweep(sweep) => one(sweep::render(sweep)),
        Document::Connections(report) => one(connections::render(report)),
        Document::Capacity(report) => one(capacity::render(report)),
        Document::Capacities(report) => one(capacity::all(report)),
        Document::Fanout(report) => one(fanout::render(report)),
    }
}
