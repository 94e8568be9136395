//! OpenMetrics text, as Prometheus reads it.

mod capacity;
mod comparison;
mod figures;
mod law;
mod parts;
mod run;
mod sweep;
mod tls;

use super::{Format, FormatError, Part, one};
use crate::report::saved::Document;

/// The format.
pub const FORMAT: Format = Format {
    name: "openmetrics",
    help: "OpenMetrics text, as Prometheus reads it",
    keeps_runs_apart: false,
    is_two_files: false,
    render,
};

fn render(document: &Document) -> Result<Vec<Part>, FormatError> {
    match document {
        Document::Runs(runs) => one(run::render(runs)?),
        Document::Comparison(comparison) => one(comparison::render(comparison)),
        Document::Sweep(sweep) => one(sweep::render(sweep)),
        Document::Connections(report) => one(figures::render(
            "fathom_connections",
            report.figures()?,
            ESTIMATE,
            report.trust.is_valid(),
            report.tls.as_ref(),
        )),
        Document::Capacity(report) => one(capacity::render([(None, &**report)], None)),
        Document::Capacities(report) => {
            let points = report.points.iter().map(|point| (Some(report.name(point)), &point.capacity));
            one(capacity::render(points, Some(&report.scalability)))
        }
        Document::Fanout(report) => {
            one(figures::render("fathom_fanout", report.figures()?, LATE, report.trust.is_valid(), report.tls.as_ref()))
        }
    }
}

/// What the ends of an interval are, of held connections and of a fan-out.
const ESTIMATE: &str = "The ends of a figure's 95% interval";
const LATE: &str = "The least and the most that a figure can be";
