//! Markdown, for the summary of a job or a comment.

mod capacity;
mod comparison;
mod connections;
mod fanout;
mod parts;
mod run;
mod sweep;

use super::{Format, FormatError, Part, one};
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format = Format {
    name: "markdown",
    help: "For the summary of a job or a comment",
    keeps_runs_apart: false,
    is_two_files: false,
    render,
};

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(run::render(runs)?),
        Document::Comparison(comparison) => one(comparison::render(comparison)),
        Document::Sweep(sweep) => one(sweep::render(sweep)),
        Document::Connections(report) => one(connections::render(report)),
        Document::Capacity(report) => one(capacity::render(report)),
        Document::Capacities(report) => one(capacity::all(report)),
        Document::Fanout(report) => one(fanout::render(report)),
    }
}
