//! The figures of held connections or of a fan-out in Go's benchmark format: one benchmark, with every figure that there is.

use std::fmt::Write as _;

use super::run::configuration;
use super::{better, time};
use crate::host::environment::Environment;
use crate::measure::encoded::DecodeError;
use crate::measure::metric::Unit;
use crate::report::connections::ConnectionsReport;
use crate::report::fanout::FanoutReport;
use crate::report::figure::Figure;

/// Held connections, of as many iterations as were opened.
///
/// # Errors
/// When a histogram cannot be read.
pub fn connections(report: &ConnectionsReport) -> Result<String, DecodeError> {
    let (requested, opened) = (report.connections.requested, report.connections.established);
    let name = format!("BenchmarkConnections/connections={requested}");
    Ok(render(&name, opened, &report.figures()?, &report.environment))
}

/// A fan-out, of as many iterations as deliveries came.
///
/// # Errors
/// When a histogram cannot be read.
pub fn fanout(report: &FanoutReport) -> Result<String, DecodeError> {
    let (senders, receivers, rooms) = (report.asked.senders, report.asked.receivers, report.asked.rooms);
    let name = format!("BenchmarkFanout/senders={senders}/receivers={receivers}/rooms={rooms}");
    Ok(render(&name, report.deliveries.received, &report.figures()?, &report.environment))
}

/// One line, where there were iterations.
fn render(name: &str, iterations: u64, figures: &[Figure], environment: &Environment) -> String {
    let mut text: String = figures.iter().map(|figure| better(&unit(figure), figure.better)).collect();
    text += &configuration(environment);
    if iterations > 0 {
        write!(text, "{name}\t{iterations}").expect(NO_ERROR);
        for figure in figures {
            write!(text, "\t{} {}", figure.value, unit(figure)).expect(NO_ERROR);
        }
        text.push('\n');
    }
    text
}

fn unit(figure: &Figure) -> String {
    let name = figure.name.replace('_', "-");
    match figure.unit {
        Unit::Nanoseconds | Unit::NanosecondsPerMessage => time(&name),
        Unit::Bytes | Unit::BytesPerConnection | Unit::BytesPerMessage => format!("{name}-B"),
        Unit::MessagesPerSecond | Unit::BytesPerSecond | Unit::Share | Unit::Count => name,
    }
}

const NO_ERROR: &str = "a String takes every write";
