//! Comma-separated values (RFC 4180), a table of each kind of document.

mod capacity;
mod comparison;
mod figures;
mod run;
mod sweep;

use super::{Format, FormatError, Part, one};
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format =
    Format { name: "csv", help: "A line for each run", keeps_runs_apart: true, is_two_files: false, render };

/// The runs over time: a line for each second of each.
pub const OVER_TIME: Format = Format {
    name: "csv",
    help: "A line for each second of each run",
    keeps_runs_apart: true,
    is_two_files: false,
    render: over_time,
};

fn over_time(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(run::over_time(runs)?),
        Document::Comparison(_) | Document::Sweep(_) => Err(FormatError::Refused(
            "--over-time: a comparison or a sweep has a table of its trials alone; expected runs".to_owned(),
        )),
        Document::Connections(_) => Err(FormatError::Refused(
            "--over-time: held connections have a table of their figures alone; expected runs".to_owned(),
        )),
        Document::Capacity(_) | Document::Capacities(_) => Err(FormatError::Refused(
            "--over-time: a capacity has a table of its probes alone; expected runs".to_owned(),
        )),
        Document::Fanout(_) => Err(FormatError::Refused(
            "--over-time: a fan-out has a table of its figures alone; expected runs".to_owned(),
        )),
    }
}

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(run::render(runs)),
        Document::Comparison(comparison) => one(comparison::render(comparison)),
        Document::Sweep(sweep) => one(sweep::render(sweep)),
        Document::Connections(report) => one(figures::render(&report.figures()?)),
        Document::Capacity(report) => one(capacity::render(report)),
        Document::Capacities(report) => one(capacity::all(report)),
        Document::Fanout(report) => one(figures::render(&report.figures()?)),
    }
}
