//! JSON: the document itself, as `schema/` describes it.

use serde::Serialize;

use super::{Format, FormatError, Part, one};
use crate::report::run::Runs;
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format = Format {
    name: "json",
    help: "The JSON report, of several files that of all of them together",
    keeps_runs_apart: false,
    is_two_files: false,
    render: of,
};

fn of(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) if runs.len() == 1 => one(render(&runs[0])),
        Document::Runs(runs) => one(render(&Runs::from(runs.clone()))),
        Document::Comparison(comparison) => one(render(comparison)),
        Document::Sweep(sweep) => one(render(sweep)),
        Document::Connections(report) => one(render(report)),
        Document::Capacity(report) => one(render(report)),
        Document::Capacities(report) => one(render(report)),
        Document::Fanout(report) => one(render(report)),
    }
}

/// Plain data as JSON to read.
pub fn render(data: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(data).expect("it is plain data");
    json.push(b'\n');
    json
}
