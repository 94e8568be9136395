//! The report of a capacity in Go's benchmark format: one benchmark, with the figures of the answer.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::run::configuration;
use super::{better, time};
use crate::report::capacity::{CapacityReport, Figure};

/// Reports as a line each, of as many iterations as probes were made.
pub fn render<'a>(reports: impl IntoIterator<Item = &'a CapacityReport>) -> String {
    let reports: Vec<_> = reports.into_iter().collect();
    let figures = reports.iter().flat_map(|report| report.figures());
    let units: BTreeSet<String> = figures.map(|figure| better(&unit(&figure), figure.better)).collect();
    let mut text: String = units.into_iter().collect();
    text += &reports.first().map(|report| configuration(&report.environment)).unwrap_or_default();
    for report in reports {
        let plan = &report.environment.plan;
        let (connections, size, probes) = (plan.connections, plan.message.size.max(), report.probes.len());
        // What else tells them apart is how the server was started.
        let server: String = report.target.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        write!(text, "BenchmarkCapacity/connections={connections}/size={size}/server={server}\t{probes}")
            .expect(NO_ERROR);
        for figure in report.figures() {
            write!(text, "\t{} {}", figure.value, unit(&figure)).expect(NO_ERROR);
        }
        text.push('\n');
    }
    text
}

fn unit(figure: &Figure) -> String {
    if figure.unit.is_time() { time(figure.name) } else { format!("{}-msg/s", figure.name) }
}

const NO_ERROR: &str = "a String takes every write";
